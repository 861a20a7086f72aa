package load

import (
	"bytes"
	"encoding/json"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDocument(t *testing.T) {
	for _, size := range []int{leastSize, leastSize + 1, 100, 128, 126, 4096} {
		for _, change := range []int{0, 1, 3, 10_000} {
			d := newDocument(7, size, change)
			var before []byte
			for n := uint64(1); n < 300; n += 37 {
				v := d.next(n, time.Duration(n)*time.Second)
				if len(v.Bytes()) != size {
					t.Fatalf("%d bytes, want %d", len(v.Bytes()), size)
				}
				var fields struct {
					N uint64
					T time.Duration
					D []string
				}
				if err := v.Decode(&fields); err != nil || fields.N != n || fields.T != time.Duration(n)*time.Second {
					t.Fatalf("size %d: %+v (%v), want number %d", size, fields, err, n)
				}
				if got, due, err := readDocument(v.Bytes(), 7); err != nil || got != n || due != fields.T {
					t.Errorf("size %d: reads %d, %v (%v), want %d", size, got, due, err, n)
				}
				if _, _, err := readDocument(v.Bytes(), 8); err == nil {
					t.Error("a value of another topic is taken")
				}
				if before != nil && change == 1 && size == 4096 {
					if differ := differentFields(before, v.Bytes()); differ > 1 {
						t.Errorf("%d fields changed, want 1", differ)
					}
				}
				before = v.Bytes()
			}
		}
	}
}

func differentFields(a, b []byte) (n int) {
	for at := dataOffset; at+fieldSize <= len(a); at += fieldSize {
		if !bytes.Equal(a[at:at+fieldSize], b[at:at+fieldSize]) {
			n++
		}
	}
	return n
}

func TestCorruptDocuments(t *testing.T) {
	good := newDocument(0, 64, 0).next(1, time.Second).Bytes()
	for i := range good {
		_, _, _ = readDocument(good[:i], 0) // no panic
	}
	for _, at := range []int{0, 12, 24, dataOffset + fieldSize + 5} { // the field that number 1 changes
		bad := bytes.Clone(good)
		bad[at] ^= 1
		if _, _, err := readDocument(bad, 0); err == nil {
			t.Errorf("byte %d is wrong, and nobody notices", at)
		}
	}
}

func TestCursor(t *testing.T) {
	for name, test := range map[string]struct {
		numbers []uint64
		want    []arrival
	}{
		"in order":     {[]uint64{5, 6, 7}, []arrival{inOrder, inOrder, inOrder}},
		"a gap":        {[]uint64{5, 8, 9}, []arrival{inOrder, inOrder, inOrder}},
		"late":         {[]uint64{5, 8, 6, 7}, []arrival{inOrder, inOrder, outOfOrder, outOfOrder}},
		"twice":        {[]uint64{5, 5, 6, 5}, []arrival{inOrder, duplicate, inOrder, duplicate}},
		"late, twice":  {[]uint64{5, 7, 6, 6}, []arrival{inOrder, inOrder, outOfOrder, duplicate}},
		"before begin": {[]uint64{5, 3, 4}, []arrival{inOrder, duplicate, duplicate}},
		"far gap":      {[]uint64{5, 500, 499, 437}, []arrival{inOrder, inOrder, outOfOrder, outOfOrder}},
		"too late":     {[]uint64{5, 500, 436}, []arrival{inOrder, inOrder, duplicate}},
	} {
		var c cursor
		c.begin(4)
		var got []arrival
		for _, n := range test.numbers {
			got = append(got, c.take(n))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", name, got, test.want)
		}
	}
	var c cursor
	c.begin(4)
	if skipped, fresh := c.begin(9); skipped != 4 || !fresh {
		t.Errorf("beginning anew at 9 skips %d, %v, want 4", skipped, fresh)
	}
	if skipped, fresh := c.begin(9); skipped != 0 || fresh {
		t.Errorf("beginning anew with the same value skips %d, %v", skipped, fresh)
	}
}

func TestHistogramIsExactToOnePercent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, int64(time.Hour)), 1, 200).Draw(t, "durations")
		q := rapid.Float64Range(0, 1).Draw(t, "quantile")
		h := newHistogram()
		h.record(3, time.Minute)
		earlier := h.distribution()
		for i, v := range values {
			h.record(i, time.Duration(v))
		}
		d := h.distribution().since(earlier)
		slices.Sort(values)
		want := float64(values[max(0, int(math.Ceil(q*float64(len(values))))-1)])
		if got := float64(d.quantile(q)); math.Abs(got-want) > want/100 || d.total() != int64(len(values)) {
			t.Fatalf("quantile %v of %d is %v, want %v", q, d.total(), got, want)
		}
	})
}

func TestRoundNumbersOfAxes(t *testing.T) {
	for _, test := range []struct{ x, down, up float64 }{
		{1, 1, 1}, {1.5, 1, 2}, {3, 2, 5}, {7, 5, 10}, {0.03, 0.02, 0.05}, {9999, 5000, 10000},
	} {
		if down, up := roundLog(test.x, math.Floor), roundLog(test.x, math.Ceil); math.Abs(down-test.down) > 1e-9 || math.Abs(up-test.up) > 1e-9 {
			t.Errorf("%v is between %v and %v, want %v and %v", test.x, down, up, test.down, test.up)
		}
	}
}

func TestNumbersForPeople(t *testing.T) {
	for got, want := range map[string]string{
		count(0): "0", count(999): "999", count(1000): "1,000", count(-1234567): "-1,234,567",
		per(12.345): "12.35", per(1234.5): "1,235", latency(0.0123): "12.3 µs", latency(1.234): "1.23 ms", latency(12345): "12.3 s",
		memory(1536): "1.5 KiB", short(1234567): "1.235M", axisTime(20): "20 ms",
	} {
		if got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

func TestStrideReachesEveryTopic(t *testing.T) {
	for topics := 1; topics < 200; topics++ {
		seen := make([]bool, topics)
		for i, at := 0, 0; i < topics; i, at = i+1, (at+strideOf(topics))%topics {
			seen[at] = true
		}
		if slices.Contains(seen, false) {
			t.Fatalf("a stride of %d misses some of %d topics", strideOf(topics), topics)
		}
	}
}

func mustIndent(t *testing.T, v any) []byte {
	t.Helper()
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	return append(text, '\n')
}
