package javaregexp

import "strings"

// escape returns the meaning outside a class of the token t, which followed a backslash.
func (p *parser) escape(t token) *node {
	switch r := t.r; {
	case strings.ContainsRune("bBAzZ", r):
		return p.boundary(t)
	case r == 'R':
		pair := concat([]*node{{op: opSet, set: single('\r')}, {op: opSet, set: single('\n')}})
		return &node{op: opAlt, subs: []*node{pair, {op: opSet, set: verticalSet}}}
	case '1' <= r && r <= '9':
		return p.numberedReference(t)
	case r == 'k':
		return p.namedReference(t)
	}
	if set, ok := p.predefined(t); ok {
		return &node{op: opSet, set: set}
	}
	return p.literal(p.character(t))
}

func (p *parser) boundary(t token) *node {
	assert := byte(t.r)
	switch t.r {
	case 'Z':
		assert = 'z'
	case 'b':
		if next, ok := p.peek(); ok && next.is('{') {
			p.fail(t.offset, `\b{...} is not supported`)
		}
	}
	return &node{op: opAssert, assert: assert}
}

// numberedReference reads as many digits as name a group that is open or done.
func (p *parser) numberedReference(t token) *node {
	ref := int(t.r - '0')
	for p.pos < len(p.toks) && p.toks[p.pos].kind == plain && digitSet.contains(p.toks[p.pos].r) {
		longer := ref*10 + int(p.toks[p.pos].r-'0')
		if longer > p.groups {
			break
		}
		ref = longer
		p.pos++
	}
	return p.reference(t, ref)
}

func (p *parser) namedReference(t token) *node {
	if next, ok := p.raw(); !ok || !next.is('<') {
		p.fail(t.offset, `\k without <name>`)
		return &node{op: opEmpty}
	}
	name := p.name('>')
	ref, ok := p.names[name]
	if !ok {
		p.fail(t.offset, "reference to group %q, which does not exist", name)
	}
	return p.reference(t, ref)
}

func (p *parser) reference(t token, ref int) *node {
	p.refs[ref] = true
	p.lastRef = t
	return &node{op: opBackref, ref: ref, ignoreCase: p.flags&ignoreCase != 0}
}

// predefined returns the set of a class escape such as \d or \p{L}.
func (p *parser) predefined(t token) (runeSet, bool) {
	switch t.r {
	case 'd':
		return digitSet, true
	case 'D':
		return digitSet.negate(), true
	case 'w':
		return wordSet, true
	case 'W':
		return wordSet.negate(), true
	case 's':
		return spaceSet, true
	case 'S':
		return spaceSet.negate(), true
	case 'h':
		return horizontalSet, true
	case 'H':
		return horizontalSet.negate(), true
	case 'v':
		return verticalSet, true
	case 'V':
		return verticalSet.negate(), true
	case 'p', 'P':
		set := p.property(t)
		if t.r == 'P' {
			set = set.negate()
		}
		return set, true
	}
	return nil, false
}

// property reads the name after \p: one letter, or a name in braces.
func (p *parser) property(t token) runeSet {
	next, ok := p.raw()
	if !ok || next.kind != plain {
		p.fail(t.offset, `\%c without a name`, t.r)
		return nil
	}
	name := string(next.r)
	if next.r == '{' {
		var b strings.Builder
		for {
			next, ok := p.raw()
			if !ok || next.kind != plain {
				p.fail(t.offset, `\%c{ without }`, t.r)
				return nil
			}
			if next.r == '}' {
				break
			}
			b.WriteRune(next.r)
		}
		name = b.String()
	}
	set, ok := propertySet(name, p.flags&ignoreCase != 0)
	if !ok {
		p.fail(t.offset, `the class \%c{%s} is unknown or not supported`, t.r, name)
	}
	p.charge(len(set) / 2)
	return set
}

// character returns the single code point that an escape stands for.
func (p *parser) character(t token) rune {
	switch t.r {
	case 't':
		return '\t'
	case 'n':
		return '\n'
	case 'r':
		return '\r'
	case 'f':
		return '\f'
	case 'a':
		return '\a'
	case 'e':
		return 0x1b
	case 'c':
		if next, ok := p.raw(); ok && next.kind == plain {
			return next.r ^ 64
		}
		p.fail(t.offset, `\c without a character`)
	case '0':
		return p.octal(t)
	case 'x':
		return p.hex(t)
	case 'u':
		return p.codeUnits(t)
	default:
		if asciiLetterSet.contains(t.r) || digitSet.contains(t.r) {
			p.fail(t.offset, `the escape \%c is unknown or not supported here`, t.r)
		}
	}
	return t.r
}

// octal reads up to three digits, the value at most 0377.
func (p *parser) octal(t token) rune {
	value, digits := rune(0), 0
	for digits < 3 && p.pos < len(p.toks) {
		next := p.toks[p.pos]
		if next.kind != plain || next.r < '0' || next.r > '7' || value*8+next.r-'0' > 0o377 {
			break
		}
		value = value*8 + next.r - '0'
		digits++
		p.pos++
	}
	if digits == 0 {
		p.fail(t.offset, `\0 without octal digits`)
	}
	return value
}

func (p *parser) hex(t token) rune {
	if p.pos < len(p.toks) && p.toks[p.pos].is('{') {
		p.pos++
		value, ok := p.hexDigits(1, 8, 0x10ffff)
		if next, _ := p.raw(); !ok || !next.is('}') {
			p.fail(t.offset, `invalid \x{...}`)
		}
		return value
	}
	value, ok := p.hexDigits(2, 2, 0xff)
	if !ok {
		p.fail(t.offset, `\x without two hexadecimal digits`)
	}
	return value
}

// codeUnits reads \uHHHH, and the second half of a surrogate pair.
func (p *parser) codeUnits(t token) rune {
	high, ok := p.hexDigits(4, 4, 0xffff)
	if !ok {
		p.fail(t.offset, `\u without four hexadecimal digits`)
		return 0
	}
	if high < 0xd800 || high > 0xdbff || p.pos >= len(p.toks) || p.toks[p.pos] != (token{'u', escaped, p.toks[p.pos].offset}) {
		return high
	}
	mark := p.pos
	p.pos++
	low, ok := p.hexDigits(4, 4, 0xffff)
	if !ok || low < 0xdc00 || low > 0xdfff {
		p.pos = mark
		return high
	}
	return (high-0xd800)<<10 + (low - 0xdc00) + 0x10000
}

// hexDigits reads from least to most digits with a value of at most limit.
func (p *parser) hexDigits(least, most int, limit rune) (rune, bool) {
	value, digits := rune(0), 0
	for digits < most && p.pos < len(p.toks) && p.toks[p.pos].kind == plain {
		digit := strings.IndexRune("0123456789abcdef0123456789ABCDEF", p.toks[p.pos].r)
		if digit < 0 {
			break
		}
		if value = value<<4 | rune(digit&15); value > limit {
			return 0, false
		}
		digits++
		p.pos++
	}
	return value, digits >= least
}
