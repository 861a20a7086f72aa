package tree

import (
	"hash/maphash"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"advect.dev/internal/selector"
	"advect.dev/internal/topic"
)

// A Tree holds the topics of a server. Its methods may be called concurrently.
type Tree struct {
	seed   maphash.Seed
	shards [64]shard

	structure sync.RWMutex // guards root and below, and the shards' agreement with it
	root      node

	selections struct {
		sync.RWMutex
		index selector.Index[*Client]
	}

	specs  interner
	nextID atomic.Int32
	count  atomic.Int64
}

// A shard holds a part of the topics by path, for look-ups that need no order.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*Topic
}

// A node is a segment of a path. It need not be a topic: a/b can exist without a.
type node struct {
	topic    *Topic
	children map[string]*node
}

// New returns an empty tree.
func New() *Tree {
	t := &Tree{seed: maphash.MakeSeed()}
	for i := range t.shards {
		t.shards[i].topics = make(map[string]*Topic)
	}
	return t
}

func (t *Tree) shard(path string) *shard {
	return &t.shards[maphash.String(t.seed, path)%uint64(len(t.shards))]
}

// Len returns the number of topics.
func (t *Tree) Len() int { return int(t.count.Load()) }

// Get returns the topic at a canonical path, or nil.
func (t *Tree) Get(path string) *Topic {
	s := t.shard(path)
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.topics[path]
}

// insert puts a new topic at its path, or returns the one that is there.
func (t *Tree) insert(n *Topic) (existing *Topic) {
	t.structure.Lock()
	defer t.structure.Unlock()
	s := t.shard(n.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if existing := s.topics[n.path]; existing != nil {
		return existing
	}
	s.topics[n.path] = n
	at := &t.root
	for segment := range strings.SplitSeq(n.path, "/") {
		next := at.children[segment]
		if next == nil {
			next = &node{}
			if at.children == nil {
				at.children = make(map[string]*node, 1)
			}
			at.children[segment] = next
		}
		at = next
	}
	at.topic = n
	t.count.Add(1)
	return nil
}

// delete takes a topic out, and the nodes that only led to it.
func (t *Tree) delete(gone *Topic) {
	t.structure.Lock()
	defer t.structure.Unlock()
	s := t.shard(gone.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.topics[gone.path] != gone {
		return
	}
	delete(s.topics, gone.path)
	t.count.Add(-1)
	t.root.prune(gone.path)
}

// prune clears the topic at a path below n and reports whether n is then empty.
func (n *node) prune(path string) bool {
	segment, rest, deeper := strings.Cut(path, "/")
	child := n.children[segment]
	if deeper {
		if child.prune(rest) && child.topic == nil {
			delete(n.children, segment)
		}
	} else if child.topic = nil; len(child.children) == 0 {
		delete(n.children, segment)
	}
	return len(n.children) == 0
}

// newTopic returns a topic with an id that none had before.
func (t *Tree) newTopic(path string, spec topic.Specification) *Topic {
	return &Topic{id: t.nextID.Add(1), path: path, spec: t.specs.get(spec)}
}

// Walk calls visit, in path order, for each topic that a selector matches, until
// visit returns false. Topics that come or go meanwhile may be visited or not.
// No lock is held while visit runs.
func (t *Tree) Walk(sel *selector.Selector, visit func(*Topic) bool) {
	t.walk(&t.root, sel.Walk(), visit)
}

func (t *Tree) walk(n *node, at selector.Walk, visit func(*Topic) bool) bool {
	t.structure.RLock()
	topic := n.topic
	segments, all := at.Segments()
	if all {
		segments = slices.Collect(maps.Keys(n.children))
	}
	t.structure.RUnlock()
	if topic != nil && at.Matches(topic.path) && !visit(topic) {
		return false
	}
	if all {
		slices.Sort(segments)
	}
	for _, segment := range segments {
		next, ok := at.Descend(segment)
		if !ok {
			continue
		}
		t.structure.RLock()
		child := n.children[segment]
		t.structure.RUnlock()
		if child != nil && !t.walk(child, next, visit) {
			return false
		}
	}
	return true
}
