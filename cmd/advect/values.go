package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"

	"advect.dev"
	"advect.dev/datatype"
)

// valueArg is a value on the command line.
type valueArg struct {
	Value string `arg:"" help:"The value; - reads it from standard input."`
	Type  string `enum:"auto,json,string,int64,double,binary,record_v2" default:"auto" placeholder:"TYPE" help:"Type of the value: json, string, int64, double, binary, record_v2 or auto."`
}

// text returns the value as it was given. The newline with which text from
// standard input usually ends is not part of it.
func (a *valueArg) text(in io.Reader) ([]byte, error) {
	if a.Value != "-" {
		return []byte(a.Value), nil
	}
	text, err := io.ReadAll(in)
	if err != nil {
		return nil, fmt.Errorf("read value: %w", err)
	}
	if a.Type != "binary" {
		text = bytes.TrimSuffix(text, []byte("\n"))
	}
	return text, nil
}

// value returns the value that text is for a topic, or for a new one if
// existing is nil.
func (a *valueArg) value(text []byte, existing *advect.Specification) (datatype.Value, error) {
	var t datatype.Type
	var err error
	switch {
	case a.Type != "auto":
		t, err = datatype.ParseType(a.Type)
	case existing == nil:
		return guess(text), nil
	default:
		var ok bool
		if t, ok = advect.ValueType(*existing); !ok {
			err = fmt.Errorf("the topic is of type %s. Try: --type, with the type of the value", existing.Type)
		}
	}
	if err != nil {
		return nil, err
	}
	value, err := parseValue(t, text)
	if err != nil {
		return nil, fmt.Errorf("%q is not a value of type %s: %w", text, advect.TopicType(t), err)
	}
	return value, nil
}

// existing returns the specification of the topic at a path, or nil if there is
// none.
func existing(ctx context.Context, topics *advect.Topics, path string) (*advect.Specification, error) {
	found, err := topics.FetchTopics(ctx, advect.FetchQuery{Selector: ">" + path, Properties: true})
	if err != nil || len(found.Topics) == 0 {
		return nil, err
	}
	return &found.Topics[0].Specification, nil
}

// parseValue reads a value as people write it: a record_v2 is a JSON array of
// records, which are arrays of strings.
func parseValue(t datatype.Type, text []byte) (datatype.Value, error) {
	switch t {
	case datatype.TypeJSON:
		return datatype.ParseJSON(text)
	case datatype.TypeString:
		return datatype.String(text), nil
	case datatype.TypeInt64:
		n, err := strconv.ParseInt(string(text), 10, 64)
		return datatype.Int64(n), err
	case datatype.TypeDouble:
		f, err := strconv.ParseFloat(string(text), 64)
		return datatype.Double(f), err
	case datatype.TypeBinary:
		return datatype.Binary(text), nil
	case datatype.TypeRecordV2:
		var records [][]string
		if err := json.Unmarshal(text, &records); err != nil {
			return nil, errors.New(`it is not a list of records, such as [["a","b"],["c"]]`)
		}
		return datatype.NewRecordV2(records...), nil
	}
	return nil, errors.New("values of this type cannot be given as text")
}

// guess finds the type of a value for a topic that does not exist: a whole number
// of 64 bits is an int64, any other number a double, all other JSON is JSON, and
// what is left is a string.
func guess(text []byte) datatype.Value {
	for _, t := range []datatype.Type{datatype.TypeInt64, datatype.TypeDouble, datatype.TypeJSON} {
		if _, err := datatype.ParseJSON(text); err != nil {
			break
		}
		if v, err := parseValue(t, text); err == nil {
			return v
		}
	}
	return datatype.String(text)
}

// An exactValue is a value in files: as JSON if that gives back the same bytes,
// else the bytes in base64.
type exactValue struct {
	Value json.RawMessage `json:"value,omitempty"`
	Bytes *string         `json:"bytes,omitempty"`
}

// exactOf returns the form of a value with the given bytes.
func exactOf(v datatype.Value, b []byte) exactValue {
	if v.Type() != datatype.TypeBinary {
		text := jsonValue(v)
		if back, err := (exactValue{Value: text}).read(v.Type()); err == nil && bytes.Equal(back.Bytes(), b) {
			return exactValue{Value: text}
		}
	}
	text := base64.StdEncoding.EncodeToString(b)
	return exactValue{Bytes: &text}
}

func (e exactValue) present() bool { return e.Value != nil || e.Bytes != nil }

// read returns the value of a type. Bytes are taken as they are.
func (e exactValue) read(t datatype.Type) (datatype.Value, error) {
	if e.Bytes != nil {
		b, err := base64.StdEncoding.DecodeString(*e.Bytes)
		if err != nil {
			return nil, fmt.Errorf("bytes: %w", err)
		}
		return encoded{t, b}, nil
	}
	text := []byte(e.Value)
	if t == datatype.TypeString {
		var s string
		if err := json.Unmarshal(text, &s); err != nil {
			return nil, errors.New("a string is expected")
		}
		return datatype.String(s), nil
	}
	v, err := parseValue(t, text)
	if err != nil {
		return nil, fmt.Errorf("%s is not a value of type %s: %w", text, t, err)
	}
	return v, nil
}

// encoded is a value in the form in which it travels.
type encoded struct {
	typ   datatype.Type
	bytes []byte
}

func (e encoded) Type() datatype.Type { return e.typ }
func (e encoded) Bytes() []byte       { return e.bytes }
