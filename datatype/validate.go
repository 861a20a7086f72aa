package datatype

import (
	"fmt"
	"unicode/utf8"
)

// IsNull reports whether b is what a topic of type t holds after it was set to
// null, which means that it has no value. Only string, int64 and double topics
// can be null; in a JSON topic null is a value.
func IsNull(t Type, b []byte) bool {
	return t.nullable() && len(b) == 1 && b[0] == cborNull
}

// Plausible returns an error if b can be refused as a value of type t without
// looking into it, because it is empty and t has no empty value. A server
// checks every value like that, since an empty one would make every subscriber
// report an error.
func Plausible(t Type, b []byte) error {
	if len(b) == 0 && (t == TypeJSON || t.nullable()) {
		return &ValueError{Type: t, Reason: "no bytes at all"}
	}
	return nil
}

// Validate returns a [*ValueError] unless b is exactly one value of type t, or
// null where t allows it, with nothing after it (protocol 10 section 13). Text
// must be UTF-8, integers within 64 bits, the keys of JSON objects text, and
// JSON may nest up to 512 levels. Any bytes are a binary value. A record_v2 value
// must be UTF-8; [Schema.Validate] checks the rest if its topic has a schema.
func Validate(t Type, b []byte) error {
	switch t {
	case TypeBinary:
		return nil
	case TypeRecordV2:
		if !utf8.Valid(b) {
			return &ValueError{Type: t, Reason: "text is not UTF-8"}
		}
		return nil
	case TypeJSON, TypeString, TypeInt64, TypeDouble:
	default:
		return &ValueError{Type: t, Reason: fmt.Sprintf("%d is not the type of a value", t)}
	}
	if err := Plausible(t, b); err != nil {
		return err
	}
	if IsNull(t, b) {
		return nil
	}
	r := reader{b: b, typ: t}
	if err := r.validate(); err != nil {
		return err
	}
	if r.rest() > 0 {
		return r.fail("more bytes after the value")
	}
	return nil
}

// validate reads one value that is not null.
func (r *reader) validate() error {
	if r.typ == TypeJSON {
		return r.skip(0, valid)
	}
	h, err := r.head()
	if err != nil {
		return err
	}
	switch r.typ {
	case TypeInt64:
		_, err = r.int64(h)
	case TypeDouble:
		_, err = r.double(h)
	default:
		if h.major != majorText {
			return r.unexpected(h, "a text string")
		}
		err = r.skipString(h, valid)
	}
	return err
}
