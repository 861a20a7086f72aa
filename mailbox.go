package advect

import (
	"context"
	"sync"
)

// The default bounds of a mailbox.
const (
	mailboxEvents = 1 << 16
	mailboxBytes  = 64 << 20 // of values
)

// A mailbox holds events between the session's read loop, which puts them, and
// the one consumer that takes them. Putting never blocks: over its bounds a
// mailbox conflates instead. A value then takes the place of the waiting value
// of the same topic and stream, and a subscription that ends before anyone heard
// of it is forgotten. So a mailbox holds at most its bounds and three events
// for each topic of each stream.
//
// Blocking the read loop would leave the conflation to the server, but also
// hold up the answers to requests, and a callback that waits for an answer
// would then wait for ever.
type mailbox struct {
	maxEvents, maxBytes int
	ready               chan struct{} // has a token when there may be something to take

	mu            sync.Mutex
	head, tail    *event
	events, bytes int
}

func newMailbox() *mailbox {
	return &mailbox{maxEvents: mailboxEvents, maxBytes: mailboxBytes, ready: make(chan struct{}, 1)}
}

type eventKind byte

const (
	subscribeEvent eventKind = iota
	valueEvent
	failEvent // a value is lost
	unsubscribeEvent
	closeEvent // the stream's last
	endEvent   // the mailbox's last
)

// An event is one thing that a stream is told.
type event struct {
	next    *event
	kind    eventKind
	stream  *stream
	at      *attachment       // nil for closeEvent and endEvent
	value   []byte            // valueEvent
	old     []byte            // valueEvent; nil if there is none
	first   bool              // valueEvent
	skipped int               // valueEvent
	reason  UnsubscribeReason // unsubscribeEvent
	err     error             // failEvent, closeEvent
}

// waiting are an attachment's events that conflation may change, while they
// are in the mailbox; guarded by its mutex.
type waiting struct {
	subscribe *event
	value     *event // the newest
}

// put adds an event; the mailbox owns it from now on.
func (m *mailbox) put(e *event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if (m.events >= m.maxEvents || m.bytes >= m.maxBytes) && m.conflate(e) {
		return
	}
	if m.tail == nil {
		m.head = e
	} else {
		m.tail.next = e
	}
	m.tail = e
	m.events++
	m.bytes += len(e.value)
	switch e.kind {
	case subscribeEvent:
		e.at.waiting.subscribe = e
	case valueEvent:
		e.at.waiting.value = e
	}
	select {
	case m.ready <- struct{}{}:
	default:
	}
}

// conflate makes e superfluous if it can.
func (m *mailbox) conflate(e *event) bool {
	switch e.kind {
	case valueEvent:
		waiting := e.at.waiting.value
		if waiting == nil {
			return false
		}
		m.bytes += len(e.value) - len(waiting.value)
		waiting.value = e.value
		waiting.skipped++
		return true
	case failEvent:
		return true // the session's error listener hears of it
	case unsubscribeEvent:
		if e.at.waiting.subscribe == nil {
			return false
		}
		m.remove(func(old *event) bool { return old.at == e.at })
		return true
	}
	return false
}

// drop removes the events of a stream.
func (m *mailbox) drop(s *stream) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.remove(func(e *event) bool { return e.stream == s })
}

func (m *mailbox) remove(match func(*event) bool) {
	var last *event
	for at := &m.head; *at != nil; {
		e := *at
		if match(e) {
			*at = e.next
			m.taken(e)
			continue
		}
		last = e
		at = &e.next
	}
	m.tail = last
}

// taken accounts for an event that is no longer in the mailbox.
func (m *mailbox) taken(e *event) {
	m.events--
	m.bytes -= len(e.value)
	if e.at == nil {
		return
	}
	if e.at.waiting.subscribe == e {
		e.at.waiting.subscribe = nil
	}
	if e.at.waiting.value == e {
		e.at.waiting.value = nil
	}
}

// take returns the oldest event, or nil if there is none.
func (m *mailbox) take() *event {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.head
	if e == nil {
		return nil
	}
	if m.head = e.next; m.head == nil {
		m.tail = nil
	}
	e.next = nil
	m.taken(e)
	return e
}

// next waits for an event. It fails when ctx is done, even if there are events.
func (m *mailbox) next(ctx context.Context) (*event, error) {
	for {
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if e := m.take(); e != nil {
			return e, nil
		}
		select {
		case <-m.ready:
		case <-ctx.Done():
		}
	}
}
