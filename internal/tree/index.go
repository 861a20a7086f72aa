package tree

import (
	"slices"
	"sort"
	"strings"

	"advect.dev/internal/topic"
)

// An index holds topics in path order (24 section 4): a list of chunks, each a
// sorted slice, so that finding a place costs two binary searches, and changing
// it moves a few kilobytes at most.
type index struct {
	chunks [][]*Topic // none is empty
}

// maxChunk is the size at which a chunk is split into halves.
const maxChunk = 512

// A bound is a place between two paths of an index: before a path, between it
// and its descendants, or behind them.
type bound struct {
	path string
	side side
}

type side int8

const (
	before side = iota // the path is beyond the bound
	after              // its descendants are
	past               // they are not
)

// beyond reports whether a topic with the path comes after the bound.
func (b bound) beyond(path string) bool {
	switch c := topic.ComparePaths(path, b.path); {
	case c < 0:
		return false
	case c == 0:
		return b.side == before
	}
	return b.side != past || !below(path, b.path)
}

// below reports whether a path is that of a descendant of an ancestor. All are
// descendants of the empty path.
func below(path, ancestor string) bool {
	return ancestor == "" || len(path) > len(ancestor) && path[len(ancestor)] == '/' && strings.HasPrefix(path, ancestor)
}

// seek returns the place of the first topic beyond a bound.
func (x *index) seek(b bound) (chunk, at int) {
	if b.path == "" && b.side != past {
		return 0, 0
	}
	chunk = sort.Search(len(x.chunks), func(i int) bool { c := x.chunks[i]; return b.beyond(c[len(c)-1].path) })
	if chunk == len(x.chunks) {
		return chunk, 0
	}
	c := x.chunks[chunk]
	return chunk, sort.Search(len(c), func(i int) bool { return b.beyond(c[i].path) })
}

// next appends up to n topics beyond a bound to dst.
func (x *index) next(dst []*Topic, b bound, n int) []*Topic {
	for chunk, at := x.seek(b); chunk < len(x.chunks) && n > 0; chunk, at = chunk+1, 0 {
		part := x.chunks[chunk][at:]
		part = part[:min(n, len(part))]
		dst = append(dst, part...)
		n -= len(part)
	}
	return dst
}

// previous appends up to n topics that are not beyond a bound to dst, the last
// one first.
func (x *index) previous(dst []*Topic, b bound, n int) []*Topic {
	for chunk, at := x.seek(b); n > 0; n-- {
		for at == 0 {
			if chunk == 0 {
				return dst
			}
			chunk--
			at = len(x.chunks[chunk])
		}
		at--
		dst = append(dst, x.chunks[chunk][at])
	}
	return dst
}

// insert adds a topic, whose path must not be there.
func (x *index) insert(t *Topic) {
	chunk, at := x.seek(bound{t.path, before})
	if chunk == len(x.chunks) {
		if chunk == 0 {
			x.chunks = [][]*Topic{{t}}
			return
		}
		chunk--
		at = len(x.chunks[chunk])
	}
	c := slices.Insert(x.chunks[chunk], at, t)
	x.chunks[chunk] = c
	if len(c) < maxChunk {
		return
	}
	// Paths are often added in order: then the first chunk is better left full.
	cut := len(c) / 2
	if at == len(c)-1 {
		cut = len(c) - 1
	}
	x.chunks = slices.Insert(x.chunks, chunk+1, slices.Clone(c[cut:]))
	clear(c[cut:])
	x.chunks[chunk] = c[:cut]
}

// remove takes a topic out.
func (x *index) remove(t *Topic) {
	chunk, at := x.seek(bound{t.path, before})
	if chunk == len(x.chunks) || x.chunks[chunk][at] != t {
		return
	}
	c := slices.Delete(x.chunks[chunk], at, at+1)
	x.chunks[chunk] = c
	switch {
	case len(c) == 0:
		x.chunks = slices.Delete(x.chunks, chunk, chunk+1)
	case len(c) < cap(c)/4:
		x.chunks[chunk] = slices.Clone(c)
	}
}
