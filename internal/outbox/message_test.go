package outbox

import (
	"bytes"
	"testing"

	"github.com/gobwas/ws"
)

// TestFrame reads each message back as a WebSocket frame.
func TestFrame(t *testing.T) {
	for _, n := range []int{0, 1, 125, 126, 127, 65535, 65536, 100000} {
		body := bytes.Repeat([]byte{7}, n)
		m := NewMessage(n, func(b []byte) []byte { return append(b, body...) })
		if !bytes.Equal(m.Bytes(), body) {
			t.Errorf("message of %d bytes: body differs", n)
		}
		f, err := ws.ReadFrame(bytes.NewReader(m.Frame()))
		if err != nil || !f.Header.Fin || f.Header.OpCode != ws.OpBinary || !bytes.Equal(f.Payload, body) {
			t.Errorf("message of %d bytes: frame %+v, error %v", n, f.Header, err)
		}
		if m.Len() != len(m.Frame()) {
			t.Errorf("message of %d bytes: Len is %d, frame has %d", n, m.Len(), len(m.Frame()))
		}
	}
}
