package client

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"go.uber.org/goleak"

	"advect.dev/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// reader is a webSocket that has only something to read.
func reader(b []byte, most int) *webSocket {
	return &webSocket{nc: deaf{}, br: bufio.NewReaderSize(bytes.NewReader(b), leastBuffer), max: most}
}

// deaf is a connection that takes all that is written to it.
type deaf struct{ net.Conn }

func (deaf) Write(p []byte) (int, error) { return len(p), nil }

func frame(f ws.Frame) []byte { return ws.MustCompileFrame(f) }

// Every strict prefix of a message is a lost connection, never a message.
func TestPrefixes(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 70_000)
	for _, whole := range [][]byte{
		frame(ws.NewBinaryFrame([]byte("hello"))),
		frame(ws.NewBinaryFrame(long[:2000])),
		frame(ws.NewBinaryFrame(long)),
		append(frame(ws.NewFrame(ws.OpBinary, false, []byte("a"))), append(frame(ws.NewPingFrame([]byte("p"))),
			frame(ws.NewFrame(ws.OpContinuation, true, []byte("b")))...)...),
	} {
		if _, err := reader(whole, 1<<20).Read(); err != nil {
			t.Errorf("whole message: %v", err)
		}
		for n := 0; n < len(whole); n += 1 + n/100 {
			if m, err := reader(whole[:n], 1<<20).Read(); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Fatalf("prefix of %d bytes: %d bytes, %v", n, len(m), err)
			}
		}
	}
}

// A length costs nothing before its bytes have come.
func TestAbsurdLengths(t *testing.T) {
	head := []byte{0x82, 127, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff}
	batch := wire.EncodeBatch([]byte{0x7f, 0xff, 0xff, 0xf0, 1, 2})
	for name, read := range map[string]func() error{
		"frame": func() error { _, err := reader(head, 1<<31-1).Read(); return err },
		"batch": func() error { _, err := readBatch(strings.NewReader(batch), 1<<31-1); return err },
	} {
		allocated := testing.Benchmark(func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if read() == nil {
					b.Fatal("no error")
				}
			}
		}).AllocedBytesPerOp()
		if allocated > 64<<10 {
			t.Errorf("%s: %d bytes allocated", name, allocated)
		}
	}
}

// A poll that is cut is a lost connection, one that ends early a bad batch.
func TestCutBatch(t *testing.T) {
	batch := wire.AppendBatchEntry(wire.AppendBatchEntry(nil, []byte("hello")), []byte("world"))
	text := wire.EncodeBatch(batch)
	for n := range len(text) {
		cut := io.MultiReader(strings.NewReader(text[:n]), broken{})
		if got, err := readBatch(cut, 100); errors.Is(err, wire.ErrMalformed) || !errors.Is(err, net.ErrClosed) || len(got) > 1 {
			t.Errorf("cut after %d bytes: %q %v", n, got, err)
		}
		if got, err := readBatch(strings.NewReader(text[:n]), 100); n > 0 && n != 12 && !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("ended after %d bytes: %q %v", n, got, err)
		}
	}
	if got, err := readBatch(strings.NewReader(text), 100); err != nil || string(bytes.Join(got, []byte(" "))) != "hello world" {
		t.Errorf("%q %v", got, err)
	}
	if got, err := readBatch(strings.NewReader(text), 4); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too large: %q %v", got, err)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, net.ErrClosed }

// The messages of a Write are whole frames, masked, each with another mask.
func TestWrite(t *testing.T) {
	var out bytes.Buffer
	c := &webSocket{nc: recorder{w: &out}, keep: leastBuffer}
	messages := [][]byte{[]byte("a"), bytes.Repeat([]byte("b"), 200), bytes.Repeat([]byte("c"), 100_000), []byte("a")}
	if err := c.Write(messages); err != nil {
		t.Fatal(err)
	}
	masks := make(map[[4]byte]bool)
	for _, want := range messages {
		h, err := ws.ReadHeader(&out)
		if err != nil {
			t.Fatal(err)
		}
		payload := out.Next(int(h.Length))
		ws.Cipher(payload, h.Mask, 0)
		masks[h.Mask] = true
		if h.OpCode != ws.OpBinary || !h.Fin || !h.Masked || !bytes.Equal(payload, want) {
			t.Errorf("%+v", h)
		}
	}
	if len(masks) != len(messages) || out.Len() > 0 {
		t.Errorf("%d masks, %d bytes left", len(masks), out.Len())
	}
}

type recorder struct {
	net.Conn
	w *bytes.Buffer
}

func (r recorder) Write(p []byte) (int, error) { return r.w.Write(p) }

func TestURL(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Host: "h", Port: 80, Path: "/diffusion"}, "ws://h/diffusion"},
		{Config{Host: "h", Port: 443, Path: "/diffusion"}, "ws://h:443/diffusion"},
		{Config{Host: "h", Port: 443, Secure: true, Path: "/diffusion"}, "wss://h/diffusion"},
		{Config{Host: "::1", Port: 8080, Path: "/a%2Fb/%C3%B6/diffusion"}, "ws://[::1]:8080/a%2Fb/%C3%B6/diffusion"},
		{Config{Host: "fe80::1%eth0", Port: 80, Path: "/diffusion"}, "ws://[fe80::1%25eth0]/diffusion"},
	} {
		if got := c.cfg.url("ws", "wss").String(); got != c.want {
			t.Errorf("%s, want %s", got, c.want)
		}
	}
}

func TestTLSConfigIsNotChanged(t *testing.T) {
	own := &tls.Config{}
	cfg := Config{Host: "h", TLS: own}
	if c := cfg.tlsConfig(); c == own {
		t.Error("not cloned")
	}
}

func TestDialUnknownTransport(t *testing.T) {
	if _, _, err := Dial(context.Background(), 9, &Config{}, wire.ConnectRequest{}); err == nil || !strings.Contains(err.Error(), "TRANSPORT_9") {
		t.Error(err)
	}
}

// FuzzWebSocketRead reads messages from whatever bytes.
func FuzzWebSocketRead(f *testing.F) {
	f.Add(frame(ws.NewBinaryFrame([]byte("hello"))))
	f.Add(append(frame(ws.NewFrame(ws.OpBinary, false, []byte("a"))), frame(ws.NewFrame(ws.OpContinuation, true, nil))...))
	f.Add(append(frame(ws.NewPingFrame([]byte("hi"))), frame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))...))
	f.Add(frame(ws.NewTextFrame([]byte("hello"))))
	f.Add([]byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 3, 1, 2, 3})
	f.Add([]byte{0xc2, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		const most = 2000
		c := reader(b, most)
		for total := 0; ; {
			m, err := c.Read()
			if err != nil {
				if len(m) > 0 && !errors.Is(err, io.ErrUnexpectedEOF) {
					t.Errorf("%d bytes with %v", len(m), err)
				}
				return
			}
			if total += len(m); len(m) == 0 || len(m) > most || total > len(b) {
				t.Fatalf("message of %d bytes, %d in all", len(m), total)
			}
		}
	})
}

// FuzzReadBatch decodes whatever a server answers to a poll.
func FuzzReadBatch(f *testing.F) {
	for _, s := range []string{"", "AAAAAQYB", "AAAAABw=", "AAAAAgA3AQAAAAIAOAI=", "AAA", "!", "/////wA=", "AAAAAQYB\nAAAAAQYB"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		const most = 2000
		batch, err := readBatch(strings.NewReader(text), most)
		var again []byte
		for _, m := range batch {
			if len(m) == 0 || len(m) > most {
				t.Fatalf("message of %d bytes", len(m))
			}
			again = wire.AppendBatchEntry(again, m)
		}
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("error of an unknown kind: %v", err)
			}
			return
		}
		if clean := strings.NewReplacer("\r", "", "\n", "").Replace(text); len(wire.EncodeBatch(again)) != len(clean) {
			t.Errorf("%q decodes as %x", text, again)
		}
	})
}

func BenchmarkWebSocketRead(b *testing.B) {
	for name, size := range map[string]int{"100B": 100, "10kB": 10_000, "200kB": 200_000} {
		b.Run(name, func(b *testing.B) {
			one := frame(ws.NewBinaryFrame(make([]byte, size)))
			c := &webSocket{br: bufio.NewReaderSize(&endless{b: one}, 64<<10), max: 1 << 20}
			b.SetBytes(int64(size))
			b.ReportAllocs()
			for b.Loop() {
				if m, err := c.Read(); err != nil || len(m) != size {
					b.Fatal(err)
				}
			}
		})
	}
}

// endless repeats its bytes for ever.
type endless struct {
	b  []byte
	at int
}

func (e *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		c := copy(p[n:], e.b[e.at:])
		n += c
		e.at = (e.at + c) % len(e.b)
	}
	return n, nil
}

func BenchmarkWebSocketWrite(b *testing.B) {
	messages := make([][]byte, 100)
	for i := range messages {
		messages[i] = make([]byte, 100)
	}
	c := &webSocket{nc: deaf{}, keep: 64 << 10}
	b.SetBytes(100 * 100)
	b.ReportAllocs()
	for b.Loop() {
		if err := c.Write(messages); err != nil {
			b.Fatal(err)
		}
	}
}
