package advect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A vectorFlow has the messages of a flow of the sessions' vectors; only those of
// the first answer to a request, since the official client sends several errors.
type vectorFlow []struct {
	Direction, Type string
	Conversation    string `json:"conversation_id"`
	Service         int32
	Body            string `json:"body_hex"`
	Error           *wireError
}

type wireError struct {
	Description string
	Code        int32
}

func readSessionFlows(t *testing.T) map[string]vectorFlow {
	t.Helper()
	var vectors struct {
		Flows []struct {
			Name     string
			Messages vectorFlow
		}
	}
	readVectors(t, "services-sessions.json", &vectors)
	flows := make(map[string]vectorFlow)
	for _, f := range vectors.Flows {
		flows[f.Name] = f.Messages
	}
	return flows
}

// takes checks that the client sends the request of a flow, and answers it with a
// body.
func (p *peer) takes(t *testing.T, flow vectorFlow, response string) {
	t.Helper()
	m := p.receive()
	if got := fmt.Sprintf("%x", m.Body); m.Service != flow[0].Service || got != flow[0].Body {
		t.Errorf("client sent %d %s, want %d %s", m.Service, got, flow[0].Service, flow[0].Body)
	}
	p.send(append(wire.AppendResponse(nil, m.Conversation), unhex(response)...))
}

// asks sends the request of a flow and returns the answer of the client.
func (p *peer) asks(t *testing.T, flow vectorFlow) wire.Message {
	t.Helper()
	p.send(append(wire.AppendRequest(nil, flow[0].Service, 77), unhex(flow[0].Body)...))
	m := p.receive()
	if m.Conversation != 77 {
		t.Errorf("client answered %d %s", m.Conversation, m.Type)
	}
	return m
}

// answers checks the client's answer to the request of a flow.
func (p *peer) answers(t *testing.T, name string, flow vectorFlow) {
	t.Helper()
	m := p.asks(t, flow)
	want := flow[1]
	switch {
	case want.Error != nil:
		if m.Type != wire.TypeError || int32(m.Error.Code) != want.Error.Code {
			t.Errorf("%s: client answered %s %+v, want code %d", name, m.Type, m.Error, want.Error.Code)
		}
		if want.Error.Code == int32(wire.CodeRejectedRequest) && m.Error.Description != want.Error.Description {
			t.Errorf("%s: description %q, want %q", name, m.Error.Description, want.Error.Description)
		}
	case m.Type != wire.TypeResponse || fmt.Sprintf("%x", m.Body) != want.Body:
		t.Errorf("%s: client answered %s %x %+v, want %s", name, m.Type, m.Body, m.Error, want.Body)
	}
}

func TestSendRequestFlows(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		ctx, m, flows := t.Context(), s.Messaging(), readSessionFlows(t)
		const hello = "06737472696e67066568656c6c6f" // the string "hello"
		text := func(path string) func() (any, error) {
			return func() (any, error) {
				return SendRequest[datatype.String](ctx, m, path, datatype.String("hello"))
			}
		}
		typed := func(request datatype.Value) func() (any, error) {
			return func() (any, error) { return SendRequest[datatype.Value](ctx, m, "p", request) }
		}
		for _, c := range []struct {
			flow     string
			do       func() (any, error)
			response string
			want     string
			is       error
		}{
			{"sendRequest path string", text("a/b"), hello, "hello", nil},
			{"sendRequest typed int64", typed(datatype.Int64(123)), "046a736f6e05bf616101ff", `{"a":1}`, nil},
			{"sendRequest typed double", typed(datatype.Double(1.5)), hello, "hello", nil},
			{"sendRequest typed binary", typed(datatype.Binary{1, 2}), hello, "hello", nil},
			{"sendRequest session", func() (any, error) {
				return SendRequestToSession[datatype.String](ctx, m, vectorSession, "a/b", datatype.String("hello"))
			}, hello, "hello", nil},
			{"sendRequest path string", text("a/b"), "05696e7436340101", "", datatype.ErrIncompatible},
			{"sendRequest path string", text("a/b"), "01780101", "", datatype.ErrIncompatible},
			{"sendRequest path string", text("a/b"), "06737472696e6701f6", "", ErrNoValue},
		} {
			var got any
			err := do(t, func() (err error) {
				got, err = c.do()
				return err
			}, func() { p.takes(t, flows[c.flow], c.response) })
			if !errors.Is(err, c.is) || c.is == nil && (err != nil || fmt.Sprint(got) != c.want) {
				t.Errorf("%s %s: %v, %v", c.flow, c.response, got, err)
			}
		}
		if _, err := SendRequest[datatype.String](ctx, m, "p", nil); err == nil {
			t.Error("a request without a value was sent")
		}
		p.nothing()
	})
}

// TestSendRequestErrors: each code of protocol 30 section 6 has its sentinel.
func TestSendRequestErrors(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		for code, want := range map[ErrorCode]error{
			wire.CodeAccessDenied: ErrPermissionDenied, wire.CodeNoSuchSession: ErrNoSuchSession, wire.CodeUnhandledMessage: ErrUnhandled,
			wire.CodeIncompatibleDatatype: ErrIncompatibleDatatype, wire.CodeRejectedRequest: ErrRejected,
			wire.CodeCallbackException: ErrCallback, wire.CodeRequestTimeout: ErrRequestTimeout, wire.CodeInvalidData: ErrInvalidData,
		} {
			err := do(t, func() error {
				_, err := SendRequest[datatype.String](t.Context(), s.Messaging(), "a", datatype.String("x"))
				return err
			}, func() { p.refuse(p.receive().Conversation, code, "text of the server") })
			var refusal *ServiceError
			if !errors.Is(err, want) || !errors.As(err, &refusal) || refusal.Description != "text of the server" {
				t.Errorf("%d: %v", code, err)
			}
		}
	})
}

// hello answers a request of the flows, in each of the ways there are.
func answerHello(mode *atomic.Value) RequestFunc[datatype.String, datatype.String] {
	return func(ctx context.Context, r Request[datatype.String]) (datatype.String, error) {
		switch m := mode.Load().(string); {
		case m == "panic":
			panic("in the handler")
		case m == "exit":
			runtime.Goexit()
			return "", nil
		case m == "error":
			return "", errors.New("broken")
		case m == "pass on":
			return "", fmt.Errorf("broken: %w", ErrNoSuchSession)
		case strings.HasPrefix(m, "reject "):
			return "", fmt.Errorf("handler: %w", Reject("%s", strings.TrimPrefix(m, "reject ")))
		default:
			return datatype.String(m), nil
		}
	}
}

func TestRequestStreamFlows(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		var told journal
		s, p := n.open(WithErrorListener(func(_ *Session, err error) { told.add("%.40s", err) }))
		defer n.closeSession(s, p)
		flows := readSessionFlows(t)
		p.answers(t, "no stream", flows["S>C 85 no stream"])
		var mode atomic.Value
		h, err := AddRequestStream(s.Messaging(), "s/p", answerHello(&mode), WithOnClose(func(err error) { told.add("close %v", err) }))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := AddRequestStream(s.Messaging(), "s/p", answerHello(&mode)); !errors.Is(err, ErrHandlerExists) {
			t.Errorf("a second stream: %v", err)
		}
		if _, err := AddRequestStream(s.Messaging(), "other", answerHello(&mode), WithSenderProperties("$Principal")); err == nil {
			t.Error("a stream asks for properties")
		}
		for _, step := range []struct{ mode, flow string }{
			{"ok", "S>C 85 stream respond"}, {"reject nope", "S>C 85 stream reject"}, {"error", "S>C 85 stream throws"},
			{"pass on", "S>C 85 stream throws"}, {"exit", "S>C 85 stream throws"}, {"panic", "S>C 85 stream throws"},
		} {
			mode.Store(step.mode)
			p.answers(t, step.mode, flows[step.flow])
		}
		told.want(t, "request stream for s/p panicked: in the ")
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		told.want(t, "close <nil>")
		p.answers(t, "closed", flows["S>C 85 no stream"])
		numbers, err := AddRequestStream(s.Messaging(), "s/p", func(context.Context, Request[datatype.Int64]) (datatype.Value, error) {
			return nil, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		p.answers(t, "incompatible", flows["S>C 85 incompatible"])
		for body, code := range map[string]ErrorCode{
			"03732f7005696e7436340101":   wire.CodeCallbackException, // neither a value nor an error
			"03732f7005696e74363402187b": wire.CodeCallbackException,
			"03732f7005696e7436340118":   wire.CodeInvalidData,
			"03732f70017801":             wire.CodeInvalidData, // cut short
		} {
			if m := p.asks(t, vectorFlow{{Service: service.MessagingSend.ID, Body: body}}); m.Error.Code != code {
				t.Errorf("%s: %+v", body, m.Error)
			}
		}
		p.send(append(wire.AppendRequest(nil, service.MessagingSend.ID, 0), unhex("03732f7005696e7436340101")...)) // one-way
		synctest.Wait()
		if err := numbers.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := numbers.Close(t.Context()); err != nil {
			t.Error(err)
		}
		p.nothing()
	})
}

func TestRequestHandlerFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(26)
		defer n.closeSession(s, p)
		flows := readSessionFlows(t)
		var told journal
		var mode atomic.Value
		mode.Store("yes")
		answer := answerHello(&mode)
		var h *RequestHandle
		err := do(t, func() (err error) {
			h, err = AddRequestHandler(t.Context(), s.Messaging(), "h/p",
				func(ctx context.Context, r Request[datatype.String]) (datatype.String, error) {
					told.add("%s %s %s %v %t", r.Path, r.Value, r.Sender, r.Properties, r.Null)
					return answer(ctx, r)
				}, WithSenderProperties("$Principal", AllUserProperties), WithOnClose(func(err error) { told.add("close %v", err) }))
			return err
		}, func() { p.takes(t, flows["addRequestHandler"], "") })
		if err != nil {
			t.Fatal(err)
		}
		p.answers(t, "respond", flows["S>C 88 respond"])
		told.want(t, "h/p/q hello 1122334455667788-0000000000000002 map[$Principal:bob] false")
		mode.Store("reject no thanks")
		p.answers(t, "reject", flows["S>C 88 reject"])
		if m := p.asks(t, flows["S>C 88 unknown cid"]); m.Error.Code != wire.CodeUnhandledMessage {
			t.Errorf("unknown handler: %+v", m)
		}
		err = do(t, func() error { return h.Close(t.Context()) }, func() { p.takes(t, flows["close handler"], "") })
		if err != nil {
			t.Error(err)
		}
		told.want(t, "h/p/q hello 1122334455667788-0000000000000002 map[$Principal:bob] false", "close <nil>")
		if m := p.asks(t, flows["S>C 88 after close"]); m.Error.Code != wire.CodeUnhandledMessage {
			t.Errorf("after close: %+v", m)
		}
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		err = do(t, func() error {
			_, err := AddRequestHandler(t.Context(), s.Messaging(), "h/p", answer)
			return err
		}, func() { p.refuse(p.receive().Conversation, wire.CodeHandlerConflict, "there is one") })
		if !errors.Is(err, ErrHandlerExists) {
			t.Errorf("refused: %v", err)
		}
		if len(s.handlers) != 0 {
			t.Error("a handler that was refused is kept")
		}
		p.nothing()
	})
}

// TestRequestConcurrency: so many at a time, the others in order, each with one
// answer, also when the handler is closed meanwhile.
func TestRequestConcurrency(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		release, closed := make(chan struct{}), make(chan error, 1)
		var running, most atomic.Int32
		h, err := AddRequestStream(s.Messaging(), "a", func(_ context.Context, r Request[datatype.Int64]) (datatype.Int64, error) {
			most.Store(max(most.Load(), running.Add(1)))
			<-release
			running.Add(-1)
			return r.Value, nil
		}, WithConcurrency(3), WithOnClose(func(err error) { closed <- err }))
		if err != nil {
			t.Fatal(err)
		}
		send := func(from, to int64) {
			for i := from; i < to; i++ {
				p.send(service.MessagingSend.AppendRequest(nil, i+1, service.MessageRequest{Path: "a", Payload: payload(datatype.Int64(i))}))
			}
			synctest.Wait()
		}
		answers := func(count int, want wire.Type) (conversations []int64) {
			for range count {
				m := p.receive()
				if m.Type != want {
					t.Errorf("answer %d is %s, want %s", m.Conversation, m.Type, want)
				}
				conversations = append(conversations, m.Conversation)
			}
			slices.Sort(conversations)
			return conversations
		}
		send(0, 10)
		if running.Load() != 3 {
			t.Errorf("%d run, want 3", running.Load())
		}
		p.nothing()
		release <- struct{}{}
		release <- struct{}{}
		answers(2, wire.TypeResponse)
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if got := answers(5, wire.TypeError); !slices.Equal(got, []int64{6, 7, 8, 9, 10}) {
			t.Errorf("refused: %v", got)
		}
		select {
		case <-closed:
			t.Error("closed before the last answer")
		default:
		}
		close(release)
		answers(3, wire.TypeResponse)
		if err := <-closed; err != nil || most.Load() != 3 {
			t.Errorf("closed with %v, %d at a time", err, most.Load())
		}
		p.nothing()
	})
}

// TestTooManyRequests: those beyond the bound are rejected, and an answer that the
// server would not accept is an error.
func TestTooManyRequests(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		release := make(chan struct{})
		_, err := AddRequestStream(s.Messaging(), "a", func(context.Context, Request[datatype.Value]) (datatype.Binary, error) {
			<-release
			return make(datatype.Binary, 2<<20), nil
		}, WithConcurrency(1))
		if err != nil {
			t.Fatal(err)
		}
		r := &responder{session: s, what: "test", most: 0, waiting: make([]*incoming, respondersWaiting)}
		r.add(s.incoming(&wire.Message{Conversation: 5}, nil))
		if m := p.receive(); m.Conversation != 5 || m.Error.Code != wire.CodeRejectedRequest {
			t.Errorf("one too many: %+v", m)
		}
		p.send(service.MessagingSend.AppendRequest(nil, 6, service.MessageRequest{Path: "a", Payload: payload(datatype.Int64(1))}))
		close(release)
		if m := p.receive(); m.Conversation != 6 || m.Error.Code != wire.CodeCallbackException {
			t.Errorf("too large an answer: %+v", m)
		}
	})
}

// TestRequestsAcrossCuts: a request that runs while the connection is lost is
// answered on the next one, but not when its messages were lost, which ends its
// context and handlers, though not streams.
func TestRequestsAcrossCuts(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		var told, gaveUp journal
		release := make(chan struct{})
		_, err := AddRequestStream(s.Messaging(), "a", func(ctx context.Context, r Request[datatype.String]) (datatype.String, error) {
			select {
			case <-release:
			case <-ctx.Done():
				gaveUp.add("%v", context.Cause(ctx))
			}
			return "done", nil
		}, WithOnClose(func(err error) { told.add("stream closed: %v", err) }))
		if err != nil {
			t.Fatal(err)
		}
		err = do(t, func() error {
			_, err := AddRequestHandler(t.Context(), s.Messaging(), "h", func(context.Context, Request[datatype.Value]) (datatype.Int64, error) {
				return 1, nil
			}, WithOnClose(func(err error) { told.add("handler closed: %v", err) }))
			return err
		}, func() { p.send(wire.AppendResponse(nil, p.receive().Conversation)) })
		if err != nil {
			t.Fatal(err)
		}
		ask := func(conversation int64) {
			p.send(service.MessagingSend.AppendRequest(nil, conversation, service.MessageRequest{Path: "a", Payload: payload(datatype.String("x"))}))
			synctest.Wait()
		}
		ask(1)
		p.cut()
		a := n.next()
		release <- struct{}{}
		synctest.Wait()
		res := response(wire.Reconnected)
		res.NextClient = 2 // the server has the registration
		p = a.respond(res)
		if m := p.receive(); m.Conversation != 1 || m.Type != wire.TypeResponse {
			t.Errorf("after a cut: %+v", m)
		}
		ask(2)
		p.cut()
		p = n.next().code(wire.ReconnectedWithLoss)
		told.want(t, "handler closed: "+ErrMessageLoss.Error())
		gaveUp.want(t, ErrMessageLoss.Error())
		ask(3)
		release <- struct{}{}
		if m := p.receive(); m.Conversation != 3 || m.Type != wire.TypeResponse {
			t.Errorf("after a loss: %+v", m)
		}
		n.closeSession(s, p)
		told.want(t, "stream closed: closed by the client")
		if _, err := AddRequestStream(s.Messaging(), "b", answerHello(new(atomic.Value))); !errors.Is(err, ErrNotConnected) {
			t.Errorf("a stream of a closed session: %v", err)
		}
	})
}

func TestFilterRequestFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(18)
		defer n.closeSession(s, p)
		ctx, m, flows := t.Context(), s.Messaging(), readSessionFlows(t)
		ask := func(filter string, most int) (got []string, err error) {
			for r, err := range SendRequestToFilter[datatype.String](ctx, m, filter, "a/b", datatype.String("hello")) {
				if err != nil {
					return got, err
				}
				got = append(got, fmt.Sprint(r.SessionID, " ", r.Response, " ", r.Err))
				if len(got) == most {
					break
				}
			}
			return got, nil
		}
		event := func(flow vectorFlow) {
			for _, m := range flow {
				if m.Direction == "server->client" {
					p.send(append(wire.AppendRequest(nil, m.Service, 9), unhex(m.Body)...))
					if a := p.receive(); a.Conversation != 9 || a.Type != wire.TypeResponse || len(a.Body) > 0 {
						t.Errorf("client answered %+v", a)
					}
				}
			}
		}
		var got []string
		err := do(t, func() (err error) {
			got, err = ask(bobs, 0)
			return err
		}, func() {
			p.takes(t, flows["sendRequestToFilter"], "0002")
			event(flows["filter responses"])
		})
		if err != nil || len(got) != 2 || got[0] != vectorSession.String()+" hello <nil>" || !strings.HasSuffix(got[1], "unhandled (code 109)") {
			t.Errorf("answers %q, %v", got, err)
		}
		event(flows["late filter response"])

		s.conversations.Store(19)
		err = do(t, func() (err error) {
			got, err = ask("all", 0)
			return err
		}, func() {
			request := p.receive()
			event(flows["filter response before count"][1:])
			p.send(append(wire.AppendResponse(nil, request.Conversation), 0, 1))
		})
		if err != nil || len(got) != 1 {
			t.Errorf("an answer before the count: %q, %v", got, err)
		}

		s.conversations.Store(21)
		err = do(t, func() (err error) { _, err = ask("zz", 0); return err },
			func() { p.takes(t, flows["filter errors"], "0101036261640102") })
		var script *ScriptError
		if !errors.Is(err, ErrInvalidFilter) || !errors.As(err, &script) || script.Reports[0] != (ErrorReport{"bad", 1, 2}) {
			t.Errorf("bad filter: %v", err)
		}
		s.conversations.Store(23)
		err = do(t, func() (err error) { got, err = ask("all", 0); return err },
			func() { p.takes(t, flows["filter zero"], "0000") })
		if err != nil || len(got) != 0 {
			t.Errorf("no sessions: %q, %v", got, err)
		}
		short, cancel := context.WithCancel(ctx)
		ctx = short
		err = do(t, func() (err error) { _, err = ask("all", 0); return err }, func() {
			p.send(append(wire.AppendResponse(nil, p.receive().Conversation), 0, 1))
			synctest.Wait()
			cancel()
		})
		if !errors.Is(err, context.Canceled) || len(s.handlers) != 0 {
			t.Errorf("given up: %v, %v", err, slices.Collect(maps.Keys(s.handlers)))
		}
		p.nothing()
	})
}
