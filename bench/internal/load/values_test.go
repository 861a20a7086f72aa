package load

import (
	"testing"
	"time"

	"advect.dev/bench/peers"
)

func smallRig(t *testing.T, a peers.Adapter, topics int) *Rig {
	t.Helper()
	doc, err := NewPad(100)
	if err != nil {
		t.Fatal(err)
	}
	r := startRig(t, a, doc)
	if err := r.Open(topics, 1); err != nil {
		t.Fatal(err)
	}
	return r
}

func TestPublish(t *testing.T) {
	for _, a := range []peers.Adapter{peers.Floor{}, peers.Advect{}} {
		t.Run(a.Name(), func(t *testing.T) {
			r := smallRig(t, a, 1)
			n, usage, err := r.Publish(200 * time.Millisecond)
			if err != nil {
				t.Fatal(err)
			}
			// Floor answers an echo for each write, Advect each publication.
			answers := int(r.publisher.answers.Load())
			if a.Name() == "advect" && answers != n {
				t.Errorf("%d published, %d answered", n, answers)
			}
			if n == 0 || n%publishBatch != 0 || usage.Server.Total <= 0 {
				t.Errorf("%d published, %v server CPU", n, usage.Server.Total)
			}
			// All of it has been handled: a subscriber gets the next one first.
			if err := r.Connect(1); err != nil {
				t.Fatal(err)
			}
			if res := drive(t, r, Load{For: 100 * time.Millisecond, Rate: 100}); res.Lost() != 0 {
				t.Errorf("%d lost", res.Lost())
			}
		})
	}
}

func TestSubscribeAll(t *testing.T) {
	r := smallRig(t, peers.Advect{}, 1)
	const topics = 3*publishBatch + 7 // the last write is a short one
	if _, err := r.Fill("f", topics); err != nil {
		t.Fatal(err)
	}
	res, err := r.SubscribeAll("f", topics)
	if err != nil {
		t.Fatal(err)
	}
	if res.Delivered != topics || res.Lost()+res.Late+res.Misrouted+res.Corrupt != 0 || res.Server.Total <= 0 {
		t.Errorf("%+v", res)
	}

	if _, err := smallRig(t, peers.Floor{}, 1).Fill("f", 1); err == nil {
		t.Error("floor keeps a value")
	}
}

// TestSubscribeAllMisses has a server that keeps fewer values than it was given.
func TestSubscribeAllMisses(t *testing.T) {
	r := smallRig(t, peers.Advect{}, 1)
	if _, err := r.Fill("f", 90); err != nil {
		t.Fatal(err)
	}
	res, err := r.SubscribeAll("f", 100)
	if err != nil || res.Lost() != 10 {
		t.Errorf("%d lost, %v", res.Lost(), err)
	}
}
