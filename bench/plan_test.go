package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"advect.dev/bench/peers"
)

// fakePlan measures nothing: answer says what each measurement comes to. Its
// clock goes on by ten seconds with each.
type fakePlan struct {
	plan
	ran  []string
	logs []string
	time time.Time
}

func newFakePlan(answer func(f *fakePlan, unit string) ([]Row, error)) *fakePlan {
	f := &fakePlan{time: time.Unix(0, 0)}
	f.cases = []testCase{{scenario: "fanout", sessions: 10}, {scenario: "latency", sessions: 10}}
	f.adapters = []peers.Adapter{peers.Floor{}, peers.Nats{}}
	f.report, f.repeat, f.quiet, f.limit = new(Report), 1, 1, time.Hour
	f.now = func() time.Time { return f.time }
	f.logf = func(format string, args ...any) { f.logs = append(f.logs, fmt.Sprintf(format, args...)) }
	f.measure = func(c testCase, a peers.Adapter) ([]Row, error) {
		f.time = f.time.Add(10 * time.Second)
		u := unit{c, a}.String()
		f.ran = append(f.ran, u)
		return answer(f, u)
	}
	return f
}

func mustRun(t *testing.T, f *fakePlan) {
	t.Helper()
	if err := f.run(); err != nil {
		t.Fatal(err)
	}
}

func quietRow(*fakePlan, string) ([]Row, error) { return []Row{{Mode: "rate"}, {Mode: "max"}}, nil }

func TestPlanTakesTurns(t *testing.T) {
	f := newFakePlan(quietRow)
	f.repeat = 2
	mustRun(t, f)
	want := []string{
		"floor: fanout, 10 sessions", "nats: fanout, 10 sessions", "floor: latency, 10 sessions", "nats: latency, 10 sessions",
		"nats: fanout, 10 sessions", "floor: fanout, 10 sessions", "nats: latency, 10 sessions", "floor: latency, 10 sessions",
	}
	if !slices.Equal(f.ran, want) {
		t.Errorf("ran %q", f.ran)
	}
	if n := len(f.report.Rows); n != 16 {
		t.Fatalf("%d rows", n)
	}
	if r := f.report.Rows[8]; r.Peer != "nats" || r.Scenario != "fanout" || r.Sessions != 10 || r.Repeat != 2 {
		t.Errorf("the ninth row is %+v", r)
	}
	// Nothing was known at first, all took ten seconds later on.
	if want := "run 1, 0 done, 8 to go, about 56s: floor: fanout, 10 sessions"; f.logs[0] != want {
		t.Errorf("%q, want %q", f.logs[0], want)
	}
	if want := "run 2, 5 done, 3 to go, about 30s: floor: fanout, 10 sessions"; f.logs[5] != want {
		t.Errorf("%q, want %q", f.logs[5], want)
	}
}

func TestPlanFailure(t *testing.T) {
	calls := 0
	f := newFakePlan(func(f *fakePlan, u string) ([]Row, error) {
		if strings.HasPrefix(u, "nats: fanout") {
			return []Row{{Mode: "rate"}}, errors.New("no luck")
		}
		if calls++; calls == 1 {
			return nil, errors.New("once only")
		}
		return quietRow(f, u)
	})
	mustRun(t, f)
	if want := []string{"floor: fanout, 10 sessions", "floor: fanout, 10 sessions", "nats: fanout, 10 sessions", "nats: fanout, 10 sessions"}; !slices.Equal(f.ran[:4], want) {
		t.Errorf("ran %q", f.ran)
	}
	var got []string
	for _, r := range f.report.Rows {
		got = append(got, r.Peer+" "+r.Scenario+" "+r.Mode+" "+r.Error)
	}
	want := []string{
		"floor fanout rate ", "floor fanout max ", "nats fanout rate ", "nats fanout failed no luck",
		"floor latency rate ", "floor latency max ", "nats latency rate ", "nats latency max ",
	}
	if !slices.Equal(got, want) {
		t.Errorf("rows %q", got)
	}
}

func TestPlanRepeatsWhatWasDisturbed(t *testing.T) {
	f := newFakePlan(func(f *fakePlan, u string) ([]Row, error) {
		switch {
		case u == "nats: fanout, 10 sessions": // at full rate only, and ever
			return []Row{{Mode: "rate"}, {Mode: "max", Foreign: 0.3}}, nil
		case u == "floor: latency, 10 sessions" && len(f.ran) < 5: // the first time
			return []Row{{Mode: "rate", Foreign: 0.06}, {Mode: "max"}}, nil
		}
		return quietRow(f, u)
	})
	f.extra = 3
	mustRun(t, f)
	want := []string{"nats: fanout, 10 sessions", "floor: latency, 10 sessions", "nats: fanout, 10 sessions", "nats: fanout, 10 sessions"}
	if !slices.Equal(f.ran[4:], want) {
		t.Errorf("ran again %q", f.ran[4:])
	}

	f.ran, f.limit, f.extra = nil, 65*time.Second, 100
	mustRun(t, f)
	if n := len(f.ran); n != 4+3 { // those that begin up to then
		t.Errorf("%d ran within the limit: %q", n, f.ran)
	}
}

func TestPlanWritesAfterEach(t *testing.T) {
	path := filepath.Join(t.TempDir(), "results.json")
	f := newFakePlan(func(f *fakePlan, u string) ([]Row, error) {
		if len(f.ran) > 1 {
			r, err := readReport(path)
			if err != nil || len(r.Rows) != 2*(len(f.ran)-1) {
				t.Errorf("after %d measurements: %v, %v", len(f.ran)-1, r, err)
			}
		}
		return quietRow(f, u)
	})
	f.out = path
	mustRun(t, f)
}

func TestPlanLeavesOut(t *testing.T) {
	f := newFakePlan(quietRow)
	f.cases = []testCase{{scenario: "overload"}, {scenario: "growth", only: []string{"floor"}}, {scenario: "overload", sessions: 2}}
	mustRun(t, f)
	if want := []string{"nats: overload", "floor: growth", "nats: overload, 2 sessions"}; !slices.Equal(f.ran, want) {
		t.Errorf("ran %q", f.ran)
	}
	if len(f.report.LeftOut) != 1 || f.report.LeftOut[0].Peer != "floor" || f.report.LeftOut[0].Reason == "" {
		t.Errorf("left out %+v", f.report.LeftOut)
	}
}

func TestCases(t *testing.T) {
	s := settings{sessions: []int{1, 2}, idle: []int{3}, topics: []int{10, 1000}, kept: 100}
	cases, err := s.cases([]string{"idle", "latency", "fanout", "subscribeall", "topicgrowth"})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, c := range cases {
		names = append(names, c.String())
	}
	want := []string{
		"fanout", "fanout, 2 sessions", "latency, 1000 sessions", "idle, 3 sessions",
		"subscribeall, 100 topics", "subscribeall, 1000 topics", "topicgrowth, 100 sessions, 10 topics", "topicgrowth, 100 sessions, 1000 topics",
	}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
	if _, err := s.cases([]string{"fanuot"}); err == nil {
		t.Error("an unknown scenario is accepted")
	}
	if _, err := s.cases(scenarioNames); err != nil {
		t.Error(err)
	}
}

func TestBestPeer(t *testing.T) {
	row := func(peer string, perSecond, foreign float64) Row {
		return Row{Peer: peer, Scenario: "fanout", Mode: "max", Sessions: 1000, PerSecond: perSecond, Foreign: foreign}
	}
	r := Report{Rows: []Row{
		row("floor", 900, 0), row("advect", 900, 0), row("advect-values", 900, 0), row("nats", 500, 0), row("nats", 300, 0),
		row("nats", 800, 0.2), row("mochi", 390, 0), {Peer: "mochi", Scenario: "fanout", Mode: "max", Sessions: 100, PerSecond: 1000},
	}}
	peer, rate, ok := r.bestPeer(groupKey{scenario: "fanout", mode: "max", sessions: 1000})
	if peer != "nats" || rate != 400 || !ok { // the median of the undisturbed runs
		t.Errorf("%s with %v, %v", peer, rate, ok)
	}
	if _, err := latency(peers.Floor{}, settings{report: new(Report)}); err == nil {
		t.Error("latency is measured at no rate")
	}
}
