package load

import (
	"errors"
	"fmt"
	"syscall"
	"time"

	"advect.dev/bench/peers"
)

// Stall makes the last n subscribers stop reading. From here on they count
// apart, and their latencies not at all.
func (r *Rig) Stall(n int) error {
	if n > len(r.clients) {
		return fmt.Errorf("%d of %d subscribers cannot stall", n, len(r.clients))
	}
	r.subscribers -= n
	l := r.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range r.clients[len(r.clients)-n:] {
		c.stalled = true
		event := syscall.EpollEvent{Fd: int32(c.fd)} // errors are reported all the same
		if err := syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_MOD, c.fd, &event); err != nil {
			return fmt.Errorf("epoll: %w", err)
		}
	}
	return nil
}

// Stalled is what became of the subscribers that had stopped reading.
type Stalled struct {
	Counts
	Closed  int // by the server, Dropped of Counts
	Current int // have the last value of each topic
}

// Resume lets the subscribers that Stall stopped read again, waits until nothing
// more comes, and returns what they found since.
func (r *Rig) Resume() (Stalled, error) {
	l := r.loop
	var seen Counts
	l.mu.Lock()
	for _, c := range r.clients {
		if !c.stalled || c.dropped {
			continue
		}
		event := syscall.EpollEvent{Events: syscall.EPOLLIN, Fd: int32(c.fd)}
		if err := syscall.EpollCtl(l.epfd, syscall.EPOLL_CTL_MOD, c.fd, &event); err != nil {
			l.mu.Unlock()
			return Stalled{}, fmt.Errorf("epoll: %w", err)
		}
	}
	l.mu.Unlock()
	for last := time.Now(); time.Since(last) < resumePatience; {
		time.Sleep(10 * time.Millisecond)
		l.mu.Lock()
		if now := l.stalled; now != seen {
			last, seen = time.Now(), now
		}
		l.mu.Unlock()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := Stalled{Counts: l.stalled, Closed: int(l.stalled.Dropped)}
	for _, c := range r.clients {
		if c.stalled && !c.dropped && r.current(c) {
			s.Current++
		}
	}
	return s, nil
}

// resumePatience is how long nothing may arrive before a subscriber that reads
// again is taken to have got all that there is.
const resumePatience = time.Second

// current says whether a subscriber has the last value of each of its topics.
func (r *Rig) current(c *conn) bool {
	for slot, next := range c.next {
		if next <= r.seq[(c.first+slot)%c.topics] {
			return false
		}
	}
	return true
}

// Outage is what a cut of all connections took.
type Outage struct {
	Usage
	Back     time.Duration // from the first connection to the last session that was ready again
	Retries  int           // connections that the server refused or ended, and that were made again
	Resumed  bool          // sessions went on, rather than being made anew
	Missed   int64         // deliveries of what was published while nobody was connected
	Restored int64         // how many of those arrived, each once and in order
	Late     int64         // repeated or out of order
}

// Cut ends the connections of all subscribers at once, without a word.
func (r *Rig) Cut() {
	l := r.loop
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range r.clients {
		if !c.dropped {
			delete(l.conns, c.fd)
			syscall.Close(c.fd)
			c.dropped = true
		}
	}
}

// Send publishes n messages to each topic and does not wait for anything.
func (r *Rig) Send(n int) error {
	var frames []byte
	for range n * len(r.topics) {
		frames = r.appendMessage(frames)
	}
	return r.publisher.write(frames)
}

// Return connects all subscribers again at once, after Cut and n messages a
// topic. Sessions go on where they can, and are new ones otherwise. Who is
// refused tries again after a pause.
func (r *Rig) Return(n int) (Outage, error) {
	before, _ := r.loop.snapshot()
	out := Outage{Missed: int64(n * r.subscribers * r.perSession)}
	s := &storm{
		Rig:     r,
		ready:   make(chan struct{}, len(r.clients)),
		refused: make(chan int, len(r.clients)),
	}
	usage, err := r.Measure(func() (err error) {
		if out.Back, out.Retries, err = s.run(); err == nil && s.resumed {
			r.drain(before.Delivered + out.Missed)
		}
		return err
	})
	if err != nil {
		return out, r.explain(err)
	}
	out.Usage, out.Resumed = usage, s.resumed
	after, failure := r.loop.snapshot()
	seen := after.since(before)
	if seen.Dropped > 0 {
		return out, r.explain(failure)
	}
	if seen.Misrouted+seen.Corrupt > 0 {
		return out, errors.New("messages are corrupt or misrouted after the cut")
	}
	out.Restored, out.Late = seen.Delivered, seen.Late
	return out, nil
}

// returnPatience is how long everybody may take to be back, and returnPause how
// long who was refused waits.
const (
	returnPatience = 30 * time.Second
	returnPause    = 100 * time.Millisecond
)

// storm connects the subscribers of a rig again.
type storm struct {
	*Rig
	ready   chan struct{} // one for each that is back
	refused chan int      // who was refused
	resumed bool
}

// run returns how long it took until all were back, and how many connections it
// took beyond one each.
func (s *storm) run() (took time.Duration, retries int, err error) {
	start := time.Now()
	for i := range s.clients {
		s.connect(i)
	}
	again := make(chan int, len(s.clients))
	deadline := time.After(returnPatience)
	for back := 0; back < len(s.clients); {
		select {
		case <-s.ready:
			back++
		case i := <-s.refused:
			retries++
			time.AfterFunc(returnPause, func() { again <- i })
		case i := <-again:
			s.connect(i)
		case <-deadline:
			return 0, retries, fmt.Errorf("%d of %d sessions are back after %v", back, len(s.clients), returnPatience)
		}
	}
	return time.Since(start), retries, nil
}

// connect makes a connection for subscriber i, whose last one has ended.
func (s *storm) connect(i int) {
	old := s.clients[i]
	c := &conn{first: old.first, topics: old.topics, next: old.next, slowLink: old.slowLink}
	c.lost = func() { s.refused <- i }
	c.ready = func() { // called by the event loop, as lost is
		c.lost = nil
		s.ready <- struct{}{}
	}
	endpoint := s.adapter.Endpoint()
	if session, ok := old.session.(peers.Resumable); ok {
		s.resumed = true
		c.session, endpoint = old.session, session.Resume()
	} else {
		mine := make([]string, len(c.next))
		for j := range mine {
			mine[j] = s.Rig.topics[(c.first+j)%c.topics]
		}
		c.session = s.adapter.Subscriber(i, mine)
	}
	s.clients[i] = c
	if err := s.loop.dial(c, byte(1+i/perSource), s.port, endpoint); err != nil {
		s.refused <- i
	}
}
