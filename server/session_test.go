package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// onBoth runs a test over WebSocket and over polling.
func onBoth(t *testing.T, test func(*testing.T, kind)) {
	t.Parallel()
	for _, k := range bothKinds {
		t.Run(k.name, func(t *testing.T) {
			t.Parallel()
			test(t, k)
		})
	}
}

// TestConnectionResponse checks every byte of a success (01 section 6).
func TestConnectionResponse(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, func(c *server.Config) {
			c.PingPeriod = 90 * time.Second
			c.MaxMessageSize = 0x01020304
		})
		s, other := connect(t, srv, k, anonymous()), connect(t, srv, k, anonymous())
		r := s.response
		if len(r) != 55 {
			t.Fatalf("response has %d bytes: %x", len(r), r)
		}
		if !bytes.Equal(r[:3], unhex("231d64")) || !bytes.Equal(r[43:], unhex("0000000000015f90 01020304")) {
			t.Errorf("response %x", r)
		}
		if !bytes.Equal(r[3:11], other.response[3:11]) {
			t.Errorf("two sessions of a server have ids %x and %x: the first half should be the same", r[3:19], other.response[3:19])
		}
		if bytes.Equal(r[11:19], other.response[11:19]) || bytes.Equal(r[19:43], other.response[19:43]) {
			t.Errorf("two sessions share an id or a token")
		}
		for _, c := range r[19:43] {
			if !bytes.ContainsRune([]byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/"), rune(c)) {
				t.Errorf("token %q is not safe in a header", r[19:43])
				break
			}
		}
		s.ping()
	})
}

// TestParametersInHeaders connects as the Java client does, without a query.
func TestParametersInHeaders(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	nc := dial(t, hostOf(srv))
	fmt.Fprintf(nc, "GET /some/prefix/diffusion/ HTTP/1.1\r\n%sty: WJ\r\nv: 29\r\nca: 10\r\nr: 0\r\n"+
		"username: admin\r\npassword: AQhwYXNzd29yZA\r\n\r\n", upgradeHeaders)
	c := &webSocket{nc, newReader(nc)}
	res, err := http.ReadResponse(c.r, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != "" {
		t.Fatalf("upgrade answered %v, %v", res, err)
	}
	if response, err := c.receive(); err != nil || len(response) != 55 || response[2] != 100 {
		t.Errorf("response %x, %v", response, err)
	}
}

// TestEarlyMessages sends messages together with the upgrade, not waiting for
// the answer, in one segment and cut in two.
func TestEarlyMessages(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	whole := []byte("GET /diffusion?" + anonymous().query() + " HTTP/1.1\r\n" + upgradeHeaders + "\r\n")
	begin := len(whole)
	for i := range 100 {
		whole = append(whole, masked(0x82, service.UserPing.AppendRequest(nil, int64(i+1), service.Empty{})...)...)
	}
	for _, cut := range []int{len(whole), len(whole) - 1, begin + 1, begin + 100} {
		nc := dial(t, hostOf(srv))
		c := &webSocket{nc, newReader(nc)}
		_, _ = nc.Write(whole[:cut])
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("upgrade answered %v, %v", res, err)
		}
		if response, err := c.receive(); err != nil || len(response) != wire.ResponseLen {
			t.Fatalf("response %x, %v", response, err)
		}
		_, _ = nc.Write(whole[cut:])
		for i := range 100 {
			if b, err := c.receive(); err != nil || !bytes.Equal(b, wire.AppendResponse(nil, int64(i+1))) {
				t.Fatalf("cut at %d: answer %d is %x, %v", cut, i+1, b, err)
			}
		}
		c.drop()
	}
}

func TestClientCloses(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable())
		s.ping()
		s.write([]byte{0x1d})
		s.expectEnd()
		awaitSessions(t, srv, 0)
		if code := s.reconnect(k); code != wire.UnknownSession {
			t.Errorf("reconnection after the end answered %v, want %v", code, wire.UnknownSession)
		}
	})
}

func TestAdministratorClosesAnother(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, recoverable())
		admin := connect(t, srv, overWebSocket, anonymous().as("admin"))
		closing := func(b []byte, cid int64) []byte {
			return service.CloseClient.AppendRequest(b, cid, service.SessionRequest{Session: s.id})
		}
		admin.must(closing)
		s.expectEnd()
		awaitSessions(t, srv, 1)
		if code := s.reconnect(k); code != wire.UnknownSession {
			t.Errorf("reconnection after the end answered %v, want %v", code, wire.UnknownSession)
		}
		if got := admin.call(closing); !slices.Equal(got, []string{"error 107"}) {
			t.Errorf("closing it again is answered by %q, want NO_SUCH_SESSION", got)
		}
	})
}

// TestEffectsComeBeforeAnswers checks the order of 02 section 9.
func TestEffectsComeBeforeAnswers(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, anonymous().as("admin"))
		for _, step := range []struct {
			request func([]byte, int64) []byte
			want    []string
		}{
			{add("a"), []string{"response"}},
			{set("a", "one"), []string{"response"}},
			{subscribe("?[abc]"), []string{"notify a", "value a one", "response"}},
			{subscribe("?[abc]"), []string{"response"}},
			{set("a", "two"), []string{"value a two", "response"}},
			{set("a", "two"), []string{"response"}}, // nothing changes
			{add("b"), []string{"notify b", "response"}},
			{add("b"), []string{"response"}},
			{set("b", "a text that is long enough for a delta"), []string{"value b a text that is long enough for a delta", "response"}},
			{set("b", "a text that is long enough for a DELTA"), []string{"delta b a text that is long enough for a DELTA", "response"}},
			{unsubscribe("b"), []string{"unsubscribed b REQUESTED", "response"}},
			{set("b", "unseen"), []string{"response"}},
			{subscribe("b"), []string{"notify b", "value b unseen", "response"}},
			{remove("a"), []string{"unsubscribed a REMOVED", "response"}},
			{set("a", "gone"), []string{"error 9000"}},
			{add("a"), []string{"notify a", "response"}}, // the selection is still there
		} {
			if got := s.call(step.request); !slices.Equal(got, step.want) {
				t.Fatalf("got %q, want %q", got, step.want)
			}
		}
	})
}

// TestCompression checks that only clients that say so get zlib.
func TestCompression(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		long := string(bytes.Repeat([]byte("compressible "), 1000))
		publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
		publisher.must(add("a", "COMPRESSION", "high"))
		publisher.must(set("a", long))
		for ca, want := range map[string]string{
			"8": "value a " + long, "10": "compressed a", "2": "compressed a", "15": "compressed a", "0": "value a " + long, "": "value a " + long,
		} {
			s := connect(t, srv, k, anonymous().with("ca", ca))
			if got := s.call(subscribe("a")); !slices.Equal(got, []string{"notify a", want, "response"}) {
				t.Errorf("ca=%s: got %.60q, want %.30q", ca, got, want)
			}
			s.drop()
		}
	})
}

// TestSystemPings checks that a session which answers stays connected for many
// periods, and is pinged once in each (02 section 6).
func TestSystemPings(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		const period = 1500 * time.Millisecond
		srv := start(t, func(c *server.Config) { c.PingPeriod = period })
		s := connect(t, srv, k, anonymous())
		if got := time.Duration(binary.BigEndian.Uint64(s.response[43:])) * time.Millisecond; got != period {
			t.Errorf("announced period %v, want %v", got, period)
		}
		begun := time.Now()
		const pings = 3
		for i := range pings {
			s.expect(fmt.Sprintf("ping %d", i+1))
			s.write(wire.AppendResponse(nil, int64(i+1)))
		}
		// How late they may be depends on how busy the machine is.
		if took := time.Since(begun); took < (pings-2)*period*3/4 {
			t.Errorf("%d pings in %v, want one in %v", pings, took, period)
		}
		s.write([]byte{0x1d})
		for words := ""; words != "abort"; {
			words = s.next()
		}
	})
}

// TestUnresponsive checks that a client which does not answer a system ping
// loses its connection, not its session.
func TestUnresponsive(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, func(c *server.Config) { c.PingPeriod = 1500 * time.Millisecond })
		s := connect(t, srv, k, recoverable())
		s.expect("ping 1")
		if b, err := s.receive(); err == nil {
			t.Fatalf("received %x, want the end of the connection", b)
		} else if isTimeout(err) {
			t.Fatalf("still connected")
		}
		if n := srv.Sessions(); n != 1 {
			t.Fatalf("%d sessions, want 1", n)
		}
		if code := s.reconnect(k); code != wire.Reconnected {
			t.Fatalf("reconnection answered %v, want %v", code, wire.Reconnected)
		}
		s.expect("ping 2")
		s.write(wire.AppendResponse(nil, 2))
		s.expect("ping 3")
	})
}

// TestUnresponsiveWithoutReconnection ends a session that will not come back.
func TestUnresponsiveWithoutReconnection(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, func(c *server.Config) { c.PingPeriod = 50 * time.Millisecond })
		connect(t, srv, k, anonymous())
		awaitSessions(t, srv, 0)
	})
}
