package engine

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// modelCall sends a request. When it arrives, answer makes the change to the reference
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

// existing returns the path of a topic that there is, most of the time, and often
// of one of a few.
func (w *world) existing() string {
	topics := w.ref.sorted()
	switch k := w.rnd.IntN(12); {
	case k == 0 || len(topics) == 0:
		return randomPath(w.rnd)
	case k < 6:
		return topics[w.rnd.IntN(min(len(topics), 5))].path
	}
	return topics[w.rnd.IntN(len(topics))].path
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
	k := r.IntN(100)
	if !c.controls() && k < 68 && r.IntN(4) > 0 { // it may only read
		k = 68 + r.IntN(32)
	}
	switch {
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
		path = []string{"", "//a", "a//b", "/"}[w.rnd.IntN(4)]
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
