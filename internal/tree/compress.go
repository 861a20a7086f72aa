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

// compressed returns the topic message with its content as one zlib stream
// (02 section 3.3), or m itself when that is not smaller.
func compressed(m *outbox.Message, level int) *outbox.Message {
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
