package load

import (
	"sync/atomic"
	"time"
)

// A storm cuts the connections of all sessions and watches them come back. None
// connects before the last is cut: the load of those that come back would draw out
// the cutting.
type storm struct {
	fleet          *fleet
	began          time.Duration
	reconnects     *histogram // from the storm to the reconnection
	currents       *histogram // from the storm to the first value that was published after the cut
	back, upToDate atomic.Int64
	withLoss       atomic.Int64
	marks          []stormMark // by the number of the member
	cutIn          time.Duration
}

// A stormMark is what happened to a session.
type stormMark struct {
	cut                  atomic.Int64 // when; 0: not yet
	back, upToDate, loss atomic.Bool
}

func (f *fleet) storm() *storm {
	s := &storm{
		fleet: f, began: f.now(), reconnects: newHistogram(), currents: newHistogram(),
		marks: make([]stormMark, f.scenario.Sessions),
	}
	for _, m := range f.members {
		m.storm.Store(s)
	}
	f.cutting.Lock()
	defer f.cutting.Unlock()
	for _, m := range f.members {
		s.marks[m.number].cut.Store(int64(f.now()))
		m.cut()
	}
	s.cutIn = f.now() - s.began
	return s
}

// connected takes note of a session that has its connection back.
func (s *storm) connected(m *member) {
	if mark := &s.marks[m.number]; mark.cut.Load() > 0 && !mark.back.Swap(true) {
		s.reconnects.record(m.number, s.fleet.now()-s.began)
		s.back.Add(1)
	}
}

// arrived takes note of a value.
func (s *storm) arrived(m *member, now, due time.Duration) {
	mark := &s.marks[m.number]
	if cut := mark.cut.Load(); cut > 0 && int64(due) > cut && !mark.upToDate.Swap(true) {
		s.connected(m) // which its listener may not have been told yet
		s.currents.record(m.number, now-s.began)
		s.upToDate.Add(1)
	}
}

// lossy takes note of a session that had to begin anew.
func (s *storm) lossy(m *member) {
	if mark := &s.marks[m.number]; mark.cut.Load() > 0 && !mark.loss.Swap(true) {
		s.withLoss.Add(1)
	}
}
