package topic

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestParseRange(t *testing.T) {
	for text, want := range map[string]Range{
		"limit 20":                            {20, NoLast},
		"last 90s":                            {NoLimit, 90 * time.Second},
		"last 90s limit 20":                   {20, 90 * time.Second},
		"LIMIT 20 LAST 90S":                   {20, 90 * time.Second},
		"limit 0":                             {0, NoLast},
		"Limit\t007\r\n last 5 \n MS ":        {7, 5 * time.Millisecond},
		"limit 20 limit 3 limit 7":            {3, NoLast},
		"last 1h last 2m last 3h":             {NoLimit, 2 * time.Minute},
		"last 2d":                             {NoLimit, 48 * time.Hour},
		"last 2 d limit 1":                    {1, 48 * time.Hour},
		"limit 99999999999999999999":          {NoLimit, NoLast},
		"last 99999999999999999999h limit 2":  {2, NoLast},
		"last 9223372036855ms":                {NoLimit, NoLast}, // more than a Duration holds
		"last 9223372036854ms":                {NoLimit, 9223372036854 * time.Millisecond},
		"limit 9223372036854775806 last 106d": {math.MaxInt64 - 1, 106 * 24 * time.Hour},
	} {
		if got, err := ParseRange(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
}

func TestParseRangeRefusals(t *testing.T) {
	for _, text := range []string{
		"", " ", "20", "limit", "last", "limit20", "last90s", "limit -1", "limit +1", "limit 1.5", "limit 1s", "limit x", "limit 0x10",
		"last 5", "last s", "last 0s", "last -5s", "last 5 limit 2", "last 5y", "last 5ss", "last 5 s s", "last 1h30m", "last 5m5",
		"limit 20,last 5s", "limit 20last 5s", "limit 20 and last 5s", "last 90slimit 20", "limit ٣", "limit\u00a020", "first 5",
	} {
		if got, err := ParseRange(text); err == nil || got != (Range{}) {
			t.Errorf("%q is %v, %v, want an error", text, got, err)
		} else if !strings.Contains(err.Error(), "limit 20") {
			t.Errorf("%q: error %q does not say what to write", text, err)
		}
	}
}

func TestRetainedRange(t *testing.T) {
	s := Specification{TimeSeries, nil}
	if got, want := s.RetainedRange(), (Range{10, NoLast}); got != want {
		t.Errorf("default %v, want %v", got, want)
	}
	s.Properties = map[string]string{TimeSeriesRetainedRange: "last 2s"}
	if got, want := s.RetainedRange(), (Range{NoLimit, 2 * time.Second}); got != want {
		t.Errorf("%v is %v, want %v", s, got, want)
	}
}

// TestSubscriptionRange is the table of 10 section 10.9.
func TestSubscriptionRange(t *testing.T) {
	for _, test := range []struct {
		properties map[string]string
		want       Range
		latest     bool
	}{
		{nil, Range{}, true},
		{map[string]string{TimeSeriesSubscriptionRange: "limit 3"}, Range{3, NoLast}, true},
		{map[string]string{PublishValuesOnly: "true"}, Range{}, false},
		{map[string]string{PublishValuesOnly: "true", TimeSeriesSubscriptionRange: "limit 3"}, Range{3, NoLast}, false},
		{map[string]string{PublishValuesOnly: "false", TimeSeriesSubscriptionRange: "limit 0"}, Range{0, NoLast}, true},
	} {
		if got, latest := (Specification{TimeSeries, test.properties}).SubscriptionRange(); got != test.want || latest != test.latest {
			t.Errorf("%v: %v, %v, want %v, %v", test.properties, got, latest, test.want, test.latest)
		}
	}
}

func FuzzRange(f *testing.F) {
	for _, text := range []string{"limit 20", "last 90s limit 20", "LAST 5 ms", "limit 0", "last 99999999999999999999d", "limit"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := ParseRange(text)
		if err != nil {
			return
		}
		if r.Limit < 0 || r.Last <= 0 {
			t.Fatalf("%q is %#v", text, r)
		}
		if r == (Range{NoLimit, NoLast}) {
			return // nothing says so but a number that is too large
		}
		if again, err := ParseRange(r.String()); err != nil || again != r {
			t.Fatalf("%q is %#v, and %q is %#v, %v", text, r, r, again, err)
		}
	})
}
