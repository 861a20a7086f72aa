// Package javaregexp compiles regular expressions in the syntax of
// java.util.regex and tells whether one matches the whole of a text, which is
// what topic selectors need (protocol 13 section 5).
//
// An expression is parsed into a tree in which Java's own notions (quoting,
// class union and intersection, \h, \R, POSIX names, flags) are resolved to
// sets of code points, so that nothing can silently mean something else. The
// tree is then evaluated by the cheapest means that is exact:
//
//   - prefix, class repetition, suffix, or a choice of strings: directly;
//   - anything regular: the standard library's linear-time engine;
//   - look-ahead at the start, such as (?!admin).*: that engine, once per part;
//   - other look-around, back references, atomic and possessive forms, and
//     repetition above 1000: a backtracking engine, with bounds on time and memory.
//
// Not supported, and refused by [Compile]: (?U), \X, \N, \G, \b{g}, Unicode
// blocks (\p{InName}) and some rare properties; also the forms that Java accepts
// though they can only be mistakes: && with nothing on one side, a second
// quantifier, and a reference to a group that does not exist. $ and \Z match at
// the very end only, \b is that of US-ASCII, and look-behind need not be
// bounded in length.
package javaregexp

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/dlclark/regexp2/v2"
)

const (
	// maxProgram bounds the instructions of a compiled expression.
	maxProgram = 20_000
	// maxBacktrack bounds the size of an expression for the backtracking engine.
	maxBacktrack = 4_000
	// maxStack bounds the memory of one backtracking match, in 8-octet slots.
	maxStack = 100_000
	// matchTimeout bounds the time of one backtracking match. Its clock ticks
	// every clockPeriod.
	matchTimeout = 500 * time.Millisecond
	clockPeriod  = 10 * time.Millisecond
	// maxGivenUp is the number of matches that may hit a bound before an
	// expression is not evaluated any more.
	maxGivenUp = 3
)

// The engine's default period would stretch matchTimeout to a quarter of a second.
var _ = func() bool { regexp2.SetTimeoutCheckPeriod(clockPeriod); return true }()

// ErrTooComplex says that a match was given up because it took too long.
var ErrTooComplex = errors.New("regular expression takes too long to evaluate")

// An Error says what is wrong with an expression.
type Error struct {
	Expr   string
	Offset int // in octets, of the part that is wrong
	Reason string
}

func (e *Error) Error() string {
	return fmt.Sprintf("regular expression: %s at offset %d", e.Reason, e.Offset)
}

// A Regexp is a compiled expression, safe for concurrent use.
type Regexp struct {
	prefix   string
	complete bool
	cost     int

	// The parts below apply in this order; one of simple, linear and backtrack is set.
	ahead     []lookahead
	simple    *simple
	linear    *regexp.Regexp
	backtrack *regexp2.Regexp

	givenUp atomic.Int32
}

// A lookahead is a condition on the start of the text.
type lookahead struct {
	re     *regexp.Regexp
	negate bool
}

// Compile compiles the concatenation of parts, each of which is a complete
// expression: an alternation in one does not reach into the next. Errors are
// of type [*Error].
func Compile(parts ...string) (*Regexp, error) {
	for _, part := range parts {
		if !utf8.ValidString(part) {
			return nil, &Error{Expr: part, Reason: "not valid UTF-8"}
		}
	}
	n, ranges, err := parse(parts)
	if err != nil {
		return nil, err
	}
	items := trimAnchors(n.items())
	re := &Regexp{cost: 1 + ranges/4}
	re.prefix, re.complete = literalPrefix(items)
	if err := re.compile(items); err != nil {
		return nil, &Error{Expr: strings.Join(parts, ""), Reason: err.Error()}
	}
	return re, nil
}

func (re *Regexp) compile(items []*node) (err error) {
	if re.simple = newSimple(items); re.simple != nil {
		return nil
	}
	rest := items
	for len(rest) > 0 && rest[0].op == opLook && !rest[0].behind && rest[0].sub().linear(1) {
		rest = rest[1:]
	}
	if body := concat(rest); !body.linear(1) {
		return re.compileBacktrack(concat(items))
	}
	for _, look := range items[:len(items)-len(rest)] {
		condition, err := re.compileLinear(look.sub(), "")
		if err != nil {
			return err
		}
		re.ahead = append(re.ahead, lookahead{condition, look.negate})
	}
	rest = trimAnchors(rest)
	if re.simple = newSimple(rest); re.simple != nil {
		return nil
	}
	re.linear, err = re.compileLinear(concat(rest), `\z`)
	return err
}

var errTooLarge = errors.New("expression too large")

func (re *Regexp) compileLinear(n *node, end string) (*regexp.Regexp, error) {
	if re.cost = saturatingAdd(re.cost, n.size(true)); re.cost > maxProgram {
		return nil, errTooLarge
	}
	b := append([]byte(nil), `\A(?:`...)
	b = appendRE2(b, n)
	b = append(b, ')')
	return regexp.Compile(string(append(b, end...)))
}

func (re *Regexp) compileBacktrack(n *node) (err error) {
	if re.cost = saturatingAdd(re.cost, n.size(false)); re.cost > maxBacktrack {
		return errTooLarge
	}
	b := append([]byte(nil), `\A(?:`...)
	b = appendBacktrack(b, n)
	b = append(b, `)\z`...)
	re.backtrack, err = regexp2.Compile(string(b), regexp2.OptionMaxBacktrackingStackSize(maxStack))
	if err != nil {
		return err
	}
	re.backtrack.MatchTimeout = matchTimeout
	return nil
}

// Match reports whether re matches all of text. A match that hits a bound of
// the backtracking engine is given up and false; see [Regexp.GivenUp].
func (re *Regexp) Match(text string) bool {
	for i := range re.ahead {
		if re.ahead[i].re.MatchString(text) == re.ahead[i].negate {
			return false
		}
	}
	switch {
	case re.simple != nil:
		return re.simple.match(text)
	case re.linear != nil:
		return re.linear.MatchString(text)
	}
	if re.givenUp.Load() >= maxGivenUp {
		return false
	}
	matched, err := re.backtrack.MatchString(text)
	if err != nil {
		re.givenUp.Add(1)
		return false
	}
	return matched
}

// GivenUp returns how many matches were given up. After the first few, an
// expression that needs backtracking is no longer evaluated and matches
// nothing, so that a long series of matches stays bounded too.
func (re *Regexp) GivenUp() int { return int(re.givenUp.Load()) }

// Backtracks reports whether matches may be given up, because only the backtracking
// engine can evaluate the expression.
func (re *Regexp) Backtracks() bool { return re.backtrack != nil }

// LiteralPrefix returns a string that every matching text starts with, and
// whether that string is the only one that matches.
func (re *Regexp) LiteralPrefix() (prefix string, complete bool) {
	return re.prefix, re.complete
}

// MatchesAll reports whether re is one of the plain ways to write "any text",
// or "any text but the empty one", where text has no line break and, if slash
// is false, no slash.
func (re *Regexp) MatchesAll(slash bool) bool {
	s := re.simple
	if s == nil || len(re.ahead) > 0 || !s.loop || s.prefix != "" || s.suffix != "" || s.max != unbounded || s.min > 1 {
		return false
	}
	set := s.set.union(lineBreaks)
	if !slash {
		set = set.union(single('/'))
	}
	return len(set) == len(allRunes) && set[0] == allRunes[0] && set[1] == allRunes[1]
}

// Cost is a measure of the memory of re, about the instructions of its program.
func (re *Regexp) Cost() int { return re.cost }
