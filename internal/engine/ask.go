package engine

import (
	"cmp"
	"container/list"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/wire"
)

// maxPending bounds the requests that a session has been sent and whose answers
// somebody waits for.
const maxPending = 4096

// A reply is how a request to a client ended.
type reply struct {
	body []byte             // of the response; valid during the call that passes it on
	err  *wire.ServiceError // why there is no response
}

// message returns the reply as the answer to another conversation.
func (r reply) message(conversation int64) *outbox.Message {
	if r.err != nil {
		return failure(conversation, r.err)
	}
	return outbox.NewMessage(16+len(r.body), func(b []byte) []byte {
		return append(wire.AppendResponse(b, conversation), r.body...)
	})
}

// ask sends the client a request of about size bytes and passes on how it ends:
// the first answer of the client, or REQUEST_TIME_OUT, or NO_SUCH_SESSION when the
// session ends or loses messages. Outages that lose nothing do not matter, but
// they count as time.
//
// build gets the conversation id. done is called once, with no session's mu
// locked but perhaps with this one's in, and must not block. It is not called if
// ask fails, because the session is closed or has too much to do already.
func (s *Session) ask(size int, build func(b []byte, conversation int64) []byte, done func(reply)) *wire.ServiceError {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return noSuchSession(s.id)
	}
	if s.pending.len() >= maxPending || !s.queue.HasRoom(size) {
		return wire.Errorf(wire.CodeCommunicationFailure,
			"session %s is busy: it has too many requests to answer, or messages to receive; try again later", s.id)
	}
	s.nextCID++
	limit := cmp.Or(s.engine.cfg.RequestTimeout, defaultRequestTimeout)
	if s.pending == nil {
		s.pending = new(pending)
	}
	s.pending.add(&question{conversation: s.nextCID, deadline: time.Now().Add(limit), done: done}, limit, s.overdue)
	s.pushed(s.queue.Push(outbox.NewMessage(size, func(b []byte) []byte { return build(b, s.nextCID) })))
	return nil
}

const defaultRequestTimeout = 10 * time.Second

// A question is a request to a client that has not been answered.
type question struct {
	conversation int64
	deadline     time.Time
	done         func(reply)
}

// pending are the questions to a client. All have the same limit, so that they
// stand in the order of their deadlines, and one timer serves them: it is set for
// the first of them, is left alone when that is answered, and stands still when
// it then finds none.
type pending struct {
	questions map[int64]*list.Element // by conversation
	order     list.List               // of *question
	timer     *time.Timer
	ticking   bool
}

func (p *pending) len() int {
	if p == nil {
		return 0
	}
	return len(p.questions)
}

func (p *pending) add(q *question, limit time.Duration, overdue func()) {
	if p.questions == nil {
		p.questions = make(map[int64]*list.Element)
		p.timer = time.AfterFunc(limit, overdue)
	} else if !p.ticking {
		p.timer.Reset(limit)
	}
	p.ticking = true
	p.questions[q.conversation] = p.order.PushBack(q)
}

// take returns the question of a conversation and forgets it, or returns nil.
func (p *pending) take(conversation int64) *question {
	if p == nil || p.questions[conversation] == nil {
		return nil
	}
	e := p.questions[conversation]
	delete(p.questions, conversation)
	return p.order.Remove(e).(*question)
}

// expired takes the questions whose time is over, and sets the timer for the
// others.
func (p *pending) expired() (late []*question) {
	p.ticking = false
	for e := p.order.Front(); e != nil; e = p.order.Front() {
		q := e.Value.(*question)
		if rest := time.Until(q.deadline); rest > 0 {
			p.timer.Reset(rest)
			p.ticking = true
			break
		}
		late = append(late, p.take(q.conversation))
	}
	return late
}

// clear takes all questions.
func (p *pending) clear() (all []*question) {
	if p == nil {
		return nil
	}
	if p.timer != nil {
		p.timer.Stop()
	}
	for e := p.order.Front(); e != nil; e = e.Next() {
		all = append(all, e.Value.(*question))
	}
	*p = pending{}
	return all
}

// answered takes an answer of the client: to a ping, to a question, or to what
// nobody waits for any more, as when it is the second.
func (s *Session) answered(m *wire.Message) {
	s.mu.Lock()
	if m.Conversation != 0 && m.Conversation == s.pingCID {
		s.pingCID = 0
		s.queue.ProbeAnswered()
	}
	q := s.pending.take(m.Conversation)
	s.mu.Unlock()
	if q == nil {
		return
	}
	if m.Type == wire.TypeError {
		q.done(reply{err: &wire.ServiceError{Code: m.Error.Code, Description: m.Error.Description}})
		return
	}
	q.done(reply{body: m.Body})
}

// overdue ends the questions that were not answered in time.
func (s *Session) overdue() {
	s.mu.Lock()
	late := s.pending.expired()
	s.mu.Unlock()
	for _, q := range late {
		q.done(reply{err: wire.Errorf(wire.CodeRequestTimeout, "session %s has not answered in time", s.id)})
	}
}

// giveUp ends questions that the client is not going to answer.
func (s *Session) giveUp(unanswered []*question) {
	for _, q := range unanswered {
		q.done(reply{err: noSuchSession(s.id)})
	}
}

func noSuchSession(id wire.SessionID) *wire.ServiceError {
	return wire.Errorf(wire.CodeNoSuchSession, "no session %s", id)
}

// sendUnlessLost queues a message for a client that has not lost messages since it
// had lost some the given number of times.
func (s *Session) sendUnlessLost(losses int32, m *outbox.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed && s.losses == losses {
		s.pushed(s.queue.Push(m))
	}
}
