package gosdk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// A scene is what a scenario plays in: one transport, sessions, servers and
// proxies that end with it. Its methods fail the scenario when they cannot do
// what they say; they are for the scenario's own goroutine.
type scene struct {
	t         *testing.T
	ctx       context.Context // ends with the scenario
	transport advect.Transport
	root      string // of the topics that are this run's own
	sequence  int
	reason    string // of a failure
}

// scenes counts them, for paths of their own when a scenario runs again.
var scenes atomic.Int64

func newScene(t *testing.T, id string, transport advect.Transport) *scene {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	root := fmt.Sprintf("gosdk/%s/%s/%d", id, short(transport), scenes.Add(1))
	return &scene{t: t, ctx: ctx, transport: transport, root: root}
}

func (s *scene) fatalf(format string, args ...any) {
	s.t.Helper()
	s.reason = fmt.Sprintf(format, args...)
	s.t.Fatal(s.reason)
}

func (s *scene) ok(condition bool, format string, args ...any) {
	s.t.Helper()
	if !condition {
		s.fatalf(format, args...)
	}
}

// none fails unless err is nil.
func (s *scene) none(err error, what string) {
	s.t.Helper()
	if err != nil {
		s.fatalf("%s: %v", what, err)
	}
}

func (s *scene) equal(got, want any, what string) {
	s.t.Helper()
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		s.fatalf("%s: got %.2000s, want %.2000s", what, g, w)
	}
}

// is fails unless errors.Is finds each of the targets in err.
func (s *scene) is(err error, what string, targets ...error) {
	s.t.Helper()
	for _, target := range targets {
		if !errors.Is(err, target) {
			s.fatalf("%s: got %v, want %v", what, err, target)
		}
	}
}

// path returns a topic path that no other run uses.
func (s *scene) path(name ...string) string {
	if len(name) == 0 {
		s.sequence++
		return fmt.Sprintf("%s/t%d", s.root, s.sequence)
	}
	return s.root + "/" + name[0]
}

func withPort(port string) advect.Option {
	n, _ := strconv.Atoi(port)
	return advect.WithPort(n)
}

// to returns the options of a connection to a port over the transport under
// test, and of a session that comes back soon when it is lost.
func (s *scene) to(port string, options ...advect.Option) []advect.Option {
	return append([]advect.Option{
		advect.WithHost("127.0.0.1"), withPort(port), advect.WithTransports(s.transport),
		advect.WithConnectionTimeout(patience), soon,
	}, options...)
}

var soon = advect.WithReconnectStrategy(advect.FixedDelay(20 * time.Millisecond))

// as returns the options of a session of a stock principal, and more.
func as(principal string, more ...advect.Option) []advect.Option {
	return append([]advect.Option{advect.WithPrincipal(principal), advect.WithPassword("password")}, more...)
}

// open opens a session that is closed with the scenario.
func (s *scene) open(options ...advect.Option) *advect.Session {
	s.t.Helper()
	return s.openURL("", options...)
}

func (s *scene) openURL(url string, options ...advect.Option) *advect.Session {
	s.t.Helper()
	session, err := advect.Open(s.ctx, url, options...)
	s.none(err, "open")
	s.closes(session)
	return session
}

func (s *scene) closes(session *advect.Session) {
	s.t.Cleanup(func() { session.Close() })
}

// connect opens a session with the shared server over the transport under test.
func (s *scene) connect(options ...advect.Option) *advect.Session {
	s.t.Helper()
	return s.open(s.to(shared.port, options...)...)
}

// refused expects that no session can be opened and returns why.
func (s *scene) refused(what string, options ...advect.Option) *advect.CloseReason {
	s.t.Helper()
	session, err := advect.Open(s.ctx, "", options...)
	if err == nil {
		session.Close()
		s.fatalf("%s: connected", what)
	}
	return s.closeReason(err, what)
}

func (s *scene) closeReason(err error, what string) *advect.CloseReason {
	s.t.Helper()
	var reason *advect.CloseReason
	if !errors.As(err, &reason) {
		s.fatalf("%s: %v is no close reason", what, err)
	}
	return reason
}

func (s *scene) code(reason *advect.CloseReason, want advect.CloseCode, what string) {
	s.t.Helper()
	if reason.Code != want {
		s.fatalf("%s: got %s (%v), want %s", what, reason.Code, reason, want)
	}
}

func (s *scene) ping(session *advect.Session) {
	s.t.Helper()
	_, err := session.PingServer(s.ctx)
	s.none(err, "ping")
}

// events records the events of a session from now on.
func (s *scene) events(session *advect.Session) sessionRecord {
	r := sessionRecord{newRecord[sessionEvent]("session events")}
	session.OnStateChange(r.state)
	session.OnError(r.problem)
	return r
}

// awaitEvent waits for the n-th event of a kind and returns it.
func (s *scene) awaitEvent(r sessionRecord, kind string, n int) sessionEvent {
	s.t.Helper()
	_, err := r.until(patience, func([]sessionEvent) bool { return r.count(kind) >= n })
	s.none(err, fmt.Sprintf("%s number %d", kind, n))
	for _, e := range r.all() {
		if e.kind == kind {
			if n--; n == 0 {
				return e
			}
		}
	}
	return sessionEvent{}
}

// closed waits for the end of a session and returns its reason.
func (s *scene) closed(session *advect.Session) *advect.CloseReason {
	s.t.Helper()
	select {
	case <-session.Done():
	case <-time.After(patience):
		s.fatalf("the session is %s after %v, want closed", session.State(), patience)
	}
	return s.closeReason(session.Err(), "closed session")
}

// watch adds a stream and records its events.
func watch[V datatype.Value](s *scene, session *advect.Session, selector string) streamRecord {
	s.t.Helper()
	r := streamRecord{newRecord[streamEvent]("stream of " + selector)}
	_, err := advect.AddStream(session.Topics(), selector, advect.Stream[V]{
		OnSubscribe: func(path string, _ advect.Specification) { r.add(streamEvent{kind: subscribe, path: path}) },
		OnValue: func(u advect.Update[V]) {
			e := streamEvent{kind: value, path: u.Path, value: null}
			if !u.Null {
				e.value = comparable(u.Value)
			}
			if u.HasOld {
				e.old = comparable(u.Old)
			}
			r.add(e)
		},
		OnUnsubscribe: func(path string, _ advect.Specification, reason advect.UnsubscribeReason) {
			r.add(streamEvent{kind: unsubscribe, path: path, reason: reason})
		},
		OnError: func(err error) { r.add(streamEvent{kind: problem, err: err}) },
	})
	s.none(err, "add stream")
	return r
}

// await waits for n events of a kind and returns the last of them.
func (s *scene) await(r streamRecord, kind string, n int) streamEvent {
	s.t.Helper()
	_, err := r.until(patience, func([]streamEvent) bool { return len(r.of(kind)) >= n })
	s.none(err, fmt.Sprintf("%d x %s", n, kind))
	return r.of(kind)[n-1]
}

// awaitValue waits until the last event is this value.
func (s *scene) awaitValue(r streamRecord, want string) {
	s.t.Helper()
	_, err := r.until(patience, func(all []streamEvent) bool {
		return len(all) > 0 && all[len(all)-1].kind == value && all[len(all)-1].value == want
	})
	s.none(err, "value "+want)
}

// serve starts a server of the scenario's own.
func (s *scene) serve(args ...string) *serverProcess {
	s.t.Helper()
	return s.serveAt("127.0.0.1:0", args...)
}

func (s *scene) serveAt(listen string, args ...string) *serverProcess {
	s.t.Helper()
	server, err := startServer(listen, args...)
	s.none(err, "start a server")
	s.t.Cleanup(server.stop)
	return server
}

// freePort returns a port on which nothing listens. Another process could take
// it; on a test machine none does.
func (s *scene) freePort() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.none(err, "listen")
	defer l.Close()
	return portOf(l.Addr())
}

func portOf(a net.Addr) string { return strconv.Itoa(a.(*net.TCPAddr).Port) }

// silence returns a port that accepts and says nothing.
func (s *scene) silence() string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	s.none(err, "listen")
	s.t.Cleanup(func() { l.Close() })
	return portOf(l.Addr()) // the kernel accepts
}

// inspect puts an inspector in front of a server.
func (s *scene) inspect(port string, args ...string) *proxy {
	s.t.Helper()
	if len(args) == 0 {
		args = []string{"--quiet"}
	}
	i, err := startInspector(port, args...)
	s.none(err, "start an inspector")
	s.t.Cleanup(func() {
		if s.t.Failed() {
			s.t.Logf("the inspector's last lines:\n%s", i.tail(60))
		}
		i.signal(syscall.SIGTERM)
	})
	return &proxy{i, s}
}

// A proxy is an inspector that the scenario gives orders.
type proxy struct {
	*inspector
	s *scene
}

func (p *proxy) do(path string, body map[string]any) map[string]any {
	p.s.t.Helper()
	var answer map[string]any
	p.s.none(p.order(path, body, &answer), "inspector")
	return answer
}

func (p *proxy) fault(transport advect.Transport, fault string) {
	p.s.t.Helper()
	p.do("/fault", map[string]any{map[bool]string{true: "websocket", false: "polling"}[transport == advect.WebSocket]: fault})
}

func (p *proxy) delay(d time.Duration, direction string) {
	p.s.t.Helper()
	p.do("/delay", map[string]any{"ms": d.Milliseconds(), "direction": direction})
}

// down returns how many messages the server has sent.
func (p *proxy) down() (n int) {
	p.s.t.Helper()
	var seen struct {
		Sessions []soakStats `json:"sessions"`
	}
	p.s.none(p.order("/stats", nil, &seen), "inspector")
	for _, one := range seen.Sessions {
		n += one.Down
	}
	return n
}

// cut cuts the connections that there are, of which there must be one.
func (p *proxy) cut(mode string) {
	p.s.t.Helper()
	n := p.do("/cut", map[string]any{"mode": mode})["cut"]
	p.s.ok(n.(float64) > 0, "the inspector had no connection to cut")
}

// lose cuts the connection and waits until the session knows; it is the n-th loss.
func (p *proxy) lose(r sessionRecord, n int, mode string) sessionEvent {
	p.s.t.Helper()
	p.cut(mode)
	return p.s.awaitEvent(r, disconnect, n)
}

// awaitLine waits for n lines of JSON output that are as wanted.
func (p *proxy) awaitLine(n int, what string, wanted func(inspected) bool) {
	p.s.t.Helper()
	_, err := p.lines.until(patience, func(lines []string) bool {
		found := 0
		for _, e := range parse(lines) {
			if wanted(e) {
				found++
			}
		}
		return found >= n
	})
	p.s.none(err, what)
}

// A gate is a reconnect strategy that waits until the scenario lets it pass,
// and then tries at short intervals. It records why each attempt is made.
type gate struct {
	mu     sync.Mutex
	open   chan struct{}
	causes *record[error]
}

func newGate() *gate { return &gate{open: make(chan struct{}), causes: newRecord[error]("causes")} }

func (g *gate) option() advect.Option { return advect.WithReconnectStrategy(g.wait) }

func (g *gate) wait(ctx context.Context, attempt advect.ReconnectAttempt) error {
	g.causes.add(attempt.Err)
	g.mu.Lock()
	open := g.open
	g.mu.Unlock()
	select {
	case <-open:
		return advect.FixedDelay(10*time.Millisecond)(ctx, attempt)
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *gate) pass() { g.mu.Lock(); defer g.mu.Unlock(); close(g.open) }

func (g *gate) shut() { g.mu.Lock(); defer g.mu.Unlock(); g.open = make(chan struct{}) }

// A certificate is a private authority and a certificate of it for 127.0.0.1.
type certificate struct{ authority, certificate, key string }

// certificates are made by the program beside this one, once.
var certificates = sync.OnceValues(func() (certificate, error) {
	dir := filepath.Join(filepath.Dir(binary), "certificates")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return certificate{}, err
	}
	if output, err := exec.Command("go", "run", "advect.dev/conformance/testcert", dir).CombinedOutput(); err != nil {
		return certificate{}, fmt.Errorf("make certificates: %w: %s", err, output)
	}
	file := func(name string) string { return filepath.Join(dir, name) }
	return certificate{file("ca.pem"), file("cert.pem"), file("key.pem")}, nil
})

// numbers returns the integers from first to last, in one text.
func numbers(first, last int) string {
	var all []string
	for n := first; n <= last; n++ {
		all = append(all, strconv.Itoa(n))
	}
	return strings.Join(all, " ")
}

// A publisher sets counters, over a connection that nothing disturbs.
type publisher struct {
	*advect.Session
	s *scene
}

// sharedPublisher is one session for all scenarios that only need something to
// be published on the shared server.
var sharedPublisher = sync.OnceValues(func() (*advect.Session, error) {
	return advect.Open(context.Background(), "ws://127.0.0.1:"+shared.port, as("control", advect.WithConnectionTimeout(patience))...)
})

func (s *scene) publisher(port string) publisher {
	s.t.Helper()
	if port != shared.port {
		return publisher{s.openURL("ws://127.0.0.1:"+port, as("control", advect.WithConnectionTimeout(patience))...), s}
	}
	session, err := sharedPublisher()
	s.none(err, "open the publisher")
	return publisher{session, s}
}

func (p publisher) add(path string, t advect.TopicType) {
	p.s.t.Helper()
	_, err := p.Topics().Add(p.s.ctx, path, advect.NewSpecification(t))
	p.s.none(err, "add "+path)
}

func (p publisher) set(path string, v datatype.Value) {
	p.s.t.Helper()
	p.s.none(p.Topics().Set(p.s.ctx, path, v), "set "+path)
}

// count sets a topic to each of the integers from first to last.
func (p publisher) count(path string, first, last int) {
	p.s.t.Helper()
	for n := first; n <= last; n++ {
		p.set(path, datatype.Int64(n))
	}
}
