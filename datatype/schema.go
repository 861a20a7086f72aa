package datatype

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// A Schema names the records and fields of [RecordV2] values and says how often
// each may occur and what a field may hold. It is what the property SCHEMA of a
// record_v2 topic contains. A Schema is immutable.
type Schema struct {
	records []schemaRecord
}

// occurs says how often a record or field follows itself, and where.
type occurs struct {
	name     string
	first    int64 // index of the first occurrence; before the last of a list, all is fixed
	min, max int64 // max is unlimited for no limit
}

const unlimited = -1

type schemaRecord struct {
	occurs
	fields []schemaField
}

type schemaField struct {
	occurs
	kind  fieldKind
	scale int64 // of a DECIMAL: digits after the point
}

type fieldKind string

const (
	kindString  fieldKind = "STRING"
	kindInteger fieldKind = "INTEGER"
	kindDecimal fieldKind = "DECIMAL"
)

// ParseSchema parses the JSON text of a schema (protocol 10 section 10), such as
//
//	{"records": [
//	   {"name": "order", "fields": [{"name": "id", "type": "INTEGER"}, {"name": "trader"}]},
//	   {"name": "item", "min": 0, "max": -1, "fields": [{"name": "price", "type": "DECIMAL", "scale": 2}]}]}
//
// Records and fields occur once unless they say "occurs", or "min" and "max",
// of which a max of -1 means without limit. Only the last record, and the last
// field of a record, may vary in number. Fields are of type STRING unless they
// say INTEGER or DECIMAL. Members that have no meaning are ignored.
//
// The error says what is wrong and where.
func ParseSchema(text string) (*Schema, error) {
	doc, err := ParseJSON([]byte(text))
	if err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	var members any
	if err := doc.Decode(&members); err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	s := new(Schema)
	if s.records, err = parseSchemaList(members, "records", (*schemaRecord).parse, recordOccurs); err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	return s, nil
}

func recordOccurs(r *schemaRecord) *occurs { return &r.occurs }
func fieldOccurs(f *schemaField) *occurs   { return &f.occurs }

// parseSchemaList parses the array that is the given member of an object: the
// records of a schema, or the fields of a record.
func parseSchemaList[T any](
	object any, member string, parse func(*T, map[string]any) error, occurs func(*T) *occurs,
) ([]T, error) {
	members, ok := object.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	elements, ok := members[member].([]any)
	if !ok || len(elements) == 0 {
		return nil, fmt.Errorf("%q is not an array of at least one element", member)
	}
	list := make([]T, len(elements))
	names := make(map[string]bool, len(elements))
	next := int64(0)
	for i, element := range elements {
		fail := func(err error) ([]T, error) { return nil, fmt.Errorf("%s[%d]: %w", member, i, err) }
		members, ok := element.(map[string]any)
		if !ok {
			return fail(errors.New("not a JSON object"))
		}
		o := occurs(&list[i])
		if err := o.parse(members); err != nil {
			return fail(err)
		}
		if names[o.name] {
			return fail(fmt.Errorf("the name %q is taken by another one", o.name))
		}
		names[o.name] = true
		if o.min != o.max && i < len(elements)-1 {
			return fail(errors.New("min and max differ; only the last one may vary in number"))
		}
		o.first = next
		next += o.min
		if err := parse(&list[i], members); err != nil {
			return fail(err)
		}
	}
	return list, nil
}

func (o *occurs) parse(members map[string]any) (err error) {
	name, _ := members["name"].(string)
	if name == "" {
		return errors.New(`"name" is not a text of at least one character`)
	}
	o.name = name
	_, fixed := members["occurs"]
	_, from := members["min"]
	_, to := members["max"]
	if fixed && (from || to) {
		return errors.New(`"occurs" excludes "min" and "max"`)
	}
	if fixed {
		o.min, err = schemaNumber(members, "occurs", 1)
		o.max = o.min
	} else if o.min, err = schemaNumber(members, "min", 1); err == nil {
		o.max, err = schemaNumber(members, "max", o.min)
	}
	switch {
	case err != nil:
		return err
	case o.min < 0:
		return fmt.Errorf("occurs at least %d times: must not be negative", o.min)
	case o.max != unlimited && (o.max < 1 || o.max < o.min):
		return fmt.Errorf("occurs %d to %d times: the maximum must be -1 or at least 1 and the minimum", o.min, o.max)
	}
	return nil
}

// schemaNumber returns a member that is a 32-bit integer.
func schemaNumber(members map[string]any, member string, absent int64) (int64, error) {
	value, ok := members[member]
	if !ok {
		return absent, nil
	}
	number, _ := value.(json.Number) // not a number: empty
	n, err := strconv.ParseInt(number.String(), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("%q is not a 32-bit integer", member)
	}
	return n, nil
}

func (r *schemaRecord) parse(members map[string]any) (err error) {
	r.fields, err = parseSchemaList(members, "fields", (*schemaField).parse, fieldOccurs)
	return err
}

func (f *schemaField) parse(members map[string]any) (err error) {
	f.kind = kindString
	if value, ok := members["type"]; ok {
		name, _ := value.(string)
		f.kind = fieldKind(strings.ToUpper(name))
	}
	switch f.kind {
	case kindString, kindInteger:
		return nil
	case kindDecimal:
	default:
		return errors.New(`"type" is not STRING, INTEGER or DECIMAL`)
	}
	const usual = 2
	if f.scale, err = schemaNumber(members, "scale", usual); err != nil {
		return err
	}
	if f.scale == 0 {
		f.scale = usual
	}
	if f.scale < 0 {
		return fmt.Errorf("scale %d: must be at least 1", f.scale)
	}
	return nil
}

// JSON returns the schema as JSON text in the form that SDKs generate: nothing
// left out, and always the same order of members.
func (s *Schema) JSON() string {
	dst := []byte(`{"records":[`)
	for i, r := range s.records {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(dst, `{"fields":[`...)
		for j, f := range r.fields {
			if j > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(append(dst, `{"name":`...), []byte(f.name))
			dst = append(append(append(dst, `,"type":"`...), f.kind...), '"')
			dst = f.appendJSON(dst)
			if f.kind == kindDecimal {
				dst = strconv.AppendInt(append(dst, `,"scale":`...), f.scale, 10)
			}
			dst = append(dst, '}')
		}
		dst = appendQuoted(append(dst, `],"name":`...), []byte(r.name))
		dst = append(r.appendJSON(dst), '}')
	}
	return string(append(dst, "]}"...))
}

func (o occurs) appendJSON(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `,"min":`...), o.min, 10)
	return strconv.AppendInt(append(dst, `,"max":`...), o.max, 10)
}

// Field returns a field of v by name. Of a record or field that may occur
// several times the index says which one, counting from 0. Field returns false
// if the schema does not have the names, or v does not have the field.
func (s *Schema) Field(v RecordV2, record string, recordIndex int, field string, fieldIndex int) (string, bool) {
	i := slices.IndexFunc(s.records, func(r schemaRecord) bool { return r.name == record })
	if i < 0 {
		return "", false
	}
	fields := s.records[i].fields
	j := slices.IndexFunc(fields, func(f schemaField) bool { return f.name == field })
	if j < 0 {
		return "", false
	}
	recordAt, ok := s.records[i].at(recordIndex)
	if !ok {
		return "", false
	}
	fieldAt, ok := fields[j].at(fieldIndex)
	if !ok {
		return "", false
	}
	return v.Field(recordAt, fieldAt)
}

// at returns the index, among all in its list, of the n-th occurrence.
func (o occurs) at(n int) (int, bool) {
	if n < 0 || o.max != unlimited && int64(n) >= o.max || int64(n) > math.MaxInt-o.first {
		return 0, false
	}
	return int(o.first) + n, true
}

// Validate returns a [*ValueError] unless v is UTF-8 text with the records and
// fields that the schema demands. An INTEGER consists of decimal digits and a
// DECIMAL of digits with at most one point and any number of digits after it;
// both may have a sign.
//
// The JavaScript SDK checks less: it takes the number at the start of a field
// and ignores what follows, and allows white space and exponents.
//
// Validate takes time in proportion to the length of v and of the schema.
func (s *Schema) Validate(v RecordV2) error {
	if !utf8.ValidString(v.text) {
		return &ValueError{Type: TypeRecordV2, Reason: "text is not UTF-8"}
	}
	at := 0 // offset of the record
	walk := schemaWalk[schemaRecord]{list: s.records, occurs: recordOccurs}
	for text := range v.records() {
		record, ok := walk.next()
		if !ok {
			return invalidRecord(at, "more records than the schema has")
		}
		if err := record.validate(text, at); err != nil {
			return err
		}
		at += len(text) + len(recordSeparator)
	}
	if missing, ok := walk.missing(); ok {
		return invalidRecord(len(v.text), fmt.Sprintf("there is no record %q", missing))
	}
	return nil
}

func (r *schemaRecord) validate(text recordText, at int) error {
	walk := schemaWalk[schemaField]{list: r.fields, occurs: fieldOccurs}
	start := at
	for value := range text.split() {
		field, ok := walk.next()
		if !ok {
			return invalidRecord(at, fmt.Sprintf("more fields than the record %q has", r.name))
		}
		if !field.kind.accepts(value) {
			return invalidRecord(at, fmt.Sprintf("the field %q of the record %q is not of type %s", field.name, r.name, field.kind))
		}
		at += len(value) + len(fieldSeparator)
	}
	if missing, ok := walk.missing(); ok {
		return invalidRecord(start, fmt.Sprintf("there is no field %q in the record %q", missing, r.name))
	}
	return nil
}

func invalidRecord(offset int, reason string) error {
	return &ValueError{Type: TypeRecordV2, Offset: offset, Reason: reason}
}

// schemaWalk follows a list of a schema while the occurrences of its elements
// come by. A value can be long and so can the schema, so neither is searched.
type schemaWalk[T any] struct {
	list   []T
	occurs func(*T) *occurs
	i      int   // in list
	seen   int64 // occurrences of list[i]
}

// next returns the element of which there is another occurrence.
func (w *schemaWalk[T]) next() (*T, bool) {
	o := w.occurs(&w.list[w.i])
	if o.max != unlimited && w.seen == o.max {
		if w.i == len(w.list)-1 {
			return nil, false
		}
		w.i, w.seen = w.i+1, 0
	}
	w.seen++
	return &w.list[w.i], true
}

// missing returns the name of the element that should have occurred more often.
func (w *schemaWalk[T]) missing() (string, bool) {
	if o := w.occurs(&w.list[w.i]); w.seen < o.min {
		return o.name, true
	}
	if w.i+1 < len(w.list) {
		if o := w.occurs(&w.list[w.i+1]); o.min > 0 {
			return o.name, true
		}
	}
	return "", false
}

// accepts reports whether a field of the kind may hold value.
func (k fieldKind) accepts(value string) bool {
	if k == kindString {
		return true
	}
	if value != "" && (value[0] == '+' || value[0] == '-') {
		value = value[1:]
	}
	whole, fraction, point := strings.Cut(value, ".")
	if k == kindInteger {
		return digits(whole) && whole != "" && !point
	}
	if !point {
		return digits(whole) && whole != ""
	}
	return digits(whole) && digits(fraction) && fraction != ""
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}
