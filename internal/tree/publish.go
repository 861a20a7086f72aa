package tree

import (
	"sync"

	"advect.dev/internal/delta"
	"advect.dev/internal/outbox"
	"advect.dev/internal/wire"
)

// An Update is one change of a topic's value, encoded once for all subscribers.
// It implements [outbox.Update] without compression.
type Update struct {
	version  uint64
	retained bool // value is the topic's value until the next update
	value    []byte
	full     *outbox.Message
	delta    *outbox.Message // from version-1, while it is published; nil: none, or not smaller

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

// publish makes u the topic's newest update and gives it to all subscribers. d is
// a delta from the value before, or nil: then one is computed if it is wanted.
// mu is held.
func (t *Topic) publish(u *Update, d []byte) {
	old := t.latest.Load()
	if old != nil {
		u.version = old.version + 1
	}
	if t.spec.deltas && len(t.subscriptions) > 0 && old != nil && old.retained && u.retained {
		if d != nil {
			u.setDelta(t, d)
		} else {
			u.findDelta(t, old.value)
		}
	}
	if t.spec.retains {
		t.latest.Store(u)
	} else {
		t.latest.Store(&Update{version: u.version})
	}
	for _, s := range t.subscriptions {
		s.client.sink.Updated(s, u)
	}
	u.delta, u.zDelta.message = nil, nil // nobody else will want them
	t.life.update()
}

// findDelta gives u a delta from the value before it, if one is smaller.
func (u *Update) findDelta(t *Topic, old []byte) {
	scratch := deltaScratch.Get().(*[]byte)
	defer deltaScratch.Put(scratch)
	if d, ok := delta.Append((*scratch)[:0], old, u.value, len(u.value)); ok {
		*scratch = d
		u.setDelta(t, d)
	}
}

// setDelta gives u a delta, unless it is not smaller than the value.
func (u *Update) setDelta(t *Topic, d []byte) {
	if len(d) >= len(u.value) {
		return
	}
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
