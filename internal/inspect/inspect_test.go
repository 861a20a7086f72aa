package inspect_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
	"advect.dev/internal/inspect"
	"advect.dev/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// output collects lines and lets a test wait for one.
type output struct {
	mu    sync.Mutex
	cond  *sync.Cond
	lines []map[string]any
	text  bytes.Buffer
}

func newOutput() *output {
	o := &output{}
	o.cond = sync.NewCond(&o.mu)
	return o
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text.Write(b)
	var line map[string]any
	if json.Unmarshal(b, &line) == nil {
		o.lines = append(o.lines, line)
	}
	o.cond.Broadcast()
	return len(b), nil
}

// await returns the first line, from one on, in which all the fields have the
// given values, printed.
func (o *output) await(t *testing.T, fields map[string]string) map[string]any {
	t.Helper()
	timeout := time.AfterFunc(10*time.Second, o.cond.Broadcast)
	defer timeout.Stop()
	deadline := time.Now().Add(10 * time.Second)
	o.mu.Lock()
	defer o.mu.Unlock()
	for n := 0; ; {
		for ; n < len(o.lines); n++ {
			matches := true
			for k, v := range fields {
				matches = matches && fmt.Sprint(o.lines[n][k]) == v
			}
			if matches {
				return o.lines[n]
			}
		}
		if time.Now().After(deadline) {
			t.Fatalf("no line with %v in\n%s", fields, o.text.String())
		}
		o.cond.Wait()
	}
}

// start runs an inspector in front of a target until the test ends.
func start(t *testing.T, to string, out io.Writer) *inspect.Inspector {
	t.Helper()
	i, err := inspect.New(inspect.Config{Listen: "127.0.0.1:0", To: to, Control: "127.0.0.1:0", Out: out, JSON: true, Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- i.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return i
}

func order(t *testing.T, i *inspect.Inspector, path, body string) string {
	t.Helper()
	res, err := http.Post("http://"+i.ControlAddr()+path, "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	defer http.DefaultClient.CloseIdleConnections()
	b, _ := io.ReadAll(res.Body)
	return fmt.Sprintf("%d %s", res.StatusCode, b)
}

// TestConversation follows an SDK's session through the inspector, over a cut.
func TestConversation(t *testing.T) {
	for transport, scheme := range map[string]string{"websocket": "ws", "polling": "xhr"} {
		t.Run(transport, func(t *testing.T) {
			srv := advecttest.Server(t)
			out := newOutput()
			i := start(t, srv.URL(), out)
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			reconnected := make(chan struct{}, 1)
			session, err := advect.Open(ctx, scheme+"://"+i.Addr(), advect.WithPrincipal("control"), advect.WithPassword("password"),
				advect.WithReconnectStrategy(advect.FixedDelay(10*time.Millisecond)),
				advect.WithStateListener(func(_ *advect.Session, old, _ advect.State) {
					if old.IsRecovering() {
						reconnected <- struct{}{}
					}
				}))
			if err != nil {
				t.Fatal(err)
			}
			defer session.Close()
			document := func(n int) datatype.Value {
				return datatype.MustJSON(map[string]any{"filler": strings.Repeat("x", 100), "n": n})
			}
			topics := session.Topics()
			if _, err := topics.AddAndSet(ctx, "a/b", advect.NewSpecification(advect.JSON), document(1)); err != nil {
				t.Fatal(err)
			}
			if err := topics.Subscribe(ctx, "?a//"); err != nil {
				t.Fatal(err)
			}
			if err := topics.Set(ctx, "a/b", document(2)); err != nil {
				t.Fatal(err)
			}
			connect := out.await(t, map[string]string{"kind": "connect", "transport": transport})
			if fields := fmt.Sprint(connect["fields"]); !strings.Contains(fields, "control") || !strings.Contains(fields, "password(***)") {
				t.Errorf("connect shows %s", fields)
			}
			out.await(t, map[string]string{"kind": "connected", "code": "100"})
			out.await(t, map[string]string{"kind": "request", "service": "SUBSCRIBE", "dir": "C>S", "number": "2"})
			out.await(t, map[string]string{"kind": "request", "service": "NOTIFY_SUBSCRIPTION", "dir": "S>C"})
			out.await(t, map[string]string{"kind": "value", "path": "a/b"})
			d := out.await(t, map[string]string{"kind": "delta", "path": "a/b"})
			if !strings.Contains(fmt.Sprint(d["value"]), `"n":2`) || d["delta"].(float64) > 20 {
				t.Errorf("delta shown as %v", d)
			}
			before := d["number"].(float64)

			if got := order(t, i, "/cut", `{"transport":"`+transport+`"}`); got != "200 {\"cut\":1}\n" {
				t.Errorf("cut: %s", got)
			}
			<-reconnected
			out.await(t, map[string]string{"kind": "connected", "code": "105"})
			if err := topics.Set(ctx, "a/b", document(3)); err != nil {
				t.Fatal(err)
			}
			after := out.await(t, map[string]string{"kind": "delta", "path": "a/b", "conn": "2"})
			if n := after["number"].(float64); n <= before {
				t.Errorf("after the cut message numbers go on from %v with %v", before, n)
			}
			out.mu.Lock()
			text := out.text.String()
			out.mu.Unlock()
			for _, secret := range []string{wire.EncodePassword(wire.Password("password")), `"violation"`} {
				if strings.Contains(text, secret) {
					t.Errorf("%q is in the output", secret)
				}
			}
			res, err := http.Get("http://" + i.ControlAddr() + "/stats")
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			defer http.DefaultClient.CloseIdleConnections()
			var stats struct {
				Sessions []struct {
					Connections, Cuts int
					Codes             map[string]int
				}
			}
			if err := json.NewDecoder(res.Body).Decode(&stats); err != nil || len(stats.Sessions) != 1 ||
				stats.Sessions[0].Cuts != 1 || stats.Sessions[0].Codes["105"] != 1 {
				t.Errorf("stats %+v, %v", stats, err)
			}
		})
	}
}

// TestWebSocketFaults looks at each fault as a client sees it.
func TestWebSocketFaults(t *testing.T) {
	i := start(t, advecttest.Server(t).URL(), nil)
	for _, c := range []struct {
		fault, want string
	}{
		{"pass", "binary 231d64"},
		{"503", "status 503"},
		{"404", "status 404"},
		{"refuse", "lost"},
		{"code:116", "binary 231d74"},
		{"version:30", "binary 231e64"},
		{"garbage", "binary 6e6f6e"},
		{"text", "text"},
		{"empty", "binary "},
		{"close1001", "close 1001"},
		{"silent", "nothing"},
	} {
		order(t, i, "/fault", `{"websocket":"`+c.fault+`"}`)
		if got := webSocketAnswer(i.Addr()); got != c.want {
			t.Errorf("%s: got %s, want %s", c.fault, got, c.want)
		}
	}
}

func webSocketAnswer(addr string) string {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return err.Error()
	}
	defer nc.Close()
	fmt.Fprintf(nc, "GET /diffusion?ty=WB&v=29&ca=8&r=0 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
	r := bufio.NewReader(nc)
	_ = nc.SetReadDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(r, nil)
	if err != nil {
		return "lost"
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Sprintf("status %d", res.StatusCode)
	}
	_ = nc.SetReadDeadline(time.Now().Add(300 * time.Millisecond)) // only "silent" waits for it
	h, err := ws.ReadHeader(r)
	payload := make([]byte, min(h.Length, 125))
	if err == nil {
		_, err = io.ReadFull(r, payload)
	}
	switch {
	case err != nil:
		return "nothing"
	case h.OpCode == ws.OpText:
		return "text"
	case h.OpCode == ws.OpClose:
		code, _ := ws.ParseCloseFrameData(payload)
		return fmt.Sprintf("close %d", code)
	}
	return fmt.Sprintf("binary %x", payload[:min(3, len(payload))])
}

func TestPollingFaults(t *testing.T) {
	i := start(t, advecttest.Server(t).URL(), nil)
	for fault, want := range map[string]string{
		"pass": "200 231d64", "503": "503 353033", "refuse": "lost", "code:117": "200 231d75", "garbage": "200 6e6f6e",
	} {
		order(t, i, "/fault", `{"polling":"`+fault+`"}`)
		q, _ := http.NewRequest(http.MethodPost, "http://"+i.Addr()+"/diffusion", nil)
		for k, v := range map[string]string{"m": "0", "ty": "B", "v": "29", "ca": "8", "r": "0"} {
			q.Header.Set(k, v)
		}
		got := "lost"
		if res, err := http.DefaultClient.Do(q); err == nil {
			b, _ := io.ReadAll(res.Body)
			res.Body.Close()
			got = fmt.Sprintf("%d %x", res.StatusCode, b[:min(3, len(b))])
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", fault, got, want)
		}
	}
	http.DefaultClient.CloseIdleConnections()
}

func TestOrdersThatAreNone(t *testing.T) {
	i := start(t, "ws://127.0.0.1:1", nil)
	for path, bodies := range map[string][]string{
		"/cut":         {`{"mode":"gently"}`, `{`},
		"/fault":       {`{"websocket":"often"}`, `{"polling":"code:x"}`, `{"websocket":"code:999"}`, `{"websocket":"99"}`},
		"/delay":       {`{"ms":-1}`, `{"direction":"left"}`},
		"/random-cuts": {`{}`, `{"minMs":5,"maxMs":1}`},
		"/block":       {`{"transport":"pigeon"}`},
	} {
		for _, body := range bodies {
			if got := order(t, i, path, body); !strings.HasPrefix(got, "400 ") || !strings.Contains(got, "error") {
				t.Errorf("%s %s: %s", path, body, got)
			}
		}
	}
	for _, to := range []string{"ftp://x", "ws://", "://"} {
		if _, err := inspect.New(inspect.Config{Listen: "127.0.0.1:0", To: to}); err == nil {
			t.Errorf("target %q is accepted", to)
		}
	}
}

// TestGarbage lets both sides say things that mean nothing: they pass, and the
// inspector goes on.
func TestGarbage(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		nc, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer nc.Close()
		for _, f := range []ws.Frame{
			ws.NewBinaryFrame([]byte("nonsense")), ws.NewBinaryFrame(nil), ws.NewTextFrame([]byte("text")),
			ws.NewBinaryFrame([]byte{4, 0, 0, 0, 9, 1}), ws.NewBinaryFrame([]byte{0x85, 0, 0, 0, 9, 1}), ws.NewPingFrame(nil),
		} {
			_ = ws.WriteFrame(nc, f)
		}
		_, _ = nc.Write([]byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	}))
	i := start(t, "ws://"+l.Addr().String(), newOutput())
	if got := webSocketAnswer(i.Addr()); got != "binary 6e6f6e" {
		t.Errorf("got %s", got)
	}
	if got := order(t, i, "/cut", ""); !strings.HasPrefix(got, "200") {
		t.Errorf("after garbage: %s", got)
	}
}
