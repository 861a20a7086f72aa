package gosdk

import (
	"errors"
	"fmt"
	"slices"

	"advect.dev"
)

// Subscriptions of other sessions.

const selectionsGroup = "Control of subscriptions"

var selections = []scenario{
	{"selections.subscribe", selectionsGroup, "another session is subscribed by its id, now and to topics that are added later, and unsubscribed", both, selectionsSubscribe},
	{"selections.by-filter", selectionsGroup, "all sessions of a filter are subscribed and unsubscribed; the answer is how many it selects", ws, selectionsByFilter},
	{"selections.scopes", selectionsGroup, "selections are made in scopes, removed in one or in all of them, by id and by filter, and can be read", ws, selectionsScopes},
	{"selections.permissions-of-the-client", selectionsGroup, "the client need not have SELECT_TOPIC, but gets only what it may read", ws, selectionsPermissions},
	{"selections.refused", selectionsGroup, "a selector that is none, a session that is not there, a caller who may not", ws, selectionsRefused},
}

// A selecting has a client that is subscribed by a controller to topics a, b and
// b/c of a branch.
type selecting struct {
	control publisher
	client  *advect.Session
	branch  string
	stream  streamRecord
}

func (s *scene) selecting() selecting {
	s.t.Helper()
	f := selecting{control: s.owner(), client: s.connect(), branch: s.path()}
	for _, name := range []string{"a", "b", "b/c"} {
		f.control.add(f.branch+"/"+name, advect.String)
	}
	f.stream = watch[text](s, f.client, "?"+f.branch+"//")
	return f
}

func selectionsSubscribe(s *scene) {
	f := s.selecting()
	c := f.control.Clients()
	s.none(c.Subscribe(s.ctx, f.client.ID(), "?"+f.branch+"/b//"), "subscribe")
	s.await(f.stream, subscribe, 2)
	f.control.add(f.branch+"/b/later", advect.String)
	s.equal(s.await(f.stream, subscribe, 3).path, f.branch+"/b/later", "topic added later")
	s.none(c.Unsubscribe(s.ctx, f.client.ID(), f.branch+"/b/c"), "unsubscribe")
	lost := s.await(f.stream, unsubscribe, 1)
	s.equal(lost.path, f.branch+"/b/c", "topic lost")
	s.equal(lost.reason, advect.UnsubscribeByControl, "reason")
	s.none(c.Subscribe(s.ctx, f.client.ID(), f.branch+"/a", f.branch+"/b/c"), "subscribe")
	s.await(f.stream, subscribe, 5)
}

func selectionsByFilter(s *scene) {
	f := s.selecting()
	c := f.control.Clients()
	other := s.connect()
	others := watch[text](s, other, "?"+f.branch+"//")
	s.selects(2)(c.SubscribeByFilter(s.ctx, among(f.client, other), f.branch+"/a"))
	s.await(f.stream, subscribe, 1)
	s.await(others, subscribe, 1)
	s.selects(1)(c.UnsubscribeByFilter(s.ctx, among(other), f.branch+"/a"))
	s.await(others, unsubscribe, 1)
	s.selects(0)(c.SubscribeByFilter(s.ctx, among(f.client)+" and has nothing", f.branch+"/b"))
	s.ping(f.client)
	s.equal(f.stream.kinds(), "subscribe", "events of the first")
}

// chosen returns the selections of a session as text.
func (s *scene) chosen(by, session *advect.Session) map[string][]string {
	s.t.Helper()
	all, err := by.Clients().Selections(s.ctx, session.ID())
	s.none(err, "selections")
	got := map[string][]string{}
	for scope, list := range all {
		for _, one := range list {
			got[scope] = append(got[scope], fmt.Sprint(one))
		}
	}
	return got
}

func selectionsScopes(s *scene) {
	f := s.selecting()
	c, id := f.control.Clients(), f.client.ID()
	s.equal(len(s.chosen(f.control.Session, f.client)), 0, "selections at first")
	s.none(c.SubscribeScope(s.ctx, id, "one", f.branch+"/a"), "subscribe")
	s.selects(1)(c.SubscribeScopeByFilter(s.ctx, among(f.client), "two", f.branch+"/a"))
	s.none(c.Subscribe(s.ctx, id, "?"+f.branch+"/b//"), "subscribe")
	s.await(f.stream, subscribe, 3)
	scopes := func(want ...string) {
		s.t.Helper()
		var got []string
		for scope := range s.chosen(f.control.Session, f.client) {
			got = append(got, scope)
		}
		slices.Sort(got)
		s.equal(fmt.Sprintf("%q", got), fmt.Sprintf("%q", want), "scopes")
	}
	scopes("", "one", "two")
	s.none(c.UnsubscribeScope(s.ctx, id, "one", f.branch+"/a"), "unsubscribe")
	s.none(c.Unsubscribe(s.ctx, id, f.branch+"/b/c"), "unsubscribe")
	s.equal(s.await(f.stream, unsubscribe, 1).path, f.branch+"/b/c", "the scope two still selects a")
	scopes("", "two")
	s.equal(len(s.chosen(f.control.Session, f.client)[""]), 2, "steps of the default scope")
	s.none(c.UnsubscribeAllScopes(s.ctx, id, f.branch+"/a"), "unsubscribe")
	s.equal(s.await(f.stream, unsubscribe, 2).path, f.branch+"/a", "in all scopes")
	s.selects(1)(c.UnsubscribeAllScopesByFilter(s.ctx, among(f.client), "?.*//"))
	s.equal(s.await(f.stream, unsubscribe, 3).path, f.branch+"/b", "in all scopes, by filter")
	scopes()
}

func selectionsPermissions(s *scene) {
	port := s.serve().port
	control, client := publisher{s.at(port, as("control")...), s}, s.at(port)
	control.add("a/open", advect.String)
	control.add("a/secret", advect.String)
	s.govern(port, "set 'CLIENT' path 'a' permissions [READ_TOPIC]", "set 'CLIENT' path 'a/secret' permissions []",
		"set 'TOPIC_CONTROL' path 'a' permissions [SELECT_TOPIC, MODIFY_TOPIC]", "set 'TOPIC_CONTROL' path 'a/secret' permissions [SELECT_TOPIC]")
	stream := watch[text](s, client, "?a//")
	s.denied(client.Topics().Subscribe(s.ctx, "?a//"), "a selection of its own")
	s.none(control.Clients().Subscribe(s.ctx, client.ID(), "?a//"), "subscribe")
	s.equal(s.await(stream, subscribe, 1).path, "a/open", "topic")
	s.ping(client)
	s.equal(stream.kinds(), "subscribe", "events")
}

func selectionsRefused(s *scene) {
	control, client := s.control(), s.connect()
	gone := s.closedSession()
	for what, call := range map[string]struct {
		one    func(*advect.Session, advect.SessionID, string) error
		filter func(*advect.Session, string, string) error
	}{
		"subscribe": {
			func(by *advect.Session, id advect.SessionID, selector string) error {
				return by.Clients().Subscribe(s.ctx, id, selector)
			},
			func(by *advect.Session, filter, selector string) error {
				_, err := by.Clients().SubscribeByFilter(s.ctx, filter, selector)
				return err
			},
		},
		"unsubscribe": {
			func(by *advect.Session, id advect.SessionID, selector string) error {
				return by.Clients().Unsubscribe(s.ctx, id, selector)
			},
			func(by *advect.Session, filter, selector string) error {
				_, err := by.Clients().UnsubscribeByFilter(s.ctx, filter, selector)
				return err
			},
		},
		"unsubscribe in all scopes": {
			func(by *advect.Session, id advect.SessionID, selector string) error {
				return by.Clients().UnsubscribeAllScopes(s.ctx, id, selector)
			},
			func(by *advect.Session, filter, selector string) error {
				_, err := by.Clients().UnsubscribeAllScopesByFilter(s.ctx, filter, selector)
				return err
			},
		},
	} {
		for _, err := range []error{call.one(control, client.ID(), "?a["), call.filter(control, "all", "?a[")} {
			// The SDK finds some mistakes itself, and those of regular expressions are for the server.
			s.ok(errors.Is(err, advect.ErrInvalidSelector) || errors.Is(err, advect.ErrInvalidData), "%s of a selector that is none: %v", what, err)
		}
		s.is(call.one(control, gone, "a"), what+": closed session", advect.ErrNoSuchSession)
		s.denied(call.one(client, control.ID(), "a"), what+": without MODIFY_SESSION")
		s.denied(call.filter(client, "all", "a"), what+": without MODIFY_SESSION, by filter")
		s.denied(call.one(control, client.ID(), "?Diffusion//"), what+": without SELECT_TOPIC")
		s.denied(call.filter(control, "all", "?Diffusion//"), what+": without SELECT_TOPIC, by filter")
	}
	_, err := control.Clients().Selections(s.ctx, gone)
	s.is(err, "selections of a closed session", advect.ErrNoSuchSession)
	_, err = client.Clients().Selections(s.ctx, client.ID())
	s.denied(err, "selections without VIEW_SESSION")
}
