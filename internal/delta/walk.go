package delta

// maxEdits is the number of byte edits within which resync looks for the place
// where old and new run in step again.
const maxEdits = 32

// strong is the longest match, in bytes, that resync tells apart from longer
// ones.
const strong = 32

// region is a pair of ranges: old[old:oldEnd] against new[new:newEnd].
type region struct{ old, oldEnd, new, newEnd int }

// walk appends to found the copies met on a walk through r: run in step while
// the bytes are equal, and at a difference look for the nearest place to fall
// into step again. It reports false if it did not get to the end, because it
// found no such place, because what it found makes a delta of more than spend
// bytes, or because the work allowed was used up.
func (s *search) walk(found script, r region, spend int) (script, bool) {
	for {
		n := commonPrefix(s.old[r.old:r.oldEnd], s.new[r.new:r.newEnd])
		s.steps += n / 8
		found = found.add(span{r.old, r.new, n})
		r.old += n
		r.new += n
		if r.newEnd-r.new < minMatch(r.old) || r.old == r.oldEnd {
			return found, r.newEnd-r.new <= spend
		}
		at, outcome := s.resync(r)
		if outcome != inStep {
			return found, outcome == nothingLeft && r.newEnd-r.new <= spend
		}
		if spend -= at.new - r.new + minMatch(at.old); spend < 0 {
			return found, false
		}
		r.old, r.new = at.old, at.new
	}
}

// minMatch is the shortest match worth a copy between two inserts when it
// starts at the given place of the old value.
func minMatch(start int) int { return headLen(start) + 3 }

// unreached marks a diagonal on which no path has arrived, or none that has
// room left for a match.
const unreached = -1 << 30

// resync finds, with the fewest byte edits (replace, insert, delete), a place
// where old and new match for at least minMatch bytes, and returns the rest of
// r from there. It is the furthest-reaching search of Ukkonen and Myers, but it
// stops at the first match worth having instead of the end of the input: the
// cost is the square of the size of one edit, whatever the length of the value.
func (s *search) resync(r region) (region, outcome) {
	old, new := s.old[r.old:r.oldEnd], s.new[r.new:r.newEnd]
	need := minMatch(r.old)
	// reach[mid+k] is how far into new a path has come on diagonal k, where the
	// place in old is the place in new plus k.
	const mid = maxEdits + 1
	reach := &s.reach
	reach[mid-1], reach[mid], reach[mid+1] = unreached, 0, unreached
	best := span{n: need - 1}
	for d := 1; d <= maxEdits && s.steps < s.budget; d++ {
		s.steps += 2*d + 1
		reach[mid-d-1], reach[mid+d+1] = unreached, unreached
		left := unreached // reach of the diagonal below, before this round
		alive := false
		for k := -d; k <= d; k++ {
			here := reach[mid+k]
			j := max(here+1, reach[mid+k+1]+1, left)
			left = here
			i := j + k
			if j < 0 || j > len(new)-need || i > len(old)-need {
				reach[mid+k] = unreached
				continue
			}
			alive = true
			if old[i] == new[j] {
				m := commonPrefix(old[i:min(len(old), i+strong)], new[j:min(len(new), j+strong)])
				if m > best.n {
					best = span{i, j, m}
				}
				j += m
			}
			reach[mid+k] = j
		}
		if best.n >= need {
			back := commonSuffix(old[:best.old], new[:best.new])
			r.old += best.old - back
			r.new += best.new - back
			return r, inStep
		}
		if !alive {
			return r, nothingLeft
		}
	}
	return r, gaveUp
}

// outcome says how a call of resync has ended.
type outcome int

const (
	inStep      outcome = iota // it has found a place
	nothingLeft                // there is none
	gaveUp                     // there may be one, further away
)
