package outbox

// A sweep is a conflation under way. What stands before to in the lane, and in the
// lanes before it, is conflated; what stands from at on is not; what is between is
// void. Whoever sees what is pending, but to append to it, has to finish it first.
type sweep struct {
	lane   int // in the order of Queue.lanes
	to, at uint64
}

// sweepStep is how many entries an update goes on with a sweep: enough to be done
// soon, and so few that a publisher does not wait when many sessions that have
// stalled exceed their limits with the same update.
const sweepStep = 64

// beginSweep begins back pressure: it has the pending updates of each stream that
// allows it merged into one at the place of the first, the streams ended that are
// to be ended, and PushUpdate go on so until the queue has drained to half.
func (q *Queue) beginSweep() {
	r := q.rarely()
	r.conflating = true
	r.sweep = &sweep{to: r.high.first, at: r.high.first}
	if r.ends { // and whoever is behind that is to know at once
		q.finishSweep()
	}
}

// finishSweep ends a sweep, if there is one under way.
func (q *Queue) finishSweep() {
	for q.rare != nil && q.rare.sweep != nil {
		q.goOn(1 << 30)
	}
}

// goOn goes on with the sweep by n entries.
func (q *Queue) goOn(n int) {
	r := q.rare
	lanes := [...]*ring[entry]{&r.high, &q.normal, &r.low}
	w := r.sweep
	for {
		lane := lanes[w.lane]
		for ; w.at < lane.end; w.at++ {
			if n--; n < 0 {
				return
			}
			if e := *lane.at(w.at); q.keeps(lane, w.to, &e) {
				*lane.at(w.to) = e
				w.to++
			}
		}
		lane.truncate(w.to)
		lane.fit() // the session may take nothing for long
		if w.lane++; w.lane == len(lanes) {
			r.sweep = nil
			return
		}
		w.to, w.at = lanes[w.lane].first, lanes[w.lane].first
	}
}

// keeps reports whether a conflation keeps a pending message, which it is to move
// to index to. Those before it in the lane are conflated.
func (q *Queue) keeps(lane *ring[entry], to uint64, e *entry) bool {
	if e.skips() {
		return false
	}
	if !e.changes() {
		return true
	}
	s := e.stream
	switch s.Conflation {
	case Unsubscribe:
		if s.phase == open {
			q.press(s)
			return false
		}
		return true
	case Conflate, Always:
	default:
		return true
	}
	if s.phase != open {
		q.count(e, -1)
		return false
	}
	if s.slot > lane.first && s.slot <= to {
		if kept := lane.at(s.slot - 1); kept.stream == s && kept.changes() {
			q.counts.Conflated++
			q.count(e, -1)
			q.merge(kept, e.message)
			return false
		}
	}
	s.slot = to + 1
	q.count(e, -1)
	e.kind = kindValue
	q.count(e, 1)
	return true
}

// merge makes a pending update the newest value, or m, the stream's latest
// pending update, when the topic keeps no value (then all updates are values).
func (q *Queue) merge(e *entry, m *Message) {
	if newest, version := e.stream.Source.Newest(); newest != nil {
		q.replace(e, newest)
		e.stream.Held = max(e.stream.Held, version)
		return
	}
	q.replace(e, m)
}
