package wire

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

// hugeLength claims 2^31-1 of whatever follows, which is one byte.
var hugeLength = append(AppendInt32(nil, 1<<31-1), 'x')

// TestClaimedLengthsAllocateNothing: a decoder allocates nothing in proportion
// to a length that it has not yet seen the bytes for.
func TestClaimedLengthsAllocateNothing(t *testing.T) {
	negative := append(AppendInt32(nil, -1), 'x')
	field := func(read func(*Reader)) func([]byte) error {
		return func(b []byte) error {
			r := NewReader(b)
			read(r)
			return r.Err()
		}
	}
	for name, decode := range map[string]func([]byte) error{
		"bytes":       field(func(r *Reader) { r.Bytes() }),
		"string":      field(func(r *Reader) { _ = r.String() }),
		"strings":     field(func(r *Reader) { r.Strings() }),
		"count":       field(func(r *Reader) { r.Count(1) }),
		"count of 0":  field(func(r *Reader) { r.Count(0) }),
		"credentials": field(func(r *Reader) { r.Credentials() }),
		"error":       field(func(r *Reader) { r.ErrorReason() }),
		"message": func(b []byte) error {
			_, err := ParseMessage(append([]byte{byte(TypeError), 1}, b...))
			return err
		},
		"batch": func(b []byte) error {
			_, err := batchMessages(append(binary.BigEndian.AppendUint32(nil, 1<<31-1), b...))
			return err
		},
	} {
		for _, b := range [][]byte{hugeLength, negative} {
			if name == "credentials" {
				b = append([]byte{1}, b...)
			} else if name == "error" {
				b = append([]byte{100}, b...)
			}
			if err := decode(b); !errors.Is(err, ErrMalformed) {
				t.Errorf("%s of %x: error %v, want ErrMalformed", name, b, err)
			}
			if n := leastBytes(func() { _ = decode(b) }); n >= 1024 {
				t.Errorf("%s of %x allocates %d bytes", name, b, n)
			}
		}
	}
}

// TestManyElementsAllocateWhatTheyHold: a collection whose first element is
// malformed has allocated no more than a small multiple of its bytes.
func TestManyElementsAllocateWhatTheyHold(t *testing.T) {
	const n = 10_000
	b := AppendInt32(nil, n)
	b = append(b, bytes.Repeat([]byte{0x80}, n)...) // never ends a varint
	got := leastBytes(func() { NewReader(b).Strings() })
	if limit := uint64(20*len(b) + 1024); got > limit {
		t.Errorf("%d bytes allocated for %d received", got, len(b))
	}
}

func TestLongInputs(t *testing.T) {
	long := strings.Repeat("%41&", 100_000)
	if _, err := ParseConnectRequest(NewParameters(long, nil)); err == nil {
		t.Error("a query of 400 kB of nothing is a connect request")
	}
	if _, err := ParseMessage(bytes.Repeat([]byte{0x80}, 1<<20)); err == nil {
		t.Error("a message of 1 MiB of 0x80 decodes")
	}
	if _, err := ParseSessionID(strings.Repeat("f", 1<<20) + "-1"); err == nil {
		t.Error("a session id of 1 MiB is accepted")
	}
}
