package engine

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A world is an engine, the clients that use it, and the reference that says what
// they are to see. Everything happens in one goroutine and in the bubble of
// testing/synctest, so that even timestamps can be foretold.
type world struct {
	engine   *Engine
	ref      *reference
	clients  []*modelClient
	limits   outbox.Limits
	seed     uint64
	rnd      *rand.Rand
	op       string // what is being done
	traced   func(op string)
	tally    map[string]int // how often things happened that a run must not miss
	settling bool
}

// A difference is where the engine and the reference part.
type difference struct{ text string }

func (d difference) Error() string { return d.text }

func (w *world) fail(format string, args ...any) {
	panic(difference{w.op + "\n" + fmt.Sprintf(format, args...)})
}

const (
	window    = 10 * time.Second
	keepAlive = 8 * time.Second

	tightQueue = 1 << 15 // bytes: less than one operation may make for a client
)

// tight reports whether one operation can be too much even for a client that has
// read everything.
func (w *world) tight() bool { return w.limits.Bytes == tightQueue }

func modelConfig(limits outbox.Limits) func(*Config) {
	return func(c *Config) {
		c.KeepAlive, c.Queue, c.RemovalInterval = keepAlive, limits, time.Hour
		// Own events may be edited by control, all by admin; both may ask for replaced ones.
		err := c.Policies.Update("", `set "TOPIC_CONTROL" default path permissions [UPDATE_TOPIC MODIFY_TOPIC EDIT_OWN_TIME_SERIES_EVENTS QUERY_OBSOLETE_TIME_SERIES_EVENTS]
set "ADMINISTRATOR" default path permissions [EDIT_TIME_SERIES_EVENTS]`)
		if err != nil {
			panic(err)
		}
	}
}

// newWorld returns a world whose limits and clients depend on the seed.
func newWorld(engine func(change func(*Config)) *Engine, seed uint64, m *memory) *world {
	rnd := rand.New(rand.NewPCG(seed, 0))
	w := &world{seed: seed, rnd: rnd, tally: m.tally}
	w.limits = outbox.Limits{
		Messages: 16 << rnd.IntN(5), Bytes: []int{0, 1 << 20, tightQueue}[rnd.IntN(3)],
		RecoveryMessages: rnd.IntN(100), RecoveryBytes: 1 << 30,
	}
	w.engine = engine(modelConfig(w.limits))
	w.ref = &reference{topics: map[string]*modelTopic{}, handlers: map[string]missing{}, documents: map[string]*node{}, selectors: m.selectors}
	for i := range 7 {
		c := &modelClient{world: w, zlib: rnd.IntN(2) == 0, window: window, principal: []string{"control", "admin", "client", ""}[min(rnd.IntN(6), 3)]}
		if i < 2 {
			c.principal = []string{"admin", "control"}[i]
		} else {
			c.pace = pace(rnd.IntN(3))
		}
		if rnd.IntN(6) == 0 {
			c.window = 0
		}
		w.clients = append(w.clients, c)
		w.open(c)
	}
	return w
}

// open opens a session.
func (w *world) open(c *modelClient) {
	c.scopes, c.ends, c.unseen = map[string]selections{}, -1, false
	c.conn = &fakeConn{}
	q := request(c.principal)
	q.Type, q.ReconnectTimeout = "WJ", c.window
	if !c.zlib {
		q.Capabilities = wire.CapabilityUnified
	}
	res, s := w.engine.Connect(context.Background(), q, here, c.conn)
	if s == nil {
		w.fail("%v cannot connect: %v", c, res.Code)
	}
	c.session = s
	c.forget()
	w.ref.clients = append(w.ref.clients, c)
}

// step does operation number n.
func (w *world) step(n int) {
	w.rnd = rand.New(rand.NewPCG(w.seed, uint64(n)+1))
	c := w.clients[w.rnd.IntN(len(w.clients))]
	if c.pace == stalled && w.rnd.IntN(4) > 0 { // or its queue would be full of answers
		c = w.clients[w.rnd.IntN(2)]
	}
	w.op = ""
	switch {
	case c.session == nil:
		w.note("%v opens a session", c)
		w.open(c)
	case w.rnd.IntN(12) == 0 || c.conn == nil && w.rnd.IntN(3) == 0:
		w.disturb(c)
	default:
		w.request(c)
	}
	w.settle()
	if n%1000 == 999 {
		w.rest()
	}
}

func (w *world) note(format string, args ...any) {
	if w.traced != nil {
		w.op = fmt.Sprintf(format, args...)
		w.traced(w.op)
	}
}

// settle awaits what the engine does on the side, and lets the clients read that
// read at once.
func (w *world) settle() {
	w.engine.finished.Wait()
	for _, n := range w.ref.fresh {
		if made := w.engine.tree.Get(n.path); made != nil {
			n.id = made.ID()
		}
	}
	w.ref.fresh = w.ref.fresh[:0]
	for _, c := range w.clients {
		w.observe(c)
	}
	if w.settling {
		return
	}
	w.settling = true
	for _, c := range w.clients {
		if c.session == nil {
			continue
		}
		if c.pace == fast {
			c.drain(everything)
		}
		w.review(c)
	}
	w.settling = false
}

// observe notes what the engine alone decides: that a client is too slow.
func (w *world) observe(c *modelClient) {
	switch {
	case c.session == nil:
		return
	case c.session.Over():
		w.over(c)
		return
	}
	if c.session.client.Subscriptions() == len(c.subs) {
		return
	}
	for path, sub := range c.subs {
		if sub.policy == "unsubscribe" && !c.session.client.Receives(w.engine.tree.Get(path)) {
			if !c.lagging && !w.tight() {
				w.fail("%v was unsubscribed from %q because of back pressure and had read everything", c, path)
			}
			c.end(path, service.BackPressure)
			w.tally["subscription ended by back pressure"]++
		}
	}
	if n := c.session.client.Subscriptions(); n != len(c.subs) {
		w.fail("%v has %d subscriptions, the reference has %d", c, n, len(c.subs))
	}
}

// over takes note of a session that has ended.
func (w *world) over(c *modelClient) {
	reason := c.session.reason
	full := reason == MessageQueueLimitReached && (c.lagging || w.tight())
	if reason != c.ends && !full {
		w.fail("the session of %v ended: %v, not %v (lagging %v)", c, reason, c.ends, c.lagging)
	}
	w.tally["session ended: "+reason.String()]++
	w.engine.finished.Wait()
	if c.conn != nil && c.session.conn != nil {
		c.ends = reason
		settling := w.settling
		w.settling = true
		for c.take(1000); len(c.inflight) > 0; c.take(1000) {
			for len(c.inflight) > 0 {
				c.readOne()
			}
			if c.session.conn == nil {
				break
			}
		}
		w.settling = settling
	}
	c.forget()
	c.session, c.conn = nil, nil
	w.ref.clients = slices.DeleteFunc(w.ref.clients, func(o *modelClient) bool { return o == c })
}

// review checks a client that has read everything.
func (w *world) review(c *modelClient) {
	if c.session == nil {
		return
	}
	if c.conn == nil || len(c.inflight) > 0 || c.session.Pending(c.conn) {
		c.lagging = true
		return
	}
	if err := c.caughtUp(); err != nil {
		w.fail("%v: %v", c, err)
	}
}

// rest lets all clients come back and read everything, and compares what they and
// a fetch show with the reference.
func (w *world) rest() {
	w.note("all clients come to rest")
	for _, c := range w.clients {
		if c.session != nil && c.conn == nil {
			w.reconnect(c, false)
		}
	}
	for _, c := range w.clients {
		c.drain(everything)
	}
	for _, c := range w.clients { // what the answers of others have led to
		c.drain(everything)
		w.review(c)
	}
	if n := w.engine.Topics(); n != len(w.ref.topics) {
		w.fail("%d topics, the reference has %d", n, len(w.ref.topics))
	}
	for _, c := range w.clients {
		if c.session != nil {
			w.compare(c)
		}
	}
	c := w.clients[0]
	if c.session == nil {
		w.open(c)
	}
	w.fetch(c, service.Query{
		Selector: "?.*//", Types: service.AllTypes, Values: true, Properties: true, Sizes: true, Limit: 1<<31 - 1,
		MaxResultSize: 1<<31 - 1, DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1,
	})
	w.settle()
	c.drain(everything)
}

// compare compares a client's picture with the reference. All selected topics are
// in it, but for those that back pressure has taken away.
func (w *world) compare(c *modelClient) {
	for path, n := range w.ref.topics {
		shown := c.picture.byPath[path]
		sub := c.subs[path]
		selected := c.selected(path)
		pressed := selected && sub == nil && n.spec.Properties[topic.Conflation] == "unsubscribe"
		switch {
		case selected != (sub != nil) && !pressed:
			w.fail("the reference has lost count of %q", path)
		case (sub != nil) != (shown != nil):
			w.fail("%v: %q is selected: %v, shown: %v", c, path, selected, shown != nil)
		case sub != nil && sub.last != nil && !bytes.Equal(sub.last, shown.value):
			w.fail("%v shows %x for %q, newest is %x", c, shown.value, path, sub.last)
		}
	}
	if len(c.picture.byPath) != len(c.subs) || c.session.client.Subscriptions() != len(c.subs) {
		w.fail("%v shows %d topics and is subscribed to %d of %d: %v", c, len(c.picture.byPath), c.session.client.Subscriptions(), len(c.subs), slices.Collect(maps.Keys(c.picture.byPath)))
	}
}

// close ends the engine and looks for what is left.
func (w *world) close() {
	w.engine.Close()
	if n, m := w.engine.Sessions(), len(w.engine.byAddress); n != 0 || m != 0 {
		w.fail("%d sessions and %d addresses are left", n, m)
	}
	if n := len(w.engine.missing.byPath); n > 0 {
		w.fail("%d missing-topic handlers are left", n)
	}
}
