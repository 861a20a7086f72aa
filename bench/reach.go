package main

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
)

// A goal is a line of the table that says how far we reach.
type goal struct {
	work, target string
	format       string // of a figure
	more         bool   // more is better
	figures      func(*Report) figures
	judge        func(figures) []condition
	lossless     bool // nothing may be lost, besides
}

// figures are the medians of one goal's figure, by peer.
type figures map[string]float64

// A condition is a part of a goal. Reach is how far we got, 1 for all of it.
type condition struct {
	label string // shown when it is the one that is missed
	reach float64
}

// ours is the peer whose goals these are.
const ours = "advect"

// of returns the figures of one measurement.
func of(k groupKey, figure func(Row) float64) func(*Report) figures {
	return func(r *Report) figures {
		all := make(figures)
		groups, order := r.groups()
		for _, o := range order {
			if o.table() != k {
				continue
			}
			if v := groups[o].quiet().of(figure); v != 0 {
				all[o.peer] = v
			}
		}
		return all
	}
}

// growth returns the largest over the smallest of each peer's figures in several
// measurements. Those who were not in all of them are left out.
func growth(figure func(Row) float64, keys func(*Report) []groupKey) func(*Report) figures {
	return func(r *Report) figures {
		all := make(figures)
		values := make(map[string][]float64)
		list := keys(r)
		for _, k := range list {
			for peer, v := range of(k, figure)(r) {
				values[peer] = append(values[peer], v)
			}
		}
		for peer, v := range values {
			if len(v) == len(list) && len(v) > 1 {
				all[peer] = slices.Max(v) / slices.Min(v)
			}
		}
		return all
	}
}

// tables returns the keys of the measurements of a scenario and mode.
func (r *Report) tableKeys(scenario, mode string) []groupKey {
	var keys []groupKey
	for _, row := range r.Rows {
		if k := row.key().table(); k.scenario == scenario && k.mode == mode && !slices.Contains(keys, k) {
			keys = append(keys, k)
		}
	}
	return keys
}

// best returns the best of the products that pass keep.
func (f figures) best(more bool, keep func(peer string) bool) (peer string, value float64) {
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !isProduct(name) || !keep(name) {
			continue
		}
		if v := f[name]; peer == "" || (more && v > value) || (!more && v < value) {
			peer, value = name, v
		}
	}
	return peer, value
}

func anyPeer(string) bool        { return true }
func sendsDeltas(p string) bool  { return strings.HasSuffix(p, deltaSuffix) }
func sendsWhole(p string) bool   { return !sendsDeltas(p) }
func fullFeatured(p string) bool { return guaranteesOf(p).Full }

// deltaSuffix is how the variants of peers are called that send deltas.
const deltaSuffix = "-delta"

// atMost is met when our figure is no more than limit.
func (f figures) atMost(limit float64, label string) condition {
	return condition{label, limit / f[ours]}
}

func (f figures) atLeast(limit float64, label string) condition {
	return condition{label, f[ours] / limit}
}

// toBest is met when our figure is at most share of the best product's, or with
// more at least that.
func (f figures) toBest(share float64, more bool, keep func(string) bool) []condition {
	peer, v := f.best(more, keep)
	switch {
	case peer == "":
		return nil
	case more:
		return []condition{f.atLeast(share*v, peer)}
	}
	return []condition{f.atMost(share*v, peer)}
}

func (f figures) toFloor(share float64) []condition {
	if f["floor"] == 0 {
		return nil
	}
	return []condition{f.atMost(share*f["floor"], "floor")}
}

// nothingLost is met when in all our rows of a measurement every delivery
// came, once and in order, and nobody was closed who did nothing wrong.
func (r *Report) nothingLost(k groupKey) condition {
	c := condition{"deliveries lost", 1}
	for _, row := range r.Rows {
		if row.Peer == ours && row.key().table() == k && row.wrong()+row.Closed > 0 {
			c.reach = 0
		}
	}
	return c
}

// goals are the lines of the table, in the order of the list that they are from.
func (r *Report) goals() []goal {
	cpu := serverCPU.figure
	fixed := func(f figures) []condition { return append(f.toFloor(1.15), f.toBest(1, false, anyPeer)...) }
	var goals []goal
	traffic := func(what, scenario string) {
		keys := r.tableKeys(scenario, "rate")
		for _, k := range keys {
			goals = append(goals, goal{
				work: fmt.Sprintf("%s, %s, fixed rate: server µs per delivery", what, count(k.sessions)), target: "≤ 1.15 × floor, below every peer",
				format: "%.1f", figures: of(k, cpu), judge: func(f figures) []condition { return fixed(f) },
			})
		}
		for _, k := range r.tableKeys(scenario, "max") {
			goals = append(goals, goal{
				work: fmt.Sprintf("%s, %s, full rate: server µs per delivery", what, count(k.sessions)), target: "≤ 0.7 × best peer, in order, none lost",
				format: "%.2f", figures: of(k, cpu), judge: func(f figures) []condition {
					return append(f.toBest(0.7, false, anyPeer), r.nothingLost(k))
				},
			})
		}
	}
	one := func(g goal, scenario, mode string, title func(groupKey) string, figure func(Row) float64) {
		for _, k := range r.tableKeys(scenario, mode) {
			each := g
			each.work, each.figures = title(k), of(k, figure)
			if g.lossless {
				each.judge = func(f figures) []condition { return append(g.judge(f), r.nothingLost(k)) }
			}
			goals = append(goals, each)
		}
	}
	named := func(s string) func(groupKey) string { return func(groupKey) string { return s } }

	traffic("fan-out", "fanout")
	traffic("1,000 topics, 10 each", "topics")
	one(goal{
		target: "≤ 0.7 × best peer", format: "%.1f",
		judge: func(f figures) []condition { return f.toBest(0.7, false, anyPeer) },
	}, "latency", "latency", named("p99 latency at half of the best peer's full rate, ms"), func(r Row) float64 {
		if r.Unreached {
			return math.Inf(1)
		}
		return r.LatencyP99
	})
	one(goal{
		target: "≤ 1.1 × best with deltas, ≤ 0.03 × others", format: "%.0f",
		judge: func(f figures) []condition {
			return append(f.toBest(1.1, false, sendsDeltas), f.toBest(0.03, false, sendsWhole)...)
		},
	}, "large", "rate", named("4 KiB, one field changes: bytes per delivery"), bytesEach.figure)
	for _, mode := range []string{"rate", "max"} {
		one(goal{
			target: "below every peer", format: "%.1f",
			judge: func(f figures) []condition { return f.toBest(1, false, anyPeer) },
		}, "large", mode, named("4 KiB, one field changes, "+map[string]string{"rate": "fixed", "max": "full"}[mode]+" rate: server µs per delivery"), cpu)
	}
	one(goal{
		target: "≤ 6 KiB, ≤ 0.3 × best full-featured peer", format: "%.1f",
		judge: func(f figures) []condition {
			return append(f.toBest(0.3, false, fullFeatured), f.atMost(6, "6 KiB"))
		},
	}, "idle", "idle", func(k groupKey) string { return "idle session, " + count(k.sessions) + ": KiB" }, func(r Row) float64 { return r.SessionKiB })
	one(goal{
		target: "≤ 3 KiB", format: "%.1f",
		judge: func(f figures) []condition { return []condition{f.atMost(3, "3 KiB")} },
	}, "inprocess", "inprocess", func(k groupKey) string { return "idle session without its socket, " + count(k.sessions) + ": KiB" },
		func(r Row) float64 { return r.SessionKiB })
	one(goal{
		target: "above every peer", format: "%.0f", more: true,
		judge: func(f figures) []condition { return f.toBest(1, true, anyPeer) },
	}, "connect", "connect", named("sessions accepted and subscribed per CPU second"), func(r Row) float64 { return r.SessionsPerCPU })
	one(goal{
		target: "≥ 500,000", format: "%.0f", more: true,
		judge: func(f figures) []condition { return []condition{f.atLeast(500_000, "500,000")} },
	}, "publish", "publish", named("sets of a topic that nobody reads per CPU second"), func(r Row) float64 { return r.SetsPerCPU })
	most := 0
	for _, k := range r.tableKeys("subscribeall", "subscribeall") {
		most = max(most, k.topics)
	}
	for _, k := range r.tableKeys("subscribeall", "subscribeall") {
		if k.topics == most {
			goals = append(goals, goal{
				work: count(k.topics) + " topics of 100 B: bytes each beyond the value", target: "≤ 400 B", format: "%.0f",
				figures: of(k, func(r Row) float64 { return r.TopicBytes }),
				judge:   func(f figures) []condition { return []condition{f.atMost(400, "400 B")} },
			})
		}
	}
	one(goal{
		target: "≥ 300,000, none lost", format: "%.0f", more: true,
		judge: func(f figures) []condition { return []condition{f.atLeast(300_000, "300,000")} }, lossless: true,
	}, "subscribeall", "subscribeall", func(k groupKey) string { return "subscribe to all of " + count(k.topics) + ": topics per CPU second" },
		func(r Row) float64 { return r.TopicsPerCPU })
	flat := func(f figures) []condition { return []condition{f.atMost(1.2, "1.20")} }
	if sizes := append(r.tableKeys("fanout", "rate"), r.tableKeys("growth", "rate")...); len(sizes) > 1 {
		goals = append(goals, goal{
			work:   fmt.Sprintf("growth of the cost of a delivery, %s to %s subscribers", count(sizes[0].sessions), count(sizes[len(sizes)-1].sessions)),
			target: "≤ 1.20", format: "%.2f", judge: flat,
			figures: growth(cpu, func(*Report) []groupKey { return sizes }),
		})
	}
	if sizes := r.tableKeys("topicgrowth", "rate"); len(sizes) > 1 {
		goals = append(goals, goal{
			work:   fmt.Sprintf("growth of the cost of a delivery, %s to %s topics", count(sizes[0].topics), count(sizes[len(sizes)-1].topics)),
			target: "≤ 1.20", format: "%.2f", judge: flat,
			figures: growth(cpu, func(*Report) []groupKey { return sizes }),
		})
	}
	one(goal{
		target: "≤ 2, none lost or closed", format: "%.2f",
		judge: func(f figures) []condition { return []condition{f.atMost(2, "2")} }, lossless: true,
	}, "overload", "overload", named("p99 of the others while 10 % stall, to that before"), func(r Row) float64 { return r.LatencyP99 / r.P99Before })
	one(goal{
		target: "all back, nothing lost that was promised", format: "%.2f",
		judge: func(figures) []condition { return nil }, lossless: true,
	}, "storm", "storm", func(k groupKey) string {
		return count(k.sessions) + " sessions cut at once: seconds until all are back"
	},
		func(r Row) float64 { return r.Seconds })
	return goals
}

// reach prints the table of goals.
func (r *Report) reach(out *strings.Builder) {
	var columns []string // products, variants with their bases
	for _, name := range r.peers() {
		if isProduct(name) && !sendsDeltas(name) {
			columns = append(columns, name)
		}
	}
	fmt.Fprintf(out, "\n### Reach\n\n\"to floor\" and \"to best\" are our figure over theirs. Where the target is missed, the last column says how much of it is reached, "+
		"against what.\nDifferences below 20 %% are ties on a shared machine.\n\n| work | target | floor | advect |")
	for _, name := range columns {
		fmt.Fprintf(out, " %s |", name)
	}
	fmt.Fprintf(out, " to floor | to best | verdict |\n|---|---|%s---|\n", strings.Repeat("---:|", len(columns)+4))
	for _, g := range r.goals() {
		f := g.figures(r)
		fmt.Fprintf(out, "| %s | %s | %s | %s |", g.work, g.target, g.cell(f, "floor"), g.cell(f, ours))
		for _, name := range columns {
			cell := g.cell(f, name)
			if with := g.cell(f, name+deltaSuffix); with != "" {
				cell += ", with deltas " + with
			}
			fmt.Fprintf(out, " %s |", cell)
		}
		toFloor, toBest := "", ""
		if v := f["floor"]; v != 0 && f[ours] != 0 {
			toFloor = fmt.Sprintf("%.2f", f[ours]/v)
		}
		if peer, v := f.best(g.more, anyPeer); peer != "" && f[ours] != 0 {
			toBest = fmt.Sprintf("%.2f (%s)", f[ours]/v, peer)
		}
		fmt.Fprintf(out, " %s | %s | %s |\n", toFloor, toBest, g.verdict(f))
	}
}

// cell prints one figure, with separators from 10,000 on.
func (g goal) cell(f figures, peer string) string {
	v, ok := f[peer]
	switch {
	case !ok:
		return ""
	case math.IsInf(v, 1):
		return "falls behind"
	case v >= 10_000:
		return count(int(math.Round(v)))
	}
	return fmt.Sprintf(g.format, v)
}

// verdict says whether all conditions are met, or which is met least.
func (g goal) verdict(f figures) string {
	if f[ours] == 0 {
		return "not measured"
	}
	conditions := g.judge(f)
	if len(conditions) == 0 {
		return "no peer to compare with"
	}
	worst := slices.MinFunc(conditions, func(a, b condition) int { return cmp.Compare(a.reach, b.reach) })
	switch peer, _ := f.best(g.more, anyPeer); {
	case worst.reach >= 1 && peer == "" && strings.Contains(g.target, "peer"):
		return "reached, but no peer was measured"
	case worst.reach >= 1:
		return "reached"
	case worst.reach == 0:
		return "missed: " + worst.label
	}
	return fmt.Sprintf("%.2f of the target (%s)", math.Floor(worst.reach*100)/100, worst.label)
}

// count prints n with separators of thousands.
func count(n int) string {
	text := fmt.Sprint(n)
	for i := len(text) - 3; i > 0; i -= 3 {
		text = text[:i] + "," + text[i:]
	}
	return text
}
