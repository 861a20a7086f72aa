package javaregexp

import (
	"fmt"
	"strconv"
	"unicode"
)

// appendRE2 appends n in the syntax of the standard engine. n must be linear.
// Laziness is dropped: it cannot change whether the whole text matches.
func appendRE2(b []byte, n *node) []byte {
	switch n.op {
	case opSet:
		return appendSet(b, n.set, appendHex)
	case opConcat:
		for _, sub := range n.subs {
			b = appendRE2(b, sub)
		}
	case opAlt:
		b = append(b, "(?:"...)
		for i, sub := range n.subs {
			if i > 0 {
				b = append(b, '|')
			}
			b = appendRE2(b, sub)
		}
		b = append(b, ')')
	case opRepeat:
		b = append(b, "(?:"...)
		b = appendRE2(b, n.sub())
		b = append(b, ')')
		b = appendBounds(b, n)
	case opCapture:
		return appendRE2(b, n.sub())
	case opAssert:
		switch {
		case n.multiline:
			b = append(b, "(?m:"...)
			b = append(b, n.assert, ')')
		case n.assert == '^':
			b = append(b, `\A`...)
		case n.assert == '$':
			b = append(b, `\z`...)
		default:
			b = append(b, '\\', n.assert)
		}
	}
	return b
}

// appendBacktrack appends n in the syntax of the backtracking engine, which
// is that of .NET.
func appendBacktrack(b []byte, n *node) []byte {
	switch n.op {
	case opSet:
		return appendSet(b, n.set, appendUTF16)
	case opConcat:
		for _, sub := range n.subs {
			b = appendBacktrack(b, sub)
		}
	case opAlt:
		b = append(b, "(?:"...)
		for i, sub := range n.subs {
			if i > 0 {
				b = append(b, '|')
			}
			b = appendBacktrack(b, sub)
		}
		b = append(b, ')')
	case opRepeat:
		return appendRepeat(b, n)
	case opCapture:
		b = fmt.Appendf(b, "(?<g%d>", n.ref)
		b = appendBacktrack(b, n.sub())
		b = append(b, ')')
	case opAtomic:
		b = append(b, "(?>"...)
		b = appendBacktrack(b, n.sub())
		b = append(b, ')')
	case opLook:
		b = append(b, lookOpen(n)...)
		b = appendBacktrack(b, n.sub())
		b = append(b, ')')
	case opBackref:
		if n.ignoreCase {
			b = fmt.Appendf(b, `(?i:\k<g%d>)`, n.ref)
		} else {
			b = fmt.Appendf(b, `\k<g%d>`, n.ref)
		}
	case opAssert:
		return appendAssert(b, n)
	}
	return b
}

// appendRepeat appends a repetition for the backtracking engine.
func appendRepeat(b []byte, n *node) []byte {
	open, end := "(?:", ")"
	switch sub := n.sub(); {
	case n.greed == possessive && sub.op != opSet:
		open, end = "((?>", "))" // Java gives up no iteration's first choice either
	case sub.op == opAtomic, sub.op == opRepeat && sub.greed == possessive:
		open = "(" // a capture keeps the engine from merging (?:(?>a+)){2} into (?>a{2,})
	}
	if n.greed == possessive {
		b = append(b, "(?>"...)
	}
	b = append(b, open...)
	b = appendBacktrack(b, n.sub())
	b = append(b, end...)
	b = appendBounds(b, n)
	switch n.greed {
	case lazy:
		b = append(b, '?')
	case possessive:
		b = append(b, ')')
	}
	return b
}

func lookOpen(n *node) string {
	switch {
	case n.behind && n.negate:
		return "(?<!"
	case n.behind:
		return "(?<="
	case n.negate:
		return "(?!"
	}
	return "(?="
}

func appendAssert(b []byte, n *node) []byte {
	const word = "[0-9A-Za-z_]"
	switch {
	case n.multiline:
		b = append(b, "(?m:"...)
		return append(b, n.assert, ')')
	case n.assert == 'b':
		return append(b, "(?:(?<="+word+")(?!"+word+")|(?<!"+word+")(?="+word+"))"...)
	case n.assert == 'B':
		return append(b, "(?:(?<="+word+")(?="+word+")|(?<!"+word+")(?!"+word+"))"...)
	case n.assert == '^' || n.assert == 'A':
		return append(b, `\A`...)
	}
	return append(b, `\z`...)
}

func appendBounds(b []byte, n *node) []byte {
	switch {
	case n.max == unbounded && n.min == 0:
		return append(b, '*')
	case n.max == unbounded && n.min == 1:
		return append(b, '+')
	case n.min == 0 && n.max == 1:
		return append(b, '?')
	}
	b = append(b, '{')
	b = strconv.AppendInt(b, int64(n.min), 10)
	if n.max != n.min {
		b = append(b, ',')
		if n.max != unbounded {
			b = strconv.AppendInt(b, int64(n.max), 10)
		}
	}
	return append(b, '}')
}

// appendSet appends a class, or a character, with every character that could
// be an operator written by appendRune.
func appendSet(b []byte, set runeSet, appendRune func([]byte, rune) []byte) []byte {
	if len(set) == 0 { // matches nothing: no character is outside all of them
		set = allRunes
		b = append(b, "[^"...)
	} else if r, ok := set.only(); ok {
		return appendRune(b, r)
	} else {
		b = append(b, '[')
	}
	for i := 0; i < len(set); i += 2 {
		b = appendRune(b, set[i])
		if set[i+1] != set[i] {
			b = append(b, '-')
			b = appendRune(b, set[i+1])
		}
	}
	return append(b, ']')
}

func appendHex(b []byte, r rune) []byte {
	if isPlainASCII(r) {
		return append(b, byte(r))
	}
	return fmt.Appendf(b, `\x{%x}`, r)
}

func appendUTF16(b []byte, r rune) []byte {
	switch {
	case isPlainASCII(r):
		return append(b, byte(r))
	case r <= 0xffff:
		return fmt.Appendf(b, `\u%04x`, r)
	case r <= unicode.MaxRune:
		return append(b, string(r)...)
	}
	return b
}

func isPlainASCII(r rune) bool {
	return wordSet.contains(r)
}
