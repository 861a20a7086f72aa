package tree

import (
	"bytes"
	"slices"
	"sync"
	"sync/atomic"

	"advect.dev/internal/delta"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A Topic is one node of the tree that holds a value.
type Topic struct {
	id   int32
	path string
	spec *specification

	mu            sync.Mutex
	latest        atomic.Pointer[Update] // written under mu; nil before the first value
	subscriptions []*Subscription        // guarded by mu
	removed       bool                   // guarded by mu

	notification atomic.Pointer[outbox.Message] // NOTIFY_SUBSCRIPTION, made when first wanted
}

// Path returns the canonical path.
func (t *Topic) Path() string { return t.path }

// ID returns the number that stands for the topic in every session. It is never
// used again for another topic in the life of the server (21 section 5).
func (t *Topic) ID() int32 { return t.id }

// Specification returns the normalised specification.
func (t *Topic) Specification() topic.Specification { return t.spec.Specification }

// Value returns the current value and whether there is one. The bytes are
// shared and must not be changed.
func (t *Topic) Value() ([]byte, bool) {
	if u := t.latest.Load(); u != nil && u.retained {
		return u.value, true
	}
	return nil, false
}

// Newest implements [outbox.Source].
func (t *Topic) Newest() (*outbox.Message, uint64) {
	if u := t.latest.Load(); u != nil && t.spec.retains {
		return u.full, u.version
	}
	return nil, 0
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

// null is the value that clears a topic of a type that has one (10 section 10.8).
var null = []byte{0xf6}

// set publishes a value that has passed all checks. mu is held. The value is
// copied. Setting what is there already does nothing.
func (t *Topic) set(value []byte) {
	old := t.latest.Load()
	cleared := t.spec.Type.HasNull() && bytes.Equal(value, null)
	if t.spec.retains {
		if cleared && (old == nil || !old.retained) {
			return
		}
		if old != nil && old.retained && bytes.Equal(old.value, value) {
			return
		}
	}
	u := newUpdate(t, value)
	u.retained = t.spec.retains && !cleared
	if old != nil {
		u.version = old.version + 1
	}
	if t.spec.deltas && len(t.subscriptions) > 0 && old != nil && old.retained && u.retained {
		u.addDelta(t, old.value)
	}
	t.latest.Store(u)
	for _, s := range t.subscriptions {
		s.client.sink.Updated(s, u)
	}
}

// attach subscribes a client, unless the topic has gone.
func (t *Topic) attach(c *Client) *Subscription {
	s := &Subscription{Topic: t, client: c}
	s.Stream = outbox.Stream{Source: t, Conflates: t.spec.conflates}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return nil
	}
	s.index = len(t.subscriptions)
	t.subscriptions = append(t.subscriptions, s)
	u := t.latest.Load()
	if u != nil {
		s.Stream.Held = u.version
		if !u.retained {
			u = nil
		}
	}
	c.sink.Subscribed(s, u)
	return s
}

// detach ends a subscription, telling the client when tell is set.
func (t *Topic) detach(s *Subscription, tell bool, reason service.UnsubscribeReason) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return // remove has told everyone
	}
	last := len(t.subscriptions) - 1
	t.subscriptions[s.index] = t.subscriptions[last]
	t.subscriptions[s.index].index = s.index
	t.subscriptions[last] = nil
	t.subscriptions = t.subscriptions[:last]
	if cap(t.subscriptions) > 64 && last < cap(t.subscriptions)/4 {
		t.subscriptions = slices.Clone(t.subscriptions)
	}
	if tell {
		s.client.sink.Unsubscribed(s, reason)
	}
}

// remove marks the topic as gone, tells its subscribers, and returns their
// subscriptions so that the clients can forget them. It returns false when the
// topic had gone already.
func (t *Topic) remove() ([]*Subscription, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.removed {
		return nil, false
	}
	t.removed = true
	for _, s := range t.subscriptions {
		s.client.sink.Unsubscribed(s, service.Removed)
	}
	gone := t.subscriptions
	t.subscriptions = nil
	return gone, true
}

// An Update is one change of a topic's value, encoded once for all subscribers.
// It implements [outbox.Update] without compression.
type Update struct {
	version  uint64
	retained bool // value is the topic's value until the next update
	value    []byte
	full     *outbox.Message
	delta    *outbox.Message // from version-1; nil: none, or not smaller

	level         int // of compression; 0: never
	zFull, zDelta lazily
}

// lazily is a message made at most once.
type lazily struct {
	once    sync.Once
	message *outbox.Message
}

func newUpdate(t *Topic, value []byte) *Update {
	u := &Update{version: 1, level: t.spec.level}
	u.full = outbox.NewMessage(wire.TopicHeaderLen+len(value), func(b []byte) []byte {
		return append(wire.AppendTopicHeader(b, wire.TypeTopicValue, t.id, false), value...)
	})
	u.value = u.full.Bytes()[wire.TopicHeaderLen:]
	return u
}

// addDelta gives u a delta from the value before it, if one is smaller.
func (u *Update) addDelta(t *Topic, old []byte) {
	scratch := deltaScratch.Get().(*[]byte)
	defer deltaScratch.Put(scratch)
	d, ok := delta.Append((*scratch)[:0], old, u.value, len(u.value))
	if !ok {
		return
	}
	*scratch = d
	u.delta = outbox.NewMessage(wire.TopicHeaderLen+len(d), func(b []byte) []byte {
		return append(wire.AppendTopicHeader(b, wire.TypeTopicDelta, t.id, false), d...)
	})
}

var deltaScratch = sync.Pool{New: func() any { b := make([]byte, 0, 512); return &b }}

// Version returns the number of the value that the update leads to.
func (u *Update) Version() uint64 { return u.version }

// Value returns the message that sets the whole value.
func (u *Update) Value() *outbox.Message { return u.full }

// Delta returns the message that leads there from the version before, or nil.
func (u *Update) Delta() *outbox.Message { return u.delta }

// For returns the update for sessions that understand zlib, or do not.
func (u *Update) For(zlib bool) outbox.Update {
	if zlib && u.level > 0 && u.full.Len() >= compressFrom {
		return (*compressed)(u)
	}
	return u
}
