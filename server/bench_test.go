package server_test

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"advect.dev/server"
)

// BenchmarkFanOut measures one update of one topic delivered to all subscribers
// over loopback sockets, the reading side included; an operation is an update
// that all have received. The document changes in a few places, so that
// it travels as a delta.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{100, 1000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) { fanOut(b, n) })
	}
}

func fanOut(b *testing.B, n int) {
	srv := start(b, func(c *server.Config) { c.MaxHandshakes = 2 * n })
	publisher := connect(b, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("a"))
	document := func(i int) string { return fmt.Sprintf("%8d %500d %8d", i, 0, -i) }
	publisher.must(set("a", document(0)))

	received := make(chan struct{}, n)
	for range n {
		s := connect(b, srv, overWebSocket, anonymous())
		s.call(subscribe("a"))
		c := s.link.(*webSocket)
		_ = c.nc.SetDeadline(time.Time{})
		go func() {
			for skipFrame(c.r) == nil {
				received <- struct{}{}
			}
		}()
	}

	// The publisher allocates too, but not in proportion to n.
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	b.ResetTimer()
	for i := range b.N {
		publisher.must(set("a", document(i+1)))
		for range n {
			<-received
		}
	}
	b.StopTimer()
	runtime.ReadMemStats(&after)
	deliveries := float64(b.N) * float64(n)
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/deliveries, "allocs/delivery")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/deliveries, "B/delivery")
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/deliveries, "ns/delivery")
}

// skipFrame reads past a frame of a server without allocating.
func skipFrame(r *bufio.Reader) error {
	head, err := r.Peek(2)
	if err != nil {
		return err
	}
	size, length := 2, int(head[1])
	switch length {
	case 126:
		if head, err = r.Peek(4); err != nil {
			return err
		}
		size, length = 4, int(binary.BigEndian.Uint16(head[2:]))
	case 127:
		return io.ErrUnexpectedEOF // no such frame here
	}
	_, err = r.Discard(size + length)
	return err
}
