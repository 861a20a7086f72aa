package engine

import (
	"context"
	"sync/atomic"
	"time"
)

// A patience is a context with a time limit that costs nothing until somebody waits:
// most sessions are admitted by authenticators that need not. end is called when it
// is not used any more.
type patience struct {
	context.Context // that it is made of
	until           time.Time
	limited         atomic.Pointer[limited] // once somebody has waited
}

type limited struct {
	context.Context
	cancel context.CancelFunc
}

func newPatience(ctx context.Context, limit time.Duration) *patience {
	return &patience{Context: ctx, until: time.Now().Add(limit)}
}

func (p *patience) limit() *limited {
	if l := p.limited.Load(); l != nil {
		return l
	}
	ctx, cancel := context.WithDeadline(p.Context, p.until)
	if l := (&limited{ctx, cancel}); p.limited.CompareAndSwap(nil, l) {
		return l
	}
	cancel()
	return p.limited.Load()
}

func (p *patience) end() {
	if l := p.limited.Load(); l != nil {
		l.cancel()
	}
}

// Deadline implements [context.Context].
func (p *patience) Deadline() (time.Time, bool) { return p.limit().Deadline() }

// Done implements [context.Context].
func (p *patience) Done() <-chan struct{} { return p.limit().Done() }

// Err implements [context.Context].
func (p *patience) Err() error {
	if p.limited.Load() == nil && time.Now().Before(p.until) {
		return p.Context.Err()
	}
	return p.limit().Err()
}

// Value implements [context.Context].
func (p *patience) Value(key any) any {
	if l := p.limited.Load(); l != nil {
		return l.Value(key)
	}
	return p.Context.Value(key)
}
