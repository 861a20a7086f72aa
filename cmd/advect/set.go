package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"

	"advect.dev"
	"advect.dev/datatype"
)

type setCmd struct {
	Path   string     `arg:"" help:"Path of the topic."`
	Value  string     `arg:"" help:"The value; - reads it from standard input."`
	Type   string     `enum:"auto,json,string,int64,double,binary" default:"auto" placeholder:"TYPE" help:"Type of the value: json, string, int64, double, binary or auto."`
	Create bool       `xor:"new" help:"Add the topic if there is none."`
	Add    bool       `xor:"new" help:"Add the topic; that there is one already is an error."`
	Server connection `embed:""`
}

func (*setCmd) Help() string { return setHelp }

// Run sets the value of a topic.
func (c *setCmd) Run(std *streams) error {
	text, err := c.text(std.in)
	if err != nil {
		return err
	}
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		ctx, cancel := c.Server.request(ctx)
		defer cancel()
		existing, err := c.existing(ctx, session.Topics())
		if err != nil {
			return err
		}
		value, err := c.value(text, existing)
		if err != nil {
			return err
		}
		return c.set(ctx, session.Topics(), existing, value)
	})
}

// text returns the value as it was given. The newline with which text from
// standard input usually ends is not part of it.
func (c *setCmd) text(in io.Reader) ([]byte, error) {
	if c.Value != "-" {
		return []byte(c.Value), nil
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read value: %w", err)
	}
	if c.Type != "binary" {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return text, nil
}

// existing returns the specification of the topic, or nil if there is none.
func (c *setCmd) existing(ctx context.Context, topics *advect.Topics) (*advect.Specification, error) {
	found, err := topics.FetchTopics(ctx, advect.FetchQuery{Selector: ">" + c.Path})
	if err != nil || len(found.Topics) == 0 {
		return nil, err
	}
	return &found.Topics[0].Specification, nil
}

func (c *setCmd) value(text []byte, existing *advect.Specification) (datatype.Value, error) {
	kind := c.Type
	if kind == "auto" && existing != nil {
		kind = existing.Type.String()
	}
	if kind == "auto" {
		return guess(text), nil
	}
	t, err := datatype.ParseType(kind)
	if err != nil {
		return nil, fmt.Errorf("topic %s is of type %s. Try: --type, with the type of the value", c.Path, kind)
	}
	value, err := parseValue(t, text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a value of type %s: %w", text, kind, err)
	}
	return value, nil
}

func (c *setCmd) set(ctx context.Context, topics *advect.Topics, existing *advect.Specification, value datatype.Value) error {
	spec := advect.NewSpecification(advect.TopicType(value.Type()))
	switch {
	case c.Add:
		result, err := topics.Add(ctx, c.Path, spec)
		if err == nil && result == advect.TopicExists {
			err = fmt.Errorf("add topic %s: %w", c.Path, advect.ErrTopicExists)
		}
		if err != nil {
			return err
		}
	case c.Create && existing == nil:
		_, err := topics.AddAndSet(ctx, c.Path, spec, value)
		return err
	}
	err := topics.Set(ctx, c.Path, value)
	if errors.Is(err, advect.ErrNoSuchTopic) {
		return fmt.Errorf("%w. Try: --create", err)
	}
	return err
}

// guess finds the type of a value for a topic that does not exist: a whole number
// of 64 bits is an int64, any other number a double, all other JSON is JSON, and
// what is left is a string.
func guess(text []byte) datatype.Value {
	for _, t := range []datatype.Type{datatype.TypeInt64, datatype.TypeDouble, datatype.TypeJSON} {
		if _, err := datatype.ParseJSON(text); err != nil {
			break
		}
		if v, err := parseValue(t, text); err == nil {
			return v
		}
	}
	return datatype.String(text)
}

func parseValue(t datatype.Type, text []byte) (datatype.Value, error) {
	switch t {
	case datatype.TypeJSON:
		return datatype.ParseJSON(text)
	case datatype.TypeString:
		return datatype.String(text), nil
	case datatype.TypeInt64:
		n, err := strconv.ParseInt(string(text), 10, 64)
		return datatype.Int64(n), err
	case datatype.TypeDouble:
		f, err := strconv.ParseFloat(string(text), 64)
		return datatype.Double(f), err
	case datatype.TypeBinary:
		return datatype.Binary(text), nil
	}
	return nil, errors.New("values of this type cannot be given as text")
}
