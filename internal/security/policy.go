package security

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Policy is an immutable snapshot of a [Model], made for evaluation. A change
// makes another Policy; sessions then resolve their roles again.
type Policy struct {
	roles            map[string]Role
	anonymous, named []string
	isolated         []string

	mu     sync.RWMutex
	grants map[string]*Grant // guarded by mu; key: known role names, normalised
	paths  int               // guarded by mu; that grants hold in all
}

// What a Policy remembers of role combinations. Further ones are computed for
// each call.
const (
	maxGrants     = 4096
	maxGrantPaths = 1 << 20
)

// NewPolicy checks m and prepares it for evaluation. It keeps nothing of m.
// The error names the role at fault: one without a name, defined twice, or
// that includes itself directly or through others.
func NewPolicy(m Model) (*Policy, error) {
	m = m.clone()
	p := &Policy{
		roles:     make(map[string]Role, len(m.Roles)),
		anonymous: m.Anonymous,
		named:     m.Named,
		grants:    make(map[string]*Grant),
	}
	for _, r := range m.Roles {
		if r.Name == "" {
			return nil, fmt.Errorf("define role: a role needs a name")
		}
		if _, twice := p.roles[r.Name]; twice {
			return nil, fmt.Errorf("define role %q: it is defined twice", r.Name)
		}
		p.roles[r.Name] = r.canonical()
	}
	for _, path := range m.Isolated {
		p.isolated = append(p.isolated, strings.Trim(path, "/"))
	}
	if ways := cycles(m.Roles); ways != nil {
		return nil, fmt.Errorf("define role %q: %s", ways[0][0], describeCycle(ways[0]))
	}
	return p, nil
}

// canonical returns r without unknown permissions, and with paths as searches
// write them.
func (r Role) canonical() Role {
	c := r
	c.Global &= allGlobal
	c.DefaultPath &= allPath
	c.Paths = make(map[string]PathSet, len(r.Paths))
	for path, set := range r.Paths {
		c.Paths[strings.Trim(path, "/")] |= set & allPath
	}
	return c
}

// DefaultRoles returns the roles that a session of principal, which is empty
// for an anonymous one, has whatever authentication gives (protocol 32
// section 2). The receiver owns the result.
func (p *Policy) DefaultRoles(principal string) []string {
	if principal == "" {
		return slices.Clone(p.anonymous)
	}
	return slices.Clone(p.named)
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
	key := grantKey(known)

	p.mu.RLock()
	g, ok := p.grants[key]
	p.mu.RUnlock()
	if ok {
		return g
	}
	computed := p.grant(known)
	p.mu.Lock()
	defer p.mu.Unlock()
	if g, ok := p.grants[key]; ok {
		return g
	}
	if paths := p.paths + len(computed.nearest); len(p.grants) < maxGrants && paths <= maxGrantPaths {
		p.grants[key], p.paths = computed, paths
	}
	return computed
}

// grantKey joins names so that no two lists share a key.
func grantKey(names []string) string {
	size := 0
	for _, n := range names {
		size += binary.MaxVarintLen64 + len(n)
	}
	key := make([]byte, 0, size)
	for _, n := range names {
		key = append(binary.AppendUvarint(key, uint64(len(n))), n...)
	}
	return string(key)
}

// grant merges the roles, and those that they include, so that the search
// level is chosen for all of them together: the nearest path with an
// assignment for any of them.
func (p *Policy) grant(known []string) *Grant {
	all := Role{Paths: make(map[string]PathSet)}
	p.closure(known, func(r *Role, _ *inclusion) {
		all.Global |= r.Global
		all.DefaultPath |= r.DefaultPath
		for path, set := range r.Paths {
			all.Paths[path] |= set
		}
	})
	// An isolated path ends the search as an empty assignment does.
	for _, path := range p.isolated {
		all.Paths[path] |= 0
	}
	return newGrant(all)
}

// inclusion is a step on the way from a role of a session to one that it
// includes.
type inclusion struct {
	role string
	from *inclusion // nil for a role of the session
}

// closure visits the defined ones of the given roles, and those that they
// include directly or through others, each once and by a shortest way.
func (p *Policy) closure(roles []string, visit func(r *Role, way *inclusion)) {
	seen := make(map[string]bool, len(roles))
	var queue []*inclusion
	enqueue := func(names []string, from *inclusion) {
		for _, name := range names {
			if !seen[name] {
				seen[name] = true
				queue = append(queue, &inclusion{role: name, from: from})
			}
		}
	}
	enqueue(roles, nil)
	for len(queue) > 0 {
		way := queue[0]
		queue = queue[1:]
		if r, ok := p.roles[way.role]; ok {
			visit(&r, way)
			enqueue(r.Includes, way)
		}
	}
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
