package tree

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// TestHoldings holds the subscriptions and the scopes of a client, few and many,
// against maps.
func TestHoldings(t *testing.T) {
	topics := make([]*Topic, 4*few)
	for i := range topics {
		topics[i] = &Topic{path: fmt.Sprint(i)}
	}
	rapid.Check(t, func(t *rapid.T) {
		var subs subscriptions
		var all scopes
		bySub, byName := map[*Topic]*Subscription{}, map[string]int{}
		draw := func(t *rapid.T) *Topic { return rapid.SampledFrom(topics).Draw(t, "topic") }
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				n := draw(t)
				if bySub[n] != nil {
					return
				}
				s := &Subscription{Topic: n}
				subs.add(s)
				bySub[n] = s
				all.add(n.path).live = len(byName) + 1
				byName[n.path] = len(byName) + 1
			},
			"remove": func(t *rapid.T) {
				n := draw(t)
				subs.remove(n)
				delete(bySub, n)
				all.remove(n.path)
				delete(byName, n.path)
			},
			"remove some": func(t *rapid.T) {
				for _, s := range slices.Backward(subs.list) {
					if rapid.Bool().Draw(t, "this one") {
						subs.remove(s.Topic)
						delete(bySub, s.Topic)
						all.remove(s.Topic.path)
						delete(byName, s.Topic.path)
					}
				}
			},
			"": func(t *rapid.T) {
				listed := map[*Topic]*Subscription{}
				for _, s := range subs.list {
					listed[s.Topic] = s
				}
				named := map[string]int{}
				for _, s := range all.list {
					named[s.name] = s.live
				}
				if !maps.Equal(listed, bySub) || subs.len() != len(bySub) || !maps.Equal(named, byName) || len(all.list) != len(byName) {
					t.Fatalf("subscriptions %v, want %v; scopes %v, want %v", listed, bySub, named, byName)
				}
				for _, n := range topics {
					s := all.get(n.path)
					if subs.get(n) != bySub[n] || (s != nil) != (byName[n.path] != 0) || s != nil && s.live != byName[n.path] {
						t.Fatalf("for %s: %v and %v, want %v and %v", n.path, subs.get(n), s, bySub[n], byName[n.path])
					}
				}
				if len(bySub) == 0 && (subs.list != nil || subs.places != nil || all.list != nil || all.places != nil) {
					t.Fatal("without any, memory is kept")
				}
			},
		})
	})
}
