package removal

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"advect.dev/internal/filter"
)

// A model is a condition that is evaluated the simple way: in every round, from
// the whole state of the topic and the sessions.
type model struct {
	kind          string // and, or, time, subscriptions, updates, session, creator
	subs          []*model
	n             int // of subscriptions; of the session
	period, after int // seconds

	found, since int // of a session condition: whether, and the round
}

// A world is all that a model depends on. Times are in seconds since the topic
// was created.
type world struct {
	now, subscriptions, updated int
	below                       [4]int // since when fewer than that many; -1: not
	open                        [3]bool
	creator                     bool
}

func (w *world) subscribe(n int) {
	w.subscriptions = n
	for limit := range w.below {
		if n >= limit {
			w.below[limit] = -1
		} else if w.below[limit] < 0 {
			w.below[limit] = w.now
		}
	}
}

// holds evaluates m. Periods count from the second start at the earliest.
func (m *model) holds(w *world, start int) bool {
	switch m.kind {
	case "and":
		all := true
		for _, sub := range m.conjuncts() {
			if sub.kind == "time" {
				start = max(start, sub.n)
			}
		}
		for _, sub := range m.subs {
			all = sub.holds(w, start) && all // every one, for its state
		}
		return all
	case "or":
		some := false
		for _, sub := range m.subs {
			some = sub.holds(w, start) || some
		}
		return some
	case "time":
		return w.now >= m.n
	case "subscriptions":
		return w.now >= m.after && w.below[m.n] >= 0 && w.now >= max(w.below[m.n], start)+m.period
	case "updates":
		return w.now >= m.after && w.now >= max(w.updated, start)+m.period
	case "creator":
		return !w.creator
	}
	if w.now < max(m.after, start) {
		return false
	}
	none := !w.open[m.n]
	if m.found == 0 {
		if none {
			m.found, m.since = 1, w.now
		}
		return none && m.period == 0
	}
	if w.now < m.since+m.period {
		return false
	}
	if !none {
		m.found = 0
	}
	return none
}

func (m *model) conjuncts() []*model {
	if m.kind != "and" {
		return []*model{m}
	}
	var all []*model
	for _, sub := range m.subs {
		all = append(all, sub.conjuncts()...)
	}
	return all
}

// text returns the condition in the language of policies; epoch is when the
// topic was created.
func (m *model) text(epoch time.Time) string {
	period := fmt.Sprintf(" for %ds after %ds", m.period, m.after)
	switch m.kind {
	case "time":
		return fmt.Sprint("time after ", epoch.Add(time.Duration(m.n)*time.Second).UnixMilli())
	case "subscriptions":
		return fmt.Sprint("subscriptions < ", m.n, period)
	case "updates":
		return "no updates" + period
	case "session":
		return fmt.Sprintf("no session has 'N is \"%d\"'%s", m.n, period)
	case "creator":
		return "this session closes"
	}
	var all []string
	for _, sub := range m.subs {
		all = append(all, sub.text(epoch))
	}
	return "(" + strings.Join(all, " "+m.kind+" ") + ")"
}

func conditions(t *rapid.T, depth int, used map[string]bool) *model {
	kinds := []string{"session", "session", "creator"}
	if depth > 0 {
		kinds = append(kinds, "and", "and", "and", "or", "or")
	}
	for _, once := range []string{"time", "subscriptions", "updates"} {
		if !used[once] {
			kinds = append(kinds, once, once)
		}
	}
	m := &model{kind: rapid.SampledFrom(kinds).Draw(t, "kind")}
	used[m.kind] = true
	switch m.kind {
	case "and", "or":
		for range rapid.IntRange(2, 3).Draw(t, "operands") {
			m.subs = append(m.subs, conditions(t, depth-1, used))
		}
		return m
	case "time":
		m.n = rapid.IntRange(0, 60).Draw(t, "date")
	case "subscriptions":
		m.n = rapid.IntRange(0, 3).Draw(t, "limit")
	case "session":
		m.n = rapid.IntRange(0, 2).Draw(t, "session")
	}
	m.period = rapid.SampledFrom([]int{0, 1, 3, 7, 10, 20}).Draw(t, "period")
	m.after = rapid.SampledFrom([]int{0, 0, 0, 2, 15, 40}).Draw(t, "after")
	return m
}

// TestAgainstModel compares the round in which a topic is removed with the first
// in which the model holds, while subscriptions, updates and sessions come and go.
func TestAgainstModel(t *testing.T) {
	const seconds, interval = 150, 3
	rapid.Check(t, func(rt *rapid.T) {
		m := conditions(rt, 3, map[string]bool{})
		busy := rapid.SampledFrom([]int{2, 8, 30}).Draw(rt, "busy")
		events := rapid.SliceOfN(rapid.IntRange(0, 15*busy), seconds, seconds).Draw(rt, "events")
		open := rapid.SliceOfN(rapid.Bool(), 3, 3).Draw(rt, "open")
		offset := rapid.IntRange(0, 4).Draw(rt, "offset")
		var policy, problem string
		synctest.Test(t, func(t *testing.T) {
			all := &sessions{open: map[string]filter.Map{"creator": {}}}
			removed := -1
			now := 0
			s := New(Config{Sessions: all, Remove: func(Subject, *Policy) { removed = now }})
			time.Sleep(time.Duration(offset) * time.Second)
			epoch := time.Now()
			policy = "when " + m.text(epoch)
			topic := &subject{created: epoch}
			watch := s.Add(topic, mustParse(t, policy), "creator")
			w := &world{below: [4]int{-1, 0, 0, 0}, creator: true}
			for n := range w.open {
				if w.open[n] = open[n]; open[n] {
					all.set(fmt.Sprint(n), filter.Map{"N": fmt.Sprint(n)})
				}
			}
			for ; now < seconds; now++ {
				w.now = now
				switch event := events[now]; event {
				case 0, 1, 2, 3:
					w.subscribe(event)
					watch.Subscriptions(event)
				case 4, 5, 6, 7:
					w.updated = now
					topic.update()
				case 8:
					w.creator = false
					all.set("creator", nil)
					s.SessionClosed("creator")
				case 9, 10, 11, 12, 13, 14:
					n := (event - 9) / 2
					if w.open[n] = !w.open[n]; w.open[n] {
						all.set(fmt.Sprint(n), filter.Map{"N": fmt.Sprint(n)})
					} else {
						all.set(fmt.Sprint(n), nil)
					}
				}
				if now%interval == 0 {
					s.round(t.Context())
					want := m.holds(w, 0)
					if want != (removed == now) {
						problem = fmt.Sprintf("after %ds removed = %v, want %v", now, removed == now, want)
						return
					}
					if want {
						return
					}
				}
				time.Sleep(time.Second)
			}
		})
		if problem != "" {
			rt.Fatalf("%s: %s", policy, problem)
		}
	})
}
