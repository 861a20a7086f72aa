package lock

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"advect.dev/internal/service"
)

// A client is a session of the tests. Its connection is a number, 0 for none.
type client struct {
	name       string
	connection int
}

func (c *client) Connection() any {
	if c.connection == 0 {
		return nil
	}
	return c.connection
}

// A model does what 33 says, with nothing but lists.
type model struct {
	held  map[string]modelHold
	queue []modelRequest
	told  []string // answers, without sequence numbers
}

type modelHold struct {
	client     *client
	scope      service.LockScope
	connection int
}

type modelRequest struct {
	client *client
	service.LockRequest
}

func (m *model) tell(c *client, request int64, name string) {
	m.told = append(m.told, fmt.Sprint(c.name, " ", request, " ", name, " ", m.held[name].scope))
}

// settle takes away what connections have left behind, and assigns what is free.
func (m *model) settle() {
	for name, h := range m.held {
		if h.scope == service.UnlockOnConnectionLoss && h.connection != h.client.connection {
			delete(m.held, name)
		}
	}
	for i := 0; i < len(m.queue); i++ {
		c, name := m.queue[i].client, m.queue[i].Lock
		if _, held := m.held[name]; held {
			continue
		}
		mine := func(r modelRequest) bool { return r.client == c && r.Lock == name }
		scope := service.UnlockOnSessionLoss
		for _, r := range m.queue {
			if mine(r) {
				scope = max(scope, r.Scope)
			}
		}
		if scope == service.UnlockOnConnectionLoss && c.connection == 0 {
			continue
		}
		m.held[name] = modelHold{c, scope, c.connection}
		for _, r := range m.queue {
			if mine(r) {
				m.tell(c, r.Request, name)
			}
		}
		m.queue = slices.DeleteFunc(m.queue, mine)
		i = -1
	}
}

func (m *model) acquire(c *client, r service.LockRequest) {
	if h, ok := m.held[r.Lock]; ok && h.client == c {
		if r.Scope > h.scope && c.connection != 0 {
			m.held[r.Lock] = modelHold{c, r.Scope, c.connection}
		}
		m.tell(c, r.Request, r.Lock)
		return
	}
	m.queue = append(m.queue, modelRequest{c, r})
	m.settle()
}

func (m *model) forget(gone func(modelRequest) bool, released func(string, modelHold) bool) {
	m.queue = slices.DeleteFunc(m.queue, gone)
	maps.DeleteFunc(m.held, released)
	m.settle()
}

// TestModel plays random histories to a table and to the model. Everything that
// anyone is told must be the same but for the numbers, which must grow.
func TestModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		table, m := NewTable(), &model{held: map[string]modelHold{}}
		clients := []*client{{"a", 1}, {"b", 2}, {"c", 3}}
		names := []string{"", "x", "y/z"}
		connections := len(clients)
		sequences := map[string]int64{} // of the latest assignment, by name
		last, request := int64(-1), int64(0)

		step := func(do func(told func(*client, int64) func(service.Acquisition))) {
			var told []string
			fresh, highest := map[int64]string{}, last
			do(func(c *client, id int64) func(service.Acquisition) {
				return func(a service.Acquisition) {
					told = append(told, fmt.Sprint(c.name, " ", id, " ", a.Lock, " ", a.Scope))
					if other, ok := fresh[a.Sequence]; ok && other != a.Lock {
						t.Fatalf("locks %q and %q have one number", other, a.Lock)
					}
					if known, ok := sequences[a.Lock]; !ok || a.Sequence != known {
						if a.Sequence <= highest {
							t.Fatalf("lock %q is assigned with number %d after %d", a.Lock, a.Sequence, highest)
						}
						fresh[a.Sequence], sequences[a.Lock] = a.Lock, a.Sequence
						last = max(last, a.Sequence)
					}
				}
			})
			slices.Sort(told)
			slices.Sort(m.told)
			if diff := cmp.Diff(m.told, told); diff != "" {
				t.Fatalf("told (-want +got):\n%s", diff)
			}
			m.told = nil
			if last != highest+int64(len(fresh)) {
				t.Fatalf("%d assignments took the numbers %d to %d", len(fresh), highest+1, last)
			}
		}
		// The answer functions of requests that wait outlive the step that made them.
		var sink func(c *client, id int64, a service.Acquisition)
		run := func(do func()) {
			step(func(told func(*client, int64) func(service.Acquisition)) {
				sink = func(c *client, id int64, a service.Acquisition) { told(c, id)(a) }
				do()
			})
		}
		pick := func() (*client, string) {
			return rapid.SampledFrom(clients).Draw(t, "client"), rapid.SampledFrom(names).Draw(t, "name")
		}
		t.Repeat(map[string]func(*rapid.T){
			"acquire": func(t *rapid.T) {
				c, name := pick()
				r := service.LockRequest{LockCancellation: service.LockCancellation{Lock: name, Request: request}, Scope: service.LockScope(rapid.IntRange(0, 1).Draw(t, "scope"))}
				request++
				run(func() {
					m.acquire(c, r)
					if err := table.Acquire(c, r, func(a service.Acquisition) { sink(c, r.Request, a) }); err != nil {
						t.Fatal(err)
					}
				})
			},
			"cancel": func(t *rapid.T) {
				c, name := pick()
				which := service.LockCancellation{Lock: name, Request: request - rapid.Int64Range(1, 10).Draw(t, "back")}
				run(func() {
					m.forget(func(r modelRequest) bool { return r.client == c && r.LockCancellation == which },
						func(string, modelHold) bool { return false })
					table.Cancel(c, which)
				})
			},
			"release": func(t *rapid.T) {
				c, name := pick()
				sequence, known := sequences[name]
				sequence -= rapid.SampledFrom([]int64{0, 0, 0, 1}).Draw(t, "off")
				h, held := m.held[name]
				want := held && known && h.client == c && sequence == sequences[name]
				run(func() {
					m.forget(func(modelRequest) bool { return false },
						func(n string, _ modelHold) bool { return want && n == name })
					if got := table.Release(c, name, sequence); got != want {
						t.Fatalf("%s releases %q with %d: %v, want %v", c.name, name, sequence, got, want)
					}
				})
			},
			"disconnect": func(t *rapid.T) {
				c, _ := pick()
				run(func() {
					c.connection = 0
					m.settle()
					table.ConnectionChanged(c)
				})
			},
			"reconnect": func(t *rapid.T) {
				c, _ := pick()
				connections++
				run(func() {
					c.connection = connections
					m.settle()
					table.ConnectionChanged(c)
				})
			},
			"close": func(t *rapid.T) {
				c, _ := pick()
				run(func() {
					m.forget(func(r modelRequest) bool { return r.client == c },
						func(_ string, h modelHold) bool { return h.client == c })
					table.Close(c)
				})
			},
			"": func(t *rapid.T) {
				want, got := map[string]string{}, map[string]string{}
				for name, h := range m.held {
					want[name] = fmt.Sprint(h.client.name, " ", sequences[name])
				}
				for _, h := range table.Holdings() {
					got[h.Name] = fmt.Sprint(h.Owner.(*client).name, " ", h.Sequence)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Fatalf("held (-want +got):\n%s", diff)
				}
				for _, name := range names {
					sequence, assigned := sequences[name]
					_, held := m.held[name]
					if table.Held(name, sequence) != (held && assigned) || table.Held(name, sequence+1) {
						t.Fatalf("Held(%q, %d): %v, held %v", name, sequence, table.Held(name, sequence), held)
					}
					if h, ok := table.Holding(name); ok != held || ok && h.Sequence != sequence {
						t.Fatalf("Holding(%q): %+v, %v", name, h, ok)
					}
				}
				if len(m.held)+len(m.queue) == 0 && len(table.locks)+len(table.members) != 0 {
					t.Fatalf("%d locks and %d sessions are remembered for nothing", len(table.locks), len(table.members))
				}
			},
		})
	})
}
