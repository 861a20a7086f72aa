package advect

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zlib"

	"advect.dev/internal/client"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// Aliases that keep the seam to the topics readable.
type (
	subscription   = service.Subscription
	unsubscription = service.Unsubscription
)

// errAborted says that the server has ended the session.
var errAborted = errors.New("aborted")

// serve reads from a link until it ends, and returns why.
func (s *Session) serve(l *link) error {
	for {
		frame, err := l.conn.Read()
		if err == nil {
			err = s.receive(l, frame)
		}
		if err != nil {
			return err
		}
	}
}

// receive handles one message. An error ends the link.
func (s *Session) receive(l *link, frame []byte) error {
	m, err := wire.ParseMessage(frame)
	if m.Type.Counted() {
		s.received++
	}
	switch {
	case err == nil:
	case m.Type == wire.TypeRequest, m.Type == wire.TypeResponse, m.Type == wire.TypeError:
		s.reportError(fmt.Errorf("message of the server ignored: %s: %w", m.Type, err))
		return nil
	default:
		return err
	}
	select {
	case <-s.done: // the server has not yet heard that it is over
		if m.Type == wire.TypeAbort {
			return errAborted
		}
		return nil
	default:
	}
	switch m.Type {
	case wire.TypeRequest:
		s.serveRequest(l, &m)
	case wire.TypeResponse:
		s.answered(m.Conversation, answer{body: bytes.Clone(m.Body)})
	case wire.TypeError:
		refusal := m.Error // its own variable, so that m stays off the heap
		s.answered(m.Conversation, answer{err: &refusal})
	case wire.TypeTopicValue, wire.TypeTopicDelta:
		return s.topicMessage(&m)
	case wire.TypeAbort:
		return errAborted
	}
	return nil // CLOSE_REQUEST and FETCH_REPLY mean nothing to a client
}

func (s *Session) topicMessage(m *wire.Message) error {
	value := m.Body
	if m.Compressed {
		var err error
		if value, err = s.inflate.inflate(value, s.maxMessageSize()); err != nil {
			return err
		}
	}
	s.sink.topicMessage(m.Topic, m.Type == wire.TypeTopicDelta, value)
	return nil
}

// serveRequest handles a request of the server. It is answered before it is
// acted upon (protocol 02 section 4.6).
func (s *Session) serveRequest(l *link, m *wire.Message) {
	switch m.Service {
	case service.SystemPing.ID:
		s.respond(m)
		l.alive()
	case service.UserPing.ID:
		s.respond(m)
	case service.NotifySubscription.ID:
		if req, ok := decode(s, service.NotifySubscription, m); ok {
			s.sink.subscribed(req)
		}
	case service.UnsubscriptionNotification.ID:
		if req, ok := decode(s, service.UnsubscriptionNotification, m); ok {
			s.sink.unsubscribed(req)
		}
	case service.MessagingSend.ID:
		s.serveStream(m)
	case service.TopicEvent.ID, service.DescendantEvent.ID, service.MissingTopic.ID, service.SessionPropertiesEvent.ID,
		service.MessagingToHandler.ID, service.FilterResponse.ID, service.Authenticator.ID:
		s.serveHandler(m)
	default:
		s.refuse(m, wire.CodeCommunicationFailure, fmt.Sprintf("Unknown client service: %d", m.Service))
	}
}

// decode reads a request with an empty response and answers it.
func decode[Req any](s *Session, svc *service.Service[Req, service.Empty], m *wire.Message) (req Req, ok bool) {
	if req, ok = decodeOnly(s, svc, m); ok {
		s.respond(m)
	}
	return req, ok
}

// decodeOnly reads a request, and answers it only if it cannot be read.
func decodeOnly[Req, Res any](s *Session, svc *service.Service[Req, Res], m *wire.Message) (req Req, ok bool) {
	req, err := svc.ReadRequest(m.Body)
	if err != nil {
		s.refuse(m, wire.CodeInvalidData, err.Error())
		s.reportError(fmt.Errorf("request of the server ignored: %w", err))
	}
	return req, err == nil
}

// respond sends an empty response, unless the request is one-way.
func (s *Session) respond(m *wire.Message) {
	if m.Conversation != 0 {
		s.post(wire.AppendResponse(nil, m.Conversation))
	}
}

func (s *Session) refuse(m *wire.Message, code wire.ErrorCode, text string) {
	if m.Conversation != 0 {
		s.post(wire.AppendError(nil, m.Conversation, wire.ServiceError{Code: code, Description: text}))
	}
}

// post queues an answer to the server. It never blocks: the reader must go on.
func (s *Session) post(message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.link != nil {
		s.out.add(message)
		s.link.wakeUp()
	}
}

// An inflater decompresses topic messages, one at a time (protocol 02 section 3.3).
type inflater struct {
	source bytes.Reader
	zlib   io.ReadCloser
	value  bytes.Buffer
}

// inflate returns the content, which is valid until the next call.
func (i *inflater) inflate(b []byte, most int) ([]byte, error) {
	i.source.Reset(b)
	var err error
	if i.zlib == nil {
		i.zlib, err = zlib.NewReader(&i.source)
	} else {
		err = i.zlib.(zlib.Resetter).Reset(&i.source, nil)
	}
	if i.value.Cap() > 1<<20 {
		i.value = bytes.Buffer{}
	}
	i.value.Reset()
	if err == nil {
		_, err = i.value.ReadFrom(io.LimitReader(i.zlib, int64(most)+1))
	}
	switch {
	case err != nil:
		i.zlib = nil
		return nil, fmt.Errorf("%w: topic message does not inflate: %w", wire.ErrMalformed, err)
	case i.value.Len() > most:
		return nil, fmt.Errorf("%w of %d bytes when inflated", client.ErrTooLarge, most)
	}
	return i.value.Bytes(), nil
}
