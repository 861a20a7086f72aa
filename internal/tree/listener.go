package tree

import (
	"slices"
	"strings"
	"sync"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A ListenerSink takes the events of a listener, in order. It is called with the
// listener locked, so it must return quickly and must not call the tree.
type ListenerSink interface {
	// Event tells of a topic that the listener selects.
	Event(kind service.TopicEventKind, n *Topic)
	// Descendant tells of an immediate descendant of a path that it selects.
	Descendant(kind service.TopicEventKind, n *Topic)
	// CanRead reports whether the listener may know of a topic.
	CanRead(n *Topic) bool
}

// A Listener is told when topics come and go (25). Its methods are on [Tree].
type Listener struct {
	sink ListenerSink

	mu     sync.Mutex
	closed bool
	scope  []selection
	size   int // of scope, in octets
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
func (t *Tree) cover(scope []selection, path string) coverage {
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
		if t.Get(path[:i]) != nil {
			return uncovered
		}
	}
	return uncovered
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

func (t *Tree) reselect(l *Listener, s selection, kind service.TopicEventKind) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	old := l.scope
	kept := slices.DeleteFunc(slices.Clone(old), func(o selection) bool {
		return o.selector.String() == s.selector.String() || !s.selects && s.selector.MatchesEverything()
	})
	if s.selects || len(kept) > 0 {
		kept = append(kept, s)
	}
	size := 0
	for i := range kept {
		size += kept[i].size("")
	}
	if size > maxSelections && size > l.size {
		return wire.Errorf(wire.CodeInvalidData, "the listener has too many selections, or too long ones: close it and select less")
	}
	l.scope, l.size = kept, size
	generation := t.listen(l, old, kept)
	t.scan(nil, branch(s.selector), func(n *Topic) (string, bool) {
		was, is := t.cover(old, n.path), t.cover(l.scope, n.path)
		changed := s.selects && is > was || !s.selects && is < was
		if changed && n.announcedTo(generation) {
			l.event(kind, max(is, was), n)
		}
		return "", true
	})
	return nil
}

// branch returns the span of all topics that a selector matches and of those
// below them.
func branch(sel *selector.Selector) span {
	s := within(sel)
	s.to.side = past
	return s
}

// listen replaces what the index holds of a listener, and returns how many
// selections there were before.
func (t *Tree) listen(l *Listener, old, scope []selection) (generation uint64) {
	t.listeners.Lock()
	defer t.listeners.Unlock()
	for _, s := range scope {
		if s.selects {
			t.listeners.index.Add(s.selector, l)
		}
	}
	for _, s := range old {
		if s.selects {
			t.listeners.index.Remove(s.selector, l)
		}
	}
	t.listeners.generation++
	return t.listeners.generation
}

// announcedTo reports whether a topic is there, and listeners that selected
// before a generation are the only ones told when it was added.
func (t *Topic) announcedTo(generation uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return !t.removed && t.announced != 0 && t.announced <= generation
}

// concerned returns the listeners that may cover a path.
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
	t.listeners.order.Lock()
	defer t.listeners.order.Unlock()
	t.listeners.RLock()
	concerned := t.concerned(n.path)
	n.mu.Lock()
	if n.removed {
		concerned = nil
	} else {
		n.announced = t.listeners.generation + 1
	}
	n.mu.Unlock()
	t.listeners.RUnlock()
	for _, l := range concerned {
		l.mu.Lock()
		l.event(service.TopicAdded, t.cover(l.scope, n.path), n)
		l.mu.Unlock()
	}
}

// notifyRemoved tells the listeners that a topic has gone. It is still in the
// tree. Those below it that it hid are then added.
func (t *Tree) notifyRemoved(n *Topic) {
	t.listeners.order.Lock()
	defer t.listeners.order.Unlock()
	n.mu.Lock()
	known := n.announced != 0
	n.mu.Unlock()
	if !known {
		return
	}
	t.listeners.RLock()
	concerned := t.concerned(n.path)
	t.listeners.RUnlock()
	for _, l := range concerned {
		l.mu.Lock()
		c := t.cover(l.scope, n.path)
		l.event(service.TopicRemoved, c, n)
		if c == descendant {
			t.unhide(l, n)
		}
		l.mu.Unlock()
	}
}

// unhide tells a listener of the topics that are immediate descendants now that
// one above them has gone. Listener.mu is held.
func (t *Tree) unhide(l *Listener, gone *Topic) {
	t.scan(nil, span{bound{gone.path, after}, bound{gone.path, past}}, func(n *Topic) (string, bool) {
		if t.cover(l.scope, n.path) == uncovered {
			l.event(service.TopicAdded, descendant, n)
		}
		return n.path, true // what is below it was not hidden by gone
	})
}

// CloseListener forgets a listener, which is told nothing more.
func (t *Tree) CloseListener(l *Listener) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	t.listen(l, l.scope, nil)
	l.scope = nil
}
