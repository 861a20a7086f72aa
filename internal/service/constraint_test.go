package service

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"

	"advect.dev/internal/wire"
)

func is(value string) Condition { return Condition{OperatorIs, 4, []byte(value)} }

// TestConstraintTable is the table of 23 section 3.
func TestConstraintTable(t *testing.T) {
	lockA := Constraint{Kind: Locked, Lock: "lockA", Sequence: 300}
	abc := Constraint{Kind: TopicValue, Condition: is("abc")}
	number := func(b string) []byte { return unhex(t, b) }
	for _, test := range []struct {
		name string
		hex  string
		want Constraint
	}{
		{"none", "00", Constraint{}},
		{"locked", "04 05 6c6f636b41 ac02", lockA},
		{"value('abc')", "02 01 04 04 63616263", Constraint{Kind: TopicValue, Condition: is("cabc")}},
		{"value({a:1})", "02 01 04 05 bf616101ff", Constraint{Kind: TopicValue, Condition: Condition{1, 4, number("bf616101ff")}}},
		{"value(EQ, int64 7)", "02 02 02 01 07", Constraint{Kind: TopicValue, Condition: Condition{2, 2, []byte{7}}}},
		{"value(GT, 1.5)", "02 04 03 09 fb3ff8000000000000", Constraint{Kind: TopicValue, Condition: Condition{4, 3, number("fb3ff8000000000000")}}},
		{"value(NE, 'abc')", "02 03 01 04 63616263", Constraint{Kind: TopicValue, Condition: Condition{3, 1, []byte("cabc")}}},
		{"noValue()", "03", Constraint{Kind: NoValue}},
		{"noTopic()", "05", Constraint{Kind: NoTopic}},
		{"with IS", "06 01 03 2f6964 01 04 02 6178 00", Constraint{Kind: PartialJSON, With: map[string]Condition{"/id": is("ax")}}},
		{"with null EQ", "06 01 02 2f6e 02 00 01 f6 00", Constraint{Kind: PartialJSON, With: map[string]Condition{"/n": {2, 0, []byte{0xf6}}}}},
		{"with true EQ", "06 01 02 2f6e 02 07 01 f5 00", Constraint{Kind: PartialJSON, With: map[string]Condition{"/n": {2, 7, []byte{0xf5}}}}},
		{"with with without without", "06 02 02 2f61 01 04 02 6178 02 2f62 02 03 09 fb4000000000000000 02 02 2f63 02 2f64",
			Constraint{Kind: PartialJSON, With: map[string]Condition{"/a": is("ax"), "/b": {2, 3, number("fb4000000000000000")}}, Without: []string{"/c", "/d"}}},
		{"locked.and(value)", "01 04 05 6c6f636b41 ac02 02 01 04 03 616263", Constraint{Kind: Conjunction, Left: &lockA, Right: &abc}},
		{"locked.or(noValue)", "07 04 05 6c6f636b41 ac02 03", Constraint{Kind: Disjunction, Left: &lockA, Right: &Constraint{Kind: NoValue}}},
	} {
		b := unhex(t, strings.ReplaceAll(test.hex, " ", ""))
		got, err := readConstraint(b)
		if err != nil || !reflect.DeepEqual(got, test.want) {
			t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
		}
		if got := test.want.append(nil); !bytes.Equal(got, b) {
			t.Errorf("%s: encoded %x, want %x", test.name, got, b)
		}
		for n := range b {
			if c, err := readConstraint(b[:n:n]); !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s cut to %d bytes: %+v, %v", test.name, n, c, err)
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

func readConstraint(b []byte) (Constraint, error) {
	var c Constraint
	r := wire.NewReader(b)
	c.read(r)
	if r.Err() == nil && r.Len() > 0 {
		r.Fail("%d bytes left", r.Len())
	}
	return c, r.Err()
}

func TestConstraintRefusals(t *testing.T) {
	for name, text := range map[string]string{
		"kind 8":              "08",
		"operator 0":          "02000400",
		"operator 8":          "02080400",
		"type 8":              "02010800",
		"nested kind 9":       "010009",
		"with count -1":       "06ffffffff0f00",
		"with count too many": "0602012f010400",
		"without too many":    "060003012f",
		"version 26 counted":  "0102040a746f7069632f706174680503"[:8],
	} {
		if c, err := readConstraint(unhex(t, text)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, c, err)
		}
	}
}

func TestConstraintDepth(t *testing.T) {
	nested := func(depth int) []byte {
		b := bytes.Repeat([]byte{byte(Conjunction)}, depth)
		return append(b, make([]byte, depth+1)...) // the leaves
	}
	if _, err := readConstraint(nested(maxConstraintDeep)); err != nil {
		t.Errorf("depth %d: %v", maxConstraintDeep, err)
	}
	for _, depth := range []int{maxConstraintDeep + 1, 1_000_000} {
		if _, err := readConstraint(nested(depth)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("depth %d: %v, want ErrMalformed", depth, err)
		}
	}
	chain := Constraint{}
	for range maxConstraintDeep {
		right := chain
		chain = Constraint{Kind: Disjunction, Left: &Constraint{Kind: NoTopic}, Right: &right}
	}
	if got, err := readConstraint(chain.append(nil)); err != nil || !reflect.DeepEqual(got, chain) {
		t.Errorf("a chain of %d to the right: %v", maxConstraintDeep, err)
	}
}
