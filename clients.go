package advect

import (
	"context"
	"errors"
	"fmt"

	"advect.dev/internal/service"
)

// Clients is what a session does with other sessions, its own included (protocol
// 31). Each operation is for one session, by its id, or, as "ByFilter", for all
// that a session filter selects; those return how many they were.
//
// A session filter is an expression over session properties, such as
//
//	$Principal is 'alice' and not (tier eq 'free')
//	hasRoles ['trader' 'admin'] or $Country in ['GB','US']
//	$ClientIP matches '10\\..*' and has location
//	all
//
// [FilterString] quotes values. What is not a filter is an error that matches
// [ErrInvalidFilter], a [*ScriptError] that says where the mistake is. An id of no
// open session is an error that matches [ErrNoSuchSession].
//
// Looking at sessions takes the permission VIEW_SESSION, changing one by its id
// MODIFY_SESSION, and changing those of a filter both. All methods may be used
// concurrently.
type Clients struct{ session *Session }

// Clients returns the control of sessions.
func (s *Session) Clients() *Clients { return &Clients{s} }

// Properties returns session properties of a session by their keys.
// [AllFixedProperties] and [AllUserProperties] are keys too. Those that it does
// not have are left out. For those of this session see [Session.Properties].
func (c *Clients) Properties(ctx context.Context, session SessionID, keys ...string) (map[string]string, error) {
	res, err := call(ctx, c.session, service.GetSessionProperties, service.PropertiesQuery{Session: session, Keys: keys})
	if err == nil && !res.Present {
		err = ErrNoSuchSession
	}
	if err != nil {
		return nil, fmt.Errorf("get properties of session %s: %w", session, err)
	}
	return res.Properties, nil
}

// SetProperties sets session properties of a session, and removes those of the
// keys that follow; it may do only one of the two. It returns what that changed.
// User properties can have any key that does not start with $. Of the others only
// $Country, $Language, $Latitude and $Longitude can be set, and none can be removed;
// attempts are ignored.
func (c *Clients) SetProperties(ctx context.Context, session SessionID, set map[string]string, remove ...string) (PropertyChanges, error) {
	res, err := call(ctx, c.session, service.SetSessionProperties, service.PropertiesRequest{
		Session: session, PropertyChanges: service.PropertyChanges{Set: set, Remove: remove},
	})
	if err != nil {
		return PropertyChanges{}, fmt.Errorf("set properties of session %s: %w", session, err)
	}
	return PropertyChanges{Old: res.Values, Added: res.Added}, nil
}

// SetPropertiesByFilter is [Clients.SetProperties] for the sessions of a filter.
func (c *Clients) SetPropertiesByFilter(ctx context.Context, filter string, set map[string]string, remove ...string) (sessions int, err error) {
	return filtered(ctx, c, "set properties", service.SetSessionPropertiesFilter, filter, service.FilterPropertiesRequest{
		Filter: filter, PropertyChanges: service.PropertyChanges{Set: set, Remove: remove},
	})
}

// Close closes a session: it sees [ErrClosedByServer], and cannot reconnect. Its
// close reason is [SessionClosedByController].
func (c *Clients) Close(ctx context.Context, session SessionID) error {
	return single(ctx, c, "close", service.CloseClient, session, service.SessionRequest{Session: session})
}

// CloseByFilter is [Clients.Close] for the sessions of a filter. If this session
// is one of them, it is closed too, and may not learn how many they were.
func (c *Clients) CloseByFilter(ctx context.Context, filter string) (sessions int, err error) {
	return filtered(ctx, c, "close", service.CloseClientFilter, filter, service.Text(filter))
}

// SetConflated switches conflation on or off for a session: whether values that
// wait to be sent to it may be replaced by newer ones of the same topic.
func (c *Clients) SetConflated(ctx context.Context, session SessionID, conflated bool) error {
	return single(ctx, c, "set conflation of", service.SetClientConflation, session, service.ConflationRequest{Session: session, Conflate: conflated})
}

// SetConflatedByFilter is [Clients.SetConflated] for the sessions of a filter.
func (c *Clients) SetConflatedByFilter(ctx context.Context, filter string, conflated bool) (sessions int, err error) {
	return filtered(ctx, c, "set conflation of", service.SetClientConflationFilter, filter, service.FilterConflationRequest{Filter: filter, Conflate: conflated})
}

var errNoRoles = errors.New("no roles to remove or to add")

// ChangeRoles takes roles from a session and gives it others; either list may be
// empty, but not both. Roles to remove that it does not have, and roles to add
// that it has, do not matter. A role in both lists is an error that matches
// [ErrInvalidData].
func (c *Clients) ChangeRoles(ctx context.Context, session SessionID, remove, add []string) error {
	if len(remove)+len(add) == 0 {
		return fmt.Errorf("change roles of session %s: %w", session, errNoRoles)
	}
	return single(ctx, c, "change roles of", service.ChangeAuthorisationRoles, session, service.RolesRequest{
		Session: session, RoleChanges: service.RoleChanges{Remove: remove, Add: add},
	})
}

// ChangeRolesByFilter is [Clients.ChangeRoles] for the sessions of a filter.
func (c *Clients) ChangeRolesByFilter(ctx context.Context, filter string, remove, add []string) (sessions int, err error) {
	if len(remove)+len(add) == 0 {
		return 0, fmt.Errorf("change roles of the sessions of %q: %w", filter, errNoRoles)
	}
	return filtered(ctx, c, "change roles of", service.ChangeAuthorisationRolesFilter, filter, service.FilterRolesRequest{
		Filter: filter, RoleChanges: service.RoleChanges{Remove: remove, Add: add},
	})
}

// Subscribe subscribes a session to the topics that any of the selectors matches,
// as far as it has READ_TOPIC for them, as [Topics.Subscribe] would in that
// session. This session needs the permission SELECT_TOPIC for the selectors too.
func (c *Clients) Subscribe(ctx context.Context, session SessionID, selectors ...string) error {
	return c.SubscribeScope(ctx, session, "", selectors...)
}

// SubscribeScope is [Clients.Subscribe] in a named scope: see
// [Topics.SubscribeScope].
func (c *Clients) SubscribeScope(ctx context.Context, session SessionID, scope string, selectors ...string) error {
	return c.selection(ctx, "subscribe", service.SubscribeClient, session, scope, selectors)
}

// SubscribeByFilter is [Clients.Subscribe] for the sessions that a filter selects
// at this moment.
func (c *Clients) SubscribeByFilter(ctx context.Context, filter string, selectors ...string) (sessions int, err error) {
	return c.SubscribeScopeByFilter(ctx, filter, "", selectors...)
}

// SubscribeScopeByFilter is [Clients.SubscribeByFilter] in a named scope.
func (c *Clients) SubscribeScopeByFilter(ctx context.Context, filter, scope string, selectors ...string) (sessions int, err error) {
	return c.filterSelection(ctx, "subscribe", service.FilterSubscribe, filter, scope, selectors)
}

// Unsubscribe ends a session's subscription to the topics that any of the
// selectors matches. See [Topics.Unsubscribe].
func (c *Clients) Unsubscribe(ctx context.Context, session SessionID, selectors ...string) error {
	return c.UnsubscribeScope(ctx, session, "", selectors...)
}

// UnsubscribeScope is [Clients.Unsubscribe] in a named scope.
func (c *Clients) UnsubscribeScope(ctx context.Context, session SessionID, scope string, selectors ...string) error {
	return c.selection(ctx, "unsubscribe", service.UnsubscribeClient, session, scope, selectors)
}

// UnsubscribeByFilter is [Clients.Unsubscribe] for the sessions of a filter.
func (c *Clients) UnsubscribeByFilter(ctx context.Context, filter string, selectors ...string) (sessions int, err error) {
	return c.UnsubscribeScopeByFilter(ctx, filter, "", selectors...)
}

// UnsubscribeScopeByFilter is [Clients.UnsubscribeByFilter] in a named scope.
func (c *Clients) UnsubscribeScopeByFilter(ctx context.Context, filter, scope string, selectors ...string) (sessions int, err error) {
	return c.filterSelection(ctx, "unsubscribe", service.FilterUnsubscribe, filter, scope, selectors)
}

// UnsubscribeAllScopes is [Clients.Unsubscribe] in every scope that the session uses.
func (c *Clients) UnsubscribeAllScopes(ctx context.Context, session SessionID, selectors ...string) error {
	expression, err := join(selectors)
	if err != nil {
		return fmt.Errorf("unsubscribe session %s: %w", session, err)
	}
	return single(ctx, c, "unsubscribe", service.UnsubscribeAllControl, session, service.AllScopesRequest{Selector: expression, Session: session})
}

// UnsubscribeAllScopesByFilter is [Clients.UnsubscribeAllScopes] for the sessions
// of a filter.
func (c *Clients) UnsubscribeAllScopesByFilter(ctx context.Context, filter string, selectors ...string) (sessions int, err error) {
	expression, err := join(selectors)
	if err != nil {
		return 0, fmt.Errorf("unsubscribe the sessions of %q: %w", filter, err)
	}
	return flagged(ctx, c, "unsubscribe", service.UnsubscribeAllByFilter, filter, service.AllScopesFilterRequest{Selector: expression, Filter: filter})
}

func (c *Clients) selection(ctx context.Context, verb string, svc *service.Service[service.ClientSelection, service.Empty], session SessionID, scope string, selectors []string) error {
	expression, err := join(selectors)
	if err != nil {
		return fmt.Errorf("%s session %s: %w", verb, session, err)
	}
	return single(ctx, c, verb, svc, session, service.ClientSelection{
		Session: session, Selection: service.Selection{Selector: expression, Scope: scope},
	})
}

func (c *Clients) filterSelection(ctx context.Context, verb string, svc *service.Service[service.FilterSelection, service.FlaggedCount], filter, scope string, selectors []string) (int, error) {
	expression, err := join(selectors)
	if err != nil {
		return 0, fmt.Errorf("%s the sessions of %q: %w", verb, filter, err)
	}
	return flagged(ctx, c, verb, svc, filter, service.FilterSelection{
		Filter: filter, Selection: service.Selection{Selector: expression, Scope: scope},
	})
}

// A TopicSelection is a step of what a session has selected.
type TopicSelection struct {
	Selector string
	// Deselected says that the topics were taken out again, of what was selected
	// before.
	Deselected bool
}

// Selections returns what a session has selected, by scope, in the order in which
// it did. "" is the scope of [Topics.Subscribe]. Steps without effect are left out.
func (c *Clients) Selections(ctx context.Context, session SessionID) (map[string][]TopicSelection, error) {
	res, err := call(ctx, c.session, service.GetSelectors, service.SessionRequest{Session: session})
	if err != nil {
		return nil, fmt.Errorf("get selections of session %s: %w", session, err)
	}
	scopes := make(map[string][]TopicSelection, len(res))
	for scope, changes := range res {
		for _, change := range changes {
			scopes[scope] = append(scopes[scope], TopicSelection{change.Selector, change.Kind == service.Deselected})
		}
	}
	return scopes, nil
}

// single makes a request about one session.
func single[Req any](ctx context.Context, c *Clients, verb string, svc *service.Service[Req, service.Empty], session SessionID, req Req) error {
	if _, err := call(ctx, c.session, svc, req); err != nil {
		return fmt.Errorf("%s session %s: %w", verb, session, err)
	}
	return nil
}

// filtered makes a request about the sessions of a filter.
func filtered[Req any](ctx context.Context, c *Clients, verb string, svc *service.Service[Req, service.CountOrErrors], filter string, req Req) (int, error) {
	res, err := call(ctx, c.session, svc, req)
	if err == nil {
		err = filterError(res.Errors)
	}
	if err != nil {
		return 0, fmt.Errorf("%s the sessions of %q: %w", verb, filter, err)
	}
	return int(res.Count), nil
}

// flagged is filtered for the older form of the answer.
func flagged[Req any](ctx context.Context, c *Clients, verb string, svc *service.Service[Req, service.FlaggedCount], filter string, req Req) (int, error) {
	res, err := call(ctx, c.session, svc, req)
	if err == nil {
		err = filterError(res.Errors)
	}
	if err != nil {
		return 0, fmt.Errorf("%s the sessions of %q: %w", verb, filter, err)
	}
	return int(res.Count), nil
}

// A LockHolder says who holds a session lock.
type LockHolder struct {
	Session  SessionID
	Server   string // the name of the session's server
	Sequence int64  // of the acquisition: see [Lock.Sequence]
}

// LockHolder returns who holds a session lock, and whether anybody does (protocol
// 33 section 6). It takes the permission VIEW_SERVER.
func (c *Clients) LockHolder(ctx context.Context, name string) (holder LockHolder, held bool, err error) {
	res, err := call(ctx, c.session, service.GetSessionLock, service.Text(name))
	if err != nil {
		return LockHolder{}, false, fmt.Errorf("get holder of lock %s: %w", name, err)
	}
	return lockHolder(res.LockDetails), res.Held, nil
}

// LockHolders returns who holds which session locks, by the names of the locks. It
// takes the permission VIEW_SERVER.
func (c *Clients) LockHolders(ctx context.Context) (map[string]LockHolder, error) {
	res, err := call(ctx, c.session, service.GetSessionLocks, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("get holders of locks: %w", err)
	}
	holders := make(map[string]LockHolder, len(res))
	for name, details := range res {
		holders[name] = lockHolder(details)
	}
	return holders, nil
}

func lockHolder(d service.LockDetails) LockHolder {
	return LockHolder{Session: d.Owner, Server: d.Server, Sequence: d.Sequence}
}
