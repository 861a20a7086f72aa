package advect

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"sync/atomic"

	"advect.dev/datatype"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
)

// UnsubscribeReason says why a stream no longer receives a topic (protocol 21
// sections 6 and 9).
type UnsubscribeReason byte

// The reasons. The last two arise in the client, the others come from the
// server.
const (
	UnsubscribeRequested      UnsubscribeReason = 0 // this session unsubscribed
	UnsubscribeByControl      UnsubscribeReason = 1 // another session or the server unsubscribed it
	UnsubscribeRemoved        UnsubscribeReason = 2 // the topic was removed
	UnsubscribeAuthorization  UnsubscribeReason = 3 // the permission to read the topic was lost
	UnsubscribeUnknown        UnsubscribeReason = 4 // any other
	UnsubscribeBackPressure   UnsubscribeReason = 5 // this session did not read fast enough; subscribe again to resume
	UnsubscribeBranchMappings UnsubscribeReason = 6 // the session tree changed

	// UnsubscribeRefresh means that a reconnection lost messages: the topics
	// that are still selected follow anew, each with its current value.
	UnsubscribeRefresh UnsubscribeReason = 254
	// UnsubscribeStreamChange means that a stream that selects the topic was
	// added, so that the fallback streams lose it.
	UnsubscribeStreamChange UnsubscribeReason = 255
)

// String returns the platform's name of the reason, such as "REMOVED".
func (r UnsubscribeReason) String() string {
	switch r {
	case UnsubscribeRequested:
		return "REQUESTED"
	case UnsubscribeByControl:
		return "CONTROL"
	case UnsubscribeRemoved:
		return "REMOVED"
	case UnsubscribeAuthorization:
		return "AUTHORIZATION"
	case UnsubscribeUnknown:
		return "UNKNOWN_UNSUBSCRIBE_REASON"
	case UnsubscribeBackPressure:
		return "BACK_PRESSURE"
	case UnsubscribeBranchMappings:
		return "BRANCH_MAPPINGS"
	case UnsubscribeRefresh:
		return "SUBSCRIPTION_REFRESH"
	case UnsubscribeStreamChange:
		return "STREAM_CHANGE"
	}
	return fmt.Sprintf("REASON_%d", byte(r))
}

// An Update is a new value of a topic.
type Update[V datatype.Value] struct {
	Path          string
	Specification Specification
	// Value is the new value. It is the zero V if Null.
	Value V
	// Null says that the topic was set to null: it has no value any more. Only
	// string, int64 and double topics can be. A null in JSON is a value.
	Null bool
	// Event identifies the event, if the topic is a time series; else it is nil.
	// Old is then the value of the event before, in the order of arrival.
	Event *EventMetadata
	// First says that this is the first value that the stream gets since it was
	// told of the topic.
	First bool
	// Old is the value before, if HasOld. There is none with the first value,
	// after a null, after a value that could not be read, and for topics that
	// retain no value.
	Old    V
	HasOld bool
	// Skipped is the number of values between Old and Value that this stream
	// was not given because its consumer was too slow: see [AddStream].
	Skipped int
}

// A Stream is a set of callbacks that are told about the topics that a
// selector matches, as long as the session is subscribed to them and their
// values can be read as V. Any callback may be nil.
//
// For one topic the order is OnSubscribe, OnValue any number of times,
// OnUnsubscribe; then perhaps all of that again. OnClose is the last of all.
//
// All callbacks of a session run on one goroutine, one after the other, in the
// order in which things happened, over all streams. A callback may use the session
// freely: add and close streams, make requests and wait for their answers, close
// the session. While it runs other callbacks wait, but nothing else does.
type Stream[V datatype.Value] struct {
	// OnSubscribe tells of a topic, before its values.
	OnSubscribe func(path string, specification Specification)
	// OnValue tells of a new value. If the session already had a value when the
	// stream was told of the topic, that value comes first.
	OnValue func(Update[V])
	// OnUnsubscribe tells that there are no more values of a topic.
	OnUnsubscribe func(path string, specification Specification, reason UnsubscribeReason)
	// OnError tells, as a [*TopicError], of a value that is lost to the stream
	// because it could not be read as V or its delta did not apply. The stream
	// goes on. If OnError is nil, values that could not be read go to the
	// session's error listener; deltas that did not apply always go there too.
	OnError func(error)
	// OnClose tells that nothing follows. The error is nil after
	// [StreamHandle.Close]; otherwise it is the reason why the session closed.
	OnClose func(error)
}

// A StreamHandle stands for a stream that was added.
type StreamHandle struct{ stream *stream }

// Close removes the stream; the session's subscriptions stay as they are. Events
// that the stream has not yet been given are dropped, then OnClose is called
// with nil. A callback that was about to begin when Close was called may still
// run. Closing again, or after the session, does nothing.
//
// If the stream was the only one for a topic, fallback streams get the topic.
func (h *StreamHandle) Close() { h.stream.topics.remove(h.stream) }

// A stream is a stream of any kind of value.
type stream struct {
	topics   *Topics
	selector *selector.Selector // nil: of a fallback stream, which selects all
	fallback bool
	reads    func(datatype.Type) bool
	mailbox  *mailbox
	deliver  func(*event) // nil: the mailbox has a consumer of its own
	removed  atomic.Bool
}

func newStream[V datatype.Value](t *Topics, expression string) (*stream, error) {
	s, err := newFallback[V](t)
	if err != nil {
		return nil, err
	}
	if s.selector, err = selector.Parse(expression); err != nil {
		return nil, fmt.Errorf("add stream: %w", err)
	}
	s.fallback = false
	return s, nil
}

func newFallback[V datatype.Value](t *Topics) (*stream, error) {
	if !slices.ContainsFunc(valueTypes, datatype.CanRead[V]) {
		return nil, fmt.Errorf("add stream: no topic can be read as %s", reflect.TypeFor[V]())
	}
	return &stream{topics: t, fallback: true, reads: datatype.CanRead[V]}, nil
}

var valueTypes = []datatype.Type{
	datatype.TypeJSON, datatype.TypeBinary, datatype.TypeString, datatype.TypeInt64, datatype.TypeDouble,
	datatype.TypeRecordV2,
}

// wants reports whether s is to be told of a topic.
func (s *stream) wants(c *cachedTopic) bool {
	return s.reads(c.valueType) && (s.selector == nil || s.selector.Match(c.path))
}

// AddStream adds a stream for the topics that a selector, or a path, matches. It
// sends nothing: what the session receives is decided by [Topics.Subscribe],
// before or after. The stream is told at once of the topics that are already
// subscribed.
//
// V decides which topics the stream gets: those of its own type;
// [datatype.JSON] gets string, int64 and double topics too; [datatype.Value]
// gets all of them, each as the Go type that belongs to it. Topics of other
// types are not mentioned. A time series counts as a topic of the type of its
// events: each update is an event, [Update.Event]. A new subscriber gets its
// latest event, or as many as the topic's property says, oldest first.
//
// What was received and not yet taken by callbacks waits in memory: up to 65536
// events or 64 MiB of values, all streams of the session together. Then a new
// value replaces the value of the same topic that waits for the same stream
// ([Update.Skipped] counts them), so that slow callbacks see fewer values, always
// in the right order, and always the last one.
//
// It fails if the selector is not one, matching [ErrInvalidSelector], if V is
// none of the types of package datatype, or if the session has closed, with its
// reason.
func AddStream[V datatype.Value](t *Topics, selector string, callbacks Stream[V]) (*StreamHandle, error) {
	s, err := newStream[V](t, selector)
	if err != nil {
		return nil, err
	}
	return addCallbacks(s, callbacks)
}

// AddFallbackStream adds a stream for the topics, readable as V, that no other
// stream gets. A fallback stream is told of a topic when it is subscribed and no
// stream wants it, or when the last of its streams is closed; it loses the topic,
// as [UnsubscribeStreamChange], when a stream for it is added. It is not told of
// the topics that are subscribed when it is added. Everything else is as with
// [AddStream].
func AddFallbackStream[V datatype.Value](t *Topics, callbacks Stream[V]) (*StreamHandle, error) {
	s, err := newFallback[V](t)
	if err != nil {
		return nil, err
	}
	return addCallbacks(s, callbacks)
}

func addCallbacks[V datatype.Value](s *stream, callbacks Stream[V]) (*StreamHandle, error) {
	s.mailbox = s.topics.mailbox
	s.deliver = func(e *event) { deliver(s, &callbacks, e) }
	if err := s.topics.add(s); err != nil {
		return nil, err
	}
	return &StreamHandle{s}, nil
}

// deliver calls the callback for an event.
func deliver[V datatype.Value](s *stream, callbacks *Stream[V], e *event) {
	if s.removed.Load() && e.kind != closeEvent {
		return
	}
	switch e.kind {
	case subscribeEvent:
		if callbacks.OnSubscribe != nil {
			callbacks.OnSubscribe(e.at.topic.path, e.at.topic.specification)
		}
	case valueEvent:
		if callbacks.OnValue == nil {
			return
		}
		u, err := readUpdate[V](e)
		switch {
		case err == nil:
			callbacks.OnValue(u)
		case callbacks.OnError != nil:
			callbacks.OnError(err)
		default:
			s.topics.report(err)
		}
	case failEvent:
		if callbacks.OnError != nil {
			callbacks.OnError(e.err)
		}
	case unsubscribeEvent:
		if callbacks.OnUnsubscribe != nil {
			callbacks.OnUnsubscribe(e.at.topic.path, e.at.topic.specification, e.reason)
		}
	case closeEvent:
		if callbacks.OnClose != nil {
			callbacks.OnClose(e.err)
		}
	}
}

// readUpdate decodes a valueEvent. The error is a *TopicError.
func readUpdate[V datatype.Value](e *event) (Update[V], error) {
	topic := e.at.topic
	u := Update[V]{Path: topic.path, Specification: topic.specification, First: e.first, Skipped: e.skipped}
	value, present, metadata, err := readValue[V](topic, e.value)
	if err != nil {
		return u, &TopicError{topic.path, err}
	}
	u.Value, u.Null, u.Event = value, !present, metadata
	if e.old != nil {
		if old, present, _, err := readValue[V](topic, e.old); err == nil && present {
			u.Old, u.HasOld = old, true
		}
	}
	return u, nil
}

// readValue decodes what a topic holds: its value, or an event.
func readValue[V datatype.Value](c *cachedTopic, b []byte) (value V, present bool, metadata *EventMetadata, err error) {
	if c.specification.Type != TimeSeries {
		value, present, err = datatype.Read[V](c.valueType, b)
		return value, present, nil, err
	}
	event, err := service.ReadEvent(b)
	if err != nil {
		return value, false, nil, fmt.Errorf("event of a time series: %w", err)
	}
	e, err := readEvent[V](c.valueType, &event)
	return e.Value, !e.Null, &e.EventMetadata, err
}

// EventKind says what happened.
type EventKind byte

// The kinds of events.
const (
	EventSubscribe   EventKind = iota // a topic was subscribed
	EventValue                        // it has a new value
	EventUnsubscribe                  // there are no more values of it
)

// String returns "subscribe", "value" or "unsubscribe".
func (k EventKind) String() string {
	switch k {
	case EventSubscribe:
		return "subscribe"
	case EventValue:
		return "value"
	case EventUnsubscribe:
		return "unsubscribe"
	}
	return fmt.Sprintf("event(%d)", byte(k))
}

// An Event is what [Events] yields. Of the update only Path and Specification
// are set unless Kind is EventValue.
type Event[V datatype.Value] struct {
	Kind EventKind
	Update[V]
	Reason UnsubscribeReason // for EventUnsubscribe
}

// Events is [AddStream] as an iterator: a loop over it gets everything about the
// topics that a selector matches, in order. The stream is added when the loop
// begins and removed when it ends. Like AddStream it sends nothing.
//
//	for event, err := range advect.Events[datatype.JSON](ctx, session.Topics(), "?prices//") {
//		...
//	}
//
// An error that is a [*TopicError] is about one value, and the loop may go on.
// Any other error is the last thing that the loop gets: ctx is done, the
// session closed (its reason follows all events), or the selector is not one
// ([ErrInvalidSelector]).
//
// The loop body runs on the caller's goroutine and delays nobody. What it has
// not yet taken waits within the bounds of AddStream, for each loop separately,
// and is conflated in the same way beyond them.
func Events[V datatype.Value](ctx context.Context, t *Topics, selector string) iter.Seq2[Event[V], error] {
	return func(yield func(Event[V], error) bool) {
		s, err := addIterator[V](t, selector)
		if err != nil {
			yield(Event[V]{}, err)
			return
		}
		defer t.remove(s)
		for e := range s.events(ctx) {
			if !yield(publicEvent[V](e)) {
				return
			}
		}
	}
}

// addIterator adds a stream with a mailbox of its own.
func addIterator[V datatype.Value](t *Topics, expression string) (*stream, error) {
	s, err := newStream[V](t, expression)
	if err != nil {
		return nil, err
	}
	s.mailbox = newMailbox()
	return s, t.add(s)
}

// events yields what is in the mailbox of s, up to and including a closeEvent.
func (s *stream) events(ctx context.Context) iter.Seq[*event] {
	return func(yield func(*event) bool) {
		for {
			e, err := s.mailbox.next(ctx)
			if err != nil {
				yield(&event{kind: closeEvent, err: err})
				return
			}
			if !yield(e) || e.kind == closeEvent {
				return
			}
		}
	}
}

func publicEvent[V datatype.Value](e *event) (Event[V], error) {
	if e.kind == closeEvent {
		return Event[V]{}, e.err
	}
	u := Update[V]{Path: e.at.topic.path, Specification: e.at.topic.specification}
	switch e.kind {
	case subscribeEvent:
		return Event[V]{Kind: EventSubscribe, Update: u}, nil
	case unsubscribeEvent:
		return Event[V]{Kind: EventUnsubscribe, Update: u, Reason: e.reason}, nil
	case valueEvent:
		u, err := readUpdate[V](e)
		return Event[V]{Kind: EventValue, Update: u}, err
	}
	return Event[V]{Kind: EventValue, Update: u}, e.err
}

// Values subscribes to the topics that the selectors, or paths, match, and
// yields their values: all that a program needs that wants to see live data.
//
//	for update, err := range advect.Values[datatype.JSON](ctx, session, "prices/eur") {
//		if err != nil {
//			return err
//		}
//		fmt.Println(update.Path, update.Value)
//	}
//
// Each topic yields its current value first, then every change. Topics that do
// not exist yet are subscribed when they are added; topics whose values cannot be
// read as V are left out. When the loop ends the subscription is undone, without
// an effect on other subscriptions of the session: it has a scope of its own
// (see [Topics.SubscribeScope]).
//
// Errors, buffering and goroutines are as with [Events]. If the session may not
// select the topics the error matches [ErrPermissionDenied].
func Values[V datatype.Value](ctx context.Context, s *Session, selectors ...string) iter.Seq2[Update[V], error] {
	return func(yield func(Update[V], error) bool) {
		if err := values(ctx, s.Topics(), selectors, yield); err != nil {
			yield(Update[V]{}, err)
		}
	}
}

// values returns an error if it did not get as far as to yield.
func values[V datatype.Value](ctx context.Context, t *Topics, selectors []string, yield func(Update[V], error) bool) error {
	expression, err := join(selectors)
	if err != nil {
		return err
	}
	s, err := addIterator[V](t, expression)
	if err != nil {
		return err
	}
	defer t.remove(s)
	scope := fmt.Sprintf("advect values %d", t.scopes.Add(1))
	// Nobody waits for the answer. The request ends with the session at the latest.
	defer func() { go t.UnsubscribeScope(context.WithoutCancel(ctx), scope, expression) }()
	if err := t.SubscribeScope(ctx, scope, expression); err != nil {
		return err
	}
	for e := range s.events(ctx) {
		if e.kind == subscribeEvent || e.kind == unsubscribeEvent {
			continue
		}
		if event, err := publicEvent[V](e); !yield(event.Update, err) {
			break
		}
	}
	return nil
}
