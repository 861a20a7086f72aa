package main

import (
	"fmt"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/peers"
)

// traffic publishes to subscribers, at a fixed rate and then at full rate.
type traffic struct {
	scenario   string
	sessions   int
	topics     int
	perSession int
	rate       float64 // deliveries a second
	large      bool
	rateOnly   bool
	only       []string      // the peers that take part; nil: all
	atLeast    time.Duration // of the fixed rate, where the span is too short for it
	existing   int           // topics in all, those included that nobody reads; 0: topics
}

func (t traffic) testCase() testCase {
	return testCase{scenario: t.scenario, sessions: t.sessions, topics: t.existing, only: t.only, run: t.run}
}

// inFlight is about how many deliveries are under way at full rate.
const inFlight = 20000

// fill is the branch of the topics that are there and are not read.
const fill = "f"

func (t traffic) fanout() float64 { return float64(t.sessions*t.perSession) / float64(t.topics) }

func (t traffic) window() int {
	if t.large {
		return 16
	}
	return max(16, int(inFlight/t.fanout()))
}

// start starts a server with all its subscribers, and warms it up.
func (t traffic) start(a peers.Adapter, s settings) (*load.Rig, *load.Doc, error) {
	doc := load.NewRecord(s.document)
	if !t.large {
		var err error
		if doc, err = load.NewPad(s.payload); err != nil {
			return nil, nil, err
		}
	}
	rig, err := load.Start(a, s.config, doc)
	if err != nil {
		return nil, nil, err
	}
	if err := t.prepare(rig, s); err != nil {
		rig.Close()
		return nil, nil, err
	}
	return rig, doc, nil
}

func (t traffic) prepare(rig *load.Rig, s settings) error {
	if err := rig.Open(t.topics, t.perSession); err != nil {
		return err
	}
	if t.existing > t.topics {
		if _, err := rig.Fill(fill, t.existing-t.topics); err != nil {
			return err
		}
		time.Sleep(s.settle) // until the garbage of that is collected
	}
	if err := rig.Connect(t.sessions); err != nil {
		return err
	}
	res, err := rig.Drive(load.Load{For: s.warm, Window: t.window()})
	if err != nil {
		return fmt.Errorf("warming up: %w", err)
	}
	if res.Lost() != 0 {
		return fmt.Errorf("%d of %d messages were lost while warming up", res.Lost(), res.Expected)
	}
	return nil
}

func (t traffic) run(a peers.Adapter, s settings) ([]Row, error) {
	rig, doc, err := t.start(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	loads := []struct {
		mode string
		load load.Load
	}{
		{"rate", load.Load{For: max(s.span, t.atLeast), Rate: t.rate / t.fanout()}},
		{"max", load.Load{For: s.span, Window: t.window()}},
	}
	if t.rateOnly {
		loads = loads[:1]
	}
	var rows []Row
	for _, l := range loads {
		res, err := rig.Drive(l.load)
		if err != nil {
			return rows, fmt.Errorf("%s load: %w", l.mode, err)
		}
		row := trafficRow(l.mode, res, doc.Len())
		if row.RSSMiB, err = rssMiB(rig); err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// latencySessions is the size of the fan-out at which latencies are compared.
const latencySessions = 1000

// fallBehind is how much of a rate may be under way before a server counts as
// unable to keep it.
const fallBehind = 500 * time.Millisecond

// latency publishes at half of the best peer's full rate, as measured before.
func latency(a peers.Adapter, s settings) ([]Row, error) {
	best, rate, ok := s.report.bestPeer(groupKey{scenario: "fanout", mode: "max", sessions: latencySessions})
	if !ok {
		return nil, fmt.Errorf("no peer's full rate with %d subscribers is known: run fanout first", latencySessions)
	}
	t := traffic{scenario: "latency", sessions: latencySessions, topics: 1, perSession: 1}
	rig, doc, err := t.start(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	res, err := rig.Drive(load.Load{For: s.span, Rate: rate / 2 / t.fanout(), Behind: fallBehind, Tolerant: true})
	if err != nil {
		return nil, err
	}
	row := trafficRow("latency", res, doc.Len())
	row.Wanted, row.WantedOf, row.Unreached = rate/2, best, res.GaveUp || res.Dropped > 0
	return []Row{row}, nil
}

func trafficRow(mode string, res load.Result, payload int) Row {
	each := func(d time.Duration) float64 {
		if res.Delivered == 0 {
			return 0
		}
		return float64(d.Nanoseconds()) / 1e3 / float64(res.Delivered)
	}
	row := Row{
		Mode: mode, Payload: payload,
		Published: res.Published, Expected: res.Expected, Delivered: res.Delivered,
		Lost: res.Lost(), Late: res.Late, Misrouted: res.Misrouted, Corrupt: res.Corrupt,
		Seconds:   res.Total.Seconds(),
		PerSecond: float64(res.Delivered) / res.Total.Seconds(),
		ServerCPU: each(res.Server.Total),
		ServerSys: each(res.Server.System),
		ClientCPU: each(res.Client.Total),
		Foreign:   res.Foreign(),
		BytesEach: float64(res.Bytes) / float64(max(1, res.Delivered)),
		PerRead:   float64(res.Delivered) / float64(max(1, res.Reads)),
	}
	if mode != "max" { // at full rate, latency is the window's length only
		row.LatencyP50, row.LatencyP99, row.LatencyMax = ms(res.P50), ms(res.P99), ms(res.Max)
		row.Lag = ms(res.Lag)
	}
	return row
}
