package security

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrNoSuchPrincipal is returned for a principal that is not in the store.
var ErrNoSuchPrincipal = errors.New("no such principal")

// ErrEmptyPassword is returned for a new password without a character.
var ErrEmptyPassword = errors.New("a password must not be empty")

// Store is the system authentication store: the principals, their passwords
// and roles, and the rule for anonymous connections.
type Store struct {
	derive deriveFunc
	cost   HashCost

	decoy    passwordHash  // computed for unknown principals; matches nothing
	hashing  chan struct{} // holds one element for each hash under way
	verified *verifiedCache
	state    atomic.Pointer[state]

	// mu is held by a writer through reading, hashing and writing, so that
	// changes do not overwrite each other. Readers use state alone.
	mu   sync.Mutex
	file storeFile // guarded by mu; its path and disk are fixed
}

// Option adjusts a [Store].
type Option func(*Store)

// WithHashCost sets the work that goes into hashes of new passwords. The
// default is [DefaultHashCost]; tests use less.
func WithHashCost(cost HashCost) Option {
	return func(s *Store) { s.cost = cost }
}

// PrincipalInfo describes one principal. The receiver owns it.
type PrincipalInfo struct {
	Name  string
	Roles []string
	// LockedBy names the only principal that may change this one; empty for
	// none.
	LockedBy string
	// StockPassword says that the password is the public [StockPassword],
	// whoever set it.
	StockPassword bool
}

// stockScript is the content of a new store.
const stockScript = `allow anonymous connections ["CLIENT"]
add principal "client" "password" ["CLIENT"]
add principal "control" "password" ["CLIENT_CONTROL" "TOPIC_CONTROL" "AUTHENTICATION_HANDLER"]
add principal "admin" "password" ["ADMINISTRATOR"]
add principal "operator" "password" ["OPERATOR"]
`

// OpenStore opens the file [StoreFile] in dir. If it does not exist, it is
// created with the four stock principals, and dir with it. An empty dir makes
// a store in memory.
//
// A file may be written by hand, with plain passwords: opening it hashes them
// and writes it back. A file that is damaged or does not parse is left alone
// and reported as a [*FileError].
func OpenStore(dir string, opts ...Option) (*Store, error) {
	s := &Store{
		file:     newStoreFile(dir, principalFile),
		derive:   argon2id,
		cost:     DefaultHashCost,
		hashing:  make(chan struct{}, max(1, runtime.GOMAXPROCS(0)-1)), // one is left for those who are connected
		verified: newVerifiedCache(),
	}
	for _, o := range opts {
		o(s)
	}
	if err := s.cost.check(); err != nil {
		return nil, fmt.Errorf("open authentication store: %w", err)
	}
	s.decoy = passwordHash{cost: s.cost, salt: make([]byte, saltSize), key: make([]byte, keySize)}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open authentication store: %w", err)
	}
	return s, nil
}

func (s *Store) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, info, found, err := s.file.open()
	if err != nil {
		return err
	}
	if !found {
		return s.create()
	}
	st, summed, err := s.decode(data, &state{})
	if err != nil {
		return err
	}
	if !summed {
		return s.commit(st)
	}
	s.file.info = info
	s.publish(st)
	return nil
}

// create fills a store that has no file.
func (s *Store) create() error {
	statements, err := parseScript(stockScript)
	if err != nil {
		return err
	}
	e := newEdit(&state{}, owner)
	if err := e.run(statements); err != nil {
		return err
	}
	st, err := s.finish(context.Background(), e, &state{})
	if err != nil {
		return err
	}
	return s.commit(st)
}

// Path returns the name of the store's file, or "" if it is in memory.
func (s *Store) Path() string { return s.file.path }

// Anonymous returns the decision on connections without a principal.
func (s *Store) Anonymous() Decision { return s.state.Load().anonymous.clone() }

// Principals returns all principals, in the order of the store.
func (s *Store) Principals() []PrincipalInfo { return s.state.Load().infos() }

func (st *state) infos() []PrincipalInfo {
	infos := make([]PrincipalInfo, len(st.principals))
	for i, p := range st.principals {
		infos[i] = PrincipalInfo{
			Name:          p.name,
			Roles:         slices.Clone(p.roles),
			LockedBy:      p.lockedBy,
			StockPassword: p.stock,
		}
	}
	return infos
}

// Configuration is the content of a [Store] without secrets, all of one
// moment: what protocol 32 section 5.1 calls SystemAuthentication. The
// receiver owns it.
type Configuration struct {
	Principals []PrincipalInfo // in the order of the store
	Anonymous  Decision
	Trusted    []TrustedProperty // in the order in which they were trusted
}

// TrustedProperty says which values of a property a client may propose: those
// that match Pattern as a whole, or, if it is empty, one of Values.
type TrustedProperty struct {
	Key     string
	Pattern string
	Values  []string
}

// Configuration returns the content of the store.
func (s *Store) Configuration() Configuration {
	st := s.state.Load()
	c := Configuration{Principals: st.infos(), Anonymous: st.anonymous.clone()}
	for i := range st.trusted {
		t := &st.trusted[i]
		c.Trusted = append(c.Trusted, TrustedProperty{Key: t.key, Pattern: t.regex, Values: slices.Clone(t.values)})
	}
	return c
}

// StockPasswords returns the names of the principals whose password is the
// public [StockPassword], in the order of the store. While there are any, a
// server should not listen beyond loopback. It costs no hash.
func (s *Store) StockPasswords() []string {
	var names []string
	for _, p := range s.state.Load().principals {
		if p.stock {
			names = append(names, p.name)
		}
	}
	return names
}

// SetPassword gives principal a new password and writes the file. Locks do
// not apply: the caller is whoever owns the server. It returns
// [ErrNoSuchPrincipal], [ErrEmptyPassword], or why the file could not be
// read or written; the old password then stays in force.
//
// A change that another process made to the file is kept, unless both write
// in the same instant.
func (s *Store) SetPassword(principal string, password []byte) error {
	if len(password) == 0 {
		return fmt.Errorf("set password of %q: %w", principal, ErrEmptyPassword)
	}
	one := []statement{{command: setPassword, name: principal, password: string(password)}}
	err := s.change(context.Background(), one, owner)
	if errors.As(err, new(ScriptErrors)) {
		err = ErrNoSuchPrincipal
	}
	if err != nil {
		return fmt.Errorf("set password of %q: %w", principal, err)
	}
	return nil
}

// Update applies a script in the language of protocol 32 section 5.1 on
// behalf of the principal by, who may change only principals that nobody or
// by locks. All of the script is applied or nothing. The error is a
// [ScriptErrors] if the script is at fault, else that of ctx or of the file.
func (s *Store) Update(ctx context.Context, by, script string) error {
	statements, err := parseScript(script)
	if err == nil {
		err = s.change(ctx, statements, author{name: by})
	}
	if err != nil {
		return fmt.Errorf("update authentication store: %w", err)
	}
	return nil
}

// change applies statements and writes the file.
func (s *Store) change(ctx context.Context, statements []statement, by author) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.reload(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := s.state.Load()
	e := newEdit(old, by)
	e.verify = func(p *principal, password string) (bool, error) {
		return s.check(ctx, p.name, p, []byte(password))
	}
	if err := e.run(statements); err != nil {
		return err
	}
	st, err := s.finish(ctx, e, old)
	if err != nil {
		return err
	}
	return s.commit(st)
}

// Reload reads the file again if it is no longer the one that was last read
// or written, and reports whether it did. On an error the old content stays
// in force, and the next call tries again. Plain passwords in the file count
// at once, but stay in it until the next change or start.
func (s *Store) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err = s.reload()
	if err != nil {
		return false, fmt.Errorf("reload authentication store: %w", err)
	}
	return changed, nil
}

// reload is called with mu held.
func (s *Store) reload() (changed bool, err error) {
	data, info, changed, err := s.file.changed()
	if err != nil || !changed {
		return false, err
	}
	st, _, err := s.decode(data, s.state.Load())
	if err != nil {
		return false, err
	}
	s.file.info = info
	s.publish(st)
	return true, nil
}

// decode makes a state of the content of a file.
func (s *Store) decode(data []byte, old *state) (st *state, summed bool, err error) {
	statements, summed, err := decodeFile(&s.file, data, parseScript)
	if err != nil {
		return nil, false, err
	}
	ctx := context.Background()
	e := newEdit(&state{}, owner)
	e.file, e.marks = true, summed
	e.verify = func(p *principal, password string) (bool, error) {
		return s.check(ctx, p.name, p, []byte(password))
	}
	if err := e.run(statements); err != nil {
		return nil, false, s.file.scriptError(err)
	}
	st, err = s.finish(ctx, e, old)
	return st, summed, err
}

// finish does the hashing that an edit left over: of new passwords, and of
// the stock password against hashes that nobody vouches for and that old does
// not hold either.
func (s *Store) finish(ctx context.Context, e *edit, old *state) (*state, error) {
	st := e.state // without the passwords of e
	var work sync.WaitGroup
	var failed error
	for i, p := range st.principals {
		plain, pending := e.plain[p.name]
		if !pending && !e.unproved[p.name] {
			continue
		}
		done := *p
		st.principals[i], st.index[p.name] = &done, &done
		if before := old.index[p.name]; !pending && sameSecret(p, before) {
			done.stock = before.stock
			continue
		}
		if pending && done.stock && s.file.path == "" {
			done.unhashed = true
			continue
		}
		release, err := s.acquire(ctx)
		if err != nil {
			failed = err
			break
		}
		work.Go(func() {
			defer release()
			if pending {
				done.hash = newHash(s.derive, plain, s.cost)
			} else {
				done.stock = done.hash.matches(s.derive, []byte(StockPassword))
			}
		})
	}
	work.Wait()
	if failed != nil {
		return nil, failed
	}
	return &st, nil
}

// commit makes st durable, then visible. It is called with mu held.
func (s *Store) commit(st *state) error {
	if err := s.file.write(st.script()); err != nil {
		return err
	}
	s.publish(st)
	return nil
}

// publish makes st visible. It is called with mu held.
func (s *Store) publish(st *state) {
	s.state.Store(st)
	s.verified.clear()
}
