package advect

import (
	"context"
	"fmt"

	"advect.dev/internal/service"
)

// A PatchError says which operation of a JSON Patch could not be applied. The patch
// has then changed nothing. It matches [ErrPatchFailed].
type PatchError struct {
	Path      string // of the topic
	Operation int    // index of the first that failed
}

// Error returns the path and the index.
func (e *PatchError) Error() string {
	return fmt.Sprintf("patch topic %s: operation %d cannot be applied: its target is missing, or a test failed", e.Path, e.Operation)
}

// Is matches [ErrPatchFailed].
func (e *PatchError) Is(target error) bool { return target == ErrPatchFailed }

// ApplyPatch changes parts of the value of a JSON topic as a JSON Patch (RFC
// 6902) says, all of it or nothing (protocol 23 section 4). The patch is JSON text:
//
//	err := topics.ApplyPatch(ctx, "prices/eur", `[{"op": "replace", "path": "/bid", "value": 1.08}]`)
//
// A test compares the form in which values travel: the integer 1 and the float
// 1.0 differ. A patch that changes nothing is not published. The session needs
// the permission UPDATE_TOPIC.
//
// Errors: a [*PatchError] if an operation cannot be applied, [ErrInvalidPatch]
// if the text is not a JSON Patch, [ErrPatchFailed] if the topic's value is
// malformed, [ErrIncompatibleUpdate] if the topic is not of type JSON, and those
// of [Topics.Set].
func (t *Topics) ApplyPatch(ctx context.Context, path, patch string, opts ...UpdateOption) error {
	constraint, err := constraintOf(opts)
	if err != nil {
		return fmt.Errorf("patch topic %s: %w", path, err)
	}
	failed, err := call(ctx, t.session, service.ApplyJSONPatch, service.PatchRequest{Path: path, Patch: patch, Constraint: constraint})
	switch {
	case err != nil:
		return fmt.Errorf("patch topic %s: %w", path, err)
	case failed != service.PatchApplied:
		return &PatchError{Path: path, Operation: int(failed)}
	}
	return nil
}
