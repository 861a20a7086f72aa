package gosdk

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"advect.dev"
	"advect.dev/datatype"
)

// Requests to a path, and the handlers that answer them.

const messagesGroup = "Requests to a path"

var messages = []scenario{
	{"messages.types", messagesGroup, "a request reaches the handler of its path and is answered, with values of every type", both, messageTypes},
	{"messages.context", messagesGroup, "the handler learns the sender, the whole path as it was written, and of the properties that it asked for those there are", ws, messageContext},
	{"messages.longest-path", messagesGroup, "of several handlers that with the longest path is asked, in whole segments; slashes too many do not count", ws, messageLongestPath},
	{"messages.unhandled", messagesGroup, "a request to a path without a handler: UNHANDLED_MESSAGE", ws, messageUnhandled},
	{"messages.rejected", messagesGroup, "the handler rejects: the sender gets its text, and the next request is served", ws, messageRejected},
	{"messages.go-handler-fails", messagesGroup, "Go: the handler fails or panics, CALLBACK_EXCEPTION, or is sent another type, INCOMPATIBLE_DATATYPE; it goes on", ws, messageHandlerFails},
	{"messages.wrong-answer", messagesGroup, "an answer of another type than the sender wants is refused by the SDK of the sender", ws, messageWrongAnswer},
	{"messages.out-of-order", messagesGroup, "many requests are under way at once, and answered in any order", both, messagesOutOfOrder},
	{"messages.own-handler", messagesGroup, "a session may send requests to its own handler", ws, messageOwnHandler},
	{"messages.several-sessions", messagesGroup, "several sessions may register one path; one of them is asked, while any is there. A second handler of the same session: HANDLER_CONFLICT", ws, messageSeveralSessions},
	{"messages.close-handler", messagesGroup, "a handler that was closed is asked nothing more, and its path is free", ws, messageCloseHandler},
	{"messages.handler-session-closes", messagesGroup, "the session of the handler closes before it answers: NO_SUCH_SESSION", ws, messageHandlerSessionCloses},
	{"messages.sender-closes", messagesGroup, "the sender closes before it is answered: the handler may still answer, and goes on", ws, messageSenderCloses},
	{"messages.handler-away", messagesGroup, "a request to a handler whose session is away is answered when it is back", ws, messageHandlerAway},
	{"messages.sender-away", messagesGroup, "the answer to a sender that is away waits until it is back", ws, messageSenderAway},
	{"messages.message-loss", messagesGroup, "a reconnection with loss of messages ends handlers; requests under way are refused to their senders", both, messageLoss},
	{"messages.time-out", messagesGroup, "no answer in the time that the server allows: REQUEST_TIME_OUT; one that comes later is nothing to anybody", ws, messageTimeOut},
	{"messages.permissions", messagesGroup, "to register takes REGISTER_HANDLER, and VIEW_SESSION for properties; to send takes SEND_TO_MESSAGE_HANDLER for the path", ws, messagePermissions},
	{"messages.permission-withdrawn", messagesGroup, "a handler whose session has lost REGISTER_HANDLER is asked nothing, while it has not", ws, messagePermissionWithdrawn},
}

type text = datatype.String

// at opens a session with the server at a port, over the transport under test.
func (s *scene) at(port string, options ...advect.Option) *advect.Session {
	s.t.Helper()
	return s.open(s.to(port, options...)...)
}

func (s *scene) control() *advect.Session { s.t.Helper(); return s.connect(as("control")...) }

func (s *scene) admin() *advect.Session { s.t.Helper(); return s.connect(as("admin")...) }

// govern changes the role store of a server of the scenario's own.
func (s *scene) govern(port string, script ...string) {
	s.t.Helper()
	s.none(s.at(port, as("admin")...).Security().UpdateRoleStore(s.ctx, strings.Join(script, "\n")), "change the store of roles")
}

// begin makes a call on a goroutine of its own; what it returns waits for the
// error.
func begin(call func() error) func() error {
	done := make(chan error, 1)
	go func() { done <- call() }()
	return func() error { return <-done }
}

// first waits until a record has n items, and returns all.
func first[T any](s *scene, n int, r *record[T]) []T {
	s.t.Helper()
	all, err := r.until(patience, func(all []T) bool { return len(all) >= n })
	s.none(err, fmt.Sprintf("%d in %s", n, r.name))
	return all
}

// asked records requests.
type asked[V datatype.Value] = record[advect.Request[V]]

// recorded returns a function that records requests and has another answer them.
func recorded[V datatype.Value](path string, answer advect.RequestFunc[V, V]) (*asked[V], advect.RequestFunc[V, V]) {
	r := newRecord[advect.Request[V]]("requests to " + path)
	return r, func(ctx context.Context, request advect.Request[V]) (V, error) {
		r.add(request)
		return answer(ctx, request)
	}
}

// handler adds a request handler and records what it is asked.
func handler[V datatype.Value](s *scene, session *advect.Session, path string, answer advect.RequestFunc[V, V], opts ...advect.RequestHandlerOption) (*advect.RequestHandle, *asked[V]) {
	s.t.Helper()
	r, f := recorded(path, answer)
	h, err := advect.AddRequestHandler(s.ctx, session.Messaging(), path, f, opts...)
	s.none(err, "add request handler")
	return h, r
}

func echo[V datatype.Value](_ context.Context, r advect.Request[V]) (V, error) { return r.Value, nil }

// silent answers when nobody wants the answer any more.
func silent(ctx context.Context, _ advect.Request[text]) (text, error) {
	<-ctx.Done()
	return "too late", nil
}

func says(answer text) advect.RequestFunc[text, text] {
	return func(context.Context, advect.Request[text]) (text, error) { return answer, nil }
}

// rejectsNo rejects the request "no" and answers others as they are.
func rejectsNo(_ context.Context, r advect.Request[text]) (text, error) {
	if r.Value == "no" {
		return "", advect.Reject("not %s", "today")
	}
	return r.Value, nil
}

func (s *scene) ask(session *advect.Session, path string, question text) (text, error) {
	return advect.SendRequest[text](s.ctx, session.Messaging(), path, question)
}

func (s *scene) answered(session *advect.Session, path string, question, want text) {
	s.t.Helper()
	answer, err := s.ask(session, path, question)
	s.none(err, "request")
	s.equal(answer, want, "answer")
}

func (s *scene) unhandled(session *advect.Session, path, what string) {
	s.t.Helper()
	_, err := s.ask(session, path, "question")
	s.is(err, what, advect.ErrUnhandled)
}

func messageTypes(s *scene) {
	control, client := s.control(), s.connect(as("client")...)
	for _, t := range valueTypes {
		path := s.path(t.name)
		_, asked := handler(s, control, path, echo[datatype.Value])
		for _, v := range t.values {
			answer, err := advect.SendRequest[datatype.Value](s.ctx, client.Messaging(), path, v)
			s.none(err, "request of "+t.name)
			s.equal(comparable(answer), comparable(v), "answer of "+t.name)
		}
		for i, r := range asked.all() {
			s.equal(comparable(r.Value), comparable(t.values[i]), "request of "+t.name)
		}
	}
}

func messageContext(s *scene) {
	control, client := s.control(), s.connect(as("client")...)
	path := s.path()
	_, plain := handler(s, control, path, echo[text])
	s.answered(client, path+"/a//b/", "question", "question")
	got := plain.all()[0]
	s.equal(got.Path, path+"/a//b/", "path")
	s.equal(got.Sender, client.ID(), "sender")
	s.equal(len(got.Properties), 0, "properties")
	_, named := handler(s, control, path+"/named", echo[text], advect.WithSenderProperties("$Principal", "$Roles", "$MQTTClientId", "nothing"))
	s.answered(client, path+"/named", "question", "question")
	s.equal(named.all()[0].Properties, map[string]string{"$Principal": "client", "$Roles": `"CLIENT"`}, "named properties")
	_, fixed := handler(s, control, path+"/fixed", echo[text], advect.WithSenderProperties(advect.AllFixedProperties, advect.AllUserProperties))
	s.answered(client, path+"/fixed", "question", "question")
	p := fixed.all()[0].Properties
	s.equal([]string{p["$SessionId"], p["$ClientIP"], p["$Transport"]}, []string{client.ID().String(), "127.0.0.1", "WEBSOCKET"}, "fixed properties")
}

func messageLongestPath(s *scene) {
	control, other, client := s.control(), s.control(), s.connect()
	path := s.path()
	handler(s, control, "/"+path+"/", says("short"))
	handler(s, other, path+"/a/b", says("long"))
	for to, by := range map[string]text{"": "short", "/a": "short", "/a/bc": "short", "/a/b": "long", "/a/b/c/d": "long", "//a/b/": "long"} {
		s.answered(client, path+to, "who", by)
	}
	s.unhandled(client, path+"x", "a path that only begins alike")
}

func messageUnhandled(s *scene) {
	session := s.control()
	handler(s, session, s.path("branch")+"/below", echo[text])
	s.unhandled(session, s.path("branch"), "above the only handler")
	s.unhandled(session, s.path("elsewhere"), "elsewhere")
}

func messageRejected(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	handler(s, control, path, rejectsNo)
	_, err := s.ask(client, path, "no")
	s.rejectedFor(err, "not today")
	s.answered(client, path, "yes", "yes")
}

func (s *scene) rejectedFor(err error, want string) {
	s.t.Helper()
	s.is(err, "rejected", advect.ErrRejected)
	var refusal *advect.ServiceError
	s.ok(errors.As(err, &refusal), "%v is no service error", err)
	s.equal(refusal.Description, want, "reason")
}

func messageHandlerFails(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	problems := newRecord[error]("errors")
	control.OnError(func(_ *advect.Session, err error) { problems.add(err) })
	_, asked := handler(s, control, path, func(_ context.Context, r advect.Request[text]) (text, error) {
		switch r.Value {
		case "fail":
			return "", errors.New("on purpose")
		case "panic":
			panic("on purpose")
		}
		return r.Value, nil
	})
	for _, q := range []text{"fail", "panic"} {
		_, err := s.ask(client, path, q)
		s.is(err, string(q), advect.ErrCallback)
	}
	first(s, 1, problems)
	_, err := advect.SendRequest[text](s.ctx, client.Messaging(), path, doc(`{"a":1}`))
	s.is(err, "another type", advect.ErrIncompatibleDatatype)
	s.answered(client, path, "still there", "still there")
	s.equal(len(asked.all()), 3, "requests")
}

func messageWrongAnswer(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	handler(s, control, path, func(context.Context, advect.Request[datatype.Value]) (datatype.Value, error) {
		return doc(`{"a":1}`), nil
	})
	_, err := advect.SendRequest[datatype.Int64](s.ctx, client.Messaging(), path, datatype.Int64(1))
	s.is(err, "a number wanted", datatype.ErrIncompatible)
	answer, err := advect.SendRequest[datatype.JSON](s.ctx, client.Messaging(), path, datatype.Int64(1))
	s.none(err, "JSON wanted")
	s.equal(answer, doc(`{"a":1}`), "answer")
}

func messagesOutOfOrder(s *scene) {
	const requests = 40
	control, client := s.control(), s.connect()
	path := s.path()
	var turns [requests + 1]chan struct{} // closed from the last to the first
	for n := range turns {
		turns[n] = make(chan struct{})
	}
	_, asked := handler(s, control, path, func(ctx context.Context, r advect.Request[datatype.Int64]) (datatype.Int64, error) {
		select {
		case <-turns[r.Value+1]:
			close(turns[r.Value])
			return -r.Value, nil
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}, advect.WithConcurrency(requests))
	var waits []func() error
	for n := range datatype.Int64(requests) {
		waits = append(waits, begin(func() error {
			answer, err := advect.SendRequest[datatype.Int64](s.ctx, client.Messaging(), path, n)
			if err == nil && answer != -n {
				err = fmt.Errorf("the answer to %d is %d", n, answer)
			}
			return err
		}))
	}
	first(s, requests, asked)
	close(turns[requests])
	for _, wait := range waits {
		s.none(wait(), "request")
	}
}

func messageOwnHandler(s *scene) {
	session := s.control()
	path := s.path()
	_, asked := handler(s, session, path, echo[text])
	s.answered(session, path, "question", "question")
	s.equal(asked.all()[0].Sender, session.ID(), "sender")
}

func messageSeveralSessions(s *scene) {
	control, other, client := s.control(), s.control(), s.connect()
	path := s.path()
	h, first := handler(s, control, path, echo[text])
	_, second := handler(s, other, path, echo[text])
	for _, again := range []string{path, "/" + path + "/"} {
		_, err := advect.AddRequestHandler(s.ctx, control.Messaging(), again, echo[text])
		s.is(err, "a second handler at "+again, advect.ErrHandlerExists)
	}
	s.answered(client, path, "question", "question")
	s.equal(len(first.all())+len(second.all()), 1, "handlers that were asked")
	asked := len(second.all())
	s.none(h.Close(s.ctx), "close")
	s.answered(client, path, "question", "question")
	s.equal(len(second.all()), asked+1, "requests of the one that is left")
	s.none(other.Close(), "close")
	s.gone(other)
	s.unhandled(client, path, "when none is left")
}

// gone waits until the server has taken note of the end of a session with it.
func (s *scene) gone(session *advect.Session) {
	s.t.Helper()
	control := s.control()
	for {
		_, err := control.Clients().Properties(s.ctx, session.ID())
		if errors.Is(err, advect.ErrNoSuchSession) {
			return
		}
		s.none(err, "properties of a session that closes")
	}
}

func messageCloseHandler(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	closed := newRecord[error]("closes")
	h, asked := handler(s, control, path, echo[text], advect.WithOnClose(closed.add))
	s.answered(client, path, "question", "question")
	s.none(h.Close(s.ctx), "close")
	s.equal(first(s, 1, closed), "[<nil>]", "close")
	s.unhandled(client, path, "after the close")
	_, next := handler(s, control, path, echo[text])
	s.answered(client, path, "question", "question")
	s.equal([]int{len(asked.all()), len(next.all())}, "[1 1]", "requests of the old and the new")
}

func messageHandlerSessionCloses(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	closed := newRecord[error]("closes")
	_, asked := handler(s, control, path, silent, advect.WithOnClose(closed.add))
	answer := begin(func() error { _, err := s.ask(client, path, "question"); return err })
	first(s, 1, asked)
	s.none(control.Close(), "close")
	s.is(answer(), "request under way", advect.ErrNoSuchSession)
	s.is(first(s, 1, closed)[0], "the handler", advect.ErrClosedByClient)
	s.unhandled(client, path, "the next request")
}

func messageSenderCloses(s *scene) {
	control, client := s.control(), s.connect()
	path := s.path()
	release := make(chan struct{})
	_, asked := handler(s, control, path, func(ctx context.Context, r advect.Request[text]) (text, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return r.Value, nil
	})
	answer := begin(func() error { _, err := s.ask(client, path, "question"); return err })
	first(s, 1, asked)
	s.none(client.Close(), "close")
	s.is(answer(), "request of a session that closes", advect.ErrClosedByClient)
	close(release)
	s.answered(control, path, "in time", "in time")
}

func messageHandlerAway(s *scene) {
	away, client := s.subscribed(shared.port, as("control")...), s.connect()
	path := s.path()
	_, asked := handler(s, away.session, path, echo[text])
	away.lose()
	answer := begin(func() error { _, err := s.ask(client, path, "question"); return err })
	s.ping(client)
	s.equal(len(asked.all()), 0, "requests while away")
	away.found()
	s.none(answer(), "request")
}

func messageSenderAway(s *scene) {
	control, away := s.control(), s.subscribed(shared.port)
	path := s.path()
	release, closed := make(chan struct{}), newRecord[error]("closes")
	h, asked := handler(s, control, path, func(ctx context.Context, r advect.Request[text]) (text, error) {
		select {
		case <-release:
		case <-ctx.Done():
		}
		return r.Value, nil
	}, advect.WithOnClose(closed.add))
	answer := begin(func() error { _, err := s.ask(away.session, path, "question"); return err })
	first(s, 1, asked)
	away.lose()
	close(release)
	s.none(h.Close(s.ctx), "close")
	first(s, 1, closed) // the handler has answered
	s.ping(control)
	away.found()
	s.none(answer(), "request")
}

func messageLoss(s *scene) {
	server := s.serve("--recovery-messages", "2")
	p := s.lossy(server.port)
	f := s.subscribedAt(server.port, p.port, as("control")...)
	closed := newRecord[error]("closes")
	_, asked := handler(s, f.session, "lossy", silent, advect.WithOnClose(closed.add))
	answer := begin(func() error { _, err := s.ask(f.publisher.Session, "lossy", "question"); return err })
	first(s, 1, asked)
	p.lose(12, func() { f.count(1, 12) })
	f.found()
	err := answer()
	s.ok(err != nil, "the request under way was answered")
	s.is(first(s, 1, closed)[0], "the handler", advect.ErrMessageLoss)
	s.unhandled(f.publisher.Session, "lossy", "after the loss")
	handler(s, f.session, "lossy", echo[text])
	s.answered(f.publisher.Session, "lossy", "question", "question")
}

func messageTimeOut(s *scene) {
	port := s.serve("--request-timeout", "200ms").port
	control, client := s.at(port, as("control")...), s.at(port)
	release := make(chan struct{})
	handler(s, control, "slow", func(ctx context.Context, r advect.Request[text]) (text, error) {
		if r.Value != "now" {
			select {
			case <-release:
			case <-ctx.Done():
			}
		}
		return r.Value, nil
	})
	_, err := s.ask(client, "slow", "later")
	s.is(err, "request", advect.ErrRequestTimeout)
	close(release)
	s.answered(client, "slow", "now", "now")
	s.ping(control)
}

func messagePermissions(s *scene) {
	port := s.serve().port
	s.none(s.at(port, as("admin")...).Security().UpdatePrincipalStore(s.ctx, "add principal 'handler' 'password' ['AUTHENTICATION_HANDLER']"), "add principal")
	control, client, registrant := s.at(port, as("control")...), s.at(port, as("client")...), s.at(port, as("handler")...)
	_, err := advect.AddRequestHandler(s.ctx, client.Messaging(), "a", echo[text])
	s.is(err, "handler of a client", advect.ErrPermissionDenied)
	_, err = advect.AddRequestHandler(s.ctx, registrant.Messaging(), "a", echo[text], advect.WithSenderProperties("$Principal"))
	s.is(err, "properties without VIEW_SESSION", advect.ErrPermissionDenied)
	handler(s, registrant, "a", echo[text])
	s.answered(client, "a/b", "question", "question")
	handler(s, control, "Diffusion/handler", echo[text])
	denied := func(path, what string) {
		_, err := s.ask(client, path, "question")
		s.is(err, what, advect.ErrPermissionDenied)
	}
	denied("Diffusion/handler", "request into the reserved branch")
	denied("//Diffusion//handler", "the same, otherwise written")
	s.govern(port, "set 'CLIENT' path 'a' permissions [READ_TOPIC]")
	denied("a/b", "once the permission is withdrawn")
}

func messagePermissionWithdrawn(s *scene) {
	admin, control, client := s.admin(), s.control(), s.connect()
	path := s.path()
	_, asked := handler(s, control, path, echo[text])
	roles := []string{"CLIENT_CONTROL", "AUTHENTICATION_HANDLER"}
	s.none(admin.Clients().ChangeRoles(s.ctx, control.ID(), roles, nil), "take roles")
	s.unhandled(client, path, "without the permission")
	s.none(admin.Clients().ChangeRoles(s.ctx, control.ID(), nil, roles), "give roles")
	s.answered(client, path, "question", "question")
	s.equal(len(asked.all()), 1, "requests")
}
