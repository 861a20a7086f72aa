package tree

import (
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// spec returns a specification with properties given as key, value, ….
func spec(typ topic.Type, properties ...string) topic.Specification {
	s := topic.Specification{Type: typ}
	for i := 0; i < len(properties); i += 2 {
		if s.Properties == nil {
			s.Properties = map[string]string{}
		}
		s.Properties[properties[i]] = properties[i+1]
	}
	return s
}

func seriesOf(valueType string, properties ...string) topic.Specification {
	return spec(topic.TimeSeries, append(properties, topic.TimeSeriesEventValueType, valueType)...)
}

// unhexed is for tables; what is not hex panics.
func unhexed(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// code returns the code of a service error, or 0.
func code(err error) wire.ErrorCode {
	var e *wire.ServiceError
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// constraintOf reads the wire form of a constraint.
func constraintOf(t testing.TB, encoded string) *service.Constraint {
	t.Helper()
	body := wire.AppendBytes(append(wire.AppendString(nil, "a"), byte(topic.String)), nil)
	r, err := service.SetTopic.ReadRequest(append(body, unhexed(encoded)...))
	if err != nil {
		t.Fatalf("constraint %s: %v", encoded, err)
	}
	return &r.Constraint
}

// stock are the topics against which the constraints are held. All of them are
// called by their key.
func stock(t testing.TB) *Tree {
	t.Helper()
	tr := New(Config{Locked: func(name string, sequence int64) bool { return name == "lockA" && sequence == 300 }})
	for path, c := range map[string]struct {
		spec  topic.Specification
		value string
	}{
		"abc":     {spec(topic.String), "63616263"},
		"seven":   {spec(topic.String), "6137"},
		"7.0":     {spec(topic.String), "63372e30"},
		"int7":    {spec(topic.Int64), "07"},
		"double7": {spec(topic.Double), "fb401c000000000000"},
		"nan":     {spec(topic.Double), "fb7ff8000000000000"},
		"json":    {spec(topic.JSON), "bf 6161 01 6162 6178 6163 f6 6164 f5 6165 9f01ff 6166 fb4000000000000000 6167 6137 ff"},
		"bin7":    {spec(topic.Binary), "07"},
		"record":  {spec(topic.RecordV2), "61"},
		"bad":     {spec(topic.String), "6561"}, // shorter than it says
		"badjson": {spec(topic.JSON), "bf6161"}, // likewise
		"forget":  {spec(topic.String, topic.DontRetainValue, "true"), "63616263"},
		"sabc":    {seriesOf("string"), "63616263"},
		"s7":      {seriesOf("int64"), "07"},
		"sjson":   {seriesOf("json"), "bf616101ff"},
	} {
		if _, err := addAndSet(tr, path, c.spec, unhexed(c.value), &service.Constraint{}); err != nil {
			t.Fatal(path, err)
		}
	}
	for path, s := range map[string]topic.Specification{"empty": spec(topic.String), "emptyseries": seriesOf("json")} {
		if _, err := addTopic(tr, path, s); err != nil {
			t.Fatal(err)
		}
	}
	add(t, tr, "null", "x")
	if err := set(tr, "null", topic.String, null, &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestConstraints holds every row of 23 sections 3.1 to 3.3 against topics that
// satisfy it, that do not, and to which it does not apply.
func TestConstraints(t *testing.T) {
	const (
		all  = "abc seven 7.0 int7 double7 nan json bin7 record bad badjson forget sabc s7 sjson empty emptyseries null none"
		free = "empty forget emptyseries null"
	)
	for _, c := range []struct{ name, constraint, satisfied string }{
		{"unconstrained", "00", all},
		{"no topic", "05", "none"},
		{"no value", "03", free},
		{"lock held", "04 05 6c6f636b41 ac02", all},
		{"lock with another sequence", "04 05 6c6f636b41 ad02", ""},
		{"another lock", "04 05 6c6f636b42 ac02", ""},
		{"conjunction", "01 04 05 6c6f636b41 ac02 02 01 04 04 63616263", "abc sabc"},
		{"conjunction without lock", "01 04 05 6c6f636b41 01 02 01 04 04 63616263", ""},
		{"disjunction", "07 04 05 6c6f636b41 01 03", free},
		{"disjunction of the other side", "07 03 04 05 6c6f636b41 01", free},
		{"nested", "07 05 01 03 00", free + " none"},

		{"is abc", "02 01 04 04 63616263", "abc sabc"},
		{"is 7", "02 01 04 01 07", "int7 s7 bin7"},
		{"is the document", "02 01 04 05 bf616101ff", "sjson"},
		{"is bytes that are no value", "02 01 04 02 6561", "bad"},
		{"= text", "02 02 01 04 63616263", "abc sabc"},
		{"!= text", "02 03 01 04 63616263", "seven 7.0 int7 double7 nan s7"},
		{"= text 7", "02 02 01 02 6137", "seven int7 s7"},
		{"= text 7.0", "02 02 01 04 63372e30", "7.0 double7"},
		{"= 7", "02 02 02 01 07", "seven 7.0 int7 double7 s7"},
		{"!= 7", "02 03 02 01 07", ""},
		{"!= 6.5", "02 03 03 09 fb401a000000000000", "seven 7.0 int7 double7 s7"},
		{"> 6.5", "02 04 03 09 fb401a000000000000", "seven 7.0 int7 double7 s7"},
		{"> 7", "02 04 02 01 07", ""},
		{">= 7", "02 05 02 01 07", "seven 7.0 int7 double7 s7"},
		{"< 8", "02 06 02 01 08", "seven 7.0 int7 double7 s7"},
		{"< 7", "02 06 03 09 fb401c000000000000", ""},
		{"<= 7", "02 07 03 09 fb401c000000000000", "seven 7.0 int7 double7 s7"},
		{"> NaN", "02 04 03 09 fb7ff8000000000000", ""},
		{"!= NaN", "02 03 03 09 fb7ff8000000000000", ""},
		{"> text", "02 04 01 02 6130", ""},
		{"= null", "02 02 00 01 f6", ""},
		{"!= null", "02 03 00 01 f6", ""},
		{"= true", "02 02 07 01 f5", ""},
		{"= json", "02 02 05 05 bf616101ff", ""},
		{"= binary", "02 02 04 01 07", ""},
		{"= a number that is none", "02 02 02 04 63616263", ""},

		{"any document", "06 00 00", "json sjson"},
		{"/a is 1", "06 01 02 2f61 01 04 01 01 00", "json sjson"},
		{"/a is 1.0", "06 01 02 2f61 01 04 09 fb3ff0000000000000 00", ""},
		{"/a = 1.0", "06 01 02 2f61 02 03 09 fb3ff0000000000000 00", "json sjson"},
		{"/a != 2", "06 01 02 2f61 03 02 01 02 00", "json sjson"},
		{"/a > 0", "06 01 02 2f61 04 02 01 00 00", "json sjson"},
		{"/a >= 2", "06 01 02 2f61 05 02 01 02 00", ""},
		{"/a < 2", "06 01 02 2f61 06 02 01 02 00", "json sjson"},
		{"/a <= 0", "06 01 02 2f61 07 02 01 00 00", ""},
		{"/a = text 1", "06 01 02 2f61 02 01 02 6131 00", "json sjson"},
		{"/b = x", "06 01 02 2f62 02 01 02 6178 00", "json"},
		{"/b != y", "06 01 02 2f62 03 01 02 6179 00", "json"},
		{"/b != 1: not a number", "06 01 02 2f62 03 02 01 01 00", ""},
		{"/f = text 2.0", "06 01 02 2f66 02 01 04 63322e30 00", "json"},
		{"/g = 7", "06 01 02 2f67 02 02 01 07 00", "json"},
		{"/c = null", "06 01 02 2f63 02 00 01 f6 00", "json"},
		{"/c != null", "06 01 02 2f63 03 00 01 f6 00", ""},
		{"/b != null", "06 01 02 2f62 03 00 01 f6 00", "json"},
		{"/b = null", "06 01 02 2f62 02 00 01 f6 00", ""},
		{"/c > null", "06 01 02 2f63 04 00 01 f6 00", ""},
		{"/c != text", "06 01 02 2f63 03 01 02 6178 00", ""},
		{"/d = true", "06 01 02 2f64 02 07 01 f5 00", "json"},
		{"/d = false", "06 01 02 2f64 02 07 01 f4 00", ""},
		{"/d != false", "06 01 02 2f64 03 07 01 f4 00", ""},
		{"/a = true", "06 01 02 2f61 02 07 01 f5 00", ""},
		{"/e is [1]", "06 01 02 2f65 01 04 03 9f01ff 00", "json"},
		{"/e != text: not a text", "06 01 02 2f65 03 01 02 6178 00", ""},
		{"/e/0 = 1", "06 01 04 2f652f30 02 02 01 01 00", "json"},
		{"/nothing != 1", "06 01 02 2f7a 03 02 01 01 00", ""},
		{"/nothing != null", "06 01 02 2f7a 03 00 01 f6 00", ""},
		{"without /nothing", "06 00 01 02 2f7a", "json sjson"},
		{"without /a", "06 00 01 02 2f61", ""},
		{"without /b", "06 00 01 02 2f62", "sjson"},
		{"without /c, which is null", "06 00 01 02 2f63", "sjson"},
		{"/a is 1, /b is x, without /y, /z", "06 02 02 2f61 01 04 01 01 02 2f62 01 04 02 6178 02 02 2f79 02 2f7a", "json"},
		{"/a is 1, /b is y", "06 02 02 2f61 01 04 01 01 02 2f62 01 04 02 6179 00", ""},
		{"the whole document", "06 01 00 01 04 05 bf616101ff 00", "sjson"},
	} {
		tr, constraint := stock(t), constraintOf(t, c.constraint)
		want := " " + c.satisfied + " "
		for path := range strings.FieldsSeq(all) {
			err := tr.satisfied(constraint, path, tr.Get(path))
			if satisfied := err == nil; satisfied != strings.Contains(want, " "+path+" ") {
				t.Errorf("%s: satisfied by %s: %v", c.name, path, satisfied)
			}
			if err != nil && (code(err) != wire.CodeUnsatisfied || !strings.Contains(err.Error(), path)) {
				t.Errorf("%s: %s: %v", c.name, path, err)
			}
		}
	}
}

// TestConstrainedRequests checks that every service that takes a constraint holds
// it against the state before, and changes nothing when it is not satisfied.
func TestConstrainedRequests(t *testing.T) {
	for name, request := range map[string]func(*Tree, string, *service.Constraint) error{
		"set": func(tr *Tree, path string, c *service.Constraint) error {
			return set(tr, path, topic.JSON, []byte{2}, c)
		},
		"add and set": func(tr *Tree, path string, c *service.Constraint) error {
			return second(addAndSet(tr, path, spec(topic.JSON), []byte{2}, c))
		},
		"patch": func(tr *Tree, path string, c *service.Constraint) error {
			_, err := tr.Patch(somebody, &service.PatchRequest{Path: path, Patch: `[{"op":"replace","path":"","value":2}]`, Constraint: *c})
			return err
		},
		"stream": func(tr *Tree, path string, c *service.Constraint) error {
			_, err := tr.CreateStream(somebody, &service.CreateStreamRequest{Path: path, Type: topic.JSON, Constraint: *c})
			return err
		},
		"stream and set": func(tr *Tree, path string, c *service.Constraint) error {
			_, err := tr.CreateStreamAndSet(somebody, &service.SetRequest{Path: path, Type: topic.JSON, Value: []byte{2}, Constraint: *c})
			return err
		},
		"stream add": func(tr *Tree, path string, c *service.Constraint) error {
			_, _, err := tr.StreamAdd(somebody, &service.StreamAddRequest{Path: path, Specification: spec(topic.JSON), Constraint: *c})
			return err
		},
		"stream add and set": func(tr *Tree, path string, c *service.Constraint) error {
			_, _, err := tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: path, Specification: spec(topic.JSON), Value: []byte{2}, Constraint: *c})
			return err
		},
	} {
		tr := New(Config{})
		if _, err := addAndSet(tr, "a", spec(topic.JSON), []byte{1}, &service.Constraint{}); err != nil {
			t.Fatal(err)
		}
		stream, err := tr.CreateStream(somebody, &service.CreateStreamRequest{Path: "a", Type: topic.JSON})
		if err != nil {
			t.Fatal(err)
		}
		for path, constraint := range map[string]string{"a": "02 01 04 01 05", "/a/": "05", "none": "03", "none/2": "02 01 04 01 01"} {
			if err := request(tr, path, constraintOf(t, constraint)); code(err) != wire.CodeUnsatisfied {
				t.Errorf("%s of %q with %s: %v", name, path, constraint, err)
			}
		}
		if v, _ := tr.Get("a").Value(); tr.Len() != 1 || string(v) != "\x01" || !stream.Valid() {
			t.Errorf("%s: after refused requests there are %d topics, the value is %x, the stream is valid: %v", name, tr.Len(), v, stream.Valid())
		}
		if err := request(tr, "a", constraintOf(t, "02 01 04 01 01")); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestConstraintWork checks that a request cannot make the server read a large
// value without end.
func TestConstraintWork(t *testing.T) {
	tr := New(Config{})
	large := append([]byte{0x5a, 0x00, 0x80, 0x00, 0x00}, make([]byte, 8<<20)...) // one byte string: quick to skip
	if _, err := addAndSet(tr, "a", spec(topic.JSON), large, &service.Constraint{}); err != nil {
		t.Fatal(err)
	}
	hostile := service.Constraint{Kind: service.PartialJSON}
	for i := range 10_000 {
		hostile.Without = append(hostile.Without, fmt.Sprint("/", i))
	}
	if err := set(tr, "a", topic.JSON, []byte{1}, &hostile); code(err) != wire.CodeInvalidData {
		t.Errorf("10,000 conditions on a value of 8 MiB: %v", err)
	}
	hostile.Without = hostile.Without[:20]
	if err := set(tr, "a", topic.JSON, []byte{1}, &hostile); err != nil {
		t.Errorf("twenty conditions: %v", err)
	}
}
