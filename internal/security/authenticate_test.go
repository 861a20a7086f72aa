package security

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestAuthenticate(t *testing.T) {
	tests := []struct {
		name, setup         string
		principal, password string
		want                Outcome
		roles               []string
	}{
		{"anonymous", "", "", "", Allow, []string{"CLIENT"}},
		{"anonymous with a password", "", "", "password", Allow, []string{"CLIENT"}},
		{"anonymous denied", "deny anonymous connections", "", "", Deny, nil},
		{"anonymous abstained", "abstain anonymous connections", "", "", Abstain, nil},
		{"anonymous with other roles", "allow anonymous connections ['A' 'B']", "", "", Allow, []string{"A", "B"}},
		{"right", "", "control", "password", Allow, []string{"CLIENT_CONTROL", "TOPIC_CONTROL", "AUTHENTICATION_HANDLER"}},
		{"wrong", "", "control", "passwore", Deny, nil},
		{"right and more", "", "control", "password ", Deny, nil},
		{"case of the password", "", "control", "Password", Deny, nil},
		{"no password", "", "control", "", Deny, nil},
		{"unknown", "", "nobody", "password", Abstain, nil},
		{"case of the name", "", "Control", "password", Abstain, nil},
		{"without roles", "add principal 'x' 'y'", "x", "y", Allow, nil},
		{"hashed, wrong", "add principal 'x' 'y'", "x", "z", Deny, nil},
		{"hashed, none", "add principal 'x' 'y'", "x", "", Deny, nil},
		{"hashed stock password", "add principal 'x' 'y'\nset password 'x' 'password'", "x", "password", Allow, nil},
		{"removed", "remove principal 'client'", "client", "password", Abstain, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := openMemory(t)
			if tt.setup != "" {
				if err := s.Update(t.Context(), "admin", tt.setup); err != nil {
					t.Fatal(err)
				}
			}
			d, err := s.authenticate(t.Context(), tt.principal, []byte(tt.password))
			if err != nil || d.Outcome != tt.want || !slices.Equal(d.Roles, tt.roles) {
				t.Errorf("got %v, %v; want %v %v", d, err, tt.want, tt.roles)
			}
		})
	}
}

func TestOutcomes(t *testing.T) {
	var zero Decision
	if zero.Outcome != Deny {
		t.Error("the zero decision must refuse")
	}
	if got := fmt.Sprint(Deny, Abstain, Allow, Outcome(9)); got != "deny abstain allow Outcome(9)" {
		t.Error(got)
	}
}

// Each answer but a repeated success takes one hash of the same cost, whether
// the principal exists or not.
func TestAnswersCostTheSame(t *testing.T) {
	for name, dir := range map[string]string{"memory": "", "file": t.TempDir()} {
		t.Run(name, func(t *testing.T) {
			var hashes atomic.Int64
			var costs []HashCost
			s := testStore(t, dir)
			if err := s.SetPassword("admin", []byte("secret")); err != nil {
				t.Fatal(err)
			}
			counting(&hashes)(s)
			inner := s.derive
			s.derive = func(password, salt []byte, cost HashCost, size uint32) []byte {
				costs = append(costs, cost)
				if size != keySize || len(salt) != saltSize {
					t.Errorf("key of %d bytes, salt of %d", size, len(salt))
				}
				return inner(password, salt, cost, size)
			}
			for _, try := range []struct{ principal, password string }{
				{"admin", "wrong"}, {"admin", "wrong"}, {"admin", "password"}, {"admin", ""},
				{"client", "wrong"}, {"client", "wrong"}, {"client", ""},
				{"nobody", "wrong"}, {"nobody", "wrong"}, {"nobody", "password"}, {"nobody", ""},
			} {
				hashes.Store(0)
				d, err := s.authenticate(t.Context(), try.principal, []byte(try.password))
				if err != nil || d.Outcome == Allow {
					t.Fatalf("%v: %v, %v", try, d, err)
				}
				if n := hashes.Load(); n != 1 {
					t.Errorf("%v took %d hashes, want 1", try, n)
				}
			}
			for _, c := range costs {
				if c != cheap {
					t.Errorf("cost %v, want %v", c, cheap)
				}
			}
		})
	}
}

func TestVerifiedPasswordsAreRemembered(t *testing.T) {
	var hashes atomic.Int64
	s := testStore(t, t.TempDir(), counting(&hashes))
	try := func(principal, password string, want Outcome, cost int64) {
		t.Helper()
		hashes.Store(0)
		d, err := s.authenticate(t.Context(), principal, []byte(password))
		if err != nil || d.Outcome != want || hashes.Load() != cost {
			t.Errorf("%s with %q: %v, %v, %d hashes; want %v, %d", principal, password, d.Outcome, err, hashes.Load(), want, cost)
		}
	}
	try("client", "password", Allow, 1)
	try("client", "password", Allow, 0)
	try("client", "wrong", Deny, 1)
	try("client", "wrong", Deny, 1) // failures are not remembered
	try("control", "password", Allow, 1)
	if err := s.SetPassword("client", []byte("new")); err != nil {
		t.Fatal(err)
	}
	try("client", "password", Deny, 1)
	try("client", "new", Allow, 1)
	try("client", "new", Allow, 0)
	if err := s.Update(t.Context(), "admin", "remove principal 'client'"); err != nil {
		t.Fatal(err)
	}
	try("client", "new", Abstain, 1)
}

func TestVerifiedCacheIsBoundedAndUnambiguous(t *testing.T) {
	c := newVerifiedCache()
	for i := range maxVerified + 100 {
		c.add(c.key("p", "h", fmt.Append(nil, i)))
	}
	if len(c.seen) != maxVerified {
		t.Errorf("%d entries, want %d", len(c.seen), maxVerified)
	}
	keys := [][3]string{{"a", "b", "c"}, {"ab", "", "c"}, {"a", "bc", ""}, {"", "ab", "c"}, {"abc", "", ""}}
	for i, a := range keys {
		for j, b := range keys {
			same := c.key(a[0], a[1], []byte(a[2])) == c.key(b[0], b[1], []byte(b[2]))
			if same != (i == j) {
				t.Errorf("%v and %v: same key %v", a, b, same)
			}
		}
	}
	if c.key("a", "b", nil) == newVerifiedCache().key("a", "b", nil) {
		t.Error("two processes use one key")
	}
}

// blocking makes every hash wait for a token and records how many run at
// once.
type blocking struct {
	tokens          chan struct{}
	running, peak   atomic.Int64
	total           atomic.Int64
	beforeReturning func()
}

func (b *blocking) option(limit int) Option {
	return func(s *Store) {
		s.hashing = make(chan struct{}, limit)
		s.derive = func(password, salt []byte, cost HashCost, size uint32) []byte {
			b.total.Add(1)
			n := b.running.Add(1)
			defer b.running.Add(-1)
			for {
				old := b.peak.Load()
				if n <= old || b.peak.CompareAndSwap(old, n) {
					break
				}
			}
			if b.tokens != nil {
				<-b.tokens
			}
			key := argon2id(password, salt, cost, size)
			if b.beforeReturning != nil {
				b.beforeReturning()
			}
			return key
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &blocking{tokens: make(chan struct{})}
		s := openMemory(t, b.option(3))
		var clients sync.WaitGroup
		for i := range 10 {
			clients.Go(func() {
				if _, err := s.authenticate(t.Context(), fmt.Sprint("unknown", i), []byte("x")); err != nil {
					t.Error(err)
				}
			})
		}
		synctest.Wait()
		if n := b.running.Load(); n != 3 {
			t.Errorf("%d hashes at once, want 3", n)
		}
		close(b.tokens)
		clients.Wait()
		if b.peak.Load() != 3 || b.total.Load() != 10 {
			t.Errorf("%d at once of %d, want 3 of 10", b.peak.Load(), b.total.Load())
		}
	})
}

func TestDefaultBoundLeavesAProcessor(t *testing.T) {
	if n := cap(openMemory(t).hashing); n < 1 || n >= runtime.GOMAXPROCS(0) && n > 1 {
		t.Errorf("%d hashes at once", n)
	}
}

func TestWaitingHonoursContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &blocking{tokens: make(chan struct{})}
		s := openMemory(t, b.option(1))
		var clients sync.WaitGroup
		clients.Go(func() {
			if _, err := s.authenticate(t.Context(), "first", []byte("x")); err != nil {
				t.Error(err)
			}
		})
		synctest.Wait()

		ctx, cancel := context.WithCancel(t.Context())
		clients.Go(func() {
			d, err := s.authenticate(ctx, "second", []byte("secret"))
			if !errors.Is(err, context.Canceled) || d.Outcome != Deny || strings.Contains(err.Error(), "secret") {
				t.Errorf("waiting: %v, %v", d, err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if _, err := s.authenticate(ctx, "third", nil); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled before: %v", err)
		}
		if err := s.Update(ctx, "admin", "add principal 'x' 'y'"); !errors.Is(err, context.Canceled) || len(s.Principals()) != 4 {
			t.Errorf("update: %v", err)
		}
		if d, err := s.authenticate(ctx, "", nil); err != nil || d.Outcome != Allow {
			t.Errorf("anonymous needs no hash: %v, %v", d, err)
		}
		close(b.tokens)
		clients.Wait()
		if n := b.total.Load(); n != 1 {
			t.Errorf("%d hashes, want 1", n)
		}
	})
}

// Many clients of one principal arrive at a server that has just started.
func TestReconnectingCrowdCostsOneHash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testStore(t, t.TempDir())
		b := &blocking{tokens: make(chan struct{})}
		b.option(1)(s)
		var clients sync.WaitGroup
		for range 1000 {
			clients.Go(func() {
				if d, err := s.authenticate(t.Context(), "client", []byte("password")); err != nil || d.Outcome != Allow {
					t.Errorf("%v, %v", d, err)
				}
			})
		}
		synctest.Wait()
		close(b.tokens)
		clients.Wait()
		if n := b.total.Load(); n != 1 {
			t.Errorf("%d hashes, want 1", n)
		}
	})
}

// A password that changes while the old one is checked must not be accepted
// afterwards, nor may a principal that goes.
func TestChangeDuringCheck(t *testing.T) {
	tests := []struct {
		change string
		want   Outcome
	}{
		{"set password 'client' 'new'", Deny},
		{"remove principal 'client'", Abstain},
		{"assign roles 'client' ['LESS']", Allow},
	}
	for _, tt := range tests {
		t.Run(tt.change, func(t *testing.T) {
			s := testStore(t, t.TempDir())
			b := &blocking{}
			var changed atomic.Bool
			b.beforeReturning = func() {
				if !changed.CompareAndSwap(false, true) {
					return // a hash of the change itself
				}
				if err := s.Update(t.Context(), "admin", tt.change); err != nil {
					t.Error(err)
				}
			}
			b.option(2)(s)
			d, err := s.authenticate(t.Context(), "client", []byte("password"))
			if err != nil || d.Outcome != tt.want {
				t.Errorf("got %v, %v; want %v", d, err, tt.want)
			}
			if d.Outcome == Allow && !slices.Equal(d.Roles, []string{"LESS"}) {
				t.Errorf("roles %v are those from before the change", d.Roles)
			}
		})
	}
}

func TestConcurrentUse(t *testing.T) {
	s := testStore(t, t.TempDir())
	var work sync.WaitGroup
	for i := range 4 {
		work.Go(func() {
			for range 20 {
				if d, err := s.authenticate(t.Context(), "client", []byte("password")); err != nil || d.Outcome != Allow {
					t.Errorf("%v, %v", d, err)
				}
				s.Principals()
				s.StockPasswords()
				if _, err := s.Reload(); err != nil {
					t.Error(err)
				}
			}
		})
		work.Go(func() {
			for j := range 5 {
				if err := s.SetPassword("admin", fmt.Append(nil, i, j)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	work.Wait()
}

func TestHashFormat(t *testing.T) {
	h := newHash(argon2id, "pw", cheap)
	again, err := parseHash(h.encoded)
	if err != nil || !again.matches(argon2id, []byte("pw")) || again.matches(argon2id, []byte("PW")) {
		t.Errorf("%s: %v", h.encoded, err)
	}
	// Known answer of the argon2 reference implementation for "password" and
	// "somesalt", t=2, m=2^16, p=1.
	const reference = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"
	known, err := parseHash(reference)
	if err != nil || !known.matches(argon2id, []byte("password")) {
		t.Errorf("reference hash: %v", err)
	}
}

func BenchmarkAuthenticateRemembered(b *testing.B) {
	s := testStore(b, b.TempDir())
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.authenticate(b.Context(), "client", []byte("password")); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAuthenticateHashing(b *testing.B) {
	s, err := OpenStore("")
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.authenticate(b.Context(), "nobody", []byte("password")); err != nil {
			b.Fatal(err)
		}
	}
}
