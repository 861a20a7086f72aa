package token

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"advect.dev/internal/security"
)

var secret = []byte(strings.Repeat("0123456789abcdef", 4))

// pairs are private keys by family, made once.
var pairs = sync.OnceValue(func() map[string]crypto.Signer {
	must := func(s crypto.Signer, err error) crypto.Signer {
		if err != nil {
			panic(err)
		}
		return s
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	return map[string]crypto.Signer{
		"RSA":   must(rsa.GenerateKey(rand.Reader, 2048)),
		"ES256": must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader)),
		"ES384": must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader)),
		"ES512": must(ecdsa.GenerateKey(elliptic.P521(), rand.Reader)),
		"EdDSA": must(ed, err),
	}
})

// private returns the key that signs with an algorithm.
func private(algorithm string) any {
	switch algorithm[:2] {
	case "HS":
		return secret
	case "RS", "PS":
		return pairs()["RSA"]
	}
	return pairs()[algorithm]
}

// verifier returns the configured key of an algorithm.
func verifier(t testing.TB, algorithm string) Key {
	t.Helper()
	signer, ok := private(algorithm).(crypto.Signer)
	if !ok {
		return Key{Secret: secret}
	}
	der, err := x509.MarshalPKIXPublicKey(signer.Public())
	if err != nil {
		t.Fatal(err)
	}
	return Key{PEM: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})}
}

// sign makes a token; claims override those of a good one, and nil removes.
func sign(t testing.TB, algorithm string, header, claims map[string]any) string {
	t.Helper()
	all := jwt.MapClaims{"sub": "bob", "roles": []string{"R"}, "exp": time.Now().Add(time.Hour).Unix()}
	for k, v := range claims {
		if v == nil {
			delete(all, k)
		} else {
			all[k] = v
		}
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(algorithm), all)
	for k, v := range header {
		token.Header[k] = v
	}
	var key any = jwt.UnsafeAllowNoneSignatureType
	if algorithm != "none" {
		key = private(algorithm)
	}
	text, err := token.SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustNew(t testing.TB, cfg Config) *Authenticator {
	t.Helper()
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ask(t testing.TB, a *Authenticator, principal, password string) security.Decision {
	t.Helper()
	d, err := a.Authenticate(t.Context(), security.Request{
		Principal:    principal,
		Credentials:  security.Credentials{Kind: security.PlainPassword, Data: []byte(password)},
		Proposed:     map[string]string{"proposed": "x"},
		DefaultRoles: []string{"DEFAULT"},
	})
	if err != nil {
		t.Fatal(err)
	}
	for part := range strings.SplitSeq(password, ".") {
		if len(part) > 3 && strings.Contains(d.Reason, part) {
			t.Errorf("the reason carries a part of the token: %s", d.Reason)
		}
	}
	return d
}

func TestEveryAlgorithm(t *testing.T) {
	for _, algorithm := range algorithms {
		a := mustNew(t, Config{Algorithms: []string{algorithm}, Keys: []Key{verifier(t, algorithm)}})
		good := sign(t, algorithm, nil, nil)
		if d := ask(t, a, "bob", good); d.Outcome != security.Allow {
			t.Errorf("%s: %+v", algorithm, d)
		}
		// The same key with each other algorithm of the family is refused.
		for _, other := range algorithms {
			if d := ask(t, a, "bob", sign(t, other, nil, nil)); (d.Outcome == security.Allow) != (other == algorithm) {
				t.Errorf("%s for %s: %+v", other, algorithm, d)
			}
		}
		parts := strings.Split(good, ".")
		signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
		signature[0] ^= 1
		parts[2] = base64.RawURLEncoding.EncodeToString(signature)
		if d := ask(t, a, "bob", strings.Join(parts, ".")); d.Outcome != security.Deny || d.Reason != "the signature of the token is wrong" {
			t.Errorf("%s with a wrong signature: %+v", algorithm, d)
		}
	}
}

// A public key must not serve as a secret.
func TestAlgorithmConfusion(t *testing.T) {
	public := verifier(t, "RS256")
	a := mustNew(t, Config{Algorithms: []string{"RS256", "HS256", "EdDSA"}, Keys: []Key{public, {Secret: secret}, verifier(t, "EdDSA")}})
	ed := pairs()["EdDSA"].Public().(ed25519.PublicKey)
	for name, key := range map[string][]byte{"PEM": public.PEM, "Ed25519": ed} {
		forged, err := jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.MapClaims{"sub": "bob", "exp": time.Now().Add(time.Hour).Unix()}).SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		if d := ask(t, a, "bob", forged); d.Outcome != security.Deny {
			t.Errorf("signed with the %s: %+v", name, d)
		}
		// Two algorithms, told apart by case only.
		_, rest, _ := strings.Cut(forged, ".")
		header := base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"HS256","ALG":"EdDSA"}`))
		if d := ask(t, a, "bob", header+"."+rest); d.Outcome != security.Deny {
			t.Errorf("two algorithms: %+v", d)
		}
	}
	if d := ask(t, a, "bob", sign(t, "none", nil, nil)); d.Outcome != security.Deny {
		t.Errorf("unsigned: %+v", d)
	}
}

func TestClaims(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		in := func(d time.Duration) int64 { return now.Add(d).Unix() }
		claims := func(pairs ...any) map[string]any {
			m := make(map[string]any)
			for i := 0; i < len(pairs); i += 2 {
				m[pairs[i].(string)] = pairs[i+1]
			}
			return m
		}
		leeway := func(c *Config) { c.Leeway = time.Minute }
		issuer := func(c *Config) { c.Issuer = "us" }
		audience := func(c *Config) { c.Audience = []string{"advect", "other"} }
		tests := []struct {
			name   string
			set    func(*Config)
			header map[string]any
			claims map[string]any
			want   string // "" allows
		}{
			{"good", nil, nil, nil, ""},
			{"expired", nil, nil, claims("exp", in(-time.Second)), "the token has expired"},
			{"expired within the leeway", leeway, nil, claims("exp", in(-59*time.Second)), ""},
			{"expired beyond the leeway", leeway, nil, claims("exp", in(-61*time.Second)), "the token has expired"},
			{"never expires", nil, nil, claims("exp", nil), "the token lacks one of the claims exp, iss and aud"},
			{"expiry is text", nil, nil, claims("exp", "tomorrow"), "the token is not valid"},
			{"not yet", nil, nil, claims("nbf", in(time.Minute)), "the token is not valid yet"},
			{"not yet within the leeway", leeway, nil, claims("nbf", in(time.Minute)), ""},
			{"from the future", nil, nil, claims("iat", in(time.Minute)), "the token was issued in the future"},
			{"issuer", issuer, nil, claims("iss", "us"), ""},
			{"another issuer", issuer, nil, claims("iss", "them"), "the token is from another issuer"},
			{"no issuer", issuer, nil, nil, "the token lacks one of the claims exp, iss and aud"},
			{"audience", audience, nil, claims("aud", []string{"x", "advect"}), ""},
			{"audience as text", audience, nil, claims("aud", "other"), ""},
			{"another audience", audience, nil, claims("aud", "x"), "the token is for another audience"},
			{"no audience", audience, nil, nil, "the token lacks one of the claims exp, iss and aud"},
			{"another principal", nil, nil, claims("sub", "al"), "the token is of another principal than the one that the client names"},
			{"no principal", nil, nil, claims("sub", nil), `the token names no principal in the claim "sub"`},
			{"principal is a number", nil, nil, claims("sub", 1), `the token names no principal in the claim "sub"`},
			{"critical header", nil, claims("crit", []string{"b64"}), nil, "the token has critical headers, which are not supported"},
			{"roles are a number", nil, nil, claims("roles", 7), `the claim "roles" of the token is not a list of roles`},
			{"a role is a number", nil, nil, claims("roles", []any{"a", 7}), `the claim "roles" of the token is not a list of roles`},
			{"too large", nil, nil, claims("x", strings.Repeat("x", maxTokenSize)), "the token is larger than 16384 bytes"},
		}
		for _, tt := range tests {
			cfg := Config{Algorithms: []string{"HS256"}, Keys: []Key{{Secret: secret}}}
			if tt.set != nil {
				tt.set(&cfg)
			}
			d := ask(t, mustNew(t, cfg), "bob", sign(t, "HS256", tt.header, tt.claims))
			if want := tt.want == ""; (d.Outcome == security.Allow) != want || d.Outcome == security.Abstain || d.Reason != tt.want {
				t.Errorf("%s: got %v, %q; want %q", tt.name, d.Outcome, d.Reason, tt.want)
			}
		}
	})
}

func TestSessionOfAToken(t *testing.T) {
	a := mustNew(t, Config{
		Algorithms:     []string{"HS256"},
		Keys:           []Key{{Secret: secret}},
		PrincipalClaim: "email",
		RolesClaim:     "realm_access.roles",
		AnyPrincipal:   true,
		Leeway:         time.Minute,
		Properties: map[string]string{
			"dept": "org.dept", "$Country": "country", "level": "level", "staff": "staff", "dotted": "a.b", "list": "list", "none": "none.none",
		},
	})
	expires := time.Now().Add(time.Hour).Truncate(time.Second)
	d := ask(t, a, "whoever", sign(t, "HS256", nil, map[string]any{
		"exp": expires.Unix(), "email": "bob@example.com", "realm_access": map[string]any{"roles": []string{"A", "DEFAULT", "B"}},
		"org": map[string]any{"dept": "sales"}, "country": "CH", "level": 12345678901, "staff": true, "a.b": "x", "list": []int{1},
	}))
	want := security.Decision{
		Outcome:   security.Allow,
		Principal: "bob@example.com",
		Roles:     []string{"A", "DEFAULT", "B"},
		Properties: map[string]string{
			"dept": "sales", "$Country": "CH", "level": "12345678901", "staff": "true", "dotted": "x",
		},
		Expiry: expires.Add(time.Minute),
	}
	if !reflect.DeepEqual(d, want) {
		t.Errorf("got  %+v\nwant %+v", d, want)
	}

	plain := mustNew(t, Config{Algorithms: []string{"HS256"}, Keys: []Key{{Secret: secret}}})
	for roles, want := range map[string]string{"A  B": "[A B DEFAULT]", "": "[DEFAULT]"} {
		if d := ask(t, plain, "bob", sign(t, "HS256", nil, map[string]any{"roles": roles})); fmt.Sprint(d.Roles) != want {
			t.Errorf("%q: got %v", roles, d.Roles)
		}
	}
	if d := ask(t, plain, "bob", sign(t, "HS256", nil, map[string]any{"roles": nil})); fmt.Sprint(d.Roles) != "[DEFAULT]" {
		t.Errorf("no roles: got %v", d.Roles)
	}
}

func TestNoToken(t *testing.T) {
	a := mustNew(t, Config{Algorithms: []string{"HS256"}, Keys: []Key{{Secret: secret}}})
	good := sign(t, "HS256", nil, nil)
	for _, password := range []string{"", "password", "a.b", "a.b.c", "...", good + ".x", "x" + good, base64.RawURLEncoding.EncodeToString([]byte(`{"typ":"JWT"}`)) + ".b.c"} {
		if d := ask(t, a, "bob", password); d.Outcome != security.Abstain {
			t.Errorf("%q: %+v", password, d)
		}
	}
	for _, kind := range []security.CredentialsKind{security.NoCredentials, security.CustomCredentials} {
		d, err := a.Authenticate(t.Context(), security.Request{Principal: "bob", Credentials: security.Credentials{Kind: kind, Data: []byte(good)}})
		if err != nil || d.Outcome != security.Abstain {
			t.Errorf("kind %d: %+v, %v", kind, d, err)
		}
	}
}

func TestKeyIDs(t *testing.T) {
	other := []byte(strings.Repeat("another secret...", 4))
	a := mustNew(t, Config{Algorithms: []string{"HS256"}, Keys: []Key{{ID: "1", Secret: secret}, {ID: "2", Secret: other}}})
	for kid, want := range map[string]string{"1": "", "2": "the signature of the token is wrong", "3": "the token is signed with a key that is not known", "": ""} {
		if d := ask(t, a, "bob", sign(t, "HS256", map[string]any{"kid": kid}, nil)); d.Reason != want {
			t.Errorf("kid %q: got %q, want %q", kid, d.Reason, want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	encode := func(kind string, der []byte, err error) []byte {
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	der, err := x509.MarshalPKIXPublicKey(small.Public())
	weak := encode("PUBLIC KEY", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(private("ES256"))
	secretKey := encode("PRIVATE KEY", der, err)
	hs := []string{"HS256"}
	key := []Key{{Secret: secret}}
	tests := []struct {
		name string
		cfg  Config
		want string
	}{
		{"nothing", Config{}, "name the algorithms that tokens may be signed with"},
		{"none", Config{Algorithms: []string{"none"}, Keys: key}, `algorithm "none" is not supported; there are HS256, HS384, HS512, RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384, ES512, EdDSA`},
		{"no secret", Config{Algorithms: hs, JWKS: "https://x/"}, "algorithm HS256 needs a secret of at least 32 bytes"},
		{"no key", Config{Algorithms: []string{"ES256"}, Keys: key}, "algorithm ES256 has no key"},
		{"short secret", Config{Algorithms: []string{"HS512"}, Keys: []Key{{Secret: secret[:63]}}}, "algorithm HS512 needs a secret of at least 64 bytes"},
		{"very short secret", Config{Algorithms: hs, Keys: []Key{{Secret: secret[:31]}, key[0]}}, "key 1: a secret has at least 32 bytes"},
		{"empty key", Config{Algorithms: hs, Keys: []Key{key[0], {}}}, "key 2: give either a secret or a public key"},
		{"no PEM", Config{Algorithms: hs, Keys: []Key{key[0], {PEM: []byte("x")}}}, "key 2: this is no PEM"},
		{"weak", Config{Algorithms: hs, Keys: []Key{key[0], {PEM: weak}}}, "key 2: an RSA key of 1024 bits is not accepted, only 2048 to 8192"},
		{"private", Config{Algorithms: hs, Keys: []Key{key[0], {PEM: secretKey}}}, "key 2: this is a private key; the server needs the public one only"},
		{"http", Config{Algorithms: []string{"ES256"}, JWKS: "http://example.com/"}, `set of keys: the URL of "example.com" must start with https, or plain http must be allowed explicitly`},
		{"leeway", Config{Algorithms: hs, Keys: key, Leeway: time.Hour}, "the leeway must be between 0 and 5m0s"},
		{"property", Config{Algorithms: hs, Keys: key, Properties: map[string]string{"$Roles": "x"}}, `a token cannot set the session property "$Roles"`},
	}
	for _, tt := range tests {
		if _, err := New(tt.cfg); err == nil || err.Error() != "configure tokens: "+tt.want {
			t.Errorf("%s:\ngot  %v\nwant %s", tt.name, err, tt.want)
		}
	}
}

func FuzzToken(f *testing.F) {
	a, err := New(Config{Algorithms: []string{"HS256"}, Keys: []Key{{Secret: secret}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(sign(f, "HS256", nil, nil))
	f.Add(sign(f, "HS512", map[string]any{"kid": "x", "crit": nil}, map[string]any{"exp": 1e300}))
	f.Add("eyJhbGciOiJIUzI1NiJ9.e30.")
	f.Fuzz(func(t *testing.T, password string) {
		d, err := a.Authenticate(t.Context(), security.Request{
			Principal:   "bob",
			Credentials: security.Credentials{Kind: security.PlainPassword, Data: []byte(password)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if d.Outcome == security.Allow && d.Principal != "bob" {
			t.Fatalf("%+v", d)
		}
	})
}

func FuzzKeySet(f *testing.F) {
	f.Add([]byte(jwks(map[string]crypto.Signer{"a": pairs()["RSA"], "b": pairs()["ES256"], "c": pairs()["ES512"], "d": pairs()["EdDSA"]})))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"},{"kty":"oct","k":"AA"},7]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		keys, err := parseSet(data)
		if err == nil && (len(keys) == 0 || len(keys) > maxSetKeys) {
			t.Fatalf("%d keys", len(keys))
		}
		for _, k := range keys {
			if len(k.algorithms) == 0 || k.fits("HS256") {
				t.Fatalf("%+v", k)
			}
		}
	})
}
