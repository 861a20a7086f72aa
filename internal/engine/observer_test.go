package engine

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/filter"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// quiet waits until all events are told.
func quiet(e *Engine) {
	os := e.observers
	os.mu.Lock()
	defer os.mu.Unlock()
	for os.running {
		os.moved.Wait()
	}
}

// observed takes what is queued and returns the events of each listener.
func observed(t testing.TB, s *Session, conn Conn) map[int64][]service.SessionEvent {
	t.Helper()
	quiet(s.engine)
	return observedNow(t, s, conn)
}

// observedNow is observed without waiting.
func observedNow(t testing.TB, s *Session, conn Conn) map[int64][]service.SessionEvent {
	t.Helper()
	all := map[int64][]service.SessionEvent{}
	messages, _ := s.Take(conn, nil, 1<<30)
	for _, m := range messages {
		p, _ := wire.ParseMessage(m.Bytes())
		if p.Type != wire.TypeRequest || p.Service != service.SessionPropertiesEvent.ID {
			continue
		}
		batch, err := service.SessionPropertiesEvent.ReadRequest(p.Body)
		if err != nil || p.Conversation != 0 || len(batch.Events) == 0 {
			t.Fatalf("events %+v of conversation %d: %v", batch, p.Conversation, err)
		}
		all[batch.Listener] = append(all[batch.Listener], batch.Events...)
	}
	return all
}

// describe writes events briefly.
func describe(events []service.SessionEvent, names map[wire.SessionID]string) string {
	var all []string
	for _, e := range events {
		text := names[e.Session] + " " + e.Type.String()
		switch e.Type {
		case service.SessionUpdated:
			text += " " + e.Update.String()
			for _, c := range e.Changes {
				text += fmt.Sprintf(" %s:%s:%s>%s", c.Key, c.Kind, c.Old, c.New)
			}
		case service.SessionClosed:
			text += " " + e.Reason.String()
		}
		for _, key := range slices.Sorted(maps.Keys(e.Properties)) {
			text += " " + key + "=" + e.Properties[key]
		}
		all = append(all, text)
	}
	return strings.Join(all, "; ")
}

// TestObservers follows sessions through their lives with listeners of both
// generations.
func TestObservers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil)
		control, conn := connect(t, e, "control")
		time.Sleep(time.Millisecond)
		start := time.Now().UnixMilli()
		time.Sleep(time.Millisecond)
		a, aConn := connect(t, e, "client")
		setProperties(t, a, "Tier", "free")
		gold := "Tier is 'gold'"
		receive(t, control, conn,
			service.SessionPropertiesRegistration.AppendRequest(nil, 1, service.PropertiesListener{Listener: 81}),
			service.SessionPropertiesRegistration.AppendRequest(nil, 2, service.PropertiesListener{Listener: 82, Keys: []string{"Tier", "$Principal"}}),
			service.SessionEventRegistration.AppendRequest(nil, 3, service.EventListener{Listener: 1}),
			service.SessionEventRegistration.AppendRequest(nil, 4, service.EventListener{Listener: 2, Keys: []string{"*U"}, StartedAfter: start}),
			service.SessionEventRegistration.AppendRequest(nil, 5, service.EventListener{Listener: 3, Keys: []string{"Tier"}, Filter: &gold}),
		)
		names := map[wire.SessionID]string{control.id: "control", a.id: "a"}
		step := func(name string, want map[int64]string) {
			t.Helper()
			got := observed(t, control, conn)
			for _, l := range []int64{81, 82, 1, 2, 3} {
				if text := describe(got[l], names); text != want[l] {
					t.Errorf("%s: listener %d\n got %s\nwant %s", name, l, text, want[l])
				}
			}
		}
		step("registration", map[int64]string{
			81: "control OPEN; a OPEN", 82: "control OPEN $Principal=control; a OPEN $Principal=client Tier=free",
			1: "control OPEN; a OPEN", 2: "a OPEN Tier=free"})
		setProperties(t, a, "Tier", "gold")
		step("a matches", map[int64]string{
			82: "a UPDATE UPDATED $Principal:SAME:>client Tier:CHANGE:free>gold",
			2:  "a UPDATE UPDATED Tier:CHANGE:free>gold", 3: "a OPEN Tier=gold"})
		setProperties(t, a, "Dept", "hr")
		step("an addition", map[int64]string{2: "a UPDATE UPDATED Dept:NEW:>hr Tier:SAME:>gold"})
		if _, _, err := a.changeProperties(&service.PropertyChanges{Remove: []string{"Tier"}}); err != nil {
			t.Fatal(err)
		}
		step("a removal", map[int64]string{
			82: "a UPDATE UPDATED $Principal:SAME:>client Tier:REMOVE:gold>", 2: "a UPDATE UPDATED Dept:SAME:>hr Tier:REMOVE:gold>"})
		setProperties(t, a, "Tier", "gold", "Dept", "it")
		step("a matches again", map[int64]string{
			82: "a UPDATE UPDATED $Principal:SAME:>client Tier:NEW:>gold", 2: "a UPDATE UPDATED Dept:CHANGE:hr>it Tier:NEW:>gold"})
		a.Lost(aConn, ConnectionLost)
		step("a loses its connection", map[int64]string{
			82: "a UPDATE DISCONNECTED $Principal:SAME:>client Tier:SAME:>gold", 1: "a UPDATE DISCONNECTED",
			2: "a UPDATE DISCONNECTED Dept:SAME:>it Tier:SAME:>gold", 3: "a UPDATE DISCONNECTED Tier:SAME:>gold"})
		if code, _ := reconnect(t, e, a, 0, 1); code != wire.Reconnected {
			t.Fatal(code)
		}
		step("a is back", map[int64]string{
			82: "a UPDATE RECONNECTED $Principal:SAME:>client Tier:SAME:>gold", 1: "a UPDATE RECONNECTED",
			2: "a UPDATE RECONNECTED Dept:SAME:>it Tier:SAME:>gold", 3: "a UPDATE RECONNECTED Tier:SAME:>gold"})
		setProperties(t, a, "Tier", "free")
		step("a matches no more", map[int64]string{
			82: "a UPDATE UPDATED $Principal:SAME:>client Tier:CHANGE:gold>free", 2: "a UPDATE UPDATED Dept:SAME:>it Tier:CHANGE:gold>free"})
		ask(t, control, conn, service.CloseClient, service.SessionRequest{Session: a.id})
		step("a is closed", map[int64]string{
			81: "a CLOSE CLOSED_BY_CONTROLLER", 82: "a CLOSE CLOSED_BY_CONTROLLER $Principal=client Tier=free",
			1: "a CLOSE CLOSED_BY_CONTROLLER", 2: "a CLOSE CLOSED_BY_CONTROLLER", 3: "a CLOSE CLOSED_BY_CONTROLLER"})
		for _, frame := range [][]byte{
			service.SessionPropertiesRegistration.AppendRequest(nil, 1, service.PropertiesListener{Listener: 81, Deregister: true}),
			service.SessionEventDeregistration.AppendRequest(nil, 2, 1),
			service.SessionEventDeregistration.AppendRequest(nil, 3, 1), // idempotent
		} {
			if m := call(t, control, conn, frame); m.Type != wire.TypeResponse {
				t.Errorf("deregistration: %v", m.Error)
			}
		}
		b, bConn := connect(t, e, "")
		names[b.id] = "b"
		setProperties(t, b, "Tier", "gold")
		b.Lost(bConn, ConnectionLost)
		time.Sleep(time.Hour)
		step("b comes, loses its connection, and does not come back", map[int64]string{
			82: "b OPEN $Principal=; b UPDATE UPDATED $Principal:SAME:> Tier:NEW:>gold; b UPDATE DISCONNECTED $Principal:SAME:> Tier:SAME:>gold; b CLOSE CONNECTION_LOST $Principal= Tier=gold",
			2:  "b OPEN; b UPDATE UPDATED Tier:NEW:>gold; b UPDATE DISCONNECTED Tier:SAME:>gold; b CLOSE CONNECTION_LOST",
			3:  "b OPEN Tier=gold; b UPDATE DISCONNECTED Tier:SAME:>gold; b CLOSE CONNECTION_LOST"})
		e.finished.Wait()
		for _, o := range e.observers.joined {
			if len(o.known) > 1 {
				t.Errorf("listener %d knows %d sessions", o.conversation, len(o.known))
			}
		}
	})
}

// TestObserversEnd has listeners end with their session, and with a loss of
// messages, and the engine close while they are told.
func TestObserversEnd(t *testing.T) {
	e := newEngine(t, nil)
	ends := func(name string, end func(s *Session, conn *fakeConn)) {
		s, conn := connect(t, e, "control")
		ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: 2})
		ask(t, s, conn, service.SessionPropertiesRegistration, service.PropertiesListener{Listener: 3})
		end(s, conn)
		e.finished.Wait()
		quiet(e)
		if n := e.observers.number.Load(); n != 0 || len(e.observers.joined) != 0 || len(s.registrations.observers) != 0 {
			t.Errorf("%s: %d listeners left, %d of them told", name, n, len(e.observers.joined))
		}
	}
	ends("session closed", func(s *Session, _ *fakeConn) { s.Close(ClosedByClient) })
	ends("messages lost", func(s *Session, _ *fakeConn) {
		code, conn := reconnect(t, e, s, 1000, 1)
		if code != wire.ReconnectedWithLoss {
			t.Fatal(code)
		}
		connect(t, e, "")
		if got := observed(t, s, conn); len(got) != 0 {
			t.Errorf("a client that has lost messages is told %v", got)
		}
	})
	s, conn := connect(t, e, "control")
	for i := range maxObservers {
		ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: int64(i)})
	}
	mustFail(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: 1000}, wire.CodeInvalidData)

	closing := bareEngine(t, nil)
	watcher, watcherConn := connect(t, closing, "control")
	ask(t, watcher, watcherConn, service.SessionEventRegistration, service.EventListener{Listener: 2})
	for range 100 {
		connect(t, closing, "")
	}
	closing.Close()
	messages, _ := watcher.Take(watcherConn, nil, 1<<20)
	for _, m := range messages {
		p, _ := wire.ParseMessage(m.Bytes())
		if p.Service == service.SessionPropertiesEvent.ID {
			if batch, err := service.SessionPropertiesEvent.ReadRequest(p.Body); err != nil || slices.ContainsFunc(batch.Events, func(e service.SessionEvent) bool { return e.Type == service.SessionClosed }) {
				t.Errorf("a server that closes tells %+v, %v", batch, err)
			}
		}
	}
}

// TestEventsBeforeTheSnapshot has a listener that is told of what happened after
// it registered only when more has happened: nothing goes back in time.
func TestEventsBeforeTheSnapshot(t *testing.T) {
	e := newEngine(t, nil)
	connect(t, e, "")
	if os := e.observers; os.queue != nil || os.running {
		t.Fatal("events without listeners")
	}
	os := e.observers
	os.mu.Lock()
	os.running = true // so that the test tells what is queued
	os.mu.Unlock()
	s, conn := connect(t, e, "control")
	setProperties(t, s, "A", "1")
	ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: 2, Keys: []string{"A"}})
	other, _ := connect(t, e, "")
	closed, _ := connect(t, e, "")
	setProperties(t, s, "A", "2")
	setProperties(t, s, "A", "3")
	setProperties(t, other, "A", "4")
	closed.Close(ClosedByClient)
	e.finished.Wait()
	os.mu.Lock()
	batch := os.queue
	os.queue, os.running = nil, false
	os.mu.Unlock()
	e.byID[closed.id.Value] = closed // as if it were about to be taken apart
	os.tell(batch)
	delete(e.byID, closed.id.Value)
	names := map[wire.SessionID]string{s.id: "s", other.id: "other", closed.id: "closed"}
	got := describe(slices.DeleteFunc(observed(t, s, conn)[2], func(e service.SessionEvent) bool { return names[e.Session] == "" }), names)
	if want := "s OPEN A=3; other OPEN A=4; closed OPEN; closed CLOSE CLOSED_BY_CLIENT"; got != want {
		t.Errorf("got %s\nwant %s", got, want)
	}
}

// TestRequestsWaitForListeners has a request that concerns many sessions while
// listeners have not been told of what happened before.
func TestRequestsWaitForListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bareEngine(t, nil)
		s, conn := connect(t, e, "control")
		ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: 2})
		quiet(e)
		os := e.observers
		fill := func(n int) {
			os.mu.Lock()
			os.queue, os.running = make([]event, n), true // as if the goroutine were busy
			os.mu.Unlock()
			os.moved.Broadcast()
		}
		fill(maxEvents)
		done := false
		change := func() {
			e.forEach("all", func(*Session) error { return nil })
			done = true
		}
		go change()
		if synctest.Wait(); done {
			t.Error("a request adds to a queue that is full")
		}
		fill(maxEvents - 1)
		if synctest.Wait(); !done {
			t.Error("a request waits for a queue that has room")
		}
		done = false
		fill(maxEvents)
		go change()
		synctest.Wait()
		os.mu.Lock()
		os.running = false
		os.mu.Unlock()
		e.Close()
		if synctest.Wait(); !done {
			t.Error("a request waits for an engine that is closed")
		}
	})
}

// TestObserverLosesPermission has a listener end when its session may no longer
// see others.
func TestObserverLosesPermission(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "control")
	ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Listener: 77})
	observed(t, s, conn)
	if err := s.changeOwnRoles(&service.RoleChanges{Remove: s.identity.Load().roles}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		connect(t, e, "")
		quiet(e)
	}
	messages, _ := s.Take(conn, nil, 1<<20)
	if len(messages) != 1 {
		t.Fatalf("%d messages, want the end of the listener", len(messages))
	}
	if p, _ := wire.ParseMessage(messages[0].Bytes()); p.Type != wire.TypeError || p.Conversation != 77 || p.Error.Code != wire.CodeAccessDenied {
		t.Errorf("got %+v", p)
	}
	call(t, s, conn, service.SessionEventDeregistration.AppendRequest(nil, 1, 77))
	quiet(e)
	if len(e.observers.joined) != 0 || e.observers.number.Load() != 0 {
		t.Error("the listener is still there")
	}
}

// TestEventsAreBatched counts the messages of many events.
func TestEventsAreBatched(t *testing.T) {
	e := newEngine(t, nil)
	for range 3000 {
		connect(t, e, "")
	}
	s, conn := connect(t, e, "control")
	receive(t, s, conn, service.SessionEventRegistration.AppendRequest(nil, 1, service.EventListener{Listener: 2, Keys: []string{"*F"}}))
	quiet(e)
	messages, _ := s.Take(conn, nil, 1<<30)
	if p, _ := wire.ParseMessage(messages[0].Bytes()); p.Type != wire.TypeResponse {
		t.Error("events come before the answer")
	}
	for _, m := range messages {
		if m.Len() > 2*batchSize {
			t.Errorf("a message of %d bytes", m.Len())
		}
	}
	if n := len(messages); n < 20 || n > 100 {
		t.Errorf("%d messages", n)
	}
}

// sight is what a client that listens knows of a session.
type sight struct {
	properties map[string]string
	state      service.SessionUpdateType // the latest that is not PropertiesUpdated
	heard      bool                      // state was told
}

// apply does to a view what an event says, and complains of what cannot be.
func (v *view) apply(e *service.SessionEvent) error {
	was, known := v.sessions[e.Session]
	if known != (e.Type != service.SessionOpened) {
		return fmt.Errorf("%v: %s of a session that is known: %v", e.Session, e.Type, known)
	}
	switch e.Type {
	case service.SessionOpened:
		v.sessions[e.Session] = sight{properties: e.Properties}
	case service.SessionClosed:
		delete(v.sessions, e.Session)
	case service.SessionUpdated:
		is := sight{properties: map[string]string{}, state: was.state, heard: was.heard}
		if e.Update != service.PropertiesUpdated {
			is.state, is.heard = e.Update, true
		}
		for _, c := range e.Changes {
			old, had := was.properties[c.Key]
			if had != (c.Kind != service.PropertyNew) || c.Kind == service.PropertySame && old != c.New ||
				(c.Kind == service.PropertyChanged || c.Kind == service.PropertyRemoved) && old != c.Old {
				return fmt.Errorf("%v: %+v, but it was %q", e.Session, c, old)
			}
			if c.Kind != service.PropertyRemoved {
				is.properties[c.Key] = c.New
			}
		}
		if e.Update == service.PropertiesUpdated && maps.Equal(is.properties, was.properties) {
			return fmt.Errorf("%v: an update that changes nothing", e.Session)
		}
		v.sessions[e.Session] = is
	}
	return nil
}

// A view is what one listener has been told.
type view struct {
	keys     keySet
	filter   *filter.Filter
	sessions map[wire.SessionID]sight
}

// TestObserverModel has listeners come and go while sessions come, change, lose
// their connections and end, all at once. What each listener is told must be
// possible, and in the end true.
func TestObserverModel(t *testing.T) {
	for seed := range uint64(20) {
		observerWorld(t, seed)
	}
}

func observerWorld(t *testing.T, seed uint64) {
	e := bareEngine(t, func(c *Config) { c.Queue = outbox.Limits{RecoveryMessages: 100, RecoveryBytes: 1 << 20} })
	defer e.Close()
	watcher, watcherConn := connect(t, e, "control")
	var actors sync.WaitGroup
	for worker := range 4 {
		actors.Add(1)
		go func() {
			defer actors.Done()
			rnd := rand.New(rand.NewPCG(seed, uint64(worker)))
			type client struct {
				s    *Session
				conn *fakeConn
			}
			var clients []client
			for range 200 {
				if len(clients) < 3 || rnd.IntN(10) == 0 {
					conn := &fakeConn{}
					_, s := e.Connect(context.Background(), request("client"), here, conn)
					clients = append(clients, client{s, conn})
				}
				i := rnd.IntN(len(clients))
				c := &clients[i]
				switch rnd.IntN(8) {
				case 0:
					c.s.Close(ClosedByClient)
					clients = slices.Delete(clients, i, i+1)
				case 1:
					c.s.Lost(c.conn, ConnectionLost)
				case 2:
					q := request("client")
					q.Token, q.OldestClient = c.s.Token(), 1
					c.conn = &fakeConn{}
					e.Connect(context.Background(), q, Peer{Addr: here.Addr, Transport: []TransportKind{WebSocket, HTTPPolling}[rnd.IntN(2)]}, c.conn)
				case 3:
					_ = c.s.changeOwnRoles(&service.RoleChanges{Add: []string{fmt.Sprint("R", rnd.IntN(3))}, Remove: []string{fmt.Sprint("R", 3+rnd.IntN(3))}})
				default: // of any session
					if all := e.all(); len(all) > 0 {
						_, _, _ = all[rnd.IntN(len(all))].changeProperties(&service.PropertyChanges{
							Set: map[string]string{[]string{"A", "B"}[rnd.IntN(2)]: fmt.Sprint(rnd.IntN(3))}, Remove: []string{[]string{"A", "B", "C"}[rnd.IntN(3)]}})
					}
				}
			}
		}()
	}
	views := map[int64]*view{}
	look := func() {
		for l, events := range observedNow(t, watcher, watcherConn) {
			for i := range events {
				if err := views[l].apply(&events[i]); err != nil {
					t.Fatalf("seed %d, listener %d (keys %v, filter %v): %v", seed, l, views[l].keys, views[l].filter, err)
				}
			}
		}
	}
	rnd := rand.New(rand.NewPCG(seed, 99))
	for l := int64(1); l <= 12; l++ {
		v := &view{sessions: map[wire.SessionID]sight{}}
		keys := [][]string{nil, {"A"}, {"*U", "$Roles", "$Transport"}, {"*F"}}[rnd.IntN(4)]
		v.keys, _ = newKeySet(keys)
		r := service.EventListener{Listener: l, Keys: keys}
		if text := []string{"", "A is '1'", "has B", "all"}[rnd.IntN(4)]; text != "" {
			r.Filter = &text
			v.filter, _ = filter.Parse(text)
		}
		views[l] = v
		receive(t, watcher, watcherConn, service.SessionEventRegistration.AppendRequest(nil, l, r))
		look()
		if rnd.IntN(3) == 0 {
			receive(t, watcher, watcherConn, service.SessionEventDeregistration.AppendRequest(nil, l, service.Conversation(l)))
			look()
			delete(views, l) // anything more of it is a failure
		}
	}
	actors.Wait()
	e.finished.Wait()
	quiet(e)
	look()
	for l, v := range views {
		for _, s := range e.all() {
			p := s.now()
			told, known := v.sessions[s.id]
			matches := v.filter == nil || v.filter.Match(&p)
			if matches && (!known || !maps.Equal(told.properties, v.keys.of(&p))) {
				t.Fatalf("seed %d, listener %d (filter %v): told %v of %v, which is %v", seed, l, v.filter, told, s.id, v.keys.of(&p))
			}
			if v.filter == nil && told.heard && (told.state == service.SessionDisconnected) != (s.Connection() == nil) {
				t.Fatalf("seed %d, listener %d: %v is said to be %v", seed, l, s.id, told.state)
			}
		}
		for id := range v.sessions {
			if e.session(id) == nil {
				t.Fatalf("seed %d, listener %d: %v is said to be open", seed, l, id)
			}
		}
	}
}
