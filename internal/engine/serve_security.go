package engine

import (
	"errors"

	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// The services of this file read and change the two security stores (32 section 5).

func (s *Session) systemAuthentication(service.Empty) (service.SystemAuthentication, error) {
	c := s.engine.cfg.Principals.Configuration()
	res := service.SystemAuthentication{
		Anonymous: anonymousActions[c.Anonymous.Outcome], AnonymousRoles: c.Anonymous.Roles,
		Trusted: make(map[string]service.Validation, len(c.Trusted)),
	}
	for _, p := range c.Principals {
		res.Principals = append(res.Principals, service.SystemPrincipal{Name: p.Name, Roles: p.Roles, LockedBy: optional(p.LockedBy)})
	}
	for _, t := range c.Trusted {
		v := service.Validation{Kind: service.OneOfValues, Values: t.Values}
		if t.Pattern != "" {
			v = service.Validation{Kind: service.MatchesRegex, Regex: t.Pattern}
		}
		res.Trusted[t.Key] = v
	}
	return res, nil
}

var anonymousActions = map[security.Outcome]service.AnonymousAction{
	security.Allow: service.AllowAnonymous, security.Deny: service.DenyAnonymous, security.Abstain: service.AbstainAnonymous,
}

// optional returns a pointer to a text, or nil for none.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// updateSystemAuthentication hashes passwords, which takes a while: meanwhile the
// session goes on.
func (s *Session) updateSystemAuthentication(script service.Text, answer func(service.Errors)) error {
	by := s.identity.Load().principal
	s.engine.finished.Add(1)
	go func() {
		defer s.engine.finished.Done()
		res, err := s.scripted("authentication store", s.engine.cfg.Principals.Update(s.engine.closing, by, string(script)))
		if err != nil {
			s.engine.cfg.Log.Error("authentication store not changed", "session", s.id, "error", err)
			res = service.Errors{{Message: "the store could not be written; the log of the server says why", Line: 1, Column: 1}}
		}
		answer(res)
	}()
	return nil
}

func (s *Session) securityConfiguration(service.Empty) (res service.SecurityConfiguration, err error) {
	m := s.engine.cfg.Policies.Model()
	res.AnonymousRoles, res.NamedRoles, res.IsolatedPaths = m.Anonymous, m.Named, m.Isolated
	for _, r := range m.Roles {
		role := service.Role{
			Name: r.Name, Includes: r.Includes, LockedBy: optional(r.LockedBy),
			Global: codes(r.Global.List()), Default: codes(r.DefaultPath.List()), Paths: make(map[string]service.Permissions, len(r.Paths)),
		}
		for path, permissions := range r.Paths {
			role.Paths[path] = codes(permissions.List())
		}
		res.Roles = append(res.Roles, role)
	}
	return res, nil
}

// codes returns permissions as they travel.
func codes[P ~uint8](permissions []P) service.Permissions {
	list := make(service.Permissions, len(permissions))
	for i, p := range permissions {
		list[i] = byte(p)
	}
	return list
}

// updateSecurityConfiguration changes what roles may do. Subscriptions follow before
// the answer.
func (s *Session) updateSecurityConfiguration(script service.Text) (service.Errors, error) {
	res, err := s.scripted("security store", s.engine.cfg.Policies.Update(s.identity.Load().principal, string(script)))
	if err == nil && res == nil {
		s.engine.applyPolicy()
	}
	return res, err
}

// scripted returns the mistakes of a script as reports.
func (s *Session) scripted(store string, err error) (service.Errors, error) {
	var mistakes security.ScriptErrors
	switch {
	case err == nil:
		s.engine.cfg.Log.Info(store+" changed", "session", s.id, "principal", s.identity.Load().principal)
		return nil, nil
	case !errors.As(err, &mistakes):
		return nil, err
	}
	reports := make(service.Errors, len(mistakes))
	for i, m := range mistakes {
		reports[i] = service.ErrorReport{Message: m.Message, Line: int32(m.Line), Column: int32(m.Column)}
	}
	return reports, nil
}

// watchPolicy applies changes that others make to the security store, until the
// engine closes.
func (e *Engine) watchPolicy() {
	defer e.watching.Done()
	for {
		_, changed := e.cfg.Policies.Watch()
		e.applyPolicy()
		select {
		case <-changed:
		case <-e.closing.Done():
			return
		}
	}
}

// applyPolicy has all sessions go by the policy in force. Those that may now read
// other topics are subscribed and unsubscribed accordingly.
func (e *Engine) applyPolicy() {
	e.applying.Lock()
	defer e.applying.Unlock()
	policy := e.cfg.Policies.Policy()
	if policy == e.applied {
		return
	}
	e.applied = policy
	type change struct{ from, to *security.Grant }
	same := make(map[change]bool)
	for _, s := range e.all() {
		from, to := s.applyPolicy(policy)
		c := change{from, to}
		reads, known := same[c]
		if !known {
			reads = from.ReadsAs(to)
			same[c] = reads
		}
		if !reads {
			e.tree.Reauthorize(&s.client)
		}
	}
}

// explain says why a session or a principal has a permission, or why not.
func (s *Session) explain(r service.ExplainRequest) (res service.Explanation, err error) {
	policy := s.engine.cfg.Policies.Policy()
	var roles []string
	if r.Session != nil {
		target, err := s.engine.target(*r.Session)
		if err != nil {
			return res, err
		}
		roles = target.identity.Load().roles
	} else if roles, err = s.engine.rolesOf(r.Principal); err != nil {
		return res, err
	}
	e, err := policy.Explain(roles, r.Permission, topic.Canonical(r.Path))
	if err != nil {
		return res, wire.Errorf(wire.CodeInvalidData, "%v", err)
	}
	return service.Explanation{Granted: e.Granted, Roles: roles, Path: e.Path, At: e.At, Via: e.Via, Text: e.String()}, nil
}

// rolesOf returns the roles that the system authenticator gives to a principal.
func (e *Engine) rolesOf(principal string) ([]string, error) {
	c := e.cfg.Principals.Configuration()
	roles := c.Anonymous.Roles
	if principal != "" {
		found := false
		for _, p := range c.Principals {
			if p.Name == principal {
				roles, found = p.Roles, true
			}
		}
		if !found {
			return nil, wire.Errorf(wire.CodeInvalidData, "the authentication store has no principal %q; ask about one of its sessions", principal)
		}
	}
	return security.AddRoles(roles, e.cfg.Policies.Policy().DefaultRoles(principal)), nil
}
