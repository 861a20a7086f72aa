package main

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden is a report with something of everything, in round numbers.
func golden() *Report {
	r := &Report{
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), CPUs: 2, CPUModel: "a processor", Kernel: "6.1", Go: "go1.26",
		Versions: []string{"advect v1", "nats v2"}, Missing: []string{"centrifugo"},
	}
	add := func(rep int, scenario, mode string, sessions, topics int, set func(r *Row, v float64), byPeer map[string]float64) {
		for _, peer := range []string{"floor", "advect", "nats", "mosquitto", "centrifuge", "centrifuge-delta"} {
			if v, ok := byPeer[peer]; ok {
				row := Row{Peer: peer, Scenario: scenario, Mode: mode, Sessions: sessions, Topics: topics, Repeat: rep}
				set(&row, v)
				r.Rows = append(r.Rows, row)
			}
		}
	}
	type by = map[string]float64
	cpu := func(r *Row, v float64) { r.ServerCPU, r.PerSecond = v, 1000/v }
	for rep := 1; rep <= 2; rep++ { // medians are between the two
		d := float64(rep) - 1.5
		add(rep, "fanout", "rate", 100, 0, cpu, by{"floor": 10 + d, "advect": 11 + d, "nats": 14 + d, "mosquitto": 12 + d, "centrifuge": 15})
		add(rep, "fanout", "max", 100, 0, cpu, by{"floor": 9, "advect": 0.3, "nats": 0.4, "mosquitto": 8, "centrifuge": 1})
		add(rep, "fanout", "rate", 1000, 0, cpu, by{"floor": 10, "advect": 13 + d, "nats": 17, "mosquitto": 16, "centrifuge": 18})
		add(rep, "fanout", "max", 1000, 0, cpu, by{"floor": 10, "advect": 1, "nats": 2, "mosquitto": 9, "centrifuge": 3})
	}
	r.Rows = append(r.Rows, Row{Peer: "nats", Scenario: "fanout", Mode: "max", Sessions: 1000, Repeat: 3, ServerCPU: 99, Foreign: 0.5})
	r.Rows = append(r.Rows, Row{Peer: "nats", Scenario: "fanout", Mode: "failed", Sessions: 1000, Repeat: 3, Error: "refused; the server's log ends: secret"})
	add(1, "topics", "max", 1000, 0, func(r *Row, v float64) { cpu(r, v); r.Lost = 1 }, by{"advect": 1, "nats": 2})
	add(1, "growth", "rate", 18000, 0, cpu, by{"floor": 11, "advect": 14.3})
	add(1, "large", "rate", 100, 0, func(r *Row, v float64) { r.ServerCPU, r.BytesEach = 10, v },
		by{"floor": 4100, "advect": 130, "nats": 4116, "centrifuge": 4140, "centrifuge-delta": 132})
	add(1, "latency", "latency", 1000, 0, func(r *Row, v float64) {
		r.Wanted, r.WantedOf, r.LatencyP99, r.Unreached = 250, "nats", v, v > 100
	}, by{"floor": 200, "advect": 5, "nats": 10, "mosquitto": 900})
	add(1, "connect", "connect", 2000, 0, func(r *Row, v float64) { r.SessionCPU, r.SessionsPerCPU = 1e6/v, v }, by{"floor": 14000, "advect": 6000, "mosquitto": 8000})
	add(1, "idle", "idle", 10000, 0, func(r *Row, v float64) { r.SessionKiB, r.SessionCPU = v, 100 }, by{"floor": 10, "advect": 6.5, "mosquitto": 5, "centrifuge": 25})
	add(1, "publish", "publish", 0, 0, func(r *Row, v float64) { r.SetCPU, r.SetsPerCPU = 1e6/v, v }, by{"advect": 400_000, "nats": 2_000_000})
	add(1, "subscribeall", "subscribeall", 0, 100_000, func(r *Row, v float64) { r.TopicsPerCPU, r.TopicBytes = v, 500 }, by{"advect": 400_000, "mosquitto": 40_000})
	add(1, "subscribeall", "subscribeall", 0, 1_000_000, func(r *Row, v float64) { r.TopicsPerCPU, r.TopicBytes = v, 400 }, by{"advect": 350_000})
	add(1, "topicgrowth", "rate", 100, 10, cpu, by{"advect": 10})
	add(1, "topicgrowth", "rate", 100, 1_000_000, cpu, by{"advect": 12.5})
	add(1, "overload", "overload", 100, 0, func(r *Row, v float64) {
		r.P99Before, r.LatencyP99, r.Stalled, r.StalledClosed = 5, v, 10, 1
	}, by{"advect": 6, "nats": 50})
	add(1, "storm", "storm", 2000, 0, func(r *Row, v float64) {
		r.Seconds, r.SessionCPU, r.Missed = v, 100*v, 10
		if r.Peer == "advect" {
			r.Resumed, r.Restored = true, 10
		}
	}, by{"floor": 0.25, "advect": 0.5, "nats": 0.75})
	r.LeftOut = []LeftOut{{"floor", "subscribeall", "keeps nothing"}, {"floor", "overload", "blocks"}, {"nats", "subscribeall", "keeps nothing"}}
	return r
}

// TestGolden renders a report into a document with plots. go test -update writes
// the golden files anew: look at them before they are committed.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	doc, results := filepath.Join(dir, "doc.md"), filepath.Join(dir, "golden.json")
	if err := golden().write(results); err != nil {
		t.Fatal(err)
	}
	const before, after = "Before.\n\n", "\nAfter.\n"
	if err := os.WriteFile(doc, []byte(before+beginMark+"old\n"+endMark+after), 0o644); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time in place of the first
		if err := renderFile(nil, results, doc); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(doc)
	if err != nil {
		t.Fatal(err)
	}
	inner, ok := bytes.CutPrefix(text, []byte(before+beginMark))
	inner, ok2 := bytes.CutSuffix(inner, []byte(endMark+after))
	if !ok || !ok2 {
		t.Fatalf("the document around the results has changed:\n%s", text)
	}
	compare(t, "golden.md", inner)
	plots, err := filepath.Glob(filepath.Join(dir, "doc", "*"))
	if err != nil || len(plots) != 5 {
		t.Fatalf("plots %q, %v", plots, err)
	}
	for _, p := range plots {
		svg, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		compare(t, filepath.Base(p), svg)
		if !bytes.Contains(inner, []byte("(doc/"+filepath.Base(p)+")")) {
			t.Errorf("the document does not show %s", p)
		}
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs from testdata:\n%s", name, got)
	}
}

func TestRenderNeedsMarks(t *testing.T) {
	dir := t.TempDir()
	doc, results := filepath.Join(dir, "doc.md"), filepath.Join(dir, "golden.json")
	if err := new(Report).write(results); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(doc, []byte("no marks"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := renderFile(nil, results, doc); err == nil {
		t.Error("the document is overwritten")
	}
}

func TestReach(t *testing.T) {
	out := new(strings.Builder)
	golden().reach(out)
	for _, c := range []struct{ work, want string }{ // the last cells of a line
		{"fan-out, 100, fixed rate", "| 1.10 | 0.92 (mosquitto) | reached |"},
		{"fan-out, 1,000, fixed rate", "| 1.30 | 0.81 (mosquitto) | 0.88 of the target (floor) |"},
		{"fan-out, 100, full rate", "| 0.03 | 0.75 (nats) | 0.93 of the target (nats) |"},
		{"fan-out, 1,000, full rate", "| 0.10 | 0.50 (nats) | reached |"}, // without the disturbed run
		{"1,000 topics, 10 each, 1,000, full rate", "|  | 0.50 (nats) | missed: deliveries lost |"},
		{"p99 latency", "| falls behind | 5.0 | 10.0 | falls behind |  | 0.00 | 0.50 (nats) | reached |"},
		{"4 KiB, one field changes: bytes", "| 0.03 | 0.98 (centrifuge-delta) | 0.94 of the target (nats) |"},
		{"idle session, 10,000", "| 0.65 | 1.30 (mosquitto) | 0.92 of the target (6 KiB) |"},
		{"sessions accepted", "| 0.43 | 0.75 (mosquitto) | 0.75 of the target (mosquitto) |"},
		{"sets of a topic", "| 0.80 of the target (500,000) |"},
		{"1,000,000 topics of 100 B", "| reached |"},
		{"subscribe to all of 100,000", "| 10.00 (mosquitto) | reached |"},
		{"growth of the cost of a delivery, 100 to 18,000 subscribers", "| 1.10 | 1.30 |  |  |  | 1.18 |  | 0.92 of the target (1.20) |"},
		{"growth of the cost of a delivery, 10 to 1,000,000 topics", "| 0.96 of the target (1.20) |"},
		{"p99 of the others", "| 0.12 (nats) | reached |"},
		{"2,000 sessions cut at once", "| 2.00 | 0.67 (nats) | reached |"},
	} {
		var line string
		for l := range strings.Lines(out.String()) {
			if strings.HasPrefix(l, "| "+c.work) {
				line = l
			}
		}
		if !strings.HasSuffix(strings.TrimSpace(line), c.want) {
			t.Errorf("%s: %s\nwant … %s", c.work, line, c.want)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, c := range []struct{ at, want []float64 }{
		{[]float64{10, 12, 100}, []float64{10, 20, 100}},
		{[]float64{95, 96, 97}, []float64{80, 90, 100}},
		{[]float64{-5}, []float64{0}},
	} {
		got := spread(c.at, 10, 0, 100)
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("%v becomes %v, want %v", c.at, got, c.want)
				break
			}
		}
	}
}

func TestTicks(t *testing.T) {
	for _, c := range []struct{ got, want []float64 }{
		{linearTicks(24.6), []float64{0, 5, 10, 15, 20, 25}},
		{linearTicks(0.7), []float64{0, 0.2, 0.4, 0.6, 0.8}},
		{logTicks(0.3, 11), []float64{0.2, 0.5, 1, 2, 5, 10, 20}},
		{logTicks(2, 2), []float64{2, 5}},
	} {
		if len(c.got) != len(c.want) {
			t.Errorf("%v, want %v", c.got, c.want)
			continue
		}
		for i := range c.got {
			if d := c.got[i] - c.want[i]; d > 1e-9 || d < -1e-9 {
				t.Errorf("%v, want %v", c.got, c.want)
			}
		}
	}
}

func TestCount(t *testing.T) {
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567"} {
		if got := count(n); got != want {
			t.Errorf("%d: %s", n, got)
		}
	}
}
