package load

import (
	"context"
	"errors"
	"fmt"
	"time"

	"advect.dev"
)

// A Kind is a kind of scenario.
type Kind string

// The kinds.
const (
	Connect   Kind = "connect"   // sessions are opened
	Fanout    Kind = "fanout"    // each value goes to all sessions
	Topics    Kind = "topics"    // many topics, of which each session has some
	Deltas    Kind = "deltas"    // large values of which little changes
	Latency   Kind = "latency"   // rates that rise
	Reconnect Kind = "reconnect" // all connections are cut at once
)

// A Scenario says what load to put on a server. Its JSON form is a part of that of
// a report.
type Scenario struct {
	Kind       Kind              `json:"kind"`
	Sessions   int               `json:"sessions"`
	Topics     int               `json:"topics"`
	PerSession int               `json:"topics_per_session"`
	Parallel   int               `json:"parallel"`        // sessions that are being opened at a time
	Rate       float64           `json:"rate"`            // updates a second, of all topics; Connect: sessions a second; 0: as fast as possible
	Rates      []float64         `json:"rates,omitempty"` // Latency: updates a second, rising
	Size       int               `json:"value_bytes"`
	Changing   int               `json:"changing_fields"` // 0: all
	Warmup     time.Duration     `json:"-"`
	Duration   time.Duration     `json:"-"`                // Latency: of each rate; Connect: how long the sessions stay
	Storms     int               `json:"storms,omitempty"` // Reconnect
	Properties map[string]string `json:"topic_properties,omitempty"`
}

// An Opener opens a session, with options besides its own.
type Opener func(ctx context.Context, opts ...advect.Option) (*advect.Session, error)

// A Target is a server under load.
type Target struct {
	Open Opener
	// MetricsURL is where its metrics may be read, for a server on this machine; "" for
	// others. Without it, and without the permission VIEW_SERVER, reports lack the
	// figures of the server.
	MetricsURL string
	// Progress is told how far a scenario is, from one goroutine at a time. It may be nil.
	Progress func(Progress)

	drop func(topic int, n uint64) bool // in tests: which values are to be lost
}

// Progress is how far a scenario is.
type Progress struct {
	Kind     Kind
	Phase    string        // such as "warming up"
	Done, Of time.Duration // Of is 0 if that is not known
	Sessions int64         // open now
	Sample   Sample        // of the time since the last one
}

// most bounds the numbers of a scenario: beyond are only mistakes.
const most = 1_000_000

// Check returns what is wrong with the numbers of a scenario, or nil.
func (s *Scenario) Check() error {
	switch {
	case s.Sessions < 1 || s.Sessions > most:
		return fmt.Errorf("%d sessions: use 1 to %d", s.Sessions, most)
	case s.Topics < 1 || s.Topics > most:
		return fmt.Errorf("%d topics: use 1 to %d", s.Topics, most)
	case s.PerSession < 1 || s.PerSession > s.Topics:
		return fmt.Errorf("%d topics for each session: use 1 to the number of topics, %d", s.PerSession, s.Topics)
	case s.Size < leastSize || s.Size > mostSize:
		return fmt.Errorf("values of %d bytes: use %d to %d", s.Size, leastSize, mostSize)
	case s.Parallel < 1:
		return errors.New("no session is to be opened at a time: use 1 or more")
	case s.Changing < 0 || s.Rate < 0 || s.Duration < 0 || s.Warmup < 0:
		return errors.New("a number is negative")
	case s.Kind == Latency && len(s.Rates) == 0, s.Kind == Reconnect && (s.Storms < 1 || s.Rate == 0):
		return errors.New("no rates, or no storms")
	case s.Kind != Connect && s.Kind != Reconnect && s.Duration == 0:
		return errors.New("no duration")
	}
	for _, r := range s.Rates {
		if r <= 0 {
			return fmt.Errorf("%v updates a second: use more than 0", r)
		}
	}
	return nil
}

// openRate is how many sessions begin a second; 0 is as many as can.
func (s *Scenario) openRate() float64 {
	if s.Kind == Connect {
		return s.Rate
	}
	return 0
}

// perUpdate is how many sessions an update goes to, in the mean.
func (s *Scenario) perUpdate() float64 {
	return float64(s.Sessions) * float64(s.PerSession) / float64(s.Topics)
}
