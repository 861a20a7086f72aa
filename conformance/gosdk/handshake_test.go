package gosdk

import (
	"errors"
	"strings"
	"time"

	"advect.dev"
)

// How the client walks its transports: every row of the two tables of the
// handshake specification's section on cascading, and what each answer does.

const handshakeGroup = "Handshake"

var handshake = []scenario{
	{"9.1-tcp-refused", handshakeGroup, "TCP refused or an unknown name: every transport is tried, CONNECTION_ERROR", ws, tcpRefused},
	{"9.1-reset-before-answer", handshakeGroup, "connection reset before an answer: next transport", both, cascades("reset")},
	{"9.1-tls-failure", handshakeGroup, "TLS spoken to a plain port: CONNECTION_ERROR, and the server stays sound", both, tlsFailure},
	{"9.2-http-status", handshakeGroup, "HTTP status other than 101 or 200: next transport", both, cascades("status:503", "status:404", "status:401")},
	{"9.3-closed-before-response", handshakeGroup, "WebSocket closed by a close frame before the response: next transport", ws, cascades("close1001")},
	{"9.4-malformed-response", handshakeGroup, "malformed response: next transport", both, cascades(
		"bytes:241d64", // wrong protocol byte
		"bytes:231c64", // wrong version byte
		"bytes:231d7f", // unknown code
		"bytes:231d",   // too short
		"bytes:231d64"+strings.Repeat("00", 48), // success of 51 bytes
		"text:hello",
	)},
	{"9.5-failure-code-stops", handshakeGroup, "a well-formed refusal ends the walk: no further transport, no retry", both, failureCodeStops},
	{"9.6-silence-stops", handshakeGroup, "silence: CONNECTION_TIMEOUT after one timeout, no further transport", both, silenceStops},
	{"9.observed-503-then-polling", handshakeGroup, "upgrade answered 503, list WS, XHR: connected over XHR", polling, inspectedCascade("503")},
	{"9.observed-1001-then-polling", handshakeGroup, "closed 1001 before the response, list WS, XHR: connected over XHR", polling, inspectedCascade("close1001")},
	{"9.observed-116-no-polling", handshakeGroup, "code 116 on WS, list WS, XHR: ACCESS_DENIED, XHR never tried", ws, refusalStopsWalk},
	{"9.observed-127-everywhere", handshakeGroup, "code 127 on every transport: each is tried, HANDSHAKE_ERROR", both, unknownCodeEverywhere},
	{"9.observed-503-retries", handshakeGroup, "upgrade answered 503, list WS, two retries: three upgrades, CONNECTION_ERROR", both, statusRetries},
	{"9.observed-116-no-retry", handshakeGroup, "wrong password with two retries: one attempt, ACCESS_DENIED", both, refusalNoRetry},
	{"9.observed-silent-after-101", handshakeGroup, "silent after the upgrade, timeout 500 ms, list WS, XHR: CONNECTION_TIMEOUT, XHR never tried", ws, silentAfterUpgrade},
	{"9.retry-arithmetic", handshakeGroup, "two transports and three retries make eight attempts; one transport and two retries make three", both, retryArithmetic},
	{"9.version-mismatch", handshakeGroup, "answers of another version: every attempt is used, PROTOCOL_VERSION_MISMATCH", both, versionMismatch},
	{"9.no-valid-transport", handshakeGroup, "no transport that exists: an error at once", ws, noValidTransport},
	{"9.session-limit", handshakeGroup, "more sessions than --max-sessions: LICENSE_EXCEEDED, and room again after one closes", both, sessionLimit},
	{"9.go-every-fault", handshakeGroup, "Go: each fault of the inspector has its close reason, and gives way to the next transport or not", both, everyFault},
}

func (s *scene) other() advect.Transport {
	if s.transport == advect.WebSocket {
		return advect.HTTPPolling
	}
	return advect.WebSocket
}

// thenOther is the list of the transport under test and the other one.
func (s *scene) thenOther() advect.Option { return advect.WithTransports(s.transport, s.other()) }

func retry(n int, interval time.Duration) advect.Option {
	return advect.WithRetry(advect.RetryStrategy{Attempts: n, Interval: interval})
}

// cascades has each behaviour of a server lead to the next transport.
func cascades(behaviours ...string) func(*scene) {
	return func(s *scene) {
		for _, behaviour := range behaviours {
			e := s.endpoint(map[advect.Transport][]string{s.transport: {behaviour}})
			s.ping(s.open(s.to(e.port, s.thenOther())...))
			s.equal(e.tried(), short(s.transport)+" "+short(s.other()), behaviour+": attempts")
		}
	}
}

// attempts opens a session with an endpoint, which must fail, and returns the
// transports that were tried.
func (s *scene) attempts(script map[advect.Transport][]string, want advect.CloseCode, options ...advect.Option) string {
	s.t.Helper()
	e := s.endpoint(script)
	s.code(s.refused("connect", s.to(e.port, options...)...), want, "connect")
	return e.tried()
}

func everywhere(behaviour string) map[advect.Transport][]string {
	return map[advect.Transport][]string{advect.WebSocket: {behaviour}, advect.HTTPPolling: {behaviour}}
}

func tcpRefused(s *scene) {
	all := advect.WithTransports(advect.WebSocket, advect.HTTPPolling, advect.WebSocket)
	s.code(s.refused("refused", s.to(s.freePort(), all)...), advect.CodeConnectionError, "refused")
	s.code(s.refused("unknown name", s.to("80", all, advect.WithHost("no-such-host.invalid"))...), advect.CodeConnectionError, "unknown name")
	s.equal(s.attempts(everywhere("reset"), advect.CodeConnectionError, all), "ws polling ws", "attempts")
}

func tlsFailure(s *scene) {
	s.code(s.refused("TLS", s.to(shared.port, advect.WithSecure(true))...), advect.CodeConnectionError, "TLS")
	s.ping(s.connect())
}

func failureCodeStops(s *scene) {
	tried := s.attempts(everywhere("bytes:231d74"), advect.CodeAccessDenied, s.thenOther(), retry(2, 50*time.Millisecond))
	s.equal(tried, short(s.transport), "attempts")
}

func silenceStops(s *scene) {
	started := time.Now()
	tried := s.attempts(map[advect.Transport][]string{s.transport: {"silent"}}, advect.CodeConnectionTimeout,
		s.thenOther(), retry(2, time.Millisecond), advect.WithConnectionTimeout(time.Second))
	s.equal(tried, short(s.transport), "attempts")
	s.ok(time.Since(started) < time.Second+soonEnough, "took %v, want about a second", time.Since(started))
}

func inspectedCascade(fault string) func(*scene) {
	return func(s *scene) {
		p := s.inspect(shared.port)
		p.fault(advect.WebSocket, fault)
		session := s.open(s.to(p.port, advect.WithTransports(advect.WebSocket, advect.HTTPPolling))...)
		properties, err := session.Properties(s.ctx)
		s.none(err, "properties")
		s.equal(properties["$Transport"], "HTTP_LONG_POLL", "$Transport")
	}
}

func refusalStopsWalk(s *scene) {
	p := s.inspect(shared.port, "--json")
	p.fault(advect.WebSocket, "code:116")
	s.code(s.refused("connect", s.to(p.port, s.thenOther())...), advect.CodeAccessDenied, "connect")
	for _, e := range parse(p.lines.all()) {
		s.ok(e.Transport != "polling", "polling was tried: %v", e)
	}
}

func unknownCodeEverywhere(s *scene) {
	tried := s.attempts(everywhere("bytes:231d7f"), advect.CodeHandshakeError, s.thenOther())
	s.equal(tried, short(s.transport)+" "+short(s.other()), "attempts")
}

func statusRetries(s *scene) {
	tried := s.attempts(everywhere("status:503"), advect.CodeConnectionError, retry(2, 100*time.Millisecond))
	s.equal(len(strings.Fields(tried)), 3, "attempts")
}

func refusalNoRetry(s *scene) {
	tried := s.attempts(nil, advect.CodeAccessDenied, retry(2, 100*time.Millisecond),
		advect.WithPrincipal("control"), advect.WithPassword("wrong"))
	s.equal(tried, short(s.transport), "attempts")
}

func silentAfterUpgrade(s *scene) {
	p := s.inspect(shared.port, "--json")
	p.fault(advect.WebSocket, "silent")
	started := time.Now()
	reason := s.refused("connect", s.to(p.port, s.thenOther(), advect.WithConnectionTimeout(500*time.Millisecond))...)
	s.code(reason, advect.CodeConnectionTimeout, "connect")
	s.ok(time.Since(started) < soonEnough, "took %v, want one timeout of 500 ms", time.Since(started))
	for _, e := range parse(p.lines.all()) {
		s.ok(e.Transport != "polling", "polling was tried: %v", e)
	}
}

func retryArithmetic(s *scene) {
	two := s.attempts(everywhere("reset"), advect.CodeConnectionError, s.thenOther(), retry(3, 30*time.Millisecond))
	s.equal(len(strings.Fields(two)), 8, "two transports, three retries")
	one := s.attempts(everywhere("reset"), advect.CodeConnectionError, retry(2, 30*time.Millisecond))
	s.equal(len(strings.Fields(one)), 3, "one transport, two retries")
	tries := 0
	function := advect.WithRetryFunc(func(attempt int, err error) (time.Duration, bool) {
		tries++
		s.ok(attempt == tries && errors.Is(err, advect.ErrConnection), "try %d of %d: %v", attempt, tries, err)
		return 0, attempt < 4
	})
	s.equal(len(strings.Fields(s.attempts(everywhere("reset"), advect.CodeConnectionError, function))), 4, "a function that wants four tries")
}

func versionMismatch(s *scene) {
	tried := s.attempts(everywhere("bytes:231c64"), advect.CodeVersionMismatch,
		advect.WithTransports(s.transport, s.transport), retry(2, 30*time.Millisecond))
	s.equal(len(strings.Fields(tried)), 6, "attempts")
}

func noValidTransport(s *scene) {
	for _, option := range []advect.Option{advect.WithTransports(), advect.WithTransports(advect.WebSocket, 9)} {
		_, err := advect.Open(s.ctx, "", s.to(shared.port, option)...)
		s.ok(err != nil && strings.Contains(err.Error(), "transport"), "got %v", err)
	}
}

func sessionLimit(s *scene) {
	server := s.serve("--max-sessions", "2")
	first := s.open(s.to(server.port)...)
	s.open(s.to(server.port)...)
	reason := s.refused("third session", s.to(server.port)...)
	s.code(reason, advect.CodeLicenceExceeded, "third session")
	s.is(reason, "third session", advect.ErrLicenceExceeded, advect.ErrPermanent)
	first.Close()
	s.ping(s.open(s.to(server.port)...))
}

func everyFault(s *scene) {
	p := s.inspect(shared.port)
	table := []struct {
		fault    string
		code     advect.CloseCode
		cascades bool
	}{
		{"refuse", advect.CodeConnectionError, true},
		{"503", advect.CodeConnectionError, true},
		{"404", advect.CodeConnectionError, true},
		{"garbage", advect.CodeHandshakeError, true},
		{"version:28", advect.CodeVersionMismatch, true},
		{"code:127", advect.CodeHandshakeError, true},
		{"code:116", advect.CodeAccessDenied, false},
		{"silent", advect.CodeConnectionTimeout, false},
	}
	if s.transport == advect.WebSocket {
		table = append(table, table[0], table[0], table[0])
		for i, fault := range []string{"close1001", "text", "empty"} {
			row := &table[len(table)-3+i]
			if row.fault = fault; i > 0 {
				row.code = advect.CodeHandshakeError
			}
		}
	}
	for _, row := range table {
		p.fault(s.transport, row.fault)
		timeout := advect.WithConnectionTimeout(patience)
		if row.fault == "silent" {
			timeout = advect.WithConnectionTimeout(300 * time.Millisecond)
		}
		s.code(s.refused(row.fault, s.to(p.port, timeout)...), row.code, row.fault+" alone")
		if row.cascades {
			s.ping(s.open(s.to(p.port, s.thenOther())...))
		} else {
			s.code(s.refused(row.fault, s.to(p.port, timeout, s.thenOther())...), row.code, row.fault+" first")
		}
	}
}
