package load

import (
	"context"
	"errors"
	"sync"
	"time"
)

// totals are what was counted until some time.
type totals struct {
	at        time.Time
	published int64
	arrived   int64
	bytes     int64
	others    [5]int64 // outOfOrder, duplicate, corrupt, skipped, refreshed
	latency   distribution
	cpu       time.Duration // of this program
}

func (r *rig) totals() totals {
	f := r.fleet
	return totals{
		at: time.Now(), published: r.publisher.published.Load(), arrived: f.arrived.Load(), bytes: f.bytes(),
		others:  [5]int64{f.outOfOrder.Load(), f.duplicate.Load(), f.corrupt.Load(), f.skipped.Load(), f.refreshed.Load()},
		latency: f.latency.distribution(), cpu: processorTime(),
	}
}

// expected returns how many deliveries the updates since the beginning of the run
// make. The publisher must rest.
func (r *rig) expected() (n int64) {
	for topic, sent := range r.publisher.sent {
		n += int64(sent-1) * int64(r.counts[topic])
	}
	return n
}

// drive publishes at a rate, or as fast as values arrive, and waits for the last of them.
func (r *rig) drive(ctx context.Context, phase string, rate float64, duration time.Duration) (TrafficFigures, error) {
	before := r.totals()
	expected := r.expected()
	serverBefore, known := r.server.read(ctx)
	var t TrafficFigures
	var lag time.Duration
	var err error
	began := time.Now()
	r.sampling(phase, duration, func() {
		if rate > 0 {
			lag, err = r.publishAtRate(ctx, rate, duration)
		} else {
			err = r.publishAtWill(ctx, duration)
		}
		t = r.drained(before, expected, rate)
	})
	if err == nil {
		err = r.publisher.failed()
	}
	if err != nil {
		return t, err
	}
	r.finish(&t, before, serverBefore, known, lag)
	inTime := time.Since(began) <= duration+grace(duration) && float64(t.Published) >= 0.95*rate*duration.Seconds()
	t.KeptUp = t.Lost+t.Conflated == 0 && (rate == 0 || inTime)
	return t, nil
}

// grace is how long after its time all that was planned may be done.
func grace(duration time.Duration) time.Duration { return duration/10 + 200*time.Millisecond }

// publishAtRate publishes by a schedule, for some time or, if that is 0, until ctx
// ends, and returns how late it was at most. What is late is not left out, unless
// it is later than the grace after the end.
func (r *rig) publishAtRate(ctx context.Context, rate float64, duration time.Duration) (lag time.Duration, err error) {
	began := r.fleet.now()
	for k := 0; ; k++ {
		due := time.Duration(float64(k) / rate * float64(time.Second))
		late := r.fleet.now() - began - due
		if duration > 0 && (due >= duration || due+late >= duration+grace(duration)) {
			return lag, nil
		}
		if late < 0 && sleepUntil(ctx, r.start.Add(began+due)) != nil || ctx.Err() != nil {
			return lag, nil
		}
		lag = max(lag, r.fleet.now()-began-due)
		if err := r.publisher.publish(ctx, began+due); err != nil {
			return lag, interrupted(ctx, err)
		}
	}
}

// interrupted returns nil for errors that come from the end of ctx.
func interrupted(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return nil
	}
	return err
}

// inFlight is about how many deliveries are under way when publishing as fast as
// possible; the other two bound the updates that this makes.
const (
	inFlight       = 20_000
	leastInFlight  = 16
	mostInFlight   = 1000
	windowInterval = time.Millisecond
)

// publishAtWill publishes as fast as values arrive: when half of what is under way
// has arrived, so much is published again.
func (r *rig) publishAtWill(ctx context.Context, duration time.Duration) error {
	window := int64(min(mostInFlight, max(leastInFlight, inFlight/r.scenario.perUpdate())))
	each := max(1e-9, r.scenario.perUpdate()*float64(r.fleet.openNow())/float64(r.scenario.Sessions))
	settled := r.fleet.settled
	first, published := settled(), int64(0)
	stalled := newStall(settled)
	for end := time.Now().Add(duration); time.Now().Before(end) && ctx.Err() == nil; {
		if under := float64(published) - float64(settled()-first)/each; under > float64(window)/2 {
			if !stalled.after(stallPatience) {
				_ = sleepUntil(ctx, time.Now().Add(windowInterval)) // the loop sees why
				continue
			}
			first, published = settled(), 0 // what is missing was lost or conflated: it never comes
		}
		for range window / 2 {
			if err := r.publisher.publish(ctx, r.fleet.now()); err != nil {
				return interrupted(ctx, err)
			}
			published++
		}
	}
	return nil
}

// stallPatience is how long nothing may arrive before what is missing never will.
const stallPatience = time.Second

// A stall notices that a number no longer changes.
type stall struct {
	read    func() int64
	last    int64
	changed time.Time
}

func newStall(read func() int64) *stall { return &stall{read, read(), time.Now()} }

// after reports whether the number has stayed the same for that long.
func (s *stall) after(d time.Duration) bool {
	if n := s.read(); n != s.last {
		s.last, s.changed = n, time.Now()
	}
	return time.Since(s.changed) >= d
}

// drained waits until everything has arrived that was published since before, or
// nothing arrives any more, and returns figures that say when that was. expected is
// what [rig.expected] was then.
func (r *rig) drained(before totals, expected int64, rate float64) TrafficFigures {
	due := r.expected() - expected
	wanted := before.settled() + due
	stalled := newStall(r.fleet.settled)
	for r.fleet.settled() < wanted && !stalled.after(stallPatience) {
		time.Sleep(windowInterval)
	}
	stalled.after(0)
	seconds := stalled.changed.Sub(before.at).Seconds()
	if published := r.publisher.published.Load() - before.published; rate > 0 { // the last one has its time too
		seconds = max(seconds, float64(published)/rate)
	}
	return TrafficFigures{Rate: rate, Expected: due, Seconds: seconds}
}

// settled is how many deliveries have arrived or are known never to do.
func (f *fleet) settled() int64 { return f.arrived.Load() + f.skipped.Load() + f.refreshed.Load() }

func (t *totals) settled() int64 { return t.arrived + t.others[3] + t.others[4] }

// finish fills in what was counted since before.
func (r *rig) finish(t *TrafficFigures, before totals, serverBefore serverReading, known bool, lag time.Duration) {
	now := r.totals()
	seconds := max(t.Seconds, 1e-9)
	t.Seconds = round(seconds)
	t.Published = now.published - before.published
	t.Delivered = now.arrived - before.arrived
	t.PublishedPerSec, t.DeliveredPerSec = round(float64(t.Published)/seconds), round(float64(t.Delivered)/seconds)
	others := now.others
	for i := range others {
		others[i] -= before.others[i]
	}
	t.OutOfOrder, t.Duplicated, t.Corrupt, t.Conflated, t.Refreshed = others[0], others[1], others[2], others[3], others[4]
	t.BytesPerDelivery = round(float64(now.bytes-before.bytes) / float64(max(1, t.Delivered)))
	t.Latency = durationsOf(now.latency.since(before.latency))
	t.PublishLagMax = round(ms(lag))
	t.ToolProcessors = round((now.cpu - before.cpu).Seconds() / now.at.Sub(before.at).Seconds())
	missing := max(0, t.Expected-t.Delivered-t.Conflated-t.Refreshed)
	if server, ok := r.server.read(context.Background()); ok && known {
		t.serverKnown = true
		t.ServerCPU = round((server.cpu - serverBefore.cpu) * 1e6 / float64(max(1, t.Delivered)))
		t.ServerProcessors = round((server.cpu - serverBefore.cpu) / now.at.Sub(before.at).Seconds())
		conflated := min(missing, max(0, int64(server.conflated-serverBefore.conflated)))
		t.Conflated += conflated
		missing -= conflated
	}
	t.Lost = missing
}

// leastSample is the shortest time of a sample, so that low rates look even.
const leastSample = 250 * time.Millisecond

// sampling samples while do runs, and at its end.
func (r *rig) sampling(phase string, of time.Duration, do func()) {
	every := min(time.Second, max(leastSample, of/40))
	if of == 0 {
		every = leastSample / 2
	}
	done := make(chan struct{})
	var sampler sync.WaitGroup
	began := time.Now()
	r.sampled = r.totals()
	r.report(phase, 0, of, Sample{})
	sampler.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
			case <-done:
				return
			}
			sample := r.sample(phase)
			r.report(phase, time.Since(began), of, sample)
		}
	})
	do()
	close(done)
	sampler.Wait()
	if time.Since(r.sampled.at) > every/2 {
		r.sample(phase)
	}
}

func (r *rig) sample(phase string) Sample {
	now, last := r.totals(), r.sampled
	r.sampled = now
	seconds := now.at.Sub(last.at).Seconds()
	latency := now.latency.since(last.latency)
	s := Sample{
		Seconds: round(now.at.Sub(r.start).Seconds()), Phase: phase, Sessions: r.fleet.openNow(),
		PublishedPerSec: round(float64(now.published-last.published) / seconds),
		DeliveredPerSec: round(float64(now.arrived-last.arrived) / seconds),
		BytesPerSec:     round(float64(now.bytes-last.bytes) / seconds),
	}
	if latency.total() > 0 {
		s.P50, s.P99, s.Max = ms(latency.quantile(0.5)), ms(latency.quantile(0.99)), ms(latency.quantile(1))
	}
	r.result.Samples = append(r.result.Samples, s)
	return s
}

func (r *rig) report(phase string, done, of time.Duration, sample Sample) {
	if r.target.Progress != nil {
		r.target.Progress(Progress{Kind: r.scenario.Kind, Phase: phase, Done: done, Of: of, Sessions: r.fleet.openNow(), Sample: sample})
	}
}
