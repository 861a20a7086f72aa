package service

import (
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// Request and response messaging (30). MessagingSend goes from the server to the
// client too, where it delivers what other sessions sent to the session.
var (
	MessagingSend      = declare[MessageRequest, Payload](85, "MESSAGING_SEND")
	MessagingToSession = declare[SessionMessage, Payload](86, "MESSAGING_RECEIVER_SERVER")
	// MessagingToHandler delivers what was sent to a path.
	MessagingToHandler           = declare[HandlerMessage, Payload](88, "MESSAGING_RECEIVER_CLIENT")
	RequestHandlerRegistration   = declare[RequestHandler, Empty](97, "MESSAGING_RECEIVER_CONTROL_REGISTRATION")
	RequestHandlerDeregistration = declare[RequestHandlerParameters, Empty](98, "MESSAGING_RECEIVER_CONTROL_DEREGISTRATION")
	MessagingToFilter            = declare[FilterMessage, FlaggedCount](102, "MESSAGING_FILTER_SEND")
	FilterResponse               = declare[FilterAnswer, Empty](103, "FILTER_RESPONSE")
)

// A Payload is the value of a message. Servers forward it as it is: they neither
// decode Data nor check DataType.
type Payload struct {
	DataType string // name of the type of the value, in lower case
	Data     []byte // value form
}

func (m *Payload) append(b []byte) []byte {
	return wire.AppendBytes(wire.AppendString(b, m.DataType), m.Data)
}

func (m *Payload) read(r *wire.Reader) { m.DataType, m.Data = r.String(), r.Bytes() }

// A MessageRequest is a message for whoever serves a path.
type MessageRequest struct {
	Path    string // as the sender wrote it
	Payload Payload
}

func (m *MessageRequest) append(b []byte) []byte {
	return m.Payload.append(wire.AppendString(b, m.Path))
}

func (m *MessageRequest) read(r *wire.Reader) {
	m.Path = r.String()
	m.Payload.read(r)
}

// A SessionMessage is a message for a stream of one session.
type SessionMessage struct {
	Session wire.SessionID
	MessageRequest
}

func (m *SessionMessage) append(b []byte) []byte {
	return m.MessageRequest.append(wire.AppendSessionID(b, m.Session))
}

func (m *SessionMessage) read(r *wire.Reader) {
	m.Session = r.SessionID()
	m.MessageRequest.read(r)
}

// A HandlerMessage delivers a message to a request handler.
type HandlerMessage struct {
	Handler    int64
	Sender     wire.SessionID
	Path       string            // of the message, not of the registration
	Properties map[string]string // of the sender: what the handler asked for
	Payload    Payload
}

func (m *HandlerMessage) append(b []byte) []byte {
	b = wire.AppendSessionID(wire.AppendInt64(b, m.Handler), m.Sender)
	return m.Payload.append(topic.AppendProperties(wire.AppendString(b, m.Path), m.Properties))
}

func (m *HandlerMessage) read(r *wire.Reader) {
	m.Handler, m.Sender = r.Int64(), r.SessionID()
	m.Path, m.Properties = r.String(), topic.ReadProperties(r)
	m.Payload.read(r)
}

// RequestHandlerParameters name a registration of a request handler.
type RequestHandlerParameters struct {
	PathDeregistration
	Keys []string // of session properties; "*F" and "*U" stand for all fixed and all of the user's
}

func (m *RequestHandlerParameters) append(b []byte) []byte {
	return wire.AppendStrings(m.PathDeregistration.append(b), m.Keys)
}

func (m *RequestHandlerParameters) read(r *wire.Reader) {
	m.PathDeregistration.read(r)
	m.Keys = r.Strings()
}

// A RequestHandler registers a handler conversation for the messages that are
// sent to a path and below.
type RequestHandler struct {
	RequestHandlerParameters
	Handler int64
}

func (m *RequestHandler) append(b []byte) []byte {
	return wire.AppendInt64(m.RequestHandlerParameters.append(b), m.Handler)
}

func (m *RequestHandler) read(r *wire.Reader) {
	m.RequestHandlerParameters.read(r)
	m.Handler = r.Int64()
}

// A FilterMessage is a message for a stream of each session that a filter
// selects. The answer counts them; each then answers by a FilterAnswer.
type FilterMessage struct {
	Responses int64 // the conversation that the answers belong to
	Filter    string
	MessageRequest
}

func (m *FilterMessage) append(b []byte) []byte {
	return m.MessageRequest.append(wire.AppendString(wire.AppendInt64(b, m.Responses), m.Filter))
}

func (m *FilterMessage) read(r *wire.Reader) {
	m.Responses, m.Filter = r.Int64(), r.String()
	m.MessageRequest.read(r)
}

// A FilterAnswer is what one session made of a FilterMessage.
type FilterAnswer struct {
	Responses int64
	Session   wire.SessionID
	Payload   Payload            // if Err is nil
	Err       *wire.ServiceError // why there is no answer
}

func (m *FilterAnswer) append(b []byte) []byte {
	b = wire.AppendSessionID(wire.AppendInt64(b, m.Responses), m.Session)
	if m.Err != nil {
		return wire.AppendErrorReason(append(b, 1), *m.Err)
	}
	return m.Payload.append(append(b, 0))
}

func (m *FilterAnswer) read(r *wire.Reader) {
	m.Responses, m.Session = r.Int64(), r.SessionID()
	if m.Err = wire.ReadOptional(r, (*wire.Reader).ErrorReason); m.Err == nil {
		m.Payload.read(r)
	}
}
