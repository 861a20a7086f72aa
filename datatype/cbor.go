package datatype

import (
	"encoding/binary"
	"fmt"
	"math"
	"unicode/utf8"
)

// CBOR major types (protocol 14 section 1).
const (
	majorUint   = 0
	majorNegint = 1
	majorBytes  = 2
	majorText   = 3
	majorArray  = 4
	majorMap    = 5
	majorTag    = 6
	majorSimple = 7 // false, true, null, undefined, floats, break
)

// Whole heads that are compared or written as one byte.
const (
	cborFalse     = 0xf4
	cborTrue      = 0xf5
	cborNull      = 0xf6
	cborHalf      = 0xf9
	cborSingle    = 0xfa
	cborDouble    = 0xfb
	cborOpenArray = 0x9f
	cborOpenMap   = 0xbf
	cborBreak     = 0xff
)

const (
	infoIndefinite = 31
	maxHead        = 9 // bytes

	// maxDepth bounds the nesting of arrays and maps, in what is read and in
	// what is written (protocol 14 section 4).
	maxDepth = 512
)

// head is the first part of a CBOR item.
type head struct {
	major byte
	info  byte
	arg   uint64 // integer, length, count, tag number or float bits; 0 if indefinite
}

func (h head) indefinite() bool { return h.info == infoIndefinite }

// initial returns the first byte of the head.
func (h head) initial() byte { return h.major<<5 | h.info }

// int returns the integer that h stands for, and false if h is not an integer
// or does not fit.
func (h head) int() (int64, bool) {
	switch {
	case h.arg > math.MaxInt64:
		return 0, false
	case h.major == majorUint:
		return int64(h.arg), true
	case h.major == majorNegint:
		return -1 - int64(h.arg), true
	}
	return 0, false
}

// float returns the number that h stands for, and false if h is not a float.
func (h head) float() (float64, bool) {
	switch h.initial() {
	case cborHalf:
		return halfToFloat(uint16(h.arg)), true
	case cborSingle:
		return float64(math.Float32frombits(uint32(h.arg))), true
	case cborDouble:
		return math.Float64frombits(h.arg), true
	}
	return 0, false
}

// reader reads CBOR items forward from b. Its errors are *ValueError for typ.
type reader struct {
	b    []byte
	off  int
	item int // offset of the latest head
	typ  Type
}

func (r *reader) rest() int { return len(r.b) - r.off }

// fail is the error for what comes next.
func (r *reader) fail(reason string) error {
	return &ValueError{Type: r.typ, Offset: r.off, Reason: reason}
}

// failItem is the error for the item whose head was read last.
func (r *reader) failItem(reason string) error {
	return &ValueError{Type: r.typ, Offset: r.item, Reason: reason}
}

func (r *reader) cutShort() error { return r.fail("the bytes end before the value does") }

// unexpected is the error for an item that is well formed but not what is
// wanted at this place.
func (r *reader) unexpected(h head, want string) error {
	return r.failItem(fmt.Sprintf("%s where %s is expected", h.kind(), want))
}

func (h head) kind() string {
	switch h.major {
	case majorUint, majorNegint:
		return "an integer"
	case majorBytes:
		return "a byte string"
	case majorText:
		return "a text string"
	case majorArray:
		return "an array"
	case majorMap:
		return "a map"
	case majorTag:
		return "a tag"
	}
	switch h.initial() {
	case cborFalse, cborTrue:
		return "a boolean"
	case cborNull:
		return "null"
	case cborHalf, cborSingle, cborDouble:
		return "a float"
	case cborBreak:
		return "a break"
	}
	return "undefined"
}

// head reads the next head. A break (ff) is returned like any other; the
// caller knows whether it may occur.
func (r *reader) head() (head, error) {
	if r.rest() < 1 {
		return head{}, r.cutShort()
	}
	r.item = r.off
	c := r.b[r.off]
	h := head{major: c >> 5, info: c & 31}
	size := 0
	switch {
	case h.info < 24:
		h.arg = uint64(h.info)
	case h.info <= 27:
		size = 1 << (h.info - 24)
		if r.rest() < 1+size {
			return head{}, r.cutShort()
		}
		h.arg = bigEndian(r.b[r.off+1 : r.off+1+size])
		if h.major == majorSimple && size == 1 && h.arg < 32 {
			return head{}, r.fail("a simple value in a reserved form")
		}
	case h.info == infoIndefinite && h.major >= majorBytes && h.major != majorTag:
	default:
		return head{}, r.fail(fmt.Sprintf("the reserved byte %02x", c))
	}
	r.off += 1 + size
	return h, nil
}

func bigEndian(b []byte) uint64 {
	switch len(b) {
	case 1:
		return uint64(b[0])
	case 2:
		return uint64(binary.BigEndian.Uint16(b))
	case 4:
		return uint64(binary.BigEndian.Uint32(b))
	}
	return binary.BigEndian.Uint64(b)
}

// content reads the next head after skipping tags, which carry no meaning for
// us (protocol 14 section 4).
func (r *reader) content() (head, error) {
	for {
		h, err := r.head()
		if err != nil || h.major != majorTag {
			return h, err
		}
	}
}

// more reports whether the array or map that h opened has another element
// (for a map, another pair) after n were read. It consumes the closing break.
func (r *reader) more(h head, n uint64) (bool, error) {
	if !h.indefinite() {
		return n < h.arg, nil
	}
	if r.rest() < 1 {
		return false, r.cutShort()
	}
	if r.b[r.off] == cborBreak {
		r.off++
		return false, nil
	}
	return true, nil
}

// str reads what follows the head h of a byte or text string. The result is
// part of r.b, unless the string came in chunks.
func (r *reader) str(h head) ([]byte, error) {
	if !h.indefinite() {
		return r.take(h.arg)
	}
	var whole []byte
	for n := uint64(0); ; n++ {
		chunk, ok, err := r.chunk(h, n)
		if err != nil || !ok {
			return whole, err
		}
		whole = append(whole, chunk...)
	}
}

// chunk reads the chunk number n of the string that h opened, and returns
// false after the last one.
func (r *reader) chunk(h head, n uint64) ([]byte, bool, error) {
	ok, err := r.more(h, n)
	if err != nil || !ok {
		return nil, false, err
	}
	c, err := r.head()
	if err != nil {
		return nil, false, err
	}
	if c.major != h.major || c.indefinite() {
		return nil, false, r.unexpected(c, "a chunk of "+h.kind())
	}
	b, err := r.take(c.arg)
	return b, true, err
}

func (r *reader) take(n uint64) ([]byte, error) {
	if n > uint64(r.rest()) {
		return nil, r.cutShort()
	}
	end := r.off + int(n)
	b := r.b[r.off:end:end]
	r.off = end
	return b, nil
}

// enter checks that a container may be opened inside depth others.
func (r *reader) enter(depth int) error {
	if depth >= maxDepth {
		return r.failItem(tooDeep())
	}
	return nil
}

// rules says what skip demands beyond well-formed CBOR.
type rules bool

const (
	wellFormed rules = false // nothing
	valid      rules = true  // text is UTF-8, map keys are text
)

// skip reads past one item inside depth containers.
func (r *reader) skip(depth int, rules rules) error {
	h, err := r.content()
	if err != nil {
		return err
	}
	return r.skipContent(h, depth, rules)
}

// skipContent reads past what follows the head h.
func (r *reader) skipContent(h head, depth int, rules rules) error {
	switch h.major {
	case majorBytes, majorText:
		return r.skipString(h, rules)
	case majorArray, majorMap:
		return r.skipContainer(h, depth, rules)
	}
	if h.initial() == cborBreak {
		return r.unexpected(h, "a value")
	}
	return nil
}

func (r *reader) skipString(h head, rules rules) error {
	check := func(b []byte) error {
		if rules == valid && h.major == majorText && !utf8.Valid(b) {
			return r.failItem("text is not UTF-8")
		}
		return nil
	}
	if !h.indefinite() {
		b, err := r.take(h.arg)
		if err != nil {
			return err
		}
		return check(b)
	}
	for n := uint64(0); ; n++ {
		b, ok, err := r.chunk(h, n)
		if err != nil || !ok {
			return err
		}
		if err := check(b); err != nil {
			return err
		}
	}
}

func (r *reader) skipContainer(h head, depth int, rules rules) error {
	if err := r.enter(depth); err != nil {
		return err
	}
	for n := uint64(0); ; n++ {
		ok, err := r.more(h, n)
		if err != nil || !ok {
			return err
		}
		if h.major == majorMap {
			if err := r.skipKey(depth+1, rules); err != nil {
				return err
			}
		}
		if err := r.skip(depth+1, rules); err != nil {
			return err
		}
	}
}

func (r *reader) skipKey(depth int, rules rules) error {
	if rules == valid && r.rest() > 0 && r.b[r.off]>>5 != majorText {
		return r.fail("a map key is not a text string")
	}
	return r.skip(depth, rules)
}

// halfToFloat converts a 16-bit float (1 sign, 5 exponent, 10 fraction bits).
func halfToFloat(h uint16) float64 {
	exponent, fraction := int(h>>10&31), float64(h&1023)
	var f float64
	switch exponent {
	case 0:
		f = math.Ldexp(fraction, -24)
	case 31:
		f = math.Inf(1)
		if fraction != 0 {
			f = math.NaN()
		}
	default:
		f = math.Ldexp(1024+fraction, exponent-25)
	}
	if h>>15 != 0 {
		return math.Copysign(f, -1)
	}
	return f
}

// appendHead writes a head with the shortest form of arg.
func appendHead(dst []byte, major byte, arg uint64) []byte {
	m := major << 5
	switch {
	case arg < 24:
		return append(dst, m|byte(arg))
	case arg <= math.MaxUint8:
		return append(dst, m|24, byte(arg))
	case arg <= math.MaxUint16:
		return binary.BigEndian.AppendUint16(append(dst, m|25), uint16(arg))
	case arg <= math.MaxUint32:
		return binary.BigEndian.AppendUint32(append(dst, m|26), uint32(arg))
	}
	return binary.BigEndian.AppendUint64(append(dst, m|27), arg)
}

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNegint, uint64(-1-n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

// appendDouble writes a float in full. All NaNs are written as one.
func appendDouble(dst []byte, f float64) []byte {
	if math.IsNaN(f) {
		return binary.BigEndian.AppendUint64(append(dst, cborDouble), 0x7ff8<<48)
	}
	return binary.BigEndian.AppendUint64(append(dst, cborDouble), math.Float64bits(f))
}

func appendBool(dst []byte, b bool) []byte {
	if b {
		return append(dst, cborTrue)
	}
	return append(dst, cborFalse)
}

// appendText writes a text string, in which every byte that is not part of
// valid UTF-8 becomes U+FFFD.
func appendText(dst []byte, s string) []byte {
	if !utf8.ValidString(s) {
		s = string([]rune(s))
	}
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}
