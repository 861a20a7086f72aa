package transport

import (
	"errors"
	"io"

	"golang.org/x/sys/unix"

	"advect.dev/internal/outbox"
)

// unsent is what is left of a batch that a socket had no room for. The messages are
// shared with other sessions: a reader that stands still costs little.
type unsent struct {
	control  []byte
	messages []*outbox.Message
	skip     int // bytes of the first message
}

// after returns what is left of a batch of which n bytes are written.
func (b *batch) after(n int) *unsent {
	if n < len(b.control) {
		return &unsent{control: append([]byte(nil), b.control[n:]...), messages: append([]*outbox.Message(nil), b.messages...)}
	}
	n -= len(b.control)
	for i, m := range b.messages {
		if n < m.Len() {
			return &unsent{messages: append([]*outbox.Message(nil), b.messages[i:]...), skip: n}
		}
		n -= m.Len()
	}
	return nil
}

// most is how many pieces a vectored write takes (IOV_MAX).
const most = 1024

// vectors appends what is left to dst, or the first of it.
func (u *unsent) vectors(dst [][]byte) [][]byte {
	if len(u.control) > 0 {
		dst = append(dst, u.control)
	}
	for i, m := range u.messages[:min(len(u.messages), most-1)] {
		frame := m.Frame()
		if i == 0 {
			frame = frame[u.skip:]
		}
		dst = append(dst, frame)
	}
	return dst
}

// advance takes note that n bytes of what vectors has returned are written. It
// returns false if nothing is left.
func (u *unsent) advance(n int) bool {
	if n < len(u.control) {
		u.control = u.control[n:]
		return true
	}
	n -= len(u.control)
	u.control = nil
	for len(u.messages) > 0 {
		left := u.messages[0].Len() - u.skip
		if n < left {
			u.skip += n
			return true
		}
		n -= left
		u.messages, u.skip = u.messages[1:], 0
	}
	return false
}

func (c *polled) write(b *batch) (bool, error) {
	defer b.clear()
	flat, vectors := b.frames()
	size := len(flat)
	if vectors != nil {
		for _, v := range vectors {
			size += len(v)
		}
		if len(vectors) > most {
			vectors = vectors[:most]
		}
	}
	n, err := c.send(flat, vectors)
	if err != nil || n == size {
		return err == nil, err
	}
	c.unsent = b.after(n)
	b.clear()
	return c.resume(b)
}

// resume writes what an earlier write has left. If there is no room, the event that
// says that there is has flush called.
func (c *polled) resume(b *batch) (bool, error) {
	if c.unsent == nil {
		return true, nil
	}
	defer b.clear()
	for {
		c.room.Store(unknown) // before the attempt: an event after it counts
		for {
			b.vectors = c.unsent.vectors(b.vectors[:0])
			n, err := c.send(nil, b.vectors)
			if err != nil {
				return false, err
			}
			if n == 0 {
				break
			}
			if !c.unsent.advance(n) {
				c.unsent = nil
				return true, nil
			}
		}
		if c.room.CompareAndSwap(unknown, waiting) {
			return false, nil
		}
	}
}

// roomy takes note of an event: the socket has room, or has failed.
func (c *polled) roomy() {
	for {
		switch n := c.room.Load(); {
		case n == waiting && c.room.CompareAndSwap(waiting, unknown):
			c.schedule()
			return
		case n == noticed || n == unknown && c.room.CompareAndSwap(unknown, noticed):
			return
		}
	}
}

// send writes what the socket has room for: n is 0 if that is nothing.
func (c *polled) send(flat []byte, vectors [][]byte) (n int, err error) {
	if !c.use() {
		return 0, io.ErrClosedPipe
	}
	defer c.done()
	for {
		if vectors == nil {
			n, err = unix.Write(c.fd, flat)
		} else {
			n, err = unix.Writev(c.fd, vectors)
		}
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, unix.EAGAIN):
			return 0, nil
		case !errors.Is(err, unix.EINTR):
			return 0, err
		}
	}
}
