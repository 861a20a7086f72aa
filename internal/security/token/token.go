package token

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"advect.dev/internal/security"
)

// Config says which tokens are accepted and what they say about a session.
type Config struct {
	// Algorithms are those that tokens may be signed with, such as "RS256".
	// Required; every algorithm needs a key, unless there is a JWKS.
	Algorithms []string
	Keys       []Key // static keys
	// JWKS is the URL of a set of public keys (RFC 7517), besides or instead of
	// Keys. Plain http needs AllowHTTP, except on this machine.
	JWKS      string
	AllowHTTP bool
	Refresh   time.Duration     // how long a fetched set is taken as current; default 15 minutes
	Transport http.RoundTripper // to fetch with; default: a transport of its own

	Issuer   string        // what iss must be; empty: anything
	Audience []string      // of which aud must name one; empty: anything
	Leeway   time.Duration // of clocks; at most 5 minutes, default 0

	// Claims are named by their key, or by keys joined with dots for claims
	// within claims, such as "realm_access.roles".
	PrincipalClaim string            // default "sub"
	RolesClaim     string            // a list, or a text with spaces; default "roles"
	Properties     map[string]string // session property to claim; absent claims are left out
	// AnyPrincipal accepts a token whatever principal the client names; the
	// session then has the principal of the token. By default they must be
	// equal.
	AnyPrincipal bool
}

// maxTokenSize bounds a token, in bytes.
const maxTokenSize = 16 << 10

const maxLeeway = 5 * time.Minute

// Authenticator implements [security.Authenticator].
type Authenticator struct {
	cfg    Config
	parser *jwt.Parser
	static []key
	remote *remote // nil: none
}

// New checks cfg and makes an authenticator of it. The error joins all
// problems; it carries no key.
func New(cfg Config) (*Authenticator, error) {
	if cfg.PrincipalClaim == "" {
		cfg.PrincipalClaim = "sub"
	}
	if cfg.RolesClaim == "" {
		cfg.RolesClaim = "roles"
	}
	if cfg.Refresh == 0 {
		cfg.Refresh = 15 * time.Minute
	}
	a := &Authenticator{cfg: cfg}
	if err := a.configure(); err != nil {
		return nil, fmt.Errorf("configure tokens: %w", err)
	}
	options := []jwt.ParserOption{
		jwt.WithValidMethods(cfg.Algorithms),
		jwt.WithExpirationRequired(),
		jwt.WithIssuedAt(),
		jwt.WithLeeway(cfg.Leeway),
		jwt.WithStrictDecoding(),
		jwt.WithJSONNumber(),
	}
	if cfg.Issuer != "" {
		options = append(options, jwt.WithIssuer(cfg.Issuer))
	}
	if len(cfg.Audience) > 0 {
		options = append(options, jwt.WithAudience(cfg.Audience...))
	}
	a.parser = jwt.NewParser(options...)
	return a, nil
}

func (a *Authenticator) configure() error {
	var errs []error
	cfg := &a.cfg
	if len(cfg.Algorithms) == 0 {
		errs = append(errs, errors.New("name the algorithms that tokens may be signed with"))
	}
	for i, k := range cfg.Keys {
		parsed, err := k.parse()
		if err != nil {
			errs = append(errs, fmt.Errorf("key %d: %w", i+1, err))
			continue
		}
		a.static = append(a.static, parsed)
	}
	if cfg.JWKS != "" {
		if err := security.CheckURL(cfg.JWKS, cfg.AllowHTTP); err != nil {
			errs = append(errs, fmt.Errorf("set of keys: %w", err))
		}
		a.remote = newRemote(cfg.JWKS, cfg.Refresh, cfg.Transport)
	}
	for _, algorithm := range cfg.Algorithms {
		switch minimum, isHMAC := secretSizes[algorithm]; {
		case !slices.Contains(algorithms, algorithm):
			errs = append(errs, fmt.Errorf("algorithm %q is not supported; there are %s", algorithm, strings.Join(algorithms, ", ")))
		case isHMAC && !slices.ContainsFunc(a.static, func(k key) bool { return k.fits(algorithm) }):
			errs = append(errs, fmt.Errorf("algorithm %s needs a secret of at least %d bytes", algorithm, minimum))
		case a.remote == nil && !slices.ContainsFunc(a.static, func(k key) bool { return k.fits(algorithm) }):
			errs = append(errs, fmt.Errorf("algorithm %s has no key", algorithm))
		}
	}
	if cfg.Leeway < 0 || cfg.Leeway > maxLeeway {
		errs = append(errs, fmt.Errorf("the leeway must be between 0 and %v", maxLeeway))
	}
	for property := range cfg.Properties {
		if !security.Assignable(property) {
			errs = append(errs, fmt.Errorf("a token cannot set the session property %q", property))
		}
	}
	return errors.Join(errs...)
}

// Authenticate implements [security.Authenticator]. It abstains for
// credentials that do not look like a token, and with an error if it has no
// keys because they cannot be fetched.
func (a *Authenticator) Authenticate(ctx context.Context, r security.Request) (security.Decision, error) {
	if r.Credentials.Kind != security.PlainPassword {
		return security.Decision{Outcome: security.Abstain}, nil
	}
	h, ok := readHeader(r.Credentials.Data)
	if !ok {
		return security.Decision{Outcome: security.Abstain}, nil
	}
	if len(r.Credentials.Data) > maxTokenSize {
		return deny("the token is larger than %d bytes", maxTokenSize)
	}
	if !slices.Contains(a.cfg.Algorithms, h.Algorithm) {
		return deny("the token is signed with an algorithm that is not accepted")
	}
	if h.Critical != nil {
		return deny("the token has critical headers, which are not supported")
	}
	keys, err := a.keys(ctx, h)
	if err != nil {
		return security.Decision{Outcome: security.Abstain}, fmt.Errorf("fetch the keys of tokens: %w", err)
	}
	if len(keys) == 0 {
		return deny("the token is signed with a key that is not known")
	}
	claims := make(jwt.MapClaims)
	_, err = a.parser.ParseWithClaims(string(r.Credentials.Data), claims, func(t *jwt.Token) (any, error) {
		if t.Method.Alg() != h.Algorithm { // a header that can be read in two ways
			return nil, jwt.ErrTokenMalformed
		}
		return jwt.VerificationKeySet{Keys: keys}, nil
	})
	if err != nil {
		return deny("%s", reason(err))
	}
	return a.decide(r, claims)
}

func deny(format string, args ...any) (security.Decision, error) {
	return security.Decision{Reason: fmt.Sprintf(format, args...)}, nil
}

// reason says what is wrong with a token. The texts of err itself may quote
// it.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{jwt.ErrTokenSignatureInvalid, "the signature of the token is wrong"},
		{jwt.ErrTokenMalformed, "the token is malformed"},
		{jwt.ErrTokenExpired, "the token has expired"},
		{jwt.ErrTokenNotValidYet, "the token is not valid yet"},
		{jwt.ErrTokenUsedBeforeIssued, "the token was issued in the future"},
		{jwt.ErrTokenRequiredClaimMissing, "the token lacks one of the claims exp, iss and aud"},
		{jwt.ErrTokenInvalidAudience, "the token is for another audience"},
		{jwt.ErrTokenInvalidIssuer, "the token is from another issuer"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return "the token is not valid"
}

// decide turns the claims of a token that is proved into a session.
func (a *Authenticator) decide(r security.Request, claims jwt.MapClaims) (security.Decision, error) {
	principal, _ := claim(claims, a.cfg.PrincipalClaim).(string)
	if principal == "" {
		return deny("the token names no principal in the claim %q", a.cfg.PrincipalClaim)
	}
	if principal != r.Principal && !a.cfg.AnyPrincipal {
		return deny("the token is of another principal than the one that the client names")
	}
	roles, ok := texts(claim(claims, a.cfg.RolesClaim))
	if !ok {
		return deny("the claim %q of the token is not a list of roles", a.cfg.RolesClaim)
	}
	expiry, err := claims.GetExpirationTime()
	if err != nil || expiry == nil { // not after validation
		return deny("the token does not say when it expires")
	}
	properties := make(map[string]string, len(a.cfg.Properties))
	for property, name := range a.cfg.Properties {
		if value, ok := text(claim(claims, name)); ok {
			properties[property] = value
		}
	}
	return security.Decision{
		Outcome:    security.Allow,
		Principal:  principal,
		Roles:      security.AddRoles(roles, r.DefaultRoles),
		Properties: properties,
		Expiry:     expiry.Add(a.cfg.Leeway),
	}, nil
}

// claim returns the claim of a name, or of a path with dots; nil for none.
func claim(claims map[string]any, name string) any {
	if value, ok := claims[name]; ok {
		return value
	}
	outer, rest, ok := strings.Cut(name, ".")
	if inner, is := claims[outer].(map[string]any); ok && is {
		return claim(inner, rest)
	}
	return nil
}

// texts reads a list of strings, or a string with spaces; nothing is an empty
// list.
func texts(value any) (list []string, ok bool) {
	switch v := value.(type) {
	case nil:
		return nil, true
	case string:
		return strings.Fields(v), true
	case []any:
		for _, item := range v {
			s, ok := item.(string)
			if !ok || s == "" {
				return nil, false
			}
			list = append(list, s)
		}
		return list, true
	}
	return nil, false
}

// text writes a string, number or bool.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		return fmt.Sprint(v), true
	}
	return "", false
}

// header is the part of the header of a token that decides how it is read.
type header struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Critical  json.RawMessage `json:"crit"`
}

// maxHeaderSize bounds the header of a token, in bytes.
const maxHeaderSize = 2 << 10

// readHeader reports whether data looks like a signed token.
func readHeader(data []byte) (h header, ok bool) {
	first, rest, found := bytes.Cut(data, []byte("."))
	if !found || bytes.Count(rest, []byte(".")) != 1 || len(first) > maxHeaderSize {
		return header{}, false
	}
	decoded, err := base64.RawURLEncoding.AppendDecode(nil, first)
	if err != nil || json.Unmarshal(decoded, &h) != nil || h.Algorithm == "" {
		return header{}, false
	}
	return h, true
}
