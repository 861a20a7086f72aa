package timeseries

import (
	"bytes"
	"cmp"
	"encoding/json"
	"math"
	"os"
	"reflect"
	"slices"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"pgregory.net/rapid"
)

// model is what is retained of a series, as the specification words it.
type model []service.Event

func (m model) originals() (list model) {
	for _, e := range m {
		if !e.Edit() {
			list = append(list, e)
		}
	}
	return list
}

// retain drops what lies outside a range (12 section 12.5).
func (m model) retain(r topic.Range) model {
	for len(m) > 0 {
		tooMany := int64(len(m)) > r.Limit
		tooOld := r.Last != topic.NoLast && m[len(m)-1].Timestamp-m[0].Timestamp > r.Last.Milliseconds()
		if !tooMany && !tooOld {
			break
		}
		m = m[1:]
	}
	return m
}

// order compares an event of the model, at index i, with a point: it is negative
// if the event lies before the point, positive if after, and 0 if there.
type order func(i int) int

// point resolves a point of the counted events m (26 section 3.3).
func (m model) point(p service.Point, span bool) order {
	switch p.Type {
	case service.AbsoluteSequence:
		return func(i int) int { return cmp.Compare(m[i].Sequence, p.Value) }
	case service.AbsoluteTime:
		return func(i int) int { return cmp.Compare(m[i].Timestamp, p.Value) }
	case service.OffsetTime:
		return func(i int) int { return cmp.Compare(m[i].Timestamp, m[len(m)-1].Timestamp-p.Value) }
	case service.OffsetSequence:
		index := int64(len(m)) - p.Value
		return func(i int) int {
			if span && int64(i) >= index {
				return 1 // the last one selected is END-1-n
			} else if span {
				return -1
			}
			return cmp.Compare(int64(i), index)
		}
	}
	return func(int) int { return 1 } // after START
}

// indices returns the indices of the events of m that want selects.
func (m model) indices(want func(i int) bool) (list []int) {
	for i := range m {
		if want(i) {
			list = append(list, i)
		}
	}
	return list
}

// in returns the sequences that lie in a range of the counted events m.
func (m model) in(r service.EventRange) map[int64]bool {
	anchor := m.point(r.Anchor, false)
	after := m.indices(func(i int) bool { return anchor(i) >= 0 })  // at or after the anchor
	before := m.indices(func(i int) bool { return anchor(i) <= 0 }) // at or before it
	isEvent := len(m.indices(func(i int) bool { return anchor(i) == 0 })) > 0
	n := r.Span.Value
	timeOf := func(i int) int64 {
		switch r.Anchor.Type {
		case service.AbsoluteTime:
			return r.Anchor.Value
		case service.OffsetTime:
			return m[len(m)-1].Timestamp - r.Anchor.Value
		}
		return m[i].Timestamp
	}
	var selected []int
	switch r.Span.Type {
	case service.NextCount:
		if isEvent {
			n++ // the event at the anchor, and n following ones
		}
		selected = after[:min(int64(len(after)), n)]
	case service.PreviousCount:
		if isEvent {
			n++
		}
		selected = before[max(int64(len(before))-n, 0):]
	case service.NextTime:
		for _, i := range after {
			if m[i].Timestamp <= timeOf(after[0])+n {
				selected = append(selected, i)
			}
		}
	case service.PreviousTime:
		for _, i := range before {
			if m[i].Timestamp >= timeOf(before[len(before)-1])-n {
				selected = append(selected, i)
			}
		}
	default:
		end := m.point(r.Span, true)
		selected = m.indices(func(i int) bool { return anchor(i) >= 0 && end(i) <= 0 })
		if selected == nil { // the end lies before the anchor
			selected = m.indices(func(i int) bool { return anchor(i) <= 0 && end(i) >= 0 })
		}
	}
	set := make(map[int64]bool)
	for _, i := range selected {
		set[m[i].Sequence] = true
	}
	return set
}

// query is 26 section 3.4.
func (m model) query(q service.RangeQueryRequest) (events []service.Event, selected int64) {
	counted := m
	if q.Type == service.ValueRange {
		counted = m.originals()
	}
	view, edit := counted.in(q.View), m.in(q.Edit)
	for _, o := range m.originals() {
		if !view[o.Sequence] {
			continue
		}
		var edits []service.Event
		for _, e := range m {
			if e.Edit() && e.Original.Sequence == o.Sequence && edit[e.Sequence] {
				edits = append(edits, e)
			}
		}
		if q.Type != service.AllEdits && len(edits) > 1 {
			edits = edits[len(edits)-1:]
		}
		if edit[o.Sequence] && (q.Type != service.ValueRange || len(edits) == 0) {
			events = append(events, o)
		}
		events = append(events, edits...)
	}
	bySequence := func(a, b service.Event) int { return cmp.Compare(a.Sequence, b.Sequence) }
	if q.Type != service.ValueRange {
		slices.SortFunc(events, bySequence)
	}
	selected = int64(len(events))
	for int64(len(events)) > q.Limit {
		least := slices.MinFunc(events, bySequence)
		events = slices.DeleteFunc(events, func(e service.Event) bool { return e.Sequence == least.Sequence })
	}
	return events, selected
}

// subscription is 10 section 10.9.
func (m model) subscription(r topic.Range, latest bool) (events []service.Event) {
	inRange := m.retain(r)
	for _, e := range inRange {
		superseded := false
		for _, later := range inRange {
			superseded = superseded || later.Sequence > e.Sequence && later.Original.Sequence == e.Original.Sequence
		}
		hasOriginal := e.Original.Sequence >= inRange[0].Sequence
		if hasOriginal && (!e.Edit() || !superseded) || latest && e.Sequence == m[len(m)-1].Sequence {
			events = append(events, e)
		}
	}
	if latest && len(inRange) == 0 && len(m) > 0 {
		events = append(events, m[len(m)-1])
	}
	return events
}

// points draws points of all types near the events of the model, and far away.
func points(last service.PointType) *rapid.Generator[service.Point] {
	return rapid.Custom(func(t *rapid.T) service.Point {
		return service.Point{
			Type:  service.PointType(rapid.IntRange(0, int(last)).Draw(t, "type")),
			Value: rapid.OneOf(rapid.Int64Range(0, 12), rapid.Int64Range(0, 60), rapid.Just(int64(1<<40))).Draw(t, "value"),
		}
	})
}

func ranges() *rapid.Generator[service.EventRange] {
	return rapid.Custom(func(t *rapid.T) service.EventRange {
		if rapid.IntRange(0, 3).Draw(t, "default") == 0 {
			return service.WholeSeries
		}
		return service.EventRange{Anchor: points(service.OffsetTime).Draw(t, "anchor"), Span: points(service.PreviousTime).Draw(t, "span")}
	})
}

func topicRanges(least int64) *rapid.Generator[topic.Range] {
	return rapid.Custom(func(t *rapid.T) topic.Range {
		return topic.Range{
			Limit: rapid.OneOf(rapid.Just(topic.NoLimit), rapid.Int64Range(least, 20)).Draw(t, "limit"),
			Last:  rapid.OneOf(rapid.Just(topic.NoLast), rapid.Map(rapid.IntRange(0, 30), func(n int) time.Duration { return time.Duration(n) * time.Millisecond })).Draw(t, "last"),
		}
	})
}

// TestSeriesAgainstModel adds events and asks questions of which the model works
// out the answers one event at a time.
func TestSeriesAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		kept := topicRanges(1).Draw(t, "retained")
		s, m := New(kept), model(nil)
		now := int64(0)
		for n := rapid.IntRange(0, 40).Draw(t, "events"); n > 0; n-- {
			now += rapid.SampledFrom([]int64{0, 0, 1, 1, 2, 7}).Draw(t, "time passes")
			value := []byte{byte(s.next), byte(n)}[:rapid.IntRange(0, 2).Draw(t, "length")]
			var want service.Event
			want.EventMetadata = service.EventMetadata{Sequence: s.next, Timestamp: now, Author: rapid.SampledFrom([]string{"", "alice", "bob"}).Draw(t, "author")}
			want.Original, want.Value = want.EventMetadata, value
			var got service.Event
			var err error
			switch originals := m.originals(); rapid.IntRange(0, 3).Draw(t, "kind") {
			case 0, 1:
				if len(originals) > 0 {
					o := rapid.SampledFrom(originals).Draw(t, "original")
					want.Original = o.EventMetadata
					got, err = s.Edit(o.Sequence, want.Author, now, value)
					break
				}
				fallthrough
			case 2:
				got = s.Append(want.Author, now, value)
			default:
				got, err = s.AppendAt(want.Author, now, value)
			}
			if err != nil || !sameEvent(got, want) {
				t.Fatalf("added %+v, %v, want %+v", got, err, want)
			}
			m = append(m, want).retain(kept)
			testState(t, s, m)
		}
		for range 8 {
			testQuery(t, s, m, service.RangeQueryRequest{
				Type: service.RangeQueryType(rapid.IntRange(0, 2).Draw(t, "query")),
				View: ranges().Draw(t, "view"), Edit: ranges().Draw(t, "edits"),
				Limit: rapid.OneOf(rapid.Just(int64(math.MaxInt64)), rapid.Int64Range(0, 10)).Draw(t, "limit"),
			})
			r, latest := topicRanges(0).Draw(t, "subscription"), rapid.Bool().Draw(t, "latest")
			if got, want := s.Subscription(r, latest), m.subscription(r, latest); !slices.EqualFunc(got, want, sameEvent) {
				t.Fatalf("subscription to %v, %v, is %v, want %v", r, latest, sequences(got), sequences(want))
			}
		}
	})
}

func sameEvent(a, b service.Event) bool {
	return a.EventMetadata == b.EventMetadata && a.Original == b.Original && bytes.Equal(a.Value, b.Value)
}

func testState(t *rapid.T, s *Series, m model) {
	t.Helper()
	size := 0
	for _, want := range m {
		size += len(want.Append(nil))
		if got, ok := s.Event(want.Sequence); !ok || !sameEvent(got, want) {
			t.Fatalf("event %+v, %v, want %+v", got, ok, want)
		}
	}
	if s.Len() != len(m) || s.Bytes() != int64(size) {
		t.Fatalf("%d events of %d bytes, want %d of %d", s.Len(), s.Bytes(), len(m), size)
	}
	if e, ok := s.Event(m[0].Sequence - 1); ok {
		t.Fatalf("%+v is still retained", e)
	}
	if got, ok := s.Latest(); !ok || !sameEvent(got, m[len(m)-1]) {
		t.Fatalf("latest %+v, want %+v", got, m[len(m)-1])
	}
}

func testQuery(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *Series, m model, q service.RangeQueryRequest) {
	t.Helper()
	events, selected := s.Query(q, math.MaxInt)
	want, wantSelected := m.query(q)
	if !slices.EqualFunc(events, want, sameEvent) || selected != wantSelected {
		t.Fatalf("%+v selects %v of %d, want %v of %d", q, sequences(events), selected, sequences(want), wantSelected)
	}
}

// TestModelRetains keeps the model honest.
func TestModelRetains(t *testing.T) {
	m := model{}
	for i := range int64(5) {
		metadata := service.EventMetadata{Sequence: i, Timestamp: 10 * i}
		m = append(m, service.Event{EventMetadata: metadata, Original: metadata})
	}
	if got := sequences(m.retain(topic.Range{Limit: 4, Last: 20 * time.Millisecond})); !reflect.DeepEqual(got, []int64{2, 3, 4}) {
		t.Errorf("retained %v", got)
	}
}

// FuzzQuery decodes any range query and compares its result with the model's, as
// far as the model counts.
func FuzzQuery(f *testing.F) {
	data, err := os.ReadFile("../../testdata/vectors/time-series.json")
	if err != nil {
		f.Fatal(err)
	}
	var v struct {
		RangeQueryRequests []struct {
			Fields struct {
				ViewAnchor, ViewSpan, EditAnchor, EditSpan [2]int64
				QueryType                                  byte
				Limit                                      int64
			}
		}
	}
	if err := json.Unmarshal(data, &v); err != nil || len(v.RangeQueryRequests) == 0 {
		f.Fatal("no vectors", err)
	}
	for _, r := range v.RangeQueryRequests {
		p := func(p [2]int64) service.Point { return service.Point{Type: service.PointType(p[0]), Value: p[1]} }
		q := service.RangeQueryRequest{Type: service.RangeQueryType(r.Fields.QueryType), Limit: r.Fields.Limit}
		q.View = service.EventRange{Anchor: p(r.Fields.ViewAnchor), Span: p(r.Fields.ViewSpan)}
		q.Edit = service.EventRange{Anchor: p(r.Fields.EditAnchor), Span: p(r.Fields.EditSpan)}
		f.Add(service.RangeQuery.EncodeRequest(nil, q), 1000)
	}
	s, m := New(topic.Range{Limit: 25, Last: topic.NoLast}), model(nil)
	for i := range int64(30) {
		if i%4 < 2 {
			s.Append("alice", i/2, []byte("v"))
		} else if _, err := s.Edit(i/4*4+1, "bob", i/2, []byte("edit")); err != nil {
			f.Fatal(err)
		}
	}
	for sequence := s.first(); sequence < s.next; sequence++ {
		e, _ := s.Event(sequence)
		m = append(m, e)
	}
	f.Fuzz(func(t *testing.T, body []byte, maxBytes int) {
		q, err := service.RangeQuery.ReadRequest(body)
		if err != nil {
			return
		}
		events, selected := s.Query(q, maxBytes)
		result := service.RangeQuery.EncodeResponse(nil, service.NewRangeQueryResult("record_v2", selected, events))
		if len(events) > 0 && len(result) > maxBytes || int64(len(events)) > min(q.Limit, selected) {
			t.Fatalf("%+v: %d events of %d in %d bytes, at most %d", q, len(events), selected, len(result), maxBytes)
		}
		if _, err := service.RangeQuery.ReadResponse(result); err != nil {
			t.Fatal(err)
		}
		for _, p := range []*service.Point{&q.View.Anchor, &q.View.Span, &q.Edit.Anchor, &q.Edit.Span} {
			if p.Value > math.MaxInt64/4 {
				return
			}
		}
		testQuery(t, s, m, q)
	})
}
