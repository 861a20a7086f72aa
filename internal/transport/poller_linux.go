package transport

import (
	"errors"
	"io"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const (
	loopBuffer   = 64 << 10
	readAtOnce   = 4 // buffers from one connection before others have their turn
	eventsAtOnce = 256
	mostLoops    = 16
	sweepPolled  = 250 * time.Millisecond // precision of deadlines
)

// A poller reads and writes plain TCP connections without a goroutine or a buffer
// for those on which nothing happens. Each connection belongs to a loop, which has
// one goroutine and one epoll set, and waits for that in Go's own poller: a loop
// without events holds no thread.
type poller struct {
	cfg     *Config
	conns   *sync.WaitGroup // counts the connections
	flusher *flusher
	loops   []*loop
	turn    atomic.Uint32
	done    sync.WaitGroup
}

// newPoller returns a poller that does nothing until start.
func newPoller(cfg *Config, conns *sync.WaitGroup) (*poller, error) {
	p := &poller{cfg: cfg, conns: conns}
	for range min(runtime.GOMAXPROCS(0), mostLoops) {
		l, err := newLoop(p)
		if err != nil {
			p.stopLoops()
			return nil, err
		}
		p.loops = append(p.loops, l)
	}
	return p, nil
}

// start starts the goroutines, which end with close.
func (p *poller) start() {
	p.flusher = newFlusher()
	for _, l := range p.loops {
		p.done.Go(l.run)
	}
}

// close returns when the poller's goroutines have ended. All connections must have.
func (p *poller) close() {
	p.stopLoops()
	p.flusher.close()
}

func (p *poller) stopLoops() {
	for _, l := range p.loops {
		_ = l.epoll.Close()
	}
	p.done.Wait()
}

// next returns a loop for a new connection.
func (p *poller) next() *loop { return p.loops[int(p.turn.Add(1))%len(p.loops)] }

// A loop waits for events of its connections and handles what can be handled at
// once itself.
type loop struct {
	poller *poller
	epoll  *os.File
	fd     int
	accept func() // handles the events of a listener
	buf    []byte // owned by the loop's goroutine
	events []unix.EpollEvent
	busy   []*polled // that have more to read

	mu        sync.Mutex
	conns     []*polled // by descriptor
	deadlines map[*polled]time.Time
	sweeping  bool
}

func newLoop(p *poller) (*loop, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// A file in this mode waits in Go's poller. The descriptor is never read.
	if err := unix.SetNonblock(fd, true); err != nil {
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	return &loop{
		poller: p, epoll: os.NewFile(uintptr(fd), "epoll"), fd: fd,
		buf: make([]byte, loopBuffer), events: make([]unix.EpollEvent, eventsAtOnce),
		deadlines: make(map[*polled]time.Time),
	}, nil
}

func (l *loop) run() {
	raw, err := l.epoll.SyscallConn()
	if err == nil {
		err = raw.Read(l.rounds)
	}
	if err != nil && !errors.Is(err, os.ErrClosed) {
		l.poller.cfg.Log.Error("the event loop has failed", "error", err)
	}
}

// rounds handles events until there are none. The result is false, which makes
// [syscall.RawConn] wait.
func (l *loop) rounds(uintptr) bool {
	for {
		n, err := unix.EpollWait(l.fd, l.events, 0)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return true // closed
		}
		if n <= 0 && len(l.busy) == 0 {
			return false
		}
		l.poller.flusher.promise()
		busy := l.busy
		l.busy = nil
		for _, e := range l.events[:max(n, 0)] {
			l.handle(&e)
		}
		for _, c := range busy {
			l.read(c)
		}
		l.poller.flusher.drain()
		if n < len(l.events) && len(l.busy) == 0 && err == nil {
			return false // what came meanwhile is a new event of the epoll set itself
		}
	}
}

// listener is in the place of a descriptor in the events of a listener.
const listener = -1

func (l *loop) handle(e *unix.EpollEvent) {
	if e.Fd == listener {
		l.accept()
		return
	}
	l.mu.Lock()
	c := l.conns[e.Fd]
	l.mu.Unlock()
	if c == nil { // closed meanwhile
		return
	}
	if e.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		c.ending.Store(true)
	}
	if e.Events&unix.EPOLLOUT != 0 {
		c.roomy()
	}
	if e.Events&^unix.EPOLLOUT != 0 && c.reading.start() {
		l.read(c)
	}
}

// read reads from a connection that the loop has the right to read.
func (l *loop) read(c *polled) {
	for range readAtOnce {
		if !c.read(l.buf, true) {
			return
		}
	}
	l.busy = append(l.busy, c)
}

// add has the loop watch a connection from now on, which has a deadline. The loop may
// have read its request, and taken the deadline away, before add returns.
func (l *loop) add(c *polled, deadline time.Duration) error {
	l.mu.Lock()
	for len(l.conns) <= c.fd {
		l.conns = append(l.conns, nil)
	}
	l.conns[c.fd] = c
	l.mu.Unlock()
	l.expire(c, deadline)
	return os.NewSyscallError("epoll_ctl", unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, c.fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET&0xffffffff, Fd: int32(c.fd),
	}))
}

// remove forgets a connection, before its descriptor is used again for another.
func (l *loop) remove(c *polled) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.conns[c.fd] == c {
		l.conns[c.fd] = nil
	}
	delete(l.deadlines, c)
}

// expire gives a connection a deadline; 0 takes it away.
func (l *loop) expire(c *polled, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if after <= 0 {
		delete(l.deadlines, c)
		return
	}
	if l.conns[c.fd] != c {
		return
	}
	l.deadlines[c] = time.Now().Add(after)
	if !l.sweeping {
		l.sweeping = true
		time.AfterFunc(sweepPolled, l.sweep)
	}
}

// sweep ends connections whose deadline has passed. Whoever reads them notices.
func (l *loop) sweep() {
	var late []*polled
	now := time.Now()
	l.mu.Lock()
	for c, at := range l.deadlines {
		if now.After(at) {
			late = append(late, c)
			delete(l.deadlines, c)
		}
	}
	l.sweeping = len(l.deadlines) > 0
	if l.sweeping {
		time.AfterFunc(sweepPolled, l.sweep)
	}
	l.mu.Unlock()
	for _, c := range late {
		c.cut()
	}
}

// cutOpening cuts the connections that have not asked for anything yet.
func (l *loop) cutOpening() {
	l.mu.Lock()
	conns := append([]*polled(nil), l.conns...)
	l.mu.Unlock()
	for _, c := range conns {
		if c != nil && !c.opened.Load() {
			c.cut()
		}
	}
}

// A socket is a descriptor that is closed when nobody uses it any more.
type socket struct {
	fd    int
	users atomic.Int32 // and closing
}

const closing = 1 << 30

// use keeps the descriptor open until done. It returns false if it is closed.
func (s *socket) use() bool {
	for {
		n := s.users.Load()
		if n&closing != 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

func (s *socket) done() {
	if s.users.Add(-1) == closing {
		_ = unix.Close(s.fd)
	}
}

// retire closes the descriptor as soon as nobody uses it, and reports whether this
// was the first call.
func (s *socket) retire() bool {
	for {
		n := s.users.Load()
		if n&closing != 0 {
			return false
		}
		if s.users.CompareAndSwap(n, n+1|closing) {
			s.done()
			return true
		}
	}
}

// giveAway leaves the descriptor to the caller, once nobody uses it. It returns false if it is
// closed.
func (s *socket) giveAway() bool {
	for {
		switch n := s.users.Load(); {
		case n&closing != 0:
			return false
		case n == 0 && s.users.CompareAndSwap(0, closing+1): // done is never called for it
			return true
		}
		runtime.Gosched()
	}
}

// A gate lets one goroutine read, and remembers that there is something new to read.
type gate struct{ state atomic.Int32 }

// The states of a gate.
const (
	shut int32 = iota
	open
	again
)

// start reports whether the caller has the right to read, until finish.
func (g *gate) start() bool {
	for {
		switch n := g.state.Load(); {
		case n == shut && g.state.CompareAndSwap(shut, open):
			return true
		case n == again || n == open && g.state.CompareAndSwap(open, again):
			return false
		}
	}
}

// finish gives up the right to read, or returns false if there is something new.
func (g *gate) finish() bool {
	if g.state.CompareAndSwap(open, shut) {
		return true
	}
	g.state.Store(open)
	return false
}

// A polled is a link over a socket that a loop watches. Its writes never wait.
type polled struct {
	webSocket
	socket
	loop    *loop
	reading gate
	ending  atomic.Bool // the peer has closed its direction, or there is an error
	opened  atomic.Bool // there has been a request
	opening *opening    // until then
	room    atomic.Int32
	unsent  *unsent // what a write has left; owned by flush
}

// The states of room: after a write that found the socket full, the next event says
// that it is not.
const (
	unknown int32 = iota
	waiting
	noticed
)

// read reads once and passes on what has come, inline as far as that is quick. It
// returns false if the caller is not to read on: there is nothing more, or somebody
// else does. buf is free again afterwards.
func (c *polled) read(buf []byte, inline bool) bool {
	if !c.use() {
		return false
	}
	n, err := unix.Read(c.fd, buf)
	c.done()
	switch {
	case errors.Is(err, unix.EAGAIN):
		return !c.reading.finish()
	case errors.Is(err, unix.EINTR):
		return true
	case err != nil || n == 0:
		c.failed(io.EOF)
		return false
	}
	if !c.received(buf[:n], inline) {
		return false
	}
	// A read that did not fill the buffer has taken all there was.
	return n == len(buf) || c.ending.Load() || !c.reading.finish()
}

// readOn does as a loop does, on a goroutine of its own, until there is nothing to
// read.
func (c *polled) readOn() {
	buf := busy.Get().(*[]byte)
	defer busy.Put(buf)
	for c.read(*buf, false) {
	}
}

// received passes on what has come, and returns false when somebody else goes on
// with it or nothing more is to be read.
func (c *polled) received(more []byte, inline bool) bool {
	switch {
	case !c.opened.Load():
		return c.open(more, inline)
	case c.draining.Load():
		return true
	}
	b := c.in.join(more)
	for {
		message, rest, ok, err := c.step(b)
		if err == nil && !ok {
			c.in.keep(rest)
			return true
		}
		if err == nil && message != nil {
			if inline && !c.session.Quick(message) {
				message, rest = append([]byte(nil), message...), append([]byte(nil), rest...)
				c.in.keep(nil)
				go c.receiveElsewhere(message, rest)
				return false
			}
			err = c.session.Receive(&c.webSocket, message)
			if pause := c.session.Pause(); pause > 0 && err == nil {
				rest = append([]byte(nil), rest...)
				c.in.keep(nil)
				if inline {
					go c.receiveAfter(pause, rest)
					return false
				}
				time.Sleep(pause)
			}
		}
		if err != nil {
			return c.failed(err)
		}
		b = rest
	}
}

// receiveElsewhere does as received, and reads on, for a loop that does not want to.
func (c *polled) receiveElsewhere(message, rest []byte) {
	if err := c.session.Receive(&c.webSocket, message); err != nil {
		if c.failed(err) {
			c.readOn()
		}
		return
	}
	c.receiveAfter(c.session.Pause(), rest)
}

func (c *polled) receiveAfter(pause time.Duration, rest []byte) {
	time.Sleep(pause)
	if len(rest) == 0 || c.received(rest, false) {
		c.readOn()
	}
}

// failed ends the connection, unless it returns true: then what arrives is dropped.
func (c *polled) failed(err error) bool {
	if c.session != nil {
		if c.webSocket.failed(err) {
			return true
		}
	} else if c.draining.Load() && !errors.Is(err, io.EOF) {
		return true
	}
	c.close()
	return false
}

func (c *polled) schedule() { c.loop.poller.flusher.push(&c.webSocket) }

func (c *polled) expire(after time.Duration) { c.loop.expire(c, after) }

func (c *polled) shut() {
	if c.use() {
		_ = unix.Shutdown(c.fd, unix.SHUT_WR)
		c.done()
	}
}

// cut makes reads and writes fail.
func (c *polled) cut() {
	if c.use() {
		_ = unix.Shutdown(c.fd, unix.SHUT_RDWR)
		c.done()
	}
}

func (c *polled) close() {
	c.loop.remove(c)
	if c.retire() {
		if c.opening != nil {
			c.loop.poller.cfg.Openings.Leave()
		}
		c.loop.poller.conns.Done()
	}
}
