package advect

// recoveryBytes bounds what is kept of messages that were sent.
const recoveryBytes = 16 << 20

// outbound holds the messages to the server in order of their sequence numbers:
// those that were sent and may have to be sent again, then those that wait. It
// is guarded by the session's mutex. Messages are never changed.
type outbound struct {
	keep int // messages to hold after they were sent

	messages [][]byte // numbers first, first+1, ...
	first    int64
	next     int64         // number of the next to be sent
	sent     int           // bytes of the messages before next
	room     chan struct{} // closed when something has changed for those who wait; may be nil
}

func newOutbound(keep int) outbound { return outbound{keep: keep, first: 1, next: 1} }

// last returns the number of the last message.
func (o *outbound) last() int64 { return o.first + int64(len(o.messages)) - 1 }

// waiting returns how many messages wait to be sent.
func (o *outbound) waiting() int { return int(o.last() - o.next + 1) }

func (o *outbound) add(message []byte) { o.messages = append(o.messages, message) }

// take appends to batch messages that are to be sent now, at least one if there
// is one, and about most bytes at most.
func (o *outbound) take(batch [][]byte, most int) [][]byte {
	for size := 0; o.next <= o.last() && size < most; o.next++ {
		m := o.messages[o.next-o.first]
		batch = append(batch, m)
		size += len(m)
		o.sent += len(m)
	}
	o.trim()
	if len(batch) > 0 {
		o.signal()
	}
	return batch
}

// trim drops the oldest sent messages beyond the limits.
func (o *outbound) trim() {
	n := 0
	for sent := int(o.next - o.first); n < sent && (sent-n > o.keep || o.sent > recoveryBytes); n++ {
		o.sent -= len(o.messages[n])
		o.messages[n] = nil
	}
	o.first += int64(n)
	if o.messages = o.messages[n:]; len(o.messages) == 0 {
		o.messages = nil
	}
}

// rewind prepares for a server that expects message number expected next: from
// it on all are sent again, and none before it is kept. It reports false, and
// does nothing, when they are not all held or expected was never reached. The
// number wraps at 32 bits (protocol 03 section 4.3).
func (o *outbound) rewind(expected int32) bool {
	n := int64(int32(o.last()+1) - expected)
	if n < int64(o.waiting()) || n > int64(len(o.messages)) {
		return false
	}
	acknowledged := len(o.messages) - int(n)
	clear(o.messages[:acknowledged])
	o.messages = o.messages[acknowledged:]
	o.first += int64(acknowledged)
	o.next, o.sent = o.first, 0
	return true
}

// reset forgets all messages and counts from 1 again.
func (o *outbound) reset() {
	room := o.room
	*o = newOutbound(o.keep)
	o.room = room
	o.signal()
}

// changed returns a channel that is closed at the next change.
func (o *outbound) changed() <-chan struct{} {
	if o.room == nil {
		o.room = make(chan struct{})
	}
	return o.room
}

func (o *outbound) signal() {
	if o.room != nil {
		close(o.room)
		o.room = nil
	}
}
