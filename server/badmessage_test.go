package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/gobwas/ws"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// masked returns the bytes of a frame from a client, with any header bits.
func masked(first byte, payload ...byte) []byte {
	return append([]byte{first, 0x80 | byte(len(payload)), 0, 0, 0, 0}, payload...)
}

// claim returns the header of a masked frame that claims a length.
func claim(first byte, length uint64) []byte {
	b := binary.BigEndian.AppendUint64([]byte{first, 0x80 | 127}, length)
	return append(b, 0, 0, 0, 0)
}

// TestBadFrames covers what a WebSocket client must not send: its session ends
// with an abort notification, at once and for good.
func TestBadFrames(t *testing.T) {
	const maxMessage = 64 << 10
	srv := start(t, func(c *server.Config) { c.MaxMessageSize = maxMessage })
	tests := []struct {
		name string
		raw  []byte
	}{
		{"unmasked", []byte{0x82, 0x03, 0x00, 0x38, 0x01}},
		{"reserved bit 1", masked(0xc2, 0x00, 0x38, 0x01)},
		{"reserved bit 3", masked(0x92, 0x00, 0x38, 0x01)},
		{"reserved opcode 3", masked(0x83, 0x00)},
		{"reserved opcode 11", masked(0x8b)},
		{"text", masked(0x81, 'h', 'i')},
		{"empty text", masked(0x81)},
		{"empty message", masked(0x82)},
		{"empty message in fragments", append(masked(0x02), masked(0x80)...)},
		{"continuation of nothing", masked(0x80, 0x00, 0x38, 0x01)},
		{"message inside a message", append(masked(0x02, 0x00), masked(0x82, 0x38)...)},
		{"text inside a message", append(masked(0x02, 0x00), masked(0x81, 0x38)...)},
		{"fragmented ping", masked(0x09, 'x')},
		{"oversized ping", append(claim(0x89, 126), make([]byte, 126)...)},
		{"ping that claims 2^62", claim(0x89, 1<<62)},
		{"oversized close", append([]byte{0x88, 0x80 | 126, 0, 126, 0, 0, 0, 0}, make([]byte, 126)...)},
		{"message over the limit", claim(0x82, maxMessage+1)},
		{"message that claims 2^31", claim(0x82, 1<<31)},
		{"message that claims 2^63-1", claim(0x82, 1<<63-1)},
		{"message that claims 2^63", claim(0x82, 1<<63)},
		{"message that claims 2^64-1", claim(0x82, 1<<64-1)},
		{"fragments over the limit", append(append(claim(0x02, maxMessage), make([]byte, maxMessage)...), masked(0x80, 1)...)},

		{"unknown message type 1", masked(0x82, 0x01)},
		{"unknown message type 63", masked(0x82, 0x3f, 0x01)},
		{"response of an old version", masked(0x82, 0x02, 0x38, 0x01)},
		{"topic value", masked(0x82, 0x04, 0, 0, 0, 1, 0x61)},
		{"topic delta", masked(0x82, 0x05, 0, 0, 0, 1, 0x61)},
		{"abort notification", masked(0x82, 0x1c)},
		{"fetch reply", masked(0x82, 0x22)},
		{"encoding bits 0x40", masked(0x82, 0x40, 0x38, 0x01)},
		{"encoding bits 0x80", masked(0x82, 0x80, 0x38, 0x01)},
		{"encoding bits 0xc0", masked(0x82, 0xc0, 0x38, 0x01)},
		{"request without header", masked(0x82, 0x00)},
		{"request cut off in the service", masked(0x82, 0x00, 0x80)},
		{"request cut off in the conversation", masked(0x82, 0x00, 0x38, 0xff)},
		{"request without conversation", masked(0x82, 0x00, 0x38)},
		{"request with an endless varint", masked(0x82, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01)},
		{"response without conversation", masked(0x82, 0x06)},
		{"error cut off in its text", masked(0x82, 0x07, 0x01, 0x7f, 'x')},
		{"error with an absurd text", masked(0x82, 0x07, 0x01, 0xff, 0xff, 0xff, 0xff, 0x07, 'x')},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := untouched(t, srv)
			// Recoverable: only the end of the session leaves none behind.
			s := connect(t, srv, overWebSocket, recoverable())
			if _, err := s.link.(*webSocket).nc.Write(tt.raw); err != nil {
				t.Fatal(err)
			}
			s.expectEnd()
			s.drop()
			check()
			if code := s.reconnect(overWebSocket); code != wire.UnknownSession {
				t.Errorf("reconnection answered %v, want %v", code, wire.UnknownSession)
			}
			s.drop()
		})
	}
}

// TestCutFrames covers frames that end in the middle: that is a connection
// loss, which a session survives.
func TestCutFrames(t *testing.T) {
	srv := start(t, nil)
	whole := append(masked(0x02, 0x00), masked(0x80, 0x38, 0x01)...)
	for n := 1; n < len(whole); n++ {
		s := connect(t, srv, overWebSocket, recoverable())
		nc := s.link.(*webSocket).nc.(*net.TCPConn)
		_, _ = nc.Write(whole[:n])
		_ = nc.CloseWrite()
		s.expectClosed()
		if code := s.reconnect(overWebSocket); code != wire.Reconnected || s.expected() != 1 {
			t.Fatalf("%d bytes: reconnection answered %v and expects message %d", n, code, s.expected())
		}
		s.write([]byte{0x1d})
		s.expectEnd()
	}
	awaitSessions(t, srv, 0)
}

// TestClaimedLengthsCostNothing claims the largest messages that are allowed
// and sends a few bytes of each: memory grows by what came, not by the claim.
func TestClaimedLengthsCostNothing(t *testing.T) {
	const clients, size = 16, 1 << 30
	srv := start(t, func(c *server.Config) { c.MaxMessageSize = size })
	poller := connect(t, srv, overPolling, anonymous())
	sessions := make([]*peer, clients)
	for i := range sessions {
		sessions[i] = connect(t, srv, overWebSocket, anonymous())
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i, s := range sessions {
		c := s.link.(*webSocket)
		_, _ = c.nc.Write(masked(0x89, byte(i))) // its pong says that what was before has been read
		_, _ = c.nc.Write(append(claim(0x82, size), 0, 1, 2))
		if f, err := c.frame(); err != nil || f.Header.OpCode != ws.OpPong {
			t.Fatalf("%+v, %v, want a pong", f.Header, err)
		}
		post := dial(t, hostOf(srv))
		fmt.Fprintf(post, "POST /diffusion HTTP/1.1\r\nHost: advect\r\nm: 2\r\ns: 0\r\nc: %s\r\nContent-Length: %d\r\n\r\nAAAA", poller.token, size)
		answer(t, srv, "GET /healthz HTTP/1.1\r\nHost: advect\r\n\r\n")
	}
	runtime.ReadMemStats(&after)
	if grown := after.TotalAlloc - before.TotalAlloc; grown > 16<<20 {
		t.Errorf("%d claims of %d bytes allocated %d bytes", 2*clients, size, grown)
	}
}

// TestGoodFrames covers what is unusual but right.
func TestGoodFrames(t *testing.T) {
	srv := start(t, nil)
	s := connect(t, srv, overWebSocket, anonymous())
	c := s.link.(*webSocket)
	raw := func(parts ...[]byte) {
		t.Helper()
		if _, err := c.nc.Write(bytes.Join(parts, nil)); err != nil {
			t.Fatal(err)
		}
	}
	pong := func(payload string) {
		t.Helper()
		f, err := c.frame()
		if err != nil || f.Header.OpCode != ws.OpPong || f.Header.Masked || string(f.Payload) != payload {
			t.Fatalf("%+v %q, %v, want a pong with %q", f.Header, f.Payload, err, payload)
		}
	}
	raw(masked(0x02, 0x00), masked(0x00), masked(0x00, 0x38), masked(0x80, 0x01))
	s.expect("response 1")
	raw(masked(0x02, 0x00), masked(0x89, []byte("in between")...), masked(0x80, 0x38, 0x02))
	pong("in between")
	s.expect("response 2")
	long := strings.Repeat("x", 125)
	raw(masked(0x89, []byte(long)...))
	pong(long)
	raw(masked(0x89))
	pong("")
	raw(masked(0x8a, 'x')) // a pong that nobody asked for
	raw(append([]byte{0x82, 0x80 | 126, 0, 3, 0, 0, 0, 0}, 0x00, 0x38, 0x03))
	s.expect("response 3")
	raw(append(claim(0x82, 3), 0x00, 0x38, 0x04))
	s.expect("response 4")
	raw([]byte{0x82, 0x83, 0xff, 0x0f, 0xf0, 0x55, 0xff, 0x37, 0xf5}) // a mask of bits
	s.expect("response 5")
	raw(masked(0x82, 0x06, 0x63), masked(0x82, 0x07, 0x63, 0x01, 'x', 0x64)) // answers to nothing
	raw(masked(0x82, 0x00, 0x38, 0x00))                                      // a request that wants no answer
	raw(masked(0x82, 0x00, 0x37, 0x06))
	s.expect("response 6")
	raw(masked(0x82, 0x00, 0x38, 0x06)) // a conversation id used twice
	s.expect("response 6")
	raw(masked(0x82, 0x00, 0x38, 0x07, 0xaa, 0xbb)) // bytes after the last field
	s.expect("response 7")
}

// TestPongsDoNotMixWithMessages has control frames answered while messages
// flow: each frame arrives whole. Of pings that came together only the latest
// needs an answer (RFC 6455 section 5.5.3).
func TestPongsDoNotMixWithMessages(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s := connect(t, srv, overWebSocket, anonymous())
	c := s.link.(*webSocket)
	const rounds = 2000
	done := make(chan error, 1)
	go func() {
		for i := range rounds {
			payload := fmt.Appendf(bytes.Repeat([]byte{'p'}, 92), "%08d", i)
			both := append(service.UserPing.AppendRequest(nil, int64(i+1), service.Empty{}), 0)
			if _, err := c.nc.Write(append(masked(0x82, both[:len(both)-1]...), masked(0x89, payload...)...)); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	latest, responses := -1, 0
	for latest < rounds-1 || responses < rounds {
		f, err := c.frame()
		switch {
		case err != nil:
			t.Fatal(err)
		case f.Header.OpCode == ws.OpPong && len(f.Payload) == 100:
			n, err := strconv.Atoi(string(f.Payload[92:]))
			if err != nil || n <= latest {
				t.Fatalf("pong %q after that to ping %d", f.Payload, latest)
			}
			latest = n
		case f.Header.OpCode == ws.OpBinary && f.Payload[0] == 0x06:
			responses++
		default:
			t.Fatalf("frame %+v %x after pong %d and %d responses", f.Header, f.Payload, latest, responses)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

// TestBadRequests covers requests that a session survives: each is answered by
// an error of the documented code.
func TestBadRequests(t *testing.T) {
	srv := start(t, nil)
	tests := []struct {
		name    string
		request string // after the type; the conversation is 1
		code    wire.ErrorCode
	}{
		{"unknown service", "e807 01 aa", wire.CodeUnsupported},
		{"service -1", "ffffffff0f 01", wire.CodeUnsupported},
		{"service for clients", "57 01 01 01 61 11 00", wire.CodeUnsupported},
		{"subscribe without body", "03 01", wire.CodeInvalidData},
		{"subscribe cut off", "03 01 05 3e61", wire.CodeInvalidData},
		{"subscribe with an absurd length", "03 01 ffffffff07 3e61", wire.CodeInvalidData},
		{"subscribe with a negative length", "03 01 ffffffff0f 3e61", wire.CodeInvalidData},
		{"subscribe with a broken selector", "03 01 02 3f5b 00", wire.CodeInvalidData},
		{"subscribe in a reserved scope", "03 01 02 3e61 02 2478", wire.CodeInvalidData},
		{"subscribe to nothing", "03 01 00 00", wire.CodeInvalidData},
		{"add of an unknown type", "70 01 01 61 7f 00", wire.CodeInvalidData},
		{"add with an absurd count of properties", "70 01 01 61 11 ffffffff07", wire.CodeInvalidData},
		{"add without permission", "70 01 01 61 11 00", wire.CodeAccessDenied},
		{"set with an unknown constraint", "76 01 01 61 11 01 60 63", wire.CodeInvalidData},
		{"set with constraints without end", "76 01 01 61 11 01 60 " + strings.Repeat("01", 4000), wire.CodeInvalidData},
		{"set with an unknown operator", "76 01 01 61 11 01 60 02 09 01 00", wire.CodeInvalidData},
		{"fetch cut off", "75 01 02 3e61 01", wire.CodeInvalidData},
		{"close of another session", "0e 01 01 01", wire.CodeAccessDenied},
		{"principal with unknown credentials", "05 01 01 61 09 00", wire.CodeInvalidData},
	}
	for _, k := range bothKinds {
		for _, tt := range tests {
			t.Run(k.name+"/"+tt.name, func(t *testing.T) {
				t.Parallel()
				s := connect(t, srv, k, anonymous())
				s.conversation++
				s.write(unhex("00" + tt.request))
				s.expect(fmt.Sprintf("error 1 %d", tt.code))
				s.ping()
				s.drop()
			})
		}
	}
}

// TestBadSends covers what a polling client must not send.
func TestBadSends(t *testing.T) {
	srv := start(t, func(c *server.Config) { c.MaxMessageSize = 1024 })
	batch := func(hex string) string { return string(wire.EncodeBatch(unhex(hex))) }
	tests := []struct {
		name, body string
		status     string // of the send
		survives   bool
	}{
		{"not base64", "***", "400", false},
		{"base64 without padding", "AAAAAgA4AQ", "400", false},
		{"bad base64 in the middle", "AAAAAgA4AQ==AAAA*", "400", false},
		{"cut off in a length", batch("000000"), "", false},
		{"length without message", batch("00000000"), "", false},
		{"cut off in a message", batch("00000003 003801"), "", false},
		{"length 2^31-1", batch("7fffffff 003801"), "", false},
		{"length 2^32-1", batch("ffffffff 003801"), "", false},
		{"unknown type", batch("00000000 01"), "", false},
		{"encoding bits", batch("00000002 403801"), "", false},
		{"message over the limit", batch("00000400 00" + strings.Repeat("38", 1024)), "", false},
		{"body over the limit", strings.Repeat("A", 8<<10), "413", false},
		{"empty batch", "", "", true},
		{"line breaks", "AAAAAgA4\r\nAQ==", "", true},
		{"bad message after a good one", batch("00000002 003801 00000000 3f"), "", false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := untouched(t, srv)
			s := connect(t, srv, overPolling, recoverable())
			c := s.link.(*poller)
			c.sends++
			body, err := c.numbered(2, 0, tt.body)
			if got := fmt.Sprint(err); body != "" || tt.status == "" && err != nil || !strings.Contains(got, tt.status) {
				t.Errorf("send answered %q, %v, want status %q", body, err, tt.status)
			}
			if tt.survives {
				s.write([]byte{0x1d})
			}
			for got := ""; got != "abort"; { // the answer of a good message may come before
				if got = s.next(); got != "abort" && got != "response 1" {
					t.Fatalf("received %s, want abort", got)
				}
			}
			s.drop()
			check()
			if code := s.reconnect(overPolling); code != wire.UnknownSession {
				t.Errorf("reconnection answered %v, want %v", code, wire.UnknownSession)
			}
			s.drop()
		})
	}
}

// TestBadNumbers covers the header s of sends.
func TestBadNumbers(t *testing.T) {
	srv := start(t, nil)
	for _, number := range []string{"", "one", "-1", "1.5", "99999999999999999999"} {
		s := connect(t, srv, overPolling, anonymous())
		res := answer(t, srv, "POST /diffusion HTTP/1.1\r\nHost: advect\r\nm: 2\r\nc: "+s.token+"\r\ns: "+number+"\r\nContent-Length: 0\r\n\r\n")
		if res == nil || res.StatusCode != 400 {
			t.Errorf("s = %q answered %v, want status 400", number, res)
		}
		s.ping()
		s.drop()
	}
}
