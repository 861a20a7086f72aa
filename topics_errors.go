package advect

import (
	"errors"
	"fmt"

	"advect.dev/internal/selector"
	"advect.dev/internal/wire"
)

// Service errors of topics, matched with errors.Is.
var (
	// ErrInvalidTopicPath: a topic cannot have the path. It has an empty
	// segment, or begins in a branch that belongs to the server.
	ErrInvalidTopicPath error = serviceError(wire.CodeTopicPathInvalid, "invalid topic path")
	// ErrIncompatibleUpdate: a value is not of the topic's type.
	ErrIncompatibleUpdate error = serviceError(wire.CodeIncompatibleUpdate, "value of another type than the topic's")
	// ErrInvalidUpdateStream: an [UpdateStream] can no longer be used, because
	// something else has updated the topic, or it was removed.
	ErrInvalidUpdateStream error = serviceError(wire.CodeInvalidUpdateStream, "invalid update stream")
	// ErrInvalidPatch: the text is not a JSON Patch.
	ErrInvalidPatch error = serviceError(wire.CodeInvalidPatch, "invalid JSON patch")
	// ErrPatchFailed: a JSON Patch could not be applied to the topic's value. If
	// one of its operations failed the error is a [*PatchError].
	ErrPatchFailed error = serviceError(wire.CodePatchFailed, "JSON patch failed")
	// ErrNotTimeSeries: the topic is not a time series.
	ErrNotTimeSeries error = serviceError(wire.CodeNotATimeSeries, "not a time series topic")
	// ErrNoSuchEvent: a time series does not hold the event, or it is an edit.
	ErrNoSuchEvent error = serviceError(wire.CodeNoSuchEvent, "no such event")
	// ErrTopicLimit: the server may not have more topics.
	ErrTopicLimit error = serviceError(wire.CodeTopicLicenceLimit, "too many topics")
	// ErrTopicAddFailed: the server could not add the topic, for a reason of
	// its own.
	ErrTopicAddFailed error = serviceError(wire.CodeTopicAddFailure, "topic could not be added")
	// ErrHandlerConflict: there is another handler for the branch of topics.
	ErrHandlerConflict error = serviceError(wire.CodeTreeConflict, "conflict with another handler")
)

// ErrInvalidSelector is matched by the error of every method that is given
// something that is not a topic selector. It says what is wrong, and where.
var ErrInvalidSelector = selector.ErrInvalid

// ErrNoValue is matched by the error of a fetch of a topic that has no value:
// none was set since it was added, it was set to null, or it retains none.
var ErrNoValue = errors.New("no value")

// A TopicError is an error about one topic: a value that could not be read as
// the type of a stream or fetch, a delta that did not apply to the value before
// it, or an announcement of the server that breaks the protocol's rules.
//
// After a delta that did not apply nothing is known of the topic's value until
// the server sends a whole one; the deltas until then are dropped. The session
// goes on. To get a whole value at once, unsubscribe and subscribe again.
type TopicError struct {
	Path string
	Err  error
}

// Error returns the path and the text of Err.
func (e *TopicError) Error() string { return fmt.Sprintf("topic %s: %v", e.Path, e.Err) }

// Unwrap returns Err.
func (e *TopicError) Unwrap() error { return e.Err }
