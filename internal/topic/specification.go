package topic

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"advect.dev/internal/wire"
)

// Type is the type of a topic, as its number on the wire (10 section 10.1).
type Type byte

// The topic types.
const (
	Binary     Type = 14
	JSON       Type = 15
	TimeSeries Type = 16
	String     Type = 17
	Int64      Type = 18
	Double     Type = 19
	RecordV2   Type = 20
	Unknown    Type = 21 // stands for a type that a client's version does not know; never created
)

var typeNames = map[Type]string{
	Binary: "BINARY", JSON: "JSON", TimeSeries: "TIME_SERIES", String: "STRING",
	Int64: "INT64", Double: "DOUBLE", RecordV2: "RECORD_V2", Unknown: "UNKNOWN_TOPIC_TYPE",
}

// String returns the platform's name of t, such as "JSON".
func (t Type) String() string {
	if s, ok := typeNames[t]; ok {
		return s
	}
	return fmt.Sprintf("TYPE_%d", byte(t))
}

// ParseType returns the type of a name, in any letter case.
func ParseType(name string) (Type, error) {
	for t, s := range typeNames {
		if strings.EqualFold(s, name) && t != Unknown {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown topic type %q: one of binary, json, string, int64, double, record_v2, time_series", name)
}

// ParseValueType returns the type of values that a data type name stands for, in
// any letter case: a type of topic, but not TimeSeries (26 section 1).
func ParseValueType(name string) (Type, error) {
	if t, err := ParseType(name); err == nil && t != TimeSeries {
		return t, nil
	}
	return 0, fmt.Errorf("unknown data type %q: one of json, binary, string, int64, double, record_v2", name)
}

// Known reports whether a client of version 29 knows t.
func (t Type) Known() bool { return t >= Binary && t <= Unknown }

// HasDeltas reports whether values of t may travel as binary deltas.
func (t Type) HasDeltas() bool {
	return t == Binary || t == JSON || t == String || t == RecordV2 || t == TimeSeries
}

// HasNull reports whether a topic of type t can be set to have no value.
func (t Type) HasNull() bool { return t == String || t == Int64 || t == Double }

// The keys of topic properties (12 section 12.2).
const (
	Compression                 = "COMPRESSION"
	Conflation                  = "CONFLATION"
	DontRetainValue             = "DONT_RETAIN_VALUE"
	Owner                       = "OWNER"
	Persistent                  = "PERSISTENT"
	Priority                    = "PRIORITY"
	PublishValuesOnly           = "PUBLISH_VALUES_ONLY"
	Removal                     = "REMOVAL"
	Schema                      = "SCHEMA"
	TidyOnUnsubscribe           = "TIDY_ON_UNSUBSCRIBE"
	TimeSeriesEventValueType    = "TIME_SERIES_EVENT_VALUE_TYPE"
	TimeSeriesRetainedRange     = "TIME_SERIES_RETAINED_RANGE"
	TimeSeriesSubscriptionRange = "TIME_SERIES_SUBSCRIPTION_RANGE"
	ValidateValues              = "VALIDATE_VALUES"
)

// A Specification is a topic's type and its properties. Treat Properties as
// read-only: specifications are shared.
type Specification struct {
	Type       Type
	Properties map[string]string
}

// Equal reports whether both have the same type and the same properties.
func (s Specification) Equal(o Specification) bool {
	return s.Type == o.Type && maps.Equal(s.Properties, o.Properties)
}

// Bool returns a boolean property; anything but "true" is false.
func (s Specification) Bool(key string) bool { return s.Properties[key] == "true" }

// String returns the type and the properties in key order.
func (s Specification) String() string {
	var b strings.Builder
	b.WriteString(s.Type.String())
	for _, k := range slices.Sorted(maps.Keys(s.Properties)) {
		fmt.Fprintf(&b, " %s=%s", k, s.Properties[k])
	}
	return b.String()
}

// Append appends the wire form (12 section 12.1) with properties in key order,
// so that equal specifications have equal bytes.
func (s Specification) Append(b []byte) []byte {
	return AppendProperties(append(b, byte(s.Type)), s.Properties)
}

// ReadSpecification reads the wire form. Types that no client of this version
// knows are an error.
func ReadSpecification(r *wire.Reader) Specification {
	s := Specification{Type: Type(r.Byte())}
	if !s.Type.Known() {
		r.Fail("unknown topic type %d", s.Type)
	}
	s.Properties = ReadProperties(r)
	return s
}

// AppendProperties appends a map of strings in key order.
func AppendProperties(b []byte, m map[string]string) []byte {
	b = wire.AppendInt32(b, int32(len(m)))
	var most [16]string // more than there are kinds of property: sorting them allocates nothing
	keys := most[:0]
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		b = wire.AppendString(wire.AppendString(b, k), m[k])
	}
	return b
}

// ReadProperties reads a map of strings; of duplicate keys the last wins. An
// empty map reads as nil.
func ReadProperties(r *wire.Reader) map[string]string {
	n := r.Count(2)
	if n == 0 {
		return nil
	}
	m := make(map[string]string, n)
	for range n {
		k := r.String()
		m[k] = r.String()
	}
	return m
}
