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
	records []schemaElement
}

// schemaElement is a record or a field in a schema.
type schemaElement struct {
	name     string
	first    int64 // index of its first occurrence; all that come before are fixed in number
	min, max int64 // occurrences; max may be unlimited

	fields []schemaElement // of a record

	kind  fieldKind // of a field
	scale int64     // of a DECIMAL field: digits after the point
}

const unlimited = -1

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
	records, err := parseSchemaList(members, "records", (*schemaElement).parseRecord)
	if err != nil {
		return nil, fmt.Errorf("parse schema: %w", err)
	}
	return &Schema{records}, nil
}

// parseSchemaList parses the array that is the given member of an object: the
// records of a schema, or the fields of a record.
func parseSchemaList(
	object any, member string, parse func(*schemaElement, map[string]any) error,
) ([]schemaElement, error) {
	members, ok := object.(map[string]any)
	if !ok {
		return nil, errors.New("not a JSON object")
	}
	elements, ok := members[member].([]any)
	if !ok || len(elements) == 0 {
		return nil, fmt.Errorf("%q is not an array of at least one element", member)
	}
	list := make([]schemaElement, len(elements))
	names := make(map[string]bool, len(elements))
	next := int64(0)
	for i := range list {
		e := &list[i]
		err := e.parse(elements[i], parse)
		switch {
		case err != nil:
		case names[e.name]:
			err = fmt.Errorf("the name %.100q is taken by another one", e.name)
		case e.min != e.max && i < len(list)-1:
			err = errors.New("min and max differ; only the last one may vary in number")
		}
		if err != nil {
			return nil, fmt.Errorf("%s[%d]: %w", member, i, err)
		}
		names[e.name] = true
		e.first = next
		next += e.min
	}
	return list, nil
}

func (e *schemaElement) parse(object any, parse func(*schemaElement, map[string]any) error) error {
	members, ok := object.(map[string]any)
	if !ok {
		return errors.New("not a JSON object")
	}
	if e.name, _ = members["name"].(string); e.name == "" {
		return errors.New(`"name" is not a text of at least one character`)
	}
	if err := e.parseOccurs(members); err != nil {
		return err
	}
	return parse(e, members)
}

func (e *schemaElement) parseOccurs(members map[string]any) (err error) {
	_, fixed := members["occurs"]
	_, from := members["min"]
	_, to := members["max"]
	if fixed && (from || to) {
		return errors.New(`"occurs" excludes "min" and "max"`)
	}
	if fixed {
		e.min, err = schemaNumber(members, "occurs", 1)
		e.max = e.min
	} else if e.min, err = schemaNumber(members, "min", 1); err == nil {
		e.max, err = schemaNumber(members, "max", e.min)
	}
	switch {
	case err != nil:
		return err
	case e.min < 0:
		return fmt.Errorf("occurs at least %d times: must not be negative", e.min)
	case e.max != unlimited && (e.max < 1 || e.max < e.min):
		return fmt.Errorf("occurs %d to %d times: the maximum must be -1 or at least 1 and the minimum", e.min, e.max)
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

func (e *schemaElement) parseRecord(members map[string]any) (err error) {
	e.fields, err = parseSchemaList(members, "fields", (*schemaElement).parseField)
	return err
}

func (e *schemaElement) parseField(members map[string]any) (err error) {
	e.kind = kindString
	if value, ok := members["type"]; ok {
		name, _ := value.(string)
		e.kind = fieldKind(strings.ToUpper(name))
	}
	switch e.kind {
	case kindString, kindInteger:
		return nil
	case kindDecimal:
	default:
		return errors.New(`"type" is not STRING, INTEGER or DECIMAL`)
	}
	const usual = 2
	if e.scale, err = schemaNumber(members, "scale", usual); err != nil {
		return err
	}
	if e.scale == 0 {
		e.scale = usual
	}
	if e.scale < 0 {
		return fmt.Errorf("scale %d: must be at least 1", e.scale)
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
			dst = f.appendOccurs(dst)
			if f.kind == kindDecimal {
				dst = strconv.AppendInt(append(dst, `,"scale":`...), f.scale, 10)
			}
			dst = append(dst, '}')
		}
		dst = appendQuoted(append(dst, `],"name":`...), []byte(r.name))
		dst = append(r.appendOccurs(dst), '}')
	}
	return string(append(dst, "]}"...))
}

func (e *schemaElement) appendOccurs(dst []byte) []byte {
	dst = strconv.AppendInt(append(dst, `,"min":`...), e.min, 10)
	return strconv.AppendInt(append(dst, `,"max":`...), e.max, 10)
}

// Field returns a field of v by name. Of a record or field that may occur
// several times the index says which one, counting from 0. Field returns false
// if the schema does not have the names, or v does not have the field.
func (s *Schema) Field(v RecordV2, record string, recordIndex int, field string, fieldIndex int) (string, bool) {
	r := named(s.records, record)
	if r == nil {
		return "", false
	}
	f := named(r.fields, field)
	if f == nil {
		return "", false
	}
	i, inRecord := r.at(recordIndex)
	j, inField := f.at(fieldIndex)
	if !inRecord || !inField {
		return "", false
	}
	return v.Field(i, j)
}

func named(list []schemaElement, name string) *schemaElement {
	i := slices.IndexFunc(list, func(e schemaElement) bool { return e.name == name })
	if i < 0 {
		return nil
	}
	return &list[i]
}

// at returns the index, among all in its list, of the n-th occurrence.
func (e *schemaElement) at(n int) (int, bool) {
	if n < 0 || e.max != unlimited && int64(n) >= e.max || int64(n) > math.MaxInt-e.first {
		return 0, false
	}
	return int(e.first) + n, true
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
	walk := schemaWalk{list: s.records}
	for text := range v.records() {
		record, ok := walk.next()
		if !ok {
			return invalidRecord(at, "more records than the schema has")
		}
		if err := record.validateRecord(text, at); err != nil {
			return err
		}
		at += len(text) + len(recordSeparator)
	}
	if missing, ok := walk.missing(); ok {
		return invalidRecord(len(v.text), fmt.Sprintf("there is no record %q", missing))
	}
	return nil
}

func (r *schemaElement) validateRecord(text recordText, at int) error {
	walk := schemaWalk{list: r.fields}
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
type schemaWalk struct {
	list []schemaElement
	i    int   // in list
	seen int64 // occurrences of list[i]
}

// next returns the element of which there is another occurrence.
func (w *schemaWalk) next() (*schemaElement, bool) {
	if e := &w.list[w.i]; w.seen == e.max {
		if w.i == len(w.list)-1 {
			return nil, false
		}
		w.i, w.seen = w.i+1, 0
	}
	w.seen++
	return &w.list[w.i], true
}

// missing returns the name of an element that should have occurred more often.
func (w *schemaWalk) missing() (string, bool) {
	if e := w.list[w.i]; w.seen < e.min {
		return e.name, true
	}
	if w.i+1 < len(w.list) && w.list[w.i+1].min > 0 {
		return w.list[w.i+1].name, true
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
