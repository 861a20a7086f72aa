package engine

import (
	"fmt"
	"testing"
	"time"

	"advect.dev/internal/security"
	"advect.dev/internal/service"
)

// TestSharedIdentities checks that sessions that are alike share who they are, and
// that a change of one does not change the others.
func TestSharedIdentities(t *testing.T) {
	e := newEngine(t, nil)
	a, _ := connect(t, e, "")
	b, _ := connect(t, e, "")
	admin, _ := connect(t, e, "admin")
	if a.identity.Load() != b.identity.Load() || a.route.Load() != admin.route.Load() {
		t.Error("anonymous sessions do not share their identity, or those of a listener their route")
	}
	if a.identity.Load() == admin.identity.Load() || a.author() == b.author() || a.author().Session != a.id {
		t.Errorf("sessions share what is theirs: %+v and %+v", a.author(), b.author())
	}
	before := a.author()
	if _, _, err := a.changeProperties(&service.PropertyChanges{Set: map[string]string{"p": "1"}}); err != nil {
		t.Fatal(err)
	}
	if _, ok := b.Property("p"); ok {
		t.Error("a property of one session is one of another")
	}
	if v, _ := a.Property("p"); v != "1" || a.author() == before || a.author().Principal != "" {
		t.Errorf("property %q, author %+v", v, a.author())
	}
	if err := e.cfg.Policies.Update("", `set "CLIENT" permissions [VIEW_SERVER]`); err != nil {
		t.Fatal(err)
	}
	policy := e.cfg.Policies.Policy()
	b.applyPolicy(policy)
	c, _ := connect(t, e, "")
	c.applyPolicy(policy)
	if b.identity.Load() != c.identity.Load() || !b.identity.Load().grant.Global(security.ViewServer) {
		t.Error("after a change of the policy sessions no longer share their identity")
	}
}

// TestSharedIdentitiesAreBounded checks that the identities of many principals are forgotten.
func TestSharedIdentitiesAreBounded(t *testing.T) {
	var l identities
	for i := range 10 * maxShared {
		id := &identity{principal: fmt.Sprint(i)}
		if l.share(id) != id || l.share(&identity{principal: id.principal}) != id {
			t.Fatal("not shared")
		}
		if len(l.byKey) > maxShared {
			t.Fatalf("%d are kept", len(l.byKey))
		}
	}
	one, two := &identity{principal: "p", roles: []string{"A\x00B"}}, &identity{principal: "p", roles: []string{"A", "B"}}
	if l.share(one) != one || l.share(two) != two {
		t.Error("sessions with other roles share an identity")
	}
	for _, id := range []*identity{
		{properties: map[string]string{"a": "b"}}, {location: map[string]string{"$Country": "DE"}}, {expires: time.Unix(1, 0)},
	} {
		if l.share(id) != id || l.share(&identity{principal: id.principal, roles: []string{"A"}}) == id {
			t.Errorf("%+v is shared", id)
		}
	}
}

func TestToken(t *testing.T) {
	e := newEngine(t, nil)
	s, _ := connect(t, e, "")
	text := s.Token()
	if len(text) != 24 || e.sessionByToken(text) != s {
		t.Errorf("token %q does not find its session", text)
	}
	near := s.token
	near[len(near)-1]++ // the key is the same
	for _, wrong := range []string{"", text[:23], text + "A", near.String(), "!" + text[1:], text[:23] + "="} {
		if e.sessionByToken(wrong) != nil {
			t.Errorf("%q finds a session", wrong)
		}
	}
}
