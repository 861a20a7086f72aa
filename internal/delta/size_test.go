package delta

import (
	"strings"
	"testing"
)

// TestDeltasAreNearMinimal compares the deltas of updates with the shortest
// ones there are, in total for each kind of update.
func TestDeltasAreNearMinimal(t *testing.T) {
	// How much longer they may be, in percent of the shortest.
	slack := map[string]int{
		"one tick": 5, "five ticks": 5, "ticks everywhere": 6, "row out": 6,
		"row in": 35, "window slides": 45, "sorted anew": 20, "all new": 30,
	}
	type sum struct{ size, least, full int }
	sums := map[string]sum{}
	for _, rows := range []int{1, 4, 10} {
		for seed := range uint64(3) {
			for _, p := range corpus(seed, rows) {
				s := sums[p.name]
				s.size += len(Diff(p.old, p.new))
				s.least += shortest(p.old, p.new)
				s.full += len(p.new)
				sums[p.name] = s
			}
		}
	}
	for name, s := range sums {
		_, change, _ := strings.Cut(name, ", ")
		percent, ok := slack[change]
		if !ok {
			t.Errorf("no bound for %q", change)
		}
		if s.size > s.least*(100+percent)/100 {
			t.Errorf("%s: %d bytes of deltas, shortest %d, more than %d %% longer", name, s.size, s.least, percent)
		}
		t.Logf("%-32s %6d bytes, shortest %6d, full values %6d", name, s.size, s.least, s.full)
	}
}

func TestScatteredEditsMakeTinyDeltas(t *testing.T) {
	for _, size := range []int{4 << 10, 16 << 10, 100 << 10} {
		old := noise(1, size)
		edited := scattered(old, 10)
		// A copy and an insert of 1 to 3 bytes for each edit, and a last copy.
		if got, most := len(Diff(old, edited)), 10*(5+3+4)+8; got > most {
			t.Errorf("10 edits of %d bytes make a delta of %d bytes, want at most %d", size, got, most)
		}
	}
}

func TestMovedBlocksAreCopied(t *testing.T) {
	for _, size := range []int{1 << 10, 64 << 10, 1 << 20} {
		old := noise(2, size)
		a, b, c, d := old[:size/4], old[size/4:size/2], old[size/2:size*3/4], old[size*3/4:]
		moved := join(a, c, b, d, b)
		if got := len(Diff(old, moved)); got > 200 {
			t.Errorf("moved blocks of %d bytes make a delta of %d bytes", size, got)
		}
	}
}
