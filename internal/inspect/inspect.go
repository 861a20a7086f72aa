package inspect

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config says what to inspect.
type Config struct {
	Listen  string    // HOST:PORT for clients
	To      string    // URL of the server: ws, wss, http or https and HOST:PORT
	Control string    // HOST:PORT of the control server; "": none
	Out     io.Writer // where lines go; nil: nowhere
	JSON    bool      // lines of JSON
	Raw     bool      // with each message's bytes in hexadecimal
	Seed    uint64    // of random cuts; 0: any
}

// An Inspector is a running proxy.
type Inspector struct {
	cfg      Config
	target   *url.URL // http or https
	listener net.Listener
	control  net.Listener
	log      *printer
	faults   faults
	sessions sessions
	forward  *http.Transport
	pass     *httputil.ReverseProxy

	mu    sync.Mutex
	next  int
	conns map[*conn]struct{}
	rnd   *rand.Rand // guarded by mu
	wg    sync.WaitGroup
}

// New opens the listeners of an inspector. Run serves them.
func New(cfg Config) (*Inspector, error) {
	target, err := parseTarget(cfg.To)
	if err != nil {
		return nil, err
	}
	i := &Inspector{
		cfg: cfg, target: target,
		log:      newPrinter(cfg.Out, cfg.JSON, cfg.Raw),
		sessions: sessions{byToken: make(map[string]*session)},
		forward:  &http.Transport{MaxIdleConnsPerHost: 64, DisableCompression: true},
		conns:    make(map[*conn]struct{}),
	}
	seed := cfg.Seed
	if seed == 0 {
		seed = rand.Uint64()
	}
	i.rnd = rand.New(rand.NewPCG(seed, 0))
	i.pass = &httputil.ReverseProxy{
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target) },
		Transport: i.forward,
		ErrorLog:  slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	if i.listener, err = net.Listen("tcp", cfg.Listen); err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if cfg.Control != "" {
		if i.control, err = net.Listen("tcp", cfg.Control); err != nil {
			_ = i.listener.Close()
			return nil, fmt.Errorf("listen for control: %w", err)
		}
	}
	return i, nil
}

func parseTarget(to string) (*url.URL, error) {
	if !strings.Contains(to, "://") {
		to = "ws://" + to
	}
	u, err := url.Parse(to)
	if err != nil {
		return nil, fmt.Errorf("target: %w", err)
	}
	schemes := map[string]string{"ws": "http", "http": "http", "xhr": "http", "wss": "https", "https": "https", "xhrs": "https"}
	scheme, ok := schemes[u.Scheme]
	if !ok || u.Host == "" {
		return nil, fmt.Errorf("target %q: use ws://HOST:PORT or wss://HOST:PORT", to)
	}
	return &url.URL{Scheme: scheme, Host: u.Host}, nil
}

// Addr returns the address for clients.
func (i *Inspector) Addr() string { return i.listener.Addr().String() }

// ControlAddr returns the address of the control server, or "".
func (i *Inspector) ControlAddr() string {
	if i.control == nil {
		return ""
	}
	return i.control.Addr().String()
}

// Run serves until ctx is done, then drops all connections and returns nil.
func (i *Inspector) Run(ctx context.Context) error {
	servers := []*http.Server{{Handler: http.HandlerFunc(i.serve), ReadHeaderTimeout: 30 * time.Second, ErrorLog: i.pass.ErrorLog}}
	listeners := []net.Listener{i.listener}
	if i.control != nil {
		servers = append(servers, &http.Server{Handler: i.controls(), ReadHeaderTimeout: 30 * time.Second, ErrorLog: i.pass.ErrorLog})
		listeners = append(listeners, i.control)
	}
	failed := make(chan error, len(servers))
	for n, s := range servers {
		i.wg.Go(func() {
			if err := s.Serve(listeners[n]); !errors.Is(err, http.ErrServerClosed) {
				failed <- err
			}
		})
	}
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
	}
	i.faults.stopCuts()
	i.cut("", "reset")
	for _, s := range servers {
		_ = s.Close()
	}
	i.cut("", "reset")
	i.forward.CloseIdleConnections()
	i.wg.Wait()
	return err
}

func (i *Inspector) serve(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
		i.webSocket(w, r)
	case r.Method == http.MethodPost && r.Header.Get("m") != "":
		i.polling(w, r)
	default:
		i.log.print(event{Kind: "http", Note: r.Method + " " + r.URL.Path})
		i.pass.ServeHTTP(w, r)
	}
}

// A conn is one connection of a client: a WebSocket, or the requests of a
// polling client from its connect on.
type conn struct {
	id        int
	transport string
	timer     *time.Timer // of a random cut

	mu      sync.Mutex
	isCut   bool
	drop    map[*func(mode string)]struct{} // drop what is open
	session *session
}

const (
	overWebSocket = "websocket"
	overPolling   = "polling"
)

// open registers a connection, to be cut at random if that is on.
func (i *Inspector) open(transport string) *conn {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.next++
	c := &conn{id: i.next, transport: transport, drop: make(map[*func(string)]struct{})}
	i.conns[c] = struct{}{}
	if after, ok := i.faults.cutAfter(i.rnd); ok {
		c.timer = time.AfterFunc(after, func() { i.cutOne(c, "reset") })
	}
	return c
}

func (i *Inspector) closed(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	delete(i.conns, c)
	if c.timer != nil {
		c.timer.Stop()
	}
}

// onCut has drop called when the connection is cut, at once if it is already,
// until the returned function is called.
func (c *conn) onCut(drop func(mode string)) (remove func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.isCut {
		go drop("reset")
		return func() {}
	}
	key := &drop
	c.drop[key] = struct{}{}
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.drop, key)
	}
}

// cut drops the connections of a transport, "" for all, and says how many.
func (i *Inspector) cut(transport, mode string) int {
	i.mu.Lock()
	var all []*conn
	for c := range i.conns {
		if transport == "" || transport == c.transport {
			all = append(all, c)
		}
	}
	i.mu.Unlock()
	for _, c := range all {
		i.cutOne(c, mode)
	}
	return len(all)
}

func (i *Inspector) cutOne(c *conn, mode string) {
	c.mu.Lock()
	if c.isCut {
		c.mu.Unlock()
		return
	}
	c.isCut = true
	drops := c.drop
	c.drop = nil
	s := c.session
	c.mu.Unlock()
	i.log.print(event{Conn: c.id, Transport: c.transport, Kind: "cut", Note: mode})
	if s != nil {
		s.count(func(st *sessionStats) { st.Cuts++ })
	}
	for drop := range drops {
		(*drop)(mode)
	}
}

// reset closes a TCP connection with a reset.
func reset(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = nc.Close()
}
