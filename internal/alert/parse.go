package alert

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"advect.dev/internal/topic"
)

// parser reads a specification from left to right.
type parser struct {
	text  string
	pos   int
	depth int
}

// place returns the line and the column of an offset.
func place(text string, offset int) (line, column int) {
	before := text[:offset]
	start := strings.LastIndexByte(before, '\n') + 1
	return 1 + strings.Count(before, "\n"), 1 + utf8.RuneCountInString(before[start:])
}

func (p *parser) fail(offset int, format string, args ...interface{}) *Error {
	return &Error{Offset: offset, Reason: fmt.Sprintf(format, args...)}
}

// expected says what should stand at the current position, and what does.
func (p *parser) expected(what string) *Error {
	if p.pos == len(p.text) {
		return p.fail(p.pos, "expected %s, but the alert ends here", what)
	}
	found := p.word(marks)
	if found == "" {
		_, n := utf8.DecodeRuneInString(p.text[p.pos:])
		found = p.text[p.pos : p.pos+n]
	} else if len(found) > 40 {
		found = strings.ToValidUTF8(found[:40], "") + "..."
	}
	return p.fail(p.pos, "expected %s, but found %q", what, found)
}

const (
	space = " \t\r\n"
	marks = `"'(){},:<>=!` // end a word, but that of a path
)

func (p *parser) skip() { p.pos = len(p.text) - len(strings.TrimLeft(p.text[p.pos:], space)) }

// word returns what stands here up to white space or one of stop.
func (p *parser) word(stop string) string {
	rest := p.text[p.pos:]
	if end := strings.IndexAny(rest, space+stop); end >= 0 {
		return rest[:end]
	}
	return rest
}

// take passes n octets and the white space after them.
func (p *parser) take(n int) {
	p.pos += n
	p.skip()
}

// at reports whether a mark stands here.
func (p *parser) at(mark string) bool { return strings.HasPrefix(p.text[p.pos:], mark) }

// acceptMark passes a mark if it stands here.
func (p *parser) acceptMark(mark string) bool {
	if !p.at(mark) {
		return false
	}
	p.take(len(mark))
	return true
}

func (p *parser) expectMark(mark, where string) *Error {
	if !p.acceptMark(mark) {
		return p.expected(mark + where)
	}
	return nil
}

// accept passes a keyword in any letter case. The words of one that has two stand
// apart or are joined by an underscore.
func (p *parser) accept(first string, second ...string) bool {
	start := p.pos
	word := p.word(marks)
	if len(second) > 0 && strings.EqualFold(word, first+"_"+second[0]) {
		p.take(len(word))
		return true
	}
	if !strings.EqualFold(word, first) {
		return false
	}
	p.take(len(word))
	if len(second) == 0 || p.accept(second[0]) {
		return true
	}
	p.pos = start
	return false
}

// alert reads a whole specification.
func (p *parser) alert() (*Specification, *Error) {
	if len(p.text) > MaxLength {
		return nil, p.fail(0, "longer than %d octets", MaxLength)
	}
	if !utf8.ValidString(p.text) {
		return nil, p.fail(0, "not valid UTF-8")
	}
	p.skip()
	if !p.accept("select") {
		return nil, p.expected("select")
	}
	s := &Specification{Topic: topic.Specification{Type: topic.JSON}}
	var err *Error
	if s.Metric, err = p.name("the name of a metric"); err != nil {
		return nil, err
	}
	if p.accept("from", "server") {
		if s.Server, err = p.name("the name of a server"); err != nil {
			return nil, err
		}
	}
	if !p.accept("into", "topic") {
		return nil, p.expected("into topic")
	}
	if s.path, err = p.path(); err != nil {
		return nil, err
	}
	next := "with properties, where, disable until, or the end of the alert"
	if p.accept("with", "properties") {
		if s.Topic, err = p.properties(); err != nil {
			return nil, err
		}
		next = "where, disable until, or the end of the alert"
	}
	if p.accept("where") {
		if s.where, err = p.or(); err != nil {
			return nil, err
		}
		next = "and, or, disable until, or the end of the alert"
	}
	if p.accept("disable", "until") {
		if s.until, err = p.or(); err != nil {
			return nil, err
		}
		next = "and, or, or the end of the alert"
	}
	if p.pos < len(p.text) {
		return nil, p.expected(next)
	}
	return s, nil
}

// name reads a word or a quoted string that is not empty.
func (p *parser) name(what string) (string, *Error) {
	if p.at(`"`) || p.at("'") {
		start := p.pos
		name, err := p.quoted(what)
		if err == nil && name == "" {
			err = p.fail(start, "expected %s, but found nothing in the quotes", what)
		}
		return name, err
	}
	word := p.word(marks)
	if word == "" {
		return "", p.expected(what)
	}
	p.take(len(word))
	return word, nil
}

// path reads the path of a topic, a word or in quotes, with insertions.
func (p *parser) path() (t template, err *Error) {
	const what = "the path of a topic"
	start := p.pos
	text := p.word("")
	if p.at(`"`) || p.at("'") {
		if text, err = p.quoted(what); err != nil {
			return t, err
		}
	} else {
		if text == "" {
			return t, p.expected(what)
		}
		p.take(len(text))
	}
	sample := "" // with something in place of the insertions
	for rest := text; ; {
		before, after, found := strings.Cut(rest, "<")
		t.texts = append(t.texts, before)
		sample += before
		if !found {
			break
		}
		pointer, after, closed := strings.Cut(after, ">")
		if !closed {
			return t, p.fail(start, "the path %.60q has a < without >", text)
		}
		if !insertable(pointer) {
			return t, p.fail(start, "<%.60s> stands for no text or number of an alert: use <server>, <value>, <dimensions/NAME> or another member", pointer)
		}
		t.pointers = append(t.pointers, pointer)
		sample += "x"
		rest = after
	}
	canonical := topic.Canonical(sample)
	if e := topic.CheckPath(canonical); e != nil {
		return t, p.fail(start, "%v", e)
	}
	return t, nil
}

// insertable reports whether some document has what a pointer names.
func insertable(pointer string) bool {
	member := strings.TrimPrefix(pointer, "/")
	return texts[member] != nil || numbers[member] != nil || strings.HasPrefix(member, "dimensions/")
}

// properties reads the properties of the topic.
func (p *parser) properties() (s topic.Specification, err *Error) {
	start := p.pos
	s = topic.Specification{Type: topic.JSON}
	if s.Properties, err = p.pairs("the name of a topic property", p.name); err != nil {
		return s, err
	}
	if _, e := s.Normalise(); e != nil {
		return s, p.fail(start, "%v", e)
	}
	return s, nil
}

// pairs reads "{" name ":" value { "," name ":" value } "}".
func (p *parser) pairs(what string, value func(string) (string, *Error)) (map[string]string, *Error) {
	if err := p.expectMark("{", ""); err != nil {
		return nil, err
	}
	all := make(map[string]string)
	if p.acceptMark("}") {
		return all, nil
	}
	for {
		start := p.pos
		name, err := p.name(what)
		if err != nil {
			return nil, err
		}
		if _, twice := all[name]; twice {
			return nil, p.fail(start, "%.60q stands here twice", name)
		}
		if err := p.expectMark(":", " after the name"); err != nil {
			return nil, err
		}
		if all[name], err = value("a value"); err != nil {
			return nil, err
		}
		if p.acceptMark("}") {
			return all, nil
		}
		if err := p.expectMark(",", " or }"); err != nil {
			return nil, err
		}
	}
}

// or reads a condition; and binds tighter than or.
func (p *parser) or() (condition, *Error) {
	var list anyOf
	for {
		c, err := p.and()
		if err != nil {
			return nil, err
		}
		if list = append(list, c); p.accept("or") {
			continue
		}
		if len(list) == 1 {
			return c, nil
		}
		return list, nil
	}
}

func (p *parser) and() (condition, *Error) {
	var list allOf
	for {
		c, err := p.term()
		if err != nil {
			return nil, err
		}
		if list = append(list, c); p.accept("and") {
			continue
		}
		if len(list) == 1 {
			return c, nil
		}
		return list, nil
	}
}

func (p *parser) term() (condition, *Error) {
	if !p.acceptMark("(") {
		return p.comparison()
	}
	if p.depth++; p.depth > MaxDepth {
		return nil, p.fail(p.pos, "nested more than %d deep", MaxDepth)
	}
	defer func() { p.depth-- }()
	c, err := p.or()
	if err == nil {
		err = p.expectMark(")", ", and, or or")
	}
	return c, err
}

// comparators, the longer ones first.
var comparators = []string{">=", "<=", "!=", ">", "<", "="}

func (p *parser) comparison() (condition, *Error) {
	start := p.pos
	operand := p.word(marks)
	member := strings.ToLower(operand)
	isText, isNumber := texts[member], numbers[member]
	if isText == nil && isNumber == nil && member != "dimensions" {
		return nil, p.expected("value, dimensions, server or another member of an alert")
	}
	p.take(len(operand))
	var c comparator
	for _, candidate := range comparators {
		if p.acceptMark(candidate) {
			c = comparator(candidate)
			break
		}
	}
	if c == "" {
		return nil, p.expected(fmt.Sprintf("one of > < >= <= = != after %s", operand))
	}
	if isNumber != nil {
		n, err := p.number(operand)
		return &numeric{isNumber, c, n}, err
	}
	if c != "=" && c != "!=" {
		return nil, p.fail(start, "%s compares with = and != only", operand)
	}
	if isText != nil {
		literal, err := p.quoted("a string in quotes")
		return &textual{isText, c == "=", literal}, err
	}
	pairs, err := p.pairs("the name of a dimension", p.quoted)
	return &dimensional{c == "=", pairs}, err
}

func (p *parser) number(operand string) (float64, *Error) {
	word := p.word(marks)
	n, err := strconv.ParseFloat(word, 64)
	if word == "" || strings.Trim(word, "0123456789+-.eE") != "" || err != nil || math.IsInf(n, 0) {
		return 0, p.expected(fmt.Sprintf("a number to compare %s with", operand))
	}
	p.take(len(word))
	return n, nil
}

// quoted reads a string in either kind of quotes; a backslash makes the next
// character literal.
func (p *parser) quoted(what string) (string, *Error) {
	if !p.at(`"`) && !p.at("'") {
		return "", p.expected(what)
	}
	quote := p.text[p.pos]
	var b strings.Builder
	for i := p.pos + 1; i < len(p.text); i++ {
		c := p.text[i]
		if c == quote {
			p.take(i + 1 - p.pos)
			return b.String(), nil
		}
		if c == '\\' && i+1 < len(p.text) {
			i++
			c = p.text[i]
		}
		b.WriteByte(c)
	}
	return "", p.fail(p.pos, "this quote is never closed")
}
