package tree

import (
	"strings"
	"time"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/timeseries"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// append adds an event to a time series and publishes it.
// mu is held.
func (t *Topic) append(by *Author, value []byte) service.EventMetadata {
	return t.event(t.series.Append(by.Principal, time.Now().UnixMilli(), value))
}

func (t *Topic) event(e service.Event) service.EventMetadata {
	u := newUpdate(t, e.Append(nil))
	u.retained = true
	t.publish(u, nil)
	return e.EventMetadata
}

// recent appends the updates with which a subscription to a time series starts to
// dst, and returns the version that the client then holds (10 section 10.9).
func (t *Topic) recent(dst []*Update, latest *Update) (updates []*Update, held uint64) {
	last, _ := t.series.Latest()
	r, always := t.spec.SubscriptionRange()
	for _, e := range t.series.Subscription(r, always) {
		if e.Sequence == last.Sequence {
			return append(dst, latest), latest.version
		}
		dst = append(dst, newUpdate(t, e.Append(nil)))
	}
	return dst, 0 // not the latest event: no base for the next delta
}

// Append adds an event to the time series at a path, with a timestamp in
// milliseconds since 1970 or, if that is nil, now. Errors are service errors (26
// section 2).
func (t *Tree) Append(by *Author, r *service.AppendRequest, timestamp *int64) (service.EventMetadata, error) {
	return t.series(r.Path, r.DataType, r.Value, func(n *Topic) (service.EventMetadata, error) {
		if timestamp == nil {
			return n.append(by, r.Value), nil
		}
		e, err := n.series.AppendAt(by.Principal, *timestamp, r.Value)
		if err != nil {
			return service.EventMetadata{}, wire.Errorf(wire.CodeInvalidData, "append to time series %q: %v", n.path, err)
		}
		return n.event(e), nil
	})
}

// Edit replaces an event of the time series at a path. allowed reports whether
// the caller may edit events of an author.
func (t *Tree) Edit(by *Author, r *service.EditRequest, allowed func(author string) bool) (service.EventMetadata, error) {
	return t.series(r.Path, r.DataType, r.Value, func(n *Topic) (service.EventMetadata, error) {
		if original, ok := n.series.Event(r.Sequence); ok && !allowed(original.Author) {
			return service.EventMetadata{}, wire.Errorf(wire.CodeAccessDenied,
				"Access denied: editing event %d of %q needs EDIT_TIME_SERIES_EVENTS, or EDIT_OWN_TIME_SERIES_EVENTS for events of one's own", r.Sequence, n.path)
		}
		e, err := n.series.Edit(r.Sequence, by.Principal, time.Now().UnixMilli(), r.Value)
		if err != nil {
			return service.EventMetadata{}, wire.Errorf(wire.CodeNoSuchEvent, "edit time series %q: %v", n.path, err)
		}
		return n.event(e), nil
	})
}

// series calls add with the locked time series at a path, after checking that it
// takes a value.
func (t *Tree) series(path, dataType string, value []byte, add func(*Topic) (service.EventMetadata, error)) (none service.EventMetadata, err error) {
	n, err := t.timeSeries(path)
	if err != nil {
		return none, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		return none, noSuchTopic(n.path)
	}
	typ, err := datatype.ParseType(strings.ToLower(dataType))
	if err != nil || topic.Type(typ) != n.spec.valueType {
		return none, wire.Errorf(wire.CodeIncompatibleDatatype, "the events of %q are %s, not %q", n.path, datatype.Type(n.spec.valueType), dataType)
	}
	if err := n.spec.check(value); err != nil {
		return none, wire.Errorf(wire.CodeInvalidData, "value for time series %q is not %s: %v", n.path, dataType, err)
	}
	return add(n)
}

// timeSeries returns the time series at a path.
func (t *Tree) timeSeries(path string) (*Topic, error) {
	path = topic.Canonical(path)
	n := t.Get(path)
	switch {
	case n == nil:
		return nil, noSuchTopic(path)
	case n.series == nil:
		return nil, wire.Errorf(wire.CodeNotATimeSeries, "topic %q is %s, not a time series", path, n.spec.Type)
	}
	return n, nil
}

// RangeQuery returns events of a time series. The encoded result takes at most
// about maxSize bytes. Errors are service errors (26 section 2).
func (t *Tree) RangeQuery(r *service.RangeQueryRequest, maxSize int) (res service.RangeQueryResult, err error) {
	n, err := t.timeSeries(r.Path)
	if err != nil {
		return res, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	events, selected := n.series.Query(*r, maxSize-resultOverhead)
	return service.NewRangeQueryResult(datatype.Type(n.spec.valueType).String(), selected, events), nil
}

func newSeries(s *specification) *timeseries.Series {
	if s.Type != topic.TimeSeries {
		return nil
	}
	return timeseries.New(s.RetainedRange())
}
