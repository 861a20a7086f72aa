package gosdk

import (
	"sync"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// The session's other services.

const servicesGroup = "Session services"

var services = []scenario{
	{"services.ping-server", servicesGroup, "pingServer: many at once, each answered", both, pings},
	{"services.session-properties", servicesGroup, "getSessionProperties: the fixed properties of the session itself", both, sessionProperties},
	{"services.change-principal", servicesGroup, "changePrincipal: right password changes what the session may do, a wrong one changes nothing", both, changePrincipal},
	{"services.many-sessions", servicesGroup, "thirty sessions at once see the same values", both, manySessions},
}

func pings(s *scene) {
	session := s.connect()
	var all sync.WaitGroup
	failures := newRecord[error]("failures")
	for range 50 {
		all.Go(func() {
			if _, err := session.PingServer(s.ctx); err != nil {
				failures.add(err)
			}
		})
	}
	all.Wait()
	s.equal(failures.all(), "[]", "failures")
}

func sessionProperties(s *scene) {
	session := s.connect(as("client", advect.WithSessionProperties(map[string]string{"Team": "blue", "$Principal": "admin"}))...)
	properties, err := session.Properties(s.ctx)
	s.none(err, "properties")
	transport := map[advect.Transport]string{advect.WebSocket: "WEBSOCKET", advect.HTTPPolling: "HTTP_LONG_POLL"}[s.transport]
	for key, want := range map[string]string{
		"$SessionId": session.ID().String(), "$Principal": "client", "$Transport": transport, "$ClientIP": "127.0.0.1",
	} {
		s.equal(properties[key], want, key)
	}
	s.ok(len(properties["$StartTime"]) >= 13, "$StartTime is %s", properties["$StartTime"])
}

func changePrincipal(s *scene) {
	session := s.connect()
	topics := session.Topics()
	path := s.path()
	spec := advect.NewSpecification(advect.String)
	_, err := topics.Add(s.ctx, path, spec)
	s.is(err, "add as anonymous", advect.ErrPermissionDenied)
	s.is(session.ChangePrincipal(s.ctx, "control", advect.Password("wrong")), "wrong password", advect.ErrAccessDenied)
	s.equal(session.Principal(), "", "principal after the refusal")
	_, err = topics.Add(s.ctx, path, spec)
	s.is(err, "add after the refusal", advect.ErrPermissionDenied)
	s.none(session.ChangePrincipal(s.ctx, "control", advect.Password("password")), "change principal")
	s.equal(session.Principal(), "control", "principal")
	_, err = topics.Add(s.ctx, path, spec)
	s.none(err, "add as control")
}

func manySessions(s *scene) {
	publisher := s.publisher(shared.port)
	path := s.path()
	publisher.add(path, advect.Int64)
	var openings []*advect.Opening
	for range 30 {
		openings = append(openings, advect.OpenAsync("", s.to(shared.port)...))
	}
	var streams []streamRecord
	for _, opening := range openings {
		session, err := opening.Await(s.ctx)
		s.none(err, "open")
		s.closes(session)
		streams = append(streams, watch[datatype.Int64](s, session, path))
		s.subscribe(session, path)
	}
	started := time.Now()
	publisher.count(path, 1, 20)
	for _, stream := range streams {
		s.await(stream, value, 20)
		s.equal(stream.values(), numbers(1, 20), "values")
	}
	s.t.Logf("20 values to %d sessions in %v", len(streams), time.Since(started))
}
