package engine

import (
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"advect.dev/internal/security"
)

// An identity is who a session is. It is never changed, but replaced as a whole:
// see [Session.changeIdentity].
type identity struct {
	principal  string
	roles      []string
	properties map[string]string // user properties
	location   map[string]string // $Country, $Language, $Latitude and $Longitude, as far as known
	expires    time.Time         // when the session ends unless it authenticates again; zero: never
	policy     *security.Policy
	grant      *security.Grant // by policy
}

// identities are those that many sessions may share, as anonymous ones do: with
// nothing but a principal and roles, under the latest policy.
type identities struct {
	mu     sync.Mutex
	policy *security.Policy
	byKey  map[identityKey]*identity
}

type identityKey struct{ principal, roles string }

// maxShared bounds the identities that are kept to be shared. When there are more,
// others begin.
const maxShared = 1024

// share returns an identity that is like one, which is kept if there is none.
func (l *identities) share(id *identity) *identity {
	if len(id.properties) > 0 || len(id.location) > 0 || !id.expires.IsZero() {
		return id
	}
	key := identityKey{id.principal, strings.Join(id.roles, "\x00")}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.policy != id.policy {
		l.policy, l.byKey = id.policy, nil
	}
	if shared := l.byKey[key]; shared != nil {
		if !slices.Equal(shared.roles, id.roles) { // the names of roles may have anything in them
			return id
		}
		return shared
	}
	if l.byKey == nil || len(l.byKey) >= maxShared {
		l.byKey = make(map[identityKey]*identity)
	}
	l.byKey[key] = id
	return id
}

// A route is how a session is connected.
type route struct {
	transport   TransportKind
	connector   string
	certificate security.Certificate
}

// routes are shared by the sessions that have come the same way.
type routes struct{ shared sync.Map } // route -> *route; those without a certificate, of which there are few

func (r *routes) of(p *Peer) *route {
	one := route{p.Transport, p.Connector, p.Certificate}
	if one.certificate != (security.Certificate{}) {
		return &one
	}
	if shared, ok := r.shared.Load(one); ok {
		return shared.(*route)
	}
	shared, _ := r.shared.LoadOrStore(one, &one)
	return shared.(*route)
}

// newIdentity returns what the decision of an authenticator makes of a session
// that asked for a principal. What the decision does not say of the location is as
// in before, which may be nil.
func (e *Engine) newIdentity(principal string, d security.Decision, before *identity) *identity {
	if d.Principal != "" {
		principal = d.Principal
	}
	policy := e.cfg.Policies.Policy()
	id := &identity{
		principal: principal,
		roles:     d.Roles,
		expires:   d.Expiry,
		policy:    policy,
		grant:     policy.Resolve(d.Roles),
	}
	if before != nil {
		id.location = maps.Clone(before.location)
	}
	for key, value := range d.Properties {
		switch {
		case !security.Assignable(key) || strings.ContainsAny(key, " \t\r\n\"'()"):
		case key[0] == '$':
			if id.location == nil {
				id.location = make(map[string]string)
			}
			id.location[key] = locationValue(key, value)
		default:
			if id.properties == nil {
				id.properties = make(map[string]string)
			}
			id.properties[key] = value
		}
	}
	return e.identities.share(id)
}

// locationValue returns the value of a property that says where a client is in
// the form in which sessions have it (31 section 2.2).
func locationValue(key, value string) string {
	switch key {
	case "$Country":
		return strings.ToUpper(value)
	case "$Language":
		return strings.ToLower(value)
	}
	value = strings.TrimSpace(value)
	n, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(n) || math.IsInf(n, 0) || strings.ContainsAny(value, "xX_") {
		return "NaN"
	}
	return value
}

// changeIdentity replaces the identity by what change makes of it, and what
// depends on it: the topics that the client is subscribed to, and the time at
// which it expires.
func (s *Session) changeIdentity(change func(before *identity) *identity) {
	s.replaceIdentity(change)
	s.applyPolicy(s.engine.cfg.Policies.Policy()) // in case it has changed meanwhile
	s.scheduleExpiry()
	s.engine.tree.Reauthorize(&s.client)
}

// replaceIdentity replaces the identity by what change makes of it: another, or the
// same to leave it. change is called again if somebody else was faster. A session
// that is over remains who it was.
func (s *Session) replaceIdentity(change func(before *identity) *identity) (before, after *identity) {
	for {
		before = s.identity.Load()
		after = change(before)
		if after == before {
			return before, before
		}
		s.mu.Lock()
		switch {
		case s.closed:
			s.mu.Unlock()
			return before, before
		case s.identity.Load() == before:
			s.engine.index.move(s, before, after)
			s.identity.Store(after)
			s.happened(changed)
			s.mu.Unlock()
			return before, after
		}
		s.mu.Unlock()
	}
}

// applyPolicy has the session go by a policy, and returns what it went by and what
// it goes by now.
func (s *Session) applyPolicy(policy *security.Policy) (before, after *security.Grant) {
	from, to := s.replaceIdentity(func(id *identity) *identity {
		if id.policy == policy {
			return id
		}
		next := *id
		next.policy, next.grant = policy, policy.Resolve(id.roles)
		return s.engine.identities.share(&next)
	})
	return from.grant, to.grant
}

// scheduleExpiry sets the timer for the identity. Sessions that never expire have
// none.
func (s *Session) scheduleExpiry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.identity.Load().expires
	switch {
	case s.closed:
	case s.expiring != nil && at.IsZero():
		s.expiring.Stop()
		s.expiring = nil
	case s.expiring != nil:
		s.expiring.Reset(time.Until(at))
	case !at.IsZero():
		s.expiring = time.AfterFunc(time.Until(at), s.expireIdentity)
	}
}

// expireIdentity closes a session whose identity has expired. The clock of the
// machine, which decides, may not have kept pace with the timer.
func (s *Session) expireIdentity() {
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.identity.Load().expires
	if s.closed || s.expiring == nil || at.IsZero() {
		return
	}
	if rest := time.Until(at); rest > 0 {
		s.expiring.Reset(rest)
		return
	}
	s.close(Expired)
}
