package javaregexp

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// A simple is an expression of the form prefix class{min,max} suffix, or a
// choice of strings: what most patterns in practice are. It matches without
// an engine and without allocating.
type simple struct {
	prefix, suffix string
	loop           bool
	set            runeSet
	ascii          [4]uint32 // set below 0x80
	min, max       int

	choices []string // if not nil, everything else is unused
}

// simplify returns the simple form of items in sequence, or nil.
func newSimple(items []*node) *simple {
	if len(items) == 1 && items[0].op == opAlt {
		return newChoice(items[0])
	}
	s := &simple{}
	var prefix, suffix strings.Builder
	for _, n := range items {
		if n.op == opSet {
			if r, ok := n.set.only(); ok && utf8.ValidRune(r) {
				if s.loop {
					suffix.WriteRune(r)
				} else {
					prefix.WriteRune(r)
				}
				continue
			}
		}
		if s.loop || !s.setLoop(n) {
			return nil
		}
		if n.op == opRepeat && n.greed == possessive && n != items[len(items)-1] {
			return nil
		}
	}
	s.prefix, s.suffix = prefix.String(), suffix.String()
	return s
}

func (s *simple) setLoop(n *node) bool {
	switch {
	case n.op == opSet:
		s.set, s.min, s.max = n.set, 1, 1
	case n.op == opRepeat && n.sub().op == opSet:
		s.set, s.min, s.max = n.sub().set, n.min, n.max
	default:
		return false
	}
	s.loop = true
	for r := range rune(0x80) {
		if s.set.contains(r) {
			s.ascii[r/32] |= 1 << (r % 32)
		}
	}
	return true
}

func newChoice(alt *node) *simple {
	s := &simple{choices: []string{}}
	for _, sub := range alt.subs {
		literal, complete := literalPrefix(sub.items())
		if !complete {
			return nil
		}
		s.choices = append(s.choices, literal)
	}
	slices.Sort(s.choices)
	return s
}

// literalPrefix returns what every match of items starts with, and whether
// that is all of it.
func literalPrefix(items []*node) (string, bool) {
	var b strings.Builder
	for _, n := range items {
		r, ok := n.set.only()
		if n.op == opEmpty {
			continue
		}
		if n.op != opSet || !ok || !utf8.ValidRune(r) {
			return b.String(), false
		}
		b.WriteRune(r)
	}
	return b.String(), true
}

func (s *simple) match(text string) bool {
	if s.choices != nil {
		_, found := slices.BinarySearch(s.choices, text)
		return found
	}
	if !s.loop {
		return text == s.prefix
	}
	if len(text) < len(s.prefix)+len(s.suffix) || !strings.HasPrefix(text, s.prefix) || !strings.HasSuffix(text, s.suffix) {
		return false
	}
	text = text[len(s.prefix) : len(text)-len(s.suffix)]
	count := 0
	for i := 0; i < len(text); count++ {
		if c := text[i]; c < utf8.RuneSelf {
			if s.ascii[c/32]&(1<<(c%32)) == 0 {
				return false
			}
			i++
			continue
		}
		r, size := utf8.DecodeRuneInString(text[i:])
		if !s.set.contains(r) {
			return false
		}
		i += size
	}
	return count >= s.min && (s.max == unbounded || count <= s.max)
}
