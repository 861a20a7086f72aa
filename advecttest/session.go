package advecttest

import (
	"testing"
	"time"

	"advect.dev"
	"advect.dev/internal/security"
	"advect.dev/server"
)

// connectTimeout bounds opening; it is reached only when something is wrong.
const connectTimeout = 10 * time.Second

// Session opens a session as the principal "control", which may add, update and
// remove topics, and closes it when the test ends. Options come after those of
// the principal, so they may name another one. It fails the test if the session
// does not open.
func Session(t testing.TB, srv *server.Server, opts ...advect.Option) *advect.Session {
	t.Helper()
	control := []advect.Option{advect.WithPrincipal("control"), advect.WithPassword(security.StockPassword)}
	return open(t, srv, append(control, opts...))
}

// Anonymous is [Session] without a principal. It may read topics.
func Anonymous(t testing.TB, srv *server.Server, opts ...advect.Option) *advect.Session {
	t.Helper()
	return open(t, srv, opts)
}

func open(t testing.TB, srv *server.Server, opts []advect.Option) *advect.Session {
	t.Helper()
	opts = append([]advect.Option{advect.WithConnectionTimeout(connectTimeout)}, opts...)
	session, err := advect.Open(t.Context(), srv.URL(), opts...)
	if err != nil {
		t.Fatalf("open session with test server: %v", err)
	}
	t.Cleanup(func() { _ = session.Close() }) // the test may have closed it
	return session
}
