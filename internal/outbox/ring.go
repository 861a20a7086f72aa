package outbox

// A ring is a queue whose entries are addressed by how many came before them.
// The zero value is empty; its memory follows what it holds.
type ring[T any] struct {
	slots      []T // capacity is a power of two; index i is at i&(len-1)
	first, end uint64
}

func (r *ring[T]) len() int { return int(r.end - r.first) }

func (r *ring[T]) at(i uint64) *T { return &r.slots[i&uint64(len(r.slots)-1)] }

func (r *ring[T]) push(v T) {
	if r.len() == len(r.slots) {
		r.resize(max(4, 2*len(r.slots)))
	}
	*r.at(r.end) = v
	r.end++
}

func (r *ring[T]) pop() T {
	var none T
	v := *r.at(r.first)
	*r.at(r.first) = none
	r.first++
	return v
}

// truncate drops the entries from index end on.
func (r *ring[T]) truncate(end uint64) {
	var none T
	for i := end; i < r.end; i++ {
		*r.at(i) = none
	}
	r.end = end
}

// shrink gives back memory after a burst.
func (r *ring[T]) shrink() {
	if n := r.len(); len(r.slots) > 64 && n < len(r.slots)/8 {
		r.resize(len(r.slots) / 4)
	}
}

// release gives back all memory of an empty ring.
func (r *ring[T]) release() {
	if r.len() == 0 {
		r.slots = nil
	}
}

func (r *ring[T]) resize(size int) {
	slots := make([]T, size)
	for i := r.first; i < r.end; i++ {
		slots[i&uint64(size-1)] = *r.at(i)
	}
	clear(r.slots) // which may be part of something that stays
	r.slots = slots
}
