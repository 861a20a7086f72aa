package main

import (
	"cmp"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"advect.dev/bench/peers"
)

// A column is a figure of a Markdown table: the median over the quiet repeats.
type column struct {
	head   string
	format string // of a float64
	figure func(Row) float64
	zero   bool // 0 is a figure; otherwise it means not measured
}

// A layout is how the measurements of some modes are shown.
type layout struct {
	title   func(groupKey) string
	columns []column
	compare func(Row) float64 // what the ratio to Advect is of; less is better
}

var (
	serverCPU = column{head: "server µs", format: "%.2f", figure: func(r Row) float64 { return r.ServerCPU }}
	p50       = column{head: "p50 ms", format: "%.2f", figure: func(r Row) float64 { return r.LatencyP50 }}
	p99       = column{head: "p99 ms", format: "%.1f", figure: func(r Row) float64 { return r.LatencyP99 }}
	perSecond = column{head: "deliveries/s", format: "%.0f", figure: func(r Row) float64 { return r.PerSecond }}
	perRead   = column{head: "a read", format: "%.1f", figure: func(r Row) float64 { return r.PerRead }}
	bytesEach = column{head: "bytes", format: "%.0f", figure: func(r Row) float64 { return r.BytesEach }}
	lost      = column{head: "lost", format: "%.0f", figure: func(r Row) float64 { return float64(r.wrong()) }, zero: true}
	foreign   = column{head: "foreign", format: "%.0f %%", figure: func(r Row) float64 { return 100 * r.Foreign }, zero: true}
	session   = column{head: "server µs/session", format: "%.0f", figure: func(r Row) float64 { return r.SessionCPU }}
	perSec    = column{head: "sessions/s", format: "%.0f", figure: func(r Row) float64 { return r.SessionsPerSec }}
	rss       = column{head: "MiB", format: "%.0f", figure: func(r Row) float64 { return r.RSSMiB }}
	setCPU    = column{head: "server µs/set", format: "%.2f", figure: func(r Row) float64 { return r.SetCPU }}
)

// wrong is the number of deliveries that failed in any way.
func (r Row) wrong() int64 { return r.Lost + r.Late + r.Misrouted + r.Corrupt }

// layouts are the tables by mode.
var layouts = map[string]layout{
	"rate": {
		title: func(k groupKey) string { return trafficTitle(k) + ", fixed rate" },
		columns: []column{
			serverCPU, {head: "in the kernel", format: "%.2f", figure: func(r Row) float64 { return r.ServerSys }},
			p50, p99, perSecond, perRead, bytesEach, rss, lost, foreign,
		},
		compare: serverCPU.figure,
	},
	"max": {
		title: func(k groupKey) string { return trafficTitle(k) + ", full rate" },
		columns: []column{
			serverCPU, {head: "in the kernel", format: "%.2f", figure: func(r Row) float64 { return r.ServerSys }},
			perSecond, perRead, bytesEach, rss, lost, foreign,
		},
		compare: serverCPU.figure,
	},
	"latency": {
		title: func(k groupKey) string {
			return fmt.Sprintf("latency: %d subscribers, half of the best peer's full rate", k.sessions)
		},
		columns: []column{
			p99, p50, {head: "max ms", format: "%.1f", figure: func(r Row) float64 { return r.LatencyMax }},
			{head: "wanted/s", format: "%.0f", figure: func(r Row) float64 { return r.Wanted }}, perSecond,
			{head: "fell behind", format: "%.0f", figure: func(r Row) float64 { return number(r.Unreached) }, zero: true},
			serverCPU, lost, foreign,
		},
		compare: p99.figure,
	},
	"connect": {
		title: func(k groupKey) string { return fmt.Sprintf("connect and subscribe: %d sessions", k.sessions) },
		columns: []column{
			session, {head: "sessions/CPU s", format: "%.0f", figure: func(r Row) float64 { return r.SessionsPerCPU }}, perSec, foreign,
		},
		compare: session.figure,
	},
	"idle": {
		title: func(k groupKey) string { return fmt.Sprintf("idle: %d sessions", k.sessions) },
		columns: []column{
			{head: "KiB/session", format: "%.1f", figure: func(r Row) float64 { return r.SessionKiB }},
			{head: "MiB empty", format: "%.0f", figure: func(r Row) float64 { return r.EmptyMiB }}, rss,
			{head: "idle CPU ms/s", format: "%.1f", figure: func(r Row) float64 { return r.IdleCPU }}, session, perSec, foreign,
		},
		compare: func(r Row) float64 { return r.SessionKiB },
	},
	"publish": {
		title: func(groupKey) string { return "publish: a topic that nobody reads" },
		columns: []column{
			setCPU, {head: "sets/CPU s", format: "%.0f", figure: func(r Row) float64 { return r.SetsPerCPU }},
			{head: "sets/s", format: "%.0f", figure: func(r Row) float64 { return r.SetsPerSec }}, foreign,
		},
		compare: setCPU.figure,
	},
	"inprocess": {
		title: func(k groupKey) string { return fmt.Sprintf("idle without sockets: %d sessions", k.sessions) },
		columns: []column{
			{head: "KiB/session", format: "%.2f", figure: func(r Row) float64 { return r.SessionKiB }},
		},
		compare: func(r Row) float64 { return r.SessionKiB },
	},
	"subscribeall": {
		title: func(k groupKey) string {
			return fmt.Sprintf("subscribe to all: %d topics of %d B", k.topics, keptValue)
		},
		columns: []column{
			{head: "topics/CPU s", format: "%.0f", figure: func(r Row) float64 { return r.TopicsPerCPU }},
			{head: "topics/s", format: "%.0f", figure: func(r Row) float64 { return r.TopicsPerSec }},
			{head: "B/topic beyond the value", format: "%.0f", figure: func(r Row) float64 { return r.TopicBytes }},
			setCPU, bytesEach, lost, foreign,
		},
		compare: func(r Row) float64 { return 1 / r.TopicsPerCPU },
	},
	"overload": {
		title: func(k groupKey) string {
			return fmt.Sprintf("overload: %d of %d subscribers stop reading", overloadStalled, k.sessions)
		},
		columns: []column{
			{head: "p99 ms before", format: "%.1f", figure: func(r Row) float64 { return r.P99Before }},
			{head: "meanwhile, others", format: "%.1f", figure: func(r Row) float64 { return r.LatencyP99 }},
			{head: "MiB before", format: "%.0f", figure: func(r Row) float64 { return r.RSSBefore }},
			{head: "after", format: "%.0f", figure: func(r Row) float64 { return r.RSSMiB }},
			{head: "others: lost", format: "%.0f", figure: lost.figure, zero: true},
			{head: "closed", format: "%.0f", figure: func(r Row) float64 { return float64(r.Closed) }, zero: true},
			{head: "stalled: closed", format: "%.0f", figure: func(r Row) float64 { return float64(r.StalledClosed) }, zero: true},
			{head: "current at once", format: "%.0f", figure: func(r Row) float64 { return float64(r.StalledCurrent) }, zero: true},
			{head: "values they missed", format: "%.0f", figure: func(r Row) float64 { return float64(r.StalledMissed) }, zero: true},
			foreign,
		},
		compare: p99.figure,
	},
	"storm": {
		title: func(k groupKey) string { return fmt.Sprintf("storm: %d sessions cut and back at once", k.sessions) },
		columns: []column{
			session, {head: "s until all are back", format: "%.2f", figure: func(r Row) float64 { return r.Seconds }},
			{head: "retries", format: "%.0f", figure: func(r Row) float64 { return float64(r.Retries) }, zero: true},
			{head: "recovered", format: "%.0f", figure: func(r Row) float64 { return number(r.Resumed) }, zero: true},
			{head: "of the values missed, got", format: "%.0f %%", figure: func(r Row) float64 {
				return 100 * float64(r.Restored) / float64(max(1, r.Missed))
			}, zero: true},
			{head: "lost or late", format: "%.0f", figure: lost.figure, zero: true}, foreign,
		},
		compare: session.figure,
	},
}

func trafficTitle(k groupKey) string {
	title := fmt.Sprintf("%s: %d subscribers", k.scenario, k.sessions)
	if k.topics > 0 {
		title += fmt.Sprintf(", %d topics", k.topics)
	}
	return title
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// markdown prints what the run was, how far it reached, what the servers promise
// and one table for each measurement. The last column of those compares with
// Advect. It ends with the plots, if there are any.
func (r *Report) markdown(w io.Writer, source string, plots ...plot) error {
	out := new(strings.Builder)
	fmt.Fprintf(out, "%s, %d × %s, Linux %s, %s. Raw data: `bench/results/%s`.\n"+
		"Each figure is the median of those of up to %d runs, their number in \"runs\", in which others used at most %.0f %% of the machine;\n"+
		"where there was none, it is the run in which they used the least.\n",
		r.Started.Format("2 January 2006"), r.CPUs, r.CPUModel, r.Kernel, r.Go, filepath.Base(source), r.repeats(), 100*quietShare)
	fmt.Fprintf(out, "Versions: %s.\n", strings.Join(r.Versions, ", "))
	measured := r.peers()
	missing := slices.DeleteFunc(slices.Clone(r.Missing), func(name string) bool { return slices.Contains(measured, name) })
	if len(missing) > 0 {
		fmt.Fprintf(out, "Not installed: %s.\n", strings.Join(missing, ", "))
	}
	r.reach(out)
	r.guarantees(out)
	out.WriteString("\n### In detail\n")
	r.tables(out)
	r.leftOut(out)
	if len(plots) > 0 {
		out.WriteString("\n### Plots\n")
	}
	for _, p := range plots {
		fmt.Fprintf(out, "\n![%s](%s)\n", p.title, p.file)
	}
	_, err := io.WriteString(w, out.String())
	return err
}

func (r *Report) tables(out *strings.Builder) {
	groups, order := r.groups()
	order = slices.DeleteFunc(order, func(k groupKey) bool { return layouts[k.mode].title == nil })
	for i, k := range order {
		l := layouts[k.mode]
		if i == 0 || order[i-1].table() != k.table() {
			fmt.Fprintf(out, "\n**%s**\n\n| server |", l.title(k))
			for _, c := range l.columns {
				fmt.Fprintf(out, " %s |", c.head)
			}
			fmt.Fprintf(out, " runs | to Advect |\n|---|%s\n", strings.Repeat("---:|", len(l.columns)+2))
		}
		g := groups[k].quiet()
		fmt.Fprintf(out, "| %s |", k.peer)
		for _, c := range l.columns {
			v, text := g.of(c.figure), ""
			if v != 0 || c.zero {
				text = fmt.Sprintf(c.format, v)
			}
			fmt.Fprintf(out, " %s |", text)
		}
		ours := k
		ours.peer = "advect"
		ratio := ""
		if a := groups[ours]; a != nil && k.peer != "advect" {
			ratio = fmt.Sprintf("%.2f", g.of(l.compare)/a.quiet().of(l.compare))
		}
		fmt.Fprintf(out, " %d | %s |\n", len(g), ratio)
	}
}

// guarantees prints what each server that took part promises.
func (r *Report) guarantees(out *strings.Builder) {
	out.WriteString("\n### What they promise\n\nAs measured: defaults, and the settings that bench/README.md lists.\n\n" +
		"| server | order | recovery | deltas | too slow a reader | permissions | last values |\n|---|---|---|---|---|---|---|\n")
	for _, name := range r.peers() {
		if g := guaranteesOf(name); g != (peers.Guarantees{}) {
			fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s |\n", name, g.Order, g.Recovery, g.Deltas, g.BackPressure, g.Permissions, g.Values)
		}
	}
}

func guaranteesOf(peer string) peers.Guarantees {
	for _, a := range peers.All() {
		if a.Name() == peer {
			return a.Guarantees()
		}
	}
	return peers.Guarantees{}
}

// peers returns the names of those that were measured, in the order of peers.All.
func (r *Report) peers() []string {
	var names []string
	for _, a := range peers.All() {
		if slices.ContainsFunc(r.Rows, func(row Row) bool { return row.Peer == a.Name() }) {
			names = append(names, a.Name())
		}
	}
	return names
}

// leftOut prints which measurements are not there, and why.
func (r *Report) leftOut(out *strings.Builder) {
	var lines []string
	for i, l := range r.LeftOut { // a line for all that have the same reason
		same := func(o LeftOut) bool { return o.Scenario == l.Scenario && o.Reason == l.Reason }
		if slices.ContainsFunc(r.LeftOut[:i], same) {
			continue
		}
		var names []string
		for _, o := range r.LeftOut {
			if same(o) {
				names = append(names, o.Peer)
			}
		}
		lines = append(lines, fmt.Sprintf("- %s, %s: %s.", l.Scenario, strings.Join(names, ", "), l.Reason))
	}
	type failure struct {
		groupKey
		text string
	}
	var failed []failure
	times := make(map[failure]int)
	for _, row := range r.Rows {
		if row.Error == "" {
			continue
		}
		f := failure{row.key(), row.Error}
		if times[f]++; times[f] == 1 {
			failed = append(failed, f)
		}
	}
	slices.SortStableFunc(failed, func(a, b failure) int { return cmp.Compare(a.scenario, b.scenario) })
	for _, f := range failed {
		text, _, _ := strings.Cut(f.text, "; the server's log ends:")
		lines = append(lines, fmt.Sprintf("- %s, %s: failed in %d of %d runs, twice each: %s.", f.scenario, f.peer, times[f], r.repeats(), text))
	}
	if len(lines) > 0 {
		fmt.Fprintf(out, "\n**Not measured**\n\n%s\n", strings.Join(lines, "\n"))
	}
}

// table is the key of the table that a group's line belongs to.
func (k groupKey) table() groupKey {
	k.peer = ""
	return k
}
