// Package security decides who may connect and what a session may do.
//
// [Store] answers the first question: it holds the principals of the system
// authentication store, their hashed passwords and roles, and what happens to
// anonymous connections (protocol 32 sections 2 and 5.1). [Policy] answers the
// second: it maps roles to global and path permissions (protocol 32 section
// 6). A session keeps the [Grant] that [Policy.Resolve] made of its roles and
// asks it on every call.
//
// The package knows no sessions, transports or topics. It starts no
// goroutine that outlives a call.
//
// # Concurrency
//
// Every exported method may be called concurrently. A Policy and a Grant are
// immutable. A Store publishes immutable snapshots, so readers never wait for
// a writer; password hashing is bounded to one computation per processor, and
// further callers wait in line or until their context ends.
//
// # Secrets
//
// No error, no String method and no decision carries a password or a hash.
package security
