package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Session listeners (31 section 3): handler conversations of the client, of two
// kinds, which both get SessionPropertiesEvent.
var (
	// SessionPropertiesRegistration ends registrations too.
	SessionPropertiesRegistration = declare[PropertiesListener, Empty](81, "SESSION_PROPERTIES_REGISTRATION_2")
	SessionPropertiesEvent        = declare[SessionEvents, Empty](82, "SESSION_PROPERTIES_EVENT_2")
	SessionEventRegistration      = declare[EventListener, Errors](189, "SESSION_EVENT_REGISTRATION")
	SessionEventDeregistration    = declare[Conversation, Empty](190, "SESSION_EVENT_DEREGISTRATION")
)

// A PropertiesListener registers a listener for all sessions, or ends one.
type PropertiesListener struct {
	Deregister bool
	Keys       []string // of properties; not for Deregister
	Listener   int64
}

func (m *PropertiesListener) append(b []byte) []byte {
	if m.Deregister {
		return wire.AppendInt64(wire.AppendInt32(b, 1), m.Listener)
	}
	return wire.AppendInt64(wire.AppendStrings(wire.AppendInt32(b, 0), m.Keys), m.Listener)
}

func (m *PropertiesListener) read(r *wire.Reader) {
	switch kind := r.Int32(); kind {
	case 0:
		m.Keys = r.Strings()
	case 1:
		m.Deregister = true
	default:
		r.Fail("unknown kind of registration %d", kind)
	}
	m.Listener = r.Int64()
}

// An EventListener registers a listener for the sessions of a filter.
type EventListener struct {
	ClusterAware bool
	Filter       *string  // nil: all sessions
	Keys         []string // of properties; none: nor are their changes events
	StartedAfter int64    // milliseconds since 1970, exclusive
	Listener     int64
}

func (m *EventListener) append(b []byte) []byte {
	b = wire.AppendOptional(wire.AppendBool(b, m.ClusterAware), m.Filter, wire.AppendString)
	b = wire.AppendInt64(append(appendOptionalStrings(b, m.Keys), 1), m.StartedAfter)
	return wire.AppendInt64(b, m.Listener)
}

func (m *EventListener) read(r *wire.Reader) {
	m.ClusterAware, m.Filter = r.Bool(), wire.ReadOptional(r, (*wire.Reader).String)
	m.Keys = readOptionalStrings(r)
	if r.Bool() {
		m.StartedAfter = r.Int64()
	}
	m.Listener = r.Int64()
}

// SessionEvents tell a listener what happened to sessions, in order.
type SessionEvents struct {
	Listener int64
	Events   []SessionEvent
}

func (m *SessionEvents) append(b []byte) []byte {
	return appendList(wire.AppendInt64(b, m.Listener), m.Events)
}

func (m *SessionEvents) read(r *wire.Reader) {
	m.Listener, m.Events = r.Int64(), readList[SessionEvent](r, minSessionEvent)
}

// SessionEventType says which fields of a [SessionEvent] are set.
type SessionEventType byte

// The types of session event.
const (
	SessionOpened  SessionEventType = 0
	SessionUpdated SessionEventType = 1
	SessionClosed  SessionEventType = 2
)

// String returns the platform's name of the type.
func (t SessionEventType) String() string { return enumName(t, "OPEN", "UPDATE", "CLOSE") }

// SessionUpdateType says why a session event of type SessionUpdated was sent.
type SessionUpdateType byte

// The types of update.
const (
	PropertiesUpdated   SessionUpdateType = 0
	SessionReconnected  SessionUpdateType = 1
	SessionFailedOver   SessionUpdateType = 2
	SessionDisconnected SessionUpdateType = 3 // and may reconnect
)

// String returns the platform's name of the type.
func (t SessionUpdateType) String() string {
	return enumName(t, "UPDATED", "RECONNECTED", "FAILED_OVER", "DISCONNECTED")
}

// A SessionEvent is what happened to one session.
type SessionEvent struct {
	Session    wire.SessionID
	Type       SessionEventType
	Properties map[string]string // SessionOpened, SessionClosed: those asked for
	Update     SessionUpdateType // SessionUpdated
	Changes    []PropertyChange  // SessionUpdated: every property asked for, changed or not
	Reason     CloseReason       // SessionClosed
}

// minSessionEvent is the fewest bytes that a SessionEvent takes.
const minSessionEvent = 4

func (m *SessionEvent) append(b []byte) []byte {
	b = append(wire.AppendSessionID(b, m.Session), byte(m.Type))
	switch m.Type {
	case SessionUpdated:
		return appendList(append(b, byte(m.Update)), m.Changes)
	case SessionClosed:
		b = append(b, byte(m.Reason))
	}
	return topic.AppendProperties(b, m.Properties)
}

func (m *SessionEvent) read(r *wire.Reader) {
	m.Session = r.SessionID()
	switch m.Type = readEnum(r, SessionClosed, "type of session event"); m.Type {
	case SessionUpdated:
		m.Update = readEnum(r, SessionDisconnected, "type of session update")
		m.Changes = readList[PropertyChange](r, minPropertyChange)
		return
	case SessionClosed:
		m.Reason = readCloseReason(r)
	}
	m.Properties = topic.ReadProperties(r)
}

// PropertyChangeKind says what became of a property.
type PropertyChangeKind byte

// The kinds of change.
const (
	PropertyNew     PropertyChangeKind = 1
	PropertyChanged PropertyChangeKind = 2
	PropertyRemoved PropertyChangeKind = 3
	PropertySame    PropertyChangeKind = 4
)

// String returns the platform's name of the kind.
func (k PropertyChangeKind) String() string {
	return enumName(k, "", "NEW", "CHANGE", "REMOVE", "SAME")
}

// A PropertyChange is what became of one property of a session.
type PropertyChange struct {
	Key  string
	Kind PropertyChangeKind
	Old  string // PropertyChanged, PropertyRemoved
	New  string // the value now; not for PropertyRemoved
}

// minPropertyChange is the fewest bytes that a PropertyChange takes.
const minPropertyChange = 3

func (m *PropertyChange) append(b []byte) []byte {
	b = append(wire.AppendString(b, m.Key), byte(m.Kind))
	if m.Kind == PropertyChanged || m.Kind == PropertyRemoved {
		b = wire.AppendString(b, m.Old)
	}
	if m.Kind != PropertyRemoved {
		b = wire.AppendString(b, m.New)
	}
	return b
}

func (m *PropertyChange) read(r *wire.Reader) {
	m.Key = r.String()
	if m.Kind = readEnum(r, PropertySame, "kind of property change"); m.Kind == 0 {
		r.Fail("unknown kind of property change 0")
	}
	if m.Kind == PropertyChanged || m.Kind == PropertyRemoved {
		m.Old = r.String()
	}
	if m.Kind != PropertyRemoved {
		m.New = r.String()
	}
}
