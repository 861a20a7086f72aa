package delta

import (
	"errors"
	"fmt"
	"slices"
)

// Errors of [Apply], matched with [errors.Is].
var (
	// ErrCorrupt means that the bytes are not a delta, or not one for this old
	// value. What the sender holds and what the receiver holds have parted:
	// only a full value helps.
	ErrCorrupt = errors.New("corrupt delta")

	// ErrTooLarge means that the delta is well formed as far as it was read but
	// makes a value that is longer than the caller allows.
	ErrTooLarge = errors.New("delta makes too large a value")
)

// Apply appends to dst the value that delta makes of old, and returns the
// extended slice. The new value may be at most max bytes long.
//
// Apply is the strict receiver of protocol 11 section 11.2. The whole delta is
// checked before anything is copied or allocated, so on an error, which matches
// [ErrCorrupt] or [ErrTooLarge], dst is returned as it was; otherwise at most
// one allocation of at most max bytes beyond dst's length is made. dst must not
// overlap old or delta.
func Apply(dst, old, delta []byte, max int) ([]byte, error) {
	if len(delta) == 1 {
		if !IsNoChange(delta) {
			return dst, fmt.Errorf("%w: single byte %02x instead of %02x", ErrCorrupt, delta[0], NoChange)
		}
		if len(old) > max {
			return dst, fmt.Errorf("%w: %d bytes, at most %d allowed", ErrTooLarge, len(old), max)
		}
		return append(dst, old...), nil
	}
	total := 0
	r := reader{old: old, delta: delta}
	for {
		part, err := r.next()
		if err != nil {
			return dst, err
		}
		if part == nil {
			break
		}
		if len(part) > max-total {
			return dst, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, max)
		}
		total += len(part)
	}
	dst = slices.Grow(dst, total)
	r = reader{old: old, delta: delta}
	for {
		part, err := r.next()
		if part == nil || err != nil {
			return dst, err // the first pass has seen to it that err is nil
		}
		dst = append(dst, part...)
	}
}

// reader walks over the instructions of a delta.
type reader struct {
	old, delta []byte
	pos        int  // in delta
	chunked    bool // inside a byte string of indefinite length
}

// next returns the bytes that the next instruction, or the next chunk of an
// insert, appends to the output: a piece of old or of delta, possibly empty but
// never nil. It returns nil at the end of the delta.
func (r *reader) next() (part []byte, err error) {
	for r.pos < len(r.delta) {
		h, ok := readHead(r.delta[r.pos:])
		if !ok {
			return nil, r.corrupt("bad or cut off CBOR head")
		}
		switch {
		case r.chunked && h.major == 7 && h.open:
			r.chunked = false
			r.pos += h.size
		case h.major == majorBytes && h.open && !r.chunked:
			r.chunked = true
			r.pos += h.size
		case h.major == majorBytes && !h.open:
			return r.insert(h)
		case h.major == majorUint && !h.open && !r.chunked:
			return r.copy(h)
		default:
			return nil, r.corrupt("unexpected CBOR item of type %d", h.major)
		}
	}
	if r.chunked {
		return nil, r.corrupt("byte string without an end")
	}
	return nil, nil
}

func (r *reader) insert(h head) ([]byte, error) {
	from := r.pos + h.size
	if h.arg > uint64(len(r.delta)-from) {
		return nil, r.corrupt("insert of %d bytes with %d left", h.arg, len(r.delta)-from)
	}
	r.pos = from + int(h.arg)
	return r.delta[from:r.pos], nil
}

func (r *reader) copy(start head) ([]byte, error) {
	length, ok := readHead(r.delta[r.pos+start.size:])
	if !ok || length.major != majorUint || length.open {
		return nil, r.corrupt("copy without a length")
	}
	size := uint64(len(r.old))
	if start.arg > size || length.arg > size-start.arg {
		return nil, r.corrupt("copy of %d bytes at %d from %d", length.arg, start.arg, size)
	}
	if size == 0 {
		r.old = []byte{} // an empty old value may be nil, what next returns may not
	}
	r.pos += start.size + length.size
	return r.old[start.arg : start.arg+length.arg], nil
}

func (r *reader) corrupt(format string, args ...any) error {
	return fmt.Errorf("%w: at byte %d: %s", ErrCorrupt, r.pos, fmt.Sprintf(format, args...))
}
