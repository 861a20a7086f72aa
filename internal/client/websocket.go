package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/wire"
)

const (
	leastBuffer = 1024                   // bytes; the longest frame head is 14
	closeWithin = 250 * time.Millisecond // for the close frame
)

// A webSocket carries each message in one binary WebSocket message.
type webSocket struct {
	nc     net.Conn
	br     *bufio.Reader
	max    int
	unread int    // bytes of br that the last Read returned
	joined []byte // a message that did not fit in br, or came in fragments

	writing sync.Mutex
	out     []byte                 // guarded by writing
	keep    int                    // capacity of out that is kept
	pong    atomic.Pointer[[]byte] // the payload of a ping that is to be answered
	closing atomic.Bool
}

// dialWebSocket upgrades a connection and reads the connection response, which
// is a WebSocket message of its own.
func dialWebSocket(ctx context.Context, cfg *Config, q *wire.ConnectRequest) (Conn, []byte, error) {
	nc, err := cfg.open(ctx)
	if err != nil {
		return nil, nil, err
	}
	c := &webSocket{nc: nc, max: cfg.MaxMessageSize, keep: max(cfg.WriteBuffer, leastBuffer)}
	var response []byte
	err = bounded(ctx, nc, func() error {
		if err := c.upgrade(cfg, q); err != nil {
			return fmt.Errorf("upgrade: %w", err)
		}
		if response, err = c.Read(); err != nil {
			return fmt.Errorf("read connection response: %w", err)
		}
		return nil
	})
	if err != nil {
		nc.Close()
		return nil, nil, err
	}
	return c, response, nil
}

// bounded does blocking I/O on nc, which fails soon after ctx is done.
func bounded(ctx context.Context, nc net.Conn, do func() error) error {
	stop := context.AfterFunc(ctx, func() { _ = nc.SetDeadline(time.Unix(1, 0)) })
	err := do()
	if !stop() && err == nil {
		return ctx.Err()
	}
	return err
}

func (c *webSocket) upgrade(cfg *Config, q *wire.ConnectRequest) error {
	u := cfg.url("ws", "wss")
	u.RawQuery = q.Query()
	header := cfg.Header.Clone()
	for _, name := range [...]string{"Host", "Connection", "Upgrade", "Sec-WebSocket-Key", "Sec-WebSocket-Version",
		"Sec-WebSocket-Protocol", "Sec-WebSocket-Extensions"} {
		header.Del(name)
	}
	d := ws.Dialer{Host: cfg.Header.Get("Host"), Header: ws.HandshakeHeaderHTTP(header)}
	br, _, err := d.Upgrade(c.nc, u)
	if err != nil {
		var status ws.StatusError
		if errors.As(err, &status) {
			return fmt.Errorf("HTTP status %d %s", int(status), http.StatusText(int(status)))
		}
		return err
	}
	var r io.Reader = c.nc
	if br != nil { // the server has already sent more
		early, _ := br.Peek(br.Buffered())
		r = io.MultiReader(bytes.NewReader(bytes.Clone(early)), c.nc)
		ws.PutReader(br)
	}
	c.br = bufio.NewReaderSize(r, max(cfg.ReadBuffer, leastBuffer))
	return nil
}

// A frameHead is the head of a WebSocket frame (RFC 6455 section 5.2).
type frameHead struct {
	fin    bool
	op     ws.OpCode
	length int64
}

// readHead reads the head of a frame that a server sent.
func (c *webSocket) readHead() (h frameHead, err error) {
	p, err := c.br.Peek(2)
	if err != nil {
		return h, lost(err)
	}
	h.fin, h.op, h.length = p[0]&0x80 != 0, ws.OpCode(p[0]&0x0f), int64(p[1]&0x7f)
	switch {
	case p[0]&0x70 != 0:
		return h, fmt.Errorf("%w: reserved bits are set", ErrFraming)
	case p[1]&0x80 != 0:
		return h, fmt.Errorf("%w: masked by the server", ErrFraming)
	case h.op > ws.OpBinary && h.op < ws.OpClose || h.op > ws.OpPong:
		return h, fmt.Errorf("%w: opcode %d", ErrFraming, h.op)
	case h.op.IsControl() && (!h.fin || h.length > ws.MaxControlFramePayloadSize):
		return h, fmt.Errorf("%w: control frame fragmented or too long", ErrFraming)
	}
	size := 2
	switch h.length {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	if p, err = c.br.Peek(size); err != nil {
		return h, lost(err)
	}
	switch size {
	case 4:
		h.length = int64(binary.BigEndian.Uint16(p[2:]))
	case 10:
		if h.length = int64(binary.BigEndian.Uint64(p[2:])); h.length < 0 {
			return h, fmt.Errorf("%w: length of more than 63 bits", ErrFraming)
		}
	}
	_, _ = c.br.Discard(size)
	return h, nil
}

// lost names the end of a connection that ends without a word.
func lost(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("connection closed by the server: %w", io.ErrUnexpectedEOF)
	}
	return err
}

// Read implements [Conn]. A message that fits is returned where it lies in the
// read buffer.
func (c *webSocket) Read() ([]byte, error) {
	_, _ = c.br.Discard(c.unread)
	c.unread = 0
	if cap(c.joined) > 8*c.br.Size() {
		c.joined = nil
	}
	c.joined = c.joined[:0]
	for started := false; ; started = true {
		h, err := c.dataFrame(started)
		if err != nil {
			return nil, err
		}
		if h.length > int64(c.max-len(c.joined)) {
			return nil, fmt.Errorf("%w of %d bytes", ErrTooLarge, c.max)
		}
		n := int(h.length)
		if h.fin && !started && n <= c.br.Size() {
			if n == 0 {
				return nil, fmt.Errorf("%w: empty WebSocket message", wire.ErrMalformed)
			}
			message, err := c.br.Peek(n)
			c.unread = len(message)
			return message, lost(err)
		}
		if c.joined, err = readGrowing(c.br, c.joined, n); err != nil {
			return nil, lost(err)
		}
		if !h.fin {
			continue
		}
		if len(c.joined) == 0 {
			return nil, fmt.Errorf("%w: empty WebSocket message", wire.ErrMalformed)
		}
		return c.joined, nil
	}
}

// dataFrame reads the head of the next frame that belongs to a message, and
// handles the control frames before it.
func (c *webSocket) dataFrame(started bool) (frameHead, error) {
	for {
		h, err := c.readHead()
		switch {
		case err != nil:
			return h, err
		case h.op.IsControl():
			if err := c.control(h); err != nil {
				return h, err
			}
		case h.op == ws.OpText:
			return h, fmt.Errorf("%w: text WebSocket message", wire.ErrMalformed)
		case started != (h.op == ws.OpContinuation):
			return h, fmt.Errorf("%w: continuation frame out of place", ErrFraming)
		default:
			return h, nil
		}
	}
}

// control answers a ping and takes note of a close.
func (c *webSocket) control(h frameHead) error {
	payload := make([]byte, h.length)
	if _, err := io.ReadFull(c.br, payload); err != nil {
		return lost(err)
	}
	switch h.op {
	case ws.OpPing:
		c.pong.Store(&payload)
		c.flushPong()
	case ws.OpClose:
		code, reason := ws.ParseCloseFrameData(payload)
		return fmt.Errorf("connection closed by the server: close frame %d %q: %w", code, reason, io.ErrUnexpectedEOF)
	}
	return nil
}

// flushPong answers a ping unless a Write is under way, which then does it: the
// reader must not wait for a writer that may wait for the server to read.
func (c *webSocket) flushPong() {
	for c.pong.Load() != nil && c.writing.TryLock() {
		if payload := c.pong.Swap(nil); payload != nil {
			_, _ = c.nc.Write(appendFrame(nil, ws.OpPong, *payload))
		}
		c.writing.Unlock()
	}
}

// readGrowing appends n bytes, allocating for no more than twice what has come.
func readGrowing(r io.Reader, b []byte, n int) ([]byte, error) {
	for n > 0 {
		step := min(n, max(4096, len(b)))
		at := len(b)
		if cap(b)-at < step {
			b = append(b, make([]byte, step)...)
		} else {
			b = b[:at+step]
		}
		if _, err := io.ReadFull(r, b[at:]); err != nil {
			return b[:at], err
		}
		n -= step
	}
	return b, nil
}

// Write implements [Conn].
func (c *webSocket) Write(messages [][]byte) error {
	err := c.write(messages)
	c.flushPong()
	return err
}

func (c *webSocket) write(messages [][]byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	out := c.out[:0]
	for i, m := range messages {
		out = appendFrame(out, ws.OpBinary, m)
		if len(out) < c.keep && i < len(messages)-1 {
			continue
		}
		if _, err := c.nc.Write(out); err != nil {
			return err
		}
		out = out[:0]
	}
	if c.out = out; cap(out) > 2*c.keep {
		c.out = nil
	}
	return nil
}

// appendFrame appends a whole masked frame.
func appendFrame(b []byte, op ws.OpCode, payload []byte) []byte {
	b = append(b, 0x80|byte(op))
	switch n := len(payload); {
	case n < 126:
		b = append(b, 0x80|byte(n))
	case n <= 0xffff:
		b = binary.BigEndian.AppendUint16(append(b, 0x80|126), uint16(n))
	default:
		b = binary.BigEndian.AppendUint64(append(b, 0x80|127), uint64(n))
	}
	var mask [4]byte
	binary.BigEndian.PutUint32(mask[:], rand.Uint32()) // ChaCha8, seeded by the system
	b = append(b, mask[:]...)
	at := len(b)
	b = append(b, payload...)
	ws.Cipher(b[at:], mask, 0)
	return b
}

// Close implements [Conn]. It sends a close frame if that can be done at once.
func (c *webSocket) Close() {
	if c.closing.Swap(true) {
		return
	}
	_ = c.nc.SetWriteDeadline(time.Now().Add(closeWithin))
	if c.writing.TryLock() {
		_, _ = c.nc.Write(appendFrame(nil, ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))
		c.writing.Unlock()
	}
	_ = c.nc.Close()
}
