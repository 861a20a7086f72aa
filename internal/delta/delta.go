package delta

import "math"

// NoChange is the single byte of a delta between equal values.
const NoChange = 0xf6

// IsNoChange reports whether delta says that the value stays as it is. The
// delta of no bytes does not: it makes the empty value.
func IsNoChange(delta []byte) bool { return len(delta) == 1 && delta[0] == NoChange }

// Append appends to dst a delta that turns old into new, and reports whether
// one shorter than limit bytes was found. If not, dst is returned as it was,
// and the full value should be sent; pass len(new) to ask for any delta that is
// shorter than that. Two deltas are returned whatever the limit: [NoChange] for
// equal values, and the delta of no bytes for an empty new value.
//
// The work is bounded by a small multiple of len(old)+len(new), whatever the
// bytes. Nothing is allocated but room in dst, save for scratch memory which is
// kept for later calls. dst must not overlap old or new. Append is safe for
// concurrent use.
func Append(dst, old, new []byte, limit int) (delta []byte, ok bool) {
	prefix := commonPrefix(old, new)
	if prefix == len(old) && prefix == len(new) {
		return append(dst, NoChange), true
	}
	if len(new) == 0 {
		return dst, true
	}
	suffix := commonSuffix(old[prefix:], new[prefix:])
	r := region{prefix, len(old) - suffix, prefix, len(new) - suffix}

	var ends [2]span
	best := script(ends[:0]).add(span{0, 0, prefix}).add(span{r.oldEnd, r.newEnd, suffix})
	best, size := best.tidy(len(new))
	// An insert of trivial bytes is not worth a search for parts of it, and
	// places in old beyond 2 GiB do not fit the index.
	if r.newEnd-r.new > trivial && len(old) > 0 && len(old) < math.MaxInt32 {
		s := newSearch(old, new)
		defer s.release()
		if found, n := s.run(r); n < size {
			best, size = found, n
		}
	}
	if size >= limit {
		return dst, false
	}
	return best.encode(dst, new), true
}

// trivial is the length of an insert, in bytes, in which nothing is looked for.
const trivial = 12

// Diff returns a delta that turns old into new: that of [Append], unless only
// the replacement is as short, a single insert, which is longer than new by its
// head.
func Diff(old, new []byte) []byte {
	replacement := headLen(len(new)) + len(new)
	if delta, ok := Append(nil, old, new, replacement+1); ok {
		return delta
	}
	return appendInsert(make([]byte, 0, replacement), new)
}
