package advect_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"time"

	"advect.dev"
	"advect.dev/server"
)

// exampleServer starts the server of an example; in a program it runs elsewhere,
// and its URL is one such as "ws://localhost:8080".
func exampleServer() (serverURL string, stop func()) {
	config := server.DefaultConfig()
	config.Listen = []string{"127.0.0.1:0"}
	config.Logger = slog.New(slog.DiscardHandler)
	srv, err := server.Start(config)
	if err != nil {
		log.Fatal(err)
	}
	return srv.URL(), func() { srv.Close() }
}

// exampleAddress is exampleServer for examples that name host and port.
func exampleAddress() (host string, port int, stop func()) {
	serverURL, stop := exampleServer()
	u, err := url.Parse(serverURL)
	if err != nil {
		log.Fatal(err)
	}
	host, number, _ := net.SplitHostPort(u.Host)
	port, _ = strconv.Atoi(number)
	return host, port, stop
}

// One URL names the transport, whether it is secure, the host and the port.
// Without a port it is 80, or 443 for a secure connection.
func ExampleOpen() {
	serverURL, stop := exampleServer()
	defer stop()
	ctx := context.Background()

	session, err := advect.Open(ctx, serverURL, // such as "ws://localhost:8080"
		advect.WithPrincipal("client"),
		advect.WithPassword("password"))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State(), session.Principal())
	// Output: CONNECTED_ACTIVE client
}

// Each parameter of a connection can be given by itself.
func ExampleOpen_parameters() {
	host, port, stop := exampleAddress()
	defer stop()
	ctx := context.Background()

	session, err := advect.Open(ctx, "",
		advect.WithPrincipal("client"),
		advect.WithPassword("password"),
		advect.WithTransports(advect.WebSocket),
		advect.WithSecure(false),
		advect.WithHost(host),
		advect.WithPort(port))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// Without a principal a session is anonymous.
func ExampleOpen_anonymous() {
	serverURL, stop := exampleServer()
	defer stop()

	session, err := advect.Open(context.Background(), serverURL)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Printf("%v %q\n", session.State(), session.Principal())
	// Output: CONNECTED_ACTIVE ""
}

// The context bounds the opening, not the session.
func ExampleOpen_deadline() {
	serverURL, stop := exampleServer()
	defer stop()

	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	session, err := advect.Open(ctx, serverURL)
	cancel()
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// Errors say what went wrong, and whether trying again can help.
func ExampleOpen_errors() {
	serverURL, stop := exampleServer()
	defer stop()

	_, err := advect.Open(context.Background(), serverURL,
		advect.WithPrincipal("client"), advect.WithPassword("a wrong one"))
	fmt.Println(errors.Is(err, advect.ErrAccessDenied), errors.Is(err, advect.ErrPermanent))

	_, err = advect.Open(context.Background(), "ws://127.0.0.1:1")
	fmt.Println(errors.Is(err, advect.ErrConnection), errors.Is(err, advect.ErrTransient))
	var network *net.OpError
	if errors.As(err, &network) {
		fmt.Println("could not", network.Op)
	}
	// Output:
	// true true
	// true true
	// could not dial
}

// An opening that fails is tried again 5 times, with 100 milliseconds between
// the attempts.
func ExampleWithRetry() {
	serverURL, stop := exampleServer()
	defer stop()

	session, err := advect.Open(context.Background(), serverURL,
		advect.WithPrincipal("admin"),
		advect.WithPassword("password"),
		advect.WithRetry(advect.RetryStrategy{Interval: 100 * time.Millisecond, Attempts: 5}))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// A function can decide about each retry.
func ExampleWithRetryFunc() {
	_, err := advect.Open(context.Background(), "ws://127.0.0.1:1",
		advect.WithRetryFunc(func(attempt int, err error) (time.Duration, bool) {
			fmt.Println("attempt", attempt, "failed:", errors.Is(err, advect.ErrConnection))
			return time.Duration(attempt) * time.Millisecond, attempt < 3
		}))
	fmt.Println(err != nil)
	// Output:
	// attempt 1 failed: true
	// attempt 2 failed: true
	// attempt 3 failed: true
	// true
}

// WebSocket is tried first, and HTTP polling if it cannot be used. Here something
// on the way lets no WebSocket through.
func ExampleWithTransports() {
	host, port, stop := exampleAddress()
	defer stop()
	host, port, stopFront := withoutWebSocket(host, port)
	defer stopFront()

	session, err := advect.Open(context.Background(), "",
		advect.WithPrincipal("client"),
		advect.WithPassword("password"),
		advect.WithHost(host),
		advect.WithPort(port),
		advect.WithTransports(advect.WebSocket, advect.HTTPPolling))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println("Connected with a session id of", len(session.ID().String()), "characters")
	// Output: Connected with a session id of 33 characters
}

// A transport may be tried more than once.
func ExampleWithTransports_repeated() {
	host, port, stop := exampleAddress()
	defer stop()

	session, err := advect.Open(context.Background(), "", advect.WithHost(host), advect.WithPort(port),
		advect.WithTransports(advect.WebSocket, advect.HTTPPolling, advect.WebSocket))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// The application can decide about certificates. This one accepts any, which is
// for tests alone: returning verification accepts what is sound and no more.
func ExampleWithCertificateValidation() {
	serverURL, stop := exampleServer()
	defer stop()
	serverURL, stopFront := withTLS(serverURL)
	defer stopFront()

	session, err := advect.Open(context.Background(), serverURL, // "wss://…"
		advect.WithPrincipal("client"),
		advect.WithPassword("password"),
		advect.WithCertificateValidation(func(_ []*x509.Certificate, verification error) error {
			fmt.Println("sound:", verification == nil)
			return nil
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output:
	// sound: false
	// CONNECTED_ACTIVE
}

// Opening in the background gives a handle to wait on, select on, or cancel.
func ExampleOpenAsync() {
	serverURL, stop := exampleServer()
	defer stop()

	opening := advect.OpenAsync(serverURL,
		advect.WithPrincipal("client"),
		advect.WithPassword("password"))

	// Do other work here.

	session, err := opening.Await(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println("Connected:", session.State())
	// Output: Connected: CONNECTED_ACTIVE
}

// An opening can be one of several things to wait for.
func ExampleOpening_Done() {
	serverURL, stop := exampleServer()
	defer stop()

	opening := advect.OpenAsync(serverURL)
	select {
	case <-opening.Done():
	case <-time.After(time.Minute):
		opening.Cancel()
	}
	session, err := opening.Await(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// A callback is told of the session or of the error.
func ExampleOpening_OnComplete() {
	serverURL, stop := exampleServer()
	defer stop()
	told := make(chan struct{})

	advect.OpenAsync(serverURL).OnComplete(func(session *advect.Session, err error) {
		defer close(told)
		if err != nil {
			fmt.Println("An error occurred:", err)
			return
		}
		fmt.Println("Session opened.")
		session.Close()
		fmt.Println("Session closed.")
	})

	<-told
	// Output:
	// Session opened.
	// Session closed.
}

// A listener that is given on opening sees every change of the state.
func ExampleWithStateListener() {
	serverURL, stop := exampleServer()
	defer stop()
	closed := make(chan struct{})

	session, err := advect.Open(context.Background(), serverURL,
		advect.WithPrincipal("admin"),
		advect.WithPassword("password"),
		advect.WithStateListener(func(_ *advect.Session, old, new advect.State) {
			fmt.Printf("State changed from %v to %v.\n", old, new)
			if new.IsClosed() {
				close(closed)
			}
		}))
	if err != nil {
		log.Fatal(err)
	}
	session.Close()
	<-closed
	// Output:
	// State changed from CONNECTING to CONNECTED_ACTIVE.
	// State changed from CONNECTED_ACTIVE to CLOSED_BY_CLIENT.
}

// Listeners can be added to a session, and tell apart what matters.
func ExampleSession_OnStateChange() {
	serverURL, stop := exampleServer()
	session, err := advect.Open(context.Background(), serverURL)
	if err != nil {
		log.Fatal(err)
	}
	told := make(chan struct{})

	session.OnStateChange(func(session *advect.Session, old, new advect.State) {
		switch {
		case new.IsRecovering():
			fmt.Println("Lost connection to the server.")
		case new.IsConnected():
			fmt.Println("Reconnected to the session on the server.")
		case new.IsClosed():
			fmt.Println("Session is closed:", session.Err())
			close(told)
		}
	})
	remove := session.OnError(func(_ *advect.Session, err error) {
		fmt.Println("A session error occurred:", err)
	})
	defer remove()

	stop() // the server goes away for good and says so
	<-told
	// Output: Session is closed: closed by the server
}

// A session tells when and why it has ended.
func ExampleSession_Done() {
	serverURL, stop := exampleServer()
	defer stop()
	session, err := advect.Open(context.Background(), serverURL)
	if err != nil {
		log.Fatal(err)
	}
	go session.Close()

	<-session.Done()
	fmt.Println(errors.Is(session.Err(), advect.ErrClosedByClient))
	// Output: true
}

func ExampleSession_PingServer() {
	serverURL, stop := exampleServer()
	defer stop()
	session, err := advect.Open(context.Background(), serverURL)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	details, err := session.PingServer(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(details.RoundTrip > 0)
	// Output: true
}

func ExampleSession_ChangePrincipal() {
	serverURL, stop := exampleServer()
	defer stop()
	ctx := context.Background()
	session, err := advect.Open(ctx, serverURL)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	if err := session.ChangePrincipal(ctx, "client", advect.Password("password")); err != nil {
		log.Fatal(err)
	}
	properties, err := session.Properties(ctx)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(session.Principal(), properties["$Principal"])
	// Output: client client
}

// A strategy decides when a session that has lost its connection tries to
// connect again: this one at once, then less and less often, and never more
// than ten times.
func ExampleWithReconnectStrategy() {
	serverURL, stop := exampleServer()
	defer stop()

	backoff := advect.ExponentialBackoff(100*time.Millisecond, time.Minute)
	session, err := advect.Open(context.Background(), serverURL,
		advect.WithReconnectTimeout(10*time.Minute),
		advect.WithReconnectStrategy(func(ctx context.Context, attempt advect.ReconnectAttempt) error {
			switch {
			case attempt.Number == 1:
				return nil // start the attempt
			case attempt.Number > 10:
				return errors.New("ten attempts are enough") // abort
			}
			return backoff(ctx, attempt)
		}))
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	fmt.Println(session.State())
	// Output: CONNECTED_ACTIVE
}

// withTLS puts a TLS endpoint with a certificate that nobody knows before a server.
func withTLS(serverURL string) (secureURL string, stop func()) {
	target, err := url.Parse(strings.Replace(serverURL, "ws:", "http:", 1))
	if err != nil {
		log.Fatal(err)
	}
	front := httptest.NewTLSServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.Out.URL.Scheme, r.Out.URL.Host = "http", target.Host }})
	return strings.Replace(front.URL, "https:", "wss:", 1), front.Close
}

// withoutWebSocket puts an endpoint before a server that knows no WebSocket.
func withoutWebSocket(host string, port int) (string, int, func()) {
	target := net.JoinHostPort(host, strconv.Itoa(port))
	front := httptest.NewServer(&httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.Out.URL.Scheme, r.Out.URL.Host = "http", target
		r.Out.Header.Del("Upgrade")
	}})
	u, _ := url.Parse(front.URL)
	port, _ = strconv.Atoi(u.Port())
	return u.Hostname(), port, front.Close
}
