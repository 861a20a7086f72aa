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
	session *engine.Session // set once, by add
	wake    chan struct{}

	mu     sync.Mutex
	closed bool
	newest *poll     // nil before the first
	since  time.Time // when the newest poll has its answer: since when
	ended  bool      // the session is over

	sending  sync.Mutex    // held while a send is processed
	nextSend int64         // guarded by sending
	sent     chan struct{} // guarded by sending; closed when nextSend moves on
}

// A poll is a request for messages by its number, header s. A browser or a proxy
// may ask again when a connection breaks, and what an abandoned connection sent
// may arrive late: all that ask with one number get the same answer.
type poll struct {
	number   int64
	waiting  int               // requests; guarded by the connection's mu
	answered chan struct{}     // closed once messages are settled
	messages []*outbox.Message // the answer
}

func (p *poll) done() bool {
	select {
	case <-p.answered:
		return true
	default:
		return false
	}
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
	return (c.newest == nil || c.newest.done()) && time.Since(c.since) > limit
}

// add gives a connection its session, and makes it the one that the token leads
// to unless another has taken the session over meanwhile.
func (p *polling) add(c *pollConn, session *engine.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = session
	if !c.closed {
		p.conns[session.Token()] = c
	}
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
	if p.cfg.Admit != nil && !p.cfg.Admit(r, address(r)) {
		http.Error(w, "too many connections from this address; try again in a while", http.StatusTooManyRequests)
		return
	}
	c := &pollConn{polling: p, wake: make(chan struct{}, 1), since: time.Now(), sent: make(chan struct{})}
	response, session := p.cfg.connect(ofHTTP(r), engine.HTTPPolling, c)
	if session != nil {
		p.add(c, session)
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
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	if c.newest != nil {
		c.settle(c.newest, nil)
	}
	if c.session != nil {
		go c.polling.remove(c) // the session may be locked
	}
}

// settle gives a poll its answer, if it has none yet. Needs mu.
func (c *pollConn) settle(p *poll, messages []*outbox.Message) {
	if !p.done() {
		p.messages, c.since = messages, time.Now()
		close(p.answered)
	}
}

// poll answers with what the session has, or holds the request until it has
// something, the hold time is over, or a newer poll takes its place.
func (c *pollConn) poll(w http.ResponseWriter, r *http.Request) {
	number, err := strconv.ParseInt(r.Header.Get("s"), 10, 64)
	if err != nil || number < 0 {
		http.Error(w, "header s must be the number of the poll", http.StatusBadRequest)
		return
	}
	p := c.enter(number)
	if p == nil { // of an earlier connection, or answers are missing
		askToReconnect(w)
		return
	}
	if number == 0 {
		c.session.Seen(c)
	}
	hold := time.NewTimer(c.polling.cfg.PollHold)
	defer hold.Stop()
	for !c.take(p) {
		select {
		case <-c.wake:
		case <-p.answered:
		case <-hold.C:
			c.mu.Lock()
			c.settle(p, nil)
			c.mu.Unlock()
		case <-r.Context().Done():
			if c.leave(p) {
				c.session.Lost(c, engine.ConnectionLost)
				c.polling.remove(c)
			}
			return
		}
	}
	if len(p.messages) > 0 {
		c.answer(w, p.messages)
	}
}

// enter returns the poll that a request belongs to: the newest or a newer one.
// Requests that overtake each other are let pass; a number further away comes
// from an earlier connection, and the result is nil.
func (c *pollConn) enter(number int64) *poll {
	c.mu.Lock()
	defer c.mu.Unlock()
	newest := int64(-1)
	if c.newest != nil {
		newest = c.newest.number
	}
	if number < newest-1 || number > newest+2 {
		return nil
	}
	if number >= newest {
		if number > newest {
			if c.newest != nil {
				c.settle(c.newest, nil)
			}
			c.newest = &poll{number: number, answered: make(chan struct{})}
		}
		c.newest.waiting++
		return c.newest
	}
	overtaken := &poll{number: number, answered: make(chan struct{})}
	close(overtaken.answered)
	return overtaken
}

// take gives a poll what the session has, and reports whether it has its answer.
func (c *pollConn) take(p *poll) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p.done() {
		if p != c.newest {
			c.Wake() // what woke p may have been for the newest
		}
		return true
	}
	messages, end := c.session.Take(c, nil, pollBatchSize)
	c.ended = c.ended || end
	if len(messages) > 0 || end {
		c.settle(p, messages)
	}
	return p.done()
}

// leave counts a request out whose client has gone, and reports whether no
// request is left that could bring the answer.
func (c *pollConn) leave(p *poll) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.waiting--
	if p.waiting > 0 || p.done() {
		return false
	}
	c.settle(p, nil)
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
			c.session.Fail(c, engine.MessageTooLarge, err)
			http.Error(w, "batch larger than max-message-size", http.StatusRequestEntityTooLarge)
		case errors.Is(err, wire.ErrMalformed):
			c.session.Fail(c, engine.InvalidInboundMessage, err)
			http.Error(w, err.Error(), http.StatusBadRequest)
		default: // the connection broke; the client sends again
			http.Error(w, "the body did not arrive", http.StatusBadRequest)
		}
		return
	}
	if !c.turn(r, number) {
		if r.Context().Err() == nil {
			c.session.Fail(c, engine.LostMessages, errors.New("a send before number "+r.Header.Get("s")+" is missing"))
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
			c.session.Fail(c, engine.InvalidInboundMessage, err)
		case len(message) > c.polling.cfg.MaxMessageSize:
			c.session.Fail(c, engine.MessageTooLarge, errTooLarge)
			return
		default:
			err = c.session.Receive(c, message)
		}
		if err != nil {
			return
		}
		time.Sleep(c.session.Pause())
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
