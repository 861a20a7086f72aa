package service

import "advect.dev/internal/wire"

// Control of other sessions, of one or of those that a filter selects (31).
var (
	SubscribeClient                = declare[ClientSelection, Empty](10, "SUBSCRIBE_CLIENT")
	UnsubscribeClient              = declare[ClientSelection, Empty](11, "UNSUBSCRIBE_CLIENT")
	SetClientConflation            = declare[ConflationRequest, Empty](15, "SET_CLIENT_CONFLATION")
	FilterSubscribe                = declare[FilterSelection, FlaggedCount](65, "FILTER_SUBSCRIBE")
	FilterUnsubscribe              = declare[FilterSelection, FlaggedCount](66, "FILTER_UNSUBSCRIBE")
	ChangeAuthorisationRoles       = declare[RolesRequest, Empty](123, "CHANGE_AUTHORISATION_ROLES")
	ChangeAuthorisationRolesFilter = declare[FilterRolesRequest, CountOrErrors](124, "CHANGE_AUTHORISATION_ROLES_FILTER")
	CloseClientFilter              = declare[Text, CountOrErrors](162, "CLOSE_CLIENT_FILTER")
	SetClientConflationFilter      = declare[FilterConflationRequest, CountOrErrors](163, "SET_CLIENT_CONFLATION_FILTER")
	GetSelectors                   = declare[SessionRequest, ScopedSelectors](198, "GET_SELECTORS")
	UnsubscribeAllByFilter         = declare[AllScopesFilterRequest, FlaggedCount](200, "UNSUBSCRIBE_ALL_BY_FILTER")
	UnsubscribeAllControl          = declare[AllScopesRequest, Empty](201, "UNSUBSCRIBE_ALL_CONTROL")
)

// A ClientSelection changes what a session selects.
type ClientSelection struct {
	Session wire.SessionID
	Selection
}

func (m *ClientSelection) append(b []byte) []byte {
	return m.Selection.append(wire.AppendSessionID(b, m.Session))
}

func (m *ClientSelection) read(r *wire.Reader) {
	m.Session = r.SessionID()
	m.Selection.read(r)
}

// A FilterSelection changes what the sessions of a filter select.
type FilterSelection struct {
	Filter string
	Selection
}

func (m *FilterSelection) append(b []byte) []byte {
	return m.Selection.append(wire.AppendString(b, m.Filter))
}

func (m *FilterSelection) read(r *wire.Reader) {
	m.Filter = r.String()
	m.Selection.read(r)
}

// An AllScopesRequest removes a selector from all scopes of a session.
type AllScopesRequest struct {
	Selector string
	Session  wire.SessionID
}

func (m *AllScopesRequest) append(b []byte) []byte {
	return wire.AppendSessionID(wire.AppendString(b, m.Selector), m.Session)
}

func (m *AllScopesRequest) read(r *wire.Reader) { m.Selector, m.Session = r.String(), r.SessionID() }

// An AllScopesFilterRequest removes a selector from all scopes of the sessions
// of a filter.
type AllScopesFilterRequest struct {
	Selector string
	Filter   string
}

func (m *AllScopesFilterRequest) append(b []byte) []byte {
	return wire.AppendString(wire.AppendString(b, m.Selector), m.Filter)
}

func (m *AllScopesFilterRequest) read(r *wire.Reader) { m.Selector, m.Filter = r.String(), r.String() }

// A ConflationRequest switches conflation of a session's queue on or off.
type ConflationRequest struct {
	Session  wire.SessionID
	Conflate bool
}

func (m *ConflationRequest) append(b []byte) []byte {
	return wire.AppendBool(wire.AppendSessionID(b, m.Session), m.Conflate)
}

func (m *ConflationRequest) read(r *wire.Reader) { m.Session, m.Conflate = r.SessionID(), r.Bool() }

// A FilterConflationRequest is a ConflationRequest for the sessions of a filter.
type FilterConflationRequest struct {
	Filter   string
	Conflate bool
}

func (m *FilterConflationRequest) append(b []byte) []byte {
	return wire.AppendBool(wire.AppendString(b, m.Filter), m.Conflate)
}

func (m *FilterConflationRequest) read(r *wire.Reader) { m.Filter, m.Conflate = r.String(), r.Bool() }

// RoleChanges are roles to take from a session, and then to give to it.
type RoleChanges struct{ Remove, Add []string }

func (m *RoleChanges) append(b []byte) []byte {
	return wire.AppendStrings(wire.AppendStrings(b, m.Remove), m.Add)
}

func (m *RoleChanges) read(r *wire.Reader) { m.Remove, m.Add = r.Strings(), r.Strings() }

// A RolesRequest changes the roles of a session.
type RolesRequest struct {
	Session wire.SessionID
	RoleChanges
}

func (m *RolesRequest) append(b []byte) []byte {
	return m.RoleChanges.append(wire.AppendSessionID(b, m.Session))
}

func (m *RolesRequest) read(r *wire.Reader) {
	m.Session = r.SessionID()
	m.RoleChanges.read(r)
}

// A FilterRolesRequest changes the roles of the sessions of a filter.
type FilterRolesRequest struct {
	Filter string
	RoleChanges
}

func (m *FilterRolesRequest) append(b []byte) []byte {
	return m.RoleChanges.append(wire.AppendString(b, m.Filter))
}

func (m *FilterRolesRequest) read(r *wire.Reader) {
	m.Filter = r.String()
	m.RoleChanges.read(r)
}

// SelectionKind says whether a selector was selected or deselected.
type SelectionKind byte

// The kinds of selection.
const (
	Selected   SelectionKind = 0
	Deselected SelectionKind = 1
)

// String returns the platform's name of the kind.
func (k SelectionKind) String() string { return enumName(k, "SELECT", "DESELECT") }

// A SelectorChange is one of the selections that a session made in a scope.
type SelectorChange struct {
	Selector string
	Kind     SelectionKind
}

// minSelectorChange is the fewest bytes that a SelectorChange takes.
const minSelectorChange = 2

func (m *SelectorChange) append(b []byte) []byte {
	return append(wire.AppendString(b, m.Selector), byte(m.Kind))
}

func (m *SelectorChange) read(r *wire.Reader) {
	m.Selector = r.String()
	m.Kind = readEnum(r, Deselected, "kind of selection")
}

// SelectorChanges are selections in the order in which they were made.
type SelectorChanges []SelectorChange

func (m *SelectorChanges) append(b []byte) []byte { return appendList(b, *m) }
func (m *SelectorChanges) read(r *wire.Reader) {
	*m = readList[SelectorChange](r, minSelectorChange)
}

// ScopedSelectors has the effective selections of a session by scope; scopes
// without any are absent.
type ScopedSelectors map[string]SelectorChanges

func (m *ScopedSelectors) append(b []byte) []byte { return appendMap(b, *m) }
func (m *ScopedSelectors) read(r *wire.Reader)    { *m = readMap[SelectorChanges](r, 2) }
