package outbox

import "math/bits"

// A ring is a queue whose entries are addressed by how many came before them.
// The zero value is empty; its memory follows what it holds.
//
// Few entries stand in one array that doubles, more in blocks that are added and
// dropped one by one. An array would have to be moved as a whole, by whoever pushes
// one entry too many: for thousands of sessions with the same backlog that is the
// same publisher at the same moment.
type ring[T any] struct {
	slots      []T        // of few entries; capacity is a power of two; index i is at i&(len-1)
	blocks     *blocks[T] // of more; then there are no slots
	first, end uint64
}

// blocks hold the entries from index base on, and perhaps some free blocks behind
// them.
type blocks[T any] struct {
	list []*[blockSize]T
	base uint64 // a multiple of blockSize
}

const (
	blockSize  = 64
	spareBlock = 1 // free blocks that are kept
)

func (r *ring[T]) len() int { return int(r.end - r.first) }

// capacity returns the number of entries for which there is memory.
func (r *ring[T]) capacity() int {
	if r.blocks != nil {
		return len(r.blocks.list) * blockSize
	}
	return len(r.slots)
}

func (r *ring[T]) at(i uint64) *T {
	if r.blocks == nil {
		return &r.slots[i&uint64(len(r.slots)-1)]
	}
	return r.blocks.at(i)
}

func (b *blocks[T]) at(i uint64) *T { return &b.list[(i-b.base)/blockSize][i%blockSize] }

func (r *ring[T]) push(v T) {
	if r.blocks == nil && r.len() == len(r.slots) {
		r.grow()
	}
	if b := r.blocks; b != nil && r.end-b.base == uint64(len(b.list))*blockSize {
		b.list = append(b.list, new([blockSize]T))
	}
	*r.at(r.end) = v
	r.end++
}

func (r *ring[T]) pop() T {
	var none T
	at := r.at(r.first)
	v := *at
	*at = none
	r.first++
	if r.blocks != nil && r.first%blockSize == 0 {
		r.blocks.advance(r.end)
	}
	return v
}

// advance takes the first block, which is empty, away, or puts it behind the others
// to be used again. end is the ring's.
func (b *blocks[T]) advance(end uint64) {
	block := b.list[0]
	copy(b.list, b.list[1:])
	last := len(b.list) - 1
	b.base += blockSize
	if used := b.used(end); last-used < spareBlock {
		b.list[last] = block
		return
	}
	b.list[last] = nil
	b.list = b.list[:last]
}

// used returns the number of blocks with entries before end, which is not before base.
func (b *blocks[T]) used(end uint64) int { return int((end - b.base + blockSize - 1) / blockSize) }

// truncate drops the entries from index end on.
func (r *ring[T]) truncate(end uint64) {
	till := r.end
	if b := r.blocks; b != nil { // whole blocks just go
		used := b.used(end)
		till = min(till, b.base+uint64(used)*blockSize)
		clear(b.list[used:])
		b.list = b.list[:used]
	}
	var none T
	for i := end; i < till; i++ {
		*r.at(i) = none
	}
	r.end = end
}

// shrink gives back memory after a burst.
func (r *ring[T]) shrink() {
	if r.blocks != nil && r.len() < blockSize/8 {
		r.resize(blockSize / 4)
	}
}

// fit gives back the memory that a ring has beyond what it holds.
func (r *ring[T]) fit() {
	n := r.len()
	switch b := r.blocks; {
	case n == 0:
		r.release()
	case n <= blockSize/2:
		if size := max(4, 1<<bits.Len(uint(n-1))); size < r.capacity() {
			r.resize(size)
		}
	case b != nil:
		used := b.used(r.end)
		list := make([]*[blockSize]T, used)
		copy(list, b.list)
		b.list = list
	}
}

// release gives back all memory of an empty ring.
func (r *ring[T]) release() {
	if r.len() == 0 {
		r.slots, r.blocks = nil, nil
	}
}

// grow makes room for an entry in a ring without blocks.
func (r *ring[T]) grow() {
	if size := max(4, 2*len(r.slots)); size <= blockSize {
		r.resize(size)
		return
	}
	b := &blocks[T]{base: r.first / blockSize * blockSize}
	b.list = make([]*[blockSize]T, b.used(r.end), 4)
	for i := range b.list {
		b.list[i] = new([blockSize]T)
	}
	for i := r.first; i < r.end; i++ {
		*b.at(i) = *r.at(i)
	}
	clear(r.slots)
	r.slots, r.blocks = nil, b
}

// resize moves the entries into slots.
func (r *ring[T]) resize(size int) {
	slots := make([]T, size)
	for i := r.first; i < r.end; i++ {
		slots[i&uint64(size-1)] = *r.at(i)
	}
	clear(r.slots) // which may be part of something that stays
	r.slots, r.blocks = slots, nil
}
