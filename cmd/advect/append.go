package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

type appendCmd struct {
	Path     string `arg:"" help:"Path of the time series."`
	valueArg `embed:""`
	Create   bool       `help:"Add the time series if there is none."`
	At       *time.Time `xor:"how" format:"2006-01-02T15:04:05.999999999Z07:00" placeholder:"TIME" help:"Time of the event, RFC 3339, instead of now. Not before that of the last one."`
	Edit     *int64     `xor:"how" placeholder:"N" help:"Edit the event with this sequence number."`
	Server   connection `embed:""`
}

func (*appendCmd) Help() string { return appendHelp }

// Run adds an event.
func (c *appendCmd) Run(std *streams) error {
	text, err := c.text(std.in)
	if err != nil {
		return err
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		topics := session.Topics()
		existing, err := existing(ctx, topics, c.Path)
		if err != nil {
			return err
		}
		value, err := c.value(text, existing)
		if err != nil {
			return err
		}
		if c.Create && existing == nil {
			if _, err := topics.Add(ctx, c.Path, advect.TimeSeriesOf(value.Type())); err != nil {
				return err
			}
		}
		event, err := c.append(ctx, topics, value)
		if err != nil {
			if errors.Is(err, advect.ErrNoSuchTopic) {
				return fmt.Errorf("%w. Try: --create", err)
			}
			return err
		}
		_, err = fmt.Fprintln(std.out, eventText(&event))
		return err
	})
}

func (c *appendCmd) append(ctx context.Context, topics *advect.Topics, value datatype.Value) (advect.EventMetadata, error) {
	switch {
	case c.Edit != nil:
		return topics.EditEvent(ctx, c.Path, *c.Edit, value)
	case c.At != nil:
		return topics.AppendAt(ctx, c.Path, value, *c.At)
	}
	return topics.Append(ctx, c.Path, value)
}
