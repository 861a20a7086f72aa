package gosdk

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	gobwas "github.com/gobwas/ws"

	"advect.dev"
)

// An endpoint is a scripted stand-in for a server. It answers each new
// connection with the next behaviour of a list, of which the last repeats, and
// passes the rest on to a real server. The inspector covers faults of live
// connections and counts nothing; this covers answers that no sound server
// gives, and counts.
//
// Behaviours: "pass", "status:503", "reset" (before any answer), "close1001"
// (before the connection response), "silent", "bytes:HEX" (this connection
// response), "text:T" (a text message; over polling the same text).
type endpoint struct {
	port, to string
	server   *http.Server
	forward  *http.Transport
	tunnels  sync.WaitGroup
	down     atomic.Int64 // bytes from the server to clients, over WebSocket
	polls    *record[struct{}]

	mu       sync.Mutex
	script   map[advect.Transport][]string
	attempts []string
	answers  []http.Header // of the next polls, instead of the server's
	held     chan struct{} // not nil while polls are held; closed to let them go
	lose     bool          // the answer of the next poll is lost
}

// endpoint starts an endpoint in front of the shared server. Transports without
// a script pass.
func (s *scene) endpoint(script map[advect.Transport][]string) *endpoint {
	s.t.Helper()
	return s.endpointTo(shared.port, script)
}

func (s *scene) endpointTo(port string, script map[advect.Transport][]string) *endpoint {
	s.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.none(err, "listen")
	e := &endpoint{port: portOf(l.Addr()), to: port, forward: &http.Transport{}, polls: newRecord[struct{}]("polls")}
	e.script = map[advect.Transport][]string{advect.WebSocket: {"pass"}, advect.HTTPPolling: {"pass"}}
	for transport, list := range script {
		e.script[transport] = list
	}
	e.server = &http.Server{Handler: http.HandlerFunc(e.serve), ReadHeaderTimeout: patience}
	go e.server.Serve(l)
	s.t.Cleanup(func() {
		e.server.Close()
		e.forward.CloseIdleConnections()
		e.tunnels.Wait()
	})
	return e
}

// tried returns the transports of the attempts so far.
func (e *endpoint) tried() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return strings.Join(e.attempts, " ")
}

func (e *endpoint) next(t advect.Transport) (kind, argument string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.attempts = append(e.attempts, short(t))
	script := e.script[t]
	if len(script) > 1 {
		e.script[t] = script[1:]
	}
	kind, argument, _ = strings.Cut(script[0], ":")
	return kind, argument
}

func (e *endpoint) serve(w http.ResponseWriter, r *http.Request) {
	if strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		e.webSocket(w, r)
		return
	}
	switch r.Header.Get("m") {
	case "0":
		e.connect(w, r)
	case "1":
		e.poll(w, r)
	default:
		e.pass(w, r)
	}
}

// hijack takes the connection of a request over.
func hijack(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter) {
	nc, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return nc, rw
}

// reset breaks the connection of a request off.
func reset(w http.ResponseWriter) {
	nc, _ := hijack(w)
	_ = nc.(*net.TCPConn).SetLinger(0)
	nc.Close()
}

func (e *endpoint) webSocket(w http.ResponseWriter, r *http.Request) {
	kind, argument := e.next(advect.WebSocket)
	switch kind {
	case "pass":
		e.tunnel(w, r)
		return
	case "reset":
		reset(w)
		return
	case "status":
		status, _ := strconv.Atoi(argument)
		w.WriteHeader(status)
		return
	}
	nc, _, _, err := gobwas.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer nc.Close()
	switch kind {
	case "bytes":
		response, _ := hex.DecodeString(argument)
		_ = gobwas.WriteFrame(nc, gobwas.NewBinaryFrame(response))
	case "text":
		_ = gobwas.WriteFrame(nc, gobwas.NewTextFrame([]byte(argument)))
	case "close1001":
		_ = gobwas.WriteFrame(nc, gobwas.NewCloseFrame(gobwas.NewCloseFrameBody(gobwas.StatusGoingAway, "")))
	}
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	_, _ = io.Copy(io.Discard, nc) // until the client goes
}

// tunnel passes a WebSocket connection on.
func (e *endpoint) tunnel(w http.ResponseWriter, r *http.Request) {
	server, err := net.Dial("tcp", "127.0.0.1:"+e.to)
	if err != nil {
		reset(w)
		return
	}
	client, rw := hijack(w)
	_ = r.Write(server)
	end := func() { client.Close(); server.Close() }
	e.server.RegisterOnShutdown(end)
	e.tunnels.Go(func() {
		defer end()
		_, _ = io.Copy(server, rw)
	})
	e.tunnels.Go(func() {
		defer end()
		_, _ = io.Copy(io.MultiWriter(client, counter{&e.down}), server)
	})
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(b []byte) (int, error) {
	c.n.Add(int64(len(b)))
	return len(b), nil
}

func (e *endpoint) connect(w http.ResponseWriter, r *http.Request) {
	kind, argument := e.next(advect.HTTPPolling)
	switch kind {
	case "pass":
		e.pass(w, r)
	case "status":
		status, _ := strconv.Atoi(argument)
		w.WriteHeader(status)
	case "bytes":
		response, _ := hex.DecodeString(argument)
		_, _ = w.Write(response)
	case "text":
		_, _ = io.WriteString(w, argument)
	case "silent":
		<-r.Context().Done()
	default:
		reset(w)
	}
}

// answerNextPoll has the next poll answered with nothing but these headers.
func (e *endpoint) answerNextPoll(h http.Header) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answers = append(e.answers, h)
}

// hold keeps polls from the server until loseHeld.
func (e *endpoint) hold() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held = make(chan struct{})
}

// loseHeld passes polls on again, but loses the answer of the first: the server
// believes that it has sent it, the client sees a broken connection.
func (e *endpoint) loseHeld() {
	e.mu.Lock()
	defer e.mu.Unlock()
	close(e.held)
	e.held, e.lose = nil, true
}

func (e *endpoint) poll(w http.ResponseWriter, r *http.Request) {
	e.polls.add(struct{}{})
	e.mu.Lock()
	held := e.held
	e.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-r.Context().Done():
			return
		}
	}
	e.mu.Lock()
	var answer http.Header
	if len(e.answers) > 0 {
		answer, e.answers = e.answers[0], e.answers[1:]
	}
	lose := e.lose
	e.lose = false
	e.mu.Unlock()
	switch {
	case answer != nil:
		for name, values := range answer {
			w.Header()[name] = values
		}
	case lose:
		e.pass(discard{w.Header()}, r)
		reset(w)
	default:
		e.pass(w, r)
	}
}

// discard is a response that nobody gets.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

// pass passes a request of a polling client on.
func (e *endpoint) pass(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		reset(w)
		return
	}
	out, err := http.NewRequestWithContext(r.Context(), r.Method, "http://127.0.0.1:"+e.to+r.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	out.Header = r.Header.Clone()
	answer, err := e.forward.RoundTrip(out)
	if err != nil {
		reset(w)
		return
	}
	defer answer.Body.Close()
	for name, values := range answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.StatusCode)
	_, _ = io.Copy(w, answer.Body)
}

// A lossy is a proxy that can lose messages on their way to the client.
type lossy struct {
	port string
	lose func(sent int, publish func())
}

// lossy starts a lossy proxy in front of a server. lose has the server send the
// messages, so many at least, that publish causes and the client get none of them
// and lose its connection; over polling the first message still arrives, by the
// poll that was open. The session must not reconnect before lose is done.
func (s *scene) lossy(port string) lossy {
	s.t.Helper()
	if s.transport == advect.HTTPPolling {
		e := s.endpointTo(port, nil)
		return lossy{e.port, func(_ int, publish func()) {
			e.hold()
			publish()
			e.loseHeld()
		}}
	}
	p := s.inspect(port)
	return lossy{p.port, func(sent int, publish func()) {
		p.delay(time.Minute, "down")
		before := p.down()
		publish()
		for p.down() < before+sent { // the server sends in its own time
			s.none(s.ctx.Err(), "messages to lose")
			time.Sleep(time.Millisecond)
		}
		p.cut("reset")
		p.delay(0, "both")
	}}
}
