package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Topic control (22) and update (23).
var (
	TopicAdd       = declare[AddRequest, Created](112, "TOPIC_ADD")
	TopicRemoval   = declare[Text, Count](83, "TOPIC_REMOVAL")
	SetTopic       = declare[SetRequest, Empty](118, "SET_TOPIC")
	AddAndSetTopic = declare[AddAndSetRequest, Created](122, "ADD_AND_SET_TOPIC")
)

// An AddRequest creates a topic.
type AddRequest struct {
	Path          string // as the application wrote it
	Specification topic.Specification
}

func (m *AddRequest) append(b []byte) []byte {
	return m.Specification.Append(wire.AppendString(b, m.Path))
}

func (m *AddRequest) read(r *wire.Reader) {
	m.Path, m.Specification = r.String(), topic.ReadSpecification(r)
}

// Created says whether an adding request found the topic there already.
type Created byte

// The two outcomes.
const (
	TopicCreated Created = 0
	TopicExists  Created = 1
)

func (m *Created) append(b []byte) []byte { return append(b, byte(*m)) }

func (m *Created) read(r *wire.Reader) {
	if *m = Created(r.Byte()); *m > TopicExists {
		r.Fail("unknown creation result %d", *m)
	}
}

// A SetRequest sets the value of a topic.
type SetRequest struct {
	Path       string
	Type       topic.Type // the value's; for a time series the event value's
	Value      []byte
	Constraint Constraint
}

func (m *SetRequest) append(b []byte) []byte {
	b = append(wire.AppendString(b, m.Path), byte(m.Type))
	return m.Constraint.append(wire.AppendBytes(b, m.Value))
}

func (m *SetRequest) read(r *wire.Reader) {
	m.Path, m.Type, m.Value = r.String(), topic.Type(r.Byte()), r.Bytes()
	m.Constraint.read(r)
}

// An AddAndSetRequest creates a topic unless it exists, and sets its value.
type AddAndSetRequest struct {
	Path          string
	Specification topic.Specification
	Value         []byte
	Constraint    Constraint
}

func (m *AddAndSetRequest) append(b []byte) []byte {
	b = m.Specification.Append(wire.AppendString(b, m.Path))
	return m.Constraint.append(wire.AppendBytes(b, m.Value))
}

func (m *AddAndSetRequest) read(r *wire.Reader) {
	m.Path, m.Specification, m.Value = r.String(), topic.ReadSpecification(r), r.Bytes()
	m.Constraint.read(r)
}
