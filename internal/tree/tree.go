package tree

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"advect.dev/internal/selector"
	"advect.dev/internal/topic"
)

// A Tree holds the topics of a server. Its methods may be called concurrently.
type Tree struct {
	seed   maphash.Seed
	shards [64]shard

	structure sync.RWMutex // guards order, and the shards' agreement with it
	order     index

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
	t.order.insert(n)
	t.count.Add(1)
	return nil
}

// delete takes a topic out.
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
	t.order.remove(gone)
	t.count.Add(-1)
}

// newTopic returns a topic with an id that none had before.
func (t *Tree) newTopic(path string, spec topic.Specification) *Topic {
	return &Topic{id: t.nextID.Add(1), path: path, spec: t.specs.get(spec)}
}
