package load

import (
	"bytes"
	"encoding/binary"
	"errors"
	"time"

	"advect.dev/datatype"
)

// A document makes the values of a topic: JSON objects, in CBOR, with their parts
// at fixed places, so that reading one costs next to nothing.
//
//	bytes   what
//	0-3     a map of 3; "n", 64 bits
//	4-11    the number of the value in its topic, from 1
//	12-14   "t", 64 bits
//	15-22   when it was due, in nanoseconds since the run began
//	23-25   "d", a list
//	26-29   its length
//	30-     fields: texts of 15 characters, and perhaps a shorter one
type document struct {
	topic  int
	fields int    // those of full length
	change int    // so many of them change with each value
	value  []byte // the last one made
}

const (
	leastSize  = 48       // bytes of a value
	mostSize   = 16 << 20 // likewise
	dataOffset = 30
	fieldSize  = 16 // bytes, with its head
	textHead   = 0x60
)

var head, dueHead, dataHead = []byte("\xa3\x61n\x1b"), []byte("\x61t\x1b"), []byte("\x61d\x9a")

// newDocument returns the document of a topic, whose values have size bytes. With
// change 0 all fields change from value to value.
func newDocument(topic, size, change int) *document {
	full, rest := (size-dataOffset)/fieldSize, (size-dataOffset)%fieldSize
	d := &document{topic: topic, fields: full, change: full, value: make([]byte, size)}
	if change > 0 {
		d.change = min(change, full)
	}
	copy(d.value, head)
	copy(d.value[12:], dueHead)
	copy(d.value[23:], dataHead)
	elements := full
	for i := range full {
		d.write(0, i)
	}
	if rest > 0 {
		elements++
		tail := d.value[size-rest:]
		tail[0] = textHead + byte(rest-1)
		copy(tail[1:], bytes.Repeat([]byte{'-'}, rest-1))
	}
	binary.BigEndian.PutUint32(d.value[26:], uint32(elements))
	return d
}

// next returns value n, which is due at some time of the run. It belongs to the caller.
func (d *document) next(n uint64, due time.Duration) datatype.JSON {
	binary.BigEndian.PutUint64(d.value[4:], n)
	binary.BigEndian.PutUint64(d.value[15:], uint64(due))
	for i := range d.change {
		d.write(n, int((n+uint64(i))%uint64(d.fields)))
	}
	return datatype.JSONFromBytes(bytes.Clone(d.value))
}

func (d *document) write(n uint64, field int) {
	at := dataOffset + field*fieldSize
	writeField(d.value[at:at+fieldSize], d.topic, n, field)
}

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz."

// writeField writes a text that depends on all three numbers.
func writeField(to []byte, topic int, n uint64, field int) {
	to[0] = textHead + fieldSize - 1
	x := n<<32 ^ uint64(topic)<<16 ^ uint64(field)
	for i := 1; i < fieldSize; {
		bits := splitMix(&x)
		for range min(8, fieldSize-i) {
			to[i] = alphabet[bits&63]
			bits >>= 8
			i++
		}
	}
}

// splitMix is the generator SplitMix64.
func splitMix(x *uint64) uint64 {
	*x += 0x9e3779b97f4a7c15
	z := *x
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

var errCorrupt = errors.New("the value is not what was published")

// readDocument returns the number of a value of a topic, and when it was due. It
// checks the layout, and the field that certainly changed.
func readDocument(value []byte, topic int) (n uint64, due time.Duration, err error) {
	if len(value) < leastSize || !bytes.HasPrefix(value, head) || !bytes.HasPrefix(value[12:], dueHead) || !bytes.HasPrefix(value[23:], dataHead) {
		return 0, 0, errCorrupt
	}
	n, due = binary.BigEndian.Uint64(value[4:]), time.Duration(binary.BigEndian.Uint64(value[15:]))
	field := int(n % uint64((len(value)-dataOffset)/fieldSize))
	var want [fieldSize]byte
	writeField(want[:], topic, n, field)
	if at := dataOffset + field*fieldSize; !bytes.Equal(value[at:at+fieldSize], want[:]) {
		return 0, 0, errCorrupt
	}
	return n, due, nil
}
