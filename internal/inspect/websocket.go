package inspect

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/wire"
)

const dialTimeout = 10 * time.Second

// webSocket passes an upgrade on and then frames both ways.
func (i *Inspector) webSocket(w http.ResponseWriter, r *http.Request) {
	c := i.open(overWebSocket)
	defer i.closed(c)
	q := i.handshake(c, r)
	fault := i.faults.of(overWebSocket)
	if fault != "" {
		i.faulted(c, fault)
	}
	if n, ok := status(fault); ok {
		http.Error(w, statusText(n)+" (advect inspect)", n)
		return
	}
	if fault == "refuse" {
		refused(w)
		return
	}
	if fault != "" {
		i.fakeServer(c, q, fault, w, r)
		return
	}

	server, err := i.dial(r.Context())
	if err != nil {
		i.log.print(event{Conn: c.id, Transport: c.transport, Kind: "unreachable", Note: err.Error()})
		http.Error(w, "advect inspect: "+err.Error(), http.StatusBadGateway)
		return
	}
	defer server.Close()
	fromServer := bufio.NewReader(server)
	answer, err := upgrade(r, server, fromServer)
	if err != nil {
		http.Error(w, "advect inspect: "+err.Error(), http.StatusBadGateway)
		return
	}
	client, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer client.Close()
	if err := answer.Write(client); err != nil || answer.StatusCode != http.StatusSwitchingProtocols {
		i.log.print(event{Conn: c.id, Transport: c.transport, Direction: "S>C", Kind: "http", Note: answer.Status})
		return
	}
	i.pump(c, q, stream{client, buffered.Reader}, stream{server, fromServer})
}

func (i *Inspector) dial(ctx context.Context) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if i.target.Scheme == "https" {
		return (&tls.Dialer{Config: &tls.Config{NextProtos: []string{"http/1.1"}}}).DialContext(ctx, "tcp", withPort(i.target.Host, "443"))
	}
	return (&net.Dialer{}).DialContext(ctx, "tcp", withPort(i.target.Host, "80"))
}

func withPort(host, port string) string {
	if _, _, err := net.SplitHostPort(host); err == nil {
		return host
	}
	return net.JoinHostPort(host, port)
}

// upgrade sends the client's request, without its offer of compression, and
// returns the answer. The answer of an upgrade has no body.
func upgrade(r *http.Request, server net.Conn, fromServer *bufio.Reader) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.Header.Del("Sec-WebSocket-Extensions")
	out.Body, out.ContentLength = nil, 0
	_ = server.SetDeadline(time.Now().Add(dialTimeout))
	defer server.SetDeadline(time.Time{})
	if err := out.Write(server); err != nil {
		return nil, fmt.Errorf("pass the upgrade on: %w", err)
	}
	answer, err := http.ReadResponse(fromServer, out)
	if err != nil {
		return nil, fmt.Errorf("read the answer to the upgrade: %w", err)
	}
	return answer, nil
}

// A stream is a connection and what was read ahead of it.
type stream struct {
	net.Conn
	r *bufio.Reader
}

// pump passes frames both ways until one side ends, and then ends the other.
func (i *Inspector) pump(c *conn, q wire.ConnectRequest, client, server stream) {
	var once sync.Once
	ended := make(chan struct{})
	end := func(mode string) {
		once.Do(func() {
			close(ended)
			if mode == "close1001" {
				_ = client.SetWriteDeadline(time.Now().Add(time.Second))
				_ = ws.WriteFrame(client, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "cut")))
			}
			if mode == "reset" {
				reset(client)
				reset(server)
				return
			}
			_ = client.Close()
			_ = server.Close()
		})
	}
	defer c.onCut(end)()
	p := &pump{i: i, c: c, q: q, end: end, ended: ended}
	var both sync.WaitGroup
	for direction, pair := range [2][2]stream{up: {client, server}, down: {server, client}} {
		both.Go(func() {
			note := p.pass(direction, pair[0], pair[1])
			i.log.print(event{Conn: c.id, Transport: c.transport, Direction: [...]string{"C>S", "S>C"}[direction], Kind: "closed", Note: note})
			end("fin")
		})
	}
	both.Wait()
}

type pump struct {
	i *Inspector
	c *conn
	q wire.ConnectRequest

	end   func(mode string)
	ended chan struct{} // closed with the connection

	mu        sync.Mutex
	answered  bool // the connection response has been seen
	session   *session
	unread    [2][]byte // fragments of a message
	truncated [2]bool   // of one too large to decode
}

// A frame waits to go on.
type frame struct {
	header  ws.Header
	payload []byte
	due     time.Time
}

const (
	queueFrames = 256
	maxFrame    = 256 << 20 // bytes; larger ones end the connection
	// lateAfterEnd is how much later than the end of its connection a delayed
	// frame may still be due. What is due later is lost with the connection.
	lateAfterEnd = time.Second
)

// pass passes frames on in one direction, each after the delay in force, and
// returns how that ended.
func (p *pump) pass(direction int, from, to stream) string {
	queue, ended, delivered := make(chan frame, queueFrames), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(delivered)
		if err := p.deliver(to, queue, ended); err != nil {
			p.end("fin")
		}
	}()
	err := p.read(direction, from, queue)
	close(ended)
	close(queue)
	<-delivered
	return err.Error()
}

// read queues frames until there are no more.
func (p *pump) read(direction int, from stream, queue chan<- frame) error {
	for {
		h, err := ws.ReadHeader(from.r)
		if err != nil {
			return err
		}
		if h.Length > maxFrame {
			return errors.New("frame too large")
		}
		var payload bytes.Buffer // grows with what arrives
		if _, err := io.CopyN(&payload, from.r, h.Length); err != nil {
			return fmt.Errorf("ended inside a frame: %w", err)
		}
		f := frame{h, payload.Bytes(), time.Now().Add(p.i.faults.delay(direction == up))}
		p.show(direction, h, bytes.Clone(f.payload))
		select {
		case queue <- f:
		case <-p.ended:
			return net.ErrClosed
		}
	}
}

// deliver writes queued frames when they are due.
func (p *pump) deliver(to stream, queue <-chan frame, ended <-chan struct{}) error {
	for f := range queue {
		if wait := time.Until(f.due); wait > 0 {
			timer := time.NewTimer(wait)
			over := ended
			if wait < lateAfterEnd {
				over = nil
			}
			select {
			case <-timer.C:
			case <-p.ended:
				timer.Stop()
				return net.ErrClosed
			case <-over:
				timer.Stop()
				return io.EOF
			}
		}
		if err := ws.WriteHeader(to, f.header); err != nil {
			return err
		}
		if _, err := to.Write(f.payload); err != nil {
			return err
		}
	}
	return nil
}

// show prints what a frame brings. It may change payload.
func (p *pump) show(direction int, h ws.Header, payload []byte) {
	if h.Masked {
		ws.Cipher(payload, h.Mask, 0)
	}
	e := event{Conn: p.c.id, Transport: p.c.transport, Direction: [...]string{"C>S", "S>C"}[direction], Bytes: int(h.Length), frame: payload}
	switch {
	case h.OpCode == ws.OpClose:
		e.Kind = "ws close"
		if len(payload) >= 2 {
			e.Note = fmt.Sprintf("%d %s", binary.BigEndian.Uint16(payload), payload[2:])
		}
		p.i.log.print(e)
	case h.OpCode.IsControl():
		e.Kind = map[ws.OpCode]string{ws.OpPing: "ws ping", ws.OpPong: "ws pong"}[h.OpCode]
		p.i.log.print(e)
	case h.OpCode == ws.OpText:
		e.Kind, e.Note = "violation", "text message"
		p.i.log.print(e)
	default:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.unread[direction] = append(p.unread[direction], payload...)
		p.truncated[direction] = p.truncated[direction] || len(p.unread[direction]) > decodeUpTo
		if !h.Fin {
			return
		}
		message := p.unread[direction]
		p.unread[direction] = nil
		if p.truncated[direction] {
			p.truncated[direction] = false
			e.Kind, e.Note, e.frame = "message", "too large to decode", nil
			p.i.log.print(e)
			return
		}
		p.message(direction, message)
	}
}

func (p *pump) message(direction int, message []byte) {
	if direction == down && !p.answered {
		p.answered = true
		p.session = p.i.responded(p.c, p.q, message)
		return
	}
	p.i.message(p.c, p.session, direction, message)
}

// fakeServer answers a WebSocket handshake in the server's place.
func (i *Inspector) fakeServer(c *conn, q wire.ConnectRequest, fault string, w http.ResponseWriter, r *http.Request) {
	client, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	defer client.Close()
	_ = client.SetDeadline(time.Time{})
	defer c.onCut(func(string) { reset(client) })()
	switch fault {
	case "close1001":
		_ = ws.WriteFrame(client, ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusGoingAway, "")))
		_ = client.SetReadDeadline(time.Now().Add(time.Second))
	case "text":
		_ = ws.WriteFrame(client, ws.NewTextFrame([]byte("#")))
	case "empty":
		_ = ws.WriteFrame(client, ws.NewBinaryFrame(nil))
	default:
		if answer, ok := fakeResponse(fault); ok {
			_ = ws.WriteFrame(client, ws.NewBinaryFrame(answer))
			i.responded(c, q, answer)
		}
	}
	awaitClose(client)
}

// awaitClose drops what a client sends until it gives up, and answers its close
// frame, for which some clients wait.
func awaitClose(client net.Conn) {
	for {
		h, err := ws.ReadHeader(client)
		if err != nil {
			return
		}
		if _, err := io.CopyN(io.Discard, client, h.Length); err != nil {
			return
		}
		if h.OpCode == ws.OpClose {
			_ = ws.WriteFrame(client, ws.NewCloseFrame(nil))
			return
		}
	}
}
