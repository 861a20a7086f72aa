package engine

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// queued is how many messages fit into the queues of these tests.
const queued = 50

func pressureEngine(t *testing.T) *Engine {
	return newEngine(t, func(c *Config) {
		c.Queue = outbox.Limits{Messages: queued, Bytes: 1 << 20, RecoveryMessages: 1000, RecoveryBytes: 1 << 20}
	})
}

// publish sets a topic n times, which gives it the values 0 to n-1.
func publish(t testing.TB, control *reader, path string, n int) {
	t.Helper()
	for i := range n {
		control.expect("set", updating(1, path, fmt.Sprint(i)), "answer 1")
	}
}

// of returns what is about a path.
func of(got []string, path string) (about []string) {
	for _, text := range got {
		if kind, rest, _ := strings.Cut(text, " "); rest == path || strings.HasPrefix(rest, path+" ") {
			about = append(about, kind+strings.TrimPrefix(rest, path))
		}
	}
	return about
}

// TestConflation follows 12 section 12.3 through sessions: what becomes of the
// updates for a client that takes nothing.
func TestConflation(t *testing.T) {
	for _, c := range []struct {
		conflation string
		updates    int
		want       string // of the topic, when the client takes again
		ends       bool   // or its session does
	}{
		{"conflate", queued - 1, "all", false},
		{"conflate", 10 * queued, "latest", false},
		{"off", queued - 1, "all", false},
		{"off", queued + 1, "", true},
		{"always", 3, "latest", false},
		{"always", 10 * queued, "latest", false},
		{"unsubscribe", queued - 1, "all", false},
		{"unsubscribe", 10 * queued, "unsubscribed", false},
		{"", 10 * queued, "latest", false},
	} {
		e := pressureEngine(t)
		control, slow := newReader(t, e, "control"), newReader(t, e, "client")
		s := stringSpec()
		if c.conflation != "" {
			s = stringSpec(topic.Conflation, c.conflation)
		}
		control.do(adding(1, "t", s))
		slow.expect("select", selecting(1, "t"), "sub t", "answer 1")
		publish(t, control, "t", c.updates)
		if c.ends {
			e.finished.Wait()
			if got := slow.take(); !slices.Equal(got, []string{"abort"}) || slow.s.reason != MessageQueueLimitReached {
				t.Errorf("%s, %d updates: %q, closed %v", c.conflation, c.updates, got, slow.s.reason)
			}
			continue
		}
		latest := fmt.Sprint("value ", c.updates-1)
		got := of(slow.take(), "t")
		switch c.want {
		case "all":
			if len(got) != c.updates || got[len(got)-1] != latest {
				t.Errorf("%s, %d updates: %d, the last is %q", c.conflation, c.updates, len(got), got[len(got)-1])
			}
		case "latest":
			if len(got) != 1 || got[0] != latest {
				t.Errorf("%s, %d updates: %q", c.conflation, c.updates, got)
			}
		case "unsubscribed":
			if !slices.Equal(got, []string{"unsub BACK_PRESSURE"}) {
				t.Errorf("%s, %d updates: %q", c.conflation, c.updates, got)
			}
		}
		if c.want == "unsubscribed" {
			slow.expect("after back pressure", selecting(2, "t"), "sub t", "value t "+fmt.Sprint(c.updates-1), "answer 2")
		}
		publish(t, control, "t", 2)
		if got := of(slow.take(), "t"); !slices.Equal(got, []string{"value 0", "value 1"}) && !(c.conflation == "always" && slices.Equal(got, []string{"value 1"})) {
			t.Errorf("%s, %d updates: then %q", c.conflation, c.updates, got)
		}
	}
}

// TestBackPressureUnsubscribes checks that back pressure ends all subscriptions
// that are to end, and those only; that their selections stay; and that each can
// be had again by selecting it, also at once and from another scope.
func TestBackPressureUnsubscribes(t *testing.T) {
	e := pressureEngine(t)
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	for i, path := range []string{"u/1", "u/2", "u/idle", "c/1"} {
		s := stringSpec()
		if path[0] == 'u' {
			s = stringSpec(topic.Conflation, "unsubscribe")
		}
		control.do(addingAndSetting(int64(i+1), path, s, "first"))
	}
	slow.do(selecting(1, "?u//"))
	slow.do(selecting(2, "?c//"))
	control.do(updating(1, "u/1", "pending"))
	control.do(updating(1, "u/2", "pending"))
	publish(t, control, "c/1", 3*queued)
	publish(t, control, "u/2", 3)
	slow.send(service.Subscribe.AppendRequest(nil, 3, service.Selection{Selector: "u/1", Scope: "again"}))
	got := slow.take()
	if want := []string{"unsub BACK_PRESSURE", "sub", "value pending"}; !slices.Equal(of(got, "u/1"), want) {
		t.Errorf("u/1: %q, want %q", of(got, "u/1"), want)
	}
	if want := []string{"unsub BACK_PRESSURE"}; !slices.Equal(of(got, "u/2"), want) {
		t.Errorf("u/2: %q, want %q", of(got, "u/2"), want)
	}
	if len(of(got, "u/idle")) != 0 || !slices.Contains(got, fmt.Sprint("value c/1 ", 3*queued-1)) {
		t.Errorf("others: %q", got)
	}
	control.do(addingAndSetting(1, "u/new", stringSpec(), "1"))
	control.do(updating(1, "u/2", "quiet"))
	if got, want := slow.take(), []string{"sub u/new", "value u/new 1"}; !slices.Equal(got, want) {
		t.Errorf("the selection goes on: %q, want %q", got, want)
	}
	slow.expect("selecting all", selecting(4, "?u//"), "sub u/2", "value u/2 quiet", "answer 4")
	control.do(removing(1, "?u//"))
	if got := slow.take(); len(got) != 4 {
		t.Errorf("removed: %q", got)
	}
}

// TestTidy checks what becomes of pending updates of a topic that is unsubscribed.
func TestTidy(t *testing.T) {
	for tidy, want := range map[string][]string{
		"true":  {"unsub a REQUESTED", "answer 2"},
		"false": {"value a 1", "value a 2", "unsub a REQUESTED", "answer 2"},
	} {
		e := newEngine(t, nil)
		control, slow := newReader(t, e, "control"), newReader(t, e, "client")
		control.do(addingAndSetting(1, "a", stringSpec(topic.TidyOnUnsubscribe, tidy), "0"))
		slow.do(selecting(1, "a"))
		control.do(updating(2, "a", "1"))
		control.do(updating(3, "a", "2"))
		slow.expect("tidy "+tidy, unselecting(2, "a"), want...)
		slow.expect("again", selecting(3, "a"), "sub a", "value a 2", "answer 3")
	}
}

// TestPriorities checks that the messages of topics overtake by priority, that
// those of one topic do not, and that answers are in the middle.
func TestPriorities(t *testing.T) {
	e := newEngine(t, nil)
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	for i, priority := range []string{"low", "default", "high"} {
		control.do(addingAndSetting(int64(i+1), priority, stringSpec(topic.Priority, priority), "0"))
	}
	slow.expect("select", selecting(1, "?.*//"), "sub high", "value high 0", "sub default", "value default 0", "answer 1", "sub low", "value low 0")
	for _, value := range []string{"1", "2"} {
		for _, path := range []string{"low", "default", "high"} {
			control.do(updating(1, path, value))
		}
	}
	slow.send(unselecting(2, "low"))
	control.do(removing(1, "low"))
	control.do(addingAndSetting(2, "low", stringSpec(topic.Priority, "high"), "3"))
	slow.send(selecting(3, "low"))
	got := slow.take()
	if want := []string{"value 1", "value 2", "unsub REQUESTED", "sub", "value 3"}; !slices.Equal(of(got, "low"), want) {
		t.Errorf("a topic that changed its priority: %q, want %q", of(got, "low"), want)
	}
	if slices.Index(got, "value high 2") > slices.Index(got, "value default 1") || slices.Index(got, "value default 2") > slices.Index(got, "answer 2") {
		t.Errorf("got %q", got)
	}
}

// TestSeriesIsNeverConflated checks that events are not merged, and that the
// session for which there are too many ends.
func TestSeriesIsNeverConflated(t *testing.T) {
	e := pressureEngine(t)
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	control.do(adding(1, "ts", topic.Specification{Type: topic.TimeSeries, Properties: map[string]string{topic.TimeSeriesEventValueType: "string"}}))
	slow.do(selecting(1, "ts"))
	event := service.TimeSeriesAppend.AppendRequest(nil, 2, service.AppendRequest{Path: "ts", DataType: "string", Value: text("x")})
	for range queued {
		control.do(event)
	}
	if got := slow.take(); len(got) != queued {
		t.Errorf("%d events, want %d", len(got), queued)
	}
	for range queued + 1 {
		control.do(event)
	}
	e.finished.Wait()
	if !slow.s.Over() || slow.s.reason != MessageQueueLimitReached {
		t.Errorf("closed: %v, %v", slow.s.Over(), slow.s.reason)
	}
	if got := control.do(event); !slices.Equal(got, []string{"answer 2"}) {
		t.Errorf("the publisher got %q", got)
	}
}

// TestDisconnectedSessionConflates checks that the queue of a session without
// connection keeps to its limits, and that a reconnection without loss gets the
// newest values.
func TestDisconnectedSessionConflates(t *testing.T) {
	e := pressureEngine(t)
	control, away := newReader(t, e, "control"), newReader(t, e, "client")
	for _, path := range []string{"c/1", "c/2", "u/1"} {
		s := stringSpec()
		if path[0] == 'u' {
			s = stringSpec(topic.Conflation, "unsubscribe")
		}
		control.do(addingAndSetting(1, path, s, "first"))
	}
	away.do(selecting(1, "?.*//"))
	seen := int64(7) // sub and value of each topic, answer
	away.s.Lost(away.conn, ConnectionLost)
	publish(t, control, "c/1", 3*queued)
	publish(t, control, "u/1", 3*queued)
	publish(t, control, "c/2", 3*queued)
	q := request("client")
	q.Token, q.OldestClient, q.LastServer = away.s.Token(), 1, seen
	away.conn = &fakeConn{}
	if res, _ := e.Connect(context.Background(), q, here, away.conn); res.Code != wire.Reconnected {
		t.Fatalf("reconnection: %v", res.Code)
	}
	got := away.take()
	latest := fmt.Sprint("value ", 3*queued-1)
	for _, path := range []string{"c/1", "c/2"} {
		if about := of(got, path); len(about) == 0 || len(about) > queued || about[len(about)-1] != latest {
			t.Errorf("%s: %q", path, about)
		}
	}
	if about := of(got, "u/1"); !slices.Equal(about, []string{"unsub BACK_PRESSURE"}) {
		t.Errorf("u/1: %q", about)
	}
}

// TestBytesEndASession checks the limit in bytes, which conflation cannot meet
// when the latest values alone are too much.
func TestBytesEndASession(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.Queue = outbox.Limits{Messages: 1000, Bytes: 10_000} })
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	value := func(n byte) []byte {
		return append([]byte{0x79, 0x0b, 0xb8}, strings.Repeat(string(rune('a'+n)), 3000)...)
	}
	for i := range byte(3) {
		control.do(service.AddAndSetTopic.AppendRequest(nil, 1, service.AddAndSetRequest{Path: fmt.Sprint("t/", i), Specification: stringSpec(topic.Compression, "off"), Value: value(i)}))
	}
	slow.do(selecting(1, "?t//"))
	for i := range byte(20) {
		control.do(service.SetTopic.AppendRequest(nil, 1, service.SetRequest{Path: "t/0", Type: topic.String, Value: value(i)}))
	}
	if slow.s.Over() {
		t.Fatal("conflation helps, and the session was closed")
	}
	for i := range byte(4) {
		control.do(service.AddAndSetTopic.AppendRequest(nil, 1, service.AddAndSetRequest{Path: fmt.Sprint("t/", i), Specification: stringSpec(topic.Compression, "off"), Value: value(20)}))
	}
	e.finished.Wait()
	if !slow.s.Over() || slow.s.reason != MessageQueueLimitReached {
		t.Errorf("closed: %v, %v", slow.s.Over(), slow.s.reason)
	}
}
