package main

import (
	"fmt"
	"time"

	"advect.dev/bench/internal/load"
	"advect.dev/bench/peers"
)

// publish measures what it costs to take an update that nobody reads.
func publish(a peers.Adapter, s settings) ([]Row, error) {
	rig, err := startSmall(a, s)
	if err != nil {
		return nil, err
	}
	defer rig.Close()
	if err := rig.Open(1, 1); err != nil {
		return nil, err
	}
	if _, _, err := rig.Publish(s.warm); err != nil {
		return nil, fmt.Errorf("warming up: %w", err)
	}
	start := time.Now()
	n, usage, err := rig.Publish(s.span)
	if err != nil {
		return nil, err
	}
	took := time.Since(start)
	return []Row{{
		Mode: "publish", Payload: s.payload, Published: int64(n), Seconds: took.Seconds(),
		SetCPU:     float64(usage.Server.Total.Nanoseconds()) / 1e3 / float64(n),
		SetsPerCPU: float64(n) / usage.Server.Total.Seconds(),
		SetsPerSec: float64(n) / took.Seconds(),
		Foreign:    usage.Foreign(),
	}}, nil
}

// keptValue is the size of the values that a subscriber to all topics gets.
const keptValue = 100

// subscribeAll measures what n topics with a value cost: their memory, and the
// time to give all their values to one new subscriber.
func subscribeAll(n int) func(peers.Adapter, settings) ([]Row, error) {
	return func(a peers.Adapter, s settings) ([]Row, error) {
		doc, err := load.NewPad(keptValue)
		if err != nil {
			return nil, err
		}
		rig, err := load.Start(a, s.config, doc)
		if err != nil {
			return nil, err
		}
		defer rig.Close()
		time.Sleep(s.settle)
		empty, err := rig.RSS()
		if err != nil {
			return nil, err
		}
		if err := rig.Open(1, 1); err != nil {
			return nil, err
		}
		filled, err := rig.Fill(fill, n)
		if err != nil {
			return nil, err
		}
		time.Sleep(s.settle)
		full, err := rig.RSS()
		if err != nil {
			return nil, err
		}
		res, err := rig.SubscribeAll(fill, n)
		if err != nil {
			return nil, err
		}
		return []Row{{
			Mode: "subscribeall", Payload: keptValue, Seconds: res.Total.Seconds(),
			Published: res.Published, Expected: res.Expected, Delivered: res.Delivered,
			Lost: res.Lost(), Late: res.Late, Misrouted: res.Misrouted, Corrupt: res.Corrupt,
			SetCPU:       float64(filled.Server.Total.Nanoseconds()) / 1e3 / float64(n),
			TopicsPerCPU: float64(res.Delivered) / res.Server.Total.Seconds(),
			TopicsPerSec: float64(res.Delivered) / res.Total.Seconds(),
			TopicBytes:   float64(full-empty)/float64(n) - keptValue,
			BytesEach:    float64(res.Bytes) / float64(max(1, res.Delivered)),
			EmptyMiB:     mib(empty),
			RSSMiB:       mib(full),
			Foreign:      max(filled.Foreign(), res.Foreign()),
		}}, nil
	}
}
