package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/golang-jwt/jwt/v5"
)

// algorithms are those that can be accepted.
var algorithms = []string{
	"HS256", "HS384", "HS512",
	"RS256", "RS384", "RS512",
	"PS256", "PS384", "PS512",
	"ES256", "ES384", "ES512",
	"EdDSA",
}

// secretSizes are the least sizes of secrets in bytes: those of the hashes
// (RFC 7518 section 3.2).
var secretSizes = map[string]int{"HS256": 32, "HS384": 48, "HS512": 64}

// The sizes of RSA keys in bits. Larger ones take too long to use.
const (
	minRSABits = 2048
	maxRSABits = 8192
)

// Key is one static key: a secret, or a public key in PEM.
type Key struct {
	// ID is the "kid" of tokens that this key is for; empty: of all.
	ID     string
	Secret []byte
	PEM    []byte // PUBLIC KEY, RSA PUBLIC KEY or CERTIFICATE
}

// key is a key that can be used.
type key struct {
	id         string
	value      jwt.VerificationKey
	algorithms []string // that may use it
}

// fits reports whether algorithm may use the key. A key is of one family, so
// that a public key never serves as a secret.
func (k *key) fits(algorithm string) bool { return slices.Contains(k.algorithms, algorithm) }

func (k *Key) parse() (key, error) {
	switch {
	case (k.Secret == nil) == (k.PEM == nil):
		return key{}, errors.New("give either a secret or a public key")
	case k.Secret == nil:
		public, err := parsePEM(k.PEM)
		if err != nil {
			return key{}, err
		}
		return newKey(k.ID, public)
	}
	parsed := key{id: k.ID, value: k.Secret}
	for algorithm, size := range secretSizes {
		if len(k.Secret) >= size {
			parsed.algorithms = append(parsed.algorithms, algorithm)
		}
	}
	if parsed.algorithms == nil {
		return key{}, fmt.Errorf("a secret has at least %d bytes", secretSizes["HS256"])
	}
	return parsed, nil
}

// newKey makes a key of a public key.
func newKey(id string, public any) (key, error) {
	k := key{id: id, value: public}
	switch p := public.(type) {
	case *rsa.PublicKey:
		if n := p.N.BitLen(); n < minRSABits || n > maxRSABits {
			return key{}, fmt.Errorf("an RSA key of %d bits is not accepted, only %d to %d", n, minRSABits, maxRSABits)
		}
		k.algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"}
	case *ecdsa.PublicKey:
		algorithm, ok := map[string]string{"P-256": "ES256", "P-384": "ES384", "P-521": "ES512"}[p.Params().Name]
		if !ok {
			return key{}, fmt.Errorf("keys on the curve %s are not supported", p.Params().Name)
		}
		k.algorithms = []string{algorithm}
	case ed25519.PublicKey:
		k.algorithms = []string{"EdDSA"}
	default:
		return key{}, fmt.Errorf("keys of type %T are not supported", public)
	}
	return k, nil
}

func parsePEM(data []byte) (any, error) {
	block, _ := pem.Decode(data)
	if block == nil {
		return nil, errors.New("this is no PEM")
	}
	switch block.Type {
	case "PUBLIC KEY":
		return x509.ParsePKIXPublicKey(block.Bytes)
	case "RSA PUBLIC KEY":
		return x509.ParsePKCS1PublicKey(block.Bytes)
	case "CERTIFICATE":
		certificate, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, err
		}
		return certificate.PublicKey, nil
	case "PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY":
		return nil, errors.New("this is a private key; the server needs the public one only")
	}
	return nil, fmt.Errorf("PEM of type %q is not supported", block.Type)
}

// keys returns the keys that may have signed a token with this header.
func (a *Authenticator) keys(ctx context.Context, h header) ([]jwt.VerificationKey, error) {
	fitting := func(keys []key) (fit []jwt.VerificationKey) {
		for i := range keys {
			k := &keys[i]
			if k.fits(h.Algorithm) && (k.id == "" || h.KeyID == "" || k.id == h.KeyID) {
				fit = append(fit, k.value)
			}
		}
		return fit
	}
	static := fitting(a.static)
	if _, isHMAC := secretSizes[h.Algorithm]; isHMAC || a.remote == nil {
		return static, nil
	}
	fetched, err := a.remote.get(ctx, func(keys []key) bool { return len(static) > 0 || len(fitting(keys)) > 0 })
	if err != nil && len(static) == 0 {
		return nil, err
	}
	return append(static, fitting(fetched)...), nil
}
