// Package hook authenticates sessions by asking a service over HTTP.
//
// For each request it posts a JSON object:
//
//	{
//	  "principal": "bob",                 "" for an anonymous session
//	  "credentialsType": "plain",         "none", "plain" or "custom"
//	  "credentials": "cGFzc3dvcmQ=",      base64
//	  "properties": {"dept": "sales"},    proposed by the client
//	  "address": "192.0.2.1"              "" if it has none
//	}
//
// The service answers with status 200 and:
//
//	{
//	  "outcome": "allow",                 "allow", "deny" or "abstain"
//	  "principal": "bob",                 absent: that of the request
//	  "roles": ["CLIENT"],
//	  "properties": {"dept": "sales"},    all user properties of the session
//	  "expiry": "2030-01-01T00:00:00Z"    RFC 3339; absent: never
//	}
//
// Anything else, and no answer in time, counts as abstain: the next
// authenticator is asked, and without one the client is refused. A service
// that is down thus keeps out those whom only it knows, and lets nobody in.
package hook

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"advect.dev/internal/security"
)

// Config says which service to ask.
type Config struct {
	URL string // required
	// AllowHTTP allows plain http to other machines. Passwords are then
	// readable on the network.
	AllowHTTP bool
	// Authorization is the value of the header of this name, to tell the
	// service who asks; empty: none.
	Authorization string
	Timeout       time.Duration     // of waiting and answer together; default 3 seconds
	Concurrency   int               // requests at once, further ones wait; default 16
	Transport     http.RoundTripper // default: one of its own
}

// maxAnswer bounds an answer, in bytes.
const maxAnswer = 64 << 10

// Authenticator implements [security.Authenticator].
type Authenticator struct {
	cfg    Config
	client *http.Client
	asking chan struct{} // holds one element for each request under way
}

// New checks cfg and makes an authenticator of it.
func New(cfg Config) (*Authenticator, error) {
	if err := security.CheckURL(cfg.URL, cfg.AllowHTTP); err != nil {
		return nil, fmt.Errorf("configure authentication hook: %w", err)
	}
	if cfg.Timeout < 0 || cfg.Concurrency < 0 {
		return nil, errors.New("configure authentication hook: timeout and concurrency must not be negative")
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 3 * time.Second
	}
	if cfg.Concurrency == 0 {
		cfg.Concurrency = 16
	}
	if cfg.Transport == nil {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.MaxIdleConnsPerHost = cfg.Concurrency
		t.MaxResponseHeaderBytes = 64 << 10
		cfg.Transport = t
	}
	return &Authenticator{
		cfg:    cfg,
		asking: make(chan struct{}, cfg.Concurrency),
		client: &http.Client{
			Transport: cfg.Transport,
			// Credentials go where the configuration says and nowhere else.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}, nil
}

// Close drops idle connections to the service.
func (a *Authenticator) Close() { a.client.CloseIdleConnections() }

// question is the body of a request.
type question struct {
	Principal       string            `json:"principal"`
	CredentialsType string            `json:"credentialsType"`
	Credentials     []byte            `json:"credentials"`
	Properties      map[string]string `json:"properties"`
	Address         string            `json:"address"`
}

// answer is the body of a response.
type answer struct {
	Outcome    string            `json:"outcome"`
	Principal  string            `json:"principal"`
	Roles      []string          `json:"roles"`
	Properties map[string]string `json:"properties"`
	Expiry     time.Time         `json:"expiry"`
}

var credentialsTypes = map[security.CredentialsKind]string{
	security.NoCredentials:     "none",
	security.PlainPassword:     "plain",
	security.CustomCredentials: "custom",
}

// Authenticate implements [security.Authenticator]. With an error it
// abstains.
func (a *Authenticator) Authenticate(ctx context.Context, r security.Request) (security.Decision, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, a.cfg.Timeout, fmt.Errorf("no answer in %v", a.cfg.Timeout))
	defer cancel()
	d, err := a.ask(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		return security.Decision{Outcome: security.Abstain}, fmt.Errorf("ask the authentication hook: %w", err)
	}
	return d, nil
}

func (a *Authenticator) ask(ctx context.Context, r security.Request) (security.Decision, error) {
	q := question{
		Principal:       r.Principal,
		CredentialsType: credentialsTypes[r.Credentials.Kind],
		Credentials:     append([]byte{}, r.Credentials.Data...), // "" and not null for none
		Properties:      r.Proposed,
	}
	if q.Properties == nil {
		q.Properties = map[string]string{}
	}
	if r.Address.IsValid() {
		q.Address = r.Address.String()
	}
	body, err := json.Marshal(q)
	if err != nil {
		return security.Decision{}, err
	}
	select {
	case a.asking <- struct{}{}:
		defer func() { <-a.asking }()
	case <-ctx.Done():
		return security.Decision{}, ctx.Err()
	}
	data, err := a.post(ctx, body)
	if err != nil {
		return security.Decision{}, err
	}
	return decide(r, data)
}

func (a *Authenticator) post(ctx context.Context, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, a.cfg.URL, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	if a.cfg.Authorization != "" {
		request.Header.Set("Authorization", a.cfg.Authorization)
	}
	response, err := a.client.Do(request)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the status is %s, want 200", response.Status)
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err == nil && len(data) > maxAnswer {
		err = fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	return data, err
}

// decide reads an answer.
func decide(r security.Request, data []byte) (security.Decision, error) {
	var got answer
	if json.Unmarshal(data, &got) != nil { // its text may quote the answer
		return security.Decision{}, errors.New("the answer is not the JSON object that is expected")
	}
	switch got.Outcome {
	case "deny":
		return security.Decision{Reason: "the service denies it"}, nil
	case "abstain":
		return security.Decision{Outcome: security.Abstain}, nil
	case "allow":
	default:
		return security.Decision{}, errors.New("the outcome of the answer is none of allow, deny and abstain")
	}
	for key := range got.Properties {
		if !security.Assignable(key) {
			return security.Decision{}, fmt.Errorf("the answer sets the session property %.40q, which it may not", key)
		}
	}
	if got.Properties == nil {
		got.Properties = make(map[string]string)
	}
	return security.Decision{
		Outcome:    security.Allow,
		Principal:  got.Principal,
		Roles:      security.AddRoles(got.Roles, r.DefaultRoles),
		Properties: got.Properties,
		Expiry:     got.Expiry,
	}, nil
}
