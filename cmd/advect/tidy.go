package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

const (
	tidyTick  = 500 * time.Millisecond
	tidyAfter = 2 * time.Second // of quiet
	tidyQuiet = 128 << 10       // bytes allocated in a tick that still count as quiet: some pings
	tidyLeast = 16 << 20        // bytes to be given back, or a quarter of what is alive if that is more
)

// A tidying decides when memory that a burst has left behind is given back to the
// system. The runtime would do so by itself, but takes minutes for it, and keeps as
// much again as is alive. It costs a collection, which a server that has nothing to do
// can spare: only after quiet, and only if much was allocated since the last one.
type tidying struct {
	allocated uint64        // in all, at the latest look
	tidied    uint64        // in all, when memory was last given back
	quiet     time.Duration // so far
}

// A usage is what the process has of memory, in bytes.
type usage struct {
	allocated uint64 // in all, since it started
	alive     uint64 // as of the latest collection
	held      uint64 // of the system
}

// due takes note of the usage a tick after the last call, and reports whether memory
// is to be given back.
func (t *tidying) due(u usage) bool {
	if u.allocated-t.allocated > tidyQuiet {
		t.quiet = 0
	} else {
		t.quiet += tidyTick
	}
	t.allocated = u.allocated
	least := max(tidyLeast, u.alive/4)
	if t.quiet < tidyAfter || u.allocated-t.tidied < least || u.held < u.alive+least {
		return false
	}
	t.tidied = u.allocated
	return true
}

// tidy gives memory back, until ctx is done.
func tidy(ctx context.Context) {
	samples := []metrics.Sample{
		{Name: "/gc/heap/allocs:bytes"}, {Name: "/gc/heap/live:bytes"},
		{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"},
	}
	at := func(i int) uint64 {
		if samples[i].Value.Kind() != metrics.KindUint64 {
			return 0
		}
		return samples[i].Value.Uint64()
	}
	ticker := time.NewTicker(tidyTick)
	defer ticker.Stop()
	var t tidying
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		metrics.Read(samples)
		if t.due(usage{allocated: at(0), alive: at(1), held: at(2) - at(3)}) {
			debug.FreeOSMemory()
		}
	}
}
