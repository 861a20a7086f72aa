package service

import (
	"fmt"

	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Topic notifications (25). A listener is a handler conversation of the client.
var (
	NotificationSelection      = declare[ListenerSelection, Empty](94, "TOPIC_NOTIFICATION_SELECTION")
	NotificationDeselection    = declare[ListenerSelection, Empty](95, "TOPIC_NOTIFICATION_DESELECTION")
	NotificationDeregistration = declare[Conversation, Empty](91, "TOPIC_NOTIFICATION_DEREGISTRATION")
	TopicEvent                 = declare[TopicNotification, Empty](92, "TOPIC_NOTIFICATION_EVENTS")
	DescendantEvent            = declare[DescendantNotification, Empty](93, "TOPIC_DESCENDANT_EVENTS")
)

// A Conversation is the body of requests that carry only the id of a handler
// conversation.
type Conversation int64

func (m *Conversation) append(b []byte) []byte { return wire.AppendInt64(b, int64(*m)) }
func (m *Conversation) read(r *wire.Reader)    { *m = Conversation(r.Int64()) }

// A ListenerSelection adds a selector to what a listener selects, or deselects it.
type ListenerSelection struct {
	Listener int64
	Selector string
}

func (m *ListenerSelection) append(b []byte) []byte {
	return wire.AppendString(wire.AppendInt64(b, m.Listener), m.Selector)
}

func (m *ListenerSelection) read(r *wire.Reader) { m.Listener, m.Selector = r.Int64(), r.String() }

// TopicEventKind says what happened to a topic, or to a listener's selection of it.
type TopicEventKind byte

// The kinds of topic events.
const (
	TopicAdded      TopicEventKind = 0
	TopicSelected   TopicEventKind = 1
	TopicRemoved    TopicEventKind = 2
	TopicDeselected TopicEventKind = 3
)

// String returns the platform's name of the kind.
func (k TopicEventKind) String() string {
	names := [...]string{"ADDED", "SELECTED", "REMOVED", "DESELECTED"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("KIND_%d", byte(k))
}

func readKind(r *wire.Reader) TopicEventKind {
	k := TopicEventKind(r.Byte())
	if k > TopicDeselected {
		r.Fail("unknown kind of topic event %d", k)
	}
	return k
}

// A TopicNotification tells a listener of a topic that it selects.
type TopicNotification struct {
	Listener      int64
	Path          string
	Kind          TopicEventKind
	Specification topic.Specification
}

func (m *TopicNotification) append(b []byte) []byte {
	b = wire.AppendString(wire.AppendInt64(b, m.Listener), m.Path)
	return m.Specification.Append(append(b, byte(m.Kind)))
}

func (m *TopicNotification) read(r *wire.Reader) {
	m.Listener, m.Path, m.Kind = r.Int64(), r.String(), readKind(r)
	m.Specification = topic.ReadSpecification(r)
}

// A DescendantNotification tells a listener of an immediate descendant of a path
// that it selects.
type DescendantNotification struct {
	Listener int64
	Path     string
	Kind     TopicEventKind
}

func (m *DescendantNotification) append(b []byte) []byte {
	return append(wire.AppendString(wire.AppendInt64(b, m.Listener), m.Path), byte(m.Kind))
}

func (m *DescendantNotification) read(r *wire.Reader) {
	m.Listener, m.Path, m.Kind = r.Int64(), r.String(), readKind(r)
}
