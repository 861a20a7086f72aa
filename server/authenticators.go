package server

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"advect.dev/internal/security"
	"advect.dev/internal/security/hook"
	"advect.dev/internal/security/token"
)

// authenticators make the links that the configuration adds to the chain: a token
// is told from a password by its form, so tokens come before the principal store
// and passwords go on to it. The hook comes behind the store: it decides on those
// that the store does not know, and never sees a password of the store.
func (s *Server) authenticators() (before, after []security.Link, err error) {
	if s.cfg.TLSClientCA != "" {
		before = append(before, security.Link{Name: "certificate", Authenticator: security.NewCertificates(s.principals)})
	}
	if s.cfg.tokens() {
		tokens := &fromFiles{title: "token keys", files: s.cfg.TokenKeys, build: s.cfg.newTokens}
		if err := tokens.open(); err != nil {
			return nil, nil, err
		}
		before = append(before, security.Link{Name: "token", Authenticator: tokens})
		s.fromFiles = append(s.fromFiles, tokens)
	}
	if s.cfg.AuthHook != "" {
		asking := &fromFiles{title: "authorization of the authentication hook", build: s.cfg.newHook}
		if s.cfg.AuthHookAuthorization != "" {
			asking.files = []string{s.cfg.AuthHookAuthorization}
		}
		if err := asking.open(); err != nil {
			return nil, nil, err
		}
		after = append(after, security.Link{Name: "hook", Authenticator: asking})
		s.fromFiles = append(s.fromFiles, asking)
	}
	return before, after, nil
}

// tokens reports whether the configuration says which tokens to accept.
func (c *Config) tokens() bool { return len(c.TokenKeys) > 0 || c.TokenJWKS != "" }

func (c *Config) newTokens(files [][]byte) (security.Authenticator, error) {
	cfg := token.Config{
		Algorithms: c.TokenAlgorithms, JWKS: c.TokenJWKS,
		Issuer: c.TokenIssuer, Audience: c.TokenAudience,
		PrincipalClaim: c.TokenPrincipalClaim, RolesClaim: c.TokenRolesClaim,
	}
	for _, content := range files {
		if bytes.Contains(content, []byte("-----BEGIN ")) {
			cfg.Keys = append(cfg.Keys, token.Key{PEM: content})
		} else {
			cfg.Keys = append(cfg.Keys, token.Key{Secret: bytes.TrimRight(content, "\r\n")})
		}
	}
	return token.New(cfg)
}

func (c *Config) newHook(files [][]byte) (security.Authenticator, error) {
	cfg := hook.Config{URL: c.AuthHook, Timeout: c.AuthHookTimeout}
	for _, content := range files {
		cfg.Authorization = string(bytes.TrimSpace(content))
	}
	return hook.New(cfg)
}

// fromFiles is an authenticator that is made of the contents of files, and made
// again when one of them changes.
type fromFiles struct {
	title   string
	files   []string
	build   func(contents [][]byte) (security.Authenticator, error)
	version []time.Time // modification times of the files of current
	current atomic.Pointer[security.Authenticator]
}

// maxSecretFile bounds a file, in bytes.
const maxSecretFile = 1 << 20

// Authenticate implements [security.Authenticator].
func (f *fromFiles) Authenticate(ctx context.Context, r security.Request) (security.Decision, error) {
	return (*f.current.Load()).Authenticate(ctx, r)
}

// open makes the authenticator.
func (f *fromFiles) open() error {
	version, err := f.times()
	if err != nil {
		return fmt.Errorf("read %s: %w", f.title, err)
	}
	contents := make([][]byte, len(f.files))
	for i, name := range f.files {
		if contents[i], err = readSecret(name); err != nil {
			return fmt.Errorf("read %s: %w", f.title, err)
		}
	}
	made, err := f.build(contents)
	if err != nil {
		return err
	}
	f.version = version
	if old := f.current.Swap(&made); old != nil {
		if c, ok := (*old).(interface{ Close() }); ok {
			c.Close()
		}
	}
	return nil
}

// close drops idle connections.
func (f *fromFiles) close() {
	if c, ok := (*f.current.Load()).(interface{ Close() }); ok {
		c.Close()
	}
}

// reload makes the authenticator again if a file has changed. One that cannot be
// made leaves the old one in force. It is called by one goroutine.
func (f *fromFiles) reload(log *slog.Logger) {
	version, err := f.times()
	if err == nil && slices.EqualFunc(version, f.version, time.Time.Equal) {
		return
	}
	if err == nil {
		err = f.open()
	}
	switch {
	case err == nil:
		log.Info(f.title+" reloaded", "files", f.files)
	case !slices.EqualFunc(version, f.version, time.Time.Equal):
		f.version = version // to be said once
		log.Warn(f.title+" not reloaded; the old ones stay in force", "error", err)
	}
}

func (f *fromFiles) times() ([]time.Time, error) {
	var times []time.Time
	for _, name := range f.files {
		info, err := os.Stat(name)
		if err != nil {
			return nil, err
		}
		times = append(times, info.ModTime())
	}
	return times, nil
}

// readSecret reads a file without which nobody can be authenticated.
func readSecret(name string) ([]byte, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	content, err := io.ReadAll(io.LimitReader(file, maxSecretFile+1))
	switch {
	case err != nil:
		return nil, err
	case len(content) > maxSecretFile:
		return nil, fmt.Errorf("%s is larger than %d bytes", name, maxSecretFile)
	case len(bytes.TrimSpace(content)) == 0:
		return nil, fmt.Errorf("%s is empty", name)
	}
	return content, nil
}
