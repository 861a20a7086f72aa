package engine

import (
	"context"
	"errors"
	"maps"
	"strconv"
	"strings"
	"time"

	"advect.dev/internal/filter"
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// The names under which clients may register authenticators (32 section 2).
const (
	beforeSystem = "before-system-handler"
	afterSystem  = "after-system-handler"
)

// newChain returns what authenticates sessions: the clients of one name, what the
// configuration puts before the principal store, the store, what it puts behind,
// the clients of the other name.
func (e *Engine) newChain() security.Authenticator {
	chain := security.Chain{{Name: beforeSystem, Authenticator: &clientAuthenticator{e, beforeSystem}}}
	chain = append(chain, e.cfg.BeforeSystem...)
	chain = append(chain, security.Link{Name: "system", Authenticator: e.cfg.Principals})
	chain = append(chain, e.cfg.AfterSystem...)
	chain = append(chain, security.Link{Name: afterSystem, Authenticator: &clientAuthenticator{e, afterSystem}})
	if e.cfg.Throttle {
		return security.NewThrottle(chain)
	}
	return chain
}

// authenticate gives a session that connects its identity. The error is
// AUTHENTICATION_FAILED.
func (s *Session) authenticate(ctx context.Context, q wire.ConnectRequest) error {
	principal := s.claimed(q.Principal, q.Credentials)
	// What authenticators are told of the session: it has only what it asks for.
	s.identity.Store(s.engine.newIdentity(principal, security.Decision{Roles: s.engine.cfg.Policies.Policy().DefaultRoles(principal)}, nil))
	d := s.decide(ctx, principal, q.Credentials, q.Properties)
	if d.Outcome != security.Allow {
		return &wire.Rejection{Code: wire.AuthenticationFailed, Reason: d.Reason}
	}
	s.identity.Store(s.engine.newIdentity(principal, d, nil))
	return nil
}

// claimed returns the principal that a client wants to be: one that names none
// and proves nothing else is who its certificate says.
func (s *Session) claimed(principal string, c wire.Credentials) string {
	if principal == "" && credentials(c).None() {
		return s.route.Load().certificate.Name
	}
	return principal
}

func credentials(c wire.Credentials) security.Credentials {
	return security.Credentials{Kind: security.CredentialsKind(c.Kind), Data: c.Data}
}

// decide asks the authenticators. They are told $Principal as it is until now, and
// as $Roles those that every session of the principal has (32 section 4).
func (s *Session) decide(ctx context.Context, principal string, c wire.Credentials, proposed map[string]string) security.Decision {
	e := s.engine
	defaults := e.cfg.Policies.Policy().DefaultRoles(principal)
	var told map[string]string // what an answer does not mention remains as it was when it was told
	properties := func() map[string]string {
		if told == nil {
			told = s.allProperties()
			told[rolesProperty] = rolesText(defaults)
			// But for the time of expiry: that ends with this authentication.
			delete(told, expiryProperty)
		}
		return told
	}
	d, err := e.chain.Authenticate(ctx, security.Request{
		Principal:    principal,
		Credentials:  credentials(c),
		Proposed:     proposed,
		Session:      properties,
		DefaultRoles: defaults,
		Address:      s.addr,
		Certificate:  s.route.Load().certificate,
	})
	e.stats.login(d, err)
	switch {
	case errors.Is(err, context.Canceled): // the client or the server is gone
	case d.Outcome != security.Allow:
		e.refusals.refused(s.id, principal, s.addr, d.Reason, err)
	case err != nil:
		e.refusals.unanswered(s.id, principal, s.addr, err)
	}
	return d
}

// authenticatorTimeout bounds the wait for one authenticator. It is below the time
// that clients allow for connecting.
const authenticatorTimeout = 5 * time.Second

// A clientAuthenticator asks one of the sessions that have registered an
// authenticator under a name. It abstains while there is none, and when the
// session gives no answer. A session that has lost the permissions for it since
// is not asked: it would see the credentials of others, and admit whom it likes.
type clientAuthenticator struct {
	engine *Engine
	name   string
}

// Authenticate implements [security.Authenticator].
func (a *clientAuthenticator) Authenticate(ctx context.Context, r security.Request) (security.Decision, error) {
	if !a.engine.authenticators.has(a.name) {
		return security.Decision{Outcome: security.Abstain}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, authenticatorTimeout)
	defer cancel()
	var refused error
	for d := range a.engine.authenticators.of(a.name) {
		if !d.session.holds(authenticatorPermissions) {
			continue
		}
		answer, err := d.authenticate(ctx, r)
		if err == nil {
			return decision(r, answer), nil
		}
		refused = errors.Join(refused, err)
		if !errors.Is(err, errNotAsked) {
			break
		}
	}
	return security.Decision{Outcome: security.Abstain}, refused
}

// errNotAsked says that an authenticator was not asked, so that another may be.
var errNotAsked = errors.New("not asked")

// authenticate asks the client. Its session may be the one that authenticates.
func (d *delegate) authenticate(ctx context.Context, r security.Request) (service.Authentication, error) {
	type result struct {
		service.Authentication
		err error
	}
	answered := make(chan result, 1)
	m := service.AuthenticationRequest{
		PrincipalRequest: service.PrincipalRequest{
			Principal: r.Principal, Credentials: wire.Credentials{Kind: wire.CredentialsKind(r.Credentials.Kind), Data: r.Credentials.Data},
		},
		Session: r.Session(), Proposed: r.Proposed, Handler: d.conversation,
	}
	size := 64 + len(r.Principal) + len(r.Credentials.Data) + propertiesSize(m.Session) + propertiesSize(r.Proposed)
	refusal := d.session.ask(size, func(b []byte, conversation int64) []byte {
		return service.Authenticator.AppendRequest(b, conversation, m)
	}, func(r reply) {
		var res result
		if r.err != nil {
			res.err = r.err
		} else {
			res.Authentication, res.err = service.Authenticator.ReadResponse(r.body)
		}
		answered <- res
	})
	if refusal != nil {
		return service.Authentication{}, errors.Join(errNotAsked, refusal)
	}
	select {
	case res := <-answered:
		return res.Authentication, res.err
	case <-ctx.Done():
		return service.Authentication{}, context.Cause(ctx)
	}
}

// decision reads the answer of an authenticator (32 section 4).
func decision(r security.Request, a service.Authentication) security.Decision {
	d := security.Decision{Outcome: security.Outcome(a.Decision)}
	if d.Outcome != security.Allow {
		return d
	}
	d.Roles = r.DefaultRoles
	d.Properties = make(map[string]string)
	if len(a.Properties) > 0 { // the client leaves out what it was given and does not change
		for key, value := range r.Session() {
			if !strings.HasPrefix(key, "$") {
				d.Properties[key] = value
			}
		}
	}
	maps.Copy(d.Properties, a.Properties)
	for _, key := range []string{principalProperty, rolesProperty, expiryProperty} {
		value, set := a.Properties[key]
		delete(d.Properties, key)
		switch {
		case !set:
		case key == principalProperty:
			d.Principal = value
		case key == rolesProperty:
			d.Roles = filter.RoleSet(value)
		default:
			if ms, err := strconv.ParseInt(value, 10, 64); err == nil {
				d.Expiry = time.UnixMilli(ms)
			}
		}
	}
	return d
}
