package load

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"advect.dev/bench/internal/ws"
	"advect.dev/bench/peers"
)

// Counts is what the subscribers have seen.
type Counts struct {
	Delivered int64 // in order, each at most once
	Late      int64 // repeated, or behind a later message of the same topic
	Misrouted int64 // of a topic that the subscriber did not ask for
	Corrupt   int64 // unreadable, or unlike what was published
	Dropped   int64 // connections that ended
	Bytes     int64 // read from subscribers' sockets, WebSocket framing included
	Reads     int64 // read calls on those sockets
}

// since returns what was counted since before.
func (c Counts) since(before Counts) Counts {
	return Counts{
		Delivered: c.Delivered - before.Delivered,
		Late:      c.Late - before.Late,
		Misrouted: c.Misrouted - before.Misrouted,
		Corrupt:   c.Corrupt - before.Corrupt,
		Dropped:   c.Dropped - before.Dropped,
		Bytes:     c.Bytes - before.Bytes,
		Reads:     c.Reads - before.Reads,
	}
}

// loop serves all client sockets from one goroutine on epoll: for a message, a
// client costs little more than its share of one read system call.
type loop struct {
	epfd  int
	doc   *Doc
	start time.Time
	buf   []byte

	// delivered mirrors counts.Delivered for the publisher. When it reaches
	// wakeAt, wake gets a token.
	delivered atomic.Int64
	wakeAt    atomic.Int64
	wake      chan struct{}

	stop    atomic.Bool
	stopped chan struct{}

	mu      sync.Mutex // held while events are handled; guards what follows
	conns   map[int]*conn
	counts  Counts // of all but stalled subscribers
	stalled Counts // of those
	latency *hist  // nil while latency is not recorded
	failure error  // the first reason of a dropped connection
}

func newLoop(doc *Doc) (*loop, error) {
	epfd, err := syscall.EpollCreate1(syscall.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	l := &loop{
		epfd: epfd, doc: doc, start: time.Now(),
		buf: make([]byte, 4<<20), conns: make(map[int]*conn),
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	go l.run()
	return l, nil
}

// now is the clock of all time stamps, in microseconds.
func (l *loop) now() int64 { return time.Since(l.start).Microseconds() }

func (l *loop) run() {
	defer close(l.stopped)
	events := make([]syscall.EpollEvent, 512)
	for !l.stop.Load() {
		n, err := syscall.EpollWait(l.epfd, events, 50)
		if err != nil && !errors.Is(err, syscall.EINTR) {
			panic(err) // cannot happen with a valid epfd
		}
		if n <= 0 {
			continue
		}
		l.mu.Lock()
		for _, ev := range events[:n] {
			if c := l.conns[int(ev.Fd)]; c != nil {
				if err := c.readable(); err != nil {
					l.drop(c, err)
				}
			}
		}
		delivered := l.counts.Delivered
		l.mu.Unlock()
		l.delivered.Store(delivered)
		if delivered >= l.wakeAt.Load() {
			select {
			case l.wake <- struct{}{}:
			default:
			}
		}
	}
}

// close ends the loop and every connection.
func (l *loop) close() {
	l.stop.Store(true)
	<-l.stopped
	for fd := range l.conns {
		syscall.Close(fd)
	}
	syscall.Close(l.epfd)
}

func (l *loop) drop(c *conn, err error) {
	delete(l.conns, c.fd)
	syscall.Close(c.fd)
	c.dropped = true
	if c.lost != nil {
		c.lost()
		return
	}
	l.tally(c).Dropped++
	if l.failure == nil && !c.stalled {
		l.failure = err
	}
}

// tally returns where what a connection sees is counted.
func (l *loop) tally(c *conn) *Counts {
	if c.stalled {
		return &l.stalled
	}
	return &l.counts
}

// snapshot returns the counts so far, without those of stalled subscribers, and
// the first failure.
func (l *loop) snapshot() (Counts, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts, l.failure
}

// record sets where latencies go.
func (l *loop) record(h *hist) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.latency = h
}

// conn is one client connection. It is its session's peers.Link.
type conn struct {
	loop    *loop
	fd      int
	session peers.Session
	opcode  byte
	ready   func() // called once, when the session is subscribed
	open    bool   // the handshake is done
	stamp   int64  // when the bytes at hand were read
	stalled bool   // was made to stop reading, for a while or for good
	dropped bool   // has ended
	lost    func() // called instead of counting when the connection ends; nil: count

	slowLink      bool         // see Rig.SlowLinks
	answers       atomic.Int64 // how often the server answered
	answersWanted atomic.Int64 // when answers gets there, answered gets a token
	answered      chan struct{}

	rest []byte // the start of an incomplete frame
	frag []byte // the start of an incomplete fragmented message

	// A subscriber has asked for len(next) topics from number first on,
	// wrapping at topics; next holds the sequence numbers expected of them.
	first, topics int
	next          []uint32

	writing sync.Mutex
	control []byte // frames to send that found a write under way
	queued  sync.Mutex
}

// dial connects to 127.0.0.1:port from the given loopback source address and
// sends the handshake. It blocks for the TCP handshake only.
func (l *loop) dial(c *conn, source byte, port int, endpoint peers.Endpoint) error {
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	c.loop, c.fd = l, fd
	fail := func(err error) error {
		syscall.Close(fd)
		return err
	}
	if c.slowLink {
		if err := syscall.SetsockoptInt(fd, syscall.SOL_SOCKET, syscall.SO_RCVBUF, 64<<10); err != nil {
			return fail(err)
		}
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 1460); err != nil {
			return fail(err)
		}
	}
	if source != 1 {
		const ipBindAddressNoPort = 24
		if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_IP, ipBindAddressNoPort, 1); err != nil {
			return fail(err)
		}
		if err := syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, source}}); err != nil {
			return fail(err)
		}
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		return fail(fmt.Errorf("connect: %w", err))
	}
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		return fail(err)
	}
	if err := syscall.SetNonblock(fd, true); err != nil {
		return fail(err)
	}
	host := fmt.Sprintf("127.0.0.1:%d", port)
	if err := c.write(ws.Request(host, endpoint.Path, endpoint.Subprotocol)); err != nil {
		return fail(err)
	}
	c.opcode = ws.Text
	if endpoint.Binary {
		c.opcode = ws.Binary
	}
	l.mu.Lock()
	l.conns[fd] = c
	l.mu.Unlock()
	return syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_ADD, fd, &syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(fd)})
}

// readable handles what has arrived, as far as one buffer goes; epoll reports
// the rest again.
func (c *conn) readable() error {
	buf := c.loop.buf
	kept := copy(buf, c.rest)
	if kept == len(buf) {
		return fmt.Errorf("a frame exceeds the read buffer of %d bytes", len(buf))
	}
	n, err := syscall.Read(c.fd, buf[kept:])
	switch {
	case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		return nil
	case err != nil:
		return fmt.Errorf("read: %w", err)
	case n == 0:
		return errors.New("the server closed the connection")
	}
	c.stamp = c.loop.now()
	if c.next != nil {
		counts := c.loop.tally(c)
		counts.Bytes += int64(n)
		counts.Reads++
	}
	b := buf[:kept+n]
	if !c.open {
		n, err := ws.Response(b)
		if err != nil {
			return err
		}
		if n > 0 {
			c.open = true
			b = b[n:]
			c.session.Open(c)
		}
	}
	for c.open && len(b) > 0 {
		f, n, err := ws.Parse(b)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		if err := c.frame(f); err != nil {
			return err
		}
		b = b[n:]
	}
	c.rest = append(c.rest[:0], b...)
	return nil
}

func (c *conn) frame(f ws.Frame) error {
	switch f.Opcode {
	case ws.Ping:
		return c.writeControl(ws.Append(nil, ws.Pong, f.Payload))
	case ws.Pong:
		return nil
	case ws.Close:
		return fmt.Errorf("the server sent close %q", f.Payload)
	}
	if f.Final && len(c.frag) == 0 {
		return c.session.Receive(f.Payload, c)
	}
	c.frag = append(c.frag, f.Payload...)
	if !f.Final {
		return nil
	}
	err := c.session.Receive(c.frag, c)
	c.frag = c.frag[:0]
	return err
}

// Send implements peers.Link.
func (c *conn) Send(msg []byte) {
	// A failed write shows as a failed read later.
	c.writeControl(ws.Append(nil, c.opcode, msg))
}

// Ready implements peers.Link.
func (c *conn) Ready() {
	if c.ready != nil {
		c.ready()
		c.ready = nil
	}
}

// Answered implements peers.Link.
func (c *conn) Answered() {
	if n := c.answers.Add(1); c.answered != nil && n >= c.answersWanted.Load() {
		select {
		case c.answered <- struct{}{}:
		default:
		}
	}
}

// Deliver implements peers.Link. It checks the header of each payload, and all
// of one payload in 64.
func (c *conn) Deliver(payload []byte) {
	l := c.loop
	counts := l.tally(c)
	k, seq, ts, ok := l.doc.Parse(payload)
	if !ok || seq == 0 {
		counts.Corrupt++
		return
	}
	slot := k - c.first
	if slot < 0 {
		slot += c.topics
	}
	if slot < 0 || slot >= len(c.next) || k >= c.topics {
		counts.Misrouted++
		return
	}
	if seq < c.next[slot] {
		counts.Late++
		return
	}
	c.next[slot] = seq + 1
	counts.Delivered++
	if counts.Delivered%64 == 0 && !l.doc.Equal(payload, k, seq, ts) {
		counts.Corrupt++
	}
	if l.latency != nil && !c.stalled {
		l.latency.add(c.stamp - ts)
	}
}

// writeControl writes frames from the event loop without waiting for another
// goroutine's write: those go out at the end of that write.
func (c *conn) writeControl(b []byte) error {
	c.queued.Lock()
	c.control = append(c.control, b...)
	c.queued.Unlock()
	if !c.writing.TryLock() {
		return nil
	}
	defer c.writing.Unlock()
	return c.flushControl()
}

func (c *conn) flushControl() error {
	c.queued.Lock()
	b := c.control
	c.control = nil
	c.queued.Unlock()
	return c.writeAll(b)
}

// write writes b and blocks as long as the server does not read.
func (c *conn) write(b []byte) error {
	c.writing.Lock()
	defer c.writing.Unlock()
	if err := c.writeAll(b); err != nil {
		return err
	}
	return c.flushControl()
}

// writePatience is how long a server may read nothing of what it is sent.
const writePatience = 10 * time.Second

func (c *conn) writeAll(b []byte) error {
	var blocked time.Time // when the server stopped reading
	for len(b) > 0 {
		n, err := syscall.Write(c.fd, b)
		switch {
		case err == nil:
			b, blocked = b[n:], time.Time{}
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			if blocked.IsZero() {
				blocked = time.Now()
			}
			if time.Since(blocked) > writePatience {
				return fmt.Errorf("write: the server has not read for %v: %w", writePatience, os.ErrDeadlineExceeded)
			}
			time.Sleep(200 * time.Microsecond)
		default:
			return fmt.Errorf("write: %w", err)
		}
	}
	return nil
}
