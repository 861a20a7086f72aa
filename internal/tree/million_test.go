package tree

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"

	"advect.dev/internal/service"
)

// The benchmarks of this file share a large tree, and run after those that do
// without one.

// million is a tree of a million topics that the benchmarks share.
var million struct {
	sync.Once
	tree  *Tree
	bytes float64 // per topic
}

func aMillion(b *testing.B) *Tree {
	million.Do(func() {
		million.tree = New(Config{})
		million.bytes = grow(b, million.tree, 1_000_000)
	})
	return million.tree
}

// BenchmarkTopicMemory has the bytes that a topic takes beyond its value of 100.
func BenchmarkTopicMemory(b *testing.B) {
	aMillion(b)
	for b.Loop() {
	}
	b.ReportMetric(million.bytes-100, "B/topic")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkAddAmong is a topic that is added to many others, and removed again.
func BenchmarkAddAmong(b *testing.B) {
	b.Run("topics=1000000", func(b *testing.B) { addAndRemove(b, aMillion(b), "markets/050000/x") })
}

// BenchmarkIndexInsert is a path that gets its place in path order, while a tree
// grows to a million topics.
func BenchmarkIndexInsert(b *testing.B) {
	const n = 1_000_000
	topics := make([]*Topic, n)
	for i := range topics {
		topics[i] = &Topic{path: fmt.Sprintf("markets/%06d/%d", i/10, i%10)}
	}
	run := func(name string) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var x index
			for i := 0; b.Loop(); i++ {
				if i%n == 0 {
					x = index{}
				}
				x.insert(topics[i%n])
			}
		})
	}
	run("ordered")
	rand.New(rand.NewPCG(1, 2)).Shuffle(n, func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	run("random")
}

// BenchmarkSubscribe is a selection that is subscribed to and given up again.
func BenchmarkSubscribe(b *testing.B) {
	run := func(name, expression string, topics int, tree func(*testing.B) *Tree) {
		b.Run(name, func(b *testing.B) {
			tr, s := tree(b), sel(b, expression)
			c := new(quiet).client(b, tr)
			b.ReportAllocs()
			for b.Loop() {
				if err := subscribe(tr, c, s, ""); err != nil || c.Subscriptions() != topics {
					b.Fatal(c.Subscriptions(), err)
				}
				if err := tr.Unsubscribe(c, s, "", service.Requested); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	run("path/topics=1000000", ">markets/050000/5", 1, aMillion)
	run("branch=10/topics=1000000", "?markets/050000//", 10, aMillion)
	run("all/topics=100000", "?.*//", 100_000, func(b *testing.B) *Tree {
		tr := New(Config{})
		grow(b, tr, 100_000)
		return tr
	})
}

// BenchmarkFetch is a page of 1,000 topics of a million, with values and sizes.
func BenchmarkFetch(b *testing.B) {
	for _, c := range []struct {
		name   string
		change func(*service.Query)
	}{
		{"first", func(*service.Query) {}},
		{"after", func(q *service.Query) { q.From = &service.Limit{Path: "markets/070000/7"} }},
		{"last", func(q *service.Query) { q.Limit = -1000 }},
		{"paths", func(q *service.Query) { q.Values, q.Sizes = false, false }},
		{"properties", func(q *service.Query) { q.Properties = true }},
	} {
		b.Run(c.name+"/page=1000", func(b *testing.B) {
			tr, s := aMillion(b), sel(b, "?.*//")
			q := service.Query{Types: service.AllTypes, Values: true, Sizes: true, Limit: 1000, MaxResultSize: math.MaxInt32,
				DeepBranchDepth: math.MaxInt32, DeepBranchLimit: math.MaxInt32}
			c.change(&q)
			b.ReportAllocs()
			for b.Loop() {
				if res := tr.Fetch(&q, s, 1<<20, func(*Topic) bool { return true }); len(res.Topics) != 1000 {
					b.Fatal(len(res.Topics))
				}
			}
		})
	}
}

// BenchmarkWalk is a walk over a million topics; it finds all, or one of ten, or
// what no branch tells.
func BenchmarkWalk(b *testing.B) {
	for _, c := range []struct {
		name, expression string
		found            int
	}{
		{"all", "?.*//", 1_000_000},
		{"child", "?markets/.*/7", 100_000},
		{"pattern", "*markets/.*00/7", 1000},
		{"branch", "?markets/050000//", 10},
	} {
		b.Run(c.name+"/topics=1000000", func(b *testing.B) {
			tr, s := aMillion(b), sel(b, c.expression)
			b.ReportAllocs()
			for b.Loop() {
				found := 0
				tr.Walk(s, func(*Topic) bool { found++; return true })
				if found != c.found {
					b.Fatal(found)
				}
			}
		})
	}
}
