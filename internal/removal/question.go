package removal

import "advect.dev/internal/filter"

// A question is asked of the sessions for all topics whose policies need the
// answer: does none match a filter, or, without filter, is one closed.
type question struct {
	filter  *filter.Filter
	session string
	topics  int            // observations that refer to it
	waiting []*observation // to wake when the answer is another

	asked uint64 // number of the round, 0 if never
	none  bool   // the answer then
}

// question returns the question of a condition about a topic.
func (s *Scheduler) question(c *noSession, creator string) *question {
	questions, key := s.filters, ""
	if c.filter != nil {
		key = c.filter.String()
	} else {
		questions, key = s.creators, creator
	}
	q := questions[key]
	if q == nil {
		q = &question{filter: c.filter, session: creator}
		questions[key] = q
	}
	q.topics++
	return q
}

// ask returns the answer to q, which is the same for a whole round.
func (s *Scheduler) ask(q *question) bool {
	if q.asked == s.rounds {
		return q.none
	}
	q.asked = s.rounds
	if q.filter != nil {
		q.none = !s.cfg.Sessions.Any(q.filter)
	} else {
		q.none = q.none || !s.cfg.Sessions.Open(q.session) // once closed, for ever
	}
	return q.none
}

// release gives up what an observation holds.
func (s *Scheduler) release(o *observation) {
	o.leave()
	if o.topics--; o.topics > 0 {
		return
	}
	if o.filter != nil {
		delete(s.filters, o.filter.String())
	} else {
		delete(s.creators, o.session)
	}
}
