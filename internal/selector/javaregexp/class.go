package javaregexp

// class reads a character class after its opening bracket. Java's classes
// nest ([a[bc]], a union) and intersect ([a-z&&[^aeiou]]); a leading ^ negates
// all of it.
func (p *parser) class(open token) runeSet {
	if !p.enter(open) {
		return nil
	}
	defer func() { p.depth-- }()
	negate := p.pos < len(p.toks) && p.toks[p.pos].is('^')
	if negate {
		p.pos++
	}
	set := p.operand(open)
	for p.accept('&') { // operand stops at && only
		p.pos++
		set = set.intersect(p.operand(open))
	}
	if !p.accept(']') {
		p.fail(open.offset, "[ without ]")
	}
	if negate {
		set = set.negate()
	}
	p.charge(len(set) / 2)
	return set
}

// operand reads the members of a class up to its end or to &&.
func (p *parser) operand(open token) runeSet {
	var pairs []rune
	for empty := true; ; empty = false {
		t, ok := p.peek()
		switch {
		case !ok:
			p.fail(open.offset, "[ without ]")
			return nil
		case t.is('&') && p.pos+1 < len(p.toks) && p.toks[p.pos+1].is('&'):
			if empty {
				p.fail(t.offset, "&& without a left side")
			}
			return normalise(pairs)
		case t.is(']') && (!empty || p.afterIntersection()):
			if empty {
				p.fail(t.offset, "&& without a right side")
			}
			return normalise(pairs)
		}
		p.pos++
		set := p.member(t)
		p.charge(len(set) / 2)
		pairs = append(pairs, set...)
	}
}

// afterIntersection reports whether the token before the next one is the &&
// that makes a ] the end of the class even though nothing precedes it.
func (p *parser) afterIntersection() bool {
	return p.pos >= 2 && p.toks[p.pos-1].is('&') && p.toks[p.pos-2].is('&')
}

// member reads one class member that starts with t: a nested class, a class
// escape, a range or a single character.
func (p *parser) member(t token) runeSet {
	if t.is('[') {
		return p.class(t)
	}
	if t.kind == escaped {
		if set, ok := p.predefined(t); ok {
			return set
		}
	}
	lo := p.classCharacter(t)
	if !p.rangeFollows() {
		return p.fold(single(lo))
	}
	p.accept('-')
	end, _ := p.next()
	if hi := p.classCharacter(end); hi >= lo {
		return p.fold(runeSet{lo, hi})
	}
	p.fail(t.offset, "class range that ends before it starts")
	return nil
}

func (p *parser) classCharacter(t token) rune {
	if t.kind == escaped {
		return p.character(t)
	}
	return t.r
}

// rangeFollows reports whether a - and the end of a range come next. Before ]
// and [ a - is a character.
func (p *parser) rangeFollows() bool {
	t, ok := p.peek()
	if !ok || !t.is('-') {
		return false
	}
	mark := p.pos
	p.pos++
	end, ok := p.peek()
	p.pos = mark
	return ok && !end.is(']') && !end.is('[')
}
