package advect

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

func (j *journal) sessionEvent(e SessionEvent) {
	text := fmt.Sprintf("%s %d %v", e.Kind, e.SessionID.Value, e.Properties)
	if len(e.Changes.Old)+len(e.Changes.Added) > 0 {
		text += fmt.Sprintf(" old %v added %v", e.Changes.Old, e.Changes.Added)
	}
	if e.Kind == SessionClosed {
		text += " " + e.Reason.String()
	}
	j.add("%s", text)
}

// sends sends the events of a flow, which the client acknowledges.
func (p *peer) sends(t *testing.T, flow vectorFlow) {
	t.Helper()
	if m := p.asks(t, flow); m.Type != wire.TypeResponse || len(m.Body) > 0 {
		t.Errorf("client answered %+v", m)
	}
}

func TestSessionListenerFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(37)
		defer n.closeSession(s, p)
		flows := readSessionFlows(t)
		var told journal
		listen := func(query SessionEventQuery, flow, response string) (l *SessionListenerHandle, err error) {
			err = do(t, func() (err error) {
				l, err = s.Clients().AddListener(t.Context(), SessionListener{
					SessionEventQuery: query, OnEvent: told.sessionEvent, OnClose: func(err error) { told.add("close %v", err) },
				})
				return err
			}, func() { p.takes(t, flows[flow], response) })
			return l, err
		}
		l, err := listen(SessionEventQuery{}, "addSessionEventListener empty params", "00")
		if err != nil {
			t.Fatal(err)
		}
		p.sends(t, flows["S>C 82 for event listener"])
		told.want(t, "opened 2 map[dept:sales]", "updated 2 map[dept:hr] old map[dept:sales] added []",
			"reconnected 2 map[dept:sales]", "failed over 2 map[dept:sales]", "disconnected 2 map[dept:sales]",
			"closed 2 map[dept:hr] CLOSED_BY_CONTROLLER")
		err = do(t, func() error { return l.Close(t.Context()) }, func() { p.takes(t, flows["close event listener"], "") })
		if err != nil {
			t.Error(err)
		}
		told.want(t, "close <nil>")
		p.sends(t, flows["S>C 82 for event listener"])
		told.want(t)

		s.conversations.Store(39)
		l, err = listen(SessionEventQuery{Filter: bobs, Properties: []string{"$Principal", "dept"}, StartedAfter: time.UnixMilli(1000)},
			"addSessionEventListener full", "00")
		if err != nil {
			t.Fatal(err)
		}
		p.refuse(l.listener.id, wire.CodeAccessDenied, "no more")
		told.want(t, "close no more (code 103)")
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		s.conversations.Store(41)
		if _, err := listen(SessionEventQuery{Filter: "zz"}, "addSessionEventListener bad filter", "010362616401 02"); !errors.Is(err, ErrInvalidFilter) {
			t.Errorf("bad filter: %v", err)
		}

		// The batch of the other kind of listener has every kind of change.
		s.conversations.Store(33)
		err = do(t, func() (err error) {
			l, err = s.Clients().AddListener(t.Context(), SessionListener{OnEvent: told.sessionEvent})
			return err
		}, func() { p.send(append(wire.AppendResponse(nil, p.receive().Conversation), 0)) })
		if err != nil {
			t.Fatal(err)
		}
		p.sends(t, flows["S>C 82 batch"])
		told.want(t, "opened 2 map[$Principal:bob dept:sales]", "updated 2 map[c:chg n:new s:same] old map[c:old r:gone] added [n]",
			"closed 2 map[$Principal:bob] CLOSED_BY_CLIENT")
		p.nothing()
	})
}

// TestSlowSessionListener is closed, and the server told.
func TestSlowSessionListener(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		closed, release := make(chan error, 1), make(chan struct{})
		err := do(t, func() error {
			_, err := s.Clients().AddListener(t.Context(), SessionListener{
				OnEvent: func(SessionEvent) { <-release }, OnClose: func(err error) { closed <- err }, Buffer: 2,
			})
			return err
		}, func() { p.send(append(wire.AppendResponse(nil, p.receive().Conversation), 0)) })
		if err != nil {
			t.Fatal(err)
		}
		events := service.SessionEvents{Listener: s.conversations.Load() - 1, Events: make([]service.SessionEvent, 10)}
		p.send(service.SessionPropertiesEvent.AppendRequest(nil, 0, events))
		if m := p.receive(); m.Service != service.SessionEventDeregistration.ID {
			t.Errorf("client sent %+v", m)
		}
		close(release)
		if err := <-closed; !errors.Is(err, ErrSlowListener) {
			t.Errorf("closed with %v", err)
		}
	})
}

func TestSessionEventsLoop(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		var got []string
		err := do(t, func() error {
			for e, err := range SessionEvents(t.Context(), s, SessionEventQuery{Properties: []string{"x"}}) {
				if err != nil {
					return err
				}
				if got = append(got, e.Kind.String()); len(got) == 2 {
					break
				}
			}
			return nil
		}, func() {
			m := p.receive()
			req, err := service.SessionEventRegistration.ReadRequest(m.Body)
			if err != nil {
				t.Error(err)
			}
			p.send(append(wire.AppendResponse(nil, m.Conversation), 0))
			p.send(service.SessionPropertiesEvent.AppendRequest(nil, 0, service.SessionEvents{
				Listener: req.Listener, Events: []service.SessionEvent{{}, {Type: service.SessionClosed}},
			}))
			if m := p.receive(); m.Service != service.SessionEventDeregistration.ID {
				t.Errorf("client sent %+v", m)
			}
		})
		if err != nil || fmt.Sprint(got) != "[opened closed]" {
			t.Errorf("%v, %v", got, err)
		}
		err = do(t, func() error {
			for _, err := range SessionEvents(t.Context(), s, SessionEventQuery{}) {
				return err
			}
			return nil
		}, func() { p.refuse(p.receive().Conversation, wire.CodeAccessDenied, "no") })
		if !errors.Is(err, ErrPermissionDenied) {
			t.Errorf("refused: %v", err)
		}
	})
}
