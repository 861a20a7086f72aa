package service

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"

	"advect.dev/internal/wire"
	"github.com/google/go-cmp/cmp"
)

// metadata is EventMetadata in time-series.json.
type metadata struct {
	Sequence, Timestamp int64
	Author              string
}

func (m metadata) event() EventMetadata { return EventMetadata(m) }

type timeSeriesVectors struct {
	PointTypes, QueryTypes [][2]any
	EventMetadata          []struct {
		metadata
		Hex hexBytes
	}
	Events []struct {
		ValueHex hexBytes
		Metadata metadata
		Original *metadata
		Hex      hexBytes
		Decoded  struct {
			IsEditEvent   bool
			Metadata      metadata
			OriginalEvent metadata
		}
	}
	EventDecode []struct {
		Hex    hexBytes
		Note   string
		Client struct {
			OK *struct {
				IsEditEvent        bool
				Metadata, Original metadata
			}
		}
	}
	AppendRequests, TimestampAppendRequests, EditRequests []struct {
		Path, TypeName      string
		Sequence, Timestamp int64
		ValueHex            hexBytes
		Hex                 hexBytes
	}
	RangeQueryRequests []struct {
		Query, TopicPath string
		Hex              hexBytes
		Fields           struct {
			QueryType                                  RangeQueryType
			ViewAnchor, ViewSpan, EditAnchor, EditSpan [2]int64 // type, value
			Limit                                      int64
		}
	}
	RangeQueryResults []struct {
		Note   string
		Hex    hexBytes
		Client struct {
			OK struct {
				SelectedCount int64
				IsComplete    bool
				Events        []struct {
					metadata
					IsEditEvent bool
					Original    *metadata
				}
			}
		}
	}
}

func readTimeSeries(t testing.TB) (v timeSeriesVectors) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/time-series.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{len(v.EventMetadata), len(v.Events), len(v.EventDecode), len(v.AppendRequests),
		len(v.TimestampAppendRequests), len(v.EditRequests), len(v.RangeQueryRequests), len(v.RangeQueryResults)} {
		if n == 0 {
			t.Fatal("a section of time-series.json is missing")
		}
	}
	return v
}

func TestTimeSeriesEnums(t *testing.T) {
	v := readTimeSeries(t)
	points := []PointType{AbsoluteStart, AbsoluteSequence, AbsoluteTime, OffsetSequence, OffsetTime, NextCount, NextTime, PreviousCount, PreviousTime}
	if len(v.PointTypes) != len(points) {
		t.Fatalf("%d types of point, want %d", len(v.PointTypes), len(points))
	}
	for i, want := range v.PointTypes {
		if want[1] != float64(points[i]) {
			t.Errorf("%s is %d, want %v", want[0], points[i], want[1])
		}
	}
	queries := []RangeQueryType{ValueRange, AllEdits, LatestEdits}
	for i, want := range v.QueryTypes {
		if want[1] != float64(queries[i]) {
			t.Errorf("%s is %d, want %v", want[0], queries[i], want[1])
		}
	}
}

// testBoth encodes a body and decodes it again.
func testBoth(t *testing.T, name string, s Declaration, response bool, value any, want []byte) {
	t.Helper()
	v := vector{name: name, service: s, response: response, body: want}
	if got := v.encode(value); !bytes.Equal(got, want) {
		t.Errorf("%s: %+v is encoded as %x, want %x", name, value, got, want)
	}
	if got, err := v.decode(want); err != nil || !reflect.DeepEqual(got, value) {
		t.Errorf("%s: %x decodes as %+v, %v, want %+v", name, want, got, err, value)
	}
	testPrefixes(t, v)
}

func TestTimeSeriesRequests(t *testing.T) {
	v := readTimeSeries(t)
	for _, m := range v.EventMetadata {
		testBoth(t, "metadata", TimeSeriesAppend, true, m.event(), m.Hex)
	}
	for _, a := range v.AppendRequests {
		testBoth(t, "append", TimeSeriesAppend, false, AppendRequest{a.Path, a.TypeName, a.ValueHex}, a.Hex)
	}
	for _, a := range v.TimestampAppendRequests {
		request := TimestampAppendRequest{AppendRequest{a.Path, a.TypeName, a.ValueHex}, a.Timestamp}
		testBoth(t, "timestamp append", TimeSeriesTimestampAppend, false, request, a.Hex)
	}
	for _, e := range v.EditRequests {
		testBoth(t, "edit", TimeSeriesEdit, false, EditRequest{e.Path, e.TypeName, e.Sequence, e.ValueHex}, e.Hex)
	}
	point := func(p [2]int64) Point { return Point{Type: PointType(p[0]), Value: p[1]} }
	for _, q := range v.RangeQueryRequests {
		f := q.Fields
		testBoth(t, q.Query, RangeQuery, false, RangeQueryRequest{
			Path: q.TopicPath, Type: f.QueryType, Limit: f.Limit,
			View: EventRange{point(f.ViewAnchor), point(f.ViewSpan)},
			Edit: EventRange{point(f.EditAnchor), point(f.EditSpan)},
		}, q.Hex)
	}
}

func TestWholeSeriesIsTheDefault(t *testing.T) {
	for _, q := range readTimeSeries(t).RangeQueryRequests {
		if q.Query == "default" {
			request := RangeQueryRequest{Path: q.TopicPath, View: WholeSeries, Edit: WholeSeries, Limit: 1<<53 - 1}
			testBoth(t, q.Query, RangeQuery, false, request, q.Hex)
			return
		}
	}
	t.Fatal("no default query")
}

func TestObsolete(t *testing.T) {
	for _, v := range readTimeSeries(t).RangeQueryRequests {
		q, err := RangeQuery.ReadRequest(v.Hex)
		if err != nil {
			t.Fatal(err)
		}
		if want := strings.Contains(v.Query, "forEdits") || strings.Contains(v.Query, "editRange"); q.Obsolete() != want {
			t.Errorf("%s: obsolete events may be selected: %v, want %v", v.Query, q.Obsolete(), want)
		}
	}
}

// TestRangeQueryRefusals: what 26 section 3.1 answers with 106.
func TestRangeQueryRefusals(t *testing.T) {
	good := RangeQueryRequest{Path: "ts", View: WholeSeries, Edit: WholeSeries, Limit: math.MaxInt64}
	tests := map[string]func(*RangeQueryRequest){
		"query type 3":    func(q *RangeQueryRequest) { q.Type = 3 },
		"span of type 9":  func(q *RangeQueryRequest) { q.View.Span.Type = 9 },
		"negative anchor": func(q *RangeQueryRequest) { q.View.Anchor = Point{-1, AbsoluteSequence} },
		"negative span":   func(q *RangeQueryRequest) { q.Edit.Span = Point{math.MinInt64, PreviousTime} },
		"negative limit":  func(q *RangeQueryRequest) { q.Limit = -1 },
	}
	for p := NextCount; p <= PreviousTime; p++ {
		tests[fmt.Sprintf("anchor of type %d", p)] = func(q *RangeQueryRequest) { q.Edit.Anchor.Type = p }
	}
	if _, err := RangeQuery.ReadRequest(RangeQuery.EncodeRequest(nil, good)); err != nil {
		t.Fatal(err)
	}
	for name, change := range tests {
		bad := good
		change(&bad)
		if got, err := RangeQuery.ReadRequest(RangeQuery.EncodeRequest(nil, bad)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, got, err)
		}
	}
}

func TestEvents(t *testing.T) {
	for _, v := range readTimeSeries(t).Events {
		want := Event{EventMetadata: v.Metadata.event(), Original: v.Metadata.event(), Value: v.ValueHex}
		if v.Original != nil {
			want.Original = v.Original.event()
		}
		if got := want.Append(nil); !bytes.Equal(got, v.Hex) {
			t.Errorf("%+v is encoded as %x, want %x", want, got, v.Hex)
		}
		if got := want.Size(); got != len(v.Hex) {
			t.Errorf("%+v has %d bytes, want %d", want, got, len(v.Hex))
		}
		got, err := ReadEvent(v.Hex)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%x decodes as %+v, %v, want %+v", v.Hex, got, err, want)
		}
		if d := v.Decoded; got.Edit() != d.IsEditEvent || got.EventMetadata != d.Metadata.event() || got.Original != d.OriginalEvent.event() {
			t.Errorf("%x decodes as %+v, the official client has %+v", v.Hex, got, d)
		}
		for n := range v.Hex {
			if e, err := ReadEvent(v.Hex[:n:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%x cut to %d bytes: %+v, %v, want ErrMalformed", v.Hex, n, e, err)
			}
		}
	}
}

// TestEventDecode: the official client refuses a value that its type cannot
// have, which is not for ReadEvent to judge, and takes a value that is cut short.
func TestEventDecode(t *testing.T) {
	stricter := map[string]bool{"declared value length longer than data": true}
	laxer := map[string]bool{"zero length value": true}
	for _, v := range readTimeSeries(t).EventDecode {
		e, err := ReadEvent(v.Hex)
		if want := v.Client.OK; stricter[v.Note] || (want == nil && !laxer[v.Note]) {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: %x decodes as %+v, %v, want ErrMalformed", v.Note, v.Hex, e, err)
			}
		} else if err != nil {
			t.Errorf("%s: %x: %v", v.Note, v.Hex, err)
		} else if want != nil && (e.Edit() != want.IsEditEvent || e.EventMetadata != want.Metadata.event() || e.Original != want.Original.event()) {
			t.Errorf("%s: %x decodes as %+v, want %+v", v.Note, v.Hex, e, *want)
		}
	}
}

func TestRangeQueryResults(t *testing.T) {
	for _, v := range readTimeSeries(t).RangeQueryResults {
		result, err := RangeQuery.ReadResponse(v.Hex)
		if err != nil {
			t.Errorf("%s: %v", v.Note, err)
			continue
		}
		testBoth(t, v.Note, RangeQuery, true, result, v.Hex)
		want := v.Client.OK
		var events []Event
		for i, e := range want.Events {
			event := Event{EventMetadata: e.event(), Original: e.event()}
			if e.Original != nil {
				event.Original = e.Original.event()
			}
			if event.Edit() != e.IsEditEvent {
				t.Fatalf("%s: event %d of the vector contradicts itself", v.Note, i)
			}
			events = append(events, event)
		}
		got := result.Events()
		values := make([][]byte, len(got))
		for i := range got {
			values[i], got[i].Value = got[i].Value, nil
		}
		if diff := cmp.Diff(events, got); diff != "" || result.Selected != want.SelectedCount {
			t.Errorf("%s: %d selected, want %d; events (-want +got):\n%s", v.Note, result.Selected, want.SelectedCount, diff)
		}
		for i := range got {
			got[i].Value = values[i]
		}
		plain := NewRangeQueryResult(result.DataType, result.Selected, got)
		if again := plain.Events(); !reflect.DeepEqual(again, got) {
			t.Errorf("%s: events %+v are sent as %+v", v.Note, got, again)
		}
	}
}

// TestRangeItemScope: offsets and codes hold from where they stand, the last
// wins, and what is no code is an author (10 section 10.9).
func TestRangeItemScope(t *testing.T) {
	event := func(sequence int64, author string) RangeItem {
		return RangeItem{Kind: OriginalItem, Event: Event{EventMetadata: EventMetadata{sequence, sequence, author}}}
	}
	result := RangeQueryResult{Items: []RangeItem{
		event(1, "a"),
		{Kind: OffsetItem, Sequence: 10, Timestamp: 100},
		{Kind: AuthorItem, Code: []byte("a"), Author: "alice"},
		event(1, "a"), event(2, "ab"),
		{Kind: OffsetItem, Sequence: 20, Timestamp: 200},
		{Kind: AuthorItem, Code: []byte("a"), Author: "anna"},
		event(1, "a"),
	}}
	var got []EventMetadata
	for _, e := range result.Events() {
		got = append(got, e.EventMetadata)
	}
	want := []EventMetadata{{1, 1, "a"}, {11, 101, "alice"}, {12, 102, "ab"}, {21, 201, "anna"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("events %v, want %v", got, want)
	}
}

func FuzzEvent(f *testing.F) {
	v := readTimeSeries(f)
	for _, e := range v.Events {
		f.Add([]byte(e.Hex))
	}
	for _, e := range v.EventDecode {
		f.Add([]byte(e.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ReadEvent(b)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%x: error %v is not ErrMalformed", b, err)
			}
			return
		}
		if again, err := ReadEvent(e.Append(nil)); err != nil || !reflect.DeepEqual(again, e) {
			t.Fatalf("%x decodes as %+v, and then as %+v, %v", b, e, again, err)
		}
		if got, want := e.Size(), len(e.Append(nil)); got != want {
			t.Fatalf("%+v has %d bytes, want %d", e, got, want)
		}
	})
}
