package gosdk

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"advect.dev"
)

// Authenticators of clients, and how authentication ends. Each scenario that has
// one has a server of its own: it is asked about every session that connects.

const authenticatorsGroup = "Authenticators"

var authenticators = []scenario{
	{"authenticators.prefix", authenticatorsGroup, "one that admits only principals with a prefix: anonymous and control are refused, diffusion_control with any password is admitted", both, authenticatorPrefix},
	{"authenticators.request", authenticatorsGroup, "it is told the principal, the credentials as text or octets, all fixed properties, and what is proposed", ws, authenticatorRequest},
	{"authenticators.allow-with-properties", authenticatorsGroup, "it assigns user properties, roles, another principal and where the client is; other fixed properties it cannot change", ws, authenticatorAllowWith},
	{"authenticators.order", authenticatorsGroup, "who abstains leaves it to the next: before the system, the system, after it; when all abstain the session is refused", ws, authenticatorOrder},
	{"authenticators.go-fails", authenticatorsGroup, "Go: one that fails or panics abstains, and goes on; one that is closed is asked no more", ws, authenticatorFails},
	{"authenticators.session-closes", authenticatorsGroup, "the session of an authenticator closes while it is asked: the next one decides", ws, authenticatorSessionCloses},
	{"authenticators.silence", authenticatorsGroup, "one that never answers abstains after a while, before the client gives up", ws, authenticatorSilence},
	{"authenticators.several", authenticatorsGroup, "of several sessions registered under a name one is asked about each connection; a session registers a name once: HANDLER_CONFLICT", ws, authenticatorSeveral},
	{"authenticators.registration", authenticatorsGroup, "a name that the server does not have is refused, and so is a session without AUTHENTICATE or REGISTER_HANDLER", ws, authenticatorRegistration},
	{"authenticators.permission-withdrawn", authenticatorsGroup, "one whose session has lost AUTHENTICATE is shown no credentials any more", ws, authenticatorPermissionWithdrawn},
	{"authenticators.reauthentication", authenticatorsGroup, "it is asked at re-authentication too, with the principal until then, the user properties, and what is proposed", both, authenticatorReAuthentication},
	{"authenticators.own-session", authenticatorsGroup, "a session may be its own authenticator when it re-authenticates", ws, authenticatorOwnSession},
	{"authenticators.expiry", authenticatorsGroup, "a session that an authenticator lets in until a time is closed then, unless it re-authenticates before", ws, authenticatorExpiry},
	{"authenticators.revoke", authenticatorsGroup, "a session whose authentication is revoked is closed at once, and does not reconnect", ws, authenticatorRevoke},
	{"authenticators.revoke-permission", authenticatorsGroup, "revocation takes AUTHENTICATE and MODIFY_SESSION", ws, authenticatorRevokePermission},
}

type authentications = record[advect.AuthenticationRequest]

// authenticator adds an authenticator and records what it is asked.
func (s *scene) authenticator(session *advect.Session, name string, decide func(context.Context, advect.AuthenticationRequest) (advect.Authentication, error)) (*advect.AuthenticatorHandle, *authentications) {
	s.t.Helper()
	r := newRecord[advect.AuthenticationRequest]("authentications")
	h, err := session.Security().AddAuthenticator(s.ctx, name, advect.Authenticator{
		Authenticate: func(ctx context.Context, request advect.AuthenticationRequest) (advect.Authentication, error) {
			r.add(request)
			return decide(ctx, request)
		},
	})
	s.none(err, "add authenticator")
	return h, r
}

// always makes the same of every request.
func always(a advect.Authentication) func(context.Context, advect.AuthenticationRequest) (advect.Authentication, error) {
	return func(context.Context, advect.AuthenticationRequest) (advect.Authentication, error) { return a, nil }
}

// never makes nothing of a request.
func never(ctx context.Context, _ advect.AuthenticationRequest) (advect.Authentication, error) {
	<-ctx.Done()
	return advect.Abstain(), nil
}

// principalsOf returns the principals of requests.
func principalsOf(r *authentications) string {
	var names []string
	for _, request := range r.all() {
		names = append(names, strconv.Quote(request.Principal))
	}
	return strings.Join(names, " ")
}

func authenticatorPrefix(s *scene) {
	g := s.governed()
	_, asked := s.authenticator(g.connect(as("control")...), advect.BeforeSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		if strings.HasPrefix(r.Principal, "diffusion_") {
			return advect.Allow(), nil
		}
		return advect.Deny(), nil
	})
	g.denied("anonymous")
	g.denied("control", as("control")...)
	session := g.connect(with("diffusion_control", "whatever")...)
	own, err := session.Properties(s.ctx)
	s.none(err, "properties")
	s.equal(own["$Principal"], "diffusion_control", "principal")
	s.equal(principalsOf(asked), `"" "control" "diffusion_control"`, "principals asked about")
}

func authenticatorRequest(s *scene) {
	g := s.governed()
	_, asked := s.authenticator(g.connect(as("control")...), advect.BeforeSystemAuthenticator, always(advect.Allow()))
	session := g.connect(with("bob", "pass wörd", advect.WithSessionProperties(properties{"Tier": "gold"}))...)
	got := asked.all()[0]
	s.equal([]string{got.Principal, string(got.Credentials.Data), got.Proposed["Tier"]}, "[bob pass wörd gold]", "request")
	s.equal(got.Credentials.Kind, advect.PasswordKind, "kind of credentials")
	p := got.Session
	s.equal([]string{p["$SessionId"], p["$Principal"], p["$ClientIP"], p["$Roles"]}, []string{session.ID().String(), "bob", "127.0.0.1", ""}, "properties")
	for key := range p {
		s.ok(strings.HasPrefix(key, "$") && key != "$ExpiryTime", "property %s", key)
	}
	g.connect(advect.WithPrincipal("octets"), advect.WithCredentials([]byte{0, 7, 255}))
	got = asked.all()[1]
	s.equal(fmt.Sprintf("%x", got.Credentials.Data), "0007ff", "octets")
	s.equal(got.Credentials.Kind, advect.CustomKind, "kind of credentials")
	g.connect()
	got = asked.all()[2]
	s.equal([]any{got.Principal, len(got.Credentials.Data), got.Credentials.Kind}, []any{"", 0, advect.NoCredentials}, "without a principal")
}

func authenticatorAllowWith(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	s.authenticator(control, advect.BeforeSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		p := properties{
			"dept": "x", "Tier": r.Proposed["Tier"], "$Principal": "renamed", "$Roles": `"TOPIC_CONTROL" "MADE UP"`,
			"$Country": "de", "$Language": "EN", "$Latitude": "51.5", "$Longitude": "nowhere", "$ServerName": "mine", "$ClientIP": "1.2.3.4",
		}
		return advect.AllowWith(p), nil
	})
	session := g.connect(with("bob", "x", advect.WithSessionProperties(properties{"Tier": "gold"}))...)
	got, err := control.Clients().Properties(s.ctx, session.ID(), advect.AllFixedProperties, advect.AllUserProperties)
	s.none(err, "properties")
	for key, want := range map[string]string{
		"dept": "x", "Tier": "gold", "$Principal": "renamed", "$Country": "DE", "$Language": "en", "$Latitude": "51.5", "$Longitude": "NaN", "$ClientIP": "127.0.0.1",
	} {
		s.equal(got[key], want, key)
	}
	s.ok(strings.Contains(got["$Roles"], `"TOPIC_CONTROL"`) && strings.Contains(got["$Roles"], `"MADE UP"`), "$Roles %s", got["$Roles"])
	s.ok(got["$ServerName"] != "mine", "$ServerName was changed")
	_, err = session.Topics().Add(s.ctx, "a", advect.NewSpecification(advect.String))
	s.none(err, "add with the new roles")
}

func authenticatorOrder(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	_, before := s.authenticator(control, advect.BeforeSystemAuthenticator, always(advect.Abstain()))
	g.connect(as("client")...)
	g.denied("denied by the system", with("client", "wrong")...)
	g.denied("nobody knows it", with("nobody", "x")...)
	_, after := s.authenticator(control, advect.AfterSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		if r.Principal == "guest" {
			return advect.Allow(), nil
		}
		return advect.Abstain(), nil
	})
	g.connect(with("guest", "x")...)
	g.connect(as("client")...)
	g.denied("denied by the system, with another after it", with("client", "wrong")...)
	g.denied("all abstain", with("nobody", "x")...)
	s.equal(len(before.all()), 7, "requests before the system")
	s.equal(principalsOf(after), `"guest" "nobody"`, "requests after the system")
}

func authenticatorFails(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	failing, asked := s.authenticator(control, advect.BeforeSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		if r.Principal == "client" {
			return advect.Allow(), errors.New("on purpose")
		}
		panic("on purpose")
	})
	g.connect(as("client")...)
	g.denied("the system decides", with("client", "wrong")...)
	g.connect(as("operator")...)
	s.none(failing.Close(s.ctx), "close")
	denying, later := s.authenticator(control, advect.BeforeSystemAuthenticator, always(advect.Deny()))
	g.denied("denied", as("client")...)
	s.none(denying.Close(s.ctx), "close")
	g.connect(as("client")...)
	s.equal([]int{len(asked.all()), len(later.all())}, "[3 1]", "requests")
}

func authenticatorSessionCloses(s *scene) {
	g := s.governed()
	registrant := g.connect(as("control")...)
	_, asked := s.authenticator(registrant, advect.BeforeSystemAuthenticator, never)
	opening := advect.OpenAsync("", s.to(g.port, as("client")...)...)
	first(s, 1, asked)
	s.none(registrant.Close(), "close")
	session, err := opening.Await(s.ctx)
	s.none(err, "open")
	s.closes(session)
	g.connect(as("client")...)
	s.equal(len(asked.all()), 1, "requests")
}

func authenticatorSilence(s *scene) {
	g := s.governed()
	s.authenticator(g.connect(as("control")...), advect.BeforeSystemAuthenticator, never)
	started := time.Now()
	g.connect(as("client")...)
	s.ok(time.Since(started) > time.Second, "the client did not wait")
}

func authenticatorSeveral(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	other := g.connect(as("control")...)
	_, one := s.authenticator(control, advect.BeforeSystemAuthenticator, always(advect.Allow()))
	_, two := s.authenticator(other, advect.BeforeSystemAuthenticator, always(advect.Abstain()))
	for range 4 {
		g.connect(as("client")...)
	}
	s.equal(len(one.all())+len(two.all()), 4, "requests")
	_, err := control.Security().AddAuthenticator(s.ctx, advect.BeforeSystemAuthenticator, advect.Authenticator{Authenticate: always(advect.Allow())})
	s.is(err, "the same name again", advect.ErrHandlerExists)
}

func authenticatorRegistration(s *scene) {
	g := s.governed()
	register := func(session *advect.Session, name string) error {
		_, err := session.Security().AddAuthenticator(s.ctx, name, advect.Authenticator{Authenticate: always(advect.Abstain())})
		return err
	}
	s.is(register(g.connect(as("control")...), "my-handler"), "unknown name", advect.ErrInvalidData)
	s.denied(register(g.Session, advect.BeforeSystemAuthenticator), "admin, without AUTHENTICATE")
	client := g.connect()
	s.denied(register(client, advect.BeforeSystemAuthenticator), "anonymous")
	g.roles("set 'CLIENT' permissions [AUTHENTICATE]")
	s.denied(register(client, advect.BeforeSystemAuthenticator), "without REGISTER_HANDLER")
	g.roles("set 'CLIENT' permissions [AUTHENTICATE, REGISTER_HANDLER]")
	s.none(register(client, advect.BeforeSystemAuthenticator), "with both")
}

func authenticatorPermissionWithdrawn(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	_, asked := s.authenticator(control, advect.BeforeSystemAuthenticator, always(advect.Deny()))
	g.denied("with the permission", as("client")...)
	s.none(g.Clients().ChangeRoles(s.ctx, control.ID(), []string{"AUTHENTICATION_HANDLER"}, nil), "change roles")
	g.connect(as("client")...)
	s.equal(len(asked.all()), 1, "requests")
}

func authenticatorReAuthentication(s *scene) {
	g := s.governed()
	control, session := g.connect(as("control")...), g.connect(as("client")...)
	s.set(control, session, "kept", "yes")
	_, asked := s.authenticator(control, advect.BeforeSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		switch r.Principal {
		case "bad":
			return advect.Deny(), nil
		case "plain":
			return advect.Allow(), nil
		}
		return advect.AllowWith(properties{"kept": r.Session["kept"], "added": r.Proposed["added"]}), nil
	})
	user := func(want properties) {
		s.t.Helper()
		s.has(control, session, want, advect.AllUserProperties, "$Principal")
	}
	again := func(principal string, proposed properties) error {
		return session.ReAuthenticate(s.ctx, principal, advect.Password("x"), proposed)
	}
	s.is(again("bad", nil), "denied", advect.ErrAccessDenied)
	user(properties{"$Principal": "client", "kept": "yes"})
	s.none(again("other", properties{"added": "too"}), "allowed")
	got := asked.all()[1]
	s.equal([]any{got.Principal, got.Session["$Principal"], got.Session["kept"], got.Proposed}, "[other client yes map[added:too]]", "request")
	user(properties{"$Principal": "other", "kept": "yes", "added": "too"})
	s.none(again("plain", nil), "allowed without properties")
	user(properties{"$Principal": "plain"})
	s.is(session.ChangePrincipal(s.ctx, "bad", advect.Password("x")), "change of principal, denied", advect.ErrAccessDenied)
	s.equal(session.Principal(), "plain", "principal")
}

func authenticatorOwnSession(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	s.authenticator(control, advect.BeforeSystemAuthenticator, always(advect.AllowWith(properties{"$Roles": `"OPERATOR"`})))
	s.none(control.ReAuthenticate(s.ctx, "self", advect.Password("x"), nil), "re-authenticate")
	s.allowedAll(control, "VIEW_SERVER VIEW_SESSION")
}

func authenticatorExpiry(s *scene) {
	g := s.governed()
	control := g.connect(as("control")...)
	s.authenticator(control, advect.BeforeSystemAuthenticator, func(_ context.Context, r advect.AuthenticationRequest) (advect.Authentication, error) {
		if r.Principal == "short" {
			return advect.AllowWith(properties{"$ExpiryTime": strconv.FormatInt(time.Now().Add(2*time.Second).UnixMilli(), 10)}), nil
		}
		return advect.Allow(), nil
	})
	told := s.listenTo(control, advect.SessionEventQuery{Filter: "$Principal is 'short'"})
	expiring, renewed := g.connect(with("short", "x")...), g.connect(with("short", "x")...)
	own, err := expiring.Properties(s.ctx)
	s.none(err, "properties")
	s.ok(recent(own["$ExpiryTime"]), "$ExpiryTime %s", own["$ExpiryTime"])
	s.none(renewed.ReAuthenticate(s.ctx, "long", advect.Password("x"), nil), "re-authenticate")
	own, err = renewed.Properties(s.ctx)
	s.none(err, "properties")
	_, there := own["$ExpiryTime"]
	s.ok(!there, "$ExpiryTime after re-authentication")
	s.closed(expiring)
	last := s.of(told, expiring, 2)[1]
	s.equal([]any{last.Kind, last.Reason}, []any{advect.SessionClosed, advect.SessionExpired}, "the event")
	s.ping(renewed)
}

func authenticatorRevoke(s *scene) {
	control, client := s.control(), s.connect()
	events := s.events(client)
	told := s.listenTo(control, advect.SessionEventQuery{Filter: among(client)})
	s.of(told, client, 1)
	s.none(control.Security().Revoke(s.ctx, client.ID()), "revoke")
	s.closed(client)
	s.awaitEvent(events, closing, 1)
	s.equal(events.count(disconnect), 0, "attempts to reconnect")
	s.equal(s.of(told, client, 2)[1].Reason, advect.SessionAuthorizationRevoked, "reason")
	s.is(control.Security().Revoke(s.ctx, client.ID()), "a closed session", advect.ErrNoSuchSession)
}

func authenticatorRevokePermission(s *scene) {
	control := s.control()
	for what, session := range map[string]*advect.Session{"admin": s.admin(), "client": s.connect()} {
		s.denied(session.Security().Revoke(s.ctx, control.ID()), what)
	}
	s.ping(control)
}
