package token

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"slices"
	"sync/atomic"
	"time"
)

const (
	fetchTimeout  = 3 * time.Second
	maxSetSize    = 1 << 20 // bytes
	maxSetKeys    = 64
	againAfter    = 30 * time.Second // to look for a key that was not in the set
	retryAfter    = 5 * time.Second  // when a fetch did not work
	usedNoLonger  = 24 * time.Hour   // than this if the set cannot be refreshed
	maxIdentifier = 1 << 10          // bytes of a key identifier
)

// remote is a set of keys at a URL. It fetches in the goroutine of a caller
// who needs a key; there is at most one fetch at a time, and others wait for
// it. A set that cannot be refreshed is used for a day.
type remote struct {
	url     string
	refresh time.Duration
	client  *http.Client

	current atomic.Pointer[keySet] // nil: none yet

	// turn holds one element while somebody fetches; it guards the rest.
	turn  chan struct{}
	tried time.Time
	err   error // of the last fetch
}

type keySet struct {
	keys []key
	at   time.Time
}

func newRemote(url string, refresh time.Duration, transport http.RoundTripper) *remote {
	if transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DisableKeepAlives = true // fetches are rare
		t.MaxResponseHeaderBytes = 64 << 10
		transport = t
	}
	return &remote{
		url:     url,
		refresh: refresh,
		turn:    make(chan struct{}, 1),
		client: &http.Client{
			Transport: transport,
			// A redirection could lead to plain http.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// get returns the keys of a current set that suits, else of the best set
// there is. The error says why there is none.
func (r *remote) get(ctx context.Context, suits func([]key) bool) ([]key, error) {
	if set := r.current.Load(); set != nil && time.Since(set.at) < r.refresh && suits(set.keys) {
		return set.keys, nil
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	set := r.current.Load()
	current := set != nil && time.Since(set.at) < r.refresh
	if current && suits(set.keys) {
		return set.keys, nil
	}
	wait := retryAfter
	if current && r.err == nil {
		wait = againAfter
	}
	if r.tried.IsZero() || time.Since(r.tried) >= wait {
		// Not ended by ctx: clients that give up must not keep the set from
		// ever arriving.
		fetch, cancel := context.WithTimeout(context.WithoutCancel(ctx), fetchTimeout)
		defer cancel()
		var keys []key
		if keys, r.err = r.fetch(fetch); r.err == nil {
			set = &keySet{keys: keys, at: time.Now()}
			r.current.Store(set)
		}
		r.tried = time.Now()
	}
	if set == nil || time.Since(set.at) >= usedNoLonger {
		return nil, r.err
	}
	return set.keys, nil
}

func (r *remote) fetch(ctx context.Context) ([]key, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, r.url, nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("Accept", "application/jwk-set+json, application/json")
	response, err := r.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the status is %s, want 200", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxSetSize+1))
	if err != nil {
		return nil, err
	}
	if len(data) > maxSetSize {
		return nil, fmt.Errorf("the set of keys is larger than %d bytes", maxSetSize)
	}
	return parseSet(data)
}

// jwk is a public key of a set (RFC 7518 section 6, RFC 8037 section 2).
type jwk struct {
	Type       string   `json:"kty"`
	ID         string   `json:"kid"`
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
	Algorithm  string   `json:"alg"`
	Curve      string   `json:"crv"`
	N          string   `json:"n"`
	E          string   `json:"e"`
	X          string   `json:"x"`
	Y          string   `json:"y"`
}

// parseSet returns the keys of a set that can verify tokens. Others are
// skipped, as RFC 7517 section 5 asks.
func parseSet(data []byte) ([]key, error) {
	var set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(data, &set); err != nil {
		return nil, errors.New("this is not a set of keys in JSON")
	}
	if len(set.Keys) > maxSetKeys {
		return nil, fmt.Errorf("the set has more than %d keys", maxSetKeys)
	}
	var keys []key
	for _, raw := range set.Keys {
		var j jwk
		if json.Unmarshal(raw, &j) != nil {
			continue
		}
		if k, err := j.key(); err == nil {
			keys = append(keys, k)
		}
	}
	if keys == nil {
		return nil, errors.New("the set has no key that can verify tokens")
	}
	return keys, nil
}

func (j *jwk) key() (key, error) {
	if j.Use != "" && j.Use != "sig" || j.Operations != nil && !slices.Contains(j.Operations, "verify") || len(j.ID) > maxIdentifier {
		return key{}, errors.New("not for signatures")
	}
	public, err := j.public()
	if err != nil {
		return key{}, err
	}
	k, err := newKey(j.ID, public)
	if err == nil && j.Algorithm != "" {
		if !k.fits(j.Algorithm) {
			return key{}, errors.New("for another algorithm")
		}
		k.algorithms = []string{j.Algorithm}
	}
	return k, err
}

var errKey = errors.New("not a public key")

func (j *jwk) public() (any, error) {
	switch j.Type {
	case "RSA":
		n, err1 := decode(j.N, maxRSABits/8)
		e, err2 := decode(j.E, 4)
		exponent := new(big.Int).SetBytes(e).Int64()
		if err1 != nil || err2 != nil || exponent < 3 || exponent%2 == 0 || exponent >= 1<<31 {
			return nil, errKey
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(exponent)}, nil
	case "EC":
		curve, ok := map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}[j.Curve]
		if !ok {
			return nil, errKey
		}
		size := (curve.Params().BitSize + 7) / 8
		x, err1 := decode(j.X, size)
		y, err2 := decode(j.Y, size)
		if err1 != nil || err2 != nil || len(x) != size || len(y) != size {
			return nil, errKey
		}
		return ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, x, y)) // checks that it is on the curve
	case "OKP":
		x, err := decode(j.X, ed25519.PublicKeySize)
		if err != nil || j.Curve != "Ed25519" || len(x) != ed25519.PublicKeySize {
			return nil, errKey
		}
		return ed25519.PublicKey(x), nil
	}
	return nil, errKey
}

// decode reads at most size bytes of base64url.
func decode(text string, size int) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err == nil && len(b) > size {
		err = errKey
	}
	return b, err
}
