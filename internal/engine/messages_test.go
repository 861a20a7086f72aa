package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A client is a session and what it has received and not yet looked at.
type client struct {
	*Session
	t    testing.TB
	conn *fakeConn
	got  []wire.Message
}

func newClient(t testing.TB, e *Engine, principal string) *client {
	t.Helper()
	s, conn := connect(t, e, principal)
	return &client{Session: s, t: t, conn: conn}
}

func (c *client) send(frames ...[]byte) {
	c.t.Helper()
	for _, frame := range frames {
		if err := c.Receive(c.conn, frame); err != nil {
			c.t.Fatalf("receive %x: %v", frame, err)
		}
	}
}

// take gets what is queued.
func (c *client) take() {
	messages, _ := c.Take(c.conn, nil, 1<<20)
	for _, m := range messages {
		p, err := wire.ParseMessage(m.Bytes())
		if err != nil {
			c.t.Fatal(err)
		}
		c.got = append(c.got, p)
	}
}

// await waits for the first message that is wanted, and leaves the others.
func (c *client) await(wanted func(m *wire.Message) bool) wire.Message {
	c.t.Helper()
	late := time.After(time.Minute)
	for {
		woken := c.conn.wake()
		c.take()
		for i := range c.got {
			if m := c.got[i]; wanted(&m) {
				c.got = slices.Delete(c.got, i, i+1)
				return m
			}
		}
		select {
		case <-woken:
		case <-late:
			c.t.Fatalf("the message that is waited for is not among %+v", c.got)
		}
	}
}

// answer waits for the answer to a request of the client.
func (c *client) answer(conversation int64) wire.Message {
	c.t.Helper()
	return c.await(func(m *wire.Message) bool {
		return (m.Type == wire.TypeResponse || m.Type == wire.TypeError) && m.Conversation == conversation
	})
}

// succeeds sends a request that is answered by a response.
func (c *client) succeeds(conversation int64, frame []byte) wire.Message {
	c.t.Helper()
	c.send(frame)
	m := c.answer(conversation)
	if m.Type != wire.TypeResponse {
		c.t.Fatalf("conversation %d: %v", conversation, m.Error)
	}
	return m
}

// fails waits for an error.
func (c *client) fails(conversation int64, code wire.ErrorCode) {
	c.t.Helper()
	if m := c.answer(conversation); m.Type != wire.TypeError || m.Error.Code != code {
		c.t.Errorf("conversation %d: %+v, want code %d", conversation, m, code)
	}
}

// none checks that nothing has come.
func (c *client) none(what string) {
	c.t.Helper()
	if c.take(); len(c.got) > 0 {
		c.t.Errorf("%s: got %+v", what, c.got)
	}
}

// asked waits for a request of the server.
func asked[Req, Res any](c *client, svc *service.Service[Req, Res]) (int64, Req) {
	c.t.Helper()
	m := c.await(func(m *wire.Message) bool { return m.Type == wire.TypeRequest && m.Service == svc.ID })
	r, err := svc.ReadRequest(m.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	return m.Conversation, r
}

func (c *client) respond(conversation int64, body ...byte) {
	c.t.Helper()
	c.send(append(wire.AppendResponse(nil, conversation), body...))
}

func (c *client) reject(conversation int64, code wire.ErrorCode, text string) {
	c.t.Helper()
	c.send(wire.AppendError(nil, conversation, wire.ServiceError{Code: code, Description: text}))
}

// reconnect gives the client another connection, after the loss of all that the
// server sent if received is beyond it.
func (c *client) reconnect(received, oldest int64) wire.ResponseCode {
	c.t.Helper()
	code, conn := reconnect(c.t, c.engine, c.Session, received, oldest)
	c.conn = conn
	return code
}

func handles(path string, conversation int64, keys ...string) service.RequestHandler {
	return service.RequestHandler{Handler: conversation, RequestHandlerParameters: service.RequestHandlerParameters{
		PathDeregistration: service.PathDeregistration{Definition: service.MessagingToHandler.ID, Group: service.DefaultGroup, Path: path}, Keys: keys}}
}

// handle registers a request handler.
func (c *client) handle(path string, conversation int64, keys ...string) {
	c.t.Helper()
	c.succeeds(1000+conversation, service.RequestHandlerRegistration.AppendRequest(nil, 1000+conversation, handles(path, conversation, keys...)))
}

var hello = service.Payload{DataType: "string", Data: []byte("\x65hello")}

func toPath(conversation int64, path string) []byte {
	return service.MessagingSend.AppendRequest(nil, conversation, service.MessageRequest{Path: path, Payload: hello})
}

func toSession(conversation int64, target wire.SessionID, path string) []byte {
	return service.MessagingToSession.AppendRequest(nil, conversation, service.SessionMessage{
		Session: target, MessageRequest: service.MessageRequest{Path: path, Payload: hello}})
}

func toFilter(conversation, responses int64, filter string) []byte {
	return service.MessagingToFilter.AppendRequest(nil, conversation, service.FilterMessage{
		Responses: responses, Filter: filter, MessageRequest: service.MessageRequest{Path: "m", Payload: hello}})
}

func TestSendToPath(t *testing.T) {
	e := newEngine(t, nil)
	sender, handler, control := newClient(t, e, "client"), newClient(t, e, "control"), newClient(t, e, "control")
	handler.handle("a", 1)
	handler.handle("/a//b/", 2, "$Principal", "*U", "nothing")
	control.handle("a/b/c", 3, "*F")
	for i, c := range []struct {
		path    string
		to      *client
		handler int64
	}{
		{"a", handler, 1}, {"a/x", handler, 1}, {"a/bc", handler, 1}, {"a/b", handler, 2}, {"//a///b/x/", handler, 2},
		{"a/b/c", control, 3}, {"a/b/c/d/e", control, 3}, {"a/b/cd", handler, 2},
		{"a/b/c/" + strings.Repeat("d/", 1<<15), control, 3},
	} {
		conversation := int64(100 + i)
		sender.send(toPath(conversation, c.path))
		cid, m := asked(c.to, service.MessagingToHandler)
		if m.Handler != c.handler || m.Path != c.path || m.Sender != sender.ID() || m.Payload.DataType != hello.DataType || !bytes.Equal(m.Payload.Data, hello.Data) {
			t.Errorf("%.20q: delivered %+v", c.path, m)
		}
		want := map[int64]map[string]string{2: {"$Principal": "client"}, 3: sender.allProperties()}[c.handler]
		if !maps.Equal(m.Properties, want) {
			t.Errorf("%.20q: properties %v, want %v", c.path, m.Properties, want)
		}
		body := []byte{1, 'z', 0, 0xff, byte(i)} // no payload, and what is no type
		c.to.respond(cid, body...)
		if got := sender.answer(conversation); got.Type != wire.TypeResponse || !bytes.Equal(got.Body, body) {
			t.Errorf("%.20q: answered %+v, want %x", c.path, got, body)
		}
	}
	for _, path := range []string{"", "b", "ab", "/", "ab/a/b"} {
		sender.send(toPath(7, path))
		sender.fails(7, wire.CodeUnhandledMessage)
	}
	handler.handle("", 4)
	sender.send(toPath(8, "b"), toPath(0, "b"))
	cid, _ := asked(handler, service.MessagingToHandler)
	handler.reject(cid, wire.CodeRejectedRequest, "not today")
	if m := sender.answer(8); m.Error != (wire.ServiceError{Code: wire.CodeRejectedRequest, Description: "not today"}) {
		t.Errorf("rejected with %+v", m)
	}
	cid, _ = asked(handler, service.MessagingToHandler)
	handler.respond(cid)
	sender.none("after a one-way request")
}

// TestSenderProperties: they are those of the moment of forwarding.
func TestSenderProperties(t *testing.T) {
	e := newEngine(t, nil)
	sender, handler := newClient(t, e, "client"), newClient(t, e, "control")
	handler.handle("a", 1, "$Principal", "*U", "$Roles")
	sender.changeIdentity(func(before *identity) *identity {
		id := *before
		id.principal, id.properties = "somebody", map[string]string{"a": "1", "b": "2"}
		return &id
	})
	sender.send(toPath(1, "a"))
	want := map[string]string{"$Principal": "somebody", "a": "1", "b": "2", "$Roles": `"CLIENT"`}
	if _, m := asked(handler, service.MessagingToHandler); !maps.Equal(m.Properties, want) {
		t.Errorf("properties %v, want %v", m.Properties, want)
	}
}

func TestHandlersTakeTurns(t *testing.T) {
	e := newEngine(t, nil)
	sender, one, two := newClient(t, e, "client"), newClient(t, e, "control"), newClient(t, e, "control")
	one.handle("a", 1)
	two.handle("a", 1)
	for i := range int64(10) {
		sender.send(toPath(1+i, "a"))
	}
	one.take()
	two.take()
	if len(one.got) != 5 || len(two.got) != 5 {
		t.Errorf("of 10 requests %d and %d", len(one.got), len(two.got))
	}
	one.Close(ClosedByController)
	e.finished.Wait()
	for i := range int64(4) {
		sender.send(toPath(20+i, "a"))
	}
	if two.take(); len(two.got) != 9 {
		t.Errorf("the handler that is left got %d of 4", len(two.got)-5)
	}
	two.Close(ClosedByController)
	e.finished.Wait()
	sender.send(toPath(30, "a"))
	sender.fails(30, wire.CodeUnhandledMessage)
}

func TestSendToSession(t *testing.T) {
	e := newEngine(t, nil)
	sender, target := newClient(t, e, "control"), newClient(t, e, "")
	sender.send(toSession(1, target.ID(), "/p//q"), toSession(2, target.ID(), "x"))
	first, m := asked(target, service.MessagingSend)
	if m.Path != "/p//q" || m.Payload.DataType != "string" || !bytes.Equal(m.Payload.Data, hello.Data) {
		t.Errorf("delivered %+v", m)
	}
	second, _ := asked(target, service.MessagingSend)
	target.respond(second, 2) // in another order
	target.reject(second, wire.CodeCallbackException, "once more")
	target.reject(first, wire.CodeUnhandledMessage, "no stream")
	target.reject(first, wire.CodeCallbackException, "no stream") // as the JavaScript client does
	target.respond(first)
	target.respond(999)
	if m := sender.answer(2); !bytes.Equal(m.Body, []byte{2}) {
		t.Errorf("answer %+v", m)
	}
	sender.fails(1, wire.CodeUnhandledMessage)
	sender.none("after both answers")

	sender.send(toSession(3, wire.SessionID{Server: 1, Value: 2}, "x"))
	sender.fails(3, wire.CodeNoSuchSession)
	sender.send(toSession(4, target.ID(), "x"))
	asked(target, service.MessagingSend)
	target.send([]byte{byte(wire.TypeCloseRequest)})
	sender.fails(4, wire.CodeNoSuchSession)
	e.finished.Wait()
	sender.send(toSession(5, target.ID(), "x"))
	sender.fails(5, wire.CodeNoSuchSession)
	sender.send(wire.AppendRequest(nil, service.MessagingToSession.ID, 6))
	sender.fails(6, wire.CodeInvalidData)

	sender.handle("self", 1)
	sender.send(toSession(7, sender.ID(), "x"), toPath(8, "self"))
	cid, _ := asked(sender, service.MessagingSend)
	sender.respond(cid, 7)
	cid, _ = asked(sender, service.MessagingToHandler)
	sender.respond(cid, 8)
	if a, b := sender.answer(7), sender.answer(8); a.Body[0] != 7 || b.Body[0] != 8 {
		t.Errorf("to itself: %+v, %+v", a, b)
	}
	if len(sender.pending.questions) > 0 || len(target.pending.questions) > 0 {
		t.Error("questions are left")
	}
}

// TestRequestTimeout: late answers are ignored, and each request has its own time.
func TestRequestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, func(c *Config) { c.RequestTimeout = 3 * time.Second })
		sender, target := newClient(t, e, "control"), newClient(t, e, "")
		sender.send(toSession(1, target.ID(), "x"))
		first, _ := asked(target, service.MessagingSend)
		target.respond(first)
		sender.answer(1)
		time.Sleep(2 * time.Second)
		sender.send(toSession(2, target.ID(), "x"))
		second, _ := asked(target, service.MessagingSend)
		time.Sleep(2 * time.Second) // the time of the first is over
		sender.send(toSession(3, target.ID(), "x"))
		third, _ := asked(target, service.MessagingSend)
		time.Sleep(time.Second - 1)
		sender.none("before the time is over")
		time.Sleep(2 * time.Nanosecond)
		synctest.Wait()
		sender.fails(2, wire.CodeRequestTimeout)
		target.respond(second)
		sender.none("after a late answer")
		target.respond(third)
		sender.answer(3)
		time.Sleep(time.Minute)
		synctest.Wait()
		if target.pending.ticking {
			t.Error("the timer goes on")
		}
		sender.send(toSession(4, target.ID(), "x"))
		time.Sleep(4 * time.Second)
		synctest.Wait()
		sender.fails(4, wire.CodeRequestTimeout)
	})
}

// TestRequestsAndOutages: requests outlive a connection, of either side, and end
// when messages are lost.
func TestRequestsAndOutages(t *testing.T) {
	e := newEngine(t, nil)
	sender, target := newClient(t, e, "control"), newClient(t, e, "")
	sender.send(toSession(1, target.ID(), "x"))
	first, _ := asked(target, service.MessagingSend)
	target.Lost(target.conn, ConnectionLost)
	sender.send(toSession(2, target.ID(), "x"))
	sender.Lost(sender.conn, ConnectionLost)
	if code := target.reconnect(1, 1); code != wire.Reconnected {
		t.Fatal(code)
	}
	second, _ := asked(target, service.MessagingSend)
	target.respond(second, 2) // a request that was queued: no sign of anything sent again
	target.respond(first, 1)
	if code := sender.reconnect(0, 3); code != wire.Reconnected {
		t.Fatal(code)
	}
	if a, b := sender.answer(1), sender.answer(2); a.Body[0] != 1 || b.Body[0] != 2 {
		t.Errorf("%+v, %+v", a, b)
	}
	sender.send(toSession(3, target.ID(), "x"), toSession(4, target.ID(), "x"))
	third, _ := asked(target, service.MessagingSend)
	if code := target.reconnect(3, 3); code != wire.Reconnected {
		t.Fatalf("after answers to what was queued: %v", code)
	}
	asked(target, service.MessagingSend) // again

	if code := target.reconnect(99, 1); code != wire.ReconnectedWithLoss {
		t.Fatal(code)
	}
	sender.fails(3, wire.CodeNoSuchSession)
	sender.fails(4, wire.CodeNoSuchSession)
	target.respond(third)
	sender.none("after an answer of before the loss")

	sender.send(toSession(5, target.ID(), "x"))
	fifth, _ := asked(target, service.MessagingSend)
	if code := sender.reconnect(99, 1); code != wire.ReconnectedWithLoss {
		t.Fatal(code)
	}
	target.respond(fifth)
	sender.none("an answer that the client no longer waits for")
}

func TestSendToFilter(t *testing.T) {
	e := newEngine(t, nil)
	sender := newClient(t, e, "control")
	targets := map[wire.SessionID]*client{sender.ID(): sender}
	for range 4 {
		c := newClient(t, e, "client")
		targets[c.ID()] = c
	}
	count := func(conversation int64) service.FlaggedCount {
		t.Helper()
		res, err := service.MessagingToFilter.ReadResponse(sender.answer(conversation).Body)
		if err != nil {
			t.Fatal(err)
		}
		return res
	}
	sender.send(toFilter(1, 50, "$Principal is"))
	if res := count(1); len(res.Errors) != 1 || res.Errors[0].Message == "" || res.Errors[0].Line != 1 || res.Errors[0].Column < 13 {
		t.Errorf("a filter with a mistake: %+v", res)
	}
	sender.send(toFilter(2, 50, "$Principal is 'nobody'"))
	if res := count(2); res.Count != 0 || len(res.Errors) != 0 {
		t.Errorf("nobody: %+v", res)
	}

	sender.send(toFilter(3, 51, "all"))
	if res := count(3); res.Count != 5 {
		t.Fatalf("all: %+v", res)
	}
	want, i := map[wire.SessionID]wire.ErrorCode{}, 0
	for id, c := range targets {
		cid, m := asked(c, service.MessagingSend)
		if m.Path != "m" || !bytes.Equal(m.Payload.Data, hello.Data) {
			t.Errorf("delivered %+v", m)
		}
		if c == sender {
			c.send(service.MessagingSend.AppendResponse(nil, cid, hello))
			want[id] = 0
			continue
		}
		switch i {
		case 0:
			c.send(service.MessagingSend.AppendResponse(nil, cid, hello), service.MessagingSend.AppendResponse(nil, cid, hello))
			want[id] = 0
		case 1:
			c.reject(cid, wire.CodeIncompatibleDatatype, "no")
			want[id] = wire.CodeIncompatibleDatatype
		case 2:
			c.respond(cid, 9)
			want[id] = wire.CodeInvalidData
		case 3:
			c.Close(ClosedByController)
			want[id] = wire.CodeNoSuchSession
		}
		i++
	}
	for range targets {
		_, r := asked(sender, service.FilterResponse)
		code, counted := want[r.Session]
		delete(want, r.Session)
		if !counted || r.Responses != 51 || (r.Err != nil) != (code != 0) || r.Err != nil && r.Err.Code != code {
			t.Errorf("report %+v, want code %d", r, code)
		}
		if r.Err == nil && (r.Payload.DataType != "string" || !bytes.Equal(r.Payload.Data, hello.Data)) {
			t.Errorf("payload %+v", r.Payload)
		}
	}
	e.finished.Wait()
	sender.none("after the last report")
}

// TestFilterTimeout: those that never answer are reported too.
func TestFilterTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil)
		sender := newClient(t, e, "control")
		for range 3 {
			newClient(t, e, "client")
		}
		sender.send(toFilter(1, 50, "$Principal is 'client'"))
		sender.answer(1)
		sender.none("before the limit")
		time.Sleep(defaultRequestTimeout + 1)
		synctest.Wait()
		for range 3 {
			if _, r := asked(sender, service.FilterResponse); r.Err == nil || r.Err.Code != wire.CodeRequestTimeout {
				t.Errorf("report %+v", r)
			}
		}
	})
}

func TestRequestHandlerRegistration(t *testing.T) {
	e := newEngine(t, nil)
	c, sender := newClient(t, e, "control"), newClient(t, e, "client")
	register := func(r service.RequestHandler) []byte {
		return service.RequestHandlerRegistration.AppendRequest(nil, 1, r)
	}
	c.handle("a/b", 1)
	other := handles("x", 1)
	other.Definition = 50
	for name, r := range map[string]struct {
		service.RequestHandler
		code wire.ErrorCode
	}{
		"the same path":      {handles("/a//b", 2), wire.CodeHandlerConflict},
		"another definition": {other, wire.CodeUnsupported},
		"a long path":        {handles(strings.Repeat("x/", 600), 3), wire.CodeInvalidData},
		"many keys":          {handles("k", 4, make([]string, 257)...), wire.CodeInvalidData},
		"long keys":          {handles("k", 5, strings.Repeat("k", 1<<15)), wire.CodeInvalidData},
	} {
		c.send(register(r.RequestHandler))
		if m := c.answer(1); m.Error.Code != r.code {
			t.Errorf("%s: %+v, want code %d", name, m, r.code)
		}
	}
	deregister := func(path string) {
		c.succeeds(2, service.RequestHandlerDeregistration.AppendRequest(nil, 2, handles(path, 0).RequestHandlerParameters))
	}
	deregister("a/b")
	deregister("a/b")
	deregister("never")
	sender.send(toPath(3, "a/b"))
	sender.fails(3, wire.CodeUnhandledMessage)

	c.handle("a/b", 6)
	if code := c.reconnect(99, 1); code != wire.ReconnectedWithLoss {
		t.Fatal(code)
	}
	sender.send(toPath(4, "a/b"))
	sender.fails(4, wire.CodeUnhandledMessage)

	for i := range maxRequestHandlers {
		c.handle(fmt.Sprint(i), int64(i))
	}
	c.send(register(handles("more", 1)))
	c.fails(1, wire.CodeInvalidData)
	c.Close(ClosedByController)
	e.finished.Wait()
	if len(e.requestHandlers.bySubject) != 0 {
		t.Errorf("%d handlers are left", len(e.requestHandlers.bySubject))
	}
}

// TestBusyRecipient: what cannot be passed on is refused, and does not end the
// session of whoever does not answer.
func TestBusyRecipient(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.Queue.Messages, c.Queue.Bytes = 2*maxPending, 64<<20 })
	sender, silent := newClient(t, e, "control"), newClient(t, e, "control")
	silent.handle("a", 1)
	refused := 0
	for i := range int64(3 * maxPending) {
		sender.send(toPath(1+i, "a"))
		silent.take()
		sender.take()
		for _, m := range sender.got {
			if m.Error.Code != wire.CodeCommunicationFailure {
				t.Fatalf("%+v", m)
			}
			refused++
		}
		silent.got, sender.got = nil, nil
	}
	if refused != 2*maxPending || silent.Over() {
		t.Errorf("%d of %d refused; the recipient has ended: %v", refused, 3*maxPending, silent.Over())
	}
	// Another handler takes what the busy one does not.
	other := newClient(t, e, "control")
	other.handle("a", 1)
	for i := range int64(10) {
		sender.send(toPath(1+i, "a"))
	}
	if other.take(); len(other.got) != 10 {
		t.Errorf("the other handler got %d of 10", len(other.got))
	}

	slow := newClient(t, e, "")
	big := service.MessagingToSession.AppendRequest(nil, 1, service.SessionMessage{
		Session: slow.ID(), MessageRequest: service.MessageRequest{Payload: service.Payload{Data: make([]byte, 20<<20)}}})
	sender.send(big, big)
	sender.none("within the limit of the queue")
	sender.send(big)
	sender.fails(1, wire.CodeCommunicationFailure)
	if slow.Over() {
		t.Error("large requests have ended the session of their recipient")
	}
	sender.send(toFilter(2, 3, "$Principal is ''"))
	sender.answer(2)
	if slow.Over() {
		t.Error("ended")
	}
}

// A correspondent sends requests and answers those that it gets.
type correspondent struct {
	*client
	waiting           map[int64]bool // conversations not answered yet
	expected, reports int            // of requests to filters
}

// exchange sends a request of each kind, if it is given a target, and looks at
// what has come.
func (c *correspondent) exchange(conversation int64, target *client) error {
	if target != nil {
		for i, frame := range [][]byte{
			toPath(conversation, "a/b"), toSession(conversation+1, target.ID(), "x"), toFilter(conversation+2, 5, "all"),
		} {
			if err := c.Receive(c.conn, frame); err != nil {
				return err
			}
			c.waiting[conversation+int64(i)] = true
		}
	}
	c.take()
	defer func() { c.got = nil }()
	for _, m := range c.got {
		switch {
		case m.Type == wire.TypeRequest && m.Conversation == 0:
			c.reports++
		case m.Type == wire.TypeRequest:
			if err := c.Receive(c.conn, service.MessagingSend.AppendResponse(nil, m.Conversation, hello)); err != nil {
				return err
			}
		case !c.waiting[m.Conversation]:
			return fmt.Errorf("a second answer: %+v", m)
		default:
			delete(c.waiting, m.Conversation)
			if m.Conversation%4 == 2 {
				res, err := service.MessagingToFilter.ReadResponse(m.Body)
				if err != nil {
					return err
				}
				c.expected += int(res.Count)
			}
		}
	}
	return nil
}

// TestMessagesConcurrently has sessions send to each other, themselves and all,
// while others come and vanish.
func TestMessagesConcurrently(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.Queue.Messages = 1 << 20 })
	const n, rounds = 6, 100
	clients := make([]*client, n)
	for i := range clients {
		clients[i] = newClient(t, e, "control")
		clients[i].handle("a", 1)
	}
	var sending, serving sync.WaitGroup
	over := make(chan struct{})
	sending.Add(n)
	for i, c := range clients {
		serving.Go(func() {
			c := &correspondent{client: c, waiting: map[int64]bool{}}
			for round := 0; ; round++ {
				woken := c.conn.wake()
				var target *client
				if round < rounds {
					target = clients[(i+round)%n]
				}
				if err := c.exchange(int64(4*round+4), target); err != nil {
					t.Error(err)
					return
				}
				if target != nil {
					continue
				}
				if len(c.waiting) == 0 && c.reports == c.expected {
					sending.Done()
					c.waiting[0] = true // only once
				}
				select {
				case <-woken:
				case <-over:
					return
				}
			}
		})
	}
	vanishing, cancel := context.WithCancel(context.Background())
	serving.Go(func() {
		for vanishing.Err() == nil {
			s, conn := connect(t, e, "control")
			_ = s.Receive(conn, service.RequestHandlerRegistration.AppendRequest(nil, 1, handles("a", 1)))
			s.Close(ClosedByController)
		}
	})
	all := make(chan struct{})
	go func() { defer close(all); sending.Wait() }()
	select {
	case <-all:
	case <-time.After(time.Minute):
		t.Error("not all answers have come")
	}
	cancel()
	close(over)
	serving.Wait()
}

// BenchmarkSendToPath is a request to a path and its answer, through the server.
func BenchmarkSendToPath(b *testing.B) {
	e := newEngine(b, nil)
	sender, handler := newClient(b, e, "client"), newClient(b, e, "control")
	handler.handle("a/b", 1)
	frame := toPath(1, "a/b/c/d")
	b.ReportAllocs()
	for b.Loop() {
		sender.send(frame)
		handler.take()
		handler.respond(handler.got[0].Conversation, 6, 's', 't', 'r', 'i', 'n', 'g', 1, 0x60)
		sender.take()
		handler.got, sender.got = handler.got[:0], sender.got[:0]
	}
}
