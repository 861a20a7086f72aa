package security

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// runPolicyScript applies a script to a model on behalf of by.
func runPolicyScript(from Model, by, script string) (Model, error) {
	statements, err := parsePolicyScript(script)
	if err != nil {
		return Model{}, err
	}
	e := newPolicyEdit(&from, author{name: by})
	if err := e.run(statements); err != nil {
		return Model{}, err
	}
	return e.model, nil
}

func mustModel(t testing.TB, script string) Model {
	t.Helper()
	m, err := runPolicyScript(Model{}, "", script)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestPolicyScriptOfTheVectors(t *testing.T) {
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
		if e.Service != 60 || e.Script == "" {
			continue
		}
		found++
		m, err := runPolicyScript(Model{}, "x", e.Script)
		if err != nil {
			t.Error(err)
			continue
		}
		want := Model{
			Anonymous: []string{"CLIENT"},
			Named:     []string{"CLIENT", "o'x"},
			Roles: []Role{{
				Name:        "R",
				Global:      Globals(ViewSession, ModifySession),
				DefaultPath: Paths(ReadTopic),
				Paths:       map[string]PathSet{},
				Includes:    []string{"CLIENT"},
				LockedBy:    "admin",
			}},
		}
		if m.Isolated != nil && len(m.Isolated) == 0 {
			m.Isolated = nil
		}
		if !reflect.DeepEqual(m, want) {
			t.Errorf("got  %+v\nwant %+v", m, want)
		}
	}
	if found == 0 {
		t.Error("the vectors hold no security script")
	}
}

func TestPolicyScriptResult(t *testing.T) {
	const sessions = "set roles for anonymous sessions []\nset roles for named sessions []\n"
	role := func(name, global, byDefault, includes string, paths ...string) string {
		return fmt.Sprintf("set %[1]q permissions [%[2]s]\nset %[1]q default path permissions [%[3]s]\n%[4]sset %[1]q includes [%[5]s]\n",
			name, global, byDefault, strings.Join(paths, ""), includes)
	}
	tests := []struct{ name, script, want string }{
		{"nothing", "", sessions},
		{"anonymous", `set roles for anonymous sessions ["A" "B"]`,
			"set roles for anonymous sessions [\"A\" \"B\"]\nset roles for named sessions []\n"},
		{"named", "set roles for named sessions ['A','B', 'A']",
			"set roles for anonymous sessions []\nset roles for named sessions [\"A\" \"B\"]\n"},
		{"none any more", "set roles for named sessions ['A']\nset roles for named sessions []", sessions},
		{"global", "set 'R' permissions [VIEW_SESSION,authenticate Modify_Topic_Views]",
			sessions + role("R", "AUTHENTICATE VIEW_SESSION MODIFY_TOPIC_VIEWS", "", "")},
		{"global replaced", "set 'R' permissions [VIEW_SESSION]\nset 'R' permissions [VIEW_SERVER]",
			sessions + role("R", "VIEW_SERVER", "", "")},
		{"default path", "set 'R' default path permissions [EXPOSE_BRANCH READ_TOPIC]",
			sessions + role("R", "", "READ_TOPIC EXPOSE_BRANCH", "")},
		{"default topic", "set 'R' default topic permissions [READ_TOPIC]", sessions + role("R", "", "READ_TOPIC", "")},
		{"path", "set 'R' path 'b' permissions [READ_TOPIC]\nset 'R' topic '/a/b/' permissions []",
			sessions + role("R", "", "", "", "set \"R\" path \"a/b\" permissions []\n", "set \"R\" path \"b\" permissions [READ_TOPIC]\n")},
		{"path removed", "set 'R' path 'a' permissions []\nremove 'R' permissions for path '/a'", sessions + role("R", "", "", "")},
		{"topic removed", "set 'R' path 'a' permissions []\nremove 'R' permissions for topic 'a'", sessions + role("R", "", "", "")},
		{"nothing to remove", "remove 'R' permissions for path 'a'", sessions},
		{"includes", "set 'R' includes ['B' 'A' 'B']", sessions + role("R", "", "", `"B" "A"`)},
		{"a cycle that does not last", "set 'A' includes ['B']\nset 'B' includes ['A']\nset 'A' includes []",
			sessions + role("A", "", "", "") + role("B", "", "", `"A"`)},
		{"lock", "set role 'R' locked by principal 'me'",
			sessions + role("R", "", "", "") + "set role \"R\" locked by principal \"me\"\n"},
		{"isolate", "isolate path 'b'\nisolate topic '/a/'\nisolate path 'b'", sessions + "isolate path \"b\"\nisolate path \"a\"\n"},
		{"deisolate", "isolate path 'b'\nisolate path 'a'\ndeisolate topic '/b'", sessions + "isolate path \"a\"\n"},
		{"isolate again", "isolate path 'a'\ndeisolate path 'a'\ndeisolate path 'a'\nisolate path 'a'\n", sessions + "isolate path \"a\"\n"},
		{"isolate after all", "deisolate path 'a'\nisolate path 'a'\n", sessions + "isolate path \"a\"\n"},
		{"layout", "\r\n # note\n\tSET \"R\"  Default PATH Permissions[ read_topic ,SELECT_TOPIC\t]#x\r\n", sessions + role("R", "", "READ_TOPIC SELECT_TOPIC", "")},
		{"a role with the name of a keyword", "set 'roles' includes ['role']", sessions + role("roles", "", "", `"role"`)},
		{"quotes", `set 'it\'s "\\"' path 'a b/[c]' permissions []`, sessions +
			"set \"it's \\\"\\\\\\\"\" permissions []\nset \"it's \\\"\\\\\\\"\" default path permissions []\nset \"it's \\\"\\\\\\\"\" path \"a b/[c]\" permissions []\nset \"it's \\\"\\\\\\\"\" includes []\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := mustModel(t, tt.script)
			if got := m.Script(); got != tt.want {
				t.Errorf("got\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

func TestPolicyScriptErrors(t *testing.T) {
	const (
		globals = "AUTHENTICATE, CONTROL_SERVER, MODIFY_SECURITY, MODIFY_SESSION, MODIFY_TOPIC_VIEWS, READ_TOPIC_VIEWS, REGISTER_HANDLER, VIEW_SECURITY, VIEW_SERVER, VIEW_SESSION"
		paths   = "ACQUIRE_LOCK, EDIT_OWN_TIME_SERIES_EVENTS, EDIT_TIME_SERIES_EVENTS, EXPOSE_BRANCH, MODIFY_TOPIC, QUERY_OBSOLETE_TIME_SERIES_EVENTS, READ_TOPIC, SELECT_TOPIC, SEND_TO_MESSAGE_HANDLER, SEND_TO_SESSION, UPDATE_TOPIC"
	)
	tests := []struct{ name, script, want string }{
		{"command", "\nbad", "line 2, column 1: unknown command; a line starts with set, remove, isolate or deisolate"},
		{"of the other store", "add principal 'a' 'b'", "line 1, column 1: unknown command; a line starts with set, remove, isolate or deisolate"},
		{"set alone", "set", `line 1, column 4: expected "roles", "role" or the name of a role in quotes`},
		{"role without quotes", "set CLIENT permissions []", `line 1, column 5: expected "roles", "role" or the name of a role in quotes`},
		{"role empty", "set '' permissions []", "line 1, column 5: the name of a role must not be empty"},
		{"of role", "set 'é' permission []", `line 1, column 9: expected "permissions", "default", "path" or "includes"`},
		{"whose sessions", "set roles for all sessions []", `line 1, column 15: expected "anonymous" or "named"`},
		{"sessions", "set roles for named []", `line 1, column 21: expected "sessions"`},
		{"roles missing", "set roles for named sessions", "line 1, column 29: expected [ and a list of roles in quotes"},
		{"roles without quotes", "set roles for named sessions [CLIENT]", "line 1, column 31: expected a role in quotes or ]"},
		{"roles open", "set 'R' includes ['a'", "line 1, column 22: expected a role in quotes or ]"},
		{"role in list empty", "set 'R' includes ['a' '']", "line 1, column 23: the name of a role must not be empty"},
		{"permissions missing", "set 'R' permissions", "line 1, column 20: expected [ and a list of permissions without quotes"},
		{"permissions in quotes", "set 'R' permissions ['VIEW_SESSION']", "line 1, column 22: expected a permission without quotes or ]"},
		{"permissions with two commas", "set 'R' permissions [VIEW_SESSION,,VIEW_SERVER]", "line 1, column 35: expected a permission without quotes or ]"},
		{"global unknown", "set 'R' permissions [VIEW_SESSION VIEW_ALL]", "line 1, column 35: there is no global permission of this name; there are " + globals},
		{"global never granted", "set 'R' permissions [UNKNOWN_GLOBAL_PERMISSION]", "line 1, column 22: there is no global permission of this name; there are " + globals},
		{"path permission as global", "set 'R' permissions [read_topic]", "line 1, column 22: READ_TOPIC is a path permission, this is a list of global permissions"},
		{"path permission unknown", "set 'R' path 'a' permissions [READ_TOPICS]", "line 1, column 31: there is no path permission of this name; there are " + paths},
		{"path permission never granted", "set 'R' default path permissions [UNKNOWN_PATH_PERMISSION]", "line 1, column 35: there is no path permission of this name; there are " + paths},
		{"global permission as path", "set 'R' default path permissions [READ_TOPIC VIEW_SESSION]", "line 1, column 46: VIEW_SESSION is a global permission, this is a list of path permissions"},
		{"default", "set 'R' default permissions []", `line 1, column 17: expected "path"`},
		{"default permissions", "set 'R' default path []", `line 1, column 22: expected "permissions"`},
		{"path missing", "set 'R' path permissions []", "line 1, column 14: expected a path in quotes"},
		{"path empty", "set 'R' path '' permissions []", "line 1, column 14: a path must not be empty"},
		{"path of slashes", "isolate path '//'", "line 1, column 14: a path names at least one segment; for all paths use the default path permissions"},
		{"path with a hole", "isolate path 'a//b'", "line 1, column 14: a path must not have an empty segment"},
		{"path permissions", "set 'R' path 'a' []", `line 1, column 18: expected "permissions"`},
		{"remove", "remove 'R' permissions path 'a'", `line 1, column 24: expected "for"`},
		{"remove what", "remove role 'R'", "line 1, column 8: expected the name of a role in quotes"},
		{"remove where", "remove 'R' permissions for 'a'", `line 1, column 28: expected "path"`},
		{"lock", "set role 'R' locked by 'a'", `line 1, column 24: expected "principal"`},
		{"lock by whom", "set role 'R' locked by principal", "line 1, column 33: expected the name of the locking principal in quotes"},
		{"lock by nobody", "set role 'R' locked by principal ''", "line 1, column 34: the name of the locking principal must not be empty"},
		{"isolate", "isolate 'a'", `line 1, column 9: expected "path"`},
		{"deisolate", "deisolate path", "line 1, column 15: expected a path in quotes"},
		{"more", "isolate path 'a' 'b'", "line 1, column 18: the command should end here"},
		{"quote", "isolate path 'a", "line 1, column 14: this quote is never closed"},
		{"several", "x\nisolate path 'a'\ny", "line 1, column 1: unknown command; a line starts with set, remove, isolate or deisolate (and 1 more)"},

		{"locked", "set 'R' permissions []\nset role 'R' locked by principal 'other'\nset 'R' permissions [VIEW_SESSION]", "line 3, column 5: this role is locked by another principal"},
		{"lock taken over", "set role 'R' locked by principal 'other'\nset role 'R' locked by principal 'me'", "line 2, column 10: this role is locked by another principal"},
		{"locked, remove", "set role 'R' locked by principal 'other'\nremove 'R' permissions for path 'a'", "line 2, column 8: this role is locked by another principal"},
		{"locked, includes", "set role 'R' locked by principal 'other'\nset 'R' includes []", "line 2, column 5: this role is locked by another principal"},
		{"self", "set 'R' includes ['a' 'R']", `line 1, column 18: a role must not include itself: "R" includes "R"`},
		{"cycle", "set 'A' includes ['B']\nset 'C' includes ['A']\n  set 'B' includes ['C']\nisolate path 'x'", `line 3, column 20: a role must not include itself: "A" includes "B" includes "C" includes "A"`},
		{"two cycles", "set 'A' includes ['A']\nset 'B' includes ['B']", `line 1, column 18: a role must not include itself: "A" includes "A" (and 1 more)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := runPolicyScript(Model{}, "me", tt.script)
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

func TestPolicyScriptLimits(t *testing.T) {
	var b strings.Builder
	for i := range maxRoles {
		fmt.Fprintf(&b, "set 'r%d' includes ['r%d']\n", i, i+1)
	}
	chain := mustModel(t, b.String())
	p := mustPolicy(t, chain)
	if p.HasGlobal([]string{"r0"}, ViewSession) {
		t.Error("roles without permissions have one")
	}
	_, err := runPolicyScript(chain, "", "set 'one more' permissions []")
	if want := "line 1, column 5: there are 10000 roles already, and a store holds no more"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = runPolicyScript(chain, "", fmt.Sprintf("set 'r%d' includes ['r0']", maxRoles-1))
	if want := `"r8" includes "r9" includes ... (9990 more) includes "r0"`; err == nil || !strings.HasSuffix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = runPolicyScript(Model{}, "", strings.Repeat("x\n", 10*maxScriptErrors))
	var errs ScriptErrors
	if !errors.As(err, &errs) || len(errs) != maxScriptErrors {
		t.Errorf("%d errors, want %d", len(errs), maxScriptErrors)
	}
}

// drawModel makes models as scripts do.
func drawModel(t *rapid.T) Model {
	path := rapid.StringMatching(`[ab](/[ab]){0,3}`)
	names := []string{"r0", "r1", "r2", "r3", `"\`}
	set := rapid.Custom(func(t *rapid.T) PathSet { return PathSet(rapid.Uint16().Draw(t, "set")) & allPath })
	some := rapid.SliceOfNDistinct(rapid.SampledFrom(append(names, "x")), 0, 3, rapid.ID[string])
	m := Model{Anonymous: some.Draw(t, "anonymous"), Named: some.Draw(t, "named")}
	for i, name := range names {
		m.Roles = append(m.Roles, Role{
			Name:        name,
			Global:      GlobalSet(rapid.Uint16().Draw(t, "global")) & allGlobal,
			DefaultPath: set.Draw(t, "default"),
			Paths:       rapid.MapOfN(path, set, 0, 4).Draw(t, "paths"),
			Includes:    rapid.SliceOfNDistinct(rapid.SampledFrom(append(names[:i:i], "x")), 0, 2, rapid.ID[string]).Draw(t, "includes"),
			LockedBy:    rapid.SampledFrom([]string{"", "", "me"}).Draw(t, "locked"),
		})
	}
	m.Isolated = rapid.SliceOfNDistinct(path, 0, 3, rapid.ID[string]).Draw(t, "isolated")
	return m
}

// The script of a model makes this model of nothing, and changes nothing of
// the model.
func TestPolicyScriptIsTheIdentity(t *testing.T) {
	check := func(t interface{ Fatalf(string, ...any) }, m Model) {
		script := m.Script()
		for _, from := range []Model{{}, m} {
			again, err := runPolicyScript(from, "me", script)
			if err != nil {
				t.Fatalf("%v in\n%s", err, script)
			}
			if got := again.Script(); got != script {
				t.Fatalf("got\n%s\nwant\n%s", got, script)
			}
		}
	}
	check(t, Model{})
	check(t, StockModel())
	rapid.Check(t, func(t *rapid.T) { check(t, drawModel(t)) })
}

func FuzzPolicyScript(f *testing.F) {
	f.Add(stockPolicyScript)
	f.Add("set roles for anonymous sessions ['CLIENT']\nset 'R' topic 'a/b' permissions [UPDATE_TOPIC, READ_TOPIC]\nset role 'R' locked by principal 'admin'")
	f.Add("set 'A' includes ['B']\nset 'B' includes ['A']")
	f.Add("isolate path \"\\\"é/\\\\\"# x\ndeisolate path 'b'\r\nremove 'R' permissions for path 'a'")
	f.Fuzz(func(t *testing.T, script string) {
		m, err := runPolicyScript(StockModel(), "me", script)
		if err != nil {
			for _, e := range err.(ScriptErrors) {
				if e.Line < 1 || e.Line > strings.Count(script, "\n")+1 || e.Column < 1 || e.Column > len(script)+1 {
					t.Fatalf("position outside the script: %v", e)
				}
			}
			return
		}
		if _, err := NewPolicy(m); err != nil {
			t.Fatal(err)
		}
		written := m.Script()
		again, err := runPolicyScript(Model{}, "me", written)
		if err != nil {
			t.Fatalf("%v in\n%s", err, written)
		}
		if got := again.Script(); got != written {
			t.Fatalf("read back\n%s\nwritten\n%s", got, written)
		}
	})
}
