package engine

import (
	"maps"
	"slices"
	"strings"

	"advect.dev/internal/filter"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// parseFilter returns a filter or, as answers report it, what is wrong with it.
func parseFilter(text string) (*filter.Filter, service.Errors) {
	f, err := filter.Parse(text)
	if err != nil {
		return nil, reports(err)
	}
	return f, nil
}

// target returns an open session, or NO_SUCH_SESSION.
func (e *Engine) target(id wire.SessionID) (*Session, error) {
	if s := e.session(id); s != nil && !s.Over() {
		return s, nil
	}
	return nil, noSuchSession(id)
}

// forEach calls fn with each session that a filter selects, and counts those with
// which it succeeds. A session that refuses is left out: the others are changed.
func (e *Engine) forEach(text string, fn func(*Session) error) (res service.CountOrErrors) {
	f, errs := parseFilter(text)
	if errs != nil {
		return service.CountOrErrors{Errors: errs}
	}
	for _, s := range e.matching(f) {
		e.observers.wait()
		if err := fn(s); err != nil {
			e.cfg.Log.Debug("session left out", "session", s.id, "filter", f, "error", err)
			continue
		}
		res.Count++
	}
	return res
}

// closeClient ends another session, or the caller's own after the answer.
func (s *Session) closeClient(r service.SessionRequest, answer func(service.Empty)) error {
	target, err := s.engine.target(r.Session)
	if err != nil {
		return err
	}
	if target != s {
		target.Close(ClosedByController)
	}
	answer(service.Empty{})
	if target == s {
		s.Close(ClosedByController)
	}
	return nil
}

// closeClients ends the sessions of a filter, the caller's own last.
func (s *Session) closeClients(text service.Text, answer func(service.CountOrErrors)) error {
	own := false
	res := s.engine.forEach(string(text), func(target *Session) error {
		if target == s {
			own = true
		} else {
			target.Close(ClosedByController)
		}
		return nil
	})
	answer(res)
	if own {
		s.Close(ClosedByController)
	}
	return nil
}

func (s *Session) setConflation(r service.ConflationRequest) (res service.Empty, err error) {
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	target.conflate(r.Conflate)
	return res, nil
}

func (s *Session) setConflations(r service.FilterConflationRequest) (service.CountOrErrors, error) {
	return s.engine.forEach(r.Filter, func(target *Session) error {
		target.conflate(r.Conflate)
		return nil
	}), nil
}

// conflate switches conflation of the session's queue.
func (s *Session) conflate(on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue.SetConflation(on)
}

// maxIdentity bounds the user properties of a session, and its roles, in bytes. Each
// counts with its text and an overhead.
const (
	maxIdentity      = 64 << 10
	identityOverhead = 32
)

func (s *Session) changeRoles(r service.RolesRequest) (res service.Empty, err error) {
	if err := checkRoles(&r.RoleChanges); err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	return res, target.changeOwnRoles(&r.RoleChanges)
}

func (s *Session) changeRolesByFilter(r service.FilterRolesRequest) (res service.CountOrErrors, err error) {
	if err := checkRoles(&r.RoleChanges); err != nil {
		return res, err
	}
	return s.engine.forEach(r.Filter, func(target *Session) error { return target.changeOwnRoles(&r.RoleChanges) }), nil
}

func checkRoles(r *service.RoleChanges) error {
	adds := make(map[string]bool, len(r.Add))
	for _, role := range r.Add {
		if role == "" {
			return wire.Errorf(wire.CodeInvalidData, "a role has an empty name")
		}
		adds[role] = true
	}
	for _, role := range r.Remove {
		if adds[role] {
			return wire.Errorf(wire.CodeInvalidData, "role %q is both to be removed and to be added", role)
		}
	}
	return nil
}

// changeOwnRoles changes the roles of this session, and what it is subscribed to
// accordingly.
func (s *Session) changeOwnRoles(r *service.RoleChanges) (err error) {
	before, after := s.replaceIdentity(func(id *identity) (next *identity) {
		next, err = id.withRoles(r)
		return next
	})
	if after != before {
		s.applyPolicy(s.engine.cfg.Policies.Policy()) // in case it has changed meanwhile
		s.engine.tree.Reauthorize(&s.client)
	}
	return err
}

// withRoles returns the identity with roles removed, and then others added, or
// itself if that changes nothing.
func (id *identity) withRoles(r *service.RoleChanges) (*identity, error) {
	roles := make([]string, 0, len(id.roles)+len(r.Add))
	seen := make(map[string]bool, cap(roles))
	for _, role := range r.Remove {
		seen[role] = true // so that it is passed over
	}
	size := 0
	for _, role := range slices.Concat(id.roles, r.Add) {
		if !seen[role] {
			seen[role] = true
			roles, size = append(roles, role), size+len(role)+identityOverhead
		}
	}
	switch {
	case slices.Equal(roles, id.roles):
		return id, nil
	case size > maxIdentity:
		return id, wire.Errorf(wire.CodeInvalidData, "the session's roles would take more than %d bytes: remove some", maxIdentity)
	}
	next := *id
	next.roles, next.grant = roles, id.policy.Resolve(roles)
	return &next, nil
}

func (s *Session) setProperties(r service.PropertiesRequest) (res service.PreviousProperties, err error) {
	if err := checkProperties(r.Set); err != nil {
		return res, err
	}
	target, err := s.engine.target(r.Session)
	if err != nil {
		return res, err
	}
	before, after, err := target.changeProperties(&r.PropertyChanges)
	if err != nil || before == after {
		return res, err
	}
	return target.previous(before, after), nil
}

func (s *Session) setPropertiesByFilter(r service.FilterPropertiesRequest) (res service.CountOrErrors, err error) {
	if err := checkProperties(r.Set); err != nil {
		return res, err
	}
	return s.engine.forEach(r.Filter, func(target *Session) error {
		_, _, err := target.changeProperties(&r.PropertyChanges)
		return err
	}), nil
}

// checkProperties checks the keys of properties to set (31 section 2).
func checkProperties(set map[string]string) error {
	for key := range set {
		if key == "" {
			return wire.Errorf(wire.CodeInvalidData, "a session property has an empty key")
		}
		if i := strings.IndexAny(key, " \t\r\n\"'()"); i >= 0 {
			return wire.Errorf(wire.CodeInvalidData, "the key %q of a session property has the character %q: write it without spaces, quotes and parentheses", key, key[i])
		}
	}
	return nil
}

// changeProperties changes properties of the session and returns who it was before
// and is now.
func (s *Session) changeProperties(r *service.PropertyChanges) (before, after *identity, err error) {
	before, after = s.replaceIdentity(func(id *identity) (next *identity) {
		next, err = id.withProperties(r)
		return next
	})
	return before, after, err
}

// withProperties returns the identity with user properties removed and properties
// set, or itself if that changes nothing. Of the fixed ones only those can be set
// that say where the client is (31 section 2.2).
func (id *identity) withProperties(r *service.PropertyChanges) (*identity, error) {
	next := *id
	next.properties, next.location = maps.Clone(id.properties), maps.Clone(id.location)
	for _, key := range r.Remove {
		if !fixed(key) {
			delete(next.properties, key)
		}
	}
	for key, value := range r.Set {
		switch key {
		case "$Country", "$Language", "$Latitude", "$Longitude":
			if next.location == nil {
				next.location = make(map[string]string)
			}
			next.location[key] = locationValue(key, value)
		default:
			if !fixed(key) {
				if next.properties == nil {
					next.properties = make(map[string]string)
				}
				next.properties[key] = value
			}
		}
	}
	if maps.Equal(next.properties, id.properties) && maps.Equal(next.location, id.location) {
		return id, nil
	}
	size := 0
	for _, m := range []map[string]string{next.properties, next.location} {
		for key, value := range m {
			size += len(key) + len(value) + identityOverhead
		}
	}
	if size > maxIdentity {
		return id, wire.Errorf(wire.CodeInvalidData, "the session's properties would take more than %d bytes: remove some", maxIdentity)
	}
	return &next, nil
}

// previous says what changed between two identities of the session.
func (s *Session) previous(before, after *identity) (res service.PreviousProperties) {
	route := s.route.Load()
	changes, _ := everyProperty.changes(&profile{s, before, route}, &profile{s, after, route})
	for _, c := range changes {
		switch c.Kind {
		case service.PropertyNew:
			res.Added = append(res.Added, c.Key)
		case service.PropertyChanged, service.PropertyRemoved:
			if res.Values == nil {
				res.Values = make(map[string]string)
			}
			res.Values[c.Key] = c.Old
		}
	}
	return res
}

// handleQueueEvents accepts the registration of a queue event handler. What it
// would be sent is not known, so it is sent nothing (31 section 6).
func (s *Session) handleQueueEvents(r service.ControlRegistration) (res service.Empty, err error) {
	if r.Definition != service.QueueEvent {
		return res, wire.Errorf(wire.CodeUnsupported, "Unsupported: handlers of service %d cannot be registered for the server", r.Definition)
	}
	return res, nil
}

func (s *Session) ignoreQueueEvents(service.ControlParameters) (res service.Empty, err error) {
	return res, nil
}
