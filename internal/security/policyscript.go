package security

import (
	"fmt"
	"slices"
	"strings"
)

// policyCommand is the kind of a [policyStatement] (protocol 32 section 5.2).
type policyCommand uint8

const (
	setAnonymousRoles policyCommand = iota + 1
	setNamedRoles
	setGlobal
	setDefaultPath
	setPath
	removePath
	setIncludes
	lockRole
	isolatePath
	deisolatePath
)

// policyStatement is one line of a security script.
type policyStatement struct {
	command  policyCommand
	role     string
	path     string // canonical
	roles    []string
	lockedBy string
	global   GlobalSet
	paths    PathSet

	line        int
	roleColumn  int
	rolesColumn int
}

func (s *policyStatement) fail(column int, message string) *ScriptError {
	return &ScriptError{Line: s.line, Column: column, Message: message}
}

// parsePolicyScript reads a security script.
func parsePolicyScript(text string) ([]policyStatement, error) {
	return parseLines(text, func(p *parser) policyStatement {
		q := policyParser{parser: p, s: policyStatement{line: p.line}}
		q.statement()
		return q.s
	})
}

// policyParser fills s from the tokens of a line.
type policyParser struct {
	*parser
	s policyStatement
}

func (p *policyParser) statement() {
	first := p.next()
	switch {
	case first.is("set"):
		p.set()
	case first.is("remove"):
		p.s.command = removePath
		p.role()
		p.keywords("permissions", "for")
		p.pathKeyword()
		p.path()
	case first.is("isolate"):
		p.s.command = isolatePath
		p.pathKeyword()
		p.path()
	case first.is("deisolate"):
		p.s.command = deisolatePath
		p.pathKeyword()
		p.path()
	default:
		p.fail(first, "unknown command; a line starts with set, remove, isolate or deisolate")
	}
}

func (p *policyParser) set() {
	switch what := p.tokens[0]; {
	case what.is("roles"):
		p.keywords("roles", "for")
		switch kind := p.next(); {
		case kind.is("anonymous"):
			p.s.command = setAnonymousRoles
		case kind.is("named"):
			p.s.command = setNamedRoles
		default:
			p.fail(kind, `expected "anonymous" or "named"`)
		}
		p.keywords("sessions")
		p.roles()
	case what.is("role"):
		p.s.command = lockRole
		p.keywords("role")
		p.role()
		p.keywords("locked", "by", "principal")
		p.s.lockedBy = p.str("the name of the locking principal").text
	case what.kind == stringToken:
		p.role()
		p.setOfRole()
	default:
		p.fail(what, `expected "roles", "role" or the name of a role in quotes`)
	}
}

func (p *policyParser) setOfRole() {
	switch what := p.next(); {
	case what.is("permissions"):
		p.s.command = setGlobal
		p.s.global = Globals(permissions(p.parser, globalNamed, pathNamed, "global", "path")...)
	case what.is("default"):
		p.s.command = setDefaultPath
		p.pathKeyword()
		p.keywords("permissions")
		p.s.paths = p.pathPermissions()
	case what.is("path") || what.is("topic"):
		p.s.command = setPath
		p.path()
		p.keywords("permissions")
		p.s.paths = p.pathPermissions()
	case what.is("includes"):
		p.s.command = setIncludes
		p.roles()
	default:
		p.fail(what, `expected "permissions", "default", "path" or "includes"`)
	}
}

func (p *policyParser) role() {
	t := p.str("the name of a role")
	p.s.role, p.s.roleColumn = t.text, t.column
}

// roles reads a list of roles; repetitions are dropped.
func (p *policyParser) roles() {
	p.s.rolesColumn = p.tokens[0].column
	seen := make(map[string]bool)
	for _, t := range p.list(stringToken, "roles in quotes", "a role in quotes") {
		if t.text == "" {
			p.fail(t, "the name of a role must not be empty")
		}
		if !seen[t.text] {
			seen[t.text] = true
			p.s.roles = append(p.s.roles, t.text)
		}
	}
}

// pathKeyword reads "path" or what it was called in the past.
func (p *policyParser) pathKeyword() {
	if p.tokens[0].is("topic") {
		p.next()
		return
	}
	p.keywords("path")
}

func (p *policyParser) path() {
	t := p.str("a path")
	p.s.path = strings.Trim(t.text, "/")
	switch {
	case p.err != nil:
	case p.s.path == "":
		p.fail(t, "a path names at least one segment; for all paths use the default path permissions")
	case strings.Contains(p.s.path, "//"):
		p.fail(t, "a path must not have an empty segment")
	}
}

func (p *policyParser) pathPermissions() PathSet {
	return Paths(permissions(p.parser, pathNamed, globalNamed, "path", "global")...)
}

// permissions reads a list of permissions of one kind, whose names stand
// without quotes. Those of the other kind are known for the sake of the
// message.
func permissions[P, Q any](p *parser, named map[string]P, others map[string]Q, kind, otherKind string) []P {
	var all []P
	for _, t := range p.list(wordToken, "permissions without quotes", "a permission without quotes") {
		name := strings.ToUpper(t.text)
		permission, ok := named[name]
		if _, other := others[name]; other {
			p.fail(t, fmt.Sprintf("%s is a %s permission, this is a list of %s permissions", name, otherKind, kind))
		} else if !ok {
			p.fail(t, fmt.Sprintf("there is no %s permission of this name; there are %s", kind, knownNames(named)))
		}
		all = append(all, permission)
	}
	return all
}

func knownNames[P any](named map[string]P) string {
	names := make([]string, 0, len(named))
	for name := range named {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// The permissions by name, without those that are never granted.
var (
	globalNamed = byName(allGlobal.List())
	pathNamed   = byName(allPath.List())
)

func byName[P fmt.Stringer](permissions []P) map[string]P {
	named := make(map[string]P, len(permissions))
	for _, p := range permissions {
		named[p.String()] = p
	}
	return named
}

// policyEdit applies statements to a copy of a model.
type policyEdit struct {
	model    Model
	index    map[string]int              // of a role in the model
	isolated map[string]bool             // has all of model.Isolated; false: no longer
	includes map[string]*policyStatement // the last that set the roles included by a role
	by       author
}

// maxRoles bounds the roles of a store.
const maxRoles = 10_000

func newPolicyEdit(from *Model, by author) *policyEdit {
	e := &policyEdit{
		model:    from.clone(),
		index:    make(map[string]int, len(from.Roles)),
		isolated: make(map[string]bool, len(from.Isolated)),
		includes: make(map[string]*policyStatement),
		by:       by,
	}
	for i := range e.model.Roles {
		e.index[e.model.Roles[i].Name] = i
	}
	for _, path := range e.model.Isolated {
		e.isolated[path] = true
	}
	return e
}

// run applies all statements. The error is a [ScriptErrors] with every one
// that does not apply, else with the ways by which roles would include
// themselves once all have been applied.
func (e *policyEdit) run(statements []policyStatement) error {
	var errs ScriptErrors
	for i := range statements {
		if problem := e.apply(&statements[i]); problem != nil {
			if errs = append(errs, problem); len(errs) == maxScriptErrors {
				break
			}
		}
	}
	if errs == nil {
		errs = e.cycles()
	}
	if errs != nil {
		return errs
	}
	e.model.Isolated = slices.DeleteFunc(e.model.Isolated, func(path string) bool { return !e.isolated[path] })
	return nil
}

func (e *policyEdit) apply(s *policyStatement) *ScriptError {
	switch s.command {
	case setAnonymousRoles:
		e.model.Anonymous = s.roles
		return nil
	case setNamedRoles:
		e.model.Named = s.roles
		return nil
	case isolatePath:
		e.isolate(s.path)
		return nil
	case deisolatePath:
		if e.isolated[s.path] {
			e.isolated[s.path] = false
		}
		return nil
	}

	i, exists := e.index[s.role]
	if !exists {
		if s.command == removePath {
			return nil // there is nothing to remove
		}
		if i = len(e.model.Roles); i == maxRoles {
			return s.fail(s.roleColumn, fmt.Sprintf("there are %d roles already, and a store holds no more", maxRoles))
		}
		e.model.Roles = append(e.model.Roles, Role{Name: s.role, Paths: make(map[string]PathSet)})
		e.index[s.role] = i
	}
	r := &e.model.Roles[i]
	if r.LockedBy != "" && r.LockedBy != e.by.name && !e.by.owner {
		return s.fail(s.roleColumn, "this role is locked by another principal")
	}
	switch s.command {
	case setGlobal:
		r.Global = s.global
	case setDefaultPath:
		r.DefaultPath = s.paths
	case setPath:
		r.Paths[s.path] = s.paths
	case removePath:
		delete(r.Paths, s.path)
	case setIncludes:
		r.Includes = s.roles
		e.includes[s.role] = s
	case lockRole:
		r.LockedBy = s.lockedBy
	}
	return nil
}

// isolate keeps paths in the order in which they were first isolated.
func (e *policyEdit) isolate(path string) {
	if _, listed := e.isolated[path]; !listed {
		e.model.Isolated = append(e.model.Isolated, path)
	}
	e.isolated[path] = true
}

// cycles reports each cycle at the last statement that took part in it.
func (e *policyEdit) cycles() ScriptErrors {
	var errs ScriptErrors
	reported := make(map[*policyStatement]bool)
	for _, way := range cycles(e.model.Roles) {
		var last *policyStatement
		for _, role := range way {
			if s := e.includes[role]; s != nil && (last == nil || s.line > last.line) {
				last = s
			}
		}
		if last != nil && !reported[last] {
			reported[last] = true
			errs = append(errs, last.fail(last.rolesColumn, describeCycle(way)))
		}
	}
	slices.SortFunc(errs, func(a, b *ScriptError) int { return a.Line - b.Line })
	return errs
}
