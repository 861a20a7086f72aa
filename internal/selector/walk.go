package selector

import (
	"slices"
	"sort"
)

// A Walk is a position in a tree of path segments, reached by descending from
// the root, together with what a selector can still select from there. It is
// a value: keep it per level and descend from it into each child.
//
//	func visit(n *node, w selector.Walk) {
//		if n.topic != nil && w.Matches(n.topic.path) {
//			// selected
//		}
//		segments, all := w.Segments()
//		if all {
//			for segment, child := range n.children {
//				if next, ok := w.Descend(segment); ok {
//					visit(child, next)
//				}
//			}
//			return
//		}
//		for _, segment := range segments {
//			if child := n.children[segment]; child != nil {
//				if next, ok := w.Descend(segment); ok {
//					visit(child, next)
//				}
//			}
//		}
//	}
type Walk struct {
	depth int
	// here have their literal segments behind them.
	here []*member
	// ahead agree with the path so far and have literal segments to come, in
	// order of these: a part of the selector's members.
	ahead []*member
}

// Walk returns the position at the root, above the first segments.
func (s *Selector) Walk() Walk {
	return Walk{ahead: s.members}.settle()
}

// Descend returns the position at the child segment, and whether s can select
// a topic there or below. It allocates nothing for a selector that is not a set.
func (w Walk) Descend(segment string) (next Walk, ok bool) {
	next.depth = w.depth + 1
	next.here = w.enter(segment)
	start := sort.Search(len(w.ahead), func(i int) bool { return w.ahead[i].literals[w.depth] >= segment })
	next.ahead = w.ahead[start:w.after(start, segment)]
	next = next.settle()
	return next, len(next.here)+len(next.ahead) > 0
}

// after returns the index from start of the first selector ahead whose next
// segment is beyond segment.
func (w Walk) after(start int, segment string) int {
	rest := w.ahead[start:]
	return start + sort.Search(len(rest), func(i int) bool { return rest[i].literals[w.depth] > segment })
}

// enter returns those of w.here that let segment through.
func (w Walk) enter(segment string) []*member {
	for i, m := range w.here {
		if m.enter(w.depth, segment) {
			continue
		}
		kept := w.here[:i:i]
		for _, m := range w.here[i+1:] {
			if m.enter(w.depth, segment) {
				kept = append(kept, m) // copies: the capacity is used up
			}
		}
		return kept
	}
	return w.here
}

// settle moves the selectors that have no literal segments to come.
func (w Walk) settle() Walk {
	n := 0
	for n < len(w.ahead) && len(w.ahead[n].literals) == w.depth {
		n++
	}
	if n == 0 {
		return w
	}
	if len(w.here) == 0 {
		w.here = w.ahead[:n]
	} else {
		w.here = append(slices.Clip(w.here), w.ahead[:n]...)
	}
	w.ahead = w.ahead[n:]
	return w
}

// Matches reports whether the selector selects the topic at this position,
// whose canonical path is path.
func (w Walk) Matches(path string) bool {
	for _, m := range w.here {
		if m.selects(w.depth, path) {
			return true
		}
	}
	return false
}

// Ahead reports whether all that the selector can still select is below this
// position, behind literal segments.
func (w Walk) Ahead() bool { return len(w.here) == 0 }

// Segments returns the only children worth descending into, each once, unless
// any child may be: then all is true. No segments and not all: nothing below
// this position can be selected. The slice must not be modified.
func (w Walk) Segments() (segments []string, all bool) {
	for _, m := range w.here {
		if m.continues(w.depth) {
			return nil, true
		}
	}
	if len(w.ahead) == 0 {
		return nil, false
	}
	first, last := w.ahead[0].literals, w.ahead[len(w.ahead)-1].literals
	if first[w.depth] == last[w.depth] {
		return first[w.depth : w.depth+1], false
	}
	for i := 0; i < len(w.ahead); {
		segment := w.ahead[i].literals[w.depth]
		segments = append(segments, segment)
		i = w.after(i, segment)
	}
	return segments, false
}
