package engine

import (
	"testing"
	"time"
)

func TestDueSlots(t *testing.T) {
	const tick = 10 * time.Millisecond
	for _, c := range []struct {
		name     string
		next     int
		elapsed  time.Duration
		from, to int
	}{
		{"before the first tick", 0, tick - 1, 0, 0},
		{"on time", 0, tick, 0, 1},
		{"a little late", 7, 8*tick + 3, 7, 8},
		{"three ticks lost", 7, 11 * tick, 7, 11},
		{"already swept", 11, 11*tick + 1, 11, 11},
		{"a round lost", 5, (5 + clockSlots) * tick, 5, 5 + clockSlots},
		{"more than a round lost", 5, 1000 * tick, 1000 - clockSlots, 1000},
	} {
		if from, to := dueSlots(c.next, c.elapsed, tick); from != c.from || to != c.to {
			t.Errorf("%s: slots %d to %d, want %d to %d", c.name, from, to, c.from, c.to)
		}
	}
}
