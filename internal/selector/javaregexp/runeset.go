package javaregexp

import (
	"slices"
	"sync"
	"unicode"
)

// A runeSet is a set of code points: inclusive pairs lo, hi, sorted, disjoint
// and not adjacent. Values are immutable once built.
type runeSet []rune

var (
	allRunes = runeSet{0, unicode.MaxRune}
	// lineBreaks are what '.' does not match: LF, CR, NEL, LS, PS.
	lineBreaks      = runeSet{'\n', '\n', '\r', '\r', 0x85, 0x85, 0x2028, 0x2029}
	dotSet          = lineBreaks.negate()
	dotUnixSet      = runeSet{'\n', '\n'}.negate()
	digitSet        = runeSet{'0', '9'}
	wordSet         = runeSet{'0', '9', 'A', 'Z', '_', '_', 'a', 'z'}
	spaceSet        = runeSet{'\t', '\r', ' ', ' '}
	verticalSet     = runeSet{'\n', '\r', 0x85, 0x85, 0x2028, 0x2029}
	horizontalSet   = runeSet{'\t', '\t', ' ', ' ', 0xa0, 0xa0, 0x1680, 0x1680, 0x180e, 0x180e, 0x2000, 0x200a, 0x202f, 0x202f, 0x205f, 0x205f, 0x3000, 0x3000}
	asciiLetterSet  = runeSet{'A', 'Z', 'a', 'z'}
	asciiPunctSet   = runeSet{'!', '/', ':', '@', '[', '`', '{', '~'}
	asciiVisibleSet = runeSet{'!', '~'}
)

// normalise sorts and joins arbitrary pairs in place.
func normalise(pairs []rune) runeSet {
	n := len(pairs) / 2
	ordered := true
	for i := 1; i < n; i++ {
		if pairs[2*i] <= pairs[2*i-1] {
			ordered = false
			break
		}
	}
	if !ordered {
		ranges := make([][2]rune, n)
		for i := range ranges {
			ranges[i] = [2]rune{pairs[2*i], pairs[2*i+1]}
		}
		slices.SortFunc(ranges, func(a, b [2]rune) int { return int(a[0] - b[0]) })
		for i, r := range ranges {
			pairs[2*i], pairs[2*i+1] = r[0], r[1]
		}
	}
	out := pairs[:0]
	for i := 0; i < len(pairs); i += 2 {
		lo, hi := pairs[i], pairs[i+1]
		if last := len(out) - 1; last > 0 && lo <= out[last]+1 {
			out[last] = max(out[last], hi)
		} else {
			out = append(out, lo, hi)
		}
	}
	return runeSet(out)
}

func single(r rune) runeSet { return runeSet{r, r} }

func (s runeSet) union(t runeSet) runeSet {
	return normalise(append(slices.Clone([]rune(s)), t...))
}

func (s runeSet) negate() runeSet {
	var out runeSet
	next := rune(0)
	for i := 0; i < len(s); i += 2 {
		if s[i] > next {
			out = append(out, next, s[i]-1)
		}
		next = s[i+1] + 1
	}
	if next <= unicode.MaxRune {
		out = append(out, next, unicode.MaxRune)
	}
	return out
}

func (s runeSet) intersect(t runeSet) runeSet {
	return s.negate().union(t.negate()).negate()
}

func (s runeSet) contains(r rune) bool {
	lo, hi := 0, len(s)/2
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if s[2*mid+1] < r {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return 2*lo < len(s) && s[2*lo] <= r
}

// only returns the one member of a set that has exactly one.
func (s runeSet) only() (rune, bool) {
	if len(s) == 2 && s[0] == s[1] {
		return s[0], true
	}
	return 0, false
}

// foldASCII adds the other case of every ASCII letter.
func (s runeSet) foldASCII() runeSet {
	var add []rune
	for i := 0; i < len(s) && s[i] <= 'z'; i += 2 {
		for r := max(s[i], 'A'); r <= min(s[i+1], 'z'); r++ {
			if 'A' <= r && r <= 'Z' {
				add = append(add, r+'a'-'A', r+'a'-'A')
			} else if 'a' <= r {
				add = append(add, r-'a'+'A', r-'a'+'A')
			}
		}
	}
	if add == nil {
		return s
	}
	return s.union(add)
}

// casedRunes lists the code points that have another case.
var casedRunes = sync.OnceValue(func() []rune {
	var cased []rune
	for r := rune(0); r <= unicode.MaxRune; r++ {
		if unicode.SimpleFold(r) != r {
			cased = append(cased, r)
		}
	}
	return cased
})

// foldUnicode adds every code point that equals a member but for its case.
func (s runeSet) foldUnicode() runeSet {
	var add []rune
	if r, ok := s.only(); ok {
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			add = append(add, f, f)
		}
		return s.union(add)
	}
	for _, r := range casedRunes() {
		if !s.contains(r) {
			continue
		}
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			if !s.contains(f) {
				add = append(add, f, f)
			}
		}
	}
	if add == nil {
		return s
	}
	return s.union(add)
}

func fromTable(tables ...*unicode.RangeTable) runeSet {
	var pairs []rune
	add := func(lo, hi, stride rune) {
		if stride == 1 {
			pairs = append(pairs, lo, hi)
			return
		}
		for r := lo; r <= hi; r += stride {
			pairs = append(pairs, r, r)
		}
	}
	for _, table := range tables {
		for _, r := range table.R16 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
		for _, r := range table.R32 {
			add(rune(r.Lo), rune(r.Hi), rune(r.Stride))
		}
	}
	return normalise(pairs)
}
