package delta

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"strings"
)

// pair is a change of a value.
type pair struct {
	name     string
	old, new []byte
}

// quote is a row of the documents below.
type quote struct {
	symbol         string
	bid, ask       float64
	volume, millis int
	note           string
}

func newQuote(r *rand.Rand) quote {
	bid := math.Round(r.Float64()*20000) / 100
	return quote{
		symbol: strings.Map(func(rune) rune { return 'A' + r.Int32N(26) }, "1234"),
		bid:    bid, ask: bid + float64(r.IntN(20))/4,
		volume: r.IntN(1000000), millis: 1700000000000 + r.IntN(100000000),
		note: []string{"firm", "indicative", "closing soon", "market"}[r.IntN(4)],
	}
}

// tick changes what a market data update changes.
func (q *quote) tick(r *rand.Rand) {
	q.millis += 1 + r.IntN(5000)
	switch r.IntN(3) {
	case 0:
		q.bid += float64(r.IntN(200)-100) / 100
	case 1:
		q.ask += float64(r.IntN(200)-100) / 100
	default:
		q.volume += r.IntN(5000)
	}
}

func jsonDoc(rows []quote) []byte {
	var b bytes.Buffer
	b.WriteString(`{"venue":"XTST","quotes":[`)
	for i, q := range rows {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"symbol":%q,"bid":%s,"ask":%s,"volume":%d,"time":%d,"note":%q}`, q.symbol,
			strconv.FormatFloat(q.bid, 'f', -1, 64), strconv.FormatFloat(q.ask, 'f', -1, 64), q.volume, q.millis, q.note)
	}
	b.WriteString(`]}`)
	return b.Bytes()
}

// cborDoc encodes the same in the manner of the platform's JSON type.
func cborDoc(rows []quote) []byte {
	text := func(b []byte, s string) []byte { return append(appendHead(b, 3, len(s)), s...) }
	float := func(b []byte, f float64) []byte {
		return binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(f))
	}
	b := text(text(text([]byte{0xbf}, "venue"), "XTST"), "quotes")
	b = append(b, 0x9f)
	for _, q := range rows {
		b = text(text(append(b, 0xbf), "symbol"), q.symbol)
		b = float(text(b, "bid"), q.bid)
		b = float(text(b, "ask"), q.ask)
		b = appendHead(text(b, "volume"), majorUint, q.volume)
		b = appendHead(text(b, "time"), majorUint, q.millis)
		b = append(text(text(b, "note"), q.note), 0xff)
	}
	return append(b, 0xff, 0xff)
}

// corpus returns updates of documents of the given number of rows.
func corpus(seed uint64, rows int) []pair {
	r := rand.New(rand.NewPCG(seed, uint64(rows)))
	old := make([]quote, rows)
	for i := range old {
		old[i] = newQuote(r)
	}
	ticks := func(n int) []quote {
		rows := append([]quote(nil), old...)
		for range n {
			rows[r.IntN(len(rows))].tick(r)
		}
		return rows
	}
	cut := r.IntN(rows)
	changes := []struct {
		name string
		rows []quote
	}{
		{"one tick", ticks(1)},
		{"five ticks", ticks(5)},
		{"ticks everywhere", ticks(2 * rows)},
		{"row in", append(append(ticks(1)[:cut:cut], newQuote(r)), old[cut:]...)},
		{"row out", append(ticks(2)[:cut:cut], old[cut+1:]...)},
		{"window slides", append(append([]quote(nil), old[1:]...), newQuote(r))},
		{"sorted anew", append(append([]quote(nil), old[cut:]...), old[:cut]...)},
		{"all new", func() []quote {
			rows := make([]quote, rows)
			for i := range rows {
				rows[i] = newQuote(r)
			}
			return rows
		}()},
	}
	var pairs []pair
	for _, c := range changes {
		pairs = append(pairs,
			pair{"JSON text, " + c.name, jsonDoc(old), jsonDoc(c.rows)},
			pair{"CBOR, " + c.name, cborDoc(old), cborDoc(c.rows)})
	}
	return pairs
}

// shortest returns the length of the shortest delta there is. It takes time
// with the square of the length, or worse.
func shortest(old, new []byte) int {
	if bytes.Equal(old, new) {
		return 1
	}
	const far = math.MaxInt / 2
	copied := make([]int, len(new)+1) // cheapest for new[:j] that ends with a copy
	least := make([]int, len(new)+1)  // cheapest for new[:j]
	for j := range copied {
		copied[j], least[j] = far, far
	}
	copied[0] = 0
	for c := range least {
		for p := 0; p <= c; p++ {
			least[c] = min(least[c], copied[p]+insertLen(c-p))
		}
		at := 0
		for n := 1; c+n <= len(new); n++ {
			next := bytes.Index(old[at:], new[c:c+n])
			if next < 0 {
				break
			}
			at += next
			copied[c+n] = min(copied[c+n], least[c]+headLen(at)+headLen(n))
		}
	}
	return least[len(new)]
}
