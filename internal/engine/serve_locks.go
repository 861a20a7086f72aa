package engine

import (
	"advect.dev/internal/lock"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

func lockName(r *service.LockRequest) string { return r.Lock }

// Connection implements [lock.Session].
func (s *Session) Connection() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		return nil
	}
	return s.conn
}

// acquireLock is answered when the session holds the lock, and never if the
// request is cancelled before that (33 section 3).
func (s *Session) acquireLock(r service.LockRequest, answer func(service.Acquisition)) error {
	if err := s.engine.locks.Acquire(s, r, answer); err != nil {
		return wire.Errorf(wire.CodeInvalidData, "%v", err)
	}
	return nil
}

func (s *Session) cancelLock(c service.LockCancellation) (res service.Empty, err error) {
	s.engine.locks.Cancel(s, c)
	return res, nil
}

func (s *Session) releaseLock(a service.Acquisition) (service.Bool, error) {
	return service.Bool(s.engine.locks.Release(s, a.Lock, a.Sequence)), nil
}

func (s *Session) getLock(name service.Text) (res service.OptionalLock, err error) {
	h, held := s.engine.locks.Holding(string(name))
	if held {
		res = service.OptionalLock{Held: true, LockDetails: s.engine.lockDetails(h)}
	}
	return res, nil
}

func (s *Session) getLocks(service.Empty) (service.LockMap, error) {
	all := s.engine.locks.Holdings()
	const overhead = 40 // bytes of an entry, without the names
	size := 0
	locks := make(service.LockMap, len(all))
	for _, h := range all {
		locks[h.Name] = s.engine.lockDetails(h)
		size += overhead + len(h.Name) + len(s.engine.cfg.ServerName)
	}
	if size > s.engine.cfg.MaxResultSize {
		return nil, wire.Errorf(wire.CodeCommunicationFailure,
			"the %d locks that are held are too many for one answer: ask for them one by one with %s", len(all), service.GetSessionLock)
	}
	return locks, nil
}

func (e *Engine) lockDetails(h lock.Holding) service.LockDetails {
	return service.LockDetails{Server: e.cfg.ServerName, Owner: h.Owner.(*Session).id, Sequence: h.Sequence}
}
