package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"text/tabwriter"
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
	Rows     []Row     `json:"rows"`
}

// Row is one measurement. CPU figures are microseconds of processor time,
// latencies milliseconds.
type Row struct {
	Peer     string `json:"peer"`
	Scenario string `json:"scenario"`
	Mode     string `json:"mode"` // rate, max, connect, idle or failed
	Sessions int    `json:"sessions"`
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

	SessionCPU       float64 `json:"server_cpu_us_per_session,omitempty"`
	SessionClientCPU float64 `json:"client_cpu_us_per_session,omitempty"`
	SessionsPerCPU   float64 `json:"sessions_per_server_cpu_s,omitempty"`
	SessionsPerSec   float64 `json:"sessions_per_s,omitempty"`
	SessionKiB       float64 `json:"rss_kib_per_session,omitempty"`
	EmptyMiB         float64 `json:"rss_empty_mib,omitempty"`
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
	return os.WriteFile(path, append(b, '\n'), 0o644)
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

// spread returns a figure's range over the repeats, as text.
func (g group) spread(figure func(Row) float64) string {
	by := func(a, b Row) int { return cmp.Compare(figure(a), figure(b)) }
	return fmt.Sprintf("%.2f-%.2f", figure(slices.MinFunc(g, by)), figure(slices.MaxFunc(g, by)))
}

func (g group) sum(count func(Row) int64) (n int64) {
	for _, r := range g {
		n += count(r)
	}
	return n
}

// groupKey is what the repeats of one measurement have in common.
type groupKey struct {
	scenario, mode, peer string
	sessions             int
}

// groups returns the rows by measurement, and the measurements in the order of
// scenarios and sizes, with the peers of each together as they first came.
func (r *Report) groups() (map[groupKey]group, []groupKey) {
	groups := make(map[groupKey]group)
	var order []groupKey
	var tables []groupKey
	for _, row := range r.Rows {
		k := groupKey{row.Scenario, row.Mode, row.Peer, row.Sessions}
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

// print prints the tables: medians over the repeats.
func (r *Report) print(w io.Writer) {
	groups, order := r.groups()
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	row := func(cells ...any) {
		for _, c := range cells {
			switch c := c.(type) {
			case float64:
				if c == 0 { // not measured
					fmt.Fprint(out, "-\t")
					continue
				}
				fmt.Fprintf(out, "%.2f\t", c)
			default:
				fmt.Fprintf(out, "%v\t", c)
			}
		}
		fmt.Fprintln(out)
	}
	foreign := func(g group) string {
		return fmt.Sprintf("%.0f%%", 100*g.of(func(r Row) float64 { return r.Foreign }))
	}

	fmt.Fprintln(w, "Traffic: server and client CPU in us per delivery, latency in ms; medians over the repeats")
	row("scenario", "mode", "sessions", "peer", "deliv/s", "server us", "(range)", "sys us", "client us",
		"p50", "p99", "max", "per read", "bytes", "lost", "wrong", "RSS MiB", "foreign")
	for _, k := range order {
		g := groups[k]
		if k.mode != "rate" && k.mode != "max" {
			continue
		}
		row(k.scenario, k.mode, k.sessions, k.peer,
			fmt.Sprintf("%.0f", g.of(func(r Row) float64 { return r.PerSecond })),
			g.of(func(r Row) float64 { return r.ServerCPU }),
			g.spread(func(r Row) float64 { return r.ServerCPU }),
			g.of(func(r Row) float64 { return r.ServerSys }),
			g.of(func(r Row) float64 { return r.ClientCPU }),
			g.of(func(r Row) float64 { return r.LatencyP50 }),
			g.of(func(r Row) float64 { return r.LatencyP99 }),
			g.of(func(r Row) float64 { return r.LatencyMax }),
			g.of(func(r Row) float64 { return r.PerRead }),
			fmt.Sprintf("%.0f", g.of(func(r Row) float64 { return r.BytesEach })),
			g.sum(func(r Row) int64 { return r.Lost }),
			g.sum(func(r Row) int64 { return r.Late + r.Misrouted + r.Corrupt }),
			fmt.Sprintf("%.0f", g.of(func(r Row) float64 { return r.RSSMiB })),
			foreign(g))
	}
	out.Flush()

	fmt.Fprintln(w, "\nSessions: connecting (handshake and subscription) and resting")
	row("scenario", "sessions", "peer", "server us/session", "(range)", "sessions/CPU-s", "sessions/s",
		"KiB/session", "RSS MiB", "idle ms/s", "foreign")
	for _, k := range order {
		g := groups[k]
		if k.mode != "connect" && k.mode != "idle" {
			continue
		}
		row(k.scenario, k.sessions, k.peer,
			g.of(func(r Row) float64 { return r.SessionCPU }),
			g.spread(func(r Row) float64 { return r.SessionCPU }),
			fmt.Sprintf("%.0f", g.of(func(r Row) float64 { return r.SessionsPerCPU })),
			fmt.Sprintf("%.0f", g.of(func(r Row) float64 { return r.SessionsPerSec })),
			g.of(func(r Row) float64 { return r.SessionKiB }),
			g.of(func(r Row) float64 { return r.RSSMiB }),
			g.of(func(r Row) float64 { return r.IdleCPU }),
			foreign(g))
	}
	out.Flush()

	for _, row := range r.Rows {
		if row.Error != "" {
			fmt.Fprintf(w, "\nfailed: %s %s, %d sessions, run %d: %s", row.Peer, row.Scenario, row.Sessions, row.Repeat, row.Error)
		}
	}
	fmt.Fprintln(w)
}
