package security

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// authenticatorFunc makes a function an [Authenticator].
type authenticatorFunc func(context.Context, Request) (Decision, error)

func (f authenticatorFunc) Authenticate(ctx context.Context, r Request) (Decision, error) {
	return f(ctx, r)
}

// passwordIs allows named requests with the password "right", and abstains
// for the principal "unknown".
var passwordIs = authenticatorFunc(func(_ context.Context, r Request) (Decision, error) {
	switch {
	case r.Principal == "" || string(r.Credentials.Data) == "right":
		return Decision{Outcome: Allow}, nil
	case r.Principal == "unknown":
		return Decision{Outcome: Abstain}, nil
	}
	return Decision{Outcome: Deny, Reason: "wrong"}, nil
})

func login(principal, password, address string) Request {
	return Request{
		Principal:   principal,
		Credentials: Credentials{PlainPassword, []byte(password)},
		Address:     netip.MustParseAddr(address),
	}
}

// try returns "allow", "wrong", "pair" or "address".
func try(t *testing.T, a Authenticator, principal, password, address string) string {
	t.Helper()
	d, err := a.Authenticate(t.Context(), login(principal, password, address))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case d.Outcome == Allow:
		return "allow"
	case d.Reason == refusedPair:
		return "pair"
	case d.Reason == refusedAddress:
		return "address"
	}
	return "wrong"
}

func TestThrottlePair(t *testing.T) {
	for _, principal := range []string{"known", "unknown"} {
		t.Run(principal, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				th := NewThrottle(passwordIs)
				expect := func(want, password, address string) {
					t.Helper()
					if got := try(t, th, principal, password, address); got != want {
						t.Fatalf("%s from %s: got %s, want %s", password, address, got, want)
					}
				}
				for range freeFailures {
					expect("wrong", "x", "10.0.0.1")
				}
				for _, seconds := range []int{1, 2, 4, 8, 16, 32, 60, 60} {
					expect("wrong", "x", "10.0.0.1")
					expect("pair", "right", "10.0.0.1") // even the right one
					expect("allow", "right", "10.0.0.2")
					time.Sleep(time.Duration(seconds)*time.Second - time.Nanosecond)
					expect("pair", "right", "10.0.0.1")
					time.Sleep(time.Nanosecond)
				}
				expect("allow", "right", "10.0.0.1")
				// Proven: never refused, and made to wait when too much was wrong.
				for range failureBudget {
					begun := time.Now()
					expect("wrong", "x", "10.0.0.1")
					if waited := time.Since(begun); waited != 0 {
						t.Fatalf("waited for %v", waited)
					}
				}
				for range 3 {
					begun := time.Now()
					expect("wrong", "x", "10.0.0.1")
					expect("allow", "right", "10.0.0.1")
					if waited := time.Since(begun); waited != 2*suspicionDelay {
						t.Fatalf("waited for %v", waited)
					}
				}
				time.Sleep(failureBudget * regainedEvery)
				begun := time.Now()
				expect("allow", "right", "10.0.0.1")
				if waited := time.Since(begun); waited != 0 {
					t.Fatalf("waited for %v when all was forgotten", waited)
				}
			})
		})
	}
}

func TestThrottleAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(passwordIs)
		if got := try(t, th, "settled", "right", "10.0.0.1"); got != "allow" {
			t.Fatal(got)
		}
		for i := range failureBudget {
			if got := try(t, th, fmt.Sprint("p", i), "x", "10.0.0.1"); got != "wrong" {
				t.Fatalf("attempt %d: %s", i, got)
			}
		}
		for _, tt := range []struct{ principal, password, address, want string }{
			{"new", "right", "10.0.0.1", "address"},
			{"new", "right", "::ffff:10.0.0.1", "address"},
			{"settled", "right", "10.0.0.1", "allow"},
			{"settled", "x", "10.0.0.1", "wrong"},
			{"new", "right", "10.0.0.2", "allow"},
			{"", "", "10.0.0.1", "allow"},
		} {
			if got := try(t, th, tt.principal, tt.password, tt.address); got != tt.want {
				t.Errorf("%q from %s: got %s, want %s", tt.principal, tt.address, got, tt.want)
			}
		}
		time.Sleep(regainedEvery)
		if got := try(t, th, "new", "x", "10.0.0.1"); got != "wrong" {
			t.Errorf("regained: %s", got)
		}
		if got := try(t, th, "new", "right", "10.0.0.1"); got != "address" {
			t.Errorf("spent again: %s", got)
		}
	})
}

// However many addresses guess at a principal, it is not locked.
func TestThrottlePrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(passwordIs)
		try(t, th, "victim", "right", "10.0.0.1")
		for i := range failureBudget {
			if got := try(t, th, "victim", "x", fmt.Sprintf("10.1.0.%d", i)); got != "wrong" {
				t.Fatalf("attempt %d: %s", i, got)
			}
		}
		took := func(principal, password, address, want string) time.Duration {
			start := time.Now()
			if got := try(t, th, principal, password, address); got != want {
				t.Errorf("%s from %s: got %s, want %s", principal, address, got, want)
			}
			return time.Since(start)
		}
		if d := took("victim", "x", "10.2.0.1", "wrong"); d != suspicionDelay {
			t.Errorf("a further guess took %v", d)
		}
		if d := took("victim", "right", "10.2.0.2", "allow"); d != suspicionDelay {
			t.Errorf("from a new address it took %v", d)
		}
		if d := took("victim", "right", "10.2.0.2", "allow") + took("victim", "right", "10.0.0.1", "allow"); d != 0 {
			t.Errorf("from known addresses it took %v", d)
		}
		if d := took("other", "right", "10.2.0.1", "allow"); d != 0 {
			t.Errorf("another principal took %v", d)
		}
		ctx, cancel := context.WithTimeout(t.Context(), suspicionDelay/2)
		defer cancel()
		if d, err := th.Authenticate(ctx, login("victim", "right", "10.2.0.3")); !errors.Is(err, context.DeadlineExceeded) || d.Outcome != Deny {
			t.Errorf("%v, %v", d, err)
		}
		time.Sleep(regainedEvery)
		if d := took("victim", "right", "10.2.0.4", "allow"); d != 0 {
			t.Errorf("later it took %v", d)
		}
	})
}

// Guesses at the same time are no more than guesses in turn, and a crowd with
// the right password is not held up.
func TestThrottleBurst(t *testing.T) {
	for _, password := range []string{"x", "right"} {
		t.Run(password, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var running, peak, asked atomic.Int64
				th := NewThrottle(authenticatorFunc(func(ctx context.Context, r Request) (Decision, error) {
					asked.Add(1)
					if n := running.Add(1); n > peak.Load() {
						peak.Store(n)
					}
					defer running.Add(-1)
					time.Sleep(time.Millisecond)
					return passwordIs(ctx, r)
				}))
				var clients sync.WaitGroup
				var allowed atomic.Int64
				for range 1000 {
					clients.Go(func() {
						if try(t, th, "p", password, "10.0.0.1") == "allow" {
							allowed.Add(1)
						}
					})
				}
				clients.Wait()
				if n := peak.Load(); n > maxUnderWay {
					t.Errorf("%d at once", n)
				}
				if password == "right" && allowed.Load() != 1000 || password == "x" && asked.Load() > maxUnderWay+freeFailures {
					t.Errorf("%d asked, %d allowed", asked.Load(), allowed.Load())
				}
				for _, p := range th.pairs.young {
					if p.underWay != 0 || len(p.waiting) != 0 {
						t.Errorf("left over: %+v", p)
					}
				}
			})
		})
	}
}

// A turn that comes to an attempt that has given up goes to the next.
func TestThrottleAbandonedTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		th := NewThrottle(authenticatorFunc(func(ctx context.Context, r Request) (Decision, error) {
			<-release
			return Decision{Outcome: Allow}, nil
		}))
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("gone")
		var clients sync.WaitGroup
		for i := range 4 * maxUnderWay {
			clients.Go(func() {
				c := t.Context()
				if i%2 == 0 {
					c = ctx
				}
				d, err := th.Authenticate(c, login("p", "x", "10.0.0.1"))
				if err != nil && (i%2 == 1 || !errors.Is(err, gone)) || err == nil && d.Outcome != Allow {
					t.Errorf("%d: %v, %v", i, d, err)
				}
			})
		}
		synctest.Wait()
		go cancel(gone)
		close(release)
		clients.Wait()
	})
}

func TestThrottleJudgesNoErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		th := NewThrottle(authenticatorFunc(func(context.Context, Request) (Decision, error) {
			return Decision{}, errors.New("service down")
		}))
		for range 10 * failureBudget {
			if d, err := th.Authenticate(t.Context(), login("p", "x", "10.0.0.1")); err == nil || d.Reason != "" {
				t.Fatalf("%v, %v", d, err)
			}
		}
	})
}

func TestThrottleAddressesOfIPv6(t *testing.T) {
	for in, want := range map[string]string{
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::", "fe80::1%eth0": "fe80::", "::ffff:1.2.3.4": "1.2.3.4", "1.2.3.4": "1.2.3.4",
	} {
		if got := Network(netip.MustParseAddr(in)); got != netip.MustParseAddr(want) {
			t.Errorf("%s: got %v, want %s", in, got, want)
		}
	}
	if Network(netip.Addr{}).IsValid() {
		t.Error("no address became one")
	}
}

func TestThrottleMemoryIsBounded(t *testing.T) {
	th := NewThrottle(passwordIs)
	long := strings.Repeat("x", 100)
	a := netip.MustParseAddr("10.0.0.0")
	for i := range 3 * maxRemembered {
		a = a.Next()
		if _, err := th.Authenticate(t.Context(), Request{Principal: fmt.Sprint(long, i), Address: a}); err != nil {
			t.Fatal(err)
		}
	}
	for name, n := range map[string]int{
		"pairs":      len(th.pairs.young) + len(th.pairs.old),
		"addresses":  len(th.addresses.young) + len(th.addresses.old),
		"principals": len(th.principals.young) + len(th.principals.old),
	} {
		if n > maxRemembered {
			t.Errorf("%d %s are remembered", n, name)
		}
	}
}

// What is used stays.
func TestRecent(t *testing.T) {
	var r recent[int, int]
	*r.get(-1) = 7
	for i := range 3 * maxRemembered {
		*r.get(i) = 1
		if i%(maxRemembered/4) == 0 && *r.get(-1) != 7 {
			t.Fatal("a used entry is forgotten")
		}
	}
	if *r.get(0) != 0 {
		t.Error("an unused entry is remembered")
	}
}

func TestChain(t *testing.T) {
	says := func(d Decision, err error) Authenticator {
		return authenticatorFunc(func(context.Context, Request) (Decision, error) { return d, err })
	}
	down := errors.New("down")
	allow, deny, abstain := Decision{Outcome: Allow, Principal: "p"}, Decision{Reason: "no"}, Decision{Outcome: Abstain}
	tests := []struct {
		name  string
		chain Chain
		want  Outcome
		text  string // reason, error
	}{
		{"empty", nil, Deny, "no authenticator accepts the principal and its credentials, <nil>"},
		{"all abstain", Chain{{"a", says(abstain, nil)}, {"b", says(abstain, nil)}}, Deny, "no authenticator accepts the principal and its credentials, <nil>"},
		{"all abstain, one says why", Chain{{"a", says(Decision{Outcome: Abstain, Reason: "unknown"}, nil)}, {"b", says(abstain, nil)}}, Deny,
			"no authenticator accepts the principal and its credentials; a: unknown, <nil>"},
		{"first", Chain{{"a", says(allow, nil)}, {"b", says(deny, nil)}}, Allow, ", <nil>"},
		{"deny", Chain{{"a", says(abstain, nil)}, {"b", says(deny, nil)}, {"c", says(allow, nil)}}, Deny, "b: no, <nil>"},
		{"error and allow", Chain{{"a", says(abstain, down)}, {"b", says(allow, nil)}}, Allow, ", a: down"},
		{"error", Chain{{"a", says(abstain, down)}}, Deny, "no authenticator accepts the principal and its credentials, a: down"},
	}
	for _, tt := range tests {
		d, err := tt.chain.Authenticate(t.Context(), Request{})
		if got := fmt.Sprint(d.Reason, ", ", err); d.Outcome != tt.want || got != tt.text {
			t.Errorf("%s: got %v, %s; want %v, %s", tt.name, d.Outcome, got, tt.want, tt.text)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if d, err := (Chain{{"a", says(abstain, nil)}, {"b", says(allow, nil)}}).Authenticate(ctx, Request{}); d.Outcome != Deny || !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v, %v", d, err)
	}
}

func TestStoreAsAuthenticator(t *testing.T) {
	s := openMemory(t)
	if err := s.Update(t.Context(), "admin", "trust client proposed property 'k' if value in ['v']"); err != nil {
		t.Fatal(err)
	}
	var a Authenticator = s
	defaults := []string{"USER", "CLIENT"}
	proposed := map[string]string{"k": "v", "other": "v"}
	tests := []struct {
		name, principal string
		credentials     Credentials
		want            string
	}{
		{"anonymous", "", Credentials{}, "allow [CLIENT USER] map[k:v] "},
		{"password", "operator", Credentials{PlainPassword, []byte("password")}, "allow [OPERATOR USER CLIENT] map[k:v] "},
		{"wrong", "operator", Credentials{PlainPassword, []byte("x")}, "deny [] map[] wrong password"},
		{"none", "operator", Credentials{}, "deny [] map[] wrong password"},
		{"custom", "operator", Credentials{CustomCredentials, []byte("password")}, "deny [] map[] wrong password"},
		{"unknown", "nobody", Credentials{PlainPassword, []byte("password")}, "abstain [] map[] unknown principal"},
	}
	for _, tt := range tests {
		d, err := a.Authenticate(t.Context(), Request{Principal: tt.principal, Credentials: tt.credentials, Proposed: proposed, DefaultRoles: defaults})
		if got := fmt.Sprint(d.Outcome, " ", d.Roles, " ", d.Properties, " ", d.Reason); err != nil || got != tt.want {
			t.Errorf("%s: got %s, %v; want %s", tt.name, got, err, tt.want)
		}
	}
	if fmt.Sprint(defaults) != "[USER CLIENT]" {
		t.Error("the request changed")
	}
}

func TestAssignable(t *testing.T) {
	for key, want := range map[string]bool{"a": true, "$Country": true, "$Language": true, "$Latitude": true, "$Longitude": true,
		"": false, "$Roles": false, "$Principal": false, "$SessionId": false, "$x": false} {
		if Assignable(key) != want {
			t.Errorf("%q: want %v", key, want)
		}
	}
}
