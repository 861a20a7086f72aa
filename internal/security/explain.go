package security

import (
	"fmt"
	"slices"
	"strings"
)

// Rule is the rule of the evaluation that gave an answer (protocol 32
// section 6).
type Rule uint8

// The rules.
const (
	ByGlobal     Rule = iota + 1 // the global permissions of the roles
	ByAssignment                 // the assignments at the nearest path that has one for any role
	ByIsolation                  // an isolated path without an assignment
	ByDefault                    // the default path permissions, for want of the others
)

// Explanation says why a session has a permission, or why not. The receiver
// owns it.
type Explanation struct {
	Permission string
	Path       string // without slashes at its ends; empty for a global permission
	Granted    bool
	Rule       Rule
	At         string // the path of the assignments, or the isolated one
	// Via leads to the roles that grant the permission. If they deny it by
	// assignment, it leads to the roles that are assigned something else. Each
	// way starts with a role of the session and names the roles included in
	// turn; the last one is the role in question.
	Via [][]string
	// Undefined are roles of the session that the store does not know, so
	// that they grant nothing.
	Undefined []string
}

// Explain says why a session with the given roles has the permission of a name, or
// why not. Global permissions need no path. The error lists the names.
func (p *Policy) Explain(roles []string, permission, path string) (Explanation, error) {
	name := strings.ToUpper(permission)
	if g, ok := globalNamed[name]; ok {
		return p.ExplainGlobal(roles, g), nil
	}
	if q, ok := pathNamed[name]; ok {
		return p.ExplainPath(roles, q, path), nil
	}
	return Explanation{}, fmt.Errorf("no permission is called %q; global ones are %v, those on paths %v", permission, allGlobal, allPath)
}

// ExplainGlobal says why a session with the given roles has a global
// permission, or why not. It agrees with [Grant.Global].
func (p *Policy) ExplainGlobal(roles []string, permission GlobalPermission) Explanation {
	e := p.explanation(roles, permission.String(), ByGlobal)
	p.closure(roles, func(r *Role, way *inclusion) {
		if r.Global.Has(permission) {
			e.Via = append(e.Via, way.path())
		}
	})
	e.Granted = e.Via != nil
	return e
}

// ExplainPath says why a session with the given roles has a permission on
// path, or why not. It agrees with [Grant.Path].
func (p *Policy) ExplainPath(roles []string, permission PathPermission, path string) Explanation {
	e := p.explanation(roles, permission.String(), ByAssignment)
	e.Path = strings.Trim(path, "/")
	for at := e.Path; ; at = parent(at) {
		assigned := func(r *Role) (PathSet, bool) { set, ok := r.Paths[at]; return set, ok }
		if p.decide(&e, roles, permission, assigned) {
			e.At = at
			return e
		}
		if slices.Contains(p.isolated, at) {
			e.Rule, e.At = ByIsolation, at
			return e
		}
		if at == "" {
			break
		}
	}
	e.Rule = ByDefault
	p.decide(&e, roles, permission, func(r *Role) (PathSet, bool) { return r.DefaultPath, true })
	if !e.Granted {
		e.Via = nil // all roles; that tells nothing
	}
	return e
}

// decide completes e if assigned is true of any of the roles.
func (p *Policy) decide(e *Explanation, roles []string, permission PathPermission, assigned func(*Role) (PathSet, bool)) bool {
	var granting, others [][]string
	p.closure(roles, func(r *Role, way *inclusion) {
		set, ok := assigned(r)
		switch {
		case ok && set.Has(permission):
			granting = append(granting, way.path())
		case ok:
			others = append(others, way.path())
		}
	})
	e.Granted, e.Via = granting != nil, granting
	if !e.Granted {
		e.Via = others
	}
	return e.Via != nil
}

func (p *Policy) explanation(roles []string, permission string, rule Rule) Explanation {
	e := Explanation{Permission: permission, Rule: rule}
	for _, name := range roles {
		if _, ok := p.roles[name]; !ok && !slices.Contains(e.Undefined, name) {
			e.Undefined = append(e.Undefined, name)
		}
	}
	return e
}

// path returns the roles on the way, that of the session first.
func (i *inclusion) path() []string {
	var roles []string
	for ; i != nil; i = i.from {
		roles = append(roles, i.role)
	}
	slices.Reverse(roles)
	return roles
}

func parent(path string) string {
	return path[:max(0, strings.LastIndexByte(path, '/'))]
}

// String tells the explanation in one line.
func (e Explanation) String() string {
	var b strings.Builder
	b.WriteString(e.Permission)
	if e.Rule != ByGlobal {
		fmt.Fprintf(&b, " on %q", e.Path)
	}
	if e.Granted {
		b.WriteString(" is granted by " + e.ways())
		switch e.Rule {
		case ByAssignment:
			fmt.Fprintf(&b, ", assigned at %q", e.At)
		case ByDefault:
			b.WriteString(", by default")
		}
	} else {
		b.WriteString(" is denied: ")
		switch e.Rule {
		case ByAssignment:
			fmt.Fprintf(&b, "the nearest assignments, at %q, are those of %s, without it", e.At, e.ways())
		case ByIsolation:
			fmt.Fprintf(&b, "%q is isolated, and no role has an assignment there or nearer", e.At)
		case ByDefault:
			b.WriteString("no role has an assignment on the way up, nor the permission by default")
		default:
			b.WriteString("no role has it")
		}
	}
	if e.Undefined != nil {
		fmt.Fprintf(&b, " (undefined roles: %s)", strings.Join(e.Undefined, ", "))
	}
	return b.String()
}

// ways tells Via: "CLIENT (included by TOPIC_CONTROL, by ADMINISTRATOR)".
func (e *Explanation) ways() string {
	ways := make([]string, len(e.Via))
	for i, way := range e.Via {
		last := len(way) - 1
		ways[i] = way[last]
		if last > 0 {
			by := slices.Clone(way[:last])
			slices.Reverse(by)
			ways[i] += " (included by " + strings.Join(by, ", by ") + ")"
		}
	}
	return strings.Join(ways, " and ")
}
