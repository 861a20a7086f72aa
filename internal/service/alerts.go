package service

import "advect.dev/internal/wire"

// Metric alerts (34 section 3).
var (
	SetMetricAlert    = declare[MetricAlertRequest, Errors](187, "SET_METRIC_ALERT")
	ListMetricAlerts  = declare[Empty, MetricAlerts](188, "LIST_METRIC_ALERTS")
	RemoveMetricAlert = declare[Text, Empty](191, "REMOVE_METRIC_ALERT")
)

// A MetricAlertRequest sets an alert or replaces the one of the same name.
type MetricAlertRequest struct {
	Name          string
	Specification string
}

func (m *MetricAlertRequest) append(b []byte) []byte {
	return wire.AppendString(wire.AppendString(b, m.Name), m.Specification)
}

func (m *MetricAlertRequest) read(r *wire.Reader) { m.Name, m.Specification = r.String(), r.String() }

// A MetricAlert is an alert that is set.
type MetricAlert struct {
	MetricAlertRequest
	Principal string   // of the session that set it
	Roles     []string // of the session that set it
}

// minMetricAlert is the fewest bytes that a MetricAlert takes.
const minMetricAlert = 4

func (m *MetricAlert) append(b []byte) []byte {
	return wire.AppendStrings(wire.AppendString(m.MetricAlertRequest.append(b), m.Principal), m.Roles)
}

func (m *MetricAlert) read(r *wire.Reader) {
	m.MetricAlertRequest.read(r)
	m.Principal, m.Roles = r.String(), r.Strings()
}

// MetricAlerts lists alerts in the order in which they were set.
type MetricAlerts []MetricAlert

func (m *MetricAlerts) append(b []byte) []byte { return appendList(b, *m) }
func (m *MetricAlerts) read(r *wire.Reader)    { *m = readList[MetricAlert](r, minMetricAlert) }
