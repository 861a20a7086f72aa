package wire

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"os"
	"runtime"
	"testing"
)

// hexBytes is a byte string written as hexadecimal digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

func readVectors(t testing.TB, file string, v any) {
	t.Helper()
	data, err := os.ReadFile("../../testdata/vectors/" + file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, v); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// section fails the test when a section of the vectors is missing, so that a
// renamed key cannot make a test pass by testing nothing.
func section[T any](t testing.TB, name string, vectors []T) []T {
	t.Helper()
	if len(vectors) == 0 {
		t.Fatalf("no vectors in section %s", name)
	}
	return vectors
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// eachPrefix calls decode with every strict prefix of b, cut out of b with no
// capacity behind it, and wants ErrMalformed each time.
func eachPrefix(t *testing.T, b []byte, decode func([]byte) error) {
	t.Helper()
	for n := range b {
		if err := decode(b[:n:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x cut to %d bytes: error %v, want ErrMalformed", b, n, err)
		}
	}
}

// leastBytes returns the fewest bytes that one of several calls of f allocates:
// what is above it comes from elsewhere, such as fmt's pool of buffers.
func leastBytes(f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := uint64(math.MaxUint64)
	for range 8 {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}
