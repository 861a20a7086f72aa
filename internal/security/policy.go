package security

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Role is the definition of one role in a [Model].
type Role struct {
	Name   string
	Global GlobalSet
	// DefaultPath applies where no assignment is found on the way from a path
	// up to the root.
	DefaultPath PathSet
	// Paths holds the assignments. An empty set is an assignment too: it hides
	// what lies further up. A leading or trailing slash is ignored.
	Paths map[string]PathSet
	// Includes names roles whose permissions and assignments count as this
	// role's own. A name without a definition is a role without permissions.
	Includes []string
}

// Model is the content of the security store, in a form that can be edited.
type Model struct {
	Roles []Role
	// Isolated paths inherit nothing from the paths above them nor from the
	// default path permissions.
	Isolated []string
}

// Policy is an immutable snapshot of a [Model], made for evaluation. To change
// a policy, build a new one and resolve the sessions' roles again.
type Policy struct {
	roles    map[string]Role // each merged with the roles that it includes
	isolated []string

	mu     sync.Mutex
	grants map[string]*Grant // guarded by mu; key: known role names, normalised
}

// maxGrants bounds the role combinations that a Policy remembers. Further
// ones are computed for each call.
const maxGrants = 4096

// NewPolicy checks m and prepares it for evaluation. It keeps nothing of m.
// The error names the role at fault: one without a name, defined twice, or
// that includes itself directly or through others.
func NewPolicy(m Model) (*Policy, error) {
	defined := make(map[string]Role, len(m.Roles))
	for _, r := range m.Roles {
		if r.Name == "" {
			return nil, fmt.Errorf("define role: a role needs a name")
		}
		if _, twice := defined[r.Name]; twice {
			return nil, fmt.Errorf("define role %q: it is defined twice", r.Name)
		}
		defined[r.Name] = r
	}
	p := &Policy{roles: make(map[string]Role, len(defined)), grants: make(map[string]*Grant)}
	for _, path := range m.Isolated {
		p.isolated = append(p.isolated, strings.Trim(path, "/"))
	}
	c := closure{defined: defined, done: p.roles, open: make(map[string]bool)}
	for _, r := range m.Roles {
		if _, err := c.resolve(r.Name); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// closure merges each role with the roles that it includes.
type closure struct {
	defined map[string]Role
	done    map[string]Role
	open    map[string]bool // on the way down, to detect cycles
}

func (c *closure) resolve(name string) (Role, error) {
	if r, ok := c.done[name]; ok {
		return r, nil
	}
	if c.open[name] {
		return Role{}, fmt.Errorf("define role %q: it includes itself", name)
	}
	c.open[name] = true
	defer delete(c.open, name)

	def := c.defined[name]
	merged := Role{Name: name, Paths: make(map[string]PathSet, len(def.Paths))}
	merged.add(def)
	for _, included := range def.Includes {
		r, err := c.resolve(included)
		if err != nil {
			return Role{}, err
		}
		merged.add(r)
	}
	c.done[name] = merged
	return merged, nil
}

// add makes the permissions of other count as r's own.
func (r *Role) add(other Role) {
	r.Global |= other.Global & allGlobal
	r.DefaultPath |= other.DefaultPath & allPath
	for path, set := range other.Paths {
		r.Paths[strings.Trim(path, "/")] |= set & allPath
	}
}

// Resolve returns what a session with the given roles may do. Roles that the
// policy does not define grant nothing. Order and repetition do not matter,
// and the same set yields the same Grant, so a session should resolve its
// roles once and keep the result.
func (p *Policy) Resolve(roles []string) *Grant {
	known := make([]string, 0, len(roles))
	for _, name := range roles {
		if _, ok := p.roles[name]; ok {
			known = append(known, name)
		}
	}
	slices.Sort(known)
	known = slices.Compact(known)
	key := fmt.Sprintf("%q", known)

	p.mu.Lock()
	defer p.mu.Unlock()
	if g, ok := p.grants[key]; ok {
		return g
	}
	g := p.grant(known)
	if len(p.grants) < maxGrants {
		p.grants[key] = g
	}
	return g
}

// grant merges the roles, so that the search level is chosen for all of them
// together: the nearest path with an assignment for any of them.
func (p *Policy) grant(known []string) *Grant {
	all := Role{Paths: make(map[string]PathSet)}
	for _, name := range known {
		all.add(p.roles[name])
	}
	// An isolated path ends the search as an empty assignment does.
	for _, path := range p.isolated {
		all.Paths[path] |= 0
	}
	return newGrant(all)
}

// HasGlobal reports whether a session with the given roles has permission.
// Callers that ask more than once keep the [Grant] of the roles instead.
func (p *Policy) HasGlobal(roles []string, permission GlobalPermission) bool {
	return p.Resolve(roles).Global(permission)
}

// HasPath reports whether a session with the given roles has permission on
// path. Callers that ask more than once keep the [Grant] of the roles
// instead.
func (p *Policy) HasPath(roles []string, path string, permission PathPermission) bool {
	return p.Resolve(roles).Path(path, permission)
}

// GlobalPermissions returns the global permissions of a session with the
// given roles.
func (p *Policy) GlobalPermissions(roles []string) GlobalSet {
	return p.Resolve(roles).GlobalPermissions()
}

// PathPermissions returns the permissions on path of a session with the given
// roles.
func (p *Policy) PathPermissions(roles []string, path string) PathSet {
	return p.Resolve(roles).PathPermissions(path)
}
