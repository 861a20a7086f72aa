package outbox

import (
	"slices"
	"testing"
)

// kinds takes everything and returns the kinds and topics of the messages.
func kinds(q *Queue) (got []string) {
	for _, m := range q.Take(nil, 1<<20) {
		got = append(got, string([]byte{m.Bytes()[0], 'a' + m.Bytes()[1]}))
	}
	return got
}

func TestPriorities(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100})
	low, normal, high := &source{id: 0}, &source{id: 1}, &source{id: 2}
	streams := []*Stream{{Source: low, Priority: Low}, {Source: normal}, {Source: high, Priority: High}}
	for i, s := range streams {
		q.Start(s, update('s', byte(i), 0))
		q.PushUpdate(s, change{1, update('v', byte(i), 1), nil})
	}
	q.Push(update('x', 23, 1))
	q.End(streams[2], update('e', 2, 0))
	if got, want := kinds(&q), []string{"sc", "vc", "ec", "sb", "vb", "xx", "sa", "va"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// TestEndBeforeStart checks that a topic which comes back with a higher priority
// does not overtake the end of the one before.
func TestEndBeforeStart(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100})
	topic := &source{id: 0}
	before, after := &Stream{Source: topic, Priority: Low}, &Stream{Source: topic, Priority: High}
	q.Start(before, update('s', 0, 0))
	q.Take(nil, 1<<20)
	q.PushUpdate(before, change{1, update('v', 0, 1), nil})
	q.End(before, update('e', 0, 0))
	q.Push(update('x', 23, 1))
	q.Start(after, update('s', 0, 0))
	if got, want := kinds(&q), []string{"va", "ea", "sa", "xx"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	if q.Pending() != 0 || q.counted != 0 || q.pendingBytes != 0 {
		t.Errorf("an empty queue has %d pending, %d counted, %d bytes", q.Pending(), q.counted, q.pendingBytes)
	}
}

func TestTidy(t *testing.T) {
	for tidy, want := range map[bool][]string{true: {"ea"}, false: {"va", "va", "ea"}} {
		q := NewQueue(&Limits{Messages: 100})
		s := &Stream{Source: &source{id: 0}, Tidy: tidy}
		q.Start(s, update('s', 0, 0))
		q.Take(nil, 1<<20)
		for version := range uint64(2) {
			q.PushUpdate(s, change{version + 1, update('v', 0, version+1), nil})
		}
		q.End(s, update('e', 0, 0))
		if got := kinds(&q); !slices.Equal(got, want) {
			t.Errorf("tidy %v: sent %v, want %v", tidy, got, want)
		}
		if q.counted != 0 || q.pendingBytes != 0 {
			t.Errorf("tidy %v: an empty queue counts %d messages, %d bytes", tidy, q.counted, q.pendingBytes)
		}
	}
}

func TestAlwaysConflates(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100})
	s := &Stream{Source: &source{id: 0}, Conflation: Always}
	q.Start(s, update('s', 0, 0))
	for version := range uint64(50) {
		q.PushUpdate(s, change{version + 1, update('v', 0, version+1), update('d', 0, version+1)})
	}
	if got, want := kinds(&q), []string{"sa", "va"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	q.PushUpdate(s, change{51, update('v', 0, 51), update('d', 0, 51)})
	if got, want := kinds(&q), []string{"da"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// TestBackPressureEndsStreams checks that a stream which would rather end than
// lose updates ends, and that the others go on.
func TestBackPressureEndsStreams(t *testing.T) {
	q := NewQueue(&Limits{Messages: 8})
	ends, stays := &Stream{Source: &source{id: 0}, Conflation: Unsubscribe}, &Stream{Source: &source{id: 1, retains: true}}
	q.Start(ends, update('s', 0, 0))
	q.Start(stays, update('s', 1, 0))
	for version := range uint64(6) {
		stays.Source.(*source).version = version + 1
		for _, s := range []*Stream{ends, stays} {
			q.PushUpdate(s, change{version + 1, update('v', s.Source.(*source).id, version+1), nil})
		}
	}
	if got := q.Pressed(); !slices.Equal(got, []*Stream{ends}) {
		t.Fatalf("back pressure ended %v", got)
	}
	if got, want := kinds(&q), []string{"sa", "sb", "vb", "ea"}; !slices.Equal(got, want) {
		t.Errorf("sent %v, want %v", got, want)
	}
	q.PushUpdate(ends, change{7, update('v', 0, 7), nil})
	q.End(ends, update('e', 0, 0))
	if got := kinds(&q); got != nil {
		t.Errorf("a stream that had ended sent %v", got)
	}
}
