package tree

import (
	"sync"
	"sync/atomic"

	"github.com/klauspost/compress/zlib"

	"advect.dev/internal/topic"
)

// A specification is a topic's, with what updates need of it worked out once.
type specification struct {
	topic.Specification
	retains   bool // keeps the latest value
	deltas    bool // publishes deltas
	conflates bool // pending updates may be merged
	validates bool // inbound values are checked
	level     int  // of compression; 0: off
}

func newSpecification(s topic.Specification) *specification {
	sp := &specification{
		Specification: s,
		retains:       !s.Bool(topic.DontRetainValue),
		conflates:     s.Properties[topic.Conflation] != "off",
		validates:     s.Bool(topic.ValidateValues),
	}
	sp.deltas = sp.retains && s.Type.HasDeltas() && !s.Bool(topic.PublishValuesOnly)
	if s.Type != topic.Int64 && s.Type != topic.Double {
		switch s.Properties[topic.Compression] {
		case "", "low":
			sp.level = zlib.BestSpeed
		case "medium", "true":
			sp.level = 6
		case "high":
			sp.level = zlib.BestCompression
		}
	}
	return sp
}

// interner lets topics share their specifications: trees have many topics and
// few specifications. Beyond its limit it shares no more.
type interner struct {
	known sync.Map // wire form -> *specification
	count atomic.Int32
}

const (
	maxInterned     = 4096
	maxInternedSize = 1024 // octets of one: what is shared is never given up
)

func (i *interner) get(s topic.Specification) *specification {
	key := string(s.Append(nil))
	if sp, ok := i.known.Load(key); ok {
		return sp.(*specification)
	}
	sp := newSpecification(s)
	if len(key) <= maxInternedSize && i.count.Load() < maxInterned {
		if other, loaded := i.known.LoadOrStore(key, sp); loaded {
			return other.(*specification)
		}
		i.count.Add(1)
	}
	return sp
}
