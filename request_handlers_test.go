package advect

import (
	"context"
	"errors"
	"fmt"
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

// answerHello answers a request of the flows, in each of the ways there are.
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

// TestAbandonedRegistrations: a registration that nobody waits for any more is
// undone, but not one that succeeded before.
func TestAbandonedRegistrations(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		echo := func(_ context.Context, r Request[datatype.Value]) (datatype.Value, error) { return r.Value, nil }
		add := func(ctx context.Context) error {
			_, err := AddRequestHandler(ctx, s.Messaging(), "a", echo)
			return err
		}
		authenticate := func(ctx context.Context) error {
			_, err := s.Security().AddAuthenticator(ctx, "a", Authenticator{
				Authenticate: func(context.Context, AuthenticationRequest) (Authentication, error) { return Deny(), nil },
			})
			return err
		}
		listen := func(ctx context.Context) error {
			_, err := s.Clients().AddListener(ctx, SessionListener{})
			return err
		}
		for _, c := range []struct {
			name string
			f    func(context.Context) error
			then int32 // service
		}{
			{"handler", add, service.RequestHandlerDeregistration.ID},
			{"authenticator", authenticate, service.AuthenticatorDeregistration.ID},
			{"listener", listen, service.SessionEventDeregistration.ID},
		} {
			ctx, cancel := context.WithCancel(t.Context())
			var id int64
			err := do(t, func() error { return c.f(ctx) }, func() {
				id = p.receive().Conversation
				cancel()
			})
			if !errors.Is(err, context.Canceled) || len(s.handlers) != 0 {
				t.Errorf("%s: %v", c.name, err)
			}
			m := p.receive()
			if m.Service != c.then {
				t.Errorf("%s: client sent %d, want %d", c.name, m.Service, c.then)
			}
			p.send(wire.AppendResponse(nil, id), wire.AppendResponse(nil, m.Conversation))
		}
		err := do(t, func() error { return add(t.Context()) }, func() { p.send(wire.AppendResponse(nil, p.receive().Conversation)) })
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := do(t, func() error { return add(ctx) }, func() { p.receive(); cancel() }); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		p.nothing() // or the first one would be gone
	})
}
