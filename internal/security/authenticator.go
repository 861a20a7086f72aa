package security

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// Authenticator decides who may connect and as whom. The engine asks one on
// each new connection and each change of principal, from the goroutine that
// serves it, so implementations are safe for concurrent use and bound their
// own work.
//
// The decision holds even with an error. The error is for the log: it says
// what kept the authenticator from a better answer, such as a service that
// does not respond, and carries no credentials. An authenticator without an
// answer abstains.
type Authenticator interface {
	Authenticate(ctx context.Context, r Request) (Decision, error)
}

// Request is what an [Authenticator] decides on. It belongs to the caller and
// does not change during the call.
type Request struct {
	Principal   string // empty: anonymous
	Credentials Credentials
	// Proposed holds the user properties that the client would like to have.
	Proposed map[string]string
	// Session returns the fixed properties of the session and, if it exists
	// already, its user properties, which are gathered when it is first called. It is
	// set in requests of the engine, and may be called by one authenticator at a time.
	Session func() map[string]string
	// DefaultRoles are those of the security store for such a session:
	// [Policy.DefaultRoles]. An authenticator that assigns roles adds them.
	DefaultRoles []string
	Address      netip.Addr // of the client, if it has one
	// Certificate is that of the client's connection.
	Certificate Certificate
}

// CredentialsKind is the kind of credentials. Its value is the code on the
// wire (protocol 32 section 1.1).
type CredentialsKind uint8

// The kinds of credentials.
const (
	NoCredentials     CredentialsKind = 0
	PlainPassword     CredentialsKind = 1
	CustomCredentials CredentialsKind = 2
)

// Credentials are what a client proves its principal with. They have no
// String method and belong into no log.
type Credentials struct {
	Kind CredentialsKind
	Data []byte // UTF-8 text of a password
}

// None reports whether a client proves nothing. Some send an empty password,
// which is nobody's, for want of one.
func (c Credentials) None() bool {
	return c.Kind == NoCredentials || c.Kind == PlainPassword && len(c.Data) == 0
}

// Outcome is the answer of an authenticator. Its value is the code on the
// wire (protocol 32 section 4). The zero value refuses.
type Outcome uint8

// The outcomes.
const (
	Deny    Outcome = 0 // refuse; do not ask further authenticators
	Abstain Outcome = 1 // ask the next authenticator; refuse if there is none
	Allow   Outcome = 2 // accept; do not ask further authenticators
)

// String returns "deny", "abstain" or "allow".
func (o Outcome) String() string {
	switch o {
	case Deny:
		return "deny"
	case Abstain:
		return "abstain"
	case Allow:
		return "allow"
	}
	return fmt.Sprintf("Outcome(%d)", uint8(o))
}

// Decision is what an authenticator says of a request. The zero value refuses
// it. The receiver owns it.
type Decision struct {
	Outcome Outcome

	// The session that Allow makes.
	Principal string   // empty: that of the request
	Roles     []string // all roles
	// Properties are all user properties, and fixed ones as far as
	// [Assignable].
	Properties map[string]string
	Expiry     time.Time // when the session ends unless it authenticates again; zero: never

	// Reason says for the log why the outcome is not Allow. It carries no
	// credentials. It is not for the client.
	Reason string
}

func (d Decision) clone() Decision {
	d.Roles, d.Properties = slices.Clone(d.Roles), maps.Clone(d.Properties)
	return d
}

// Assignable reports whether an authenticator may set the session property
// key: a user property, or one of the fixed properties that describe where a
// client is (protocol 32 section 4). Principal, roles and expiry have fields
// of their own.
func Assignable(key string) bool {
	switch key {
	case "$Country", "$Language", "$Latitude", "$Longitude":
		return true
	}
	return key != "" && key[0] != '$'
}

// AddRoles returns roles and those of more that are not among them. It may
// reuse roles.
func AddRoles(roles, more []string) []string {
	for _, r := range more {
		if !slices.Contains(roles, r) {
			roles = append(roles, r)
		}
	}
	return roles
}

// Chain asks authenticators in turn until one allows or denies; if all
// abstain, it denies, with their reasons (protocol 32 section 2). Its error joins
// those of the authenticators that were asked, each with the name of its link.
type Chain []Link

// Link is one authenticator in a [Chain].
type Link struct {
	Name string // as logged, such as "system"
	Authenticator
}

// Authenticate implements [Authenticator]. If ctx ends, the decision is Deny.
func (c Chain) Authenticate(ctx context.Context, r Request) (Decision, error) {
	var errs []error
	refusal := "no authenticator accepts the principal and its credentials"
	for _, link := range c {
		d, err := link.Authenticate(ctx, r)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", link.Name, err))
		}
		if ctx.Err() != nil {
			return Decision{Reason: "no decision in time"}, errors.Join(append(errs, context.Cause(ctx))...)
		}
		if d.Reason != "" {
			d.Reason = link.Name + ": " + d.Reason
		}
		if d.Outcome != Abstain {
			return d, errors.Join(errs...)
		}
		if d.Reason != "" {
			refusal += "; " + d.Reason
		}
	}
	return Decision{Reason: refusal}, errors.Join(errs...)
}
