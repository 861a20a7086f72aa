package transport

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/engine"
	"advect.dev/internal/outbox"
	"advect.dev/internal/wire"
)

const (
	readBuffer   = 1024      // bytes held by an idle connection
	keepBuffer   = 64 << 10  // largest message buffer kept between messages
	batchBytes   = 256 << 10 // most that one flush takes at a time
	joinBytes    = 32 << 10  // batches up to this are copied together
	finishWithin = 5 * time.Second
	drainWithin  = time.Second
	pongWithin   = 2 * time.Second
)

// A webSocket is one connection of a session.
type webSocket struct {
	nc       net.Conn
	session  *engine.Session
	writing  atomic.Bool // a flush is running, or the response is not yet written
	flushing func()      // c.flush, made once because each start would allocate it
	held     atomic.Bool // the first flush waits for a pong
	draining atomic.Bool // the session is over; what arrives is dropped
	buffered bool        // nc does not write vectors
}

// newWebSocket returns a connection that remembers calls of Wake until release.
func newWebSocket(nc net.Conn) *webSocket {
	c := &webSocket{nc: nc}
	c.flushing = c.flush
	c.writing.Store(true)
	_, vectors := nc.(*net.TCPConn)
	c.buffered = !vectors
	return c
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
	c := newWebSocket(nc)
	response, session := h.cfg.connect(r, engine.WebSocket, c)
	c.session = session
	var early []byte
	if n := rw.Reader.Buffered(); n > 0 {
		early, _ = rw.Reader.Peek(n)
		early = bytes.Clone(early)
	}
	go func() {
		defer h.conns.Done()
		c.run(response, early, h.cfg.MaxMessageSize)
	}()
}

// run writes the connection response, then reads until the connection ends.
func (c *webSocket) run(response, early []byte, maxMessage int) {
	defer c.nc.Close()
	_ = c.nc.SetWriteDeadline(time.Now().Add(finishWithin))
	frames := ws.MustCompileFrame(ws.NewBinaryFrame(response))
	lost := c.session != nil && wire.ResponseCode(response[2]) == wire.ReconnectedWithLoss
	if lost {
		frames = append(frames, ws.MustCompileFrame(ws.NewPingFrame(nil))...)
	}
	if _, err := c.nc.Write(frames); err != nil || c.session == nil {
		if c.session != nil {
			c.session.Lost(c, engine.IOException)
		} else {
			c.finish()
			c.drain(c.nc)
		}
		return
	}
	_ = c.nc.SetWriteDeadline(time.Time{})
	if c.session.Over() { // Finish has set a deadline, perhaps the one just cleared
		_ = c.nc.SetWriteDeadline(time.Now().Add(finishWithin))
	}
	c.held.Store(true)
	if lost {
		// The JavaScript client under Node sets its count of received messages to 0
		// some time after it has read this response. Messages that it reads together
		// with the response would not be counted, and be sent again, deltas too,
		// after the next loss. A pong shows that it has read the response alone.
		defer time.AfterFunc(pongWithin, c.release).Stop()
	} else {
		c.release()
	}

	var r io.Reader = c.nc
	if len(early) > 0 {
		r = io.MultiReader(bytes.NewReader(early), c.nc)
	}
	br := bufio.NewReaderSize(r, readBuffer)
	reason := c.read(br, maxMessage)
	if c.draining.Load() {
		c.drain(br)
		return
	}
	c.session.Lost(c, reason)
}

// release lets the first flush begin.
func (c *webSocket) release() {
	if c.held.CompareAndSwap(true, false) {
		go c.flushing()
	}
}

// ponged takes note that the client has read the connection response.
func (c *webSocket) ponged() {
	if c.held.Load() {
		c.session.Seen(c)
		c.release()
	}
}

// Wake implements [engine.Conn].
func (c *webSocket) Wake() {
	if c.writing.CompareAndSwap(false, true) {
		go c.flushing()
	}
}

// Finish implements [engine.Conn]. The deadline frees a flush that waits for a
// peer that does not read.
func (c *webSocket) Finish() {
	_ = c.nc.SetWriteDeadline(time.Now().Add(finishWithin))
	c.Wake()
}

// Close implements [engine.Conn].
func (c *webSocket) Close() { _ = c.nc.Close() }

// flush writes what the session has until there is no more. At most one runs.
func (c *webSocket) flush() {
	w := batches.Get().(*batch)
	defer batches.Put(w)
	for {
		messages, end := c.session.Take(c, w.messages[:0], batchBytes)
		w.messages = messages
		if len(messages) > 0 {
			if err := w.write(c.nc, c.buffered); err != nil {
				c.session.Lost(c, engine.IOException)
				c.Close()
				return
			}
		}
		if end {
			c.finish()
			return
		}
		if len(messages) > 0 {
			continue
		}
		c.writing.Store(false)
		if !c.session.Pending(c) || !c.writing.CompareAndSwap(false, true) {
			return
		}
	}
}

var batches = sync.Pool{New: func() any { return new(batch) }}

// A batch writes messages in as few system calls as it can.
type batch struct {
	messages []*outbox.Message
	vectors  net.Buffers
	flat     []byte
}

func (w *batch) write(nc net.Conn, flat bool) error {
	defer clear(w.messages)
	if len(w.messages) == 1 {
		_, err := nc.Write(w.messages[0].Frame())
		return err
	}
	if flat || w.small() {
		w.flat = w.flat[:0]
		for _, m := range w.messages {
			w.flat = append(w.flat, m.Frame()...)
		}
		_, err := nc.Write(w.flat)
		return err
	}
	vectors := w.vectors[:0]
	for _, m := range w.messages {
		vectors = append(vectors, m.Frame())
	}
	w.vectors = vectors // WriteTo consumes its receiver
	defer clear(w.vectors)
	_, err := vectors.WriteTo(nc)
	return err
}

// small reports whether a copy of the messages costs less than a write of their
// vectors, each of which the kernel takes by itself.
func (w *batch) small() bool {
	n := 0
	for _, m := range w.messages {
		if n += len(m.Frame()); n > joinBytes {
			return false
		}
	}
	return true
}

// finish closes our direction after the last message, and lets the reader wait
// a moment for the peer to do the same, so that nothing is lost to a reset.
func (c *webSocket) finish() {
	c.draining.Store(true)
	_ = c.nc.SetDeadline(time.Now().Add(drainWithin))
	_, _ = c.nc.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))))
	if half, ok := c.nc.(interface{ CloseWrite() error }); ok {
		_ = half.CloseWrite()
	}
}

// drain drops what still arrives until the peer closes or the deadline passes.
func (c *webSocket) drain(r io.Reader) { _, _ = io.Copy(io.Discard, r) }

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

// read passes messages to the session until the connection ends, and returns
// why it did, as the session sees it.
func (c *webSocket) read(r *bufio.Reader, maxMessage int) engine.CloseReason {
	var buf []byte
	for {
		message, err := c.message(r, buf[:0], maxMessage)
		switch {
		case err == nil:
			err = c.session.Receive(c, message)
		case errors.Is(err, errTooLarge):
			c.session.Fail(c, engine.MessageTooLarge, err)
		case errors.Is(err, errText), errors.Is(err, errEmpty), errors.Is(err, errReserved),
			errors.Is(err, errUnmasked), errors.Is(err, errControl), errors.Is(err, errSequence):
			c.session.Fail(c, engine.InvalidInboundMessage, err)
		}
		if err != nil {
			c.awaitFinish(err)
			return engine.ConnectionLost
		}
		time.Sleep(c.session.Pause())
		if buf = message; cap(buf) > keepBuffer {
			buf = nil
		}
	}
}

// awaitFinish reads on, dropping everything, when the session has ended and its
// last messages are on their way.
func (c *webSocket) awaitFinish(err error) {
	if c.session.Over() && !errors.Is(err, io.EOF) && !c.draining.Load() {
		_ = c.nc.SetReadDeadline(time.Now().Add(finishWithin))
		c.draining.Store(true)
	}
}

// message reads one binary message into buf, joining its fragments and
// answering control frames between them.
func (c *webSocket) message(r *bufio.Reader, buf []byte, maxMessage int) ([]byte, error) {
	for started := false; ; {
		h, err := ws.ReadHeader(r)
		if errors.Is(err, ws.ErrHeaderLengthMSB) {
			return buf, errTooLarge
		}
		if err != nil {
			return buf, fmt.Errorf("read frame: %w", err)
		}
		switch {
		case h.Rsv != 0 || h.OpCode > ws.OpBinary && h.OpCode < ws.OpClose || h.OpCode > ws.OpPong:
			return buf, errReserved
		case !h.Masked:
			return buf, errUnmasked
		case h.OpCode.IsControl():
			if err := c.control(r, h); err != nil {
				return buf, err
			}
			continue
		case h.OpCode == ws.OpText:
			return buf, errText
		case started != (h.OpCode == ws.OpContinuation):
			return buf, errSequence
		case h.Length > int64(maxMessage-len(buf)):
			return buf, errTooLarge
		}
		started = true
		at := len(buf)
		if buf, err = readGrowing(r, buf, int(h.Length)); err != nil {
			return buf, err
		}
		ws.Cipher(buf[at:], h.Mask, 0)
		if h.Fin {
			if len(buf) == 0 {
				return buf, errEmpty
			}
			return buf, nil
		}
	}
}

// readGrowing appends n bytes, allocating for no more than twice what has come.
func readGrowing(r io.Reader, buf []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, max(4096, len(buf)))
		at := len(buf)
		if cap(buf)-at < step {
			buf = append(buf, make([]byte, step)...)
		} else {
			buf = buf[:at+step]
		}
		if _, err := io.ReadFull(r, buf[at:]); err != nil {
			return buf[:at], fmt.Errorf("read payload: %w", err)
		}
		n -= step
	}
	return buf, nil
}

// control answers a ping and takes note of a pong and a close. A close frame says nothing
// about the session (02 section 7).
func (c *webSocket) control(r io.Reader, h ws.Header) error {
	if !h.Fin || h.Length > ws.MaxControlFramePayloadSize {
		return errControl
	}
	payload := make([]byte, h.Length)
	if _, err := io.ReadFull(r, payload); err != nil {
		return fmt.Errorf("read control frame: %w", err)
	}
	ws.Cipher(payload, h.Mask, 0)
	switch h.OpCode {
	case ws.OpPing:
		// One write, because a flush may be writing too.
		if _, err := c.nc.Write(ws.MustCompileFrame(ws.NewPongFrame(payload))); err != nil {
			return fmt.Errorf("write pong: %w", err)
		}
	case ws.OpPong:
		c.ponged()
	case ws.OpClose:
		return errPeerClosed
	}
	return nil
}
