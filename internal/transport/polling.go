package transport

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"

	"advect.dev/internal/engine"
	"advect.dev/internal/outbox"
	"advect.dev/internal/wire"
)

// polling serves HTTP long polling (01 section 8): a POST with header m = 0
// connects, 1 asks for messages, 2 brings messages.
type polling struct {
	cfg  Config
	done chan struct{}
	gone chan struct{}

	mu    sync.Mutex
	conns map[string]*pollConn // by session token
}

const (
	sweepEvery    = time.Second
	keepEnded     = 30 * time.Second // how long a session that has ended can still learn so
	awaitSend     = 2 * time.Second  // for a send that was overtaken by the next
	headRoom      = 1024             // of a send's body, beyond its messages
	pollBatchSize = 1 << 20          // bytes of messages in one answer, about
)

// A pollConn is the sequence of requests that carries a session. It is replaced
// at each reconnection.
type pollConn struct {
	polling *polling
	session *engine.Session
	wake    chan struct{}

	mu      sync.Mutex
	release chan struct{} // closed to end the open poll; nil: none is open
	since   time.Time     // when no poll is open: since when
	ended   bool          // the session is over

	sending  sync.Mutex    // held while a send is processed
	nextSend int64         // guarded by sending
	sent     chan struct{} // guarded by sending; closed when nextSend moves on
}

func newPolling(cfg Config) *polling {
	p := &polling{cfg: cfg, done: make(chan struct{}), gone: make(chan struct{}), conns: make(map[string]*pollConn)}
	go p.sweep()
	return p
}

func (p *polling) close() {
	close(p.done)
	<-p.gone
}

// sweep gives up sessions whose clients have stopped polling.
func (p *polling) sweep() {
	defer close(p.gone)
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-p.done:
			return
		case <-ticker.C:
		}
		p.mu.Lock()
		conns := make([]*pollConn, 0, len(p.conns))
		for _, c := range p.conns {
			conns = append(conns, c)
		}
		p.mu.Unlock()
		for _, c := range conns {
			if c.expired() {
				p.remove(c)
				c.session.Lost(c, engine.ClientUnresponsive)
			}
		}
	}
}

func (c *pollConn) expired() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	limit := c.polling.cfg.PollTimeout
	if c.ended {
		limit = keepEnded
	}
	return c.release == nil && time.Since(c.since) > limit
}

func (p *polling) remove(c *pollConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if token := c.session.Token(); p.conns[token] == c {
		delete(p.conns, token)
	}
}

func (p *polling) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain")
	switch r.Header.Get("m") {
	case "0":
		p.connect(w, r)
	case "1":
		if c := p.find(w, r); c != nil && noBody(w, r) {
			c.poll(w, r)
		}
	case "2":
		if c := p.find(w, r); c != nil {
			c.send(w, r)
		}
	default:
		http.Error(w, "header m must be 0 (connect), 1 (poll) or 2 (send)", http.StatusBadRequest)
	}
}

func (p *polling) connect(w http.ResponseWriter, r *http.Request) {
	if !p.cfg.Accepting() {
		http.Error(w, "the server is starting or closing; try again", http.StatusServiceUnavailable)
		return
	}
	c := &pollConn{polling: p, wake: make(chan struct{}, 1), since: time.Now(), sent: make(chan struct{})}
	response, session := p.cfg.connect(r, engine.HTTPPolling, c)
	if session != nil {
		c.session = session
		p.mu.Lock()
		p.conns[session.Token()] = c
		p.mu.Unlock()
	}
	w.Header().Set("Content-Type", "application/octet-stream")
	_, _ = w.Write(response)
}

// noBody drops the body of a request that should have none, and then lets the
// request take its time.
func noBody(w http.ResponseWriter, r *http.Request) bool {
	if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, headRoom)); err != nil {
		http.Error(w, "unexpected body", http.StatusBadRequest)
		return false
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return true
}

// find returns the connection that a poll or send belongs to, or tells the
// client to reconnect, which then learns what became of its session.
func (p *polling) find(w http.ResponseWriter, r *http.Request) *pollConn {
	p.mu.Lock()
	c := p.conns[r.Header.Get("c")]
	p.mu.Unlock()
	if c == nil {
		askToReconnect(w)
	}
	return c
}

func askToReconnect(w http.ResponseWriter) { w.Header().Set("diffusion-connection", "reconnect") }

// Wake implements [engine.Conn].
func (c *pollConn) Wake() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// Finish implements [engine.Conn]: the open poll, or the next, learns of the end.
func (c *pollConn) Finish() { c.Wake() }

// Close implements [engine.Conn].
func (c *pollConn) Close() {
	if c.session != nil {
		go c.polling.remove(c) // the session may be locked
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.close()
}

func (c *pollConn) close() {
	if c.release != nil {
		close(c.release)
		c.release, c.since = nil, time.Now()
	}
}

// poll answers with what the session has, or holds the request until it has
// something, the hold time is over, or a newer poll takes its place.
func (c *pollConn) poll(w http.ResponseWriter, r *http.Request) {
	release := make(chan struct{})
	c.mu.Lock()
	c.close()
	c.release = release
	c.mu.Unlock()

	hold := time.NewTimer(c.polling.cfg.PollHold)
	defer hold.Stop()
	for {
		messages, end, current := c.take(release)
		if !current {
			return // an empty answer
		}
		if len(messages) > 0 || end {
			c.answer(w, messages)
			return
		}
		select {
		case <-c.wake:
		case <-release:
			return
		case <-hold.C:
			c.done(release)
			return
		case <-r.Context().Done():
			if c.done(release) {
				c.session.Lost(c, engine.ConnectionLost)
				c.polling.remove(c)
			}
			return
		}
	}
}

// take takes messages for the poll that release belongs to, if it is still the
// open one, and ends it if there are any.
func (c *pollConn) take(release chan struct{}) (messages []*outbox.Message, end, current bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.release != release {
		return nil, false, false
	}
	messages, end = c.session.Take(c, nil, pollBatchSize)
	if len(messages) > 0 || end {
		c.ended = c.ended || end
		c.close()
	}
	return messages, end, true
}

// done ends a poll and reports whether it was the open one.
func (c *pollConn) done(release chan struct{}) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.release != release {
		return false
	}
	c.close()
	return true
}

func (c *pollConn) answer(w http.ResponseWriter, messages []*outbox.Message) {
	size := 0
	for _, m := range messages {
		size += 4 + len(m.Bytes())
	}
	batch := make([]byte, 0, size)
	for _, m := range messages {
		batch = wire.AppendBatchEntry(batch, m.Bytes())
	}
	text := wire.EncodeBatch(batch)
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	control := http.NewResponseController(w)
	_ = control.SetWriteDeadline(time.Now().Add(c.polling.cfg.PollTimeout)) // as in expired
	if _, err := io.WriteString(w, text); err == nil {
		err = control.Flush()
		if err == nil || errors.Is(err, http.ErrNotSupported) {
			return
		}
	}
	c.polling.remove(c)
	c.session.Lost(c, engine.IOException)
}

// send takes a batch of messages, each exactly once and in the order of header s.
func (c *pollConn) send(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.Header.Get("s"), 10, 64)
	if err != nil || number < 0 {
		http.Error(w, "header s must be the number of the send", http.StatusBadRequest)
		return
	}
	batch, err := c.body(w, r)
	if err != nil {
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			c.session.Close(engine.MessageTooLarge)
			http.Error(w, "batch larger than max-message-size", http.StatusRequestEntityTooLarge)
		case errors.Is(err, wire.ErrMalformed):
			c.session.Violation(err)
			http.Error(w, err.Error(), http.StatusBadRequest)
		default: // the connection broke; the client sends again
			http.Error(w, "the body did not arrive", http.StatusBadRequest)
		}
		return
	}
	if !c.turn(r, number) {
		if r.Context().Err() == nil {
			c.session.Close(engine.LostMessages)
		}
		return
	}
	defer c.sending.Unlock()
	if number < c.nextSend {
		return // done before; the client did not see the answer
	}
	c.nextSend++
	close(c.sent)
	c.sent = make(chan struct{})
	for message, err := range wire.Batch(batch) {
		switch {
		case err != nil:
			c.session.Violation(err)
		case len(message) > c.polling.cfg.MaxMessageSize:
			c.session.Close(engine.MessageTooLarge)
			return
		default:
			err = c.session.Receive(c, message)
		}
		if err != nil {
			return
		}
	}
}

// turn waits for the sends before number and returns true holding sending, or
// false when they do not come in time or the client has gone.
func (c *pollConn) turn(r *http.Request, number int64) bool {
	late := time.NewTimer(awaitSend)
	defer late.Stop()
	for {
		c.sending.Lock()
		if number <= c.nextSend {
			return true
		}
		sent := c.sent
		c.sending.Unlock()
		select {
		case <-sent:
		case <-late.C:
			return false
		case <-r.Context().Done():
			return false
		}
	}
}

// body reads and decodes the batch of a send.
func (c *pollConn) body(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limit := int64(c.polling.cfg.MaxMessageSize)
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit+limit/3+headRoom))
	if err != nil {
		return nil, err
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return wire.DecodeBatch(text)
}
