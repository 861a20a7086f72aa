package engine

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync"

	"advect.dev/internal/filter"
	"advect.dev/internal/wire"
)

// A sessionIndex finds sessions by their principals and user properties. It is
// kept small: terms are known by their hashes only, and most lead to one session.
// What it finds must be held against the filter anyway.
type sessionIndex struct {
	seed maphash.Seed

	mu    sync.RWMutex // a leaf
	terms map[uint64]holders
}

// holders are the sessions of which a term is true.
type holders struct {
	one  *Session              // if there is but one
	many map[*Session]struct{} // else
}

func newSessionIndex() *sessionIndex {
	return &sessionIndex{seed: maphash.MakeSeed(), terms: make(map[uint64]holders)}
}

func (x *sessionIndex) hash(key, value string) uint64 {
	return maphash.Comparable(x.seed, filter.Term{Key: key, Value: value})
}

// move notes that a session has become who it is after from who it was before, of
// which nil stands for nobody. It comes before the change, so that whoever looks
// for the session meanwhile finds it as one of both, or as both.
func (x *sessionIndex) move(s *Session, before, after *identity) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if before != nil {
		if after == nil || after.principal != before.principal {
			x.remove(s, x.hash(principalProperty, before.principal))
		}
		for key, value := range before.properties {
			if after == nil || after.properties[key] != value {
				x.remove(s, x.hash(key, value))
			}
		}
	}
	if after != nil { // also what is as before: it may share its hash with what was removed
		x.add(s, x.hash(principalProperty, after.principal))
		for key, value := range after.properties {
			x.add(s, x.hash(key, value))
		}
	}
}

func (x *sessionIndex) add(s *Session, term uint64) {
	h := x.terms[term]
	switch {
	case h.one == s:
		return
	case h.many != nil:
		h.many[s] = struct{}{}
		return
	case h.one != nil:
		h = holders{many: map[*Session]struct{}{h.one: {}, s: {}}}
	default:
		h.one = s
	}
	x.terms[term] = h
}

func (x *sessionIndex) remove(s *Session, term uint64) {
	h := x.terms[term]
	switch {
	case h.one == s:
		delete(x.terms, term)
	case h.many != nil:
		if delete(h.many, s); len(h.many) == 0 {
			delete(x.terms, term)
		}
	}
}

// A plan is a way to find all sessions that a filter can match.
type plan struct {
	terms []filter.Term
	size  int // number of sessions that they lead to, about
}

// plan looks for the terms that lead to the fewest sessions. It returns false if
// any session may match. mu is held.
func (x *sessionIndex) plan(e filter.Expr) (p plan, ok bool) {
	switch e := e.(type) {
	case *filter.Is:
		if fixed(e.Key) && e.Key != principalProperty && e.Key != sessionIDProperty {
			return p, false
		}
		for _, value := range e.Values {
			p.terms = append(p.terms, filter.Term{Key: e.Key, Value: value})
			if e.Key == sessionIDProperty {
				p.size++
			} else if h := x.terms[x.hash(e.Key, value)]; h.one != nil {
				p.size++
			} else {
				p.size += len(h.many)
			}
		}
		return p, true
	case filter.And: // any operand's will do
		for _, operand := range e {
			if q, found := x.plan(operand); found && (!ok || q.size < p.size) {
				p, ok = q, true
			}
		}
		return p, ok
	case filter.Or: // those of all operands together
		for _, operand := range e {
			q, found := x.plan(operand)
			if !found {
				return p, false
			}
			p.terms, p.size = append(p.terms, q.terms...), p.size+q.size
		}
		return p, true
	}
	return p, false
}

// candidates returns sessions among which are all that a filter selects, each
// once, in no order.
func (e *Engine) candidates(f *filter.Filter) []*Session {
	x := e.index
	x.mu.RLock()
	p, ok := x.plan(f.Expr())
	if !ok {
		x.mu.RUnlock()
		return e.all()
	}
	found := make([]*Session, 0, p.size)
	for _, term := range p.terms {
		if term.Key == sessionIDProperty {
			continue
		}
		h := x.terms[x.hash(term.Key, term.Value)]
		if h.one != nil {
			found = append(found, h.one)
		}
		for s := range h.many {
			found = append(found, s)
		}
	}
	x.mu.RUnlock()
	for _, term := range p.terms {
		if term.Key != sessionIDProperty {
			continue
		}
		if id, err := wire.ParseSessionID(term.Value); err == nil {
			if s := e.session(id); s != nil {
				found = append(found, s)
			}
		}
	}
	if len(p.terms) > 1 {
		slices.SortFunc(found, byAge)
		found = slices.Compact(found)
	}
	return found
}

// byAge orders sessions as they were admitted.
func byAge(a, b *Session) int { return cmp.Compare(a.id.Value, b.id.Value) }

// matching returns the open sessions that a filter selects, connected or not, in
// no order. No lock is held while they are compared with the filter.
func (e *Engine) matching(f *filter.Filter) []*Session {
	candidates := e.candidates(f)
	matching := candidates[:0] // the slice is ours
	var p profile
	for _, s := range candidates {
		if p = s.now(); f.Match(&p) && !s.Over() {
			matching = append(matching, s)
		}
	}
	clear(candidates[len(matching):])
	return matching
}

// Any implements [removal.Sessions].
func (e *Engine) Any(f *filter.Filter) bool {
	var p profile
	for _, s := range e.candidates(f) {
		if p = s.now(); f.Match(&p) && !s.Over() {
			return true
		}
	}
	return false
}
