package tree

import (
	"bytes"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// satisfied evaluates a constraint against a topic, whose mu is held, or nil for
// none (23 section 3.1). The error is UNSATISFIED_CONSTRAINT, or UNSUPPORTED for
// the kinds that this server does not evaluate yet.
func satisfied(c *service.Constraint, path string, n *Topic) error {
	ok, err := evaluate(c, n)
	if err == nil && !ok {
		err = wire.Errorf(wire.CodeUnsatisfied, "the constraint for path %s is not satisfied", path)
	}
	return err
}

func evaluate(c *service.Constraint, n *Topic) (bool, error) {
	switch c.Kind {
	case service.Unconstrained:
		return true, nil
	case service.NoTopic:
		return n == nil, nil
	case service.NoValue:
		if n == nil {
			return false, nil
		}
		_, has := n.Value()
		return !has, nil
	case service.TopicValue:
		if c.Condition.Operator != service.OperatorIs {
			break
		}
		if n == nil {
			return false, nil
		}
		value, has := n.Value()
		return has && bytes.Equal(value, c.Condition.Value), nil
	case service.Conjunction, service.Disjunction:
		left, err := evaluate(c.Left, n)
		if err != nil {
			return false, err
		}
		right, err := evaluate(c.Right, n)
		if c.Kind == service.Conjunction {
			return left && right, err
		}
		return left || right, err
	}
	return false, wire.Errorf(wire.CodeUnsupported,
		"this server evaluates the constraints value (by bytes), noValue, noTopic, and, or; not yet this one")
}
