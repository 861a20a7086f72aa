package transport

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"advect.dev/internal/engine"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const maxMessage = 1 << 20

// newEngine returns an engine for sessions that end with their connection.
func newEngine(t testing.TB) *engine.Engine {
	t.Helper()
	principals, err := security.OpenStore("")
	if err != nil {
		t.Fatal(err)
	}
	policies, err := security.OpenPolicyStore("")
	if err != nil {
		t.Fatal(err)
	}
	e := engine.New(engine.Config{
		Principals: principals, Policies: policies,
		Log: slog.New(slog.DiscardHandler), ServerName: "test",
		KeepAlive: time.Minute, HandshakeTimeout: time.Minute,
		Queue:          outbox.Limits{Messages: 1000, Bytes: 16 << 20, RecoveryMessages: 100, RecoveryBytes: 1 << 20},
		MaxMessageSize: maxMessage, MaxResultSize: maxMessage,
	})
	t.Cleanup(e.Close)
	return e
}

// vectorMessages returns the messages of the protocol's vectors: what clients
// and servers really send.
func vectorMessages(t testing.TB) [][]byte {
	t.Helper()
	var messages [][]byte
	for _, name := range []string{"messages", "services-topics", "services-sessions"} {
		b, err := os.ReadFile("../../testdata/vectors/" + name + ".json")
		if err != nil {
			t.Fatal(err)
		}
		var any any
		if err := json.Unmarshal(b, &any); err != nil {
			t.Fatal(err)
		}
		messages = append(messages, hexIn(any)...)
	}
	if len(messages) < 50 {
		t.Fatalf("%d messages in the vectors", len(messages))
	}
	return messages
}

// hexIn returns all strings named "hex" or "request_hex" in a JSON value.
func hexIn(v any) (found [][]byte) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			if s, ok := value.(string); ok && (name == "hex" || name == "request_hex") {
				if b, err := hex.DecodeString(strings.ReplaceAll(s, " ", "")); err == nil && len(b) > 0 {
					found = append(found, b)
				}
			}
			found = append(found, hexIn(value)...)
		}
	case []any:
		for _, value := range v {
			found = append(found, hexIn(value)...)
		}
	}
	return found
}

// A conn is a network connection from which given bytes are read, and whose
// output is dropped.
type conn struct {
	net.Conn // nil
	in       io.Reader
	once     sync.Once
	closed   chan struct{}
}

func newConn(in []byte) *conn { return &conn{in: bytes.NewReader(in), closed: make(chan struct{})} }

func (c *conn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *conn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *conn) SetDeadline(time.Time) error      { return nil }
func (c *conn) SetReadDeadline(time.Time) error  { return nil }
func (c *conn) SetWriteDeadline(time.Time) error { return nil }
func (c *conn) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

// frames returns the seeds of a fuzz target of frames.
func frames(t testing.TB) [][]byte {
	frame := func(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }
	seeds := [][]byte{
		frame(ws.NewTextFrame([]byte("text"))),
		frame(ws.NewPingFrame([]byte("ping"))),
		frame(ws.NewPongFrame(nil)),
		frame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "bye"))),
		frame(ws.NewBinaryFrame(nil)),
		frame(ws.NewBinaryFrame(make([]byte, 70_000))),
		ws.MustCompileFrame(ws.NewBinaryFrame([]byte{0, 0x38, 1})),
		{0x82, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		{0x82, 0xff, 0, 0, 0, 0, 0, 0x0f, 0xff, 0xff, 0, 0, 0, 0, 1},
		append(frame(ws.NewFrame(ws.OpBinary, false, []byte{0})), frame(ws.NewFrame(ws.OpContinuation, true, []byte{0x38, 1}))...),
	}
	for _, m := range vectorMessages(t) {
		seeds = append(seeds, frame(ws.NewBinaryFrame(m)))
	}
	return seeds
}

// FuzzWebSocketReader reads whatever bytes follow a handshake as frames. What
// is read is never more than what came, and is allocated as it comes.
func FuzzWebSocketReader(f *testing.F) {
	for _, seed := range frames(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		whole, wholeErr := decode(t, in, len(in)+1)
		for _, piece := range []int{1, 7, 1000} {
			parts, err := decode(t, in, piece)
			if !errors.Is(err, wholeErr) || !slices.EqualFunc(whole, parts, bytes.Equal) {
				t.Fatalf("in pieces of %d bytes: %d messages and %v, at once: %d and %v", piece, len(parts), err, len(whole), wholeErr)
			}
		}
	})
}

// decode gives bytes to a decoder in pieces of a size, and returns the messages.
func decode(t *testing.T, in []byte, piece int) (messages [][]byte, err error) {
	var d decoder
	total := 0
	in = bytes.Clone(in) // which is unmasked in place
	for more := range slices.Chunk(in, piece) {
		b := d.join(bytes.Clone(more))
		for {
			op, payload, rest, ok, err := d.next(b, maxMessage)
			if err != nil {
				return messages, err
			}
			if !ok {
				d.keep(rest)
				break
			}
			if op == ws.OpBinary {
				messages = append(messages, bytes.Clone(payload))
				if total += len(payload); len(payload) == 0 || len(payload) > maxMessage || total > len(in) {
					t.Fatalf("message of %d bytes, %d in all, out of %d", len(payload), total, len(in))
				}
			}
			b = rest
		}
		if held := cap(d.part) + cap(d.message); held > 4*len(in)+8192 {
			t.Fatalf("%d bytes held for %d that came", held, len(in))
		}
	}
	return messages, nil
}

// FuzzWebSocketSession gives whatever bytes follow a handshake to a session, as
// a connection does. The session ends, and nothing of it stays.
func FuzzWebSocketSession(f *testing.F) {
	for _, seed := range frames(f) {
		f.Add(seed)
	}
	e := newEngine(f)
	f.Fuzz(func(t *testing.T, in []byte) {
		nc := newConn(in)
		c := newStream(nc, maxMessage)
		q := wire.ConnectRequest{Type: "WB", Version: wire.Version}
		res, session := e.Connect(t.Context(), q, engine.Peer{Addr: netip.IPv6Loopback(), Transport: engine.WebSocket}, &c.webSocket)
		if session == nil {
			t.Fatalf("rejected: %v", res.Code)
		}
		c.session = session
		c.run(wire.AppendConnectResponse(nil, res), nil)
		<-nc.closed
		awaitNone(t, e)
	})
}

func awaitNone(t *testing.T, e *engine.Engine) {
	t.Helper()
	for late := time.Now().Add(10 * time.Second); e.Sessions() > 0; runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatal("the session outlives its connection")
		}
	}
}

// FuzzPollSend posts whatever body as a send of a polling session.
func FuzzPollSend(f *testing.F) {
	for _, seed := range []string{"", "***", "AAAA", "AAAAAgA4AQ==", "AAAAAAA=", "AAAAAB0=", "/////wA4AQ==", "f////wA4AQ=="} {
		f.Add([]byte(seed))
	}
	for _, m := range vectorMessages(f) {
		f.Add([]byte(wire.EncodeBatch(wire.AppendBatchEntry(wire.AppendBatchEntry(nil, []byte{0, 0x38, 1}), m))))
	}
	e := newEngine(f)
	h := New(Config{
		Engine: e, Log: slog.New(slog.DiscardHandler), Connector: "test", Accepting: func() bool { return true },
		HandshakeTimeout: time.Minute, MaxMessageSize: maxMessage, PollHold: time.Minute, PollTimeout: time.Minute,
	})
	f.Cleanup(h.polling.close)
	post := func(t *testing.T, body []byte, headers ...string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/diffusion", bytes.NewReader(body))
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		res, err := wire.ParseConnectResponse(post(t, nil, "m", "0", "ty", "B", "v", "29").Body.Bytes())
		if err != nil || res.Code != wire.OK {
			t.Fatalf("connect: %v, %v", res.Code, err)
		}
		if post(t, body, "m", "2", "c", res.Token, "s", "0").Code == 200 {
			post(t, []byte("AAAAAB0="), "m", "2", "c", res.Token, "s", "1") // close
		}
		awaitNone(t, e)
		answer := post(t, nil, "m", "1", "c", res.Token, "s", "0").Body.String()
		batch, err := base64.StdEncoding.DecodeString(answer)
		if err != nil || !bytes.HasSuffix(batch, []byte{0, 0, 0, 0, 0x1c}) {
			t.Fatalf("the last poll was answered %q, %v, want a batch that ends the session", answer, err)
		}
		h.polling.mu.Lock()
		clear(h.polling.conns) // which would know the token for a while
		h.polling.mu.Unlock()
	})
}
