package service

import (
	"math"

	"advect.dev/internal/wire"
)

// Metric collectors (34 section 1).
var (
	PutSessionMetricCollector    = declare[SessionMetricCollector, Errors](135, "PUT_SESSION_METRIC_COLLECTOR")
	RemoveSessionMetricCollector = declare[Text, Empty](136, "REMOVE_SESSION_METRIC_COLLECTOR")
	ListSessionMetricCollectors  = declare[Empty, SessionMetricCollectors](137, "LIST_SESSION_METRIC_COLLECTORS")
	PutTopicMetricCollector      = declare[TopicMetricCollector, Empty](146, "PUT_TOPIC_METRIC_COLLECTOR")
	RemoveTopicMetricCollector   = declare[Text, Empty](147, "REMOVE_TOPIC_METRIC_COLLECTOR")
	ListTopicMetricCollectors    = declare[Empty, TopicMetricCollectors](148, "LIST_TOPIC_METRIC_COLLECTORS")
)

// UnlimitedGroups as the MaxGroups of a collector is no limit.
const UnlimitedGroups = math.MaxInt32

// A MetricCollector is what collectors of both kinds have.
type MetricCollector struct {
	Name       string
	Prometheus bool  // whether to export the metrics to it
	MaxGroups  int32 // the groups after so many are not recorded
}

func (m *MetricCollector) append(b []byte) []byte {
	return wire.AppendInt32(wire.AppendBool(wire.AppendString(b, m.Name), m.Prometheus), m.MaxGroups)
}

func (m *MetricCollector) read(r *wire.Reader) {
	m.Name, m.Prometheus, m.MaxGroups = r.String(), r.Bool(), r.Int32()
}

// A SessionMetricCollector records metrics of the sessions of a filter.
type SessionMetricCollector struct {
	MetricCollector
	RemoveEmpty bool // remove metrics of groups that have lost their last session
	Filter      string
	GroupBy     []string // keys of session properties
}

// minSessionMetricCollector is the fewest bytes that one takes.
const minSessionMetricCollector = 6

func (m *SessionMetricCollector) append(b []byte) []byte {
	b = wire.AppendBool(m.MetricCollector.append(b), m.RemoveEmpty)
	return wire.AppendStrings(wire.AppendString(b, m.Filter), m.GroupBy)
}

func (m *SessionMetricCollector) read(r *wire.Reader) {
	m.MetricCollector.read(r)
	m.RemoveEmpty, m.Filter, m.GroupBy = r.Bool(), r.String(), r.Strings()
}

// SessionMetricCollectors lists collectors.
type SessionMetricCollectors []SessionMetricCollector

func (m *SessionMetricCollectors) append(b []byte) []byte { return appendList(b, *m) }
func (m *SessionMetricCollectors) read(r *wire.Reader) {
	*m = readList[SessionMetricCollector](r, minSessionMetricCollector)
}

// A TopicMetricCollector records metrics of the topics of a selector.
type TopicMetricCollector struct {
	MetricCollector
	Selector         string
	GroupByType      bool
	GroupByView      bool
	GroupByPathParts int32 // leading parts of the path; 0: do not group by path
}

// minTopicMetricCollector is the fewest bytes that one takes.
const minTopicMetricCollector = 7

func (m *TopicMetricCollector) append(b []byte) []byte {
	b = wire.AppendString(m.MetricCollector.append(b), m.Selector)
	return wire.AppendInt32(wire.AppendBool(wire.AppendBool(b, m.GroupByType), m.GroupByView), m.GroupByPathParts)
}

func (m *TopicMetricCollector) read(r *wire.Reader) {
	m.MetricCollector.read(r)
	m.Selector = r.String()
	m.GroupByType, m.GroupByView, m.GroupByPathParts = r.Bool(), r.Bool(), r.Int32()
}

// TopicMetricCollectors lists collectors.
type TopicMetricCollectors []TopicMetricCollector

func (m *TopicMetricCollectors) append(b []byte) []byte { return appendList(b, *m) }
func (m *TopicMetricCollectors) read(r *wire.Reader) {
	*m = readList[TopicMetricCollector](r, minTopicMetricCollector)
}
