package engine

import (
	"iter"
	"log/slog"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"advect.dev/internal/filter"
	"advect.dev/internal/observe"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/tally"
	"advect.dev/internal/topic"
	"advect.dev/internal/tree"
)

// Metrics returns the registry of the server's metrics.
func (e *Engine) Metrics() *observe.Registry { return e.registry }

// metrics declares what docs/metrics.md lists.
func (e *Engine) metrics() []observe.Metric {
	return slices.Concat(e.serverMetrics(), e.sessionMetrics(), e.trafficMetrics(), e.topicMetrics(), e.governor.metrics(), e.collectors.Metrics())
}

func count(c interface{ Load() int64 }) func() float64 {
	return func() float64 { return float64(c.Load()) }
}

// constant returns the Read of a metric of type INFO: what it says is in its labels.
func constant(labels ...string) func(bool) []observe.Sample {
	return observe.One(func() float64 { return 1 }, labels...)
}

// labelledBy returns the Read of counts in an array by the values of a label.
func labelledBy[N interface{ Load() int64 }](label string, names []string, at func(i int) N) func(bool) []observe.Sample {
	return func(bool) []observe.Sample {
		samples := make([]observe.Sample, len(names))
		for i, name := range names {
			samples[i] = observe.Sample{Value: float64(at(i).Load()), Labels: observe.Labels(label, name)}
		}
		return samples
	}
}

// serverMetrics have the names that applications of the platform know
// (server-behaviour section 7), and load.
func (e *Engine) serverMetrics() []observe.Metric {
	start := e.started
	millis := func() float64 { return float64(time.Since(start).Milliseconds()) }
	zone, _ := start.Zone()
	const none = "" // there is no licence; who runs the server, and where, is nobody's business
	memory := func(read func(memoryClasses) uint64) func() float64 {
		return func() float64 { return float64(read(readMemory())) }
	}
	all := []observe.Metric{
		{Name: "diffusion_license", Type: service.Info, Labels: []string{"value"}, Help: "The licence: none is needed.", Read: constant("value", "Apache-2.0")},
		{Name: "diffusion_release", Type: service.Info, Labels: []string{"product", "version"}, Help: "What runs.", Read: constant("product", "Advect", "version", version())},
		{Name: "diffusion_server_license_expiry_date", Type: service.Info, Labels: []string{"value"}, Help: "Empty: the licence does not expire.", Read: constant("value", none)},
		{Name: "diffusion_server_start_date", Type: service.Info, Labels: []string{"value"}, Help: "When the server started.", Read: constant("value", start.UTC().Format(time.RFC3339))},
		{Name: "diffusion_server_time_zone", Type: service.Info, Labels: []string{"value"}, Help: "Time zone of the server.", Read: constant("value", zone)},
		{Name: "diffusion_server_user_directory", Type: service.Info, Labels: []string{"value"}, Help: "Empty: not told.", Read: constant("value", none)},
		{Name: "diffusion_server_user_name", Type: service.Info, Labels: []string{"value"}, Help: "Empty: not told.", Read: constant("value", none)},
		{Name: "diffusion_server_uptime", Type: service.Info, Help: "Milliseconds since the server started, as the value: a label would begin another series with each reading.", Read: observe.One(millis)},
		{Name: "diffusion_server_session_locks", Type: service.Info, Help: "Session locks that are held, as the value.", Read: observe.One(func() float64 { return float64(len(e.locks.Holdings())) })},
		{Name: "diffusion_server_start_date_millis", Type: service.Gauge, Unit: "millis", Help: "When the server started, since 1970.", Read: observe.One(func() float64 { return float64(start.UnixMilli()) })},
		{Name: "diffusion_server_uptime_millis", Type: service.Gauge, Unit: "millis", Help: "Time since the server started.", Read: observe.One(millis)},
		{Name: "diffusion_server_free_memory_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory that the server has and does not use.", Read: observe.One(memory(memoryClasses.free))},
		{Name: "diffusion_server_total_memory_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory that the server has from the system.", Read: observe.One(memory(memoryClasses.total))},
		{Name: "diffusion_server_max_memory_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory that the server may have (GOMEMLIMIT).", Read: observe.One(memory(memoryClasses.limit))},
		{Name: "diffusion_server_used_physical_memory_size_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory of the machine that is in use; 0 where it is unknown.", Read: observe.One(func() float64 { return usedOf("MemTotal", "MemAvailable") })},
		{Name: "diffusion_server_used_swap_space_size_bytes", Type: service.Gauge, Unit: "bytes", Help: "Swap space of the machine that is in use; 0 where it is unknown.", Read: observe.One(func() float64 { return usedOf("SwapTotal", "SwapFree") })},
		{Name: "diffusion_multiplexer_manager_number_of_multiplexers", Type: service.Gauge, Help: "Processors that the server may use: it has no multiplexers.", Read: observe.One(func() float64 { return float64(runtime.GOMAXPROCS(0)) })},
		{Name: "os_system_load_average", Type: service.Gauge, Help: "Load average of the machine over a minute; 0 where it is unknown.", Read: observe.One(loadAverage)},
		{Name: "advect_metric_alerts", Type: service.Gauge, Help: "Metric alerts that are set.", Read: observe.One(func() float64 { return float64(len(e.alerts.List())) })},
	}
	if log := e.cfg.Entries; log != nil {
		all = append(all, observe.Metric{
			Name: "advect_log_entries", Type: service.Counter, Labels: []string{"level"}, Help: "Lines logged.",
			Read: func(bool) (samples []observe.Sample) {
				for _, level := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
					samples = append(samples, observe.Sample{
						Value: float64(log.Entries(level)), Labels: observe.Labels("level", strings.ToLower(level.String())),
					})
				}
				return samples
			},
		})
	}
	return all
}

func (e *Engine) sessionMetrics() []observe.Metric {
	s := &e.stats
	var reasons []string
	var reasonIDs []CloseReason
	for id := range CloseReason(len(s.closed)) {
		if name := id.String(); name != "" {
			reasons, reasonIDs = append(reasons, name), append(reasonIDs, id)
		}
	}
	return []observe.Metric{
		{Name: "diffusion_sessions_open", Type: service.Gauge, Help: "Sessions, connected or not.", Read: observe.One(func() float64 {
			n := int64(0)
			for i := range s.sessions {
				n += s.sessions[i][0].Load() + s.sessions[i][1].Load()
			}
			return float64(n)
		})},
		{Name: "diffusion_connector_total_number_of_connections", Type: service.Counter, Labels: []string{"connector"}, Help: "Connections that became or continued a session.",
			Read: func(bool) []observe.Sample { return s.connectors.samples("connector") }},
		{Name: "advect_sessions", Type: service.Gauge, Labels: []string{"transport", "state"}, Help: "Sessions by their latest transport, connected or waiting for a reconnection.",
			Read: func(bool) (samples []observe.Sample) {
				for i, transport := range transports {
					for j, state := range []string{"connected", "disconnected"} {
						samples = append(samples, observe.Sample{Value: float64(s.sessions[i][j].Load()), Labels: observe.Labels("transport", transport, "state", state)})
					}
				}
				return samples
			}},
		{Name: "advect_sessions_opened", Type: service.Counter, Labels: []string{"transport"}, Help: "Sessions opened, by their first transport.",
			Read: labelledBy("transport", transports[:], func(i int) *atomic.Int64 { return &s.opened[i] })},
		{Name: "advect_sessions_closed", Type: service.Counter, Labels: []string{"reason"}, Help: "Sessions closed.",
			Read: labelledBy("reason", reasons, func(i int) *atomic.Int64 { return &s.closed[reasonIDs[i]] })},
		{Name: "advect_connections_rejected", Type: service.Counter, Labels: []string{"code"}, Help: "Connections rejected, by the code of the response.",
			Read: func(bool) []observe.Sample { return s.rejections.samples("code") }},
		{Name: "advect_authentications", Type: service.Counter, Labels: []string{"outcome"}, Help: "Authentications of new and of open sessions: accepted, rejected, or failed because an authenticator had no answer.",
			Read: labelledBy("outcome", loginNames[:], func(i int) *atomic.Int64 { return &s.logins[i] })},
		{Name: "advect_reconnections", Type: service.Counter, Labels: []string{"outcome"}, Help: "Reconnections without loss of messages, with it, or refused because the session is gone.",
			Read: labelledBy("outcome", recoveryNames[:], func(i int) *atomic.Int64 { return &s.recoveries[i] })},
	}
}

func (e *Engine) trafficMetrics() []observe.Metric {
	s := &e.stats
	return []observe.Metric{
		{Name: "diffusion_network_outbound_bytes", Type: service.UnknownMetric, Unit: "bytes", Help: "Bytes of messages sent, as on a WebSocket. It only grows; its name has no _total because applications know it so.", Read: observe.One(count(s.traffic.Member(countSentBytes)))},
		{Name: "diffusion_sessions_outbound_bytes", Type: service.Counter, Unit: "bytes", Help: "Bytes of messages sent to sessions, as on a WebSocket.", Read: observe.One(count(s.traffic.Member(countSentBytes)))},
		{Name: "advect_sent_messages", Type: service.Counter, Help: "Messages sent to sessions.", Read: observe.One(count(s.traffic.Member(countSent)))},
		{Name: "advect_received_messages", Type: service.Counter, Help: "Messages received from sessions.", Read: observe.One(count(s.traffic.Member(countReceived)))},
		{Name: "advect_received_bytes", Type: service.Counter, Unit: "bytes", Help: "Bytes of messages received from sessions, without framing.", Read: observe.One(count(s.traffic.Member(countReceivedBytes)))},
		{Name: "advect_requests", Type: service.Counter, Labels: []string{"service", "outcome"}, Help: "Requests of sessions: ok, denied for want of a permission, or failed. One that is answered later is ok.",
			Read: func(bool) []observe.Sample { return s.samples() }},
	}
}

func (e *Engine) topicMetrics() []observe.Metric {
	s := &e.stats
	topics := observe.One(func() float64 { return float64(e.tree.Len()) })
	return []observe.Metric{
		{Name: "diffusion_topics_count", Type: service.Gauge, Help: "Topics.", Read: topics},
		{Name: "diffusion_server_number_of_topics", Type: service.Gauge, Help: "Topics.", Read: topics},
		{Name: "diffusion_topics_subscriptions", Type: service.Gauge, Help: "Subscriptions of all sessions to topics.", Read: observe.One(func() float64 { return float64(e.tree.Subscriptions()) })},
		{Name: "advect_updates_published", Type: service.Counter, Help: "Changes of the values of topics.", Read: observe.One(func() float64 { return float64(e.tree.Updates()) })},
		{Name: "advect_updates_queued", Type: service.Counter, Labels: []string{"form"}, Help: "Updates queued for sessions, as values or as deltas; each subscriber counts.",
			Read: labelledBy("form", []string{"value", "delta"}, func(i int) tally.Member { return s.traffic.Member([...]int{countValues, countDeltas}[i]) })},
		{Name: "advect_updates_conflated", Type: service.Counter, Help: "Updates for sessions that were merged into newer ones.", Read: observe.One(count(s.traffic.Member(countConflated)))},
		{Name: "advect_back_pressure_unsubscriptions", Type: service.Counter, Help: "Subscriptions that back pressure ended.", Read: observe.One(count(&s.pressed))},
	}
}

// version is the version of the program.
func version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}

// memoryClasses are figures of the Go runtime, in bytes. Reading them stops nobody.
type memoryClasses [5]metrics.Sample

func readMemory() (m memoryClasses) {
	for i, name := range [...]string{
		"/memory/classes/total:bytes", "/memory/classes/heap/released:bytes",
		"/memory/classes/heap/free:bytes", "/memory/classes/heap/unused:bytes", "/gc/gomemlimit:bytes",
	} {
		m[i].Name = name
	}
	metrics.Read(m[:])
	return m
}

func (m memoryClasses) at(i int) uint64 {
	if m[i].Value.Kind() != metrics.KindUint64 {
		return 0
	}
	return m[i].Value.Uint64()
}

func (m memoryClasses) total() uint64 { return m.at(0) - m.at(1) }
func (m memoryClasses) free() uint64  { return m.at(2) + m.at(3) }
func (m memoryClasses) limit() uint64 { return m.at(4) }

// usedOf returns the difference of two lines of /proc/meminfo in bytes, or 0.
func usedOf(total, free string) float64 {
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	kib := func(name string) float64 {
		_, rest, _ := strings.Cut(string(text), name+":")
		fields := strings.Fields(rest)
		if len(fields) == 0 {
			return 0
		}
		n, _ := strconv.ParseFloat(fields[0], 64)
		return n
	}
	return max(0, kib(total)-kib(free)) * 1024
}

func loadAverage() float64 {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), " ")
	n, _ := strconv.ParseFloat(first, 64)
	return n
}

// population is what collectors count.
type population struct{ *Engine }

// Sessions implements [observe.Population].
func (p population) Sessions() iter.Seq[filter.Properties] {
	return func(yield func(filter.Properties) bool) {
		all := p.all()
		slices.SortFunc(all, func(a, b *Session) int { return int(a.id.Value - b.id.Value) })
		for _, s := range all {
			if !yield(s) {
				return
			}
		}
	}
}

// Topics implements [observe.Population].
func (p population) Topics(sel *selector.Selector) iter.Seq2[string, topic.Type] {
	return func(yield func(string, topic.Type) bool) {
		p.tree.Walk(sel, func(n *tree.Topic) bool { return yield(n.Path(), n.Specification().Type) })
	}
}
