package datatype

import (
	"errors"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// The reference is a document as a tree that is changed in place, after the
// letter of RFC 6902. A scalar is a string, other nodes are:
type (
	refArray struct{ items []*refNode }
	refMap   struct{ pairs []refPair }
	refTag   struct {
		number  uint64
		content *refNode
	}
	refPair struct {
		key     string // by which pointers find it
		encoded refNode
		value   *refNode
	}
	refNode struct{ v any }
)

// refRead reads the next item, which must be well formed. It returns nil for
// keys that have no text.
func refRead(r *reader) *refNode {
	h, _ := r.head()
	switch h.major {
	case majorUint, majorNegint:
		return &refNode{"integer " + strconv.Itoa(int(h.major)) + " " + strconv.FormatUint(h.arg, 10)}
	case majorBytes, majorText:
		s, _ := r.str(h)
		return &refNode{"string " + strconv.Itoa(int(h.major)) + " " + string(s)}
	case majorTag:
		content := refRead(r)
		if content == nil {
			return nil
		}
		return &refNode{&refTag{h.arg, content}}
	case majorArray:
		a := &refArray{}
		for n := uint64(0); ; n++ {
			if ok, _ := r.more(h, n); !ok {
				return &refNode{a}
			}
			item := refRead(r)
			if item == nil {
				return nil
			}
			a.items = append(a.items, item)
		}
	case majorMap:
		m := &refMap{}
		for n := uint64(0); ; n++ {
			if ok, _ := r.more(h, n); !ok {
				return &refNode{m}
			}
			start := r.off
			key, err := r.key()
			if err != nil {
				return nil
			}
			encoded := refRead(&reader{b: r.b, off: start})
			value := refRead(r)
			if value == nil {
				return nil
			}
			m.pairs = append(m.pairs, refPair{string(key), *encoded, value})
		}
	}
	return &refNode{"simple " + string(rune(h.initial())) + " " + strconv.FormatUint(h.arg, 10)}
}

func (n *refNode) clone() *refNode {
	switch v := n.v.(type) {
	case *refTag:
		return &refNode{&refTag{v.number, v.content.clone()}}
	case *refArray:
		a := &refArray{}
		for _, item := range v.items {
			a.items = append(a.items, item.clone())
		}
		return &refNode{a}
	case *refMap:
		m := &refMap{}
		for _, p := range v.pairs {
			m.pairs = append(m.pairs, refPair{p.key, p.encoded, p.value.clone()})
		}
		return &refNode{m}
	}
	return &refNode{n.v}
}

func (n *refNode) equal(other *refNode) bool { return reflect.DeepEqual(n.clone(), other.clone()) }

func (n *refNode) content() any {
	for {
		t, ok := n.v.(*refTag)
		if !ok {
			return n.v
		}
		n = t.content
	}
}

var refIndex = regexp.MustCompile(`^(0|[1-9][0-9]{0,9})$`)

func refToken(token string) (key string, index int) {
	key = strings.ReplaceAll(strings.ReplaceAll(token, "~1", "/"), "~0", "~")
	if !refIndex.MatchString(key) {
		return key, -1
	}
	if index, _ = strconv.Atoi(key); index > 2147483647 {
		index = -1
	}
	return key, index
}

func (n *refNode) child(token string) *refNode {
	key, index := refToken(token)
	switch v := n.content().(type) {
	case *refArray:
		if index >= 0 && index < len(v.items) {
			return v.items[index]
		}
	case *refMap:
		for _, p := range slices.Backward(v.pairs) {
			if p.key == key {
				return p.value
			}
		}
	}
	return nil
}

// refFind returns what a pointer selects, and what it is in with the last token.
func refFind(root *refNode, pointer string) (found, in *refNode, last string) {
	found = root
	if pointer == "" {
		return found, nil, ""
	}
	for _, token := range strings.Split(pointer[1:], "/") {
		if found == nil {
			return nil, nil, ""
		}
		found, in, last = found.child(token), found, token
	}
	return found, in, last
}

func refRemove(root *refNode, pointer string) bool {
	found, in, last := refFind(root, pointer)
	if found == nil || in == nil {
		return false
	}
	key, index := refToken(last)
	switch v := in.content().(type) {
	case *refArray:
		v.items = slices.Delete(v.items, index, index+1)
	case *refMap:
		v.pairs = slices.DeleteFunc(v.pairs, func(p refPair) bool { return p.key == key })
	}
	return true
}

func refAdd(root *refNode, pointer string, value *refNode) bool {
	if pointer == "" {
		*root = *value
		return true
	}
	found, in, last := refFind(root, pointer)
	if in == nil {
		return false
	}
	key, index := refToken(last)
	switch v := in.content().(type) {
	case *refArray:
		if key == "-" {
			index = len(v.items)
		}
		if index < 0 || index > len(v.items) {
			return false
		}
		v.items = slices.Insert(v.items, index, value)
		return true
	case *refMap:
		if found != nil {
			*found = *value
		} else {
			v.pairs = append(v.pairs, refPair{key, refNode{"string 3 " + key}, value})
		}
		return true
	}
	return false
}

// refApply applies one operation, and reports whether it can be.
func refApply(root *refNode, op operation) bool {
	value := func() *refNode { return refRead(&reader{b: op.value}) }
	found, _, _ := refFind(root, op.path)
	switch op.kind {
	case "add":
		return refAdd(root, op.path, value())
	case "remove":
		return refRemove(root, op.path)
	case "replace":
		if found == nil {
			return false
		}
		*found = *value()
		return true
	case "test":
		return found != nil && found.equal(value())
	}
	from, _, _ := refFind(root, op.from)
	if from == nil {
		return false
	}
	if op.kind == "copy" {
		return refAdd(root, op.path, from.clone())
	}
	// ~ and ~0 are the same.
	a, b := strings.ReplaceAll(op.from, "~0", "~"), strings.ReplaceAll(op.path, "~0", "~")
	if a == b {
		return true
	}
	if strings.HasPrefix(b, a+"/") {
		return false
	}
	moved := from.clone()
	return refRemove(root, op.from) && refAdd(root, op.path, moved)
}

// FuzzPatch: nothing panics, whatever the document and the patch; the result is
// what the reference makes of them, and is read as well as the document was.
func FuzzPatch(f *testing.F) {
	for _, tt := range append(rfcCases, edgeCases...) {
		doc, err := ParseJSON([]byte(tt.doc))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc.Bytes(), tt.patch)
	}
	for _, v := range loadVectors(f).JSONDecode {
		f.Add(unhex(f, v.Hex), `[{"op":"copy","from":"","path":"/0"},{"op":"remove","path":"/0"}]`)
	}
	f.Add([]byte("\xc1\xa2\x61a\x01\x61a\x82\xf9\x3c\x00\x7f\x61x\xff"),
		`[{"op":"add","path":"/a/-","value":[1.5]},{"op":"test","path":"/a/1","value":"x"},{"op":"move","from":"/a/0","path":"/b"},{"op":"remove","path":"/a"}]`)
	f.Fuzz(func(t *testing.T, cbor []byte, text string) {
		p, err := ParsePatch([]byte(text))
		if err != nil {
			if !errors.Is(err, ErrInvalidPatch) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if len(cbor) == 0 {
			cbor = []byte{cborNull}
		}
		before := string(cbor)
		got, err := p.ApplyLimit(JSONFromBytes(cbor), 1<<16)
		if string(cbor) != before {
			t.Fatalf("%x %s: the document was modified", before, text)
		}
		if wellFormed := skipAll(cbor) == nil; !wellFormed {
			if !errors.Is(err, ErrInvalid) {
				t.Fatalf("%x: %v", cbor, err)
			}
			return
		}
		var failed *PatchError
		if err != nil && !errors.As(err, &failed) && !errors.Is(err, ErrInvalid) {
			t.Fatalf("%x %s: %v", cbor, text, err)
		}
		if err == nil && skipAll(got.Bytes()) != nil {
			t.Fatalf("%x %s: the result %x is not well formed", cbor, text, got.Bytes())
		}
		if err == nil && Validate(TypeJSON, cbor) == nil && Validate(TypeJSON, got.Bytes()) != nil {
			t.Fatalf("%x %s: the result %x is not valid", cbor, text, got.Bytes())
		}
		if failed != nil && (strings.Contains(failed.Reason, "larger than") || strings.Contains(failed.Reason, tooDeep())) {
			return // the reference has no bounds
		}
		root := refRead(&reader{b: cbor})
		if root == nil {
			return
		}
		for i, op := range p.operations {
			if !refApply(root, op) {
				if failed == nil || failed.Operation != i {
					t.Fatalf("%x %s: %v, the reference fails at %d", cbor, text, err, i)
				}
				return
			}
		}
		if err != nil {
			t.Fatalf("%x %s: %v, the reference applies it", cbor, text, err)
		}
		if again := refRead(&reader{b: got.Bytes()}); !root.equal(again) {
			t.Fatalf("%x %s: %x differs from the reference", cbor, text, got.Bytes())
		}
	})
}
