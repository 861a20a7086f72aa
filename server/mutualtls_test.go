package server_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"advect.dev"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// An authority issues client certificates.
type authority struct {
	t           testing.TB
	key         *ecdsa.PrivateKey
	certificate *x509.Certificate
	file        string
	server      string // certificate and key of the server, without their endings
	serial      int64
}

func newAuthority(t testing.TB, dir string) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t), file: filepath.Join(dir, "ca.pem"), server: filepath.Join(dir, "server")}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.certificate, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// configure makes a TLS listener that accepts the certificates.
func (a *authority) configure(c *server.Config) {
	if t, ok := a.t.(*testing.T); ok {
		writeCertificate(t, a.server+".crt", a.server+".key", 1)
	}
	c.TLSListen, c.TLSCert, c.TLSKey, c.TLSClientCA = "127.0.0.1:0", a.server+".crt", a.server+".key", a.file
}

// issue returns a certificate of a common name, changed by changes.
func (a *authority) issue(name string, changes ...func(*x509.Certificate)) *tls.Certificate {
	a.t.Helper()
	a.serial++
	key := newKey(a.t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(a.serial), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
	}
	for _, change := range changes {
		change(template)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.certificate, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// over connects by WebSocket to the TLS listener with a certificate, or none.
func (a *authority) over(srv *server.Server, certificate *tls.Certificate) kind {
	u, _ := url.Parse(srv.URLs()[1])
	cfg := &tls.Config{InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1)}
	if certificate != nil {
		// Also if the authority is not among those that the server asks for.
		cfg.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return certificate, nil }
	}
	return kind{"WebSocket with a certificate", func(t testing.TB, _ string, p params) (link, []byte, error) {
		nc := tls.Client(dial(t, u.Host), cfg)
		if err := nc.Handshake(); err != nil {
			return nil, nil, err
		}
		return upgradeOn(nc, p)
	}}
}

// rejected reports whether a connection fails before anything is said of a session.
func rejected(t testing.TB, k kind, p params) bool {
	t.Helper()
	l, _, err := k.open(t, "", p)
	if err == nil {
		l.drop()
	}
	return err != nil
}

// TestClientCertificates checks whom a certificate stands for: the principal of its
// name, if the client gives no credentials, and never another.
func TestClientCertificates(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, func(c *server.Config) { a.configure(c); c.PasswordThrottle = false })
	named := anonymous().with("username", "admin")
	two := func(c *x509.Certificate) {
		c.Subject = pkix.Name{ExtraNames: []pkix.AttributeTypeAndValue{
			{Type: []int{2, 5, 4, 3}, Value: "client"}, {Type: []int{2, 5, 4, 3}, Value: "admin"}}}
	}
	none := func(c *x509.Certificate) {
		c.Subject = pkix.Name{Organization: []string{"admin"}}
		c.DNSNames = []string{"admin"}
	}
	for name, c := range map[string]struct {
		certificate *tls.Certificate
		p           params
		want        string
	}{
		"names nobody":                       {a.issue("admin"), anonymous(), "admin ADMINISTRATOR"},
		"names itself":                       {a.issue("admin"), named, "admin ADMINISTRATOR"},
		"names itself, empty password":       {a.issue("admin"), anonymous().proving("admin", ""), "admin ADMINISTRATOR"},
		"names itself, right password":       {a.issue("admin"), anonymous().as("admin"), "admin ADMINISTRATOR"},
		"names itself, wrong password":       {a.issue("admin"), anonymous().proving("admin", "guess"), ""},
		"names another":                      {a.issue("client"), named, ""},
		"names another, empty password":      {a.issue("client"), anonymous().proving("admin", ""), ""},
		"names another, wrong password":      {a.issue("client"), anonymous().proving("admin", "guess"), ""},
		"names another, right password":      {a.issue("client"), anonymous().as("admin"), "admin ADMINISTRATOR"},
		"in other letters":                   {a.issue("Admin"), named, ""},
		"with a space":                       {a.issue("admin "), named, ""},
		"not in the store":                   {a.issue("bob"), anonymous(), ""},
		"two names":                          {a.issue("", two), named, ""},
		"two names, names nobody":            {a.issue("", two), anonymous(), " CLIENT"},
		"name in other parts of certificate": {a.issue("", none), named, ""},
		"no certificate":                     {nil, named, ""},
		"no certificate, anonymous":          {nil, anonymous(), " CLIENT"},
		"no certificate, password":           {nil, anonymous().as("admin"), "admin ADMINISTRATOR"},
	} {
		k := a.over(srv, c.certificate)
		for range 2 { // the second time it could be resumed
			if got := admitted(t, srv, k, c.p); got != c.want {
				t.Errorf("%s: admitted as %q, want %q", name, got, c.want)
			}
		}
	}
	// The plain listener knows of no certificate.
	if got := admitted(t, srv, overWebSocket, named); got != "" {
		t.Errorf("over the plain listener: admitted as %q", got)
	}
	// What is not vouched for does not even get to ask.
	stranger := newAuthority(t, t.TempDir())
	expired := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }
	ofServers := func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} }
	for name, certificate := range map[string]*tls.Certificate{
		"another authority": stranger.issue("admin"), "expired": a.issue("admin", expired), "for servers": a.issue("admin", ofServers),
	} {
		if !rejected(t, a.over(srv, certificate), anonymous()) {
			t.Errorf("%s: a connection is accepted", name)
		}
	}
}

// TestCertificateChangesNobodyElse: a session whose connection has a certificate may
// go on as the principal of it, and as no other without its password.
func TestCertificateChangesNobodyElse(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, a.configure)
	s := connect(t, srv, a.over(srv, a.issue("client")), anonymous())
	become := func(principal, password string) {
		t.Helper()
		s.must(func(b []byte, cid int64) []byte {
			r := service.PrincipalRequest{Principal: principal}
			if password != "" {
				r.Credentials = wire.Password(password)
			}
			return service.ChangePrincipal.AppendRequest(b, cid, r)
		})
	}
	for _, c := range []struct{ principal, password, now string }{
		{"admin", "", "client"}, {"admin", "guess", "client"}, {"admin", "password", "admin"},
		{"control", "", "admin"}, {"client", "", "client"}, {"", "", "client"},
	} {
		become(c.principal, c.password)
		if now := s.properties()["$Principal"]; now != c.now {
			t.Errorf("as %q with %q it goes on as %q, want %q", c.principal, c.password, now, c.now)
		}
	}
}

// TestCertificateExpires: a session lasts no longer than what it was admitted by.
func TestCertificateExpires(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, a.configure)
	soon := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * time.Second) }
	s := connect(t, srv, a.over(srv, a.issue("admin", soon)), anonymous())
	s.expectEnd()
}

// TestCertificateOfABrowser: pages of others cannot use the certificate of the user.
func TestCertificateOfABrowser(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, a.configure)
	u, _ := url.Parse(srv.URLs()[1])
	for origin, want := range map[string]string{
		"https://" + u.Host: "admin", "https://evil.example": "", "https://evil.example:" + u.Port(): "", "https://127.0.0.1": "", "null": "", "%": "",
	} {
		certificate := a.issue("admin")
		nc := tls.Client(dial(t, u.Host), &tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*certificate}})
		c := &webSocket{nc, newReader(nc)}
		fmt.Fprintf(nc, "GET /diffusion?%s HTTP/1.1\r\nOrigin: %s\r\n%s\r\n", anonymous().query(), origin, strings.Replace(upgradeHeaders, "Host: advect", "Host: "+u.Host, 1))
		if res, err := http.ReadResponse(c.r, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("%s: %v, %v", origin, res, err)
		}
		if response, err := c.receive(); err != nil || len(response) != wire.ResponseLen {
			t.Fatalf("%s: response %x, %v", origin, response, err)
		}
		s := &peer{t: t, link: c, request: anonymous()}
		if got := s.properties()["$Principal"]; got != want {
			t.Errorf("a page of %s is %q, want %q", origin, got, want)
		}
	}
}

func TestClientCertificatesRequired(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, func(c *server.Config) { a.configure(c); c.TLSClientRequired = true })
	if !rejected(t, a.over(srv, nil), anonymous().as("admin")) {
		t.Error("a connection without a certificate is accepted")
	}
	if got := admitted(t, srv, a.over(srv, a.issue("client")), anonymous()); got != "client CLIENT" {
		t.Errorf("admitted as %q", got)
	}
	// Another authority takes over.
	next := newAuthority(t, t.TempDir())
	write(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: next.certificate.Raw}))
	newer(t, a.file)
	await(t, "the new authority", func() bool { return !rejected(t, a.over(srv, next.issue("client")), anonymous()) })
	if !rejected(t, a.over(srv, a.issue("client")), anonymous()) {
		t.Error("the authority before is still trusted")
	}
}

// TestCertificateOfAProgram connects with the SDK, over both transports.
func TestCertificateOfAProgram(t *testing.T) {
	t.Parallel()
	a := newAuthority(t, t.TempDir())
	srv := start(t, a.configure)
	for _, transport := range []advect.Transport{advect.WebSocket, advect.HTTPPolling} {
		session, err := advect.Open(t.Context(), srv.URLs()[1], advect.WithTransports(transport),
			advect.WithTLSConfig(&tls.Config{InsecureSkipVerify: true, Certificates: []tls.Certificate{*a.issue("control")}}))
		if err != nil {
			t.Fatalf("%v: %v", transport, err)
		}
		own, err := session.Properties(t.Context())
		if err != nil || own["$Principal"] != "control" {
			t.Errorf("%v: %v, %v", transport, own, err)
		}
		session.Close()
	}
}
