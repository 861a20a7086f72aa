package tree

import (
	"bytes"
	"fmt"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// TestValidation follows the table of 10 section 10.13. Without VALIDATE_VALUES
// only what cannot be a value of any kind is refused.
func TestValidation(t *testing.T) {
	const schema = `{"records":[{"name":"r","fields":[{"name":"a"},{"name":"n","type":"INTEGER"}]}]}`
	for _, c := range []struct {
		name  string
		typ   topic.Type
		value string
		plain bool // accepted without VALIDATE_VALUES
		valid bool // accepted with it
	}{
		{"json", topic.JSON, "bf616101ff", true, true},
		{"definite json", topic.JSON, "a1616101", true, true},
		{"json null", topic.JSON, "f6", true, true},
		{"json with more after it", topic.JSON, "0101", true, false},
		{"json cut off", topic.JSON, "bf6161", true, false},
		{"json with a number as key", topic.JSON, "a10101", true, false},
		{"no json", topic.JSON, "", false, false},
		{"text", topic.String, "6161", true, true},
		{"long text in parts", topic.String, "7f61616162ff", true, true},
		{"null text", topic.String, "f6", true, true},
		{"undefined text", topic.String, "f7", true, false},
		{"text of bytes", topic.String, "4161", true, false},
		{"text that is not UTF-8", topic.String, "61ff", true, false},
		{"text with more after it", topic.String, "616100", true, false},
		{"no text", topic.String, "", false, false},
		{"integer", topic.Int64, "1b7fffffffffffffff", true, true},
		{"least integer", topic.Int64, "3b7fffffffffffffff", true, true},
		{"null integer", topic.Int64, "f6", true, true},
		{"integer beyond 64 bits", topic.Int64, "1b8000000000000000", true, false},
		{"integer below 64 bits", topic.Int64, "3b8000000000000000", true, false},
		{"integer with a point", topic.Int64, "fb3ff0000000000000", true, false},
		{"no integer", topic.Int64, "", false, false},
		{"double", topic.Double, "fb3ff0000000000000", true, true},
		{"short double", topic.Double, "f93c00", true, true},
		{"single", topic.Double, "fa3f800000", true, true},
		{"null double", topic.Double, "f6", true, true},
		{"double as an integer", topic.Double, "01", true, false},
		{"double as a boolean", topic.Double, "f4", true, false},
		{"undefined double", topic.Double, "f7", true, false},
		{"no double", topic.Double, "", false, false},
		{"binary", topic.Binary, "ff00", true, true},
		{"no binary", topic.Binary, "", true, true},
		{"binary f6", topic.Binary, "f6", true, true},
		{"record", topic.RecordV2, "6102310161", true, true},
		{"no record", topic.RecordV2, "", true, true},
		{"record that is not UTF-8", topic.RecordV2, "ff", true, false},
	} {
		for _, validate := range []bool{false, true} {
			want := wire.CodeUpdateFailed
			if c.valid || c.plain && !validate {
				want = 0
			}
			properties := []string{topic.ValidateValues, map[bool]string{false: "no", true: "TRUE"}[validate]}
			value := unhexed(c.value)
			tr := New(Config{})
			_, err := addAndSet(tr, "a", spec(c.typ, properties...), value, &service.Constraint{})
			if code(err) != want {
				t.Errorf("%s, validated %v: %v", c.name, validate, err)
			}
			if _, err := addTopic(tr, "b", spec(c.typ, properties...)); err != nil {
				t.Fatal(err)
			}
			if err := set(tr, "b", c.typ, value, &service.Constraint{}); code(err) != want {
				t.Errorf("%s, validated %v, set: %v", c.name, validate, err)
			}
			if v, has := tr.Get("b").Value(); has && (want != 0 || !bytes.Equal(v, value)) {
				t.Errorf("%s, validated %v: the value is %x", c.name, validate, v)
			}
			if _, err := addTopic(tr, "ts", seriesOf(c.typ.String(), properties...)); err != nil {
				t.Fatal(err)
			}
			if err := set(tr, "ts", c.typ, value, &service.Constraint{}); code(err) != want {
				t.Errorf("%s, validated %v, set of a time series: %v", c.name, validate, err)
			}
			wantAppend := want
			if want != 0 {
				wantAppend = wire.CodeInvalidData // 26 section 2
			}
			if _, err := tr.Append(somebody, &service.AppendRequest{Path: "ts", DataType: c.typ.String(), Value: value}, nil); code(err) != wantAppend {
				t.Errorf("%s, validated %v, append: %v", c.name, validate, err)
			}
		}
	}
	for value, valid := range map[string]bool{"a\x027": true, "a\x02x": false, "a": false, "a\x021\x01b\x022": false, "\xff\x021": false} {
		tr := New(Config{})
		_, err := addAndSet(tr, "a", spec(topic.RecordV2, topic.Schema, schema, topic.ValidateValues, "true"), []byte(value), &service.Constraint{})
		if (err == nil) != valid || !valid && code(err) != wire.CodeUpdateFailed {
			t.Errorf("record %q with a schema: %v", value, err)
		}
		if _, err := addAndSet(tr, "b", spec(topic.RecordV2, topic.Schema, schema), []byte(value), &service.Constraint{}); err != nil {
			t.Errorf("record %q with a schema, not validated: %v", value, err)
		}
	}
	for _, bad := range []string{"", "{", "{}", `{"records":[]}`, `{"records":[{"name":"r","fields":[]}]}`} {
		if _, err := addTopic(New(Config{}), "a", spec(topic.RecordV2, topic.Schema, bad)); code(err) != wire.CodeTopicSpecInvalid {
			t.Errorf("schema %q: %v", bad, err)
		}
		if _, err := addTopic(New(Config{}), "a", spec(topic.JSON, topic.Schema, bad)); err != nil {
			t.Errorf("schema %q of a JSON topic, which has none: %v", bad, err)
		}
	}
}

// TestNullIsClearedOnlyWhereThereIsNull checks that f6 is a value of other types.
func TestNullIsClearedOnlyWhereThereIsNull(t *testing.T) {
	for typ, has := range map[topic.Type]bool{topic.String: false, topic.Int64: false, topic.Double: false, topic.JSON: true, topic.Binary: true, topic.RecordV2: true} {
		tr := New(Config{})
		if _, err := addAndSet(tr, "a", spec(typ), null, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
		if _, got := tr.Get("a").Value(); got != has {
			t.Errorf("%v set to f6 has a value: %v", typ, got)
		}
	}
}

// TestExists follows 12 section 12.4: what counts as the same specification.
func TestExists(t *testing.T) {
	for name, c := range map[string]struct {
		first, second topic.Specification
		same          bool
	}{
		"equal":               {spec(topic.JSON), spec(topic.JSON), true},
		"type":                {spec(topic.JSON), spec(topic.String), false},
		"letter case":         {spec(topic.JSON, topic.Priority, "HIGH", topic.DontRetainValue, "True"), spec(topic.JSON, topic.Priority, "high", topic.DontRetainValue, "true"), true},
		"value":               {spec(topic.JSON, topic.Priority, "high"), spec(topic.JSON, topic.Priority, "low"), false},
		"default given":       {spec(topic.JSON), spec(topic.JSON, topic.ValidateValues, "false"), false},
		"unknown key":         {spec(topic.JSON), spec(topic.JSON, "COLOUR", "red"), false},
		"the same unknown":    {spec(topic.JSON, "COLOUR", "red"), spec(topic.JSON, "COLOUR", "red"), true},
		"unknown, other case": {spec(topic.JSON, "COLOUR", "red"), spec(topic.JSON, "COLOUR", "Red"), false},
		"lower-case key":      {spec(topic.JSON, topic.Priority, "high"), spec(topic.JSON, "priority", "high"), false},
		"event type":          {seriesOf("JSON"), seriesOf("json"), true},
		"other event type":    {seriesOf("string"), seriesOf("json"), false},
		"not applicable":      {spec(topic.Int64, topic.Compression, "off"), spec(topic.Int64), false},
	} {
		tr := New(Config{})
		if created, err := addTopic(tr, "a", c.first); err != nil || created != service.TopicCreated {
			t.Fatal(name, created, err)
		}
		wantCode := wire.CodeTopicExists
		if c.same {
			wantCode = 0
		}
		created, err := addTopic(tr, "/a/", c.second)
		if code(err) != wantCode || c.same && created != service.TopicExists {
			t.Errorf("%s: add: %v, %v", name, created, err)
		}
		_, stream, err := tr.StreamAdd(somebody, &service.StreamAddRequest{Path: "a", Specification: c.second})
		if code(err) != wantCode || (stream != nil) != c.same {
			t.Errorf("%s: stream: %v", name, err)
		}
	}
}

// TestPatch follows 23 section 4.
func TestPatch(t *testing.T) {
	const applied = service.PatchApplied
	for name, c := range map[string]struct {
		spec   topic.Specification
		value  string // "": none
		patch  string
		result service.PatchResult
		code   wire.ErrorCode
		then   string // "": as before
	}{
		"add":                  {spec(topic.JSON), "bf616101ff", `[{"op":"add","path":"/b","value":2}]`, applied, 0, "bf616101616202ff"},
		"remove":               {spec(topic.JSON), "bf616101616202ff", `[{"op":"remove","path":"/a"}]`, applied, 0, "bf616202ff"},
		"replace":              {spec(topic.JSON), "bf616101ff", `[{"op":"replace","path":"/a","value":{"x":[]}}]`, applied, 0, "bf6161bf61789fffffff"},
		"move":                 {spec(topic.JSON), "bf616101ff", `[{"op":"move","from":"/a","path":"/b"}]`, applied, 0, "bf616201ff"},
		"copy":                 {spec(topic.JSON), "bf616101ff", `[{"op":"copy","from":"/a","path":"/b"}]`, applied, 0, "bf616101616201ff"},
		"test":                 {spec(topic.JSON), "bf616101ff", `[{"op":"test","path":"/a","value":1},{"op":"remove","path":"/a"}]`, applied, 0, "bfff"},
		"other parts as is":    {spec(topic.JSON), "a2616118016162fa3f800000", `[{"op":"replace","path":"/b","value":1.5}]`, applied, 0, "a261611801 6162fb3ff8000000000000"},
		"test of a longer int": {spec(topic.JSON), "a161611801", `[{"op":"test","path":"/a","value":1}]`, applied, 0, ""},
		"test of a double":     {spec(topic.JSON), "bf6161fb3ff0000000000000ff", `[{"op":"test","path":"/a","value":1}]`, 0, 0, ""},
		"test fails":           {spec(topic.JSON), "bf616101ff", `[{"op":"add","path":"/b","value":1},{"op":"test","path":"/a","value":2}]`, 1, 0, ""},
		"missing target":       {spec(topic.JSON), "bf616101ff", `[{"op":"remove","path":"/b"}]`, 0, 0, ""},
		"nothing to do":        {spec(topic.JSON), "bf616101ff", `[]`, applied, 0, ""},
		"same in the end":      {spec(topic.JSON), "bf616101ff", `[{"op":"replace","path":"/a","value":1}]`, applied, 0, ""},
		"not an array":         {spec(topic.JSON), "bf616101ff", `{}`, 0, wire.CodeInvalidPatch, ""},
		"not JSON":             {spec(topic.JSON), "bf616101ff", `[`, 0, wire.CodeInvalidPatch, ""},
		"unknown operation":    {spec(topic.JSON), "bf616101ff", `[{"op":"grow","path":"/a"}]`, 0, wire.CodeInvalidPatch, ""},
		"missing member":       {spec(topic.JSON), "bf616101ff", `[{"op":"add","path":"/a"}]`, 0, wire.CodeInvalidPatch, ""},
		"bad pointer":          {spec(topic.JSON), "bf616101ff", `[{"op":"remove","path":"a"}]`, 0, wire.CodeInvalidPatch, ""},
		"value is no CBOR":     {spec(topic.JSON), "bf6161", `[{"op":"remove","path":"/a"}]`, 0, wire.CodePatchFailed, ""},
		"no value":             {spec(topic.JSON), "", `[{"op":"add","path":"","value":1}]`, 0, 0, ""},
		"not retained":         {spec(topic.JSON, topic.DontRetainValue, "true"), "01", `[{"op":"add","path":"","value":1}]`, 0, 0, ""},
		"another type":         {spec(topic.String), "6161", `[{"op":"add","path":"","value":"b"}]`, 0, wire.CodeIncompatibleUpdate, ""},
		"time series":          {seriesOf("json"), "01", `[{"op":"add","path":"","value":2}]`, 0, wire.CodeIncompatibleUpdate, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tr := New(Config{MaxValue: 1 << 20})
			var err error
			if c.value == "" {
				_, err = addTopic(tr, "a", c.spec)
			} else {
				_, err = addAndSet(tr, "a", c.spec, unhexed(c.value), &service.Constraint{})
			}
			if err != nil {
				t.Fatal(err)
			}
			p := newPicture(t)
			_ = subscribe(tr, NewClient(p), sel(t, "a"), "")
			p.take()
			before, _ := tr.Get("a").Value()
			result, err := tr.Patch(somebody, &service.PatchRequest{Path: "/a", Patch: c.patch})
			if code(err) != c.code || err == nil && result != c.result {
				t.Errorf("%d, %v", result, err)
			}
			want := before
			var events []string
			if c.then != "" {
				want, events = unhexed(c.then), []string{"update a"}
			}
			if v, _ := tr.Get("a").Value(); !bytes.Equal(v, want) {
				t.Errorf("the value is %x, want %x", v, want)
			}
			expect(t, p, "subscriber", events...)
		})
	}
	if _, err := New(Config{}).Patch(somebody, &service.PatchRequest{Path: "a", Patch: "[]"}); code(err) != wire.CodeNoSuchTopic {
		t.Errorf("no topic: %v", err)
	}
}

// TestPatchesThatExplode checks that a patch cannot make a value grow beyond
// MaxValue, and that the topic is sound after it.
func TestPatchesThatExplode(t *testing.T) {
	tr := New(Config{MaxValue: 1 << 20})
	value := append([]byte{0xbf, 0x61, 'a', 0x79, 0x04, 0x00}, bytes.Repeat([]byte("x"), 1<<10)...)
	value = append(value, 0xff)
	if _, err := addAndSet(tr, "a", spec(topic.JSON), value, &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
	patch := []byte("[")
	for i := range 60 { // each doubles the document
		patch = fmt.Appendf(patch, `{"op":"copy","from":"","path":"/b%d"},`, i)
	}
	patch[len(patch)-1] = ']'
	result, err := tr.Patch(somebody, &service.PatchRequest{Path: "a", Patch: string(patch)})
	if err != nil || result < 5 || result > 15 {
		t.Errorf("a patch that makes 2^60 KiB: %d, %v", result, err)
	}
	if v, _ := tr.Get("a").Value(); !bytes.Equal(v, value) {
		t.Errorf("the value has %d bytes, want %d", len(v), len(value))
	}
	if _, err := tr.Patch(somebody, &service.PatchRequest{Path: "a", Patch: `[{"op":"remove","path":"/a"}]`}); err != nil {
		t.Error(err)
	}
}
