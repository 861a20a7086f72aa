package tree

import (
	"slices"
	"strings"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A ListenerSink takes the events of a listener, in order. It is called with the
// tree's listeners locked, so it must return quickly and must not call the tree.
type ListenerSink interface {
	// Event tells of a topic that the listener selects.
	Event(kind service.TopicEventKind, n *Topic)
	// Descendant tells of an immediate descendant of a path that it selects.
	Descendant(kind service.TopicEventKind, n *Topic)
	// CanRead reports whether the listener may know of a topic.
	CanRead(n *Topic) bool
}

// A Listener is told when topics come and go (25). Its methods are on [Tree].
// Those of one listener must not overlap.
type Listener struct {
	sink ListenerSink

	// Guarded by the lock of Tree.listeners.
	closed  bool
	scope   []selection
	size    int         // of scope, in octets
	former  []selection // the scope before, which applies to topics beyond reached
	reached *bound      // how far the change to scope has come; nil: it is complete
}

// NewListener returns a listener that selects nothing.
func NewListener(sink ListenerSink) *Listener { return &Listener{sink: sink} }

// coverage is how a listener is told of a path.
type coverage int8

const (
	uncovered coverage = iota
	descendant
	direct
)

// cover returns how a scope covers the topic at a path: an immediate descendant
// has no topic between it and the nearest selected path above it (25 section 4).
// Topics that listeners have not been told of do not count, nor does gone. The
// listeners are locked.
func (t *Tree) cover(scope []selection, path string, gone *Topic) coverage {
	if len(scope) == 0 {
		return uncovered
	}
	if selects(scope, path) {
		return direct
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if selects(scope, path[:i]) {
			return descendant
		}
		if n := t.Get(path[:i]); n != nil && n.announced && n != gone {
			return uncovered
		}
	}
	return uncovered
}

// scopeAt returns the scope that applies to a path.
func (l *Listener) scopeAt(path string) []selection {
	if l.reached != nil && l.reached.beyond(path) {
		return l.former
	}
	return l.scope
}

func (l *Listener) event(kind service.TopicEventKind, c coverage, n *Topic) {
	switch {
	case c == uncovered || !l.sink.CanRead(n):
	case c == direct:
		l.sink.Event(kind, n)
	default:
		l.sink.Descendant(kind, n)
	}
}

// Listen adds a selection to a listener, which is told of the topics that it then
// covers. It fails with INVALID_DATA when there are too many.
func (t *Tree) Listen(l *Listener, sel *selector.Selector) error {
	return t.reselect(l, selection{sel, true}, service.TopicSelected)
}

// Unlisten takes what a selector matches out of what a listener selects; it is
// told of the topics that it no longer covers.
func (t *Tree) Unlisten(l *Listener, sel *selector.Selector) error {
	return t.reselect(l, selection{sel, false}, service.TopicDeselected)
}

// reselect goes through the topics in order, and gives up the lock now and then:
// of topics that come or go meanwhile the listener is told by the scope that
// applies at their place.
func (t *Tree) reselect(l *Listener, s selection, kind service.TopicEventKind) error {
	t.listeners.Lock()
	defer t.listeners.Unlock()
	if l.closed {
		return nil
	}
	scope, size := l.with(s)
	if size > maxSelections && size > l.size {
		return wire.Errorf(wire.CodeInvalidData, "the listener has too many selections, or too long ones: close it and select less")
	}
	for _, s := range scope {
		if s.selects {
			t.listeners.index.Add(s.selector, l)
		}
	}
	part := branch(s.selector)
	l.former, l.scope, l.size, l.reached = l.scope, scope, size, &part.from
	for more := true; more && !l.closed; {
		n := 0
		more = false
		t.scan(nil, part, func(topic *Topic) (string, bool) {
			part.from = bound{topic.path, after}
			if topic.announced {
				was, is := t.cover(l.former, topic.path, nil), t.cover(l.scope, topic.path, nil)
				if s.selects && is > was || !s.selects && is < was {
					l.event(kind, max(is, was), topic)
				}
			}
			n++
			more = n == breath
			return "", !more
		})
		if more {
			t.listeners.Unlock()
			t.listeners.Lock()
		}
	}
	t.unlist(l, l.former)
	l.former, l.reached = nil, nil
	return nil
}

// with returns the scope that a further selection makes, and its size.
func (l *Listener) with(s selection) (scope []selection, size int) {
	scope = slices.DeleteFunc(slices.Clone(l.scope), func(o selection) bool {
		return o.selector.String() == s.selector.String() || !s.selects && s.selector.MatchesEverything()
	})
	if s.selects || len(scope) > 0 {
		scope = append(scope, s)
	}
	for i := range scope {
		size += scope[i].size("")
	}
	return scope, size
}

// unlist takes a listener's scope out of the index. The listeners are locked.
func (t *Tree) unlist(l *Listener, scope []selection) {
	for _, s := range scope {
		if s.selects {
			t.listeners.index.Remove(s.selector, l)
		}
	}
}

// branch returns the span of all topics that a selector matches and of those
// below them.
func branch(sel *selector.Selector) span {
	s := within(sel)
	s.to.side = past
	return s
}

// concerned returns the listeners that may cover a path. The listeners are locked.
func (t *Tree) concerned(path string) []*Listener {
	if t.listeners.index.Len() == 0 {
		return nil
	}
	found := make(map[*Listener]struct{})
	for end := len(path); end > 0; end = strings.LastIndexByte(path[:end], '/') {
		for l := range t.listeners.index.Candidates(path[:end]) {
			found[l] = struct{}{}
		}
	}
	list := make([]*Listener, 0, len(found))
	for l := range found {
		list = append(list, l)
	}
	return list
}

// notifyAdded tells the listeners of a new topic.
func (t *Tree) notifyAdded(n *Topic) {
	t.listeners.Lock()
	defer t.listeners.Unlock()
	n.mu.Lock()
	removed := n.removed
	n.mu.Unlock()
	if removed {
		return
	}
	n.announced = true
	for _, l := range t.concerned(n.path) {
		l.event(service.TopicAdded, t.cover(l.scopeAt(n.path), n.path, nil), n)
	}
}

// notifyRemoved tells the listeners that a topic has gone. It is still in the
// tree. Those below it that it hid are then added.
func (t *Tree) notifyRemoved(n *Topic) {
	t.listeners.Lock()
	defer t.listeners.Unlock()
	if !n.announced {
		return
	}
	for _, l := range t.concerned(n.path) {
		c := t.cover(l.scopeAt(n.path), n.path, nil)
		l.event(service.TopicRemoved, c, n)
		if c == descendant || l.reached != nil {
			t.unhide(l, n)
		}
	}
	n.announced = false
}

// unhide tells a listener of the topics that are immediate descendants now that
// one above them has gone. The listeners are locked.
func (t *Tree) unhide(l *Listener, gone *Topic) {
	t.scan(nil, span{bound{gone.path, after}, bound{gone.path, past}}, func(n *Topic) (string, bool) {
		if !n.announced {
			return "", true
		}
		scope := l.scopeAt(n.path)
		if t.cover(scope, n.path, nil) == uncovered && t.cover(scope, n.path, gone) == descendant {
			l.event(service.TopicAdded, descendant, n)
		}
		return n.path, true // what is below it was not hidden by gone
	})
}

// CloseListener forgets a listener, which is told nothing more.
func (t *Tree) CloseListener(l *Listener) {
	t.listeners.Lock()
	defer t.listeners.Unlock()
	l.closed = true
	t.unlist(l, l.scope)
	l.scope = nil
}
