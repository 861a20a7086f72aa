package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

type rangeCmd struct {
	Path   string     `arg:"" help:"Path of the time series."`
	From   string     `xor:"anchor" placeholder:"N|TIME" help:"Begin with this sequence number, or time in RFC 3339."`
	Last   *int       `xor:"anchor" placeholder:"N" help:"Only the last N events."`
	Since  *duration  `xor:"anchor" placeholder:"DURATION" help:"Begin this long before the last event."`
	To     string     `xor:"span" placeholder:"N|TIME" help:"End with this sequence number, or time."`
	Next   *int       `xor:"span" placeholder:"N" help:"Only N events from the beginning on."`
	Limit  int        `placeholder:"N" help:"The last N of what was selected."`
	Edits  string     `enum:"replace,all,latest" default:"replace" placeholder:"replace|all|latest" help:"replace shows edits in place of their originals; all and latest show both, with all edits or the latest of each event."`
	Count  bool       `help:"Only the number of events."`
	JSON   bool       `name:"json" help:"One JSON object for each event."`
	Server connection `embed:""`
}

func (*rangeCmd) Help() string { return rangeHelp }

// Run shows events of a time series.
func (c *rangeCmd) Run(std *streams) error {
	query, err := c.query()
	if err != nil {
		return &usageError{err}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		result, err := advect.QueryRange[datatype.Value](ctx, session.Topics(), c.Path, query)
		if err != nil {
			return err
		}
		if c.Count {
			_, err := fmt.Fprintln(std.out, result.Selected)
			return err
		}
		for i := range result.Events {
			if err := c.print(std.out, &result.Events[i]); err != nil {
				return err
			}
		}
		if missing := result.Selected - int64(len(result.Events)); missing > 0 && c.Limit == 0 {
			return fmt.Errorf("the first %d of %d events are missing: they do not fit into a message. Try: a range, with --from and --to", missing, result.Selected)
		}
		return nil
	})
}

func (c *rangeCmd) query() (advect.RangeQuery, error) {
	q := advect.RangeQuery{Limit: c.Limit, CountOnly: c.Count}
	q.Edits = map[string]advect.RangeEdits{"replace": advect.LatestValues, "all": advect.AllEdits, "latest": advect.LatestEdits}[c.Edits]
	switch {
	case c.From != "":
		n, t, err := position(c.From)
		if err != nil {
			return q, fmt.Errorf("--from: %w", err)
		}
		if q.View.Anchor = advect.FromSequence(n); !t.IsZero() {
			q.View.Anchor = advect.FromTime(t)
		}
	case c.Last != nil:
		q.View.Anchor = advect.FromLast(*c.Last)
	case c.Since != nil:
		q.View.Anchor = advect.FromLastFor(time.Duration(*c.Since))
	}
	switch {
	case c.To != "":
		n, t, err := position(c.To)
		if err != nil {
			return q, fmt.Errorf("--to: %w", err)
		}
		if q.View.Span = advect.ToSequence(n); !t.IsZero() {
			q.View.Span = advect.ToTime(t)
		}
	case c.Next != nil:
		q.View.Span = advect.Next(*c.Next)
	}
	return q, nil
}

// position reads a sequence number or a time.
func position(text string) (int64, time.Time, error) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n, time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return 0, t, errors.New("write a sequence number, or a time such as 2026-01-31T09:30:00Z")
	}
	return 0, t, nil
}

func (c *rangeCmd) print(w io.Writer, e *advect.TimeSeriesEvent[datatype.Value]) error {
	if c.JSON {
		return printLine(w, rangeLine{newEventFields(&e.EventMetadata), jsonValue(e.Value)})
	}
	_, err := fmt.Fprintf(w, "%s  %s\n", eventText(&e.EventMetadata), readable(e.Value))
	return err
}

// rangeLine is an event in JSON lines.
type rangeLine struct {
	eventFields
	Value json.RawMessage `json:"value"`
}
