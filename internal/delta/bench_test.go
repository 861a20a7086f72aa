package delta

import (
	"fmt"
	"testing"
)

// benchPairs are the changes that the figures in reports are about.
func benchPairs() []pair {
	small := corpus(1, 1)
	medium := corpus(1, 50)
	large := noise(1, 100<<10)
	ticks := medium[3] // CBOR, five ticks
	return []pair{
		{"128B one field", small[0].old, small[0].new},
		{"4KiB one byte", medium[1].old, flip(medium[1].old, 2000)},
		{"4KiB one field", medium[1].old, medium[1].new},
		{"4KiB five rows", ticks.old, ticks.new},
		{"4KiB window slides", medium[11].old, medium[11].new},
		{"100KiB ten edits", large, scattered(large, 10)},
		{"64KiB unrelated", noise(1, 64<<10), noise(2, 64<<10)},
	}
}

func BenchmarkAppend(b *testing.B) {
	for _, p := range benchPairs() {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			var dst []byte
			for b.Loop() {
				dst, _ = Append(dst[:0], p.old, p.new, len(p.new))
			}
			b.ReportMetric(float64(len(dst)), "B/delta")
		})
	}
}

func BenchmarkApply(b *testing.B) {
	for _, p := range benchPairs() {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			d := Diff(p.old, p.new)
			dst := make([]byte, 0, len(p.new))
			for b.Loop() {
				if _, err := Apply(dst, p.old, d, len(p.new)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkHostile has throughput for pairs made to be expensive.
func BenchmarkHostile(b *testing.B) {
	for _, p := range hostile(64 << 10) {
		b.Run(p.name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(p.old) + len(p.new)))
			dst := make([]byte, 0, len(p.new))
			for b.Loop() {
				Append(dst, p.old, p.new, len(p.new))
			}
		})
	}
}

// BenchmarkCorpus has the size and cost of the deltas of all updates.
func BenchmarkCorpus(b *testing.B) {
	for _, rows := range []int{1, 10, 50, 1200} {
		for _, p := range corpus(1, rows) {
			b.Run(fmt.Sprintf("%s/%d", p.name, len(p.new)), func(b *testing.B) {
				b.ReportAllocs()
				var dst []byte
				for b.Loop() {
					dst, _ = Append(dst[:0], p.old, p.new, len(p.new))
				}
				b.ReportMetric(float64(len(dst)), "B/delta")
			})
		}
	}
}
