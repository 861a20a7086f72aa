package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	"advect.dev/internal/security"
)

// Config is everything that can be set. The command line, the environment and
// the configuration file of `advect serve` use the names given here; sizes are
// bytes. Start from [DefaultConfig]: the zero value has no limits that make
// sense. Nothing here is reloaded while a server runs, but the files that TLSCert,
// TLSKey, TLSClientCA, TokenKeys and AuthHookAuthorization name are read again when
// they change.
type Config struct {
	// Listen are the plain listeners, HOST:PORT each; port 0 takes a free one.
	// Name: listen. Default: 127.0.0.1:8080.
	Listen []string
	// TLSListen is the TLS listener, HOST:PORT, or "" for none.
	// Name: tls-listen. Default: none.
	TLSListen string
	// TLSCert and TLSKey are PEM files, needed with TLSListen.
	// Names: tls-cert, tls-key. Default: none.
	TLSCert, TLSKey string
	// TLSClientCA is a PEM file with the certificates of the authorities whose client
	// certificates are accepted on the TLS listener. A client that gives no
	// credentials is the principal whose name is the common name of its certificate,
	// with the roles that the principal store has for it, if it is there.
	// Name: tls-client-ca. Default: none, clients are asked for no certificate.
	TLSClientCA string
	// TLSClientRequired refuses clients of the TLS listener that have no such
	// certificate. Name: tls-client-required. Default: false.
	TLSClientRequired bool
	// DataDir holds what outlives a restart, or is "" to keep that in memory. It
	// is created when missing. Name: data-dir. Default: "" (`advect serve`: ./advect-data).
	DataDir string
	// ServerName is what sessions see as $ServerName.
	// Name: server-name. Default: the host name.
	ServerName string
	// AllowStockPasswords permits listeners beyond loopback while principals
	// have the passwords that everybody knows: only for closed test networks.
	// Name: allow-stock-passwords. Default: false.
	AllowStockPasswords bool

	// TokenKeys are files, each with one key that JSON Web Tokens are signed with: a
	// public key or certificate in PEM, or a secret, which is all of the file but a
	// newline at its end. Clients give a token as their password. Name: token-keys.
	// Default: none.
	TokenKeys []string
	// TokenJWKS is the URL of a set of public keys, besides or instead of TokenKeys.
	// It must be https, unless it is on this machine. Name: token-jwks. Default: none.
	TokenJWKS string
	// TokenAlgorithms are the algorithms that tokens may be signed with, such as RS256,
	// ES256, EdDSA or HS256; needed with keys. Name: token-algorithms. Default: none.
	TokenAlgorithms []string
	// TokenIssuer is what the claim "iss" of tokens must be; empty accepts any.
	// Name: token-issuer. Default: none.
	TokenIssuer string
	// TokenAudience are those of which the claim "aud" of tokens must name one; empty
	// accepts any. Name: token-audience. Default: none.
	TokenAudience []string
	// TokenPrincipalClaim and TokenRolesClaim are the claims that hold the principal,
	// which must be the one that the client names, and its roles: names, or names
	// joined with dots for claims within claims.
	// Names: token-principal-claim, token-roles-claim. Defaults: sub, roles.
	TokenPrincipalClaim, TokenRolesClaim string
	// AuthHook is the URL of a service that is asked about clients that the principal
	// store does not know. It must be https, unless it is on this machine.
	// Name: auth-hook. Default: none.
	AuthHook string
	// AuthHookAuthorization is a file with the header Authorization of requests to the
	// service. Name: auth-hook-authorization. Default: none.
	AuthHookAuthorization string
	// AuthHookTimeout bounds the wait for the service.
	// Name: auth-hook-timeout. Default: 3s.
	AuthHookTimeout time.Duration
	// PasswordThrottle slows down those who guess passwords, by principal and address.
	// Turn it off only where all clients have one address, such as behind a proxy that
	// does this itself. Name: password-throttle. Default: true.
	PasswordThrottle bool

	// PingPeriod is how often sessions are pinged; a client that does not answer
	// before the next ping has lost its connection. 0 turns pings off.
	// Name: ping-period. Default: 90s.
	PingPeriod time.Duration
	// ReconnectKeepAlive is the longest that a session outlives its connection;
	// a client may ask for less. 0 turns reconnection off.
	// Name: reconnect-keep-alive. Default: 5m.
	ReconnectKeepAlive time.Duration
	// RecoveryMessages and RecoveryBytes bound the messages of a session that are
	// kept, after they were sent, for a reconnection without loss.
	// Names: recovery-messages, recovery-bytes. Defaults: 1024, 16 MiB.
	RecoveryMessages, RecoveryBytes int
	// QueueMessages and QueueBytes bound what waits to be sent to a session. A
	// queue over a limit is conflated, and if that does not help the session is
	// closed. Messages with which subscriptions start and end count in bytes only.
	// Names: queue-messages, queue-bytes. Defaults: 10000, 64 MiB.
	QueueMessages, QueueBytes int
	// MaxMemory is the memory of the process, in bytes, from which sessions have to
	// do with less the closer it gets: see docs/overload.md. It is best also the
	// limit of the Go runtime, which `advect serve` sees to; an embedding program
	// calls debug.SetMemoryLimit itself. 0 is no limit.
	// Name: max-memory. Default: see [DefaultMaxMemory].
	MaxMemory int
	// MaxMessageSize is the largest message that a client may send. Larger ones
	// end its session. Name: max-message-size. Default: 32 MiB.
	MaxMessageSize int
	// MaxFetchSize is the largest answer to a fetch; longer results are paged.
	// Name: max-fetch-size. Default: 32 MiB.
	MaxFetchSize int
	// MaxSessions and MaxSessionsPerAddress bound the sessions, connected or not.
	// 0 is no limit. Names: max-sessions, max-sessions-per-address. Default: 0.
	MaxSessions, MaxSessionsPerAddress int
	// MessageRate is how many messages a second a session may send; as many may come
	// at once. Over it the session's connection is read more slowly, so that the
	// client has to wait. 0 is no limit. Name: message-rate. Default: 0.
	MessageRate int
	// ConnectionRate is how many connections a second a client address may make; five
	// times as many may come at once. Over it they are closed at once. 0 is no limit.
	// Name: connection-rate. Default: 0.
	ConnectionRate int
	// MaxHandshakes bounds the connections that have not yet become a session.
	// Name: max-handshakes. Default: 4096.
	MaxHandshakes int
	// HandshakeTimeout bounds each step from the connection to the session, and
	// the arrival of a polling client's request.
	// Name: handshake-timeout. Default: 10s.
	HandshakeTimeout time.Duration
	// PollHold is how long a poll is held when there is nothing to send.
	// Name: poll-hold. Default: 25s.
	PollHold time.Duration
	// PollTimeout is how long a polling client may go without a poll before its
	// connection counts as lost. Name: poll-timeout. Default: 15s.
	PollTimeout time.Duration
	// RemovalInterval is the time between evaluations of the removal policies of
	// topics. Name: removal-interval. Default: 5s.
	RemovalInterval time.Duration
	// RequestTimeout bounds the wait for a client's answer to a request that another
	// client sent it. Name: request-timeout. Default: 10s.
	RequestTimeout time.Duration
	// Metrics says who may read /metrics on the listeners: "off" for nobody, "local"
	// for programs on this machine, "all" for whoever can connect.
	// Name: metrics. Default: local.
	Metrics string
	// LogEntries is how many of its latest log lines the server keeps for clients
	// that may view it; 0 is none. Name: log-entries. Default: 1000.
	LogEntries int
	// DrainTimeout bounds a shutdown.
	// Name: drain-timeout. Default: 10s.
	DrainTimeout time.Duration

	// Logger gets the server's log. Default: slog.Default.
	Logger *slog.Logger
}

// The values of Config.Metrics.
const (
	MetricsOff   = "off"
	MetricsLocal = "local"
	MetricsAll   = "all"
)

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	name, err := os.Hostname()
	if err != nil {
		name = "advect"
	}
	return Config{
		Listen:              []string{"127.0.0.1:8080"},
		ServerName:          name,
		TokenPrincipalClaim: "sub",
		TokenRolesClaim:     "roles",
		AuthHookTimeout:     3 * time.Second,
		PasswordThrottle:    true,
		PingPeriod:          90 * time.Second,
		ReconnectKeepAlive:  5 * time.Minute,
		RecoveryMessages:    1024,
		RecoveryBytes:       16 << 20,
		QueueMessages:       10_000,
		QueueBytes:          64 << 20,
		MaxMemory:           DefaultMaxMemory(),
		MaxMessageSize:      32 << 20,
		MaxFetchSize:        32 << 20,
		MaxHandshakes:       4096,
		HandshakeTimeout:    10 * time.Second,
		PollHold:            25 * time.Second,
		PollTimeout:         15 * time.Second,
		RemovalInterval:     5 * time.Second,
		RequestTimeout:      10 * time.Second,
		Metrics:             MetricsLocal,
		LogEntries:          1000,
		DrainTimeout:        10 * time.Second,
	}
}

// maxLogEntries keeps the memory of the log in bounds.
const maxLogEntries = 100_000

// Validate returns all problems of a configuration, each with the setting's name.
func (c *Config) Validate() error {
	var problems []error
	bad := func(name, format string, args ...any) {
		problems = append(problems, fmt.Errorf("%s: %s", name, fmt.Sprintf(format, args...)))
	}
	if len(c.Listen) == 0 && c.TLSListen == "" {
		bad("listen", "give at least one address, such as 127.0.0.1:8080")
	}
	for _, a := range c.Listen {
		if _, _, err := net.SplitHostPort(a); err != nil {
			bad("listen", "%q is not HOST:PORT", a)
		}
	}
	if c.TLSListen != "" {
		if _, _, err := net.SplitHostPort(c.TLSListen); err != nil {
			bad("tls-listen", "%q is not HOST:PORT", c.TLSListen)
		}
		if c.TLSCert == "" || c.TLSKey == "" {
			bad("tls-listen", "needs tls-cert and tls-key")
		}
	} else if c.TLSCert != "" || c.TLSKey != "" {
		bad("tls-cert", "has no effect without tls-listen")
	}
	if c.Metrics != MetricsOff && c.Metrics != MetricsLocal && c.Metrics != MetricsAll {
		bad("metrics", "is %q; use off, local or all", c.Metrics)
	}
	if c.MaxMemory > 0 && c.MaxMemory < leastMaxMemory {
		bad("max-memory", "is %d; the least is %d, and 0 is no limit", c.MaxMemory, leastMaxMemory)
	}
	if c.LogEntries > maxLogEntries {
		bad("log-entries", "is %d; the most is %d", c.LogEntries, maxLogEntries)
	}
	c.validateAuthentication(bad)
	for name, n := range map[string]struct{ value, min int }{
		"recovery-messages":        {c.RecoveryMessages, 0},
		"recovery-bytes":           {c.RecoveryBytes, 0},
		"queue-messages":           {c.QueueMessages, 16},
		"queue-bytes":              {c.QueueBytes, 1 << 16},
		"max-message-size":         {c.MaxMessageSize, 1024},
		"max-memory":               {c.MaxMemory, 0},
		"max-fetch-size":           {c.MaxFetchSize, 1024},
		"max-sessions":             {c.MaxSessions, 0},
		"max-sessions-per-address": {c.MaxSessionsPerAddress, 0},
		"max-handshakes":           {c.MaxHandshakes, 1},
		"log-entries":              {c.LogEntries, 0},
		"message-rate":             {c.MessageRate, 0},
		"connection-rate":          {c.ConnectionRate, 0},
	} {
		if n.value < n.min {
			bad(name, "is %d; the least is %d", n.value, n.min)
		}
	}
	for name, d := range map[string]struct{ value, min time.Duration }{
		"ping-period":          {c.PingPeriod, 0},
		"reconnect-keep-alive": {c.ReconnectKeepAlive, 0},
		"auth-hook-timeout":    {c.AuthHookTimeout, time.Millisecond},
		"handshake-timeout":    {c.HandshakeTimeout, time.Millisecond},
		"poll-hold":            {c.PollHold, time.Millisecond},
		"poll-timeout":         {c.PollTimeout, time.Millisecond},
		"removal-interval":     {c.RemovalInterval, 10 * time.Millisecond},
		"request-timeout":      {c.RequestTimeout, time.Millisecond},
		"drain-timeout":        {c.DrainTimeout, 0},
	} {
		if d.value < d.min {
			bad(name, "is %v; the least is %v", d.value, d.min)
		}
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// validateAuthentication checks what needs no file.
func (c *Config) validateAuthentication(bad func(name, format string, args ...any)) {
	if c.TLSClientCA != "" && c.TLSListen == "" {
		bad("tls-client-ca", "has no effect without tls-listen")
	}
	if c.TLSClientRequired && c.TLSClientCA == "" {
		bad("tls-client-required", "needs tls-client-ca")
	}
	if c.tokens() && len(c.TokenAlgorithms) == 0 {
		bad("token-algorithms", "name the algorithms that tokens may be signed with, such as RS256")
	}
	if !c.tokens() {
		for name, set := range map[string]bool{
			"token-algorithms": len(c.TokenAlgorithms) > 0, "token-issuer": c.TokenIssuer != "", "token-audience": len(c.TokenAudience) > 0,
		} {
			if set {
				bad(name, "has no effect without token-keys or token-jwks")
			}
		}
	}
	if c.AuthHookAuthorization != "" && c.AuthHook == "" {
		bad("auth-hook-authorization", "has no effect without auth-hook")
	}
	for name, raw := range map[string]string{"token-jwks": c.TokenJWKS, "auth-hook": c.AuthHook} {
		if raw == "" {
			continue
		}
		if err := security.CheckURL(raw, false); err != nil {
			bad(name, "%v", err)
		} else if u, err := url.Parse(raw); err == nil && u.User != nil {
			bad(name, "the URL holds a password, which the log and `advect config print` would show")
		}
	}
}
