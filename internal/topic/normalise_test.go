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
