package engine

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/tree"
)

// addWithPolicies adds topics with removal policies, by path.
func addWithPolicies(r *reader, policies map[string]string) {
	r.t.Helper()
	for path, policy := range policies {
		r.expect(path, addingAndSetting(1, path, stringSpec(topic.Removal, policy), "1"), "answer 1")
	}
}

// left returns the paths of all topics.
func left(e *Engine) (paths []string) {
	q := service.Query{Types: service.AllTypes, Limit: 1 << 30, MaxResultSize: 1 << 30, DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1}
	all, _ := selector.Parse("?.*//")
	for _, item := range e.tree.Fetch(&q, all, 1<<30, func(*tree.Topic) bool { return true }).Topics {
		paths = append(paths, item.Path)
	}
	return paths
}

// after lets time pass in a bubble, and a round of evaluations after it.
func after(d time.Duration) {
	time.Sleep(d + 2*time.Second)
	synctest.Wait()
}

func removalEngine(t *testing.T) *Engine {
	return newEngine(t, func(c *Config) { c.RemovalInterval = time.Second })
}

// TestRemovalPolicies follows 12 section 12.6: each condition, through sessions.
func TestRemovalPolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := removalEngine(t)
		r := newReader(t, e, "control")
		addWithPolicies(r, map[string]string{
			"plain":  fmt.Sprintf("when time after %d", time.Now().Add(10*time.Minute).UnixMilli()),
			"few":    "when subscriptions < 1 for 5m after 1m",
			"idle":   "when no updates for 5m",
			"nobody": `when no session has '$Principal is "operator"' for 2m`,
			"mine":   "when this session closes",
			"all":    "when this session closes and no updates for 1m",
			"either": "when this session closes or no updates for 20m",
		})
		watcher := newReader(t, e, "client")
		watcher.do(selecting(1, "?.*//"))
		operator := newReader(t, e, "operator")
		expect := func(when string, want ...string) {
			t.Helper()
			got := left(e)
			if slices.Sort(want); !slices.Equal(got, want) {
				t.Errorf("%s: %q are left, want %q", when, got, want)
			}
		}
		after(4 * time.Minute)
		r.do(updating(2, "idle", "2"))
		expect("after 4 minutes", "all", "either", "few", "idle", "mine", "nobody", "plain")
		after(2 * time.Minute)
		expect("after 6 minutes", "all", "either", "few", "idle", "mine", "nobody", "plain")
		after(3 * time.Minute)
		expect("5 minutes after the update", "all", "either", "few", "mine", "nobody", "plain")
		after(1 * time.Minute)
		expect("at the time", "all", "either", "few", "mine", "nobody")
		operator.s.Close(ClosedByClient)
		after(time.Minute)
		expect("a minute after the operator", "all", "either", "few", "mine", "nobody")
		after(time.Minute)
		expect("two minutes after the operator", "all", "either", "few", "mine")
		got := watcher.do(unselecting(2, ">few"))
		after(4 * time.Minute)
		expect("4 minutes without subscription", "all", "either", "few", "mine")
		after(time.Minute)
		expect("5 minutes without subscription", "all", "either", "mine")
		r.do(updating(3, "all", "2"))
		r.s.Close(ClosedByClient)
		after(0)
		expect("when the session has closed", "all")
		after(time.Minute)
		expect("a minute after the update")
		got = append(got, watcher.take()...)
		for _, path := range []string{"plain", "idle", "nobody", "mine", "all", "either"} {
			if !slices.Contains(got, "unsub "+path+" REMOVED") {
				t.Errorf("who subscribed to %s got %q", path, got)
			}
		}
	})
}

// TestRemovalWaitsForTheWindow checks that a session which may come back is not
// closed, and that one which does not is.
func TestRemovalWaitsForTheWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := removalEngine(t)
		r := newReader(t, e, "control")
		addWithPolicies(r, map[string]string{"mine": "when this session closes", "control": `when no session has '$Principal is "control"'`})
		r.s.Lost(r.conn, ConnectionLost)
		after(50 * time.Second)
		if got := left(e); len(got) != 2 {
			t.Fatalf("within the window of a disconnected session: %q", got)
		}
		r.reconnectWithLoss()
		after(5 * time.Minute)
		if got := left(e); len(got) != 2 {
			t.Fatalf("after a reconnection: %q", got)
		}
		r.s.Lost(r.conn, ConnectionLost)
		after(time.Minute)
		if got := left(e); len(got) != 0 {
			t.Errorf("after the window: %q", got)
		}
	})
}

// TestRemovalOfOthers checks that a policy that selects topics removes with the
// roles of its creator, keeps its own topic unless that is selected, and goes on.
func TestRemovalOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := removalEngine(t)
		control := newReader(t, e, "control")
		for i, path := range []string{"a/1", "a/2/3", "b"} {
			control.do(addingAndSetting(int64(i+1), path, stringSpec(), "1"))
		}
		control.do(adding(8, "policy", stringSpec(topic.Removal, `when no session has '$Principal is "operator"' remove '?a//'`)))
		control.do(adding(9, "a/self", stringSpec(topic.Removal, `when no updates for 1h remove "?a//"`)))
		operator := newReader(t, e, "operator")
		after(10 * time.Minute)
		if got := left(e); len(got) != 5 {
			t.Fatalf("while there is an operator: %q", got)
		}
		operator.s.Close(ClosedByClient)
		after(0)
		if got, want := left(e), []string{"b", "policy"}; !slices.Equal(got, want) {
			t.Errorf("without: %q, want %q", got, want)
		}
		control.do(addingAndSetting(10, "a/1", stringSpec(), "1"))
		after(0)
		if got, want := left(e), []string{"b", "policy"}; !slices.Equal(got, want) {
			t.Errorf("the policy that removed others and stayed: %q, want %q", got, want)
		}
	})
}

// TestRemovalHasTheCreatorsRoles checks that a policy cannot remove what its
// creator could not.
func TestRemovalHasTheCreatorsRoles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := removalEngine(t)
		control := newReader(t, e, "control")
		control.do(addingAndSetting(1, "owned", stringSpec(topic.Owner, `$Principal is "client"`), "1"))
		control.do(addingAndSetting(2, "others", stringSpec(), "1"))
		// Of a client, as if it had once had the permission to create it.
		client := newReader(t, e, "client")
		if _, err := e.tree.Add(client.s.author(), &service.AddRequest{Path: "policy", Specification: stringSpec(topic.Removal, "when this session closes remove '?.*//'")}); err != nil {
			t.Fatal(err)
		}
		client.s.Close(ClosedByClient)
		after(0)
		if got, want := left(e), []string{"others"}; !slices.Equal(got, want) {
			t.Errorf("%q are left, want %q", got, want)
		}
	})
}

// TestClosingRemovesNothing checks that a server which stops does not take its
// sessions for gone.
func TestClosingRemovesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var e *Engine
		t.Cleanup(func() { // after newEngine's, which closes it
			after(time.Hour)
			if n := e.tree.Len(); n != 2 {
				t.Errorf("%d topics", n)
			}
		})
		e = removalEngine(t)
		r := newReader(t, e, "control")
		addWithPolicies(r, map[string]string{"mine": "when this session closes", "control": `when no session has '$Principal is "control"'`})
	})
}

// TestHostilePolicies checks that policies are refused when they are added, or are
// evaluated within bounds.
func TestHostilePolicies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := removalEngine(t)
		r := newReader(t, e, "control")
		for i := range 3000 {
			r.do(addingAndSetting(1, fmt.Sprint("a", i, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"), stringSpec(), "1"))
		}
		for _, bad := range []string{"", "when", "when this session closes remove '?['", "when no session has '$Principal'", "when subscriptions < 1"} {
			r.expect(bad, adding(2, "p", stringSpec(topic.Removal, bad)), "error 2 9006")
		}
		r.expect("catastrophic", adding(3, "p", stringSpec(topic.Removal, "when this session closes remove '*(a|aa|a?)*c'")), "answer 3")
		r.s.Close(ClosedByClient)
		after(time.Minute)
		other := newReader(t, e, "control")
		other.expect("the server goes on", updating(1, "p", "1"), "answer 1")
		if n := e.tree.Len(); n != 3001 {
			t.Errorf("%d topics", n)
		}
	})
}
