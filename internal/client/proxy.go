package client

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// dial opens a network connection.
func (c *Config) dial(ctx context.Context, address string) (net.Conn, error) {
	if c.DialContext != nil {
		return c.DialContext(ctx, "tcp", address)
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", address)
}

// open opens a byte stream to the server: through a proxy if there is one,
// under TLS if the server wants it. ctx bounds all of it, and nothing after.
func (c *Config) open(ctx context.Context) (net.Conn, error) {
	proxy, err := c.proxy()
	if err != nil {
		return nil, fmt.Errorf("find proxy: %w", err)
	}
	var nc net.Conn
	if proxy == nil {
		nc, err = c.dial(ctx, c.address())
	} else if nc, err = c.tunnel(ctx, proxy); err != nil {
		err = fmt.Errorf("proxy %s: %w", proxy.Host, err)
	}
	if err != nil || !c.Secure {
		return nc, err
	}
	return secure(ctx, nc, c.tlsConfig(), c.Host)
}

// secure puts TLS on nc, which it closes when that does not succeed.
func secure(ctx context.Context, nc net.Conn, t *tls.Config, host string) (net.Conn, error) {
	if t.ServerName == "" {
		t.ServerName = host
	}
	conn := tls.Client(nc, t)
	if err := conn.HandshakeContext(ctx); err != nil {
		nc.Close()
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return conn, nil
}

func (c *Config) proxy() (*url.URL, error) {
	if c.Proxy == nil {
		return nil, nil
	}
	return c.Proxy(&http.Request{Method: http.MethodConnect, URL: c.url("http", "https"), Header: http.Header{}})
}

// tunnel asks an HTTP proxy for a byte stream to the server (RFC 9110 section 9.3.6).
func (c *Config) tunnel(ctx context.Context, proxy *url.URL) (net.Conn, error) {
	port := proxy.Port()
	switch {
	case proxy.Scheme != "http" && proxy.Scheme != "https":
		return nil, fmt.Errorf("scheme %q is not supported for WebSocket: use an http or https proxy", proxy.Scheme)
	case port == "" && proxy.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	}
	nc, err := c.dial(ctx, net.JoinHostPort(proxy.Hostname(), port))
	if err != nil {
		return nil, err
	}
	if proxy.Scheme == "https" {
		t := c.TLS.Clone()
		if t == nil {
			t = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		t.ServerName = ""
		if nc, err = secure(ctx, nc, t, proxy.Hostname()); err != nil {
			return nil, err
		}
	}
	err = bounded(ctx, nc, func() error { return c.requestTunnel(nc, proxy) })
	if err != nil {
		nc.Close()
		return nil, err
	}
	return nc, nil
}

func (c *Config) requestTunnel(nc net.Conn, proxy *url.URL) error {
	q := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: c.address()},
		Host:   c.address(),
		Header: http.Header{},
	}
	if user := proxy.User; user != nil {
		password, _ := user.Password()
		secret := base64.StdEncoding.EncodeToString([]byte(user.Username() + ":" + password))
		q.Header.Set("Proxy-Authorization", "Basic "+secret)
	}
	if err := q.Write(nc); err != nil {
		return err
	}
	// The server speaks only after it was spoken to, so a byte at a time loses
	// nothing that follows the proxy's answer.
	res, err := http.ReadResponse(bufio.NewReaderSize(oneByte{nc}, 16), q)
	if err != nil {
		return err
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("CONNECT %s: HTTP status %s", c.address(), res.Status)
	}
	return nil
}

// oneByte reads single bytes, so that a buffered reader holds no more than it
// was asked for.
type oneByte struct{ r io.Reader }

func (o oneByte) Read(p []byte) (int, error) { return o.r.Read(p[:min(len(p), 1)]) }
