package engine

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// call sends a request. When it arrives, answer makes the change to the reference
// and returns the answer that must come, or an error code. check compares the
// answers where their bytes need not be equal; it may be nil.
func modelCall[Req, Res any](c *modelClient, svc *service.Service[Req, Res], req Req, answer func() (Res, wire.ErrorCode), check func(Res) error) {
	w := c.world
	w.note("%v: %s %+v", c, svc.Name, req)
	c.next++
	conversation := c.next
	c.send(func() []byte {
		w.op = svc.Name
		want, code := answer()
		c.expected = append(c.expected, expectation{operation: svc.Name, conversation: conversation, check: func(m *wire.Message) error {
			if code != ok || m.Type != wire.TypeResponse {
				if m.Type != wire.TypeError || m.Error.Code != code {
					return fmt.Errorf("answer to %+v is %v %+v, not error %d", req, m.Type, m.Error, code)
				}
				return nil
			}
			if check == nil {
				encoded := svc.AppendResponse(nil, conversation, want)
				if !bytes.HasSuffix(encoded, m.Body) || !bytes.Equal(encoded, append(wire.AppendResponse(nil, conversation), m.Body...)) {
					return fmt.Errorf("answer to %+v is %x, not %+v", req, m.Body, want)
				}
				return nil
			}
			got, err := svc.ReadResponse(m.Body)
			if err == nil {
				err = check(got)
			}
			if err != nil {
				return fmt.Errorf("answer to %+v: %w", req, err)
			}
			return nil
		}})
		return svc.AppendRequest(nil, conversation, req)
	})
}

func isService(m *wire.Message, id int32) error {
	if m.Type != wire.TypeRequest || m.Service != id {
		return fmt.Errorf("it is %v of service %d", m.Type, m.Service)
	}
	return nil
}

// controls reports whether the client may change topics.
func (c *modelClient) controls() bool { return c.principal == "control" || c.principal == "admin" }

// randomPath returns one of some hundred paths, as an application writes it.
func randomPath(r *rand.Rand) string {
	path := []string{"a", "a-x", "b", "c"}[r.IntN(4)]
	for range []int{0, 0, 1, 1, 2, 3}[r.IntN(6)] {
		path += "/" + []string{"a", "b", "x"}[r.IntN(3)]
	}
	return path
}

// existing returns the path of a topic that there is, most of the time.
func (w *world) existing() string {
	if topics := w.ref.sorted(); len(topics) > 0 && w.rnd.IntN(12) > 0 {
		return topics[w.rnd.IntN(len(topics))].path
	}
	return randomPath(w.rnd)
}

func (w *world) valueType(path string) topic.Type {
	if n := w.ref.topics[path]; n != nil && w.rnd.IntN(25) > 0 {
		return n.valueType
	}
	return valueTypes[w.rnd.IntN(len(valueTypes))]
}

// spec returns the specification of an existing topic, most of the time.
func (w *world) spec(path string) modelSpec {
	if n := w.ref.topics[path]; n != nil && w.rnd.IntN(10) > 0 {
		return modelSpec{given: n.spec, normal: n.spec, retained: n.retained, eventType: n.valueType}
	}
	return randomSpec(w.rnd)
}

var patterns = []string{
	"?a//", "?a/", "?a/.*", "?.*", "?.*//", "*a/.*", "*.*x", "#>a////?b//", "?a/[ab]//", "?b/(a|x)/", "?[ac]/b",
	"*.*", ">a-x/b", "?a-x//", "?c/", "#>c////>c/a", "?.*/x", "?a/(?!b).*//", "a/b", "?c//", "?b//",
}

func randomSelector(r *rand.Rand) string {
	switch k := r.IntN(40); {
	case k == 0:
		return []string{"?[", "$", "*("}[r.IntN(3)]
	case k < 20:
		return ">" + randomPath(r)
	case k < 22:
		return "?" + randomPath(r) + "//"
	}
	return patterns[r.IntN(len(patterns))]
}

// request makes a random request.
func (w *world) request(c *modelClient) {
	r := w.rnd
	switch k := r.IntN(100); {
	case k < 6:
		w.addTopic(c)
	case k < 14:
		w.addAndSet(c)
	case k < 38:
		w.setTopic(c)
	case k < 44:
		w.openStream(c)
	case k < 55:
		w.useStream(c)
	case k < 60:
		w.patchTopic(c)
	case k < 63:
		w.remove(c)
	case k < 68:
		w.appendEvents(c)
	case k < 71:
		w.rangeQuery(c)
	case k < 79:
		w.selectTopics(c)
	case k < 85:
		w.deselectTopics(c)
	case k < 91:
		w.listen(c)
	case k < 92:
		w.handleMissing(c)
	case k < 93:
		w.closeOther(c)
	default:
		w.fetch(c, w.randomQuery())
	}
}

func (w *world) addTopic(c *modelClient) {
	path := randomPath(w.rnd)
	if w.rnd.IntN(20) == 0 {
		path = []string{"", "//a", "a//b", "/", "Diffusion/a"}[w.rnd.IntN(4)]
	}
	spec := w.spec(path)
	if w.rnd.IntN(8) == 0 {
		path = "/" + path + "/"
	}
	modelCall(c, service.TopicAdd, service.AddRequest{Path: path, Specification: spec.given}, func() (service.Created, wire.ErrorCode) {
		if !c.controls() {
			return 0, wire.CodeAccessDenied
		}
		created, _, code := w.ref.add(path, spec, modelChange{by: c})
		return created, code
	}, nil)
}

func (w *world) addAndSet(c *modelClient) {
	path := randomPath(w.rnd)
	spec := w.spec(path)
	change := w.change(c, path, spec)
	req := service.AddAndSetRequest{Path: path, Specification: spec.given, Value: change.value, Constraint: *change.constraint}
	modelCall(c, service.AddAndSetTopic, req, func() (service.Created, wire.ErrorCode) {
		if !c.controls() {
			return 0, wire.CodeAccessDenied
		}
		created, _, code := w.ref.add(path, spec, change)
		return created, code
	}, nil)
}

// change returns the change of a request that sets a random value of a topic with
// a specification.
func (w *world) change(c *modelClient, path string, spec modelSpec) modelChange {
	typ := spec.given.Type
	if typ == topic.TimeSeries {
		typ = spec.eventType
	}
	constraint := w.ref.randomConstraint(w.rnd, path, 3)
	change := modelChange{by: c, sets: true, constraint: &constraint}
	change.value, change.valid = w.ref.randomValue(w.rnd, typ)
	return change
}

// setting returns a change of an existing topic, and the type that it claims.
func (w *world) setting(c *modelClient) (path string, typ topic.Type, change modelChange) {
	path = w.existing()
	typ = w.valueType(path)
	return path, typ, w.change(c, path, modelSpec{given: topic.Specification{Type: typ}})
}

func (w *world) setTopic(c *modelClient) {
	path, typ, change := w.setting(c)
	req := service.SetRequest{Path: path, Type: typ, Value: change.value, Constraint: *change.constraint}
	modelCall(c, service.SetTopic, req, func() (res service.Empty, code wire.ErrorCode) {
		if !c.controls() {
			return res, wire.CodeAccessDenied
		}
		_, code = w.ref.update(path, typ, change)
		return res, code
	}, nil)
}

// openStream opens an update stream in one of the four ways.
func (w *world) openStream(c *modelClient) {
	var opened *modelStream
	var created service.Created
	learn := func(got service.NewStream) error {
		flags := service.StreamFlags(0)
		if opened.topic.retains() {
			flags |= service.RetainsValue
		}
		if !opened.topic.series() && opened.topic.conflation() != "off" {
			flags |= service.SupportsConflation
		}
		if got.Flags != flags || got.ID.Topic != opened.topic.id || got.ID.Partition != 0 || got.ID.Generation != 0 {
			return fmt.Errorf("stream %+v, want topic %d, flags %d", got, opened.topic.id, flags)
		}
		opened.id, opened.local = got.ID, opened.base
		c.streams = append(c.streams, opened)
		return nil
	}
	added := func(got service.AddedStream) error {
		if got.Created != created {
			return fmt.Errorf("created %d, want %d", got.Created, created)
		}
		return learn(got.NewStream)
	}
	if w.rnd.IntN(2) == 0 {
		path, typ, change := w.setting(c)
		change.opens, change.sets = true, w.rnd.IntN(2) == 0
		answer := func() (res service.NewStream, code wire.ErrorCode) {
			if !c.controls() {
				return res, wire.CodeAccessDenied
			}
			opened, code = w.ref.update(path, typ, change)
			return res, code
		}
		if change.sets {
			modelCall(c, service.CreateStreamAndSet, service.SetRequest{Path: path, Type: typ, Value: change.value, Constraint: *change.constraint}, answer, learn)
		} else {
			modelCall(c, service.CreateStream, service.CreateStreamRequest{Path: path, Type: typ, Constraint: *change.constraint}, answer, learn)
		}
		return
	}
	path := randomPath(w.rnd)
	spec := w.spec(path)
	change := w.change(c, path, spec)
	change.opens, change.sets = true, w.rnd.IntN(2) == 0
	answer := func() (res service.AddedStream, code wire.ErrorCode) {
		if !c.controls() {
			return res, wire.CodeAccessDenied
		}
		created, opened, code = w.ref.add(path, spec, change)
		return res, code
	}
	if change.sets {
		modelCall(c, service.StreamAddAndSet, service.AddAndSetRequest{Path: path, Specification: spec.given, Value: change.value, Constraint: *change.constraint}, answer, added)
	} else {
		modelCall(c, service.StreamAdd, service.StreamAddRequest{Path: path, Specification: spec.given, Constraint: *change.constraint}, answer, added)
	}
}

// useStream checks a stream, or sets a value through it, whole or as a delta from
// the one that the client set before.
func (w *world) useStream(c *modelClient) {
	r := w.rnd
	s := &modelStream{id: service.StreamID{Topic: r.Int32N(1000), Instance: 1 << 20}, topic: &modelTopic{valueType: topic.JSON}}
	if n := len(c.streams); n > 0 {
		s = c.streams[n-1-r.IntN(min(n, 4))]
	}
	value, valid := w.ref.randomValue(r, s.topic.valueType)
	use := func(set func() wire.ErrorCode) func() (service.Empty, wire.ErrorCode) {
		return func() (res service.Empty, code wire.ErrorCode) {
			if s.topic.stream != s {
				return res, wire.CodeInvalidUpdateStream
			}
			if code = set(); code != ok {
				s.topic.stream = nil
			}
			return res, code
		}
	}
	switch k := r.IntN(10); {
	case k == 0:
		modelCall(c, service.CheckStream, s.id, use(func() wire.ErrorCode { return ok }), nil)
	case k < 4:
		s.local = value
		modelCall(c, service.StreamSet, service.StreamRequest{ID: s.id, Bytes: value}, use(func() wire.ErrorCode {
			if !s.topic.accepts(value, valid) {
				return wire.CodeUpdateFailed
			}
			w.ref.set(s.topic, c, value, s)
			return ok
		}), nil)
	default:
		base := s.local
		d := delta.Diff(base, value)
		switch {
		case r.IntN(30) == 0:
			d = []byte{0x19, 0xff, 0xff, 0x01} // copies what is not there
			value = nil
		case r.IntN(12) == 0 && base != nil:
			d, value, valid = []byte{delta.NoChange}, base, true
		}
		s.local = value
		modelCall(c, service.StreamApplyDelta, service.StreamRequest{ID: s.id, Bytes: d}, use(func() wire.ErrorCode {
			n := s.topic
			if !s.valued || !n.retains() || !n.valueType.HasDeltas() || value == nil || !n.accepts(value, valid) {
				return wire.CodeUpdateFailed
			}
			w.ref.set(n, c, value, s)
			return ok
		}), nil)
	}
}

func (w *world) patchTopic(c *modelClient) {
	path := w.existing()
	for range 4 { // most topics are of other types
		if n := w.ref.topics[path]; n == nil || n.spec.Type != topic.JSON {
			path = w.existing()
		}
	}
	ops := randomPatch(w.rnd)
	text := []byte("[")
	for i := range ops {
		if i > 0 {
			text = append(text, ',')
		}
		text = ops[i].json(text)
	}
	text = append(text, ']')
	invalid := w.rnd.IntN(20) == 0
	if invalid {
		text = []byte([]string{`{}`, `[{"op":"frobnicate","path":""}]`, `[{"op":"add","path":"a","value":1}]`, `[`}[w.rnd.IntN(4)])
	}
	constraint := w.ref.randomConstraint(w.rnd, path, 3)
	modelCall(c, service.ApplyJSONPatch, service.PatchRequest{Path: path, Patch: string(text), Constraint: constraint}, func() (service.PatchResult, wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case !c.controls():
			return 0, wire.CodeAccessDenied
		case invalid:
			return 0, wire.CodeInvalidPatch
		case !w.ref.satisfied(&constraint, n):
			return 0, wire.CodeUnsatisfied
		case n == nil:
			return 0, wire.CodeNoSuchTopic
		case n.spec.Type != topic.JSON:
			return 0, wire.CodeIncompatibleUpdate
		case n.value == nil:
			return 0, ok
		}
		doc := w.ref.documents[string(n.value)]
		if doc == nil {
			return 0, wire.CodePatchFailed
		}
		patched, failed := doc.patch(ops)
		if failed >= 0 {
			return service.PatchResult(failed), ok
		}
		value := patched.cbor(nil)
		w.ref.documents[string(value)] = patched
		w.ref.set(n, c, value, nil)
		return service.PatchApplied, ok
	}, nil)
}

func (w *world) remove(c *modelClient) {
	text := randomSelector(w.rnd)
	if len(w.ref.topics) < 40 || w.rnd.IntN(4) > 0 { // or there would be few topics
		text = ">" + w.existing()
	}
	modelCall(c, service.TopicRemoval, service.Text(text), func() (count service.Count, code wire.ErrorCode) {
		sel := w.ref.expression(text)
		if sel == nil {
			return 0, wire.CodeInvalidData
		}
		for _, n := range w.ref.sorted() {
			if c.controls() && sel.matches(n.path) {
				w.ref.removeTopic(n)
				count++
			}
		}
		return count, ok
	}, nil)
}

func (w *world) appendEvents(c *modelClient) {
	r := w.rnd
	path := w.existing()
	for range 6 {
		if n := w.ref.topics[path]; n == nil || !n.series() {
			path = w.existing()
		}
	}
	typ := w.valueType(path)
	name := dataTypes[typ]
	if r.IntN(20) == 0 {
		name, typ = []string{"time_series", "", "number"}[r.IntN(3)], 0
	}
	value, valid := w.ref.randomValue(r, max(typ, topic.Binary))
	sequence, timestamp := int64(-1), int64(-1)
	kind := r.IntN(3)
	if n := w.ref.topics[path]; kind == 1 && n != nil && n.series() {
		sequence = n.next - 1 - r.Int64N(12)
		if r.IntN(2) == 0 && len(n.events.originals()) > 0 {
			originals := n.events.originals()
			sequence = originals[r.IntN(len(originals))].Sequence
		}
	}
	if kind == 2 {
		timestamp = time.Now().UnixMilli() + r.Int64N(20) - 8
	}
	answer := func() (res service.EventMetadata, code wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case !c.controls():
			return res, wire.CodeAccessDenied
		case n == nil:
			return res, wire.CodeNoSuchTopic
		case !n.series():
			return res, wire.CodeNotATimeSeries
		case n.valueType != typ:
			return res, wire.CodeIncompatibleDatatype
		case !n.accepts(value, valid):
			return res, wire.CodeInvalidData
		case kind == 2 && len(n.events) > 0 && timestamp < n.events[len(n.events)-1].Timestamp:
			return res, wire.CodeInvalidData
		case kind == 2:
			return w.ref.appendEvent(n, c, nil, timestamp, value), ok
		case kind == 0:
			return w.ref.appendEvent(n, c, nil, time.Now().UnixMilli(), value), ok
		}
		for _, e := range n.events {
			switch {
			case e.Sequence != sequence:
			case c.principal != "admin" && e.Author != c.principal:
				return res, wire.CodeAccessDenied
			case e.Edit():
				return res, wire.CodeNoSuchEvent
			default:
				return w.ref.appendEvent(n, c, &e, time.Now().UnixMilli(), value), ok
			}
		}
		return res, wire.CodeNoSuchEvent
	}
	req := service.AppendRequest{Path: path, DataType: name, Value: value}
	switch kind {
	case 0:
		modelCall(c, service.TimeSeriesAppend, req, answer, nil)
	case 1:
		modelCall(c, service.TimeSeriesEdit, service.EditRequest{Path: path, DataType: name, Sequence: sequence, Value: value}, answer, nil)
	default:
		modelCall(c, service.TimeSeriesTimestampAppend, service.TimestampAppendRequest{AppendRequest: req, Timestamp: timestamp}, answer, nil)
	}
}

func (w *world) rangeQuery(c *modelClient) {
	r := w.rnd
	path := w.existing()
	for range 6 {
		if n := w.ref.topics[path]; n == nil || !n.series() {
			path = w.existing()
		}
	}
	invalid := false
	point := func(last service.PointType) service.Point {
		p := service.Point{Type: service.PointType(r.IntN(int(last) + 1)), Value: r.Int64N(12)}
		if n := w.ref.topics[path]; n != nil && len(n.events) > 0 {
			some := n.events[r.IntN(len(n.events))]
			switch p.Type {
			case service.AbsoluteSequence:
				p.Value = some.Sequence
			case service.AbsoluteTime:
				p.Value = some.Timestamp + r.Int64N(3) - 1
			}
		}
		if r.IntN(100) == 0 {
			p.Value, invalid = -1, true
		}
		return p
	}
	span := func() service.EventRange {
		if r.IntN(3) == 0 {
			return service.WholeSeries
		}
		return service.EventRange{Anchor: point(service.OffsetTime), Span: point(service.PreviousTime)}
	}
	q := service.RangeQueryRequest{Path: path, Type: service.RangeQueryType(r.IntN(3)), View: span(), Edit: span(), Limit: []int64{0, 3, math.MaxInt64}[r.IntN(3)]}
	modelCall(c, service.RangeQuery, q, func() (res service.RangeQueryResult, code wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case invalid:
			return res, wire.CodeInvalidData
		case !c.controls() && (q.Type != service.ValueRange || q.Edit != service.WholeSeries):
			return res, wire.CodeAccessDenied
		case n == nil:
			return res, wire.CodeNoSuchTopic
		case !n.series():
			return res, wire.CodeNotATimeSeries
		}
		found, selected := n.events.query(&q)
		return service.NewRangeQueryResult(dataTypes[n.valueType], selected, found), ok
	}, nil)
}

var scopes = []string{"", "", "s", "t"}

func (w *world) selectTopics(c *modelClient) {
	text, scope := randomSelector(w.rnd), scopes[w.rnd.IntN(len(scopes))]
	if w.rnd.IntN(40) == 0 {
		scope = "$x"
	}
	modelCall(c, service.Subscribe, service.Selection{Selector: text, Scope: scope}, func() (res service.Empty, code wire.ErrorCode) {
		sel := w.ref.expression(text)
		if sel == nil || scope == "$x" {
			return res, wire.CodeInvalidData
		}
		c.scopes[scope] = append(c.scopes[scope], entry{sel, true})
		none := true
		for _, n := range w.ref.sorted() {
			if sel.matches(n.path) {
				none = false
				if c.subs[n.path] == nil {
					c.subscribe(n)
				}
			}
		}
		if none {
			w.expectMissing(c, sel)
		}
		return res, ok
	}, nil)
}

// expectMissing expects the responsible handler to be told that a selector matches
// no topic (22 section 4).
func (w *world) expectMissing(c *modelClient, sel *expression) {
	for prefix := sel.Prefix(); ; prefix = prefix[:max(0, strings.LastIndexByte(prefix, '/'))] {
		h, found := w.ref.handlers[prefix]
		if !found && prefix != "" {
			continue
		}
		if !found {
			return
		}
		id := c.session.ID().String()
		h.owner.expected = append(h.owner.expected, expectation{operation: "missing " + sel.String(), check: func(m *wire.Message) error {
			if err := isService(m, service.MissingTopic.ID); err != nil {
				return err
			}
			r, err := service.MissingTopic.ReadRequest(m.Body)
			if err == nil && (r.Selector != sel.String() || r.Handler != h.conversation || r.Properties["$SessionId"] != id || r.Properties["$Principal"] != c.principal || len(r.Servers) != 1) {
				err = fmt.Errorf("%+v", r)
			}
			return err
		}})
		return
	}
}

func (w *world) deselectTopics(c *modelClient) {
	text, scope := randomSelector(w.rnd), scopes[w.rnd.IntN(len(scopes))]
	everywhere := w.rnd.IntN(4) == 0
	answer := func() (res service.Empty, code wire.ErrorCode) {
		sel := w.ref.expression(text)
		if sel == nil {
			return res, wire.CodeInvalidData
		}
		for name := range c.scopes {
			if everywhere || name == scope {
				c.scopes[name] = append(c.scopes[name], entry{sel, false})
			}
		}
		for _, n := range w.ref.sorted() {
			if c.subs[n.path] != nil && !c.selected(n.path) {
				c.end(n.path, service.Requested)
			}
		}
		return res, ok
	}
	if everywhere {
		modelCall(c, service.UnsubscribeAll, service.Text(text), answer, nil)
	} else {
		modelCall(c, service.Unsubscribe, service.Selection{Selector: text, Scope: scope}, answer, nil)
	}
}

// listen makes, changes or closes a topic notification listener.
func (w *world) listen(c *modelClient) {
	r := w.rnd
	conversation := int64(1000 + r.IntN(2))
	text := randomSelector(r)
	switch k := r.IntN(10); {
	case k < 2:
		modelCall(c, service.NotificationDeregistration, service.Conversation(conversation), func() (res service.Empty, code wire.ErrorCode) {
			delete(c.listeners, conversation)
			return res, ok
		}, nil)
	case k < 4:
		modelCall(c, service.NotificationDeselection, service.ListenerSelection{Listener: conversation, Selector: text}, func() (res service.Empty, code wire.ErrorCode) {
			sel := w.ref.expression(text)
			if sel == nil {
				return res, wire.CodeInvalidData
			}
			if l := c.listeners[conversation]; l != nil {
				w.ref.reselect(c, l, entry{sel, false})
			}
			return res, ok
		}, nil)
	default:
		modelCall(c, service.NotificationSelection, service.ListenerSelection{Listener: conversation, Selector: text}, func() (res service.Empty, code wire.ErrorCode) {
			sel := w.ref.expression(text)
			if sel == nil {
				return res, wire.CodeInvalidData
			}
			l := c.listeners[conversation]
			if l == nil {
				l = &modelListener{conversation: conversation}
				c.listeners[conversation] = l
			}
			w.ref.reselect(c, l, entry{sel, true})
			return res, ok
		}, nil)
	}
}

// handleMissing registers a missing-topic handler, or ends its registration.
func (w *world) handleMissing(c *modelClient) {
	path := randomPath(w.rnd)
	if w.rnd.IntN(3) == 0 {
		path = ""
	}
	about := service.PathDeregistration{Definition: service.MissingTopic.ID, Group: service.DefaultGroup, Path: path}
	if w.rnd.IntN(3) == 0 {
		modelCall(c, service.TopicControlDeregistration, about, func() (res service.Empty, code wire.ErrorCode) {
			if w.ref.handlers[path].owner == c {
				delete(w.ref.handlers, path)
			}
			return res, ok
		}, nil)
		return
	}
	c.next++
	h := missing{c, c.next}
	modelCall(c, service.TopicControlRegistration, service.PathRegistration{PathDeregistration: about, Handler: h.conversation}, func() (res service.Empty, code wire.ErrorCode) {
		if !c.controls() {
			return res, wire.CodeAccessDenied
		}
		if w.ref.handlers[path].owner != nil {
			return res, wire.CodeTreeConflict
		}
		w.ref.handlers[path] = h
		return res, ok
	}, nil)
}

// closeOther has a client close the session of another, or its own.
func (w *world) closeOther(c *modelClient) {
	target := w.clients[w.rnd.IntN(len(w.clients))]
	if target.session == nil || w.rnd.IntN(3) > 0 {
		return
	}
	session := target.session
	modelCall(c, service.CloseClient, service.SessionRequest{Session: session.ID()}, func() (res service.Empty, code wire.ErrorCode) {
		switch {
		case !c.controls():
			return res, wire.CodeAccessDenied
		case target.session != session:
			return res, wire.CodeNoSuchSession
		}
		target.ends = ClosedByController
		return res, ok
	}, nil)
}
