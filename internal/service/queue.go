package service

import "advect.dev/internal/wire"

// Queue event handlers (31 section 6, 35 section 2). What the server would send
// them, service QueueEvent, is not known and never sent.
var (
	ServerControlRegistration   = declare[ControlRegistration, Empty](18, "SERVER_CONTROL_REGISTRATION")
	ServerControlDeregistration = declare[ControlParameters, Empty](19, "SERVER_CONTROL_DEREGISTRATION")
)

// QueueEvent is the definition of a queue event handler.
const QueueEvent int32 = 13

// ControlParameters name a registration of a handler for the whole server.
type ControlParameters struct {
	Definition int32 // the service by which the server calls the handler
	Group      string
}

func (m *ControlParameters) append(b []byte) []byte {
	return wire.AppendString(wire.AppendInt32(b, m.Definition), m.Group)
}

func (m *ControlParameters) read(r *wire.Reader) { m.Definition, m.Group = r.Int32(), r.String() }

// A ControlRegistration registers a handler conversation for the whole server.
type ControlRegistration struct {
	ControlParameters
	Handler int64
}

func (m *ControlRegistration) append(b []byte) []byte {
	return wire.AppendInt64(m.ControlParameters.append(b), m.Handler)
}

func (m *ControlRegistration) read(r *wire.Reader) {
	m.ControlParameters.read(r)
	m.Handler = r.Int64()
}
