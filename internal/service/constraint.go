package service

import (
	"maps"
	"slices"

	"advect.dev/internal/wire"
)

// ConstraintKind is the kind of an update constraint (23 section 3).
type ConstraintKind byte

// The kinds of constraint.
const (
	Unconstrained ConstraintKind = 0
	Conjunction   ConstraintKind = 1
	TopicValue    ConstraintKind = 2
	NoValue       ConstraintKind = 3
	Locked        ConstraintKind = 4
	NoTopic       ConstraintKind = 5
	PartialJSON   ConstraintKind = 6
	Disjunction   ConstraintKind = 7
)

// A Constraint is a condition on which an update depends. The zero value is
// always satisfied.
type Constraint struct {
	Kind        ConstraintKind
	Left, Right *Constraint // Conjunction, Disjunction
	Condition   Condition   // TopicValue
	Lock        string      // Locked
	Sequence    int64       // Locked
	With        map[string]Condition
	Without     []string // PartialJSON: JSON pointers
}

// A Condition compares a value with the given bytes, which are a value of the
// condition's type, or with OperatorIs of any type.
type Condition struct {
	Operator Operator
	Type     ConditionType
	Value    []byte
}

// Numeric reports whether the condition compares numbers.
func (c *Condition) Numeric() bool { return c.Type == ConditionInt64 || c.Type == ConditionDouble }

// An Operator is how a condition compares.
type Operator byte

// The operators.
const (
	OperatorIs             Operator = 1 // equal bytes
	OperatorEqual          Operator = 2
	OperatorNotEqual       Operator = 3
	OperatorGreater        Operator = 4
	OperatorGreaterOrEqual Operator = 5
	OperatorLess           Operator = 6
	OperatorLessOrEqual    Operator = 7
)

// Holds reports whether the operator holds for values that compare as -1, 0 or 1.
func (o Operator) Holds(order int) bool {
	switch o {
	case OperatorEqual:
		return order == 0
	case OperatorNotEqual:
		return order != 0
	case OperatorGreater:
		return order > 0
	case OperatorGreaterOrEqual:
		return order >= 0
	case OperatorLess:
		return order < 0
	case OperatorLessOrEqual:
		return order <= 0
	}
	return false
}

// A ConditionType is the type of the value that a condition compares with.
type ConditionType byte

// The types.
const (
	ConditionNull     ConditionType = 0
	ConditionString   ConditionType = 1
	ConditionInt64    ConditionType = 2
	ConditionDouble   ConditionType = 3
	ConditionBinary   ConditionType = 4
	ConditionJSON     ConditionType = 5
	ConditionRecordV2 ConditionType = 6
	ConditionBoolean  ConditionType = 7
)

const (
	maxConstraintDeep = 100
	maxConstraints    = 10_000 // in one request: each takes many times its bytes
)

func (c *Condition) append(b []byte) []byte {
	return wire.AppendBytes(append(b, byte(c.Operator), byte(c.Type)), c.Value)
}

func (c *Condition) read(r *wire.Reader) {
	c.Operator, c.Type, c.Value = Operator(r.Byte()), ConditionType(r.Byte()), r.Bytes()
	if c.Operator == 0 || c.Operator > OperatorLessOrEqual {
		r.Fail("unknown constraint operator %d", c.Operator)
	}
	if c.Type > ConditionBoolean {
		r.Fail("unknown constraint value type %d", c.Type)
	}
}

func (c *Constraint) append(b []byte) []byte {
	b = append(b, byte(c.Kind))
	switch c.Kind {
	case Conjunction, Disjunction:
		b = c.Right.append(c.Left.append(b))
	case TopicValue:
		b = c.Condition.append(b)
	case Locked:
		b = wire.AppendInt64(wire.AppendString(b, c.Lock), c.Sequence)
	case PartialJSON:
		b = wire.AppendInt32(b, int32(len(c.With)))
		for _, pointer := range slices.Sorted(maps.Keys(c.With)) {
			condition := c.With[pointer]
			b = condition.append(wire.AppendString(b, pointer))
		}
		b = wire.AppendStrings(b, c.Without)
	}
	return b
}

func (c *Constraint) read(r *wire.Reader) {
	left := maxConstraints
	c.readNested(r, maxConstraintDeep, &left)
}

// readNested reads a constraint at most deep levels deep, of at most left parts.
func (c *Constraint) readNested(r *wire.Reader, deep int, left *int) {
	if *left--; *left < 0 {
		r.Fail("more than %d constraints", maxConstraints)
		return
	}
	c.Kind = ConstraintKind(r.Byte())
	switch c.Kind {
	case Unconstrained, NoValue, NoTopic:
	case Conjunction, Disjunction:
		if deep == 0 {
			r.Fail("constraints nested deeper than %d", maxConstraintDeep)
			return
		}
		c.Left, c.Right = new(Constraint), new(Constraint)
		c.Left.readNested(r, deep-1, left)
		c.Right.readNested(r, deep-1, left)
	case TopicValue:
		c.Condition.read(r)
	case Locked:
		c.Lock, c.Sequence = r.String(), r.Int64()
	case PartialJSON:
		n := r.Count(4)
		if n > 0 {
			c.With = make(map[string]Condition, n)
		}
		for range n {
			pointer := r.String()
			var condition Condition
			condition.read(r)
			c.With[pointer] = condition
		}
		c.Without = r.Strings()
	default:
		r.Fail("unknown constraint kind %d", c.Kind)
	}
}
