package advect

import (
	"context"
	"fmt"
	"time"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// EventMetadata identifies an event of a time series (protocol 10 section 9).
type EventMetadata struct {
	// Sequence is the event's number: that of the event before it plus 1. The
	// first is 0.
	Sequence int64
	// Timestamp is when the event was added, to the millisecond, in UTC. It is
	// never before that of the event before it.
	Timestamp time.Time
	// Author is the principal that added the event, "" for an anonymous one.
	Author string
	// Original is the event that this one is an edit of, or nil if it is none.
	Original *EventMetadata
}

// IsEdit reports whether the event replaces the value of an earlier one.
func (m *EventMetadata) IsEdit() bool { return m.Original != nil }

func newMetadata(m service.EventMetadata) EventMetadata {
	return EventMetadata{Sequence: m.Sequence, Timestamp: time.UnixMilli(m.Timestamp).UTC(), Author: m.Author}
}

func eventMetadata(e *service.Event) EventMetadata {
	m := newMetadata(e.EventMetadata)
	if e.Edit() {
		original := newMetadata(e.Original)
		m.Original = &original
	}
	return m
}

// ValueType returns the type of a topic's values: for a time series that of its
// events. It is false if the specification is of a time series and has no
// [PropertyTimeSeriesEventValueType], as from a fetch without properties, or one
// that does not exist.
func ValueType(s Specification) (datatype.Type, bool) {
	if s.Type != TimeSeries {
		return datatype.Type(s.Type), true
	}
	t, err := datatype.ParseType(s.Properties[topic.TimeSeriesEventValueType])
	return t, err == nil
}

// TimeSeriesOf returns the specification of a time series whose events have
// values of a type.
func TimeSeriesOf(t datatype.Type, properties ...TopicProperty) Specification {
	return NewSpecification(TimeSeries, append(properties[:len(properties):len(properties)], With(topic.TimeSeriesEventValueType, t.String()))...)
}

// Append adds an event to a time series (protocol 26) and returns its metadata.
// The value must be of the type of the series' events. The session needs the
// permission UPDATE_TOPIC. To add the topic too, see [Topics.AddAndSet]; for
// many events in a row, [UpdateStream].
//
// Errors: [ErrNoSuchTopic], [ErrNotTimeSeries], [ErrIncompatibleDatatype] if the
// value is of another type, [ErrIncompatibleState] if something else manages the
// topic.
func (t *Topics) Append(ctx context.Context, path string, value datatype.Value) (EventMetadata, error) {
	if value == nil {
		return EventMetadata{}, fmt.Errorf("append to %s: %w", path, errNilEvent)
	}
	m, err := call(ctx, t.session, service.TimeSeriesAppend, appendRequest(path, value))
	if err != nil {
		return EventMetadata{}, fmt.Errorf("append to %s: %w", path, err)
	}
	return newMetadata(m), nil
}

// AppendAt is [Topics.Append] with a timestamp in place of the server's clock,
// to the millisecond. It must not be before that of the latest event, else the
// error matches [ErrInvalidData].
func (t *Topics) AppendAt(ctx context.Context, path string, value datatype.Value, timestamp time.Time) (EventMetadata, error) {
	if value == nil {
		return EventMetadata{}, fmt.Errorf("append to %s: %w", path, errNilEvent)
	}
	m, err := call(ctx, t.session, service.TimeSeriesTimestampAppend, service.TimestampAppendRequest{
		AppendRequest: appendRequest(path, value), Timestamp: timestamp.UnixMilli(),
	})
	if err != nil {
		return EventMetadata{}, fmt.Errorf("append to %s: %w", path, err)
	}
	return newMetadata(m), nil
}

// EditEvent replaces the value of an event of a time series, named by its
// sequence number, by adding an event that is an edit of it, and returns the
// metadata of that. The event must not be an edit itself. The session needs the
// permissions UPDATE_TOPIC and EDIT_TIME_SERIES_EVENTS, or
// EDIT_OWN_TIME_SERIES_EVENTS for what its principal has added.
//
// Errors: [ErrNoSuchEvent] if the series does not hold the event or it is an
// edit, and those of [Topics.Append].
func (t *Topics) EditEvent(ctx context.Context, path string, sequence int64, value datatype.Value) (EventMetadata, error) {
	if value == nil {
		return EventMetadata{}, fmt.Errorf("edit event %d of %s: %w", sequence, path, errNilEvent)
	}
	m, err := call(ctx, t.session, service.TimeSeriesEdit, service.EditRequest{
		Path: path, DataType: value.Type().String(), Sequence: sequence, Value: value.Bytes(),
	})
	if err != nil {
		return EventMetadata{}, fmt.Errorf("edit event %d of %s: %w", sequence, path, err)
	}
	return newMetadata(m), nil
}

var errNilEvent = fmt.Errorf("the value is nil")

func appendRequest(path string, value datatype.Value) service.AppendRequest {
	return service.AppendRequest{Path: path, DataType: value.Type().String(), Value: value.Bytes()}
}

// A TimeSeriesEvent is an event of a time series.
type TimeSeriesEvent[V datatype.Value] struct {
	EventMetadata
	// Value is the zero V if Null.
	Value V
	// Null says that the series was set to null by this event.
	Null bool
}

// readEvent decodes the value of an event whose type is t.
func readEvent[V datatype.Value](t datatype.Type, e *service.Event) (TimeSeriesEvent[V], error) {
	value, present, err := datatype.Read[V](t, e.Value)
	return TimeSeriesEvent[V]{EventMetadata: eventMetadata(e), Value: value, Null: err == nil && !present}, err
}

// A RangeQuery says which events of a time series to read. The zero value asks
// for the value of every event.
type RangeQuery struct {
	// Edits says what becomes of edits. Default: [LatestValues].
	Edits RangeEdits
	// View is the range of original events; edits are seen with their
	// originals. Default: all.
	View EventRange
	// Edit is the range of events, edits and originals, that the result is
	// taken from. So LatestValues with an Edit range that ends at a time are
	// the values as they were then. Default: all.
	Edit EventRange
	// Limit is the most events in the result, the latest count. Default 0: no
	// limit.
	Limit int
	// CountOnly asks for [RangeResult.Selected] alone. Limit does not count then.
	CountOnly bool
}

// RangeEdits says what a [RangeQuery] makes of edits.
type RangeEdits byte

// The forms of queries (protocol 26 section 3.4).
const (
	// LatestValues yields one event for each original, the latest edit of it if
	// there is one, in the order of the originals.
	LatestValues RangeEdits = 0
	// AllEdits yields originals and all edits, in the order in which they were
	// added.
	AllEdits RangeEdits = 1
	// LatestEdits yields originals and the latest edit of each, likewise.
	LatestEdits RangeEdits = 2
)

// An EventRange is a part of a time series, from an anchor to the end of a span,
// both inclusive. The zero value is the whole series.
//
//	advect.EventRange{Anchor: advect.FromLast(100)}                          // the last 100
//	advect.EventRange{Anchor: advect.FromTime(t), Span: advect.NextFor(time.Hour)}
//
// Ends beyond the series are cut. A span may go back from its anchor; the
// events are in the same order then. Counts are of originals for
// [LatestValues], else of all events.
type EventRange struct {
	Anchor Anchor // default: FromStart
	Span   Span   // default: UntilLast(0), which is the end of the series
}

// An Anchor is where a range of events begins.
type Anchor struct{ point service.Point }

// FromStart is before the first event.
func FromStart() Anchor { return Anchor{} }

// FromSequence is at the event with a sequence number.
func FromSequence(n int64) Anchor { return Anchor{point(n, service.AbsoluteSequence)} }

// FromTime is at a time, to the millisecond.
func FromTime(t time.Time) Anchor { return Anchor{point(t.UnixMilli(), service.AbsoluteTime)} }

// FromLast is so that the last n events follow.
func FromLast(n int) Anchor { return Anchor{point(n, service.OffsetSequence)} }

// FromLastFor is at a time before that of the last event, to the millisecond.
func FromLastFor(d time.Duration) Anchor {
	return Anchor{point(d.Milliseconds(), service.OffsetTime)}
}

// A Span is where a range of events ends, which may be before its anchor.
type Span struct {
	point service.Point
	set   bool // the zero Point is not the default
}

// ToStart is before the first event.
func ToStart() Span { return span(0, service.AbsoluteStart) }

// ToSequence is at the event with a sequence number.
func ToSequence(n int64) Span { return span(n, service.AbsoluteSequence) }

// ToTime is at a time, to the millisecond.
func ToTime(t time.Time) Span { return span(t.UnixMilli(), service.AbsoluteTime) }

// UntilLast is so that the last n events are left out.
func UntilLast(n int) Span { return span(n, service.OffsetSequence) }

// UntilLastFor is at a time before that of the last event, to the millisecond.
func UntilLastFor(d time.Duration) Span { return span(d.Milliseconds(), service.OffsetTime) }

// Next is n events after the anchor.
func Next(n int) Span { return span(n, service.NextCount) }

// NextFor is at a time after that of the anchor, to the millisecond.
func NextFor(d time.Duration) Span { return span(d.Milliseconds(), service.NextTime) }

// Previous is n events before the anchor.
func Previous(n int) Span { return span(n, service.PreviousCount) }

// PreviousFor is at a time before that of the anchor, to the millisecond.
func PreviousFor(d time.Duration) Span { return span(d.Milliseconds(), service.PreviousTime) }

func point[N int | int64](n N, t service.PointType) service.Point {
	return service.Point{Value: int64(n), Type: t}
}

func span[N int | int64](n N, t service.PointType) Span { return Span{point(n, t), true} }

func (r *EventRange) request() (service.EventRange, error) {
	e := service.WholeSeries
	e.Anchor = r.Anchor.point
	if r.Span.set {
		e.Span = r.Span.point
	}
	if e.Anchor.Value < 0 || e.Span.Value < 0 {
		return e, fmt.Errorf("a range of events from %d to %d: it has a negative end", e.Anchor.Value, e.Span.Value)
	}
	return e, nil
}

// noRangeLimit is what official clients send for no limit (protocol 26 section
// 3.1).
const noRangeLimit = 1<<53 - 1

func (q *RangeQuery) request(path string) (r service.RangeQueryRequest, err error) {
	r = service.RangeQueryRequest{Path: path, Type: service.RangeQueryType(q.Edits), Limit: noRangeLimit}
	if r.View, err = q.View.request(); err != nil {
		return r, err
	}
	if r.Edit, err = q.Edit.request(); err != nil {
		return r, err
	}
	switch {
	case q.Edits > LatestEdits:
		return r, fmt.Errorf("unknown form of range query %d", q.Edits)
	case q.Limit < 0:
		return r, fmt.Errorf("the query has a negative limit")
	case q.CountOnly:
		r.Limit = 0
	case q.Limit > 0:
		r.Limit = int64(q.Limit)
	}
	return r, nil
}

// A RangeResult is the answer to a [RangeQuery].
type RangeResult[V datatype.Value] struct {
	// Events are in the order that [RangeQuery.Edits] gives.
	Events []TimeSeriesEvent[V]
	// Selected is the number of events that the query selects without its limit.
	Selected int64
	// Complete says that Events are all of them. If they are not, the earliest
	// are missing, because of the limit, or because the result would not fit
	// into a message.
	Complete bool
}

// QueryRange returns events of a time series (protocol 26 section 3). V is the
// type of the series' events, or a type that they can be read as: see
// [AddStream]. The session needs the permission READ_TOPIC; queries of edits,
// and those with an Edit range, need QUERY_OBSOLETE_TIME_SERIES_EVENTS too.
//
// There is no paging: a result that does not fit into a message lacks the earliest
// events. To read a long series query ranges of it.
//
// Errors: [ErrNoSuchTopic], [ErrNotTimeSeries], one that matches
// [datatype.ErrIncompatible] if the events cannot be read as V.
func QueryRange[V datatype.Value](ctx context.Context, t *Topics, path string, query RangeQuery) (RangeResult[V], error) {
	var result RangeResult[V]
	request, err := query.request(path)
	if err != nil {
		return result, fmt.Errorf("query %s: %w", path, err)
	}
	response, err := call(ctx, t.session, service.RangeQuery, request)
	if err != nil {
		return result, fmt.Errorf("query %s: %w", path, err)
	}
	typ, err := datatype.ParseType(response.DataType)
	if err != nil {
		return result, fmt.Errorf("query %s: %w", path, err)
	}
	events := response.Events()
	result.Events = make([]TimeSeriesEvent[V], len(events))
	for i := range events {
		if result.Events[i], err = readEvent[V](typ, &events[i]); err != nil {
			return RangeResult[V]{}, fmt.Errorf("query %s: event %d: %w", path, events[i].Sequence, err)
		}
	}
	result.Selected = response.Selected
	result.Complete = response.Selected == int64(len(events))
	return result, nil
}
