package gosdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"time"

	"advect.dev"
)

// What the platform's page on connecting shows, in Go.

const basics = "Connecting basics"

var founding = []scenario{
	{"basics.1-host-only", basics, "connect with a host and nothing else", ws, hostOnly},
	{"basics.1-host-and-port", basics, "connect with host and port, then-and-catch style", both, hostAndPort},
	{"basics.1-url", basics, "one URL instead of host, port, transport and secure", both, oneURL},
	{"basics.2-principal-and-credentials", basics, "connect as a principal with a password", both, principals},
	{"basics.3-retry", basics, "five attempts at intervals of 100 ms bridge a late start", both, retries},
	{"basics.4-transport-list", basics, "the list WEBSOCKET, XHR: the first that works is used", both, transportList},
	{"basics.5-repeated-transport", basics, "a transport listed twice is tried twice: WS, XHR, WS", ws, repeatedTransport},
	{"basics.6-async-await", basics, "await a session, catch its failure", both, asynchronous},
	{"basics.7-session-events", basics, "the events disconnect, reconnect and close of one session, in that order; no error", both, sessionEvents},
	{"basics.7-no-disconnect-event", basics, "without reconnection there is no disconnect event, only close", both, noDisconnectEvent},
}

func hostOnly(s *scene) {
	// An address of the loopback network that nobody else uses, with the usual ports.
	const address = "127.44.3.2"
	c, err := certificates()
	s.none(err, "certificates")
	server, err := startServer(address+":80", "--tls-listen", address+":443", "--tls-cert", c.certificate, "--tls-key", c.key)
	if err != nil {
		text := err.Error()
		if strings.Contains(text, "permission denied") {
			s.reason = "ports 80 and 443 cannot be bound here"
			s.t.Skip(s.reason)
		}
		s.none(err, "start a server")
	}
	s.t.Cleanup(server.stop)
	s.ping(s.openURL(address))
	s.ping(s.openURL("ws://" + address))
	s.ping(s.openURL("xhr://" + address))
	s.ping(s.open(advect.WithHost(address)))
	trust := advect.WithTLSConfig(&tls.Config{RootCAs: s.authorities(c), ServerName: "127.0.0.1"})
	s.ping(s.openURL("wss://"+address, trust))
	s.ping(s.openURL("xhrs://"+address, trust))
	s.ping(s.openURL(address+":443", trust))
	s.ping(s.open(advect.WithHost(address), advect.WithSecure(true), trust))
}

func (s *scene) authorities(c certificate) *x509.CertPool {
	text, err := os.ReadFile(c.authority)
	s.none(err, "read the authority")
	pool := x509.NewCertPool()
	s.ok(pool.AppendCertsFromPEM(text), "no certificate in %s", c.authority)
	return pool
}

func hostAndPort(s *scene) {
	session := s.connect()
	s.equal(session.State(), advect.ConnectedActive, "state")
	s.code(s.refused("nobody listening", s.to(s.freePort())...), advect.CodeConnectionError, "nobody listening")
}

func oneURL(s *scene) {
	scheme := map[advect.Transport]string{advect.WebSocket: "ws://", advect.HTTPPolling: "xhr://"}[s.transport]
	transport := map[advect.Transport]string{advect.WebSocket: "WEBSOCKET", advect.HTTPPolling: "HTTP_LONG_POLL"}[s.transport]
	for _, rest := range []string{
		"127.0.0.1:" + shared.port, "localhost:" + shared.port + "/", "127.0.0.1:" + shared.port + "/diffusion",
		"127.0.0.1:" + shared.port + "/context",
	} {
		// Of these options the URL overrides each.
		session := s.openURL(scheme+rest, advect.WithHost("no-such-host.invalid"), advect.WithPort(1), advect.WithSecure(true),
			advect.WithPath("/nowhere"), advect.WithTransports(advect.HTTPPolling, advect.WebSocket))
		properties, err := session.Properties(s.ctx)
		s.none(err, "properties")
		s.equal(properties["$Transport"], transport, "$Transport of "+rest)
	}
	for _, obsolete := range []string{"http", "https", "dpt", "dpts"} {
		_, err := advect.Open(s.ctx, obsolete+"://127.0.0.1:"+shared.port)
		s.ok(err != nil && strings.Contains(err.Error(), "obsolete"), "scheme %s: %v", obsolete, err)
	}
}

func principals(s *scene) {
	for _, principal := range []string{"client", "control", "admin", "operator"} {
		s.equal(s.connect(as(principal)...).Principal(), principal, "principal")
	}
}

func retries(s *scene) {
	e := s.endpoint(map[advect.Transport][]string{
		advect.WebSocket: {"status:503", "reset", "pass"}, advect.HTTPPolling: {"status:503", "status:404", "pass"},
	})
	retry := advect.WithRetry(advect.RetryStrategy{Attempts: 5, Interval: 100 * time.Millisecond})
	started := time.Now()
	s.ping(s.open(s.to(e.port, retry)...))
	s.ok(time.Since(started) >= 200*time.Millisecond, "connected after %v, want two intervals of waiting", time.Since(started))
	s.equal(len(strings.Fields(e.tried())), 3, "attempts")
	brief := advect.WithRetry(advect.RetryStrategy{Attempts: 5, Interval: 20 * time.Millisecond})
	s.code(s.refused("nobody ever listens", s.to(s.freePort(), brief)...), advect.CodeConnectionError, "nobody ever listens")
}

func transportList(s *scene) {
	p := s.inspect(shared.port)
	want := "WEBSOCKET"
	if s.transport == advect.HTTPPolling {
		p.fault(advect.WebSocket, "503")
		want = "HTTP_LONG_POLL"
	}
	session := s.open(s.to(p.port, advect.WithTransports(advect.WebSocket, advect.HTTPPolling))...)
	s.equal(len(session.ID().String()), 33, "length of the session id")
	properties, err := session.Properties(s.ctx)
	s.none(err, "properties")
	s.equal(properties["$Transport"], want, "$Transport")
}

func repeatedTransport(s *scene) {
	e := s.endpoint(map[advect.Transport][]string{advect.WebSocket: {"status:503", "pass"}, advect.HTTPPolling: {"status:503"}})
	s.ping(s.open(s.to(e.port, advect.WithTransports(advect.WebSocket, advect.HTTPPolling, advect.WebSocket))...))
	s.equal(e.tried(), "ws polling ws", "attempts")
}

func asynchronous(s *scene) {
	opening := advect.OpenAsync("", s.to(shared.port)...)
	session, err := opening.Await(s.ctx)
	s.none(err, "await")
	s.closes(session)
	s.ping(session)

	type outcome struct {
		session *advect.Session
		err     error
	}
	called := make(chan outcome, 2)
	for range 2 { // before and after the end
		opening.OnComplete(func(session *advect.Session, err error) { called <- outcome{session, err} })
		select {
		case o := <-called:
			s.ok(o.session == session && o.err == nil, "the callback got %v", o)
		case <-s.ctx.Done():
			s.fatalf("no callback")
		}
	}

	failing := advect.OpenAsync("", s.to(shared.port, advect.WithPrincipal("admin"), advect.WithPassword("not it"))...)
	_, err = failing.Await(s.ctx)
	s.code(s.closeReason(err, "wrong password"), advect.CodeAccessDenied, "wrong password")

	slow := advect.OpenAsync("", s.to(s.silence())...)
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
	defer cancel()
	_, err = slow.Await(ctx)
	s.is(err, "await with a deadline", context.DeadlineExceeded)
	slow.Cancel()
	_, err = slow.Await(s.ctx)
	s.code(s.closeReason(err, "cancelled"), advect.CodeClosedByClient, "cancelled")
}

func sessionEvents(s *scene) {
	p := s.inspect(shared.port)
	events := sessionRecord{newRecord[sessionEvent]("session events")}
	session := s.open(s.to(p.port, advect.WithStateListener(events.state), advect.WithErrorListener(events.problem))...)
	p.lose(events, 1, "reset")
	s.awaitEvent(events, reconnect, 1)
	session.Close()
	closed := s.awaitEvent(events, closing, 1)
	s.is(closed.err, "reason", advect.ErrClosedByClient)
	s.equal(events.kinds(), "open disconnect reconnect close", "events")
	var changes []string
	for _, e := range events.all() {
		changes = append(changes, e.old.String()+">"+e.new.String())
	}
	s.equal(strings.Join(changes, " "), "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>RECOVERING_RECONNECT "+
		"RECOVERING_RECONNECT>CONNECTED_ACTIVE CONNECTED_ACTIVE>CLOSED_BY_CLIENT", "changes")
}

func noDisconnectEvent(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port, advect.WithReconnectTimeout(0))...)
	events := s.events(session)
	p.cut("reset")
	s.closed(session)
	s.awaitEvent(events, closing, 1)
	s.equal(events.kinds(), "close", "events")
}
