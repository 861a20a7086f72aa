package gosdk

import (
	"context"

	"advect.dev"
)

// Session locks, and updates that depend on them.

const locksGroup = "Session locks"

var locks = []scenario{
	{"locks.acquire", locksGroup, "a free lock is acquired at once, with its scope and a growing number; unlock tells whether it was owned", both, locksAcquire},
	{"locks.wait", locksGroup, "who asks for a lock of another waits, first come first served, and other requests go on meanwhile", ws, locksWait},
	{"locks.several-requests", locksGroup, "all requests of a session for a lock are answered with one acquisition, of the weakest scope", ws, locksSeveralRequests},
	{"locks.go-withdrawn", locksGroup, "Go: a request whose context ends is withdrawn, and the lock passes it by", ws, locksWithdrawn},
	{"locks.permission", locksGroup, "without ACQUIRE_LOCK for the name, taken for a path, a lock is refused", ws, locksPermission},
	{"locks.session-close", locksGroup, "the locks of a session that closes pass to those who wait, whatever their scope", ws, locksSessionClose},
	{"locks.connection-loss", locksGroup, "a lost connection releases the locks of that scope and no others", ws, locksConnectionLoss},
	{"locks.granted-while-away", locksGroup, "a lock that comes free while the waiting session is away is its own when it is back", ws, locksGrantedWhileAway},
	{"locks.message-loss", locksGroup, "a reconnection with loss of messages releases all locks and forgets the requests", both, locksMessageLoss},
	{"locks.constraint", locksGroup, "an update locked by an acquisition is made while that lasts, by whichever session", both, locksConstraint},
	{"locks.constraint-connection-loss", locksGroup, "when the connection is lost, updates and update streams that its lock guards are over", ws, locksConstraintConnectionLoss},
}

func (s *scene) lock(session *advect.Session, name string, opts ...advect.LockOption) *advect.Lock {
	s.t.Helper()
	lock, err := session.Lock(s.ctx, name, opts...)
	s.none(err, "lock")
	return lock
}

func (s *scene) unlock(lock *advect.Lock) {
	s.t.Helper()
	s.none(lock.Unlock(s.ctx), "unlock")
}

// A waiting is a request for a lock that another session owns.
type waiting struct {
	s   *scene
	got *record[*advect.Lock]
	err func() error
}

// waits asks for a lock, in a session through an inspector that prints JSON, and
// returns when the server has the request.
func (p *proxy) waits(session *advect.Session, name string, opts ...advect.LockOption) waiting {
	p.s.t.Helper()
	return p.waitsUntil(p.s.ctx, session, name, opts...)
}

func (p *proxy) waitsUntil(ctx context.Context, session *advect.Session, name string, opts ...advect.LockOption) waiting {
	p.s.t.Helper()
	request := func(e inspected) bool {
		return e.Direction == "C>S" && e.Kind == "request" && e.Service == "ACQUIRE_SESSION_LOCK"
	}
	before := 0
	for _, e := range parse(p.lines.all()) {
		if request(e) {
			before++
		}
	}
	w := waiting{s: p.s, got: newRecord[*advect.Lock]("acquisitions of " + name)}
	w.err = begin(func() error {
		lock, err := session.Lock(ctx, name, opts...)
		if err == nil {
			w.got.add(lock)
		}
		return err
	})
	p.awaitLine(before+1, "request for a lock", request)
	p.s.ping(session)
	return w
}

// acquired waits for the lock.
func (w waiting) acquired(what string) *advect.Lock {
	w.s.t.Helper()
	w.s.none(w.err(), what)
	return w.got.all()[0]
}

func (w waiting) waits(what string) {
	w.s.t.Helper()
	w.s.equal(len(w.got.all()), 0, what)
}

// absentee is subscribed as control, through an inspector that prints JSON.
func (s *scene) absentee() *subscription {
	s.t.Helper()
	p := s.inspect(shared.port, "--json")
	f := s.subscribedAt(shared.port, p.port, as("control")...)
	f.proxy = p
	return f
}

// control opens a session of control through a proxy.
func (p *proxy) control() *advect.Session {
	p.s.t.Helper()
	return p.s.at(p.port, as("control")...)
}

func locksAcquire(s *scene) {
	session := s.control()
	var held []*advect.Lock
	for n, name := range []string{s.path("a"), s.path("b"), s.path("with/slashes/"), s.path("")} {
		scope := []advect.LockScope{advect.UnlockOnSessionLoss, advect.UnlockOnConnectionLoss}[n%2]
		lock := s.lock(session, name, scope)
		s.equal([]any{lock.Name(), lock.Scope(), lock.Owned()}, []any{name, scope, true}, "lock")
		s.ok(n == 0 || lock.Sequence() > held[n-1].Sequence(), "the numbers do not grow")
		held = append(held, lock)
	}
	for _, lock := range held {
		s.ok(s.lock(session, lock.Name()) == lock, "asked again while owned: another lock")
		s.unlock(lock)
		s.ok(!lock.Owned(), "owned after unlock")
		<-lock.Done()
		s.unlock(lock)
	}
	again := s.lock(session, held[0].Name())
	s.ok(again.Sequence() > held[len(held)-1].Sequence(), "acquired again: no larger number")
	s.equal(again.Scope(), advect.UnlockOnSessionLoss, "default scope")
}

func locksWait(s *scene) {
	p := s.inspect(shared.port, "--json")
	one, two, three := s.control(), p.control(), p.control()
	lock := s.lock(one, s.path("lock"))
	next := p.waits(two, lock.Name())
	last := p.waits(three, lock.Name())
	next.waits("acquired while it is owned")
	s.unlock(lock)
	theirs := next.acquired("the second session")
	s.ping(three)
	last.waits("acquired by the third while the second owns it")
	s.unlock(theirs)
	s.ok(last.acquired("the third session").Sequence() > theirs.Sequence(), "the numbers do not grow")
}

func locksSeveralRequests(s *scene) {
	p := s.inspect(shared.port, "--json")
	owner, session := s.control(), p.control()
	lock := s.lock(owner, s.path("lock"))
	var requests []waiting
	for _, scope := range []advect.LockScope{advect.UnlockOnSessionLoss, advect.UnlockOnConnectionLoss, advect.UnlockOnSessionLoss} {
		requests = append(requests, p.waits(session, lock.Name(), scope))
	}
	s.unlock(lock)
	got := requests[0].acquired("a request")
	for _, request := range requests[1:] {
		s.equal(request.acquired("a request").Sequence(), got.Sequence(), "number")
	}
	s.equal(got.Scope(), advect.UnlockOnConnectionLoss, "scope")
	s.unlock(got)
	for _, request := range requests {
		s.ok(!request.got.all()[0].Owned(), "owned after one unlock")
	}
}

func locksWithdrawn(s *scene) {
	p := s.inspect(shared.port, "--json")
	owner, impatient, other := s.control(), p.control(), p.control()
	lock := s.lock(owner, s.path("lock"))
	ctx, cancel := context.WithCancel(s.ctx)
	first := p.waitsUntil(ctx, impatient, lock.Name())
	second := p.waits(other, lock.Name())
	cancel()
	s.is(first.err(), "the request that is withdrawn", context.Canceled)
	s.ping(impatient)
	s.unlock(lock)
	second.acquired("who came later")
	first.waits("acquired by who gave up")
}

func locksPermission(s *scene) {
	_, err := s.connect().Lock(s.ctx, s.path("lock"))
	s.denied(err, "anonymous")
	session := s.control()
	for _, name := range []string{"Diffusion/lock", "/Diffusion/lock"} {
		_, err := session.Lock(s.ctx, name)
		s.denied(err, name)
	}
	s.unlock(s.lock(session, s.path("lock")))
}

func locksSessionClose(s *scene) {
	p := s.inspect(shared.port, "--json")
	owner, session, gone := s.control(), p.control(), p.control()
	var held []*advect.Lock
	var requests []waiting
	for _, scope := range []advect.LockScope{advect.UnlockOnSessionLoss, advect.UnlockOnConnectionLoss} {
		lock := s.lock(owner, s.path(), scope)
		if held == nil { // waits too, before the other, and closes first
			w := p.waits(gone, lock.Name())
			s.none(gone.Close(), "close")
			s.is(w.err(), "the request of a session that closes", advect.ErrClosedByClient)
		}
		held = append(held, lock)
		requests = append(requests, p.waits(session, lock.Name()))
	}
	s.none(owner.Close(), "close")
	for n, request := range requests {
		s.ok(request.acquired("after the close").Owned(), "not owned")
		s.ok(!held[n].Owned(), "owned by the closed session")
	}
}

func locksConnectionLoss(s *scene) {
	away := s.absentee()
	p := s.inspect(shared.port, "--json")
	other := p.control()
	kept := s.lock(away.session, s.path("kept"), advect.UnlockOnSessionLoss)
	lost := s.lock(away.session, s.path("lost"), advect.UnlockOnConnectionLoss)
	one, two := p.waits(other, lost.Name()), p.waits(other, kept.Name())
	away.lose()
	<-lost.Done()
	s.ok(kept.Owned(), "the lock of the session is lost with the connection")
	s.ok(one.acquired("the lock of the connection").Sequence() > lost.Sequence(), "the numbers do not grow")
	s.ping(other)
	two.waits("the lock of the session, acquired by another")
	s.is(kept.Unlock(s.ctx), "unlock while away", advect.ErrNotConnected)
	away.found()
	s.equal([]bool{kept.Owned(), lost.Owned()}, "[true false]", "owned when back")
	s.unlock(kept)
	two.acquired("the lock of the session, once unlocked")
}

func locksGrantedWhileAway(s *scene) {
	away := s.absentee()
	p := s.inspect(shared.port, "--json")
	owner, third := s.control(), p.control()
	lock := s.lock(owner, s.path("lock"))
	request := away.proxy.waits(away.session, lock.Name())
	away.lose()
	s.unlock(lock)
	later := p.waits(third, lock.Name())
	later.waits("acquired by who came later")
	away.found()
	theirs := request.acquired("after the absence")
	later.waits("acquired by who came later")
	s.unlock(theirs)
	later.acquired("who came later")
}

func locksMessageLoss(s *scene) {
	server := s.serve("--recovery-messages", "2")
	lossy := s.lossy(server.port)
	f := s.subscribedAt(server.port, lossy.port, as("control")...)
	p := s.inspect(server.port, "--json")
	other := p.control()
	mine, theirs := s.lock(f.session, "mine"), s.lock(other, "theirs")
	pending := begin(func() error { _, err := f.session.Lock(s.ctx, "theirs"); return err })
	request := p.waits(other, "mine")
	lossy.lose(12, func() { f.count(1, 12) })
	f.found()
	<-mine.Done()
	request.acquired("the lock of the session that lost messages")
	s.is(pending(), "the request from before the loss", advect.ErrMessageLoss)
	s.unlock(theirs)
	s.ok(s.lock(s.at(server.port, as("control")...), "theirs").Owned(), "not owned")
}

func locksConstraint(s *scene) {
	session, other := s.owner(), s.owner()
	path := s.path()
	lock := s.lock(session.Session, s.path("lock"))
	locked := advect.Locked(lock)
	_, err := session.Topics().AddAndSet(s.ctx, path, advect.NewSpecification(advect.String), text("created"), advect.If(locked))
	s.none(err, "add and set")
	s.none(other.Topics().Set(s.ctx, path, text("by another"), advect.If(advect.LockedAt(lock.Name(), lock.Sequence()))), "set by another")
	s.unlock(lock)
	refused := func(by publisher, what string) {
		s.t.Helper()
		s.is(by.Topics().Set(s.ctx, path, text("never"), advect.If(locked)), what, advect.ErrUnsatisfiedConstraint)
	}
	refused(session, "when it is free")
	theirs := s.lock(other.Session, lock.Name())
	refused(session, "when another owns it")
	refused(other, "by another, with the acquisition before")
	s.none(session.Topics().Set(s.ctx, path, text("their turn"), advect.If(advect.Locked(theirs))), "set")
	s.none(session.Topics().Set(s.ctx, path, text("in the end"), advect.If(locked.Or(advect.ValueIs(text("their turn"))))), "set")
	got, err := advect.FetchValue[text](s.ctx, session.Topics(), path)
	s.none(err, "fetch")
	s.equal(got, "in the end", "value")
}

func locksConstraintConnectionLoss(s *scene) {
	away := s.absentee()
	path := s.path()
	publisher{away.session, s}.add(path, advect.String)
	lock := s.lock(away.session, s.path("lock"), advect.UnlockOnConnectionLoss)
	stream := openStream[text](s, away.session, path, advect.If(advect.Locked(lock)))
	s.none(stream.Set(s.ctx, "one"), "set")
	s.none(stream.Set(s.ctx, "two"), "set")
	away.lose()
	away.found()
	s.is(stream.Set(s.ctx, "three"), "stream", advect.ErrInvalidUpdateStream)
	s.is(away.session.Topics().Set(s.ctx, path, text("four"), advect.If(advect.Locked(lock))), "set", advect.ErrUnsatisfiedConstraint)
}
