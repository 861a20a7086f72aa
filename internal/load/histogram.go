package load

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A histogram counts durations in buckets that are at most 0.8 % wide, from 256 ns
// on; below, each nanosecond has its own. Many may record at the same time.
type histogram struct {
	shards [histogramShards]*[buckets]atomic.Uint32
}

const (
	histogramShards = 8
	perOctave       = 128 // buckets
	// buckets reaches beyond an hour; what is longer counts as that.
	buckets = (43 - 7) * perOctave
)

func newHistogram() *histogram {
	h := new(histogram)
	for i := range h.shards {
		h.shards[i] = new([buckets]atomic.Uint32)
	}
	return h
}

// record counts a duration. Those who record at the same time should pass different
// values of by.
func (h *histogram) record(by int, d time.Duration) {
	h.shards[by%histogramShards][bucketOf(d)].Add(1)
}

// bucketOf returns the bucket of a duration. Bits below the leading eight do not count.
func bucketOf(d time.Duration) int {
	v := uint64(max(0, d))
	shift := max(0, bits.Len64(v)-8)
	return min(shift*perOctave+int(v>>shift), buckets-1)
}

// bucketMiddle returns the duration in the middle of a bucket.
func bucketMiddle(i int) time.Duration {
	if i < 2*perOctave {
		return time.Duration(i)
	}
	shift := i/perOctave - 1
	return time.Duration((2*(i-shift*perOctave) + 1) << shift / 2)
}

// distribution returns what was recorded.
func (h *histogram) distribution() distribution {
	var d distribution
	d.counts = make([]uint32, buckets)
	for _, shard := range h.shards {
		for i := range shard {
			d.counts[i] += shard[i].Load()
		}
	}
	return d
}

// A distribution is what a histogram held at some time. The zero value is that of
// a new one.
type distribution struct{ counts []uint32 }

// since returns what was recorded after earlier, an older one of the same histogram.
func (d distribution) since(earlier distribution) distribution {
	diff := distribution{make([]uint32, len(d.counts))}
	for i, n := range d.counts {
		diff.counts[i] = n
		if earlier.counts != nil {
			diff.counts[i] -= earlier.counts[i]
		}
	}
	return diff
}

func (d distribution) total() (n int64) {
	for _, c := range d.counts {
		n += int64(c)
	}
	return n
}

// quantile returns the duration that the part q of all durations does not exceed;
// 0 of none. The longest is quantile 1.
func (d distribution) quantile(q float64) time.Duration {
	left := max(1, int64(q*float64(d.total())+0.999999))
	last := 0
	for i, c := range d.counts {
		if c == 0 {
			continue
		}
		last = i
		if left -= int64(c); left <= 0 {
			break
		}
	}
	return bucketMiddle(last)
}

func (d distribution) mean() time.Duration {
	sum, n := 0.0, d.total()
	for i, c := range d.counts {
		sum += float64(c) * float64(bucketMiddle(i))
	}
	return time.Duration(sum / float64(max(1, n)))
}
