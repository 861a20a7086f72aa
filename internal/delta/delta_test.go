package delta

import (
	"bytes"
	"math"
	"testing"

	"pgregory.net/rapid"
)

// mustRoundTrip checks what holds for the delta of any two values, and returns
// it.
func mustRoundTrip(t interface {
	Helper()
	Fatalf(string, ...any)
}, name string, old, new []byte) []byte {
	t.Helper()
	d := Diff(old, new)
	got, err := Apply(nil, old, d, len(new))
	if err != nil || !bytes.Equal(got, new) {
		t.Fatalf("%s: delta %.60x of %.60x and %.60x makes %.60x, error %v", name, d, old, new, got, err)
	}
	if most := headLen(len(new)) + len(new); len(d) > most && !IsNoChange(d) {
		t.Fatalf("%s: delta of %d bytes is longer than the replacement, %d", name, len(d), most)
	}
	if IsNoChange(d) != bytes.Equal(old, new) {
		t.Fatalf("%s: delta %x of %.60x and %.60x", name, d, old, new)
	}
	if len(d) == 1 && !IsNoChange(d) {
		t.Fatalf("%s: single byte %x", name, d)
	}
	return d
}

func TestAppendKeepsToTheLimit(t *testing.T) {
	old := noise(1, 300)
	changed := bytes.Clone(old)
	changed[150] ^= 0xff
	const size = 2 + 1 + 2 + 2 + 2 // copy 0+150, insert 1, copy 151+149
	tests := []struct {
		name     string
		old, new []byte
		limit    int
		size     int // -1: none
	}{
		{"room", old, changed, len(changed), size},
		{"just room", old, changed, size + 1, size},
		{"no room", old, changed, size, -1},
		{"nothing in common", old, noise(2, 300), 300, -1},
		{"replacement", []byte("abc"), []byte("xyz"), 5, 4},
		{"no shorter than the value", []byte("abc"), []byte("xyz"), 3, -1},
		{"from nothing", nil, []byte("xyz"), 3, -1},
		{"from nothing, room", nil, []byte("xyz"), 5, 4},
		{"equal", old, old, len(old), 1},
		{"equal, short", []byte{1}, []byte{1}, 1, 1},
		{"both empty", nil, nil, 0, 1},
		{"new is empty", old, nil, 0, 0},
		{"negative limit", old, changed, math.MinInt, -1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := append(make([]byte, 0, 100), "head"...)
			got, ok := Append(dst, tt.old, tt.new, tt.limit)
			if !bytes.HasPrefix(got, []byte("head")) {
				t.Fatalf("dst has become %x", got)
			}
			if !ok && (tt.size >= 0 || len(got) != len(dst)) {
				t.Fatalf("ok = false, dst %x; want a delta of %d bytes", got, tt.size)
			}
			if ok && len(got)-len("head") != tt.size {
				t.Fatalf("delta %x, want %d bytes", got[len("head"):], tt.size)
			}
		})
	}
}

// raceEnabled says that the race detector is on: then sync.Pool drops items at
// random and slices.Grow allocates twice, so that allocations say nothing.
var raceEnabled bool

func TestAppendAllocatesNothing(t *testing.T) {
	doc := corpus(1, 30)
	dst := make([]byte, 0, 4096)
	for _, p := range append(doc[:4:4], pair{"one byte", doc[0].old, flip(doc[0].old, 700)}) {
		Append(dst, p.old, p.new, len(p.new)) // fills the pool
		if n := testing.AllocsPerRun(100, func() { Append(dst, p.old, p.new, len(p.new)) }); n > 0 && !raceEnabled {
			t.Errorf("%s: %v allocations", p.name, n)
		}
	}
}

func flip(b []byte, i int) []byte {
	b = bytes.Clone(b)
	b[i] ^= 0xff
	return b
}

// edits draws a value and another made of it: pieces of the first, changed,
// moved, repeated or left out, between new bytes.
func edits(t *rapid.T) (old, new []byte) {
	letters := rapid.SampledFrom([]byte{2, 4, 255}).Draw(t, "letters")
	value := func(most int, label string) []byte {
		return rapid.SliceOfN(rapid.ByteRange(0, letters), 0, most).Draw(t, label)
	}
	old = value(400, "old")
	for range rapid.IntRange(0, 12).Draw(t, "pieces") {
		from := rapid.IntRange(0, len(old)).Draw(t, "from")
		to := rapid.IntRange(from, len(old)).Draw(t, "to")
		new = append(append(new, old[from:to]...), value(40, "insert")...)
	}
	return old, new
}

func TestEditsRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		old, new := edits(t)
		d := mustRoundTrip(t, "edits", old, new)
		limit := rapid.IntRange(0, 500).Draw(t, "limit")
		got, ok := Append([]byte("head"), old, new, limit)
		if special := bytes.Equal(old, new) || len(new) == 0; ok && !special && len(got)-4 >= limit {
			t.Fatalf("delta of %d bytes, limit %d", len(got)-4, limit)
		}
		if !ok && len(d) < limit {
			t.Fatalf("no delta, but Diff found one of %d bytes, limit %d", len(d), limit)
		}
		if ok && !bytes.Equal(got[4:], d) {
			t.Fatalf("Append made %x, Diff %x", got[4:], d)
		}
	})
}

// TestPrefixesOfADelta cuts valid deltas short: an error or some bounded
// output, but never a panic.
func TestPrefixesOfADelta(t *testing.T) {
	pairs := corpus(3, 4)
	for _, v := range vectorPairs(t) {
		pairs = append(pairs, v.pair)
	}
	for _, p := range pairs {
		d := Diff(p.old, p.new)
		most := max(len(p.old), len(p.new))
		for n := range min(len(d), 2000) {
			got, err := Apply(nil, p.old, d[:n], most)
			if len(got) > most || err != nil && len(got) > 0 {
				t.Errorf("%s: %d of %d bytes make %d bytes, at most %d allowed, error %v", p.name, n, len(d), len(got), most, err)
			}
		}
	}
}

func FuzzDiff(f *testing.F) {
	for _, p := range vectorPairs(f) {
		f.Add(p.old, p.new)
	}
	for _, p := range hostile(500) {
		f.Add(p.old, p.new)
	}
	f.Fuzz(func(t *testing.T, old, new []byte) {
		mustRoundTrip(t, "fuzz", old, new)
		dst := []byte("head")
		d, ok := Append(dst, old, new, len(new))
		if !ok && len(d) != len(dst) {
			t.Fatalf("dst has become %x", d)
		}
		if ok && len(d)-len(dst) >= len(new) && len(new) > 0 && !IsNoChange(d[len(dst):]) {
			t.Fatalf("delta of %d bytes for a value of %d", len(d)-len(dst), len(new))
		}
	})
}
