package tree

import (
	"slices"
	"sync"

	"advect.dev/internal/outbox"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A Sink takes what the tree has for one session. The tree calls it with a
// topic locked, so that calls about one topic come in order; it must return
// quickly and must not call the tree.
type Sink interface {
	// Subscribed announces a topic, with the updates that lead to its current
	// value: one, or for a time series any number; none if there is no value. The
	// slice is the tree's.
	Subscribed(s *Subscription, initial []*Update)
	// Updated tells of a change.
	Updated(s *Subscription, u *Update)
	// Unsubscribed is the last call about s. m is the message that says so.
	Unsubscribed(s *Subscription, reason service.UnsubscribeReason, m *outbox.Message)
	// CanRead reports whether the session may read a topic. It is called without a
	// topic locked.
	CanRead(n *Topic) bool
}

// A Subscription is the fact that a client receives a topic.
type Subscription struct {
	Topic  *Topic
	Stream outbox.Stream // guarded by the sink's lock
	index  int32         // in Topic.subscribers; guarded by Topic.mu
}

// A subscriber is a client with its subscription to a topic.
type subscriber struct {
	client *Client
	*Subscription
}

// A Client is the tree's side of a session: its selections, by scope, and its
// subscriptions. Its methods are on [Tree].
type Client struct {
	mu            sync.Mutex
	closed        bool
	suspended     bool // nothing is subscribed until Resume
	scopes        scopes
	changes       uint64 // to scopes
	size          int    // of all scopes, in octets
	subscriptions subscriptions
	initial       [1]*Update // for Sink.Subscribed

	sink Sink // last: beside what a delivery touches of a sink that the client is part of
}

// NewClient returns a client without selections.
func NewClient(sink Sink) *Client { return &Client{sink: sink} }

// MakeClient does as NewClient for a client that is part of its sink.
func MakeClient(sink Sink) Client { return Client{sink: sink} }

// maxSelections bounds what one session can make the server hold, in octets: of
// short selectors it is tens of thousands.
const maxSelections = 4 << 20

// selected reports whether any scope selects the path. mu is held.
func (c *Client) selected(path string) bool {
	for at := range c.scopes.list {
		if c.scopes.list[at].selects(path) {
			return true
		}
	}
	return false
}

// Subscribe adds a selection to a scope and subscribes the client to the topics
// that it selects and may read. It reports whether the selector matches any topic,
// and fails with INVALID_DATA when the client has too many selections.
func (t *Tree) Subscribe(c *Client, sel *selector.Selector, scope string) (matches bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return true, nil // the session ended while its request was handled
	}
	if err := t.record(c, scope, selection{sel, true}); err != nil {
		return false, err
	}
	return t.attachAll(c, sel, c.changes), nil
}

// breath is how many topics are subscribed before others get a turn.
const breath = 256

// attachAll subscribes to the topics that a selector matches, and reports whether
// there are any. While the selections have not changed since there were known
// changes, all that matches is selected. Client.mu is held, and given up now and
// then, so that whoever adds a topic need not wait for the end.
func (t *Tree) attachAll(c *Client, sel *selector.Selector, known uint64) (matches bool) {
	n := 0
	t.Walk(sel, func(topic *Topic) bool {
		matches = true
		if n++; n%breath == 0 {
			c.mu.Unlock()
			c.mu.Lock()
		}
		if c.suspended {
			return false
		}
		if c.changes == known || c.selected(topic.path) {
			t.attach(c, topic)
		}
		return true
	})
	return matches
}

// Unsubscribe adds a deselection to a scope and unsubscribes the client from the
// topics that nothing selects any more. It fails as Subscribe does.
func (t *Tree) Unsubscribe(c *Client, sel *selector.Selector, scope string, reason service.UnsubscribeReason) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	err := t.record(c, scope, selection{sel, false})
	t.release(c, sel, reason)
	return err
}

// UnsubscribeAll does as Unsubscribe in every scope.
func (t *Tree) UnsubscribeAll(c *Client, sel *selector.Selector, reason service.UnsubscribeReason) (err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := len(c.scopes.list) - 1; at >= 0; at-- {
		if e := t.record(c, c.scopes.list[at].name, selection{sel, false}); e != nil {
			err = e
		}
	}
	t.release(c, sel, reason)
	return err
}

// record appends an entry to a scope, leaving out what it makes redundant
// (21 section 3 rule 5). It fails with INVALID_DATA, changing nothing, when the
// client has too many. Client.mu is held.
func (t *Tree) record(c *Client, name string, e selection) error {
	c.changes++
	s := c.scopes.get(name)
	if s == nil && !e.selects {
		return nil
	}
	if !e.selects && e.selector.MatchesEverything() {
		for at := range s.entries {
			t.unrecord(c, name, &s.entries[at])
		}
		c.scopes.remove(name)
		return nil
	}
	at := -1
	if s != nil {
		at = s.find(e.selector.String())
	}
	if at < 0 && c.size+e.size(name) > maxSelections {
		return wire.Errorf(wire.CodeInvalidData, "the session has too many selections, or too long ones: unsubscribe from everything and select less")
	}
	if e.selects { // before the same is taken out, so that the index keeps it
		t.index(c, e.selector)
	}
	if at >= 0 {
		t.unrecord(c, name, &s.entries[at])
		s.remove(at)
	}
	if s == nil {
		s = c.scopes.add(name)
	}
	if !e.selects && s.live == 0 {
		c.scopes.remove(name)
		return nil
	}
	s.add(e)
	c.size += e.size(name)
	return nil
}

// unrecord undoes what record did for an entry outside its scope. Client.mu is
// held.
func (t *Tree) unrecord(c *Client, name string, e *selection) {
	if e.selector == nil {
		return
	}
	c.size -= e.size(name)
	if e.selects {
		t.unindex(c, e.selector)
	}
}

func (t *Tree) index(c *Client, sel *selector.Selector) {
	t.selections.Lock()
	t.selections.index.Add(sel, c)
	t.selections.Unlock()
}

func (t *Tree) unindex(c *Client, sel *selector.Selector) {
	t.selections.Lock()
	t.selections.index.Remove(sel, c)
	t.selections.Unlock()
}

// eachClient calls fn with each client that may have selected a path, locked.
func (t *Tree) eachClient(path string, fn func(*Client)) {
	t.selections.RLock()
	candidates := slices.Collect(t.selections.index.Candidates(path))
	t.selections.RUnlock()
	for _, c := range candidates {
		c.mu.Lock()
		fn(c)
		c.mu.Unlock()
	}
}

// attach subscribes a client to a topic unless it is already, or may not read
// it. Client.mu is held.
func (t *Tree) attach(c *Client, topic *Topic) {
	if c.subscriptions.get(topic) != nil || c.suspended || !c.sink.CanRead(topic) {
		return
	}
	if s := topic.attach(c); s != nil {
		c.subscriptions.add(s)
	}
}

// release unsubscribes from the topics that sel matches and nothing selects.
// Client.mu is held.
func (t *Tree) release(c *Client, sel *selector.Selector, reason service.UnsubscribeReason) {
	detach := func(s *Subscription) {
		if !c.selected(s.Topic.path) {
			c.subscriptions.remove(s.Topic)
			s.Topic.detach(c, s, true, reason)
		}
	}
	if c.subscriptions.len() <= breath || sel.MatchesEverything() {
		for _, s := range slices.Backward(c.subscriptions.list) {
			if sel.Match(s.Topic.path) {
				detach(s)
			}
		}
		return
	}
	t.Walk(sel, func(topic *Topic) bool {
		if s := c.subscriptions.get(topic); s != nil {
			detach(s)
		}
		return true
	})
}

// Pressed forgets subscriptions whose streams the sink has ended because of back
// pressure (21 section 6). The topics are subscribed again when they are selected
// anew.
func (t *Tree) Pressed(c *Client, streams []*outbox.Stream) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, stream := range streams {
		topic := stream.Source.(*Topic)
		if s := c.subscriptions.get(topic); s != nil && &s.Stream == stream {
			c.subscriptions.remove(topic)
			topic.detach(c, s, false, 0)
		}
	}
}

// Reauthorize holds a client's selections against what it may read now: it is
// subscribed to what it gained and unsubscribed, as AUTHORIZATION, from what it
// lost.
func (t *Tree) Reauthorize(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range slices.Backward(c.subscriptions.list) {
		if !c.sink.CanRead(s.Topic) {
			c.subscriptions.remove(s.Topic)
			s.Topic.detach(c, s, true, service.Unauthorized)
		}
	}
	t.attachSelected(c)
}

// attachSelected subscribes to every topic that the selections select.
func (t *Tree) attachSelected(c *Client) {
	var selectors []*selector.Selector
	for _, s := range c.scopes.list {
		for _, e := range s.entries {
			if e.selects {
				selectors = append(selectors, e.selector)
			}
		}
	}
	for _, sel := range selectors {
		t.attachAll(c, sel, 0)
	}
}

// Suspend ends all subscriptions without telling the sink, which is called no
// more until Resume; the selections stay.
func (t *Tree) Suspend(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspended = true
	c.detachAll()
}

func (c *Client) detachAll() {
	for _, s := range c.subscriptions.list {
		s.Topic.detach(c, s, false, 0)
	}
	c.subscriptions = subscriptions{}
}

// Resume subscribes anew to everything selected, after Suspend.
func (t *Tree) Resume(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.suspended = c.closed
	t.attachSelected(c)
}

// Close forgets a client. It is told nothing more.
func (t *Tree) Close(c *Client) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed, c.suspended = true, true
	for _, s := range c.scopes.list {
		for at := range s.entries {
			t.unrecord(c, s.name, &s.entries[at])
		}
	}
	c.scopes = scopes{}
	c.detachAll()
}

// forget drops a subscription to a topic that was removed.
func (c *Client) forget(s *Subscription) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.subscriptions.get(s.Topic) == s {
		c.subscriptions.remove(s.Topic)
	}
}

// Subscriptions returns the number of topics that a client receives.
func (c *Client) Subscriptions() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscriptions.len()
}

// Selections returns the effective selections of a client by scope, in the order
// in which they were made, and their size in octets, about. Nothing is deselected
// before something is selected.
func (c *Client) Selections() (selections map[string]service.SelectorChanges, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	selections = make(map[string]service.SelectorChanges, len(c.scopes.list))
	for _, s := range c.scopes.list {
		changes := make(service.SelectorChanges, 0, s.live)
		for _, e := range s.entries {
			switch {
			case e.selector == nil:
			case e.selects:
				changes = append(changes, service.SelectorChange{Selector: e.selector.String(), Kind: service.Selected})
			case len(changes) > 0:
				changes = append(changes, service.SelectorChange{Selector: e.selector.String(), Kind: service.Deselected})
			}
		}
		if len(changes) > 0 {
			selections[s.name] = changes
		}
	}
	return selections, c.size
}

// Receives reports whether a client is subscribed to a topic, or to nil.
func (c *Client) Receives(n *Topic) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.subscriptions.get(n) != nil
}
