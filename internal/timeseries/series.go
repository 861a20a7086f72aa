package timeseries

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"sort"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// Errors that callers tell apart.
var (
	// ErrNoSuchEvent: an edit names an event that is not retained, or is an edit.
	ErrNoSuchEvent = errors.New("no such event")
	// ErrTimestamp: an event is older than the latest.
	ErrTimestamp = errors.New("timestamp before the latest event's")
)

// A Series is the retained events of a time series. Sequences count every event
// from 0, so that those retained are consecutive; timestamps never decrease.
//
// Values are copied when they are added. Those in the events that it returns are
// shared and must not be changed; they outlive the event's retention.
type Series struct {
	retained topic.Range

	events      []entry // events[head:] are retained
	head        int
	next        int64 // sequence of the next event
	nextOrdinal int64 // ordinal of the next event
	bytes       int64 // of the retained events in event form
}

// An entry is an event without what its place in the series tells.
type entry struct {
	timestamp int64
	ordinal   int64 // number of originals ever added before it
	author    string
	value     []byte
	edited    *edited // nil for an original without edits
}

// edited is shared by an original and its edits.
type edited struct {
	original service.EventMetadata
	edits    []int64 // sequences, ascending; nil once the original is not retained
}

// New returns a series that retains a range of its newest events, always the
// latest among them.
func New(retained topic.Range) *Series {
	retained.Limit = max(retained.Limit, 1)
	return &Series{retained: retained}
}

// Len returns the number of retained events.
func (s *Series) Len() int { return len(s.events) - s.head }

// Bytes returns the size of all retained events in event form.
func (s *Series) Bytes() int64 { return s.bytes }

// Append adds an event at the time now, in milliseconds since 1970, or at that of
// the latest event if the clock went backwards.
func (s *Series) Append(author string, now int64, value []byte) service.Event {
	return s.add(entry{timestamp: s.notBefore(now), author: author, value: value})
}

// AppendAt adds an event with a timestamp of the caller's, which may be negative
// but not before the latest event's: ErrTimestamp.
func (s *Series) AppendAt(author string, timestamp int64, value []byte) (service.Event, error) {
	if latest := s.notBefore(timestamp); latest != timestamp {
		return service.Event{}, fmt.Errorf("%w: %d, the latest is %d", ErrTimestamp, timestamp, latest)
	}
	return s.add(entry{timestamp: timestamp, author: author, value: value}), nil
}

// Edit adds an event, as Append does, that replaces a retained original event; of
// others it says ErrNoSuchEvent.
func (s *Series) Edit(sequence int64, author string, now int64, value []byte) (service.Event, error) {
	i, ok := s.index(sequence)
	if !ok {
		return service.Event{}, fmt.Errorf("%w: %d, retained are %d of %d", ErrNoSuchEvent, sequence, s.Len(), s.next)
	}
	original := s.event(i)
	if original.Edit() {
		return service.Event{}, fmt.Errorf("%w: %d is an edit; edit %d", ErrNoSuchEvent, sequence, original.Original.Sequence)
	}
	e := &s.events[s.head+i]
	if e.edited == nil {
		e.edited = &edited{original: original.EventMetadata}
	}
	e.edited.edits = append(e.edited.edits, s.next)
	return s.add(entry{timestamp: s.notBefore(now), author: author, value: value, edited: e.edited}), nil
}

// Latest returns the event that was added last, and whether there is one.
func (s *Series) Latest() (service.Event, bool) { return s.Event(s.next - 1) }

// Event returns a retained event, original or edit.
func (s *Series) Event(sequence int64) (service.Event, bool) {
	if i, ok := s.index(sequence); ok {
		return s.event(i), true
	}
	return service.Event{}, false
}

// first returns the sequence of the oldest retained event.
func (s *Series) first() int64 { return s.next - int64(s.Len()) }

// index returns the place of a sequence among the retained events.
func (s *Series) index(sequence int64) (int, bool) {
	if sequence < s.first() || sequence >= s.next {
		return 0, false
	}
	return int(sequence - s.first()), true
}

// event returns the retained event at a place.
func (s *Series) event(i int) service.Event {
	e := &s.events[s.head+i]
	metadata := service.EventMetadata{Sequence: s.first() + int64(i), Timestamp: e.timestamp, Author: e.author}
	if e.edited != nil {
		return service.Event{EventMetadata: metadata, Original: e.edited.original, Value: e.value}
	}
	return service.Event{EventMetadata: metadata, Original: metadata, Value: e.value}
}

// notBefore returns t, or the latest timestamp if that is later.
func (s *Series) notBefore(t int64) int64 {
	if s.Len() == 0 {
		return t
	}
	return max(t, s.events[len(s.events)-1].timestamp)
}

// add appends an event, applies retention and returns the event.
func (s *Series) add(e entry) service.Event {
	e.value = bytes.Clone(e.value)
	e.ordinal = s.nextOrdinal
	if len(s.events) == cap(s.events) && s.head > s.Len()/4 {
		n := copy(s.events, s.events[s.head:])
		clear(s.events[n:])
		s.events, s.head = s.events[:n], 0
	}
	s.events = append(s.events, e)
	if e.edited == nil {
		s.nextOrdinal++
	}
	s.next++
	added := s.event(s.Len() - 1)
	s.bytes += int64(added.Size())
	s.trim(s.suffix(s.retained))
	return added
}

// trim drops the oldest n events, and gives back memory after many.
func (s *Series) trim(n int) {
	for i := range n {
		e := s.event(i)
		s.bytes -= int64(e.Size())
		if !e.Edit() && s.events[s.head+i].edited != nil {
			s.events[s.head+i].edited.edits = nil
		}
	}
	clear(s.events[s.head : s.head+n])
	s.head += n
	if cap(s.events) >= 64 && s.Len() < cap(s.events)/4 {
		s.events, s.head = append(make([]entry, 0, 2*s.Len()), s.events[s.head:]...), 0
	}
}

// suffix returns the place of the first retained event of a range.
func (s *Series) suffix(r topic.Range) int {
	if s.Len() == 0 {
		return 0
	}
	from := s.Len() - int(min(r.Limit, int64(s.Len())))
	if r.Last == topic.NoLast {
		return from
	}
	oldest := earlier(s.events[len(s.events)-1].timestamp, r.Last.Milliseconds())
	if s.events[s.head+min(from, s.Len()-1)].timestamp >= oldest {
		return from
	}
	return s.before(oldest)
}

// earlier returns t-d, and the least number instead of one below it.
func earlier(t, d int64) int64 {
	if t < math.MinInt64+d {
		return math.MinInt64
	}
	return t - d
}

// later returns t+d, and the greatest number instead of one above it.
func later(t, d int64) int64 {
	if t > math.MaxInt64-d {
		return math.MaxInt64
	}
	return t + d
}

// before returns the number of retained events that are older than a time.
func (s *Series) before(t int64) int {
	return sort.Search(s.Len(), func(i int) bool { return s.events[s.head+i].timestamp >= t })
}

// through returns the number of retained events that are as old as a time or older.
func (s *Series) through(t int64) int {
	return sort.Search(s.Len(), func(i int) bool { return s.events[s.head+i].timestamp > t })
}

// Subscription returns what a new subscriber is sent, oldest first: the originals
// of a range of the newest events, and the latest edit of each. With latest the
// last of them is the latest event, even if it is an edit of an older one.
func (s *Series) Subscription(r topic.Range, latest bool) []service.Event {
	picked := s.pick(service.LatestEdits, span{s.suffix(r), s.Len()}, span{0, s.Len()})
	newest := s.Len() - 1
	if latest && newest >= 0 && (len(picked) == 0 || picked[len(picked)-1] != newest) {
		picked = append(picked, newest)
	}
	return s.resolve(picked)
}
