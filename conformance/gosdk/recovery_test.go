package gosdk

import (
	"context"
	"errors"
	"fmt"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// Connections that are lost, and what is recovered.

var recovery = []scenario{
	{"11.3-recovery-nothing-lost", sessionsGroup, "connection lost and recovered with nothing missing; the session goes on", both, recoveredNothingLost},
	{"11.4-recovery-queued-messages", sessionsGroup, "updates made during the outage arrive in order, exactly once, before the reconnect event", both, recoveredQueued},
	{"11.4-recovery-messages-in-flight", sessionsGroup, "messages that were sent and never arrived are sent again, exactly once", both, recoveredInFlight},
	{"11.4-go-calls-complete", sessionsGroup, "Go: calls under way when the connection is lost complete after a recovery without loss", both, callsComplete},
	{"11.4-many-cuts", sessionsGroup, "ten losses in a row while values flow: every value once, in order", both, manyCuts},
	{"11.5-recovery-with-loss", sessionsGroup, "history gone: topics are unsubscribed, subscribed again, and their values are right", both, recoveredWithLoss},
	{"11.5-go-calls-fail", sessionsGroup, "Go: calls under way fail with ErrMessageLoss when a reconnection loses messages; later ones work", both, callsFail},
	{"11.8-close-frame", sessionsGroup, "a close frame or a plain FIN is a loss of connection, which is repaired", both, closeFrame},
	{"11.13-change-of-transport", sessionsGroup, "a polling session reconnects over WebSocket, and back, without loss", polling, changeOfTransport},
	{"11.14-token-rotation", sessionsGroup, "each reconnection uses the token of the last one; operations work after every one", both, tokenRotation},
	{"11.15-takeover", sessionsGroup, "the client returns while its old connection still looks alive: the new one wins", both, takeover},
	{"11.18-publisher-recovers", sessionsGroup, "a publisher that loses its connection between updates goes on updating", both, publisherRecovers},
}

var errEnough = errors.New("enough")

func abort(context.Context, advect.ReconnectAttempt) error { return errEnough }

// A subscription is a session behind an inspector that is subscribed to a
// counter, and a publisher that nothing disturbs.
type subscription struct {
	s         *scene
	proxy     *proxy
	publisher publisher
	session   *advect.Session
	events    sessionRecord
	gate      *gate // shut
	path      string
	stream    streamRecord
	losses    int
}

// subscribed subscribes over the transport under test, through an inspector in
// front of the server at a port.
func (s *scene) subscribed(port string, options ...advect.Option) *subscription {
	s.t.Helper()
	p := s.inspect(port)
	f := s.subscribedAt(port, p.port, options...)
	f.proxy = p
	return f
}

// subscribedAt does so through the proxy at another port.
func (s *scene) subscribedAt(port, proxyPort string, options ...advect.Option) *subscription {
	s.t.Helper()
	f := &subscription{s: s, publisher: s.publisher(port), gate: newGate(), path: s.path()}
	f.session = s.open(s.to(proxyPort, append([]advect.Option{f.gate.option()}, options...)...)...)
	f.events = s.events(f.session)
	f.publisher.add(f.path, advect.Int64)
	f.stream = watch[datatype.Int64](s, f.session, f.path)
	s.none(f.session.Topics().Subscribe(s.ctx, f.path), "subscribe")
	s.await(f.stream, subscribe, 1)
	return f
}

// count publishes the integers from first to last.
func (f *subscription) count(first, last int) {
	f.s.t.Helper()
	f.publisher.count(f.path, first, last)
}

// lose cuts the connection; the session stays disconnected until found.
func (f *subscription) lose() { f.s.t.Helper(); f.loseBy("reset") }

func (f *subscription) loseBy(mode string) {
	f.s.t.Helper()
	f.losses++
	f.proxy.lose(f.events, f.losses, mode)
}

// found lets the session reconnect and waits until it has.
func (f *subscription) found() {
	f.s.t.Helper()
	f.gate.pass()
	f.s.awaitEvent(f.events, reconnect, max(1, f.losses))
	f.gate.shut()
}

func recoveredNothingLost(s *scene) {
	f := s.subscribed(shared.port)
	f.count(1, 1)
	s.await(f.stream, value, 1)
	f.lose()
	causes, err := f.gate.causes.until(patience, func(all []error) bool { return len(all) > 0 })
	s.none(err, "cause")
	s.is(causes[0], "reason of the loss", advect.ErrTransport)
	s.equal(f.session.State(), advect.RecoveringReconnect, "state")
	f.found()
	s.equal(f.session.State(), advect.ConnectedActive, "state")
	f.count(2, 2)
	s.await(f.stream, value, 2)
	s.equal(f.stream.values(), "1 2", "values")
	s.equal(len(f.stream.of(subscribe)), 1, "subscriptions")
	s.equal(f.events.kinds(), "disconnect reconnect", "events")
	s.ping(f.session)
}

func recoveredQueued(s *scene) {
	f := s.subscribed(shared.port)
	f.count(1, 1)
	s.await(f.stream, value, 1)
	f.lose()
	f.count(2, 30)
	f.found()
	f.count(31, 31)
	s.await(f.stream, value, 31)
	s.equal(f.stream.values(), numbers(1, 31), "values")
	s.equal(len(f.stream.of(unsubscribe)), 0, "unsubscriptions")
}

func recoveredInFlight(s *scene) {
	p := s.lossy(shared.port)
	f := s.subscribedAt(shared.port, p.port)
	f.count(1, 1)
	s.await(f.stream, value, 1)
	p.lose(19, func() { f.count(2, 20) })
	f.found()
	f.count(21, 21)
	s.awaitValue(f.stream, "21")
	s.equal(f.stream.values(), numbers(1, 21), "values")
	s.equal(len(f.stream.of(unsubscribe)), 0, "unsubscriptions")
}

// callsComplete makes calls whose requests, or answers, are lost on the way.
func callsComplete(s *scene) {
	for _, direction := range []string{"up", "down"} {
		f := s.subscribed(shared.port, as("control")...)
		f.proxy.delay(3*time.Second, direction)
		const calls = 5
		results := make(chan error, calls)
		for n := range calls {
			go func() {
				_, err := f.session.Topics().Add(s.ctx, fmt.Sprintf("%s/call/%s/%d", s.root, direction, n), advect.NewSpecification(advect.String))
				results <- err
			}()
		}
		// The requests, or the answers, are with the inspector when it cuts.
		select {
		case err := <-results:
			s.fatalf("a call ended in spite of the delay: %v", err)
		case <-time.After(100 * time.Millisecond):
		}
		f.lose()
		f.proxy.delay(0, "both")
		f.found()
		for range calls {
			s.none(<-results, "call, lost "+direction)
		}
	}
}

func manyCuts(s *scene) {
	f := s.subscribed(shared.port)
	counter := 0
	more := func() { f.count(counter+1, counter+3); counter += 3 }
	for round := range 10 {
		more()
		f.loseBy([]string{"reset", "fin"}[round%2])
		more()
		f.found()
	}
	s.await(f.stream, value, counter)
	s.equal(f.stream.values(), numbers(1, counter), "values")
	s.equal(len(f.stream.of(subscribe)), 1, "subscriptions")
}

func recoveredWithLoss(s *scene) {
	server := s.serve("--recovery-messages", "2")
	p := s.lossy(server.port)
	f := s.subscribedAt(server.port, p.port)
	id := f.session.ID()
	f.count(1, 1)
	s.await(f.stream, value, 1)
	p.lose(11, func() { f.count(2, 12) })
	f.found()
	s.await(f.stream, subscribe, 2)
	s.awaitValue(f.stream, "12")
	s.equal(f.session.ID(), id, "session id")
	s.equal(f.stream.of(unsubscribe)[0].reason, advect.UnsubscribeRefresh, "reason")
	last := f.stream.all()
	s.equal(last[len(last)-1].old, "", "old value of the first value of the new subscription")
	// The counts start again: a loss of fewer messages than the buffer holds is recovered.
	p.lose(2, func() { f.count(13, 14) })
	f.losses = 2
	f.found()
	f.count(15, 15)
	s.awaitValue(f.stream, "15")
	all := f.stream.all()
	s.equal(streamRecord{&record[streamEvent]{items: all[len(all)-4:]}}.values(), "12 13 14 15", "values after the reset")
	s.equal(len(f.stream.of(subscribe)), 2, "subscriptions")
	s.ping(f.session)
}

// callsFail makes a call whose answer is among the messages that are lost.
func callsFail(s *scene) {
	server := s.serve("--recovery-messages", "2")
	p := s.lossy(server.port)
	f := s.subscribedAt(server.port, p.port)
	f.count(1, 1)
	s.await(f.stream, value, 1)
	result := make(chan error, 1)
	p.lose(12, func() {
		f.count(2, 3) // over polling the first of these arrives, and nothing after it
		go func() {
			_, err := f.session.PingServer(s.ctx)
			result <- err
		}()
		f.count(4, 12)
	})
	f.found()
	select {
	case err := <-result:
		s.is(err, "call", advect.ErrMessageLoss)
	case <-time.After(patience):
		s.fatalf("the call has not ended")
	}
	s.awaitValue(f.stream, "12")
	s.ping(f.session)
}

func closeFrame(s *scene) {
	f := s.subscribed(shared.port)
	modes := []string{"fin", "reset"}
	if s.transport == advect.WebSocket {
		modes = append(modes, "close1001")
	}
	for n, mode := range modes {
		f.loseBy(mode)
		f.found()
		f.count(n+1, n+1)
		s.await(f.stream, value, n+1)
	}
	s.equal(f.stream.values(), numbers(1, len(modes)), "values")
}

func changeOfTransport(s *scene) {
	p := s.inspect(shared.port)
	p.fault(advect.WebSocket, "503")
	f := s.subscribedAt(shared.port, p.port, advect.WithTransports(advect.WebSocket, advect.HTTPPolling))
	f.proxy = p
	counter := 0
	for _, step := range []struct{ fault, transport string }{{"pass", "WEBSOCKET"}, {"503", "HTTP_LONG_POLL"}, {"pass", "WEBSOCKET"}} {
		p.fault(advect.WebSocket, step.fault)
		f.count(counter+1, counter+1)
		f.lose()
		f.count(counter+2, counter+2)
		f.found()
		counter += 2
		f.s.ping(f.session)
	}
	s.await(f.stream, value, counter)
	s.equal(f.stream.values(), numbers(1, counter), "values")
	s.equal(len(f.stream.of(subscribe)), 1, "subscriptions")
}

func tokenRotation(s *scene) {
	p := s.inspect(shared.port, "--json")
	f := s.subscribedAt(shared.port, p.port)
	f.proxy = p
	for range 4 {
		f.lose()
		f.found()
		s.ping(f.session)
	}
	p.awaitLine(5, "connections", func(e inspected) bool { return e.Kind == "connected" })
	var given, used []any // the first characters of each token, in order
	for _, e := range parse(p.lines.all()) {
		switch token := e.Fields["token"]; {
		case e.Kind == "connected":
			given = append(given, token)
		case e.Kind == "connect" && token != nil:
			used = append(used, token)
		}
	}
	s.equal(len(given), 5, "connections")
	s.equal(used, given[:4], "tokens used, by tokens given")
}

func takeover(s *scene) {
	server := s.serve("--ping-period", "1500ms")
	f := s.subscribed(server.port)
	f.count(1, 1)
	s.await(f.stream, value, 1)
	// The client hears nothing, calls the connection idle and returns; the
	// server's side of the old connection is still held open by the inspector.
	f.proxy.delay(30*time.Second, "down")
	s.awaitEvent(f.events, disconnect, 1)
	f.losses = 1
	f.proxy.delay(0, "both")
	f.found()
	f.count(2, 2)
	s.await(f.stream, value, 2)
	s.equal(f.stream.values(), "1 2", "values")
	s.ping(f.session)
}

func publisherRecovers(s *scene) {
	p := s.inspect(shared.port)
	session := s.open(s.to(p.port, as("control")...)...)
	publisher := publisher{session, s}
	events := s.events(session)
	reader := s.connect()
	path := s.path()
	publisher.add(path, advect.Int64)
	stream := watch[datatype.Int64](s, reader, path)
	s.none(reader.Topics().Subscribe(s.ctx, path), "subscribe")
	for n := 1; n <= 5; n++ {
		publisher.count(path, n, n)
		p.lose(events, n, "reset")
		s.awaitEvent(events, reconnect, n)
	}
	s.await(stream, value, 5)
	s.equal(stream.values(), numbers(1, 5), "values")
}
