package service

import "advect.dev/internal/wire"

// An ErrorReport says what is wrong with a filter or a script, and where.
type ErrorReport struct {
	Message      string
	Line, Column int32 // from 1
}

// minErrorReport is the fewest bytes that an ErrorReport takes.
const minErrorReport = 3

func (m *ErrorReport) append(b []byte) []byte {
	return wire.AppendInt32(wire.AppendInt32(wire.AppendString(b, m.Message), m.Line), m.Column)
}

func (m *ErrorReport) read(r *wire.Reader) {
	m.Message, m.Line, m.Column = r.String(), r.Int32(), r.Int32()
}

// Errors lists what is wrong; an empty list answers a request that succeeded.
type Errors []ErrorReport

func (m *Errors) append(b []byte) []byte { return appendList(b, *m) }
func (m *Errors) read(r *wire.Reader)    { *m = readList[ErrorReport](r, minErrorReport) }

// CountOrErrors is the number of sessions that a filter selected, or what is
// wrong with the filter; then Count is 0.
type CountOrErrors struct {
	Count  int32
	Errors Errors // nil if the filter is right
}

func (m *CountOrErrors) append(b []byte) []byte {
	return m.Errors.append(wire.AppendInt32(b, m.Count))
}

func (m *CountOrErrors) read(r *wire.Reader) {
	m.Count = r.Int32()
	m.Errors.read(r)
}

// FlaggedCount is a CountOrErrors in the form that older services use.
type FlaggedCount CountOrErrors

func (m *FlaggedCount) append(b []byte) []byte {
	if len(m.Errors) > 0 {
		return m.Errors.append(append(b, 1))
	}
	return wire.AppendInt32(append(b, 0), m.Count)
}

func (m *FlaggedCount) read(r *wire.Reader) {
	if r.Bool() {
		readReports(r, &m.Errors)
		return
	}
	m.Count = r.Int32()
}

// readReports reads the reports that stand where a result would: without one,
// the failure could not be told from a result.
func readReports(r *wire.Reader, errors *Errors) {
	if errors.read(r); len(*errors) == 0 {
		r.Fail("a failure without a report of what is wrong")
	}
}
