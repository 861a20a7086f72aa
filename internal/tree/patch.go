package tree

import (
	"errors"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Patch applies a JSON Patch to a JSON topic's value, if the constraint is
// satisfied. The result is the index of the operation that cannot be applied, if
// there is one; then nothing changes. Errors are service errors (23 section 4).
func (t *Tree) Patch(by *Author, r *service.PatchRequest) (service.PatchResult, error) {
	patch, err := datatype.ParsePatch([]byte(r.Patch))
	if err != nil {
		return 0, wire.Errorf(wire.CodeInvalidPatch, "%v", err)
	}
	path := topic.Canonical(r.Path)
	n := t.Get(path)
	if n == nil {
		if err := t.satisfied(&r.Constraint, path, nil); err != nil {
			return 0, err
		}
		return 0, noSuchTopic(path)
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.removed {
		return 0, noSuchTopic(path)
	}
	if err := t.satisfied(&r.Constraint, path, n); err != nil {
		return 0, err
	}
	if n.spec.Type != topic.JSON {
		return 0, wire.Errorf(wire.CodeIncompatibleUpdate, "topic %q is %s: only JSON topics can be patched", path, n.spec.Type)
	}
	value, ok := n.Value()
	if !ok {
		return 0, nil // the first operation has nothing to work on
	}
	patched, err := patch.ApplyLimit(datatype.JSONFromBytes(value), t.config.MaxValue)
	var failed *datatype.PatchError
	switch {
	case errors.As(err, &failed):
		return service.PatchResult(failed.Operation), nil
	case err != nil:
		return 0, wire.Errorf(wire.CodePatchFailed, "the value of topic %q cannot be patched: %v", path, err)
	}
	if err := n.spec.accept(path, patched.Bytes()); err != nil {
		return 0, wire.Errorf(wire.CodePatchFailed, "%v", err)
	}
	n.set(by, patched.Bytes(), nil, nil)
	return service.PatchApplied, nil
}
