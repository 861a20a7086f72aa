package advect

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// An answer ends a call.
type answer struct {
	body []byte
	err  error
}

// call makes a request and waits for the answer, the session's loss of messages
// or end, or the end of ctx. When ctx ends the request may still have its
// effect; its answer is then ignored.
func call[Req, Res any](ctx context.Context, s *Session, svc *service.Service[Req, Res], req Req) (Res, error) {
	var none Res
	conversation := s.conversations.Add(1)
	answered := make(chan answer, 1)
	err := s.send(ctx, conversation, svc.AppendRequest(nil, conversation, req), answered)
	if err != nil {
		return none, err
	}
	select {
	case a := <-answered:
		if a.err != nil {
			return none, a.err
		}
		return svc.ReadResponse(a.body)
	case <-ctx.Done():
		s.mu.Lock()
		delete(s.pending, conversation)
		s.mu.Unlock()
		return none, context.Cause(ctx)
	}
}

// send queues a request, once there is room in the queue.
func (s *Session) send(ctx context.Context, conversation int64, request []byte, answered chan<- answer) error {
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		wait, err := s.trySend(conversation, request, answered)
		if wait == nil {
			return err
		}
		select {
		case <-wait:
		case <-ctx.Done():
		}
	}
}

// trySend queues a request, or returns what to wait for before trying again.
func (s *Session) trySend(conversation int64, request []byte, answered chan<- answer) (wait <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.trySendLocked(conversation, request, answered)
}

// trySendLocked does as trySend with s.mu held.
func (s *Session) trySendLocked(conversation int64, request []byte, answered chan<- answer) (wait <-chan struct{}, err error) {
	switch {
	case s.link == nil:
		return nil, s.notConnected()
	case len(request) > s.maxMessage:
		return nil, fmt.Errorf("%w: %d bytes, the most is %d", ErrMessageTooLarge, len(request), s.maxMessage)
	case s.out.waiting() >= s.opt.outboundQueue:
		return s.out.changed(), nil
	}
	s.pending[conversation] = answered
	s.out.add(request)
	s.link.wakeUp()
	return nil, nil
}

// answered ends a call, or, by an error, a handler. Answers that nobody waits
// for are ignored.
func (s *Session) answered(conversation int64, a answer) {
	s.mu.Lock()
	c, ok := s.pending[conversation]
	delete(s.pending, conversation)
	taken := s.lockAnswered(conversation, a)
	s.mu.Unlock()
	switch {
	case taken:
	case ok:
		c <- a
	case a.err != nil:
		s.endConversation(conversation, a.err)
	}
}

// PingDetails is the result of [Session.PingServer].
type PingDetails struct {
	// Time is when the ping was sent.
	Time time.Time
	// RoundTrip is how long the answer took.
	RoundTrip time.Duration
}

// PingServer measures the time that a message takes to the server and back.
func (s *Session) PingServer(ctx context.Context) (PingDetails, error) {
	start := time.Now()
	_, err := call(ctx, s, service.UserPing, service.Empty{})
	if err != nil {
		return PingDetails{}, fmt.Errorf("ping: %w", err)
	}
	return PingDetails{start, time.Since(start)}, nil
}

// Properties returns the session's properties as the server has them.
func (s *Session) Properties(ctx context.Context) (map[string]string, error) {
	res, err := call(ctx, s, service.GetOwnSessionProperties, service.Empty{})
	if err != nil {
		return nil, fmt.Errorf("get session properties: %w", err)
	}
	return maps.Clone(res.Properties), nil
}

// Credentials prove a principal: see [Password] and [CustomCredentials]. The
// zero value proves nothing.
type Credentials = wire.Credentials

// Password returns credentials that are a password.
func Password(password string) Credentials { return wire.Password(password) }

// CustomCredentials returns credentials for an authenticator of the server.
func CustomCredentials(data []byte) Credentials {
	return Credentials{Kind: wire.CustomCredentials, Data: data}
}

// errRefused is the cause of an [ErrAccessDenied] of ReAuthenticate.
var errRefused = errors.New("the session goes on as it was")

// ChangePrincipal goes on with the session under another principal. When the
// principal or its credentials are refused the error matches [ErrAccessDenied]
// and the session goes on as before.
func (s *Session) ChangePrincipal(ctx context.Context, principal string, credentials Credentials) error {
	return s.reAuthenticate(ctx, "change principal", principal, credentials, nil)
}

// ReAuthenticate proves who the session is, under the same principal or another,
// and proposes session properties, as opening a session does: see
// [WithSessionProperties]. The user properties that the session had are replaced,
// and so is when it expires. Errors are those of [Session.ChangePrincipal].
func (s *Session) ReAuthenticate(ctx context.Context, principal string, credentials Credentials, properties map[string]string) error {
	return s.reAuthenticate(ctx, "re-authenticate", principal, credentials, properties)
}

func (s *Session) reAuthenticate(ctx context.Context, what, principal string, credentials Credentials, properties map[string]string) error {
	changed, err := call(ctx, s, service.ReAuthenticate, service.ReAuthenticateRequest{
		PrincipalRequest: service.PrincipalRequest{Principal: principal, Credentials: credentials},
		Properties:       properties,
	})
	switch {
	case err != nil:
		return fmt.Errorf("%s: %w", what, err)
	case !bool(changed):
		return fmt.Errorf("%s: %w", what, &CloseReason{CodeAccessDenied, errRefused})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.principal = principal
	return nil
}
