package tree

import (
	"slices"

	"advect.dev/datatype"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// creatable are the types of topic that this server holds.
func creatable(t topic.Type) bool {
	return t == topic.JSON || t == topic.String || t == topic.Int64 || t == topic.Double || t == topic.Binary
}

// maxPath is the length of the longest path of a topic, in octets: what walks the
// tree goes as deep as paths have segments, and a selector can be no longer than
// twice this.
const maxPath = selector.MaxLength / 2

// checkNew checks what a client wants to create and returns the canonical path
// and the normalised specification. Errors are service errors (22 section 2).
func checkNew(path string, spec topic.Specification) (string, topic.Specification, error) {
	path = topic.Canonical(path)
	if len(path) > maxPath {
		return path, spec, wire.Errorf(wire.CodeTopicPathInvalid, "invalid topic path: longer than %d octets", maxPath)
	}
	if err := topic.CheckPath(path); err != nil {
		return path, spec, wire.Errorf(wire.CodeTopicPathInvalid, "%v", err)
	}
	if topic.Reserved(path) {
		return path, spec, wire.Errorf(wire.CodeTopicPathInvalid, "invalid topic path %q: the branch Diffusion belongs to the server", path)
	}
	spec, err := spec.Normalise()
	if err != nil {
		return path, spec, wire.Errorf(wire.CodeTopicSpecInvalid, "invalid topic specification: %v", err)
	}
	if !creatable(spec.Type) {
		return path, spec, wire.Errorf(wire.CodeTopicSpecInvalid, "this server has no %s topics yet; use JSON, STRING, INT64, DOUBLE or BINARY", spec.Type)
	}
	return path, spec, nil
}

func mismatch(path string, has, wants topic.Specification) error {
	return wire.Errorf(wire.CodeTopicExists, "topic %q exists with another specification: it is %v, not %v", path, has, wants)
}

// Add creates a topic without a value, and subscribes the clients that select
// it. It reports whether the topic was there already, with the same
// specification. Errors are service errors (22 section 2).
func (t *Tree) Add(path string, spec topic.Specification) (service.Created, error) {
	path, spec, err := checkNew(path, spec)
	if err != nil {
		return 0, err
	}
	if existing := t.insertNew(path, spec, nil); existing != nil {
		if !existing.spec.Equal(spec) {
			return 0, mismatch(path, existing.spec.Specification, spec)
		}
		return service.TopicExists, nil
	}
	return service.TopicCreated, nil
}

// insertNew creates a topic, with a value unless it is nil, unless one exists,
// which it returns.
func (t *Tree) insertNew(path string, spec topic.Specification, value []byte) (existing *Topic) {
	if existing = t.Get(path); existing != nil {
		return existing
	}
	n := t.newTopic(path, spec)
	if value != nil {
		n.set(value) // nobody else has it yet
	}
	if existing = t.insert(n); existing != nil {
		return existing
	}
	t.announce(n)
	return nil
}

// announce subscribes the clients whose selections select a new topic.
func (t *Tree) announce(n *Topic) {
	t.selections.RLock()
	candidates := slices.Collect(t.selections.index.Candidates(n.path))
	t.selections.RUnlock()
	for _, c := range candidates {
		c.mu.Lock()
		if c.selected(n.path) {
			t.attach(c, n)
		}
		c.mu.Unlock()
	}
}

// Set gives a topic a value, if the constraint is satisfied, and publishes it.
// The value is copied. Errors are service errors (23 section 2).
func (t *Tree) Set(path string, typ topic.Type, value []byte, constraint *service.Constraint) error {
	path = topic.Canonical(path)
	n := t.Get(path)
	if n == nil {
		if err := satisfied(constraint, path, nil); err != nil {
			return err
		}
		return noSuchTopic(path)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		return noSuchTopic(path)
	}
	if err := satisfied(constraint, path, n); err != nil {
		return err
	}
	if err := n.spec.accept(path, typ, value); err != nil {
		return err
	}
	n.set(value)
	return nil
}

func noSuchTopic(path string) error {
	return wire.Errorf(wire.CodeNoSuchTopic, "no topic at %q: add it, or set it with a specification", path)
}

// accept checks a value against what the topic takes (10 section 10.13).
func (s *specification) accept(path string, typ topic.Type, value []byte) error {
	if typ != s.Type {
		return wire.Errorf(wire.CodeIncompatibleUpdate, "topic %q is %s, the value is %s", path, s.Type, typ)
	}
	check := datatype.Plausible
	if s.validates {
		check = datatype.Validate
	}
	if err := check(datatype.Type(typ), value); err != nil {
		return wire.Errorf(wire.CodeUpdateFailed, "value for topic %q is not %s: %v", path, typ, err)
	}
	return nil
}

// AddAndSet does as Add and then Set; a topic is not created when its value is
// refused.
func (t *Tree) AddAndSet(path string, spec topic.Specification, value []byte, constraint *service.Constraint) (service.Created, error) {
	path, spec, err := checkNew(path, spec)
	if err != nil {
		return 0, err
	}
	if err := t.specs.get(spec).accept(path, spec.Type, value); err != nil {
		return 0, err
	}
	for {
		existing := t.Get(path)
		if existing == nil {
			if err := satisfied(constraint, path, nil); err != nil {
				return 0, err
			}
			if existing = t.insertNew(path, spec, value); existing == nil {
				return service.TopicCreated, nil
			}
		}
		if !existing.spec.Equal(spec) {
			return 0, mismatch(path, existing.spec.Specification, spec)
		}
		err := t.Set(path, spec.Type, value, constraint)
		if e, ok := err.(*wire.ServiceError); ok && e.Code == wire.CodeNoSuchTopic {
			continue // removed meanwhile
		}
		return service.TopicExists, err
	}
}

// Remove removes the topics that a selector matches and allowed permits, and
// returns how many. Subscribers are told before it returns.
func (t *Tree) Remove(sel *selector.Selector, allowed func(path string) bool) int {
	removed := 0
	t.Walk(sel, func(n *Topic) bool {
		if !allowed(n.path) {
			return true
		}
		if gone, ok := n.remove(); ok {
			t.delete(n)
			for _, s := range gone {
				s.client.forget(s)
			}
			removed++
		}
		return true
	})
	return removed
}
