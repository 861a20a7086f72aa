package filter

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// A model is the text of a filter and, independent of the package, what it means.
type model struct {
	text    string
	level   int // 0: or, 1: and, 2: not or a clause
	matches func(Map) bool
}

var (
	keys   = []string{"A", "b", "$Principal", "all", "is", "has", "hasRoles", "not", "or", "in", "matches", "x[y", "é"}
	values = []string{"", "x", "Y", `it's`, `"`, `\`, "a,b", "ü"}
	roles  = []string{"a", "b", `c"d`, "e f", `g\`}
)

// quoted returns s in either kind of quotes, with more escapes than needed or not.
func quoted(t *rapid.T, s string) string {
	quote := rapid.SampledFrom([]string{"'", `"`}).Draw(t, "quote")
	all := rapid.Bool().Draw(t, "escape")
	var b strings.Builder
	b.WriteString(quote)
	for _, r := range s {
		if all || r == '\\' || string(r) == quote {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String() + quote
}

func keyword(t *rapid.T, s string) string {
	return rapid.SampledFrom([]string{s, strings.ToUpper(s), strings.ToUpper(s[:1]) + s[1:]}).Draw(t, "keyword")
}

func some(t *rapid.T, of []string) []string {
	return rapid.SliceOfN(rapid.SampledFrom(of), 1, 3).Draw(t, "some")
}

func listed(t *rapid.T, of []string) string {
	var list []string
	for _, s := range of {
		list = append(list, quoted(t, s))
	}
	return strings.Join(list, rapid.SampledFrom([]string{"", " ", ",", " , "}).Draw(t, "separator"))
}

func roleSet(t *rapid.T, of []string) string {
	var list []string
	for _, s := range of {
		list = append(list, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`)
	}
	return strings.Join(list, rapid.SampledFrom([]string{",", " ", ""}).Draw(t, "separator"))
}

func clause(t *rapid.T) model {
	key := rapid.SampledFrom(keys).Draw(t, "key")
	switch rapid.IntRange(0, 7).Draw(t, "clause") {
	case 0:
		return model{keyword(t, "all"), 2, func(Map) bool { return true }}
	case 1, 2:
		value := rapid.SampledFrom(values).Draw(t, "value")
		operator := rapid.SampledFrom([]string{"is", "eq", "ne"}).Draw(t, "operator")
		return model{key + " " + keyword(t, operator) + quoted(t, value), 2, func(m Map) bool {
			got, ok := m[key]
			return (ok && got == value) != (operator == "ne")
		}}
	case 3:
		among := some(t, values)
		return model{key + " " + keyword(t, "in") + "[" + listed(t, among) + "]", 2, func(m Map) bool {
			got, ok := m[key]
			return ok && slices.Contains(among, got)
		}}
	case 4:
		return model{keyword(t, "has") + " " + key, 2, func(m Map) bool {
			_, ok := m[key]
			return ok
		}}
	case 5:
		wanted := some(t, roles)
		text := listed(t, wanted)
		if rapid.Bool().Draw(t, "brackets") {
			text = "[" + text + "]"
		}
		return model{keyword(t, "hasRoles") + text, 2, func(m Map) bool {
			return subset(wanted, rolesOf(m))
		}}
	case 6:
		wanted := some(t, roles)
		return model{"$Roles eq " + quoted(t, roleSet(t, wanted)), 2, func(m Map) bool {
			return subset(wanted, rolesOf(m)) && subset(rolesOf(m), wanted)
		}}
	}
	pattern := rapid.SampledFrom([]string{"x|Y", ".", "", `[^x]*`, `\\|"`, `(?i)y`}).Draw(t, "pattern")
	return model{key + " " + keyword(t, "matches") + quoted(t, pattern), 2, func(m Map) bool {
		got, ok := m[key]
		loc := regexp.MustCompile(`^(?:` + pattern + `)$`).FindStringIndex(got)
		return ok && loc != nil
	}}
}

// rolesKey holds the roles of a generated session as the model sees them.
const rolesKey = "\x00roles"

func rolesOf(m Map) []string {
	if m[rolesKey] == "" {
		return nil
	}
	return strings.Split(m[rolesKey], "\x00")
}

func subset(a, b []string) bool {
	return !slices.ContainsFunc(a, func(s string) bool { return !slices.Contains(b, s) })
}

func filters(t *rapid.T, depth int) model {
	kind := rapid.IntRange(0, 3).Draw(t, "kind")
	if depth == 0 || kind == 0 {
		return clause(t)
	}
	wrapped := func(level int) model {
		m := filters(t, depth-1)
		if m.level < level || rapid.IntRange(0, 4).Draw(t, "parentheses") == 0 {
			m.text = "(" + m.text + ")"
		}
		return m
	}
	if kind == 1 {
		sub := wrapped(2)
		return model{keyword(t, "not") + " " + sub.text, 2, func(m Map) bool { return !sub.matches(m) }}
	}
	and := kind == 2
	level, operator := 0, "or"
	if and {
		level, operator = 1, "and"
	}
	a, b := wrapped(level), wrapped(level)
	space := rapid.SampledFrom([]string{" ", "\n\t", "\r\n"}).Draw(t, "space")
	return model{a.text + space + keyword(t, operator) + space + b.text, level, func(m Map) bool {
		if and {
			return a.matches(m) && b.matches(m)
		}
		return a.matches(m) || b.matches(m)
	}}
}

func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := filters(t, 4)
		f, err := Parse(m.text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", m.text, err)
		}
		again, err := Parse(f.String())
		if err != nil || again.String() != f.String() {
			t.Fatalf("%s becomes %s, then %v, %v", m.text, f, again, err)
		}
		terms, limited := f.Candidates()
		if limited && len(terms) == 0 {
			t.Fatalf("%s has no candidates", f)
		}
		for range 10 {
			session := Map(rapid.MapOf(rapid.SampledFrom(keys), rapid.SampledFrom(values)).Draw(t, "session"))
			granted := rapid.SliceOfDistinct(rapid.SampledFrom(roles), rapid.ID).Draw(t, "roles")
			session[Roles], session[rolesKey] = roleSet(t, granted), strings.Join(granted, "\x00")
			want := m.matches(session)
			if got := f.Match(session); got != want {
				t.Fatalf("%s matches %v = %v, want %v", m.text, session, got, want)
			}
			if got := again.Match(session); got != want {
				t.Fatalf("%s, from %s, matches %v = %v, want %v", again, m.text, session, got, want)
			}
			if want && limited && !slices.ContainsFunc(terms, func(term Term) bool {
				value, ok := session[term.Key]
				return ok && value == term.Value
			}) {
				t.Fatalf("%s matches %v, which has none of %v", f, session, terms)
			}
		}
	})
}
