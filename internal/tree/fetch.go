package tree

import (
	"math"
	"slices"
	"strings"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// Fetch evaluates a query for a session that may read the topics for which
// canRead is true. The encoded result takes at most maxSize bytes, or fewer if
// the query says so (24 section 3). It looks at no more topics than it must: a
// page of a large branch costs what the page holds.
func (t *Tree) Fetch(q *service.Query, sel *selector.Selector, maxSize int, canRead func(*Topic) bool) service.QueryResult {
	if q.MaxResultSize >= 0 {
		maxSize = min(maxSize, int(q.MaxResultSize))
	}
	f := fetch{query: q, canRead: canRead, sets: map[*specification]int32{}, byProperties: map[string]int32{}, room: maxSize - resultOverhead}
	if !q.Properties {
		f.result.PropertySets = []map[string]string{nil}
	}
	part := f.span(sel)
	switch {
	case q.Limit >= 0:
		t.scan(sel, part, func(n *Topic) (pass string, more bool) {
			ok, pass := f.candidate(n)
			return pass, !f.exhausted && (!ok || f.add(n))
		})
		return f.result
	case !f.limitsBranches():
		t.scanBack(sel, part, func(n *Topic) bool {
			ok, _ := f.candidate(n)
			return !ok || f.add(n)
		})
	default: // which topics of a branch count is known only from the front
		var found []*Topic
		t.scan(sel, part, func(n *Topic) (pass string, more bool) {
			ok, pass := f.candidate(n)
			if ok {
				found = append(found, n)
			}
			return pass, !f.exhausted
		})
		for _, n := range slices.Backward(found) {
			if !f.add(n) {
				break
			}
		}
	}
	slices.Reverse(f.result.Topics)
	return f.result
}

// resultOverhead covers the message header and the counts of a result.
const resultOverhead = 32

type fetch struct {
	query   *service.Query
	canRead func(*Topic) bool
	result  service.QueryResult
	sets    map[*specification]int32
	room    int // bytes left

	byProperties map[string]int32 // the sets, by their encoding
	scratch      []byte
	values       [][]byte // topics of the result point into it

	branch    string // the latest deep branch
	taken     int32  // topics of it
	exhausted bool   // no more topics of any branch are wanted
}

// span returns the part of the tree that the query's range leaves.
func (f *fetch) span(sel *selector.Selector) span {
	s := within(sel)
	limits := span{bound{"", before}, bound{"", past}}
	if from := f.query.From; from != nil {
		limits.from = bound{topic.Canonical(from.Path), before}
		if !from.Inclusive {
			limits.from.side = after
		}
	}
	if to := f.query.To; to != nil {
		limits.to = bound{topic.Canonical(to.Path), before}
		if to.Inclusive {
			limits.to.side = after
		}
	}
	return s.clip(limits)
}

// candidate reports whether a topic is one of the result before its limit, and
// names a branch of which no more topics are.
func (f *fetch) candidate(n *Topic) (ok bool, pass string) {
	if f.query.Types&(1<<n.spec.Type) == 0 || !f.canRead(n) {
		return false, ""
	}
	if !f.limitsBranches() {
		return true, ""
	}
	branch, deep := branchOf(n.path, int(f.query.DeepBranchDepth))
	if !deep {
		return true, ""
	}
	if branch != f.branch || f.taken == 0 {
		f.branch, f.taken = branch, 0
	}
	if f.taken >= max(0, f.query.DeepBranchLimit) {
		f.exhausted = branch == "" // of depth 0: the whole tree
		return false, branch
	}
	f.taken++
	return true, ""
}

func (f *fetch) limitsBranches() bool {
	return f.query.DeepBranchLimit != math.MaxInt32 && f.query.DeepBranchDepth != math.MaxInt32
}

// branchOf returns the deep branch that a path belongs to, if it has enough
// segments (24 section 5).
func branchOf(path string, depth int) (branch string, deep bool) {
	end := -1
	for range depth {
		if end == len(path) {
			return "", false
		}
		i := strings.IndexByte(path[end+1:], '/')
		if i < 0 {
			end = len(path)
		} else {
			end += 1 + i
		}
	}
	return path[:max(0, end)], true
}

// add appends a topic to the result, or says that there is more and no room.
func (f *fetch) add(n *Topic) bool {
	if limit := int(f.query.Limit); len(f.result.Topics) == max(limit, -limit) {
		f.result.More = true
		return false
	}
	item := service.FetchedTopic{Path: n.path, Type: n.spec.Type}
	value, has := n.Value()
	if f.query.Values && has {
		item.Value = f.keep(value)
	}
	if f.query.Sizes {
		item.Size = n.size(value)
	}
	size := 0
	if f.query.Properties {
		item.PropertySet, size = f.propertySet(n.spec)
	}
	f.scratch = item.Append(f.scratch[:0])
	if f.room -= size + len(f.scratch); f.room < 0 {
		if size > 0 { // nothing refers to the new set
			f.result.PropertySets = f.result.PropertySets[:item.PropertySet]
		}
		f.result.More = true
		return false
	}
	f.result.Topics = append(f.result.Topics, item)
	return true
}

// keep returns a pointer to a slice, at a fraction of an allocation.
func (f *fetch) keep(value []byte) *[]byte {
	if len(f.values) == cap(f.values) {
		f.values = make([][]byte, 0, min(8+2*cap(f.values), 256)) // the old one stays where it is
	}
	f.values = append(f.values, value)
	return &f.values[len(f.values)-1]
}

// size returns how large the topic's value is (24 section 2).
func (t *Topic) size(value []byte) service.Size {
	if t.series == nil {
		return service.Size{Kind: service.ValueSize, Value: int32(len(value))}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return service.Size{Kind: service.TimeSeriesSize, Value: int32(len(value)), Events: int32(t.series.Len()), Total: t.series.Bytes()}
}

// propertySet returns the index of a specification's properties and the bytes
// that a first use adds.
func (f *fetch) propertySet(s *specification) (index int32, size int) {
	if index, ok := f.sets[s]; ok {
		return index, 0
	}
	key := topic.AppendProperties(nil, s.Properties)
	if index, ok := f.byProperties[string(key)]; ok {
		f.sets[s] = index
		return index, 0
	}
	index = int32(len(f.result.PropertySets))
	f.sets[s], f.byProperties[string(key)] = index, index
	f.result.PropertySets = append(f.result.PropertySets, s.Properties)
	return index, len(key)
}
