// Package selector parses and evaluates topic selectors (protocol 13).
//
// A selector is one of four things, told apart by its first character: the
// path of one topic (>a/b, or just a/b), a pattern of one regular expression
// per path segment (?a/.*), a pattern for the whole path (*a/.*), or a set of
// selectors (#>a////>b). Patterns may end in / (descendants of what matches)
// or // (what matches and its descendants).
//
// There are three ways to evaluate one. [Selector.Match] answers for one path.
// [Walk] leads a caller through a tree of path segments to the topics that a
// selector selects, skipping the branches that cannot contain any. [Index]
// holds the standing selections of many sessions and finds those that select
// a new topic.
//
// Paths are in canonical form everywhere (package topic). The package does no
// I/O and starts no goroutine of its own; while a pattern that needs
// backtracking is evaluated, the engine for it runs a clock goroutine that
// ends by itself about a second later.
package selector
