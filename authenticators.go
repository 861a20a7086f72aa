package advect

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// The names under which a server of default configuration lets sessions register
// authenticators.
const (
	BeforeSystemAuthenticator = "before-system-handler" // asked before the server's own
	AfterSystemAuthenticator  = "after-system-handler"  // asked if the server's own abstains
)

// CredentialsKind says what the Data of [Credentials] are.
type CredentialsKind = wire.CredentialsKind

// The kinds of credentials.
const (
	NoCredentials = wire.NoCredentials
	PasswordKind  = wire.PasswordCredentials // Data is the password
	CustomKind    = wire.CustomCredentials   // see [CustomCredentials]
)

// An AuthenticationRequest asks who connects, or goes on under another principal.
type AuthenticationRequest struct {
	Principal   string // "" if anonymous
	Credentials Credentials
	// Session are the session properties that the session has, or would get. If
	// it goes on under another principal its user properties are among them.
	Session map[string]string
	// Proposed are those that the client would like to have.
	Proposed map[string]string
}

// An Authentication is what an authenticator makes of a request: see [Allow],
// [AllowWith], [Deny] and [Abstain]. The zero value denies.
type Authentication struct{ answer service.Authentication }

// String returns the platform's name of the decision, such as "ALLOW".
func (a Authentication) String() string { return a.answer.Decision.String() }

// Allow accepts a session, without user properties.
func Allow() Authentication { return AllowWith(nil) }

// AllowWith accepts a session and gives it session properties: all those whose keys
// do not start with $, and of the others $Country, $Language, $Latitude, $Longitude,
// $Principal, $Roles and $ExpiryTime. Others are ignored. Properties of the request
// can be passed on as they are.
func AllowWith(properties map[string]string) Authentication {
	return Authentication{service.Authentication{Decision: service.Allow, Properties: properties}}
}

// Deny refuses a session.
func Deny() Authentication { return Authentication{} }

// Abstain leaves the decision to the next authenticator. If there is none the
// session is refused.
func Abstain() Authentication {
	return Authentication{service.Authentication{Decision: service.Abstain}}
}

// An Authenticator decides who may connect (protocol 32 section 4).
type Authenticator struct {
	// Authenticate decides about a request. It should not take long: the client
	// waits for it, and the server not for more than some seconds. An error, whose
	// text the server gets, and a panic count as [Abstain], as far as the server
	// is concerned. Calls run on goroutines of their own, up to 16 at a time.
	Authenticate func(ctx context.Context, request AuthenticationRequest) (Authentication, error)
	// OnClose tells that nothing follows, as of [WithOnClose]. It may be nil.
	OnClose func(error)
}

// An AuthenticatorHandle stands for an authenticator that was added.
type AuthenticatorHandle struct{ authenticator *authenticator }

type authenticator struct {
	*responder
	id         int64
	parameters service.NameDeregistration
	decide     func(ctx context.Context, request AuthenticationRequest) (Authentication, error)
}

func (a *authenticator) closed(err error) { a.end(err) }

// same reports whether a handler is an authenticator of the same name.
func (a *authenticator) same(other conversation) bool {
	o, ok := other.(*authenticator)
	return ok && o.parameters.Name == a.parameters.Name
}

// AddAuthenticator adds an authenticator under a name that the server is configured
// with, such as [BeforeSystemAuthenticator]. If several sessions have one of the
// name, the server asks one of them. While none has, the name is passed over. The
// session needs the permissions REGISTER_HANDLER and AUTHENTICATE. Errors:
// [ErrInvalidData] if the server does not have the name, [ErrHandlerExists] if the
// session has an authenticator of the name.
func (s *Security) AddAuthenticator(ctx context.Context, name string, a Authenticator) (*AuthenticatorHandle, error) {
	if a.Authenticate == nil {
		return nil, errors.New("add authenticator: Authenticate is nil")
	}
	h := &authenticator{
		responder: &responder{session: s.session, what: "authenticator " + name, most: respondersRunning, onClose: a.OnClose},
		decide:    a.Authenticate,
	}
	h.parameters.ControlParameters = service.ControlParameters{Definition: service.Authenticator.ID, Group: service.DefaultGroup}
	h.parameters.Name = name
	var err error
	if h.id, err = s.session.converse(h); err == nil {
		_, err = call(ctx, s.session, service.AuthenticatorRegistration, service.NameRegistration{
			NameDeregistration: h.parameters, Handler: h.id,
		})
	}
	if err != nil {
		s.session.abandon(ctx, h.id, h.same, func(conversation int64) []byte {
			return service.AuthenticatorDeregistration.AppendRequest(nil, conversation, h.parameters)
		})
		return nil, fmt.Errorf("add authenticator %s: %w", name, err)
	}
	return &AuthenticatorHandle{h}, nil
}

// Close removes the authenticator and waits for the server to take note. Requests
// that wait for their turn are left to the next authenticator. It is closed even if
// Close fails; closing again does nothing.
func (h *AuthenticatorHandle) Close(ctx context.Context) error {
	a := h.authenticator
	open := a.session.discard(a.id)
	var err error
	if open {
		_, err = call(ctx, a.session, service.AuthenticatorDeregistration, a.parameters)
	}
	a.end(errHandlerClosed)
	if err != nil {
		return fmt.Errorf("close authenticator %s: %w", a.parameters.Name, err)
	}
	return nil
}

// serveAuthenticator gives a request to its authenticator. One that is no more
// abstains.
func (s *Session) serveAuthenticator(m *wire.Message) {
	req, ok := decodeOnly(s, service.Authenticator, m)
	if !ok {
		return
	}
	a, ok := handler[*authenticator](s, req.Handler)
	if !ok {
		if m.Conversation != 0 {
			s.post(service.Authenticator.AppendResponse(nil, m.Conversation, service.Authentication{Decision: service.Abstain}))
		}
		return
	}
	request := AuthenticationRequest{
		Principal: req.Principal, Credentials: req.Credentials, Session: req.Session, Proposed: req.Proposed,
	}
	request.Credentials.Data = bytes.Clone(req.Credentials.Data)
	conversation := m.Conversation
	a.add(s.incoming(m, func(ctx context.Context) ([]byte, error) {
		decision, err := a.decide(ctx, request)
		if err != nil {
			return nil, rejection(err)
		}
		return service.Authenticator.AppendResponse(nil, conversation, decision.answer), nil
	}))
}
