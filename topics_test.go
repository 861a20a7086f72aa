package advect_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// open opens a session that is closed with the test.
func open(t *testing.T, url, principal string) *advect.Session {
	t.Helper()
	session, err := advect.Open(t.Context(), url, advect.WithPrincipal(principal), advect.WithPassword("password"),
		advect.WithErrorListener(func(_ *advect.Session, err error) { t.Errorf("error listener: %v", err) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// soon returns a context that ends long after everything should have happened.
func soon(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func wantIs(t *testing.T, what string, err, target error) {
	t.Helper()
	if !errors.Is(err, target) {
		t.Errorf("%s: %v, want %v", what, err, target)
	}
}

func TestTopicControl(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	json := advect.NewSpecification(advect.JSON, advect.With(advect.PropertyPublishValuesOnly, "true"))

	for _, c := range []struct {
		path   string
		result advect.AddResult
	}{{"a/b", advect.TopicCreated}, {"/a/b/", advect.TopicExists}, {"a/c", advect.TopicCreated}} {
		if result, err := topics.Add(ctx, c.path, json); result != c.result || err != nil {
			t.Errorf("Add %s: %v %v, want %v", c.path, result, err, c.result)
		}
	}
	_, err := topics.Add(ctx, "a/b", advect.NewSpecification(advect.JSON))
	wantIs(t, "Add another specification", err, advect.ErrTopicExists)
	_, err = topics.Add(ctx, "a//b", json)
	wantIs(t, "Add a//b", err, advect.ErrInvalidTopicPath)
	_, err = topics.Add(ctx, "/", json)
	wantIs(t, "Add /", err, advect.ErrInvalidTopicPath)
	_, err = topics.Add(ctx, "a/d", advect.NewSpecification(advect.JSON, advect.With(advect.PropertyPriority, "urgent")))
	wantIs(t, "Add with a bad property", err, advect.ErrInvalidSpecification)

	if n, err := topics.Remove(ctx, "nothing", "?a/[bc]"); n != 2 || err != nil {
		t.Errorf("Remove: %d %v", n, err)
	}
	if _, err := topics.Remove(ctx); err == nil {
		t.Error("Remove without a selector succeeds")
	}
	_, err = topics.Remove(ctx, "")
	wantIs(t, "Remove the empty selector", err, advect.ErrInvalidSelector)
	wantIs(t, "Subscribe to a bad pattern", topics.Subscribe(ctx, "?("), advect.ErrInvalidData)
	if err := topics.SubscribeScope(ctx, "$mine", "a"); err == nil {
		t.Error("a scope that starts with $ is accepted")
	}
}

func TestPermissionDenied(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "client").Topics()
	_, err := topics.Add(ctx, "a", advect.NewSpecification(advect.JSON))
	wantIs(t, "Add", err, advect.ErrPermissionDenied)
	wantIs(t, "Set", topics.Set(ctx, "a", datatype.Int64(1)), advect.ErrPermissionDenied)
}

func TestSetAndFetch(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	for _, v := range []datatype.Value{
		datatype.MustJSON(map[string]any{"a": []int{1, 2}}), datatype.String("hällo"), datatype.Int64(-5),
		datatype.Double(1.5), datatype.Binary{0, 0xff}, datatype.Binary{},
	} {
		path := "v/" + v.Type().String()
		result, err := topics.AddAndSet(ctx, path, advect.NewSpecification(advect.TopicType(v.Type())), v)
		if err != nil {
			t.Fatalf("AddAndSet %v: %v", v, err)
		}
		if want := advect.AddResult(len(v.Bytes()) / 100); len(v.Bytes()) > 0 && result != want {
			t.Errorf("AddAndSet %v: %v", v, result)
		}
		got, err := topics.Fetch(ctx, "/"+path)
		if err != nil || got.Type() != v.Type() || string(got.Bytes()) != string(v.Bytes()) {
			t.Errorf("Fetch %s: %v %v, want %v", path, got, err, v)
		}
	}
	if n, err := advect.FetchValue[datatype.Int64](ctx, topics, "v/int64"); n != -5 || err != nil {
		t.Errorf("FetchValue: %v %v", n, err)
	}
	_, err := advect.FetchValue[datatype.Int64](ctx, topics, "v/string")
	wantIs(t, "FetchValue of another type", err, datatype.ErrIncompatible)

	if err := topics.SetNull(ctx, "v/int64", advect.Int64); err != nil {
		t.Error(err)
	}
	_, err = topics.Fetch(ctx, "v/int64")
	wantIs(t, "Fetch null", err, advect.ErrNoValue)
	_, err = topics.Fetch(ctx, "v/none")
	wantIs(t, "Fetch no topic", err, advect.ErrNoSuchTopic)
	wantIs(t, "Set no topic", topics.Set(ctx, "v/none", datatype.Int64(1)), advect.ErrNoSuchTopic)
	wantIs(t, "Set another type", topics.Set(ctx, "v/int64", datatype.String("x")), advect.ErrIncompatibleUpdate)
	for what, err := range map[string]error{
		"nil":       topics.Set(ctx, "v/int64", nil),
		"JSON null": topics.SetNull(ctx, "v/json", advect.JSON),
	} {
		if err == nil {
			t.Errorf("set %s succeeds", what)
		}
	}
	if _, err := topics.AddAndSet(ctx, "v/new", advect.NewSpecification(advect.JSON), datatype.Int64(1)); err == nil {
		t.Error("a specification of another type is accepted")
	}
}

func TestFetchAll(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	var paths []string
	for i := range 30 {
		path := fmt.Sprintf("f/%02d", i)
		paths = append(paths, path)
		if _, err := topics.AddAndSet(ctx, path, advect.NewSpecification(advect.Int64), datatype.Int64(i)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := topics.Add(ctx, "f/json", advect.NewSpecification(advect.JSON, advect.With(advect.PropertyConflation, "off"))); err != nil {
		t.Fatal(err)
	}
	got := func(query advect.FetchQuery) (got []string) {
		t.Helper()
		query.Selector = "?f//"
		for f, err := range topics.FetchAll(ctx, query) {
			if err != nil {
				t.Fatal(err)
			}
			if v, err := advect.FetchedValue[datatype.Int64](&f); query.Values && (err != nil || fmt.Sprintf("f/%02d", v) != f.Path) {
				t.Errorf("%s: %v %v", f.Path, v, err)
			}
			got = append(got, f.Path)
		}
		return got
	}
	for name, c := range map[string]struct {
		query advect.FetchQuery
		want  []string
	}{
		"one page":       {advect.FetchQuery{}, append(slices.Clone(paths), "f/json")},
		"pages":          {advect.FetchQuery{First: 7, Types: []advect.TopicType{advect.Int64}, Values: true}, paths},
		"small messages": {advect.FetchQuery{MaxResultSize: 100, Types: []advect.TopicType{advect.Int64}}, paths},
		"range":          {advect.FetchQuery{First: 2, From: "f/02", Before: "f/07"}, paths[2:7]},
		"open range":     {advect.FetchQuery{First: 2, After: "f/02", To: "f/07"}, paths[3:8]},
		"type":           {advect.FetchQuery{Types: []advect.TopicType{advect.JSON}}, []string{"f/json"}},
	} {
		if diff := cmp.Diff(c.want, got(c.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	result, err := topics.FetchTopics(ctx, advect.FetchQuery{Selector: "?f//", Last: 2, Properties: true, Sizes: true})
	if err != nil || len(result.Topics) != 2 || !result.More {
		t.Fatalf("last: %+v %v", result, err)
	}
	if f := result.Topics[0]; f.Path != "f/29" || f.Size.Value != 2 || f.HasValue {
		t.Errorf("last but one: %+v", f)
	}
	if f := result.Topics[1]; f.Path != "f/json" || f.Specification.Properties[advect.PropertyConflation] != "off" || f.Size.Value != 0 {
		t.Errorf("last: %+v", f)
	}
	for _, err := range topics.FetchAll(ctx, advect.FetchQuery{Selector: "?f//", MaxResultSize: 5}) {
		if err == nil || !strings.Contains(err.Error(), "does not fit") {
			t.Errorf("tiny result size: %v", err)
		}
	}
}

// next returns what a loop yields next.
func next[A, B any](t *testing.T, pull func() (A, B, bool)) (A, B) {
	t.Helper()
	a, b, ok := pull()
	if !ok {
		t.Fatal("the loop has ended")
	}
	return a, b
}

// firstError returns the first error of a loop.
func firstError[V any](seq iter.Seq2[V, error]) error {
	for _, err := range seq {
		if err != nil {
			return err
		}
	}
	return nil
}

func TestValues(t *testing.T) {
	const updates = 500
	url := advecttest.Server(t).URL()
	ctx := soon(t)
	publisher, subscriber := open(t, url, "admin"), open(t, url, "client")
	document := func(i int) datatype.JSON {
		m := map[string]any{"n": i}
		for k := range 30 {
			m[fmt.Sprint("field", k)] = strings.Repeat(fmt.Sprint(k), 10)
		}
		return datatype.MustJSON(m)
	}
	if _, err := publisher.Topics().AddAndSet(ctx, "doc", advect.NewSpecification(advect.JSON), document(0)); err != nil {
		t.Fatal(err)
	}
	published := make(chan error, 1)
	n := 0
	var old datatype.JSON
	for u, err := range advect.Values[datatype.JSON](ctx, subscriber, "doc", "?other//") {
		if err != nil {
			t.Fatal(err)
		}
		if u.First {
			go func() {
				for i := range updates {
					if err := publisher.Topics().Set(ctx, "doc", document(i+1)); err != nil {
						published <- err
						return
					}
				}
				published <- nil
			}()
		}
		if u.Path != "doc" || u.Skipped != 0 || !u.Value.Equal(document(n)) || u.HasOld == u.First || !u.First && !u.Old.Equal(old) {
			t.Fatalf("update %d: %+v", n, u)
		}
		old = u.Value
		if n++; n > updates {
			break
		}
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
}

// A loop over Values undoes its own subscription, and no other.
func TestValuesScope(t *testing.T) {
	ctx, session := soon(t), open(t, advecttest.Server(t).URL(), "admin")
	topics := session.Topics()
	if _, err := topics.AddAndSet(ctx, "a", advect.NewSpecification(advect.Int64), datatype.Int64(1)); err != nil {
		t.Fatal(err)
	}
	told := make(chan string, 10)
	_, err := advect.AddStream(topics, "a", advect.Stream[datatype.Int64]{
		OnValue:       func(u advect.Update[datatype.Int64]) { told <- fmt.Sprint("value ", u.Value) },
		OnUnsubscribe: func(_ string, _ advect.Specification, r advect.UnsubscribeReason) { told <- r.String() },
	})
	if err != nil {
		t.Fatal(err)
	}
	for range advect.Values[datatype.Int64](ctx, session, "a") {
		for range advect.Values[datatype.Int64](ctx, session, "?.*//") {
			break
		}
		if err := topics.Set(ctx, "a", datatype.Int64(2)); err != nil {
			t.Fatal(err)
		}
		break
	}
	for _, want := range []string{"value 1", "value 2", "REQUESTED"} {
		if got := <-told; got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	for _, err := range advect.Values[datatype.Int64](ctx, session) {
		if err == nil {
			t.Error("Values without a selector yields a value")
		}
	}
	wantIs(t, "Values of a bad selector", firstError(advect.Values[datatype.Int64](ctx, session, "?(")), advect.ErrInvalidSelector)
}

func TestEventsOverTheLifeOfATopic(t *testing.T) {
	ctx, session := soon(t), open(t, advecttest.Server(t).URL(), "admin")
	topics := session.Topics()
	pull, stop := iter.Pull2(advect.Events[datatype.Value](ctx, topics, "?t//"))
	defer stop()
	try := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	add := func(path string, typ advect.TopicType) {
		t.Helper()
		_, err := topics.Add(ctx, path, advect.NewSpecification(typ))
		try(err)
	}
	add("t/0", advect.JSON)
	try(topics.Subscribe(ctx, "?t//"))
	if e, err := next(t, pull); err != nil || e.Path != "t/0" { // the stream is in place
		t.Fatalf("%+v %v", e, err)
	}
	add("t/s", advect.String)
	try(topics.Set(ctx, "t/s", datatype.String("one")))
	try(topics.Set(ctx, "t/s", datatype.String("one"))) // equal: not published
	try(topics.SetNull(ctx, "t/s", advect.String))
	try(topics.Set(ctx, "t/s", datatype.String("two")))
	_, err := topics.Remove(ctx, "t/s")
	try(err)
	add("t/s", advect.Double)
	try(topics.Set(ctx, "t/s", datatype.Double(2.5)))
	try(topics.Unsubscribe(ctx, "t/s"))
	add("t/b", advect.Binary)
	try(topics.UnsubscribeAllScopes(ctx, "t/b"))
	session.Close()
	for _, want := range []string{
		"subscribe t/s STRING", "value t/s one", "value t/s null", "value t/s two", "unsubscribe t/s REMOVED",
		"subscribe t/s DOUBLE", "value t/s 2.5", "unsubscribe t/s REQUESTED",
		"subscribe t/b BINARY", "unsubscribe t/b REQUESTED",
	} {
		e, err := next(t, pull)
		if err != nil {
			t.Fatal(err)
		}
		got := fmt.Sprint(e.Kind, " ", e.Path, " ")
		switch {
		case e.Kind == advect.EventSubscribe:
			got += e.Specification.String()
		case e.Kind == advect.EventUnsubscribe:
			got += e.Reason.String()
		case e.Null:
			got += "null"
		default:
			got += fmt.Sprint(e.Value)
		}
		if got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	_, err = next(t, pull)
	wantIs(t, "the end", err, advect.ErrClosedByClient)
}

// A callback may wait for an answer of the server.
func TestCallbackMakesRequests(t *testing.T) {
	ctx, session := soon(t), open(t, advecttest.Server(t).URL(), "admin")
	topics := session.Topics()
	if _, err := topics.AddAndSet(ctx, "a", advect.NewSpecification(advect.Int64), datatype.Int64(0)); err != nil {
		t.Fatal(err)
	}
	closed := make(chan error, 1)
	_, err := advect.AddStream(topics, "a", advect.Stream[datatype.Int64]{
		OnValue: func(u advect.Update[datatype.Int64]) {
			if u.Value == 10 {
				session.Close()
				return
			}
			if err := topics.Set(ctx, "a", u.Value+1); err != nil {
				t.Error(err)
			}
		},
		OnClose: func(err error) { closed <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := topics.Subscribe(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "OnClose", <-closed, advect.ErrClosedByClient)
	_, err = advect.AddStream(topics, "a", advect.Stream[datatype.Int64]{})
	wantIs(t, "AddStream after Close", err, advect.ErrClosedByClient)
	wantIs(t, "Values after Close", firstError(advect.Values[datatype.Int64](ctx, session, "a")), advect.ErrClosedByClient)
}

func TestManyTopics(t *testing.T) {
	ctx, url := soon(t), advecttest.Server(t).URL()
	publisher, subscriber := open(t, url, "admin"), open(t, url, "client")
	want := map[string]datatype.Int64{}
	for i := range 100 {
		path := fmt.Sprint("m/", i)
		want[path] = datatype.Int64(i)
		if _, err := publisher.Topics().AddAndSet(ctx, path, advect.NewSpecification(advect.Int64), want[path]); err != nil {
			t.Fatal(err)
		}
	}
	got := map[string]datatype.Int64{}
	for u, err := range advect.Values[datatype.Int64](ctx, subscriber, "?m//") {
		if err != nil {
			t.Fatal(err)
		}
		if got[u.Path] = u.Value; len(got) == len(want) {
			break
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("(-want +got):\n%s", cmp.Diff(want, got))
	}
}
