package engine

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"golang.org/x/time/rate"

	"advect.dev/internal/alert"
	"advect.dev/internal/lock"
	"advect.dev/internal/observe"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

// An Engine keeps the sessions of one server. Its methods may be called
// concurrently.
type Engine struct {
	cfg        Config
	tree       *tree.Tree
	locks      *lock.Table
	handlers   map[int32]handler
	run        int64 // server half of the session ids
	nextID     atomic.Int64
	clock      *clock
	removals   *removals
	missing    missingHandlers
	index      *sessionIndex
	routes     routes
	identities identities
	observers  *observers
	governor   *governor
	finished   sync.WaitGroup // sessions being taken apart
	watching   sync.WaitGroup // the goroutine that watches the policy

	applying sync.Mutex
	applied  *security.Policy // that all sessions go by; guarded by applying

	requestHandlers delegates
	authenticators  delegates
	chain           security.Authenticator
	refusals        *refusals
	closing         context.Context // ends with the engine, and with it what sessions wait for
	stop            context.CancelFunc

	started     time.Time
	stats       stats
	registry    *observe.Registry
	collectors  *observe.Collectors
	alerts      *alert.Table
	alertTopics alertTopics

	mu        sync.Mutex
	closed    bool
	byToken   map[uint64]*Session // by token.key
	byID      map[int64]*Session  // by the client half of the id
	byAddress map[netip.Addr]int
}

// New returns an engine whose clock runs until Close.
func New(cfg Config) *Engine {
	var run [8]byte
	_, _ = rand.Read(run[:]) // never fails
	e := &Engine{
		cfg:       cfg,
		started:   time.Now(),
		handlers:  handlers(),
		locks:     lock.NewTable(),
		run:       int64(binary.BigEndian.Uint64(run[:])),
		index:     newSessionIndex(),
		byToken:   make(map[uint64]*Session),
		byID:      make(map[int64]*Session),
		byAddress: make(map[netip.Addr]int),
	}
	e.applied = cfg.Policies.Policy()
	e.chain = e.newChain()
	e.refusals = newRefusals(cfg.Log)
	e.closing, e.stop = context.WithCancel(context.Background())
	e.clock = startClock(cfg.PingPeriod)
	e.removals = startRemovals(e)
	e.observers = newObservers(e)
	e.governor = newGovernor(e, int64(cfg.MaxMemory))
	e.tree = tree.New(tree.Config{MaxValue: cfg.MaxMessageSize, Removals: e.removals.scheduler, Locked: e.locks.Held})
	e.stats.prepare(e.handlers)
	e.collectors = observe.NewCollectors(population{e})
	e.alerts = newAlerts(e)
	e.registry = observe.NewRegistry(e.metrics())
	e.governor.start()
	e.watching.Add(1)
	go e.watchPolicy()
	return e
}

// Close ends every session and waits until the last is taken apart. Transports
// are still asked to deliver what was queued before.
func (e *Engine) Close() {
	e.alerts.Close()
	e.removals.stop() // or it would take sessions that the server closes for gone
	e.observers.stop()
	e.governor.stop()
	e.mu.Lock()
	e.closed = true
	e.mu.Unlock()
	e.stop()
	e.watching.Wait()
	for _, s := range e.all() {
		s.Close(ServerClosing)
	}
	e.finished.Wait()
	e.clock.stop()
}

// Refuses reports whether memory is so short that there are to be no new sessions,
// and counts one that is refused. Connect would reject it for good: whoever can say
// no in a way after which clients try again should ask before.
func (e *Engine) Refuses() bool { return e.governor.refuses() }

// Short reports whether Refuses would say so.
func (e *Engine) Short() bool { return e.governor.short() }

// Topics returns the number of topics.
func (e *Engine) Topics() int { return e.tree.Len() }

// Sessions returns the number of sessions, connected or not.
func (e *Engine) Sessions() int {
	e.mu.Lock()
	defer e.mu.Unlock()
	return len(e.byID)
}

// Connect admits or reconnects a session for a connection. With a successful
// response it returns the session, whose Take the connection calls once it has
// written the response; otherwise the session is nil (01 section 6.2, 03
// section 4.3).
func (e *Engine) Connect(ctx context.Context, q wire.ConnectRequest, peer Peer, conn Conn) (wire.ConnectResponse, *Session) {
	connect := e.admit
	if q.Token != "" {
		connect = e.reconnect
	}
	res, s, err := connect(ctx, q, peer, conn)
	if err == nil {
		e.stats.connectors.add(peer.Connector)
		return res, s
	}
	var rejection *wire.Rejection
	if !errors.As(err, &rejection) {
		rejection = &wire.Rejection{Code: wire.AuthenticationFailed, Reason: err.Error()}
	}
	e.stats.rejections.add(rejection.Code.String())
	if rejection.Code != wire.AuthenticationFailed { // of which refusals has told
		e.cfg.Log.Debug("connection rejected", "code", rejection.Code, "reason", rejection.Reason, "address", peer.Addr)
	}
	return Reject(rejection), nil
}

// Reject returns the connection response of a rejection.
func Reject(r *wire.Rejection) wire.ConnectResponse {
	return wire.ConnectResponse{Version: wire.Version, Code: r.Code}
}

func (e *Engine) admit(ctx context.Context, q wire.ConnectRequest, peer Peer, conn Conn) (res wire.ConnectResponse, s *Session, err error) {
	if err := e.reserve(peer.Addr); err != nil {
		return res, nil, err
	}
	defer func() {
		if err != nil {
			e.release(peer.Addr)
		}
	}()
	patience := newPatience(ctx, e.cfg.HandshakeTimeout)
	defer patience.end()
	s = &Session{
		engine:        e,
		id:            wire.SessionID{Server: e.run, Value: e.nextID.Add(1)},
		token:         newToken(),
		software:      unique.Make(software{q.Type, q.Properties["$Environment"]}),
		zlib:          q.Capabilities&wire.CapabilityZlib != 0,
		window:        min(q.ReconnectTimeout, e.cfg.KeepAlive),
		started:       time.Now().UnixMilli(),
		queue:         outbox.NewQueue(&e.cfg.Queue),
		conn:          conn,
		addr:          peer.Addr,
		registrations: noRegistrations,
	}
	if n := e.cfg.MessageRate; n > 0 {
		s.pace = rate.NewLimiter(rate.Limit(n), n)
	}
	s.client = tree.MakeClient(s)
	s.route.Store(e.routes.of(&peer))
	if err := s.authenticate(patience, q); err != nil {
		return res, nil, err
	}
	if err := e.add(s); err != nil {
		return res, nil, err
	}
	s.applyPolicy(e.cfg.Policies.Policy()) // in case it has changed meanwhile
	s.scheduleExpiry()
	s.appear()
	return s.response(wire.OK), s, nil
}

// reserve counts a session of an address, if the limits allow one more.
func (e *Engine) reserve(addr netip.Addr) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch {
	case e.closed:
		return &wire.Rejection{Code: wire.ServerInitialising, Reason: "the server is closing"}
	case e.governor.refuses():
		return &wire.Rejection{Code: wire.LicenceExceeded, Reason: "no memory for another session (max-memory)"}
	case e.cfg.MaxSessions > 0 && len(e.byID) >= e.cfg.MaxSessions:
		return &wire.Rejection{Code: wire.LicenceExceeded, Reason: "max-sessions reached"}
	case e.cfg.MaxPerAddress > 0 && e.byAddress[addr] >= e.cfg.MaxPerAddress:
		return &wire.Rejection{Code: wire.LicenceExceeded, Reason: "max-sessions-per-address reached"}
	}
	e.byAddress[addr]++
	return nil
}

func (e *Engine) release(addr netip.Addr) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.byAddress[addr]--; e.byAddress[addr] <= 0 {
		delete(e.byAddress, addr)
	}
}

func (e *Engine) add(s *Session) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return &wire.Rejection{Code: wire.ServerInitialising, Reason: "the server is closing"}
	}
	if e.cfg.MaxSessions > 0 && len(e.byID) >= e.cfg.MaxSessions { // others came while this one authenticated
		return &wire.Rejection{Code: wire.LicenceExceeded, Reason: "max-sessions reached"}
	}
	s.counted(true)
	e.stats.opened[s.route.Load().transport.index()].Add(1)
	for e.byToken[s.token.key()] != nil { // by as good as never
		s.token = newToken()
	}
	e.byToken[s.token.key()] = s
	e.byID[s.id.Value] = s
	e.index.move(s, nil, s.identity.Load())
	e.clock.add(s)
	return nil
}

// finish takes a closed session apart, away from whoever closed it, who may
// hold any lock.
func (e *Engine) finish(s *Session) {
	e.mu.Lock()
	delete(e.byToken, s.token.key())
	delete(e.byID, s.id.Value)
	e.mu.Unlock()
	e.index.move(s, s.identity.Load(), nil)
	e.clock.remove(s)
	e.release(s.addr)
	s.in.Lock()
	s.forgetRegistrations()
	s.in.Unlock()
	s.mu.Lock()
	unanswered := s.pending.clear()
	s.mu.Unlock()
	s.giveUp(unanswered)
	e.tree.Close(&s.client)
	e.removals.scheduler.SessionClosed(s.id.String())
	e.finished.Done()
}

// all returns every session, connected or not.
func (e *Engine) all() []*Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := make([]*Session, 0, len(e.byID))
	for _, s := range e.byID {
		all = append(all, s)
	}
	return all
}

func (e *Engine) session(id wire.SessionID) *Session {
	e.mu.Lock()
	defer e.mu.Unlock()
	if id.Server != e.run {
		return nil
	}
	return e.byID[id.Value]
}

func (e *Engine) sessionByToken(text string) *Session {
	t, ok := parseToken(text)
	if !ok {
		return nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if s := e.byToken[t.key()]; s != nil && subtle.ConstantTimeCompare(s.token[:], t[:]) == 1 {
		return s
	}
	return nil
}

// uptime is how long the engine has run, by a clock that nobody sets.
func (e *Engine) uptime() time.Duration { return time.Since(e.started) }

// A token is a secret. Its text is 24 characters, safe in a URL and in a header.
type token [18]byte

func newToken() (t token) {
	_, _ = rand.Read(t[:]) // never fails
	return t
}

func parseToken(text string) (t token, ok bool) {
	if len(text) != base64.URLEncoding.EncodedLen(len(t)) {
		return t, false
	}
	n, err := base64.URLEncoding.Strict().Decode(t[:], []byte(text))
	return t, err == nil && n == len(t)
}

// String returns the text of the token.
func (t *token) String() string { return base64.URLEncoding.EncodeToString(t[:]) }

// key is the part of the token by which its session is found.
func (t *token) key() uint64 { return binary.BigEndian.Uint64(t[:]) }
