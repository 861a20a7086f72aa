package service

import "advect.dev/internal/wire"

// ApplyJSONPatch changes parts of a JSON topic's value (23 section 4).
var ApplyJSONPatch = declare[PatchRequest, PatchResult](151, "APPLY_JSON_PATCH")

// A PatchRequest is a JSON Patch, as JSON text, for a topic.
type PatchRequest struct {
	Path       string
	Patch      string
	Constraint Constraint
}

func (m *PatchRequest) append(b []byte) []byte {
	return m.Constraint.append(wire.AppendString(wire.AppendString(b, m.Path), m.Patch))
}

func (m *PatchRequest) read(r *wire.Reader) {
	m.Path, m.Patch = r.String(), r.String()
	m.Constraint.read(r)
}

// A PatchResult is the index of the first operation that failed, or PatchApplied.
type PatchResult int32

// PatchApplied says that no operation failed.
const PatchApplied PatchResult = -1

func (m *PatchResult) append(b []byte) []byte { return wire.AppendInt32(b, int32(*m)) }
func (m *PatchResult) read(r *wire.Reader)    { *m = PatchResult(r.Int32()) }
