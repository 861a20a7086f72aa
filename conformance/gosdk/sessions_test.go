package gosdk

import (
	"fmt"
	"net/http"
	"os"
	"syscall"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// The life of a session: pings, ends, and what follows a loss.

const sessionsGroup = "Sessions"

var sessions = []scenario{
	{"11.1-connect-ping-close", sessionsGroup, "connect, ping both ways, close", both, connectPingClose},
	{"11.2-rejection-codes", sessionsGroup, "each refusal code of the handshake becomes its close reason", both, rejectionCodes},
	{"11.6-unknown-session", sessionsGroup, "the server no longer knows the session: close with HANDSHAKE_REJECTED", both, unknownSession},
	{"11.6-keep-alive-over", sessionsGroup, "the server's reconnection window is over: close with HANDSHAKE_REJECTED", both, keepAliveOver},
	{"11.6-client-timeout-over", sessionsGroup, "the client's reconnection timeout is over: close with CONNECTION_TIMEOUT", both, clientTimeoutOver},
	{"11.6-strategy-aborts", sessionsGroup, "the application's strategy gives up: close with RECONNECT_ABORTED", both, strategyAborts},
	{"11.7-closed-by-server", sessionsGroup, "the server ends the session: close with CLOSED_BY_SERVER, streams close", both, closedByServer},
	{"11.10-told-to-reconnect", sessionsGroup, "polling answered with \"diffusion-connection: reconnect\": the client reconnects, nothing is lost", polling, toldToReconnect},
	{"11.10-server-forgot-poller", sessionsGroup, "polls after a server restart are told to reconnect, then refused: the session closes cleanly", polling, unknownSession},
	{"11.11-empty-poll", sessionsGroup, "polls that end empty are harmless", polling, emptyPolls},
	{"11.12-websocket-refused", sessionsGroup, "WebSocket refused: polling, and values flow", polling, webSocketRefused},
	{"11.16-closed-while-disconnected", sessionsGroup, "close() during an outage is local; calls during an outage fail at once", both, closedWhileDisconnected},
	{"11.17-server-stops", sessionsGroup, "SIGTERM drains the server, which exits 0; its sessions end", both, serverStops},
}

func connectPingClose(s *scene) {
	server := s.serve("--ping-period", "1s")
	p := s.inspect(server.port, "--json")
	session := s.open(s.to(p.port)...)
	events := s.events(session)
	ping, err := session.PingServer(s.ctx)
	s.none(err, "ping")
	s.ok(ping.RoundTrip > 0 && time.Since(ping.Time) < time.Minute, "ping details %+v", ping)
	// The server's pings keep the client content, its answers the server.
	p.awaitLine(3, "answers to pings of the server", func(e inspected) bool {
		return e.Direction == "C>S" && e.Kind == "response" && e.Service == "SYSTEM_PING"
	})
	s.equal(events.kinds(), "", "events")
	s.equal(session.State(), advect.ConnectedActive, "state")
	s.none(session.Close(), "close")
	s.code(s.closed(session), advect.CodeClosedByClient, "closed")
	p.awaitLine(1, "close request", func(e inspected) bool { return e.Direction == "C>S" && e.Kind == "close" })
	s.none(session.Close(), "close again")
}

func rejectionCodes(s *scene) {
	p := s.inspect(shared.port)
	for code, want := range map[int]advect.CloseCode{
		102: advect.CodeVersionMismatch, 113: advect.CodeLicenceExceeded, 114: advect.CodeHandshakeRejected,
		115: advect.CodeHandshakeRejected, 116: advect.CodeAccessDenied, 117: advect.CodeHandshakeRejected,
		118: advect.CodeHandshakeRejected, 119: advect.CodeHandshakeRejected,
	} {
		what := fmt.Sprintf("code %d", code)
		p.fault(s.transport, fmt.Sprintf("code:%d", code))
		s.code(s.refused(what, s.to(p.port)...), want, what)
	}
}

// unknownSession restarts a server under a session.
func unknownSession(s *scene) {
	first := s.serve()
	gate := newGate()
	session := s.open(s.to(first.port, gate.option())...)
	events := s.events(session)
	first.signal(os.Kill)
	s.awaitEvent(events, disconnect, 1)
	s.serveAt("127.0.0.1:" + first.port)
	gate.pass()
	s.code(s.closed(session), advect.CodeHandshakeRejected, "closed")
	s.equal(session.State(), advect.ClosedFailed, "state")
}

func keepAliveOver(s *scene) {
	// A cut between two polls is not seen by the server before the next is overdue.
	server := s.serve("--reconnect-keep-alive", "300ms", "--poll-timeout", "1s")
	p := s.inspect(server.port)
	// Long after the window, with room for a busy machine.
	session := s.open(s.to(p.port, advect.WithReconnectStrategy(advect.FixedDelay(3*time.Second)))...)
	events := s.events(session)
	p.lose(events, 1, "reset")
	s.code(s.closed(session), advect.CodeHandshakeRejected, "closed")
	s.is(session.Err(), "a new session may be opened", advect.ErrTransient)
	s.awaitEvent(events, closing, 1)
	s.equal(events.kinds(), "disconnect close", "events")
}

func clientTimeoutOver(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port, advect.WithReconnectTimeout(500*time.Millisecond))...)
	events := s.events(session)
	p.fault(advect.WebSocket, "refuse")
	p.fault(advect.HTTPPolling, "refuse")
	lost := p.lose(events, 1, "reset")
	s.code(s.closed(session), advect.CodeConnectionTimeout, "closed")
	s.is(session.Err(), "the last failure is told too", advect.ErrConnectionTimeout, advect.ErrConnection)
	took := s.awaitEvent(events, closing, 1).at.Sub(lost.at)
	s.ok(took > 400*time.Millisecond && took < 5*time.Second, "closed %v after the loss, want 500 ms", took)
	s.equal(events.kinds(), "disconnect close", "events: one disconnect whatever the number of attempts")
}

func strategyAborts(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port, advect.WithReconnectStrategy(abort))...)
	events := s.events(session)
	p.lose(events, 1, "reset")
	s.code(s.closed(session), advect.CodeReconnectAborted, "closed")
	s.is(session.Err(), "closed", advect.ErrReconnectAborted, errEnough, advect.ErrTransport)
}

func closedByServer(s *scene) {
	f := s.subscribed(shared.port)
	ended := make(chan error, 1)
	_, err := advect.AddStream(f.session.Topics(), f.path, advect.Stream[datatype.Int64]{OnClose: func(err error) { ended <- err }})
	s.none(err, "add stream")
	s.none(s.publisher(shared.port).Clients().Close(s.ctx, f.session.ID()), "close the session")
	s.code(s.closed(f.session), advect.CodeClosedByServer, "closed")
	select {
	case err := <-ended:
		s.is(err, "end of the stream", advect.ErrClosedByServer)
	case <-s.ctx.Done():
		s.fatalf("the stream was not closed")
	}
}

func toldToReconnect(s *scene) {
	e := s.endpoint(nil)
	publisher := s.publisher(shared.port)
	session := s.open(s.to(e.port)...)
	events := s.events(session)
	path := s.path()
	publisher.add(path, advect.Int64)
	stream := watch[datatype.Int64](s, session, path)
	s.none(session.Topics().Subscribe(s.ctx, path), "subscribe")
	e.answerNextPoll(http.Header{"Diffusion-Connection": {"reconnect"}})
	publisher.count(path, 1, 10)
	s.awaitEvent(events, reconnect, 1)
	publisher.count(path, 11, 20)
	s.awaitValue(stream, "20")
	s.equal(stream.values(), numbers(1, 20), "values")
	s.equal(events.kinds(), "disconnect reconnect", "events")
}

func emptyPolls(s *scene) {
	server := s.serve("--poll-hold", "100ms")
	e := s.endpointTo(server.port, nil)
	session := s.open(s.to(e.port)...)
	events := s.events(session)
	_, err := e.polls.until(patience, func(all []struct{}) bool { return len(all) > 8 })
	s.none(err, "polls")
	s.equal(events.kinds(), "", "events")
	s.ping(session)
}

func webSocketRefused(s *scene) {
	p := s.inspect(shared.port)
	p.fault(advect.WebSocket, "refuse")
	session := s.open(s.to(p.port, as("control", advect.WithTransports(advect.WebSocket, advect.HTTPPolling))...)...)
	path := s.path()
	stream := watch[datatype.String](s, session, path)
	s.none(session.Topics().Subscribe(s.ctx, path), "subscribe")
	_, err := session.Topics().AddAndSet(s.ctx, path, advect.NewSpecification(advect.String), datatype.String("by polling"))
	s.none(err, "add and set")
	s.awaitValue(stream, `"by polling"`)
}

func closedWhileDisconnected(s *scene) {
	f := s.subscribed(shared.port)
	f.lose()
	started := time.Now()
	_, err := f.session.PingServer(s.ctx)
	s.is(err, "ping during the outage", advect.ErrNotConnected)
	s.is(f.session.Topics().Subscribe(s.ctx, "any"), "subscribe during the outage", advect.ErrNotConnected)
	s.endsNow(f.session)
	s.ok(time.Since(started) < soonEnough, "took %v", time.Since(started))
	s.awaitEvent(f.events, closing, 1)
	s.equal(f.events.kinds(), "disconnect close", "events")
}

func serverStops(s *scene) {
	server := s.serve()
	session := s.open(s.to(server.port, advect.WithReconnectTimeout(time.Second))...)
	s.equal(server.signal(syscall.SIGTERM), 0, "exit code")
	s.closed(session)
}
