package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// Report is the JSON file.
type Report struct {
	Started  time.Time `json:"started"`
	Args     []string  `json:"args"`
	CPUs     int       `json:"cpus"`
	CPUModel string    `json:"cpu_model"`
	Kernel   string    `json:"kernel"`
	Go       string    `json:"go"`
	Versions []string  `json:"versions"` // of the peers, as install-peers.sh noted them
	Missing  []string  `json:"not_installed,omitempty"`
	LeftOut  []LeftOut `json:"left_out,omitempty"`
	Rows     []Row     `json:"rows"`
}

// LeftOut says why a peer takes no part in a scenario.
type LeftOut struct {
	Peer     string `json:"peer"`
	Scenario string `json:"scenario"`
	Reason   string `json:"reason"`
}

// Row is one measurement. CPU figures are microseconds of processor time,
// latencies milliseconds.
type Row struct {
	Peer     string `json:"peer"`
	Scenario string `json:"scenario"`
	Mode     string `json:"mode"` // rate, max, failed, or as the scenario
	Sessions int    `json:"sessions"`
	Topics   int    `json:"topics,omitempty"` // that exist, where that is what varies
	Repeat   int    `json:"repeat"`
	Error    string `json:"error,omitempty"`

	Payload   int   `json:"payload_bytes,omitempty"`
	Published int64 `json:"published,omitempty"`
	Expected  int64 `json:"expected,omitempty"`
	Delivered int64 `json:"delivered,omitempty"`
	Lost      int64 `json:"lost"`
	Late      int64 `json:"late"`
	Misrouted int64 `json:"misrouted"`
	Corrupt   int64 `json:"corrupt"`

	Seconds    float64 `json:"seconds"`
	PerSecond  float64 `json:"deliveries_per_s,omitempty"`
	ServerCPU  float64 `json:"server_cpu_us_per_delivery,omitempty"`
	ServerSys  float64 `json:"server_sys_us_per_delivery,omitempty"` // the part in the kernel
	ClientCPU  float64 `json:"client_cpu_us_per_delivery,omitempty"`
	BytesEach  float64 `json:"bytes_per_delivery,omitempty"`
	PerRead    float64 `json:"deliveries_per_client_read,omitempty"` // above 1: the server coalesced
	LatencyP50 float64 `json:"latency_p50_ms,omitempty"`
	LatencyP99 float64 `json:"latency_p99_ms,omitempty"`
	LatencyMax float64 `json:"latency_max_ms,omitempty"`
	Lag        float64 `json:"publish_lag_max_ms,omitempty"` // how late the fixed rate got

	Wanted    float64 `json:"wanted_per_s,omitempty"`   // latency: the rate, in deliveries
	WantedOf  string  `json:"wanted_of,omitempty"`      // the peer of whose full rate it is half
	Unreached bool    `json:"rate_unreached,omitempty"` // the server fell behind, or ended connections for it

	SetCPU       float64 `json:"server_cpu_us_per_set,omitempty"`
	SetsPerCPU   float64 `json:"sets_per_server_cpu_s,omitempty"`
	SetsPerSec   float64 `json:"sets_per_s,omitempty"`
	TopicsPerCPU float64 `json:"topics_per_server_cpu_s,omitempty"` // given to a new subscriber
	TopicsPerSec float64 `json:"topics_per_s,omitempty"`
	TopicBytes   float64 `json:"rss_bytes_per_topic,omitempty"` // without the value

	P99Before      float64 `json:"latency_p99_before_ms,omitempty"` // overload: of all, before some stall
	RSSBefore      float64 `json:"rss_before_mib,omitempty"`
	Closed         int64   `json:"healthy_closed,omitempty"`
	Stalled        int     `json:"stalled,omitempty"`
	StalledClosed  int     `json:"stalled_closed,omitempty"`
	StalledCurrent int     `json:"stalled_current,omitempty"` // have the last value when they read again
	StalledMissed  int64   `json:"stalled_missed,omitempty"`  // deliveries to them that never came: conflated or lost

	Retries  int   `json:"retries,omitempty"` // storm: connections that were refused and made again
	Resumed  bool  `json:"resumed,omitempty"` // sessions went on
	Missed   int64 `json:"missed,omitempty"`  // deliveries due while nobody was connected
	Restored int64 `json:"restored,omitempty"`

	SessionCPU       float64 `json:"server_cpu_us_per_session,omitempty"`
	SessionClientCPU float64 `json:"client_cpu_us_per_session,omitempty"`
	SessionsPerCPU   float64 `json:"sessions_per_server_cpu_s,omitempty"`
	SessionsPerSec   float64 `json:"sessions_per_s,omitempty"`
	SessionKiB       float64 `json:"rss_kib_per_session,omitempty"`
	EmptyMiB         float64 `json:"rss_empty_mib,omitempty"`          // before anybody has connected
	PublisherMiB     float64 `json:"rss_with_publisher_mib,omitempty"` // with the publisher, before the sessions
	RSSMiB           float64 `json:"rss_mib,omitempty"`
	IdleCPU          float64 `json:"idle_server_cpu_ms_per_s,omitempty"`

	// Foreign is the share of the machine that others used meanwhile: the
	// larger, the less the row is worth.
	Foreign float64 `json:"foreign_load"`
}

func newReport(cacheDir string) *Report {
	kernel, _ := os.ReadFile("/proc/sys/kernel/osrelease")
	versions, _ := os.ReadFile(filepath.Join(cacheDir, "VERSIONS"))
	return &Report{
		Started: time.Now().UTC(), Args: os.Args[1:], CPUs: runtime.NumCPU(), CPUModel: cpuModel(),
		Kernel: strings.TrimSpace(string(kernel)), Go: runtime.Version(),
		Versions: strings.Split(strings.TrimSpace(string(versions)), "\n"),
	}
}

// readReport returns the report that write wrote.
func readReport(path string) (*Report, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	r := new(Report)
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return r, nil
}

// repeats returns how often the most repeated measurement was made.
func (r *Report) repeats() (n int) {
	for _, row := range r.Rows {
		n = max(n, row.Repeat)
	}
	return n
}

func cpuModel() string {
	info, _ := os.ReadFile("/proc/cpuinfo")
	_, rest, _ := bytes.Cut(info, []byte("model name"))
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	return strings.Trim(string(line), "\t :")
}

func (r *Report) write(path string) error {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	// Whole or not at all: what was measured must survive an interrupted write.
	if err := os.WriteFile(path+".new", append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

// group is the repeats of one measurement.
type group []Row

// of returns the median of a figure over the repeats.
func (g group) of(figure func(Row) float64) float64 {
	v := make([]float64, 0, len(g))
	for _, r := range g {
		v = append(v, figure(r))
	}
	slices.Sort(v)
	if n := len(v); n%2 == 0 {
		return (v[n/2-1] + v[n/2]) / 2
	}
	return v[len(v)/2]
}

// quietShare is the foreign load up to which a measurement counts as undisturbed.
const quietShare = 0.05

// quiet returns the undisturbed repeats or, where there are none, the least
// disturbed one.
func (g group) quiet() group {
	var q group
	for _, r := range g {
		if r.Foreign <= quietShare {
			q = append(q, r)
		}
	}
	if q == nil {
		q = group{slices.MinFunc(g, func(a, b Row) int { return cmp.Compare(a.Foreign, b.Foreign) })}
	}
	return q
}

// groupKey is what the repeats of one measurement have in common.
type groupKey struct {
	scenario, mode, peer string
	sessions, topics     int
}

func (r Row) key() groupKey { return groupKey{r.Scenario, r.Mode, r.Peer, r.Sessions, r.Topics} }

// groups returns the rows by measurement, and the measurements in the order of
// scenarios and sizes, with the peers of each together as they first came.
func (r *Report) groups() (map[groupKey]group, []groupKey) {
	groups := make(map[groupKey]group)
	var order []groupKey
	var tables []groupKey
	for _, row := range r.Rows {
		k := row.key()
		if groups[k] == nil {
			order = append(order, k)
			if !slices.Contains(tables, k.table()) {
				tables = append(tables, k.table())
			}
		}
		groups[k] = append(groups[k], row)
	}
	slices.SortStableFunc(order, func(a, b groupKey) int {
		return cmp.Compare(slices.Index(tables, a.table()), slices.Index(tables, b.table()))
	})
	return groups, order
}

// isProduct says whether a peer is a real server other than ours: one to be better
// than.
func isProduct(peer string) bool { return peer != "floor" && !strings.HasPrefix(peer, "advect") }

// bestPeer returns the product with the most deliveries a second in the given
// measurement, and how many.
func (r *Report) bestPeer(of groupKey) (peer string, perSecond float64, ok bool) {
	groups, order := r.groups()
	for _, k := range order {
		if k.table() != of || !isProduct(k.peer) {
			continue
		}
		if v := groups[k].quiet().of(func(r Row) float64 { return r.PerSecond }); v > perSecond {
			peer, perSecond, ok = k.peer, v, true
		}
	}
	return peer, perSecond, ok
}

// leaveOut notes, once, that a peer takes no part in a scenario.
func (r *Report) leaveOut(peer, scenario, reason string) bool {
	l := LeftOut{peer, scenario, reason}
	if slices.Contains(r.LeftOut, l) {
		return false
	}
	r.LeftOut = append(r.LeftOut, l)
	return true
}

// add takes up the rest of what a later command found out about the servers.
func (r *Report) add(later *Report) {
	r.Args = append(append(r.Args, "then"), later.Args...)
	for _, v := range later.Versions { // the programs may have been updated
		if !slices.Contains(r.Versions, v) {
			r.Versions = append(r.Versions, v)
		}
	}
	slices.Sort(r.Versions)
	if r.Missing == nil {
		r.Missing = later.Missing
	}
}
