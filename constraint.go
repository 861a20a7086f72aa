package advect

import (
	"errors"
	"fmt"
	"slices"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// A Constraint is a condition on which the server makes an update, checked in
// the same step (protocol 23 section 3). Pass it with [If] to the calls that
// update topics: if it does not hold the call changes nothing and its error
// matches [ErrUnsatisfiedConstraint].
//
//	// Only the first to come sets the value.
//	err := topics.Set(ctx, "leader", me, advect.If(advect.NoValue()))
//
// Constraints are values: combine them with [Constraint.And] and
// [Constraint.Or], and use one as often as you like. The zero Constraint always
// holds. A constraint that makes no sense, such as a comparison of text by size,
// is an error of the call that it is passed to, which then sends nothing.
type Constraint struct {
	wire service.Constraint
	err  error
}

// An Operator compares a value with the one of a constraint.
type Operator byte

// The operators. IS means that the bytes of both values are equal. The others
// compare by content: 1, 1.0 and the text "1" are equal numbers, and EQ and NE
// with text compare the text of a number, which is "1.0" for the double 1.
const (
	IS Operator = 1
	EQ Operator = 2
	NE Operator = 3
	GT Operator = 4
	GE Operator = 5
	LT Operator = 6
	LE Operator = 7
)

// String returns the platform's name of the operator, such as "EQ".
func (o Operator) String() string {
	names := [...]string{"IS", "EQ", "NE", "GT", "GE", "LT", "LE"}
	if o >= IS && int(o) <= len(names) {
		return names[o-IS]
	}
	return fmt.Sprintf("OPERATOR_%d", byte(o))
}

// The types of the values in conditions (protocol 23 section 3).
const (
	conditionNull    = 0
	conditionString  = 1
	conditionInt64   = 2
	conditionDouble  = 3
	conditionBytes   = 4
	conditionBoolean = 7
)

// NoTopic holds if there is no topic at the path. It makes [Topics.AddAndSet]
// fail for a topic that exists.
func NoTopic() Constraint { return Constraint{wire: service.Constraint{Kind: service.NoTopic}} }

// NoValue holds if there is a topic at the path and it has no value.
func NoValue() Constraint { return Constraint{wire: service.Constraint{Kind: service.NoValue}} }

// Locked holds while the session lock is held, in the acquisition that gave it
// to its session: the server tells, so nothing is changed by who has lost the lock
// and not heard of it yet. An update stream becomes invalid when the lock is
// released or lost.
//
//	err := topics.Set(ctx, "leader", me, advect.If(advect.Locked(lock)))
func Locked(lock *Lock) Constraint {
	if lock == nil {
		return Constraint{err: errors.New("constraint: the lock is nil")}
	}
	return LockedAt(lock.name, lock.sequence)
}

// LockedAt holds while the session lock of a name is held, by whatever session, with
// the given sequence number. It is [Locked] for who was told of a [Lock].
func LockedAt(name string, sequence int64) Constraint {
	return Constraint{wire: service.Constraint{Kind: service.Locked, Lock: name, Sequence: sequence}}
}

// ValueIs holds if the topic has exactly this value, byte for byte. For a time
// series that is the value of its latest event.
func ValueIs(value datatype.Value) Constraint { return ValueCompares(IS, value) }

// ValueCompares holds if the topic has a value and it compares in this way with
// the given one. Apart from IS, which takes any value, the topic must be of type
// string, int64 or double, or a time series of these, and the value must be a
// [datatype.Int64] or [datatype.Double], or for EQ and NE a [datatype.String].
// A string topic whose text is no number satisfies no comparison with a number.
func ValueCompares(operator Operator, value datatype.Value) Constraint {
	c := Constraint{wire: service.Constraint{Kind: service.TopicValue}}
	if value == nil {
		c.err = errors.New("constraint: the value is nil: use NoValue")
		return c
	}
	c.wire.Condition, c.err = newCondition(operator, value)
	return c
}

// A JSONCondition is a part of a [PartialJSON] constraint.
type JSONCondition struct {
	pointer   string
	condition service.Condition
	absent    bool
	err       error
}

// PartialJSON holds if the topic is of type JSON, or a time series of JSON, it
// has a value, and all conditions hold. Of several [JSONAt] with one pointer the
// last counts.
//
//	advect.PartialJSON(advect.JSONAt("/price", advect.LT, 100), advect.JSONAbsent("/closed"))
func PartialJSON(conditions ...JSONCondition) Constraint {
	c := Constraint{wire: service.Constraint{Kind: service.PartialJSON}}
	for _, p := range conditions {
		switch {
		case p.err != nil:
			c.err = errors.Join(c.err, p.err)
		case p.absent:
			c.wire.Without = append(c.wire.Without, p.pointer)
		default:
			if c.wire.With == nil {
				c.wire.With = make(map[string]service.Condition)
			}
			c.wire.With[p.pointer] = p.condition
		}
	}
	return c
}

// JSONAt holds if the JSON pointer (RFC 6901) selects something that compares in
// this way with value. If it selects nothing the condition does not hold, not
// even for NE.
//
// With IS the value is anything that [datatype.NewJSON] takes. With the others
// it is text, an integer or a float, nil for JSON null or a bool, or a
// [datatype.String], [datatype.Int64] or [datatype.Double]. Text and nil go with
// EQ and NE, a bool with EQ, numbers with all.
func JSONAt(pointer string, operator Operator, value any) JSONCondition {
	c := JSONCondition{pointer: pointer}
	if c.err = checkPointer(pointer); c.err == nil {
		c.condition, c.err = newCondition(operator, value)
	}
	return c
}

// JSONAbsent holds if the JSON pointer selects nothing.
func JSONAbsent(pointer string) JSONCondition {
	return JSONCondition{pointer: pointer, absent: true, err: checkPointer(pointer)}
}

func checkPointer(pointer string) error {
	if pointer != "" && pointer[0] != '/' {
		return fmt.Errorf("constraint: JSON pointer %q: it must start with / or be empty", pointer)
	}
	return nil
}

// And holds if both constraints do.
func (c Constraint) And(other Constraint) Constraint { return c.with(service.Conjunction, other) }

// Or holds if at least one of the constraints does.
func (c Constraint) Or(other Constraint) Constraint { return c.with(service.Disjunction, other) }

func (c Constraint) with(kind service.ConstraintKind, other Constraint) Constraint {
	return Constraint{
		wire: service.Constraint{Kind: kind, Left: &c.wire, Right: &other.wire},
		err:  errors.Join(c.err, other.err),
	}
}

// newCondition returns the wire form of a comparison with value, or an error if
// the operator does not go with it (protocol 23 section 3.4).
func newCondition(operator Operator, value any) (service.Condition, error) {
	c := service.Condition{Operator: service.Operator(operator)}
	if operator == IS {
		c.Type = conditionBytes
		v, ok := value.(datatype.Value)
		if !ok {
			json, err := datatype.NewJSON(value)
			if err != nil {
				return c, fmt.Errorf("constraint: %w", err)
			}
			v = json
		}
		c.Value = v.Bytes()
		return c, nil
	}
	goes := []Operator{EQ, NE}
	switch v := plain(value).(type) {
	case nil:
		c.Type, c.Value = conditionNull, nullValue
	case bool:
		c.Type, c.Value, goes = conditionBoolean, datatype.MustJSON(v).Bytes(), goes[:1]
	case datatype.String:
		c.Type, c.Value = conditionString, v.Bytes()
	case datatype.Int64:
		c.Type, c.Value, goes = conditionInt64, v.Bytes(), append(goes, GT, GE, LT, LE)
	case datatype.Double:
		c.Type, c.Value, goes = conditionDouble, v.Bytes(), append(goes, GT, GE, LT, LE)
	default:
		return c, fmt.Errorf("constraint: %s cannot compare with a %T", operator, value)
	}
	if !slices.Contains(goes, operator) {
		return c, fmt.Errorf("constraint: %s cannot compare with a %T: use one of %v", operator, value, goes)
	}
	return c, nil
}

// plain returns the value as a String, Int64 or Double if it is one of Go's
// types for these.
func plain(value any) any {
	switch v := value.(type) {
	case string:
		return datatype.String(v)
	case int:
		return datatype.Int64(v)
	case int32:
		return datatype.Int64(v)
	case int64:
		return datatype.Int64(v)
	case float64:
		return datatype.Double(v)
	case float32:
		return datatype.Double(v)
	}
	return value
}
