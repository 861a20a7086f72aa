package transport

import (
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/engine"
	"advect.dev/internal/wire"
)

// TestEndBeforeResponse ends a session whose connection response is not yet
// written, to a peer that reads nothing after it. The connection does not wait
// for it for ever.
func TestEndBeforeResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		ours, theirs := net.Pipe()
		defer theirs.Close()
		c := newStream(ours, maxMessage)
		q := wire.ConnectRequest{Type: "WB", Version: wire.Version}
		res, session := e.Connect(t.Context(), q, engine.Peer{Addr: netip.IPv6Loopback(), Transport: engine.WebSocket}, &c.webSocket)
		if session == nil {
			t.Fatalf("rejected: %v", res.Code)
		}
		c.session = session
		session.Close(engine.ServerClosing)
		response := wire.AppendConnectResponse(nil, res)
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.run(response, nil)
		}()
		if _, err := io.ReadFull(theirs, make([]byte, 2+len(response))); err != nil {
			t.Fatal(err)
		}
		select {
		case <-done:
		case <-time.After(time.Hour):
			t.Error("the connection waits for its peer for ever")
			ours.Close()
			<-done
		}
	})
}

// TestLateSendOfAnEarlierConnection posts a send that waits for one before it,
// which never comes, while the session goes on over another connection.
func TestLateSendOfAnEarlierConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t)
		h := New(Config{
			Engine: e, Log: slog.New(slog.DiscardHandler), Connector: "test", Accepting: func() bool { return true },
			HandshakeTimeout: time.Minute, MaxMessageSize: maxMessage, PollHold: time.Minute, PollTimeout: time.Minute,
		})
		defer h.Close()
		post := func(body string, headers ...string) []byte {
			r := httptest.NewRequestWithContext(t.Context(), "POST", "/diffusion", strings.NewReader(body))
			for i := 0; i < len(headers); i += 2 {
				r.Header.Set(headers[i], headers[i+1])
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Body.Bytes()
		}
		connect := func(headers ...string) wire.ConnectResponse {
			res, err := wire.ParseConnectResponse(post("", append(headers, "m", "0", "ty", "B", "v", "29", "r", "60000")...))
			if err != nil {
				t.Fatal(err)
			}
			return res
		}
		first := connect()
		done := make(chan struct{})
		go func() {
			defer close(done)
			post("AAAAAgA4AQ==", "m", "2", "c", first.Token, "s", "1")
		}()
		synctest.Wait()
		if res := connect("c", first.Token, "cs", "1", "ss", "0"); res.Code != wire.Reconnected {
			t.Fatalf("reconnection: %v", res.Code)
		}
		<-done
		synctest.Wait()
		if n := e.Sessions(); n != 1 {
			t.Errorf("%d sessions, want the one that goes on", n)
		}
	})
}
