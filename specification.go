package advect

import (
	"advect.dev/internal/topic"
)

// TopicType is the type of a topic. Its String is the platform's name of it,
// such as "JSON".
type TopicType = topic.Type

// The topic types. The values of each have a Go type in package datatype.
const (
	JSON       TopicType = topic.JSON
	Binary     TopicType = topic.Binary
	String     TopicType = topic.String
	Int64      TopicType = topic.Int64
	Double     TopicType = topic.Double
	RecordV2   TopicType = topic.RecordV2
	TimeSeries TopicType = topic.TimeSeries
)

// The keys of topic properties (protocol 12 section 12.2). All values are text.
const (
	// PropertyCompression is "off", "low" (default), "medium" or "high".
	PropertyCompression = topic.Compression
	// PropertyConflation says what the server does with updates that a session
	// is too slow for: "off", "conflate" (default), "unsubscribe" or "always".
	PropertyConflation = topic.Conflation
	// PropertyDontRetainValue is "true" or "false" (default). With "true" the
	// topic only passes values on: new subscribers get none, and no update has
	// an old value.
	PropertyDontRetainValue = topic.DontRetainValue
	// PropertyOwner names the principal with all permissions on the topic, as
	// "$Principal is 'name'".
	PropertyOwner = topic.Owner
	// PropertyPersistent is "true" (default) or "false".
	PropertyPersistent = topic.Persistent
	// PropertyPriority is "low", "default" or "high".
	PropertyPriority = topic.Priority
	// PropertyPublishValuesOnly is "true" or "false" (default). With "true" the
	// server sends no deltas.
	PropertyPublishValuesOnly = topic.PublishValuesOnly
	// PropertyRemoval is a removal policy, such as "when this session closes".
	PropertyRemoval = topic.Removal
	// PropertySchema is the schema of a record topic.
	PropertySchema = topic.Schema
	// PropertyTidyOnUnsubscribe is "true" or "false" (default). With "true" what
	// is queued for a session is dropped when it unsubscribes.
	PropertyTidyOnUnsubscribe = topic.TidyOnUnsubscribe
	// PropertyTimeSeriesEventValueType is the type of a time series' events.
	PropertyTimeSeriesEventValueType = topic.TimeSeriesEventValueType
	// PropertyTimeSeriesRetainedRange says which events a time series keeps.
	PropertyTimeSeriesRetainedRange = topic.TimeSeriesRetainedRange
	// PropertyTimeSeriesSubscriptionRange says which events a new subscriber gets.
	PropertyTimeSeriesSubscriptionRange = topic.TimeSeriesSubscriptionRange
	// PropertyValidateValues is "true" or "false" (default). With "true" the
	// server refuses values that are not well formed.
	PropertyValidateValues = topic.ValidateValues
)

// A Specification is a topic's type and properties. Specifications that streams
// and fetches yield are shared: do not modify their properties.
type Specification = topic.Specification

// A TopicProperty is a key and a value for [NewSpecification].
type TopicProperty struct{ Key, Value string }

// With returns a topic property. The server, not the client, checks what it means.
func With(key, value string) TopicProperty { return TopicProperty{key, value} }

// NewSpecification returns the specification of a topic:
//
//	advect.NewSpecification(advect.JSON, advect.With(advect.PropertyDontRetainValue, "true"))
//
// If a key occurs twice the last value counts.
func NewSpecification(t TopicType, properties ...TopicProperty) Specification {
	s := Specification{Type: t}
	for _, p := range properties {
		if s.Properties == nil {
			s.Properties = make(map[string]string, len(properties))
		}
		s.Properties[p.Key] = p.Value
	}
	return s
}
