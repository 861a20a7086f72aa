package advect

import (
	"context"
	"fmt"
	"iter"
	"time"

	"advect.dev/internal/service"
)

// SessionEventKind says what happened to a session.
type SessionEventKind byte

// The kinds of session events.
const (
	SessionOpened       SessionEventKind = iota // it was opened, or was there already, or the filter selects it now
	SessionUpdated                              // session properties that the listener asked for have changed
	SessionDisconnected                         // it has lost its connection, and may reconnect
	SessionReconnected
	SessionFailedOver // it reconnected to another server of the cluster
	SessionClosed
)

// String returns the kind in lower case, such as "opened".
func (k SessionEventKind) String() string {
	switch k {
	case SessionOpened:
		return "opened"
	case SessionUpdated:
		return "updated"
	case SessionDisconnected:
		return "disconnected"
	case SessionReconnected:
		return "reconnected"
	case SessionFailedOver:
		return "failed over"
	case SessionClosed:
		return "closed"
	}
	return fmt.Sprintf("KIND_%d", byte(k))
}

// SessionCloseReason says why another session was closed, as its server sees it.
// Its String is the platform's name, such as "CLOSED_BY_CLIENT".
type SessionCloseReason = service.CloseReason

// The reasons.
const (
	SessionConnectionLost       = service.ConnectionLost // and it did not reconnect in time
	SessionIOException          = service.IOException
	SessionUnresponsive         = service.ClientUnresponsive
	SessionQueueLimit           = service.MessageQueueLimitReached
	SessionClosedByClient       = service.ClosedByClient
	SessionMessageTooLarge      = service.MessageTooLarge
	SessionInternalError        = service.InternalError
	SessionInvalidMessage       = service.InvalidInboundMessage
	SessionAborted              = service.Aborted
	SessionLostMessages         = service.LostMessages
	SessionClosedByController   = service.ClosedByController // see [Clients.Close]
	SessionClosedByFailover     = service.FailedOver
	SessionExpired              = service.Expired // by the property $ExpiryTime
	SessionAuthorizationRevoked = service.Revoked // see [Security.Revoke]
	SessionTakenOver            = service.SessionTakenOver
)

// A SessionEvent says what happened to a session.
type SessionEvent struct {
	SessionID SessionID
	Kind      SessionEventKind
	// Properties are those properties that the listener asked for and the session
	// has, as they are now. It is empty for [SessionClosed].
	Properties map[string]string
	// Changes says which of them have changed. It is empty but for updates.
	Changes PropertyChanges
	// Reason says why the session was closed, for [SessionClosed].
	Reason SessionCloseReason
}

// PropertyChanges are what changed of the properties of a session.
type PropertyChanges struct {
	Old   map[string]string // the values before of properties that changed or were removed
	Added []string          // keys of properties that the session did not have before
}

// A SessionEventQuery says which sessions a listener is told of, and what of them.
// The zero value means all sessions, without properties.
type SessionEventQuery struct {
	// Filter selects sessions (see [Clients]). A session that the filter comes to
	// select is told of as [SessionOpened]. Default: all.
	Filter string
	// Properties are keys of the session properties to tell: [AllFixedProperties]
	// and [AllUserProperties] stand for many. Without any there are no
	// [SessionUpdated] events.
	Properties []string
	// StartedAfter, unless zero, leaves out sessions that started at that time or before.
	StartedAfter time.Time
}

// sessionEventsBuffer is the default of SessionListener.Buffer.
const sessionEventsBuffer = 1 << 20

// A SessionListener is a set of callbacks that are told what happens to sessions
// (protocol 31 section 3). They run on a goroutine of the listener's own, one
// after the other, in the order of the server's events, and may use the session
// freely.
type SessionListener struct {
	SessionEventQuery
	// OnEvent tells of an event: first [SessionOpened] for each session that is
	// open already, this one included, then what happens.
	OnEvent func(SessionEvent)
	// OnClose tells that nothing follows. The error is nil after
	// [SessionListenerHandle.Close]. Otherwise it says why: [ErrSlowListener], the
	// server has ended the listener, the session has closed, or it reconnected with
	// message loss, which matches [ErrMessageLoss]; then add the listener anew. It
	// may be nil.
	OnClose func(error)
	// Buffer is how many events may wait for OnEvent. When it is full the listener
	// is closed, since one that misses an event has no way to find out. Default:
	// 1048576.
	Buffer int
}

// A SessionListenerHandle stands for a listener that was added.
type SessionListenerHandle struct{ listener *sessionListener }

// A sessionListener is a listener with a consumer of any kind.
type sessionListener struct {
	session *Session
	id      int64
	inbox   *inbox[SessionEvent]
}

func (l *sessionListener) closed(err error) { l.inbox.end(err, false) }

// AddListener adds a listener for what happens to sessions. The session needs the
// permissions VIEW_SESSION and REGISTER_HANDLER. The error matches
// [ErrInvalidFilter] if the filter is not one. For a loop instead of callbacks
// see [SessionEvents].
func (c *Clients) AddListener(ctx context.Context, listener SessionListener) (*SessionListenerHandle, error) {
	l, err := c.listen(ctx, &listener.SessionEventQuery, listener.Buffer)
	if err != nil {
		return nil, fmt.Errorf("add session listener: %w", err)
	}
	go l.inbox.deliver(listener.OnEvent, listener.OnClose)
	return &SessionListenerHandle{l}, nil
}

func (c *Clients) listen(ctx context.Context, q *SessionEventQuery, buffer int) (l *sessionListener, err error) {
	if buffer < 1 {
		buffer = sessionEventsBuffer
	}
	l = &sessionListener{session: c.session, inbox: newInbox[SessionEvent](buffer)}
	if l.id, err = c.session.converse(l); err != nil {
		return nil, err
	}
	registration := service.EventListener{ClusterAware: true, Keys: q.Properties, Listener: l.id}
	if q.Filter != "" {
		registration.Filter = &q.Filter
	}
	if !q.StartedAfter.IsZero() {
		registration.StartedAfter = q.StartedAfter.UnixMilli()
	}
	problems, err := call(ctx, c.session, service.SessionEventRegistration, registration)
	if err == nil {
		err = filterError(problems)
	}
	if err != nil {
		c.session.abandon(ctx, l.id, func(conversation) bool { return false }, func(conversation int64) []byte {
			return service.SessionEventDeregistration.AppendRequest(nil, conversation, service.Conversation(l.id))
		})
		return nil, err
	}
	return l, nil
}

// Close ends the listener and waits for the server to take note. Events that it
// has not yet been given are dropped, then OnClose is called with nil. The listener
// is closed even if Close fails; closing again does nothing.
func (h *SessionListenerHandle) Close(ctx context.Context) error { return h.listener.close(ctx) }

func (l *sessionListener) close(ctx context.Context) error {
	open := l.session.discard(l.id)
	l.inbox.end(errHandlerClosed, true)
	if !open {
		return nil
	}
	if _, err := call(ctx, l.session, service.SessionEventDeregistration, service.Conversation(l.id)); err != nil {
		return fmt.Errorf("close session listener: %w", err)
	}
	return nil
}

// SessionEvents yields what happens to sessions: first [SessionOpened] for each
// that is open, then everything else.
//
//	for event, err := range advect.SessionEvents(ctx, session, advect.SessionEventQuery{Properties: []string{"$Principal"}}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(event.Kind, event.SessionID, event.Properties["$Principal"])
//	}
//
// An error is the last thing that the loop gets; those are of
// [Clients.AddListener] and of [SessionListener] OnClose. The loop body runs on the
// caller's goroutine; what it has not yet taken waits, up to 1048576 events, beyond
// which the loop ends with [ErrSlowListener].
func SessionEvents(ctx context.Context, s *Session, query SessionEventQuery) iter.Seq2[SessionEvent, error] {
	return func(yield func(SessionEvent, error) bool) {
		l, err := s.Clients().listen(ctx, &query, 0)
		if err != nil {
			yield(SessionEvent{}, fmt.Errorf("session events: %w", err))
			return
		}
		defer func() { go l.close(context.WithoutCancel(ctx)) }()
		for {
			event, err := l.inbox.next(ctx)
			if !yield(event, err) || err != nil {
				return
			}
		}
	}
}

// sessionEvents gives events to their listener.
func (s *Session) sessionEvents(m *service.SessionEvents) {
	l, ok := handler[*sessionListener](s, m.Listener)
	if !ok {
		return
	}
	for i := range m.Events {
		if l.inbox.put(sessionEvent(&m.Events[i])) || l.inbox.ended() != nil {
			continue
		}
		s.endConversation(l.id, ErrSlowListener)
		// Nobody waits for the answer; the request ends with the session at the latest.
		go call(s.ctx, s, service.SessionEventDeregistration, service.Conversation(l.id))
		return
	}
}

var updateKinds = [...]SessionEventKind{
	service.PropertiesUpdated: SessionUpdated, service.SessionReconnected: SessionReconnected,
	service.SessionFailedOver: SessionFailedOver, service.SessionDisconnected: SessionDisconnected,
}

func sessionEvent(e *service.SessionEvent) SessionEvent {
	event := SessionEvent{SessionID: e.Session, Properties: e.Properties}
	switch e.Type {
	case service.SessionOpened:
		event.Kind = SessionOpened
	case service.SessionClosed:
		event.Kind, event.Reason = SessionClosed, e.Reason
	default:
		event.Kind, event.Properties = updateKinds[e.Update], make(map[string]string, len(e.Changes))
		for _, c := range e.Changes {
			event.change(&c)
		}
	}
	return event
}

func (e *SessionEvent) change(c *service.PropertyChange) {
	if c.Kind != service.PropertyRemoved {
		e.Properties[c.Key] = c.New
	}
	switch c.Kind {
	case service.PropertyNew:
		e.Changes.Added = append(e.Changes.Added, c.Key)
	case service.PropertyChanged, service.PropertyRemoved:
		if e.Changes.Old == nil {
			e.Changes.Old = make(map[string]string)
		}
		e.Changes.Old[c.Key] = c.Old
	}
}
