package outbox

// Squeeze makes a queue do with less memory than its own limits allow. If more is
// pending than l has room for, back pressure begins, as it does at the queue's own
// limits, and what was sent is kept for recovery only as far as l allows. It
// reports whether the queue was conflated, and how many sent messages it forgot.
func (q *Queue) Squeeze(l Limits) (conflated bool, forgotten int) {
	r := q.rare
	if r != nil && r.gone {
		return false, 0
	}
	if l.Messages > 0 && int(q.counted) > l.Messages || l.Bytes > 0 && q.pendingBytes > l.Bytes {
		if conflated = r == nil || !r.conflating && !r.plain; conflated {
			q.beginSweep()
		}
		q.finishSweep()
	}
	before := q.sent.first
	q.trimTo(&l)
	if forgotten = int(q.sent.first - before); forgotten > 0 {
		q.sent.fit()
	}
	return conflated, forgotten
}

// PendingBytes returns the bytes that wait to be sent, of which other queues may
// share some, for the first time.
func (q *Queue) PendingBytes() int { return q.pendingBytes }

// SentBytes returns the bytes that are kept for recovery.
func (q *Queue) SentBytes() int { return q.sentBytes }

// Burden returns the bytes that are in memory only because they are pending, here
// and perhaps in other queues: neither what announces topics nor their newest
// values, which the topics keep anyway.
func (q *Queue) Burden() int {
	n := 0
	for e := range q.pending {
		if e.kind == kindStart {
			continue
		}
		if e.changes() {
			if newest, _ := e.stream.Source.Newest(); newest == e.message {
				continue
			}
		}
		n += e.message.Len()
	}
	return n
}

// Drop forgets what is pending and what was sent, and lets the queue take nothing
// more until Reset: the client has to begin anew, with loss of messages.
func (q *Queue) Drop() {
	q.Discard()
	q.sent = ring[*Message]{first: q.next, end: q.next}
	q.sentBytes = 0
	q.probe, q.probeNumber = nil, 0
	r := q.rarely()
	r.conflating, r.gone = false, true
}
