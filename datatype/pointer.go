package datatype

import (
	"strconv"
	"strings"
)

// Get returns the part of the document that a JSON pointer (RFC 6901) selects,
// such as "/positions/0/price". The empty pointer selects the whole document.
// The result shares the bytes of j. Get returns false if the pointer is
// malformed, if it selects nothing, or if the document cannot be read that far.
//
// A part that is present but null is found.
func (j JSON) Get(pointer string) (JSON, bool) {
	var few [8]token
	tokens, ok := parsePointer(few[:0], pointer)
	if !ok {
		return JSON{}, false
	}
	r := reader{b: j.Bytes(), typ: TypeJSON}
	var p place
	if err := r.locate(&p, tokens, 0, false); err != nil || !p.found {
		return JSON{}, false
	}
	return JSON{r.b[p.value.start:p.value.end:p.value.end]}, true
}

// token is one step of a JSON pointer (protocol 14 section 8).
type token struct {
	key   string
	index int // -1 if the key does not have the form of an index
}

// parsePointer appends the tokens of a pointer to dst. It returns false if the
// pointer is malformed or leads deeper than any document.
func parsePointer(dst []token, pointer string) ([]token, bool) {
	for pointer != "" {
		t, rest, ok := nextToken(pointer)
		if !ok || len(dst) == maxDepth {
			return dst, false
		}
		dst, pointer = append(dst, t), rest
	}
	return dst, true
}

// nextToken cuts the first token from a pointer that is not empty.
func nextToken(pointer string) (t token, rest string, ok bool) {
	if pointer[0] != '/' {
		return token{}, "", false
	}
	key := pointer[1:]
	if i := strings.IndexByte(key, '/'); i >= 0 {
		key, rest = key[:i], key[i:]
	}
	// In this order, so that ~01 is ~1. Any other ~ stands for itself.
	key = strings.ReplaceAll(key, "~1", "/")
	key = strings.ReplaceAll(key, "~0", "~")
	return token{key, indexOf(key)}, rest, true
}

// indexOf returns the number of an array index in its only accepted form:
// decimal digits, no leading zero, at most 2147483647; else -1.
func indexOf(key string) int {
	if key == "" || key[0] < '0' || key[0] > '9' || key[0] == '0' && len(key) > 1 {
		return -1
	}
	n, err := strconv.ParseInt(key, 10, 32)
	if err != nil {
		return -1
	}
	return int(n)
}

// place is where a pointer leads in a document.
type place struct {
	found bool
	value span // the item that the pointer selects

	// For the last token: where it was looked up, and what it stands for there.
	in      container
	element span   // the value, in a map together with its key
	earlier []span // the same of pairs that repeat the key before element
}

// container is an array or a map in a document.
type container struct {
	head  head
	start int    // of the head
	body  int    // of the first element
	end   int    // behind the last element; a break may follow
	count uint64 // elements or pairs
}

// exists reports whether the pointer led to a container, up to its last token.
func (c *container) exists() bool { return c.head.major != 0 }

// locate reads the item that is next, inside depth containers, and sets p to
// the place in it to which tokens lead. It reads the item once, whatever tokens
// and item are; it stops early in an array, unless all of the item is wanted.
func (r *reader) locate(p *place, tokens []token, depth int, all bool) error {
	if len(tokens) == 0 {
		start := r.off
		err := r.skip(depth, wellFormed)
		p.found, p.value = err == nil, span{start, r.off}
		return err
	}
	h, err := r.content()
	if err != nil {
		return err
	}
	if h.major != majorMap && h.major != majorArray {
		return r.skipContent(h, depth, wellFormed)
	}
	if err := r.enter(depth); err != nil {
		return err
	}
	in := container{head: h, start: r.item, body: r.off, count: h.arg}
	last := len(tokens) == 1
	for n := uint64(0); ; n++ {
		in.end = r.off
		ok, err := r.more(h, n)
		if err != nil {
			return err
		}
		if !ok {
			in.count = n
			break
		}
		selected, err := r.selects(h, n, tokens[0])
		if err != nil {
			return err
		}
		if !selected {
			if err := r.skip(depth+1, wellFormed); err != nil {
				return err
			}
			continue
		}
		earlier := p.earlier
		if last && p.found {
			earlier = append(earlier, p.element)
		}
		*p = place{} // the last of equal keys counts
		if err := r.locate(p, tokens[1:], depth+1, all || h.major == majorMap); err != nil {
			return err
		}
		if last {
			p.element, p.earlier = span{in.end, r.off}, earlier
		}
		if h.major == majorArray && !all {
			break
		}
	}
	if last {
		p.in = in
	}
	return nil
}

// selects reports whether t stands for the element number n of the array or map
// with the head h. It reads the key, if there is one.
func (r *reader) selects(h head, n uint64, t token) (bool, error) {
	if h.major == majorArray {
		return t.index >= 0 && n == uint64(t.index), nil
	}
	key, err := r.key()
	return err == nil && string(key) == t.key, err
}
