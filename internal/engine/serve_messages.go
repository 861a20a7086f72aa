package engine

import (
	"errors"
	"slices"
	"strings"

	"advect.dev/internal/filter"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Bounds on the request handlers of a session.
const (
	maxRequestHandlers = 1000
	maxHandlerPath     = 1024 // bytes
	maxHandlerKeys     = 256
	maxHandlerKeyBytes = 16 << 10
)

// messagePath returns a message path as it is compared and as permissions are
// looked up: without leading, trailing and repeated slashes (30 section 2).
func messagePath(path string) string {
	if !strings.Contains(path, "//") {
		return topic.Canonical(path)
	}
	segments := slices.DeleteFunc(strings.Split(path, "/"), func(s string) bool { return s == "" })
	return strings.Join(segments, "/")
}

func sendPath(r *service.MessageRequest) string        { return messagePath(r.Path) }
func sessionSendPath(r *service.SessionMessage) string { return messagePath(r.Path) }
func filterSendPath(r *service.FilterMessage) string   { return messagePath(r.Path) }

// forwards returns the handler of a service whose requests are passed on to a
// session, and whose answers are copied from it octet for octet. It does as defers
// otherwise.
func forwards[Req any](svc *service.Service[Req, service.Payload], n needs[Req], fn func(s *Session, req Req, answer func(reply)) error) handler {
	room := roomFor[Req]()
	return func(s *Session, conversation int64, body []byte) (*outbox.Message, error) {
		req, err := accept(s, svc, &n, room, body)
		if err != nil {
			return nil, err
		}
		losses := s.losses
		return nil, fn(s, req, func(r reply) {
			if conversation != 0 {
				s.sendUnlessLost(losses, r.message(conversation))
			}
		})
	}
}

// sendToPath passes a request on to a handler of the longest path that leads to
// that of the request (30 section 2).
func (s *Session) sendToPath(r service.MessageRequest, answer func(reply)) error {
	subject, ok := s.engine.handledPath(messagePath(r.Path))
	if !ok {
		return wire.Errorf(wire.CodeUnhandledMessage, "no request handler is registered for %q or a path above it", r.Path)
	}
	var refusal *wire.ServiceError
	sender := s.now()
	for d := range s.engine.requestHandlers.of(subject) {
		if !d.session.holds(handlerPermissions) { // it has lost them since
			continue
		}
		m := service.HandlerMessage{
			Handler: d.conversation, Sender: s.id, Path: r.Path, Properties: d.propertyKeys().of(&sender), Payload: r.Payload,
		}
		refusal = d.session.ask(messageSize(&r)+propertiesSize(m.Properties), func(b []byte, conversation int64) []byte {
			return service.MessagingToHandler.AppendRequest(b, conversation, m)
		}, answer)
		if refusal == nil {
			return nil
		}
	}
	if refusal == nil { // the last one went in this moment, or may no longer
		refusal = wire.Errorf(wire.CodeUnhandledMessage, "the request handler for %q is closed", r.Path)
	}
	return refusal
}

// handledPath returns the longest path with a request handler that leads to path.
func (e *Engine) handledPath(path string) (string, bool) {
	if len(path) > maxHandlerPath {
		path = path[:max(0, strings.LastIndexByte(path[:maxHandlerPath+1], '/'))]
	}
	for ; path != ""; path = path[:max(0, strings.LastIndexByte(path, '/'))] {
		if e.requestHandlers.has(path) {
			return path, true
		}
	}
	return "", e.requestHandlers.has("")
}

// sendToSession passes a request on to a stream of one session (30 section 3).
func (s *Session) sendToSession(r service.SessionMessage, answer func(reply)) error {
	target, err := s.engine.target(r.Session)
	if err != nil {
		return err
	}
	if refusal := target.deliver(&r.MessageRequest, answer); refusal != nil {
		return refusal
	}
	return nil
}

// deliver sends the client what was sent to its session, not to a path.
func (s *Session) deliver(r *service.MessageRequest, done func(reply)) *wire.ServiceError {
	return s.ask(messageSize(r), func(b []byte, conversation int64) []byte {
		return service.MessagingSend.AppendRequest(b, conversation, *r)
	}, done)
}

// sendToFilter passes a request on to every session of a filter, and reports the
// answer of each that it counts, or that there is none (30 section 5).
func (s *Session) sendToFilter(r service.FilterMessage) (res service.FlaggedCount, _ error) {
	f, err := filter.Parse(r.Filter)
	if err != nil {
		return service.FlaggedCount{Errors: reports(err)}, nil
	}
	losses := s.losses
	for _, target := range s.engine.matching(f) {
		id := target.id
		report := func(answer reply) { s.reportAnswer(losses, r.Responses, id, answer) }
		if refusal := target.deliver(&r.MessageRequest, report); refusal != nil {
			if refusal.Code == wire.CodeNoSuchSession { // it is closed by now
				continue
			}
			report(reply{err: refusal})
		}
		res.Count++
	}
	return res, nil
}

// reportAnswer tells the sender to a filter what one session made of the request.
// There may be any number of such reports at once.
func (s *Session) reportAnswer(losses int32, responses int64, from wire.SessionID, r reply) {
	m := service.FilterAnswer{Responses: responses, Session: from, Err: r.err}
	if r.err == nil {
		var err error
		if m.Payload, err = service.MessagingSend.ReadResponse(r.body); err != nil {
			m.Err = wire.Errorf(wire.CodeInvalidData, "%v", err)
		}
	}
	report := outbox.NewMessage(64+len(r.body), func(b []byte) []byte {
		return service.FilterResponse.AppendRequest(b, 0, m)
	})
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.losses == losses {
		s.pushed(s.queue.Announce(report))
	}
}

// reports returns what is wrong with a filter.
func reports(err error) service.Errors {
	var e *filter.Error
	if !errors.As(err, &e) {
		return service.Errors{{Message: err.Error(), Line: 1, Column: 1}}
	}
	return service.Errors{{Message: e.Reason, Line: int32(e.Line), Column: int32(e.Column)}}
}

func messageSize(r *service.MessageRequest) int {
	return 64 + len(r.Path) + len(r.Payload.DataType) + len(r.Payload.Data)
}

func propertiesSize(properties map[string]string) (size int) {
	for key, value := range properties {
		size += 8 + len(key) + len(value)
	}
	return size
}

// registerRequestHandler registers a handler for a path and those below. It is
// answered before anything is passed on to the handler (30 section 4).
func (s *Session) registerRequestHandler(r service.RequestHandler, answer func(service.Empty)) error {
	if r.Definition != service.MessagingToHandler.ID {
		return wire.Errorf(wire.CodeUnsupported, "Unsupported: handlers of service %d cannot be registered for messages", r.Definition)
	}
	if len(r.Keys) > 0 && !s.identity.Load().grant.Global(security.ViewSession) {
		return wire.Errorf(wire.CodeAccessDenied, "Access denied: a request handler that asks for session properties needs %v",
			security.Globals(security.ViewSession))
	}
	size := 0
	for _, key := range r.Keys {
		size += len(key)
	}
	path := messagePath(r.Path)
	s.registers()
	switch own := s.registrations.requestHandlers; {
	case own[path] != nil:
		return wire.Errorf(wire.CodeHandlerConflict, "the session has a request handler for %q already", path)
	case len(own) >= maxRequestHandlers:
		return wire.Errorf(wire.CodeInvalidData, "the session has %d request handlers: close some", maxRequestHandlers)
	case len(path) > maxHandlerPath:
		return wire.Errorf(wire.CodeInvalidData, "the path of a request handler has %d bytes, the most is %d", len(path), maxHandlerPath)
	case len(r.Keys) > maxHandlerKeys || size > maxHandlerKeyBytes:
		return wire.Errorf(wire.CodeInvalidData, "%d property keys of %d bytes are too many: ask for %q and %q",
			len(r.Keys), size, service.AllFixedProperties, service.AllUserProperties)
	case own == nil:
		s.registrations.requestHandlers = make(map[string]*delegate)
	}
	keys, err := newKeySet(r.Keys)
	if err != nil {
		return err
	}
	d := &delegate{session: s, conversation: r.Handler, group: r.Group, subject: path, keys: keys}
	s.registrations.requestHandlers[path] = d
	s.engine.requestHandlers.add(d, func() { answer(service.Empty{}) })
	return nil
}

// deregisterRequestHandler is idempotent: the JavaScript client asks twice.
func (s *Session) deregisterRequestHandler(r service.RequestHandlerParameters) (res service.Empty, err error) {
	path := messagePath(r.Path)
	if d := s.registrations.requestHandlers[path]; d != nil && d.group == r.Group && r.Definition == service.MessagingToHandler.ID {
		delete(s.registrations.requestHandlers, path)
		s.engine.requestHandlers.remove(d)
	}
	return res, nil
}
