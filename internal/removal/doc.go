// Package removal decides when topics are to be removed automatically: it parses
// the REMOVAL topic property (12 section 12.6), such as
//
//	when no updates for 45m after 3d or this session closes remove '?rooms/lobby//'
//
// into a [Policy], and a [Scheduler] watches the topics that have one. Whoever
// owns the topics adds each as a [Subject] and keeps the [Watch] it gets for it;
// when the policy is fulfilled, the Scheduler calls Config.Remove.
//
// # Cost
//
// The Scheduler has one goroutine, that of [Scheduler.Run], and one ticker. It
// evaluates in rounds, Config.Interval apart. A round touches only the topics
// whose policies may have become true since the one before:
//
//   - those for which an instant has come, kept in a heap: a date, or the end of
//     a period that at the earliest may by then have passed;
//   - those whose number of subscriptions has fallen below their limit, which
//     [Watch.Subscriptions] tells;
//   - those whose creator's session has closed, which [Scheduler.SessionClosed] tells;
//   - those for which a session filter has begun or ceased to match any session.
//     Each distinct filter is evaluated at most once a round for all topics.
//
// Updates tell the Scheduler nothing. When a period without updates may have
// passed, it asks Subject.LastUpdate, and sets the topic aside until that much
// later.
//
// # Concurrency
//
// Everything about evaluation is owned by the goroutine of Run, which makes all
// calls of [Sessions], [Subject] and Config.Remove, one after another, with no
// lock held. All methods of Scheduler and Watch may be called from any
// goroutine and with any lock held, since they take but a leaf lock for a few
// instructions; only calls of one Watch's Subscriptions must not overlap.
//
// # Time
//
// Periods are measured with the monotonic clock, dates with the wall clock. A
// date is looked at when it should have come by the wall clock as it was when
// the topic was last evaluated.
//
// There is one server, so local conditions mean the same as others.
package removal
