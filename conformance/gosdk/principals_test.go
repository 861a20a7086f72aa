package gosdk

import (
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// What the stock principals are for.

var permissionExamples = []scenario{
	{"permissions.examples-client", permissionsGroup, "client: subscription, fetch, notifications and requests to a path, and no control", both, exampleClient},
	{"permissions.examples-control", permissionsGroup, "control: topics, locks, messaging, control of sessions and an authenticator, but no metrics and no security stores", ws, exampleControl},
	{"permissions.examples-admin", permissionsGroup, "admin: security stores, metrics, session events, patches and time series, but no authenticator and no revocation", ws, exampleAdmin},
}

func exampleClient(s *scene) {
	control, client := s.owner(), s.connect(as("client")...)
	path := s.path()
	control.add(path, advect.String)
	control.set(path, text("value"))
	handler(s, control.Session, path, says("answer"))
	values := watch[text](s, client, path)
	s.subscribe(client, path)
	s.awaitValue(values, `"value"`)
	got, err := advect.FetchValue[text](s.ctx, client.Topics(), path)
	s.none(err, "fetch")
	s.equal(got, "value", "value")
	listener, told := s.listen(client, s.root)
	s.none(listener.Select(s.ctx, path), "select")
	first(s, 1, told)
	s.answered(client, path, "question", "answer")
	for what, err := range map[string]error{
		"update":                   client.Topics().Set(s.ctx, path, text("other")),
		"session lock":             only(client.Lock(s.ctx, s.path("lock"))),
		"session properties":       only(client.Clients().Properties(s.ctx, control.ID(), advect.AllFixedProperties)),
		"close of a session":       client.Clients().Close(s.ctx, control.ID()),
		"the store of roles":       only(client.Security().RoleStore(s.ctx)),
		"the store of principals":  only(client.Security().PrincipalStore(s.ctx)),
		"an explanation of itself": only(client.Security().ExplainSession(s.ctx, client.ID(), "READ_TOPIC", path)),
	} {
		s.denied(err, what)
	}
}

func exampleControl(s *scene) {
	port := s.serve().port
	control, client := publisher{s.at(port, as("control")...), s}, s.at(port)
	control.add("a", advect.String)
	control.set("a", text("value"))
	s.unlock(s.lock(control.Session, "a"))
	handler(s, control.Session, "a", echo[text], advect.WithSenderProperties("$Principal"))
	requestStream(s, client, "b", says("answer"))
	answer, err := s.askSession(control.Session, "b", client.ID(), "question")
	s.none(err, "request")
	s.equal(answer, "answer", "answer")
	c := control.Clients()
	s.set(control.Session, client, "job", "tester")
	s.has(control.Session, client, properties{"job": "tester"}, "job")
	s.none(c.Subscribe(s.ctx, client.ID(), "a"), "subscribe")
	s.none(c.ChangeRoles(s.ctx, client.ID(), nil, []string{"OPERATOR"}), "change roles")
	h, _ := s.authenticator(control.Session, advect.BeforeSystemAuthenticator, always(advect.Abstain()))
	s.none(h.Close(s.ctx), "close")
	s.none(c.Close(s.ctx, client.ID()), "close")
	for what, err := range map[string]error{
		"metrics":                 only(control.Metrics().Read(s.ctx, advect.MetricsQuery{})),
		"the log":                 only(control.FetchLog(s.ctx, 0, 1)),
		"the store of roles":      only(control.Security().RoleStore(s.ctx)),
		"the store of principals": only(control.Security().PrincipalStore(s.ctx)),
	} {
		s.denied(err, what)
	}
}

func exampleAdmin(s *scene) {
	admin, client := publisher{s.admin(), s}, s.connect()
	s.ok(len(s.roleStore(admin.Session).Roles) >= 6, "roles")
	s.ok(len(s.principalStore(admin.Session).Principals) >= 4, "principals")
	path := s.path()
	admin.add(path, advect.JSON)
	admin.set(path, doc(`{"a":1}`))
	s.none(admin.Topics().ApplyPatch(s.ctx, path, `[{"op":"replace","path":"/a","value":2}]`), "patch")
	series := admin.series(datatype.TypeString)
	admin.append(series, text("first"))
	admin.edit(series, 0, text("edited"))
	s.ok(len(s.read(admin.Session, advect.MetricsQuery{})) > 0, "no metrics")
	s.listenTo(admin.Session, advect.SessionEventQuery{StartedAfter: time.Now().Add(time.Hour)})
	s.denied(only(admin.Security().AddAuthenticator(s.ctx, advect.BeforeSystemAuthenticator, advect.Authenticator{Authenticate: always(advect.Abstain())})), "authenticator")
	s.denied(admin.Security().Revoke(s.ctx, client.ID()), "revocation")
}
