package engine

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/datatype"
	"advect.dev/internal/alert"
	"advect.dev/internal/observe"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

var update = flag.Bool("update", false, "rewrite docs/metrics.md")

// TestMetricsAreDocumented compares docs/metrics.md with what is registered.
func TestMetricsAreDocumented(t *testing.T) {
	const name, begin, end = "../../docs/metrics.md", "<!-- metrics -->\n", "<!-- end of metrics -->\n"
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok1 := strings.Cut(string(text), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has no markers of the metrics", name)
	}
	e := newEngine(t, func(c *Config) { c.Entries = observe.NewLog(1) })
	var b strings.Builder
	b.WriteString("\n| Name | Type | Unit | Labels | Meaning |\n|---|---|---|---|---|\n")
	seen := map[string]bool{}
	for _, m := range e.Metrics().Metrics() {
		if seen[m.Name] || m.Help == "" {
			t.Errorf("%s is there twice, or has no meaning", m.Name)
		}
		seen[m.Name] = true
		sample := m.Name
		if m.Type == service.Counter {
			sample += "_total"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", sample, m.Type, m.Unit, strings.Join(m.Labels, ", "), m.Help)
	}
	b.WriteString("\n")
	want := before + begin + b.String() + end + after
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	} else if string(text) != want {
		t.Errorf("%s does not show the metrics as they are. Try: go test ./internal/engine -run TestMetricsAreDocumented -update", name)
	}
}

// values reads metrics, by name of the sample and labels.
func values(t testing.TB, e *Engine) map[string]float64 {
	t.Helper()
	all, err := e.registry.Collections(observe.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	values := make(map[string]float64)
	for _, c := range all {
		for _, s := range c.Samples {
			key := s.Name
			for _, l := range s.Labels {
				key += " " + l.Value
			}
			values[key] = s.Value
		}
	}
	return values
}

// TestStockMetrics checks the names and types that applications of the platform
// know (server-behaviour section 7), of which each has one sample.
func TestStockMetrics(t *testing.T) {
	e := newEngine(t, nil)
	all, err := e.registry.Collections(observe.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]service.MetricCollection)
	for _, c := range all {
		byName[c.Name] = c
	}
	for kind, names := range map[service.MetricType]string{
		service.Info: "diffusion_license diffusion_release diffusion_server_license_expiry_date diffusion_server_start_date " +
			"diffusion_server_time_zone diffusion_server_uptime diffusion_server_user_directory diffusion_server_user_name diffusion_server_session_locks",
		service.Gauge: "diffusion_server_free_memory_bytes diffusion_server_max_memory_bytes diffusion_server_total_memory_bytes " +
			"diffusion_server_used_physical_memory_size_bytes diffusion_server_used_swap_space_size_bytes diffusion_server_number_of_topics " +
			"diffusion_server_start_date_millis diffusion_server_uptime_millis diffusion_multiplexer_manager_number_of_multiplexers " +
			"diffusion_sessions_open diffusion_topics_count diffusion_topics_subscriptions os_system_load_average",
		service.UnknownMetric: "diffusion_network_outbound_bytes",
	} {
		for name := range strings.FieldsSeq(names) {
			c := byName[name]
			if c.Type != kind || len(c.Samples) != 1 || c.Samples[0].Name != name {
				t.Errorf("%s: %+v, want one sample, %v", name, c, kind)
			}
		}
	}
	if c := byName["diffusion_sessions_outbound_bytes"]; c.Type != service.Counter || c.Samples[0].Name != "diffusion_sessions_outbound_bytes_total" {
		t.Errorf("%+v", c)
	}
	v := values(t, e)
	if total, limit := v["diffusion_server_total_memory_bytes"], v["diffusion_server_max_memory_bytes"]; total < 1<<20 || limit < total {
		t.Errorf("memory %v of %v", total, limit)
	}
}

// TestCounts drives sessions through what is counted.
func TestCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEngine(t, func(c *Config) { c.KeepAlive = time.Minute })
		s, conn := connect(t, e, "admin")
		other, otherConn := connect(t, e, "")
		bad := request("admin")
		bad.Credentials = wire.Password("wrong")
		e.Connect(t.Context(), bad, here, &fakeConn{})

		received := 0
		send := func(s *Session, conn Conn, frame []byte) {
			received += len(frame)
			call(t, s, conn, frame)
		}
		spec := topic.Specification{Type: topic.Binary}
		set := func(c int) {
			v := make([]byte, 100)
			v[50] = byte(c)
			send(s, conn, service.AddAndSetTopic.AppendRequest(nil, 1, service.AddAndSetRequest{Path: "a", Specification: spec, Value: v}))
		}
		set(1)
		send(other, otherConn, service.Subscribe.AppendRequest(nil, 1, service.Selection{Selector: "?a"}))
		set(2)
		send(other, otherConn, service.SetTopic.AppendRequest(nil, 2, service.SetRequest{Path: "a", Type: topic.Binary})) // denied
		send(other, otherConn, wire.AppendRequest(nil, 999, 3))
		v := values(t, e)
		for name, want := range map[string]float64{
			"diffusion_sessions_open": 2, "advect_sessions WEBSOCKET connected": 2, "advect_sessions_opened_total WEBSOCKET": 2,
			"advect_authentications_total accepted": 2, "advect_authentications_total rejected": 1,
			"advect_connections_rejected_total AUTHENTICATION_FAILED": 1,
			"diffusion_connector_total_number_of_connections_total ":  2,
			"diffusion_topics_count":                                  1, "diffusion_topics_subscriptions": 1, "advect_updates_published_total": 2,
			"advect_updates_queued_total delta": 1, "advect_updates_queued_total value": 0,
			"advect_received_messages_total": 5, "advect_received_bytes_total": float64(received),
			"advect_sent_messages_total":                                   5 + 3, // answers, a subscription, a value, a delta
			"advect_requests_total " + service.AddAndSetTopic.Name + " ok": 2, "advect_requests_total " + service.SetTopic.Name + " denied": 1,
			"advect_requests_total unknown failed": 1,
		} {
			if got, there := v[name]; !there || got != want {
				t.Errorf("%s = %v, %v; want %v", name, got, there, want)
			}
		}
		if v["diffusion_network_outbound_bytes"] < 100 || v["diffusion_network_outbound_bytes"] != v["diffusion_sessions_outbound_bytes_total"] {
			t.Errorf("sent %v bytes", v["diffusion_network_outbound_bytes"])
		}

		other.Lost(otherConn, ConnectionLost)
		if v := values(t, e); v["advect_sessions WEBSOCKET disconnected"] != 1 || v["diffusion_sessions_open"] != 2 {
			t.Errorf("after a loss: %v", v["advect_sessions WEBSOCKET disconnected"])
		}
		back := request("")
		back.Token, back.OldestClient, back.LastServer = other.Token(), 4, int64(other.queue.Sent())
		polling := here
		polling.Transport = HTTPPolling
		for _, want := range []wire.ResponseCode{wire.Reconnected, wire.ReconnectedWithLoss} {
			if res, _ := e.Connect(t.Context(), back, polling, &fakeConn{}); res.Code != want {
				t.Fatalf("%v, want %v", res.Code, want)
			}
			back.LastServer = 1000
		}
		back.Token = "unknown"
		e.Connect(t.Context(), back, here, &fakeConn{})
		s.Close(ClosedByController)
		e.finished.Wait()
		v = values(t, e)
		for name, want := range map[string]float64{
			"advect_reconnections_total lossless": 1, "advect_reconnections_total lossy": 1, "advect_reconnections_total refused": 1,
			"advect_sessions HTTP_LONG_POLL connected": 1, "advect_sessions WEBSOCKET connected": 0, "advect_sessions WEBSOCKET disconnected": 0,
			"advect_sessions_closed_total CLOSED_BY_CONTROLLER": 1, "diffusion_sessions_open": 1, "diffusion_topics_subscriptions": 1,
		} {
			if v[name] != want {
				t.Errorf("%s = %v, want %v", name, v[name], want)
			}
		}
		e.tree.RemoveTopic(e.tree.Get("a"))
		if n := e.tree.Subscriptions(); n != 0 {
			t.Errorf("%d subscriptions to no topic", n)
		}
	})
}

// TestMetricServices compares bodies with what the specification shows (34).
func TestMetricServices(t *testing.T) {
	entries := observe.NewLog(10)
	e := newEngine(t, func(c *Config) {
		c.Entries = entries
		c.Log = slog.New(entries.Handler(slog.NewTextHandler(new(bytes.Buffer), nil)))
	})
	s, conn := connect(t, e, "admin")
	const sessions, topics = "03736d63010a0113245072696e636970616c2069732022626f62220109244c6f636174696f6e", "03746d6300ffffffff07043f612f2f010102"
	for _, step := range []struct {
		service   int32
		body, res string // hexadecimal
		code      wire.ErrorCode
	}{
		{service.PutSessionMetricCollector.ID, sessions, "00", 0},
		{service.ListSessionMetricCollectors.ID, "", "01" + sessions, 0},
		{service.PutSessionMetricCollector.ID, "0178" + "01" + "01" + "00" + "0378203d" + "00", "", 0}, // filter "x =", see below
		{service.RemoveSessionMetricCollector.ID, "03736d63", "", 0},
		{service.RemoveSessionMetricCollector.ID, "03736d63", "", 0},
		{service.ListSessionMetricCollectors.ID, "", "00", 0},
		{service.PutTopicMetricCollector.ID, topics, "", 0},
		{service.ListTopicMetricCollectors.ID, "", "01" + topics, 0},
		{service.PutTopicMetricCollector.ID, "03746d630001023f5b000000", "", wire.CodeInvalidData}, // selector "?["
		{service.RemoveTopicMetricCollector.ID, "03746d63", "", 0},
		{service.ListTopicMetricCollectors.ID, "", "00", 0},
		{service.GetServerMetrics.ID, "", "01" + "0474657374" + "00", 0},
		{service.GetEntityClassMetrics.ID, "0178" + "00", "0000", 0},
		{service.ListMetricAlerts.ID, "", "00", 0},
		{service.RemoveMetricAlert.ID, "0178", "", 0},
		{service.GetMetrics.ID, "00" + "00" + "02" + "0178", "00", 0},                // server "x"
		{service.GetMetrics.ID, "00" + "0178" + "01", "01" + "0474657374" + "00", 0}, // pattern "x", which nothing matches
		{service.GetMetrics.ID, "00" + "0128" + "00", "", wire.CodeInvalidData},      // pattern "("
		{service.GetMetrics.ID, "0116" + hex.EncodeToString([]byte("diffusion_topics_count")) + "00" + "00",
			"01" + "0474657374" + "01" + "16" + hex.EncodeToString([]byte("diffusion_topics_count")) + "00" + "01" +
				"01" + "00" + "ffffffffffffffffff01" + "16" + hex.EncodeToString([]byte("diffusion_topics_count")) + "0000", 0},
		{service.FetchLogEntries.ID, "0064", "00000a00" + "0000", 0},
	} {
		body, err := hex.DecodeString(step.body)
		if err != nil {
			t.Fatal(err)
		}
		m := call(t, s, conn, append(wire.AppendRequest(nil, step.service, 7), body...))
		name := service.Lookup(step.service)
		switch {
		case m.Type == wire.TypeError:
			if m.Error.Code != step.code {
				t.Errorf("%v %s: %v", name, step.body, m.Error)
			}
		case step.code != 0:
			t.Errorf("%v %s: no error", name, step.body)
		case step.service == service.PutSessionMetricCollector.ID && step.res == "":
			errs, err := service.PutSessionMetricCollector.ReadResponse(m.Body)
			if err != nil || len(errs) != 1 || errs[0].Line != 1 || errs[0].Column < 2 {
				t.Errorf("bad filter: %+v, %v", errs, err)
			}
		case step.service == service.FetchLogEntries.ID: // nothing was logged yet but what the steps did
			if _, err := service.FetchLogEntries.ReadResponse(m.Body); err != nil {
				t.Error(err)
			}
		case hex.EncodeToString(m.Body) != step.res:
			t.Errorf("%v %s:\ngot  %x\nwant %s", name, step.body, m.Body, step.res)
		}
	}
	e.cfg.Log.Warn("something happened", "n", 7)
	m := call(t, s, conn, service.FetchLogEntries.AppendRequest(nil, 9, service.LogRequest{Count: 100}))
	res, err := service.FetchLogEntries.ReadResponse(m.Body)
	if err != nil || res.Count != 1 || !strings.Contains(string(res.Text), `level=WARN msg="something happened" n=7`) {
		t.Errorf("log: %+v %s %v", res, res.Text, err)
	}
	jmx, err := service.FetchJMXValues.ReadResponse(call(t, s, conn, service.FetchJMXValues.AppendRequest(nil, 1, service.JMXRequest{})).Body)
	if err != nil || len(jmx) != 1 || jmx["test"].Err == nil || jmx["test"].Err.Code != wire.CodeUnsupported {
		t.Errorf("managed objects: %+v, %v", jmx, err)
	}
}

// TestAlerts sets alerts through a session and looks at the topics they make.
func TestAlerts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log lockedBuffer
		e := newEngine(t, func(c *Config) { c.Log = slog.New(slog.NewTextHandler(&log, nil)) })
		s, conn := connect(t, e, "admin")
		set := func(name, text string) service.Errors {
			t.Helper()
			m := call(t, s, conn, service.SetMetricAlert.AppendRequest(nil, 1, service.MetricAlertRequest{Name: name, Specification: text}))
			res, err := service.SetMetricAlert.ReadResponse(m.Body)
			if err != nil {
				t.Fatal(m.Error, err)
			}
			return res
		}
		if got := set("bad", "select\n m int topic x"); len(got) != 1 || got[0].Line != 2 || got[0].Column != 4 || !strings.Contains(got[0].Message, "into topic") {
			t.Errorf("%+v", got)
		}
		if _, err := e.tree.AddAndSet(somebody, &service.AddAndSetRequest{Path: "foreign", Specification: topic.Specification{Type: topic.JSON}, Value: []byte{1}}); err != nil {
			t.Fatal(err)
		}
		for name, text := range map[string]string{
			"open":     "select diffusion_sessions_open into topic /alerts/<server>/open with properties {PRIORITY: high} where value > 1",
			"foreign":  "select diffusion_sessions_open into topic foreign",
			"reserved": "select diffusion_sessions_open into topic Diffusion/x",
			"clash":    "select advect_sessions into topic foreign/<dimensions/state>",
		} {
			if got := set(name, text); len(got) != 0 {
				t.Fatal(got)
			}
		}
		second := func() {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		second()
		if n := e.tree.Get("alerts/test/open"); n != nil {
			t.Error("the alert came with one session")
		}
		if v, _ := e.tree.Get("foreign").Value(); !bytes.Equal(v, []byte{1}) {
			t.Errorf("a topic of somebody else has the value %x", v)
		}
		connect(t, e, "")
		second()
		n := e.tree.Get("alerts/test/open")
		if n == nil {
			t.Fatal("no topic:", log.String())
		}
		v, _ := n.Value()
		const want = `{"metric_name":"diffusion_sessions_open","alert_name":"open","server":"test","timestamp":null,"unit":"","dimensions":{},` +
			`"alert_type":"sample_matches","metric_type":"GAUGE","value":2}`
		if got := datatype.JSONFromBytes(v).String(); got != want || n.Specification().Properties[topic.Priority] != "high" {
			t.Errorf("%v\ngot  %s\nwant %s", n.Specification(), got, want)
		}
		connect(t, e, "")
		second()
		if v, _ := n.Value(); !strings.Contains(datatype.JSONFromBytes(v).String(), `"value":3`) {
			t.Errorf("not updated: %s", datatype.JSONFromBytes(v))
		}
		// Once it is somebody else's it is left alone.
		e.tree.RemoveTopic(n)
		if _, err := e.tree.AddAndSet(somebody, &service.AddAndSetRequest{Path: "alerts/test/open", Specification: topic.Specification{Type: topic.JSON}, Value: []byte{2}}); err != nil {
			t.Fatal(err)
		}
		second()
		if v, _ := e.tree.Get("alerts/test/open").Value(); !bytes.Equal(v, []byte{2}) {
			t.Errorf("taken over: %x", v)
		}
		for _, want := range []string{`alert=foreign error="the topic at \"foreign\" was not created by an alert`, "alert=reserved", "alert=open"} {
			if strings.Count(log.String(), want) != 1 {
				t.Errorf("%s is not there once in\n%s", want, log.String())
			}
		}
		list, err := service.ListMetricAlerts.ReadResponse(call(t, s, conn, service.ListMetricAlerts.AppendRequest(nil, 1, service.Empty{})).Body)
		if err != nil || len(list) != 4 || list[0].Principal != "admin" || len(list[0].Roles) == 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// TestAlertOfSomebodyElse checks that an alert has the rights of its creator.
func TestAlertOfSomebodyElse(t *testing.T) {
	e := newEngine(t, nil)
	a := &service.MetricAlert{Principal: "client", Roles: []string{"CLIENT"}}
	a.Specification = "select m into topic t"
	for roles, allowed := range map[string]bool{"CLIENT": false, "TOPIC_CONTROL": true} {
		a.Roles = []string{roles}
		err := e.publishAlert(a, testAlert(t, a.Specification), "t", []byte{0xf6, 0}[:1])
		if (err == nil) != allowed {
			t.Errorf("as %s: %v", roles, err)
		}
	}
}

func testAlert(t *testing.T, text string) *alert.Specification {
	t.Helper()
	s, err := alert.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A lockedBuffer takes a log that is read while it is written.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
