package alert

import (
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"advect.dev/internal/service"
)

const (
	// MaxAlerts bounds the alerts of a table.
	MaxAlerts = 1000
	// interval is the time between evaluations.
	interval = time.Second
)

// Config is what a table needs to know of its surroundings. All fields are
// required. The functions are called by one goroutine at a time.
type Config struct {
	Server string // name of this server
	// Collections reads a metric, or samples, by name.
	Collections func(name string) service.MetricCollections
	// Publish gives the topic at a path a value, with the rights of the alert's
	// creator. It creates the topic, but never changes one that no alert has created.
	Publish func(a *service.MetricAlert, s *Specification, path string, value []byte) error
	Log     *slog.Logger
}

// A Table has the metric alerts of a server, in memory. Its methods may be called
// concurrently.
type Table struct {
	config  Config
	rounds  sync.Mutex     // one evaluation at a time; before mu
	running sync.WaitGroup // goroutines

	mu     sync.Mutex
	closed bool
	alerts []*alert      // in the order in which they were first set
	stop   chan struct{} // ends the goroutine; nil while there are no alerts
}

// An alert is a specification that is set.
type alert struct {
	service.MetricAlert
	*Specification

	silent map[string]bool // series that are to be enabled; guarded by Table.rounds
	failed string          // why it could not publish, the last time; guarded by Table.rounds
}

// NewTable returns a table without alerts, which runs nothing.
func NewTable(c Config) *Table { return &Table{config: c} }

// Set sets an alert or replaces the one of the same name, which keeps its place in
// the list. The error may be an [*Error].
func (t *Table) Set(a service.MetricAlert) error {
	spec, err := Parse(a.Specification)
	if err != nil {
		return err
	}
	one := &alert{MetricAlert: a, Specification: spec}
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.find(a.Name); at >= 0 {
		t.alerts[at] = one
		return nil
	}
	if len(t.alerts) >= MaxAlerts {
		return fmt.Errorf("there are %d metric alerts: remove some before you set %q", MaxAlerts, a.Name)
	}
	if t.closed {
		return nil
	}
	t.alerts = append(t.alerts, one)
	if t.stop == nil {
		t.stop = make(chan struct{})
		stop := t.stop
		t.running.Go(func() { t.run(stop) })
	}
	return nil
}

func (t *Table) find(name string) int {
	return slices.IndexFunc(t.alerts, func(a *alert) bool { return a.Name == name })
}

// Remove removes an alert, if there is one of the name. The topics that it has
// made stay.
func (t *Table) Remove(name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if at := t.find(name); at >= 0 {
		t.alerts = slices.Delete(t.alerts, at, at+1)
		t.halt()
	}
}

// halt ends the goroutine if there are no alerts. mu is held.
func (t *Table) halt() {
	if len(t.alerts) == 0 && t.stop != nil {
		close(t.stop)
		t.stop = nil
	}
}

// List returns the alerts.
func (t *Table) List() service.MetricAlerts {
	list := make(service.MetricAlerts, 0)
	for _, a := range t.current() {
		list = append(list, a.MetricAlert)
	}
	return list
}

func (t *Table) current() []*alert {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.alerts)
}

// Close removes all alerts, for good, and waits until nothing runs.
func (t *Table) Close() {
	t.mu.Lock()
	t.closed, t.alerts = true, nil
	t.halt()
	t.mu.Unlock()
	t.running.Wait()
}

// run evaluates until stop is closed.
func (t *Table) run(stop chan struct{}) {
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
			t.round()
		}
	}
}

// round evaluates every alert.
func (t *Table) round() {
	t.rounds.Lock()
	defer t.rounds.Unlock()
	read := make(map[string]service.MetricCollections)
	for _, a := range t.current() {
		if a.Server != "" && a.Server != t.config.Server {
			continue
		}
		collections, known := read[a.Metric]
		if !known {
			collections = t.config.Collections(a.Metric)
			read[a.Metric] = collections
		}
		t.evaluate(a, collections)
	}
}

// evaluate applies an alert to each sample. One that is disabled is so for the
// series, a metric and its dimensions, that has triggered it.
func (t *Table) evaluate(a *alert, collections service.MetricCollections) {
	silent, failed := make(map[string]bool), ""
	for i := range collections {
		c := &collections[i]
		for j := range c.Samples {
			sample := &c.Samples[j]
			d := newDocument(a.Name, a.Metric, t.config.Server, c, sample)
			key := series(sample)
			if a.silent[key] && !a.Enables(d) {
				silent[key] = true
				continue
			}
			if !a.Matches(d) {
				continue
			}
			if err := t.publish(a, d); err != nil {
				failed = err.Error()
			} else if a.Disables() {
				silent[key] = true
			}
		}
	}
	if failed != "" && failed != a.failed { // once, not every second
		t.config.Log.Warn("metric alert not published", "alert", a.Name, "error", failed)
	}
	a.silent, a.failed = silent, failed
}

func (t *Table) publish(a *alert, d *Document) error {
	path, ok := a.Path(d)
	if !ok {
		return fmt.Errorf("the sample has nothing to insert in the path")
	}
	value, err := d.Encode()
	if err != nil {
		return err
	}
	return t.config.Publish(&a.MetricAlert, a.Specification, path, value)
}

// series tells the samples of a metric apart.
func series(s *service.MetricSample) string {
	var b strings.Builder
	for _, part := range append([]service.MetricLabel{{Name: s.Name}}, s.Labels...) {
		b.WriteString(strconv.Quote(part.Name))
		b.WriteString(strconv.Quote(part.Value))
	}
	return b.String()
}
