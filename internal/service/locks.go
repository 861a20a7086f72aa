package service

import (
	"maps"
	"slices"

	"advect.dev/internal/wire"
)

// Session locks (33).
var (
	AcquireSessionLock       = declare[LockRequest, Acquisition](114, "ACQUIRE_SESSION_LOCK")
	CancelAcquireSessionLock = declare[LockCancellation, Empty](115, "CANCEL_ACQUIRE_SESSION_LOCK")
	ReleaseSessionLock       = declare[Acquisition, Bool](116, "RELEASE_SESSION_LOCK")
	GetSessionLock           = declare[Text, OptionalLock](196, "GET_SESSION_LOCK")
	GetSessionLocks          = declare[Empty, LockMap](197, "GET_SESSION_LOCKS")
)

// A LockScope is how long a session lock is held that nobody releases.
type LockScope byte

// The scopes.
const (
	UnlockOnSessionLoss    LockScope = 0
	UnlockOnConnectionLoss LockScope = 1
)

func readScope(r *wire.Reader) LockScope {
	s := r.Byte()
	if s > byte(UnlockOnConnectionLoss) {
		r.Fail("unknown scope of a session lock %d", s)
	}
	return LockScope(s)
}

// A LockCancellation names a pending request for a lock.
type LockCancellation struct {
	Lock    string
	Request int64 // chosen by the session
}

func (m *LockCancellation) append(b []byte) []byte {
	return wire.AppendInt64(wire.AppendString(b, m.Lock), m.Request)
}

func (m *LockCancellation) read(r *wire.Reader) { m.Lock, m.Request = r.String(), r.Int64() }

// A LockRequest asks for a lock.
type LockRequest struct {
	LockCancellation
	Scope LockScope
}

func (m *LockRequest) append(b []byte) []byte {
	return append(m.LockCancellation.append(b), byte(m.Scope))
}

func (m *LockRequest) read(r *wire.Reader) {
	m.LockCancellation.read(r)
	m.Scope = readScope(r)
}

// An Acquisition is a lock in the hands of a session.
type Acquisition struct {
	Lock     string
	Sequence int64 // larger than that of any earlier acquisition of any lock
	Scope    LockScope
}

func (m *Acquisition) append(b []byte) []byte {
	return append(wire.AppendInt64(wire.AppendString(b, m.Lock), m.Sequence), byte(m.Scope))
}

func (m *Acquisition) read(r *wire.Reader) {
	m.Lock, m.Sequence = r.String(), r.Int64()
	m.Scope = readScope(r)
}

// LockDetails says who holds a lock.
type LockDetails struct {
	Server   string
	Owner    wire.SessionID
	Sequence int64
}

func (m *LockDetails) append(b []byte) []byte {
	return wire.AppendInt64(wire.AppendSessionID(wire.AppendString(b, m.Server), m.Owner), m.Sequence)
}

func (m *LockDetails) read(r *wire.Reader) {
	m.Server, m.Owner, m.Sequence = r.String(), r.SessionID(), r.Int64()
}

// OptionalLock is the details of a lock, or nothing if nobody holds it.
type OptionalLock struct {
	Held bool
	LockDetails
}

func (m *OptionalLock) append(b []byte) []byte {
	if !m.Held {
		return append(b, 0)
	}
	return m.LockDetails.append(append(b, 1))
}

func (m *OptionalLock) read(r *wire.Reader) {
	if m.Held = r.Byte() != 0; m.Held {
		m.LockDetails.read(r)
	}
}

// LockMap has the locks that are held, by name.
type LockMap map[string]LockDetails

// minLock is the fewest bytes that an entry of a LockMap takes.
const minLock = 5

func (m *LockMap) append(b []byte) []byte {
	b = wire.AppendInt32(b, int32(len(*m)))
	for _, name := range slices.Sorted(maps.Keys(*m)) {
		details := (*m)[name]
		b = details.append(wire.AppendString(b, name))
	}
	return b
}

func (m *LockMap) read(r *wire.Reader) {
	n := r.Count(minLock)
	*m = nil
	if n == 0 {
		return
	}
	*m = make(LockMap, n)
	for range n {
		name := r.String()
		var details LockDetails
		details.read(r)
		(*m)[name] = details
	}
}
