package gosdk

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"syscall"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// The connection checklist: what a connection must be able to do and to survive.

const connectingGroup = "Connecting"

var connecting = []scenario{
	{"8.1-host-port", connectingGroup, "connect to host:port, anonymously and by name", both, anonymousAndNamed},
	{"8.2-credentials-refused", connectingGroup, "wrong password, unknown principal and custom credentials are refused with ACCESS_DENIED", both, credentialsRefused},
	{"8.3-nobody-listens", connectingGroup, "nobody listens: CONNECTION_ERROR", both, nobodyListens},
	{"8.3-accept-and-silent", connectingGroup, "accepted and never answered: CONNECTION_TIMEOUT after the connection timeout", both, acceptAndSilent},
	{"8.4-retry-until-started", connectingGroup, "the initial retry strategy outlasts a server that starts 300 ms later", both, retryUntilStarted},
	{"8.5-connection-killed", connectingGroup, "a killed TCP connection is repaired by the default strategy and no value is lost", both, connectionKilled},
	{"8.6-recovery-buffer-exceeded", connectingGroup, "recovery buffer exceeded: reconnect, every topic is resubscribed with its last value", both, recoveryBufferExceeded},
	{"8.7-reconnection-disabled", connectingGroup, "reconnection disabled: close at once, no disconnect event", both, reconnectionDisabled},
	{"8.8-closed-by-another-session", connectingGroup, "closed by an administrator: close with CLOSED_BY_SERVER", both, closedByAnother},
	{"8.9-websocket-blocked", connectingGroup, "WebSocket blocked by a proxy: the list WEBSOCKET, XHR works by polling", polling, webSocketBlocked},
	{"8.10-tls-private-ca", connectingGroup, "a TLS listener with a certificate of a private authority", both, privateAuthority},
	{"8.11-pings-missing", connectingGroup, "two ping periods without a ping: IDLE_CONNECTION, then the client reconnects by itself", both, pingsMissing},
	{"8.12-message-too-large-for-client", connectingGroup, "a value above the client's maxMessageSize is never a hang, and hurts nobody else", both, tooLargeForClient},
}

func anonymousAndNamed(s *scene) {
	hostPort := []advect.Option{advect.WithHost("127.0.0.1:" + shared.port), advect.WithTransports(s.transport)}
	anonymous := s.open(hostPort...)
	s.ok(anonymous.State().IsConnected(), "the anonymous session is %s", anonymous.State())
	s.equal(anonymous.Principal(), "", "anonymous principal")
	s.ok(regexp.MustCompile(`^[0-9a-f]{16}-[0-9a-f]{16}$`).MatchString(anonymous.ID().String()), "session id %s", anonymous.ID())
	named := s.connect(as("client")...)
	s.equal(named.Principal(), "client", "named principal")
	s.ok(named.ID() != anonymous.ID(), "two sessions with the id %s", named.ID())
	properties, err := named.Properties(s.ctx)
	s.none(err, "properties")
	s.equal(properties["$Principal"], "client", "$Principal")
}

func credentialsRefused(s *scene) {
	principal := advect.WithPrincipal("control")
	for what, options := range map[string][]advect.Option{
		"wrong password":     {principal, advect.WithPassword("wrong")},
		"unknown principal":  {advect.WithPrincipal("nobody-here"), advect.WithPassword("password")},
		"no password":        {principal},
		"custom credentials": {principal, advect.WithCredentials([]byte{1, 2, 3})},
	} {
		reason := s.refused(what, s.to(shared.port, options...)...)
		s.code(reason, advect.CodeAccessDenied, what)
		s.is(reason, what, advect.ErrAccessDenied, advect.ErrPermanent)
		var rejection *advect.Rejection
		s.ok(errors.As(reason, &rejection) && rejection.Code == 116, "%s: rejection %v", what, rejection)
	}
}

func nobodyListens(s *scene) {
	reason := s.refused("connect", s.to(s.freePort())...)
	s.code(reason, advect.CodeConnectionError, "nobody listens")
	s.is(reason, "nobody listens", advect.ErrConnection, advect.ErrTransient, syscall.ECONNREFUSED)
}

func acceptAndSilent(s *scene) {
	started := time.Now()
	reason := s.refused("connect", s.to(s.silence(), advect.WithConnectionTimeout(600*time.Millisecond))...)
	s.code(reason, advect.CodeConnectionTimeout, "silence")
	s.is(reason, "silence", advect.ErrConnectionTimeout, advect.ErrTransient)
	took := time.Since(started)
	s.ok(took >= 600*time.Millisecond && took < soonEnough, "took %v, want about 600 ms", took)
}

func retryUntilStarted(s *scene) {
	port := s.freePort()
	opening := advect.OpenAsync("", s.to(port, advect.WithRetry(advect.RetryStrategy{Attempts: 150, Interval: 100 * time.Millisecond}))...)
	select {
	case <-opening.Done():
		s.fatalf("the opening ended before there was a server")
	case <-time.After(300 * time.Millisecond):
	}
	s.serveAt("127.0.0.1:" + port)
	session, err := opening.Await(s.ctx)
	s.none(err, "await")
	s.closes(session)
	s.ping(session)
}

func connectionKilled(s *scene) {
	p := s.inspect(shared.port)
	publisher := s.publisher(shared.port)
	session := s.open(advect.WithHost("127.0.0.1"), withPort(p.port), advect.WithTransports(s.transport)) // nothing but defaults
	events := s.events(session)
	path := s.path()
	publisher.add(path, advect.Int64)
	stream := watch[datatype.Int64](s, session, path)
	s.none(session.Topics().Subscribe(s.ctx, path), "subscribe")
	publisher.count(path, 1, 5)
	s.await(stream, value, 5)
	lost := p.lose(events, 1, "reset")
	publisher.count(path, 6, 25)
	found := s.awaitEvent(events, reconnect, 1)
	s.ok(found.at.Sub(lost.at) < 10*time.Second, "reconnected %v after the loss", found.at.Sub(lost.at))
	publisher.count(path, 26, 26)
	s.await(stream, value, 26)
	s.equal(stream.values(), numbers(1, 26), "values")
	s.equal(events.kinds(), "disconnect reconnect", "events")
	s.equal(len(stream.of(subscribe)), 1, "subscriptions")
}

func recoveryBufferExceeded(s *scene) {
	server := s.serve("--recovery-messages", "4")
	p := s.lossy(server.port)
	publisher := s.publisher(server.port)
	gate := newGate()
	session := s.open(s.to(p.port, gate.option())...)
	events := s.events(session)
	stream := watch[datatype.String](s, session, "?many//")
	s.none(session.Topics().Subscribe(s.ctx, "?many//"), "subscribe")
	paths := make([]string, 10)
	for n := range paths {
		paths[n] = fmt.Sprintf("many/%d", n)
		publisher.add(paths[n], advect.String)
	}
	s.await(stream, subscribe, 10)
	p.lose(30, func() {
		for round := range 3 {
			for _, path := range paths {
				publisher.set(path, datatype.String(fmt.Sprintf("%s round %d", path, round)))
			}
		}
	})
	s.awaitEvent(events, disconnect, 1)
	gate.pass()
	s.awaitEvent(events, reconnect, 1)
	s.await(stream, subscribe, 20)
	for _, path := range paths {
		_, err := stream.until(patience, func(all []streamEvent) bool {
			for _, e := range all {
				if e.kind == value && e.value == fmt.Sprintf("%q", path+" round 2") {
					return true
				}
			}
			return false
		})
		s.none(err, "last value of "+path)
	}
	unsubscribed := stream.of(unsubscribe)
	s.equal(len(unsubscribed), 10, "unsubscriptions")
	for _, e := range unsubscribed {
		s.equal(e.reason, advect.UnsubscribeRefresh, "reason")
	}
	s.equal(events.kinds(), "disconnect reconnect", "events")
	publisher.set(paths[3], datatype.String("afterwards"))
	s.awaitValue(stream, `"afterwards"`)
	s.ping(session)
}

func reconnectionDisabled(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port, advect.WithReconnectTimeout(-1))...)
	events := s.events(session)
	p.cut("reset")
	s.code(s.closed(session), advect.CodeTransportError, "cut")
	s.is(session.Err(), "cut", advect.ErrTransport, advect.ErrTransient)
	s.equal(session.State(), advect.ClosedFailed, "state")
	s.awaitEvent(events, closing, 1)
	s.equal(events.kinds(), "close", "events")
	_, err := session.PingServer(s.ctx)
	s.is(err, "ping of a closed session", advect.ErrNotConnected, advect.ErrTransport)
}

func closedByAnother(s *scene) {
	session := s.connect()
	events := s.events(session)
	s.none(s.publisher(shared.port).Clients().Close(s.ctx, session.ID()), "close the session")
	s.code(s.closed(session), advect.CodeClosedByServer, "closed")
	s.equal(session.State(), advect.ClosedByServer, "state")
	s.is(session.Err(), "closed", advect.ErrClosedByServer)
	s.ok(!errors.Is(session.Err(), advect.ErrTransient) && !errors.Is(session.Err(), advect.ErrPermanent), "someone wanted this: no class")
	s.awaitEvent(events, closing, 1)
	s.equal(events.kinds(), "close", "events")
}

func webSocketBlocked(s *scene) {
	p := s.inspect(shared.port)
	for _, fault := range []string{"refuse", "503", "close1001"} {
		p.fault(advect.WebSocket, fault)
		s.ping(s.open(s.to(p.port, advect.WithTransports(advect.WebSocket, advect.HTTPPolling))...))
	}
}

func privateAuthority(s *scene) {
	c, err := certificates()
	s.none(err, "certificates")
	server := s.serve("--tls-listen", "127.0.0.1:0", "--tls-cert", c.certificate, "--tls-key", c.key)
	secure := func(more ...advect.Option) []advect.Option {
		return s.to(server.tlsPort, append(more, advect.WithSecure(true))...)
	}
	trust := advect.WithTLSConfig(&tls.Config{RootCAs: s.authorities(c)})
	s.ping(s.open(secure(trust)...))
	s.ping(s.open(s.to(server.port)...)) // the plain listener still works

	untrusted := s.refused("without the authority", secure()...)
	s.code(untrusted, advect.CodeConnectionError, "without the authority")
	var unknown x509.UnknownAuthorityError
	s.ok(errors.As(untrusted, &unknown), "without the authority: %v", untrusted)

	verifications := newRecord[error]("verifications") // by several goroutines when it polls
	accept := func(chain []*x509.Certificate, verification error) error {
		verifications.add(verification)
		if len(chain) == 0 || chain[0].Subject.CommonName != "localhost" {
			return fmt.Errorf("%d certificates", len(chain))
		}
		return nil
	}
	s.ping(s.open(secure(advect.WithCertificateValidation(accept))...))
	for _, found := range verifications.all() {
		s.ok(errors.As(found, &unknown), "the hook was told %v", found)
	}
	no := errors.New("not this one")
	refused := s.refused("refused by the hook", secure(trust, advect.WithCertificateValidation(
		func([]*x509.Certificate, error) error { return no }))...)
	s.is(refused, "refused by the hook", no, advect.ErrConnection)
}

func pingsMissing(s *scene) {
	server := s.serve("--ping-period", "1s")
	p := s.inspect(server.port, "--json")
	gate := newGate()
	session := s.open(s.to(p.port, gate.option())...)
	events := s.events(session)
	p.awaitLine(3, "pings of the server", func(e inspected) bool {
		return e.Direction == "S>C" && e.Kind == "request" && e.Service == "SYSTEM_PING"
	})
	s.equal(events.kinds(), "", "events while pings arrive")
	p.delay(time.Minute, "down")
	s.awaitEvent(events, disconnect, 1)
	causes, err := gate.causes.until(patience, func(all []error) bool { return len(all) > 0 })
	s.none(err, "cause")
	cause := s.closeReason(causes[0], "cause")
	s.ok(cause.Code == advect.CodeIdleConnection || cause.Code == advect.CodeTransportError,
		"lost by %s, want IDLE_CONNECTION, or TRANSPORT_ERROR if the server gave up first", cause.Code)
	p.delay(0, "both")
	gate.pass()
	s.awaitEvent(events, reconnect, 1)
	s.ping(session)
}

func tooLargeForClient(s *scene) {
	publisher := s.publisher(shared.port)
	path := s.path()
	publisher.add(path, advect.String)
	small := s.connect(advect.WithMaxMessageSize(2_000))
	events := s.events(small)
	s.none(small.Topics().Subscribe(s.ctx, path), "subscribe")
	other := s.connect()
	stream := watch[datatype.String](s, other, path)
	s.none(other.Topics().Subscribe(s.ctx, path), "subscribe")
	// Incompressible: the limit is about bytes on the wire.
	var text strings.Builder
	for text.Len() < 10_000 {
		fmt.Fprintf(&text, "%x", rand.Uint64())
	}
	publisher.set(path, datatype.String(text.String()))
	s.equal(s.await(stream, value, 1).value, fmt.Sprintf("%q", text.String()), "value of the other session")
	s.code(s.closed(small), advect.CodeTransportError, "small session")
	s.awaitEvent(events, closing, 1)
	s.equal(events.kinds(), "close", "a session that would meet it again does not reconnect")
}

// Cancellation, which is Go's own.

var cancelling = []scenario{
	{"8.13-cancel-while-dialling", connectingGroup, "Go: ctx cancelled or expired while connecting ends the opening at once, at every stage of it", both, cancelWhileDialling},
	{"8.13-cancel-while-waiting", connectingGroup, "Go: ctx cancelled or expired during the wait of a retry ends the opening at once", both, cancelWhileWaiting},
	{"8.13-cancel-while-reconnecting", connectingGroup, "Go: closing during a reconnection, waiting or connecting, ends it at once; calls end with their ctx", both, cancelWhileReconnecting},
	{"8.13-cancel-a-call", connectingGroup, "Go: ctx cancelled during a call ends the call and not the session", both, cancelACall},
}

// soonEnough is how long something that happens at once may take here.
const soonEnough = 5 * time.Second

// endsWith cancels an opening, and lets the deadline of another pass.
func (s *scene) endsWith(what string, begun func(), options ...advect.Option) {
	s.t.Helper()
	cause := errors.New("changed my mind")
	ctx, cancel := context.WithCancelCause(s.ctx)
	ended := make(chan error, 1)
	go func() {
		_, err := advect.Open(ctx, "", options...)
		ended <- err
	}()
	begun()
	cancel(cause)
	cancelled := time.Now()
	err := <-ended
	s.ok(time.Since(cancelled) < soonEnough, "%s: ended %v after it was cancelled", what, time.Since(cancelled))
	s.code(s.closeReason(err, what), advect.CodeClosedByClient, what)
	s.is(err, what, cause)

	ctx, stop := context.WithTimeout(s.ctx, 50*time.Millisecond)
	defer stop()
	started := time.Now()
	_, err = advect.Open(ctx, "", options...)
	s.ok(time.Since(started) < soonEnough, "%s: ended after %v, want 50 ms", what, time.Since(started))
	s.code(s.closeReason(err, what), advect.CodeConnectionTimeout, what)
	s.is(err, what, context.DeadlineExceeded)
}

func cancelWhileDialling(s *scene) {
	brief := func() {
		select {
		case <-time.After(30 * time.Millisecond):
		case <-s.ctx.Done():
		}
	}
	s.endsWith("TLS never answered", brief, s.to(s.silence(), advect.WithSecure(true))...)
	s.endsWith("HTTP never answered", brief, s.to(s.silence())...)
	p := s.inspect(shared.port, "--json")
	p.fault(s.transport, "silent")
	s.endsWith("handshake never answered", func() {
		p.awaitLine(1, "handshake", func(e inspected) bool { return e.Kind == "fault" })
	}, s.to(p.port)...)
	p.fault(s.transport, "pass")
	p.delay(time.Minute, "down")
	s.endsWith("response on its way", brief, s.to(p.port)...)

	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, err := advect.Open(ctx, "", s.to(shared.port)...)
	s.code(s.closeReason(err, "cancelled before"), advect.CodeClosedByClient, "cancelled before")
}

func cancelWhileWaiting(s *scene) {
	waiting := func() (<-chan struct{}, advect.Option) {
		tries := make(chan struct{}, 2)
		return tries, advect.WithRetryFunc(func(int, error) (time.Duration, bool) {
			tries <- struct{}{}
			return time.Hour, true
		})
	}
	tries, retry := waiting()
	s.endsWith("wait of a retry", func() { <-tries }, s.to(s.freePort(), retry)...)
	tries, retry = waiting()
	opening := advect.OpenAsync("", s.to(s.freePort(), retry)...)
	<-tries
	opening.Cancel()
	_, err := opening.Await(s.ctx)
	s.is(err, "cancelled opening", advect.ErrClosedByClient, syscall.ECONNREFUSED)
}

func cancelWhileReconnecting(s *scene) {
	// Waiting: the strategy's context ends.
	p := s.inspect(shared.port, "--json")
	gate := newGate()
	session := s.open(s.to(p.port, gate.option())...)
	events := s.events(session)
	p.lose(events, 1, "reset")
	_, err := session.PingServer(s.ctx)
	s.is(err, "ping during the outage", advect.ErrNotConnected)
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for _, err = range advect.Events[datatype.Value](ctx, session.Topics(), s.path()) {
	}
	s.is(err, "loop during the outage", context.Canceled)
	s.endsNow(session)

	// Connecting: the attempt is given up.
	session = s.open(s.to(p.port)...)
	events = s.events(session)
	p.fault(s.transport, "silent")
	p.lose(events, 1, "reset")
	p.awaitLine(1, "attempt", func(e inspected) bool { return e.Kind == "fault" })
	s.endsNow(session)
}

func (s *scene) endsNow(session *advect.Session) {
	s.t.Helper()
	started := time.Now()
	session.Close()
	s.ok(time.Since(started) < soonEnough, "closing took %v", time.Since(started))
	s.code(s.closed(session), advect.CodeClosedByClient, "closed")
	s.equal(session.State(), advect.ClosedByClient, "state")
}

func cancelACall(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port)...)
	p.delay(200*time.Millisecond, "up")
	ctx, cancel := context.WithTimeout(s.ctx, 20*time.Millisecond)
	defer cancel()
	_, err := session.PingServer(ctx)
	s.is(err, "ping with a deadline", context.DeadlineExceeded)
	p.delay(0, "both")
	s.ping(session) // the late answer of the first disturbs nothing
	s.ok(session.State().IsConnected(), "the session is %s", session.State())
}
