package security

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// ScriptError is one mistake in a store script. Line and Column count from 1;
// Column counts characters. The message quotes nothing of a script with
// passwords, since a misplaced quote could turn one into the word at fault.
type ScriptError struct {
	Line    int
	Column  int
	Message string
}

// Error returns the message with its position.
func (e *ScriptError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Message)
}

// ScriptErrors holds all mistakes of a script, in its order. It is never
// empty.
type ScriptErrors []*ScriptError

// Error returns the first mistake and the number of the others.
func (e ScriptErrors) Error() string {
	if len(e) == 1 {
		return e[0].Error()
	}
	return fmt.Sprintf("%v (and %d more)", e[0], len(e)-1)
}

// Unwrap lets errors.As find the first [ScriptError].
func (e ScriptErrors) Unwrap() []error {
	all := make([]error, len(e))
	for i, one := range e {
		all[i] = one
	}
	return all
}

type tokenKind uint8

const (
	endToken    tokenKind = 0
	wordToken   tokenKind = 'w'
	stringToken tokenKind = 's'
	openToken   tokenKind = '['
	closeToken  tokenKind = ']'
	commaToken  tokenKind = ','
)

type token struct {
	kind   tokenKind
	text   string // of a word, or the unescaped content of a string
	column int
}

// lexer cuts one line of a script into tokens (protocol 32 section 5). The
// two store languages share it.
type lexer struct {
	line   int
	rest   string
	column int // of rest
}

func (l *lexer) fail(column int, message string) *ScriptError {
	return &ScriptError{Line: l.line, Column: column, Message: message}
}

// advance drops n bytes of the line and counts them as characters.
func (l *lexer) advance(n int) {
	l.column += utf8.RuneCountInString(l.rest[:n])
	l.rest = l.rest[n:]
}

// tokens returns the tokens of the line, and the text of the comment that
// ends it. Comments start with # and are an addition of ours.
func (l *lexer) tokens() (tokens []token, comment string, err *ScriptError) {
	for {
		l.advance(len(l.rest) - len(strings.TrimLeft(l.rest, " \t\r")))
		if l.rest == "" {
			return tokens, "", nil
		}
		t := token{column: l.column}
		switch c := l.rest[0]; {
		case c == '#':
			return tokens, strings.TrimSpace(l.rest[1:]), nil
		case c == '[' || c == ']' || c == ',':
			t.kind = tokenKind(c)
			l.advance(1)
		case c == '"' || c == '\'':
			t.kind = stringToken
			if t.text, err = l.quoted(); err != nil {
				return nil, "", err
			}
		case isWordByte(c):
			t.kind = wordToken
			n := 1
			for n < len(l.rest) && isWordByte(l.rest[n]) {
				n++
			}
			t.text = l.rest[:n]
			l.advance(n)
		default:
			return nil, "", l.fail(l.column, "unexpected character; write names and passwords in quotes")
		}
		tokens = append(tokens, t)
	}
}

func isWordByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}

// quoted reads a string that starts at the current position. A backslash
// stands before a quote or another backslash.
func (l *lexer) quoted() (string, *ScriptError) {
	start, quote := l.column, l.rest[0]
	l.advance(1)
	var b strings.Builder
	for {
		n := strings.IndexAny(l.rest, `\`+string(quote))
		if n < 0 {
			return "", l.fail(start, "this quote is never closed")
		}
		b.WriteString(l.rest[:n])
		l.advance(n)
		if l.rest[0] == quote {
			l.advance(1)
			return b.String(), nil
		}
		if len(l.rest) < 2 || strings.IndexByte(`\'"`, l.rest[1]) < 0 {
			return "", l.fail(l.column, `a backslash in quotes must stand before \, ' or "; write \\ for a backslash`)
		}
		b.WriteByte(l.rest[1])
		l.advance(2)
	}
}

// quote writes s as a string of the script language. Scripts hold no line
// feeds inside strings, so s must not either.
func quote(b *strings.Builder, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}
