package tree

import (
	"fmt"
	"runtime"
	"testing"

	"advect.dev/datatype"
	"advect.dev/internal/delta"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// quiet is a sink and a listener sink that takes everything and keeps nothing.
type quiet struct{ told int }

func (q *quiet) CanRead(*Topic) bool                                                    { return true }
func (q *quiet) Subscribed(*Subscription, []*Update)                                    { q.told++ }
func (q *quiet) Updated(*Subscription, *Update)                                         { q.told++ }
func (q *quiet) Unsubscribed(*Subscription, service.UnsubscribeReason, *outbox.Message) { q.told++ }
func (q *quiet) Event(kind service.TopicEventKind, n *Topic)                            { q.told++ }
func (q *quiet) Descendant(kind service.TopicEventKind, n *Topic)                       { q.told++ }
func (q *quiet) client(t testing.TB, tr *Tree, selections ...string) *Client {
	c := NewClient(q)
	for _, s := range selections {
		if err := subscribe(tr, c, sel(t, s), ""); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

var document = topic.Specification{Type: topic.JSON}

// octets returns a JSON value of n bytes, more than 60, that carries a number.
func octets(n, number int) []byte {
	v := datatype.MustJSON(fmt.Sprintf("%0*d", n, number)).Bytes()
	over := len(v) - n
	return datatype.MustJSON(fmt.Sprintf("%0*d", n-over, number)).Bytes()
}

// grow adds n topics in ten to a branch, each with a value of 100 bytes, and
// returns the bytes of heap that a topic takes.
func grow(t testing.TB, tr *Tree, n int) float64 {
	value := octets(100, 0)
	before := heap()
	for i := range n {
		// The path is a string of its own, as it is when it has come in a request.
		if _, err := addAndSet(tr, fmt.Sprintf("markets/%06d/%d", i/10, i%10), document, value, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	return float64(heap()-before) / float64(n)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkSubscriptionMemory has the bytes that a subscription takes in the
// tree, when a client has 100,000.
func BenchmarkSubscriptionMemory(b *testing.B) {
	tr := New(Config{})
	grow(b, tr, 100_000)
	var q quiet
	before := heap()
	c := q.client(b, tr, "?markets//")
	after := heap()
	runtime.KeepAlive(tr)
	for b.Loop() {
	}
	b.ReportMetric(float64(after-before)/float64(c.Subscriptions()), "B/subscription")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAdd is a topic that is added with a value and removed again.
func BenchmarkAdd(b *testing.B) {
	run := func(name string, tree func(*testing.B) *Tree) {
		b.Run(name, func(b *testing.B) { addAndRemove(b, tree(b), "a/b/c") })
	}
	run("topics=0", func(*testing.B) *Tree { return New(Config{}) })
	for _, n := range []int{1, 100, 10_000} {
		run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) *Tree {
			tr := New(Config{})
			for range n {
				new(quiet).client(b, tr, "?a//")
			}
			return tr
		})
	}
	run("elsewhere=100000", func(b *testing.B) *Tree {
		tr := New(Config{})
		for i := range 100_000 {
			new(quiet).client(b, tr, fmt.Sprintf("?users/%d//", i))
		}
		return tr
	})
	run("listeners=1000", func(b *testing.B) *Tree {
		tr := New(Config{})
		for i := range 1000 {
			if err := tr.Listen(NewListener(new(quiet)), sel(b, fmt.Sprintf("?users/%d//", i))); err != nil {
				b.Fatal(err)
			}
		}
		return tr
	})
}

func addAndRemove(b *testing.B, tr *Tree, path string) {
	value := octets(100, 0)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := addAndSet(tr, path, document, value, &service.Constraint{}); err != nil {
			b.Fatal(err)
		}
		tr.RemoveTopic(tr.Get(path))
	}
}

// BenchmarkSet is a new value for a topic, published to subscribers that do
// nothing with it: what the tree itself costs. Package engine has the same with
// sessions.
func BenchmarkSet(b *testing.B) {
	for _, n := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			tr := New(Config{})
			values := [2][]byte{octets(128, 1), octets(128, 2)}
			for range n {
				new(quiet).client(b, tr, ">a")
			}
			if _, err := addAndSet(tr, "a", document, values[1], &service.Constraint{}); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := set(tr, "a", topic.JSON, values[i&1], &service.Constraint{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkStream is an update through an update stream of a topic that nobody
// has subscribed to.
func BenchmarkStream(b *testing.B) {
	for _, size := range []int{128, 4 << 10} {
		values := [2][]byte{octets(size, 1), octets(size, 2)}
		deltas := [2][]byte{delta.Diff(values[1], values[0]), delta.Diff(values[0], values[1])}
		stream := func(b *testing.B) *UpdateStream {
			_, s, err := New(Config{}).StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: document, Value: values[1]})
			if err != nil {
				b.Fatal(err)
			}
			return s
		}
		run := func(operation string, update func(*UpdateStream, int) error) {
			b.Run(fmt.Sprintf("%s/size=%d", operation, size), func(b *testing.B) {
				s := stream(b)
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if err := update(s, i&1); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
		run("set", func(s *UpdateStream, i int) error { return s.Set(values[i]) })
		run("delta", func(s *UpdateStream, i int) error { return s.ApplyDelta(deltas[i]) })
	}
}

// BenchmarkPatch is a JSON Patch of one member of a document of 4 KiB.
func BenchmarkPatch(b *testing.B) {
	for _, n := range []int{0, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			tr := New(Config{})
			rows := make(map[string]any)
			for i := range 64 {
				rows[fmt.Sprintf("row%02d", i)] = map[string]any{"symbol": "EURUSD", "bid": 1.0834, "ask": 1.0836, "venue": "London", "live": true}
			}
			if _, err := addAndSet(tr, "a", document, datatype.MustJSON(rows).Bytes(), &service.Constraint{}); err != nil {
				b.Fatal(err)
			}
			for range n {
				new(quiet).client(b, tr, ">a")
			}
			var patches [2]service.PatchRequest
			for i := range patches {
				patches[i] = service.PatchRequest{Path: "a", Patch: fmt.Sprintf(`[{"op":"replace","path":"/row32/bid","value":1.083%d}]`, 5+i)}
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if result, err := tr.Patch(somebody, &patches[i&1]); err != nil || result != service.PatchApplied {
					b.Fatal(result, err)
				}
			}
		})
	}
}

// BenchmarkAppendEvent is an event appended to a time series that retains ten.
func BenchmarkAppendEvent(b *testing.B) {
	spec := topic.Specification{Type: topic.TimeSeries, Properties: map[string]string{topic.TimeSeriesEventValueType: "json"}}
	for _, n := range []int{0, 1, 100} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			tr := New(Config{})
			if _, err := addTopic(tr, "a", spec); err != nil {
				b.Fatal(err)
			}
			for range n {
				new(quiet).client(b, tr, ">a")
			}
			values := [2][]byte{octets(128, 1), octets(128, 2)}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := tr.Append(somebody, &service.AppendRequest{Path: "a", DataType: "json", Value: values[i&1]}, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkSelections is a client that selects n paths one after another, to
// each of which a topic is then added. An operation is one selection and topic.
func BenchmarkSelections(b *testing.B) {
	for _, n := range []int{10, 1000, 10_000} {
		b.Run(fmt.Sprint("n=", n), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tr := New(Config{})
				c := new(quiet).client(b, tr)
				for i := range n {
					_ = subscribe(tr, c, sel(b, fmt.Sprintf(">users/%d", i)), "")
				}
				for i := range n {
					_, _ = addTopic(tr, fmt.Sprintf("users/%d", i), document)
				}
				if c.Subscriptions() != n {
					b.Fatal(c.Subscriptions())
				}
				for i := range n {
					_ = tr.Unsubscribe(c, sel(b, fmt.Sprintf(">users/%d", i)), "", service.Requested)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/selection")
		})
	}
}
