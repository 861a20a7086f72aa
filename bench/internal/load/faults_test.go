package load

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"advect.dev/bench/peers"
)

func TestStall(t *testing.T) {
	doc, err := NewNoise(4096)
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t, peers.Advect{}, doc)
	r.SlowLinks = true
	if err := r.Open(1, 1); err != nil {
		t.Fatal(err)
	}
	if err := r.Connect(10); err != nil {
		t.Fatal(err)
	}
	if err := r.Stall(2); err != nil {
		t.Fatal(err)
	}
	res := drive(t, r, Load{For: 500 * time.Millisecond, Rate: 100})
	if res.Expected != res.Published*8 || res.Lost() != 0 {
		t.Errorf("%d expected of %d, %d lost", res.Expected, res.Published, res.Lost())
	}
	if n := r.loop.stalled.Delivered; n != 0 {
		t.Errorf("who stalled was delivered %d messages", n)
	}
	s, err := r.Resume()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	if s.Closed != 0 || s.Current != 2 || s.Delivered > res.Published*2 || s.Late+s.Misrouted+s.Corrupt != 0 {
		t.Errorf("%+v after %d messages", s, res.Published)
	}
}

func TestReturn(t *testing.T) {
	for _, a := range []peers.Adapter{peers.Floor{}, peers.Advect{}} {
		t.Run(a.Name(), func(t *testing.T) {
			out := cutAndReturn(t, a)
			recovers := a.Name() == "advect"
			want := int64(0)
			if recovers {
				want = 60
			}
			if out.Missed != 60 || out.Restored != want || out.Resumed != recovers || out.Late != 0 || out.Retries != 0 {
				t.Errorf("%+v", out)
			}
		})
	}
}

// cutAndReturn cuts 20 sessions on 5 topics, each of which gets three messages
// meanwhile, and lets them come back. All must be as before then.
func cutAndReturn(t *testing.T, a peers.Adapter) Outage {
	t.Helper()
	r := smallRig(t, a, 5)
	if err := r.Connect(20); err != nil {
		t.Fatal(err)
	}
	if res := drive(t, r, Load{For: 100 * time.Millisecond, Rate: 500}); res.Lost() != 0 {
		t.Errorf("%d lost before", res.Lost())
	}
	r.Cut()
	if err := r.Send(3); err != nil {
		t.Fatal(err)
	}
	out, err := r.Return(3)
	if err != nil {
		t.Fatal(err)
	}
	if res := drive(t, r, Load{For: 100 * time.Millisecond, Rate: 500}); res.Lost() != 0 {
		t.Errorf("%d lost after", res.Lost())
	}
	return out
}

// faulty is Advect with subscribers that do as spoil says with what they receive
// after the cut.
type faulty struct {
	peers.Advect
	spoil func(id int, msg []byte) (drop bool, err error)
}

func (f faulty) Subscriber(id int, topics []string) peers.Session {
	s := f.Advect.Subscriber(id, topics).(peers.Resumable)
	return &faultySession{Resumable: s, id: id, spoil: f.spoil}
}

type faultySession struct {
	peers.Resumable
	id    int
	cut   bool
	spoil func(id int, msg []byte) (drop bool, err error)
}

func (s *faultySession) Resume() peers.Endpoint {
	s.cut = true
	return s.Resumable.Resume()
}

func (s *faultySession) Receive(msg []byte, link peers.Link) error {
	if s.cut {
		if drop, err := s.spoil(s.id, msg); drop || err != nil {
			return err
		}
	}
	return s.Resumable.Receive(msg, link)
}

// TestReturnSeesLoss drops one message of the outage.
func TestReturnSeesLoss(t *testing.T) {
	received := 0
	out := cutAndReturn(t, faulty{peers.Advect{ValuesOnly: true}, func(id int, _ []byte) (bool, error) {
		if id == 7 {
			received++
		}
		return id == 7 && received == 3, nil // after the connection's and a message
	}})
	if out.Restored != 59 {
		t.Errorf("%+v", out)
	}
}

// TestReturnTriesAgain has a session whose connections fail twice.
func TestReturnTriesAgain(t *testing.T) {
	var failed atomic.Int32
	out := cutAndReturn(t, faulty{peers.Advect{}, func(id int, _ []byte) (bool, error) {
		if id == 3 && failed.Load() < 2 {
			failed.Add(1)
			return false, errors.New("refused")
		}
		return false, nil
	}})
	if out.Retries != 2 || out.Restored != 60 || out.Back < 2*returnPause {
		t.Errorf("%+v", out)
	}
}

func TestBehindGivesUp(t *testing.T) {
	r := smallRig(t, lossy{}, 1) // every 50th message stays under way for good
	if err := r.Connect(1); err != nil {
		t.Fatal(err)
	}
	res, err := r.Drive(Load{For: 10 * time.Second, Rate: 1000, Behind: 5 * time.Millisecond})
	if err != nil || !res.GaveUp || res.Publish > 5*time.Second {
		t.Errorf("gave up: %v after %v, %v", res.GaveUp, res.Publish, err)
	}
}

func TestNoiseDiffers(t *testing.T) {
	d, err := NewNoise(4096)
	if err != nil {
		t.Fatal(err)
	}
	a, b := d.Append(nil, 0, 1, 1), d.Append(nil, 0, 2, 1)
	same := 0
	for i := range a {
		if a[i] == b[i] {
			same++
		}
	}
	if same > len(a)/16 {
		t.Errorf("%d of %d bytes are the same", same, len(a))
	}
	if !d.Equal(a, 0, 1, 1) || d.Equal(a, 0, 2, 1) {
		t.Error("a payload does not equal itself, or another one")
	}
}

func TestCheckSeesTheServerEnd(t *testing.T) {
	r := smallRig(t, peers.Floor{}, 1)
	if err := r.Connect(1); err != nil {
		t.Fatal(err)
	}
	if err := r.Check(); err != nil {
		t.Error(err)
	}
	r.child.Stop()
	if err := r.Check(); err == nil {
		t.Error("nothing is wrong with a server that has ended")
	}
}
