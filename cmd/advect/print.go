package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/term"

	"advect.dev"
	"advect.dev/datatype"
)

// shownBytes bounds the bytes of a binary value in lines for people.
const shownBytes = 32

// readable is a value on one line, for people.
func readable(v datatype.Value) string {
	switch v := v.(type) {
	case nil:
		return "(no value)"
	case datatype.String:
		return oneLine(string(v))
	case datatype.Binary:
		if len(v) > shownBytes {
			return fmt.Sprintf("%x... (%d bytes)", []byte(v[:shownBytes]), len(v))
		}
		return fmt.Sprintf("%x (%d bytes)", []byte(v), len(v))
	}
	return plainText(v)
}

// oneLine quotes text that would not stay on its line, or tell a terminal what
// to do.
func oneLine(s string) string {
	if strings.ContainsFunc(s, unicode.IsControl) {
		return strconv.Quote(s)
	}
	return s
}

// plainText is all of a value, as `set` takes it.
func plainText(v datatype.Value) string {
	switch v := v.(type) {
	case nil:
		return ""
	case datatype.String:
		return string(v)
	case datatype.Int64:
		return strconv.FormatInt(int64(v), 10)
	case datatype.Double:
		return strconv.FormatFloat(float64(v), 'g', -1, 64)
	case fmt.Stringer: // JSON and RecordV2 are JSON text
		return v.String()
	}
	return string(v.Bytes())
}

// jsonValue is a value in JSON lines: binary is base64, a double that JSON does
// not have is text, and no value is null.
func jsonValue(v datatype.Value) json.RawMessage {
	switch v := v.(type) {
	case nil:
		return json.RawMessage("null")
	case datatype.JSON:
		if text, err := v.MarshalJSON(); err == nil {
			return text
		}
	case datatype.Int64, datatype.RecordV2:
		return json.RawMessage(plainText(v))
	case datatype.Double:
		if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
			return json.RawMessage(plainText(v))
		}
	case datatype.Binary:
		return quoted(base64.StdEncoding.EncodeToString(v))
	}
	return quoted(plainText(v))
}

// printLine prints a JSON line.
func printLine(w io.Writer, v any) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// quoted is text as JSON.
func quoted(s string) json.RawMessage {
	var b strings.Builder
	_ = printLine(&b, s) // a string always has a JSON form, and a Builder takes it
	return json.RawMessage(strings.TrimSuffix(b.String(), "\n"))
}

// eventText says which event of a time series something is about, for people.
func eventText(e *advect.EventMetadata) string {
	text := fmt.Sprintf("#%d", e.Sequence)
	if e.IsEdit() {
		text += fmt.Sprintf(" edits #%d", e.Original.Sequence)
	}
	text += "  " + e.Timestamp.Format("2006-01-02T15:04:05.000Z07:00")
	if e.Author != "" {
		text += "  " + oneLine(e.Author)
	}
	return text
}

// eventFields say the same in JSON lines.
type eventFields struct {
	Sequence  *int64     `json:"sequence,omitempty"`
	Timestamp *time.Time `json:"timestamp,omitempty"`
	Author    string     `json:"author,omitempty"`
	Edits     *int64     `json:"edits,omitempty"` // the sequence of the original
}

func newEventFields(e *advect.EventMetadata) eventFields {
	if e == nil {
		return eventFields{}
	}
	f := eventFields{Sequence: &e.Sequence, Timestamp: &e.Timestamp, Author: e.Author}
	if e.IsEdit() {
		f.Edits = &e.Original.Sequence
	}
	return f
}

// palette colours parts of a line; the zero value does not.
type palette struct{ on bool }

// paletteFor colours only what a person sees, and not against their will
// (no-color.org).
func paletteFor(w io.Writer) palette {
	f, ok := w.(*os.File)
	return palette{ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (p palette) dim(s string) string   { return p.wrap("2", s) }
func (p palette) name(s string) string  { return p.wrap("36", s) }
func (p palette) alert(s string) string { return p.wrap("33", s) }

func (p palette) wrap(code, s string) string {
	if !p.on {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

// clock is the time of day in lines for people.
func clock(t time.Time) string { return t.Format("15:04:05.000") }
