package datatype

import (
	"encoding"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

type quote struct {
	Symbol string    `json:"sym"`
	Bid    float64   `json:"bid"`
	Size   int64     `json:"size,omitempty"`
	Live   bool      `json:"live"`
	Tags   []string  `json:"tags"`
	Time   time.Time `json:"time"`
	hidden int
}

var sampleQuote = quote{
	Symbol: "EURUSD", Bid: 1.0834, Size: 1 << 60, Live: true, Tags: []string{"fx", "<major> & liquid"},
	Time: time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC), hidden: 0,
}

type loud string

func (l loud) MarshalText() ([]byte, error) { return []byte(strings.ToUpper(string(l))), nil }

var _ encoding.TextMarshaler = loud("")

// NewJSON must see values exactly as encoding/json does, whichever way it
// takes.
func TestNewJSONAgreesWithEncodingJSON(t *testing.T) {
	seventeen := map[string]any{}
	for i := range 17 {
		seventeen[fmt.Sprint("key", i)] = i
	}
	for _, v := range []any{
		nil, true, 0, -1, int8(-128), uint16(65535), uint64(math.MaxInt64), int64(math.MinInt64), float32(0.1),
		0.0, 2.0, -7.25, 1e20, 1e21, 1e-7, float64(1 << 53), float64(1<<53 + 2), float64(1 << 62), -float64(1 << 63), 1.5e300,
		"", "plain", "é水𐅑", "\x00\x1f\"\\/<>&\u2028", "bad \xff utf8 \xed\xa0\x80",
		[]any{}, []any(nil), map[string]any{}, map[string]any(nil), []string{"a"}, []byte("bytes"),
		map[string]any{"b": 1.5, "a": []any{nil, true, "x", map[string]any{"k": int64(7)}}, "": 3},
		map[string]any{"bad\xff": 1}, seventeen,
		map[int]loud{2: "two", 1: "one"}, loud("text"), sampleQuote, &sampleQuote,
		json.RawMessage(`{ "z" : [ 1 , 2.50 , "\ud834\udd1e \ud800 \u00e9\n" ] , "a" : null }`), json.RawMessage(nil),
		json.Number("12345678901234567890"), json.Number("-0"),
		struct{ Doc JSON }{MustJSON([]int{1, 2})}, []Value{String("s"), Int64(1), Double(1.5), Binary{1}},
		map[string]any{"nested": sampleQuote},
	} {
		j, err := NewJSON(v)
		if err != nil {
			t.Errorf("%#v: %v", v, err)
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := ParseJSON(text)
		if err != nil || !j.Equal(parsed) {
			t.Errorf("%#v: NewJSON %x, by way of text %x, %v", v, j.Bytes(), parsed.Bytes(), err)
		}
		if err := Validate(TypeJSON, j.Bytes()); err != nil {
			t.Errorf("%#v: %v", v, err)
		}
		var want, got any
		if json.Unmarshal(text, &want) != nil || json.Unmarshal([]byte(j.String()), &got) != nil || !reflect.DeepEqual(want, got) {
			t.Errorf("%s reads back as %s", text, j)
		}
	}
}

func TestNewJSONErrors(t *testing.T) {
	cycle := map[string]any{}
	cycle["self"] = cycle
	var deep any
	for range 513 {
		deep = []any{deep}
	}
	for name, v := range map[string]any{
		"channel":       make(chan int),
		"NaN":           math.NaN(),
		"nested NaN":    map[string]any{"x": []any{Double(math.NaN())}},
		"cycle":         cycle,
		"deep":          deep,
		"invalid raw":   json.RawMessage(`{`),
		"repeated key":  json.RawMessage(`{"a":1,"a":2}`),
		"number range":  json.Number("1e999"),
		"bad keys meet": map[string]any{"\xff": 1, "\xfe": 2},
		"invalid JSON":  []JSON{JSONFromBytes([]byte{0x61})},
	} {
		if j, err := NewJSON(v); err == nil {
			t.Errorf("%s: encoded as %x", name, j.Bytes())
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("MustJSON did not panic")
		}
	}()
	MustJSON(math.Inf(1))
}

func TestParseJSON(t *testing.T) {
	long := strings.Repeat("y", 300)
	tests := []struct{ text, hex string }{
		{" [ 1 , -1.0e0 , true ] ", "9f01fbbff0000000000000f5ff"},
		{`{"z":1,"a":{"z":2}}`, "bf617a016161bf617a02ffff"},
		{`9223372036854775807`, "1b7fffffffffffffff"},
		{`9223372036854775808`, "fb43e0000000000000"},
		{`-9223372036854775809`, "fbc3e0000000000000"},
		{`"\u0041\/\b\f\n\r\t\"\\"`, "6941" + "2f080c0a0d09225c"},
		{`"\ud834\udd1e"`, "64f09d849e"},
		{`"\ud834x\udd1e"`, "67efbfbd78efbfbd"},
		{`"\ud834\u0041"`, "64efbfbd41"},
		{"\"\xff\"", "63efbfbd"},
		{`"` + long + `"`, "79012c" + strings.Repeat("79", 300)},
		{`[[],{},""]`, "9f9fffbfff60ff"},
	}
	for _, tt := range tests {
		j, err := ParseJSON([]byte(tt.text))
		if err != nil || hex.EncodeToString(j.Bytes()) != tt.hex {
			t.Errorf("%s: %x, %v, want %s", tt.text, j.Bytes(), err, tt.hex)
		}
	}
}

func TestParseJSONErrors(t *testing.T) {
	var many strings.Builder
	for i := range 40 {
		fmt.Fprintf(&many, `"k%d":0,`, i*7%39)
	}
	for _, text := range []string{
		`{"a":1,"b":2,"a":3}`, `[{"\u0061":1,"a":2}]`, `{` + strings.TrimSuffix(many.String(), ",") + `}`, `1e309`, `[-1e999]`,
	} {
		_, err := ParseJSON([]byte(text))
		var v *ValueError
		if !errors.As(err, &v) || v.Type != TypeJSON {
			t.Errorf("%s: %v, want a ValueError", text, err)
		}
	}
	for _, text := range []string{"", " ", "{", "[1,]", "nul", "01", "'a'", "1 2", `"\x"`, "\"\n\""} {
		_, err := ParseJSON([]byte(text))
		var s *json.SyntaxError
		if !errors.As(err, &s) {
			t.Errorf("%q: %v, want a SyntaxError", text, err)
		}
	}
}

func TestDecode(t *testing.T) {
	j := MustJSON(sampleQuote)
	var q quote
	if err := j.Decode(&q); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleQuote, q, cmp.AllowUnexported(quote{})); diff != "" {
		t.Error(diff)
	}

	var doc struct {
		ID    any
		Rest  map[string]any
		Part  JSON
		Bytes []byte
	}
	// id 2^63-1, rest {a: 2^53+1, b: 1.5}, part [1, 2], bytes h'0102'
	b := unhex(t, "a4"+"6249441b7fffffffffffffff"+"6452657374a261611b00200000000000016162f93e00"+"64506172749f0102ff"+"654279746573420102")
	if err := JSONFromBytes(b).Decode(&doc); err != nil {
		t.Fatal(err)
	}
	if doc.ID != json.Number("9223372036854775807") || doc.Rest["a"] != json.Number("9007199254740993") || doc.Rest["b"] != json.Number("1.5") {
		t.Errorf("numbers: %v, %v", doc.ID, doc.Rest)
	}
	if doc.Part.String() != "[1,2]" || string(doc.Bytes) != "\x01\x02" {
		t.Errorf("part %v, bytes %x", doc.Part, doc.Bytes)
	}

	var v any = "previous"
	if err := (JSON{}).Decode(&v); err != nil || v != nil {
		t.Errorf("zero JSON: %v, %v, want null", v, err)
	}
	var kind *json.UnmarshalTypeError
	if err := MustJSON("text").Decode(new(int)); !errors.As(err, &kind) {
		t.Errorf("text into int: %v", err)
	}
	for _, into := range []any{nil, v, (*int)(nil)} {
		if err := MustJSON(1).Decode(into); err == nil {
			t.Errorf("Decode into %T: no error", into)
		}
	}
	if err := JSONFromBytes([]byte{0x9f}).Decode(&v); !errors.Is(err, ErrInvalid) {
		t.Errorf("cut short: %v", err)
	}
	var last map[string]int
	if err := JSONFromBytes(unhex(t, "a2616101616102")).Decode(&last); err != nil || last["a"] != 2 {
		t.Errorf("repeated key: %v, %v", last, err)
	}
}

func TestDecodeRecursiveType(t *testing.T) {
	type node struct {
		Next  *node
		Value any
	}
	var n node
	if err := MustJSON(map[string]any{"Next": map[string]any{"Value": 1 << 60}}).Decode(&n); err != nil {
		t.Fatal(err)
	}
	if n.Next == nil || n.Next.Value != json.Number("1152921504606846976") {
		t.Errorf("%+v", n.Next)
	}
}

func TestString(t *testing.T) {
	for _, tt := range []struct{ hex, want string }{
		{"", "null"},
		{"9ff7f0f8ff" + "f97e00" + "fa7f800000" + "ff", "[null,null,null,null,null]"},
		{"a1" + "4101" + "4101", `{"AQ==":"AQ=="}`},
		{"bf" + "20" + "f4" + "f4" + "20" + "ff", `{"-1":false,"false":-1}`},
		{"65" + "0a0c22095c", `"\n\u000c\"\t\\"`},
		{"64" + "61ffc362", `"a` + "\uFFFD\uFFFD" + `b"`},
		{"fb3ff0000000000000", "1"},
		{"fb3e7ad7f29abcaf48", "1e-7"},
		{"fb444b1ae4d6e2ef50", "1e+21"},
		{"61", "(invalid json value at byte 1: the bytes end before the value does)"},
		{"a1f7", "(invalid json value at byte 1: undefined where a map key is expected)"},
		{"7f40ff", "(invalid json value at byte 1: a byte string where a chunk of a text string is expected)"},
		{"3d", "(invalid json value at byte 0: the reserved byte 3d)"},
	} {
		if got := JSONFromBytes(unhex(t, tt.hex)).String(); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.hex, got, tt.want)
		}
	}
}

func TestUnmarshalJSON(t *testing.T) {
	var doc struct{ A, B JSON }
	if err := json.Unmarshal([]byte(`{"a": {"x": 1.0}, "b": null}`), &doc); err != nil {
		t.Fatal(err)
	}
	if want := "bf6178fb3ff0000000000000ff"; hex.EncodeToString(doc.A.Bytes()) != want {
		t.Errorf("got %x, want %s", doc.A.Bytes(), want)
	}
	if !doc.B.Equal(MustJSON(nil)) {
		t.Errorf("null: %x", doc.B.Bytes())
	}
	if err := json.Unmarshal([]byte(`{"a": {"x":1,"x":2}}`), &doc); !errors.Is(err, ErrInvalid) {
		t.Errorf("repeated key: %v", err)
	}
}

func TestGet(t *testing.T) {
	// Definite and indefinite containers, a tag on each level, scalar keys and
	// a repeated key.
	b := unhex(t, "c1bf"+"6161c283"+"01"+"c11802"+"a1616200"+"ff"[:0]+"01"+"6178"+"f5"+"f6"+"6172"+"01"+"6172"+"02"+"ff")
	j := JSONFromBytes(b)
	if want := `{"a":[1,2,{"b":0}],"1":"x","true":null,"r":1,"r":2}`; j.String() != want {
		t.Fatalf("document is %s, want %s", j, want)
	}
	for _, tt := range []struct{ pointer, hex string }{
		{"", hex.EncodeToString(b)},
		{"/a/0", "01"},
		{"/a/1", "c11802"},
		{"/a/2", "a1616200"},
		{"/a/2/b", "00"},
		{"/1", "6178"},
		{"/true", "f6"},
		{"/r", "02"},
		{"/a/3", ""}, {"/a/00", ""}, {"/a/-", ""}, {"/a/x", ""}, {"/a/2/b/c", ""}, {"/b", ""}, {"/", ""}, {"a", ""}, {"/1/0", ""},
	} {
		got, ok := j.Get(tt.pointer)
		if ok != (tt.hex != "") || ok && hex.EncodeToString(got.Bytes()) != tt.hex {
			t.Errorf("%q: %x, %v, want %s", tt.pointer, got.Bytes(), ok, tt.hex)
		}
	}
	escaped := MustJSON(map[string]any{"a/b": 1, "~1": 2, "": map[string]any{"": 3}})
	for pointer, want := range map[string]string{"/a~1b": "1", "/~01": "2", "//": "3"} {
		if got, ok := escaped.Get(pointer); !ok || got.String() != want {
			t.Errorf("%q: %v, %v", pointer, got, ok)
		}
	}
	if _, ok := JSONFromBytes(unhex(t, "9f0161")).Get("/0/x"); ok {
		t.Error("found something in a number")
	}
	if _, ok := JSONFromBytes(unhex(t, "bf616101")).Get("/a"); ok {
		t.Error("found something in a map that is cut short")
	}
}

// FuzzParseJSON: text that becomes a value means the same when it comes back.
func FuzzParseJSON(f *testing.F) {
	for _, v := range loadVectors(f).JSONEncode {
		f.Add([]byte(v.Input))
		f.Add([]byte(JSONFromBytes(unhex(f, v.Hex)).String()))
	}
	f.Add([]byte(`{"a":[1,-0,1.0,1e-7,"\ud834\udd1e\ud800",{"b":{}}],"a":2}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		var want any
		wantErr := json.Unmarshal(text, &want)
		j, err := ParseJSON(text)
		if err != nil {
			var v *ValueError
			if wantErr == nil && !errors.As(err, &v) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		if wantErr != nil {
			t.Fatalf("%q: parsed, but encoding/json says %v", text, wantErr)
		}
		if err := Validate(TypeJSON, j.Bytes()); err != nil {
			t.Fatalf("%q: %x: %v", text, j.Bytes(), err)
		}
		back, err := j.MarshalJSON()
		if err != nil {
			t.Fatal(err)
		}
		var got any
		if err := json.Unmarshal(back, &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("%q comes back as %q, %v", text, back, err)
		}
		// Go values make the same document as their text.
		again, err := NewJSON(want)
		slow, slowErr := json.Marshal(want)
		if err != nil || slowErr != nil {
			t.Fatalf("%q: %v, %v", text, err, slowErr)
		}
		if viaText, err := ParseJSON(slow); err != nil || !viaText.Equal(again) {
			t.Fatalf("%q: NewJSON %x, by way of text %x, %v", text, again.Bytes(), viaText.Bytes(), err)
		}
	})
}
