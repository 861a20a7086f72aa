package service

import (
	"bytes"
	"errors"
	"math"
	"reflect"
	"runtime"
	"testing"

	"advect.dev/internal/wire"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// FuzzServices decodes any body as any declared service's request or response.
func FuzzServices(f *testing.F) {
	for _, v := range vectors(f) {
		f.Add(v.service.Number(), v.response, v.body)
	}
	f.Fuzz(func(t *testing.T, id int32, response bool, body []byte) {
		s := Lookup(id)
		if s == nil {
			s = all[uint32(id)%uint32(len(all))]
		}
		v := vector{service: s, response: response}
		first, err := v.decode(body)
		if err != nil {
			if !errors.Is(err, wire.ErrMalformed) {
				t.Fatalf("%s: error %v is not ErrMalformed", s, err)
			}
			return
		}
		encoded := v.encode(first)
		second, err := v.decode(encoded)
		if err != nil {
			t.Fatalf("%s: %x decodes, but encoded again as %x it does not: %v", s, body, encoded, err)
		}
		if !same(second, first) {
			t.Fatalf("%s: %x decodes as %+v and, encoded again as %x, as %+v", s, body, first, encoded, second)
		}
		if again := v.encode(second); !bytes.Equal(again, encoded) {
			t.Fatalf("%s: %+v is encoded as %x and then as %x", s, first, encoded, again)
		}
	})
}

// same is equality of bodies, in which a number that is none equals itself.
func same(a, b any) bool {
	if _, ok := a.(Metrics); ok {
		return cmp.Equal(a, b, cmpopts.EquateNaNs())
	}
	return reflect.DeepEqual(a, b)
}

// TestClaimedLengthsAllocateNothing puts a length of 2^31-1 at every place of
// every vector: no decoder may allocate for bytes that are not there.
func TestClaimedLengthsAllocateNothing(t *testing.T) {
	huge := wire.AppendInt32(nil, 1<<31-1)
	seen := make(map[string]bool)
	for _, v := range vectors(t) {
		if len(v.body) > 40 || seen[v.service.String()+string(v.body)] {
			continue
		}
		seen[v.service.String()+string(v.body)] = true
		plain := leastBytes(0, func() { _, _ = v.decode(v.body) })
		for at := range v.body {
			body := append(bytes.Clone(v.body[:at]), huge...)
			if n := leastBytes(plain+1023, func() { _, _ = v.decode(body) }); n >= plain+1024 {
				t.Errorf("%s: %x allocates %d bytes, well-formed it takes %d", v.name, body, n, plain)
			}
		}
	}
}

// leastBytes returns the fewest bytes that one of many calls of f allocates, and
// stops at the first that allocates no more than enough. What is above it comes
// from elsewhere, such as fmt's pool of buffers, which the race detector empties.
func leastBytes(enough uint64, f func()) uint64 {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	least := uint64(math.MaxUint64)
	for n := 0; n < 64 && least > enough; n++ {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		f()
		runtime.ReadMemStats(&after)
		least = min(least, after.TotalAlloc-before.TotalAlloc)
	}
	return least
}

// TestHugeLengthFirst is the shortest attack on each body: six bytes.
func TestHugeLengthFirst(t *testing.T) {
	body := append(wire.AppendInt32(nil, 1<<31-1), 0)
	for _, s := range All() {
		for _, response := range []bool{false, true} {
			v := vector{service: s, response: response}
			if n := leastBytes(1023, func() { _, _ = v.decode(body) }); n >= 1024 {
				t.Errorf("%s, response %v: %x allocates %d bytes", s, response, body, n)
			}
		}
	}
}
