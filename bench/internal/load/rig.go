// Package load drives one server under test: it connects subscribers, publishes
// and accounts for every delivery.
package load

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"advect.dev/bench/internal/proc"
	"advect.dev/bench/peers"
)

// Config is what all scenarios of a run share.
type Config struct {
	CacheDir, BenchDir string
	Profile            string // a file for a CPU profile of the server; or empty
	ServerCPUs         []int  // nil: any
}

// Rig is one running server with its clients.
type Rig struct {
	// SlowLinks gives the connections that Connect makes the segments of an
	// Ethernet and a small receive buffer. On loopback the kernel would hold
	// megabytes of what a subscriber does not read before the server felt it.
	SlowLinks bool

	adapter peers.Adapter
	child   *proc.Child
	loop    *loop
	port    int
	dir     string
	doc     *Doc

	subscribers int // connected, not counting stalled ones
	clients     []*conn
	perSession  int
	topics      []string
	publisher   *conn
	protocol    peers.Publisher
	seq         []uint32 // last sequence number of each topic
	turn        int      // topic of the next message
	stride      int      // from a message's topic to the next one's
}

// Start starts the adapter's server.
func Start(a peers.Adapter, cfg Config, doc *Doc) (*Rig, error) {
	dir, err := os.MkdirTemp("", "peerbench-")
	if err != nil {
		return nil, err
	}
	r := &Rig{adapter: a, dir: dir, doc: doc}
	if err := r.start(cfg); err != nil {
		os.RemoveAll(dir)
		return nil, err
	}
	return r, nil
}

func (r *Rig) start(cfg Config) (err error) {
	if r.port, err = peers.FreePort(); err != nil {
		return err
	}
	var cmd *exec.Cmd
	cmd, err = r.adapter.Command(peers.Env{Port: r.port, CacheDir: cfg.CacheDir, BenchDir: cfg.BenchDir, WorkDir: r.dir, Profile: cfg.Profile})
	if err != nil {
		return err
	}
	if r.child, err = proc.Start(cmd, filepath.Join(r.dir, "log"), r.port, cfg.ServerCPUs); err != nil {
		return err
	}
	if r.loop, err = newLoop(r.doc); err != nil {
		r.child.Stop()
	}
	return err
}

// Close ends the clients and the server.
func (r *Rig) Close() {
	r.loop.close()
	r.child.Stop()
	os.RemoveAll(r.dir)
}

// RSS is the server's resident memory.
func (r *Rig) RSS() (int64, error) { return r.child.RSS() }

// Check returns an error if a connection has ended or the server has.
func (r *Rig) Check() error {
	counts, failure := r.loop.snapshot()
	switch {
	case !r.child.Alive():
		return r.explain(errors.New("the server ended"))
	case counts.Dropped > 0:
		return r.explain(fmt.Errorf("%d connections ended, the first: %w", counts.Dropped, failure))
	}
	return nil
}

// connectWindow bounds the connections that are being set up at a time.
const connectWindow = 64

// perSource is how many connections share one loopback source address.
const perSource = 20000

// Open sets the topics of the rig and connects the publisher, before all
// subscribers. Each of those will subscribe to perSession of the topics.
func (r *Rig) Open(topics, perSession int) error {
	r.perSession = perSession
	r.seq = make([]uint32, topics)
	for k := range topics {
		r.topics = append(r.topics, fmt.Sprintf("t%d", k))
	}
	r.stride = farStride(topics)

	ready := make(chan struct{}, 1)
	endpoint := r.adapter.Endpoint()
	if a, ok := r.adapter.(peers.Authorised); ok {
		endpoint = a.PublisherEndpoint()
	}
	r.protocol = r.adapter.Publisher(r.topics)
	r.publisher = &conn{session: r.protocol, ready: func() { <-ready }, answered: make(chan struct{}, 1)}
	ready <- struct{}{}
	if err := r.loop.dial(r.publisher, 1, r.port, endpoint); err != nil {
		return r.explain(err)
	}
	return r.acquire(ready)
}

// Connect adds n subscribers: subscriber i to the topics from i*perSession on.
// It returns when the server has confirmed every subscription.
func (r *Rig) Connect(n int) error {
	topics, perSession := len(r.topics), r.perSession
	window := make(chan struct{}, connectWindow)
	for range n {
		i := len(r.clients)
		r.subscribers++
		c := &conn{first: i * perSession % topics, topics: topics, next: make([]uint32, perSession)}
		mine := make([]string, perSession)
		for j := range mine {
			mine[j] = r.topics[(c.first+j)%topics]
			c.next[j] = r.seq[(c.first+j)%topics] + 1
		}
		c.session = r.adapter.Subscriber(i, mine)
		c.ready = func() { <-window }
		c.slowLink = r.SlowLinks
		r.clients = append(r.clients, c)
		if err := r.acquire(window); err != nil {
			return err
		}
		if err := r.loop.dial(c, byte(1+i/perSource), r.port, r.adapter.Endpoint()); err != nil {
			return r.explain(err)
		}
	}
	return r.fill(window)
}

// fill takes all places of window, which are free when everybody is ready.
func (r *Rig) fill(window chan struct{}) error {
	for range cap(window) {
		if err := r.acquire(window); err != nil {
			return err
		}
	}
	return nil
}

// acquire takes a place in window, which Ready frees.
func (r *Rig) acquire(window chan struct{}) error {
	for deadline := time.Now().Add(20 * time.Second); ; {
		select {
		case window <- struct{}{}:
			return nil
		case <-time.After(200 * time.Millisecond):
			if _, failure := r.loop.snapshot(); failure != nil {
				return r.explain(failure)
			}
			if time.Now().After(deadline) {
				return r.explain(errors.New("clients do not get ready"))
			}
		}
	}
}

// explain adds what the server said to err.
func (r *Rig) explain(err error) error {
	if text := r.child.LogTail(); text != "" {
		return fmt.Errorf("%w; the server's log ends: %s", err, text)
	}
	return err
}
