package timeseries

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

var everything = topic.Range{Limit: topic.NoLimit, Last: topic.NoLast}

// sequences returns the sequences of events.
func sequences(events []service.Event) []int64 {
	list := []int64{}
	for _, e := range events {
		list = append(list, e.Sequence)
	}
	return list
}

// retained returns the sequences of all events that s has.
func retained(s *Series) []int64 {
	list := []int64{}
	for sequence := int64(-1); sequence < s.next+1; sequence++ {
		if e, ok := s.Event(sequence); ok {
			list = append(list, e.Sequence)
		}
	}
	return list
}

func appendAt(t testing.TB, s *Series, timestamps ...int64) {
	t.Helper()
	for _, timestamp := range timestamps {
		if _, err := s.AppendAt("alice", timestamp, []byte("v")); err != nil {
			t.Fatal(err)
		}
	}
}

func edit(t testing.TB, s *Series, originals ...int64) {
	t.Helper()
	for _, sequence := range originals {
		if _, err := s.Edit(sequence, "bob", 0, []byte("e")); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAppend(t *testing.T) {
	s := New(everything)
	if e, ok := s.Latest(); ok || s.Len() != 0 || s.Bytes() != 0 {
		t.Errorf("an empty series has %+v, %d events, %d bytes", e, s.Len(), s.Bytes())
	}
	value := []byte("a")
	first := s.Append("alice", 1000, value)
	value[0] = 'x'
	metadata := service.EventMetadata{Sequence: 0, Timestamp: 1000, Author: "alice"}
	if want := (service.Event{EventMetadata: metadata, Original: metadata, Value: []byte("a")}); !reflect.DeepEqual(first, want) {
		t.Errorf("first event %+v, want %+v", first, want)
	}
	second, err := s.Edit(0, "bob", 2000, []byte("b"))
	want := service.Event{EventMetadata: service.EventMetadata{Sequence: 1, Timestamp: 2000, Author: "bob"}, Original: metadata, Value: []byte("b")}
	if err != nil || !reflect.DeepEqual(second, want) {
		t.Errorf("edit %+v, %v, want %+v", second, err, want)
	}
	if e, ok := s.Latest(); !ok || !reflect.DeepEqual(e, want) {
		t.Errorf("latest %+v, %v, want %+v", e, ok, want)
	}
	if e, ok := s.Event(0); !ok || !reflect.DeepEqual(e, first) {
		t.Errorf("event 0 is %+v, %v: an edit does not alter the original", e, ok)
	}
	if want := int64(len(first.Append(nil)) + len(second.Append(nil))); s.Len() != 2 || s.Bytes() != want {
		t.Errorf("%d events of %d bytes, want 2 of %d", s.Len(), s.Bytes(), want)
	}
}

func TestTimestamps(t *testing.T) {
	s := New(everything)
	appendAt(t, s, -5, 1000, 1000)
	if e, err := s.AppendAt("alice", 999, nil); !errors.Is(err, ErrTimestamp) {
		t.Errorf("before the latest: %+v, %v, want ErrTimestamp", e, err)
	}
	if e := s.Append("alice", 900, nil); e.Timestamp != 1000 || e.Sequence != 3 {
		t.Errorf("appended when the clock went backwards: %+v, want the latest timestamp", e)
	}
	if e, err := s.Edit(0, "alice", 900, nil); err != nil || e.Timestamp != 1000 {
		t.Errorf("edited when the clock went backwards: %+v, %v, want the latest timestamp", e, err)
	}
	if e := s.Append("alice", 1001, nil); e.Timestamp != 1001 {
		t.Errorf("appended at 1001: %+v", e)
	}
}

func TestEditRefusals(t *testing.T) {
	s := New(topic.Range{Limit: 3, Last: topic.NoLast})
	appendAt(t, s, 1, 2, 3)
	edit(t, s, 1) // 3, and 0 goes
	for _, sequence := range []int64{-1, 0, 3, 4, math.MaxInt64, math.MinInt64} {
		if e, err := s.Edit(sequence, "bob", 0, nil); !errors.Is(err, ErrNoSuchEvent) {
			t.Errorf("edit of %d: %+v, %v, want ErrNoSuchEvent", sequence, e, err)
		}
	}
	if got, want := retained(s), []int64{1, 2, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("retained %v, want %v: what fails adds nothing", got, want)
	}
}

// TestEditDropsItsOriginal: the original falls out of the range as its edit is
// added, which still tells of it.
func TestEditDropsItsOriginal(t *testing.T) {
	s := New(topic.Range{Limit: 2, Last: topic.NoLast})
	appendAt(t, s, 1, 2)
	edit(t, s, 0)
	latest, _ := s.Latest()
	if want := (service.EventMetadata{Sequence: 0, Timestamp: 1, Author: "alice"}); latest.Sequence != 2 || latest.Original != want {
		t.Errorf("latest %+v, want an edit of %+v", latest, want)
	}
	for _, kind := range []service.RangeQueryType{service.ValueRange, service.AllEdits, service.LatestEdits} {
		q := service.RangeQueryRequest{Type: kind, View: service.WholeSeries, Edit: service.WholeSeries, Limit: math.MaxInt64}
		if events, _ := s.Query(q, math.MaxInt); !reflect.DeepEqual(sequences(events), []int64{1}) {
			t.Errorf("query %d selects %v: edits of what is not retained are invisible", kind, sequences(events))
		}
	}
}

func TestRetention(t *testing.T) {
	for _, test := range []struct {
		retained   string
		timestamps []int64
		want       []int64
	}{
		{"limit 3", []int64{1, 2, 3, 4, 5}, []int64{2, 3, 4}},
		{"limit 1", []int64{1, 2}, []int64{1}},
		{"limit 9", []int64{1, 2}, []int64{0, 1}},
		{"last 10ms", []int64{0, 1, 10, 11}, []int64{1, 2, 3}}, // inclusive
		{"last 10ms", []int64{0, 1, 10, 1000}, []int64{3}},
		{"last 10ms", []int64{5, 5, 15, 15}, []int64{0, 1, 2, 3}},
		{"last 10ms limit 3", []int64{5, 5, 15, 15}, []int64{1, 2, 3}},
		{"last 10ms limit 3", []int64{5, 5, 5, 16}, []int64{3}},
		{"last 106751d", []int64{math.MinInt64, math.MinInt64 + 1}, []int64{0, 1}},
		{"last 106751d", []int64{math.MinInt64, math.MaxInt64}, []int64{1}},
	} {
		r, err := topic.ParseRange(test.retained)
		if err != nil {
			t.Fatal(err)
		}
		s := New(r)
		appendAt(t, s, test.timestamps...)
		if got := retained(s); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s of %v: %v, want %v", test.retained, test.timestamps, got, test.want)
		}
	}
}

func TestRetentionCountsEdits(t *testing.T) {
	s := New(topic.Range{Limit: 3, Last: topic.NoLast})
	appendAt(t, s, 1, 2)
	edit(t, s, 1, 1)
	if got, want := retained(s), []int64{1, 2, 3}; !reflect.DeepEqual(got, want) {
		t.Errorf("retained %v, want %v", got, want)
	}
}

// TestSubscription: events 0 A, 1 B, 2 edit of 0, 3 C, 4 edit of 0, 5 edit of 1.
func TestSubscription(t *testing.T) {
	s := New(everything)
	appendAt(t, s, 10, 20)
	edit(t, s, 0)
	appendAt(t, s, 30)
	edit(t, s, 0, 1)
	last := func(d time.Duration) topic.Range { return topic.Range{Limit: topic.NoLimit, Last: d} }
	limit := func(n int64) topic.Range { return topic.Range{Limit: n, Last: topic.NoLast} }
	for _, test := range []struct {
		name   string
		r      topic.Range
		latest bool
		want   []int64
	}{
		{"nothing", topic.Range{}, false, []int64{}},
		{"the latest", topic.Range{}, true, []int64{5}},
		{"all", everything, false, []int64{0, 1, 3, 4, 5}},
		{"all and the latest", everything, true, []int64{0, 1, 3, 4, 5}},
		{"limit 5", limit(5), true, []int64{1, 3, 5}},
		{"limit 3", limit(3), false, []int64{3}},
		{"limit 3 and the latest", limit(3), true, []int64{3, 5}},
		{"limit 2", limit(2), false, []int64{}},
		{"limit 2 and the latest", limit(2), true, []int64{5}},
		{"last 0", last(0), false, []int64{3}},
		{"last 10ms", last(10 * time.Millisecond), true, []int64{1, 3, 5}},
	} {
		if got := sequences(s.Subscription(test.r, test.latest)); !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
	for _, latest := range []bool{false, true} {
		if got := New(everything).Subscription(everything, latest); len(got) != 0 {
			t.Errorf("an empty series sends %v", got)
		}
	}
}

// TestMemoryIsGivenBack: neither a long life nor a burst leaves a large buffer.
func TestMemoryIsGivenBack(t *testing.T) {
	for _, n := range []int64{1, 10, 1000, 10_000} {
		s := New(topic.Range{Limit: n, Last: topic.NoLast})
		for range 10 * n {
			s.Append("alice", 0, nil)
		}
		if cap(s.events) > int(2*n+8) {
			t.Errorf("%d events in a buffer of %d", n, cap(s.events))
		}
	}
	s := New(topic.Range{Limit: topic.NoLimit, Last: time.Second})
	for range 10_000 {
		s.Append("alice", 0, nil)
	}
	s.Append("alice", 10_000, nil)
	if cap(s.events) > 64 {
		t.Errorf("%d event in a buffer of %d", s.Len(), cap(s.events))
	}
	for i, e := range s.events[:s.head] {
		if !reflect.DeepEqual(e, entry{}) {
			t.Errorf("what was dropped is still held at %d: %+v", i, e)
		}
	}
}

func TestAppendToFullSeriesAllocatesTheValueOnly(t *testing.T) {
	s := New(topic.Range{Limit: 100, Last: topic.NoLast})
	value := make([]byte, 20)
	for range 1000 {
		s.Append("alice", 0, value)
	}
	if n := testing.AllocsPerRun(1000, func() { s.Append("alice", 0, value) }); n > 1 {
		t.Errorf("%v allocations for each event", n)
	}
}

func BenchmarkAppend(b *testing.B) {
	value := make([]byte, 20)
	for _, n := range []int64{10, 1000, 1_000_000} {
		b.Run(fmt.Sprintf("limit %d", n), func(b *testing.B) {
			s := New(topic.Range{Limit: n, Last: topic.NoLast})
			for range n {
				s.Append("alice", 0, value)
			}
			b.ReportAllocs()
			for b.Loop() {
				s.Append("alice", 0, value)
			}
		})
	}
	b.Run("last", func(b *testing.B) {
		s := New(topic.Range{Limit: topic.NoLimit, Last: time.Second})
		b.ReportAllocs()
		for now := int64(0); b.Loop(); now++ {
			s.Append("alice", now, value)
		}
	})
}
