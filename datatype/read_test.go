package datatype

import (
	"errors"
	"strings"
	"testing"
)

func TestCanRead(t *testing.T) {
	all := []Type{TypeBinary, TypeJSON, TypeString, TypeInt64, TypeDouble, TypeRecordV2, 16, 0}
	check := func(name string, can func(Type) bool, want ...Type) {
		for _, typ := range all {
			expected := false
			for _, w := range want {
				expected = expected || w == typ
			}
			if can(typ) != expected {
				t.Errorf("CanRead[%s](%v) = %v", name, typ, !expected)
			}
		}
	}
	check("JSON", CanRead[JSON], TypeJSON, TypeString, TypeInt64, TypeDouble)
	check("Binary", CanRead[Binary], TypeBinary)
	check("String", CanRead[String], TypeString)
	check("Int64", CanRead[Int64], TypeInt64)
	check("Double", CanRead[Double], TypeDouble)
	check("RecordV2", CanRead[RecordV2], TypeRecordV2)
	check("Value", CanRead[Value], TypeBinary, TypeJSON, TypeString, TypeInt64, TypeDouble, TypeRecordV2)
	check("foreign", CanRead[foreign])
}

// foreign is a value type from outside the package.
type foreign struct{ Binary }

func TestReadOwnType(t *testing.T) {
	for _, v := range []Value{
		Binary("abc"), MustJSON("abc"), String("abc"), Int64(-7), Double(0.5), NewRecordV2([]string{"a", "b"}), RecordV2{},
	} {
		got, present, err := Read[Value](v.Type(), v.Bytes())
		if err != nil || !present || got.Type() != v.Type() || string(got.Bytes()) != string(v.Bytes()) {
			t.Errorf("%T %v: read as %T %v, %v, %v", v, v, got, got, present, err)
		}
	}
}

func TestReadErrors(t *testing.T) {
	_, _, err := Read[Int64](TypeString, []byte{0x60})
	if !errors.Is(err, ErrIncompatible) || !strings.Contains(err.Error(), "read string topic as datatype.Int64") {
		t.Errorf("string as Int64: %v", err)
	}
	if _, _, err := Read[JSON](TypeRecordV2, nil); !errors.Is(err, ErrIncompatible) {
		t.Errorf("record_v2 as JSON: %v", err)
	}
	var invalid *ValueError
	_, _, err = Read[Double](TypeDouble, []byte{0x01})
	if !errors.As(err, &invalid) || invalid.Type != TypeDouble || !errors.Is(err, ErrInvalid) {
		t.Errorf("integer as Double: %v", err)
	}
}

func TestNull(t *testing.T) {
	b := []byte{cborNull}
	for _, typ := range []Type{TypeString, TypeInt64, TypeDouble} {
		if !IsNull(typ, b) || IsNull(typ, []byte{cborNull, 0}) || IsNull(typ, nil) {
			t.Errorf("IsNull(%v) is wrong", typ)
		}
		for name, read := range map[string]func() (bool, error){
			"Value": func() (bool, error) { _, ok, err := Read[Value](typ, b); return ok, err },
			"JSON":  func() (bool, error) { _, ok, err := Read[JSON](typ, b); return ok, err },
		} {
			if present, err := read(); present || err != nil {
				t.Errorf("null %v as %s: %v, %v", typ, name, present, err)
			}
		}
	}
	if IsNull(TypeJSON, b) || IsNull(TypeBinary, b) {
		t.Error("f6 is a value of json and binary")
	}
	if v, present, err := Read[JSON](TypeJSON, b); !present || err != nil || v.String() != "null" {
		t.Errorf("JSON null: %v, %v, %v", v, present, err)
	}
}

func TestPlausible(t *testing.T) {
	for typ, ok := range map[Type]bool{
		TypeJSON: false, TypeString: false, TypeInt64: false, TypeDouble: false, TypeBinary: true, TypeRecordV2: true,
	} {
		if err := Plausible(typ, nil); (err == nil) != ok {
			t.Errorf("Plausible(%v, nothing) = %v", typ, err)
		}
		if err := Validate(typ, nil); (err == nil) != ok {
			t.Errorf("Validate(%v, nothing) = %v", typ, err)
		}
		if err := Plausible(typ, []byte{0xff}); err != nil {
			t.Errorf("Plausible(%v, ff) = %v", typ, err)
		}
	}
}

func TestValidate(t *testing.T) {
	for _, tt := range []struct {
		typ   Type
		hex   string
		valid bool
	}{
		{TypeString, "f6", true},
		{TypeString, "f600", false},
		{TypeString, "7f61616162ff", true},
		{TypeString, "7f61c361bcff", false}, // each chunk must be UTF-8
		{TypeString, "62c3bc", true},
		{TypeString, "c06161", false},
		{TypeString, "9fff", false},
		{TypeInt64, "1800", true},
		{TypeInt64, "f6", true},
		{TypeInt64, "1b8000000000000000", false},
		{TypeInt64, "3b8000000000000000", false},
		{TypeInt64, "f93c00", false},
		{TypeDouble, "f93c00", true},
		{TypeDouble, "fa3f800000", true},
		{TypeDouble, "f6", true},
		{TypeDouble, "f4", false},
		{TypeDouble, "f5", false},
		{TypeDouble, "f7", false},
		{TypeDouble, "ff", false},
		{TypeDouble, "fb3ff000000000000000", false},
		{TypeJSON, "f6", true},
		{TypeJSON, "c249010000000000000000", true},
		{TypeJSON, "f81f", false},
		{TypeJSON, "bf6161ffff", false},
		{TypeJSON, "a17f6161ff00", true},
		{TypeJSON, "82ff", false},
		{TypeJSON, "9f61ffff", false},
		{TypeBinary, "ff", true},
		{TypeRecordV2, "610261", true},
		{TypeRecordV2, "ff", false},
		{16, "00", false},
		{0, "00", false},
	} {
		err := Validate(tt.typ, unhex(t, tt.hex))
		if (err == nil) != tt.valid || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("Validate(%v, %s) = %v", tt.typ, tt.hex, err)
		}
	}
}
