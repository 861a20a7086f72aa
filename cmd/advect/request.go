package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

type requestCmd struct {
	Path     string `arg:"" help:"Path of the request."`
	valueArg `embed:""`
	Session  string     `xor:"to" placeholder:"ID" help:"Ask this session."`
	Filter   string     `xor:"to" placeholder:"FILTER" help:"Ask all sessions that the filter selects."`
	JSON     bool       `name:"json" help:"One JSON object for each answer."`
	Server   connection `embed:""`
}

func (*requestCmd) Help() string { return requestHelp }

// Run sends a request and prints the answer, or answers.
func (c *requestCmd) Run(std *streams) error {
	text, err := c.text(std.in)
	if err != nil {
		return err
	}
	value, err := c.value(text, nil)
	if err != nil {
		return err
	}
	var target advect.SessionID
	if c.Session != "" {
		if target, err = advect.ParseSessionID(c.Session); err != nil {
			return &usageError{err}
		}
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		m := session.Messaging()
		if c.Filter != "" {
			return c.askAll(ctx, std, m, value)
		}
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		var answer datatype.Value
		if c.Session != "" {
			answer, err = advect.SendRequestToSession[datatype.Value](ctx, m, target, c.Path, value)
		} else {
			answer, err = advect.SendRequest[datatype.Value](ctx, m, c.Path, value)
		}
		switch {
		case err != nil && !errors.Is(err, advect.ErrNoValue):
			return err
		case c.JSON:
			return printLine(std.out, answerLine{Value: jsonValue(answer)})
		}
		_, err = fmt.Fprintln(std.out, readable(answer))
		return err
	})
}

// askAll asks the sessions of a filter.
func (c *requestCmd) askAll(ctx context.Context, std *streams, m *advect.Messaging, value datatype.Value) error {
	answers, failed := 0, 0
	for a, err := range advect.SendRequestToFilter[datatype.Value](ctx, m, c.Filter, c.Path, value) {
		if err != nil {
			return err
		}
		answers++
		if a.Err != nil {
			failed++
		}
		switch {
		case c.JSON:
			line := answerLine{Session: a.SessionID.String(), Value: jsonValue(a.Response)}
			if a.Err != nil {
				line.Value, line.Error = nil, a.Err.Error()
			}
			err = printLine(std.out, line)
		case a.Err != nil:
			_, err = fmt.Fprintf(std.err, "advect: %s: %v\n", a.SessionID, a.Err)
		default:
			_, err = fmt.Fprintf(std.out, "%s  %s\n", paletteFor(std.out).name(a.SessionID.String()), readable(a.Response))
		}
		if err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d sessions did not answer with a value", failed, answers)
	}
	return nil
}

// answerLine is an answer in JSON lines.
type answerLine struct {
	Session string `json:"session,omitempty"`
	Value   any    `json:"value,omitempty"`
	Error   string `json:"error,omitempty"`
}

type respondCmd struct {
	Path   string     `arg:"" help:"Path to answer requests at."`
	Answer string     `arg:"" optional:"" help:"The answer, of the type that set would choose. Without it the request is the answer."`
	Reject string     `placeholder:"TEXT" help:"Reject every request, with this text."`
	Direct bool       `help:"Answer requests to this session, by its id or a filter, instead of those to the path."`
	Count  int        `placeholder:"N" help:"End after N requests; 0 goes on until Ctrl-C."`
	Server connection `embed:""`
}

func (*respondCmd) Help() string { return respondHelp }

// Run answers requests until a signal comes.
func (c *respondCmd) Run(std *streams) error {
	err := c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		requests, closed := make(chan advect.Request[datatype.Value]), make(chan error, 1)
		answer := func(asked context.Context, r advect.Request[datatype.Value]) (datatype.Value, error) {
			select {
			case requests <- r: // printed before it is answered
			case <-asked.Done():
			case <-ctx.Done():
			}
			return c.answer(&r)
		}
		handle, err := c.add(ctx, session, answer, advect.WithConcurrency(1), advect.WithOnClose(func(err error) { closed <- err }))
		if err != nil {
			return err
		}
		if _, err := fmt.Fprintf(std.err, "advect: responding path=%s session=%s\n", c.Path, session.ID()); err != nil {
			return err
		}
		for shown := 0; ; {
			select {
			case r := <-requests:
				if err := c.print(std.out, time.Now(), &r); err != nil {
					return err
				}
				if shown++; shown < c.Count || c.Count == 0 {
					continue
				}
				if err := handle.Close(ctx); err != nil {
					return err
				}
				return <-closed // after the answer
			case err := <-closed:
				return err
			case <-ctx.Done():
				return context.Cause(ctx)
			}
		}
	})
	if errors.Is(err, errInterrupted) {
		return nil // the usual way to end it
	}
	return err
}

func (c *respondCmd) add(ctx context.Context, session *advect.Session, answer advect.RequestFunc[datatype.Value, datatype.Value], opts ...advect.RequestHandlerOption) (*advect.RequestHandle, error) {
	if c.Direct {
		return advect.AddRequestStream(session.Messaging(), c.Path, answer, opts...)
	}
	ctx, cancel := c.Server.request(ctx)
	defer cancel()
	opts = append(opts, advect.WithSenderProperties("$Principal"))
	return advect.AddRequestHandler(ctx, session.Messaging(), c.Path, answer, opts...)
}

func (c *respondCmd) answer(r *advect.Request[datatype.Value]) (datatype.Value, error) {
	switch {
	case c.Reject != "":
		return nil, advect.Reject("%s", c.Reject)
	case c.Answer != "":
		return guess([]byte(c.Answer)), nil
	case r.Null:
		return nil, advect.Reject("null cannot be echoed")
	}
	return r.Value, nil
}

func (c *respondCmd) print(w io.Writer, now time.Time, r *advect.Request[datatype.Value]) error {
	colour := paletteFor(w)
	from := ""
	if !c.Direct {
		from = r.Sender.String() + "  " + propertiesText(r.Properties) + "  "
	}
	_, err := fmt.Fprintf(w, "%s  %s  %s%s\n", colour.dim(clock(now)), colour.name(oneLine(r.Path)), colour.dim(from), readable(r.Value))
	return err
}
