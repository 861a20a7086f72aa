package outbox

import "testing"

// TestRewindIsWithinLimits checks that messages sent before do not count as
// waiting when they are to be sent again: the recovery buffer's limits hold for
// them.
func TestRewindIsWithinLimits(t *testing.T) {
	q := NewQueue(&Limits{Messages: 16, Bytes: 1 << 10, RecoveryMessages: 100, RecoveryBytes: 1 << 20})
	for i := range uint64(100) {
		q.Push(update('x', 0, i+1))
		q.Take(nil, 1<<20)
	}
	if !q.Rewind(10) {
		t.Fatal("Rewind(10) failed where 1 to 100 are kept")
	}
	for i := range uint64(16) {
		if !q.Push(update('x', 0, 101+i)) {
			t.Fatalf("message %d of 16 did not fit beside those to be sent again", i+1)
		}
	}
	if q.Push(update('x', 0, 117)) {
		t.Error("17 messages fit in 16")
	}
}

// TestConflatedAtOnce checks that after a conflation each stream has one pending
// update, also the stream whose update set it off.
func TestConflatedAtOnce(t *testing.T) {
	q := NewQueue(&Limits{Messages: 4})
	topics := [2]source{{id: 0, retains: true}, {id: 1, retains: true}}
	streams := [2]Stream{{Source: &topics[0], Conflation: Conflate}, {Source: &topics[1], Conflation: Conflate}}
	for _, i := range []int{0, 1, 0, 1, 0, 0} {
		topics[i].version++
		q.PushUpdate(&streams[i], change{topics[i].version, update('v', topics[i].id, topics[i].version), nil})
	}
	if n := q.Pending(); n != 2 {
		t.Errorf("%d updates of two topics wait after conflation", n)
	}
}

// TestStartsDoNotCount checks that any number of streams can start at once, and
// that their values are conflated like others.
func TestStartsDoNotCount(t *testing.T) {
	q := NewQueue(&Limits{Messages: 4})
	var topics [50]source
	var streams [50]Stream
	for i := range topics {
		topics[i] = source{id: byte(i), version: 1, retains: true}
		streams[i] = Stream{Source: &topics[i], Conflation: Conflate, Held: 1}
		value, _ := topics[i].Newest()
		if !q.Start(&streams[i], update('s', byte(i), 0), value) {
			t.Fatalf("start %d does not fit in 4 messages", i)
		}
	}
	for i := range topics {
		topics[i].version++
		if !q.PushUpdate(&streams[i], change{2, update('v', byte(i), 2), update('d', byte(i), 2)}) {
			t.Fatalf("update %d does not fit although its stream has a pending value", i)
		}
	}
	for range 4 {
		if !q.Push(update('x', 0, 1)) {
			t.Fatal("other messages do not fit")
		}
	}
	c := &client{held: map[byte]uint64{}}
	for q.Pending() > 0 {
		for _, m := range q.Take(nil, 100) {
			if m.Bytes()[0] == 'x' {
				continue
			}
			if err := c.apply(m); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i := range topics {
		if c.held[byte(i)] != 2 {
			t.Errorf("topic %d: the client holds version %d", i, c.held[byte(i)])
		}
	}
}
