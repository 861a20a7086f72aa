package advect

import (
	"encoding/hex"
	"strings"
	"testing"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// The bytes are those of protocol 23 section 3.
func TestConstraintBytes(t *testing.T) {
	locked, abc := LockedAt("lockA", 300), ValueIs(datatype.String("abc"))
	for _, c := range []struct {
		constraint Constraint
		want       string
	}{
		{Constraint{}, "00"},
		{locked, "04 05 6c6f636b41 ac02"},
		{abc, "02 01 04 04 63616263"},
		{ValueIs(datatype.MustJSON(map[string]int{"a": 1})), "02 01 04 05 bf616101ff"},
		{ValueCompares(EQ, datatype.Int64(7)), "02 02 02 01 07"},
		{ValueCompares(GT, datatype.Double(1.5)), "02 04 03 09 fb3ff8000000000000"},
		{ValueCompares(NE, datatype.String("abc")), "02 03 01 04 63616263"},
		{NoValue(), "03"},
		{NoTopic(), "05"},
		{PartialJSON(JSONAt("/id", IS, "x")), "06 01 03 2f6964 01 04 02 6178 00"},
		{PartialJSON(JSONAt("/n", EQ, nil)), "06 01 02 2f6e 02 00 01 f6 00"},
		{PartialJSON(JSONAt("/n", EQ, true)), "06 01 02 2f6e 02 07 01 f5 00"},
		{PartialJSON(JSONAt("/a", IS, "x"), JSONAt("/b", EQ, 2.0), JSONAbsent("/c"), JSONAbsent("/d")),
			"06 02 02 2f61 01 04 02 6178 02 2f62 02 03 09 fb4000000000000000 02 02 2f63 02 2f64"},
		{locked.And(abc), "01 04 05 6c6f636b41 ac02 02 01 04 04 63616263"},
		{locked.Or(NoValue()), "07 04 05 6c6f636b41 ac02 03"},
	} {
		wire, err := constraintOf([]UpdateOption{If(c.constraint)})
		if err != nil {
			t.Errorf("%s: %v", c.want, err)
			continue
		}
		body := service.CreateStream.EncodeRequest(nil, service.CreateStreamRequest{Constraint: wire})
		if want := strings.ReplaceAll(c.want, " ", ""); hex.EncodeToString(body[2:]) != want {
			t.Errorf("%x, want %s", body[2:], want)
		}
	}
}

func TestConstraintRefusals(t *testing.T) {
	for name, c := range map[string]Constraint{
		"GT text":          ValueCompares(GT, datatype.String("x")),
		"EQ JSON":          ValueCompares(EQ, datatype.JSON{}),
		"EQ binary":        ValueCompares(EQ, datatype.Binary{1}),
		"GT null":          PartialJSON(JSONAt("/a", GT, nil)),
		"NE bool":          PartialJSON(JSONAt("/a", NE, true)),
		"EQ object":        PartialJSON(JSONAt("/a", EQ, []int{1})),
		"no JSON":          PartialJSON(JSONAt("/a", IS, func() {})),
		"bad pointer":      PartialJSON(JSONAt("a", EQ, 1)),
		"bad absent":       PartialJSON(JSONAbsent("a")),
		"within And":       NoTopic().And(ValueCompares(LE, datatype.String("x"))),
		"unknown operator": ValueCompares(9, datatype.Int64(1)),
		"nil value":        ValueIs(nil),
	} {
		if _, err := constraintOf([]UpdateOption{If(c)}); err == nil {
			t.Errorf("%s is accepted", name)
		}
	}
}
