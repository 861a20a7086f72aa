package advect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"advect.dev/datatype"
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
