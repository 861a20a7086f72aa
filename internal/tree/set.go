package tree

import (
	"bytes"
	"fmt"
	"runtime"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// maxPath is the length of the longest path of a topic, in octets: what evaluates
// selectors goes as deep as paths have segments, and a selector can be no longer
// than twice this.
const maxPath = selector.MaxLength / 2

// An Author is the session on whose behalf the tree is changed.
type Author struct {
	Principal string         // becomes the author of time series events
	Session   wire.SessionID // of removal policies that depend on it
	Roles     []string       // with which removal policies remove
}

// checkNew checks what a client wants to create and returns the canonical path
// and the topic's specification. Errors are service errors (22 section 2).
func (t *Tree) checkNew(path string, spec topic.Specification) (string, *specification, error) {
	path = topic.Canonical(path)
	if len(path) > maxPath {
		return path, nil, wire.Errorf(wire.CodeTopicPathInvalid, "invalid topic path: longer than %d octets", maxPath)
	}
	if err := topic.CheckPath(path); err != nil {
		return path, nil, wire.Errorf(wire.CodeTopicPathInvalid, "%v", err)
	}
	if topic.Reserved(path) {
		return path, nil, wire.Errorf(wire.CodeTopicPathInvalid, "invalid topic path %q: the branch Diffusion belongs to the server", path)
	}
	sp, err := t.specs.get(spec)
	if err != nil {
		return path, nil, wire.Errorf(wire.CodeTopicSpecInvalid, "%v", err)
	}
	return path, sp, nil
}

func mismatch(path string, has, wants *specification) error {
	return wire.Errorf(wire.CodeTopicExists, "topic %q exists with another specification: it is %v, not %v",
		path, has.Specification, wants.Specification)
}

func noSuchTopic(path string) error {
	return wire.Errorf(wire.CodeNoSuchTopic, "no topic at %q: add it, or set it with a specification", path)
}

// Add creates a topic without a value, and subscribes the clients that select
// it. It reports whether the topic was there already, with the same
// specification. Errors are service errors (22 section 2).
func (t *Tree) Add(by *Author, r *service.AddRequest) (service.Created, error) {
	created, _, err := t.add(by, r.Path, r.Specification, change{})
	return created, err
}

// Set gives a topic a value, if the constraint is satisfied, and publishes it.
// The value is copied. Errors are service errors (23 section 2).
func (t *Tree) Set(by *Author, r *service.SetRequest) error {
	_, err := t.update(by, r.Path, r.Type, change{value: r.Value, constraint: &r.Constraint})
	return err
}

// AddAndSet does as Add and then Set; a topic is not created when its value is
// refused.
func (t *Tree) AddAndSet(by *Author, r *service.AddAndSetRequest) (service.Created, error) {
	created, _, err := t.add(by, r.Path, r.Specification, change{value: r.Value, constraint: &r.Constraint})
	return created, err
}

// SetTopic does as Set for a topic that was got before, unless it was removed since.
func (t *Tree) SetTopic(by *Author, n *Topic, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		return noSuchTopic(n.path)
	}
	_, err := n.change(t, by, change{value: value})
	return err
}

// A change is what a request wants of a topic.
type change struct {
	value      []byte // nil: none
	constraint *service.Constraint
	opens      bool // an update stream
}

// update makes a change to an existing topic whose values are of a type.
func (t *Tree) update(by *Author, path string, typ topic.Type, c change) (*UpdateStream, error) {
	path = topic.Canonical(path)
	n := t.Get(path)
	if n == nil {
		if err := t.satisfied(c.constraint, path, nil); err != nil {
			return nil, err
		}
		return nil, noSuchTopic(path)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		return nil, noSuchTopic(path)
	}
	if err := t.satisfied(c.constraint, path, n); err != nil {
		return nil, err
	}
	if typ != n.spec.valueType {
		return nil, wire.Errorf(wire.CodeIncompatibleUpdate, "the values of topic %q are %s, not %s", path, n.spec.valueType, typ)
	}
	return n.change(t, by, c)
}

// change makes a change whose constraint is satisfied. mu is held, or nobody else
// has the topic yet.
func (t *Topic) change(tree *Tree, by *Author, c change) (*UpdateStream, error) {
	if c.value != nil {
		if err := t.spec.accept(t.path, c.value); err != nil {
			return nil, err
		}
	}
	var s *UpdateStream
	if c.opens {
		s = t.open(tree, by, c.constraint)
	}
	if c.value != nil {
		t.set(by, c.value, s, nil)
	}
	return s, nil
}

// add makes a change to a topic, which it creates unless it exists.
func (t *Tree) add(by *Author, path string, spec topic.Specification, c change) (service.Created, *UpdateStream, error) {
	path, sp, err := t.checkNew(path, spec)
	if err != nil {
		return 0, nil, err
	}
	for {
		n := t.Get(path)
		if n == nil {
			if err := t.satisfied(c.constraint, path, nil); err != nil {
				return 0, nil, err
			}
			s, created, err := t.create(by, path, sp, c)
			if err != nil {
				return 0, nil, err
			}
			if created {
				return service.TopicCreated, s, nil
			}
			continue
		}
		n.mu.Lock()
		if n.removed {
			n.mu.Unlock()
			t.awaitRemovals()
			continue // until it has left the tree
		}
		s, err := t.join(n, by, sp, c)
		n.mu.Unlock()
		return service.TopicExists, s, err
	}
}

// create makes the change of a request to a new topic, unless there is one by now.
func (t *Tree) create(by *Author, path string, sp *specification, c change) (s *UpdateStream, created bool, err error) {
	n := t.newTopic(path, sp, by)
	if sp.startsWithValue() {
		if s, err = n.change(t, by, c); err != nil || t.insert(n) != nil {
			return nil, false, err
		}
		t.announce(n)
		return s, true, nil
	}
	// Those who wait for the topic get the value only if it comes after them.
	if c.value != nil {
		if err := sp.accept(path, c.value); err != nil {
			return nil, false, err
		}
	}
	if t.insert(n) != nil {
		return nil, false, nil
	}
	t.announce(n)
	n.mu.Lock()
	defer n.mu.Unlock()
	s, err = n.change(t, by, c)
	if n.removed { // by somebody who was quick
		n.stream = nil
	}
	return s, true, err
}

// join makes the change of a request that would have created a topic which
// exists. Topic.mu is held.
func (t *Tree) join(n *Topic, by *Author, sp *specification, c change) (*UpdateStream, error) {
	if err := t.satisfied(c.constraint, n.path, n); err != nil {
		return nil, err
	}
	if !n.spec.Equal(sp.Specification) {
		return nil, mismatch(n.path, n.spec, sp)
	}
	return n.change(t, by, c)
}

// announce tells the clients and listeners that select a new topic.
func (t *Tree) announce(n *Topic) {
	t.watch(n)
	t.eachClient(n.path, func(c *Client) {
		if c.selected(n.path) {
			t.attach(c, n)
		}
	})
	t.notifyAdded(n)
}

// null is the value that clears a topic of a type that has one (10 section 10.8).
var null = []byte{0xf6}

// set publishes a value that has passed all checks. It is copied. Setting what is
// there already does nothing, except that a time series gets another event. via
// is the update stream that the value came through, as a delta d unless that is
// nil; the topic's other stream ends. mu is held.
func (t *Topic) set(by *Author, value []byte, via *UpdateStream, d []byte) {
	if via != nil {
		via.valued = true
	}
	if t.series != nil {
		t.append(by, value)
		if via != nil {
			via.base = bytes.Clone(value)
		}
		return
	}
	old := t.latest.Load()
	cleared := t.spec.Type.HasNull() && bytes.Equal(value, null)
	if t.spec.retains {
		if cleared && (old == nil || !old.retained) {
			return
		}
		if old != nil && old.retained && bytes.Equal(old.value(), value) {
			return
		}
	}
	if t.stream != via {
		t.stream = nil
	}
	u := newUpdate(t, value)
	u.retained = t.spec.retains && !cleared
	t.publish(u, d)
}

// accept checks a value against what the topic takes (10 section 10.13).
func (s *specification) accept(path string, value []byte) error {
	if err := s.check(value); err != nil {
		return wire.Errorf(wire.CodeUpdateFailed, "value for topic %q is not %s: %v", path, s.valueType, err)
	}
	return nil
}

// Remove removes the topics that a selector matches and allowed permits, and
// returns how many. Subscribers are told before it returns.
func (t *Tree) Remove(sel *selector.Selector, allowed func(*Topic) bool) int {
	removed := 0
	t.Walk(sel, func(n *Topic) bool {
		if allowed(n) && t.remove(n) {
			removed++
		}
		return true
	})
	return removed
}

func (t *Tree) remove(n *Topic) bool {
	gone, ok := n.remove()
	if !ok {
		return false
	}
	for _, s := range gone {
		s.client.forget(s.Subscription)
	}
	t.notifyRemoved(n)
	t.delete(n)
	return true
}

// awaitRemovals lets those who are taking topics out go on: they hold the lock of
// the listeners nearly to the end.
func (t *Tree) awaitRemovals() {
	t.listeners.Lock()
	//lint:ignore SA2001 to have waited is all
	t.listeners.Unlock()
	runtime.Gosched()
}

// String describes a topic for logs.
func (t *Topic) String() string { return fmt.Sprintf("%s (%s)", t.path, t.spec.Type) }
