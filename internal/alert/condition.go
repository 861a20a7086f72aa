package alert

import (
	"cmp"
	"maps"
)

// A condition is true or false of a document.
type condition interface{ holds(*Document) bool }

type (
	allOf []condition
	anyOf []condition
)

func (c allOf) holds(d *Document) bool {
	for _, term := range c {
		if !term.holds(d) {
			return false
		}
	}
	return true
}

func (c anyOf) holds(d *Document) bool {
	for _, term := range c {
		if term.holds(d) {
			return true
		}
	}
	return false
}

// A comparator compares two values that have an order.
type comparator string

// holds reports whether a value that compares with another as order says does so
// in the right way.
func (c comparator) holds(order int) bool {
	switch c {
	case ">":
		return order > 0
	case "<":
		return order < 0
	case ">=":
		return order >= 0
	case "<=":
		return order <= 0
	case "=":
		return order == 0
	}
	return order != 0
}

// numeric compares a member that is a number. What is null, as a value that is not a
// number is, meets no condition.
type numeric struct {
	of func(*Document) *float64
	comparator
	literal float64
}

func (c *numeric) holds(d *Document) bool {
	v := c.of(d)
	return v != nil && c.comparator.holds(cmp.Compare(*v, c.literal))
}

// textual compares a member that is a text, with = or !=.
type textual struct {
	of      func(*Document) string
	equal   bool
	literal string
}

func (c *textual) holds(d *Document) bool { return (c.of(d) == c.literal) == c.equal }

// dimensional compares all dimensions, with = or !=.
type dimensional struct {
	equal   bool
	literal map[string]string
}

func (c *dimensional) holds(d *Document) bool { return maps.Equal(d.Dimensions, c.literal) == c.equal }
