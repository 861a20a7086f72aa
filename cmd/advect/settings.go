package main

import (
	"fmt"
	"log/slog"
	"reflect"

	"advect.dev/server"
)

// settings are what can be set on the command line, in the environment and in
// the configuration file; nil is not set. Each field has the name of the field
// of [config] that it sets, and its yaml tag is the name of the flag too. The
// defaults are those of [defaults], never written down here; "shown" replaces
// one that differs between machines.
type settings struct {
	Listen              []string `yaml:"listen" group:"Listeners" placeholder:"HOST:PORT" help:"Plain listeners for WebSocket and HTTP polling; port 0 takes a free one. Repeatable, or comma separated."`
	TLSListen           *string  `yaml:"tls-listen" group:"Listeners" placeholder:"HOST:PORT" help:"TLS listener; empty for none."`
	TLSCert             *string  `yaml:"tls-cert" group:"Listeners" placeholder:"FILE" help:"Certificate chain of the TLS listener, PEM. Read again when the file changes."`
	TLSKey              *string  `yaml:"tls-key" group:"Listeners" placeholder:"FILE" help:"Key of tls-cert, PEM. Read again when the file changes."`
	TLSClientCA         *string  `yaml:"tls-client-ca" group:"Listeners" placeholder:"FILE" help:"Certificates of the authorities whose client certificates the TLS listener accepts, PEM. A client without credentials is the principal of the store that has the common name of its certificate as its name. Read again when the file changes."`
	TLSClientRequired   *bool    `yaml:"tls-client-required" group:"Listeners" help:"Refuse clients of the TLS listener that have no such certificate."`
	AllowStockPasswords *bool    `yaml:"allow-stock-passwords" group:"Listeners" help:"Listen beyond loopback although principals have the passwords that everybody knows. Only for closed test networks."`

	DataDir    *string    `yaml:"data-dir" group:"Server" placeholder:"DIR" help:"Holds what outlives a restart; created when missing. Empty keeps it in memory, and it is gone when the server stops."`
	ServerName *string    `yaml:"server-name" group:"Server" placeholder:"NAME" shown:"the host name" help:"What sessions see as $ServerName."`
	LogLevel   *logLevel  `yaml:"log-level" group:"Server" placeholder:"debug|info|warn|error" help:"Least level that is logged, to standard error."`
	LogFormat  *logFormat `yaml:"log-format" group:"Server" placeholder:"text|json" help:"Form of the log."`
	Metrics    *string    `yaml:"metrics" group:"Server" placeholder:"off|local|all" help:"Who may read /metrics on the listeners: nobody, programs on this machine, or whoever can connect."`
	LogEntries *int       `yaml:"log-entries" group:"Server" placeholder:"N" help:"Latest log lines kept in memory for clients that may view the server. 0 keeps none."`

	TokenKeys             []string  `yaml:"token-keys" group:"Authentication" placeholder:"FILE" help:"Files with the keys of JSON Web Tokens, which clients give as their password: each a public key or a certificate in PEM, or else a secret. Read again when they change. Repeatable, or comma separated."`
	TokenJWKS             *string   `yaml:"token-jwks" group:"Authentication" placeholder:"URL" help:"Set of public keys for tokens, besides or instead of token-keys; https, unless it is on this machine. Fetched again every 15 minutes, and when a token names a key that is not in it."`
	TokenAlgorithms       []string  `yaml:"token-algorithms" group:"Authentication" placeholder:"NAME" help:"What tokens may be signed with: RS256, PS256, ES256 and HS256, likewise with 384 and 512, and EdDSA. Needed with keys. Repeatable, or comma separated."`
	TokenIssuer           *string   `yaml:"token-issuer" group:"Authentication" placeholder:"TEXT" help:"What the claim iss of tokens must be; empty accepts any."`
	TokenAudience         []string  `yaml:"token-audience" group:"Authentication" placeholder:"TEXT" help:"Of which the claim aud of tokens must name one; empty accepts any. Repeatable, or comma separated."`
	TokenPrincipalClaim   *string   `yaml:"token-principal-claim" group:"Authentication" placeholder:"NAME" help:"Claim that holds the principal, which must be the one that the client names. Dots lead to claims within claims."`
	TokenRolesClaim       *string   `yaml:"token-roles-claim" group:"Authentication" placeholder:"NAME" help:"Claim that holds the roles: a list, or a text with spaces. Dots lead to claims within claims."`
	AuthHook              *string   `yaml:"auth-hook" group:"Authentication" placeholder:"URL" help:"Service that is asked about clients that the principal store does not know; https, unless it is on this machine."`
	AuthHookAuthorization *string   `yaml:"auth-hook-authorization" group:"Authentication" placeholder:"FILE" help:"File with the header Authorization of requests to the service. Read again when it changes."`
	AuthHookTimeout       *duration `yaml:"auth-hook-timeout" group:"Authentication" placeholder:"DURATION" help:"How long the service may take; then it counts as not knowing the client."`
	PasswordThrottle      *bool     `yaml:"password-throttle" group:"Authentication" help:"Slow down those who guess passwords, by principal and address. Turn it off only where all clients have one address, such as behind a proxy."`

	PingPeriod         *duration `yaml:"ping-period" group:"Sessions" placeholder:"DURATION" help:"How often sessions are pinged. A client that has not answered by the next ping has lost its connection. 0 turns pings off."`
	ReconnectKeepAlive *duration `yaml:"reconnect-keep-alive" group:"Sessions" placeholder:"DURATION" help:"Longest that a session outlives its connection; a client may ask for less. 0 turns reconnection off."`
	RecoveryMessages   *int      `yaml:"recovery-messages" group:"Sessions" placeholder:"N" help:"Messages kept for each session, after they were sent, for a reconnection without loss."`
	RecoveryBytes      *size     `yaml:"recovery-bytes" group:"Sessions" placeholder:"SIZE" help:"Bytes of the messages kept for a reconnection, for each session."`
	HandshakeTimeout   *duration `yaml:"handshake-timeout" group:"Sessions" placeholder:"DURATION" help:"Limit of each step from the connection to the session, and of the arrival of a polling client's request."`
	PollHold           *duration `yaml:"poll-hold" group:"Sessions" placeholder:"DURATION" help:"How long a poll is held when there is nothing to send."`
	PollTimeout        *duration `yaml:"poll-timeout" group:"Sessions" placeholder:"DURATION" help:"How long a polling client may go without a poll before its connection counts as lost."`
	RequestTimeout     *duration `yaml:"request-timeout" group:"Sessions" placeholder:"DURATION" help:"How long a client may take to answer a request that another client sent it."`
	DrainTimeout       *duration `yaml:"drain-timeout" group:"Sessions" placeholder:"DURATION" help:"Limit of a shutdown, in which sessions get what is queued for them."`

	RemovalInterval *duration `yaml:"removal-interval" group:"Topics" placeholder:"DURATION" help:"Time between evaluations of the removal policies of topics."`

	QueueMessages         *int  `yaml:"queue-messages" group:"Limits" placeholder:"N" help:"Messages that may wait to be sent to one session, not counting those with which subscriptions start and end. A queue over a limit is conflated; if that does not help, the session is closed."`
	QueueBytes            *size `yaml:"queue-bytes" group:"Limits" placeholder:"SIZE" help:"Bytes that may wait to be sent to one session."`
	MaxMemory             *size `yaml:"max-memory" group:"Limits" placeholder:"SIZE" shown:"3/4 of what there is" help:"Memory of the server. Sessions have to do with less the closer it gets, and those that do not read are closed before it is reached. What there is: the memory of the machine, or of the container if that is less; GOMEMLIMIT is taken instead if it is set. 0 is no limit."`
	MaxMessageSize        *size `yaml:"max-message-size" group:"Limits" placeholder:"SIZE" help:"Largest message that a client may send; a larger one ends its session."`
	MaxFetchSize          *size `yaml:"max-fetch-size" group:"Limits" placeholder:"SIZE" help:"Largest answer to a fetch; longer results are paged."`
	MaxSessions           *int  `yaml:"max-sessions" group:"Limits" placeholder:"N" help:"Sessions in all, connected or not. 0 is no limit."`
	MaxSessionsPerAddress *int  `yaml:"max-sessions-per-address" group:"Limits" placeholder:"N" help:"Sessions from one client address, connected or not. 0 is no limit."`
	MessageRate           *int  `yaml:"message-rate" group:"Limits" placeholder:"N" help:"Messages that a session may send each second; as many may come at once. Over it the session is read more slowly, so that its client has to wait. 0 is no limit."`
	ConnectionRate        *int  `yaml:"connection-rate" group:"Limits" placeholder:"N" help:"Connections that one client address may make each second; five times as many may come at once. Over it they are closed at once. 0 is no limit."`
	MaxHandshakes         *int  `yaml:"max-handshakes" group:"Limits" placeholder:"N" help:"Connections that have not yet become a session."`
}

// config is the effective configuration.
type config struct {
	server.Config
	LogLevel  logLevel
	LogFormat logFormat
}

// defaults are those of the server, with the little that the command line adds.
func defaults() config {
	cfg := config{Config: server.DefaultConfig(), LogLevel: logLevel(slog.LevelInfo), LogFormat: "text"}
	cfg.DataDir = "./advect-data"
	return cfg
}

// A setting is one setting as help, `config print` and the documents show it.
type setting struct {
	Name, Group, Unit, Help string
	Default                 any // a value of the type in config
	DefaultText             string
	Value                   any
}

// describe returns all settings in their order, with the values of cfg.
func describe(cfg config) []setting {
	base := defaults()
	var list []setting
	t := reflect.TypeFor[settings]()
	for i := range t.NumField() {
		f := t.Field(i)
		s := setting{
			Name: f.Tag.Get("yaml"), Group: f.Tag.Get("group"), Unit: f.Tag.Get("placeholder"), Help: f.Tag.Get("help"),
			Default: member(&base, f).Interface(), Value: member(&cfg, f).Interface(),
		}
		if s.Unit == "" {
			s.Unit = "true|false"
		}
		if s.DefaultText = f.Tag.Get("shown"); s.DefaultText == "" {
			s.DefaultText = text(s.Default)
		}
		list = append(list, s)
	}
	return list
}

// text is a value as a user would write it.
func text(v any) string {
	switch v := v.(type) {
	case []string:
		if len(v) == 0 {
			return "none"
		}
		if len(v) == 1 {
			return v[0]
		}
	case string:
		if v == "" {
			return "none"
		}
	}
	return fmt.Sprint(v)
}

// member returns the field of cfg that a field of settings sets, converted to
// the type in which a user writes it.
func member(cfg *config, f reflect.StructField) reflect.Value {
	t := f.Type
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.ValueOf(cfg).Elem().FieldByName(f.Name).Convert(t)
}

// apply changes what is set.
func (s *settings) apply(cfg *config) {
	from, to := reflect.ValueOf(s).Elem(), reflect.ValueOf(cfg).Elem()
	for i := range from.NumField() {
		v, target := from.Field(i), to.FieldByName(from.Type().Field(i).Name)
		if v.IsNil() {
			continue
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		target.Set(v.Convert(target.Type()))
	}
}

// load returns the effective configuration: what s holds, from the command line
// and the environment, before the file, if one is named, before the defaults.
func (s *settings) load(file string) (config, error) {
	cfg := defaults()
	if file != "" {
		set, err := readFile(file)
		if err != nil {
			return cfg, &usageError{err}
		}
		set.apply(&cfg)
	}
	s.apply(&cfg)
	if err := cfg.Validate(); err != nil {
		return cfg, &usageError{fmt.Errorf("configuration: %w", err)}
	}
	return cfg, nil
}
