package load

import (
	"errors"
	"fmt"
	"time"

	"advect.dev/bench/internal/ws"
	"advect.dev/bench/peers"
)

// publishBatch is how many publications go out in one write, and are answered
// before the publisher counts them as done.
const publishBatch = 256

// publishWindow is how many batches are under way at most.
const publishWindow = 4

// Publish publishes for a while to topics without subscribers, as fast as the
// server answers. It returns the number of publications, all of them answered.
func (r *Rig) Publish(d time.Duration) (int, Usage, error) {
	start := time.Now()
	return r.publish(func(frames []byte, n int) ([]byte, bool) {
		if time.Since(start) >= d {
			return frames, false
		}
		for range n {
			frames = r.appendMessage(frames)
		}
		return frames, true
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
	_, usage, err := r.publish(func(frames []byte, batch int) ([]byte, bool) {
		if k == n {
			return frames, false
		}
		for range min(batch, n-k) {
			payload = r.doc.Append(payload[:0], k, 1, r.loop.now())
			msg = keeper.AppendKeep(msg[:0], fmt.Sprintf("%s/t%d", branch, k), payload)
			frames = ws.Append(frames, r.publisher.opcode, msg)
			k++
		}
		return frames, true
	})
	return usage, err
}

// publish sends what next appends to frames, up to n messages at a time, as fast
// as the server answers, and until next says no.
func (r *Rig) publish(next func(frames []byte, n int) ([]byte, bool)) (sent int, usage Usage, err error) {
	p := r.publisher
	echo := r.protocol.AppendEcho(nil)
	p.answered = make(chan struct{}, 1) // before the first answer that counts
	base, perBatch := p.answers.Load(), int64(publishBatch)
	if len(echo) > 0 {
		perBatch = 1
	}
	usage, err = r.Measure(func() error {
		var frames []byte
		for batch := int64(1); ; batch++ {
			var more bool
			if frames, more = next(frames[:0], publishBatch); !more {
				return r.awaitAnswers(base + (batch-1)*perBatch)
			}
			if len(echo) > 0 {
				frames = ws.Append(frames, p.opcode, echo)
			}
			if err := p.write(frames); err != nil {
				return r.explain(err)
			}
			sent += publishBatch
			if err := r.awaitAnswers(base + (batch-publishWindow)*perBatch); err != nil {
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
