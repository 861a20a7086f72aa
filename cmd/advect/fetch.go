package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"advect.dev"
	"advect.dev/datatype"
)

// pageSize is how many topics a command asks for at a time: a request then takes
// the server little time and memory, however many topics there are.
const pageSize = 1000

type fetchCmd struct {
	Selectors []string   `arg:"" name:"path" help:"Paths or topic selectors."`
	Raw       bool       `xor:"form" help:"Only the values, as they are: binary as bytes, others one a line."`
	JSON      bool       `name:"json" xor:"form" help:"One JSON object for each topic."`
	Server    connection `embed:""`
}

func (*fetchCmd) Help() string { return fetchHelp }

// Run prints current values. What matches nothing is an error, but only after
// the rest is printed.
func (c *fetchCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		var missing []error
		for _, selector := range c.Selectors {
			found := false
			for topic, err := range session.Topics().FetchAll(ctx, advect.FetchQuery{Selector: selector, Values: true, Properties: true, First: pageSize}) {
				if err != nil {
					return err
				}
				found = true
				if err := c.print(std.out, &topic); err != nil {
					return err
				}
			}
			if !found {
				missing = append(missing, fmt.Errorf("no topic matches %s", selector))
			}
		}
		return errors.Join(missing...)
	})
}

func (c *fetchCmd) print(w io.Writer, topic *advect.FetchedTopic) error {
	value, err := topic.Value()
	var event *advect.EventMetadata
	if e, err := topic.Event(); err == nil {
		event = &e
	}
	if err != nil && !errors.Is(err, advect.ErrNoValue) {
		return err
	}
	switch {
	case c.JSON:
		return printLine(w, valueLine{topic.Path, topic.Specification.Type.String(), jsonValue(value), newEventFields(event)})
	case !c.Raw && event != nil:
		_, err = fmt.Fprintf(w, "%s  %s  %s\n", oneLine(topic.Path), readable(value), eventText(event))
	case !c.Raw:
		_, err = fmt.Fprintf(w, "%s  %s\n", oneLine(topic.Path), readable(value))
	case value != nil && value.Type() == datatype.TypeBinary:
		_, err = w.Write(value.Bytes())
	default:
		_, err = fmt.Fprintln(w, plainText(value))
	}
	return err
}

// valueLine is a value in JSON lines.
type valueLine struct {
	Path  string          `json:"path"`
	Type  string          `json:"type"`
	Value json.RawMessage `json:"value"`
	eventFields
}
