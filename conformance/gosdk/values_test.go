package gosdk

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"

	"advect.dev"
	"advect.dev/datatype"
)

// Each type of value through its whole life.

const valuesGroup = "Values"

// A valueType is a topic type with values of it: distinct and in order.
type valueType struct {
	name   string
	typ    advect.TopicType
	values []datatype.Value
	stream func(*scene, *advect.Session, string) streamRecord
	fetch  func(context.Context, *advect.Topics, string) (string, error)
}

var valueTypes = []valueType{
	typeOf[datatype.JSON]("json", advect.JSON, doc(`{"a":1}`), doc(`{"a":2,"b":[true,null,"x",-1.5]}`), doc(`["list"]`), doc(`"text"`), doc(`7`)),
	typeOf[datatype.String]("string", advect.String, datatype.String("one"), datatype.String("two"), datatype.String(""),
		datatype.String("drei — ünï 🚀"), datatype.String("one")),
	typeOf[datatype.Int64]("int64", advect.Int64, datatype.Int64(0), datatype.Int64(-1), datatype.Int64(1<<31),
		datatype.Int64(math.MaxInt64), datatype.Int64(math.MinInt64)),
	typeOf[datatype.Double]("double", advect.Double, datatype.Double(0.5), datatype.Double(-1e300), datatype.Double(3),
		datatype.Double(5e-324), datatype.Double(math.Inf(1))),
	typeOf[datatype.Binary]("binary", advect.Binary, datatype.Binary{0}, datatype.Binary{1, 2, 255}, datatype.Binary{},
		datatype.Binary(bytes.Repeat([]byte{7}, 300)), datatype.Binary{9}),
	typeOf[datatype.RecordV2]("recordv2", advect.RecordV2, datatype.NewRecordV2([]string{"a", "b"}, []string{"c"}), datatype.NewRecordV2([]string{"x"}),
		datatype.NewRecordV2([]string{"", ""}), datatype.NewRecordV2([]string{strings.Repeat("y", 300)}), datatype.NewRecordV2([]string{"drei — ünï 🚀"})),
}

func typeOf[V datatype.Value](name string, t advect.TopicType, values ...datatype.Value) valueType {
	return valueType{name, t, values, watch[V], func(ctx context.Context, topics *advect.Topics, path string) (string, error) {
		v, err := advect.FetchValue[V](ctx, topics, path)
		return comparable(v), err
	}}
}

func doc(text string) datatype.JSON {
	v, err := datatype.ParseJSON([]byte(text))
	if err != nil {
		panic(err)
	}
	return v
}

func (t valueType) spec() advect.Specification { return advect.NewSpecification(t.typ) }

// values returns the scenarios of every type.
func values() []scenario {
	var all []scenario
	for _, t := range valueTypes {
		name := t.typ.String()
		add := func(id, title string, run func(*scene)) {
			all = append(all, scenario{"values." + t.name + "." + id, valuesGroup, name + ": " + title, both, run})
		}
		add("stream", "add, subscribe, set; old and new value of each event; remove", t.streams)
		add("add-and-set", "set with a specification creates or updates; value on subscribe; fetch", t.addsAndSets)
		add("equal-update", "an update that changes nothing publishes nothing", t.equalUpdate)
	}
	return all
}

// owner returns a session that may change topics, over the transport under test.
func (s *scene) owner() publisher { return publisher{s.connect(as("control")...), s} }

func (s *scene) subscribe(session *advect.Session, selectors ...string) {
	s.t.Helper()
	s.none(session.Topics().Subscribe(s.ctx, selectors...), "subscribe")
}

func (t valueType) streams(s *scene) {
	session := s.owner()
	path := s.path()
	added, err := session.Topics().Add(s.ctx, path, t.spec())
	s.none(err, "add")
	s.equal(added, advect.TopicCreated, "add")
	stream := t.stream(s, session.Session, path)
	s.subscribe(session.Session, path)
	s.equal(s.await(stream, subscribe, 1).path, path, "subscribed topic")
	for _, v := range t.values {
		session.set(path, v)
	}
	s.await(stream, value, len(t.values))
	old := ""
	for i, e := range stream.of(value) {
		s.equal(e.value, comparable(t.values[i]), "new value")
		s.equal(e.old, old, "old value")
		old = e.value
	}
	removed, err := session.Topics().Remove(s.ctx, path)
	s.none(err, "remove")
	s.equal(removed, 1, "removed")
	gone := s.await(stream, unsubscribe, 1)
	s.equal(gone.path, path, "unsubscribed topic")
	s.equal(gone.reason, advect.UnsubscribeRemoved, "reason")
}

func (t valueType) addsAndSets(s *scene) {
	session := s.owner()
	reader := s.connect()
	path := s.path()
	for i, want := range []advect.AddResult{advect.TopicCreated, advect.TopicExists} {
		result, err := session.Topics().AddAndSet(s.ctx, path, t.spec(), t.values[i])
		s.none(err, "add and set")
		s.equal(result, want, "add and set")
	}
	want := comparable(t.values[1])
	stream := t.stream(s, reader, path)
	s.subscribe(reader, path)
	first := s.await(stream, value, 1)
	s.equal(first.value, want, "value on subscribe")
	s.equal(first.old, "", "old value on subscribe")
	s.equal(stream.kinds(), "subscribe value", "stream events")
	fetched, err := t.fetch(s.ctx, reader.Topics(), path)
	s.none(err, "fetch")
	s.equal(fetched, want, "fetched value")
	late := t.stream(s, reader, path)
	s.equal(s.await(late, value, 1).value, want, "value for a stream added later")
	for update, err := range advect.Values[datatype.Value](s.ctx, reader, path) {
		s.none(err, "loop")
		s.equal(comparable(update.Value), want, "value for a loop begun later")
		break
	}
}

func (t valueType) equalUpdate(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, t.typ)
	stream := t.stream(s, session.Session, path)
	s.subscribe(session.Session, path)
	a, b := t.values[0], t.values[1]
	for _, v := range []datatype.Value{a, a, a, b} {
		session.set(path, v)
	}
	s.awaitValue(stream, comparable(b))
	s.equal(stream.values(), comparable(a)+" "+comparable(b), "values")
}

// Topics as such.

var topicScenarios = []scenario{
	{"values.null", valuesGroup, "null clears STRING, INT64 and DOUBLE topics; later subscribers get no value", both, nulls},
	{"values.json-null", valuesGroup, "JSON null is a value", both, jsonNull},
	{"values.deltas", valuesGroup, "small changes of a large JSON document travel as deltas and arrive right", ws, deltas},
	{"values.deltas-binary-string", valuesGroup, "changes inside long BINARY and STRING values arrive right", both, deltasBinaryString},
	{"values.large", valuesGroup, "a value of one megabyte goes up and down", both, largeValue},
	{"values.select-branch", valuesGroup, "select and unsubscribe by path and by descendant selector; topics added later join", both, selectBranch},
	{"values.subscribe-before-add", valuesGroup, "subscribe first, add later: subscription on add, value on set", both, subscribeBeforeAdd},
	{"values.overlapping-selections", valuesGroup, "overlapping selectors subscribe once; another scope keeps the subscription", both, overlapping},
	{"values.remove-and-recreate", valuesGroup, "removed and created again with another type: unsubscribe, then a subscription with the new specification", both, removeAndRecreate},
	{"values.remove-branch", valuesGroup, "remove by descendant selector counts the topics; removing nothing is no error", both, removeBranch},
	{"values.add-conflicts", valuesGroup, "add again: exists; with another specification: EXISTS_MISMATCH; a bad path: INVALID_NAME", both, addConflicts},
	{"values.update-conflicts", valuesGroup, "set without a topic, of another type, or with another specification is refused", both, updateConflicts},
	{"values.permissions", valuesGroup, "an anonymous session reads, and may neither add, update nor remove", both, permissions},
	{"values.fetch", valuesGroup, "fetch by path and by branch, with and without values, in path order, with ranges and limits", both, fetches},
	{"values.two-subscribers", valuesGroup, "two sessions that subscribe at different times each follow their own delta stream", both, twoSubscribers},
	{"values.go-types", valuesGroup, "Go: a stream of another type is not told; JSON reads the simple types, Value reads all", both, streamTypes},
}

func nulls(s *scene) {
	session := s.owner()
	reader := s.connect()
	for _, t := range valueTypes {
		path := s.path()
		session.add(path, t.typ)
		topics := session.Topics()
		if !t.typ.HasNull() {
			s.ok(topics.SetNull(s.ctx, path, t.typ) != nil, "%s set to null", t.name)
			continue
		}
		stream := t.stream(s, session.Session, path)
		s.subscribe(session.Session, path)
		session.set(path, t.values[0])
		s.none(topics.SetNull(s.ctx, path, t.typ), "set to null")
		session.set(path, t.values[1])
		s.await(stream, value, 3)
		s.equal(stream.values(), comparable(t.values[0])+" "+null+" "+comparable(t.values[1]), t.name+" values")
		s.equal(stream.of(value)[2].old, "", "old value after null")
		s.none(topics.SetNull(s.ctx, path, t.typ), "set to null")
		later := t.stream(s, reader, path)
		s.subscribe(reader, path)
		s.await(later, subscribe, 1)
		_, err := topics.Fetch(s.ctx, path)
		s.is(err, "fetch", advect.ErrNoValue)
		session.set(path, t.values[3])
		s.await(later, value, 1)
		s.equal(later.values(), comparable(t.values[3]), t.name+", subscribed later")
	}
}

func jsonNull(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	stream := watch[datatype.JSON](s, session.Session, path)
	s.subscribe(session.Session, path)
	session.set(path, doc(`{"a":1}`))
	session.set(path, doc(`null`))
	s.await(stream, value, 2)
	s.equal(stream.values(), `{"a":1} null`, "values")
}

func selectBranch(s *scene) {
	session := s.owner()
	topics := session.Topics()
	branch := s.path("branch")
	session.add(branch+"/a", advect.String)
	session.add(branch+"/a/deep", advect.String)
	session.add(s.path("elsewhere"), advect.String)
	stream := watch[datatype.String](s, session.Session, "?"+branch+"//")
	s.subscribe(session.Session, "?"+branch+"//")
	s.await(stream, subscribe, 2)
	session.add(branch+"/later", advect.String)
	s.await(stream, subscribe, 3)
	session.set(branch+"/later", datatype.String("hello"))
	s.equal(s.await(stream, value, 1).path, branch+"/later", "topic of the value")
	s.none(topics.Unsubscribe(s.ctx, branch+"/a"), "unsubscribe")
	gone := s.await(stream, unsubscribe, 1)
	s.equal(gone.path, branch+"/a", "unsubscribed")
	s.equal(gone.reason, advect.UnsubscribeRequested, "reason")
	s.none(topics.Unsubscribe(s.ctx, "?"+branch+"//"), "unsubscribe")
	s.await(stream, unsubscribe, 3)
	paths := map[string]bool{}
	for _, e := range stream.of(subscribe) {
		paths[e.path] = true
	}
	s.ok(len(paths) == 3 && paths[branch+"/a"] && paths[branch+"/a/deep"] && paths[branch+"/later"], "subscriptions: %v", paths)
	session.set(branch+"/later", datatype.String("unheard"))
	s.subscribe(session.Session, branch+"/later")
	s.await(stream, value, 2)
	s.equal(stream.values(), `"hello" "unheard"`, "values")
	_, err := advect.AddStream(topics, "?a(", advect.Stream[datatype.String]{})
	s.is(err, "stream of a bad selector", advect.ErrInvalidSelector)
	s.is(topics.Subscribe(s.ctx, "?a("), "subscribe to a bad expression", advect.ErrInvalidData)
	s.is(topics.Subscribe(s.ctx, ""), "subscribe to nothing", advect.ErrInvalidSelector)
}

func subscribeBeforeAdd(s *scene) {
	session := s.owner()
	path := s.path()
	stream := watch[datatype.Int64](s, session.Session, path)
	s.subscribe(session.Session, path)
	s.equal(stream.kinds(), "", "nothing yet")
	session.add(path, advect.Int64)
	s.await(stream, subscribe, 1)
	session.count(path, 42, 42)
	s.equal(s.await(stream, value, 1).value, "42", "value")
}

func overlapping(s *scene) {
	session := s.owner()
	topics := session.Topics()
	branch := s.path("branch")
	path := branch + "/x"
	session.add(path, advect.String)
	stream := watch[datatype.String](s, session.Session, path)
	s.subscribe(session.Session, path)
	s.subscribe(session.Session, "?"+branch+"//")
	s.none(topics.SubscribeScope(s.ctx, "second", path), "subscribe in a scope")
	session.set(path, datatype.String("v1"))
	s.await(stream, value, 1)
	s.none(topics.Unsubscribe(s.ctx, path), "unsubscribe")
	session.set(path, datatype.String("v2"))
	s.await(stream, value, 2)
	s.equal(stream.kinds(), "subscribe value value", "events while the second scope selects")
	s.none(topics.UnsubscribeScope(s.ctx, "second", path), "unsubscribe in the scope")
	s.await(stream, unsubscribe, 1)
}

func removeAndRecreate(s *scene) {
	session := s.owner()
	topics := session.Topics()
	path := s.path()
	texts := watch[datatype.String](s, session.Session, path)
	counts := watch[datatype.Int64](s, session.Session, path)
	s.subscribe(session.Session, path)
	_, err := topics.AddAndSet(s.ctx, path, advect.NewSpecification(advect.String), datatype.String("text"))
	s.none(err, "add and set")
	s.await(texts, value, 1)
	_, err = topics.Remove(s.ctx, path)
	s.none(err, "remove")
	s.await(texts, unsubscribe, 1)
	_, err = topics.AddAndSet(s.ctx, path, advect.NewSpecification(advect.Int64), datatype.Int64(5))
	s.none(err, "add and set")
	s.await(counts, value, 1)
	s.equal(texts.kinds(), "subscribe value unsubscribe", "events of the text stream")
	s.equal(counts.kinds(), "subscribe value", "events of the count stream")
	s.equal(counts.values(), "5", "counts")
}

func removeBranch(s *scene) {
	session := s.owner()
	branch := s.path("branch")
	for _, name := range []string{"a", "b", "b/c"} {
		session.add(branch+"/"+name, advect.String)
	}
	for _, want := range []int{3, 0} {
		removed, err := session.Topics().Remove(s.ctx, "?"+branch+"//")
		s.none(err, "remove")
		s.equal(removed, want, "removed")
	}
}

func addConflicts(s *scene) {
	topics := s.owner().Topics()
	path := s.path()
	text := advect.NewSpecification(advect.String)
	for _, want := range []advect.AddResult{advect.TopicCreated, advect.TopicExists} {
		result, err := topics.Add(s.ctx, path, text)
		s.none(err, "add")
		s.equal(result, want, "add")
	}
	_, err := topics.Add(s.ctx, path, advect.NewSpecification(advect.Int64))
	s.is(err, "another type", advect.ErrTopicExists)
	_, err = topics.Add(s.ctx, path, advect.NewSpecification(advect.String, advect.With(advect.PropertyDontRetainValue, "true")))
	s.is(err, "other properties", advect.ErrTopicExists)
	_, err = topics.Add(s.ctx, "a//b", text)
	s.is(err, "bad path", advect.ErrInvalidTopicPath)
	_, err = topics.Add(s.ctx, s.path(), advect.NewSpecification(advect.String, advect.With("COMPRESSION", "perhaps")))
	s.is(err, "bad property", advect.ErrInvalidSpecification)
}

func updateConflicts(s *scene) {
	session := s.owner()
	topics := session.Topics()
	path := s.path()
	document := doc(`{"a":1}`)
	s.is(topics.Set(s.ctx, path, document), "no topic", advect.ErrNoSuchTopic)
	session.add(path, advect.String)
	s.is(topics.Set(s.ctx, path, document), "another type", advect.ErrIncompatibleUpdate)
	_, err := topics.AddAndSet(s.ctx, path, advect.NewSpecification(advect.JSON), document)
	s.is(err, "another specification", advect.ErrTopicExists)
	s.ok(topics.Set(s.ctx, path, nil) != nil, "nil was set")
	session.set(path, datatype.String("fine"))
}

func permissions(s *scene) {
	owner := s.publisher(shared.port)
	topics := s.connect().Topics()
	path := s.path()
	_, err := topics.Add(s.ctx, path, advect.NewSpecification(advect.String))
	s.is(err, "add", advect.ErrPermissionDenied)
	_, err = owner.Topics().AddAndSet(s.ctx, path, advect.NewSpecification(advect.String), datatype.String("kept"))
	s.none(err, "add and set")
	s.is(topics.Set(s.ctx, path, datatype.String("changed")), "set", advect.ErrPermissionDenied)
	removed, err := topics.Remove(s.ctx, path)
	s.none(err, "remove")
	s.equal(removed, 0, "removed")
	kept, err := topics.Fetch(s.ctx, path)
	s.none(err, "fetch")
	s.equal(comparable(kept), `"kept"`, "value")
}

func fetches(s *scene) {
	topics := s.owner().Topics()
	branch := s.path("branch")
	for _, name := range []string{"c", "a/x", "a", "b"} {
		_, err := topics.AddAndSet(s.ctx, branch+"/"+name, advect.NewSpecification(advect.String), datatype.String("value of "+name))
		s.none(err, "add and set")
	}
	_, err := topics.Add(s.ctx, branch+"/empty", advect.NewSpecification(advect.String))
	s.none(err, "add")
	all := "?" + branch + "//"
	for _, row := range []struct {
		what  string
		query advect.FetchQuery
		want  string
		more  bool
	}{
		{"all", advect.FetchQuery{Selector: all}, "a a/x b c empty", false},
		{"first two", advect.FetchQuery{Selector: all, First: 2}, "a a/x", true},
		{"next two", advect.FetchQuery{Selector: all, After: branch + "/a/x", First: 2}, "b c", true},
		{"last one", advect.FetchQuery{Selector: all, Last: 1}, "empty", true},
		{"range", advect.FetchQuery{Selector: all, From: branch + "/a/x", To: branch + "/b"}, "a/x b", false},
		{"range without its ends", advect.FetchQuery{Selector: all, After: branch + "/a", Before: branch + "/c"}, "a/x b", false},
		{"by path", advect.FetchQuery{Selector: branch + "/b"}, "b", false},
		{"by type", advect.FetchQuery{Selector: all, Types: []advect.TopicType{advect.JSON}}, "", false},
		{"no topic", advect.FetchQuery{Selector: branch + "/nothing"}, "", false},
	} {
		result, err := topics.FetchTopics(s.ctx, row.query)
		s.none(err, row.what)
		var names []string
		for _, f := range result.Topics {
			names = append(names, strings.TrimPrefix(f.Path, branch+"/"))
		}
		s.equal(strings.Join(names, " "), row.want, row.what)
		s.equal(result.More, row.more, row.what+": more")
	}
	var got []string
	for f, err := range topics.FetchAll(s.ctx, advect.FetchQuery{Selector: all, Values: true, First: 2}) {
		s.none(err, "fetch all")
		v, err := advect.FetchedValue[datatype.String](&f)
		if errors.Is(err, advect.ErrNoValue) {
			v = "none"
		}
		got = append(got, string(v))
	}
	s.equal(strings.Join(got, ", "), "value of a, value of a/x, value of b, value of c, none", "values, in pages of two")
	_, err = topics.Fetch(s.ctx, branch+"/nothing")
	s.is(err, "fetch of no topic", advect.ErrNoSuchTopic)
	_, err = topics.Fetch(s.ctx, branch+"/empty")
	s.is(err, "fetch of no value", advect.ErrNoValue)
	_, err = advect.FetchValue[datatype.Int64](s.ctx, topics, branch+"/a")
	s.is(err, "fetch as another type", datatype.ErrIncompatible)
}

func streamTypes(s *scene) {
	session := s.owner()
	branch := s.path("types")
	selector := "?" + branch + "//"
	numbers := watch[datatype.Int64](s, session.Session, selector)
	documents := watch[datatype.JSON](s, session.Session, selector)
	all := watch[datatype.Value](s, session.Session, selector)
	s.subscribe(session.Session, selector)
	for _, t := range valueTypes {
		_, err := session.Topics().AddAndSet(s.ctx, branch+"/"+t.name, t.spec(), t.values[0])
		s.none(err, "add and set")
	}
	session.count(branch+"/int64", 99, 99)
	s.await(all, value, len(valueTypes)+1)
	s.equal(numbers.values(), "0 99", "as Int64")
	s.equal(documents.values(), `{"a":1} "one" 0 0.5 99`, "as JSON")
	s.equal(all.values(), `{"a":1} "one" 0 0.5 0x00 [["a","b"],["c"]] 99`, "as Value")
}
