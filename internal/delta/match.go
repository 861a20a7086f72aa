package delta

import (
	"encoding/binary"
	"math/bits"
)

// block is the piece, in bytes, that long comparisons hand to the runtime's
// vectorised equality before they look for the differing word.
const block = 256

func load64(b []byte, i int) uint64 { return binary.LittleEndian.Uint64(b[i:]) }

// commonPrefix returns how many bytes a and b have in common at their starts.
func commonPrefix(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[:n], b[:n]
	i := 0
	for i+block <= n && string(a[i:i+block]) == string(b[i:i+block]) {
		i += block
	}
	for ; i+8 <= n; i += 8 {
		if x := load64(a, i) ^ load64(b, i); x != 0 {
			return i + bits.TrailingZeros64(x)/8
		}
	}
	for i < n && a[i] == b[i] {
		i++
	}
	return i
}

// commonSuffix returns how many bytes a and b have in common at their ends.
func commonSuffix(a, b []byte) int {
	n := min(len(a), len(b))
	a, b = a[len(a)-n:], b[len(b)-n:]
	i := n
	for i >= block && string(a[i-block:i]) == string(b[i-block:i]) {
		i -= block
	}
	for ; i >= 8; i -= 8 {
		if x := load64(a, i-8) ^ load64(b, i-8); x != 0 {
			return n - i + bits.LeadingZeros64(x)/8
		}
	}
	for i > 0 && a[i-1] == b[i-1] {
		i--
	}
	return n - i
}
