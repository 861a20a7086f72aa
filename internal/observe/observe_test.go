package observe

import (
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"advect.dev/internal/filter"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func testRegistry(c *Collectors) *Registry {
	metrics := []Metric{
		{Name: "a", Type: service.Gauge, Help: "A gauge.", Read: One(func() float64 { return 1.5 })},
		{Name: "b", Type: service.Counter, Unit: "bytes", Help: "A counter.", Read: func(bool) []Sample {
			return []Sample{{1, Labels("of", "x\"\\\n")}, {2, Labels("of", "\xff")}}
		}},
		{Name: "i", Type: service.Info, Help: "An info.", Read: One(func() float64 { return 1 }, "version", "v1")},
		{Name: "u", Type: service.UnknownMetric, Help: "Anything.", Read: One(func() float64 { return 3 })},
		{Name: "none", Type: service.Gauge, Help: "Without samples.", Read: func(bool) []Sample { return nil }},
	}
	if c != nil {
		metrics = append(metrics, c.Metrics()...)
	}
	return NewRegistry(metrics)
}

func TestCollections(t *testing.T) {
	r := testRegistry(nil)
	for _, tt := range []struct {
		names   []string
		pattern string
		want    []string // names of collections and how many samples
	}{
		{[]string{"a"}, "", []string{"a 1"}},
		{[]string{"b"}, "", []string{"b 2"}},
		{[]string{"b_total"}, "", []string{"b 2"}},
		{[]string{"u", "a", "zzz"}, "", []string{"a 1", "u 1"}},
		{[]string{"none"}, "", nil},
		{nil, "[ab]", []string{"a 1", "b 2"}},
		{nil, "b_.*", []string{"b 2"}},
		{nil, "go_gc_duration_seconds_(sum|count)", []string{"go_gc_duration_seconds 2"}},
		{[]string{"go_goroutines"}, "", []string{"go_goroutines 1"}},
		{nil, "o_goroutines", nil}, // a pattern has to match the whole
	} {
		f, err := NewFilter(tt.names, tt.pattern)
		if err != nil {
			t.Fatal(err)
		}
		all, err := r.Collections(f)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, c := range all {
			got = append(got, fmt.Sprintf("%s %d", c.Name, len(c.Samples)))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%q %q: %v, want %v", tt.names, tt.pattern, got, tt.want)
		}
	}
	f, _ := NewFilter(nil, "[ab]")
	all, _ := r.Collections(f)
	want := service.MetricCollections{
		{Name: "a", Type: service.Gauge, Samples: []service.MetricSample{{Value: 1.5, Timestamp: -1, Name: "a", Labels: []service.MetricLabel{}}}},
		{Name: "b", Unit: "bytes", Type: service.Counter, Samples: []service.MetricSample{
			{Value: 1, Timestamp: -1, Name: "b_total", Labels: []service.MetricLabel{{Name: "of", Value: "x\"\\\n"}}},
			{Value: 2, Timestamp: -1, Name: "b_total", Labels: []service.MetricLabel{{Name: "of", Value: "\uFFFD"}}},
		}},
	}
	if d := cmp.Diff(want, all); d != "" {
		t.Error(d)
	}
	for _, pattern := range []string{"(", "(?U)x"} {
		var e *wire.ServiceError
		if _, err := NewFilter(nil, pattern); !errors.As(err, &e) || e.Code != wire.CodeInvalidData {
			t.Errorf("%q: %v, want INVALID_DATA", pattern, err)
		}
	}
}

// scrape parses what the handler serves, by sample.
func scrape(t *testing.T, r *Registry, accept string) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
	q.Header.Set("Accept", accept)
	r.Handler(slog.New(slog.DiscardHandler)).ServeHTTP(w, q)
	if w.Code != http.StatusOK {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	if strings.Contains(accept, "openmetrics") {
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/openmetrics-text") || !strings.HasSuffix(w.Body.String(), "# EOF\n") {
			t.Errorf("%s is not OpenMetrics", w.Header().Get("Content-Type"))
		}
		return nil
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

func TestScrape(t *testing.T) {
	r := testRegistry(nil)
	families := scrape(t, r, "text/plain")
	for name, want := range map[string]dto.MetricType{
		"a": dto.MetricType_GAUGE, "b_total": dto.MetricType_COUNTER, "i": dto.MetricType_GAUGE, "u": dto.MetricType_UNTYPED,
		"go_goroutines": dto.MetricType_GAUGE, "go_gc_duration_seconds": dto.MetricType_SUMMARY,
	} {
		if f := families[name]; f == nil || f.GetType() != want {
			t.Errorf("%s: %v, want %v", name, f, want)
		}
	}
	if f := families["b_total"]; len(f.GetMetric()) != 2 || f.GetHelp() != "A counter." ||
		f.GetMetric()[0].GetLabel()[0].GetValue() != "x\"\\\n" || f.GetMetric()[1].GetCounter().GetValue() != 2 {
		t.Errorf("b_total: %v", f)
	}
	if f := families["i"]; f.GetMetric()[0].GetLabel()[0].GetValue() != "v1" {
		t.Errorf("i: %v", f)
	}
	scrape(t, r, "application/openmetrics-text; version=1.0.0")
}

// people is a population that a test changes.
type people struct {
	sessions []filter.Map
	topics   map[string]topic.Type
}

func (p *people) Sessions() iter.Seq[filter.Properties] {
	return func(yield func(filter.Properties) bool) {
		for _, s := range p.sessions {
			if !yield(s) {
				return
			}
		}
	}
}

func (p *people) Topics(sel *selector.Selector) iter.Seq2[string, topic.Type] {
	return func(yield func(string, topic.Type) bool) {
		for _, path := range slices.Sorted(maps.Keys(p.topics)) {
			if sel.Match(path) && !yield(path, p.topics[path]) {
				return
			}
		}
	}
}

// counts returns the samples of a metric as text, those for Prometheus or all.
func counts(r *Registry, metric string, export bool) string {
	var all []string
	for i := range r.metrics {
		if m := &r.metrics[i]; m.Name == metric {
			for _, s := range m.Read(export) {
				text := ""
				for _, l := range s.Labels {
					text += l.Name + "=" + l.Value + " "
				}
				all = append(all, fmt.Sprintf("%s%g", text, s.Value))
			}
		}
	}
	return strings.Join(all, "; ")
}

func TestSessionCollectors(t *testing.T) {
	user := func(name, tier string) filter.Map { return filter.Map{"$Principal": name, "Tier": tier} }
	p := &people{sessions: []filter.Map{user("a", "free"), user("b", "free"), user("c", "gold"), user("d", "silver")}}
	c := NewCollectors(p)
	r := testRegistry(c)
	put := func(name string, prometheus bool, limit int32, removes bool, f string, by ...string) {
		t.Helper()
		err := c.PutSessions(service.SessionMetricCollector{
			MetricCollector: service.MetricCollector{Name: name, Prometheus: prometheus, MaxGroups: limit},
			RemoveEmpty:     removes, Filter: f, GroupBy: by,
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("all", true, service.UnlimitedGroups, false, "all")
	put("tiers", false, 2, false, "all", "Tier")
	put("gone", false, 10, true, "not Tier is 'free'", "Tier", "$Principal", "Missing")
	check := func(export bool, want string) {
		t.Helper()
		if got := counts(r, sessionMetric, export); got != want {
			t.Errorf("export %v: got  %s\nwant %s", export, got, want)
		}
	}
	check(true, "collector=all 4")
	check(false, "collector=all 4; collector=tiers tier=free 2; collector=tiers tier=gold 1; "+
		"collector=gone tier=gold principal=c missing= 1; collector=gone tier=silver principal=d missing= 1")
	p.sessions = p.sessions[3:]
	check(false, "collector=all 1; collector=tiers tier=free 0; collector=tiers tier=gold 0; "+ // silver came third
		"collector=gone tier=silver principal=d missing= 1")
	p.sessions = nil
	put("all", true, 1, true, "all") // replaced, in its place
	check(false, "collector=tiers tier=free 0; collector=tiers tier=gold 0")
	put("new", true, 1, false, "all")
	check(true, "collector=new 0")
	if list := c.ListSessions(); len(list) != 4 || list[0].Name != "all" || list[0].MaxGroups != 1 || list[3].Name != "new" {
		t.Errorf("%+v", list)
	}
	c.RemoveSessions("tiers")
	c.RemoveSessions("tiers")
	check(false, "collector=new 0")
	var e *filter.Error
	if err := c.PutSessions(service.SessionMetricCollector{Filter: "x is"}); !errors.As(err, &e) {
		t.Errorf("bad filter: %v", err)
	}
	if f := scrape(t, r, "text/plain")[sessionMetric]; f == nil || f.GetMetric()[0].GetGauge().GetValue() != 0 {
		t.Errorf("scraped %v", f)
	}
}

func TestTopicCollectors(t *testing.T) {
	p := &people{topics: map[string]topic.Type{"a": topic.JSON, "a/b": topic.JSON, "a/b/c": topic.String, "a/b/d/e": topic.JSON, "x": topic.JSON}}
	c := NewCollectors(p)
	r := testRegistry(c)
	for _, d := range []service.TopicMetricCollector{
		{MetricCollector: service.MetricCollector{Name: "n", MaxGroups: 5, Prometheus: true}, Selector: "?a//"},
		{MetricCollector: service.MetricCollector{Name: "t", MaxGroups: 5}, Selector: "?.*//", GroupByType: true, GroupByView: true},
		{MetricCollector: service.MetricCollector{Name: "p", MaxGroups: 2}, Selector: "?.*//", GroupByPathParts: 2},
		{MetricCollector: service.MetricCollector{Name: "none", MaxGroups: 2}, Selector: ">zzz"},
	} {
		if err := c.PutTopics(d); err != nil {
			t.Fatal(err)
		}
	}
	want := "collector=n 4; collector=t topic_type=JSON topic_view= 4; collector=t topic_type=STRING topic_view= 1; " +
		"collector=p path_prefix=a 1; collector=p path_prefix=a/b 3; collector=none 0"
	if got := counts(r, topicMetric, false); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got := counts(r, topicMetric, true); got != "collector=n 4" {
		t.Errorf("exported %s", got)
	}
	for _, bad := range []service.TopicMetricCollector{{Selector: "?["}, {Selector: "a", GroupByPathParts: -1}} {
		if err := c.PutTopics(bad); err == nil {
			t.Errorf("%+v is taken", bad)
		}
	}
	c.RemoveTopics("t")
	if list := c.ListTopics(); len(list) != 3 || list[1].Name != "p" {
		t.Errorf("%+v", list)
	}
	for i := range MaxCollectors {
		_ = c.PutTopics(service.TopicMetricCollector{MetricCollector: service.MetricCollector{Name: fmt.Sprint(i)}, Selector: "a"})
	}
	if n := len(c.ListTopics()); n != MaxCollectors {
		t.Errorf("%d collectors", n)
	}
}

func TestLabelNames(t *testing.T) {
	keys := []string{"$Principal", "$ClientIP", "$MQTTClientId", "a-b", "a_b", "Ωx", "$", "9", "_9", "collector"}
	want := []string{"principal", "client_ip", "mqttclient_id", "a_b", "a_b_2", "x", "property", "property_2", "property9", "collector_2"}
	if got := labelNames(keys); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestLog(t *testing.T) {
	l := NewLog(3)
	log := slog.New(l.Handler(slog.NewTextHandler(new(strings.Builder), nil))).With("part", "x")
	if got := l.Fetch(service.LogRequest{Count: 10}, 1000); got.Count != 0 || got.Text != nil {
		t.Errorf("an empty log: %+v", got)
	}
	log.Debug("below the level")
	for i := range 5 {
		log.WithGroup("g").Warn("line\nbreak", "n", i)
	}
	for _, tt := range []struct {
		first, count int64
		max          int
		wantFirst    int64
		want         []string // g.n of the lines
	}{
		{0, 10, 1000, 2, []string{"2", "3", "4"}},
		{3, 1, 1000, 3, []string{"3"}},
		{4, 10, 1000, 4, []string{"4"}},
		{9, 10, 1000, 5, nil},
		{-7, 1 << 62, 1, 2, []string{"2"}},
		{2, -1, 1000, 2, nil},
	} {
		got := l.Fetch(service.LogRequest{First: tt.first, Count: tt.count}, tt.max)
		lines := strings.Split(strings.TrimSuffix(string(got.Text), "\n"), "\n")
		if len(got.Text) == 0 {
			lines = nil
		}
		ok := len(lines) == len(tt.want) && got.Count == int64(len(tt.want)) && got.First == tt.wantFirst &&
			got.Available == 5 && got.FirstLine == got.First+1 && got.File != 0
		for i := range tt.want {
			ok = ok && strings.Contains(lines[i], `msg="line\nbreak" part=x g.n=`+tt.want[i])
		}
		if !ok {
			t.Errorf("%+v: got %+v %q", tt, got, got.Text)
		}
	}
	if n := l.Entries(slog.LevelWarn); n != 5 {
		t.Errorf("%d warnings", n)
	}
	log.Error(strings.Repeat("é", maxLine))
	if got := l.Fetch(service.LogRequest{First: 5, Count: 1}, 1<<20); len(got.Text) > maxLine || !strings.HasSuffix(string(got.Text), "...\n") {
		t.Errorf("a long line takes %d bytes", len(got.Text))
	}
	none := NewLog(0)
	slog.New(none.Handler(slog.NewTextHandler(new(strings.Builder), nil))).Error("x")
	if d := cmp.Diff(none.Fetch(service.LogRequest{Count: 5}, 10), service.LogEntries{}); d != "" || none.Entries(slog.LevelError) != 1 {
		t.Error("a log that keeps nothing:", d)
	}
}
