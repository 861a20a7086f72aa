package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dlclark/regexp2/v2"
	"go.uber.org/goleak"

	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

func TestMain(m *testing.M) {
	code := m.Run()
	regexp2.StopTimeoutClock() // ends by itself, but later than the check below waits
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// fakeConn is a connection that takes messages when the test does.
type fakeConn struct {
	closed, finished atomic.Bool

	mu    sync.Mutex
	woken chan struct{} // nil: nobody waits
}

func (c *fakeConn) Wake() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken != nil {
		close(c.woken)
		c.woken = nil
	}
}

// wake returns what is closed by the next Wake.
func (c *fakeConn) wake() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.woken == nil {
		c.woken = make(chan struct{})
	}
	return c.woken
}

func (c *fakeConn) Finish() { c.finished.Store(true) }
func (c *fakeConn) Close()  { c.closed.Store(true) }

// somebody is the author of what no session does.
var somebody = &tree.Author{Principal: "somebody"}

func newEngine(t testing.TB, change func(*Config)) *Engine {
	e := bareEngine(t, change)
	t.Cleanup(e.Close)
	return e
}

// bareEngine returns an engine that the caller closes.
func bareEngine(t testing.TB, change func(*Config)) *Engine {
	principals, err := security.OpenStore("")
	if err != nil {
		t.Fatal(err)
	}
	policies, err := security.OpenPolicyStore("")
	if err != nil {
		t.Fatal(err)
	}
	cfg := Config{
		Principals: principals, Policies: policies, Log: slog.New(slog.DiscardHandler),
		ServerName: "test", KeepAlive: time.Minute, HandshakeTimeout: time.Second,
		Queue:          outbox.Limits{Messages: 1000, Bytes: 1 << 20, RecoveryMessages: 100, RecoveryBytes: 1 << 20},
		MaxMessageSize: 1 << 20, MaxResultSize: 1 << 20,
	}
	if change != nil {
		change(&cfg)
	}
	return New(cfg)
}

var here = Peer{Addr: netip.MustParseAddr("127.0.0.1"), Transport: WebSocket}

func request(principal string) wire.ConnectRequest {
	q := wire.ConnectRequest{Type: "WB", Version: wire.Version, Capabilities: 10, ReconnectTimeout: time.Minute}
	if principal != "" {
		q.Principal, q.Named, q.Credentials = principal, true, wire.Password("password")
	}
	return q
}

func connect(t testing.TB, e *Engine, principal string) (*Session, *fakeConn) {
	t.Helper()
	conn := &fakeConn{}
	res, s := e.Connect(context.Background(), request(principal), here, conn)
	if s == nil {
		t.Fatalf("connect as %q: %v", principal, res.Code)
	}
	return s, conn
}

// call sends a request and returns the answer to it.
func call(t testing.TB, s *Session, conn Conn, frame []byte) wire.Message {
	t.Helper()
	if err := s.Receive(conn, frame); err != nil {
		t.Fatalf("receive %x: %v", frame, err)
	}
	return next(t, s, conn, func(m *wire.Message) bool { return m.Type == wire.TypeResponse || m.Type == wire.TypeError })
}

// next waits for a message that is wanted, and passes over others.
func next(t testing.TB, s *Session, conn Conn, wanted func(*wire.Message) bool) wire.Message {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		var woken <-chan struct{}
		if c, ok := conn.(*fakeConn); ok {
			woken = c.wake()
		}
		messages, _ := s.Take(conn, nil, 1<<20)
		for _, m := range messages {
			if p, err := wire.ParseMessage(m.Bytes()); err == nil && wanted(&p) {
				return p
			}
		}
		select {
		case <-woken:
		case <-late:
			t.Fatal("the message that is waited for has not come")
		}
	}
}

// permissionTable returns a request for every service, some for more, by name, and
// the stock principals to whom it is denied.
func permissionTable() (requests map[string][]byte, denied map[string][]string) {
	spec := topic.Specification{Type: topic.String}
	text := []byte{0x61, 'x'}
	const nobody = "$Principal is 'nobody'"
	a, reserved := service.Selection{Selector: "?a//"}, service.Selection{Selector: "?Diffusion//"}
	requests = map[string][]byte{
		"subscribe":            service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?a//"}),
		"subscribe reserved":   service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?Diffusion//"}),
		"unsubscribe":          service.Unsubscribe.AppendRequest(nil, 1, service.Selection{Selector: "?a//"}),
		"unsubscribe all":      service.UnsubscribeAll.AppendRequest(nil, 1, "?a//"),
		"fetch":                service.FetchQuery.AppendRequest(nil, 1, service.Query{Selector: "?a//"}),
		"fetch reserved":       service.FetchQuery.AppendRequest(nil, 1, service.Query{Selector: ">Diffusion/x"}),
		"add":                  service.TopicAdd.AppendRequest(nil, 1, service.AddRequest{Path: "new", Specification: spec}),
		"remove":               service.TopicRemoval.AppendRequest(nil, 1, "none"),
		"set":                  service.SetTopic.AppendRequest(nil, 1, service.SetRequest{Path: "a", Type: topic.String, Value: text}),
		"add and set":          service.AddAndSetTopic.AppendRequest(nil, 1, service.AddAndSetRequest{Path: "a", Specification: spec, Value: text}),
		"patch":                service.ApplyJSONPatch.AppendRequest(nil, 1, service.PatchRequest{Path: "a", Patch: "[]"}),
		"stream":               service.CreateStream.AppendRequest(nil, 1, service.CreateStreamRequest{Path: "a", Type: topic.String}),
		"stream and set":       service.CreateStreamAndSet.AppendRequest(nil, 1, service.SetRequest{Path: "a", Type: topic.String, Value: text}),
		"stream add":           service.StreamAdd.AppendRequest(nil, 1, service.StreamAddRequest{Path: "a", Specification: spec}),
		"stream add and set":   service.StreamAddAndSet.AppendRequest(nil, 1, service.AddAndSetRequest{Path: "a", Specification: spec, Value: text}),
		"check stream":         service.CheckStream.AppendRequest(nil, 1, service.StreamID{}),
		"stream set":           service.StreamSet.AppendRequest(nil, 1, service.StreamRequest{Bytes: text}),
		"stream delta":         service.StreamApplyDelta.AppendRequest(nil, 1, service.StreamRequest{Bytes: text}),
		"append":               service.TimeSeriesAppend.AppendRequest(nil, 1, service.AppendRequest{Path: "a"}),
		"append at":            service.TimeSeriesTimestampAppend.AppendRequest(nil, 1, service.TimestampAppendRequest{AppendRequest: service.AppendRequest{Path: "a"}}),
		"edit":                 service.TimeSeriesEdit.AppendRequest(nil, 1, service.EditRequest{Path: "a"}),
		"range query":          service.RangeQuery.AppendRequest(nil, 1, service.RangeQueryRequest{Path: "a", View: service.WholeSeries, Edit: service.WholeSeries}),
		"query of edits":       service.RangeQuery.AppendRequest(nil, 1, service.RangeQueryRequest{Path: "a", Type: service.AllEdits, View: service.WholeSeries, Edit: service.WholeSeries}),
		"listen":               service.NotificationSelection.AppendRequest(nil, 1, service.ListenerSelection{Selector: "?a//"}),
		"listen reserved":      service.NotificationSelection.AppendRequest(nil, 1, service.ListenerSelection{Selector: "?Diffusion//"}),
		"unlisten":             service.NotificationDeselection.AppendRequest(nil, 1, service.ListenerSelection{Selector: "?a//"}),
		"close listener":       service.NotificationDeregistration.AppendRequest(nil, 1, 7),
		"missing":              service.TopicControlRegistration.AppendRequest(nil, 1, service.PathRegistration{PathDeregistration: service.PathDeregistration{Definition: service.MissingTopic.ID, Path: "m"}}),
		"no longer missing":    service.TopicControlDeregistration.AppendRequest(nil, 1, service.PathDeregistration{Definition: service.MissingTopic.ID, Path: "m"}),
		"ping":                 service.UserPing.AppendRequest(nil, 1, service.Empty{}),
		"system ping":          service.SystemPing.AppendRequest(nil, 1, service.Empty{}),
		"lock":                 service.AcquireSessionLock.AppendRequest(nil, 1, service.LockRequest{}),
		"lock reserved":        service.AcquireSessionLock.AppendRequest(nil, 1, service.LockRequest{LockCancellation: service.LockCancellation{Lock: "Diffusion/lock"}}),
		"lock by path":         service.AcquireSessionLock.AppendRequest(nil, 1, service.LockRequest{LockCancellation: service.LockCancellation{Lock: "/own/lock"}}),
		"cancel lock":          service.CancelAcquireSessionLock.AppendRequest(nil, 1, service.LockCancellation{}),
		"unlock":               service.ReleaseSessionLock.AppendRequest(nil, 1, service.Acquisition{}),
		"who locks":            service.GetSessionLock.AppendRequest(nil, 1, ""),
		"all locks":            service.GetSessionLocks.AppendRequest(nil, 1, service.Empty{}),
		"principals":           service.GetSystemAuthentication.AppendRequest(nil, 1, service.Empty{}),
		"change principals":    service.UpdateSystemAuthentication.AppendRequest(nil, 1, "nonsense"),
		"roles":                service.GetSecurityConfiguration.AppendRequest(nil, 1, service.Empty{}),
		"change roles":         service.UpdateSecurityConfiguration.AppendRequest(nil, 1, "nonsense"),
		"explain":              service.Explain.AppendRequest(nil, 1, service.ExplainRequest{Permission: "read_topic", Path: "a"}),
		"own properties":       service.GetOwnSessionProperties.AppendRequest(nil, 1, service.Empty{}),
		"global permissions":   service.ListGlobalPermissions.AppendRequest(nil, 1, service.Empty{}),
		"path permissions":     service.ListPathPermissions.AppendRequest(nil, 1, "a"),
		"change principal":     service.ChangePrincipal.AppendRequest(nil, 1, service.PrincipalRequest{Principal: "nobody"}),
		"re-authenticate":      service.ReAuthenticate.AppendRequest(nil, 1, service.ReAuthenticateRequest{PrincipalRequest: service.PrincipalRequest{Principal: "nobody"}}),
		"send to path":         service.MessagingSend.AppendRequest(nil, 1, service.MessageRequest{Path: "nobody"}),
		"send to reserved":     service.MessagingSend.AppendRequest(nil, 1, service.MessageRequest{Path: "/Diffusion//nobody"}),
		"send to session":      service.MessagingToSession.AppendRequest(nil, 1, service.SessionMessage{MessageRequest: service.MessageRequest{Path: "p"}}),
		"send to filter":       service.MessagingToFilter.AppendRequest(nil, 1, service.FilterMessage{Filter: "none is ''", MessageRequest: service.MessageRequest{Path: "p"}}),
		"handle requests":      service.RequestHandlerRegistration.AppendRequest(nil, 1, handles("h", 7)),
		"handle, properties":   service.RequestHandlerRegistration.AppendRequest(nil, 1, handles("h", 7, "*F")),
		"handle no longer":     service.RequestHandlerDeregistration.AppendRequest(nil, 1, handles("h", 7).RequestHandlerParameters),
		"authenticator":        service.AuthenticatorRegistration.AppendRequest(nil, 1, authenticates(beforeSystem, 7)),
		"no authenticator":     service.AuthenticatorDeregistration.AppendRequest(nil, 1, authenticates(beforeSystem, 7).NameDeregistration),
		"revoke unknown":       service.RevokeAuthentication.AppendRequest(nil, 1, service.SessionRequest{}),
		"close unknown client": service.CloseClient.AppendRequest(nil, 1, service.SessionRequest{}),

		"properties of unknown":     service.GetSessionProperties.AppendRequest(nil, 1, service.PropertiesQuery{Keys: []string{"*F"}}),
		"set properties":            service.SetSessionProperties.AppendRequest(nil, 1, service.PropertiesRequest{}),
		"set properties by filter":  service.SetSessionPropertiesFilter.AppendRequest(nil, 1, service.FilterPropertiesRequest{Filter: nobody}),
		"fetch sessions":            service.SessionFetch.AppendRequest(nil, 1, service.SessionQuery{Filter: nobody}),
		"selectors":                 service.GetSelectors.AppendRequest(nil, 1, service.SessionRequest{}),
		"observe properties":        service.SessionPropertiesRegistration.AppendRequest(nil, 1, service.PropertiesListener{Listener: 8}),
		"no longer properties":      service.SessionPropertiesRegistration.AppendRequest(nil, 1, service.PropertiesListener{Listener: 8, Deregister: true}),
		"observe events":            service.SessionEventRegistration.AppendRequest(nil, 1, service.EventListener{Listener: 9}),
		"no longer events":          service.SessionEventDeregistration.AppendRequest(nil, 1, 9),
		"queue events":              service.ServerControlRegistration.AppendRequest(nil, 1, service.ControlRegistration{ControlParameters: service.ControlParameters{Definition: service.QueueEvent}}),
		"no longer queue events":    service.ServerControlDeregistration.AppendRequest(nil, 1, service.ControlParameters{Definition: service.QueueEvent}),
		"close by filter":           service.CloseClientFilter.AppendRequest(nil, 1, nobody),
		"conflation":                service.SetClientConflation.AppendRequest(nil, 1, service.ConflationRequest{}),
		"conflation by filter":      service.SetClientConflationFilter.AppendRequest(nil, 1, service.FilterConflationRequest{Filter: nobody}),
		"other roles":               service.ChangeAuthorisationRoles.AppendRequest(nil, 1, service.RolesRequest{}),
		"roles by filter":           service.ChangeAuthorisationRolesFilter.AppendRequest(nil, 1, service.FilterRolesRequest{Filter: nobody}),
		"subscribe client":          service.SubscribeClient.AppendRequest(nil, 1, service.ClientSelection{Selection: a}),
		"unsubscribe client":        service.UnsubscribeClient.AppendRequest(nil, 1, service.ClientSelection{Selection: a}),
		"subscribe by filter":       service.FilterSubscribe.AppendRequest(nil, 1, service.FilterSelection{Filter: nobody, Selection: a}),
		"unsubscribe by filter":     service.FilterUnsubscribe.AppendRequest(nil, 1, service.FilterSelection{Filter: nobody, Selection: a}),
		"unsubscribe all of client": service.UnsubscribeAllControl.AppendRequest(nil, 1, service.AllScopesRequest{Selector: a.Selector}),
		"unsubscribe all by filter": service.UnsubscribeAllByFilter.AppendRequest(nil, 1, service.AllScopesFilterRequest{Selector: a.Selector, Filter: nobody}),
		"reserved for client":       service.SubscribeClient.AppendRequest(nil, 1, service.ClientSelection{Selection: reserved}),
		"reserved by filter":        service.FilterSubscribe.AppendRequest(nil, 1, service.FilterSelection{Filter: nobody, Selection: reserved}),
		"metrics":                   service.GetMetrics.AppendRequest(nil, 1, service.MetricsRequest{}),
		"server metrics":            service.GetServerMetrics.AppendRequest(nil, 1, service.Empty{}),
		"entity metrics":            service.GetEntityClassMetrics.AppendRequest(nil, 1, service.EntityClassRequest{}),
		"managed objects":           service.FetchJMXValues.AppendRequest(nil, 1, service.JMXRequest{}),
		"log":                       service.FetchLogEntries.AppendRequest(nil, 1, service.LogRequest{}),
		"put session collector":     service.PutSessionMetricCollector.AppendRequest(nil, 1, service.SessionMetricCollector{Filter: "all"}),
		"remove session collector":  service.RemoveSessionMetricCollector.AppendRequest(nil, 1, ""),
		"session collectors":        service.ListSessionMetricCollectors.AppendRequest(nil, 1, service.Empty{}),
		"put topic collector":       service.PutTopicMetricCollector.AppendRequest(nil, 1, service.TopicMetricCollector{Selector: "?.*//"}),
		"remove topic collector":    service.RemoveTopicMetricCollector.AppendRequest(nil, 1, ""),
		"topic collectors":          service.ListTopicMetricCollectors.AppendRequest(nil, 1, service.Empty{}),
		"set alert":                 service.SetMetricAlert.AppendRequest(nil, 1, service.MetricAlertRequest{}),
		"alerts":                    service.ListMetricAlerts.AppendRequest(nil, 1, service.Empty{}),
		"remove alert":              service.RemoveMetricAlert.AppendRequest(nil, 1, ""),
	}
	denied = map[string][]string{ // to whom
		"add":                  {"", "client", "operator"},
		"set":                  {"", "client", "operator"},
		"add and set":          {"", "client", "operator"},
		"subscribe reserved":   {"", "client", "control"},
		"fetch reserved":       {"", "client", "control"},
		"close unknown client": {"", "client", "operator"},
		"principals":           {"", "client", "control", "operator"},
		"change principals":    {"", "client", "control", "operator"},
		"roles":                {"", "client", "control", "operator"},
		"change roles":         {"", "client", "control", "operator"},
		"explain":              {"", "client", "control", "operator"},
		"patch":                {"", "client", "operator"},
		"stream":               {"", "client", "operator"},
		"stream and set":       {"", "client", "operator"},
		"stream add":           {"", "client", "operator"},
		"stream add and set":   {"", "client", "operator"},
		"append":               {"", "client", "operator"},
		"append at":            {"", "client", "operator"},
		"edit":                 {"", "client", "operator"},
		"query of edits":       {"", "client", "control", "operator", "admin"}, // no stock role has it
		"listen reserved":      {"", "client", "control"},
		"missing":              {"", "client", "operator"},
		"lock":                 {"", "client", "operator"},
		"lock by path":         {"", "client", "operator"},
		"lock reserved":        {"", "client", "control", "operator", "admin"}, // no stock role may
		"who locks":            {"", "client", "control"},
		"send to reserved":     {"", "client", "control"},
		"send to session":      {"", "client", "operator"},
		"send to filter":       {"", "client", "operator"},
		"handle requests":      {"", "client", "operator"},
		"handle, properties":   {"", "client", "operator"},
		"authenticator":        {"", "client", "operator", "admin"},
		"revoke unknown":       {"", "client", "operator", "admin"},
		"all locks":            {"", "client", "control"},

		"properties of unknown":     {"", "client"},
		"set properties":            {"", "client", "operator"},
		"set properties by filter":  {"", "client", "operator"},
		"fetch sessions":            {"", "client"},
		"selectors":                 {"", "client"},
		"observe properties":        {"", "client", "operator"},
		"observe events":            {"", "client", "operator"},
		"queue events":              {"", "client", "operator"},
		"close by filter":           {"", "client", "operator"},
		"conflation":                {"", "client", "operator"},
		"conflation by filter":      {"", "client", "operator"},
		"other roles":               {"", "client", "operator"},
		"roles by filter":           {"", "client", "operator"},
		"subscribe client":          {"", "client", "operator"},
		"unsubscribe client":        {"", "client", "operator"},
		"subscribe by filter":       {"", "client", "operator"},
		"unsubscribe by filter":     {"", "client", "operator"},
		"unsubscribe all of client": {"", "client", "operator"},
		"unsubscribe all by filter": {"", "client", "operator"},
		"reserved for client":       {"", "client", "operator", "control"},
		"reserved by filter":        {"", "client", "operator", "control"},
		"metrics":                   {"", "client", "control"},
		"server metrics":            {"", "client", "control"},
		"entity metrics":            {"", "client", "control"},
		"managed objects":           {"", "client", "control"},
		"log":                       {"", "client", "control"},
		"session collectors":        {"", "client", "control"},
		"topic collectors":          {"", "client", "control"},
		"put session collector":     {"", "client", "control", "operator"},
		"remove session collector":  {"", "client", "control", "operator"},
		"put topic collector":       {"", "client", "control", "operator"},
		"remove topic collector":    {"", "client", "control", "operator"},
		"set alert":                 {"", "client", "control", "operator"},
		"alerts":                    {"", "client", "control", "operator"},
		"remove alert":              {"", "client", "control", "operator"},
	}
	return requests, denied
}

// TestPermissions tries every service as every stock principal and compares what
// happens with the roles of docs/operations.md.
func TestPermissions(t *testing.T) {
	requests, denied := permissionTable()
	spec := topic.Specification{Type: topic.String}
	e := newEngine(t, nil)
	if _, err := e.tree.Add(somebody, &service.AddRequest{Path: "a", Specification: spec}); err != nil {
		t.Fatal(err)
	}
	// What requests that are let through may be answered: they are about sessions, streams and series that are not there.
	otherwise := []wire.ErrorCode{wire.CodeNoSuchSession, wire.CodeInvalidUpdateStream, wire.CodeNotATimeSeries, wire.CodeIncompatibleUpdate, wire.CodeTreeConflict, wire.CodeUnhandledMessage}
	tried := map[int32]bool{}
	for _, principal := range []string{"", "client", "control", "operator", "admin"} {
		for name, frame := range requests {
			s, conn := connect(t, e, principal)
			m, _ := wire.ParseMessage(frame)
			tried[m.Service] = true
			answer := call(t, s, conn, frame)
			got := answer.Type == wire.TypeError && answer.Error.Code == wire.CodeAccessDenied
			want := false
			for _, d := range denied[name] {
				want = want || d == principal
			}
			if got != want {
				t.Errorf("%s as %q: denied %v, want %v (%v)", name, principal, got, want, answer.Error)
			}
			if answer.Type == wire.TypeError && !got && !slices.Contains(otherwise, answer.Error.Code) {
				t.Errorf("%s as %q: %v", name, principal, answer.Error)
			}
			s.Close(ClosedByController)
			e.finished.Wait() // the next may want the same lock
		}
	}
	for id := range e.handlers {
		if !tried[id] {
			t.Errorf("service %d is served and not tried here", id)
		}
	}
}

func TestUnknownServiceAndBadBody(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "control")
	for name, c := range map[string]struct {
		frame []byte
		code  wire.ErrorCode
	}{
		"unknown service": {wire.AppendRequest(nil, 1000, 3), wire.CodeUnsupported},
		"truncated body":  {append(wire.AppendRequest(nil, service.Subscribe.ID, 3), 9, '?'), wire.CodeInvalidData},
		"bad selector":    {service.Subscribe.AppendRequest(nil, 3, service.Selection{Selector: "?["}), wire.CodeInvalidData},
		"reserved scope":  {service.Subscribe.AppendRequest(nil, 3, service.Selection{Selector: "a", Scope: "$x"}), wire.CodeInvalidData},
	} {
		if m := call(t, s, conn, c.frame); m.Error.Code != c.code || m.Conversation != 3 {
			t.Errorf("%s: got %+v, want code %d", name, m, c.code)
		}
	}
	if err := s.Receive(conn, wire.AppendRequest(nil, 1000, 0)); err != nil {
		t.Error(err)
	}
	if m, _ := s.Take(conn, nil, 1<<20); len(m) != 0 {
		t.Error("a one-way request was answered")
	}
}

func TestViolations(t *testing.T) {
	for name, frame := range map[string][]byte{
		"empty":         {},
		"unknown type":  {1, 2, 3},
		"encoding bits": {0x80, 56, 1},
		"topic value":   {4, 0, 0, 0, 1, 0xf6},
		"abort":         {28},
		"truncated":     {0, 0x80},
	} {
		e := newEngine(t, nil)
		s, conn := connect(t, e, "")
		if err := s.Receive(conn, frame); err == nil {
			t.Errorf("%s: no error", name)
		}
		m, end := s.Take(conn, nil, 1<<20)
		if !end || len(m) != 1 || m[0].Bytes()[0] != byte(wire.TypeAbort) || s.reason != InvalidInboundMessage {
			t.Errorf("%s: end %v, %d messages, reason %v", name, end, len(m), s.reason)
		}
	}
}

// TestWindow checks that a session outlives its connection for its window and no
// longer, and that the smaller of both sides' wishes decides.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, func(c *Config) { c.KeepAlive = 30 * time.Second })
		s, conn := connect(t, e, "")
		back := request("")
		back.Token, back.OldestClient, back.LastServer = s.Token(), 1, 0
		s.Lost(conn, ConnectionLost)
		time.Sleep(29 * time.Second)
		second := &fakeConn{}
		if res, _ := e.Connect(context.Background(), back, here, second); res.Code != wire.Reconnected || res.NextClient != 1 {
			t.Fatalf("within the window: %+v", res)
		}
		s.Lost(conn, ConnectionLost) // the first connection is history
		s.Lost(second, ConnectionLost)
		time.Sleep(31 * time.Second)
		synctest.Wait()
		if res, _ := e.Connect(context.Background(), back, here, &fakeConn{}); res.Code != wire.UnknownSession || e.Sessions() != 0 {
			t.Errorf("after the window: %v, %d sessions", res.Code, e.Sessions())
		}
	})
}

func TestPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, func(c *Config) { c.PingPeriod = 10 * time.Second })
		s, conn := connect(t, e, "")
		pings := 0
		for range 50 { // a client that answers within a second
			time.Sleep(time.Second)
			messages, _ := s.Take(conn, nil, 1<<20)
			for _, m := range messages {
				p, _ := wire.ParseMessage(m.Bytes())
				if p.Service != service.SystemPing.ID || p.Conversation == 0 {
					t.Fatalf("got %+v", p)
				}
				if err := s.Receive(conn, wire.AppendResponse(nil, p.Conversation)); err != nil {
					t.Fatal(err)
				}
				pings++
			}
		}
		if pings < 5 || pings > 6 {
			t.Errorf("%d pings in 50 s with a period of 10 s", pings)
		}
		time.Sleep(20 * time.Second) // and then does not
		synctest.Wait()
		if !conn.closed.Load() || e.Sessions() != 1 {
			t.Errorf("silent client: connection closed %v, %d sessions", conn.closed.Load(), e.Sessions())
		}
	})
}

// TestJavaScriptDefect follows 03 section 4.4: a client that re-sent messages
// after a 105 cannot stand another.
func TestJavaScriptDefect(t *testing.T) {
	ping := func(cid int64) []byte { return service.UserPing.AppendRequest(nil, cid, service.Empty{}) }
	for name, c := range map[string]struct {
		first []byte // what arrives first after the 105
		then  wire.ResponseCode
	}{
		"nothing re-sent":            {ping(9), wire.Reconnected}, // an outage uses up an id
		"the next conversation":      {ping(8), wire.ReconnectedWithLoss},
		"a conversation seen before": {ping(7), wire.ReconnectedWithLoss},
	} {
		e := newEngine(t, nil)
		s, conn := connect(t, e, "")
		call(t, s, conn, ping(7))
		q := request("")
		q.Token, q.OldestClient, q.LastServer = s.Token(), 1, 1
		second := &fakeConn{}
		if res, _ := e.Connect(context.Background(), q, here, second); res.Code != wire.Reconnected {
			t.Fatalf("%s: first reconnection %v", name, res.Code)
		}
		call(t, s, second, c.first)
		q.LastServer = 2
		if res, _ := e.Connect(context.Background(), q, here, &fakeConn{}); res.Code != c.then {
			t.Errorf("%s: second reconnection %v, want %v", name, res.Code, c.then)
		}
	}
}

func TestLimitsOnSessions(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.MaxPerAddress = 2; c.MaxSessions = 3 })
	connect(t, e, "")
	s, conn := connect(t, e, "")
	for _, c := range []struct {
		address string
		want    wire.ResponseCode
	}{{"127.0.0.1", wire.LicenceExceeded}, {"127.0.0.2", wire.OK}, {"127.0.0.3", wire.LicenceExceeded}} {
		p := Peer{Addr: netip.MustParseAddr(c.address)}
		if res, _ := e.Connect(context.Background(), request(""), p, &fakeConn{}); res.Code != c.want {
			t.Errorf("from %s: %v, want %v", c.address, res.Code, c.want)
		}
	}
	if err := s.Receive(conn, []byte{byte(wire.TypeCloseRequest)}); err != nil {
		t.Fatal(err)
	}
	e.finished.Wait()
	if res, _ := e.Connect(context.Background(), request(""), here, &fakeConn{}); res.Code != wire.OK {
		t.Errorf("after one session closed: %v", res.Code)
	}
	wrong := request("control")
	wrong.Credentials = wire.Password("guess")
	e.cfg.MaxSessions = 0
	e.cfg.MaxPerAddress = 0
	for range 2 { // a refused connection leaves no count behind
		if res, _ := e.Connect(context.Background(), wrong, here, &fakeConn{}); res.Code != wire.AuthenticationFailed {
			t.Errorf("wrong password: %v", res.Code)
		}
	}
	if n := e.byAddress[here.Addr]; n != 2 {
		t.Errorf("%d sessions counted for the address, want 2", n)
	}
}

// FuzzReceive feeds frames to a session: it answers, ends, or both, and another
// session goes on.
func FuzzReceive(f *testing.F) {
	for _, s := range []string{"a", "?a//", "*.*", "#?a//////>b"} {
		f.Add(service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: s}))
		f.Add(service.TopicRemoval.AppendRequest(nil, 1, service.Text(s)))
		f.Add(service.FetchQuery.AppendRequest(nil, 1, service.Query{Selector: s, Types: service.AllTypes, Limit: 10, MaxResultSize: 1 << 20}))
	}
	spec := topic.Specification{Type: topic.JSON}
	f.Add(service.TopicAdd.AppendRequest(nil, 2, service.AddRequest{Path: "a/b", Specification: spec}))
	f.Add(service.AddAndSetTopic.AppendRequest(nil, 2, service.AddAndSetRequest{Path: "a/b", Specification: spec, Value: []byte{1}}))
	value, stream := []byte{0x61, 'x'}, service.StreamID{Topic: 1, Instance: 1}
	series := topic.Specification{Type: topic.TimeSeries, Properties: map[string]string{topic.TimeSeriesEventValueType: "string"}}
	removal := topic.Specification{Type: topic.String, Properties: map[string]string{topic.Removal: "when this session closes remove '?a//'"}}
	f.Add(service.StreamAddAndSet.AppendRequest(nil, 3, service.AddAndSetRequest{Path: "a", Specification: removal, Value: value,
		Constraint: service.Constraint{Kind: service.PartialJSON, Without: []string{"/a"}}}))
	f.Add(service.CreateStream.AppendRequest(nil, 3, service.CreateStreamRequest{Path: "a/b", Type: topic.JSON}))
	f.Add(service.StreamApplyDelta.AppendRequest(nil, 3, service.StreamRequest{ID: stream, Bytes: []byte{0x41, 1}}))
	f.Add(service.ApplyJSONPatch.AppendRequest(nil, 3, service.PatchRequest{Path: "a/b", Patch: `[{"op":"add","path":"/a","value":[1]}]`}))
	for _, text := range []string{"all", "$Principal is 'admin'", "A is '1' and not (has B or hasRoles ['CLIENT'])"} {
		set := service.PropertyChanges{Set: map[string]string{"A": "1", "$Country": "de"}, Remove: []string{"B"}}
		f.Add(service.SetSessionPropertiesFilter.AppendRequest(nil, 4, service.FilterPropertiesRequest{Filter: text, PropertyChanges: set}))
		f.Add(service.SessionFetch.AppendRequest(nil, 4, service.SessionQuery{Filter: text, Keys: []string{"*F", "A"}, MaxResultSize: 1 << 20}))
		f.Add(service.SessionEventRegistration.AppendRequest(nil, 4, service.EventListener{Filter: &text, Keys: []string{"*U"}, Listener: 9}))
		f.Add(service.ChangeAuthorisationRolesFilter.AppendRequest(nil, 4, service.FilterRolesRequest{Filter: text, RoleChanges: service.RoleChanges{Add: []string{"R"}, Remove: []string{"S"}}}))
		f.Add(service.FilterSubscribe.AppendRequest(nil, 4, service.FilterSelection{Filter: text, Selection: service.Selection{Selector: "?a//"}}))
		f.Add(service.CloseClientFilter.AppendRequest(nil, 4, service.Text(text)))
	}
	f.Add(service.SessionPropertiesRegistration.AppendRequest(nil, 4, service.PropertiesListener{Keys: []string{"*F"}, Listener: 8}))
	f.Add(service.StreamAdd.AppendRequest(nil, 3, service.StreamAddRequest{Path: "ts", Specification: series}))
	f.Add(service.TimeSeriesAppend.AppendRequest(nil, 3, service.AppendRequest{Path: "ts", DataType: "string", Value: value}))
	f.Add(service.TimeSeriesEdit.AppendRequest(nil, 3, service.EditRequest{Path: "ts", DataType: "string", Value: value}))
	f.Add(service.RangeQuery.AppendRequest(nil, 3, service.RangeQueryRequest{Path: "ts", View: service.WholeSeries, Edit: service.WholeSeries, Limit: 5}))
	f.Add(service.NotificationSelection.AppendRequest(nil, 3, service.ListenerSelection{Listener: 1, Selector: "#>a////?a/b//"}))
	f.Add(service.TopicControlRegistration.AppendRequest(nil, 3, service.PathRegistration{PathDeregistration: service.PathDeregistration{Definition: service.MissingTopic.ID, Path: "a"}}))
	f.Add([]byte{29})
	f.Add([]byte{6, 1})
	e := newEngine(f, nil)
	other, otherConn := connect(f, e, "")
	f.Fuzz(func(t *testing.T, frame []byte) {
		s, conn := connect(t, e, "admin")
		err := s.Receive(conn, frame)
		_, end := s.Take(conn, nil, 1<<20)
		if err != nil && !errors.Is(err, errNotCurrent) && !end {
			t.Errorf("error %v and the session goes on", err)
		}
		s.Close(ClosedByClient)
		if other.Over() { // the frame may have asked for that
			other, otherConn = connect(t, e, "")
		}
		if m := call(t, other, otherConn, service.UserPing.AppendRequest(nil, 1, service.Empty{})); m.Type != wire.TypeResponse {
			t.Errorf("another session got %v", m.Type)
		}
	})
}

// BenchmarkFanOut is a set that reaches n sessions, without their transports.
func BenchmarkFanOut(b *testing.B) {
	for _, n := range []int{1, 100, 10_000} {
		b.Run(fmt.Sprintf("subscribers=%d", n), func(b *testing.B) {
			e := newEngine(b, nil)
			type client struct {
				s *Session
				c *fakeConn
			}
			clients := make([]client, n)
			for i := range clients {
				s, c := connect(b, e, "")
				clients[i] = client{s, c}
				call(b, s, c, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "a"}))
			}
			spec := topic.Specification{Type: topic.Binary}
			values := [2][]byte{make([]byte, 128), make([]byte, 128)}
			values[1][64] = 1
			var taken []*outbox.Message
			update := func(i int) {
				if _, err := e.tree.AddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: spec, Value: values[i&1]}); err != nil {
					b.Fatal(err)
				}
				for _, c := range clients {
					taken, _ = c.s.Take(c.c, taken[:0], 1<<16)
				}
			}
			for i := range 200 { // until the recovery buffers are full
				update(i)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				update(i)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/delivery")
		})
	}
}
