package load

import (
	"errors"
	"fmt"
	"time"

	"advect.dev/bench/internal/proc"
	"advect.dev/bench/internal/ws"
)

// Load is how to publish. Every topic gets its turn before any gets another.
type Load struct {
	For    time.Duration
	Rate   float64 // messages a second, evenly spaced; 0: as many as keep Window in flight
	Window int     // messages in flight, with Rate 0

	// Behind ends the load before its time when so much of it, in time, is
	// published and not delivered; 0: never. With Rate only.
	Behind time.Duration
	// Tolerant takes connections that the server ends as part of the result
	// rather than as a failure.
	Tolerant bool
}

// Result is what happened under a load.
type Result struct {
	Counts
	Published int64
	Expected  int64         // deliveries if nothing were lost
	Publish   time.Duration // first to last publication
	Total     time.Duration // first publication to last delivery
	Lag       time.Duration // the worst lateness of a publication
	GaveUp    bool          // the server fell behind
	Usage
	P50, P99, Max time.Duration
}

// Lost is the number of messages that did not arrive.
func (r Result) Lost() int64 { return r.Expected - r.Delivered }

// Usage is the processor time of a span.
type Usage struct {
	Server, Client proc.CPU
	Machine        proc.Machine
}

// Foreign is the share of the machine's capacity that neither the server nor
// the clients used but somebody else did, or that the hypervisor withheld.
func (u Usage) Foreign() float64 {
	other := u.Machine.Busy + u.Machine.Stolen - u.Server.Total - u.Client.Total
	return max(0, float64(other)/float64(u.Machine.All))
}

func (r *Rig) usage() (u Usage, err error) {
	server, err1 := r.child.CPU()
	client, err2 := proc.SelfCPU()
	machine, err3 := proc.ReadMachine()
	return Usage{server, client, machine}, errors.Join(err1, err2, err3)
}

// Measure returns what do used.
func (r *Rig) Measure(do func() error) (Usage, error) {
	before, err := r.usage()
	if err != nil {
		return before, err
	}
	if err := do(); err != nil {
		return before, err
	}
	after, err := r.usage()
	return Usage{after.Server.Sub(before.Server), after.Client.Sub(before.Client), after.Machine.Sub(before.Machine)}, err
}

// Drive publishes as load says, waits for the deliveries and accounts for them.
func (r *Rig) Drive(load Load) (Result, error) {
	var res Result
	latency := new(hist)
	r.loop.record(latency)
	before, _ := r.loop.snapshot()
	fanout := int64(r.subscribers * r.perSession / len(r.topics))
	if r.subscribers*r.perSession%len(r.topics) != 0 {
		return res, errors.New("topics differ in their number of subscribers")
	}
	start := time.Now()
	var last time.Time
	usage, err := r.Measure(func() (err error) {
		if load.Rate > 0 {
			err = r.paced(load, fanout, before.Delivered, &res)
		} else {
			err = r.flood(load, fanout, before.Delivered, &res)
		}
		res.Publish = time.Since(start)
		last = r.drain(before.Delivered + res.Published*fanout)
		return err
	})
	if err != nil {
		return res, r.explain(err)
	}
	r.loop.record(nil)
	after, failure := r.loop.snapshot()
	res.Usage = usage
	res.Total = last.Sub(start)
	res.Expected = res.Published * fanout
	res.Counts = after.since(before)
	res.P50, res.P99, res.Max = latency.quantile(0.50), latency.quantile(0.99), latency.max()
	if !r.child.Alive() {
		return res, r.explain(errors.New("the server ended"))
	}
	if res.Dropped > 0 && !load.Tolerant {
		return res, r.explain(fmt.Errorf("%d connections ended, the first: %w", res.Dropped, failure))
	}
	return res, nil
}

// paced publishes at a fixed rate. A message's time stamp is taken right before
// the system call that sends it.
func (r *Rig) paced(load Load, fanout, base int64, res *Result) error {
	var frame []byte
	start := time.Now()
	for n := int64(0); ; n++ {
		due := time.Duration(float64(n) / load.Rate * float64(time.Second))
		if wait := min(due, load.For) - time.Since(start); wait > 0 {
			time.Sleep(wait)
		}
		if due >= load.For {
			return nil
		}
		res.Lag = max(res.Lag, time.Since(start)-due)
		if load.Behind > 0 {
			underWay := res.Published - (r.loop.delivered.Load()-base)/max(1, fanout)
			if res.Lag > load.Behind || float64(underWay) > load.Rate*load.Behind.Seconds() {
				res.GaveUp = true
				return nil
			}
		}
		frame = r.appendMessage(frame[:0])
		if err := r.publisher.write(frame); err != nil {
			return err
		}
		res.Published++
	}
}

// flood keeps between half of the window and the window in flight, so that a
// server is neither idle nor made to drop messages.
func (r *Rig) flood(load Load, fanout, base int64, res *Result) error {
	var frames []byte
	window, half := int64(load.Window), int64(max(1, load.Window/2))
	start := time.Now()
	progress := start
	seen := int64(-1)
	for time.Since(start) < load.For {
		delivered := r.loop.delivered.Load() - base
		if delivered != seen {
			seen, progress = delivered, time.Now()
		} else if time.Since(progress) > drainPatience {
			return nil // messages are lost; drain counts them
		}
		if room := window - (res.Published - delivered/fanout); room < half {
			r.loop.wakeAt.Store(base + (res.Published-window+half)*fanout)
			select {
			case <-r.loop.wake:
			case <-time.After(10 * time.Millisecond):
			}
			continue
		}
		frames = frames[:0]
		for range half {
			frames = r.appendMessage(frames)
		}
		if err := r.publisher.write(frames); err != nil {
			return err
		}
		res.Published += half
	}
	return nil
}

// farStride returns a step that visits all n topics but goes far each time, so
// that a session's topics, which are neighbours, do not get messages in a row
// that the server could join.
func farStride(n int) int {
	gcd := func(a, b int) int {
		for b != 0 {
			a, b = b, a%b
		}
		return a
	}
	step := n * 618 / 1000
	for gcd(step, n) != 1 {
		step++
	}
	return step
}

// appendMessage appends the frame of the next publication.
func (r *Rig) appendMessage(frames []byte) []byte {
	k := r.turn
	r.turn = (k + r.stride) % len(r.topics)
	r.seq[k]++
	payload := r.doc.Append(nil, k, r.seq[k], r.loop.now())
	return ws.Append(frames, r.publisher.opcode, r.protocol.AppendPublish(nil, r.topics[k], payload))
}

// drainPatience is how long nothing may arrive before what is missing counts
// as lost.
const drainPatience = 2 * time.Second

// drainLimit is how long deliveries may trickle in.
const drainLimit = 15 * time.Second

// drain waits until total deliveries have been made, or nothing more comes, or
// little and for too long, and
// returns the time of the last one.
func (r *Rig) drain(total int64) time.Time {
	start, seen := time.Now(), r.loop.delivered.Load()
	last := start
	for seen < total && time.Since(last) < drainPatience && time.Since(start) < drainLimit {
		time.Sleep(500 * time.Microsecond)
		if now := r.loop.delivered.Load(); now != seen {
			last, seen = time.Now(), now
		}
	}
	return last
}
