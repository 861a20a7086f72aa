package advect_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// TestSessionProperties is with the real server, as all that follow.
func TestSessionProperties(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, client := open(t, url, "admin"), open(t, url, "client")
	clients, id := admin.Clients(), client.ID()
	changes, err := clients.SetProperties(ctx, id, map[string]string{"dept": "sales", "old": "1"})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(changes.Added)
	if want := (advect.PropertyChanges{Added: []string{"dept", "old"}}); cmp.Diff(want, changes) != "" {
		t.Errorf("changes %+v", changes)
	}
	changes, err = clients.SetProperties(ctx, id, map[string]string{"dept": "hr", "$Country": "gb"}, "old")
	if want := map[string]string{"dept": "sales", "old": "1"}; err != nil || changes.Old["dept"] != want["dept"] || changes.Old["old"] != want["old"] {
		t.Errorf("changes %+v, %v", changes, err)
	}
	properties, err := clients.Properties(ctx, id, "$Principal", "$Country", advect.AllUserProperties)
	if want := map[string]string{"$Principal": "client", "$Country": "GB", "dept": "hr"}; err != nil || !maps.Equal(properties, want) {
		t.Errorf("properties %v, %v", properties, err)
	}
	n, err := clients.SetPropertiesByFilter(ctx, "dept eq 'hr'", nil, "dept")
	if n != 1 || err != nil {
		t.Errorf("%d sessions, %v", n, err)
	}
	nobody := advect.SessionID{Server: 1, Value: 1}
	_, err = clients.Properties(ctx, nobody)
	wantIs(t, "properties of nobody", err, advect.ErrNoSuchSession)
	_, err = clients.SetProperties(ctx, nobody, map[string]string{"a": "b"})
	wantIs(t, "set properties of nobody", err, advect.ErrNoSuchSession)
	_, err = client.Clients().Properties(ctx, admin.ID())
	wantIs(t, "without permission", err, advect.ErrPermissionDenied)
	_, err = clients.SetPropertiesByFilter(ctx, "dept eq", map[string]string{"a": "b"})
	var problems *advect.ScriptError
	if !errors.Is(err, advect.ErrInvalidFilter) || !errors.As(err, &problems) || problems.Reports[0].Line != 1 || problems.Reports[0].Column != 8 {
		t.Errorf("bad filter: %v", err)
	}
}

func TestFetchSessionsOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin := open(t, url, "admin")
	want := []string{admin.ID().String()}
	for range 9 {
		want = append(want, open(t, url, "client").ID().String())
	}
	var all []string
	for s, err := range admin.Clients().FetchAll(ctx, advect.SessionQuery{First: 2}) {
		if err != nil {
			t.Fatal(err)
		}
		if age := time.Since(s.Started); age < -time.Second || age > time.Minute {
			t.Errorf("started at %v", s.Started)
		}
		all = append(all, s.SessionID.String())
	}
	slices.Sort(all)
	slices.Sort(want)
	if !slices.Equal(all, want) {
		t.Errorf("sessions %q, want %q", all, want)
	}
	result, err := admin.Clients().Fetch(ctx, advect.SessionQuery{
		Filter: "$Principal is 'client'", Properties: []string{"$Principal", "none"}, Last: 3,
	})
	if err != nil || len(result.Sessions) != 3 || result.Total != 9 || !result.More() {
		t.Fatalf("%+v, %v", result, err)
	}
	if got := result.Sessions[0].Properties; !maps.Equal(got, map[string]string{"$Principal": "client"}) {
		t.Errorf("properties %v", got)
	}
	for _, err := range admin.Clients().FetchAll(ctx, advect.SessionQuery{Filter: "all all"}) {
		wantIs(t, "bad filter", err, advect.ErrInvalidFilter)
	}
}

func TestControlOfSubscriptions(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, client := open(t, url, "admin"), open(t, url, "client")
	if _, err := admin.Topics().AddAndSet(ctx, "a/b", advect.NewSpecification(advect.Int64), datatype.Int64(1)); err != nil {
		t.Fatal(err)
	}
	events := make(chan string, 10)
	_, err := advect.AddStream(client.Topics(), "?a//", advect.Stream[datatype.Int64]{
		OnValue: func(u advect.Update[datatype.Int64]) { events <- fmt.Sprint(u.Path, " ", u.Value) },
		OnUnsubscribe: func(path string, _ advect.Specification, r advect.UnsubscribeReason) {
			events <- fmt.Sprint(path, " ", r)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want string) {
		t.Helper()
		select {
		case got := <-events:
			if got != want {
				t.Errorf("event %q, want %q", got, want)
			}
		case <-ctx.Done():
			t.Fatalf("no event, want %q", want)
		}
	}
	clients, id := admin.Clients(), client.ID()
	if err := clients.Subscribe(ctx, id, "?a//"); err != nil {
		t.Fatal(err)
	}
	expect("a/b 1")
	selections, err := clients.Selections(ctx, id)
	if want := map[string][]advect.TopicSelection{"": {{Selector: "?a//"}}}; err != nil || cmp.Diff(want, selections) != "" {
		t.Errorf("selections %v, %v", selections, err)
	}
	if n, err := clients.UnsubscribeByFilter(ctx, "$Principal is 'client'", "a/b"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	expect("a/b CONTROL")
	if n, err := clients.SubscribeScopeByFilter(ctx, "$Principal is 'client'", "mine", ">a/b"); n != 1 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	expect("a/b 1")
	if n, err := clients.UnsubscribeAllScopesByFilter(ctx, "all", "?a//"); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	expect("a/b CONTROL")
	if err := clients.SetConflated(ctx, id, false); err != nil {
		t.Error(err)
	}
	if n, err := clients.SetConflatedByFilter(ctx, "all", true); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	wantIs(t, "nobody", clients.Subscribe(ctx, advect.SessionID{Server: 1, Value: 1}, "a"), advect.ErrNoSuchSession)
}

// TestSessionEventsOnServer sees a session's life.
func TestSessionEventsOnServer(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	admin, client := open(t, url, "admin"), open(t, url, "client")
	events, closed := make(chan advect.SessionEvent, 10), make(chan error, 1)
	l, err := admin.Clients().AddListener(ctx, advect.SessionListener{
		SessionEventQuery: advect.SessionEventQuery{Filter: "$Principal is 'client'", Properties: []string{"tier", "$Roles"}},
		OnEvent:           func(e advect.SessionEvent) { events <- e },
		OnClose:           func(err error) { closed <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	expect := func(kind advect.SessionEventKind) advect.SessionEvent {
		t.Helper()
		select {
		case e := <-events:
			if e.Kind != kind || e.SessionID != client.ID() {
				t.Errorf("event %+v, want %s", e, kind)
			}
			return e
		case <-ctx.Done():
			t.Fatalf("no event, want %s", kind)
			return advect.SessionEvent{}
		}
	}
	if e := expect(advect.SessionOpened); e.Properties["$Roles"] != `"CLIENT"` {
		t.Errorf("%+v", e)
	}
	if _, err := admin.Clients().SetProperties(ctx, client.ID(), map[string]string{"tier": "gold", "other": "x"}); err != nil {
		t.Fatal(err)
	}
	if e := expect(advect.SessionUpdated); e.Properties["tier"] != "gold" || !slices.Equal(e.Changes.Added, []string{"tier"}) || len(e.Changes.Old) != 0 {
		t.Errorf("%+v", e)
	}
	if err := admin.Clients().ChangeRoles(ctx, client.ID(), nil, []string{"OPERATOR"}); err != nil {
		t.Fatal(err)
	}
	if e := expect(advect.SessionUpdated); e.Changes.Old["$Roles"] != `"CLIENT"` || e.Properties["tier"] != "gold" {
		t.Errorf("%+v", e)
	}
	if err := admin.Clients().Close(ctx, client.ID()); err != nil {
		t.Fatal(err)
	}
	if e := expect(advect.SessionClosed); e.Reason != advect.SessionClosedByController {
		t.Errorf("%+v", e)
	}
	<-client.Done()
	wantIs(t, "the closed session", client.Err(), advect.ErrClosedByServer)
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}

	revoked := open(t, url, "client")
	short, cancel := context.WithCancel(ctx)
	defer cancel()
	for e, err := range advect.SessionEvents(short, admin, advect.SessionEventQuery{Filter: "$Principal is 'client'"}) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == advect.SessionOpened {
			control := open(t, url, "control") // may authenticate, which admin may not
			if err := control.Security().Revoke(ctx, revoked.ID()); err != nil {
				t.Fatal(err)
			}
			continue
		}
		if e.Kind != advect.SessionClosed || e.Reason != advect.SessionAuthorizationRevoked {
			t.Errorf("%+v", e)
		}
		break
	}
	_, err = admin.Clients().AddListener(ctx, advect.SessionListener{SessionEventQuery: advect.SessionEventQuery{Filter: "x"}})
	wantIs(t, "bad filter", err, advect.ErrInvalidFilter)
}
