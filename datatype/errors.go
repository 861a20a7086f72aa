package datatype

import (
	"errors"
	"fmt"
)

// ErrInvalid is matched by every error that says that bytes are not a value of
// their type. The error itself is a [*ValueError].
var ErrInvalid = errors.New("invalid value")

// ErrIncompatible is matched by the error of [Read] when a topic of the given
// type cannot be read as the Go type that was asked for. [CanRead] tells in
// advance.
var ErrIncompatible = errors.New("incompatible type")

// A ValueError describes why bytes are not a value of a type. It matches
// [ErrInvalid].
type ValueError struct {
	Type   Type   // the type that the bytes should have had
	Offset int    // where in the bytes, or in the text given to ParseJSON
	Reason string // what was found
}

// Error describes the problem and where it is.
func (e *ValueError) Error() string {
	return fmt.Sprintf("invalid %s value at byte %d: %s", e.Type, e.Offset, e.Reason)
}

// Is reports whether target is [ErrInvalid].
func (e *ValueError) Is(target error) bool { return target == ErrInvalid }
