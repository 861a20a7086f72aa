package engine

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/wire"
)

// TestRefusalsAreRateLimited counts the warnings of a crowd that guesses, and what
// the last says of the others.
func TestRefusalsAreRateLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log bytes.Buffer
		r := newRefusals(slog.New(slog.NewTextHandler(&log, nil)))
		for range 100 {
			r.refused(wire.SessionID{}, strings.Repeat("é", 100), here.Addr, "wrong password", nil)
		}
		if n := strings.Count(log.String(), "\n"); n != refusalsAtOnce {
			t.Errorf("%d lines at once", n)
		}
		if !strings.Contains(log.String(), "principal="+strings.Repeat("é", 32)+"… ") {
			t.Errorf("a long principal is logged as\n%s", log.String())
		}
		log.Reset()
		time.Sleep(time.Second)
		r.unanswered(wire.SessionID{}, "x", here.Addr, wire.ErrMalformed)
		if !strings.Contains(log.String(), "unlogged=90") {
			t.Errorf("later: %s", log.String())
		}
	})
}

// TestPause checks that a session may send a second's worth of messages at once, and
// then no more than its rate, over all of its connections.
func TestPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const perSecond = 10
		e := newEngine(t, func(c *Config) { c.MessageRate = perSecond })
		s, _ := connect(t, e, "")
		other, _ := connect(t, e, "")
		began := time.Now()
		for i := range 5 * perSecond {
			if pause := s.Pause(); pause > time.Second {
				t.Fatalf("message %d: %v", i, pause)
			} else {
				time.Sleep(pause)
			}
		}
		if took := time.Since(began); took < 3900*time.Millisecond || took > 4100*time.Millisecond {
			t.Errorf("%d messages took %v", 5*perSecond, took)
		}
		if other.Pause() != 0 {
			t.Error("another session has to wait")
		}
		unlimited, _ := connect(t, newEngine(t, nil), "")
		for range 1000 {
			if unlimited.Pause() != 0 {
				t.Fatal("a pause without a limit")
			}
		}
	})
}
