package advect

import (
	"context"
	"errors"
	"fmt"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// Set gives a topic a new value (protocol 23 section 2), of the type that the
// value has. For a time series topic that is the type of its events, and the
// value is appended. The session needs the permission UPDATE_TOPIC. A value that
// is equal to the current one is not published.
//
// Errors: [ErrNoSuchTopic], [ErrIncompatibleUpdate] if the topic's type is not
// that of the value, [ErrUpdateFailed] if the server refuses the value,
// [ErrIncompatibleState] if something else manages the topic,
// [ErrUnsatisfiedConstraint] if there is a constraint ([If]) that does not hold.
func (t *Topics) Set(ctx context.Context, path string, value datatype.Value, opts ...UpdateOption) error {
	if value == nil {
		return fmt.Errorf("set topic %s: %w", path, errNilValue)
	}
	return t.set(ctx, path, TopicType(value.Type()), value.Bytes(), opts)
}

// SetNull takes away a topic's value (protocol 10 section 8). Streams get an
// update that is Null. Only topics of type [String], [Int64] and [Double] can be
// set to null; for other types it fails and sends nothing. Errors and permission
// are as with [Topics.Set].
func (t *Topics) SetNull(ctx context.Context, path string, topicType TopicType, opts ...UpdateOption) error {
	if !topicType.HasNull() {
		return fmt.Errorf("set topic %s to null: topics of type %s cannot be", path, topicType)
	}
	return t.set(ctx, path, topicType, nullValue, opts)
}

// AddAndSet adds a topic unless it exists, and sets its value, in one step
// (protocol 23 section 2). An existing topic must have the same specification.
// The session needs the permissions MODIFY_TOPIC and UPDATE_TOPIC.
//
// The value must be of the specification's type; otherwise it fails and sends
// nothing. Other errors are those of [Topics.Add] and [Topics.Set].
func (t *Topics) AddAndSet(ctx context.Context, path string, specification Specification, value datatype.Value, opts ...UpdateOption) (AddResult, error) {
	if value == nil {
		return 0, fmt.Errorf("add and set topic %s: %w", path, errNilValue)
	}
	if is := TopicType(value.Type()); is != specification.Type && specification.Type != TimeSeries {
		return 0, fmt.Errorf("add and set topic %s: the value is of type %s, the specification of type %s", path, is, specification.Type)
	}
	constraint, err := constraintOf(opts)
	if err != nil {
		return 0, fmt.Errorf("add and set topic %s: %w", path, err)
	}
	created, err := call(ctx, t.session, service.AddAndSetTopic, service.AddAndSetRequest{
		Path: path, Specification: specification, Value: value.Bytes(), Constraint: constraint,
	})
	if err != nil {
		return 0, fmt.Errorf("add and set topic %s: %w", path, err)
	}
	return AddResult(created), nil
}

var (
	errNilValue = errors.New("the value is nil; use SetNull to take a value away")
	nullValue   = []byte{0xf6} // CBOR null
)

func (t *Topics) set(ctx context.Context, path string, topicType TopicType, value []byte, opts []UpdateOption) error {
	constraint, err := constraintOf(opts)
	if err == nil {
		_, err = call(ctx, t.session, service.SetTopic, service.SetRequest{
			Path: path, Type: topicType, Value: value, Constraint: constraint,
		})
	}
	if err != nil {
		return fmt.Errorf("set topic %s: %w", path, err)
	}
	return nil
}
