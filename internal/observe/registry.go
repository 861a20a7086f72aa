package observe

import (
	"fmt"
	"slices"
	"strings"

	"advect.dev/internal/selector/javaregexp"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A Metric is something that can be read at any time.
type Metric struct {
	Name   string // of the collection: that of a counter's samples without _total
	Type   service.MetricType
	Unit   string   // "": a plain number
	Labels []string // of its samples, for the documentation
	Help   string
	// Read returns the samples. With export set, those that are meant for
	// Prometheus. It is called from any goroutine and several at a time.
	Read func(export bool) []Sample
}

// A Sample is one value of a metric. No two samples of a metric have the same
// labels; names of labels are such as Prometheus takes, values are UTF-8.
type Sample struct {
	Value  float64
	Labels []service.MetricLabel
}

// Labels returns labels from names and values that take turns.
func Labels(pairs ...string) []service.MetricLabel {
	labels := make([]service.MetricLabel, 0, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		labels = append(labels, service.MetricLabel{Name: pairs[i], Value: strings.ToValidUTF8(pairs[i+1], "\uFFFD")})
	}
	return labels
}

// One returns the Read of a metric that has one sample.
func One(value func() float64, labels ...string) func(bool) []Sample {
	fixed := Labels(labels...)
	return func(bool) []Sample { return []Sample{{value(), fixed}} }
}

// sampleName is the name of the samples of a metric, as in OpenMetrics.
func (m *Metric) sampleName() string {
	if m.Type == service.Counter {
		return m.Name + "_total"
	}
	return m.Name
}

// A Registry has the metrics of a server, besides those of the Go runtime and of
// the process, which it adds. It does not change once it is in use.
type Registry struct {
	metrics []Metric
	runtime runtimeMetrics
}

// NewRegistry returns a registry of metrics with different names.
func NewRegistry(metrics []Metric) *Registry {
	return &Registry{metrics: metrics, runtime: newRuntimeMetrics()}
}

// Metrics returns what was registered, to be read only.
func (r *Registry) Metrics() []Metric { return r.metrics }

// A Filter selects metrics by name. The zero value selects all.
type Filter struct {
	names   []string
	pattern *javaregexp.Regexp
}

// NewFilter returns the filter of a request. The error is INVALID_DATA.
func NewFilter(names []string, pattern string) (f Filter, err error) {
	f.names = names
	if pattern != "" {
		if f.pattern, err = javaregexp.Compile(pattern); err != nil {
			return f, wire.Errorf(wire.CodeInvalidData, "regular expression of metrics: %v", err)
		}
	}
	return f, nil
}

// everything reports whether f selects all.
func (f *Filter) everything() bool { return len(f.names) == 0 && f.pattern == nil }

// matches reports whether f selects a collection or a sample by its name. A
// pattern has to match the whole of it.
func (f *Filter) matches(name string) bool {
	return f.everything() || slices.Contains(f.names, name) || f.pattern != nil && f.pattern.Match(name)
}

// err returns INVALID_DATA for a pattern that was given up because it took too
// long.
func (f *Filter) err() error {
	if f.pattern != nil && f.pattern.GivenUp() > 0 {
		return wire.Errorf(wire.CodeInvalidData, "regular expression of metrics: %v", javaregexp.ErrTooComplex)
	}
	return nil
}

// Collections reads the metrics that a filter selects: whole collections by their
// names, else such of their samples as have selected names. The error is
// INVALID_DATA, of a pattern that takes too long.
func (r *Registry) Collections(f Filter) (service.MetricCollections, error) {
	var all service.MetricCollections
	for i := range r.metrics {
		m := &r.metrics[i]
		if !f.matches(m.Name) && !f.matches(m.sampleName()) { // all of its samples have one name
			continue
		}
		if c := m.collection(); len(c.Samples) > 0 {
			all = append(all, c)
		}
	}
	if !r.runtime.concerns(&f) {
		return all, f.err()
	}
	for _, c := range r.runtime.collections() {
		if !f.matches(c.Name) {
			c.Samples = slices.DeleteFunc(c.Samples, func(s service.MetricSample) bool { return !f.matches(s.Name) })
		}
		if len(c.Samples) > 0 {
			all = append(all, c)
		}
	}
	return all, f.err()
}

func (m *Metric) collection() service.MetricCollection {
	samples := m.Read(false)
	c := service.MetricCollection{Name: m.Name, Unit: m.Unit, Type: m.Type, Samples: make([]service.MetricSample, len(samples))}
	for i, s := range samples {
		c.Samples[i] = service.MetricSample{Value: s.Value, Timestamp: service.NoTimestamp, Name: m.sampleName(), Labels: s.Labels}
	}
	return c
}

// Size returns about how many bytes collections take on the wire.
func Size(all service.MetricCollections) int {
	n := 0
	for i := range all {
		c := &all[i]
		n += len(c.Name) + len(c.Unit) + 8
		for j := range c.Samples {
			n += len(c.Samples[j].Name) + 16
			for _, l := range c.Samples[j].Labels {
				n += len(l.Name) + len(l.Value) + 4
			}
		}
	}
	return n
}

// String describes the metric in one line.
func (m *Metric) String() string { return fmt.Sprintf("%s (%v): %s", m.Name, m.Type, m.Help) }
