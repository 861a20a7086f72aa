package gosdk

import (
	"fmt"
	"strings"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// Time series, topics that come and go, and topics that are missing.

const (
	seriesGroup       = "Time series"
	notificationGroup = "Topic notifications"
	missingGroup      = "Missing-topic handlers"
	fetchGroup        = "Fetch"
)

var eventScenarios = []scenario{
	{"time-series.append", seriesGroup, "append: sequence from 0, time of the server, author; for every event value type", both, seriesAppend},
	{"time-series.append-at", seriesGroup, "append with a timestamp: not before that of the newest event, else INVALID_DATA", both, seriesAppendAt},
	{"time-series.append-failures", seriesGroup, "append: no topic 9000, no time series 9001, another type INCOMPATIBLE_DATATYPE, no permission ACCESS_DENIED; null never leaves the client", ws, seriesAppendFailures},
	{"time-series.edit", seriesGroup, "edit: a new event that replaces an original, which stays as it was", both, seriesEdit},
	{"time-series.live", seriesGroup, "subscribers get each event, originals and edits, with its metadata and the event before as the old value", both, seriesLive},
	{"time-series.value-streams", seriesGroup, "streams of the event value type, and JSON streams of what reads as JSON, get the values alone", ws, seriesValueStreams},
	{"time-series.subscription-range", seriesGroup, "on subscription: the newest event, or those of TIME_SERIES_SUBSCRIPTION_RANGE, oldest first; none with PUBLISH_VALUES_ONLY alone", both, seriesSubscriptionRange},
	{"time-series.set", seriesGroup, "topicUpdate.set and update streams append events; equal values too; fetch returns the newest", ws, seriesSet},
	{"time-series.query.ranges", seriesGroup, "every anchor and span, forwards and backwards, within the series and beyond it", both, seriesRanges},
	{"time-series.query.limit", seriesGroup, "limit keeps the newest of what was selected and tells how many there were", both, seriesLimit},
	{"time-series.query.values", seriesGroup, "forValues: the latest edit stands at the place of its original, and counts as it", both, seriesValues},
	{"time-series.query.edits-permission", seriesGroup, "edits, and values of another edit range, need QUERY_OBSOLETE_TIME_SERIES_EVENTS: ACCESS_DENIED without it", ws, seriesPermission},
	{"time-series.query.failures", seriesGroup, "no topic 9000; a topic that is no time series 9001", ws, seriesFailures},
	{"fetch.time-series", fetchGroup, "the value of a time series is its newest event, edits among them", ws, fetchSeries},
	{"fetch.sizes", fetchGroup, "withSizes: bytes of the value; of a time series those of the last event, the number and the sum of all", ws, fetchSizes},
	{"fetch.deep-branches", fetchGroup, "limitDeepBranches(depth, limit): so many results of each branch, the first; has more does not count them", ws, fetchDeepBranches},

	{"notifications.topics", notificationGroup, "selected topics: SELECTED those there, ADDED and REMOVED as they come and go, with their specification; DESELECTED", both, notificationsTopics},
	{"notifications.descendants", notificationGroup, "below a selected path the first topic of each branch is an immediate descendant", both, notificationsDescendants},
	{"notifications.order", notificationGroup, "SELECTED and DESELECTED events have arrived when select and deselect resolve", ws, notificationsOrder},
	{"notifications.two-listeners", notificationGroup, "two listeners of a session are independent; closing one leaves the other", both, notificationsTwo},
	{"notifications.reconnection", notificationGroup, "a listener hears what happened during an outage, in order", ws, notificationsReconnection},

	{"missing.notified", missingGroup, "a selection that matches nothing: selector, session and its properties; the topic that the handler adds is subscribed", both, missingNotified},
	{"missing.longest-prefix", missingGroup, "of several handlers that with the longest path is told, and no other", ws, missingLongest},
	{"missing.conflict", missingGroup, "a second handler for a path, of the same session or another: TOPIC_TREE_REGISTRATION_CONFLICT", both, missingConflict},
	{"missing.deregister", missingGroup, "after deregistration, or the end of its session, a handler is told nothing, and its path is free", both, missingDeregister},
	{"missing.permissions", missingGroup, "without REGISTER_HANDLER: ACCESS_DENIED", ws, missingPermissions},
}

// series adds a time series and returns its path.
func (p publisher) series(t datatype.Type, properties ...advect.TopicProperty) string {
	p.s.t.Helper()
	path := p.s.path()
	_, err := p.Topics().Add(p.s.ctx, path, advect.TimeSeriesOf(t, properties...))
	p.s.none(err, "add "+path)
	return path
}

func (p publisher) append(path string, values ...datatype.Value) {
	p.s.t.Helper()
	for _, v := range values {
		_, err := p.Topics().Append(p.s.ctx, path, v)
		p.s.none(err, "append to "+path)
	}
}

func (p publisher) edit(path string, sequence int64, v datatype.Value) {
	p.s.t.Helper()
	_, err := p.Topics().EditEvent(p.s.ctx, path, sequence, v)
	p.s.none(err, "edit "+path)
}

// query returns the events as "sequence:value", and how many there are of how many.
func (p publisher) query(path string, q advect.RangeQuery) string {
	p.s.t.Helper()
	r, err := advect.QueryRange[datatype.Value](p.s.ctx, p.Topics(), path, q)
	p.s.none(err, "query "+path)
	var events []string
	for _, e := range r.Events {
		events = append(events, fmt.Sprintf("%d:%s", e.Sequence, comparable(e.Value)))
	}
	p.s.equal(r.Complete, r.Selected == int64(len(events)), "complete")
	return fmt.Sprintf("%s of %d", strings.Join(events, " "), r.Selected)
}

func seriesAppend(s *scene) {
	session := s.owner()
	for _, t := range valueTypes {
		path := session.series(datatype.Type(t.typ))
		for i, v := range t.values {
			before := time.Now().Add(-time.Minute)
			m, err := session.Topics().Append(s.ctx, path, v)
			s.none(err, "append")
			s.equal(m.Sequence, i, "sequence")
			s.equal(m.Author, "control", "author")
			s.ok(m.Timestamp.After(before) && m.Timestamp.Before(time.Now().Add(time.Minute)) && !m.IsEdit(), "metadata %+v", m)
		}
		r, err := advect.QueryRange[datatype.Value](s.ctx, session.Topics(), path, advect.RangeQuery{})
		s.none(err, "query")
		for i, e := range r.Events {
			s.equal(comparable(e.Value), comparable(t.values[i]), t.name)
		}
		s.equal(len(r.Events), len(t.values), "events")
	}
}

func seriesAppendAt(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	at := time.UnixMilli(1700000000000)
	for _, d := range []time.Duration{0, 0, time.Millisecond} {
		m, err := session.Topics().AppendAt(s.ctx, path, datatype.String("x"), at.Add(d))
		s.none(err, "append")
		s.ok(m.Timestamp.Equal(at.Add(d)), "timestamp %v", m.Timestamp)
	}
	_, err := session.Topics().AppendAt(s.ctx, path, datatype.String("x"), at)
	s.is(err, "append in the past", advect.ErrInvalidData)
}

func seriesAppendFailures(s *scene) {
	session := s.owner()
	topics := session.Topics()
	path, text := session.series(datatype.TypeString), s.path()
	session.add(text, advect.String)
	_, err := topics.Append(s.ctx, s.path("none"), datatype.String("x"))
	s.is(err, "no topic", advect.ErrNoSuchTopic)
	_, err = topics.Append(s.ctx, text, datatype.String("x"))
	s.is(err, "no time series", advect.ErrNotTimeSeries)
	_, err = topics.Append(s.ctx, path, datatype.Int64(1))
	s.is(err, "another type", advect.ErrIncompatibleDatatype)
	_, err = s.connect().Topics().Append(s.ctx, path, datatype.String("x"))
	s.is(err, "no permission", advect.ErrPermissionDenied)
	_, err = topics.Append(s.ctx, path, nil)
	s.ok(err != nil, "nil is appended")
}

func seriesEdit(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	session.append(path, datatype.String("a"), datatype.String("b"))
	m, err := session.Topics().EditEvent(s.ctx, path, 0, datatype.String("A"))
	s.none(err, "edit")
	s.equal(m.Sequence, 2, "sequence")
	s.equal(session.query(path, advect.RangeQuery{}), `2:"A" 1:"b" of 2`, "values")
	_, err = session.Topics().EditEvent(s.ctx, path, 2, datatype.String("x"))
	s.is(err, "edit of an edit", advect.ErrNoSuchEvent)
	_, err = session.Topics().EditEvent(s.ctx, path, 9, datatype.String("x"))
	s.is(err, "edit of nothing", advect.ErrNoSuchEvent)
}

func seriesLive(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeInt64)
	got := newRecord[string]("events")
	_, err := advect.AddStream(session.Topics(), path, advect.Stream[datatype.Int64]{OnValue: func(u advect.Update[datatype.Int64]) {
		original := "-"
		if u.Event.IsEdit() {
			original = fmt.Sprint(u.Event.Original.Sequence)
		}
		got.add(fmt.Sprint(u.Event.Sequence, ":", u.Value, ":", u.Event.Author, ":", original, ":", u.Old, u.HasOld))
	}})
	s.none(err, "add stream")
	s.subscribe(session.Session, path)
	session.append(path, datatype.Int64(7), datatype.Int64(8))
	session.edit(path, 0, datatype.Int64(9))
	all, err := got.until(patience, func(all []string) bool { return len(all) >= 3 })
	s.none(err, "events")
	s.equal(all, "[0:7:control:-:0 false 1:8:control:-:7 true 2:9:control:0:8 true]", "events")
}

func seriesValueStreams(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	texts, documents := watch[datatype.String](s, session.Session, path), watch[datatype.JSON](s, session.Session, path)
	numbers := watch[datatype.Int64](s, session.Session, path)
	s.subscribe(session.Session, path)
	session.append(path, datatype.String("a"), datatype.String("b"))
	s.await(texts, value, 2)
	s.equal(texts.values(), `"a" "b"`, "values")
	s.await(documents, value, 2)
	s.equal(len(numbers.all()), 0, "events of a stream of another type")
}

func seriesSubscriptionRange(s *scene) {
	session := s.owner()
	last := advect.With(advect.PropertyTimeSeriesSubscriptionRange, "limit 2")
	values := advect.With(advect.PropertyPublishValuesOnly, "true")
	for name, c := range map[string]struct {
		properties []advect.TopicProperty
		want       string
	}{
		"by itself": {nil, "3 4"}, "a range": {[]advect.TopicProperty{last}, "2 3 4"},
		"values only": {[]advect.TopicProperty{values}, "4"}, "values only, a range": {[]advect.TopicProperty{last, values}, "2 3 4"},
	} {
		path := session.series(datatype.TypeInt64, c.properties...)
		session.append(path, datatype.Int64(1), datatype.Int64(2), datatype.Int64(3))
		stream := watch[datatype.Int64](s, session.Session, path)
		s.subscribe(session.Session, path)
		session.append(path, datatype.Int64(4))
		s.await(stream, value, len(strings.Fields(c.want)))
		s.equal(stream.values(), c.want, name)
	}
}

func seriesSet(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeInt64)
	session.set(path, datatype.Int64(1))
	session.set(path, datatype.Int64(1))
	stream := openStream[datatype.Int64](s, session.Session, path)
	for range 2 {
		s.none(stream.Set(s.ctx, 2), "set")
	}
	s.equal(session.query(path, advect.RangeQuery{}), "0:1 1:1 2:2 3:2 of 4", "events")
	s.equal(session.value(path), "2", "fetched")
}

func seriesRanges(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeInt64)
	at := time.UnixMilli(1700000000000)
	for i := range 5 {
		_, err := session.Topics().AppendAt(s.ctx, path, datatype.Int64(i), at.Add(time.Duration(i)*time.Second))
		s.none(err, "append")
	}
	for _, c := range []struct {
		from advect.Anchor
		to   advect.Span
		want string
	}{
		{advect.Anchor{}, advect.Span{}, "01234"},
		{advect.FromStart(), advect.ToStart(), ""},
		{advect.FromStart(), advect.Next(2), "01"},
		{advect.FromSequence(1), advect.ToSequence(3), "123"},
		{advect.FromSequence(3), advect.ToSequence(1), "123"},
		{advect.FromSequence(3), advect.ToStart(), "0123"},
		{advect.FromSequence(9), advect.Span{}, ""},
		{advect.FromLast(2), advect.Span{}, "34"},
		{advect.FromLast(9), advect.Span{}, "01234"},
		{advect.FromTime(at.Add(time.Second)), advect.ToTime(at.Add(2500 * time.Millisecond)), "12"},
		{advect.FromTime(at.Add(1500 * time.Millisecond)), advect.NextFor(time.Second), "2"},
		{advect.FromLastFor(2 * time.Second), advect.Span{}, "234"},
		{advect.FromStart(), advect.UntilLast(2), "012"},
		{advect.FromStart(), advect.UntilLastFor(time.Second), "0123"},
		{advect.FromSequence(3), advect.PreviousFor(time.Second), "23"},
		{advect.FromSequence(3), advect.Previous(1), "23"},
	} {
		r, err := advect.QueryRange[datatype.Int64](s.ctx, session.Topics(), path, advect.RangeQuery{View: advect.EventRange{Anchor: c.from, Span: c.to}})
		s.none(err, "query")
		got := ""
		for _, e := range r.Events {
			got += fmt.Sprint(e.Value)
		}
		s.equal(got, c.want, fmt.Sprintf("from %+v to %+v", c.from, c.to))
	}
}

func seriesLimit(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeInt64)
	session.append(path, datatype.Int64(1), datatype.Int64(2), datatype.Int64(3))
	s.equal(session.query(path, advect.RangeQuery{Limit: 2}), "1:2 2:3 of 3", "limit 2")
	s.equal(session.query(path, advect.RangeQuery{Limit: 5}), "0:1 1:2 2:3 of 3", "limit 5")
	s.equal(session.query(path, advect.RangeQuery{CountOnly: true}), " of 3", "count")
}

func seriesValues(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	session.append(path, datatype.String("A"), datatype.String("B"))
	session.edit(path, 0, datatype.String("X"))
	session.edit(path, 0, datatype.String("Y"))
	s.equal(session.query(path, advect.RangeQuery{}), `3:"Y" 1:"B" of 2`, "values")
	first := advect.EventRange{Span: advect.Next(1)}
	s.equal(session.query(path, advect.RangeQuery{View: first}), `3:"Y" of 1`, "first value")
}

func seriesPermission(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	session.append(path, datatype.String("A"))
	for name, q := range map[string]advect.RangeQuery{
		"all edits": {Edits: advect.AllEdits}, "latest edits": {Edits: advect.LatestEdits},
		"edit range": {Edit: advect.EventRange{Anchor: advect.FromSequence(0)}},
	} {
		_, err := advect.QueryRange[datatype.String](s.ctx, session.Topics(), path, q)
		s.is(err, name, advect.ErrPermissionDenied)
	}
}

func seriesFailures(s *scene) {
	session := s.owner()
	text := s.path()
	session.add(text, advect.String)
	_, err := advect.QueryRange[datatype.String](s.ctx, session.Topics(), s.path("none"), advect.RangeQuery{})
	s.is(err, "no topic", advect.ErrNoSuchTopic)
	_, err = advect.QueryRange[datatype.String](s.ctx, session.Topics(), text, advect.RangeQuery{})
	s.is(err, "no time series", advect.ErrNotTimeSeries)
}

func (s *scene) fetchOne(session *advect.Session, path string) *advect.FetchedTopic {
	s.t.Helper()
	r, err := session.Topics().FetchTopics(s.ctx, advect.FetchQuery{Selector: path, Values: true, Properties: true, Sizes: true})
	s.none(err, "fetch")
	s.equal(len(r.Topics), 1, "topics")
	return &r.Topics[0]
}

func fetchSeries(s *scene) {
	session := s.owner()
	path := session.series(datatype.TypeString)
	session.append(path, datatype.String("A"), datatype.String("B"))
	session.edit(path, 0, datatype.String("X"))
	f := s.fetchOne(session.Session, path)
	v, err := f.Value()
	s.none(err, "value")
	s.equal(comparable(v), `"X"`, "value")
	m, err := f.Event()
	s.none(err, "event")
	s.ok(m.Sequence == 2 && m.IsEdit() && m.Original.Sequence == 0 && m.Author == "control", "event %+v", m)
}

func fetchSizes(s *scene) {
	session := s.owner()
	path := s.path()
	session.add(path, advect.Binary)
	s.equal(s.fetchOne(session.Session, path).Size.Value, 0, "size without a value")
	session.set(path, datatype.Binary(make([]byte, 300)))
	s.equal(s.fetchOne(session.Session, path).Size.Value, 300, "size")
	series := session.series(datatype.TypeBinary)
	session.append(series, datatype.Binary(make([]byte, 100)), datatype.Binary(make([]byte, 200)))
	size := s.fetchOne(session.Session, series).Size
	s.ok(size.Events == 2 && size.Value >= 200 && size.Value < 300 && size.Total >= 300 && size.Total < 400, "size of a series: %+v", size)
}

func fetchDeepBranches(s *scene) {
	session := s.owner()
	root := s.path()
	depth := len(strings.Split(root, "/"))
	for _, path := range []string{"x/0", "x/x/1", "x/x/x/2", "y/y/y/y/3", "y/y/y/4", "z/5", "z/z/6"} {
		session.add(root+"/"+path, advect.Int64)
	}
	for _, c := range []struct {
		depth, limit int
		want         string
	}{{3, 0, "x/0 z/5"}, {1, 1, "x/0 y/y/y/4 z/5"}, {2, 1, "x/0 x/x/1 y/y/y/4 z/5 z/z/6"}} {
		r, err := session.Topics().FetchTopics(s.ctx, advect.FetchQuery{
			Selector: "?" + root + "//", DeepBranches: &advect.DeepBranches{Depth: depth + c.depth, Limit: c.limit},
		})
		s.none(err, "fetch")
		var got []string
		for _, f := range r.Topics {
			got = append(got, strings.TrimPrefix(f.Path, root+"/"))
		}
		s.equal(strings.Join(got, " "), c.want, fmt.Sprint(c.depth, ", ", c.limit))
		s.ok(!r.More, "there is more")
	}
}
