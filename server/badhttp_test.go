package server_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"advect.dev/internal/wire"
	"advect.dev/server"
)

// answer sends raw bytes on a connection of its own and returns what comes back:
// the answer's status and headers, or nil if the connection ends without one.
func answer(t *testing.T, srv *server.Server, raw string) *http.Response {
	t.Helper()
	nc := dial(t, hostOf(srv))
	defer nc.Close()
	_, _ = io.WriteString(nc, raw)
	res, err := http.ReadResponse(bufio.NewReader(nc), nil)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("no answer to %q in %v", raw, deadline)
	}
	if err != nil {
		return nil
	}
	res.Body.Close()
	return res
}

// TestBadHTTP covers what comes before a connection is one of the protocol's.
func TestBadHTTP(t *testing.T) {
	srv := start(t, nil)
	const host = "Host: advect\r\n"
	get := func(path, headers string) string { return "GET " + path + " HTTP/1.1\r\n" + host + headers + "\r\n" }
	upgrade := func(path string, change ...string) string {
		return "GET " + path + " HTTP/1.1\r\n" + strings.NewReplacer(change...).Replace(upgradeHeaders) + "\r\n"
	}
	post := func(headers string) string {
		return "POST /diffusion HTTP/1.1\r\n" + host + headers + "Content-Length: 0\r\n\r\n"
	}
	tests := []struct {
		name, raw string
		status    int // 0: the connection is closed without an answer
		headers   []string
	}{
		{"binary garbage", "\x00\x01\x02\xff\xfe\r\n\r\n", 400, nil},
		{"text garbage", "hello server\r\n\r\n", 400, nil},
		{"raw TCP protocol", "\x23\x04\x14\x00\x01\x02\r\n\r\n", 400, nil},
		{"TLS to the plain port", "\x16\x03\x01\x00\x05hello\r\n\r\n", 400, nil},
		{"unknown HTTP version", "GET /diffusion HTTP/9.9\r\n" + host + "\r\n", 505, nil},
		{"no host", "GET /diffusion HTTP/1.1\r\n\r\n", 400, nil},
		{"headers too large", get("/diffusion", "X: "+strings.Repeat("x", 80<<10)+"\r\n"), 431, nil},
		{"header without colon", get("/diffusion", "nonsense\r\n"), 400, nil},
		{"two lengths", "POST /diffusion HTTP/1.1\r\n" + host + "Content-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, nil},
		{"negative length", "POST /diffusion HTTP/1.1\r\n" + host + "Content-Length: -1\r\n\r\n", 400, nil},
		{"wrong path", get("/elsewhere", ""), 404, nil},
		{"path that only contains diffusion", get("/diffusions", ""), 404, nil},
		{"upgrade of a wrong path", upgrade("/elsewhere?v=29"), 404, nil},
		{"method PUT", "PUT /diffusion HTTP/1.1\r\n" + host + "Content-Length: 0\r\n\r\n", 405, []string{"Allow: GET, POST, OPTIONS"}},
		{"method DELETE", "DELETE /diffusion HTTP/1.1\r\n" + host + "\r\n", 405, []string{"Allow: GET, POST, OPTIONS"}},
		{"invented method", "CONNECTED /diffusion HTTP/1.1\r\n" + host + "\r\n", 405, []string{"Allow: GET, POST, OPTIONS"}},
		{"GET without upgrade", get("/diffusion", ""), 426, []string{"Upgrade: websocket"}},
		{"upgrade to something else", get("/diffusion", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), 426, nil},
		{"upgrade without key", upgrade("/diffusion?v=29", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n", ""), 400, nil},
		{"upgrade with a short key", upgrade("/diffusion?v=29", "AAAAAAAAAAAAAAAAAAAAAA==", "AAAA"), 400, nil},
		{"upgrade without Connection", upgrade("/diffusion?v=29", "Connection: Upgrade\r\n", ""), 400, nil},
		{"upgrade of another version", upgrade("/diffusion?v=29", "Version: 13", "Version: 8"), 426, nil},
		{"POST without m", post(""), 400, nil},
		{"POST with unknown m", post("m: 3\r\n"), 400, nil},
		{"POST with absurd m", post("m: 99999999999999999999\r\n"), 400, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := untouched(t, srv)
			res := answer(t, srv, tt.raw)
			switch {
			case res == nil && tt.status != 0:
				t.Errorf("closed without an answer, want status %d", tt.status)
			case res != nil && res.StatusCode != tt.status:
				t.Errorf("answered %s, want %d", res.Status, tt.status)
			}
			for _, want := range tt.headers {
				name, value, _ := strings.Cut(want, ": ")
				if got := res.Header.Get(name); got != value {
					t.Errorf("header %s is %q, want %q", name, got, value)
				}
			}
			check()
		})
	}
}

// TestRefusedUpgradeIsClosed checks that nothing is left of a connection whose
// upgrade was refused: the server closes it.
func TestRefusedUpgradeIsClosed(t *testing.T) {
	srv := start(t, nil)
	nc := dial(t, hostOf(srv))
	fmt.Fprint(nc, "GET /diffusion?v=29 HTTP/1.1\r\nHost: advect\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
	if _, err := io.ReadAll(nc); err != nil {
		t.Errorf("the connection is not closed: %v", err)
	}
}

// TestSlow covers clients that stop in the middle: each is ended soon after the
// handshake-timeout.
func TestSlow(t *testing.T) {
	const timeout = 150 * time.Millisecond
	srv := start(t, func(c *server.Config) { c.HandshakeTimeout = timeout })
	live := connect(t, srv, overPolling, anonymous())
	defer live.drop()
	const post = "POST /diffusion HTTP/1.1\r\nHost: advect\r\n"
	tests := []struct{ name, raw string }{
		{"nothing", ""},
		{"half a request line", "GET /diff"},
		{"half an upgrade", "GET /diffusion?v=29 HTTP/1.1\r\n" + upgradeHeaders},
		{"half a connect's body", post + "m: 0\r\nv: 29\r\nty: B\r\nContent-Length: 100\r\n\r\nAAAA"},
		{"half a poll's body", post + "m: 1\r\ns: 0\r\nc: " + live.token + "\r\nContent-Length: 100\r\n\r\nAAAA"},
		{"half a send's body", post + "m: 2\r\ns: 0\r\nc: " + live.token + "\r\nContent-Length: 100\r\n\r\nAAAA"},
		{"half a send's chunk", post + "m: 2\r\ns: 0\r\nc: " + live.token + "\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nAAAA"},
		{"half a body for an unknown session", post + "m: 2\r\ns: 0\r\nc: unknown\r\nContent-Length: 100\r\n\r\nAAAA"},
		{"half a body without m", post + "Content-Length: 100\r\n\r\nAAAA"},
		{"half a body for another path", "POST /elsewhere HTTP/1.1\r\nHost: advect\r\nContent-Length: 100\r\n\r\nAAAA"},
		{"half a body for the health check", "GET /healthz HTTP/1.1\r\nHost: advect\r\nContent-Length: 100\r\n\r\nAAAA"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			nc := dial(t, hostOf(srv))
			begun := time.Now()
			_, _ = io.WriteString(nc, tt.raw)
			if _, err := io.Copy(io.Discard, nc); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("still open after %v", deadline)
			}
			if took := time.Since(begun); took < timeout/2 || took > timeout+3*time.Second {
				t.Errorf("closed after %v, want about %v", took, timeout)
			}
		})
	}
	t.Run("drop by drop", func(t *testing.T) {
		t.Parallel()
		nc := dial(t, hostOf(srv))
		go func() { // a header every few milliseconds, for ever
			for tick := time.Tick(10 * time.Millisecond); ; <-tick {
				if _, err := io.WriteString(nc, "X-Filler: 1\r\n"); err != nil {
					return
				}
			}
		}()
		_, _ = io.WriteString(nc, "GET /diffusion HTTP/1.1\r\nHost: advect\r\n")
		begun := time.Now()
		_, _ = io.Copy(io.Discard, nc)
		if took := time.Since(begun); took > timeout+3*time.Second {
			t.Errorf("closed after %v, want about %v", took, timeout)
		}
	})
}

// TestRejections covers parameters that do not lead to a session. Each is
// answered on both transports by three bytes of the client's version.
func TestRejections(t *testing.T) {
	srv := start(t, nil)
	tests := []struct {
		name string
		p    params
		code wire.ResponseCode
	}{
		{"no version", anonymous().with("v", ""), wire.ConnectionProtocol},
		{"version in words", anonymous().with("v", "new"), wire.ConnectionProtocol},
		{"version with a fraction", anonymous().with("v", "29.0"), wire.ConnectionProtocol},
		{"absurd version", anonymous().with("v", "99999999999999999999"), wire.ConnectionProtocol},
		{"version of SDK 5.9", anonymous().with("v", "9"), wire.Downgrade},
		{"the next version", anonymous().with("v", "30"), wire.Downgrade},
		{"negative version", anonymous().with("v", "-29"), wire.Downgrade},
		{"no type", anonymous().with("ty", ""), wire.ConnectionProtocol},
		{"timeout in words", anonymous().with("r", "never"), wire.ConnectionProtocol},
		{"absurd capabilities", anonymous().with("ca", "99999999999"), wire.ConnectionProtocol},
		{"properties are no JSON", anonymous().with("sp", "{"), wire.ConnectionProtocol},
		{"properties are a list", anonymous().with("sp", "[]"), wire.ConnectionProtocol},
		{"property is a number", anonymous().with("sp", `{"a":1}`), wire.ConnectionProtocol},
		{"wrong password", anonymous().with("username", "admin", "password", "AQV3cm9uZw=="), wire.AuthenticationFailed},
		{"empty password", anonymous().with("username", "admin", "password", "AQA="), wire.AuthenticationFailed},
		{"no password", anonymous().with("username", "admin"), wire.AuthenticationFailed},
		{"unknown principal", anonymous().as("nobody"), wire.AuthenticationFailed},
		{"password is not base64", anonymous().with("username", "admin", "password", "***"), wire.AuthenticationFailed},
		{"password is cut off", anonymous().with("username", "admin", "password", "AQhwYXNz"), wire.AuthenticationFailed},
		{"password with an absurd length", anonymous().with("username", "admin", "password", "Af////8HcA=="), wire.AuthenticationFailed},
		{"password of unknown kind", anonymous().with("username", "admin", "password", "CQA="), wire.AuthenticationFailed},
		{"opaque credentials", anonymous().with("username", "admin", "password", "AghwYXNzd29yZA=="), wire.AuthenticationFailed},
		{"unknown token", anonymous().with("c", "8j/qMkxT8Iw2dwqeFA9gEzpA", "cs", "1", "ss", "0"), wire.UnknownSession},
		{"absurd token", anonymous().with("c", strings.Repeat("x", 4096), "cs", "1", "ss", "0"), wire.UnknownSession},
		{"token without sequence numbers", anonymous().with("c", "8j/qMkxT8Iw2dwqeFA9gEzpA"), wire.ConnectionProtocol},
		{"negative sequence number", anonymous().with("c", "8j/qMkxT8Iw2dwqeFA9gEzpA", "cs", "1", "ss", "-1"), wire.ConnectionProtocol},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			check := untouched(t, srv)
			for _, k := range bothKinds {
				l, response, err := k.open(t, hostOf(srv), tt.p)
				if err != nil {
					t.Fatalf("%s: %v", k.name, err)
				}
				if want := string([]byte{0x23, 29, byte(tt.code)}); string(response) != want {
					t.Errorf("%s: response %x, want %x (%v)", k.name, response, want, tt.code)
				}
				if c, ok := l.(*webSocket); ok {
					if b, err := c.receive(); err == nil || isTimeout(err) {
						t.Errorf("after the rejection: %x, %v, want the end of the connection", b, err)
					}
				}
				l.drop()
			}
			check()
		})
	}
}
