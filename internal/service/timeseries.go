package service

import (
	"math/bits"

	"advect.dev/internal/wire"
)

// Time series (26).
var (
	RangeQuery                = declare[RangeQueryRequest, RangeQueryResult](84, "RANGE_QUERY")
	TimeSeriesAppend          = declare[AppendRequest, EventMetadata](99, "TIME_SERIES_APPEND")
	TimeSeriesEdit            = declare[EditRequest, EventMetadata](100, "TIME_SERIES_EDIT")
	TimeSeriesTimestampAppend = declare[TimestampAppendRequest, EventMetadata](166, "TIME_SERIES_TIMESTAMP_APPEND")
)

// EventMetadata identifies an event of a time series.
type EventMetadata struct {
	Sequence  int64
	Timestamp int64 // milliseconds since 1970
	Author    string
}

func (m *EventMetadata) append(b []byte) []byte {
	return wire.AppendString(wire.AppendInt64(wire.AppendInt64(b, m.Sequence), m.Timestamp), m.Author)
}

func (m *EventMetadata) size() int {
	return sizeOf(uint64(m.Sequence)) + sizeOf(uint64(m.Timestamp)) + sizeOf(uint64(len(m.Author))) + len(m.Author)
}

// sizeOf returns the number of bytes of a varint.
func sizeOf(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

func (m *EventMetadata) read(r *wire.Reader) {
	m.Sequence, m.Timestamp, m.Author = r.Int64(), r.Int64(), r.String()
}

// An Event is an event of a time series. An edit replaces an earlier event.
type Event struct {
	EventMetadata
	Original EventMetadata // of the event that an edit replaces; else equal to EventMetadata
	Value    []byte        // value form
}

// Edit reports whether the event replaces another: clients tell by the metadata,
// not by the kind on the wire (10 section 10.9).
func (e *Event) Edit() bool { return e.Original != e.EventMetadata }

// Append appends the event form: what topic messages and fetch results carry
// (10 section 10.9).
func (e *Event) Append(b []byte) []byte {
	if e.Edit() {
		b = e.EventMetadata.append(e.Original.append(append(b, itemEdit)))
	} else {
		b = e.EventMetadata.append(append(b, itemOriginal))
	}
	return wire.AppendBytes(b, e.Value)
}

// Size returns the number of bytes that Append appends, which are also those of
// the event in a [RangeQueryResult].
func (e *Event) Size() int {
	n := 1 + e.EventMetadata.size() + sizeOf(uint64(len(e.Value))) + len(e.Value)
	if e.Edit() {
		n += e.Original.size()
	}
	return n
}

// ReadEvent decodes the event form. Value aliases b.
func ReadEvent(b []byte) (e Event, err error) {
	r := wire.NewReader(b)
	kind := r.Byte()
	switch kind {
	case itemOriginal:
		e.EventMetadata.read(r)
		e.Original = e.EventMetadata
	case itemEdit:
		e.Original.read(r)
		e.EventMetadata.read(r)
	default:
		r.Fail("unknown kind of event %d", kind)
	}
	e.Value = r.Bytes()
	return e, r.Err()
}

// An AppendRequest adds an event. DataType is the name of the value's type.
type AppendRequest struct {
	Path     string
	DataType string
	Value    []byte
}

func (m *AppendRequest) append(b []byte) []byte {
	return wire.AppendBytes(wire.AppendString(wire.AppendString(b, m.Path), m.DataType), m.Value)
}

func (m *AppendRequest) read(r *wire.Reader) {
	m.Path, m.DataType, m.Value = r.String(), r.String(), r.Bytes()
}

// A TimestampAppendRequest adds an event with a timestamp of the client's.
type TimestampAppendRequest struct {
	AppendRequest
	Timestamp int64
}

func (m *TimestampAppendRequest) append(b []byte) []byte {
	return wire.AppendInt64(m.AppendRequest.append(b), m.Timestamp)
}

func (m *TimestampAppendRequest) read(r *wire.Reader) {
	m.AppendRequest.read(r)
	m.Timestamp = r.Int64()
}

// An EditRequest replaces the value of an original event.
type EditRequest struct {
	Path     string
	DataType string
	Sequence int64 // of the original event
	Value    []byte
}

func (m *EditRequest) append(b []byte) []byte {
	b = wire.AppendString(wire.AppendString(b, m.Path), m.DataType)
	return wire.AppendBytes(wire.AppendInt64(b, m.Sequence), m.Value)
}

func (m *EditRequest) read(r *wire.Reader) {
	m.Path, m.DataType, m.Sequence, m.Value = r.String(), r.String(), r.Int64(), r.Bytes()
}

// RangeQueryType says how a range query treats edits.
type RangeQueryType byte

// The types of range query.
const (
	ValueRange  RangeQueryType = 0 // the latest value of each original event
	AllEdits    RangeQueryType = 1 // originals and all edits
	LatestEdits RangeQueryType = 2 // originals and the latest edit of each
)

// PointType says how the value of a Point is meant (26 section 3.1).
type PointType byte

// The types of point. NextCount and those after it are spans only.
const (
	AbsoluteStart    PointType = 0
	AbsoluteSequence PointType = 1
	AbsoluteTime     PointType = 2
	OffsetSequence   PointType = 3
	OffsetTime       PointType = 4
	NextCount        PointType = 5
	NextTime         PointType = 6
	PreviousCount    PointType = 7
	PreviousTime     PointType = 8
)

// A Point is one end of a range of events: a sequence number, a count, or
// milliseconds, by its type.
type Point struct {
	Value int64
	Type  PointType
}

func (p *Point) append(b []byte) []byte { return append(wire.AppendInt64(b, p.Value), byte(p.Type)) }

func (p *Point) read(r *wire.Reader, last PointType) {
	p.Value, p.Type = r.Int64(), PointType(r.Byte())
	if p.Type > last {
		r.Fail("point of type %d", p.Type)
	}
	if p.Value < 0 {
		r.Fail("negative point %d", p.Value)
	}
}

// An EventRange is a range of events; both ends are inclusive.
type EventRange struct{ Anchor, Span Point }

// WholeSeries is the default range.
var WholeSeries = EventRange{Span: Point{Type: OffsetSequence}}

func (e *EventRange) append(b []byte) []byte { return e.Span.append(e.Anchor.append(b)) }

func (e *EventRange) read(r *wire.Reader) {
	e.Anchor.read(r, OffsetTime)
	e.Span.read(r, PreviousTime)
}

// A RangeQueryRequest asks for a part of a time series.
type RangeQueryRequest struct {
	Path       string
	Type       RangeQueryType
	View, Edit EventRange
	Limit      int64 // the most events, latest first; 2^53-1 and more: no limit
}

// Obsolete reports whether the query may select events that edits have replaced,
// for which it needs a permission of its own (26 section 3.4).
func (m *RangeQueryRequest) Obsolete() bool {
	return m.Type != ValueRange || m.Edit != WholeSeries
}

func (m *RangeQueryRequest) append(b []byte) []byte {
	b = append(wire.AppendString(b, m.Path), byte(m.Type))
	return wire.AppendInt64(m.Edit.append(m.View.append(b)), m.Limit)
}

func (m *RangeQueryRequest) read(r *wire.Reader) {
	m.Path, m.Type = r.String(), RangeQueryType(r.Byte())
	if m.Type > LatestEdits {
		r.Fail("unknown type of range query %d", m.Type)
	}
	m.View.read(r)
	m.Edit.read(r)
	if m.Limit = r.Int64(); m.Limit < 0 {
		r.Fail("negative limit %d", m.Limit)
	}
}

// RangeItemKind is the kind of an item of a range query's result.
type RangeItemKind byte

// The kinds of item. Offsets and authors only shorten the events after them.
const (
	itemOriginal = 0
	itemEdit     = 1

	OriginalItem RangeItemKind = itemOriginal
	EditItem     RangeItemKind = itemEdit
	OffsetItem   RangeItemKind = 2
	AuthorItem   RangeItemKind = 3
)

// A RangeItem is one item of a result, as it travels: sequences and timestamps
// of events are relative to the last offsets, and authors may be codes.
// [RangeQueryResult.Events] resolves them.
type RangeItem struct {
	Kind      RangeItemKind
	Event     Event  // OriginalItem, EditItem
	Sequence  int64  // OffsetItem
	Timestamp int64  // OffsetItem
	Code      []byte // AuthorItem
	Author    string // AuthorItem
}

func (m *RangeItem) append(b []byte) []byte {
	switch m.Kind {
	case OffsetItem:
		return wire.AppendInt64(wire.AppendInt64(append(b, byte(m.Kind)), m.Sequence), m.Timestamp)
	case AuthorItem:
		return wire.AppendString(wire.AppendBytes(append(b, byte(m.Kind)), m.Code), m.Author)
	case EditItem:
		b = m.Event.Original.append(append(b, byte(m.Kind)))
	default:
		b = append(b, byte(m.Kind))
	}
	return wire.AppendBytes(m.Event.EventMetadata.append(b), m.Event.Value)
}

func (m *RangeItem) read(r *wire.Reader) {
	switch m.Kind = RangeItemKind(r.Byte()); m.Kind {
	case OriginalItem:
		m.Event.EventMetadata.read(r)
		m.Event.Original = m.Event.EventMetadata
		m.Event.Value = r.Bytes()
	case EditItem:
		m.Event.Original.read(r)
		m.Event.EventMetadata.read(r)
		m.Event.Value = r.Bytes()
	case OffsetItem:
		m.Sequence, m.Timestamp = r.Int64(), r.Int64()
	case AuthorItem:
		m.Code, m.Author = r.Bytes(), r.String()
	default:
		r.Fail("unknown kind of range item %d", m.Kind)
	}
}

// A RangeQueryResult lists the events that a range query selected.
type RangeQueryResult struct {
	DataType string // of the values, in lower case
	Selected int64  // number of events before the limit
	Items    []RangeItem
}

// minRangeItem is the least number of bytes that an item takes.
const minRangeItem = 3

func (m *RangeQueryResult) append(b []byte) []byte {
	b = wire.AppendInt32(wire.AppendInt64(wire.AppendString(b, m.DataType), m.Selected), int32(len(m.Items)))
	for i := range m.Items {
		b = m.Items[i].append(b)
	}
	return b
}

func (m *RangeQueryResult) read(r *wire.Reader) {
	m.DataType, m.Selected = r.String(), r.Int64()
	if n := r.Count(minRangeItem); n > 0 {
		m.Items = make([]RangeItem, n)
	}
	for i := range m.Items {
		m.Items[i].read(r)
	}
}

// NewRangeQueryResult returns the result with these events, in their order.
func NewRangeQueryResult(dataType string, selected int64, events []Event) RangeQueryResult {
	res := RangeQueryResult{DataType: dataType, Selected: selected}
	if len(events) > 0 {
		res.Items = make([]RangeItem, len(events))
	}
	for i, e := range events {
		res.Items[i] = RangeItem{Kind: OriginalItem, Event: e}
		if e.Edit() {
			res.Items[i].Kind = EditItem
		}
	}
	return res
}

// Events returns the events of the result, with offsets and author codes resolved.
func (m *RangeQueryResult) Events() []Event {
	var sequence, timestamp int64
	authors := make(map[string]string)
	resolve := func(e EventMetadata) EventMetadata {
		e.Sequence += sequence
		e.Timestamp += timestamp
		if author, ok := authors[e.Author]; ok {
			e.Author = author
		}
		return e
	}
	var events []Event
	for i := range m.Items {
		switch item := &m.Items[i]; item.Kind {
		case OffsetItem:
			sequence, timestamp = item.Sequence, item.Timestamp
		case AuthorItem:
			authors[string(item.Code)] = item.Author
		default:
			events = append(events, Event{resolve(item.Event.EventMetadata), resolve(item.Event.Original), item.Event.Value})
		}
	}
	return events
}
