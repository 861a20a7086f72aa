package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Sessions and security (31, 32).
var (
	ChangePrincipal         = declare[PrincipalRequest, Bool](5, "CHANGE_PRINCIPAL")
	CloseClient             = declare[SessionRequest, Empty](14, "CLOSE_CLIENT")
	ListGlobalPermissions   = declare[Empty, Permissions](143, "LIST_GLOBAL_PERMISSIONS")
	ListPathPermissions     = declare[Text, Permissions](144, "LIST_PATH_PERMISSIONS")
	GetOwnSessionProperties = declare[Empty, OptionalProperties](202, "GET_OWN_SESSION_PROPERTIES")
	ReAuthenticate          = declare[ReAuthenticateRequest, Bool](203, "RE_AUTHENTICATE")
)

// A PrincipalRequest asks to go on under another principal.
type PrincipalRequest struct {
	Principal   string
	Credentials wire.Credentials
}

func (m *PrincipalRequest) append(b []byte) []byte {
	return wire.AppendCredentials(wire.AppendString(b, m.Principal), m.Credentials)
}

func (m *PrincipalRequest) read(r *wire.Reader) {
	m.Principal, m.Credentials = r.String(), r.Credentials()
}

// A ReAuthenticateRequest is a PrincipalRequest with proposed session properties.
type ReAuthenticateRequest struct {
	PrincipalRequest
	Properties map[string]string
}

func (m *ReAuthenticateRequest) append(b []byte) []byte {
	return topic.AppendProperties(m.PrincipalRequest.append(b), m.Properties)
}

func (m *ReAuthenticateRequest) read(r *wire.Reader) {
	m.PrincipalRequest.read(r)
	m.Properties = topic.ReadProperties(r)
}

// A SessionRequest names a session.
type SessionRequest struct {
	Session wire.SessionID
}

func (m *SessionRequest) append(b []byte) []byte { return wire.AppendSessionID(b, m.Session) }
func (m *SessionRequest) read(r *wire.Reader)    { m.Session = r.SessionID() }

// Permissions is a list of permission codes (32 section 6).
type Permissions []byte

func (m *Permissions) append(b []byte) []byte { return wire.AppendBytes(b, *m) }
func (m *Permissions) read(r *wire.Reader)    { *m = r.Bytes() }

// OptionalProperties is a map of session properties, or nothing.
type OptionalProperties struct {
	Present    bool
	Properties map[string]string
}

func (m *OptionalProperties) append(b []byte) []byte {
	if !m.Present {
		return append(b, 0)
	}
	return topic.AppendProperties(append(b, 1), m.Properties)
}

func (m *OptionalProperties) read(r *wire.Reader) {
	if m.Present = r.Byte() != 0; m.Present {
		m.Properties = topic.ReadProperties(r)
	}
}
