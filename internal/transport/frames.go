package transport

import (
	"encoding/binary"
	"errors"

	"github.com/gobwas/ws"
)

var (
	errUnmasked   = errors.New("unmasked frame")
	errReserved   = errors.New("reserved bits or opcode")
	errControl    = errors.New("control frame fragmented or over 125 bytes")
	errSequence   = errors.New("continuation out of place")
	errText       = errors.New("text message")
	errEmpty      = errors.New("empty message")
	errPeerClosed = errors.New("close frame")
	errTooLarge   = errors.New("message larger than max-message-size")
)

// A decoder finds the frames of a client (RFC 6455 section 5.2) in bytes that come
// in pieces of any size. While no frame has come in part it holds no memory.
type decoder struct {
	part    []byte // the beginning of a frame
	message []byte // the fragments of a message so far
	inside  bool   // a message has begun
}

// join returns the bytes to call next with, now that more have come. What next then
// does not use up is given to keep.
func (d *decoder) join(more []byte) []byte {
	if len(d.part) == 0 {
		return more
	}
	d.part = append(d.part, more...)
	return d.part
}

// keep remembers the beginning of a frame.
func (d *decoder) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		d.part = nil
	case len(d.part) == 0 || &rest[0] != &d.part[0]:
		d.part = append([]byte(nil), rest...)
	}
}

// next takes a frame from b, unmasking it in place. It returns what is complete with
// it, a message or the payload of a control frame, which may be overwritten once b
// is, and what follows. While there is only a message in part, op is OpContinuation;
// ok is false when b does not hold a whole frame. A message has at most limit bytes.
func (d *decoder) next(b []byte, limit int) (op ws.OpCode, payload, rest []byte, ok bool, err error) {
	if len(b) < 2 {
		return 0, nil, b, false, nil
	}
	op = ws.OpCode(b[0] & 0x0f)
	fin, masked, n, head := b[0]&0x80 != 0, b[1]&0x80 != 0, uint64(b[1]&0x7f), 2
	switch {
	case n == 126 && len(b) >= 4:
		n, head = uint64(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		n, head = binary.BigEndian.Uint64(b[2:]), 10
	case n >= 126:
		return 0, nil, b, false, nil
	}
	switch {
	case n > 1<<63-1:
		err = errTooLarge
	case b[0]&0x70 != 0 || op > ws.OpBinary && op < ws.OpClose || op > ws.OpPong:
		err = errReserved
	case !masked:
		err = errUnmasked
	case op.IsControl():
		if !fin || n > ws.MaxControlFramePayloadSize {
			err = errControl
		}
	case op == ws.OpText:
		err = errText
	case d.inside != (op == ws.OpContinuation):
		err = errSequence
	case n > uint64(limit-len(d.message)):
		err = errTooLarge
	}
	if err != nil {
		return 0, nil, b, false, err
	}
	end := head + 4 + int(n)
	if len(b) < end {
		return 0, nil, b, false, nil
	}
	payload, rest = b[head+4:end:end], b[end:]
	ws.Cipher(payload, [4]byte(b[head:]), 0)
	if op.IsControl() {
		return op, payload, rest, true, nil
	}
	if fin && !d.inside {
		if n == 0 {
			err = errEmpty
		}
		return ws.OpBinary, payload, rest, true, err
	}
	d.message = append(d.message, payload...)
	if d.inside = !fin; d.inside {
		return ws.OpContinuation, nil, rest, true, nil
	}
	payload, d.message = d.message, nil
	if len(payload) == 0 {
		err = errEmpty
	}
	return ws.OpBinary, payload, rest, true, err
}
