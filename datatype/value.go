package datatype

// Value is the value of a topic: its type and its bytes.
//
// [JSON], [Binary], [String], [Int64], [Double] and [RecordV2] are values. A
// type of your own can be one too, so that it can be sent as it is; it cannot be
// the type argument of [Read].
type Value interface {
	// Type returns the topic type that the value belongs to.
	Type() Type

	// Bytes returns the value as it travels on the wire. The slice may be
	// shared with other users of the value and must not be modified.
	Bytes() []byte
}

// Binary is a value of arbitrary bytes. It may be empty.
type Binary []byte

// Type returns [TypeBinary].
func (Binary) Type() Type { return TypeBinary }

// Bytes returns the value itself, not a copy.
func (v Binary) Bytes() []byte { return v }

// String is a text value. Bytes that are not valid UTF-8 are sent as the
// replacement character U+FFFD.
type String string

// Type returns [TypeString].
func (String) Type() Type { return TypeString }

// Bytes returns the text as one CBOR text string.
func (v String) Bytes() []byte {
	return appendText(make([]byte, 0, maxHead+len(v)), string(v))
}

// Int64 is a 64-bit signed integer value.
type Int64 int64

// Type returns [TypeInt64].
func (Int64) Type() Type { return TypeInt64 }

// Bytes returns the integer as one CBOR integer of the shortest form.
func (v Int64) Bytes() []byte {
	return appendInt(make([]byte, 0, maxHead), int64(v))
}

// Double is a 64-bit floating point value. NaN, the infinities and negative
// zero are preserved.
type Double float64

// Type returns [TypeDouble].
func (Double) Type() Type { return TypeDouble }

// Bytes returns the number as one CBOR double, always nine bytes.
func (v Double) Bytes() []byte {
	return appendDouble(make([]byte, 0, maxHead), float64(v))
}
