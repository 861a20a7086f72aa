package engine

import (
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// controls needs what it takes to change what other sessions select: the caller
// may use the selector, and the other session need not (31 section 7).
func controls[Req any](selector func(*Req) string) needs[Req] {
	n := onPath(func(r *Req) string { return prefix(selector(r)) }, security.SelectTopic)
	n.global = security.Globals(security.ModifySession)
	return n
}

func clientSelector(r *service.ClientSelection) string           { return r.Selector }
func filterSelector(r *service.FilterSelection) string           { return r.Selector }
func allScopesSelector(r *service.AllScopesRequest) string       { return r.Selector }
func allScopesByFilter(r *service.AllScopesFilterRequest) string { return r.Selector }

func (s *Session) subscribeClient(r service.ClientSelection) (res service.Empty, err error) {
	sel, err := selection(r.Selection)
	if err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	if err := target.selectTopics(sel, r.Scope); err != nil {
		return res, err
	}
	return res, evaluated(sel)
}

func (s *Session) subscribeByFilter(r service.FilterSelection) (res service.FlaggedCount, err error) {
	sel, err := selection(r.Selection)
	if err != nil {
		return res, err
	}
	res = service.FlaggedCount(s.engine.forEach(r.Filter, func(target *Session) error {
		return target.selectTopics(sel, r.Scope)
	}))
	return res, evaluated(sel)
}

func (s *Session) unsubscribeClient(r service.ClientSelection) (res service.Empty, err error) {
	sel, err := selection(r.Selection)
	if err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	return res, s.engine.tree.Unsubscribe(&target.client, sel, r.Scope, service.ByControl)
}

func (s *Session) unsubscribeByFilter(r service.FilterSelection) (res service.FlaggedCount, err error) {
	sel, err := selection(r.Selection)
	if err != nil {
		return res, err
	}
	return service.FlaggedCount(s.engine.forEach(r.Filter, func(target *Session) error {
		return s.engine.tree.Unsubscribe(&target.client, sel, r.Scope, service.ByControl)
	})), nil
}

func (s *Session) unsubscribeClientFromAll(r service.AllScopesRequest) (res service.Empty, err error) {
	sel, err := parse(r.Selector)
	if err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	return res, s.engine.tree.UnsubscribeAll(&target.client, sel, service.ByControl)
}

func (s *Session) unsubscribeFromAllByFilter(r service.AllScopesFilterRequest) (res service.FlaggedCount, err error) {
	sel, err := parse(r.Selector)
	if err != nil {
		return res, err
	}
	return service.FlaggedCount(s.engine.forEach(r.Filter, func(target *Session) error {
		return s.engine.tree.UnsubscribeAll(&target.client, sel, service.ByControl)
	})), nil
}

// selectors returns what a session selects.
func (s *Session) selectors(r service.SessionRequest) (res service.ScopedSelectors, err error) {
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	res, size := target.client.Selections()
	if size > s.engine.cfg.MaxResultSize {
		return nil, wire.Errorf(wire.CodeCommunicationFailure, "the session has so many selections that they are too long for one answer")
	}
	return res, nil
}
