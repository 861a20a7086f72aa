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
	r := reader{b: j.Bytes(), typ: TypeJSON}
	depth := 0
	for ; pointer != ""; depth++ {
		var t token
		var ok bool
		if t, pointer, ok = nextToken(pointer); !ok {
			return JSON{}, false
		}
		if !r.find(t, depth) {
			return JSON{}, false
		}
	}
	start := r.off
	if r.skip(depth, wellFormed) != nil {
		return JSON{}, false
	}
	return JSON{r.b[start:r.off:r.off]}, true
}

// token is one step of a JSON pointer (protocol 14 section 8).
type token struct {
	key   string
	index int // -1 if the key does not have the form of an index
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

// find moves r to the start of the element that t selects in the item that is
// next, inside depth containers.
func (r *reader) find(t token, depth int) bool {
	h, err := r.content()
	if err != nil || r.enter(depth) != nil {
		return false
	}
	switch {
	case h.major == majorMap:
		return r.findKey(h, t.key, depth)
	case h.major == majorArray && t.index >= 0:
		return r.findIndex(h, t.index, depth)
	}
	return false
}

func (r *reader) findIndex(h head, index, depth int) bool {
	for n := 0; ; n++ {
		ok, err := r.more(h, uint64(n))
		if err != nil || !ok {
			return false
		}
		if n == index {
			return true
		}
		if r.skip(depth+1, wellFormed) != nil {
			return false
		}
	}
}

// findKey reads the map to its end, because the last of equal keys counts.
func (r *reader) findKey(h head, key string, depth int) bool {
	found := -1
	for n := uint64(0); ; n++ {
		ok, err := r.more(h, n)
		if err != nil {
			return false
		}
		if !ok {
			break
		}
		k, err := r.key()
		if err != nil {
			return false
		}
		if string(k) == key {
			found = r.off
		}
		if r.skip(depth+1, wellFormed) != nil {
			return false
		}
	}
	if found < 0 {
		return false
	}
	r.off = found
	return true
}
