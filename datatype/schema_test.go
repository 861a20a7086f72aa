package datatype

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func mustSchema(t testing.TB, text string) *Schema {
	t.Helper()
	s, err := ParseSchema(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestVectorsSchemas(t *testing.T) {
	v := loadRecordVectors(t)
	for _, tt := range v.Schemas {
		s, err := ParseSchema(tt.Schema)
		switch {
		case tt.Client.Rejected:
			if err == nil {
				t.Errorf("%s: accepted as %s", tt.Schema, s.JSON())
			}
		case err != nil:
			t.Errorf("%s: %v", tt.Schema, err)
		case s.JSON() != tt.Client.OK:
			t.Errorf("%s:\ngot  %s\nwant %s", tt.Schema, s.JSON(), tt.Client.OK)
		default:
			checkGenerated(t, tt.Client.OK)
		}
	}
	for _, tt := range v.SchemaBuilder {
		checkGenerated(t, tt.AsJSON)
	}
}

// checkGenerated checks that the generated form of a schema is its own.
func checkGenerated(t *testing.T, text string) {
	t.Helper()
	if got := mustSchema(t, text).JSON(); got != text {
		t.Errorf("%s becomes %s", text, got)
	}
}

// stricter lists the numbers that the JavaScript client takes and we refuse:
// the recommended rule for servers (protocol 10 section 10).
var stricter = map[string]string{
	"1e3":  "an exponent",
	" 5":   "white space",
	"5abc": "text after the number",
	"1.5x": "text after the number",
}

func TestVectorsSchemaValidate(t *testing.T) {
	v := loadRecordVectors(t)
	var schemas []*Schema
	for _, text := range v.ValidationSchemas {
		schemas = append(schemas, mustSchema(t, text))
	}
	for _, tt := range v.Validate {
		value := RecordV2FromBytes(unhex(t, tt.Hex))
		checkRecords(t, value, tt.Records.OK)
		rejected := tt.Client.Rejected
		for record := range value.Records() {
			rejected = rejected || slices.ContainsFunc(record, func(field string) bool { return stricter[field] != "" })
		}
		err := schemas[tt.Schema].Validate(value)
		if (err != nil) != rejected || err != nil && !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v", value, err)
		}
	}
	// What the client makes of numbers is its own affair, but not which texts
	// are numbers.
	for _, tt := range v.Normalise {
		kind, _, _ := strings.Cut(tt.Type, "/")
		want := !tt.Client.Rejected && stricter[tt.Input] == ""
		if got := fieldKind(kind).accepts(tt.Input); got != want {
			t.Errorf("%s accepts %q: %v", tt.Type, tt.Input, got)
		}
	}
}

func TestSchemaErrors(t *testing.T) {
	field := func(members string) string {
		return `{"records":[{"name":"R","fields":[{"name":"A"},{` + members + `}]}]}`
	}
	for _, tt := range []struct{ text, want string }{
		{`{"records":[`, "parse JSON: unexpected end"},
		{`[]`, "not a JSON object"},
		{`null`, "not a JSON object"},
		{`{"Records":[{"name":"R","fields":[{"name":"A"}]}]}`, `"records" is not an array of at least one element`},
		{`{"records":[1]}`, "records[0]: not a JSON object"},
		{`{"records":[{"name":"R","fields":{}}]}`, `records[0]: "fields" is not an array`},
		{`{"records":[{"name":"R","fields":[]}]}`, `records[0]: "fields" is not an array of at least one element`},
		{`{"records":[{"name":"R","name":"R","fields":[{"name":"A"}]}]}`, `repeats the key "name"`},
		{field(`"name":""`), `records[0]: fields[1]: "name" is not a text`},
		{field(`"name":1`), `"name" is not a text`},
		{field(`"name":"A"`), `fields[1]: the name "A" is taken`},
		{field(`"name":"B","type":1`), `"type" is not STRING`},
		{field(`"name":"B","occurs":1,"min":1`), `"occurs" excludes`},
		{field(`"name":"B","occurs":0`), "the maximum must be"},
		{field(`"name":"B","occurs":-1`), "must not be negative"},
		{field(`"name":"B","min":0`), "the maximum must be"},
		{field(`"name":"B","max":-2`), "the maximum must be"},
		{field(`"name":"B","min":1.5`), `"min" is not a 32-bit integer`},
		{field(`"name":"B","max":2147483648`), `"max" is not a 32-bit integer`},
		{field(`"name":"B","max":"2"`), `"max" is not a 32-bit integer`},
		{field(`"name":"B","type":"DECIMAL","scale":null`), `"scale" is not a 32-bit integer`},
	} {
		_, err := ParseSchema(tt.text)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.text, err, tt.want)
		}
	}
}

func TestSchemaValidateErrors(t *testing.T) {
	s := mustSchema(t, `{"records":[
		{"name":"head","fields":[{"name":"id","type":"INTEGER"},{"name":"tag","min":0,"max":2}]},
		{"name":"pair","occurs":2,"fields":[{"name":"x","occurs":2,"type":"DECIMAL"}]},
		{"name":"rest","min":1,"max":3,"fields":[{"name":"text","min":0,"max":-1}]}]}`)
	for _, tt := range []struct{ value, want string }{
		{"1|.5,-2.25|+3,4|x", ""},
		{"1,a,b|1,2|3,4|x|y|", ""},
		{"1|1,2|3,4|", ""},
		{"1,a,b,c|1,2|3,4|x", `byte 6: more fields than the record "head" has`},
		{"1|1,2|3,4|x|y|z|", `byte 16: more records than the schema has`},
		{"1|1,2|3,4", `byte 9: there is no record "rest"`},
		{"1|1,2", `byte 5: there is no record "pair"`},
		{"1", `byte 1: there is no record "pair"`},
		{"", `byte 0: there is no record "head"`},
		{"|1,2|3,4|x", `byte 0: there is no field "id" in the record "head"`},
		{"1|1|3,4|x", `byte 2: there is no field "x" in the record "pair"`},
		{"1|1,x|3,4|x", `byte 4: the field "x" of the record "pair" is not of type DECIMAL`},
		{"1.0|1,2|3,4|x", `byte 0: the field "id" of the record "head" is not of type INTEGER`},
		{"1|1,2|3,4|\xff", `byte 0: text is not UTF-8`},
	} {
		err := s.Validate(RecordV2FromBytes([]byte(strings.NewReplacer("|", recordSeparator, ",", fieldSeparator).Replace(tt.value))))
		switch {
		case tt.want == "" && err != nil:
			t.Errorf("%q: %v", tt.value, err)
		case tt.want != "" && (err == nil || !strings.HasSuffix(err.Error(), tt.want)):
			t.Errorf("%q: %v, want %s", tt.value, err, tt.want)
		}
	}
}

func TestFieldKindAccepts(t *testing.T) {
	integer, decimal := regexp.MustCompile(`^[+-]?[0-9]+$`), regexp.MustCompile(`^[+-]?[0-9]*\.?[0-9]+$`)
	check := func(t interface{ Errorf(string, ...any) }, text string) {
		if got := kindInteger.accepts(text); got != integer.MatchString(text) {
			t.Errorf("INTEGER accepts %q: %v", text, got)
		}
		if got := kindDecimal.accepts(text); got != decimal.MatchString(text) {
			t.Errorf("DECIMAL accepts %q: %v", text, got)
		}
		if !kindString.accepts(text) {
			t.Errorf("STRING does not accept %q", text)
		}
	}
	for _, text := range []string{"", "+", "-", ".", "+.", "1.", ".1", "-.1", "1.1.1", "--1", "0x1", "٣", "1\n"} {
		check(t, text)
	}
	rapid.Check(t, func(t *rapid.T) { check(t, rapid.StringMatching(`[+-]{0,2}[0-9.]{0,4}[0-9e]?`).Draw(t, "text")) })
}

func TestSchemaField(t *testing.T) {
	s := mustSchema(t, `{"records":[
		{"name":"head","fields":[{"name":"id"},{"name":"tag","min":0,"max":2}]},
		{"name":"pair","occurs":2,"fields":[{"name":"x","occurs":2},{"name":"y"}]},
		{"name":"rest","min":0,"max":-1,"fields":[{"name":"text","min":0,"max":-1}]}]}`)
	v := NewRecordV2([]string{"7", "t0", "t1", "not in the schema"}, []string{"a", "b", "c"}, []string{"d", "e", "f"}, nil, []string{"g", "h"})
	for _, tt := range []struct {
		record string
		i      int
		field  string
		j      int
		want   string // empty: not there
	}{
		{"head", 0, "id", 0, "7"}, {"head", 0, "tag", 1, "t1"}, {"head", 0, "tag", 2, ""}, {"head", 1, "id", 0, ""},
		{"pair", 0, "x", 1, "b"}, {"pair", 1, "y", 0, "f"}, {"pair", 2, "x", 0, ""}, {"pair", -1, "x", 0, ""}, {"pair", 0, "x", -1, ""},
		{"rest", 0, "text", 0, ""}, {"rest", 1, "text", 1, "h"}, {"rest", 2, "text", 0, ""}, {"rest", 1<<31 - 1, "text", 1<<31 - 1, ""},
		{"none", 0, "id", 0, ""}, {"head", 0, "none", 0, ""}, {"rest", 1, "id", 0, ""},
	} {
		got, ok := s.Field(v, tt.record, tt.i, tt.field, tt.j)
		if got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s[%d].%s[%d] = %q, %v, want %q", tt.record, tt.i, tt.field, tt.j, got, ok, tt.want)
		}
	}
}

// Neither a schema nor a value can make validation take more than time in
// proportion to their lengths.
func TestSchemaHostile(t *testing.T) {
	const n = 100_000
	var text strings.Builder
	text.WriteString(`{"records":[{"name":"all","fields":[`)
	for i := range n {
		fmt.Fprintf(&text, `{"name":"f%d","occurs":%d},`, i, 1+i%2*2147483646)
	}
	text.WriteString(`{"name":"last","min":0,"max":-1}]}]}`)
	start := time.Now()
	s := mustSchema(t, text.String())
	for _, unit := range []string{"\x01", "\x02", "\x01\x02", "\x04\x05"} {
		v := RecordV2FromBytes([]byte(strings.Repeat(unit, n)))
		if err := s.Validate(v); err == nil {
			t.Errorf("%q many times is valid", unit)
		}
		if _, ok := s.Field(v, "all", 0, "last", 0); ok {
			t.Error("found a field that is not there")
		}
	}
	loose := mustSchema(t, `{"records":[{"name":"R","min":0,"max":-1,"fields":[{"name":"F","min":0,"max":-1}]}]}`)
	if err := loose.Validate(RecordV2FromBytes([]byte(strings.Repeat("\x01\x02", n)))); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > time.Minute {
		t.Errorf("took %v", took)
	}
	if _, err := ParseSchema(strings.Repeat("[", 1<<20)); err == nil {
		t.Error("accepted brackets")
	}
}

// FuzzSchema: a schema that is accepted has a generated form that means the
// same, and judges any value.
func FuzzSchema(f *testing.F) {
	v := loadRecordVectors(f)
	for _, s := range v.Schemas {
		f.Add(s.Schema, []byte("a\x02b\x01\x05"))
	}
	for _, d := range v.Validate {
		f.Add(v.ValidationSchemas[d.Schema], unhex(f, d.Hex))
	}
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		s, err := ParseSchema(text)
		if err != nil {
			return
		}
		again, err := ParseSchema(s.JSON())
		if err != nil || again.JSON() != s.JSON() {
			t.Fatalf("%q is generated as %s: %v", text, s.JSON(), err)
		}
		value := RecordV2FromBytes(b)
		err = s.Validate(value)
		if err2 := again.Validate(value); fmt.Sprint(err) != fmt.Sprint(err2) {
			t.Fatalf("%q: %v and %v", text, err, err2)
		}
		if err != nil {
			return
		}
		if err := Validate(TypeRecordV2, b); err != nil {
			t.Fatalf("%x is valid by the schema only: %v", b, err)
		}
		// Every field of a valid value has a name, by which it is found.
		fields := 0
		for i := range s.records {
			r := &s.records[i]
			for m := 0; r.max == unlimited || int64(m) < r.max; m++ {
				if _, ok := value.Record(int(r.first) + m); !ok {
					break
				}
				for j := range r.fields {
					name := r.fields[j].name
					n := 0
					for _, ok := s.Field(value, r.name, m, name, n); ok; _, ok = s.Field(value, r.name, m, name, n) {
						n++
					}
					if int64(n) < r.fields[j].min {
						t.Fatalf("%q %x: %d fields %q", text, b, n, name)
					}
					fields += n
				}
			}
		}
		want := 0
		for record := range value.Records() {
			want += len(record)
		}
		if fields != want {
			t.Fatalf("%q %x: %d of %d fields found by name", text, b, fields, want)
		}
	})
}
