package engine

import (
	"bytes"
	"fmt"
	"maps"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// An expression is a selector with the paths that were tried on it.
type expression struct {
	*selector.Selector
	tried map[string]bool
}

// expression returns the selector of a text, or nil if it is none.
func (ref *reference) expression(text string) *expression {
	e, known := ref.selectors[text]
	if !known {
		if sel, err := selector.Parse(text); err == nil {
			e = &expression{sel, map[string]bool{}}
		}
		ref.selectors[text] = e
	}
	return e
}

func (e *expression) matches(path string) bool {
	match, known := e.tried[path]
	if !known {
		match = e.Match(path)
		e.tried[path] = match
	}
	return match
}

// selections is the list of a scope: the last entry that matches decides (21
// section 3).
type selections []entry

type entry struct {
	*expression
	selects bool
}

func (list selections) selects(path string) bool {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].matches(path) {
			return list[i].selects
		}
	}
	return false
}

// A modelListener is a topic notification listener.
type modelListener struct {
	conversation int64
	list         selections
}

// An expectation is a message that is no topic update, in the order in which
// they must come.
type expectation struct {
	operation    string
	listener     int64 // of an event; 0: anything else
	conversation int64 // of an answer; 0: anything else
	check        func(m *wire.Message) error
}

// A modelSub is one subscription of a client, from announcement to end, and what
// the client is still to be sent of it.
type modelSub struct {
	client    *modelClient
	topic     *modelTopic
	values    [][]byte
	last      []byte // the newest of them, ever
	announced bool
	ended     bool
	optional  bool // what is pending at the end may be dropped
	reason    service.UnsubscribeReason
	policy    string // of conflation
}

// maySkip reports whether values of the subscription may be left out.
func (s *modelSub) maySkip() bool {
	return s.optional || s.client.lagging && s.policy != "off"
}

func (s *modelSub) expect(value []byte) {
	s.values, s.last = append(s.values, value), value
	s.client.touch(s)
}

// A pace is how a client reads.
type pace int

const (
	fast pace = iota
	slow
	stalled
)

// A modelClient is a client with one session: its connection, its picture, and
// what the model expects it to be told.
type modelClient struct {
	world     *world
	principal string
	zlib      bool
	window    time.Duration
	pace      pace

	session  *Session
	conn     *fakeConn         // nil while disconnected
	lost     time.Time         // while disconnected
	inflight []*outbox.Message // taken and not read
	read     uint64            // messages that it has read
	taken    uint64            // messages that the server has sent
	ever     uint64            // and before the last connection
	kept     uint64            // messages that the server has forgotten
	ping     struct {          // the latest of the server's
		open         bool // it waits for the answer
		conversation int64
		number       uint64 // 0 until it is taken
	}
	sent    []func() []byte // messages to the server, all of this numbering; each tells the model when it arrives
	arrived int             // how many of them the server has
	unseen  bool            // the server cannot know that the client has read of a loss
	lagging bool            // it has not read all since it last had
	ends    CloseReason     // what the session is about to end with; -1: nothing
	next    int64           // conversation
	server  int64           // latest conversation of the server's

	picture  *picture
	expected []expectation
	subs     map[string]*modelSub   // live ones, by path
	coming   map[string][]*modelSub // by path, those whose end the client has not seen
	touched  []*modelSub            // since the client last had all

	scopes    map[string]selections
	listeners map[int64]*modelListener
	streams   []*modelStream
}

// forget makes the client and the model of its session new.
func (c *modelClient) forget() {
	for _, s := range c.streams {
		if s.topic.stream == s {
			s.topic.stream = nil
		}
	}
	maps.DeleteFunc(c.world.ref.handlers, func(_ string, h missing) bool { return h.owner == c })
	c.inflight, c.read, c.taken, c.ever, c.kept, c.ping.open = nil, 0, 0, 0, 0, false
	c.sent, c.arrived, c.lagging, c.server = nil, 0, false, 0
	c.picture, c.expected = newPicture(c.zlib), nil
	c.subs, c.coming, c.touched = map[string]*modelSub{}, map[string][]*modelSub{}, nil
	c.listeners, c.streams = map[int64]*modelListener{}, nil
}

func (c *modelClient) selected(path string) bool {
	for _, list := range c.scopes {
		if list.selects(path) {
			return true
		}
	}
	return false
}

func (c *modelClient) subscribe(n *modelTopic) {
	sub := &modelSub{client: c, topic: n, policy: n.conflation()}
	c.subs[n.path] = sub
	c.coming[n.path] = append(c.coming[n.path], sub)
	c.touch(sub)
	for _, value := range n.initial() {
		sub.expect(value)
	}
}

func (c *modelClient) touch(s *modelSub) {
	if len(c.touched) == 0 || c.touched[len(c.touched)-1] != s {
		c.touched = append(c.touched, s)
	}
}

// end ends the subscription to a path.
func (c *modelClient) end(path string, reason service.UnsubscribeReason) {
	sub := c.subs[path]
	delete(c.subs, path)
	sub.ended, sub.reason = true, reason
	c.touch(sub)
	if sub.topic.spec.Bool(topic.TidyOnUnsubscribe) || reason == service.BackPressure {
		sub.optional = true
		if c.session != nil && c.read == max(c.ever, c.taken) {
			sub.values = nil // nothing was sent that could still come
		}
	}
}

// expectEvent expects an event of a listener, unless it does not cover the topic.
func (c *modelClient) expectEvent(l *modelListener, kind service.TopicEventKind, cover int, n *modelTopic) {
	want := fmt.Sprintf("%v of %q", kind, n.path)
	if cover == uncovered {
		return
	}
	c.expected = append(c.expected, expectation{operation: want, listener: l.conversation, check: func(m *wire.Message) error {
		if m.Service == service.TopicEvent.ID && cover == direct {
			e, err := service.TopicEvent.ReadRequest(m.Body)
			if err == nil && (e.Kind != kind || e.Path != n.path || !e.Specification.Equal(n.spec)) {
				err = fmt.Errorf("%+v", e)
			}
			return err
		}
		e, err := service.DescendantEvent.ReadRequest(m.Body)
		if err == nil && (m.Service != service.DescendantEvent.ID || cover != descendant || e.Kind != kind || e.Path != n.path) {
			err = fmt.Errorf("event %+v of service %d", e, m.Service)
		}
		return err
	}})
}

// send sends a message to the server, which the model is told of when it arrives.
func (c *modelClient) send(message func() []byte) {
	c.sent = append(c.sent, message)
	if c.conn != nil && c.ends < 0 && c.arrived == len(c.sent)-1 {
		c.deliver()
	}
}

// deliver lets the next message arrive.
func (c *modelClient) deliver() {
	frame := c.sent[c.arrived]()
	c.arrived++
	c.unseen = false
	if err := c.session.Receive(c.conn, frame); err != nil {
		c.world.fail("%v refuses %x: %v", c, frame, err)
	}
	c.world.settle()
}

// drain reads up to about so many bytes.
func (c *modelClient) drain(bytes int) {
	for c.session != nil && c.conn != nil && !c.session.Over() {
		c.take(bytes)
		for c.session != nil && len(c.inflight) > 0 {
			c.readOne()
		}
		if bytes < everything || c.conn == nil || !c.session.Pending(c.conn) {
			return
		}
	}
}

const everything = 1 << 30

// take has the server send up to about so many bytes.
func (c *modelClient) take(bytes int) {
	messages, end := c.session.Take(c.conn, nil, bytes)
	for _, m := range messages {
		p, _ := wire.ParseMessage(m.Bytes())
		if p.Type != wire.TypeAbort {
			c.taken++
		}
		if p.Type == wire.TypeRequest && p.Service == service.SystemPing.ID && p.Conversation == c.ping.conversation {
			c.ping.number = c.taken
		}
	}
	c.inflight = append(c.inflight, messages...)
	if limit := uint64(c.world.limits.RecoveryMessages); c.taken > limit {
		c.kept = max(c.kept, c.taken-limit)
	}
	if end != (len(messages) > 0 && messages[len(messages)-1].Bytes()[0] == byte(wire.TypeAbort)) {
		c.world.fail("%v: end %v without notification, or the reverse", c, end)
	}
}

// readOne reads the next message.
func (c *modelClient) readOne() {
	m := c.inflight[0]
	c.inflight = c.inflight[1:]
	p, err := wire.ParseMessage(m.Bytes())
	if err != nil {
		c.world.fail("%v gets %x: %v", c, m.Bytes(), err)
	}
	if p.Type == wire.TypeAbort {
		if !c.session.Over() {
			c.world.fail("%v is told that its session is over", c)
		}
		return
	}
	c.read++
	if err := c.apply(&p); err != nil {
		c.world.fail("%v gets message %d, %v: %v", c, c.read, p.Type, err)
	}
	if p.Type == wire.TypeRequest && p.Conversation != 0 {
		c.answer(&p)
	}
}

// answer answers a request of the server's: a system ping, or one to a
// missing-topic handler.
func (c *modelClient) answer(m *wire.Message) {
	conversation := m.Conversation
	if m.Service == service.MissingTopic.ID {
		c.send(func() []byte { return service.MissingTopic.AppendResponse(nil, conversation, true) })
		return
	}
	c.send(func() []byte {
		if c.ping.open && c.ping.conversation == conversation {
			c.ping.open = false
			c.kept = max(c.kept, min(c.ping.number, c.taken))
		}
		return wire.AppendResponse(nil, conversation)
	})
}

func (c *modelClient) apply(m *wire.Message) error {
	switch m.Type {
	case wire.TypeTopicValue, wire.TypeTopicDelta:
		s, err := c.picture.update(m)
		if err != nil {
			return err
		}
		c.world.tally[m.Type.String()]++
		if m.Compressed {
			c.world.tally["compressed"]++
		}
		return c.updated(s)
	case wire.TypeRequest:
		switch m.Service {
		case service.NotifySubscription.ID:
			s, err := c.picture.subscribe(m)
			if err != nil {
				return err
			}
			return c.announced(s)
		case service.UnsubscriptionNotification.ID:
			s, reason, err := c.picture.unsubscribe(m)
			if err != nil {
				return err
			}
			return c.unsubscribed(s, reason)
		}
	}
	return c.meet(m)
}

// meet compares a message with what is expected.
func (c *modelClient) meet(m *wire.Message) error {
	listener := int64(0)
	if m.Type == wire.TypeRequest {
		switch m.Service {
		case service.TopicEvent.ID:
			e, _ := service.TopicEvent.ReadRequest(m.Body)
			listener = e.Listener
		case service.DescendantEvent.ID:
			e, _ := service.DescendantEvent.ReadRequest(m.Body)
			listener = e.Listener
		}
		if (listener == 0) != (m.Conversation > c.server) {
			return fmt.Errorf("request of service %d has conversation %d after %d", m.Service, m.Conversation, c.server)
		}
		c.server = max(c.server, m.Conversation)
	}
	for i, e := range c.expected {
		if e.listener != listener || m.Type != wire.TypeRequest && e.conversation != m.Conversation {
			if e.listener == 0 || listener == 0 {
				return fmt.Errorf("listener %d, conversation %d, but expected is %s", listener, m.Conversation, e.operation)
			}
			continue // events of different listeners come in any order
		}
		if err := e.check(m); err != nil {
			return fmt.Errorf("%s: %w", e.operation, err)
		}
		switch m.Type {
		case wire.TypeError:
			c.world.tally[fmt.Sprint("error ", m.Error.Code)]++
		case wire.TypeRequest:
			c.world.tally[fmt.Sprint("request ", m.Service)]++
		}
		c.expected = append(c.expected[:i], c.expected[i+1:]...)
		return nil
	}
	return fmt.Errorf("nothing like it is expected: %+v", m)
}

func (c *modelClient) announced(s *shown) error {
	coming := c.coming[s.path]
	if len(coming) == 0 || coming[0].announced {
		return fmt.Errorf("%q is announced", s.path)
	}
	sub := coming[0]
	if s.id != sub.topic.id || !s.spec.Equal(sub.topic.spec) {
		return fmt.Errorf("%q is announced as %d, %v; it is %d, %v", s.path, s.id, s.spec, sub.topic.id, sub.topic.spec)
	}
	sub.announced, s.sub = true, sub
	return nil
}

func (c *modelClient) updated(s *shown) error {
	sub := s.sub
	for i, value := range sub.values {
		if bytes.Equal(value, s.value) {
			if i > 0 {
				c.world.tally["values left out"]++
			}
			sub.values = sub.values[i+1:]
			return nil
		}
		if !sub.maySkip() {
			return fmt.Errorf("value of %q is %x, not %x", s.path, s.value, value)
		}
	}
	return fmt.Errorf("value of %q is %x, which is none of %d expected (lagging %v; ended %v, %v; %v)", s.path, s.value, len(sub.values), c.lagging, sub.ended, sub.reason, sub.topic.spec)
}

func (c *modelClient) unsubscribed(s *shown, reason service.UnsubscribeReason) error {
	sub := s.sub
	over := c.session != nil && c.session.Over() // and its last answer may have been too much
	if (sub.ended || over) && reason == service.BackPressure && sub.policy == "unsubscribe" && (c.lagging || c.world.tight()) {
		// The operation that ended it ended others before, which was too much.
		sub.ended, sub.reason, sub.optional = true, reason, true
	}
	switch {
	case !sub.ended || reason != sub.reason:
		return fmt.Errorf("unsubscription from %q: %v; in the model ended %v, %v", s.path, reason, sub.ended, sub.reason)
	case len(sub.values) > 0 && !sub.maySkip():
		return fmt.Errorf("unsubscription from %q before %d values", s.path, len(sub.values))
	}
	sub.values = nil
	c.coming[s.path] = c.coming[s.path][1:]
	if len(c.coming[s.path]) == 0 {
		delete(c.coming, s.path)
	}
	return nil
}

// caughtUp checks a client that has read all that there is for it.
func (c *modelClient) caughtUp() error {
	if len(c.expected) > 0 {
		return fmt.Errorf("it lacks %d messages: the first is %s", len(c.expected), c.expected[0].operation)
	}
	for _, sub := range c.touched {
		shown := c.picture.byPath[sub.topic.path]
		switch {
		case sub.ended && shown != nil && shown.sub == sub:
			return fmt.Errorf("it was not told that the subscription to %q ended: %v", sub.topic.path, sub.reason)
		case !sub.ended && shown == nil:
			return fmt.Errorf("it was not told of %q", sub.topic.path)
		case !sub.ended && len(sub.values) > 0 && !sub.maySkip():
			return fmt.Errorf("it lacks %d values of %q", len(sub.values), sub.topic.path)
		case !sub.ended && sub.last != nil && (!shown.has || !bytes.Equal(shown.value, sub.last)):
			return fmt.Errorf("it shows %x for %q, newest is %x", shown.value, sub.topic.path, sub.last)
		}
		sub.values = nil
	}
	c.touched, c.lagging = c.touched[:0], false
	return nil
}

func (c *modelClient) String() string {
	for i, client := range c.world.clients {
		if client == c {
			return fmt.Sprintf("client %d (%q)", i, c.principal)
		}
	}
	return "a client"
}
