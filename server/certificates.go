package server

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"sync"
	"time"
)

// certificates serves what the TLS listener needs from files and reads them again
// when they change.
type certificates struct {
	certFile, keyFile string
	clientCAFile      string // empty: clients are asked for no certificate
	required          bool   // of clients
	log               *slog.Logger

	mu      sync.Mutex
	current *tls.Config
	checked time.Time
	version []time.Time // modification times of the files of current
}

// checkEvery bounds how often handshakes look at the files.
const checkEvery = time.Second

func newCertificates(cfg *Config, log *slog.Logger) (*certificates, error) {
	c := &certificates{
		certFile: cfg.TLSCert, keyFile: cfg.TLSKey, clientCAFile: cfg.TLSClientCA, required: cfg.TLSClientRequired, log: log,
	}
	if err := c.load(); err != nil {
		return nil, fmt.Errorf("load TLS certificate: %w", err)
	}
	return c, nil
}

// server returns the configuration of a listener.
func (c *certificates) server() *tls.Config {
	return &tls.Config{GetConfigForClient: c.get, NextProtos: protocols}
}

// protocols are without HTTP/2, which cannot carry a WebSocket upgrade of RFC 6455.
var protocols = []string{"http/1.1"}

func (c *certificates) load() error {
	files := []string{c.certFile, c.keyFile}
	if c.clientCAFile != "" {
		files = append(files, c.clientCAFile)
	}
	var version []time.Time
	for _, name := range files {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		version = append(version, info.ModTime())
	}
	if c.current != nil && slices.EqualFunc(version, c.version, time.Time.Equal) {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	next := &tls.Config{Certificates: []tls.Certificate{pair}, NextProtos: protocols}
	if c.clientCAFile != "" {
		if next.ClientCAs, err = authorities(c.clientCAFile); err != nil {
			return err
		}
		next.ClientAuth = tls.VerifyClientCertIfGiven
		if c.required {
			next.ClientAuth = tls.RequireAndVerifyClientCert
		}
		// Each connection proves who it is, to the authorities of now.
		next.SessionTicketsDisabled = true
	}
	c.current, c.version = next, version
	return nil
}

// authorities reads certificates that vouch for others.
func authorities(name string) (*x509.CertPool, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("%s: %w", name, errors.New("no certificate in PEM"))
	}
	return pool, nil
}

// get returns the current configuration. Files that do not load leave the old one
// in force.
func (c *certificates) get(*tls.ClientHelloInfo) (*tls.Config, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.checked) > checkEvery {
		c.checked = time.Now()
		if err := c.load(); err != nil {
			c.log.Warn("TLS certificate not reloaded; the old one stays in force", "error", err)
		}
	}
	return c.current, nil
}
