package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"advect.dev"
)

type metricsCmd struct {
	Names      []string   `arg:"" optional:"" name:"name" help:"Names of metrics, or of samples; all of them without any."`
	Pattern    string     `placeholder:"RE" help:"A regular expression for names, instead of names."`
	AllServers bool       `help:"Of every server of a cluster, not only the one that is connected to."`
	JSON       bool       `name:"json" help:"One JSON object for each sample."`
	Server     connection `embed:""`
}

func (*metricsCmd) Help() string { return metricsHelp }

// Run shows metrics.
func (c *metricsCmd) Run(std *streams) error {
	if len(c.Names) > 0 && c.Pattern != "" {
		return &usageError{errors.New("names and --pattern do not go together")}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		servers, err := session.Metrics().Read(ctx, advect.MetricsQuery{Names: c.Names, Pattern: c.Pattern, AllServers: c.AllServers})
		if err != nil {
			return err
		}
		table := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
		for _, server := range slices.Sorted(maps.Keys(servers)) {
			for _, metric := range servers[server] {
				for _, sample := range metric.Samples {
					if err := c.print(std.out, table, server, &metric, &sample); err != nil {
						return err
					}
				}
			}
		}
		return table.Flush()
	})
}

func (c *metricsCmd) print(w, table io.Writer, server string, m *advect.Metric, s *advect.MetricSample) error {
	if c.JSON {
		line := metricLine{Server: server, Metric: m.Name, Type: m.Type.String(), Unit: m.Unit, Name: s.Name, Value: number(s.Value)}
		for _, label := range s.Labels {
			if line.Labels == nil {
				line.Labels = make(map[string]string)
			}
			line.Labels[label.Name] = label.Value
		}
		if !s.Time.IsZero() {
			at := s.Time.UTC()
			line.Time = &at
		}
		return printLine(w, line)
	}
	name := s.Name
	if len(s.Labels) > 0 {
		var labels []string
		for _, label := range s.Labels {
			labels = append(labels, label.Name+"="+strconv.Quote(label.Value))
		}
		name += "{" + strings.Join(labels, ",") + "}"
	}
	if c.AllServers {
		name = server + "  " + name
	}
	_, err := fmt.Fprintf(table, "%s\t%s\t%s\n", oneLine(name), number(s.Value), strings.ToLower(m.Type.String()))
	return err
}

// metricLine is a sample in JSON lines. Its value is text, since JSON has no NaN.
type metricLine struct {
	Server string            `json:"server"`
	Metric string            `json:"metric"`
	Type   string            `json:"type"`
	Unit   string            `json:"unit,omitempty"`
	Name   string            `json:"name"`
	Labels map[string]string `json:"labels,omitempty"`
	Value  string            `json:"value"`
	Time   *time.Time        `json:"time,omitempty"`
}

// number is a value without an exponent as long as that is readable.
func number(f float64) string {
	if f == float64(int64(f)) && f < 1e15 && f > -1e15 {
		return strconv.FormatInt(int64(f), 10)
	}
	return strconv.FormatFloat(f, 'g', -1, 64)
}

type logsCmd struct {
	From   int64      `xor:"begin" placeholder:"N" help:"Number of the first entry; they count from 0."`
	Last   int64      `xor:"begin" placeholder:"N" help:"Only the last N entries."`
	Count  int64      `placeholder:"N" help:"End after N entries; 0 shows all that there are."`
	Server connection `embed:""`
}

func (*logsCmd) Help() string { return logsHelp }

// logPage is how many entries are fetched at a time.
const logPage = 1000

// Run prints the log of the server.
func (c *logsCmd) Run(std *streams) error {
	if min(c.From, c.Last, c.Count) < 0 {
		return &usageError{errors.New("numbers of entries cannot be negative")}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		next := c.From
		if c.Last > 0 {
			end, err := c.fetch(ctx, session, 0, 1)
			if err != nil {
				return err
			}
			next = max(0, end.Available-c.Last)
		}
		for left := c.Count; ; {
			page := int64(logPage)
			if c.Count > 0 {
				page = min(page, left)
			}
			entries, err := c.fetch(ctx, session, next, page)
			if err != nil {
				return err
			}
			if _, err := io.WriteString(std.out, entries.Text); err != nil {
				return err
			}
			next, left = entries.First+entries.Count, left-entries.Count
			if entries.Count == 0 || c.Count > 0 && left <= 0 {
				return nil
			}
		}
	})
}

func (c *logsCmd) fetch(ctx context.Context, session *advect.Session, first, count int64) (advect.LogEntries, error) {
	ctx, cancel := c.Server.request(ctx)
	defer cancel()
	return session.FetchLog(ctx, first, count)
}
