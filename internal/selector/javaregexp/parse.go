package javaregexp

import (
	"fmt"
	"strings"
)

// maxNesting bounds groups and classes within each other, and with them the
// recursion of everything that walks a tree.
const maxNesting = 100

// maxClassRanges bounds the code point ranges of all classes of an expression.
const maxClassRanges = 20_000

type flags uint8

const (
	ignoreCase  flags = 1 << iota // i
	multiline                     // m
	dotAll                        // s
	unicodeCase                   // u
	unixLines                     // d
	comments                      // x
)

var flagLetters = map[rune]flags{
	'i': ignoreCase, 'm': multiline, 's': dotAll, 'u': unicodeCase, 'd': unixLines, 'x': comments,
}

// A parser reads one expression. The first error is kept in err and moves the
// parser to the end, where every loop stops.
type parser struct {
	expr    string
	toks    []token
	pos     int
	flags   flags
	depth   int
	ranges  int
	groups  int
	names   map[string]int
	refs    map[int]bool
	lastRef token
	err     error
}

// parse reads the expressions parts, each by itself, as one concatenation. It
// also returns the number of code point ranges in their classes.
func parse(parts []string) (n *node, ranges int, err error) {
	p := &parser{names: map[string]int{}, refs: map[int]bool{}}
	all := &node{op: opConcat}
	for _, part := range parts {
		toks, err := lex(part)
		if err != nil {
			return nil, 0, err
		}
		p.expr, p.toks, p.pos, p.flags = part, toks, 0, 0
		n := p.alternation()
		if t, ok := p.peek(); ok {
			p.fail(t.offset, "unmatched )")
		}
		for ref := range p.refs {
			if ref > p.groups {
				p.fail(p.lastRef.offset, "reference to group %d, which does not exist", ref)
			}
		}
		if p.err != nil {
			return nil, 0, p.err
		}
		all.subs = append(all.subs, n)
	}
	return all.simplify(p.refs), p.ranges, nil
}

func (p *parser) fail(offset int, format string, args ...any) {
	if p.err == nil {
		p.err = &Error{Expr: p.expr, Offset: offset, Reason: fmt.Sprintf(format, args...)}
	}
	p.pos = len(p.toks)
}

// offset is that of the token just read.
func (p *parser) offset() int {
	if p.pos == 0 || p.pos > len(p.toks) {
		return len(p.expr)
	}
	return p.toks[p.pos-1].offset
}

// raw reads the next token, white space and comments included.
func (p *parser) raw() (token, bool) {
	if p.pos >= len(p.toks) {
		return token{}, false
	}
	p.pos++
	return p.toks[p.pos-1], true
}

// peek returns the next token that counts, without reading it.
func (p *parser) peek() (token, bool) {
	for p.flags&comments != 0 && p.pos < len(p.toks) && p.toks[p.pos].kind == plain {
		r := p.toks[p.pos].r
		if r == '#' {
			for p.pos < len(p.toks) && !lineBreaks.contains(p.toks[p.pos].r) {
				p.pos++
			}
		} else if !spaceSet.contains(r) {
			break
		} else {
			p.pos++
		}
	}
	if p.pos >= len(p.toks) {
		return token{}, false
	}
	return p.toks[p.pos], true
}

func (p *parser) next() (token, bool) {
	if _, ok := p.peek(); !ok {
		return token{}, false
	}
	return p.raw()
}

// accept reads the next token if it is the plain character r.
func (p *parser) accept(r rune) bool {
	if t, ok := p.peek(); ok && t.is(r) {
		p.pos++
		return true
	}
	return false
}

func (p *parser) alternation() *node {
	alt := &node{op: opAlt}
	for {
		alt.subs = append(alt.subs, p.sequence())
		if !p.accept('|') {
			return alt
		}
	}
}

func (p *parser) sequence() *node {
	seq := &node{op: opConcat}
	for {
		t, ok := p.peek()
		if !ok || t.is('|') || t.is(')') {
			return seq
		}
		n, repeatable := p.atom()
		if repeatable {
			n = p.quantifier(n)
		}
		seq.subs = append(seq.subs, n)
	}
}

// atom reads one element. A quantifier may follow only if repeatable.
func (p *parser) atom() (n *node, repeatable bool) {
	t, _ := p.raw()
	if t.kind == escaped {
		return p.escape(t), true
	}
	if t.kind == plain {
		switch t.r {
		case '[':
			return &node{op: opSet, set: p.class(t)}, true
		case '(':
			return p.group(t)
		case '.':
			return &node{op: opSet, set: p.dot()}, true
		case '^', '$':
			return &node{op: opAssert, assert: byte(t.r), multiline: p.flags&multiline != 0}, false
		case '*', '+', '?':
			p.fail(t.offset, "quantifier %c follows nothing that can be repeated", t.r)
		case '{':
			p.fail(t.offset, "{ follows nothing that can be repeated; write \\{ for the character")
		}
	}
	return p.literal(t.r), true
}

func (p *parser) literal(r rune) *node {
	return &node{op: opSet, set: p.fold(single(r))}
}

// fold widens set to ignore case if the flags say so. Java folds US-ASCII only
// unless (?u) is given too.
func (p *parser) fold(set runeSet) runeSet {
	switch {
	case p.flags&ignoreCase == 0:
		return set
	case p.flags&unicodeCase == 0:
		return set.foldASCII()
	}
	if _, ok := set.only(); !ok {
		p.charge(200) // looks at every cased code point
	}
	return set.foldUnicode()
}

func (p *parser) dot() runeSet {
	switch {
	case p.flags&dotAll != 0:
		return allRunes
	case p.flags&unixLines != 0:
		return dotUnixSet
	}
	return dotSet
}

// charge counts ranges of classes against the limit.
func (p *parser) charge(ranges int) {
	if p.ranges += ranges; p.ranges > maxClassRanges {
		p.fail(p.offset(), "character classes too large")
	}
}

func (p *parser) quantifier(n *node) *node {
	t, ok := p.peek()
	if !ok || t.kind != plain {
		return n
	}
	r := &node{op: opRepeat, subs: []*node{n}, max: unbounded}
	switch t.r {
	case '*':
	case '+':
		r.min = 1
	case '?':
		r.max = 1
	case '{':
		p.pos++
		p.bounds(t, r)
		p.pos-- // bounds leaves the parser after }, which counts as the quantifier
	default:
		return n
	}
	p.pos++
	switch {
	case p.accept('?'):
		r.greed = lazy
	case p.accept('+'):
		r.greed = possessive
	}
	return r
}

// bounds reads n}, n,} or n,m} after the brace open.
func (p *parser) bounds(open token, r *node) {
	var ok bool
	if r.min, ok = p.number(); !ok {
		p.fail(open.offset, "invalid repetition; write \\{ for the character")
		return
	}
	r.max = r.min
	if t, _ := p.raw(); t.is(',') {
		if r.max, ok = p.number(); !ok {
			r.max = unbounded
		}
		t, _ = p.raw()
		if !t.is('}') {
			p.fail(open.offset, "repetition without }")
		}
	} else if !t.is('}') {
		p.fail(open.offset, "repetition without }")
	}
	if r.max != unbounded && r.max < r.min {
		p.fail(open.offset, "repetition with a maximum below its minimum")
	}
}

// maxRepeat bounds the numbers in a repetition.
const maxRepeat = 100_000

func (p *parser) number() (int, bool) {
	value, digits := 0, 0
	for p.pos < len(p.toks) && p.toks[p.pos].kind == plain && digitSet.contains(p.toks[p.pos].r) {
		value = value*10 + int(p.toks[p.pos].r-'0')
		p.pos++
		digits++
		if value > maxRepeat {
			p.fail(p.offset(), "repetition of more than %d", maxRepeat)
			return 0, false
		}
	}
	return value, digits > 0
}

func (p *parser) enter(t token) bool {
	if p.depth++; p.depth > maxNesting {
		p.fail(t.offset, "nested deeper than %d", maxNesting)
		return false
	}
	return true
}

// group reads what follows an opening parenthesis, up to the closing one.
func (p *parser) group(open token) (n *node, repeatable bool) {
	if !p.enter(open) {
		return &node{op: opEmpty}, false
	}
	defer func() { p.depth-- }()
	before := p.flags
	if !p.accept('?') {
		p.groups++
		n = &node{op: opCapture, ref: p.groups}
	} else if n = p.extension(open); n == nil {
		return &node{op: opEmpty}, false // flags for the rest of the enclosing group
	}
	body := p.alternation()
	if !p.accept(')') {
		p.fail(open.offset, "( without )")
	}
	p.flags = before
	if n.op == opEmpty {
		return body, true
	}
	n.subs = []*node{body}
	return n, true
}

// extension reads the kind of a group after "(?". It returns an opEmpty node
// for a group that only groups and nil after flags that end with ")".
func (p *parser) extension(open token) *node {
	t, ok := p.raw()
	if !ok || t.kind != plain {
		p.fail(open.offset, "unknown group")
		return nil
	}
	switch t.r {
	case ':':
		return &node{op: opEmpty}
	case '=', '!':
		return &node{op: opLook, negate: t.r == '!'}
	case '>':
		return &node{op: opAtomic}
	case '<':
		if p.pos < len(p.toks) && (p.toks[p.pos].is('=') || p.toks[p.pos].is('!')) {
			t, _ := p.raw()
			return &node{op: opLook, behind: true, negate: t.r == '!'}
		}
		name := p.name('>')
		if _, taken := p.names[name]; taken {
			p.fail(open.offset, "two groups named %s", name)
		}
		p.groups++
		p.names[name] = p.groups
		return &node{op: opCapture, ref: p.groups}
	}
	p.pos--
	return p.inlineFlags(open)
}

func (p *parser) inlineFlags(open token) *node {
	on := true
	for {
		t, ok := p.raw()
		if !ok {
			p.fail(open.offset, "( without )")
			return nil
		}
		flag := flagLetters[t.r]
		switch {
		case t.is('-') && on:
			on = false
		case t.is(')'):
			return nil
		case t.is(':'):
			return &node{op: opEmpty}
		case t.is('U'):
			p.fail(t.offset, "the flag (?U) is not supported")
			return nil
		case t.kind != plain || flag == 0:
			p.fail(t.offset, "unknown group or flag (?%c", t.r)
			return nil
		case on:
			p.flags |= flag
		default:
			p.flags &^= flag
		}
	}
}

// name reads the name of a group up to the character end.
func (p *parser) name(end rune) string {
	var b strings.Builder
	start := p.offset()
	for {
		t, ok := p.raw()
		if ok && t.is(end) && b.Len() > 0 {
			return b.String()
		}
		letter := asciiLetterSet.contains(t.r)
		if !ok || t.kind != plain || !letter && (b.Len() == 0 || !digitSet.contains(t.r)) {
			p.fail(start, "invalid group name")
			return ""
		}
		b.WriteRune(t.r)
	}
}
