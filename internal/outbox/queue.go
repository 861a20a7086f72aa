package outbox

// Limits bound a queue. Zero means no limit.
//
// The messages that start and end streams do not count in Messages: a client may
// select a whole tree at once, and a whole branch may be removed. Nor does an update
// that the next one of its stream will replace: there is at most one for each
// subscription, so that back pressure alone never ends a session whose topics
// conflate, however many it has. They count in Bytes.
type Limits struct {
	Messages, Bytes                 int // pending, and never sent before
	RecoveryMessages, RecoveryBytes int // sent and kept
}

// A Queue is the outbound queue and recovery buffer of one session. It is not
// safe for concurrent use: the session's lock guards it.
//
// Messages wait in a lane for each priority. Those sent stand in the order in
// which they were sent; the one at index i of that ring is message number i+1.
//
// What a push and a Take touch stands together, because with many sessions every
// cache line of it is a miss. A queue must not be copied once it is used.
type Queue struct {
	limits       *Limits
	rare         *rare
	pendingBytes int    // of what is in the lanes and not dropped
	counted      int32  // of it, messages that count in Limits.Messages
	counts       Counts // since they were last asked for

	normal ring[entry] // pending, of default priority
	only   [1]entry    // the slots of normal until it needs more than one

	sent      ring[*Message] // from next on they are to be sent again
	next      uint64
	sentBytes int

	probe       *Message // its answer proves what arrived
	probeNumber uint64   // 0 until it is sent
}

// A rare is what few queues need. A queue that has once needed it keeps it until
// Reset.
type rare struct {
	conflating bool // under back pressure
	plain      bool // no update is left out, and none ends its stream
	gone       bool // by Drop

	ends  bool   // there may be streams that back pressure ends
	sweep *sweep // conflation under way

	high, low ring[entry]    // pending, of these priorities
	pressed   []*Stream      // ended by back pressure, not yet told to anyone
	ending    map[string]int // pending ends by path; nil while all priorities are default
}

// entry is a pending message.
type entry struct {
	message   *Message // nil: moved to another lane
	stream    *Stream  // nil: of no stream
	kind      kind
	droppable bool // changes the value of a stream which may drop it
}

type kind uint8

const (
	kindOther  kind = iota // of no stream
	kindStart              // announces a stream, or something else
	kindValue              // a value with which a stream starts, or that a newer one will replace
	kindUpdate             // any later one
	kindEnd                // ends a stream
)

// NewQueue returns an empty queue. Many may share the limits, which must not change.
func NewQueue(l *Limits) Queue { return Queue{limits: l} }

// SetConflation switches the conflation policies of streams on or off. Without them
// every update is sent, and the queue is full when it exceeds its limits.
func (q *Queue) SetConflation(on bool) {
	if on && q.rare == nil {
		return
	}
	q.finishSweep()
	r := q.rarely()
	r.plain = !on
	if r.plain {
		r.conflating = false
	}
}

// lane returns the lane of a priority.
func (q *Queue) lane(p Priority) *ring[entry] {
	switch {
	case p == Default:
		return &q.normal
	case p == High:
		return &q.rarely().high
	}
	return &q.rarely().low
}

func (q *Queue) rarely() *rare {
	if q.rare == nil {
		q.rare = new(rare)
	}
	return q.rare
}

// lanes yields the lanes in the order in which they are taken.
func (q *Queue) lanes(yield func(*ring[entry]) bool) {
	if q.rare == nil {
		yield(&q.normal)
		return
	}
	_ = yield(&q.rare.high) && yield(&q.normal) && yield(&q.rare.low)
}

// Pending returns the number of messages not yet taken. Some of them may turn
// out not to be sent, but never all.
func (q *Queue) Pending() int {
	n := int(q.sent.end-q.next) + q.normal.len()
	if r := q.rare; r != nil {
		n += r.high.len() + r.low.len()
	}
	return n
}

// Sent returns the number of the last message taken.
func (q *Queue) Sent() uint64 { return q.next }

// Push appends a message that is no topic update. It returns false when the
// queue is over its limits and conflation does not help: the session must end.
func (q *Queue) Push(m *Message) bool { return q.push(Default, entry{message: m}) }

// Announce appends a message that belongs to no stream but counts like those with
// which streams start.
func (q *Queue) Announce(m *Message) bool { return q.push(Default, entry{message: m, kind: kindStart}) }

// PushProbe appends a message whose answer proves that the client has all sent
// before it; ProbeAnswered makes use of that.
func (q *Queue) PushProbe(m *Message) bool {
	q.probe, q.probeNumber = m, 0
	return q.Push(m)
}

// ProbeAnswered forgets the messages up to the last probe, and gives back the
// memory of what is then empty.
func (q *Queue) ProbeAnswered() {
	for q.sent.first < min(q.probeNumber, q.next) {
		q.forget()
	}
	q.probe, q.probeNumber = nil, 0
	q.sent.shrink()
	q.sent.release()
	for lane := range q.lanes {
		lane.release()
	}
}

// HasRoom reports whether the queue is well below its limits with one more
// message of size bytes. What can be refused should be refused where it has not:
// a queue over its limits ends the session.
func (q *Queue) HasRoom(size int) bool {
	l := q.limits
	return (l.Messages == 0 || int(q.counted) < l.Messages/4*3) && (l.Bytes == 0 || q.pendingBytes+size <= l.Bytes/4*3)
}

// Start appends the message that starts a stream and the values that lead to the
// version that the stream holds already, if there are any.
func (q *Queue) Start(s *Stream, announcement *Message, values ...*Message) bool {
	q.order(s)
	if s.Conflation == Unsubscribe {
		q.rarely().ends = true
	}
	fits := q.push(s.Priority, entry{message: announcement, stream: s, kind: kindStart})
	for _, m := range values {
		s.slot = q.lane(s.Priority).end + 1
		fits = q.push(s.Priority, entry{m, s, kindValue, s.droppable()})
	}
	return fits
}

// End appends the message that ends a stream, which is told no more updates.
func (q *Queue) End(s *Stream, m *Message) bool {
	if s.phase != open { // by back pressure
		return true
	}
	s.phase = ended
	if s.Tidy {
		q.drop(s)
	}
	return q.push(s.Priority, q.end(s, m))
}

// end returns the entry that ends a stream, which is going to be pending.
func (q *Queue) end(s *Stream, m *Message) entry {
	if q.rare != nil && q.rare.ending != nil {
		q.rare.ending[s.Source.Path()]++
	}
	return entry{message: m, stream: s, kind: kindEnd}
}

// droppable reports whether drop may be called for the stream.
func (s *Stream) droppable() bool { return s.Tidy || s.Conflation == Unsubscribe }

// drop makes Take pass over what is pending of a droppable stream.
func (q *Queue) drop(s *Stream) {
	s.phase = dropped
	q.counted -= s.count
	q.pendingBytes -= s.bytes
	s.count, s.bytes = 0, 0
}

// PushUpdate appends an update: the delta if the client will hold the version
// before, else the value. An update that a conflated value already covers is
// left out.
func (q *Queue) PushUpdate(s *Stream, u Update) bool {
	r := q.rare
	if r != nil && r.sweep != nil {
		q.goOn(sweepStep)
	}
	version := u.Version()
	if s.phase != open {
		return true
	}
	if version <= s.Held {
		q.counts.Conflated++
		return true
	}
	conflating := r != nil && r.conflating
	if conflating && s.Conflation == Unsubscribe {
		q.press(s)
		return q.within()
	}
	follows := s.Held == version-1
	s.Held = version
	lane, kind := q.lane(s.Priority), kindUpdate
	if conflating && s.Conflation == Conflate || s.Conflation == Always && !(r != nil && r.plain) {
		kind = kindValue
		if s.slot > lane.first && s.slot <= lane.end && lane.at(s.slot-1).stream == s {
			q.counts.Conflated++
			q.replace(lane.at(s.slot-1), u.Value())
			return q.within()
		}
	}
	var m *Message
	if follows {
		m = u.Delta()
	}
	if m == nil {
		m = u.Value()
		q.counts.Values++
	} else {
		q.counts.Deltas++
	}
	s.slot = lane.end + 1 // unless conflate changes it
	return q.push(s.Priority, entry{m, s, kind, s.droppable()})
}

func (q *Queue) replace(e *entry, m *Message) {
	more := m.Len() - e.message.Len()
	q.pendingBytes += more
	if e.droppable {
		e.stream.bytes += more
	}
	e.message = m
}

// press ends a stream because of back pressure.
func (q *Queue) press(s *Stream) {
	q.drop(s)
	r := q.rarely()
	r.pressed = append(r.pressed, s)
	q.append(s.Priority, q.end(s, s.Source.BackPressure()))
}

// HasPressed reports whether Pressed has something.
func (q *Queue) HasPressed() bool { return q.rare != nil && len(q.rare.pressed) > 0 }

// Pressed returns the streams that back pressure has ended since the last call.
func (q *Queue) Pressed() []*Stream {
	if q.rare == nil {
		return nil
	}
	pressed := q.rare.pressed
	q.rare.pressed = nil
	return pressed
}

func (q *Queue) push(p Priority, e entry) bool {
	if q.rare != nil && q.rare.gone {
		return true
	}
	q.append(p, e)
	if q.within() {
		return true
	}
	r := q.rarely()
	if !r.conflating && !r.plain {
		q.beginSweep()
	}
	for r.sweep != nil {
		if q.goOn(sweepStep); q.within() {
			return true
		}
	}
	return q.within()
}

// append adds an entry, whatever the limits.
func (q *Queue) append(p Priority, e entry) {
	lane := q.lane(p)
	if lane == &q.normal && lane.capacity() == 0 {
		lane.slots = q.only[:]
	}
	lane.push(e)
	q.count(&e, 1)
}

// count adds an entry to what the limits bound, or with -1 takes it away.
func (q *Queue) count(e *entry, sign int) {
	n := sign * e.message.Len()
	q.pendingBytes += n
	counts := e.kind == kindOther || e.kind == kindUpdate
	if counts {
		q.counted += int32(sign)
	}
	if !e.droppable { // then its stream, a miss, is left alone
		return
	}
	e.stream.bytes += n
	if counts {
		e.stream.count += int32(sign)
	}
}

// skips reports whether the entry is not to be sent, nor counted.
func (e *entry) skips() bool {
	return e.message == nil || e.droppable && e.stream.phase == dropped
}

// changes reports whether the entry changes the value of a stream.
func (e *entry) changes() bool { return e.kind == kindValue || e.kind == kindUpdate }

func (q *Queue) within() bool {
	l := q.limits
	return (l.Messages == 0 || int(q.counted) <= l.Messages) && (l.Bytes == 0 || q.pendingBytes <= l.Bytes)
}

// half reports whether what is pending takes at most half of what is allowed,
// counting everything.
func (q *Queue) half() bool {
	l := q.limits
	return (l.Messages == 0 || q.Pending() <= l.Messages/2) && (l.Bytes == 0 || q.pendingBytes <= l.Bytes/2)
}

// order keeps the start of a stream behind the end of an earlier stream for the
// same path, which may be waiting in a lane that the new one would overtake.
func (q *Queue) order(s *Stream) {
	q.finishSweep()
	if q.rare == nil || q.rare.ending == nil {
		if s.Priority == Default {
			return
		}
		r := q.rarely()
		r.ending = make(map[string]int)
		for e := range q.pending {
			if e.kind == kindEnd {
				r.ending[e.stream.Source.Path()]++
			}
		}
	}
	path := s.Source.Path()
	if q.rare.ending[path] == 0 {
		return
	}
	to, behind := q.lane(s.Priority), false
	for lane := range q.lanes {
		if !behind {
			behind = lane == to
			continue
		}
		for i := lane.first; i < lane.end; i++ {
			if e := lane.at(i); e.stream != nil && e.stream.Source.Path() == path && !e.skips() {
				if to == &q.normal && to.capacity() == 0 {
					to.slots = q.only[:]
				}
				to.push(*e)
				*e = entry{}
			}
		}
	}
}

// ended notes that an end was taken.
func (q *Queue) ended(path string) {
	ending := q.rare.ending
	if ending[path]--; ending[path] <= 0 {
		delete(ending, path)
	}
}

// pending yields what is in the lanes.
func (q *Queue) pending(yield func(*entry) bool) {
	q.finishSweep()
	for lane := range q.lanes {
		for i := lane.first; i < lane.end; i++ {
			if e := lane.at(i); !e.skips() && !yield(e) {
				return
			}
		}
	}
}

// Unsent yields what Take will return, after Rewind what is to be sent again first.
func (q *Queue) Unsent(yield func(*Message) bool) {
	for i := q.next; i < q.sent.end; i++ {
		if !yield(*q.sent.at(i)) {
			return
		}
	}
	q.pending(func(e *entry) bool { return yield(e.message) })
}

// Take appends pending messages to dst, at least one if there is any and not
// many more than maxBytes, and moves them to the recovery buffer.
func (q *Queue) Take(dst []*Message, maxBytes int) []*Message {
	size := 0
	for ; q.next < q.sent.end && size < maxBytes; q.next++ {
		m := *q.sent.at(q.next)
		dst = append(dst, q.taken(m))
		size += m.Len()
	}
	if q.rare == nil {
		dst, _ = q.takeFrom(&q.normal, dst, maxBytes-size)
	} else {
		q.finishSweep()
		room := maxBytes - size
		for lane := range q.lanes {
			dst, room = q.takeFrom(lane, dst, room)
		}
		if q.rare.conflating && q.half() {
			q.rare.conflating = false
		}
	}
	q.trim()
	return dst
}

// takeFrom does as Take with a lane, and returns what is left of room, in bytes.
func (q *Queue) takeFrom(lane *ring[entry], dst []*Message, room int) ([]*Message, int) {
	for lane.len() > 0 && room > 0 {
		e := lane.pop()
		if e.skips() {
			continue
		}
		q.count(&e, -1)
		if e.kind == kindEnd && q.rare != nil && q.rare.ending != nil {
			q.ended(e.stream.Source.Path())
		}
		q.sent.push(e.message)
		q.sentBytes += e.message.Len()
		dst = append(dst, q.taken(e.message))
		q.next++
		room -= e.message.Len()
	}
	lane.shrink()
	return dst, room
}

// taken notes the number of the probe. next is the index of m.
func (q *Queue) taken(m *Message) *Message {
	if m == q.probe {
		q.probeNumber = q.next + 1
	}
	return m
}

// trim forgets sent messages beyond the limits of the recovery buffer.
func (q *Queue) trim() {
	q.trimTo(q.limits)
	q.sent.shrink()
}

func (q *Queue) trimTo(l *Limits) {
	for q.sent.first < q.next && (l.RecoveryMessages == 0 || q.next-q.sent.first > uint64(l.RecoveryMessages) ||
		l.RecoveryBytes > 0 && q.sentBytes > l.RecoveryBytes) {
		q.forget()
	}
}

func (q *Queue) forget() { q.sentBytes -= q.sent.pop().Len() }

// Rewind makes the messages after number n pending again, as a reconnecting
// client asks. It returns false, changing nothing, if they are not all there.
func (q *Queue) Rewind(n uint64) bool {
	if n < q.sent.first || n > q.next || q.rare != nil && q.rare.gone {
		return false
	}
	q.next = n
	return true
}

// Counts says what became of the updates that a queue was given.
type Counts struct {
	Values, Deltas uint32 // queued in this form
	Conflated      uint32 // of these and of others, merged into newer ones
}

// Counts returns what was counted since the last call.
func (q *Queue) Counts() Counts {
	c := q.counts
	q.counts = Counts{}
	return c
}

// Reset forgets everything but its settings and what was counted; the next message
// is number 1 again.
func (q *Queue) Reset() {
	plain := q.rare != nil && q.rare.plain
	*q = Queue{limits: q.limits, counts: q.counts}
	q.SetConflation(!plain)
}

// Discard forgets what is pending.
func (q *Queue) Discard() {
	for i := q.next; i < q.sent.end; i++ {
		q.sentBytes -= (*q.sent.at(i)).Len()
	}
	q.sent.truncate(q.next)
	q.normal, q.only = ring[entry]{}, [1]entry{}
	q.pendingBytes, q.counted = 0, 0
	if r := q.rare; r != nil {
		r.high, r.low, r.sweep = ring[entry]{}, ring[entry]{}, nil
		clear(r.ending)
	}
}
