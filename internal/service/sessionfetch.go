package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// SessionFetch lists sessions (31 section 5).
var SessionFetch = declare[SessionQuery, SessionQueryResult](168, "SESSION_FETCH")

// A SessionQuery says which sessions to list, in the order of their start, and
// what of them.
type SessionQuery struct {
	Filter        string
	Keys          []string // of properties
	From, To      *int64   // start time in milliseconds since 1970, inclusive; nil: no limit
	Limit         *int32   // n >= 0: the first n; n < 0: the last -n; nil: all
	MaxResultSize int32    // bytes
	StartTime     bool
}

func (m *SessionQuery) append(b []byte) []byte {
	b = appendOptionalStrings(wire.AppendString(b, m.Filter), m.Keys)
	b = wire.AppendOptional(b, m.From, wire.AppendInt64)
	b = wire.AppendOptional(b, m.To, wire.AppendInt64)
	b = wire.AppendOptional(b, m.Limit, wire.AppendInt32)
	return wire.AppendBool(wire.AppendInt32(b, m.MaxResultSize), m.StartTime)
}

func (m *SessionQuery) read(r *wire.Reader) {
	m.Filter, m.Keys = r.String(), readOptionalStrings(r)
	m.From = wire.ReadOptional(r, (*wire.Reader).Int64)
	m.To = wire.ReadOptional(r, (*wire.Reader).Int64)
	m.Limit = wire.ReadOptional(r, (*wire.Reader).Int32)
	m.MaxResultSize, m.StartTime = r.Int32(), r.Bool()
}

// A FetchedSession is one session of a result.
type FetchedSession struct {
	StartTime  *int64 // milliseconds since 1970; nil when not asked for
	Properties map[string]string
}

// MinFetchedSession is the fewest bytes that a FetchedSession takes.
const MinFetchedSession = 2

// Append appends one result as it stands in the response, so that a server can
// measure what it has so far.
func (m *FetchedSession) Append(b []byte) []byte {
	return topic.AppendProperties(wire.AppendOptional(b, m.StartTime, wire.AppendInt64), m.Properties)
}

func (m *FetchedSession) append(b []byte) []byte { return m.Append(b) }

func (m *FetchedSession) read(r *wire.Reader) {
	m.StartTime, m.Properties = wire.ReadOptional(r, (*wire.Reader).Int64), topic.ReadProperties(r)
}

// A SessionQueryResult lists sessions, or says what is wrong with the filter.
type SessionQueryResult struct {
	Sessions []FetchedSession
	Total    int32  // number of sessions before the limits
	Errors   Errors // nil if the filter is right
}

func (m *SessionQueryResult) append(b []byte) []byte {
	if len(m.Errors) > 0 {
		return m.Errors.append(append(b, 1))
	}
	return wire.AppendInt32(appendList(append(b, 0), m.Sessions), m.Total)
}

func (m *SessionQueryResult) read(r *wire.Reader) {
	if r.Bool() {
		readReports(r, &m.Errors)
		return
	}
	m.Sessions, m.Total = readList[FetchedSession](r, MinFetchedSession), r.Int32()
}
