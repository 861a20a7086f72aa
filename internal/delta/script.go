package delta

// span is a piece of the old value that is also in the new one: old[old:old+n]
// equals new[new:new+n].
type span struct{ old, new, n int }

// script is an edit script: the copies of a delta, in the order of the new
// value and without overlap there. What no span covers is inserted.
type script []span

// add appends a copy, joining it with the last one where they continue each
// other.
func (s script) add(c span) script {
	if c.n == 0 {
		return s
	}
	if len(s) > 0 {
		last := &s[len(s)-1]
		if last.old+last.n == c.old && last.new+last.n == c.new {
			last.n += c.n
			return s
		}
	}
	return append(s, c)
}

// tidy drops, in place, the copies that cost no less than inserting their bytes
// together with the inserts beside them, and returns the rest with the length
// of the delta that it makes.
func (s script) tidy(newLen int) (kept script, size int) {
	kept = s[:0]
	done := 0 // end, in the new value, of what has been counted in size
	for i, c := range s {
		next := newLen
		if i+1 < len(s) {
			next = s[i+1].new
		}
		before, after := c.new-done, next-c.new-c.n
		with := insertLen(before) + headLen(c.old) + headLen(c.n) + insertLen(after)
		if with >= insertLen(before+c.n+after) {
			continue
		}
		kept = append(kept, c)
		size += with - insertLen(after)
		done = c.new + c.n
	}
	return kept, size + insertLen(newLen-done)
}

// insertLen is the length of the instruction that inserts n bytes.
func insertLen(n int) int {
	if n == 0 {
		return 0
	}
	return headLen(n) + n
}

// encode appends the delta.
func (s script) encode(dst, new []byte) []byte {
	done := 0
	for _, c := range s {
		dst = appendInsert(dst, new[done:c.new])
		dst = appendHead(dst, majorUint, c.old)
		dst = appendHead(dst, majorUint, c.n)
		done = c.new + c.n
	}
	return appendInsert(dst, new[done:])
}

func appendInsert(dst, b []byte) []byte {
	if len(b) == 0 {
		return dst
	}
	return append(appendHead(dst, majorBytes, len(b)), b...)
}
