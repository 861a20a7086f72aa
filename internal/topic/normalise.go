package topic

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Normalise checks a specification that a client sent and returns the form that
// is stored and compared: boolean and enumerated values in lower case, keys that
// are unknown or do not apply to the type kept (12 section 12.4). The error says
// which property is wrong.
func (s Specification) Normalise() (Specification, error) {
	if s.Type < Binary || s.Type > RecordV2 {
		return s, fmt.Errorf("topics of type %s cannot be created", s.Type)
	}
	if _, ok := s.Properties[TimeSeriesEventValueType]; !ok && s.Type == TimeSeries {
		//lint:ignore ST1005 clients know this text (22 section 2)
		return s, fmt.Errorf("Missing mandatory property %s.", TimeSeriesEventValueType)
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
			if s.Type == TimeSeries && lower != "off" && lower != "unsubscribe" {
				return s, badProperty(key, value, "off or unsubscribe: events are never merged")
			}
			value = lower
		case Compression:
			if !slices.Contains([]string{"off", "low", "medium", "high", "true", "false"}, lower) {
				if s.Type == Int64 || s.Type == Double {
					break
				}
				return s, badProperty(key, value, "off, low, medium or high")
			}
			value = lower
		case Owner:
			if _, err := ParseOwner(value); err != nil {
				return s, fmt.Errorf("property %s is %q; %w", key, value, err)
			}
		case TimeSeriesEventValueType, TimeSeriesRetainedRange, TimeSeriesSubscriptionRange:
			if s.Type != TimeSeries {
				break
			}
			var err error
			if value, err = normaliseTimeSeries(key, value); err != nil {
				return s, fmt.Errorf("property %s: %w", key, err)
			}
		}
		if out.Properties == nil {
			out.Properties = make(map[string]string, len(s.Properties))
		}
		out.Properties[key] = value
	}
	return out, nil
}

// normaliseTimeSeries does so for the properties that only time series have.
func normaliseTimeSeries(key, value string) (string, error) {
	switch key {
	case TimeSeriesEventValueType:
		t, err := ParseValueType(value)
		return strings.ToLower(t.String()), err
	case TimeSeriesRetainedRange:
		_, err := parseRetained(value)
		return value, err
	default:
		_, err := ParseRange(value)
		return value, err
	}
}

func badProperty(key, value, want string) error {
	return fmt.Errorf("property %s is %q; use %s", key, value, want)
}
