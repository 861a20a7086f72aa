package lock

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"advect.dev/internal/service"
)

func ask(name string, id int64, scope service.LockScope) service.LockRequest {
	return service.LockRequest{LockCancellation: service.LockCancellation{Lock: name, Request: id}, Scope: scope}
}

func ignore(service.Acquisition) {}

// TestChangeBehindTheTable swaps a connection before the table is told: what is
// assigned in between belongs to the new connection and stays.
func TestChangeBehindTheTable(t *testing.T) {
	table, c := NewTable(), &client{"a", 1}
	for i, name := range []string{"old", "new"} {
		c.connection = i + 1
		if err := table.Acquire(c, ask(name, 0, service.UnlockOnConnectionLoss), ignore); err != nil {
			t.Fatal(err)
		}
	}
	table.ConnectionChanged(c)
	if table.Held("old", 0) || !table.Held("new", 1) {
		t.Errorf("held: %+v", table.Holdings())
	}
	table.ConnectionChanged(c) // late news of the loss of the first
	if !table.Held("new", 1) {
		t.Error("news of an old loss took a lock of the new connection")
	}
}

// TestOwnersOldConnection asks again for a lock that was for an older connection,
// before the table is told: it is another assignment.
func TestOwnersOldConnection(t *testing.T) {
	table, c := NewTable(), &client{"a", 1}
	var got []int64
	for range 2 {
		if err := table.Acquire(c, ask("x", 0, service.UnlockOnConnectionLoss), func(a service.Acquisition) { got = append(got, a.Sequence) }); err != nil {
			t.Fatal(err)
		}
		c.connection++
	}
	if fmt.Sprint(got) != "[0 1]" {
		t.Errorf("sequences %v", got)
	}
}

func TestLimits(t *testing.T) {
	table, c := NewTable(), &client{"a", 1}
	if err := table.Acquire(c, ask(strings.Repeat("n", maxName+1), 0, 0), ignore); err == nil {
		t.Error("a long name is taken")
	}
	other := &client{"b", 2}
	for _, name := range []string{"0", "1"} {
		if err := table.Acquire(c, ask(name, 0, 0), ignore); err != nil {
			t.Fatal(err)
		}
	}
	for i := range maxRequests / 2 {
		for _, err := range []error{
			table.Acquire(other, ask("0", int64(i), 0), ignore),
			table.Acquire(other, ask("1", int64(i), 0), ignore),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := table.Acquire(other, ask("2", 0, 0), ignore); err == nil {
		t.Errorf("request %d is taken", maxRequests+1)
	}
	if err := table.Acquire(c, ask("0", 0, 0), ignore); err != nil {
		t.Errorf("a lock of one's own: %v", err)
	}
	table.Cancel(other, service.LockCancellation{Lock: "0", Request: 7})
	if err := table.Acquire(other, ask("2", 0, 0), ignore); err != nil {
		t.Errorf("after a cancellation: %v", err)
	}
	table.Close(c)
	table.Close(other)
	if len(table.locks)+len(table.members) != 0 {
		t.Errorf("%d locks and %d sessions are left", len(table.locks), len(table.members))
	}
}

// TestExclusion has sessions on many goroutines take and leave a lock: no two may
// believe that they have it, and the numbers grow in the order of the holders.
func TestExclusion(t *testing.T) {
	const sessions, rounds = 8, 200
	table := NewTable()
	var holder atomic.Int64
	last := int64(-1) // guarded by the lock under test
	var all sync.WaitGroup
	for n := range int64(sessions) {
		all.Go(func() {
			c := &client{"", 1}
			granted := make(chan service.Acquisition, 1)
			for i := range int64(rounds) {
				if err := table.Acquire(c, ask("x", i, service.LockScope(i%2)), func(a service.Acquisition) { granted <- a }); err != nil {
					t.Error(err)
					return
				}
				if i%3 == 0 {
					table.Cancel(c, service.LockCancellation{Lock: "x", Request: i})
					select {
					case a := <-granted:
						table.Release(c, "x", a.Sequence)
					default:
					}
					continue
				}
				a := <-granted
				if !holder.CompareAndSwap(0, n+1) {
					t.Errorf("session %d has the lock of another", n)
				}
				if a.Sequence <= last || !table.Held("x", a.Sequence) {
					t.Errorf("number %d after %d, held %v", a.Sequence, last, table.Held("x", a.Sequence))
				}
				last = a.Sequence
				holder.Store(0)
				if i%5 == 1 {
					table.Close(c)
				} else if !table.Release(c, "x", a.Sequence) {
					t.Errorf("session %d cannot release its lock", n)
				}
			}
		})
	}
	all.Wait()
	if len(table.locks)+len(table.members) != 0 {
		t.Errorf("%d locks and %d sessions are left", len(table.locks), len(table.members))
	}
}

func BenchmarkHeld(b *testing.B) {
	table := NewTable()
	_ = table.Acquire(&client{"a", 1}, ask("x", 0, 0), ignore)
	b.ReportAllocs()
	for b.Loop() {
		table.Held("x", 0)
	}
}

// TestCancelWeakScope: without the request that only a connected session can be
// granted, the session may have the lock.
func TestCancelWeakScope(t *testing.T) {
	table, away, owner := NewTable(), &client{"a", 0}, &client{"b", 1}
	granted := 0
	for id, scope := range []service.LockScope{service.UnlockOnSessionLoss, service.UnlockOnConnectionLoss} {
		if err := table.Acquire(owner, ask("x", 0, 0), ignore); err != nil {
			t.Fatal(err)
		}
		if err := table.Acquire(away, ask("x", int64(id), scope), func(service.Acquisition) { granted++ }); err != nil {
			t.Fatal(err)
		}
	}
	table.Close(owner)
	if granted != 0 || len(table.Holdings()) != 0 {
		t.Fatalf("granted %d requests of a session without connection", granted)
	}
	table.Cancel(away, service.LockCancellation{Lock: "x", Request: 1})
	if granted != 1 || !table.Held("x", 1) {
		t.Errorf("granted %d requests, held %+v", granted, table.Holdings())
	}
}
