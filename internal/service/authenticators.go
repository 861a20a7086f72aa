package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Authenticators that clients register (32 section 4).
var (
	AuthenticatorRegistration   = declare[NameRegistration, Empty](119, "AUTHENTICATOR_REGISTRATION")
	Authenticator               = declare[AuthenticationRequest, Authentication](120, "AUTHENTICATOR")
	AuthenticatorDeregistration = declare[NameDeregistration, Empty](121, "AUTHENTICATOR_DEREGISTRATION")
)

// A NameDeregistration names a registration of an authenticator.
type NameDeregistration struct {
	ControlParameters
	Name string // one that the server is configured with
}

func (m *NameDeregistration) append(b []byte) []byte {
	return wire.AppendString(m.ControlParameters.append(b), m.Name)
}

func (m *NameDeregistration) read(r *wire.Reader) {
	m.ControlParameters.read(r)
	m.Name = r.String()
}

// A NameRegistration registers a handler conversation as an authenticator.
type NameRegistration struct {
	NameDeregistration
	Handler int64
}

func (m *NameRegistration) append(b []byte) []byte {
	return wire.AppendInt64(m.NameDeregistration.append(b), m.Handler)
}

func (m *NameRegistration) read(r *wire.Reader) {
	m.NameDeregistration.read(r)
	m.Handler = r.Int64()
}

// An AuthenticationRequest asks an authenticator about a session that connects
// or goes on under another principal.
type AuthenticationRequest struct {
	PrincipalRequest
	Session  map[string]string // properties that the session has or would get
	Proposed map[string]string // properties that the client would like
	Handler  int64
}

func (m *AuthenticationRequest) append(b []byte) []byte {
	b = topic.AppendProperties(m.PrincipalRequest.append(b), m.Session)
	return wire.AppendInt64(topic.AppendProperties(b, m.Proposed), m.Handler)
}

func (m *AuthenticationRequest) read(r *wire.Reader) {
	m.PrincipalRequest.read(r)
	m.Session, m.Proposed, m.Handler = topic.ReadProperties(r), topic.ReadProperties(r), r.Int64()
}

// AuthenticationDecision is what an authenticator makes of a request.
type AuthenticationDecision byte

// The decisions.
const (
	Deny    AuthenticationDecision = 0
	Abstain AuthenticationDecision = 1 // leave it to the next authenticator
	Allow   AuthenticationDecision = 2
)

// String returns the platform's name of the decision.
func (d AuthenticationDecision) String() string { return enumName(d, "DENY", "ABSTAIN", "ALLOW") }

// An Authentication is an authenticator's answer.
type Authentication struct {
	Decision   AuthenticationDecision
	Properties map[string]string // Allow: the user properties, and the fixed ones to change
}

func (m *Authentication) append(b []byte) []byte {
	b = append(b, byte(m.Decision))
	if m.Decision == Allow {
		b = topic.AppendProperties(b, m.Properties)
	}
	return b
}

func (m *Authentication) read(r *wire.Reader) {
	if m.Decision = readEnum(r, Allow, "authentication decision"); m.Decision == Allow {
		m.Properties = topic.ReadProperties(r)
	}
}
