package observe

import (
	"fmt"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"

	"advect.dev/internal/filter"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

const (
	// MaxCollectors bounds the collectors of each kind.
	MaxCollectors = 100
	// MaxGroups bounds the groups of one collector, whatever it says itself.
	MaxGroups = 10_000
	// maxGroupBy bounds the properties by which a collector groups.
	maxGroupBy = 32
)

// A Population is what collectors count.
type Population interface {
	// Sessions yields every session, oldest first.
	Sessions() iter.Seq[filter.Properties]
	// Topics yields the topics that a selector matches, in path order.
	Topics(*selector.Selector) iter.Seq2[string, topic.Type]
}

// Collectors are the metric collectors of a server. They are kept in memory.
// Nothing is counted before somebody reads the metrics. The methods may be called
// concurrently.
type Collectors struct {
	population Population

	mu       sync.Mutex
	sessions []*sessionCollector // in the order in which they were first put
	topics   []*topicCollector
}

// NewCollectors returns no collectors, of a population.
func NewCollectors(p Population) *Collectors { return &Collectors{population: p} }

// Names of the metrics of collectors.
const (
	sessionMetric = "advect_session_collector_sessions"
	topicMetric   = "advect_topic_collector_topics"
)

// Metrics returns the metrics of all collectors.
func (c *Collectors) Metrics() []Metric {
	return []Metric{
		{
			Name: sessionMetric, Type: service.Gauge, Labels: []string{"collector", "those it groups by"},
			Help: "Sessions that a session metric collector counts, by group.",
			Read: func(export bool) []Sample { return readAll(c, &c.sessions, export) },
		},
		{
			Name: topicMetric, Type: service.Gauge, Labels: []string{"collector", "topic_type", "topic_view", "path_prefix"},
			Help: "Topics that a topic metric collector counts, by group.",
			Read: func(export bool) []Sample { return readAll(c, &c.topics, export) },
		},
		{
			Name: "advect_metric_collectors", Type: service.Gauge, Labels: []string{"kind"},
			Help: "Metric collectors that are defined.",
			Read: func(bool) []Sample {
				c.mu.Lock()
				defer c.mu.Unlock()
				return []Sample{
					{float64(len(c.sessions)), Labels("kind", "session")},
					{float64(len(c.topics)), Labels("kind", "topic")},
				}
			},
		},
	}
}

// A collector is either kind.
type collector interface {
	head() *service.MetricCollector
	read(Population) []Sample
}

// readAll reads collectors, those that are not for Prometheus only when it is not
// Prometheus that asks.
func readAll[C collector](c *Collectors, list *[]C, export bool) (all []Sample) {
	c.mu.Lock()
	current := slices.Clone(*list)
	c.mu.Unlock()
	for _, one := range current {
		if !export || one.head().Prometheus {
			all = append(all, one.read(c.population)...)
		}
	}
	return all
}

// put adds a collector, or replaces the one of its name.
func put[C collector](list *[]C, one C) error {
	name := one.head().Name
	if at := find(*list, name); at >= 0 {
		(*list)[at] = one
		return nil
	}
	if len(*list) >= MaxCollectors {
		return fmt.Errorf("there are %d collectors of this kind: remove some before you add %q", MaxCollectors, name)
	}
	*list = append(*list, one)
	return nil
}

func find[C collector](list []C, name string) int {
	return slices.IndexFunc(list, func(one C) bool { return one.head().Name == name })
}

func remove[C collector](list *[]C, name string) {
	if at := find(*list, name); at >= 0 {
		*list = slices.Delete(*list, at, at+1)
	}
}

// PutSessions adds a session metric collector or replaces the one of its name. The
// error may be a [*filter.Error].
func (c *Collectors) PutSessions(d service.SessionMetricCollector) error {
	f, err := filter.Parse(d.Filter)
	if err != nil {
		return err
	}
	if len(d.GroupBy) > maxGroupBy {
		return fmt.Errorf("collector %q groups by %d properties: at most %d", d.Name, len(d.GroupBy), maxGroupBy)
	}
	one := &sessionCollector{definition: d, filter: f, labels: labelNames(d.GroupBy)}
	c.mu.Lock()
	defer c.mu.Unlock()
	return put(&c.sessions, one)
}

// RemoveSessions removes a session metric collector, if there is one of the name.
func (c *Collectors) RemoveSessions(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	remove(&c.sessions, name)
}

// ListSessions returns the session metric collectors.
func (c *Collectors) ListSessions() service.SessionMetricCollectors {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make(service.SessionMetricCollectors, len(c.sessions))
	for i, one := range c.sessions {
		list[i] = one.definition
	}
	return list
}

// PutTopics adds a topic metric collector or replaces the one of its name.
func (c *Collectors) PutTopics(d service.TopicMetricCollector) error {
	sel, err := selector.Parse(d.Selector)
	if err != nil {
		return err
	}
	if d.GroupByPathParts < 0 {
		return fmt.Errorf("collector %q groups by %d parts of the path: 0 is not at all", d.Name, d.GroupByPathParts)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return put(&c.topics, &topicCollector{definition: d, selector: sel})
}

// RemoveTopics removes a topic metric collector, if there is one of the name.
func (c *Collectors) RemoveTopics(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	remove(&c.topics, name)
}

// ListTopics returns the topic metric collectors.
func (c *Collectors) ListTopics() service.TopicMetricCollectors {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := make(service.TopicMetricCollectors, len(c.topics))
	for i, one := range c.topics {
		list[i] = one.definition
	}
	return list
}

// groups counts by the values of labels. Only so many groups are recorded, those
// that were seen first.
type groups struct {
	limit  int
	byKey  map[string]*group
	sorted []*group // in the order in which they were first seen
}

type group struct {
	values []string
	n      int
}

func (g *groups) bound(d *service.MetricCollector) {
	g.limit = min(max(int(d.MaxGroups), 0), MaxGroups)
}

// add counts one in the group of values, which it keeps.
func (g *groups) add(values []string) {
	var key strings.Builder
	for i, v := range values {
		values[i] = strings.ToValidUTF8(v, "\uFFFD")
		key.WriteString(strconv.Itoa(len(values[i])))
		key.WriteByte(':')
		key.WriteString(values[i])
	}
	one := g.byKey[key.String()]
	if one == nil {
		if len(g.sorted) >= g.limit {
			return
		}
		if g.byKey == nil {
			g.byKey = make(map[string]*group)
		}
		one = &group{values: values}
		g.byKey[key.String()] = one
		g.sorted = append(g.sorted, one)
	}
	one.n++
}

// reset makes all counts 0, and forgets the groups unless they are kept.
func (g *groups) reset(keep bool) {
	if !keep {
		g.byKey, g.sorted = nil, nil
	}
	for _, one := range g.sorted {
		one.n = 0
	}
}

func (g *groups) samples(collector string, labels []string) []Sample {
	samples := make([]Sample, len(g.sorted))
	for i, one := range g.sorted {
		pairs := append(make([]string, 0, 2+2*len(labels)), "collector", collector)
		for j, label := range labels {
			pairs = append(pairs, label, one.values[j])
		}
		samples[i] = Sample{float64(one.n), Labels(pairs...)}
	}
	return samples
}

type sessionCollector struct {
	definition service.SessionMetricCollector
	filter     *filter.Filter
	labels     []string // for each of GroupBy

	mu     sync.Mutex // one reader at a time
	groups groups     // guarded by mu
}

func (c *sessionCollector) head() *service.MetricCollector { return &c.definition.MetricCollector }

// read counts the sessions. A group that has lost its last session stays, with 0,
// unless such are to be removed; without grouping there is one group.
func (c *sessionCollector) read(p Population) []Sample {
	c.mu.Lock()
	defer c.mu.Unlock()
	d := &c.definition
	c.groups.bound(&d.MetricCollector)
	c.groups.reset(!d.RemoveEmpty)
	if len(d.GroupBy) == 0 && !d.RemoveEmpty && len(c.groups.sorted) == 0 {
		c.groups.add(nil)
		c.groups.reset(true)
	}
	for s := range p.Sessions() {
		if !c.filter.Match(s) {
			continue
		}
		values := make([]string, len(d.GroupBy))
		for i, key := range d.GroupBy {
			values[i], _ = s.Property(key)
		}
		c.groups.add(values)
	}
	return c.groups.samples(d.Name, c.labels)
}

// labelNames makes different names of labels, as Prometheus takes them, from keys
// of session properties: $Principal becomes principal.
func labelNames(keys []string) []string {
	used := map[string]bool{"collector": true}
	names := make([]string, len(keys))
	for i, key := range keys {
		var b strings.Builder
		upper := true // the character before
		for _, r := range strings.TrimPrefix(key, "$") {
			switch {
			case r >= 'A' && r <= 'Z':
				if !upper && b.Len() > 0 {
					b.WriteByte('_')
				}
				b.WriteRune(unicode.ToLower(r))
			case r >= 'a' && r <= 'z', r >= '0' && r <= '9' && b.Len() > 0:
				b.WriteRune(r)
			default:
				b.WriteByte('_')
			}
			upper = r >= 'A' && r <= 'Z'
		}
		name := strings.TrimLeft(b.String(), "_")
		if name == "" || name[0] <= '9' {
			name = "property" + name
		}
		for n, base := 2, name; used[name]; n++ {
			name = base + "_" + strconv.Itoa(n)
		}
		used[name], names[i] = true, name
	}
	return names
}

type topicCollector struct {
	definition service.TopicMetricCollector
	selector   *selector.Selector
}

func (c *topicCollector) head() *service.MetricCollector { return &c.definition.MetricCollector }

func (c *topicCollector) read(p Population) []Sample {
	d := &c.definition
	var labels []string
	if d.GroupByType {
		labels = append(labels, "topic_type")
	}
	if d.GroupByView {
		labels = append(labels, "topic_view")
	}
	if d.GroupByPathParts > 0 {
		labels = append(labels, "path_prefix")
	}
	var g groups
	g.bound(&d.MetricCollector)
	if len(labels) == 0 {
		g.add(nil)
		g.reset(true)
	}
	for path, kind := range p.Topics(c.selector) {
		values := make([]string, 0, len(labels))
		if d.GroupByType {
			values = append(values, kind.String())
		}
		if d.GroupByView {
			values = append(values, "") // no topic is made by a view
		}
		if d.GroupByPathParts > 0 {
			values = append(values, leading(path, d.GroupByPathParts))
		}
		g.add(values)
	}
	return g.samples(d.Name, labels)
}

// leading returns the first parts of a path.
func leading(path string, parts int32) string {
	end := 0
	for parts = min(parts, math.MaxInt16); parts > 0; parts-- {
		i := strings.IndexByte(path[end:], '/')
		if i < 0 {
			return path
		}
		end += i + 1
	}
	return path[:end-1]
}
