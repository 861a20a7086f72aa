package security

import "strings"

// Grant is what one set of roles may do under one [Policy]. It is immutable
// and shared by all sessions with these roles.
type Grant struct {
	global GlobalSet
	// nearest holds the permissions at each path where a search ends; at any
	// other path those of its parent apply, and fallback at the root.
	nearest  map[string]PathSet
	fallback PathSet
	// first has a bit for each byte with which a path in nearest starts. Most
	// topics lie outside every assignment and are decided by this test alone.
	first [4]uint64
}

func newGrant(all Role) *Grant {
	g := &Grant{global: all.Global, nearest: all.Paths, fallback: all.DefaultPath}
	if root, ok := g.nearest[""]; ok {
		g.fallback = root
		delete(g.nearest, "")
	}
	for path := range g.nearest {
		g.first[path[0]>>6] |= 1 << (path[0] & 63)
	}
	g.first['/'>>6] |= 1 << ('/' & 63) // not canonical: take the long way
	return g
}

// Global reports whether the session has permission.
func (g *Grant) Global(permission GlobalPermission) bool {
	return g.global.Has(permission)
}

// GlobalPermissions returns all global permissions of the session.
func (g *Grant) GlobalPermissions() GlobalSet { return g.global }

// Path reports whether the session has permission on path. It allocates
// nothing.
func (g *Grant) Path(path string, permission PathPermission) bool {
	return g.PathPermissions(path).Has(permission)
}

// PathPermissions returns all permissions of the session on path, which need
// not be a topic. Slashes at the start and the end of path are ignored. It
// allocates nothing.
func (g *Grant) PathPermissions(path string) PathSet {
	if path == "" {
		return g.fallback
	}
	if c := path[0]; g.first[c>>6]&(1<<(c&63)) == 0 {
		return g.fallback
	}
	return g.search(strings.Trim(path, "/"))
}

// search walks from path to the root (protocol 32 section 6, path
// evaluation).
func (g *Grant) search(path string) PathSet {
	for path != "" {
		if set, ok := g.nearest[path]; ok {
			return set
		}
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			break
		}
		path = path[:slash]
	}
	return g.fallback
}

// ReadsAs reports whether a session may read the same topics with g as with other.
func (g *Grant) ReadsAs(other *Grant) bool {
	if g.fallback.Has(ReadTopic) != other.fallback.Has(ReadTopic) {
		return false
	}
	for _, paths := range [...]map[string]PathSet{g.nearest, other.nearest} {
		for path := range paths { // between them nothing changes
			if g.Path(path, ReadTopic) != other.Path(path, ReadTopic) {
				return false
			}
		}
	}
	return true
}
