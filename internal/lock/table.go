package lock

import (
	"container/list"
	"fmt"
	"sync"

	"advect.dev/internal/service"
)

// A Session is what holds locks. It is used as a key: a pointer, for instance.
type Session interface {
	// Connection identifies the session's connection: a comparable value that no
	// other connection of it has, or nil while it has none. It is called with
	// the table locked and must not call the table.
	Connection() any
}

// Bounds on what sessions can make a table keep.
const (
	maxName     = 1024 // bytes
	maxRequests = 1000 // locks held, and requests that wait, of one session
)

// A Table has the locks of one server. Its methods may be called concurrently.
type Table struct {
	mu      sync.RWMutex
	next    int64 // sequence number of the next assignment
	locks   map[string]*lock
	members map[Session]*member
}

// A lock is held, or waited for by sessions that cannot have it yet.
type lock struct {
	service.Acquisition
	owner      *member   // nil: nobody
	connection any       // with the scope of a connection: the one it ends with
	queue      list.List // of *wait, in the order in which the sessions came
}

// A member is a session that holds locks or waits for some.
type member struct {
	session  Session
	held     map[string]*lock
	waits    map[string]*wait
	requests int // in waits
}

// A wait is what a session has asked for one lock, in one place of its queue.
type wait struct {
	member   *member
	lock     *lock
	place    *list.Element
	requests []request
}

type request struct {
	id     int64
	scope  service.LockScope
	answer func(service.Acquisition)
}

// NewTable returns a table without locks.
func NewTable() *Table {
	return &Table{locks: make(map[string]*lock), members: make(map[Session]*member)}
}

// Acquire asks for a lock. answer is called once, with the table locked, when the
// session holds it: before Acquire returns if it is free or the session's own. It
// must not block or call the table. It is never called if the request is
// cancelled or the session closed before that.
//
// All that a session is given of one lock is the same acquisition, with the
// weakest of the scopes that it asked for.
func (t *Table) Acquire(s Session, r service.LockRequest, answer func(service.Acquisition)) error {
	if len(r.Lock) > maxName {
		return fmt.Errorf("the name of the lock has %d bytes, the most is %d", len(r.Lock), maxName)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[s]
	if m == nil {
		m = &member{session: s, held: make(map[string]*lock), waits: make(map[string]*wait)}
		t.members[s] = m
	}
	defer t.tidyMember(m)
	l := t.locks[r.Lock]
	if l == nil {
		l = &lock{Acquisition: service.Acquisition{Lock: r.Lock}}
		t.locks[r.Lock] = l
	}
	defer t.tidyLock(l)
	if l.owner == m {
		if !l.over() {
			l.weaken(r.Scope)
			answer(l.Acquisition)
			return nil
		}
		t.free(l)
		defer t.assign(l) // if the request is refused
	}
	if len(m.held)+m.requests >= maxRequests {
		return fmt.Errorf("the session holds and waits for %d locks: release or cancel some", maxRequests)
	}
	w := m.waits[r.Lock]
	if w == nil {
		w = &wait{member: m, lock: l}
		w.place = l.queue.PushBack(w)
		m.waits[r.Lock] = w
	}
	w.requests = append(w.requests, request{r.Request, r.Scope, answer})
	m.requests++
	t.assign(l)
	return nil
}

// Cancel withdraws a session's request for a lock that it does not hold yet, if
// there is such a request.
func (t *Table) Cancel(s Session, c service.LockCancellation) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[s]
	if m == nil || m.waits[c.Lock] == nil {
		return
	}
	w := m.waits[c.Lock]
	kept := w.requests[:0]
	for _, r := range w.requests {
		if r.id != c.Request {
			kept = append(kept, r)
		}
	}
	clear(w.requests[len(kept):])
	m.requests -= len(w.requests) - len(kept)
	w.requests = kept
	if len(kept) == 0 {
		w.leave()
	}
	t.assign(w.lock) // the rest may be content with the session's having no connection
	t.tidyLock(w.lock)
	t.tidyMember(m)
}

// Release ends the session's hold on a lock, and reports whether it had it with
// this sequence number.
func (t *Table) Release(s Session, name string, sequence int64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[s]
	if m == nil {
		return false
	}
	l := m.held[name]
	if l == nil || l.Sequence != sequence {
		return false
	}
	t.pass(l)
	t.tidyMember(m)
	return true
}

// ConnectionChanged takes away what the session held for the time of a connection
// that it no longer has, and gives it what only waits for its being connected. It
// is to be called after every change of the connection, and is harmless between.
func (t *Table) ConnectionChanged(s Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[s]
	if m == nil {
		return
	}
	for _, l := range m.held {
		if l.over() {
			t.pass(l)
		}
	}
	for _, w := range m.waits {
		t.assign(w.lock)
	}
	t.tidyMember(m)
}

// Close ends all that the session holds and waits for.
func (t *Table) Close(s Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m := t.members[s]
	if m == nil {
		return
	}
	delete(t.members, s)
	for _, w := range m.waits {
		w.leave()
		t.tidyLock(w.lock)
	}
	for _, l := range m.held {
		t.pass(l)
	}
}

// Held reports whether a lock is held with this sequence number, by whomever.
func (t *Table) Held(name string, sequence int64) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	l := t.locks[name]
	return l != nil && l.owner != nil && l.Sequence == sequence
}

// A Holding says who holds a lock.
type Holding struct {
	Name     string
	Owner    Session
	Sequence int64
}

// Holding returns who holds a lock, if somebody does.
func (t *Table) Holding(name string) (h Holding, held bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	if l := t.locks[name]; l != nil && l.owner != nil {
		return l.holding(), true
	}
	return Holding{}, false
}

// Holdings returns who holds which lock, in no particular order.
func (t *Table) Holdings() []Holding {
	t.mu.RLock()
	defer t.mu.RUnlock()
	all := make([]Holding, 0, len(t.locks))
	for _, l := range t.locks {
		if l.owner != nil {
			all = append(all, l.holding())
		}
	}
	return all
}

func (l *lock) holding() Holding { return Holding{l.Lock, l.owner.session, l.Sequence} }

// over reports whether a held lock has outlived the connection it was for, which
// was not nil.
func (l *lock) over() bool {
	return l.Scope == service.UnlockOnConnectionLoss && l.connection != l.owner.session.Connection()
}

// weaken gives a held lock the weaker of its scope and another. A session that
// has lost its connection keeps the lock as it is: it knows it so.
func (l *lock) weaken(scope service.LockScope) {
	if c := l.owner.session.Connection(); c != nil && scope > l.Scope {
		l.Scope, l.connection = scope, c
	}
}

// scope returns the weakest scope that was asked for.
func (w *wait) scope() service.LockScope {
	weakest := service.UnlockOnSessionLoss
	for _, r := range w.requests {
		weakest = max(weakest, r.scope)
	}
	return weakest
}

// leave takes the session out of the queue.
func (w *wait) leave() {
	w.lock.queue.Remove(w.place)
	w.member.requests -= len(w.requests)
	delete(w.member.waits, w.lock.Lock)
}

// free takes a lock from its owner.
func (t *Table) free(l *lock) {
	delete(l.owner.held, l.Lock)
	l.owner, l.connection = nil, nil
}

// pass takes a lock from its owner and gives it to the next.
func (t *Table) pass(l *lock) {
	t.free(l)
	t.assign(l)
	t.tidyLock(l)
}

// assign gives a lock that nobody holds to the first that can have it. A session
// without connection cannot have one that ends with the connection: it keeps its
// place.
func (t *Table) assign(l *lock) {
	if l.owner != nil {
		return
	}
	for place := l.queue.Front(); place != nil; place = place.Next() {
		w := place.Value.(*wait)
		scope, connection := w.scope(), any(nil)
		if scope == service.UnlockOnConnectionLoss {
			if connection = w.member.session.Connection(); connection == nil {
				continue
			}
		}
		w.leave()
		l.owner, l.connection = w.member, connection
		l.Scope, l.Sequence = scope, t.next
		t.next++
		w.member.held[l.Lock] = l
		for _, r := range w.requests {
			r.answer(l.Acquisition)
		}
		return
	}
}

// tidyLock forgets a lock that nobody holds or waits for.
func (t *Table) tidyLock(l *lock) {
	if l.owner == nil && l.queue.Len() == 0 {
		delete(t.locks, l.Lock)
	}
}

// tidyMember forgets a session that neither holds a lock nor waits for one.
func (t *Table) tidyMember(m *member) {
	if len(m.held) == 0 && len(m.waits) == 0 {
		delete(t.members, m.session)
	}
}
