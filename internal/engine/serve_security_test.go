package engine

import (
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// TestPolicyIsLive checks that a change of the security store takes subscriptions
// away and gives them before it is answered, and that a script with a mistake
// changes nothing.
func TestPolicyIsLive(t *testing.T) {
	e := newEngine(t, nil)
	admin, client := newReader(t, e, "admin"), newReader(t, e, "client")
	admin.do(addingAndSetting(1, "open", stringSpec(), "1"))
	admin.do(addingAndSetting(2, "secret/a", stringSpec(), "2"))
	client.expect("subscribe", selecting(1, "?.*//"), "sub open", "value open 1", "sub secret/a", "value secret/a 2", "answer 1")

	script := func(cid int64, text string) []byte {
		return service.UpdateSecurityConfiguration.AppendRequest(nil, cid, service.Text(text))
	}
	admin.expect("take away", script(3, `set "CLIENT" path "secret" permissions []`), "answer 3")
	if got := strings.Join(client.take(), ", "); got != "unsub secret/a AUTHORIZATION" {
		t.Errorf("the client got %q", got)
	}
	stream := service.CreateStream.AppendRequest(nil, 2, service.CreateStreamRequest{Path: "open", Type: stringSpec().Type})
	client.expect("no more rights than before", stream, "error 2 103")
	admin.expect("a mistake", script(4, "set \"CLIENT\" path \"secret\" permissions [READ_TOPIC]\nset nonsense"), "answer 4")
	if got := client.take(); got != nil {
		t.Errorf("a script with a mistake changed something: %q", got)
	}
	admin.expect("give", script(5, `set "CLIENT" path "secret/a" permissions [READ_TOPIC SELECT_TOPIC]`), "answer 5")
	if got := strings.Join(client.take(), ", "); got != "sub secret/a, value secret/a 2" {
		t.Errorf("the client got %q", got)
	}
}

// TestStoresAreRead checks what the services of the stores answer against the stock
// ones, and that mistakes have their place.
func TestStoresAreRead(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "admin")
	m := call(t, s, conn, service.GetSystemAuthentication.AppendRequest(nil, 1, service.Empty{}))
	principals, err := service.GetSystemAuthentication.ReadResponse(m.Body)
	if err != nil || len(principals.Principals) != 4 || principals.Anonymous != service.AllowAnonymous || len(principals.AnonymousRoles) != 1 {
		t.Errorf("principals: %+v, %v", principals, err)
	}
	m = call(t, s, conn, service.GetSecurityConfiguration.AppendRequest(nil, 2, service.Empty{}))
	roles, err := service.GetSecurityConfiguration.ReadResponse(m.Body)
	if err != nil || len(roles.Roles) != 7 {
		t.Errorf("roles: %+v, %v", roles, err)
	}
	m = call(t, s, conn, service.UpdateSystemAuthentication.AppendRequest(nil, 3, "add principal 'bob' 'secret'\nadd principal 'admin' 'x'"))
	mistakes, err := service.UpdateSystemAuthentication.ReadResponse(m.Body)
	if err != nil || len(mistakes) != 1 || mistakes[0].Line != 2 {
		t.Errorf("mistakes: %+v, %v", mistakes, err)
	}
	m = call(t, s, conn, service.UpdateSystemAuthentication.AppendRequest(nil, 4, "add principal 'bob' 'secret' ['CLIENT']"))
	if mistakes, err := service.UpdateSystemAuthentication.ReadResponse(m.Body); err != nil || mistakes != nil {
		t.Errorf("mistakes: %+v, %v", mistakes, err)
	}
}

func TestExplain(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "admin")
	explain := func(r service.ExplainRequest) service.Explanation {
		t.Helper()
		m := call(t, s, conn, service.Explain.AppendRequest(nil, 1, r))
		if m.Type != wire.TypeResponse {
			t.Fatalf("%+v: %v", r, m.Error)
		}
		res, err := service.Explain.ReadResponse(m.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	if got := explain(service.ExplainRequest{Principal: "control", Permission: "UPDATE_TOPIC", Path: "/a/b"}); !got.Granted || len(got.Via) != 1 || got.Via[0][0] != "TOPIC_CONTROL" {
		t.Errorf("control: %+v", got)
	}
	client, _ := connect(t, e, "client")
	id := client.ID()
	if got := explain(service.ExplainRequest{Session: &id, Permission: "update_topic", Path: "a"}); got.Granted || got.Text == "" {
		t.Errorf("client: %+v", got)
	}
	for _, r := range []service.ExplainRequest{{Principal: "nobody", Permission: "READ_TOPIC"}, {Permission: "FLY"}} {
		if m := call(t, s, conn, service.Explain.AppendRequest(nil, 2, r)); m.Type != wire.TypeError || m.Error.Code != wire.CodeInvalidData {
			t.Errorf("%+v: %v %v", r, m.Type, m.Error)
		}
	}
}
