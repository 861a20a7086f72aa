package outbox

import (
	"encoding/binary"
)

// A Message is one protocol message, encoded once and shared, read-only, by
// every session that gets it. It carries its WebSocket header in front, so that
// a connection writes it as it is.
type Message struct {
	frame []byte
	head  uint8 // bytes of WebSocket header at the start of frame
}

const (
	binaryFinal  = 0x82 // FIN and opcode 2 (RFC 6455 section 5.2)
	len16, len64 = 126, 127
)

// headerLen returns the length of the header of an unmasked frame with n bytes.
func headerLen(n int) int {
	switch {
	case n < len16:
		return 2
	case n <= 0xffff:
		return 4
	}
	return 10
}

// NewMessage returns the message that build appends, with room for size bytes.
func NewMessage(size int, build func(b []byte) []byte) *Message {
	m := MakeMessage(size, build)
	return &m
}

// MakeMessage does as NewMessage for a message that is part of something else.
func MakeMessage(size int, build func(b []byte) []byte) Message {
	room := headerLen(size)
	b := build(make([]byte, room, room+size))
	n := len(b) - room
	head := headerLen(n)
	if head > room { // size was too little
		b = append(make([]byte, head-room, head+n), b...)
		room = head
	}
	b = b[room-head:]
	b[0] = binaryFinal
	switch head {
	case 2:
		b[1] = byte(n)
	case 4:
		b[1] = len16
		binary.BigEndian.PutUint16(b[2:], uint16(n))
	default:
		b[1] = len64
		binary.BigEndian.PutUint64(b[2:], uint64(n))
	}
	return Message{frame: b, head: uint8(head)}
}

// small is a message with its frame, of which many are responses with nothing in them.
type small struct {
	Message
	bytes [smallFrame]byte
}

const smallFrame = 16 // so that the two take as much memory as they would apart

// CopyMessage returns the message that has the bytes of b.
func CopyMessage(b []byte) *Message {
	if len(b) > smallFrame-2 {
		return NewMessage(len(b), func(dst []byte) []byte { return append(dst, b...) })
	}
	var m small
	m.bytes[0], m.bytes[1] = binaryFinal, byte(len(b))
	m.Message = Message{frame: append(m.bytes[:2], b...), head: 2}
	return &m.Message
}

// Frame returns the message as one WebSocket frame, to be written, not changed.
func (m *Message) Frame() []byte { return m.frame }

// Bytes returns the protocol message alone.
func (m *Message) Bytes() []byte { return m.frame[m.head:] }

// Len returns the number of bytes that the message takes on a WebSocket.
func (m *Message) Len() int { return len(m.frame) }
