package engine

import (
	"context"
	"log/slog"
	"net/netip"
	"strings"
	"sync"

	"golang.org/x/time/rate"

	"advect.dev/internal/wire"
)

// refusals logs why sessions are not authenticated: each refusal once, as a warning,
// but after the first few no more than one a second, so that somebody who guesses
// cannot fill the disk. The others are logged at debug level, and the next warning
// says how many they were.
type refusals struct {
	log   *slog.Logger
	limit *rate.Limiter

	mu       sync.Mutex
	unlogged int // guarded by mu
}

const (
	refusalsPerSecond  = 1
	refusalsAtOnce     = 10
	maxLoggedPrincipal = 64 // bytes: a client may put anything into its name
)

func newRefusals(log *slog.Logger) *refusals {
	return &refusals{log: log, limit: rate.NewLimiter(refusalsPerSecond, refusalsAtOnce)}
}

// refused takes note of a refusal. Neither the reason nor the error carries
// credentials: see [security.Decision] and [security.Authenticator].
func (r *refusals) refused(session wire.SessionID, principal string, address netip.Addr, reason string, err error) {
	r.warn("authentication refused", session, principal, address, slog.String("reason", reason), err)
}

// unanswered takes note of an authenticator that failed although the session was
// admitted.
func (r *refusals) unanswered(session wire.SessionID, principal string, address netip.Addr, err error) {
	r.warn("an authenticator has no answer", session, principal, address, slog.Attr{}, err)
}

func (r *refusals) warn(text string, session wire.SessionID, principal string, address netip.Addr, why slog.Attr, err error) {
	level, unlogged := slog.LevelWarn, 0
	r.mu.Lock()
	if r.limit.Allow() {
		unlogged, r.unlogged = r.unlogged, 0
	} else {
		level = slog.LevelDebug
		r.unlogged++
	}
	r.mu.Unlock()
	if len(principal) > maxLoggedPrincipal {
		principal = strings.ToValidUTF8(principal[:maxLoggedPrincipal], "") + "…"
	}
	args := []any{"principal", principal, "address", address, "session", session, why}
	if err != nil {
		args = append(args, "error", err)
	}
	if unlogged > 0 {
		args = append(args, "unlogged", unlogged)
	}
	r.log.Log(context.Background(), level, text, args...)
}
