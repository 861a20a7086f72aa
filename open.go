package advect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"advect.dev/internal/client"
	"advect.dev/internal/wire"
)

// Open opens a session and returns when it is connected, or with the
// [*CloseReason] that kept it from that.
//
// url is transport[s]://host[:port][/path], with transport ws (WebSocket) or xhr
// (HTTP long polling), and overrides [WithHost], [WithPort], [WithSecure],
// [WithPath] and [WithTransports]. A bare host or host:port is ws, or wss on
// port 443. The port is 80, or 443 if secure, unless given; the path always ends
// in "/diffusion", which is appended if it is not there. With an empty url the
// options say where to connect.
//
// ctx bounds the opening, beside [WithConnectionTimeout], and not the session.
func Open(ctx context.Context, url string, opts ...Option) (*Session, error) {
	opt, err := resolve(url, opts)
	if err != nil {
		return nil, fmt.Errorf("open session: %w", err)
	}
	s := newSession(opt)
	conn, res, reason := s.connect(ctx)
	if reason != nil {
		s.fail(reason)
		s.sink.closed(reason)
		close(s.finished)
		return nil, fmt.Errorf("open session: %w", reason)
	}
	s.mu.Lock()
	s.id = res.SessionID
	s.maxMessage = acceptable(res)
	l := s.attach(conn, res)
	s.mu.Unlock()
	go s.run(l)
	return s, nil
}

// connect walks the transports as often as the retry strategy says (protocol 01
// section 9).
func (s *Session) connect(caller context.Context) (client.Conn, wire.ConnectResponse, *CloseReason) {
	timeout := fmt.Errorf("not connected within %v", s.opt.connectionTimeout)
	ctx, cancel := context.WithTimeoutCause(caller, s.opt.connectionTimeout, timeout)
	defer cancel()
	var last error
	for attempt := 1; ; attempt++ {
		conn, res, err := client.Connect(ctx, s.opt.transports, &s.opt.target, s.opt.request())
		if err == nil {
			return conn, res, nil
		}
		if ctx.Err() == nil {
			reason := connectFailure(err)
			s.opt.log.Debug("opening failed", "attempt", attempt, "error", reason)
			var refused *Rejection
			if errors.As(err, &refused) {
				return nil, res, reason
			}
			wait, again := s.opt.retry(attempt, reason)
			if !again {
				return nil, res, reason
			}
			last = reason
			err = sleep(ctx, wait)
		}
		if err != nil {
			return nil, res, contextEnd(caller, withLast(err, last))
		}
	}
}

// An Opening is a session that is being opened by [OpenAsync].
type Opening struct {
	cancel  context.CancelFunc
	done    chan struct{}
	session *Session // set before done is closed, as is err
	err     error

	mu        sync.Mutex
	complete  bool
	callbacks []func(*Session, error)
}

// OpenAsync starts to open a session as [Open] does and returns at once.
func OpenAsync(url string, opts ...Option) *Opening {
	ctx, cancel := context.WithCancel(context.Background())
	o := &Opening{cancel: cancel, done: make(chan struct{})}
	go func() {
		defer cancel()
		o.session, o.err = Open(ctx, url, opts...)
		close(o.done)
		o.mu.Lock()
		o.complete = true
		callbacks := o.callbacks
		o.mu.Unlock()
		for _, f := range callbacks {
			f(o.session, o.err)
		}
	}()
	return o
}

// Done returns a channel that is closed when the opening has succeeded or failed.
func (o *Opening) Done() <-chan struct{} { return o.done }

// Await waits for the session. When ctx ends first, its error is returned and
// the opening goes on.
func (o *Opening) Await(ctx context.Context) (*Session, error) {
	select {
	case <-o.done:
		return o.session, o.err
	default:
	}
	select {
	case <-o.done:
		return o.session, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Cancel gives up: the opening fails as [ErrClosedByClient], unless it is
// already done, and then nothing happens.
func (o *Opening) Cancel() { o.cancel() }

// OnComplete calls f once, on a goroutine of its own or of the opening, when
// the opening has succeeded or failed; at once if it already has.
func (o *Opening) OnComplete(f func(*Session, error)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.complete {
		go f(o.session, o.err)
		return
	}
	o.callbacks = append(o.callbacks, f)
}
