package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"advect.dev/internal/wire"
)

// A Kind is a kind of transport.
type Kind byte

// The transports.
const (
	WebSocket Kind = iota
	HTTPPolling
)

// String returns the platform's name of k.
func (k Kind) String() string {
	switch k {
	case WebSocket:
		return "WEBSOCKET"
	case HTTPPolling:
		return "HTTP_POLLING"
	}
	return fmt.Sprintf("TRANSPORT_%d", byte(k))
}

// A Config says where to connect and how. It is only read, and by many
// connections.
type Config struct {
	Host   string // name or address; IPv6 without brackets
	Port   int
	Secure bool   // TLS
	Path   string // escaped; starts with "/"

	// TLS may be nil. Its ServerName, when empty, is Host.
	TLS *tls.Config
	// Validate, if not nil, decides about a server's certificates: verification
	// is what the usual check found, nil if it found nothing.
	Validate func(chain []*x509.Certificate, verification error) error
	// Proxy returns the HTTP proxy for a request to the server, or nil. A nil
	// Proxy uses none.
	Proxy func(*http.Request) (*url.URL, error)
	// Header is added to each HTTP request, but does not replace what the
	// protocol needs.
	Header http.Header

	MaxMessageSize          int // bytes of a message that the server may send
	ReadBuffer, WriteBuffer int // bytes

	// DialContext opens network connections; nil is a net.Dialer.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)
}

// A Conn carries protocol messages in order. Read is for one goroutine, Write
// for one other; Close is for any.
type Conn interface {
	// Read returns the next message, which is valid until the next call. After
	// an error it returns only errors.
	Read() ([]byte, error)
	// Write sends messages, which it neither changes nor keeps, and returns
	// when they are handed over. After an error some may have been sent.
	Write(messages [][]byte) error
	// Close ends the connection and frees Read and Write. It says nothing about
	// the session.
	Close()
}

// Violations by the server on an established connection, beside
// wire.ErrMalformed.
var (
	ErrFraming  = errors.New("invalid WebSocket framing")
	ErrTooLarge = errors.New("message larger than the maximum message size")
)

// Type codes of a connection (01 sections 3 and 14). None is reserved for Go;
// real servers know these.
const (
	typeWebSocket = "WJ"
	typePolling   = "J"
)

// Connect tries kinds in order until the server answers in the protocol. Its
// error matches a *wire.Rejection when the server refused, and wire.ErrMalformed
// when the last transport that was tried brought an answer that makes no sense.
// When ctx ends no further transport is tried.
func Connect(ctx context.Context, kinds []Kind, cfg *Config, q wire.ConnectRequest) (Conn, wire.ConnectResponse, error) {
	var failed cascadeError
	for _, kind := range kinds {
		conn, res, err := Dial(ctx, kind, cfg, q)
		if err == nil {
			return conn, res, nil
		}
		var refused *wire.Rejection
		if ctx.Err() != nil || errors.As(err, &refused) {
			return nil, res, err
		}
		failed = append(failed, err)
	}
	return nil, wire.ConnectResponse{}, failed
}

// A cascadeError holds what went wrong with each transport. It unwraps to the
// last, which decides what the whole means.
type cascadeError []error

func (e cascadeError) Error() string {
	texts := make([]string, len(e))
	for i, err := range e {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

func (e cascadeError) Unwrap() error { return e[len(e)-1] }

// Dial connects with one transport. The connection type of q is set here.
func Dial(ctx context.Context, kind Kind, cfg *Config, q wire.ConnectRequest) (Conn, wire.ConnectResponse, error) {
	var conn Conn
	var response []byte
	var err error
	switch kind {
	case WebSocket:
		q.Type = typeWebSocket
		conn, response, err = dialWebSocket(ctx, cfg, &q)
	case HTTPPolling:
		q.Type = typePolling
		conn, response, err = dialPolling(ctx, cfg, &q)
	default:
		err = fmt.Errorf("unknown transport %d", byte(kind))
	}
	var res wire.ConnectResponse
	if err == nil {
		if res, err = answer(response, q.Token != ""); err != nil {
			conn.Close()
		} else if p, ok := conn.(*polling); ok {
			p.start(res.Token)
		}
	}
	if err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
		return nil, res, fmt.Errorf("%s %s: %w", kind, cfg.address(), err)
	}
	return conn, res, nil
}

// answer parses a connection response. Success codes that do not belong to the
// kind of request are as malformed as unknown ones (01 section 6.2).
func answer(response []byte, reconnecting bool) (wire.ConnectResponse, error) {
	res, err := wire.ParseConnectResponse(response)
	switch {
	case err != nil:
		return res, err
	case !res.Code.Success():
		return res, &wire.Rejection{Code: res.Code, Reason: refusals[res.Code]}
	case reconnecting == (res.Code == wire.OK):
		return res, fmt.Errorf("%w: response %s does not fit the request", wire.ErrMalformed, res.Code)
	}
	return res, nil
}

var refusals = map[wire.ResponseCode]string{
	wire.Downgrade:              "the server does not speak this client's protocol version",
	wire.LicenceExceeded:        "the server has as many sessions as it may have",
	wire.ReconnectUnsupported:   "the server does not let sessions reconnect",
	wire.ConnectionProtocol:     "the server did not understand the connection parameters",
	wire.AuthenticationFailed:   "the principal or its credentials were refused",
	wire.UnknownSession:         "the server no longer knows the session",
	wire.ReconnectionFailedLoss: "the server no longer has the messages that this client missed",
	wire.ServerInitialising:     "the server is still starting",
}

// address returns host:port.
func (c *Config) address() string { return net.JoinHostPort(c.Host, strconv.Itoa(c.Port)) }

// url returns a URL of the server, without a port where it is the scheme's own.
func (c *Config) url(plain, secure string) *url.URL {
	scheme, usual := plain, 80
	if c.Secure {
		scheme, usual = secure, 443
	}
	host := c.address()
	if c.Port == usual {
		host = strings.TrimSuffix(host, ":"+strconv.Itoa(usual))
	}
	u := &url.URL{Scheme: scheme, Host: host, Path: c.Path}
	if path, err := url.PathUnescape(c.Path); err == nil {
		u.Path, u.RawPath = path, c.Path
	}
	return u
}

// tlsConfig returns a TLS configuration of its own, in which ServerName may
// still be empty.
func (c *Config) tlsConfig() *tls.Config {
	t := c.TLS.Clone()
	if t == nil {
		t = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if c.Validate == nil {
		return t
	}
	next := t.VerifyConnection
	name := cmp.Or(t.ServerName, c.Host)
	t.InsecureSkipVerify = true // VerifyConnection does what this turns off
	t.VerifyConnection = func(state tls.ConnectionState) error {
		if err := c.Validate(state.PeerCertificates, verify(t, name, &state)); err != nil {
			return fmt.Errorf("certificate refused by the application: %w", err)
		}
		if next != nil {
			return next(state)
		}
		return nil
	}
	return t
}

// verify checks the server's certificates as crypto/tls does.
func verify(t *tls.Config, name string, state *tls.ConnectionState) error {
	if len(state.PeerCertificates) == 0 {
		return errors.New("the server sent no certificate")
	}
	options := x509.VerifyOptions{Roots: t.RootCAs, DNSName: name, Intermediates: x509.NewCertPool()}
	if t.Time != nil {
		options.CurrentTime = t.Time()
	}
	for _, certificate := range state.PeerCertificates[1:] {
		options.Intermediates.AddCert(certificate)
	}
	if _, err := state.PeerCertificates[0].Verify(options); err != nil {
		return &tls.CertificateVerificationError{UnverifiedCertificates: state.PeerCertificates, Err: err}
	}
	return nil
}
