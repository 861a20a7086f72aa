package tree

import (
	"maps"
	"math"
	"slices"
	"strings"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// Fetch evaluates a query for a session that may read the paths for which
// canRead is true. The encoded result takes at most maxSize bytes, or fewer if
// the query says so (24 section 3).
func (t *Tree) Fetch(q *service.Query, sel *selector.Selector, maxSize int, canRead func(path string) bool) service.QueryResult {
	if q.MaxResultSize >= 0 {
		maxSize = min(maxSize, int(q.MaxResultSize))
	}
	f := fetch{query: q, branches: map[string]int32{}, sets: map[*specification]int32{}, room: maxSize - resultOverhead}
	if !q.Properties {
		f.result.PropertySets = []map[string]string{nil}
	}
	keep := int(q.Limit)
	first := keep >= 0
	var found []*Topic // all that count, for the last n; for the first n one more than they
	t.Walk(sel, func(n *Topic) bool {
		if !f.within(n.path) || q.Types&(1<<n.spec.Type) == 0 || !canRead(n.path) || !f.shallow(n.path) {
			return true
		}
		found = append(found, n)
		return !first || len(found) <= keep
	})
	if first && len(found) > keep {
		found, f.result.More = found[:keep], true
	}
	if !first && len(found) > -keep {
		found, f.result.More = found[len(found)+keep:], true
	}
	if first {
		for _, n := range found {
			if !f.add(n) {
				break
			}
		}
		return f.result
	}
	for _, n := range slices.Backward(found) {
		if !f.add(n) {
			break
		}
	}
	slices.Reverse(f.result.Topics)
	return f.result
}

// resultOverhead covers the message header and the counts of a result.
const resultOverhead = 32

type fetch struct {
	query    *service.Query
	result   service.QueryResult
	branches map[string]int32 // topics taken, by deep branch
	sets     map[*specification]int32
	room     int // bytes left
	scratch  []byte
}

func (f *fetch) within(path string) bool {
	if from := f.query.From; from != nil {
		c := topic.ComparePaths(path, topic.Canonical(from.Path))
		if c < 0 || c == 0 && !from.Inclusive {
			return false
		}
	}
	if to := f.query.To; to != nil {
		c := topic.ComparePaths(path, topic.Canonical(to.Path))
		return c < 0 || c == 0 && to.Inclusive
	}
	return true
}

// shallow applies the limit on deep branches (24 section 5).
func (f *fetch) shallow(path string) bool {
	depth := int(f.query.DeepBranchDepth)
	if f.query.DeepBranchLimit == math.MaxInt32 || depth == math.MaxInt32 || strings.Count(path, "/")+1 < depth {
		return true
	}
	end := 0
	for range depth {
		next := strings.IndexByte(path[end:], '/')
		if next < 0 {
			end = len(path) + 1
			break
		}
		end += next + 1
	}
	branch := path[:max(0, end-1)]
	if f.branches[branch] >= f.query.DeepBranchLimit {
		return false
	}
	f.branches[branch]++
	return true
}

// add appends a topic to the result, or says that there is more and no room.
func (f *fetch) add(n *Topic) bool {
	item := service.FetchedTopic{Path: n.path, Type: n.spec.Type}
	value, has := n.Value()
	if f.query.Values && has {
		item.Value = &value
	}
	if f.query.Sizes {
		item.Size = service.Size{Kind: service.ValueSize, Value: int32(len(value))}
	}
	size := 0
	if f.query.Properties {
		item.PropertySet, size = f.propertySet(n.spec)
	}
	f.scratch = item.Append(f.scratch[:0])
	if f.room -= size + len(f.scratch); f.room < 0 {
		f.result.More = true
		return false
	}
	f.result.Topics = append(f.result.Topics, item)
	return true
}

// propertySet returns the index of a specification's properties and the bytes
// that a first use adds.
func (f *fetch) propertySet(s *specification) (index int32, size int) {
	if index, ok := f.sets[s]; ok {
		return index, 0
	}
	for i, set := range f.result.PropertySets {
		if maps.Equal(set, s.Properties) {
			f.sets[s] = int32(i)
			return int32(i), 0
		}
	}
	index = int32(len(f.result.PropertySets))
	f.sets[s] = index
	f.result.PropertySets = append(f.result.PropertySets, s.Properties)
	return index, len(topic.AppendProperties(nil, s.Properties))
}
