package advect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"advect.dev/internal/service"
)

// NotificationKind says what happened to a topic, or to a listener's selection
// of it.
type NotificationKind byte

// The kinds of notifications.
const (
	NotificationAdded      NotificationKind = 0 // a topic was added
	NotificationSelected   NotificationKind = 1 // the listener has selected a topic that was there already
	NotificationRemoved    NotificationKind = 2 // a topic was removed
	NotificationDeselected NotificationKind = 3 // the listener no longer selects a topic, which may still be there
)

// String returns the platform's name of the kind, such as "ADDED".
func (k NotificationKind) String() string { return service.TopicEventKind(k).String() }

// A TopicNotification says that a topic has come or gone. There is none for
// values.
type TopicNotification struct {
	Path string
	Kind NotificationKind
	// Direct says that the listener's selectors match the path. Otherwise the
	// topic is an immediate descendant of a path that they match: the first topic
	// on a branch below it (protocol 25 section 4).
	Direct bool
	// Specification is that of the topic, if Direct. It is shared: do not modify
	// its properties.
	Specification Specification
}

// notificationBuffer is the default of TopicListener.Buffer.
const notificationBuffer = 1 << 20

// A TopicListener is a set of callbacks that are told which topics come and go
// (protocol 25). They run on a goroutine of the listener's own, one after the
// other, in the order of the server's events, and may use the session freely.
type TopicListener struct {
	// OnNotification tells of a topic.
	OnNotification func(TopicNotification)
	// OnClose tells that nothing follows. The error is nil after
	// [TopicListenerHandle.Close]. Otherwise it says why: [ErrSlowListener],
	// the server has ended the listener, the session has closed, or it
	// reconnected with message loss, which matches [ErrMessageLoss]; then add
	// the listener anew. It may be nil.
	OnClose func(error)
	// Buffer is how many notifications may wait for OnNotification. When it is
	// full the listener is closed, since one that misses a topic has no way to
	// find out. Selecting yields a notification for every topic that is there.
	// Default: 1048576, which take about 100 MB.
	Buffer int
}

// ErrSlowListener is matched by the error of a listener that was closed because
// its buffer was full: see [TopicListener].
var ErrSlowListener = errors.New("listener too slow: its buffer of notifications is full")

// A TopicListenerHandle stands for a listener that was added. All methods may be
// called concurrently.
type TopicListenerHandle struct{ listener *topicListener }

// A topicListener is a listener with a consumer of any kind.
type topicListener struct {
	topics *Topics
	id     int64
	inbox  *inbox[TopicNotification]
}

func (l *topicListener) closed(err error) { l.inbox.end(err, false) }

// AddListener adds a listener for topics that come and go. It sends nothing,
// and the listener is told nothing, before [TopicListenerHandle.Select]. It
// fails if the session has closed. For a loop instead of callbacks see
// [Notifications].
func (t *Topics) AddListener(listener TopicListener) (*TopicListenerHandle, error) {
	l, err := t.listen(listener.Buffer)
	if err != nil {
		return nil, err
	}
	go l.inbox.deliver(listener.OnNotification, listener.OnClose)
	return &TopicListenerHandle{l}, nil
}

func (t *Topics) listen(buffer int) (l *topicListener, err error) {
	if buffer < 1 {
		buffer = notificationBuffer
	}
	l = &topicListener{topics: t, inbox: newInbox[TopicNotification](buffer)}
	if l.id, err = t.session.converse(l); err != nil {
		return nil, fmt.Errorf("add topic listener: %w", err)
	}
	return l, nil
}

// Select adds the topics that any of the selectors matches, now and in future,
// to what the listener is told of. When it returns the listener has been sent a
// [NotificationSelected] for each topic that is there and was not yet selected.
// The session needs the permission SELECT_TOPIC, and is told of topics for
// which it has READ_TOPIC.
//
// A selector that is not one is an error that matches [ErrInvalidSelector]. The
// listener goes on after any error, other than that it is closed.
func (h *TopicListenerHandle) Select(ctx context.Context, selectors ...string) error {
	return h.listener.selection(ctx, "select", service.NotificationSelection, selectors)
}

// Deselect takes the topics that any of the selectors matches out of what the
// listener is told of. Before it returns the listener is sent a
// [NotificationDeselected] for each of them that was selected. The selectors
// need not be those of Select.
func (h *TopicListenerHandle) Deselect(ctx context.Context, selectors ...string) error {
	return h.listener.selection(ctx, "deselect", service.NotificationDeselection, selectors)
}

// Close ends the listener and waits for the server to take note. Notifications that
// it has not yet been given are dropped, then OnClose is called with nil. A
// callback that was about to begin when Close was called may still run. The
// listener is closed even if Close fails; closing again does nothing.
func (h *TopicListenerHandle) Close(ctx context.Context) error { return h.listener.close(ctx) }

func (l *topicListener) selection(ctx context.Context, verb string, svc *service.Service[service.ListenerSelection, service.Empty], selectors []string) error {
	expression, err := join(selectors)
	if err != nil {
		return fmt.Errorf("topic listener: %s: %w", verb, err)
	}
	if err := l.inbox.ended(); err != nil {
		return fmt.Errorf("topic listener: %s %s: the listener has ended: %w", verb, expression, err)
	}
	_, err = call(ctx, l.topics.session, svc, service.ListenerSelection{Listener: l.id, Selector: expression})
	if err != nil {
		return fmt.Errorf("topic listener: %s %s: %w", verb, expression, err)
	}
	return nil
}

func (l *topicListener) close(ctx context.Context) error {
	open := l.topics.session.discard(l.id)
	l.inbox.end(errHandlerClosed, true)
	if !open {
		return nil
	}
	_, err := call(ctx, l.topics.session, service.NotificationDeregistration, service.Conversation(l.id))
	if err != nil {
		return fmt.Errorf("close topic listener: %w", err)
	}
	return nil
}

// notify gives a notification to its listener.
func (s *Session) notify(id int64, n TopicNotification) {
	l, ok := handler[*topicListener](s, id)
	if !ok || l.inbox.put(n) || l.inbox.ended() != nil {
		return
	}
	s.endConversation(id, ErrSlowListener)
	// Nobody waits for the answer; the request ends with the session at the latest.
	go call(s.ctx, s, service.NotificationDeregistration, service.Conversation(id))
}

// Notifications yields which topics come and go: first a [NotificationSelected]
// for each topic that the selectors, or paths, match, then every change. See
// [TopicNotification] for those below them.
//
//	for n, err := range advect.Notifications(ctx, session, "?orders//") {
//		if err != nil {
//			return err
//		}
//		fmt.Println(n.Kind, n.Path)
//	}
//
// An error is the last thing that the loop gets; those are of
// [TopicListenerHandle.Select] and of [TopicListener] OnClose. The loop body runs
// on the caller's goroutine; what it has not yet taken waits, up to 1048576
// notifications, beyond which the loop ends with [ErrSlowListener].
func Notifications(ctx context.Context, s *Session, selectors ...string) iter.Seq2[TopicNotification, error] {
	return func(yield func(TopicNotification, error) bool) {
		l, err := s.topics.listen(0)
		if err != nil {
			yield(TopicNotification{}, err)
			return
		}
		ctx, cancel := context.WithCancel(ctx)
		selected := make(chan struct{})
		defer func() {
			cancel()
			go func() {
				<-selected // or the server would hear of the listener again
				l.close(context.WithoutCancel(ctx))
			}()
		}()
		go func() { // the notifications come before the answer
			defer close(selected)
			h := TopicListenerHandle{l}
			if err := h.Select(ctx, selectors...); err != nil && ctx.Err() == nil {
				l.inbox.end(err, false)
			}
		}()
		for {
			n, err := l.inbox.next(ctx)
			if !yield(n, err) || err != nil {
				return
			}
		}
	}
}
