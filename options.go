package advect

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"net"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"time"

	"advect.dev/internal/client"
	"advect.dev/internal/wire"
)

// A Transport is a way to carry messages.
type Transport = client.Kind

// The transports.
const (
	WebSocket   = client.WebSocket
	HTTPPolling = client.HTTPPolling
)

// ParseTransport returns the transport of a name: "websocket" or "ws",
// "http_polling" or "xhr", in any letter case.
func ParseTransport(name string) (Transport, error) {
	switch strings.ToLower(name) {
	case "websocket", "ws":
		return WebSocket, nil
	case "http_polling", "xhr":
		return HTTPPolling, nil
	}
	return 0, fmt.Errorf("unknown transport %q: use websocket (ws) or http_polling (xhr)", name)
}

// An Option sets something of a session that is to be opened.
type Option func(*options)

// options is what the options set. It is not changed once a session uses it.
type options struct {
	host   string
	port   int
	secure *bool
	path   string

	transports  []Transport
	principal   *string
	credentials wire.Credentials
	properties  map[string]string

	target            client.Config // host, port, secure and path: set by resolve
	connectionTimeout time.Duration
	retry             RetryFunc
	reconnectTimeout  time.Duration
	reconnect         ReconnectStrategy
	recoveryBuffer    int
	outboundQueue     int
	stateListeners    []StateListener
	errorListeners    []ErrorListener
	log               *slog.Logger

	problems []error
}

// The least of what can be set for message and buffer sizes, in bytes.
const leastSize = 1024

func defaults() *options {
	return &options{
		transports: []Transport{WebSocket},
		target: client.Config{
			Proxy:          http.ProxyFromEnvironment,
			MaxMessageSize: math.MaxInt32,
			ReadBuffer:     64 << 10,
			WriteBuffer:    64 << 10,
		},
		connectionTimeout: 10 * time.Second,
		retry:             RetryStrategy{}.retry,
		reconnectTimeout:  60 * time.Second,
		reconnect:         ExponentialBackoff(100*time.Millisecond, 5*time.Second),
		recoveryBuffer:    1024,
		outboundQueue:     10_000,
		log:               slog.New(slog.DiscardHandler),
	}
}

func (o *options) bad(format string, args ...any) {
	o.problems = append(o.problems, fmt.Errorf(format, args...))
}

// WithHost sets the host: a name, an IPv4 address, or an IPv6 address with or
// without brackets; a port may follow as in "host:8080". A URL overrides it.
func WithHost(host string) Option { return func(o *options) { o.host = host } }

// WithPort sets the port. Default: 443 if secure, else 80. A URL overrides it.
func WithPort(port int) Option {
	return func(o *options) {
		if o.port = port; port < 1 || port > math.MaxUint16 {
			o.bad("port %d is not a number from 1 to 65535", port)
		}
	}
}

// WithSecure sets whether TLS is used. Default: only on port 443. A URL overrides it.
func WithSecure(secure bool) Option { return func(o *options) { o.secure = &secure } }

// WithPath sets the request path. "/diffusion" is appended unless it ends so.
// Default: "/diffusion". A URL overrides it.
func WithPath(path string) Option { return func(o *options) { o.path = path } }

// WithTransports sets the transports that are tried, in this order, on opening
// and for each attempt to reconnect; one may be named several times. The next
// is tried when the one before it brought no answer that makes sense. Default:
// [WebSocket]. A URL overrides it.
func WithTransports(transports ...Transport) Option {
	return func(o *options) {
		if o.transports = slices.Clone(transports); len(transports) == 0 {
			o.bad("no transports given")
		}
		for _, t := range transports {
			if t != WebSocket && t != HTTPPolling {
				o.bad("unknown transport %s", t)
			}
		}
	}
}

// WithPrincipal sets the principal. Default: none, an anonymous session.
func WithPrincipal(principal string) Option { return func(o *options) { o.principal = &principal } }

// WithPassword proves the principal by a password. Without [WithPrincipal] it
// is not sent.
func WithPassword(password string) Option {
	return func(o *options) { o.credentials = wire.Password(password) }
}

// WithCredentials proves the principal by bytes for an authenticator of the
// server. Without [WithPrincipal] they are not sent.
func WithCredentials(credentials []byte) Option {
	return func(o *options) {
		o.credentials = wire.Credentials{Kind: wire.CustomCredentials, Data: slices.Clone(credentials)}
	}
}

// WithSessionProperties proposes session properties, which the server may
// refuse or change. Keys that start with "$" are the server's.
func WithSessionProperties(properties map[string]string) Option {
	return func(o *options) { o.properties = maps.Clone(properties) }
}

// WithTLSConfig sets how TLS is done. It is cloned; an empty ServerName becomes
// the host. Default: the system's certificate authorities, TLS 1.2 or later.
func WithTLSConfig(config *tls.Config) Option {
	return func(o *options) { o.target.TLS = config.Clone() }
}

// WithCertificateValidation lets validate decide about the server's
// certificates, the server's own first: nil accepts them. verification is what
// the usual check of chain, time and host name found, nil if nothing; returning
// it leaves the decision as it would be. validate may be called from several
// goroutines.
func WithCertificateValidation(validate func(chain []*x509.Certificate, verification error) error) Option {
	return func(o *options) { o.target.Validate = validate }
}

// WithHTTPProxy sets which HTTP proxy is used for a request to the server; a
// proxy function that returns nil uses none. [http.ProxyURL] makes one of a URL,
// with user and password if the proxy wants them. WebSocket goes through a
// CONNECT tunnel. Default: [http.ProxyFromEnvironment]. nil uses no proxy.
func WithHTTPProxy(proxy func(*http.Request) (*url.URL, error)) Option {
	return func(o *options) { o.target.Proxy = proxy }
}

// WithHeader adds headers to each HTTP request, the WebSocket upgrade included.
func WithHeader(header http.Header) Option {
	return func(o *options) { o.target.Header = header.Clone() }
}

// WithDialer sets what opens network connections: to the server, or to the proxy
// on the way; the session puts TLS on them itself. network is "tcp", address
// host:port. dial is called from several goroutines, and again for each attempt to
// reconnect; ctx bounds the opening and nothing after. Default, and of nil: a
// [net.Dialer]. It is for other source addresses and socket options, for other
// kinds of connections, and for watching or disturbing them.
func WithDialer(dial func(ctx context.Context, network, address string) (net.Conn, error)) Option {
	return func(o *options) { o.target.DialContext = dial }
}

// WithConnectionTimeout bounds opening as a whole: every transport, every retry
// and the waits between them. Default: 10 s. 0 or less leaves it to the context.
func WithConnectionTimeout(timeout time.Duration) Option {
	return func(o *options) { o.connectionTimeout = timeout }
}

// WithRetry sets how often an opening that failed is tried again. Default: not
// at all. See [WithConnectionTimeout], which bounds it.
func WithRetry(strategy RetryStrategy) Option {
	return func(o *options) {
		if o.retry = strategy.retry; strategy.Attempts < 0 || strategy.Interval < 0 {
			o.bad("retry strategy %+v is negative", strategy)
		}
	}
}

// WithRetryFunc sets a function that decides whether to try again.
func WithRetryFunc(retry RetryFunc) Option {
	return func(o *options) {
		if o.retry = retry; retry == nil {
			o.retry = RetryStrategy{}.retry
		}
	}
}

// WithReconnectTimeout sets how long a session that has lost its connection
// tries to connect again, and asks the server to keep it for that long; a server
// may keep it for less. Default: 60 s. 0 or less disables reconnection.
func WithReconnectTimeout(timeout time.Duration) Option {
	return func(o *options) { o.reconnectTimeout = max(0, timeout) }
}

// WithReconnectStrategy sets when attempts to reconnect are made. Default:
// [ExponentialBackoff] from 100 ms to 5 s.
func WithReconnectStrategy(strategy ReconnectStrategy) Option {
	return func(o *options) {
		if strategy != nil {
			o.reconnect = strategy
		}
	}
}

// WithMaxMessageSize sets the largest message, in bytes, that the server may
// send; a larger one closes the session as [ErrTransport]. Default: 2147483647.
// Least: 1024.
func WithMaxMessageSize(size int) Option {
	return func(o *options) {
		if o.target.MaxMessageSize = size; size < leastSize || size > math.MaxInt32 {
			o.bad("maximum message size %d is not from %d to %d", size, leastSize, math.MaxInt32)
		}
	}
}

// WithRecoveryBuffer sets how many messages are kept after they were sent, to be
// sent again if the connection was lost on their way. They are dropped earlier
// when they take more than 16 MiB. Default: 1024. 0 keeps none.
func WithRecoveryBuffer(messages int) Option {
	return func(o *options) {
		if o.recoveryBuffer = messages; messages < 0 {
			o.bad("recovery buffer of %d messages", messages)
		}
	}
}

// WithOutboundQueue sets how many messages may wait to be sent. Calls block
// while that many wait. Default: 10000. Least: 1.
func WithOutboundQueue(messages int) Option {
	return func(o *options) {
		if o.outboundQueue = messages; messages < 1 {
			o.bad("outbound queue of %d messages", messages)
		}
	}
}

// WithBufferSizes sets the sizes, in bytes, of the buffers between the session
// and the network. Default: 64 KiB each. Least: 1024.
func WithBufferSizes(read, write int) Option {
	return func(o *options) {
		if o.target.ReadBuffer, o.target.WriteBuffer = read, write; min(read, write) < leastSize {
			o.bad("buffers of %d and %d bytes: the least is %d", read, write, leastSize)
		}
	}
}

// WithStateListener adds a listener that sees every change of the session's
// state, from [Connecting] on. See also [Session.OnStateChange].
func WithStateListener(listener StateListener) Option {
	return func(o *options) { o.stateListeners = append(o.stateListeners, listener) }
}

// WithErrorListener adds a listener for problems that do not end the session.
// See also [Session.OnError].
func WithErrorListener(listener ErrorListener) Option {
	return func(o *options) { o.errorListeners = append(o.errorListeners, listener) }
}

// WithLogger sets where the session logs what it does. Credentials and values
// are never logged. Default: nowhere.
func WithLogger(log *slog.Logger) Option {
	return func(o *options) {
		if log != nil {
			o.log = log
		}
	}
}

// resolve applies opts and works out where to connect.
func resolve(rawURL string, opts []Option) (*options, error) {
	o := defaults()
	for _, opt := range opts {
		if opt != nil {
			opt(o)
		}
	}
	e, err := o.endpoint(rawURL)
	if err != nil {
		o.problems = append(o.problems, err)
	}
	if rawURL != "" {
		o.transports = []Transport{e.transport}
	}
	o.target.Host, o.target.Port, o.target.Secure, o.target.Path = e.host, e.port, e.secure, e.path
	o.properties = withEnvironment(o.properties)
	if o.connectionTimeout <= 0 {
		o.connectionTimeout = math.MaxInt64
	}
	return o, errors.Join(o.problems...)
}

func (o *options) endpoint(rawURL string) (e endpoint, err error) {
	if rawURL != "" {
		return parseURL(rawURL)
	}
	if o.host == "" {
		return e, errors.New("no server named: give a URL such as ws://localhost:8080, or WithHost")
	}
	if e.host, e.port, err = splitHost(o.host); err != nil {
		return e, err
	}
	e.port = cmp.Or(o.port, e.port)
	if e.secure = e.port == 443; o.secure != nil {
		e.secure = *o.secure
	}
	e.port = cmp.Or(e.port, usualPort(e.secure))
	e.path, err = normalisePath(o.path)
	return e, err
}

// withEnvironment adds the property that tells what the client runs on.
func withEnvironment(properties map[string]string) map[string]string {
	if properties == nil {
		properties = make(map[string]string, 1)
	}
	properties["$Environment"] = "GO_" + runtime.GOOS + "_" + strings.TrimPrefix(runtime.Version(), "go")
	return properties
}

// request returns the connection request of a new session.
func (o *options) request() wire.ConnectRequest {
	q := wire.ConnectRequest{
		Version:          wire.Version,
		Capabilities:     wire.CapabilityUnified | wire.CapabilityZlib,
		ReconnectTimeout: o.reconnectTimeout,
		Properties:       o.properties,
		Credentials:      o.credentials,
	}
	if q.Named = o.principal != nil; q.Named {
		q.Principal = *o.principal
	}
	return q
}
