package transport

import (
	"sync"

	"advect.dev/internal/outbox"
)

const (
	batchBytes = 64 << 10 // most that a flush takes at a time
	joinBytes  = 32 << 10 // batches up to this are copied together
)

// A batch is what a connection writes at once: frames of its own, then messages.
type batch struct {
	control  []byte
	messages []*outbox.Message
	vectors  [][]byte
	flat     []byte
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// frames returns the batch as one slice of bytes or, if the messages are so large
// that a copy costs more, as several. They are valid until clear.
func (b *batch) frames() (flat []byte, vectors [][]byte) {
	switch {
	case len(b.messages) == 0:
		return b.control, nil
	case len(b.messages) == 1 && len(b.control) == 0:
		return b.messages[0].Frame(), nil
	case b.small():
		b.flat = append(b.flat[:0], b.control...)
		for _, m := range b.messages {
			b.flat = append(b.flat, m.Frame()...)
		}
		return b.flat, nil
	}
	b.vectors = b.vectors[:0]
	if len(b.control) > 0 {
		b.vectors = append(b.vectors, b.control)
	}
	for _, m := range b.messages {
		b.vectors = append(b.vectors, m.Frame())
	}
	return nil, b.vectors
}

// small reports whether a copy of the messages costs less than a write of their
// vectors, each of which the kernel takes by itself.
func (b *batch) small() bool {
	n := 0
	for _, m := range b.messages {
		if n += len(m.Frame()); n > joinBytes {
			return false
		}
	}
	return true
}

// clear forgets the messages, which must not be kept alive by a buffer.
func (b *batch) clear() {
	clear(b.messages)
	clear(b.vectors)
	b.messages, b.vectors = b.messages[:0], b.vectors[:0]
}
