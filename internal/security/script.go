package security

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// command is the kind of a [statement] (protocol 32 section 5.1).
type command uint8

const (
	addPrincipal command = iota + 1
	removePrincipal
	assignRoles
	setPassword
	verifyPassword
	anonymousConnections
	trustProperty
	ignoreProperty
)

// statement is one line of a system authentication script.
type statement struct {
	command  command
	name     string // principal or property key
	password string
	roles    []string
	lockedBy string
	outcome  Outcome // of anonymousConnections
	trust    trust
	comment  string // text after #

	line           int
	nameColumn     int
	passwordColumn int
}

func (s *statement) fail(column int, message string) *ScriptError {
	return &ScriptError{Line: s.line, Column: column, Message: message}
}

// parseScript reads a system authentication script. The error is a
// [ScriptErrors] with one entry for each line that does not parse.
func parseScript(text string) ([]statement, error) {
	var statements []statement
	var errs ScriptErrors
	line := 0
	for text := range strings.SplitSeq(text, "\n") {
		line++
		s, err := parseLine(line, text)
		if err != nil {
			errs = append(errs, err)
		} else if s.command != 0 {
			statements = append(statements, s)
		}
	}
	if errs != nil {
		return nil, errs
	}
	return statements, nil
}

// parseLine returns the zero statement for a line without one.
func parseLine(line int, text string) (statement, *ScriptError) {
	l := lexer{line: line, rest: text, column: 1}
	if n := invalidUTF8(text); n >= 0 {
		l.advance(n)
		return statement{}, l.fail(l.column, "this is not UTF-8 text")
	}
	tokens, comment, err := l.tokens()
	if err != nil || len(tokens) == 0 {
		return statement{}, err
	}
	end := token{kind: endToken, column: l.column}
	p := parser{tokens: append(tokens, end), s: statement{line: line, comment: comment}}
	p.statement()
	p.end()
	if p.err != nil {
		return statement{}, p.err
	}
	return p.s, nil
}

func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// parser fills s from tokens. After the first error, which it keeps, its
// methods do nothing.
type parser struct {
	tokens []token // ends with an endToken
	s      statement
	err    *ScriptError
}

func (p *parser) fail(t token, message string) {
	if p.err == nil {
		p.err = p.s.fail(t.column, message)
	}
}

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != endToken {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (t token) is(keyword string) bool {
	return t.kind == wordToken && strings.EqualFold(t.text, keyword)
}

func (p *parser) statement() {
	first := p.next()
	switch {
	case first.is("add"):
		p.command(addPrincipal, "principal")
		p.name()
		p.password()
		p.s.roles = p.optionalList()
		if p.tokens[0].is("locked") {
			p.keywords("locked", "by")
			p.s.lockedBy = p.str("the name of the locking principal").text
		}
	case first.is("remove"):
		p.command(removePrincipal, "principal")
		p.name()
	case first.is("assign"):
		p.command(assignRoles, "roles")
		p.name()
		p.s.roles = p.list()
	case first.is("set"):
		p.command(setPassword, "password")
		p.name()
		p.password()
	case first.is("verify"):
		p.command(verifyPassword, "password")
		p.name()
		p.password()
	case first.is("allow"):
		p.command(anonymousConnections, "anonymous", "connections")
		p.s.outcome = Allow
		p.s.roles = p.optionalList()
	case first.is("deny"):
		p.command(anonymousConnections, "anonymous", "connections")
		p.s.outcome = Deny
	case first.is("abstain"):
		p.command(anonymousConnections, "anonymous", "connections")
		p.s.outcome = Abstain
	case first.is("trust"):
		p.command(trustProperty, "client", "proposed", "property")
		p.trust()
	case first.is("ignore"):
		p.command(ignoreProperty, "client", "proposed", "property")
		p.name()
	default:
		p.fail(first, "unknown command; a line starts with add, remove, assign, set, verify, allow, deny, abstain, trust or ignore")
	}
}

// command consumes the words after the first one of a command.
func (p *parser) command(c command, keywords ...string) {
	p.s.command = c
	p.keywords(keywords...)
}

func (p *parser) keywords(keywords ...string) {
	for _, k := range keywords {
		if t := p.next(); !t.is(k) {
			p.fail(t, `expected "`+k+`"`)
		}
	}
}

func (p *parser) str(what string) token {
	t := p.next()
	if t.kind != stringToken {
		p.fail(t, "expected "+what+" in quotes")
	} else if t.text == "" {
		p.fail(t, what+" must not be empty")
	}
	return t
}

func (p *parser) name() {
	t := p.str("a name")
	p.s.name, p.s.nameColumn = t.text, t.column
}

func (p *parser) password() {
	t := p.str("a password")
	p.s.password, p.s.passwordColumn = t.text, t.column
}

func (p *parser) optionalList() []string {
	if p.tokens[0].kind != openToken {
		return nil
	}
	return p.list()
}

// list reads strings in brackets, separated by spaces or commas.
func (p *parser) list() []string {
	if t := p.next(); t.kind != openToken {
		p.fail(t, "expected [ and a list of strings in quotes")
		return nil
	}
	var items []string
	for p.err == nil {
		t := p.next()
		switch {
		case t.kind == stringToken:
			items = append(items, t.text)
			if p.tokens[0].kind == commaToken {
				p.next()
			}
		case t.kind == closeToken:
			return items
		default:
			p.fail(t, "expected a string in quotes or ]")
		}
	}
	return nil
}

func (p *parser) trust() {
	p.name()
	p.keywords("if", "value")
	how := p.next()
	switch {
	case how.is("in"):
		p.s.trust = trust{key: p.s.name, values: p.list()}
	case how.is("matches"):
		t := p.str("a regular expression")
		if p.err != nil {
			return
		}
		pattern, err := compileTrust(t.text)
		if err != "" {
			p.fail(t, err)
		}
		p.s.trust = trust{key: p.s.name, pattern: pattern, regex: t.text}
	default:
		p.fail(how, `expected "in" or "matches"`)
	}
}

func (p *parser) end() {
	if t := p.next(); t.kind != endToken {
		p.fail(t, "the command should end here")
	}
}

// trust says which values of a property a client may propose: one of values,
// or any that pattern matches as a whole.
type trust struct {
	key     string
	values  []string
	pattern *regexp.Regexp
	regex   string // source of pattern; empty means values
}

func (t *trust) accepts(value string) bool {
	if t.pattern != nil {
		return t.pattern.MatchString(value)
	}
	for _, v := range t.values {
		if v == value {
			return true
		}
	}
	return false
}

// compileTrust compiles a pattern of RE2 syntax, which takes linear time
// whatever a client proposes. Clients write Java's syntax; nested and
// intersected character classes, to which RE2 gives another meaning, are
// refused. The problem is "" if there is none.
func compileTrust(regex string) (pattern *regexp.Regexp, problem string) {
	inClass := false
	for i := 0; i < len(regex); i++ {
		switch c := regex[i]; {
		case c == '\\':
			i++
		case inClass && (c == '[' || strings.HasPrefix(regex[i:], "&&")):
			return nil, "nested or intersected character classes are not supported"
		case c == '[':
			inClass = true
		case c == ']':
			inClass = false
		}
	}
	// Compiled alone first: "a)(b" must not become valid by our parentheses.
	if _, err := regexp.Compile(regex); err != nil {
		return nil, "this is not a regular expression that the server supports (RE2 syntax)"
	}
	pattern, err := regexp.Compile(`\A(?:` + regex + `)\z`)
	if err != nil {
		return nil, "this regular expression is too large"
	}
	return pattern, ""
}
