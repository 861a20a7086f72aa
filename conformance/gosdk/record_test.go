package gosdk

import (
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

// patience is how long a scenario waits for what should come at once.
const patience = 20 * time.Second

// A record is what has happened, in order, with a way to wait for more.
type record[T any] struct {
	name string
	most int // items kept; 0: all

	mu    sync.Mutex
	items []T
	more  chan struct{} // closed and replaced when there is a new item
}

func newRecord[T any](name string) *record[T] {
	return &record[T]{name: name, more: make(chan struct{})}
}

func (r *record[T]) add(item T) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.items = append(r.items, item); r.most > 0 && len(r.items) > r.most {
		r.items = r.items[len(r.items)-r.most/2:]
	}
	close(r.more)
	r.more = make(chan struct{})
}

// all returns the items so far.
func (r *record[T]) all() []T {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]T(nil), r.items...)
}

// changed returns a channel that is closed when the next item comes.
func (r *record[T]) changed() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.more
}

// until waits until the items are as wanted and returns them.
func (r *record[T]) until(within time.Duration, wanted func([]T) bool) ([]T, error) {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for {
		changed := r.changed()
		items := r.all()
		if wanted(items) {
			return items, nil
		}
		select {
		case <-changed:
		case <-timer.C:
			var tail []string
			for _, item := range items[max(0, len(items)-12):] {
				tail = append(tail, fmt.Sprintf("%.160v", item))
			}
			return nil, fmt.Errorf("not within %v; %s has %d:\n  %s", within, r.name, len(items), strings.Join(tail, "\n  "))
		}
	}
}

// What happens to a session.
const (
	disconnect = "disconnect" // CONNECTED_ACTIVE to RECOVERING_RECONNECT
	reconnect  = "reconnect"  // and back
	closing    = "close"
	problem    = "error"
)

// A sessionEvent is an event of a session, named as in other SDKs.
type sessionEvent struct {
	kind     string
	old, new advect.State
	err      error
	at       time.Time
}

// A sessionRecord holds the events of a session.
type sessionRecord struct{ *record[sessionEvent] }

func (r sessionRecord) state(s *advect.Session, old, new advect.State) {
	e := sessionEvent{old: old, new: new, at: time.Now()}
	switch {
	case new.IsClosed():
		e.kind, e.err = closing, s.Err()
	case new.IsRecovering():
		e.kind = disconnect
	case old.IsRecovering():
		e.kind = reconnect
	default:
		e.kind = "open"
	}
	r.add(e)
}

func (r sessionRecord) problem(_ *advect.Session, err error) {
	r.add(sessionEvent{kind: problem, err: err, at: time.Now()})
}

// kinds returns the kinds of the events so far, in one text.
func (r sessionRecord) kinds() string {
	var kinds []string
	for _, e := range r.all() {
		kinds = append(kinds, e.kind)
	}
	return strings.Join(kinds, " ")
}

func (r sessionRecord) count(kind string) int {
	n := 0
	for _, e := range r.all() {
		if e.kind == kind {
			n++
		}
	}
	return n
}

// What happens to a stream.
const (
	subscribe   = "subscribe"
	value       = "value"
	unsubscribe = "unsubscribe"
)

// A streamEvent is an event of a value stream; values are in comparable form.
type streamEvent struct {
	kind       string
	path       string
	value, old string // "" for none; null for a topic set to null
	reason     advect.UnsubscribeReason
	err        error
}

const null = "(null)"

// A streamRecord holds the events of a value stream.
type streamRecord struct{ *record[streamEvent] }

// of returns the events of one kind.
func (r streamRecord) of(kind string) []streamEvent {
	var found []streamEvent
	for _, e := range r.all() {
		if e.kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// values returns the values so far, in one text.
func (r streamRecord) values() string {
	var all []string
	for _, e := range r.of(value) {
		all = append(all, e.value)
	}
	return strings.Join(all, " ")
}

// kinds returns the kinds of the events so far, in one text.
func (r streamRecord) kinds() string {
	var kinds []string
	for _, e := range r.all() {
		kinds = append(kinds, e.kind)
	}
	return strings.Join(kinds, " ")
}

// comparable returns the text that stands for a value.
func comparable(v datatype.Value) string {
	switch v := v.(type) {
	case datatype.Binary:
		return "0x" + hex.EncodeToString(v)
	case datatype.String:
		return fmt.Sprintf("%q", string(v))
	default:
		return fmt.Sprint(v)
	}
}
