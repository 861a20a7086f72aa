package advect

import (
	"sync"
	"sync/atomic"
	"time"

	"advect.dev/internal/client"
)

const (
	batchBytes = 256 << 10 // about the most that is written at a time
	// lingerWithin is how long a connection that cannot be written may still be
	// read: the server may have said why.
	lingerWithin = 250 * time.Millisecond
)

// A link is one connection of a session: a goroutine that writes to it and a
// timer that watches it.
type link struct {
	conn    client.Conn
	wake    chan struct{} // has an element when there may be something to write
	closing sync.Once
	closed  chan struct{}
	written chan struct{} // closed when the writer has ended

	idleAfter time.Duration // 0: not watched
	monitor   *time.Timer
	idle      atomic.Bool
	failure   atomic.Pointer[error] // of the writer
}

func newLink(conn client.Conn, pingPeriod time.Duration) *link {
	l := &link{
		conn:    conn,
		wake:    make(chan struct{}, 1),
		closed:  make(chan struct{}),
		written: make(chan struct{}),
	}
	if pingPeriod > 0 {
		l.idleAfter = 2 * pingPeriod
		l.monitor = time.AfterFunc(l.idleAfter, func() {
			l.idle.Store(true)
			l.hangUp()
		})
	}
	return l
}

// alive takes note of a system ping, which nothing else is as good as
// (protocol 03 section 6).
func (l *link) alive() {
	if l.monitor != nil {
		l.monitor.Reset(l.idleAfter)
	}
}

func (l *link) wakeUp() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

func (l *link) close() {
	if l.monitor != nil {
		l.monitor.Stop()
	}
	l.hangUp()
}

// hangUp is close for the monitor, which may run before newLink has returned.
func (l *link) hangUp() {
	l.closing.Do(func() {
		close(l.closed)
		l.conn.Close()
	})
}

// end closes the link and waits until its writer has ended.
func (l *link) end() {
	l.close()
	<-l.written
}

// write sends what the session has to send until the link is closed. It runs on
// a goroutine of its own.
func (s *Session) write(l *link) {
	defer close(l.written)
	var batch [][]byte
	for {
		s.mu.Lock()
		batch = s.out.take(batch[:0], batchBytes)
		s.mu.Unlock()
		if len(batch) == 0 {
			select {
			case <-l.wake:
				continue
			case <-l.closed:
				return
			}
		}
		err := l.conn.Write(batch)
		clear(batch)
		if err != nil {
			l.failure.Store(&err)
			linger := time.NewTimer(lingerWithin)
			defer linger.Stop()
			select {
			case <-l.closed:
			case <-linger.C:
				l.close()
			}
			return
		}
	}
}
