package engine

import (
	"errors"

	"advect.dev/internal/filter"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// An observer is a session listener of a session, of either generation (31
// section 3). A session becomes known to it when it matches, and from then on is
// reported while it does. Of one that ceases to match it is told nothing until it
// matches again or closes: clients hear of each session one OPEN and one CLOSE.
//
// All but left is owned by the goroutine of observers after join.
type observer struct {
	session      *Session
	conversation int64
	filter       *filter.Filter // nil: all sessions
	startedAfter int64          // milliseconds since 1970, exclusive
	keys         keySet
	bare         bool // for OPEN and CLOSE only
	closing      bool // CLOSE has the properties

	left bool // guarded by the session's mu

	known   map[*Session]sighting
	pending []service.SessionEvent
	size    int // of pending, about, in bytes
}

// A sighting is what an observer knows of a session.
type sighting struct {
	version  uint64    // events up to it are accounted for
	identity *identity // as told
	route    *route    // as told
}

// maxObservers bounds the session listeners of a session, each of which keeps
// some ten bytes for each session.
const maxObservers = 100

// batchSize is the size of a message of events from which on the next begins.
const batchSize = 32 << 10

func (o *observer) selects(p *profile) bool {
	return p.session.started > o.startedAfter && (o.filter == nil || o.filter.Match(p))
}

// observe takes note of an event, and reports it if that is wanted.
func (o *observer) observe(ev *event) {
	s := ev.profile.session
	seen, known := o.known[s]
	if known && ev.version <= seen.version {
		return
	}
	if ev.happening == closed {
		if known {
			delete(o.known, s)
			o.closed(ev)
		}
		return
	}
	if !o.selects(&ev.profile) {
		if known {
			seen.version = ev.version
			o.known[s] = seen
		}
		return
	}
	o.known[s] = sighting{ev.version, ev.profile.identity, ev.profile.route}
	if !known {
		o.report(service.SessionEvent{Session: s.id, Type: service.SessionOpened, Properties: o.keys.of(&ev.profile)})
		return
	}
	if o.bare {
		return
	}
	before := profile{s, seen.identity, seen.route}
	changes, differ := o.keys.changes(&before, &ev.profile)
	update := service.SessionEvent{Session: s.id, Type: service.SessionUpdated, Changes: changes}
	switch ev.happening {
	case reconnected:
		update.Update = service.SessionReconnected
	case disconnected:
		update.Update = service.SessionDisconnected
	default:
		if !differ {
			return
		}
	}
	o.report(update)
}

func (o *observer) closed(ev *event) {
	e := service.SessionEvent{Session: ev.profile.session.id, Type: service.SessionClosed, Reason: service.CloseReason(ev.reason)}
	if ev.reason == ServerClosing { // clients do not know it
		e.Reason = service.Aborted
	}
	if o.closing {
		e.Properties = o.keys.of(&ev.profile)
	}
	o.report(e)
}

// report queues an event for the next message.
func (o *observer) report(e service.SessionEvent) {
	const overhead = 32 // more than all that is not text
	o.size += overhead
	for key, value := range e.Properties {
		o.size += len(key) + len(value) + 4
	}
	for _, c := range e.Changes {
		o.size += len(c.Key) + len(c.Old) + len(c.New) + 6
	}
	o.pending = append(o.pending, e)
	if o.size >= batchSize {
		o.flush()
	}
}

// flush sends what was reported. It is acknowledged by nobody, and survives a
// reconnection. A client that may no longer know is told that its listener has
// ended instead (35 section 4).
func (o *observer) flush() {
	if len(o.pending) == 0 {
		return
	}
	m := outbox.NewMessage(o.size, func(b []byte) []byte {
		return service.SessionPropertiesEvent.AppendRequest(b, 0, service.SessionEvents{Listener: o.conversation, Events: o.pending})
	})
	clear(o.pending)
	o.pending, o.size = o.pending[:0], 0
	s := o.session
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || o.left {
		return
	}
	if err := (*wire.ServiceError)(nil); errors.As(s.mayObserve(), &err) {
		o.left = true
		m = outbox.NewMessage(64, func(b []byte) []byte { return wire.AppendError(b, o.conversation, *err) })
	}
	s.pushed(s.queue.Announce(m))
}

// observeProperties registers listeners of the older generation, and deregisters
// them, for which no permission is needed.
func (s *Session) observeProperties(r service.PropertiesListener, answer func(service.Empty)) error {
	if r.Deregister {
		s.unobserve(r.Listener)
		answer(service.Empty{})
		return nil
	}
	if err := s.mayObserve(); err != nil {
		return err
	}
	keys, err := newKeySet(r.Keys)
	if err != nil {
		return err
	}
	o := &observer{conversation: r.Listener, keys: keys, bare: keys.empty(), closing: true}
	return s.observe(o, func() { answer(service.Empty{}) })
}

// observeEvents registers a listener of the newer generation.
func (s *Session) observeEvents(r service.EventListener, answer func(service.Errors)) error {
	keys, err := newKeySet(r.Keys)
	if err != nil {
		return err
	}
	o := &observer{conversation: r.Listener, keys: keys, startedAfter: r.StartedAfter}
	if r.Filter != nil {
		f, errs := parseFilter(*r.Filter)
		if errs != nil {
			answer(errs)
			return nil
		}
		o.filter = f
	}
	return s.observe(o, func() { answer(nil) })
}

// mayObserve returns ACCESS_DENIED unless the session may listen to others. It
// takes no lock.
func (s *Session) mayObserve() error {
	needed := global[service.Empty](security.ViewSession, security.RegisterHandler)
	return needed.check(s, nil)
}

// observe registers an observer, in place of any with its conversation. The answer
// goes before all that the observer is told (35 section 3).
func (s *Session) observe(o *observer, answer func()) error {
	if len(s.registrations.observers) >= maxObservers {
		return wire.Errorf(wire.CodeInvalidData, "the session has %d session listeners: close some", maxObservers)
	}
	answer()
	s.unobserve(o.conversation)
	o.session, o.known = s, make(map[*Session]sighting)
	if s.registers(); s.registrations.observers == nil {
		s.registrations.observers = make(map[int64]*observer)
	}
	s.registrations.observers[o.conversation] = o
	s.engine.observers.join(o)
	return nil
}

func (s *Session) unobserve(conversation int64) {
	if o := s.registrations.observers[conversation]; o != nil {
		delete(s.registrations.observers, conversation)
		s.engine.observers.leave(o)
	}
}

// closeObserver is idempotent.
func (s *Session) closeObserver(conversation service.Conversation) (res service.Empty, err error) {
	s.unobserve(int64(conversation))
	return res, nil
}
