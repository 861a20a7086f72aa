package gosdk

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// What sessions may do with the stock configuration, and how it changes with their
// principal and their roles.

const permissionsGroup = "Permissions"

var permissionScenarios = []scenario{
	{"permissions.administrator", permissionsGroup, "admin has exactly these nine global permissions and these nine of a path", both, permissionsAdministrator},
	{"permissions.principals", permissionsGroup, "each stock principal, and a session without one, has the permissions of its roles", ws, permissionsPrincipals},
	{"permissions.roles", permissionsGroup, "each predefined role by itself has the permissions of the matrix", ws, permissionsRoles},
	{"permissions.reserved-branch", permissionsGroup, "CLIENT and OPERATOR together keep in the reserved branch what OPERATOR has there", ws, permissionsReserved},
	{"permissions.change-principal", permissionsGroup, "a session of control that becomes admin in mid-session edits both stores at once, and its permissions are swapped", both, permissionsChangePrincipal},
	{"permissions.change-principal-subscriptions", permissionsGroup, "a change of principal is followed by what the session may read, gained and lost", ws, permissionsSubscriptions},
	{"permissions.needed", permissionsGroup, "each call goes through with the permissions that it needs, and is refused with ACCESS_DENIED when one of them is missing", ws, permissionsNeeded},
}

// granted are permissions: global ones, those of an ordinary path, and those below
// Diffusion.
type granted struct{ global, path, reserved string }

func (g granted) and(other granted) granted {
	union := func(a, b string) string {
		all := strings.Fields(a + " " + b)
		slices.Sort(all)
		return strings.Join(slices.Compact(all), " ")
	}
	return granted{union(g.global, other.global), union(g.path, other.path), union(g.reserved, other.reserved)}
}

const (
	topicPermissions = "ACQUIRE_LOCK EDIT_TIME_SERIES_EVENTS EXPOSE_BRANCH MODIFY_TOPIC UPDATE_TOPIC"
	viewPermissions  = "MODIFY_TOPIC_VIEWS READ_TOPIC_VIEWS"
)

var (
	clientRole        = granted{path: clientPermissions}
	topicControlRole  = granted{global: viewPermissions, path: clientPermissions + " " + topicPermissions}
	clientControlRole = granted{global: "MODIFY_SESSION REGISTER_HANDLER VIEW_SESSION", path: clientPermissions + " ACQUIRE_LOCK SEND_TO_SESSION"}
	handlerRole       = granted{global: "AUTHENTICATE REGISTER_HANDLER", path: clientPermissions}
	operatorRole      = granted{"VIEW_SERVER VIEW_SESSION", clientPermissions, clientPermissions}
	administratorRole = granted{
		"CONTROL_SERVER MODIFY_SECURITY MODIFY_SESSION REGISTER_HANDLER VIEW_SECURITY VIEW_SERVER VIEW_SESSION " + viewPermissions,
		clientPermissions + " SEND_TO_SESSION " + topicPermissions, clientPermissions + " MODIFY_TOPIC UPDATE_TOPIC",
	}
)

// may compares all permissions of a session.
func (s *scene) may(session *advect.Session, want granted) {
	s.t.Helper()
	want = want.and(granted{}) // in order
	s.allowedAll(session, want.global)
	s.allowed(session, s.path("any/path"), want.path)
	s.allowed(session, "Diffusion", want.reserved)
	s.allowed(session, "Diffusion/a/b", want.reserved)
}

func permissionsAdministrator(s *scene) { s.may(s.admin(), administratorRole) }

func permissionsPrincipals(s *scene) {
	s.may(s.connect(), clientRole)
	for principal, want := range map[string]granted{
		"client": clientRole, "control": clientControlRole.and(topicControlRole).and(handlerRole), "admin": administratorRole, "operator": operatorRole,
	} {
		s.may(s.connect(as(principal)...), want)
	}
}

func permissionsRoles(s *scene) {
	admin, session := s.admin(), s.connect()
	held := []string{"CLIENT"}
	become := func(roles ...string) {
		s.none(admin.Clients().ChangeRoles(s.ctx, session.ID(), held, roles), "change roles")
		held = roles
	}
	for role, want := range map[string]granted{
		"TOPIC_CONTROL": topicControlRole, "CLIENT_CONTROL": clientControlRole, "AUTHENTICATION_HANDLER": handlerRole,
		"OPERATOR": operatorRole, "ADMINISTRATOR": administratorRole, "JMX_ADMINISTRATOR": administratorRole,
	} {
		become(role)
		s.may(session, want)
	}
	become()
	s.may(session, granted{})
}

func permissionsReserved(s *scene) {
	admin, session := s.admin(), s.connect()
	s.none(admin.Clients().ChangeRoles(s.ctx, session.ID(), nil, []string{"OPERATOR"}), "change roles")
	s.may(session, operatorRole)
}

func permissionsChangePrincipal(s *scene) {
	g := s.governed()
	session := g.connect(as("control")...)
	edit := func() (roles, principals error) {
		return session.Security().UpdateRoleStore(s.ctx, "set 'CAPTAIN' permissions [VIEW_SESSION]"),
			session.Security().UpdatePrincipalStore(s.ctx, "add principal 'ahab' 'password' ['CAPTAIN']")
	}
	become := func(principal string) {
		s.none(session.ChangePrincipal(s.ctx, principal, advect.Password("password")), "change principal")
	}
	refused := func(as string) {
		s.t.Helper()
		roles, principals := edit()
		s.denied(roles, "roles, as "+as)
		s.denied(principals, "principals, as "+as)
	}
	refused("control")
	become("admin")
	own, err := session.Properties(s.ctx)
	s.none(err, "properties")
	s.equal([]string{session.Principal(), own["$Principal"]}, "[admin admin]", "principal")
	roles, principals := edit()
	s.none(roles, "change the store of roles")
	s.none(principals, "change the store of principals")
	s.may(session, administratorRole)
	s.allowedAll(g.connect(as("ahab")...), "VIEW_SESSION")
	become("client")
	refused("client")
}

func permissionsSubscriptions(s *scene) {
	g := s.governed()
	session := g.connect()
	publisher{g.Session, s}.add("secret/a", advect.String)
	g.roles("set 'CLIENT' path 'secret' permissions [SELECT_TOPIC]", "set 'OPERATOR' path 'secret' permissions [SELECT_TOPIC, READ_TOPIC]")
	stream := watch[text](s, session, "?secret//")
	s.subscribe(session, "?secret//")
	s.none(session.ReAuthenticate(s.ctx, "operator", advect.Password("password"), nil), "operator")
	s.await(stream, subscribe, 1)
	s.none(session.ReAuthenticate(s.ctx, "client", advect.Password("password"), nil), "client")
	lost := s.await(stream, unsubscribe, 1)
	s.equal([]any{lost.path, lost.reason}, []any{"secret/a", advect.UnsubscribeAuthorization}, "topic lost")
}

// A need is what a call needs: global permissions, those of a path, and the call
// itself, which can be repeated: by a session, about another, a string topic a/b
// and a time series a/s.
type need struct {
	what          string
	global, paths string
	call          func(ctx context.Context, by *advect.Session, other advect.SessionID) error
}

// only drops the result of a call.
func only[T any](_ T, err error) error { return err }

// closer is a registration, as of a listener.
type closer interface{ Close(context.Context) error }

// briefly ends a registration again.
func briefly[T closer](ctx context.Context) func(T, error) error {
	return func(h T, err error) error {
		if err != nil {
			return err
		}
		return h.Close(ctx)
	}
}

var (
	addA        = []string{"A"}
	nothing     = "has nothing"
	anyProperty = map[string]string{"a": "b"}
)

var needs = []need{
	{"subscribe", "", "SELECT_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Topics().Subscribe(ctx, "a/b")
	}},
	{"fetch", "", "SELECT_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Topics().FetchTopics(ctx, advect.FetchQuery{Selector: "a/b"}))
	}},
	{"add", "", "MODIFY_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Topics().Add(ctx, "a/b", advect.NewSpecification(advect.String)))
	}},
	{"set", "", "UPDATE_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Topics().Set(ctx, "a/b", text("value"))
	}},
	{"add and set", "", "MODIFY_TOPIC UPDATE_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Topics().AddAndSet(ctx, "a/b", advect.NewSpecification(advect.String), text("value")))
	}},
	{"append", "", "UPDATE_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Topics().Append(ctx, "a/s", text("value")))
	}},
	{"edit", "", "UPDATE_TOPIC EDIT_TIME_SERIES_EVENTS", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Topics().EditEvent(ctx, "a/s", 0, text("edited")))
	}},
	{"query a range", "", "READ_TOPIC", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(advect.QueryRange[text](ctx, by.Topics(), "a/s", advect.RangeQuery{}))
	}},
	{"lock", "", "ACQUIRE_LOCK", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		lock, err := by.Lock(ctx, "a/b")
		if err != nil {
			return err
		}
		return lock.Unlock(ctx)
	}},
	{"request to a path", "", "SEND_TO_MESSAGE_HANDLER", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(advect.SendRequest[text](ctx, by.Messaging(), "a/b", text("text")))
	}},
	{"request to a session", "", "SEND_TO_SESSION", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return only(advect.SendRequestToSession[text](ctx, by.Messaging(), other, "a/b", text("text")))
	}},
	{"request to a filter", "", "SEND_TO_SESSION", func(ctx context.Context, by *advect.Session, _ advect.SessionID) (err error) {
		for _, err = range advect.SendRequestToFilter[text](ctx, by.Messaging(), nothing, "a/b", text("text")) {
		}
		return err
	}},
	{"answer requests", "REGISTER_HANDLER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return briefly[*advect.RequestHandle](ctx)(advect.AddRequestHandler(ctx, by.Messaging(), "a/b", echo[text]))
	}},
	{"answer requests, with properties", "REGISTER_HANDLER VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return briefly[*advect.RequestHandle](ctx)(advect.AddRequestHandler(ctx, by.Messaging(), "a/b", echo[text], advect.WithSenderProperties(advect.AllFixedProperties)))
	}},
	{"handle missing topics", "REGISTER_HANDLER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return briefly[*advect.MissingTopicHandle](ctx)(by.Topics().AddMissingTopicHandler(ctx, "a/b", advect.MissingTopicHandler{}))
	}},
	{"authenticate others", "AUTHENTICATE REGISTER_HANDLER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return briefly[*advect.AuthenticatorHandle](ctx)(by.Security().AddAuthenticator(ctx, advect.AfterSystemAuthenticator, advect.Authenticator{Authenticate: always(advect.Abstain())}))
	}},
	{"revoke", "AUTHENTICATE MODIFY_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Security().Revoke(ctx, nobody)
	}},
	{"listen to sessions", "REGISTER_HANDLER VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		query := advect.SessionEventQuery{StartedAfter: time.Now().Add(time.Hour)}
		return briefly[*advect.SessionListenerHandle](ctx)(by.Clients().AddListener(ctx, advect.SessionListener{SessionEventQuery: query}))
	}},
	{"read properties", "VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return only(by.Clients().Properties(ctx, other, advect.AllFixedProperties))
	}},
	{"query sessions", "VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Clients().Fetch(ctx, advect.SessionQuery{}))
	}},
	{"read selections", "VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return only(by.Clients().Selections(ctx, other))
	}},
	{"set properties", "MODIFY_SESSION VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return only(by.Clients().SetProperties(ctx, other, anyProperty))
	}},
	{"set properties by filter", "MODIFY_SESSION VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Clients().SetPropertiesByFilter(ctx, nothing, anyProperty))
	}},
	{"close", "MODIFY_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Clients().Close(ctx, nobody)
	}},
	{"close by filter", "MODIFY_SESSION VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Clients().CloseByFilter(ctx, nothing))
	}},
	{"conflate", "MODIFY_SESSION", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return by.Clients().SetConflated(ctx, other, true)
	}},
	{"conflate by filter", "MODIFY_SESSION VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Clients().SetConflatedByFilter(ctx, nothing, true))
	}},
	{"change roles", "MODIFY_SESSION", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return by.Clients().ChangeRoles(ctx, other, nil, addA)
	}},
	{"change roles by filter", "MODIFY_SESSION VIEW_SESSION", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Clients().ChangeRolesByFilter(ctx, nothing, nil, addA))
	}},
	{"subscribe others", "MODIFY_SESSION", "SELECT_TOPIC", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return by.Clients().Subscribe(ctx, other, "a/b")
	}},
	{"unsubscribe others", "MODIFY_SESSION", "SELECT_TOPIC", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return by.Clients().Unsubscribe(ctx, other, "a/b")
	}},
	{"unsubscribe others in all scopes", "MODIFY_SESSION", "SELECT_TOPIC", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return by.Clients().UnsubscribeAllScopes(ctx, other, "a/b")
	}},
	{"read metrics", "VIEW_SERVER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Metrics().Read(ctx, advect.MetricsQuery{}))
	}},
	{"list collectors", "VIEW_SERVER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Metrics().TopicCollectors(ctx))
	}},
	{"remove a collector", "CONTROL_SERVER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Metrics().RemoveTopicCollector(ctx, "none")
	}},
	{"list alerts", "CONTROL_SERVER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Metrics().Alerts(ctx))
	}},
	{"read the log", "VIEW_SERVER", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.FetchLog(ctx, 0, 1))
	}},
	{"read the store of roles", "VIEW_SECURITY", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Security().RoleStore(ctx))
	}},
	{"read the store of principals", "VIEW_SECURITY", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return only(by.Security().PrincipalStore(ctx))
	}},
	{"explain", "VIEW_SECURITY", "", func(ctx context.Context, by *advect.Session, other advect.SessionID) error {
		return only(by.Security().ExplainSession(ctx, other, "READ_TOPIC", "a/b"))
	}},
	{"change the store of roles", "MODIFY_SECURITY", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Security().UpdateRoleStore(ctx, "isolate path 'none'")
	}},
	{"change the store of principals", "MODIFY_SECURITY", "", func(ctx context.Context, by *advect.Session, _ advect.SessionID) error {
		return by.Security().UpdatePrincipalStore(ctx, "allow anonymous connections ['CLIENT']")
	}},
}

func permissionsNeeded(s *scene) {
	g := s.governed()
	other, admin := g.connect(), publisher{g.Session, s}
	admin.add("a/b", advect.String)
	_, err := g.Topics().Add(s.ctx, "a/s", advect.TimeSeriesOf(datatype.TypeString))
	s.none(err, "add")
	admin.append("a/s", text("first"))
	g.principals("add principal 'subject' 'password' ['SUBJECT']")
	session := g.connect(as("subject")...)
	for _, n := range needs {
		global, paths := strings.Fields(n.global), strings.Fields(n.paths)
		// outcome makes the call with all permissions that it needs but one.
		outcome := func(without string) error {
			grant := func(all []string) string {
				return "[" + strings.Join(slices.DeleteFunc(slices.Clone(all), func(p string) bool { return p == without }), " ") + "]"
			}
			g.roles("set 'SUBJECT' permissions "+grant(global), "set 'SUBJECT' default path permissions "+grant(paths))
			return n.call(s.ctx, session, other.ID())
		}
		for _, p := range slices.Concat(global, paths) {
			s.denied(outcome(p), n.what+", without "+p)
		}
		if err := outcome(""); err != nil {
			s.ok(errors.Is(err, advect.ErrNoSuchSession) || errors.Is(err, advect.ErrUnhandled), "%s with all that it needs: %v", n.what, err)
		}
	}
}
