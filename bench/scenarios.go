package main

import (
	"fmt"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/internal/proc"
	"advect.dev/bench/peers"
)

// settings are the sizes that the flags set.
type settings struct {
	sessions          []int
	rate              float64
	span, warm        time.Duration
	settle            time.Duration
	payload, document int
	idle, connects    int
	config            load.Config
}

// testCase is one scenario at one size.
type testCase struct {
	scenario string
	sessions int
	run      func(peers.Adapter, settings) ([]Row, error)
}

func (s settings) cases(names []string) ([]testCase, error) {
	var cases []testCase
	for _, name := range names {
		switch name {
		case "fanout": // one topic, every session subscribes to it
			for _, n := range s.sessions {
				cases = append(cases, traffic{name, n, 1, 1, s.rate, false}.testCase())
			}
		case "topics": // 1000 topics, each session subscribes to 10
			cases = append(cases, traffic{name, 1000, 1000, 10, s.rate, false}.testCase())
		case "large": // documents of which a small part changes each time
			cases = append(cases, traffic{name, 100, 1, 1, s.rate / 4, true}.testCase())
		case "connect":
			cases = append(cases, testCase{name, s.connects, connect})
		case "idle":
			cases = append(cases, testCase{name, s.idle, idle})
		default:
			return nil, fmt.Errorf("-scenarios: %q is not known", name)
		}
	}
	return cases, nil
}

// traffic publishes to subscribers, at a fixed rate and then at full rate.
type traffic struct {
	scenario   string
	sessions   int
	topics     int
	perSession int
	rate       float64 // deliveries a second
	large      bool
}

func (t traffic) testCase() testCase { return testCase{t.scenario, t.sessions, t.run} }

// inFlight is about how many deliveries are under way at full rate.
const inFlight = 20000

func (t traffic) run(a peers.Adapter, s settings) ([]Row, error) {
	doc := load.NewRecord(s.document)
	if !t.large {
		var err error
		if doc, err = load.NewPad(s.payload); err != nil {
			return nil, err
		}
	}
	rig, err := load.Start(a, s.config, doc)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	if err := rig.Open(t.topics, t.perSession); err != nil {
		return nil, err
	}
	if err := rig.Connect(t.sessions); err != nil {
		return nil, err
	}
	fanout := float64(t.sessions*t.perSession) / float64(t.topics)
	window := max(16, int(inFlight/fanout))
	if t.large {
		window = 16
	}
	loads := []struct {
		mode string
		load load.Load
	}{
		{"", load.Load{For: s.warm, Window: window}},
		{"rate", load.Load{For: s.span, Rate: t.rate / fanout}},
		{"max", load.Load{For: s.span, Window: window}},
	}
	var rows []Row
	for _, l := range loads {
		res, err := rig.Drive(l.load)
		if err != nil {
			return rows, fmt.Errorf("%s load: %w", l.mode, err)
		}
		if l.mode == "" {
			if res.Lost() != 0 {
				return rows, fmt.Errorf("%d of %d messages were lost while warming up", res.Lost(), res.Expected)
			}
			continue
		}
		row := trafficRow(l.mode, res, doc.Len())
		if row.RSSMiB, err = rssMiB(rig); err != nil {
			return rows, err
		}
		rows = append(rows, row)
	}
	return rows, nil
}

func trafficRow(mode string, res load.Result, payload int) Row {
	each := func(d time.Duration) float64 {
		if res.Delivered == 0 {
			return 0
		}
		return float64(d.Nanoseconds()) / 1e3 / float64(res.Delivered)
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1e3 }
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
	if mode == "rate" { // at full rate, latency is the window's length only
		row.LatencyP50, row.LatencyP99, row.LatencyMax = ms(res.P50), ms(res.P99), ms(res.Max)
		row.Lag = ms(res.Lag)
	}
	return row
}

// connectWarm is how many connections precede those that count.
const connectWarm = 500

// connect measures what a new subscribed session costs.
func connect(a peers.Adapter, s settings) ([]Row, error) {
	rig, err := startSmall(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	if err := rig.Open(1, 1); err != nil {
		return nil, err
	}
	if err := rig.Connect(connectWarm); err != nil {
		return nil, err
	}
	start := time.Now()
	usage, err := rig.Measure(func() error { return rig.Connect(s.connects) })
	if err != nil {
		return nil, err
	}
	return []Row{connectRow(usage, s.connects, time.Since(start))}, nil
}

func connectRow(u load.Usage, n int, took time.Duration) Row {
	each := func(c proc.CPU) float64 { return float64(c.Total.Nanoseconds()) / 1e3 / float64(n) }
	return Row{
		Mode: "connect", Seconds: took.Seconds(),
		SessionCPU: each(u.Server), SessionClientCPU: each(u.Client),
		SessionsPerCPU: float64(n) / u.Server.Total.Seconds(),
		SessionsPerSec: float64(n) / took.Seconds(),
		Foreign:        u.Foreign(),
	}
}

// idleTopics is how many topics the idle sessions spread over.
const idleTopics = 1000

// idle measures the memory of connections on which nothing happens.
func idle(a peers.Adapter, s settings) ([]Row, error) {
	rig, err := startSmall(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	if err := rig.Open(idleTopics, 1); err != nil {
		return nil, err
	}
	time.Sleep(s.settle)
	empty, err := rig.RSS()
	if err != nil {
		return nil, err
	}
	start := time.Now()
	usage, err := rig.Measure(func() error { return rig.Connect(s.idle) })
	if err != nil {
		return nil, err
	}
	row := connectRow(usage, s.idle, time.Since(start))
	row.Mode = "idle"
	time.Sleep(s.settle)
	full, err := rig.RSS()
	if err != nil {
		return nil, err
	}
	rest, err := rig.Measure(func() error { time.Sleep(s.settle); return nil })
	if err != nil {
		return nil, err
	}
	row.EmptyMiB = float64(empty) / (1 << 20)
	row.RSSMiB = float64(full) / (1 << 20)
	row.SessionKiB = float64(full-empty) / 1024 / float64(s.idle)
	row.IdleCPU = 1e3 * rest.Server.Total.Seconds() / s.settle.Seconds()
	return []Row{row}, nil
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
	return float64(n) / (1 << 20), err
}
