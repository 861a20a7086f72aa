package outbox

import (
	"fmt"
	"testing"
)

// TestConflatedNeverFull checks that back pressure does not fill a queue however
// many streams conflate, and that the bytes of their newest values still can.
func TestConflatedNeverFull(t *testing.T) {
	const messages, topics = 16, 200
	for _, policy := range []Conflation{Conflate, Always} {
		for _, c := range []struct {
			bytes int
			fits  bool
		}{{0, true}, {100 * update('v', 0, 0).Len(), false}} {
			q := NewQueue(&Limits{Messages: messages, Bytes: c.bytes, RecoveryMessages: 1})
			var sources [topics]source
			var streams [topics]Stream
			fits := true
			push := func(i int) {
				sources[i].version++
				v := sources[i].version
				fits = q.PushUpdate(&streams[i], change{v, update('v', byte(i), v), update('d', byte(i), v)}) && fits
			}
			for i := range streams {
				sources[i] = source{id: byte(i), retains: true}
				streams[i] = Stream{Source: &sources[i], Conflation: policy}
			}
			for n := range 20 * topics {
				push(n * 7 % topics)
			}
			if fits != c.fits {
				t.Errorf("policy %d, %d bytes: fits %v", policy, c.bytes, fits)
			}
			if !fits {
				continue
			}
			if n := q.Pending(); n != topics {
				t.Errorf("policy %d: %d messages wait for %d topics", policy, n, topics)
			}
			// Back pressure does not end while more waits than half of what is allowed.
			q.Take(nil, 1)
			push(topics - 1)
			if n := q.Pending(); n > topics {
				t.Errorf("policy %d: %d messages wait after one was taken", policy, n)
			}
			for range messages {
				if !q.Push(update('x', 0, 0)) {
					t.Fatalf("policy %d: others do not fit", policy)
				}
			}
			if q.Push(update('x', 0, 0)) {
				t.Errorf("policy %d: more others fit than may wait", policy)
			}
		}
	}
}

// TestConflatedQueueIsSmall checks that a queue from which nobody takes gives back
// the memory of what was merged, and of streams that were ended.
func TestConflatedQueueIsSmall(t *testing.T) {
	for _, policy := range []Conflation{Conflate, Unsubscribe} {
		q := NewQueue(&Limits{Messages: 10_000})
		topic := &source{retains: true}
		s := &Stream{Source: topic, Conflation: policy}
		q.Start(s, update('s', 0, 0))
		for range 10_001 + 10_000/sweepStep {
			topic.version++
			q.PushUpdate(s, change{topic.version, update('v', 0, topic.version), nil})
		}
		if n := q.normal.capacity(); n > 4 {
			t.Errorf("policy %d: room for %d messages after conflation", policy, n)
		}
	}
}

// TestSqueeze checks what is left of a queue that has to do with less.
func TestSqueeze(t *testing.T) {
	q := NewQueue(&Limits{Messages: 1000, RecoveryMessages: 1000})
	topic := &source{retains: true}
	s := &Stream{Source: topic, Conflation: Conflate}
	never := &Stream{Source: &source{id: 1}, Conflation: Never}
	push := func(n int) {
		for range n {
			topic.version++
			q.PushUpdate(s, change{topic.version, update('v', 0, topic.version), nil})
		}
	}
	push(500)
	q.Take(nil, 1<<20)
	push(100)
	for v := range uint64(10) {
		q.PushUpdate(never, change{v + 1, update('v', 1, v+1), nil})
	}
	if conflated, forgotten := q.Squeeze(Limits{Messages: 110, RecoveryMessages: 500}); conflated || forgotten != 0 {
		t.Errorf("a queue within its limits: %v, %d", conflated, forgotten)
	}
	conflated, forgotten := q.Squeeze(Limits{Messages: 109, RecoveryMessages: 20})
	if !conflated || forgotten != 480 || q.Pending() != 11 {
		t.Errorf("squeezed: %v, %d forgotten, %d wait", conflated, forgotten, q.Pending())
	}
	if n := q.sent.capacity(); n != 32 {
		t.Errorf("room for %d messages, of which 20 are kept", n)
	}
	size := update('v', 0, 1).Len()
	if n := q.Burden(); n != 11*size { // the model makes its newest value anew each time
		t.Errorf("burden %d, want %d", n, 11*size)
	}
	push(100)
	if q.Pending() != 11 {
		t.Errorf("%d wait under back pressure", q.Pending())
	}
	if q.Rewind(479) || !q.Rewind(480) {
		t.Error("other messages are kept than the last 20")
	}
	q.Take(nil, 1<<20)
	push(5)
	if q.Pending() != 5 {
		t.Errorf("%d wait after back pressure, want 5", q.Pending())
	}
}

// TestDrop checks that a queue that was dropped holds nothing, takes nothing, and
// is as good as new after Reset.
func TestDrop(t *testing.T) {
	q := NewQueue(&Limits{Messages: 8, RecoveryMessages: 8})
	topic := &source{retains: true}
	s := &Stream{Source: topic, Conflation: Conflate, Tidy: true, Priority: High}
	fill := func() {
		q.Start(s, update('s', 0, 0))
		for range 20 {
			topic.version++
			q.PushUpdate(s, change{topic.version, update('v', 0, topic.version), nil})
			q.Push(update('x', 0, 0))
		}
	}
	for range 4 {
		q.Push(update('x', 0, 0))
	}
	q.Take(nil, 1<<20)
	q.Rewind(2)
	fill()
	q.Drop()
	fill()
	q.End(s, update('e', 0, 0))
	if q.Pending() != 0 || q.SentBytes() != 0 || q.Rewind(2) || q.Rewind(4) || len(q.Take(nil, 1<<20)) != 0 {
		t.Error("a dropped queue holds something")
	}
	q.Reset()
	*s = Stream{Source: topic, Conflation: Conflate}
	q.Start(s, update('s', 0, 0))
	if q.Pending() != 1 || !q.Rewind(0) || q.Sent() != 0 {
		t.Error("after Reset the queue is not as new")
	}
}

// BenchmarkConflate measures what the update that sets off a conflation costs its
// publisher, who waits for it.
func BenchmarkConflate(b *testing.B) {
	const messages = 10_000
	for _, topics := range []int{1, 100, messages} {
		b.Run(fmt.Sprint("topics=", topics), func(b *testing.B) {
			sources := make([]source, topics)
			newest := make([]*Message, topics)
			for i := range sources {
				sources[i] = source{id: byte(i), version: 1, retains: true}
				newest[i] = update('v', 0, 1)
			}
			streams := make([]Stream, topics)
			for b.Loop() {
				b.StopTimer()
				q := NewQueue(&Limits{Messages: messages})
				for i := range streams {
					streams[i] = Stream{Source: &fixed{&sources[i], newest[i]}}
				}
				for i := range messages {
					q.PushUpdate(&streams[i%topics], change{uint64(2 + i/topics), newest[i%topics], nil})
				}
				b.StartTimer()
				q.beginSweep()
				q.finishSweep()
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/messages, "ns/message")
		})
	}
}

// fixed is a source whose newest value is made but once.
type fixed struct {
	*source
	newest *Message
}

func (f *fixed) Newest() (*Message, uint64) { return f.newest, f.version }
