package security

import (
	"context"
	"hash/maphash"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// Throttle slows down those who guess passwords. It stands before another
// authenticator, best a whole [Chain], and judges attempts by its decision:
// Allow is a success, all else a failure, but for decisions that came with an
// error. Anonymous requests pass, as they guess nothing.
//
// The policy follows from one rule: who guesses must not be able to keep
// others out. So an attempt is refused for what happened with the same
// principal from the same address, or for what came from the same address;
// never for what others did to the principal, which makes attempts slower but
// does not refuse them. A pair of principal and address that has succeeded once
// is never refused, since someone who knows the password shares the address:
//
//   - A pair has 5 failures free. Each further one refuses the pair for twice
//     the time: 1 second up to 1 minute. A success, or 15 minutes without a
//     failure, forgives all.
//   - A pair that has succeeded before has 100 failures, and regains one every 3
//     seconds. When they are spent its attempts wait for a second.
//   - An address has 100 failures, and regains one every 3 seconds. When they
//     are spent, pairs that have not succeeded before are refused. This ends
//     the search for a principal with a common password.
//   - A principal has 100 failures likewise. When they are spent, as by many
//     addresses together, attempts of pairs that have not succeeded before
//     wait for a second.
//
// At most 16 attempts of a pair are under way, and one after its free
// failures; further ones wait. Since each is judged after those before it, a
// burst of guesses gains nothing, and a crowd of clients that share a right
// password gets in.
//
// Known and unknown principals are treated alike. IPv6 addresses count by
// their /64 network. Memory is bounded: what was unused for longest is
// forgotten first, after some thousands of pairs, and a restart forgets all.
// The bound on password hashes under way holds regardless.
type Throttle struct {
	next Authenticator
	seed maphash.Seed

	mu         sync.Mutex
	pairs      recent[pairKey, pair]      // guarded by mu
	addresses  recent[netip.Addr, budget] // guarded by mu
	principals recent[uint64, budget]     // guarded by mu
}

const (
	freeFailures   = 5
	forgivenAfter  = 15 * time.Minute
	firstRefusal   = time.Second
	longestRefusal = time.Minute
	failureBudget  = 100
	regainedEvery  = 3 * time.Second
	suspicionDelay = time.Second
	maxUnderWay    = 16
	maxRemembered  = 1 << 14 // entries of each kind
	refusedPair    = "too many failed attempts with this principal from this address"
	refusedAddress = "too many failed attempts from this address"
)

// NewThrottle returns a throttle before next.
func NewThrottle(next Authenticator) *Throttle {
	return &Throttle{next: next, seed: maphash.MakeSeed()}
}

// Authenticate implements [Authenticator]. It returns the decision of the
// next authenticator, or Deny with a reason if it did not ask. The error may
// be the cause of ctx.
func (t *Throttle) Authenticate(ctx context.Context, r Request) (Decision, error) {
	if r.Principal == "" {
		return t.next.Authenticate(ctx, r)
	}
	// Principals are kept as hashes: a client chooses how long they are.
	principal, address := maphash.String(t.seed, r.Principal), Network(r.Address)
	p, delay, refusal, err := t.admit(ctx, principal, address)
	if err != nil || refusal != "" {
		return Decision{Reason: refusal}, err
	}
	judged, failed := false, true
	defer func() { t.settle(p, principal, address, judged, failed) }()
	if delay > 0 {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			return Decision{}, context.Cause(ctx)
		}
	}
	d, err := t.next.Authenticate(ctx, r)
	judged = err == nil || d.Outcome == Allow
	failed = d.Outcome != Allow
	return d, err
}

// pairKey is a principal, hashed, at an address.
type pairKey struct {
	principal uint64
	address   netip.Addr
}

// pair is what happened with a principal from an address.
type pair struct {
	failures int
	failed   time.Time // the last time
	until    time.Time // refused before
	proven   bool      // has succeeded: then only spent counts
	spent    budget
	underWay int
	waiting  []chan struct{} // closed when it is their turn to try again
}

// wake lets the n attempts that wait for longest try again.
func (p *pair) wake(n int) {
	for ; n > 0 && len(p.waiting) > 0; n-- {
		close(p.waiting[0])
		p.waiting = p.waiting[1:]
	}
}

// limit is how many attempts may be under way.
func (p *pair) limit() int {
	if !p.proven && p.failures >= freeFailures {
		return 1
	}
	return maxUnderWay
}

// admit lets an attempt start, after those under way if there are too many.
// The caller then waits for delay and calls settle. A refusal says why not.
func (t *Throttle) admit(ctx context.Context, principal uint64, address netip.Addr) (p *pair, delay time.Duration, refusal string, err error) {
	for {
		p, delay, refusal, turn := t.tryAdmit(principal, address)
		if turn == nil {
			return p, delay, refusal, nil
		}
		select {
		case <-turn:
		case <-ctx.Done():
			t.abandon(p, turn)
			return nil, 0, "", context.Cause(ctx)
		}
	}
}

// abandon ends the wait for a turn, which goes to another if it has come.
func (t *Throttle) abandon(p *pair, turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
	} else {
		p.wake(1)
	}
}

// tryAdmit returns a channel to wait for if too many attempts are under way.
func (t *Throttle) tryAdmit(principal uint64, address netip.Addr) (p *pair, delay time.Duration, refusal string, turn chan struct{}) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	p = t.pairs.get(pairKey{principal, address})
	if now.Sub(p.failed) > forgivenAfter {
		p.failures = 0
	}
	if now.Before(p.until) {
		return nil, 0, refusedPair, nil
	}
	if !p.proven && t.addresses.get(address).spent(now) {
		return nil, 0, refusedAddress, nil
	}
	if p.underWay >= p.limit() {
		turn = make(chan struct{})
		p.waiting = append(p.waiting, turn)
		return p, 0, "", turn
	}
	p.underWay++
	suspect := &p.spent
	if !p.proven {
		suspect = t.principals.get(principal)
	}
	if suspect.spent(now) {
		delay = suspicionDelay
	}
	return p, delay, "", nil
}

// settle ends an attempt that was admitted.
func (t *Throttle) settle(p *pair, principal uint64, address netip.Addr, judged, failed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	p.underWay--
	now := time.Now()
	switch {
	case !judged:
	case !failed:
		p.failures, p.until, p.proven = 0, time.Time{}, true
	case p.proven:
		p.spent.spend(now)
		t.principals.get(principal).spend(now)
	default:
		p.failures++
		p.failed = now
		if over := p.failures - freeFailures; over > 0 {
			p.until = now.Add(refusal(over))
		}
		t.addresses.get(address).spend(now)
		t.principals.get(principal).spend(now)
	}
	if now.Before(p.until) {
		p.wake(len(p.waiting)) // to be refused
	} else {
		p.wake(p.limit() - p.underWay)
	}
}

// refusal is how long a pair is refused after its nth failure that was not
// free.
func refusal(n int) time.Duration { return min(longestRefusal, firstRefusal<<min(n-1, 10)) }

// budget counts failures, of which one is forgotten every regainedEvery.
type budget struct {
	failures int
	since    time.Time // up to which failures have been forgotten
}

func (b *budget) forget(now time.Time) {
	regained := int(now.Sub(b.since) / regainedEvery)
	if b.failures = max(0, b.failures-regained); b.failures == 0 {
		b.since = now
	} else {
		b.since = b.since.Add(time.Duration(regained) * regainedEvery)
	}
}

func (b *budget) spent(now time.Time) bool {
	b.forget(now)
	return b.failures >= failureBudget
}

func (b *budget) spend(now time.Time) {
	b.forget(now)
	b.failures = min(b.failures+1, failureBudget)
}

// Network returns what an address is counted by: providers give each customer
// a /64 of IPv6.
func Network(a netip.Addr) netip.Addr {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		prefix, _ := a.Prefix(64) // 64 fits
		return prefix.Addr()
	}
	return a
}

// recent is a map of at most maxRemembered entries that forgets what has not
// been used for longest, in halves.
type recent[K comparable, V any] struct {
	young, old map[K]*V
}

// get returns the entry of key, a new one if there is none.
func (r *recent[K, V]) get(key K) *V {
	if v, ok := r.young[key]; ok {
		return v
	}
	v, ok := r.old[key]
	if !ok {
		v = new(V)
	}
	if r.young == nil || len(r.young) >= maxRemembered/2 {
		r.old, r.young = r.young, make(map[K]*V)
	}
	r.young[key] = v
	return v
}
