package filter

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// parser reads a filter from left to right. The grammar needs no tokens made in
// advance: what a word ends at depends on whether it is a key or an operator.
type parser struct {
	text  string
	pos   int
	depth int
	cost  int // of the regular expressions so far
}

// syntaxError is a mistake at an offset of the text.
type syntaxError struct {
	offset int
	reason string
}

// parse returns an error of type [*Error].
func parse(text string) (Expr, error) {
	p := &parser{text: text}
	expr, err := p.filter()
	if err == nil {
		return expr, nil
	}
	before := text[:err.offset]
	line := strings.LastIndexByte(before, '\n') + 1
	return nil, &Error{
		Offset: err.offset,
		Line:   1 + strings.Count(before, "\n"),
		Column: 1 + utf8.RuneCountInString(before[line:]),
		Reason: err.reason,
	}
}

func (p *parser) filter() (Expr, *syntaxError) {
	if len(p.text) > MaxLength {
		return nil, &syntaxError{0, fmt.Sprintf("longer than %d octets", MaxLength)}
	}
	if valid := strings.ToValidUTF8(p.text, ""); len(valid) < len(p.text) {
		return nil, &syntaxError{firstDifference(valid, p.text), "not valid UTF-8"}
	}
	if p.skip(); p.pos == len(p.text) {
		return nil, p.fail("empty filter: write all to select every session")
	}
	expr, err := p.or()
	if err != nil {
		return nil, err
	}
	if p.pos < len(p.text) {
		return nil, p.expected("and, or, or the end of the filter")
	}
	return expr, nil
}

func firstDifference(prefix, s string) int {
	for i := range len(prefix) {
		if prefix[i] != s[i] {
			return i
		}
	}
	return len(prefix)
}

func (p *parser) fail(format string, args ...any) *syntaxError {
	return &syntaxError{p.pos, fmt.Sprintf(format, args...)}
}

// expected says what should stand at the current position, and what does.
func (p *parser) expected(what string) *syntaxError {
	found := p.word("")
	switch {
	case found == "" && p.pos == len(p.text):
		return p.fail("expected %s, but the filter ends here", what)
	case found == "":
		found = p.text[p.pos : p.pos+1]
	case len(found) > 40:
		found = strings.ToValidUTF8(found[:40], "") + "..."
	}
	return p.fail("expected %s, but found %q", what, found)
}

const space = " \t\r\n"

// skip passes white space.
func (p *parser) skip() {
	p.pos = len(p.text) - len(strings.TrimLeft(p.text[p.pos:], space))
}

// word returns what stands here up to a character that no key contains, or one of stop.
func (p *parser) word(stop string) string {
	rest := p.text[p.pos:]
	if end := strings.IndexAny(rest, space+`"'()`+stop); end >= 0 {
		return rest[:end]
	}
	return rest
}

// take passes s and the white space after it.
func (p *parser) take(s string) {
	p.pos += len(s)
	p.skip()
}

// accept passes s, a keyword in any letter case or a bracket, if it is what word is.
func (p *parser) accept(word, s string) bool {
	if !strings.EqualFold(word, s) {
		return false
	}
	p.take(word)
	return true
}

func (p *parser) at(characters string) bool {
	return p.pos < len(p.text) && strings.IndexByte(characters, p.text[p.pos]) >= 0
}

func (p *parser) or() (Expr, *syntaxError) {
	operands, err := p.operands("or", (*parser).and)
	return join[Or](operands), err
}

func (p *parser) and() (Expr, *syntaxError) {
	operands, err := p.operands("and", (*parser).not)
	return join[And](operands), err
}

// join returns the operands, with those of nested expressions of the same kind, as one.
func join[T interface {
	~[]Expr
	Expr
}](operands []Expr) Expr {
	if len(operands) == 1 {
		return operands[0]
	}
	var all T
	for _, sub := range operands {
		if nested, ok := sub.(T); ok {
			all = append(all, nested...)
		} else {
			all = append(all, sub)
		}
	}
	return all
}

func (p *parser) operands(operator string, operand func(*parser) (Expr, *syntaxError)) ([]Expr, *syntaxError) {
	var operands []Expr
	for {
		expr, err := operand(p)
		if err != nil {
			return nil, err
		}
		operands = append(operands, expr)
		if !p.accept(p.word(""), operator) {
			return operands, nil
		}
	}
}

func (p *parser) not() (Expr, *syntaxError) {
	if p.depth++; p.depth > MaxDepth {
		return nil, p.fail("nested more than %d deep", MaxDepth)
	}
	defer func() { p.depth-- }()
	if p.at("(") {
		p.take("(")
		expr, err := p.or()
		if err != nil {
			return nil, err
		}
		if !p.at(")") {
			return nil, p.expected("and, or, or )")
		}
		p.take(")")
		return expr, nil
	}
	key := p.word("")
	if !p.comparisonFollows(key) && p.accept(key, "not") {
		expr, err := p.not()
		return Not{expr}, err
	}
	return p.clause(key)
}

// clause reads a clause that starts with key, which is also a keyword if no
// operator and operand follow it.
func (p *parser) clause(key string) (Expr, *syntaxError) {
	if key == "" {
		return nil, p.expected("all, has, hasRoles, not, ( or the key of a property")
	}
	if p.comparisonFollows(key) {
		return p.comparison(key)
	}
	switch {
	case p.accept(key, "all"):
		return All{}, nil
	case p.accept(key, "has"):
		key := p.word("")
		if key == "" {
			return nil, p.expected("the key of a property after has")
		}
		p.take(key)
		return &Has{key}, nil
	case p.accept(key, "hasRoles"):
		roles, err := p.roles()
		return &HasRoles{roles}, err
	case strings.EqualFold(key, "hasRoles["):
		p.take(key[:len("hasRoles")])
		roles, err := p.roles()
		return &HasRoles{roles}, err
	}
	return p.comparison(key)
}

func (p *parser) roles() ([]string, *syntaxError) {
	if p.at("[") {
		return p.list()
	}
	return p.strings("a role in quotes, or [")
}

// The operators that compare a property.
var operators = []string{"is", "eq", "ne", "matches", "in"}

// operator returns the operator that stands here, in lower case.
func (p *parser) operator() (word, operator string) {
	word = p.word("[")
	for _, operator := range operators {
		if strings.EqualFold(word, operator) {
			return word, operator
		}
	}
	return word, ""
}

// comparisonFollows reports whether the word here is a key whatever else it may
// be, because an operator and the start of its operand follow.
func (p *parser) comparisonFollows(key string) bool {
	start := p.pos
	defer func() { p.pos = start }()
	p.take(key)
	word, operator := p.operator()
	if p.take(word); operator == "in" {
		if !p.at("[") {
			return false
		}
		p.take("[")
	}
	return key != "" && operator != "" && p.at(`"'`)
}

func (p *parser) comparison(key string) (Expr, *syntaxError) {
	p.take(key)
	word, operator := p.operator()
	if operator == "" {
		return nil, p.expected(fmt.Sprintf("is, eq, ne, matches or in after the key %.40q", key))
	}
	p.take(word)
	if operator == "in" {
		values, err := p.list()
		if err != nil {
			return nil, err
		}
		return is(key, values), nil
	}
	start := p.pos
	value, err := p.string("a value in quotes")
	if err != nil {
		return nil, err
	}
	switch operator {
	case "matches":
		re, err := p.compile(value)
		if err != nil {
			return nil, &syntaxError{start, err.Error()}
		}
		return &Matches{key, value, re}, nil
	case "ne":
		return Not{is(key, []string{value})}, nil
	}
	return is(key, []string{value}), nil
}

// is returns the expression that a property has one of values. Sets of roles
// compare as such.
func is(key string, values []string) Expr {
	values = distinct(values)
	if key != Roles {
		return &Is{key, values}
	}
	sets := make([][]string, len(values))
	for i, value := range values {
		sets[i] = RoleSet(value)
	}
	slices.SortFunc(sets, slices.Compare)
	return &RolesAre{slices.CompactFunc(sets, slices.Equal)}
}

// list reads strings in brackets, sorts them and drops repetitions.
func (p *parser) list() ([]string, *syntaxError) {
	if !p.at("[") {
		return nil, p.expected("[ and a list of strings in quotes")
	}
	p.take("[")
	values, err := p.strings("a string in quotes")
	if err != nil {
		return nil, err
	}
	if !p.at("]") {
		return nil, p.expected("another string in quotes, or ]")
	}
	p.take("]")
	return values, nil
}

// strings reads one string or more, with or without commas between them.
func (p *parser) strings(what string) ([]string, *syntaxError) {
	var values []string
	for {
		value, err := p.string(what)
		if err != nil {
			return nil, err
		}
		values = append(values, value)
		if p.at(",") {
			p.take(",")
			what = "a string in quotes after the comma"
		} else if !p.at(`"'`) {
			return distinct(values), nil
		}
	}
}

func (p *parser) string(what string) (string, *syntaxError) {
	if !p.at(`"'`) {
		return "", p.expected(what)
	}
	value, end, ok := unquote(p.text[p.pos:])
	if !ok {
		return "", p.fail("this quote is never closed")
	}
	p.pos += end
	p.skip()
	return value, nil
}
