package advect

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/wire"
)

// A network is a scripted server on an in-memory network. Each connect request
// arrives on attempts and waits there for the test to answer it. It is used in
// a synctest bubble, which also proves that every goroutine ends.
type network struct {
	t        testing.TB
	attempts chan *attempt

	mu      sync.Mutex
	refuse  bool // dialling is refused
	hang    bool // dialling takes for ever
	dials   int
	peers   map[string]*peer // polling, by token
	accept  chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

// inNetwork runs a test in a bubble.
func inNetwork(t *testing.T, test func(*testing.T, *network)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		n := &network{
			t: t, attempts: make(chan *attempt, 16), peers: make(map[string]*peer),
			accept: make(chan net.Conn), closed: make(chan struct{}),
		}
		server := &http.Server{Handler: n}
		go server.Serve(n)
		t.Cleanup(func() { server.Close() })
		test(t, n)
	})
}

// Accept, Close and Addr implement net.Listener.
func (n *network) Accept() (net.Conn, error) {
	select {
	case c := <-n.accept:
		return c, nil
	case <-n.closed:
		return nil, net.ErrClosed
	}
}

func (n *network) Close() error {
	n.closing.Do(func() { close(n.closed) })
	return nil
}

func (n *network) Addr() net.Addr { return &net.TCPAddr{} }

func (n *network) dial(ctx context.Context, _, address string) (net.Conn, error) {
	n.mu.Lock()
	n.dials++
	refuse, hang := n.refuse, n.hang
	n.mu.Unlock()
	if hang {
		<-ctx.Done()
	}
	if refuse {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
	ours, theirs := net.Pipe()
	select {
	case n.accept <- theirs:
		return ours, nil
	case <-ctx.Done():
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: ctx.Err()}
	case <-n.closed:
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED}
	}
}

func (n *network) setRefuse(refuse bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refuse = refuse
}

func (n *network) dialled() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dials
}

func (n *network) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Header.Get("m") {
	case "1", "2":
		n.mu.Lock()
		p := n.peers[r.Header.Get("c")]
		n.mu.Unlock()
		if p == nil {
			w.Header().Set("diffusion-connection", "reconnect")
			return
		}
		if r.Header.Get("m") == "1" {
			p.poll(w, r)
		} else {
			p.sent(w, r)
		}
		return
	}
	a := &attempt{network: n, r: r, w: w, done: make(chan struct{})}
	n.attempts <- a
	select {
	case <-a.done:
	case <-r.Context().Done():
	}
}

// next returns the next connect request.
func (n *network) next() *attempt {
	n.t.Helper()
	select {
	case a := <-n.attempts:
		return a
	case <-time.After(time.Hour):
		n.t.Fatal("no connect request came")
		return nil
	}
}

// An attempt is a connect request that waits for an answer.
type attempt struct {
	network *network
	r       *http.Request
	w       http.ResponseWriter
	done    chan struct{}
}

func (a *attempt) webSocket() bool { return a.r.Header.Get("Upgrade") != "" }

func (a *attempt) param(name string) string {
	v, _ := wire.NewParameters(a.r.URL.RawQuery, a.r.Header).Get(name)
	return v
}

// status answers with an HTTP status.
func (a *attempt) status(code int) {
	a.w.WriteHeader(code)
	close(a.done)
}

// raw answers with bytes in place of the connection response, or with none.
func (a *attempt) raw(response []byte) *peer {
	a.network.t.Helper()
	p := &peer{attempt: a, in: make(chan []byte, 1000), gone: make(chan struct{})}
	if !a.webSocket() {
		if response != nil {
			a.w.Write(response)
			close(a.done)
		}
		return p
	}
	nc, rw, _, err := ws.UpgradeHTTP(a.r, a.w)
	if err != nil {
		a.network.t.Fatal(err)
	}
	p.nc = nc
	close(a.done)
	go p.read(rw)
	if response != nil {
		p.frame(ws.NewBinaryFrame(response))
	}
	return p
}

const fakeToken = "8j/qMkxT8Iw2dwqeFA9gEzpA"

// response is a good connection response.
func response(code wire.ResponseCode) wire.ConnectResponse {
	return wire.ConnectResponse{
		Version: wire.Version, Code: code, SessionID: wire.SessionID{Server: 1, Value: 2},
		Token: fakeToken, NextClient: 1, MaxMessageSize: 1 << 20,
	}
}

// respond answers with a connection response.
func (a *attempt) respond(res wire.ConnectResponse) *peer {
	a.network.t.Helper()
	p := &peer{attempt: a}
	if !a.webSocket() && res.Code.Success() {
		*p = peer{attempt: a, in: make(chan []byte, 1000), gone: make(chan struct{}), out: make(chan []byte, 1000)}
		a.network.mu.Lock()
		a.network.peers[res.Token] = p
		a.network.mu.Unlock()
		a.w.Write(wire.AppendConnectResponse(nil, res))
		close(a.done)
		return p
	}
	return a.raw(wire.AppendConnectResponse(nil, res))
}

func (a *attempt) code(code wire.ResponseCode) *peer { return a.respond(response(code)) }

// A peer is the server's end of an accepted connection.
type peer struct {
	*attempt
	in   chan []byte // messages from the client
	gone chan struct{}
	nc   net.Conn // WebSocket

	out     chan []byte // polling: batches to be answered
	end     sync.Once
	polls   []string      // headers s, guarded by network.mu
	headers []string      // of sends
	hold    chan struct{} // if not nil, sends are answered when it is closed; guarded by network.mu
}

func (p *peer) read(r io.Reader) {
	defer close(p.gone)
	for {
		h, payload, err := readFrame(r)
		if err != nil {
			return
		}
		if !h.Masked {
			p.network.t.Error("unmasked frame from the client")
		}
		switch h.OpCode {
		case ws.OpBinary:
			p.in <- payload
		case ws.OpPong:
			p.in <- append([]byte("pong "), payload...)
		}
	}
}

// readFrame reads a frame of a client that can be trusted with its length.
func readFrame(r io.Reader) (ws.Header, []byte, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return h, nil, err
	}
	payload := make([]byte, h.Length)
	_, err = io.ReadFull(r, payload)
	ws.Cipher(payload, h.Mask, 0)
	return h, payload, err
}

func (p *peer) frame(f ws.Frame) {
	p.network.t.Helper()
	if err := ws.WriteFrame(p.nc, f); err != nil && !errors.Is(err, io.ErrClosedPipe) {
		p.network.t.Errorf("write to the client: %v", err)
	}
}

// send sends messages to the client.
func (p *peer) send(messages ...[]byte) {
	p.network.t.Helper()
	if p.nc == nil {
		var batch []byte
		for _, m := range messages {
			batch = wire.AppendBatchEntry(batch, m)
		}
		p.out <- []byte(wire.EncodeBatch(batch))
		return
	}
	for _, m := range messages {
		p.frame(ws.NewBinaryFrame(m))
	}
}

// receive returns the next message of the client.
func (p *peer) receive() wire.Message {
	p.network.t.Helper()
	select {
	case b := <-p.in:
		m, err := wire.ParseMessage(b)
		if err != nil {
			p.network.t.Fatalf("client sent %x: %v", b, err)
		}
		return m
	case <-time.After(time.Hour):
		p.network.t.Fatal("no message came from the client")
		return wire.Message{}
	}
}

// nothing checks that the client has sent nothing more.
func (p *peer) nothing() {
	p.network.t.Helper()
	synctest.Wait()
	select {
	case b := <-p.in:
		p.network.t.Errorf("client sent %x", b)
	default:
	}
}

// cut ends the connection without a word.
func (p *peer) cut() {
	p.end.Do(func() {
		if p.nc != nil {
			p.nc.Close()
			return
		}
		p.network.mu.Lock()
		if p.network.peers[fakeToken] == p {
			delete(p.network.peers, fakeToken)
		}
		p.network.mu.Unlock()
		close(p.gone)
	})
}

func (p *peer) poll(w http.ResponseWriter, r *http.Request) {
	p.network.mu.Lock()
	p.polls = append(p.polls, r.Header.Get("s"))
	p.network.mu.Unlock()
	select {
	case text := <-p.out:
		w.Write(text)
	case <-p.gone:
		w.Header().Set("diffusion-connection", "reconnect")
	case <-r.Context().Done():
	}
}

func (p *peer) sent(w http.ResponseWriter, r *http.Request) {
	text, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	batch, err := wire.DecodeBatch(text)
	if err != nil {
		p.network.t.Error(err)
	}
	p.network.mu.Lock()
	p.headers = append(p.headers, r.Header.Get("s"))
	hold := p.hold
	p.network.mu.Unlock()
	if hold != nil {
		<-hold
	}
	for m, err := range wire.Batch(batch) {
		if err != nil {
			p.network.t.Error(err)
		}
		p.in <- m
	}
}

// bye takes the client's close request and ends the session as servers do.
func (p *peer) bye() {
	p.network.t.Helper()
	if m := p.receive(); m.Type != wire.TypeCloseRequest {
		p.network.t.Errorf("client sent %s, want CLOSE_REQUEST", m.Type)
	}
	p.abort()
}

func (p *peer) abort() {
	p.send([]byte{byte(wire.TypeAbort)})
	if p.nc != nil {
		p.cut()
	}
}

// both are the transports that each test of sessions is run with.
var both = []Transport{WebSocket, HTTPPolling}

// opening starts to open a session on the network.
func (n *network) opening(opts ...Option) *Opening {
	return OpenAsync("", append([]Option{WithHost("example.test"), WithPort(8080), WithDialer(n.dial), WithHTTPProxy(nil)}, opts...)...)
}

// open opens a session, which the test closes.
func (n *network) open(opts ...Option) (*Session, *peer) {
	n.t.Helper()
	return n.openWith(response(wire.OK), opts...)
}

func (n *network) openWith(res wire.ConnectResponse, opts ...Option) (*Session, *peer) {
	n.t.Helper()
	o := n.opening(opts...)
	p := n.next().respond(res)
	s, err := o.Await(context.Background())
	if err != nil {
		n.t.Fatal(err)
	}
	return s, p
}

// closeSession closes a session whose peer says good-bye.
func (n *network) closeSession(s *Session, p *peer) {
	n.t.Helper()
	synctest.Wait() // a session that is still reconnecting would not tell its peer
	done := make(chan struct{})
	go func() {
		s.Close()
		close(done)
	}()
	p.bye()
	<-done
	p.cut()
}

// states records state changes as "A>B".
type states struct {
	mu  sync.Mutex
	log []string
}

func (l *states) listen(_ *Session, old, new State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log = append(l.log, old.String()+">"+new.String())
}

func (l *states) String() string {
	synctest.Wait()
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Join(l.log, " ")
}
