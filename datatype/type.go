package datatype

import (
	"fmt"
	"strings"
)

// Type is the type of a topic's value. Its number is the topic type id used on
// the wire (protocol 10 section 1).
type Type byte

// The value types. Time series topics have none of their own: their events
// hold values of one of these.
const (
	TypeBinary   Type = 14
	TypeJSON     Type = 15
	TypeString   Type = 17
	TypeInt64    Type = 18
	TypeDouble   Type = 19
	TypeRecordV2 Type = 20
)

// String returns the name of the type as it is written on the wire, such as
// "json" or "record_v2".
func (t Type) String() string {
	switch t {
	case TypeBinary:
		return "binary"
	case TypeJSON:
		return "json"
	case TypeString:
		return "string"
	case TypeInt64:
		return "int64"
	case TypeDouble:
		return "double"
	case TypeRecordV2:
		return "record_v2"
	}
	return fmt.Sprintf("type(%d)", byte(t))
}

// nullable reports whether a topic of type t can be set to null (protocol 10
// section 8).
func (t Type) nullable() bool {
	return t == TypeString || t == TypeInt64 || t == TypeDouble
}

var types = [...]Type{TypeBinary, TypeJSON, TypeString, TypeInt64, TypeDouble, TypeRecordV2}

// ParseType returns the type with the given name, without regard to case.
func ParseType(name string) (Type, error) {
	for _, t := range types {
		if strings.EqualFold(name, t.String()) {
			return t, nil
		}
	}
	return 0, fmt.Errorf("unknown data type %q: use json, binary, string, int64, double or record_v2", name)
}
