package main

import (
	"strings"
	"testing"
	"time"
)

func TestMarkdown(t *testing.T) {
	r := Report{
		Started: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), CPUs: 2, CPUModel: "a processor", Kernel: "6.1", Go: "go1.26",
		Versions: []string{"advect v1", "nats v2"},
		Rows: []Row{
			{Peer: "advect", Scenario: "fanout", Mode: "max", Sessions: 100, Repeat: 1, ServerCPU: 2},
			{Peer: "nats", Scenario: "fanout", Mode: "max", Sessions: 100, Repeat: 1, ServerCPU: 3},
			{Peer: "advect", Scenario: "idle", Mode: "idle", Sessions: 9, Repeat: 1, SessionKiB: 10, SessionCPU: 1},
			{Peer: "advect", Scenario: "fanout", Mode: "max", Sessions: 100, Repeat: 2, ServerCPU: 4},
			{Peer: "nats", Scenario: "fanout", Mode: "max", Sessions: 100, Repeat: 2, ServerCPU: 9, Lost: 1},
			{Peer: "nats", Scenario: "fanout", Mode: "max", Sessions: 100, Repeat: 3, ServerCPU: 99, Foreign: 0.5},
			{Peer: "nats", Scenario: "idle", Mode: "failed", Sessions: 9, Repeat: 2, Error: "no"},
			{Peer: "floor", Scenario: "idle", Mode: "idle", Sessions: 9, Repeat: 2, SessionKiB: 5, SessionCPU: 7, Foreign: 0.3},
		},
	}
	out := new(strings.Builder)
	if err := r.markdown(out, "x.json"); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"2 × a processor", "those of up to 3 runs", "bench/results/x.json", "Versions: advect v1, nats v2.",
		"**fanout: 100 subscribers, full rate**\n\n| server |", "\n| advect | 3.00 |", "\n| nats | 6.00 |", "| 2 | 2.00 |\n",
		"**idle: 9 sessions**", "\n| floor | 7 |  | 5.0 |", "| 1 | 0.50 |\n", "Failed: nats, idle with 9 sessions, run 2.",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if n := strings.Count(out.String(), "**fanout"); n != 1 {
		t.Errorf("%d tables of one scenario", n)
	}
}
