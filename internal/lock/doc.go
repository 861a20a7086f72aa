// Package lock assigns session locks (33): names that at most one session holds
// at a time. A lock comes into being by being asked for and is forgotten when
// nobody holds it or waits for it.
//
// A [Table] is a pure state machine with one mutex: it knows no time and starts
// no goroutine. Who waits is told by a function that it gave, called with the
// table locked, so that answers come in the order of what happened. The mutex is
// taken after those of package tree and before those of sessions.
package lock
