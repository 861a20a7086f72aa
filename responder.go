package advect

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"

	"advect.dev/internal/wire"
)

// The bounds of a responder, unless told otherwise.
const (
	respondersRunning = 16
	respondersWaiting = 10_000
)

// A responder has code of the application answer requests of the server. Each
// call runs on a goroutine of its own, up to most at a time; others wait for
// their turn, and are refused when too many do. Every request gets exactly one
// answer, whatever the code does, unless the session forgets it first.
type responder struct {
	session *Session
	what    string // for errors, such as "request handler for a/b"
	most    int
	onClose func(error) // may be nil; called once, when the last call has returned

	mu      sync.Mutex
	running int
	waiting []*incoming
	err     error // the end; nil until then
}

// An incoming is a request of the server.
type incoming struct {
	conversation int64 // 0: no answer is wanted
	era          context.Context
	// answer returns the response, a whole message. Errors are answered too.
	answer func(ctx context.Context) ([]byte, error)
}

// incoming returns a request that arrives now. It must be called on the goroutine
// that reads.
func (s *Session) incoming(m *wire.Message, answer func(ctx context.Context) ([]byte, error)) *incoming {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &incoming{m.Conversation, s.era, answer}
}

// add has a request answered. It never blocks.
func (r *responder) add(i *incoming) {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.err != nil:
		r.session.replyError(i, wire.CodeUnhandledMessage, r.what+" was closed")
	case r.running < r.most:
		r.running++
		go r.run(i)
	case len(r.waiting) < respondersWaiting:
		r.waiting = append(r.waiting, i)
	default:
		r.session.replyError(i, wire.CodeRejectedRequest, r.what+" is too slow: too many requests wait")
	}
}

// end refuses what waits and what is yet to come. What runs goes on, and is
// followed by the callback. Only the first call counts.
func (r *responder) end(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err != nil {
		return
	}
	r.err = err
	for _, i := range r.waiting {
		r.session.replyError(i, wire.CodeUnhandledMessage, r.what+" was closed")
	}
	r.waiting = nil
	if r.running == 0 {
		go r.closed()
	}
}

func (r *responder) closed() {
	if r.onClose == nil {
		return
	}
	if r.err == errHandlerClosed {
		r.onClose(nil)
	} else {
		r.onClose(r.err)
	}
}

func (r *responder) run(i *incoming) {
	err := errors.New("it ended its goroutine") // until it returns
	var message []byte
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("it panicked")
			r.session.reportError(fmt.Errorf("%s panicked: %v\n%s", r.what, p, debug.Stack()))
		}
		if err != nil {
			r.session.replyFailure(i, r.what, err)
		} else {
			r.session.reply(i, message)
		}
		r.next()
	}()
	message, err = i.answer(i.era)
}

// next goes on after a call.
func (r *responder) next() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		i := r.waiting[0]
		r.waiting[0] = nil
		if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
			r.waiting = nil
		}
		go r.run(i)
		return
	}
	if r.running--; r.running == 0 && r.err != nil {
		go r.closed()
	}
}

// reply queues the answer to a request, also while the session reconnects, but
// not when the server has forgotten the request.
func (s *Session) reply(i *incoming, message []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i.conversation == 0 || i.era.Err() != nil {
		return
	}
	if len(message) > s.maxMessage {
		text := fmt.Sprintf("the answer takes %d bytes, the most is %d", len(message), s.maxMessage)
		message = wire.AppendError(nil, i.conversation, wire.ServiceError{Code: wire.CodeCallbackException, Description: text})
	}
	s.tell(message)
}

func (s *Session) replyError(i *incoming, code ErrorCode, text string) {
	s.reply(i, wire.AppendError(nil, i.conversation, wire.ServiceError{Code: code, Description: text}))
}

// replyFailure answers with an error of the application.
func (s *Session) replyFailure(i *incoming, what string, err error) {
	var refusal *ServiceError
	if errors.As(err, &refusal) && answerCodes[refusal.Code] {
		s.replyError(i, refusal.Code, refusal.Description)
		return
	}
	s.replyError(i, wire.CodeCallbackException, fmt.Sprintf("%s failed: %v", what, err))
}

// answerCodes are the codes of errors that are passed on as they are: those of
// protocol 30 section 6 that are not the server's.
var answerCodes = map[ErrorCode]bool{
	wire.CodeRejectedRequest: true, wire.CodeIncompatibleDatatype: true, wire.CodeUnhandledMessage: true, wire.CodeInvalidData: true,
}
