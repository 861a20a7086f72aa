package engine

import (
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// registrations are what a session has on the server besides its selections and its
// locks. They end with the session, and when it loses messages (35 section 4).
type registrations struct {
	streams   map[service.StreamID]*tree.UpdateStream
	sweep     int // number of streams at which those no longer valid are forgotten
	listeners map[int64]*listener
	missing   map[string]*missingHandler // by path

	requestHandlers map[string]*delegate // by path
	authenticators  map[string]*delegate // by name
	observers       map[int64]*observer  // by conversation
}

// noRegistrations are those of all sessions that have made none yet. They are not
// to be written to.
var noRegistrations = new(registrations)

// registers makes sure that the session's registrations are its own, to be written
// to. in is held.
func (s *Session) registers() {
	if s.registrations == noRegistrations {
		s.registrations = new(registrations)
	}
}

// forgetRegistrations ends all registrations, and all that the session holds or
// waits for in the table of locks. in is held.
func (s *Session) forgetRegistrations() {
	r := s.registrations
	s.registrations = noRegistrations
	for _, stream := range r.streams {
		stream.Close()
	}
	for _, l := range r.listeners {
		s.engine.tree.CloseListener(l.Listener)
	}
	for _, h := range r.missing {
		s.engine.missing.remove(h)
	}
	for _, d := range r.requestHandlers {
		s.engine.requestHandlers.remove(d)
	}
	for _, d := range r.authenticators {
		s.engine.authenticators.remove(d)
	}
	for _, o := range r.observers {
		s.engine.observers.leave(o)
	}
	s.engine.locks.Close(s)
}

const minSweep = 64

func (r *registrations) addStream(id service.StreamID, stream *tree.UpdateStream) {
	if r.streams == nil {
		r.streams = make(map[service.StreamID]*tree.UpdateStream)
		r.sweep = minSweep
	}
	if len(r.streams) >= r.sweep {
		for id, s := range r.streams {
			if !s.Valid() {
				delete(r.streams, id)
			}
		}
		r.sweep = max(minSweep, 2*len(r.streams))
	}
	r.streams[id] = stream
}

// maxListeners bounds the topic listeners of a session.
const maxListeners = 1000

// A listener is a topic notification listener of a session (25).
type listener struct {
	*tree.Listener
	*Session
	conversation int64
}

// Event implements [tree.ListenerSink].
func (l *listener) Event(kind service.TopicEventKind, n *tree.Topic) {
	l.announce(outbox.NewMessage(64+len(n.Path()), func(b []byte) []byte {
		return service.TopicEvent.AppendRequest(b, 0, service.TopicNotification{
			Listener: l.conversation, Path: n.Path(), Kind: kind, Specification: n.Specification(),
		})
	}))
}

// Descendant implements [tree.ListenerSink].
func (l *listener) Descendant(kind service.TopicEventKind, n *tree.Topic) {
	l.announce(outbox.NewMessage(32+len(n.Path()), func(b []byte) []byte {
		return service.DescendantEvent.AppendRequest(b, 0, service.DescendantNotification{
			Listener: l.conversation, Path: n.Path(), Kind: kind,
		})
	}))
}

func listenerPrefix(r *service.ListenerSelection) string { return prefix(r.Selector) }

// listen selects topics for a listener, which begins to exist with that.
func (s *Session) listen(r service.ListenerSelection) (res service.Empty, err error) {
	sel, err := parse(r.Selector)
	if err != nil {
		return res, err
	}
	l := s.registrations.listeners[r.Listener]
	if l == nil {
		if len(s.registrations.listeners) >= maxListeners {
			return res, wire.Errorf(wire.CodeInvalidData, "the session has %d topic listeners: close some", maxListeners)
		}
		l = &listener{Session: s, conversation: r.Listener}
		l.Listener = tree.NewListener(l)
		if s.registers(); s.registrations.listeners == nil {
			s.registrations.listeners = make(map[int64]*listener)
		}
		s.registrations.listeners[r.Listener] = l
	}
	if err := s.engine.tree.Listen(l.Listener, sel); err != nil {
		return res, err
	}
	return res, evaluated(sel)
}

func (s *Session) unlisten(r service.ListenerSelection) (res service.Empty, err error) {
	sel, err := parse(r.Selector)
	if err != nil {
		return res, err
	}
	if l := s.registrations.listeners[r.Listener]; l != nil {
		err = s.engine.tree.Unlisten(l.Listener, sel)
	}
	return res, err
}

// closeListener is idempotent: the JavaScript client asks twice.
func (s *Session) closeListener(conversation service.Conversation) (res service.Empty, err error) {
	if l := s.registrations.listeners[int64(conversation)]; l != nil {
		delete(s.registrations.listeners, int64(conversation))
		s.engine.tree.CloseListener(l.Listener)
	}
	return res, nil
}
