package security

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestExplain(t *testing.T) {
	p := mustPolicy(t, mustModel(t, `set "base" permissions [VIEW_SERVER]
set "base" default path permissions [READ_TOPIC]
set "base" path "a" permissions [UPDATE_TOPIC]
set "mid" includes ["base"]
set "top" includes ["mid"]
set "top" path "a/b" permissions [SELECT_TOPIC]
set "empty" path "e" permissions []
set "all" default path permissions [READ_TOPIC]
isolate path "i"`))
	const global = "(global)"
	tests := []struct {
		roles, permission, path, want string
	}{
		{"base", "VIEW_SERVER", global, `VIEW_SERVER is granted by base`},
		{"all top base", "VIEW_SERVER", global, `VIEW_SERVER is granted by base`},
		{"top all", "VIEW_SERVER", global, `VIEW_SERVER is granted by base (included by mid, by top)`},
		{"top", "VIEW_SESSION", global, `VIEW_SESSION is denied: no role has it`},
		{"", "VIEW_SESSION", global, `VIEW_SESSION is denied: no role has it`},
		{"ghost base ghost", "VIEW_SESSION", global, `VIEW_SESSION is denied: no role has it (undefined roles: ghost)`},
		{"base", "UPDATE_TOPIC", "/a/x/", `UPDATE_TOPIC on "a/x" is granted by base, assigned at "a"`},
		{"top", "UPDATE_TOPIC", "a", `UPDATE_TOPIC on "a" is granted by base (included by mid, by top), assigned at "a"`},
		{"top", "UPDATE_TOPIC", "a/b/c", `UPDATE_TOPIC on "a/b/c" is denied: the nearest assignments, at "a/b", are those of top, without it`},
		{"base mid", "READ_TOPIC", "a", `READ_TOPIC on "a" is denied: the nearest assignments, at "a", are those of base, without it`},
		{"base empty", "READ_TOPIC", "e", `READ_TOPIC on "e" is denied: the nearest assignments, at "e", are those of empty, without it`},
		{"base all", "READ_TOPIC", "x", `READ_TOPIC on "x" is granted by base and all, by default`},
		{"base", "ACQUIRE_LOCK", "x/y", `ACQUIRE_LOCK on "x/y" is denied: no role has an assignment on the way up, nor the permission by default`},
		{"all", "READ_TOPIC", "i/x", `READ_TOPIC on "i/x" is denied: "i" is isolated, and no role has an assignment there or nearer`},
	}
	for _, tt := range tests {
		roles := strings.Fields(tt.roles)
		var got Explanation
		if tt.path == global {
			got = p.ExplainGlobal(roles, globalNamed[tt.permission])
		} else {
			got = p.ExplainPath(roles, pathNamed[tt.permission], tt.path)
		}
		if got.String() != tt.want {
			t.Errorf("[%s] %s on %s\ngot  %v\nwant %s", tt.roles, tt.permission, tt.path, got, tt.want)
		}
	}

	want := Explanation{Permission: "READ_TOPIC", Path: "Diffusion/x", Granted: true, Rule: ByAssignment, At: "Diffusion", Via: [][]string{
		{RoleAdministrator}, {RoleAdministrator, RoleOperator},
	}}
	if got := StockPolicy().ExplainPath([]string{RoleAdministrator}, ReadTopic, "Diffusion/x"); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// The verdict is that of the grant, and the roles named are those that count.
func TestExplainAgreesWithEvaluation(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawModel(t)
		p, err := NewPolicy(m)
		if err != nil {
			t.Fatal(err)
		}
		defined := make(map[string]Role)
		for _, r := range m.Roles {
			defined[r.Name] = r
		}
		roles := rapid.SliceOfN(rapid.SampledFrom([]string{"r0", "r1", "r2", "r3", "x"}), 0, 3).Draw(t, "roles")
		path := rapid.StringMatching(`[ab](/[ab]){0,4}`).Draw(t, "path")
		g := p.Resolve(roles)

		checkWays := func(e Explanation) {
			for _, way := range e.Via {
				from := roles
				for _, role := range way {
					if !slices.Contains(from, role) {
						t.Fatalf("%v: there is no way %v", e, way)
					}
					from = defined[role].Includes
				}
			}
		}
		for _, permission := range allPath.List() {
			e := p.ExplainPath(roles, permission, path)
			if want := slowPath(m, roles, path).Has(permission); e.Granted != want || g.Path(path, permission) != want {
				t.Fatalf("%v; the rules say %v, the grant %v", e, want, g.Path(path, permission))
			}
			checkWays(e)
			for _, way := range e.Via {
				r := defined[way[len(way)-1]]
				set, assigned := r.Paths[e.At]
				if e.Rule == ByDefault {
					set, assigned = r.DefaultPath, true
				}
				if !assigned || set.Has(permission) != e.Granted {
					t.Fatalf("%v: %s has %v", e, r.Name, set)
				}
			}
			if e.Granted && e.Via == nil {
				t.Fatalf("%v: granted by nobody", e)
			}
		}
		for _, permission := range allGlobal.List() {
			e := p.ExplainGlobal(roles, permission)
			if e.Granted != g.Global(permission) {
				t.Fatalf("%v; the grant says %v", e, g.Global(permission))
			}
			checkWays(e)
		}
	})
}
