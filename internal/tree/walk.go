package tree

import (
	"sort"
	"strings"

	"advect.dev/internal/selector"
	"advect.dev/internal/topic"
)

// Walk calls visit, in path order, for each topic that a selector matches, until
// visit returns false. Topics that come or go meanwhile may be visited or not.
// Branches in which the selector can match nothing are passed over. No lock is
// held while matching or while visit runs.
func (t *Tree) Walk(sel *selector.Selector, visit func(*Topic) bool) {
	if path, one := sel.One(); one {
		if n := t.Get(path); n != nil {
			visit(n)
		}
		return
	}
	t.scan(sel, within(sel), func(n *Topic) (pass string, more bool) { return "", visit(n) })
}

// A span is a part of the index: from one bound to another.
type span struct{ from, to bound }

// within returns the span that holds all that a selector can match. The prefix
// of a full-path pattern is only text, so it can match siblings too.
func within(sel *selector.Selector) span {
	w := sel.Walk()
	var path []string
	to := past
	for {
		segments, all := w.Segments()
		if all || len(segments) != 1 || !w.Ahead() {
			if !all && len(segments) == 0 {
				to = after
			}
			break
		}
		next, ok := w.Descend(segments[0])
		if !ok {
			break
		}
		path = append(path, segments[0])
		w = next
	}
	whole := strings.Join(path, "/")
	if whole == "" {
		return span{bound{"", before}, bound{"", past}}
	}
	return span{bound{whole, before}, bound{whole, to}}
}

// clip narrows a span.
func (s span) clip(o span) span {
	if s.from.less(o.from) {
		s.from = o.from
	}
	if o.to.less(s.to) {
		s.to = o.to
	}
	return s
}

// less reports whether b comes before o in the index.
func (b bound) less(o bound) bool {
	if b.path == o.path {
		return b.side < o.side
	}
	if b.path == "" || o.path == "" { // around everything
		return b.path == "" && b.side != past || o.path == "" && o.side == past
	}
	switch {
	case b.side == past && below(o.path, b.path):
		return false
	case o.side == past && below(b.path, o.path):
		return true
	}
	return topic.ComparePaths(b.path, o.path) < 0
}

// A matcher evaluates a selector on paths that come in order. It keeps the
// positions of the latest path's segments, so that of a path only what differs
// from the one before is looked at.
type matcher struct {
	positions []selector.Walk // [i]: below the first i segments
	path      string          // that the positions belong to
	ends      []int           // [i]: where segment i of path ends
}

func newMatcher(sel *selector.Selector) *matcher {
	if sel == nil {
		return nil
	}
	return &matcher{positions: append(make([]selector.Walk, 0, 8), sel.Walk())}
}

// match reports whether the path is selected. If nothing can be selected at it
// or below its first segments, dead is the path of those segments.
func (m *matcher) match(path string) (selected bool, dead string) {
	if m == nil {
		return true, ""
	}
	m.keep(path)
	for {
		depth := len(m.ends)
		start := 0
		if depth > 0 {
			if start = m.ends[depth-1] + 1; start > len(path) {
				return m.positions[depth].Matches(path), ""
			}
		}
		end := len(path)
		if i := strings.IndexByte(path[start:], '/'); i >= 0 {
			end = start + i
		}
		next, ok := m.positions[depth].Descend(path[start:end])
		if !ok {
			return false, path[:end]
		}
		m.positions, m.ends, m.path = append(m.positions, next), append(m.ends, end), path
	}
}

// keep gives up the positions that are not on the way to path.
func (m *matcher) keep(path string) {
	n := len(m.ends)
	for n > 0 && (len(path) < m.ends[n-1] || len(path) > m.ends[n-1] && path[m.ends[n-1]] != '/' || path[:m.ends[n-1]] != m.path[:m.ends[n-1]]) {
		n--
	}
	m.ends, m.positions = m.ends[:n], m.positions[:n+1]
}

// siblings returns the only segments worth looking at beside the last one of
// dead, which match returned, unless all are.
func (m *matcher) siblings(dead string) (parent string, segments []string, all bool) {
	segments, all = m.positions[len(m.ends)].Segments()
	if n := len(m.ends); n > 0 {
		parent = dead[:m.ends[n-1]]
	}
	return parent, segments, all
}

func child(parent, segment string) string {
	if parent == "" {
		return segment
	}
	return parent + "/" + segment
}

// skip returns the bound beyond which the next topic can be selected.
func (m *matcher) skip(dead string) bound {
	parent, segments, all := m.siblings(dead)
	if all {
		return bound{dead, past}
	}
	segment := dead[len(dead)-lastSegment(dead):]
	if i := sort.Search(len(segments), func(i int) bool { return segments[i] > segment }); i < len(segments) {
		return bound{child(parent, segments[i]), before}
	}
	return bound{parent, past}
}

// skipBack returns the bound before which the previous topic can be selected.
func (m *matcher) skipBack(dead string) bound {
	parent, segments, all := m.siblings(dead)
	if all {
		return bound{dead, before}
	}
	segment := dead[len(dead)-lastSegment(dead):]
	if i := sort.SearchStrings(segments, segment); i > 0 {
		return bound{child(parent, segments[i-1]), past}
	}
	return bound{parent, after}
}

func lastSegment(path string) int { return len(path) - 1 - strings.LastIndexByte(path, '/') }

// batch sizes grow while a scan passes over nothing.
const minBatch, maxBatch = 4, 256

// scan calls visit for the topics of a span that a selector matches, or for all if
// it is nil, in path order. visit says whether to go on, and may name a branch
// whose rest is to be passed over. It returns how many topics it took from the
// index, which tests hold against how many it visited.
func (t *Tree) scan(sel *selector.Selector, s span, visit func(*Topic) (pass string, more bool)) (taken int) {
	m := newMatcher(sel)
	batch := make([]*Topic, 0, minBatch)
	for size := minBatch; ; size = min(2*size, maxBatch) {
		t.structure.RLock()
		batch = t.order.next(batch[:0], s.from, size)
		t.structure.RUnlock()
		taken += len(batch)
		for i := 0; i < len(batch); {
			n := batch[i]
			if s.to.beyond(n.path) {
				return taken
			}
			selected, dead := m.match(n.path)
			next := bound{n.path, after}
			switch {
			case selected:
				pass, more := visit(n)
				if !more {
					return taken
				}
				if pass != "" {
					next = bound{pass, past}
				}
			case dead != "":
				next = m.skip(dead)
			}
			if next.path == "" { // past everything
				return taken
			}
			i++
			if next.side != after {
				i += sort.Search(len(batch)-i, func(j int) bool { return next.beyond(batch[i+j].path) })
				if i == len(batch) {
					size = minBatch
				}
			}
			s.from = next
		}
		if len(batch) == 0 {
			return taken
		}
	}
}

// scanBack does as scan in the opposite order. Nothing is passed over but what
// the selector cannot match.
func (t *Tree) scanBack(sel *selector.Selector, s span, visit func(*Topic) bool) {
	m := newMatcher(sel)
	batch := make([]*Topic, 0, minBatch)
	for size := minBatch; ; size = min(2*size, maxBatch) {
		t.structure.RLock()
		batch = t.order.previous(batch[:0], s.to, size)
		t.structure.RUnlock()
		for i := 0; i < len(batch); {
			n := batch[i]
			if !s.from.beyond(n.path) {
				return
			}
			selected, dead := m.match(n.path)
			next := bound{n.path, before}
			if selected && !visit(n) {
				return
			}
			if dead != "" {
				next = m.skipBack(dead)
			}
			if next.path == "" {
				return
			}
			i++
			i += sort.Search(len(batch)-i, func(j int) bool { return !next.beyond(batch[i+j].path) })
			if i == len(batch) && dead != "" {
				size = minBatch
			}
			s.to = next
		}
		if len(batch) == 0 {
			return
		}
	}
}
