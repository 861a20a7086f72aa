package tree

import (
	"errors"
	"sync"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// An UpdateStream lets one session update one topic by small messages, and
// notices updates by others (23 section 5). A topic has one at a time that is
// valid.
type UpdateStream struct {
	id    service.StreamID
	tree  *Tree
	topic *Topic
	by    *Author
	locks *service.Constraint // nil, or a constraint with a lock in it: the lock must still be held

	// Guarded by Topic.mu.
	valued bool   // a value was set through the stream
	base   []byte // of a time series: the last value set through the stream
}

// valueScratch holds buffers for values before the topic copies them.
var valueScratch = sync.Pool{New: func() any { return new([]byte) }}

// open makes a new stream the topic's valid one. mu is held.
func (t *Topic) open(tree *Tree, by *Author, constraint *service.Constraint) *UpdateStream {
	t.instance++
	s := &UpdateStream{
		id:   service.StreamID{Topic: t.id, Instance: t.instance},
		tree: tree, topic: t, by: by,
	}
	if locks(constraint) {
		s.locks = constraint
	}
	t.stream = s
	return s
}

// CreateStream opens a stream for a topic, setting no value. Errors are service
// errors (23 section 5.4).
func (t *Tree) CreateStream(by *Author, r *service.CreateStreamRequest) (*UpdateStream, error) {
	return t.update(by, r.Path, r.Type, change{constraint: &r.Constraint, opens: true})
}

// CreateStreamAndSet opens a stream for a topic and sets a value.
func (t *Tree) CreateStreamAndSet(by *Author, r *service.SetRequest) (*UpdateStream, error) {
	return t.update(by, r.Path, r.Type, change{value: r.Value, constraint: &r.Constraint, opens: true})
}

// StreamAdd adds a topic unless it exists, and opens a stream for it.
func (t *Tree) StreamAdd(by *Author, r *service.StreamAddRequest) (service.Created, *UpdateStream, error) {
	return t.add(by, r.Path, r.Specification, change{constraint: &r.Constraint, opens: true})
}

// StreamAddAndSet adds a topic unless it exists, opens a stream for it and sets a
// value.
func (t *Tree) StreamAddAndSet(by *Author, r *service.AddAndSetRequest) (service.Created, *UpdateStream, error) {
	return t.add(by, r.Path, r.Specification, change{value: r.Value, constraint: &r.Constraint, opens: true})
}

// Opened returns what the client is told of the stream.
func (s *UpdateStream) Opened() service.NewStream {
	opened := service.NewStream{ID: s.id}
	if s.topic.spec.retains {
		opened.Flags |= service.RetainsValue
	}
	if s.topic.spec.collapses() {
		opened.Flags |= service.SupportsConflation
	}
	return opened
}

// Topic returns the topic that the stream updates.
func (s *UpdateStream) Topic() *Topic { return s.topic }

// Valid reports whether the stream can still be used.
func (s *UpdateStream) Valid() bool {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	return s.topic.stream == s
}

// Check fails with INVALID_UPDATE_STREAM unless the stream can still be used.
func (s *UpdateStream) Check() error { return s.do(func() error { return nil }) }

// Set sets a whole value. Errors are service errors; after one the stream is no
// longer valid.
func (s *UpdateStream) Set(value []byte) error {
	return s.do(func() error {
		if err := s.topic.spec.accept(s.topic.path, value); err != nil {
			return err
		}
		s.topic.set(s.by, value, s, nil)
		return nil
	})
}

// ApplyDelta sets the value that a delta makes of the one before. Errors are as
// with Set. The delta is passed on to subscribers as it is.
func (s *UpdateStream) ApplyDelta(d []byte) error {
	return s.do(func() error {
		scratch := valueScratch.Get().(*[]byte)
		defer valueScratch.Put(scratch)
		value, err := s.apply((*scratch)[:0], d)
		if err != nil {
			return wire.Errorf(wire.CodeUpdateFailed, "delta for topic %q: %v", s.topic.path, err)
		}
		if err := s.topic.spec.accept(s.topic.path, value); err != nil {
			return err
		}
		s.topic.set(s.by, value, s, d)
		*scratch = value
		return nil
	})
}

var (
	errNoDeltas = errors.New("its type has no deltas; send whole values")
	errNoBase   = errors.New("there is no value to apply it to; send a whole value first")
)

// apply appends the value that a delta makes to dst (11 section 11.5).
func (s *UpdateStream) apply(dst, d []byte) ([]byte, error) {
	base := s.base
	if s.topic.series == nil {
		base = null // as long as that is all that was set
		if u := s.topic.latest.Load(); u != nil {
			base = u.value()
		}
	}
	switch {
	case !s.topic.spec.valueType.HasDeltas():
		return nil, errNoDeltas
	case !s.valued, !s.topic.spec.retains:
		return nil, errNoBase
	}
	return delta.Apply(dst, base, d, s.tree.config.MaxValue)
}

// do runs an operation of a valid stream, which an error ends.
func (s *UpdateStream) do(operation func() error) error {
	t := s.topic
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.stream != s {
		return wire.Errorf(wire.CodeInvalidUpdateStream,
			"the update stream for %q is no longer valid: the topic was removed, or updated in another way; open a new one", t.path)
	}
	var err error
	if s.locks != nil && !s.tree.holdsLocks(s.locks) {
		err = wire.Errorf(wire.CodeInvalidUpdateStream, "the update stream for %q is no longer valid: its session lock is not held", t.path)
	}
	if err == nil {
		err = operation()
	}
	if err != nil {
		t.stream = nil
	}
	return err
}

// Close ends the stream, as when its session ends.
func (s *UpdateStream) Close() {
	s.topic.mu.Lock()
	defer s.topic.mu.Unlock()
	if s.topic.stream == s {
		s.topic.stream = nil
	}
}
