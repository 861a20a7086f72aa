// Package filter parses and evaluates session filters: boolean expressions over
// the properties of a session (31 section 8), such as
//
//	$Principal is 'alice' and not (Tier eq "free" or hasRoles ["trader" "admin"])
//
// [Parse] returns a [Filter], whose [Filter.Match] asks a session, through
// [Properties], for the properties it needs. Nothing is allocated in doing so,
// but for roles written with escapes and by the regular expression of a matches
// clause.
//
// A caller that keeps an index of sessions plans from the parsed form:
// [Filter.Candidates] gives property values of which every matching session has
// at least one, and [Filter.Expr] the whole tree. The tree is normalised, so
// filters that differ only in white space, letter case of keywords, quoting or
// redundant parentheses have equal [Filter.String]s, which can be the key under
// which to share a result.
//
// Regular expressions are those of the standard library, in the bounds of a
// linear time that does not depend on who wrote the filter, whereas the
// platform's are Java's. What only Java accepts is refused: look-around, back
// references, possessive and atomic groups, \h, \R. So is what both accept with
// different meanings: a class inside a class, &&, and octal \0 escapes.
// Differences that remain: \s does not match a vertical tab, \v matches nothing
// else, . matches every character but a line feed, and (?U) makes quantifiers
// lazy, which has no effect here.
//
// The package is pure. A Filter is immutable and safe for concurrent use.
package filter
