package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Missing-topic handlers (22 section 4, 35).
var (
	TopicControlRegistration   = declare[PathRegistration, Empty](20, "TOPIC_CONTROL_REGISTRATION")
	TopicControlDeregistration = declare[PathDeregistration, Empty](21, "TOPIC_CONTROL_DEREGISTRATION")
	MissingTopic               = declare[MissingTopicRequest, Bool](50, "MISSING_TOPIC")
)

// DefaultGroup is the control group of current clients (35 section 2).
const DefaultGroup = "default"

// A PathDeregistration names a registration of a handler for a branch.
type PathDeregistration struct {
	Definition int32 // the service by which the server calls the handler
	Group      string
	Path       string
}

func (m *PathDeregistration) append(b []byte) []byte {
	return wire.AppendString(wire.AppendString(wire.AppendInt32(b, m.Definition), m.Group), m.Path)
}

func (m *PathDeregistration) read(r *wire.Reader) {
	m.Definition, m.Group, m.Path = r.Int32(), r.String(), r.String()
}

// A PathRegistration registers a handler conversation of the client for a branch.
type PathRegistration struct {
	PathDeregistration
	Handler int64
}

func (m *PathRegistration) append(b []byte) []byte {
	return wire.AppendInt64(m.PathDeregistration.append(b), m.Handler)
}

func (m *PathRegistration) read(r *wire.Reader) {
	m.PathDeregistration.read(r)
	m.Handler = r.Int64()
}

// A MissingTopicRequest tells a handler that a session has selected nothing.
type MissingTopicRequest struct {
	Selector   string
	Properties map[string]string // of the session; $SessionId is among them
	Servers    []string          // the first is the session's own
	Handler    int64
}

func (m *MissingTopicRequest) append(b []byte) []byte {
	b = topic.AppendProperties(wire.AppendString(b, m.Selector), m.Properties)
	return wire.AppendInt64(wire.AppendStrings(b, m.Servers), m.Handler)
}

func (m *MissingTopicRequest) read(r *wire.Reader) {
	m.Selector, m.Properties = r.String(), topic.ReadProperties(r)
	m.Servers, m.Handler = r.Strings(), r.Int64()
}
