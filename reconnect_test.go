package advect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// again is the response to a reconnection, with another token.
func again(code wire.ResponseCode, next int32) wire.ConnectResponse {
	res := response(code)
	res.Token, res.NextClient = "TheTokenAfterReconnect-1", next
	return res
}

// atOnce makes attempts to reconnect without a delay.
var atOnce = WithReconnectStrategy(FixedDelay(0))

// resumes checks the parameters of a reconnection.
func (a *attempt) resumes(token string, oldest, last int) {
	a.network.t.Helper()
	got := fmt.Sprint(a.param("c"), " cs=", a.param("cs"), " ss=", a.param("ss"))
	if want := fmt.Sprint(token, " cs=", oldest, " ss=", last); got != want {
		a.network.t.Errorf("reconnects with %s, want %s", got, want)
	}
}

// pings starts n pings whose order is known.
func pings(s *Session, n int) <-chan error {
	ended := make(chan error, n)
	for range n {
		go func() {
			_, err := s.PingServer(context.Background())
			ended <- err
		}()
		synctest.Wait()
	}
	return ended
}

// TestReconnect loses messages in both directions: those of the client are sent
// again, in order; the numbers of those of the server are reported.
func TestReconnect(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var log states
		s, p := n.open(transport, atOnce, WithStateListener(log.listen))
		sink := recordSink(s)
		p.send(unhex("0037 05"), unhex("04 00000001 61")) // numbers 1 and 2
		if m := p.receive(); m.Conversation != 5 {        // number 1
			t.Errorf("%+v", m)
		}
		ended := pings(s, 3) // numbers 2, 3 and 4
		for want := int64(1); want <= 3; want++ {
			if m := p.receive(); m.Conversation != want {
				t.Errorf("request %d, want %d", m.Conversation, want)
			}
		}
		p.cut()
		a := n.next()
		a.resumes(fakeToken, 1, 2)
		if a.param("sp") != environment() || a.param("r") != "60000" {
			t.Errorf("sp %s, r %s", a.param("sp"), a.param("r"))
		}
		if s.State() != RecoveringReconnect {
			t.Errorf("state %v", s.State())
		}
		if _, err := s.PingServer(context.Background()); !errors.Is(err, ErrNotConnected) {
			t.Errorf("ping while reconnecting: %v", err)
		}
		p = a.respond(again(wire.Reconnected, 3)) // 3 and 4 were lost
		p.send(unhex("05 00000001 62"))           // number 3
		for want := int64(2); want <= 3; want++ {
			m := p.receive()
			if m.Type != wire.TypeRequest || m.Conversation != want {
				t.Errorf("sent again: %+v, want request %d", m, want)
			}
			p.send(wire.AppendResponse(nil, m.Conversation)) // 4, 5
		}
		p.send(wire.AppendResponse(nil, 1), wire.AppendResponse(nil, 2)) // the answer to what arrived, and one too many
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		// The last sequence number is unchanged by sending again.
		p.cut()
		a = n.next()
		a.resumes("TheTokenAfterReconnect-1", 3, 7)
		p = a.respond(again(wire.Reconnected, 5))
		p.nothing()
		if sink.String() != `message 1 false "a"`+"\n"+`message 1 true "b"` {
			t.Errorf("sink:\n%s", sink)
		}
		want := "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>RECOVERING_RECONNECT RECOVERING_RECONNECT>CONNECTED_ACTIVE " +
			"CONNECTED_ACTIVE>RECOVERING_RECONNECT RECOVERING_RECONNECT>CONNECTED_ACTIVE"
		if log.String() != want {
			t.Errorf("states %s", &log)
		}
		n.closeSession(s, p)
	})
}

// A server that wants messages which are gone, or which never were, ends the session.
func TestLostMessages(t *testing.T) {
	for _, next := range []int32{0, 2, 6, 99} {
		t.Run(fmt.Sprint(next), func(t *testing.T) {
			onBoth(t, func(t *testing.T, n *network, transport Option) {
				s, p := n.open(transport, atOnce, WithRecoveryBuffer(2))
				ended := pings(s, 4)
				for range 4 {
					p.receive()
				}
				p.cut()
				a := n.next()
				a.resumes(fakeToken, 3, 0)
				p = a.respond(again(wire.Reconnected, next))
				<-s.Done()
				if !errors.Is(s.Err(), ErrLostMessages) || s.State() != ClosedFailed {
					t.Errorf("%v %v", s.State(), s.Err())
				}
				for range 4 {
					if err := <-ended; !errors.Is(err, ErrLostMessages) {
						t.Error(err)
					}
				}
				p.cut()
			})
		})
	}
}

// TestReconnectWithLoss starts anew: counts, calls and topics.
func TestReconnectWithLoss(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var log states
		s, p := n.open(transport, atOnce, WithStateListener(log.listen))
		sink := recordSink(s)
		ended := pings(s, 2)
		p.send(unhex("04 00000001 61"))
		p.receive()
		p.receive()
		p.cut()
		a := n.next()
		a.resumes(fakeToken, 1, 1)
		p = a.respond(again(wire.ReconnectedWithLoss, 0))
		for range 2 {
			if err := <-ended; !errors.Is(err, ErrMessageLoss) {
				t.Errorf("pending call: %v", err)
			}
		}
		p.nothing() // is sent again
		p.send(unhex("04 00000001 62"))
		ended = pings(s, 1)
		if m := p.receive(); m.Conversation != 3 {
			t.Errorf("first request is %+v", m)
		}
		if sink.String() != `message 1 false "a"`+"\nreset\n"+`message 1 false "b"` {
			t.Errorf("sink:\n%s", sink)
		}
		p.cut()
		a = n.next()
		a.resumes("TheTokenAfterReconnect-1", 1, 1)
		p = a.respond(again(wire.Reconnected, 1))
		p.send(wire.AppendResponse(nil, p.receive().Conversation))
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.closeSession(s, p)
	})
}

// Each refusal of a reconnection, and each unintelligible answer, closes the
// session; failures of the transport do not.
func TestReconnectFailures(t *testing.T) {
	for _, first := range both {
		second := both[1-first]
		for _, c := range misbehaviour {
			if c.name == "code for another request" {
				c.do = func(_ *network, a *attempt) { a.raw(wire.AppendConnectResponse(nil, response(wire.OK))) }
			}
			t.Run(fmt.Sprint(first, " ", c.name), func(t *testing.T) {
				inNetwork(t, func(t *testing.T, n *network) {
					s, p := n.open(atOnce, WithTransports(first, second))
					p.cut()
					for i := range 2 {
						a := n.next()
						if a.webSocket() != ([]Transport{first, second}[i] == WebSocket) {
							t.Errorf("attempt %d with the wrong transport", i)
						}
						a.resumes(fakeToken, 1, 0)
						c.do(n, a)
						if !c.cascades {
							break
						}
					}
					if c.want == ErrConnection {
						a := n.next()
						if a.webSocket() != (first == WebSocket) {
							t.Error("the next attempt does not start with the first transport")
						}
						n.closeSession(s, a.respond(again(wire.Reconnected, 1)))
						return
					}
					<-s.Done()
					if !errors.Is(s.Err(), c.want) || s.State() != ClosedFailed {
						t.Errorf("%v %v, want %v", s.State(), s.Err(), c.want)
					}
					synctest.Wait()
					if len(n.attempts) > 0 {
						t.Error("one attempt too many")
					}
				})
			})
		}
	}
}

// A session moves between transports.
func TestReconnectOverAnotherTransport(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		o := n.opening(WithTransports(both...), atOnce)
		n.next().status(503)
		p := n.next().code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		ended := pings(s, 1)
		p.receive()
		p.cut()
		p = n.next().respond(again(wire.Reconnected, 1))
		if p.nc == nil {
			t.Error("not over WebSocket")
		}
		p.send(wire.AppendResponse(nil, p.receive().Conversation))
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.closeSession(s, p)
	})
}

// Whatever ends the connection without an abort leads to a reconnection.
func TestLosses(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"closed":  func(p *peer) { p.nc.Close() },
		"1000":    func(p *peer) { p.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))) },
		"1011":    func(p *peer) { p.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1011, "oops"))) },
		"4000":    func(p *peer) { p.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(4000, ""))) },
		"no code": func(p *peer) { p.frame(ws.NewCloseFrame(nil)) },
		"half a message": func(p *peer) {
			p.nc.Write([]byte{0x82, 100, 4})
			p.nc.Close()
		},
	} {
		t.Run(name, func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				var why error
				s, p := n.open(WithReconnectStrategy(func(_ context.Context, a ReconnectAttempt) error {
					why = a.Err
					return nil
				}))
				go end(p)
				a := n.next()
				if !errors.Is(why, ErrTransport) {
					t.Errorf("lost because of %v", why)
				}
				p.nc.Close()
				n.closeSession(s, a.respond(again(wire.Reconnected, 1)))
			})
		})
	}
}

// An attempt to write that fails is a loss too, but an abort that came before it is not.
func TestWriteFails(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(WithTransports(HTTPPolling), atOnce)
		synctest.Wait() // the first poll is open
		n.mu.Lock()
		delete(n.peers, fakeToken) // sends are told to reconnect, the open poll is not
		n.mu.Unlock()
		ended := pings(s, 1)
		p.cut()
		p = n.next().respond(again(wire.Reconnected, 1))
		p.send(wire.AppendResponse(nil, p.receive().Conversation))
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.closeSession(s, p)
	})
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(WithTransports(HTTPPolling), atOnce)
		synctest.Wait() // the first poll is open
		n.mu.Lock()
		delete(n.peers, fakeToken)
		n.mu.Unlock()
		ended := pings(s, 1)
		p.abort()
		<-s.Done()
		if err := <-ended; !errors.Is(err, ErrClosedByServer) {
			t.Error(err)
		}
		p.cut()
	})
}

// Two periods without a system ping are the end of a connection, whatever else
// was received (protocol 03 section 6).
func TestIdle(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		const period = 200 * time.Millisecond
		var why error
		o := n.opening(transport, WithReconnectStrategy(func(_ context.Context, a ReconnectAttempt) error {
			why = a.Err
			return nil
		}))
		res := response(wire.OK)
		res.PingPeriod = period
		p := n.next().respond(res)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.Sleep(period)
		p.send(unhex("0037 00")) // one-way: not answered, but counts
		for range 3 {
			time.Sleep(period / 2)
			p.send(unhex("0038 01")) // does not count
			p.receive()
		}
		a := n.next()
		if took := time.Since(start); took != 3*period || !errors.Is(why, ErrIdle) {
			t.Errorf("idle after %v: %v", took, why)
		}
		p.cut()
		again := again(wire.Reconnected, 4)
		again.PingPeriod = 0 // not watched any more
		p = a.respond(again)
		time.Sleep(time.Hour)
		if s.State() != ConnectedActive {
			t.Error(s.State())
		}
		n.closeSession(s, p)
	})
}

func TestReconnectDisabled(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var log states
		o := n.opening(transport, WithReconnectTimeout(-1), WithStateListener(log.listen))
		a := n.next()
		if a.param("r") != "0" {
			t.Errorf("r=%s", a.param("r"))
		}
		p := a.code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		p.cut()
		<-s.Done()
		if !errors.Is(s.Err(), ErrTransport) || !errors.Is(s.Err(), ErrTransient) || log.String() != "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>CLOSED_FAILED" {
			t.Errorf("%v, %s", s.Err(), &log)
		}
	})
}

// The reconnection timeout ends the session at every stage.
func TestReconnectTimeout(t *testing.T) {
	for stage, strategy := range map[string]ReconnectStrategy{
		"wait":            FixedDelay(time.Hour),
		"attempt":         FixedDelay(0),
		"many attempts":   FixedDelay(time.Second),
		"ends regardless": func(ctx context.Context, _ ReconnectAttempt) error { <-ctx.Done(); return nil },
	} {
		t.Run(stage, func(t *testing.T) {
			onBoth(t, func(t *testing.T, n *network, transport Option) {
				s, p := n.open(transport, WithReconnectTimeout(10*time.Second), WithReconnectStrategy(strategy))
				n.setRefuse(stage == "many attempts")
				p.cut()
				start := time.Now()
				<-s.Done()
				if took := time.Since(start); !errors.Is(s.Err(), ErrConnectionTimeout) || took != 10*time.Second {
					t.Errorf("%v after %v", s.Err(), took)
				}
				var op *net.OpError
				if stage == "many attempts" && (n.dialled() < 10 || !errors.As(s.Err(), &op)) {
					t.Errorf("%d dials, %v", n.dialled(), s.Err())
				}
			})
		})
	}
}

func TestReconnectAborted(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		enough := errors.New("enough")
		var s *Session
		var log []string
		s, p := n.open(WithReconnectStrategy(func(_ context.Context, a ReconnectAttempt) error {
			log = append(log, fmt.Sprint(a.Number, a.Session == s, errors.Is(a.Err, ErrTransport), errors.Is(a.Err, ErrConnection)))
			if a.Number == 3 {
				return enough
			}
			return nil
		}))
		n.setRefuse(true)
		p.cut()
		<-s.Done()
		if !errors.Is(s.Err(), ErrReconnectAborted) || !errors.Is(s.Err(), enough) || s.State() != ClosedFailed {
			t.Errorf("%v %v", s.State(), s.Err())
		}
		if got := strings.Join(log, "; "); got != "1 true true false; 2 true false true; 3 true false true" {
			t.Errorf("attempts: %s", got)
		}
	})
}

// Close ends a session at once at each stage of a reconnection.
func TestCloseWhileReconnecting(t *testing.T) {
	for _, strategy := range []ReconnectStrategy{FixedDelay(time.Hour), FixedDelay(0)} {
		onBoth(t, func(t *testing.T, n *network, transport Option) {
			s, p := n.open(transport, WithReconnectStrategy(strategy))
			p.cut()
			time.Sleep(time.Second)
			start := time.Now()
			s.Close()
			if took := time.Since(start); took != 0 || s.State() != ClosedByClient || !errors.Is(s.Err(), ErrClosedByClient) {
				t.Errorf("%v %v after %v", s.State(), s.Err(), took)
			}
		})
	}
}

// The default strategy tries soon, and less and less often.
func TestDefaultStrategy(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		n.setRefuse(true)
		p.cut()
		time.Sleep(100 * time.Millisecond)
		if n.dialled() < 2 {
			t.Error("no attempt within 100 ms")
		}
		<-s.Done()
		if d := n.dialled(); d < 15 || d > 40 {
			t.Errorf("%d attempts in a minute", d)
		}
	})
}

// A burst of requests that is cut at a random place arrives whole.
func TestResendInOrder(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport, atOnce)
		const calls = 300
		ended := make(chan error, calls)
		for range calls {
			go func() {
				_, err := call(context.Background(), s, service.UserPing, service.Empty{})
				ended <- err
			}()
		}
		seen := make(map[int64]bool)
		var received int32
		for len(seen) < calls {
			m := p.receive()
			if seen[m.Conversation] {
				t.Fatalf("request %d came twice", m.Conversation)
			}
			seen[m.Conversation] = true
			p.send(wire.AppendResponse(nil, m.Conversation))
			if received++; received%50 == 0 {
				synctest.Wait() // the client has all that was sent
				p.cut()
				p = n.next().respond(again(wire.Reconnected, received+1))
			}
		}
		for range calls {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		n.closeSession(s, p)
	})
}
