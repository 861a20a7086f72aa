// Package security decides who may connect and what a session may do.
//
// [Store] answers the first question: it holds the principals of the system
// authentication store, their hashed passwords and roles, and what happens to
// anonymous connections (protocol 32 sections 2 and 5.1). It is one
// [Authenticator]; a server asks a [Chain] of them, behind a [Throttle] that
// slows down those who guess.
//
// [PolicyStore] answers the second: it is the security store, which maps
// roles to global and path permissions (protocol 32 section 5.2), and makes a
// [Policy] of each of its contents. A session keeps the [Grant] that
// [Policy.Resolve] made of its roles and asks it on every call. When
// [PolicyStore.Watch] tells of another Policy, sessions resolve again.
// [Policy.ExplainPath] tells why a grant answers as it does.
//
// Both stores are changed by scripts, all of one or nothing, and kept in the
// data directory as such scripts, with a checksum. A file that is damaged or
// was broken by hand stops the start.
//
// The package knows no sessions, transports or topics. It starts no
// goroutine that outlives a call.
//
// # Concurrency
//
// Every exported method may be called concurrently. A Policy and a Grant are
// immutable, and a Grant is asked without a lock. The stores publish immutable
// snapshots, so readers never wait for a writer; password hashing is bounded
// to one computation per processor but one, and further callers wait in line or until
// their context ends.
//
// # Secrets
//
// No error, no String method and no decision carries a password or a hash.
package security
