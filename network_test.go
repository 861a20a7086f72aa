package advect

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"advect.dev/internal/wire"
)

// startServer runs a scripted server on real sockets. It accepts every session,
// answers pings and ends sessions when asked to.
func startServer(t *testing.T, configure func(*httptest.Server)) *httptest.Server {
	t.Helper()
	n := &network{t: t, attempts: make(chan *attempt), peers: make(map[string]*peer)}
	server := httptest.NewUnstartedServer(n)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	configure(server)
	stop := make(chan struct{})
	t.Cleanup(func() {
		close(stop)
		server.CloseClientConnections()
		server.Close()
	})
	go func() {
		for {
			select {
			case a := <-n.attempts:
				p := a.code(wire.OK)
				go answerAll(p, stop)
			case <-stop:
				return
			}
		}
	}()
	return server
}

func answerAll(p *peer, stop chan struct{}) {
	defer p.cut()
	for {
		select {
		case b := <-p.in:
			m, err := wire.ParseMessage(b)
			switch {
			case err != nil:
				p.network.t.Error(err)
			case m.Type == wire.TypeCloseRequest:
				p.abort()
				if p.nc == nil {
					<-stop // the poll is still to be answered
				}
				return
			case m.Type == wire.TypeRequest:
				p.send(wire.AppendResponse(nil, m.Conversation))
			}
		case <-stop:
			return
		}
	}
}

// serverURL returns the URL of a server for a transport.
func serverURL(s *httptest.Server, transport Transport) string {
	u, _ := url.Parse(s.URL)
	return map[string]map[Transport]string{
		"http":  {WebSocket: "ws", HTTPPolling: "xhr"},
		"https": {WebSocket: "wss", HTTPPolling: "xhrs"},
	}[u.Scheme][transport] + "://" + u.Host
}

// use opens a session, pings and closes.
func use(t *testing.T, url string, opts ...Option) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	s, err := Open(ctx, url, opts...)
	if err != nil {
		return err
	}
	defer s.Close()
	_, err = s.PingServer(ctx)
	return err
}

func onSockets(t *testing.T, test func(*testing.T, Transport)) {
	for _, transport := range both {
		t.Run(transport.String(), func(t *testing.T) { test(t, transport) })
	}
}

func TestTLS(t *testing.T) {
	onSockets(t, func(t *testing.T, transport Transport) {
		server := startServer(t, func(s *httptest.Server) { s.StartTLS() })
		url := serverURL(server, transport)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())

		if err := use(t, url, WithTLSConfig(&tls.Config{RootCAs: roots})); err != nil {
			t.Error(err)
		}
		err := use(t, url)
		var unverified *tls.CertificateVerificationError
		var unknown x509.UnknownAuthorityError
		if !errors.Is(err, ErrConnection) || !errors.As(err, &unverified) || !errors.As(err, &unknown) {
			t.Errorf("unknown authority: %v", err)
		}
		err = use(t, strings.Replace(url, "127.0.0.1", "localhost", 1), WithTLSConfig(&tls.Config{RootCAs: roots}))
		if err != nil && !errors.As(err, new(x509.HostnameError)) {
			t.Errorf("another host name: %v", err)
		}
		if err := use(t, url, WithTLSConfig(&tls.Config{RootCAs: roots, ServerName: "nobody.test"})); !errors.As(err, new(x509.HostnameError)) {
			t.Errorf("another server name: %v", err)
		}
	})
}

func TestCertificateValidation(t *testing.T) {
	onSockets(t, func(t *testing.T, transport Transport) {
		server := startServer(t, func(s *httptest.Server) { s.StartTLS() })
		url := serverURL(server, transport)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		var mu sync.Mutex
		var seen error
		var chain []*x509.Certificate
		look := func(c []*x509.Certificate, verification error) error {
			mu.Lock() // polling has two connections
			defer mu.Unlock()
			chain, seen = c, verification
			return nil
		}
		use := func(t *testing.T, url string, opts ...Option) error {
			err := use(t, url, opts...)
			mu.Lock()
			defer mu.Unlock()
			return err
		}
		if err := use(t, url, WithCertificateValidation(look)); err != nil || !errors.As(seen, new(x509.UnknownAuthorityError)) ||
			!chain[0].Equal(server.Certificate()) {
			t.Errorf("accepted unknown authority: %v; was told %v", err, seen)
		}
		if err := use(t, url, WithCertificateValidation(look), WithTLSConfig(&tls.Config{RootCAs: roots})); err != nil || seen != nil {
			t.Errorf("good certificate: %v; was told %v", err, seen)
		}
		if err := use(t, url, WithCertificateValidation(look), WithTLSConfig(&tls.Config{RootCAs: roots, ServerName: "nobody.test"})); err != nil ||
			!errors.As(seen, new(x509.HostnameError)) {
			t.Errorf("accepted another name: %v; was told %v", err, seen)
		}
		no := errors.New("not this one")
		err := use(t, url, WithCertificateValidation(func([]*x509.Certificate, error) error { return no }), WithTLSConfig(&tls.Config{RootCAs: roots}))
		if !errors.Is(err, no) || !errors.Is(err, ErrConnection) {
			t.Errorf("refused certificate: %v", err)
		}
	})
}

func TestClientCertificate(t *testing.T) {
	onSockets(t, func(t *testing.T, transport Transport) {
		own := selfSigned(t)
		server := startServer(t, func(s *httptest.Server) {
			s.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert}
			s.StartTLS()
		})
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		url := serverURL(server, transport)
		if err := use(t, url, WithTLSConfig(&tls.Config{RootCAs: roots, Certificates: []tls.Certificate{own}})); err != nil {
			t.Error(err)
		}
		if err := use(t, url, WithTLSConfig(&tls.Config{RootCAs: roots})); !errors.Is(err, ErrConnection) {
			t.Errorf("without a certificate: %v", err)
		}
	})
}

func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "client"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// A proxy is a forwarding and tunnelling HTTP proxy with user and password.
type proxy struct {
	tunnels, forwards atomic.Int32
	refuse            bool
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if want := "Basic " + base64.StdEncoding.EncodeToString([]byte("ann:secret")); r.Header.Get("Proxy-Authorization") != want {
		w.WriteHeader(http.StatusProxyAuthRequired)
		return
	}
	if p.refuse {
		w.WriteHeader(http.StatusForbidden)
		return
	}
	if r.Method != http.MethodConnect {
		p.forwards.Add(1)
		r.RequestURI = ""
		res, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer res.Body.Close()
		for name, values := range res.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(res.StatusCode)
		io.Copy(w, res.Body)
		return
	}
	p.tunnels.Add(1)
	out, err := net.Dial("tcp", r.RequestURI)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	in, rw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	io.WriteString(in, "HTTP/1.1 200 OK\r\n\r\n")
	go func() {
		io.Copy(in, out)
		in.Close()
	}()
	io.Copy(out, rw)
	out.Close()
}

func TestProxy(t *testing.T) {
	defer http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	for _, secure := range []bool{false, true} {
		onSockets(t, func(t *testing.T, transport Transport) {
			server := startServer(t, func(s *httptest.Server) {
				if secure {
					s.StartTLS()
				} else {
					s.Start()
				}
			})
			p := new(proxy)
			front := httptest.NewServer(p)
			t.Cleanup(front.Close)
			address, _ := url.Parse(front.URL)
			address.User = url.UserPassword("ann", "secret")
			opts := []Option{WithHTTPProxy(http.ProxyURL(address))}
			if secure {
				roots := x509.NewCertPool()
				roots.AddCert(server.Certificate())
				opts = append(opts, WithTLSConfig(&tls.Config{RootCAs: roots}))
			}
			target := serverURL(server, transport)
			if err := use(t, target, opts...); err != nil {
				t.Error(err)
			}
			if transport == WebSocket && (p.tunnels.Load() != 1 || p.forwards.Load() != 0) || p.tunnels.Load()+p.forwards.Load() == 0 {
				t.Errorf("%d tunnels, %d forwarded requests", p.tunnels.Load(), p.forwards.Load())
			}
			address.User = url.UserPassword("ann", "wrong")
			err := use(t, target, opts...)
			if !errors.Is(err, ErrConnection) || !strings.Contains(err.Error(), "Proxy Authentication Required") || strings.Contains(err.Error(), "wrong") {
				t.Errorf("wrong proxy password: %v", err)
			}
			address.Scheme = "gopher"
			if err := use(t, target, opts...); !errors.Is(err, ErrConnection) {
				t.Errorf("strange proxy: %v", err)
			}
		})
	}
}

// A proxy that speaks TLS has a name of its own.
func TestSecureProxy(t *testing.T) {
	onSockets(t, func(t *testing.T, transport Transport) {
		server := startServer(t, func(s *httptest.Server) { s.StartTLS() })
		p := new(proxy)
		front := httptest.NewTLSServer(p)
		t.Cleanup(front.Close)
		roots := x509.NewCertPool()
		roots.AddCert(server.Certificate())
		roots.AddCert(front.Certificate())
		address, _ := url.Parse(front.URL)
		address.User = url.UserPassword("ann", "secret")
		if err := use(t, serverURL(server, transport), WithHTTPProxy(http.ProxyURL(address)), WithTLSConfig(&tls.Config{RootCAs: roots})); err != nil {
			t.Error(err)
		}
		if p.tunnels.Load() == 0 {
			t.Error("the proxy was not used")
		}
	})
}

func TestProxyFails(t *testing.T) {
	no := errors.New("no idea")
	err := use(t, "ws://127.0.0.1:1", WithHTTPProxy(func(*http.Request) (*url.URL, error) { return nil, no }))
	if !errors.Is(err, no) || !errors.Is(err, ErrConnection) {
		t.Error(err)
	}
	p := &proxy{refuse: true}
	front := httptest.NewServer(p)
	defer front.Close()
	address, _ := url.Parse(front.URL)
	address.User = url.UserPassword("ann", "secret")
	if err := use(t, "ws://127.0.0.1:1", WithHTTPProxy(http.ProxyURL(address))); !errors.Is(err, ErrConnection) || !strings.Contains(err.Error(), "403") {
		t.Error(err)
	}
}

// A redirect is not followed: credentials stay where they were sent.
func TestRedirect(t *testing.T) {
	onSockets(t, func(t *testing.T, transport Transport) {
		server := httptest.NewServer(http.RedirectHandler("/elsewhere", http.StatusTemporaryRedirect))
		defer server.Close()
		if err := use(t, serverURL(server, transport)); !errors.Is(err, ErrConnection) || !strings.Contains(err.Error(), "307") {
			t.Error(err)
		}
	})
}

func TestRefusedSocket(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := l.Addr().String()
	l.Close()
	for _, url := range []string{"ws://" + address, "xhr://" + address} {
		err := use(t, url)
		var op *net.OpError
		if !errors.Is(err, ErrConnection) || !errors.Is(err, ErrTransient) || !errors.As(err, &op) {
			t.Errorf("%s: %v", url, err)
		}
	}
}

// A server that sends its response and first messages in one segment with the
// upgrade loses nothing.
func TestEarlyMessages(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		nc, err := l.Accept()
		if err != nil {
			return
		}
		defer nc.Close()
		var out strings.Builder
		rw := struct {
			io.Reader
			io.Writer
		}{bufio.NewReader(nc), &out}
		if _, err := (ws.Upgrader{}).Upgrade(rw); err != nil {
			t.Error(err)
			return
		}
		ws.WriteFrame(&out, ws.NewBinaryFrame(wire.AppendConnectResponse(nil, response(wire.OK))))
		for n := range 300 {
			ws.WriteFrame(&out, ws.NewBinaryFrame(wire.AppendRequest(nil, 56, int64(n+1))))
		}
		io.WriteString(nc, out.String())
		for want := int64(1); want <= 300; want++ {
			_, payload, err := readFrame(nc)
			if err != nil {
				t.Error(err)
				return
			}
			if m, err := wire.ParseMessage(payload); err != nil || m.Conversation != want {
				t.Errorf("answer %+v %v, want to %d", m, err, want)
			}
		}
		ws.WriteFrame(nc, ws.NewBinaryFrame([]byte{byte(wire.TypeAbort)}))
	}()
	s, err := Open(t.Context(), "ws://"+l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	<-s.Done()
	if !errors.Is(s.Err(), ErrClosedByServer) {
		t.Error(s.Err())
	}
	s.Close()
}

// TestDependencyClosure keeps the SDK small: it is linked into other programs.
func TestDependencyClosure(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "-f", "{{if not .Standard}}{{.ImportPath}}{{end}}", ".").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	allowed := []string{
		"advect.dev", "advect.dev/datatype", "advect.dev/internal/client", "advect.dev/internal/delta", "advect.dev/internal/selector",
		"advect.dev/internal/selector/javaregexp", "advect.dev/internal/service", "advect.dev/internal/topic", "advect.dev/internal/wire",
	}
	modules := []string{"github.com/gobwas/", "github.com/klauspost/compress/", "github.com/dlclark/regexp2/"}
next:
	for path := range strings.FieldsSeq(string(out)) {
		for _, a := range allowed {
			if path == a {
				continue next
			}
		}
		for _, m := range modules {
			if strings.HasPrefix(path, m) {
				continue next
			}
		}
		t.Errorf("package advect has come to depend on %s", path)
	}
}

func BenchmarkPing(b *testing.B) {
	for _, transport := range both {
		b.Run(fmt.Sprint(transport), func(b *testing.B) {
			n := &network{t: b, attempts: make(chan *attempt), peers: make(map[string]*peer)}
			server := httptest.NewServer(n)
			defer server.Close()
			stop := make(chan struct{})
			defer close(stop)
			go func() { answerAll((<-n.attempts).code(wire.OK), stop) }()
			s, err := Open(b.Context(), serverURL(server, transport))
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := s.PingServer(context.Background()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
