package advecttest

import (
	"log/slog"
	"testing"
	"time"

	"advect.dev/server"
)

// An Option alters the configuration of a [Server].
type Option func(*server.Config)

// WithLogger sends the server's log, which is otherwise discarded, to log.
func WithLogger(log *slog.Logger) Option {
	return func(cfg *server.Config) { cfg.Logger = log }
}

// Server starts a server and closes it when the test ends. The stock principals
// exist with their stock passwords, and anonymous sessions are allowed. It fails
// the test if the server does not start.
func Server(t testing.TB, opts ...Option) *server.Server {
	t.Helper()
	cfg := server.DefaultConfig()
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.DataDir = ""
	cfg.DrainTimeout = time.Second
	cfg.Logger = slog.New(slog.DiscardHandler)
	for _, o := range opts {
		o(&cfg)
	}
	srv, err := server.Start(cfg)
	if err != nil {
		t.Fatalf("start test server: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close test server: %v", err)
		}
	})
	return srv
}
