package tree

import (
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zlib"

	"advect.dev/datatype"
	"advect.dev/internal/outbox"
	"advect.dev/internal/removal"
	"advect.dev/internal/topic"
)

// A specification is a topic's, with what the tree needs of it worked out once.
type specification struct {
	topic.Specification
	valueType topic.Type // of what is set: for a time series that of its events
	retains   bool       // keeps the latest value
	deltas    bool       // publishes deltas
	validates bool       // inbound values are checked
	schema    *datatype.Schema
	level     int // of compression; 0: off

	conflation outbox.Conflation
	priority   outbox.Priority
	tidy       bool

	owner   string          // principal; "": none
	removal *removal.Policy // nil: none

	counts *counts // of the tree
}

var (
	conflations = map[string]outbox.Conflation{
		"off": outbox.Never, "unsubscribe": outbox.Unsubscribe, "always": outbox.Always,
	}
	priorities = map[string]outbox.Priority{"low": outbox.Low, "high": outbox.High}
	levels     = map[string]int{
		"": zlib.BestSpeed, "low": zlib.BestSpeed, "medium": 6, "true": 6, "high": zlib.BestCompression,
	}
)

// newSpecification checks what a client wants of a topic (12 section 12.4).
func newSpecification(given topic.Specification) (*specification, error) {
	s, err := given.Normalise()
	if err != nil {
		return nil, err
	}
	series := s.Type == topic.TimeSeries
	sp := &specification{
		Specification: s,
		valueType:     s.Type,
		retains:       series || !s.Bool(topic.DontRetainValue),
		validates:     s.Bool(topic.ValidateValues),
		conflation:    conflations[s.Properties[topic.Conflation]],
		priority:      priorities[s.Properties[topic.Priority]],
		tidy:          s.Bool(topic.TidyOnUnsubscribe),
	}
	if series {
		if sp.valueType, err = topic.ParseValueType(s.Properties[topic.TimeSeriesEventValueType]); err != nil {
			return nil, err
		}
		if sp.conflation == outbox.Conflate {
			sp.conflation = outbox.Never // the default of a time series
		}
	}
	sp.deltas = sp.retains && s.Type.HasDeltas() && !s.Bool(topic.PublishValuesOnly)
	if s.Type != topic.Int64 && s.Type != topic.Double {
		sp.level = levels[s.Properties[topic.Compression]]
	}
	if text, ok := s.Properties[topic.Schema]; ok && s.Type == topic.RecordV2 {
		if sp.schema, err = datatype.ParseSchema(text); err != nil {
			return nil, fmt.Errorf("property %s: %w", topic.Schema, err)
		}
	}
	if text, ok := s.Properties[topic.Owner]; ok {
		if sp.owner, err = topic.ParseOwner(text); err != nil {
			return nil, fmt.Errorf("property %s: %w", topic.Owner, err)
		}
	}
	if text, ok := s.Properties[topic.Removal]; ok {
		if sp.removal, err = removal.Parse(text); err != nil {
			return nil, fmt.Errorf("property %s: %w", topic.Removal, err)
		}
	}
	return sp, nil
}

// collapses reports whether the client of an update stream may leave out values
// that others follow (11 section 11.5).
func (s *specification) collapses() bool {
	return s.Type != topic.TimeSeries && s.conflation != outbox.Never
}

// startsWithValue reports whether subscriptions to a topic that has a value start
// with one.
func (s *specification) startsWithValue() bool {
	if s.Type != topic.TimeSeries {
		return s.retains
	}
	r, latest := s.SubscriptionRange()
	return latest || r.Limit > 0
}

// check checks a value against what the topic takes (10 section 10.13).
func (s *specification) check(value []byte) error {
	t := datatype.Type(s.valueType)
	if !s.validates {
		return datatype.Plausible(t, value)
	}
	if err := datatype.Validate(t, value); err != nil || s.schema == nil {
		return err
	}
	return s.schema.Validate(datatype.RecordV2FromBytes(value))
}

// interner lets topics share their specifications: trees have many topics and
// few specifications. Beyond its limit it shares no more.
type interner struct {
	known sync.Map // wire form of what clients sent -> *specification
	count atomic.Int32

	counts counts // of the topics that have the specifications
}

const (
	maxInterned     = 4096
	maxInternedSize = 1024 // octets of one: what is shared is never given up
)

// get returns the specification that a client means.
func (i *interner) get(given topic.Specification) (*specification, error) {
	key := string(given.Append(nil))
	if sp, ok := i.known.Load(key); ok {
		return sp.(*specification), nil
	}
	sp, err := newSpecification(given)
	if err != nil {
		return nil, err
	}
	sp.counts = &i.counts
	if len(key) <= maxInternedSize && i.count.Load() < maxInterned {
		if other, loaded := i.known.LoadOrStore(key, sp); loaded {
			return other.(*specification), nil
		}
		i.count.Add(1)
	}
	return sp, nil
}
