package selector

import (
	"iter"
	"strings"
)

// An Index holds the standing selections of many holders, such as sessions,
// and finds those that select a topic. Selections sit in a tree by the literal
// segments they start with, and equal expressions are held and evaluated once
// for all their keys. The zero value is empty and ready for use. An Index is
// not safe for concurrent use, except that any number of readers may use it
// while nothing changes it.
type Index[K comparable] struct {
	entries table[string, *entry[K]] // by expression of a member
	root    indexNode[K]
}

// An entry is a selector that is not a set, with those who hold it.
type entry[K comparable] struct {
	member *member
	keys   table[K, int] // how often each was added
	node   *indexNode[K]
	at     int // index in node.entries
}

type indexNode[K comparable] struct {
	parent   *indexNode[K]
	segment  string
	children table[string, *indexNode[K]]
	entries  []*entry[K]
}

// Add adds key as a holder of sel. Adding the same twice needs removing it twice.
func (x *Index[K]) Add(sel *Selector, key K) {
	for _, m := range sel.members {
		e, ok := x.entries.get(m.expr)
		if !ok {
			e = &entry[K]{member: m}
			x.entries.set(m.expr, e)
			x.insert(e)
		}
		n, _ := e.keys.get(key)
		e.keys.set(key, n+1)
	}
}

// Remove takes back one Add of sel, or one with an equal expression, for key.
// It has no effect if there is none.
func (x *Index[K]) Remove(sel *Selector, key K) {
	for _, m := range sel.members {
		e, ok := x.entries.get(m.expr)
		if !ok {
			continue
		}
		switch n, ok := e.keys.get(key); {
		case !ok:
		case n > 1:
			e.keys.set(key, n-1)
		default:
			e.keys.delete(key)
			if e.keys.len() == 0 {
				x.entries.delete(m.expr)
				e.remove()
			}
		}
	}
}

// Len returns the number of different selectors held, members of sets counted one by one.
func (x *Index[K]) Len() int { return x.entries.len() }

// Candidates yields the keys whose selections select the topic with a
// canonical path, in no order. A key is yielded once per expression that
// selects the path, so possibly more than once. The index must not change
// meanwhile.
func (x *Index[K]) Candidates(path string) iter.Seq[K] {
	return func(yield func(K) bool) {
		node, rest, more := &x.root, path, true
		for ok := true; ok; {
			if !node.candidates(path, yield) || !more {
				return
			}
			var segment string
			segment, rest, more = strings.Cut(rest, "/")
			node, ok = node.children.get(segment)
		}
	}
}

func (n *indexNode[K]) candidates(path string, yield func(K) bool) bool {
	for _, e := range n.entries {
		if !e.member.match(path) {
			continue
		}
		for key := range e.keys.m {
			if !yield(key) {
				return false
			}
		}
	}
	return true
}

func (x *Index[K]) insert(e *entry[K]) {
	node := &x.root
	for _, segment := range e.member.literals {
		child, ok := node.children.get(segment)
		if !ok {
			child = &indexNode[K]{parent: node, segment: segment}
			node.children.set(segment, child)
		}
		node = child
	}
	e.node, e.at = node, len(node.entries)
	node.entries = append(node.entries, e)
}

// remove takes e out of its node, and the node out of the tree if it became empty.
func (e *entry[K]) remove() {
	node := e.node
	last := len(node.entries) - 1
	node.entries[e.at] = node.entries[last]
	node.entries[e.at].at = e.at
	node.entries[last] = nil
	node.entries = node.entries[:last]
	if cap(node.entries) > 32 && last*4 < cap(node.entries) {
		node.entries = append(make([]*entry[K], 0, last*2), node.entries...)
	}
	for node.parent != nil && len(node.entries) == 0 && node.children.len() == 0 {
		node.parent.children.delete(node.segment)
		node = node.parent
	}
}

// A table is a map that gives memory back when it has lost most of its entries.
type table[K comparable, V any] struct {
	m    map[K]V
	peak int // entries since m was made
}

func (t *table[K, V]) get(key K) (V, bool) {
	v, ok := t.m[key]
	return v, ok
}

func (t *table[K, V]) len() int { return len(t.m) }

func (t *table[K, V]) set(key K, value V) {
	if t.m == nil {
		t.m = map[K]V{}
	}
	t.m[key] = value
	t.peak = max(t.peak, len(t.m))
}

func (t *table[K, V]) delete(key K) {
	delete(t.m, key)
	switch {
	case len(t.m) == 0:
		t.m, t.peak = nil, 0
	case t.peak > 32 && len(t.m)*4 < t.peak:
		smaller := make(map[K]V, len(t.m))
		for k, v := range t.m {
			smaller[k] = v
		}
		t.m, t.peak = smaller, len(smaller)
	}
}
