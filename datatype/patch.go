package datatype

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
)

// ErrInvalidPatch is matched by the errors of [ParsePatch].
var ErrInvalidPatch = errors.New("invalid JSON patch")

// A PatchError says which operation of a [Patch] could not be applied, and why.
type PatchError struct {
	Operation int    // index of the operation in the patch, counting from 0
	Reason    string // what was found
}

// Error describes the problem.
func (e *PatchError) Error() string {
	return fmt.Sprintf("operation %d of the patch cannot be applied: %s", e.Operation, e.Reason)
}

// A Patch is a list of changes to a JSON document, in the format of RFC 6902
// (protocol 23 section 4). It is immutable.
//
// Documents keep their form: what a patch does not touch keeps its bytes, an
// array or object stays of definite or indefinite length, and new values are
// encoded as [ParseJSON] does.
//
// The operation test compares encodings, as equality of values does: 1 is not
// 1.0, and the order of keys counts. Only how lengths and integers are written
// does not.
type Patch struct {
	operations []operation
}

type operation struct {
	kind       string // one of operationKinds
	path, from string
	value      []byte // CBOR
}

// operationKinds lists the operations and the members that they need besides
// path.
var operationKinds = map[string]struct{ from, value bool }{
	"add":     {value: true},
	"remove":  {},
	"replace": {value: true},
	"move":    {from: true},
	"copy":    {from: true},
	"test":    {value: true},
}

// ParsePatch parses the JSON text of a patch: an array of operations. Members
// that an operation does not need are ignored. The error matches
// [ErrInvalidPatch] and says which operation is wrong and why.
func ParsePatch(text []byte) (*Patch, error) {
	doc, err := ParseJSON(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalidPatch, err)
	}
	r := reader{b: doc.Bytes(), typ: TypeJSON} // just made, so that reading does not fail
	array, err := r.head()
	if err != nil || array.major != majorArray {
		return nil, fmt.Errorf("%w: it is not an array of operations", ErrInvalidPatch)
	}
	p := new(Patch)
	for n := uint64(0); ; n++ {
		if ok, err := r.more(array, n); err != nil || !ok {
			return p, err
		}
		op, err := r.operation()
		if err != nil {
			return nil, fmt.Errorf("%w: operation %d: %w", ErrInvalidPatch, n, err)
		}
		p.operations = append(p.operations, op)
	}
}

// operation reads one operation of a patch.
func (r *reader) operation() (op operation, err error) {
	h, err := r.head()
	if err != nil {
		return op, err
	}
	if h.major != majorMap {
		return op, fmt.Errorf("it is %s, not an object", h.kind())
	}
	var kind, path, from []byte // CBOR, nil if absent
	for n := uint64(0); ; n++ {
		if ok, err := r.more(h, n); err != nil {
			return op, err
		} else if !ok {
			break
		}
		key, err := r.key()
		if err != nil {
			return op, err
		}
		start := r.off
		if err := r.skip(0, wellFormed); err != nil {
			return op, err
		}
		value := r.b[start:r.off:r.off]
		switch string(key) {
		case "op":
			kind = value
		case "path":
			path = value
		case "from":
			from = value
		case "value":
			op.value = value
		}
	}
	if op.kind, err = textMember("op", kind); err != nil {
		return op, err
	}
	needs, ok := operationKinds[op.kind]
	if !ok {
		return op, fmt.Errorf("unknown operation %.40q: use add, remove, replace, move, copy or test", op.kind)
	}
	if op.path, err = pointerMember("path", path); err != nil {
		return op, err
	}
	if needs.from {
		if op.from, err = pointerMember("from", from); err != nil {
			return op, err
		}
	}
	if needs.value && op.value == nil {
		return op, errors.New(`it has no "value"`)
	}
	return op, nil
}

func textMember(name string, cbor []byte) (string, error) {
	if cbor == nil {
		return "", fmt.Errorf("it has no %q", name)
	}
	text, err := readString(cbor)
	if err != nil {
		return "", fmt.Errorf("its %q is not a text", name)
	}
	return string(text), nil
}

func pointerMember(name string, cbor []byte) (string, error) {
	pointer, err := textMember(name, cbor)
	if err == nil && pointer != "" && pointer[0] != '/' {
		err = fmt.Errorf("its %q is not a JSON pointer: %.100q does not start with /", name, pointer)
	}
	return pointer, err
}

const (
	// maxPatched is the size of documents, in bytes, to which Apply lets a
	// patch grow one.
	maxPatched = 16 << 20

	// maxPatchWork is how much of documents, in bytes, a patch may read.
	maxPatchWork = 256 << 20
)

// Apply returns doc as changed by the patch. The bytes of doc are not modified.
//
// All operations are applied, or none: if one cannot be, the error is a
// [*PatchError]. If doc is not one well-formed item the error matches
// [ErrInvalid].
//
// The work is bounded. An operation reads the document once, or as often as it
// has pointers; an operation with which more than 256 MiB were read in total
// cannot be applied, which allows some 4000 operations on a document of 64 KiB.
// Nor can one that makes the document larger than 16 MiB; see
// [Patch.ApplyLimit].
func (p *Patch) Apply(doc JSON) (JSON, error) { return p.ApplyLimit(doc, maxPatched) }

// ApplyLimit is [Patch.Apply] with a bound for the size of the document: an
// operation that makes it larger than before, and larger than maxBytes, cannot
// be applied. Memory of about twice maxBytes, or twice the size of doc, is used.
func (p *Patch) ApplyLimit(doc JSON, maxBytes int) (JSON, error) {
	r := reader{b: doc.Bytes(), typ: TypeJSON}
	if err := r.skip(0, wellFormed); err != nil {
		return JSON{}, err
	}
	if r.rest() > 0 {
		return JSON{}, r.fail("more bytes after the value")
	}
	w := patcher{doc: doc.Bytes(), limit: maxBytes, work: maxPatchWork}
	for i, op := range p.operations {
		if err := w.apply(op); err != nil {
			var reason patchFailure
			if errors.As(err, &reason) {
				err = &PatchError{Operation: i, Reason: op.describe() + ": " + string(reason)}
			}
			return JSON{}, err
		}
	}
	return JSON{slices.Clip(w.doc)}, nil
}

func (op operation) describe() string {
	const form = "%.100q"
	if operationKinds[op.kind].from {
		return fmt.Sprintf("%s "+form+" to "+form, op.kind, op.from, op.path)
	}
	return fmt.Sprintf("%s "+form, op.kind, op.path)
}

// patchFailure is why an operation cannot be applied.
type patchFailure string

func (f patchFailure) Error() string { return string(f) }

const nothingThere patchFailure = "nothing is there"

// patcher applies operations to a document, of which it makes a new one with
// every change.
type patcher struct {
	doc   []byte
	spare []byte // memory for the next document; never the caller's
	owned bool   // doc is not the caller's
	limit int    // size that doc must not outgrow
	work  int    // bytes that may still be read

	out    []byte // the document that is being made of doc
	from   int    // what comes before in doc is done with
	tokens [2][]token
	moved  []byte
}

func (w *patcher) apply(op operation) error {
	tokens, ok := parsePointer(w.tokens[0][:0], op.path)
	w.tokens[0] = tokens
	if !ok {
		return nothingThere
	}
	switch op.kind {
	case "add":
		return w.add(tokens, op.value)
	case "remove":
		p, err := w.find(tokens)
		if err != nil {
			return err
		}
		return w.remove(p)
	case "replace":
		return w.replace(tokens, op.value)
	case "test":
		return w.test(tokens, op.value)
	}
	from, ok := parsePointer(w.tokens[1][:0], op.from)
	w.tokens[1] = from
	if !ok {
		return nothingThere
	}
	p, err := w.find(from)
	if err != nil {
		return err
	}
	value := w.doc[p.value.start:p.value.end]
	if op.kind == "copy" {
		return w.add(tokens, value)
	}
	switch {
	case slices.Equal(from, tokens):
		return nil
	case len(from) < len(tokens) && slices.Equal(from, tokens[:len(from)]):
		return patchFailure("a value cannot be moved into itself")
	}
	w.moved = append(w.moved[:0], value...)
	if err := w.remove(p); err != nil {
		return err
	}
	return w.add(tokens, w.moved)
}

// locate returns the place to which tokens lead.
func (w *patcher) locate(tokens []token) (place, error) {
	if w.work -= len(w.doc); w.work < 0 {
		return place{}, patchFailure("the patch is too much work: apply it in parts")
	}
	r := reader{b: w.doc, typ: TypeJSON}
	var p place
	err := r.locate(&p, tokens, 0, false)
	return p, err
}

// find returns the place to which tokens lead, where there must be a value.
func (w *patcher) find(tokens []token) (place, error) {
	p, err := w.locate(tokens)
	if err == nil && !p.found {
		err = nothingThere
	}
	return p, err
}

func (w *patcher) test(tokens []token, value []byte) error {
	p, err := w.find(tokens)
	if err != nil {
		return err
	}
	found := w.doc[p.value.start:p.value.end]
	if bytes.Equal(found, value) {
		return nil
	}
	a, b := reader{b: found}, reader{b: value}
	if !sameItem(&a, &b) {
		return patchFailure("another value is there")
	}
	return nil
}

func (w *patcher) replace(tokens []token, value []byte) error {
	p, err := w.find(tokens)
	if err != nil {
		return err
	}
	return w.put(p.value, value, len(tokens))
}

// put replaces part of the document, inside depth containers, by value.
func (w *patcher) put(part span, value []byte, depth int) error {
	if err := fits(value, depth); err != nil {
		return err
	}
	w.begin(len(value))
	w.cut(part)
	w.out = append(w.out, value...)
	return w.finish()
}

func (w *patcher) remove(p place) error {
	if !p.in.exists() {
		return patchFailure("the whole document cannot be removed")
	}
	w.begin(0)
	w.recount(p.in, p.in.count-uint64(len(p.earlier))-1)
	// If a key is repeated all its pairs go, or an earlier one would come to light.
	for _, pair := range p.earlier {
		w.cut(pair)
	}
	w.cut(p.element)
	return w.finish()
}

func (w *patcher) add(tokens []token, value []byte) error {
	if len(tokens) == 0 {
		return w.put(span{0, len(w.doc)}, value, 0)
	}
	p, err := w.locate(tokens)
	if err != nil {
		return err
	}
	if !p.in.exists() {
		return patchFailure("there is no array or object to add to")
	}
	if p.found && p.in.head.major == majorMap {
		return w.put(p.value, value, len(tokens))
	}
	if err := fits(value, len(tokens)); err != nil {
		return err
	}
	last := tokens[len(tokens)-1]
	at := p.in.end
	if p.in.head.major == majorArray {
		switch {
		case p.found:
			at = p.element.start
		case last.key == "-" || last.index >= 0 && uint64(last.index) == p.in.count:
		case last.index >= 0:
			return patchFailure(fmt.Sprintf("the array has only %d elements", p.in.count))
		default:
			return patchFailure("the last part is not an index, but there is an array")
		}
	}
	w.begin(maxHead + len(last.key) + len(value))
	w.recount(p.in, p.in.count+1)
	w.keep(at)
	if p.in.head.major == majorMap {
		w.out = appendText(w.out, last.key)
	}
	w.out = append(w.out, value...)
	return w.finish()
}

// begin starts a new document that is up to more bytes larger than the present
// one, not counting the heads of containers.
func (w *patcher) begin(more int) {
	w.out, w.from = slices.Grow(w.spare[:0], len(w.doc)+maxHead+more), 0
}

// keep copies the present document up to end.
func (w *patcher) keep(end int) {
	w.out = append(w.out, w.doc[w.from:end]...)
	w.from = end
}

// cut leaves part out of the new document.
func (w *patcher) cut(part span) {
	w.keep(part.start)
	w.from = part.end
}

// recount gives a container its new number of elements.
func (w *patcher) recount(c container, count uint64) {
	if c.head.indefinite() {
		return
	}
	w.cut(span{c.start, c.body})
	w.out = appendHead(w.out, c.head.major, count)
}

// finish makes the new document the present one.
func (w *patcher) finish() error {
	w.keep(len(w.doc))
	if len(w.out) > w.limit && len(w.out) > len(w.doc) {
		return patchFailure(fmt.Sprintf("the document would become larger than %d bytes", w.limit))
	}
	w.spare = nil
	if w.owned {
		w.spare = w.doc
	}
	w.doc, w.owned = w.out, true
	return nil
}

// fits checks that value may be inside depth containers.
func fits(value []byte, depth int) error {
	r := reader{b: value, typ: TypeJSON}
	if r.skip(depth, wellFormed) != nil {
		return patchFailure("the document would be " + tooDeep())
	}
	return nil
}

// sameItem reads the next item of both and reports whether they differ only in
// how lengths and integers are written. Tags differ: b, made of JSON text, has
// none.
func sameItem(a, b *reader) bool {
	g, errA := a.head()
	h, errB := b.head()
	if errA != nil || errB != nil || g.major != h.major {
		return false
	}
	switch g.major {
	case majorUint, majorNegint:
		return g.arg == h.arg
	case majorBytes, majorText:
		s, errA := a.str(g)
		t, errB := b.str(h)
		return errA == nil && errB == nil && bytes.Equal(s, t)
	case majorArray, majorMap:
		return sameElements(a, b, g, h)
	}
	return g.major == majorSimple && g == h
}

func sameElements(a, b *reader, g, h head) bool {
	for n := uint64(0); ; n++ {
		moreA, errA := a.more(g, n)
		moreB, errB := b.more(h, n)
		if errA != nil || errB != nil || moreA != moreB {
			return false
		}
		if !moreA {
			return true
		}
		if g.major == majorMap && !sameItem(a, b) {
			return false
		}
		if !sameItem(a, b) {
			return false
		}
	}
}
