package server_test

import (
	"bytes"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// onAllMoves runs a test for every pair of transports: that of the first
// connection and that of the next.
func onAllMoves(t *testing.T, test func(t *testing.T, from, to kind)) {
	t.Parallel()
	for _, from := range bothKinds {
		for _, to := range bothKinds {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				t.Parallel()
				test(t, from, to)
			})
		}
	}
}

// again reconnects and checks the outcome.
func (s *peer) again(k kind, want wire.ResponseCode) {
	s.t.Helper()
	id, token := s.id, s.token
	if code := s.reconnect(k); code != want {
		s.t.Fatalf("reconnection over %s answered %v, want %v", k.name, code, want)
	}
	if want.Success() && (s.id != id || len(s.response) != 55) {
		s.t.Fatalf("session %v came back as %v with a response of %d bytes (token %s)", id, s.id, len(s.response), token)
	}
}

// TestReconnectNothingLost reconnects several times with nothing missing.
func TestReconnectNothingLost(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, nil)
		s := connect(t, srv, from, recoverable().as("admin"))
		s.must(add("a"))
		s.call(subscribe("a"))
		for i := range 3 {
			s.drop()
			s.again([]kind{to, from}[i%2], wire.Reconnected)
			if got := s.expected(); got != len(s.sent)+1 {
				t.Errorf("the server expects message %d, want %d", got, len(s.sent)+1)
			}
			s.ping()
		}
		s.call(set("a", "still subscribed"))
		if n := srv.Sessions(); n != 1 {
			t.Errorf("%d sessions, want 1", n)
		}
	})
}

// TestReconnectReplaysInOrder has values come while the client is away, some of
// them sent into the dead connection.
func TestReconnectReplaysInOrder(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, nil)
		publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
		publisher.must(add("a"))
		s := connect(t, srv, from, recoverable())
		s.call(subscribe("a"))
		publisher.must(set("a", "value 0"))
		s.expect("value a value 0")
		next := 1
		for range 3 {
			s.drop()
			for range 20 {
				publisher.must(set("a", fmt.Sprint("value ", next)))
				next++
			}
			s.again(to, wire.Reconnected)
			for i := next - 20; i < next; i++ {
				if words := s.next(); words != fmt.Sprintf("value a value %d", i) && words != fmt.Sprintf("delta a value %d", i) {
					t.Fatalf("replay of value %d: %q", i, words)
				}
			}
			s.ping()
		}
	})
}

// TestReconnectReplaysFromTheMiddle asks for less and less than was received.
func TestReconnectReplaysFromTheMiddle(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable())
		for range 10 {
			s.ping() // responses 1 to 10 are messages 1 to 10
		}
		for _, last := range []int{9, 5, 0} {
			s.drop()
			s.received = last
			s.again(k, wire.Reconnected)
			for n := last + 1; n <= 10; n++ {
				s.expect(fmt.Sprintf("response %d", n))
			}
		}
		s.conversation = 100
		s.ping()
	})
}

// TestClientSendsAgain has the server miss messages of the client.
func TestClientSendsAgain(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, nil)
		s := connect(t, srv, from, recoverable().as("admin"))
		s.must(add("a"))
		s.call(subscribe("a"))
		s.drop()
		for i := range 3 { // sent, as far as the client knows
			s.sent = append(s.sent, set("a", fmt.Sprint("value ", i))(nil, s.nextConversation()))
		}
		s.again(to, wire.Reconnected)
		if got, want := s.expected(), len(s.sent)-2; got != want {
			t.Errorf("the server expects message %d, want %d", got, want)
		}
		for i := range 3 {
			if words := s.next(); words[6:] != fmt.Sprintf("a value %d", i) {
				t.Errorf("update %d: %q", i, words)
			}
			s.expect(fmt.Sprintf("response %d", s.conversation-int64(3-i)))
		}
		s.drop()
		s.again(from, wire.Reconnected)
		s.ping()
	})
}

// TestReconnectHistoryGone asks for messages that the server has no more: the
// session starts anew, subscriptions included (03 section 5).
func TestReconnectHistoryGone(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, func(c *server.Config) { c.RecoveryMessages = 4; c.MaxMessageSize = 0x00abcdef })
		publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
		for _, path := range []string{"a", "b", "c"} {
			publisher.must(add(path))
			publisher.must(set(path, "first"))
		}
		s := connect(t, srv, from, recoverable())
		s.call(subscribe("?[abc]"))
		s.call(unsubscribe("b"))
		for i := range 10 {
			publisher.must(set("a", fmt.Sprint("value ", i)))
			s.next()
		}
		s.drop()
		publisher.must(set("c", "changed meanwhile"))
		publisher.must(add("d"))
		s.received -= 5
		s.again(to, wire.ReconnectedWithLoss)
		if !bytes.Equal(s.response[51:], unhex("00abcdef")) {
			t.Errorf("response ends in %x, want the maximum message size", s.response[51:])
		}
		s.expect("notify a", "value a value 9", "notify c", "value c changed meanwhile")
		s.ping() // and so nothing of b or d

		// Both directions count from 1 again.
		s.drop()
		s.received = 4
		s.again(to, wire.Reconnected)
		if got := s.expected(); got != 2 {
			t.Errorf("the server expects message %d, want 2", got)
		}
		s.expect(fmt.Sprintf("response %d", s.conversation-1))
	})
}

// TestReconnectClientHistoryGone comes from a client that cannot send again
// what the server lacks: a 105 would end its session.
func TestReconnectClientHistoryGone(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable())
		s.ping()
		s.ping()
		s.drop()
		// The server expects message 3.
		if code := s.open(k, s.reconnection().with("cs", "4")); code != wire.ReconnectedWithLoss {
			t.Fatalf("cs=4 answered %v, want %v", code, wire.ReconnectedWithLoss)
		}
		s.sent, s.received = nil, 0
		s.ping()
		s.drop()
		if code := s.open(k, s.reconnection().with("cs", "2")); code != wire.Reconnected {
			t.Fatalf("cs=2 answered %v, want %v", code, wire.Reconnected)
		}
	})
}

// TestReconnectFromTheFuture claims to have received more than was sent.
func TestReconnectFromTheFuture(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable())
		s.ping()
		for _, ss := range []string{"2", "1000000", "9223372036854775807"} {
			s.drop()
			if code := s.open(k, s.reconnection().with("ss", ss)); code != wire.ReconnectedWithLoss {
				t.Fatalf("ss=%s answered %v, want %v", ss, code, wire.ReconnectedWithLoss)
			}
			s.sent, s.received = nil, 0
			s.ping()
		}
	})
}

func TestReconnectUnknown(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable().with("r", "100"))
		s.vanish()
		awaitSessions(t, srv, 0) // the client's window of 100 ms
		s.again(k, wire.UnknownSession)

		s = connect(t, srv, k, recoverable())
		s.token = "8j/qMkxT8Iw2dwqeFA9gEzpA"
		s.again(k, wire.UnknownSession)
	})
}

// vanish ends the connection so that the server notices, which it does for a
// polling client when a poll is broken off.
func (s *peer) vanish() {
	s.t.Helper()
	if p, ok := s.link.(*poller); ok {
		nc := dial(s.t, s.host)
		fmt.Fprintf(nc, "POST /diffusion HTTP/1.1\r\nHost: advect\r\nm: 1\r\ns: %d\r\nc: %s\r\nContent-Length: 0\r\n\r\n", p.polls, p.token)
		_ = nc.Close()
	}
	s.drop()
}

func TestServerWindow(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.ReconnectKeepAlive = 100 * time.Millisecond })
	s := connect(t, srv, overWebSocket, recoverable())
	s.drop()
	awaitSessions(t, srv, 0)
	s.again(overWebSocket, wire.UnknownSession)
}

// TestReconnectionOff has sessions end with their connection.
func TestReconnectionOff(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, func(c *server.Config) { c.ReconnectKeepAlive = 0 })
		s := connect(t, srv, k, recoverable())
		s.ping()
		live := s.link
		if code := s.open(k, s.reconnection()); code != wire.ReconnectUnsupported {
			t.Errorf("reconnection of a live session answered %v, want %v", code, wire.ReconnectUnsupported)
		}
		s.link = live
		s.ping()
		s.vanish()
		awaitSessions(t, srv, 0)
		s.again(k, wire.UnknownSession)
	})
}

// TestNoWindow has a client that never reconnects: its session ends at once.
func TestNoWindow(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		for _, r := range []string{"0", "", "-5"} {
			s := connect(t, srv, k, anonymous().with("r", r))
			s.vanish()
			awaitSessions(t, srv, 0)
		}
	})
}

// TestTakeover reconnects while the old connection still looks alive.
func TestTakeover(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, nil)
		publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
		publisher.must(add("a"))
		s := connect(t, srv, from, recoverable())
		s.call(subscribe("a"))
		for i := range 5 {
			publisher.must(set("a", fmt.Sprint("value ", 2*i)))
			if words := s.next(); words[8:] != fmt.Sprint("value ", 2*i) {
				t.Fatalf("update %d: %q", 2*i, words)
			}
			publisher.must(set("a", fmt.Sprint("value ", 2*i+1))) // to the old connection, unread
			old := *s
			s.again([]kind{to, from}[i%2], wire.Reconnected)
			if words := s.next(); words[8:] != fmt.Sprint("value ", 2*i+1) {
				t.Fatalf("update %d: %q", 2*i+1, words)
			}
			s.ping()
			if _, shared := s.link.(*poller); !shared { // else its polls would be those of the session
				old.expectSilence()
			}
		}
		if n := srv.Sessions(); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
	})
}

// expectSilence expects that a connection ends without an abort; what was sent
// before may still be there.
func (s *peer) expectSilence() {
	s.t.Helper()
	for {
		b, err := s.receive()
		if isTimeout(err) {
			s.t.Fatal("the old connection is still open")
		}
		if err != nil {
			return
		}
		if b[0] == byte(wire.TypeAbort) {
			s.t.Fatal("the old connection was told that the session is over")
		}
	}
}

// TestTokenAlone checks that a reconnection needs no credentials, and that
// those it has are not looked at (01 section 2).
func TestTokenAlone(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable().as("admin"))
		s.must(add("a"))
		s.drop()
		s.request = recoverable().with("username", "nobody", "password", "AQV3cm9uZw==", "sp", `{"$Environment":"OTHER"}`)
		s.again(k, wire.Reconnected)
		s.must(add("b")) // still admin
	})
}

// TestReconnectOtherVersion is a client of another version with a good token.
func TestReconnectOtherVersion(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s := connect(t, srv, overWebSocket, recoverable())
	s.drop()
	if code := s.open(overWebSocket, s.reconnection().with("v", "28")); code != wire.Downgrade {
		t.Errorf("answered %v, want %v", code, wire.Downgrade)
	}
	s.again(overWebSocket, wire.Reconnected)
}

// TestResendDefect plays the JavaScript client after a 105 that makes it send a
// message again (03 section 4.4): it counts one too few from then on, so the
// next 105 would end its session.
func TestResendDefect(t *testing.T) {
	ping := func(cid int64) []byte { return service.UserPing.AppendRequest(nil, cid, service.Empty{}) }
	for _, ty := range []string{"WB", "B", "WJ"} {
		defective := ty != "WJ"
		t.Run(ty, func(t *testing.T) {
			t.Parallel()
			srv := start(t, nil)
			at := func(p params) params { return p.with("ty", ty) }
			next := func(s *peer, want wire.ResponseCode) {
				t.Helper()
				s.drop()
				if code := s.open(overWebSocket, at(s.reconnection())); code != want {
					t.Fatalf("reconnection answered %v, want %v", code, want)
				}
			}

			// Innocent: nothing was lost, and it makes new requests.
			s := connect(t, srv, overWebSocket, at(recoverable()))
			s.ping()
			for i := range 4 {
				next(s, wire.Reconnected)
				s.conversation++
				for range i {
					s.ping()
				}
			}

			// Its request was lost; it sends it again.
			s = connect(t, srv, overWebSocket, at(recoverable()))
			s.ping()
			next(s, wire.Reconnected)
			s.conversation = 3 // 2 is lost, 3 the outage's
			_ = s.send(ping(2))
			s.expect("response 2")
			want := wire.Reconnected
			if defective {
				want = wire.ReconnectedWithLoss
			}
			next(s, want)
			if defective { // and is without suspicion then
				s.sent, s.received = nil, 0
				s.conversation = 10
				s.ping()
				next(s, wire.Reconnected)
			}

			// Its request arrived but it sends again what came before.
			s = connect(t, srv, overWebSocket, at(recoverable()))
			s.ping()
			s.ping()
			next(s, wire.Reconnected)
			_ = s.send(ping(2))
			s.expect("response 2") // twice is harmless
			next(s, want)
		})
	}
}

// TestResendDefectOfAnswers is the same with the answer to a system ping.
func TestResendDefectOfAnswers(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.PingPeriod = 200 * time.Millisecond })

	// Innocent: the ping was not received before the outage; it is replayed.
	s := connect(t, srv, overWebSocket, recoverable().with("ty", "WB"))
	s.expect("ping 1")
	s.drop()
	s.received = 0
	s.again(overWebSocket, wire.Reconnected)
	s.expect("ping 1")
	s.write(wire.AppendResponse(nil, 1))
	s.drop()
	s.again(overWebSocket, wire.Reconnected)

	// The answer was lost and is sent again.
	s = connect(t, srv, overWebSocket, recoverable().with("ty", "WB"))
	s.expect("ping 1")
	s.drop()
	s.again(overWebSocket, wire.Reconnected)
	s.write(wire.AppendResponse(nil, 1))
	s.write(service.UserPing.AppendRequest(nil, 99, service.Empty{}))
	for s.next() != "response 99" { // pings may come before
	}
	s.drop()
	if code := s.open(overWebSocket, s.reconnection()); code != wire.ReconnectedWithLoss {
		t.Fatalf("answered %v, want %v", code, wire.ReconnectedWithLoss)
	}
}

// TestQueueOverflowsWhileAway ends a session whose queue is full and whose
// client is away.
func TestQueueOverflowsWhileAway(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.QueueMessages = 16 })
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	s := connect(t, srv, overWebSocket, recoverable())
	publisher.must(add("unmerged", topic.Conflation, "off"))
	s.call(subscribe("unmerged"))
	s.drop()
	for i := 0; srv.Sessions() == 2 && i < 1000; i++ {
		publisher.must(set("unmerged", strconv.Itoa(i)))
	}
	awaitSessions(t, srv, 1)
	s.again(overWebSocket, wire.UnknownSession)
}

// TestLossWaitsForThePong checks that after a 106 the server sends nothing until
// the client has shown, by a pong, that it has read the response; and that a
// client without pongs gets its messages too.
func TestLossWaitsForThePong(t *testing.T) {
	t.Parallel()
	for _, pongs := range []bool{true, false} {
		t.Run(fmt.Sprint("pongs ", pongs), func(t *testing.T) {
			t.Parallel()
			srv := start(t, nil)
			publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
			publisher.must(add("a"))
			s := connect(t, srv, overWebSocket, recoverable())
			s.call(subscribe("a"))
			s.drop()
			s.received = 1000
			s.again(overWebSocket, wire.ReconnectedWithLoss)
			c := s.link.(*webSocket)
			f, err := c.frame()
			if err != nil || f.Header.OpCode != ws.OpPing {
				t.Fatalf("after the response: %+v, %v, want a ping", f.Header, err)
			}
			begun := time.Now()
			if pongs {
				_ = c.nc.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
				if _, err := c.r.Peek(1); !isTimeout(err) {
					t.Fatalf("something came before the pong: %v", err)
				}
				if err := c.write(ws.NewPongFrame(f.Payload)); err != nil {
					t.Fatal(err)
				}
			}
			s.expect("notify a")
			if took := time.Since(begun); !pongs && took < time.Second {
				t.Errorf("the first message came after %v, without a pong", took)
			}
			s.ping()
		})
	}
}

// TestReconnectionsAtOnce has one session reconnected many times at once, as
// after a storm of retries. However they overtake each other, one more
// reconnection works and nothing is lost.
func TestReconnectionsAtOnce(t *testing.T) {
	onAllMoves(t, func(t *testing.T, from, to kind) {
		srv := start(t, nil)
		publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
		publisher.must(add("a"))
		s := connect(t, srv, from, recoverable())
		s.call(subscribe("a"))
		for round := range 5 {
			publisher.must(set("a", fmt.Sprint("value ", round)))
			var all sync.WaitGroup
			for i := range 8 {
				p, k := s.reconnection(), []kind{from, to}[i%2]
				all.Go(func() {
					l, response, err := k.open(t, s.host, p)
					if err != nil { // another one took over before the response was written
						return
					}
					if len(response) != wire.ResponseLen || response[2] != byte(wire.Reconnected) {
						t.Errorf("response %x, want a %v", response, wire.Reconnected)
					}
					l.drop()
				})
			}
			all.Wait()
			s.again(to, wire.Reconnected)
			if words := s.next(); words[6:] != fmt.Sprint("a value ", round) {
				t.Fatalf("round %d: %q", round, words)
			}
			s.ping()
		}
		if n := srv.Sessions(); n != 2 {
			t.Errorf("%d sessions, want 2", n)
		}
	})
}
