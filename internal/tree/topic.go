package tree

import (
	"slices"
	"sync"
	"sync/atomic"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/timeseries"
	"advect.dev/internal/topic"
)

// A Topic is a path that has a value, or can have one.
type Topic struct {
	id   int32
	path string
	spec *specification

	mu          sync.Mutex
	instance    int32                  // of the latest update stream; guarded by mu
	removed     bool                   // guarded by mu
	announced   bool                   // listeners were told that it is there; guarded by the lock of Tree.listeners
	latest      atomic.Pointer[Update] // written under mu; nil before the first value
	subscribers []subscriber           // guarded by mu
	stream      *UpdateStream          // the valid one, if any; guarded by mu
	series      *timeseries.Series     // of a time series; guarded by mu
	life        *Life                  // of a topic with a removal policy

	notification atomic.Pointer[outbox.Message] // NOTIFY_SUBSCRIPTION, made when first wanted
}

// Path returns the canonical path.
func (t *Topic) Path() string { return t.path }

// ID returns the number that stands for the topic in every session. It is never
// used again for another topic in the life of the server (21 section 5).
func (t *Topic) ID() int32 { return t.id }

// Specification returns the normalised specification.
func (t *Topic) Specification() topic.Specification { return t.spec.Specification }

// Owner returns the principal that the property OWNER names, or "".
func (t *Topic) Owner() string { return t.spec.owner }

// Value returns the current value and whether there is one; of a time series the
// latest event in event form. The bytes are shared and must not be changed.
func (t *Topic) Value() ([]byte, bool) {
	if u := t.latest.Load(); u != nil && u.retained {
		return u.value(), true
	}
	return nil, false
}

// plain returns the current value as constraints see it: of a time series that of
// the latest event. mu is held.
func (t *Topic) plain() ([]byte, bool) {
	if t.series == nil {
		return t.Value()
	}
	e, ok := t.series.Latest()
	return e.Value, ok
}

// Newest implements [outbox.Source].
func (t *Topic) Newest() (*outbox.Message, uint64) {
	if u := t.latest.Load(); u != nil && t.spec.retains {
		return &u.full, u.version
	}
	return nil, 0
}

// BackPressure implements [outbox.Source].
func (t *Topic) BackPressure() *outbox.Message { return t.Unsubscription(service.BackPressure) }

// Unsubscription returns the message that ends a subscription to the topic.
func (t *Topic) Unsubscription(reason service.UnsubscribeReason) *outbox.Message {
	return outbox.NewMessage(16, func(b []byte) []byte {
		return service.UnsubscriptionNotification.AppendRequest(b, 0, service.Unsubscription{Topic: t.id, Reason: reason})
	})
}

// Notification returns the message that announces the topic to a session.
func (t *Topic) Notification() *outbox.Message {
	if m := t.notification.Load(); m != nil {
		return m
	}
	m := outbox.NewMessage(32+len(t.path), func(b []byte) []byte {
		return service.NotifySubscription.AppendRequest(b, 0, service.Subscription{
			Topic: t.id, Path: t.path, Specification: t.spec.Specification,
		})
	})
	t.notification.Store(m)
	return m
}

// attach subscribes a client, unless the topic has gone. Client.mu is held.
func (t *Topic) attach(c *Client) *Subscription {
	s := &Subscription{Topic: t}
	s.Stream = outbox.Stream{Source: t, Conflation: t.spec.conflation, Priority: t.spec.priority, Tidy: t.spec.tidy}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return nil
	}
	s.index = int32(len(t.subscribers))
	t.subscribers = append(t.subscribers, subscriber{c, s})
	var initial []*Update
	initial, s.Stream.Held = t.initial(c.initial[:0])
	c.sink.Subscribed(s, initial)
	c.initial[0] = nil
	t.subscribes(1)
	t.life.subscribed(len(t.subscribers))
	return s
}

// initial appends the updates that a new subscriber gets to dst, and returns the
// version that it then holds (21 section 4.2). mu is held.
func (t *Topic) initial(dst []*Update) (updates []*Update, held uint64) {
	latest := t.latest.Load()
	switch {
	case latest == nil:
		return nil, 0
	case t.series != nil:
		return t.recent(dst, latest)
	case latest.retained:
		return append(dst, latest), latest.version
	}
	return nil, latest.version
}

// detach ends the subscription of a client, which is told when tell is set.
func (t *Topic) detach(c *Client, s *Subscription, tell bool, reason service.UnsubscribeReason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return // remove has told everyone
	}
	last := len(t.subscribers) - 1
	t.subscribers[s.index] = t.subscribers[last]
	t.subscribers[s.index].index = s.index
	t.subscribers[last] = subscriber{}
	t.subscribers = t.subscribers[:last]
	if cap(t.subscribers) > 64 && last < cap(t.subscribers)/4 {
		t.subscribers = slices.Clone(t.subscribers)
	}
	if tell {
		c.sink.Unsubscribed(s, reason, t.Unsubscription(reason))
	}
	t.subscribes(-1)
	t.life.subscribed(last)
}

// remove marks the topic as gone, tells its subscribers, and returns their
// subscribers so that they can forget it. It returns false when the
// topic had gone already.
func (t *Topic) remove() ([]subscriber, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return nil, false
	}
	t.removed, t.stream = true, nil
	gone := t.subscribers
	if len(gone) > 0 {
		m := t.Unsubscription(service.Removed)
		for _, s := range gone {
			s.client.sink.Unsubscribed(s.Subscription, service.Removed, m)
		}
	}
	t.subscribes(-len(gone))
	t.subscribers = nil
	t.life.end()
	return gone, true
}
