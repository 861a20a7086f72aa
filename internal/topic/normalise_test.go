package topic

import (
	"maps"
	"strings"
	"testing"
)

func TestNormaliseValues(t *testing.T) {
	for _, test := range []struct{ key, value, want string }{
		{ValidateValues, "TRUE", "true"},
		{TidyOnUnsubscribe, "False", "false"},
		{Persistent, "maybe", "maybe"}, // kept, and has no effect
		{PublishValuesOnly, "yes", "yes"},
		{DontRetainValue, "True", "true"},
		{Priority, "HIGH", "high"},
		{Conflation, "Unsubscribe", "unsubscribe"},
		{Compression, "True", "true"},
		{Compression, "Medium", "medium"},
		{"unlisted", "Kept Verbatim", "Kept Verbatim"},
		{"priority", "HIGH", "HIGH"}, // keys are upper case
	} {
		given := Specification{JSON, map[string]string{test.key: test.value}}
		got, err := given.Normalise()
		if err != nil || !maps.Equal(got.Properties, map[string]string{test.key: test.want}) {
			t.Errorf("%v normalised: %v, %v, want %s", given, got, err, test.want)
		}
		if given.Properties[test.key] != test.value {
			t.Errorf("%s: the given specification was changed", test.key)
		}
	}
}

func TestNormaliseRefusals(t *testing.T) {
	for _, test := range []struct{ key, value string }{
		{DontRetainValue, "yes"}, {DontRetainValue, ""}, {Priority, "urgent"}, {Conflation, "true"}, {Compression, "best"},
	} {
		got, err := Specification{JSON, map[string]string{test.key: test.value}}.Normalise()
		if err == nil || !strings.Contains(err.Error(), test.key) {
			t.Errorf("%s=%s normalised: %v, %v, want an error that names the property", test.key, test.value, got, err)
		}
	}
	for _, ty := range []Type{0, 13, Unknown, 22, 255} {
		if got, err := (Specification{Type: ty}).Normalise(); err == nil {
			t.Errorf("type %s normalised: %v, want an error", ty, got)
		}
	}
}

func TestNormaliseKeepsNoProperties(t *testing.T) {
	if got, err := (Specification{Type: Double}).Normalise(); err != nil || got.Properties != nil {
		t.Errorf("%#v, %v, want no properties", got, err)
	}
}

func TestNormaliseTimeSeries(t *testing.T) {
	for _, test := range []struct{ key, value, want string }{
		{TimeSeriesEventValueType, "Record_V2", "record_v2"},
		{TimeSeriesEventValueType, "JSON", "json"},
		{TimeSeriesRetainedRange, "LIMIT 20  Last 90S", "LIMIT 20  Last 90S"},
		{TimeSeriesSubscriptionRange, "limit 0", "limit 0"},
		{Conflation, "OFF", "off"},
		{Conflation, "unsubscribe", "unsubscribe"},
		{Owner, `$Principal is 'Bob'`, `$Principal is 'Bob'`},
	} {
		given := Specification{TimeSeries, map[string]string{TimeSeriesEventValueType: "int64"}}
		given.Properties[test.key] = test.value
		got, err := given.Normalise()
		if err != nil || len(got.Properties) != len(given.Properties) || got.Properties[test.key] != test.want {
			t.Errorf("%v normalised: %v, %v, want %s", given, got, err, test.want)
		}
	}
	for _, test := range []struct{ key, value string }{
		{TimeSeriesEventValueType, ""}, {TimeSeriesEventValueType, "time_series"}, {TimeSeriesEventValueType, "text"},
		{TimeSeriesRetainedRange, "limit 0"}, {TimeSeriesRetainedRange, "last 5s limit 0"}, {TimeSeriesRetainedRange, ""},
		{TimeSeriesSubscriptionRange, "limit"}, {Conflation, "conflate"}, {Conflation, "Always"}, {Owner, "bob"},
	} {
		given := Specification{TimeSeries, map[string]string{TimeSeriesEventValueType: "int64"}}
		given.Properties[test.key] = test.value
		if got, err := given.Normalise(); err == nil || !strings.Contains(err.Error(), test.key) {
			t.Errorf("%v normalised: %v, %v, want an error that names the property", given, got, err)
		}
	}
	const want = "Missing mandatory property TIME_SERIES_EVENT_VALUE_TYPE."
	if got, err := (Specification{Type: TimeSeries}).Normalise(); err == nil || err.Error() != want {
		t.Errorf("without a value type: %v, %v, want the error %q", got, err, want)
	}
}

// TestNormaliseKeepsWhatDoesNotApply: such properties are not even checked
// (12 section 12.2).
func TestNormaliseKeepsWhatDoesNotApply(t *testing.T) {
	for _, given := range []Specification{
		{JSON, map[string]string{TimeSeriesEventValueType: "Nonsense", TimeSeriesRetainedRange: "limit 0", TimeSeriesSubscriptionRange: ""}},
		{Int64, map[string]string{Compression: "Best"}},
	} {
		if got, err := given.Normalise(); err != nil || !got.Equal(given) {
			t.Errorf("%v normalised: %v, %v, want no change", given, got, err)
		}
	}
}

func TestParseValueType(t *testing.T) {
	for name, want := range map[string]Type{"json": JSON, "Binary": Binary, "STRING": String, "int64": Int64, "double": Double, "record_v2": RecordV2} {
		if got, err := ParseValueType(name); err != nil || got != want {
			t.Errorf("%s is %s, %v, want %s", name, got, err, want)
		}
	}
	for _, name := range []string{"", "time_series", "unknown_topic_type", "recordv2", "json "} {
		if got, err := ParseValueType(name); err == nil {
			t.Errorf("%q is %s, want an error", name, got)
		}
	}
}
