package advect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/klauspost/compress/zlib"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// onBoth runs a test with each transport.
func onBoth(t *testing.T, test func(*testing.T, *network, Option)) {
	t.Helper()
	for _, transport := range both {
		t.Run(transport.String(), func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) { test(t, n, WithTransports(transport)) })
		})
	}
}

// A recordingSink takes the place of the session's topics.
type recordingSink struct {
	mu  sync.Mutex
	log []string
}

func (r *recordingSink) add(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.log = append(r.log, fmt.Sprintf(format, args...))
}

func (r *recordingSink) subscribed(s subscription) {
	r.add("subscribed %d %s %s", s.Topic, s.Path, s.Specification)
}
func (r *recordingSink) unsubscribed(u unsubscription) {
	r.add("unsubscribed %d %s", u.Topic, u.Reason)
}
func (r *recordingSink) topicMessage(id int32, delta bool, value []byte) {
	if len(value) > 20 {
		value = value[:20]
	}
	r.add("message %d %t %q", id, delta, value)
}
func (r *recordingSink) reset()              { r.add("reset") }
func (r *recordingSink) closed(reason error) { r.add("closed %v", reason) }

func (r *recordingSink) String() string {
	synctest.Wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.log, "\n")
}

// recordSink makes a session give its topics to a recorder, before anything came.
func recordSink(s *Session) *recordingSink {
	synctest.Wait()
	r := &recordingSink{}
	s.sink = r
	return r
}

func TestCloseByClient(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var log states
		s, p := n.open(transport, WithStateListener(log.listen))
		sink := recordSink(s)
		start := time.Now()
		n.closeSession(s, p)
		if time.Since(start) != 0 {
			t.Errorf("Close waited %v for a server that answered", time.Since(start))
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		select {
		case <-s.Done():
		default:
			t.Error("not done")
		}
		if s.State() != ClosedByClient || !errors.Is(s.Err(), ErrClosedByClient) {
			t.Errorf("%v %v", s.State(), s.Err())
		}
		if want := "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>CLOSED_BY_CLIENT"; log.String() != want {
			t.Errorf("states %s", &log)
		}
		if sink.String() != "closed closed by the client" {
			t.Errorf("sink: %s", sink)
		}
		_, err := s.PingServer(context.Background())
		if !errors.Is(err, ErrNotConnected) || !errors.Is(err, ErrClosedByClient) {
			t.Errorf("ping after close: %v", err)
		}
	})
}

// A server that does not answer a close is waited for for a second.
func TestCloseWithoutAnswer(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport)
		start := time.Now()
		s.Close()
		if took := time.Since(start); took != time.Second || s.State() != ClosedByClient {
			t.Errorf("%v after %v", s.State(), took)
		}
		if m := p.receive(); m.Type != wire.TypeCloseRequest {
			t.Errorf("client sent %v", m.Type)
		}
		p.cut()
	})
}

func TestCloseByServer(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var log states
		s, p := n.open(transport, WithStateListener(log.listen))
		ended := make(chan error)
		go func() {
			_, err := s.PingServer(context.Background())
			ended <- err
		}()
		p.receive()
		p.abort()
		<-s.Done()
		if err := <-ended; !errors.Is(err, ErrClosedByServer) {
			t.Errorf("pending call: %v", err)
		}
		if s.State() != ClosedByServer || !errors.Is(s.Err(), ErrClosedByServer) || errors.Is(s.Err(), ErrTransient) {
			t.Errorf("%v %v", s.State(), s.Err())
		}
		if want := "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>CLOSED_BY_SERVER"; log.String() != want {
			t.Errorf("states %s", &log)
		}
		p.cut()
		synctest.Wait()
		if len(n.attempts) > 0 {
			t.Error("the client reconnects")
		}
	})
}

// What a server must not send ends the session without a reconnection
// (protocol 02 section 8).
func TestViolations(t *testing.T) {
	large := make([]byte, 3000)
	for name, c := range map[string]struct {
		do   func(p *peer)
		want error
		only Transport // with WebSocket only
	}{
		"unknown type":       {func(p *peer) { p.send([]byte{1, 2, 3}) }, ErrConnection, 0},
		"type 20":            {func(p *peer) { p.send([]byte{20}) }, ErrConnection, 0},
		"short topic value":  {func(p *peer) { p.send([]byte{4, 0, 0}) }, ErrConnection, 0},
		"bad zlib":           {func(p *peer) { p.send([]byte{0x84, 0, 0, 0, 1, 0x78, 0x9c, 1, 2}) }, ErrConnection, 0},
		"message too large":  {func(p *peer) { p.send(append([]byte{4, 0, 0, 0, 1}, large...)) }, ErrTransport, 0},
		"inflates too large": {func(p *peer) { p.send(compressed(0x84, 1, large)) }, ErrTransport, 0},
		"text frame":         {func(p *peer) { p.frame(ws.NewTextFrame([]byte("x"))) }, ErrConnection, 1},
		"empty frame":        {func(p *peer) { p.frame(ws.NewBinaryFrame(nil)) }, ErrConnection, 1},
		"bad opcode":         {func(p *peer) { p.frame(ws.NewFrame(5, true, nil)) }, ErrTransport, 1},
		"reserved bits":      {func(p *peer) { p.nc.Write([]byte{0xc2, 0}) }, ErrTransport, 1},
		"masked":             {func(p *peer) { p.frame(ws.MaskFrame(ws.NewBinaryFrame([]byte{28}))) }, ErrTransport, 1},
		"continuation alone": {func(p *peer) { p.frame(ws.NewFrame(ws.OpContinuation, true, []byte{28})) }, ErrTransport, 1},
		"fragmented ping":    {func(p *peer) { p.frame(ws.NewFrame(ws.OpPing, false, nil)) }, ErrTransport, 1},
		"absurd length":      {func(p *peer) { p.nc.Write([]byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0}) }, ErrTransport, 1},
		"large fragments": {func(p *peer) {
			p.frame(ws.NewFrame(ws.OpBinary, false, large[:2000]))
			p.frame(ws.NewFrame(ws.OpContinuation, true, large[:2000]))
		}, ErrTransport, 1},
		"batch is not base64": {func(p *peer) { p.out <- []byte("!") }, ErrConnection, 2},
		"batch ends in head":  {func(p *peer) { p.out <- []byte(wire.EncodeBatch([]byte{0, 0})) }, ErrConnection, 2},
		"batch ends in entry": {func(p *peer) { p.out <- []byte(wire.EncodeBatch([]byte{0, 0, 0, 9, 0})) }, ErrConnection, 2},
		"absurd entry":        {func(p *peer) { p.out <- []byte(wire.EncodeBatch([]byte{0xff, 0xff, 0xff, 0xff, 0})) }, ErrTransport, 2},
	} {
		t.Run(name, func(t *testing.T) {
			onBoth(t, func(t *testing.T, n *network, transport Option) {
				s, p := n.open(transport, WithMaxMessageSize(2500))
				if c.only == 1 && p.nc == nil || c.only == 2 && p.nc != nil {
					n.closeSession(s, p)
					return
				}
				go c.do(p)
				<-s.Done()
				if s.State() != ClosedFailed || !errors.Is(s.Err(), c.want) {
					t.Errorf("%v %v, want %v", s.State(), s.Err(), c.want)
				}
				p.cut()
				synctest.Wait()
				if len(n.attempts) > 0 {
					t.Error("the client reconnects")
				}
			})
		})
	}
}

func compressed(typeByte byte, id int32, value []byte) []byte {
	b := bytes.NewBuffer([]byte{typeByte, byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)})
	w := zlib.NewWriter(b)
	w.Write(value)
	w.Close()
	return b.Bytes()
}

// Messages are handed on in order, whatever their framing.
func TestTopicMessages(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		var problems []error
		s, p := n.open(transport, WithErrorListener(func(_ *Session, err error) { problems = append(problems, err) }))
		sink := recordSink(s)
		spec := topic.Specification{Type: topic.String}
		long := bytes.Repeat([]byte("long "), 40_000)
		p.send(
			service.NotifySubscription.AppendRequest(nil, 0, subscription{Topic: 1, Path: "a", Specification: spec}),
			service.NotifySubscription.AppendRequest(nil, 9, subscription{Topic: -2, Path: "b", Specification: spec}),
			append([]byte{4, 0, 0, 0, 1}, "one"...),
			[]byte{5, 0xff, 0xff, 0xff, 0xfe},
		)
		p.send(
			compressed(0x84, 1, []byte("packed")),
			compressed(0x85, 1, nil),
			append([]byte{4, 0, 0, 0, 1}, long...),
			append([]byte{0x44, 0, 0, 0, 1}, "plain"...), // bit 6 alone means nothing
			unhex("87 0107"),                             // a malformed error, ignored
			unhex("22 616263"), unhex("1d"),              // nothing to a client
			unhex("06 63"), unhex("07 63 00 64"), // answers to nobody
			unhex("00 57 00 01"),    // a malformed request
			unhex("00 57 07 01"),    // the same, to be answered
			unhex("00 e8 07 00 aa"), // an unknown service, one-way
			unhex("00 e8 07 03 aa"), // the same, to be answered
			service.UnsubscriptionNotification.AppendRequest(nil, 0, unsubscription{Topic: 1, Reason: service.Removed}),
		)
		for _, want := range []wire.Message{
			{Type: wire.TypeResponse, Conversation: 9, Body: []byte{}},
			{Type: wire.TypeError, Conversation: 7, Error: ServiceError{Code: 106}},
			{Type: wire.TypeError, Conversation: 3, Error: ServiceError{Code: 100, Description: "Unknown client service: 1000"}},
		} {
			got := p.receive()
			if want.Error.Code == 106 {
				got.Error.Description = ""
			}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("answer %+v, want %+v", got, want)
			}
		}
		want := `subscribed 1 a STRING
subscribed -2 b STRING
message 1 false "one"
message -2 true ""
message 1 false "packed"
message 1 true ""
message 1 false "long long long long "
message 1 false "plain"
unsubscribed 1 REMOVED`
		if sink.String() != want {
			t.Errorf("sink:\n%s\nwant:\n%s", sink, want)
		}
		if len(problems) != 3 || !errors.Is(problems[0], wire.ErrMalformed) {
			t.Errorf("problems: %v", problems)
		}
		if s.received != 18 {
			t.Errorf("received %d messages", s.received)
		}
		n.closeSession(s, p)
	})
}

// Messages in fragments are joined, and control frames between them answered.
func TestFragments(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(WithBufferSizes(1024, 1024))
		sink := recordSink(s)
		long := bytes.Repeat([]byte("x"), 3000)
		p.frame(ws.NewFrame(ws.OpBinary, false, []byte{4, 0, 0}))
		p.frame(ws.NewPingFrame([]byte("hi")))
		p.frame(ws.NewFrame(ws.OpContinuation, false, nil))
		p.frame(ws.NewFrame(ws.OpContinuation, true, []byte("\x00\x01joined")))
		p.frame(ws.NewPongFrame(nil))
		p.frame(ws.NewBinaryFrame(append([]byte{4, 0, 0, 0, 2}, long...))) // longer than the buffer
		p.frame(ws.NewBinaryFrame([]byte{4, 0, 0, 0, 3}))
		if b := <-p.in; string(b) != "pong hi" {
			t.Errorf("answer to a ping: %q", b)
		}
		want := `message 1 false "joined"` + "\n" + `message 2 false "xxxxxxxxxxxxxxxxxxxx"` + "\n" + `message 3 false ""`
		if sink.String() != want {
			t.Errorf("sink:\n%s", sink)
		}
		n.closeSession(s, p)
	})
}

func TestCalls(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport, WithPrincipal("a"))
		ctx := context.Background()
		served := make(chan struct{})
		go func() {
			defer close(served)
			m := p.receive()
			if m.Type != wire.TypeRequest || m.Service != 56 || m.Conversation == 0 {
				t.Errorf("ping is %+v", m)
			}
			time.Sleep(3 * time.Second)
			p.send(wire.AppendResponse(nil, m.Conversation))
			m = p.receive()
			p.send(service.GetOwnSessionProperties.AppendResponse(nil, m.Conversation,
				service.OptionalProperties{Present: true, Properties: map[string]string{"$Principal": "a"}}))
			m = p.receive()
			p.send(wire.AppendError(nil, m.Conversation, ServiceError{Code: 104, Description: "Unsupported"}))
			m = p.receive()
			p.send(wire.AppendResponse(nil, m.Conversation)) // too short
			for _, ok := range []service.Bool{false, true} {
				m = p.receive()
				req, err := service.ReAuthenticate.ReadRequest(m.Body)
				if err != nil || req.Principal != "b" || string(req.Credentials.Data) != "pw" {
					t.Errorf("%+v %v", req, err)
				}
				p.send(service.ReAuthenticate.AppendResponse(nil, m.Conversation, ok))
			}
		}()
		if d, err := s.PingServer(ctx); err != nil || d.RoundTrip != 3*time.Second || time.Since(d.Time) != d.RoundTrip {
			t.Errorf("ping: %+v %v", d, err)
		}
		if m, err := s.Properties(ctx); err != nil || !maps.Equal(m, map[string]string{"$Principal": "a"}) {
			t.Errorf("properties: %v %v", m, err)
		}
		var refused *ServiceError
		if _, err := s.Properties(ctx); !errors.Is(err, ErrUnsupported) || !errors.As(err, &refused) || refused.Description != "Unsupported" {
			t.Errorf("refused call: %v", err)
		}
		if _, err := s.Properties(ctx); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("malformed response: %v", err)
		}
		if err := s.ChangePrincipal(ctx, "b", Password("pw")); !errors.Is(err, ErrAccessDenied) || s.Principal() != "a" {
			t.Errorf("refused change of principal: %v, now %q", err, s.Principal())
		}
		if err := s.ChangePrincipal(ctx, "b", Password("pw")); err != nil || s.Principal() != "b" {
			t.Errorf("change of principal: %v, now %q", err, s.Principal())
		}
		<-served
		n.closeSession(s, p)
	})
}

// A call ends with its context; its answer is then ignored.
func TestCallCancelled(t *testing.T) {
	onBoth(t, func(t *testing.T, n *network, transport Option) {
		s, p := n.open(transport)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := s.PingServer(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ping: %v", err)
		}
		if _, err := s.PingServer(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("ping with a dead context: %v", err)
		}
		m := p.receive()
		p.nothing()
		p.send(wire.AppendResponse(nil, m.Conversation))
		synctest.Wait()
		if len(s.pending) != 0 {
			t.Error("the conversation is not forgotten")
		}
		n.closeSession(s, p)
	})
}

func TestRequestTooLarge(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		res := response(wire.OK)
		res.MaxMessageSize = 100
		s, p := n.openWith(res)
		err := s.ChangePrincipal(context.Background(), strings.Repeat("x", 100), Credentials{})
		if !errors.Is(err, ErrMessageTooLarge) {
			t.Error(err)
		}
		p.nothing()
		n.closeSession(s, p)

		res.MaxMessageSize = 0 // makes no sense
		s, p = n.openWith(res)
		ended := pings(s, 1)
		p.send(wire.AppendResponse(nil, p.receive().Conversation))
		if err := <-ended; err != nil {
			t.Error(err)
		}
		n.closeSession(s, p)
	})
}

// Calls block while the outbound queue is full, and go on when it is not, when
// their context ends, or when the session does.
func TestOutboundQueue(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(WithOutboundQueue(2), WithTransports(HTTPPolling))
		hold := make(chan struct{})
		n.mu.Lock()
		p.hold = hold
		n.mu.Unlock()
		const calls = 7
		ended := make(chan error, calls)
		for range calls {
			go func() {
				_, err := s.PingServer(context.Background())
				ended <- err
			}()
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		synctest.Wait()
		_, err := s.PingServer(ctx)
		s.mu.Lock()
		waiting := s.out.waiting()
		s.mu.Unlock()
		if !errors.Is(err, context.DeadlineExceeded) || waiting != 2 {
			t.Errorf("%v, and %d wait", err, waiting)
		}
		close(hold)
		for range calls {
			p.send(wire.AppendResponse(nil, p.receive().Conversation))
		}
		for range calls {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		n.closeSession(s, p)
	})
}

// Listeners see changes in order and may use the session.
func TestListeners(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		var s *Session
		closed := make(chan State)
		var log states
		s, p := n.open(WithStateListener(log.listen))
		synctest.Wait()
		var late states
		remove := s.OnStateChange(late.listen)
		s.OnStateChange(func(listened *Session, _, new State) {
			remove()
			if new == RecoveringReconnect {
				listened.Close()
				closed <- listened.State()
			}
		})
		s.OnStateChange(late.listen)()
		p.cut()
		if state := <-closed; state != ClosedByClient {
			t.Errorf("%v after Close in a listener", state)
		}
		want := "CONNECTING>CONNECTED_ACTIVE CONNECTED_ACTIVE>RECOVERING_RECONNECT RECOVERING_RECONNECT>CLOSED_BY_CLIENT"
		if log.String() != want {
			t.Errorf("states %s", &log)
		}
		if late.String() != "CONNECTED_ACTIVE>RECOVERING_RECONNECT" {
			t.Errorf("removed listener saw %s", &late)
		}
	})
}

func TestErrorListener(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		told := make(chan error, 1)
		remove := s.OnError(func(_ *Session, err error) { told <- err })
		p.send(unhex("06"))
		if err := <-told; !errors.Is(err, wire.ErrMalformed) {
			t.Error(err)
		}
		remove()
		p.send(unhex("06"))
		synctest.Wait()
		if len(told) > 0 {
			t.Error("removed listener was called")
		}
		n.closeSession(s, p)
	})
}

func TestParseSessionID(t *testing.T) {
	id := SessionID{Server: -0x3ee010f996719a22, Value: 0x300000000}
	if got, err := ParseSessionID(id.String()); err != nil || got != id || id.String() != "c11fef06698e65de-0000000300000000" {
		t.Errorf("%v %v from %s", got, err, id)
	}
	if _, err := ParseSessionID("x"); err == nil {
		t.Error("no error")
	}
}

// FuzzReceive feeds a session whatever messages.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{"003705", "00570001016111 00", "2a", "0400000001ff", "84000000017801", "06 01", "07 01 00 64", "1c", "00e80703aa"} {
		f.Add(unhex(s))
	}
	opt, err := resolve("ws://h", []Option{WithMaxMessageSize(1 << 16)})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		s := newSession(opt)
		defer s.cancel()
		s.sink = &recordingSink{}
		err := s.receive(&link{}, frame)
		if err != nil && !errors.Is(err, errAborted) {
			if reason, loss := connectionEnd(err); loss || reason == nil || errors.Is(err, io.EOF) {
				t.Errorf("%x counts as a loss of the connection: %v", frame, err)
			}
		}
	})
}

type nullSink struct{ topicSink }

func (nullSink) topicMessage(int32, bool, []byte) {}

func BenchmarkReceive(b *testing.B) {
	opt, err := resolve("ws://h", nil)
	if err != nil {
		b.Fatal(err)
	}
	for name, frame := range map[string][]byte{
		"value":       append([]byte{4, 0, 0, 0, 1}, make([]byte, 200)...),
		"compressed":  compressed(0x84, 1, bytes.Repeat([]byte("some text "), 20)),
		"system-ping": wire.AppendRequest(nil, 55, 0),
	} {
		b.Run(name, func(b *testing.B) {
			s := newSession(opt)
			defer s.cancel()
			s.sink = nullSink{}
			l := new(link)
			b.ReportAllocs()
			for b.Loop() {
				if err := s.receive(l, frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
