package engine

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

// A node is a JSON document of the model, or a part of one. Its encodings are
// those of the JavaScript SDK, byte for byte: arrays and objects of indefinite
// length (14 section 9).
type node struct {
	kind  byte // '{', '[', '"', '0' integer, '.' double, 't', 'f', 'n'
	n     int64
	f     float64
	s     string
	keys  []string // of an object
	items []*node
}

func (n *node) clone() *node {
	c := *n
	c.keys, c.items = slices.Clone(n.keys), make([]*node, len(n.items))
	for i, item := range n.items {
		c.items[i] = item.clone()
	}
	return &c
}

func cborHead(b []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(b, major|byte(n))
	case n < 1<<8:
		return append(b, major|24, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(b, major|25), uint16(n))
	case n < 1<<32:
		return binary.BigEndian.AppendUint32(append(b, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(b, major|27), n)
}

func cborText(b []byte, s string) []byte { return append(cborHead(b, 3, uint64(len(s))), s...) }

func cborInt(b []byte, n int64) []byte {
	if n < 0 {
		return cborHead(b, 1, uint64(-1-n))
	}
	return cborHead(b, 0, uint64(n))
}

func cborDouble(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(f))
}

func (n *node) cbor(b []byte) []byte {
	switch n.kind {
	case '{', '[':
		b = append(b, map[byte]byte{'{': 0xbf, '[': 0x9f}[n.kind])
		for i, item := range n.items {
			if n.kind == '{' {
				b = cborText(b, n.keys[i])
			}
			b = item.cbor(b)
		}
		return append(b, 0xff)
	case '"':
		return cborText(b, n.s)
	case '0':
		return cborInt(b, n.n)
	case '.':
		return cborDouble(b, n.f)
	}
	return append(b, map[byte]byte{'t': 0xf5, 'f': 0xf4, 'n': 0xf6}[n.kind])
}

// json appends the document as JSON text, for patches.
func (n *node) json(b []byte) []byte {
	switch n.kind {
	case '{', '[':
		b = append(b, n.kind)
		for i, item := range n.items {
			if i > 0 {
				b = append(b, ',')
			}
			if n.kind == '{' {
				b = append(strconv.AppendQuote(b, n.keys[i]), ':')
			}
			b = item.json(b)
		}
		return append(b, n.kind+2) // both brackets are two apart
	case '"':
		return strconv.AppendQuote(b, n.s)
	case '0':
		return strconv.AppendInt(b, n.n, 10)
	case '.':
		return strconv.AppendFloat(b, n.f, 'f', -1, 64)
	}
	return append(b, map[byte]string{'t': "true", 'f': "false", 'n': "null"}[n.kind]...)
}

var documentKeys = []string{"a", "b", "list", "0", "-"}

// randomNode returns a document of few different parts, so that equal ones recur.
func randomNode(r *rand.Rand, depth int) *node {
	kind := r.IntN(10)
	switch {
	case kind < 3 && depth > 0:
		n := &node{kind: '{'}
		for _, key := range documentKeys {
			if r.IntN(2) == 0 {
				n.keys, n.items = append(n.keys, key), append(n.items, randomNode(r, depth-1))
			}
		}
		return n
	case kind < 5 && depth > 0:
		n := &node{kind: '['}
		for range r.IntN(4) {
			n.items = append(n.items, randomNode(r, depth-1))
		}
		return n
	case kind < 7:
		return &node{kind: '0', n: r.Int64N(5) - 1}
	case kind < 8:
		return &node{kind: '"', s: []string{"", "x", "2", "1.5", strings.Repeat("text ", 60)}[r.IntN(5)]}
	case kind < 9:
		return &node{kind: '.', f: float64(r.IntN(4)) + 0.5}
	}
	return &node{kind: []byte("tfn")[r.IntN(3)]}
}

// randomDocument returns a document with several members, often a large one.
func randomDocument(r *rand.Rand) *node {
	if r.IntN(8) == 0 {
		return randomNode(r, 0)
	}
	n := &node{kind: '{', keys: []string{"a", "b"}, items: []*node{randomNode(r, 1), randomNode(r, 2)}}
	if r.IntN(2) == 0 {
		list := &node{kind: '['}
		for range r.IntN(40) {
			list.items = append(list.items, randomNode(r, 1))
		}
		n.keys, n.items = append(n.keys, "list"), append(n.items, list)
	}
	return n
}

var documentPointers = []string{"", "/a", "/b", "/list", "/c", "/a/b", "/b/a", "/b/0", "/list/0", "/list/1", "/list/-", "/a/-", "/b/list", "/b/list/0", "/list/x"}

func randomPointer(r *rand.Rand) string { return documentPointers[r.IntN(len(documentPointers))] }

func pointerTokens(pointer string) []string {
	if pointer == "" {
		return nil
	}
	return strings.Split(pointer[1:], "/")
}

// child returns the place of a member or element, or -1.
func (n *node) child(token string) int {
	switch n.kind {
	case '{':
		return slices.Index(n.keys, token)
	case '[':
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.items) {
			return i
		}
	}
	return -1
}

// find returns the part that a pointer selects, or nil.
func (n *node) find(tokens []string) *node {
	for _, token := range tokens {
		i := n.child(token)
		if i < 0 {
			return nil
		}
		n = n.items[i]
	}
	return n
}

// A patchOp is one operation of a JSON Patch.
type patchOp struct {
	op, path, from string
	value          *node
}

func (p *patchOp) json(b []byte) []byte {
	b = append(b, `{"op":"`+p.op+`","path":"`+p.path+`"`...)
	if p.from != "" || p.op == "move" || p.op == "copy" {
		b = append(b, `,"from":"`+p.from+`"`...)
	}
	if p.value != nil {
		b = p.value.json(append(b, `,"value":`...))
	}
	return append(b, '}')
}

func randomPatch(r *rand.Rand) (ops []patchOp) {
	for range r.IntN(4) {
		op := patchOp{op: []string{"add", "add", "remove", "replace", "move", "copy", "test"}[r.IntN(7)], path: randomPointer(r)}
		switch op.op {
		case "add", "replace", "test":
			op.value = randomNode(r, 1)
		case "move", "copy":
			op.from = randomPointer(r)
		}
		ops = append(ops, op)
	}
	return ops
}

// patch applies a JSON Patch (RFC 6902) to a document, which it does not change.
// It returns nil and the index of the operation that cannot be applied.
func (n *node) patch(ops []patchOp) (*node, int) {
	root := n.clone()
	for i, op := range ops {
		if root = root.apply(op); root == nil {
			return nil, i
		}
	}
	return root, -1
}

// apply returns the changed document, or nil.
func (n *node) apply(op patchOp) *node {
	path := pointerTokens(op.path)
	switch op.op {
	case "add":
		return n.add(path, op.value.clone())
	case "remove":
		return n.remove(path)
	case "replace":
		part := n.find(path)
		if part == nil {
			return nil
		}
		*part = *op.value.clone()
		return n
	case "test":
		if part := n.find(path); part == nil || string(part.cbor(nil)) != string(op.value.cbor(nil)) {
			return nil
		}
		return n
	}
	from := pointerTokens(op.from)
	part := n.find(from)
	if part == nil {
		return nil
	}
	part = part.clone()
	if op.op == "move" {
		if slices.Equal(from, path) {
			return n
		}
		if len(from) < len(path) && slices.Equal(from, path[:len(from)]) {
			return nil
		}
		if n = n.remove(from); n == nil {
			return nil
		}
	}
	return n.add(path, part)
}

func (n *node) add(path []string, value *node) *node {
	if len(path) == 0 {
		return value
	}
	last := path[len(path)-1]
	in := n.find(path[:len(path)-1])
	switch {
	case in == nil:
		return nil
	case in.kind == '{':
		if i := in.child(last); i >= 0 {
			in.items[i] = value
		} else {
			in.keys, in.items = append(in.keys, last), append(in.items, value)
		}
		return n
	case in.kind == '[':
		i, err := strconv.Atoi(last)
		if last == "-" {
			i, err = len(in.items), nil
		}
		if err != nil || i < 0 || i > len(in.items) {
			return nil
		}
		in.items = slices.Insert(in.items, i, value)
		return n
	}
	return nil
}

func (n *node) remove(path []string) *node {
	if len(path) == 0 {
		return nil
	}
	in := n.find(path[:len(path)-1])
	if in == nil {
		return nil
	}
	i := in.child(path[len(path)-1])
	if i < 0 {
		return nil
	}
	in.items = slices.Delete(in.items, i, i+1)
	if in.kind == '{' {
		in.keys = slices.Delete(in.keys, i, i+1)
	}
	return n
}
