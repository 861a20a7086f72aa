package advect

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"advect.dev/internal/wire"
)

// closeWithin is how long [Session.Close] waits for the server (protocol 02
// section 7).
const closeWithin = time.Second

// A SessionID names a session on its server. It has the form
// "c11fef06698e55de-0000000300000000".
type SessionID = wire.SessionID

// ParseSessionID parses the string form of a [SessionID].
func ParseSessionID(s string) (SessionID, error) { return wire.ParseSessionID(s) }

// A Session is a conversation with a server that outlives the loss of its
// connection. Open one with [Open], and close it when it is no longer needed.
// All methods may be called from many goroutines.
type Session struct {
	opt    *options
	topics *Topics
	sink   topicSink // topics, but in tests
	id     SessionID

	ctx           context.Context // ends when the session is closed
	cancel        context.CancelFunc
	done          chan struct{} // closed when the session is closed
	finished      chan struct{} // closed when the session's goroutines have ended
	conversations atomic.Int64  // last id used

	events        events
	onStateChange listeners[StateListener]
	onError       listeners[ErrorListener]

	received int64    // messages; owned by the goroutine of run
	inflate  inflater // owned by the goroutine of run

	mu         sync.Mutex // guards what follows; never held while calling out
	state      State
	reason     *CloseReason // once closed
	principal  string
	token      string
	maxMessage int   // bytes of a message that the server accepts
	link       *link // nil unless connected
	out        outbound
	pending    map[int64]chan<- answer // calls under way, by conversation
	handlers   map[int64]conversation  // what the server may call, by conversation
	streams    map[string]*requestStream
	locks      sessionLocks
	era        context.Context // ends when messages are lost, and with the session
	endEra     context.CancelCauseFunc
}

// A topicSink takes what the server says about topics. Its methods are called
// one at a time, in the order of the messages, on the goroutine that reads from
// the server: they must not block, nor wait for an answer of the server.
type topicSink interface {
	subscribed(subscription subscription)
	unsubscribed(unsubscription unsubscription)
	// topicMessage takes a value, or a delta to the last value. value is valid
	// until the call returns.
	topicMessage(id int32, delta bool, value []byte)
	// reset forgets all topic ids: the server will tell them anew (protocol 03
	// section 5).
	reset()
	// closed is the last call.
	closed(reason error)
}

func newSession(opt *options) *Session {
	s := &Session{
		opt:      opt,
		done:     make(chan struct{}),
		finished: make(chan struct{}),
		out:      newOutbound(opt.recoveryBuffer),
		pending:  make(map[int64]chan<- answer),
		handlers: make(map[int64]conversation),
		streams:  make(map[string]*requestStream),
		locks:    newSessionLocks(),
	}
	if opt.principal != nil {
		s.principal = *opt.principal
	}
	for _, l := range opt.stateListeners {
		s.onStateChange.add(l)
	}
	for _, l := range opt.errorListeners {
		s.onError.add(l)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.era, s.endEra = context.WithCancelCause(s.ctx)
	s.topics = newTopics(s)
	s.sink = s.topics
	return s
}

// ID returns the session's id. It stays the same when the session reconnects.
func (s *Session) ID() SessionID { return s.id }

// Principal returns the principal that the session was opened with or last
// changed to, "" for an anonymous one.
func (s *Session) Principal() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.principal
}

// State returns the state of this moment.
func (s *Session) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.state
}

// Done returns a channel that is closed when the session is closed.
func (s *Session) Done() <-chan struct{} { return s.done }

// Err returns nil until the session is closed, then the [*CloseReason].
func (s *Session) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason == nil {
		return nil
	}
	return s.reason
}

// OnStateChange adds a listener for changes of the state from now on, and
// returns what removes it again.
func (s *Session) OnStateChange(listener StateListener) (remove func()) {
	return s.onStateChange.add(listener)
}

// OnError adds a listener for problems that do not end the session, and returns
// what removes it again.
func (s *Session) OnError(listener ErrorListener) (remove func()) {
	return s.onError.add(listener)
}

// Close closes the session: it becomes [ClosedByClient], and calls under way
// fail. Close waits up to a second for the server to take note. A session that
// is not connected is closed without telling the server, which forgets it after
// the reconnection timeout. Closing a closed session does nothing. The result
// is always nil.
func (s *Session) Close() error {
	s.mu.Lock()
	l := s.link
	if !s.state.IsClosed() {
		if l != nil {
			s.out.add(closeRequest)
		}
		s.closeLocked(&CloseReason{Code: CodeClosedByClient})
	}
	s.mu.Unlock()

	timer := time.NewTimer(closeWithin)
	defer timer.Stop()
	select {
	case <-s.finished:
	case <-timer.C:
		if l != nil {
			l.close()
		}
	}
	return nil
}

var closeRequest = []byte{byte(wire.TypeCloseRequest)}

// fail closes the session unless it is closed.
func (s *Session) fail(reason *CloseReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.state.IsClosed() {
		s.closeLocked(reason)
	}
}

// closeLocked makes the session closed. What is in the outbound queue is still
// sent while the connection lasts.
func (s *Session) closeLocked(reason *CloseReason) {
	s.reason = reason
	switch reason.Code {
	case CodeClosedByClient:
		s.setState(ClosedByClient)
	case CodeClosedByServer:
		s.setState(ClosedByServer)
	default:
		s.setState(ClosedFailed)
	}
	s.failPending(reason)
	s.locks.lost()
	s.detach()
	s.cancel()
	close(s.done)
}

// detach leaves the session without a connection. The writer of the old one is
// woken for what is still queued.
func (s *Session) detach() {
	if s.link != nil {
		s.link.wakeUp()
		s.link = nil
	}
	s.out.signal()
}

// setState changes the state and reports it; s.mu is held, so that reports are
// in order.
func (s *Session) setState(new State) {
	old := s.state
	s.state = new
	s.opt.log.Info("session state changed", "session", s.id, "old", old, "new", new)
	snapshot := s.onStateChange.snapshot()
	if len(snapshot) > 0 {
		s.events.add(func() {
			s.onStateChange.each(snapshot, func(listener StateListener) { listener(s, old, new) })
		})
	}
}

// reportError tells error listeners of a problem that does not end the session.
func (s *Session) reportError(err error) {
	s.opt.log.Warn("session error", "session", s.id, "error", err)
	snapshot := s.onError.snapshot()
	if len(snapshot) > 0 {
		s.events.add(func() {
			s.onError.each(snapshot, func(listener ErrorListener) { listener(s, err) })
		})
	}
}

// maxMessageSize returns the largest message, in bytes, that the server may send.
func (s *Session) maxMessageSize() int { return s.opt.target.MaxMessageSize }

// failPending ends all calls under way, in either direction.
func (s *Session) failPending(err error) {
	s.endEra(err)
	for _, c := range s.pending {
		c <- answer{err: err}
	}
	clear(s.pending)
}

// notConnected returns the error of a call that cannot be made.
func (s *Session) notConnected() error {
	if s.reason != nil {
		return fmt.Errorf("%w: %w", ErrNotConnected, s.reason)
	}
	return fmt.Errorf("%w: its state is %s", ErrNotConnected, s.state)
}
