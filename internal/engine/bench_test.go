package engine

import (
	"fmt"
	"testing"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// populate adds n JSON topics, in branches of ten.
func populate(t testing.TB, e *Engine, n int) {
	t.Helper()
	value := make([]byte, 100)
	spec := topic.Specification{Type: topic.Binary}
	for i := range n {
		r := service.AddAndSetRequest{Path: fmt.Sprintf("markets/%06d/%d", i/10, i%10), Specification: spec, Value: value}
		if _, err := e.tree.AddAndSet(somebody, &r); err != nil {
			t.Fatal(err)
		}
	}
}

// unbounded lets a session that selects everything wait for nothing.
func unbounded(c *Config) { c.Queue = outbox.Limits{} }

// BenchmarkSubscribeAll is a session that subscribes to 100,000 topics, is sent
// all of them, and unsubscribes.
func BenchmarkSubscribeAll(b *testing.B) {
	const n = 100_000
	e := newEngine(b, unbounded)
	populate(b, e, n)
	s, conn := connect(b, e, "admin")
	on := service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?.*//"})
	off := service.Unsubscribe.AppendRequest(nil, 2, service.Selection{Selector: "?.*//"})
	var taken []*outbox.Message
	round := func() {
		for _, frame := range [][]byte{on, off} {
			if err := s.Receive(conn, frame); err != nil {
				b.Fatal(err)
			}
			for s.Pending(conn) {
				taken, _ = s.Take(conn, taken[:0], 1<<16)
			}
		}
	}
	round() // as if another session had subscribed before: topics keep their announcements
	b.ReportAllocs()
	for b.Loop() {
		round()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/topic")
}

// BenchmarkFetch is a request for 1,000 topics of 100,000 and its response.
func BenchmarkFetch(b *testing.B) {
	e := newEngine(b, nil)
	populate(b, e, 100_000)
	s, conn := connect(b, e, "admin")
	q := service.Query{Selector: "?.*//", Types: service.AllTypes, Values: true, Limit: 1000, MaxResultSize: 1 << 30,
		DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1, From: &service.Limit{Path: "markets/007000/7"}}
	frame := service.FetchQuery.AppendRequest(nil, 1, q)
	var taken []*outbox.Message
	b.Run("page=1000", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := s.Receive(conn, frame); err != nil {
				b.Fatal(err)
			}
			if taken, _ = s.Take(conn, taken[:0], 1<<20); len(taken) != 1 || taken[0].Len() < 100_000 {
				b.Fatal(len(taken))
			}
		}
	})
}

// BenchmarkRequest is a set that comes as a request of a session, with its
// response, of a topic that nobody reads; and the same through an update stream.
func BenchmarkRequest(b *testing.B) {
	e := newEngine(b, nil)
	s, conn := connect(b, e, "admin")
	values := [2][]byte{make([]byte, 128), make([]byte, 128)}
	values[1][64] = 1
	opened := call(b, s, conn, service.StreamAddAndSet.AppendRequest(nil, 1, service.AddAndSetRequest{
		Path: "a", Specification: topic.Specification{Type: topic.Binary}, Value: values[1]}))
	added, err := service.StreamAddAndSet.ReadResponse(opened.Body)
	if err != nil {
		b.Fatal(err)
	}
	run := func(name string, frame func(value []byte) []byte) {
		b.Run(name, func(b *testing.B) {
			frames := [2][]byte{frame(values[0]), frame(values[1])}
			var taken []*outbox.Message
			b.ReportAllocs()
			start := cpuTime()
			for i := 0; b.Loop(); i++ {
				if err := s.Receive(conn, frames[i&1]); err != nil {
					b.Fatal(err)
				}
				taken, _ = s.Take(conn, taken[:0], 1<<16)
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
	run("stream", func(v []byte) []byte {
		return service.StreamSet.AppendRequest(nil, 2, service.StreamRequest{ID: added.ID, Bytes: v})
	})
	run("set", func(v []byte) []byte {
		return service.SetTopic.AppendRequest(nil, 2, service.SetRequest{Path: "a", Type: topic.Binary, Value: v})
	})
}
