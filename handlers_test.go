package advect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A journal records what callbacks are told.
type journal struct {
	mu  sync.Mutex
	log []string
}

func (j *journal) add(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.log = append(j.log, fmt.Sprintf(format, args...))
}

// want compares what was told since the last call.
func (j *journal) want(t *testing.T, want ...string) {
	t.Helper()
	synctest.Wait()
	j.mu.Lock()
	defer j.mu.Unlock()
	if diff := cmp.Diff(want, j.log); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	j.log = nil
}

func (j *journal) notification(n TopicNotification) {
	if n.Direct {
		j.add("%s %s %s", n.Kind, n.Path, n.Specification)
	} else {
		j.add("%s below: %s", n.Kind, n.Path)
	}
}

// play plays the server's part of a flow up to the next request of the client,
// or its answer, inclusive. It returns the rest.
func (p *peer) play(flow []flowMessage) []flowMessage {
	t := p.network.t
	t.Helper()
	defer synctest.Wait()
	for len(flow) > 0 {
		m := &flow[0]
		flow = flow[1:]
		switch {
		case !m.fromClient():
			p.send(append(wire.AppendRequest(nil, m.Service, 0), m.body(t)...))
			continue
		case m.Message == "response":
			continue // to what was sent without a conversation here
		}
		got := p.receive()
		if got.Service != m.Service || !bytes.Equal(got.Body, m.body(t)) {
			t.Errorf("client sent %d %x, want %d %s", got.Service, got.Body, m.Service, m.Body)
		}
		if len(flow) > 0 && !flow[0].fromClient() && flow[0].Message != "request" {
			p.answer(got.Conversation, &flow[0])
			flow = flow[1:]
		}
		return flow
	}
	return nil
}

// do calls f while the server plays its part.
func do(t *testing.T, f func() error, play func()) error {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- f() }()
	play()
	return <-done
}

// openAt opens a session whose next conversation has an id.
func (n *network) openAt(conversation int64) (*Session, *peer) {
	n.t.Helper()
	s, p := n.open()
	s.conversations.Store(conversation - 1)
	return s, p
}

func TestTopicListenerFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(299)
		defer n.closeSession(s, p)
		flow := readFlows(t)["topic notifications: select, events, deselect, close"]
		var told journal
		l, err := s.Topics().AddListener(TopicListener{
			OnNotification: told.notification,
			OnClose:        func(err error) { told.add("close %v", err) },
		})
		if err != nil {
			t.Fatal(err)
		}
		p.nothing()
		step := func(f func() error) {
			t.Helper()
			if err := do(t, f, func() { flow = p.play(flow) }); err != nil {
				t.Error(err)
			}
		}
		step(func() error { return l.Select(t.Context(), "?a//") })
		step(func() error { return l.Select(t.Context(), ">x", ">y") }) // after the events that precede it in the flow
		told.want(t, "SELECTED a/b JSON", "ADDED a/c STRING PRIORITY=high", "ADDED below: x/y", "REMOVED below: x/y", "REMOVED a/c STRING PRIORITY=high")
		step(func() error { return l.Deselect(t.Context(), "?a//") })
		p.play(flow[:1]) // before Close drops it
		flow = flow[1:]
		step(func() error { return l.Close(t.Context()) })
		told.want(t, "DESELECTED a/b JSON", "close <nil>")
		if err := l.Close(t.Context()); err != nil {
			t.Error(err)
		}
		if err := l.Select(t.Context(), "a"); err == nil {
			t.Error("a closed listener selects")
		}
		p.play(flow[len(flow)-3 : len(flow)-2]) // an event for the closed listener
		told.want(t)
		p.nothing()
	})
}

func TestTopicListenerEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*network, *Session, *peer, int64) *peer
		want error
		told []string
	}{
		{"server", func(_ *network, _ *Session, p *peer, id int64) *peer {
			p.refuse(id, wire.CodeAccessDenied, "Access denied")
			return p
		}, ErrPermissionDenied, []string{"ADDED below: x"}},
		{"loss", func(n *network, _ *Session, p *peer, _ int64) *peer {
			p.cut()
			return n.next().code(wire.ReconnectedWithLoss)
		}, ErrMessageLoss, []string{"ADDED below: x"}},
		{"session", func(n *network, s *Session, p *peer, _ int64) *peer {
			n.closeSession(s, p)
			return nil
		}, ErrClosedByClient, []string{"ADDED below: x"}},
		{"slow", func(n *network, s *Session, p *peer, id int64) *peer {
			for range 4 {
				p.send(service.DescendantEvent.AppendRequest(nil, 0, service.DescendantNotification{Listener: id, Path: "y"}))
			}
			if m := p.receive(); m.Service != service.NotificationDeregistration.ID {
				n.t.Errorf("client sent %d", m.Service)
			} else {
				p.answer(m.Conversation, &flowMessage{})
			}
			return p
		}, ErrSlowListener, []string{"ADDED below: x", "ADDED below: y", "ADDED below: y"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inNetwork(t, func(t *testing.T, n *network) {
				s, p := n.openAt(7)
				var told journal
				var reason error
				proceed := make(chan struct{})
				_, err := s.Topics().AddListener(TopicListener{
					OnNotification: func(n TopicNotification) { <-proceed; told.notification(n) },
					OnClose:        func(err error) { reason = err; told.add("close") },
					Buffer:         2,
				})
				if err != nil {
					t.Fatal(err)
				}
				p.send(service.DescendantEvent.AppendRequest(nil, 0, service.DescendantNotification{Listener: 7, Path: "x"}))
				synctest.Wait()
				p = c.end(n, s, p, 7)
				synctest.Wait()
				close(proceed)
				told.want(t, append(c.told, "close")...)
				if !errors.Is(reason, c.want) {
					t.Errorf("closed with %v, want %v", reason, c.want)
				}
				if p != nil {
					n.closeSession(s, p)
				}
				if _, err := s.Topics().AddListener(TopicListener{}); err == nil {
					t.Error("a closed session takes a listener")
				}
			})
		})
	}
}

func TestTopicListenerBadEvent(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(313)
		defer n.closeSession(s, p)
		var told journal
		l, err := s.Topics().AddListener(TopicListener{OnNotification: told.notification})
		if err != nil {
			t.Fatal(err)
		}
		flow := readFlows(t)["topic notifications: event with unknown type 4"]
		if err := do(t, func() error { return l.Select(t.Context(), "?a//") }, func() { flow = p.play(flow) }); err != nil {
			t.Error(err)
		}
		p.play(flow)
		told.want(t, "ADDED below: x")
	})
}

func TestNotifications(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(1)
		defer n.closeSession(s, p)
		var got []string
		done := make(chan struct{})
		go func() {
			defer close(done)
			for event, err := range Notifications(t.Context(), s, "a", "b") {
				got = append(got, fmt.Sprint(event.Path, err))
				if len(got) == 2 {
					break
				}
			}
			for _, err := range Notifications(t.Context(), s, "c") {
				got = append(got, fmt.Sprint(errors.Is(err, ErrPermissionDenied)))
			}
		}()
		selecting := p.receive()
		for _, path := range []string{"a", "b"} {
			p.send(service.DescendantEvent.AppendRequest(nil, 0, service.DescendantNotification{Listener: 1, Path: path}))
		}
		p.answer(selecting.Conversation, &flowMessage{})
		for range 3 { // the end of the first, the beginning and the end of the second
			switch m := p.receive(); m.Service {
			case service.NotificationDeregistration.ID:
				p.answer(m.Conversation, &flowMessage{})
			case service.NotificationSelection.ID:
				p.refuse(m.Conversation, wire.CodeAccessDenied, "denied")
			default:
				t.Errorf("client sent %d", m.Service)
			}
		}
		<-done
		if got := strings.Join(got, " "); got != "a<nil> b<nil> true" {
			t.Errorf("yielded %s", got)
		}

		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		for _, err := range Notifications(ctx, s, "a") {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("yielded %v", err)
			}
		}
		p.answer(p.receive().Conversation, &flowMessage{}) // closes what was never selected: the server ignores it
	})
}

func TestMissingTopicFlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(191)
		defer n.closeSession(s, p)
		flow := readFlows(t)["missing topic handler: register, notify, deregister"]
		var told journal
		var h *MissingTopicHandle
		err := do(t, func() (err error) {
			h, err = s.Topics().AddMissingTopicHandler(t.Context(), "a/b", MissingTopicHandler{
				OnMissingTopic: func(m MissingTopic) {
					told.add("%s %s %s %s %v", m.Path, m.Selector, m.SessionID, m.Properties["$Principal"], m.Servers)
				},
				OnClose: func(err error) { told.add("close %v", err) },
			})
			return err
		}, func() { flow = p.play(flow) })
		if err != nil {
			t.Fatal(err)
		}
		missing := func(m *flowMessage) {
			t.Helper()
			p.send(append(wire.AppendRequest(nil, m.Service, 5), m.body(t)...))
			if got := p.receive(); got.Type != wire.TypeResponse || got.Conversation != 5 || !bytes.Equal(got.Body, []byte{1}) {
				t.Errorf("client answered %s %d %x", got.Type, got.Conversation, got.Body)
			}
		}
		missing(&flow[0])
		told.want(t, "a/b/c ?a/b/c/.* 1122334455667788-0000000000000009 bob [server1]")
		if err := do(t, func() error { return h.Close(t.Context()) }, func() { flow = p.play(flow[2:]) }); err != nil {
			t.Error(err)
		}
		told.want(t, "close <nil>")
		missing(&flow[0])
		if err := h.Close(t.Context()); err != nil {
			t.Error(err)
		}
		told.want(t)
	})
}

func TestMissingTopicConflict(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(194)
		defer n.closeSession(s, p)
		flow := readFlows(t)["missing topic handler: conflict"]
		err := do(t, func() error {
			_, err := s.Topics().AddMissingTopicHandler(t.Context(), "a/b", MissingTopicHandler{})
			return err
		}, func() { p.play(flow) })
		if !errors.Is(err, ErrHandlerConflict) {
			t.Errorf("error %v", err)
		}
		if len(s.handlers) > 0 {
			t.Error("the handler stays")
		}
	})
}

// A handler that is too slow loses calls, which the server and the session hear
// of; then the session reconnects with loss, and the handler is closed.
func TestMissingTopicSlow(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.openAt(8)
		var told, problems journal
		s.OnError(func(_ *Session, err error) { problems.add("%v", err) })
		proceed := make(chan struct{})
		var h *MissingTopicHandle
		var reason error
		err := do(t, func() (err error) {
			h, err = s.Topics().AddMissingTopicHandler(t.Context(), "a", MissingTopicHandler{
				OnMissingTopic: func(m MissingTopic) { <-proceed; told.add("%s", m.Path) },
				OnClose:        func(err error) { reason = err; told.add("close") },
			})
			return err
		}, func() { p.answer(p.receive().Conversation, &flowMessage{}) })
		if err != nil {
			t.Fatal(err)
		}
		h.handler.inbox.most = 1 // and one is with the callback
		for i, want := range []byte{1, 1, 0} {
			p.send(service.MissingTopic.AppendRequest(nil, 5, service.MissingTopicRequest{
				Selector: fmt.Sprint(">a/", i), Handler: 8,
				Properties: map[string]string{"$SessionId": "1122334455667788-0000000000000009"},
			}))
			if got := p.receive(); !bytes.Equal(got.Body, []byte{want}) {
				t.Errorf("call %d is answered %x", i, got.Body)
			}
			synctest.Wait()
		}
		problems.want(t, "missing topic >a/2: lost, since the handler for a is too slow")
		p.send(service.MissingTopic.AppendRequest(nil, 0, service.MissingTopicRequest{Selector: "a", Handler: 8}))
		synctest.Wait()
		problems.mu.Lock()
		if len(problems.log) != 1 {
			t.Errorf("a call without a session is reported as %q", problems.log)
		}
		problems.mu.Unlock()
		p.cut()
		p = n.next().code(wire.ReconnectedWithLoss)
		close(proceed)
		told.want(t, "a/0", "a/1", "close")
		if !errors.Is(reason, ErrMessageLoss) {
			t.Errorf("closed with %v", reason)
		}
		n.closeSession(s, p)
	})
}

func TestApplyPatch(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		const patch = `[{"op":"add","path":"/price","value":41}]`
		apply := func(play func(wire.Message), opts ...UpdateOption) error {
			return do(t, func() error { return s.Topics().ApplyPatch(t.Context(), "a/b", patch, opts...) },
				func() { play(p.receive()) })
		}
		var failed *PatchError
		err := apply(func(m wire.Message) {
			if want := "\x03a/b\x29" + patch + "\x00"; m.Service != 151 || string(m.Body) != want {
				t.Errorf("client sent %d %q, want %q", m.Service, m.Body, want)
			}
			p.answer(m.Conversation, &flowMessage{Body: "03"})
		})
		if !errors.As(err, &failed) || failed.Operation != 3 || !errors.Is(err, ErrPatchFailed) {
			t.Errorf("error %v", err)
		}
		if err := apply(func(m wire.Message) { p.answer(m.Conversation, &flowMessage{Body: "ffffffff0f"}) }); err != nil {
			t.Error(err)
		}
		err = apply(func(m wire.Message) {
			if m.Body[len(m.Body)-1] != 3 {
				t.Errorf("client sent %x", m.Body)
			}
			p.refuse(m.Conversation, wire.CodeUnsatisfied, "not satisfied")
		}, If(NoValue()))
		if !errors.Is(err, ErrUnsatisfiedConstraint) {
			t.Errorf("error %v", err)
		}
	})
}
