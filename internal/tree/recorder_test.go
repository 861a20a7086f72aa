package tree

import (
	"fmt"
	"slices"
	"sync"

	"advect.dev/internal/service"
)

// A recorder is a listener's sink that keeps what it is told.
type recorder struct {
	denied func(path string) bool

	mu     sync.Mutex
	events []string
}

func newRecorder() *recorder { return &recorder{} }

func (r *recorder) record(event string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.events = append(r.events, event)
}

func (r *recorder) Event(kind service.TopicEventKind, n *Topic) {
	r.record(fmt.Sprintf("%v %s", kind, n.path))
}

func (r *recorder) Descendant(kind service.TopicEventKind, n *Topic) {
	r.record(fmt.Sprintf("below %v %s", kind, n.path))
}

func (r *recorder) CanRead(n *Topic) bool { return r.denied == nil || !r.denied(n.path) }

func (r *recorder) take() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	events := slices.Clone(r.events)
	r.events = nil
	return events
}
