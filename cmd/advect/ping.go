package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"advect.dev"
)

type pingCmd struct {
	Count    int        `short:"n" default:"4" placeholder:"N" help:"Round trips; 0 goes on until Ctrl-C."`
	Interval duration   `short:"i" default:"1s" placeholder:"DURATION" help:"From one round trip to the next."`
	Server   connection `embed:""`
}

func (*pingCmd) Help() string { return pingHelp }

// Run measures round trips.
func (c *pingCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		fmt.Fprintf(std.out, "session %s\n", session.ID())
		var times summary
		for n := 1; c.Count == 0 || n <= c.Count; n++ {
			took, err := c.once(ctx, session)
			if err != nil && ctx.Err() == nil {
				return err
			}
			if err != nil {
				break
			}
			times.add(took)
			fmt.Fprintf(std.out, "pong %d  %s ms\n", n, milliseconds(took))
			if n == c.Count || !sleep(ctx, time.Duration(c.Interval)) {
				break
			}
		}
		if times.n == 0 {
			return errors.New("no round trip")
		}
		fmt.Fprintln(std.out, times)
		return nil
	})
}

func (c *pingCmd) once(ctx context.Context, session *advect.Session) (time.Duration, error) {
	ctx, cancel := c.Server.request(ctx)
	defer cancel()
	details, err := session.PingServer(ctx)
	return details.RoundTrip, err
}

// sleep reports whether d has passed before ctx was done.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// summary is that of several round trips.
type summary struct {
	n                     int
	least, most, together time.Duration
}

func (s *summary) add(d time.Duration) {
	if s.n == 0 || d < s.least {
		s.least = d
	}
	s.most = max(s.most, d)
	s.together += d
	s.n++
}

func (s summary) String() string {
	return fmt.Sprintf("%d round trips, least %s ms, mean %s ms, most %s ms",
		s.n, milliseconds(s.least), milliseconds(s.together/time.Duration(s.n)), milliseconds(s.most))
}

func milliseconds(d time.Duration) string { return fmt.Sprintf("%.3f", float64(d)/1e6) }
