package engine

import (
	"cmp"
	"log/slog"
	"runtime"
	"runtime/metrics"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"advect.dev/internal/observe"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
)

// A pressure says how close memory is to the ceiling.
type pressure int32

const (
	calm     pressure = iota
	tight             // queues are conflated early, less is kept for recovery
	critical          // besides, new sessions are refused and stalled ones closed
)

var pressureNames = [...]string{"calm", "tight", "critical"}

// Where the pressures begin and end, in hundredths of the ceiling.
const (
	tightFrom, tightTo       = 70, 65
	criticalFrom, criticalTo = 90, 85
)

// next returns the pressure that follows on p.
func (p pressure) next(used, ceiling int64) pressure {
	above := func(percent int64) bool { return used*100 >= ceiling*percent }
	switch {
	case above(criticalFrom), p == critical && above(criticalTo):
		return critical
	case above(tightFrom), p >= tight && above(tightTo):
		return tight
	}
	return calm
}

// relief is something that the governor does against the pressure.
type relief int

const (
	conflatedQueues relief = iota
	trimmedMessages
	droppedQueues
	closedSessions
	refusedSessions
)

var reliefNames = [...]string{"queues_conflated", "recovery_messages_trimmed", "queues_dropped", "sessions_closed", "sessions_refused"}

// A governor keeps the memory of the process below a ceiling by what it lets
// sessions have of it. It looks a few times a second, which costs nothing
// while there is enough, and then goes through the sessions in the order of the
// clock, locking one at a time:
//
//   - From 70 % of the ceiling on a backlog is conflated before it reaches its own
//     limits, and less is kept for recovery: half at first, ever less towards 90 %.
//   - From 90 % on new sessions are refused; those without a connection lose what
//     is queued for them, and reconnect with loss of messages; those that do not
//     read what cannot be conflated are closed. The largest go first, and only as
//     many as it takes to get below 85 %.
//
// A session that takes what is queued for it loses nothing but recovery. How much
// memory a queue frees is known only afterwards, since sessions share messages:
// each round is followed by a collection of garbage, and takes twice as much as
// the one before if that did not help.
type governor struct {
	engine  *Engine
	log     *slog.Logger
	ceiling int64            // 0: none
	read    func() memoryUse // what the process uses
	collect func()           // collects garbage
	now     func() time.Time
	done    chan struct{}
	gone    chan struct{}

	used     atomic.Int64 // as of the latest look
	pressure atomic.Int32
	reliefs  [len(reliefNames)]atomic.Int64

	// The rest belongs to the goroutine.

	backlogs map[*Session]uint64 // number of the last message that was pending in the latest round
	rounds   int                 // in which sessions were closed, since memory was last enough
	eased    time.Time           // when something was freed that no collection has seen; zero: nothing
	cycle    uint64              // of the collector, at the latest look
	refused  int64               // sessions refused until the latest look
	ends     endings
}

// A memoryUse is what a process uses.
type memoryUse struct {
	used  int64  // bytes: what the latest collection found alive, and what the runtime needs
	cycle uint64 // number of that collection
}

const (
	governorTick = 250 * time.Millisecond
	// A round takes a tenth of the time at most, however many sessions there are.
	governorRest = 9
	// seenWithin is how long relief may wait for the collector to see it.
	seenWithin = 5 * time.Second
	// leastBurden is the backlog, in bytes, below which nobody is closed: it would not help.
	leastBurden = 64 << 10
)

// newGovernor returns a governor that watches over nothing before start.
func newGovernor(e *Engine, ceiling int64) *governor {
	return &governor{
		engine: e, log: e.cfg.Log, ceiling: ceiling, read: readUsed, collect: runtime.GC, now: time.Now,
		done: make(chan struct{}), gone: make(chan struct{}),
		ends: endings{limit: rate.NewLimiter(1, 1)},
	}
}

// start begins to watch, if there is a ceiling.
func (g *governor) start() {
	if g.ceiling <= 0 {
		close(g.gone)
		return
	}
	go g.run()
}

func (g *governor) run() {
	defer close(g.gone)
	timer := time.NewTimer(governorTick)
	defer timer.Stop()
	for {
		select {
		case <-g.done:
			return
		case <-timer.C:
		}
		began := g.now()
		g.look()
		timer.Reset(max(governorTick, governorRest*g.now().Sub(began)))
	}
}

func (g *governor) stop() {
	close(g.done)
	<-g.gone
}

// short reports whether new sessions are refused.
func (g *governor) short() bool { return pressure(g.pressure.Load()) == critical }

// refuses reports whether there is no memory for another session, and counts it.
func (g *governor) refuses() bool {
	if g.short() {
		g.relieved(refusedSessions, 1)
		return true
	}
	return false
}

func (g *governor) relieved(r relief, n int) { g.reliefs[r].Add(int64(n)) }

// look reads the memory and does what is to be done.
func (g *governor) look() {
	m := g.read()
	g.used.Store(m.used)
	before := pressure(g.pressure.Load())
	p := before.next(m.used, g.ceiling)
	if p != before {
		g.pressure.Store(int32(p))
		g.tell(before, p)
	}
	if m.cycle != g.cycle {
		g.cycle, g.eased = m.cycle, time.Time{}
	}
	if p < critical {
		g.rounds = 0
	}
	if p == calm {
		g.backlogs = nil
		return
	}
	if eased := g.relieve(p, m.used); eased && g.eased.IsZero() {
		g.eased = g.now()
	}
	// Memory that is free is of use only once a collection has found it so, which
	// the runtime need not be in a hurry to do.
	if !g.eased.IsZero() && (p == critical && g.rounds > 0 || g.now().Sub(g.eased) >= seenWithin) {
		g.collect()
	}
}

// limits returns what sessions are left of their own limits when so much memory is
// used: half at the beginning of the pressure, hardly anything at its height.
func (g *governor) limits(used int64) outbox.Limits {
	from, to := float64(g.ceiling)*tightFrom/100, float64(g.ceiling)*criticalFrom/100
	share := max(1.0/64, min(1, (to-float64(used))/(to-from))/2)
	part := func(own, unlimited, least int) int {
		if own == 0 {
			own = unlimited
		}
		return min(own, max(least, int(share*float64(own))))
	}
	own := &g.engine.cfg.Queue
	return outbox.Limits{
		Messages: part(own.Messages, 10_000, 16), Bytes: part(own.Bytes, 64<<20, 16<<10),
		RecoveryMessages: part(own.RecoveryMessages, 0, 16), RecoveryBytes: part(own.RecoveryBytes, 0, 16<<10),
	}
}

// A laggard is a session with a backlog that does not move and cannot be conflated.
type laggard struct {
	*Session
	burden int
	away   bool // without connection
}

// relieve goes through the sessions, and reports whether that has freed anything.
func (g *governor) relieve(p pressure, used int64) (eased bool) {
	limits := g.limits(used)
	backlogs := make(map[*Session]uint64)
	var all []laggard
	for s := range g.engine.clock.sessions {
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			continue
		}
		conflated, forgotten := s.queue.Squeeze(limits)
		if conflated {
			s.pushed(true) // subscriptions may have ended
			g.relieved(conflatedQueues, 1)
		}
		g.relieved(trimmedMessages, forgotten)
		eased = eased || conflated || forgotten > 0
		if s.queue.PendingBytes() >= leastBurden {
			last := s.queue.Sent() + uint64(s.queue.Pending())
			backlogs[s] = last
			before, known := g.backlogs[s]
			if away := s.conn == nil; p == critical && (away || known && s.queue.Sent() < min(before, last)) {
				if burden := s.queue.Burden(); burden >= leastBurden {
					all = append(all, laggard{s, burden, away})
				}
			}
		}
		s.mu.Unlock()
	}
	g.backlogs = backlogs
	if p == critical && len(all) > 0 {
		g.shed(all, used)
		eased = true
	}
	if n := g.reliefs[refusedSessions].Load(); n != g.refused {
		g.refused, eased = n, true // it may have become unnecessary
	}
	return eased
}

// shed takes the backlogs of as many sessions as it takes to end the pressure,
// as far as that can be known.
func (g *governor) shed(all []laggard, used int64) {
	slices.SortFunc(all, func(a, b laggard) int {
		if a.away != b.away {
			if a.away {
				return -1
			}
			return 1
		}
		return cmp.Compare(b.burden, a.burden)
	})
	excess := (used - g.ceiling/100*criticalTo) << min(g.rounds, 20)
	g.rounds++
	for _, s := range all {
		if excess <= 0 {
			break
		}
		if g.shedOne(s) {
			excess -= int64(s.burden)
		}
	}
	g.ends.tell(g.log)
}

// shedOne takes the backlog of a session, unless it has come back or ended meanwhile.
func (g *governor) shedOne(s laggard) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed || s.away != (s.conn == nil) {
		return false
	}
	s.queue.Drop()
	if s.away {
		g.relieved(droppedQueues, 1)
		g.ends.dropped++
		return true
	}
	s.close(MessageQueueLimitReached)
	g.relieved(closedSessions, 1)
	g.ends.closed(s)
	return true
}

// tell logs that another pressure begins.
func (g *governor) tell(before, p pressure) {
	const mib = 1 << 20
	args := []any{"used-mib", g.used.Load() / mib, "max-memory-mib", g.ceiling / mib}
	switch {
	case p == critical:
		g.log.Warn("memory is nearly used up: new sessions are refused, and those that do not read are closed, the largest backlog first; "+
			"give the server more memory (max-memory), or let sessions keep less (queue-bytes, recovery-bytes)", args...)
	case p == tight && before == calm:
		g.log.Warn("memory is short: backlogs are conflated early and less is kept for reconnections; "+
			"look for sessions that do not read (advect_queued_bytes), or raise max-memory", args...)
	default:
		args = append(args, "pressure", pressureNames[p])
		for r := range g.reliefs {
			args = append(args, reliefNames[r], g.reliefs[r].Load())
		}
		g.log.Info("memory is less short", args...)
	}
}

// endings are what has happened to sessions since it was last logged.
type endings struct {
	limit           *rate.Limiter
	number, dropped int
	bytes           int     // queued for those that were closed
	largest         laggard // of them
}

func (e *endings) closed(s laggard) {
	e.number++
	e.bytes += s.burden
	if s.burden > e.largest.burden {
		e.largest = s
	}
}

// tell logs them, once a second at most.
func (e *endings) tell(log *slog.Logger) {
	if e.number+e.dropped == 0 || !e.limit.Allow() {
		return
	}
	args := []any{"closed", e.number, "queued-bytes", e.bytes, "queues-dropped", e.dropped}
	if s := e.largest.Session; s != nil {
		args = append(args, "largest", s.id, "largest-bytes", e.largest.burden, "principal", s.identity.Load().principal, "address", s.addr)
	}
	log.Warn("sessions lost their backlog for want of memory", args...)
	*e = endings{limit: e.limit}
}

// sessions yields all sessions, a slot after the other. Those that come or go
// meanwhile may be left out.
func (c *clock) sessions(yield func(*Session) bool) {
	var some []*Session
	for slot := range c.slots {
		c.mu.Lock()
		some = append(some[:0], c.slots[slot]...)
		c.mu.Unlock()
		for _, s := range some {
			if !yield(s) {
				return
			}
		}
	}
}

// readUsed reads the memory of the process. What was allocated since the latest
// collection does not count until the next one, which comes before the ceiling is
// reached where that is the limit of the collector too (debug.SetMemoryLimit).
func readUsed() memoryUse {
	samples := [...]metrics.Sample{
		{Name: "/gc/heap/live:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/gc/cycles/total:gc-cycles"},
	}
	metrics.Read(samples[:])
	at := func(i int) int64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return int64(samples[i].Value.Uint64())
	}
	return memoryUse{used: at(0) + max(0, at(1)-at(2)-at(3)-at(4)-at(5)), cycle: uint64(at(6))}
}

// metrics declares what the governor sees and does, and what sessions have queued.
func (g *governor) metrics() []observe.Metric {
	queued := func(of func(*outbox.Queue) int) func(bool) []observe.Sample {
		return observe.One(func() float64 {
			n := 0
			for s := range g.engine.clock.sessions {
				s.mu.Lock()
				n += of(&s.queue)
				s.mu.Unlock()
			}
			return float64(n)
		})
	}
	return []observe.Metric{
		{Name: "advect_memory_ceiling_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory that the server may use (max-memory); 0 is no limit.", Read: observe.One(func() float64 { return float64(g.ceiling) })},
		{Name: "advect_memory_used_bytes", Type: service.Gauge, Unit: "bytes", Help: "Memory in use as it is held against the ceiling: without garbage. 0 without a ceiling.", Read: observe.One(func() float64 { return float64(g.used.Load()) })},
		{Name: "advect_memory_pressure", Type: service.Gauge, Help: "0 while there is enough memory, 1 when sessions get less of it, 2 when new ones are refused and stalled ones closed.", Read: observe.One(func() float64 { return float64(g.pressure.Load()) })},
		{Name: "advect_memory_relief", Type: service.Counter, Labels: []string{"action"}, Help: "What was done because memory was short.",
			Read: labelledBy("action", reliefNames[:], func(i int) *atomic.Int64 { return &g.reliefs[i] })},
		{Name: "advect_queued_messages", Type: service.Gauge, Help: "Messages that wait to be sent, in all sessions.", Read: queued((*outbox.Queue).Pending)},
		{Name: "advect_queued_bytes", Type: service.Gauge, Unit: "bytes", Help: "Bytes that wait to be sent, in all sessions. Messages that sessions share take memory once, but count for each.", Read: queued((*outbox.Queue).PendingBytes)},
		{Name: "advect_recovery_bytes", Type: service.Gauge, Unit: "bytes", Help: "Bytes that were sent and are kept for reconnections, in all sessions, counted likewise.", Read: queued((*outbox.Queue).SentBytes)},
	}
}
