// Package transport is the server's side of the two transports: WebSocket and
// HTTP long polling, on the same port and path (01 sections 7 and 8). It turns
// bytes into messages for a session of package engine and a session's messages
// into bytes, and knows nothing of topics.
//
// A WebSocket connection has one goroutine, which reads. Writing needs none
// while there is nothing to write: whoever queues the first message starts a
// flush, which writes what is queued, many messages in one system call, and
// ends. A polling session has no goroutine of its own; one sweeps all of them
// for clients that no longer poll.
package transport
