package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// happening is what happened to a session.
type happening uint8

const (
	opened happening = iota
	changed
	reconnected
	disconnected
	closed
	joins  // no event of a session, but the place in the queue from which on an observer is told
	leaves // and until which
)

// An event is something that happened to a session.
type event struct {
	happening
	reason  CloseReason // closed
	version uint64      // of the session
	profile profile     // after it

	observer *observer // joins and leaves
}

// observers are the session listeners of all sessions. Events are queued by
// whoever causes them, with the session locked, so those of a session are in the
// order in which they happened. One goroutine, which runs while there are any,
// tells them to the observers. While there are no observers events cost nothing.
type observers struct {
	engine *Engine
	number atomic.Int32 // of observers that joined and have not left
	joined []*observer  // owned by the goroutine

	mu      sync.Mutex // a leaf
	queue   []event
	running bool
	stopped bool
	moved   *sync.Cond // the queue was taken, or the goroutine ends
}

// maxEvents is the number of waiting events from which on requests that concern
// many sessions wait.
const maxEvents = 10_000

func newObservers(e *Engine) *observers {
	os := &observers{engine: e}
	os.moved = sync.NewCond(&os.mu)
	return os
}

// happened notes that something happened to the session. mu is held.
func (s *Session) happened(what happening) {
	s.version++
	if os := s.engine.observers; os.number.Load() > 0 {
		os.post(event{happening: what, reason: s.reason, version: s.version, profile: s.now()})
	}
}

// appear notes that the session is there.
func (s *Session) appear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.happened(opened)
	}
}

// join has an observer told of the sessions that there are, and from then on of
// what happens to them.
func (os *observers) join(o *observer) {
	os.number.Add(1)
	os.post(event{happening: joins, observer: o})
}

// leave ends that. Nothing is sent to the observer any more.
func (os *observers) leave(o *observer) {
	o.session.mu.Lock()
	o.left = true
	o.session.mu.Unlock()
	os.number.Add(-1)
	os.post(event{happening: leaves, observer: o})
}

func (os *observers) post(ev event) {
	os.mu.Lock()
	defer os.mu.Unlock()
	if os.stopped {
		return
	}
	os.queue = append(os.queue, ev)
	if !os.running {
		os.running = true
		go os.run()
	}
}

// wait waits while too many events are queued. The caller may hold its session's
// inbound lock, and no other.
func (os *observers) wait() {
	if os.number.Load() == 0 {
		return
	}
	os.mu.Lock()
	defer os.mu.Unlock()
	for len(os.queue) >= maxEvents && !os.stopped {
		os.moved.Wait()
	}
}

// stop drops the events and waits for the goroutine. What happens afterwards is
// told to nobody.
func (os *observers) stop() {
	os.mu.Lock()
	defer os.mu.Unlock()
	os.stopped = true
	os.queue = nil
	os.moved.Broadcast()
	for os.running {
		os.moved.Wait()
	}
}

// run tells events until there are no more. The observers that it tells are
// handed on from one run to the next.
func (os *observers) run() {
	var batch []event
	for {
		os.mu.Lock()
		clear(batch)
		batch, os.queue = os.queue, batch[:0]
		if len(batch) == 0 {
			os.running, os.queue = false, nil
		}
		os.moved.Broadcast()
		os.mu.Unlock()
		if len(batch) == 0 {
			return
		}
		os.tell(batch)
	}
}

// tell tells a batch of events. It is called by one goroutine at a time.
func (os *observers) tell(batch []event) {
	for i := range batch {
		switch ev := &batch[i]; ev.happening {
		case joins:
			os.joined = append(os.joined, ev.observer)
			os.introduce(ev.observer)
		case leaves:
			os.joined = slices.DeleteFunc(os.joined, func(o *observer) bool { return o == ev.observer })
		default:
			for _, o := range os.joined {
				o.observe(ev)
			}
		}
	}
	for _, o := range os.joined {
		o.flush()
	}
}

// introduce tells an observer of the sessions that there are, in the order in
// which they started. What happened to a session before it is asked is part of
// its profile, and the events that tell of it are passed over by its version.
func (os *observers) introduce(o *observer) {
	var all []*Session
	if o.filter != nil {
		all = os.engine.candidates(o.filter)
	} else {
		all = os.engine.all()
	}
	slices.SortFunc(all, byAge)
	for _, s := range all {
		s.mu.Lock()
		ev, over := event{happening: opened, version: s.version, profile: s.now()}, s.closed
		s.mu.Unlock()
		if !over {
			o.observe(&ev)
		}
	}
}
