package engine

import (
	"sync"
	"time"
)

// A clock pings every session once a period, with one goroutine for all: the
// sessions are spread over slots, and each tick sweeps one.
type clock struct {
	tick time.Duration
	done chan struct{}
	gone chan struct{}

	mu    sync.Mutex
	slots [][]*Session
	swept int // slot of the latest tick
	added int // sessions so far
}

// A position is where a session is in a clock's slots; guarded by clock.mu.
type position struct{ slot, index int32 }

// clockSlots is how finely the pings of a period are spread.
const clockSlots = 64

// startClock returns a running clock, or one that never ticks if period is 0.
// A round takes a little less than a period, because clients measure from their
// side that a ping comes in every period.
func startClock(period time.Duration) *clock {
	c := &clock{
		tick:  period * 15 / 16 / clockSlots,
		slots: make([][]*Session, clockSlots),
		done:  make(chan struct{}),
		gone:  make(chan struct{}),
	}
	if c.tick <= 0 {
		close(c.gone)
		return c
	}
	go c.run()
	return c
}

func (c *clock) run() {
	defer close(c.gone)
	ticker := time.NewTicker(c.tick)
	defer ticker.Stop()
	start := time.Now()
	var due []*Session
	for next := 0; ; {
		select {
		case <-c.done:
			return
		case <-ticker.C:
		}
		// A busy machine loses ticks, and pings must not come later for that.
		for from, to := dueSlots(next, time.Since(start), c.tick); from < to; from++ {
			due = c.sweep(due[:0], from%clockSlots)
			next = from + 1
		}
	}
}

// dueSlots returns the numbers, counted on over all rounds, of the slots to sweep
// when next is the first that was not yet swept: one round at most, however
// long the clock stood still.
func dueSlots(next int, elapsed, tick time.Duration) (from, to int) {
	to = int(elapsed / tick)
	return max(next, to-clockSlots), to
}

// sweep pings the sessions of a slot. due is scratch, which it returns.
func (c *clock) sweep(due []*Session, slot int) []*Session {
	c.mu.Lock()
	c.swept = slot
	due = append(due, c.slots[slot]...)
	c.mu.Unlock()
	for _, s := range due {
		s.ping()
	}
	clear(due)
	return due
}

func (c *clock) stop() {
	close(c.done)
	<-c.gone
}

func (c *clock) add(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The first ping comes after half a round to a whole one, so that sessions
	// which connect together are spread and short ones are not pinged.
	slot := (c.swept + clockSlots/2 + c.added%(clockSlots/2)) % clockSlots
	c.added++
	s.sweep = position{int32(slot), int32(len(c.slots[slot]))}
	c.slots[slot] = append(c.slots[slot], s)
}

func (c *clock) remove(s *Session) {
	c.mu.Lock()
	defer c.mu.Unlock()
	slot := c.slots[s.sweep.slot]
	last := len(slot) - 1
	slot[s.sweep.index] = slot[last]
	slot[s.sweep.index].sweep.index = s.sweep.index
	slot[last] = nil
	c.slots[s.sweep.slot] = slot[:last]
}
