package engine

import (
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func (s *Session) appendEvent(r service.AppendRequest) (service.EventMetadata, error) {
	return s.engine.tree.Append(s.author(), &r, nil)
}

func (s *Session) appendEventAt(r service.TimestampAppendRequest) (service.EventMetadata, error) {
	return s.engine.tree.Append(s.author(), &r.AppendRequest, &r.Timestamp)
}

// editEvent needs the permission to edit all events, or one's own, besides that
// to update the topic (26 section 1).
func (s *Session) editEvent(r service.EditRequest) (service.EventMetadata, error) {
	id := s.identity.Load()
	path := topic.Canonical(r.Path)
	return s.engine.tree.Edit(s.author(), &r, func(author string) bool {
		return id.grant.Path(path, security.EditTimeSeriesEvents) ||
			author == id.principal && id.grant.Path(path, security.EditOwnTimeSeriesEvents)
	})
}

func (s *Session) rangeQuery(r service.RangeQueryRequest) (res service.RangeQueryResult, err error) {
	if path := topic.Canonical(r.Path); r.Obsolete() && !s.identity.Load().grant.Path(path, security.QueryObsoleteTimeSeriesEvents) {
		return res, wire.Errorf(wire.CodeAccessDenied, "Access denied: queries of edits need %v on %q", security.QueryObsoleteTimeSeriesEvents, path)
	}
	return s.engine.tree.RangeQuery(&r, s.engine.cfg.MaxResultSize)
}
