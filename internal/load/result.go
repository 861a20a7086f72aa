package load

import (
	"maps"
	"math"
	"slices"
	"time"
)

// ReportVersion is the version of the form of a report: it changes when the meaning
// of a field does, or one goes.
const ReportVersion = 1

// A Report is what `advect bench` writes as JSON. Field names are stable; others
// may be added.
type Report struct {
	Version int       `json:"version"` // [ReportVersion]
	Program string    `json:"program"`
	Started time.Time `json:"started"`
	Server  string    `json:"server"` // its URL
	Machine Machine   `json:"machine"`
	// Interrupted says that it was ended early: the last result is shorter than
	// wanted, others are missing.
	Interrupted bool     `json:"interrupted"`
	Results     []Result `json:"results"`
}

// A Machine is where the load came from.
type Machine struct {
	OS         string `json:"os"`
	Arch       string `json:"arch"`
	Processors int    `json:"processors"`
	Go         string `json:"go"`
}

// A Result is what a scenario brought. Parts that a scenario does not have are
// missing.
type Result struct {
	Scenario        Scenario         `json:"scenario"`
	DurationSeconds float64          `json:"duration_seconds"` // as wanted, as is the next one
	WarmupSeconds   float64          `json:"warmup_seconds"`
	Sessions        SessionFigures   `json:"sessions"`
	Traffic         *TrafficFigures  `json:"traffic,omitempty"`
	Steps           []TrafficFigures `json:"steps,omitempty"`
	Storms          []StormFigures   `json:"storms,omitempty"`
	Server          *ServerFigures   `json:"server,omitempty"`
	Samples         []Sample         `json:"samples"`
	Problems        []string         `json:"problems"` // what should not be; empty is good
}

// SessionFigures are about the sessions of a scenario.
type SessionFigures struct {
	Wanted     int            `json:"wanted"`
	Opened     int64          `json:"opened"`
	Ready      int64          `json:"ready"`  // with a value of each of their topics
	Closed     int64          `json:"closed"` // that ended although nobody wanted it
	Seconds    float64        `json:"seconds"`
	PerSecond  float64        `json:"per_second"`
	Connect    Durations      `json:"connect"`     // from the begin, or when it was due, to the open session
	FirstValue Durations      `json:"first_value"` // from the same to the last of its first values
	Errors     map[string]int `json:"errors"`
}

// TrafficFigures are about values that were published and delivered.
type TrafficFigures struct {
	Rate            float64 `json:"rate"` // updates a second as wanted; 0: as fast as possible
	Seconds         float64 `json:"seconds"`
	Published       int64   `json:"published"`
	PublishedPerSec float64 `json:"published_per_second"`
	Expected        int64   `json:"expected"` // deliveries
	Delivered       int64   `json:"delivered"`
	DeliveredPerSec float64 `json:"delivered_per_second"`
	Lost            int64   `json:"lost"`       // nobody said why
	Conflated       int64   `json:"conflated"`  // left out for newer ones, by the server or by this program
	Refreshed       int64   `json:"refreshed"`  // left out by reconnections with loss
	Duplicated      int64   `json:"duplicated"` // seen before
	OutOfOrder      int64   `json:"out_of_order"`
	Corrupt         int64   `json:"corrupt"` // not what was published

	BytesPerDelivery float64   `json:"bytes_per_delivery"` // read from sockets, with all that is around a value
	Latency          Durations `json:"latency"`
	// PublishLagMax is how late an update was sent at most. Latency contains it.
	PublishLagMax float64 `json:"publish_lag_max_ms"`
	// KeptUp says that the wanted rate was reached, and all values delivered soon after.
	KeptUp bool `json:"kept_up"`

	ToolProcessors   float64 `json:"tool_processors"` // that this program used
	ServerCPU        float64 `json:"server_cpu_us_per_delivery,omitempty"`
	ServerProcessors float64 `json:"server_processors,omitempty"`
	serverKnown      bool
}

// StormFigures are about sessions that lost their connections at once.
type StormFigures struct {
	Cut          int       `json:"cut"`
	CutSeconds   float64   `json:"cut_seconds"` // that the cutting took
	Reconnected  int64     `json:"reconnected"`
	WithoutLoss  int64     `json:"without_loss"`
	WithLoss     int64     `json:"with_loss"`
	Current      int64     `json:"current"`       // that got a value that was published after the cut
	Seconds      float64   `json:"seconds"`       // until all were current
	ReconnectIn  Durations `json:"reconnect_in"`  // since the storm began
	CurrentAfter Durations `json:"current_after"` // likewise
	// Returned is how many had reconnected, by the time since the storm began.
	Returned []ReturnedSample `json:"returned"`
}

// A ReturnedSample is a point of the curve of reconnections.
type ReturnedSample struct {
	Seconds  float64 `json:"seconds"`
	Sessions int64   `json:"sessions"`
	Current  int64   `json:"current"`
}

// ServerFigures are what the server says of itself.
type ServerFigures struct {
	MemoryBefore     float64 `json:"memory_bytes_before"` // resident
	MemoryOpen       float64 `json:"memory_bytes_with_sessions"`
	MemoryAfter      float64 `json:"memory_bytes_at_end"`
	MemoryPerSession float64 `json:"memory_bytes_per_session"`
	OpenCPU          float64 `json:"cpu_us_per_session_opened"`
}

// A Sample is what happened in a short time.
type Sample struct {
	Seconds         float64 `json:"seconds"` // at its end, since the scenario began
	Phase           string  `json:"phase"`
	Sessions        int64   `json:"sessions"`
	PublishedPerSec float64 `json:"published_per_second"`
	DeliveredPerSec float64 `json:"delivered_per_second"`
	BytesPerSec     float64 `json:"bytes_per_second"`
	P50             float64 `json:"p50_ms"`
	P99             float64 `json:"p99_ms"`
	Max             float64 `json:"max_ms"`
}

// Durations sums up many durations, in milliseconds, exact to 1 %.
type Durations struct {
	Count int64   `json:"count"`
	Mean  float64 `json:"mean_ms"`
	P50   float64 `json:"p50_ms"`
	P90   float64 `json:"p90_ms"`
	P99   float64 `json:"p99_ms"`
	P999  float64 `json:"p99_9_ms"`
	Max   float64 `json:"max_ms"`
	// Curve has what is between, as pairs of a percentile and milliseconds.
	Curve [][2]float64 `json:"curve"`
}

var curvePercentiles = []float64{0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.7, 99.9, 99.95, 99.99, 99.999, 100}

func durationsOf(d distribution) Durations {
	s := Durations{Count: d.total(), Curve: [][2]float64{}}
	if s.Count == 0 {
		return s
	}
	at := func(percentile float64) float64 { return ms(d.quantile(percentile / 100)) }
	s.Mean, s.P50, s.P90, s.P99, s.P999, s.Max = ms(d.mean()), at(50), at(90), at(99), at(99.9), at(100)
	for _, p := range curvePercentiles {
		if p == 100 || float64(s.Count)*(100-p) >= 100 { // at least one is longer
			s.Curve = append(s.Curve, [2]float64{p, at(p)})
		}
	}
	return s
}

// ms is a duration in milliseconds, rounded to nanoseconds.
func ms(d time.Duration) float64 { return float64(d) / 1e6 }

// round keeps four digits, so that nobody reads more into a figure than is there.
func round(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return 0
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

// problems says what should not be.
func (t *TrafficFigures) problems() (list []string) {
	add := func(n int64, what string) {
		if n > 0 {
			list = append(list, what+": "+count(n))
		}
	}
	lost := "values lost"
	if !t.serverKnown {
		lost = "values that did not arrive, lost, or conflated by the server, whose metrics could not be read"
	}
	add(t.Lost, lost)
	add(t.Duplicated, "values that came twice")
	add(t.OutOfOrder, "values out of order")
	add(t.Corrupt, "values that are not what was published")
	return list
}

// judge fills Problems. Sessions that were not opened are none of an interruption.
func (r *Result) judge(interrupted bool) {
	r.Problems = []string{}
	add := func(what string, n int64) {
		if n > 0 {
			r.Problems = append(r.Problems, what+": "+count(n))
		}
	}
	s := &r.Sessions
	if !interrupted {
		add("sessions that did not get ready", int64(s.Wanted)-s.Ready)
	}
	add("sessions that ended although nobody wanted it", s.Closed)
	for _, kind := range slices.Sorted(maps.Keys(s.Errors)) {
		add("errors of sessions, "+kind, int64(s.Errors[kind]))
	}
	if r.Traffic != nil {
		r.Problems = append(r.Problems, r.Traffic.problems()...)
	}
	for i := range r.Steps {
		for _, p := range r.Steps[i].problems() {
			r.Problems = append(r.Problems, per(r.Steps[i].Rate)+" updates/s: "+p)
		}
	}
	for i := range r.Storms {
		if storm := &r.Storms[i]; !interrupted {
			add("sessions that did not come back after a storm", int64(storm.Cut)-storm.Current)
		}
	}
}

func (r *Result) allTraffic() (all []*TrafficFigures) {
	if r.Traffic != nil {
		all = append(all, r.Traffic)
	}
	for i := range r.Steps {
		all = append(all, &r.Steps[i])
	}
	return all
}

// Begun reports whether the scenario got as far as to open sessions.
func (r *Result) Begun() bool { return r.Sessions.Wanted > 0 }

// OK reports whether nothing is wrong.
func (r *Report) OK() bool {
	return !slices.ContainsFunc(r.Results, func(r Result) bool { return len(r.Problems) > 0 })
}
