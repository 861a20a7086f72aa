package main

import "testing"

func TestTidying(t *testing.T) {
	const mib = 1 << 20
	var tidy tidying
	u := usage{alive: 10 * mib, held: 40 * mib}
	// after passes ticks in each of which so much is allocated, and returns how many of
	// them give memory back.
	after := func(ticks int, each uint64) (n int) {
		for range ticks {
			u.allocated += each
			if tidy.due(u) {
				n++
			}
		}
		return n
	}
	for _, step := range []struct {
		what  string
		ticks int
		each  uint64
		held  uint64
		want  int
	}{
		{"a burst", 20, 10 * mib, 40 * mib, 0},
		{"quiet, but not for long", 3, 0, 40 * mib, 0},
		{"quiet", 1, 0, 40 * mib, 1},
		{"quiet goes on", 1000, 100, 40 * mib, 0},
		{"little by little", 1000, mib / 10, 40 * mib, 6}, // each time that 16 MiB have come together
		{"another burst, which left nothing", 20, 10 * mib, 20 * mib, 0},
		{"quiet with nothing to give", 100, 0, 20 * mib, 0},
	} {
		u.held = step.held
		if got := after(step.ticks, step.each); got != step.want {
			t.Errorf("%s: memory was given back %d times, want %d", step.what, got, step.want)
		}
	}
	// What is to be given back is in proportion to what would have to be gone through.
	u.alive, u.held = 1000*mib, 1100*mib
	if after(10, 20*mib)+after(10, 0) != 0 {
		t.Error("a large heap was gone through for a tenth of it")
	}
	u.held = 1300 * mib
	if after(20, 20*mib)+after(10, 0) != 1 {
		t.Error("a quarter of a large heap was not given back")
	}
}
