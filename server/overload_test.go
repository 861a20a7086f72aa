package server_test

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// metric reads a sample of /metrics.
func metric(t testing.TB, srv *server.Server, sample string) float64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+hostOf(srv)+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		if rest, ok := strings.CutPrefix(lines.Text(), sample+" "); ok {
			n, err := strconv.ParseFloat(rest, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("no sample %s", sample)
	return 0
}

// babble returns text that neither compresses nor makes small deltas.
func babble(rnd *rand.Rand, n int) string {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte('!' + rnd.IntN(90))
	}
	return string(b)
}

// A follower reads what comes to a peer and checks that the values of a topic are
// the numbers from 0 on, one after the other.
type follower struct {
	*peer
	ticks atomic.Int64 // how many have come
}

// follow reads until so many ticks have come.
func (f *follower) follow(path string, until int64) error {
	for f.ticks.Load() < until {
		b, err := f.receive()
		if err != nil {
			return fmt.Errorf("after %d ticks: %w", f.ticks.Load(), err)
		}
		words, err := f.describe(b)
		if err != nil {
			return err
		}
		form, rest, _ := strings.Cut(words, " ")
		value, about := strings.CutPrefix(rest, path+" ")
		if !about || form == "notify" {
			continue
		}
		if value != fmt.Sprint(f.ticks.Load()) {
			return fmt.Errorf("after %d ticks came %q", f.ticks.Load(), words)
		}
		f.ticks.Add(1)
	}
	return nil
}

// TestStalledReaders has a tenth of the sessions stop reading while all others get
// every update in order: those that stall cost the server no more than the newest
// value of each topic, are not closed, and have the newest values when they go on.
func TestStalledReaders(t *testing.T) {
	const (
		sessions, stalled   = 200, 20
		queued              = 64 // messages
		large               = 16 << 10
		floods, ticks, step = 600, 300, 20
	)
	srv := start(t, func(c *server.Config) { c.QueueMessages = queued })
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("ticks"))
	publisher.must(add("flood", topic.Compression, "off"))

	var all sync.WaitGroup
	healthy := make([]*follower, sessions-stalled)
	for i := range healthy {
		f := &follower{peer: connect(t, srv, overWebSocket, anonymous())}
		f.call(subscribe("ticks"))
		healthy[i] = f
		all.Go(func() {
			if err := f.follow("ticks", ticks); err != nil {
				t.Errorf("session %d: %v", i, err)
			}
		})
	}
	slow := make([]*peer, stalled)
	for i := range slow {
		slow[i] = connect(t, srv, overWebSocket, anonymous())
		slow[i].call(subscribe("?(ticks|flood)"))
	}

	rnd := rand.New(rand.NewPCG(1, 2))
	newest := ""
	most := 0.0
	for n := range ticks {
		publisher.must(set("ticks", fmt.Sprint(n)))
		if n%step != step-1 {
			continue
		}
		await(t, "all healthy sessions have what was published", func() bool {
			for _, f := range healthy {
				if f.ticks.Load() <= int64(n) {
					return t.Failed()
				}
			}
			return true
		})
		for range floods * step / ticks {
			newest = babble(rnd, large)
			publisher.must(set("flood", newest))
		}
		most = max(most, metric(t, srv, "advect_queued_bytes"))
	}
	all.Wait()
	if t.Failed() {
		return
	}
	// Until a queue is full it has at most its limit of messages, however many were
	// published; then one for each topic.
	if limit := float64(stalled * (queued + 2) * (large + 100)); most > limit {
		t.Errorf("%v bytes waited, more than %v", most, limit)
	}
	if got, limit := metric(t, srv, "advect_queued_messages"), float64(2*stalled); got == 0 || got > limit {
		t.Errorf("%v messages wait for %d stalled sessions, want one for each topic", got, stalled)
	}
	if got := metric(t, srv, "advect_updates_conflated_total"); got != 0 {
		t.Errorf("%v updates count as conflated before the sessions go on", got)
	}
	if n := srv.Sessions(); n != sessions+1 {
		t.Errorf("%d sessions are left of %d", n, sessions+1)
	}
	for _, s := range slow {
		for s.valueOf("ticks") != fmt.Sprint(ticks-1) || s.valueOf("flood") != newest {
			s.next()
		}
		s.ping()
	}
	if got := metric(t, srv, "advect_updates_conflated_total"); got < ticks {
		t.Errorf("%v updates were conflated", got)
	}
	publisher.must(set("ticks", "and on"))
	for _, s := range slow {
		s.expect("value ticks and on")
	}
}

// valueOf is the value of a topic as the peer holds it.
func (s *peer) valueOf(path string) string {
	for _, h := range s.topics {
		if h.path == path {
			return textOf(h.value)
		}
	}
	return ""
}

// TestReconnectStorm cuts the connections of all sessions at once, again and again,
// while publishing goes on: each continues without loss and gets every update once.
func TestReconnectStorm(t *testing.T) {
	const sessions, storms, step = 500, 2, 50
	srv := start(t, nil)
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("ticks"))
	all := make([]*follower, sessions)
	for i := range all {
		all[i] = &follower{peer: connect(t, srv, overWebSocket, recoverable())}
		all[i].call(subscribe("ticks"))
	}
	published := int64(0)
	publish := func() {
		for range step {
			publisher.must(set("ticks", fmt.Sprint(published)))
			published++
		}
	}
	for range storms {
		publish()
		var work sync.WaitGroup
		for i, f := range all {
			work.Go(func() {
				// Each has read another part of what was sent to it.
				if err := f.follow("ticks", published-int64(i%step)); err != nil {
					t.Errorf("session %d before: %v", i, err)
				}
			})
		}
		work.Wait()
		for _, f := range all {
			f.drop()
		}
		until := published + step
		for i, f := range all {
			work.Go(func() {
				if err := f.comeBack(); err != nil {
					t.Errorf("session %d: %v", i, err)
				} else if err := f.follow("ticks", until); err != nil {
					t.Errorf("session %d after: %v", i, err)
				}
			})
		}
		publish()
		work.Wait()
		if t.Failed() {
			return
		}
	}
	for _, f := range all {
		f.ping() // and so nothing came twice
	}
	if got := metric(t, srv, `advect_reconnections_total{outcome="lossless"}`); got != sessions*storms {
		t.Errorf("%v reconnections without loss, want %d", got, sessions*storms)
	}
	if got := metric(t, srv, `advect_authentications_total{outcome="accepted"}`); got != sessions+1 {
		t.Errorf("%v authentications of %d sessions: reconnections are not to cost any", got, sessions+1)
	}
}

// comeBack reconnects without loss, from any goroutine.
func (f *follower) comeBack() error {
	l, response, err := overWebSocket.open(f.t, f.host, f.reconnection())
	if err != nil {
		return err
	}
	res, err := wire.ParseConnectResponse(response)
	if err != nil || res.Code != wire.Reconnected || int(res.NextClient) != len(f.sent)+1 {
		return fmt.Errorf("reconnection answered %v, next message %d of %d, %w", res.Code, res.NextClient, len(f.sent), err)
	}
	f.link, f.response = l, response
	f.conversation++
	return nil
}

// TestMemoryCeiling fills the memory of the process: new sessions are told to come
// again later, one that does not read messages which cannot be conflated is closed,
// and one that was cut off continues, as do all others. It runs while no other test
// does, and so knows how much memory is used.
func TestMemoryCeiling(t *testing.T) {
	runtime.GC()
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	ceiling := 2 * max(int(before.HeapAlloc)+32<<20, 64<<20)
	var log lockedBuffer
	srv := start(t, func(c *server.Config) {
		c.MaxMemory = ceiling
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("events", topic.Conflation, "off", topic.Compression, "off"))
	cut, slow, healthy := connect(t, srv, overWebSocket, recoverable()), connect(t, srv, overWebSocket, recoverable()), connect(t, srv, overWebSocket, anonymous())
	slow.call(subscribe("events"))
	healthy.call(subscribe("events"))
	rnd := rand.New(rand.NewPCG(3, 4))
	for range 300 { // until the sockets are full, and more
		value := babble(rnd, 32<<10)
		publisher.must(set("events", value))
		healthy.next()
	}
	if got := metric(t, srv, "advect_memory_pressure"); got != 0 {
		t.Fatalf("pressure %v before there is any", got)
	}
	cut.drop()

	ballast := bytes.Repeat([]byte{1}, ceiling*95/100)
	runtime.GC()
	await(t, "pressure", func() bool { return metric(t, srv, "advect_memory_pressure") == 2 })
	if _, _, err := openWebSocket(t, hostOf(srv), anonymous()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a new session over WebSocket: %v", err)
	}
	if _, _, err := openPolling(t, hostOf(srv), anonymous()); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("a new session over polling: %v", err)
	}
	if code := cut.reconnect(overWebSocket); code != wire.Reconnected {
		t.Errorf("the session that was cut off: %v", code)
	}
	await(t, "the end of the session that does not read", func() bool {
		return metric(t, srv, `advect_memory_relief_total{action="sessions_closed"}`) == 1
	})
	cut.ping()
	healthy.ping()
	publisher.must(set("events", "the next"))
	if words := healthy.next(); !strings.HasSuffix(words, "the next") {
		t.Errorf("the healthy session got %.50q", words)
	}
	runtime.KeepAlive(ballast)
	ballast = nil

	await(t, "the end of the pressure", func() bool { return metric(t, srv, "advect_memory_pressure") == 0 })
	connect(t, srv, overWebSocket, anonymous()).ping()
	connect(t, srv, overPolling, anonymous()).ping()
	for {
		if _, err := slow.receive(); err != nil {
			if !errors.Is(err, io.EOF) && !errors.Is(err, errClosing) && !errors.Is(err, net.ErrClosed) && !strings.Contains(err.Error(), "reset") {
				t.Errorf("the slow session: %v", err)
			}
			break
		}
	}
	if code := slow.reconnect(overWebSocket); code != wire.UnknownSession {
		t.Errorf("the slow session reconnects: %v", code)
	}
	for _, want := range []string{"memory is nearly used up", "sessions lost their backlog", "memory is less short"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say: %s", want)
		}
	}
}

// A lockedBuffer takes a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
