package engine

import (
	"runtime"
	"testing"
	"unsafe"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/tree"
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

// TestBudgetOfASession bounds what a session takes that is subscribed to one topic:
// when it has just come, and when it has been idle for a ping period.
func TestBudgetOfASession(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	e := newEngine(t, nil)
	fresh, idle := crowd(t, e, 20_000)
	if fresh > 1300 || idle > 1100 {
		t.Errorf("a session takes %.0f bytes when it has come and %.0f when it is idle, want at most 1300 and 1100", fresh, idle)
	}
	runtime.KeepAlive(e)
}

// TestBudgetOfCacheLines checks that what a delivery touches of a session is in
// three cache lines: with many sessions each of them is a miss.
func TestBudgetOfCacheLines(t *testing.T) {
	const line = 64
	if size := unsafe.Sizeof(Session{}); size > 640 {
		t.Errorf("a session takes %d bytes, want at most 640, the size of the allocator", size)
	}
	var s Session
	const ofQueue = 104 // package outbox has a test of that
	first, last := unsafe.Offsetof(s.mu)-unsafe.Sizeof(tree.Sink(nil)), unsafe.Offsetof(s.queue)+ofQueue
	if lines := (last-1)/line - first/line + 1; lines > 3 {
		t.Errorf("bytes %d to %d of a session are %d cache lines, want 3", first, last, lines)
	}
	if unsafe.Sizeof(tree.Client{}) != unsafe.Offsetof(s.mu) {
		t.Error("the lock does not follow the sink of the client")
	}
}

// TestBudgetOfASet bounds what a set through an update stream allocates.
func TestBudgetOfASet(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "admin")
	values := [2][]byte{make([]byte, 128), make([]byte, 128)}
	values[1][64] = 1
	opened := call(t, s, conn, service.StreamAddAndSet.AppendRequest(nil, 1, service.AddAndSetRequest{
		Path: "a", Specification: topic.Specification{Type: topic.Binary}, Value: values[1]}))
	added, err := service.StreamAddAndSet.ReadResponse(opened.Body)
	if err != nil {
		t.Fatal(err)
	}
	var frames [2][]byte
	for i := range frames {
		frames[i] = service.StreamSet.AppendRequest(nil, 2, service.StreamRequest{ID: added.ID, Bytes: values[i]})
	}
	var taken []*outbox.Message
	allocs := allocations(t, func(i int) {
		if err := s.Receive(conn, frames[i&1]); err != nil {
			t.Fatal(err)
		}
		if taken, _ = s.Take(conn, taken[:0], 1<<16); len(taken) != 1 {
			t.Fatalf("%d messages for a set", len(taken))
		}
	})
	if allocs > 3 { // the update and its frame, the response
		t.Errorf("a set through an update stream allocates %v times, want 3", allocs)
	}
}

// TestBudgetOfAdmission bounds what an anonymous session allocates that connects and
// subscribes to a topic.
func TestBudgetOfAdmission(t *testing.T) {
	e := newEngine(t, nil)
	populate(t, e, 10)
	var conn sink
	subscribe := service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: ">markets/000000/5"})
	taken := make([]*outbox.Message, 0, 16)
	if n := allocations(t, func(int) { arrive(t, e, &conn, subscribe, taken) }); n > 26 {
		t.Errorf("a session that connects and subscribes allocates %v times, want at most 26", n)
	}
}
