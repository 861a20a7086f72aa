package selector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"advect.dev/internal/selector/javaregexp"
)

const (
	// MaxLength is the length in octets of the longest expression accepted.
	MaxLength = 64 << 10
	// MaxMembers is the largest number of selectors in a set.
	MaxMembers = 10_000
	// maxCost bounds the compiled patterns of one selector, in instructions.
	maxCost = 50_000
)

// ErrInvalid is matched by every error that says an expression is not a
// selector, or is one that is refused.
var ErrInvalid = errors.New("invalid topic selector")

// ErrTooComplex is matched by the result of [Selector.Err].
var ErrTooComplex = javaregexp.ErrTooComplex

// An Error says what is wrong with an expression, and where. It matches [ErrInvalid].
type Error struct {
	Expr   string
	Offset int // in octets, into Expr
	Reason string
}

func (e *Error) Error() string {
	expr := e.Expr
	if len(expr) > 200 {
		expr = expr[:200] + "..."
	}
	return fmt.Sprintf("%v %q: %s at offset %d", ErrInvalid, expr, e.Reason, e.Offset)
}

// Unwrap returns [ErrInvalid].
func (e *Error) Unwrap() error { return ErrInvalid }

// A Kind is the type of a selector: the first character of its expression.
type Kind byte

// The kinds of selectors.
const (
	Path  Kind = '>' // the one topic with a path
	Split Kind = '?' // a pattern per segment
	Full  Kind = '*' // a pattern for the whole path
	Set   Kind = '#' // a union of selectors
)

// A Selector is a parsed selector. It is immutable and safe for concurrent use.
type Selector struct {
	expr    string
	kind    Kind
	prefix  string
	members []*member // a set's, or the selector itself; in order of their literal segments
}

// Parse parses an expression. Unlike clients, it also compiles its regular
// expressions, and refuses those that it could not evaluate exactly (protocol
// 13 section 5). Errors are of type [*Error].
func Parse(expr string) (*Selector, error) {
	s, err := parse(expr)
	if err != nil {
		return nil, err
	}
	cost := 0
	for _, m := range s.members {
		if err := m.compile(); err != nil {
			err.Expr = expr
			return nil, err
		}
		if cost += m.cost(); cost > maxCost {
			return nil, &Error{expr, m.offset, "patterns too large together"}
		}
	}
	slices.SortStableFunc(s.members, func(a, b *member) int { return slices.Compare(a.literals, b.literals) })
	return s, nil
}

// parse does what clients do too: everything but the regular expressions.
func parse(expr string) (*Selector, error) {
	switch {
	case len(expr) > MaxLength:
		return nil, &Error{expr, MaxLength, fmt.Sprintf("longer than %d octets", MaxLength)}
	case !utf8.ValidString(expr):
		return nil, &Error{expr, invalidOffset(expr), "not valid UTF-8"}
	}
	s := &Selector{kind: Set}
	if strings.HasPrefix(expr, "#") {
		if err := s.addPieces(expr); err != nil {
			err.Expr = expr
			return nil, err
		}
		s.expr = joinMembers(s.members)
	} else {
		m, err := newMember(expr, 0)
		if err != nil {
			err.Expr = expr
			return nil, err
		}
		s.members = []*member{m}
		s.kind, s.expr = m.kind, m.expr
	}
	s.prefix = commonPrefix(s.members)
	return s, nil
}

const separator = "////"

// addPieces adds the members of a set. The separator is searched for from the
// right, so that a selector that ends in a qualifier keeps it.
func (s *Selector) addPieces(set string) *Error {
	if set == "#" {
		return nil
	}
	for end := len(set); end > 0; {
		start := 1
		at := strings.LastIndex(set[1:end], separator)
		if at >= 0 {
			start = 1 + at + len(separator)
		}
		// No piece contains a separator, so a set in a set has one member at most.
		piece := strings.TrimLeft(set[start:end], "#")
		if nested := len(piece) < end-start; piece != "" || !nested {
			m, err := newMember(piece, end-len(piece))
			if err != nil {
				return err
			}
			if s.members = append(s.members, m); len(s.members) > MaxMembers {
				return &Error{Offset: start, Reason: fmt.Sprintf("more than %d selectors", MaxMembers)}
			}
		}
		if at < 0 {
			break
		}
		end = 1 + at
	}
	slices.Reverse(s.members)
	return nil
}

func joinMembers(members []*member) string {
	var b strings.Builder
	b.WriteByte(byte(Set))
	for i, m := range members {
		if i > 0 {
			b.WriteString(separator)
		}
		b.WriteString(m.expr)
	}
	return b.String()
}

func invalidOffset(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return 0
}

// String returns the expression in the form in which it travels: abbreviated
// paths have their >, nested sets are flattened, everything else is as written.
func (s *Selector) String() string { return s.expr }

// Kind returns the type of s.
func (s *Selector) Kind() Kind { return s.kind }

// Prefix returns the path prefix of s, empty if there is none (protocol 13
// section 4). Every selected path starts with it as text.
func (s *Selector) Prefix() string { return s.prefix }

// Match reports whether s selects the topic with a canonical path.
func (s *Selector) Match(path string) bool {
	for _, m := range s.members {
		if m.match(path) {
			return true
		}
	}
	return false
}

// One returns the path of the only topic that s can select, if it is plain that
// there is but one.
func (s *Selector) One() (path string, ok bool) {
	if len(s.members) != 1 || !s.members[0].literal || s.members[0].qualifier != match {
		return "", false
	}
	return s.members[0].prefix, true
}

// MatchesNothing reports whether it is plain that s selects no topic: it is
// the empty set, or names only paths that no topic can have, such as >a//.
func (s *Selector) MatchesNothing() bool {
	for _, m := range s.members {
		if !m.literal || !slices.Contains(m.literals, "") {
			return false
		}
	}
	return true
}

// MatchesEverything reports whether s is one of the forms that mean every
// topic, such as ?.*// and *.* (protocol 21 section 3). Strictly, a dot does
// not match a line break; paths that contain one are counted as meant.
func (s *Selector) MatchesEverything() bool {
	return slices.ContainsFunc(s.members, func(m *member) bool { return m.everything })
}

// Err returns nil, or an error that matches [ErrTooComplex] if the evaluation
// of a pattern of s was ever given up because it took too long. Such an
// evaluation counts as no match, so what s selects is then not to be relied
// on. Patterns made of the constructs of linear engines and of look-ahead at
// their start never fail.
func (s *Selector) Err() error {
	for _, m := range s.members {
		if m.givenUp() {
			return fmt.Errorf("evaluate topic selector %q: %w", m.expr, ErrTooComplex)
		}
	}
	return nil
}
