package advect

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"advect.dev/internal/service"
)

// Metrics is what a session does with the metrics of the server (protocol 34): it
// reads them, has collectors record more of them, and has alerts watch them. Reading
// takes the permission VIEW_SERVER, the rest CONTROL_SERVER. All methods may be used
// concurrently.
type Metrics struct{ session *Session }

// Metrics returns the server's metrics.
func (s *Session) Metrics() *Metrics { return &Metrics{s} }

// A MetricsQuery says which metrics to read. The zero value means all of the server
// that the session is connected to.
type MetricsQuery struct {
	// Names are names of metrics, or of single samples. Default: all.
	Names []string
	// Pattern is a regular expression for such names. Only one of Names and
	// Pattern can be set.
	Pattern string
	// Server is the name of a server of the cluster. Default: the session's.
	Server string
	// AllServers asks for those of every server of the cluster.
	AllServers bool
}

// MetricType is the type of a metric, as in OpenMetrics. Its String is the
// platform's name, such as "COUNTER".
type MetricType = service.MetricType

// The types of metrics.
const (
	MetricCounter        = service.Counter
	MetricGauge          = service.Gauge
	MetricInfo           = service.Info
	MetricHistogram      = service.Histogram
	MetricGaugeHistogram = service.GaugeHistogram
	MetricStateSet       = service.StateSet
	MetricSummary        = service.Summary
	MetricUnknown        = service.UnknownMetric
)

// A Metric is a metric with its samples.
type Metric struct {
	Name    string
	Unit    string // may be empty
	Type    MetricType
	Samples []MetricSample
}

// A MetricSample is one value of a metric.
type MetricSample struct {
	Name   string // often that of the metric with a suffix, such as "_total"
	Labels []MetricLabel
	Value  float64
	Time   time.Time // zero if it has none
}

// A MetricLabel tells samples of a metric apart.
type MetricLabel struct{ Name, Value string }

// Read returns the metrics that a query asks for, by the name of the server, in
// the server's order. A server none of whose metrics match has an empty list.
func (m *Metrics) Read(ctx context.Context, query MetricsQuery) (map[string][]Metric, error) {
	request := service.MetricsRequest{Names: query.Names, Pattern: query.Pattern, Server: query.Server}
	switch {
	case len(query.Names) > 0 && query.Pattern != "":
		return nil, errors.New("read metrics: the query has both Names and Pattern")
	case query.AllServers && query.Server != "":
		return nil, errors.New("read metrics: the query has both Server and AllServers")
	case query.AllServers:
		request.Target = service.AllServers
	case query.Server != "":
		request.Target = service.NamedServer
	}
	res, err := call(ctx, m.session, service.GetMetrics, request)
	if err != nil {
		return nil, fmt.Errorf("read metrics: %w", err)
	}
	servers := make(map[string][]Metric, len(res))
	for server, collections := range res {
		metrics := make([]Metric, len(collections))
		for i, c := range collections {
			metrics[i] = Metric{c.Name, c.Unit, c.Type, samples(c.Samples)}
		}
		servers[server] = metrics
	}
	return servers, nil
}

func samples(list []service.MetricSample) []MetricSample {
	converted := make([]MetricSample, len(list))
	for i, s := range list {
		converted[i] = MetricSample{Name: s.Name, Value: s.Value}
		for _, label := range s.Labels {
			converted[i].Labels = append(converted[i].Labels, MetricLabel(label))
		}
		if s.Timestamp != service.NoTimestamp {
			converted[i].Time = time.UnixMilli(s.Timestamp)
		}
	}
	return converted
}

// A SessionMetricCollector records metrics of the sessions that a filter selects.
type SessionMetricCollector struct {
	Name   string
	Filter string // see [Clients]
	// GroupBy are keys of session properties: sessions with the same values are
	// recorded together, apart from others. Default: all sessions together.
	GroupBy []string
	// MaxGroups is the number of groups beyond which no more are recorded. Default
	// 0: no limit.
	MaxGroups int
	// RemoveEmpty forgets a group when its last session has closed.
	RemoveEmpty bool
	// Prometheus includes the metrics in what the server exports to Prometheus.
	Prometheus bool
}

// A TopicMetricCollector records metrics of the topics that a selector matches.
type TopicMetricCollector struct {
	Name     string
	Selector string
	// GroupByType, GroupByView and GroupByPathParts record topics apart by type, by
	// the topic view that made them, and by so many leading parts of their paths.
	GroupByType      bool
	GroupByView      bool
	GroupByPathParts int
	// MaxGroups and Prometheus are as of [SessionMetricCollector].
	MaxGroups  int
	Prometheus bool
}

// maxGroups returns the wire form of a limit, and limitOfGroups that of the API.
func maxGroups(n int) int32 {
	if n <= 0 {
		return service.UnlimitedGroups
	}
	return clamp(n)
}

func limitOfGroups(n int32) int {
	if n == service.UnlimitedGroups {
		return 0
	}
	return int(n)
}

// PutSessionCollector adds a collector, or replaces the one of the same name. The
// error matches [ErrInvalidFilter] if its filter is not one.
func (m *Metrics) PutSessionCollector(ctx context.Context, c SessionMetricCollector) error {
	problems, err := call(ctx, m.session, service.PutSessionMetricCollector, service.SessionMetricCollector{
		MetricCollector: service.MetricCollector{Name: c.Name, Prometheus: c.Prometheus, MaxGroups: maxGroups(c.MaxGroups)},
		RemoveEmpty:     c.RemoveEmpty, Filter: c.Filter, GroupBy: c.GroupBy,
	})
	if err == nil {
		err = filterError(problems)
	}
	return about(err, "put session metric collector", c.Name)
}

// RemoveSessionCollector removes a collector, if there is one of the name.
func (m *Metrics) RemoveSessionCollector(ctx context.Context, name string) error {
	_, err := call(ctx, m.session, service.RemoveSessionMetricCollector, service.Text(name))
	return about(err, "remove session metric collector", name)
}

// SessionCollectors lists the collectors for sessions.
func (m *Metrics) SessionCollectors(ctx context.Context) ([]SessionMetricCollector, error) {
	res, err := call(ctx, m.session, service.ListSessionMetricCollectors, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("list session metric collectors: %w", err)
	}
	list := make([]SessionMetricCollector, len(res))
	for i, c := range res {
		list[i] = SessionMetricCollector{
			Name: c.Name, Filter: c.Filter, GroupBy: c.GroupBy, MaxGroups: limitOfGroups(c.MaxGroups),
			RemoveEmpty: c.RemoveEmpty, Prometheus: c.Prometheus,
		}
	}
	return list, nil
}

// PutTopicCollector adds a collector, or replaces the one of the same name. What is
// not a selector is an error that matches [ErrInvalidSelector], or
// [ErrInvalidData] if it is the server that refuses it.
func (m *Metrics) PutTopicCollector(ctx context.Context, c TopicMetricCollector) error {
	expression, err := join([]string{c.Selector})
	if err == nil {
		_, err = call(ctx, m.session, service.PutTopicMetricCollector, service.TopicMetricCollector{
			MetricCollector: service.MetricCollector{Name: c.Name, Prometheus: c.Prometheus, MaxGroups: maxGroups(c.MaxGroups)},
			Selector:        expression, GroupByType: c.GroupByType, GroupByView: c.GroupByView, GroupByPathParts: clamp(c.GroupByPathParts),
		})
	}
	return about(err, "put topic metric collector", c.Name)
}

// RemoveTopicCollector removes a collector, if there is one of the name.
func (m *Metrics) RemoveTopicCollector(ctx context.Context, name string) error {
	_, err := call(ctx, m.session, service.RemoveTopicMetricCollector, service.Text(name))
	return about(err, "remove topic metric collector", name)
}

// TopicCollectors lists the collectors for topics.
func (m *Metrics) TopicCollectors(ctx context.Context) ([]TopicMetricCollector, error) {
	res, err := call(ctx, m.session, service.ListTopicMetricCollectors, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("list topic metric collectors: %w", err)
	}
	list := make([]TopicMetricCollector, len(res))
	for i, c := range res {
		list[i] = TopicMetricCollector{
			Name: c.Name, Selector: c.Selector, GroupByType: c.GroupByType, GroupByView: c.GroupByView,
			GroupByPathParts: int(c.GroupByPathParts), MaxGroups: limitOfGroups(c.MaxGroups), Prometheus: c.Prometheus,
		}
	}
	return list, nil
}

// A MetricAlert is an alert that is set.
type MetricAlert struct {
	Name          string
	Specification string
	Principal     string   // of the session that set it
	Roles         []string // of the session that set it
}

// SetAlert has the server watch a metric, under a name, and set a JSON topic each
// time that a sample satisfies a condition:
//
//	select diffusion_sessions_open into topic alerts/sessions where value > 1000 disable until value < 900
//
// An alert of the same name is replaced. The error matches [ErrInvalidScript] if
// the specification is not one.
func (m *Metrics) SetAlert(ctx context.Context, name, specification string) error {
	problems, err := call(ctx, m.session, service.SetMetricAlert, service.MetricAlertRequest{Name: name, Specification: specification})
	if err == nil {
		err = scriptError(problems)
	}
	return about(err, "set metric alert", name)
}

// RemoveAlert removes an alert, if there is one of the name.
func (m *Metrics) RemoveAlert(ctx context.Context, name string) error {
	_, err := call(ctx, m.session, service.RemoveMetricAlert, service.Text(name))
	return about(err, "remove metric alert", name)
}

// Alerts lists the alerts in the order in which they were set.
func (m *Metrics) Alerts(ctx context.Context) ([]MetricAlert, error) {
	res, err := call(ctx, m.session, service.ListMetricAlerts, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("list metric alerts: %w", err)
	}
	list := make([]MetricAlert, len(res))
	for i, a := range res {
		list[i] = MetricAlert{a.Name, a.Specification, a.Principal, a.Roles}
	}
	return list, nil
}

func about(err error, what, name string) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", what, name, err)
}

// LogEntries is a part of the server's log.
type LogEntries struct {
	First     int64  // index of the first entry here; the oldest that is kept may be a later one than was asked for
	Count     int64  // number of entries here
	Available int64  // index after that of the last entry
	FirstLine int64  // number of the line on which the first entry begins
	Text      string // the entries, each with its line feed
	File      int64  // id of the file; another one means that the log has begun anew
}

// FetchLog returns count entries of the server's log from a first one on, which
// count from 0; the server may return fewer. The session needs the permission
// VIEW_SERVER. To go on, fetch from First + Count. A server that keeps no log returns
// none.
func (s *Session) FetchLog(ctx context.Context, first, count int64) (LogEntries, error) {
	if first < 0 || count < 0 {
		return LogEntries{}, fmt.Errorf("fetch log: %d entries from %d: neither can be negative", count, first)
	}
	res, err := call(ctx, s, service.FetchLogEntries, service.LogRequest{First: first, Count: min(count, math.MaxInt32)})
	if err != nil {
		return LogEntries{}, fmt.Errorf("fetch log: %w", err)
	}
	return LogEntries{res.First, res.Count, res.Available, res.FirstLine, string(res.Text), res.File}, nil
}
