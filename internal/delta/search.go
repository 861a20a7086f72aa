package delta

import "sync"

// search is the state and the scratch memory of one look for a delta.
type search struct {
	old, new []byte
	steps    int // units of work done: edits tried, look-ups, words compared
	budget   int // steps at which the running pass gives up

	found  script // the result
	blocks script // of anchors

	reach [2*maxEdits + 3]int // of resync

	table []uint32 // of anchors: place in old plus 1, by hash; 0 is empty
	shift uint     // of anchors: makes a slot of a hash
}

var pool = sync.Pool{New: func() any { return new(search) }}

// newSearch takes a search from the pool; release returns it.
func newSearch(old, new []byte) *search {
	s := pool.Get().(*search)
	s.old, s.new, s.steps = old, new, 0
	return s
}

func (s *search) release() {
	s.old, s.new = nil, nil
	pool.Put(s)
}

// allow lets the next pass do work in proportion to the values.
func (s *search) allow() { s.budget = s.steps + 8192 + len(s.old) + len(s.new) }

// enough is the length of a delta, for a new value of n bytes, that is good
// enough to look for no shorter one.
func enough(n int) int { return 48 + n/32 }

// run looks for a short script, given what lies between the common prefix and
// the common suffix, and returns it with the length of the delta that it makes.
// The script is valid until release.
func (s *search) run(r region) (script, int) {
	prefix := span{0, 0, r.old}
	suffix := span{r.oldEnd, r.newEnd, len(s.old) - r.oldEnd}

	s.allow()
	found, done := s.walk(s.found[:0].add(prefix), r, enough(len(s.new)))
	if !done {
		s.allow()
		s.blocks = s.anchors(s.blocks[:0], r)
		s.allow()
		found = s.refine(found[:0].add(prefix), r)
	}
	found, size := found.add(suffix).tidy(len(s.new))
	s.found = found
	return found, size
}

// refine appends to found the anchored blocks and the copies between them.
func (s *search) refine(found script, r region) script {
	end := span{r.oldEnd, r.newEnd, 0}
	for i := range len(s.blocks) + 1 {
		c := end
		if i < len(s.blocks) {
			c = s.blocks[i]
		}
		if r.old <= c.old { // else a block that has moved towards the start
			found, _ = s.walk(found, region{r.old, c.old, r.new, c.new}, c.new-r.new)
		}
		found = found.add(c)
		r.old, r.new = c.old+c.n, c.new+c.n
	}
	return found
}
