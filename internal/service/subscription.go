package service

import (
	"fmt"

	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Subscription (21).
var (
	Subscribe                  = declare[Selection, Empty](3, "SUBSCRIBE")
	Unsubscribe                = declare[Selection, Empty](4, "UNSUBSCRIBE")
	UnsubscribeAll             = declare[Text, Empty](199, "UNSUBSCRIBE_ALL")
	NotifySubscription         = declare[Subscription, Empty](87, "NOTIFY_SUBSCRIPTION")
	UnsubscriptionNotification = declare[Unsubscription, Empty](42, "UNSUBSCRIPTION_NOTIFICATION")
)

// A Selection is a selector in a scope; the default scope is "".
type Selection struct {
	Selector string
	Scope    string
}

func (m *Selection) append(b []byte) []byte {
	return wire.AppendString(wire.AppendString(b, m.Selector), m.Scope)
}

func (m *Selection) read(r *wire.Reader) { m.Selector, m.Scope = r.String(), r.String() }

// A Subscription tells a client which id stands for a topic from now on.
type Subscription struct {
	Topic         int32
	Path          string // canonical
	Specification topic.Specification
}

func (m *Subscription) append(b []byte) []byte {
	return m.Specification.Append(wire.AppendString(wire.AppendInt32(b, m.Topic), m.Path))
}

func (m *Subscription) read(r *wire.Reader) {
	m.Topic, m.Path, m.Specification = r.Int32(), r.String(), topic.ReadSpecification(r)
}

// UnsubscribeReason says why a topic is no longer subscribed (21 section 6).
type UnsubscribeReason byte

// The reasons that travel.
const (
	Requested      UnsubscribeReason = 0 // the session asked
	ByControl      UnsubscribeReason = 1 // another session or the server asked
	Removed        UnsubscribeReason = 2 // the topic was removed
	Unauthorized   UnsubscribeReason = 3 // READ_TOPIC was lost
	UnknownReason  UnsubscribeReason = 4
	BackPressure   UnsubscribeReason = 5 // backlog and CONFLATION=unsubscribe
	BranchMappings UnsubscribeReason = 6 // the session tree changed
)

// String returns the platform's name of the reason.
func (u UnsubscribeReason) String() string {
	names := [...]string{"REQUESTED", "CONTROL", "REMOVED", "AUTHORIZATION",
		"UNKNOWN_UNSUBSCRIBE_REASON", "BACK_PRESSURE", "BRANCH_MAPPINGS"}
	if int(u) < len(names) {
		return names[u]
	}
	return fmt.Sprintf("REASON_%d", byte(u))
}

// An Unsubscription ends the use of a topic id.
type Unsubscription struct {
	Topic  int32
	Reason UnsubscribeReason
}

func (m *Unsubscription) append(b []byte) []byte {
	return append(wire.AppendInt32(b, m.Topic), byte(m.Reason))
}

func (m *Unsubscription) read(r *wire.Reader) {
	m.Topic, m.Reason = r.Int32(), UnsubscribeReason(r.Byte())
	if m.Reason > BranchMappings {
		r.Fail("unknown unsubscription reason %d", m.Reason)
	}
}
