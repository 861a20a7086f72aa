package advect

import (
	"errors"

	"testing"

	"pgregory.net/rapid"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// A watcher is a stream with a small mailbox that a test empties when it likes.
// It checks that what it is told makes sense, however much was conflated.
type watcher struct {
	*rapid.T
	*stream
	topics map[string]*watched
	closed bool
}

type watched struct {
	valued bool
	value  datatype.Int64
}

func watch(t *rapid.T, topics *Topics, selector string, limit int) *watcher {
	s, err := newStream[datatype.Int64](topics, selector)
	if err != nil {
		t.Fatal(err)
	}
	return newWatcher(t, s, limit)
}

func watchFallback(t *rapid.T, topics *Topics, limit int) *watcher {
	s, err := newFallback[datatype.Int64](topics)
	if err != nil {
		t.Fatal(err)
	}
	return newWatcher(t, s, limit)
}

func newWatcher(t *rapid.T, s *stream, limit int) *watcher {
	s.mailbox = newMailbox()
	s.mailbox.maxEvents = limit
	if err := s.topics.add(s); err != nil {
		t.Fatal(err)
	}
	return &watcher{T: t, stream: s, topics: map[string]*watched{}}
}

// take takes one event and reports whether there was one.
func (w *watcher) take() bool {
	e := w.mailbox.take()
	if e == nil {
		return false
	}
	if w.closed {
		w.Fatalf("event %v after the last", e.kind)
	}
	if w.closed = e.kind == closeEvent; w.closed {
		return true
	}
	path := e.at.topic.path
	known := w.topics[path]
	switch e.kind {
	case subscribeEvent:
		if known != nil {
			w.Fatalf("%s is subscribed twice", path)
		}
		w.topics[path] = &watched{}
	case unsubscribeEvent:
		if known == nil {
			w.Fatalf("%s is unsubscribed without a subscription", path)
		}
		delete(w.topics, path)
	case valueEvent:
		u, err := readUpdate[datatype.Int64](e)
		switch {
		case err != nil:
			w.Fatal(err)
		case known == nil:
			w.Fatalf("%s has a value without a subscription", path)
		case u.First == known.valued, u.HasOld != known.valued:
			w.Fatalf("%s: %+v after %+v", path, u, known)
		case u.HasOld && u.Old != known.value:
			w.Fatalf("%s: old value is %d, was told %d", path, u.Old, known.value)
		}
		known.valued, known.value = true, u.Value
	default:
		w.Fatalf("event %v", e.kind)
	}
	return true
}

// drain takes all that is left.
func (w *watcher) drain() {
	for w.take() {
	}
	if w.mailbox.events != 0 || w.mailbox.bytes != 0 {
		w.Fatalf("%d events of %d bytes in an empty mailbox", w.mailbox.events, w.mailbox.bytes)
	}
}

var modelPaths = []string{"a", "a/x", "b", "b/x", "c"}

// TestStreamModel lets a server, applications and slow consumers do things at
// random. Whatever was conflated, each stream is told a consistent story that
// ends with the truth, and no mailbox grows beyond what it may hold.
func TestStreamModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const limit = 4
		topics := newCache(func(err error) { t.Fatal(err) }, 100)
		type served struct {
			id     int32
			valued bool
			value  datatype.Int64
		}
		model := map[string]*served{}
		var watchers []*watcher
		nextID, nextValue := int32(0), datatype.Int64(1000)
		path := rapid.SampledFrom(modelPaths)
		pick := func(t *rapid.T, name string) *watcher {
			if len(watchers) == 0 {
				t.Skip("no stream")
			}
			return watchers[rapid.IntRange(0, len(watchers)-1).Draw(t, name)]
		}
		t.Repeat(map[string]func(*rapid.T){
			"announce": func(t *rapid.T) {
				p := path.Draw(t, "path")
				if model[p] != nil {
					t.Skip("subscribed")
				}
				nextID++
				model[p] = &served{id: nextID}
				topics.subscribed(service.Subscription{Topic: nextID, Path: p, Specification: int64Topic})
			},
			"value": func(t *rapid.T) {
				m := model[path.Draw(t, "path")]
				if m == nil {
					t.Skip("not subscribed")
				}
				for range rapid.IntRange(1, 5).Draw(t, "times") {
					nextValue++
					m.valued, m.value = true, nextValue
					topics.topicMessage(m.id, false, nextValue.Bytes())
				}
			},
			"end": func(t *rapid.T) {
				p := path.Draw(t, "path")
				if model[p] == nil {
					t.Skip("not subscribed")
				}
				topics.unsubscribed(service.Unsubscription{Topic: model[p].id, Reason: service.Removed})
				delete(model, p)
			},
			"reset": func(*rapid.T) {
				topics.reset()
				clear(model)
			},
			"add": func(t *rapid.T) {
				if len(watchers) > 5 {
					t.Skip("enough")
				}
				selector := rapid.SampledFrom([]string{"?a//", "?.*/x", "b", "*a.*"}).Draw(t, "selector")
				watchers = append(watchers, watch(t, topics, selector, limit))
			},
			"add fallback": func(t *rapid.T) {
				if len(watchers) > 5 {
					t.Skip("enough")
				}
				watchers = append(watchers, watchFallback(t, topics, limit))
			},
			"remove": func(t *rapid.T) { topics.remove(pick(t, "stream").stream) },
			"take":   func(t *rapid.T) { pick(t, "stream").take() },
			"": func(t *rapid.T) {
				for _, w := range watchers {
					if most := limit + 3*len(modelPaths) + 1; w.mailbox.events > most {
						t.Fatalf("%d events wait, %d may", w.mailbox.events, most)
					}
				}
			},
		})
		for _, w := range watchers {
			w.drain()
			if w.removed.Load() != w.closed {
				t.Errorf("removed %v, told so %v", w.removed.Load(), w.closed)
			}
			if w.closed {
				continue
			}
			for _, p := range modelPaths {
				m, k := model[p], w.topics[p]
				wanted := m != nil
				if w.fallback {
					wanted = m != nil && topics.byPath[p].fallback && w.attached(topics.byPath[p])
				} else if wanted {
					wanted = w.selector.Match(p)
				}
				if wanted != (k != nil) || wanted && *k != (watched{m.valued, m.value}) {
					t.Errorf("%s: told %+v, is %+v", p, k, m)
				}
			}
		}
		end := errors.New("end")
		topics.closed(end)
		for _, w := range watchers {
			if w.drain(); !w.closed {
				t.Error("the end was not told")
			}
		}
	})
}
