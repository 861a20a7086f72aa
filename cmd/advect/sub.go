package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

type subCmd struct {
	Selectors []string   `arg:"" name:"selector" help:"Topic selectors, or paths."`
	Count     int        `placeholder:"N" help:"End after N values; 0 goes on until Ctrl-C."`
	JSON      bool       `name:"json" help:"One JSON object for each event."`
	Server    connection `embed:""`
}

func (*subCmd) Help() string { return subHelp }

// Run shows changes until a signal comes, the session closes or enough was shown.
func (c *subCmd) Run(std *streams) error {
	colour := paletteFor(std.err)
	states := func(_ *advect.Session, old, new advect.State) {
		if text := transition(old, new); text != "" {
			fmt.Fprintln(std.err, colour.alert("-- "+text+" --"))
		}
	}
	err := c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		if err := c.subscribe(ctx, session.Topics()); err != nil {
			return err
		}
		return c.follow(ctx, std, session.Topics())
	}, advect.WithStateListener(states))
	if errors.Is(err, errInterrupted) {
		return nil // the usual way to end it
	}
	return err
}

// transition says what a change of state means to who watches values.
func transition(old, new advect.State) string {
	switch {
	case new.IsRecovering():
		return "connection lost, reconnecting"
	case new.IsConnected() && old.IsRecovering():
		return "connected again"
	case new.IsConnected():
		return "connected"
	}
	return ""
}

func (c *subCmd) subscribe(ctx context.Context, topics *advect.Topics) error {
	ctx, cancel := c.Server.request(ctx)
	defer cancel()
	return topics.Subscribe(ctx, c.Selectors...)
}

func (c *subCmd) follow(ctx context.Context, std *streams, topics *advect.Topics) error {
	selector, err := advect.JoinSelectors(c.Selectors...)
	if err != nil {
		return err
	}
	show := c.showText
	if c.JSON {
		show = c.showJSON
	}
	values := 0
	for event, err := range advect.Events[datatype.Value](ctx, topics, selector) {
		if lost := (*advect.TopicError)(nil); errors.As(err, &lost) {
			fmt.Fprintln(std.err, "advect:", err)
			continue
		}
		if err != nil {
			return err
		}
		if err := show(std.out, time.Now(), &event); err != nil {
			return fmt.Errorf("write: %w", err)
		}
		if event.Kind == advect.EventValue {
			values++
		}
		if values == c.Count && values > 0 {
			return nil
		}
	}
	return nil
}

// showText prints a line for people: time, path, value.
func (c *subCmd) showText(w io.Writer, now time.Time, event *advect.Event[datatype.Value]) error {
	colour := paletteFor(w)
	what := ""
	switch event.Kind {
	case advect.EventValue:
		what = readable(event.Value)
		if event.Event != nil {
			what += colour.dim("  " + eventText(event.Event))
		}
		if event.Skipped > 0 {
			what += colour.dim(fmt.Sprintf("  (%d skipped)", event.Skipped))
		}
	case advect.EventUnsubscribe:
		what = colour.alert("-- " + strings.ToLower(event.Reason.String()) + " --")
	default:
		return nil
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s\n", colour.dim(clock(now)), colour.name(oneLine(event.Path)), what)
	return err
}

// eventLine is an event in JSON lines.
type eventLine struct {
	Time  time.Time       `json:"time"`
	Event string          `json:"event"`
	Path  string          `json:"path"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value,omitempty"`
	eventFields
	Skipped int    `json:"skipped,omitempty"`
	Reason  string `json:"reason,omitempty"`
}

func (c *subCmd) showJSON(w io.Writer, now time.Time, event *advect.Event[datatype.Value]) error {
	line := eventLine{
		Time: now.UTC(), Event: event.Kind.String(), Path: event.Path, Type: event.Specification.Type.String(),
		Skipped: event.Skipped,
	}
	switch event.Kind {
	case advect.EventValue:
		line.Value = jsonValue(event.Value)
		line.eventFields = newEventFields(event.Event)
	case advect.EventUnsubscribe:
		line.Reason = event.Reason.String()
	}
	return printLine(w, line)
}
