package datatype

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// recordVectors mirrors testdata/vectors/recordv2.json, which was observed from
// the published JavaScript client. Its mutableModelDefault is about a client
// feature that we do not have, its binaryDelta is tested in package delta.
type recordVectors struct {
	Encode []struct {
		Records [][]string
		Hex     string
		Decoded struct{ OK [][]string }
	}
	Builder []struct{ Calls, Hex string }
	Decode  []struct {
		Hex    string
		Client struct{ OK [][]string }
	}
	Schemas []struct {
		Schema string
		Client struct {
			OK       string
			Rejected bool
		}
	}
	SchemaBuilder     []struct{ Build, AsJSON string }
	ValidationSchemas []string
	Validate          []struct {
		Schema  int
		Hex     string
		Records struct{ OK [][]string }
		Client  struct{ Rejected bool }
	}
	Normalise []struct {
		Type, Input string
		Client      struct{ Rejected bool }
	}
	BinaryDeltas []struct {
		Old, New       [][]string
		OldHex, NewHex string
	}
}

func loadRecordVectors(t testing.TB) *recordVectors {
	t.Helper()
	text, err := os.ReadFile("../testdata/vectors/recordv2.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(recordVectors)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
	if len(v.Encode) == 0 || len(v.Builder) == 0 || len(v.Decode) == 0 || len(v.Schemas) == 0 || len(v.SchemaBuilder) == 0 ||
		len(v.Validate) == 0 || len(v.Normalise) == 0 || len(v.BinaryDeltas) == 0 {
		t.Fatal("vector file lacks expected groups")
	}
	return v
}

// checkRecords checks that v has the given records, by every way to read it.
func checkRecords(t *testing.T, v RecordV2, want [][]string) {
	t.Helper()
	got := slices.AppendSeq([][]string{}, v.Records())
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%x: %s", v.Bytes(), diff)
	}
	for i, fields := range want {
		if got, ok := v.Record(i); !ok || !slices.Equal(got, fields) {
			t.Errorf("%x: record %d is %q, %v", v.Bytes(), i, got, ok)
		}
		for j, field := range fields {
			if got, ok := v.Field(i, j); !ok || got != field {
				t.Errorf("%x: field %d of record %d is %q, %v", v.Bytes(), j, i, got, ok)
			}
		}
		for _, j := range []int{-1, len(fields)} {
			if got, ok := v.Field(i, j); ok {
				t.Errorf("%x: field %d of record %d is %q", v.Bytes(), j, i, got)
			}
		}
	}
	for _, i := range []int{-1, len(want)} {
		if got, ok := v.Record(i); ok {
			t.Errorf("%x: record %d is %q", v.Bytes(), i, got)
		}
	}
}

func TestVectorsRecordEncode(t *testing.T) {
	v := loadRecordVectors(t)
	check := func(records [][]string, want string) {
		t.Helper()
		value := NewRecordV2(records...)
		if got := hex.EncodeToString(value.Bytes()); got != want {
			t.Errorf("%q: %s, want %s", records, got, want)
		}
		if err := Validate(TypeRecordV2, value.Bytes()); err != nil {
			t.Error(err)
		}
	}
	for _, e := range v.Encode {
		check(e.Records, e.Hex)
		read, present, err := Read[RecordV2](TypeRecordV2, unhex(t, e.Hex))
		if !present || err != nil {
			t.Errorf("%s: %v, %v", e.Hex, present, err)
		}
		checkRecords(t, read, e.Decoded.OK)
	}
	for _, d := range v.BinaryDeltas {
		check(d.Old, d.OldHex)
		check(d.New, d.NewHex)
		checkRecords(t, RecordV2FromBytes(unhex(t, d.NewHex)), d.New)
	}
	built := map[string][][]string{
		"addFields a,b":               {{"a", "b"}},
		"addRecord a,b / addRecord c": {{"a", "b"}, {"c"}},
		"addRecord() empty":           {{}},
		"addFields then addRecord":    {{"x"}, {"y", "z"}},
		"nothing":                     {},
	}
	for _, b := range v.Builder {
		records, ok := built[b.Calls]
		if !ok {
			t.Errorf("no records for %q in the test", b.Calls)
		}
		check(records, b.Hex)
	}
}

// recordsDiffer lists the bytes that we deliberately read in another way than
// the JavaScript client.
var recordsDiffer = map[string]struct {
	records [][]string
	why     string
}{
	"050261": {[][]string{{"\x05", "a"}}, "05 is a marker only if it is the whole record; the client makes it end one"},
}

func TestVectorsRecordDecode(t *testing.T) {
	for _, d := range loadRecordVectors(t).Decode {
		b := unhex(t, d.Hex)
		want := d.Client.OK
		if differs, ok := recordsDiffer[d.Hex]; ok {
			want = differs.records
		}
		value := RecordV2FromBytes(b)
		checkRecords(t, value, want)
		if !bytes.Equal(value.Bytes(), b) {
			t.Errorf("%s: the value's bytes are %x", d.Hex, value.Bytes())
		}
	}
}

func TestRecordString(t *testing.T) {
	for _, tt := range []struct {
		value RecordV2
		want  string
	}{
		{RecordV2{}, `[]`},
		{NewRecordV2([]string{}), `[[]]`},
		{NewRecordV2([]string{""}, nil), `[[""],[]]`},
		{NewRecordV2([]string{"a", `"b"`}, []string{"ü"}), `[["a","\"b\""],["ü"]]`},
		{NewRecordV2([]string{"a\xff"}), `[["a` + "\uFFFD" + `"]]`},
		{RecordV2FromBytes([]byte("a\xff")), `[["a` + "\uFFFD" + `"]]`},
	} {
		if got := tt.value.String(); got != tt.want {
			t.Errorf("%x: %s, want %s", tt.value.Bytes(), got, tt.want)
		}
	}
	if NewRecordV2([]string{"a"}, []string{"b"}) != RecordV2FromBytes([]byte("a\x01b")) {
		t.Error("equal values differ")
	}
}

// Whatever the records are, they come back.
func TestRecordRoundTrip(t *testing.T) {
	field := rapid.StringMatching(`[a-z\x00\x06é]{0,3}`)
	rapid.Check(t, func(t *rapid.T) {
		records := rapid.SliceOfN(rapid.SliceOfN(field, 0, 3), 0, 4).Draw(t, "records")
		value := NewRecordV2(records...)
		got := slices.Collect(value.Records())
		if !slices.EqualFunc(got, records, slices.Equal[[]string]) {
			t.Fatalf("%q comes back as %q", records, got)
		}
		var text [][]string
		if err := json.Unmarshal([]byte(value.String()), &text); err != nil || !slices.EqualFunc(text, records, slices.Equal[[]string]) {
			t.Fatalf("%q as text is %s", records, value)
		}
	})
}

// FuzzRecordV2: any bytes are a value; what reads as records is the same value
// when written again, unless it has markers out of place.
func FuzzRecordV2(f *testing.F) {
	v := loadRecordVectors(f)
	for _, d := range v.Decode {
		f.Add(unhex(f, d.Hex))
	}
	for _, d := range v.Validate {
		f.Add(unhex(f, d.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		value := RecordV2FromBytes(b)
		if !bytes.Equal(value.Bytes(), b) {
			t.Fatalf("%x has the bytes %x", b, value.Bytes())
		}
		records := slices.AppendSeq([][]string{}, value.Records())
		if len(b) < 256 { // it reads from the start every time
			checkRecords(t, value, records)
		}
		if again := NewRecordV2(records...); again != value && utf8.Valid(b) && !strings.ContainsAny(string(b), "\x04\x05") {
			t.Fatalf("%x reads as %q, which is written as %x", b, records, again.Bytes())
		}
		if !json.Valid([]byte(value.String())) {
			t.Fatalf("%x as text is %s", b, value)
		}
	})
}
