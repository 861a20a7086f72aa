package load

import (
	"errors"
	"fmt"
	"time"

	"advect.dev/bench/internal/ws"
	"advect.dev/bench/peers"
)

// publishBatch is how many publications go out in one write at most, and
// publishWindow how many such writes the server may not have answered.
const (
	publishBatch  = 256
	publishWindow = 4
)

// Publish publishes for a while to topics without subscribers, as fast as the
// server answers. It returns the number of publications, all of them answered.
func (r *Rig) Publish(d time.Duration) (int, Usage, error) {
	start := time.Now()
	return r.publish(func(frames []byte) ([]byte, int) {
		if time.Since(start) >= d {
			return frames, 0
		}
		for range publishBatch {
			frames = r.appendMessage(frames)
		}
		return frames, publishBatch
	})
}

// Fill gives n topics below branch a value each: topic k is branch/tk. It
// returns when the server has answered. The adapter's publisher is a Keeper.
func (r *Rig) Fill(branch string, n int) (Usage, error) {
	keeper, ok := r.protocol.(peers.Keeper)
	if !ok {
		return Usage{}, errors.New("this server keeps no values")
	}
	k := 0
	var msg, payload []byte
	_, usage, err := r.publish(func(frames []byte) ([]byte, int) {
		batch := min(publishBatch, n-k)
		for range batch {
			payload = r.doc.Append(payload[:0], k, 1, r.loop.now())
			msg = keeper.AppendKeep(msg[:0], fmt.Sprintf("%s/t%d", branch, k), payload)
			frames = ws.Append(frames, r.publisher.opcode, msg)
			k++
		}
		return frames, batch
	})
	return usage, err
}

// publish sends what next appends to frames, a number of publications, as fast as
// the server answers, until that number is 0.
func (r *Rig) publish(next func(frames []byte) ([]byte, int)) (sent int, usage Usage, err error) {
	p := r.publisher
	echo := r.protocol.AppendEcho(nil)
	due := p.answers.Load()        // the answers to all that has been sent
	var under [publishWindow]int64 // due after each of the writes under way
	usage, err = r.Measure(func() error {
		var frames []byte
		for batch := 0; ; batch++ {
			var n int
			if frames, n = next(frames[:0]); n == 0 {
				return r.awaitAnswers(due)
			}
			if len(echo) > 0 {
				frames = ws.Append(frames, p.opcode, echo)
				due++
			} else {
				due += int64(n)
			}
			if err := p.write(frames); err != nil {
				return r.explain(err)
			}
			sent += n
			under[batch%publishWindow] = due
			if err := r.awaitAnswers(under[(batch+1)%publishWindow]); err != nil {
				return err
			}
		}
	})
	return sent, usage, err
}

// awaitAnswers waits until the publisher has been answered n times in all.
func (r *Rig) awaitAnswers(n int64) error {
	p := r.publisher
	p.answersWanted.Store(n)
	for deadline := time.Now().Add(answerPatience); p.answers.Load() < n; {
		select {
		case <-p.answered:
		case <-time.After(10 * time.Millisecond):
			if _, failure := r.loop.snapshot(); failure != nil {
				return r.explain(failure)
			}
			if time.Now().After(deadline) {
				return r.explain(fmt.Errorf("the server does not answer the publisher: %d of %d", p.answers.Load(), n))
			}
		}
	}
	return nil
}

// answerPatience is how long a batch of publications may take.
const answerPatience = 10 * time.Second

// SubscribeAll lets one client subscribe to the n topics below branch, which Fill
// made, and waits for their values. The result counts them.
func (r *Rig) SubscribeAll(branch string, n int) (Result, error) {
	var res Result
	adapter, ok := r.adapter.(peers.Wildcard)
	if !ok {
		return res, errors.New("this server has no subscription to all topics")
	}
	c := &conn{topics: n, next: make([]uint32, n), session: adapter.SubscriberToAll(0, branch)}
	for k := range c.next {
		c.next[k] = 1
	}
	ready := make(chan struct{}, 1)
	ready <- struct{}{}
	c.ready = func() { <-ready }
	before, _ := r.loop.snapshot()
	start := time.Now()
	var last time.Time
	usage, err := r.Measure(func() error {
		if err := r.loop.dial(c, 1, r.port, r.adapter.Endpoint()); err != nil {
			return r.explain(err)
		}
		last = r.drain(before.Delivered + int64(n))
		return r.acquire(ready)
	})
	if err != nil {
		return res, err
	}
	after, failure := r.loop.snapshot()
	res.Usage, res.Total = usage, last.Sub(start)
	res.Published, res.Expected = int64(n), int64(n)
	res.Counts = after.since(before)
	if res.Dropped > 0 {
		return res, r.explain(failure)
	}
	return res, nil
}
