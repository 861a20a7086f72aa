package filter

import (
	"slices"
	"strings"
)

// compareRoles reads a set of roles as [Roles] has it. It reports whether all of
// want, which is sorted and distinct, are in the set, and whether others are.
func compareRoles(set string, want []string) (all, others bool) {
	var few [256]bool
	seen := few[:]
	if len(want) > len(few) {
		seen = make([]bool, len(want))
	}
	missing := len(want)
	for role, rest := nextRole(set); rest != none; role, rest = nextRole(rest) {
		i, ok := slices.BinarySearch(want, role)
		if !ok {
			others = true
		} else if !seen[i] {
			seen[i] = true
			missing--
		}
	}
	return missing == 0, others
}

// RoleSet returns the roles of a set as [Roles] has it, sorted and distinct.
func RoleSet(set string) []string {
	roles := []string{}
	for role, rest := nextRole(set); rest != none; role, rest = nextRole(rest) {
		roles = append(roles, role)
	}
	return distinct(roles)
}

// none is the rest of a set from which no role could be taken. It is not a
// suffix of any set, since those are valid UTF-8.
const none = "\xff"

// nextRole takes a role off a set. Roles stand in either kind of quotes, in
// which a backslash makes the next character literal, or in none; commas and
// white space separate them. A quote that is not closed ends with the set.
func nextRole(set string) (role, rest string) {
	set = strings.TrimLeft(set, ", \t\r\n")
	if set == "" {
		return "", none
	}
	quote := set[0]
	if quote != '"' && quote != '\'' {
		end := strings.IndexAny(set, ", \t\r\n\"'")
		if end < 0 {
			end = len(set)
		}
		return set[:end], set[end:]
	}
	role, end, _ := unquote(set)
	return role, set[end:]
}

// unquote reads a string in quotes, which s starts with. end is its length with
// its quotes; ok is false if it is not closed.
func unquote(s string) (value string, end int, ok bool) {
	quote := s[0]
	var unescaped []byte
	from := 1
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case quote:
			value = s[from:i]
			if unescaped != nil {
				value = string(append(unescaped, value...))
			}
			return value, i + 1, true
		case '\\':
			if unescaped == nil {
				unescaped = []byte{}
			}
			unescaped = append(unescaped, s[from:i]...)
			i++ // what it is does not matter
			from = i
		}
	}
	return string(append(unescaped, s[min(from, len(s)):]...)), len(s), false
}

func distinct(values []string) []string {
	slices.Sort(values)
	return slices.Compact(values)
}
