package wire

import (
	"encoding/base64"
	"fmt"
	"strings"
)

// CredentialsKind says what a [Credentials] holds.
type CredentialsKind byte

// The kinds of credentials (01 section 2.1).
const (
	NoCredentials       CredentialsKind = 0
	PasswordCredentials CredentialsKind = 1
	CustomCredentials   CredentialsKind = 2
)

// Credentials prove a principal: nothing, a UTF-8 password, or opaque bytes for
// an authenticator of the application. The zero value is none.
type Credentials struct {
	Kind CredentialsKind
	Data []byte
}

// Password returns password credentials.
func Password(s string) Credentials { return Credentials{PasswordCredentials, []byte(s)} }

// String hides the secret, so that credentials can be logged by accident.
func (c Credentials) String() string {
	switch c.Kind {
	case NoCredentials:
		return "none"
	case PasswordCredentials:
		return "password(***)"
	default:
		return fmt.Sprintf("custom(%d bytes)", len(c.Data))
	}
}

// AppendCredentials appends the kind and the data.
func AppendCredentials(b []byte, c Credentials) []byte {
	return AppendBytes(append(b, byte(c.Kind)), c.Data)
}

// Credentials reads a kind and its data.
func (r *Reader) Credentials() Credentials {
	kind := CredentialsKind(r.Byte())
	if kind > CustomCredentials {
		r.Fail("credentials of unknown kind %d", kind)
	}
	return Credentials{kind, r.Bytes()}
}

// EncodePassword returns c as the value of the "password" connection parameter:
// standard base64, padded, not yet percent-encoded.
func EncodePassword(c Credentials) string {
	return base64.StdEncoding.EncodeToString(AppendCredentials(nil, c))
}

// DecodePassword parses the "password" connection parameter; padding may be missing.
func DecodePassword(s string) (Credentials, error) {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(s, "="))
	if err != nil {
		return Credentials{}, fmt.Errorf("%w: password parameter is not base64", ErrMalformed)
	}
	r := NewReader(raw)
	c := r.Credentials()
	return c, r.Err()
}
