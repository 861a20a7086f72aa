package removal

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"advect.dev/internal/filter"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A subject is a topic as its owner keeps it.
type subject struct {
	created time.Time
	updated atomic.Int64 // nanoseconds since 1970; 0: never
	asked   atomic.Int64 // calls of LastUpdate
}

func (s *subject) Created() time.Time { return s.created }

func (s *subject) LastUpdate() time.Time {
	s.asked.Add(1)
	if n := s.updated.Load(); n != 0 {
		return time.Unix(0, n)
	}
	return time.Time{}
}

func (s *subject) update() { s.updated.Store(time.Now().UnixNano()) }

// sessions has some open sessions by id, and counts what it is asked.
type sessions struct {
	mu          sync.Mutex
	open        map[string]filter.Map
	any, opened int
}

func (s *sessions) Any(f *filter.Filter) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.any++
	for _, properties := range s.open {
		if f.Match(properties) {
			return true
		}
	}
	return false
}

func (s *sessions) Open(id string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opened++
	return s.open[id] != nil
}

func (s *sessions) set(id string, properties filter.Map) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if properties == nil {
		delete(s.open, id)
	} else {
		s.open[id] = properties
	}
}

// A bench is one topic in a running Scheduler with rounds every second.
type bench struct {
	*subject
	*Scheduler
	sessions *sessions
	watch    *Watch
	start    time.Time
	removed  []time.Duration // since start; of each Config.Remove
}

func (b *bench) close(id string) {
	b.sessions.set(id, nil)
	b.SessionClosed(id)
}

// TestConditions runs each policy in synthetic time. The steps happen at their
// times since the creation of the topic. Rounds are at whole seconds, and steps
// before or after those, so want is when removal must have happened.
func TestConditions(t *testing.T) {
	type step struct {
		at time.Duration
		do func(*bench)
	}
	const half = time.Second / 2
	subs := func(at time.Duration, n int) step {
		return step{at, func(b *bench) { b.watch.Subscriptions(n) }}
	}
	update := func(at time.Duration) step { return step{at, func(b *bench) { b.update() }} }
	bob := func(at time.Duration) step {
		return step{at, func(b *bench) { b.sessions.set("bob", filter.Map{"$Principal": "bob"}) }}
	}
	noBob := func(at time.Duration) step { return step{at, func(b *bench) { b.close("bob") }} }
	closes := func(at time.Duration) step { return step{at, func(b *bench) { b.close("creator") }} }
	s := func(n int) time.Duration { return time.Duration(n) * time.Second }
	const no = -1

	for _, tt := range []struct {
		name, policy string
		steps        []step
		want         time.Duration // no: not within an hour
	}{
		{"date", "when time after 946684860000", nil, s(60)}, // synthetic time starts at 946684800000
		{"date in quotes", "when time after 'Mon, 1 Jan 2000 00:01:00 GMT'", nil, s(60)},
		{"date between rounds", "when time after 946684860001", nil, s(61)},
		{"date in the past", "when time after 5", nil, s(1)},
		{"date in the far future", "when time after 9223372036854775807", nil, no},

		{"never subscribed", "when subscriptions < 1 for 10s", nil, s(10)},
		{"local", "when local subscriptions < 1 for 10s", nil, s(10)},
		{"subscribed", "when subscriptions < 1 for 10s", []step{subs(s(3)+half, 1)}, no},
		{"subscribed between rounds", "when subscriptions < 1 for 10s",
			[]step{subs(s(3)+half, 1), subs(s(3)+half+1, 0)}, s(14)},
		{"unsubscribed", "when subscriptions < 1 for 10s", []step{subs(half, 1), subs(s(30)-half, 0)}, s(40)},
		{"fewer than three", "when subscriptions < 3 for 10s",
			[]step{subs(half, 5), subs(s(20)-half, 3), subs(s(30)-half, 2), subs(s(31), 1), subs(s(32), 2)}, s(40)},
		{"fewer than none", "when subscriptions < 0 for 1s", nil, no},
		{"subscriptions after", "when subscriptions < 1 for 10s after 1m", nil, s(60)},
		{"subscriptions after, subscribed", "when subscriptions < 1 for 10s after 1m",
			[]step{subs(half, 1), subs(s(55)-half, 0)}, s(65)},
		{"at once", "when subscriptions < 1 for 0s", nil, s(1)},

		{"never updated", "when no updates for 10s", nil, s(10)},
		{"updated", "when no updates for 10s", []step{update(s(5) - half), update(s(14))}, s(24)},
		{"updates after", "when no updates for 10s after 1m", []step{update(s(5))}, s(60)},
		{"updates after, updated", "when no updates for 10s after 1m", []step{update(s(55) - half)}, s(65)},
		{"a long period", "when no updates for 106751d", nil, no},

		{"no session", "when no session has '$Principal is \"bob\"'", nil, s(1)},
		{"a session", "when no session has '$Principal is \"bob\"'", []step{bob(half)}, no},
		{"a session that closes", "when no local session has '$Principal is \"bob\"'", []step{bob(half), noBob(s(20) - half)}, s(20)},
		{"no session for", "when no session has '$Principal is \"bob\"' for 10s", nil, s(11)},
		{"no session for, one between", "when no session has '$Principal is \"bob\"' for 10s",
			[]step{bob(s(3)), noBob(s(9))}, s(11)},
		{"no session for, one at the end", "when no session has '$Principal is \"bob\"' for 10s",
			[]step{bob(s(9)), noBob(s(20) - half)}, s(30)},
		{"no session after", "when no session has '$Principal is \"bob\"' after 1m", nil, s(60)},
		{"no session for after", "when no session has '$Principal is \"bob\"' for 10s after 1m",
			[]step{bob(half), noBob(s(59))}, s(70)},
		{"no session at all", "when no session has 'all'", []step{closes(s(10) - half)}, s(10)},

		{"this session", "when this session closes", []step{closes(s(10) - half)}, s(10)},
		{"this session stays", "when this session closes", []step{bob(half), noBob(s(3))}, no},
		{"closed before", "when this session closes", []step{closes(half)}, s(1)},

		{"and", "when no updates for 10s and this session closes", []step{closes(half), update(s(8) - half)}, s(18)},
		{"and, other way round", "when no updates for 10s and this session closes", []step{update(s(8)), closes(s(30) - half)}, s(30)},
		{"and, updated before the end", "when no updates for 10s and this session closes",
			[]step{update(s(28) - half), closes(s(30) - half)}, s(38)},
		{"and, not true together", "when subscriptions < 1 for 10s and no updates for 20s",
			[]step{subs(s(11), 1), subs(s(30)-half, 0)}, s(40)},
		{"and, a session comes back", "when no session has '$Principal is \"bob\"' for 5s and no updates for 20s",
			[]step{bob(s(15) - half), noBob(s(18) - half)}, s(23)},
		{"or", "when no updates for 1h or this session closes", []step{closes(s(10) - half)}, s(10)},
		{"or, the other", "when no updates for 10s or this session closes", nil, s(10)},
		{"or and and", "when no updates for 10s or this session closes and time after 946684805000",
			[]step{closes(half), update(s(4))}, s(5)},
		{"parentheses", "when (no updates for 10s or this session closes) and time after 946684820000", []step{closes(half)}, s(20)},

		{"periods from a date", "when time after 946684860000 and no updates for 10s", nil, s(70)},
		{"periods from a date, updated", "when no updates for 10s and time after 946684860000", []step{update(s(65) - half)}, s(75)},
		{"subscriptions from a date", "when time after 946684860000 and subscriptions < 1 for 10s", nil, s(70)},
		{"sessions from a date", "when time after 946684860000 and no session has '$Principal is \"bob\"' for 10s", nil, s(70)},
		{"creator and date", "when time after 946684860000 and this session closes", []step{closes(half)}, s(60)},
		{"after counts from creation", "when time after 946684860000 and no updates for 10s after 65s", nil, s(70)},
		{"after counts from creation, later", "when time after 946684860000 and no updates for 10s after 2m", nil, s(120)},
		{"periods not from a date", "when time after 946684860000 or no updates for 10s", nil, s(10)},
		{"example", `when time after "Sat, 1 Jan 2000 00:01:00 GMT" and (no updates for 7m or subscriptions < 5 for 20s after 1m)`,
			[]step{subs(half, 5), subs(s(70)-half, 4)}, s(90)},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := &bench{sessions: &sessions{open: map[string]filter.Map{"creator": {}}}, start: time.Now()}
				b.Scheduler = New(Config{Interval: time.Second, Sessions: b.sessions, Remove: func(got Subject, p *Policy) {
					if got != b.subject || p.String() != tt.policy {
						t.Errorf("removes %v by %v", got, p)
					}
					b.removed = append(b.removed, time.Since(b.start))
					b.watch.Forget()
				}})
				b.subject = &subject{created: b.start}
				b.watch = b.Add(b.subject, mustParse(t, tt.policy), "creator")
				ctx, cancel := context.WithCancel(t.Context())
				done := make(chan struct{})
				go func() {
					defer close(done)
					b.Run(ctx)
				}()
				for _, step := range tt.steps {
					time.Sleep(time.Until(b.start.Add(step.at)))
					step.do(b)
				}
				time.Sleep(time.Until(b.start.Add(time.Hour)))
				cancel()
				<-done
				want := []time.Duration{tt.want}
				if tt.want == no {
					want = nil
				}
				if !slices.Equal(b.removed, want) {
					t.Errorf("%s removes at %v, want %v", tt.policy, b.removed, want)
				}
			})
		})
	}
}

// A topic that its own policy leaves in place is evaluated further.
func TestSurvivor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		topic := &subject{created: time.Now()}
		var removed int
		s := New(Config{Remove: func(got Subject, p *Policy) {
			if removed++; p.Selector().String() != "?other//" {
				t.Errorf("removes %v", p.Selector())
			}
		}})
		w := s.Add(topic, mustParse(t, "when no updates for 10s remove '?other//'"), "")
		round := func(want int) {
			t.Helper()
			time.Sleep(5 * time.Second)
			if s.round(t.Context()); removed != want {
				t.Errorf("removed %d times, want %d", removed, want)
			}
		}
		round(0)
		round(1)
		round(2)
		topic.update()
		round(2)
		round(3)
		w.Forget()
		round(3)
	})
}

// The first of topics that select each other removes the others too.
func TestRemovedByAnother(t *testing.T) {
	var watches []*Watch
	removed := 0
	s := New(Config{Remove: func(Subject, *Policy) {
		removed++
		for _, w := range watches {
			w.Forget()
		}
	}})
	for range 3 {
		watches = append(watches, s.Add(&subject{}, mustParse(t, "when time after 1 remove '?a//'"), ""))
	}
	if s.round(t.Context()); removed != 1 {
		t.Errorf("%d removals", removed)
	}
}

// When the server stops, its sessions close. That must remove nothing.
func TestNothingIsRemovedWhenStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	removed := 0
	s := New(Config{Remove: func(Subject, *Policy) { removed++; cancel() }})
	for range 3 {
		s.Add(&subject{}, mustParse(t, "when time after 1"), "")
	}
	if s.round(ctx); removed != 1 {
		t.Errorf("%d removals", removed)
	}
	s.Run(ctx)
}

// Many topics take no goroutine, and only those about which something may have
// changed are looked at.
func TestManyTopics(t *testing.T) {
	const n = 100_000
	synctest.Test(t, func(t *testing.T) {
		all := &sessions{open: map[string]filter.Map{"creator": {}}}
		removed := map[Subject]bool{}
		s := New(Config{Sessions: all, Remove: func(topic Subject, _ *Policy) { removed[topic] = true }})
		policies := []*Policy{
			mustParse(t, "when no updates for 1h"),
			mustParse(t, "when subscriptions < 1 for 1h"),
			mustParse(t, "when this session closes"),
			mustParse(t, "when time after 1893456000000 and no updates for 1s"),
			mustParse(t, "when no session has 'all' for 1m"),
			mustParse(t, "when no session has '( ALL )' or no updates for 1h"),
			mustParse(t, "when no updates for 1s and subscriptions < 1 for 2h"),
			mustParse(t, "when subscriptions < 1 for 2h and no updates for 1s after 3s"),
		}
		goroutines := runtime.NumGoroutine()
		topics, watches := make([]*subject, n), make([]*Watch, n)
		for i := range topics {
			topics[i] = &subject{created: time.Now()}
			watches[i] = s.Add(topics[i], policies[i%len(policies)], "creator")
		}
		round := func(want int) {
			t.Helper()
			time.Sleep(5 * time.Second)
			all.any, all.opened = 0, 0
			if got := s.round(t.Context()); got != want {
				t.Errorf("a round after %v looks at %d topics, want %d", time.Since(topics[0].created), got, want)
			}
			for _, q := range s.filters {
				if len(q.waiting) > 0 && all.any != 1 {
					t.Errorf("the filter is evaluated %d times", all.any)
				}
			}
		}
		round(n)
		if all.opened != 1 {
			t.Errorf("the session is asked for %d times", all.opened)
		}
		if got := runtime.NumGoroutine(); got != goroutines {
			t.Errorf("%d goroutines, were %d", got, goroutines)
		}
		for range 50 {
			round(0)
			if all.opened != 0 {
				t.Error("the session is asked for again")
			}
		}
		if allocated := testing.AllocsPerRun(10, func() { s.round(t.Context()) }); allocated > 0 {
			t.Errorf("an idle round allocates %v times", allocated)
		}

		// One topic is looked at for what happens to it.
		watches[1].Subscriptions(1)
		round(0)
		watches[1].Subscriptions(0)
		watches[1].Subscriptions(1)
		watches[1].Subscriptions(0)
		round(1)

		// Those with the filter are looked at when its answer changes.
		all.set("creator", nil)
		round(n / 4)
		if len(removed) != n/8 {
			t.Errorf("%d removed", len(removed))
		}
		s.SessionClosed("creator")
		s.SessionClosed("unknown")
		round(n/8 + n/8) // those removed are still there, and are looked at again
		if len(removed) != n/4 {
			t.Errorf("%d removed", len(removed))
		}

		for _, w := range watches {
			w.Forget()
		}
		round(0)
		round(0)
		if len(s.pending)+len(s.filters)+len(s.creators)+len(s.inbox) != 0 {
			t.Error("forgotten topics leave something behind")
		}
	})
}

// Forgetting one topic leaves nothing of it in what it shared with another.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := &sessions{open: map[string]filter.Map{"creator": {}}}
		removed := 0
		s := New(Config{Sessions: all, Remove: func(Subject, *Policy) { removed++ }})
		p := mustParse(t, "when no session has 'all' and this session closes or subscriptions < 1 for 1h")
		kept := s.Add(&subject{created: time.Now()}, p, "creator")
		gone := s.Add(&subject{created: time.Now()}, p, "creator")
		neverSeen := s.Add(&subject{created: time.Now()}, p, "creator")
		neverSeen.Forget()
		s.round(t.Context())
		gone.Forget()
		s.round(t.Context())
		gone.Subscriptions(1)
		gone.Subscriptions(0)
		gone.Forget()
		s.round(t.Context())
		if len(s.pending) != 1 || s.pending[0] != kept {
			t.Errorf("%d topics wait for an instant", len(s.pending))
		}
		for _, q := range []*question{s.filters["all"], s.creators["creator"]} {
			if q == nil || q.topics != 1 || len(q.waiting) != 1 || q.waiting[0].watch != kept {
				t.Errorf("question = %+v", q)
			}
		}
		all.set("creator", nil)
		s.SessionClosed("creator")
		if s.round(t.Context()); removed != 1 {
			t.Errorf("%d removed", removed)
		}
	})
}

// A topic that is updated all the time is looked at once a period, and not at all
// while another condition forbids removal anyway.
func TestBusyTopic(t *testing.T) {
	for _, tt := range []struct {
		policy string
		most   int64 // calls of LastUpdate in an hour
	}{
		{"when no updates for 10m", 7},
		{"when no updates for 1s and subscriptions < 1 for 2h", 1},
		{"when subscriptions < 1 for 2h and no updates for 1s", 1},
		{"when no updates for 1s after 2h", 1},
		{"when no updates for 1s and time after 1893456000000", 1},
		{"when this session closes and no updates for 1s", 1},
	} {
		synctest.Test(t, func(t *testing.T) {
			topic := &subject{created: time.Now()}
			all := &sessions{open: map[string]filter.Map{"creator": {}}}
			s := New(Config{Sessions: all, Remove: func(Subject, *Policy) { t.Errorf("%s removes", tt.policy) }})
			s.Add(topic, mustParse(t, tt.policy), "creator")
			for range 720 {
				time.Sleep(5 * time.Second)
				topic.update()
				s.round(t.Context())
			}
			if n := topic.asked.Load(); n > tt.most {
				t.Errorf("%s is evaluated %d times in an hour, want %d", tt.policy, n, tt.most)
			}
		})
	}
}

// Everything may be called from anywhere while rounds go on.
func TestConcurrentUse(t *testing.T) {
	var removed atomic.Int64
	all := &sessions{open: map[string]filter.Map{}}
	s := New(Config{Interval: 100 * time.Microsecond, Sessions: all, Remove: func(Subject, *Policy) { removed.Add(1) }})
	ctx, cancel := context.WithCancel(t.Context())
	var running, working sync.WaitGroup
	running.Go(func() { s.Run(ctx) })
	for worker := range 4 {
		working.Go(func() {
			id := fmt.Sprint(worker)
			for i := range 500 {
				all.set(id, filter.Map{"A": id})
				topic := &subject{created: time.Now()}
				w := s.Add(topic, mustParse(t, fmt.Sprintf("when no updates for 1h or subscriptions < 1 for 0s and this session closes or no session has 'A is \"%d\"'", worker)), id)
				w.Subscriptions(i % 3)
				topic.update()
				w.Subscriptions(0)
				all.set(id, nil)
				s.SessionClosed(id)
				if i%2 == 0 {
					w.Forget()
				}
			}
		})
	}
	working.Wait()
	for removed.Load() == 0 {
		runtime.Gosched()
	}
	cancel()
	running.Wait()
	var none *Watch
	none.Subscriptions(1)
	none.Forget()
}

func BenchmarkRound(b *testing.B) {
	s := New(Config{Sessions: &sessions{}, Remove: func(Subject, *Policy) {}})
	p := mustParse(b, "when no updates for 1h")
	for range 100_000 {
		s.Add(&subject{created: time.Now()}, p, "")
	}
	s.round(b.Context())
	b.ReportAllocs()
	for b.Loop() {
		s.round(b.Context())
	}
}
