package datatype

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// CanRead reports whether the values of a topic of type t can be read as V
// (protocol 10 section 12): every type as itself, string, int64 and double also
// as [JSON], and each of them as [Value], which yields the type's own Go type.
func CanRead[V Value](t Type) bool {
	var v V
	switch any(&v).(type) {
	case *JSON:
		return t == TypeJSON || t.nullable()
	case *Binary:
		return t == TypeBinary
	case *String:
		return t == TypeString
	case *Int64:
		return t == TypeInt64
	case *Double:
		return t == TypeDouble
	case *RecordV2:
		return t == TypeRecordV2
	case *Value:
		return slices.Contains(types[:], t)
	}
	return false
}

// Read decodes b, the bytes of a topic of type t, as V. [CanRead] says which
// combinations are possible; for others the error matches [ErrIncompatible].
//
// If the topic was set to null there is no value: present is false and err is
// nil. If b is not a value of type t, err is a [*ValueError]. JSON is not looked
// into before it is used, and neither is record_v2, of which any bytes are a
// value. A [JSON] or [Binary] shares b.
//
// Read accepts what other SDKs accept, which is more than [Validate] does: it
// ignores tags and anything that follows the value, and in text it replaces
// what is not UTF-8 by U+FFFD.
func Read[V Value](t Type, b []byte) (v V, present bool, err error) {
	if !CanRead[V](t) {
		return v, false, fmt.Errorf("read %s topic as %s: %w", t, goName[V](), ErrIncompatible)
	}
	if err := Plausible(t, b); err != nil {
		return v, false, err
	}
	if IsNull(t, b) {
		return v, false, nil
	}
	switch p := any(&v).(type) {
	case *JSON:
		*p = JSON{b}
	case *Binary:
		*p = b
	case *String:
		*p, err = readString(b)
	case *Int64:
		*p, err = readInt64(b)
	case *Double:
		*p, err = readDouble(b)
	case *RecordV2:
		*p = RecordV2FromBytes(b)
	case *Value:
		*p, err = readAny(t, b)
	}
	return v, err == nil, err
}

// goName returns the name of V without the package's path.
func goName[V Value]() string {
	return strings.TrimPrefix(fmt.Sprintf("%T", new(V)), "*")
}

func readAny(t Type, b []byte) (v Value, err error) {
	switch t {
	case TypeBinary:
		return Binary(b), nil
	case TypeRecordV2:
		return RecordV2FromBytes(b), nil
	case TypeString:
		v, err = readString(b)
	case TypeInt64:
		v, err = readInt64(b)
	case TypeDouble:
		v, err = readDouble(b)
	default:
		return JSON{b}, nil
	}
	if err != nil {
		return nil, err // not a zero value in an interface
	}
	return v, nil
}

func readString(b []byte) (String, error) {
	r := reader{b: b, typ: TypeString}
	h, err := r.content()
	if err != nil {
		return "", err
	}
	if h.major != majorText {
		return "", r.unexpected(h, "a text string")
	}
	text, err := r.str(h)
	if err != nil {
		return "", err
	}
	if !utf8.Valid(text) {
		return String([]rune(string(text))), nil
	}
	return String(text), nil
}

func readInt64(b []byte) (Int64, error) {
	r := reader{b: b, typ: TypeInt64}
	h, err := r.content()
	if err != nil {
		return 0, err
	}
	return r.int64(h)
}

func (r *reader) int64(h head) (Int64, error) {
	n, ok := h.int()
	switch {
	case ok:
		return Int64(n), nil
	case h.major == majorUint, h.major == majorNegint:
		return 0, r.failItem("an integer beyond 64 bits")
	}
	return 0, r.unexpected(h, "an integer")
}

func readDouble(b []byte) (Double, error) {
	r := reader{b: b, typ: TypeDouble}
	h, err := r.content()
	if err != nil {
		return 0, err
	}
	return r.double(h)
}

func (r *reader) double(h head) (Double, error) {
	if f, ok := h.float(); ok {
		return Double(f), nil
	}
	return 0, r.unexpected(h, "a float")
}
