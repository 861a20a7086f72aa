package advect

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// fetchExchange returns the request and the response of a recorded fetch.
func fetchExchange(t *testing.T, call string) (request, response string) {
	t.Helper()
	var vectors struct {
		Exchanges []struct {
			Call     string `json:"sdk_call"`
			Request  string `json:"request_hex"`
			Response string `json:"response_hex"`
		}
	}
	readVectors(t, "services-topics.json", &vectors)
	for _, e := range vectors.Exchanges {
		if e.Call == "fetchRequest()"+call+`.fetch("?a//")` {
			return e.Request, e.Response
		}
	}
	t.Fatalf("no exchange %q in the vectors", call)
	return "", ""
}

func TestFetchRequestVectors(t *testing.T) {
	for call, query := range map[string]FetchQuery{
		"":                                {},
		`.from("a/b")`:                    {From: "a/b"},
		`.after("a/b")`:                   {After: "a/b"},
		`.to("a/c")`:                      {To: "a/c"},
		`.before("a/c")`:                  {Before: "a/c"},
		`.after("a/b").before("a/c")`:     {After: "a/b", Before: "a/c"},
		".first(10)":                      {First: 10},
		".last(10)":                       {Last: 10},
		".withProperties()":               {Properties: true},
		".withSizes()":                    {Sizes: true},
		".withUnpublishedDelayedTopics()": {UnpublishedDelayed: true},
		".limitDeepBranches(3,0)":         {DeepBranches: &DeepBranches{Depth: 3}},
		".maximumResultSize(1000)":        {MaxResultSize: 1000},
		".topicTypes([JSON, STRING])":     {Types: []TopicType{JSON, String}},
		".withValues(datatypes.any())":    {Values: true},
	} {
		want, _ := fetchExchange(t, call)
		query.Selector = "?a//"
		request, err := query.request(1<<31 - 1)
		if err != nil {
			t.Errorf("%s: %v", call, err)
			continue
		}
		if got := hex.EncodeToString(service.FetchQuery.EncodeRequest(nil, request)); got != want {
			t.Errorf("%s:\n got %s\nwant %s", call, got, want)
		}
	}
}

func TestFetchRequestErrors(t *testing.T) {
	for want, query := range map[string]FetchQuery{
		"invalid topic selector":    {Selector: ""},
		"both From and After":       {Selector: "a", From: "a", After: "b"},
		"both To and Before":        {Selector: "a", To: "a", Before: "b"},
		"both First and Last":       {Selector: "a", First: 1, Last: 1},
		"negative":                  {Selector: "a", First: -1},
		"topics of type TYPE_200 c": {Selector: "a", Types: []TopicType{200}},
	} {
		if _, err := query.request(100); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", query, err, want)
		}
	}
}

func TestFetchResultVectors(t *testing.T) {
	result := func(call string, query FetchQuery) string {
		_, text := fetchExchange(t, call)
		body, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(err)
		}
		response, err := service.FetchQuery.ReadResponse(body)
		if err != nil {
			t.Fatal(err)
		}
		var lines []string
		r := query.result(&response)
		for i := range r.Topics {
			f := &r.Topics[i]
			value, err := f.Value()
			switch {
			case errors.Is(err, ErrNoValue):
				err = errors.New("no value")
			case errors.Is(err, datatype.ErrIncompatible):
				err = errors.New("incompatible")
			}
			lines = append(lines, fmt.Sprint(f.Path, " ", f.Specification, " ", value, " ", err, " ", f.Size))
		}
		return strings.Join(append(lines, fmt.Sprint(r.More)), "\n")
	}
	for _, c := range []struct {
		call  string
		query FetchQuery
		want  []string
	}{
		{".withValues(json) with results", FetchQuery{Values: true}, []string{
			`a/1 JSON {"v":1} <nil> {0 0 0}`, "a/2 STRING hi <nil> {0 0 0}",
			"a/3 STRING <nil> no value {0 0 0}", "a/4 INT64 7 <nil> {0 0 0}", "false"}},
		{".withValues(any) with results", FetchQuery{Values: true}, []string{
			"a/1 BINARY [1 2] <nil> {0 0 0}", "a/2 DOUBLE 1.5 <nil> {0 0 0}", `a/3 RECORD_V2 [["a","b"]] <nil> {0 0 0}`,
			"a/ts TIME_SERIES <nil> incompatible {0 0 0}", "true"}},
		{".withProperties() with results", FetchQuery{Properties: true}, []string{
			"a/1 JSON <nil> no value {0 0 0}", "a/2 STRING CONFLATION=off PRIORITY=high <nil> no value {0 0 0}",
			"a/3 JSON CONFLATION=off PRIORITY=high <nil> no value {0 0 0}", "false"}},
		{".withSizes() with results", FetchQuery{Sizes: true}, []string{
			"a/1 JSON <nil> no value {5 0 0}", "a/2 STRING <nil> no value {0 0 0}", "a/ts TIME_SERIES <nil> no value {20 10 200}", "false"}},
		// A value that was not asked for: the official client fails, here it is ignored.
		{"no values requested but value sent (server must not)", FetchQuery{}, []string{
			"a/1 JSON <nil> no value {0 0 0}", "a/2 STRING <nil> no value {0 0 0}",
			"a/3 STRING <nil> no value {0 0 0}", "a/4 INT64 <nil> no value {0 0 0}", "false"}},
	} {
		if diff := cmp.Diff(strings.Join(c.want, "\n"), result(c.call, c.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.call, diff)
		}
	}
}

func TestFetchedValue(t *testing.T) {
	f := &FetchedTopic{Path: "a", Specification: Specification{Type: Int64}, HasValue: true, value: []byte{7}}
	if v, err := FetchedValue[datatype.Int64](f); v != 7 || err != nil {
		t.Errorf("int64: %v %v", v, err)
	}
	if v, err := FetchedValue[datatype.JSON](f); v.String() != "7" || err != nil {
		t.Errorf("JSON: %v %v", v, err)
	}
	if _, err := FetchedValue[datatype.String](f); !errors.Is(err, datatype.ErrIncompatible) {
		t.Errorf("string: %v", err)
	}
	f.value = []byte{0x61}
	var invalid *datatype.ValueError
	if _, err := f.Value(); !errors.As(err, &invalid) {
		t.Errorf("malformed: %v", err)
	}
	f.value = nullValue
	if _, err := f.Value(); !errors.Is(err, ErrNoValue) {
		t.Errorf("null: %v", err)
	}
}
