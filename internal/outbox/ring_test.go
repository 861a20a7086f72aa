package outbox

import (
	"testing"

	"pgregory.net/rapid"
)

// TestRing compares a ring with a slice, and bounds its memory.
func TestRing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var r ring[int]
		r.first = uint64(rapid.IntRange(0, 200).Draw(t, "first"))
		r.end = r.first
		var want []int
		next := 1
		t.Repeat(map[string]func(*rapid.T){
			"push": func(t *rapid.T) {
				for range rapid.IntRange(1, 300).Draw(t, "n") {
					r.push(next)
					want = append(want, next)
					next++
				}
			},
			"pop": func(t *rapid.T) {
				for range min(len(want), rapid.IntRange(1, 300).Draw(t, "n")) {
					if v := r.pop(); v != want[0] {
						t.Fatalf("popped %d, want %d", v, want[0])
					}
					want = want[1:]
				}
			},
			"truncate": func(t *rapid.T) {
				n := rapid.IntRange(0, len(want)).Draw(t, "n")
				r.truncate(r.first + uint64(n))
				want = want[:n]
			},
			"shrink":  func(*rapid.T) { r.shrink() },
			"release": func(*rapid.T) { r.release() },
			"fit": func(t *rapid.T) {
				r.fit()
				if n := r.capacity(); n > max(4, 2*len(want), len(want)+2*blockSize-2) || len(want) == 0 && n > 0 {
					t.Fatalf("room for %d entries, of which there are %d", n, len(want))
				}
			},
			"": func(t *rapid.T) {
				if r.len() != len(want) {
					t.Fatalf("%d entries, want %d", r.len(), len(want))
				}
				for i, w := range want {
					if v := *r.at(r.first + uint64(i)); v != w {
						t.Fatalf("entry %d is %d, want %d", i, v, w)
					}
				}
			},
		})
	})
}

// TestRingKeepsNothing checks that a ring holds on to nothing that was taken out.
func TestRingKeepsNothing(t *testing.T) {
	for _, n := range []int{3, 64, 65, 1000} {
		var r ring[*int]
		for i := range n {
			r.push(&i)
		}
		for range n {
			r.pop()
		}
		free := r.slots
		if r.blocks != nil {
			for _, b := range r.blocks.list {
				free = append(free, b[:]...)
			}
			if len(r.blocks.list) > spareBlock+1 {
				t.Errorf("%d entries: %d blocks are kept", n, len(r.blocks.list))
			}
		}
		for _, p := range free {
			if p != nil {
				t.Errorf("%d entries: one is kept", n)
			}
		}
	}
}

// TestRingAtRest checks that a ring which takes as much as it gives allocates
// nothing.
func TestRingAtRest(t *testing.T) {
	for _, n := range []int{1, 63, 64, 65, 1024} {
		var r ring[int]
		for i := range n {
			r.push(i)
		}
		turn := func() {
			for i := range 2 * blockSize {
				r.push(i)
				r.pop()
				r.shrink()
			}
		}
		turn()
		if a := testing.AllocsPerRun(100, turn); a > 0 {
			t.Errorf("with %d entries: %v allocations", n, a)
		}
	}
}

// BenchmarkPush measures what a push costs at worst while a backlog grows.
func BenchmarkPush(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		var r ring[entry]
		for range 10_000 {
			r.push(entry{})
		}
	}
}
