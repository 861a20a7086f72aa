package security

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"sync/atomic"
)

// PolicyStore is the security store: the roles, what they may do, and which
// roles sessions have by default (protocol 32 section 5.2). Every change
// makes a new [Policy].
type PolicyStore struct {
	current atomic.Pointer[policyState]

	// mu is held by a writer through reading and writing the file, so that
	// changes do not overwrite each other. Readers use current alone.
	mu   sync.Mutex
	file storeFile // guarded by mu; its path and disk are fixed
}

// policyState is the content of the store; immutable once published.
type policyState struct {
	model    Model
	policy   *Policy
	replaced chan struct{} // closed when another state has been published
}

func newPolicyState(m Model) (*policyState, error) {
	policy, err := NewPolicy(m)
	if err != nil {
		return nil, err
	}
	return &policyState{model: m, policy: policy, replaced: make(chan struct{})}, nil
}

// OpenPolicyStore opens the file [PolicyStoreFile] in dir. If it does not
// exist, it is created with the stock roles, and dir with it. An empty dir
// makes a store in memory.
//
// A file may be written by hand: opening it adds the checksum. A file that is
// damaged or does not parse is left alone and reported as a [*FileError].
func OpenPolicyStore(dir string) (*PolicyStore, error) {
	return openPolicyStore(newStoreFile(dir, policyFile))
}

func openPolicyStore(file storeFile) (*PolicyStore, error) {
	s := &PolicyStore{file: file}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("open security store: %w", err)
	}
	return s, nil
}

func (s *PolicyStore) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	data, info, found, err := s.file.open()
	if err != nil {
		return err
	}
	if !found {
		st, err := newPolicyState(StockModel())
		if err != nil {
			return err
		}
		return s.commit(st)
	}
	st, summed, err := s.decode(data)
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

// Path returns the name of the store's file, or "" if it is in memory.
func (s *PolicyStore) Path() string { return s.file.path }

// Policy returns the policy in force. Each change makes another one, so two
// equal pointers mean that nothing changed in between.
func (s *PolicyStore) Policy() *Policy { return s.current.Load().policy }

// Watch returns the policy in force and a channel that is closed as soon as
// another one is. Whoever calls Watch again after that misses nothing but
// policies that were replaced meanwhile.
func (s *PolicyStore) Watch() (*Policy, <-chan struct{}) {
	st := s.current.Load()
	return st.policy, st.replaced
}

// Model returns the content of the store. Roles are in the order in which
// they were first mentioned. The receiver owns the result.
func (s *PolicyStore) Model() Model { return s.current.Load().model.clone() }

// Update applies a script in the language of protocol 32 section 5.2 on
// behalf of the principal by, who may change only roles that nobody or by
// locks. All of the script is applied or nothing; a script that changes
// nothing makes no new policy. The error is a [ScriptErrors] if the script is
// at fault, else that of the file.
//
// When Update returns, [PolicyStore.Policy] returns the new policy.
//
// A role comes into being as the subject of a set statement; to remove a path
// assignment or an isolation that is not there is no error.
func (s *PolicyStore) Update(by, script string) error {
	statements, err := parsePolicyScript(script)
	if err == nil {
		err = s.change(statements, author{name: by})
	}
	if err != nil {
		return fmt.Errorf("update security store: %w", err)
	}
	return nil
}

func (s *PolicyStore) change(statements []policyStatement, by author) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, err := s.reload(); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	old := &s.current.Load().model
	e := newPolicyEdit(old, by)
	if err := e.run(statements); err != nil {
		return err
	}
	if e.model.Script() == old.Script() {
		return nil
	}
	st, err := newPolicyState(e.model)
	if err != nil {
		return err
	}
	return s.commit(st)
}

// Reload reads the file again if it is no longer the one that was last read
// or written, and reports whether it did. On an error the old content stays
// in force, and the next call tries again.
func (s *PolicyStore) Reload() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	changed, err = s.reload()
	if err != nil {
		return false, fmt.Errorf("reload security store: %w", err)
	}
	return changed, nil
}

// reload is called with mu held.
func (s *PolicyStore) reload() (changed bool, err error) {
	data, info, changed, err := s.file.changed()
	if err != nil || !changed {
		return false, err
	}
	st, _, err := s.decode(data)
	if err != nil {
		return false, err
	}
	s.file.info = info
	s.publish(st)
	return true, nil
}

// decode makes a state of the content of a file.
func (s *PolicyStore) decode(data []byte) (st *policyState, summed bool, err error) {
	statements, summed, err := decodeFile(&s.file, data, parsePolicyScript)
	if err != nil {
		return nil, false, err
	}
	e := newPolicyEdit(&Model{}, owner)
	if err := e.run(statements); err != nil {
		return nil, false, s.file.scriptError(err)
	}
	st, err = newPolicyState(e.model)
	return st, summed, err
}

// commit makes st durable, then visible. It is called with mu held.
func (s *PolicyStore) commit(st *policyState) error {
	if err := s.file.write(st.model.Script()); err != nil {
		return err
	}
	s.publish(st)
	return nil
}

// publish makes st visible. It is called with mu held.
func (s *PolicyStore) publish(st *policyState) {
	if old := s.current.Swap(st); old != nil {
		close(old.replaced)
	}
}
