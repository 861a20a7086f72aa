package advect

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// A FetchQuery says which topics to fetch, and what of them. Only Selector must
// be set.
type FetchQuery struct {
	// Selector, or path, selects the topics. [JoinSelectors] makes one of several.
	Selector string

	// From or After is where the range of paths begins, the one with and the
	// other without the path itself. After "a" comes "a/b". The path need not
	// be a topic. Default: the first topic. Only one of them can be set.
	From, After string
	// To or Before is where the range ends, likewise. Default: the last topic.
	To, Before string

	// First is the largest number of results, counted from the first in path
	// order, or Last, from the last. Default 0: no limit. Only one can be set.
	First, Last int

	// Types are the types of topics to fetch. Default: all.
	Types []TopicType
	// Values asks for the topics' values. Those of a time series can be read as
	// [datatype.Value] only if Properties are asked for too, since they say
	// what it holds.
	Values bool
	// Properties asks for the topics' properties.
	Properties bool
	// Sizes asks how large the values are, whether or not they are fetched too.
	Sizes bool
	// DeepBranches, unless nil, limits the results from deep branches.
	DeepBranches *DeepBranches
	// UnpublishedDelayed includes the topics of views that are not yet published.
	UnpublishedDelayed bool
	// MaxResultSize bounds the response, in bytes. Default, and most: the largest
	// message that the session accepts. Beyond it results are left out.
	MaxResultSize int
}

// DeepBranches limits a fetch to Limit topics of each branch that is named by
// the first Depth segments of a path (protocol 24 section 5). Topics with fewer
// segments are not affected.
type DeepBranches struct{ Depth, Limit int }

// A FetchResult is the answer to a [FetchQuery].
type FetchResult struct {
	// Topics are the results, always in path order.
	Topics []FetchedTopic
	// More says that there are further topics, left out because of First, Last
	// or MaxResultSize. To go on, fetch After the last path, or with Last,
	// Before the first one.
	More bool
}

// A FetchedTopic is a topic of a [FetchResult].
type FetchedTopic struct {
	Path string
	// Specification has properties only if the query asked for them. They may
	// be shared with other results: do not modify them.
	Specification Specification
	// HasValue says that the query asked for values and the topic has one.
	HasValue bool
	// Size is set if the query asked for sizes.
	Size TopicSize

	value []byte
}

// A TopicSize says how large the value of a topic is.
type TopicSize struct {
	Value  int   // bytes of the value, or of a time series' last event; 0 if there is none
	Events int   // number of events of a time series
	Total  int64 // bytes of all events of a time series
}

// Bytes returns the value as it travels, or nil if there is none. For a time
// series that is the last event with its metadata (protocol 10 section 9). The
// slice must not be modified.
func (f *FetchedTopic) Bytes() []byte { return f.value }

// Value returns the value, as the Go type that belongs to the topic's type.
//
// That of a time series is the value of its last event; [FetchedTopic.Event]
// identifies it.
//
// Errors: [ErrNoValue] if there is none or it was not asked for, one that
// matches [datatype.ErrIncompatible] for a time series if the query did not ask
// for properties, a [*datatype.ValueError] for a malformed value.
func (f *FetchedTopic) Value() (datatype.Value, error) { return FetchedValue[datatype.Value](f) }

// FetchedValue returns the value of a fetched topic as a V, as
// [FetchedTopic.Value] does. The error matches [datatype.ErrIncompatible] if
// values of the topic's type cannot be read as V. For a time series of unknown
// type, because the query did not ask for properties, V is taken to be the type
// of its events.
func FetchedValue[V datatype.Value](f *FetchedTopic) (value V, err error) {
	if !f.HasValue {
		return value, &TopicError{f.Path, ErrNoValue}
	}
	typ, known := ValueType(f.Specification)
	bytes := f.value
	if f.Specification.Type == TimeSeries {
		event, err := service.ReadEvent(f.value)
		if err != nil {
			return value, &TopicError{f.Path, fmt.Errorf("event of a time series: %w", err)}
		}
		bytes = event.Value
		switch {
		case known:
		case any(value) == nil:
			return value, &TopicError{f.Path, errUnknownEvents}
		default:
			typ = value.Type()
		}
	}
	value, present, err := datatype.Read[V](typ, bytes)
	switch {
	case err != nil:
		return value, &TopicError{f.Path, err}
	case !present:
		return value, &TopicError{f.Path, ErrNoValue}
	}
	return value, nil
}

var errUnknownEvents = fmt.Errorf("the type of the events is not known: ask for Properties too: %w", datatype.ErrIncompatible)

// Event identifies the last event of a time series, whose value is
// [FetchedTopic.Value]. The error matches [ErrNoValue] if there is none or it
// was not asked for, [ErrNotTimeSeries] if the topic is not a time series.
func (f *FetchedTopic) Event() (EventMetadata, error) {
	switch {
	case f.Specification.Type != TimeSeries:
		return EventMetadata{}, &TopicError{f.Path, ErrNotTimeSeries}
	case !f.HasValue:
		return EventMetadata{}, &TopicError{f.Path, ErrNoValue}
	}
	event, err := service.ReadEvent(f.value)
	if err != nil {
		return EventMetadata{}, &TopicError{f.Path, fmt.Errorf("event of a time series: %w", err)}
	}
	return eventMetadata(&event), nil
}

// Fetch returns the current value of one topic without subscribing to it, as the
// Go type that belongs to the topic's type (protocol 24). The session needs the
// permissions SELECT_TOPIC and READ_TOPIC.
//
// Errors: [ErrNoSuchTopic] if there is no topic at the path, or none that the
// session may read; [ErrNoValue] if it has no value; those of
// [FetchedTopic.Value].
func (t *Topics) Fetch(ctx context.Context, path string) (datatype.Value, error) {
	return FetchValue[datatype.Value](ctx, t, path)
}

// FetchValue is [Topics.Fetch] for a value of a known type. The error matches
// [datatype.ErrIncompatible] if the topic is of a type that cannot be read as V.
func FetchValue[V datatype.Value](ctx context.Context, t *Topics, path string) (value V, err error) {
	result, err := t.FetchTopics(ctx, FetchQuery{Selector: ">" + path, Values: true, Properties: true})
	switch {
	case err != nil:
		return value, err
	case len(result.Topics) == 0 && result.More:
		return value, fmt.Errorf("fetch %s: %w", path, errTooLarge)
	case len(result.Topics) == 0:
		return value, fmt.Errorf("fetch %s: %w", path, ErrNoSuchTopic)
	}
	if value, err = FetchedValue[V](&result.Topics[0]); err != nil {
		return value, fmt.Errorf("fetch: %w", err)
	}
	return value, nil
}

var errTooLarge = errors.New("the topic does not fit into the maximum result size")

// FetchTopics returns the topics that a query asks for (protocol 24), as they
// are at the moment. Topics that the session may not read are left out. The
// session needs the permission SELECT_TOPIC.
//
// A selector that is not one is an error that matches [ErrInvalidSelector], or
// [ErrInvalidData] if it is the server that refuses it, for a regular expression.
func (t *Topics) FetchTopics(ctx context.Context, query FetchQuery) (FetchResult, error) {
	request, err := query.request(t.maxValue)
	if err != nil {
		return FetchResult{}, fmt.Errorf("fetch: %w", err)
	}
	response, err := call(ctx, t.session, service.FetchQuery, request)
	if err != nil {
		return FetchResult{}, fmt.Errorf("fetch %s: %w", request.Selector, err)
	}
	return query.result(&response), nil
}

// result returns the public form of a response.
func (q *FetchQuery) result(response *service.QueryResult) FetchResult {
	result := FetchResult{Topics: make([]FetchedTopic, len(response.Topics)), More: response.More}
	for i, r := range response.Topics {
		f := &result.Topics[i]
		f.Path, f.Specification.Type = r.Path, r.Type
		if q.Properties && int(r.PropertySet) < len(response.PropertySets) {
			f.Specification.Properties = response.PropertySets[r.PropertySet]
		}
		if q.Values && r.Value != nil {
			f.HasValue, f.value = true, *r.Value
		}
		f.Size = TopicSize{Value: int(r.Size.Value), Events: int(r.Size.Events), Total: r.Size.Total}
	}
	return result
}

// FetchAll yields all topics that a query asks for, in path order, with as many
// requests as that takes. First is the number of topics in each request, as far
// as they fit; Last must not be set. Topics that are added or removed between
// two requests may be among the results or not.
//
// An error is the last thing that the loop gets. Errors are those of
// [Topics.FetchTopics].
func (t *Topics) FetchAll(ctx context.Context, query FetchQuery) iter.Seq2[FetchedTopic, error] {
	return func(yield func(FetchedTopic, error) bool) {
		if query.Last != 0 {
			yield(FetchedTopic{}, errors.New("fetch: Last is set, but all topics are fetched from the first on"))
			return
		}
		for page := query; ; {
			result, err := t.FetchTopics(ctx, page)
			if err == nil && result.More && len(result.Topics) == 0 {
				err = fmt.Errorf("fetch %s after %q: %w", query.Selector, page.After, errTooLarge)
			}
			if err != nil {
				yield(FetchedTopic{}, err)
				return
			}
			for _, f := range result.Topics {
				if !yield(f, nil) {
					return
				}
			}
			if !result.More {
				return
			}
			page.From, page.After = "", result.Topics[len(result.Topics)-1].Path
		}
	}
}

// request checks a query and returns its wire form.
func (q *FetchQuery) request(maxSize int) (r service.Query, err error) {
	if r.Selector, err = join([]string{q.Selector}); err != nil {
		return r, err
	}
	if r.From, err = limit("From", q.From, "After", q.After); err != nil {
		return r, err
	}
	if r.To, err = limit("To", q.To, "Before", q.Before); err != nil {
		return r, err
	}
	if r.Types = service.AllTypes; len(q.Types) > 0 {
		r.Types = 0
		for _, t := range q.Types {
			if t < topic.Binary || t > topic.RecordV2 {
				return r, fmt.Errorf("topics of type %s cannot be fetched", t)
			}
			r.Types |= 1 << t
		}
	}
	r.Values, r.Properties, r.Sizes, r.Unpublished = q.Values, q.Properties, q.Sizes, q.UnpublishedDelayed
	if r.Limit, err = q.limit(); err != nil {
		return r, err
	}
	if r.MaxResultSize = int32(min(maxSize, math.MaxInt32)); q.MaxResultSize != 0 {
		r.MaxResultSize = min(r.MaxResultSize, clamp(q.MaxResultSize))
	}
	r.DeepBranchDepth, r.DeepBranchLimit = math.MaxInt32, math.MaxInt32
	if deep := q.DeepBranches; deep != nil {
		r.DeepBranchDepth, r.DeepBranchLimit = clamp(deep.Depth), clamp(deep.Limit)
	}
	return r, nil
}

// limit returns field 7 of the request: the last n are a negative number.
func (q *FetchQuery) limit() (int32, error) {
	switch {
	case q.First < 0 || q.Last < 0:
		return 0, errors.New("the query has a negative First or Last")
	case q.First > 0 && q.Last > 0:
		return 0, errors.New("the query has both First and Last")
	case q.Last > 0:
		return -clamp(q.Last), nil
	case q.First > 0:
		return clamp(q.First), nil
	}
	return math.MaxInt32, nil
}

func limit(inclusiveName, inclusive, exclusiveName, exclusive string) (*service.Limit, error) {
	switch {
	case inclusive != "" && exclusive != "":
		return nil, fmt.Errorf("the query has both %s and %s", inclusiveName, exclusiveName)
	case inclusive != "":
		return &service.Limit{Path: inclusive, Inclusive: true}, nil
	case exclusive != "":
		return &service.Limit{Path: exclusive}, nil
	}
	return nil, nil
}

// clamp returns n as the protocol's 32-bit number.
func clamp(n int) int32 { return int32(max(0, min(n, math.MaxInt32))) }
