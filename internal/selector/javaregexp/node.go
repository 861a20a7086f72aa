package javaregexp

import "math"

type op uint8

const (
	opEmpty   op = iota // the empty string
	opSet               // one code point out of set
	opConcat            // subs in order
	opAlt               // any of subs
	opRepeat            // subs[0], min to max times
	opCapture           // subs[0], remembered as group ref
	opAtomic            // subs[0], its first match only
	opLook              // subs[0] matches (or not) here without consuming
	opBackref           // what group ref matched last
	opAssert            // a position: assert
)

type greed uint8

const (
	greedy greed = iota
	lazy
	possessive
)

const unbounded = -1

// A node is one part of a parsed expression, with flags, quoting and Java's
// class syntax resolved.
type node struct {
	op       op
	subs     []*node
	set      runeSet
	min, max int // max may be unbounded
	greed    greed
	ref      int
	behind   bool // opLook
	negate   bool // opLook
	// assert is one of ^ $ A z b B; multiline applies to the first two.
	assert     byte
	multiline  bool
	ignoreCase bool // opBackref
}

func (n *node) sub() *node { return n.subs[0] }

// simplify flattens concatenations and drops captures that nothing refers to.
func (n *node) simplify(referenced map[int]bool) *node {
	for i, sub := range n.subs {
		n.subs[i] = sub.simplify(referenced)
	}
	switch n.op {
	case opCapture:
		if !referenced[n.ref] {
			return n.sub()
		}
	case opRepeat:
		if n.sub().op == opEmpty {
			return n.sub()
		}
	case opAlt:
		if len(n.subs) == 1 {
			return n.sub()
		}
	case opConcat:
		var flat []*node
		for _, sub := range n.subs {
			switch sub.op {
			case opEmpty:
			case opConcat:
				flat = append(flat, sub.subs...)
			default:
				flat = append(flat, sub)
			}
		}
		switch len(flat) {
		case 0:
			return &node{op: opEmpty}
		case 1:
			return flat[0]
		}
		n.subs = flat
	}
	return n
}

// items returns the parts of a concatenation, or n itself.
func (n *node) items() []*node {
	if n.op == opConcat {
		return n.subs
	}
	return []*node{n}
}

func concat(items []*node) *node {
	switch len(items) {
	case 0:
		return &node{op: opEmpty}
	case 1:
		return items[0]
	}
	return &node{op: opConcat, subs: items}
}

// trimAnchors drops the assertions that a match of the whole text makes true.
func trimAnchors(items []*node) []*node {
	for len(items) > 0 && items[0].op == opAssert && (items[0].assert == '^' || items[0].assert == 'A') {
		items = items[1:]
	}
	for len(items) > 0 && items[len(items)-1].op == opAssert &&
		(items[len(items)-1].assert == '$' || items[len(items)-1].assert == 'z') {
		items = items[:len(items)-1]
	}
	return items
}

// maxRE2Repeat is the largest repetition the standard engine accepts, nested
// repetitions multiplied.
const maxRE2Repeat = 1000

// linear reports whether the standard engine can evaluate n; repeat is the
// repetition that surrounds n.
func (n *node) linear(repeat int) bool {
	switch n.op {
	case opAtomic, opLook, opBackref:
		return false
	case opRepeat:
		if n.greed == possessive {
			return false
		}
		repeat = saturatingMul(repeat, max(n.min, n.max, 1))
		if repeat > maxRE2Repeat {
			return false
		}
	}
	for _, sub := range n.subs {
		if !sub.linear(repeat) {
			return false
		}
	}
	return true
}

// size estimates the instructions of the compiled form, with repetitions
// written out if expand is true.
func (n *node) size(expand bool) int {
	total := 1
	for _, sub := range n.subs {
		total = saturatingAdd(total, sub.size(expand))
	}
	if expand && n.op == opRepeat {
		total = saturatingMul(total, max(n.min, n.max, 1))
	}
	return total
}

func saturatingAdd(a, b int) int {
	if a > math.MaxInt32-b {
		return math.MaxInt32
	}
	return a + b
}

func saturatingMul(a, b int) int {
	if a > math.MaxInt32/b {
		return math.MaxInt32
	}
	return a * b
}
