package tree

import (
	"bytes"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// satisfied evaluates a constraint against the topic at a path, whose mu is held,
// or nil for none (23 section 3.1). No constraint is always satisfied; the error
// is UNSATISFIED_CONSTRAINT.
func (t *Tree) satisfied(c *service.Constraint, path string, n *Topic) error {
	if c == nil || t.evaluate(c, n) {
		return nil
	}
	return wire.Errorf(wire.CodeUnsatisfied, "the constraint for path %s is not satisfied", path)
}

func (t *Tree) evaluate(c *service.Constraint, n *Topic) bool {
	switch c.Kind {
	case service.Unconstrained:
		return true
	case service.Conjunction:
		return t.evaluate(c.Left, n) && t.evaluate(c.Right, n)
	case service.Disjunction:
		return t.evaluate(c.Left, n) || t.evaluate(c.Right, n)
	case service.NoTopic:
		return n == nil
	case service.Locked:
		return t.config.Locked != nil && t.config.Locked(c.Lock, c.Sequence)
	}
	if n == nil {
		return false
	}
	value, has := n.plain()
	switch c.Kind {
	case service.NoValue:
		return !has
	case service.TopicValue:
		return has && valueSatisfies(&c.Condition, n.spec.valueType, value)
	case service.PartialJSON:
		return has && n.spec.valueType == topic.JSON && partSatisfies(c, datatype.JSONFromBytes(value))
	}
	return false
}

// valueSatisfies evaluates a condition on a whole value (23 section 3.2).
func valueSatisfies(c *service.Condition, t topic.Type, value []byte) bool {
	if c.Operator == service.OperatorIs {
		return bytes.Equal(value, c.Value)
	}
	if !t.HasNull() || c.Type != service.ConditionString && !c.Numeric() {
		return false
	}
	scalar, ok := datatype.ScalarOf(datatype.Type(t), value)
	return ok && compares(c, scalar)
}

// partSatisfies evaluates the conditions on parts of a document. What a pointer
// does not find satisfies none of them.
func partSatisfies(c *service.Constraint, document datatype.JSON) bool {
	for pointer, condition := range c.With {
		part, ok := document.Get(pointer)
		if !ok || !itemSatisfies(&condition, part) {
			return false
		}
	}
	for _, pointer := range c.Without {
		if _, ok := document.Get(pointer); ok {
			return false
		}
	}
	return true
}

// itemSatisfies evaluates a condition on a part of a document (23 section 3.3).
func itemSatisfies(c *service.Condition, part datatype.JSON) bool {
	if c.Operator == service.OperatorIs {
		return bytes.Equal(part.Bytes(), c.Value)
	}
	item, ok := datatype.ScalarOf(datatype.TypeJSON, part.Bytes())
	if !ok {
		return false
	}
	switch c.Type {
	case service.ConditionNull:
		return c.Operator == service.OperatorEqual && item.IsNull() || c.Operator == service.OperatorNotEqual && !item.IsNull()
	case service.ConditionBoolean:
		is, ok := item.Bool()
		want, valid := scalarOf(datatype.TypeJSON, c.Value).Bool()
		return c.Operator == service.OperatorEqual && ok && valid && is == want
	}
	return compares(c, item)
}

// compares evaluates a condition that compares texts or numbers.
func compares(c *service.Condition, with datatype.Scalar) bool {
	switch {
	case c.Type == service.ConditionString:
		text, ok := with.Text()
		want, valid := scalarOf(datatype.TypeString, c.Value).Text()
		return ok && valid && (c.Operator == service.OperatorEqual && text == want || c.Operator == service.OperatorNotEqual && text != want)
	case c.Numeric():
		t := datatype.TypeInt64
		if c.Type == service.ConditionDouble {
			t = datatype.TypeDouble
		}
		order, ok := with.CompareNumber(scalarOf(t, c.Value))
		return ok && c.Operator.Holds(order)
	}
	return false
}

// scalarOf returns the zero Scalar, which satisfies nothing, for what is no value.
func scalarOf(t datatype.Type, b []byte) datatype.Scalar {
	s, _ := datatype.ScalarOf(t, b)
	return s
}

// locks reports whether a constraint depends on a session lock.
func locks(c *service.Constraint) bool {
	return c != nil && (c.Kind == service.Locked || c.Left != nil && (locks(c.Left) || locks(c.Right)))
}

// holdsLocks reports whether a constraint could be satisfied as far as its locks
// go: other parts are looked at only when a stream is opened (23 section 5.4).
func (t *Tree) holdsLocks(c *service.Constraint) bool {
	switch c.Kind {
	case service.Locked:
		return t.evaluate(c, nil)
	case service.Conjunction:
		return t.holdsLocks(c.Left) && t.holdsLocks(c.Right)
	case service.Disjunction:
		return t.holdsLocks(c.Left) || t.holdsLocks(c.Right)
	}
	return true
}
