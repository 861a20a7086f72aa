package tree

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"advect.dev/internal/topic"
)

// patterns are selectors of every form over the segments of randomPath.
var patterns = []string{
	">a", ">a/b", ">a/b/c/d", "?a", "?a/", "?a//", "?a/b//", "?a/.*", "?a/.*/c", "?a/.*/c//", "?.*/b", "?.*/b/", "?.*//", "*.*", "*a.*", "*a/b.*c",
	"?(a|b)/c//", "#>a////>b/c////?c//", "#?a/.*////?a/b/.*", "#?ab//////?a/b/////>c/a/b", "#", "?x//", "?a-b/.*", "*a/b|ab/c", "*a//", "*.*/c/",
	"?a/b/c/d//", "?a\\.b//", "#?.*/a////?b//", ">a//", "?.+/.+/.+/", "#>a////>a/b", "#?a/b//////>a", "#>a////>a/b", "#>a/b////>a/b/c/d", "#>a////?a/b/c//", "#?a/b////*a/b/c",
}

var segments = []string{"a", "b", "c", "d", "ab", "a-b", "a.b", "0", "~"}

func randomPath(rnd *rand.Rand) string {
	path := make([]string, 1+rnd.IntN(4))
	for i := range path {
		path[i] = segments[rnd.IntN(len(segments))]
	}
	return strings.Join(path, "/")
}

// plant adds a topic that nobody can have selected.
func plant(t testing.TB, tr *Tree, path string) {
	t.Helper()
	sp, err := tr.specs.get(text)
	if err != nil {
		t.Fatal(err)
	}
	tr.insert(tr.newTopic(path, sp, somebody))
}

// TestWalkVisitsWhatMatches compares walks in both directions, over parts of
// trees of all sizes, with trying every path.
func TestWalkVisitsWhatMatches(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for round := range 200 {
		tr := New(Config{})
		var paths []string
		for range rnd.IntN(1 << (round % 11)) {
			path := randomPath(rnd)
			if !slices.Contains(paths, path) {
				paths = append(paths, path)
				plant(t, tr, path)
			}
		}
		for range len(paths) / 4 {
			i := rnd.IntN(len(paths))
			tr.delete(tr.Get(paths[i]))
			paths = slices.Delete(paths, i, i+1)
		}
		slices.SortFunc(paths, topic.ComparePaths)
		if tr.Len() != len(paths) {
			t.Fatalf("%d topics, want %d", tr.Len(), len(paths))
		}
		for _, expression := range patterns {
			s := sel(t, expression)
			part := within(s)
			from, to := bound{randomPath(rnd), side(rnd.IntN(3))}, bound{randomPath(rnd), side(rnd.IntN(3))}
			if rnd.IntN(2) == 0 {
				part = part.clip(span{from, to})
			} else {
				from, to = bound{"", before}, bound{"", past}
			}
			var want []string
			for _, path := range paths {
				if s.Match(path) && from.beyond(path) && !to.beyond(path) {
					want = append(want, path)
				}
			}
			var got []string
			tr.scan(s, part, func(n *Topic) (string, bool) { got = append(got, n.path); return "", true })
			if !slices.Equal(got, want) {
				t.Fatalf("%s from %v to %v in %q visits %q, want %q", expression, from, to, paths, got, want)
			}
			got = nil
			tr.scanBack(s, part, func(n *Topic) bool { got = append(got, n.path); return true })
			slices.Reverse(got)
			if !slices.Equal(got, want) {
				t.Fatalf("%s from %v to %v in %q visits backwards %q, want %q", expression, from, to, paths, got, want)
			}
		}
	}
}

// TestScanPassesOverBranches checks that what a visitor is done with is not
// looked at.
func TestScanPassesOverBranches(t *testing.T) {
	tr := New(Config{})
	for i := range 3000 {
		plant(t, tr, fmt.Sprintf("%c/%d", 'a'+i%3, i))
	}
	visits := 0
	s := sel(t, "?.*//")
	tr.scan(s, within(s), func(n *Topic) (string, bool) {
		visits++
		return n.path[:1], true
	})
	if visits != 3 {
		t.Errorf("%d visits to three branches", visits)
	}
}

// TestWalkIsNarrow checks that a walk looks at little more than what it finds:
// of a million topics, a selector of ten must not touch many others.
func TestWalkIsNarrow(t *testing.T) {
	tr := New(Config{})
	const branches = 20_000
	for i := range branches {
		for j := range 10 {
			plant(t, tr, fmt.Sprintf("markets/%05d/%d", i, j))
		}
	}
	for expression, want := range map[string]int{"?markets/12345//": 10, "?markets/12345/": 10, ">markets/12345/3": 1, "?markets/12345/.*": 10, "?nothing//": 0, "#?markets/00001//////?markets/19999//": 20} {
		s, found := sel(t, expression), 0
		taken := tr.scan(s, within(s), func(*Topic) (string, bool) { found++; return "", true })
		if found != want {
			t.Errorf("%s finds %d topics, want %d", expression, found, want)
		}
		if taken > 4*want+2*minBatch {
			t.Errorf("%s takes %d topics from the index to find %d", expression, taken, found)
		}
	}
}
