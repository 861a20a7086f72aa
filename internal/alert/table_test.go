package alert

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world has one metric and remembers what is published.
type world struct {
	sync.Mutex
	values    map[string]float64 // by dimension "of"
	reads     int
	published []string
	refuse    error
	log       bytes.Buffer
}

func (w *world) table() *Table {
	return NewTable(Config{
		Server: "here", Log: slog.New(slog.NewTextHandler(&w.log, nil)),
		Collections: func(name string) service.MetricCollections {
			w.Lock()
			defer w.Unlock()
			w.reads++
			c := service.MetricCollection{Name: name, Type: service.Gauge}
			for _, of := range []string{"a", "b"} {
				if v, ok := w.values[of]; ok {
					c.Samples = append(c.Samples, service.MetricSample{
						Value: v, Timestamp: service.NoTimestamp, Name: name, Labels: []service.MetricLabel{{Name: "of", Value: of}},
					})
				}
			}
			return service.MetricCollections{c}
		},
		Publish: func(a *service.MetricAlert, _ *Specification, path string, value []byte) error {
			w.Lock()
			defer w.Unlock()
			if w.refuse != nil {
				return w.refuse
			}
			v, _ := datatype.JSONFromBytes(value).Get("/value")
			w.published = append(w.published, fmt.Sprintf("%s %s=%s", a.Name, path, v))
			return nil
		},
	})
}

func (w *world) set(t *testing.T, table *Table, name, specification string) {
	t.Helper()
	a := service.MetricAlert{MetricAlertRequest: service.MetricAlertRequest{Name: name, Specification: specification}, Principal: "p", Roles: []string{"R"}}
	if err := table.Set(a); err != nil {
		t.Fatal(err)
	}
}

// change sets the values of the metric.
func (w *world) change(values map[string]float64, refuse error) {
	w.Lock()
	defer w.Unlock()
	w.values, w.refuse = values, refuse
}

// next lets a second pass and returns what was published in it.
func (w *world) next() string {
	time.Sleep(interval)
	synctest.Wait()
	w.Lock()
	defer w.Unlock()
	defer func() { w.published = nil }()
	return strings.Join(w.published, "; ")
}

func TestEvaluation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{values: map[string]float64{"a": 10, "b": 1}}
		table := w.table()
		defer table.Close()
		if w.next(); w.reads != 0 {
			t.Error("metrics are read although there is no alert")
		}
		w.set(t, table, "high", "select m into topic t/<dimensions/of> where value > 5")
		w.set(t, table, "once", "select m into topic o/<dimensions/of> where value > 5 disable until value < 3")
		w.set(t, table, "elsewhere", "select m from server there into topic x")
		time.Sleep(interval / 2) // between two evaluations
		for i, step := range []struct {
			a, b float64
			want string
		}{
			{10, 1, "high t/a=10; once o/a=10"},
			{11, 6, "high t/a=11; high t/b=6; once o/b=6"},
			{4, 6, "high t/b=6"},
			{9, 2, "high t/a=9"},             // a was never below 3
			{2, 7, "high t/b=7; once o/b=7"}, // b was
			{8, 7.5, "high t/a=8; high t/b=7.5; once o/a=8"},
			{math.NaN(), math.Inf(1), ""}, // neither is a number in JSON
		} {
			w.change(map[string]float64{"a": step.a, "b": step.b}, nil)
			if got := w.next(); got != step.want {
				t.Errorf("step %d: published %q, want %q", i, got, step.want)
			}
		}
		table.Remove("high")
		table.Remove("once")
		table.Remove("none")
		w.set(t, table, "elsewhere", "select m into topic x") // replaced
		w.change(map[string]float64{"a": 1}, nil)
		if got, list := w.next(), table.List(); got != "elsewhere x=1" || len(list) != 1 || list[0].Principal != "p" {
			t.Errorf("published %q, alerts %v", got, list)
		}
		table.Remove("elsewhere")
		reads := w.reads
		if w.next(); w.reads != reads {
			t.Error("metrics are read after the last alert was removed")
		}
		w.set(t, table, "again", "select m into topic y")
		if got := w.next(); got != "again y=1" {
			t.Errorf("published %q after a pause", got)
		}
	})
}

// TestRefusal checks that what cannot be published is logged once, tried again,
// and does not disable the alert.
func TestRefusal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{values: map[string]float64{"a": 1}, refuse: errors.New("not yours")}
		table := w.table()
		defer table.Close()
		w.set(t, table, "x", "select m into topic t disable until value > 1")
		time.Sleep(interval / 2)
		for range 3 {
			w.next()
		}
		if n := strings.Count(w.log.String(), "not yours"); n != 1 {
			t.Errorf("logged %d times:\n%s", n, &w.log)
		}
		w.change(w.values, nil)
		if got := w.next(); got != "x t=1" {
			t.Errorf("published %q", got)
		}
	})
}

func TestBounds(t *testing.T) {
	table := (&world{}).table()
	defer table.Close()
	for i := range MaxAlerts + 1 {
		err := table.Set(service.MetricAlert{MetricAlertRequest: service.MetricAlertRequest{
			Name: fmt.Sprint(i), Specification: "select m into topic t"}})
		if (err != nil) != (i == MaxAlerts) {
			t.Fatalf("alert %d: %v", i, err)
		}
	}
}

func TestDocument(t *testing.T) {
	value, err := sample(2.5, "a", "b").Encode()
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"metric_name":"m","alert_name":"load","server":"here","timestamp":null,"unit":"bytes","dimensions":{"a":"b"},` +
		`"alert_type":"sample_matches","metric_type":"GAUGE","value":2.5}`
	if got := datatype.JSONFromBytes(value).String(); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
