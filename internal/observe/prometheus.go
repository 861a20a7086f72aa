package observe

import (
	"log/slog"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"advect.dev/internal/service"
)

// Handler serves the metrics to Prometheus, in its text format or in that of
// OpenMetrics, as the request asks.
func (r *Registry) Handler(log *slog.Logger) http.Handler {
	own := prometheus.NewRegistry()
	own.MustRegister(exporter{r})
	return promhttp.HandlerFor(prometheus.Gatherers{own, r.runtime.registry}, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		ErrorHandling:       promhttp.ContinueOnError,
		ErrorLog:            slog.NewLogLogger(log.Handler(), slog.LevelWarn),
		MaxRequestsInFlight: 4,
		Timeout:             30 * time.Second,
	})
}

// exporter reads a Registry for the Prometheus library.
type exporter struct{ *Registry }

// Describe implements [prometheus.Collector]: samples of collectors have labels
// that nobody knows before.
func (exporter) Describe(chan<- *prometheus.Desc) {}

// Collect implements [prometheus.Collector].
func (e exporter) Collect(to chan<- prometheus.Metric) {
	for i := range e.metrics {
		m := &e.metrics[i]
		kind := prometheus.UntypedValue
		switch m.Type {
		case service.Counter:
			kind = prometheus.CounterValue
		case service.Gauge, service.Info: // the text format has no INFO
			kind = prometheus.GaugeValue
		}
		for _, s := range m.Read(true) {
			names, values := make([]string, len(s.Labels)), make([]string, len(s.Labels))
			for i, l := range s.Labels {
				names[i], values[i] = l.Name, l.Value
			}
			desc := prometheus.NewDesc(m.sampleName(), m.Help, names, nil)
			sample, err := prometheus.NewConstMetric(desc, kind, s.Value, values...)
			if err != nil {
				sample = prometheus.NewInvalidMetric(desc, err)
			}
			to <- sample
		}
	}
}

// runtimeMetrics are those of the Go runtime and of the process, which come from
// the Prometheus library.
type runtimeMetrics struct{ registry *prometheus.Registry }

func newRuntimeMetrics() runtimeMetrics {
	r := prometheus.NewRegistry()
	r.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return runtimeMetrics{r}
}

// concerns reports whether a filter can select any of them.
func (runtimeMetrics) concerns(f *Filter) bool {
	if f.everything() || f.pattern != nil {
		return true
	}
	for _, name := range f.names {
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			return true
		}
	}
	return false
}

func (r runtimeMetrics) collections() service.MetricCollections {
	families, _ := r.registry.Gather() // what could not be read is left out
	all := make(service.MetricCollections, 0, len(families))
	for _, f := range families {
		all = append(all, collection(f))
	}
	return all
}

var metricTypes = map[dto.MetricType]service.MetricType{
	dto.MetricType_COUNTER: service.Counter, dto.MetricType_GAUGE: service.Gauge, dto.MetricType_SUMMARY: service.Summary,
	dto.MetricType_HISTOGRAM: service.Histogram, dto.MetricType_GAUGE_HISTOGRAM: service.GaugeHistogram,
}

// collection returns a metric of the Prometheus library as clients see it: as
// OpenMetrics writes it, one sample a line.
func collection(f *dto.MetricFamily) service.MetricCollection {
	c := service.MetricCollection{Name: f.GetName(), Unit: f.GetUnit(), Type: service.UnknownMetric}
	if t, known := metricTypes[f.GetType()]; known {
		c.Type = t
	}
	sample := f.GetName()
	if c.Type == service.Counter {
		c.Name = strings.TrimSuffix(c.Name, "_total")
		sample = c.Name + "_total"
	}
	for _, m := range f.GetMetric() {
		var labels []service.MetricLabel
		for _, l := range m.GetLabel() {
			labels = append(labels, service.MetricLabel{Name: l.GetName(), Value: l.GetValue()})
		}
		add := func(suffix string, value float64, more ...service.MetricLabel) {
			c.Samples = append(c.Samples, service.MetricSample{
				Value: value, Timestamp: service.NoTimestamp, Name: sample + suffix,
				Labels: append(labels[:len(labels):len(labels)], more...),
			})
		}
		switch c.Type {
		case service.Counter:
			add("", m.GetCounter().GetValue())
		case service.Gauge:
			add("", m.GetGauge().GetValue())
		case service.Summary:
			for _, q := range m.GetSummary().GetQuantile() {
				add("", q.GetValue(), service.MetricLabel{Name: "quantile", Value: number(q.GetQuantile())})
			}
			add("_sum", m.GetSummary().GetSampleSum())
			add("_count", float64(m.GetSummary().GetSampleCount()))
		case service.Histogram, service.GaugeHistogram:
			h := m.GetHistogram()
			for _, b := range h.GetBucket() {
				add("_bucket", float64(b.GetCumulativeCount()), service.MetricLabel{Name: "le", Value: number(b.GetUpperBound())})
			}
			add("_bucket", float64(h.GetSampleCount()), service.MetricLabel{Name: "le", Value: "+Inf"})
			add("_sum", h.GetSampleSum())
			add("_count", float64(h.GetSampleCount()))
		default:
			add("", m.GetUntyped().GetValue())
		}
	}
	return c
}

func number(v float64) string {
	if math.IsInf(v, 1) {
		return "+Inf"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}
