// Package engine keeps the sessions: it admits and reconnects them, takes their
// messages one after another, calls the handler of each service with the
// permissions it needs checked, and queues what each session is to be sent.
//
// A transport gives the engine a [Conn] for each connection, passes messages in
// with [Session.Receive], takes messages out with [Session.Take] when the Conn
// is woken, and reports a loss with [Session.Lost]. The engine starts no
// goroutine per session: one clock sweeps all sessions for pings, and only a
// session without connection has a timer. What happens to sessions is told to
// session listeners by one goroutine, which runs while there is something to tell.
//
// Locks are taken in this order: Session.in, then those of package tree, then
// that of package lock, then Session.mu. Nothing is called with Session.mu held but
// the queue and [Conn.Wake]. The index of sessions and the queue of what happened
// to them have leaf locks.
package engine
