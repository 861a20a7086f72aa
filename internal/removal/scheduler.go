package removal

import (
	"container/heap"
	"context"
	"sync"
	"sync/atomic"
	"time"

	"advect.dev/internal/filter"
)

// DefaultInterval is the time between rounds of evaluation.
const DefaultInterval = 5 * time.Second

// Config is what a [Scheduler] needs.
type Config struct {
	// Interval is the time between rounds. Default DefaultInterval.
	Interval time.Duration

	// Sessions are asked in each round by policies that have conditions on them.
	Sessions Sessions

	// Remove removes what the policy of a topic selects, or the topic if
	// Policy.Selector is nil, with the permissions of the topic's creator. The
	// topic may have been forgotten meanwhile. A topic that is not forgotten
	// before the next round is evaluated further. Remove may call the methods
	// of Scheduler and Watch.
	Remove func(Subject, *Policy)
}

// Sessions are the open sessions, connected or not. Methods are called by the
// goroutine of [Scheduler.Run].
type Sessions interface {
	// Any reports whether the filter matches an open session. It is called once
	// a round at most for all filters with the same String. Each topic may have
	// another, so with many sessions Any should plan from Filter.Candidates.
	Any(*filter.Filter) bool

	// Open reports whether a session is open.
	Open(id string) bool
}

// A Subject is a topic with a policy. Methods are called by the goroutine of
// [Scheduler.Run], but for Created, which Add calls.
type Subject interface {
	// Created returns when the topic was created or restored.
	Created() time.Time

	// LastUpdate returns when the topic was last updated, or zero. It may come
	// from a coarse clock, and then be early by as much as that clock's period.
	// It is only called if Policy.WatchesUpdates.
	LastUpdate() time.Time
}

// A Scheduler watches topics with removal policies.
type Scheduler struct {
	cfg   Config
	epoch time.Time // instant 0

	mu     sync.Mutex
	inbox  []*Watch // guarded by mu; each once
	closed []string // guarded by mu; ids of sessions

	// Owned by the goroutine of Run.
	rounds   uint64
	pending  pending
	filters  map[string]*question
	creators map[string]*question // by session id
	woken    []*Watch             // of the current round; scratch between rounds
}

// New returns a Scheduler without topics.
func New(cfg Config) *Scheduler {
	if cfg.Interval <= 0 {
		cfg.Interval = DefaultInterval
	}
	return &Scheduler{
		cfg:      cfg,
		epoch:    time.Now(),
		filters:  map[string]*question{},
		creators: map[string]*question{},
	}
}

// A Watch stands for one topic in a [Scheduler].
type Watch struct {
	scheduler *Scheduler
	subject   Subject
	policy    *Policy
	creator   string
	created   instant
	below     atomic.Int64 // instant since which there are fewer subscriptions than the policy says, or never
	forgotten atomic.Bool
	queued    bool // in the inbox; guarded by Scheduler.mu

	// Owned by the goroutine of Run.
	due          instant       // in pending
	index        int           // in pending; -1: not there
	awake        bool          // in Scheduler.woken
	observations []observation // of Policy.sessions; nil before the first evaluation
}

// Add begins to watch a topic that as yet has no subscriptions. creator is the id
// of the session that created it, which may be closed by now. The topic is
// evaluated in the next round.
func (s *Scheduler) Add(subject Subject, policy *Policy, creator string) *Watch {
	w := &Watch{scheduler: s, subject: subject, policy: policy, creator: creator, index: -1}
	w.created = instant(subject.Created().Sub(s.epoch))
	w.below.Store(int64(never))
	if c := policy.subscriptions; c != nil && c.fewer > 0 {
		w.below.Store(int64(w.created))
	}
	s.post(w)
	return w
}

// Forget ends the watch, when the topic is removed. A Config.Remove for it that is
// under way, or about to be, is not waited for. A nil Watch does nothing.
func (w *Watch) Forget() {
	if w != nil && !w.forgotten.Swap(true) {
		w.scheduler.post(w)
	}
}

// Subscriptions tells that the topic now has count subscriptions. Calls for one
// Watch must not overlap, and come in the order of the changes. Most return
// after a comparison; a nil Watch does nothing.
func (w *Watch) Subscriptions(count int) {
	if w == nil || w.policy.subscriptions == nil {
		return
	}
	fewer := count < w.policy.subscriptions.fewer
	if was := w.below.Load() != int64(never); fewer == was {
		return
	}
	if !fewer {
		w.below.Store(int64(never))
		return
	}
	w.below.Store(int64(time.Since(w.scheduler.epoch)))
	w.scheduler.post(w)
}

// SessionClosed tells that a session has closed. Sessions.Open must by then
// report it.
func (s *Scheduler) SessionClosed(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = append(s.closed, id)
}

// post has the next round look at w.
func (s *Scheduler) post(w *Watch) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !w.queued {
		w.queued = true
		s.inbox = append(s.inbox, w)
	}
}

// Run evaluates policies until ctx is done; then no further Config.Remove begins.
// It must be called once. Cancel ctx before closing sessions when the server
// stops, or their topics will be removed.
func (s *Scheduler) Run(ctx context.Context) {
	ticker := time.NewTicker(s.cfg.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.round(ctx)
		}
	}
}

// round looks once at all topics whose policies may have become true, and
// returns how many there were.
func (s *Scheduler) round(ctx context.Context) int {
	s.rounds++
	wall := time.Now()
	now := instant(wall.Sub(s.epoch))

	s.takeInbox()
	for _, q := range s.filters {
		if before := q.none; len(q.waiting) > 0 && s.ask(q) != before {
			s.wakeAll(q)
		}
	}
	for len(s.pending) > 0 && s.pending[0].due <= now {
		s.wake(heap.Pop(&s.pending).(*Watch))
	}

	fulfilled := s.woken[:0] // follows the loop in the same memory
	evaluated := len(s.woken)
	for _, w := range s.woken {
		w.awake = false
		if !w.forgotten.Load() && s.evaluate(&evaluation{w, now, wall}) {
			fulfilled = append(fulfilled, w)
		}
	}
	for _, w := range fulfilled {
		// Of topics that select each other, the first may have removed the others.
		if ctx.Err() == nil && !w.forgotten.Load() {
			s.cfg.Remove(w.subject, w.policy)
		}
	}
	clear(s.woken)
	s.woken = s.woken[:0]
	return evaluated
}

// takeInbox wakes the topics that something was told about.
func (s *Scheduler) takeInbox() {
	s.mu.Lock()
	inbox, closed := s.inbox, s.closed
	s.inbox, s.closed = nil, nil
	for _, w := range inbox {
		w.queued = false
	}
	s.mu.Unlock()
	for _, w := range inbox {
		if w.forgotten.Load() {
			s.drop(w)
		} else {
			s.wake(w)
		}
	}
	for _, id := range closed {
		if q := s.creators[id]; q != nil {
			q.none = true
			s.wakeAll(q)
		}
	}
}

func (s *Scheduler) wake(w *Watch) {
	if !w.awake {
		w.awake = true
		s.woken = append(s.woken, w)
	}
}

func (s *Scheduler) wakeAll(q *question) {
	for _, o := range q.waiting {
		s.wake(o.watch)
	}
}

// evaluate reports whether the policy of a topic is fulfilled, and sees to it
// that the topic is woken when that may next be so.
func (s *Scheduler) evaluate(e *evaluation) bool {
	if e.observations == nil && e.policy.sessions != nil {
		e.observations = make([]observation, len(e.policy.sessions))
		for i, c := range e.policy.sessions {
			e.observations[i] = observation{question: s.question(c, e.creator), watch: e.Watch, index: -1}
		}
	}
	next := never
	for _, c := range e.policy.sessions {
		next = min(next, s.observe(e, c))
	}
	ok, at := e.policy.when.check(e)
	if ok {
		at = e.now // in the next round, if it survives
	}
	s.schedule(e.Watch, min(next, at))
	return ok
}

// schedule has w woken in the first round at or after due, whatever was scheduled before.
func (s *Scheduler) schedule(w *Watch, due instant) {
	w.due = due
	switch {
	case w.index >= 0 && due == never:
		heap.Remove(&s.pending, w.index)
	case w.index >= 0:
		heap.Fix(&s.pending, w.index)
	case due != never:
		heap.Push(&s.pending, w)
	}
}

// drop gives up what a forgotten w holds.
func (s *Scheduler) drop(w *Watch) {
	s.schedule(w, never)
	for i := range w.observations {
		s.release(&w.observations[i])
	}
	w.observations = nil
}

// pending is a heap of topics by the instant at which to wake them.
type pending []*Watch

func (p pending) Len() int           { return len(p) }
func (p pending) Less(i, j int) bool { return p[i].due < p[j].due }

func (p pending) Swap(i, j int) {
	p[i], p[j] = p[j], p[i]
	p[i].index, p[j].index = i, j
}

// Push implements [heap.Interface].
func (p *pending) Push(w any) {
	w.(*Watch).index = len(*p)
	*p = append(*p, w.(*Watch))
}

// Pop implements [heap.Interface].
func (p *pending) Pop() any {
	last := len(*p) - 1
	w := (*p)[last]
	(*p)[last] = nil
	*p = (*p)[:last]
	w.index = -1
	return w
}
