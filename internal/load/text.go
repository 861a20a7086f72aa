package load

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// count writes a number with commas.
func count(n int64) string {
	digits := strconv.FormatInt(n, 10)
	var b strings.Builder
	for i, c := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 && digits[i-1] != '-' {
			b.WriteByte(',')
		}
		b.WriteRune(c)
	}
	return b.String()
}

// per writes a rate: whole above 100.
func per(x float64) string {
	if x >= 100 {
		return count(int64(x + 0.5))
	}
	return strconv.FormatFloat(round(x), 'f', -1, 64)
}

// latency writes milliseconds with three digits, as µs or s where that reads better.
func latency(ms float64) string {
	digits := func(x float64, unit string) string {
		precision := 2
		if x >= 100 {
			precision = 0
		} else if x >= 10 {
			precision = 1
		}
		return strconv.FormatFloat(x, 'f', precision, 64) + " " + unit
	}
	switch {
	case ms >= 1000:
		return digits(ms/1000, "s")
	case ms >= 1 || ms == 0:
		return digits(ms, "ms")
	}
	return digits(ms*1000, "µs")
}

// axisTime is latency without needless digits.
func axisTime(ms float64) string {
	digits := func(x float64) string { return strconv.FormatFloat(round(x), 'g', 4, 64) }
	switch {
	case ms >= 1000:
		return digits(ms/1000) + " s"
	case ms >= 1 || ms == 0:
		return digits(ms) + " ms"
	}
	return digits(ms*1000) + " µs"
}

// memory writes bytes.
func memory(bytes float64) string {
	switch {
	case bytes >= 1<<30:
		return fmt.Sprintf("%.1f GiB", bytes/(1<<30))
	case bytes >= 1<<20:
		return fmt.Sprintf("%.1f MiB", bytes/(1<<20))
	}
	return fmt.Sprintf("%.1f KiB", bytes/(1<<10))
}

// String says in a line what a scenario does.
func (s *Scenario) String() string {
	sessions := count(int64(s.Sessions)) + " sessions"
	if s.Kind == Connect {
		rate := fmt.Sprintf("%d at a time", s.Parallel)
		if s.Rate > 0 {
			rate = per(s.Rate) + " a second"
		}
		return fmt.Sprintf("%s: %s, %s", s.Kind, sessions, rate)
	}
	topics := "1 topic"
	if s.Topics > 1 {
		topics = fmt.Sprintf("%d of %s topics each", s.PerSession, count(int64(s.Topics)))
	}
	rate := "as fast as possible"
	switch {
	case len(s.Rates) > 0:
		rate = "rising rates"
	case s.Rate > 0:
		rate = per(s.Rate) + " updates/s"
	}
	changing := ""
	if s.Changing > 0 {
		changing = fmt.Sprintf(" (%d of %d fields change)", s.Changing, (s.Size-dataOffset)/fieldSize)
	}
	return fmt.Sprintf("%s: %s, %s, values of %s B%s, %s", s.Kind, sessions, topics, count(int64(s.Size)), changing, rate)
}

// String is the line that shows how far a scenario is.
func (p Progress) String() string {
	line := fmt.Sprintf("%s, %s", p.Kind, p.Phase)
	if p.Of > 0 {
		line += fmt.Sprintf(" %d/%d s", int(min(p.Done, p.Of).Seconds()), int(p.Of.Round(time.Second).Seconds()))
	}
	line += fmt.Sprintf(": %s sessions", count(p.Sessions))
	if p.Sample.DeliveredPerSec > 0 {
		line += fmt.Sprintf(", %s deliveries/s, p50 %s, p99 %s", per(p.Sample.DeliveredPerSec), latency(p.Sample.P50), latency(p.Sample.P99))
	}
	return line
}

// WriteText writes a report for a terminal.
func (r *Report) WriteText(w io.Writer) error {
	var b strings.Builder
	for i := range r.Results {
		if i > 0 {
			b.WriteByte('\n')
		}
		r.Results[i].text(&b)
	}
	if r.Interrupted {
		b.WriteString("\nInterrupted: these are the results so far.\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func (r *Result) text(b *strings.Builder) {
	fmt.Fprintln(b, r.Scenario.String())
	lines := tabwriter.NewWriter(b, 0, 0, 2, ' ', 0)
	row := func(name, format string, args ...any) {
		fmt.Fprintf(lines, "  %s\t"+format+"\n", append([]any{name}, args...)...)
	}
	s := &r.Sessions
	row("sessions", "%s opened in %s: %s/s", count(s.Opened), latency(s.Seconds*1000), per(s.PerSecond))
	row("connect", "%s", s.Connect.text())
	row("first value", "%s", s.FirstValue.text())
	if t := r.Traffic; t != nil {
		row("published", "%s in %s: %s/s", count(t.Published), latency(t.Seconds*1000), per(t.PublishedPerSec))
		row("delivered", "%s of %s: %s/s", count(t.Delivered), count(t.Expected), per(t.DeliveredPerSec))
		row("", "lost %s, conflated %s, twice %s, out of order %s", count(t.Lost), count(t.Conflated), count(t.Duplicated), count(t.OutOfOrder))
		if t.Refreshed > 0 {
			row("", "left out by reconnections with loss %s", count(t.Refreshed))
		}
		name := "latency"
		if t.Rate == 0 {
			name = "latency (full)"
		}
		row(name, "%s", t.Latency.text())
		if t.Rate > 0 {
			row("", "updates were sent up to %s after their time", latency(t.PublishLagMax))
		}
		row("bytes", "%s a delivery, %.3g × the value", per(t.BytesPerDelivery), t.BytesPerDelivery/float64(r.Scenario.Size))
		if t.serverShown() {
			row("server", "%.3g µs a delivery, %.2f processors", t.ServerCPU, t.ServerProcessors)
		}
		row("this program", "%.2f processors", t.ToolProcessors)
	}
	if m := r.Server; m != nil {
		row("server opening", "%.4g µs a session", m.OpenCPU)
		each := ""
		if r.Scenario.Kind == Connect && m.MemoryPerSession > 0 {
			each = ": " + memory(m.MemoryPerSession) + " a session"
		}
		row("server memory", "%s, with the sessions %s, at the end %s%s", memory(m.MemoryBefore), memory(m.MemoryOpen), memory(m.MemoryAfter), each)
	}
	for i := range r.Storms {
		m := &r.Storms[i]
		row("storm", "%s cut in %s, %s reconnected: %s without loss, %s with loss", count(int64(m.Cut)), latency(m.CutSeconds*1000),
			count(m.Reconnected), count(m.WithoutLoss), count(m.WithLoss))
		row("  reconnected", "%s", m.ReconnectIn.text())
		row("  current", "%s", m.CurrentAfter.text())
	}
	_ = lines.Flush() // a Builder takes everything
	r.stepText(b)
	for _, p := range r.Problems {
		fmt.Fprintln(b, "  PROBLEM:", p)
	}
}

func (t *TrafficFigures) serverShown() bool { return t.ServerProcessors > 0 }

func (r *Result) stepText(b *strings.Builder) {
	if len(r.Steps) == 0 {
		return
	}
	var aligned strings.Builder
	table := tabwriter.NewWriter(&aligned, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(table, "  updates/s\tdelivered/s\tp50\tp90\tp99\tp99.9\tmax\tserver µs\tlost\tconflated\t\t")
	for i := range r.Steps {
		t := &r.Steps[i]
		note, server := "", "-"
		if !t.KeptUp {
			note = "too much"
		}
		if t.serverShown() {
			server = fmt.Sprintf("%.3g", t.ServerCPU)
		}
		l := &t.Latency
		fmt.Fprintf(table, "  %s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t\n", per(t.Rate), per(t.DeliveredPerSec),
			latency(l.P50), latency(l.P90), latency(l.P99), latency(l.P999), latency(l.Max), server, count(t.Lost), count(t.Conflated), note)
	}
	_ = table.Flush() // as above
	for row := range strings.Lines(aligned.String()) {
		fmt.Fprintln(b, strings.TrimRight(row, " \n"))
	}
}

func (d *Durations) text() string {
	if d.Count == 0 {
		return "-"
	}
	return fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", latency(d.P50), latency(d.P90), latency(d.P99), latency(d.P999), latency(d.Max))
}
