package timeseries

import (
	"slices"
	"sort"

	"advect.dev/internal/service"
)

// resultOverhead is the most bytes that a result takes besides its events: the
// name of the longest data type and two numbers.
const resultOverhead = 1 + len("record_v2") + 10 + 5

// Query returns the events that a range query selects, in the order of its result
// (26 section 3.4), and how many there are without the query's limit. If the body
// of the response would exceed maxBytes, fewer are returned, as if the limit were
// lower.
func (s *Series) Query(q service.RangeQueryRequest, maxBytes int) (events []service.Event, selected int64) {
	view := counted{s, q.Type == service.ValueRange}.span(q.View)
	edit := counted{s, false}.span(q.Edit)
	picked := s.pick(q.Type, view, edit)
	return s.resolve(s.limit(picked, q.Limit, maxBytes)), int64(len(picked))
}

// A span is a range of places among the retained events, or among those counted.
type span struct{ from, to int } // half open

func (p span) has(i int) bool { return p.from <= i && i < p.to }

// pick returns the places of what a query selects, in the order of its result. Of
// the originals in view and their edits it is what lies in the edit range.
func (s *Series) pick(kind service.RangeQueryType, view, edit span) []int {
	most := min(view.to-view.from, edit.to-max(edit.from, view.from)) // but for edits of originals in view
	picked := make([]int, 0, max(most, 0))
	for i := view.from; i < view.to; i++ {
		if !s.isOriginal(i) {
			continue
		}
		edits := s.edits(i, edit)
		if kind != service.AllEdits {
			edits = edits[max(len(edits)-1, 0):]
		}
		if edit.has(i) && (kind != service.ValueRange || len(edits) == 0) {
			picked = append(picked, i)
		}
		for _, sequence := range edits {
			picked = append(picked, s.place(sequence))
		}
	}
	if kind != service.ValueRange {
		slices.Sort(picked)
	}
	return picked
}

// place returns the place of a retained event.
func (s *Series) place(sequence int64) int { return int(sequence - s.first()) }

func (s *Series) isOriginal(i int) bool {
	edited := s.events[s.head+i].edited
	return edited == nil || edited.original.Sequence == s.first()+int64(i)
}

// edits returns the sequences of the edits of the original at a place that are in
// the edit range.
func (s *Series) edits(i int, edit span) []int64 {
	edited := s.events[s.head+i].edited
	if edited == nil {
		return nil
	}
	from, _ := slices.BinarySearch(edited.edits, s.first()+int64(edit.from))
	to, _ := slices.BinarySearch(edited.edits, s.first()+int64(edit.to))
	return edited.edits[from:to]
}

// limit keeps the events with the highest sequences, no more than limit of them
// and no more than fit, in their order.
func (s *Series) limit(picked []int, limit int64, maxBytes int) []int {
	newest := picked
	if !slices.IsSorted(picked) {
		newest = slices.Clone(picked)
		slices.Sort(newest)
	}
	from := len(newest)
	for left := maxBytes - resultOverhead; from > 0 && int64(len(newest)-from) < limit; from-- {
		e := s.event(newest[from-1])
		if left -= e.Size(); left < 0 {
			break
		}
	}
	if from == len(newest) {
		return nil
	}
	least, kept := newest[from], make([]int, 0, len(newest)-from)
	for _, i := range picked {
		if i >= least {
			kept = append(kept, i)
		}
	}
	return kept
}

// resolve returns the events at some places.
func (s *Series) resolve(places []int) []service.Event {
	if len(places) == 0 {
		return nil
	}
	events := make([]service.Event, len(places))
	for i, at := range places {
		events[i] = s.event(at)
	}
	return events
}

// counted is the retained events that the points of a range count: all of them,
// or the originals (26 section 3.3).
type counted struct {
	*Series
	originals bool
}

// A position is a place of a point among the counted events: so many of them lie
// before it, and so many before it or at it. At a time there may be several
// events, at a point that falls between events there is none.
type position struct{ before, through int }

// span returns the places of the retained events that lie in a range; events that
// are not counted may be among them.
func (c counted) span(r service.EventRange) span {
	var (
		in     span // among the counted events
		anchor = c.position(r.Anchor, false)
		n      = c.clip(r.Span.Value)
	)
	switch r.Span.Type {
	case service.NextCount:
		in = span{anchor.before, min(anchor.before+1, anchor.through) + n}
	case service.PreviousCount:
		in = span{max(anchor.through-1, anchor.before) - n, anchor.through}
	case service.NextTime:
		in = span{anchor.before, c.count()}
		if t, ok := c.time(r.Anchor, anchor.before); ok {
			in.to = c.at(later(t, r.Span.Value)).through
		}
	case service.PreviousTime:
		in = span{0, anchor.through}
		if t, ok := c.time(r.Anchor, anchor.through-1); ok {
			in.from = c.at(earlier(t, r.Span.Value)).before
		}
	default:
		end := c.position(r.Span, true)
		in = span{anchor.before, end.through}
		if in.from >= in.to { // the end lies before the anchor
			in = span{end.before, anchor.through}
		}
	}
	in = span{max(in.from, 0), min(in.to, c.count())}
	if in.from >= in.to {
		return span{}
	}
	return span{c.nth(in.from), c.nth(in.to-1) + 1}
}

// position returns the place of a point that is absolute or relative to the end
// of the series.
func (c counted) position(p service.Point, end bool) position {
	switch p.Type {
	case service.AbsoluteSequence:
		return c.rank(span{c.clipped(p.Value), c.clipped(later(p.Value, 1))})
	case service.AbsoluteTime:
		return c.at(p.Value)
	case service.OffsetSequence:
		i := c.count() - c.clip(p.Value)
		if end || p.Value == 0 || p.Value > int64(c.count()) {
			return position{i, i} // after the last event that is not excluded
		}
		return position{i, i + 1}
	case service.OffsetTime:
		if c.count() == 0 {
			return position{}
		}
		return c.at(earlier(c.timestamp(c.count()-1), p.Value))
	default:
		return position{} // the start
	}
}

// time returns the time of an anchor, which is that of the i-th counted event
// unless the anchor is itself a time. There may be no such event.
func (c counted) time(anchor service.Point, i int) (int64, bool) {
	if anchor.Type == service.AbsoluteTime {
		return anchor.Value, true
	}
	if i < 0 || i >= c.count() {
		return 0, false
	}
	if anchor.Type == service.OffsetTime {
		return earlier(c.timestamp(c.count()-1), anchor.Value), true
	}
	return c.timestamp(i), true
}

// timestamp returns the time of the i-th counted event.
func (c counted) timestamp(i int) int64 { return c.events[c.head+c.nth(i)].timestamp }

// at returns the position of a time.
func (c counted) at(t int64) position { return c.rank(span{c.before(t), c.through(t)}) }

// clip returns n within 0 and the number of counted events.
func (c counted) clip(n int64) int { return int(min(max(n, 0), int64(c.count()))) }

// clipped returns the place of a sequence, or an end of the series.
func (c counted) clipped(sequence int64) int {
	return c.place(min(max(sequence, c.first()), c.next))
}

// count returns the number of counted events.
func (c counted) count() int { return c.ordinal(c.Len()) }

// rank turns places among the retained events into those among the counted.
func (c counted) rank(p span) position { return position{c.ordinal(p.from), c.ordinal(p.to)} }

// ordinal returns how many of the first i retained events are counted.
func (c counted) ordinal(i int) int {
	switch {
	case !c.originals:
		return i
	case i == 0:
		return 0
	case i < c.Len():
		return int(c.events[c.head+i].ordinal - c.events[c.head].ordinal)
	default:
		return int(c.nextOrdinal - c.events[c.head].ordinal)
	}
}

// nth returns the place of the i-th counted event among the retained.
func (c counted) nth(i int) int {
	if !c.originals {
		return i
	}
	return sort.Search(c.Len(), func(j int) bool { return c.ordinal(j+1) > i })
}
