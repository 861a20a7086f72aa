package load

import "math/bits"

// A cursor knows which values of a topic a session has got. It belongs to the
// goroutine of the session's callbacks.
type cursor struct {
	next uint64 // the number after the highest seen; 0 before the first value
	seen uint64 // bit i: number next-1-i was seen
}

// An arrival says what a value is to a cursor.
type arrival byte

const (
	inOrder arrival = iota
	outOfOrder
	duplicate
)

// window is how far back a late value is told from a duplicate.
const window = bits.UintSize

// begin starts with the value that a subscription begins with, and returns how many
// values the session did not get before it, which is 0 the first time.
func (c *cursor) begin(n uint64) (skipped uint64, fresh bool) {
	if c.next == 0 {
		c.next, c.seen = n+1, ^uint64(0)
		return 0, false
	}
	if n < c.next {
		return 0, false
	}
	skipped = n - c.next
	c.next, c.seen = n+1, ^uint64(0)
	return skipped, true
}

// take takes note of a value.
func (c *cursor) take(n uint64) arrival {
	if n >= c.next {
		c.seen = c.seen<<(n-c.next+1) | 1 // shifts of 64 and more leave nothing
		c.next = n + 1
		return inOrder
	}
	bit := uint64(1) << (c.next - 1 - n)
	if c.next-n > window || c.seen&bit != 0 {
		return duplicate
	}
	c.seen |= bit
	return outOfOrder
}
