package service

// Pings (02 section 6).
var (
	// SystemPing, from the server, is what a client's activity monitor waits for.
	SystemPing = declare[Empty, Empty](55, "SYSTEM_PING")
	// UserPing measures a round trip, in either direction.
	UserPing = declare[Empty, Empty](56, "USER_PING")
)
