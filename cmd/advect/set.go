package main

import (
	"context"
	"errors"
	"fmt"

	"advect.dev"
	"advect.dev/datatype"
)

type setCmd struct {
	Path      string `arg:"" help:"Path of the topic."`
	valueArg  `embed:""`
	Create    bool       `xor:"new" help:"Add the topic if there is none."`
	Add       bool       `xor:"new" help:"Add the topic; that there is one already is an error."`
	IfValue   *string    `xor:"if" placeholder:"VALUE" help:"Only if the topic has this value, of the same type."`
	IfNoValue bool       `xor:"if" help:"Only if the topic has no value."`
	Server    connection `embed:""`
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
		existing, err := existing(ctx, session.Topics(), c.Path)
		if err != nil {
			return err
		}
		value, err := c.value(text, existing)
		if err != nil {
			return err
		}
		condition, err := c.condition(value.Type())
		if err != nil {
			return err
		}
		return c.set(ctx, session.Topics(), existing, value, advect.If(condition))
	})
}

// condition returns the constraint that the flags ask for.
func (c *setCmd) condition(t datatype.Type) (advect.Constraint, error) {
	switch {
	case c.IfNoValue:
		return advect.NoValue(), nil
	case c.IfValue != nil:
		old, err := parseValue(t, []byte(*c.IfValue))
		if err != nil {
			return advect.Constraint{}, fmt.Errorf("--if-value %q is not a value of type %s: %w", *c.IfValue, t, err)
		}
		return advect.ValueIs(old), nil
	}
	return advect.Constraint{}, nil
}

func (c *setCmd) set(ctx context.Context, topics *advect.Topics, existing *advect.Specification, value datatype.Value, condition advect.UpdateOption) error {
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
		_, err := topics.AddAndSet(ctx, c.Path, spec, value, condition)
		return err
	}
	err := topics.Set(ctx, c.Path, value, condition)
	if errors.Is(err, advect.ErrNoSuchTopic) {
		return fmt.Errorf("%w. Try: --create", err)
	}
	return err
}
