package outbox

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// source is a topic of the model: its newest version is its value.
type source struct {
	id      byte
	version uint64
	retains bool
}

func (s *source) Path() string { return string(rune('a' + s.id)) }

func (s *source) BackPressure() *Message { return update('e', s.id, 0) }

func (s *source) Newest() (*Message, uint64) {
	if !s.retains || s.version == 0 {
		return nil, 0
	}
	return update('v', s.id, s.version), s.version
}

// change is an update of the model.
type change struct {
	version      uint64
	value, delta *Message
}

func (c change) Version() uint64 { return c.version }
func (c change) Value() *Message { return c.value }
func (c change) Delta() *Message { return c.delta }

// update returns a message that a model client understands: a value ('v'), a
// delta ('d'), the start ('s') or end ('e') of a stream, or something else ('x').
func update(kind, id byte, version uint64) *Message {
	return NewMessage(16, func(b []byte) []byte {
		return binary.BigEndian.AppendUint64(append(b, kind, id), version)
	})
}

// client applies messages and complains of what no client could use.
type client struct {
	held     map[byte]uint64 // version per open stream
	received uint64
	others   uint64
}

func (c *client) apply(m *Message) error {
	b := m.Bytes()
	kind, id, version := b[0], b[1], binary.BigEndian.Uint64(b[2:])
	c.received++
	held, open := c.held[id]
	switch kind {
	case 's':
		if open {
			return fmt.Errorf("stream %d started twice", id)
		}
		c.held[id] = 0
	case 'e':
		if !open {
			return fmt.Errorf("stream %d ended twice", id)
		}
		delete(c.held, id)
	case 'v':
		if !open {
			return fmt.Errorf("value of closed stream %d", id)
		}
		if version < held {
			return fmt.Errorf("stream %d went back from %d to %d", id, held, version)
		}
		c.held[id] = version
	case 'd':
		if !open || version != held+1 {
			return fmt.Errorf("delta to version %d of stream %d on version %d (open %v)", version, id, held, open)
		}
		c.held[id] = version
	case 'x':
		if version != c.others+1 {
			return fmt.Errorf("other message %d after %d", version, c.others)
		}
		c.others = version
	}
	return nil
}

// TestClientsConverge drives a queue with random updates, streams that come and
// go, backlogs, and reconnections, and checks every message a client gets
// against what it holds. At the end it holds every topic's newest version.
func TestClientsConverge(t *testing.T) {
	for seed := range uint64(1000) {
		if err := converge(seed); err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
	}
}

func converge(seed uint64) error {
	rnd := rand.New(rand.NewPCG(seed, 1))
	q := NewQueue(&Limits{
		Messages: 16 + rnd.IntN(48), Bytes: 1 << (9 + rnd.IntN(4)),
		RecoveryMessages: rnd.IntN(40), RecoveryBytes: 1 << 12,
	})
	mixed := rnd.IntN(2) == 0 // priorities
	policies := []Conflation{Conflate, Conflate, Conflate, Always, Unsubscribe, Never}[:3+rnd.IntN(4)]
	topics := make([]*source, 1+rnd.IntN(8))
	streams := make([]*Stream, len(topics))
	for i := range topics {
		topics[i] = &source{id: byte(i), retains: rnd.IntN(5) > 0}
	}
	c := &client{held: map[byte]uint64{}}
	var others uint64
	ok := true
	for range 3000 {
		i := rnd.IntN(len(topics))
		topic, stream := topics[i], streams[i]
		switch op := rnd.IntN(20); {
		case op < 10: // the topic changes
			topic.version++
			if stream != nil {
				delta := update('d', topic.id, topic.version)
				if !topic.retains || rnd.IntN(4) == 0 {
					delta = nil
				}
				ok = q.PushUpdate(stream, change{topic.version, update('v', topic.id, topic.version), delta})
			}
		case op < 11 && stream == nil:
			s := &Stream{Source: topic, Held: topic.version, Conflation: policies[rnd.IntN(len(policies))], Tidy: rnd.IntN(2) == 0}
			if mixed {
				s.Priority = Priority(rnd.IntN(3) - 1)
			}
			streams[i] = s
			var values []*Message
			if value, _ := topic.Newest(); value != nil {
				values = append(values, value)
			}
			ok = q.Start(s, update('s', topic.id, 0), values...)
		case op < 11:
			streams[i] = nil
			ok = q.End(stream, update('e', topic.id, 0))
		case op < 12:
			others++
			ok = q.Push(update('x', 0, others))
		case op < 13: // the client reconnects and lacks a few messages
			if !q.Rewind(c.received) {
				return fmt.Errorf("client has %d, the queue lost what follows", c.received)
			}
		case op < 19:
			for _, m := range q.Take(nil, rnd.IntN(200)) {
				if err := c.apply(m); err != nil {
					return err
				}
			}
		default: // memory is short
			q.Squeeze(Limits{Messages: 1 + rnd.IntN(16), Bytes: 1 << (5 + rnd.IntN(4)), RecoveryMessages: 4, RecoveryBytes: 64})
		}
		for _, s := range q.Pressed() {
			if s.Conflation != Unsubscribe {
				return fmt.Errorf("stream %s was ended, its policy is %d", s.Source.Path(), s.Conflation)
			}
			if i := slices.Index(streams, s); i >= 0 {
				streams[i] = nil
			}
		}
		if !ok {
			return nil // over its limits after conflation: the session ends
		}
	}
	for q.Pending() > 0 {
		for _, m := range q.Take(nil, 1<<20) {
			if err := c.apply(m); err != nil {
				return err
			}
		}
	}
	for i, s := range streams {
		if held := c.held[byte(i)]; s != nil && held != topics[i].version && (held != 0 || topics[i].retains) {
			return fmt.Errorf("client holds version %d of topic %d, newest is %d", held, i, topics[i].version)
		}
	}
	if c.received != q.Sent() || c.others != others {
		return fmt.Errorf("client has %d messages of %d, %d others of %d", c.received, q.Sent(), c.others, others)
	}
	return nil
}

// TestLoss checks that a client which lost messages gets exactly them, and that
// one which lost more than is kept is told so.
func TestLoss(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100, RecoveryMessages: 10})
	for i := range uint64(30) {
		q.Push(update('x', 0, i+1))
	}
	q.Take(nil, 1<<20)
	if q.Sent() != 30 {
		t.Fatalf("sent %d messages, want 30", q.Sent())
	}
	for _, n := range []uint64{19, 31} {
		if q.Rewind(n) {
			t.Errorf("Rewind(%d) worked where 21 to 30 are kept", n)
		}
	}
	if !q.Rewind(20) {
		t.Fatal("Rewind(20) failed where 21 to 30 are kept")
	}
	got := q.Take(nil, 1<<20)
	if len(got) != 10 || binary.BigEndian.Uint64(got[0].Bytes()[2:]) != 21 {
		t.Errorf("got %d messages from %x, want 10 from number 21", len(got), got[0].Bytes())
	}
}

func TestProbe(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100, RecoveryMessages: 100})
	q.Push(update('x', 0, 1))
	q.PushProbe(update('x', 0, 2))
	q.Push(update('x', 0, 3))
	q.Take(nil, 1<<20)
	q.ProbeAnswered()
	if q.Rewind(1) {
		t.Error("message 2 is still kept although its answer proves that it arrived")
	}
	if !q.Rewind(2) {
		t.Error("message 3 is not kept although nothing proves that it arrived")
	}
}

// TestUnsent checks that what is still to be sent is seen before it is taken.
func TestUnsent(t *testing.T) {
	q := NewQueue(&Limits{Messages: 100, RecoveryMessages: 100})
	for n := range uint64(5) {
		q.Push(update('x', 0, n+1))
		if n == 2 {
			q.Take(nil, 1<<20)
		}
	}
	for _, rewind := range []bool{false, true} {
		if rewind && !q.Rewind(1) {
			t.Fatal("Rewind(1)")
		}
		unsent := slices.Collect(q.Unsent)
		if want := map[bool]int{false: 2, true: 4}[rewind]; len(unsent) != want {
			t.Errorf("rewound %v: %d messages are unsent, want %d", rewind, len(unsent), want)
		}
		if rewind {
			if got := q.Take(nil, 1<<20); !slices.Equal(got, unsent) {
				t.Error("other messages are taken")
			}
		}
	}
}

func TestHasRoom(t *testing.T) {
	q := NewQueue(&Limits{Messages: 8, Bytes: 4000})
	if !q.HasRoom(3000) || q.HasRoom(3001) {
		t.Error("an empty queue of 4000 bytes has room for 3000")
	}
	for i := range uint64(6) {
		if !q.HasRoom(100) {
			t.Errorf("no room with %d of 8 messages", i)
		}
		q.Push(update('x', 0, i))
	}
	if q.HasRoom(100) {
		t.Error("room with 6 of 8 messages")
	}
	q.Take(nil, 1<<20)
	if !q.HasRoom(100) {
		t.Error("no room after all was sent")
	}
	if none := NewQueue(&Limits{}); !none.HasRoom(1 << 30) {
		t.Error("no room without limits")
	}
}

// TestLimit checks the policy of a full queue: what cannot be merged ends it.
func TestLimit(t *testing.T) {
	topic := &source{retains: true}
	for policy, fitting := range map[Conflation]bool{Conflate: true, Always: true, Unsubscribe: true, Never: false} {
		q := NewQueue(&Limits{Messages: 8})
		s := &Stream{Source: topic, Conflation: policy}
		topic.version = 0
		fits := true
		for range 100 {
			topic.version++
			fits = fits && q.PushUpdate(s, change{topic.version, update('v', 0, topic.version), nil})
		}
		if fits != fitting {
			t.Errorf("policy %d: 100 updates fit in 8 messages: %v", policy, fits)
		}
		if pressed := len(q.Pressed()); pressed != 0 != (policy == Unsubscribe) {
			t.Errorf("policy %d: back pressure ended %d streams", policy, pressed)
		}
	}
}

// TestBackPressureEnds checks that back pressure ends at half of a limit also where
// the other limit is absent.
func TestBackPressureEnds(t *testing.T) {
	for _, limits := range []Limits{{Messages: 8}, {Bytes: 8 * update('x', 0, 0).Len()}, {Messages: 8, Bytes: 1 << 20}} {
		q := NewQueue(&limits)
		topic := &source{retains: true}
		s := &Stream{Source: topic, Conflation: Conflate}
		push := func() {
			topic.version++
			q.PushUpdate(s, change{topic.version, update('v', 0, topic.version), nil})
		}
		for range 4 {
			q.Push(update('x', 0, 0))
		}
		for range 5 {
			push()
		}
		if n := q.Pending(); n != 5 {
			t.Fatalf("%+v: %d messages wait under back pressure, want 4 and an update", limits, n)
		}
		q.Take(nil, 2*update('x', 0, 0).Len())
		push()
		if n := q.Pending(); n != 4 {
			t.Errorf("%+v: %d messages wait after back pressure, want 2 and two updates", limits, n)
		}
	}
}

// TestConflationOff checks that a queue without conflation sends every update, and
// is full when it exceeds its limits, whatever the policies of its streams.
func TestConflationOff(t *testing.T) {
	for _, policy := range []Conflation{Never, Conflate, Always, Unsubscribe} {
		q := NewQueue(&Limits{Messages: 5})
		q.SetConflation(false)
		q.Reset() // keeps it
		src := &source{retains: true}
		s := &Stream{Source: src, Conflation: policy}
		q.Start(s, update('s', 0, 0))
		push := func() bool {
			src.version++
			return q.PushUpdate(s, change{src.version, update('v', 0, src.version), update('d', 0, src.version)})
		}
		for range 5 {
			if !push() {
				t.Fatalf("policy %v: full after %d updates", policy, src.version)
			}
		}
		if push() || q.HasPressed() {
			t.Errorf("policy %v: not full, or pressed", policy)
		}
		if taken := q.Take(nil, 1<<20); len(taken) != 7 {
			t.Errorf("policy %v: %d messages, want 7", policy, len(taken))
		}
		q.SetConflation(true)
		for push() {
			if src.version > 100 {
				break
			}
		}
		if full := src.version < 100; full != (policy == Never) {
			t.Errorf("policy %v, conflating again: full %v", policy, full)
		}
	}
}

func TestIdleQueueIsSmall(t *testing.T) {
	q := NewQueue(&Limits{Messages: 10000, RecoveryMessages: 1024})
	for i := range uint64(5000) {
		q.Push(update('x', 0, i))
	}
	q.Take(nil, 1<<30)
	q.PushProbe(update('x', 0, 0))
	q.Take(nil, 1<<30)
	q.ProbeAnswered()
	if n := q.sent.capacity() + q.normal.capacity(); n > 0 {
		t.Errorf("an idle queue holds rings of %d entries", n)
	}
}

// What is touched when something is pushed onto an empty queue is to be in three
// cache lines with what the session has before it. Package engine has a test of those.
func TestPushTouchesLittle(t *testing.T) {
	if n := unsafe.Offsetof(Queue{}.sent); n > 112 {
		t.Errorf("a push touches %d bytes of a queue, want at most 112", n)
	}
}

func BenchmarkPushTake(b *testing.B) {
	q := NewQueue(&Limits{Messages: 10000, Bytes: 1 << 26, RecoveryMessages: 1024, RecoveryBytes: 1 << 24})
	topic := &source{retains: true}
	s := &Stream{Source: topic, Conflation: Conflate}
	m := update('v', 0, 1)
	u := &change{value: m, delta: m}
	var dst []*Message
	b.ReportAllocs()
	for i := range b.N {
		u.version = uint64(i + 1)
		q.PushUpdate(s, u)
		dst = q.Take(dst[:0], 1<<16)
	}
}
