package datatype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"sync"
)

// JSON is a JSON document in the binary form that topics carry, which is CBOR.
//
// A JSON received from a topic keeps the bytes exactly as they came and is
// decoded only when asked for, with [JSON.Decode], [JSON.Get], [JSON.String] or
// [JSON.MarshalJSON]. Byte strings, which CBOR has and JSON has not, show as
// base64 text; undefined, NaN and the infinities show as null; tags are
// ignored; if a key occurs twice the last one counts.
//
// A JSON can be a field of a struct that is passed to package encoding/json or
// to [NewJSON]. The zero JSON is null.
type JSON struct {
	cbor []byte
}

var null = []byte{cborNull}

// NewJSON encodes a Go value as [json.Marshal] sees it: struct tags, map order,
// [json.Marshaler] and [encoding.TextMarshaler] all apply.
//
// Numbers whose JSON text has neither point nor exponent are integers, so the
// float 2.0 becomes the integer 2, as it does in other SDKs. Integers beyond 64
// bits signed, such as large uint64 values, become floats and lose digits.
//
// NewJSON fails where json.Marshal does, and if the document nests deeper than
// 512 levels or a custom marshaler repeats a key within an object.
func NewJSON(v any) (JSON, error) {
	if j, ok := v.(JSON); ok {
		return j, nil
	}
	e := getEncoder()
	defer e.release()
	if err := e.encode(v); err != nil {
		return JSON{}, fmt.Errorf("encode %T as JSON: %w", v, err)
	}
	return e.document(), nil
}

// MustJSON is like [NewJSON] but panics if v cannot be encoded. It is for
// values that are known to be good, in tests and examples.
func MustJSON(v any) JSON {
	j, err := NewJSON(v)
	if err != nil {
		panic("datatype: " + err.Error())
	}
	return j
}

// ParseJSON converts JSON text. Keys stay in the order of the text; numbers
// with a point or an exponent are floats, others are integers if they fit
// into 64 bits.
//
// The error is a [*json.SyntaxError] if text is not JSON. It is a [*ValueError]
// if text is JSON but cannot be a value: an object repeats a key, a number is
// beyond the range of a float64, or it nests deeper than 512 levels.
func ParseJSON(text []byte) (JSON, error) {
	if !json.Valid(text) {
		var raw json.RawMessage
		return JSON{}, fmt.Errorf("parse JSON: %w", json.Unmarshal(text, &raw))
	}
	e := getEncoder()
	defer e.release()
	if err := e.transcode(text); err != nil {
		return JSON{}, fmt.Errorf("parse JSON: %w", err)
	}
	return e.document(), nil
}

// JSONFromBytes returns the document with the given CBOR encoding. It does not
// copy or check cbor: if cbor is not valid, the methods that decode it return
// an error. No bytes at all mean null.
func JSONFromBytes(cbor []byte) JSON { return JSON{cbor} }

// Type returns [TypeJSON].
func (JSON) Type() Type { return TypeJSON }

// Bytes returns the CBOR encoding, for a received document exactly as it was
// received. The slice is shared and must not be modified.
func (j JSON) Bytes() []byte {
	if len(j.cbor) == 0 {
		return null
	}
	return j.cbor
}

// Equal reports whether j and other have the same bytes.
func (j JSON) Equal(other JSON) bool { return bytes.Equal(j.Bytes(), other.Bytes()) }

// Decode stores the document in the value that into points to, as
// [json.Unmarshal] does, with one difference: a number that ends up in an
// interface value is a [json.Number] and not a float64, so that integers keep
// all their digits.
//
// If the bytes are not a document the error matches [ErrInvalid]; otherwise it
// is an error of package encoding/json.
func (j JSON) Decode(into any) error {
	e := getEncoder()
	defer e.release()
	var err error
	if e.out, err = j.appendText(e.out); err != nil {
		return err
	}
	if !holdsInterface(reflect.TypeOf(into)) {
		return json.Unmarshal(e.out, into)
	}
	d := json.NewDecoder(bytes.NewReader(e.out))
	d.UseNumber()
	return d.Decode(into)
}

// String returns the document as JSON text, without white space. For bytes
// that are not a document it returns a description of the problem.
func (j JSON) String() string {
	text, err := j.appendText(make([]byte, 0, j.textSize()))
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return string(text)
}

// MarshalJSON returns the document as JSON text, keys in stored order.
func (j JSON) MarshalJSON() ([]byte, error) {
	text, err := j.appendText(make([]byte, 0, j.textSize()))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// UnmarshalJSON sets j to the document with the given text; see [ParseJSON].
func (j *JSON) UnmarshalJSON(text []byte) error {
	parsed, err := ParseJSON(text)
	if err == nil {
		*j = parsed
	}
	return err
}

// appendText appends the document as JSON text. Bytes after the first item are
// ignored, as other SDKs do (protocol 14 section 3).
func (j JSON) appendText(dst []byte) ([]byte, error) {
	r := reader{b: j.Bytes(), typ: TypeJSON}
	return r.appendJSON(dst, 0)
}

// textSize is a guess at the length of the text.
func (j JSON) textSize() int { return len(j.cbor)*3/2 + 8 }

// holdsInterface reports whether a value of type t may lead to an interface
// value, so that the slower json.Decoder is needed to keep integers whole.
func holdsInterface(t reflect.Type) bool {
	if t == nil {
		return false
	}
	if known, ok := interfaceHolders.Load(t); ok {
		return known.(bool)
	}
	holds := reachesInterface(t, map[reflect.Type]bool{})
	interfaceHolders.Store(t, holds)
	return holds
}

var interfaceHolders sync.Map // reflect.Type -> bool

func reachesInterface(t reflect.Type, seen map[reflect.Type]bool) bool {
	if seen[t] {
		return false
	}
	seen[t] = true
	switch t.Kind() {
	case reflect.Interface:
		return true
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return reachesInterface(t.Elem(), seen)
	case reflect.Struct:
		for i := range t.NumField() {
			if reachesInterface(t.Field(i).Type, seen) {
				return true
			}
		}
	}
	return false
}
