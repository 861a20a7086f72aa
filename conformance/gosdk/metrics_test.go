package gosdk

import (
	"fmt"
	"slices"
	"strings"

	"advect.dev"
	"advect.dev/datatype"
)

// Metrics, what collects and watches them, and the log. What counts things of the
// whole server has one of its own.

const (
	metricsGroup = "Metrics"
	logsGroup    = "Logs"
)

var metrics = []scenario{
	{"metrics.read", metricsGroup, "the metrics that applications know are there with their types; filters take names and expressions", both, metricsRead},
	{"metrics.servers", metricsGroup, "metrics of all servers, of this one, and of one by its name; one that is not there has none", ws, metricsServers},
	{"metrics.samples", metricsGroup, "samples have types, labels and values: counters grow, gauges follow what there is, and a filter may name a sample", ws, metricsSamples},
	{"metrics.no-expression", metricsGroup, "an expression that is none is refused", ws, metricsNoExpression},
	{"metrics.collectors", metricsGroup, "collectors are listed as they were put, count sessions and topics in groups, and go when they are removed", ws, metricsCollectors},
	{"metrics.collector-groups", metricsGroup, "collectors group by several properties, by type and the beginning of paths, up to their maximum; putting again replaces", ws, metricsCollectorGroups},
	{"metrics.permissions", metricsGroup, "to read takes VIEW_SERVER, to define and to remove CONTROL_SERVER", ws, metricsPermissions},
	{"metrics.alerts", metricsGroup, "an alert publishes the samples that meet its condition to a JSON topic, and is listed as it was set", ws, metricsAlerts},
	{"metrics.alert-condition", metricsGroup, "an alert waits for its condition, then is silent until another one holds, and publishes again", ws, metricsAlertCondition},
	{"metrics.alert-topics", metricsGroup, "an alert names its topics by members of the document and gives them properties, and leaves alone topics that others made", ws, metricsAlertTopics},
	{"metrics.alert-replaced", metricsGroup, "an alert that is set again replaces the one of its name; specifications that are none are refused with the place of the error", ws, metricsAlertReplaced},
	{"logs.fetch", logsGroup, "the latest lines of the log are read from any of them on", both, logsFetch},
}

// read returns the metrics of a query that is answered by one server, by name.
func (s *scene) read(session *advect.Session, query advect.MetricsQuery) map[string]advect.Metric {
	s.t.Helper()
	servers, err := session.Metrics().Read(s.ctx, query)
	s.none(err, "read metrics")
	s.equal(len(servers), 1, "servers")
	all := map[string]advect.Metric{}
	for _, list := range servers {
		for _, m := range list {
			all[m.Name] = m
		}
	}
	return all
}

// samples returns the samples of a metric, by the values of their labels.
func (s *scene) samples(session *advect.Session, name string) map[string]float64 {
	s.t.Helper()
	all := map[string]float64{}
	for _, m := range s.read(session, advect.MetricsQuery{Names: []string{name}}) {
		for _, sample := range m.Samples {
			var labels []string
			for _, l := range sample.Labels {
				labels = append(labels, l.Value)
			}
			all[strings.Join(labels, " ")] = sample.Value
		}
	}
	return all
}

func namesOf(all map[string]advect.Metric) string {
	var names []string
	for name := range all {
		names = append(names, name)
	}
	return sorted(names)
}

func metricsRead(s *scene) {
	session := s.admin()
	all := s.read(session, advect.MetricsQuery{})
	for name, want := range map[string]advect.MetricType{
		"diffusion_release": advect.MetricInfo, "diffusion_license": advect.MetricInfo, "diffusion_server_number_of_topics": advect.MetricGauge,
		"diffusion_sessions_open": advect.MetricGauge, "diffusion_topics_count": advect.MetricGauge,
	} {
		m, there := all[name]
		s.ok(there && len(m.Samples) > 0 && m.Samples[0].Name == name, "%s: %+v", name, m)
		s.equal(m.Type, want, name)
	}
	some := s.read(session, advect.MetricsQuery{Names: []string{"diffusion_sessions_outbound_bytes_total", "diffusion_sessions_open"}})
	s.equal(namesOf(some), "diffusion_sessions_open diffusion_sessions_outbound_bytes", "by name")
	for name, m := range some {
		s.ok(m.Samples[0].Value >= 1, "%s: %+v", name, m)
	}
	s.equal(namesOf(s.read(session, advect.MetricsQuery{Pattern: "diffusion_topics_.*"})), "diffusion_topics_count diffusion_topics_subscriptions", "by expression")
	s.equal(len(s.read(session, advect.MetricsQuery{Pattern: "nothing"})), 0, "nothing")
}

func metricsServers(s *scene) {
	g := s.governed("--server-name", "lighthouse")
	for want, query := range map[string][]advect.MetricsQuery{
		"[lighthouse]": {{AllServers: true}, {}, {Server: "lighthouse"}},
		"[]":           {{Server: "elsewhere"}},
	} {
		for _, q := range query {
			q.Names = []string{"diffusion_sessions_open"}
			servers, err := g.Metrics().Read(s.ctx, q)
			s.none(err, "read metrics")
			var names []string
			for name := range servers {
				names = append(names, name)
			}
			s.equal(names, want, fmt.Sprintf("servers of %+v", q))
		}
	}
}

func metricsSamples(s *scene) {
	g := s.governed()
	const connections = "diffusion_connector_total_number_of_connections"
	m := s.read(g.Session, advect.MetricsQuery{Names: []string{connections}})[connections]
	s.equal([]any{m.Type, m.Samples[0].Name, m.Samples[0].Labels[0].Name}, []any{advect.MetricCounter, connections + "_total", "connector"}, "counter")
	count := func(sessions, topics, subscriptions float64) {
		s.t.Helper()
		for name, want := range map[string]float64{"diffusion_sessions_open": sessions, "diffusion_topics_count": topics, "diffusion_topics_subscriptions": subscriptions} {
			s.equal(s.samples(g.Session, name), map[string]float64{"": want}, name)
		}
	}
	count(1, 0, 0)
	client := g.connect()
	publisher{g.Session, s}.add("a", advect.String)
	s.subscribe(client, "a")
	count(2, 1, 1)
	told := s.listenTo(g.Session, advect.SessionEventQuery{Filter: among(client)})
	s.none(client.Close(), "close")
	s.of(told, client, 2)
	_, err := g.Topics().Remove(s.ctx, "a")
	s.none(err, "remove")
	count(1, 0, 0)
	s.equal(s.samples(g.Session, connections+"_total"), map[string]float64{m.Samples[0].Labels[0].Value: 2}, "connections, by the name of the sample")
}

func metricsNoExpression(s *scene) {
	_, err := s.admin().Metrics().Read(s.ctx, advect.MetricsQuery{Pattern: "["})
	s.is(err, "expression", advect.ErrInvalidData)
}

func metricsCollectors(s *scene) {
	session := publisher{s.admin(), s}
	m, name := session.Metrics(), s.path()
	sessions := advect.SessionMetricCollector{
		Name: name, Filter: "$Principal in ['admin' 'client']", GroupBy: []string{"$Principal"}, MaxGroups: 5, RemoveEmpty: true, Prometheus: true,
	}
	topics := advect.TopicMetricCollector{Name: name, Selector: "?" + name + "//", GroupByType: true}
	s.none(m.PutSessionCollector(s.ctx, sessions), "put")
	s.none(m.PutTopicCollector(s.ctx, topics), "put")
	session.add(name+"/a", advect.JSON)
	session.add(name+"/b", advect.JSON)
	session.add(name+"/c", advect.String)
	listed := func() (found []any) {
		all, err := m.SessionCollectors(s.ctx)
		s.none(err, "list")
		for _, c := range all {
			if c.Name == name {
				found = append(found, c)
			}
		}
		others, err := m.TopicCollectors(s.ctx)
		s.none(err, "list")
		for _, c := range others {
			if c.Name == name {
				found = append(found, c)
			}
		}
		return found
	}
	s.equal(listed(), []any{sessions, topics}, "collectors")
	s.ok(s.samples(session.Session, "advect_session_collector_sessions")[name+" admin"] >= 1, "no sessions of admin")
	counted := s.samples(session.Session, "advect_topic_collector_topics")
	s.equal([]float64{counted[name+" JSON"], counted[name+" STRING"]}, "[2 1]", "topics by type")
	for range 2 {
		s.none(m.RemoveSessionCollector(s.ctx, name), "remove")
		s.none(m.RemoveTopicCollector(s.ctx, name), "remove")
	}
	s.equal(len(listed()), 0, "collectors that were removed")
	s.reported(m.PutSessionCollector(s.ctx, advect.SessionMetricCollector{Name: name, Filter: "x ="}), "filter", advect.ErrInvalidFilter)
	s.is(m.PutTopicCollector(s.ctx, advect.TopicMetricCollector{Name: name, Selector: ">"}), "selector", advect.ErrInvalidSelector)
	s.is(m.PutTopicCollector(s.ctx, advect.TopicMetricCollector{Name: name, Selector: "?["}), "regular expression", advect.ErrInvalidData)
}

func metricsCollectorGroups(s *scene) {
	g := s.governed()
	m := g.Metrics()
	client := g.connect(as("client")...)
	s.set(g.Session, client, "Tier", "gold")
	s.none(m.PutSessionCollector(s.ctx, advect.SessionMetricCollector{Name: "s", Filter: "all", GroupBy: []string{"$Principal", "Tier"}}), "put")
	sessions := s.samples(g.Session, "advect_session_collector_sessions")
	s.equal([]any{sessions["s client gold"], len(sessions)}, "[1 2]", "groups of sessions")
	for _, path := range []string{"a/b/1", "a/b/2", "a/c/1", "x/y/1"} {
		publisher{g.Session, s}.add(path, advect.JSON)
	}
	counts := func(c advect.TopicMetricCollector) (all []float64) {
		s.t.Helper()
		c.Name = "t"
		s.none(m.PutTopicCollector(s.ctx, c), "put")
		for _, n := range s.samples(g.Session, "advect_topic_collector_topics") {
			all = append(all, n)
		}
		slices.Sort(all)
		return all
	}
	s.equal(counts(advect.TopicMetricCollector{Selector: "?a//", GroupByPathParts: 2}), "[1 2]", "groups of topics")
	s.equal(len(counts(advect.TopicMetricCollector{Selector: "?.*//", GroupByPathParts: 2, MaxGroups: 1})), 1, "one group")
	s.equal(counts(advect.TopicMetricCollector{Selector: "?.*//"}), "[4]", "without groups")
}

func metricsPermissions(s *scene) {
	control, operator := s.control(), s.connect(as("operator")...)
	name := s.path()
	reads := map[string]func(*advect.Session) error{
		"metrics":            func(by *advect.Session) error { _, err := by.Metrics().Read(s.ctx, advect.MetricsQuery{}); return err },
		"session collectors": func(by *advect.Session) error { _, err := by.Metrics().SessionCollectors(s.ctx); return err },
		"topic collectors":   func(by *advect.Session) error { _, err := by.Metrics().TopicCollectors(s.ctx); return err },
		"log":                func(by *advect.Session) error { _, err := by.FetchLog(s.ctx, 0, 1); return err },
	}
	changes := map[string]func(*advect.Session) error{
		"put of a session collector": func(by *advect.Session) error {
			return by.Metrics().PutSessionCollector(s.ctx, advect.SessionMetricCollector{Name: name, Filter: "all"})
		},
		"put of a topic collector": func(by *advect.Session) error {
			return by.Metrics().PutTopicCollector(s.ctx, advect.TopicMetricCollector{Name: name, Selector: "a"})
		},
		"removal of a session collector": func(by *advect.Session) error { return by.Metrics().RemoveSessionCollector(s.ctx, name) },
		"removal of a topic collector":   func(by *advect.Session) error { return by.Metrics().RemoveTopicCollector(s.ctx, name) },
		"alert": func(by *advect.Session) error {
			return by.Metrics().SetAlert(s.ctx, name, "select diffusion_sessions_open into topic "+name)
		},
		"alerts":              func(by *advect.Session) error { _, err := by.Metrics().Alerts(s.ctx); return err },
		"removal of an alert": func(by *advect.Session) error { return by.Metrics().RemoveAlert(s.ctx, name) },
	}
	for what, call := range reads {
		s.denied(call(control), "control: "+what)
		s.none(call(operator), "operator: "+what)
	}
	for what, call := range changes {
		s.denied(call(control), "control: "+what)
		s.denied(call(operator), "operator: "+what)
	}
}

// alerts subscribes to JSON topics and records their values.
func (s *scene) alerts(session *advect.Session, selector string) streamRecord {
	s.t.Helper()
	r := watch[datatype.JSON](s, session, selector)
	s.subscribe(session, selector)
	return r
}

func metricsAlerts(s *scene) {
	session := s.admin()
	m, name := session.Metrics(), s.path()
	specification := "select diffusion_sessions_open into topic " + name + " where value >= 1 disable until value < 1"
	received := s.alerts(session, name)
	s.none(m.SetAlert(s.ctx, name, specification), "set")
	document := s.await(received, value, 1).value
	for _, want := range []string{`"diffusion_sessions_open"`, `"sample_matches"`, `"GAUGE"`, `"` + name + `"`} {
		s.ok(strings.Contains(document, want), "%s is not in %s", want, document)
	}
	listed := func() (found []advect.MetricAlert) {
		all, err := m.Alerts(s.ctx)
		s.none(err, "list")
		return slices.DeleteFunc(all, func(a advect.MetricAlert) bool { return a.Name != name })
	}
	s.equal(listed(), []advect.MetricAlert{{Name: name, Specification: specification, Principal: "admin", Roles: []string{"ADMINISTRATOR"}}}, "alerts")
	for range 2 {
		s.none(m.RemoveAlert(s.ctx, name), "remove")
	}
	s.equal(len(listed()), 0, "alerts that were removed")
}

func metricsAlertCondition(s *scene) {
	g := s.governed()
	received := s.alerts(g.Session, "alerts/sessions")
	// An alert without a condition: what it publishes shows that all have been evaluated.
	rounds := s.alerts(g.Session, "alerts/rounds")
	round := func() { s.await(rounds, value, len(rounds.of(value))+2) }
	s.none(g.Metrics().SetAlert(s.ctx, "busy", "select diffusion_sessions_open into topic alerts/sessions where value > 1 disable until value <= 1"), "set")
	s.none(g.Metrics().SetAlert(s.ctx, "rounds", "select diffusion_server_uptime_millis into topic alerts/rounds"), "set")
	round()
	s.equal(len(received.of(value)), 0, "alerts before the condition holds")
	client := g.connect()
	s.await(received, value, 1)
	another := g.connect()
	round()
	s.equal(len(received.of(value)), 1, "alerts while silent")
	s.none(client.Close(), "close")
	s.none(another.Close(), "close")
	round()
	s.equal(len(received.of(value)), 1, "alerts once it may speak again")
	_, err := g.Topics().Remove(s.ctx, "alerts/sessions") // an equal value would not be published
	s.none(err, "remove")
	g.connect()
	s.await(received, value, 2)
}

func metricsAlertTopics(s *scene) {
	g := s.governed("--server-name", "lighthouse")
	_, err := g.Topics().AddAndSet(s.ctx, "taken", advect.NewSpecification(advect.JSON), doc(`"mine"`))
	s.none(err, "add and set")
	alerts := []advect.MetricAlert{
		{Name: "taken", Specification: "select diffusion_sessions_open into topic taken"},
		{Name: "named", Specification: "select diffusion_connector_total_number_of_connections_total from server lighthouse\n" +
			"into topic by/<server>/<dimensions/connector> with properties { PRIORITY: high }\nwhere value >= 1"},
		{Name: "elsewhere", Specification: "select diffusion_sessions_open from server elsewhere into topic never"},
		{Name: "rounds", Specification: "select diffusion_server_uptime_millis into topic rounds"},
	}
	by, rounds := s.alerts(g.Session, "?by//"), s.alerts(g.Session, "rounds")
	for _, a := range alerts {
		s.none(g.Metrics().SetAlert(s.ctx, a.Name, a.Specification), "set "+a.Name)
	}
	s.await(by, value, 1)
	s.await(rounds, value, 2)
	path := by.of(subscribe)[0].path
	s.ok(strings.HasPrefix(path, "by/lighthouse/") && len(path) > len("by/lighthouse/"), "topic %s", path)
	found, err := g.Topics().FetchTopics(s.ctx, advect.FetchQuery{Selector: path, Properties: true})
	s.none(err, "fetch")
	s.equal(found.Topics[0].Specification.Properties[advect.PropertyPriority], "high", "priority")
	taken, err := advect.FetchValue[datatype.JSON](s.ctx, g.Topics(), "taken")
	s.none(err, "fetch")
	s.equal(taken, doc(`"mine"`), "topic of another")
	_, err = g.Topics().Fetch(s.ctx, "never")
	s.is(err, "topic of another server", advect.ErrNoSuchTopic)
	listed, err := g.Metrics().Alerts(s.ctx)
	s.none(err, "list")
	for i, a := range listed {
		s.equal([]string{a.Name, a.Specification}, []string{alerts[i].Name, alerts[i].Specification}, "alerts in the order of their creation")
	}
	s.equal(len(listed), len(alerts), "alerts")
}

func metricsAlertReplaced(s *scene) {
	g := s.governed()
	m := g.Metrics()
	holds := func(want string) {
		s.t.Helper()
		all, err := m.Alerts(s.ctx)
		s.none(err, "list")
		s.equal([]any{len(all), all[0].Name, all[0].Specification}, []any{1, "alert", want}, "alerts")
	}
	s.none(m.SetAlert(s.ctx, "alert", "select diffusion_sessions_open into topic first"), "set")
	for _, wrong := range []string{
		"", "select", "select x", "select x into", "select x into topic y where", "select x into topic y where value >", "select x into topic y where value ~ 1",
		"select x into topic y with properties {PRIORITY: nonsense}", "select x into topic y with properties {PRIORITY}", "select x into topic y\nand more",
		"choose x into topic y", "select x into topic y where (value > 1",
	} {
		s.reported(m.SetAlert(s.ctx, "alert", wrong), "specification "+wrong, advect.ErrInvalidScript)
	}
	holds("select diffusion_sessions_open into topic first")
	s.none(m.SetAlert(s.ctx, "alert", "select diffusion_sessions_open into topic second"), "set")
	holds("select diffusion_sessions_open into topic second")
}

func logsFetch(s *scene) {
	g := s.governed()
	for _, path := range []string{"a", "b", "c", "d"} {
		g.roles("isolate path '" + path + "'")
	}
	read := func(first, count int64) (advect.LogEntries, []string) {
		s.t.Helper()
		log, err := g.FetchLog(s.ctx, first, count)
		s.none(err, "fetch the log")
		return log, slices.Collect(strings.Lines(log.Text))
	}
	log, lines := read(0, 1000)
	s.equal([]int64{log.First, log.Count, log.FirstLine}, []int64{0, int64(len(lines)), 1}, "from the first on")
	s.ok(len(lines) >= 4 && log.Available == log.Count, "%d lines of %d", len(lines), log.Available)
	s.ok(strings.Contains(log.Text, g.ID().String()), "no line about what the session did")
	some, two := read(1, 2)
	s.equal([]int64{some.First, some.Count, some.FirstLine, some.File}, []int64{1, 2, 2, log.File}, "two of them")
	s.equal(two, lines[1:3], "lines")
	_, none := read(1_000_000, 10)
	s.equal(len(none), 0, "lines beyond the last")
	_, err := g.connect().FetchLog(s.ctx, 0, 10)
	s.denied(err, "without VIEW_SERVER")
}
