// Package observe makes what a server does visible: its metrics and the latest
// lines of its log.
//
// A [Metric] is declared with its name, type, unit and meaning, and with the
// function that reads it. A [Registry] has them all. It reads them only when
// somebody asks, and only those that are asked for: [Registry.Collections] for
// clients (34 section 2) and [Registry.Handler] for Prometheus give the same
// content. Hot paths count with package tally and never wait for a reader.
//
// [Collectors] are metrics that users define, of sessions by filter and of topics
// by selector (34 section 1). A [Log] keeps the latest lines (34 section 4).
package observe
