package tree

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"advect.dev/internal/delta"
	"advect.dev/internal/outbox"
	"advect.dev/internal/selector"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// picture is a sink that keeps what a client would hold, and complains of calls
// that no client could follow.
type picture struct {
	t      testing.TB
	denied func(path string) bool

	mu     sync.Mutex
	values map[string][]byte // by path of subscribed topic; nil: no value
	ids    map[string]int32
	events []string
}

func newPicture(t testing.TB) *picture {
	return &picture{t: t, values: map[string][]byte{}, ids: map[string]int32{}}
}

func (p *picture) CanRead(n *Topic) bool { return p.denied == nil || !p.denied(n.path) }

func (p *picture) Subscribed(s *Subscription, initial []*Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := s.Topic.Path()
	if _, ok := p.values[path]; ok {
		p.t.Errorf("%s subscribed twice", path)
	}
	p.values[path], p.ids[path] = nil, s.Topic.ID()
	for _, u := range initial {
		p.values[path] = u.value()
	}
	p.events = append(p.events, "sub "+path)
}

func (p *picture) Updated(s *Subscription, u *Update) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := s.Topic.Path()
	old, ok := p.values[path]
	if !ok || p.ids[path] != s.Topic.ID() {
		p.t.Errorf("update of %s without subscription", path)
	}
	if d := u.Delta(); d != nil {
		got, err := delta.Apply(nil, old, d.Bytes()[wire.TopicHeaderLen:], 1<<20)
		if err != nil || !bytes.Equal(got, u.value()) {
			p.t.Errorf("%s: delta on %x gives %x, %v; want %x", path, old, got, err, u.value())
		}
	}
	p.values[path] = u.value()
	p.events = append(p.events, "update "+path)
}

func (p *picture) Unsubscribed(s *Subscription, reason service.UnsubscribeReason, _ *outbox.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	path := s.Topic.Path()
	if _, ok := p.values[path]; !ok {
		p.t.Errorf("%s unsubscribed without subscription", path)
	}
	delete(p.values, path)
	p.events = append(p.events, fmt.Sprintf("unsub %s %v", path, reason))
}

func (p *picture) take() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

func sel(t testing.TB, expression string) *selector.Selector {
	t.Helper()
	s, err := selector.Parse(expression)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var text = topic.Specification{Type: topic.String}

func str(s string) []byte { return append([]byte{byte(0x60 + len(s))}, s...) }

// somebody is the author of the tests.
var somebody = &Author{Principal: "somebody"}

func addTopic(tr *Tree, path string, spec topic.Specification) (service.Created, error) {
	return tr.Add(somebody, &service.AddRequest{Path: path, Specification: spec})
}

func addAndSet(tr *Tree, path string, spec topic.Specification, value []byte, c *service.Constraint) (service.Created, error) {
	return tr.AddAndSet(somebody, &service.AddAndSetRequest{Path: path, Specification: spec, Value: value, Constraint: *c})
}

func set(tr *Tree, path string, typ topic.Type, value []byte, c *service.Constraint) error {
	return tr.Set(somebody, &service.SetRequest{Path: path, Type: typ, Value: value, Constraint: *c})
}

func subscribe(tr *Tree, c *Client, sel *selector.Selector, scope string) error {
	_, err := tr.Subscribe(c, sel, scope)
	return err
}

func add(t testing.TB, tr *Tree, path, value string) {
	t.Helper()
	if _, err := addAndSet(tr, path, text, str(value), &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
}

func expect(t *testing.T, p *picture, what string, want ...string) {
	t.Helper()
	if got := p.take(); !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// TestSubscriptionLife follows 21 section 11.
func TestSubscriptionLife(t *testing.T) {
	tr := New(Config{})
	p := newPicture(t)
	c := NewClient(p)
	add(t, tr, "a/b", "1")
	add(t, tr, "a/c", "1")
	add(t, tr, "x", "1")

	subscribe := func(expression, scope string) {
		if err := subscribe(tr, c, sel(t, expression), scope); err != nil {
			t.Fatal(err)
		}
	}
	subscribe("?a//", "")
	expect(t, p, "existing topics", "sub a/b", "sub a/c")
	subscribe(">a/b", "s")
	expect(t, p, "overlapping selection in another scope")
	add(t, tr, "a/d", "1")
	expect(t, p, "topic added later", "sub a/d")
	add(t, tr, "a/d", "1")
	expect(t, p, "equal value")
	add(t, tr, "a/d", "2")
	expect(t, p, "new value", "update a/d")
	tr.Unsubscribe(c, sel(t, "?a//"), "", service.Requested)
	got := p.take()
	slices.Sort(got)
	if want := []string{"unsub a/c REQUESTED", "unsub a/d REQUESTED"}; !slices.Equal(got, want) {
		t.Errorf("unsubscribe leaves what another scope selects: got %q, want %q", got, want)
	}
	tr.UnsubscribeAll(c, sel(t, "?.*//"), service.ByControl)
	expect(t, p, "unsubscribe in all scopes", "unsub a/b CONTROL")
	add(t, tr, "a/e", "1")
	expect(t, p, "nothing is selected any more")
	if len(c.scopes.list) != 0 || c.size != 0 || tr.selections.index.Len() != 0 {
		t.Errorf("scopes %v, %d entries, %d indexed are left", c.scopes, c.size, tr.selections.index.Len())
	}

	subscribe(">x", "")
	before := p.ids["x"]
	everyone := func(*Topic) bool { return true }
	if n := tr.Remove(sel(t, "x"), everyone); n != 1 {
		t.Errorf("removed %d topics, want 1", n)
	}
	add(t, tr, "x", "1")
	expect(t, p, "removed and added again", "sub x", "unsub x REMOVED", "sub x")
	if p.ids["x"] == before {
		t.Error("a topic added again has the id of the one before")
	}
	if n := tr.Remove(sel(t, "?.*//"), func(n *Topic) bool { return n.path != "x" }); n != 4 || tr.Len() != 1 {
		t.Errorf("removed %d, %d left; want 4 and 1", n, tr.Len())
	}

}

func TestDeselectionOrder(t *testing.T) {
	tr := New(Config{})
	p := newPicture(t)
	c := NewClient(p)
	for _, step := range []struct {
		selects  bool
		selector string
	}{{true, "?a//"}, {false, ">a/secret"}, {true, ">a/secret/open"}} {
		if step.selects {
			_ = subscribe(tr, c, sel(t, step.selector), "")
		} else {
			tr.Unsubscribe(c, sel(t, step.selector), "", service.Requested)
		}
	}
	for _, path := range []string{"a", "a/secret", "a/secret/open", "b"} {
		add(t, tr, path, "1")
	}
	expect(t, p, "the last matching entry decides", "sub a", "sub a/secret/open")
}

func TestAuthorization(t *testing.T) {
	tr := New(Config{})
	p := newPicture(t)
	hidden := "a/b"
	p.denied = func(path string) bool { return path == hidden }
	c := NewClient(p)
	add(t, tr, "a/b", "1")
	add(t, tr, "a/c", "1")
	_ = subscribe(tr, c, sel(t, "?a//"), "")
	expect(t, p, "only what may be read", "sub a/c")
	hidden = "a/c"
	tr.Reauthorize(c)
	expect(t, p, "gain and loss", "unsub a/c AUTHORIZATION", "sub a/b")
}

func TestErrors(t *testing.T) {
	tr := New(Config{})
	add(t, tr, "a", "1")
	never := &service.Constraint{Kind: service.NoTopic}
	always := &service.Constraint{}
	for name, c := range map[string]struct {
		err  error
		code wire.ErrorCode
	}{
		"set missing":      {set(tr, "none", topic.String, str("1"), always), wire.CodeNoSuchTopic},
		"set other type":   {set(tr, "a", topic.JSON, str("1"), always), wire.CodeIncompatibleUpdate},
		"set nothing":      {set(tr, "a", topic.String, []byte{}, always), wire.CodeUpdateFailed},
		"constraint":       {set(tr, "a", topic.String, str("2"), never), wire.CodeUnsatisfied},
		"constraint first": {set(tr, "none", topic.String, str("2"), &service.Constraint{Kind: service.NoValue}), wire.CodeUnsatisfied},
		"lock":             {set(tr, "a", topic.String, str("2"), &service.Constraint{Kind: service.Locked}), wire.CodeUnsatisfied},
		"empty path":       {second(addTopic(tr, "/", text)), wire.CodeTopicPathInvalid},
		"empty segment":    {second(addTopic(tr, "a//b", text)), wire.CodeTopicPathInvalid},
		"reserved":         {second(addTopic(tr, "Diffusion/x", text)), wire.CodeTopicPathInvalid},
		"mismatch":         {second(addTopic(tr, "a", topic.Specification{Type: topic.JSON})), wire.CodeTopicExists},
		"bad property": {second(addTopic(tr, "n", topic.Specification{Type: topic.JSON,
			Properties: map[string]string{topic.DontRetainValue: "yes"}})), wire.CodeTopicSpecInvalid},
		"no such type": {second(addTopic(tr, "n", topic.Specification{Type: topic.TimeSeries})), wire.CodeTopicSpecInvalid},
		"not created when refused": {second(addAndSet(tr, "n", topic.Specification{Type: topic.String,
			Properties: map[string]string{topic.ValidateValues: "true"}}, []byte{0x01}, always)), wire.CodeUpdateFailed},
	} {
		var e *wire.ServiceError
		if !errors.As(c.err, &e) || e.Code != c.code {
			t.Errorf("%s: got %v, want code %d", name, c.err, c.code)
		}
	}
	if tr.Len() != 1 {
		t.Errorf("%d topics, want 1", tr.Len())
	}
	if v, _ := tr.Get("a").Value(); !bytes.Equal(v, str("1")) {
		t.Errorf("a refused set changed the value to %x", v)
	}
}

func second(_ service.Created, err error) error { return err }

// TestNull follows 10 section 10.8: null clears the value.
func TestNull(t *testing.T) {
	tr := New(Config{})
	p := newPicture(t)
	c := NewClient(p)
	_ = subscribe(tr, c, sel(t, ">a"), "")
	add(t, tr, "a", "1")
	set := func(v []byte) {
		if err := set(tr, "a", topic.String, v, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	p.take()
	set(null)
	set(null)
	expect(t, p, "null is published once", "update a")
	if _, has := tr.Get("a").Value(); has {
		t.Error("a topic set to null has a value")
	}
	late := newPicture(t)
	_ = subscribe(tr, NewClient(late), sel(t, ">a"), "")
	if v, ok := late.values["a"]; !ok || v != nil {
		t.Errorf("a late subscriber holds %x, %v", v, ok)
	}
	set(str("2"))
	for _, p := range []*picture{p, late} {
		if !bytes.Equal(p.values["a"], str("2")) {
			t.Errorf("after null a subscriber holds %x", p.values["a"])
		}
	}
}

func TestNoRetainedValue(t *testing.T) {
	tr := New(Config{})
	spec := topic.Specification{Type: topic.JSON, Properties: map[string]string{topic.DontRetainValue: "TRUE"}}
	p := newPicture(t)
	_ = subscribe(tr, NewClient(p), sel(t, ">a"), "")
	for range 2 {
		if _, err := addAndSet(tr, "a", spec, []byte{1}, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	if got := p.values["a"]; !bytes.Equal(got, []byte{1}) {
		t.Errorf("a subscriber holds %x", got)
	}
	expect(t, p, "equal values are published", "sub a", "update a", "update a")
	late := newPicture(t)
	_ = subscribe(tr, NewClient(late), sel(t, ">a"), "")
	if got := late.values["a"]; got != nil {
		t.Errorf("a later subscriber holds %x", got)
	}
	if n := tr.Get("a"); n.Specification().Properties[topic.DontRetainValue] != "true" {
		t.Errorf("specification is %v", n.Specification())
	}
}

// TestBornWithValue checks that those who wait for a topic see the value that it
// is created with, also where subscriptions do not start with a value.
func TestBornWithValue(t *testing.T) {
	for name, spec := range map[string]topic.Specification{
		"retained":     text,
		"not retained": {Type: topic.String, Properties: map[string]string{topic.DontRetainValue: "true"}},
		"time series": {Type: topic.TimeSeries, Properties: map[string]string{
			topic.TimeSeriesEventValueType: "string", topic.PublishValuesOnly: "true"}},
	} {
		t.Run(name, func(t *testing.T) {
			tr, p := New(Config{}), newPicture(t)
			_ = subscribe(tr, NewClient(p), sel(t, ">a"), "")
			if _, err := addAndSet(tr, "a", spec, str("born"), &service.Constraint{}); err != nil {
				t.Fatal(err)
			}
			if !bytes.HasSuffix(p.values["a"], str("born")) {
				t.Errorf("a subscriber holds %x", p.values["a"])
			}
		})
	}
}

func TestCompression(t *testing.T) {
	tr := New(Config{})
	spec := topic.Specification{Type: topic.Binary, Properties: map[string]string{topic.Compression: "high"}}
	if _, err := addAndSet(tr, "a", spec, bytes.Repeat([]byte("advect "), 1000), &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
	u := tr.Get("a").latest.Load()
	plain, small := u.For(false).Value(), u.For(true).Value()
	m, err := wire.ParseMessage(small.Bytes())
	if err != nil || !m.Compressed || m.Topic != tr.Get("a").ID() || small.Len() >= plain.Len()/10 {
		t.Errorf("compressed message of %d bytes of %d: %+v, %v", small.Len(), plain.Len(), m.Type, err)
	}
	if u.For(true).Value() != small {
		t.Error("an update is compressed more than once")
	}
}

func TestFetch(t *testing.T) {
	tr := New(Config{})
	paths := []string{"a", "a/b", "a/c", "a/c/x", "a/c/y", "a/d", "a/e", "b", "b/a/x", "b/b/x", "c"}
	for _, path := range paths {
		add(t, tr, path, path)
	}
	all := service.Query{Selector: "?.*//", Types: service.AllTypes, Limit: 1<<31 - 1, MaxResultSize: 1<<31 - 1,
		DeepBranchDepth: 1<<31 - 1, DeepBranchLimit: 1<<31 - 1}
	limit := func(path string, inclusive bool) *service.Limit {
		return &service.Limit{Path: path, Inclusive: inclusive}
	}
	for name, c := range map[string]struct {
		change func(*service.Query)
		want   []string
		more   bool
	}{
		"all":      {func(*service.Query) {}, paths, false},
		"range":    {func(q *service.Query) { q.From, q.To = limit("a/c/y", true), limit("b/a/x", true) }, paths[4:9], false},
		"after":    {func(q *service.Query) { q.From = limit("/a/", false) }, paths[1:], false},
		"before":   {func(q *service.Query) { q.To = limit("b", false) }, paths[:7], false},
		"first":    {func(q *service.Query) { q.Limit = 3 }, paths[:3], true},
		"last":     {func(q *service.Query) { q.Limit = -3 }, paths[8:], true},
		"none":     {func(q *service.Query) { q.Limit = 0 }, nil, true},
		"types":    {func(q *service.Query) { q.Types = 1 << topic.JSON }, nil, false},
		"branches": {func(q *service.Query) { q.DeepBranchDepth, q.DeepBranchLimit = 1, 1 }, []string{"a", "b", "c"}, false},
		"shallow":  {func(q *service.Query) { q.DeepBranchDepth, q.DeepBranchLimit = 3, 0 }, []string{"a", "a/b", "a/c", "a/d", "a/e", "b", "c"}, false},
		"size":     {func(q *service.Query) { q.MaxResultSize = 60 }, paths[:3], true},
	} {
		q := all
		c.change(&q)
		res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return true })
		var got []string
		for _, item := range res.Topics {
			got = append(got, item.Path)
		}
		if !slices.Equal(got, c.want) || res.More != c.more {
			t.Errorf("%s: got %q, more %v; want %q, %v", name, got, res.More, c.want, c.more)
		}
	}
	q := all
	q.Selector, q.Values, q.Properties, q.Sizes = ">a/b", true, true, true
	res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return true })
	if item := res.Topics[0]; !bytes.Equal(*item.Value, str("a/b")) || item.Size.Value != 4 || len(res.PropertySets) != 1 {
		t.Errorf("got %+v with sets %v", item, res.PropertySets)
	}
	if res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return false }); len(res.Topics) != 0 {
		t.Error("a topic that may not be read was fetched")
	}
}

// TestConcurrentConvergence lets publishers, removers and clients that select
// and deselect run against each other; in the end every client holds exactly the
// topics that its selections select, with their values.
func TestConcurrentConvergence(t *testing.T) {
	tr := New(Config{})
	var publishers sync.WaitGroup
	var clients sync.WaitGroup
	path := func(r *rand.Rand) string { return fmt.Sprintf("t/%d/%d", r.IntN(4), r.IntN(8)) }
	for i := range 3 {
		publishers.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 7))
			for n := range 4000 {
				p := path(r)
				if r.IntN(10) == 0 {
					tr.Remove(sel(t, ">"+p), func(*Topic) bool { return true })
				} else {
					add(t, tr, p, fmt.Sprint(n))
				}
			}
		})
	}
	type held struct {
		p *picture
		c *Client
	}
	all := make([]held, 6)
	for i := range all {
		p := newPicture(t)
		all[i] = held{p, NewClient(p)}
		clients.Go(func() {
			r := rand.New(rand.NewPCG(uint64(i), 9))
			expressions := []string{"?t/0//", "?t/.*/1", ">t/2/2", "*t/3.*", "?t//"}
			for range 300 {
				s, scope := sel(t, expressions[r.IntN(len(expressions))]), fmt.Sprint(r.IntN(2))
				switch r.IntN(8) {
				case 0, 1, 2, 3:
					_ = subscribe(tr, all[i].c, s, scope)
				case 4, 5, 6:
					tr.Unsubscribe(all[i].c, s, scope, service.Requested)
				case 7:
					tr.Suspend(all[i].c)
					p.mu.Lock()
					clear(p.values)
					p.mu.Unlock()
					tr.Resume(all[i].c)
				}
			}
		})
	}
	clients.Wait()
	publishers.Wait()
	for i, h := range all {
		want := map[string][]byte{}
		tr.Walk(sel(t, "?.*//"), func(n *Topic) bool {
			if h.c.selected(n.path) {
				want[n.path], _ = n.Value()
			}
			return true
		})
		if len(want) != len(h.p.values) || len(want) != h.c.Subscriptions() {
			t.Errorf("client %d holds %d topics, counts %d, selects %d", i, len(h.p.values), h.c.Subscriptions(), len(want))
		}
		for path, value := range want {
			if !bytes.Equal(h.p.values[path], value) {
				t.Errorf("client %d holds %x of %s, which is %x", i, h.p.values[path], path, value)
			}
		}
		tr.Close(h.c)
	}
	if n := tr.selections.index.Len(); n != 0 {
		t.Errorf("%d selections are left in the index", n)
	}
	tr.Walk(sel(t, "?.*//"), func(n *Topic) bool {
		if len(n.subscribers) != 0 {
			t.Errorf("%s has subscriptions of closed clients", n.path)
		}
		return true
	})
}
