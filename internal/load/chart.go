package load

import (
	"fmt"
	"html/template"
	"math"
	"strings"
)

// A chart is a plot of lines.
type chart struct {
	title        string
	x, y         axis
	lines        []line
	marks        []mark // vertical lines
	yAtLeastZero bool   // the axis begins with 0
}

// An axis has a way to write its numbers.
type axis struct {
	name  string
	log   bool
	text  func(float64) string
	ticks []tick // nil: round numbers
	low   float64
	high  float64
}

type tick struct {
	at   float64
	text string
}

// A line is a series; style is the class s1, s2 or s3 of the page.
type line struct {
	name, style string
	points      [][2]float64
}

// A mark is something that began at some x.
type mark struct {
	at   float64
	text string
}

// Sizes of a plot, in units of its view box.
const (
	plotWidth, plotHeight                  = 420, 230
	plotLeft, plotRight, plotTop, plotFoot = 54, 12, 30, 36
)

// svg draws the chart, or nothing if there is nothing to draw.
func (c *chart) svg() template.HTML {
	if !c.fit() {
		return ""
	}
	var b strings.Builder
	esc := template.HTMLEscapeString
	fmt.Fprintf(&b, `<figure><figcaption>%s`, esc(c.title))
	for _, l := range c.lines {
		if len(c.lines) > 1 {
			fmt.Fprintf(&b, ` <span class="key %s">%s</span>`, l.style, esc(l.name))
		}
	}
	fmt.Fprintf(&b, `</figcaption><svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, plotWidth, plotHeight, esc(c.title))
	bottom, right := plotHeight-plotFoot, plotWidth-plotRight
	for _, t := range c.y.marks(5) {
		y := c.yAt(t.at)
		fmt.Fprintf(&b, `<path class="grid" d="M%d %.1fH%d"/><text x="%d" y="%.1f" text-anchor="end">%s</text>`, plotLeft, y, right, plotLeft-6, y+4, esc(t.text))
	}
	for _, t := range c.x.marks(6) {
		x := c.xAt(t.at)
		fmt.Fprintf(&b, `<path class="grid" d="M%.1f %dV%d"/><text x="%.1f" y="%d" text-anchor="middle">%s</text>`, x, plotTop, bottom, x, bottom+16, esc(t.text))
	}
	fmt.Fprintf(&b, `<text class="name" x="%d" y="%d" text-anchor="end">%s</text><text class="name" x="%d" y="%d">%s</text>`,
		right, plotHeight-6, esc(c.x.name), 4, 12, esc(c.y.name))
	c.drawMarks(&b, bottom)
	for _, l := range c.lines {
		fmt.Fprintf(&b, `<path class="line %s" d="%s"/>`, l.style, c.path(l.points))
		for _, p := range l.points {
			fmt.Fprintf(&b, `<circle class="%s" cx="%.1f" cy="%.1f" r="%s"><title>%s %s: %s</title></circle>`,
				l.style, c.xAt(p[0]), c.yAt(p[1]), c.radius(l.points), esc(l.name), esc(c.x.text(p[0])), esc(c.y.text(p[1])))
		}
	}
	b.WriteString(`</svg></figure>`)
	return template.HTML(b.String()) // every text is escaped above, the rest are numbers
}

// drawMarks draws marks; texts that would overlap are left out.
func (c *chart) drawMarks(b *strings.Builder, bottom int) {
	free := 0.0
	for _, m := range c.marks {
		if m.at < c.x.low {
			continue
		}
		x := c.xAt(m.at)
		fmt.Fprintf(b, `<path class="mark" d="M%.1f %dV%d"/>`, x, plotTop, bottom)
		if x >= free {
			fmt.Fprintf(b, `<text class="mark" x="%.1f" y="%d">%s</text>`, x+3, plotTop-4, template.HTMLEscapeString(m.text))
			free = x + 6*float64(len(m.text)) + 6
		}
	}
}

// radius is that of points: few are shown, many only found by the pointer.
func (c *chart) radius(points [][2]float64) string {
	if len(points) <= 30 {
		return "2.5"
	}
	return "1.2"
}

func (c *chart) path(points [][2]float64) string {
	var b strings.Builder
	for i, p := range points {
		command := "L"
		if i == 0 {
			command = "M"
		}
		fmt.Fprintf(&b, "%s%.1f %.1f", command, c.xAt(p[0]), c.yAt(p[1]))
	}
	return b.String()
}

// fit sets the ends of the axes, and reports whether there is anything to see.
func (c *chart) fit() bool {
	c.x.low, c.y.low = math.Inf(1), math.Inf(1)
	c.x.high, c.y.high = math.Inf(-1), math.Inf(-1)
	for i := range c.lines {
		kept := c.lines[i].points[:0:0]
		for _, p := range c.lines[i].points {
			if c.x.log && p[0] <= 0 || c.y.log && p[1] <= 0 {
				continue
			}
			kept = append(kept, p)
			c.x.low, c.x.high = min(c.x.low, p[0]), max(c.x.high, p[0])
			c.y.low, c.y.high = min(c.y.low, p[1]), max(c.y.high, p[1])
		}
		c.lines[i].points = kept
	}
	if c.yAtLeastZero {
		c.y.low = min(c.y.low, 0)
	}
	if math.IsInf(c.x.low, 0) || c.x.low == c.x.high {
		return false
	}
	c.y.widen()
	return true
}

// widen makes an axis end at round numbers.
func (a *axis) widen() {
	if a.log {
		a.low, a.high = roundLog(a.low, math.Floor), roundLog(a.high*1.0001, math.Ceil)
		return
	}
	if a.high == a.low {
		a.high = a.low + 1
	}
	step := niceStep((a.high - a.low) / 5)
	a.low, a.high = math.Floor(a.low/step)*step, math.Ceil(a.high/step)*step
}

// roundLog rounds to 1, 2 or 5 times a power of ten.
func roundLog(x float64, direction func(float64) float64) float64 {
	decade := math.Pow(10, math.Floor(math.Log10(x)))
	steps := []float64{1, 2, 5, 10}
	part := x / decade
	best := steps[0]
	for i, s := range steps {
		if direction(0.5) == 0 && s <= part*1.0001 { // down
			best = s
		}
		if direction(0.5) == 1 && s >= part*0.9999 && (i == 0 || steps[i-1] < part*0.9999) { // up
			best = s
		}
	}
	return best * decade
}

// niceStep is the smallest 1, 2 or 5 times a power of ten that is not below x.
func niceStep(x float64) float64 { return roundLog(x, math.Ceil) }

// marks returns about so many ticks.
func (a *axis) marks(most int) []tick {
	var list []tick
	switch {
	case a.ticks != nil:
		for _, t := range a.ticks {
			if t.at >= a.low-1e-9 && t.at <= a.high+1e-9 {
				list = append(list, t)
			}
		}
	case a.log:
		factors := []float64{1, 2, 5}
		if math.Log10(a.high/a.low)*3 > float64(most)+2 {
			factors = factors[:1]
		}
		for decade := math.Pow(10, math.Floor(math.Log10(a.low))); decade <= a.high*1.001; decade *= 10 {
			for _, f := range factors {
				if x := f * decade; x >= a.low*0.999 && x <= a.high*1.001 {
					list = append(list, tick{x, a.text(x)})
				}
			}
		}
	default:
		step := niceStep((a.high - a.low) / float64(most))
		for i := math.Ceil(a.low / step); i*step <= a.high*1.0001; i++ {
			list = append(list, tick{i * step, a.text(i * step)})
		}
	}
	return list
}

// part is where x is between the ends, from 0 to 1.
func (a *axis) part(x float64) float64 {
	if a.log {
		return math.Log(x/a.low) / math.Log(a.high/a.low)
	}
	return (x - a.low) / (a.high - a.low)
}

func (c *chart) xAt(x float64) float64 {
	return plotLeft + c.x.part(x)*(plotWidth-plotLeft-plotRight)
}

func (c *chart) yAt(y float64) float64 {
	return plotHeight - plotFoot - c.y.part(y)*(plotHeight-plotTop-plotFoot)
}
