package server_test

import (
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"advect.dev/internal/topic"
	"advect.dev/server"
)

// TestStallLatency measures what a tenth of the sessions that stop reading does to
// the latency of the others, from the publisher's call to the value that is read,
// with one clock. It runs only if ADVECT_OVERLOAD says for how long each phase is to
// last, because times tell nothing on a machine that does other things too
// (make overload).
func TestStallLatency(t *testing.T) {
	phase, err := time.ParseDuration(os.Getenv("ADVECT_OVERLOAD"))
	if err != nil {
		t.Skip("set ADVECT_OVERLOAD to the duration of a phase, such as 10s")
	}
	const sessions, rate = 200, 20
	srv := start(t, func(c *server.Config) { c.QueueMessages = 100 })
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	for _, path := range []string{"t", "fill"} {
		publisher.must(add(path, topic.Compression, "off", topic.PublishValuesOnly, "true"))
	}

	began := time.Now()
	var mu sync.Mutex
	var latencies []time.Duration
	var readers sync.WaitGroup
	all := make([]*peer, sessions)
	stall := make(chan struct{}) // closed: every tenth session reads no more
	for i := range all {
		s := connect(t, srv, overWebSocket, anonymous())
		if s.call(subscribe("t")); i%10 == 0 {
			s.call(subscribe("fill"))
		}
		all[i] = s
		readers.Go(func() {
			for {
				if i%10 == 0 {
					select {
					case <-stall:
						return
					default:
					}
				}
				b, err := s.receive()
				if err != nil {
					return
				}
				words, err := s.describe(b)
				if err != nil {
					t.Errorf("session %d: %v", i, err)
					return
				}
				at, _, _ := strings.Cut(strings.TrimPrefix(words, "value t "), " ")
				if sent, err := strconv.ParseInt(at, 10, 64); err == nil && i%10 != 0 {
					late := time.Since(began) - time.Duration(sent)
					mu.Lock()
					latencies = append(latencies, late)
					mu.Unlock()
				}
			}
		})
	}
	filler := strings.Repeat("x", 1024)
	run := func(name string) time.Duration {
		mu.Lock()
		latencies = latencies[:0]
		mu.Unlock()
		ticker := time.NewTicker(time.Second / rate)
		defer ticker.Stop()
		for end := time.Now().Add(phase); time.Now().Before(end); <-ticker.C {
			publisher.must(set("t", fmt.Sprintf("%d %s", int64(time.Since(began)), filler)))
		}
		mu.Lock()
		defer mu.Unlock()
		slices.Sort(latencies)
		if len(latencies) == 0 {
			t.Fatal("nothing was received")
		}
		at := func(q float64) time.Duration { return latencies[int(q*float64(len(latencies)-1))] }
		t.Logf("%-24s p50 %8v  p99 %8v  p99.9 %8v  most %8v  of %d", name,
			at(0.5).Round(time.Microsecond), at(0.99).Round(time.Microsecond), at(0.999).Round(time.Microsecond), at(1).Round(time.Microsecond), len(latencies))
		return at(0.99)
	}
	run("warm")
	healthy := run("all read")
	close(stall)
	for i := range 600 { // until the sockets of those that stall are full
		publisher.must(set("fill", fmt.Sprint(i, strings.Repeat("x", 16<<10))))
	}
	stalled := run("a tenth stalls")
	t.Logf("p99 with a tenth stalled / p99 when all read: %.2f (want at most 2); queued: %.0f messages, %.0f bytes; sessions %d",
		float64(stalled)/float64(healthy), metric(t, srv, "advect_queued_messages"), metric(t, srv, "advect_queued_bytes"), srv.Sessions())
	if stalled > 2*healthy {
		t.Errorf("stalled sessions make others wait: p99 %v, without them %v", stalled, healthy)
	}
	if n := metric(t, srv, "advect_queued_messages"); n < sessions/10 {
		t.Errorf("%v messages wait: not all that were to stall have", n)
	}
	if n := srv.Sessions(); n != sessions+1 {
		t.Errorf("%d sessions are left of %d", n, sessions+1)
	}
	for _, s := range all {
		s.drop()
	}
	readers.Wait()
}
