// Package tally counts what happens on hot paths. A [Counter] is spread over cache
// lines, so that processors which count at the same time do not wait for each
// other, and is summed up only when somebody reads it. Nothing is allocated and no
// lock is taken on either side.
package tally

import "sync/atomic"

// shards is how many cache lines a Counter has.
const shards = 8

// A Counter is a number of events, or of bytes. The zero value is 0. Its methods
// may be called concurrently.
type Counter struct {
	cells [shards]struct {
		n atomic.Int64
		_ [56]byte // the rest of the cache line
	}
}

// Add counts n. Those who count at the same time should pass different values of
// by, such as the number of a session or of a topic.
func (c *Counter) Add(by, n int64) { c.cells[uint64(by)%shards].n.Add(n) }

// Load returns what was counted. While others count it may lack some of what they
// have counted since it was called.
func (c *Counter) Load() int64 {
	sum := int64(0)
	for i := range c.cells {
		sum += c.cells[i].n.Load()
	}
	return sum
}

// A Group is up to eight counters that the same event counts in: they share cache
// lines, so that it touches one. The zero value has all at 0. Its methods may be
// called concurrently.
type Group struct {
	lines [shards][8]atomic.Int64
}

// Add counts n in a counter of the group, as [Counter.Add].
func (g *Group) Add(by int64, counter int, n int64) { g.lines[uint64(by)%shards][counter].Add(n) }

// A Member is a counter of a group, to be read.
type Member struct {
	group   *Group
	counter int
}

// Member returns a counter of the group.
func (g *Group) Member(counter int) Member { return Member{g, counter} }

// Load returns what was counted, as [Counter.Load].
func (m Member) Load() int64 {
	sum := int64(0)
	for i := range m.group.lines {
		sum += m.group.lines[i][m.counter].Load()
	}
	return sum
}
