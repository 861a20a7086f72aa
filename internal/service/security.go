package service

import "advect.dev/internal/wire"

// The stores of principals and of roles (32 section 5). Updates are scripts:
// either all of a script takes effect or, when it has errors, nothing.
var (
	GetSystemAuthentication     = declare[Empty, SystemAuthentication](57, "GET_SYSTEM_AUTHENTICATION")
	UpdateSystemAuthentication  = declare[Text, Errors](58, "UPDATE_SYSTEM_AUTHENTICATION")
	GetSecurityConfiguration    = declare[Empty, SecurityConfiguration](59, "GET_SECURITY_CONFIGURATION")
	UpdateSecurityConfiguration = declare[Text, Errors](60, "UPDATE_SECURITY_CONFIGURATION")
	RevokeAuthentication        = declare[SessionRequest, Empty](204, "REVOKE_AUTHENTICATION")
)

// AnonymousAction is what the system authenticator makes of a connection without
// a principal.
type AnonymousAction byte

// The actions.
const (
	AllowAnonymous   AnonymousAction = 0
	DenyAnonymous    AnonymousAction = 1
	AbstainAnonymous AnonymousAction = 2
)

// String returns the platform's name of the action.
func (a AnonymousAction) String() string { return enumName(a, "ALLOW", "DENY", "ABSTAIN") }

// SystemAuthentication is the store of the system authenticator.
type SystemAuthentication struct {
	Principals     []SystemPrincipal
	Anonymous      AnonymousAction
	AnonymousRoles []string
	Trusted        map[string]Validation // of proposed session properties, by key
}

func (m *SystemAuthentication) append(b []byte) []byte {
	b = append(appendList(b, m.Principals), byte(m.Anonymous))
	return appendMap(wire.AppendStrings(b, m.AnonymousRoles), m.Trusted)
}

func (m *SystemAuthentication) read(r *wire.Reader) {
	m.Principals = readList[SystemPrincipal](r, minSystemPrincipal)
	m.Anonymous = readEnum(r, AbstainAnonymous, "action for anonymous connections")
	m.AnonymousRoles = r.Strings()
	m.Trusted = readMap[Validation](r, 1+minValidation)
}

// A SystemPrincipal is a principal of the store. Its password does not travel.
type SystemPrincipal struct {
	Name     string
	Roles    []string
	LockedBy *string // the principal that alone may change it; nil: any
}

// minSystemPrincipal is the fewest bytes that a SystemPrincipal takes.
const minSystemPrincipal = 3

func (m *SystemPrincipal) append(b []byte) []byte {
	b = wire.AppendStrings(wire.AppendString(b, m.Name), m.Roles)
	return wire.AppendOptional(b, m.LockedBy, wire.AppendString)
}

func (m *SystemPrincipal) read(r *wire.Reader) {
	m.Name, m.Roles, m.LockedBy = r.String(), r.Strings(), wire.ReadOptional(r, (*wire.Reader).String)
}

// ValidationKind says how the value of a trusted property is checked.
type ValidationKind byte

// The kinds of validation.
const (
	MatchesRegex ValidationKind = 0
	OneOfValues  ValidationKind = 1
)

// A Validation says which values of a proposed session property are accepted.
type Validation struct {
	Kind   ValidationKind
	Regex  string   // MatchesRegex
	Values []string // OneOfValues
}

// minValidation is the fewest bytes that a Validation takes.
const minValidation = 2

func (m *Validation) append(b []byte) []byte {
	b = append(b, byte(m.Kind))
	if m.Kind == OneOfValues {
		return wire.AppendStrings(b, m.Values)
	}
	return wire.AppendString(b, m.Regex)
}

func (m *Validation) read(r *wire.Reader) {
	if m.Kind = readEnum(r, OneOfValues, "kind of validation"); m.Kind == OneOfValues {
		m.Values = r.Strings()
	} else {
		m.Regex = r.String()
	}
}

// SecurityConfiguration is the store of roles.
type SecurityConfiguration struct {
	AnonymousRoles []string // that sessions without a principal get
	NamedRoles     []string // that sessions with a principal get
	Roles          []Role
	IsolatedPaths  []string // that inherit no permissions
}

func (m *SecurityConfiguration) append(b []byte) []byte {
	b = wire.AppendStrings(wire.AppendStrings(b, m.AnonymousRoles), m.NamedRoles)
	return wire.AppendStrings(appendList(b, m.Roles), m.IsolatedPaths)
}

func (m *SecurityConfiguration) read(r *wire.Reader) {
	m.AnonymousRoles, m.NamedRoles = r.Strings(), r.Strings()
	m.Roles, m.IsolatedPaths = readList[Role](r, minRole), r.Strings()
}

// A Role is a set of permissions.
type Role struct {
	Name     string
	Global   Permissions
	Default  Permissions            // for paths without an assignment
	Paths    map[string]Permissions // an empty assignment is not the same as none
	Includes []string               // names of roles
	LockedBy *string                // the principal that alone may change it; nil: any
}

// minRole is the fewest bytes that a Role takes.
const minRole = 6

func (m *Role) append(b []byte) []byte {
	b = m.Default.append(m.Global.append(wire.AppendString(b, m.Name)))
	b = wire.AppendStrings(appendMap(b, m.Paths), m.Includes)
	return wire.AppendOptional(b, m.LockedBy, wire.AppendString)
}

func (m *Role) read(r *wire.Reader) {
	m.Name = r.String()
	m.Global.read(r)
	m.Default.read(r)
	m.Paths, m.Includes = readMap[Permissions](r, 2), r.Strings()
	m.LockedBy = wire.ReadOptional(r, (*wire.Reader).String)
}
