package tree

import (
	"fmt"
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

// events is a sink that keeps the events of a time series as a client reads them:
// from whole values, and from deltas on the event before.
type events struct {
	t testing.TB

	mu       sync.Mutex
	previous []byte
	seen     []string
	deltas   int
}

func (e *events) CanRead(*Topic) bool { return true }

func (e *events) Subscribed(_ *Subscription, initial []*Update) {
	for _, u := range initial {
		e.take(u.value(), "")
	}
}

func (e *events) Updated(s *Subscription, u *Update) {
	value := u.value()
	if d := u.Delta(); d != nil && s.Stream.Held == u.version-1 {
		var err error
		if value, err = delta.Apply(nil, e.previous, d.Bytes()[wire.TopicHeaderLen:], 1<<20); err != nil {
			e.t.Errorf("delta on %x: %v", e.previous, err)
		}
		e.deltas++
	}
	s.Stream.Held = u.version
	e.take(value, "live ")
}

func (e *events) Unsubscribed(*Subscription, service.UnsubscribeReason, *outbox.Message) {}

func (e *events) take(value []byte, prefix string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.previous = value
	event, err := service.ReadEvent(value)
	if err != nil {
		e.t.Errorf("event %x: %v", value, err)
		return
	}
	text := fmt.Sprintf("%s%d %s %s", prefix, event.Sequence, event.Author, event.Value[1:])
	if event.Edit() {
		text += fmt.Sprintf(" for %d", event.Original.Sequence)
	}
	e.seen = append(e.seen, text)
}

func appendEvent(t testing.TB, tr *Tree, author, value string) service.EventMetadata {
	t.Helper()
	m, err := tr.Append(&Author{Principal: author}, &service.AppendRequest{Path: "ts", DataType: "string", Value: str(value)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func editEvent(t testing.TB, tr *Tree, author string, sequence int64, value string) service.EventMetadata {
	t.Helper()
	m, err := tr.Edit(&Author{Principal: author}, &service.EditRequest{Path: "ts", DataType: "string", Sequence: sequence, Value: str(value)},
		func(string) bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestSeriesSubscription follows the table of 10 section 10.9: what a subscription
// to a time series starts with, and that what comes then follows on it.
func TestSeriesSubscription(t *testing.T) {
	for name, c := range map[string]struct {
		properties []string
		initial    string
	}{
		"default":                      {nil, "4 bob E for 1"},
		"limit 2":                      {[]string{topic.TimeSeriesSubscriptionRange, "limit 2"}, "3 ann d, 4 bob E for 1"},
		"limit 0":                      {[]string{topic.TimeSeriesSubscriptionRange, "limit 0"}, "4 bob E for 1"},
		"all":                          {[]string{topic.TimeSeriesSubscriptionRange, "limit 100"}, "0 ann a, 1 ann b, 2 ann c, 3 ann d, 4 bob E for 1"},
		"by time":                      {[]string{topic.TimeSeriesSubscriptionRange, "last 1h"}, "0 ann a, 1 ann b, 2 ann c, 3 ann d, 4 bob E for 1"},
		"more than is retained":        {[]string{topic.TimeSeriesSubscriptionRange, "limit 100", topic.TimeSeriesRetainedRange, "limit 3"}, "2 ann c, 3 ann d, 4 bob E for 1"},
		"values only":                  {[]string{topic.PublishValuesOnly, "true"}, ""},
		"values only, limit 2":         {[]string{topic.PublishValuesOnly, "true", topic.TimeSeriesSubscriptionRange, "limit 2"}, "3 ann d"},
		"values only, limit 0":         {[]string{topic.PublishValuesOnly, "true", topic.TimeSeriesSubscriptionRange, "limit 0"}, ""},
		"retention is not of no value": {[]string{topic.DontRetainValue, "true"}, "4 bob E for 1"},
	} {
		t.Run(name, func(t *testing.T) {
			tr := New(Config{})
			if _, err := addTopic(tr, "ts", seriesOf("string", c.properties...)); err != nil {
				t.Fatal(err)
			}
			early := &events{t: t}
			if err := subscribe(tr, NewClient(early), sel(t, "ts"), ""); err != nil {
				t.Fatal(err)
			}
			for _, value := range []string{"a", "b", "c", "d"} {
				appendEvent(t, tr, "ann", value)
			}
			editEvent(t, tr, "bob", 1, "E")
			if want := []string{"live 0 ann a", "live 1 ann b", "live 2 ann c", "live 3 ann d", "live 4 bob E for 1"}; !slices.Equal(early.seen, want) {
				t.Errorf("who subscribed first saw %q", early.seen)
			}
			late := &events{t: t}
			if err := subscribe(tr, NewClient(late), sel(t, "ts"), ""); err != nil {
				t.Fatal(err)
			}
			if got := strings.Join(late.seen, ", "); got != c.initial {
				t.Errorf("starts with %q, want %q", got, c.initial)
			}
			late.seen = nil
			appendEvent(t, tr, "ann", "after the long common prefix of them 1")
			appendEvent(t, tr, "ann", "after the long common prefix of them 2")
			editEvent(t, tr, "ann", 5, "after the long common prefix of them 3")
			want := []string{"live 5 ann after the long common prefix of them 1", "live 6 ann after the long common prefix of them 2",
				"live 7 ann after the long common prefix of them 3 for 5"}
			if !slices.Equal(late.seen, want) {
				t.Errorf("then saw %q", late.seen)
			}
			if valuesOnly := slices.Contains(c.properties, topic.PublishValuesOnly); valuesOnly == (late.deltas > 0) {
				t.Errorf("%d deltas", late.deltas)
			}
		})
	}
}

// TestLatestEditsAreSent follows 10 section 10.9: of an original's edits a
// subscription starts with the latest only.
func TestLatestEditsAreSent(t *testing.T) {
	tr := New(Config{})
	if _, err := addTopic(tr, "ts", seriesOf("string", topic.TimeSeriesSubscriptionRange, "limit 100")); err != nil {
		t.Fatal(err)
	}
	appendEvent(t, tr, "", "a")
	appendEvent(t, tr, "", "b")
	editEvent(t, tr, "x", 0, "c")
	editEvent(t, tr, "y", 0, "d")
	p := &events{t: t}
	_ = subscribe(tr, NewClient(p), sel(t, "ts"), "")
	if want := []string{"0  a", "1  b", "3 y d for 0"}; !slices.Equal(p.seen, want) {
		t.Errorf("starts with %q, want %q", p.seen, want)
	}
}

// TestSeriesSets checks that sets append events, equal values and null too.
func TestSeriesSets(t *testing.T) {
	tr := New(Config{})
	p := &events{t: t}
	_ = subscribe(tr, NewClient(p), sel(t, "ts"), "")
	series := seriesOf("string", topic.TimeSeriesRetainedRange, "limit 3")
	for range 2 {
		if _, err := addAndSet(tr, "ts", series, str("a"), &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	for _, v := range [][]byte{str("a"), str("b")} {
		if err := set(tr, "ts", topic.String, v, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
	}
	if want := []string{"0 somebody a", "live 1 somebody a", "live 2 somebody a", "live 3 somebody b"}; !slices.Equal(p.seen, want) {
		t.Errorf("saw %q", p.seen)
	}
	n := tr.Get("ts")
	if err := set(tr, "ts", topic.String, null, &service.Constraint{}); err != nil || n.series.Len() != 3 {
		t.Errorf("null: %v, %d events are retained", err, n.series.Len())
	}
	if value, has := n.Value(); !has || !strings.HasSuffix(string(value), "\x01\xf6") {
		t.Errorf("after null the latest event is %x", value)
	}
}

// TestSeriesErrors follows 26 section 2.
func TestSeriesErrors(t *testing.T) {
	tr := New(Config{})
	_, _ = addTopic(tr, "ts", seriesOf("string", topic.TimeSeriesRetainedRange, "limit 3"))
	add(t, tr, "a", "1")
	appendTo := func(path, typ string, value []byte, at int64) error {
		_, err := tr.Append(somebody, &service.AppendRequest{Path: path, DataType: typ, Value: value}, &at)
		return err
	}
	edit := func(path, typ string, sequence int64, allowed bool) error {
		_, err := tr.Edit(somebody, &service.EditRequest{Path: path, DataType: typ, Sequence: sequence, Value: str("x")}, func(string) bool { return allowed })
		return err
	}
	query := func(path string) error {
		_, err := tr.RangeQuery(&service.RangeQueryRequest{Path: path, View: service.WholeSeries, Edit: service.WholeSeries, Limit: 10}, 1<<20)
		return err
	}
	for range 4 { // 0 to 3, then an edit
		if err := appendTo("/ts", "String", str("v"), 1000); err != nil {
			t.Fatal(err)
		}
	}
	if err := edit("ts", "STRING", 3, true); err != nil { // its time is the server's: much later
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		err  error
		code wire.ErrorCode
	}{
		"append, no topic":         {appendTo("none", "string", str("v"), 1<<60), wire.CodeNoSuchTopic},
		"append, no series":        {appendTo("a", "string", str("v"), 1<<60), wire.CodeNotATimeSeries},
		"append, other type":       {appendTo("ts", "json", str("v"), 1<<60), wire.CodeIncompatibleDatatype},
		"append, unknown type":     {appendTo("ts", "recordv2", str("v"), 1<<60), wire.CodeIncompatibleDatatype},
		"append, event type":       {appendTo("ts", "timeseriesevent-string", str("v"), 1<<60), wire.CodeIncompatibleDatatype},
		"append, no value":         {appendTo("ts", "string", nil, 1<<60), wire.CodeInvalidData},
		"append, time before":      {appendTo("ts", "string", str("v"), 1001), wire.CodeInvalidData},
		"edit, no topic":           {edit("none", "string", 3, true), wire.CodeNoSuchTopic},
		"edit, no series":          {edit("a", "string", 3, true), wire.CodeNotATimeSeries},
		"edit, other type":         {edit("ts", "int64", 3, true), wire.CodeIncompatibleDatatype},
		"edit, not allowed":        {edit("ts", "string", 3, false), wire.CodeAccessDenied},
		"edit, no longer retained": {edit("ts", "string", 0, true), wire.CodeNoSuchEvent},
		"edit, not yet there":      {edit("ts", "string", 5, true), wire.CodeNoSuchEvent},
		"edit, below all":          {edit("ts", "string", -1, true), wire.CodeNoSuchEvent},
		"edit of an edit":          {edit("ts", "string", 4, true), wire.CodeNoSuchEvent},
		"query, no topic":          {query("none"), wire.CodeNoSuchTopic},
		"query, no series":         {query("a"), wire.CodeNotATimeSeries},
		"set of another type":      {set(tr, "ts", topic.JSON, []byte{1}, &service.Constraint{}), wire.CodeIncompatibleUpdate},
		"set of type TIME_SERIES":  {set(tr, "ts", topic.TimeSeries, str("v"), &service.Constraint{}), wire.CodeIncompatibleUpdate},
	} {
		if code(c.err) != c.code {
			t.Errorf("%s: %v, want code %d", name, c.err, c.code)
		}
	}
	if n := tr.Get("ts").series; n.Len() != 3 {
		t.Errorf("%d events", n.Len())
	}
	if err := query("ts"); err != nil {
		t.Error(err)
	}
	for _, bad := range []topic.Specification{
		{Type: topic.TimeSeries}, seriesOf("text"), seriesOf("json", topic.Conflation, "always"), seriesOf("json", topic.Conflation, "conflate"),
		seriesOf("json", topic.TimeSeriesRetainedRange, "limit 0"), seriesOf("json", topic.TimeSeriesRetainedRange, "newest 3"),
	} {
		if _, err := addTopic(tr, "new", bad); code(err) != wire.CodeTopicSpecInvalid {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

// TestSeriesInFetch checks that the value of a time series is its latest event,
// and its sizes those of 24 section 2.
func TestSeriesInFetch(t *testing.T) {
	tr := New(Config{})
	_, _ = addTopic(tr, "ts", seriesOf("string"))
	_, _ = addTopic(tr, "empty", seriesOf("string"))
	appendEvent(t, tr, "ann", "first")
	appendEvent(t, tr, "ann", "second")
	q := everything()
	q.Values, q.Sizes = true, true
	res := tr.Fetch(&q, sel(t, q.Selector), 1<<20, func(*Topic) bool { return true })
	if len(res.Topics) != 2 {
		t.Fatalf("%+v", res)
	}
	if e := res.Topics[0]; e.Value != nil || e.Size != (service.Size{Kind: service.TimeSeriesSize}) {
		t.Errorf("a series without events: %+v", e)
	}
	item := res.Topics[1]
	event, err := service.ReadEvent(*item.Value)
	if err != nil || event.Sequence != 1 || event.Author != "ann" || string(event.Value) != string(str("second")) {
		t.Errorf("the value is %+v, %v", event, err)
	}
	total := len(*item.Value) + len(*item.Value) - 1
	if want := (service.Size{Kind: service.TimeSeriesSize, Value: int32(len(*item.Value)), Events: 2, Total: int64(total)}); item.Size != want {
		t.Errorf("size %+v, want %+v", item.Size, want)
	}
}
