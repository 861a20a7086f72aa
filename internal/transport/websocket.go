package transport

import (
	"errors"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/engine"
	"advect.dev/internal/wire"
)

const (
	finishWithin = 5 * time.Second // for the last messages of a session to be written
	drainWithin  = time.Second     // for a peer to close its direction after ours
	pongWithin   = 2 * time.Second
)

// A webSocket is one connection of a session, whatever carries its bytes.
type webSocket struct {
	link       link
	session    *engine.Session // nil before the connection response, and after a rejection
	maxMessage int
	in         decoder // owned by whoever reads

	writing  atomic.Bool            // a flush is due or runs, or the response is not yet written
	held     atomic.Bool            // the first flush waits for a pong
	draining atomic.Bool            // the session is over; what arrives is dropped
	pong     atomic.Pointer[[]byte] // to be written: the payload of the latest ping
}

// A link carries the bytes of a connection. Its methods do not wait for the peer,
// but for write where a link says so.
type link interface {
	// schedule has flush called, on a goroutine that holds no lock.
	schedule()
	// write writes frames, and reports whether all are written. If not, flush is
	// to return, and is called again when there is room for the rest.
	write(b *batch) (done bool, err error)
	// resume writes such a rest. Only flush calls it, before anything else.
	resume(b *batch) (done bool, err error)
	// expire closes the link after a time, which replaces an earlier one; 0 is never.
	// A write that is waiting ends then too.
	expire(after time.Duration)
	// shut closes our direction.
	shut()
	// close is idempotent.
	close()
}

// begin writes the connection response, and lets what the session has follow. It
// returns false if the connection is to end without it: after a rejection, which
// says so, or because the peer has gone.
func (c *webSocket) begin(response []byte) bool {
	c.link.expire(finishWithin)
	b := batches.Get().(*batch)
	defer batches.Put(b)
	b.control = append(b.control[:0], ws.MustCompileFrame(ws.NewBinaryFrame(response))...)
	lost := c.session != nil && wire.ResponseCode(response[2]) == wire.ReconnectedWithLoss
	if lost {
		b.control = append(b.control, ws.MustCompileFrame(ws.NewPingFrame(nil))...)
	}
	switch done, err := c.link.write(b); {
	case c.session == nil:
		if err == nil {
			c.finish(b)
		}
		return false
	case err != nil || !done: // a new connection has room for it
		c.session.Lost(c, engine.IOException)
		return false
	}
	c.link.expire(0)
	if c.session.Over() { // Finish has set a deadline, perhaps the one just cleared
		c.link.expire(finishWithin)
	}
	c.held.Store(true)
	if lost {
		// The JavaScript client under Node sets its count of received messages to 0
		// some time after it has read this response. Messages that it reads together
		// with the response would not be counted, and be sent again, deltas too,
		// after the next loss. A pong shows that it has read the response alone.
		time.AfterFunc(pongWithin, c.release)
	} else {
		c.release()
	}
	return true
}

// release lets the first flush begin.
func (c *webSocket) release() {
	if c.held.CompareAndSwap(true, false) {
		c.link.schedule()
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
	if !c.writing.Load() && c.writing.CompareAndSwap(false, true) {
		c.link.schedule()
	}
}

// Finish implements [engine.Conn]. The deadline frees a flush that waits for a
// peer that does not read.
func (c *webSocket) Finish() {
	c.link.expire(finishWithin)
	c.Wake()
}

// Close implements [engine.Conn].
func (c *webSocket) Close() { c.link.close() }

// step takes a frame from b and returns the message that is complete with it, if
// one is, and what follows; ok is false if b does not hold a whole frame.
func (c *webSocket) step(b []byte) (message, rest []byte, ok bool, err error) {
	op, payload, rest, ok, err := c.in.next(b, c.maxMessage)
	if err != nil || !ok {
		return nil, rest, ok, err
	}
	switch op {
	case ws.OpBinary:
		return payload, rest, true, nil
	case ws.OpPing: // only the latest needs an answer (RFC 6455 section 5.5.3)
		echo := append([]byte(nil), payload...)
		c.pong.Store(&echo)
		c.Wake()
	case ws.OpPong:
		c.ponged()
	case ws.OpClose: // says nothing about the session (02 section 7)
		return nil, rest, true, errPeerClosed
	}
	return nil, rest, true, nil
}

// failed tells the session of an error of step or of a read, after which nothing
// more of what arrives is looked at. It returns true if the connection is to be
// read on, because its last messages are on their way.
func (c *webSocket) failed(err error) bool {
	switch {
	case errors.Is(err, errTooLarge):
		c.session.Fail(c, engine.MessageTooLarge, err)
	case errors.Is(err, errText), errors.Is(err, errEmpty), errors.Is(err, errReserved),
		errors.Is(err, errUnmasked), errors.Is(err, errControl), errors.Is(err, errSequence):
		c.session.Fail(c, engine.InvalidInboundMessage, err)
	}
	ended := errors.Is(err, io.EOF) || errors.Is(err, os.ErrDeadlineExceeded)
	if !ended && c.session.Over() && c.draining.CompareAndSwap(false, true) {
		c.link.expire(finishWithin)
	}
	if c.draining.Load() {
		return !ended
	}
	c.session.Lost(c, engine.ConnectionLost)
	return false
}

// flushAtOnce is how many batches a connection writes before others have their turn.
const flushAtOnce = 4

// flush writes what the session has until there is no more, or the link is full. At
// most one runs. b is scratch.
func (c *webSocket) flush(b *batch) {
	done, err := c.link.resume(b)
	for n := 0; err == nil && done; n++ {
		if n == flushAtOnce {
			c.link.schedule()
			return
		}
		b.control = b.control[:0]
		if c.pong.Load() != nil {
			b.control = append(b.control, ws.MustCompileFrame(ws.NewPongFrame(*c.pong.Swap(nil)))...)
		}
		var end bool
		b.messages, end = c.session.Take(c, b.messages[:0], batchBytes)
		if len(b.messages) > 0 || len(b.control) > 0 {
			if done, err = c.link.write(b); err != nil || !done {
				break
			}
		}
		if end {
			c.finish(b)
			return
		}
		c.writing.Store(false)
		if !c.session.Pending(c) && c.pong.Load() == nil || !c.writing.CompareAndSwap(false, true) {
			return
		}
	}
	if err != nil {
		c.session.Lost(c, engine.IOException)
		c.link.close()
	}
}

// finish closes our direction after the last message, and gives the peer a moment
// to do the same, so that nothing is lost to a reset.
func (c *webSocket) finish(b *batch) {
	c.draining.Store(true)
	c.link.expire(drainWithin)
	b.control = append(b.control[:0], ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusNormalClosure, "")))...)
	if done, err := c.link.write(b); err == nil && done {
		c.link.shut()
	}
}
