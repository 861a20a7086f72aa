package transport

import (
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/engine"
)

const (
	idleBuffer = 1024     // bytes held by a connection that waits
	busyBuffer = 64 << 10 // read at once from one that sends much
)

// A stream is a link over any [net.Conn], such as one with TLS. A goroutine of its
// own reads, and each flush has one while it runs; a write waits for the peer.
type stream struct {
	webSocket
	nc      net.Conn
	vectors bool // nc writes vectors in one system call
}

// newStream returns a connection that remembers calls of Wake until begin.
func newStream(nc net.Conn, maxMessage int) *stream {
	s := &stream{nc: nc}
	s.link, s.maxMessage = s, maxMessage
	s.writing.Store(true)
	_, s.vectors = nc.(*net.TCPConn)
	return s
}

// upgrade answers a WebSocket handshake and leaves the connection to goroutines
// of its own: the one that served HTTP pins several kilobytes of stack.
func (h *Handler) upgrade(w http.ResponseWriter, r *http.Request) {
	h.conns.Add(1) // before the HTTP server lets go of the connection
	nc, rw, _, err := ws.UpgradeHTTP(r, w)
	if err != nil { // it has been answered
		defer h.conns.Done()
		if nc != nil {
			_ = nc.Close()
		}
		return
	}
	_ = nc.SetDeadline(time.Time{})
	s := newStream(nc, h.cfg.MaxMessageSize)
	response, session := h.cfg.connect(ofHTTP(r), engine.WebSocket, &s.webSocket)
	s.session = session
	early := make([]byte, rw.Reader.Buffered())
	_, _ = io.ReadFull(rw.Reader, early)
	go func() {
		defer h.conns.Done()
		s.run(response, early)
	}()
}

// run writes the connection response, then reads until the connection ends. early
// was read already.
func (s *stream) run(response, early []byte) {
	defer s.close()
	if s.begin(response) && !s.read(early) {
		return
	}
	if s.draining.Load() {
		_, _ = io.Copy(io.Discard, s.nc)
	}
}

// read passes messages to the session until the connection ends, and reports
// whether it is to be drained.
func (s *stream) read(b []byte) bool {
	idle := make([]byte, idleBuffer)
	for {
		if err := s.receive(b); err != nil {
			return s.failed(err)
		}
		n, err := s.nc.Read(idle)
		if err != nil {
			return s.failed(err)
		}
		if b = idle[:n]; n == idleBuffer {
			if err := s.readMuch(b); err != nil {
				return s.failed(err)
			}
			b = nil
		}
	}
}

// readMuch reads with a larger buffer, for as long as that pays.
func (s *stream) readMuch(b []byte) error {
	buf := busy.Get().(*[]byte)
	defer busy.Put(buf)
	for {
		if err := s.receive(b); err != nil {
			return err
		}
		if len(b) < idleBuffer {
			return nil
		}
		n, err := s.nc.Read(*buf)
		if err != nil {
			return err
		}
		b = (*buf)[:n]
	}
}

// busy holds buffers for those who read much at once.
var busy = sync.Pool{New: func() any { b := make([]byte, busyBuffer); return &b }}

// receive passes the messages in bytes that have arrived to the session, at the
// pace that it is allowed.
func (s *stream) receive(more []byte) error {
	b := s.in.join(more)
	for {
		message, rest, ok, err := s.step(b)
		if err != nil {
			return err
		}
		if !ok {
			s.in.keep(rest)
			return nil
		}
		if message != nil {
			if err := s.session.Receive(&s.webSocket, message); err != nil {
				return err
			}
			time.Sleep(s.session.Pause())
		}
		b = rest
	}
}

func (s *stream) schedule() {
	go func() {
		b := batches.Get().(*batch)
		defer batches.Put(b)
		s.flush(b)
	}()
}

func (s *stream) write(b *batch) (bool, error) {
	defer b.clear()
	flat, vectors := b.frames()
	if vectors == nil {
		_, err := s.nc.Write(flat)
		return true, err
	}
	if s.vectors {
		buffers := net.Buffers(vectors)
		_, err := buffers.WriteTo(s.nc)
		return true, err
	}
	b.flat = b.flat[:0]
	for _, v := range vectors {
		b.flat = append(b.flat, v...)
	}
	_, err := s.nc.Write(b.flat)
	return true, err
}

func (s *stream) resume(*batch) (bool, error) { return true, nil }

func (s *stream) expire(after time.Duration) {
	var at time.Time
	if after > 0 {
		at = time.Now().Add(after)
	}
	_ = s.nc.SetDeadline(at)
}

func (s *stream) shut() {
	if half, ok := s.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

func (s *stream) close() { _ = s.nc.Close() }
