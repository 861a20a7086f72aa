package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// A plot is an SVG file that needs nothing but itself. It follows the reader's
// choice of light or dark.
type plot struct{ title, file, svg string }

// A series is one peer's line, or bar if it has one point.
type series struct {
	peer   string
	points []point
	note   string // instead of a bar
}

type point struct{ x, y float64 }

// plots are those of the document.
func (r *Report) plots() []plot {
	cpuOver := func(mode string) []series {
		keys := r.tableKeys("fanout", mode)
		if mode == "rate" {
			keys = append(keys, r.tableKeys("growth", mode)...)
		}
		slices.SortFunc(keys, func(a, b groupKey) int { return cmp.Compare(a.sessions, b.sessions) })
		return r.lines(keys, serverCPU.figure)
	}
	bars := func(scenario, mode string, figure func(Row) float64) []series {
		keys := r.tableKeys(scenario, mode)
		if len(keys) == 0 {
			return nil
		}
		s := r.lines(keys[:1], figure)
		slices.SortStableFunc(s, func(a, b series) int { return cmp.Compare(a.points[0].y, b.points[0].y) })
		return s
	}
	latencies := bars("latency", "latency", p99.figure)
	for i := range latencies {
		k := r.tableKeys("latency", "latency")[0]
		k.peer = latencies[i].peer
		groups, _ := r.groups()
		if groups[k].quiet().of(func(row Row) float64 { return number(row.Unreached) }) > 0 {
			latencies[i].note = "falls behind"
		}
	}
	slices.SortStableFunc(latencies, func(a, b series) int { return cmp.Compare(len(a.note), len(b.note)) })
	idleTitle := "Memory of an idle session, KiB"
	if keys := r.tableKeys("idle", "idle"); len(keys) > 0 {
		idleTitle = fmt.Sprintf("Memory of an idle session, KiB, of %s", count(keys[0].sessions))
	}
	var plots []plot
	add := func(title, file string, s []series, draw func(string, []series) string) {
		if len(s) > 0 {
			plots = append(plots, plot{title, file, draw(title, s)})
		}
	}
	add("Server µs per delivery, fixed rate", "cpu-fixed-rate.svg", cpuOver("rate"), drawLines(false))
	add("Server µs per delivery, full rate (logarithmic)", "cpu-full-rate.svg", cpuOver("max"), drawLines(true))
	add("p99 latency at half of the best peer's full rate, ms", "latency.svg", latencies, drawBars)
	add(idleTitle, "memory.svg", bars("idle", "idle", func(row Row) float64 { return row.SessionKiB }), drawBars)
	add("Bytes per delivery, 4 KiB of which one field changes", "bytes.svg", bars("large", "rate", bytesEach.figure), drawBars)
	return plots
}

// lines returns a series for each peer, with a point for each of the keys.
func (r *Report) lines(keys []groupKey, figure func(Row) float64) []series {
	byPeer := make(map[string][]point)
	for _, k := range keys {
		for peer, y := range of(k, figure)(r) {
			byPeer[peer] = append(byPeer[peer], point{float64(k.sessions), y})
		}
	}
	var all []series
	for _, peer := range r.peers() {
		if points := byPeer[peer]; points != nil {
			all = append(all, series{peer: peer, points: points})
		}
	}
	return all
}

// colors are those of the peers, on light and on dark paper.
var colors = []struct{ peer, light, dark string }{
	{"advect", "#0969da", "#58a6ff"},
	{"advect-values", "#54aeff", "#1f6feb"},
	{"floor", "#818b98", "#8b949e"},
	{"nats", "#1a7f37", "#3fb950"},
	{"mosquitto", "#9a6700", "#d29922"},
	{"mochi", "#bc4c00", "#f0883e"},
	{"centrifuge", "#8250df", "#bc8cff"},
	{"centrifugo", "#bf3989", "#f778ba"},
	{"socket.io", "#cf222e", "#ff7b72"},
}

// class is the style of a peer: a variant looks as its base does.
func class(peer string) string {
	return "p-" + strings.ReplaceAll(strings.TrimSuffix(peer, deltaSuffix), ".", "")
}

// Sizes in pixels.
const (
	plotWidth  = 760
	plotTop    = 56 // above the drawing: the title
	plotLeft   = 52
	plotRight  = 150 // labels of lines
	plotHeight = 320
	plotFoot   = 54
	barStep    = 30
	barLeft    = 130
)

// svgHead begins a drawing of the given height with its styles and title.
func svgHead(b *strings.Builder, title string, height int) {
	fmt.Fprintf(b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="%s">`+"\n<style>\n",
		plotWidth, height, plotWidth, height, escape(title))
	b.WriteString("text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif}.title{font-size:15px;font-weight:600}.ours{font-weight:700}\n" +
		".line{fill:none;stroke-width:1.75;stroke-linejoin:round}.line.ours{stroke-width:3.25}.thin{stroke-dasharray:5 4}\n")
	theme := func(paper, ink, soft, grid string, color func(i int) string) {
		fmt.Fprintf(b, ".paper{fill:%s}.ink{fill:%s}.soft{fill:%s}.grid{stroke:%s}\n", paper, ink, soft, grid)
		for i, c := range colors {
			fmt.Fprintf(b, ".%s{fill:%s}.line.%[1]s{fill:none;stroke:%s}", class(c.peer), color(i), color(i))
		}
	}
	theme("#ffffff", "#1f2328", "#59636e", "#dfe4ea", func(i int) string { return colors[i].light })
	b.WriteString("\n@media (prefers-color-scheme:dark){\n")
	theme("#0d1117", "#e6edf3", "#9198a1", "#2a313c", func(i int) string { return colors[i].dark })
	fmt.Fprintf(b, "\n}\n</style>\n<rect class=\"paper\" width=\"%d\" height=\"%d\" rx=\"8\"/>\n", plotWidth, height)
	fmt.Fprintf(b, `<text class="title ink" x="20" y="30">%s</text>`+"\n", escape(title))
}

func escape(s string) string {
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// drawLines draws lines over the number of subscribers, on a logarithmic scale
// that begins a little before the first.
func drawLines(logarithmic bool) func(string, []series) string {
	return func(title string, all []series) string {
		var xs []float64
		lowest, highest := math.Inf(1), 0.0
		for _, s := range all {
			for _, p := range s.points {
				lowest, highest = min(lowest, p.y), max(highest, p.y)
				if !slices.Contains(xs, p.x) {
					xs = append(xs, p.x)
				}
			}
		}
		slices.Sort(xs)
		ticks := linearTicks(highest)
		if logarithmic {
			ticks = logTicks(lowest, highest)
		}
		bottom, top := ticks[0], ticks[len(ticks)-1]
		height := plotTop + plotHeight + plotFoot
		x := func(v float64) float64 {
			span := math.Log(xs[len(xs)-1]) - math.Log(xs[0])
			if span == 0 {
				span = 1
			}
			return plotLeft + 16 + (math.Log(v)-math.Log(xs[0]))/span*(plotWidth-plotLeft-plotRight-32)
		}
		y := func(v float64) float64 {
			share := (v - bottom) / (top - bottom)
			if logarithmic {
				share = math.Log(v/bottom) / math.Log(top/bottom)
			}
			return plotTop + plotHeight*(1-share)
		}
		b := new(strings.Builder)
		svgHead(b, title, height)
		for _, t := range ticks {
			fmt.Fprintf(b, `<line class="grid" x1="%d" x2="%d" y1="%.1f" y2="%.1f"/>`, plotLeft, plotWidth-plotRight, y(t), y(t))
			fmt.Fprintf(b, `<text class="soft" x="%d" y="%.1f" text-anchor="end">%s</text>`+"\n", plotLeft-8, y(t)+4.5, tick(t))
		}
		for _, v := range xs {
			fmt.Fprintf(b, `<text class="soft" x="%.1f" y="%d" text-anchor="middle">%s</text>`+"\n", x(v), plotTop+plotHeight+20, count(int(v)))
		}
		fmt.Fprintf(b, `<text class="soft" x="%d" y="%d" text-anchor="middle">subscribers</text>`+"\n",
			plotLeft+(plotWidth-plotLeft-plotRight)/2, plotTop+plotHeight+42)
		type label struct {
			series
			at float64
		}
		var labels []label
		ordered := slices.Clone(all) // ours last, on top
		slices.SortStableFunc(ordered, func(a, b series) int { return cmp.Compare(number(a.peer == ours), number(b.peer == ours)) })
		for _, s := range ordered {
			var points []string
			for _, p := range s.points {
				points = append(points, fmt.Sprintf("%.1f,%.1f", x(p.x), y(p.y)))
			}
			fmt.Fprintf(b, `<polyline class="line %s" points="%s"/>`+"\n", style(s.peer), strings.Join(points, " "))
			for _, p := range s.points {
				fmt.Fprintf(b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%s"/>`, class(s.peer), x(p.x), y(p.y), map[bool]string{true: "4.5", false: "3"}[s.peer == ours])
			}
			b.WriteByte('\n')
			labels = append(labels, label{s, y(s.points[len(s.points)-1].y)})
		}
		slices.SortStableFunc(labels, func(a, b label) int { return cmp.Compare(a.at, b.at) })
		at := make([]float64, len(labels))
		for i, l := range labels {
			at[i] = l.at
		}
		for i, to := range spread(at, 17, plotTop, plotTop+plotHeight) {
			l := labels[i]
			last := l.points[len(l.points)-1]
			fmt.Fprintf(b, `<line class="grid" x1="%.1f" y1="%.1f" x2="%d" y2="%.1f"/>`, x(last.x)+6, y(last.y), plotWidth-plotRight+14, to)
			fmt.Fprintf(b, `<text class="%s" x="%d" y="%.1f">%s %s</text>`+"\n", style(l.peer), plotWidth-plotRight+18, to+4.5, escape(l.peer), reading(last.y))
		}
		b.WriteString("</svg>\n")
		return b.String()
	}
}

// style is the class of a peer with what sets it apart: ours is emphasised, and
// what is no server, or a variant of one, recedes.
func style(peer string) string {
	switch {
	case peer == ours:
		return class(peer) + " ours"
	case !isProduct(peer), sendsDeltas(peer):
		return class(peer) + " thin"
	}
	return class(peer)
}

// drawBars draws a bar for each series.
func drawBars(title string, all []series) string {
	b := new(strings.Builder)
	height := plotTop + barStep*len(all) + 18
	svgHead(b, title, height)
	largest := 0.0
	for _, s := range all {
		if s.note == "" {
			largest = max(largest, s.points[0].y)
		}
	}
	for i, s := range all {
		top := plotTop + barStep*i
		weight := ""
		if s.peer == ours {
			weight = " ours"
		}
		fmt.Fprintf(b, `<text class="ink%s" x="%d" y="%d" text-anchor="end">%s</text>`, weight, barLeft-10, top+16, escape(s.peer))
		if s.note != "" {
			fmt.Fprintf(b, `<text class="soft" x="%d" y="%d">%s</text>`+"\n", barLeft, top+16, escape(s.note))
			continue
		}
		width := max(1.5, s.points[0].y/largest*(plotWidth-barLeft-90))
		fmt.Fprintf(b, `<rect class="%s" x="%d" y="%d" width="%.1f" height="%d" rx="3"/>`, class(s.peer), barLeft, top+1, width, barStep-9)
		fmt.Fprintf(b, `<text class="ink%s" x="%.1f" y="%d">%s</text>`+"\n", weight, barLeft+width+8, top+16, reading(s.points[0].y))
	}
	b.WriteString("</svg>\n")
	return b.String()
}

// spread moves labels, in ascending order, apart by at least step, and keeps them
// between low and high as far as that goes.
func spread(at []float64, step, low, high float64) []float64 {
	to := slices.Clone(at)
	for i := range to {
		if i > 0 {
			to[i] = max(to[i], to[i-1]+step)
		} else {
			to[i] = max(to[i], low)
		}
	}
	for i := len(to) - 1; i >= 0; i-- {
		limit := high
		if i < len(to)-1 {
			limit = to[i+1] - step
		}
		to[i] = min(to[i], limit)
	}
	return to
}

// linearTicks are about five round numbers from 0 to at least highest.
func linearTicks(highest float64) []float64 {
	raw := highest / 5
	unit := math.Pow(10, math.Floor(math.Log10(raw)))
	step := 10 * unit
	for _, m := range []float64{1, 2, 5} {
		if m*unit >= raw {
			step = m * unit
			break
		}
	}
	ticks := []float64{0}
	for i := 1; ticks[len(ticks)-1] < highest; i++ {
		ticks = append(ticks, float64(i)*step)
	}
	return ticks
}

// logTicks are 1, 2 and 5 times the powers of ten, around the range.
func logTicks(lowest, highest float64) []float64 {
	var ticks []float64
	for exp := int(math.Floor(math.Log10(lowest))) - 1; ; exp++ {
		for _, m := range []float64{1, 2, 5} {
			t := m * math.Pow10(exp)
			if t <= lowest {
				ticks = []float64{t}
			} else {
				ticks = append(ticks, t)
			}
			if t >= highest && len(ticks) > 1 {
				return ticks
			}
		}
	}
}

// tick prints a round number.
func tick(v float64) string {
	if v >= 1000 {
		return count(int(math.Round(v)))
	}
	return fmt.Sprintf("%.3g", v)
}

// reading prints a figure with two or three digits.
func reading(v float64) string {
	switch {
	case v >= 100:
		return count(int(math.Round(v)))
	case v >= 1:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}
