package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// FetchQuery reads topics without subscribing (24).
var FetchQuery = declare[Query, QueryResult](117, "FETCH_QUERY")

// A Query says which topics to fetch and what of them.
type Query struct {
	Selector        string
	From, To        *Limit // nil: no limit
	Types           int64  // bit n: topic type n
	Values          bool
	Properties      bool
	Limit           int32 // n >= 0: the first n; n < 0: the last -n
	MaxResultSize   int32 // bytes
	DeepBranchDepth int32
	DeepBranchLimit int32
	Unpublished     bool // with unpublished delayed topics
	Sizes           bool
}

// AllTypes is the set of every topic type that can be fetched.
const AllTypes = 1<<topic.Binary | 1<<topic.JSON | 1<<topic.TimeSeries | 1<<topic.String |
	1<<topic.Int64 | 1<<topic.Double | 1<<topic.RecordV2

// A Limit is one end of a range of paths.
type Limit struct {
	Path      string
	Inclusive bool
}

func appendLimit(b []byte, l Limit) []byte {
	return wire.AppendBool(wire.AppendString(b, l.Path), l.Inclusive)
}

func readLimit(r *wire.Reader) Limit { return Limit{r.String(), r.Bool()} }

func (m *Query) append(b []byte) []byte {
	b = wire.AppendString(b, m.Selector)
	b = wire.AppendOptional(b, m.From, appendLimit)
	b = wire.AppendOptional(b, m.To, appendLimit)
	b = wire.AppendInt64(b, m.Types)
	b = wire.AppendBool(wire.AppendBool(b, m.Values), m.Properties)
	for _, n := range [...]int32{m.Limit, m.MaxResultSize, m.DeepBranchDepth, m.DeepBranchLimit} {
		b = wire.AppendInt32(b, n)
	}
	return wire.AppendBool(wire.AppendBool(b, m.Unpublished), m.Sizes)
}

func (m *Query) read(r *wire.Reader) {
	m.Selector = r.String()
	m.From, m.To = wire.ReadOptional(r, readLimit), wire.ReadOptional(r, readLimit)
	m.Types = r.Int64()
	m.Values, m.Properties = r.Bool(), r.Bool()
	m.Limit, m.MaxResultSize, m.DeepBranchDepth, m.DeepBranchLimit = r.Int32(), r.Int32(), r.Int32(), r.Int32()
	m.Unpublished, m.Sizes = r.Bool(), r.Bool()
}

// A QueryResult lists topics in path order.
type QueryResult struct {
	PropertySets []map[string]string // what FetchedTopic.PropertySet indexes
	Topics       []FetchedTopic
	More         bool // the limits dropped something
}

// A FetchedTopic is one topic of a result.
type FetchedTopic struct {
	Path        string
	Type        topic.Type
	Value       *[]byte // nil when not asked for, or the topic has none
	PropertySet int32   // never negative; beyond the list, as for an empty list: no properties
	Size        Size
}

// SizeKind says which fields of a [Size] are set.
type SizeKind byte

// The kinds of size.
const (
	NoSize         SizeKind = 0
	ValueSize      SizeKind = 1
	TimeSeriesSize SizeKind = 2
)

// A Size tells how large a topic's value is, in bytes.
type Size struct {
	Kind   SizeKind
	Value  int32 // value, or last event
	Events int32 // TimeSeriesSize
	Total  int64 // TimeSeriesSize
}

// MinFetchedTopic is the least number of bytes that a FetchedTopic takes.
const MinFetchedTopic = 5

// Append appends one result as it stands in the response, so that a server can
// measure what it has so far.
func (t *FetchedTopic) Append(b []byte) []byte {
	b = append(wire.AppendString(b, t.Path), byte(t.Type))
	b = wire.AppendOptional(b, t.Value, wire.AppendBytes)
	b = append(wire.AppendInt32(b, t.PropertySet), byte(t.Size.Kind))
	switch t.Size.Kind {
	case ValueSize:
		b = wire.AppendInt32(b, t.Size.Value)
	case TimeSeriesSize:
		b = wire.AppendInt64(wire.AppendInt32(wire.AppendInt32(b, t.Size.Value), t.Size.Events), t.Size.Total)
	}
	return b
}

func (t *FetchedTopic) read(r *wire.Reader) {
	t.Path, t.Type = r.String(), topic.Type(r.Byte())
	if !t.Type.Known() {
		r.Fail("unknown topic type %d", t.Type)
	}
	t.Value = wire.ReadOptional(r, (*wire.Reader).Bytes)
	t.PropertySet = r.Int32()
	switch t.Size.Kind = SizeKind(r.Byte()); t.Size.Kind {
	case NoSize:
	case ValueSize:
		t.Size.Value = r.Int32()
	case TimeSeriesSize:
		t.Size.Value, t.Size.Events, t.Size.Total = r.Int32(), r.Int32(), r.Int64()
	default:
		r.Fail("unknown size kind %d", t.Size.Kind)
	}
}

func (m *QueryResult) append(b []byte) []byte {
	b = wire.AppendInt32(b, int32(len(m.PropertySets)))
	for _, set := range m.PropertySets {
		b = topic.AppendProperties(b, set)
	}
	b = wire.AppendInt32(b, int32(len(m.Topics)))
	for i := range m.Topics {
		b = m.Topics[i].Append(b)
	}
	return wire.AppendBool(b, m.More)
}

func (m *QueryResult) read(r *wire.Reader) {
	for range r.Count(1) {
		m.PropertySets = append(m.PropertySets, topic.ReadProperties(r))
	}
	if n := r.Count(MinFetchedTopic); n > 0 {
		m.Topics = make([]FetchedTopic, n)
	}
	for i := range m.Topics {
		m.Topics[i].read(r)
		if set := m.Topics[i].PropertySet; set < 0 {
			r.Fail("property set %d", set)
		}
	}
	m.More = r.Bool()
}
