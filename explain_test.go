package advect_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"advect.dev"
	"advect.dev/advecttest"
)

func TestExplain(t *testing.T) {
	srv := advecttest.Server(t)
	ctx, admin, control := soon(t), open(t, srv.URL(), "admin"), open(t, srv.URL(), "control")
	security := admin.Security()
	if err := security.UpdateRoleStore(ctx, `set 'TOPIC_CONTROL' path 'secret' permissions [READ_TOPIC]`); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		permission, path string
		granted          bool
		at               string
		via              []string
	}{
		{"UPDATE_TOPIC", "a/b", true, "", []string{"TOPIC_CONTROL"}},
		{"update_topic", "/secret/x/", false, "secret", []string{"TOPIC_CONTROL"}},
		{"READ_TOPIC", "secret/x", true, "secret", []string{"TOPIC_CONTROL"}},
		{"MODIFY_SESSION", "", true, "", []string{"CLIENT_CONTROL"}},
		{"MODIFY_SECURITY", "", false, "", nil},
	} {
		principal, err := security.ExplainPrincipal(ctx, "control", c.permission, c.path)
		if err != nil {
			t.Errorf("%+v: %v", c, err)
			continue
		}
		session, err := security.ExplainSession(ctx, control.ID(), c.permission, c.path)
		if err != nil || session.Text != principal.Text {
			t.Errorf("%+v: the session is explained as %q, %v, its principal as %q", c, session, err, principal)
		}
		if principal.Granted != c.granted || principal.At != c.at || c.via != nil && (len(principal.Via) == 0 || !slices.Equal(principal.Via[0], c.via)) {
			t.Errorf("%+v: %+v", c, principal)
		}
		if !strings.HasPrefix(principal.String(), strings.ToUpper(c.permission)) || !slices.Contains(principal.Roles, "TOPIC_CONTROL") {
			t.Errorf("%+v: %+v", c, principal)
		}
	}
	if e, err := security.ExplainPrincipal(ctx, "", "READ_TOPIC", "a"); err != nil || !e.Granted || !slices.Equal(e.Roles, []string{"CLIENT"}) {
		t.Errorf("anonymous: %+v, %v", e, err)
	}
	if _, err := security.ExplainPrincipal(ctx, "nobody", "READ_TOPIC", "a"); err == nil || !strings.Contains(err.Error(), `no principal "nobody"`) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := security.ExplainPrincipal(ctx, "control", "FLY", "a"); err == nil || !strings.Contains(err.Error(), "UPDATE_TOPIC") {
		t.Errorf("no such permission: %v", err)
	}
	if _, err := security.ExplainSession(ctx, advect.SessionID{Server: 1, Value: 2}, "READ_TOPIC", "a"); !errors.Is(err, advect.ErrNoSuchSession) {
		t.Errorf("no such session: %v", err)
	}
	if _, err := control.Security().ExplainPrincipal(ctx, "admin", "READ_TOPIC", "a"); !errors.Is(err, advect.ErrPermissionDenied) {
		t.Errorf("without VIEW_SECURITY: %v", err)
	}
}
