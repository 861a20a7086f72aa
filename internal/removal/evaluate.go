package removal

import (
	"math"
	"time"
)

// An instant is a time in nanoseconds since the Scheduler was made, by the
// monotonic clock.
type instant int64

const never instant = math.MaxInt64

// add returns never rather than to overflow. One of i and d is not negative.
func (i instant) add(d time.Duration) instant {
	if i > 0 && d > time.Duration(never-i) {
		return never
	}
	return i + instant(d)
}

// An evaluation of the policy of one topic at one instant.
type evaluation struct {
	*Watch
	now  instant
	wall time.Time // the same as now
}

// at returns when t is. The zero time has always been.
func (e *evaluation) at(t time.Time) instant {
	if t.IsZero() {
		return math.MinInt64
	}
	return e.now.add(t.Sub(e.wall))
}

// A condition of a policy.
type condition interface {
	// check reports whether the condition is true. If not, the condition cannot
	// become true before the instant returned, unless something happens that
	// wakes the Watch; never, if not without that.
	check(*evaluation) (bool, instant)
}

func (c timeAfter) check(e *evaluation) (bool, instant) { return e.reached(e.at(c.date)) }

func (c *subscriptions) check(e *evaluation) (bool, instant) {
	below := instant(e.below.Load())
	if below == never {
		return false, never // Watch.Subscriptions wakes
	}
	return e.reached(max(max(below, e.at(c.from)).add(c.period), e.created.add(c.after)))
}

func (c *noUpdates) check(e *evaluation) (bool, instant) {
	latest := max(e.created, e.at(e.subject.LastUpdate()), e.at(c.from))
	return e.reached(max(latest.add(c.period), e.created.add(c.after)))
}

// check returns what observe has found, which also sees to it that the Watch is
// woken when that may change.
func (c *noSession) check(e *evaluation) (bool, instant) {
	return e.observations[c.index].holds, never
}

func (c and) check(e *evaluation) (bool, instant) {
	all, latest := true, instant(math.MinInt64)
	for _, sub := range c {
		if ok, at := sub.check(e); !ok {
			all, latest = false, max(latest, at)
		}
	}
	return all, latest
}

func (c or) check(e *evaluation) (bool, instant) {
	earliest := never
	for _, sub := range c {
		ok, at := sub.check(e)
		if ok {
			return true, 0
		}
		earliest = min(earliest, at)
	}
	return false, earliest
}

func (e *evaluation) reached(at instant) (bool, instant) { return at <= e.now, at }

// An observation is what is known of a noSession condition for one topic.
type observation struct {
	*question
	watch *Watch
	found bool    // that no session matches, at an evaluation
	since instant // when found
	holds bool    // the condition is true
	index int     // in question.waiting; -1: it does not wait
}

// observe brings o up to date and returns when it must be again at the latest,
// unless its question wakes it.
func (s *Scheduler) observe(e *evaluation, c *noSession) instant {
	o := &e.observations[c.index]
	o.holds = false
	if start := max(e.created.add(c.after), e.at(c.from)); e.now < start {
		return start
	}
	if o.found && e.now < o.since.add(c.period) {
		return o.since.add(c.period) // sessions may come and go until then
	}
	none := s.ask(o.question)
	if !o.found && none {
		o.found, o.since = true, e.now
		if c.period > 0 {
			o.leave()
			return o.since.add(c.period)
		}
	}
	o.found, o.holds = none, none
	o.wait()
	return never
}

// wait makes o's Watch be woken when the answer to its question changes.
func (o *observation) wait() {
	if o.index < 0 {
		o.index = len(o.waiting)
		o.waiting = append(o.waiting, o)
	}
}

func (o *observation) leave() {
	if o.index < 0 {
		return
	}
	last := len(o.waiting) - 1
	o.waiting[o.index] = o.waiting[last]
	o.waiting[o.index].index = o.index
	o.waiting[last] = nil
	o.waiting = o.waiting[:last]
	o.index = -1
}
