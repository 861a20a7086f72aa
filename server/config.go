package server

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// Config is everything that can be set. The command line, the environment and
// the configuration file of `advect serve` use the names given here; sizes are
// bytes. Start from [DefaultConfig]: the zero value has no limits that make
// sense. Nothing here is reloaded while a server runs, but TLSCert and TLSKey,
// whose files are read again when they change.
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
	// MaxMessageSize is the largest message that a client may send. Larger ones
	// end its session. Name: max-message-size. Default: 32 MiB.
	MaxMessageSize int
	// MaxFetchSize is the largest answer to a fetch; longer results are paged.
	// Name: max-fetch-size. Default: 32 MiB.
	MaxFetchSize int
	// MaxSessions and MaxSessionsPerAddress bound the sessions, connected or not.
	// 0 is no limit. Names: max-sessions, max-sessions-per-address. Default: 0.
	MaxSessions, MaxSessionsPerAddress int
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
		Listen:             []string{"127.0.0.1:8080"},
		ServerName:         name,
		PingPeriod:         90 * time.Second,
		ReconnectKeepAlive: 5 * time.Minute,
		RecoveryMessages:   1024,
		RecoveryBytes:      16 << 20,
		QueueMessages:      10_000,
		QueueBytes:         64 << 20,
		MaxMessageSize:     32 << 20,
		MaxFetchSize:       32 << 20,
		MaxHandshakes:      4096,
		HandshakeTimeout:   10 * time.Second,
		PollHold:           25 * time.Second,
		PollTimeout:        15 * time.Second,
		RemovalInterval:    5 * time.Second,
		RequestTimeout:     10 * time.Second,
		Metrics:            MetricsLocal,
		LogEntries:         1000,
		DrainTimeout:       10 * time.Second,
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
	if c.LogEntries > maxLogEntries {
		bad("log-entries", "is %d; the most is %d", c.LogEntries, maxLogEntries)
	}
	for name, n := range map[string]struct{ value, min int }{
		"recovery-messages":        {c.RecoveryMessages, 0},
		"recovery-bytes":           {c.RecoveryBytes, 0},
		"queue-messages":           {c.QueueMessages, 16},
		"queue-bytes":              {c.QueueBytes, 1 << 16},
		"max-message-size":         {c.MaxMessageSize, 1024},
		"max-fetch-size":           {c.MaxFetchSize, 1024},
		"max-sessions":             {c.MaxSessions, 0},
		"max-sessions-per-address": {c.MaxSessionsPerAddress, 0},
		"max-handshakes":           {c.MaxHandshakes, 1},
		"log-entries":              {c.LogEntries, 0},
	} {
		if n.value < n.min {
			bad(name, "is %d; the least is %d", n.value, n.min)
		}
	}
	for name, d := range map[string]struct{ value, min time.Duration }{
		"ping-period":          {c.PingPeriod, 0},
		"reconnect-keep-alive": {c.ReconnectKeepAlive, 0},
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
