package datatype

import (
	"cmp"
	"encoding/hex"
	"math"
	"math/big"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestScalarOf(t *testing.T) {
	type want struct {
		text       string // if it has one
		null, bool bool
	}
	for _, tt := range []struct {
		typ  Type
		hex  string
		want *want // nil: no value
	}{
		{TypeString, "63616263", &want{text: "abc"}},
		{TypeString, "60", &want{}},
		{TypeString, "61ff", &want{text: "\uFFFD"}},
		{TypeString, "f6", nil}, {TypeString, "01", nil}, {TypeString, "", nil}, {TypeString, "62", nil},
		{TypeInt64, "07", &want{text: "7"}},
		{TypeInt64, "3b7fffffffffffffff", &want{text: "-9223372036854775808"}},
		{TypeInt64, "f6", nil}, {TypeInt64, "6131", nil}, {TypeInt64, "1bffffffffffffffff", nil},
		{TypeDouble, "fb3ff8000000000000", &want{text: "1.5"}},
		{TypeDouble, "f93c00", &want{text: "1.0"}},
		{TypeDouble, "f6", nil}, {TypeDouble, "01", nil},
		{TypeJSON, "6161", &want{text: "a"}},
		{TypeJSON, "7f6161c16162ff", nil},
		{TypeJSON, "7f61616162ff", &want{text: "ab"}},
		{TypeJSON, "c1182a", &want{text: "42"}},
		{TypeJSON, "1bffffffffffffffff", &want{text: "18446744073709551615"}},
		{TypeJSON, "fb3ff0000000000000", &want{text: "1.0"}},
		{TypeJSON, "f6", &want{null: true}},
		{TypeJSON, "f4", &want{bool: true}}, {TypeJSON, "f5", &want{bool: true}},
		{TypeJSON, "f7", &want{}}, {TypeJSON, "4161", &want{}}, {TypeJSON, "80", &want{}}, {TypeJSON, "bfff", &want{}},
		{TypeJSON, "", nil}, {TypeJSON, "81", nil}, {TypeJSON, "ff", nil},
		{TypeBinary, "01", &want{}}, {TypeRecordV2, "31", &want{}},
	} {
		s, ok := ScalarOf(tt.typ, unhex(t, tt.hex))
		if ok != (tt.want != nil) {
			t.Errorf("%v %s: %+v, %v", tt.typ, tt.hex, s, ok)
		}
		if !ok || tt.want == nil {
			continue
		}
		text, hasText := s.Text()
		value, isBool := s.Bool()
		if text != tt.want.text || s.IsNull() != tt.want.null || isBool != tt.want.bool || value != (tt.hex == "f5") {
			t.Errorf("%v %s: %+v", tt.typ, tt.hex, s)
		}
		if other := s == (Scalar{}); other != (!hasText && !s.IsNull() && !isBool) {
			t.Errorf("%v %s: %+v is of no kind", tt.typ, tt.hex, s)
		}
	}
}

func TestScalarFloatText(t *testing.T) {
	for f, want := range map[float64]string{
		1: "1.0", -1: "-1.0", 0.1: "0.1", 100: "100.0", 1234567: "1234567.0", 9999999.5: "9999999.5",
		1e7: "1.0E7", -12345678: "-1.2345678E7", 0.001: "0.001", 0.00012: "1.2E-4", 1e-10: "1.0E-10", 1e21: "1.0E21", 1.5e300: "1.5E300",
		math.Inf(1): "Infinity", math.Inf(-1): "-Infinity", math.MaxFloat64: "1.7976931348623157E308", math.SmallestNonzeroFloat64: "5.0E-324",
	} {
		if got := floatText(f); got != want {
			t.Errorf("%v: %s, want %s", f, got, want)
		}
	}
	if floatText(0) != "0.0" || floatText(math.Copysign(0, -1)) != "-0.0" || floatText(math.NaN()) != "NaN" {
		t.Error("zeros or NaN")
	}
}

func scalar(v Value) Scalar {
	s, ok := ScalarOf(v.Type(), v.Bytes())
	if !ok {
		panic("no value: " + hex.EncodeToString(v.Bytes()))
	}
	return s
}

const notNumbers = -2 // as the outcome of a comparison

func compareScalars(a, b Scalar) int {
	if c, ok := a.CompareNumber(b); ok {
		return c
	}
	return notNumbers
}

func TestCompareNumber(t *testing.T) {
	text := func(s string) Scalar { return scalar(String(s)) }
	integer := func(n int64) Scalar { return scalar(Int64(n)) }
	float := func(f float64) Scalar { return scalar(Double(f)) }
	cbor := func(s string) Scalar { return scalar(JSONFromBytes(unhex(t, s))) }
	inf, nan := math.Inf(1), math.NaN()
	for _, tt := range []struct {
		a, b Scalar
		want int
	}{
		{integer(1), float(1), 0}, {integer(1), text("1"), 0}, {float(1), text("1.0"), 0}, {text("1"), text("01.00e0"), 0},
		{integer(7), integer(8), -1}, {float(1.5), integer(1), 1}, {float(-1.5), integer(-1), -1}, {float(0.5), integer(0), 1}, {float(-0.5), integer(0), -1},
		{text("0.1"), float(0.1), 0}, {text("0.10000000000000001"), float(0.1), 0}, {text("0.11"), float(0.1), 1},
		// Beyond 2^53 floats lack digits that integers have.
		{integer(1<<53 + 1), float(1 << 53), 1}, {integer(1<<53 + 1), text("9007199254740993"), 0}, {integer(1<<53 + 1), text("9007199254740993.0000001"), -1},
		{integer(math.MaxInt64), float(1 << 63), -1}, {integer(math.MinInt64), float(-1 << 63), 0}, {integer(math.MinInt64), float(-1.0000000000000002 * (1 << 63)), 1},
		{cbor("1bffffffffffffffff"), integer(math.MaxInt64), 1}, {cbor("1bffffffffffffffff"), text("18446744073709551615"), 0},
		{cbor("3bffffffffffffffff"), integer(math.MinInt64), -1}, {cbor("3bffffffffffffffff"), float(-1 << 64), 0},
		{float(0), float(math.Copysign(0, -1)), 0}, {text("-0"), integer(0), 0}, {text("-0.0e5"), float(0), 0}, {text("0"), text("-0"), 0},
		{float(inf), float(inf), 0}, {float(inf), integer(math.MaxInt64), 1}, {float(-inf), text("-1e999"), -1}, {float(inf), text("1e999"), 1},
		{text("1e-999"), float(0), 1}, {text("-1e-999"), float(0), -1}, {text("1e999"), float(math.MaxFloat64), 1},
		{text("1e999999999"), text("1e999999998"), 1}, {text("-1e999999999"), integer(5), -1}, {text("1e-999999999"), integer(0), 1},
		{text("12.3e1"), integer(123), 0}, {text("1230e-1"), integer(123), 0}, {text("+.5"), text("5.E-1"), 0}, {text("100"), text("1e2"), 0},
		{text("123"), text("1230"), -1}, {text("123"), text("1231e-1"), -1}, {text("-123"), text("-1231e-1"), 1}, {text("00012"), text("0.12e00000000000002"), 0},
		{float(nan), float(nan), notNumbers}, {float(nan), integer(0), notNumbers}, {float(nan), text("0"), notNumbers},
		{cbor("f6"), integer(0), notNumbers}, {cbor("f4"), integer(0), notNumbers}, {cbor("80"), text("0"), notNumbers}, {cbor("f5"), float(1), notNumbers}, {Scalar{}, Scalar{}, notNumbers},
	} {
		if got := compareScalars(tt.a, tt.b); got != tt.want {
			t.Errorf("%+v with %+v: %d, want %d", tt.a, tt.b, got, tt.want)
		}
		back := -tt.want
		if tt.want == notNumbers {
			back = notNumbers
		}
		if got := compareScalars(tt.b, tt.a); got != back {
			t.Errorf("%+v with %+v: %d, want %d", tt.b, tt.a, got, back)
		}
	}
	for _, s := range []string{
		"", " ", "1 ", " 1", "+", "-", ".", "-.", "e1", ".e1", "1e", "1e+", "1e1.5", "1e1e1", "--1", "1.2.3", "0x10", "1_000", "1,5", "١",
		"NaN", "Infinity", "inf", "1e1000000000", "1e-1000000000", "abc", "1abc",
	} {
		for _, other := range []Scalar{integer(0), float(0), text("0")} {
			if got := compareScalars(text(s), other); got != notNumbers {
				t.Errorf("%q compares with %+v: %d", s, other, got)
			}
		}
	}
}

// Comparisons agree with exact arithmetic.
func TestCompareNumberExact(t *testing.T) {
	edges := []int64{0, 1, -1, 10, 100, 1 << 53, 1<<53 + 1, -1<<53 - 1, math.MaxInt64, math.MinInt64}
	numbers := rapid.Custom(func(t *rapid.T) (n struct {
		Scalar
		exact *big.Rat
	}) {
		switch rapid.IntRange(0, 2).Draw(t, "kind") {
		case 0:
			i := rapid.OneOf(rapid.SampledFrom(edges), rapid.Int64()).Draw(t, "integer")
			n.Scalar, n.exact = scalar(Int64(i)), new(big.Rat).SetInt64(i)
		case 1:
			f := rapid.OneOf(
				rapid.Map(rapid.SampledFrom(edges), func(i int64) float64 { return float64(i) }),
				rapid.Map(rapid.IntRange(-1000, 1000), func(i int) float64 { return float64(i) / 8 }),
				rapid.Float64(),
			).Draw(t, "float")
			n.Scalar, n.exact = scalar(Double(f)), new(big.Rat).SetFloat64(f)
		default:
			s := rapid.OneOf(
				rapid.Map(rapid.SampledFrom(edges), func(i int64) string { return strconv.FormatInt(i, 10) }),
				rapid.StringMatching(`[+-]?0{0,2}[0-9]{1,20}(\.[0-9]{0,4})?([eE][+-]?0?[0-9]{1,2})?`),
				rapid.StringMatching(`-?\.0{0,3}[0-9]{1,3}0{0,2}(e[0-9])?`),
			).Draw(t, "text")
			exact, ok := new(big.Rat).SetString(s)
			if !ok {
				t.Fatalf("%q is not a number", s)
			}
			n.Scalar, n.exact = scalar(String(s)), exact
		}
		return n
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := numbers.Draw(t, "a"), numbers.Draw(t, "b")
		want := a.exact.Cmp(b.exact)
		switch { // a text is compared with a float as a float
		case a.kind == kindText && b.kind == kindFloat:
			f, _ := a.exact.Float64()
			want = cmp.Compare(f, b.float)
		case a.kind == kindFloat && b.kind == kindText:
			f, _ := b.exact.Float64()
			want = cmp.Compare(a.float, f)
		}
		if got := compareScalars(a.Scalar, b.Scalar); got != want {
			t.Fatalf("%+v with %+v: %d, want %d", a.Scalar, b.Scalar, got, want)
		}
	})
}

func TestCompareNumberHostile(t *testing.T) {
	zeros := strings.Repeat("0", 1<<20)
	a, b := scalar(String("1"+zeros+"e-1048576")), scalar(Int64(1))
	if got := compareScalars(a, b); got != 0 {
		t.Errorf("one with many zeros: %d", got)
	}
	c := scalar(String("0." + zeros + "1e1048577"))
	if got := compareScalars(a, c); got != 0 {
		t.Errorf("many zeros on both sides: %d", got)
	}
	f := scalar(Double(1))
	huge, tiny := scalar(String("1e999999999")), scalar(String("1e-999999999"))
	if n := testing.AllocsPerRun(10, func() {
		for _, x := range []Scalar{a, b, c, f, huge, tiny} {
			for _, y := range []Scalar{a, b, c, huge, tiny} {
				x.CompareNumber(y)
			}
		}
	}); n > 20 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkCompareNumber(b *testing.B) {
	for name, pair := range map[string][2]Scalar{
		"int-float": {scalar(Int64(5)), scalar(Double(5.5))}, "int-text": {scalar(Int64(5)), scalar(String("5.25"))},
		"float-text": {scalar(Double(5)), scalar(String("5.25"))},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, ok := pair[0].CompareNumber(pair[1]); !ok {
					b.Fatal("not numbers")
				}
			}
		})
	}
}
