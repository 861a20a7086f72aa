package transport

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"

	"advect.dev/internal/engine"
	"advect.dev/internal/security"
)

// A front accepts the connections of a plain TCP listener. It serves WebSockets
// itself, and is the [net.Listener] of whoever serves what else is asked for: it
// accepts connections whose first request has come and is no WebSocket's.
type front struct {
	poller  *poller
	handler *Handler
	fd      int
	addr    net.Addr
	ctx     context.Context // of what is asked for
	stop    context.CancelFunc
	others  chan net.Conn

	mu     sync.Mutex
	closed bool // and fd with it
}

const (
	acceptAtOnce = 64
	acceptLater  = 100 * time.Millisecond // after an error, such as too many open files
	maxRequest   = 64 << 10               // bytes of a WebSocket's request
)

// Front returns a listener for an HTTP server, to be closed, which serves the
// WebSockets of l itself where that saves memory and time. l is closed with it, or
// before. admit, which may be nil, is asked about each connection by its address.
func (h *Handler) Front(l net.Listener, admit func(netip.Addr) bool) (net.Listener, error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return l, nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	fd, dup := -1, error(nil)
	err = raw.Control(func(original uintptr) {
		// What a listener has set, the connections that it accepts have too.
		_ = unix.SetsockoptInt(int(original), unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		fd, dup = unix.FcntlInt(original, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err = errors.Join(err, os.NewSyscallError("fcntl", dup)); err != nil {
		return nil, err
	}
	f := &front{handler: h, fd: fd, addr: l.Addr(), others: make(chan net.Conn)}
	_ = l.Close() // the duplicate goes on listening; Go's poller need not watch it
	if f.poller, err = newPoller(&h.cfg, &h.conns); err != nil {
		_ = unix.Close(fd)
		return nil, err
	}
	f.ctx, f.stop = context.WithCancel(context.Background())
	first := f.poller.loops[0]
	first.accept = func() { f.accept(admit) }
	if err := unix.EpollCtl(first.fd, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: listener}); err != nil {
		f.poller.stopLoops()
		_ = unix.Close(fd)
		return nil, os.NewSyscallError("epoll_ctl", err)
	}
	f.poller.start()
	h.fronts = append(h.fronts, f)
	return f, nil
}

// Accept implements [net.Listener].
func (f *front) Accept() (net.Conn, error) {
	select {
	case c := <-f.others:
		return c, nil
	case <-f.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Addr implements [net.Listener].
func (f *front) Addr() net.Addr { return f.addr }

// Close implements [net.Listener]. Connections that have not asked for anything are
// closed with it, sessions are not.
func (f *front) Close() error {
	f.mu.Lock()
	if f.closed {
		f.mu.Unlock()
		return nil
	}
	f.closed = true
	_ = unix.Close(f.fd)
	f.mu.Unlock()
	f.stop()
	for _, l := range f.poller.loops {
		l.cutOpening()
	}
	return nil
}

// accept accepts what waits, by the loop that watches the listener.
func (f *front) accept(admit func(netip.Addr) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range acceptAtOnce {
		if f.closed {
			return
		}
		fd, from, err := unix.Accept4(f.fd, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		switch {
		case errors.Is(err, unix.EAGAIN):
			return
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.ECONNABORTED):
			continue
		case err != nil:
			f.handler.cfg.Log.Warn("cannot accept connections; trying again", "error", err)
			f.rest()
			return
		}
		peer := addrPort(from)
		if admit != nil && !admit(peer.Addr()) {
			// A reset: nothing of it stays behind here.
			_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			_ = unix.Close(fd)
			continue
		}
		if !f.handler.cfg.Openings.Enter() {
			_ = unix.Close(fd)
			continue
		}
		f.begin(fd, peer)
	}
}

// rest stops accepting for a moment. mu is held.
func (f *front) rest() {
	watch := func(events uint32) {
		_ = unix.EpollCtl(f.poller.loops[0].fd, unix.EPOLL_CTL_MOD, f.fd, &unix.EpollEvent{Events: events, Fd: listener})
	}
	watch(0)
	time.AfterFunc(acceptLater, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.closed {
			watch(unix.EPOLLIN)
		}
	})
}

func (f *front) begin(fd int, peer netip.AddrPort) {
	c := &polled{loop: f.poller.next(), opening: &opening{front: f, peer: peer}}
	c.fd = fd
	c.link, c.maxMessage = c, f.handler.cfg.MaxMessageSize
	c.writing.Store(true)
	f.poller.conns.Add(1)
	if err := c.loop.add(c, f.handler.cfg.HandshakeTimeout); err != nil {
		f.handler.cfg.Log.Warn("cannot watch a connection", "error", err)
		c.close()
	}
}

func addrPort(a unix.Sockaddr) netip.AddrPort {
	switch a := a.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(a.Addr), uint16(a.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(a.Addr).Unmap(), uint16(a.Port))
	}
	return netip.AddrPort{}
}

// An opening is a connection that has not asked for anything yet.
type opening struct {
	front *front
	peer  netip.AddrPort
	got   []byte // of its request
}

// What the request of a WebSocket begins with, and ends with.
var (
	get       = []byte("GET ")
	endOfHead = []byte("\r\n\r\n")
)

// open takes more of the request, and answers it when it is there. What cannot become
// that of a WebSocket is left to others at once.
func (c *polled) open(more []byte, inline bool) bool {
	o := c.opening
	o.got = append(o.got, more...)
	end := bytes.Index(o.got, endOfHead)
	if end < 0 && len(o.got) < maxRequest && bytes.HasPrefix(o.got, get[:min(len(get), len(o.got))]) {
		return true
	}
	c.opening = nil
	c.opened.Store(true)
	c.expire(0)
	h := o.front.handler
	if end < 0 || !h.cfg.Accepting() { // the HTTP server says what is wrong
		c.handOver(o)
		return false
	}
	head, early := o.got[:end+4], o.got[end+4:]
	query, header, answer, ok := readUpgrade(head)
	if !ok {
		c.handOver(o)
		return false
	}
	r := newRequest(o.front.ctx, query, header, o.peer.Addr(), security.Certificate{})
	if r.Token == "" && h.cfg.Engine.Short() { // likewise; who reconnects is let in, and costs least here
		c.handOver(o)
		return false
	}
	h.cfg.Openings.Leave()
	if n, err := c.send(answer, nil); n != len(answer) || err != nil { // a new connection has room for it
		c.close()
		return false
	}
	if inline && !r.quick(h.cfg.Engine) {
		go func() {
			if c.connect(&h.cfg, r, early, false) {
				c.readOn()
			}
		}()
		return false
	}
	return c.connect(&h.cfg, r, early, inline)
}

// connect asks for a session, and returns what received does.
func (c *polled) connect(cfg *Config, r *request, early []byte, inline bool) bool {
	response, session := cfg.connect(r, engine.WebSocket, &c.webSocket)
	c.session = session
	if !c.begin(response) && session != nil {
		c.close()
		return false
	}
	return len(early) == 0 || c.received(early, inline)
}

// errNotOurs makes an upgrade fail that is not for this path.
var errNotOurs = errors.New("not a path of the protocol")

// readUpgrade reads the request of a WebSocket, and returns the answer that accepts
// it. It returns false if it is no such request, or one that a server of HTTP is to
// refuse.
func readUpgrade(head []byte) (query string, header http.Header, answer []byte, ok bool) {
	conversation := struct {
		*bytes.Reader
		io.Writer
	}{bytes.NewReader(head), (*sink)(&answer)}
	u := ws.Upgrader{
		ReadBufferSize: max(len(head), ws.DefaultServerReadBufferSize),
		OnRequest: func(uri []byte) error {
			u, err := url.ParseRequestURI(string(uri))
			if err != nil || !Serves(u.Path) {
				return errNotOurs
			}
			query = u.RawQuery
			return nil
		},
		OnHeader: func(key, value []byte) error {
			if !isParameter[string(key)] {
				return nil
			}
			if header == nil {
				header = make(http.Header)
			}
			header.Add(string(key), string(value))
			return nil
		},
	}
	_, err := u.Upgrade(conversation)
	return query, header, answer, err == nil && plainNames(head)
}

// plainNames reports whether no header has space around its name, or goes on in
// another line: what servers and proxies read differently.
func plainNames(head []byte) bool {
	first := true
	for line := range bytes.SplitSeq(head, []byte("\n")) {
		name, _, _ := bytes.Cut(line, []byte(":"))
		if !first && bytes.ContainsAny(name, " \t") {
			return false
		}
		first = false
	}
	return true
}

// isParameter has the headers in which a request may have parameters (01 section 2),
// in canonical form.
var isParameter = map[string]bool{
	"Ty": true, "V": true, "Ca": true, "R": true, "C": true, "Cs": true, "Ss": true, "Sp": true,
	"Username": true, "Password": true,
}

// A sink keeps what is written to it.
type sink []byte

// Write implements [io.Writer].
func (s *sink) Write(p []byte) (int, error) {
	*s = append(*s, p...)
	return len(p), nil
}

// handOver gives the connection to whoever serves HTTP, with what has come of it. It
// goes on counting as an opening.
func (c *polled) handOver(o *opening) {
	c.loop.remove(c)
	_ = unix.EpollCtl(c.loop.fd, unix.EPOLL_CTL_DEL, c.fd, nil)
	if !c.giveAway() {
		return
	}
	defer c.loop.poller.conns.Done()
	cfg := &o.front.handler.cfg
	file := os.NewFile(uintptr(c.fd), "socket")
	nc, err := net.FileConn(file)
	_ = file.Close()
	if err != nil {
		cfg.Log.Warn("cannot serve a connection", "error", err)
		cfg.Openings.Leave()
		return
	}
	go func() {
		select {
		case o.front.others <- &begun{nc, o.got}:
		case <-o.front.ctx.Done():
			_ = nc.Close()
			cfg.Openings.Leave()
		}
	}()
}
