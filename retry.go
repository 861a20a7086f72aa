package advect

import (
	"context"
	"math/rand/v2"
	"time"
)

// A RetryStrategy says how often an opening that failed is tried again. Each
// try walks the whole list of transports. Only transient failures are retried:
// a server that answers and refuses ends the opening at once. The connection
// timeout bounds all tries together.
//
// The zero value does not retry.
type RetryStrategy struct {
	// Interval is the wait before each retry.
	Interval time.Duration
	// Attempts is the number of retries, not counting the first try. 0 with an
	// Interval is no limit.
	Attempts int
}

// retry implements [RetryFunc].
func (r RetryStrategy) retry(attempt int, _ error) (time.Duration, bool) {
	if r.Attempts == 0 {
		return r.Interval, r.Interval > 0
	}
	return r.Interval, attempt <= r.Attempts
}

// A RetryFunc decides whether an opening is tried again after its try number
// attempt, counted from 1, failed with err, and how long to wait before that.
type RetryFunc func(attempt int, err error) (wait time.Duration, again bool)

// A ReconnectAttempt describes an attempt to reconnect that is about to be made.
type ReconnectAttempt struct {
	Session *Session
	// Number counts the attempts since the connection was lost, from 1.
	Number int
	// Err is why the last attempt failed, or why the connection was lost.
	Err error
}

// A ReconnectStrategy decides when a session that has lost its connection tries
// to connect again. It is called before each attempt, and waits until the time
// has come: nil starts the attempt, an error aborts, which closes the session
// as [ErrReconnectAborted] with the error as cause. ctx ends when the session is
// closed or the reconnection timeout has passed, and then the result does not
// matter. One call is made at a time for each session.
type ReconnectStrategy func(ctx context.Context, attempt ReconnectAttempt) error

// FixedDelay returns a strategy that waits the same time before each attempt.
func FixedDelay(delay time.Duration) ReconnectStrategy {
	return func(ctx context.Context, _ ReconnectAttempt) error { return sleep(ctx, delay) }
}

// ExponentialBackoff returns a strategy that waits for least before the first
// attempt and twice as long before each further one, up to most, less a random
// part of up to half, so that many clients do not come back all at once.
func ExponentialBackoff(least, most time.Duration) ReconnectStrategy {
	return func(ctx context.Context, attempt ReconnectAttempt) error {
		wait := backoff(least, most, attempt.Number)
		if half := int64(wait / 2); half > 0 {
			wait -= time.Duration(rand.Int64N(half + 1))
		}
		return sleep(ctx, wait)
	}
}

// backoff returns the longest wait before an attempt.
func backoff(least, most time.Duration, attempt int) time.Duration {
	wait := least
	for ; attempt > 1 && wait < most; attempt-- {
		if wait > most/2 {
			return most
		}
		wait *= 2
	}
	return min(wait, most)
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
