package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// polling opens a session over polling and returns its link too.
func polling(t *testing.T, srv *server.Server, p params) (*peer, *poller) {
	t.Helper()
	s := connect(t, srv, overPolling, p)
	return s, s.link.(*poller)
}

// inBackground makes a request that is not answered at once. The function that
// it returns waits for the answer.
func inBackground(request func() (string, error)) (answer func() (string, error)) {
	type result struct {
		body string
		err  error
	}
	done := make(chan result, 1)
	go func() {
		body, err := request()
		done <- result{body, err}
	}()
	return func() (string, error) {
		r := <-done
		return r.body, r.err
	}
}

// heldPoll makes a poll and returns once the server holds it, which a second
// poll shows: it releases the other.
func heldPoll(t *testing.T, c *poller) (answer func() (string, error)) {
	t.Helper()
	type result struct {
		body string
		err  error
	}
	done := make(chan result, 2)
	for range 2 {
		number := c.polls
		c.polls++
		go func() {
			body, err := c.numbered(1, number, "")
			done <- result{body, err}
		}()
	}
	if r := <-done; r.body != "" || r.err != nil {
		t.Fatalf("a poll that another one releases was answered %q, %v", r.body, r.err)
	}
	return func() (string, error) {
		r := <-done
		return r.body, r.err
	}
}

func TestEmptyPoll(t *testing.T) {
	t.Parallel()
	const hold = 100 * time.Millisecond
	srv := start(t, func(c *server.Config) { c.PollHold = hold })
	s, c := polling(t, srv, anonymous())
	for range 3 {
		begun := time.Now()
		body, err := c.poll()
		if took := time.Since(begun); body != "" || err != nil || took < hold || took > hold+3*time.Second {
			t.Errorf("poll answered %q, %v after %v, want an empty answer after %v", body, err, took, hold)
		}
	}
	s.ping()
}

// TestPollGetsAllThatIsQueued has one answer carry many messages in order.
func TestPollGetsAllThatIsQueued(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	_, c := polling(t, srv, anonymous())
	var batch [][]byte
	for i := range 20 {
		batch = append(batch, service.UserPing.AppendRequest(nil, int64(i+1), service.Empty{}))
	}
	if body, err := c.numbered(2, 0, batchOf(batch...)); body != "" || err != nil {
		t.Fatalf("send answered %q, %v", body, err)
	}
	body, err := c.poll()
	if err != nil {
		t.Fatal(err)
	}
	messages, err := unbatch(body)
	if err != nil || len(messages) != len(batch) {
		t.Fatalf("%d messages, %v, want %d", len(messages), err, len(batch))
	}
	for i, m := range messages {
		if want := string([]byte{6, byte(i + 1)}); string(m) != want {
			t.Errorf("message %d is %x, want %x", i, m, want)
		}
	}
}

// TestAnswerBytes compares answers with the example of 01 section 11.2.
func TestAnswerBytes(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	_, c := polling(t, srv, anonymous())
	for i, step := range []struct{ send, answer string }{
		{"AAAAAgA4Aw==", "AAAAAQYD"}, // user ping
		{"AAAAAB0=", "AAAAABw="},     // close
	} {
		poll := inBackground(c.poll)
		if body, err := c.numbered(2, i, step.send); body != "" || err != nil {
			t.Errorf("send %d answered %q, %v", i, body, err)
		}
		if body, err := poll(); body != step.answer || err != nil {
			t.Errorf("poll %d answered %q, %v, want %q", i, body, err, step.answer)
		}
	}
}

func TestSecondPollReleasesFirst(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s, c := polling(t, srv, anonymous())
	for i := range 5 {
		newest := heldPoll(t, c) // checks that the other is answered by nothing
		s.write(service.UserPing.AppendRequest(nil, int64(i+1), service.Empty{}))
		if body, err := newest(); body != batchOf([]byte{6, byte(i + 1)}) || err != nil {
			t.Errorf("the newest poll was answered %q, %v, want response %d", body, err, i+1)
		}
	}
}

func TestSendTwice(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s, c := polling(t, srv, recoverable())
	ping := func(cid int64) string { return batchOf(service.UserPing.AppendRequest(nil, cid, service.Empty{})) }
	for _, send := range []struct {
		number int
		cid    int64
	}{{0, 1}, {0, 1}, {0, 9}, {1, 2}, {0, 1}, {1, 2}, {2, 3}} {
		if body, err := c.numbered(2, send.number, ping(send.cid)); body != "" || err != nil {
			t.Fatalf("send %d answered %q, %v", send.number, body, err)
		}
	}
	s.expect("response 1", "response 2", "response 3")
	if code := s.open(overPolling, s.reconnection()); code != wire.Reconnected || s.expected() != 4 {
		t.Errorf("reconnection answered %v and expects message %d, want 4", code, s.expected())
	}
}

// TestSendOvertakes has sends arrive in the wrong order.
func TestSendOvertakes(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s, c := polling(t, srv, anonymous())
	var sends []func() (string, error)
	for number := 2; number >= 0; number-- {
		body := batchOf(service.UserPing.AppendRequest(nil, int64(number+1), service.Empty{}))
		sends = append(sends, inBackground(func() (string, error) { return c.numbered(2, number, body) }))
	}
	for _, answer := range sends {
		if body, err := answer(); body != "" || err != nil {
			t.Errorf("send answered %q, %v", body, err)
		}
	}
	s.expect("response 1", "response 2", "response 3")
}

// TestSendSkipped loses a send: the session cannot go on.
func TestSendSkipped(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s, c := polling(t, srv, recoverable())
	poll := inBackground(c.poll)
	body := batchOf(service.UserPing.AppendRequest(nil, 1, service.Empty{}))
	if _, err := c.numbered(2, 1, body); err != nil {
		t.Errorf("send: %v", err)
	}
	if body, err := poll(); body != "AAAAABw=" || err != nil {
		t.Errorf("poll answered %q, %v, want the end of the session", body, err)
	}
	awaitSessions(t, srv, 0)
	s.again(overPolling, wire.UnknownSession)
}

func TestUnknownTokens(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	for _, token := range []string{"undefined", "", "8j/qMkxT8Iw2dwqeFA9gEzpA", strings.Repeat("x", 10_000)} {
		for m := 1; m <= 2; m++ {
			c := newPoller(t, hostOf(srv))
			c.token = token
			if body, err := c.numbered(m, 0, ""); body != "" || err != errReconnect {
				t.Errorf("m=%d c=%.20s answered %q, %v, want %v", m, token, body, err, errReconnect)
			}
			c.drop()
		}
	}
}

// TestPollTimeout has a client stop polling: its session is disconnected.
func TestPollTimeout(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) { c.PollTimeout = time.Second })
	s, c := polling(t, srv, recoverable())
	await(t, "the loss of the connection", func() bool {
		// A send is no poll.
		_, err := c.numbered(2, 0, "")
		return err == errReconnect
	})
	if n := srv.Sessions(); n != 1 {
		t.Fatalf("%d sessions, want 1", n)
	}
	s.again(overPolling, wire.Reconnected)
	s.ping()
	s.write([]byte{0x1d})
	s.expectEnd()
	awaitSessions(t, srv, 0)

	connect(t, srv, overPolling, anonymous())
	awaitSessions(t, srv, 0) // without a window the session is over
}

// TestHeldPollIsNoSilence holds polls for much longer than the poll-timeout.
func TestHeldPollIsNoSilence(t *testing.T) {
	t.Parallel()
	srv := start(t, func(c *server.Config) {
		c.PollTimeout, c.PollHold, c.HandshakeTimeout = 500*time.Millisecond, 2500*time.Millisecond, 500*time.Millisecond
	})
	s, c := polling(t, srv, anonymous())
	if body, err := c.poll(); body != "" || err != nil {
		t.Fatalf("poll answered %q, %v", body, err)
	}
	if res, body, err := c.post(http.Header{"M": {"1"}, "C": {c.token}, "S": {"1"}}, "unexpected body"); err != nil || res.StatusCode != 200 || len(body) != 0 {
		t.Fatalf("poll with a body answered %v %q, %v", res, body, err)
	}
	s.ping()
}

func TestClosingWithoutPoll(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	s, c := polling(t, srv, recoverable())
	s.write([]byte{0x1d})
	awaitSessions(t, srv, 0)
	if body, err := c.poll(); body != "AAAAABw=" || err != nil {
		t.Errorf("poll after the end answered %q, %v, want AAAAABw=", body, err)
	}
	s.again(overPolling, wire.UnknownSession)
}

// TestClosingDrains checks that what was queued comes before the end.
func TestClosingDrains(t *testing.T) {
	onBoth(t, func(t *testing.T, k kind) {
		srv := start(t, nil)
		s := connect(t, srv, k, anonymous())
		admin := connect(t, srv, overWebSocket, anonymous().as("admin"))
		admin.must(add("a"))
		s.call(subscribe("a"))
		for i := range 50 {
			admin.must(set("a", fmt.Sprint("value ", i)))
		}
		admin.must(func(b []byte, cid int64) []byte {
			return service.CloseClient.AppendRequest(b, cid, service.SessionRequest{Session: s.id})
		})
		for i := range 50 {
			if words := s.next(); words[6:] != fmt.Sprintf("a value %d", i) {
				t.Fatalf("update %d: %q", i, words)
			}
		}
		s.expectEnd()
	})
}

// TestTakeoverAnswersOldPoll reconnects while a poll of the old connection is
// open (01 section 8.4).
func TestTakeoverAnswersOldPoll(t *testing.T) {
	t.Parallel()
	for _, to := range bothKinds {
		srv := start(t, nil)
		s, old := polling(t, srv, recoverable())
		held := heldPoll(t, old)
		s.again(to, wire.Reconnected)
		if body, err := held(); body != "" || err != nil && err != errReconnect {
			t.Errorf("to %s: the old poll was answered %q, %v", to.name, body, err)
		}
		s.ping()
	}
}

// TestCORS checks the headers that browsers need on every answer
// (01 section 8.5).
func TestCORS(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	const begin = " /diffusion HTTP/1.1\r\nHost: advect\r\nOrigin: https://example.com\r\nContent-Length: 0\r\n"
	for name, tt := range map[string]struct {
		raw    string
		status int
	}{
		"preflight":      {"OPTIONS" + begin + "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: m,ty\r\n\r\n", 204},
		"connect":        {"POST" + begin + "m: 0\r\nty: B\r\nv: 29\r\nca: 8\r\n\r\n", 200},
		"rejection":      {"POST" + begin + "m: 0\r\nty: B\r\nv: 1\r\n\r\n", 200},
		"unknown token":  {"POST" + begin + "m: 1\r\nc: x\r\ns: 0\r\n\r\n", 200},
		"bad request":    {"POST" + begin + "m: 7\r\n\r\n", 400},
		"GET":            {"GET" + begin + "\r\n", 426},
		"unknown method": {"PUT" + begin + "\r\n", 405},
	} {
		res := answer(t, srv, tt.raw)
		if res == nil || res.StatusCode != tt.status {
			t.Errorf("%s: answered %v, want %d", name, res, tt.status)
			continue
		}
		for header, want := range map[string]string{
			"Access-Control-Allow-Origin":   "*",
			"Access-Control-Allow-Methods":  "POST, GET, OPTIONS",
			"Access-Control-Allow-Headers":  "m, ty, ca, r, v, c, cs, ss, sp, s, username, password, content-type",
			"Access-Control-Expose-Headers": "diffusion-connection",
			"Access-Control-Max-Age":        "86400",
			"Cache-Control":                 "no-store",
		} {
			if got := res.Header.Get(header); got != want {
				t.Errorf("%s: header %s is %q, want %q", name, header, got, want)
			}
		}
	}
}
