package delta

import (
	"math"
	"math/bits"
)

const (
	// seed is the length, in bytes, of the pieces that are looked up.
	seed = 8
	// minStride is the smallest distance between indexed pieces of old.
	minStride = 4
	// maxSlots bounds the index: old values too long for it are indexed more
	// thinly.
	maxSlots = 1 << 15
	// minAnchor is the shortest match, in bytes, taken from the index.
	minAnchor = 12
	// lookahead is how far, in bytes, a match is compared with those that
	// begin after it.
	lookahead = 64
	// measured is the longest match told apart from longer ones there.
	measured = 256
)

// anchors appends to found the blocks of new, within r's range of it, that
// are anywhere in old. The work is linear: one look-up for each byte of new
// that is not in a block, and fewer where nothing has been found for long.
func (s *search) anchors(found script, r region) script {
	s.index()
	misses := 0
	for j := r.new; j+seed <= r.newEnd; {
		if s.steps > s.budget {
			return found
		}
		c := s.anchorAt(j, r, math.MinInt)
		if c.n < minAnchor {
			// The step stays odd, the stride is a power of two: every block
			// of more than stride*step bytes is found.
			j += 1 + 2*min(misses>>7, 16)
			misses++
			continue
		}
		misses = 0
		for k := j + 1; k < min(j+lookahead, c.new+c.n, r.newEnd-seed) && c.n < measured; k++ {
			if better := s.anchorAt(k, r, c.old-c.new); better.n > c.n {
				c = better
			}
		}
		c.n = commonPrefix(s.old[c.old:], s.new[c.new:r.newEnd])
		s.steps += c.n / 8
		found = found.add(c)
		j = c.new + c.n
		r.new = j
	}
	return found
}

// anchorAt returns the match around new[j:], within r and up to measured bytes
// to each side. Its length is 0 if there is none, and also if it lies on the
// diagonal (place in old minus place in new) known.
func (s *search) anchorAt(j int, r region, known int) span {
	s.steps++
	word := load64(s.new, j)
	i := int(s.table[slot(word, s.shift)]) - 1
	if i < 0 || i-j == known || load64(s.old, i) != word {
		return span{}
	}
	n := seed + commonPrefix(s.old[i+seed:min(len(s.old), i+measured)], s.new[j+seed:min(r.newEnd, j+measured)])
	back := commonSuffix(s.old[max(0, i-measured):i], s.new[max(r.new, j-measured):j])
	s.steps += (n + back) / 8
	return span{i - back, j - back, n + back}
}

// index fills s.table with the places of old, at regular strides.
func (s *search) index() {
	stride, slots := minStride, 64
	for len(s.old)/stride > maxSlots/2 {
		stride *= 2
	}
	for slots < 2*(len(s.old)/stride) {
		slots *= 2
	}
	if cap(s.table) < slots {
		s.table = make([]uint32, slots)
	}
	s.table = s.table[:slots]
	clear(s.table)
	s.shift = 64 - uint(bits.TrailingZeros(uint(slots)))
	for i := 0; i+seed <= len(s.old); i += stride {
		s.table[slot(load64(s.old, i), s.shift)] = uint32(i + 1)
	}
	s.steps += len(s.old) / stride
}

func slot(word uint64, shift uint) uint64 { return word * 0x9e3779b97f4a7c15 >> (shift & 63) }
