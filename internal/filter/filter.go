package filter

import (
	"errors"
	"fmt"
	"slices"
)

const (
	// MaxLength is the length in octets of the longest filter accepted.
	MaxLength = 64 << 10
	// MaxDepth is how deeply parentheses and not may be nested.
	MaxDepth = 100
)

// Roles is the key of the property whose value is a set: the session's roles,
// quoted and separated by commas (31 section 8).
const Roles = "$Roles"

// ErrInvalid is matched by every error of [Parse].
var ErrInvalid = errors.New("invalid session filter")

// An Error says what is wrong with a filter, and where. It matches [ErrInvalid].
type Error struct {
	Offset int // in octets
	Line   int // from 1
	Column int // from 1, in characters
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("%v: line %d, column %d: %s", ErrInvalid, e.Line, e.Column, e.Reason)
}

// Unwrap returns [ErrInvalid].
func (e *Error) Unwrap() error { return ErrInvalid }

// Properties are the properties of one session, fixed and user-defined.
type Properties interface {
	// Property returns the value of a property and whether the session has it.
	Property(key string) (value string, ok bool)
}

// Map is the [Properties] of a session as a map.
type Map map[string]string

// Property implements [Properties].
func (m Map) Property(key string) (string, bool) {
	value, ok := m[key]
	return value, ok
}

// A Filter is a parsed session filter.
type Filter struct {
	expr Expr
	text string
}

// Parse parses a filter. Errors are of type [*Error].
func Parse(text string) (*Filter, error) {
	expr, err := parse(text)
	if err != nil {
		return nil, err
	}
	f := &Filter{expr: expr, text: string(expr.append(nil, lowest))}
	if len(f.text) > MaxLength {
		return nil, &Error{Line: 1, Column: 1, Reason: fmt.Sprintf("longer than %d octets in normal form", MaxLength)}
	}
	return f, nil
}

// Match reports whether f selects the session with these properties.
func (f *Filter) Match(p Properties) bool { return f.expr.match(p) }

// String returns f in its normalised form, which parses to an equal filter.
func (f *Filter) String() string { return f.text }

// Expr returns the normalised tree of f, which must not be changed.
func (f *Filter) Expr() Expr { return f.expr }

// A Term is the statement that a property has a value.
type Term struct{ Key, Value string }

// Candidates returns terms of which at least one is true of every session that f
// selects, in no particular order and never empty. It returns false if f has no
// such terms, as all and not A is 'x' have not: any session may then match. Terms
// never speak of [Roles], whose values compare as sets.
func (f *Filter) Candidates() ([]Term, bool) {
	terms := candidates(f.expr)
	return terms, terms != nil
}

// candidates returns nil if there are none.
func candidates(e Expr) []Term {
	switch e := e.(type) {
	case *Is:
		terms := make([]Term, len(e.Values))
		for i, value := range e.Values {
			terms[i] = Term{e.Key, value}
		}
		return terms
	case And: // any operand's will do: the fewest
		var best []Term
		for _, sub := range e {
			if terms := candidates(sub); terms != nil && (best == nil || len(terms) < len(best)) {
				best = terms
			}
		}
		return best
	case Or: // those of all operands together
		var all []Term
		for _, sub := range e {
			terms := candidates(sub)
			if terms == nil {
				return nil
			}
			all = append(all, terms...)
		}
		slices.SortFunc(all, compareTerms)
		return slices.Compact(all)
	}
	return nil
}
