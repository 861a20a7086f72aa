package selector

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// walkTo reports whether a walk along path, by the rules that Walk's
// documentation gives a caller, arrives and matches.
func walkTo(s *Selector, path string) bool {
	w := s.Walk()
	for segment := range strings.SplitSeq(path, "/") {
		if segments, all := w.Segments(); !all && !slices.Contains(segments, segment) {
			return false
		}
		next, ok := w.Descend(segment)
		if !ok {
			return false
		}
		w = next
	}
	return w.Matches(path)
}

// A testTree holds topics by path segment.
type testTree struct {
	children map[string]*testTree
	path     string // of the topic here, if any
}

func (n *testTree) add(path string) {
	for segment := range strings.SplitSeq(path, "/") {
		child := n.children[segment]
		if child == nil {
			if child = (&testTree{}); n.children == nil {
				n.children = map[string]*testTree{}
			}
			n.children[segment] = child
		}
		n = child
	}
	n.path = path
}

// visit calls found for each selected topic and returns the number of nodes seen.
func (n *testTree) visit(w Walk, found func(path string)) int {
	visited := 1
	if n.path != "" && w.Matches(n.path) {
		found(n.path)
	}
	segments, all := w.Segments()
	if all {
		for segment, child := range n.children {
			if next, ok := w.Descend(segment); ok {
				visited += child.visit(next, found)
			}
		}
		return visited
	}
	for _, segment := range segments {
		if child := n.children[segment]; child != nil {
			if next, ok := w.Descend(segment); ok {
				visited += child.visit(next, found)
			}
		}
	}
	return visited
}

func TestWalkVisitsLittle(t *testing.T) {
	root := &testTree{}
	const branches = 10_000
	for i := range branches {
		for j := range 10 {
			root.add(fmt.Sprintf("accounts/%d/%d", i, j))
		}
	}
	for _, tt := range []struct {
		expr           string
		found, visited int
	}{
		{">accounts/77/3", 1, 4},
		{"accounts/77/none", 0, 3},
		{"?accounts/77//", 10, 13},
		{"?accounts/77/", 10, 13},
		{"?accounts/77/[0-4]", 5, 8},
		{"?accounts/77/.*", 10, 13},
		{"*accounts/77/.*", 10, 13},
		{`*accounts/77/\d`, 10, 13},
		{"#>accounts/77/3////>accounts/78/4////?accounts/79//", 12, 17},
		{"?accounts", 0, 2},
		{"?other/.*//", 0, 1},
		{"?accounts/.*", 0, 2 + branches},
		{"?accounts/.*/7", branches, 2 + 2*branches},
		{"?[^a].*/77/3", 0, 1},
		{"#", 0, 1},
	} {
		s := mustParse(t, tt.expr)
		found := 0
		if visited := root.visit(s.Walk(), func(string) { found++ }); visited != tt.visited || found != tt.found {
			t.Errorf("%q: found %d, visited %d nodes, want %d and %d", tt.expr, found, visited, tt.found, tt.visited)
		}
	}
}

func TestWalkDoesNotAllocate(t *testing.T) {
	for _, expr := range []string{">a/b", "?a//", "?a/.*", "*a/.*", "?.*//"} {
		s := mustParse(t, expr)
		if n := testing.AllocsPerRun(100, func() {
			w := s.Walk()
			w.Segments()
			w, _ = w.Descend("a")
			w.Segments()
			w, _ = w.Descend("b")
			if !w.Matches("a/b") {
				t.Errorf("%q: no match", expr)
			}
		}); n != 0 {
			t.Errorf("%q: %v allocations", expr, n)
		}
	}
}

var pieces = []string{"a", "b", "ab", ".*", "a.*", "a|b", "[ab]", "(?!a).+", `a\.b`, `\w`, "b?"}

func drawSelector(t *rapid.T) *Selector {
	single := rapid.Custom(func(t *rapid.T) string {
		kind := rapid.SampledFrom([]string{">", "?", "*"}).Draw(t, "kind")
		parts := rapid.SliceOfN(rapid.SampledFrom(pieces), 1, 3).Draw(t, "parts")
		if kind == ">" {
			return kind + strings.Join(parts, "/")
		}
		return kind + strings.Join(parts, "/") + rapid.SampledFrom([]string{"", "/", "//"}).Draw(t, "qualifier")
	})
	exprs := rapid.SliceOfN(single, 1, 4).Draw(t, "exprs")
	joined, err := Join(exprs...)
	if err != nil {
		t.Fatal(err)
	}
	s, err := Parse(joined)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var drawPath = rapid.StringMatching(`(a|b|ab|a\.b|aa)(/(a|b|ab|a\.b|aa)){0,3}`)

func TestWalkFindsWhatMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawSelector(t)
		root := &testTree{}
		var want, got []string
		for _, path := range rapid.SliceOfNDistinct(drawPath, 1, 20, rapid.ID).Draw(t, "paths") {
			root.add(path)
			if s.Match(path) {
				want = append(want, path)
			}
		}
		root.visit(s.Walk(), func(path string) { got = append(got, path) })
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("%q: walk finds %q, want %q", s, got, want)
		}
	})
}

func BenchmarkWalk(b *testing.B) {
	root := &testTree{}
	for i := range 10_000 {
		for j := range 10 {
			root.add(fmt.Sprintf("accounts/%d/%d", i, j))
		}
	}
	for _, expr := range []string{"?accounts/77//", "?accounts/.*/7", "*accounts/.*/7", "?.*//"} {
		b.Run(expr, func(b *testing.B) {
			s := mustParse(b, expr)
			b.ReportAllocs()
			for b.Loop() {
				found := 0
				root.visit(s.Walk(), func(string) { found++ })
				if found == 0 {
					b.Fatal("nothing found")
				}
			}
		})
	}
}
