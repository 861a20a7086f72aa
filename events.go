package advect

import (
	"slices"
	"sync"
)

// events calls listeners one after another on a goroutine of its own, which
// lives only while there is something to report.
type events struct {
	mu      sync.Mutex
	queue   []func()
	running bool
}

// add reports something after all that was added before. It never blocks.
func (e *events) add(report func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.queue = append(e.queue, report)
	if !e.running {
		e.running = true
		go e.run()
	}
}

func (e *events) run() {
	for {
		e.mu.Lock()
		if len(e.queue) == 0 {
			e.running = false
			e.mu.Unlock()
			return
		}
		queue := e.queue
		e.queue = nil
		e.mu.Unlock()
		for _, report := range queue {
			report()
		}
	}
}

// listeners is a set of functions. The zero value is empty.
type listeners[F any] struct {
	mu   sync.Mutex
	list []*F // replaced, never changed
}

// add adds a listener and returns what removes it again.
func (l *listeners[F]) add(listener F) (remove func()) {
	p := &listener
	l.mu.Lock()
	defer l.mu.Unlock()
	l.list = append(slices.Clone(l.list), p)
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.list = slices.DeleteFunc(slices.Clone(l.list), func(q *F) bool { return p == q })
	}
}

// snapshot returns the listeners of this moment.
func (l *listeners[F]) snapshot() []*F {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.list
}

// each calls those of a snapshot that have not been removed since.
func (l *listeners[F]) each(snapshot []*F, call func(F)) {
	for _, p := range snapshot {
		if slices.Contains(l.snapshot(), p) {
			call(*p)
		}
	}
}
