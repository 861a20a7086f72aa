package advect

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestRetryStrategy(t *testing.T) {
	for _, c := range []struct {
		strategy RetryStrategy
		retries  int // of the first 100 failures
	}{
		{RetryStrategy{}, 0},
		{RetryStrategy{Attempts: 5, Interval: time.Second}, 5},
		{RetryStrategy{Attempts: 5}, 5},
		{RetryStrategy{Interval: time.Second}, 100},
	} {
		retries := 0
		for attempt := 1; attempt <= 100; attempt++ {
			wait, again := c.strategy.retry(attempt, nil)
			if again {
				retries++
			}
			if again && wait != c.strategy.Interval {
				t.Errorf("%+v waits %v", c.strategy, wait)
			}
		}
		if retries != c.retries {
			t.Errorf("%+v retries %d times, want %d", c.strategy, retries, c.retries)
		}
	}
}

func TestBackoff(t *testing.T) {
	const ms = time.Millisecond
	want := []time.Duration{100 * ms, 200 * ms, 400 * ms, 800 * ms, 1600 * ms, 3200 * ms, 5000 * ms, 5000 * ms}
	for i, w := range want {
		if got := backoff(100*ms, 5000*ms, i+1); got != w {
			t.Errorf("attempt %d waits %v, want %v", i+1, got, w)
		}
	}
	if got := backoff(time.Hour, time.Second, 1); got != time.Second {
		t.Errorf("least above most waits %v", got)
	}
	if got := backoff(1, 1<<63-1, 1<<30); got != 1<<63-1 {
		t.Errorf("the wait overflows to %v", got)
	}
	if got := backoff(0, time.Second, 1000); got != 0 {
		t.Errorf("no wait doubles to %v", got)
	}
}

func TestStrategies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		took := func(s ReconnectStrategy, number int) time.Duration {
			start := time.Now()
			if err := s(t.Context(), ReconnectAttempt{Number: number}); err != nil {
				t.Error(err)
			}
			return time.Since(start)
		}
		for n := 1; n < 4; n++ {
			if got := took(FixedDelay(5*time.Second), n); got != 5*time.Second {
				t.Errorf("fixed delay of %v", got)
			}
		}
		least, most := time.Hour, time.Duration(0)
		for range 1000 {
			d := took(ExponentialBackoff(100*time.Millisecond, 5*time.Second), 3)
			least, most = min(least, d), max(most, d)
		}
		if least < 200*time.Millisecond || least > 220*time.Millisecond || most > 400*time.Millisecond || most < 380*time.Millisecond {
			t.Errorf("third attempt after %v to %v", least, most)
		}
		if got := took(ExponentialBackoff(0, 0), 1); got != 0 {
			t.Errorf("no backoff takes %v", got)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cause := errors.New("enough")
		time.AfterFunc(time.Second, func() { cancel(cause) })
		start := time.Now()
		if err := FixedDelay(time.Hour)(ctx, ReconnectAttempt{}); !errors.Is(err, cause) || time.Since(start) != time.Second {
			t.Errorf("ended with %v", err)
		}
	})
}
