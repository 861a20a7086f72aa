package engine

import (
	"strings"
	"sync"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A missingHandler is a session's handler of selections in a branch that match no
// topic (22 section 4).
type missingHandler struct {
	service.PathRegistration
	session *Session
}

// missingHandlers has the handlers of all sessions: one for a path.
type missingHandlers struct {
	mu     sync.RWMutex
	byPath map[string]*missingHandler
}

// registerMissing registers a handler for a branch. An empty path stands for the
// whole tree.
func (s *Session) registerMissing(r service.PathRegistration) (res service.Empty, err error) {
	if r.Definition != service.MissingTopic.ID {
		return res, wire.Errorf(wire.CodeUnsupported, "Unsupported: handlers of service %d cannot be registered for a branch", r.Definition)
	}
	if r.Path = topic.Canonical(r.Path); r.Path != "" {
		if err := topic.CheckPath(r.Path); err != nil {
			return res, wire.Errorf(wire.CodeInvalidPath, "%v", err)
		}
	}
	h := &missingHandler{r, s}
	if !s.engine.missing.add(h) {
		return res, wire.Errorf(wire.CodeTreeConflict, "there is a missing-topic handler for %q already", r.Path)
	}
	if s.registers(); s.registrations.missing == nil {
		s.registrations.missing = make(map[string]*missingHandler)
	}
	s.registrations.missing[r.Path] = h
	return res, nil
}

// deregisterMissing ends a registration; to end one that is not there succeeds.
func (s *Session) deregisterMissing(r service.PathDeregistration) (res service.Empty, err error) {
	path := topic.Canonical(r.Path)
	if h := s.registrations.missing[path]; h != nil && h.Group == r.Group && h.Definition == r.Definition {
		delete(s.registrations.missing, path)
		s.engine.missing.remove(h)
	}
	return res, nil
}

func (m *missingHandlers) add(h *missingHandler) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byPath[h.Path] != nil {
		return false
	}
	if m.byPath == nil {
		m.byPath = make(map[string]*missingHandler)
	}
	m.byPath[h.Path] = h
	return true
}

func (m *missingHandlers) remove(h *missingHandler) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.byPath[h.Path] == h {
		delete(m.byPath, h.Path)
	}
}

// find returns the handler with the longest path that leads to a prefix.
func (m *missingHandlers) find(prefix string) *missingHandler {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if len(m.byPath) == 0 {
		return nil
	}
	for prefix != "" {
		if h := m.byPath[prefix]; h != nil {
			return h
		}
		prefix = prefix[:max(0, strings.LastIndexByte(prefix, '/'))]
	}
	return m.byPath[""]
}

// notify tells the responsible handler that a session has selected nothing.
func (m *missingHandlers) notify(s *Session, sel *selector.Selector) {
	h := m.find(sel.Prefix())
	if h == nil || !h.session.holds(handlerPermissions) { // which it may have lost since
		return
	}
	properties := s.allProperties()
	h.session.request(func(b []byte, conversation int64) []byte {
		return service.MissingTopic.AppendRequest(b, conversation, service.MissingTopicRequest{
			Selector: sel.String(), Properties: properties,
			Servers: []string{s.engine.cfg.ServerName}, Handler: h.Handler,
		})
	})
}
