package main

import (
	"fmt"
	"slices"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/peers"
)

// settings are the sizes that the flags set.
type settings struct {
	sessions          []int
	rate              float64
	span, warm        time.Duration
	settle            time.Duration
	payload, document int
	idle              []int
	connects, storm   int
	growth            int
	kept              int // topics that are subscribed to all at once
	topics            []int
	config            load.Config
	report            *Report // what has been measured so far
}

// testCase is one scenario at one size.
type testCase struct {
	scenario string
	sessions int
	topics   int      // topics that exist, where that is what varies
	only     []string // the peers that take part; nil: all
	run      func(peers.Adapter, settings) ([]Row, error)
}

func (c testCase) String() string {
	text := c.scenario
	if c.sessions > 1 {
		text += fmt.Sprintf(", %d sessions", c.sessions)
	}
	if c.topics > 0 {
		text += fmt.Sprintf(", %d topics", c.topics)
	}
	return text
}

// leavesOut says why an adapter takes no part, or returns "".
func (c testCase) leavesOut(a peers.Adapter) string {
	if c.only != nil && !slices.Contains(c.only, a.Name()) {
		return onlyOurs
	}
	return a.LeavesOut(c.scenario)
}

// onlyOurs is why a peer has no line where the question is how we grow.
const onlyOurs = "shows our own growth"

// scenarioNames are all scenarios, in the order in which they run: latency is
// measured at a rate that fanout finds.
var scenarioNames = []string{
	"fanout", "topics", "large", "latency", "growth", "connect", "idle",
	"inprocess", "publish", "subscribeall", "topicgrowth", "overload", "storm",
}

func (s settings) cases(names []string) ([]testCase, error) {
	for _, name := range names {
		if !slices.Contains(scenarioNames, name) {
			return nil, fmt.Errorf("-scenarios: %q is not known", name)
		}
	}
	ours := []string{"advect"}
	var cases []testCase
	add := func(c ...testCase) { cases = append(cases, c...) }
	for _, name := range scenarioNames {
		if !slices.Contains(names, name) {
			continue
		}
		switch name {
		case "fanout": // one topic, every session subscribes to it
			for _, n := range s.sessions {
				add(traffic{scenario: name, sessions: n, topics: 1, perSession: 1, rate: s.rate}.testCase())
			}
		case "topics": // 1000 topics, each session subscribes to 10
			add(traffic{scenario: name, sessions: 1000, topics: 1000, perSession: 10, rate: s.rate}.testCase())
		case "large": // documents of which a small part changes each time
			add(traffic{scenario: name, sessions: 100, topics: 1, perSession: 1, rate: s.rate / 4, large: true}.testCase())
		case "latency":
			add(testCase{scenario: name, sessions: latencySessions, run: latency})
		case "growth": // fanout to as many as there are descriptors
			add(traffic{
				scenario: name, sessions: s.growth, topics: 1, perSession: 1, rate: s.rate, rateOnly: true,
				only: []string{"floor", "advect"}, atLeast: 5 * time.Second,
			}.testCase())
		case "connect":
			add(testCase{scenario: name, sessions: s.connects, run: connect})
		case "idle":
			for _, n := range s.idle {
				add(testCase{scenario: name, sessions: n, run: idle(n)})
			}
		case "inprocess": // idle sessions without sockets
			for _, n := range []int{100_000, 1_000_000} {
				add(testCase{scenario: name, sessions: n, only: ours, run: inprocess(n)})
			}
		case "publish":
			add(testCase{scenario: name, run: publish})
		case "subscribeall":
			add(testCase{scenario: name, topics: s.kept, run: subscribeAll(s.kept)})
			if n := slices.Max(s.topics); n > s.kept {
				add(testCase{scenario: name, topics: n, only: ours, run: subscribeAll(n)})
			}
		case "topicgrowth": // fanout of 10 topics among many
			for _, n := range s.topics {
				add(traffic{
					scenario: name, sessions: 100, topics: 10, perSession: 1, rate: s.rate, rateOnly: true, only: ours, existing: n,
				}.testCase())
			}
		case "overload":
			add(testCase{scenario: name, sessions: overloadSessions, run: overload})
		case "storm":
			add(testCase{scenario: name, sessions: s.storm, run: storm})
		}
	}
	return cases, nil
}

func startSmall(a peers.Adapter, s settings) (*load.Rig, error) {
	doc, err := load.NewPad(s.payload)
	if err != nil {
		return nil, err
	}
	return load.Start(a, s.config, doc)
}

func rssMiB(rig *load.Rig) (float64, error) {
	n, err := rig.RSS()
	return mib(n), err
}

func mib(n int64) float64 { return float64(n) / (1 << 20) }

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
