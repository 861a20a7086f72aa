package datatype

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"sync"
	"unicode/utf8"
)

// encoder holds the buffers for making a document. They are reused; out is
// what was made.
type encoder struct {
	out  []byte
	text bytes.Buffer
	json *json.Encoder // writes to text
	transcoder
}

var encoders = sync.Pool{New: func() any {
	e := new(encoder)
	e.json = json.NewEncoder(&e.text)
	e.json.SetEscapeHTML(false)
	return e
}}

func getEncoder() *encoder { return encoders.Get().(*encoder) }

// maxPooled is the size of buffers, in bytes, above which they are left to the
// garbage collector, so that one large document does not occupy memory for good.
const maxPooled = 64 << 10

// release gives e back for reuse.
func (e *encoder) release() {
	if cap(e.out) > maxPooled || e.text.Cap() > maxPooled || cap(e.str) > maxPooled {
		return
	}
	e.out, e.src = e.out[:0], nil
	e.text.Reset()
	encoders.Put(e)
}

// document returns what was made, in memory of its own.
func (e *encoder) document() JSON { return JSON{bytes.Clone(e.out)} }

// encode makes the document for v: directly for the common types that decoded
// JSON consists of, by way of JSON text for everything else.
func (e *encoder) encode(v any) error {
	var ok bool
	if e.out, ok = appendPlain(e.out[:0], v, 0); ok {
		return nil
	}
	if err := e.json.Encode(v); err != nil {
		return err
	}
	return e.transcode(e.text.Bytes())
}

// transcode makes the document from text, which must be valid JSON.
func (e *encoder) transcode(text []byte) (err error) {
	e.transcoder.start(text)
	e.out, err = e.transcoder.value(e.out[:0], 0)
	return err
}

// appendPlain writes v if it consists of plain types only, and returns false if
// it does not. The result is the same as by way of JSON text.
func appendPlain(dst []byte, v any, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(dst, cborNull), true
	case bool:
		return appendBool(dst, v), true
	case int:
		return appendInt(dst, int64(v)), true
	case int64:
		return appendInt(dst, v), true
	case string:
		return appendText(dst, v), true
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return dst, false
		}
		return appendNumber(dst, v), true
	case map[string]any:
		return appendPlainMap(dst, v, depth)
	case []any:
		return appendPlainSlice(dst, v, depth)
	}
	return dst, false
}

// appendNumber writes a finite number as its JSON text would be: an integer if
// that has neither point nor exponent.
func appendNumber(dst []byte, f float64) []byte {
	const exact = 1 << 53 // up to here the text of a whole float is its value
	switch {
	case f != math.Trunc(f), math.Abs(f) > 1<<63:
		return appendDouble(dst, f)
	case math.Abs(f) <= exact:
		return appendInt(dst, int64(f))
	}
	var buf [32]byte
	if n, err := strconv.ParseInt(string(appendFloat(buf[:0], f)), 10, 64); err == nil {
		return appendInt(dst, n)
	}
	return appendDouble(dst, f)
}

func appendPlainMap(dst []byte, m map[string]any, depth int) ([]byte, bool) {
	if m == nil {
		return append(dst, cborNull), true
	}
	if depth >= maxDepth {
		return dst, false
	}
	keys := make([]string, 0, len(m))
	for key := range m {
		if !utf8.ValidString(key) {
			return dst, false // may turn out equal to another key
		}
		keys = append(keys, key)
	}
	slices.Sort(keys)
	dst = append(dst, cborOpenMap)
	for _, key := range keys {
		var ok bool
		if dst, ok = appendPlain(appendText(dst, key), m[key], depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, cborBreak), true
}

func appendPlainSlice(dst []byte, s []any, depth int) ([]byte, bool) {
	if s == nil {
		return append(dst, cborNull), true
	}
	if depth >= maxDepth {
		return dst, false
	}
	dst = append(dst, cborOpenArray)
	for _, v := range s {
		var ok bool
		if dst, ok = appendPlain(dst, v, depth+1); !ok {
			return dst, false
		}
	}
	return append(dst, cborBreak), true
}

func tooDeep() string { return fmt.Sprintf("nested deeper than %d levels", maxDepth) }
