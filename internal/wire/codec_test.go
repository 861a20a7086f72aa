package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// testCodec checks one primitive: want decodes from and encodes to exactly b,
// and no strict prefix of b decodes.
func testCodec[T any](t *testing.T, want T, b []byte, add func([]byte, T) []byte, read func(*Reader) T) {
	t.Helper()
	if got := add([]byte("x"), want); !bytes.Equal(got, append([]byte("x"), b...)) {
		t.Errorf("append %v = %x, want x and %x", want, got, b)
	}
	r := NewReader(b)
	if got := read(r); r.Err() != nil || r.Len() != 0 || !reflect.DeepEqual(got, want) {
		t.Errorf("read %x = %v, %v with %d bytes left, want %v", b, got, r.Err(), r.Len(), want)
	}
	eachPrefix(t, b, func(p []byte) error {
		r := NewReader(p)
		read(r)
		return r.Err()
	})
}

func TestIntegerVectors(t *testing.T) {
	var v struct {
		Int32 []struct {
			Value int32
			Hex   hexBytes
		} `json:"int32_varint"`
		Int64 []struct {
			Value int64 `json:",string"`
			Hex   hexBytes
		} `json:"int64_varint"`
		Fixed32 []struct {
			Value int32
			Hex   hexBytes
		} `json:"fixed_int32_be"`
		Fixed64 []struct {
			Value int64 `json:",string"`
			Hex   hexBytes
		} `json:"fixed_int64_be"`
		Bitmaps []struct {
			Members []int
			Hex     hexBytes
		} `json:"enum_set_bitmap"`
	}
	readVectors(t, "codec.json", &v)
	for _, v := range section(t, "int32_varint", v.Int32) {
		testCodec(t, v.Value, v.Hex, AppendInt32, (*Reader).Int32)
	}
	for _, v := range section(t, "int64_varint", v.Int64) {
		testCodec(t, v.Value, v.Hex, AppendInt64, (*Reader).Int64)
	}
	fixed32 := func(b []byte, n int32) []byte { return binary.BigEndian.AppendUint32(b, uint32(n)) }
	for _, v := range section(t, "fixed_int32_be", v.Fixed32) {
		testCodec(t, v.Value, v.Hex, fixed32, (*Reader).FixedInt32)
	}
	fixed64 := func(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }
	for _, v := range section(t, "fixed_int64_be", v.Fixed64) {
		testCodec(t, v.Value, v.Hex, fixed64, (*Reader).FixedInt64)
	}
	for _, v := range section(t, "enum_set_bitmap", v.Bitmaps) {
		var set int64
		for _, member := range v.Members {
			set |= 1 << member
		}
		testCodec(t, set, v.Hex, AppendInt64, (*Reader).Int64)
	}
}

// TestDecodeVectors covers forms that are accepted or refused but never written.
func TestDecodeVectors(t *testing.T) {
	type vector struct {
		Hex      hexBytes
		Value    any
		Consumed int
		Error    bool
	}
	var v struct {
		Int32    []vector `json:"int32_varint_decode"`
		Int64    []vector `json:"int64_varint_decode"`
		Bool     []vector `json:"boolean_decode"`
		Optional []vector `json:"optional_string_decode"`
	}
	readVectors(t, "codec.json", &v)
	test := func(name string, vectors []vector, read func(*Reader) any) {
		for _, v := range section(t, name, vectors) {
			r := NewReader(v.Hex)
			got := read(r)
			switch {
			case v.Error && r.Err() == nil:
				t.Errorf("%s %x = %v, want an error", name, v.Hex, got)
			case !v.Error && (r.Err() != nil || got != v.Value || len(v.Hex)-r.Len() != v.Consumed):
				t.Errorf("%s %x = %v, %v with %d bytes left, want %v", name, v.Hex, got, r.Err(), r.Len(), v.Value)
			}
		}
	}
	test("int32", v.Int32, func(r *Reader) any { return float64(r.Int32()) })
	test("int64", v.Int64, func(r *Reader) any { return strconv.FormatInt(r.Int64(), 10) })
	test("boolean", v.Bool, func(r *Reader) any { return r.Bool() })
	test("optional string", v.Optional, func(r *Reader) any {
		if s := ReadOptional(r, (*Reader).String); s != nil {
			return *s
		}
		return nil
	})
}

func TestFieldVectors(t *testing.T) {
	var v struct {
		String []struct {
			Value string
			Hex   hexBytes
		}
		Bytes []struct {
			Value hexBytes `json:"value_hex"`
			Hex   hexBytes
		}
		Boolean []struct {
			Value bool
			Hex   hexBytes
		}
		Optional []struct {
			Value *string
			Hex   hexBytes
		} `json:"optional_string"`
		Strings []struct {
			Value []string
			Hex   hexBytes
		} `json:"string_collection"`
		Errors []struct {
			Code        ErrorCode
			Description string
			Hex         hexBytes
		} `json:"error_reason_object_in_payloads"`
	}
	readVectors(t, "codec.json", &v)
	for _, v := range section(t, "string", v.String) {
		testCodec(t, v.Value, v.Hex, AppendString, (*Reader).String)
	}
	for _, v := range section(t, "bytes", v.Bytes) {
		testCodec(t, []byte(v.Value), v.Hex, AppendBytes, (*Reader).Bytes)
	}
	for _, v := range section(t, "boolean", v.Boolean) {
		testCodec(t, v.Value, v.Hex, AppendBool, (*Reader).Bool)
	}
	addOptional := func(b []byte, s *string) []byte { return AppendOptional(b, s, AppendString) }
	readOptional := func(r *Reader) *string { return ReadOptional(r, (*Reader).String) }
	for _, v := range section(t, "optional_string", v.Optional) {
		testCodec(t, v.Value, v.Hex, addOptional, readOptional)
	}
	for _, v := range section(t, "string_collection", v.Strings) {
		testCodec(t, append([]string(nil), v.Value...), v.Hex, AppendStrings, (*Reader).Strings)
	}
	for _, v := range section(t, "error_reason_object_in_payloads", v.Errors) {
		testCodec(t, ServiceError{v.Code, v.Description}, v.Hex, AppendErrorReason, (*Reader).ErrorReason)
	}
}

func TestSessionIDVectors(t *testing.T) {
	var v struct {
		IDs []struct {
			String  string
			Varint  hexBytes `json:"varint_hex"`
			Fixed16 string   `json:"fixed16_hex"`
		} `json:"session_id"`
		Parse []struct {
			Input, Canonical string
			Accepted         bool
		} `json:"session_id_parse"`
	}
	readVectors(t, "codec.json", &v)
	for _, v := range section(t, "session_id", v.IDs) {
		id, err := ParseSessionID(v.String)
		if err != nil || id.String() != v.String {
			t.Errorf("ParseSessionID(%q) = %v, %v", v.String, id, err)
		}
		testCodec(t, id, v.Varint, AppendSessionID, (*Reader).SessionID)
		if got := strings.Replace(id.String(), "-", "", 1); got != v.Fixed16 {
			t.Errorf("%s in a connection response is %s, want %s", v.String, got, v.Fixed16)
		}
	}
	// What the official client lets through without it being two hexadecimal
	// numbers of 64 bits is to be refused (01 section 6.1).
	lenient := []string{"x-y", "12345678123456781-2"}
	for _, v := range section(t, "session_id_parse", v.Parse) {
		id, err := ParseSessionID(v.Input)
		switch {
		case !v.Accepted || slices.Contains(lenient, v.Input):
			if err == nil {
				t.Errorf("ParseSessionID(%q) = %v, want an error", v.Input, id)
			}
		case err != nil || id.String() != v.Canonical:
			t.Errorf("ParseSessionID(%q) = %v, %v, want %s", v.Input, id, err, v.Canonical)
		}
	}
	for _, s := range []string{"-", "1-", "-1", "+1-2", "1-+2", "1--2", "1_0-2", "0x1-2", "1-2 ", "1\x00-2"} {
		if id, err := ParseSessionID(s); err == nil {
			t.Errorf("ParseSessionID(%q) = %v, want an error", s, id)
		}
	}
}

func TestCredentialsVectors(t *testing.T) {
	var v struct {
		Credentials []struct {
			Kind  string
			Value string
			Hex   hexBytes
			Param string `json:"base64_for_password_parameter"`
		}
	}
	readVectors(t, "codec.json", &v)
	for _, v := range section(t, "credentials", v.Credentials) {
		want := Credentials{NoCredentials, []byte{}}
		switch v.Kind {
		case "string":
			want = Credentials{PasswordCredentials, []byte(v.Value)}
		case "bytes_hex":
			want = Credentials{CustomCredentials, unhex(t, v.Value)}
		}
		testCodec(t, want, v.Hex, AppendCredentials, (*Reader).Credentials)
		if got := EncodePassword(want); got != v.Param {
			t.Errorf("EncodePassword(%x) = %s, want %s", v.Hex, got, v.Param)
		}
		for _, param := range []string{v.Param, strings.TrimRight(v.Param, "=")} {
			if got, err := DecodePassword(param); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("DecodePassword(%q) = %v, %v", param, got, err)
			}
		}
	}
	for _, s := range []string{"", "AA", "A", "AwA=", "/wA=", "AQhwYXNz", "AQA*", "AQ A="} {
		if c, err := DecodePassword(s); err == nil {
			t.Errorf("DecodePassword(%q) = %v, want an error", s, c)
		}
	}
}

func TestCredentialsAreNotPrinted(t *testing.T) {
	for _, c := range []Credentials{Password("hunter2"), {CustomCredentials, []byte("hunter2")}} {
		if s := c.String(); strings.Contains(s, "hunter2") || strings.Contains(s, hex.EncodeToString([]byte("hunter2"))) {
			t.Errorf("credentials print as %s", s)
		}
	}
}

func TestReaderReportsTheFirstProblem(t *testing.T) {
	r := NewReader([]byte{1, 2})
	r.Fail("first")
	r.Fail("second")
	if got := r.Err().Error(); !strings.Contains(got, "first") {
		t.Errorf("error %q, want the first", got)
	}
	if r.Len() != 0 || len(r.Rest()) != 0 || r.Byte() != 0 || r.Int32() != 0 || r.FixedInt64() != 0 ||
		r.String() != "" || len(r.Bytes()) != 0 || r.Strings() != nil || r.Count(1) != 0 {
		t.Error("a failed reader returns something")
	}
}

func TestCountRefusesWhatCannotFit(t *testing.T) {
	for _, test := range []struct {
		n, left, size int
		ok            bool
	}{{0, 0, 1, true}, {3, 3, 1, true}, {4, 3, 1, false}, {2, 8, 4, true}, {2, 7, 4, false}, {1, 0, 0, false}, {-1, 9, 1, false}, {math.MaxInt32, 9, 1, false}} {
		r := NewReader(append(AppendInt32(nil, int32(test.n)), make([]byte, test.left)...))
		if got := r.Count(test.size); (r.Err() == nil) != test.ok || test.ok && got != test.n {
			t.Errorf("Count(%d) of %d with %d bytes left = %d, %v", test.size, test.n, test.left, got, r.Err())
		}
	}
}

func TestCodecsAgree(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int32().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		s, p := rapid.String().Draw(t, "s"), rapid.SliceOf(rapid.Byte()).Draw(t, "p")
		r := NewReader(AppendBytes(AppendString(AppendInt64(AppendInt32(nil, a), b), s), p))
		if x, y, u, v := r.Int32(), r.Int64(), r.String(), r.Bytes(); x != a || y != b || u != s || !bytes.Equal(v, p) {
			t.Fatalf("read %d %d %q %x, wrote %d %d %q %x", x, y, u, v, a, b, s, p)
		}
		if r.Err() != nil || r.Len() != 0 {
			t.Fatal(r.Err(), r.Len())
		}
	})
}
