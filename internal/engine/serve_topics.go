package engine

import (
	"strings"

	"advect.dev/internal/security"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// selectors are those that sessions use.
var selectors selector.Cache

// parse parses a selector; the error is INVALID_DATA.
func parse(expression string) (*selector.Selector, error) {
	sel, err := selectors.Parse(expression)
	if err != nil {
		return nil, wire.Errorf(wire.CodeInvalidData, "%v", err)
	}
	return sel, nil
}

// prefix returns the path on which SELECT_TOPIC is needed. What does not parse
// is refused later, with a better error.
func prefix(expression string) string {
	if sel, err := selectors.Parse(expression); err == nil {
		return sel.Prefix()
	}
	return ""
}

func selectionPrefix(r *service.Selection) string { return prefix(r.Selector) }
func queryPrefix(r *service.Query) string         { return prefix(r.Selector) }

// selection parses a selector and checks its scope.
func selection(r service.Selection) (*selector.Selector, error) {
	if strings.HasPrefix(r.Scope, "$") {
		return nil, wire.Errorf(wire.CodeInvalidData, "scope %q: names that start with $ are reserved", r.Scope)
	}
	return parse(r.Selector)
}

func (s *Session) subscribe(r service.Selection) (res service.Empty, err error) {
	sel, err := selection(r)
	if err != nil {
		return res, err
	}
	if err := s.selectTopics(sel, r.Scope); err != nil {
		return res, err
	}
	return res, evaluated(sel)
}

// selectTopics adds a selection to those of the session, at whoever's request.
func (s *Session) selectTopics(sel *selector.Selector, scope string) error {
	s.settle()
	matches, err := s.engine.tree.Subscribe(&s.client, sel, scope)
	if err != nil {
		return err
	}
	if !matches {
		s.engine.missing.notify(s, sel)
	}
	return nil
}

func (s *Session) unsubscribe(r service.Selection) (res service.Empty, err error) {
	sel, err := selection(r)
	if err != nil {
		return res, err
	}
	return res, s.engine.tree.Unsubscribe(&s.client, sel, r.Scope, service.Requested)
}

func (s *Session) unsubscribeAll(r service.Text) (res service.Empty, err error) {
	sel, err := parse(string(r))
	if err != nil {
		return res, err
	}
	return res, s.engine.tree.UnsubscribeAll(&s.client, sel, service.Requested)
}

func (s *Session) addTopic(r service.AddRequest) (service.Created, error) {
	return s.engine.tree.Add(s.author(), &r)
}

// An authored is the session as the author of what it changes, made when it first
// changes something.
type authored struct {
	tree.Author
	identity *identity // that it was made of
}

// author returns who the session changes topics as.
func (s *Session) author() *tree.Author {
	id := s.identity.Load()
	a := s.authored.Load()
	if a == nil || a.identity != id {
		a = &authored{tree.Author{Principal: id.principal, Session: s.id, Roles: id.roles}, id}
		s.authored.Store(a)
	}
	return &a.Author
}

func (s *Session) removeTopics(r service.Text) (service.Count, error) {
	sel, err := parse(string(r))
	if err != nil {
		return 0, err
	}
	id := s.identity.Load()
	removed := s.engine.tree.Remove(sel, func(n *tree.Topic) bool { return id.may(security.ModifyTopic, n) })
	return service.Count(removed), evaluated(sel)
}

// evaluated returns INVALID_DATA for a selector whose pattern was given up on
// some path because it took too long, so that the result may lack topics.
func evaluated(sel *selector.Selector) error {
	if err := sel.Err(); err != nil {
		return wire.Errorf(wire.CodeInvalidData, "%v", err)
	}
	return nil
}

func (s *Session) fetch(q service.Query) (res service.QueryResult, err error) {
	sel, err := parse(q.Selector)
	if err != nil {
		return res, err
	}
	res = s.engine.tree.Fetch(&q, sel, s.engine.cfg.MaxResultSize, s.CanRead)
	return res, evaluated(sel)
}
