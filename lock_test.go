package advect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A lockResult is how a call of Session.Lock ended.
type lockResult struct {
	lock *Lock
	err  error
}

// locking starts to acquire a lock and waits until that has been sent.
func locking(ctx context.Context, s *Session, name string, opts ...LockOption) <-chan lockResult {
	result := make(chan lockResult, 1)
	go func() {
		l, err := s.Lock(ctx, name, opts...)
		result <- lockResult{l, err}
	}()
	synctest.Wait()
	return result
}

// asked checks that the client asks for a lock, and returns the conversation.
func (p *peer) asked(want service.LockRequest) int64 {
	p.network.t.Helper()
	m := p.receive()
	got, err := service.AcquireSessionLock.ReadRequest(m.Body)
	if m.Service != service.AcquireSessionLock.ID || err != nil || got != want {
		p.network.t.Fatalf("client sent service %d, %+v, %v, want %+v", m.Service, got, err, want)
	}
	return m.Conversation
}

func (p *peer) grant(conversation int64, a service.Acquisition) {
	p.network.t.Helper()
	p.send(service.AcquireSessionLock.AppendResponse(nil, conversation, a))
	synctest.Wait()
}

// released checks that the client releases an acquisition, and answers it.
func (p *peer) released(name string, sequence int64) {
	p.network.t.Helper()
	m := p.receive()
	got, err := service.ReleaseSessionLock.ReadRequest(m.Body)
	if m.Service != service.ReleaseSessionLock.ID || err != nil || got.Lock != name || got.Sequence != sequence {
		p.network.t.Fatalf("client sent service %d, %+v, %v, want the release of %s %d", m.Service, got, err, name, sequence)
	}
	p.send(service.ReleaseSessionLock.AppendResponse(nil, m.Conversation, true))
	synctest.Wait()
}

func lockRequest(name string, id int64, scope LockScope) service.LockRequest {
	return service.LockRequest{LockCancellation: service.LockCancellation{Lock: name, Request: id}, Scope: service.LockScope(scope)}
}

// TestLock has two goroutines ask for one lock before any has it.
func TestLock(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport)
		ctx := context.Background()
		first, second := locking(ctx, s, "L1"), locking(ctx, s, "L1", UnlockOnConnectionLoss)
		conversations := []int64{p.asked(lockRequest("L1", 0, UnlockOnSessionLoss)), p.asked(lockRequest("L1", 1, UnlockOnConnectionLoss))}
		p.nothing()
		for _, c := range conversations {
			p.grant(c, service.Acquisition{Lock: "L1", Sequence: 5, Scope: service.UnlockOnConnectionLoss})
		}
		a, b := <-first, <-second
		if a.err != nil || a.lock != b.lock {
			t.Fatalf("%+v and %+v", a, b)
		}
		l := a.lock
		if got := fmt.Sprint(l.Name(), " number ", l.Sequence(), " ", l.Scope(), " ", l.Owned()); got != "L1 number 5 UNLOCK_ON_CONNECTION_LOSS true" {
			t.Error(got)
		}
		if again, err := s.Lock(ctx, "L1"); again != l || err != nil {
			t.Errorf("again: %v %v", again, err)
		}
		p.nothing()
		unlocked := make(chan error)
		go func() { unlocked <- l.Unlock(ctx) }()
		p.released("L1", 5)
		if err := <-unlocked; err != nil || l.Owned() {
			t.Errorf("unlocked: %v, owned %v", err, l.Owned())
		}
		<-l.Done()
		if err := l.Unlock(ctx); err != nil {
			t.Error(err)
		}
		p.nothing()
		n.closeSession(s, p)
	})
}

func TestLockRefused(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		result := locking(context.Background(), s, "bad")
		p.send(wire.AppendError(nil, p.asked(lockRequest("bad", 0, 0)), wire.ServiceError{Code: wire.CodeAccessDenied, Description: "Access denied"}))
		if r := <-result; r.lock != nil || !errors.Is(r.err, ErrPermissionDenied) || !strings.HasPrefix(r.err.Error(), "lock bad: ") {
			t.Errorf("%+v", r)
		}
		n.closeSession(s, p)
		if r := <-locking(context.Background(), s, "bad"); !errors.Is(r.err, ErrNotConnected) {
			t.Errorf("closed: %+v", r)
		}
	})
}

// TestLockWithdrawn ends the context of a call. The server may have assigned the
// lock meanwhile, and then nobody wants it, unless somebody else waits for it.
func TestLockWithdrawn(t *testing.T) {
	for _, c := range []struct{ granted, other bool }{{false, false}, {true, false}, {true, true}} {
		t.Run(fmt.Sprintf("%+v", c), func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				s, p := n.open()
				ctx, cancel := context.WithCancel(context.Background())
				result := locking(ctx, s, "x")
				conversation := p.asked(lockRequest("x", 0, 0))
				var other <-chan lockResult
				var otherConversation int64
				if c.other {
					other = locking(context.Background(), s, "x")
					otherConversation = p.asked(lockRequest("x", 1, 0))
				}
				cancel()
				if r := <-result; !errors.Is(r.err, context.Canceled) {
					t.Errorf("%+v", r)
				}
				m := p.receive()
				if got, err := service.CancelAcquireSessionLock.ReadRequest(m.Body); m.Service != 115 || err != nil || got != (service.LockCancellation{Lock: "x"}) {
					t.Fatalf("service %d, %+v, %v", m.Service, got, err)
				}
				if c.granted {
					p.grant(conversation, service.Acquisition{Lock: "x", Sequence: 7})
				}
				if c.other {
					p.grant(otherConversation, service.Acquisition{Lock: "x", Sequence: 7})
					if r := <-other; r.err != nil || !r.lock.Owned() {
						t.Errorf("the other: %+v", r)
					}
				} else if c.granted {
					p.released("x", 7)
				}
				p.send(service.CancelAcquireSessionLock.AppendResponse(nil, m.Conversation, service.Empty{}))
				p.nothing()
				if len(s.locks.calls)+len(s.locks.cancels) != 0 {
					t.Errorf("%d calls and %d cancellations are remembered", len(s.locks.calls), len(s.locks.cancels))
				}
				n.closeSession(s, p)
			})
		})
	}
}

// TestLockWithdrawnWhileDisconnected: the cancellation goes with what is sent
// again, else the session would get the lock one day, and keep it.
func TestLockWithdrawnWhileDisconnected(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport, atOnce)
		ctx, cancel := context.WithCancel(context.Background())
		result := locking(ctx, s, "x")
		conversation := p.asked(lockRequest("x", 0, 0))
		p.cut()
		a := n.next()
		cancel()
		if r := <-result; !errors.Is(r.err, context.Canceled) {
			t.Errorf("%+v", r)
		}
		p = a.respond(again(wire.Reconnected, 2))
		p.grant(conversation, service.Acquisition{Lock: "x", Sequence: 7})
		if m := p.receive(); m.Service != service.CancelAcquireSessionLock.ID {
			t.Errorf("client sent service %d", m.Service)
		}
		p.released("x", 7)
		n.closeSession(s, p)
	})
}

// TestLocksLost goes through the table of protocol 33 section 4.
func TestLocksLost(t *testing.T) {
	for _, c := range []struct {
		name                string
		code                wire.ResponseCode // of the reconnection
		session, connection bool              // scopes that are still owned afterwards
		pending             error
	}{
		{"reconnected", wire.Reconnected, true, false, nil},
		{"reconnected with loss", wire.ReconnectedWithLoss, false, false, ErrMessageLoss},
		{"refused", wire.UnknownSession, false, false, ErrHandshakeRejected},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				s, p := n.open(atOnce)
				ctx := context.Background()
				var locks []*Lock
				for i, scope := range []LockScope{UnlockOnSessionLoss, UnlockOnConnectionLoss} {
					name := fmt.Sprint("l", i)
					result := locking(ctx, s, name, scope)
					p.grant(p.asked(lockRequest(name, int64(i), scope)), service.Acquisition{Lock: name, Sequence: int64(i), Scope: service.LockScope(scope)})
					locks = append(locks, (<-result).lock)
				}
				pending := locking(ctx, s, "p")
				conversation := p.asked(lockRequest("p", 2, 0))
				p.cut()
				a := n.next()
				if !locks[0].Owned() || locks[1].Owned() {
					t.Errorf("without connection: %v %v", locks[0].Owned(), locks[1].Owned())
				}
				if err := locks[0].Unlock(ctx); !errors.Is(err, ErrNotConnected) || !locks[0].Owned() {
					t.Errorf("unlock without connection: %v, owned %v", err, locks[0].Owned())
				}
				if err := locks[1].Unlock(ctx); err != nil {
					t.Errorf("unlock what is lost: %v", err)
				}
				res := again(c.code, 4)
				p = a.respond(res)
				synctest.Wait()
				if locks[0].Owned() != c.session || locks[1].Owned() != c.connection {
					t.Errorf("owned %v %v, want %v %v", locks[0].Owned(), locks[1].Owned(), c.session, c.connection)
				}
				if c.pending == nil {
					p.grant(conversation, service.Acquisition{Lock: "p", Sequence: 2})
				}
				r := <-pending
				if !errors.Is(r.err, c.pending) || (r.err == nil) != (c.pending == nil) {
					t.Errorf("pending: %+v, want %v", r, c.pending)
				}
				if c.code.Success() {
					n.closeSession(s, p)
				}
				for _, l := range append(locks, r.lock) {
					if l != nil && l.Owned() {
						t.Errorf("%s is owned by a closed session", l.Name())
					}
				}
			})
		})
	}
}

// TestLockAcrossConnections: an answer that comes after a reconnection may be from
// before it, and the lock lost since; the server is asked again.
func TestLockAcrossConnections(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(atOnce)
		result := locking(context.Background(), s, "x", UnlockOnConnectionLoss)
		conversation := p.asked(lockRequest("x", 0, UnlockOnConnectionLoss))
		p.cut()
		p = n.next().respond(again(wire.Reconnected, 2))
		p.grant(conversation, service.Acquisition{Lock: "x", Sequence: 7, Scope: service.UnlockOnConnectionLoss})
		conversation = p.asked(lockRequest("x", 1, UnlockOnConnectionLoss))
		if len(result) != 0 {
			t.Fatal("the first answer was believed")
		}
		p.grant(conversation, service.Acquisition{Lock: "x", Sequence: 9, Scope: service.UnlockOnConnectionLoss})
		if r := <-result; r.err != nil || r.lock.Sequence() != 9 {
			t.Errorf("%+v", r)
		}
		n.closeSession(s, p)
	})
}

// TestUnlockBetweenAnswers unlocks as soon as the first of two calls is answered.
// The answer to the second says the same and is no longer true.
func TestUnlockBetweenAnswers(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		ctx := context.Background()
		first, second := locking(ctx, s, "x"), locking(ctx, s, "x")
		conversations := []int64{p.asked(lockRequest("x", 0, 0)), p.asked(lockRequest("x", 1, 0))}
		p.grant(conversations[0], service.Acquisition{Lock: "x", Sequence: 3})
		unlocked := make(chan error)
		l := (<-first).lock
		go func() { unlocked <- l.Unlock(ctx) }()
		p.released("x", 3)
		if err := <-unlocked; err != nil {
			t.Error(err)
		}
		p.grant(conversations[1], service.Acquisition{Lock: "x", Sequence: 3})
		p.grant(p.asked(lockRequest("x", 2, 0)), service.Acquisition{Lock: "x", Sequence: 4})
		if r := <-second; r.err != nil || r.lock.Sequence() != 4 || !r.lock.Owned() {
			t.Errorf("%+v", r)
		}
		n.closeSession(s, p)
	})
}

func TestLockedNil(t *testing.T) {
	if _, err := constraintOf([]UpdateOption{If(Locked(nil))}); err == nil {
		t.Error("Locked(nil) is taken")
	}
	l := &Lock{name: "lockA", sequence: 300}
	if got := Locked(l).wire; got.Lock != "lockA" || got.Sequence != 300 {
		t.Errorf("%+v", got)
	}
}
