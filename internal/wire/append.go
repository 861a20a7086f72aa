package wire

import "encoding/binary"

// AppendInt32 appends v as a varint32: unsigned LEB128 of the two's complement
// pattern, no zig-zag (02 section 1.1).
func AppendInt32(b []byte, v int32) []byte {
	return binary.AppendUvarint(b, uint64(uint32(v)))
}

// AppendInt64 appends v as a varint64 (02 section 1.2).
func AppendInt64(b []byte, v int64) []byte {
	return binary.AppendUvarint(b, uint64(v))
}

// AppendBool appends one byte, 0 or 1.
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

// AppendBytes appends the length of p as a varint32, then p.
func AppendBytes(b, p []byte) []byte {
	return append(AppendInt32(b, int32(len(p))), p...)
}

// AppendString appends the length of s in bytes as a varint32, then s.
func AppendString(b []byte, s string) []byte {
	return append(AppendInt32(b, int32(len(s))), s...)
}

// AppendStrings appends a collection of strings.
func AppendStrings(b []byte, list []string) []byte {
	b = AppendInt32(b, int32(len(list)))
	for _, s := range list {
		b = AppendString(b, s)
	}
	return b
}

// AppendOptional appends 0 for a nil v, else 1 and what add appends.
func AppendOptional[T any](b []byte, v *T, add func([]byte, T) []byte) []byte {
	if v == nil {
		return append(b, 0)
	}
	return add(append(b, 1), *v)
}
