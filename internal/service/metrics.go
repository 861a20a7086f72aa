package service

import (
	"math"

	"advect.dev/internal/wire"
)

// GetMetrics reads the metrics of servers (34 section 2).
var GetMetrics = declare[MetricsRequest, Metrics](186, "GET_METRICS")

// MetricsTarget says of which servers a MetricsRequest asks.
type MetricsTarget byte

// The targets.
const (
	CurrentServer MetricsTarget = 0
	AllServers    MetricsTarget = 1
	NamedServer   MetricsTarget = 2
)

// A MetricsRequest asks for metrics, for all unless it has names or a pattern.
// Both match names of collections or, failing that, of single samples.
type MetricsRequest struct {
	Names   []string
	Pattern string // a regular expression
	Target  MetricsTarget
	Server  string // NamedServer
}

func (m *MetricsRequest) append(b []byte) []byte {
	b = append(wire.AppendString(wire.AppendStrings(b, m.Names), m.Pattern), byte(m.Target))
	if m.Target == NamedServer {
		b = wire.AppendString(b, m.Server)
	}
	return b
}

func (m *MetricsRequest) read(r *wire.Reader) {
	m.Names, m.Pattern = r.Strings(), r.String()
	if m.Target = readEnum(r, NamedServer, "target of a metrics request"); m.Target == NamedServer {
		m.Server = r.String()
	}
}

// Metrics has the metrics of servers by name.
type Metrics map[string]MetricCollections

func (m *Metrics) append(b []byte) []byte { return appendMap(b, *m) }
func (m *Metrics) read(r *wire.Reader)    { *m = readMap[MetricCollections](r, 2) }

// MetricCollections lists the metrics of a server.
type MetricCollections []MetricCollection

func (m *MetricCollections) append(b []byte) []byte { return appendList(b, *m) }
func (m *MetricCollections) read(r *wire.Reader) {
	*m = readList[MetricCollection](r, minMetricCollection)
}

// MetricType is the type of a metric, as in OpenMetrics.
type MetricType byte

// The types of metric.
const (
	Counter        MetricType = 0
	Gauge          MetricType = 1
	Info           MetricType = 2
	Histogram      MetricType = 3
	GaugeHistogram MetricType = 4
	StateSet       MetricType = 5
	Summary        MetricType = 6
	UnknownMetric  MetricType = 7
)

// String returns the platform's name of the type.
func (t MetricType) String() string {
	return enumName(t, "COUNTER", "GAUGE", "INFO", "HISTOGRAM", "GAUGE_HISTOGRAM", "STATE_SET", "SUMMARY", "UNKNOWN")
}

// A MetricCollection is a metric and its samples.
type MetricCollection struct {
	Name    string
	Unit    string // may be empty
	Type    MetricType
	Samples []MetricSample
}

// minMetricCollection is the fewest bytes that a MetricCollection takes.
const minMetricCollection = 4

func (m *MetricCollection) append(b []byte) []byte {
	b = append(wire.AppendString(wire.AppendString(b, m.Name), m.Unit), byte(m.Type))
	return appendList(b, m.Samples)
}

func (m *MetricCollection) read(r *wire.Reader) {
	m.Name, m.Unit = r.String(), r.String()
	m.Type = readEnum(r, UnknownMetric, "type of metric")
	m.Samples = readList[MetricSample](r, minMetricSample)
}

// NoTimestamp is the Timestamp of a sample that has none.
const NoTimestamp int64 = -1

// A MetricSample is one value of a metric.
type MetricSample struct {
	Value     float64
	Timestamp int64 // milliseconds since 1970, or NoTimestamp
	Name      string
	Labels    []MetricLabel
}

// A MetricLabel tells samples of a metric apart.
type MetricLabel struct{ Name, Value string }

// minMetricSample is the fewest bytes that a MetricSample takes.
const minMetricSample = 5

// append writes the bits of the value, all of them, as a varint64; labels are two
// lists of equal length.
func (m *MetricSample) append(b []byte) []byte {
	b = wire.AppendInt64(b, int64(math.Float64bits(m.Value)))
	b = wire.AppendString(wire.AppendInt64(b, m.Timestamp), m.Name)
	b = wire.AppendInt32(b, int32(len(m.Labels)))
	for _, label := range m.Labels {
		b = wire.AppendString(b, label.Name)
	}
	b = wire.AppendInt32(b, int32(len(m.Labels)))
	for _, label := range m.Labels {
		b = wire.AppendString(b, label.Value)
	}
	return b
}

func (m *MetricSample) read(r *wire.Reader) {
	m.Value = math.Float64frombits(uint64(r.Int64()))
	m.Timestamp, m.Name = r.Int64(), r.String()
	names, values := r.Strings(), r.Strings()
	if len(names) != len(values) {
		r.Fail("%d label names and %d values", len(names), len(values))
		return
	}
	if len(names) > 0 {
		m.Labels = make([]MetricLabel, len(names))
	}
	for i := range m.Labels {
		m.Labels[i] = MetricLabel{names[i], values[i]}
	}
}
