package engine

import (
	"testing"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// raceEnabled says that the race detector is on: then sync.Pool drops items at
// random.
var raceEnabled bool

// allocations returns what one of many runs allocates, after some to warm up.
func allocations(t *testing.T, run func(i int)) float64 {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	for i := range 500 { // until the rings and the buffers have their sizes
		run(i)
	}
	i := 0
	return testing.AllocsPerRun(500, func() { run(i); i++ })
}

// TestBudgetOfADelivery checks that an update allocates the same for one session as
// for many: delivering allocates nothing.
func TestBudgetOfADelivery(t *testing.T) {
	cost := func(sessions int) float64 {
		e := newEngine(t, nil)
		conns := make(map[*fakeConn]*Session)
		for range sessions {
			s, conn := connect(t, e, "")
			call(t, s, conn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "a"}))
			conns[conn] = s
		}
		values := [2][]byte{make([]byte, 128), make([]byte, 128)}
		values[1][64] = 1
		r := service.AddAndSetRequest{Path: "a", Specification: topic.Specification{Type: topic.Binary}}
		var taken []*outbox.Message
		return allocations(t, func(i int) {
			r.Value = values[i&1]
			if _, err := e.tree.AddAndSet(somebody, &r); err != nil {
				t.Fatal(err)
			}
			for conn, s := range conns {
				if taken, _ = s.Take(conn, taken[:0], 1<<16); i > 0 && len(taken) != 1 {
					t.Fatalf("%d messages for an update", len(taken))
				}
			}
		})
	}
	if one, many := cost(1), cost(200); many > one {
		t.Errorf("an update allocates %v times for one session, %v times for 200: want none per delivery", one, many)
	}
}

// TestBudgetOfASubscription bounds what a session's subscription to a topic
// allocates that others have subscribed to before.
func TestBudgetOfASubscription(t *testing.T) {
	const topics = 200
	e := newEngine(t, nil)
	populate(t, e, topics)
	s, conn := connect(t, e, "admin")
	on := service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?markets//"})
	off := service.Unsubscribe.AppendRequest(nil, 2, service.Selection{Selector: "?markets//"})
	var taken []*outbox.Message
	allocs := allocations(t, func(int) {
		for _, step := range []struct {
			frame    []byte
			messages int
		}{{on, 2*topics + 1}, {off, topics + 1}} {
			if err := s.Receive(conn, step.frame); err != nil {
				t.Fatal(err)
			}
			if taken, _ = s.Take(conn, taken[:0], 1<<20); len(taken) != step.messages {
				t.Fatalf("%d messages, want %d", len(taken), step.messages)
			}
		}
	})
	// The subscription; the message that ends it, its frame and its content.
	if allocs > 4*topics+100 {
		t.Errorf("%v allocations for %d subscriptions and their ends, want 4 each", allocs, topics)
	}
}
