package datatype

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// Bytes with a meaning in a record_v2 value (protocol 10 section 10). There is
// no escaping. Markers count only where they are all of the value, or all of
// the record; elsewhere they are text.
const (
	recordSeparator = "\x01"
	fieldSeparator  = "\x02"
	emptyRecord     = "\x04" // the whole value: one record that has no fields
	emptyField      = "\x05" // a whole record: one field that is empty
)

// RecordV2 is text arranged in records of fields. What the records and fields
// mean is known to the application, or is said by a [Schema].
//
// Records and fields are found in the text when they are asked for. They are
// parts of it: a field that is kept keeps the whole value in memory. Two
// RecordV2 are equal, also by ==, if their bytes are. The zero RecordV2 has no
// records.
type RecordV2 struct {
	text string
}

// NewRecordV2 returns the value with the given records, each of them a list of
// fields. Fields must not contain the bytes 1 to 5: those separate records and
// fields, and cannot be escaped. Bytes that are not valid UTF-8 are sent as the
// replacement character U+FFFD.
func NewRecordV2(records ...[]string) RecordV2 {
	if len(records) == 1 && len(records[0]) == 0 {
		return RecordV2{emptyRecord}
	}
	size := len(records)
	for _, fields := range records {
		size += len(fields)
		for _, field := range fields {
			size += len(field)
		}
	}
	var b strings.Builder
	b.Grow(size)
	for i, fields := range records {
		if i > 0 {
			b.WriteString(recordSeparator)
		}
		if len(fields) == 1 && fields[0] == "" {
			b.WriteString(emptyField)
			continue
		}
		for j, field := range fields {
			if j > 0 {
				b.WriteString(fieldSeparator)
			}
			b.WriteString(field)
		}
	}
	text := b.String()
	if !utf8.ValidString(text) {
		text = string([]rune(text))
	}
	return RecordV2{text}
}

// RecordV2FromBytes returns the value with the given bytes, which are copied.
// Any bytes are a value; separators that are missing or misplaced only mean
// other records.
func RecordV2FromBytes(b []byte) RecordV2 { return RecordV2{string(b)} }

// Type returns [TypeRecordV2].
func (RecordV2) Type() Type { return TypeRecordV2 }

// Bytes returns the value as it travels, for a received value exactly as it was
// received.
func (v RecordV2) Bytes() []byte { return []byte(v.text) }

// Records returns the records in order, each as the list of its fields. The
// lists are the caller's: slices.Collect(v.Records()) is everything at once.
func (v RecordV2) Records() iter.Seq[[]string] {
	return func(yield func([]string) bool) {
		for record := range v.records() {
			if !yield(record.fields()) {
				return
			}
		}
	}
}

// Record returns the fields of the record with the given index, counting from
// 0, and false if there is no such record.
func (v RecordV2) Record(index int) ([]string, bool) {
	record, ok := nth(v.records(), index)
	if !ok {
		return nil, false
	}
	return record.fields(), true
}

// Field returns one field, by the index of its record and its index within that,
// both counting from 0. It returns false if there is no such field. Finding it
// takes time in proportion to the length of the value, and no memory.
func (v RecordV2) Field(record, field int) (string, bool) {
	r, ok := nth(v.records(), record)
	if !ok {
		return "", false
	}
	return nth(r.split(), field)
}

// String returns the value as JSON text: an array of records, which are arrays
// of strings.
func (v RecordV2) String() string {
	dst := append(make([]byte, 0, len(v.text)*3/2+8), '[')
	for record := range v.records() {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = append(dst, '[')
		first := true
		for field := range record.split() {
			if !first {
				dst = append(dst, ',')
			}
			first = false
			dst = appendQuoted(dst, []byte(field))
		}
		dst = append(dst, ']')
	}
	return string(append(dst, ']'))
}

// recordText is one record of a value, as it is written.
type recordText string

func (v RecordV2) records() iter.Seq[recordText] {
	return func(yield func(recordText) bool) {
		switch v.text {
		case "":
			return
		case emptyRecord:
			yield("")
			return
		}
		for record := range strings.SplitSeq(v.text, recordSeparator) {
			if !yield(recordText(record)) {
				return
			}
		}
	}
}

func (r recordText) fields() []string {
	if r == "" {
		return []string{}
	}
	fields := make([]string, 0, 1+strings.Count(string(r), fieldSeparator))
	for field := range r.split() {
		fields = append(fields, field)
	}
	return fields
}

func (r recordText) split() iter.Seq[string] {
	return func(yield func(string) bool) {
		switch r {
		case "":
			return
		case emptyField:
			yield("")
			return
		}
		for field := range strings.SplitSeq(string(r), fieldSeparator) {
			if !yield(field) {
				return
			}
		}
	}
}

// nth returns the element of seq with the given index.
func nth[T any](seq iter.Seq[T], index int) (element T, ok bool) {
	i := 0
	for e := range seq {
		if i == index {
			return e, true
		}
		i++
	}
	return element, false
}
