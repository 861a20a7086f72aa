package advect_test

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
	"advect.dev/server"
)

// cutter is a proxy that cuts each connection after a random number of bytes.
type cutter struct {
	net.Listener
	target   string
	cuts     chan struct{} // gets a token for each cut, as far as there is room
	min, max int           // bytes before a cut, both ways together

	mu    sync.Mutex
	rand  *rand.Rand
	conns map[net.Conn]bool // nil: no more cuts, or after close
	tasks sync.WaitGroup
}

func newCutter(t *testing.T, target string, min, max int) *cutter {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	c := &cutter{
		Listener: l, target: target, cuts: make(chan struct{}, 1000), min: min, max: max,
		rand: rand.New(rand.NewPCG(seed, 0)), conns: map[net.Conn]bool{},
	}
	c.tasks.Go(c.serve)
	t.Cleanup(func() {
		l.Close()
		c.mu.Lock()
		for conn := range c.conns {
			conn.Close()
		}
		c.mu.Unlock()
		c.tasks.Wait()
	})
	return c
}

func (c *cutter) serve() {
	for {
		client, err := c.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", c.target)
		if err != nil {
			client.Close()
			return
		}
		c.mu.Lock()
		c.conns[client], c.conns[server] = true, true
		left := c.min + c.rand.IntN(c.max-c.min)
		c.mu.Unlock()
		budget := &budget{left: left}
		end := sync.OnceFunc(func() {
			client.Close()
			server.Close()
			c.mu.Lock()
			defer c.mu.Unlock()
			delete(c.conns, client)
			delete(c.conns, server)
			select {
			case c.cuts <- struct{}{}:
			default:
			}
		})
		for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
			c.tasks.Go(func() {
				defer end()
				budget.forward(pair[0], pair[1])
			})
		}
	}
}

// A budget is what may still pass, in bytes.
type budget struct {
	mu   sync.Mutex
	left int
}

// forward copies as far as the budget goes, so that a message may be cut too.
func (b *budget) forward(to io.Writer, from io.Reader) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		b.mu.Lock()
		pass := min(n, b.left)
		b.left -= pass
		b.mu.Unlock()
		if _, failed := to.Write(buffer[:pass]); failed != nil || err != nil || pass < n {
			return
		}
	}
}

// A subscriber's connection is cut again and again. As long as the server holds
// what it missed, it sees every update of every topic, in order, exactly once.
// Else it is told so, and still sees the last value of every topic.
func TestCutConnections(t *testing.T) {
	for _, transport := range []advect.Transport{advect.WebSocket, advect.HTTPPolling} {
		for name, recovery := range map[string]int{"lossless": 1 << 20, "lossy": 0} {
			t.Run(fmt.Sprint(transport, " ", name), func(t *testing.T) { testCutConnections(t, transport, recovery) })
		}
	}
}

const cutTopics, cutUpdates = 20, 150

func cutPath(i int) string { return fmt.Sprint("cut/", i) }

func cutDocument(i, n int) datatype.JSON {
	return datatype.MustJSON(map[string]any{"topic": i, "n": n, "text": "much that stays the same, so that deltas are worth it"})
}

func testCutConnections(t *testing.T, transport advect.Transport, recovery int) {
	ctx := soon(t)
	direct := advecttest.Server(t, func(cfg *server.Config) { cfg.RecoveryMessages = recovery }).URL()
	publisher := open(t, direct, "admin")
	through, err := url.Parse(direct)
	if err != nil {
		t.Fatal(err)
	}
	cutter := newCutter(t, through.Host, 500, 5_000)
	through.Host = cutter.Addr().String()
	subscriber, err := advect.Open(ctx, through.String(), advect.WithTransports(transport),
		advect.WithPrincipal("client"), advect.WithPassword("password"),
		advect.WithReconnectStrategy(advect.FixedDelay(time.Millisecond)))
	if err != nil {
		t.Fatal(err)
	}
	defer subscriber.Close()
	for i := range cutTopics {
		if _, err := publisher.Topics().AddAndSet(ctx, cutPath(i), advect.NewSpecification(advect.JSON), cutDocument(i, 0)); err != nil {
			t.Fatal(err)
		}
	}
	for subscriber.Topics().Subscribe(ctx, "?cut//") != nil && ctx.Err() == nil {
		// It was cut before the answer.
	}

	published := make(chan error, 1)
	last, complete, refreshed := map[string]int{}, 0, 0
	for e, err := range advect.Events[datatype.JSON](ctx, subscriber.Topics(), "?cut//") {
		if err != nil {
			t.Fatal(err)
		}
		switch e.Kind {
		case advect.EventUnsubscribe:
			refreshed++
			if e.Reason != advect.UnsubscribeRefresh {
				t.Errorf("%s: unsubscribed: %s", e.Path, e.Reason)
			}
			continue
		case advect.EventSubscribe:
			continue
		}
		var doc struct{ Topic, N int }
		if err := e.Value.Decode(&doc); err != nil {
			t.Fatal(err)
		}
		before, again := last[e.Path]
		switch {
		case cutPath(doc.Topic) != e.Path, e.Skipped != 0:
			t.Fatalf("%s: %+v of topic %d", e.Path, e.Update, doc.Topic)
		case e.First && again && doc.N < before, !e.First && doc.N != before+1:
			t.Fatalf("%s: %d after %d, first: %v", e.Path, doc.N, before, e.First)
		}
		last[e.Path] = doc.N
		if len(last) == cutTopics && !again {
			go func() { published <- publishCut(ctx, publisher.Topics()) }()
		}
		if doc.N == cutUpdates && before < cutUpdates {
			complete++
		}
		if complete == cutTopics {
			break
		}
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	t.Logf("%d cuts, %d topics refreshed", len(cutter.cuts), refreshed)
	if len(cutter.cuts) < 5 {
		t.Error("too few cuts")
	}
	if lossless := recovery > 1000; lossless != (refreshed == 0) {
		t.Errorf("recovery of %d messages, but %d topics were refreshed", recovery, refreshed)
	}
}

func publishCut(ctx context.Context, topics *advect.Topics) error {
	for n := 1; n <= cutUpdates; n++ {
		for i := range cutTopics {
			if err := topics.Set(ctx, cutPath(i), cutDocument(i, n)); err != nil {
				return err
			}
		}
	}
	return nil
}
