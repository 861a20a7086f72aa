package tree

import (
	"hash/maphash"
	"sync"
	"sync/atomic"

	"advect.dev/internal/removal"
	"advect.dev/internal/selector"
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

	listeners struct {
		sync.Mutex // held while listeners are told something: all see topics come and go in one order
		index      selector.Index[*Listener]
	}

	config Config
	specs  interner
	nextID atomic.Int32
	count  atomic.Int64
}

// A Config says what a tree needs to know of its surroundings. The zero value
// will do.
type Config struct {
	// MaxValue bounds the values that deltas and patches make, in bytes. Default
	// 32 MiB.
	MaxValue int
	// Locked reports whether a session lock is held with a sequence number. By
	// default none is.
	Locked func(name string, sequence int64) bool
	// Removals watches the topics that have removal policies; its subjects are of
	// type *Life. Without it the policies have no effect.
	Removals *removal.Scheduler
}

// A shard holds a part of the topics by path, for look-ups that need no order.
type shard struct {
	mu     sync.RWMutex
	topics map[string]*Topic
}

// New returns an empty tree.
func New(c Config) *Tree {
	if c.MaxValue <= 0 {
		c.MaxValue = 32 << 20
	}
	t := &Tree{seed: maphash.MakeSeed(), config: c}
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
func (t *Tree) newTopic(path string, spec *specification, by *Author) *Topic {
	n := &Topic{id: t.nextID.Add(1), path: path, spec: spec, series: newSeries(spec)}
	if spec.removal != nil {
		n.life = newLife(n, by)
	}
	return n
}
