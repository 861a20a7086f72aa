package engine

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"advect.dev/internal/delta"
	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// TestModelConcurrently has clients in goroutines of their own change and watch
// the same topics. What each is sent must be possible to follow at any time; at
// rest all must show what is there.
func TestModelConcurrently(t *testing.T) {
	const drivers, rounds = 6, 4
	ops := environment(t, "ADVECT_MODEL_CONCURRENT_OPS", 12_000) / drivers / rounds
	seed := uint64(environment(t, "ADVECT_MODEL_SEED", 1))
	e := newEngine(t, modelConfig(outbox.Limits{Messages: 100, Bytes: 1 << 17, RecoveryMessages: 50, RecoveryBytes: 1 << 20}))
	all := make([]*driver, drivers)
	for i := range all {
		all[i] = newDriver(e, seed, i)
	}
	for range rounds {
		var running sync.WaitGroup
		for _, d := range all {
			running.Add(1)
			go func() {
				defer running.Done()
				d.guard(func() {
					for range ops {
						d.step()
					}
				})
			}()
		}
		running.Wait()
		e.finished.Wait()
		for range 2 { // answers to handlers and pings may lead to more
			for _, d := range all {
				d.guard(d.rest)
			}
		}
		for i, d := range all {
			d.guard(d.compare)
			if d.err != nil {
				t.Fatalf("seed %d, client %d: %v", seed, i, d.err)
			}
		}
	}
	testHeap(t)
}

// testHeap fails if much memory is in use.
func testHeap(t *testing.T) {
	t.Helper()
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 128<<20 {
		t.Errorf("%d MiB are in use at the end", m.HeapAlloc>>20)
	}
}

// A driver is a client in a goroutine of its own.
type driver struct {
	engine  *Engine
	rnd     *rand.Rand
	values  *reference // makes values; has no topics
	fast    bool
	zlib    bool
	err     error
	session *Session
	conn    *fakeConn
	next    int64
	read    int64
	lossy   bool // the server cannot know that it has read of a loss

	picture   *picture
	answers   map[int64]func(m *wire.Message) error // that are awaited
	scopes    map[string]selections
	listeners map[int64]*balance
	stream    *modelStream
}

// A balance is what a listener was told.
type balance struct {
	list               selections
	direct, descendant map[string]bool
}

func newDriver(e *Engine, seed uint64, i int) *driver {
	d := &driver{engine: e, rnd: rand.New(rand.NewPCG(seed, uint64(i))), fast: i%2 == 0, zlib: i%3 == 0}
	d.values = &reference{documents: map[string]*node{}, selectors: map[string]*expression{}}
	d.open()
	return d
}

// guard runs f until the first complaint.
func (d *driver) guard(f func()) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case difference:
			d.err = p
		default:
			panic(p)
		}
	}()
	if d.err == nil {
		f()
	}
}

func (d *driver) fail(format string, args ...any) { panic(difference{fmt.Sprintf(format, args...)}) }

func (d *driver) open() {
	q := request("admin")
	q.Type = "WJ"
	if !d.zlib {
		q.Capabilities = wire.CapabilityUnified
	}
	d.conn = &fakeConn{}
	res, s := d.engine.Connect(context.Background(), q, here, d.conn)
	if s == nil {
		d.fail("connect: %v", res.Code)
	}
	d.session, d.scopes, d.lossy = s, map[string]selections{}, false
	d.forget()
}

func (d *driver) forget() {
	d.picture, d.read, d.stream = newPicture(d.zlib), 0, nil
	d.answers, d.listeners = map[int64]func(m *wire.Message) error{}, map[int64]*balance{}
}

// reconnect gives the session a new connection, or opens a new one.
func (d *driver) reconnect() {
	q := request("admin")
	q.Token, q.LastServer, q.OldestClient = d.session.Token(), d.read, 1
	d.conn = &fakeConn{}
	switch res, _ := d.engine.Connect(context.Background(), q, here, d.conn); res.Code {
	case wire.Reconnected:
		if d.lossy {
			d.fail("the loss before may have been missed, but %v", res.Code)
		}
	case wire.ReconnectedWithLoss:
		d.forget()
		d.lossy = true
	case wire.UnknownSession:
		d.open()
	default:
		d.fail("reconnect: %v", res.Code)
	}
}

// driverCall sends a request, whose answer may be an error that others cause.
func driverCall[Req, Res any](d *driver, svc *service.Service[Req, Res], req Req, answered func(Res)) {
	d.next++
	conversation := d.next
	d.answers[conversation] = func(m *wire.Message) error {
		if m.Type == wire.TypeError {
			switch m.Error.Code {
			case wire.CodeCommunicationFailure, wire.CodeUnsupported, wire.CodeAccessDenied:
				return fmt.Errorf("answer to %s %+v: %v", svc.Name, req, &m.Error)
			case wire.CodeUpdateFailed:
				if _, isDelta := any(req).(service.StreamRequest); isDelta {
					return fmt.Errorf("stream: %v", &m.Error)
				}
			case wire.CodeInvalidUpdateStream:
				d.stream = nil
			}
			return nil
		}
		res, err := svc.ReadResponse(m.Body)
		if err == nil && answered != nil {
			answered(res)
		}
		return err
	}
	d.send(svc.AppendRequest(nil, conversation, req))
}

func (d *driver) send(frame []byte) {
	d.lossy = false
	if err := d.session.Receive(d.conn, frame); err != nil && !d.session.Over() {
		d.fail("receive: %v", err)
	}
}

// drain reads up to about so many bytes.
func (d *driver) drain(most int) {
	for {
		messages, end := d.session.Take(d.conn, nil, most)
		for _, m := range messages {
			p, err := wire.ParseMessage(m.Bytes())
			if err != nil {
				d.fail("%x: %v", m.Bytes(), err)
			}
			if p.Type == wire.TypeAbort {
				break
			}
			d.read++
			if err := d.apply(&p); err != nil {
				d.fail("message %d, %v: %v", d.read, p.Type, err)
			}
		}
		if end {
			if d.session.reason != MessageQueueLimitReached {
				d.fail("the session ended: %v", d.session.reason)
			}
			d.open()
			return
		}
		if most < everything || len(messages) == 0 {
			return
		}
	}
}

func (d *driver) apply(m *wire.Message) (err error) {
	switch {
	case m.Type == wire.TypeTopicValue || m.Type == wire.TypeTopicDelta:
		_, err = d.picture.update(m)
	case m.Type == wire.TypeResponse || m.Type == wire.TypeError:
		check := d.answers[m.Conversation]
		if check == nil {
			return fmt.Errorf("answer to conversation %d", m.Conversation)
		}
		delete(d.answers, m.Conversation)
		err = check(m)
	case m.Service == service.NotifySubscription.ID:
		_, err = d.picture.subscribe(m)
	case m.Service == service.UnsubscriptionNotification.ID:
		_, _, err = d.picture.unsubscribe(m)
	case m.Service == service.TopicEvent.ID:
		e, readErr := service.TopicEvent.ReadRequest(m.Body)
		if b := d.listeners[e.Listener]; readErr == nil && b != nil {
			b.descendant[e.Path] = e.Kind == service.TopicDeselected // it may be covered so from now on
			return tell(b.direct, e.Path, e.Kind)
		}
		err = readErr
	case m.Service == service.DescendantEvent.ID:
		e, readErr := service.DescendantEvent.ReadRequest(m.Body)
		if b := d.listeners[e.Listener]; readErr == nil && b != nil {
			b.descendant[e.Path] = e.Kind == service.TopicAdded || e.Kind == service.TopicSelected
		}
		err = readErr
	default:
		err = fmt.Errorf("request of service %d", m.Service)
	}
	return err
}

// tell applies an event about a topic that is selected itself.
func tell(known map[string]bool, path string, kind service.TopicEventKind) error {
	comes := kind == service.TopicAdded || kind == service.TopicSelected
	if known[path] == comes {
		return fmt.Errorf("%v of %q, known %v", kind, path, known[path])
	}
	known[path] = comes
	return nil
}

// step does a random operation.
func (d *driver) step() {
	r := d.rnd
	path := randomPath(r)
	spec := modelSpec{given: topic.Specification{Type: valueTypes[len(path)%len(valueTypes)], Properties: pathProperties(path)}}
	value := d.value(spec.given.Type)
	switch k := r.IntN(20); {
	case k < 3:
		driverCall(d, service.AddAndSetTopic, service.AddAndSetRequest{Path: path, Specification: spec.given, Value: value}, nil)
	case k < 9:
		driverCall(d, service.SetTopic, service.SetRequest{Path: path, Type: spec.given.Type, Value: value}, nil)
	case k < 10:
		ops := randomPatch(r)
		text := "["
		for i := range ops {
			text += strings.Repeat(",", min(i, 1)) + string(ops[i].json(nil))
		}
		driverCall(d, service.ApplyJSONPatch, service.PatchRequest{Path: path, Patch: text + "]"}, nil)
	case k < 12:
		d.useStream(path, spec.given.Type, value)
	case k < 13:
		text := ">" + path
		if r.IntN(10) == 0 {
			text = "?" + path + "//"
		}
		driverCall(d, service.TopicRemoval, service.Text(text), nil)
	case k < 15:
		d.selectTopics()
	case k < 17:
		d.listen()
	case k < 18 && r.IntN(3) == 0:
		old := d.conn
		if r.IntN(2) == 0 {
			d.session.Take(d.conn, nil, 100) // which it never reads
		}
		if r.IntN(2) == 0 {
			d.session.Lost(old, ConnectionLost)
		}
		d.reconnect()
	default:
		driverCall(d, service.FetchQuery, service.Query{Selector: randomSelector(r), Types: service.AllTypes, Values: true, Limit: int32(r.IntN(100) - 50), MaxResultSize: 1 << 20}, nil)
	}
	if d.fast {
		d.drain(everything)
	} else if r.IntN(4) == 0 {
		d.drain(r.IntN(2000))
	}
}

// value returns a value that every topic of a type takes.
func (d *driver) value(t topic.Type) []byte {
	for {
		if value, valid := d.values.randomValue(d.rnd, t); valid {
			return value
		}
	}
}

// pathProperties returns the properties that all give a topic at a path.
func pathProperties(path string) map[string]string {
	p := map[string]string{}
	h := 0
	for i := range len(path) {
		h = 31*h + int(path[i])
	}
	p[topic.Conflation] = []string{"off", "conflate", "unsubscribe", "always"}[h%4]
	p[topic.Priority] = []string{"low", "default", "high"}[h/4%3]
	p[topic.TidyOnUnsubscribe] = []string{"true", "false"}[h/12%2]
	return p
}

func (d *driver) useStream(path string, t topic.Type, value []byte) {
	s := d.stream
	if s == nil {
		driverCall(d, service.CreateStreamAndSet, service.SetRequest{Path: path, Type: t, Value: value}, func(res service.NewStream) {
			d.stream = &modelStream{id: res.ID, local: value, topic: &modelTopic{valueType: t}}
		})
		return
	}
	value = d.value(s.topic.valueType)
	if !s.topic.valueType.HasDeltas() {
		driverCall(d, service.StreamSet, service.StreamRequest{ID: s.id, Bytes: value}, nil)
		return
	}
	req := service.StreamRequest{ID: s.id, Bytes: delta.Diff(s.local, value)}
	s.local = value
	driverCall(d, service.StreamApplyDelta, req, nil)
}

func (d *driver) selectTopics() {
	text, scope := randomSelector(d.rnd), scopes[d.rnd.IntN(len(scopes))]
	sel := d.values.expression(text)
	if d.rnd.IntN(3) > 0 {
		if sel != nil {
			d.scopes[scope] = append(d.scopes[scope], entry{sel, true})
		}
		driverCall(d, service.Subscribe, service.Selection{Selector: text, Scope: scope}, nil)
		return
	}
	if sel != nil {
		d.scopes[scope] = append(d.scopes[scope], entry{sel, false})
	}
	driverCall(d, service.Unsubscribe, service.Selection{Selector: text, Scope: scope}, nil)
}

func (d *driver) listen() {
	id := int64(1000 + d.rnd.IntN(2))
	text := randomSelector(d.rnd)
	sel := d.values.expression(text)
	b := d.listeners[id]
	switch k := d.rnd.IntN(8); {
	case sel == nil:
	case k < 5:
		if b == nil {
			b = &balance{direct: map[string]bool{}, descendant: map[string]bool{}}
			d.listeners[id] = b
		}
		b.list = append(b.list, entry{sel, true})
		driverCall(d, service.NotificationSelection, service.ListenerSelection{Listener: id, Selector: text}, nil)
	case k < 7 && b != nil:
		b.list = append(b.list, entry{sel, false})
		driverCall(d, service.NotificationDeselection, service.ListenerSelection{Listener: id, Selector: text}, nil)
	case k == 7:
		delete(d.listeners, id)
		driverCall(d, service.NotificationDeregistration, service.Conversation(id), nil)
		d.drain(everything) // or it could not tell old events from new ones
	}
}

// rest reads everything.
func (d *driver) rest() {
	d.drain(everything)
	if len(d.answers) > 0 {
		d.fail("%d requests are not answered", len(d.answers))
	}
}

// compare compares what the client shows with what is there.
func (d *driver) compare() {
	tree := &reference{topics: map[string]*modelTopic{}}
	for path := range allPaths() {
		if n := d.engine.tree.Get(path); n != nil {
			value, _ := n.Value()
			tree.topics[path] = &modelTopic{path: path, id: n.ID(), value: value, spec: n.Specification()}
		}
	}
	if len(tree.topics) != d.engine.Topics() {
		d.fail("%d topics of %d are found", len(tree.topics), d.engine.Topics())
	}
	for path, n := range tree.topics {
		shown := d.picture.byPath[path]
		selected := slices.ContainsFunc([]string{"", "s", "t"}, func(scope string) bool { return d.scopes[scope].selects(path) })
		switch {
		case shown == nil && (!selected || n.conflation() == "unsubscribe"):
		case shown == nil || !selected || shown.id != n.id:
			d.fail("%q is selected: %v, shown: %+v", path, selected, shown)
		case n.value != nil && !bytes.Equal(n.value, shown.value):
			d.fail("%q shows %x, newest is %x", path, shown.value, n.value)
		case n.value == nil && shown.has && !bytes.Equal(shown.value, []byte{0xf6}):
			d.fail("%q shows %x and has no value", path, shown.value)
		}
	}
	for path := range d.picture.byPath {
		if tree.topics[path] == nil {
			d.fail("%q is shown and gone", path)
		}
	}
	for id, b := range d.listeners {
		l := &modelListener{conversation: id, list: b.list}
		for path := range allPaths() {
			cover := uncovered
			if tree.topics[path] != nil {
				cover = tree.cover(l, path)
			}
			if b.direct[path] != (cover == direct) || cover == descendant && !b.descendant[path] {
				d.fail("listener %d: %q is covered as %d, it was told %v, %v", id, path, cover, b.direct[path], b.descendant[path])
			}
		}
	}
}

// allPaths returns all that randomPath returns.
func allPaths() map[string]bool {
	all := map[string]bool{"a": true, "a-x": true, "b": true, "c": true}
	for range 3 {
		for path := range all {
			if strings.Count(path, "/") < 3 {
				for _, segment := range []string{"a", "b", "x"} {
					all[path+"/"+segment] = true
				}
			}
		}
	}
	return all
}
