package engine

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A reader is a client that takes messages when the test does, and says in words
// what it got. It complains of what no client could follow.
type reader struct {
	t      testing.TB
	s      *Session
	conn   *fakeConn
	paths  map[int32]string
	values map[int32][]byte
}

func newReader(t testing.TB, e *Engine, principal string) *reader {
	t.Helper()
	s, conn := connect(t, e, principal)
	return &reader{t: t, s: s, conn: conn, paths: map[int32]string{}, values: map[int32][]byte{}}
}

// send passes a request in and leaves what it leads to in the queue.
func (r *reader) send(frame []byte) {
	r.t.Helper()
	if err := r.s.Receive(r.conn, frame); err != nil {
		r.t.Fatalf("receive %x: %v", frame, err)
	}
}

// do passes a request in and returns all that is then there.
func (r *reader) do(frame []byte) []string {
	r.t.Helper()
	r.send(frame)
	return r.take()
}

// expect does as do and compares.
func (r *reader) expect(what string, frame []byte, want ...string) {
	r.t.Helper()
	if got := r.do(frame); !slices.Equal(got, want) {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// expectLater does as expect for a request that is answered when it has been
// worked on elsewhere.
func (r *reader) expectLater(what string, frame []byte, want ...string) {
	r.t.Helper()
	r.send(frame)
	var got []string
	for len(got) < len(want) {
		woken := r.conn.wake()
		if more := r.take(); len(more) > 0 {
			got = append(got, more...)
			continue
		}
		<-woken
	}
	if !slices.Equal(got, want) {
		r.t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// take returns what is queued, but pings.
func (r *reader) take() (got []string) {
	r.t.Helper()
	for {
		messages, end := r.s.Take(r.conn, nil, 1<<20)
		for _, m := range messages {
			if text := r.describe(m.Bytes()); text != "" {
				got = append(got, text)
			}
		}
		if end || len(messages) == 0 {
			return got
		}
	}
}

func (r *reader) describe(frame []byte) string {
	if len(frame) == 1 && frame[0] == byte(wire.TypeAbort) {
		return "abort"
	}
	m, err := wire.ParseMessage(frame)
	if err != nil {
		r.t.Errorf("message %x: %v", frame, err)
	}
	switch m.Type {
	case wire.TypeResponse:
		return fmt.Sprint("answer ", m.Conversation)
	case wire.TypeError:
		return fmt.Sprint("error ", m.Conversation, " ", int(m.Error.Code))
	case wire.TypeTopicValue, wire.TypeTopicDelta:
		path, ok := r.paths[m.Topic]
		value := m.Body
		if m.Type == wire.TypeTopicDelta {
			if value, err = delta.Apply(nil, r.values[m.Topic], m.Body, 1<<20); err != nil {
				r.t.Errorf("delta of %q: %v", path, err)
			}
		}
		if !ok {
			r.t.Errorf("a value of topic %d, which is not announced", m.Topic)
		}
		r.values[m.Topic] = value
		return fmt.Sprintf("value %s %s", path, value[min(1, len(value)):])
	}
	return r.describeRequest(&m)
}

func (r *reader) describeRequest(m *wire.Message) string {
	switch m.Service {
	case service.NotifySubscription.ID:
		q, _ := service.NotifySubscription.ReadRequest(m.Body)
		if slices.Contains(paths(r.paths), q.Path) {
			r.t.Errorf("%q is announced twice", q.Path)
		}
		r.paths[q.Topic] = q.Path
		return "sub " + q.Path
	case service.UnsubscriptionNotification.ID:
		q, _ := service.UnsubscriptionNotification.ReadRequest(m.Body)
		path := r.paths[q.Topic]
		delete(r.paths, q.Topic)
		delete(r.values, q.Topic)
		return fmt.Sprintf("unsub %s %v", path, q.Reason)
	case service.TopicEvent.ID:
		q, _ := service.TopicEvent.ReadRequest(m.Body)
		return fmt.Sprintf("event %d %v %s", q.Listener, q.Kind, q.Path)
	case service.DescendantEvent.ID:
		q, _ := service.DescendantEvent.ReadRequest(m.Body)
		return fmt.Sprintf("below %d %v %s", q.Listener, q.Kind, q.Path)
	case service.MissingTopic.ID:
		q, _ := service.MissingTopic.ReadRequest(m.Body)
		if m.Conversation == 0 || q.Properties["$SessionId"] == "" || q.Properties["$Roles"] == "" || len(q.Servers) != 1 {
			r.t.Errorf("missing topic: conversation %d, %+v", m.Conversation, q)
		}
		return fmt.Sprintf("missing %d %s %s", q.Handler, q.Selector, q.Properties["$Principal"])
	case service.SystemPing.ID:
		return ""
	}
	return fmt.Sprint("request ", m.Service)
}

func paths(m map[int32]string) (all []string) {
	for _, path := range m {
		all = append(all, path)
	}
	return all
}

// reconnectWithLoss makes the session lose messages and connects it anew.
func (r *reader) reconnectWithLoss() {
	r.t.Helper()
	q := request("")
	q.Token, q.OldestClient, q.LastServer = r.s.Token(), 1<<30, 0 // messages that nobody has
	conn := &fakeConn{}
	r.s.Lost(r.conn, ConnectionLost)
	res, s := r.s.engine.Connect(context.Background(), q, here, conn)
	if res.Code != wire.ReconnectedWithLoss || s != r.s {
		r.t.Fatalf("reconnection: %v", res.Code)
	}
	r.conn, r.paths, r.values = conn, map[int32]string{}, map[int32][]byte{}
}

func text(s string) []byte { return append([]byte{byte(0x60 + len(s))}, s...) }

func stringSpec(properties ...string) topic.Specification {
	s := topic.Specification{Type: topic.String}
	for i := 0; i < len(properties); i += 2 {
		if s.Properties == nil {
			s.Properties = map[string]string{}
		}
		s.Properties[properties[i]] = properties[i+1]
	}
	return s
}

// The frames of the commonest requests, by conversation.

func selecting(cid int64, selector string) []byte {
	return service.Subscribe.AppendRequest(nil, cid, service.Selection{Selector: selector})
}

func unselecting(cid int64, selector string) []byte {
	return service.Unsubscribe.AppendRequest(nil, cid, service.Selection{Selector: selector})
}

func adding(cid int64, path string, s topic.Specification) []byte {
	return service.TopicAdd.AppendRequest(nil, cid, service.AddRequest{Path: path, Specification: s})
}

func updating(cid int64, path, value string) []byte {
	return service.SetTopic.AppendRequest(nil, cid, service.SetRequest{Path: path, Type: topic.String, Value: text(value)})
}

func removing(cid int64, selector string) []byte {
	return service.TopicRemoval.AppendRequest(nil, cid, service.Text(selector))
}

func addingAndSetting(cid int64, path string, s topic.Specification, value string) []byte {
	return service.AddAndSetTopic.AppendRequest(nil, cid, service.AddAndSetRequest{Path: path, Specification: s, Value: text(value)})
}

func listening(cid, listener int64, selector string) []byte {
	return service.NotificationSelection.AppendRequest(nil, cid, service.ListenerSelection{Listener: listener, Selector: selector})
}

// TestEffectsBeforeAnswers follows 02 section 9 for each service that has effects
// which the session itself sees.
func TestEffectsBeforeAnswers(t *testing.T) {
	e := newEngine(t, nil)
	r := newReader(t, e, "control")
	r.expect("listen", listening(1, 7, "?a//"), "answer 1")
	r.expect("select nothing", selecting(2, "?a//"), "answer 2")
	r.expect("add", adding(3, "a", stringSpec()), "sub a", "event 7 ADDED a", "answer 3")
	r.expect("add again", adding(4, "a", stringSpec()), "answer 4")
	r.expect("set", updating(5, "a", "1"), "value a 1", "answer 5")
	r.expect("equal set", updating(6, "a", "1"), "answer 6")
	r.expect("add and set", addingAndSetting(7, "a/b", stringSpec(), "1"), "sub a/b", "value a/b 1", "event 7 ADDED a/b", "answer 7")
	r.expect("add and set, not retained", addingAndSetting(8, "a/n", stringSpec(topic.DontRetainValue, "true"), "1"),
		"sub a/n", "event 7 ADDED a/n", "value a/n 1", "answer 8")
	r.expect("unlisten", service.NotificationDeselection.AppendRequest(nil, 9, service.ListenerSelection{Listener: 7, Selector: ">a/b"}), "event 7 DESELECTED a/b", "answer 9")
	r.expect("listen to what is there", listening(10, 8, ">a"), "event 8 SELECTED a", "below 8 SELECTED a/b", "below 8 SELECTED a/n", "answer 10")
	for i := range 2 { // clients ask twice
		cid := int64(11 + i)
		r.expect("close listener", service.NotificationDeregistration.AppendRequest(nil, cid, 8), fmt.Sprint("answer ", cid))
	}
	r.expect("unselect", unselecting(13, ">a/b"), "unsub a/b REQUESTED", "answer 13")
	r.expect("select again", selecting(14, ">a/b"), "sub a/b", "value a/b 1", "answer 14")
	r.expect("open stream", service.CreateStreamAndSet.AppendRequest(nil, 15, service.SetRequest{Path: "a", Type: topic.String, Value: text("2")}), "value a 2", "answer 15")
	id := e.tree.Get("a").ID()
	stream := service.StreamID{Topic: id, Instance: 1}
	r.expect("stream set", service.StreamSet.AppendRequest(nil, 16, service.StreamRequest{ID: stream, Bytes: text("3")}), "value a 3", "answer 16")
	r.expect("stream delta", service.StreamApplyDelta.AppendRequest(nil, 17, service.StreamRequest{ID: stream, Bytes: delta.Diff(text("3"), text("34"))}), "value a 34", "answer 17")
	r.expect("stream add and set", service.StreamAddAndSet.AppendRequest(nil, 18, service.AddAndSetRequest{Path: "a/s", Specification: stringSpec(), Value: text("1")}),
		"sub a/s", "value a/s 1", "event 7 ADDED a/s", "answer 18")
	r.expect("patch", service.AddAndSetTopic.AppendRequest(nil, 19, service.AddAndSetRequest{Path: "a/j", Specification: topic.Specification{Type: topic.JSON}, Value: text("1")}),
		"sub a/j", "value a/j 1", "event 7 ADDED a/j", "answer 19")
	r.expect("patch", service.ApplyJSONPatch.AppendRequest(nil, 20, service.PatchRequest{Path: "a/j", Patch: `[{"op":"replace","path":"","value":"2"}]`}), "value a/j 2", "answer 20")
	series := topic.Specification{Type: topic.TimeSeries, Properties: map[string]string{topic.TimeSeriesEventValueType: "string"}}
	r.expect("add series", adding(21, "a/t", series), "sub a/t", "event 7 ADDED a/t", "answer 21")
	if got := r.do(service.TimeSeriesAppend.AppendRequest(nil, 22, service.AppendRequest{Path: "a/t", DataType: "string", Value: text("1")})); len(got) != 2 || got[1] != "answer 22" {
		t.Errorf("append: %q", got)
	}
	r.expect("remove", removing(23, "a"), "unsub a REMOVED", "event 7 REMOVED a", "answer 23")
	r.expect("error", updating(24, "a", "1"), "error 24 9000")
	r.expect("stream of what is gone", service.StreamSet.AppendRequest(nil, 25, service.StreamRequest{ID: stream, Bytes: text("3")}), "error 25 9013")
	if got := r.do(service.UnsubscribeAll.AppendRequest(nil, 26, "?.*//")); len(got) != 6 || got[5] != "answer 26" {
		t.Errorf("unsubscribe all: %q", got)
	}
}

// TestOwner follows 12 section 12.3: the owner reads, modifies and updates its
// topic, and no other principal does; it selects only what its roles let it.
func TestOwner(t *testing.T) {
	e := newEngine(t, nil)
	owned := stringSpec(topic.Owner, `$Principal is "client"`)
	control := newReader(t, e, "control")
	for i, path := range []string{"owned", "owned/more", "other"} {
		s := owned
		if path == "other" {
			s = stringSpec(topic.Owner, `$Principal is 'operator'`)
		}
		control.expect("add", addingAndSetting(int64(i+1), path, s, "1"), fmt.Sprint("answer ", i+1))
	}
	denied := func(cid int64) string { return fmt.Sprint("error ", cid, " 103") }
	r := newReader(t, e, "client")
	r.expect("set", updating(1, "/owned/", "2"), "answer 1")
	r.expect("set of another's", updating(2, "other", "2"), denied(2))
	r.expect("set below", updating(3, "owned/more", "2"), "answer 3")
	r.expect("set of none", updating(4, "owned/none", "2"), denied(4))
	r.expect("add", adding(5, "owned", owned), "answer 5")
	r.expect("add and set", addingAndSetting(6, "owned", owned, "3"), "answer 6")
	r.expect("add of another", adding(7, "owned/new", owned), denied(7))
	r.expect("stream", service.CreateStreamAndSet.AppendRequest(nil, 8, service.SetRequest{Path: "owned", Type: topic.String, Value: text("4")}), "answer 8")
	stream := service.StreamID{Topic: e.tree.Get("owned").ID(), Instance: 1}
	r.expect("stream set", service.StreamSet.AppendRequest(nil, 9, service.StreamRequest{ID: stream, Bytes: text("5")}), "answer 9")

	operator := newReader(t, e, "operator")
	operator.expect("another's stream", service.StreamSet.AppendRequest(nil, 1, service.StreamRequest{ID: stream, Bytes: text("6")}), "error 1 9013")
	operator.expect("another's topic", updating(2, "owned", "6"), denied(2))
	operator.expect("removes its own only", removing(3, "?.*//"), "answer 3")
	if e.tree.Get("other") != nil || e.tree.Len() != 2 {
		t.Errorf("%d topics are left", e.tree.Len())
	}
	change := service.ChangePrincipal.AppendRequest(nil, 10, service.PrincipalRequest{Principal: "operator", Credentials: wire.Password("password")})
	r.expectLater("another principal", change, "answer 10")
	r.expect("the stream went with the permission", service.StreamSet.AppendRequest(nil, 11, service.StreamRequest{ID: stream, Bytes: text("6")}), "error 11 9013")
	r.expect("so did the topic", updating(12, "owned", "6"), denied(12))

	for _, bad := range []string{"client", `$Principal is client`, `$Principal eq "client"`, `$Principal is ""x`} {
		control.expect(bad, adding(9, "bad", stringSpec(topic.Owner, bad)), "error 9 9006")
	}
}

// TestOwnerReads checks that the owner of a topic reads it where its roles do
// not let it, and still needs SELECT_TOPIC.
func TestOwnerReads(t *testing.T) {
	e := newEngine(t, nil)
	mine := stringSpec(topic.Owner, `$Principal is "client"`)
	control := newReader(t, e, "control")
	control.do(addingAndSetting(1, "mine", mine, "1"))
	n := e.tree.Get("mine")
	r := newReader(t, e, "client")
	id := *r.s.identity.Load()
	id.grant = e.cfg.Policies.Policy().Resolve(nil) // no permissions at all
	r.s.identity.Store(&id)
	if !r.s.CanRead(n) {
		t.Error("the owner may not read its topic")
	}
	r.expect("select without SELECT_TOPIC", selecting(1, "mine"), "error 1 103")
	r.expect("fetch without SELECT_TOPIC", service.FetchQuery.AppendRequest(nil, 2, service.Query{Selector: "mine"}), "error 2 103")
	id.principal = "somebody"
	r.s.identity.Store(&id)
	if r.s.CanRead(n) {
		t.Error("another without permissions may read it")
	}
}

// TestSessionEnds checks that what a session registered ends with it, and that its
// topics and their values stay.
func TestSessionEnds(t *testing.T) {
	e := newEngine(t, nil)
	r := newReader(t, e, "control")
	r.do(listening(1, 1, "?.*//"))
	r.do(selecting(2, "?.*//"))
	r.do(service.TopicControlRegistration.AppendRequest(nil, 3, service.PathRegistration{
		PathDeregistration: service.PathDeregistration{Definition: service.MissingTopic.ID, Group: service.DefaultGroup, Path: "m"}}))
	r.do(service.StreamAddAndSet.AppendRequest(nil, 4, service.AddAndSetRequest{Path: "a", Specification: stringSpec(), Value: text("1")}))
	stream := r.s.registrations.streams[service.StreamID{Topic: e.tree.Get("a").ID(), Instance: 1}]
	if stream == nil || !stream.Valid() {
		t.Fatal("no stream")
	}
	r.s.Close(ClosedByClient)
	e.finished.Wait()
	if stream.Valid() || e.missing.find("m") != nil || e.tree.Get("a") == nil {
		t.Errorf("stream valid %v, handler %v", stream.Valid(), e.missing.find("m"))
	}
	if got := r.take(); !bytes.Equal([]byte(fmt.Sprint(got)), []byte("[abort]")) {
		t.Errorf("got %q", got)
	}
}
