package gosdk

import (
	"context"
	"fmt"
	"strings"

	"advect.dev"
	"advect.dev/datatype"
)

// Requests to sessions: to one by its id, and to all of a filter.

const (
	toSessionGroup = "Requests to a session"
	toFilterGroup  = "Requests to a filter"
)

var addressed = []scenario{
	{"messages.to-session", toSessionGroup, "a request reaches the stream of exactly its path in the session, by id or its text, and is answered", both, toSession},
	{"messages.go-to-session-types", toSessionGroup, "Go: requests and answers of every type, to a session", ws, toSessionTypes},
	{"messages.to-session-unhandled", toSessionGroup, "the session has no stream for the path, or no longer: UNHANDLED_MESSAGE", ws, toSessionUnhandled},
	{"messages.to-session-refusals", toSessionGroup, "the stream rejects, throws, or cannot read the request: the sender is told which, and the session goes on", ws, toSessionRefusals},
	{"messages.to-no-session", toSessionGroup, "an unknown session, or one that closes before it answers: NO_SUCH_SESSION", ws, toNoSession},
	{"messages.to-session-away", toSessionGroup, "a session that is away answers when it is back", ws, toSessionAway},
	{"messages.to-session-time-out", toSessionGroup, "a session that does not answer: REQUEST_TIME_OUT, from each of a filter too", ws, toSessionTimeOut},
	{"messages.to-session-permission", toSessionGroup, "without SEND_TO_SESSION for the path: ACCESS_DENIED", ws, toSessionPermission},
	{"messages.to-filter", toFilterGroup, "every session of the filter is asked, the sender too, and each answer comes with its session", both, toFilter},
	{"messages.to-filter-failures", toFilterGroup, "whoever rejects, has no stream, closes, or cannot read the request is reported with the reason, once", ws, toFilterFailures},
	{"messages.to-filter-none", toFilterGroup, "a filter that selects nobody counts none; one that is no filter is reported with the place of the error", ws, toFilterNone},
}

// nobody is the id of no session.
var nobody = func() advect.SessionID {
	id, err := advect.ParseSessionID("0123456789abcdef-0000000000000001")
	if err != nil {
		panic(err)
	}
	return id
}()

// among returns a filter that selects these sessions and no other.
func among(sessions ...*advect.Session) string {
	var ids []string
	for _, session := range sessions {
		ids = append(ids, "'"+session.ID().String()+"'")
	}
	return "$SessionId in [" + strings.Join(ids, ", ") + "]"
}

// requestStream adds a request stream and records what it is asked.
func requestStream[V datatype.Value](s *scene, session *advect.Session, path string, answer advect.RequestFunc[V, V]) (*advect.RequestHandle, *asked[V]) {
	s.t.Helper()
	r, f := recorded(path, answer)
	h, err := advect.AddRequestStream(session.Messaging(), path, f)
	s.none(err, "add request stream")
	return h, r
}

func (s *scene) askSession(session *advect.Session, path string, target advect.SessionID, question text) (text, error) {
	return advect.SendRequestToSession[text](s.ctx, session.Messaging(), target, path, question)
}

// askAll returns the answers by session.
func (s *scene) askAll(session *advect.Session, filter, path string, question text) (map[advect.SessionID]advect.FilterResponse[text], error) {
	all := map[advect.SessionID]advect.FilterResponse[text]{}
	for answer, err := range advect.SendRequestToFilter[text](s.ctx, session.Messaging(), filter, path, question) {
		if err != nil {
			return nil, err
		}
		if _, again := all[answer.SessionID]; again {
			return nil, fmt.Errorf("a second answer of %s", answer.SessionID)
		}
		all[answer.SessionID] = answer
	}
	return all, nil
}

func toSession(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	_, asked := requestStream(s, client, path, echo[text])
	_, below := requestStream(s, client, path+"/below", echo[text])
	id, err := advect.ParseSessionID(client.ID().String())
	s.none(err, "parse the id")
	for _, target := range []advect.SessionID{client.ID(), id} {
		answer, err := s.askSession(control, path, target, "question")
		s.none(err, "request")
		s.equal(answer, "question", "answer")
	}
	s.equal([]int{len(asked.all()), len(below.all())}, "[2 0]", "requests")
	s.equal(asked.all()[0].Path, path, "path")
	_, err = s.askSession(control, path+"/below/further", client.ID(), "question")
	s.is(err, "below a stream", advect.ErrUnhandled)
}

func toSessionTypes(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	requestStream(s, client, path, echo[datatype.Value])
	for _, t := range valueTypes {
		for _, v := range t.values {
			answer, err := advect.SendRequestToSession[datatype.Value](s.ctx, control.Messaging(), client.ID(), path, v)
			s.none(err, t.name)
			s.equal(comparable(answer), comparable(v), t.name)
		}
	}
}

func toSessionUnhandled(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	unhandled := func(what string) {
		_, err := s.askSession(control, path, client.ID(), "question")
		s.is(err, what, advect.ErrUnhandled)
	}
	unhandled("no stream")
	h, _ := requestStream(s, client, path, says("first"))
	_, err := advect.AddRequestStream(client.Messaging(), path, says("second"))
	s.is(err, "a second stream", advect.ErrHandlerExists)
	s.none(h.Close(s.ctx), "close")
	unhandled("stream removed")
	requestStream(s, client, path, says("second"))
	answer, err := s.askSession(control, path, client.ID(), "question")
	s.none(err, "request")
	s.equal(answer, "second", "answer")
}

func toSessionRefusals(s *scene) {
	control, client := s.control(), s.connect()
	rejects, panics, numbers := s.path(), s.path(), s.path()
	requestStream(s, client, rejects, rejectsNo)
	requestStream(s, client, panics, func(context.Context, advect.Request[text]) (text, error) { panic("on purpose") })
	requestStream(s, client, numbers, echo[datatype.Int64])
	_, err := s.askSession(control, rejects, client.ID(), "no")
	s.rejectedFor(err, "not today")
	_, err = s.askSession(control, panics, client.ID(), "question")
	s.is(err, "the stream panics", advect.ErrCallback)
	_, err = s.askSession(control, numbers, client.ID(), "question")
	s.is(err, "another type", advect.ErrIncompatibleDatatype)
	answer, err := s.askSession(control, rejects, client.ID(), "yes")
	s.none(err, "the next request")
	s.equal(answer, "yes", "answer")
}

func toNoSession(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	_, err := s.askSession(control, path, nobody, "question")
	s.is(err, "unknown", advect.ErrNoSuchSession)
	_, asked := requestStream(s, client, path, silent)
	answer := begin(func() error { _, err := s.askSession(control, path, client.ID(), "question"); return err })
	first(s, 1, asked)
	s.none(client.Close(), "close")
	s.is(answer(), "closes before it answers", advect.ErrNoSuchSession)
	_, err = s.askSession(control, path, client.ID(), "question")
	s.is(err, "closed", advect.ErrNoSuchSession)
}

func toSessionAway(s *scene) {
	control, away := s.control(), s.subscribed(shared.port)
	path := s.path()
	_, asked := requestStream(s, away.session, path, echo[text])
	away.lose()
	answer := begin(func() error { _, err := s.askSession(control, path, away.session.ID(), "question"); return err })
	s.ping(control)
	s.equal(len(asked.all()), 0, "requests while away")
	away.found()
	s.none(answer(), "request")
}

func toSessionTimeOut(s *scene) {
	port := s.serve("--request-timeout", "200ms").port
	control, client := s.at(port, as("control")...), s.at(port)
	requestStream(s, client, "slow", silent)
	_, err := s.askSession(control, "slow", client.ID(), "question")
	s.is(err, "by id", advect.ErrRequestTimeout)
	answers, err := s.askAll(control, "$Principal is ''", "slow", "question")
	s.none(err, "request to a filter")
	s.equal(len(answers), 1, "answers")
	s.is(answers[client.ID()].Err, "of a filter", advect.ErrRequestTimeout)
	s.ping(client)
}

func toSessionPermission(s *scene) {
	control, client := s.control(), s.connect(as("client")...)
	for path, from := range map[string]*advect.Session{s.path(): client, "Diffusion/x": control} {
		_, err := s.askSession(from, path, control.ID(), "question")
		s.is(err, "by id, to "+path, advect.ErrPermissionDenied)
		_, err = s.askAll(from, "all", path, "question")
		s.is(err, "by filter, to "+path, advect.ErrPermissionDenied)
	}
}

func toFilter(s *scene) {
	control := s.control()
	sessions := []*advect.Session{control, s.connect(), s.connect(), s.connect()}
	bystander := s.connect()
	path := s.path()
	for _, session := range sessions {
		requestStream(s, session, path, says(text(session.ID().String())))
	}
	_, others := requestStream(s, bystander, path, echo[text])
	answers, err := s.askAll(control, among(sessions...), path, "question")
	s.none(err, "request")
	s.equal(len(answers), len(sessions), "answers")
	for id, answer := range answers {
		s.none(answer.Err, "answer")
		s.equal(answer.Response, id, "answer")
	}
	s.equal(len(others.all()), 0, "requests to a session that was not asked")
}

func toFilterFailures(s *scene) {
	control := s.control()
	answers, rejects, lacks, closes, misreads := s.connect(), s.connect(), s.connect(), s.connect(), s.connect()
	path := s.path()
	requestStream(s, answers, path, echo[text])
	requestStream(s, rejects, path, rejectsNo)
	_, leaving := requestStream(s, closes, path, silent)
	requestStream(s, misreads, path, echo[datatype.Int64])
	var got map[advect.SessionID]advect.FilterResponse[text]
	wait := begin(func() (err error) {
		got, err = s.askAll(control, among(answers, rejects, lacks, closes, misreads), path, "no")
		return err
	})
	first(s, 1, leaving)
	s.none(closes.Close(), "close")
	s.none(wait(), "request")
	s.equal(len(got), 5, "answers")
	s.none(got[answers.ID()].Err, "answer")
	s.equal(got[answers.ID()].Response, "no", "answer")
	s.rejectedFor(got[rejects.ID()].Err, "not today")
	s.is(got[lacks.ID()].Err, "without a stream", advect.ErrUnhandled)
	s.is(got[closes.ID()].Err, "closed", advect.ErrNoSuchSession)
	s.is(got[misreads.ID()].Err, "another type", advect.ErrIncompatibleDatatype)
}

func toFilterNone(s *scene) {
	control := s.control()
	answers, err := s.askAll(control, "$Principal is 'nobody of this name'", s.path(), "question")
	s.none(err, "request to nobody")
	s.equal(len(answers), 0, "answers")
	for _, wrong := range noFilters {
		_, err := s.askAll(control, wrong, s.path(), "question")
		s.reported(err, "filter "+wrong, advect.ErrInvalidFilter)
	}
}
