package security

import (
	"regexp"
	"strings"
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

// parseScript reads a system authentication script.
func parseScript(text string) ([]statement, error) {
	return parseLines(text, func(p *parser) statement {
		a := authenticationParser{parser: p, s: statement{line: p.line, comment: p.comment}}
		a.statement()
		return a.s
	})
}

// authenticationParser fills s from the tokens of a line.
type authenticationParser struct {
	*parser
	s statement
}

func (p *authenticationParser) statement() {
	first := p.next()
	switch {
	case first.is("add"):
		p.command(addPrincipal, "principal")
		p.name()
		p.password()
		p.s.roles = p.optionalStrs()
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
		p.s.roles = p.strs()
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
		p.s.roles = p.optionalStrs()
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
func (p *authenticationParser) command(c command, keywords ...string) {
	p.s.command = c
	p.keywords(keywords...)
}

func (p *authenticationParser) name() {
	t := p.str("a name")
	p.s.name, p.s.nameColumn = t.text, t.column
}

func (p *authenticationParser) password() {
	t := p.str("a password")
	p.s.password, p.s.passwordColumn = t.text, t.column
}

func (p *authenticationParser) trust() {
	p.name()
	p.keywords("if", "value")
	how := p.next()
	switch {
	case how.is("in"):
		p.s.trust = trust{key: p.s.name, values: p.strs()}
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
