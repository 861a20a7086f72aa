package advect

import (
	"context"
	"fmt"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
)

// A MissingTopic says that a session has selected topics of which there is none.
type MissingTopic struct {
	// Path is the part of the selector before anything that is a pattern: "a/b"
	// of "?a/b/[0-9]". It is the path of the topic if the session has selected
	// a path.
	Path string
	// Selector is the selector as the session has it.
	Selector string
	// SessionID is the session that has selected it, and Properties are its
	// properties: $Principal is among them. Do not modify them.
	SessionID  SessionID
	Properties map[string]string
	// Servers are the names of servers on the way; the first is that of the
	// session.
	Servers []string
}

// missingBuffer is how many missing topics may wait for a handler.
const missingBuffer = 10_000

// A MissingTopicHandler is a set of callbacks that are told when a session selects
// topics of which there is none (protocol 22 section 4). What it usually does is
// to add the topic: the session is then subscribed to it.
//
// Callbacks run on a goroutine of the handler's own, one after the other, and may
// use the session freely. Up to 10000 calls wait for a slow handler; those
// beyond are lost, which the session's error listener is told.
type MissingTopicHandler struct {
	// OnMissingTopic tells of a selection.
	OnMissingTopic func(MissingTopic)
	// OnClose tells that nothing follows. The error is nil after
	// [MissingTopicHandle.Close]. Otherwise it says why: the server has ended
	// the handler, the session has closed, or it reconnected with message loss,
	// which matches [ErrMessageLoss]; then add the handler anew. It may be nil.
	OnClose func(error)
}

// A MissingTopicHandle stands for a handler that was added.
type MissingTopicHandle struct{ handler *missingHandler }

type missingHandler struct {
	topics *Topics
	path   string
	id     int64
	inbox  *inbox[MissingTopic]
}

func (h *missingHandler) closed(err error) { h.inbox.end(err, false) }

// AddMissingTopicHandler adds a handler for selections within the branch of topics
// at a path, itself included; of several branches the one with the longest path
// counts. The session needs the permission REGISTER_HANDLER. The error matches
// [ErrHandlerConflict] if the branch has a handler already.
func (t *Topics) AddMissingTopicHandler(ctx context.Context, path string, handler MissingTopicHandler) (*MissingTopicHandle, error) {
	h := &missingHandler{topics: t, path: path, inbox: newInbox[MissingTopic](missingBuffer)}
	var err error
	if h.id, err = t.session.converse(h); err == nil {
		_, err = call(ctx, t.session, service.TopicControlRegistration, service.PathRegistration{
			PathDeregistration: h.registration(), Handler: h.id,
		})
	}
	if err != nil {
		t.session.discard(h.id)
		return nil, fmt.Errorf("add missing topic handler for %s: %w", path, err)
	}
	go h.inbox.deliver(handler.OnMissingTopic, handler.OnClose)
	return &MissingTopicHandle{h}, nil
}

func (h *missingHandler) registration() service.PathDeregistration {
	return service.PathDeregistration{Definition: service.MissingTopic.ID, Group: service.DefaultGroup, Path: h.path}
}

// Close removes the handler and waits for the server to take note. What it has
// not yet been told is dropped, then OnClose is called with nil. The handler is
// closed even if Close fails; closing again does nothing.
func (m *MissingTopicHandle) Close(ctx context.Context) error {
	h := m.handler
	open := h.topics.session.discard(h.id)
	h.inbox.end(errHandlerClosed, true)
	if !open {
		return nil
	}
	if _, err := call(ctx, h.topics.session, service.TopicControlDeregistration, h.registration()); err != nil {
		return fmt.Errorf("close missing topic handler for %s: %w", h.path, err)
	}
	return nil
}

// sessionIDProperty is the property that names a session.
const sessionIDProperty = "$SessionId"

// missing gives a request of the server to its handler. The result is the
// answer, which is true, as of other clients, unless the request is lost.
func (s *Session) missing(req service.MissingTopicRequest) bool {
	h, ok := handler[*missingHandler](s, req.Handler)
	if !ok {
		return true
	}
	m := MissingTopic{Selector: req.Selector, Properties: req.Properties, Servers: req.Servers}
	var err error
	if m.SessionID, err = ParseSessionID(req.Properties[sessionIDProperty]); err != nil {
		s.reportError(fmt.Errorf("missing topic %s: %w", req.Selector, err))
		return false
	}
	if sel, err := selector.Parse(req.Selector); err == nil {
		m.Path = sel.Prefix()
	}
	if !h.inbox.put(m) && h.inbox.ended() == nil {
		s.reportError(fmt.Errorf("missing topic %s: lost, since the handler for %s is too slow", req.Selector, h.path))
		return false
	}
	return true
}
