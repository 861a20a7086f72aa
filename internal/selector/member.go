package selector

import (
	"slices"
	"strings"

	"advect.dev/internal/selector/javaregexp"
	"advect.dev/internal/topic"
)

// A qualifier says how a pattern's matches relate to the selected paths.
type qualifier uint8

const (
	match               qualifier = iota // the matching paths
	descendantsOfMatch                   // those strictly below them
	matchAndDescendants                  // both
)

// tails match what may follow a full-path pattern's own text.
var tails = [...]string{descendantsOfMatch: "/.+", matchAndDescendants: "(?:/.+)?"}

// A member is a selector that is not a set.
type member struct {
	expr      string // with its first character
	offset    int    // of expr in the expression it was parsed from
	kind      Kind
	qualifier qualifier
	base      string // canonical path, or pattern without its qualifier
	baseAt    int    // offset of base in the expression it was parsed from
	prefix    string

	// literals are segments that every selected path starts with; once past
	// them, a path is still to be tried. Set by compile, like all below.
	literals []string
	// literal says that literals and the qualifier are all there is.
	literal bool
	parts   []part // of a split-path pattern
	full    *javaregexp.Regexp
	// partial is what the segment after literals must start with: the end of
	// the prefix of a full-path pattern that is no more than text.
	partial string
	// everything says that m is a plain way to select all topics.
	everything bool
}

// A part matches one segment: literally, if re is nil.
type part struct {
	text string
	re   *javaregexp.Regexp
}

func (p *part) match(segment string) bool {
	if p.re == nil {
		return segment == p.text
	}
	return p.re.Match(segment)
}

// newMember parses expr, found at offset. Errors lack their Expr.
func newMember(expr string, offset int) (*member, *Error) {
	if expr == "" {
		return nil, &Error{Offset: offset, Reason: "empty selector"}
	}
	m := &member{expr: expr, offset: offset, kind: Kind(expr[0]), baseAt: offset + 1}
	text := expr[1:]
	switch expr[0] {
	case '>':
	case '?', '*':
		m.qualifier, text = cutQualifier(text)
	case '#':
		return nil, &Error{Offset: offset, Reason: "a set where a single selector is needed"}
	case '$', '%', '&', '<':
		return nil, &Error{Offset: offset, Reason: "reserved first character " + expr[:1] + "; write > before a path that starts with it"}
	default:
		m.kind, m.expr, m.baseAt, text = Path, ">"+expr, offset, expr
	}
	m.base = topic.Canonical(text)
	if strings.HasPrefix(text, "/") {
		m.baseAt++
	}
	if m.kind == Path {
		m.prefix, m.literal = m.base, true
	} else {
		m.prefix = patternPrefix(m.base)
		m.literal = m.prefix == m.base
	}
	if err := m.checkSegments(); err != nil {
		return nil, err
	}
	return m, nil
}

func (m *member) checkSegments() *Error {
	if m.base == "" {
		return &Error{Offset: m.baseAt, Reason: "empty path"}
	}
	empty := strings.Index(m.base, "//")
	switch {
	case m.kind == Path && empty >= 0:
	case m.kind == Split && !m.literal && empty >= 0:
	case m.kind == Split && !m.literal && m.base[0] == '/':
		empty = 0
	case m.kind == Split && !m.literal && strings.HasSuffix(m.base, "/"):
		empty = len(m.base) - 1
	default:
		return nil
	}
	return &Error{Offset: m.baseAt + empty, Reason: "empty segment"}
}

func cutQualifier(text string) (qualifier, string) {
	if rest, ok := strings.CutSuffix(text, "//"); ok {
		return matchAndDescendants, rest
	}
	if rest, ok := strings.CutSuffix(text, "/"); ok {
		return descendantsOfMatch, rest
	}
	return match, text
}

// compile prepares m for matching. Errors lack their Expr.
func (m *member) compile() *Error {
	if m.literal {
		m.literals = strings.Split(m.base, "/")
		return nil
	}
	if m.prefix != "" {
		m.literals = strings.Split(m.prefix, "/")
	}
	if m.kind == Split {
		return m.compileSplit()
	}
	return m.compileFull()
}

func (m *member) compileSplit() *Error {
	at := m.baseAt
	for i, text := range strings.Split(m.base, "/") {
		re, err := javaregexp.Compile(text)
		if err != nil {
			return patternError(err, at)
		}
		p := part{re: re}
		if i < len(m.literals) {
			if !re.Match(m.literals[i]) {
				return &Error{Offset: at, Reason: "pattern that cannot match its own literal prefix " + m.literals[i]}
			}
			p = part{text: m.literals[i]}
		}
		m.parts = append(m.parts, p)
		at += len(text) + 1
	}
	m.literal = len(m.literals) == len(m.parts)
	m.everything = m.qualifier == matchAndDescendants && !m.literal && len(m.parts) == 1 && m.parts[0].re.MatchesAll(false)
	return nil
}

func (m *member) compileFull() *Error {
	re, err := javaregexp.Compile(m.base)
	if err != nil {
		return patternError(err, m.baseAt)
	}
	text, complete := re.LiteralPrefix()
	if complete && text == m.prefix && text != "" {
		m.literal = true
		return nil
	}
	// The prefix is only text unless a slash follows it in whatever matches:
	// *a/b|ab/c has the prefix a and selects ab/c.
	if m.prefix != "" && !strings.HasPrefix(text, m.prefix+"/") {
		last := len(m.literals) - 1
		m.partial, m.literals = m.literals[last], m.literals[:last]
	}
	m.full = re
	anything := re.MatchesAll(true)
	m.everything = anything && m.qualifier != descendantsOfMatch || re.MatchesAll(false) && m.qualifier == matchAndDescendants
	if m.qualifier == descendantsOfMatch || m.qualifier == matchAndDescendants && !anything {
		if m.full, err = javaregexp.Compile(m.base, tails[m.qualifier]); err != nil {
			return patternError(err, m.baseAt)
		}
	}
	return nil
}

func patternError(err error, at int) *Error {
	if e, ok := err.(*javaregexp.Error); ok {
		return &Error{Offset: at + e.Offset, Reason: e.Reason}
	}
	return &Error{Offset: at, Reason: err.Error()}
}

func (m *member) match(path string) bool {
	switch {
	case m.literal:
		n := len(m.prefix)
		if len(path) <= n {
			return path == m.prefix && m.qualifier != descendantsOfMatch
		}
		return m.qualifier != match && path[n] == '/' && path[:n] == m.prefix
	case m.full != nil:
		return strings.HasPrefix(path, m.prefix) && m.full.Match(path)
	}
	rest, more := path, true
	for i := range m.parts {
		if !more {
			return false
		}
		var segment string
		segment, rest, more = strings.Cut(rest, "/")
		if !m.parts[i].match(segment) {
			return false
		}
	}
	return more && m.qualifier != match || !more && m.qualifier != descendantsOfMatch
}

// enter reports whether m can select a path whose segment at depth is segment
// or one below it, for a path that m let through so far. depth is at least the
// number of m's literals.
func (m *member) enter(depth int, segment string) bool {
	switch {
	case m.full != nil:
		return depth > len(m.literals) || strings.HasPrefix(segment, m.partial)
	case depth < len(m.parts) && !m.literal:
		return m.parts[depth].match(segment)
	}
	return m.qualifier != match
}

// selects reports whether m selects path, of depth segments that m let through.
func (m *member) selects(depth int, path string) bool {
	if m.full != nil {
		return m.match(path)
	}
	n := m.segments()
	return depth == n && m.qualifier != descendantsOfMatch || depth > n && m.qualifier != match
}

// continues reports whether m can select anything below a path of depth
// segments that m let through.
func (m *member) continues(depth int) bool {
	return m.full != nil || m.qualifier != match || depth < m.segments()
}

// segments is the number of segments that a pattern other than a full-path one describes.
func (m *member) segments() int {
	if m.literal {
		return len(m.literals)
	}
	return len(m.parts)
}

func (m *member) cost() int {
	cost := 0
	if m.full != nil {
		cost = m.full.Cost()
	}
	for i := range m.parts {
		if m.parts[i].re != nil {
			cost += m.parts[i].re.Cost()
		}
	}
	return cost
}

func (m *member) givenUp() bool {
	return m.full != nil && m.full.GivenUp() > 0 ||
		slices.ContainsFunc(m.parts, func(p part) bool { return p.re != nil && p.re.GivenUp() > 0 })
}

// mayGiveUp reports whether givenUp can ever become true.
func (m *member) mayGiveUp() bool {
	return m.full != nil && m.full.Backtracks() ||
		slices.ContainsFunc(m.parts, func(p part) bool { return p.re != nil && p.re.Backtracks() })
}
