package tree

import (
	"sync/atomic"
	"time"

	"advect.dev/internal/removal"
)

// A Life is what the removal policy of a topic goes by. It implements
// [removal.Subject]. Topics without a policy have none: a nil Life does nothing.
type Life struct {
	topic   *Topic
	by      *Author
	created time.Time
	updated atomic.Int64   // nanoseconds since 1970; 0: never
	watch   *removal.Watch // guarded by Topic.mu
}

func newLife(n *Topic, by *Author) *Life { return &Life{topic: n, by: by, created: time.Now()} }

// Topic returns the topic that has the policy.
func (l *Life) Topic() *Topic { return l.topic }

// Author returns who created the topic.
func (l *Life) Author() *Author { return l.by }

// Created implements [removal.Subject].
func (l *Life) Created() time.Time { return l.created }

// LastUpdate implements [removal.Subject].
func (l *Life) LastUpdate() time.Time {
	if at := l.updated.Load(); at != 0 {
		return time.Unix(0, at)
	}
	return time.Time{}
}

// watch has the policy of a new topic evaluated.
func (t *Tree) watch(n *Topic) {
	if n.life == nil || t.config.Removals == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.removed {
		n.life.watch = t.config.Removals.Add(n.life, n.spec.removal, n.life.by.Session.String())
		n.life.watch.Subscriptions(len(n.subscribers))
	}
}

// update notes that the topic is updated. Topic.mu is held.
func (l *Life) update() {
	if l != nil && l.topic.spec.removal.WatchesUpdates() {
		l.updated.Store(time.Now().UnixNano())
	}
}

// subscribed notes how many subscriptions the topic has. Topic.mu is held.
func (l *Life) subscribed(n int) {
	if l != nil {
		l.watch.Subscriptions(n)
	}
}

// end notes that the topic was removed. Topic.mu is held.
func (l *Life) end() {
	if l != nil {
		l.watch.Forget()
	}
}

// RemoveTopic removes a topic, unless it has gone already.
func (t *Tree) RemoveTopic(n *Topic) bool { return t.remove(n) }
