package advect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"advect.dev/datatype"
	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// A cachedTopic is a topic that the session is subscribed to, with the bytes
// that the next delta applies to: those of the value, or of a time series' last
// event with its metadata (protocol 11 section 3). They are shared by all streams and never
// modified. All fields are guarded by Topics.mu.
type cachedTopic struct {
	id            int32
	path          string
	specification Specification
	valueType     datatype.Type // of values, and of the events of a time series
	retains       bool
	known         bool // there is a value, which may be null
	broken        bool // a delta did not apply: deltas are useless until the next value
	value         []byte
	attachments   []*attachment
	fallback      bool // the attachments are of fallback streams
}

// An attachment is the fact that a stream is told of a topic.
type attachment struct {
	stream  *stream
	topic   *cachedTopic
	valued  bool // the stream was given a value; guarded by Topics.mu
	waiting waiting
}

var errNoBase = errors.New("no value to apply the delta to")

// subscribed is called for NOTIFY_SUBSCRIPTION (protocol 21 section 4).
func (t *Topics) subscribed(n service.Subscription) {
	t.mu.Lock()
	err := t.announce(n)
	t.mu.Unlock()
	if err != nil {
		t.report(err)
	}
}

// announce enters a topic. Notifications that break the rules (protocol 21
// section 5.1) are errors that never mix up values: one for a subscribed path is
// ignored; one that takes over the id of another path ends that subscription,
// since what follows with the id can only be of the new path.
func (t *Topics) announce(n service.Subscription) (err error) {
	if old := t.byPath[n.Path]; old != nil {
		return &TopicError{n.Path, fmt.Errorf("the server announced the topic with id %d although it is subscribed with id %d", n.Topic, old.id)}
	}
	if old := t.byID[n.Topic]; old != nil {
		err = &TopicError{n.Path, fmt.Errorf("the server announced the topic with id %d, which is the id of %s", n.Topic, old.path)}
		t.forget(old, UnsubscribeUnknown)
	}
	valueType, _ := ValueType(n.Specification) // else 0, which nothing reads
	c := &cachedTopic{
		id: n.Topic, path: n.Path, specification: n.Specification,
		valueType: valueType,
		retains: n.Specification.Type == TimeSeries ||
			!strings.EqualFold(n.Specification.Properties[topic.DontRetainValue], "true"),
	}
	t.byID[c.id], t.byPath[c.path] = c, c
	for _, s := range t.streams {
		if !s.fallback && s.wants(c) {
			t.attach(s, c)
		}
	}
	if len(c.attachments) == 0 {
		t.attachFallbacks(c)
	}
	return err
}

// unsubscribed is called for UNSUBSCRIPTION_NOTIFICATION (protocol 21 section
// 6). Unknown ids are ignored.
func (t *Topics) unsubscribed(n service.Unsubscription) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if c := t.byID[n.Topic]; c != nil {
		t.forget(c, UnsubscribeReason(n.Reason))
	}
}

// topicMessage is called for TOPIC_VALUE and TOPIC_DELTA (protocol 21 section
// 7). It keeps nothing of payload.
func (t *Topics) topicMessage(id int32, isDelta bool, payload []byte) {
	t.mu.Lock()
	err := t.update(id, isDelta, payload)
	t.mu.Unlock()
	if err != nil {
		t.report(err)
	}
}

func (t *Topics) update(id int32, isDelta bool, payload []byte) error {
	c := t.byID[id]
	if c == nil {
		if t.unknown != nil && *t.unknown == id {
			return nil // one report is enough
		}
		t.unknown = &id
		return fmt.Errorf("the server sent a value for topic id %d, which is not subscribed", id)
	}
	if c.broken && isDelta {
		return nil
	}
	value, err := c.apply(isDelta, payload, t.maxValue)
	if err != nil {
		c.known, c.value, c.broken = false, nil, true
		err = &TopicError{c.path, err}
		for _, a := range c.attachments {
			a.stream.mailbox.put(&event{kind: failEvent, stream: a.stream, at: a, err: err})
		}
		return err
	}
	for _, a := range c.attachments {
		a.give(value)
	}
	c.broken = false
	if c.retains {
		c.known, c.value = true, value
	}
	return nil
}

// apply returns the topic's new value, in memory of its own.
func (c *cachedTopic) apply(isDelta bool, payload []byte, max int) ([]byte, error) {
	switch {
	case !isDelta:
		return append([]byte{}, payload...), nil
	case !c.specification.Type.HasDeltas():
		return nil, fmt.Errorf("the server sent a delta: topics of type %s have none", c.specification.Type)
	case !c.known:
		return nil, errNoBase
	case delta.IsNoChange(payload):
		return c.value, nil
	}
	return delta.Apply([]byte{}, c.value, payload, max) // an empty value is not nil
}

// give tells the stream of a new value, while the topic still holds the old one.
func (a *attachment) give(value []byte) {
	e := &event{kind: valueEvent, stream: a.stream, at: a, value: value, first: !a.valued}
	if a.valued && a.topic.known {
		e.old = a.topic.value
	}
	a.valued = true
	a.stream.mailbox.put(e)
}

// attach tells a stream of a topic from now on, beginning with the value that
// is cached. If the topic is with fallback streams, they lose it (protocol 21
// section 9).
func (t *Topics) attach(s *stream, c *cachedTopic) {
	if c.fallback && !s.fallback {
		c.detachAll(UnsubscribeStreamChange)
	}
	a := &attachment{stream: s, topic: c}
	c.attachments = append(c.attachments, a)
	s.mailbox.put(&event{kind: subscribeEvent, stream: s, at: a})
	if c.known {
		a.valued = true
		s.mailbox.put(&event{kind: valueEvent, stream: s, at: a, value: c.value, first: true})
	}
}

// attachFallbacks gives a topic that no other stream wants to the fallback streams.
func (t *Topics) attachFallbacks(c *cachedTopic) {
	for _, s := range t.streams {
		if s.fallback && s.wants(c) {
			t.attach(s, c)
			c.fallback = true
		}
	}
}

// detachAll tells the streams of a topic that they lose it.
func (c *cachedTopic) detachAll(reason UnsubscribeReason) {
	for _, a := range c.attachments {
		a.stream.mailbox.put(&event{kind: unsubscribeEvent, stream: a.stream, at: a, reason: reason})
	}
	c.attachments, c.fallback = nil, false
}

// attached reports whether s is told of a topic.
func (s *stream) attached(c *cachedTopic) bool {
	return slices.ContainsFunc(c.attachments, func(a *attachment) bool { return a.stream == s })
}

// detach takes one stream, without a word to it, from a topic. When it was the
// last, the fallback streams get the topic.
func (t *Topics) detach(s *stream, c *cachedTopic) {
	c.attachments = slices.DeleteFunc(c.attachments, func(a *attachment) bool { return a.stream == s })
	if len(c.attachments) == 0 {
		c.fallback = false
		t.attachFallbacks(c)
	}
}

func (t *Topics) forget(c *cachedTopic, reason UnsubscribeReason) {
	c.detachAll(reason)
	delete(t.byID, c.id)
	delete(t.byPath, c.path)
}

// sorted returns the subscribed topics that match, in path order.
func (t *Topics) sorted(match func(*cachedTopic) bool) []*cachedTopic {
	var list []*cachedTopic
	for _, c := range t.byID {
		if match(c) {
			list = append(list, c)
		}
	}
	slices.SortFunc(list, func(a, b *cachedTopic) int { return topic.ComparePaths(a.path, b.path) })
	return list
}

// reset is called when a reconnection lost messages: everything is forgotten,
// and the server announces anew (protocol 21 section 8).
func (t *Topics) reset() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, c := range t.sorted(func(*cachedTopic) bool { return true }) {
		t.forget(c, UnsubscribeRefresh)
	}
	t.unknown = nil
}

// closed is called once, when the session ends for good.
func (t *Topics) closed(reason error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason != nil {
		return
	}
	if t.reason = reason; reason == nil {
		t.reason = errors.New("session closed")
	}
	for _, s := range t.streams {
		s.mailbox.put(&event{kind: closeEvent, stream: s, err: t.reason})
	}
	if t.dispatching {
		t.mailbox.put(&event{kind: endEvent})
	}
	t.streams = nil
	clear(t.byID)
	clear(t.byPath)
}

// add enters a stream. A fallback stream gets nothing of the topics that are
// already subscribed (protocol 21 section 9).
func (t *Topics) add(s *stream) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.reason != nil {
		return fmt.Errorf("add stream: %w", t.reason)
	}
	if s.mailbox == t.mailbox && !t.dispatching {
		t.dispatching = true
		go t.dispatch()
	}
	t.streams = append(t.streams, s)
	if s.fallback {
		return nil
	}
	for _, c := range t.sorted(s.wants) {
		t.attach(s, c)
	}
	return nil
}

// remove takes a stream out. Events that it was not yet given are dropped; its
// last one is closeEvent.
func (t *Topics) remove(s *stream) {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.Index(t.streams, s)
	if i < 0 {
		return
	}
	t.streams = slices.Delete(t.streams, i, i+1)
	s.removed.Store(true)
	s.mailbox.drop(s)
	s.mailbox.put(&event{kind: closeEvent, stream: s})
	for _, c := range t.sorted(s.attached) {
		t.detach(s, c)
	}
}

// dispatch runs callbacks until the session has ended and all were told.
func (t *Topics) dispatch() {
	for {
		e, _ := t.mailbox.next(context.Background())
		if e.kind == endEvent {
			return
		}
		e.stream.deliver(e)
	}
}
