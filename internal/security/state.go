package security

import (
	"slices"
	"strings"
)

// principal is one entry of the store; immutable.
type principal struct {
	name     string
	roles    []string
	lockedBy string
	hash     passwordHash
	stock    bool // the password is StockPassword
	// unhashed marks a stock password in a store without a file. It is public,
	// so hashing it would only make tests and throw-away servers start slowly.
	unhashed bool
}

// sameSecret reports whether two entries, each nil for none, have one
// password hash.
func sameSecret(a, b *principal) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.hash.encoded == b.hash.encoded && a.unhashed == b.unhashed
}

// state is the content of the store; immutable once published.
type state struct {
	anonymous  Decision
	principals []*principal
	trusted    []trust
	index      map[string]*principal
}

// stockMark is the comment after a principal whose password is StockPassword,
// so that a start needs no hashing to find out. It is believed only under a
// right checksum.
const stockMark = "stock password"

// script writes the state in the language of protocol 32 section 5.1, hashes
// in place of passwords. Reading it back gives the same state.
func (st *state) script() string {
	var b strings.Builder
	switch st.anonymous.Outcome {
	case Allow:
		b.WriteString("allow anonymous connections ")
		quoteList(&b, st.anonymous.Roles)
	case Abstain:
		b.WriteString("abstain anonymous connections")
	default:
		b.WriteString("deny anonymous connections")
	}
	b.WriteByte('\n')
	for i := range st.trusted {
		t := &st.trusted[i]
		b.WriteString("trust client proposed property ")
		quote(&b, t.key)
		if t.pattern != nil {
			b.WriteString(" if value matches ")
			quote(&b, t.regex)
		} else {
			b.WriteString(" if value in ")
			quoteList(&b, t.values)
		}
		b.WriteByte('\n')
	}
	for _, p := range st.principals {
		b.WriteString("add principal ")
		quote(&b, p.name)
		b.WriteByte(' ')
		quote(&b, p.hash.encoded)
		b.WriteByte(' ')
		quoteList(&b, p.roles)
		if p.lockedBy != "" {
			b.WriteString(" locked by ")
			quote(&b, p.lockedBy)
		}
		if p.stock {
			b.WriteString(" # " + stockMark)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func quoteList(b *strings.Builder, items []string) {
	b.WriteByte('[')
	for i, item := range items {
		if i > 0 {
			b.WriteByte(' ')
		}
		quote(b, item)
	}
	b.WriteByte(']')
}

// edit applies statements to a copy of a state. Hashing is left to the end,
// so that a script with a mistake costs nothing.
type edit struct {
	state
	plain    map[string]string // new passwords by principal, to be hashed
	unproved map[string]bool   // principals whose hash was read without a mark to believe

	by author
	// file says that the script is a store file, where hashes stand in place
	// of passwords. In all other scripts a password is a password.
	file bool
	// marks says that stockMark comments may be believed.
	marks bool
	// verify checks a password against a principal's hash.
	verify func(p *principal, password string) (bool, error)
}

// author is who asks for a change.
type author struct {
	name  string // principal
	owner bool   // of the server: locks do not apply
}

var owner = author{owner: true}

func newEdit(from *state, by author) *edit {
	e := &edit{plain: make(map[string]string), unproved: make(map[string]bool), by: by}
	e.anonymous = from.anonymous
	e.principals = slices.Clone(from.principals)
	e.trusted = slices.Clone(from.trusted)
	e.index = make(map[string]*principal, len(from.index))
	for _, p := range from.principals {
		e.index[p.name] = p
	}
	return e
}

// run applies all statements, or reports those that do not apply. An error
// other than [ScriptErrors] comes from verify.
func (e *edit) run(statements []statement) error {
	var errs ScriptErrors
	for i := range statements {
		problem, err := e.apply(&statements[i])
		if err != nil {
			return err
		}
		if problem != nil {
			if errs = append(errs, problem); len(errs) == maxScriptErrors {
				break
			}
		}
	}
	if errs != nil {
		return errs
	}
	return nil
}

func (e *edit) apply(s *statement) (problem *ScriptError, err error) {
	switch s.command {
	case anonymousConnections:
		e.anonymous = Decision{Outcome: s.outcome, Roles: s.roles}
		return nil, nil
	case trustProperty:
		e.distrust(s.name)
		e.trusted = append(e.trusted, s.trust)
		return nil, nil
	case ignoreProperty:
		if !e.distrust(s.name) {
			return s.fail(s.nameColumn, "there is no trusted property of this name"), nil
		}
		return nil, nil
	}

	p, exists := e.index[s.name]
	if s.command == addPrincipal {
		if exists {
			return s.fail(s.nameColumn, "there is already a principal of this name"), nil
		}
		return e.add(s), nil
	}
	if !exists {
		return s.fail(s.nameColumn, "there is no principal of this name"), nil
	}
	if s.command == verifyPassword {
		return e.check(s, p)
	}
	if p.lockedBy != "" && p.lockedBy != e.by.name && !e.by.owner {
		return s.fail(s.nameColumn, "this principal is locked by another principal"), nil
	}
	changed := *p
	switch s.command {
	case removePrincipal:
		e.principals = slices.DeleteFunc(e.principals, func(q *principal) bool { return q == p })
		delete(e.index, s.name)
		delete(e.plain, s.name)
		delete(e.unproved, s.name)
	case assignRoles:
		changed.roles = s.roles
		e.replace(&changed)
	case setPassword:
		problem = e.secret(&changed, s)
		e.replace(&changed)
	}
	return problem, nil
}

func (e *edit) add(s *statement) *ScriptError {
	p := &principal{name: s.name, roles: s.roles, lockedBy: s.lockedBy}
	problem := e.secret(p, s)
	e.index[p.name] = p
	e.principals = append(e.principals, p)
	return problem
}

func (e *edit) replace(p *principal) {
	e.principals[slices.Index(e.principals, e.index[p.name])] = p
	e.index[p.name] = p
}

// secret gives p the password or hash of s.
func (e *edit) secret(p *principal, s *statement) *ScriptError {
	delete(e.plain, p.name)
	delete(e.unproved, p.name)
	p.hash, p.unhashed = passwordHash{}, false
	if !e.file || !strings.HasPrefix(s.password, hashPrefix) {
		p.stock = s.password == StockPassword
		e.plain[p.name] = s.password
		return nil
	}
	hash, err := parseHash(s.password)
	if err != nil {
		return s.fail(s.passwordColumn, err.Error())
	}
	p.hash = hash
	p.stock = e.marks && s.comment == stockMark
	if !e.marks {
		e.unproved[p.name] = true
	}
	return nil
}

func (e *edit) check(s *statement, p *principal) (*ScriptError, error) {
	var ok bool
	if plain, pending := e.plain[p.name]; pending {
		ok = plain == s.password
	} else {
		var err error
		if ok, err = e.verify(p, s.password); err != nil {
			return nil, err
		}
	}
	if !ok {
		return s.fail(s.passwordColumn, "this is not the password of the principal"), nil
	}
	return nil, nil
}

func (e *edit) distrust(key string) (found bool) {
	before := len(e.trusted)
	e.trusted = slices.DeleteFunc(e.trusted, func(t trust) bool { return t.key == key })
	return len(e.trusted) < before
}
