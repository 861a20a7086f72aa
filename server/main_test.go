package server_test

import (
	"flag"
	"log/slog"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"advect.dev/server"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "16") // most tests wait most of the time
	goleak.VerifyTestMain(m)
}

// deadline bounds every wait for something that must happen. It is long because
// the machine may be busy.
const deadline = 30 * time.Second

// start returns a server of its own for a test. No system pings unless the test
// asks for them, so that conversations are what the test makes them.
func start(t testing.TB, change func(*server.Config)) *server.Server {
	t.Helper()
	cfg := server.DefaultConfig()
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.PingPeriod = 0
	cfg.ReconnectKeepAlive = time.Minute
	cfg.Logger = slog.New(slog.DiscardHandler)
	if os.Getenv("ADVECT_TEST_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if change != nil {
		change(&cfg)
	}
	srv, err := server.Start(cfg)
	if err != nil {
		t.Fatalf("start: %v", err)
	}
	t.Cleanup(func() {
		if err := srv.Close(); err != nil {
			t.Errorf("close server: %v", err)
		}
	})
	return srv
}

// await waits until a condition holds.
func await(t testing.TB, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(deadline); !condition(); <-tick.C {
		if time.Now().After(late) {
			t.Fatalf("%s: not in %v", what, deadline)
		}
	}
}

// awaitSessions waits until the server has n sessions, connected or not.
func awaitSessions(t testing.TB, srv *server.Server, n int) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for late := time.Now().Add(deadline); srv.Sessions() != n; <-tick.C {
		if time.Now().After(late) {
			t.Fatalf("the server has %d sessions, want %d", srv.Sessions(), n)
		}
	}
}

// untouched makes a connected session and returns a function that checks that
// nothing that happened since has touched it, or left anything behind.
func untouched(t *testing.T, srv *server.Server) func() {
	t.Helper()
	other := connect(t, srv, overWebSocket, anonymous())
	other.ping()
	before := goleak.IgnoreCurrent()
	return func() {
		t.Helper()
		other.ping()
		awaitSessions(t, srv, 1)
		// The HTTP server lingers for half a second with some connections.
		var left error
		for late := time.Now().Add(deadline); time.Now().Before(late); {
			if left = goleak.Find(before); left == nil {
				break
			}
		}
		if left != nil {
			t.Errorf("left behind: %v", left)
		}
		other.drop()
		awaitSessions(t, srv, 0)
	}
}

// raceEnabled says that the race detector is on.
var raceEnabled bool
