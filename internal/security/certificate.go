package security

import (
	"context"
	"crypto/x509"
	"time"
)

// Certificate is what the TLS certificate of a client proves. The zero value
// is that of a connection without one.
type Certificate struct {
	Name     string    // the common name of the subject
	NotAfter time.Time // when it is no longer valid
}

// maxCertificateName bounds the name in a certificate, in bytes: RFC 5280
// allows 64 characters.
const maxCertificateName = 256

// CertificateOf returns what a certificate proves that has been verified. One
// without exactly one common name proves nothing, since programs would differ
// on whose it is.
func CertificateOf(verified *x509.Certificate) Certificate {
	var names []string
	for _, attribute := range verified.Subject.Names {
		if attribute.Type.Equal([]int{2, 5, 4, 3}) { // commonName, RFC 4519 section 2.3
			name, _ := attribute.Value.(string)
			names = append(names, name)
		}
	}
	if len(names) != 1 || names[0] == "" || len(names[0]) > maxCertificateName {
		return Certificate{}
	}
	return Certificate{Name: names[0], NotAfter: verified.NotAfter}
}

// Certificates is the [Authenticator] of clients that prove their principal by
// a certificate instead of credentials. It allows a principal of the store
// whose name is that in the certificate, byte for byte, with the roles that
// the store has for it, until the certificate expires. It abstains from all
// else: a certificate stands for no other principal, and a client that gives
// credentials is judged by these.
type Certificates struct{ store *Store }

// NewCertificates returns an authenticator for the principals of a store.
func NewCertificates(store *Store) *Certificates { return &Certificates{store} }

// Authenticate implements [Authenticator].
func (c *Certificates) Authenticate(_ context.Context, r Request) (Decision, error) {
	if r.Principal == "" || r.Principal != r.Certificate.Name || !r.Credentials.None() || !time.Now().Before(r.Certificate.NotAfter) {
		return Decision{Outcome: Abstain}, nil
	}
	p := c.store.state.Load().index[r.Principal]
	if p == nil {
		return Decision{Outcome: Abstain, Reason: "the certificate is of no principal of the store"}, nil
	}
	return Decision{
		Outcome:    Allow,
		Roles:      AddRoles(append([]string(nil), p.roles...), r.DefaultRoles),
		Properties: c.store.TrustedProperties(r.Proposed),
		Expiry:     r.Certificate.NotAfter,
	}, nil
}
