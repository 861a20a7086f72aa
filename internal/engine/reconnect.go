package engine

import (
	"context"

	"advect.dev/internal/wire"
)

// reconnect gives a session a new connection: without loss if both sides still
// hold what the other missed, else with loss (03 sections 4.3 and 5).
func (e *Engine) reconnect(_ context.Context, q wire.ConnectRequest, peer Peer, conn Conn) (res wire.ConnectResponse, _ *Session, _ error) {
	unknown := &wire.Rejection{Code: wire.UnknownSession, Reason: "unknown or expired session token"}
	s := e.sessionByToken(q.Token)
	if s == nil {
		e.stats.recoveries[refused].Add(1)
		return res, nil, unknown
	}
	if e.cfg.KeepAlive <= 0 {
		return res, nil, &wire.Rejection{Code: wire.ReconnectUnsupported, Reason: "reconnect-keep-alive is 0"}
	}
	s.in.Lock() // waits for a message that the old connection delivered
	defer s.in.Unlock()

	s.mu.Lock()
	if s.closed || s.conn == nil && e.uptime()-s.lost >= s.window {
		s.close(ConnectionLost)
		s.mu.Unlock()
		e.stats.recoveries[refused].Add(1)
		return res, nil, unknown
	}
	old := s.conn
	s.conn, s.pingCID = conn, 0
	s.route.Store(e.routes.of(&peer))
	s.happened(reconnected)
	s.counted(true)
	if s.expiry != nil {
		s.expiry.Stop()
	}
	next := s.inbound.received + 1
	lossless := !s.inbound.suspect && !s.inbound.unseen && q.OldestClient <= next && s.queue.Rewind(uint64(q.LastServer))
	var knew int64
	if lossless {
		knew = s.known()
	}
	s.mu.Unlock()
	if old != nil {
		old.Close()
	}
	e.locks.ConnectionChanged(s) // Lost is not called for a connection that was replaced

	if lossless {
		e.stats.recoveries[withoutLoss].Add(1)
		s.inbound.reconnected(knew)
		res = s.response(wire.Reconnected)
		res.NextClient = int32(next)
		e.cfg.Log.Debug("session reconnected", "session", s.id, "transport", peer.Transport)
		return res, s, nil
	}
	e.stats.recoveries[withLoss].Add(1)
	s.forgetRegistrations()
	e.tree.Suspend(&s.client)
	s.mu.Lock()
	s.queue.Reset()
	s.pingCID = 0 // a ping since the take-over went with the queue
	s.losses++
	unanswered := s.pending.clear()
	s.mu.Unlock()
	s.giveUp(unanswered)
	s.inbound = inbound{unseen: true}
	e.tree.Resume(&s.client)
	e.cfg.Log.Debug("session reconnected with message loss", "session", s.id, "transport", peer.Transport)
	return s.response(wire.ReconnectedWithLoss), s, nil
}

// known returns the last server conversation that the client of a queue just
// rewound has seen. mu is held.
func (s *Session) known() int64 {
	for m := range s.queue.Unsent {
		p, err := wire.ParseMessage(m.Bytes())
		if err == nil && p.Type == wire.TypeRequest && p.Conversation != 0 { // the first: they are in order
			return p.Conversation - 1
		}
	}
	return s.nextCID
}

// inbound counts what a session received, and notices a defect of the
// JavaScript client: after a RECONNECTED that made it send messages again, its
// own count is too low, and the next RECONNECTED would end its session as
// LOST_MESSAGES (03 section 4.4). The next reconnection is then with loss.
type inbound struct {
	received     int64 // messages
	conversation int64 // highest that the client used for a request
	suspect      bool  // the client's count may be wrong
	unseen       bool  // the client may not know of the latest loss, and still count as before

	resumed    bool  // nothing has arrived since a RECONNECTED
	knewServer int64 // server conversations up to this one were known before it
}

// Seen says that the client has read the connection response of conn: if conn is
// its current connection, it counts as the server does from then on.
func (s *Session) Seen(conn Conn) {
	s.in.Lock()
	defer s.in.Unlock()
	s.mu.Lock()
	current := s.conn == conn
	s.mu.Unlock()
	if current {
		s.inbound.unseen = false
	}
}

// reconnected prepares for what comes after a RECONNECTED to a client that had
// the server's requests up to knewServer.
func (in *inbound) reconnected(knewServer int64) {
	in.resumed, in.knewServer = true, knewServer
}

// count takes note of a message. Only the first after a RECONNECTED can show
// that messages are being sent again: they come before any other, and each
// outage uses up one conversation id of the client, so a request made after it
// does not follow on the last one.
func (in *inbound) count(m *wire.Message, by *Session) {
	in.received++
	in.unseen = false // it sends only after it has read the response
	if in.resumed && by.javaScript() {
		switch m.Type {
		case wire.TypeRequest:
			in.suspect = m.Conversation <= in.conversation+1
		case wire.TypeResponse, wire.TypeError:
			in.suspect = m.Conversation != 0 && m.Conversation <= in.knewServer
		}
	}
	in.resumed = false
	if m.Type == wire.TypeRequest {
		in.conversation = max(in.conversation, m.Conversation)
	}
}

// javaScript reports whether the client is the JavaScript SDK.
func (s *Session) javaScript() bool {
	t := s.software.Value().clientType
	return t == "WB" || t == "B"
}
