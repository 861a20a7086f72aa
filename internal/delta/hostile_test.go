package delta

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// noise returns n pseudo random bytes.
func noise(seed uint64, n int) []byte {
	b := make([]byte, n)
	var key [32]byte
	key[0] = byte(seed)
	rand.NewChaCha8(key).Read(b)
	return b
}

func join(parts ...[]byte) []byte { return slices.Concat(parts...) }

// scattered returns old with n edits, evenly spread: bytes replaced, inserted
// and deleted in turn.
func scattered(old []byte, n int) []byte {
	var edited []byte
	for i := range n {
		piece := old[len(old)*i/n : len(old)*(i+1)/n]
		half := len(piece) / 2
		edited = append(edited, piece[:half]...)
		switch i % 3 {
		case 0:
			edited = append(edited, piece[half]^0x55, piece[half+1]^0xaa)
			edited = append(edited, piece[half+2:]...)
		case 1:
			edited = append(edited, "new"...)
			edited = append(edited, piece[half:]...)
		default:
			edited = append(edited, piece[half+3:]...)
		}
	}
	return edited
}

// hostile returns pairs of about n bytes that are expensive for one or another
// way of looking for differences.
func hostile(n int) []pair {
	few := func(seed uint64, letters byte) []byte { // many short matches everywhere
		b := noise(seed, n)
		for i := range b {
			b[i] %= letters
		}
		return b
	}
	period := func(p int, from []byte) []byte { return bytes.Repeat(from[:p], n/p) }
	every := func(b []byte, step int) []byte { // a changed byte at regular distances
		b = bytes.Clone(b)
		for i := step / 2; i < len(b); i += step {
			b[i] ^= 0xff
		}
		return b
	}
	shuffled := func(b []byte, size int) []byte {
		chunks := slices.Collect(slices.Chunk(b, size))
		rand.New(rand.NewPCG(1, 2)).Shuffle(len(chunks), func(i, j int) { chunks[i], chunks[j] = chunks[j], chunks[i] })
		return join(chunks...)
	}
	random := noise(1, n)
	zeros := make([]byte, n)
	reversed := bytes.Clone(random)
	slices.Reverse(reversed)
	return []pair{
		{"unrelated", random, noise(2, n)},
		{"reversed", random, reversed},
		{"two letters", few(1, 2), few(2, 2)},
		{"four letters", few(1, 4), few(2, 4)},
		{"zeros and zeros with marks", zeros, every(zeros, 7)},
		{"zeros with marks at two distances", every(zeros, 31), every(zeros, 37)},
		{"zeros with rare marks", every(zeros, 300), every(zeros, 301)},
		{"periods 15 and 16", period(15, random), period(16, random)},
		{"period 300 with changes", period(300, random), every(period(300, random), 299)},
		{"change every 5", random, every(random, 5)},
		{"change every 12", random, every(random, 12)},
		{"change every 40", random, every(random, 40)},
		{"chunks of 10 shuffled", random, shuffled(random, 10)},
		{"chunks of 24 shuffled", random, shuffled(random, 24)},
		{"chunks of 1000 shuffled", random, shuffled(random, 1000)},
		{"twice", random, join(random, random)},
		{"short and long", random[:n/100], join(random, random)},
		{"long and short", join(random, random), every(random[:n/100], 9)},
		{"one byte and many", []byte{0}, few(3, 2)},
	}
}

// TestWorkIsLinear counts the steps of the search, so that it says the same on
// every machine.
func TestWorkIsLinear(t *testing.T) {
	for _, n := range []int{400, 4 << 10, 64 << 10, 1 << 20} {
		worst := 0.0
		for _, p := range hostile(n) {
			prefix := commonPrefix(p.old, p.new)
			suffix := commonSuffix(p.old[prefix:], p.new[prefix:])
			s := newSearch(p.old, p.new)
			s.run(region{prefix, len(p.old) - suffix, prefix, len(p.new) - suffix})
			total := len(p.old) + len(p.new)
			if most := 32<<10 + 4*total; s.steps > most {
				t.Errorf("%s: %d steps for %d bytes, want at most %d", p.name, s.steps, total, most)
			}
			worst = max(worst, float64(s.steps)/float64(total))
			s.release()
		}
		t.Logf("%d bytes: at most %.2f steps for each byte", n, worst)
	}
}

func TestHostilePairsRoundTrip(t *testing.T) {
	for _, n := range []int{400, 4 << 10, 64 << 10} {
		for _, p := range hostile(n) {
			mustRoundTrip(t, p.name, p.old, p.new)
		}
	}
}
