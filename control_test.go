package advect

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// sessionExchange returns the bodies that the official client was recorded with. A
// response that was an error is nil.
func sessionExchange(t *testing.T, call string) (request, response []byte) {
	t.Helper()
	var vectors struct {
		Exchanges []struct {
			Call     string  `json:"sdk_call"`
			Request  string  `json:"request_hex"`
			Response *string `json:"response_hex"`
		}
	}
	readVectors(t, "services-sessions.json", &vectors)
	for _, e := range vectors.Exchanges {
		if e.Call != call {
			continue
		}
		request, err := hex.DecodeString(e.Request)
		if err != nil {
			t.Fatal(err)
		}
		if e.Response != nil {
			response, err = hex.DecodeString(*e.Response)
		}
		if err != nil {
			t.Fatal(err)
		}
		return request, response
	}
	t.Fatalf("no exchange %q in the vectors", call)
	return nil, nil
}

var (
	vectorSession = SessionID{Server: 0x1122334455667788, Value: 2}
	bobs          = "$Principal is 'bob'"
)

// A sessionCall is a call whose request and response the vectors have.
type sessionCall struct {
	vector string
	do     func(ctx context.Context, s *Session) (any, error)
	want   any   // nil: an error
	is     error // what it matches
}

// none is the result of calls that have only an error.
const none = "done"

func done(err error) (any, error) { return none, err }

var sessionCalls = []sessionCall{
	{"clients.getSessionProperties(sid,['*F','dept'])", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().Properties(ctx, vectorSession, AllFixedProperties, "dept")
	}, map[string]string{"$Principal": "bob", "dept": "sales"}, nil},
	{"clients.getSessionProperties(sid) unknown session", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().Properties(ctx, vectorSession)
	}, nil, ErrNoSuchSession},
	{"clients.setSessionProperties(sid,{dept:'hr',old:null})", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SetProperties(ctx, vectorSession, map[string]string{"dept": "hr"}, "old")
	}, PropertyChanges{map[string]string{"dept": "sales"}, []string{"newkey"}}, nil},
	{"clients.setSessionProperties(sid,Map) only overwrite", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SetProperties(ctx, vectorSession, map[string]string{"a": "1"})
	}, PropertyChanges{}, nil},
	{"clients.setSessionPropertiesByFilter", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SetPropertiesByFilter(ctx, bobs, map[string]string{"dept": "hr"}, "old")
	}, 3, nil},
	{"clients.setSessionPropertiesByFilter parse error", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SetPropertiesByFilter(ctx, "bad", map[string]string{"dept": "hr"})
	}, nil, ErrInvalidFilter},
	{"clients.close(sid)", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().Close(ctx, vectorSession))
	}, none, nil},
	{"clients.close(filter)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().CloseByFilter(ctx, "all")
	}, 2, nil},
	{"clients.setConflated(sid,true)", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().SetConflated(ctx, vectorSession, true))
	}, none, nil},
	{"clients.setConflated(filter,false)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SetConflatedByFilter(ctx, "all", false)
	}, 4, nil},
	{"clients.changeRoles(sid,[r],[a,b])", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().ChangeRoles(ctx, vectorSession, []string{"R1"}, []string{"A1", "A2"}))
	}, none, nil},
	{"clients.changeRoles(filter)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().ChangeRolesByFilter(ctx, "all", []string{"R1"}, nil)
	}, 5, nil},
	{"clients.subscribe(sid,'?a//')", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().Subscribe(ctx, vectorSession, "?a//"))
	}, none, nil},
	{"clients.subscribe(sid,'>a/b','scopeX')", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().SubscribeScope(ctx, vectorSession, "scopeX", ">a/b"))
	}, none, nil},
	{"clients.subscribe(filter,'?a//')", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SubscribeByFilter(ctx, bobs, "?a//")
	}, 6, nil},
	{"clients.subscribe(filter) parse errors", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().SubscribeByFilter(ctx, "zz", "?a//")
	}, nil, ErrInvalidFilter},
	{"clients.unsubscribe(sid,'?a//','scopeX')", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().UnsubscribeScope(ctx, vectorSession, "scopeX", "?a//"))
	}, none, nil},
	{"clients.unsubscribe(filter,'?a//')", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().UnsubscribeByFilter(ctx, "all", "?a//")
	}, 0, nil},
	{"clients.unsubscribeAllScopes(sid)", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Clients().UnsubscribeAllScopes(ctx, vectorSession, "?a//"))
	}, none, nil},
	{"clients.unsubscribeAllScopes(filter)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().UnsubscribeAllScopesByFilter(ctx, "all", "?a//")
	}, 6, nil},
	{"clients.getTopicSelections(SessionId)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().Selections(ctx, vectorSession)
	}, map[string][]TopicSelection{"": {{"?a//", false}, {">a/b", true}}, "scopeX": {{"*A/B//", false}}}, nil},
	{"clients.fetchRequest().filter.from.to.first(5).withProperties(['*F']).maximumResultSize(1000)", func(ctx context.Context, s *Session) (any, error) {
		return s.Clients().Fetch(ctx, SessionQuery{
			Filter: bobs, Properties: []string{AllFixedProperties}, From: time.UnixMilli(1), To: time.UnixMilli(1000), First: 5, MaxResultSize: 1000,
		})
	}, vectorSessions, nil},

	{"security.changePrincipal('control','password') true", func(ctx context.Context, s *Session) (any, error) {
		return s.Principal(), s.ChangePrincipal(ctx, "control", Password("password"))
	}, "", nil},
	{"security.changePrincipal('x','y') false", func(ctx context.Context, s *Session) (any, error) {
		return done(s.ChangePrincipal(ctx, "x", Password("y")))
	}, nil, ErrAccessDenied},
	{"security.reauthenticate('p',bytes,{a:'1'})", func(ctx context.Context, s *Session) (any, error) {
		return done(s.ReAuthenticate(ctx, "p", CustomCredentials([]byte{1, 2, 3}), map[string]string{"a": "1"}))
	}, none, nil},
	{"security.revokeAuthentication(SessionId)", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Security().Revoke(ctx, vectorSession))
	}, none, nil},
	{"security.getGlobalPermissions()", func(ctx context.Context, s *Session) (any, error) {
		list, err := s.Security().GlobalPermissions(ctx)
		return fmt.Sprint(list), err
	}, "[AUTHENTICATE VIEW_SESSION MODIFY_SESSION REGISTER_HANDLER VIEW_SERVER CONTROL_SERVER VIEW_SECURITY MODIFY_SECURITY " +
		"GLOBAL_PERMISSION_8 READ_TOPIC_VIEWS MODIFY_TOPIC_VIEWS]", nil},
	{"security.getPathPermissions('a/b')", func(ctx context.Context, s *Session) (any, error) {
		list, err := s.Security().PathPermissions(ctx, "a/b")
		return fmt.Sprint(list), err
	}, "[READ_TOPIC UPDATE_TOPIC MODIFY_TOPIC SEND_TO_MESSAGE_HANDLER SEND_TO_SESSION SELECT_TOPIC " +
		"QUERY_OBSOLETE_TIME_SERIES_EVENTS EDIT_TIME_SERIES_EVENTS EDIT_OWN_TIME_SERIES_EVENTS ACQUIRE_LOCK PATH_PERMISSION_10 EXPOSE_BRANCH]", nil},
	{"security.updateSecurityStore(script) errors", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Security().UpdateRoleStore(ctx, "bad"))
	}, nil, ErrInvalidScript},

	{"metrics.putSessionMetricCollector", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().PutSessionCollector(ctx, vectorSessionCollector))
	}, none, nil},
	{"metrics.putSessionMetricCollector invalid filter", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().PutSessionCollector(ctx, vectorSessionCollector))
	}, nil, ErrInvalidFilter},
	{"metrics.removeSessionMetricCollector", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().RemoveSessionCollector(ctx, "smc"))
	}, none, nil},
	{"metrics.listSessionMetricCollectors", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().SessionCollectors(ctx)
	}, []SessionMetricCollector{{Name: "smc", Prometheus: true, Filter: "all", GroupBy: []string{"$Location"}}}, nil},
	{"metrics.putTopicMetricCollector", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().PutTopicCollector(ctx, TopicMetricCollector{
			Name: "tmc", Selector: "?a//", GroupByType: true, GroupByView: true, GroupByPathParts: 2,
		}))
	}, none, nil},
	{"metrics.removeTopicMetricCollector", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().RemoveTopicCollector(ctx, "tmc"))
	}, none, nil},
	{"metrics.listTopicMetricCollectors", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().TopicCollectors(ctx)
	}, []TopicMetricCollector{{Name: "tmc", Selector: "?a//", GroupByType: true, GroupByPathParts: 2}}, nil},
	{"metrics.metricsRequest().fetch()", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().Read(ctx, MetricsQuery{AllServers: true})
	}, vectorMetrics, nil},
	{"metrics.metricsRequest().filter(set).currentServer()", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().Read(ctx, MetricsQuery{Names: []string{"a", "b"}})
	}, vectorMetrics, nil},
	{"metrics.metricsRequest().filter('diff.*').server('serverA')", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().Read(ctx, MetricsQuery{Pattern: "diff.*", Server: "serverA"})
	}, vectorMetrics, nil},
	{"metrics.setMetricAlert", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().SetAlert(ctx, "al", "select java_version into topic foo"))
	}, none, nil},
	{"metrics.setMetricAlert bad script", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().SetAlert(ctx, "al", "xx"))
	}, nil, ErrInvalidScript},
	{"metrics.listMetricAlerts", func(ctx context.Context, s *Session) (any, error) {
		return s.Metrics().Alerts(ctx)
	}, []MetricAlert{{"al", "select java_version into topic foo", "admin", []string{"ADMINISTRATOR"}}}, nil},
	{"metrics.removeMetricAlert", func(ctx context.Context, s *Session) (any, error) {
		return done(s.Metrics().RemoveAlert(ctx, "al"))
	}, none, nil},
	{"logRetrieval.fetchEntries(0,10)", func(ctx context.Context, s *Session) (any, error) {
		return s.FetchLog(ctx, 0, 10)
	}, LogEntries{First: 0, Count: 2, Available: 100, FirstLine: 1, Text: "line1\nline2\n", File: 77}, nil},
}

var (
	vectorSessionCollector = SessionMetricCollector{
		Name: "smc", Prometheus: true, MaxGroups: 10, RemoveEmpty: true, Filter: `$Principal is "bob"`, GroupBy: []string{"$Location"},
	}
	vectorMetrics = map[string][]Metric{"serverA": {{Name: "diffusion_sessions", Type: MetricGauge, Samples: []MetricSample{
		{Name: "diffusion_sessions_open", Labels: []MetricLabel{{"type", "js"}}, Value: 1.5},
		{Name: "diffusion_sessions_peak", Value: 3, Time: time.UnixMilli(1700000000000)},
	}}}}
	vectorSessions = SessionResult{Total: 10, Sessions: []FetchedSession{
		{vectorSession, time.UnixMilli(1700000000000), map[string]string{
			"$SessionId": "1122334455667788-0000000000000002", "$Principal": "bob", "$StartTime": "1700000000000",
		}},
		{},
	}}
)

// TestSessionCalls: requests are those of the official client, byte for byte, and
// responses are understood.
func TestSessionCalls(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		for _, c := range sessionCalls {
			request, response := sessionExchange(t, c.vector)
			var got any
			err := do(t, func() (err error) {
				got, err = c.do(t.Context(), s)
				return err
			}, func() {
				m := p.receive()
				if string(m.Body) != string(request) {
					t.Errorf("%s: client sent %x, want %x", c.vector, m.Body, request)
				}
				p.send(append(wire.AppendResponse(nil, m.Conversation), response...))
			})
			if !errors.Is(err, c.is) || (err == nil) != (c.is == nil) {
				t.Errorf("%s: error %v, want %v", c.vector, err, c.is)
			}
			if diff := cmp.Diff(c.want, got, cmpopts.EquateEmpty()); err == nil && diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.vector, diff)
			}
		}
		if s.Principal() != "p" {
			t.Errorf("principal %q", s.Principal())
		}
		p.nothing()
	})
}

// TestStores reads both stores, and their scripts.
func TestStores(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		answer := func(call string) func() {
			return func() {
				m := p.receive()
				_, response := sessionExchange(t, call)
				p.send(append(wire.AppendResponse(nil, m.Conversation), response...))
			}
		}
		var principals *PrincipalStore
		err := do(t, func() (err error) {
			principals, err = s.Security().PrincipalStore(t.Context())
			return err
		}, answer("security.getSystemAuthenticationConfiguration()"))
		if err != nil {
			t.Fatal(err)
		}
		want := &PrincipalStore{
			Principals:     []Principal{{"admin", []string{"ADMINISTRATOR"}, ""}, {"bob", nil, "admin"}},
			Anonymous:      AllowAnonymous,
			AnonymousRoles: []string{"CLIENT"},
			Trusted:        map[string]PropertyValidation{"Foo": {Values: []string{"x", "y"}}, "Bar": {Regex: "^a$"}},
		}
		if diff := cmp.Diff(want, principals, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("principals (-want +got):\n%s", diff)
		}
		var roles *RoleStore
		err = do(t, func() (err error) {
			roles, err = s.Security().RoleStore(t.Context())
			return err
		}, answer("security.getSecurityConfiguration()"))
		if err != nil {
			t.Fatal(err)
		}
		if roles.Roles[0].LockedBy != "admin" || roles.Roles[1].LockedBy != "" {
			t.Errorf("roles %+v", roles.Roles)
		}
		const script = `set roles for anonymous sessions ['CLIENT']
set roles for named sessions ['CLIENT']
set 'ADMINISTRATOR' permissions [CONTROL_SERVER MODIFY_SECURITY]
set 'ADMINISTRATOR' default path permissions [READ_TOPIC]
set 'ADMINISTRATOR' path 'a/b' permissions [UPDATE_TOPIC MODIFY_TOPIC]
set 'CLIENT' permissions []
set 'CLIENT' default path permissions [SELECT_TOPIC READ_TOPIC SEND_TO_MESSAGE_HANDLER]
set 'ADMINISTRATOR' includes ['CLIENT']
isolate path 'iso/path'
set role 'ADMINISTRATOR' locked by principal 'admin'
`
		if diff := cmp.Diff(script, roles.Script()); diff != "" {
			t.Errorf("script (-want +got):\n%s", diff)
		}
		if err := s.Security().UpdateRoleStore(t.Context(), " \n"); err != nil {
			t.Error(err)
		}
		p.nothing()
	})
}

// TestScriptErrors are typed, with line and column.
func TestScriptErrors(t *testing.T) {
	err := fmt.Errorf("update: %w", scriptError(service.Errors{{Message: "no such role", Line: 2, Column: 5}, {Message: "again", Line: 3, Column: 1}}))
	var script *ScriptError
	if !errors.As(err, &script) || !errors.Is(err, ErrInvalidScript) || errors.Is(err, ErrInvalidFilter) {
		t.Fatal(err)
	}
	if got := err.Error(); got != "update: invalid script: 2:5: no such role; 3:1: again" {
		t.Error(got)
	}
	if script.Reports[0] != (ErrorReport{"no such role", 2, 5}) {
		t.Errorf("%+v", script.Reports)
	}
	if filterError(nil) != nil {
		t.Error("an error without reports")
	}
	if got := FilterString(`it's "a\b"`); got != `'it\'s \"a\\b\"'` {
		t.Error(got)
	}
}

// TestFetchAllSessions pages through sessions that began at the same time.
func TestFetchAllSessions(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		starts := []int64{1, 2, 2, 2, 2, 2, 3}
		var got []string
		var requests []service.SessionQuery
		err := do(t, func() error {
			for f, err := range s.Clients().FetchAll(t.Context(), SessionQuery{First: 2, Properties: []string{"x"}}) {
				if err != nil {
					return err
				}
				got = append(got, fmt.Sprintf("%d at %d %s", f.SessionID.Value, f.Started.UnixMilli(), f.Properties))
			}
			return nil
		}, func() {
			for {
				m := p.receive()
				req, err := service.SessionFetch.ReadRequest(m.Body)
				if err != nil {
					t.Error(err)
				}
				requests = append(requests, req)
				var res service.SessionQueryResult
				for i, start := range starts {
					if req.From != nil && start < *req.From {
						continue
					}
					if res.Total++; res.Total <= *req.Limit {
						id := SessionID{Server: 1, Value: int64(i)}
						res.Sessions = append(res.Sessions, service.FetchedSession{
							StartTime: &start, Properties: map[string]string{"$SessionId": id.String(), "x": "y"},
						})
					}
				}
				p.send(service.SessionFetch.AppendResponse(nil, m.Conversation, res))
				if int(res.Total) == len(res.Sessions) {
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		var want []string
		for i, start := range starts {
			want = append(want, fmt.Sprintf("%d at %d map[x:y]", i, start))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("sessions (-want +got):\n%s", diff)
		}
		if r := requests[0]; r.Filter != "all" || !slices.Equal(r.Keys, []string{"x", "$SessionId"}) || !r.StartTime {
			t.Errorf("request %+v", r)
		}
		for _, err := range s.Clients().FetchAll(t.Context(), SessionQuery{Last: 1}) {
			if err == nil {
				t.Error("Last is accepted")
			}
		}
		p.nothing()
	})
}

// TestBadCalls fail without a request.
func TestBadCalls(t *testing.T) {
	inNetwork(t, func(t *testing.T, n *network) {
		s, p := n.open()
		defer n.closeSession(s, p)
		ctx, clients := t.Context(), s.Clients()
		for name, f := range map[string]func() error{
			"no roles":           func() error { return clients.ChangeRoles(ctx, vectorSession, nil, nil) },
			"no roles by filter": func() error { _, err := clients.ChangeRolesByFilter(ctx, "all", nil, nil); return err },
			"no selector":        func() error { return clients.Subscribe(ctx, vectorSession) },
			"bad selector":       func() error { _, err := clients.SubscribeByFilter(ctx, "all", "\xff"); return err },
			"first and last":     func() error { _, err := clients.Fetch(ctx, SessionQuery{First: 1, Last: 1}); return err },
			"negative":           func() error { _, err := clients.Fetch(ctx, SessionQuery{First: -1}); return err },
			"names and pattern": func() error {
				_, err := s.Metrics().Read(ctx, MetricsQuery{Names: []string{"a"}, Pattern: "b"})
				return err
			},
			"all and one server": func() error { _, err := s.Metrics().Read(ctx, MetricsQuery{AllServers: true, Server: "b"}); return err },
			"negative log entry": func() error { _, err := s.FetchLog(ctx, -1, 1); return err },
			"no authenticator":   func() error { _, err := s.Security().AddAuthenticator(ctx, "x", Authenticator{}); return err },
			"collector selector": func() error {
				return s.Metrics().PutTopicCollector(ctx, TopicMetricCollector{Name: "x", Selector: "\xff"})
			},
			"unsubscribe nothing": func() error { return clients.UnsubscribeAllScopes(ctx, vectorSession) },
		} {
			if f() == nil {
				t.Errorf("%s: no error", name)
			}
		}
		p.nothing()
	})
}
