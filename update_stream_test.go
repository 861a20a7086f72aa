package advect

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/datatype"
	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A flow is a recorded exchange of the official client (services-topics.json).
type flow struct {
	Name     string
	Messages []flowMessage
}

type flowMessage struct {
	Direction, Message string
	Service            int32
	Body               string `json:"body_hex"`
	Error              *struct {
		Code        int32
		Description string
	}
}

func (m *flowMessage) fromClient() bool { return m.Direction == "client->server" }

func (m *flowMessage) body(t testing.TB) []byte {
	t.Helper()
	b, err := hex.DecodeString(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func readFlows(t *testing.T) map[string][]flowMessage {
	t.Helper()
	var vectors struct{ Flows []flow }
	readVectors(t, "services-topics.json", &vectors)
	flows := make(map[string][]flowMessage)
	for _, f := range vectors.Flows {
		flows[f.Name] = f.Messages
	}
	return flows
}

// answer answers a request as the flow does.
func (p *peer) answer(conversation int64, m *flowMessage) {
	p.network.t.Helper()
	if m.Error != nil {
		p.refuse(conversation, wire.ErrorCode(m.Error.Code), m.Error.Description)
		return
	}
	p.send(append(wire.AppendResponse(nil, conversation), m.body(p.network.t)...))
}

func (p *peer) refuse(conversation int64, code wire.ErrorCode, text string) {
	p.send(wire.AppendError(nil, conversation, wire.ServiceError{Code: code, Description: text}))
}

// A streamPeer plays the server's part of flows of update streams. It holds what
// the topic has, so that the client may choose another delta than the official one.
type streamPeer struct {
	*peer
	base []byte
}

// expect takes a request that must be the one of the flow, or do the same in as
// many bytes or fewer.
func (p *streamPeer) expect(m *flowMessage) (conversation int64) {
	t := p.network.t
	t.Helper()
	got, want := p.receive(), m.body(t)
	if got.Type != wire.TypeRequest {
		t.Fatalf("client sent %s %x, want a request of %d", got.Type, got.Body, m.Service)
	}
	switch m.Service {
	case service.StreamSet.ID, service.StreamApplyDelta.ID:
		ours, theirs := p.value(got.Service, got.Body), p.value(m.Service, want)
		if !bytes.Equal(ours, theirs) || len(got.Body) > len(want) || !bytes.Equal(got.Body[:4], want[:4]) {
			t.Errorf("client sent %d %x, want %d %x", got.Service, got.Body, m.Service, want)
		}
		if m.Service == service.StreamSet.ID && got.Service != m.Service {
			t.Errorf("client sent a delta")
		}
		p.base = ours
	default:
		if got.Service != m.Service || !bytes.Equal(got.Body, want) {
			t.Errorf("client sent %d %x, want %d %x", got.Service, got.Body, m.Service, want)
		}
		switch m.Service {
		case service.CreateStreamAndSet.ID:
			req, _ := service.CreateStreamAndSet.ReadRequest(want)
			p.base = req.Value
		case service.StreamAddAndSet.ID:
			req, _ := service.StreamAddAndSet.ReadRequest(want)
			p.base = req.Value
		}
	}
	return got.Conversation
}

func (p *streamPeer) value(number int32, body []byte) []byte {
	p.network.t.Helper()
	req, err := service.StreamSet.ReadRequest(body)
	if err == nil && number == service.StreamApplyDelta.ID && !delta.IsNoChange(req.Bytes) {
		req.Bytes, err = delta.Apply(nil, p.base, req.Bytes, 1000)
	} else if err == nil && number == service.StreamApplyDelta.ID {
		req.Bytes = p.base
	}
	if err != nil {
		p.network.t.Fatal(err)
	}
	return req.Bytes
}

// playStream plays a flow: first opens it, each further step is calls made at once.
// A nil value is a call of Validate.
func playStream[V datatype.Value](t *testing.T, name string, path string, opts []UpdateStreamOption, steps [][]*V, wantErrs string) {
	t.Run(name, func(t *testing.T) {
		flow, ok := readFlows(t)[name]
		if !ok {
			t.Fatal("no such flow")
		}
		inNetwork(t, func(t *testing.T, n *network) {
			s, p := n.open()
			defer n.closeSession(s, p)
			stream, err := NewUpdateStream[V](s.Topics(), path, opts...)
			if err != nil {
				t.Fatal(err)
			}
			peer := &streamPeer{peer: p}
			var errs []string
			for _, step := range steps {
				var pending []*PendingUpdate
				for _, v := range step {
					op := validateOp()
					if v != nil {
						op = setOp((*v).Bytes())
						op.sent = func() { stream.value.Store(v) }
					}
					u, err := stream.core.start(t.Context(), op)
					if err != nil {
						errs = append(errs, code(err))
						continue
					}
					pending = append(pending, u)
				}
				for len(flow) > 0 {
					synctest.Wait()
					if len(p.in) == 0 {
						time.Sleep(time.Second) // of the bubble: recovery
						if synctest.Wait(); len(p.in) == 0 {
							break
						}
					}
					conversation := peer.expect(&flow[0])
					peer.answer(conversation, &flow[1])
					flow = flow[2:]
				}
				for _, u := range pending {
					errs = append(errs, code(u.Wait(t.Context())))
				}
			}
			if len(flow) > 0 {
				t.Errorf("the client did not send %v", flow)
			}
			p.nothing()
			if got := strings.Join(errs, " "); got != wantErrs {
				t.Errorf("errors %s, want %s", got, wantErrs)
			}
			if last := steps[len(steps)-1]; stream.Err() == nil && last[len(last)-1] != nil {
				if v, ok := stream.Get(); !ok || !bytes.Equal(v.Bytes(), (*last[len(last)-1]).Bytes()) {
					t.Errorf("Get: %v %t", v, ok)
				}
			}
		})
	})
}

func code(err error) string {
	var refusal *ServiceError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &refusal):
		return fmt.Sprint(refusal.Code)
	}
	return err.Error()
}

func TestUpdateStreamFlows(t *testing.T) {
	v := func(n int) *datatype.JSON { j := datatype.MustJSON(map[string]int{"v": n}); return &j }
	type steps = [][]*datatype.JSON
	json := NewSpecification(JSON, With(PropertyConflation, "off"))
	for _, c := range []struct {
		name  string
		opts  []UpdateStreamOption
		steps steps
		errs  string
	}{
		{"stream: sets issued at once are collapsed when conflation is supported", nil, steps{{v(1), v(2), v(3)}}, "ok ok ok"},
		{"stream: sets issued at once, first equal to last", nil, steps{{v(1), v(2), v(1)}}, "ok ok ok"},
		{"stream: sets at once, conflation unsupported (flags 1)", nil, steps{{v(1), v(2), v(3), v(4)}}, "ok ok ok ok"},
		{"stream: value not retained (flags 0)", nil, steps{{v(1), v(2), v(3)}}, "ok ok ok"},
		{"stream: flags 2 (not retained, conflation)", nil, steps{{v(1), v(2), v(3)}}, "ok ok ok"},
		{"stream: validate, then set, then set, then validate", []UpdateStreamOption{If(NoValue())},
			steps{{nil}, {nil}, {v(1)}, {v(2)}, {nil}}, "ok ok ok ok ok"},
		{"stream: validate and two sets at once", nil, steps{{nil, v(1), v(2)}, {v(3)}}, "ok ok ok ok"},
		{"stream with specification: set creates", []UpdateStreamOption{WithSpecification(json)}, steps{{v(1)}, {v(2)}}, "ok ok"},
		{"stream with specification: validate creates (EXISTS)", []UpdateStreamOption{WithSpecification(NewSpecification(JSON))},
			steps{{nil}, {v(1)}}, "ok ok"},
		{"stream: suppressDeltas", []UpdateStreamOption{WithoutDeltas()}, steps{{v(1)}, {v(2)}}, "ok ok"},
		{"stream: first set fails (no such topic), later calls fail locally", nil, steps{{v(1)}, {v(2)}, {nil}}, "9000 9000 9000"},
		{"stream: second set fails (invalid stream), later calls fail locally", nil, steps{{v(1)}, {v(2)}, {v(3)}, {nil}}, "ok 9013 9013 9013"},
		{"stream: deferred sets fail together", nil, steps{{v(1), v(2), nil}}, "9012 9012 9012"},
		{"recoverable stream: routing failure, recover replays", []UpdateStreamOption{WithRecovery(time.Second, 1)},
			steps{{v(1)}, {v(2)}, {v(3)}}, "ok ok ok"},
		{"recoverable stream: non-recoverable code", []UpdateStreamOption{WithRecovery(time.Second, 1)}, steps{{v(1)}, {v(2)}}, "ok 110"},
	} {
		playStream(t, c.name, "a/b", c.opts, c.steps, c.errs)
	}

	str := func(s string) *datatype.String { v := datatype.String(s); return &v }
	one := [][]*datatype.String{{str("hello world 1234")}, {str("hello world 1235")}, {str("hello world 1235")}, {str("xyz")}}
	playStream(t, "stream: set, set, set sequentially (string)", "a/b", nil, one, "ok ok ok ok")
	events := NewSpecification(TimeSeries, With(PropertyTimeSeriesEventValueType, "string"))
	playStream(t, "stream with specification for a time series topic", "ts", []UpdateStreamOption{WithSpecification(events)},
		[][]*datatype.String{{str("hello world one")}, {str("hello world two")}}, "ok ok")
	playStream(t, "stream: clustered stream id is echoed", "a/b", nil,
		[][]*datatype.String{{str(strings.Repeat("a", 20))}, {str(strings.Repeat("a", 19) + "b")}}, "ok ok")
	playStream(t, "stream: clustered stream id with partition 0 non-zero generation", "a/b", nil,
		[][]*datatype.String{{str("a")}, {str("b")}}, "ok ok")

	number := func(n int64) *datatype.Int64 { v := datatype.Int64(n); return &v }
	playStream(t, "stream: int64 has no delta type", "a/b", nil, [][]*datatype.Int64{{number(1)}, {number(2)}}, "ok ok")
	double := func(f float64) *datatype.Double { v := datatype.Double(f); return &v }
	playStream(t, "stream: double", "a/b", nil, [][]*datatype.Double{{double(1.5)}, {double(2.5)}}, "ok ok")
	binary := func(b ...byte) *datatype.Binary { v := datatype.Binary(b); return &v }
	playStream(t, "stream: binary deltas", "a/b", nil,
		[][]*datatype.Binary{{binary(1, 2, 3, 4, 5, 6, 7, 8)}, {binary(1, 2, 3, 4, 5, 6, 7, 0xff)}, {binary()}}, "ok ok ok")

	record := func(field string) *datatype.RecordV2 {
		v := datatype.NewRecordV2([]string{"aaaaaa", field})
		return &v
	}
	playStream(t, "stream: recordv2 deltas", "a/b", nil, [][]*datatype.RecordV2{{record("bbbbbb")}, {record("bbbbbc")}}, "ok ok")
}

// A value can be set to null and to a value again, unlike with the official
// client, whose error protocol 23 section 5.3 describes.
func TestUpdateStreamNull(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		stream, err := NewUpdateStream[datatype.String](s.Topics(), "a")
		if err != nil {
			t.Fatal(err)
		}
		long := datatype.String(strings.Repeat("x", 100))
		var got []string
		for _, set := range []func() error{
			func() error { return stream.Set(t.Context(), long) },
			func() error { return stream.SetNull(t.Context()) },
			func() error { return stream.Set(t.Context(), long) },
			func() error { return stream.Set(t.Context(), long+"y") },
		} {
			done := make(chan error, 1)
			go func() { done <- set() }()
			m := p.receive()
			got = append(got, fmt.Sprintf("%d %d", m.Service, len(m.Body)))
			body := ""
			if m.Service == service.CreateStreamAndSet.ID {
				body = "4d03000003"
			}
			p.answer(m.Conversation, &flowMessage{Body: body})
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if got, want := strings.Join(got, ", "), "126 107, 128 6, 128 107, 129 13"; got != want {
			t.Errorf("sent %s, want %s", got, want)
		}
	})
}

// What could not be sent leaves the stream as it was; a lost connection that lost
// calls under way ends it.
func TestUpdateStreamConnection(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		stream, err := NewUpdateStream[datatype.Int64](s.Topics(), "a")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := stream.Set(ctx, 1); !errors.Is(err, context.Canceled) || stream.Err() != nil {
			t.Errorf("Set with a cancelled context: %v, %v", err, stream.Err())
		}
		p.nothing()

		first, err := stream.Start(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		p.answer(p.receive().Conversation, &flowMessage{Body: "4d03000003"})
		if err := first.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := stream.Start(t.Context(), 3)
		if err != nil {
			t.Fatal(err)
		}
		p.receive()
		p.cut()
		synctest.Wait()
		if _, err := stream.Start(t.Context(), 4); !errors.Is(err, ErrNotConnected) || stream.Err() != nil {
			t.Errorf("Start while not connected: %v, %v", err, stream.Err())
		}
		p = n.next().code(wire.ReconnectedWithLoss)
		if err := second.Wait(t.Context()); !errors.Is(err, ErrMessageLoss) || !errors.Is(stream.Err(), ErrMessageLoss) {
			t.Errorf("Wait: %v, %v", err, stream.Err())
		}
		if err := stream.Validate(t.Context()); !errors.Is(err, ErrMessageLoss) {
			t.Errorf("Validate: %v", err)
		}
		n.closeSession(s, p)
	})
}

// A stream outlives a lost connection without loss: what was under way is sent
// again, and deltas go on where they were.
func TestUpdateStreamReconnected(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		stream, err := NewUpdateStream[datatype.String](s.Topics(), "a")
		if err != nil {
			t.Fatal(err)
		}
		peer := &streamPeer{peer: p}
		long := datatype.String(strings.Repeat("x", 100))
		first, err := stream.Start(t.Context(), long)
		if err != nil {
			t.Fatal(err)
		}
		m := p.receive()
		peer.base = long.Bytes()
		p.answer(m.Conversation, &flowMessage{Body: "4d03000003"})
		if err := first.Wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		second, err := stream.Start(t.Context(), long+"y")
		if err != nil {
			t.Fatal(err)
		}
		lost := p.receive()
		p.cut()
		synctest.Wait()
		res := response(wire.Reconnected)
		res.NextClient = 2 // the first message arrived, the second did not
		p = n.next().respond(res)
		peer.peer = p
		if again := p.receive(); again.Service != service.StreamApplyDelta.ID || !bytes.Equal(again.Body, lost.Body) {
			t.Errorf("client sent %d %x again, want %x", again.Service, again.Body, lost.Body)
		} else {
			peer.base = peer.value(again.Service, again.Body)
			p.answer(again.Conversation, &flowMessage{})
		}
		if err := second.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		third, err := stream.Start(t.Context(), long+"yz")
		if err != nil {
			t.Fatal(err)
		}
		m = p.receive()
		if got, want := peer.value(m.Service, m.Body), (long + "yz").Bytes(); !bytes.Equal(got, want) {
			t.Errorf("client set %q, want %q", got, want)
		}
		p.answer(m.Conversation, &flowMessage{})
		if err := third.Wait(t.Context()); err != nil {
			t.Error(err)
		}
		n.closeSession(s, p)
	})
}

// A full outbound queue holds up calls, in order, not the session.
func TestUpdateStreamOrder(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open(WithOutboundQueue(3))
		defer n.closeSession(s, p)
		stream, err := NewUpdateStream[datatype.Int64](s.Topics(), "a")
		if err != nil {
			t.Fatal(err)
		}
		const sets = 100
		go func() {
			for i := range sets {
				if _, err := stream.Start(t.Context(), datatype.Int64(i)); err != nil {
					t.Error(err)
				}
			}
		}()
		for i := range sets {
			m := p.receive()
			if !bytes.Contains(m.Body, datatype.Int64(i).Bytes()) {
				t.Errorf("message %d is %x", i, m.Body)
			}
			body := ""
			if i == 0 {
				body = "4d03000001"
			}
			p.answer(m.Conversation, &flowMessage{Body: body})
		}
	})
}

func TestUpdateStreamRecoveryGivesUp(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		stream, err := NewUpdateStream[datatype.Int64](s.Topics(), "a", WithRecovery(time.Minute, 2))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		pending, err := stream.Start(t.Context(), 1)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []int32{126, 125, 125} {
			m := p.receive()
			if m.Service != want {
				t.Errorf("service %d, want %d", m.Service, want)
			}
			p.refuse(m.Conversation, wire.CodeClusterRouting, "no route")
		}
		if err := pending.Wait(t.Context()); !errors.Is(err, ErrClusterRouting) || time.Since(start) != 2*time.Minute {
			t.Errorf("Wait: %v after %v", err, time.Since(start))
		}
	})
}

func TestNewUpdateStreamRefusals(t *testing.T) {
	topics := newCache(func(error) {}, 0)
	if _, err := NewUpdateStream[datatype.Value](topics, "a"); err == nil {
		t.Error("a stream of any type is made")
	}
	if _, err := NewUpdateStream[datatype.String](topics, "a", WithSpecification(NewSpecification(JSON))); err == nil {
		t.Error("a stream for a specification of another type is made")
	}
	if _, err := NewUpdateStream[datatype.String](topics, "a", If(ValueCompares(GT, datatype.String("x")))); err == nil {
		t.Error("a constraint that makes no sense is taken")
	}
	stream, err := NewUpdateStream[datatype.JSON](topics, "a")
	if err != nil {
		t.Fatal(err)
	}
	if err := stream.SetNull(t.Context()); err == nil {
		t.Error("a JSON topic is set to null")
	}
	if _, ok := stream.Get(); ok {
		t.Error("there is a value before the first")
	}
}
