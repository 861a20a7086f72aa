package server

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"advect.dev/internal/transport"
)

// routes sends the protocol's paths to the transports and answers the rest.
func (s *Server) routes(protocol http.Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if !s.accepting.Load() {
			http.Error(w, "closing", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	if s.cfg.Metrics != MetricsOff {
		mux.Handle("GET /metrics", s.metrics())
	}
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "This is an Advect server. SDKs connect to the path /diffusion of this address.")
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if transport.Serves(r.URL.Path) {
			// A rejection would be final for clients, and this is not (01 section 6.2).
			if opens(r) && s.engine.Refuses() {
				w.Header().Set("Access-Control-Allow-Origin", "*")
				w.Header().Set("Retry-After", "1")
				http.Error(w, "no memory for another session; try again", http.StatusServiceUnavailable)
				return
			}
			protocol.ServeHTTP(w, r)
			return
		}
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(s.cfg.HandshakeTimeout)) // of a body
		mux.ServeHTTP(w, r)
	})
}

// opens reports whether a request of the protocol is for a new session, not for one
// that goes on.
func opens(r *http.Request) bool {
	if r.Method == http.MethodGet {
		return !r.URL.Query().Has("c")
	}
	return r.Method == http.MethodPost && r.Header.Get("m") == "0" && r.Header.Get("c") == ""
}

// metrics serves the metrics to Prometheus, unless the setting allows only programs
// on this machine and the request is from elsewhere, or may be: forwarded by a proxy,
// or sent by a browser that was told that a name of the web is this machine.
func (s *Server) metrics() http.Handler {
	h := s.engine.Metrics().Handler(s.log)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.cfg.Metrics == MetricsLocal && !local(r) {
			http.Error(w, "metrics are for programs on the server's machine, at http://localhost or 127.0.0.1; "+
				"the setting metrics: all gives them to whoever can connect", http.StatusForbidden)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// local reports whether a request was certainly made on this machine.
func local(r *http.Request) bool {
	for _, header := range []string{"Forwarded", "X-Forwarded-For", "X-Real-Ip", "Via", "Origin"} {
		if r.Header.Get(header) != "" {
			return false
		}
	}
	host := r.Host
	if _, _, err := net.SplitHostPort(host); err != nil {
		host = net.JoinHostPort(strings.Trim(host, "[]"), "80")
	}
	return loopback(r.RemoteAddr) && loopback(host)
}

// handshakes bounds the connections of an HTTP server on which no request has
// arrived yet.
type handshakes struct {
	openings *transport.Openings

	mu      sync.Mutex
	pending map[net.Conn]struct{}
}

func newHandshakes(o *transport.Openings) *handshakes {
	return &handshakes{openings: o, pending: make(map[net.Conn]struct{})}
}

// state is called by the HTTP server when a connection changes state.
func (h *handshakes) state(c net.Conn, state http.ConnState) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, pending := h.pending[c]; pending && state != http.StateNew {
		delete(h.pending, c)
		h.openings.Leave()
	}
	if state != http.StateNew {
		return
	}
	if !h.openings.Counts(c) && !h.openings.Enter() {
		cut(c)
		return
	}
	h.pending[c] = struct{}{}
}

// close closes the connections on which no request has arrived.
func (h *handshakes) close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c := range h.pending {
		cut(c)
	}
}

// cut closes a connection, one with TLS without the goodbye, which can block.
func cut(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}
