package advect

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/wire"
)

// environment is the value of sp, as JSON.
func environment() string {
	return `{"$Environment":"GO_` + runtime.GOOS + "_" + strings.TrimPrefix(runtime.Version(), "go") + `"}`
}

func TestOpenOverWebSocket(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		o := n.opening(WithPrincipal("control"), WithPassword("password"), WithPath("ctx"),
			WithHeader(http.Header{"X-Tenant": {"blue"}, "Sec-Websocket-Key": {"mine"}}))
		a := n.next()
		want := "/ctx/diffusion?ty=WJ&v=29&ca=10&r=60000&sp=" + strings.ReplaceAll(url.QueryEscape(environment()), "+", "%20") +
			"&username=control&password=AQhwYXNzd29yZA%3D%3D"
		if a.r.RequestURI != want {
			t.Errorf("request %s\nwant    %s", a.r.RequestURI, want)
		}
		if a.r.Host != "example.test:8080" || a.r.Header.Get("X-Tenant") != "blue" ||
			len(a.r.Header.Values("Sec-Websocket-Key")) != 1 || a.r.Header.Get("Sec-Websocket-Protocol") != "" {
			t.Errorf("host %s, headers %v", a.r.Host, a.r.Header)
		}
		p := a.code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if s.State() != ConnectedActive || s.Err() != nil || s.Principal() != "control" || s.ID() != (SessionID{Server: 1, Value: 2}) {
			t.Errorf("session %v %v %q %v", s.State(), s.Err(), s.Principal(), s.ID())
		}
		n.closeSession(s, p)
	})
}

func TestOpenOverPolling(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		o := n.opening(WithTransports(HTTPPolling), WithPrincipal("röd a"), WithCredentials([]byte{1, 2, 255}),
			WithHeader(http.Header{"X-Tenant": {"blue"}, "Host": {"front.test"}}))
		a := n.next()
		if a.r.RequestURI != "/diffusion" || a.r.Method != "POST" || a.r.Host != "front.test" || a.r.Header.Get("X-Tenant") != "blue" {
			t.Errorf("%s %s host %s", a.r.Method, a.r.RequestURI, a.r.Host)
		}
		for name, want := range map[string]string{
			"m": "0", "ty": "J", "v": "29", "ca": "10", "r": "60000", "username": "r%C3%B6d%20a", "password": "AgMBAv8=",
			"sp": strings.ReplaceAll(url.QueryEscape(environment()), "+", "%20"),
		} {
			if got := a.r.Header.Get(name); got != want {
				t.Errorf("header %s = %q, want %q", name, got, want)
			}
		}
		p := a.code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for id := int64(1); id <= 3; id++ {
			p.send(wire.AppendRequest(nil, 55, id), wire.AppendRequest(nil, 56, 100+id))
			for _, want := range []int64{id, 100 + id} {
				if m := p.receive(); m.Type != wire.TypeResponse || m.Conversation != want {
					t.Errorf("answer %+v, want to %d", m, want)
				}
			}
		}
		p.out <- nil // an empty answer is harmless
		n.closeSession(s, p)
		n.mu.Lock()
		defer n.mu.Unlock()
		if got := fmt.Sprint(p.polls); got != "[0 1 2 3 4]" && got != "[0 1 2 3 4 5]" {
			t.Errorf("polls %s", got)
		}
		for i, s := range p.headers {
			if s != fmt.Sprint(i) {
				t.Errorf("sends %v", p.headers)
			}
		}
	})
}

// What a server can do before it has answered, as in protocol 01 section 9.
var misbehaviour = []struct {
	name     string
	do       func(n *network, a *attempt)
	cascades bool
	want     error
}{
	{"refused HTTP status", func(_ *network, a *attempt) { a.status(503) }, true, ErrConnection},
	{"HTTP 404", func(_ *network, a *attempt) { a.status(404) }, true, ErrConnection},
	{"closed before the answer", func(n *network, a *attempt) { hangUp(a) }, true, ErrConnection},
	{"closed after the upgrade", func(_ *network, a *attempt) { a.raw(nil).drop() }, true, ErrConnection},
	{"close frame before the response", func(_ *network, a *attempt) {
		p := a.raw(nil)
		if p.nc != nil {
			p.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1001, "going away")))
		}
		p.drop()
	}, true, ErrConnection},
	{"wrong protocol byte", rawAnswer("241d64"), true, ErrHandshake},
	{"wrong version", rawAnswer("231c74"), true, ErrVersionMismatch},
	{"unknown code", rawAnswer("231d7f"), true, ErrHandshake},
	{"too short", rawAnswer("231d"), true, ErrHandshake},
	{"success too short", rawAnswer("231d64c11f"), true, ErrHandshake},
	{"code for another request", func(_ *network, a *attempt) { a.raw(wire.AppendConnectResponse(nil, response(wire.Reconnected))) }, true, ErrHandshake},
	{"102 downgrade", rawAnswer("231d66"), false, ErrVersionMismatch},
	{"113 licence", rawAnswer("231d71"), false, ErrLicenceExceeded},
	{"114 reconnection unsupported", rawAnswer("231d72"), false, ErrHandshakeRejected},
	{"115 protocol error", rawAnswer("231d73"), false, ErrHandshakeRejected},
	{"116 authentication failed", rawAnswer("231d74"), false, ErrAccessDenied},
	{"117 unknown session", rawAnswer("231d75"), false, ErrHandshakeRejected},
	{"118 message loss", rawAnswer("231d76"), false, ErrHandshakeRejected},
	{"119 initialising", rawAnswer("231d77"), false, ErrHandshakeRejected},
}

func rawAnswer(answer string) func(*network, *attempt) {
	return func(n *network, a *attempt) { a.raw(unhex(answer)) }
}

// hangUp closes the connection of a request that was not answered.
func hangUp(a *attempt) {
	nc, _, err := http.NewResponseController(a.w).Hijack()
	if err != nil {
		panic(err)
	}
	nc.Close()
	close(a.done)
}

// drop ends a connection that has no session yet.
func (p *peer) drop() {
	if p.nc != nil {
		p.nc.Close()
		return
	}
	hangUp(p.attempt)
}

// TestCascade checks, for each thing that can go wrong, that the next transport
// is tried or not, that a retry is made or not, and what the error is.
func TestCascade(t *testing.T) {
	for _, first := range both {
		second := both[1-first]
		for _, c := range misbehaviour {
			t.Run(fmt.Sprint(first, " ", c.name), func(t *testing.T) {
				inNetwork(t, func(t *testing.T, n *network) {
					o := n.opening(WithTransports(first, second), WithRetry(RetryStrategy{Attempts: 1, Interval: time.Second}))
					for i := range 4 {
						a := n.next()
						if a.webSocket() != ([]Transport{first, second}[i%2] == WebSocket) {
							t.Errorf("attempt %d with the wrong transport", i)
						}
						c.do(n, a)
						if !c.cascades {
							break
						}
					}
					_, err := o.Await(context.Background())
					if !errors.Is(err, c.want) {
						t.Errorf("error %v, want %v", err, c.want)
					}
					var refused *Rejection
					if errors.As(err, &refused) == c.cascades {
						t.Errorf("a Rejection in %v: %t", err, !c.cascades)
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

func TestCascadeToTheTransportThatWorks(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		o := n.opening(WithTransports(WebSocket, HTTPPolling, WebSocket))
		n.next().status(503)
		n.next().status(503)
		a := n.next()
		if !a.webSocket() {
			t.Fatal("third attempt is not WebSocket")
		}
		p := a.code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		n.closeSession(s, p)
	})
}

// Bad framing in place of a response is a failure of the transport.
func TestBadFrameAsResponse(t *testing.T) {
	for name, frame := range map[string]ws.Frame{
		"text":   ws.NewTextFrame([]byte("hello")),
		"empty":  ws.NewBinaryFrame(nil),
		"masked": ws.MaskFrame(ws.NewBinaryFrame([]byte{0x23})),
	} {
		want := ErrHandshake
		if name == "masked" {
			want = ErrConnection
		}
		t.Run(name, func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				o := n.opening()
				p := n.next().raw(nil)
				p.frame(frame)
				if _, err := o.Await(context.Background()); !errors.Is(err, want) {
					t.Errorf("error %v, want %v", err, want)
				}
				p.drop()
			})
		})
	}
}

func TestRefusedConnections(t *testing.T) {
	for _, c := range []struct {
		transports []Transport
		retry      RetryStrategy
		dials      int
		took       time.Duration
		want       error
	}{
		{[]Transport{WebSocket}, RetryStrategy{}, 1, 0, ErrConnection},
		{both, RetryStrategy{}, 2, 0, ErrConnection},
		{[]Transport{WebSocket}, RetryStrategy{Attempts: 2, Interval: 100 * time.Millisecond}, 3, 200 * time.Millisecond, ErrConnection},
		{both, RetryStrategy{Attempts: 3, Interval: time.Second}, 8, 3 * time.Second, ErrConnection},
		{both, RetryStrategy{Attempts: 3}, 8, 0, ErrConnection},
		{[]Transport{WebSocket}, RetryStrategy{Interval: 3 * time.Second}, 4, 10 * time.Second, ErrConnectionTimeout},
	} {
		t.Run(fmt.Sprint(c.transports, c.retry), func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				n.refuse = true
				start := time.Now()
				_, err := n.opening(WithTransports(c.transports...), WithRetry(c.retry)).Await(context.Background())
				var op *net.OpError
				if !errors.Is(err, c.want) || !errors.Is(err, ErrTransient) || !errors.As(err, &op) {
					t.Errorf("error %v", err)
				}
				if took := time.Since(start); n.dialled() != c.dials || took != c.took {
					t.Errorf("%d dials in %v, want %d in %v", n.dialled(), took, c.dials, c.took)
				}
			})
		})
	}
}

func TestRetryFunc(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		var attempts []int
		o := n.opening(WithRetryFunc(func(attempt int, err error) (time.Duration, bool) {
			attempts = append(attempts, attempt)
			if !errors.Is(err, ErrConnection) {
				t.Errorf("asked about %v", err)
			}
			return time.Second, attempt < 3
		}))
		for range 3 {
			n.next().status(503)
		}
		if _, err := o.Await(context.Background()); !errors.Is(err, ErrConnection) {
			t.Error(err)
		}
		if fmt.Sprint(attempts) != "[1 2 3]" {
			t.Errorf("asked after attempts %v", attempts)
		}
	})
}

// A server that comes up while the client retries is found.
func TestRetryUntilStarted(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		n.refuse = true
		o := n.opening(WithRetry(RetryStrategy{Attempts: 5, Interval: 100 * time.Millisecond}))
		time.Sleep(250 * time.Millisecond)
		n.setRefuse(false)
		p := n.next().code(wire.OK)
		s, err := o.Await(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		n.closeSession(s, p)
	})
}

// A silent server costs one connection timeout, whatever transports are left.
func TestSilentServer(t *testing.T) {
	stages := map[string]func(a *attempt) *peer{
		"before the upgrade": func(a *attempt) *peer { return nil },
		"after the upgrade":  func(a *attempt) *peer { return a.raw(nil) },
	}
	for stage, do := range stages {
		for _, first := range both {
			t.Run(fmt.Sprint(first, " ", stage), func(t *testing.T) {
				inNetwork(t, func(t *testing.T, n *network) {
					start := time.Now()
					o := n.opening(WithTransports(first, both[1-first]), WithConnectionTimeout(500*time.Millisecond),
						WithRetry(RetryStrategy{Interval: time.Millisecond}))
					p := do(n.next())
					_, err := o.Await(context.Background())
					if took := time.Since(start); !errors.Is(err, ErrConnectionTimeout) || took != 500*time.Millisecond {
						t.Errorf("error %v after %v", err, took)
					}
					if n.dialled() != 1 {
						t.Errorf("%d dials", n.dialled())
					}
					if p != nil && p.nc != nil {
						p.drop()
					}
				})
			})
		}
	}
}

// Opening ends when its context does, at each stage.
func TestOpenCancelled(t *testing.T) {
	for name, prepare := range map[string]func(*network){
		"dial":       func(n *network) { n.hang = true },
		"handshake":  func(n *network) {},
		"retry wait": func(n *network) { n.refuse = true },
	} {
		for _, transport := range both {
			for _, cause := range []error{context.Canceled, context.DeadlineExceeded} {
				t.Run(fmt.Sprint(transport, " ", name, " ", cause), func(t *testing.T) {
					inNetwork(t, func(t *testing.T, n *network) {
						prepare(n)
						ctx, cancel := context.WithTimeout(context.Background(), time.Second)
						defer cancel()
						want := ErrConnectionTimeout
						if cause == context.Canceled {
							time.AfterFunc(time.Second/2, cancel)
							want = ErrClosedByClient
						}
						var log states
						_, err := Open(ctx, "", WithHost("example.test:8080"), WithTransports(transport), WithDialer(n.dial), WithHTTPProxy(nil),
							WithRetry(RetryStrategy{Interval: time.Minute}), WithConnectionTimeout(0), WithStateListener(log.listen))
						if !errors.Is(err, cause) || !errors.Is(err, want) {
							t.Errorf("error %v, want %v and %v", err, cause, want)
						}
						end := "CONNECTING>CLOSED_FAILED"
						if cause == context.Canceled {
							end = "CONNECTING>CLOSED_BY_CLIENT"
						}
						if log.String() != end {
							t.Errorf("states %s, want %s", &log, end)
						}
					})
				})
			}
		}
	}
}

// Properties travel, credentials never reach the log, and without a principal
// they are not even sent.
func TestPropertiesAndSecrets(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		var log bytes.Buffer
		logger := slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		properties := map[string]string{"a": "b c", "$Environment": "mine"}
		opts := []Option{WithSessionProperties(properties), WithPassword("hush"), WithLogger(logger), WithRetry(RetryStrategy{Attempts: 1})}
		o := n.opening(opts...)
		a := n.next()
		want := `{"$Environment":` + strings.TrimPrefix(environment(), `{"$Environment":`)
		if got := a.param("sp"); got != strings.TrimSuffix(want, "}")+`,"a":"b c"}` {
			t.Errorf("sp %s", got)
		}
		if strings.Contains(a.r.RequestURI, "username") || strings.Contains(a.r.RequestURI, "password") {
			t.Errorf("credentials without a principal: %s", a.r.RequestURI)
		}
		a.status(503)
		n.next().code(wire.AuthenticationFailed)
		_, first := o.Await(context.Background())
		o = n.opening(append(opts, WithPrincipal("ann"))...)
		a = n.next()
		if a.param("username") != "ann" || a.param("password") != wire.EncodePassword(wire.Password("hush")) {
			t.Errorf("request %s", a.r.RequestURI)
		}
		a.code(wire.AuthenticationFailed)
		_, second := o.Await(context.Background())
		secret := wire.EncodePassword(wire.Password("hush"))
		text := fmt.Sprint(log.String(), first, second)
		if !errors.Is(second, ErrAccessDenied) || log.Len() == 0 || strings.Contains(text, "hush") || strings.Contains(text, strings.TrimRight(secret, "=")) {
			t.Errorf("log and errors:\n%s", text)
		}
		if properties["$Environment"] != "mine" {
			t.Error("the caller's map was changed")
		}
	})
}

func TestOpening(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		o := n.opening()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if _, err := o.Await(ctx); !errors.Is(err, context.Canceled) {
			t.Errorf("Await with a dead context: %v", err)
		}
		results := make(chan *Session, 2)
		told := func(s *Session, err error) {
			if err != nil {
				t.Error(err)
			}
			results <- s
		}
		o.OnComplete(told)
		p := n.next().code(wire.OK)
		<-o.Done()
		o.OnComplete(told)
		s, _ := o.Await(ctx)
		if a, b := <-results, <-results; a != s || b != s || s == nil {
			t.Error("callbacks have another session")
		}
		o.Cancel()
		synctest.Wait()
		if s.State() != ConnectedActive {
			t.Error("Cancel after completion closed the session")
		}
		n.closeSession(s, p)

		o = n.opening()
		n.next()
		o.Cancel()
		if _, err := o.Await(context.Background()); !errors.Is(err, ErrClosedByClient) || !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled opening: %v", err)
		}
	})
}

func TestBadOptions(t *testing.T) {
	for name, opts := range map[string][]Option{
		"no server named":      {},
		"maximum message size": {WithHost("h"), WithMaxMessageSize(1023)},
		"buffers":              {WithHost("h"), WithBufferSizes(1024, 1023)},
		"recovery buffer":      {WithHost("h"), WithRecoveryBuffer(-1)},
		"outbound queue":       {WithHost("h"), WithOutboundQueue(0)},
		"no transports":        {WithHost("h"), WithTransports()},
		"unknown transport":    {WithHost("h"), WithTransports(Transport(9))},
		"port 0":               {WithHost("h"), WithPort(0)},
		"host":                 {WithHost("a b")},
		"path":                 {WithHost("h"), WithPath("%zz")},
		"negative":             {WithHost("h"), WithRetry(RetryStrategy{Attempts: -1})},
	} {
		if _, err := Open(context.Background(), "", opts...); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v", name, err)
		}
	}
}

// unhex decodes hexadecimal digits with or without spaces.
func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}
