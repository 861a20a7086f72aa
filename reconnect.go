package advect

import (
	"context"
	"errors"
	"fmt"
	"math"

	"advect.dev/internal/client"
	"advect.dev/internal/wire"
)

// run keeps the session going until it is closed, from its first link on. It is
// the goroutine that reads and that reconnects.
func (s *Session) run(l *link) {
	defer close(s.finished)
	for l != nil {
		go s.write(l)
		err := s.serve(l)
		l.end()
		if reason := s.ended(l, err); reason != nil {
			l = s.reconnect(reason)
		} else {
			l = nil
		}
	}
	s.endConversations(s.Err())
	s.endRequestStreams(s.Err())
	s.sink.closed(s.Err())
}

// ended takes note of the end of a link. It returns the reason if the session
// goes on and is to reconnect.
func (s *Session) ended(l *link, err error) *CloseReason {
	var reason *CloseReason
	loss := false
	failure := l.failure.Load()
	switch {
	case errors.Is(err, errAborted):
		reason = &CloseReason{Code: CodeClosedByServer}
	case l.idle.Load():
		reason, loss = &CloseReason{Code: CodeIdleConnection}, true
	case failure != nil:
		reason, loss = connectionEnd(*failure)
	default:
		reason, loss = connectionEnd(err)
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state.IsClosed():
		return nil
	case !loss || s.opt.reconnectTimeout == 0:
		s.closeLocked(reason)
		return nil
	}
	s.opt.log.Warn("connection lost", "session", s.id, "reason", reason)
	s.setState(RecoveringReconnect)
	s.locks.connectionLost()
	s.detach()
	return reason
}

// reconnect tries to connect until it succeeds, and returns the new link, or
// nil when the session is closed (protocol 03 section 4).
func (s *Session) reconnect(lost *CloseReason) *link {
	timeout := fmt.Errorf("not reconnected within %v", s.opt.reconnectTimeout)
	ctx, cancel := context.WithTimeoutCause(s.ctx, s.opt.reconnectTimeout, timeout)
	defer cancel()
	last := lost
	// over closes the session if it is time to, and reports whether it is closed.
	over := func(err error) bool {
		if ctx.Err() == nil {
			return false
		}
		s.fail(&CloseReason{CodeConnectionTimeout, withLast(err, last)})
		return true
	}
	for number := 1; ; number++ {
		err := s.opt.reconnect(ctx, ReconnectAttempt{Session: s, Number: number, Err: last})
		if over(timeout) {
			return nil
		}
		if err != nil {
			s.fail(&CloseReason{CodeReconnectAborted, withLast(err, last)})
			return nil
		}
		s.opt.log.Debug("reconnecting", "session", s.id, "attempt", number)
		conn, res, err := client.Connect(ctx, s.opt.transports, &s.opt.target, s.reconnectRequest())
		if err == nil {
			return s.resume(conn, res)
		}
		if over(err) {
			return nil
		}
		last = connectFailure(err)
		s.opt.log.Debug("reconnection failed", "session", s.id, "attempt", number, "error", last)
		if last.Code != CodeConnectionError {
			s.fail(last)
			return nil
		}
	}
}

func (s *Session) reconnectRequest() wire.ConnectRequest {
	q := s.opt.request()
	q.LastServer = s.received
	s.mu.Lock()
	defer s.mu.Unlock()
	q.Token, q.OldestClient = s.token, s.out.first
	return q
}

// resume goes on with a new connection, or returns nil when the session is closed.
func (s *Session) resume(conn client.Conn, res wire.ConnectResponse) *link {
	if res.Code == wire.ReconnectedWithLoss {
		s.restart(res)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.IsClosed() {
		conn.Close()
		return nil
	}
	if res.Code == wire.Reconnected && !s.out.rewind(res.NextClient) {
		conn.Close()
		err := fmt.Errorf("the server expects message %d, this client holds %d to %d", res.NextClient, s.out.first, s.out.last())
		s.closeLocked(&CloseReason{CodeLostMessages, err})
		return nil
	}
	return s.attach(conn, res)
}

// attach makes conn the session's connection; s.mu is held.
func (s *Session) attach(conn client.Conn, res wire.ConnectResponse) *link {
	s.token = res.Token
	s.link = newLink(conn, res.PingPeriod)
	s.setState(ConnectedActive)
	return s.link
}

// acceptable returns the size of the largest message that the server accepts. A
// size that makes no sense is no limit.
func acceptable(res wire.ConnectResponse) int {
	if res.MaxMessageSize < 1 {
		return math.MaxInt32
	}
	return int(res.MaxMessageSize)
}

// restart forgets what was lost at a reconnection with message loss: both
// counts, calls under way, locks, handlers and topic ids (protocol 03 section 5).
func (s *Session) restart(res wire.ConnectResponse) {
	s.received = 0
	s.mu.Lock()
	s.out.reset()
	s.maxMessage = acceptable(res)
	s.failPending(ErrMessageLoss)
	s.era, s.endEra = context.WithCancelCause(s.ctx)
	s.locks.lost()
	s.mu.Unlock()
	s.opt.log.Warn("session reconnected with message loss", "session", s.id)
	s.endConversations(ErrMessageLoss)
	s.sink.reset()
}
