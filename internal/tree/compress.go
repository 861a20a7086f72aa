package tree

import (
	"bytes"
	"sync"

	"github.com/klauspost/compress/zlib"

	"advect.dev/internal/outbox"
	"advect.dev/internal/wire"
)

// compressFrom is the size in bytes from which messages are worth compressing:
// below it the saving is a fraction of one packet.
const compressFrom = 1024

// writers holds zlib writers by level; each is large.
var writers [zlib.BestCompression + 1]sync.Pool

// zipped holds the compressed forms of an update's messages.
type zipped struct {
	level       int
	full, delta lazily
}

// lazily is a message made at most once.
type lazily struct {
	once    sync.Once
	message *outbox.Message
}

// compressed is an Update for sessions that understand zlib; it has a zipped. Each
// message is compressed when the first of them needs it.
type compressed Update

func (u *compressed) Version() uint64 { return u.version }

func (u *compressed) Value() *outbox.Message { return u.zipped.full.get(&u.full, u.zipped.level) }

func (u *compressed) Delta() *outbox.Message {
	if u.delta == nil || u.delta.Len() < compressFrom {
		return u.delta
	}
	return u.zipped.delta.get(u.delta, u.zipped.level)
}

func (l *lazily) get(m *outbox.Message, level int) *outbox.Message {
	l.once.Do(func() { l.message = compress(m, level) })
	return l.message
}

// compress returns the topic message with its content as one zlib stream
// (02 section 3.3), or m itself when that is not smaller.
func compress(m *outbox.Message, level int) *outbox.Message {
	var buf bytes.Buffer
	buf.Write(m.Bytes()[:wire.TopicHeaderLen])
	w, _ := writers[level].Get().(*zlib.Writer)
	if w == nil {
		w, _ = zlib.NewWriterLevel(&buf, level) // the level is one of ours
	} else {
		w.Reset(&buf)
	}
	defer writers[level].Put(w)
	_, err := w.Write(m.Bytes()[wire.TopicHeaderLen:])
	if err == nil {
		err = w.Close()
	}
	if err != nil || buf.Len() >= len(m.Bytes()) {
		return m
	}
	return outbox.NewMessage(buf.Len(), func(b []byte) []byte {
		at := len(b)
		b = append(b, buf.Bytes()...)
		b[at] |= 0x80 // encoding bits: zlib
		return b
	})
}
