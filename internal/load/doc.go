// Package load puts a load on a server and measures what it does with it. [Run]
// plays a [Scenario]: it opens sessions of the SDK, publishes to topics of its own
// below bench/, and accounts for every single value that each session was to get. A
// [Report] holds the results of one or more scenarios, and writes itself as text,
// JSON or HTML.
//
// # What makes the figures honest
//
// One process publishes and subscribes, so one clock times both ends. A value says
// when it was due: at a rate, its latency counts from the moment that the schedule
// had for it, however late it was sent. Values are numbered by topic, and each
// session remembers which it has seen, so that what is missing, what came twice and
// what came late are counted and not guessed. What changes with an update depends on
// topic and number: a value that belongs elsewhere, or a delta on a wrong base, is
// noticed.
//
// # Concurrency
//
// A session's values are accounted for on its own goroutine, that of its callbacks.
// Counters and histograms are shared, and read by differences of snapshots.
package load
