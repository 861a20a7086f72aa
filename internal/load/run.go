package load

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A rig is a scenario that runs.
type rig struct {
	target    *Target
	scenario  *Scenario
	start     time.Time
	publisher *publisher
	fleet     *fleet
	server    *serverMetrics
	counts    []int // sessions of each topic
	result    Result

	sampled totals // by the goroutine that samples, one at a time
}

// Run plays a scenario. When ctx ends it is cut short: the result is about what was
// done until then, and the error is that of ctx. Other errors come without a result
// that means anything. In every case the topics are removed and the sessions closed.
func Run(ctx context.Context, target *Target, scenario Scenario) (result Result, err error) {
	if err := scenario.Check(); err != nil {
		return Result{}, err
	}
	r := &rig{target: target, scenario: &scenario, start: time.Now()}
	r.result = Result{
		Scenario: scenario, DurationSeconds: scenario.Duration.Seconds(), WarmupSeconds: scenario.Warmup.Seconds(), Samples: []Sample{},
	}
	root := "bench/" + strconv.FormatInt(time.Now().UnixNano(), 36)
	if r.publisher, err = newPublisher(ctx, target.Open, &scenario, root); err != nil {
		return Result{}, err
	}
	defer func() {
		r.report("closing", 0, 0, Sample{})
		r.fleet.close()
		if removal := r.publisher.close(ctx); err == nil {
			err = removal
		}
	}()
	r.fleet = newFleet(target.Open, &scenario, root, r.start)
	r.fleet.drop = target.drop
	r.server = newServerMetrics(r.publisher.session, target.MetricsURL)
	if err := r.publisher.begin(ctx, &scenario, r.fleet.now); err != nil {
		return Result{}, err
	}
	if err := r.play(ctx); err != nil {
		return Result{}, err
	}
	r.sessionFigures()
	r.result.judge(ctx.Err() != nil)
	return r.result, ctx.Err()
}

func (r *rig) play(ctx context.Context) error {
	if err := r.open(ctx); err != nil || ctx.Err() != nil {
		return err
	}
	s := r.scenario
	if s.Kind == Connect {
		r.calm(ctx, "holding")
		return r.after(ctx)
	}
	if s.Warmup > 0 {
		rate := s.Rate
		if s.Kind == Latency {
			rate = s.Rates[0]
		}
		if _, err := r.drive(ctx, "warming up", rate, s.Warmup); err != nil {
			return err
		}
	}
	var err error
	switch {
	case ctx.Err() != nil:
	case s.Kind == Latency:
		err = r.climb(ctx)
	case s.Kind == Reconnect:
		err = r.weather(ctx)
	default:
		var t TrafficFigures
		t, err = r.drive(ctx, "measuring", s.Rate, s.Duration)
		r.result.Traffic = &t
	}
	return errors.Join(err, r.after(ctx))
}

// opening is the phase in which sessions are opened.
const opening = "opening"

// open opens the sessions.
func (r *rig) open(ctx context.Context) error {
	before, known := r.server.read(ctx)
	began := time.Now()
	r.sampling(opening, 0, func() { r.fleet.openAll(ctx) })
	took := time.Since(began)
	r.counts = r.fleet.subscribers()
	r.result.Sessions.Seconds = round(took.Seconds())
	r.result.Sessions.PerSecond = round(float64(r.fleet.opened.Load()) / took.Seconds())
	r.result.Sessions.Wanted = r.scenario.Sessions
	if r.fleet.opened.Load() == 0 && ctx.Err() == nil {
		r.fleet.mu.Lock()
		defer r.fleet.mu.Unlock()
		return fmt.Errorf("none of %d sessions could be opened: %v", r.scenario.Sessions, r.fleet.errors)
	}
	if after, ok := r.server.read(ctx); ok && known {
		n := float64(max(1, r.fleet.opened.Load()))
		r.result.Server = &ServerFigures{
			MemoryBefore: before.memory, MemoryOpen: after.memory, MemoryPerSession: round((after.memory - before.memory) / n),
			OpenCPU: round((after.cpu - before.cpu) * 1e6 / n),
		}
	}
	return nil
}

// after takes note of the server at the end.
func (r *rig) after(ctx context.Context) error {
	if now, ok := r.server.read(context.WithoutCancel(ctx)); ok && r.result.Server != nil {
		r.result.Server.MemoryAfter = now.memory
	}
	return nil
}

func (r *rig) sessionFigures() {
	f, s := r.fleet, &r.result.Sessions
	s.Opened, s.Ready, s.Closed = f.opened.Load(), f.ready.Load(), f.closed.Load()
	s.Connect, s.FirstValue = durationsOf(f.connect.distribution()), durationsOf(f.first.distribution())
	f.mu.Lock()
	defer f.mu.Unlock()
	s.Errors = make(map[string]int, len(f.errors))
	for text, n := range f.errors {
		s.Errors[text] = n
	}
}

// climb goes through the rates, until one is more than can be done.
func (r *rig) climb(ctx context.Context) error {
	for _, rate := range r.scenario.Rates {
		t, err := r.drive(ctx, fmt.Sprintf("%s/s", count(int64(rate))), rate, r.scenario.Duration)
		if err != nil {
			return err
		}
		if ctx.Err() != nil && t.Published == 0 {
			return nil
		}
		r.result.Steps = append(r.result.Steps, t)
		if !t.KeptUp || ctx.Err() != nil {
			return nil
		}
	}
	return nil
}

// weather cuts all connections, as often as wanted, while values are published.
func (r *rig) weather(ctx context.Context) error {
	before, expected := r.totals(), r.expected()
	serverBefore, known := r.server.read(ctx)
	published, stop := context.WithCancel(ctx)
	defer stop()
	failed := make(chan error, 1)
	lag := time.Duration(0)
	go func() {
		var err error
		lag, err = r.publishAtRate(published, r.scenario.Rate, 0)
		failed <- err
	}()
	for range r.scenario.Storms {
		r.calm(ctx, "calm")
		if ctx.Err() != nil {
			break
		}
		var storm *storm
		r.sampling("storm", 0, func() {
			storm = r.fleet.storm()
			r.result.Storms = append(r.result.Storms, storm.await(ctx))
		})
	}
	r.calm(ctx, "after")
	stop()
	if err := <-failed; err != nil {
		return err
	}
	t := r.drained(before, expected, r.scenario.Rate)
	r.finish(&t, before, serverBefore, known, lag)
	r.result.Traffic = &t
	return r.publisher.failed()
}

// calm samples for the duration of the scenario.
func (r *rig) calm(ctx context.Context, phase string) {
	span := r.scenario.Duration
	r.sampling(phase, span, func() { _ = sleepUntil(ctx, time.Now().Add(span)) }) // callers see whether ctx ended
}

// await waits until all sessions are back and current, or have had their time.
func (s *storm) await(ctx context.Context) StormFigures {
	f := StormFigures{Cut: len(s.fleet.members), CutSeconds: round(s.cutIn.Seconds()), Returned: []ReturnedSample{{}}}
	const points = 200 // about so many, however long it takes
	step, next := time.Duration(0), time.Duration(0)
	for {
		took := s.fleet.now() - s.began
		f.Reconnected, f.Current = s.back.Load(), s.upToDate.Load()
		over := f.Current+s.gone() >= int64(f.Cut) || took > stormPatience || ctx.Err() != nil
		if took >= next || over {
			f.Returned = append(f.Returned, ReturnedSample{round(took.Seconds()), f.Reconnected, f.Current})
			step = max(5*time.Millisecond, took/points*4)
			next = took + step
		}
		if over {
			f.Seconds = round(took.Seconds())
			break
		}
		time.Sleep(time.Millisecond)
	}
	f.WithLoss = min(s.withLoss.Load(), f.Reconnected)
	f.WithoutLoss = f.Reconnected - f.WithLoss
	f.ReconnectIn, f.CurrentAfter = durationsOf(s.reconnects.distribution()), durationsOf(s.currents.distribution())
	return f
}

// stormPatience is how long sessions may take to come back: longer than the SDK tries.
const stormPatience = 90 * time.Second

// gone returns how many sessions have ended.
func (s *storm) gone() int64 { return s.fleet.closed.Load() }

// openNow returns how many sessions are open.
func (f *fleet) openNow() int64 { return f.opened.Load() - f.closed.Load() }
