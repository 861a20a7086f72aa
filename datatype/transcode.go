package datatype

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// transcoder turns JSON text into CBOR (protocol 14 section 9). The text is
// known to be valid, so it only looks at what decides the next step.
type transcoder struct {
	src  []byte
	pos  int
	keys []span // of the objects being written, innermost last
	str  []byte // text of a string that has escapes
}

// span is the place of a key in the output.
type span struct{ start, end int }

func (t *transcoder) start(text []byte) {
	t.src, t.pos, t.keys = text, 0, t.keys[:0]
}

func (t *transcoder) fail(reason string) error {
	return &ValueError{Type: TypeJSON, Offset: t.pos, Reason: reason}
}

// next skips white space and separators and returns the byte there.
func (t *transcoder) next() byte {
	for {
		switch c := t.src[t.pos]; c {
		case ' ', '\t', '\r', '\n', ',', ':':
			t.pos++
		default:
			return c
		}
	}
}

func (t *transcoder) value(dst []byte, depth int) ([]byte, error) {
	switch t.next() {
	case '{':
		return t.object(dst, depth)
	case '[':
		return t.array(dst, depth)
	case '"':
		return t.string(dst), nil
	case 't':
		t.pos += len("true")
		return append(dst, cborTrue), nil
	case 'f':
		t.pos += len("false")
		return append(dst, cborFalse), nil
	case 'n':
		t.pos += len("null")
		return append(dst, cborNull), nil
	}
	return t.number(dst)
}

func (t *transcoder) array(dst []byte, depth int) ([]byte, error) {
	if depth >= maxDepth {
		return dst, t.fail(tooDeep())
	}
	t.pos++
	dst = append(dst, cborOpenArray)
	for t.next() != ']' {
		var err error
		if dst, err = t.value(dst, depth+1); err != nil {
			return dst, err
		}
	}
	t.pos++
	return append(dst, cborBreak), nil
}

func (t *transcoder) object(dst []byte, depth int) ([]byte, error) {
	if depth >= maxDepth {
		return dst, t.fail(tooDeep())
	}
	t.pos++
	dst = append(dst, cborOpenMap)
	first := len(t.keys)
	for t.next() != '}' {
		start := len(dst)
		dst = t.string(dst)
		t.keys = append(t.keys, span{start, len(dst)})
		var err error
		if dst, err = t.value(dst, depth+1); err != nil {
			return dst, err
		}
	}
	if key, ok := repeated(dst, t.keys[first:]); ok {
		r := reader{b: dst, off: key.start}
		text, _ := r.key()
		return dst, t.fail(fmt.Sprintf("the object that ends here repeats the key %q", text))
	}
	t.keys = t.keys[:first]
	t.pos++
	return append(dst, cborBreak), nil
}

// repeated returns a key that occurs twice in an object. It may reorder keys.
func repeated(dst []byte, keys []span) (span, bool) {
	compare := func(a, b span) int { return bytes.Compare(dst[a.start:a.end], dst[b.start:b.end]) }
	const few = 16 // for which sorting costs more
	if len(keys) <= few {
		for i := range keys {
			for j := range i {
				if compare(keys[i], keys[j]) == 0 {
					return keys[i], true
				}
			}
		}
		return span{}, false
	}
	slices.SortFunc(keys, compare)
	for i := 1; i < len(keys); i++ {
		if compare(keys[i-1], keys[i]) == 0 {
			return keys[i], true
		}
	}
	return span{}, false
}

func (t *transcoder) number(dst []byte) ([]byte, error) {
	start, whole := t.pos, true
scan:
	for ; t.pos < len(t.src); t.pos++ {
		switch c := t.src[t.pos]; {
		case c >= '0' && c <= '9', c == '-', c == '+':
		case c == '.', c == 'e', c == 'E':
			whole = false
		default:
			break scan
		}
	}
	text := t.src[start:t.pos]
	if whole {
		if n, err := strconv.ParseInt(string(text), 10, 64); err == nil {
			return appendInt(dst, n), nil
		}
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil {
		t.pos = start
		return dst, t.fail("a number beyond the range of a 64-bit float")
	}
	return appendDouble(dst, f), nil
}

// string writes the string that starts at the quote t.pos.
func (t *transcoder) string(dst []byte) []byte {
	t.pos++
	end, plain := t.pos, true
	for ; t.src[end] != '"'; end++ {
		if c := t.src[end]; c == '\\' {
			plain = false
			end++
		} else if c >= utf8.RuneSelf {
			plain = false
		}
	}
	text := t.src[t.pos:end]
	t.pos = end + 1
	if !plain {
		t.str = unquote(t.str[:0], text)
		text = t.str
	}
	return append(appendHead(dst, majorText, uint64(len(text))), text...)
}

// unquote appends the text that the inside of a JSON string stands for. Bytes
// that are not valid UTF-8 and lone surrogates become U+FFFD.
func unquote(dst, s []byte) []byte {
	for len(s) > 0 {
		if s[0] != '\\' {
			c, size := utf8.DecodeRune(s)
			dst = utf8.AppendRune(dst, c)
			s = s[size:]
			continue
		}
		if s[1] != 'u' {
			dst = append(dst, unescape(s[1]))
			s = s[2:]
			continue
		}
		c := hexRune(s)
		s = s[6:]
		if utf16.IsSurrogate(c) {
			pair := utf8.RuneError
			if len(s) >= 6 && s[0] == '\\' && s[1] == 'u' {
				pair = utf16.DecodeRune(c, hexRune(s))
			}
			if pair != utf8.RuneError {
				s = s[6:]
			}
			c = pair
		}
		dst = utf8.AppendRune(dst, c)
	}
	return dst
}

// hexRune returns the number in an escape of the form \uXXXX.
func hexRune(s []byte) rune {
	n, _ := strconv.ParseUint(string(s[2:6]), 16, 32)
	return rune(n)
}

func unescape(c byte) byte {
	switch c {
	case 'b':
		return '\b'
	case 'f':
		return '\f'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 't':
		return '\t'
	}
	return c // quote, backslash, slash
}
