package engine

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// become changes the principal of a client.
func (c *client) become(principal string) {
	c.t.Helper()
	m := c.succeeds(900, service.ChangePrincipal.AppendRequest(nil, 900, service.PrincipalRequest{Principal: principal, Credentials: wire.Password("password")}))
	if m.Body[0] != 1 {
		c.t.Fatalf("not authenticated as %q", principal)
	}
}

// denied sends a request that must be refused for want of a permission.
func (c *client) denied(frame []byte) {
	c.t.Helper()
	m, err := wire.ParseMessage(frame)
	if err != nil {
		c.t.Fatal(err)
	}
	c.send(frame)
	if a := c.answer(m.Conversation); a.Type != wire.TypeError || a.Error.Code != wire.CodeAccessDenied {
		c.t.Errorf("service %d: answered %+v, want code %d", m.Service, a, wire.CodeAccessDenied)
	}
}

func policy(t *testing.T, e *Engine, script string) {
	t.Helper()
	if err := e.cfg.Policies.Update("", script); err != nil {
		t.Fatal(err)
	}
	e.applyPolicy()
}

func setting(cid int64, path, value string) []byte {
	return service.SetTopic.AppendRequest(nil, cid, service.SetRequest{Path: path, Type: topic.String, Value: []byte("\x61" + value)})
}

// TestNothingOutlivesPermissions lets a session prepare what needs permissions,
// then lose them, as another principal or by a change of the security store, and
// then use what it has prepared.
func TestNothingOutlivesPermissions(t *testing.T) {
	losses := map[string]func(t *testing.T, e *Engine, c *client){
		"another principal": func(t *testing.T, e *Engine, c *client) { c.become("client") },
		"another policy": func(t *testing.T, e *Engine, c *client) {
			script := ""
			for _, role := range []string{"CLIENT_CONTROL", "AUTHENTICATION_HANDLER"} {
				script += fmt.Sprintf("set %q permissions []\n", role)
			}
			policy(t, e, script+`set "TOPIC_CONTROL" default path permissions []`+"\n"+`set "CLIENT_CONTROL" default path permissions []`)
		},
	}
	attempts := map[string]func(t *testing.T, e *Engine, c *client) (use func()){
		"an update stream": func(t *testing.T, e *Engine, c *client) func() {
			m := c.succeeds(1, service.CreateStream.AppendRequest(nil, 1, service.CreateStreamRequest{Path: "a", Type: topic.String}))
			opened, err := service.CreateStream.ReadResponse(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			return func() {
				for _, frame := range [][]byte{
					service.StreamSet.AppendRequest(nil, 2, service.StreamRequest{ID: opened.ID, Bytes: []byte("\x61y")}),
					service.StreamApplyDelta.AppendRequest(nil, 2, service.StreamRequest{ID: opened.ID, Bytes: []byte("\x61y")}),
					service.CheckStream.AppendRequest(nil, 2, opened.ID),
				} {
					c.send(frame)
					c.fails(2, wire.CodeInvalidUpdateStream)
				}
			}
		},
		"an authenticator": func(t *testing.T, e *Engine, c *client) func() {
			c.succeeds(1, service.AuthenticatorRegistration.AppendRequest(nil, 1, authenticates(afterSystem, 70)))
			return func() {
				if s, _ := tryConnect(e, "victim", "secret", nil); s != nil {
					t.Error("a stranger is admitted")
				}
				c.none("the credentials of another")
			}
		},
		"a request handler": func(t *testing.T, e *Engine, c *client) func() {
			c.handle("h", 7, service.AllFixedProperties)
			return func() {
				sender := newClient(t, e, "client")
				sender.send(toPath(1, "h/x"))
				sender.fails(1, wire.CodeUnhandledMessage)
				c.none("a message of another")
			}
		},
		"a missing topic handler": func(t *testing.T, e *Engine, c *client) func() {
			c.succeeds(1, service.TopicControlRegistration.AppendRequest(nil, 1, service.PathRegistration{
				PathDeregistration: service.PathDeregistration{Definition: service.MissingTopic.ID, Path: "m"}}))
			return func() {
				other := newClient(t, e, "client")
				other.succeeds(1, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "m/none"}))
				c.none("what another selects, with its properties")
			}
		},
		"a topic of its own": func(t *testing.T, e *Engine, c *client) func() {
			c.succeeds(1, service.TopicAdd.AppendRequest(nil, 1, service.AddRequest{Path: "own", Specification: topic.Specification{
				Type: topic.String, Properties: map[string]string{topic.Owner: "$Principal is 'admin'"}}}))
			return func() {
				c.denied(setting(2, "own", "x"))
				m := c.succeeds(3, service.TopicRemoval.AppendRequest(nil, 3, "own"))
				if n, err := service.TopicRemoval.ReadResponse(m.Body); err != nil || n != 0 {
					t.Errorf("%d topics removed, %v", n, err)
				}
			}
		},
		"single calls": func(t *testing.T, e *Engine, c *client) func() {
			c.succeeds(1, setting(1, "a", "x"))
			return func() {
				c.denied(setting(2, "a", "y"))
				c.denied(service.TopicAdd.AppendRequest(nil, 3, service.AddRequest{Path: "b", Specification: topic.Specification{Type: topic.String}}))
				c.denied(service.CloseClient.AppendRequest(nil, 4, service.SessionRequest{Session: c.ID()}))
				c.denied(service.AuthenticatorRegistration.AppendRequest(nil, 5, authenticates(afterSystem, 1)))
				c.denied(service.MessagingToFilter.AppendRequest(nil, 6, service.FilterMessage{Filter: "$Principal is 'x'", MessageRequest: service.MessageRequest{Path: "p"}}))
			}
		},
	}
	for loss, lose := range losses {
		for what, prepare := range attempts {
			t.Run(loss+"/"+what, func(t *testing.T) {
				e := newEngine(t, nil)
				if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "a", Specification: topic.Specification{Type: topic.String}}); err != nil {
					t.Fatal(err)
				}
				c := newClient(t, e, "control")
				use := prepare(t, e, c)
				lose(t, e, c)
				c.take()
				c.got = nil
				use()
			})
		}
	}
}

// TestPropertiesNeedPermission: a handler that may still handle, but may no longer
// know of sessions, is told nothing of those that send.
func TestPropertiesNeedPermission(t *testing.T) {
	e := newEngine(t, nil)
	c, sender := newClient(t, e, "control"), newClient(t, e, "client")
	c.handle("h", 7, service.AllFixedProperties)
	for i, want := range []bool{true, false} {
		sender.send(toPath(int64(i+1), "h"))
		cid, m := asked(c, service.MessagingToHandler)
		if (len(m.Properties) > 0) != want {
			t.Errorf("told of %v", m.Properties)
		}
		c.respond(cid)
		policy(t, e, `set "CLIENT_CONTROL" permissions [REGISTER_HANDLER]`)
	}
}

// TestListenerAfterLosingRead: a topic listener hears nothing of what its session
// can no longer read, whatever happens to it.
func TestListenerAfterLosingRead(t *testing.T) {
	e := newEngine(t, nil)
	admin, c := newClient(t, e, "admin"), newClient(t, e, "client")
	spec := topic.Specification{Type: topic.String}
	add := func(path string) {
		admin.succeeds(1, service.TopicAdd.AppendRequest(nil, 1, service.AddRequest{Path: path, Specification: spec}))
	}
	add("secret/a")
	c.succeeds(1, service.NotificationSelection.AppendRequest(nil, 1, service.ListenerSelection{Selector: "?.*//"}))
	c.take()
	c.got = nil
	policy(t, e, `set "CLIENT" path "secret" permissions []`+"\n"+`set "ADMINISTRATOR" path "secret" permissions [MODIFY_TOPIC]`)
	add("secret/b")
	admin.succeeds(2, service.TopicRemoval.AppendRequest(nil, 2, "?secret//"))
	c.succeeds(2, service.NotificationDeselection.AppendRequest(nil, 2, service.ListenerSelection{Selector: "?secret//"}))
	c.none("events of what it cannot read")
	add("open")
	c.await(func(m *wire.Message) bool { return m.Service == service.TopicEvent.ID })
}

// TestRegistrationIsNoLoophole: what a session without AUTHENTICATE tries with the
// registration of others' services is refused, in any order.
func TestRegistrationIsNoLoophole(t *testing.T) {
	for _, principal := range []string{"", "client", "operator", "admin"} {
		e := newEngine(t, nil)
		c := newClient(t, e, principal)
		requests := [][]byte{
			service.AuthenticatorRegistration.AppendRequest(nil, 1, authenticates(beforeSystem, 7)),
			service.AuthenticatorRegistration.AppendRequest(nil, 2, authenticates(afterSystem, 8)),
			service.RevokeAuthentication.AppendRequest(nil, 3, service.SessionRequest{Session: c.ID()}),
		}
		for range 2 {
			for _, frame := range requests {
				c.denied(frame)
				c.succeeds(9, service.AuthenticatorDeregistration.AppendRequest(nil, 9, authenticates(beforeSystem, 7).NameDeregistration))
			}
			slices.Reverse(requests)
		}
		// As a registration of another kind.
		for _, id := range []int32{service.RequestHandlerRegistration.ID, service.TopicControlRegistration.ID} {
			var frame []byte
			if id == service.RequestHandlerRegistration.ID {
				r := handles("h", 7)
				r.Definition = service.Authenticator.ID
				frame = service.RequestHandlerRegistration.AppendRequest(nil, 4, r)
			} else {
				frame = service.TopicControlRegistration.AppendRequest(nil, 4, service.PathRegistration{
					PathDeregistration: service.PathDeregistration{Definition: service.Authenticator.ID, Path: "m"}})
			}
			c.send(frame)
			if m := c.answer(4); m.Type != wire.TypeError {
				t.Errorf("%q registers an authenticator by service %d", principal, id)
			}
		}
		if len(e.authenticators.bySubject) != 0 {
			t.Errorf("%q has an authenticator", principal)
		}
	}
}

// TestFailedReAuthenticationGivesNothing: neither the attempt nor its properties
// change what a session is.
func TestFailedReAuthenticationGivesNothing(t *testing.T) {
	e := newEngine(t, nil)
	c := newClient(t, e, "client")
	before := c.identity.Load()
	for _, principal := range []string{"admin", "control", "nobody"} {
		m := c.succeeds(1, service.ReAuthenticate.AppendRequest(nil, 1, service.ReAuthenticateRequest{
			PrincipalRequest: service.PrincipalRequest{Principal: principal, Credentials: wire.Password("guess")},
			Properties:       map[string]string{"$Roles": `"ADMINISTRATOR"`, "$Principal": "admin"},
		}))
		if m.Body[0] != 0 || c.identity.Load() != before {
			t.Errorf("%s: answered %v, now %+v", principal, m.Body, c.identity.Load())
		}
	}
	// Nor do proposed properties when it succeeds.
	c.succeeds(2, service.ReAuthenticate.AppendRequest(nil, 2, service.ReAuthenticateRequest{
		PrincipalRequest: service.PrincipalRequest{Principal: "client", Credentials: wire.Password("password")},
		Properties:       map[string]string{"$Roles": `"ADMINISTRATOR"`, "$Principal": "admin", "$ClientIP": "10.0.0.1", "x": "y"},
	}))
	if id := c.identity.Load(); id.principal != "client" || !slices.Equal(id.roles, before.roles) || len(id.properties) != 0 {
		t.Errorf("now %+v", id)
	}
}

// TestOwnerIsOnlyOfOnesOwn: naming an owner gives rights on the topics that one
// may create, to a principal, and never to sessions without one.
func TestOwnerIsOnlyOfOnesOwn(t *testing.T) {
	e := newEngine(t, nil)
	policy(t, e, `set "CLIENT" path "mine" permissions [MODIFY_TOPIC]`)
	owned := func(cid int64, path, owner string) []byte {
		return service.TopicAdd.AppendRequest(nil, cid, service.AddRequest{Path: path, Specification: topic.Specification{
			Type: topic.String, Properties: map[string]string{topic.Owner: "$Principal is '" + owner + "'"}}})
	}
	if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "theirs", Specification: topic.Specification{Type: topic.String}}); err != nil {
		t.Fatal(err)
	}
	c, anonymous := newClient(t, e, "client"), newClient(t, e, "")
	c.denied(owned(1, "theirs", "client")) // not even over a topic that is there
	c.denied(owned(1, "theirs/below", "client"))
	c.denied(setting(2, "theirs", "x"))
	c.succeeds(3, owned(3, "mine/a", "admin")) // gives admin, who has more, nothing new; takes nothing from it
	c.denied(setting(4, "mine/a", "x"))
	c.succeeds(5, owned(5, "mine/b", "client"))
	c.succeeds(6, setting(6, "mine/b", "x"))
	c.denied(setting(7, "mine/b/below", "x")) // the owner of a topic does not own the branch
	anonymous.denied(setting(8, "mine/b", "y"))
	anonymous.send(owned(9, "mine/c", ""))
	anonymous.answer(9)
	anonymous.denied(setting(10, "mine/c", "y"))
}

// TestRemovalPolicyBeyondItsCreator: the selector of a removal policy removes no
// more than the creator of the topic may.
func TestRemovalPolicyBeyondItsCreator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, func(c *Config) { c.RemovalInterval = time.Second })
		policy(t, e, `set "CLIENT" path "mine" permissions [MODIFY_TOPIC READ_TOPIC SELECT_TOPIC]`)
		for _, path := range []string{"theirs", "mine/other"} {
			if _, err := e.tree.Add(somebody, &service.AddRequest{Path: path, Specification: topic.Specification{Type: topic.String}}); err != nil {
				t.Fatal(err)
			}
		}
		c := newClient(t, e, "client")
		c.succeeds(1, service.TopicAdd.AppendRequest(nil, 1, service.AddRequest{Path: "mine/bomb", Specification: topic.Specification{
			Type: topic.String, Properties: map[string]string{topic.Removal: `when time after 1 remove "?.*//"`}}}))
		time.Sleep(time.Minute)
		synctest.Wait()
		if e.tree.Get("mine/bomb") != nil || e.tree.Get("mine/other") != nil {
			t.Error("what the creator may remove is still there")
		}
		if e.tree.Get("theirs") == nil {
			t.Error("what the creator may not remove is gone")
		}
	})
}

// TestPermissionsInAnyOrder has one session call every service, in any order, going
// on as another stock principal before each call: what counts is who it is now, not
// who it was nor what it has opened.
func TestPermissionsInAnyOrder(t *testing.T) {
	requests, denied := permissionTable()
	names := slices.Sorted(maps.Keys(requests))
	principals := []string{"client", "control", "operator", "admin"}
	for seed := range uint64(4) {
		e := newEngine(t, nil)
		if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "a", Specification: topic.Specification{Type: topic.String}}); err != nil {
			t.Fatal(err)
		}
		c := newClient(t, e, "client")
		rnd := rand.New(rand.NewPCG(seed, 1))
		for range 4 * len(names) {
			now, name := principals[rnd.IntN(len(principals))], names[rnd.IntN(len(names))]
			c.become(now)
			c.send(requests[name])
			m := c.answer(1)
			got := m.Type == wire.TypeError && m.Error.Code == wire.CodeAccessDenied
			if want := slices.Contains(denied[name], now); got != want {
				t.Errorf("seed %d: %s as %s: denied %v, want %v (%v)", seed, name, now, got, want, m.Error)
			}
			c.got = nil
			if name == "authenticator" && !got { // it would be asked about itself
				c.succeeds(1, requests["no authenticator"])
			}
		}
	}
}

// TestPermissionsThatAmountToAll holds what docs/security.md warns of: whoever may
// change sessions may give itself any role, and whoever authenticates admits anybody
// as anything. The platform has it so.
func TestPermissionsThatAmountToAll(t *testing.T) {
	e := newEngine(t, nil)
	admin := security.Globals(security.ModifySecurity)
	c := newClient(t, e, "control")
	if c.holds(admin) {
		t.Fatal("control has it from the start")
	}
	c.succeeds(1, service.ChangeAuthorisationRoles.AppendRequest(nil, 1, service.RolesRequest{
		Session: c.ID(), RoleChanges: service.RoleChanges{Add: []string{security.RoleAdministrator}}}))
	if !c.holds(admin) {
		t.Error("MODIFY_SESSION no longer amounts to all: say so in docs/security.md")
	}
	newClient(t, e, "control").authenticator(beforeSystem, func(service.AuthenticationRequest) service.Authentication {
		return allow(map[string]string{"$Roles": `"ADMINISTRATOR"`})
	})
	if s, _ := tryConnect(e, "anybody", "", nil); s == nil || !s.holds(admin) {
		t.Error("AUTHENTICATE no longer amounts to all: say so in docs/security.md")
	}
}
