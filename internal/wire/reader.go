package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// ErrMalformed is matched by every decoding error of this package.
var ErrMalformed = errors.New("malformed message")

// A Reader decodes fields one after another from a byte slice. The first
// problem sticks: later calls return zero values and Err reports it, so that a
// message is read straight through and checked once.
type Reader struct {
	b   []byte
	off int
	err error
}

// NewReader returns a Reader over b. What it returns may alias b.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Reset makes r read b from its start.
func (r *Reader) Reset(b []byte) { *r = Reader{b: b} }

// Err returns the first decoding error, which matches [ErrMalformed].
func (r *Reader) Err() error { return r.err }

// Len returns the number of bytes not yet read.
func (r *Reader) Len() int { return len(r.b) - r.off }

// Rest returns all bytes not yet read.
func (r *Reader) Rest() []byte {
	p := r.b[r.off:]
	r.off = len(r.b)
	return p
}

// Fail records a problem with the bytes just read, such as an enum value that
// its message does not know.
func (r *Reader) Fail(format string, args ...any) {
	if r.err == nil {
		r.err = fmt.Errorf("%w: %s at byte %d", ErrMalformed, fmt.Sprintf(format, args...), r.off)
		r.off = len(r.b)
	}
}

// take returns the next n bytes, or nil after recording that they are missing.
func (r *Reader) take(n int, what string) []byte {
	if n < 0 || n > r.Len() {
		r.Fail("%s of %d bytes where %d are left", what, uint32(n), r.Len())
		return nil
	}
	p := r.b[r.off : r.off+n : r.off+n]
	r.off += n
	return p
}

// Byte reads one byte.
func (r *Reader) Byte() byte {
	if p := r.take(1, "byte"); p != nil {
		return p[0]
	}
	return 0
}

// Bool reads one byte; any value but 0 is true.
func (r *Reader) Bool() bool { return r.Byte() != 0 }

// Int32 reads a varint32: at most five bytes, excess high bits of the fifth
// dropped, over-long forms accepted (02 section 1.1).
func (r *Reader) Int32() int32 { return int32(r.uvarint(5)) }

// Int64 reads a varint64 of at most ten bytes (02 section 1.2).
func (r *Reader) Int64() int64 { return int64(r.uvarint(10)) }

func (r *Reader) uvarint(max int) uint64 {
	var v uint64
	for i := range max {
		if r.Len() == 0 {
			r.Fail("end of data inside a varint")
			return 0
		}
		c := r.b[r.off]
		r.off++
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			return v
		}
	}
	r.Fail("varint longer than %d bytes", max)
	return 0
}

// FixedInt32 reads four bytes, big-endian.
func (r *Reader) FixedInt32() int32 {
	if p := r.take(4, "int32"); p != nil {
		return int32(binary.BigEndian.Uint32(p))
	}
	return 0
}

// FixedInt64 reads eight bytes, big-endian.
func (r *Reader) FixedInt64() int64 {
	if p := r.take(8, "int64"); p != nil {
		return int64(binary.BigEndian.Uint64(p))
	}
	return 0
}

// Bytes reads a length and that many bytes. The result aliases the input and
// is never nil without an error.
func (r *Reader) Bytes() []byte { return r.take(int(r.Int32()), "bytes field") }

// String reads a length and that many bytes of UTF-8.
func (r *Reader) String() string { return string(r.take(int(r.Int32()), "string")) }

// Count reads the number of elements of a collection whose elements take at
// least size bytes each, and refuses a number that cannot fit in what is left,
// so that the caller may allocate by it.
func (r *Reader) Count(size int) int {
	n := int(r.Int32())
	if n < 0 || n > r.Len()/max(size, 1) {
		r.Fail("collection of %d elements where %d bytes are left", uint32(n), r.Len())
		return 0
	}
	return n
}

// Strings reads a collection of strings.
func (r *Reader) Strings() []string {
	n := r.Count(1)
	if n == 0 {
		return nil
	}
	list := make([]string, n)
	for i := range list {
		list[i] = r.String()
	}
	return list
}

// ReadOptional reads a byte and, unless it is 0, what read reads.
func ReadOptional[T any](r *Reader, read func(*Reader) T) *T {
	if r.Byte() == 0 {
		return nil
	}
	v := read(r)
	return &v
}
