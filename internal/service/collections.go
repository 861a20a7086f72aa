package service

import (
	"fmt"
	"maps"
	"slices"

	"advect.dev/internal/wire"
)

// appendList appends the number of elements and each of them.
func appendList[T any, P body[T]](b []byte, list []T) []byte {
	b = wire.AppendInt32(b, int32(len(list)))
	for i := range list {
		b = P(&list[i]).append(b)
	}
	return b
}

// readList reads a list whose elements take at least size bytes each; an empty
// one reads as nil.
func readList[T any, P body[T]](r *wire.Reader, size int) []T {
	n := r.Count(size)
	if n == 0 {
		return nil
	}
	list := make([]T, n)
	for i := range list {
		P(&list[i]).read(r)
	}
	return list
}

// appendMap appends a map in key order, so that equal maps have equal bytes.
func appendMap[T any, P body[T]](b []byte, m map[string]T) []byte {
	b = wire.AppendInt32(b, int32(len(m)))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		value := m[key]
		b = P(&value).append(wire.AppendString(b, key))
	}
	return b
}

// readMap reads a map whose entries take at least size bytes each; of duplicate
// keys the last wins, and an empty map reads as nil.
func readMap[T any, P body[T]](r *wire.Reader, size int) map[string]T {
	n := r.Count(size)
	if n == 0 {
		return nil
	}
	m := make(map[string]T, n)
	for range n {
		key := r.String()
		var value T
		P(&value).read(r)
		m[key] = value
	}
	return m
}

// appendOptionalStrings appends a list that is absent when it is empty.
func appendOptionalStrings(b []byte, list []string) []byte {
	if len(list) == 0 {
		return append(b, 0)
	}
	return wire.AppendStrings(append(b, 1), list)
}

func readOptionalStrings(r *wire.Reader) []string {
	if r.Byte() == 0 {
		return nil
	}
	return r.Strings()
}

// readEnum reads a byte that names one of the values up to last.
func readEnum[E ~byte](r *wire.Reader, last E, what string) E {
	e := E(r.Byte())
	if e > last {
		r.Fail("unknown %s %d", what, byte(e))
	}
	return e
}

// enumName returns the name of a value, or its number if it has none.
func enumName[E ~byte](e E, names ...string) string {
	if int(e) < len(names) && names[e] != "" {
		return names[e]
	}
	return fmt.Sprintf("UNKNOWN_%d", byte(e))
}
