package datatype

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"
)

// appendJSON appends the next item as JSON text (protocol 14 section 9).
func (r *reader) appendJSON(dst []byte, depth int) ([]byte, error) {
	h, err := r.content()
	if err != nil {
		return dst, err
	}
	switch h.major {
	case majorUint, majorNegint:
		return appendInteger(dst, h), nil
	case majorBytes, majorText:
		s, err := r.str(h)
		if err != nil {
			return dst, err
		}
		if h.major == majorText {
			return appendQuoted(dst, s), nil
		}
		dst = base64.StdEncoding.AppendEncode(append(dst, '"'), s)
		return append(dst, '"'), nil
	case majorArray, majorMap:
		return r.appendContainer(dst, h, depth)
	}
	return r.appendSimple(dst, h)
}

func (r *reader) appendSimple(dst []byte, h head) ([]byte, error) {
	switch h.initial() {
	case cborFalse:
		return append(dst, "false"...), nil
	case cborTrue:
		return append(dst, "true"...), nil
	case cborBreak:
		return dst, r.unexpected(h, "a value")
	}
	if f, ok := h.float(); ok && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return appendFloat(dst, f), nil
	}
	return append(dst, "null"...), nil
}

func (r *reader) appendContainer(dst []byte, h head, depth int) ([]byte, error) {
	if err := r.enter(depth); err != nil {
		return dst, err
	}
	brackets := "[]"
	if h.major == majorMap {
		brackets = "{}"
	}
	dst = append(dst, brackets[0])
	for n := uint64(0); ; n++ {
		ok, err := r.more(h, n)
		if err != nil {
			return dst, err
		}
		if !ok {
			return append(dst, brackets[1]), nil
		}
		if n > 0 {
			dst = append(dst, ',')
		}
		if h.major == majorMap {
			key, err := r.key()
			if err != nil {
				return dst, err
			}
			dst = append(appendQuoted(dst, key), ':')
		}
		if dst, err = r.appendJSON(dst, depth+1); err != nil {
			return dst, err
		}
	}
}

// key reads a map key as text. Scalars other than text are turned into their
// text; null, undefined and containers are errors (protocol 14 section 3).
func (r *reader) key() ([]byte, error) {
	h, err := r.content()
	if err != nil {
		return nil, err
	}
	switch h.major {
	case majorText:
		return r.str(h)
	case majorBytes:
		s, err := r.str(h)
		return base64.StdEncoding.AppendEncode(nil, s), err
	case majorUint, majorNegint:
		return appendInteger(nil, h), nil
	}
	if f, ok := h.float(); ok {
		return appendFloat(nil, f), nil
	}
	switch h.initial() {
	case cborFalse:
		return []byte("false"), nil
	case cborTrue:
		return []byte("true"), nil
	}
	return nil, r.unexpected(h, "a map key")
}

// appendInteger writes all digits of the integer h, also beyond 64 bits.
func appendInteger(dst []byte, h head) []byte {
	if h.major == majorUint {
		return strconv.AppendUint(dst, h.arg, 10)
	}
	if h.arg == math.MaxUint64 {
		return append(dst, "-18446744073709551616"...)
	}
	return strconv.AppendUint(append(dst, '-'), h.arg+1, 10)
}

// appendFloat writes the shortest text that reads back as f, in the notation
// of encoding/json (and JavaScript).
func appendFloat(dst []byte, f float64) []byte {
	if abs := math.Abs(f); abs == 0 || abs >= 1e-6 && abs < 1e21 {
		return strconv.AppendFloat(dst, f, 'f', -1, 64)
	}
	dst = strconv.AppendFloat(dst, f, 'e', -1, 64)
	if n := len(dst); n >= 4 && dst[n-4] == 'e' && dst[n-3] == '-' && dst[n-2] == '0' {
		dst = append(dst[:n-2], dst[n-1]) // e-09 -> e-9
	}
	return dst
}

const hexDigits = "0123456789abcdef"

// appendQuoted writes s as a JSON string. Bytes that are not part of valid
// UTF-8 become U+FFFD.
func appendQuoted(dst, s []byte) []byte {
	dst = append(dst, '"')
	start := 0 // of what is not yet written
	for i := 0; i < len(s); {
		c := s[i]
		if c < utf8.RuneSelf {
			i++
			if c < ' ' || c == '"' || c == '\\' {
				dst = appendEscape(append(dst, s[start:i-1]...), c)
				start = i
			}
			continue
		}
		char, size := utf8.DecodeRune(s[i:])
		if char == utf8.RuneError && size == 1 {
			dst = append(append(dst, s[start:i]...), "\uFFFD"...)
			start = i + 1
		}
		i += size
	}
	return append(append(dst, s[start:]...), '"')
}

func appendEscape(dst []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(dst, '\\', c)
	case '\n':
		return append(dst, '\\', 'n')
	case '\r':
		return append(dst, '\\', 'r')
	case '\t':
		return append(dst, '\\', 't')
	}
	return append(dst, '\\', 'u', '0', '0', hexDigits[c>>4], hexDigits[c&15])
}
