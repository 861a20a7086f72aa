package engine

import (
	"context"

	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// registerAuthenticator is answered before anybody is authenticated with it.
func (s *Session) registerAuthenticator(r service.NameRegistration, answer func(service.Empty)) error {
	s.registers()
	own := s.registrations.authenticators
	switch {
	case r.Definition != service.Authenticator.ID:
		return wire.Errorf(wire.CodeUnsupported, "Unsupported: handlers of service %d cannot be registered as authenticators", r.Definition)
	case r.Name != beforeSystem && r.Name != afterSystem:
		return wire.Errorf(wire.CodeInvalidData, "the server has no authenticator %q: register as %q or %q", r.Name, beforeSystem, afterSystem)
	case own[r.Name] != nil:
		return wire.Errorf(wire.CodeHandlerConflict, "the session is an authenticator %q already", r.Name)
	case own == nil:
		s.registrations.authenticators = make(map[string]*delegate)
	}
	d := &delegate{session: s, conversation: r.Handler, group: r.Group, subject: r.Name}
	s.registrations.authenticators[r.Name] = d
	s.engine.authenticators.add(d, func() { answer(service.Empty{}) })
	return nil
}

// deregisterAuthenticator is idempotent.
func (s *Session) deregisterAuthenticator(r service.NameDeregistration) (res service.Empty, err error) {
	if d := s.registrations.authenticators[r.Name]; d != nil && d.group == r.Group && r.Definition == service.Authenticator.ID {
		delete(s.registrations.authenticators, r.Name)
		s.engine.authenticators.remove(d)
	}
	return res, nil
}

// maxChanges bounds the re-authentications of a session that wait.
const maxChanges = 16

// changes are re-authentications: one is under way, the others wait in line, so
// that the session ends as the one that it asked for last.
type changes struct {
	waiting []func()
	running bool
}

// reAuthenticate goes on under another principal, or as before if its
// credentials are not accepted (32 section 3). Meanwhile the session goes on: it
// may be its own authenticator.
func (s *Session) reAuthenticate(r service.ReAuthenticateRequest, answer func(service.Bool)) error {
	if len(s.changes.waiting) >= maxChanges {
		return wire.Errorf(wire.CodeCommunicationFailure, "%d authentications of the session are under way: wait for their answers", maxChanges)
	}
	r.Credentials.Data = append([]byte(nil), r.Credentials.Data...) // the frame is used again
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return noSuchSession(s.id)
	}
	s.changes.waiting = append(s.changes.waiting, func() { s.authenticateAgain(r, answer) })
	if !s.changes.running {
		s.changes.running = true
		s.engine.finished.Add(1)
		go s.makeChanges()
	}
	return nil
}

func (s *Session) changePrincipal(r service.PrincipalRequest, answer func(service.Bool)) error {
	return s.reAuthenticate(service.ReAuthenticateRequest{PrincipalRequest: r}, answer)
}

// makeChanges runs until no re-authentication waits.
func (s *Session) makeChanges() {
	defer s.engine.finished.Done()
	for {
		s.in.Lock()
		if len(s.changes.waiting) == 0 {
			s.changes = changes{}
			s.in.Unlock()
			return
		}
		change := s.changes.waiting[0]
		s.changes.waiting = s.changes.waiting[1:]
		s.in.Unlock()
		change()
	}
}

func (s *Session) authenticateAgain(r service.ReAuthenticateRequest, answer func(service.Bool)) {
	ctx, cancel := context.WithTimeout(s.engine.closing, s.engine.cfg.HandshakeTimeout)
	defer cancel()
	principal := s.claimed(r.Principal, r.Credentials)
	d := s.decide(ctx, principal, r.Credentials, r.Properties)
	if d.Outcome != security.Allow {
		answer(false)
		return
	}
	s.in.Lock() // or subscriptions might change while those of a reconnection do
	defer s.in.Unlock()
	if s.Over() {
		return
	}
	s.changeIdentity(func(before *identity) *identity {
		return s.engine.newIdentity(principal, d, before)
	})
	answer(true)
}

// revoke ends a session that authentication no longer stands for.
func (s *Session) revoke(r service.SessionRequest) (res service.Empty, err error) {
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	target.Close(Revoked)
	return res, nil
}
