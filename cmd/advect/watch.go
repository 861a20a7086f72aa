package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"advect.dev"
)

type watchCmd struct {
	Selectors []string   `arg:"" name:"selector" help:"Topic selectors, or paths."`
	Count     int        `placeholder:"N" help:"End after N changes; 0 goes on until Ctrl-C."`
	JSON      bool       `name:"json" help:"One JSON object for each change."`
	Server    connection `embed:""`
}

func (*watchCmd) Help() string { return watchHelp }

// Run shows which topics come and go until a signal comes.
func (c *watchCmd) Run(std *streams) error {
	err := c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		shown := 0
		for n, err := range advect.Notifications(ctx, session, c.Selectors...) {
			if err != nil {
				return err
			}
			if err := c.print(std.out, time.Now(), &n); err != nil {
				return err
			}
			if shown++; shown == c.Count {
				return nil
			}
		}
		return nil
	})
	if errors.Is(err, errInterrupted) {
		return nil // the usual way to end it
	}
	return err
}

func (c *watchCmd) print(w io.Writer, now time.Time, n *advect.TopicNotification) error {
	kind := strings.ToLower(n.Kind.String())
	if c.JSON {
		line := watchLine{Time: now.UTC(), Event: kind, Path: n.Path, Below: !n.Direct}
		if n.Direct {
			line.Type, line.Properties = n.Specification.Type.String(), n.Specification.Properties
		}
		return printLine(w, line)
	}
	what := "a branch below it"
	if n.Direct {
		what = n.Specification.Type.String()
	}
	colour := paletteFor(w)
	_, err := fmt.Fprintf(w, "%s  %-10s  %s  %s\n", colour.dim(clock(now)), kind, colour.name(oneLine(n.Path)), colour.dim(what))
	return err
}

// watchLine is a change in JSON lines.
type watchLine struct {
	Time       time.Time         `json:"time"`
	Event      string            `json:"event"`
	Path       string            `json:"path"`
	Below      bool              `json:"below,omitempty"`
	Type       string            `json:"type,omitempty"`
	Properties map[string]string `json:"properties,omitempty"`
}
