// Package tree owns the topics: their values, who is subscribed to them, and
// the selections that topics added later are held against. It knows sessions
// only as a [Sink] behind a [Client], and transports not at all.
//
// An update is encoded once, and diffed once against the value before it; every
// subscriber's queue gets a pointer to the same bytes. Each topic serialises its
// own updates; updates to different topics run in parallel.
//
// Locks are taken in this order, and none is held while calling out except to a
// Sink, which must not block or call back:
//
//	Client.mu > Topic.mu > the session's own
//	Tree.structure and Tree.selections are leaves, held for a few instructions
package tree
