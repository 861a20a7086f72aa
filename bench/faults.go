package main

import (
	"fmt"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/peers"
)

// The overload scenario: documents that no delta makes small, at a rate that any
// server keeps, over links as of a network, so that who stops reading is soon in
// the server's way.
const (
	overloadSessions = 100
	overloadStalled  = 10
	overloadRate     = 100 // messages a second
	overloadDocument = 4 << 10
	overloadFor      = 6 * time.Second
	overloadBehind   = 2 * time.Second
)

// overload lets a tenth of the subscribers stop reading, and looks at the others.
func overload(a peers.Adapter, s settings) ([]Row, error) {
	doc, err := load.NewNoise(overloadDocument)
	if err != nil {
		return nil, err
	}
	rig, err := load.Start(a, s.config, doc)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	rig.SlowLinks = true
	if err := rig.Open(1, 1); err != nil {
		return nil, err
	}
	if err := rig.Connect(overloadSessions); err != nil {
		return nil, err
	}
	steady := load.Load{For: s.warm, Rate: overloadRate, Behind: overloadBehind}
	if _, err := rig.Drive(steady); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	steady.For = s.span
	before, err := rig.Drive(steady)
	if err != nil {
		return nil, fmt.Errorf("before the stall: %w", err)
	}
	rssBefore, err := rssMiB(rig)
	if err != nil {
		return nil, err
	}
	if err := rig.Stall(overloadStalled); err != nil {
		return nil, err
	}
	during, err := rig.Drive(load.Load{For: overloadFor, Rate: overloadRate, Behind: overloadBehind, Tolerant: true})
	if err != nil {
		return nil, fmt.Errorf("during the stall: %w", err)
	}
	row := trafficRow("overload", during, doc.Len())
	row.Lost += before.Lost()
	row.P99Before, row.RSSBefore, row.Closed = ms(before.P99), rssBefore, during.Dropped
	row.Unreached = before.GaveUp || during.GaveUp
	if row.RSSMiB, err = rssMiB(rig); err != nil {
		return nil, err
	}
	stalled, err := rig.Resume()
	if err != nil {
		return nil, err
	}
	row.Late, row.Misrouted, row.Corrupt = row.Late+stalled.Late, row.Misrouted+stalled.Misrouted, row.Corrupt+stalled.Corrupt
	row.Stalled, row.StalledClosed, row.StalledCurrent = overloadStalled, stalled.Closed, stalled.Current
	row.StalledMissed = during.Published*overloadStalled - stalled.Delivered
	return []Row{row}, nil
}

// The storm scenario: how many topics the sessions spread over, and how many
// messages each gets while nobody is connected.
const (
	stormTopics = 10
	stormMissed = 5
)

// storm cuts all connections at once and lets all come back at once.
func storm(a peers.Adapter, s settings) ([]Row, error) {
	rig, err := startSmall(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	if err := rig.Open(stormTopics, 1); err != nil {
		return nil, err
	}
	if err := rig.Connect(s.storm); err != nil {
		return nil, err
	}
	steady := load.Load{For: s.warm, Rate: s.rate / 4 / float64(s.storm/stormTopics)}
	before, err := rig.Drive(steady)
	if err != nil {
		return nil, fmt.Errorf("before the cut: %w", err)
	}
	if before.Lost() != 0 {
		return nil, fmt.Errorf("%d of %d messages were lost before the cut", before.Lost(), before.Expected)
	}
	rig.Cut()
	if err := rig.Send(stormMissed); err != nil {
		return nil, err
	}
	out, err := rig.Return(stormMissed)
	if err != nil {
		return nil, err
	}
	steady.For = s.span
	after, err := rig.Drive(steady)
	if err != nil {
		return nil, fmt.Errorf("after the return: %w", err)
	}
	row := trafficRow("storm", after, s.payload)
	row.Seconds, row.Foreign = out.Back.Seconds(), max(out.Foreign(), after.Foreign())
	row.SessionCPU = float64(out.Server.Total.Nanoseconds()) / 1e3 / float64(s.storm)
	row.SessionClientCPU = float64(out.Client.Total.Nanoseconds()) / 1e3 / float64(s.storm)
	row.SessionsPerSec = float64(s.storm) / out.Back.Seconds()
	row.Retries, row.Resumed, row.Missed, row.Restored = out.Retries, out.Resumed, out.Missed, out.Restored
	row.Late += out.Late
	if out.Resumed { // then nothing may be missing
		row.Lost += out.Missed - out.Restored
	}
	return []Row{row}, nil
}
