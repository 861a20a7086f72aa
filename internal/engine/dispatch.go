package engine

import (
	"errors"
	"runtime/debug"
	"sync"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// Receive takes one message that arrived on conn. Messages of a connection must
// come from one goroutine at a time, in order; frame may be reused afterwards.
// After an error the connection is to be closed: the session is over or
// continues elsewhere.
func (s *Session) Receive(conn Conn, frame []byte) error {
	s.in.Lock()
	defer s.in.Unlock()
	s.mu.Lock()
	current := s.conn == conn && !s.closed
	s.mu.Unlock()
	if !current {
		return errNotCurrent
	}
	s.engine.stats.traffic.Add(s.id.Value, countReceived, 1)
	s.engine.stats.traffic.Add(s.id.Value, countReceivedBytes, int64(len(frame)))
	m, err := wire.ParseMessage(frame)
	if err == nil && wire.EncodingBits(frame) {
		err = errors.New("encoding bits set by a client")
	}
	if err != nil {
		s.Fail(conn, InvalidInboundMessage, err)
		return err
	}
	s.inbound.count(&m, s)
	switch m.Type {
	case wire.TypeRequest:
		s.serve(&m)
	case wire.TypeResponse, wire.TypeError:
		s.answered(&m)
	case wire.TypeCloseRequest:
		s.mu.Lock()
		s.abandon(ClosedByClient)
		s.mu.Unlock()
	default:
		err := errors.New("message type " + m.Type.String() + " from a client")
		s.Fail(conn, InvalidInboundMessage, err)
		return err
	}
	return nil
}

// Pause returns how long a connection has to wait, after a message that it has
// delivered, before it reads the next: nothing, or up to a second for a client that
// sends faster than the limit. What is not read fills the buffers on the way, and
// so slows the client down. A second's worth of messages may come at once.
func (s *Session) Pause() time.Duration {
	if s.pace == nil {
		return 0
	}
	return s.pace.Reserve().Delay()
}

// Fail ends a session whose client breaks the protocol on conn. It is a no-op
// when the session goes on with another connection.
func (s *Session) Fail(conn Conn, reason CloseReason, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != conn || s.closed {
		return
	}
	s.engine.cfg.Log.Warn("closing session: invalid message", "session", s.id, "address", s.addr, "error", err)
	s.close(reason)
}

// A handler serves one service: it decodes the request, checks what the service
// needs, and returns the whole response message, or nil if it has sent it or will.
type handler func(s *Session, conversation int64, body []byte) (*outbox.Message, error)

// needs says what a session must hold to call a service: global permissions,
// and path permissions on a path of the request.
type needs[Req any] struct {
	global security.GlobalSet
	paths  security.PathSet
	path   func(*Req) string // nil: no path permission is needed
}

// anyone may call the service; its handler may check more, topic by topic.
func anyone[Req any]() needs[Req] { return needs[Req]{} }

// onPath needs path permissions on a path of the request.
func onPath[Req any](path func(*Req) string, permissions ...security.PathPermission) needs[Req] {
	return needs[Req]{paths: security.Paths(permissions...), path: path}
}

// global needs global permissions.
func global[Req any](permissions ...security.GlobalPermission) needs[Req] {
	return needs[Req]{global: security.Globals(permissions...)}
}

func (n *needs[Req]) check(s *Session, req *Req) error {
	id := s.identity.Load()
	if id.grant.GlobalPermissions()&n.global != n.global {
		return wire.Errorf(wire.CodeAccessDenied, "Access denied: the service needs %v", n.global)
	}
	if n.path == nil {
		return nil
	}
	path := n.path(req)
	missing := n.paths &^ id.grant.PathPermissions(path)
	if missing != 0 && (missing&^ownersPermissions != 0 || !id.owns(s.engine.tree.Get(path))) {
		return wire.Errorf(wire.CodeAccessDenied, "Access denied: the service needs %v on %q", n.paths, path)
	}
	return nil
}

// ownersPermissions are what the principal that the property OWNER names has on
// the topic (12 section 12.3).
var ownersPermissions = security.Paths(security.ReadTopic, security.ModifyTopic, security.UpdateTopic)

// owns reports whether a topic, or nil, has the identity's principal as its owner.
func (id *identity) owns(n *tree.Topic) bool {
	return n != nil && id.principal != "" && n.Owner() == id.principal
}

// may reports whether the identity has one of the owners' permissions on a topic.
func (id *identity) may(p security.PathPermission, n *tree.Topic) bool {
	return id.grant.Path(n.Path(), p) || id.owns(n)
}

// serves returns the handler of a service.
func serves[Req, Res any](svc *service.Service[Req, Res], n needs[Req], fn func(*Session, Req) (Res, error)) handler {
	room := roomFor[Req]()
	return func(s *Session, conversation int64, body []byte) (*outbox.Message, error) {
		req, err := accept(s, svc, &n, room, body)
		if err != nil {
			return nil, err
		}
		res, err := fn(s, req)
		if err != nil {
			return nil, err
		}
		return response(svc, conversation, res), nil
	}
}

// defers returns the handler of a service that is answered when the time comes.
// fn gets what sends the answer, to be called at most once, from any goroutine,
// with no session's mu locked; an error is answered at once, in its place.
//
// The answer is queued like any other, so that it survives a reconnection. A
// client that has lost messages no longer waits for it, and it is not sent.
func defers[Req, Res any](svc *service.Service[Req, Res], n needs[Req], fn func(s *Session, req Req, answer func(Res)) error) handler {
	room := roomFor[Req]()
	return func(s *Session, conversation int64, body []byte) (*outbox.Message, error) {
		req, err := accept(s, svc, &n, room, body)
		if err != nil {
			return nil, err
		}
		losses := s.losses
		return nil, fn(s, req, func(res Res) {
			if conversation != 0 {
				s.sendUnlessLost(losses, response(svc, conversation, res))
			}
		})
	}
}

// roomFor returns where the requests of a service are decoded: elsewhere each would
// be allocated, because who looks at it is known only when it comes.
func roomFor[Req any]() *sync.Pool {
	return &sync.Pool{New: func() any { return new(service.Decoding[Req]) }}
}

// accept decodes a request and checks what it needs.
func accept[Req, Res any](s *Session, svc *service.Service[Req, Res], n *needs[Req], room *sync.Pool, body []byte) (req Req, err error) {
	d := room.Get().(*service.Decoding[Req])
	if err = svc.Decode(d, body); err != nil {
		err = wire.Errorf(wire.CodeInvalidData, "%v", err)
	} else {
		err = n.check(s, &d.Request)
	}
	req = d.Request
	*d = service.Decoding[Req]{}
	room.Put(d)
	return req, err
}

// response returns the message of a response. How long it gets is known only when
// it is encoded, and it may stay in the recovery buffer: it takes no more memory
// than it must.
func response[Req, Res any](svc *service.Service[Req, Res], conversation int64, res Res) *outbox.Message {
	scratch := responses.Get().(*[]byte)
	defer responses.Put(scratch)
	*scratch = svc.AppendResponse((*scratch)[:0], conversation, res)
	return outbox.CopyMessage(*scratch)
}

// failure returns the message of an error.
func failure(conversation int64, e *wire.ServiceError) *outbox.Message {
	return outbox.NewMessage(16+len(e.Description), func(b []byte) []byte {
		return wire.AppendError(b, conversation, *e)
	})
}

// responses holds buffers in which responses are encoded.
var responses = sync.Pool{New: func() any { return new([]byte) }}

// serve handles a request and queues its answer, behind all that the request
// made the server queue for this session (02 section 9).
func (s *Session) serve(m *wire.Message) {
	answer, err := s.handle(m)
	s.engine.stats.request(s, m.Service, err)
	if m.Conversation == 0 {
		return
	}
	if err != nil {
		var e *wire.ServiceError
		if !errors.As(err, &e) {
			s.engine.cfg.Log.Error("service failed", "service", m.Service, "session", s.id, "error", err)
			e = wire.Errorf(wire.CodeCommunicationFailure, "the server failed to handle the request; its log says why")
		}
		answer = failure(m.Conversation, e)
	}
	if answer != nil {
		s.send(answer)
	}
}

func (s *Session) handle(m *wire.Message) (answer *outbox.Message, err error) {
	h := s.engine.handlers[m.Service]
	if h == nil {
		return nil, wire.Errorf(wire.CodeUnsupported, "Unsupported: this server has no service %d", m.Service)
	}
	defer func() {
		if p := recover(); p != nil { // a bug: one request fails, the server lives
			s.engine.cfg.Log.Error("service panicked", "service", m.Service, "session", s.id, "panic", p, "stack", string(debug.Stack()))
			err = wire.Errorf(wire.CodeCommunicationFailure, "the server failed to handle the request; its log says why")
		}
	}()
	return h(s, m.Conversation, m.Body)
}
