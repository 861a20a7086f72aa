package filter

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
	"time"
)

func mustParse(t testing.TB, text string) *Filter {
	t.Helper()
	f, err := Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return f
}

var alice = Map{
	"$Principal": "alice", "$Roles": `"trader","admin","a \"b\""`, "$ClientIP": "192.168.0.7", "$Country": "GB",
	"Tier": "free", "Note": `it's "so" \ so`, "Empty": "", "all": "1", "is": "2", "Lines": "a\nb",
}

func TestMatch(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   bool
	}{
		{"all", true},
		{"ALL", true},
		{"not all", false},
		{"$Principal is 'alice'", true},
		{`$Principal is "alice"`, true},
		{"$Principal IS'alice'", true},
		{"$Principal Eq 'alice'", true},
		{"$principal is 'alice'", false},
		{"$Principal is 'Alice'", false},
		{"$Principal ne 'alice'", false},
		{"$Principal NE 'bob'", true},
		{"Location is 'x'", false},
		{"Location ne 'x'", true},
		{"not Location is 'x'", true},
		{"Empty is ''", true},
		{"Location is ''", false},
		{"$Principal is ''", false},
		{`Note is 'it\'s "so" \\ so'`, true},
		{`Note is "it's \"so\" \\ so"`, true},
		{`Note is 'it\'s \"\s\o\" \\ so'`, true},
		{"Lines is 'a\nb'", true},
		{`Lines is 'a\nb'`, false}, // a backslash makes the n an n

		// Precedence.
		{"all or all and not all", true},
		{"(all or all) and not all", false},
		{"not all or all", true},
		{"not (all or all)", false},
		{"not not all", true},
		{"NOT all AND all OR all", true},
		{"not all and (all or all)", false},
		{"$Principal is 'alice' and not (Tier eq \"free\")", false},
		{"((( all )))and(not(Tier is'paid'))or not all", true},

		{"has Tier", true},
		{"HAS Empty", true},
		{"has tier", false},
		{"has Location", false},
		{"not has Location and has Tier", true},

		{"$Country in ['UK','US']", false},
		{"$Country in ['UK','GB']", true},
		{"$Country IN[\"UK\"'GB' , 'US']and all", true},
		{"not $Country in ['UK','GB']", false},
		{"Location in ['']", false},

		{`hasRoles "trader"`, true},
		{`hasRoles ["trader" "admin"]`, true},
		{`hasRoles 'admin', "trader" 'admin'`, true},
		{`HASROLES['admin','operator']`, false},
		{`hasRoles ["trade"]`, false},
		{`hasRoles 'a "b"'`, true},
		{`hasRoles 'trader' and not hasRoles 'operator'`, true},
		{`$Roles eq '"trader","admin","a \\"b\\""'`, true},
		{`$Roles eq "'a \"b\"' admin  trader, admin"`, true},
		{`$Roles is '"trader","admin"'`, false},
		{`$Roles ne '"trader","admin"'`, true},
		{`$Roles in ['"x"', '"trader","a \\"b\\"","admin"']`, true},
		{`$Roles is '"trader","admin","a \\"b\\"","x"'`, false},
		{`$Roles matches '.*"admin".*'`, true},

		{`$ClientIP matches "192\\.168\\..*"`, true},
		{`$ClientIP matches "192\\.168"`, false},
		{`$ClientIP matches "168\\..*"`, false},
		{`$ClientIP matches "1|192.*|2"`, true},
		{`$Principal matches '(?i)ALICE'`, true},
		{`$Principal matches '\\Qalice'`, true},
		{`Location matches '.*'`, false},
		{`Empty matches ''`, true},
		{`$Principal matches '[^]x]*'`, true},

		// Keywords as keys.
		{"all is '1'", true},
		{"all is '2'", false},
		{"all and all is '1'", true},
		{"is is '2'", true},
		{"not is is '1'", true},
		{"not is '1'", false},
		{"has is", true},
		{"has is and has all", true},
		{"(has in)", false},
		{"has has or has and", false},
		{"has eq 'x'", false},
		{"hasRoles is 'x'", false},
		{"hasRoles in ['x']", false},
		{"and is 'x' or or is 'x'", false},
		{"not matches matches 'x'", true},
	} {
		f, err := Parse(tt.filter)
		if err != nil {
			t.Errorf("Parse(%q): %v", tt.filter, err)
			continue
		}
		if got := f.Match(alice); got != tt.want {
			t.Errorf("%s matches = %v, want %v", tt.filter, got, tt.want)
		}
		again := mustParse(t, f.String())
		if again.String() != f.String() || again.Match(alice) != tt.want {
			t.Errorf("%s becomes %s, then %s", tt.filter, f, again)
		}
	}
}

// Properties are not always as the server writes them.
func TestRoleSets(t *testing.T) {
	many := strings.Repeat(`"x",`, 300)
	for _, tt := range []struct {
		filter, roles string
		want          bool
	}{
		{"hasRoles ['a']", "", false},
		{"$Roles is ''", "", true},
		{"$Roles is ','", "", true},
		{"$Roles is ''", `"a"`, false},
		{"hasRoles ['a','b']", `"a","a"`, false},
		{"$Roles is 'a,b'", `"a","a"`, false},
		{"$Roles is 'a,b'", `b "a",'b'`, true},
		{"hasRoles ['']", `""`, true},
		{"hasRoles ['']", "", false},
		{"hasRoles ['a','x']", many + `"a"`, true},
		{"$Roles is 'x'", many, true},
		{"hasRoles ['a']", `"a`, true},
		{"hasRoles ['a']", `"a\`, true},
		{`hasRoles ['a\\b']`, `"a\\b"`, true},
	} {
		f := mustParse(t, tt.filter)
		if got := f.Match(Map{Roles: tt.roles}); got != tt.want {
			t.Errorf("%s matches roles %.40s = %v, want %v", f, tt.roles, got, tt.want)
		}
		if f.Match(Map{}) {
			t.Errorf("%s matches a session without roles", f)
		}
	}
}

func TestNormalForm(t *testing.T) {
	for _, tt := range []struct{ filter, want string }{
		{"\t( ALL )\r\n", "all"},
		{`A EQ "x"`, `A is 'x'`},
		{`not A is "x"`, `A ne 'x'`},
		{`A in ['b', 'a' "b"]`, `A in ['a', 'b']`},
		{`A in ['b']`, `A is 'b'`},
		{`A is "'\""`, `A is '\'\"'`},
		{`hasroles"b"'a'`, `hasRoles ['a', 'b']`},
		{`$Roles is "'b' 'a'"`, `$Roles is '\"a\",\"b\"'`},
		{`$Roles in ["'b' 'a'" "'a''b'"]`, `$Roles is '\"a\",\"b\"'`},
		{`$Roles ne ''`, `$Roles ne ''`},
		{`A is 'x' and (B is 'y' and has C)`, `A is 'x' and B is 'y' and has C`},
		{`A is 'x' or (B is 'y' or has C)`, `A is 'x' or B is 'y' or has C`},
		{`(has A or has B) and (not (has C and has D))`, `(has A or has B) and not (has C and has D)`},
		{`(has A and has B) or has C`, `has A and has B or has C`},
	} {
		if got := mustParse(t, tt.filter).String(); got != tt.want {
			t.Errorf("%s becomes %s, want %s", tt.filter, got, tt.want)
		}
	}
}

func TestParseErrors(t *testing.T) {
	deep := strings.Repeat("(", MaxDepth-1) + "all" + strings.Repeat(")", MaxDepth-1)
	mustParse(t, deep)
	mustParse(t, strings.Repeat("not ", MaxDepth-1)+"all")
	for _, tt := range []struct {
		filter       string
		line, column int
		reason       string
	}{
		{"", 1, 1, "empty filter"},
		{" \n ", 2, 2, "empty filter"},
		{"bad", 1, 4, "expected is, eq, ne, matches or in after the key"},
		{"$Principal xx", 1, 12, `found "xx"`},
		{"all all", 1, 5, "expected and, or, or the end"},
		{"all\nand\n  $Principal is bob", 3, 17, "expected a value in quotes"},
		{"é is 'ü' ö", 1, 10, `found "ö"`},
		{"A is 'x", 1, 6, "never closed"},
		{`A is 'x\'`, 1, 6, "never closed"},
		{`A is 'x\`, 1, 6, "never closed"},
		{"A is 'x' and", 1, 13, "the filter ends here"},
		{"(all", 1, 5, "expected and, or, or )"},
		{"all)", 1, 4, `found ")"`},
		{"()", 1, 2, "expected all, has"},
		{"not", 1, 4, "expected all, has"},
		{"has", 1, 4, "the key of a property after has"},
		{"has 'x'", 1, 5, "the key of a property after has"},
		{"hasRoles", 1, 9, "expected a role in quotes"},
		{"hasRoles []", 1, 11, "expected a string in quotes"},
		{"hasRoles 'a',", 1, 14, "after the comma"},
		{"hasRoles ['a' b]", 1, 15, "another string in quotes, or ]"},
		{"A in 'x'", 1, 6, "expected [ and a list"},
		{"A in []", 1, 7, "expected a string in quotes"},
		{"A in ['x'", 1, 10, "or ]"},
		{"A matches '('", 1, 11, "regular expression: missing closing )"},
		{"A matches 'a)(b'", 1, 11, "regular expression"},
		{`A matches '(?=x)'`, 1, 11, "regular expression"},
		{`A matches '[a-z&&[^x]]'`, 1, 11, "&& inside [...]"},
		{`A matches '[^a[b]]'`, 1, 11, "a [ inside"},
		{`A matches '\\0101'`, 1, 11, `octal escape \0`},
		{`A matches '((((a{9}){9}){9}b{9}){9}){9}'`, 1, 11, "regular expression"},
		{`A matches '` + strings.Repeat(`(abcdefghi){900}`, 9) + `'`, 1, 11, "too large"},
		{`A matches '` + strings.Repeat("a", maxPattern+1) + `'`, 1, 11, "longer than"},
		{"A is '\xff'", 1, 7, "UTF-8"},
		{"(" + deep + ")", 1, MaxDepth + 1, "nested more than"},
		{strings.Repeat("not ", MaxDepth) + "all", 1, 4*MaxDepth + 1, "nested more than"},
		{strings.Repeat("(", MaxLength), 1, MaxDepth + 1, "nested more than"},
		{"A is '" + strings.Repeat("x", MaxLength) + "'", 1, 1, "longer than"},
		{"A is '" + strings.Repeat(`"`, MaxLength-10) + "'", 1, 1, "in normal form"},
	} {
		_, err := Parse(tt.filter)
		var e *Error
		if !errors.As(err, &e) || !errors.Is(err, ErrInvalid) {
			t.Errorf("Parse(%.60q) = %v, want an error", tt.filter, err)
			continue
		}
		if e.Line != tt.line || e.Column != tt.column || !strings.Contains(e.Reason, tt.reason) {
			t.Errorf("Parse(%.60q) = %v, want %q in line %d, column %d", tt.filter, err, tt.reason, tt.line, tt.column)
		}
	}
}

// Filters of hostile shape parse or fail in time proportional to their length.
func TestParseIsBounded(t *testing.T) {
	for _, text := range []string{
		strings.Repeat("all or ", MaxLength/7-1) + "all",
		"A in [" + strings.Repeat("''", MaxLength/2-10) + "]",
		"$Roles in [" + strings.Repeat(`"'a'"`, MaxLength/5-10) + "]",
		strings.Repeat("has is and ", MaxLength/11-1) + "all",
		strings.Repeat("A matches '\\\\pL' or ", MaxLength/20-1) + "all",
		strings.Repeat("A matches '(a{30}){30}' and ", MaxLength/28-1) + "all",
		"hasRoles " + strings.Repeat("'a',", MaxLength/4-10),
	} {
		start := time.Now()
		f, err := Parse(text)
		if err == nil {
			f.Match(alice)
		}
		if took := time.Since(start); took > 3*time.Second {
			t.Errorf("Parse(%.40q) took %v", text, took)
		}
	}
}

// The filters that the vectors of the services carry, which the peer answers
// with errors or with none.
func TestVectors(t *testing.T) {
	data, err := os.ReadFile("../../testdata/vectors/services-sessions.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors any
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	filters := map[string]bool{}
	var collect func(any)
	collect = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, value := range v {
				if text, ok := value.(string); ok && (key == "filter" || key == "sessionFilter") {
					filters[text] = true
				}
				collect(value)
			}
		case []any:
			for _, value := range v {
				collect(value)
			}
		}
	}
	collect(vectors)
	if len(filters) < 6 {
		t.Fatalf("only %d filters in the vectors", len(filters))
	}
	invalid := map[string]bool{"bad": true, "zz": true, "$Principal xx": true}
	for text := range filters {
		if _, err := Parse(text); (err != nil) != invalid[text] {
			t.Errorf("Parse(%q) = %v", text, err)
		}
	}
}

func TestCandidates(t *testing.T) {
	for _, tt := range []struct {
		filter string
		want   []Term
	}{
		{"all", nil},
		{"not A is 'x'", nil},
		{"A ne 'x'", nil},
		{"$Roles is '\"a\"'", nil},
		{"hasRoles 'a'", nil},
		{"A is 'x'", []Term{{"A", "x"}}},
		{"A in ['x','y']", []Term{{"A", "x"}, {"A", "y"}}},
		{"A in ['x','y'] and has B and C is 'z'", []Term{{"C", "z"}}},
		{"A is 'x' or B is 'y' or A in ['x']", []Term{{"A", "x"}, {"B", "y"}}},
		{"A is 'x' or has B", nil},
		{"(A is 'x' or has B) and C is 'z'", []Term{{"C", "z"}}},
	} {
		got, ok := mustParse(t, tt.filter).Candidates()
		if ok != (tt.want != nil) || len(got) != len(tt.want) {
			t.Errorf("%s has candidates %v, want %v", tt.filter, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s has candidates %v, want %v", tt.filter, got, tt.want)
			}
		}
	}
}

func TestMatchAllocatesNothing(t *testing.T) {
	f := mustParse(t, `$Principal is 'bob' or $Country in ['UK','GB'] and hasRoles ['trader'] and not $Roles is 'x' and has Tier`)
	var session Properties = Map{"$Principal": "alice", "$Roles": `"trader","admin"`, "$Country": "GB", "Tier": "free"}
	if !f.Match(session) {
		t.Fatal("no match")
	}
	if n := testing.AllocsPerRun(100, func() { f.Match(session) }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkMatch(b *testing.B) {
	f := mustParse(b, `$Principal is 'bob' or $Country in ['UK','GB'] and hasRoles ['trader'] and has Tier`)
	var session Properties = Map{"$Principal": "alice", "$Roles": `"trader","admin"`, "$Country": "GB", "Tier": "free"}
	b.ReportAllocs()
	for b.Loop() {
		f.Match(session)
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"all", "", "bad", "$Principal xx", `$Principal is 'alice' and not (Tier eq "free")`, `hasRoles ["trader" "admin"]`,
		"$Country in ['UK','US']", "has Location", `$ClientIP matches "192\\.168\\..*"`, `$Roles eq '"a","b"'`,
		"all is 'x' or has is", "not not (all)", `A ne "\'\\" or hasRoles'a',"b"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		parsed, err := Parse(text)
		if err != nil {
			var e *Error
			if !errors.As(err, &e) || e.Offset < 0 || e.Offset > len(text) || e.Line < 1 || e.Column < 1 {
				t.Fatalf("Parse(%q) = %#v", text, err)
			}
			return
		}
		again, err := Parse(parsed.String())
		if err != nil {
			t.Fatalf("%q becomes %q: %v", text, parsed, err)
		}
		if again.String() != parsed.String() {
			t.Fatalf("%q becomes %q, then %q", text, parsed, again)
		}
		if parsed.Match(alice) != again.Match(alice) {
			t.Fatalf("%q and %q differ", text, parsed)
		}
	})
}
