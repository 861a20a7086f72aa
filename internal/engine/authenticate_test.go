package engine

import (
	"context"
	"maps"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func authenticates(name string, conversation int64) service.NameRegistration {
	return service.NameRegistration{Handler: conversation, NameDeregistration: service.NameDeregistration{
		ControlParameters: service.ControlParameters{Definition: service.Authenticator.ID, Group: service.DefaultGroup}, Name: name}}
}

// authenticator registers the client as an authenticator that decides as it is
// told, until the engine is closed.
func (c *client) authenticator(name string, decide func(r service.AuthenticationRequest) service.Authentication) {
	c.t.Helper()
	c.succeeds(7, service.AuthenticatorRegistration.AppendRequest(nil, 7, authenticates(name, 70)))
	over := make(chan struct{})
	var serving sync.WaitGroup
	c.t.Cleanup(func() { close(over); serving.Wait() }) // before the engine is closed
	serving.Go(func() {
		for {
			woken := c.conn.wake()
			c.take()
			for _, m := range c.got {
				if m.Service != service.Authenticator.ID || m.Type != wire.TypeRequest {
					continue
				}
				r, err := service.Authenticator.ReadRequest(m.Body)
				if err != nil || r.Handler != 70 {
					c.t.Errorf("request %+v, %v", r, err)
				}
				_ = c.Receive(c.conn, service.Authenticator.AppendResponse(nil, m.Conversation, decide(r)))
			}
			c.got = nil
			select {
			case <-woken:
			case <-over:
				return
			}
		}
	})
}

func allow(properties map[string]string) service.Authentication {
	return service.Authentication{Decision: service.Allow, Properties: properties}
}

func tryConnect(e *Engine, principal, password string, proposed map[string]string) (*Session, *fakeConn) {
	q := request("")
	q.Principal, q.Credentials, q.Properties = principal, wire.Password(password), proposed
	conn := &fakeConn{}
	_, s := e.Connect(context.Background(), q, here, conn)
	return s, conn
}

// TestExampleAuthenticator is the check of the stock security that an official
// example carries.
func TestExampleAuthenticator(t *testing.T) {
	e := newEngine(t, nil)
	newClient(t, e, "control").authenticator(beforeSystem, func(r service.AuthenticationRequest) service.Authentication {
		if strings.HasPrefix(r.Principal, "diffusion_") {
			return allow(nil)
		}
		return service.Authentication{Decision: service.Deny}
	})
	for _, c := range []struct {
		principal, password string
		admitted            bool
	}{{"", "", false}, {"control", "password", false}, {"diffusion_control", "whatever", true}, {"diffusion_", "", true}} {
		s, _ := tryConnect(e, c.principal, c.password, nil)
		if (s != nil) != c.admitted {
			t.Errorf("%q: admitted %v", c.principal, s != nil)
		}
		if s != nil {
			if got, _ := s.Property("$Principal"); got != c.principal {
				t.Errorf("%q is %q", c.principal, got)
			}
		}
	}
}

// TestAuthenticatorChain: the first of the three that allows or denies decides.
func TestAuthenticatorChain(t *testing.T) {
	for _, c := range []struct {
		name                  string
		before, after         service.AuthenticationDecision
		known, wrong, unknown bool // who gets in: admin, admin with another password, a stranger
	}{
		{"all abstain", service.Abstain, service.Abstain, true, false, false},
		{"before denies", service.Deny, service.Allow, false, false, false},
		{"before allows", service.Allow, service.Deny, true, true, true},
		{"after denies", service.Abstain, service.Deny, true, false, false},
		{"after allows", service.Abstain, service.Allow, true, false, true},
	} {
		e := newEngine(t, nil)
		newClient(t, e, "control").authenticator(afterSystem, func(service.AuthenticationRequest) service.Authentication {
			return service.Authentication{Decision: c.after}
		})
		newClient(t, e, "control").authenticator(beforeSystem, func(service.AuthenticationRequest) service.Authentication {
			return service.Authentication{Decision: c.before}
		})
		for _, who := range []struct {
			principal, password string
			want                bool
		}{{"admin", "password", c.known}, {"admin", "other", c.wrong}, {"stranger", "password", c.unknown}} {
			if s, _ := tryConnect(e, who.principal, who.password, nil); (s != nil) != who.want {
				t.Errorf("%s: %s with %q gets in: %v", c.name, who.principal, who.password, s != nil)
			}
		}
	}
}

// TestWhatAuthenticatorsAreAsked: all fixed properties, and what is proposed.
func TestWhatAuthenticatorsAreAsked(t *testing.T) {
	e := newEngine(t, nil)
	var got service.AuthenticationRequest
	newClient(t, e, "control").authenticator(beforeSystem, func(r service.AuthenticationRequest) service.Authentication {
		got = r
		return allow(map[string]string{
			"dept": "x", "bad key": "y", "$Country": "fr", "$Language": "FR", "$Latitude": "48.5", "$Longitude": "east",
			"$Principal": "jo", "$Roles": `"OPERATOR", 'CLIENT'`, "$ClientIP": "10.0.0.1", "$Made": "up",
		})
	})
	proposed := map[string]string{"dept": "y", "$Environment": "NODE"}
	s, _ := tryConnect(e, "joe", "secret", proposed)
	if s == nil {
		t.Fatal("not admitted")
	}
	if got.Principal != "joe" || string(got.Credentials.Data) != "secret" || !maps.Equal(got.Proposed, proposed) {
		t.Errorf("asked %+v", got)
	}
	for key, want := range map[string]string{"$Principal": "joe", "$Roles": "", "$ClientIP": "127.0.0.1", "$SessionId": s.ID().String(), "$Environment": "NODE", "$Country": ""} {
		if v, ok := got.Session[key]; !ok || v != want {
			t.Errorf("asked with %s %q, want %q", key, v, want)
		}
	}
	if _, ok := got.Session["$ExpiryTime"]; ok || len(got.Session) != len(fixedProperties) {
		t.Errorf("asked with %v", got.Session)
	}
	want := maps.Clone(got.Session)
	maps.Copy(want, map[string]string{"dept": "x", "$Country": "FR", "$Language": "fr", "$Latitude": "48.5", "$Longitude": "NaN",
		"$Principal": "jo", "$Roles": `"CLIENT","OPERATOR"`})
	if all := s.allProperties(); !maps.Equal(all, want) {
		t.Errorf("properties %v, want %v", all, want)
	}
	if !s.identity.Load().grant.Global(security.ViewServer) {
		t.Error("the roles have no effect")
	}
}

// TestSilentAuthenticator: one that does not answer, fails or vanishes abstains.
func TestSilentAuthenticator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil)
		c := newClient(t, e, "control")
		admitted := func(principal string, meanwhile func(cid int64)) (bool, time.Duration) {
			result := make(chan bool, 1)
			began := time.Now()
			go func() {
				s, _ := tryConnect(e, principal, "password", nil)
				result <- s != nil
			}()
			cid, _ := asked(c, service.Authenticator)
			meanwhile(cid)
			return <-result, time.Since(began)
		}
		c.succeeds(7, service.AuthenticatorRegistration.AppendRequest(nil, 7, authenticates(beforeSystem, 70)))
		if in, took := admitted("admin", func(cid int64) {}); in || took != e.cfg.HandshakeTimeout {
			t.Errorf("no answer within the limit of the connection: admitted %v after %v", in, took)
		}
		e.cfg.HandshakeTimeout = time.Minute
		if in, took := admitted("admin", func(cid int64) {}); !in || took != authenticatorTimeout {
			t.Errorf("no answer: admitted %v after %v", in, took)
		}
		if in, _ := admitted("nobody", func(cid int64) { c.reject(cid, wire.CodeCallbackException, "oops") }); in {
			t.Error("an error admits a stranger")
		}
		if in, _ := admitted("admin", func(cid int64) { c.respond(cid, 9) }); !in {
			t.Error("an answer that does not decode decides")
		}
		if in, _ := admitted("admin", func(cid int64) { c.Close(ClosedByController) }); !in {
			t.Error("the end of the authenticator decides")
		}
		if s, _ := tryConnect(e, "admin", "password", nil); s == nil || len(e.authenticators.bySubject) != 0 {
			t.Error("the registration has outlived its session")
		}
	})
}

func TestAuthenticatorRegistration(t *testing.T) {
	e := newEngine(t, nil)
	c, other := newClient(t, e, "control"), newClient(t, e, "control")
	wrong := authenticates(beforeSystem, 1)
	wrong.Definition = 88
	register := func(c *client, r service.NameRegistration) {
		c.send(service.AuthenticatorRegistration.AppendRequest(nil, 1, r))
	}
	register(c, authenticates("system", 1))
	c.fails(1, wire.CodeInvalidData)
	register(c, wrong)
	c.fails(1, wire.CodeUnsupported)
	for _, c := range []*client{c, other} {
		register(c, authenticates(beforeSystem, 1))
		c.answer(1)
		register(c, authenticates(beforeSystem, 2))
		c.fails(1, wire.CodeHandlerConflict)
	}
	if n := len(e.authenticators.bySubject[beforeSystem].members); n != 2 {
		t.Errorf("%d authenticators", n)
	}
	for range 2 {
		c.succeeds(2, service.AuthenticatorDeregistration.AppendRequest(nil, 2, authenticates(beforeSystem, 0).NameDeregistration))
	}
	if code := other.reconnect(99, 1); code != wire.ReconnectedWithLoss || len(e.authenticators.bySubject) != 0 {
		t.Errorf("%v: the registration has outlived the loss of messages", code)
	}
}

func reauthenticate(conversation int64, principal string, proposed map[string]string) []byte {
	return service.ReAuthenticate.AppendRequest(nil, conversation, service.ReAuthenticateRequest{
		PrincipalRequest: service.PrincipalRequest{Principal: principal, Credentials: wire.Password("password")}, Properties: proposed})
}

// TestReAuthentication: the session stays as it is while it is authenticated, and
// changes at once, before the answer. It may be its own authenticator.
func TestReAuthentication(t *testing.T) {
	e := newEngine(t, nil)
	if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "a", Specification: topic.Specification{Type: topic.String}}); err != nil {
		t.Fatal(err)
	}
	if err := e.cfg.Policies.Update("", `set "AUTHENTICATOR" permissions [AUTHENTICATE REGISTER_HANDLER]`); err != nil {
		t.Fatal(err)
	}
	c := newClient(t, e, "control")
	c.succeeds(1, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "a"}))
	c.take()
	c.got = nil
	c.succeeds(2, service.AuthenticatorRegistration.AppendRequest(nil, 2, authenticates(beforeSystem, 70)))
	c.send(reauthenticate(3, "one", map[string]string{"p": "q"}), reauthenticate(4, "two", nil),
		service.ChangePrincipal.AppendRequest(nil, 5, service.PrincipalRequest{Principal: "three"}))
	cid, r := asked(c, service.Authenticator)
	if r.Principal != "one" || r.Session["$Principal"] != "control" || r.Proposed["p"] != "q" {
		t.Errorf("first asked for %+v", r)
	}
	c.none("before the answer of the authenticator")
	c.send(service.Authenticator.AppendResponse(nil, cid, allow(map[string]string{"a": "1", "b": "2", "$Country": "de", "$Roles": `"AUTHENTICATOR"`})))
	first := c.await(func(m *wire.Message) bool { return true })
	answer := c.answer(3)
	if first.Service != service.UnsubscriptionNotification.ID || answer.Body[0] != 1 {
		t.Errorf("first %+v, then %+v", first, answer)
	}
	cid, r = asked(c, service.Authenticator)
	if r.Principal != "two" || r.Session["$Principal"] != "one" || r.Session["a"] != "1" {
		t.Errorf("then asked for %+v", r)
	}
	c.send(service.Authenticator.AppendResponse(nil, cid, service.Authentication{Decision: service.Deny}))
	if m := c.answer(4); m.Body[0] != 0 || c.identity.Load().principal != "one" {
		t.Errorf("denied: %+v, now %q", m, c.identity.Load().principal)
	}
	cid, _ = asked(c, service.Authenticator)
	// What it was given and does not change is left out by the client.
	c.send(service.Authenticator.AppendResponse(nil, cid, allow(map[string]string{"b": "3", "$Roles": `"CLIENT", "AUTHENTICATOR"`})))
	if m := c.answer(5); m.Body[0] != 1 {
		t.Errorf("answer %+v", m)
	}
	id := c.identity.Load()
	if want := map[string]string{"a": "1", "b": "3"}; id.principal != "three" || !maps.Equal(id.properties, want) || id.location["$Country"] != "DE" {
		t.Errorf("now %+v", id)
	}
	if m := c.await(func(m *wire.Message) bool { return m.Type == wire.TypeRequest }); m.Service != service.NotifySubscription.ID {
		t.Errorf("after the role came back: %+v", m)
	}
	c.send(reauthenticate(6, "four", nil))
	cid, _ = asked(c, service.Authenticator)
	c.send(service.Authenticator.AppendResponse(nil, cid, allow(nil)))
	c.answer(6)
	if id := c.identity.Load(); len(id.properties) != 0 || id.principal != "four" {
		t.Errorf("an empty map leaves %+v", id)
	}
}

// TestReAuthenticationInLine: there is a limit to what waits, and what waits ends
// with the session.
func TestReAuthenticationInLine(t *testing.T) {
	e := newEngine(t, nil)
	c, silent := newClient(t, e, "client"), newClient(t, e, "control")
	silent.succeeds(1, service.AuthenticatorRegistration.AppendRequest(nil, 1, authenticates(beforeSystem, 70)))
	c.send(reauthenticate(1, "x", nil))
	asked(silent, service.Authenticator)
	for i := range int64(maxChanges + 1) {
		c.send(reauthenticate(2+i, "x", nil))
	}
	c.fails(2+maxChanges, wire.CodeCommunicationFailure)
	c.none("while one is authenticated")
}

func TestExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil)
		in := time.Hour
		newClient(t, e, "control").authenticator(beforeSystem, func(r service.AuthenticationRequest) service.Authentication {
			if _, ok := r.Session["$ExpiryTime"]; ok {
				t.Error("the time of expiry is among what may be left unchanged")
			}
			if r.Principal == "forever" {
				return allow(nil)
			}
			if r.Principal == "nonsense" {
				return allow(map[string]string{"$ExpiryTime": "soon"})
			}
			return allow(map[string]string{"$ExpiryTime": strconv.FormatInt(time.Now().Add(in).UnixMilli(), 10)})
		})
		forever, _ := tryConnect(e, "forever", "", nil)
		nonsense, _ := tryConnect(e, "nonsense", "", nil)
		plain, _ := tryConnect(e, "x", "", nil)
		again := newClient(t, e, "y")
		saved := newClient(t, e, "z")
		if v, ok := plain.Property("$ExpiryTime"); !ok || v != strconv.FormatInt(time.Now().Add(in).UnixMilli(), 10) {
			t.Errorf("$ExpiryTime %q, %v", v, ok)
		}
		time.Sleep(30 * time.Minute)
		if again.succeeds(1, reauthenticate(1, "again", nil)); saved.succeeds(1, reauthenticate(1, "forever", nil)).Body[0] != 1 {
			t.Error("not authenticated")
		}
		time.Sleep(30*time.Minute + time.Second)
		synctest.Wait()
		if !plain.Over() || plain.reason != Expired || again.Over() || saved.Over() {
			t.Errorf("after the time of the first: %v %v, again %v, saved %v", plain.Over(), plain.reason, again.Over(), saved.Over())
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		if !again.Over() || forever.Over() || nonsense.Over() || saved.Over() || forever.expiring != nil || nonsense.expiring != nil || saved.expiring != nil {
			t.Error("after the time of the second")
		}
		in = -time.Hour
		past, _ := tryConnect(e, "past", "", nil)
		synctest.Wait()
		if !past.Over() || past.reason != Expired {
			t.Errorf("a time that is past: %v", past.reason)
		}
	})
}

func TestRevoke(t *testing.T) {
	e := newEngine(t, nil)
	c, target := newClient(t, e, "control"), newClient(t, e, "client")
	c.succeeds(1, service.RevokeAuthentication.AppendRequest(nil, 1, service.SessionRequest{Session: target.ID()}))
	if !target.Over() || target.reason != Revoked || target.reason.String() != "REVOKED" {
		t.Errorf("over %v, reason %v", target.Over(), target.reason)
	}
	e.finished.Wait()
	c.send(service.RevokeAuthentication.AppendRequest(nil, 2, service.SessionRequest{Session: target.ID()}))
	c.fails(2, wire.CodeNoSuchSession)
}
