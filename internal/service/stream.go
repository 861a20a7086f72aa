package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Update streams (23 section 5).
var (
	CreateStream       = declare[CreateStreamRequest, NewStream](125, "CREATE_UPDATE_STREAM")
	CreateStreamAndSet = declare[SetRequest, NewStream](126, "CREATE_UPDATE_STREAM_AND_SET")
	CheckStream        = declare[StreamID, Empty](127, "CHECK_UPDATE_STREAM")
	StreamSet          = declare[StreamRequest, Empty](128, "STREAM_SET_TOPIC_SERVICE")
	StreamApplyDelta   = declare[StreamRequest, Empty](129, "STREAM_APPLY_DELTA_SERVICE")
	StreamAdd          = declare[StreamAddRequest, AddedStream](130, "STREAM_ADD_TOPIC_SERVICE")
	StreamAddAndSet    = declare[AddAndSetRequest, AddedStream](131, "STREAM_ADD_AND_SET_TOPIC_SERVICE")
)

// A StreamID names an update stream. A server that is not clustered leaves
// Partition and Generation 0; clients repeat what they were given.
type StreamID struct {
	Topic      int32
	Instance   int32
	Partition  int32 // plus 1; 0: not clustered
	Generation int32
}

func (m *StreamID) append(b []byte) []byte {
	for _, n := range [...]int32{m.Topic, m.Instance, m.Partition, m.Generation} {
		b = wire.AppendInt32(b, n)
	}
	return b
}

func (m *StreamID) read(r *wire.Reader) {
	m.Topic, m.Instance, m.Partition, m.Generation = r.Int32(), r.Int32(), r.Int32(), r.Int32()
}

// StreamFlags tell a client how it may use a stream (11 section 11.5).
type StreamFlags byte

// The flags.
const (
	RetainsValue       StreamFlags = 1 << 0 // deltas may be sent
	SupportsConflation StreamFlags = 1 << 1 // pending values may be collapsed
)

// A CreateStreamRequest opens a stream for a topic without setting a value.
type CreateStreamRequest struct {
	Path       string
	Type       topic.Type
	Constraint Constraint
}

func (m *CreateStreamRequest) append(b []byte) []byte {
	return m.Constraint.append(append(wire.AppendString(b, m.Path), byte(m.Type)))
}

func (m *CreateStreamRequest) read(r *wire.Reader) {
	m.Path, m.Type = r.String(), topic.Type(r.Byte())
	m.Constraint.read(r)
}

// A NewStream answers the requests that open a stream.
type NewStream struct {
	ID    StreamID
	Flags StreamFlags
}

func (m *NewStream) append(b []byte) []byte { return append(m.ID.append(b), byte(m.Flags)) }

func (m *NewStream) read(r *wire.Reader) {
	m.ID.read(r)
	m.Flags = StreamFlags(r.Byte())
}

// A StreamRequest sends a value or a delta through a stream.
type StreamRequest struct {
	ID    StreamID
	Bytes []byte
}

func (m *StreamRequest) append(b []byte) []byte { return wire.AppendBytes(m.ID.append(b), m.Bytes) }

func (m *StreamRequest) read(r *wire.Reader) {
	m.ID.read(r)
	m.Bytes = r.Bytes()
}

// A StreamAddRequest creates a topic unless it exists, and opens a stream for it.
type StreamAddRequest struct {
	Path          string
	Specification topic.Specification
	Constraint    Constraint
}

func (m *StreamAddRequest) append(b []byte) []byte {
	return m.Constraint.append(m.Specification.Append(wire.AppendString(b, m.Path)))
}

func (m *StreamAddRequest) read(r *wire.Reader) {
	m.Path, m.Specification = r.String(), topic.ReadSpecification(r)
	m.Constraint.read(r)
}

// An AddedStream answers the requests that add a topic and open a stream.
type AddedStream struct {
	Created Created
	NewStream
}

func (m *AddedStream) append(b []byte) []byte { return m.NewStream.append(m.Created.append(b)) }

func (m *AddedStream) read(r *wire.Reader) {
	m.Created.read(r)
	m.NewStream.read(r)
}
