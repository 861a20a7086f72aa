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
// is UNSATISFIED_CONSTRAINT, or INVALID_DATA if it takes too long to tell.
func (t *Tree) satisfied(c *service.Constraint, path string, n *Topic) error {
	if c == nil || c.Kind == service.Unconstrained {
		return nil
	}
	e := evaluation{tree: t, topic: n, work: maxConstraintWork}
	if n != nil {
		e.value, e.has = n.plain()
	}
	switch ok := e.satisfies(c); {
	case e.work < 0:
		return wire.Errorf(wire.CodeInvalidData, "the constraint for path %s has too many conditions for a value of %d bytes", path, len(e.value))
	case !ok:
		return wire.Errorf(wire.CodeUnsatisfied, "the constraint for path %s is not satisfied", path)
	}
	return nil
}

// maxConstraintWork is how much of values, in bytes, the evaluation of a
// constraint may read: each of its conditions reads the value once.
const maxConstraintWork = 256 << 20

// An evaluation is that of a constraint against a topic.
type evaluation struct {
	tree  *Tree
	topic *Topic // nil: none
	value []byte
	has   bool // topic has value
	work  int  // bytes that may still be read; negative: the result is void
}

// read takes note that the value is read once more, and reports whether it may be.
func (e *evaluation) read() bool {
	e.work -= len(e.value)
	return e.work >= 0
}

func (e *evaluation) satisfies(c *service.Constraint) bool {
	switch c.Kind {
	case service.Unconstrained:
		return true
	case service.Conjunction:
		return e.satisfies(c.Left) && e.satisfies(c.Right)
	case service.Disjunction:
		return e.satisfies(c.Left) || e.satisfies(c.Right)
	case service.NoTopic:
		return e.topic == nil
	case service.Locked:
		return e.tree.locked(c)
	case service.NoValue:
		return e.topic != nil && !e.has
	case service.TopicValue:
		return e.has && e.read() && valueSatisfies(&c.Condition, e.topic.spec.valueType, e.value)
	case service.PartialJSON:
		return e.has && e.topic.spec.valueType == topic.JSON && e.partsSatisfy(c)
	}
	return false
}

// locked reports whether the lock of a constraint is held.
func (t *Tree) locked(c *service.Constraint) bool {
	return t.config.Locked != nil && t.config.Locked(c.Lock, c.Sequence)
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

// partsSatisfy evaluates the conditions on parts of a document. What a pointer
// does not find satisfies none of them, nor does a document that cannot be read.
func (e *evaluation) partsSatisfy(c *service.Constraint) bool {
	document := datatype.JSONFromBytes(e.value)
	if _, ok := document.Get(""); !ok || !e.read() {
		return false
	}
	for pointer, condition := range c.With {
		part, ok := document.Get(pointer)
		if !ok || !itemSatisfies(&condition, part) || !e.read() {
			return false
		}
	}
	for _, pointer := range c.Without {
		if _, ok := document.Get(pointer); ok || !e.read() {
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
		return t.locked(c)
	case service.Conjunction:
		return t.holdsLocks(c.Left) && t.holdsLocks(c.Right)
	case service.Disjunction:
		return t.holdsLocks(c.Left) || t.holdsLocks(c.Right)
	}
	return true
}
