package engine

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"golang.org/x/time/rate"

	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// A Session is a client's presence on the server. It outlives its connections:
// it is connected, then disconnected for at most its window, then connected
// again or closed.
//
// There may be a million of them, so what they have in common they share, and what
// few need is allocated when they do. What a delivery touches stands together: the
// end of client, mu, conn and the start of queue.
type Session struct {
	client tree.Client

	mu       sync.Mutex
	conn     Conn // nil while disconnected; guarded by mu, like all up to gauge
	closed   bool
	settling bool        // settle is going to run
	zlib     bool        // the client understands it; never changes
	reason   CloseReason // once closed
	losses   int32       // how often the client lost messages; written with in held too
	queue    outbox.Queue
	lost     time.Duration // when disconnected, since the engine started
	expiry   *time.Timer   // while disconnected
	expiring *time.Timer   // while the identity has a time at which it expires
	nextCID  int64         // of server requests
	pending  *pending      // those whose answers somebody waits for; nil: there were none
	pingCID  int64         // of the system ping not yet answered; 0: none
	pinged   time.Duration // when it was sent, since the engine started
	version  uint64        // counts what happened to the session
	gauge    *atomic.Int64 // of stats.sessions, in which it counts

	settlement sync.Mutex // serialises settle; before Session.mu

	in            sync.Mutex     // serialises what arrives, and reconnection
	inbound       inbound        // guarded by in
	registrations *registrations // guarded by in; noRegistrations: there were none
	changes       changes        // guarded by in

	engine   *Engine
	id       wire.SessionID
	token    token
	sweep    position // owned by the clock
	software unique.Handle[software]
	addr     netip.Addr    // of the first connection
	window   time.Duration // how long it outlives a connection
	started  int64         // milliseconds since 1970
	pace     *rate.Limiter // of what arrives; nil: no limit

	identity atomic.Pointer[identity] // changed by change
	route    atomic.Pointer[route]    // of the latest connection
	authored atomic.Pointer[authored]
}

// software is what a client says of itself.
type software struct{ clientType, environment string }

// errNotCurrent tells a transport that the session goes on without it.
var errNotCurrent = errors.New("the session is closed or has another connection")

// ID returns the session id.
func (s *Session) ID() wire.SessionID { return s.id }

// Token returns the secret that proves ownership of the session.
func (s *Session) Token() string { return s.token.String() }

// response returns a successful connection response.
func (s *Session) response(code wire.ResponseCode) wire.ConnectResponse {
	return wire.ConnectResponse{
		Version:        wire.Version,
		Code:           code,
		SessionID:      s.id,
		Token:          s.token.String(),
		PingPeriod:     s.engine.cfg.PingPeriod,
		MaxMessageSize: int32(min(s.engine.cfg.MaxMessageSize, 1<<31-1)),
	}
}

// Take appends to dst messages to be written to conn, about maxBytes of them.
// With end set the connection is to be closed once they are written: the
// session has ended, or goes on with another connection.
func (s *Session) Take(conn Conn, dst []*outbox.Message, maxBytes int) (messages []*outbox.Message, end bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != conn {
		return dst, true
	}
	had := len(dst)
	dst = s.queue.Take(dst, maxBytes)
	s.engine.stats.take(s.id.Value, dst[had:], s.queue.Counts())
	if s.closed && s.queue.Pending() == 0 {
		s.conn = nil
		return append(dst, abort), true
	}
	return dst, false
}

// abort tells a client that its session is over.
var abort = outbox.NewMessage(1, func(b []byte) []byte { return append(b, byte(wire.TypeAbort)) })

// Pending reports whether Take has something for conn.
func (s *Session) Pending(conn Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conn != conn || s.closed || s.queue.Pending() > 0
}

// Over reports whether the session has ended.
func (s *Session) Over() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}

// Lost says that conn is gone. The session waits for a reconnection, or ends if
// it cannot have one. It is a no-op for any but the current connection.
func (s *Session) Lost(conn Conn, reason CloseReason) {
	if s.disconnect(conn, reason) {
		s.engine.locks.ConnectionChanged(s)
	}
}

// disconnect does what Lost says but for locks, and reports whether the session
// was connected with conn and waits now.
func (s *Session) disconnect(conn Conn, reason CloseReason) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != conn {
		return false
	}
	s.conn = nil
	if s.closed {
		return false
	}
	if s.window <= 0 {
		s.close(reason)
		return false
	}
	s.counted(false)
	s.lost = s.engine.uptime()
	s.pingCID = 0
	s.happened(disconnected)
	s.expiry = time.AfterFunc(s.window, func() { s.expire(reason) })
	s.engine.cfg.Log.Debug("session disconnected", "session", s.id, "reason", reason, "window", s.window)
	return true
}

// expire closes a session whose window has passed.
func (s *Session) expire(reason CloseReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil && s.engine.uptime()-s.lost >= s.window {
		s.close(reason)
	}
}

// Close ends the session. What is queued is still delivered, then the client is
// told. It returns at once and may be called with any lock but Session.mu held.
func (s *Session) Close(reason CloseReason) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.close(reason)
}

// close does as Close with mu held.
func (s *Session) close(reason CloseReason) {
	if s.closed {
		return
	}
	s.closed, s.reason = true, reason
	s.uncounted()
	s.engine.stats.closed[reason].Add(1)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	if s.expiring != nil {
		s.expiring.Stop()
	}
	if s.conn != nil {
		s.conn.Finish()
	}
	s.engine.cfg.Log.Debug("session closed", "session", s.id, "reason", reason)
	s.happened(closed)
	s.engine.finished.Add(1)
	go s.engine.finish(s)
}

// abandon closes a session without delivering what is queued.
func (s *Session) abandon(reason CloseReason) {
	s.queue.Discard()
	s.close(reason)
}

// pushed wakes the connection after something was queued, or ends the session
// if it did not fit. mu is held.
func (s *Session) pushed(fits bool) {
	if !fits {
		s.abandon(MessageQueueLimitReached)
	} else if s.conn != nil {
		s.conn.Wake()
	}
	if s.queue.HasPressed() && !s.settling && !s.closed {
		s.settling = true
		s.engine.finished.Add(1)
		go func() {
			defer s.engine.finished.Done()
			s.settle()
		}()
	}
}

// settle has the tree forget the subscriptions that back pressure has ended.
// After it a new selection subscribes to their topics again.
func (s *Session) settle() {
	s.settlement.Lock()
	defer s.settlement.Unlock()
	s.mu.Lock()
	s.settling = false
	pressed := s.queue.Pressed()
	s.mu.Unlock()
	if len(pressed) > 0 {
		s.engine.stats.pressed.Add(s.id.Value, int64(len(pressed)))
		s.engine.cfg.Log.Debug("unsubscribed because of back pressure", "session", s.id, "topics", len(pressed))
		s.engine.tree.Pressed(&s.client, pressed)
	}
}

// send queues a message that is no topic update.
func (s *Session) send(m *outbox.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pushed(s.queue.Push(m))
	}
}

// ping sends a system ping, or gives the connection up if the one before was not
// answered in time (02 section 6). Sessions without connection are not pinged.
func (s *Session) ping() {
	s.mu.Lock()
	if s.conn == nil || s.closed {
		s.mu.Unlock()
		return
	}
	if s.pingCID != 0 {
		conn, late := s.conn, s.engine.uptime()-s.pinged < s.engine.cfg.PingPeriod/2
		s.mu.Unlock()
		if late { // this server stood still: the client has not had its time
			return
		}
		s.Lost(conn, ClientUnresponsive)
		conn.Close()
		return
	}
	defer s.mu.Unlock()
	s.nextCID++
	s.pingCID, s.pinged = s.nextCID, s.engine.uptime()
	s.pushed(s.queue.PushProbe(outbox.NewMessage(16, func(b []byte) []byte {
		return service.SystemPing.AppendRequest(b, s.pingCID, service.Empty{})
	})))
}

// announce queues a message about something that the session selects, of which
// there may be any number at once.
func (s *Session) announce(m *outbox.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pushed(s.queue.Announce(m))
	}
}

// request queues a request to the client whose answer has no consequence. build
// gets the conversation id.
func (s *Session) request(build func(b []byte, conversation int64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.nextCID++
	s.pushed(s.queue.Push(outbox.NewMessage(128, func(b []byte) []byte { return build(b, s.nextCID) })))
}

// Subscribed implements [tree.Sink].
func (s *Session) Subscribed(sub *tree.Subscription, initial []*tree.Update) {
	m := sub.Topic.Notification()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	var one [1]*outbox.Message
	values := one[:0]
	for _, u := range initial {
		values = append(values, u.For(s.zlib).Value())
	}
	s.pushed(s.queue.Start(&sub.Stream, m, values...))
}

// Updated implements [tree.Sink].
func (s *Session) Updated(sub *tree.Subscription, u *tree.Update) {
	update := u.For(s.zlib)
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pushed(s.queue.PushUpdate(&sub.Stream, update))
	}
}

// Unsubscribed implements [tree.Sink].
func (s *Session) Unsubscribed(sub *tree.Subscription, _ service.UnsubscribeReason, m *outbox.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.pushed(s.queue.End(&sub.Stream, m))
	}
}

// CanRead implements [tree.Sink] and [tree.ListenerSink].
func (s *Session) CanRead(n *tree.Topic) bool { return s.identity.Load().may(security.ReadTopic, n) }
