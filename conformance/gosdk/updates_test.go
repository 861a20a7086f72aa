package gosdk

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"advect.dev"
	"advect.dev/datatype"
)

// The ways to update topics, and the conditions of updates.

const (
	updatesGroup     = "Update streams"
	constraintsGroup = "Update constraints"
	patchGroup       = "JSON Patch"
)

var updates = []scenario{
	{"updates.stream.set", updatesGroup, "sets of a stream: EXISTS for the first, nothing for the others; get tells the last", both, streamSet},
	{"updates.stream.validate-first", updatesGroup, "validate before any value opens the stream and sets nothing; set and validate go on from there", both, streamValidateFirst},
	{"updates.stream.creates", updatesGroup, "with a specification: set or validate creates the topic, CREATED; for the next stream it EXISTS", both, streamCreates},
	{"updates.stream.delta", updatesGroup, "streams of JSON, STRING, BINARY and RECORD_V2 send deltas, and subscribers see the right values", ws, streamDelta},
	{"updates.stream.whole-values", updatesGroup, "streams of INT64 and DOUBLE, and those with suppressDeltas, send whole values", ws, streamWholeValues},
	{"updates.stream.every-value", updatesGroup, "CONFLATION=off, DONT_RETAIN_VALUE or a time series: of such sets every one is sent", ws, streamEveryValue},
	{"updates.stream.pipelined", updatesGroup, "two hundred sets of an open stream without waiting arrive in order", both, streamPipelined},
	{"updates.stream.invalidated", updatesGroup, "any other update, the removal of the topic or a newer stream makes a stream invalid: 9013, for good", both, streamInvalidated},
	{"updates.stream.after-invalid", updatesGroup, "after the failure a new stream takes over where the topic is now", ws, streamAfterInvalid},
	{"updates.stream.failures", updatesGroup, "opening a stream: no topic 9000, another type 500, no permission ACCESS_DENIED, invalid value 501", ws, streamFailures},
	{"updates.stream.session-lost-and-recovered", updatesGroup, "a stream outlives a reconnection without loss, and not its session", ws, streamReconnection},
	{"updates.stream.go-null", updatesGroup, "Go: a stream sets null and values after it", both, streamNull},

	{"constraints.no-topic", constraintsGroup, "noTopic: holds where there is no topic, so that one of two creators wins", both, constraintNoTopic},
	{"constraints.no-value", constraintsGroup, "noValue: holds for a topic without a value, also after null; neither with a value nor without a topic", both, constraintNoValue},
	{"constraints.value-is", constraintsGroup, "value (IS): equal to the last byte, for every type; never without a value or a topic", both, constraintValueIs},
	{"constraints.value-numbers", constraintsGroup, "value with EQ, NE, GT, GE, LT, LE and a number: INT64, DOUBLE and STRING topics compare by value, exactly", ws, constraintNumbers},
	{"constraints.json-is", constraintsGroup, "jsonValue().with(pointer, value): a member or an element, equal in its bytes", both, constraintJSON},
	{"constraints.combined", constraintsGroup, "and, or, and nests of both", both, constraintCombined},

	{"patch.operations", patchGroup, "add, remove, replace, move, copy and test, over members, elements and the whole", both, patchOperations},
	{"patch.failed-operation", patchGroup, "an operation that cannot be applied: its index, and nothing of the patch is applied", both, patchFailedOperation},
	{"patch.failures", patchGroup, "no topic 9000; not JSON 500; value that is no CBOR 9015; constraint 9012; no permission ACCESS_DENIED", ws, patchFailures},
	{"patch.concurrent", patchGroup, "two sessions patch one topic a hundred times: no patch is lost", ws, patchConcurrent},
}

func openStream[V datatype.Value](s *scene, session *advect.Session, path string, opts ...advect.UpdateStreamOption) *advect.UpdateStream[V] {
	s.t.Helper()
	stream, err := advect.NewUpdateStream[V](session.Topics(), path, opts...)
	s.none(err, "update stream")
	return stream
}

func number(n int) datatype.JSON {
	return datatype.MustJSON(map[string]any{"n": n, "text": strings.Repeat("a text of some length that stays the same", 10)})
}

func streamSet(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	values := watch[datatype.JSON](s, session.Session, path)
	s.subscribe(session.Session, path)
	stream := openStream[datatype.JSON](s, session.Session, path)
	for n := 1; n <= 3; n++ {
		s.none(stream.Set(s.ctx, number(n)), "set")
	}
	s.ok(!stream.Created(), "the stream says that it has created the topic")
	s.await(values, value, 3)
	s.equal(values.values(), fmt.Sprint(comparable(number(1)), " ", comparable(number(2)), " ", comparable(number(3))), "values")
	last, ok := stream.Get()
	s.ok(ok && last.Equal(number(3)), "get: %v", last)
}

func streamValidateFirst(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	stream := openStream[datatype.JSON](s, session.Session, path)
	s.none(stream.Validate(s.ctx), "validate")
	_, err := session.Topics().Fetch(s.ctx, path)
	s.is(err, "fetch", advect.ErrNoValue)
	s.none(stream.Set(s.ctx, number(1)), "set")
	s.none(stream.Validate(s.ctx), "validate")
	s.none(stream.Set(s.ctx, number(2)), "set")
	got, err := session.Topics().Fetch(s.ctx, path)
	s.none(err, "fetch")
	s.equal(comparable(got), comparable(number(2)), "value")
}

func streamCreates(s *scene) {
	session := s.owner()
	spec := advect.WithSpecification(advect.NewSpecification(advect.String))
	for i, first := range []func(*advect.UpdateStream[datatype.String]) error{
		func(u *advect.UpdateStream[datatype.String]) error { return u.Set(s.ctx, "x") },
		func(u *advect.UpdateStream[datatype.String]) error { return u.Validate(s.ctx) },
	} {
		path := s.path()
		for _, created := range []bool{true, false} {
			stream := openStream[datatype.String](s, session.Session, path, spec)
			s.none(first(stream), "first call")
			s.equal(stream.Created(), created, fmt.Sprint("created by call ", i))
		}
	}
}

// sent returns the names of the update stream services of which the inspector has
// seen requests, once it has seen n of them.
func (p *proxy) sent(n int) string {
	p.s.t.Helper()
	isStream := func(e inspected) bool {
		return e.Kind == "request" && e.Direction == "C>S" && strings.Contains(e.Service, "STREAM")
	}
	p.awaitLine(n, "requests of update streams", isStream)
	var names []string
	for _, e := range parse(p.lines.all()) {
		if isStream(e) {
			names = append(names, e.Service)
		}
	}
	return strings.Join(names, " ")
}

const (
	createAndSet = "CREATE_UPDATE_STREAM_AND_SET"
	streamValue  = "STREAM_SET_TOPIC_SERVICE"
	streamChange = "STREAM_APPLY_DELTA_SERVICE"
)

// streamOf sets two values through an inspector, and returns what was sent.
func streamOf[V datatype.Value](s *scene, t advect.TopicType, first, second V, opts ...advect.UpdateStreamOption) string {
	s.t.Helper()
	reader := s.owner()
	path := s.path()
	reader.add(path, t)
	values := watch[V](s, reader.Session, path)
	s.subscribe(reader.Session, path)
	p := s.inspect(shared.port, "--json")
	stream := openStream[V](s, s.open(s.to(p.port, as("control")...)...), path, opts...)
	s.none(stream.Set(s.ctx, first), "set")
	s.none(stream.Set(s.ctx, second), "set")
	s.await(values, value, 2)
	s.equal(values.of(value)[0].value, comparable(first), "first value")
	s.equal(values.of(value)[1].value, comparable(second), "second value")
	return p.sent(2)
}

func streamDelta(s *scene) {
	long := strings.Repeat("lorem ipsum ", 20)
	s.equal(streamOf(s, advect.JSON, number(1), number(2)), createAndSet+" "+streamChange, "JSON")
	s.equal(streamOf(s, advect.String, datatype.String(long), datatype.String(long+"!")), createAndSet+" "+streamChange, "STRING")
	s.equal(streamOf(s, advect.Binary, datatype.Binary(long), datatype.Binary(long+"!")), createAndSet+" "+streamChange, "BINARY")
	record := func(field string) datatype.RecordV2 { return datatype.NewRecordV2([]string{long, field}) }
	s.equal(streamOf(s, advect.RecordV2, record("a"), record("b")), createAndSet+" "+streamChange, "RECORD_V2")
}

func streamWholeValues(s *scene) {
	s.equal(streamOf(s, advect.Int64, datatype.Int64(1), datatype.Int64(2)), createAndSet+" "+streamValue, "INT64")
	s.equal(streamOf(s, advect.Double, datatype.Double(1), datatype.Double(2)), createAndSet+" "+streamValue, "DOUBLE")
	s.equal(streamOf(s, advect.JSON, number(1), number(2), advect.WithoutDeltas()), createAndSet+" "+streamValue, "without deltas")
}

func streamEveryValue(s *scene) {
	session := s.owner()
	for name, spec := range map[string]advect.Specification{
		"not conflated": advect.NewSpecification(advect.Int64, advect.With(advect.PropertyConflation, "off")),
		"not retained":  advect.NewSpecification(advect.Int64, advect.With(advect.PropertyDontRetainValue, "true")),
		"time series":   advect.TimeSeriesOf(datatype.TypeInt64),
	} {
		path := s.path()
		_, err := session.Topics().Add(s.ctx, path, spec)
		s.none(err, "add")
		values := watch[datatype.Int64](s, session.Session, path)
		s.subscribe(session.Session, path)
		setMany(s, openStream[datatype.Int64](s, session.Session, path), 20)
		s.await(values, value, 20)
		s.equal(values.values(), numbers(1, 20), name)
	}
}

// setMany sets the integers from 1 to n without waiting, and waits for all.
func setMany(s *scene, stream *advect.UpdateStream[datatype.Int64], n int) {
	s.t.Helper()
	var pending []*advect.PendingUpdate
	for i := 1; i <= n; i++ {
		p, err := stream.Start(s.ctx, datatype.Int64(i))
		s.none(err, "start")
		pending = append(pending, p)
	}
	for _, p := range pending {
		s.none(p.Wait(s.ctx), "wait")
	}
}

func streamPipelined(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.Int64)
	values := watch[datatype.Int64](s, session.Session, path)
	s.subscribe(session.Session, path)
	stream := openStream[datatype.Int64](s, session.Session, path)
	s.none(stream.Validate(s.ctx), "validate")
	setMany(s, stream, 200)
	s.await(values, value, 200)
	s.equal(values.values(), numbers(1, 200), "values")
}

func streamInvalidated(s *scene) {
	session, other := s.owner(), s.owner()
	for name, interfere := range map[string]func(path string) error{
		"set":     func(path string) error { return other.Topics().Set(s.ctx, path, datatype.Int64(-1)) },
		"own set": func(path string) error { return session.Topics().Set(s.ctx, path, datatype.Int64(-1)) },
		"removal": func(path string) error { _, err := other.Topics().Remove(s.ctx, path); return err },
		"stream":  func(path string) error { return openStream[datatype.Int64](s, other.Session, path).Validate(s.ctx) },
	} {
		path := s.path()
		session.add(path, advect.Int64)
		stream := openStream[datatype.Int64](s, session.Session, path)
		s.none(stream.Set(s.ctx, 1), "set")
		s.none(interfere(path), name)
		s.is(stream.Set(s.ctx, 2), "set after "+name, advect.ErrInvalidUpdateStream)
		s.is(stream.Validate(s.ctx), "validate after "+name, advect.ErrInvalidUpdateStream)
		s.is(stream.Err(), "error after "+name, advect.ErrInvalidUpdateStream)
	}
}

func streamAfterInvalid(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	stream := openStream[datatype.JSON](s, session.Session, path)
	s.none(stream.Set(s.ctx, number(1)), "set")
	session.set(path, number(2))
	s.is(stream.Set(s.ctx, number(3)), "set", advect.ErrInvalidUpdateStream)
	stream = openStream[datatype.JSON](s, session.Session, path, advect.If(advect.ValueIs(number(2))))
	s.none(stream.Set(s.ctx, number(4)), "set")
	s.none(stream.Set(s.ctx, number(5)), "set")
}

func streamFailures(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	s.is(openStream[datatype.String](s, session.Session, s.path("none")).Set(s.ctx, "x"), "no topic", advect.ErrNoSuchTopic)
	s.is(openStream[datatype.String](s, session.Session, path).Set(s.ctx, "x"), "another type", advect.ErrIncompatibleUpdate)
	s.is(openStream[datatype.JSON](s, s.connect(), path).Set(s.ctx, number(1)), "no permission", advect.ErrPermissionDenied)
	s.is(openStream[datatype.JSON](s, session.Session, path, advect.If(advect.NoTopic())).Validate(s.ctx), "constraint", advect.ErrUnsatisfiedConstraint)
	validated := s.path()
	_, err := session.Topics().Add(s.ctx, validated, advect.NewSpecification(advect.JSON, advect.With(advect.PropertyValidateValues, "true")))
	s.none(err, "add")
	s.is(openStream[datatype.JSON](s, session.Session, validated).Set(s.ctx, datatype.JSONFromBytes([]byte{0x9f})), "invalid value", advect.ErrUpdateFailed)
}

func streamReconnection(s *scene) {
	p := s.inspect(shared.port)
	session := publisher{s.open(s.to(p.port, as("control")...)...), s}
	events := s.events(session.Session)
	path := s.path()
	session.add(path, advect.JSON)
	stream := openStream[datatype.JSON](s, session.Session, path)
	s.none(stream.Set(s.ctx, number(1)), "set")
	p.cut("reset")
	s.awaitEvent(events, reconnect, 1)
	s.none(stream.Set(s.ctx, number(2)), "set after the reconnection")
	s.none(stream.Validate(s.ctx), "validate")
	session.Close()
	s.is(stream.Set(s.ctx, number(3)), "set after close", advect.ErrNotConnected)
}

func streamNull(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.String)
	values := watch[datatype.String](s, session.Session, path)
	s.subscribe(session.Session, path)
	stream := openStream[datatype.String](s, session.Session, path)
	s.none(stream.Set(s.ctx, "a"), "set")
	s.none(stream.SetNull(s.ctx), "set null")
	s.none(stream.Set(s.ctx, "b"), "set")
	s.await(values, value, 3)
	s.equal(values.values(), `"a" `+null+` "b"`, "values")
}

// holds fails unless an update with the constraint succeeds, or fails as unsatisfied.
func (p publisher) holds(path string, v datatype.Value, c advect.Constraint, want bool, what string) {
	p.s.t.Helper()
	err := p.Topics().Set(p.s.ctx, path, v, advect.If(c))
	if want {
		p.s.none(err, what)
	} else {
		p.s.is(err, what, advect.ErrUnsatisfiedConstraint)
	}
}

func constraintNoTopic(s *scene) {
	path := s.path()
	var winners int
	for range 2 {
		_, err := s.owner().Topics().AddAndSet(s.ctx, path, advect.NewSpecification(advect.Int64), datatype.Int64(1), advect.If(advect.NoTopic()))
		if err == nil {
			winners++
		} else {
			s.is(err, "the second", advect.ErrUnsatisfiedConstraint)
		}
	}
	s.equal(winners, 1, "winners")
}

func constraintNoValue(s *scene) {
	session := s.owner()
	path := s.path()
	session.holds(path, datatype.Int64(1), advect.NoValue(), false, "without a topic")
	session.add(path, advect.Int64)
	session.holds(path, datatype.Int64(1), advect.NoValue(), true, "without a value")
	session.holds(path, datatype.Int64(2), advect.NoValue(), false, "with a value")
	s.none(session.Topics().SetNull(s.ctx, path, advect.Int64), "set null")
	session.holds(path, datatype.Int64(3), advect.NoValue(), true, "after null")
}

func constraintValueIs(s *scene) {
	session := s.owner()
	for _, t := range valueTypes {
		path := s.path()
		session.holds(path, t.values[0], advect.ValueIs(t.values[0]), false, t.name+" without a topic")
		session.add(path, t.typ)
		session.holds(path, t.values[0], advect.ValueIs(t.values[0]), false, t.name+" without a value")
		session.set(path, t.values[0])
		session.holds(path, t.values[1], advect.ValueIs(t.values[1]), false, t.name+" with another value")
		session.holds(path, t.values[1], advect.ValueIs(t.values[0]), true, t.name+" with the value")
	}
}

func constraintNumbers(s *scene) {
	session := s.owner()
	for _, v := range []datatype.Value{datatype.Int64(5), datatype.Double(5), datatype.String("5.0")} {
		path := s.path()
		session.add(path, advect.TopicType(v.Type()))
		session.set(path, v)
		for operator, want := range map[advect.Operator]string{
			advect.EQ: "5", advect.NE: "4.5 6", advect.GT: "4.5", advect.GE: "4.5 5", advect.LT: "6", advect.LE: "5 6",
		} {
			var got []string
			for _, n := range []datatype.Double{4.5, 5, 6} {
				if session.Topics().Set(s.ctx, path, v, advect.If(advect.ValueCompares(operator, n))) == nil {
					got = append(got, fmt.Sprint(n))
				}
			}
			s.equal(strings.Join(got, " "), want, fmt.Sprintf("%s %v", v.Type(), operator))
		}
	}
}

func constraintJSON(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	v := doc(`{"id":"x","list":[1,{"n":2.5}],"none":null,"yes":true}`)
	session.set(path, v)
	for _, c := range []struct {
		condition advect.JSONCondition
		want      bool
	}{
		{advect.JSONAt("/id", advect.IS, "x"), true},
		{advect.JSONAt("/id", advect.IS, "y"), false},
		{advect.JSONAt("/list/0", advect.IS, 1), true},
		{advect.JSONAt("/list", advect.IS, []any{1, map[string]any{"n": 2.5}}), true},
		{advect.JSONAt("/list/1/n", advect.GT, 2), true},
		{advect.JSONAt("/list/1/n", advect.GT, 2.5), false},
		{advect.JSONAt("/none", advect.EQ, nil), true},
		{advect.JSONAt("/id", advect.NE, nil), true},
		{advect.JSONAt("/yes", advect.EQ, true), true},
		{advect.JSONAt("/gone", advect.NE, "x"), false},
		{advect.JSONAbsent("/gone"), true},
		{advect.JSONAbsent("/none"), false},
	} {
		session.holds(path, v, advect.PartialJSON(c.condition), c.want, fmt.Sprintf("%+v", c.condition))
	}
}

func constraintCombined(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.Int64)
	session.set(path, datatype.Int64(5))
	yes, no := advect.ValueIs(datatype.Int64(5)), advect.NoValue()
	for name, c := range map[string]struct {
		constraint advect.Constraint
		want       bool
	}{
		"yes and yes": {yes.And(yes), true}, "yes and no": {yes.And(no), false}, "no or yes": {no.Or(yes), true},
		"no or no": {no.Or(no), false}, "(no or yes) and yes": {no.Or(yes).And(yes), true}, "no or (yes and no)": {no.Or(yes.And(no)), false},
	} {
		session.holds(path, datatype.Int64(5), c.constraint, c.want, name)
	}
}

func (p publisher) value(path string) string {
	p.s.t.Helper()
	v, err := p.Topics().Fetch(p.s.ctx, path)
	p.s.none(err, "fetch "+path)
	return comparable(v)
}

func patchOperations(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	for _, c := range []struct{ before, patch, after string }{
		{`{"a":1}`, `[{"op":"add","path":"/b","value":[2]},{"op":"add","path":"/b/-","value":3}]`, `{"a":1,"b":[2,3]}`},
		{`{"a":1,"b":2}`, `[{"op":"remove","path":"/a"}]`, `{"b":2}`},
		{`{"a":1}`, `[{"op":"replace","path":"/a","value":{"x":null}}]`, `{"a":{"x":null}}`},
		{`{"a":{"x":1},"b":2}`, `[{"op":"move","from":"/a/x","path":"/c"}]`, `{"a":{},"b":2,"c":1}`},
		{`{"a":{"x":1}}`, `[{"op":"copy","from":"/a","path":"/b"}]`, `{"a":{"x":1},"b":{"x":1}}`},
		{`{"a":1}`, `[{"op":"test","path":"/a","value":1},{"op":"replace","path":"","value":[]}]`, `[]`},
	} {
		session.set(path, doc(c.before))
		s.none(session.Topics().ApplyPatch(s.ctx, path, c.patch), c.patch)
		s.equal(session.value(path), comparable(doc(c.after)), c.patch)
	}
}

func patchFailedOperation(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.JSON)
	session.set(path, doc(`{"a":1}`))
	for patch, want := range map[string]int{
		`[{"op":"remove","path":"/b"}]`:                                                                                 0,
		`[{"op":"remove","path":"/a"},{"op":"test","path":"/a","value":1}]`:                                             1,
		`[{"op":"add","path":"/b","value":1},{"op":"add","path":"/c","value":1},{"op":"move","from":"/d","path":"/e"}]`: 2,
	} {
		var failed *advect.PatchError
		err := session.Topics().ApplyPatch(s.ctx, path, patch)
		s.ok(errors.As(err, &failed), "%s: %v", patch, err)
		s.equal(failed.Operation, want, patch)
		s.equal(session.value(path), comparable(doc(`{"a":1}`)), "value after "+patch)
	}
}

func patchFailures(s *scene) {
	session := s.owner()
	topics := session.Topics()
	path := s.path()
	session.add(path, advect.JSON)
	session.set(path, doc(`{}`))
	const patch = `[{"op":"add","path":"/b","value":1}]`
	for _, text := range []string{`{}`, `[{"op":"dance","path":""}]`, `[{"op":"add","path":"b","value":1}]`, `x`} {
		s.is(topics.ApplyPatch(s.ctx, path, text), text, advect.ErrInvalidPatch)
	}
	s.is(topics.ApplyPatch(s.ctx, s.path("none"), patch), "no topic", advect.ErrNoSuchTopic)
	s.is(topics.ApplyPatch(s.ctx, path, patch, advect.If(advect.NoValue())), "constraint", advect.ErrUnsatisfiedConstraint)
	s.is(s.connect().Topics().ApplyPatch(s.ctx, path, patch), "no permission", advect.ErrPermissionDenied)
	text := s.path()
	session.add(text, advect.String)
	s.is(topics.ApplyPatch(s.ctx, text, patch), "not JSON", advect.ErrIncompatibleUpdate)
	broken := s.path()
	session.add(broken, advect.JSON)
	session.set(broken, datatype.JSONFromBytes([]byte{0x9f}))
	s.is(topics.ApplyPatch(s.ctx, broken, patch), "no CBOR", advect.ErrPatchFailed)
}

func patchConcurrent(s *scene) {
	path := s.path()
	sessions := []publisher{s.owner(), s.owner()}
	sessions[0].add(path, advect.JSON)
	sessions[0].set(path, doc(`[]`))
	var all sync.WaitGroup
	failures := newRecord[error]("failures")
	for _, session := range sessions {
		all.Go(func() {
			for range 100 {
				if err := session.Topics().ApplyPatch(s.ctx, path, `[{"op":"add","path":"/-","value":1}]`); err != nil {
					failures.add(err)
				}
			}
		})
	}
	all.Wait()
	s.equal(failures.all(), "[]", "failures")
	s.equal(sessions[0].value(path), comparable(doc("["+strings.Join(slices.Repeat([]string{"1"}, 200), ",")+"]")), "value")
}
