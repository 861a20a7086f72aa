package engine

import "testing"

// TestDelegateCountsOnceAnswered: who has seen the answer to a registration, and asks
// at once, finds the handler.
func TestDelegateCountsOnceAnswered(t *testing.T) {
	var d delegates
	found := make(chan bool)
	for range 1000 {
		one := &delegate{subject: "a"}
		d.add(one, func() {
			go func() { found <- d.has("a") }()
		})
		if !<-found {
			t.Fatal("answered, but not registered")
		}
		d.remove(one)
	}
}
