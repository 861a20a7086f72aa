package datatype

import (
	"cmp"
	"math"
	"strconv"
	"strings"
)

// A Scalar is a text, a number, a boolean or null: a value, or a part of one,
// as the conditions of update constraints compare it (protocol 23 section 3).
// The zero Scalar is none of these; it stands for an array, say, and compares
// with nothing.
//
// That two values are the same is not asked of a Scalar but of their bytes.
type Scalar struct {
	kind  scalarKind
	text  string // of a text; digits of a long integer
	int   int64
	float float64
	bool  bool
}

type scalarKind byte

const (
	kindOther scalarKind = iota
	kindNull
	kindBool
	kindText
	kindInt
	kindLong // an integer beyond 64 bits, as decimal text
	kindFloat
)

// ScalarOf returns what b, the bytes of a value of type t, is. For what a
// pointer selects in a document t is [TypeJSON]. ScalarOf returns false if b is
// null where that means that there is no value, or cannot be read.
func ScalarOf(t Type, b []byte) (Scalar, bool) {
	switch t {
	case TypeJSON:
		return scalarOfJSON(b)
	case TypeString, TypeInt64, TypeDouble:
	default:
		return Scalar{}, true
	}
	v, present, err := Read[Value](t, b)
	if err != nil || !present {
		return Scalar{}, false
	}
	switch v := v.(type) {
	case String:
		return Scalar{kind: kindText, text: string(v)}, true
	case Int64:
		return Scalar{kind: kindInt, int: int64(v)}, true
	case Double:
		return Scalar{kind: kindFloat, float: float64(v)}, true
	}
	return Scalar{}, false
}

func scalarOfJSON(b []byte) (Scalar, bool) {
	r := reader{b: b, typ: TypeJSON}
	h, err := r.content()
	if err != nil {
		return Scalar{}, false
	}
	switch h.major {
	case majorText:
		text, err := readString(b)
		return Scalar{kind: kindText, text: string(text)}, err == nil
	case majorUint, majorNegint:
		if n, ok := h.int(); ok {
			return Scalar{kind: kindInt, int: n}, true
		}
		return Scalar{kind: kindLong, text: string(appendInteger(nil, h))}, true
	}
	if f, ok := h.float(); ok {
		return Scalar{kind: kindFloat, float: f}, true
	}
	switch h.initial() {
	case cborNull:
		return Scalar{kind: kindNull}, true
	case cborFalse, cborTrue:
		return Scalar{kind: kindBool, bool: h.initial() == cborTrue}, true
	}
	return Scalar{}, r.skipContent(h, 0, wellFormed) == nil
}

// IsNull reports whether s is the null of JSON.
func (s Scalar) IsNull() bool { return s.kind == kindNull }

// Bool returns the boolean that s is, and whether it is one.
func (s Scalar) Bool() (value, ok bool) { return s.bool, s.kind == kindBool }

// Text returns the string form of a text or a number, and false for anything
// else. That of an integer is decimal. That of a float has a point and as few
// digits as tell it from other floats, such as 1.0; from 10^7 and below 10^-3 it
// has an exponent, such as 1.5E-4.
func (s Scalar) Text() (string, bool) {
	switch s.kind {
	case kindText, kindLong:
		return s.text, true
	case kindInt:
		return strconv.FormatInt(s.int, 10), true
	case kindFloat:
		return floatText(s.float), true
	}
	return "", false
}

// floatText is the form in which Java shows a double.
func floatText(f float64) string {
	abs := math.Abs(f)
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 1):
		return "Infinity"
	case math.IsInf(f, -1):
		return "-Infinity"
	case abs == 0 || abs >= 1e-3 && abs < 1e7:
		return withPoint(strconv.FormatFloat(f, 'f', -1, 64))
	}
	digits, exponent, _ := strings.Cut(strconv.FormatFloat(f, 'e', -1, 64), "e")
	n, _ := strconv.Atoi(exponent)
	return withPoint(digits) + "E" + strconv.Itoa(n)
}

func withPoint(digits string) string {
	if strings.Contains(digits, ".") {
		return digits
	}
	return digits + ".0"
}

// CompareNumber compares s and other as numbers. It returns -1 if s is less, 0
// if they are equal and 1 if s is greater, and false if one of them is not a
// number. A text is a number if it is a decimal one, which may have a sign, a
// point and an exponent of up to nine digits: 1, 1.0 and "1" are equal. NaN
// compares with nothing.
//
// The comparison is exact, between integers and floats too. Only with a float a
// text is compared as the float that it reads as, so that "0.1" equals 0.1. It
// takes time in proportion to the length of texts, whatever their exponents.
func (s Scalar) CompareNumber(other Scalar) (int, bool) {
	switch {
	case s.kind == kindInt && other.kind == kindInt:
		return cmp.Compare(s.int, other.int), true
	case s.kind == kindFloat && other.kind == kindFloat:
		return cmp.Compare(s.float, other.float), !math.IsNaN(s.float) && !math.IsNaN(other.float)
	case s.kind == kindInt && other.kind == kindFloat:
		return compareIntFloat(s.int, other.float)
	case s.kind == kindFloat && other.kind == kindInt:
		c, ok := compareIntFloat(other.int, s.float)
		return -c, ok
	case s.kind == kindFloat:
		c, ok := compareTextFloat(other, s.float)
		return -c, ok
	case other.kind == kindFloat:
		return compareTextFloat(s, other.float)
	}
	var buf [2][maxIntText]byte
	d, ok := s.decimal(&buf[0])
	if !ok {
		return 0, false
	}
	e, ok := other.decimal(&buf[1])
	if !ok {
		return 0, false
	}
	return d.compare(&e), true
}

func compareIntFloat(n int64, f float64) (int, bool) {
	switch {
	case math.IsNaN(f):
		return 0, false
	case f >= 1<<63:
		return -1, true
	case f < -1<<63:
		return 1, true
	}
	whole := math.Trunc(f)
	if c := cmp.Compare(n, int64(whole)); c != 0 {
		return c, true
	}
	return cmp.Compare(whole, f), true
}

func compareTextFloat(s Scalar, f float64) (int, bool) {
	if s.kind != kindText && s.kind != kindLong || math.IsNaN(f) {
		return 0, false
	}
	d, ok := parseDecimal(s.text)
	if !ok {
		return 0, false
	}
	g, _ := strconv.ParseFloat(s.text, 64) // beyond the range: infinite or 0
	if c := cmp.Compare(g, f); c != 0 {
		return c, true
	}
	switch {
	case math.IsInf(f, 1):
		return -1, true
	case math.IsInf(f, -1):
		return 1, true
	case f == 0:
		return d.sign(), true
	}
	return 0, true
}

const maxIntText = 20 // bytes of the longest int64

// decimal returns the number that s is, or that its text stands for, if it is
// not a float.
func (s Scalar) decimal(buf *[maxIntText]byte) (decimal, bool) {
	switch s.kind {
	case kindText, kindLong:
		return parseDecimal(s.text)
	case kindInt:
		return parseDecimal(string(strconv.AppendInt(buf[:0], s.int, 10)))
	}
	return decimal{}, false
}

// decimal is the number 0.DIGITS * 10^exponent, where DIGITS are those of whole
// and then those of fraction; the first one and the last one are not 0. Zero has
// no digits.
type decimal struct {
	negative        bool
	whole, fraction string
	exponent        int64
}

const maxExponent = 9 // digits

// parseDecimal parses a decimal number. Numbers stay text: what they stand for
// can be too large to be written down.
func parseDecimal(text string) (d decimal, ok bool) {
	text, d.negative = cutSign(text)
	if i := strings.IndexAny(text, "eE"); i >= 0 {
		exponent, negative := cutSign(text[i+1:])
		if exponent == "" || !digits(exponent) {
			return d, false
		}
		if exponent = strings.TrimLeft(exponent, "0"); len(exponent) > maxExponent {
			return d, false
		}
		d.exponent, _ = strconv.ParseInt(exponent, 10, 64) // none: 0
		if negative {
			d.exponent = -d.exponent
		}
		text = text[:i]
	}
	d.whole, d.fraction, _ = strings.Cut(text, ".")
	if d.whole == "" && d.fraction == "" || !digits(d.whole) || !digits(d.fraction) {
		return d, false
	}
	d.fraction = strings.TrimRight(d.fraction, "0")
	if d.whole = strings.TrimLeft(d.whole, "0"); d.whole != "" {
		d.exponent += int64(len(d.whole))
	} else {
		zeros := len(d.fraction)
		d.fraction = strings.TrimLeft(d.fraction, "0")
		d.exponent -= int64(zeros - len(d.fraction))
	}
	if d.fraction == "" {
		d.whole = strings.TrimRight(d.whole, "0")
	}
	return d, true
}

func cutSign(s string) (rest string, negative bool) {
	if s != "" && (s[0] == '+' || s[0] == '-') {
		return s[1:], s[0] == '-'
	}
	return s, false
}

func (d *decimal) length() int { return len(d.whole) + len(d.fraction) }

func (d *decimal) digit(i int) byte {
	if i < len(d.whole) {
		return d.whole[i]
	}
	return d.fraction[i-len(d.whole)]
}

func (d *decimal) sign() int {
	switch {
	case d.length() == 0:
		return 0
	case d.negative:
		return -1
	}
	return 1
}

func (d *decimal) compare(e *decimal) int {
	sign := d.sign()
	if c := cmp.Compare(sign, e.sign()); c != 0 || sign == 0 {
		return c
	}
	if c := cmp.Compare(d.exponent, e.exponent); c != 0 {
		return c * sign
	}
	for i := range min(d.length(), e.length()) {
		if c := cmp.Compare(d.digit(i), e.digit(i)); c != 0 {
			return c * sign
		}
	}
	return cmp.Compare(d.length(), e.length()) * sign
}
