package gosdk

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"advect.dev"
)

// Listeners to sessions, and queries of sessions.

const (
	sessionEventsGroup  = "Session events"
	sessionQueriesGroup = "Session queries"
)

var sessionListeners = []scenario{
	{"session-events.life", sessionEventsGroup, "a session opens, changes, loses its connection, returns and closes: each is told, with the properties that were asked for", ws, eventsLife},
	{"session-events.all-sessions", sessionEventsGroup, "without parameters: every session, its own too, those that are there and those that come; no properties", both, eventsAllSessions},
	{"session-events.started-after", sessionEventsGroup, "after a time: only sessions that start later", ws, eventsStartedAfter},
	{"session-events.filter", sessionEventsGroup, "a session whose properties begin to satisfy the filter opens to the listener; roles that change are told as $Roles", ws, eventsFilter},
	{"session-events.principal", sessionEventsGroup, "a change of principal is an event of properties", ws, eventsPrincipal},
	{"session-events.close-listener", sessionEventsGroup, "a listener that is closed is told nothing more; others of its session go on", ws, eventsCloseListener},
	{"session-events.refused", sessionEventsGroup, "a filter that is none, a caller without VIEW_SESSION or REGISTER_HANDLER", ws, eventsRefused},
	{"session-events.permission-withdrawn", sessionEventsGroup, "a listener whose session may listen no longer is told so, and of no further session", ws, eventsPermissionWithdrawn},
	{"session-events.message-loss", sessionEventsGroup, "a reconnection with loss of messages ends the listeners of a session", ws, eventsMessageLoss},
	{"session-queries.select", sessionQueriesGroup, "sessions of a filter in the order of their start, from one end or the other, with the properties that were asked for", both, queriesSelect},
	{"session-queries.defaults", sessionQueriesGroup, "without a filter all sessions, with their start times alone; ranges of start times include their ends", ws, queriesDefaults},
	{"session-queries.size", sessionQueriesGroup, "an answer keeps within the size that is allowed, and says that there is more", ws, queriesSize},
	{"session-queries.go-all", sessionQueriesGroup, "Go: FetchAll goes through all pages", ws, queriesAll},
	{"session-queries.refused", sessionQueriesGroup, "a filter that is none is reported; without VIEW_SESSION: ACCESS_DENIED", ws, queriesRefused},
}

type sessionsRecord = record[advect.SessionEvent]

// listenTo records what happens to sessions.
func (s *scene) listenTo(session *advect.Session, query advect.SessionEventQuery) *sessionsRecord {
	s.t.Helper()
	r, _, _ := s.listenToSessions(session, query)
	return r
}

func (s *scene) listenToSessions(session *advect.Session, query advect.SessionEventQuery) (*sessionsRecord, *record[error], *advect.SessionListenerHandle) {
	s.t.Helper()
	r, closed := newRecord[advect.SessionEvent]("session events"), newRecord[error]("closes of a listener")
	h, err := session.Clients().AddListener(s.ctx, advect.SessionListener{SessionEventQuery: query, OnEvent: r.add, OnClose: closed.add})
	s.none(err, "add session listener")
	return r, closed, h
}

// of waits until a record has n events of a session, and returns those.
func (s *scene) of(r *sessionsRecord, session *advect.Session, n int) []advect.SessionEvent {
	s.t.Helper()
	var own []advect.SessionEvent
	_, err := r.until(patience, func(all []advect.SessionEvent) bool {
		own = slices.DeleteFunc(slices.Clone(all), func(e advect.SessionEvent) bool { return e.SessionID != session.ID() })
		return len(own) >= n
	})
	s.none(err, "events of a session")
	return own
}

// happens waits for the n-th event of a kind.
func (s *scene) happens(r *sessionsRecord, kind advect.SessionEventKind, n int) {
	s.t.Helper()
	_, err := r.until(patience, func(all []advect.SessionEvent) bool {
		return len(slices.DeleteFunc(slices.Clone(all), func(e advect.SessionEvent) bool { return e.Kind != kind })) >= n
	})
	s.none(err, kind.String())
}

// set gives a session one property.
func (s *scene) set(by, session *advect.Session, key, value string) {
	s.t.Helper()
	_, err := by.Clients().SetProperties(s.ctx, session.ID(), properties{key: value})
	s.none(err, "set properties")
}

func eventsLife(s *scene) {
	control, away := s.control(), s.subscribed(shared.port)
	session := away.session
	r := s.listenTo(control, advect.SessionEventQuery{Filter: among(session), Properties: []string{"$Principal", "job"}})
	next := func(n int, kind advect.SessionEventKind, want properties, old properties, added ...string) advect.SessionEvent {
		s.t.Helper()
		e := s.of(r, session, n)[n-1]
		s.equal(e.Kind, kind, "event")
		s.equal(e.Properties, want, "properties of "+kind.String())
		s.equal(e.Changes.Old, old, "values before")
		s.equal(e.Changes.Added, added, "added")
		return e
	}
	next(1, advect.SessionOpened, properties{"$Principal": ""}, nil)
	s.set(control, session, "job", "tester")
	next(2, advect.SessionUpdated, properties{"$Principal": "", "job": "tester"}, nil, "job")
	s.set(control, session, "other", "not asked for")
	s.set(control, session, "job", "boss")
	next(3, advect.SessionUpdated, properties{"$Principal": "", "job": "boss"}, properties{"job": "tester"})
	_, err := control.Clients().SetProperties(s.ctx, session.ID(), nil, "job")
	s.none(err, "remove a property")
	next(4, advect.SessionUpdated, properties{"$Principal": ""}, properties{"job": "boss"})
	away.lose()
	s.equal(s.of(r, session, 5)[4].Kind, advect.SessionDisconnected, "event")
	away.found()
	s.equal(s.of(r, session, 6)[5].Kind, advect.SessionReconnected, "event")
	s.none(session.Close(), "close")
	s.equal(next(7, advect.SessionClosed, nil, nil).Reason, advect.SessionClosedByClient, "reason")
}

func eventsAllSessions(s *scene) {
	control, before := s.control(), s.connect()
	r := s.listenTo(control, advect.SessionEventQuery{})
	for _, session := range []*advect.Session{control, before} {
		e := s.of(r, session, 1)[0]
		s.equal(e.Kind, advect.SessionOpened, "event")
		s.equal(len(e.Properties), 0, "properties")
	}
	after := s.connect()
	s.equal(s.of(r, after, 1)[0].Kind, advect.SessionOpened, "one that comes later")
	s.set(control, after, "job", "tester")
	s.none(control.Clients().Close(s.ctx, after.ID()), "close")
	last := s.of(r, after, 2)[1]
	s.equal(last.Kind, advect.SessionClosed, "the event after the opening")
	s.equal(last.Reason, advect.SessionClosedByController, "reason")
}

func (s *scene) started(by, session *advect.Session) time.Time {
	s.t.Helper()
	p, err := by.Clients().Properties(s.ctx, session.ID(), "$StartTime")
	s.none(err, "properties")
	ms, err := strconv.ParseInt(p["$StartTime"], 10, 64)
	s.none(err, "$StartTime")
	return time.UnixMilli(ms)
}

func eventsStartedAfter(s *scene) {
	control, before := s.control(), s.connect()
	start := s.started(control, before)
	r := s.listenTo(control, advect.SessionEventQuery{StartedAfter: start})
	after := s.connect()
	for !s.started(control, after).After(start) { // in the same millisecond
		after = s.connect()
	}
	s.of(r, after, 1)
	s.none(before.Close(), "close")
	s.none(after.Close(), "close")
	s.of(r, after, 2)
	s.equal(len(s.of(r, before, 0)), 0, "events of one that started before")
}

func eventsFilter(s *scene) {
	admin, client := s.admin(), s.connect()
	team := s.path()
	r := s.listenTo(admin, advect.SessionEventQuery{Filter: "team is " + advect.FilterString(team), Properties: []string{advect.AllUserProperties, "$Roles"}})
	s.set(admin, client, "team", "another")
	s.set(admin, client, "team", team)
	opened := s.of(r, client, 1)[0]
	s.equal(opened.Kind, advect.SessionOpened, "event")
	s.equal(opened.Properties, properties{"team": team, "$Roles": `"CLIENT"`}, "properties")
	s.none(admin.Clients().ChangeRoles(s.ctx, client.ID(), []string{"CLIENT"}, []string{"OPERATOR"}), "change roles")
	changed := s.of(r, client, 2)[1]
	s.equal(changed.Properties["$Roles"], `"OPERATOR"`, "$Roles")
	s.equal(changed.Changes.Old, properties{"$Roles": `"CLIENT"`}, "values before")
}

func eventsPrincipal(s *scene) {
	admin, client := s.admin(), s.connect()
	r := s.listenTo(admin, advect.SessionEventQuery{Filter: among(client), Properties: []string{"$Principal", "$Roles"}})
	s.of(r, client, 1)
	s.none(client.ChangePrincipal(s.ctx, "operator", advect.Password("password")), "change principal")
	changed := s.of(r, client, 2)[1]
	s.equal(changed.Kind, advect.SessionUpdated, "event")
	s.equal(changed.Properties, properties{"$Principal": "operator", "$Roles": `"OPERATOR"`}, "properties")
	s.equal(changed.Changes.Old, properties{"$Principal": "", "$Roles": `"CLIENT"`}, "values before")
}

func eventsCloseListener(s *scene) {
	control, client := s.control(), s.connect()
	query := advect.SessionEventQuery{Filter: among(client)}
	one, closed, h := s.listenToSessions(control, query)
	two := s.listenTo(control, query)
	s.of(one, client, 1)
	s.of(two, client, 1)
	s.none(h.Close(s.ctx), "close")
	s.equal(first(s, 1, closed), "[<nil>]", "close")
	s.none(client.Close(), "close")
	s.of(two, client, 2)
	s.equal(len(one.all()), 1, "events of the closed listener")
}

func eventsRefused(s *scene) {
	control := s.control()
	for _, filter := range noFilters {
		if filter == "" { // all sessions
			continue
		}
		_, err := control.Clients().AddListener(s.ctx, advect.SessionListener{SessionEventQuery: advect.SessionEventQuery{Filter: filter}})
		s.is(err, "filter "+filter, advect.ErrInvalidFilter)
	}
	for what, session := range map[string]*advect.Session{"client": s.connect(), "operator": s.connect(as("operator")...)} {
		_, err := session.Clients().AddListener(s.ctx, advect.SessionListener{})
		s.denied(err, what)
	}
}

func eventsPermissionWithdrawn(s *scene) {
	admin, control, client := s.admin(), s.control(), s.connect()
	r, closed, _ := s.listenToSessions(control, advect.SessionEventQuery{Filter: among(client), Properties: []string{"job"}})
	s.of(r, client, 1)
	s.none(admin.Clients().ChangeRoles(s.ctx, control.ID(), []string{"CLIENT_CONTROL"}, nil), "change roles")
	s.set(admin, client, "job", "secret")
	s.denied(first(s, 1, closed)[0], "the listener")
	s.equal(len(r.all()), 1, "events")
}

func eventsMessageLoss(s *scene) {
	server := s.serve("--recovery-messages", "2")
	p := s.lossy(server.port)
	f := s.subscribedAt(server.port, p.port, as("control")...)
	other := f.publisher.Session
	r, closed, _ := s.listenToSessions(f.session, advect.SessionEventQuery{Properties: []string{"n"}})
	s.of(r, other, 1)
	p.lose(12, func() {
		for n := range 10 {
			s.set(other, other, "n", strconv.Itoa(n))
		}
		f.count(1, 12) // events may share a message; updates do not
	})
	f.found()
	s.is(first(s, 1, closed)[0], "the listener", advect.ErrMessageLoss)
	told := len(r.all())
	anew := s.listenTo(f.session, advect.SessionEventQuery{Filter: among(other), Properties: []string{"n"}})
	s.of(anew, other, 1)
	s.set(other, other, "n", "last")
	s.of(anew, other, 2)
	s.equal(len(r.all()), told, "events of the old listener")
}

// fetched returns the ids of the sessions that a query lists.
func (s *scene) fetched(by *advect.Session, query advect.SessionQuery) ([]advect.SessionID, advect.SessionResult) {
	s.t.Helper()
	result, err := by.Clients().Fetch(s.ctx, query)
	s.none(err, "query")
	var ids []advect.SessionID
	for _, one := range result.Sessions {
		ids = append(ids, one.SessionID)
	}
	return ids, result
}

// several opens sessions one after the other, and returns their ids too.
func (s *scene) several(n int) (sessions []*advect.Session, ids []advect.SessionID) {
	s.t.Helper()
	for range n {
		sessions = append(sessions, s.connect())
		ids = append(ids, sessions[len(sessions)-1].ID())
	}
	return sessions, ids
}

func queriesSelect(s *scene) {
	control := s.control()
	sessions, ids := s.several(4)
	filter := among(sessions...)
	got, all := s.fetched(control, advect.SessionQuery{Filter: filter})
	s.equal(got, ids, "all")
	s.ok(!all.More(), "more than all")
	got, some := s.fetched(control, advect.SessionQuery{Filter: filter, First: 2})
	s.equal(got, ids[:2], "the first")
	s.equal([]any{some.Total, some.More()}, "[4 true]", "total and more")
	got, _ = s.fetched(control, advect.SessionQuery{Filter: filter, Last: 3})
	s.equal(got, ids[1:], "the last")
	s.set(control, sessions[0], "job", "tester")
	_, one := s.fetched(control, advect.SessionQuery{Filter: among(sessions[0]), Properties: []string{advect.AllUserProperties, "$Principal", "none"}})
	s.equal(one.Sessions[0].Properties, properties{"job": "tester", "$Principal": ""}, "properties")
	_, one = s.fetched(control, advect.SessionQuery{Filter: among(sessions[0]), Properties: []string{advect.AllFixedProperties}})
	fixed := one.Sessions[0].Properties
	s.equal([]string{fixed["$SessionId"], fixed["$Roles"]}, []string{ids[0].String(), `"CLIENT"`}, "fixed properties")
	s.ok(one.Sessions[0].Started.Equal(s.started(control, sessions[0])), "start time %v", one.Sessions[0].Started)
}

func queriesDefaults(s *scene) {
	control, client := s.control(), s.connect()
	ids, all := s.fetched(control, advect.SessionQuery{})
	s.ok(slices.Contains(ids, client.ID()) && !all.More(), "all sessions: %v", ids)
	for _, one := range all.Sessions {
		s.ok(!one.Started.IsZero() && len(one.Properties) == 0, "session %+v", one)
	}
	start := s.started(control, client)
	within := func(from, to time.Time) int {
		ids, _ := s.fetched(control, advect.SessionQuery{Filter: among(client), From: from, To: to})
		return len(ids)
	}
	s.equal(within(start, start), 1, "exactly")
	s.equal(within(start.Add(time.Millisecond), time.Time{}), 0, "later")
	s.equal(within(time.Time{}, start.Add(-time.Millisecond)), 0, "earlier")
}

func queriesSize(s *scene) {
	control := s.control()
	sessions, _ := s.several(4)
	s.selects(4)(control.Clients().SetPropertiesByFilter(s.ctx, among(sessions...), properties{"long": strings.Repeat("x", 1000)}))
	ids, result := s.fetched(control, advect.SessionQuery{Filter: among(sessions...), Properties: []string{"long"}, MaxResultSize: 2500})
	s.equal([]any{len(ids), result.More(), result.Total}, "[2 true 4]", "sessions, more, and total")
}

func queriesAll(s *scene) {
	control := s.control()
	sessions, ids := s.several(5)
	var got []advect.SessionID
	for one, err := range control.Clients().FetchAll(s.ctx, advect.SessionQuery{Filter: among(sessions...), First: 2}) {
		s.none(err, "query")
		got = append(got, one.SessionID)
	}
	s.equal(got, ids, "sessions")
}

func queriesRefused(s *scene) {
	control, client := s.control(), s.connect()
	for _, filter := range noFilters {
		if filter == "" { // all sessions
			continue
		}
		_, err := control.Clients().Fetch(s.ctx, advect.SessionQuery{Filter: filter})
		s.reported(err, "filter "+filter, advect.ErrInvalidFilter)
	}
	_, err := client.Clients().Fetch(s.ctx, advect.SessionQuery{})
	s.denied(err, "without VIEW_SESSION")
}
