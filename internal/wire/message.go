package wire

import (
	"encoding/binary"
	"fmt"
)

// Type is the kind of a protocol message (02 section 3).
type Type byte

// The message types of version 29.
const (
	TypeRequest      Type = 0  // SERVICE_REQUEST, both ways
	TypeTopicValue   Type = 4  // TOPIC_VALUE, to the client
	TypeTopicDelta   Type = 5  // TOPIC_DELTA, to the client
	TypeResponse     Type = 6  // SERVICE_RESPONSE, both ways
	TypeError        Type = 7  // SERVICE_ERROR, both ways
	TypeAbort        Type = 28 // ABORT_NOTIFICATION, to the client: the session is over
	TypeCloseRequest Type = 29 // CLOSE_REQUEST, to the server: the session is over
	TypeFetchReply   Type = 34 // FETCH_REPLY, obsolete: recognised, never sent
)

const (
	typeMask     = 0x3f
	encodingMask = 0xc0
	encodingZlib = 0x80
)

// String returns the protocol's name of t.
func (t Type) String() string {
	switch t {
	case TypeRequest:
		return "SERVICE_REQUEST"
	case TypeTopicValue:
		return "TOPIC_VALUE"
	case TypeTopicDelta:
		return "TOPIC_DELTA"
	case TypeResponse:
		return "SERVICE_RESPONSE"
	case TypeError:
		return "SERVICE_ERROR"
	case TypeAbort:
		return "ABORT_NOTIFICATION"
	case TypeCloseRequest:
		return "CLOSE_REQUEST"
	case TypeFetchReply:
		return "FETCH_REPLY"
	}
	return fmt.Sprintf("TYPE_%d", byte(t))
}

// Counted reports whether messages of type t have a sequence number
// (03 section 4.1).
func (t Type) Counted() bool { return t != TypeAbort }

// A Message is a decoded frame. Which fields are set depends on Type:
//
//	TypeRequest                 Service, Conversation, Body
//	TypeResponse                Conversation, Body
//	TypeError                   Conversation, Error
//	TypeTopicValue, -Delta      Topic, Compressed, Body
//	TypeAbort, TypeCloseRequest nothing
type Message struct {
	Type         Type
	Compressed   bool // Body is one zlib stream (02 section 3.3)
	Service      int32
	Conversation int64 // 0 in a request: one-way, not to be answered
	Topic        int32
	Error        ServiceError
	Body         []byte // aliases the frame
}

// ParseMessage decodes one whole message.
func ParseMessage(frame []byte) (Message, error) {
	if len(frame) == 0 {
		return Message{}, fmt.Errorf("%w: empty", ErrMalformed)
	}
	m := Message{Type: Type(frame[0] & typeMask)}
	r := NewReader(frame[1:])
	switch m.Type {
	case TypeRequest:
		m.Service, m.Conversation, m.Body = r.Int32(), r.Int64(), r.Rest()
	case TypeResponse:
		m.Conversation, m.Body = r.Int64(), r.Rest()
	case TypeError:
		m.Conversation = r.Int64()
		m.Error.Description, m.Error.Code = r.String(), ErrorCode(r.Int32())
	case TypeTopicValue, TypeTopicDelta:
		m.Compressed = frame[0]&encodingMask == encodingZlib
		m.Topic, m.Body = r.FixedInt32(), r.Rest()
	case TypeAbort, TypeCloseRequest:
	case TypeFetchReply:
		m.Body = r.Rest()
	default:
		return m, fmt.Errorf("%w: unknown type %d", ErrMalformed, m.Type)
	}
	return m, r.Err()
}

// EncodingBits reports whether the frame has any of the two encoding bits set,
// which no client does (02 section 8).
func EncodingBits(frame []byte) bool { return len(frame) > 0 && frame[0]&encodingMask != 0 }

// AppendRequest appends the header of a service request; the body follows.
func AppendRequest(b []byte, service int32, conversation int64) []byte {
	return AppendInt64(AppendInt32(append(b, byte(TypeRequest)), service), conversation)
}

// AppendResponse appends the header of a service response; the body follows.
func AppendResponse(b []byte, conversation int64) []byte {
	return AppendInt64(append(b, byte(TypeResponse)), conversation)
}

// AppendError appends a whole service error.
func AppendError(b []byte, conversation int64, e ServiceError) []byte {
	b = AppendInt64(append(b, byte(TypeError)), conversation)
	return AppendInt32(AppendString(b, e.Description), int32(e.Code))
}

// AppendTopicHeader appends the header of a topic value or delta; its bytes
// follow, as one zlib stream when compressed is set.
func AppendTopicHeader(b []byte, t Type, topic int32, compressed bool) []byte {
	c := byte(t)
	if compressed {
		c |= encodingZlib
	}
	return binary.BigEndian.AppendUint32(append(b, c), uint32(topic))
}

// TopicHeaderLen is the length of what AppendTopicHeader appends.
const TopicHeaderLen = 5
