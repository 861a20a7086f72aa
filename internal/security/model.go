package security

import (
	"fmt"
	"maps"
	"slices"
	"strings"
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
	// LockedBy names the only principal that may change the role; empty for
	// none.
	LockedBy string
}

// Model is the content of the security store, in a form that can be edited:
// what protocol 32 section 5.2 calls the security configuration.
type Model struct {
	// Anonymous and Named are the roles that sessions without and with a
	// principal have besides those that authentication gives.
	Anonymous, Named []string
	Roles            []Role
	// Isolated paths inherit nothing from the paths above them nor from the
	// default path permissions.
	Isolated []string
}

func (m Model) clone() Model {
	c := Model{
		Anonymous: slices.Clone(m.Anonymous),
		Named:     slices.Clone(m.Named),
		Roles:     slices.Clone(m.Roles),
		Isolated:  slices.Clone(m.Isolated),
	}
	for i := range c.Roles {
		r := &c.Roles[i]
		r.Paths, r.Includes = maps.Clone(r.Paths), slices.Clone(r.Includes)
	}
	return c
}

// Script writes the model in the language of protocol 32 section 5.2. Applied
// to an empty store it makes this model, applied to a store with this model
// it changes nothing. Names hold no line feeds, as in any script.
func (m Model) Script() string {
	var b strings.Builder
	b.WriteString("set roles for anonymous sessions ")
	quoteList(&b, m.Anonymous)
	b.WriteString("\nset roles for named sessions ")
	quoteList(&b, m.Named)
	b.WriteByte('\n')
	for i := range m.Roles {
		m.Roles[i].script(&b)
	}
	for _, path := range m.Isolated {
		b.WriteString("isolate path ")
		quote(&b, path)
		b.WriteByte('\n')
	}
	return b.String()
}

func (r *Role) script(b *strings.Builder) {
	set := func(what string) {
		b.WriteString("set ")
		quote(b, r.Name)
		b.WriteString(what)
	}
	// Said even if there are none: a role exists by being the subject of a
	// statement.
	set(" permissions " + r.Global.String() + "\n")
	set(" default path permissions " + r.DefaultPath.String() + "\n")
	for _, path := range slices.Sorted(maps.Keys(r.Paths)) {
		set(" path ")
		quote(b, path)
		b.WriteString(" permissions " + r.Paths[path].String() + "\n")
	}
	set(" includes ")
	quoteList(b, r.Includes)
	b.WriteByte('\n')
	if r.LockedBy != "" { // last, for it shuts out who is not the principal
		b.WriteString("set role ")
		quote(b, r.Name)
		b.WriteString(" locked by principal ")
		quote(b, r.LockedBy)
		b.WriteByte('\n')
	}
}

// cycles returns ways by which roles include themselves, each from a role
// back to it; nil if there is none.
func cycles(roles []Role) [][]string {
	const (
		open = iota + 1 // on the way down
		done
	)
	defined := make(map[string]*Role, len(roles))
	for i := range roles {
		defined[roles[i].Name] = &roles[i]
	}
	var found [][]string
	var way []string
	state := make(map[string]uint8, len(roles))
	var visit func(name string)
	visit = func(name string) {
		switch state[name] {
		case done:
			return
		case open:
			found = append(found, append(slices.Clone(way[slices.Index(way, name):]), name))
			return
		}
		r, ok := defined[name]
		if !ok {
			return
		}
		state[name] = open
		way = append(way, name)
		for _, included := range r.Includes {
			if len(found) < maxScriptErrors {
				visit(included)
			}
		}
		way = way[:len(way)-1]
		state[name] = done
	}
	for i := range roles {
		visit(roles[i].Name)
	}
	return found
}

// describeCycle names the roles on a way that cycles found.
func describeCycle(way []string) string {
	var b strings.Builder
	b.WriteString("a role must not include itself: ")
	for i, name := range way {
		if i > 0 {
			b.WriteString(" includes ")
		}
		if i == 10 && len(way) > 12 {
			fmt.Fprintf(&b, "... (%d more) includes %q", len(way)-i-1, way[0])
			break
		}
		fmt.Fprintf(&b, "%q", name)
	}
	return b.String()
}
