package transport

import (
	"net"
	"sync/atomic"
)

// Openings count the connections on which no request has come yet, so that a flood
// of them cannot use up memory and descriptors.
type Openings struct {
	limit int64
	n     atomic.Int64
}

// NewOpenings returns openings of which there are at most limit.
func NewOpenings(limit int) *Openings { return &Openings{limit: int64(limit)} }

// Enter counts a connection, or returns false: then it is to be closed.
func (o *Openings) Enter() bool {
	if o.n.Add(1) > o.limit {
		o.n.Add(-1)
		return false
	}
	return true
}

// Leave takes back an Enter.
func (o *Openings) Leave() { o.n.Add(-1) }

// Counts reports whether a connection, accepted from a front, counts already.
func (o *Openings) Counts(c net.Conn) bool {
	_, ok := c.(*begun)
	return ok
}

// begun is a connection of which something was read already.
type begun struct {
	net.Conn
	got []byte
}

// Read implements [net.Conn].
func (b *begun) Read(p []byte) (int, error) {
	if len(b.got) == 0 {
		return b.Conn.Read(p)
	}
	n := copy(p, b.got)
	if b.got = b.got[n:]; len(b.got) == 0 {
		b.got = nil
	}
	return n, nil
}

// CloseWrite closes our direction.
func (b *begun) CloseWrite() error { return b.Conn.(*net.TCPConn).CloseWrite() }
