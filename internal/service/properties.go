package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Properties of other sessions (31 section 2).
var (
	GetSessionProperties       = declare[PropertiesQuery, OptionalProperties](67, "GET_SESSION_PROPERTIES")
	SetSessionProperties       = declare[PropertiesRequest, PreviousProperties](105, "SET_SESSION_PROPERTIES")
	SetSessionPropertiesFilter = declare[FilterPropertiesRequest, CountOrErrors](106, "SET_SESSION_PROPERTIES_FILTER")
)

// The keys that stand for others where keys of session properties are asked for.
const (
	AllFixedProperties = "*F"
	AllUserProperties  = "*U"
)

// A PropertiesQuery asks for properties of a session; for one that is not open
// the answer is absent.
type PropertiesQuery struct {
	Session wire.SessionID
	Keys    []string
}

func (m *PropertiesQuery) append(b []byte) []byte {
	return wire.AppendStrings(wire.AppendSessionID(b, m.Session), m.Keys)
}

func (m *PropertiesQuery) read(r *wire.Reader) { m.Session, m.Keys = r.SessionID(), r.Strings() }

// PropertyChanges are properties to set and keys to remove.
type PropertyChanges struct {
	Set    map[string]string
	Remove []string
}

func (m *PropertyChanges) append(b []byte) []byte {
	return appendOptionalStrings(appendOptionalProperties(b, m.Set), m.Remove)
}

func (m *PropertyChanges) read(r *wire.Reader) {
	m.Set, m.Remove = readOptionalProperties(r), readOptionalStrings(r)
}

// A PropertiesRequest changes properties of a session.
type PropertiesRequest struct {
	Session wire.SessionID
	PropertyChanges
}

func (m *PropertiesRequest) append(b []byte) []byte {
	return m.PropertyChanges.append(wire.AppendSessionID(b, m.Session))
}

func (m *PropertiesRequest) read(r *wire.Reader) {
	m.Session = r.SessionID()
	m.PropertyChanges.read(r)
}

// A FilterPropertiesRequest changes properties of the sessions of a filter.
type FilterPropertiesRequest struct {
	Filter string
	PropertyChanges
}

func (m *FilterPropertiesRequest) append(b []byte) []byte {
	return m.PropertyChanges.append(wire.AppendString(b, m.Filter))
}

func (m *FilterPropertiesRequest) read(r *wire.Reader) {
	m.Filter = r.String()
	m.PropertyChanges.read(r)
}

// PreviousProperties say what a PropertiesRequest changed.
type PreviousProperties struct {
	Values map[string]string // before, of the properties that changed or were removed
	Added  []string          // keys that the session did not have before
}

func (m *PreviousProperties) append(b []byte) []byte {
	return appendOptionalStrings(appendOptionalProperties(b, m.Values), m.Added)
}

func (m *PreviousProperties) read(r *wire.Reader) {
	m.Values, m.Added = readOptionalProperties(r), readOptionalStrings(r)
}

// appendOptionalProperties appends a map that is absent when it is empty.
func appendOptionalProperties(b []byte, m map[string]string) []byte {
	if len(m) == 0 {
		return append(b, 0)
	}
	return topic.AppendProperties(append(b, 1), m)
}

func readOptionalProperties(r *wire.Reader) map[string]string {
	if r.Byte() == 0 {
		return nil
	}
	return topic.ReadProperties(r)
}
