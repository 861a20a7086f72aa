package hook

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"advect.dev/internal/security"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// roundTrip serves requests without a network, so that time can be made.
type roundTrip func(*http.Request) (status int, body string, err error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) {
	status, body, err := f(r)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Request: r, Header: http.Header{"Location": {"https://elsewhere.example/"}},
		Body: io.NopCloser(strings.NewReader(body)),
	}, nil
}

func mustNew(t testing.TB, cfg Config) *Authenticator {
	t.Helper()
	if cfg.URL == "" {
		cfg.URL = "https://auth.example/check"
	}
	a, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

var bob = security.Request{
	Principal:    "bob",
	Credentials:  security.Credentials{Kind: security.PlainPassword, Data: []byte("se\"cret\xff")},
	Proposed:     map[string]string{"dept": "sales"},
	DefaultRoles: []string{"DEFAULT"},
	Address:      netip.MustParseAddr("192.0.2.1"),
}

func TestOverHTTP(t *testing.T) {
	var got map[string]any
	var header http.Header
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		got = nil
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil || r.Method != "POST" {
			t.Errorf("%s: %v", r.Method, err)
		}
		fmt.Fprint(w, `{"outcome":"allow","principal":"bob2","roles":["A"],"properties":{"dept":"ops","$Country":"CH"},"expiry":"2030-01-02T03:04:05+01:00","more":1}`)
	}))
	defer server.Close()
	a := mustNew(t, Config{URL: server.URL, Authorization: "Bearer x"})
	defer a.Close()
	d, err := a.Authenticate(t.Context(), bob)
	want := security.Decision{
		Outcome: security.Allow, Principal: "bob2", Roles: []string{"A", "DEFAULT"},
		Properties: map[string]string{"dept": "ops", "$Country": "CH"},
		Expiry:     time.Date(2030, 1, 2, 2, 4, 5, 0, time.UTC),
	}
	d.Expiry = d.Expiry.UTC()
	if err != nil || !reflect.DeepEqual(d, want) {
		t.Errorf("got  %+v, %v\nwant %+v", d, err, want)
	}
	asked := map[string]any{
		"principal": "bob", "credentialsType": "plain", "credentials": "c2UiY3JldP8=",
		"properties": map[string]any{"dept": "sales"}, "address": "192.0.2.1",
	}
	if !reflect.DeepEqual(got, asked) || header.Get("Authorization") != "Bearer x" || header.Get("Content-Type") != "application/json" {
		t.Errorf("asked %v with %v\nwant %v", got, header, asked)
	}

	if _, err := a.Authenticate(t.Context(), security.Request{}); err != nil {
		t.Error(err)
	}
	asked = map[string]any{"principal": "", "credentialsType": "none", "credentials": "", "properties": map[string]any{}, "address": ""}
	if !reflect.DeepEqual(got, asked) {
		t.Errorf("asked %v\nwant %v", got, asked)
	}
}

func TestAnswers(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		want   security.Outcome
		err    string
	}{
		{"allow", 200, `{"outcome":"allow"}`, security.Allow, ""},
		{"deny", 200, `{"outcome":"deny"}`, security.Deny, ""},
		{"abstain", 200, `{"outcome":"abstain"}`, security.Abstain, ""},
		{"nothing", 200, ``, security.Abstain, "the answer is not the JSON object that is expected"},
		{"no outcome", 200, `{}`, security.Abstain, "the outcome of the answer is none of allow, deny and abstain"},
		{"other outcome", 200, `{"outcome":"yes"}`, security.Abstain, "the outcome of the answer is none of allow, deny and abstain"},
		{"array", 200, `[]`, security.Abstain, "the answer is not the JSON object that is expected"},
		{"wrong type", 200, `{"outcome":"allow","roles":"ADMINISTRATOR"}`, security.Abstain, "the answer is not the JSON object that is expected"},
		{"two objects", 200, `{"outcome":"allow"}{}`, security.Abstain, "the answer is not the JSON object that is expected"},
		{"wrong time", 200, `{"outcome":"allow","expiry":"soon"}`, security.Abstain, "the answer is not the JSON object that is expected"},
		{"fixed property", 200, `{"outcome":"allow","properties":{"$Roles":"x"}}`, security.Abstain, `the answer sets the session property "$Roles", which it may not`},
		{"error", 500, `{"outcome":"allow"}`, security.Abstain, "the status is Internal Server Error, want 200"},
		{"created", 201, `{"outcome":"allow"}`, security.Abstain, "the status is Created, want 200"},
		{"redirection", 307, `{"outcome":"allow"}`, security.Abstain, "the status is Temporary Redirect, want 200"},
		{"too large", 200, `{"outcome":"allow"}` + strings.Repeat(" ", maxAnswer), security.Abstain, "the answer is larger than 65536 bytes"},
	}
	for _, tt := range tests {
		asked := 0
		a := mustNew(t, Config{Transport: roundTrip(func(*http.Request) (int, string, error) { asked++; return tt.status, tt.body, nil })})
		d, err := a.Authenticate(t.Context(), bob)
		if got := fmt.Sprint(err); d.Outcome != tt.want || tt.err == "" != (err == nil) || !strings.HasSuffix(got, tt.err) && err != nil || asked != 1 {
			t.Errorf("%s: got %v, %v after %d requests; want %v, %s", tt.name, d, err, asked, tt.want, tt.err)
		}
		if err != nil && strings.Contains(err.Error(), "se") && strings.Contains(err.Error(), "cret") {
			t.Errorf("%s: the error carries the password: %v", tt.name, err)
		}
		if d.Outcome == security.Allow && (d.Principal != "" || d.Properties == nil || fmt.Sprint(d.Roles) != "[DEFAULT]") {
			t.Errorf("%s: %+v", tt.name, d)
		}
	}
}

func TestTimeoutAndConcurrency(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var running, peak atomic.Int64
		a := mustNew(t, Config{Concurrency: 4, Timeout: time.Second, Transport: roundTrip(func(r *http.Request) (int, string, error) {
			peak.Store(max(peak.Load(), running.Add(1)))
			defer running.Add(-1)
			select {
			case <-time.After(400 * time.Millisecond):
				return 200, `{"outcome":"allow"}`, nil
			case <-r.Context().Done():
				return 0, "", r.Context().Err()
			}
		})})
		var clients sync.WaitGroup
		var allowed, late atomic.Int64
		for range 20 { // 4 every 400 ms; all that do not end within a second get no answer
			clients.Go(func() {
				d, err := a.Authenticate(t.Context(), bob)
				switch {
				case err == nil && d.Outcome == security.Allow:
					allowed.Add(1)
				case err != nil && d.Outcome == security.Abstain && strings.HasSuffix(err.Error(), "no answer in 1s"):
					late.Add(1)
				default:
					t.Errorf("%v, %v", d, err)
				}
			})
		}
		start := time.Now()
		clients.Wait()
		if peak.Load() != 4 || allowed.Load() != 8 || late.Load() != 12 || time.Since(start) != time.Second {
			t.Errorf("%d at once, %d allowed, %d late, in %v", peak.Load(), allowed.Load(), late.Load(), time.Since(start))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if d, err := a.Authenticate(ctx, bob); err == nil || d.Outcome != security.Abstain {
			t.Errorf("%v, %v", d, err)
		}
	})
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]Config{
		"nothing":     {},
		"http":        {URL: "http://auth.example/"},
		"scheme":      {URL: "ftp://localhost/"},
		"no URL":      {URL: "://"},
		"concurrency": {URL: "https://auth.example/", Concurrency: -1},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
	for _, cfg := range []Config{{URL: "http://localhost:1/"}, {URL: "http://127.0.0.1/"}, {URL: "http://[::1]:2/"}, {URL: "http://auth.example/", AllowHTTP: true}} {
		if _, err := New(cfg); err != nil {
			t.Errorf("%s: %v", cfg.URL, err)
		}
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(`{"outcome":"allow","principal":"x","roles":["A"],"properties":{"a":"b"},"expiry":"2030-01-02T03:04:05Z"}`))
	f.Add([]byte(`{"outcome":"deny"}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		d, err := decide(security.Request{DefaultRoles: []string{"D"}}, data)
		if err == nil && d.Outcome == security.Allow && (len(d.Roles) == 0 || d.Properties == nil) {
			t.Fatalf("%+v", d)
		}
	})
}
