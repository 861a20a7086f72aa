package filter

import (
	"cmp"
	"regexp"
	"slices"
	"strings"
)

// An Expr is a node of a parsed filter: [All], [*Is], [*HasRoles], [*RolesAre],
// [*Has], [*Matches], [Not], [And] or [Or].
type Expr interface {
	match(Properties) bool
	// append appends the normalised text, in parentheses if the context binds tighter.
	append(b []byte, context precedence) []byte
}

type precedence int

const (
	lowest precedence = iota // an operand of or
	tighter
	tightest // an operand of not
)

type (
	// All is true of every session.
	All struct{}

	// Is is true of a session whose property Key has one of Values: is, eq, in
	// and, inside a [Not], ne. Values are sorted and distinct. Key is never [Roles].
	Is struct {
		Key    string
		Values []string
	}

	// HasRoles is true of a session with all of Roles, which are sorted and distinct.
	HasRoles struct{ Roles []string }

	// RolesAre is true of a session with exactly the roles of one of Sets:
	// $Roles is '"a","b"'. Sets and each of them are sorted and distinct.
	RolesAre struct{ Sets [][]string }

	// Has is true of a session that has the property Key.
	Has struct{ Key string }

	// Matches is true of a session whose property Key as a whole matches the
	// regular expression Pattern.
	Matches struct {
		Key     string
		Pattern string
		regexp  *regexp.Regexp
	}

	// Not is true of a session of which Operand is not.
	Not struct{ Operand Expr }

	// And has two or more operands, none of them an And.
	And []Expr

	// Or has two or more operands, none of them an Or.
	Or []Expr
)

func (All) match(Properties) bool { return true }

func (e *Is) match(p Properties) bool {
	value, ok := p.Property(e.Key)
	if !ok {
		return false
	}
	_, ok = slices.BinarySearch(e.Values, value)
	return ok
}

func (e *HasRoles) match(p Properties) bool {
	value, ok := p.Property(Roles)
	if !ok {
		return false
	}
	all, _ := compareRoles(value, e.Roles)
	return all
}

func (e *RolesAre) match(p Properties) bool {
	value, ok := p.Property(Roles)
	if !ok {
		return false
	}
	for _, set := range e.Sets {
		if all, others := compareRoles(value, set); all && !others {
			return true
		}
	}
	return false
}

func (e *Has) match(p Properties) bool {
	_, ok := p.Property(e.Key)
	return ok
}

func (e *Matches) match(p Properties) bool {
	value, ok := p.Property(e.Key)
	return ok && e.regexp.MatchString(value)
}

func (e Not) match(p Properties) bool { return !e.Operand.match(p) }

func (e And) match(p Properties) bool {
	for _, sub := range e {
		if !sub.match(p) {
			return false
		}
	}
	return true
}

func (e Or) match(p Properties) bool {
	for _, sub := range e {
		if sub.match(p) {
			return true
		}
	}
	return false
}

func (All) append(b []byte, _ precedence) []byte { return append(b, "all"...) }

func (e *Is) append(b []byte, _ precedence) []byte {
	return appendComparison(b, e.Key, " is ", e.Values)
}

func (e *HasRoles) append(b []byte, _ precedence) []byte {
	return appendList(append(b, "hasRoles "...), e.Roles)
}

func (e *RolesAre) append(b []byte, _ precedence) []byte {
	return appendComparison(b, Roles, " is ", e.texts())
}

// texts returns the sets as values of [Roles].
func (e *RolesAre) texts() []string {
	texts := make([]string, len(e.Sets))
	for i, set := range e.Sets {
		var b []byte
		for j, role := range set {
			if j > 0 {
				b = append(b, ',')
			}
			b = append(escapeTo(append(b, '"'), role), '"')
		}
		texts[i] = string(b)
	}
	return texts
}

func (e *Has) append(b []byte, _ precedence) []byte { return append(append(b, "has "...), e.Key...) }

func (e *Matches) append(b []byte, _ precedence) []byte {
	b = append(b, e.Key...)
	return appendString(append(b, " matches "...), e.Pattern)
}

func (e Not) append(b []byte, _ precedence) []byte {
	switch sub := e.Operand.(type) {
	case *Is:
		if len(sub.Values) == 1 {
			return appendComparison(b, sub.Key, " ne ", sub.Values)
		}
	case *RolesAre:
		if len(sub.Sets) == 1 {
			return appendComparison(b, Roles, " ne ", sub.texts())
		}
	}
	return e.Operand.append(append(b, "not "...), tightest)
}

func (e And) append(b []byte, context precedence) []byte {
	return appendOperands(b, " and ", e, tighter, context > tighter)
}

func (e Or) append(b []byte, context precedence) []byte {
	return appendOperands(b, " or ", e, tighter, context > lowest)
}

func appendOperands(b []byte, operator string, operands []Expr, p precedence, parentheses bool) []byte {
	if parentheses {
		b = append(b, '(')
	}
	for i, sub := range operands {
		if i > 0 {
			b = append(b, operator...)
		}
		b = sub.append(b, p)
	}
	if parentheses {
		b = append(b, ')')
	}
	return b
}

// appendComparison appends key operator value, or key in [values].
func appendComparison(b []byte, key, operator string, values []string) []byte {
	b = append(b, key...)
	if len(values) == 1 {
		return appendString(append(b, operator...), values[0])
	}
	return appendList(append(b, " in "...), values)
}

func appendList(b []byte, values []string) []byte {
	b = append(b, '[')
	for i, value := range values {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendString(b, value)
	}
	return append(b, ']')
}

func appendString(b []byte, s string) []byte {
	return append(escapeTo(append(b, '\''), s), '\'')
}

// Escape returns s as it stands between the quotes of a filter: with a
// backslash before each quote and backslash.
func Escape(s string) string {
	if !strings.ContainsAny(s, `"'\`) {
		return s
	}
	return string(escapeTo(nil, s))
}

func escapeTo(b []byte, s string) []byte {
	for i := range len(s) {
		switch s[i] {
		case '"', '\'', '\\':
			b = append(b, '\\')
		}
		b = append(b, s[i])
	}
	return b
}

func compareTerms(a, b Term) int {
	return cmp.Or(cmp.Compare(a.Key, b.Key), cmp.Compare(a.Value, b.Value))
}
