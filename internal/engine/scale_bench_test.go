package engine

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A sink is a transport that costs nothing: many sessions may share one.
type sink struct{ woken int }

func (c *sink) Wake()   { c.woken++ }
func (c *sink) Finish() {}
func (c *sink) Close()  {}

// browserQuery is the query of a connection request as a browser's SDK sends it.
const browserQuery = "ty=WB&v=29&ca=10&r=60000&sp=%7B%22%24Environment%22%3A%22NODE_linux_20.20.2%22%7D"

// arrive admits an anonymous session as a transport does, and has it subscribe to a
// selector. What it is sent is taken.
func arrive(tb testing.TB, e *Engine, conn Conn, subscribe []byte, taken []*outbox.Message) *Session {
	q, err := wire.ParseConnectRequest(wire.NewParameters(browserQuery, nil))
	if err != nil {
		tb.Fatal(err)
	}
	res, s := e.Connect(context.Background(), q, here, conn)
	if s == nil {
		tb.Fatal(res.Code)
	}
	var response [wire.ResponseLen]byte
	wire.AppendConnectResponse(response[:0], res)
	if err := s.Receive(conn, subscribe); err != nil {
		tb.Fatal(err)
	}
	if taken, _ = s.Take(conn, taken[:0], 1<<16); len(taken) < 3 {
		tb.Fatalf("%d messages, want an announcement, a value and a response", len(taken))
	}
	return s
}

// rest is a ping period in which nothing else happens to a session.
func rest(tb testing.TB, s *Session, conn Conn, taken []*outbox.Message) {
	s.ping()
	for taken, _ = s.Take(conn, taken[:0], 1<<16); len(taken) > 0; taken, _ = s.Take(conn, taken[:0], 1<<16) {
		m, err := wire.ParseMessage(taken[len(taken)-1].Bytes())
		if err != nil {
			tb.Fatal(err)
		}
		if m.Type == wire.TypeRequest && m.Service == service.SystemPing.ID {
			if err := s.Receive(conn, wire.AppendResponse(nil, m.Conversation)); err != nil {
				tb.Fatal(err)
			}
		}
	}
}

// liveHeap returns the bytes that are in use.
func liveHeap() int64 {
	runtime.GC()
	runtime.GC() // what had finalizers, and what pools kept
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// resident returns the bytes of the process that are in memory, or 0 where the
// system does not say.
func resident() int64 {
	status, _ := os.ReadFile("/proc/self/status")
	_, line, _ := strings.Cut(string(status), "VmRSS:")
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return 0
	}
	kb, _ := strconv.ParseInt(fields[0], 10, 64)
	return kb << 10
}

// cpuTime returns the time that the process has had processors, in steps of 10 ms,
// or 0 where the system does not say. On a busy machine it says more than the clock.
func cpuTime() time.Duration {
	stat, _ := os.ReadFile("/proc/self/stat")
	_, line, _ := strings.Cut(string(stat), ") ")
	fields := strings.Fields(line)
	if len(fields) < 13 {
		return 0
	}
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond
}

// crowd admits n sessions that are subscribed to one topic, and returns the bytes
// that each takes.
func crowd(tb testing.TB, e *Engine, n int) (fresh, idle float64) {
	populate(tb, e, 10)
	var conn sink
	subscribe := service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: ">markets/000000/5"})
	taken := make([]*outbox.Message, 0, 16)
	sessions := make([]*Session, 0, n)
	before := liveHeap()
	for range n {
		sessions = append(sessions, arrive(tb, e, &conn, subscribe, taken))
	}
	fresh = float64(liveHeap()-before) / float64(n)
	for _, s := range sessions {
		rest(tb, s, &conn, taken)
	}
	idle = float64(liveHeap()-before) / float64(n)
	runtime.KeepAlive(sessions)
	return fresh, idle
}

// BenchmarkSessionMemory has the bytes that a session takes that is subscribed to
// one topic: of heap in use and of the process, when it has just come and when it
// has been idle for a ping period. Run it with -benchtime 1x.
func BenchmarkSessionMemory(b *testing.B) {
	for _, n := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprintf("sessions=%d", n), func(b *testing.B) {
			for b.Loop() {
				before := resident()
				e := newEngine(b, nil)
				fresh, idle := crowd(b, e, n)
				b.ReportMetric(fresh, "fresh-B/session")
				b.ReportMetric(idle, "B/session")
				b.ReportMetric(float64(resident()-before)/float64(n), "RSS-B/session")
			}
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkAdmission is an anonymous session that connects, subscribes to a topic
// and is sent its value.
func BenchmarkAdmission(b *testing.B) {
	e := newEngine(b, nil)
	populate(b, e, 10)
	var conn sink
	subscribe := service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: ">markets/000000/5"})
	taken := make([]*outbox.Message, 0, 16)
	b.ReportAllocs()
	start := cpuTime()
	for b.Loop() {
		arrive(b, e, &conn, subscribe, taken)
	}
	b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
}

// BenchmarkDeliver is an update that each of many sessions is sent: topics are set
// one after another, and after each round every session takes what it has. An
// operation is one delivery.
func BenchmarkDeliver(b *testing.B) {
	for _, c := range []struct{ topics, sessions, each, burst int }{
		{1, 100, 1, 1}, {1, 1000, 1, 1}, {1, 5000, 1, 1}, {1, 18000, 1, 1}, {1, 1000, 1, 10}, {1000, 1000, 10, 1}, {1000, 10_000, 10, 1},
	} {
		b.Run(fmt.Sprintf("topics=%d/sessions=%d/each=%d/burst=%d", c.topics, c.sessions, c.each, c.burst), func(b *testing.B) {
			e := newEngine(b, nil)
			populate(b, e, c.topics)
			conn := new(sink)
			taken := make([]*outbox.Message, 0, 64)
			var sessions []*Session
			for i := range c.sessions {
				q, _ := wire.ParseConnectRequest(wire.NewParameters(browserQuery, nil))
				_, s := e.Connect(context.Background(), q, here, conn)
				for k := range c.each { // of which each topic has as many
					n := (i + k*(c.topics/c.each+1)) % c.topics
					sel := fmt.Sprintf(">markets/%06d/%d", n/10, n%10)
					if err := s.Receive(conn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: sel})); err != nil {
						b.Fatal(err)
					}
				}
				taken, _ = s.Take(conn, taken[:0], 1<<20)
				sessions = append(sessions, s)
			}
			rand.New(rand.NewPCG(1, 2)).Shuffle(len(sessions), func(i, j int) { sessions[i], sessions[j] = sessions[j], sessions[i] })
			values := [2][]byte{make([]byte, 128), make([]byte, 128)}
			values[1][64] = 1
			requests := make([]service.SetRequest, c.topics)
			for n := range requests {
				requests[n] = service.SetRequest{Path: fmt.Sprintf("markets/%06d/%d", n/10, n%10), Type: topic.Binary}
			}
			deliveries, round, start := 0, 0, cpuTime()
			b.ReportAllocs()
			for b.Loop() {
				for range c.burst {
					round++
					for n := range requests {
						requests[n].Value = values[round&1]
						if err := e.tree.Set(somebody, &requests[n]); err != nil {
							b.Fatal(err)
						}
					}
				}
				for _, s := range sessions {
					taken, _ = s.Take(conn, taken[:0], 1<<20)
					deliveries += len(taken)
				}
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(deliveries), "cpu-ns/delivery")
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(deliveries), "ns/delivery")
			b.ReportMetric(0, "ns/op")
		})
	}
}

// BenchmarkSetAmong is a set by a request, in a tree of few topics or many.
func BenchmarkSetAmong(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("topics=%d", n), func(b *testing.B) {
			e := newEngine(b, nil)
			populate(b, e, n)
			s, conn := connect(b, e, "admin")
			values := [2][]byte{make([]byte, 128), make([]byte, 128)}
			values[1][64] = 1
			// Some thousand topics all over the tree.
			var frames [2][][]byte
			for k := range 4096 {
				at := k * 7919 % n
				for i := range frames {
					frames[i] = append(frames[i], service.SetTopic.AppendRequest(nil, 2, service.SetRequest{
						Path: fmt.Sprintf("markets/%06d/%d", at/10, at%10), Type: topic.Binary, Value: values[i]}))
				}
			}
			var taken []*outbox.Message
			b.ReportAllocs()
			start := cpuTime()
			for i := 0; b.Loop(); i++ {
				if err := s.Receive(conn, frames[i/4096&1][i%4096]); err != nil {
					b.Fatal(err)
				}
				taken, _ = s.Take(conn, taken[:0], 1<<16)
			}
			b.ReportMetric(float64((cpuTime()-start).Nanoseconds())/float64(b.N), "cpu-ns/op")
		})
	}
}
