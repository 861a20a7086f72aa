package topic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Normalise checks a specification that a client sent and returns the form that
// is stored and compared: boolean and enumerated values in lower case, unknown
// keys kept (12 section 12.4). The error says which property is wrong.
func (s Specification) Normalise() (Specification, error) {
	if s.Type < Binary || s.Type > RecordV2 {
		return s, fmt.Errorf("topics of type %s cannot be created", s.Type)
	}
	out := Specification{Type: s.Type}
	for _, key := range slices.Sorted(maps.Keys(s.Properties)) {
		value := s.Properties[key]
		lower := strings.ToLower(value)
		switch key {
		case PublishValuesOnly, ValidateValues, TidyOnUnsubscribe, Persistent:
			if lower == "true" || lower == "false" {
				value = lower
			}
		case DontRetainValue:
			if lower != "true" && lower != "false" {
				return s, badProperty(key, value, "true or false")
			}
			value = lower
		case Priority:
			if !slices.Contains([]string{"low", "default", "high"}, lower) {
				return s, badProperty(key, value, "low, default or high")
			}
			value = lower
		case Conflation:
			if !slices.Contains([]string{"off", "conflate", "unsubscribe", "always"}, lower) {
				return s, badProperty(key, value, "off, conflate, unsubscribe or always")
			}
			value = lower
		case Compression:
			if !slices.Contains([]string{"off", "low", "medium", "high", "true", "false"}, lower) {
				return s, badProperty(key, value, "off, low, medium or high")
			}
			value = lower
		}
		if out.Properties == nil {
			out.Properties = make(map[string]string, len(s.Properties))
		}
		out.Properties[key] = value
	}
	return out, nil
}

func badProperty(key, value, want string) error {
	return fmt.Errorf("property %s is %q; use %s", key, value, want)
}
