package service

import "advect.dev/internal/wire"

// CloseReason is why a session ended (31 section 4).
type CloseReason byte

// The close reasons. 10 is none: it stood for a server that closes, and clients
// drop events that have it.
const (
	ConnectionLost           CloseReason = 0
	IOException              CloseReason = 1
	ClientUnresponsive       CloseReason = 2
	MessageQueueLimitReached CloseReason = 3
	ClosedByClient           CloseReason = 4
	MessageTooLarge          CloseReason = 5
	InternalError            CloseReason = 6
	InvalidInboundMessage    CloseReason = 7
	Aborted                  CloseReason = 8
	LostMessages             CloseReason = 9
	ClosedByController       CloseReason = 11
	FailedOver               CloseReason = 12
	Expired                  CloseReason = 13
	Revoked                  CloseReason = 14
	SessionTakenOver         CloseReason = 15
)

var closeReasons = [...]string{
	ConnectionLost: "CONNECTION_LOST", IOException: "IO_EXCEPTION", ClientUnresponsive: "CLIENT_UNRESPONSIVE",
	MessageQueueLimitReached: "MESSAGE_QUEUE_LIMIT_REACHED", ClosedByClient: "CLOSED_BY_CLIENT",
	MessageTooLarge: "MESSAGE_TOO_LARGE", InternalError: "INTERNAL_ERROR",
	InvalidInboundMessage: "INVALID_INBOUND_MESSAGE", Aborted: "ABORTED", LostMessages: "LOST_MESSAGES",
	ClosedByController: "CLOSED_BY_CONTROLLER", FailedOver: "FAILED_OVER", Expired: "EXPIRED", Revoked: "REVOKED",
	SessionTakenOver: "SESSION_TAKEN_OVER",
}

// String returns the platform's name of the reason.
func (c CloseReason) String() string { return enumName(c, closeReasons[:]...) }

func readCloseReason(r *wire.Reader) CloseReason {
	c := CloseReason(r.Byte())
	if int(c) >= len(closeReasons) || closeReasons[c] == "" {
		r.Fail("unknown close reason %d", byte(c))
	}
	return c
}
