package tree

import (
	"slices"

	"advect.dev/internal/selector"
)

// A selection is an entry of a scope.
type selection struct {
	selector *selector.Selector
	selects  bool
}

// entrySize is what an entry takes besides its text, about.
const entrySize = 64

func (s *selection) size(scope string) int { return entrySize + len(scope) + len(s.selector.String()) }

// A scope is a list of selections, no two with the same text: the last that
// matches a path decides whether it is selected (21 section 3).
type scope struct {
	name    string
	entries []selection // in order; without a selector: taken out
	live    int         // entries not taken out
	index   *scopeIndex // nil while the list is short
}

// A scopeIndex finds entries of a long list by their places in it.
type scopeIndex struct {
	byText map[string]int
	byPath selector.Index[int]
}

// indexFrom is how many entries make a list long: sessions that select a few
// things, as most do, need no index.
const indexFrom = 32

// selects reports whether the scope selects a path.
func (s *scope) selects(path string) bool {
	if s.index == nil {
		return selects(s.entries, path)
	}
	last := -1
	for at := range s.index.byPath.Candidates(path) {
		last = max(last, at)
	}
	return last >= 0 && s.entries[last].selects
}

// selects reports whether a list of selections selects a path.
func selects(list []selection, path string) bool {
	for i := len(list) - 1; i >= 0; i-- {
		if list[i].selector != nil && list[i].selector.Match(path) {
			return list[i].selects
		}
	}
	return false
}

// find returns the place of the entry with a text, or -1.
func (s *scope) find(text string) int {
	if s.index != nil {
		if at, ok := s.index.byText[text]; ok {
			return at
		}
		return -1
	}
	for at := range s.entries {
		if sel := s.entries[at].selector; sel != nil && sel.String() == text {
			return at
		}
	}
	return -1
}

// add appends an entry whose text is not there.
func (s *scope) add(e selection) {
	s.entries = append(s.entries, e)
	s.live++
	switch {
	case s.index != nil:
		s.index.add(e.selector, len(s.entries)-1)
	case s.live > indexFrom:
		s.compact()
	}
}

// remove takes the entry at a place out.
func (s *scope) remove(at int) {
	if s.index != nil {
		sel := s.entries[at].selector
		delete(s.index.byText, sel.String())
		s.index.byPath.Remove(sel, at)
	}
	s.entries[at] = selection{}
	s.live--
	if s.live < len(s.entries)/2 || s.index == nil {
		s.compact()
	}
}

// compact closes the gaps, and makes the index anew if the list is long.
func (s *scope) compact() {
	s.entries = slices.DeleteFunc(s.entries, func(e selection) bool { return e.selector == nil })
	if s.index != nil {
		s.entries, s.index = slices.Clone(s.entries), nil
	}
	if s.live > indexFrom {
		s.index = &scopeIndex{byText: make(map[string]int, s.live)}
		for at := range s.entries {
			s.index.add(s.entries[at].selector, at)
		}
	}
}

func (x *scopeIndex) add(sel *selector.Selector, at int) {
	x.byText[sel.String()] = at
	x.byPath.Add(sel, at)
}
