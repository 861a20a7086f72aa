package advect

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// A Request is a request that another session has sent.
type Request[Q datatype.Value] struct {
	// Path is the path that the request was sent to: that of the handler, or one
	// below it.
	Path string
	// Value is the request. It is the zero Q if Null.
	Value Q
	// Null says that the request is null, which a string, int64 and double can be.
	Null bool
	// Sender is the session that sent it. It is zero in a request stream, which is
	// not told.
	Sender SessionID
	// Properties are those session properties of the sender that
	// [WithSenderProperties] asks for, as far as it has them. Do not modify them.
	Properties map[string]string
}

// A RequestFunc answers requests. Its result is sent to who asked: an error from
// [Reject] as [ErrRejected], any other error, with its text, as [ErrCallback]. A
// panic is answered as ErrCallback too, without its text, which the session's error
// listeners are told. ctx ends when there is nobody to answer any more, because
// the session has closed or reconnected with message loss.
type RequestFunc[Q, R datatype.Value] func(ctx context.Context, request Request[Q]) (R, error)

// Reject returns the error by which a [RequestFunc] refuses a request. Who asked
// gets an error that matches [ErrRejected], with the reason as the Description of
// its [ServiceError].
func Reject(format string, args ...any) error {
	return wire.Errorf(wire.CodeRejectedRequest, format, args...)
}

// A RequestHandlerOption is an option of [AddRequestHandler] and
// [AddRequestStream].
type RequestHandlerOption func(*requestHandlerOptions)

type requestHandlerOptions struct {
	keys        []string
	concurrency int
	onClose     func(error)
}

func requestHandlerOptionsOf(opts []RequestHandlerOption) requestHandlerOptions {
	o := requestHandlerOptions{concurrency: respondersRunning}
	for _, opt := range opts {
		opt(&o)
	}
	return o
}

// The keys that stand for others where keys of session properties are asked for.
const (
	AllFixedProperties = service.AllFixedProperties // all whose keys start with $
	AllUserProperties  = service.AllUserProperties  // all others
)

// WithSenderProperties asks for session properties of the senders of requests, by
// key. [AllFixedProperties] and [AllUserProperties] are keys too. The session then
// needs the permission VIEW_SESSION. It is not for request streams.
func WithSenderProperties(keys ...string) RequestHandlerOption {
	return func(o *requestHandlerOptions) { o.keys = slices.Clone(keys) }
}

// WithConcurrency sets how many requests are answered at the same time. Up to
// 10000 more wait for their turn, in order; those beyond are rejected. Default:
// 16. With 1 they are answered one after the other.
func WithConcurrency(requests int) RequestHandlerOption {
	return func(o *requestHandlerOptions) { o.concurrency = max(1, requests) }
}

// WithOnClose sets a function that is told that no more requests come, after the
// last one was answered. The error is nil after [RequestHandle.Close]. Otherwise
// it says why: the server has ended the handler, the session has closed, or it
// reconnected with message loss, which matches [ErrMessageLoss]; then add the
// handler anew. A message loss does not end request streams.
func WithOnClose(onClose func(error)) RequestHandlerOption {
	return func(o *requestHandlerOptions) { o.onClose = onClose }
}

// A RequestHandle stands for a request handler or a request stream.
type RequestHandle struct {
	responder *responder
	remove    func(ctx context.Context) error
}

// Close ends the handler or stream, and waits for the server to take note. The
// requests that wait for their turn are answered as [ErrUnhandled]; those that
// run go on, and their answers are sent. It is closed even if Close fails;
// closing again does nothing.
func (h *RequestHandle) Close(ctx context.Context) error {
	err := h.remove(ctx)
	h.responder.end(errHandlerClosed)
	if err != nil {
		return fmt.Errorf("close %s: %w", h.responder.what, err)
	}
	return nil
}

// A requestHandler is a handler that is registered at the server.
type requestHandler struct {
	*responder
	id         int64
	parameters service.RequestHandlerParameters
	serve      serveFunc
}

func (h *requestHandler) closed(err error) { h.end(err) }

// same reports whether a handler is one for the same path.
func (h *requestHandler) same(other conversation) bool {
	o, ok := other.(*requestHandler)
	return ok && o.parameters.Path == h.parameters.Path
}

// A serveFunc returns the answer to a request: a response to MessagingToHandler,
// or to MessagingSend, whose responses are the same.
type serveFunc func(ctx context.Context, m *service.HandlerMessage) (service.Payload, error)

// AddRequestHandler has a function answer the requests that are sent to a path, or
// below it, unless there is a handler with a longer path there. If several
// sessions have a handler for the same path, each request goes to one of them. Q is
// the type of the requests that the function takes, and R of its answers; with
// [datatype.Value] they can be of any type. Other requests are answered as
// [ErrIncompatibleDatatype].
//
//	handle, err := advect.AddRequestHandler(ctx, session.Messaging(), "square",
//		func(ctx context.Context, r advect.Request[datatype.Int64]) (datatype.Int64, error) {
//			return r.Value * r.Value, nil
//		})
//
// Each call of the function runs on a goroutine of its own: see
// [WithConcurrency]. The session needs the permission REGISTER_HANDLER. The error
// matches [ErrHandlerExists] if it has a handler for the path already.
func AddRequestHandler[Q, R datatype.Value](ctx context.Context, m *Messaging, path string, answer RequestFunc[Q, R], opts ...RequestHandlerOption) (*RequestHandle, error) {
	o := requestHandlerOptionsOf(opts)
	serve, err := serveWith(answer)
	if err != nil {
		return nil, fmt.Errorf("add request handler for %s: %w", path, err)
	}
	h := &requestHandler{
		responder: &responder{session: m.session, what: "request handler for " + path, most: o.concurrency, onClose: o.onClose},
		serve:     serve,
	}
	h.parameters.PathDeregistration = service.PathDeregistration{
		Definition: service.MessagingToHandler.ID, Group: service.DefaultGroup, Path: path,
	}
	h.parameters.Keys = o.keys
	if h.id, err = m.session.converse(h); err == nil {
		_, err = call(ctx, m.session, service.RequestHandlerRegistration, service.RequestHandler{
			RequestHandlerParameters: h.parameters, Handler: h.id,
		})
	}
	if err != nil {
		m.session.abandon(ctx, h.id, h.same, func(conversation int64) []byte {
			return service.RequestHandlerDeregistration.AppendRequest(nil, conversation, h.parameters)
		})
		return nil, fmt.Errorf("add request handler for %s: %w", path, err)
	}
	return &RequestHandle{h.responder, h.remove}, nil
}

func (h *requestHandler) remove(ctx context.Context) error {
	if !h.session.discard(h.id) {
		return nil
	}
	_, err := call(ctx, h.session, service.RequestHandlerDeregistration, h.parameters)
	return err
}

// serveRequestHandler gives a request to its handler.
func (s *Session) serveRequestHandler(m *wire.Message) {
	req, ok := decodeOnly(s, service.MessagingToHandler, m)
	if !ok {
		return
	}
	h, ok := handler[*requestHandler](s, req.Handler)
	if !ok {
		s.refuse(m, wire.CodeUnhandledMessage, fmt.Sprintf("session %s has no request handler for path %s any more", s.id, req.Path))
		return
	}
	req.Payload.Data = bytes.Clone(req.Payload.Data)
	conversation := m.Conversation
	h.add(s.incoming(m, func(ctx context.Context) ([]byte, error) {
		response, err := h.serve(ctx, &req)
		if err != nil {
			return nil, err
		}
		return service.MessagingToHandler.AppendResponse(nil, conversation, response), nil
	}))
}

// A requestStream answers requests to the session. The server does not know of it.
type requestStream struct {
	*responder
	serve serveFunc
}

var errSenderProperties = errors.New("request streams are not told who sends requests, so there are no sender properties")

// AddRequestStream has a function answer the requests that are sent to this session,
// by its id or by a filter, and exactly to a path. For Q, R and how the function is
// called see [AddRequestHandler].
//
// Nothing is sent: the session needs no permission, and the stream survives until
// it is closed or the session is. The error matches [ErrHandlerExists] if the path
// has a stream.
func AddRequestStream[Q, R datatype.Value](m *Messaging, path string, answer RequestFunc[Q, R], opts ...RequestHandlerOption) (*RequestHandle, error) {
	o := requestHandlerOptionsOf(opts)
	serve, err := serveWith(answer)
	if err == nil && len(o.keys) > 0 {
		err = errSenderProperties
	}
	st := &requestStream{
		responder: &responder{session: m.session, what: "request stream for " + path, most: o.concurrency, onClose: o.onClose},
		serve:     serve,
	}
	if err == nil {
		err = m.session.addRequestStream(path, st)
	}
	if err != nil {
		return nil, fmt.Errorf("add request stream for %s: %w", path, err)
	}
	return &RequestHandle{st.responder, func(context.Context) error {
		m.session.removeRequestStream(path, st)
		return nil
	}}, nil
}

func (s *Session) addRequestStream(path string, st *requestStream) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.state.IsClosed():
		return s.notConnected()
	case s.streams[path] != nil:
		return wire.Errorf(wire.CodeHandlerConflict, "the path has a request stream")
	}
	s.streams[path] = st
	return nil
}

func (s *Session) removeRequestStream(path string, st *requestStream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.streams[path] == st {
		delete(s.streams, path)
	}
}

// endRequestStreams closes all streams with the session.
func (s *Session) endRequestStreams(err error) {
	s.mu.Lock()
	all := s.streams
	s.streams = nil
	s.mu.Unlock()
	for _, st := range all {
		st.end(err)
	}
}

// serveStream gives a request to the stream of its path.
func (s *Session) serveStream(m *wire.Message) {
	req, ok := decodeOnly(s, service.MessagingSend, m)
	if !ok {
		return
	}
	s.mu.Lock()
	st := s.streams[req.Path]
	s.mu.Unlock()
	if st == nil {
		s.refuse(m, wire.CodeUnhandledMessage, fmt.Sprintf("session %s has no request stream for path %s", s.id, req.Path))
		return
	}
	message := service.HandlerMessage{Path: req.Path, Payload: service.Payload{
		DataType: req.Payload.DataType, Data: bytes.Clone(req.Payload.Data),
	}}
	conversation := m.Conversation
	st.add(s.incoming(m, func(ctx context.Context) ([]byte, error) {
		response, err := st.serve(ctx, &message)
		if err != nil {
			return nil, err
		}
		return service.MessagingSend.AppendResponse(nil, conversation, response), nil
	}))
}

var errNoAnswer = errors.New("it returned neither a value nor an error")

// serveWith returns a function that reads requests, has them answered, and writes
// the answers. It fails if there are no requests that can be read as Q.
func serveWith[Q, R datatype.Value](answer RequestFunc[Q, R]) (serveFunc, error) {
	if answer == nil {
		return nil, errors.New("there is no function")
	}
	if !slices.ContainsFunc(valueTypes, datatype.CanRead[Q]) {
		return nil, fmt.Errorf("no request can be read as %s", reflect.TypeFor[Q]())
	}
	return func(ctx context.Context, m *service.HandlerMessage) (none service.Payload, err error) {
		value, present, err := readPayload[Q](&m.Payload)
		switch {
		case errors.Is(err, datatype.ErrIncompatible):
			return none, wire.Errorf(wire.CodeIncompatibleDatatype, "path %s does not take requests of type %s", m.Path, m.Payload.DataType)
		case err != nil:
			return none, wire.Errorf(wire.CodeInvalidData, "request: %v", err)
		}
		response, err := answer(ctx, Request[Q]{
			Path: m.Path, Value: value, Null: !present, Sender: m.Sender, Properties: m.Properties,
		})
		switch {
		case err != nil:
			return none, rejection(err)
		case any(response) == nil:
			return none, errNoAnswer
		}
		return payload(response), nil
	}, nil
}

// rejection leaves only a rejection by [Reject] as the kind of error that is
// passed on as it is.
func rejection(err error) error {
	var refusal *ServiceError
	if errors.As(err, &refusal) && refusal.Code != wire.CodeRejectedRequest {
		return errors.New(err.Error())
	}
	return err
}
