package topic

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrInvalidPath is matched by every error that says a string is not a topic path.
var ErrInvalidPath = errors.New("invalid topic path")

// reservedRoot is the first segment of the paths that belong to the server
// (protocol 13 section 1).
const reservedRoot = "Diffusion"

// Canonical returns path without one leading and one trailing slash, the form
// in which paths are stored, compared and sent (protocol 13 section 1). The
// result need not be a valid path: see [CheckPath].
func Canonical(path string) string {
	path = strings.TrimPrefix(path, "/")
	return strings.TrimSuffix(path, "/")
}

// CheckPath reports whether a topic may have the path canonical, which must be
// in canonical form. The error matches [ErrInvalidPath]. Reserved paths are
// valid: see [Reserved].
func CheckPath(canonical string) error {
	switch {
	case canonical == "":
		return fmt.Errorf("%w: empty", ErrInvalidPath)
	case !utf8.ValidString(canonical):
		return fmt.Errorf("%w: %q is not valid UTF-8", ErrInvalidPath, canonical)
	case canonical[0] == '/', canonical[len(canonical)-1] == '/', strings.Contains(canonical, "//"):
		return fmt.Errorf("%w: %q has an empty segment", ErrInvalidPath, canonical)
	}
	return nil
}

// Reserved reports whether the canonical path belongs to the server's own
// topics, which clients may not create.
func Reserved(path string) bool {
	rest, ok := strings.CutPrefix(path, reservedRoot)
	return ok && (rest == "" || rest[0] == '/')
}

// ComparePaths orders canonical paths segment by segment, a path before its
// descendants (protocol 24 section 4). It returns -1, 0 or +1. The order is
// that of a sorted walk of the topic tree and differs from a comparison of the
// strings where a segment contains a character below '/'.
func ComparePaths(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] == b[i] {
			continue
		}
		// A slash ends the shorter segment, so it sorts below every other octet, 00 included.
		switch {
		case a[i] == '/':
			return -1
		case b[i] == '/':
			return 1
		case a[i] < b[i]:
			return -1
		}
		return 1
	}
	switch {
	case len(a) < len(b):
		return -1
	case len(a) > len(b):
		return 1
	}
	return 0
}
