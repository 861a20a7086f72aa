package server_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/service"
	"advect.dev/server"
)

// TestRequestInPieces sends an upgrade and the first message of a session one byte at
// a time, and all of them at once.
func TestRequestInPieces(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	ping := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(service.UserPing.AppendRequest(nil, 1, service.Empty{}))))
	request := fmt.Sprintf("GET /diffusion?%s HTTP/1.1\r\n%s\r\n", anonymous().query(), upgradeHeaders) + string(ping)
	for _, size := range []int{1, 50, len(request) - 1, len(request)} {
		nc := dial(t, hostOf(srv))
		go func() {
			for piece := range chunks(request, size) {
				if _, err := io.WriteString(nc, piece); err != nil {
					return
				}
			}
		}()
		c := &webSocket{nc, newReader(nc)}
		head := ""
		for !strings.HasSuffix(head, "\r\n\r\n") {
			line, err := c.r.ReadString('\n')
			if err != nil {
				t.Fatalf("pieces of %d bytes: %q, then %v", size, head, err)
			}
			head += line
		}
		if !strings.HasPrefix(head, "HTTP/1.1 101 ") {
			t.Fatalf("pieces of %d bytes: %q", size, head)
		}
		for _, want := range []byte{'#', 0x06} {
			if b, err := c.receive(); err != nil || b[0] != want {
				t.Fatalf("pieces of %d bytes: message %x, %v, want one that begins with %x", size, b, err, want)
			}
		}
		c.drop()
	}
}

func chunks(s string, size int) func(func(string) bool) {
	return func(yield func(string) bool) {
		for len(s) > 0 {
			n := min(size, len(s))
			if !yield(s[:n]) {
				return
			}
			s = s[n:]
		}
	}
}

// TestNoDeadlineAfterTheRequest opens many sessions at once: none of them ends when the
// time for a request is over, however soon it came.
func TestNoDeadlineAfterTheRequest(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.HandshakeTimeout = time.Second })
	sessions := make([]*peer, 400)
	var all sync.WaitGroup
	for i := range sessions {
		all.Go(func() { sessions[i] = connect(t, srv, overWebSocket, anonymous()) })
	}
	all.Wait()
	_, _ = io.Copy(io.Discard, dial(t, hostOf(srv))) // says nothing, and is closed after that time
	for _, s := range sessions {
		s.ping()
		s.drop()
	}
}

// TestRequestTooLong sends more headers than a request may have.
func TestRequestTooLong(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	nc := dial(t, hostOf(srv))
	go func() {
		_, _ = io.WriteString(nc, "GET /diffusion HTTP/1.1\r\n"+upgradeHeaders)
		for range 4096 {
			if _, err := io.WriteString(nc, "X-Filler: "+strings.Repeat("x", 64)+"\r\n"); err != nil {
				return
			}
		}
	}()
	answer, _ := io.ReadAll(nc)
	if !bytes.HasPrefix(answer, []byte("HTTP/1.1 431 ")) {
		t.Errorf("answered %.60q, want status 431", answer)
	}
}

// TestFullSocket has a client that reads nothing until its socket is full, with pings
// among its requests. It then gets every value whole and in order, and a pong.
func TestFullSocket(t *testing.T) {
	t.Parallel()
	const updates, size = 300, 40 << 10 // more than sockets buffer
	srv := start(t, func(c *server.Config) { c.QueueMessages, c.QueueBytes = 2*updates, 64<<20 })
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("a", "CONFLATION", "off", "PUBLISH_VALUES_ONLY", "true"))
	slow := connectSmall(t, srv, 64<<10, anonymous())
	slow.call(subscribe("a"))
	c := slow.link.(*webSocket)
	for i := range updates {
		publisher.must(set("a", value(i, size)))
		if i%10 == 0 {
			if err := c.write(ws.NewPingFrame(fmt.Appendf(nil, "%d", i))); err != nil {
				t.Fatal(err)
			}
		}
	}
	for i, ponged := 0, false; i < updates || !ponged; {
		f, err := c.frame()
		switch {
		case err != nil:
			t.Fatalf("after value %d: %v", i, err)
		case f.Header.OpCode == ws.OpPong:
			ponged = string(f.Payload) == fmt.Sprint((updates-1)/10*10)
		default:
			got, err := slow.describe(f.Payload)
			if want := "value a " + value(i, size); err != nil || got != want {
				t.Fatalf("value %d is %.40q, %v", i, got, err)
			}
			i++
		}
	}
	slow.ping()
}

// TestBudgetOfAnIdleSession bounds what a session on which nothing happens costs: no
// goroutine, and little memory.
func TestBudgetOfAnIdleSession(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector takes memory of its own")
	}
	const sessions, budget = 1000, 2200
	srv := start(t, nil)
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("a"))
	publisher.must(set("a", strings.Repeat("x", 100)))
	open := func(n int) {
		for range n {
			openBare(t, hostOf(srv))
		}
	}
	open(100)
	goroutines, before := runtime.NumGoroutine(), inUse()
	open(sessions)
	if n := runtime.NumGoroutine() - goroutines; n > 10 {
		t.Errorf("%d sessions have %d goroutines", sessions, n)
	}
	if each := (inUse() - before) / sessions; each > budget {
		t.Errorf("a session takes %d bytes, want at most %d", each, budget)
	} else {
		t.Logf("%d bytes a session", each)
	}
}

// openBare opens a session that is subscribed to a topic, from a socket that takes no
// memory of this process.
func openBare(t *testing.T, host string) {
	t.Helper()
	to, err := net.ResolveTCPAddr("tcp4", host)
	if err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = syscall.Close(fd) })
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	subscription := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(subscribe(">a")(nil, 1))))
	request := fmt.Appendf(nil, "GET /diffusion?%s HTTP/1.1\r\n%s\r\n%s", anonymous().query(), upgradeHeaders, subscription)
	if _, err := syscall.Write(fd, request); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for n, done := 0, false; !done; {
		more, err := syscall.Read(fd, buf[n:])
		if err != nil || more <= 0 {
			t.Fatalf("%q, then %d, %v", buf[:n], more, err)
		}
		n += more
		done = bytes.HasSuffix(buf[:n], []byte("\x82\x02\x06\x01")) // the answer to the subscription
	}
}
