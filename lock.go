package advect

import (
	"context"
	"fmt"

	"advect.dev/internal/service"
)

// A LockScope is how long a session holds a lock that it does not unlock. Pass
// it to [Session.Lock] as an option.
type LockScope byte

// The scopes.
const (
	// UnlockOnSessionLoss holds the lock until the session closes or reconnects
	// with message loss. It is the default.
	UnlockOnSessionLoss = LockScope(service.UnlockOnSessionLoss)
	// UnlockOnConnectionLoss holds the lock until then, or until the connection
	// is lost, also if the session then reconnects.
	UnlockOnConnectionLoss = LockScope(service.UnlockOnConnectionLoss)
)

// String returns the platform's name of the scope, such as "UNLOCK_ON_SESSION_LOSS".
func (s LockScope) String() string {
	switch s {
	case UnlockOnSessionLoss:
		return "UNLOCK_ON_SESSION_LOSS"
	case UnlockOnConnectionLoss:
		return "UNLOCK_ON_CONNECTION_LOSS"
	}
	return fmt.Sprintf("SCOPE_%d", byte(s))
}

// A LockOption is an option of [Session.Lock]: a [LockScope].
type LockOption interface {
	lock(*lockOptions)
}

type lockOptions struct{ scope LockScope }

func (s LockScope) lock(o *lockOptions) { o.scope = s }

// A Lock is a session lock that the session has acquired (protocol 33). At most
// one session of a server holds the lock of a name at a time.
//
// Between losing a lock and hearing of it a session may still act, so what must
// not be done without the lock should depend on it at the server: see [Locked].
// Other systems can be guarded with [Lock.Sequence].
type Lock struct {
	session  *Session
	name     string
	sequence int64
	scope    LockScope     // guarded by session.mu
	done     chan struct{} // closed, with session.mu held, when it is no longer owned
}

// Name returns the name that the lock was asked for by.
func (l *Lock) Name() string { return l.name }

// Sequence returns the number of this acquisition. Later acquisitions, of any
// lock and by any session, have larger numbers.
func (l *Lock) Sequence() int64 { return l.sequence }

// Scope returns the weakest of the scopes with which the session has asked for
// the lock.
func (l *Lock) Scope() LockScope {
	l.session.mu.Lock()
	defer l.session.mu.Unlock()
	return l.scope
}

// Done returns a channel that is closed when the session no longer owns the lock,
// because it was unlocked or because it was lost.
func (l *Lock) Done() <-chan struct{} { return l.done }

// Owned reports whether the session, as far as it knows, owns the lock.
func (l *Lock) Owned() bool {
	select {
	case <-l.done:
		return false
	default:
		return true
	}
}

// Unlock releases the lock and waits until the server has taken note. From the
// call on the lock is no longer owned, even if the wait fails. Only if the session
// is not connected, or ctx is done already, it stays as it was: the error then
// matches [ErrNotConnected] or is that of ctx. To unlock a lock that is no longer
// owned does nothing.
func (l *Lock) Unlock(ctx context.Context) error {
	s := l.session
	s.mu.Lock()
	var err error
	switch {
	case !l.Owned():
		s.mu.Unlock()
		return nil
	case ctx.Err() != nil:
		err = context.Cause(ctx)
	case s.link == nil:
		err = s.notConnected()
	}
	if err != nil {
		s.mu.Unlock()
		return fmt.Errorf("unlock %s: %w", l.name, err)
	}
	conversation, answered := s.releaseLock(l.name, l.sequence), make(chan answer, 1)
	s.pending[conversation] = answered
	s.locks.end(l)
	s.mu.Unlock()

	select {
	case a := <-answered:
		err = a.err
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.pending, conversation)
		s.mu.Unlock()
		err = context.Cause(ctx)
	}
	if err != nil {
		return fmt.Errorf("unlock %s: %w", l.name, err)
	}
	return nil
}

// Lock acquires the session lock of a name, which needs no creating, and waits
// for as long as another session holds it. The session needs the permission
// ACQUIRE_LOCK for the name, which is taken for a path there.
//
//	lock, err := session.Lock(ctx, "leader", advect.UnlockOnConnectionLoss)
//	if err != nil {
//		return err
//	}
//	defer lock.Unlock(context.Background())
//
// A lock belongs to the session and not to a goroutine: while the session owns
// it every call returns the same *Lock at once, whatever the options, and one
// Unlock releases it for all. If ctx is done first, the request is withdrawn.
func (s *Session) Lock(ctx context.Context, name string, opts ...LockOption) (*Lock, error) {
	var o lockOptions
	for _, opt := range opts {
		opt.lock(&o)
	}
	for {
		l, err := s.acquire(ctx, name, o.scope)
		if err != nil {
			return nil, fmt.Errorf("lock %s: %w", name, err)
		}
		if l.Owned() { // else another goroutine had it too and was quicker to unlock it
			return l, nil
		}
	}
}

func (s *Session) acquire(ctx context.Context, name string, scope LockScope) (*Lock, error) {
	c := &lockCall{answered: make(chan answer, 1), released: -1}
	c.request = service.LockRequest{
		LockCancellation: service.LockCancellation{Lock: name},
		Scope:            service.LockScope(scope),
	}
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		s.mu.Lock()
		if l := s.locks.owned[name]; l != nil {
			s.mu.Unlock()
			return l, nil
		}
		conversation, request := s.requestLock(c)
		wait, err := s.trySendLocked(conversation, request, c.answered)
		if wait == nil && err == nil {
			s.locks.calls[conversation] = c
		}
		s.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if wait == nil {
			break
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
	select {
	case a := <-c.answered:
		return c.lock, a.err
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	select {
	case a := <-c.answered:
		return c.lock, a.err
	default:
		s.withdrawLock(c)
		return nil, context.Cause(ctx)
	}
}

// sessionLocks is what a session knows of its locks; guarded by Session.mu.
type sessionLocks struct {
	requests int64               // id of the next request
	owned    map[string]*Lock    // by name
	calls    map[int64]*lockCall // not yet answered, by conversation
	cancels  map[int64]*lockCall // cancelled, by the conversation of the cancellation
}

// A lockCall is a request for a lock that the server has not answered.
type lockCall struct {
	request      service.LockRequest
	conversation int64
	answered     chan answer
	lock         *Lock // once answered
	withdrawn    bool  // nobody waits
	doubtful     bool  // an answer may be of before a loss that has undone it
	released     int64 // sequence of the latest acquisition that was released meanwhile
}

func newSessionLocks() sessionLocks {
	return sessionLocks{
		owned:   make(map[string]*Lock),
		calls:   make(map[int64]*lockCall),
		cancels: make(map[int64]*lockCall),
	}
}

// requestLock gives a call a new conversation and returns its message. s.mu is
// held, as for all that follow.
func (s *Session) requestLock(c *lockCall) (conversation int64, request []byte) {
	c.conversation = s.conversations.Add(1)
	c.request.Request = s.locks.requests
	s.locks.requests++
	return c.conversation, service.AcquireSessionLock.AppendRequest(nil, c.conversation, c.request)
}

// tell queues a request whatever is queued already and whether or not there is a
// connection.
func (s *Session) tell(request []byte) {
	s.out.add(request)
	if s.link != nil {
		s.link.wakeUp()
	}
}

// withdrawLock cancels a call. Its lock may have been assigned already; the answer
// that says so comes before the one to the cancellation.
func (s *Session) withdrawLock(c *lockCall) {
	delete(s.pending, c.conversation)
	c.withdrawn = true
	conversation := s.conversations.Add(1)
	s.locks.cancels[conversation] = c
	s.tell(service.CancelAcquireSessionLock.AppendRequest(nil, conversation, c.request.LockCancellation))
}

// releaseLock sends the release of an acquisition and returns its conversation.
// Other calls may be about to be answered with the same acquisition.
func (s *Session) releaseLock(name string, sequence int64) (conversation int64) {
	conversation = s.conversations.Add(1)
	s.tell(service.ReleaseSessionLock.AppendRequest(nil, conversation, service.Acquisition{Lock: name, Sequence: sequence}))
	for _, c := range s.locks.calls {
		if c.request.Lock == name {
			c.released = sequence
		}
	}
	return conversation
}

// lockAnswered takes the answer to a request for a lock, or to a cancellation,
// and reports whether it was one. It is called on the goroutine that reads, which
// also notices losses: what is acquired here is not lost yet.
func (s *Session) lockAnswered(conversation int64, a answer) bool {
	if c := s.locks.cancels[conversation]; c != nil {
		delete(s.locks.cancels, conversation)
		delete(s.locks.calls, c.conversation)
		return true
	}
	c := s.locks.calls[conversation]
	if c == nil {
		return false
	}
	delete(s.locks.calls, conversation)
	var acquired service.Acquisition
	if a.err == nil {
		acquired, a.err = service.AcquireSessionLock.ReadResponse(a.body)
	}
	switch {
	case c.withdrawn:
		if a.err == nil && !s.locks.wanted(acquired.Lock) {
			s.releaseLock(acquired.Lock, acquired.Sequence)
		}
		return true
	case a.err == nil && (c.doubtful || acquired.Sequence <= c.released):
		// Ask again: who owns a lock is answered the same at once.
		c.doubtful = false
		conversation, request := s.requestLock(c)
		s.pending[conversation], s.locks.calls[conversation] = c.answered, c
		s.tell(request)
		return true
	case a.err == nil:
		c.lock = s.own(acquired)
	}
	c.answered <- a
	return true
}

// own returns the lock of an acquisition.
func (s *Session) own(a service.Acquisition) *Lock {
	l := s.locks.owned[a.Lock]
	if l != nil && l.sequence == a.Sequence {
		l.scope = max(l.scope, LockScope(a.Scope))
		return l
	}
	if l != nil {
		s.locks.end(l)
	}
	l = &Lock{session: s, name: a.Lock, sequence: a.Sequence, scope: LockScope(a.Scope), done: make(chan struct{})}
	s.locks.owned[a.Lock] = l
	return l
}

// wanted reports whether the session owns a lock or somebody waits for it.
func (k *sessionLocks) wanted(name string) bool {
	if k.owned[name] != nil {
		return true
	}
	for _, c := range k.calls {
		if c.request.Lock == name && !c.withdrawn {
			return true
		}
	}
	return false
}

// end makes a lock no longer owned.
func (k *sessionLocks) end(l *Lock) {
	delete(k.owned, l.name)
	close(l.done)
}

// connectionLost ends the locks that end with a connection.
func (k *sessionLocks) connectionLost() {
	for _, l := range k.owned {
		if l.scope == UnlockOnConnectionLoss {
			k.end(l)
		}
	}
	for _, c := range k.calls {
		c.doubtful = c.doubtful || LockScope(c.request.Scope) == UnlockOnConnectionLoss
	}
}

// lost ends all locks and forgets all calls, which fail with all others.
func (k *sessionLocks) lost() {
	for _, l := range k.owned {
		k.end(l)
	}
	clear(k.calls)
	clear(k.cancels)
}
