package tree

import "advect.dev/internal/tally"

// counts are what happens in a tree, for its metrics. Topics reach them through
// their specifications, which belong to the tree.
type counts struct {
	updates       tally.Counter // published
	subscriptions tally.Counter // that there are
}

// Updates returns how many updates were published.
func (t *Tree) Updates() int64 { return t.specs.counts.updates.Load() }

// Subscriptions returns how many subscriptions there are, of all clients.
func (t *Tree) Subscriptions() int64 { return t.specs.counts.subscriptions.Load() }

// publishes counts an update.
func (t *Topic) publishes() { t.spec.counts.updates.Add(int64(t.id), 1) }

// subscribes counts n more subscriptions.
func (t *Topic) subscribes(n int) { t.spec.counts.subscriptions.Add(int64(t.id), int64(n)) }
