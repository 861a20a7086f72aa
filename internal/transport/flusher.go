package transport

import (
	"runtime"
	"sync"
	"sync/atomic"
)

// A flusher has connections whose links never wait flushed, by workers or by whoever
// calls drain. Connections take turns.
//
// There are half as many workers as processors. The kernel does as much for what is
// written again, on the side of the network, and more writers at a time stand in its
// way: with one for each of two processors a write cost a third more at full rate.
type flusher struct {
	// promises counts those who are going to call drain very soon. What they cause
	// need not wake a worker, whose start costs as much as several writes.
	promises atomic.Int32
	workers  sync.WaitGroup

	mu     sync.Mutex
	work   sync.Cond
	idle   int // workers that wait and have not been signalled
	closed bool
	queue  []*webSocket // from next on
	next   int
}

const (
	helpAt    = 128 // connections that wait for each worker that is woken in spite of a promise
	turn      = 16  // connections that a worker takes at a time
	drainMost = 128 // connections that drain flushes, if there are no more
)

func newFlusher() *flusher {
	f := &flusher{}
	f.work.L = &f.mu
	for range max(1, runtime.GOMAXPROCS(0)/2) {
		f.workers.Go(f.run)
	}
	return f
}

// close returns when the workers have ended. What is pushed later is not flushed.
func (f *flusher) close() {
	f.mu.Lock()
	f.closed, f.queue, f.next = true, nil, 0
	f.work.Broadcast()
	f.mu.Unlock()
	f.workers.Wait()
}

// push has a connection flushed. Its flag writing is set, so it is in the queue
// once.
func (f *flusher) push(c *webSocket) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return
	}
	f.queue = append(f.queue, c)
	if n := len(f.queue) - f.next; f.promises.Load() == 0 || n%helpAt == 0 {
		f.signal()
	}
}

// signal wakes a worker, if one waits. mu is held.
func (f *flusher) signal() {
	if f.idle > 0 {
		f.idle--
		f.work.Signal()
	}
}

// take moves connections from the queue to dst. mu is held.
func (f *flusher) take(dst []*webSocket) int {
	n := copy(dst, f.queue[f.next:])
	clear(f.queue[f.next : f.next+n])
	if f.next += n; f.next == len(f.queue) {
		f.queue, f.next = f.queue[:0], 0
	} else if f.next >= 1024 && f.next > len(f.queue)/2 {
		f.queue = append(f.queue[:0], f.queue[f.next:]...)
		clear(f.queue[len(f.queue) : len(f.queue)+f.next])
		f.next = 0
	}
	return n
}

func (f *flusher) run() {
	var mine [turn]*webSocket
	var b batch
	f.mu.Lock()
	defer f.mu.Unlock()
	for {
		for len(f.queue) == f.next {
			if f.closed {
				return
			}
			f.idle++
			f.work.Wait()
		}
		n := f.take(mine[:])
		f.mu.Unlock()
		flush(mine[:n], &b)
		f.mu.Lock()
	}
}

func flush(conns []*webSocket, b *batch) {
	for i, c := range conns {
		c.flush(b)
		conns[i] = nil
	}
}

// promise says that drain will be called. Nothing that may take long comes before.
func (f *flusher) promise() { f.promises.Add(1) }

// drain flushes what waits, or leaves it all to the workers if that is much: two who
// write cost more than one, and the loop is free to read.
func (f *flusher) drain() {
	f.promises.Add(-1)
	var mine [drainMost]*webSocket
	f.mu.Lock()
	n := len(f.queue) - f.next
	if n > drainMost {
		f.signal()
		f.mu.Unlock()
		return
	}
	f.take(mine[:n])
	f.mu.Unlock()
	b := batches.Get().(*batch)
	defer batches.Put(b)
	flush(mine[:n], b)
}
