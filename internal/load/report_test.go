package load

import (
	"bytes"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

// sampleReport has every field.
func sampleReport() *Report {
	d := Durations{Count: 1000, Mean: 1.5, P50: 1.25, P90: 2, P99: 5, P999: 8, Max: 9.5, Curve: [][2]float64{{0, 0.5}, {50, 1.25}, {90, 2}, {100, 9.5}}}
	traffic := TrafficFigures{
		Rate: 20, Seconds: 5, Published: 100, PublishedPerSec: 20, Expected: 1000, Delivered: 990, DeliveredPerSec: 198, Lost: 1, Conflated: 4,
		Refreshed: 5, Duplicated: 1, OutOfOrder: 2, Corrupt: 3, BytesPerDelivery: 131.5, Latency: d, PublishLagMax: 0.5, KeptUp: true,
		ToolProcessors: 0.25, ServerCPU: 9.5, ServerProcessors: 0.2, serverKnown: true,
	}
	var samples []Sample
	for i, phase := range []string{opening, "measuring", "measuring"} {
		samples = append(samples, Sample{
			Seconds: float64(i + 1), Phase: phase, Sessions: 10, PublishedPerSec: 20, DeliveredPerSec: 200, BytesPerSec: 26000, P50: 1.25, P99: 5, Max: 9.5,
		})
	}
	r := Result{
		Scenario: Scenario{
			Kind: Fanout, Sessions: 11, Topics: 1, PerSession: 1, Parallel: 50, Rate: 20, Rates: []float64{10, 20}, Size: 128, Changing: 1,
			Storms: 1, Properties: map[string]string{"CONFLATION": "off"},
		},
		DurationSeconds: 5, WarmupSeconds: 1,
		Sessions: SessionFigures{
			Wanted: 11, Opened: 10, Ready: 10, Closed: 1, Seconds: 0.01, PerSecond: 1000, Connect: d, FirstValue: d,
			Errors: map[string]int{"CONNECTION_ERROR": 1},
		},
		Traffic: &traffic, Steps: []TrafficFigures{traffic, traffic},
		Storms: []StormFigures{{
			Cut: 10, CutSeconds: 0.002, Reconnected: 10, WithoutLoss: 9, WithLoss: 1, Current: 10, Seconds: 0.2, ReconnectIn: d, CurrentAfter: d,
			Returned: []ReturnedSample{{}, {0.1, 4, 3}, {0.2, 10, 10}},
		}},
		Server:  &ServerFigures{MemoryBefore: 1 << 24, MemoryOpen: 1 << 25, MemoryAfter: 1 << 25, MemoryPerSession: 8192, OpenCPU: 150},
		Samples: samples,
	}
	r.Steps[1].KeptUp, r.Steps[1].DeliveredPerSec = false, 300
	r.judge(false)
	return &Report{
		Version: ReportVersion, Program: "advect 1.0", Started: time.Date(2026, 1, 31, 9, 30, 0, 0, time.UTC), Server: "ws://<script>alert(1)</script>",
		Machine: Machine{"linux", "amd64", 8, "go1.26"}, Interrupted: true, Results: []Result{r},
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s differs; names are a promise to those who read them (-want +got):\n%s", name, diff)
	}
}

func TestReportAsJSON(t *testing.T) { golden(t, "testdata/report.json", mustIndent(t, sampleReport())) }

func TestReportAsText(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteText(&b); err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/report.txt", b.Bytes())
}

// The page is well formed, loads nothing and runs nothing.
func TestReportAsHTML(t *testing.T) {
	var b bytes.Buffer
	if err := sampleReport().WriteHTML(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	d := xml.NewDecoder(strings.NewReader(text))
	d.Strict, d.AutoClose, d.Entity = false, []string{"meta"}, xml.HTMLEntity
	depth, plots := 0, 0
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			switch token.Name.Local {
			case "svg":
				plots++
			case "script", "link", "img", "iframe":
				t.Errorf("the page has an element %s", token.Name.Local)
			}
		case xml.EndElement:
			depth--
		}
	}
	if depth != 0 || plots != 4 {
		t.Errorf("%d elements are open, %d plots, want 0 and 4", depth, plots)
	}
	if found := regexp.MustCompile(`(src|href|url)\s*[=(]|@import|NaN|Inf|%!`).FindString(text); found != "" {
		t.Errorf("the page has %q", found)
	}
}

// A report of which nothing is known must not fail either.
func TestEmptyReport(t *testing.T) {
	r := Report{Results: []Result{{Scenario: Scenario{Kind: Connect}}, {Scenario: Scenario{Kind: Latency}, Steps: []TrafficFigures{{}}}}}
	var b bytes.Buffer
	if err := errors.Join(r.WriteText(&b), r.WriteHTML(&b)); err != nil {
		t.Fatal(err)
	}
	if found := regexp.MustCompile(`NaN|Inf`).FindString(b.String()); found != "" {
		t.Errorf("it has %q", found)
	}
}
