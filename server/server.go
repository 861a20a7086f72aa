package server

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"advect.dev/internal/engine"
	"advect.dev/internal/observe"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/transport"
)

// A Server is a running server. Its methods may be called concurrently.
type Server struct {
	cfg        Config
	log        *slog.Logger
	principals *security.Store
	policies   *security.PolicyStore
	fromFiles  []*fromFiles     // authenticators
	rates      *connectionRates // nil: no limit
	engine     *engine.Engine
	handlers   []*transport.Handler
	https      []*http.Server
	pending    []*handshakes
	urls       []string
	accepting  atomic.Bool
	stopping   chan struct{}
	serving    sync.WaitGroup
	close      sync.Once
}

// ErrStockPasswords is matched by the error of Start when a listener is beyond
// loopback while principals have stock passwords.
var ErrStockPasswords = errors.New("stock passwords are in force")

// Start starts a server and returns when its listeners accept connections.
func Start(cfg Config) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	entries := observe.NewLog(cfg.LogEntries)
	cfg.Logger = slog.New(entries.Handler(cfg.Logger.Handler()))
	s := &Server{cfg: cfg, log: cfg.Logger, stopping: make(chan struct{})}
	var err error
	if s.principals, err = security.OpenStore(cfg.DataDir); err != nil {
		return nil, fmt.Errorf("open principal store: %w", err)
	}
	if s.policies, err = security.OpenPolicyStore(cfg.DataDir); err != nil {
		return nil, fmt.Errorf("open security store: %w", err)
	}
	if err := s.checkExposure(); err != nil {
		return nil, err
	}
	before, after, err := s.authenticators()
	if err != nil {
		return nil, err
	}
	if cfg.ConnectionRate > 0 {
		s.rates = newConnectionRates(cfg.ConnectionRate)
	}
	listeners, err := s.listen()
	if err != nil {
		return nil, err
	}
	s.engine = engine.New(engine.Config{
		Principals: s.principals, Policies: s.policies, Log: s.log, Entries: entries,
		BeforeSystem: before, AfterSystem: after, Throttle: cfg.PasswordThrottle,
		ServerName: cfg.ServerName, PingPeriod: cfg.PingPeriod, KeepAlive: cfg.ReconnectKeepAlive,
		HandshakeTimeout: cfg.HandshakeTimeout, RequestTimeout: cfg.RequestTimeout,
		Queue: outbox.Limits{
			Messages: cfg.QueueMessages, Bytes: cfg.QueueBytes,
			RecoveryMessages: cfg.RecoveryMessages, RecoveryBytes: cfg.RecoveryBytes,
		},
		MaxMessageSize: cfg.MaxMessageSize, MaxResultSize: cfg.MaxFetchSize,
		MaxMemory: cfg.MaxMemory, MaxSessions: cfg.MaxSessions, MaxPerAddress: cfg.MaxSessionsPerAddress,
		MessageRate:     cfg.MessageRate,
		RemovalInterval: cfg.RemovalInterval,
	})
	if cfg.MaxMemory > 0 {
		s.log.Debug("memory is limited", "max-memory-mib", cfg.MaxMemory>>20)
	}
	s.accepting.Store(true)
	s.serving.Add(1)
	go s.watchStores()
	for i, l := range listeners {
		if err := s.serve(l); err != nil {
			for _, l := range listeners[i:] {
				_ = l.Close()
			}
			_ = s.Close()
			return nil, err
		}
	}
	return s, nil
}

// watchStores picks up what others change in the files of the security stores, such
// as `advect passwd`, and of authenticators, while the server runs.
func (s *Server) watchStores() {
	defer s.serving.Done()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-s.stopping:
			return
		case <-ticker.C:
		}
		if changed, err := s.principals.Reload(); err != nil {
			s.log.Warn("principals not reloaded; the old ones stay in force", "error", err)
		} else if changed {
			s.log.Info("principals reloaded", "file", s.principals.Path())
		}
		if changed, err := s.policies.Reload(); err != nil {
			s.log.Warn("roles not reloaded; the old ones stay in force", "error", err)
		} else if changed {
			s.log.Info("roles reloaded", "file", s.policies.Path())
		}
		for _, f := range s.fromFiles {
			f.reload(s.log)
		}
	}
}

// checkExposure refuses to listen where others can connect while passwords are
// known to everybody.
func (s *Server) checkExposure() error {
	var stock []string
	for _, address := range append(s.cfg.Listen[:len(s.cfg.Listen):len(s.cfg.Listen)], s.cfg.TLSListen) {
		if address == "" || loopback(address) || s.cfg.AllowStockPasswords {
			continue
		}
		if stock == nil {
			stock = s.principals.StockPasswords()
		}
		if len(stock) > 0 {
			return fmt.Errorf("%w: %s still have the password that everybody knows, so %s is not opened beyond loopback. "+
				"Change each with `advect passwd PRINCIPAL`, or pass --allow-stock-passwords on a closed test network",
				ErrStockPasswords, strings.Join(stock, ", "), address)
		}
	}
	return nil
}

func loopback(address string) bool {
	host, _, _ := net.SplitHostPort(address)
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// A listener is an open port and what it is called.
type listener struct {
	net.Listener
	connector string
	scheme    string
}

// The names of the listeners, as sessions see them in $Connector.
const (
	plainConnector = "High Volume Connector"
	tlsConnector   = "TLS Connector"
)

func (s *Server) listen() (open []listener, err error) {
	defer func() {
		if err != nil {
			for _, l := range open {
				_ = l.Close()
			}
		}
	}()
	for _, address := range s.cfg.Listen {
		l, err := s.open(address)
		if err != nil {
			return open, err
		}
		open = append(open, listener{l, plainConnector, "ws"})
	}
	if s.cfg.TLSListen != "" {
		certificates, err := newCertificates(&s.cfg, s.log)
		if err != nil {
			return open, err
		}
		l, err := s.open(s.cfg.TLSListen)
		if err != nil {
			return open, err
		}
		open = append(open, listener{tls.NewListener(transport.Admitting(l, s.admit()), certificates.server()), tlsConnector, "wss"})
	}
	return open, nil
}

func (s *Server) open(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}

// admit returns what decides whether an address may make one more connection.
func (s *Server) admit() func(netip.Addr) bool {
	if s.rates == nil {
		return nil
	}
	return s.rates.allow
}

func (s *Server) serve(l listener) error {
	cfg := transport.Config{
		Engine: s.engine, Log: s.log, Connector: l.connector, Accepting: s.accepting.Load,
		HandshakeTimeout: s.cfg.HandshakeTimeout, Openings: transport.NewOpenings(s.cfg.MaxHandshakes), MaxMessageSize: s.cfg.MaxMessageSize,
		PollHold: s.cfg.PollHold, PollTimeout: s.cfg.PollTimeout,
	}
	if s.rates != nil {
		cfg.Admit = s.rates.admit
	}
	h := transport.New(cfg)
	front := l.Listener
	if l.connector == plainConnector {
		var err error
		if front, err = h.Front(l.Listener, s.admit()); err != nil {
			h.Close()
			return fmt.Errorf("listen: %w", err)
		}
	}
	pending := newHandshakes(cfg.Openings)
	web := &http.Server{
		Handler:           s.routes(h),
		ReadHeaderTimeout: s.cfg.HandshakeTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
		ConnState:         pending.state,
	}
	if s.rates != nil {
		web.ConnContext = s.rates.connected
	}
	s.handlers = append(s.handlers, h)
	s.https = append(s.https, web)
	s.pending = append(s.pending, pending)
	s.urls = append(s.urls, fmt.Sprintf("%s://%s/diffusion", l.scheme, front.Addr()))
	s.serving.Add(1)
	go func() {
		defer s.serving.Done()
		if err := web.Serve(front); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("listener failed", "address", front.Addr().String(), "error", err)
		}
	}()
	return nil
}

// URL returns where SDKs connect: that of the first listener.
func (s *Server) URL() string { return s.urls[0] }

// URLs returns the URLs of all listeners, plain ones first.
func (s *Server) URLs() []string { return append([]string(nil), s.urls...) }

// Principals returns the principals that may connect and whether each still has
// its stock password, by name.
func (s *Server) Principals() (names []string, stock map[string]bool) {
	stock = make(map[string]bool)
	for _, p := range s.principals.Principals() {
		names = append(names, p.Name)
		stock[p.Name] = p.StockPassword
	}
	return names, stock
}

// Sessions returns the number of sessions, connected or not.
func (s *Server) Sessions() int { return s.engine.Sessions() }

// Topics returns the number of topics.
func (s *Server) Topics() int { return s.engine.Topics() }

// Shutdown stops the server: it accepts no more connections, tells every session
// that it is over after what was queued for it, and returns when all are gone or
// ctx is done. It is idempotent.
func (s *Server) Shutdown(ctx context.Context) error {
	var err error
	s.close.Do(func() {
		s.accepting.Store(false)
		s.engine.Close()
		for _, p := range s.pending { // Shutdown would wait for them for 5 s
			p.close()
		}
		for _, web := range s.https {
			err = errors.Join(err, web.Shutdown(ctx))
			_ = web.Close()
		}
		for _, h := range s.handlers {
			h.Close()
		}
		close(s.stopping)
		s.serving.Wait()
		for _, f := range s.fromFiles {
			f.close()
		}
	})
	return err
}

// Close shuts the server down within its drain-timeout. It is idempotent.
func (s *Server) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), s.cfg.DrainTimeout)
	defer cancel()
	return s.Shutdown(ctx)
}
