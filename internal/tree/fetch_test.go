package tree

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// everything is the query that a client sends when nothing else is asked for.
func everything() service.Query {
	return service.Query{Selector: "?.*//", Types: service.AllTypes, Limit: 1<<31 - 1, MaxResultSize: 1<<31 - 1,
		DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1}
}

func fetchPaths(t testing.TB, tr *Tree, q service.Query) (paths []string, more bool) {
	t.Helper()
	res := tr.Fetch(&q, sel(t, q.Selector), 1<<30, func(*Topic) bool { return true })
	for _, item := range res.Topics {
		paths = append(paths, item.Path)
	}
	return paths, res.More
}

// TestDeepBranches follows the documented example of 24 section 5 and what it
// leaves open.
func TestDeepBranches(t *testing.T) {
	tr := New(Config{})
	for _, path := range []string{"x/0", "x/x/1", "x/x/x/2", "y/y/y/y/3", "y/y/y/4", "z/5", "z/z/6"} {
		plant(t, tr, path)
	}
	const maximum = 1<<31 - 1
	for _, c := range []struct {
		depth, limit, first int32
		want                string
		more                bool
	}{
		{3, 0, maximum, "x/0 z/5", false},
		{1, 1, maximum, "x/0 y/y/y/4 z/5", false},
		{1, 0, maximum, "", false},
		{1, 2, maximum, "x/0 x/x/1 y/y/y/4 y/y/y/y/3 z/5 z/z/6", false},
		{2, 1, maximum, "x/0 x/x/1 y/y/y/4 z/5 z/z/6", false},
		{3, 1, maximum, "x/0 x/x/1 x/x/x/2 y/y/y/4 z/5 z/z/6", false},
		{4, 0, maximum, "x/0 x/x/1 z/5 z/z/6", false},
		{6, 0, maximum, "x/0 x/x/1 x/x/x/2 y/y/y/4 y/y/y/y/3 z/5 z/z/6", false},
		{0, 3, maximum, "x/0 x/x/1 x/x/x/2", false},
		{0, 0, maximum, "", false},
		{-1, 2, maximum, "x/0 x/x/1", false},
		{1, -5, maximum, "", false},
		{1, maximum, maximum, "x/0 x/x/1 x/x/x/2 y/y/y/4 y/y/y/y/3 z/5 z/z/6", false},
		{1, 1, 2, "x/0 y/y/y/4", true},
		{1, 1, 3, "x/0 y/y/y/4 z/5", false},
		{1, 1, -2, "y/y/y/4 z/5", true},
		{1, 1, -3, "x/0 y/y/y/4 z/5", false},
		{3, 0, 0, "", true},
		{1, 0, 0, "", false},
	} {
		q := everything()
		q.DeepBranchDepth, q.DeepBranchLimit, q.Limit = c.depth, c.limit, c.first
		if got, more := fetchPaths(t, tr, q); strings.Join(got, " ") != c.want || more != c.more {
			t.Errorf("depth %d, limit %d, first %d: %q, more %v; want %q, %v", c.depth, c.limit, c.first, got, more, c.want, c.more)
		}
	}
}

// TestPaging reads trees page by page, forwards and backwards, and by the size of
// results, and compares with the whole.
func TestPaging(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	tr := New(Config{})
	known := map[string]bool{}
	for len(known) < 3000 {
		path := fmt.Sprintf("%s/%d/%s", randomPath(rnd), rnd.IntN(20), segments[rnd.IntN(len(segments))])
		if !known[path] {
			known[path] = true
			plant(t, tr, path)
		}
	}
	for _, selector := range []string{"?.*//", "?a//", "?.*/b//", "*.*", "#?a/b//////?c//", "?a-b/"} {
		whole := everything()
		whole.Selector = selector
		want, _ := fetchPaths(t, tr, whole)
		for _, size := range []int32{1, 7, 100, 2999, 3000} {
			if size < 10 && len(want) > 1000 {
				continue
			}
			var forwards, backwards []string
			q := whole
			for q.Limit = size; ; {
				page, more := fetchPaths(t, tr, q)
				forwards = append(forwards, page...)
				if !more {
					break
				}
				q.From = &service.Limit{Path: page[len(page)-1]}
			}
			q = whole
			for q.Limit = -size; ; {
				page, more := fetchPaths(t, tr, q)
				backwards = append(page, backwards...)
				if !more {
					break
				}
				q.To = &service.Limit{Path: page[0]}
			}
			if !slices.Equal(forwards, want) || !slices.Equal(backwards, want) {
				t.Errorf("%s in pages of %d: %d forwards, %d backwards, want %d", selector, size, len(forwards), len(backwards), len(want))
			}
		}
	}
}

// TestResultSize checks that a result with everything asked for, as it is encoded,
// keeps to its size, is filled, and is cut at the end that the limit says.
func TestResultSize(t *testing.T) {
	tr := New(Config{})
	rnd := rand.New(rand.NewPCG(5, 6))
	for i := range 3000 {
		// Thousands of specifications, many equal.
		s := spec(topic.Binary, "KIND", strings.Repeat("k", rnd.IntN(200))+fmt.Sprint(rnd.IntN(2000)))
		if _, err := addAndSet(tr, fmt.Sprintf("a/%04d", i), s, make([]byte, rnd.IntN(300)), &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	paths, _ := fetchPaths(t, tr, everything())
	for _, size := range []int{0, 10, 40, 100, 1000, 10_000, 100_000, 1 << 20} {
		for _, limit := range []int32{1<<31 - 1, -(1<<31 - 1), -1 << 31, 5, -5} {
			q := everything()
			q.Values, q.Properties, q.Sizes, q.Limit, q.MaxResultSize = true, true, true, limit, int32(size)
			res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return true })
			encoded := service.FetchQuery.AppendResponse(nil, 1<<62, res)
			if n := len(encoded); n > max(size, 32) || limit*limit > 25 && res.More && n < size-1000 {
				t.Errorf("size %d, limit %d: %d bytes in %d results", size, limit, n, len(res.Topics))
			}
			if want := len(res.Topics) < len(paths); res.More != want {
				t.Errorf("size %d, limit %d: more %v with %d results", size, limit, res.More, len(res.Topics))
			}
			used := map[int32]bool{}
			for i, item := range res.Topics {
				at := i
				if limit < 0 {
					at = len(paths) - len(res.Topics) + i
				}
				n := tr.Get(item.Path)
				value, _ := n.Value()
				if item.Path != paths[at] || !bytes.Equal(*item.Value, value) || item.Size.Value != int32(len(value)) ||
					res.PropertySets[item.PropertySet]["KIND"] != n.Specification().Properties["KIND"] {
					t.Fatalf("size %d, limit %d: result %d is %+v", size, limit, i, item)
				}
				used[item.PropertySet] = true
			}
			if len(used) != len(res.PropertySets) {
				t.Errorf("size %d, limit %d: %d property sets, %d are used", size, limit, len(res.PropertySets), len(used))
			}
		}
	}
}

// TestNoProperties checks that a result without properties has one empty set.
func TestNoProperties(t *testing.T) {
	tr := New(Config{})
	if _, err := addTopic(tr, "a", spec(topic.JSON, topic.Priority, "high")); err != nil {
		t.Fatal(err)
	}
	q := everything()
	q.Values, q.Sizes = true, true
	res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return true })
	if len(res.PropertySets) != 1 || len(res.PropertySets[0]) != 0 || res.Topics[0].PropertySet != 0 {
		t.Errorf("%+v", res)
	}
	if item := res.Topics[0]; item.Value != nil || item.Size != (service.Size{Kind: service.ValueSize}) {
		t.Errorf("a topic without value: %+v", item)
	}
}

// TestPagesAreCheap checks that a page of a large branch looks at few topics,
// wherever it is and in whichever direction.
func TestPagesAreCheap(t *testing.T) {
	tr := New(Config{})
	const n = 100_000
	for i := range n {
		plant(t, tr, fmt.Sprintf("big/%06d", i))
		if i%100 == 0 {
			plant(t, tr, fmt.Sprintf("deep/%d/%d", i/1000, i))
		}
	}
	limit := func(path string) *service.Limit { return &service.Limit{Path: path} }
	for name, c := range map[string]struct {
		change func(*service.Query)
		found  int
		looked int // at most
	}{
		"first":            {func(q *service.Query) { q.Limit = 10 }, 10, 11},
		"last":             {func(q *service.Query) { q.Limit = -10 }, 10, 11},
		"after":            {func(q *service.Query) { q.Limit, q.From = 10, limit("big/050000") }, 10, 11},
		"before":           {func(q *service.Query) { q.Limit, q.To = -10, limit("big/050000") }, 10, 11},
		"between":          {func(q *service.Query) { q.From, q.To = limit("big/050000"), limit("big/050011") }, 10, 10},
		"none":             {func(q *service.Query) { q.Limit = 0 }, 0, 1},
		"small result":     {func(q *service.Query) { q.MaxResultSize = 32 + 200 }, 200 / 15, 20},
		"no result":        {func(q *service.Query) { q.MaxResultSize = 0 }, 0, 1},
		"one of a branch":  {func(q *service.Query) { q.Selector, q.DeepBranchDepth, q.DeepBranchLimit = "?deep//", 2, 1 }, 100, 200},
		"none of a branch": {func(q *service.Query) { q.DeepBranchDepth, q.DeepBranchLimit = 1, 0 }, 0, 2},
		"one of all":       {func(q *service.Query) { q.DeepBranchDepth, q.DeepBranchLimit = 0, 1 }, 1, 2},
		"one path":         {func(q *service.Query) { q.Selector = ">big/077777" }, 1, 1},
	} {
		q := everything()
		c.change(&q)
		looked := 0
		res := tr.Fetch(&q, sel(t, q.Selector), 1<<30, func(*Topic) bool { looked++; return true })
		if len(res.Topics) != c.found || looked > c.looked {
			t.Errorf("%s: %d results, want %d; looked at %d topics, want at most %d", name, len(res.Topics), c.found, looked, c.looked)
		}
	}
}
