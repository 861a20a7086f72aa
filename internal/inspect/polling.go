package inspect

import (
	"bytes"
	"io"
	"net/http"
	"time"

	"advect.dev/internal/wire"
)

// polling passes one request of a polling client on.
func (i *Inspector) polling(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("m") == "0" {
		i.pollConnect(w, r)
		return
	}
	token := r.Header.Get("c")
	c := i.pollConn(token)
	if c == nil { // the server knows what to say of it
		i.log.print(event{Transport: overPolling, Direction: "C>S", Kind: "poll", Note: "unknown token " + mask(token)})
		i.pass.ServeHTTP(w, r)
		return
	}
	if i.faults.of(overPolling) == "reconnect" {
		i.faulted(c, "reconnect")
		allowAll(w.Header())
		w.Header().Set("diffusion-connection", "reconnect")
		i.closed(c)
		return
	}
	i.pollMessages(c, w, r)
}

func allowAll(h http.Header) {
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Expose-Headers", "diffusion-connection")
}

// pollConn returns the newest connection of the session that a token belongs to.
func (i *Inspector) pollConn(token string) *conn {
	s := i.sessions.get(token)
	if s == nil {
		return nil
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	var newest *conn
	for c := range i.conns {
		c.mu.Lock()
		if c.transport == overPolling && c.session == s && (newest == nil || c.id > newest.id) {
			newest = c
		}
		c.mu.Unlock()
	}
	return newest
}

func (i *Inspector) pollConnect(w http.ResponseWriter, r *http.Request) {
	c := i.open(overPolling)
	q := i.handshake(c, r)
	fault := i.faults.of(overPolling)
	if fault != "" && fault != "reconnect" {
		defer i.closed(c)
		i.faulted(c, fault)
		i.fakePollServer(c, q, fault, w, r)
		return
	}
	body, ok := i.exchange(c, w, r, nil)
	if !ok {
		i.closed(c)
		return
	}
	if i.responded(c, q, body) == nil {
		i.closed(c)
	} else {
		i.retire(c)
	}
	_, _ = w.Write(body)
}

// retire forgets the connections that a session had before c.
func (i *Inspector) retire(c *conn) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for old := range i.conns {
		old.mu.Lock()
		if old != c && old.transport == overPolling && old.session == c.session {
			delete(i.conns, old)
		}
		old.mu.Unlock()
	}
}

func (i *Inspector) fakePollServer(c *conn, q wire.ConnectRequest, fault string, w http.ResponseWriter, r *http.Request) {
	allowAll(w.Header())
	if n, ok := status(fault); ok {
		http.Error(w, statusText(n)+" (advect inspect)", n)
		return
	}
	if answer, ok := fakeResponse(fault); ok {
		_, _ = w.Write(answer)
		i.responded(c, q, answer)
		return
	}
	if fault == "silent" {
		cut := make(chan struct{})
		defer c.onCut(func(string) { close(cut) })()
		select {
		case <-r.Context().Done():
		case <-cut:
		}
	}
	refused(w)
}

// pollMessages passes a poll or a send on and prints the messages in it.
func (i *Inspector) pollMessages(c *conn, w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	s, isCut := c.session, c.isCut
	c.mu.Unlock()
	if isCut {
		refused(w)
		return
	}
	var sent []byte
	if r.Header.Get("m") == "2" {
		var err error
		if sent, err = io.ReadAll(r.Body); err != nil {
			refused(w)
			return
		}
		i.batch(c, s, up, sent)
		if d := i.faults.delay(true); d > 0 {
			time.Sleep(d)
		}
	}
	body, ok := i.exchange(c, w, r, sent)
	if !ok {
		return
	}
	i.batch(c, s, down, body)
	_, _ = w.Write(body)
}

func (i *Inspector) batch(c *conn, s *session, direction int, text []byte) {
	batch, err := wire.DecodeBatch(bytes.Clone(text))
	if err == nil {
		for message, broken := range wire.Batch(batch) {
			if err = broken; err != nil {
				break
			}
			i.message(c, s, direction, message)
		}
	}
	if err != nil {
		i.log.print(event{Conn: c.id, Transport: c.transport, Kind: "violation", Note: err.Error(), frame: text})
	}
}

// exchange sends a request to the server and returns the body of its answer,
// whose status and headers it has written. It returns false when there is
// nothing more to write: the server failed, or the connection was cut.
func (i *Inspector) exchange(c *conn, w http.ResponseWriter, r *http.Request, body []byte) ([]byte, bool) {
	ctx := r.Context()
	out, err := http.NewRequestWithContext(ctx, r.Method, i.target.JoinPath(r.URL.Path).String(), bytes.NewReader(body))
	if err != nil {
		http.Error(w, "advect inspect: "+err.Error(), http.StatusBadGateway)
		return nil, false
	}
	out.URL.RawQuery = r.URL.RawQuery
	out.Header = r.Header.Clone()
	cut := make(chan struct{})
	defer c.onCut(func(string) { close(cut) })()
	type result struct {
		answer *http.Response
		body   []byte
		err    error
	}
	got := make(chan result, 1)
	go func() {
		answer, err := i.forward.RoundTrip(out)
		if err != nil {
			got <- result{err: err}
			return
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		got <- result{answer, body, err}
	}()
	var res result
	select {
	case <-cut:
		refused(w) // the server sees the request aborted, too
		return nil, false
	case res = <-got:
	}
	if res.err != nil {
		i.log.print(event{Conn: c.id, Transport: c.transport, Kind: "unreachable", Note: res.err.Error()})
		refused(w)
		return nil, false
	}
	if d := i.faults.delay(false); d > 0 {
		time.Sleep(d)
	}
	c.mu.Lock()
	isCut := c.isCut
	c.mu.Unlock()
	if isCut {
		refused(w)
		return nil, false
	}
	for name, values := range res.answer.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(res.answer.StatusCode)
	if res.answer.StatusCode != http.StatusOK {
		i.log.print(event{Conn: c.id, Transport: c.transport, Direction: "S>C", Kind: "http", Note: res.answer.Status})
	}
	return res.body, true
}
