package main

import (
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// renderFile prints the report in a JSON file as Markdown.
func renderFile(w io.Writer, path string) error {
	r, err := readReport(path)
	if err != nil {
		return err
	}
	return r.markdown(w, filepath.Base(path))
}

// A column is a figure of a Markdown table: the median over the quiet repeats.
type column struct {
	head   string
	format string // of a float64
	figure func(Row) float64
}

var trafficColumns = []column{
	{"server µs", "%.2f", func(r Row) float64 { return r.ServerCPU }},
	{"in the kernel", "%.2f", func(r Row) float64 { return r.ServerSys }},
	{"p50 ms", "%.2f", func(r Row) float64 { return r.LatencyP50 }},
	{"p99 ms", "%.1f", func(r Row) float64 { return r.LatencyP99 }},
	{"deliveries/s", "%.0f", func(r Row) float64 { return r.PerSecond }},
	{"a read", "%.1f", func(r Row) float64 { return r.PerRead }},
	{"bytes", "%.0f", func(r Row) float64 { return r.BytesEach }},
	{"lost", "%.0f", func(r Row) float64 { return float64(r.Lost + r.Late + r.Misrouted + r.Corrupt) }},
	{"foreign", "%.0f %%", func(r Row) float64 { return 100 * r.Foreign }},
}

var sessionColumns = []column{
	{"server µs/session", "%.0f", func(r Row) float64 { return r.SessionCPU }},
	{"sessions/s", "%.0f", func(r Row) float64 { return r.SessionsPerSec }},
	{"KiB/session", "%.1f", func(r Row) float64 { return r.SessionKiB }},
	{"MiB empty", "%.0f", func(r Row) float64 { return r.EmptyMiB }},
	{"idle CPU ms/s", "%.1f", func(r Row) float64 { return r.IdleCPU }},
	{"foreign", "%.0f %%", func(r Row) float64 { return 100 * r.Foreign }},
}

// markdown prints what the run was and one table for each scenario, size and
// mode. The last column is the server's processor time, or the memory of an idle
// session, over that of Advect.
func (r *Report) markdown(w io.Writer, source string) error {
	out := new(strings.Builder)
	fmt.Fprintf(out, "%s, %d × %s, Linux %s, %s. Raw data: `bench/results/%s`.\n"+
		"Each line is the median of those of up to %d runs, their number in \"runs\", in which others used at most %.0f %% of the machine;\n"+
		"where there was none, it is the run in which they used the least.\n",
		r.Started.Format("2 January 2006"), r.CPUs, r.CPUModel, r.Kernel, r.Go, source, r.repeats(), 100*quietShare)
	fmt.Fprintf(out, "Versions: %s.\n", strings.Join(r.Versions, ", "))

	groups, order := r.groups()
	for i, k := range order {
		if k.mode == "failed" {
			continue
		}
		columns := trafficColumns
		if k.mode == "connect" || k.mode == "idle" {
			columns = sessionColumns
		}
		if i == 0 || order[i-1].table() != k.table() {
			fmt.Fprintf(out, "\n**%s**\n\n|", k.title())
			for _, c := range append([]column{{head: "server"}}, columns...) {
				fmt.Fprintf(out, " %s |", c.head)
			}
			fmt.Fprintf(out, " runs | to Advect |\n|---|%s\n", strings.Repeat("---:|", len(columns)+2))
		}
		g := groups[k].quiet()
		fmt.Fprintf(out, "| %s |", k.peer)
		for _, c := range columns {
			v := g.of(c.figure)
			text := fmt.Sprintf(c.format, v)
			if v == 0 && c.head != "lost" && c.head != "foreign" {
				text = "" // not measured
			}
			fmt.Fprintf(out, " %s |", text)
		}
		ours := k
		ours.peer = "advect"
		ratio := ""
		first := columns[0].figure
		if k.mode == "idle" {
			first = func(r Row) float64 { return r.SessionKiB }
		}
		if a := groups[ours]; a != nil && k.peer != "advect" {
			ratio = fmt.Sprintf("%.2f", g.of(first)/a.quiet().of(first))
		}
		fmt.Fprintf(out, " %d | %s |\n", len(g), ratio)
	}
	for _, row := range r.Rows {
		if row.Error != "" {
			fmt.Fprintf(out, "\nFailed: %s, %s with %d sessions, run %d.\n", row.Peer, row.Scenario, row.Sessions, row.Repeat)
		}
	}
	_, err := io.WriteString(w, out.String())
	return err
}

// table is the key of the table that a group's line belongs to.
func (k groupKey) table() groupKey {
	k.peer = ""
	return k
}

func (k groupKey) title() string {
	switch k.mode {
	case "rate":
		return fmt.Sprintf("%s: %d subscribers, fixed rate", k.scenario, k.sessions)
	case "max":
		return fmt.Sprintf("%s: %d subscribers, full rate", k.scenario, k.sessions)
	case "connect":
		return fmt.Sprintf("connect and subscribe: %d sessions", k.sessions)
	}
	return fmt.Sprintf("idle: %d sessions", k.sessions)
}
