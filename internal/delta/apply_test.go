package delta

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestApplyIsStrict(t *testing.T) {
	const max = 10
	tests := []struct {
		name, old, delta string
		want             string
		err              error
	}{
		{"no change", "616263", "f6", "616263", nil},
		{"no change of nothing", "", "f6", "", nil},
		{"no change, too large", "0102030405060708090a0b", "f6", "", ErrTooLarge},
		{"no bytes", "616263", "", "", nil},
		{"other single byte", "616263", "40", "", ErrCorrupt},
		{"lone uint", "616263", "00", "", ErrCorrupt},
		{"f6 is not an instruction", "616263", "f6f6", "", ErrCorrupt},
		{"f6 after a copy", "616263", "0003 f6", "", ErrCorrupt},

		{"empty copy at the end", "616263", "0300 4178", "78", nil},
		{"empty copy of nothing", "", "0000", "", nil},
		{"copy to the end", "616263", "0102", "6263", nil},
		{"copy past the end", "616263", "0103", "", ErrCorrupt},
		{"copy from past the end", "616263", "0400", "", ErrCorrupt},
		{"start and length overflow", "616263", "02 1bffffffffffffffff", "", ErrCorrupt},
		{"sum of start and length overflows", "616263", "1bffffffffffffffff 02", "", ErrCorrupt},
		{"sign bit", "616263", "1b8000000000000000 1b8000000000000000", "", ErrCorrupt},
		{"length is missing", "616263", "0003 01", "", ErrCorrupt},
		{"length is a byte string", "616263", "00 4161", "", ErrCorrupt},
		{"length is negative", "616263", "00 20", "", ErrCorrupt},
		{"length is indefinite", "616263", "00 1f", "", ErrCorrupt},
		{"start is indefinite", "616263", "1f 00", "", ErrCorrupt},
		{"length is cut off", "616263", "00 1900", "", ErrCorrupt},
		{"reserved width", "616263", "00 1c", "", ErrCorrupt},

		{"wide heads", "616263", "1b0000000000000000 1a00000003 5b000000000000000178", "61626378", nil},
		{"insert is cut off", "616263", "4361", "", ErrCorrupt},
		{"insert of a vast length", "616263", "5bffffffffffffffff 61", "", ErrCorrupt},
		{"insert of 2 GiB", "616263", "5a7fffffff 61", "", ErrCorrupt},

		{"chunks", "616263", "5f 4178 4179 ff 0001", "787961", nil},
		{"no chunks", "616263", "5fff", "", nil},
		{"empty chunk", "616263", "5f40ff", "", nil},
		{"chunks without an end", "616263", "5f4178", "", ErrCorrupt},
		{"chunks only begun", "616263", "40 5f", "", ErrCorrupt},
		{"chunks in chunks", "616263", "5f5f4178ffff", "", ErrCorrupt},
		{"chunk is text", "616263", "5f6178ff", "", ErrCorrupt},
		{"chunk is a uint", "616263", "5f0001ff", "", ErrCorrupt},
		{"end without chunks", "616263", "40ff", "", ErrCorrupt},

		{"text", "616263", "6161", "", ErrCorrupt},
		{"array", "616263", "8100", "", ErrCorrupt},
		{"map", "616263", "a0 4161", "", ErrCorrupt},
		{"tag", "616263", "c0 4161", "", ErrCorrupt},
		{"float", "616263", "f90000", "", ErrCorrupt},

		{"as long as allowed", "6162636465", "0005 0005", "61626364656162636465", nil},
		{"longer than allowed", "6162636465", "0005 0005 4161", "", ErrTooLarge},
		{"insert longer than allowed", "", "4b6162636465666768696a6b", "", ErrTooLarge},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := append(make([]byte, 0, 8), "head"...)
			got, err := Apply(dst, unhex(t, tt.old), unhex(t, tt.delta), max)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if want := append([]byte("head"), unhex(t, tt.want)...); !bytes.Equal(got, want) {
				t.Fatalf("got %x, want %x", got, want)
			}
		})
	}
}

// TestApplyAmplification applies a delta that asks for a gigabyte in few bytes.
func TestApplyAmplification(t *testing.T) {
	old := make([]byte, 1<<20)
	bomb := bytes.Repeat(unhex(t, "00 1a00100000"), 1024)
	if allocs := testing.AllocsPerRun(5, func() {
		if got, err := Apply(nil, old, bomb, 16<<20); !errors.Is(err, ErrTooLarge) || got != nil {
			t.Fatalf("%d bytes, error %v", len(got), err)
		}
	}); allocs > 10 {
		t.Errorf("%v allocations", allocs)
	}
}

func TestApplyAllocatesOnce(t *testing.T) {
	p := corpus(1, 30)[0]
	d := Diff(p.old, p.new)
	if n := testing.AllocsPerRun(100, func() { Apply(nil, p.old, d, len(p.new)) }); n > 1 && !raceEnabled {
		t.Errorf("%v allocations", n)
	}
	dst := make([]byte, 0, len(p.new))
	if n := testing.AllocsPerRun(100, func() { Apply(dst, p.old, d, len(p.new)) }); n > 0 {
		t.Errorf("%v allocations with room in dst", n)
	}
}

func FuzzApply(f *testing.F) {
	for _, p := range vectorPairs(f) {
		f.Add(p.old, Diff(p.old, p.new), uint32(1000))
	}
	for _, s := range []string{"5f41784179ff0001", "1900001a00000003", "0018ff", "6161", "5bffffffffffffffff61"} {
		f.Add([]byte("abc"), unhex(f, s), uint32(5))
	}
	f.Fuzz(func(t *testing.T, old, delta []byte, limit uint32) {
		max := int(limit % (1 << 20))
		got, err := Apply([]byte("head"), old, delta, max)
		if !bytes.HasPrefix(got, []byte("head")) {
			t.Fatalf("dst has become %x", got)
		}
		switch {
		case err == nil && len(got)-4 > max:
			t.Fatalf("%d bytes, at most %d allowed", len(got)-4, max)
		case err != nil && len(got) != 4:
			t.Fatalf("error %v and output %x", err, got)
		case err != nil && !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrTooLarge):
			t.Fatalf("error %v", err)
		}
	})
}
