package datatype

import (
	"bytes"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"
)

// oracle judges well-formedness independently of our reader.
var oracle = func() cbor.DecMode {
	mode, err := cbor.DecOptions{
		MaxNestedLevels:  65535,
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
	}.DecMode()
	if err != nil {
		panic(err)
	}
	return mode
}()

func skipAll(b []byte) error {
	r := reader{b: b, typ: TypeJSON}
	if err := r.skip(0, wellFormed); err != nil {
		return err
	}
	if r.rest() > 0 {
		return r.fail("more bytes after the value")
	}
	return nil
}

func isTooDeep(err error) bool {
	var v *ValueError
	return errors.As(err, &v) && v.Reason == tooDeep()
}

func TestEveryPrefixIsInvalid(t *testing.T) {
	for _, v := range loadVectors(t).JSONEncode {
		b := unhex(t, v.Hex)
		for n := range b {
			if err := Validate(TypeJSON, b[:n]); !errors.Is(err, ErrInvalid) {
				t.Errorf("Validate(%x) = %v", b[:n], err)
			}
			if n == 0 {
				continue // the zero JSON is null
			}
			if _, err := JSONFromBytes(b[:n]).MarshalJSON(); !errors.Is(err, ErrInvalid) {
				t.Errorf("%x reads without error", b[:n])
			}
			if _, ok := JSONFromBytes(b[:n]).Get(""); ok {
				t.Errorf("%x: Get finds something", b[:n])
			}
		}
	}
}

func TestDepth(t *testing.T) {
	nested := func(open, close string, n int) []byte {
		return []byte(strings.Repeat(open, n) + "\x00" + strings.Repeat(close, n))
	}
	tests := []struct {
		name  string
		cbor  []byte
		valid bool
	}{
		{"512 arrays", nested("\x9f", "\xff", 512), true},
		{"513 arrays", nested("\x9f", "\xff", 513), false},
		{"512 maps", nested("\xa1\x60", "", 512), true},
		{"513 maps", nested("\xa1\x60", "", 513), false},
		{"many tags", nested("\xc1", "", 100_000), true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := Validate(TypeJSON, tt.cbor); (err == nil) != tt.valid || err != nil && !isTooDeep(err) {
				t.Errorf("Validate: %v", err)
			}
			text, err := JSONFromBytes(tt.cbor).MarshalJSON()
			if (err == nil) != tt.valid {
				t.Errorf("MarshalJSON: %v", err)
			}
			if tt.valid {
				if _, err := ParseJSON(text); err != nil {
					t.Errorf("ParseJSON: %v", err)
				}
			}
		})
	}
	for _, text := range []string{
		strings.Repeat("[", 513) + strings.Repeat("]", 513),
		strings.Repeat(`{"":`, 513) + "0" + strings.Repeat("}", 513),
	} {
		if _, err := ParseJSON([]byte(text)); !isTooDeep(err) {
			t.Errorf("ParseJSON of 513 levels: %v", err)
		}
	}
}

// Lengths and counts far beyond the input must cost nothing.
func TestAbsurdLengths(t *testing.T) {
	for _, b := range [][]byte{
		{0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1},
		{0xbb, 0x80, 0, 0, 0, 0, 0, 0, 0, 1},
		{0x7f, 0x7b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x7a, 0xff, 0xff, 0xff, 0xff},
	} {
		if err := Validate(TypeJSON, b); !errors.Is(err, ErrInvalid) {
			t.Errorf("Validate(%x) = %v", b, err)
		}
		for _, typ := range []Type{TypeString, TypeJSON} {
			if v, _, err := Read[Value](typ, b); err == nil {
				if _, err := v.(JSON).MarshalJSON(); !errors.Is(err, ErrInvalid) {
					t.Errorf("%x reads as %v", b, v)
				}
			}
		}
	}
}

func TestHalfFloat(t *testing.T) {
	for bits := range 1 << 16 {
		b := []byte{cborHalf, byte(bits >> 8), byte(bits)}
		var want float64
		if err := oracle.Unmarshal(b, &want); err != nil {
			t.Fatal(err)
		}
		got := halfToFloat(uint16(bits))
		if math.Float64bits(got) != math.Float64bits(want) && !(math.IsNaN(got) && math.IsNaN(want)) {
			t.Fatalf("%x: %v, want %v", b, got, want)
		}
	}
}

// FuzzValidate: whatever the bytes, nothing panics, and we agree with another
// implementation about what is well-formed CBOR.
func FuzzValidate(f *testing.F) {
	v := loadVectors(f)
	for _, e := range v.JSONEncode {
		f.Add(byte(TypeJSON), unhex(f, e.Hex), "/a/0")
	}
	for typ, group := range map[Type][]decodeVector{
		TypeJSON: v.JSONDecode, TypeString: v.StringDecode, TypeInt64: v.Int64Decode, TypeDouble: v.DoubleDecode,
	} {
		for _, d := range group {
			f.Add(byte(typ), unhex(f, d.Hex), "/1/a~1b")
		}
	}
	f.Fuzz(func(t *testing.T, typ byte, b []byte, pointer string) {
		err := skipAll(b)
		if theirs := oracle.Wellformed(b); (err == nil) != (theirs == nil) && !isTooDeep(err) {
			t.Fatalf("%x: we say %v, the oracle %v", b, err, theirs)
		}
		if Validate(TypeJSON, b) == nil {
			if err != nil {
				t.Fatalf("%x is valid but not well formed: %v", b, err)
			}
			if _, err := JSONFromBytes(b).MarshalJSON(); err != nil {
				t.Fatalf("%x is valid but has no text: %v", b, err)
			}
			if whole, ok := JSONFromBytes(b).Get(""); !ok || !bytes.Equal(whole.Bytes(), b) {
				t.Fatalf("%x: the whole document is %x", b, whole.Bytes())
			}
		}
		if part, ok := JSONFromBytes(b).Get(pointer); ok && skipAll(part.Bytes()) != nil {
			t.Fatalf("%x at %q: %x is not one item", b, pointer, part.Bytes())
		}

		v, present, err := Read[Value](Type(typ), b)
		if valid := Validate(Type(typ), b) == nil; valid && err != nil {
			t.Fatalf("%v %x is valid but does not read: %v", Type(typ), b, err)
		}
		if err == nil && !present != IsNull(Type(typ), b) {
			t.Fatalf("%v %x: present %v", Type(typ), b, present)
		}
		if present && Type(typ) != TypeJSON && Type(typ) != TypeRecordV2 {
			if err := Validate(Type(typ), v.Bytes()); err != nil {
				t.Fatalf("%v %x reads as %v, which is encoded as %x: %v", Type(typ), b, v, v.Bytes(), err)
			}
		}
	})
}
