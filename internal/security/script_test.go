package security

import (
	"encoding/json"
	"errors"
	"os"
	"strings"
	"testing"
)

// sdkScript is what the reference SDK's script builder emits (protocol 32
// section 5.1).
const sdkScript = `add principal 'bob' 'pw' ['CLIENT']
add principal 'al' 'pw'
add principal 'lk' 'pw' ['A' 'B'] locked by 'admin'
assign roles 'bob' ['A' 'B']
set password 'bob' 'pw2'
verify password 'bob' 'pw2'
allow anonymous connections ['CLIENT']
deny anonymous connections
abstain anonymous connections
trust client proposed property 'Foo' if value in ['x' 'y']
trust client proposed property 'Bar' if value matches '^a\\d$'
ignore client proposed property 'Foo'
remove principal 'bob'`

// runScript applies a script to an empty store and returns the result without
// hashes.
func runScript(t testing.TB, script string) (*state, error) {
	t.Helper()
	statements, err := parseScript(script)
	if err != nil {
		return nil, err
	}
	e := newEdit(&state{}, owner)
	e.verify = func(*principal, string) (bool, error) { return false, nil }
	if err := e.run(statements); err != nil {
		return nil, err
	}
	return &e.state, nil
}

func TestScriptOfTheVectors(t *testing.T) {
	data, err := os.ReadFile("../../testdata/vectors/services-sessions.json")
	if err != nil {
		t.Fatal(err)
	}
	var vectors struct {
		Exchanges []struct {
			Service int    `json:"service"`
			Script  string `json:"script"`
		} `json:"exchanges"`
	}
	if err := json.Unmarshal(data, &vectors); err != nil {
		t.Fatal(err)
	}
	found := 0
	for _, e := range vectors.Exchanges {
		if e.Service != 58 || e.Script == "" {
			continue
		}
		found++
		if e.Script != sdkScript {
			t.Errorf("the vector is another script:\n%s", e.Script)
		}
		if _, err := runScript(t, e.Script); err != nil {
			t.Error(err)
		}
	}
	if found == 0 {
		t.Error("the vectors hold no authentication script")
	}
}

func TestScriptResult(t *testing.T) {
	tests := []struct{ name, script, want string }{
		{"nothing said is deny", "", "deny anonymous connections\n"},
		{"of the SDK", sdkScript, `abstain anonymous connections
trust client proposed property "Bar" if value matches "^a\\d$"
add principal "al" "" []
add principal "lk" "" ["A" "B"] locked by "admin"
`},
		{"last anonymous statement counts", "allow anonymous connections [\"A\"]\nallow anonymous connections", "allow anonymous connections []\n"},
		{"layout", "\r\n # note\n\tADD Principal \"a\" 'p' [ 'x', \"y\" ,'z'\t]  # why\r\nDENY anonymous CONNECTIONS\n", `deny anonymous connections
add principal "a" "" ["x" "y" "z"]
`},
		{"no space needed", `add principal"a"'p'["x""y"]locked by"b"`, `deny anonymous connections
add principal "a" "" ["x" "y"] locked by "b"
`},
		{"quotes", `add principal 'it\'s "\\" # [é]' 'p' ["a\"b"]`, `deny anonymous connections
add principal "it's \"\\\" # [é]" "" ["a\"b"]
`},
		{"password that equals the stock one", "add principal 'a' 'password'", `deny anonymous connections
add principal "a" "" [] # stock password
`},
		{"another password is no longer stock", "add principal 'a' 'password'\nset password 'a' 'x'", `deny anonymous connections
add principal "a" "" []
`},
		{"trust replaced", "trust client proposed property 'k' if value in ['1']\ntrust client proposed property 'k' if value in []", `deny anonymous connections
trust client proposed property "k" if value in []
`},
		{"removed and added", "add principal 'a' 'p' ['R']\nremove principal 'a'\nadd principal 'a' 'q'", `deny anonymous connections
add principal "a" "" []
`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			st, err := runScript(t, tt.script)
			if err != nil {
				t.Fatal(err)
			}
			if got := st.script(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestScriptErrors(t *testing.T) {
	const quotes = "unexpected character; write names and passwords in quotes"
	tests := []struct{ name, script, want string }{
		{"command", "frob", "line 1, column 1: unknown command; a line starts with add, remove, assign, set, verify, allow, deny, abstain, trust or ignore"},
		{"keyword", "deny anonymous\n", `line 1, column 15: expected "connections"`},
		{"second keyword", "\nset passwort 'a' 'b'", `line 2, column 5: expected "password"`},
		{"column counts characters", "add principal 'éé' pw", "line 1, column 20: expected a password in quotes"},
		{"name missing", "remove principal", "line 1, column 17: expected a name in quotes"},
		{"name empty", "remove principal ''", "line 1, column 18: a name must not be empty"},
		{"password missing", "add principal 'a'", "line 1, column 18: expected a password in quotes"},
		{"password empty", "add principal 'a' \"\"", "line 1, column 19: a password must not be empty"},
		{"list missing", "assign roles 'a'", "line 1, column 17: expected [ and a list of strings in quotes"},
		{"list open", "allow anonymous connections ['a' ", "line 1, column 34: expected a string in quotes or ]"},
		{"list of words", "allow anonymous connections [CLIENT]", "line 1, column 30: expected a string in quotes or ]"},
		{"list of commas", "allow anonymous connections ['a',,'b']", "line 1, column 34: expected a string in quotes or ]"},
		{"locked", "add principal 'a' 'b' locked 'c'", `line 1, column 30: expected "by"`},
		{"locked by nobody", "add principal 'a' 'b' locked by", "line 1, column 32: expected the name of the locking principal in quotes"},
		{"more", "deny anonymous connections ['a']", "line 1, column 28: the command should end here"},
		{"quote", "set password 'a' 'b", "line 1, column 18: this quote is never closed"},
		{"quote with the wrong end", `set password 'a' 'b"`, "line 1, column 18: this quote is never closed"},
		{"quote over two lines", "set password 'a' 'b\nc'", "line 1, column 18: this quote is never closed (and 1 more)"},
		{"escape", `set password 'a' 'b\n'`, `line 1, column 20: a backslash in quotes must stand before \, ' or "; write \\ for a backslash`},
		{"escape at the end", `set password 'a' 'b\`, `line 1, column 20: a backslash in quotes must stand before \, ' or "; write \\ for a backslash`},
		{"character", "add principal (a)", "line 1, column 15: " + quotes},
		{"zeros", "\x00\x00\x00", "line 1, column 1: " + quotes},
		{"not UTF-8", "# é\n# é \xff", "line 2, column 5: this is not UTF-8 text"},
		{"trust", "trust client proposed property 'a' if value is 'x'", `line 1, column 45: expected "in" or "matches"`},
		{"regex", "trust client proposed property 'a' if value matches 'a('", "line 1, column 53: this is not a regular expression that the server supports (RE2 syntax)"},
		{"regex with our parentheses", "trust client proposed property 'a' if value matches 'a)(b'", "line 1, column 53: this is not a regular expression that the server supports (RE2 syntax)"},
		{"regex with Java's classes", `trust client proposed property 'a' if value matches '[a-z&&[^b]]'`, "line 1, column 53: nested or intersected character classes are not supported"},
		{"several", "x\ndeny anonymous connections\ny\nz", "line 1, column 1: unknown command; a line starts with add, remove, assign, set, verify, allow, deny, abstain, trust or ignore (and 2 more)"},

		{"principal twice", "add principal 'a' 'b'\nadd principal \"a\" 'c'", "line 2, column 15: there is already a principal of this name"},
		{"no principal to remove", "remove principal 'a'", "line 1, column 18: there is no principal of this name"},
		{"no principal to assign", "assign roles 'a' []", "line 1, column 14: there is no principal of this name"},
		{"no principal to set", "set password 'a' 'b'", "line 1, column 14: there is no principal of this name"},
		{"no principal to verify", "verify password 'a' 'b'", "line 1, column 17: there is no principal of this name"},
		{"no property to ignore", "ignore client proposed property 'a'", "line 1, column 33: there is no trusted property of this name"},
		{"wrong password", "add principal 'a' 'b'\nverify password 'a' 'B'", "line 2, column 21: this is not the password of the principal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runScript(t, tt.script)
			if err == nil || err.Error() != tt.want {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
			var one *ScriptError
			if !errors.As(err, &one) {
				t.Errorf("%T holds no ScriptError", err)
			}
		})
	}
}

func TestScriptErrorsQuoteNothing(t *testing.T) {
	// Wherever a quote is missing, what was meant as a password must not show.
	const whole = `add principal "secret1" "secret2" ["secret3"] locked by "secret4"`
	for i := range len(whole) {
		for _, broken := range []string{whole[:i] + whole[i+1:], whole[:i], whole[i:], whole[:i] + "\n" + whole[i:]} {
			if _, err := runScript(t, broken); err != nil && strings.Contains(err.Error(), "secret") {
				t.Fatalf("%q: %v", broken, err)
			}
		}
	}
}

func TestTrustedProperties(t *testing.T) {
	s := openMemory(t)
	if got := s.TrustedProperties(map[string]string{"a": "b"}); len(got) != 0 {
		t.Errorf("the stock store trusts %v", got)
	}
	err := s.Update(t.Context(), "admin", `trust client proposed property 'in' if value in ['x' 'y']
trust client proposed property 're' if value matches 'a|b\\d'
trust client proposed property '$Roles' if value matches '.*'`)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		key, value string
		want       bool
	}{
		{"in", "x", true}, {"in", "y", true}, {"in", "xy", false}, {"in", "", false},
		{"re", "a", true}, {"re", "b7", true}, {"re", "ab7", false}, {"re", "a\n", false},
		{"$Roles", "ADMINISTRATOR", false}, {"other", "x", false},
	}
	for _, tt := range tests {
		if got := s.TrustedProperties(map[string]string{tt.key: tt.value}); (len(got) == 1) != tt.want {
			t.Errorf("%s=%q: got %v, want accepted %v", tt.key, tt.value, got, tt.want)
		}
	}
}

func FuzzScript(f *testing.F) {
	f.Add(sdkScript)
	f.Add(stockScript)
	f.Add("add principal \"é\\\\\" 'p' ['x', 'y'] locked by \"z\" # comment\r\n")
	f.Add("trust client proposed property 'a' if value matches '[a-z]{3}'")
	f.Fuzz(func(t *testing.T, script string) {
		st, err := runScript(t, script)
		if err != nil {
			for _, e := range err.(ScriptErrors) {
				if e.Line < 1 || e.Line > strings.Count(script, "\n")+1 || e.Column < 1 || e.Column > len(script)+1 {
					t.Fatalf("position outside the script: %v", e)
				}
			}
			return
		}
		// Plain scripts have no hash to write, so give each principal one.
		for i, p := range st.principals {
			q := *p
			q.hash.encoded = cheapHash.encoded
			st.principals[i] = &q
		}
		written := st.script()
		again, err := runScript(t, written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		for i, p := range again.principals {
			q := *p
			q.hash.encoded, q.stock = cheapHash.encoded, st.principals[i].stock
			again.principals[i] = &q
		}
		if got := again.script(); got != written {
			t.Fatalf("read back\n%s\nwritten\n%s", got, written)
		}
	})
}
