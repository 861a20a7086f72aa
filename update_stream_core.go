package advect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
)

// heldUpdates is how many updates may wait for the answer that opens a stream.
const heldUpdates = 10_000

// An updateStream is an UpdateStream of any type of value.
type updateStream struct {
	session *Session
	path    string
	typ     TopicType
	options *updateStreamOptions
	created atomic.Bool
	failure atomic.Pointer[error] // of every later call

	// turn has a token while someone uses the fields that follow. It is held while
	// a request waits for room in the outbound queue, so that requests leave in the
	// order of turns; a channel lets others give up waiting.
	turn   chan struct{}
	state  updateStreamState
	opened chan struct{} // closed when the state is no longer streamOpening
	id     service.StreamID
	flags  service.StreamFlags
	base   []byte      // the value that the server holds after what was sent; nil: none
	held   []*streamOp // what waits for the stream to open, in order

	mu         sync.Mutex // guards what follows
	flights    []flight   // requests without an answer, in order
	collecting bool       // the goroutine that takes their answers runs
	recoveries int        // in a row; of that goroutine
}

type updateStreamState byte

const (
	streamFresh   updateStreamState = iota // nothing was sent
	streamOpening                          // the request that opens the stream was sent
	streamOpen
)

// A streamOp is one call on a stream.
type streamOp struct {
	value []byte // nil: validate
	sent  func() // called once the op is in order; may be nil
	done  chan struct{}
	err   error // once done
}

// setOp returns the call that sets a value. An empty value is not nil.
func setOp(value []byte) *streamOp {
	if value == nil {
		value = []byte{}
	}
	return &streamOp{value: value, done: make(chan struct{})}
}

func validateOp() *streamOp { return &streamOp{done: make(chan struct{})} }

func (o *streamOp) finish(err error) {
	o.err = err
	close(o.done)
}

func finishAll(ops []*streamOp, err error) {
	for _, o := range ops {
		o.finish(err)
	}
}

// A flight is a request on its way, and the calls that it is for.
type flight struct {
	answered <-chan answer
	opens    bool
	ops      []*streamOp
}

func newUpdateStream(s *Session, path string, typ TopicType, o *updateStreamOptions) *updateStream {
	return &updateStream{session: s, path: path, typ: typ, options: o, turn: make(chan struct{}, 1)}
}

func (s *updateStream) failed() error {
	if err := s.failure.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *updateStream) wrap(err error) error {
	return fmt.Errorf("update stream for %s: %w", s.path, err)
}

func (s *updateStream) release() { <-s.turn }

// start takes a call's turn: it is sent, or held until the stream is open.
func (s *updateStream) start(ctx context.Context, op *streamOp) (*PendingUpdate, error) {
	for {
		select {
		case s.turn <- struct{}{}:
		case <-ctx.Done():
			return nil, s.wrap(context.Cause(ctx))
		}
		if ctx.Err() != nil {
			s.release()
			return nil, s.wrap(context.Cause(ctx))
		}
		if s.state != streamOpening || len(s.held) < heldUpdates {
			break
		}
		opened := s.opened
		s.release()
		select {
		case <-opened:
		case <-ctx.Done():
			return nil, s.wrap(context.Cause(ctx))
		}
	}
	defer s.release()
	err := s.failed()
	if err != nil {
		return nil, err
	}
	switch s.state {
	case streamFresh:
		err = s.open(ctx, op.value, []*streamOp{op})
	case streamOpening:
		s.held = append(s.held, op)
	case streamOpen:
		err = s.send(ctx, op.value, []*streamOp{op})
	}
	if err != nil {
		return nil, s.wrap(err)
	}
	if op.sent != nil {
		op.sent()
	}
	return &PendingUpdate{op}, nil
}

// open sends the request that opens the stream, with a value unless it is nil.
// The caller has the turn.
func (s *updateStream) open(ctx context.Context, value []byte, ops []*streamOp) error {
	var encode func(conversation int64) []byte
	constraint, specification := s.options.constraint.wire, s.options.specification
	switch {
	case specification == nil && value == nil:
		encode = request(service.CreateStream, service.CreateStreamRequest{Path: s.path, Type: s.typ, Constraint: constraint})
	case specification == nil:
		encode = request(service.CreateStreamAndSet, service.SetRequest{Path: s.path, Type: s.typ, Value: value, Constraint: constraint})
	case value == nil:
		encode = request(service.StreamAdd, service.StreamAddRequest{Path: s.path, Specification: *specification, Constraint: constraint})
	default:
		encode = request(service.StreamAddAndSet, service.AddAndSetRequest{Path: s.path, Specification: *specification, Value: value, Constraint: constraint})
	}
	if err := s.launch(ctx, encode, flight{opens: true, ops: ops}); err != nil {
		return err
	}
	if s.state == streamFresh {
		s.state, s.opened = streamOpening, make(chan struct{})
	}
	s.base = value
	return nil
}

// send sends a value, or validates if it is nil. The caller has the turn.
func (s *updateStream) send(ctx context.Context, value []byte, ops []*streamOp) error {
	encode := request(service.StreamSet, service.StreamRequest{ID: s.id, Bytes: value})
	if value == nil {
		encode = request(service.CheckStream, s.id)
	} else if change, ok := s.delta(value); ok {
		encode = request(service.StreamApplyDelta, service.StreamRequest{ID: s.id, Bytes: change})
	}
	err := s.launch(ctx, encode, flight{ops: ops})
	if err == nil && value != nil {
		s.base = value
	}
	return err
}

// delta returns the delta that makes value of what the server holds, if there may
// be one and it is shorter (protocol 11 section 5).
func (s *updateStream) delta(value []byte) ([]byte, bool) {
	if s.base == nil || s.options.withoutDeltas || s.flags&service.RetainsValue == 0 || !s.typ.HasDeltas() || len(value) == 0 {
		return nil, false
	}
	return delta.Append(nil, s.base, value, len(value))
}

// request returns what encodes a request.
func request[Req, Res any](svc *service.Service[Req, Res], req Req) func(int64) []byte {
	return func(conversation int64) []byte { return svc.AppendRequest(nil, conversation, req) }
}

// launch queues a request, and sees to it that its answer is taken.
func (s *updateStream) launch(ctx context.Context, encode func(int64) []byte, f flight) error {
	answered := make(chan answer, 1)
	conversation := s.session.conversations.Add(1)
	if err := s.session.send(ctx, conversation, encode(conversation), answered); err != nil {
		return err
	}
	f.answered = answered
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flights = append(s.flights, f)
	if !s.collecting {
		s.collecting = true
		go s.collect()
	}
	return nil
}

// collect takes answers, in order, while requests are on their way. Every
// request is answered at the end of the session at the latest.
func (s *updateStream) collect() {
	for {
		f, ok := s.landing()
		if !ok {
			return
		}
		a := <-f.answered
		switch {
		case a.err == nil && f.opens:
			s.opens(f, a.body)
		case a.err == nil:
			s.recoveries = 0
			finishAll(f.ops, nil)
		case errors.Is(a.err, ErrClusterRouting) && s.recoveries < s.options.attempts:
			s.recoveries++
			s.recover(f)
		default:
			s.fail(f.ops, a.err)
		}
	}
}

// landing returns the oldest request without an answer, or ends the goroutine.
func (s *updateStream) landing() (flight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f, ok := s.oldestLocked()
	s.collecting = ok
	return f, ok
}

// oldest returns the oldest request without an answer.
func (s *updateStream) oldest() (flight, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.oldestLocked()
}

func (s *updateStream) oldestLocked() (f flight, ok bool) {
	if len(s.flights) == 0 {
		s.flights = nil
		return f, false
	}
	f, s.flights[0] = s.flights[0], f
	s.flights = s.flights[1:]
	return f, true
}

// fail ends the stream, and the calls that wait for it to open.
func (s *updateStream) fail(ops []*streamOp, err error) {
	err = s.wrap(err)
	if !s.failure.CompareAndSwap(nil, &err) {
		err = s.failed()
	}
	finishAll(ops, err)
	s.turn <- struct{}{}
	defer s.release()
	finishAll(s.held, err)
	s.held = nil
	s.openedNow()
}

func (s *updateStream) openedNow() {
	if s.state == streamOpening {
		s.state = streamOpen
		close(s.opened)
	}
}

// opens takes the answer that opens the stream, and sends what was held.
func (s *updateStream) opens(f flight, body []byte) {
	stream, err := s.readOpened(body)
	if err != nil {
		s.fail(f.ops, err)
		return
	}
	s.turn <- struct{}{}
	defer s.release()
	s.id, s.flags = stream.ID, stream.Flags
	if s.id.Partition == 0 {
		s.id.Generation = 0 // as other clients have it (protocol 23 section 5.1)
	}
	finishAll(f.ops, nil)
	held := s.held
	s.held = nil
	s.openedNow()
	if s.flags == service.RetainsValue|service.SupportsConflation {
		held = s.conflate(held)
	}
	for _, op := range held {
		if err := s.send(s.session.ctx, op.value, []*streamOp{op}); err != nil {
			op.finish(s.wrap(err))
		}
	}
}

func (s *updateStream) readOpened(body []byte) (service.NewStream, error) {
	if s.options.specification == nil {
		return service.CreateStream.ReadResponse(body)
	}
	added, err := service.StreamAdd.ReadResponse(body)
	if err == nil && added.Created == service.TopicCreated {
		s.created.Store(true)
	}
	return added.NewStream, err
}

// conflate sends the last of the held values on behalf of all, unless it is
// what the topic has (protocol 23 section 5.2), and returns the other calls.
func (s *updateStream) conflate(held []*streamOp) (rest []*streamOp) {
	var sets []*streamOp
	for _, op := range held {
		if op.value == nil {
			rest = append(rest, op)
		} else {
			sets = append(sets, op)
		}
	}
	if len(sets) == 0 {
		return rest
	}
	last := sets[len(sets)-1].value
	if s.base != nil && bytes.Equal(last, s.base) {
		finishAll(sets, nil)
	} else if err := s.send(s.session.ctx, last, sets); err != nil {
		finishAll(sets, s.wrap(err))
	}
	return rest
}

// recover opens the stream anew after the request f could not be routed. What
// was not confirmed is held again, before what is held already.
func (s *updateStream) recover(f flight) {
	s.turn <- struct{}{}
	if s.state == streamOpen {
		s.state, s.opened = streamOpening, make(chan struct{})
	}
	s.release() // from here on nothing is sent, only held
	unfinished := f.ops
	for next, ok := s.oldest(); ok; next, ok = s.oldest() {
		a := <-next.answered
		switch {
		case a.err == nil:
			finishAll(next.ops, nil)
		case errors.Is(a.err, ErrClusterRouting), errors.Is(a.err, ErrInvalidUpdateStream):
			unfinished = append(unfinished, next.ops...)
		default:
			s.fail(append(unfinished, next.ops...), a.err)
			return
		}
	}
	s.turn <- struct{}{}
	s.held = append(unfinished, s.held...)
	s.release()

	timer := time.NewTimer(s.options.interval)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.session.ctx.Done():
		s.fail(nil, s.session.Err())
		return
	}
	s.turn <- struct{}{}
	err := s.open(s.session.ctx, nil, nil)
	s.release()
	if err != nil {
		s.fail(nil, err)
	}
}
