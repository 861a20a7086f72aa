package main

import (
	"encoding"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// readFile reads a configuration file: one YAML mapping from the names of
// settings to values in the form that flags have. Errors quote the line at
// fault. A name without a value is not set.
func readFile(name string) (*settings, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return parseFile(name, data)
}

func parseFile(name string, data []byte) (*settings, error) {
	tree, err := parser.ParseBytes(data, 0)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	set := new(settings)
	for _, doc := range tree.Docs {
		if doc.Body == nil || doc.Body.Type() == ast.CommentType {
			continue
		}
		if node, err := set.read(doc.Body); err != nil {
			at := node.GetToken().Position.Line
			return nil, fmt.Errorf("%s:%d: %w\n%5d | %s", name, at, err, at, lineOf(data, at))
		}
	}
	return set, nil
}

// lineOf returns a line of a text, counted from 1.
func lineOf(text []byte, number int) string {
	for line := range strings.Lines(string(text)) {
		if number--; number == 0 {
			return strings.TrimRight(line, "\r\n")
		}
	}
	return ""
}

// read takes over a document. With an error it returns the node at fault.
func (s *settings) read(body ast.Node) (ast.Node, error) {
	mapping, ok := body.(*ast.MappingNode)
	if !ok {
		return body, errors.New("expected lines of the form NAME: VALUE")
	}
	for _, entry := range mapping.Values {
		name := entry.Key.GetToken().Value
		field, ok := s.field(name)
		if !ok {
			return entry.Key, fmt.Errorf("unknown setting %q. Try: advect config print, which shows them all", name)
		}
		values := []ast.Node{entry.Value}
		if list, ok := entry.Value.(*ast.SequenceNode); ok && field.Kind() == reflect.Slice {
			values = list.Values
		}
		for _, v := range values {
			if v.Type() == ast.NullType {
				continue
			}
			if !plain(v) {
				return v, fmt.Errorf("%s: expected a single value", name)
			}
			if err := parseInto(field, v.GetToken().Value); err != nil {
				return v, fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	return nil, nil
}

// plain reports whether a node is a value on one line.
func plain(node ast.Node) bool {
	switch node.Type() {
	case ast.StringType, ast.IntegerType, ast.FloatType, ast.BoolType, ast.InfinityType, ast.NanType:
		return true
	}
	return false
}

// field returns the field of the setting with a name.
func (s *settings) field(name string) (reflect.Value, bool) {
	v := reflect.ValueOf(s).Elem()
	for i := range v.NumField() {
		if v.Type().Field(i).Tag.Get("yaml") == name {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// parseInto sets a field of settings from text; a list is appended to.
func parseInto(field reflect.Value, text string) error {
	if field.Kind() == reflect.Slice {
		field.Set(reflect.Append(field, reflect.ValueOf(text)))
		return nil
	}
	value := reflect.New(field.Type().Elem())
	field.Set(value)
	switch p := value.Interface().(type) {
	case encoding.TextUnmarshaler:
		return p.UnmarshalText([]byte(text))
	case *string:
		*p = text
	case *int:
		n, err := strconv.Atoi(text)
		if err != nil {
			return fmt.Errorf("%q is not a whole number", text)
		}
		*p = n
	case *bool:
		b, err := strconv.ParseBool(text)
		if err != nil {
			return fmt.Errorf("%q is not true or false", text)
		}
		*p = b
	}
	return nil
}
