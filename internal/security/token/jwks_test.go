package token

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"advect.dev/internal/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// jwks writes a set of the public keys.
func jwks(keys map[string]crypto.Signer) string {
	b64 := base64.RawURLEncoding.EncodeToString
	var set []string
	for id, signer := range keys {
		switch p := signer.Public().(type) {
		case *rsa.PublicKey:
			set = append(set, fmt.Sprintf(`{"kty":"RSA","use":"sig","kid":%q,"n":%q,"e":%q}`, id, b64(p.N.Bytes()), b64(big.NewInt(int64(p.E)).Bytes())))
		case *ecdsa.PublicKey:
			point, err := p.Bytes()
			if err != nil {
				panic(err)
			}
			half := (len(point) - 1) / 2
			set = append(set, fmt.Sprintf(`{"kty":"EC","crv":%q,"kid":%q,"x":%q,"y":%q}`, p.Params().Name, id, b64(point[1:1+half]), b64(point[1+half:])))
		case ed25519.PublicKey:
			set = append(set, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q,"alg":"EdDSA"}`, id, b64(p)))
		}
	}
	slices.Sort(set)
	return `{"keys":[` + strings.Join(set, ",") + `,{"kty":"oct","k":"AAAA"},{"kty":"RSA","use":"enc"},"?"]}`
}

// issuer serves key sets without a network, so that time can be made.
type issuer struct {
	mu      sync.Mutex
	body    string
	status  int
	err     error
	hang    bool
	fetches int
}

func (i *issuer) set(change func(*issuer)) {
	i.mu.Lock()
	defer i.mu.Unlock()
	change(i)
}

func (i *issuer) RoundTrip(r *http.Request) (*http.Response, error) {
	i.mu.Lock()
	i.fetches++
	body, status, err, hang := i.body, i.status, i.err, i.hang
	i.mu.Unlock()
	if hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r, Header: http.Header{},
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func remoteConfig(i *issuer) Config {
	return Config{Algorithms: []string{"RS256", "ES256", "EdDSA"}, JWKS: "https://issuer.example/keys", Transport: i}
}

func TestKeySet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rsaKey, ecKey, edKey := pairs()["RSA"], pairs()["ES256"], pairs()["EdDSA"]
		i := &issuer{status: 200, body: jwks(map[string]crypto.Signer{"r": rsaKey, "p521": pairs()["ES512"]})}
		a := mustNew(t, remoteConfig(i))
		expect := func(algorithm, kid, want string, fetches int) {
			t.Helper()
			d, err := a.Authenticate(t.Context(), security.Request{Principal: "bob", Credentials: security.Credentials{
				Kind: security.PlainPassword, Data: []byte(sign(t, algorithm, map[string]any{"kid": kid}, nil)),
			}})
			got := d.Outcome.String()
			if err != nil {
				got = err.Error()
			}
			if got != want || i.fetches != fetches {
				t.Fatalf("%s with key %q: got %s after %d fetches, want %s after %d; %s", algorithm, kid, got, i.fetches, want, fetches, d.Reason)
			}
		}
		expect("RS256", "r", "allow", 1)
		expect("RS256", "r", "allow", 1)

		// A key that is not in the set is looked for, but not all the time.
		i.set(func(i *issuer) { i.body = jwks(map[string]crypto.Signer{"r": rsaKey, "e": ecKey}) })
		expect("ES256", "e", "deny", 1)
		time.Sleep(againAfter)
		expect("ES256", "e", "allow", 2)
		expect("EdDSA", "d", "deny", 2)
		time.Sleep(againAfter)
		expect("EdDSA", "d", "deny", 3)
		expect("EdDSA", "d2", "deny", 3)

		// A key that is taken away counts no longer than the set is current.
		i.set(func(i *issuer) { i.body = jwks(map[string]crypto.Signer{"e": ecKey, "d": edKey}) })
		expect("RS256", "r", "allow", 3)
		time.Sleep(15 * time.Minute)
		expect("RS256", "r", "deny", 4)
		expect("EdDSA", "d", "allow", 4)

		// When the issuer is down, the set goes on for a day.
		i.set(func(i *issuer) { i.err = errors.New("down") })
		time.Sleep(15 * time.Minute)
		expect("ES256", "e", "allow", 5)
		expect("ES256", "e", "allow", 5)
		time.Sleep(retryAfter)
		expect("ES256", "e", "allow", 6)
		time.Sleep(24 * time.Hour)
		down := `fetch the keys of tokens: Get "https://issuer.example/keys": down`
		expect("ES256", "e", down, 7)
		expect("ES256", "e", down, 7)
		i.set(func(i *issuer) { i.err = nil })
		time.Sleep(retryAfter)
		expect("ES256", "e", "allow", 8)
	})
}

func TestKeySetErrors(t *testing.T) {
	good := jwks(map[string]crypto.Signer{"r": pairs()["RSA"]})
	tests := []struct {
		name   string
		issuer issuer
		want   string
	}{
		{"status", issuer{status: 500, body: good}, "the status is Internal Server Error, want 200"},
		{"redirection", issuer{status: 302, body: good}, "the status is Found, want 200"},
		{"no JSON", issuer{status: 200, body: "<html>"}, "this is not a set of keys in JSON"},
		{"empty", issuer{status: 200, body: "{}"}, "the set has no key that can verify tokens"},
		{"private parts only", issuer{status: 200, body: `{"keys":[{"kty":"oct","k":"AAAA"}]}`}, "the set has no key that can verify tokens"},
		{"not on the curve", issuer{status: 200, body: `{"keys":[{"kty":"EC","crv":"P-256","x":"` + strings.Repeat("A", 43) + `","y":"` + strings.Repeat("A", 43) + `"}]}`}, "the set has no key that can verify tokens"},
		{"too many", issuer{status: 200, body: `{"keys":[{}` + strings.Repeat(",{}", maxSetKeys) + "]}"}, "the set has more than 64 keys"},
		{"too large", issuer{status: 200, body: good + strings.Repeat(" ", maxSetSize)}, "the set of keys is larger than 1048576 bytes"},
		{"hangs", issuer{hang: true}, "context deadline exceeded"},
	}
	for i := range tests {
		tt := &tests[i]
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a := mustNew(t, remoteConfig(&tt.issuer))
				start := time.Now()
				d, err := a.Authenticate(t.Context(), security.Request{Principal: "bob", Credentials: security.Credentials{
					Kind: security.PlainPassword, Data: []byte(sign(t, "RS256", nil, nil)),
				}})
				if err == nil || !strings.HasSuffix(err.Error(), tt.want) || d.Outcome != security.Abstain {
					t.Errorf("got  %v, %v\nwant %s", d, err, tt.want)
				}
				if d := time.Since(start); d > fetchTimeout {
					t.Errorf("it took %v", d)
				}
			})
		})
	}
}

// Many clients arrive before the first set; some give up.
func TestKeySetCrowd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := &issuer{hang: true}
		a := mustNew(t, remoteConfig(i))
		token := []byte(sign(t, "RS256", nil, nil))
		request := security.Request{Principal: "bob", Credentials: security.Credentials{Kind: security.PlainPassword, Data: token}}
		ctx, cancel := context.WithCancel(t.Context())
		var clients sync.WaitGroup
		for range 100 {
			clients.Go(func() {
				if d, err := a.Authenticate(ctx, request); err == nil || d.Outcome == security.Allow {
					t.Errorf("%v, %v", d, err)
				}
			})
		}
		synctest.Wait()
		cancel()
		clients.Wait()
		if i.fetches != 1 {
			t.Errorf("%d fetches", i.fetches)
		}
		i.set(func(i *issuer) {
			i.hang, i.status, i.body = false, 200, jwks(map[string]crypto.Signer{"r": pairs()["RSA"]})
		})
		time.Sleep(retryAfter)
		for range 100 {
			clients.Go(func() {
				if d, err := a.Authenticate(t.Context(), request); err != nil || d.Outcome != security.Allow {
					t.Errorf("%v, %v", d, err)
				}
			})
		}
		clients.Wait()
		if i.fetches != 2 {
			t.Errorf("%d fetches", i.fetches)
		}
	})
}

func TestKeySetOverHTTP(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, jwks(map[string]crypto.Signer{"r": pairs()["RSA"]}))
	}))
	defer server.Close()
	a := mustNew(t, Config{Algorithms: []string{"RS256"}, JWKS: server.URL})
	if d := ask(t, a, "bob", sign(t, "RS256", nil, nil)); d.Outcome != security.Allow {
		t.Errorf("%+v", d)
	}
}
