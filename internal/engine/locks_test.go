package engine

import (
	"errors"
	"slices"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// answers takes what is queued for a session and returns the answers by conversation.
func answers(s *Session, conn Conn) map[int64]wire.Message {
	all := map[int64]wire.Message{}
	messages, _ := s.Take(conn, nil, 1<<20)
	for _, m := range messages {
		if p, err := wire.ParseMessage(m.Bytes()); err == nil && (p.Type == wire.TypeResponse || p.Type == wire.TypeError) {
			all[p.Conversation] = p
		}
	}
	return all
}

func lockRequest(conversation int64, name string, scope service.LockScope) []byte {
	return service.AcquireSessionLock.AppendRequest(nil, conversation, service.LockRequest{
		LockCancellation: service.LockCancellation{Lock: name, Request: conversation}, Scope: scope})
}

// receive passes requests in without looking for an answer.
func receive(t *testing.T, s *Session, conn Conn, frames ...[]byte) {
	t.Helper()
	for _, frame := range frames {
		if err := s.Receive(conn, frame); err != nil {
			t.Fatal(err)
		}
	}
}

// acquired returns the acquisitions that answer conversations.
func acquired(t *testing.T, got map[int64]wire.Message, conversations ...int64) (all []service.Acquisition) {
	t.Helper()
	for _, c := range conversations {
		m, ok := got[c]
		a, err := service.AcquireSessionLock.ReadResponse(m.Body)
		if !ok || m.Type != wire.TypeResponse || err != nil {
			t.Fatalf("conversation %d: %+v, %v", c, m, err)
		}
		all = append(all, a)
	}
	return all
}

// TestLockAnsweredLater follows the capture of 33 section 2: what waits does not
// hold up what comes after it.
func TestLockAnsweredLater(t *testing.T) {
	e := newEngine(t, nil)
	first, conn1 := connect(t, e, "control")
	second, conn2 := connect(t, e, "control")
	receive(t, first, conn1, lockRequest(1, "a", service.UnlockOnSessionLoss), lockRequest(2, "b", service.UnlockOnConnectionLoss))
	held := acquired(t, answers(first, conn1), 1, 2)
	if want := []service.Acquisition{{Lock: "a"}, {Lock: "b", Sequence: 1, Scope: service.UnlockOnConnectionLoss}}; !slices.Equal(held, want) {
		t.Fatalf("acquired %+v, want %+v", held, want)
	}
	receive(t, second, conn2,
		lockRequest(1, "a", service.UnlockOnSessionLoss), lockRequest(2, "a", service.UnlockOnConnectionLoss),
		lockRequest(3, "b", service.UnlockOnSessionLoss),
		service.CancelAcquireSessionLock.AppendRequest(nil, 4, service.LockCancellation{Lock: "b", Request: 3}),
		service.ReleaseSessionLock.AppendRequest(nil, 5, held[0]),
		service.UserPing.AppendRequest(nil, 6, service.Empty{}),
	)
	got := answers(second, conn2)
	if len(got) != 3 || len(got[4].Body) != 0 || len(got[5].Body) != 1 || got[5].Body[0] != 0 {
		t.Fatalf("while the lock is another's: %+v", got)
	}
	for i, a := range held {
		receive(t, first, conn1, service.ReleaseSessionLock.AppendRequest(nil, int64(3+i), a))
	}
	got = answers(second, conn2)
	want := service.Acquisition{Lock: "a", Sequence: 2, Scope: service.UnlockOnConnectionLoss}
	if all := acquired(t, got, 1, 2); all[0] != want || all[1] != want || len(got) != 2 {
		t.Errorf("when it is free: %+v", got)
	}
	first.Close(ClosedByController)
	e.finished.Wait()
	if e.locks.Held("b", 1) || !e.locks.Held("a", 2) {
		t.Errorf("held: %+v", e.locks.Holdings())
	}
}

// TestLockGrantedWhileDisconnected: the answer waits in the queue, and requests
// that are for the time of a connection wait for one.
func TestLockGrantedWhileDisconnected(t *testing.T) {
	e := newEngine(t, nil)
	first, conn1 := connect(t, e, "control")
	second, conn2 := connect(t, e, "control")
	receive(t, first, conn1, lockRequest(1, "a", 0), lockRequest(2, "b", 0))
	answers(first, conn1)
	receive(t, second, conn2, lockRequest(1, "a", service.UnlockOnSessionLoss), lockRequest(2, "b", service.UnlockOnConnectionLoss),
		lockRequest(3, "c", service.UnlockOnSessionLoss), lockRequest(4, "d", service.UnlockOnConnectionLoss))
	if got := answers(second, conn2); len(got) != 2 {
		t.Fatalf("answers %+v", got)
	}
	second.Lost(conn2, ConnectionLost)
	if !e.locks.Held("c", 2) || e.locks.Held("d", 3) {
		t.Errorf("after the loss of the connection: %+v", e.locks.Holdings())
	}
	first.Close(ClosedByController)
	e.finished.Wait()
	if !e.locks.Held("a", 4) || len(e.locks.Holdings()) != 2 {
		t.Errorf("granted to a session without connection: %+v", e.locks.Holdings())
	}
	code, conn2 := reconnect(t, e, second, 2, 1)
	if code != wire.Reconnected {
		t.Fatal(code)
	}
	want := []service.Acquisition{{Lock: "a", Sequence: 4}, {Lock: "b", Sequence: 5, Scope: service.UnlockOnConnectionLoss}}
	if got := acquired(t, answers(second, conn2), 1, 2); !slices.Equal(got, want) {
		t.Errorf("after the reconnection: %+v, want %+v", got, want)
	}
	// A new connection takes over from one that nobody knows to be lost.
	if code, _ = reconnect(t, e, second, 4, 5); code != wire.Reconnected {
		t.Fatal(code)
	}
	if !e.locks.Held("a", 4) || !e.locks.Held("c", 2) || e.locks.Held("b", 5) {
		t.Errorf("after a take-over: %+v", e.locks.Holdings())
	}
}

// TestLocksAndMessageLoss: the client has forgotten what it held and asked for,
// and so does the server (33 section 4).
func TestLocksAndMessageLoss(t *testing.T) {
	e := newEngine(t, nil)
	first, conn1 := connect(t, e, "control")
	second, conn2 := connect(t, e, "control")
	receive(t, first, conn1, lockRequest(1, "a", 0))
	receive(t, second, conn2, lockRequest(1, "a", 0), lockRequest(2, "b", 0), lockRequest(3, "c", 0))
	receive(t, first, conn1, lockRequest(2, "b", 0)) // waits for second
	code, conn2 := reconnect(t, e, second, 99, 1)
	if code != wire.ReconnectedWithLoss {
		t.Fatal(code)
	}
	if got := acquired(t, answers(first, conn1), 1, 2); got[1].Sequence != 3 {
		t.Errorf("the lock of a session that lost messages is given as %+v", got[1])
	}
	first.Close(ClosedByController)
	e.finished.Wait()
	if got := answers(second, conn2); len(got) != 0 || len(e.locks.Holdings()) != 0 {
		t.Errorf("after the loss: answers %+v, held %+v", got, e.locks.Holdings())
	}
}

// TestLockedUpdates guards updates with a lock (23 section 3.1, 33 section 5).
func TestLockedUpdates(t *testing.T) {
	e := newEngine(t, nil)
	owner, conn := connect(t, e, "control")
	other, conn2 := connect(t, e, "control")
	receive(t, owner, conn, lockRequest(1, "", 0), lockRequest(2, "lockA", 0))
	a := acquired(t, answers(owner, conn), 2)[0]
	locked := func(sequence int64) service.Constraint {
		return service.Constraint{Kind: service.Locked, Lock: a.Lock, Sequence: sequence}
	}
	spec, value := topic.Specification{Type: topic.String}, []byte{0x61, 'v'}
	code := func(m wire.Message) wire.ErrorCode { return m.Error.Code }
	addAndSet := func(sequence int64) []byte {
		return service.AddAndSetTopic.AppendRequest(nil, 3, service.AddAndSetRequest{Path: "t", Specification: spec, Value: value, Constraint: locked(sequence)})
	}
	if got := code(call(t, owner, conn, addAndSet(a.Sequence+1))); got != wire.CodeUnsatisfied {
		t.Errorf("with another number: %d", got)
	}
	if got := code(call(t, other, conn2, addAndSet(a.Sequence))); got != 0 {
		t.Errorf("by another session: %d", got)
	}
	opened := call(t, owner, conn, service.CreateStream.AppendRequest(nil, 4, service.CreateStreamRequest{Path: "t", Type: topic.String, Constraint: locked(a.Sequence)}))
	stream, err := service.CreateStream.ReadResponse(opened.Body)
	if err != nil || opened.Type == wire.TypeError {
		t.Fatal(opened.Error, err)
	}
	set := service.StreamSet.AppendRequest(nil, 5, service.StreamRequest{ID: stream.ID, Bytes: []byte{0x61, 'w'}})
	if got := code(call(t, owner, conn, set)); got != 0 {
		t.Errorf("update stream while the lock is held: %d", got)
	}
	call(t, owner, conn, service.ReleaseSessionLock.AppendRequest(nil, 6, a))
	if got := code(call(t, owner, conn, set)); got != wire.CodeInvalidUpdateStream {
		t.Errorf("update stream of a released lock: %d", got)
	}
	if got := code(call(t, owner, conn, addAndSet(a.Sequence))); got != wire.CodeUnsatisfied {
		t.Errorf("with a released lock: %d", got)
	}
}

func TestLockQueries(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.MaxResultSize = 100 })
	admin, conn := connect(t, e, "admin")
	receive(t, admin, conn, lockRequest(1, "a", 0))
	answers(admin, conn)
	want := service.LockDetails{Server: "test", Owner: admin.ID()}
	one, err := service.GetSessionLock.ReadResponse(call(t, admin, conn, service.GetSessionLock.AppendRequest(nil, 2, "a")).Body)
	if err != nil || !one.Held || one.LockDetails != want {
		t.Errorf("held: %+v, %v", one, err)
	}
	none, err := service.GetSessionLock.ReadResponse(call(t, admin, conn, service.GetSessionLock.AppendRequest(nil, 3, "b")).Body)
	if err != nil || none.Held {
		t.Errorf("not held: %+v, %v", none, err)
	}
	all, err := service.GetSessionLocks.ReadResponse(call(t, admin, conn, service.GetSessionLocks.AppendRequest(nil, 4, service.Empty{})).Body)
	if err != nil || len(all) != 1 || all["a"] != want {
		t.Errorf("all: %+v, %v", all, err)
	}
	receive(t, admin, conn, lockRequest(5, "b", 0), lockRequest(6, "c", 0))
	answers(admin, conn)
	if m := call(t, admin, conn, lockRequest(7, string(make([]byte, 2000)), 0)); m.Error.Code != wire.CodeInvalidData {
		t.Errorf("a long name: %+v", m)
	}
	if m := call(t, admin, conn, service.GetSessionLocks.AppendRequest(nil, 8, service.Empty{})); m.Error.Code != wire.CodeCommunicationFailure {
		t.Errorf("more than an answer may have: %+v", m)
	}
}

// TestDeferredAnswerOfOneWayRequest: a request that wants no answer gets none.
func TestDeferredAnswerOfOneWayRequest(t *testing.T) {
	e := newEngine(t, nil)
	s, conn := connect(t, e, "control")
	receive(t, s, conn, lockRequest(0, "a", 0))
	if got := answers(s, conn); len(got) != 0 || !e.locks.Held("a", 0) {
		t.Errorf("answers %+v, held %+v", got, e.locks.Holdings())
	}
	err := s.Receive(&fakeConn{}, lockRequest(1, "b", 0))
	if !errors.Is(err, errNotCurrent) || e.locks.Held("b", 1) {
		t.Errorf("from a connection that is not the session's: %v", err)
	}
}
