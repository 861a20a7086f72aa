package tree

import (
	"fmt"
	"runtime"
	"testing"
	"unsafe"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// The tests of this file hold the tree to counts, which unlike times are the same
// on every machine. What they mean to users is in docs/performance.md.

// raceEnabled says that the race detector is on: then sync.Pool drops items at
// random, and memory has other sizes.
var raceEnabled bool

// allocations returns what one of many runs allocates.
func allocations(t *testing.T, run func(i int)) float64 {
	if raceEnabled {
		t.Skip("the race detector allocates")
	}
	i := 0
	return testing.AllocsPerRun(200, func() { run(i); i++ })
}

// updating returns a tree with a topic "a" that n clients are subscribed to, and
// two values for it.
func updating(t *testing.T, n int) (*Tree, [2][]byte) {
	tr := New(Config{})
	values := [2][]byte{octets(128, 1), octets(128, 2)}
	if _, err := addAndSet(tr, "a", document, values[1], &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
	for range n {
		new(quiet).client(t, tr, ">a")
	}
	return tr, values
}

func TestBudgetOfAnUpdate(t *testing.T) {
	cost := func(subscribers int) float64 {
		tr, values := updating(t, subscribers)
		n, r := tr.Get("a"), service.SetRequest{Path: "a", Type: topic.JSON}
		before := n.latest.Load().version
		allocs := allocations(t, func(i int) {
			r.Value = values[i&1]
			if err := tr.Set(somebody, &r); err != nil {
				t.Fatal(err)
			}
		})
		if n.latest.Load().version-before < 200 {
			t.Fatal("the topic was not updated")
		}
		return allocs
	}
	if n := cost(0); n > 2 { // the update and its frame
		t.Errorf("an update that nobody receives allocates %v times, want 2", n)
	}
	one, many := cost(1), cost(1000)
	if one > 4 { // the delta and its frame too
		t.Errorf("an update allocates %v times, want 4", one)
	}
	if many > one {
		t.Errorf("an update allocates %v times for a subscriber, %v times for 1000: want none per delivery", one, many)
	}
}

func TestBudgetOfASubscription(t *testing.T) {
	const topics = 1000
	tr := New(Config{})
	grow(t, tr, topics)
	c, s := new(quiet).client(t, tr), sel(t, "?markets//")
	allocs := allocations(t, func(int) {
		if err := subscribe(tr, c, s, ""); err != nil || c.Subscriptions() != topics {
			t.Fatal(c.Subscriptions(), err)
		}
		if err := tr.Unsubscribe(c, s, "", service.Requested); err != nil {
			t.Fatal(err)
		}
	})
	// The subscription; the message that ends it, its frame and its content.
	if allocs > 4*topics+topics/10 {
		t.Errorf("%v allocations for %d subscriptions and their ends, want little more than 4 each", allocs, topics)
	}
}

func TestBudgetOfAPage(t *testing.T) {
	tr := New(Config{})
	grow(t, tr, 2000)
	q := service.Query{Types: service.AllTypes, Values: true, Sizes: true, Limit: 1000, MaxResultSize: 1 << 30,
		DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1}
	s, asked := sel(t, "?.*//"), 0
	allocs := allocations(t, func(int) {
		asked = 0
		if res := tr.Fetch(&q, s, 1<<20, func(*Topic) bool { asked++; return true }); len(res.Topics) != 1000 {
			t.Fatal(len(res.Topics))
		}
	})
	if allocs > 50 {
		t.Errorf("a page of 1000 allocates %v times, want at most 50", allocs)
	}
	if asked > 1001 {
		t.Errorf("a page of 1000 looks at %d topics", asked)
	}
}

func TestBudgetOfAStreamUpdate(t *testing.T) {
	tr, values := updating(t, 0)
	s, err := tr.CreateStream(somebody, &service.CreateStreamRequest{Path: "a", Type: topic.JSON})
	if err != nil {
		t.Fatal(err)
	}
	if n := allocations(t, func(i int) {
		if err := s.Set(values[i&1]); err != nil {
			t.Fatal(err)
		}
	}); n > 2 {
		t.Errorf("a set through an update stream allocates %v times, want 2", n)
	}
}

// TestBudgetOfAddAmongSelections checks that an added topic costs the same with 100,000
// clients that select something else. How many selectors are tried is tested
// where the index is.
func TestBudgetOfAddAmongSelections(t *testing.T) {
	tr, clients := New(Config{}), 100_000
	if raceEnabled {
		clients = 5000
	}
	for i := range clients {
		new(quiet).client(t, tr, fmt.Sprintf(">users/%d/inbox", i))
	}
	add := func(path string) {
		asked := 0
		tr.eachClient(path, func(*Client) { asked++ })
		if asked != 0 {
			t.Errorf("%d clients are asked about a topic that none has selected", asked)
		}
		if _, err := addTopic(tr, path, document); err != nil {
			t.Fatal(err)
		}
		tr.RemoveTopic(tr.Get(path))
	}
	add("users/77/outbox")
	asked := 0
	tr.eachClient("users/77/inbox", func(*Client) { asked++ })
	if asked != 1 {
		t.Errorf("%d clients are asked about a topic that one has selected", asked)
	}
	if n := allocations(t, func(int) { add("users/77/outbox") }); n > 6 {
		t.Errorf("an added topic allocates %v times, want at most 6", n)
	}
}

// TestBudgetOfMemory bounds what every topic and subscription takes. The sizes of
// structs are those of the allocator: a field more may cost 16 bytes, or nothing.
func TestBudgetOfMemory(t *testing.T) {
	for what, c := range map[string]struct{ size, most uintptr }{
		"Topic":        {unsafe.Sizeof(Topic{}), 128},
		"Update":       {unsafe.Sizeof(Update{}), 64},
		"Subscription": {unsafe.Sizeof(Subscription{}), 64},
	} {
		if c.size > c.most {
			t.Errorf("%s takes %d bytes, want at most %d", what, c.size, c.most)
		}
	}
	if raceEnabled {
		t.Skip("the race detector takes memory")
	}
	tr := New(Config{})
	const n = 50_000
	if perTopic := grow(t, tr, n); perTopic-100 > 400 {
		t.Errorf("a topic takes %.0f bytes beyond its value, want at most 400", perTopic-100)
	}
	c := new(quiet).client(t, tr)
	before := heap()
	if err := subscribe(tr, c, sel(t, "?.*//"), ""); err != nil || c.Subscriptions() != n {
		t.Fatal(c.Subscriptions(), err)
	}
	if each := (heap() - before) / n; each > 144 {
		t.Errorf("a subscription takes %d bytes, want at most 144", each)
	}
	if err := tr.Unsubscribe(c, sel(t, "?.*//"), "", service.Requested); err != nil {
		t.Fatal(err)
	}
	if each := (heap() - before) / n; each > 24 { // topics keep room for one
		t.Errorf("a subscription that has ended takes %d bytes", each)
	}
	runtime.KeepAlive(tr)
	runtime.KeepAlive(c)
}
