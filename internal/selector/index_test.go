package selector

import (
	"fmt"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

func keys(x *Index[int], path string) []int {
	found := slices.Collect(x.Candidates(path))
	slices.Sort(found)
	return slices.Compact(found)
}

func TestIndex(t *testing.T) {
	var x Index[int]
	for i, expr := range []string{">a/b", "?a//", "*a/b|ab/c", "?.*/b", "#>x////>a", "?a//"} {
		x.Add(mustParse(t, expr), i)
	}
	for path, want := range map[string][]int{
		"a": {1, 4, 5}, "a/b": {0, 1, 2, 3, 5}, "ab/c": {2}, "x": {4}, "x/b": {3}, "q": nil, "a/b/c/d": {1, 5},
	} {
		if got := keys(&x, path); !slices.Equal(got, want) {
			t.Errorf("Candidates(%q) = %v, want %v", path, got, want)
		}
	}
	if x.Len() != 6 {
		t.Errorf("Len() = %d, want 6: equal expressions are held once", x.Len())
	}
	for range x.Candidates("a") {
		break // must stop
	}
}

func TestIndexCountsAdds(t *testing.T) {
	var x Index[string]
	s := mustParse(t, "?a/.*")
	x.Remove(s, "k") // nothing there
	x.Add(s, "k")
	x.Add(mustParse(t, "?a/.*"), "k")
	x.Remove(s, "other")
	x.Remove(s, "k")
	if got := slices.Collect(x.Candidates("a/b")); len(got) != 1 {
		t.Errorf("after two adds and a removal: %v", got)
	}
	x.Remove(s, "k")
	x.Remove(s, "k")
	if got := slices.Collect(x.Candidates("a/b")); len(got) != 0 || x.Len() != 0 {
		t.Errorf("after as many removals: %v, %d held", got, x.Len())
	}
}

func TestIndexAgainstMatch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var x Index[int]
		type held struct {
			s   *Selector
			key int
		}
		var all []held
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				h := held{drawSelector(t), rapid.IntRange(0, 9).Draw(t, "key")}
				x.Add(h.s, h.key)
				all = append(all, h)
			},
			"remove": func(t *rapid.T) {
				if len(all) == 0 {
					return
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "i")
				x.Remove(all[i].s, all[i].key)
				all = slices.Delete(all, i, i+1)
			},
			"": func(t *rapid.T) {
				path := drawPath.Draw(t, "path")
				var want []int
				for _, h := range all {
					if h.s.Match(path) {
						want = append(want, h.key)
					}
				}
				slices.Sort(want)
				want = slices.Compact(want)
				if got := keys(&x, path); !slices.Equal(got, want) {
					t.Fatalf("Candidates(%q) = %v, want %v", path, got, want)
				}
			},
		})
		for _, h := range all {
			x.Remove(h.s, h.key)
		}
		if x.Len() != 0 || x.root.children.m != nil || len(x.root.entries) != 0 {
			t.Fatalf("not empty after removing everything: %+v", x)
		}
	})
}

// The index tries few selections however many there are.
func TestIndexTriesFew(t *testing.T) {
	var x Index[int]
	for i := range 100_000 {
		x.Add(mustParse(t, fmt.Sprintf("?users/%d//", i)), i)
	}
	tried := len(x.root.entries)
	node := &x.root
	for _, segment := range []string{"users", "77", "inbox"} {
		if child, ok := node.children.get(segment); ok {
			node = child
			tried += len(node.entries)
		}
	}
	if tried != 1 {
		t.Errorf("%d selections tried, want 1", tried)
	}
	if got := keys(&x, "users/77/inbox"); !slices.Equal(got, []int{77}) {
		t.Errorf("Candidates = %v, want 77", got)
	}
}

func TestIndexMemoryFollowsLiveEntries(t *testing.T) {
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	var x Index[int]
	before := heap()
	fillIndex(t, &x, 20_000)
	full := heap() - before
	for i := 10; i < 20_000; i++ {
		x.Remove(userSelector(t, i), i)
	}
	rest := heap() - before
	if full < 1<<20 || rest > full/50 {
		t.Errorf("%d octets with 20000 selections, %d with 10", full, rest)
	}
	runtime.KeepAlive(&x)
}

func userSelector(t testing.TB, i int) *Selector {
	t.Helper()
	return mustParse(t, fmt.Sprintf("%cusers/%d/%s", "?*"[i%2], i, ".*"))
}

func fillIndex(t testing.TB, x *Index[int], n int) {
	t.Helper()
	for i := range n {
		x.Add(userSelector(t, i), i)
	}
}

func BenchmarkIndexCandidates(b *testing.B) {
	const sessions = 100_000
	b.Run("own-branch", func(b *testing.B) {
		var x Index[int]
		fillIndex(b, &x, sessions)
		b.ReportAllocs()
		for b.Loop() {
			found := 0
			for range x.Candidates("users/4711/inbox") {
				found++
			}
			if found != 1 {
				b.Fatal(found)
			}
		}
	})
	b.Run("nobody", func(b *testing.B) {
		var x Index[int]
		fillIndex(b, &x, sessions)
		b.ReportAllocs()
		for b.Loop() {
			for range x.Candidates("prices/eurusd") {
				b.Fatal("found")
			}
		}
	})
	b.Run("same-for-all", func(b *testing.B) {
		var x Index[int]
		s := mustParse(b, "?prices//")
		for i := range sessions {
			x.Add(s, i)
		}
		b.ReportAllocs()
		for b.Loop() {
			found := 0
			for range x.Candidates("prices/eurusd") {
				found++
			}
			if found != sessions {
				b.Fatal(found)
			}
		}
	})
}

func BenchmarkIndexAddRemove(b *testing.B) {
	var x Index[int]
	fillIndex(b, &x, 100_000)
	s := mustParse(b, "?users/x/.*")
	b.ReportAllocs()
	for b.Loop() {
		x.Add(s, -1)
		x.Remove(s, -1)
	}
}
