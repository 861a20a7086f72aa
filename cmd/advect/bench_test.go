package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/load"
)

func TestBenchAllIsSound(t *testing.T) {
	c := benchAllCmd{Sessions: 5, Rate: 20, Duration: duration(time.Second), Traffic: trafficFlags{Warmup: duration(time.Second)}}
	kinds := make(map[load.Kind]bool)
	for _, s := range c.scenarios() {
		s.Parallel = 1
		if err := s.Check(); err != nil {
			t.Errorf("%s: %v", s.Kind, err)
		}
		kinds[s.Kind] = true
	}
	if len(kinds) != 6 {
		t.Errorf("kinds %v, want all six", kinds)
	}
}

func TestStatusLine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		line := newStatusLine(&out, false)
		show := func(phase string) { line.show(load.Progress{Kind: load.Fanout, Phase: phase, Sessions: 5}) }
		show("opening")
		show("opening") // too soon
		show("measuring")
		time.Sleep(statusEvery)
		show("measuring")
		line.clear()
		if got := strings.Count(out.String(), "\n"); got != 3 || strings.Contains(out.String(), "\r") {
			t.Errorf("elsewhere than on a terminal it shows %q, want three lines", out.String())
		}

		out.Reset()
		line = newStatusLine(&out, false)
		line.terminal = true
		show("measuring")
		show("measuring") // too soon
		line.clear()
		if want := "\r\x1b[Kfanout, measuring: 5 sessions\r\x1b[K"; out.String() != want {
			t.Errorf("on a terminal it shows %q, want %q", out.String(), want)
		}

		out.Reset()
		line = newStatusLine(&out, true)
		show("measuring")
		if out.Len() > 0 {
			t.Errorf("quiet, it shows %q", out.String())
		}
	})
}

func TestMetricsURL(t *testing.T) {
	for url, want := range map[string]string{
		"ws://localhost:8080": "http://localhost:8080/metrics", "ws://127.0.0.1:9000/diffusion": "http://127.0.0.1:9000/metrics",
		"xhr://[::1]:80": "http://[::1]:80/metrics", "ws://data.example.com": "", "wss://localhost": "", "%": "",
	} {
		if got := (&connection{URL: url}).metricsURL(); got != want {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
	}
}
