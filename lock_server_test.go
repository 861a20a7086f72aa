package advect_test

import (
	"context"
	"errors"
	"net/url"
	"strings"
	"sync"
	"testing"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// TestLocksBetweenSessions is with the real server: one session at a time.
func TestLocksBetweenSessions(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	const sessions, rounds = 4, 25
	holders, last := 0, int64(-1) // guarded by the lock under test
	var all sync.WaitGroup
	for range sessions {
		session := open(t, url, "control")
		all.Go(func() {
			for range rounds {
				lock, err := session.Lock(ctx, "turn")
				if err != nil {
					t.Error(err)
					return
				}
				if holders++; holders != 1 || lock.Sequence() <= last {
					t.Errorf("%d holders, number %d after %d", holders, lock.Sequence(), last)
				}
				last = lock.Sequence()
				holders--
				if err := lock.Unlock(ctx); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
}

// TestLockHandover: who waits has the lock when its holder closes, and not if it
// has stopped waiting.
func TestLockHandover(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	first, second, third := open(t, url, "control"), open(t, url, "control"), open(t, url, "control")
	lock, err := first.Lock(ctx, "x", advect.UnlockOnConnectionLoss)
	if err != nil {
		t.Fatal(err)
	}
	impatient, cancel := context.WithCancel(ctx)
	gone := make(chan error)
	go func() {
		_, err := second.Lock(impatient, "x")
		gone <- err
	}()
	cancel()
	wantIs(t, "given up", <-gone, context.Canceled)
	next := make(chan *advect.Lock)
	go func() {
		l, err := third.Lock(ctx, "x")
		if err != nil {
			t.Error(err)
		}
		next <- l
	}()
	first.Close()
	<-lock.Done()
	if l := <-next; l == nil || l.Sequence() <= lock.Sequence() || !l.Owned() {
		t.Errorf("the next holder has %+v", l)
	}
	if _, err := open(t, url, "client").Lock(ctx, "x"); !errors.Is(err, advect.ErrPermissionDenied) {
		t.Errorf("without permission: %v", err)
	}
	if _, err := third.Lock(ctx, strings.Repeat("long", 1000)); !errors.Is(err, advect.ErrInvalidData) {
		t.Errorf("a long name: %v", err)
	}
}

// TestLockedUpdates: nothing is changed by who has not the lock any more.
func TestLockedUpdates(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	session := open(t, url, "control")
	topics := session.Topics()
	lock, err := session.Lock(ctx, "x")
	if err != nil {
		t.Fatal(err)
	}
	held := advect.If(advect.Locked(lock))
	if _, err := topics.AddAndSet(ctx, "t", advect.NewSpecification(advect.Int64), datatype.Int64(1), held); err != nil {
		t.Error(err)
	}
	stream, err := advect.NewUpdateStream[datatype.Int64](topics, "t", held)
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.Set(ctx, 2); err != nil {
		t.Error(err)
	}
	other := open(t, url, "control").Topics()
	wantIs(t, "with another number", other.Set(ctx, "t", datatype.Int64(9), advect.If(advect.LockedAt("x", lock.Sequence()+1))), advect.ErrUnsatisfiedConstraint)
	if err := lock.Unlock(ctx); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "after unlocking", topics.Set(ctx, "t", datatype.Int64(9), held), advect.ErrUnsatisfiedConstraint)
	wantIs(t, "update stream after unlocking", stream.Set(ctx, 9), advect.ErrInvalidUpdateStream)
	if _, err := session.Lock(ctx, "x"); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "of the acquisition before", topics.Set(ctx, "t", datatype.Int64(9), held), advect.ErrUnsatisfiedConstraint)
	if value, err := topics.Fetch(ctx, "t"); err != nil || value != datatype.Int64(2) {
		t.Errorf("value %v, %v", value, err)
	}
}

// TestLocksUnderCuts cuts connections while sessions take turns: nobody has an
// acquisition of another, and in the end nobody has the lock.
func TestLocksUnderCuts(t *testing.T) {
	ctx, srv := soon(t), advecttest.Server(t)
	through, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	cutter := newCutter(t, through.Host, 1500, 4000)
	through.Host = cutter.Addr().String()
	const sessions, rounds = 3, 300
	var mu sync.Mutex
	acquired := map[int64]bool{} // by sequence; guarded by mu
	var all sync.WaitGroup
	for n := range sessions {
		session, err := advect.Open(ctx, through.String(), advect.WithPrincipal("control"), advect.WithPassword("password"),
			advect.WithReconnectStrategy(advect.FixedDelay(0)))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		scope := advect.LockScope(n % 2)
		all.Go(func() {
			for done := 0; done < rounds; {
				lock, err := session.Lock(ctx, "turn", scope)
				if err != nil {
					if ctx.Err() != nil || session.Err() != nil {
						t.Errorf("%v, session %v", err, session.Err())
						return
					}
					continue // not connected for the moment
				}
				mu.Lock()
				if acquired[lock.Sequence()] {
					t.Errorf("number %d is acquired twice", lock.Sequence())
				}
				acquired[lock.Sequence()] = true
				mu.Unlock()
				for lock.Owned() {
					if err := lock.Unlock(ctx); err != nil && ctx.Err() != nil {
						t.Error(err)
						return
					}
				}
				done++
			}
		})
	}
	all.Wait()
	if _, err := open(t, srv.URL(), "control").Lock(ctx, "turn"); err != nil {
		t.Errorf("the lock that everybody has left: %v", err)
	}
	if len(cutter.cuts) < 5 {
		t.Errorf("only %d connections were cut", len(cutter.cuts))
	}
}

// TestLockHolders asks who holds locks.
func TestLockHolders(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, control := open(t, url, "admin"), open(t, url, "control")
	if _, held, err := admin.Clients().LockHolder(ctx, "a"); held || err != nil {
		t.Errorf("a free lock: %v, %v", held, err)
	}
	lock, err := control.Lock(ctx, "a")
	if err != nil {
		t.Fatal(err)
	}
	holder, held, err := admin.Clients().LockHolder(ctx, "a")
	if err != nil || !held || holder.Session != control.ID() || holder.Sequence != lock.Sequence() || holder.Server == "" {
		t.Errorf("holder %+v, %v, %v", holder, held, err)
	}
	if all, err := admin.Clients().LockHolders(ctx); err != nil || len(all) != 1 || all["a"] != holder {
		t.Errorf("holders %v, %v", all, err)
	}
	if _, err := control.Clients().LockHolders(ctx); !errors.Is(err, advect.ErrPermissionDenied) {
		t.Errorf("without VIEW_SERVER: %v", err)
	}
}
