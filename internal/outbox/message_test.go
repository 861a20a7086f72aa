package outbox

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// TestFrame reads each message back as a WebSocket frame.
func TestFrame(t *testing.T) {
	sizes := []int{0, 1, 125, 126, 127, 65535, 65536, 100000}
	for i := range len(sizes) * len(sizes) {
		n, expected := sizes[i%len(sizes)], sizes[i/len(sizes)]
		body := bytes.Repeat([]byte{7}, n)
		m := NewMessage(expected, func(b []byte) []byte { return append(b, body...) })
		if !bytes.Equal(m.Bytes(), body) {
			t.Errorf("message of %d bytes, %d expected: body differs", n, expected)
		}
		r := bytes.NewReader(m.Frame())
		h, err := ws.ReadHeader(r)
		if err != nil || !h.Fin || h.Masked || h.OpCode != ws.OpBinary || h.Length != int64(n) || r.Len() != n {
			t.Errorf("message of %d bytes: frame %+v with %d bytes, error %v", n, h, r.Len(), err)
		}
		if m.Len() != len(m.Frame()) {
			t.Errorf("message of %d bytes: Len is %d, frame has %d", n, m.Len(), len(m.Frame()))
		}
	}
}

func TestCopyMessage(t *testing.T) {
	for n := range 300 {
		b := bytes.Repeat([]byte{7}, n)
		want := NewMessage(n, func(dst []byte) []byte { return append(dst, b...) })
		m := CopyMessage(b)
		if clear(b); !bytes.Equal(m.Frame(), want.Frame()) || !bytes.Equal(m.Bytes(), want.Bytes()) || m.Len() != want.Len() {
			t.Fatalf("%d bytes: %x, want %x", n, m.Frame(), want.Frame())
		}
	}
}
