package engine

import (
	"bytes"
	"maps"
	"slices"
	"strings"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// ok is the code of a request that succeeds.
const ok wire.ErrorCode = 0

// A modelTopic is a topic of the reference.
type modelTopic struct {
	path      string
	id        int32 // the server's choice
	spec      topic.Specification
	valueType topic.Type
	value     []byte // nil: none
	events    events
	next      int64 // sequence of the next event
	retained  topic.Range
	stream    *modelStream // the valid one
}

func (n *modelTopic) series() bool { return n.spec.Type == topic.TimeSeries }

func (n *modelTopic) retains() bool { return n.series() || !n.spec.Bool(topic.DontRetainValue) }

// conflation returns the policy, or the default one (12 section 12.2).
func (n *modelTopic) conflation() string {
	switch policy := n.spec.Properties[topic.Conflation]; {
	case policy != "":
		return policy
	case n.series():
		return "off"
	}
	return "conflate"
}

// current returns the value as constraints see it: of a time series that of the
// latest event.
func (n *modelTopic) current() []byte {
	if len(n.events) > 0 {
		return n.events[len(n.events)-1].Value
	}
	return n.value
}

// stored returns the value as it travels in topic messages.
func (n *modelTopic) stored() []byte {
	if len(n.events) > 0 {
		return n.events[len(n.events)-1].Append(nil)
	}
	return n.value
}

// initial returns the values that a subscription starts with (21 section 4.2).
func (n *modelTopic) initial() (values [][]byte) {
	if n.series() {
		r, latest := n.spec.SubscriptionRange()
		for _, e := range n.events.subscription(r, latest) {
			values = append(values, e.Append(nil))
		}
	} else if n.value != nil {
		values = append(values, n.value)
	}
	return values
}

// A modelStream is an update stream.
type modelStream struct {
	id     service.StreamID
	topic  *modelTopic
	owner  *modelClient
	valued bool
	base   []byte // the last value set through it
	local  []byte // the last value that the client has sent
}

// A reference does what a server is to do, slowly.
type reference struct {
	topics    map[string]*modelTopic
	order     []*modelTopic          // sorted; nil when to be made anew
	fresh     []*modelTopic          // whose ids are not yet known
	handlers  map[string]missing     // by path
	clients   []*modelClient         // with a session
	documents map[string]*node       // every JSON value that is well formed, by its bytes
	selectors map[string]*expression // by text
}

type missing struct {
	owner        *modelClient
	conversation int64
}

// sorted returns the topics in path order (24 section 4).
func (ref *reference) sorted() []*modelTopic {
	if ref.order == nil {
		ref.order = slices.SortedFunc(maps.Values(ref.topics), func(a, b *modelTopic) int {
			return slices.Compare(strings.Split(a.path, "/"), strings.Split(b.path, "/"))
		})
	}
	return ref.order
}

// below returns the topics below a path, in path order.
func (ref *reference) below(path string) (list []*modelTopic) {
	for _, n := range ref.sorted() {
		if strings.HasPrefix(n.path, path+"/") {
			list = append(list, n)
		}
	}
	return list
}

// checkedPath checks the path of a topic to be added.
func checkedPath(path string) (canonical string, code wire.ErrorCode) {
	canonical = strings.TrimSuffix(strings.TrimPrefix(path, "/"), "/")
	if slices.Contains(strings.Split(canonical, "/"), "") || strings.HasPrefix(canonical, "Diffusion/") {
		return canonical, wire.CodeTopicPathInvalid
	}
	return canonical, ok
}

// A modelChange is what a request wants of a topic.
type modelChange struct {
	by         *modelClient
	value      []byte
	valid      bool // if values are validated
	sets       bool
	opens      bool
	constraint *service.Constraint
}

// update changes an existing topic (23 section 2).
func (ref *reference) update(path string, typ topic.Type, c modelChange) (*modelStream, wire.ErrorCode) {
	path, _ = checkedPath(path)
	n := ref.topics[path]
	switch {
	case !ref.satisfied(c.constraint, n):
		return nil, wire.CodeUnsatisfied
	case n == nil:
		return nil, wire.CodeNoSuchTopic
	case n.valueType != typ:
		return nil, wire.CodeIncompatibleUpdate
	case c.sets && !n.accepts(c.value, c.valid):
		return nil, wire.CodeUpdateFailed
	}
	return ref.change(n, c), ok
}

// accepts reports whether a value may be set (10 section 10.13).
func (n *modelTopic) accepts(value []byte, valid bool) bool {
	if len(value) == 0 {
		return n.valueType == topic.Binary || n.valueType == topic.RecordV2
	}
	return valid || !n.spec.Bool(topic.ValidateValues)
}

func (ref *reference) change(n *modelTopic, c modelChange) *modelStream {
	var s *modelStream
	if c.opens {
		s = &modelStream{topic: n, owner: c.by}
		n.stream = s
	}
	if c.sets {
		ref.set(n, c.by, c.value, s)
	}
	return s
}

// add creates a topic, or takes the one that is there (22 section 2).
func (ref *reference) add(path string, spec modelSpec, c modelChange) (service.Created, *modelStream, wire.ErrorCode) {
	path, code := checkedPath(path)
	if code != ok {
		return 0, nil, code
	}
	if spec.invalid {
		return 0, nil, wire.CodeTopicSpecInvalid
	}
	n := ref.topics[path]
	if !ref.satisfied(c.constraint, n) {
		return 0, nil, wire.CodeUnsatisfied
	}
	created := service.TopicExists
	if n == nil {
		n, created = spec.topic(path), service.TopicCreated
	}
	if n.spec.Type != spec.normal.Type || !maps.Equal(n.spec.Properties, spec.normal.Properties) {
		return 0, nil, wire.CodeTopicExists
	}
	if c.sets && !n.accepts(c.value, c.valid) {
		return 0, nil, wire.CodeUpdateFailed
	}
	if created == service.TopicCreated {
		ref.topics[path], ref.order = n, nil
		ref.fresh = append(ref.fresh, n)
		for _, client := range ref.clients {
			if client.selected(path) {
				client.subscribe(n)
			}
		}
		ref.reportAdded(n)
	}
	return created, ref.change(n, c), ok
}

// set gives a topic a value, through a stream or otherwise (23 sections 2 and 5.4).
func (ref *reference) set(n *modelTopic, by *modelClient, value []byte, via *modelStream) {
	if via != nil {
		via.valued, via.base = true, value
	}
	if n.series() {
		ref.appendEvent(n, by, nil, time.Now().UnixMilli(), value)
		return
	}
	cleared := n.spec.Type.HasNull() && bytes.Equal(value, []byte{0xf6})
	if n.retains() && (n.value != nil && bytes.Equal(n.value, value) || n.value == nil && cleared) {
		return
	}
	if n.stream != via {
		n.stream = nil
	}
	if n.value = nil; n.retains() && !cleared {
		n.value = value
	}
	ref.publish(n, value)
}

func (ref *reference) publish(n *modelTopic, value []byte) {
	for _, client := range ref.clients {
		if sub := client.subs[n.path]; sub != nil {
			sub.expect(value)
		}
	}
}

// appendEvent adds an event, which edits another unless that is nil.
func (ref *reference) appendEvent(n *modelTopic, by *modelClient, edits *service.Event, timestamp int64, value []byte) service.EventMetadata {
	if len(n.events) > 0 {
		timestamp = max(timestamp, n.events[len(n.events)-1].Timestamp)
	}
	e := service.Event{EventMetadata: service.EventMetadata{Sequence: n.next, Timestamp: timestamp, Author: by.principal}, Value: value}
	e.Original = e.EventMetadata
	if edits != nil {
		e.Original = edits.EventMetadata
	}
	n.next++
	n.events = append(n.events, e).retain(n.retained)
	ref.publish(n, e.Append(nil))
	return e.EventMetadata
}

// removeTopic removes a topic and tells everyone (22 section 3).
func (ref *reference) removeTopic(n *modelTopic) {
	n.stream = nil
	for _, client := range ref.clients {
		if client.subs[n.path] != nil {
			client.end(n.path, service.Removed)
		}
	}
	ref.reportRemoved(n)
}

// How a listener is told of a path (25 section 4).
const (
	uncovered = iota
	descendant
	direct
)

// cover returns how a listener's selections cover a path.
func (ref *reference) cover(l *modelListener, path string) int {
	if l.list.selects(path) {
		return direct
	}
	for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
		if l.list.selects(path[:i]) {
			return descendant
		}
		if ref.topics[path[:i]] != nil {
			return uncovered
		}
	}
	return uncovered
}

func (ref *reference) reportAdded(n *modelTopic) {
	for _, client := range ref.clients {
		for _, l := range client.listeners {
			client.expectEvent(l, service.TopicAdded, ref.cover(l, n.path), n)
		}
	}
}

// reportRemoved takes a topic out, and tells listeners of it and of those that it
// hid.
func (ref *reference) reportRemoved(n *modelTopic) {
	type covered struct {
		client   *modelClient
		listener *modelListener
		topic    *modelTopic
	}
	was := map[covered]int{}
	below := ref.below(n.path)
	for _, client := range ref.clients {
		for _, l := range client.listeners {
			for _, b := range append(below, n) {
				was[covered{client, l, b}] = ref.cover(l, b.path)
			}
		}
	}
	delete(ref.topics, n.path)
	ref.order = nil
	for _, client := range ref.clients {
		for _, l := range client.listeners {
			client.expectEvent(l, service.TopicRemoved, was[covered{client, l, n}], n)
			for _, b := range below {
				if was[covered{client, l, b}] == uncovered && ref.cover(l, b.path) == descendant {
					client.expectEvent(l, service.TopicAdded, descendant, b)
				}
			}
		}
	}
}

// reselect changes what a listener selects.
func (ref *reference) reselect(client *modelClient, l *modelListener, e entry) {
	was := map[string]int{}
	topics := ref.sorted()
	for _, n := range topics {
		was[n.path] = ref.cover(l, n.path)
	}
	l.list = append(l.list, e)
	for _, n := range topics {
		is := ref.cover(l, n.path)
		switch {
		case is > was[n.path]:
			client.expectEvent(l, service.TopicSelected, is, n)
		case is < was[n.path]:
			client.expectEvent(l, service.TopicDeselected, was[n.path], n)
		}
	}
}

// fetch evaluates a query (24 section 3) without the limits of its result's size.
func (ref *reference) fetch(q *service.Query, match func(path string) bool) (found []*modelTopic, more bool) {
	taken := map[string]int32{}
	for _, n := range ref.sorted() {
		if !match(n.path) || q.Types&(1<<n.spec.Type) == 0 || !inRange(q, n.path) {
			continue
		}
		if segments := strings.Split(n.path, "/"); q.DeepBranchDepth < int32(100) && len(segments) >= int(q.DeepBranchDepth) {
			branch := strings.Join(segments[:q.DeepBranchDepth], "/")
			if taken[branch]++; taken[branch] > q.DeepBranchLimit {
				continue
			}
		}
		found = append(found, n)
	}
	switch n := int(q.Limit); {
	case n >= 0 && n < len(found):
		return found[:n], true
	case n < 0 && -n < len(found):
		return found[len(found)+n:], true
	}
	return found, false
}

func inRange(q *service.Query, path string) bool {
	order := func(limit *service.Limit) int {
		canonical, _ := checkedPath(limit.Path)
		return slices.Compare(strings.Split(path, "/"), strings.Split(canonical, "/"))
	}
	if q.From != nil && (order(q.From) < 0 || order(q.From) == 0 && !q.From.Inclusive) {
		return false
	}
	return q.To == nil || order(q.To) < 0 || order(q.To) == 0 && q.To.Inclusive
}
