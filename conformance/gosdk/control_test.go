package gosdk

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// Control of other sessions: properties, roles, conflation and their end, of one
// session or of all of a filter.

const controlGroup = "Control of sessions"

var control = []scenario{
	{"control.get-properties", controlGroup, "the properties of another session: by name, all fixed, all of the user; those that it does not have are left out", both, getProperties},
	{"control.get-properties-refused", controlGroup, "the properties of a session that is not there; a caller without VIEW_SESSION", ws, getPropertiesRefused},
	{"control.own-properties", controlGroup, "a session without permission reads its own fixed properties, without its roles", ws, ownProperties},
	{"control.set-properties", controlGroup, "properties are added, changed and removed; the answer has the values before of what changed", ws, setProperties},
	{"control.set-fixed-properties", controlGroup, "of the fixed properties only those of the place are set, in their form; others are ignored", ws, setFixedProperties},
	{"control.set-properties-refused", controlGroup, "a session that is not there, a key that is none, a caller without VIEW_SESSION and MODIFY_SESSION", ws, setPropertiesRefused},
	{"control.set-properties-by-filter", controlGroup, "properties of all sessions of a filter; the answer is how many it selects", ws, setPropertiesByFilter},
	{"control.filters", controlGroup, "the filter language: operators, precedence, brackets, regular expressions, lists, roles, escapes", ws, controlFilters},
	{"control.no-filter", controlGroup, "a filter that is none is reported with the place of the error, by every call that takes one", ws, controlNoFilter},
	{"control.close", controlGroup, "a session is closed by its id, and does not reconnect; one that is not there: NO_SUCH_SESSION", both, controlClose},
	{"control.close-away", controlGroup, "a session that is away is closed too, and is refused when it comes back", ws, controlCloseAway},
	{"control.close-by-filter", controlGroup, "all sessions of a filter are closed, the caller last if it is among them, and their count is answered", ws, controlCloseByFilter},
	{"control.close-permission", controlGroup, "to close sessions takes MODIFY_SESSION, and VIEW_SESSION for those of a filter", ws, controlClosePermission},
	{"control.roles", controlGroup, "roles are added and removed: the session may at once what they allow, and its subscriptions follow", ws, controlRoles},
	{"control.roles-by-filter", controlGroup, "roles of all sessions of a filter", ws, controlRolesByFilter},
	{"control.roles-refused", controlGroup, "a role both removed and added, a session that is not there, a caller without MODIFY_SESSION", ws, controlRolesRefused},
	{"control.conflation", controlGroup, "with conflation a session that is away gets the newest value when it is back; without it, all of them", ws, controlConflation},
	{"control.conflation-refused", controlGroup, "conflation of a session that is not there, and by a caller without MODIFY_SESSION", ws, controlConflationRefused},
}

// noFilters are filters that are none.
var noFilters = []string{"$Principal", "$Principal is bob", "all and", `$Principal is "bob`, "", `$Roles matches "["`, "hasRoles"}

// reported expects an error with the place of each mistake.
func (s *scene) reported(err error, what string, target error) []advect.ErrorReport {
	s.t.Helper()
	s.is(err, what, target)
	var mistakes *advect.ScriptError
	s.ok(errors.As(err, &mistakes), "%s: %v is no *ScriptError", what, err)
	for _, r := range mistakes.Reports {
		s.ok(r.Line >= 1 && r.Column >= 1 && r.Message != "", "%s: report %+v", what, r)
	}
	return mistakes.Reports
}

func (s *scene) denied(err error, what string) {
	s.t.Helper()
	s.is(err, what, advect.ErrPermissionDenied)
}

// count fails unless a call by a filter has selected so many sessions.
func (s *scene) selects(want int) func(int, error) {
	return func(sessions int, err error) {
		s.t.Helper()
		s.none(err, "call by filter")
		s.equal(sessions, want, "sessions of the filter")
	}
}

// has compares properties of a session with those that are wanted.
func (s *scene) has(by, session *advect.Session, want map[string]string, keys ...string) {
	s.t.Helper()
	got, err := by.Clients().Properties(s.ctx, session.ID(), keys...)
	s.none(err, "properties")
	s.equal(got, want, fmt.Sprint("properties ", keys))
}

// closedSession returns the id of a session that the server knows no more.
func (s *scene) closedSession() advect.SessionID {
	s.t.Helper()
	session := s.connect()
	s.none(session.Close(), "close")
	s.gone(session)
	return session.ID()
}

type properties = map[string]string

func getProperties(s *scene) {
	session, client := s.control(), s.connect(as("client")...)
	_, err := session.Clients().SetProperties(s.ctx, client.ID(), properties{"job": "tester"})
	s.none(err, "set properties")
	fixed, err := session.Clients().Properties(s.ctx, client.ID(), advect.AllFixedProperties)
	s.none(err, "fixed properties")
	transport := map[advect.Transport]string{advect.WebSocket: "WEBSOCKET", advect.HTTPPolling: "HTTP_LONG_POLL"}[s.transport]
	for key, want := range map[string]string{
		"$SessionId": client.ID().String(), "$Principal": "client", "$Roles": `"CLIENT"`, "$ClientIP": "127.0.0.1",
		"$Latitude": "NaN", "$Country": "", "$Transport": transport,
	} {
		s.equal(fixed[key], want, key)
	}
	for _, key := range []string{"job", "$ExpiryTime", "$MQTTClientId"} {
		_, there := fixed[key]
		s.ok(!there, "%s is among the fixed properties", key)
	}
	s.ok(recent(fixed["$StartTime"]), "$StartTime %s", fixed["$StartTime"])
	s.has(session, client, properties{"job": "tester"}, advect.AllUserProperties)
	s.has(session, client, properties{"job": "tester", "$Principal": "client"}, "job", "$Principal", "none", "$None")
	s.has(session, client, properties{})
}

// recent says whether a property is a time of this minute, in milliseconds.
func recent(ms string) bool {
	n, err := strconv.ParseInt(ms, 10, 64)
	return err == nil && math.Abs(time.Since(time.UnixMilli(n)).Minutes()) < 1
}

func getPropertiesRefused(s *scene) {
	session, client := s.control(), s.connect()
	for _, id := range []advect.SessionID{s.closedSession(), nobody} {
		_, err := session.Clients().Properties(s.ctx, id, advect.AllFixedProperties)
		s.is(err, "a session that is not there", advect.ErrNoSuchSession)
	}
	for _, of := range []*advect.Session{session, client} {
		_, err := client.Clients().Properties(s.ctx, of.ID(), advect.AllFixedProperties)
		s.denied(err, "without VIEW_SESSION")
	}
}

func ownProperties(s *scene) {
	session, client := s.control(), s.connect()
	_, err := session.Clients().SetProperties(s.ctx, client.ID(), properties{"job": "tester", "$Country": "de"})
	s.none(err, "set properties")
	own, err := client.Properties(s.ctx)
	s.none(err, "own properties")
	s.equal([]string{own["$SessionId"], own["$Principal"], own["$Country"]}, []string{client.ID().String(), "", "DE"}, "properties")
	for _, key := range []string{"$Roles", "job"} {
		_, there := own[key]
		s.ok(!there, "%s is among a session's own properties", key)
	}
}

// changed expects what a call has changed.
func (s *scene) changed(old properties, added ...string) func(advect.PropertyChanges, error) {
	return func(got advect.PropertyChanges, err error) {
		s.t.Helper()
		s.none(err, "set properties")
		s.equal(got.Old, old, "values before")
		slices.Sort(got.Added)
		s.equal(got.Added, added, "added")
	}
}

func setProperties(s *scene) {
	session, client := s.control(), s.connect()
	set := func(set properties, remove ...string) (advect.PropertyChanges, error) {
		return session.Clients().SetProperties(s.ctx, client.ID(), set, remove...)
	}
	s.changed(nil, "job", "with-ünï.x")(set(properties{"job": "tester", "with-ünï.x": ""}))
	s.changed(properties{"job": "tester"}, "Job")(set(properties{"job": "boss", "with-ünï.x": "", "Job": "upper"}))
	s.changed(properties{"job": "boss"})(set(properties{"Job": "upper"}, "job", "none"))
	s.changed(nil)(set(nil, "job"))
	s.has(session, client, properties{"with-ünï.x": "", "Job": "upper"}, advect.AllUserProperties)
}

func setFixedProperties(s *scene) {
	session, client := s.control(), s.connect()
	s.changed(properties{"$Country": "", "$Language": "", "$Latitude": "NaN"})(session.Clients().SetProperties(s.ctx, client.ID(), properties{
		"$Country": "gb", "$Language": "EN", "$Latitude": "51.5", "$Longitude": "west", "$Principal": "admin", "$Roles": `"ADMINISTRATOR"`, "$Mine": "x",
	}))
	s.has(session, client, properties{
		"$Country": "GB", "$Language": "en", "$Latitude": "51.5", "$Longitude": "NaN", "$Principal": "", "$Roles": `"CLIENT"`,
	}, "$Country", "$Language", "$Latitude", "$Longitude", "$Principal", "$Roles", "$Mine")
	s.changed(nil)(session.Clients().SetProperties(s.ctx, client.ID(), nil, "$Country", "$SessionId"))
}

func setPropertiesRefused(s *scene) {
	session, client, operator := s.control(), s.connect(), s.connect(as("operator")...)
	_, err := session.Clients().SetProperties(s.ctx, s.closedSession(), properties{"a": "b"})
	s.is(err, "closed session", advect.ErrNoSuchSession)
	for _, key := range []string{"", "a b", `"a"`, "(a)", "a'", "a\tb", "a\nb"} {
		_, err := session.Clients().SetProperties(s.ctx, client.ID(), properties{key: "x", "fine": "x"})
		s.is(err, fmt.Sprintf("key %q", key), advect.ErrInvalidData)
	}
	s.has(session, client, properties{}, advect.AllUserProperties)
	for what, by := range map[string]*advect.Session{"client": client, "operator": operator} {
		_, err := by.Clients().SetProperties(s.ctx, client.ID(), properties{"a": "b"})
		s.denied(err, what+", by id")
		_, err = by.Clients().SetPropertiesByFilter(s.ctx, "all", properties{"a": "b"})
		s.denied(err, what+", by filter")
	}
}

func setPropertiesByFilter(s *scene) {
	session, one, two, bystander := s.control(), s.connect(), s.connect(), s.connect()
	set := func(filter string, set properties, remove ...string) (int, error) {
		return session.Clients().SetPropertiesByFilter(s.ctx, filter, set, remove...)
	}
	team := s.path()
	mine := "team is " + advect.FilterString(team)
	s.selects(2)(set(among(one, two), properties{"team": team, "temporary": "x"}))
	s.selects(2)(set(mine, properties{"job": "tester"}, "temporary"))
	s.selects(0)(set(mine+" and not has job", properties{"job": "none"}))
	for _, of := range []*advect.Session{one, two} {
		s.has(session, of, properties{"team": team, "job": "tester"}, advect.AllUserProperties)
	}
	s.has(session, bystander, properties{}, advect.AllUserProperties)
}

func controlFilters(s *scene) {
	session := s.control()
	gold, free, plain := s.connect(), s.connect(as("client")...), s.connect(as("operator")...)
	const note = `it's "quoted" \`
	mine, set := s.path(), session.Clients()
	s.selects(3)(set.SetPropertiesByFilter(s.ctx, among(gold, free, plain), properties{"mine": mine}))
	_, err := set.SetProperties(s.ctx, gold.ID(), properties{"Tier": "gold", "note": note, "all": "x", "$Country": "gb"})
	s.none(err, "set properties")
	_, err = set.SetProperties(s.ctx, free.ID(), properties{"Tier": "free", "$Country": "us"})
	s.none(err, "set properties")
	for filter, want := range map[string]int{
		"all": 3, "ALL": 3, "Tier is 'gold'": 1, `Tier EQ "gold"`: 1, "tier is 'gold'": 0, "Tier is 'GOLD'": 0, "Tier ne 'gold'": 2,
		"has Tier": 2, "not has Tier": 1, "NOT (Tier is 'gold' OR Tier is 'free')": 1, "not Tier is 'gold' and has Tier": 1,
		"Tier is 'gold' or Tier is 'free' and $Country is 'DE'": 1, "(Tier is 'gold' or Tier is 'free') and $Country is 'US'": 1,
		"$Principal is ''": 1, "$Principal matches 'client|operator'": 2, "$Principal matches 'lien'": 0, `$ClientIP matches "127\\.0\\..*"`: 3,
		"$Country in ['GB', 'US']": 2, `$Country in ["GB" "FR"]`: 1, `hasRoles "CLIENT"`: 2, `hasroles ["OPERATOR"]`: 1, `hasRoles ["CLIENT" "OPERATOR"]`: 0,
		`$Roles eq '"CLIENT"'`: 2, "note is " + advect.FilterString(note): 1, "all is 'x'": 1, "(((Tier is'gold')))": 1,
	} {
		n, err := set.SetPropertiesByFilter(s.ctx, "mine is "+advect.FilterString(mine)+" and ("+filter+")", nil, "touched")
		s.none(err, filter)
		s.equal(n, want, "sessions of "+filter)
	}
}

func controlNoFilter(s *scene) {
	session := s.control()
	c := session.Clients()
	for call, run := range map[string]func(filter string) error{
		"SetPropertiesByFilter": func(f string) error {
			_, err := c.SetPropertiesByFilter(s.ctx, f, properties{"a": "b"})
			return err
		},
		"CloseByFilter":        func(f string) error { _, err := c.CloseByFilter(s.ctx, f); return err },
		"SetConflatedByFilter": func(f string) error { _, err := c.SetConflatedByFilter(s.ctx, f, true); return err },
		"ChangeRolesByFilter":  func(f string) error { _, err := c.ChangeRolesByFilter(s.ctx, f, nil, []string{"A"}); return err },
		"SubscribeByFilter":    func(f string) error { _, err := c.SubscribeByFilter(s.ctx, f, "a"); return err },
		"UnsubscribeByFilter":  func(f string) error { _, err := c.UnsubscribeByFilter(s.ctx, f, "a"); return err },
		"UnsubscribeAllScopesByFilter": func(f string) error {
			_, err := c.UnsubscribeAllScopesByFilter(s.ctx, f, "a")
			return err
		},
	} {
		for _, filter := range noFilters {
			s.reported(run(filter), call+" of "+filter, advect.ErrInvalidFilter)
		}
	}
}

func controlClose(s *scene) {
	session, client := s.control(), s.connect()
	events := s.events(client)
	s.none(session.Clients().Close(s.ctx, client.ID()), "close")
	s.code(s.closed(client), advect.CodeClosedByServer, "close reason")
	s.awaitEvent(events, closing, 1)
	s.equal(events.count(disconnect), 0, "attempts to reconnect")
	s.is(session.Clients().Close(s.ctx, client.ID()), "closed already", advect.ErrNoSuchSession)
	s.is(session.Clients().Close(s.ctx, nobody), "never there", advect.ErrNoSuchSession)
}

func controlCloseAway(s *scene) {
	session, away := s.control(), s.subscribed(shared.port)
	away.lose()
	s.none(session.Clients().Close(s.ctx, away.session.ID()), "close")
	away.gate.pass()
	s.closed(away.session)
}

func controlCloseByFilter(s *scene) {
	session, one, two, bystander := s.control(), s.connect(), s.connect(), s.connect()
	s.selects(0)(session.Clients().CloseByFilter(s.ctx, among(bystander)+" and $Principal is 'nobody'"))
	s.selects(2)(session.Clients().CloseByFilter(s.ctx, among(one, two)))
	s.selects(3)(s.control().Clients().CloseByFilter(s.ctx, among(session, s.connect(), s.connect())))
	for _, of := range []*advect.Session{session, one, two} {
		s.code(s.closed(of), advect.CodeClosedByServer, "close reason")
	}
	s.ping(bystander)
	own := s.control()
	// The answer may be overtaken by the end of the session.
	if n, err := own.Clients().CloseByFilter(s.ctx, among(own)); err == nil {
		s.equal(n, 1, "count")
	}
	s.code(s.closed(own), advect.CodeClosedByServer, "close reason")
}

func controlClosePermission(s *scene) {
	port := s.serve().port
	client, operator := s.at(port), s.at(port, as("operator")...)
	s.govern(port, "set 'CLIENT' permissions [MODIFY_SESSION]", "set 'OPERATOR' includes []")
	s.denied(operator.Clients().Close(s.ctx, client.ID()), "by id, without MODIFY_SESSION")
	for what, session := range map[string]*advect.Session{"without MODIFY_SESSION": operator, "without VIEW_SESSION": client} {
		_, err := session.Clients().CloseByFilter(s.ctx, "all")
		s.denied(err, "by filter, "+what)
	}
	s.none(client.Clients().Close(s.ctx, operator.ID()), "by id, without VIEW_SESSION")
}

func controlRoles(s *scene) {
	admin, client := s.admin(), s.connect()
	change := func(remove, add []string) {
		s.none(admin.Clients().ChangeRoles(s.ctx, client.ID(), remove, add), "change roles")
	}
	path := s.path()
	s.publisher(shared.port).add(path, advect.String)
	stream := watch[text](s, client, path)
	s.subscribe(client, path)
	s.await(stream, subscribe, 1)
	_, err := client.Lock(s.ctx, s.path("lock"))
	s.denied(err, "lock of a client")
	change(nil, []string{"TOPIC_CONTROL"})
	_, err = client.Lock(s.ctx, s.path("lock"))
	s.none(err, "lock")
	change([]string{"TOPIC_CONTROL", "CLIENT", "NONE"}, []string{"MADE UP", "MADE UP"})
	s.equal(s.await(stream, unsubscribe, 1).reason, advect.UnsubscribeAuthorization, "reason")
	s.has(admin, client, properties{"$Roles": `"MADE UP"`}, "$Roles")
	change([]string{"MADE UP"}, []string{"CLIENT"})
	s.await(stream, subscribe, 2)
}

func controlRolesByFilter(s *scene) {
	admin, one, two := s.admin(), s.connect(), s.connect()
	s.selects(2)(admin.Clients().ChangeRolesByFilter(s.ctx, among(one, two), []string{"CLIENT"}, []string{"OPERATOR"}))
	s.selects(0)(admin.Clients().ChangeRolesByFilter(s.ctx, among(one, two)+` and hasRoles "CLIENT"`, nil, []string{"CREW"}))
	for _, of := range []*advect.Session{one, two} {
		s.has(admin, of, properties{"$Roles": `"OPERATOR"`}, "$Roles")
	}
}

func controlRolesRefused(s *scene) {
	session, client, operator := s.control(), s.connect(), s.connect(as("operator")...)
	s.is(session.Clients().ChangeRoles(s.ctx, client.ID(), []string{"A", "B"}, []string{"B"}), "in both lists", advect.ErrInvalidData)
	_, err := session.Clients().ChangeRolesByFilter(s.ctx, among(client), []string{"B"}, []string{"B"})
	s.is(err, "in both lists, by filter", advect.ErrInvalidData)
	s.is(session.Clients().ChangeRoles(s.ctx, s.closedSession(), nil, []string{"A"}), "closed session", advect.ErrNoSuchSession)
	for what, by := range map[string]*advect.Session{"client": client, "operator": operator} {
		s.denied(by.Clients().ChangeRoles(s.ctx, client.ID(), nil, []string{"ADMINISTRATOR"}), what+", by id")
		_, err := by.Clients().ChangeRolesByFilter(s.ctx, "all", nil, []string{"ADMINISTRATOR"})
		s.denied(err, what+", by filter")
	}
	s.has(session, client, properties{"$Roles": `"CLIENT"`}, "$Roles")
}

func controlConflation(s *scene) {
	session := s.owner()
	f := s.subscribed(shared.port)
	path := s.path()
	_, err := session.Topics().Add(s.ctx, path, advect.NewSpecification(advect.Int64, advect.With(advect.PropertyConflation, "always")))
	s.none(err, "add")
	stream := watch[datatype.Int64](s, f.session, path)
	s.subscribe(f.session, path)
	s.await(stream, subscribe, 1)
	told := s.listenTo(session.Session, advect.SessionEventQuery{Filter: among(f.session)})
	last := 0
	// How many of ten values arrive that are set while the session is away.
	arrive := func() int {
		before := len(stream.of(value))
		f.lose()
		s.happens(told, advect.SessionDisconnected, f.losses)
		session.count(path, last+1, last+10)
		last += 10
		f.found()
		s.awaitValue(stream, strconv.Itoa(last))
		return len(stream.of(value)) - before
	}
	c := session.Clients()
	s.equal(arrive(), 1, "values at first")
	s.none(c.SetConflated(s.ctx, f.session.ID(), false), "set conflated")
	s.equal(arrive(), 10, "values without conflation")
	s.selects(1)(c.SetConflatedByFilter(s.ctx, among(f.session), true))
	s.equal(arrive(), 1, "values with conflation")
}

func controlConflationRefused(s *scene) {
	session, client := s.control(), s.connect()
	s.none(session.Clients().SetConflated(s.ctx, client.ID(), true), "set conflated")
	s.is(session.Clients().SetConflated(s.ctx, s.closedSession(), true), "closed session", advect.ErrNoSuchSession)
	s.denied(client.Clients().SetConflated(s.ctx, client.ID(), true), "by id")
	_, err := client.Clients().SetConflatedByFilter(s.ctx, "all", true)
	s.denied(err, "by filter")
}
