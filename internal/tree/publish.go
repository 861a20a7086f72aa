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
	full     outbox.Message  // sets the value; empty when the topic keeps none
	delta    *outbox.Message // from version-1, while it is published; nil: none, or not smaller
	zipped   *zipped         // nil: not worth compressing
	retained bool            // value is the topic's value until the next update
}

// newUpdate returns an update whose value is a copy of value.
func newUpdate(t *Topic, value []byte) *Update {
	u := &Update{version: 1}
	u.full = outbox.MakeMessage(wire.TopicHeaderLen+len(value), func(b []byte) []byte {
		return append(wire.AppendTopicHeader(b, wire.TypeTopicValue, t.id, false), value...)
	})
	if t.spec.level > 0 && u.full.Len() >= compressFrom {
		u.zipped = &zipped{level: t.spec.level}
	}
	return u
}

// value returns the value's bytes, which are shared and must not be changed.
func (u *Update) value() []byte {
	if u.full.Len() == 0 {
		return nil
	}
	return u.full.Bytes()[wire.TopicHeaderLen:]
}

// publish makes u the topic's newest update and gives it to all subscribers. d is
// a delta from the value before, or nil: then one is computed if it is wanted.
// mu is held.
func (t *Topic) publish(u *Update, d []byte) {
	t.publishes()
	old := t.latest.Load()
	if old != nil {
		u.version = old.version + 1
	}
	if t.spec.deltas && len(t.subscribers) > 0 && old != nil && old.retained && u.retained {
		if d != nil {
			u.setDelta(t, d)
		} else {
			u.findDelta(t, old.value())
		}
	}
	if t.spec.retains {
		t.latest.Store(u)
	} else {
		t.latest.Store(&Update{version: u.version})
	}
	for rest := t.subscribers; len(rest) > 0; {
		group := rest[:min(len(rest), touched)]
		rest = rest[len(group):]
		for _, s := range group[:touch(group)] {
			s.client.sink.Updated(s.Subscription, u)
		}
	}
	u.delta = nil // nobody else will want it
	if u.zipped != nil {
		u.zipped.delta.message = nil
	}
	t.life.update()
}

// touched is how many subscribers are touched together.
const touched = 16

// touch reads from the memory of each subscriber, so that the processor fetches
// that of all at once. With thousands of subscribers each would else be a wait of
// its own: the lock that comes first lets nothing overtake it. It returns how many
// there are.
func touch(group []subscriber) (n int) {
	for i := range group {
		if s := &group[i]; s.Topic != nil && s.client.sink != nil {
			n++
		}
	}
	return n
}

// findDelta gives u a delta from the value before it, if one is smaller.
func (u *Update) findDelta(t *Topic, old []byte) {
	scratch := deltaScratch.Get().(*[]byte)
	defer deltaScratch.Put(scratch)
	value := u.value()
	if d, ok := delta.Append((*scratch)[:0], old, value, len(value)); ok {
		*scratch = d
		u.setDelta(t, d)
	}
}

// setDelta gives u a delta, unless it is not smaller than the value.
func (u *Update) setDelta(t *Topic, d []byte) {
	if len(d) >= len(u.value()) {
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
func (u *Update) Value() *outbox.Message { return &u.full }

// Delta returns the message that leads there from the version before, or nil.
func (u *Update) Delta() *outbox.Message { return u.delta }

// For returns the update for sessions that understand zlib, or do not.
func (u *Update) For(zlib bool) outbox.Update {
	if zlib && u.zipped != nil {
		return (*compressed)(u)
	}
	return u
}
