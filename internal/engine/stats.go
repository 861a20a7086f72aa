package engine

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"advect.dev/internal/observe"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/tally"
	"advect.dev/internal/wire"
)

// stats count what the engine does, for its metrics. Whoever counts takes no lock
// and allocates nothing, and sessions do not wait for each other.
type stats struct {
	traffic tally.Group
	pressed tally.Counter // subscriptions ended by back pressure

	sessions   [3][2]atomic.Int64 // that there are, by transport and whether disconnected
	opened     [3]atomic.Int64    // by transport
	closed     [32]atomic.Int64   // by CloseReason
	recoveries [3]atomic.Int64    // by recovery
	logins     [3]atomic.Int64    // by login
	connectors labelled           // connections accepted
	rejections labelled           // connections rejected, by response code

	requests map[int32]*served // by service; does not change
	unknown  served            // of services that the server does not have
}

// The counters of stats.traffic.
const (
	countReceived      = iota // messages of clients
	countReceivedBytes        // of them
	countSent                 // messages to clients
	countSentBytes            // of them
	countValues               // updates queued as values
	countDeltas               // updates queued as deltas
	countConflated            // updates merged into newer ones
)

// served counts the requests to a service, by outcome.
type served [3]tally.Counter

// outcomes of requests, in the order of served.
var outcomes = [...]string{"ok", "denied", "failed"}

// transports are the labels of sessions, in the order of stats.sessions.
var transports = [...]string{string(WebSocket), string(HTTPPolling), "OTHER"}

func (k TransportKind) index() int {
	if i := slices.Index(transports[:], string(k)); i >= 0 {
		return i
	}
	return len(transports) - 1
}

// recovery is how a reconnection ended.
type recovery int

const (
	withoutLoss recovery = iota
	withLoss
	refused
)

var recoveryNames = [...]string{"lossless", "lossy", "refused"}

// logins by outcome.
const (
	loginAccepted = iota
	loginRejected
	loginFailed
)

var loginNames = [...]string{"accepted", "rejected", "failed"}

func (s *stats) prepare(handlers map[int32]handler) {
	s.requests = make(map[int32]*served, len(handlers))
	for id := range handlers {
		s.requests[id] = new(served)
	}
}

// request counts a request that a session has made.
func (s *stats) request(by *Session, id int32, err error) {
	c := s.requests[id]
	if c == nil {
		c = &s.unknown
	}
	outcome := 0
	if err != nil {
		outcome = 2
		if e := (*wire.ServiceError)(nil); errors.As(err, &e) && e.Code == wire.CodeAccessDenied {
			outcome = 1
		}
	}
	c[outcome].Add(by.id.Value, 1)
}

// login counts what the authenticators have decided.
func (s *stats) login(d security.Decision, err error) {
	outcome := loginRejected
	switch {
	case d.Outcome == security.Allow:
		outcome = loginAccepted
	case err != nil:
		outcome = loginFailed
	}
	s.logins[outcome].Add(1)
}

// take counts messages that a session's connection has taken, and what became of
// updates since the last time.
func (s *stats) take(by int64, messages []*outbox.Message, c outbox.Counts) {
	if len(messages) > 0 {
		size := 0
		for _, m := range messages {
			size += m.Len()
		}
		s.traffic.Add(by, countSent, int64(len(messages)))
		s.traffic.Add(by, countSentBytes, int64(size))
	}
	if c.Values > 0 {
		s.traffic.Add(by, countValues, int64(c.Values))
	}
	if c.Deltas > 0 {
		s.traffic.Add(by, countDeltas, int64(c.Deltas))
	}
	if c.Conflated > 0 {
		s.traffic.Add(by, countConflated, int64(c.Conflated))
	}
}

// counted makes the session count as connected, or not, with its transport. mu is
// held, or nobody else has the session yet.
func (s *Session) counted(connected bool) {
	s.uncounted()
	state := 0
	if !connected {
		state = 1
	}
	s.gauge = &s.engine.stats.sessions[s.route.Load().transport.index()][state]
	s.gauge.Add(1)
}

// uncounted makes the session count no more. mu is held.
func (s *Session) uncounted() {
	if s.gauge != nil {
		s.gauge.Add(-1)
		s.gauge = nil
	}
}

// labelled counts by a label of which there are few.
type labelled struct{ counts sync.Map } // string -> *atomic.Int64

func (l *labelled) add(label string) {
	n, ok := l.counts.Load(label)
	if !ok {
		n, _ = l.counts.LoadOrStore(label, new(atomic.Int64))
	}
	n.(*atomic.Int64).Add(1)
}

// samples returns the counts in the order of their labels.
func (l *labelled) samples(name string) (samples []observe.Sample) {
	l.counts.Range(func(label, n any) bool {
		samples = append(samples, observe.Sample{Value: float64(n.(*atomic.Int64).Load()), Labels: observe.Labels(name, label.(string))})
		return true
	})
	slices.SortFunc(samples, func(a, b observe.Sample) int { return strings.Compare(a.Labels[0].Value, b.Labels[0].Value) })
	return samples
}

// samples returns the requests by service and outcome, without those that there
// were none of.
func (s *stats) samples() (samples []observe.Sample) {
	add := func(name string, c *served) {
		for i := range c {
			if n := c[i].Load(); n > 0 {
				samples = append(samples, observe.Sample{Value: float64(n), Labels: observe.Labels("service", name, "outcome", outcomes[i])})
			}
		}
	}
	for _, d := range service.All() {
		if c := s.requests[d.Number()]; c != nil {
			add(d.String(), c)
		}
	}
	add("unknown", &s.unknown)
	return samples
}
