package server_test

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// TestHalfOpenFlood opens more connections than max-handshakes and says
// nothing, or half of something, on each.
func TestHalfOpenFlood(t *testing.T) {
	const limit = 8
	for name, said := range map[string]string{
		"silent":           "",
		"half a request":   "GET /diffusion?v=29 HTTP/1.1\r\n",
		"half an upgrade":  "GET /diffusion?v=29 HTTP/1.1\r\n" + upgradeHeaders,
		"half a long poll": "POST /diffusion HTTP/1.1\r\nm: 1\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			srv := start(t, func(c *server.Config) { c.MaxHandshakes = limit })
			check := untouched(t, srv)
			flood := make([]net.Conn, 4*limit)
			for i := range flood {
				flood[i] = dial(t, hostOf(srv))
				_, _ = io.WriteString(flood[i], said)
			}
			// Those over the limit are closed, the oldest stay.
			for i, nc := range flood[limit:] {
				if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
					t.Fatalf("connection %d of %d is still open", limit+i+1, limit)
				}
			}
			if _, _, err := openWebSocket(t, hostOf(srv), anonymous()); err == nil {
				t.Error("a connection was accepted over the limit")
			}
			for _, nc := range flood {
				_ = nc.Close()
			}
			await(t, "a connection after the flood", func() bool {
				c, _, err := openWebSocket(t, hostOf(srv), anonymous())
				if err != nil {
					return false
				}
				c.drop()
				return true
			})
			check()
		})
	}
}

func TestMaxSessions(t *testing.T) {
	t.Parallel()
	const limit = 3
	srv := start(t, func(c *server.Config) { c.MaxSessions = limit })
	var sessions []*peer
	for i := range limit {
		sessions = append(sessions, connect(t, srv, bothKinds[i%2], anonymous()))
	}
	for _, k := range bothKinds {
		if _, response, err := k.open(t, hostOf(srv), anonymous()); err != nil || !bytes.Equal(response, unhex("231d71")) {
			t.Errorf("session %d over %s: response %x, %v, want 231d71", limit+1, k.name, response, err)
		}
	}
	for _, s := range sessions {
		s.ping()
	}
	sessions[0].write([]byte{0x1d})
	sessions[0].expectEnd()
	awaitSessions(t, srv, limit-1)
	connect(t, srv, overPolling, anonymous()).ping()
}

// TestMaxSessionsAtOnce has many clients race for few sessions.
func TestMaxSessionsAtOnce(t *testing.T) {
	t.Parallel()
	const limit, clients = 5, 40
	srv := start(t, func(c *server.Config) { c.MaxSessions = limit })
	codes := make(chan wire.ResponseCode, clients)
	var all sync.WaitGroup
	for range clients {
		all.Go(func() {
			_, response, err := openWebSocket(t, hostOf(srv), anonymous())
			if err != nil || len(response) < 3 {
				t.Errorf("response %x, %v", response, err)
				return
			}
			codes <- wire.ResponseCode(response[2])
		})
	}
	all.Wait()
	close(codes)
	count := map[wire.ResponseCode]int{}
	for code := range codes {
		count[code]++
	}
	if count[wire.OK] != limit || count[wire.LicenceExceeded] != clients-limit {
		t.Errorf("answers %v, want %d of %v", count, limit, wire.OK)
	}
}

func TestMaxSessionsPerAddress(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.MaxSessionsPerAddress = 2 })
	first := connect(t, srv, overWebSocket, recoverable())
	second := connect(t, srv, overPolling, anonymous())
	if _, response, _ := openWebSocket(t, hostOf(srv), anonymous()); !bytes.Equal(response, unhex("231d71")) {
		t.Errorf("third session of the address: response %x, want 231d71", response)
	}
	if _, response, _ := openWebSocket(t, hostOf(srv), anonymous().with("username", "admin")); !bytes.Equal(response, unhex("231d71")) {
		t.Errorf("third session of the address, without password: response %x, want 231d71", response)
	}

	// Another address has sessions of its own.
	other := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
	nc, err := other.Dial("tcp", hostOf(srv))
	if err != nil {
		t.Skipf("no second loopback address here: %v", err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(deadline))
	if _, response, err := upgradeOn(nc, anonymous()); err != nil || len(response) != wire.ResponseLen {
		t.Errorf("another address: response %x, %v", response, err)
	}

	// A session without connection counts; a reconnection is no new session; an
	// end makes room.
	first.drop()
	if _, response, _ := openWebSocket(t, hostOf(srv), anonymous()); !bytes.Equal(response, unhex("231d71")) {
		t.Errorf("while a session is disconnected: response %x, want 231d71", response)
	}
	if code := first.reconnect(overWebSocket); code != wire.Reconnected {
		t.Errorf("reconnection: %v", code)
	}
	second.write([]byte{0x1d})
	second.expectEnd()
	await(t, "room for a session", func() bool {
		_, response, _ := openWebSocket(t, hostOf(srv), anonymous())
		return len(response) == wire.ResponseLen
	})
}

// TestFailedLoginsHoldNothing checks that rejected connections do not count.
func TestFailedLoginsHoldNothing(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.MaxSessions, c.MaxSessionsPerAddress = 1, 1 })
	for range 3 {
		_, response, err := openWebSocket(t, hostOf(srv), anonymous().as("nobody"))
		if err != nil || !bytes.Equal(response, unhex("231d74")) {
			t.Fatalf("response %x, %v, want 231d74", response, err)
		}
	}
	connect(t, srv, overWebSocket, anonymous()).ping()
}

// noise is text that compresses and deltas badly.
var noise = sync.OnceValue(func() string {
	random := rand.New(rand.NewPCG(1, 2))
	b := make([]byte, 9<<20)
	for i := range b {
		b[i] = 'a' + byte(random.Uint32()%26)
	}
	return string(b)
})

// value returns a text of about size bytes, at most 8 MiB, that starts with the
// number i and has nothing in common with that of the next number.
func value(i, size int) string {
	text := noise()
	return fmt.Sprint(i, " ", text[i*(128<<10)%(len(text)-size):][:size])
}

// TestSlowReaderIsConflated has a subscriber pause while a topic changes often:
// it misses intermediate values and ends with the last one.
func TestSlowReaderIsConflated(t *testing.T) {
	t.Parallel()
	const updates, size = 160, 64 << 10 // more than sockets buffer
	srv := start(t, func(c *server.Config) { c.QueueMessages, c.QueueBytes = 16, 1<<20 })
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("a"))
	slow := connectSmall(t, srv, 256<<10, anonymous())
	slow.call(subscribe("a"))
	for i := range updates {
		publisher.must(set("a", value(i, size)))
	}
	received, last := 0, value(updates-1, size)
	for at := -1; at < updates-1; received++ {
		words := strings.SplitN(slow.next(), " ", 4)
		var i int
		if _, err := fmt.Sscan(words[2], &i); err != nil || i <= at {
			t.Fatalf("value %q after value %d", words[2], at)
		}
		at = i
	}
	if received >= updates {
		t.Errorf("a slow reader got all %d updates: nothing was conflated", received)
	}
	if got := textOf(slow.topics[slices.Collect(keys(slow.topics))[0]].value); got != last {
		t.Errorf("the last value is wrong")
	}
	slow.ping()
}

func keys[K comparable, V any](m map[K]V) func(func(K) bool) {
	return func(yield func(K) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

// connectSmall connects over WebSocket with little room for what the client
// does not read.
func connectSmall(t testing.TB, srv *server.Server, room int, p params) *peer {
	t.Helper()
	small := kind{"WebSocket", func(t testing.TB, host string, p params) (link, []byte, error) {
		nc := dial(t, host)
		_ = nc.SetReadBuffer(room)
		return upgradeOn(nc, p)
	}}
	return connect(t, srv, small, p)
}

// inUse returns the bytes in use after a collection.
func inUse() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestReadersThatNeverRead has subscribers on both transports stop reading for
// good while values come that cannot be conflated. Their sessions end, nothing
// of them stays, and the other subscriber gets every value.
func TestReadersThatNeverRead(t *testing.T) {
	const updates, size = 160, 128 << 10
	const large = 6 << 20 // more than a socket buffers
	_ = noise()
	before := inUse()
	srv := start(t, func(c *server.Config) {
		c.QueueMessages, c.QueueBytes = 64, 8<<20
		c.RecoveryMessages = 8
		c.PollTimeout = 3 * time.Second
	})
	check := untouched(t, srv)
	publisher := connect(t, srv, overWebSocket, anonymous().as("admin"))
	publisher.must(add("a", "CONFLATION", "off", "PUBLISH_VALUES_ONLY", "true"))
	publisher.must(add("large"))
	reader := connect(t, srv, overWebSocket, anonymous())
	reader.call(subscribe("a"))

	connectSmall(t, srv, 4096, recoverable()).call(subscribe("a"))
	stuck := connect(t, srv, overPolling, recoverable())
	stuck.call(subscribe("?(a|large)"))
	publisher.must(set("large", value(0, large)))
	poll := dial(t, hostOf(srv))
	_ = poll.SetReadBuffer(4096)
	fmt.Fprintf(poll, "POST /diffusion HTTP/1.1\r\nHost: advect\r\nm: 1\r\ns: %d\r\nc: %s\r\nContent-Length: 0\r\n\r\n",
		stuck.link.(*poller).polls, stuck.token)
	awaitSessions(t, srv, 5)

	for i := range updates {
		publisher.must(set("a", value(i, size)))
		if got, want := reader.next(), "value a "+value(i, size); got != want {
			t.Fatalf("update %d: the other subscriber got %.40q", i, got)
		}
	}
	awaitSessions(t, srv, 3) // both are gone
	publisher.must(remove("?.*//"))
	reader.expect("unsubscribed a REMOVED")
	for _, s := range []*peer{publisher, reader, stuck} {
		s.drop()
	}
	check() // although the two sockets are still open on our side
	if kept := inUse() - before; kept > 4<<20 {
		t.Errorf("%d bytes more than before are in use", kept)
	}
}

// TestMessageRate has a client send twice what it may in a second: nothing is lost
// or refused, it just takes its time.
func TestMessageRate(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		const perSecond = 50
		srv := start(t, func(c *server.Config) { c.MessageRate = perSecond })
		s, other := connect(t, srv, k, anonymous()), connect(t, srv, k, anonymous())
		began := time.Now()
		ids := make([]int64, 2*perSecond)
		for i := range ids {
			ids[i] = s.nextConversation()
			s.write(service.UserPing.AppendRequest(nil, ids[i], service.Empty{}))
		}
		other.ping()
		for _, id := range ids {
			s.expect(fmt.Sprintf("response %d", id))
		}
		if took := time.Since(began); took < 900*time.Millisecond {
			t.Errorf("%d messages took %v", len(ids), took)
		}
	})
}

// TestConnectionRate has an address make more connections than it may.
func TestConnectionRate(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.ConnectionRate = 1 })
	session := func() bool {
		nc, err := net.Dial("tcp", hostOf(srv))
		if err != nil {
			return false
		}
		defer nc.Close()
		_ = nc.SetDeadline(time.Now().Add(deadline))
		_, response, err := upgradeOn(nc, anonymous())
		return err == nil && len(response) == wire.ResponseLen
	}
	refused := 0
	for range 20 {
		if !session() {
			refused++
		}
	}
	if refused == 0 {
		t.Error("twenty connections at once are accepted")
	}
	await(t, "a connection later", session)
}

// TestConnectionRateOfPolling has a client ask for sessions over one connection.
func TestConnectionRateOfPolling(t *testing.T) {
	srv := start(t, func(c *server.Config) { c.ConnectionRate = 1 })
	c := newPoller(t, hostOf(srv))
	refused := 0
	for range 20 {
		res, _, err := c.post(http.Header{"M": {"0"}, "Ty": {"WB"}, "V": {"29"}, "Ca": {"8"}, "R": {"0"}, "Sp": {"%7B%7D"}}, "")
		if err != nil {
			t.Fatal(err)
		}
		if res.StatusCode == http.StatusTooManyRequests {
			refused++
		}
	}
	if refused == 0 {
		t.Error("twenty sessions at once are accepted")
	}
}
