package service

import "advect.dev/internal/wire"

// Explain says why a session or a principal has a permission, or why not. It is a
// service of this server alone: others do not know its number.
var Explain = declare[ExplainRequest, Explanation](10001, "EXPLAIN_PERMISSION")

// An ExplainRequest asks about a permission, by its name, on a path; global
// permissions need no path.
type ExplainRequest struct {
	Session    *wire.SessionID // nil: Principal is asked about
	Principal  string          // "": sessions without a principal
	Permission string
	Path       string
}

func (m *ExplainRequest) append(b []byte) []byte {
	b = wire.AppendOptional(b, m.Session, wire.AppendSessionID)
	return wire.AppendString(wire.AppendString(wire.AppendString(b, m.Principal), m.Permission), m.Path)
}

func (m *ExplainRequest) read(r *wire.Reader) {
	m.Session = wire.ReadOptional(r, (*wire.Reader).SessionID)
	m.Principal, m.Permission, m.Path = r.String(), r.String(), r.String()
}

// An Explanation says which role at which path grants or denies a permission.
type Explanation struct {
	Granted bool
	Roles   []string   // that the session or principal has
	Path    string     // that was asked about
	At      string     // the path of the assignments that decided, if any did
	Via     [][]string // ways from a role of the session, by inclusion, to the roles that decided
	Text    string     // all of it in one line
}

func (m *Explanation) append(b []byte) []byte {
	b = wire.AppendStrings(wire.AppendBool(b, m.Granted), m.Roles)
	b = wire.AppendInt32(wire.AppendString(wire.AppendString(b, m.Path), m.At), int32(len(m.Via)))
	for _, way := range m.Via {
		b = wire.AppendStrings(b, way)
	}
	return wire.AppendString(b, m.Text)
}

func (m *Explanation) read(r *wire.Reader) {
	m.Granted, m.Roles, m.Path, m.At = r.Bool(), r.Strings(), r.String(), r.String()
	for range r.Count(1) {
		m.Via = append(m.Via, r.Strings())
	}
	m.Text = r.String()
}
