package advect

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
)

// Topics is what a session does with topics: it adds, updates, fetches and
// removes them, subscribes to them, and gives their values to streams
// ([AddStream], [Events], [Values]). Get it from [Session.Topics].
//
// Paths may have one leading and one trailing slash, which do not count.
// Wherever a selector is expected a path is one too.
//
// All methods may be called concurrently. Those with a context send one request
// and wait for the answer; when the context is done before it arrives, the
// server may still act on the request. Errors of the server are a
// [*ServiceError]; besides those that a method names, any method can fail with
// [ErrPermissionDenied], and in the ways in which any call can fail:
// [ErrNotConnected], [ErrMessageLoss], [ErrMessageTooLarge], ctx is done, the
// session has closed.
type Topics struct {
	session  *Session
	report   func(error) // to the session's error listener; not called with mu held
	maxValue int         // the longest value in bytes that a delta may make
	mailbox  *mailbox    // of the callbacks
	scopes   atomic.Int64

	mu          sync.Mutex
	byID        map[int32]*cachedTopic
	byPath      map[string]*cachedTopic
	streams     []*stream
	dispatching bool   // the goroutine that runs callbacks was started
	unknown     *int32 // the last unknown id that was reported
	reason      error  // why the session closed; nil while it is open
}

// newTopics returns the topics of a session. They start no goroutine before a
// stream is added; it ends after closed, when the callbacks have been told.
func newTopics(s *Session) *Topics {
	t := newCache(s.reportError, s.maxMessageSize())
	t.session = s
	return t
}

// newCache returns a Topics without a session, which can make no requests.
func newCache(report func(error), maxValue int) *Topics {
	return &Topics{
		report: report, maxValue: maxValue,
		mailbox: newMailbox(),
		byID:    make(map[int32]*cachedTopic),
		byPath:  make(map[string]*cachedTopic),
	}
}

// Topics returns the session's topics.
func (s *Session) Topics() *Topics { return s.topics }

// AddResult says whether a topic was there already.
type AddResult byte

// The results of adding.
const (
	TopicCreated AddResult = 0 // the topic is new
	TopicExists  AddResult = 1 // there was one with the same specification
)

// String returns "created" or "exists".
func (r AddResult) String() string {
	if r == TopicCreated {
		return "created"
	}
	return "exists"
}

// Add adds a topic (protocol 22 section 2). It has no value until it is set. The
// session needs the permission MODIFY_TOPIC.
//
// Errors: [ErrTopicExists] if there is a topic with another specification,
// [ErrIncompatibleTopic] if there is one that something else manages,
// [ErrInvalidTopicPath], [ErrInvalidSpecification].
func (t *Topics) Add(ctx context.Context, path string, specification Specification) (AddResult, error) {
	if strings.Trim(path, "/") == "" {
		return 0, fmt.Errorf("add topic with an empty path: %w", ErrInvalidTopicPath)
	}
	created, err := call(ctx, t.session, service.TopicAdd, service.AddRequest{Path: path, Specification: specification})
	if err != nil {
		return 0, fmt.Errorf("add topic %s: %w", path, err)
	}
	return AddResult(created), nil
}

// Remove removes the topics that any of the selectors matches, and returns how
// many they were (protocol 22 section 3). Topics for which the session has no
// permission MODIFY_TOPIC stay, without an error. A path stands for one topic,
// never for those below it: for a whole branch use a selector such as "?a/b//".
//
// A selector that is not one is an error that matches [ErrInvalidSelector], or
// [ErrInvalidData] if it is the server that refuses it, for a regular expression.
func (t *Topics) Remove(ctx context.Context, selectors ...string) (removed int, err error) {
	expression, err := join(selectors)
	if err != nil {
		return 0, fmt.Errorf("remove topics: %w", err)
	}
	n, err := call(ctx, t.session, service.TopicRemoval, service.Text(expression))
	if err != nil {
		return 0, fmt.Errorf("remove topics %s: %w", expression, err)
	}
	return int(n), nil
}

// Subscribe subscribes the session to the topics that any of the selectors
// matches: those that exist, and those that are added later. When it returns,
// the current values of the existing ones have arrived and are on their way to
// streams, which must be added separately; [Values] does both.
//
// Topics that are already subscribed stay so, and their values are not sent again.
// The session needs the permission SELECT_TOPIC for what it selects, and
// receives the topics for which it has READ_TOPIC.
//
// A selector that is not one is an error that matches [ErrInvalidSelector], or
// [ErrInvalidData] if it is the server that refuses it, for a regular expression.
func (t *Topics) Subscribe(ctx context.Context, selectors ...string) error {
	return t.SubscribeScope(ctx, "", selectors...)
}

// SubscribeScope is [Topics.Subscribe] in a named scope (protocol 21 section 3).
// A session is subscribed to a topic while it is selected in at least one
// scope, so parts of a program that each use a scope of their own do not
// unsubscribe each other. The scope "" is the one of Subscribe. Names are
// case-sensitive, and must not start with $.
func (t *Topics) SubscribeScope(ctx context.Context, scope string, selectors ...string) error {
	return t.selection(ctx, "subscribe", service.Subscribe, scope, selectors)
}

// Unsubscribe ends the subscription to the topics that any of the selectors
// matches, as far as no other scope selects them. It takes no permission, and
// nothing need have been subscribed. The selectors need not be those of Subscribe:
// from a wide selection one can take out a part.
//
// A selector that is not one is an error that matches [ErrInvalidSelector], or
// [ErrInvalidData] if it is the server that refuses it, for a regular expression.
func (t *Topics) Unsubscribe(ctx context.Context, selectors ...string) error {
	return t.UnsubscribeScope(ctx, "", selectors...)
}

// UnsubscribeScope is [Topics.Unsubscribe] in a named scope.
func (t *Topics) UnsubscribeScope(ctx context.Context, scope string, selectors ...string) error {
	return t.selection(ctx, "unsubscribe", service.Unsubscribe, scope, selectors)
}

// UnsubscribeAllScopes is [Topics.Unsubscribe] in every scope that the session uses.
func (t *Topics) UnsubscribeAllScopes(ctx context.Context, selectors ...string) error {
	expression, err := join(selectors)
	if err != nil {
		return fmt.Errorf("unsubscribe: %w", err)
	}
	if _, err := call(ctx, t.session, service.UnsubscribeAll, service.Text(expression)); err != nil {
		return fmt.Errorf("unsubscribe %s: %w", expression, err)
	}
	return nil
}

func (t *Topics) selection(ctx context.Context, verb string, svc *service.Service[service.Selection, service.Empty], scope string, selectors []string) error {
	if strings.HasPrefix(scope, "$") {
		return fmt.Errorf("%s: scope %q: names that start with $ are reserved", verb, scope)
	}
	expression, err := join(selectors)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if _, err := call(ctx, t.session, svc, service.Selection{Selector: expression, Scope: scope}); err != nil {
		return fmt.Errorf("%s %s: %w", verb, expression, err)
	}
	return nil
}

// JoinSelectors returns one selector that matches what any of the given ones
// matches, for calls that take only one. It fails, matching
// [ErrInvalidSelector], if one of them is not a selector.
func JoinSelectors(selectors ...string) (string, error) { return selector.Join(selectors...) }

var errNoSelector = errors.New("no selector given")

// join returns the one expression for several selectors (protocol 13 section 3).
func join(selectors []string) (string, error) {
	if len(selectors) == 0 {
		return "", errNoSelector
	}
	return selector.Join(selectors...)
}
