package load

import (
	"context"
	"errors"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"advect.dev"
	"advect.dev/datatype"
	"advect.dev/internal/tally"
)

// A fleet is the sessions that subscribe.
type fleet struct {
	open     Opener
	scenario *Scenario
	root     string // the branch of the topics
	start    time.Time

	opened, ready, closed, pending          tally.Counter // sessions
	arrived, outOfOrder, duplicate, corrupt tally.Counter // values
	skipped                                 tally.Counter // values that the SDK left out, because this program is too slow
	refreshed                               tally.Counter // values that a reconnection with loss left out
	latency, connect, first                 *histogram

	drop    func(topic int, n uint64) bool // see [Target]
	closing atomic.Bool
	cutting sync.RWMutex // a storm cuts with the lock, others connect with the read lock
	mu      sync.Mutex   // guards what follows
	members []*member
	errors  map[string]int
}

func newFleet(open Opener, s *Scenario, root string, start time.Time) *fleet {
	return &fleet{
		open: open, scenario: s, root: root, start: start, errors: make(map[string]int),
		latency: newHistogram(), connect: newHistogram(), first: newHistogram(),
	}
}

// now is the time of the run.
func (f *fleet) now() time.Duration { return time.Since(f.start) }

// A member is a session that subscribes to some topics, neighbours on a ring.
type member struct {
	fleet   *fleet
	number  int
	session *advect.Session
	began   time.Duration // when it was due to be opened
	base    int           // its first topic
	cursors []cursor      // of the goroutine of callbacks
	waiting atomic.Int32  // topics without a value yet
	bytes   atomic.Int64  // read from the network
	storm   atomic.Pointer[storm]

	mu    sync.Mutex // guards what follows
	conns []net.Conn
}

func topicPath(root string, topic int) string { return root + "/" + strconv.Itoa(topic) }

// errorKinds bounds the kinds of errors that are told apart.
const errorKinds = 20

func (f *fleet) failed(err error) {
	text := err.Error()
	if reason := (*advect.CloseReason)(nil); errors.As(err, &reason) {
		text = reason.Code.String()
		if system := syscall.Errno(0); errors.As(err, &system) {
			text += ": " + system.Error()
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, known := f.errors[text]; !known && len(f.errors) >= errorKinds {
		text = "others"
	}
	f.errors[text]++
}

// openAll opens the sessions, so many at a time, and waits until each has failed or
// has a value of each of its topics. At a rate they begin when they are due.
func (f *fleet) openAll(ctx context.Context) {
	begin := f.now()
	work := make(chan *member)
	var openers sync.WaitGroup
	for range min(f.scenario.Parallel, f.scenario.Sessions) {
		openers.Go(func() {
			for m := range work {
				if err := m.open(ctx); err == nil {
					f.opened.Add(int64(m.number), 1)
				} else if ctx.Err() == nil {
					f.failed(err)
				}
			}
		})
	}
	stride := float64(f.scenario.Topics) / float64(f.scenario.Sessions)
	for i := range f.scenario.Sessions {
		m := &member{fleet: f, number: i, cursors: make([]cursor, f.scenario.PerSession)}
		m.base = int(float64(i)*max(1, stride)) % f.scenario.Topics
		m.began = f.now()
		if rate := f.scenario.openRate(); rate > 0 {
			m.began = begin + time.Duration(float64(i)/rate*float64(time.Second))
			if sleepUntil(ctx, f.start.Add(m.began)) != nil {
				break
			}
		}
		select {
		case work <- m:
			continue
		case <-ctx.Done():
		}
		break
	}
	close(work)
	openers.Wait()
	deadline := f.now() + patience
	for f.pending.Load() > 0 && ctx.Err() == nil && f.now() < deadline {
		time.Sleep(time.Millisecond)
	}
}

// patience is how long values and reconnections may take before they count as lost.
const patience = 30 * time.Second

// readBuffers is the memory for the read buffers of all sessions.
const readBuffers = 64 << 20

func (m *member) open(ctx context.Context) error {
	f := m.fleet
	if f.scenario.openRate() == 0 {
		m.began = f.now()
	}
	session, err := f.open(ctx,
		advect.WithDialer(m.dial), advect.WithStateListener(m.stateChanged),
		advect.WithBufferSizes(max(4<<10, min(64<<10, readBuffers/f.scenario.Sessions)), 4<<10))
	if err != nil {
		return err
	}
	f.connect.record(m.number, f.now()-m.began)
	m.session = session
	var paths []string
	for i := range m.cursors {
		paths = append(paths, topicPath(f.root, (m.base+i)%f.scenario.Topics))
	}
	m.waiting.Store(int32(len(paths)))
	f.pending.Add(int64(m.number), 1)
	if _, err = advect.AddStream(session.Topics(), "?"+f.root+"/", advect.Stream[datatype.JSON]{
		OnValue:       m.value,
		OnUnsubscribe: m.unsubscribed,
		OnError:       func(error) { f.corrupt.Add(int64(m.number), 1) },
	}); err == nil {
		err = session.Topics().Subscribe(ctx, paths...)
	}
	if err != nil {
		m.waitNoMore()
		_ = session.Close() // always nil
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.members = append(f.members, m)
	return nil
}

// waitNoMore takes a session out of those that wait for their first values.
func (m *member) waitNoMore() {
	if m.waiting.Swap(0) > 0 {
		m.fleet.pending.Add(int64(m.number), -1)
	}
}

// value accounts for a value.
func (m *member) value(u advect.Update[datatype.JSON]) {
	f, by := m.fleet, int64(m.number)
	now := f.now()
	topic, _ := strconv.Atoi(u.Path[strings.LastIndexByte(u.Path, '/')+1:])
	index := (topic - m.base + f.scenario.Topics) % f.scenario.Topics
	n, due, err := readDocument(u.Value.Bytes(), topic)
	if err != nil || index >= len(m.cursors) {
		f.corrupt.Add(by, 1)
		return
	}
	if f.drop != nil && f.drop(topic, n) {
		return
	}
	f.skipped.Add(by, int64(u.Skipped))
	c := &m.cursors[index]
	if u.First {
		first := c.next == 0
		missed, fresh := c.begin(n)
		f.refreshed.Add(by, int64(missed))
		if first && m.waiting.Add(-1) == 0 {
			f.first.record(m.number, now-m.began)
			f.ready.Add(by, 1)
			f.pending.Add(by, -1)
		}
		if !fresh {
			return
		}
	} else {
		switch c.take(n) {
		case duplicate:
			f.duplicate.Add(by, 1)
			return
		case outOfOrder:
			f.outOfOrder.Add(by, 1)
		}
	}
	f.arrived.Add(by, 1)
	f.latency.record(m.number, now-due)
	if s := m.storm.Load(); s != nil {
		s.arrived(m, now, due)
	}
}

func (m *member) unsubscribed(_ string, _ advect.Specification, reason advect.UnsubscribeReason) {
	if s := m.storm.Load(); s != nil && reason == advect.UnsubscribeRefresh {
		s.lossy(m)
	}
}

func (m *member) stateChanged(session *advect.Session, old, state advect.State) {
	switch {
	case state.IsConnected() && old.IsRecovering():
		if s := m.storm.Load(); s != nil {
			s.connected(m)
		}
	case state.IsClosed() && old != advect.Connecting && !m.fleet.closing.Load():
		m.fleet.closed.Add(int64(m.number), 1)
		m.fleet.failed(session.Err())
		m.waitNoMore()
	}
}

// dial opens a connection that counts what is read, and can be cut.
func (m *member) dial(ctx context.Context, network, address string) (net.Conn, error) {
	m.fleet.cutting.RLock()
	defer m.fleet.cutting.RUnlock()
	var d net.Dialer
	conn, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	counted := &countedConn{conn, m}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.conns = append(m.conns, counted)
	return counted, nil
}

// cut resets the connections of the session.
func (m *member) cut() {
	m.mu.Lock()
	conns := m.conns
	m.conns = nil
	m.mu.Unlock()
	for _, c := range conns {
		if tcp, ok := c.(*countedConn).Conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close() // it may be closed already
	}
}

// A countedConn is a connection of a member.
type countedConn struct {
	net.Conn
	member *member
}

func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.member.bytes.Add(int64(n))
	return n, err
}

func (c *countedConn) Close() error {
	c.member.mu.Lock()
	for i, known := range c.member.conns {
		if known == net.Conn(c) {
			c.member.conns = append(c.member.conns[:i], c.member.conns[i+1:]...)
			break
		}
	}
	c.member.mu.Unlock()
	return c.Conn.Close()
}

// bytes returns how many bytes all sessions have read.
func (f *fleet) bytes() (n int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		n += m.bytes.Load()
	}
	return n
}

// subscribers returns how many sessions are subscribed to each topic.
func (f *fleet) subscribers() []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	count := make([]int, f.scenario.Topics)
	for _, m := range f.members {
		for i := range m.cursors {
			count[(m.base+i)%len(count)]++
		}
	}
	return count
}

// close closes all sessions.
func (f *fleet) close() {
	f.closing.Store(true)
	f.mu.Lock()
	members := f.members
	f.mu.Unlock()
	work := make(chan *member)
	var closers sync.WaitGroup
	for range min(closersAtATime, len(members)) {
		closers.Go(func() {
			for m := range work {
				_ = m.session.Close() // always nil
			}
		})
	}
	for _, m := range members {
		work <- m
	}
	close(work)
	closers.Wait()
}

const closersAtATime = 64

// sleepUntil waits for a time, or returns why ctx ended.
func sleepUntil(ctx context.Context, at time.Time) error {
	wait := time.Until(at)
	if wait <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
