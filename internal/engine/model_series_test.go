package engine

import (
	"cmp"
	"slices"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// events is what is retained of a time series, oldest first, as the specification
// words it: each question is answered by looking at every event.
type events []service.Event

func (m events) originals() (list events) {
	for _, e := range m {
		if !e.Edit() {
			list = append(list, e)
		}
	}
	return list
}

// retain drops what lies outside a range (12 section 12.5).
func (m events) retain(r topic.Range) events {
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

// subscription returns what a new subscriber is sent (10 section 10.9): of the
// events in range the originals and the latest edit of each, and the latest event.
func (m events) subscription(r topic.Range, latest bool) (list events) {
	if len(m) == 0 {
		return nil
	}
	in := m.retain(r)
	for i, e := range in {
		superseded := e.Edit() && slices.ContainsFunc(in[i+1:], func(l service.Event) bool { return l.Original == e.Original })
		known := e.Original.Sequence >= in[0].Sequence
		if known && !superseded || latest && e.Sequence == m[len(m)-1].Sequence {
			list = append(list, e)
		}
	}
	if latest && len(in) == 0 {
		list = append(list, m[len(m)-1])
	}
	return list
}

// side returns on which side of a point the counted event i lies: before it (-1),
// at it (0), or after it (26 section 3.3).
func (m events) side(p service.Point, span bool, i int) int {
	end := int64(len(m)) - p.Value
	switch p.Type {
	case service.AbsoluteStart:
		return 1
	case service.AbsoluteSequence:
		return cmp.Compare(m[i].Sequence, p.Value)
	case service.AbsoluteTime:
		return cmp.Compare(m[i].Timestamp, p.Value)
	case service.OffsetTime:
		return cmp.Compare(m[i].Timestamp, m[len(m)-1].Timestamp-p.Value)
	}
	if span && int64(i) < end { // the last one selected is END-1-n
		return -1
	} else if span {
		return 1
	}
	return cmp.Compare(int64(i), end)
}

// in returns the sequences of the counted events in a range.
func (m events) in(r service.EventRange) map[int64]bool {
	n := r.Span.Value
	var from, back []int // at or after the anchor; at or before it
	at := false          // an event is at the anchor
	for i := range m {
		side := m.side(r.Anchor, false, i)
		if side >= 0 {
			from = append(from, i)
		}
		if side <= 0 {
			back = append(back, i)
		}
		at = at || side == 0
	}
	timeOf := func(i int) int64 {
		switch r.Anchor.Type {
		case service.AbsoluteTime:
			return r.Anchor.Value
		case service.OffsetTime:
			return m[len(m)-1].Timestamp - r.Anchor.Value
		}
		return m[i].Timestamp
	}
	if at {
		n++ // a count is of events beside the one at the anchor
	}
	var places []int
	switch r.Span.Type {
	case service.NextCount:
		places = from[:min(int64(len(from)), n)]
	case service.PreviousCount:
		places = back[max(int64(len(back))-n, 0):]
	case service.NextTime:
		for _, i := range from {
			if m[i].Timestamp <= timeOf(from[0])+r.Span.Value {
				places = append(places, i)
			}
		}
	case service.PreviousTime:
		for _, i := range back {
			if m[i].Timestamp >= timeOf(back[len(back)-1])-r.Span.Value {
				places = append(places, i)
			}
		}
	default:
		for _, i := range from {
			if m.side(r.Span, true, i) <= 0 {
				places = append(places, i)
			}
		}
		if places == nil { // the end lies before the anchor
			for _, i := range back {
				if m.side(r.Span, true, i) >= 0 {
					places = append(places, i)
				}
			}
		}
	}
	in := make(map[int64]bool)
	for _, i := range places {
		in[m[i].Sequence] = true
	}
	return in
}

// query is 26 section 3.4.
func (m events) query(q *service.RangeQueryRequest) (found events, selected int64) {
	counted := m
	if q.Type == service.ValueRange {
		counted = m.originals()
	}
	view, edit := counted.in(q.View), m.in(q.Edit)
	for _, o := range m.originals() {
		if !view[o.Sequence] {
			continue
		}
		var edits events
		for _, e := range m {
			if e.Edit() && e.Original == o.EventMetadata && edit[e.Sequence] {
				edits = append(edits, e)
			}
		}
		if q.Type != service.AllEdits && len(edits) > 1 {
			edits = edits[len(edits)-1:]
		}
		if edit[o.Sequence] && (q.Type != service.ValueRange || len(edits) == 0) {
			found = append(found, o)
		}
		found = append(found, edits...)
	}
	bySequence := func(a, b service.Event) int { return cmp.Compare(a.Sequence, b.Sequence) }
	if q.Type != service.ValueRange {
		slices.SortFunc(found, bySequence)
	}
	selected = int64(len(found))
	for int64(len(found)) > q.Limit {
		least := slices.MinFunc(found, bySequence)
		found = slices.DeleteFunc(found, func(e service.Event) bool { return e.Sequence == least.Sequence })
	}
	return found, selected
}
