package transport

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"advect.dev/internal/engine"
	"advect.dev/internal/security"
	"advect.dev/internal/wire"
)

// Config is what the transports need. All fields are required but those that say
// otherwise.
type Config struct {
	Engine           *engine.Engine
	Log              *slog.Logger
	Connector        string // name of the listener, as sessions see it
	Accepting        func() bool
	HandshakeTimeout time.Duration // bounds the body of a request
	MaxMessageSize   int           // bytes
	Openings         *Openings     // connections of fronts on which no request has come
	PollHold         time.Duration // how long a poll without messages is held
	PollTimeout      time.Duration // without a poll for so long, the client is lost
	// Admit reports whether a polling client at an address may open a session with a
	// request. nil admits all.
	Admit func(*http.Request, netip.Addr) bool
}

// A Handler serves both transports over HTTP.
type Handler struct {
	cfg     Config
	polling *polling
	fronts  []*front
	conns   sync.WaitGroup // WebSocket connections, and those of fronts
}

// New returns a handler, to be closed.
func New(cfg Config) *Handler { return &Handler{cfg: cfg, polling: newPolling(cfg)} }

// Close returns when the handler's goroutines have ended. WebSocket connections
// end soon after their sessions, so those must have been closed, and the listeners
// of Front too.
func (h *Handler) Close() {
	h.polling.close()
	h.conns.Wait()
	for _, f := range h.fronts {
		f.poller.close()
	}
}

// Serves reports whether a request path is one of the protocol's: any that ends
// in the segment "diffusion" (01 section 1).
func Serves(urlPath string) bool { return path.Base(urlPath) == "diffusion" }

// ServeHTTP tells the transports apart by method and headers.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		if !h.cfg.Accepting() {
			http.Error(w, "the server is starting or closing; try again", http.StatusServiceUnavailable)
			return
		}
		h.upgrade(w, r)
		return
	}
	// A body must come in time, also one that nobody asked for.
	_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(h.cfg.HandshakeTimeout))
	allowOrigin(w.Header())
	switch r.Method {
	case http.MethodOptions:
		w.WriteHeader(http.StatusNoContent)
	case http.MethodPost:
		h.polling.serve(w, r)
	case http.MethodGet:
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "this path speaks WebSocket (GET with Upgrade) and HTTP polling (POST)", http.StatusUpgradeRequired)
	default:
		w.Header().Set("Allow", "GET, POST, OPTIONS")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
	}
}

// allowOrigin sets the headers that browsers ask for (01 section 8.5).
func allowOrigin(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Methods", "POST, GET, OPTIONS")
	h.Set("Access-Control-Allow-Headers", "m, ty, ca, r, v, c, cs, ss, sp, s, username, password, content-type")
	h.Set("Access-Control-Expose-Headers", "diffusion-connection")
	h.Set("Access-Control-Max-Age", "86400")
	h.Set("Cache-Control", "no-store")
}

// A request asks for a connection.
type request struct {
	wire.ConnectRequest
	rejection   error // what is wrong with it
	ctx         context.Context
	address     netip.Addr
	certificate security.Certificate
}

func newRequest(ctx context.Context, rawQuery string, header http.Header, address netip.Addr, c security.Certificate) *request {
	r := &request{ctx: ctx, address: address, certificate: c}
	r.ConnectRequest, r.rejection = wire.ParseConnectRequest(wire.NewParameters(rawQuery, header))
	return r
}

// ofHTTP returns what an HTTP request asks for.
func ofHTTP(r *http.Request) *request {
	return newRequest(r.Context(), r.URL.RawQuery, r.Header, address(r), certificate(r))
}

// quick reports whether connect will return at once.
func (r *request) quick(e *engine.Engine) bool {
	return r.rejection != nil || e.Quick(r.ConnectRequest)
}

// connect hands a request to the engine and returns the connection response as
// bytes; the session is nil if it is a rejection.
func (h *Config) connect(r *request, kind engine.TransportKind, conn engine.Conn) ([]byte, *engine.Session) {
	var res wire.ConnectResponse
	var s *engine.Session
	if rejection, ok := r.rejection.(*wire.Rejection); ok {
		h.Log.Debug("connection rejected", "code", rejection.Code, "reason", rejection.Reason, "address", r.address)
		res = engine.Reject(rejection)
	} else {
		peer := engine.Peer{Addr: r.address, Transport: kind, Connector: h.Connector, Certificate: r.certificate}
		res, s = h.Engine.Connect(r.ctx, r.ConnectRequest, peer, conn)
	}
	return wire.AppendConnectResponse(nil, res), s
}

// certificate returns what a client has proved by a certificate that a listener
// has verified. Browsers present the certificate of their user for any page: one
// of another origin proves nothing by it.
func certificate(r *http.Request) security.Certificate {
	if r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || ofAnotherOrigin(r) {
		return security.Certificate{}
	}
	return security.CertificateOf(r.TLS.VerifiedChains[0][0])
}

// ofAnotherOrigin reports whether a request comes from a page that another host or
// port has served. Programs that are no browser do not say where they come from.
func ofAnotherOrigin(r *http.Request) bool {
	origin := r.Header.Get("Origin")
	if origin == "" {
		return false
	}
	u, err := url.Parse(origin)
	return err != nil || !strings.EqualFold(u.Host, r.Host)
}

func address(r *http.Request) netip.Addr {
	ap, _ := netip.ParseAddrPort(r.RemoteAddr)
	return ap.Addr().Unmap()
}
