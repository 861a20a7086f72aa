package advect

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// Messaging is what a session does with requests between sessions (protocol 30):
// it sends them, and answers them. There are two ways, which do not meet:
//
//   - A request to a path, [SendRequest], is answered by one of the sessions that
//     have a request handler for the path, [AddRequestHandler]. The sender need
//     not know who they are.
//   - A request to a session, [SendRequestToSession], or to those that a filter
//     selects, [SendRequestToFilter], is answered by their request streams,
//     [AddRequestStream].
//
// Paths of requests have nothing to do with those of topics, but permissions
// are given for them in the same way. All methods and functions may be used
// concurrently.
type Messaging struct{ session *Session }

// Messaging returns the session's messaging.
func (s *Session) Messaging() *Messaging { return &Messaging{s} }

// SendRequest sends a request to a path and waits for the answer, as an R (see
// [datatype.Read]; [datatype.Value] takes any). Of the handlers for the path and the branches that
// it is in, one with the longest path gets it. The session needs the permission
// SEND_TO_MESSAGE_HANDLER for the path.
//
// Errors: [ErrUnhandled] if there is no handler; [ErrRejected] if it refuses,
// whose text is the Description of the [ServiceError]; [ErrCallback] if it fails;
// [ErrIncompatibleDatatype] if it does not take requests of the type;
// [ErrRequestTimeout] if it does not answer within the server's limit;
// [ErrNoSuchSession] if it closes first; one that matches
// [datatype.ErrIncompatible] if the answer is not an R, and [ErrNoValue] if it is
// null. When ctx is done first the request may still be handled.
func SendRequest[R datatype.Value](ctx context.Context, m *Messaging, path string, request datatype.Value) (response R, err error) {
	req, err := messageRequest(path, request)
	if err != nil {
		return response, err
	}
	payload, err := call(ctx, m.session, service.MessagingSend, req)
	if err == nil {
		response, err = readResponse[R](&payload)
	}
	if err != nil {
		return response, fmt.Errorf("send request to %s: %w", path, err)
	}
	return response, nil
}

// SendRequestToSession sends a request to a session and waits for the answer, as
// an R, of its request stream for exactly this path. The sending session needs the
// permission SEND_TO_SESSION for the path. Errors are those of [SendRequest], and
// [ErrNoSuchSession] if there is no such session.
func SendRequestToSession[R datatype.Value](ctx context.Context, m *Messaging, session SessionID, path string, request datatype.Value) (response R, err error) {
	req, err := messageRequest(path, request)
	if err != nil {
		return response, err
	}
	payload, err := call(ctx, m.session, service.MessagingToSession, service.SessionMessage{Session: session, MessageRequest: req})
	if err == nil {
		response, err = readResponse[R](&payload)
	}
	if err != nil {
		return response, fmt.Errorf("send request to session %s at %s: %w", session, path, err)
	}
	return response, nil
}

// A FilterResponse is what one session made of a request to a filter.
type FilterResponse[R datatype.Value] struct {
	SessionID SessionID
	Response  R     // if Err is nil
	Err       error // as of [SendRequest]
}

// filterResponsesBuffer is how many answers may wait for the loop that takes them.
const filterResponsesBuffer = 1 << 20

// SendRequestToFilter sends a request to all sessions that a filter (see
// [Clients]) selects, the sender's own included, and yields what each of them
// makes of it, in the order in which they answer.
//
//	for answer, err := range advect.SendRequestToFilter[datatype.JSON](ctx, m, "$Principal is 'robot'", "status", ask) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(answer.SessionID, answer.Response, answer.Err)
//	}
//
// The loop ends when all have answered: a session that does not within the
// server's limit, or closes, has an error. Only an error about the request as a
// whole is yielded as one, as the last thing that the loop gets: [ErrInvalidFilter]
// with a [*ScriptError], [ErrPermissionDenied] without the permission
// SEND_TO_SESSION for the path, the end of ctx or of the session. Each loop over the
// result sends the request anew.
func SendRequestToFilter[R datatype.Value](ctx context.Context, m *Messaging, filter, path string, request datatype.Value) iter.Seq2[FilterResponse[R], error] {
	return func(yield func(FilterResponse[R], error) bool) {
		fail := func(err error) {
			yield(FilterResponse[R]{}, fmt.Errorf("send request to the sessions of %q at %s: %w", filter, path, err))
		}
		req, err := messageRequest(path, request)
		if err != nil {
			fail(err)
			return
		}
		responses := &filterResponses{newInbox[service.FilterAnswer](filterResponsesBuffer)}
		id, err := m.session.converse(responses)
		if err != nil {
			fail(err)
			return
		}
		defer m.session.discard(id)
		sent, err := call(ctx, m.session, service.MessagingToFilter, service.FilterMessage{Responses: id, Filter: filter, MessageRequest: req})
		if err == nil {
			err = filterError(sent.Errors)
		}
		if err != nil {
			fail(err)
			return
		}
		for range sent.Count {
			a, err := responses.inbox.next(ctx)
			if err != nil {
				fail(err)
				return
			}
			r := FilterResponse[R]{SessionID: a.Session}
			if a.Err != nil {
				r.Err = a.Err
			} else {
				r.Response, r.Err = readResponse[R](&a.Payload)
			}
			if !yield(r, nil) {
				return
			}
		}
	}
}

// filterResponses takes the answers to one request to a filter.
type filterResponses struct {
	inbox *inbox[service.FilterAnswer]
}

func (f *filterResponses) closed(err error) { f.inbox.end(err, false) }

// filterAnswered gives an answer to who waits for it. Others are of requests that
// nobody waits for any more.
func (s *Session) filterAnswered(a service.FilterAnswer) {
	f, ok := handler[*filterResponses](s, a.Responses)
	if !ok {
		return
	}
	a.Payload.Data = append([]byte(nil), a.Payload.Data...)
	if !f.inbox.put(a) && f.inbox.ended() == nil {
		s.endConversation(a.Responses, ErrSlowListener)
	}
}

var errNilRequest = errors.New("send request: there is no value to send")

func messageRequest(path string, request datatype.Value) (service.MessageRequest, error) {
	if request == nil {
		return service.MessageRequest{}, errNilRequest
	}
	return service.MessageRequest{Path: path, Payload: payload(request)}, nil
}

func payload(v datatype.Value) service.Payload {
	return service.Payload{DataType: v.Type().String(), Data: v.Bytes()}
}

// readPayload reads a value of a message. If it is null, it is not present.
func readPayload[V datatype.Value](p *service.Payload) (v V, present bool, err error) {
	t, err := datatype.ParseType(p.DataType)
	if err != nil {
		return v, false, fmt.Errorf("%w: %w", datatype.ErrIncompatible, err)
	}
	return datatype.Read[V](t, p.Data)
}

func readResponse[R datatype.Value](p *service.Payload) (R, error) {
	response, present, err := readPayload[R](p)
	switch {
	case err != nil:
		return response, fmt.Errorf("response: %w", err)
	case !present:
		return response, fmt.Errorf("response: %w", ErrNoValue)
	}
	return response, nil
}
