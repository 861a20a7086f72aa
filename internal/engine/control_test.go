package engine

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/filter"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// ask calls a service and returns its answer.
func ask[Req, Res any](t testing.TB, s *Session, conn Conn, svc *service.Service[Req, Res], req Req) Res {
	t.Helper()
	m := call(t, s, conn, svc.AppendRequest(nil, 1, req))
	res, err := svc.ReadResponse(m.Body)
	if m.Type != wire.TypeResponse || err != nil {
		t.Fatalf("%s: %v %v, %v", svc, m.Type, m.Error, err)
	}
	return res
}

// mustFail calls a service that answers with an error.
func mustFail[Req, Res any](t testing.TB, s *Session, conn Conn, svc *service.Service[Req, Res], req Req, code wire.ErrorCode) {
	t.Helper()
	if m := call(t, s, conn, svc.AppendRequest(nil, 1, req)); m.Type != wire.TypeError || m.Error.Code != code {
		t.Errorf("%s of %+v: %v %v, want code %d", svc, req, m.Type, m.Error, code)
	}
}

// setProperties gives a session properties without anybody's leave.
func setProperties(t testing.TB, s *Session, pairs ...string) {
	t.Helper()
	set := map[string]string{}
	for i := 0; i < len(pairs); i += 2 {
		set[pairs[i]] = pairs[i+1]
	}
	if _, _, err := s.changeProperties(&service.PropertyChanges{Set: set}); err != nil {
		t.Fatal(err)
	}
}

func TestGetProperties(t *testing.T) {
	e := newEngine(t, nil)
	control, conn := connect(t, e, "admin")
	target, _ := connect(t, e, "client")
	setProperties(t, target, "Tier", "free", "Dept", "hr")
	get := func(keys ...string) map[string]string {
		t.Helper()
		res := ask(t, control, conn, service.GetSessionProperties, service.PropertiesQuery{Session: target.id, Keys: keys})
		if !res.Present {
			t.Fatal("absent")
		}
		return res.Properties
	}
	all := get("*F")
	want := []string{"$ClientIP", "$ClientType", "$Connector", "$Country", "$Environment", "$Language", "$Latitude", "$Longitude",
		"$Principal", "$Roles", "$ServerName", "$SessionId", "$StartTime", "$Transport"}
	if got := slices.Sorted(maps.Keys(all)); !slices.Equal(got, want) {
		t.Errorf("fixed properties %q, want %q", got, want)
	}
	for key, value := range map[string]string{
		"$ClientIP": "127.0.0.1", "$ClientType": "JAVASCRIPT_BROWSER", "$Country": "", "$Latitude": "NaN", "$Environment": "UNKNOWN",
		"$Principal": "client", "$Roles": `"CLIENT"`, "$ServerName": "test", "$SessionId": target.id.String(), "$Transport": "WEBSOCKET",
		"$StartTime": fmt.Sprint(target.started),
	} {
		if all[key] != value {
			t.Errorf("%s is %q, want %q", key, all[key], value)
		}
	}
	for _, c := range []struct{ keys, want []string }{
		{nil, nil},
		{[]string{"Tier", "Tier", "None", "$None"}, []string{"Tier"}},
		{[]string{"*U", "Tier"}, []string{"Dept", "Tier"}},
		{[]string{"*U", "$Country"}, []string{"$Country", "Dept", "Tier"}},
		{[]string{"*F", "$Country", "*U"}, slices.Concat(want, []string{"Dept", "Tier"})},
		{[]string{"*X"}, nil},
	} {
		if got := slices.Sorted(maps.Keys(get(c.keys...))); !slices.Equal(got, c.want) {
			t.Errorf("keys %q: got %q, want %q", c.keys, got, c.want)
		}
	}
	if res := ask(t, control, conn, service.GetSessionProperties, service.PropertiesQuery{Keys: []string{"*F"}}); res.Present {
		t.Error("an unknown session has properties")
	}
	own := ask(t, control, conn, service.GetOwnSessionProperties, service.Empty{})
	if _, ok := own.Properties["$Roles"]; ok || len(own.Properties) != len(want)-1 {
		t.Errorf("own properties: %v", own)
	}
}

func TestSetProperties(t *testing.T) {
	e := newEngine(t, nil)
	control, conn := connect(t, e, "control")
	for _, c := range []struct {
		name   string
		set    map[string]string
		remove []string
		values map[string]string
		added  []string
		after  map[string]string
	}{
		{"nothing", nil, nil, nil, nil, map[string]string{"A": "1", "B": "2"}},
		{"change, add and remove", map[string]string{"A": "3", "C": "4"}, []string{"B", "D"},
			map[string]string{"A": "1", "B": "2"}, []string{"C"}, map[string]string{"A": "3", "C": "4"}},
		{"as it was", map[string]string{"A": "1"}, []string{"D"}, nil, nil, map[string]string{"A": "1", "B": "2"}},
		{"removed and set", map[string]string{"A": "5"}, []string{"A"}, map[string]string{"A": "1"}, nil, map[string]string{"A": "5", "B": "2"}},
		{"fixed ones", map[string]string{"$Principal": "x", "$Roles": "x", "$New": "x", "$Country": "de", "$Language": "DE", "$Latitude": "north", "$Longitude": "10.5"},
			[]string{"$Principal", "$Country"},
			map[string]string{"$Country": "", "$Language": "", "$Longitude": "NaN"}, nil,
			map[string]string{"A": "1", "B": "2", "$Principal": "client", "$Country": "DE", "$Language": "de", "$Latitude": "NaN", "$Longitude": "10.5"}},
	} {
		target, _ := connect(t, e, "client")
		setProperties(t, target, "A", "1", "B", "2")
		res := ask(t, control, conn, service.SetSessionProperties, service.PropertiesRequest{
			Session: target.id, PropertyChanges: service.PropertyChanges{Set: c.set, Remove: c.remove}})
		if !maps.Equal(res.Values, c.values) || !slices.Equal(res.Added, c.added) {
			t.Errorf("%s: answer %+v, want %v %v", c.name, res, c.values, c.added)
		}
		after := target.allProperties()
		for key, value := range c.after {
			if after[key] != value {
				t.Errorf("%s: %s is %q, want %q", c.name, key, after[key], value)
			}
		}
		if len(after) < 14 || len(after)-14 != len(target.identity.Load().properties) {
			t.Errorf("%s: after it %v", c.name, after)
		}
	}
	set := func(key, value string) service.PropertiesRequest {
		return service.PropertiesRequest{Session: control.id, PropertyChanges: service.PropertyChanges{Set: map[string]string{key: value}}}
	}
	for _, key := range []string{"", "a b", "a\tb", "a\rb", "a\nb", `a"b`, "a'b", "a(b", "a)b"} {
		mustFail(t, control, conn, service.SetSessionProperties, set(key, "x"), wire.CodeInvalidData)
	}
	mustFail(t, control, conn, service.SetSessionProperties, set("long", strings.Repeat("x", maxIdentity)), wire.CodeInvalidData)
	mustFail(t, control, conn, service.SetSessionProperties, set("$Country", strings.Repeat("x", maxIdentity)), wire.CodeInvalidData)
	mustFail(t, control, conn, service.SetSessionProperties, service.PropertiesRequest{}, wire.CodeNoSuchSession)
	if got := control.identity.Load(); len(got.properties) != 0 || got.location != nil {
		t.Errorf("refused changes left %v, %v", got.properties, got.location)
	}
}

func TestCoordinates(t *testing.T) {
	for text, want := range map[string]string{"": "NaN", "1": "1", "-0.5": "-0.5", " 7 ": "7", "1e2": "1e2", "inf": "NaN", "nan": "NaN", "0x1p4": "NaN", "1_0": "NaN", "1,5": "NaN"} {
		if got := locationValue("$Latitude", text); got != want {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// TestFilterErrors has every service that takes a filter say what is wrong with
// it, in its answer.
func TestFilterErrors(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "admin")
	const bad = "all or\n  (Tier is"
	want := service.ErrorReport{Line: 2, Column: 11}
	check := func(name string, errs service.Errors) {
		t.Helper()
		if len(errs) != 1 || errs[0].Message == "" || errs[0].Line != want.Line || errs[0].Column != want.Column {
			t.Errorf("%s: %+v, want one at %d:%d", name, errs, want.Line, want.Column)
		}
	}
	text, sel := bad, service.Selection{Selector: "a"}
	check("106", ask(t, s, conn, service.SetSessionPropertiesFilter, service.FilterPropertiesRequest{Filter: bad}).Errors)
	check("162", ask(t, s, conn, service.CloseClientFilter, bad).Errors)
	check("163", ask(t, s, conn, service.SetClientConflationFilter, service.FilterConflationRequest{Filter: bad}).Errors)
	check("124", ask(t, s, conn, service.ChangeAuthorisationRolesFilter, service.FilterRolesRequest{Filter: bad}).Errors)
	check("65", ask(t, s, conn, service.FilterSubscribe, service.FilterSelection{Filter: bad, Selection: sel}).Errors)
	check("66", ask(t, s, conn, service.FilterUnsubscribe, service.FilterSelection{Filter: bad, Selection: sel}).Errors)
	check("200", ask(t, s, conn, service.UnsubscribeAllByFilter, service.AllScopesFilterRequest{Selector: "a", Filter: bad}).Errors)
	check("168", ask(t, s, conn, service.SessionFetch, service.SessionQuery{Filter: bad}).Errors)
	check("189", ask(t, s, conn, service.SessionEventRegistration, service.EventListener{Filter: &text, Listener: 9}))
	if len(s.registrations.observers) != 0 || e.observers.number.Load() != 0 {
		t.Error("a listener without a filter is there")
	}
}

func TestByFilter(t *testing.T) {
	e := newEngine(t, nil)
	control, conn := connect(t, e, "control")
	targets := make([]*Session, 3)
	conns := make([]*fakeConn, 3)
	for i := range targets {
		targets[i], conns[i] = connect(t, e, "client")
		setProperties(t, targets[i], "N", fmt.Sprint(i))
	}
	setProperties(t, targets[2], "Large", strings.Repeat("x", maxIdentity-200))
	changes := service.PropertyChanges{Set: map[string]string{"Tier": strings.Repeat("y", 100)}}
	if res := ask(t, control, conn, service.SetSessionPropertiesFilter, service.FilterPropertiesRequest{Filter: "has N", PropertyChanges: changes}); res.Count != 2 {
		t.Errorf("set properties of %+v, want the two with room for them", res)
	}
	for i, s := range targets {
		if _, ok := s.Property("Tier"); ok != (i < 2) {
			t.Errorf("session %d: changed %v", i, ok)
		}
	}
	if res := ask(t, control, conn, service.CloseClientFilter, "N in ['1','2']"); res.Count != 2 || res.Errors != nil {
		t.Errorf("closed %+v, want 2", res)
	}
	for i, s := range targets {
		if s.Over() != (i > 0) || s.Over() && s.reason != ClosedByController {
			t.Errorf("session %d: over %v, reason %v", i, s.Over(), s.reason)
		}
	}
	if messages, end := targets[1].Take(conns[1], nil, 1<<20); !end || len(messages) != 1 || messages[0].Bytes()[0] != byte(wire.TypeAbort) {
		t.Errorf("a closed client got %d messages, end %v", len(messages), end)
	}
	mustFail(t, control, conn, service.CloseClient, service.SessionRequest{Session: targets[1].id}, wire.CodeNoSuchSession)
	// The caller's own session goes last, and knows the answer.
	if res := ask(t, control, conn, service.CloseClientFilter, "all"); res.Count != 2 || !control.Over() {
		t.Errorf("closed %+v, own %v", res, control.Over())
	}
	control, conn = connect(t, e, "control")
	ask(t, control, conn, service.CloseClient, service.SessionRequest{Session: control.id})
	if !control.Over() {
		t.Error("a session cannot close itself")
	}
}

// TestMatching compares what the index finds with what a scan does, while
// sessions change.
func TestMatching(t *testing.T) {
	e := newEngine(t, nil)
	var sessions []*Session
	for i := range 40 {
		s, _ := connect(t, e, []string{"", "client", "control"}[i%3])
		sessions = append(sessions, s)
	}
	filters := []string{"all", "$Principal is ''", "$Principal in ['client','control']", "A is '1'", "A is '1' and B is '2'", "A is '1' or B is '2'",
		"A is '1' or has B", "not A is '1'", "A in ['0','1','2'] or $Principal is 'client'", "$Transport is 'WEBSOCKET' and A is '0'", "$Transport is 'TCP'",
		"$SessionId is '" + sessions[3].id.String() + "'", "$SessionId in ['x','" + sessions[3].id.String() + "','" + sessions[4].id.String() + "'] or A is '2'",
		"(A is '1' or A is '2') and (B is '1' or B is '2')", "none is 'x'", "hasRoles ['CLIENT'] and B is '0'", "$Country is 'DE' or A is '0'"}
	for round := range 30 {
		for i, s := range sessions {
			if (i*7+round*3)%5 == 0 {
				setProperties(t, s, "A", fmt.Sprint((i+round)%4), "B", fmt.Sprint(i%3))
			} else if (i+round)%11 == 0 {
				if _, _, err := s.changeProperties(&service.PropertyChanges{Remove: []string{"A"}, Set: map[string]string{"$Country": "de"}}); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, text := range filters {
			f, err := filter.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			var want []*Session
			for _, s := range sessions {
				if f.Match(s) {
					want = append(want, s)
				}
			}
			got := e.matching(f)
			slices.SortFunc(got, byAge)
			if !slices.Equal(got, want) || e.Any(f) != (len(want) > 0) {
				t.Fatalf("round %d, %s: %d sessions, want %d", round, text, len(got), len(want))
			}
		}
	}
	if f, _ := filter.Parse("$Transport is 'WEBSOCKET' and A is '0'"); len(e.candidates(f)) >= len(sessions) {
		t.Error("the index is not used")
	}
	for _, s := range sessions {
		s.Close(ClosedByController)
	}
	e.finished.Wait()
	if n := len(e.index.terms); n != 0 {
		t.Errorf("%d terms are left of sessions that have gone", n)
	}
	setProperties(t, sessions[0], "Late", "x")
	if _, changed := sessions[0].Property("Late"); changed || len(e.index.terms) != 0 {
		t.Error("a closed session was changed")
	}
}

func TestRoles(t *testing.T) {
	e := newEngine(t, nil)
	if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "a", Specification: topic.Specification{Type: topic.String}}); err != nil {
		t.Fatal(err)
	}
	control, conn := connect(t, e, "control")
	target, targetConn := connect(t, e, "client")
	receive(t, target, targetConn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?.*//"}))
	change := func(remove, add []string) service.RolesRequest {
		return service.RolesRequest{Session: target.id, RoleChanges: service.RoleChanges{Remove: remove, Add: add}}
	}
	if target.client.Subscriptions() != 1 {
		t.Fatalf("%d subscriptions", target.client.Subscriptions())
	}
	ask(t, control, conn, service.ChangeAuthorisationRoles, change([]string{"CLIENT", "NONE"}, []string{"NEW", "NEW"}))
	if got, _ := target.Property("$Roles"); got != `"NEW"` || target.client.Subscriptions() != 0 {
		t.Errorf("roles %s, %d subscriptions", got, target.client.Subscriptions())
	}
	if reasons := ends(t, target, targetConn); !slices.Equal(reasons, []service.UnsubscribeReason{service.Unauthorized}) {
		t.Errorf("told of %v", reasons)
	}
	ask(t, control, conn, service.ChangeAuthorisationRoles, change(nil, []string{"TOPIC_CONTROL", "NEW"}))
	if got, _ := target.Property("$Roles"); got != `"NEW","TOPIC_CONTROL"` || target.client.Subscriptions() != 1 || !slices.Equal(target.author().Roles, []string{"NEW", "TOPIC_CONTROL"}) {
		t.Errorf("roles %s, %d subscriptions, author %v", got, target.client.Subscriptions(), target.author())
	}
	mustFail(t, control, conn, service.ChangeAuthorisationRoles, change([]string{"X", "Y"}, []string{"Y"}), wire.CodeInvalidData)
	mustFail(t, control, conn, service.ChangeAuthorisationRoles, change(nil, []string{""}), wire.CodeInvalidData)
	mustFail(t, control, conn, service.ChangeAuthorisationRoles, change(nil, []string{strings.Repeat("x", maxIdentity+1)}), wire.CodeInvalidData)
	mustFail(t, control, conn, service.ChangeAuthorisationRoles, service.RolesRequest{}, wire.CodeNoSuchSession)
	if res := ask(t, control, conn, service.ChangeAuthorisationRolesFilter, service.FilterRolesRequest{
		Filter: "hasRoles 'NEW'", RoleChanges: service.RoleChanges{Remove: []string{"NEW"}}}); res.Count != 1 {
		t.Errorf("changed %+v", res)
	}
	if got, _ := target.Property("$Roles"); got != `"TOPIC_CONTROL"` {
		t.Errorf("roles %s", got)
	}
}

// ends takes what is queued and returns the reasons of the unsubscriptions.
func ends(t *testing.T, s *Session, conn Conn) (reasons []service.UnsubscribeReason) {
	t.Helper()
	messages, _ := s.Take(conn, nil, 1<<20)
	for _, m := range messages {
		if p, err := wire.ParseMessage(m.Bytes()); err == nil && p.Type == wire.TypeRequest && p.Service == service.UnsubscriptionNotification.ID {
			u, err := service.UnsubscriptionNotification.ReadRequest(p.Body)
			if err != nil {
				t.Fatal(err)
			}
			reasons = append(reasons, u.Reason)
		}
	}
	return reasons
}

func TestSubscriptionControl(t *testing.T) {
	e := newEngine(t, nil)
	for i := range 4 {
		if _, err := e.tree.Add(somebody, &service.AddRequest{Path: fmt.Sprintf("a/%d", i), Specification: topic.Specification{Type: topic.String}}); err != nil {
			t.Fatal(err)
		}
	}
	control, conn := connect(t, e, "control")
	target, targetConn := connect(t, e, "client")
	blind, _ := connect(t, e, "client")
	if err := blind.changeOwnRoles(&service.RoleChanges{Remove: []string{"CLIENT"}}); err != nil {
		t.Fatal(err)
	}
	subscriptions := func(want int, reasons ...service.UnsubscribeReason) {
		t.Helper()
		if got := target.client.Subscriptions(); got != want {
			t.Errorf("%d subscriptions, want %d", got, want)
		}
		if got := ends(t, target, targetConn); !slices.Equal(got, reasons) {
			t.Errorf("told of %v, want %v", got, reasons)
		}
	}
	on := func(sel, scope string) service.ClientSelection {
		return service.ClientSelection{Session: target.id, Selection: service.Selection{Selector: sel, Scope: scope}}
	}
	byFilter := func(sel, scope string) service.FilterSelection {
		return service.FilterSelection{Filter: "$Principal is 'client'", Selection: service.Selection{Selector: sel, Scope: scope}}
	}
	ask(t, control, conn, service.SubscribeClient, on("a/0", ""))
	subscriptions(1)
	if res := ask(t, control, conn, service.FilterSubscribe, byFilter("?a/[01]", "s")); res.Count != 2 {
		t.Errorf("subscribed %+v", res)
	}
	subscriptions(2)
	if n := blind.client.Subscriptions(); n != 0 {
		t.Errorf("a session that may read nothing has %d subscriptions", n)
	}
	ask(t, control, conn, service.SubscribeClient, on("?a/[23]", ""))
	subscriptions(4)
	ask(t, control, conn, service.UnsubscribeClient, on("a/2", ""))
	subscriptions(3, service.ByControl)
	got := ask(t, control, conn, service.GetSelectors, service.SessionRequest{Session: target.id})
	want := service.ScopedSelectors{
		"":  {{Selector: ">a/0", Kind: service.Selected}, {Selector: "?a/[23]", Kind: service.Selected}, {Selector: ">a/2", Kind: service.Deselected}},
		"s": {{Selector: "?a/[01]", Kind: service.Selected}},
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("selectors %v, want %v", got, want)
	}
	ask(t, control, conn, service.UnsubscribeClient, on("a/0", "")) // the other scope keeps it
	subscriptions(3)
	ask(t, control, conn, service.UnsubscribeAllControl, service.AllScopesRequest{Selector: "a/0", Session: target.id})
	subscriptions(2, service.ByControl)
	if res := ask(t, control, conn, service.FilterUnsubscribe, byFilter("a/3", "")); res.Count != 2 {
		t.Errorf("unsubscribed %+v", res)
	}
	subscriptions(1, service.ByControl)
	if res := ask(t, control, conn, service.UnsubscribeAllByFilter, service.AllScopesFilterRequest{Selector: "?.*//", Filter: "all"}); res.Count != 3 {
		t.Errorf("unsubscribed %+v", res)
	}
	subscriptions(0, service.ByControl)
	if got := ask(t, control, conn, service.GetSelectors, service.SessionRequest{Session: target.id}); len(got) != 0 {
		t.Errorf("selectors %v, want none", got)
	}
	nobody := on("a", "")
	nobody.Session = wire.SessionID{}
	mustFail(t, control, conn, service.SubscribeClient, nobody, wire.CodeNoSuchSession)
	mustFail(t, control, conn, service.UnsubscribeClient, nobody, wire.CodeNoSuchSession)
	mustFail(t, control, conn, service.UnsubscribeAllControl, service.AllScopesRequest{Selector: "a"}, wire.CodeNoSuchSession)
	mustFail(t, control, conn, service.GetSelectors, service.SessionRequest{}, wire.CodeNoSuchSession)
	mustFail(t, control, conn, service.SubscribeClient, on("?[", ""), wire.CodeInvalidData)
	mustFail(t, control, conn, service.SubscribeClient, on("a", "$x"), wire.CodeInvalidData)
	mustFail(t, control, conn, service.ServerControlRegistration, service.ControlRegistration{ControlParameters: service.ControlParameters{Definition: 88}}, wire.CodeUnsupported)
}

// TestConflationOff has a session that does not keep up: with conflation it gets
// the newest value, without it ends.
func TestConflationOff(t *testing.T) {
	for _, on := range []bool{true, false} {
		e := newEngine(t, func(c *Config) { c.Queue.Messages = 10 })
		control, conn := connect(t, e, "control")
		slow, slowConn := connect(t, e, "client")
		receive(t, slow, slowConn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "a"}))
		ask(t, control, conn, service.SetClientConflation, service.ConflationRequest{Session: slow.id, Conflate: on})
		for i := range 50 {
			if _, err := e.tree.AddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: topic.Specification{Type: topic.String}, Value: []byte{0x61, byte('A' + i)}}); err != nil {
				t.Fatal(err)
			}
		}
		if slow.Over() == on || !on && slow.reason != MessageQueueLimitReached {
			t.Errorf("conflation %v: over %v, reason %v", on, slow.Over(), slow.reason)
		}
	}
	e := newEngine(t, nil)
	control, conn := connect(t, e, "control")
	if res := ask(t, control, conn, service.SetClientConflationFilter, service.FilterConflationRequest{Filter: "all"}); res.Count != 1 {
		t.Errorf("changed %+v", res)
	}
	mustFail(t, control, conn, service.SetClientConflation, service.ConflationRequest{}, wire.CodeNoSuchSession)
}

func TestSessionFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, nil)
		control, conn := connect(t, e, "control")
		start := time.Now()
		ms := func(n int) *int64 { at := start.UnixMilli() + int64(n); return &at }
		for i := 1; i <= 9; i++ {
			time.Sleep(time.Millisecond)
			s, _ := connect(t, e, "client")
			setProperties(t, s, "N", fmt.Sprint(i), "Size", strings.Repeat("x", 1000))
		}
		limit := func(n int32) *int32 { return &n }
		const room = 1 << 20
		for _, c := range []struct {
			name  string
			q     service.SessionQuery
			want  string // values of N
			total int32
		}{
			{"all", service.SessionQuery{Filter: "has N", MaxResultSize: room}, "123456789", 9},
			{"in a range", service.SessionQuery{Filter: "has N", From: ms(3), To: ms(5), MaxResultSize: room}, "345", 3},
			{"from the future", service.SessionQuery{Filter: "has N", From: ms(30), MaxResultSize: room}, "", 0},
			{"the first", service.SessionQuery{Filter: "has N", Limit: limit(2), MaxResultSize: room}, "12", 9},
			{"the last", service.SessionQuery{Filter: "has N", Limit: limit(-2), MaxResultSize: room}, "89", 9},
			{"none", service.SessionQuery{Filter: "has N", Limit: limit(0), MaxResultSize: room}, "", 9},
			{"more than there are", service.SessionQuery{Filter: "has N", Limit: limit(math.MaxInt32), MaxResultSize: math.MaxInt32}, "123456789", 9},
			{"more than there are, last", service.SessionQuery{Filter: "has N", Limit: limit(math.MinInt32), MaxResultSize: room}, "123456789", 9},
			{"by index", service.SessionQuery{Filter: "N in ['7','3']", MaxResultSize: room}, "37", 2},
			{"no room", service.SessionQuery{Filter: "has N", MaxResultSize: -1}, "", 9},
			{"little room", service.SessionQuery{Filter: "has N", Keys: []string{"*U"}, MaxResultSize: 2500}, "12", 9},
			{"little room, last", service.SessionQuery{Filter: "has N", Keys: []string{"*U"}, Limit: limit(-5), MaxResultSize: 2500}, "89", 9},
		} {
			c.q.Keys = append(c.q.Keys, "N")
			m := call(t, control, conn, service.SessionFetch.AppendRequest(nil, 1, c.q))
			res, err := service.SessionFetch.ReadResponse(m.Body)
			if err != nil {
				t.Fatal(err)
			}
			got := ""
			for _, s := range res.Sessions {
				got += s.Properties["N"]
			}
			if got != c.want || res.Total != c.total || c.q.MaxResultSize > 100 && len(m.Body) > int(c.q.MaxResultSize) {
				t.Errorf("%s: got %q of %d in %d bytes, want %q of %d", c.name, got, res.Total, len(m.Body), c.want, c.total)
			}
		}
		for _, c := range []struct {
			keys  []string
			start bool
			want  int // properties
		}{{nil, true, 0}, {[]string{"*F"}, true, 13}, {[]string{"$StartTime", "$SessionId"}, true, 1}, {[]string{"N"}, false, 1}} {
			res := ask(t, control, conn, service.SessionFetch, service.SessionQuery{Filter: "N is '4'", Keys: c.keys, StartTime: c.start, MaxResultSize: room})
			s := res.Sessions[0]
			if len(s.Properties) != c.want || (s.StartTime != nil) != c.start || c.start && *s.StartTime != *ms(4) {
				t.Errorf("keys %q: %+v", c.keys, s)
			}
		}
	})
}

// TestReAuthenticationKeepsTheIndex has a session go on as somebody else.
func TestReAuthenticationKeepsTheIndex(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "client")
	setProperties(t, s, "$Country", "de")
	if ok := ask(t, s, conn, service.ReAuthenticate, service.ReAuthenticateRequest{PrincipalRequest: service.PrincipalRequest{Principal: "control", Credentials: wire.Password("password")}}); !bool(ok) {
		t.Fatal("not accepted")
	}
	for text, want := range map[string]bool{"$Principal is 'client'": false, "$Principal is 'control'": true, "$Country is 'DE'": true} {
		if f, _ := filter.Parse(text); e.Any(f) != want {
			t.Errorf("%s: %v", text, !want)
		}
	}
}
