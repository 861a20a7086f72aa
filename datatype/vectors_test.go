package datatype

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// vectors mirrors testdata/vectors/data-values.json. Inputs are JavaScript
// expressions; results were observed from the published JavaScript client.
type vectors struct {
	DataTypes []struct{ Name string }
	Lookups   []struct {
		Name       string
		ResolvesTo string
	} `json:"dataTypeLookupByName"`
	JSONEncode []struct {
		Input     string
		Hex       string
		DecodesTo struct{ OK tree }
	}
	JSONDecode   []decodeVector
	StringEncode []encodeVector
	Int64Encode  []encodeVector
	DoubleEncode []encodeVector
	BinaryEncode []encodeVector
	StringDecode []decodeVector
	Int64Decode  []decodeVector
	DoubleDecode []decodeVector
	BinaryDecode []struct {
		Hex    string
		Result struct{ OK string }
	}
	JSONWriteNull []encodeVector
	ReadAs        []struct {
		Topic, As, Hex string
		CanReadAs      bool
		Result         struct{ OK struct{ V tree } }
	}
	BytesEquality []struct {
		A, B  string
		Equal bool
	}
	JSONPointers []struct {
		Pointer string
		Client  struct {
			Rejected bool
			OK       struct {
				Segments []struct {
					Key   *string
					Index *int
				}
			}
		}
	}
}

type encodeVector struct {
	Input  string
	Result struct {
		OK       string
		Rejected bool
	}
}

type decodeVector struct {
	Hex, Note string
	Result    struct {
		OK       tree
		Rejected bool
	}
}

// tree is a value as the JavaScript client read it.
type tree struct {
	T string
	V json.RawMessage
}

func loadVectors(t testing.TB) *vectors {
	t.Helper()
	text, err := os.ReadFile("../testdata/vectors/data-values.json")
	if err != nil {
		t.Fatal(err)
	}
	v := new(vectors)
	if err := json.Unmarshal(text, v); err != nil {
		t.Fatal(err)
	}
	if len(v.JSONEncode) == 0 || len(v.JSONDecode) == 0 || len(v.JSONPointers) == 0 {
		t.Fatal("vector file lacks expected groups")
	}
	return v
}

// A group of vectors that is new must not go untested.
func TestVectorsAllGroups(t *testing.T) {
	for file, into := range map[string]any{"data-values.json": new(vectors), "recordv2.json": new(recordVectors)} {
		text, err := os.ReadFile("../testdata/vectors/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var groups map[string]json.RawMessage
		if err := json.Unmarshal(text, &groups); err != nil {
			t.Fatal(err)
		}
		for name, group := range groups {
			if group[0] != '[' {
				continue
			}
			known := false
			for field := range reflect.TypeOf(into).Elem().Fields() {
				tag := field.Tag.Get("json")
				known = known || strings.EqualFold(field.Name, name) || tag == name
			}
			if !known {
				t.Errorf("%s: no test for %q", file, name)
			}
		}
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// text returns the JSON text that stands for the tree in our mapping: byte
// strings as base64, undefined and non-finite numbers as null.
func (n tree) text(t *testing.T) string {
	t.Helper()
	unmarshal := func(into any) {
		if err := json.Unmarshal(n.V, into); err != nil {
			t.Fatalf("tree %s %s: %v", n.T, n.V, err)
		}
	}
	quote := func(s string) string { return string(appendQuoted(nil, []byte(s))) }
	var s string
	switch n.T {
	case "null", "undefined":
		return "null"
	case "boolean":
		return string(n.V)
	case "int64":
		unmarshal(&s)
		return s
	case "number":
		if n.V[0] != '"' {
			f, err := strconv.ParseFloat(string(n.V), 64)
			if err != nil {
				t.Fatal(err)
			}
			return string(appendFloat(nil, f))
		}
		if unmarshal(&s); s == "-0" {
			return s
		}
		return "null" // NaN, Infinity
	case "string":
		unmarshal(&s)
		return quote(s)
	case "bytes":
		unmarshal(&s)
		return quote(base64.StdEncoding.EncodeToString(unhex(t, s)))
	case "array":
		var elements []tree
		unmarshal(&elements)
		var parts []string
		for _, e := range elements {
			parts = append(parts, e.text(t))
		}
		return "[" + strings.Join(parts, ",") + "]"
	case "object":
		var pairs [][2]json.RawMessage
		unmarshal(&pairs)
		var parts []string
		for _, p := range pairs {
			var key string
			var value tree
			if json.Unmarshal(p[0], &key) != nil || json.Unmarshal(p[1], &value) != nil {
				t.Fatalf("pair %s", p)
			}
			parts = append(parts, quote(key)+":"+value.text(t))
		}
		return "{" + strings.Join(parts, ",") + "}"
	}
	t.Fatalf("unknown tree type %q", n.T)
	return ""
}

func TestVectorsTypeNames(t *testing.T) {
	v := loadVectors(t)
	for _, dt := range v.DataTypes {
		typ, err := ParseType(dt.Name)
		if err != nil || typ.String() != dt.Name {
			t.Errorf("ParseType(%q) = %v, %v", dt.Name, typ, err)
		}
	}
	for _, l := range v.Lookups {
		// The client resolves unknown names to string; we refuse them
		// (protocol 10 section 1, trap a).
		known := l.ResolvesTo != "string" || strings.EqualFold(l.Name, "string")
		typ, err := ParseType(l.Name)
		switch {
		case known && (err != nil || typ.String() != l.ResolvesTo):
			t.Errorf("ParseType(%q) = %v, %v, want %s", l.Name, typ, err, l.ResolvesTo)
		case !known && err == nil:
			t.Errorf("ParseType(%q) = %v, want an error", l.Name, typ)
		}
	}
}

// jsInput gives the Go values for JavaScript expressions that are not JSON
// text themselves.
var jsInput = map[string]any{
	`"x".repeat(23)`:                    strings.Repeat("x", 23),
	`"x".repeat(24)`:                    strings.Repeat("x", 24),
	`"x".repeat(255)`:                   strings.Repeat("x", 255),
	`"x".repeat(256)`:                   strings.Repeat("x", 256),
	`{a:1,b:[2,3]}`:                     map[string]any{"a": 1, "b": []int{2, 3}},
	`{b:1,a:2}`:                         struct{ B, A int }{1, 2},
	`{a:null}`:                          map[string]any{"a": nil},
	`{a:{b:{c:{}}}}`:                    map[string]any{"a": map[string]any{"b": map[string]any{"c": map[string]any{}}}},
	`{"1":"x","0":"y"}`:                 map[string]any{"1": "x", "0": "y"},
	`new Uint8Array([])`:                []byte{},
	`new Uint8Array([1,2,3,4])`:         []byte{1, 2, 3, 4},
	`new Date(0)`:                       time.Unix(0, 0).UTC(),
	`NaN`:                               math.NaN(),
	`Infinity`:                          math.Inf(1),
	`-Infinity`:                         math.Inf(-1),
	`undefined`:                         nil,
	`[undefined]`:                       []any{nil},
	`{a:undefined}`:                     map[string]any{"a": nil},
	`new Int64("0")`:                    int64(0),
	`new Int64("1")`:                    int64(1),
	`new Int64("-1")`:                   int64(-1),
	`new Int64("2147483648")`:           int64(2147483648),
	`new Int64("4294967295")`:           int64(4294967295),
	`new Int64("4294967296")`:           int64(4294967296),
	`new Int64("9007199254740993")`:     int64(9007199254740993),
	`new Int64("9223372036854775807")`:  int64(math.MaxInt64),
	`new Int64("-9223372036854775808")`: int64(math.MinInt64),
	`new Int64("-4294967296")`:          int64(-4294967296),
	`new Int64("-4294967297")`:          int64(-4294967297),
}

// encodeDiffers lists the inputs that we deliberately encode in another way
// than the JavaScript client.
var encodeDiffers = map[string]struct{ hex, why string }{
	`1.0`:                       {"fb3ff0000000000000", "JSON text with a point is a float; a JavaScript number has lost its point"},
	`1e-7`:                      {"fb3e7ad7f29abcaf48", "client mangles exponents"},
	`1e21`:                      {"fb444b1ae4d6e2ef50", "client mangles exponents"},
	`1e300`:                     {"fb7e37e43c8800759c", "client mangles exponents"},
	`5e-324`:                    {"fb0000000000000001", "client mangles exponents"},
	`NaN`:                       {"", "client sends 0; not a JSON number"},
	`Infinity`:                  {"", "client sends 0; not a JSON number"},
	`-Infinity`:                 {"", "client sends -1; not a JSON number"},
	`undefined`:                 {"f6", "Go has no undefined"},
	`[undefined]`:               {"9ff6ff", "Go has no undefined"},
	`{a:undefined}`:             {"bf6161f6ff", "Go has no undefined"},
	`new Uint8Array([])`:        {"60", "encoding/json writes []byte as base64 text"},
	`new Uint8Array([1,2,3,4])`: {"684151494442413d3d", "encoding/json writes []byte as base64 text"},
	`new Date(0)`:               {"74313937302d30312d30315430303a30303a30305a", "encoding/json writes no zero milliseconds"},
	`{b:1,a:2}`:                 {"bf614201614102ff", "keys are Go field names here; the order is what counts"},
}

func TestVectorsJSONEncode(t *testing.T) {
	for _, v := range loadVectors(t).JSONEncode {
		t.Run(v.Input, func(t *testing.T) {
			want := v.Hex
			if d, ok := encodeDiffers[v.Input]; ok {
				want = d.hex
			}
			var got JSON
			var err error
			if in, ok := jsInput[v.Input]; ok {
				got, err = NewJSON(in)
			} else {
				got, err = ParseJSON([]byte(v.Input))
			}
			if want == "" {
				if err == nil {
					t.Fatalf("encoded as %x, want an error", got.Bytes())
				}
			} else if err != nil || hex.EncodeToString(got.Bytes()) != want {
				t.Fatalf("got %x, %v, want %s", got.Bytes(), err, want)
			}

			// Whatever the client wrote we read as the client reads it.
			b := unhex(t, v.Hex)
			if text := JSONFromBytes(b).String(); text != v.DecodesTo.OK.text(t) {
				t.Errorf("%s reads as %s, want %s", v.Hex, text, v.DecodesTo.OK.text(t))
			}
			if err := Validate(TypeJSON, b); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestVectorsJSONWriteNull(t *testing.T) {
	for _, v := range loadVectors(t).JSONWriteNull {
		if v.Input == "undefined" {
			v.Result.OK = "f6" // Go has no undefined
		}
		if got := MustJSON(nil).Bytes(); hex.EncodeToString(got) != v.Result.OK {
			t.Errorf("%s: %x, want %s", v.Input, got, v.Result.OK)
		}
	}
}

// decodeDiffers lists the bytes that we deliberately read in another way than
// the JavaScript client. Empty text: an error.
var decodeDiffers = map[string]struct{ text, why string }{
	"1b8000000000000000": {"9223372036854775808", "client wraps integers beyond 64 bits"},
	"1bffffffffffffffff": {"18446744073709551615", "client wraps integers beyond 64 bits"},
	"3bffffffffffffffff": {"-18446744073709551616", "client wraps integers beyond 64 bits"},
	"6261":               {"", "client takes what is there of text that is cut short"},
	"d818456449455446":   {`"ZElFVEY="`, "client misreads tags of 24 and more"},
	"82c10102":           {"[1,2]", "client counts a tag as an element"},
	"a2616101616102":     {`{"a":1,"a":2}`, "text shows both; decoding takes the last, as the client does"},
}

// notValid lists what reads but is refused by Validate.
var notValid = map[string]string{
	"a1f501":                 "boolean key",
	"a201020304":             "integer keys",
	"a1fb3ff800000000000001": "float key",
	"61ff":                   "text is not UTF-8",
	"0102":                   "bytes after the value",
}

func TestVectorsJSONDecode(t *testing.T) {
	for _, v := range loadVectors(t).JSONDecode {
		t.Run(v.Note, func(t *testing.T) {
			b := unhex(t, v.Hex)
			want := ""
			if d, ok := decodeDiffers[v.Hex]; ok {
				want = d.text
			} else if !v.Result.Rejected {
				want = v.Result.OK.text(t)
			}
			got := ""
			j, _, err := Read[JSON](TypeJSON, b)
			if err == nil {
				var text []byte
				text, err = j.MarshalJSON()
				got = string(text)
			}
			if want == "" {
				if !errors.Is(err, ErrInvalid) {
					t.Errorf("%s: got %s, %v, want ErrInvalid", v.Hex, got, err)
				}
			} else if err != nil || got != want {
				t.Errorf("%s: got %s, %v, want %s", v.Hex, got, err, want)
			}

			invalid := want == "" || notValid[v.Hex] != ""
			if err := Validate(TypeJSON, b); (err != nil) != invalid {
				t.Errorf("Validate(%s) = %v", v.Hex, err)
			}
		})
	}
}

func TestVectorsEncodeSimple(t *testing.T) {
	v := loadVectors(t)
	// null has no Go value: a topic is cleared by other means. JavaScript's
	// conversions of other types happen in the caller's Go code.
	inputs := map[string]Value{
		`string ""`: String(""), `string "a"`: String("a"), `string "hello"`: String("hello"),
		`string "\u00fc\u6c34"`: String("\u00fc\u6c34"), `string "x".repeat(24)`: String(strings.Repeat("x", 24)),
		`string 42`: String("42"), `string true`: String("true"),
		`int64 "9223372036854775807"`: Int64(math.MaxInt64), `int64 "-9223372036854775808"`: Int64(math.MinInt64),
		`int64 "0x7fffffffffffffff"`: Int64(math.MaxInt64), `int64 "12345678901234567"`: Int64(12345678901234567),
		`int64 "-4294967297"`: Int64(-4294967297), `int64 1.9`: Int64(1), `int64 -1.9`: Int64(-1),
		`double -0`: Double(math.Copysign(0, -1)), `double NaN`: Double(math.NaN()),
		`double Infinity`: Double(math.Inf(1)), `double -Infinity`: Double(math.Inf(-1)),
		`binary new Uint8Array([])`: Binary{}, `binary new Uint8Array([0])`: Binary{0},
		`binary new Uint8Array([0xf6])`: Binary{0xf6}, `binary new Uint8Array([1,2,3])`: Binary{1, 2, 3},
	}
	groups := []struct {
		typ     Type
		vectors []encodeVector
	}{
		{TypeString, v.StringEncode}, {TypeInt64, v.Int64Encode}, {TypeDouble, v.DoubleEncode}, {TypeBinary, v.BinaryEncode},
	}
	for _, g := range groups {
		for _, v := range g.vectors {
			value, ok := inputs[g.typ.String()+" "+v.Input]
			switch n, err := strconv.ParseFloat(v.Input, 64); {
			case v.Input == "null" || v.Input == "undefined":
				if !v.Result.Rejected && !IsNull(g.typ, unhex(t, v.Result.OK)) {
					t.Errorf("%v %s: %s is not null", g.typ, v.Input, v.Result.OK)
				}
				continue
			case v.Result.Rejected:
				continue // the Go compiler rejects it
			case !ok && err != nil:
				t.Errorf("%v %s: no Go value in the test", g.typ, v.Input)
				continue
			case !ok && g.typ == TypeInt64:
				value = Int64(n)
			case !ok:
				value = Double(n)
			}
			if got := hex.EncodeToString(value.Bytes()); got != v.Result.OK || value.Type() != g.typ {
				t.Errorf("%v %s: got %s, want %s", g.typ, v.Input, got, v.Result.OK)
			}
			if err := Validate(g.typ, value.Bytes()); err != nil {
				t.Errorf("%v %s: %v", g.typ, v.Input, err)
			}
			back, present, err := Read[Value](g.typ, unhex(t, v.Result.OK))
			if err != nil || !present || !bytes.Equal(back.Bytes(), value.Bytes()) {
				t.Errorf("%v %s: reads as %v, %v, %v", g.typ, v.Result.OK, back, present, err)
			}
		}
	}
}

// readDiffers lists bytes of simple types that we refuse to read although the
// JavaScript client makes something of them.
var readDiffers = map[string]string{
	"int64 1b8000000000000000": "client wraps integers beyond 64 bits",
	"int64 1bffffffffffffffff": "client wraps integers beyond 64 bits",
	"double f5":                "client takes a boolean for a double",
	"double f7":                "client takes undefined for a double",
}

// readButNotValid lists bytes of simple types that read but are refused by
// Validate.
var readButNotValid = map[string]string{
	"string 616162": "bytes after the value",
	"string 61ff":   "text is not UTF-8",
	"int64 0001":    "bytes after the value",
	"int64 c101":    "a tag",
}

func TestVectorsDecodeSimple(t *testing.T) {
	v := loadVectors(t)
	t.Run("string", func(t *testing.T) { testDecode[String](t, TypeString, v.StringDecode) })
	t.Run("int64", func(t *testing.T) { testDecode[Int64](t, TypeInt64, v.Int64Decode) })
	t.Run("double", func(t *testing.T) { testDecode[Double](t, TypeDouble, v.DoubleDecode) })
	for _, b := range v.BinaryDecode {
		got, present, err := Read[Binary](TypeBinary, unhex(t, b.Hex))
		if err != nil || !present || hex.EncodeToString(got) != b.Result.OK {
			t.Errorf("binary %s: %x, %v, %v", b.Hex, got, present, err)
		}
	}
}

func testDecode[V Value](t *testing.T, typ Type, vectors []decodeVector) {
	for _, v := range vectors {
		b := unhex(t, v.Hex)
		name := typ.String() + " " + v.Hex
		got, present, err := Read[V](typ, b)
		own, ownPresent, ownErr := Read[Value](typ, b)
		if present != ownPresent || (err == nil) != (ownErr == nil) {
			t.Errorf("%s: read as Value gives %v, %v, %v", name, own, ownPresent, ownErr)
		}
		invalid := readButNotValid[name] != ""
		switch {
		case v.Result.Rejected || readDiffers[name] != "":
			invalid = true
			if !errors.Is(err, ErrInvalid) || present || own != nil {
				t.Errorf("%s: got %v, %v, want ErrInvalid", name, got, err)
			}
		case v.Result.OK.T == "null":
			if present || err != nil || !IsNull(typ, b) {
				t.Errorf("%s: got %v, %v, %v, want no value", name, got, present, err)
			}
		default:
			text := JSONFromBytes(got.Bytes()).String()
			if err != nil || !present || text != v.Result.OK.text(t) {
				t.Errorf("%s: got %v, %v, want %s", name, got, err, v.Result.OK.text(t))
			}
			if Value(got) != own {
				t.Errorf("%s: read as Value gives %v", name, own)
			}
		}
		if err := Validate(typ, b); (err != nil) != invalid {
			t.Errorf("Validate(%s) = %v", name, err)
		}
	}
}

func TestVectorsReadAs(t *testing.T) {
	for _, v := range loadVectors(t).ReadAs {
		topic, err := ParseType(strings.Replace(v.Topic, "recordv2", "record_v2", 1))
		if err != nil {
			t.Fatal(err)
		}
		var can bool
		switch v.As {
		case "json":
			can = CanRead[JSON](topic)
		case "string":
			can = CanRead[String](topic)
		case "int64":
			can = CanRead[Int64](topic)
		case "binary":
			can = CanRead[Binary](topic)
		default:
			t.Fatalf("unknown type %q", v.As)
		}
		if can != v.CanReadAs {
			t.Errorf("%s as %s: %v", v.Topic, v.As, can)
		}
		if !can {
			continue
		}
		got, present, err := Read[JSON](topic, unhex(t, v.Hex))
		if err != nil || !present || got.String() != v.Result.OK.V.text(t) {
			t.Errorf("%s as %s: %v, %v, %v", v.Topic, v.As, got, present, err)
		}
	}
}

func TestVectorsBytesEquality(t *testing.T) {
	for _, v := range loadVectors(t).BytesEquality {
		a, b := JSONFromBytes(unhex(t, v.A)), JSONFromBytes(unhex(t, v.B))
		if a.Equal(b) != v.Equal {
			t.Errorf("%s = %s: %v", v.A, v.B, !v.Equal)
		}
		if !a.Equal(JSONFromBytes(bytes.Clone(a.Bytes()))) {
			t.Errorf("%s differs from itself", v.A)
		}
	}
}

func TestVectorsJSONPointers(t *testing.T) {
	for _, v := range loadVectors(t).JSONPointers {
		var want []token
		for _, s := range v.Client.OK.Segments {
			if s.Index != nil {
				want = append(want, token{strconv.Itoa(*s.Index), *s.Index})
			} else {
				want = append(want, token{*s.Key, -1})
			}
		}
		var got []token
		rejected := false
		for rest := v.Pointer; rest != ""; {
			next, after, ok := nextToken(rest)
			if !ok {
				rejected = true
				break
			}
			got, rest = append(got, next), after
		}
		if rejected != v.Client.Rejected {
			t.Errorf("%q: rejected %v", v.Pointer, rejected)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(token{})); diff != "" {
			t.Errorf("%q: %s", v.Pointer, diff)
		}
	}
}
