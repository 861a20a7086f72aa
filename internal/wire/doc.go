// Package wire holds the bytes of protocol version 29: primitive codecs,
// message frames, the handshake and the framing of HTTP polling.
//
// Everything here is pure: no I/O, no goroutines, no logging. Encoding appends
// to a caller's slice; decoding reads from a slice with a [Reader], checks each
// length against the bytes that are there before anything is allocated, and
// reports the first problem as an error that matches [ErrMalformed].
//
//	document            here
//	01 handshake        request.go, response.go
//	01 section 8.1      batch.go
//	02 section 1        append.go, reader.go, sessionid.go, credentials.go
//	02 sections 2 to 5  message.go, errors.go
//
// Decoded byte slices alias the input: they are valid as long as it is.
package wire

// Version is the protocol version that this package speaks.
const Version = 29
