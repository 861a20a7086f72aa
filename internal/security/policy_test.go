package security

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var stockRoles = []string{
	RoleClient, RoleTopicControl, RoleClientControl, RoleAuthenticationHandler,
	RoleOperator, RoleAdministrator, RoleJMXAdministrator,
}

// matrix reads a table with a permission and a cell per role in each line: x
// is granted, - is not.
func matrix(t *testing.T, table string) map[string]map[string]bool {
	t.Helper()
	rows := make(map[string]map[string]bool)
	for line := range strings.Lines(table) {
		fields := strings.Fields(line)
		if len(fields) == 0 {
			continue
		}
		if len(fields) != 1+len(stockRoles) {
			t.Fatalf("line %q has %d cells, want %d", line, len(fields)-1, len(stockRoles))
		}
		row := make(map[string]bool)
		for i, role := range stockRoles {
			row[role] = fields[i+1] == "x"
		}
		rows[fields[0]] = row
	}
	return rows
}

// Columns: CLIENT, TOPIC_CONTROL, CLIENT_CONTROL, AUTHENTICATION_HANDLER,
// OPERATOR, ADMINISTRATOR, JMX_ADMINISTRATOR.
const (
	globalTable = `
		AUTHENTICATE              - - - x - - -
		VIEW_SESSION              - - x - x x x
		MODIFY_SESSION            - - x - - x x
		REGISTER_HANDLER          - - x x - x x
		VIEW_SERVER               - - - - x x x
		CONTROL_SERVER            - - - - - x x
		VIEW_SECURITY             - - - - - x x
		MODIFY_SECURITY           - - - - - x x
		UNKNOWN_GLOBAL_PERMISSION - - - - - - -
		READ_TOPIC_VIEWS          - x - - - x x
		MODIFY_TOPIC_VIEWS        - x - - - x x`
	defaultPathTable = `
		SELECT_TOPIC                      x x x x x x x
		READ_TOPIC                        x x x x x x x
		SEND_TO_MESSAGE_HANDLER           x x x x x x x
		UPDATE_TOPIC                      - x - - - x x
		MODIFY_TOPIC                      - x - - - x x
		SEND_TO_SESSION                   - - x - - x x
		ACQUIRE_LOCK                      - x x - - x x
		EXPOSE_BRANCH                     - x - - - x x
		EDIT_TIME_SERIES_EVENTS           - x - - - x x
		EDIT_OWN_TIME_SERIES_EVENTS       - - - - - - -
		QUERY_OBSOLETE_TIME_SERIES_EVENTS - - - - - - -
		UNKNOWN_PATH_PERMISSION           - - - - - - -`
	reservedPathTable = `
		SELECT_TOPIC                      - - - - x x x
		READ_TOPIC                        - - - - x x x
		SEND_TO_MESSAGE_HANDLER           - - - - x x x
		UPDATE_TOPIC                      - - - - - x x
		MODIFY_TOPIC                      - - - - - x x
		SEND_TO_SESSION                   - - - - - - -
		ACQUIRE_LOCK                      - - - - - - -
		EXPOSE_BRANCH                     - - - - - - -
		EDIT_TIME_SERIES_EVENTS           - - - - - - -
		EDIT_OWN_TIME_SERIES_EVENTS       - - - - - - -
		QUERY_OBSOLETE_TIME_SERIES_EVENTS - - - - - - -
		UNKNOWN_PATH_PERMISSION           - - - - - - -`
)

func TestStockGlobalPermissions(t *testing.T) {
	want := matrix(t, globalTable)
	if len(want) != len(globalNames) {
		t.Fatalf("the table has %d permissions, want %d", len(want), len(globalNames))
	}
	for code := range GlobalPermission(len(globalNames)) {
		for _, role := range stockRoles {
			if got := StockPolicy().HasGlobal([]string{role}, code); got != want[code.String()][role] {
				t.Errorf("%s has %v: got %v, want %v", role, code, got, !got)
			}
		}
	}
}

func TestStockPathPermissions(t *testing.T) {
	tables := []struct {
		table string
		paths []string
	}{
		{defaultPathTable, []string{"", "a", "a/b/c", "Diffusio", "DiffusionX", "DiffusionX/a", "diffusion", "a/Diffusion"}},
		{reservedPathTable, []string{"Diffusion", "Diffusion/", "/Diffusion", "//Diffusion/a", "Diffusion//a", "Diffusion/a/b"}},
	}
	for _, table := range tables {
		want := matrix(t, table.table)
		if len(want) != len(pathNames) {
			t.Fatalf("the table has %d permissions, want %d", len(want), len(pathNames))
		}
		for _, path := range table.paths {
			for code := range PathPermission(len(pathNames)) {
				for _, role := range stockRoles {
					if got := StockPolicy().HasPath([]string{role}, path, code); got != want[code.String()][role] {
						t.Errorf("%s has %v on %q: got %v, want %v", role, code, path, got, !got)
					}
				}
			}
		}
	}
}

func TestAdministratorHasExactlyNineAndNine(t *testing.T) {
	p := StockPolicy()
	roles := []string{RoleAdministrator}
	if got, want := p.GlobalPermissions(roles).String(),
		"[VIEW_SESSION MODIFY_SESSION REGISTER_HANDLER VIEW_SERVER CONTROL_SERVER VIEW_SECURITY MODIFY_SECURITY READ_TOPIC_VIEWS MODIFY_TOPIC_VIEWS]"; got != want {
		t.Errorf("global permissions\n got %s\nwant %s", got, want)
	}
	if got, want := p.PathPermissions(roles, "any/path").String(),
		"[READ_TOPIC UPDATE_TOPIC MODIFY_TOPIC SEND_TO_MESSAGE_HANDLER SEND_TO_SESSION SELECT_TOPIC EDIT_TIME_SERIES_EVENTS ACQUIRE_LOCK EXPOSE_BRANCH]"; got != want {
		t.Errorf("path permissions\n got %s\nwant %s", got, want)
	}
}

func TestPermissionCodes(t *testing.T) {
	// Protocol 32 section 6.
	globals := []GlobalPermission{Authenticate, ViewSession, ModifySession, RegisterHandler, ViewServer,
		ControlServer, ViewSecurity, ModifySecurity, unknownGlobal, ReadTopicViews, ModifyTopicViews}
	paths := []PathPermission{ReadTopic, UpdateTopic, ModifyTopic, SendToMessageHandler, SendToSession, SelectTopic,
		QueryObsoleteTimeSeriesEvents, EditTimeSeriesEvents, EditOwnTimeSeriesEvents, AcquireLock, unknownPath, ExposeBranch}
	for code, p := range globals {
		if int(p) != code {
			t.Errorf("%v = %d, want %d", p, p, code)
		}
	}
	for code, p := range paths {
		if int(p) != code {
			t.Errorf("%v = %d, want %d", p, p, code)
		}
	}
	if got := Globals(globals...); got != allGlobal || got.Has(unknownGlobal) {
		t.Errorf("set of all global permissions = %v", got)
	}
	if got := Paths(paths...); got != allPath || got.Has(unknownPath) {
		t.Errorf("set of all path permissions = %v", got)
	}
	if !slices.Equal(Paths(ExposeBranch, ReadTopic).List(), []PathPermission{ReadTopic, ExposeBranch}) {
		t.Errorf("List = %v", Paths(ExposeBranch, ReadTopic).List())
	}
	for code := range 256 {
		if code >= len(globals) && (allGlobal.Has(GlobalPermission(code)) || Globals(GlobalPermission(code)) != 0) {
			t.Errorf("global permission %d exists", code)
		}
		if code >= len(paths) && (allPath.Has(PathPermission(code)) || Paths(PathPermission(code)) != 0) {
			t.Errorf("path permission %d exists", code)
		}
	}
	if GlobalPermission(200).String() != "GlobalPermission(200)" || PathPermission(200).String() != "PathPermission(200)" {
		t.Error("a code without a name must still print")
	}
}

func mustPolicy(t testing.TB, m Model) *Policy {
	t.Helper()
	p, err := NewPolicy(m)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPathEvaluation(t *testing.T) {
	type paths = map[string]PathSet
	model := Model{
		Roles: []Role{
			{Name: "base", DefaultPath: Paths(ReadTopic), Paths: paths{"a": Paths(UpdateTopic), "/d/": Paths(AcquireLock)}},
			{Name: "deep", DefaultPath: Paths(ModifyTopic), Paths: paths{"a/b": Paths(ModifyTopic), "e": 0}},
			{Name: "over", Includes: []string{"base"}, Paths: paths{"a/b/c": Paths(SendToSession)}},
			{Name: "alone", DefaultPath: Paths(SelectTopic)},
			{Name: "phantom", Includes: []string{"nowhere"}},
		},
		Isolated: []string{"i", "a/i"},
	}
	p := mustPolicy(t, model)
	tests := []struct {
		name  string
		roles string
		path  string
		want  PathSet
	}{
		{"no roles", "", "a", 0},
		{"unknown role", "ghost", "x", 0},
		{"included role without definition", "phantom", "x", 0},
		{"default", "base", "x/y", Paths(ReadTopic)},
		{"default is a union", "base deep", "x/y", Paths(ReadTopic, ModifyTopic)},
		{"assignment", "base", "a", Paths(UpdateTopic)},
		{"inherited assignment", "base", "a/x/y", Paths(UpdateTopic)},
		{"slashes in the model", "base", "d/x", Paths(AcquireLock)},
		{"siblings by name only", "base", "aa", Paths(ReadTopic)},
		{"level chosen for all roles together", "base deep", "a/b/x", Paths(ModifyTopic)},
		{"further up only one role is assigned", "base deep", "a/x", Paths(UpdateTopic)},
		{"included assignment counts", "over", "a/x", Paths(UpdateTopic)},
		{"own assignment is nearer", "over", "a/b/c/d", Paths(SendToSession)},
		{"included default counts", "over", "x", Paths(ReadTopic)},
		{"empty assignment hides", "deep", "e/x", 0},
		{"empty assignment hides for all roles", "base deep", "e/x", 0},
		{"role without the empty assignment", "base", "e/x", Paths(ReadTopic)},
		{"isolated path stops the default", "alone", "i/x", 0},
		{"isolated path stops assignments above", "base", "a/i", 0},
		{"isolation ends at its branch", "alone", "ii", Paths(SelectTopic)},
		{"repetition and order", "deep base base deep", "a/b", Paths(ModifyTopic)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := p.PathPermissions(strings.Fields(tt.roles), tt.path); got != tt.want {
				t.Errorf("[%s] on %q: got %v, want %v", tt.roles, tt.path, got, tt.want)
			}
		})
	}
}

func TestIsolatedPathKeepsItsOwnAssignment(t *testing.T) {
	p := mustPolicy(t, Model{
		Roles:    []Role{{Name: "r", DefaultPath: Paths(ReadTopic), Paths: map[string]PathSet{"i": Paths(UpdateTopic), "": Paths(AcquireLock)}}},
		Isolated: []string{"i", "j"},
	})
	for path, want := range map[string]PathSet{"i/x": Paths(UpdateTopic), "j/x": 0, "x": Paths(AcquireLock), "": Paths(AcquireLock)} {
		if got := p.PathPermissions([]string{"r"}, path); got != want {
			t.Errorf("on %q: got %v, want %v", path, got, want)
		}
	}
}

func TestClientWithOperatorKeepsReservedBranch(t *testing.T) {
	roles := []string{RoleClient, RoleOperator}
	if !StockPolicy().HasPath(roles, "Diffusion/Metrics", ReadTopic) {
		t.Error("assignments at one level are a union, so OPERATOR reads Diffusion beside CLIENT")
	}
}

func TestNewPolicyErrors(t *testing.T) {
	tests := []struct {
		name  string
		roles []Role
		want  string
	}{
		{"nameless", []Role{{}}, "define role: a role needs a name"},
		{"twice", []Role{{Name: "r"}, {Name: "r"}}, `define role "r": it is defined twice`},
		{"self", []Role{{Name: "r", Includes: []string{"r"}}}, `define role "r": a role must not include itself: "r" includes "r"`},
		{"cycle", []Role{
			{Name: "a", Includes: []string{"b"}}, {Name: "b", Includes: []string{"c"}}, {Name: "c", Includes: []string{"a"}},
		}, `define role "a": a role must not include itself: "a" includes "b" includes "c" includes "a"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := NewPolicy(Model{Roles: tt.roles}); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, want %s", err, tt.want)
			}
		})
	}
}

func TestPolicyKeepsNothingOfItsModel(t *testing.T) {
	m := StockModel()
	p := mustPolicy(t, m)
	for i := range m.Roles {
		clear(m.Roles[i].Paths)
	}
	if p.HasPath([]string{RoleClient}, "Diffusion", ReadTopic) {
		t.Error("the policy changed with its model")
	}
	if mustPolicy(t, StockModel()).HasPath([]string{RoleClient}, "Diffusion", ReadTopic) {
		t.Error("one stock model changed with another")
	}
}

func TestResolveIsCachedAndBounded(t *testing.T) {
	var m Model
	names := []string{"", "a b", `a" "b`, "ghost"}
	for i := range 14 {
		names = append(names, string(rune('A'+i)))
	}
	for _, n := range names[1:3] {
		m.Roles = append(m.Roles, Role{Name: n})
	}
	for _, n := range names[4:] {
		m.Roles = append(m.Roles, Role{Name: n})
	}
	p := mustPolicy(t, m)
	if p.Resolve([]string{"A", "B", "B"}) != p.Resolve([]string{"B", "ghost", "A"}) {
		t.Error("one role set must yield one grant")
	}
	if p.Resolve([]string{"a b"}) == p.Resolve([]string{`a" "b`}) {
		t.Error("two role sets share a grant")
	}
	for set := range 1 << 14 {
		var roles []string
		for i := range 14 {
			if set&(1<<i) != 0 {
				roles = append(roles, names[4+i])
			}
		}
		p.Resolve(roles)
	}
	if n := len(p.grants); n > maxGrants {
		t.Errorf("%d grants are cached, want at most %d", n, maxGrants)
	}
}

// slowPath follows protocol 32 section 6 to the letter.
func slowPath(m Model, roles []string, path string) PathSet {
	defined := make(map[string]Role)
	for _, r := range m.Roles {
		defined[r.Name] = r
	}
	closure := make(map[string]bool)
	var include func(string)
	include = func(name string) {
		if !closure[name] {
			closure[name] = true
			for _, i := range defined[name].Includes {
				include(i)
			}
		}
	}
	for _, r := range roles {
		include(r)
	}
	var union PathSet
	for {
		found := false
		for name := range closure {
			if set, ok := defined[name].Paths[path]; ok {
				found = true
				union |= set
			}
		}
		if found || slices.Contains(m.Isolated, path) {
			return union
		}
		slash := strings.LastIndexByte(path, '/')
		if slash < 0 {
			break
		}
		path = path[:slash]
	}
	for name := range closure {
		union |= defined[name].DefaultPath
	}
	return union
}

func TestEvaluationAgainstSlowOne(t *testing.T) {
	path := rapid.StringMatching(`[ab](/[ab]){0,3}`)
	set := rapid.Custom(func(t *rapid.T) PathSet { return PathSet(rapid.Uint16().Draw(t, "set")) & allPath })
	names := []string{"r0", "r1", "r2", "r3"}
	rapid.Check(t, func(t *rapid.T) {
		var m Model
		for i, name := range names {
			m.Roles = append(m.Roles, Role{
				Name:        name,
				DefaultPath: set.Draw(t, "default"),
				Paths:       rapid.MapOfN(path, set, 0, 4).Draw(t, "paths"),
				Includes:    rapid.SliceOfN(rapid.SampledFrom(append(names[:i:i], "x")), 0, 2).Draw(t, "includes"),
			})
		}
		m.Isolated = rapid.SliceOfN(path, 0, 3).Draw(t, "isolated")
		p, err := NewPolicy(m)
		if err != nil {
			t.Fatal(err)
		}
		roles := rapid.SliceOfN(rapid.SampledFrom(names), 0, 3).Draw(t, "roles")
		for range 8 {
			at := path.Draw(t, "path")
			if got, want := p.PathPermissions(roles, at), slowPath(m, roles, at); got != want {
				t.Fatalf("%v on %q: got %v, want %v", roles, at, got, want)
			}
		}
	})
}

func TestGrantAllocatesNothing(t *testing.T) {
	g := StockPolicy().Resolve([]string{RoleClient})
	for _, path := range []string{"prices/eur/usd", "Diffusion/Metrics/server", "/Diffusion/", "Data/x"} {
		if n := testing.AllocsPerRun(100, func() { g.Path(path, ReadTopic) }); n != 0 {
			t.Errorf("Path(%q) allocates %v times", path, n)
		}
	}
}

func BenchmarkGrantPath(b *testing.B) {
	g := StockPolicy().Resolve([]string{RoleClient})
	for name, path := range map[string]string{
		"no assignment near": "prices/fx/eur/usd",
		"same first letter":  "Devices/4711/state",
		"under assignment":   "Diffusion/Metrics/server/sessions",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				g.Path(path, ReadTopic)
			}
		})
	}
}

func BenchmarkResolve(b *testing.B) {
	p := StockPolicy()
	roles := []string{RoleTopicControl, RoleClientControl, RoleAuthenticationHandler}
	b.ReportAllocs()
	for b.Loop() {
		p.Resolve(roles)
	}
}
