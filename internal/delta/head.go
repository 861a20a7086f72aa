package delta

import "encoding/binary"

// CBOR major types that a delta is made of (protocol 11 section 11.1).
const (
	majorUint  = 0
	majorBytes = 2
)

// appendHead appends the shortest CBOR head for a major type and its argument.
func appendHead(dst []byte, major byte, arg int) []byte {
	m := major << 5
	switch {
	case arg < 24:
		return append(dst, m|byte(arg))
	case arg < 1<<8:
		return append(dst, m|24, byte(arg))
	case arg < 1<<16:
		return append(dst, m|25, byte(arg>>8), byte(arg))
	case uint64(arg) < 1<<32:
		return binary.BigEndian.AppendUint32(append(dst, m|26), uint32(arg))
	default:
		return binary.BigEndian.AppendUint64(append(dst, m|27), uint64(arg))
	}
}

// headLen is the number of bytes that appendHead appends for arg.
func headLen(arg int) int {
	switch {
	case arg < 24:
		return 1
	case arg < 1<<8:
		return 2
	case arg < 1<<16:
		return 3
	case uint64(arg) < 1<<32:
		return 5
	default:
		return 9
	}
}

// head is a decoded CBOR head.
type head struct {
	major byte
	arg   uint64
	// open marks an indefinite length (additional information 31): the start
	// of a chunked string, or the break that ends one (major 7).
	open bool
	size int // bytes taken by the head itself
}

// readHead decodes the head at the start of b, in any width. It reports false
// if b ends inside the head or the head uses a reserved width.
func readHead(b []byte) (h head, ok bool) {
	if len(b) == 0 {
		return head{}, false
	}
	h = head{major: b[0] >> 5, size: 1}
	switch info := b[0] & 31; {
	case info < 24:
		h.arg = uint64(info)
	case info == 24 && len(b) >= 2:
		h.arg, h.size = uint64(b[1]), 2
	case info == 25 && len(b) >= 3:
		h.arg, h.size = uint64(binary.BigEndian.Uint16(b[1:])), 3
	case info == 26 && len(b) >= 5:
		h.arg, h.size = uint64(binary.BigEndian.Uint32(b[1:])), 5
	case info == 27 && len(b) >= 9:
		h.arg, h.size = binary.BigEndian.Uint64(b[1:]), 9
	case info == 31:
		h.open = true
	default:
		return head{}, false
	}
	return h, true
}
