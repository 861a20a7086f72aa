package advect

import (
	"context"
	"fmt"
	"reflect"
	"sync/atomic"
	"time"

	"advect.dev/datatype"
)

// An UpdateStream updates one topic, in order, with small messages: what goes
// over the wire is the difference to the value before, where that is shorter
// (protocol 23 section 5). It also notices when something else updates the
// topic: from then on it fails, with an error that matches
// [ErrInvalidUpdateStream].
//
//	stream, err := advect.NewUpdateStream[datatype.JSON](topics, "prices/eur",
//		advect.WithSpecification(advect.NewSpecification(advect.JSON)))
//	...
//	err = stream.Set(ctx, price)
//
// Nothing is sent before the first Set or Validate, which claims the topic:
// every other update stream of it, of this or any session, becomes invalid.
// After an error of the server, or a reconnection with message loss that met a
// call under way, every later call fails with that error, and a new stream must
// be made. A call that could not be sent, because its context was done or the
// session is not connected, leaves the stream as it was.
//
// Methods may be called concurrently. What they send is in the order in which
// they got hold of the stream; [UpdateStream.Start] lets one goroutine have many
// calls under way. A stream takes no goroutine when no call is under way, and
// need not be closed.
type UpdateStream[V datatype.Value] struct {
	core  *updateStream
	value atomic.Pointer[V]
}

// An UpdateStreamOption is an option of [NewUpdateStream]: [If],
// [WithSpecification], [WithoutDeltas] or [WithRecovery].
type UpdateStreamOption interface {
	updateStream(*updateStreamOptions)
}

type updateStreamOptions struct {
	updateOptions
	specification *Specification
	withoutDeltas bool
	interval      time.Duration
	attempts      int
}

type updateStreamOption func(*updateStreamOptions)

func (o updateStreamOption) updateStream(options *updateStreamOptions) { o(options) }

// WithSpecification makes the first Set or Validate of an update stream add the
// topic unless it exists, as [Topics.AddAndSet] does. Default: the topic must
// exist.
func WithSpecification(specification Specification) UpdateStreamOption {
	return updateStreamOption(func(o *updateStreamOptions) { o.specification = &specification })
}

// WithoutDeltas makes an update stream send whole values only. That saves the
// work of comparing where values have little in common with those before them.
func WithoutDeltas() UpdateStreamOption {
	return updateStreamOption(func(o *updateStreamOptions) { o.withoutDeltas = true })
}

// WithRecovery makes an update stream survive [ErrClusterRouting], which a
// cluster answers when the server that has the topic fails (protocol 23 section
// 5.5): after the interval the stream claims the topic anew, with its
// constraint, and sends again what was not yet confirmed, in order. It tries
// this up to the given number of times in a row before the error becomes the
// stream's. Calls wait meanwhile. Values that were set by others in between are
// overwritten.
//
// Default: no recovery. A single server never answers that error.
func WithRecovery(interval time.Duration, attempts int) UpdateStreamOption {
	return updateStreamOption(func(o *updateStreamOptions) { o.interval, o.attempts = interval, attempts })
}

// NewUpdateStream returns a stream of updates for the topic at a path. V is the
// Go type of the topic's type, or of the type of its events if it is a time
// series: then every Set appends an event, and updates of others do no harm.
// The session needs the permission UPDATE_TOPIC, and with a specification
// MODIFY_TOPIC. It sends nothing.
//
// It fails if V is not one of the types of package datatype, the specification
// is of another type than V, or a constraint makes no sense.
func NewUpdateStream[V datatype.Value](t *Topics, path string, opts ...UpdateStreamOption) (*UpdateStream[V], error) {
	var o updateStreamOptions
	for _, opt := range opts {
		opt.updateStream(&o)
	}
	var zero V
	if any(zero) == nil || reflect.TypeFor[V]().Kind() == reflect.Pointer {
		return nil, fmt.Errorf("update stream for %s: no topic is of type %s", path, reflect.TypeFor[V]())
	}
	typ := TopicType(zero.Type())
	if s := o.specification; s != nil && s.Type != typ && s.Type != TimeSeries {
		return nil, fmt.Errorf("update stream for %s: its values are of type %s, the specification of type %s", path, typ, s.Type)
	}
	if err := o.constraint.err; err != nil {
		return nil, fmt.Errorf("update stream for %s: %w", path, err)
	}
	return &UpdateStream[V]{core: newUpdateStream(t.session, path, typ, &o)}, nil
}

// Set sets the value and waits for the server's answer. If ctx is done before
// that the value may still be set; the stream goes on, and an error of the
// server is found by the next call.
//
// Values that are set while the first call awaits its answer wait for it too.
// If the topic can be conflated only the last of them is then sent, on behalf
// of all.
//
// Errors of the first call are those of [Topics.Set], or with a specification of
// [Topics.AddAndSet]; those of later calls are [ErrInvalidUpdateStream] and
// [ErrUpdateFailed].
func (s *UpdateStream[V]) Set(ctx context.Context, value V) error {
	p, err := s.Start(ctx, value)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Start begins to set the value and returns what waits for the answer. It
// blocks only while the session's outbound queue is full ([WithOutboundQueue]);
// ctx bounds that. If it fails the value is not set and the stream as it was,
// unless it had failed before.
func (s *UpdateStream[V]) Start(ctx context.Context, value V) (*PendingUpdate, error) {
	op := setOp(value.Bytes())
	op.sent = func() { s.value.Store(&value) }
	return s.core.start(ctx, op)
}

// SetNull takes the value away, as [Topics.SetNull] does. Only streams of
// string, int64 and double values can.
func (s *UpdateStream[V]) SetNull(ctx context.Context) error {
	if !s.core.typ.HasNull() {
		return fmt.Errorf("update stream for %s: topics of type %s cannot be set to null", s.core.path, s.core.typ)
	}
	op := setOp(nullValue)
	op.sent = func() { s.value.Store(nil) }
	p, err := s.core.start(ctx, op)
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Validate checks that the stream can be used, without setting a value. Used
// first it claims the topic, with the errors of a first [UpdateStream.Set];
// later its error is [ErrInvalidUpdateStream].
func (s *UpdateStream[V]) Validate(ctx context.Context) error {
	p, err := s.core.start(ctx, validateOp())
	if err != nil {
		return err
	}
	return p.Wait(ctx)
}

// Get returns the last value that was given to the stream and not refused
// before it was sent, whether or not the server has confirmed it. ok is false if
// there is none, or it was null.
func (s *UpdateStream[V]) Get() (value V, ok bool) {
	if p := s.value.Load(); p != nil {
		return *p, true
	}
	return value, false
}

// Created reports whether the stream has added the topic. It is known once
// the first call has succeeded.
func (s *UpdateStream[V]) Created() bool { return s.core.created.Load() }

// Err returns the error with which every later call fails, or nil.
func (s *UpdateStream[V]) Err() error { return s.core.failed() }

// A PendingUpdate is an update that was sent, or waits to be, and is not yet
// answered. All methods may be called concurrently, and any number of times.
type PendingUpdate struct{ op *streamOp }

// Done returns a channel that is closed when there is an answer.
func (p *PendingUpdate) Done() <-chan struct{} { return p.op.done }

// Wait waits for the answer and returns the error, if the update failed.
func (p *PendingUpdate) Wait(ctx context.Context) error {
	select {
	case <-p.op.done:
		return p.op.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
