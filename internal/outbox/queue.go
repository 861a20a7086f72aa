package outbox

// A Source has the newest state of a topic. Newest may be called with the
// session's lock held, so it must not block or take locks of its own order.
type Source interface {
	// Newest returns the message that sets the newest value, and its version.
	// A nil message means that there is none to fall back to.
	Newest() (value *Message, version uint64)
}

// An Update is one change of a topic's value, as messages that are made when
// first asked for and shared by all sessions.
type Update interface {
	Version() uint64
	Value() *Message // sets the value
	Delta() *Message // takes version-1 to version; nil if there is no point in it
}

// A Stream is the state of one subscription's updates in a session's queue.
// It is guarded by the lock that guards the queue.
type Stream struct {
	Source    Source
	Conflates bool   // pending updates may be merged
	Held      uint64 // version that the client holds after what is queued
	ended     bool   // unsubscribed: pending updates may be dropped
	slot      uint64 // while conflating: index+1 of the pending update, if there is one
}

type entry struct {
	message *Message
	stream  *Stream // of a pending topic update, else nil
	frames  bool    // starts or ends a stream
}

// Limits bound a queue. Zero means no limit.
//
// The messages that start and end streams do not count in Messages: a client may
// select a whole tree at once, and a whole branch may be removed. They count in
// Bytes.
type Limits struct {
	Messages, Bytes                 int // pending, and never sent before
	RecoveryMessages, RecoveryBytes int // sent and kept
}

// A Queue is the outbound queue and recovery buffer of one session. It is not
// safe for concurrent use: the session's lock guards it.
//
// Entries are addressed by index: the number of messages that were ever sent
// before them. So the entry at index i, once sent, is message number i+1.
type Queue struct {
	limits       Limits
	ring         []entry // capacity is a power of two; index i is at i&(len-1)
	first        uint64  // oldest entry kept
	sent         uint64  // first pending entry
	fresh        uint64  // if beyond sent: the first entry never sent before
	end          uint64  // one past the last entry
	sentBytes    int     // of entries before fresh or sent
	pendingBytes int     // of the other entries
	counted      int     // the other entries that do not start or end a stream
	conflating   bool    // each stream has at most one pending update

	probe       *Message // its answer proves what arrived
	probeNumber uint64   // 0 until it is sent
}

// NewQueue returns an empty queue.
func NewQueue(l Limits) Queue { return Queue{limits: l} }

// Pending returns the number of messages not yet taken.
func (q *Queue) Pending() int { return int(q.end - q.sent) }

// Sent returns the number of the last message taken.
func (q *Queue) Sent() uint64 { return q.sent }

func (q *Queue) at(i uint64) *entry { return &q.ring[i&uint64(len(q.ring)-1)] }

// Push appends a message that is no topic update. It returns false when the
// queue is over its limits and conflation does not help: the session must end.
func (q *Queue) Push(m *Message) bool { return q.push(entry{message: m}) }

// PushProbe appends a message whose answer proves that the client has all sent
// before it; ProbeAnswered makes use of that.
func (q *Queue) PushProbe(m *Message) bool {
	q.probe, q.probeNumber = m, 0
	return q.Push(m)
}

// ProbeAnswered forgets the messages up to the last probe.
func (q *Queue) ProbeAnswered() {
	for q.first < min(q.probeNumber, q.sent) {
		q.drop()
	}
	q.probe, q.probeNumber = nil, 0
	q.shrink()
}

// ProbeAfter reports whether the last probe is unanswered and was not among the
// messages up to number n.
func (q *Queue) ProbeAfter(n uint64) bool {
	return q.probe != nil && (q.probeNumber == 0 || q.probeNumber > n)
}

// End appends the message that ends a stream, which is told no more updates.
func (q *Queue) End(s *Stream, m *Message) bool {
	s.ended = true
	return q.push(entry{message: m, frames: true})
}

// Start appends the message that starts a stream and the value of the version
// that the stream holds already, or nil if there is none.
func (q *Queue) Start(s *Stream, announcement, value *Message) bool {
	fits := q.push(entry{message: announcement, frames: true})
	if value != nil {
		s.slot = q.end + 1
		fits = q.push(entry{message: value, stream: s, frames: true})
	}
	return fits
}

// PushUpdate appends an update: the delta if the client will hold the version
// before, else the value. An update that a conflated value already covers is
// left out.
func (q *Queue) PushUpdate(s *Stream, u Update) bool {
	version := u.Version()
	if version <= s.Held || s.ended {
		return true
	}
	follows := s.Held == version-1
	s.Held = version
	if q.conflating && s.Conflates && s.slot > q.sent && s.slot <= q.end && q.at(s.slot-1).stream == s {
		q.replace(q.at(s.slot-1), u.Value())
		return q.within()
	}
	var m *Message
	if follows {
		m = u.Delta()
	}
	if m == nil {
		m = u.Value()
	}
	s.slot = q.end + 1 // unless conflate changes it
	return q.push(entry{message: m, stream: s})
}

func (q *Queue) replace(e *entry, m *Message) {
	q.pendingBytes += m.Len() - e.message.Len()
	e.message = m
}

func (q *Queue) push(e entry) bool {
	if int(q.end-q.first) == len(q.ring) {
		q.resize(max(4, 2*len(q.ring)))
	}
	*q.at(q.end) = e
	q.end++
	q.count(&e, 1)
	if q.within() {
		return true
	}
	if !q.conflating {
		q.conflate()
	}
	return q.within()
}

// count adds an entry never sent before to what the limits bound, or with -1
// takes it away.
func (q *Queue) count(e *entry, sign int) {
	q.pendingBytes += sign * e.message.Len()
	if !e.frames {
		q.counted += sign
	}
}

func (q *Queue) within() bool {
	l := &q.limits
	return (l.Messages == 0 || q.counted <= l.Messages) && (l.Bytes == 0 || q.pendingBytes <= l.Bytes)
}

// conflate merges the pending updates of each stream into one at the place of
// the first, and has PushUpdate go on so until the queue has drained to half.
func (q *Queue) conflate() {
	q.conflating = true
	start := q.sent
	for i := start; i < q.end; i++ {
		if s := q.at(i).stream; s != nil {
			s.slot = 0
		}
	}
	to := start
	for i := start; i < q.end; i++ {
		e := *q.at(i)
		if s := e.stream; s != nil && s.Conflates {
			if s.ended {
				q.count(&e, -1)
				continue
			}
			if s.slot != 0 {
				q.count(&e, -1)
				q.merge(s, e.message)
				continue
			}
			s.slot = to + 1
		}
		*q.at(to) = e
		to++
	}
	for i := to; i < q.end; i++ {
		*q.at(i) = entry{}
	}
	q.end = to
}

// merge makes the pending update of s the newest value, or m, its latest
// pending update, when the topic keeps no value (then all updates are values).
func (q *Queue) merge(s *Stream, m *Message) {
	e := q.at(s.slot - 1)
	if value, version := s.Source.Newest(); value != nil {
		q.replace(e, value)
		s.Held = max(s.Held, version)
		return
	}
	q.replace(e, m)
}

// Take appends pending messages to dst, at least one if there is any and not
// many more than maxBytes, and moves them to the recovery buffer.
func (q *Queue) Take(dst []*Message, maxBytes int) []*Message {
	for size := 0; q.sent < q.end && size < maxBytes; q.sent++ {
		e := q.at(q.sent)
		e.stream = nil
		dst = append(dst, e.message)
		size += e.message.Len()
		if q.sent >= q.fresh {
			q.count(e, -1)
			q.sentBytes += e.message.Len()
		}
		if e.message == q.probe {
			q.probeNumber = q.sent + 1
		}
	}
	if q.conflating && q.counted <= q.limits.Messages/2 && q.pendingBytes <= q.limits.Bytes/2 {
		q.conflating = false
	}
	q.trim()
	return dst
}

// trim forgets sent messages beyond the limits of the recovery buffer.
func (q *Queue) trim() {
	l := &q.limits
	for q.first < q.sent && (l.RecoveryMessages > 0 && q.sent-q.first > uint64(l.RecoveryMessages) ||
		l.RecoveryBytes > 0 && q.sentBytes > l.RecoveryBytes || l.RecoveryMessages == 0) {
		q.drop()
	}
	q.shrink()
}

func (q *Queue) drop() {
	e := q.at(q.first)
	q.sentBytes -= e.message.Len()
	*e = entry{}
	q.first++
}

// Rewind makes the messages after number n pending again, as a reconnecting
// client asks. It returns false, changing nothing, if they are not all there.
func (q *Queue) Rewind(n uint64) bool {
	if n < q.first || n > q.sent {
		return false
	}
	q.fresh = max(q.fresh, q.sent)
	q.sent = n
	return true
}

// Reset forgets everything; the next message is number 1 again.
func (q *Queue) Reset() { *q = NewQueue(q.limits) }

// Discard forgets what is pending.
func (q *Queue) Discard() {
	for i := q.sent; i < q.end; i++ {
		if i < q.fresh {
			q.sentBytes -= q.at(i).message.Len()
		}
		*q.at(i) = entry{}
	}
	q.end, q.fresh, q.pendingBytes, q.counted = q.sent, q.sent, 0, 0
}

// shrink gives back memory after a burst.
func (q *Queue) shrink() {
	n := int(q.end - q.first)
	if n == 0 {
		q.ring = nil
	} else if len(q.ring) > 64 && n < len(q.ring)/8 {
		q.resize(len(q.ring) / 4)
	}
}

func (q *Queue) resize(size int) {
	ring := make([]entry, size)
	for i := q.first; i < q.end; i++ {
		ring[i&uint64(size-1)] = *q.at(i)
	}
	q.ring = ring
}
