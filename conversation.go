package advect

import (
	"context"
	"errors"
	"sync"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A conversation is a handler of this session that the server talks to by an
// id of the client's (protocol 35). Its methods are called one at a time, on the
// goroutine that reads from the server, and must not block.
type conversation interface {
	// closed is the last call. The error says why: the server's refusal,
	// [ErrMessageLoss], or the reason why the session closed.
	closed(err error)
}

// converse enters a handler and returns its id, from the same counter as those
// of requests.
func (s *Session) converse(h conversation) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state.IsClosed() {
		return 0, s.notConnected()
	}
	id := s.conversations.Add(1)
	s.handlers[id] = h
	return id, nil
}

// discard takes a handler out, without a word to it, and reports whether it was
// there.
func (s *Session) discard(id int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.handlers[id]
	delete(s.handlers, id)
	return ok
}

// abandon discards a handler whose registration has failed. If that was because
// ctx is done the server may have it nevertheless, and is told to forget it, but
// not if the session has another that the same message would end.
func (s *Session) abandon(ctx context.Context, id int64, same func(conversation) bool, deregister func(conversation int64) []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.handlers, id)
	if ctx.Err() == nil || s.state.IsClosed() {
		return
	}
	for _, h := range s.handlers {
		if same(h) {
			return
		}
	}
	s.tell(deregister(s.conversations.Add(1))) // nobody waits for the answer
}

// handler returns the handler of a conversation as an H, if it is one.
func handler[H conversation](s *Session, id int64) (h H, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	h, ok = s.handlers[id].(H)
	return h, ok
}

// endConversation closes a handler that the server has ended (protocol 35
// section 4).
func (s *Session) endConversation(id int64, err error) {
	s.mu.Lock()
	h := s.handlers[id]
	delete(s.handlers, id)
	s.mu.Unlock()
	if h != nil {
		h.closed(err)
	}
}

// endConversations closes all handlers.
func (s *Session) endConversations(err error) {
	s.mu.Lock()
	all := s.handlers
	s.handlers = make(map[int64]conversation)
	s.mu.Unlock()
	for _, h := range all {
		h.closed(err)
	}
}

// serveHandler handles the server's requests to handlers, which name them in
// the body. Those for handlers that are no more are answered and ignored.
func (s *Session) serveHandler(m *wire.Message) {
	switch m.Service {
	case service.TopicEvent.ID:
		if n, ok := decode(s, service.TopicEvent, m); ok {
			s.notify(n.Listener, TopicNotification{
				Path: n.Path, Kind: NotificationKind(n.Kind), Direct: true, Specification: n.Specification,
			})
		}
	case service.DescendantEvent.ID:
		if n, ok := decode(s, service.DescendantEvent, m); ok {
			s.notify(n.Listener, TopicNotification{Path: n.Path, Kind: NotificationKind(n.Kind)})
		}
	case service.MissingTopic.ID:
		req, ok := decodeOnly(s, service.MissingTopic, m)
		if !ok {
			return
		}
		taken := s.missing(req)
		if m.Conversation != 0 {
			s.post(service.MissingTopic.AppendResponse(nil, m.Conversation, service.Bool(taken)))
		}
	case service.SessionPropertiesEvent.ID:
		if events, ok := decode(s, service.SessionPropertiesEvent, m); ok {
			s.sessionEvents(&events)
		}
	case service.FilterResponse.ID:
		if a, ok := decode(s, service.FilterResponse, m); ok {
			s.filterAnswered(a)
		}
	case service.MessagingToHandler.ID:
		s.serveRequestHandler(m)
	case service.Authenticator.ID:
		s.serveAuthenticator(m)
	}
}

// An inbox holds what a handler is yet to be told, between the session's read
// loop and the one goroutine that takes it.
type inbox[T any] struct {
	most  int
	ready chan struct{} // has a token when there may be something to take

	mu    sync.Mutex
	items []T
	err   error // the end, after the items; nil until then
}

func newInbox[T any](most int) *inbox[T] {
	return &inbox[T]{most: most, ready: make(chan struct{}, 1)}
}

// put adds an item, and reports false if there is no room, or no more to come.
func (i *inbox[T]) put(item T) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil || len(i.items) >= i.most {
		return false
	}
	i.items = append(i.items, item)
	i.wakeUp()
	return true
}

// end says that nothing follows, but what is there if drop is false. Only the
// first call counts.
func (i *inbox[T]) end(err error, drop bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.err != nil {
		return
	}
	i.err = err
	if drop {
		i.items = nil
	}
	i.wakeUp()
}

func (i *inbox[T]) wakeUp() {
	select {
	case i.ready <- struct{}{}:
	default:
	}
}

// ended returns the error given to end, or nil.
func (i *inbox[T]) ended() error {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.err
}

// next waits for an item. It fails with the error given to end, and when ctx is
// done, even if there are items.
func (i *inbox[T]) next(ctx context.Context) (item T, err error) {
	for {
		if ctx.Err() != nil {
			return item, context.Cause(ctx)
		}
		i.mu.Lock()
		switch {
		case len(i.items) > 0:
			var none T
			item, i.items[0] = i.items[0], none
			if i.items = i.items[1:]; len(i.items) == 0 {
				i.items = nil
			}
			i.mu.Unlock()
			return item, nil
		case i.err != nil:
			i.mu.Unlock()
			return item, i.err
		}
		i.mu.Unlock()
		select {
		case <-i.ready:
		case <-ctx.Done():
		}
	}
}

// errHandlerClosed ends the inbox of a handler that its owner has closed.
var errHandlerClosed = errors.New("closed")

// deliver calls callbacks for the items of an inbox until it ends. The last
// one is told nil if the handler was closed by its owner.
func (i *inbox[T]) deliver(tell func(T), last func(error)) {
	for {
		item, err := i.next(context.Background())
		switch {
		case err == nil && tell != nil:
			tell(item)
		case err != nil:
			if err == errHandlerClosed {
				err = nil
			}
			if last != nil {
				last(err)
			}
			return
		}
	}
}
