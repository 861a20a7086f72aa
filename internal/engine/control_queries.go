package engine

import (
	"cmp"
	"slices"

	"advect.dev/internal/service"
)

// everyProperty is all that a session has.
var everyProperty = keySet{fixed: true, user: true}

func (s *Session) getProperties(r service.PropertiesQuery) (res service.OptionalProperties, err error) {
	keys, err := newKeySet(r.Keys)
	if err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, nil // absent
	}
	p := target.now()
	return service.OptionalProperties{Present: true, Properties: keys.of(&p)}, nil
}

// fetchSessions lists sessions in the order in which they started. When they do
// not all fit, those at the end from which the limit counts are kept (31 section 5).
func (s *Session) fetchSessions(q service.SessionQuery) (res service.SessionQueryResult, err error) {
	keys, err := newKeySet(q.Keys)
	if err != nil {
		return res, err
	}
	f, errs := parseFilter(q.Filter)
	if errs != nil {
		return service.SessionQueryResult{Errors: errs}, nil
	}
	sessions := slices.DeleteFunc(s.engine.matching(f), func(s *Session) bool {
		started := s.started
		return q.From != nil && started < *q.From || q.To != nil && started > *q.To
	})
	res.Total = int32(len(sessions))
	slices.SortFunc(sessions, byStart)
	backwards := false
	if q.Limit != nil {
		limit := int64(*q.Limit)
		if backwards = limit < 0; backwards {
			sessions = sessions[max(0, int64(len(sessions))+limit):]
		} else {
			sessions = sessions[:min(limit, int64(len(sessions)))]
		}
	}
	if backwards {
		slices.Reverse(sessions)
	}
	const overhead = 32 // the message but for the sessions
	room := min(int(q.MaxResultSize), s.engine.cfg.MaxResultSize) - overhead
	var scratch []byte
	for _, s := range sessions {
		one := s.fetched(&keys, q.StartTime)
		scratch = one.Append(scratch[:0])
		if room -= len(scratch); room < 0 {
			break
		}
		res.Sessions = append(res.Sessions, one)
	}
	if backwards {
		slices.Reverse(res.Sessions)
	}
	return res, nil
}

// byStart orders sessions by the start times that clients see, and those of one
// millisecond as they were admitted.
func byStart(a, b *Session) int {
	return cmp.Or(cmp.Compare(a.started, b.started), byAge(a, b))
}

func (s *Session) fetched(keys *keySet, startTime bool) (one service.FetchedSession) {
	p := s.now()
	one.Properties = keys.of(&p)
	if startTime { // clients make the property of it
		started := s.started
		one.StartTime = &started
		delete(one.Properties, startTimeProperty)
	}
	return one
}
