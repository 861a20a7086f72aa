package service

import (
	"fmt"

	"advect.dev/internal/wire"
)

// A Service is one protocol service: requests of type Req are answered by
// responses of type Res.
type Service[Req, Res any] struct {
	ID   int32
	Name string

	appendReq func([]byte, *Req) []byte
	readReq   func(*wire.Reader, *Req)
	appendRes func([]byte, *Res) []byte
	readRes   func(*wire.Reader, *Res)
}

// body is implemented by the pointer to each request and response struct.
// read sets every field, or fails the reader.
type body[T any] interface {
	*T
	append(b []byte) []byte
	read(r *wire.Reader)
}

func declare[Req, Res any, PReq body[Req], PRes body[Res]](id int32, name string) *Service[Req, Res] {
	return &Service[Req, Res]{
		ID: id, Name: name,
		appendReq: func(b []byte, v *Req) []byte { return PReq(v).append(b) },
		readReq:   func(r *wire.Reader, v *Req) { PReq(v).read(r) },
		appendRes: func(b []byte, v *Res) []byte { return PRes(v).append(b) },
		readRes:   func(r *wire.Reader, v *Res) { PRes(v).read(r) },
	}
}

// AppendRequest appends a whole SERVICE_REQUEST message.
func (s *Service[Req, Res]) AppendRequest(b []byte, conversation int64, req Req) []byte {
	return s.appendReq(wire.AppendRequest(b, s.ID, conversation), &req)
}

// AppendResponse appends a whole SERVICE_RESPONSE message.
func (s *Service[Req, Res]) AppendResponse(b []byte, conversation int64, res Res) []byte {
	return s.appendRes(wire.AppendResponse(b, conversation), &res)
}

// ReadRequest decodes the body of a request. Bytes after the last field are
// ignored (02 section 1.3). Byte slices in the result alias body.
func (s *Service[Req, Res]) ReadRequest(body []byte) (req Req, err error) {
	r := wire.NewReader(body)
	s.readReq(r, &req)
	return req, s.wrap("request", r.Err())
}

// A Decoding is room for a request, to be used for one after another.
type Decoding[Req any] struct {
	Request Req
	reader  wire.Reader
}

// Decode does as ReadRequest, in room that is zero.
func (s *Service[Req, Res]) Decode(d *Decoding[Req], body []byte) error {
	d.reader.Reset(body)
	s.readReq(&d.reader, &d.Request)
	return s.wrap("request", d.reader.Err())
}

// ReadResponse decodes the body of a response, as ReadRequest does.
func (s *Service[Req, Res]) ReadResponse(body []byte) (res Res, err error) {
	r := wire.NewReader(body)
	s.readRes(r, &res)
	return res, s.wrap("response", r.Err())
}

func (s *Service[Req, Res]) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s %s: %w", s.Name, what, err)
}

// A Declaration is a Service without its types, for code that treats all of
// them alike, such as the inspector.
type Declaration interface {
	Number() int32
	String() string
	// DecodeRequest and DecodeResponse return the struct of the body.
	DecodeRequest(body []byte) (any, error)
	DecodeResponse(body []byte) (any, error)
	// EncodeRequest and EncodeResponse append the body of a struct that the
	// decoders returned; other types panic.
	EncodeRequest(b []byte, v any) []byte
	EncodeResponse(b []byte, v any) []byte
}

// Number returns the service's id.
func (s *Service[Req, Res]) Number() int32 { return s.ID }

// String returns the service's name.
func (s *Service[Req, Res]) String() string { return s.Name }

// DecodeRequest implements [Declaration].
func (s *Service[Req, Res]) DecodeRequest(body []byte) (any, error) { return s.ReadRequest(body) }

// DecodeResponse implements [Declaration].
func (s *Service[Req, Res]) DecodeResponse(body []byte) (any, error) { return s.ReadResponse(body) }

// EncodeRequest implements [Declaration].
func (s *Service[Req, Res]) EncodeRequest(b []byte, v any) []byte {
	req := v.(Req)
	return s.appendReq(b, &req)
}

// EncodeResponse implements [Declaration].
func (s *Service[Req, Res]) EncodeResponse(b []byte, v any) []byte {
	res := v.(Res)
	return s.appendRes(b, &res)
}

// Empty is a body of no bytes.
type Empty struct{}

func (*Empty) append(b []byte) []byte { return b }
func (*Empty) read(*wire.Reader)      {}

// Bool is a body of one boolean.
type Bool bool

func (v *Bool) append(b []byte) []byte { return wire.AppendBool(b, bool(*v)) }
func (v *Bool) read(r *wire.Reader)    { *v = Bool(r.Bool()) }

// Count is a body of one number.
type Count int32

func (v *Count) append(b []byte) []byte { return wire.AppendInt32(b, int32(*v)) }
func (v *Count) read(r *wire.Reader)    { *v = Count(r.Int32()) }

// Text is a body of one string.
type Text string

func (v *Text) append(b []byte) []byte { return wire.AppendString(b, string(*v)) }
func (v *Text) read(r *wire.Reader)    { *v = Text(r.String()) }
