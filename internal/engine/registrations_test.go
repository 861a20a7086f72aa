package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func handling(cid int64, path string, handler int64) []byte {
	return service.TopicControlRegistration.AppendRequest(nil, cid, service.PathRegistration{
		PathDeregistration: service.PathDeregistration{Definition: service.MissingTopic.ID, Group: service.DefaultGroup, Path: path}, Handler: handler})
}

func unhandling(cid int64, group, path string) []byte {
	return service.TopicControlDeregistration.AppendRequest(nil, cid, service.PathDeregistration{Definition: service.MissingTopic.ID, Group: group, Path: path})
}

// TestMissingTopics follows 22 section 4.
func TestMissingTopics(t *testing.T) {
	e := newEngine(t, nil)
	first, second, client := newReader(t, e, "control"), newReader(t, e, "admin"), newReader(t, e, "client")
	first.expect("register", handling(1, "/a/", 11), "answer 1")
	first.expect("register below", handling(2, "a/b", 12), "answer 2")
	second.expect("conflict with another session", handling(1, "a/b", 21), "error 1 200")
	first.expect("conflict with itself", handling(3, "a", 13), "error 3 200")
	second.expect("register below that", handling(2, "a/b/c", 22), "answer 2")
	second.expect("not a path", handling(3, "a//b", 23), "error 3 202")
	client.expect("without permission", handling(1, "x", 1), "error 1 103")
	first.do(adding(4, "a/topic", stringSpec()))

	for selector, want := range map[string]string{
		">a":                       "first 11",
		">a/x":                     "first 11",
		"?a/b/":                    "first 12",
		"?a/b/.*":                  "first 12",
		">a/bc":                    "first 11",
		"?a/b/c/.*":                "second 22",
		">a/b/c/d/e":               "second 22",
		"?a/b/(c|d)/e":             "first 12",
		"#>a/b/c////>a/b/d":        "first 12",
		"#>a/b/c////?a/b/c/d/.*//": "second 22",
		"#>a/x////>b":              "",
		">b":                       "",
		">ab":                      "",
		"?.*/nothing/here/at/all":  "",
		"?a//":                     "", // there is a topic
		"#>a/topic////>a/none":     "",
	} {
		if got := client.do(selecting(5, selector)); len(got) == 0 || got[len(got)-1] != "answer 5" {
			t.Errorf("%s: %q", selector, got)
		}
		var got []string
		for _, event := range first.take() {
			got = append(got, "first "+strings.TrimPrefix(event, "missing "))
		}
		for _, event := range second.take() {
			got = append(got, "second "+strings.TrimPrefix(event, "missing "))
		}
		if want != "" {
			want += " " + selector + " client"
		}
		if strings.Join(got, ", ") != want {
			t.Errorf("%s: told %q, want %q", selector, got, want)
		}
		client.do(service.UnsubscribeAll.AppendRequest(nil, 6, "?.*//"))
	}

	first.expect("another group", unhandling(7, "other", "a/b"), "answer 7")
	client.do(selecting(8, ">a/b/x"))
	if got := first.take(); len(got) != 1 {
		t.Errorf("deregistration of another group: %q", got)
	}
	for cid := range int64(2) {
		first.expect("deregister", unhandling(10+cid, "default", "/a/b"), fmt.Sprint("answer ", 10+cid))
		second.expect("deregister another's", unhandling(10+cid, "default", "a"), fmt.Sprint("answer ", 10+cid))
	}
	client.do(selecting(9, ">a/b/y"))
	first.expect("the next above, when nobody is below", updating(12, "a/topic", "1"), "missing 11 >a/b/y client", "answer 12")
	first.expect("its own selections too", selecting(13, ">a/z"), "missing 11 >a/z control", "answer 13")
	second.expect("the whole tree", handling(14, "", 24), "answer 14")
	client.do(selecting(15, ">elsewhere"))
	second.expect("the whole tree", updating(16, "a/topic", "2"), "missing 24 >elsewhere client", "answer 16")

	// The usual reaction: the topic is added, and the selection gets it.
	first.do(adding(17, "a/z", stringSpec()))
	client.expect("added then", selecting(18, ">a/z"), "sub a/z", "answer 18")

	second.s.Close(ClosedByClient)
	e.finished.Wait()
	client.expect("the session of the handler has ended", selecting(19, ">a/b/c/d"), "answer 19")
	first.expect("the next above", updating(20, "a/topic", "3"), "missing 11 >a/b/c/d client", "answer 20")
	first.reconnectWithLoss()
	first.take()
	client.do(selecting(21, ">a/b/c/e"))
	if got := first.take(); len(got) != 0 || len(e.missing.byPath) != 0 {
		t.Errorf("after a loss: %q, handlers %v", got, e.missing.byPath)
	}
	first.expect("free again", handling(22, "a", 31), "answer 22")
}

// TestLossDropsRegistrations follows 35 section 4 and 21 section 8: after a
// reconnection with loss the selections are there, announced anew, and all else
// is gone.
func TestLossDropsRegistrations(t *testing.T) {
	e := newEngine(t, nil)
	r, other := newReader(t, e, "control"), newReader(t, e, "admin")
	other.do(addingAndSetting(1, "a", stringSpec(), "1"))
	other.do(addingAndSetting(2, "b", stringSpec(), "1"))
	r.do(selecting(1, "?a//"))
	r.do(listening(2, 7, "?.*//"))
	r.do(handling(3, "m", 8))
	r.do(service.CreateStreamAndSet.AppendRequest(nil, 4, service.SetRequest{Path: "b", Type: topic.String, Value: text("2")}))
	stream := service.StreamID{Topic: e.tree.Get("b").ID(), Instance: 1}
	r.do(service.CheckStream.AppendRequest(nil, 5, stream))
	r.reconnectWithLoss()
	if got, want := r.take(), []string{"sub a", "value a 1"}; !slices.Equal(got, want) {
		t.Errorf("after a loss: %q, want %q", got, want)
	}
	r.expect("the stream is gone", service.CheckStream.AppendRequest(nil, 6, stream), "error 6 9013")
	other.do(addingAndSetting(3, "a/c", stringSpec(), "1"))
	other.do(addingAndSetting(4, "c", stringSpec(), "1"))
	if got, want := r.take(), []string{"sub a/c", "value a/c 1"}; !slices.Equal(got, want) {
		t.Errorf("the selection goes on, the listener does not: %q, want %q", got, want)
	}
	r.expect("the listener's conversation is free", listening(7, 7, ">c"), "event 7 SELECTED c", "answer 7")
	if n := len(r.s.registrations.listeners); n != 1 {
		t.Errorf("%d listeners", n)
	}
}

// TestStreamsBelongToSessions checks that no session can use another's stream,
// and that a session does not hold on to streams that ended.
func TestStreamsBelongToSessions(t *testing.T) {
	e := newEngine(t, nil)
	r, other := newReader(t, e, "control"), newReader(t, e, "admin")
	r.do(service.StreamAddAndSet.AppendRequest(nil, 1, service.AddAndSetRequest{Path: "a", Specification: stringSpec(), Value: text("1")}))
	stream := service.StreamID{Topic: e.tree.Get("a").ID(), Instance: 1}
	for _, frame := range [][]byte{
		service.CheckStream.AppendRequest(nil, 2, stream),
		service.StreamSet.AppendRequest(nil, 2, service.StreamRequest{ID: stream, Bytes: text("2")}),
		service.StreamApplyDelta.AppendRequest(nil, 2, service.StreamRequest{ID: stream, Bytes: []byte{0xf6}}),
	} {
		other.expect("another's stream", frame, "error 2 9013")
	}
	r.expect("which is still valid", service.CheckStream.AppendRequest(nil, 3, stream), "answer 3")
	for i := range 10_000 {
		r.do(service.CreateStream.AppendRequest(nil, int64(i+4), service.CreateStreamRequest{Path: "a", Type: topic.String}))
	}
	if n := len(r.s.registrations.streams); n > 2*minSweep {
		t.Errorf("the session holds %d streams, of which one is valid", n)
	}
	r.expect("the first", service.CheckStream.AppendRequest(nil, 3, stream), "error 3 9013")
	stream.Instance = 10_001
	r.expect("the latest", service.CheckStream.AppendRequest(nil, 3, stream), "answer 3")
}

// TestListenersOfASession checks how many there can be, and that an error of one
// does not hurt others.
func TestListenersOfASession(t *testing.T) {
	e := newEngine(t, nil)
	r := newReader(t, e, "client")
	for i := range int64(maxListeners) {
		r.expect("listen", listening(1, i, "?a//"), "answer 1")
	}
	r.expect("one more", listening(2, maxListeners, "?a//"), "error 2 106")
	r.expect("not a selector", listening(3, 1, "?["), "error 3 106")
	r.expect("deselect for none", service.NotificationDeselection.AppendRequest(nil, 4, service.ListenerSelection{Listener: -1, Selector: "a"}), "answer 4")
	r.expect("close one", service.NotificationDeregistration.AppendRequest(nil, 5, 3), "answer 5")
	r.expect("then another", listening(6, maxListeners, "?b//"), "answer 6")
	newReader(t, e, "control").do(adding(1, "b", stringSpec()))
	if got := r.take(); !slices.Equal(got, []string{fmt.Sprint("event ", maxListeners, " ADDED b")}) {
		t.Errorf("got %q", got)
	}
}

// TestHandlerAnswersAfterReconnection checks that an answer to a request which a
// JavaScript client has only got with the reconnection is not taken for one that
// it sends again, after which its next reconnection would be with loss.
func TestHandlerAnswersAfterReconnection(t *testing.T) {
	e := newEngine(t, nil)
	r, client := newReader(t, e, "control"), newReader(t, e, "client")
	r.do(handling(1, "m", 7))
	r.s.Lost(r.conn, ConnectionLost)
	client.do(selecting(1, ">m/1"))
	client.do(selecting(2, ">m/2"))
	reconnect := func(oldest, last int64) wire.ResponseCode {
		q := request("control")
		q.Token, q.OldestClient, q.LastServer = r.s.Token(), oldest, last
		r.conn = &fakeConn{}
		res, _ := e.Connect(context.Background(), q, here, r.conn)
		return res.Code
	}
	if code := reconnect(1, 1); code != wire.Reconnected {
		t.Fatal(code)
	}
	if got, want := r.take(), []string{"missing 7 >m/1 client", "missing 7 >m/2 client"}; !slices.Equal(got, want) {
		t.Fatalf("got %q, want %q", got, want)
	}
	r.send(service.MissingTopic.AppendResponse(nil, 1, true))
	r.send(service.MissingTopic.AppendResponse(nil, 2, true))
	if code := reconnect(1, 3); code != wire.Reconnected {
		t.Errorf("the second reconnection: %v", code)
	}
}
