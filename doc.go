// Package advect is a client for servers that speak the Diffusion protocol,
// version 29: Advect's own and compatible ones.
//
// [Open] opens a [Session], [OpenAsync] does so in the background. A session
// is the hub of everything else; its features hang off it, such as
// [Session.Topics].
//
//	session, err := advect.Open(ctx, "ws://localhost:8080",
//		advect.WithPrincipal("client"), advect.WithPassword("password"))
//	if err != nil {
//		return err
//	}
//	defer session.Close()
//
// # Topics
//
// [Values] and [AddStream] read topics as they change, [Topics.Fetch] and
// [Topics.FetchTopics] once, [Notifications] tells which come and go. [Topics.Set]
// and [Topics.AddAndSet] update them, on a condition with [If];
// [NewUpdateStream] updates one again and again, [Topics.ApplyPatch] a part of
// one. Time series are appended to with [Topics.Append] and read with
// [QueryRange]; to streams and fetches they are topics of the type of their
// events. [Topics.AddMissingTopicHandler] adds topics when somebody wants them.
//
// # Other sessions
//
// [SendRequest] asks whoever answers at a path, by [AddRequestHandler];
// [SendRequestToSession] and [SendRequestToFilter] ask sessions themselves, which
// answer by [AddRequestStream]. [Session.Clients] lists other sessions, changes and
// closes them, and [SessionEvents] tells what happens to them. [Session.Security] is
// about principals, roles and permissions, and lets a program decide who may
// connect; [Session.Metrics] and [Session.FetchLog] show how the server is.
//
// # The life of a session
//
// A session is CONNECTED_ACTIVE once it is open. When its connection is lost it
// becomes RECOVERING_RECONNECT and connects again by itself, as often as
// [WithReconnectStrategy] says and for as long as [WithReconnectTimeout]
// allows. If both sides still hold what the other missed, nothing is lost and
// calls under way complete; else calls under way fail with [ErrMessageLoss] and
// every subscribed topic is delivered afresh. Registrations with the session,
// such as state listeners, value streams and request streams, stay in place either way; those
// with the server, which are topic and session listeners, missing topic and
// request handlers and authenticators, are closed by a loss. A session that is closed stays closed: [Session.Err] then
// says why, as a [*CloseReason].
//
// [State] lists the states; [Session.OnStateChange] and [WithStateListener]
// report each change.
//
// # Errors
//
// An opening that fails and a session that ends give a [*CloseReason], whose
// causes errors.Is and errors.As find. [ErrTransient] and [ErrPermanent] tell
// whether opening again can help. A call that the server refuses gives a
// [*ServiceError]. Calls made while a session is not connected fail at once with
// [ErrNotConnected]: nothing is queued for later.
//
// # Concurrency
//
// Everything in this package may be used from many goroutines, save where it
// says otherwise. A context given to a call bounds that call and no more; the
// session outlives the context that it was opened with. State and error
// listeners are called on one goroutine for each session, one at a time, in the
// order of what they report, and with no lock held: a listener may use the
// session, but one that blocks holds up those after it. Functions that answer
// requests run on a goroutine for each request, several at a time.
package advect
