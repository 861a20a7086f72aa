// Package outbox holds what a session has yet to be sent, and what it was sent
// and may ask for again.
//
// A [Message] is encoded once and shared by all its receivers. A [Queue] is one
// session's ring of messages: first those sent, kept for recovery and numbered
// as 03 section 4.1 numbers them, then those pending. A pending topic update
// knows its [Stream], the state of one topic in one session, so that a backlog
// can be conflated: the updates of a topic that the client has not been sent
// collapse into the topic's newest value, and no delta is ever put on a base
// that the client will not hold.
package outbox
