package advect_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"advect.dev"
	"advect.dev/advecttest"
	"advect.dev/datatype"
)

// These tests are with the real server; flows with a scripted one are tested beside
// each part.

func TestConstraints(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	one := datatype.MustJSON(map[string]any{"id": "x", "n": 1})
	_, err := topics.AddAndSet(ctx, "c/json", advect.NewSpecification(advect.JSON), one, advect.If(advect.NoTopic()))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := topics.AddAndSet(ctx, "c/none", advect.NewSpecification(advect.String), datatype.String("5"), advect.If(advect.NoValue())); !errors.Is(err, advect.ErrUnsatisfiedConstraint) {
		t.Errorf("NoValue without a topic: %v", err)
	}
	if _, err := topics.AddAndSet(ctx, "c/int", advect.NewSpecification(advect.Int64), datatype.Int64(5)); err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Add(ctx, "c/empty", advect.NewSpecification(advect.Int64)); err != nil {
		t.Fatal(err)
	}
	five := datatype.Int64(5)
	for _, c := range []struct {
		path       string
		constraint advect.Constraint
		holds      bool
	}{
		{"c/int", advect.Constraint{}, true},
		{"c/int", advect.NoTopic(), false},
		{"c/int", advect.NoValue(), false},
		{"c/empty", advect.NoValue(), true},
		{"c/int", advect.ValueIs(five), true},
		{"c/int", advect.ValueIs(datatype.Int64(6)), false},
		{"c/int", advect.ValueCompares(advect.EQ, datatype.Double(5)), true},
		{"c/int", advect.ValueCompares(advect.EQ, datatype.String("5")), true},
		{"c/int", advect.ValueCompares(advect.NE, five), false},
		{"c/int", advect.ValueCompares(advect.GT, datatype.Double(4.5)), true},
		{"c/int", advect.ValueCompares(advect.GE, five), true},
		{"c/int", advect.ValueCompares(advect.LT, five), false},
		{"c/int", advect.ValueCompares(advect.LE, five), true},
		{"c/int", advect.NoValue().Or(advect.ValueIs(five)), true},
		{"c/int", advect.NoValue().And(advect.ValueIs(five)), false},
		{"c/int", advect.LockedAt("none", 1), false},
		{"c/json", advect.PartialJSON(), true},
		{"c/json", advect.PartialJSON(advect.JSONAt("/id", advect.IS, "x"), advect.JSONAbsent("/gone")), true},
		{"c/json", advect.PartialJSON(advect.JSONAt("/id", advect.NE, nil), advect.JSONAt("/n", advect.LT, 1.5)), true},
		{"c/json", advect.PartialJSON(advect.JSONAbsent("/n")), false},
		{"c/int", advect.PartialJSON(), false},
	} {
		value := datatype.Value(five)
		if c.path == "c/json" {
			value = one
		}
		err := topics.Set(ctx, c.path, value, advect.If(c.constraint))
		if c.path == "c/empty" && err == nil {
			err = topics.SetNull(ctx, c.path, advect.Int64)
		}
		if c.holds && err != nil || !c.holds && !errors.Is(err, advect.ErrUnsatisfiedConstraint) {
			t.Errorf("%s %+v: %v", c.path, c.constraint, err)
		}
	}
}

func TestUpdateStreamOnServer(t *testing.T) {
	srv := advecttest.Server(t)
	ctx, session, other := soon(t), open(t, srv.URL(), "admin"), open(t, srv.URL(), "control")
	stream, err := advect.NewUpdateStream[datatype.JSON](session.Topics(), "u/json", advect.WithSpecification(advect.NewSpecification(advect.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	document := func(n int) datatype.JSON {
		return datatype.MustJSON(map[string]any{"text": strings.Repeat("x", 200), "n": n})
	}
	if err := stream.Set(ctx, document(0)); err != nil || !stream.Created() {
		t.Fatalf("Set: %v, created %t", err, stream.Created())
	}
	const sets = 500
	var got []int
	done := make(chan error, 1)
	subscribed := make(chan struct{})
	go func() {
		for update, err := range advect.Values[datatype.JSON](ctx, other, "u/json") {
			var d struct{ N int }
			if err == nil {
				err = update.Value.Decode(&d)
			}
			if err != nil {
				done <- err
				return
			}
			if got = append(got, d.N); len(got) == 1 {
				close(subscribed)
			}
			if d.N == sets {
				break
			}
		}
		done <- nil
	}()
	<-subscribed
	var pending []*advect.PendingUpdate
	for n := 1; n <= sets; n++ {
		p, err := stream.Start(ctx, document(n))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	for _, p := range pending {
		if err := p.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(got) {
		t.Errorf("values out of order: %v", got)
	}
	if err := stream.Validate(ctx); err != nil {
		t.Error(err)
	}

	if err := other.Topics().Set(ctx, "u/json", document(-1)); err != nil {
		t.Fatal(err)
	}
	wantIs(t, "Set after another update", stream.Set(ctx, document(1)), advect.ErrInvalidUpdateStream)
	wantIs(t, "Validate after an error", stream.Validate(ctx), advect.ErrInvalidUpdateStream)

	none, err := advect.NewUpdateStream[datatype.String](session.Topics(), "u/none")
	if err != nil {
		t.Fatal(err)
	}
	wantIs(t, "Set no topic", none.Set(ctx, "x"), advect.ErrNoSuchTopic)
	wrong, err := advect.NewUpdateStream[datatype.String](session.Topics(), "u/json")
	if err != nil {
		t.Fatal(err)
	}
	wantIs(t, "Set another type", wrong.Set(ctx, "x"), advect.ErrIncompatibleUpdate)
	never, err := advect.NewUpdateStream[datatype.JSON](session.Topics(), "u/json", advect.If(advect.NoValue()))
	if err != nil {
		t.Fatal(err)
	}
	wantIs(t, "Validate with a constraint", never.Validate(ctx), advect.ErrUnsatisfiedConstraint)
}

// Whoever sets concurrently, the server has in the end what the stream had last.
func TestUpdateStreamConcurrent(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	stream, err := advect.NewUpdateStream[datatype.JSON](topics, "u/c", advect.WithSpecification(advect.NewSpecification(advect.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 50 {
				var err error
				if (g+n)%10 == 0 {
					err = stream.Validate(ctx)
				} else {
					err = stream.Set(ctx, datatype.MustJSON([]any{strings.Repeat("x", n), g, n}))
				}
				if err != nil {
					t.Errorf("goroutine %d, call %d: %v", g, n, err)
				}
			}
		})
	}
	all.Wait()
	want, _ := stream.Get()
	if got, err := topics.Fetch(ctx, "u/c"); err != nil || !got.(datatype.JSON).Equal(want) {
		t.Errorf("the topic has %v %v, the stream %v", got, err, want)
	}
}

func TestUpdateStreamNullOnServer(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	stream, err := advect.NewUpdateStream[datatype.String](topics, "u/s", advect.WithSpecification(advect.NewSpecification(advect.String)))
	if err != nil {
		t.Fatal(err)
	}
	long := datatype.String(strings.Repeat("x", 100))
	for _, v := range []datatype.String{long, "", long + "y", "", long} {
		set, want := func() error { return stream.Set(ctx, v) }, error(nil)
		if v == "" {
			set, want = func() error { return stream.SetNull(ctx) }, advect.ErrNoValue
		}
		if err := set(); err != nil {
			t.Fatal(err)
		}
		if got, err := topics.Fetch(ctx, "u/s"); !errors.Is(err, want) || want == nil && got != v {
			t.Errorf("after %q: %v %v", v, got, err)
		}
	}
}

func TestApplyPatchOnServer(t *testing.T) {
	ctx, topics := soon(t), open(t, advecttest.Server(t).URL(), "admin").Topics()
	_, err := topics.AddAndSet(ctx, "p", advect.NewSpecification(advect.JSON), datatype.MustJSON(map[string]any{"a": 1, "b": []int{1, 2}}))
	if err != nil {
		t.Fatal(err)
	}
	err = topics.ApplyPatch(ctx, "p", `[{"op":"test","path":"/a","value":1},{"op":"replace","path":"/a","value":2},{"op":"add","path":"/b/-","value":3}]`)
	if err != nil {
		t.Fatal(err)
	}
	if v, err := topics.Fetch(ctx, "p"); err != nil || fmt.Sprint(v) != `{"a":2,"b":[1,2,3]}` {
		t.Errorf("patched: %v %v", v, err)
	}
	var failed *advect.PatchError
	err = topics.ApplyPatch(ctx, "p", `[{"op":"remove","path":"/b"},{"op":"test","path":"/a","value":1}]`)
	if !errors.As(err, &failed) || failed.Operation != 1 {
		t.Errorf("a test that fails: %v", err)
	}
	wantIs(t, "no patch", topics.ApplyPatch(ctx, "p", `{}`), advect.ErrInvalidPatch)
	wantIs(t, "no topic", topics.ApplyPatch(ctx, "none", `[]`), advect.ErrNoSuchTopic)
}

func TestTimeSeriesOnServer(t *testing.T) {
	srv := advecttest.Server(t)
	ctx, session := soon(t), open(t, srv.URL(), "admin")
	topics := session.Topics()
	spec := advect.NewSpecification(advect.TimeSeries, advect.With(advect.PropertyTimeSeriesEventValueType, "string"))
	if _, err := topics.Add(ctx, "ts", spec); err != nil {
		t.Fatal(err)
	}
	if _, err := topics.Add(ctx, "int", advect.NewSpecification(advect.Int64)); err != nil {
		t.Fatal(err)
	}
	_, err := topics.Append(ctx, "int", datatype.Int64(1))
	wantIs(t, "Append to an int64", err, advect.ErrNotTimeSeries)
	_, err = topics.Append(ctx, "ts", datatype.Int64(1))
	wantIs(t, "Append another type", err, advect.ErrIncompatibleDatatype)

	updates := make(chan string, 100)
	if _, err := advect.AddStream(topics, "ts", advect.Stream[datatype.String]{
		OnValue: func(u advect.Update[datatype.String]) {
			updates <- fmt.Sprintf("%d %s %s edit %t", u.Event.Sequence, u.Event.Author, u.Value, u.Event.IsEdit())
		},
	}); err != nil {
		t.Fatal(err)
	}
	for i, v := range []datatype.String{"A", "B"} {
		m, err := topics.Append(ctx, "ts", v)
		if err != nil || m.Sequence != int64(i) || m.Author != "admin" || time.Since(m.Timestamp).Abs() > time.Minute {
			t.Fatalf("Append: %+v %v", m, err)
		}
	}
	if err := topics.Subscribe(ctx, "ts"); err != nil {
		t.Fatal(err)
	}
	for _, v := range []datatype.String{"X", "Y"} {
		if _, err := topics.EditEvent(ctx, "ts", 0, v); err != nil {
			t.Fatal(err)
		}
	}
	_, err = topics.EditEvent(ctx, "ts", 2, datatype.String("edit of an edit"))
	wantIs(t, "EditEvent of an edit", err, advect.ErrNoSuchEvent)
	_, err = topics.AppendAt(ctx, "ts", datatype.String("old"), time.Now().Add(-time.Hour))
	wantIs(t, "AppendAt the past", err, advect.ErrInvalidData)
	if _, err := topics.AppendAt(ctx, "ts", datatype.String("later"), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 admin B edit false", "2 admin X edit true", "3 admin Y edit true", "4 admin later edit false"} {
		select {
		case got := <-updates:
			if got != want {
				t.Errorf("update %s, want %s", got, want)
			}
		case <-ctx.Done():
			t.Fatal("no update came")
		}
	}

	for _, c := range []struct {
		name  string
		query advect.RangeQuery
		want  string
	}{
		{"values", advect.RangeQuery{}, "3Y 1B 4later of 3 true"},
		{"last", advect.RangeQuery{View: advect.EventRange{Anchor: advect.FromLast(1)}}, "4later of 1 true"},
		{"sequences", advect.RangeQuery{View: advect.EventRange{Anchor: advect.FromSequence(0), Span: advect.ToSequence(1)}}, "3Y 1B of 2 true"},
		{"limit", advect.RangeQuery{Limit: 1}, "4later of 3 false"},
		{"count", advect.RangeQuery{CountOnly: true}, "of 3 false"},
		{"last half hour", advect.RangeQuery{View: advect.EventRange{Anchor: advect.FromLastFor(30 * time.Minute)}}, "4later of 1 true"},
		{"first", advect.RangeQuery{View: advect.EventRange{Span: advect.Next(1)}}, "3Y of 1 true"},
	} {
		r, err := advect.QueryRange[datatype.String](ctx, topics, "ts", c.query)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		got := ""
		for _, e := range r.Events {
			got += fmt.Sprint(e.Sequence, e.Value, " ")
		}
		if got += fmt.Sprint("of ", r.Selected, r.Complete); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
	// No stock principal may see what was there before an edit.
	_, err = advect.QueryRange[datatype.String](ctx, topics, "ts", advect.RangeQuery{Edits: advect.AllEdits})
	wantIs(t, "QueryRange of all edits", err, advect.ErrPermissionDenied)
	_, err = advect.QueryRange[datatype.Int64](ctx, topics, "ts", advect.RangeQuery{})
	wantIs(t, "QueryRange as another type", err, datatype.ErrIncompatible)
	_, err = advect.QueryRange[datatype.Int64](ctx, topics, "int", advect.RangeQuery{})
	wantIs(t, "QueryRange of an int64", err, advect.ErrNotTimeSeries)

	if v, err := topics.Fetch(ctx, "ts"); v != datatype.String("later") || err != nil {
		t.Errorf("Fetch: %v %v", v, err)
	}
	found, err := topics.FetchTopics(ctx, advect.FetchQuery{Selector: "ts", Values: true, Sizes: true})
	if err != nil {
		t.Fatal(err)
	}
	f := &found.Topics[0]
	if m, err := f.Event(); err != nil || m.Sequence != 4 || f.Size.Events != 5 || f.Size.Total <= int64(f.Size.Value) {
		t.Errorf("Event: %+v %v, size %+v", m, err, f.Size)
	}

	stream, err := advect.NewUpdateStream[datatype.String](topics, "ts")
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []datatype.String{"s1", "s1", "s2"} {
		if err := stream.Set(ctx, v); err != nil {
			t.Fatal(err)
		}
	}
	r, err := advect.QueryRange[datatype.String](ctx, topics, "ts", advect.RangeQuery{View: advect.EventRange{Anchor: advect.FromLast(3)}})
	if err != nil || len(r.Events) != 3 || r.Events[1].Value != "s1" || r.Events[2].Value != "s2" {
		t.Errorf("after the stream: %v %v", r.Events, err)
	}
}

func TestNotificationsOnServer(t *testing.T) {
	srv := advecttest.Server(t)
	ctx, session, other := soon(t), open(t, srv.URL(), "admin"), open(t, srv.URL(), "control").Topics()
	add := func(path string) {
		t.Helper()
		if _, err := other.Add(ctx, path, advect.NewSpecification(advect.JSON)); err != nil {
			t.Fatal(err)
		}
	}
	add("n/a")
	told, closed := make(chan string, 100), make(chan error, 1)
	l, err := session.Topics().AddListener(advect.TopicListener{
		OnNotification: func(n advect.TopicNotification) { told <- fmt.Sprint(n.Kind, " ", n.Path, " ", n.Direct) },
		OnClose:        func(err error) { closed <- err },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Select(ctx, "?n/", "below"); err != nil {
		t.Fatal(err)
	}
	add("n/b")
	add("below/x/y")
	if _, err := other.Remove(ctx, "n/b", "below/x/y"); err != nil {
		t.Fatal(err)
	}
	if err := l.Deselect(ctx, "?n/"); err != nil {
		t.Fatal(err)
	}
	var got []string
	for range 6 {
		select {
		case s := <-told:
			got = append(got, s)
		case <-ctx.Done():
			t.Fatalf("told %q", got)
		}
	}
	slices.Sort(got) // in order only for each topic
	want := []string{
		"ADDED below/x/y false", "ADDED n/b true", "DESELECTED n/a true", "REMOVED below/x/y false", "REMOVED n/b true", "SELECTED n/a true",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if err := l.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Errorf("closed with %v", err)
	}
	add("n/c")
	if err := session.Topics().SetNull(ctx, "n/c", advect.Int64); err == nil { // a round trip
		t.Error("a JSON topic is set to null")
	}
	if len(told) > 0 {
		t.Errorf("a closed listener was told %s", <-told)
	}
}

func TestMissingTopicOnServer(t *testing.T) {
	srv := advecttest.Server(t)
	ctx, session, client := soon(t), open(t, srv.URL(), "admin"), open(t, srv.URL(), "client")
	topics := session.Topics()
	asked := make(chan advect.MissingTopic, 10)
	h, err := topics.AddMissingTopicHandler(ctx, "m", advect.MissingTopicHandler{OnMissingTopic: func(m advect.MissingTopic) {
		if _, err := topics.AddAndSet(ctx, m.Path, advect.NewSpecification(advect.String), datatype.String("made")); err != nil {
			t.Error(err)
		}
		asked <- m
	}})
	if err != nil {
		t.Fatal(err)
	}
	_, err = topics.AddMissingTopicHandler(ctx, "m", advect.MissingTopicHandler{})
	wantIs(t, "a second handler", err, advect.ErrHandlerConflict)
	for update, err := range advect.Values[datatype.String](ctx, client, "m/x") {
		if err != nil || update.Value != "made" {
			t.Errorf("value %v %v", update.Value, err)
		}
		break
	}
	if m := <-asked; m.Path != "m/x" || m.SessionID != client.ID() || m.Properties["$Principal"] != "client" {
		t.Errorf("asked for %+v", m)
	}
	if err := h.Close(ctx); err != nil {
		t.Error(err)
	}
	if err := client.Topics().Subscribe(ctx, "m/none"); err != nil {
		t.Fatal(err)
	}
	if _, err := session.PingServer(ctx); err != nil {
		t.Fatal(err)
	}
	if len(asked) > 0 {
		t.Errorf("a closed handler was asked for %+v", <-asked)
	}
}

func TestRecordsOnServer(t *testing.T) {
	ctx, session := soon(t), open(t, advecttest.Server(t).URL(), "admin")
	value := datatype.NewRecordV2([]string{"a", "b"}, []string{"c"})
	if _, err := session.Topics().AddAndSet(ctx, "r", advect.NewSpecification(advect.RecordV2), value); err != nil {
		t.Fatal(err)
	}
	for update, err := range advect.Values[datatype.RecordV2](ctx, session, "r") {
		if err != nil || update.Value != value {
			t.Errorf("value %v %v", update.Value, err)
		}
		break
	}
	stream, err := advect.NewUpdateStream[datatype.RecordV2](session.Topics(), "r")
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{strings.Repeat("x", 50), strings.Repeat("x", 50) + "y"} {
		value := datatype.NewRecordV2([]string{"a", text})
		if err := stream.Set(ctx, value); err != nil {
			t.Fatal(err)
		}
		if got, err := advect.FetchValue[datatype.RecordV2](ctx, session.Topics(), "r"); got != value || err != nil {
			t.Errorf("FetchValue: %v %v", got, err)
		}
	}
}
