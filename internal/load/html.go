package load

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"math"
	"strconv"
	"strings"
)

//go:embed report.gohtml
var page string

var pageTemplate = template.Must(template.New("report").Parse(page))

// WriteHTML writes a report as a page that needs nothing else.
func (r *Report) WriteHTML(w io.Writer) error {
	view := pageView{Report: r, OK: r.OK()}
	for i := range r.Results {
		view.Sections = append(view.Sections, r.Results[i].view())
	}
	return pageTemplate.Execute(w, view)
}

type pageView struct {
	*Report
	OK       bool
	Sections []sectionView
}

type sectionView struct {
	Kind, Text string
	Tiles      []tile
	Charts     []template.HTML
	Table      string // as on a terminal
	Problems   []string
}

// A tile is a figure that stands out.
type tile struct{ Name, Value, Note string }

func (r *Result) view() sectionView {
	what := r.Scenario.String()
	kind, text, _ := strings.Cut(what, ": ")
	var table strings.Builder
	r.text(&table)
	_, rest, _ := strings.Cut(table.String(), "\n")
	v := sectionView{Kind: kind, Text: text, Tiles: r.tiles(), Table: rest, Problems: r.Problems}
	for _, c := range r.charts() {
		if svg := c.svg(); svg != "" {
			v.Charts = append(v.Charts, svg)
		}
	}
	return v
}

func (r *Result) tiles() (list []tile) {
	add := func(name, value, note string) { list = append(list, tile{name, value, note}) }
	s := &r.Sessions
	if r.Scenario.Kind == Connect {
		add("opened", per(s.PerSecond)+"/s", count(s.Opened)+" of "+count(int64(s.Wanted)))
		add("connect p99", latency(s.Connect.P99), "p50 "+latency(s.Connect.P50))
		add("first value p99", latency(s.FirstValue.P99), "p50 "+latency(s.FirstValue.P50))
	}
	for i := range r.Storms {
		m := &r.Storms[i]
		add("all back after", latency(m.Seconds*1000), count(m.Reconnected)+" of "+count(int64(m.Cut)))
		add("without loss", count(m.WithoutLoss), count(m.WithLoss)+" with loss")
	}
	if t := r.Traffic; t != nil {
		if r.Scenario.Kind == Deltas {
			add("bytes a delivery", per(t.BytesPerDelivery), fmt.Sprintf("%.3g × the value", t.BytesPerDelivery/float64(r.Scenario.Size)))
		}
		add("delivered", per(t.DeliveredPerSec)+"/s", count(t.Delivered)+" in all")
		note := "p50 " + latency(t.Latency.P50)
		if t.Rate == 0 {
			note += ", at full load"
		}
		add("latency p99", latency(t.Latency.P99), note)
		add("lost", count(t.Lost), fmt.Sprintf("twice %s, out of order %s", count(t.Duplicated), count(t.OutOfOrder)))
		if t.serverShown() {
			add("server", fmt.Sprintf("%.3g µs", t.ServerCPU), "of processor time a delivery")
		}
	}
	if n := len(r.Steps); n > 0 {
		best := &r.Steps[0]
		for i := range r.Steps {
			if r.Steps[i].KeptUp {
				best = &r.Steps[i]
			}
		}
		note := "the highest rate that was tried"
		if !r.Steps[n-1].KeptUp {
			note = "more was too much"
		}
		add("kept up with", per(best.Rate)+"/s", note)
		add("there", latency(best.Latency.P99), "p99, p50 "+latency(best.Latency.P50))
		add("delivered", per(best.DeliveredPerSec)+"/s", "to all sessions")
	}
	if m := r.Server; m != nil && r.Scenario.Kind == Connect && m.MemoryPerSession > 0 {
		add("server memory", memory(m.MemoryPerSession), "a session")
	}
	return list
}

func (r *Result) charts() []*chart {
	var list []*chart
	switch {
	case len(r.Steps) > 0:
		list = append(list, r.stepChart())
	case r.Traffic != nil:
		list = append(list, percentileChart("Latency by percentile", line{"latency", "s1", r.Traffic.Latency.curve()}))
	default:
		list = append(list, percentileChart("Opening by percentile",
			line{"connect", "s1", r.Sessions.Connect.curve()}, line{"first value", "s2", r.Sessions.FirstValue.curve()}))
	}
	for i := range r.Storms {
		list = append(list, r.Storms[i].chart())
	}
	return append(list, r.overTime()...)
}

// curve is by how many nines a percentile has: 1 for 90, 2 for 99.
func (d *Durations) curve() (points [][2]float64) {
	for _, p := range d.Curve {
		nines := math.Log10(float64(max(10, d.Count)))
		if p[0] < 100 {
			nines = -math.Log10(1 - p[0]/100)
		}
		points = append(points, [2]float64{nines, p[1]})
	}
	return points
}

func percentileChart(title string, lines ...line) *chart {
	c := &chart{title: title, lines: lines, y: axis{log: true, text: axisTime}}
	c.x = axis{name: "percentile", text: func(nines float64) string {
		return "p" + strconv.FormatFloat(100*(1-math.Pow(10, -nines)), 'g', 6, 64)
	}}
	for _, p := range []struct {
		nines float64
		text  string
	}{{0, "0"}, {-math.Log10(0.5), "50"}, {1, "90"}, {2, "99"}, {3, "99.9"}, {4, "99.99"}, {5, "99.999"}, {6, "99.9999"}} {
		c.x.ticks = append(c.x.ticks, tick{p.nines, p.text})
	}
	return c
}

func (r *Result) stepChart() *chart {
	c := &chart{
		title: "Latency by rate",
		x:     axis{name: "deliveries a second", log: true, text: short},
		y:     axis{log: true, text: axisTime},
		lines: []line{{"p50", "s1", nil}, {"p99", "s2", nil}, {"max", "s3", nil}},
	}
	for i := range r.Steps {
		t := &r.Steps[i]
		for j, y := range []float64{t.Latency.P50, t.Latency.P99, t.Latency.Max} {
			c.lines[j].points = append(c.lines[j].points, [2]float64{t.DeliveredPerSec, y})
		}
	}
	return c
}

func (s *StormFigures) chart() *chart {
	c := &chart{
		title: "Sessions after the storm", yAtLeastZero: true,
		x:     axis{name: "since the connections were cut", text: func(s float64) string { return axisTime(s * 1000) }},
		y:     axis{text: short},
		lines: []line{{"reconnected", "s1", nil}, {"current", "s2", nil}},
	}
	for _, p := range s.Returned {
		c.lines[0].points = append(c.lines[0].points, [2]float64{p.Seconds, float64(p.Sessions)})
		c.lines[1].points = append(c.lines[1].points, [2]float64{p.Seconds, float64(p.Current)})
	}
	return c
}

// overTime are the charts of samples.
func (r *Result) overTime() []*chart {
	seconds := axis{name: "time", text: func(s float64) string { return strconv.FormatFloat(round(s), 'g', -1, 64) + " s" }}
	delivered := &chart{title: "Deliveries a second", x: seconds, y: axis{text: short}, yAtLeastZero: true, lines: []line{{"deliveries/s", "s1", nil}}}
	times := &chart{title: "Latency over time", x: seconds, y: axis{log: true, text: axisTime}, lines: []line{{"p50", "s1", nil}, {"p99", "s2", nil}, {"max", "s3", nil}}}
	sessions := &chart{title: "Sessions", x: seconds, y: axis{text: short}, yAtLeastZero: true, lines: []line{{"sessions", "s1", nil}}}
	phase := ""
	for _, s := range r.Samples {
		if s.Phase != phase {
			phase = s.Phase
			begin := mark{s.Seconds, phase}
			delivered.marks, times.marks, sessions.marks = append(delivered.marks, begin), append(times.marks, begin), append(sessions.marks, begin)
		}
		add := func(c *chart, line int, y float64) {
			c.lines[line].points = append(c.lines[line].points, [2]float64{s.Seconds, y})
		}
		add(sessions, 0, float64(s.Sessions))
		if s.Phase == opening {
			continue
		}
		add(delivered, 0, s.DeliveredPerSec)
		for i, y := range []float64{s.P50, s.P99, s.Max} {
			add(times, i, y)
		}
	}
	if r.Traffic == nil && len(r.Steps) == 0 {
		return []*chart{sessions}
	}
	return []*chart{delivered, times}
}

// short writes a number with k, M or G.
func short(x float64) string {
	for _, unit := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(x) >= unit.size {
			return strconv.FormatFloat(round(x/unit.size), 'g', 4, 64) + unit.name
		}
	}
	return strconv.FormatFloat(round(x), 'g', 4, 64)
}
