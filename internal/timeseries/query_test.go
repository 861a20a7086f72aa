package timeseries

import (
	"fmt"
	"math"
	"reflect"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

func point(t service.PointType, v int64) service.Point { return service.Point{Type: t, Value: v} }

// Points by the names of the builders (26 section 3.1).
var (
	start      = point(service.AbsoluteStart, 0)
	sequence   = func(n int64) service.Point { return point(service.AbsoluteSequence, n) }
	at         = func(t int64) service.Point { return point(service.AbsoluteTime, t) }
	last       = func(n int64) service.Point { return point(service.OffsetSequence, n) }
	lastMs     = func(t int64) service.Point { return point(service.OffsetTime, t) }
	next       = func(n int64) service.Point { return point(service.NextCount, n) }
	nextMs     = func(t int64) service.Point { return point(service.NextTime, t) }
	previous   = func(n int64) service.Point { return point(service.PreviousCount, n) }
	previousMs = func(t int64) service.Point { return point(service.PreviousTime, t) }
)

func view(anchor, span service.Point) service.RangeQueryRequest {
	return service.RangeQueryRequest{View: service.EventRange{Anchor: anchor, Span: span}, Edit: service.WholeSeries, Limit: math.MaxInt64}
}

// TestRanges: what a range selects of originals alone, in a series of which the
// first two have been dropped: sequences 2 to 8 at the times 20, 30, 30, 30, 40, 60, 80.
func TestRanges(t *testing.T) {
	s := New(topic.Range{Limit: 7, Last: topic.NoLast})
	appendAt(t, s, 0, 10, 20, 30, 30, 30, 40, 60, 80)
	for _, test := range []struct {
		name         string
		anchor, span service.Point
		want         []int64
	}{
		{"the default", start, last(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"fromStart toStart", start, start, []int64{}},
		{"from(2) toStart", sequence(2), start, []int64{2}},
		{"fromStart to(2)", start, sequence(2), []int64{2}},
		{"from(4) toStart", sequence(4), start, []int64{2, 3, 4}},
		{"from(0) toStart, 0 is not retained", sequence(0), start, []int64{}},

		{"from(3) to(5)", sequence(3), sequence(5), []int64{3, 4, 5}},
		{"from(5) to(3)", sequence(5), sequence(3), []int64{3, 4, 5}},
		{"from(5) to(5)", sequence(5), sequence(5), []int64{5}},
		{"from(0) to(3)", sequence(0), sequence(3), []int64{2, 3}},
		{"from(3) to(0)", sequence(3), sequence(0), []int64{2, 3}},
		{"from(7) to(100)", sequence(7), sequence(100), []int64{7, 8}},
		{"from(9), which is yet to come", sequence(9), last(0), []int64{}},
		{"from(9) to(7)", sequence(9), sequence(7), []int64{7, 8}},
		{"from(max) to(max)", sequence(math.MaxInt64), sequence(math.MaxInt64), []int64{}},

		{"from(time) to(time), all of equal time", at(30), at(30), []int64{3, 4, 5}},
		{"from(time) to(time) backwards", at(40), at(30), []int64{3, 4, 5, 6}},
		{"between events", at(31), at(39), []int64{}},
		{"between events, backwards", at(39), at(31), []int64{}},
		{"around an event", at(39), at(41), []int64{6}},
		{"around an event, backwards", at(41), at(39), []int64{6}},
		{"from a time to the end", at(41), last(0), []int64{7, 8}},
		{"from a time after the end", at(81), last(0), []int64{}},
		{"to a time before the start", start, at(19), []int64{}},
		{"from a time before the start", at(0), at(20), []int64{2}},
		{"from(4) to its time", sequence(4), at(30), []int64{4, 5}},
		{"from a time to(4)", at(30), sequence(4), []int64{3, 4}},
		{"from(max time)", at(math.MaxInt64), last(0), []int64{}},

		{"fromLast(0)", last(0), last(0), []int64{}},
		{"fromLast(1)", last(1), last(0), []int64{8}},
		{"fromLast(3)", last(3), last(0), []int64{6, 7, 8}},
		{"fromLast(7)", last(7), last(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"fromLast(8)", last(8), last(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"fromLast(max)", last(math.MaxInt64), last(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"untilLast(1)", start, last(1), []int64{2, 3, 4, 5, 6, 7}},
		{"untilLast(6)", start, last(6), []int64{2}},
		{"untilLast(7)", start, last(7), []int64{}},
		{"untilLast(max)", start, last(math.MaxInt64), []int64{}},
		{"fromLast(3) untilLast(1)", last(3), last(1), []int64{6, 7}},

		{"fromLastMillis(0)", lastMs(0), last(0), []int64{8}},
		{"fromLastMillis(20), inclusive", lastMs(20), last(0), []int64{7, 8}},
		{"fromLastMillis(19)", lastMs(19), last(0), []int64{8}},
		{"fromLastMillis(max)", lastMs(math.MaxInt64), last(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"untilLastMillis(0)", start, lastMs(0), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"untilLastMillis(40), inclusive", start, lastMs(40), []int64{2, 3, 4, 5, 6}},
		{"untilLastMillis(50), all of equal time", start, lastMs(50), []int64{2, 3, 4, 5}},
		{"fromLastMillis(50) untilLastMillis(40)", lastMs(50), lastMs(40), []int64{3, 4, 5, 6}},

		{"fromStart next(2)", start, next(2), []int64{2, 3}},
		{"fromStart next(0)", start, next(0), []int64{}},
		{"fromStart next(max)", start, next(math.MaxInt64), []int64{2, 3, 4, 5, 6, 7, 8}},
		{"from(3) next(2)", sequence(3), next(2), []int64{3, 4, 5}},
		{"from(3) next(0)", sequence(3), next(0), []int64{3}},
		{"from(0) next(2), 0 is no event", sequence(0), next(2), []int64{2, 3}},
		{"from(9) next(2)", sequence(9), next(2), []int64{}},
		{"from an equal time next(3)", at(30), next(3), []int64{3, 4, 5, 6}},
		{"from between events next(2)", at(35), next(2), []int64{6, 7}},
		{"fromLast(3) next(1)", last(3), next(1), []int64{6, 7}},
		{"fromLast(100) next(2)", last(100), next(2), []int64{2, 3}},
		{"fromLast(1) next(5)", last(1), next(5), []int64{8}},

		{"fromStart previous(2)", start, previous(2), []int64{}},
		{"from(5) previous(2)", sequence(5), previous(2), []int64{3, 4, 5}},
		{"from(5) previous(0)", sequence(5), previous(0), []int64{5}},
		{"from(3) previous(max)", sequence(3), previous(math.MaxInt64), []int64{2, 3}},
		{"from(9) previous(2), 9 is no event", sequence(9), previous(2), []int64{7, 8}},
		{"fromLast(0) previous(2)", last(0), previous(2), []int64{7, 8}},
		{"from an equal time previous(1)", at(30), previous(1), []int64{4, 5}},
		{"from an equal time previous(3)", at(30), previous(3), []int64{2, 3, 4, 5}},
		{"from between events previous(1)", at(35), previous(1), []int64{5}},

		{"fromStart nextMillis(10)", start, nextMs(10), []int64{2, 3, 4, 5}},
		{"fromStart nextMillis(0)", start, nextMs(0), []int64{2}},
		{"from(5) nextMillis(10)", sequence(5), nextMs(10), []int64{5, 6}},
		{"from(5) nextMillis(max)", sequence(5), nextMs(math.MaxInt64), []int64{5, 6, 7, 8}},
		{"from a time nextMillis(5)", at(35), nextMs(5), []int64{6}},
		{"from a time nextMillis(4)", at(35), nextMs(4), []int64{}},
		{"fromLastMillis(45) nextMillis(5)", lastMs(45), nextMs(5), []int64{6}},
		{"fromLast(0) nextMillis(10)", last(0), nextMs(10), []int64{}},
		{"from(0) nextMillis(10)", sequence(0), nextMs(10), []int64{2, 3, 4, 5}},

		{"fromStart previousMillis(10)", start, previousMs(10), []int64{}},
		{"from(6) previousMillis(10)", sequence(6), previousMs(10), []int64{3, 4, 5, 6}},
		{"from(4) previousMillis(0)", sequence(4), previousMs(0), []int64{3, 4}},
		{"from(6) previousMillis(max)", sequence(6), previousMs(math.MaxInt64), []int64{2, 3, 4, 5, 6}},
		{"from a time previousMillis(5)", at(35), previousMs(5), []int64{3, 4, 5}},
		{"from a time previousMillis(4)", at(35), previousMs(4), []int64{}},
		{"fromLast(0) previousMillis(20)", last(0), previousMs(20), []int64{7, 8}},
		{"from(9) previousMillis(0)", sequence(9), previousMs(0), []int64{8}},
	} {
		events, selected := s.Query(view(test.anchor, test.span), math.MaxInt)
		if got := sequences(events); !reflect.DeepEqual(got, test.want) || selected != int64(len(test.want)) {
			t.Errorf("%s: %v of %d, want %v", test.name, got, selected, test.want)
		}
		q := view(start, last(0))
		q.Edit = service.EventRange{Anchor: test.anchor, Span: test.span}
		if events, _ := s.Query(q, math.MaxInt); !reflect.DeepEqual(sequences(events), test.want) {
			t.Errorf("%s as the edit range: %v, want %v", test.name, sequences(events), test.want)
		}
		if events, selected := New(everything).Query(view(test.anchor, test.span), math.MaxInt); len(events) != 0 || selected != 0 {
			t.Errorf("%s of an empty series: %v of %d", test.name, events, selected)
		}
	}
}

// TestQueryTypes is the documented check (26 section 3.4): events 0 A, 1 B, 2 X
// (edit of 0), 3 Y (edit of 0).
func TestQueryTypes(t *testing.T) {
	s := New(everything)
	appendAt(t, s, 0, 1)
	edit(t, s, 0, 0)
	limited := func(limit int64) service.RangeQueryRequest {
		q := view(start, last(0))
		q.Limit = limit
		return q
	}
	edits := func(q service.RangeQueryRequest, anchor, span service.Point) service.RangeQueryRequest {
		q.Edit = service.EventRange{Anchor: anchor, Span: span}
		return q
	}
	all := view(start, last(0))
	for _, test := range []struct {
		name                string
		query               service.RangeQueryRequest
		values, all, latest []int64
		selected            [3]int64 // without the limit; 0: as many as are listed
	}{
		{name: "all", query: all, values: []int64{3, 1}, all: []int64{0, 1, 2, 3}, latest: []int64{0, 1, 3}},
		{"limit(0)", limited(0), []int64{}, []int64{}, []int64{}, [3]int64{2, 4, 3}},
		{"limit(1)", limited(1), []int64{3}, []int64{3}, []int64{3}, [3]int64{2, 4, 3}},
		{"limit(2)", limited(2), []int64{3, 1}, []int64{2, 3}, []int64{1, 3}, [3]int64{2, 4, 3}},
		{name: "view of 0", query: view(start, sequence(0)), values: []int64{3}, all: []int64{0, 2, 3}, latest: []int64{0, 3}},
		{name: "view of 1", query: view(sequence(1), sequence(1)), values: []int64{1}, all: []int64{1}, latest: []int64{1}},
		// The last two originals, or the last two events, which are edits.
		{name: "fromLast(2)", query: view(last(2), last(0)), values: []int64{3, 1}, all: []int64{}, latest: []int64{}},
		{name: "fromStart next(1)", query: view(start, next(1)), values: []int64{3}, all: []int64{0, 2, 3}, latest: []int64{0, 3}},
		{name: "edits to 2", query: edits(all, start, sequence(2)), values: []int64{2, 1}, all: []int64{0, 1, 2}, latest: []int64{0, 1, 2}},
		{name: "edits to 1", query: edits(all, start, sequence(1)), values: []int64{0, 1}, all: []int64{0, 1}, latest: []int64{0, 1}},
		{name: "edits from 1", query: edits(all, sequence(1), last(0)), values: []int64{3, 1}, all: []int64{1, 2, 3}, latest: []int64{1, 3}},
		{name: "edits from 2 to 2", query: edits(all, sequence(2), sequence(2)), values: []int64{2}, all: []int64{2}, latest: []int64{2}},
		{name: "the last edit", query: edits(all, last(1), last(0)), values: []int64{3}, all: []int64{3}, latest: []int64{3}},
		{name: "no edits", query: edits(all, start, start), values: []int64{}, all: []int64{}, latest: []int64{}},
	} {
		for kind, want := range [][]int64{test.values, test.all, test.latest} {
			test.query.Type = service.RangeQueryType(kind)
			events, selected := s.Query(test.query, math.MaxInt)
			count := max(int64(len(want)), test.selected[kind])
			if got := sequences(events); !reflect.DeepEqual(got, want) || selected != count {
				t.Errorf("%s, type %d: %v of %d, want %v of %d", test.name, kind, got, selected, want, count)
			}
		}
	}
}

// TestQueryFits: a result never exceeds maxBytes, and drops no more than it must.
func TestQueryFits(t *testing.T) {
	s := New(everything)
	for i := range 20 {
		s.Append("alice", int64(i), make([]byte, i*7%13))
		if i%3 == 0 {
			if _, err := s.Edit(s.next-1, "bob", 0, make([]byte, i)); err != nil {
				t.Fatal(err)
			}
		}
	}
	const overheadSlack = 20 // the result is one of a shorter name and lower numbers
	for _, kind := range []service.RangeQueryType{service.ValueRange, service.AllEdits, service.LatestEdits} {
		q := view(start, last(0))
		q.Type = kind
		_, selected := s.Query(q, math.MaxInt)
		for maxBytes := -1; maxBytes < 800; maxBytes++ {
			events, n := s.Query(q, maxBytes)
			if n != selected {
				t.Fatalf("%d selected in %d bytes, want %d", n, maxBytes, selected)
			}
			result := service.NewRangeQueryResult("record_v2", n, events)
			size := len(service.RangeQuery.EncodeResponse(nil, result))
			if size > maxBytes && len(events) > 0 {
				t.Fatalf("type %d: a result of %d bytes, at most %d fit", kind, size, maxBytes)
			}
			q.Limit = int64(len(events))
			if same, _ := s.Query(q, math.MaxInt); !reflect.DeepEqual(same, events) {
				t.Fatalf("type %d: %v in %d bytes, %v with limit %d", kind, sequences(events), maxBytes, sequences(same), q.Limit)
			}
			q.Limit++
			more, _ := s.Query(q, math.MaxInt)
			size = len(service.RangeQuery.EncodeResponse(nil, service.NewRangeQueryResult("record_v2", n, more)))
			if len(more) > len(events) && size+overheadSlack <= maxBytes {
				t.Fatalf("type %d: %d events in %d bytes, though %d take %d", kind, len(events), maxBytes, len(more), size)
			}
			q.Limit = math.MaxInt64
		}
	}
}

// million returns a long series; every tenth event is an edit.
func million(edits bool) *Series {
	s := New(everything)
	value := make([]byte, 20)
	for i := range int64(1_000_000) {
		if edits && i%10 == 9 {
			_, _ = s.Edit(i/10*10-i/10*10%70, "bob", i, value)
		} else {
			s.Append("alice", i, value)
		}
	}
	return s
}

func BenchmarkQuery(b *testing.B) {
	for _, edits := range []bool{false, true} {
		s := million(edits)
		for _, kind := range []service.RangeQueryType{service.ValueRange, service.AllEdits, service.LatestEdits} {
			for name, q := range map[string]service.RangeQueryRequest{
				"last 100":      view(last(100), last(0)),
				"100 at a time": view(at(500_000), next(100)),
				"whole":         view(start, last(0)),
			} {
				q.Type = kind
				b.Run(fmt.Sprintf("edits %v/type %d/%s", edits, kind, name), func(b *testing.B) {
					b.ReportAllocs()
					for b.Loop() {
						s.Query(q, 1<<20)
					}
				})
			}
		}
	}
}
