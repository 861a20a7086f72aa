package server_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// proving adds a principal and a password.
func (p params) proving(principal, password string) params {
	return p.with("username", principal, "password", wire.EncodePassword(wire.Password(password)))
}

// properties asks for those of the session.
func (s *peer) properties() map[string]string {
	s.t.Helper()
	s.write(service.GetOwnSessionProperties.AppendRequest(nil, s.nextConversation(), service.Empty{}))
	m, err := s.message()
	if err != nil {
		s.t.Fatal(err)
	}
	own, err := service.GetOwnSessionProperties.ReadResponse(m.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return own.Properties
}

// admitted tries to connect, and returns principal and roles, or "".
func admitted(t testing.TB, srv *server.Server, k kind, p params) string {
	t.Helper()
	s := &peer{t: t, host: hostOf(srv), request: p, topics: map[int32]*held{}}
	code := s.open(k, p)
	defer func() { s.drop() }()
	switch code {
	case wire.OK:
		return s.properties()["$Principal"] + " " + strings.Join(rolesOf(t, srv, s.id), ",")
	case wire.AuthenticationFailed:
		return ""
	}
	t.Fatalf("connection answered %v", code)
	return ""
}

// rolesOf asks as admin, since sessions are not told their own roles.
func rolesOf(t testing.TB, srv *server.Server, id wire.SessionID) []string {
	t.Helper()
	admin := connect(t, srv, overWebSocket, anonymous().as("admin"))
	defer admin.drop()
	admin.write(service.Explain.AppendRequest(nil, admin.nextConversation(), service.ExplainRequest{Session: &id, Permission: "READ_TOPIC"}))
	m, err := admin.message()
	if err != nil {
		t.Fatal(err)
	}
	res, err := service.Explain.ReadResponse(m.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.Roles
}

// message receives one.
func (s *peer) message() (wire.Message, error) {
	b, err := s.receive()
	if err != nil {
		return wire.Message{}, err
	}
	return wire.ParseMessage(b)
}

func write(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// newer gives a file a time after that of another content, whatever the
// resolution of the file system.
func newer(t testing.TB, name string) {
	t.Helper()
	at := time.Now().Add(time.Minute)
	if err := os.Chtimes(name, at, at); err != nil {
		t.Fatal(err)
	}
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func publicPEM(t testing.TB, key *ecdsa.PrivateKey) []byte {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}

// signed returns a token for bob with changes.
func signed(t testing.TB, method jwt.SigningMethod, key any, changes map[string]any) string {
	t.Helper()
	claims := jwt.MapClaims{"sub": "bob", "roles": []string{"TOPIC_CONTROL"}, "iss": "us", "exp": time.Now().Add(time.Hour).Unix()}
	for name, value := range changes {
		claims[name] = value
	}
	text, err := jwt.NewWithClaims(method, claims).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestTokens checks keys in files, their place before the principal store, and that
// a key that is replaced counts no more.
func TestTokens(t *testing.T) {
	t.Parallel()
	key, secret := newKey(t), []byte(strings.Repeat("shared", 8))
	dir := t.TempDir()
	public, shared := filepath.Join(dir, "key.pem"), filepath.Join(dir, "secret")
	write(t, public, publicPEM(t, key))
	write(t, shared, append(secret, '\n'))
	srv := start(t, func(c *server.Config) {
		c.TokenKeys, c.TokenAlgorithms, c.TokenIssuer = []string{public, shared}, []string{"ES256", "HS256"}, "us"
		c.PasswordThrottle = false
	})
	good := signed(t, jwt.SigningMethodES256, key, nil)
	for name, c := range map[string]struct{ principal, password, want string }{
		"a token":                     {"bob", good, "bob TOPIC_CONTROL"},
		"a token by a secret":         {"bob", signed(t, jwt.SigningMethodHS256, secret, nil), "bob TOPIC_CONTROL"},
		"of a principal of the store": {"admin", signed(t, jwt.SigningMethodES256, key, map[string]any{"sub": "admin", "roles": "CLIENT"}), "admin CLIENT"},
		"of another principal":        {"admin", good, ""},
		"of nobody":                   {"", good, ""},
		"expired":                     {"bob", signed(t, jwt.SigningMethodES256, key, map[string]any{"exp": time.Now().Add(-time.Hour).Unix()}), ""},
		"of another issuer":           {"bob", signed(t, jwt.SigningMethodES256, key, map[string]any{"iss": "them"}), ""},
		"by another key":              {"bob", signed(t, jwt.SigningMethodES256, newKey(t), nil), ""},
		"by the public key as secret": {"bob", signed(t, jwt.SigningMethodHS256, publicPEM(t, key), nil), ""},
		"unsigned":                    {"bob", signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil), ""},
		"a password of the store":     {"admin", "password", "admin ADMINISTRATOR"},
		"a wrong password":            {"admin", "a.b.c", ""},
	} {
		for _, k := range bothKinds {
			got := admitted(t, srv, k, anonymous().proving(c.principal, c.password))
			if name == "of nobody" && got == " CLIENT" { // the store lets anybody be anonymous
				got = ""
			}
			if got != c.want {
				t.Errorf("%s over %s: admitted as %q, want %q", name, k.name, got, c.want)
			}
		}
	}
	next := newKey(t)
	write(t, public, publicPEM(t, next))
	newer(t, public)
	newToken := signed(t, jwt.SigningMethodES256, next, nil)
	await(t, "the new key", func() bool {
		return admitted(t, srv, overWebSocket, anonymous().proving("bob", newToken)) != ""
	})
	if got := admitted(t, srv, overWebSocket, anonymous().proving("bob", good)); got != "" {
		t.Errorf("by the key before: admitted as %q", got)
	}
	write(t, public, []byte("-----BEGIN nothing"))
	if got := admitted(t, srv, overWebSocket, anonymous().proving("bob", newToken)); got != "bob TOPIC_CONTROL" {
		t.Errorf("while the file is broken: admitted as %q", got)
	}
}

func TestTokensFromJWKS(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	point, err := key.PublicKey.Bytes()
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":%q,"y":%q}]}`, b64(point[1:33]), b64(point[33:]))
	}))
	t.Cleanup(issuer.Close)
	srv := start(t, func(c *server.Config) {
		c.TokenJWKS, c.TokenAlgorithms = issuer.URL, []string{"ES256"}
		c.TokenPrincipalClaim, c.TokenRolesClaim = "user.name", "access.roles"
	})
	token := signed(t, jwt.SigningMethodES256, key, map[string]any{
		"user": map[string]any{"name": "ann"}, "access": map[string]any{"roles": []string{"CLIENT"}}})
	if got := admitted(t, srv, overWebSocket, anonymous().proving("ann", token)); got != "ann CLIENT" {
		t.Errorf("admitted as %q", got)
	}
}

// TestAuthHook checks that the service is asked about those that the store does not
// know, with the header from the file, and that it fails closed.
func TestAuthHook(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var asked []string
	answer := `{"outcome":"allow","roles":["OPERATOR"]}`
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		var q struct {
			Principal   string
			Credentials []byte
		}
		_ = json.NewDecoder(r.Body).Decode(&q)
		asked = append(asked, fmt.Sprintf("%s %s %s", q.Principal, q.Credentials, r.Header.Get("Authorization")))
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(hook.Close)
	authorization := filepath.Join(t.TempDir(), "authorization")
	write(t, authorization, []byte("Bearer first\n"))
	srv := start(t, func(c *server.Config) {
		c.AuthHook, c.AuthHookAuthorization, c.AuthHookTimeout = hook.URL, authorization, 500*time.Millisecond
	})
	try := func(principal, password string) string {
		return admitted(t, srv, overWebSocket, anonymous().proving(principal, password))
	}
	if got := try("bob", "s3cret"); got != "bob OPERATOR" {
		t.Errorf("admitted as %q", got)
	}
	if got := try("admin", "guess"); got != "" {
		t.Errorf("the service overrules the store: %q", got)
	}
	try("admin", "password")
	if want := []string{"bob s3cret Bearer first"}; fmt.Sprint(asked) != fmt.Sprint(want) {
		t.Errorf("asked %q, want %q", asked, want)
	}
	write(t, authorization, []byte("Bearer second\n"))
	newer(t, authorization)
	await(t, "the new header", func() bool {
		try("bob", "s3cret")
		mu.Lock()
		defer mu.Unlock()
		return strings.HasSuffix(asked[len(asked)-1], "Bearer second")
	})
	for _, bad := range []string{`{"outcome":"deny"}`, `{"outcome":"abstain"}`, `{"outcome":"allow","properties":{"$Roles":"x"}}`, `{}`, `allow`} {
		mu.Lock()
		answer = bad
		mu.Unlock()
		if got := try("ann", "x"); got != "" {
			t.Errorf("answer %s admits %q", bad, got)
		}
	}
	hook.Close()
	if got := try("carol", "s3cret"); got != "" {
		t.Errorf("without the service: admitted as %q", got)
	}
}

// TestThrottle checks that guessing is slowed down, and only where it is asked for.
func TestThrottle(t *testing.T) {
	t.Parallel()
	for _, on := range []bool{true, false} {
		srv := start(t, func(c *server.Config) { c.PasswordThrottle = on })
		for range 7 {
			admitted(t, srv, overWebSocket, anonymous().proving("operator", "guess"))
		}
		if got := admitted(t, srv, overWebSocket, anonymous().as("operator")); (got == "") != on {
			t.Errorf("throttle %v: the right password after seven guesses gives %q", on, got)
		}
		if got := admitted(t, srv, overWebSocket, anonymous().as("admin")); got == "" {
			t.Errorf("throttle %v: another principal is kept out", on)
		}
	}
}

// TestChangesByClientsSurviveRestart changes both stores by services 58 and 60.
func TestChangesByClientsSurviveRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	open := func() *server.Server { return start(t, func(c *server.Config) { c.DataDir = dir }) }
	srv := open()
	admin := connect(t, srv, overWebSocket, anonymous().as("admin"))
	admin.must(func(b []byte, cid int64) []byte {
		return service.UpdateSystemAuthentication.AppendRequest(b, cid, "add principal 'bob' 'builder' ['BUILDER']\nset password 'client' 'changed'\nremove principal 'operator'\ndeny anonymous connections")
	})
	admin.must(func(b []byte, cid int64) []byte {
		return service.UpdateSecurityConfiguration.AppendRequest(b, cid, `set "BUILDER" path "site" permissions [MODIFY_TOPIC]`)
	})
	check := func(when string, srv *server.Server) {
		t.Helper()
		bob := connect(t, srv, overWebSocket, anonymous().proving("bob", "builder"))
		if got := bob.call(add("site/a")); got[len(got)-1] != "response" {
			t.Errorf("%s: a topic in the branch: %q", when, got)
		}
		if got := bob.call(add("other")); got[len(got)-1] != "error 103" {
			t.Errorf("%s: a topic beyond: %q", when, got)
		}
		for _, c := range []struct{ principal, password, want string }{
			{"client", "changed", "client CLIENT"}, {"client", "password", ""}, {"operator", "password", ""},
		} {
			if got := admitted(t, srv, overWebSocket, anonymous().proving(c.principal, c.password)); got != c.want {
				t.Errorf("%s: %s with %s is %q, want %q", when, c.principal, c.password, got, c.want)
			}
		}
		if got := admitted(t, srv, overPolling, anonymous()); got != "" {
			t.Errorf("%s: anonymous is %q", when, got)
		}
	}
	check("before", srv)
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	check("after the restart", open())
}

// logged collects a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// TestSecretsAreNotLogged goes through every way in which an authentication fails,
// and some in which it succeeds, with the most talkative log, and looks for what
// clients, files and services keep secret.
func TestSecretsAreNotLogged(t *testing.T) {
	t.Parallel()
	const (
		password  = "Wrong-Passw0rd"
		hookToken = "Hook-Authorizati0n"
		inAnswer  = "Answer-Secr3t"
	)
	key, secret := newKey(t), []byte("HMAC-Secr3t-"+strings.Repeat("x", 32))
	dir := t.TempDir()
	keyFile, authorization := filepath.Join(dir, "secret"), filepath.Join(dir, "authorization")
	write(t, keyFile, secret)
	write(t, authorization, []byte("Bearer "+hookToken))
	var mu sync.Mutex
	respond := func(w http.ResponseWriter) { http.Error(w, inAnswer, http.StatusInternalServerError) }
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		respond(w)
	}))
	t.Cleanup(hook.Close)
	certificates := newAuthority(t, dir)
	log := new(logged)
	srv := start(t, func(c *server.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		c.TokenKeys, c.TokenJWKS, c.TokenAlgorithms = []string{keyFile}, "http://127.0.0.1:1/keys", []string{"HS256", "ES256"}
		c.AuthHook, c.AuthHookAuthorization = hook.URL, authorization
		c.PasswordThrottle = false
		certificates.configure(c)
	})
	var secrets []string
	hidden := func(text string) string {
		secrets = append(secrets, text, base64.StdEncoding.EncodeToString([]byte(text)), wire.EncodePassword(wire.Password(text)))
		return text
	}
	hidden(password)
	hidden(hookToken)
	hidden(inAnswer)
	hidden(string(secret))
	tokens := []string{
		hidden(signed(t, jwt.SigningMethodHS256, secret, map[string]any{"exp": 1})),
		hidden(signed(t, jwt.SigningMethodHS256, []byte(strings.Repeat("other", 9)), nil)),
		hidden(signed(t, jwt.SigningMethodHS256, secret, map[string]any{"roles": 7})),
		hidden(signed(t, jwt.SigningMethodES256, key, nil)), // the keys cannot be fetched
		hidden(signed(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, nil)),
		hidden(signed(t, jwt.SigningMethodHS384, secret, nil)),
		hidden(signed(t, jwt.SigningMethodHS256, secret, nil)[:60] + ".!!.!!"),
	}
	for _, token := range tokens {
		for _, part := range strings.Split(token, ".")[1:] {
			if len(part) > 4 {
				secrets = append(secrets, part)
			}
		}
	}
	refused := func(k kind, p params) {
		t.Helper()
		if got := admitted(t, srv, k, p); got != "" {
			t.Errorf("admitted as %q", got)
		}
	}
	kinds := append([]kind{certificates.over(srv, certificates.issue("nobody"))}, bothKinds...)
	for _, k := range kinds {
		refused(k, anonymous().proving("admin", password))
		refused(k, anonymous().proving("nobody", password))
		refused(k, anonymous().with("username", "admin", "password", wire.EncodePassword(wire.Credentials{Kind: wire.CustomCredentials, Data: []byte(password)})))
		refused(k, anonymous().with("username", "admin", "password", "?"+base64.StdEncoding.EncodeToString([]byte(password))))
		for _, token := range tokens {
			refused(k, anonymous().proving("bob", token))
		}
	}
	for _, r := range []func(w http.ResponseWriter){
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, inAnswer) },
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"outcome":"`+inAnswer+`"}`) },
		func(w http.ResponseWriter) { _, _ = io.WriteString(w, `{"outcome":"deny"}`) },
		func(w http.ResponseWriter) { w.Header().Set("Location", "/"+inAnswer); w.WriteHeader(http.StatusFound) },
		func(w http.ResponseWriter) { panic(http.ErrAbortHandler) },
	} {
		mu.Lock()
		respond = r
		mu.Unlock()
		refused(overWebSocket, anonymous().proving("ann", password))
	}
	control := connect(t, srv, overWebSocket, anonymous().as("control"))
	changing := func(principal, password string) func([]byte, int64) []byte {
		return func(b []byte, cid int64) []byte {
			return service.ChangePrincipal.AppendRequest(b, cid, service.PrincipalRequest{Principal: principal, Credentials: wire.Password(password)})
		}
	}
	control.must(changing("admin", password))
	control.must(changing("bob", tokens[0]))
	control.must(changing("admin", "password"))
	script := func(text string) {
		control.must(func(b []byte, cid int64) []byte {
			return service.UpdateSystemAuthentication.AppendRequest(b, cid, service.Text(text))
		})
	}
	script("add principal 'new' '" + hidden("New-Passw0rd") + "'")
	script("set password 'missing' '" + hidden("Missing-Passw0rd") + "'")
	script("nonsense '" + hidden("Nonsense-Passw0rd") + "'")
	admitted(t, srv, overWebSocket, anonymous().proving("new", "New-Passw0rd"))
	if err := srv.Close(); err != nil {
		t.Fatal(err)
	}
	text := log.String()
	for _, told := range []string{
		"system: wrong password", "no authenticator accepts", "the token has expired", "the signature of the token is wrong",
		"is not a list of roles", "fetch the keys of tokens", "algorithm that is not accepted", "the status is 500", "the status is 302",
		"the answer is not the JSON object", "the outcome of the answer is none", "hook: the service denies it", "EOF",
	} {
		if !strings.Contains(text, told) {
			t.Errorf("%q is not logged", told)
		}
	}
	for _, s := range secrets {
		if strings.Contains(text, s) {
			t.Errorf("the log has %q", s)
		}
	}
	if t.Failed() {
		t.Logf("%s", text)
	}
}

// TestRefusalsAreLoggedOnce counts the lines of a log in which refusals are told.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	t.Parallel()
	log := new(logged)
	srv := start(t, func(c *server.Config) {
		c.Logger = slog.New(slog.NewTextHandler(log, nil))
	})
	admitted(t, srv, overWebSocket, anonymous().proving("admin", "x"))
	admitted(t, srv, overWebSocket, anonymous().proving("who\nlevel=ERROR", "x"))
	const want = "level=WARN"
	text := log.String()
	if strings.Count(text, want) != 2 || strings.Count(text, "\n") != strings.Count(text, "time=") {
		t.Errorf("two refusals are logged as\n%s", text)
	}
	for _, part := range []string{"principal=admin", "address=127.0.0.1", `reason="system: wrong password"`, "system: unknown principal"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %s in\n%s", part, text)
		}
	}
	for range 50 {
		admitted(t, srv, overWebSocket, anonymous().proving("admin", "x"))
	}
	if n := strings.Count(log.String(), want); n > 30 {
		t.Errorf("%d lines for 52 refusals", n)
	}
}
