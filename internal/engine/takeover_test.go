package engine

import (
	"context"
	"fmt"
	"testing"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// reconnect sends what a client says that has received and still keeps
// messages up to these numbers.
func reconnect(t testing.TB, e *Engine, s *Session, received, oldest int64) (wire.ResponseCode, *fakeConn) {
	t.Helper()
	q, conn := request(""), &fakeConn{}
	q.Token, q.LastServer, q.OldestClient = s.Token(), received, oldest
	res, _ := e.Connect(context.Background(), q, here, conn)
	return res.Code, conn
}

// TestLossThatTheClientMissed loses the response that says RECONNECTED_WITH_LOSS
// and what followed it. The client comes back with its old counts, which happen
// to fit the new numbering.
func TestLossThatTheClientMissed(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "")
	ping := service.UserPing.AppendRequest(nil, 1, service.Empty{})
	call(t, s, conn, ping)
	code, conn := reconnect(t, e, s, 99, 1)
	if code != wire.ReconnectedWithLoss {
		t.Fatalf("reconnection beyond what was sent: %v", code)
	}
	s.send(outbox.NewMessage(2, func(b []byte) []byte { return service.UserPing.AppendRequest(b, 0, service.Empty{}) }))
	if messages, _ := s.Take(conn, nil, 1<<20); len(messages) != 1 {
		t.Fatalf("%d messages, want 1", len(messages))
	}
	if code, conn = reconnect(t, e, s, 1, 1); code != wire.ReconnectedWithLoss {
		t.Fatalf("a client that has not seen that it lost messages: %v", code)
	}
	call(t, s, conn, ping) // shows that the client has read the response
	if code, _ = reconnect(t, e, s, 1, 1); code != wire.Reconnected {
		t.Errorf("a client that has seen it: %v", code)
	}
}

// TestLossThatTheClientSaw has a client that has nothing to send: its transport
// knows that it has read the response.
func TestLossThatTheClientSaw(t *testing.T) {
	e := newEngine(t, nil)
	s, _ := connect(t, e, "")
	code, old := reconnect(t, e, s, 99, 1)
	if code != wire.ReconnectedWithLoss {
		t.Fatalf("reconnection beyond what was sent: %v", code)
	}
	if code, _ = reconnect(t, e, s, 0, 1); code != wire.ReconnectedWithLoss {
		t.Fatalf("a client that has not seen that it lost messages: %v", code)
	}
	s.Seen(old)
	code, conn := reconnect(t, e, s, 0, 1)
	if code != wire.ReconnectedWithLoss {
		t.Fatalf("a client that saw another response: %v", code)
	}
	s.Seen(conn)
	if code, _ = reconnect(t, e, s, 0, 1); code != wire.Reconnected {
		t.Errorf("a client that has seen it: %v", code)
	}
}

// TestLossDoesNotEndLargeSessions reconnects, with loss, a session that has more
// topics than its queue takes messages.
func TestLossDoesNotEndLargeSessions(t *testing.T) {
	e := newEngine(t, nil)
	for i := range 2 * e.cfg.Queue.Messages {
		if _, err := e.tree.AddAndSet(somebody, &service.AddAndSetRequest{Path: fmt.Sprintf("a/%d", i), Specification: topic.Specification{Type: topic.String}, Value: []byte{0x61, 'x'}}); err != nil {
			t.Fatal(err)
		}
	}
	s, conn := connect(t, e, "")
	call(t, s, conn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?a//"}))
	code, conn := reconnect(t, e, s, 1<<30, 1)
	if code != wire.ReconnectedWithLoss || s.Over() {
		t.Fatalf("%v, over %v", code, s.Over())
	}
	messages, end := s.Take(conn, nil, 1<<30)
	if want := 4 * e.cfg.Queue.Messages; len(messages) != want || end {
		t.Errorf("%d messages, want %d; end %v", len(messages), want, end)
	}
}
