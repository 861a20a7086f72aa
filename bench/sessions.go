package main

import (
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/internal/proc"
	"advect.dev/bench/peers"
)

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

// idle measures the memory of n connections on which nothing happens. The server
// is empty before anybody has connected: what a publisher's login leaves behind
// is no memory that sessions could be credited with.
func idle(n int) func(peers.Adapter, settings) ([]Row, error) {
	return func(a peers.Adapter, s settings) ([]Row, error) { return idleSessions(a, s, n) }
}

func idleSessions(a peers.Adapter, s settings, n int) ([]Row, error) {
	rig, err := startSmall(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	time.Sleep(s.settle)
	empty, err := rig.RSS()
	if err != nil {
		return nil, err
	}
	if err := rig.Open(idleTopics, 1); err != nil {
		return nil, err
	}
	publisher, err := rssMiB(rig)
	if err != nil {
		return nil, err
	}
	start := time.Now()
	usage, err := rig.Measure(func() error { return rig.Connect(n) })
	if err != nil {
		return nil, err
	}
	row := connectRow(usage, n, time.Since(start))
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
	if err := rig.Check(); err != nil {
		return nil, err
	}
	row.EmptyMiB, row.PublisherMiB, row.RSSMiB = mib(empty), publisher, mib(full)
	row.SessionKiB = float64(full-empty) / 1024 / float64(n)
	row.IdleCPU = 1e3 * rest.Server.Total.Seconds() / s.settle.Seconds()
	return []Row{row}, nil
}
