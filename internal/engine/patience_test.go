package engine

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestPatience(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPatience(t.Context(), time.Second)
		if p.Err() != nil || p.limited.Load() != nil {
			t.Errorf("at once: %v, limited %v", p.Err(), p.limited.Load())
		}
		start := time.Now()
		child, cancel := context.WithTimeout(p, time.Minute)
		defer cancel()
		<-child.Done()
		if waited := time.Since(start); waited != time.Second || !errors.Is(context.Cause(child), context.DeadlineExceeded) || !errors.Is(p.Err(), context.DeadlineExceeded) {
			t.Errorf("after %v: %v, %v", waited, context.Cause(child), p.Err())
		}
		p.end()

		late := newPatience(t.Context(), -time.Second)
		if !errors.Is(late.Err(), context.DeadlineExceeded) || !errors.Is(context.Cause(late), context.DeadlineExceeded) {
			t.Errorf("when it is over: %v, %v", late.Err(), context.Cause(late))
		}

		parent, stop := context.WithCancelCause(t.Context())
		of := newPatience(parent, time.Second)
		gone := errors.New("gone")
		stop(gone)
		if !errors.Is(of.Err(), context.Canceled) || context.Cause(of) != gone {
			t.Errorf("when the parent ends: %v, %v", of.Err(), context.Cause(of))
		}
		<-of.Done()
		of.end()

		ended := newPatience(t.Context(), time.Second)
		done := ended.Done()
		ended.end()
		<-done
	})
}
