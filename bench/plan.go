package main

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"advect.dev/bench/peers"
)

// plan is what a command measures, and in which order: each case by all peers in
// turn, all cases again for each repeat, and in the end again what was disturbed.
type plan struct {
	cases    []testCase
	adapters []peers.Adapter
	repeat   int
	quiet    int           // undisturbed runs that are enough
	extra    int           // rounds for measurements that have fewer
	limit    time.Duration // after which no such round goes on
	out      string        // the JSON file, or ""
	report   *Report

	measure func(testCase, peers.Adapter) ([]Row, error)
	now     func() time.Time
	logf    func(format string, args ...any)

	took  map[string]time.Duration // by unit: how long it took last
	start time.Time
	done  int
}

// unit is one case of one peer.
type unit struct {
	testCase
	adapter peers.Adapter
}

func (u unit) String() string { return u.adapter.Name() + ": " + u.testCase.String() }

// round returns the units of one repeat. Peers take turns in going first.
func (p *plan) round(rep int) []unit {
	var units []unit
	for _, c := range p.cases {
		for i := range p.adapters {
			a := p.adapters[(i+rep)%len(p.adapters)]
			if why := c.leavesOut(a); why != "" {
				if why != onlyOurs && why != peers.SameAsBase && p.report.leaveOut(a.Name(), c.scenario, why) {
					p.logf("leaving %s out of %s: %s", a.Name(), c.scenario, why)
				}
				continue
			}
			units = append(units, unit{c, a})
		}
	}
	return units
}

// run measures. Only the results file can make it fail.
func (p *plan) run() error {
	p.start, p.took = p.now(), make(map[string]time.Duration)
	first := p.report.repeats()
	for rep := first; rep < first+p.repeat; rep++ {
		units := p.round(rep)
		for i, u := range units {
			ahead := units[i:]
			for range first + p.repeat - 1 - rep {
				ahead = append(ahead[:len(ahead):len(ahead)], units...)
			}
			if err := p.one(u, rep+1, ahead); err != nil {
				return err
			}
		}
	}
	for rep := first + p.repeat; rep < first+p.repeat+p.extra; rep++ {
		var units []unit
		for _, u := range p.round(rep) {
			if p.quietRuns(u) < p.quiet {
				units = append(units, u)
			}
		}
		for i, u := range units {
			if p.now().Sub(p.start) > p.limit {
				p.logf("%v are over: %d measurements have fewer than %d undisturbed runs", p.limit, len(units)-i, p.quiet)
				return nil
			}
			if err := p.one(u, rep+1, units[i:]); err != nil {
				return err
			}
		}
	}
	return nil
}

// one measures a unit, again if it fails, and writes the results. ahead are the
// units still to come, this one first.
func (p *plan) one(u unit, rep int, ahead []unit) error {
	p.done++
	p.logf("run %d, %d done, %d to go, about %v: %v", rep, p.done-1, len(ahead), p.estimate(ahead), u)
	begin := p.now()
	rows, err := p.measure(u.testCase, u.adapter)
	if err != nil {
		p.logf("%v, once more: %v", u, err)
		rows, err = p.measure(u.testCase, u.adapter)
	}
	if err != nil {
		p.logf("%v, given up: %v", u, err)
		rows = append(rows, Row{Mode: "failed", Error: err.Error()})
	}
	p.took[u.String()] = p.now().Sub(begin)
	for _, r := range rows {
		r.Peer, r.Scenario, r.Sessions, r.Topics, r.Repeat = u.adapter.Name(), u.scenario, u.sessions, u.topics, rep
		p.report.Rows = append(p.report.Rows, r)
	}
	if p.out == "" {
		return nil
	}
	if err := p.report.write(p.out); err != nil {
		return fmt.Errorf("results: %w", err)
	}
	return nil
}

// firstGuess is how long a unit is taken to take before any has been run.
const firstGuess = 7 * time.Second

// estimate is how long the units ahead will take: each as it last did, or as the
// others do on average.
func (p *plan) estimate(ahead []unit) time.Duration {
	average := firstGuess
	if len(p.took) > 0 {
		var sum time.Duration
		for _, d := range p.took {
			sum += d
		}
		average = sum / time.Duration(len(p.took))
	}
	var all time.Duration
	for _, u := range ahead {
		if d, ok := p.took[u.String()]; ok {
			all += d
		} else {
			all += average
		}
	}
	return all.Round(time.Second)
}

// quietRuns is how many undisturbed runs the least measured part of a unit has.
func (p *plan) quietRuns(u unit) int {
	counts := make(map[string]int) // by mode
	for _, r := range p.report.Rows {
		if r.Peer != u.adapter.Name() || r.Scenario != u.scenario || r.Sessions != u.sessions || r.Topics != u.topics || r.Mode == "failed" {
			continue
		}
		counts[r.Mode] += 0 // disturbed or not, it is a part
		if r.Foreign <= quietShare {
			counts[r.Mode]++
		}
	}
	if len(counts) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(counts)))
}
