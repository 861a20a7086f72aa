package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"advect.dev/internal/wire"
	"advect.dev/server"
)

// writeCertificate writes a self-signed pair of a serial number.
func writeCertificate(t *testing.T, certFile, keyFile string, serial int64) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "advect test"},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	cert, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		// Whatever the resolution of the file system, the pair is newer.
		at := time.Now().Add(time.Duration(serial) * time.Minute)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	srv := start(t, func(c *server.Config) {
		c.TLSListen, c.TLSCert, c.TLSKey = "127.0.0.1:0", certFile, keyFile
	})
	urls := srv.URLs()
	if len(urls) != 2 || !strings.HasPrefix(urls[0], "ws://127.0.0.1:") || !strings.HasPrefix(urls[1], "wss://127.0.0.1:") {
		t.Fatalf("URLs %q", urls)
	}
	u, _ := url.Parse(urls[1])
	trusting := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2", "http/1.1"}}
	overTLS := kind{"WebSocket with TLS", func(t testing.TB, _ string, p params) (link, []byte, error) {
		nc := tls.Client(dial(t, u.Host), trusting)
		if err := nc.Handshake(); err != nil {
			return nil, nil, err
		}
		return upgradeOn(nc, p)
	}}
	serial := func() int64 {
		nc := tls.Client(dial(t, u.Host), trusting)
		defer nc.Close()
		if err := nc.Handshake(); err != nil {
			t.Fatalf("handshake: %v", err)
		}
		if got := nc.ConnectionState().NegotiatedProtocol; got != "http/1.1" {
			t.Errorf("negotiated %q, want http/1.1", got)
		}
		return nc.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}

	s := connect(t, srv, overTLS, recoverable().as("admin"))
	s.must(add("a"))
	s.call(subscribe("a"))
	for i := range 20 { // several messages in one write
		s.write(set("a", value(i, 5000))(nil, s.nextConversation()))
	}
	for i := range 20 {
		if got, want := s.next()[6:], "a "+value(i, 5000); got != want {
			t.Fatalf("update %d: %.40q", i, got)
		}
		s.next() // the response
	}
	if got := serial(); got != 1 {
		t.Errorf("certificate %d, want 1", got)
	}

	// The files change; connections stay.
	writeCertificate(t, certFile, keyFile, 2)
	await(t, "the new certificate", func() bool { return serial() == 2 })
	s.ping()

	// Files that do not load leave the old pair in force.
	if err := os.WriteFile(certFile, []byte("broken"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := serial(); got != 2 {
		t.Errorf("certificate %d, want 2", got)
	}
	writeCertificate(t, certFile, keyFile, 3)
	await(t, "the third certificate", func() bool { return serial() == 3 })

	// A session may move between listeners.
	s.drop()
	s.again(overWebSocket, wire.Reconnected)
	s.drop()
	s.again(overTLS, wire.Reconnected)
	s.ping()

	// Not TLS, or half of it.
	nc := dial(t, u.Host)
	fmt.Fprint(nc, "GET /healthz HTTP/1.1\r\nHost: advect\r\n\r\n")
	if b, err := io.ReadAll(nc); isTimeout(err) || strings.Contains(string(b), "200") {
		t.Errorf("plain HTTP to the TLS listener: %q, %v", b, err)
	}
	s.ping()
}

func TestHalfTLSHandshake(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	writeCertificate(t, certFile, keyFile, 1)
	srv := start(t, func(c *server.Config) {
		c.TLSListen, c.TLSCert, c.TLSKey = "127.0.0.1:0", certFile, keyFile
		c.HandshakeTimeout = 100 * time.Millisecond
		c.MaxHandshakes = 2
	})
	u, _ := url.Parse(srv.URLs()[1])
	var half []net.Conn
	for range 6 { // also over the limit
		nc := dial(t, u.Host)
		_, _ = nc.Write(unhex("16 03 01 02 00 01 00 01 fc 03 03"))
		half = append(half, nc)
	}
	for _, nc := range half {
		if _, err := io.Copy(io.Discard, nc); isTimeout(err) {
			t.Error("half a TLS handshake is still open")
		}
	}
}

func TestTLSFilesMissing(t *testing.T) {
	cfg := server.DefaultConfig()
	cfg.Listen = []string{"127.0.0.1:0"}
	cfg.TLSListen, cfg.TLSCert, cfg.TLSKey = "127.0.0.1:0", "/does/not/exist", "/does/not/exist"
	if srv, err := server.Start(cfg); err == nil {
		srv.Close()
		t.Error("started without certificate")
	} else if !errors.Is(err, os.ErrNotExist) {
		t.Errorf("error %v does not say that the file is missing", err)
	}
}

// TestShutdown checks that every session is told, after what was queued for it.
func TestShutdown(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	admin := connect(t, srv, overWebSocket, recoverable().as("admin"))
	admin.must(add("a"))
	away := connect(t, srv, overWebSocket, recoverable())
	away.drop()
	var sessions []*peer
	for _, k := range bothKinds {
		s := connect(t, srv, k, recoverable())
		s.call(subscribe("a"))
		sessions = append(sessions, s)
	}
	// A polling client learns of the end by the poll that it has open.
	_, c := polling(t, srv, recoverable())
	held := heldPoll(t, c)

	for i := range 10 {
		admin.must(set("a", fmt.Sprint("value ", i)))
	}
	begun := time.Now()
	var all sync.WaitGroup
	for range 3 { // idempotent, also at the same time
		all.Go(func() {
			if err := srv.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		})
	}
	for i := range 10 {
		if words := sessions[0].next(); words[6:] != fmt.Sprintf("a value %d", i) {
			t.Fatalf("update %d: %q", i, words)
		}
	}
	sessions[0].expectEnd()
	admin.expectEnd()
	if body, err := held(); body != "AAAAABw=" || err != nil {
		t.Errorf("the open poll was answered %q, %v, want AAAAABw=", body, err)
	}
	for _, s := range []*peer{sessions[0], admin} {
		s.drop()
	}
	all.Wait()
	if took := time.Since(begun); took > 3*time.Second {
		t.Errorf("shutdown took %v", took)
	}
	if n := srv.Sessions(); n != 0 {
		t.Errorf("%d sessions after shutdown", n)
	}
	if nc, err := net.Dial("tcp", hostOf(srv)); err == nil {
		nc.Close()
		t.Error("the listener is still open")
	}
	if err := srv.Shutdown(context.Background()); err != nil {
		t.Errorf("another shutdown: %v", err)
	}
}

// TestShutdownOfTheUnwilling has clients that do not close, do not read, or
// have not even begun.
func TestShutdownOfTheUnwilling(t *testing.T) {
	for name, client := range map[string]func(*testing.T, *server.Server){
		"does not close": func(t *testing.T, srv *server.Server) {
			connect(t, srv, overWebSocket, recoverable())
		},
		"half a handshake": func(t *testing.T, srv *server.Server) {
			_, _ = io.WriteString(dial(t, hostOf(srv)), "GET /diffusion")
		},
		"nothing yet": func(t *testing.T, srv *server.Server) {
			dial(t, hostOf(srv))
		},
		"idle after an answer": func(t *testing.T, srv *server.Server) {
			nc := dial(t, hostOf(srv))
			fmt.Fprint(nc, "GET /healthz HTTP/1.1\r\nHost: advect\r\n\r\n")
			if _, err := http.ReadResponse(newReader(nc), nil); err != nil {
				t.Fatal(err)
			}
		},
		"half a body": func(t *testing.T, srv *server.Server) {
			s := connect(t, srv, overPolling, recoverable())
			fmt.Fprintf(dial(t, hostOf(srv)), "POST /diffusion HTTP/1.1\r\nHost: advect\r\nm: 2\r\nc: %s\r\ns: 0\r\nContent-Length: 10\r\n\r\nA", s.token)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, func(c *server.Config) {
				if name == "half a body" { // only then is it waited for
					c.HandshakeTimeout = time.Second
				}
			})
			client(t, srv)
			other := connect(t, srv, overWebSocket, anonymous()) // so that the server has seen the client
			other.ping()
			begun := time.Now()
			if err := srv.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
			if took := time.Since(begun); took > 3*time.Second {
				t.Errorf("shutdown took %v", took)
			}
		})
	}
}

func TestStockPasswordsStayHome(t *testing.T) {
	for _, address := range []string{"0.0.0.0:0", ":0", "[::]:0", "192.0.2.1:0", "example.com:0"} {
		for _, overTLS := range []bool{false, true} {
			cfg := server.DefaultConfig()
			cfg.Listen = []string{"127.0.0.1:0"}
			if overTLS {
				cfg.TLSListen, cfg.TLSCert, cfg.TLSKey = address, "cert", "key"
			} else {
				cfg.Listen = append(cfg.Listen, address)
			}
			srv, err := server.Start(cfg)
			if err == nil {
				srv.Close()
			}
			if !errors.Is(err, server.ErrStockPasswords) {
				t.Errorf("listening on %s (TLS: %v): %v, want %v", address, overTLS, err, server.ErrStockPasswords)
				continue
			}
			for _, advice := range []string{address, "admin", "control", "advect passwd", "allow-stock-passwords"} {
				if !strings.Contains(err.Error(), advice) {
					t.Errorf("error %q does not mention %s", err, advice)
				}
			}
		}
	}
	start(t, func(c *server.Config) { c.Listen = []string{"localhost:0"} })
	srv := start(t, func(c *server.Config) {
		c.Listen = []string{"0.0.0.0:0"}
		c.AllowStockPasswords = true
	})
	if srv.URL() == "" {
		t.Error("no URL")
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	for path, want := range map[string]string{
		"/healthz": "ok\n",
		"/readyz":  "ready\n",
		"/":        "This is an Advect server. SDKs connect to the path /diffusion of this address.\n",
	} {
		nc := dial(t, hostOf(srv))
		fmt.Fprintf(nc, "GET %s HTTP/1.1\r\nHost: advect\r\nConnection: close\r\n\r\n", path)
		res, err := http.ReadResponse(newReader(nc), nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		if err != nil || res.StatusCode != http.StatusOK || string(body) != want {
			t.Errorf("%s: %s %q, %v, want %q", path, res.Status, body, err, want)
		}
		if res := answer(t, srv, "DELETE "+path+" HTTP/1.1\r\nHost: advect\r\n\r\n"); res == nil || res.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("DELETE %s: %v", path, res)
		}
	}
}

// TestStartFails checks that an error of Start leaves nothing open.
func TestStartFails(t *testing.T) {
	first := start(t, nil)
	cfg := server.DefaultConfig()
	cfg.Listen = []string{"127.0.0.1:0", hostOf(first)}
	if srv, err := server.Start(cfg); err == nil {
		srv.Close()
		t.Error("started on a port that is in use")
	}
	for name, change := range map[string]func(*server.Config){
		"listen":            func(c *server.Config) { c.Listen = nil },
		"ping-period":       func(c *server.Config) { c.PingPeriod = -1 },
		"queue-messages":    func(c *server.Config) { c.QueueMessages = 0 },
		"handshake-timeout": func(c *server.Config) { c.HandshakeTimeout = 0 },
		"max-message-size":  func(c *server.Config) { c.MaxMessageSize = 10 },
		"tls-listen":        func(c *server.Config) { c.TLSListen = "127.0.0.1:0" },
		"tls-cert":          func(c *server.Config) { c.TLSCert = "cert.pem" },
		"max-sessions":      func(c *server.Config) { c.MaxSessions = -1 },
	} {
		cfg := server.DefaultConfig()
		change(&cfg)
		if srv, err := server.Start(cfg); err == nil {
			srv.Close()
			t.Errorf("%s: started", name)
		} else if !strings.Contains(err.Error(), name) {
			t.Errorf("error %q does not name %s", err, name)
		}
	}
}

// TestShutdownWhileConnecting shuts down in a storm of new connections: each is
// refused or told, and none is left.
func TestShutdownWhileConnecting(t *testing.T) {
	t.Parallel()
	srv := start(t, nil)
	var all sync.WaitGroup
	var connected atomic.Int32
	for i := range 8 {
		k := bothKinds[i%2]
		all.Go(func() {
			for {
				l, response, err := tryOpen(t, k, hostOf(srv), recoverable())
				if err != nil {
					return // the listener is closed, or the server says 503
				}
				if len(response) == wire.RejectionLen && response[2] != byte(wire.ServerInitialising) {
					t.Errorf("response %x", response)
				}
				if len(response) == wire.ResponseLen {
					connected.Add(1)
				}
				if connected.Load()%3 == 0 {
					l.drop()
				}
			}
		})
	}
	await(t, "connections", func() bool { return connected.Load() > 20 })
	if err := srv.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	if n := srv.Sessions(); n != 0 {
		t.Errorf("%d sessions after shutdown", n)
	}
	all.Wait()
}

// tryOpen is k.open for a server that may be gone.
func tryOpen(t *testing.T, k kind, host string, p params) (link, []byte, error) {
	if k.name == overWebSocket.name {
		nc, err := net.Dial("tcp", host)
		if err != nil {
			return nil, nil, err
		}
		t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(deadline))
		return upgradeOn(nc, p)
	}
	return k.open(t, host, p)
}
