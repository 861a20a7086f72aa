package engine

import (
	"iter"
	"slices"
	"sync"
	"sync/atomic"

	"advect.dev/internal/security"
)

// A delegate is a handler conversation of a session to which the server passes
// something on (35 section 2).
type delegate struct {
	session      *Session
	conversation int64
	group        string
	subject      string // what it handles: a path, or the name of an authenticator
	keys         keySet // of the session properties that it is told
}

// What sessions need to register handlers, and to have them asked.
var (
	handlerPermissions       = security.Globals(security.RegisterHandler)
	authenticatorPermissions = security.Globals(security.RegisterHandler, security.Authenticate)
)

// holds reports whether the session has all of some global permissions now.
func (s *Session) holds(permissions security.GlobalSet) bool {
	return s.identity.Load().grant.GlobalPermissions()&permissions == permissions
}

// propertyKeys are those of the properties that the handler is told of the
// session that sends, as long as it may know of other sessions.
func (d *delegate) propertyKeys() *keySet {
	if !d.session.holds(security.Globals(security.ViewSession)) {
		return &keySet{}
	}
	return &d.keys
}

// delegates have the handlers of all sessions for each subject, which take turns.
type delegates struct {
	mu        sync.RWMutex
	bySubject map[string]*rota
}

// A rota is replaced as a whole when a delegate comes or goes.
type rota struct {
	members []*delegate
	turns   *atomic.Uint32
}

// add enters a delegate and calls answer, which tells its session so. Nobody finds it
// before the answer is sent, and whoever asks after that does.
func (d *delegates) add(one *delegate, answer func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer()
	if d.bySubject == nil {
		d.bySubject = make(map[string]*rota)
	}
	r := d.bySubject[one.subject]
	if r == nil {
		r = &rota{turns: new(atomic.Uint32)}
	}
	d.bySubject[one.subject] = &rota{append(slices.Clone(r.members), one), r.turns}
}

func (d *delegates) remove(one *delegate) {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.bySubject[one.subject]
	if r == nil {
		return
	}
	rest := slices.DeleteFunc(slices.Clone(r.members), func(m *delegate) bool { return m == one })
	if len(rest) == 0 {
		delete(d.bySubject, one.subject)
		return
	}
	d.bySubject[one.subject] = &rota{rest, r.turns}
}

// of yields the delegates for a subject, the one whose turn it is first.
func (d *delegates) of(subject string) iter.Seq[*delegate] {
	return func(yield func(*delegate) bool) {
		d.mu.RLock()
		r := d.bySubject[subject]
		d.mu.RUnlock()
		if r == nil {
			return
		}
		first := int(r.turns.Add(1) % uint32(len(r.members)))
		for i := range r.members {
			if !yield(r.members[(first+i)%len(r.members)]) {
				return
			}
		}
	}
}

// has reports whether there is a delegate for a subject.
func (d *delegates) has(subject string) bool {
	d.mu.RLock()
	defer d.mu.RUnlock()
	return d.bySubject[subject] != nil
}
