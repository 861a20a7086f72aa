package security

import (
	"strings"
	"unicode/utf8"
)

// maxScriptErrors bounds the mistakes that are reported of one script.
const maxScriptErrors = 100

// parseLines reads a script of either store, one statement a line (protocol
// 32 section 5). parse is called for each line that has one, with a parser of
// its tokens. The error is a [ScriptErrors] with one entry for each line that
// does not parse.
func parseLines[S any](text string, parse func(p *parser) S) ([]S, error) {
	var statements []S
	var errs ScriptErrors
	line := 0
	for text := range strings.SplitSeq(text, "\n") {
		line++
		p, err := newParser(line, text)
		if err == nil && p != nil {
			s := parse(p)
			p.end()
			if err = p.err; err == nil {
				statements = append(statements, s)
			}
		}
		if err != nil {
			if errs = append(errs, err); len(errs) == maxScriptErrors {
				break
			}
		}
	}
	if errs != nil {
		return nil, errs
	}
	return statements, nil
}

// parser reads the tokens of one line. After the first error, which it keeps,
// its methods do nothing.
type parser struct {
	line    int
	tokens  []token // ends with an endToken
	comment string  // text after #
	err     *ScriptError
}

// newParser returns nil for a line without a statement.
func newParser(line int, text string) (*parser, *ScriptError) {
	l := lexer{line: line, rest: text, column: 1}
	if n := invalidUTF8(text); n >= 0 {
		l.advance(n)
		return nil, l.fail(l.column, "this is not UTF-8 text")
	}
	tokens, comment, err := l.tokens()
	if err != nil || len(tokens) == 0 {
		return nil, err
	}
	end := token{kind: endToken, column: l.column}
	return &parser{line: line, tokens: append(tokens, end), comment: comment}, nil
}

func invalidUTF8(s string) int {
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

func (t token) is(keyword string) bool {
	return t.kind == wordToken && strings.EqualFold(t.text, keyword)
}

func (p *parser) fail(t token, message string) {
	if p.err == nil {
		p.err = &ScriptError{Line: p.line, Column: t.column, Message: message}
	}
}

func (p *parser) next() token {
	t := p.tokens[0]
	if t.kind != endToken {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) keywords(keywords ...string) {
	for _, k := range keywords {
		if t := p.next(); !t.is(k) {
			p.fail(t, `expected "`+k+`"`)
		}
	}
}

// str reads a string in quotes that is not empty.
func (p *parser) str(what string) token {
	t := p.next()
	if t.kind != stringToken {
		p.fail(t, "expected "+what+" in quotes")
	} else if t.text == "" {
		p.fail(t, what+" must not be empty")
	}
	return t
}

// list reads elements of one kind in brackets, separated by spaces or commas.
// elements says what they are, element what one of them is.
func (p *parser) list(kind tokenKind, elements, element string) []token {
	if t := p.next(); t.kind != openToken {
		p.fail(t, "expected [ and a list of "+elements)
		return nil
	}
	var items []token
	for p.err == nil {
		t := p.next()
		switch t.kind {
		case kind:
			items = append(items, t)
			if p.tokens[0].kind == commaToken {
				p.next()
			}
		case closeToken:
			return items
		default:
			p.fail(t, "expected "+element+" or ]")
		}
	}
	return nil
}

// strs reads a list of strings, which may be empty.
func (p *parser) strs() []string {
	var items []string
	for _, t := range p.list(stringToken, "strings in quotes", "a string in quotes") {
		items = append(items, t.text)
	}
	return items
}

func (p *parser) optionalStrs() []string {
	if p.tokens[0].kind != openToken {
		return nil
	}
	return p.strs()
}

func (p *parser) end() {
	if t := p.next(); t.kind != endToken {
		p.fail(t, "the command should end here")
	}
}
