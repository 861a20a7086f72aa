package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"syscall"
	"time"

	"advect.dev"
)

// connection is how a client command reaches a server.
type connection struct {
	URL           string   `group:"Connection" default:"ws://localhost:8080" env:"ADVECT_URL" placeholder:"URL" help:"The server: ws, wss (WebSocket), xhr or xhrs (HTTP polling)://HOST[:PORT][/PATH]."`
	Principal     string   `group:"Connection" env:"ADVECT_PRINCIPAL" placeholder:"NAME" help:"Who connects; empty is anonymous."`
	Password      string   `group:"Connection" env:"ADVECT_PASSWORD" placeholder:"TEXT" help:"Password of the principal. Other users of the machine can see the command line: rather use the environment, or --password-stdin."`
	PasswordStdin bool     `group:"Connection" help:"Read the password from standard input, one line."`
	Transport     []string `group:"Connection" enum:"ws,xhr" placeholder:"ws|xhr" help:"Transports to try in this order, instead of that of the URL."`
	Timeout       duration `group:"Connection" default:"10s" placeholder:"DURATION" help:"Limit of connecting, and of a request."`
	Insecure      bool     `group:"Connection" help:"Do not check the certificate of the server. Anybody on the way can then read and change everything: only for tests."`
}

// errInterrupted ends a command that a signal stopped before it was done.
var errInterrupted = errors.New("interrupted")

// with opens a session, does something with it, and closes it. The context of
// do ends with the first SIGINT or SIGTERM; a second one ends the process. A
// session that closes by itself ends do by the errors of its calls.
func (c *connection) with(std *streams, do func(ctx context.Context, session *advect.Session) error, opts ...advect.Option) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop)
	session, err := c.open(ctx, std, opts)
	if err == nil {
		defer session.Close()
		err = do(ctx, session)
	}
	if err != nil && ctx.Err() != nil {
		return errInterrupted
	}
	return c.adviseClient(err)
}

func (c *connection) open(ctx context.Context, std *streams, opts []advect.Option) (*advect.Session, error) {
	target, common, err := c.options(std)
	if err != nil {
		return nil, err
	}
	return advect.Open(ctx, target, append(common, opts...)...)
}

// options returns what to give to [advect.Open]. It may read standard input.
func (c *connection) options(std *streams) (target string, opts []advect.Option, err error) {
	target, where, err := c.target()
	if err != nil {
		return "", nil, &usageError{err}
	}
	who, err := c.credentials(std)
	if err != nil {
		return "", nil, err
	}
	opts = append(append(where, who...), advect.WithConnectionTimeout(time.Duration(c.Timeout)))
	if c.Insecure {
		fmt.Fprintln(std.err, "advect: warning: the certificate of the server is not checked (--insecure)")
		opts = append(opts, advect.WithTLSConfig(&tls.Config{InsecureSkipVerify: true}))
	}
	return target, opts, nil
}

// target returns the URL to open or, when transports are named, no URL but the
// options that say the same.
func (c *connection) target() (string, []advect.Option, error) {
	if len(c.Transport) == 0 {
		return c.URL, nil, nil
	}
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" {
		return "", nil, fmt.Errorf("--url %q is not SCHEME://HOST[:PORT][/PATH]", c.URL)
	}
	var list []advect.Transport
	for _, name := range c.Transport {
		list = append(list, map[string]advect.Transport{"ws": advect.WebSocket, "xhr": advect.HTTPPolling}[name])
	}
	opts := []advect.Option{
		advect.WithHost(u.Host), advect.WithSecure(u.Scheme == "wss" || u.Scheme == "xhrs"), advect.WithTransports(list...),
	}
	if u.Path != "" {
		opts = append(opts, advect.WithPath(u.EscapedPath()))
	}
	return "", opts, nil
}

func (c *connection) credentials(std *streams) ([]advect.Option, error) {
	password := c.Password
	if c.PasswordStdin {
		line, err := readLine(std.in)
		if err != nil {
			return nil, err
		}
		password = string(line)
	}
	switch {
	case c.Principal == "" && password == "":
		return nil, nil
	case c.Principal == "":
		return nil, &usageError{errors.New("a password without a principal. Try: --principal NAME")}
	}
	return []advect.Option{advect.WithPrincipal(c.Principal), advect.WithPassword(password)}, nil
}

// request returns the context of one request.
func (c *connection) request(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, time.Duration(c.Timeout), fmt.Errorf("no answer within %s (--timeout)", c.Timeout))
}

// adviseClient adds what to do to an error of a client command.
func (c *connection) adviseClient(err error) error {
	try := ""
	var certificate *tls.CertificateVerificationError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, advect.ErrInvalidSelector), errors.Is(err, advect.ErrInvalidFilter):
		return &usageError{err}
	case errors.Is(err, syscall.ECONNREFUSED):
		try = "start a server with `advect serve`, or name another with --url"
	case errors.Is(err, advect.ErrAccessDenied):
		try = "check --principal and the password"
	case errors.Is(err, advect.ErrPermissionDenied) && c.Principal == "":
		try = "connect as a principal that may, with --principal"
	case errors.Is(err, advect.ErrPermissionDenied):
		try = "another --principal, one that may"
	case errors.As(err, &certificate):
		try = "the name that is in the certificate, a certificate that this machine trusts, or --insecure for tests"
	default:
		return err
	}
	return fmt.Errorf("%w. Try: %s", err, try)
}
