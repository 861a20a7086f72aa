package security

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
	"sync"
)

// Authenticate decides as the system authenticator does (protocol 32 section
// 2). A known principal is allowed with the right password and denied with a
// wrong one or other credentials; for an unknown one the store abstains. An
// allowed session has the roles of its principal besides the default ones,
// and those of its proposed properties that the store trusts.
//
// An answer other than for a password that was right before takes one
// password hash, so its time does not tell whether a principal exists (as
// long as the hashes in the file have the cost of the store). Hashes beyond
// the number of processors wait for their turn. The error is the cause of
// ctx, if it ends first; the decision is then Deny.
func (s *Store) Authenticate(ctx context.Context, r Request) (Decision, error) {
	var password []byte // an empty one is always wrong
	if r.Credentials.Kind == PlainPassword {
		password = r.Credentials.Data
	}
	d, err := s.authenticate(ctx, r.Principal, password)
	if err == nil && d.Outcome == Allow {
		d.Roles = AddRoles(d.Roles, r.DefaultRoles)
		d.Properties = s.TrustedProperties(r.Proposed)
	}
	return d, err
}

// authenticate decides without regard to roles and properties that depend on
// the request.
func (s *Store) authenticate(ctx context.Context, principal string, password []byte) (Decision, error) {
	for {
		st := s.state.Load()
		if principal == "" {
			d := st.anonymous.clone()
			if d.Outcome != Allow {
				d.Reason = "anonymous connections are not allowed"
			}
			return d, nil
		}
		p := st.index[principal]
		ok, err := s.check(ctx, principal, p, password)
		if err != nil {
			return Decision{}, fmt.Errorf("authenticate: %w", err)
		}
		// The password may have been changed while the old one was checked.
		current := s.state.Load().index[principal]
		switch {
		case !sameSecret(p, current):
			continue
		case current == nil:
			return Decision{Outcome: Abstain, Reason: "unknown principal"}, nil
		case !ok:
			return Decision{Outcome: Deny, Reason: "wrong password"}, nil
		}
		return Decision{Outcome: Allow, Roles: slices.Clone(current.roles)}, nil
	}
}

// TrustedProperties returns those of the properties proposed by a client that
// the store trusts with their values. Fixed properties, whose names start
// with $, are not a client's to propose; the connection layer handles the
// exceptions.
func (s *Store) TrustedProperties(proposed map[string]string) map[string]string {
	var accepted map[string]string
	trusted := s.state.Load().trusted
	for i := range trusted {
		t := &trusted[i]
		if value, ok := proposed[t.key]; ok && !strings.HasPrefix(t.key, "$") && t.accepts(value) {
			if accepted == nil {
				accepted = make(map[string]string)
			}
			accepted[t.key] = value
		}
	}
	return accepted
}

// check reports whether password is that of p, which is nil for an unknown
// name.
func (s *Store) check(ctx context.Context, name string, p *principal, password []byte) (bool, error) {
	hash := &s.decoy
	if p != nil && !p.unhashed {
		hash = &p.hash
	}
	if p != nil && p.unhashed && subtle.ConstantTimeCompare(password, []byte(StockPassword)) == 1 {
		return true, nil
	}
	key := s.verified.key(name, hash.encoded, password)
	if s.verified.has(key) {
		return true, nil
	}
	release, err := s.acquire(ctx)
	if err != nil {
		return false, err
	}
	defer release()
	// Many clients with one principal may have waited for the first of them.
	if s.verified.has(key) {
		return true, nil
	}
	ok := hash.matches(s.derive, password) && hash != &s.decoy && len(password) > 0
	if ok {
		s.verified.add(key)
	}
	return ok, nil
}

// acquire waits for the right to compute one hash. The caller calls release
// when done.
func (s *Store) acquire(ctx context.Context) (release func(), err error) {
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	select {
	case s.hashing <- struct{}{}:
		return func() { <-s.hashing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// maxVerified bounds the passwords that are remembered as right.
const maxVerified = 4096

// verifiedCache remembers which passwords were right, so that thousands of
// clients that reconnect with one service principal cost one hash. It keeps
// no password: an entry is a MAC, under a key that lives as long as the
// process, of principal, hash and password. Since the hash is part of it, an
// entry is void as soon as the password changes.
type verifiedCache struct {
	secret [32]byte
	mu     sync.RWMutex
	seen   map[[sha256.Size]byte]struct{} // guarded by mu
}

func newVerifiedCache() *verifiedCache {
	c := &verifiedCache{seen: make(map[[sha256.Size]byte]struct{})}
	rand.Read(c.secret[:]) // never fails
	return c
}

func (c *verifiedCache) key(principal, hash string, password []byte) [sha256.Size]byte {
	mac := hmac.New(sha256.New, c.secret[:])
	var sizes [16]byte // parts of variable size must not run into each other
	binary.BigEndian.PutUint64(sizes[:8], uint64(len(principal)))
	binary.BigEndian.PutUint64(sizes[8:], uint64(len(hash)))
	mac.Write(sizes[:])
	mac.Write([]byte(principal))
	mac.Write([]byte(hash))
	mac.Write(password)
	return [sha256.Size]byte(mac.Sum(nil))
}

func (c *verifiedCache) has(key [sha256.Size]byte) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.seen[key]
	return ok
}

func (c *verifiedCache) add(key [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.seen) >= maxVerified {
		for any := range c.seen {
			delete(c.seen, any)
			break
		}
	}
	c.seen[key] = struct{}{}
}

// clear drops all entries; to be called after a password change, when some
// are void.
func (c *verifiedCache) clear() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
}
