package tally

import (
	"sync"
	"testing"
)

func TestCounter(t *testing.T) {
	var c Counter
	var all sync.WaitGroup
	for by := range int64(20) {
		all.Go(func() {
			for range 1000 {
				c.Add(by, 3)
			}
			c.Add(-by, -1000)
		})
	}
	all.Wait()
	if got := c.Load(); got != 20*2000 {
		t.Errorf("counted %d, want %d", got, 20*2000)
	}
}

func TestCountingAllocatesNothing(t *testing.T) {
	var c Counter
	if n := testing.AllocsPerRun(100, func() { c.Add(7, 1) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestGroup(t *testing.T) {
	var g Group
	var all sync.WaitGroup
	for by := range int64(20) {
		all.Go(func() {
			for range 1000 {
				for counter := range 8 {
					g.Add(by, counter, int64(counter))
				}
			}
		})
	}
	all.Wait()
	for counter := range 8 {
		if got := g.Member(counter).Load(); got != int64(20*1000*counter) {
			t.Errorf("counter %d has %d, want %d", counter, got, 20*1000*counter)
		}
	}
}
