package advect_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

func upper(_ context.Context, r advect.Request[datatype.String]) (datatype.String, error) {
	switch r.Value {
	case "no":
		return "", advect.Reject("not %q", string(r.Value))
	case "panic":
		panic("as asked")
	}
	return datatype.String(strings.ToUpper(string(r.Value))), nil
}

// TestRequestsToPath is with the real server, as all that follow.
func TestRequestsToPath(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	control, client := open(t, url, "control"), open(t, url, "client")
	handler, err := advect.Open(ctx, url, advect.WithPrincipal("admin"), advect.WithPassword("password")) // panics are reported
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	var mu sync.Mutex
	var senders []string
	closed := make(chan error, 1)
	h, err := advect.AddRequestHandler(ctx, handler.Messaging(), "shout", func(ctx context.Context, r advect.Request[datatype.String]) (datatype.String, error) {
		mu.Lock()
		senders = append(senders, fmt.Sprintf("%t %s %s", r.Sender == client.ID(), r.Properties["$Principal"], r.Path))
		mu.Unlock()
		return upper(ctx, r)
	}, advect.WithSenderProperties("$Principal"), advect.WithOnClose(func(err error) { closed <- err }))
	if err != nil {
		t.Fatal(err)
	}
	_, err = advect.AddRequestHandler(ctx, handler.Messaging(), "shout", upper)
	wantIs(t, "a second handler", err, advect.ErrHandlerExists)
	_, err = advect.AddRequestHandler(ctx, client.Messaging(), "shout", upper)
	wantIs(t, "without permission", err, advect.ErrPermissionDenied)

	ask := func(from *advect.Session, path string, request datatype.Value) (datatype.String, error) {
		return advect.SendRequest[datatype.String](ctx, from.Messaging(), path, request)
	}
	if got, err := ask(client, "shout/loud", datatype.String("hello")); got != "HELLO" || err != nil {
		t.Errorf("answer %q, %v", got, err)
	}
	for request, want := range map[datatype.Value]error{
		datatype.String("no"): advect.ErrRejected, datatype.String("panic"): advect.ErrCallback,
		datatype.Int64(1): advect.ErrIncompatibleDatatype,
	} {
		_, err := ask(control, "shout", request)
		wantIs(t, fmt.Sprint("request ", request), err, want)
		if refusal := (*advect.ServiceError)(nil); want == advect.ErrRejected && (!errors.As(err, &refusal) || refusal.Description != `not "no"`) {
			t.Errorf("rejection %v", err)
		}
	}
	_, err = ask(client, "whisper", datatype.String("x"))
	wantIs(t, "no handler", err, advect.ErrUnhandled)
	slices.Sort(senders)
	if want := []string{"false control shout", "false control shout", "true client shout/loud"}; !slices.Equal(senders, want) {
		t.Errorf("senders %q", senders)
	}
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
	_, err = ask(client, "shout", datatype.String("x"))
	wantIs(t, "after close", err, advect.ErrUnhandled)
}

func TestRequestsToSessions(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	control := open(t, url, "control")
	var ids []string
	for i := range 5 {
		s := open(t, url, "client")
		if i == 4 {
			continue // has no stream
		}
		ids = append(ids, s.ID().String())
		_, err := advect.AddRequestStream(s.Messaging(), "who", func(context.Context, advect.Request[datatype.JSON]) (datatype.Value, error) {
			return datatype.String(s.ID().String()), nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	m := control.Messaging()
	target, err := advect.ParseSessionID(ids[2])
	if err != nil {
		t.Fatal(err)
	}
	question := datatype.MustJSON(map[string]int{"a": 1})
	if got, err := advect.SendRequestToSession[datatype.String](ctx, m, target, "who", question); string(got) != ids[2] || err != nil {
		t.Errorf("answer %q, %v", got, err)
	}
	_, err = advect.SendRequestToSession[datatype.String](ctx, m, advect.SessionID{Server: 1, Value: 1}, "who", question)
	wantIs(t, "nobody", err, advect.ErrNoSuchSession)
	_, err = advect.SendRequestToSession[datatype.String](ctx, m, target, "who/else", question)
	wantIs(t, "another path", err, advect.ErrUnhandled)

	var answered []string
	unhandled := 0
	for r, err := range advect.SendRequestToFilter[datatype.String](ctx, m, "$Principal is "+advect.FilterString("client"), "who", question) {
		switch {
		case err != nil:
			t.Fatal(err)
		case r.Err != nil:
			wantIs(t, "a session without a stream", r.Err, advect.ErrUnhandled)
			unhandled++
		case string(r.Response) != r.SessionID.String():
			t.Errorf("%s answers %s", r.SessionID, r.Response)
		default:
			answered = append(answered, string(r.Response))
		}
	}
	slices.Sort(answered)
	slices.Sort(ids)
	if !slices.Equal(answered, ids) || unhandled != 1 {
		t.Errorf("%q answered, %d have not, want %q", answered, unhandled, ids)
	}
	for _, err := range advect.SendRequestToFilter[datatype.String](ctx, m, "$Principal is", "who", question) {
		wantIs(t, "bad filter", err, advect.ErrInvalidFilter)
	}
}

func TestAuthenticatorOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	control := open(t, url, "control")
	name := advect.BeforeSystemAuthenticator
	h, err := control.Security().AddAuthenticator(ctx, name, advect.Authenticator{
		Authenticate: func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
			switch {
			case r.Principal == "guest" && r.Credentials.Kind == advect.PasswordKind && string(r.Credentials.Data) == "welcome":
				return advect.AllowWith(map[string]string{"$Roles": `"CLIENT"`, "tier": r.Proposed["tier"]}), nil
			case r.Principal == "guest":
				return advect.Deny(), nil
			case r.Principal == "fails":
				return advect.Allow(), errors.New("out of order")
			}
			return advect.Abstain(), nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	connect := func(principal, password string) (*advect.Session, error) {
		return advect.Open(ctx, url, advect.WithPrincipal(principal), advect.WithPassword(password),
			advect.WithSessionProperties(map[string]string{"tier": "gold"}))
	}
	guest, err := connect("guest", "welcome")
	if err != nil {
		t.Fatal(err)
	}
	defer guest.Close()
	_, err = connect("guest", "wrong")
	wantIs(t, "denied", err, advect.ErrAccessDenied)
	_, err = connect("fails", "x")
	wantIs(t, "an error", err, advect.ErrAccessDenied)
	wantIs(t, "re-authenticated wrongly", guest.ReAuthenticate(ctx, "guest", advect.Password("wrong"), nil), advect.ErrAccessDenied)
	if err := guest.ReAuthenticate(ctx, "guest", advect.Password("welcome"), map[string]string{"tier": "silver"}); err != nil {
		t.Error(err)
	}
	if err := guest.ChangePrincipal(ctx, "client", advect.Password("password")); err != nil || guest.Principal() != "client" {
		t.Errorf("changed to %q, %v", guest.Principal(), err)
	}
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	_, err = connect("guest", "welcome")
	wantIs(t, "without the authenticator", err, advect.ErrAccessDenied)
	_, err = control.Security().AddAuthenticator(ctx, "no-such-name", advect.Authenticator{
		Authenticate: func(context.Context, advect.AuthenticationRequest) (advect.Authentication, error) {
			return advect.Deny(), nil
		},
	})
	wantIs(t, "an unknown name", err, advect.ErrInvalidData)
}

func TestStoresOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, client := open(t, url, "admin"), open(t, url, "client")
	security := admin.Security()
	global, err := security.GlobalPermissions(ctx)
	if err != nil || len(global) != 9 || slices.Contains(global, advect.PermissionAuthenticate) {
		t.Errorf("%v, %v", global, err)
	}
	if path, err := client.Security().PathPermissions(ctx, "a/b"); err != nil || !slices.Contains(path, advect.PermissionReadTopic) {
		t.Errorf("%v, %v", path, err)
	}
	roles, err := security.RoleStore(ctx)
	if err != nil {
		t.Fatal(err)
	}
	script := roles.Script()
	if err := security.UpdateRoleStore(ctx, script); err != nil {
		t.Fatalf("the store's own script: %v\n%s", err, script)
	}
	if roles, err = security.RoleStore(ctx); err != nil || roles.Script() != script {
		t.Errorf("the store has changed to %v\n%s", err, roles.Script())
	}
	err = security.UpdateRoleStore(ctx, "set 'A' permissions [VIEW_SESSION]\nset 'B' permissions [NO_SUCH]")
	var problems *advect.ScriptError
	if !errors.Is(err, advect.ErrInvalidScript) || !errors.As(err, &problems) || problems.Reports[0].Line != 2 || problems.Reports[0].Column < 20 {
		t.Errorf("a bad script: %v", err)
	}
	err = security.UpdatePrincipalStore(ctx, "add principal 'bob' 'secret' ['CLIENT']\ntrust client proposed property 'tier' if value in ['gold']")
	if err != nil {
		t.Fatal(err)
	}
	store, err := security.PrincipalStore(ctx)
	if err != nil || !slices.ContainsFunc(store.Principals, func(p advect.Principal) bool { return p.Name == "bob" }) ||
		!slices.Equal(store.Trusted["tier"].Values, []string{"gold"}) {
		t.Errorf("%+v, %v", store, err)
	}
	wantIs(t, "remove nobody", security.UpdatePrincipalStore(ctx, "remove principal 'nobody'"), advect.ErrInvalidScript)
	_, err = client.Security().RoleStore(ctx)
	wantIs(t, "without permission", err, advect.ErrPermissionDenied)
}

// TestRequestsOverCutConnections: while the connection of the session that answers
// is cut again and again, every request is handled once and has its own answer.
func TestRequestsOverCutConnections(t *testing.T) {
	ctx, direct := soon(t), advecttest.Server(t).URL()
	sender := open(t, direct, "control")
	through, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	cutter := newCutter(t, through.Host, 500, 5_000)
	through.Host = cutter.Addr().String()
	handler, err := advect.Open(ctx, through.String(), advect.WithPrincipal("control"), advect.WithPassword("password"),
		advect.WithReconnectStrategy(advect.FixedDelay(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	defer handler.Close()
	const senders, requests = 8, 50
	var mu sync.Mutex
	handled := make(map[datatype.Int64]int)
	answer := func(_ context.Context, r advect.Request[datatype.Int64]) (datatype.Int64, error) {
		mu.Lock()
		defer mu.Unlock()
		handled[r.Value]++
		return -r.Value, nil
	}
	for {
		if _, err = advect.AddRequestHandler(ctx, handler.Messaging(), "negate", answer); !errors.Is(err, advect.ErrNotConnected) {
			break
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for i := range senders {
		all.Go(func() {
			for j := range requests {
				n := datatype.Int64(i*requests + j + 1)
				got, err := advect.SendRequest[datatype.Int64](ctx, sender.Messaging(), "negate", n)
				if err != nil || got != -n {
					t.Errorf("answer to %d: %d, %v", n, got, err)
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d cuts", len(cutter.cuts))
	if len(cutter.cuts) < 5 {
		t.Error("too few cuts")
	}
	for n := range datatype.Int64(senders * requests) {
		if handled[n+1] != 1 {
			t.Errorf("%d was handled %d times", n+1, handled[n+1])
		}
	}
}
