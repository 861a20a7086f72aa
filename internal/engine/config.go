package engine

import (
	"log/slog"
	"net/netip"
	"time"

	"advect.dev/internal/observe"
	"advect.dev/internal/outbox"
	"advect.dev/internal/security"
)

// Config is what an engine needs. All fields are required but those that say
// otherwise.
type Config struct {
	Principals *security.Store
	Policies   *security.PolicyStore
	Log        *slog.Logger
	Entries    *observe.Log // what of the log clients may read; nil: nothing

	// BeforeSystem and AfterSystem are authenticators of the server, between those
	// of clients and the principal store.
	BeforeSystem, AfterSystem []security.Link
	Throttle                  bool // slows down those who guess passwords

	ServerName       string
	PingPeriod       time.Duration // 0: no system pings
	KeepAlive        time.Duration // most that a session outlives its connection; 0: no reconnection
	HandshakeTimeout time.Duration // bounds the authentication of a connection
	RequestTimeout   time.Duration // bounds the wait for a client's answer; 0: 10 seconds
	Queue            outbox.Limits
	MaxMessageSize   int           // bytes, inbound
	MaxResultSize    int           // bytes of one fetch response
	MaxMemory        int           // bytes of the process from which on sessions have to do with less; 0: no limit
	MaxSessions      int           // 0: no limit
	MaxPerAddress    int           // sessions from one address; 0: no limit
	MessageRate      int           // messages a second from one session; 0: no limit
	RemovalInterval  time.Duration // between evaluations of removal policies; 0: a few seconds
}

// TransportKind is how a session is connected.
type TransportKind string

// The transports, as the session property $Transport names them.
const (
	WebSocket   TransportKind = "WEBSOCKET"
	HTTPPolling TransportKind = "HTTP_LONG_POLL"
)

// A Peer is the other end of a connection.
type Peer struct {
	Addr      netip.Addr
	Transport TransportKind
	Connector string // name of the listener
	// Certificate is what the client has proved by TLS.
	Certificate security.Certificate
}

// A Conn is one transport connection of a session. The engine calls its methods
// from any goroutine, also with the session locked, so they must return at once
// and must not call the session.
type Conn interface {
	// Wake says that Take has something. Calls before the connection response
	// has been written must be remembered.
	Wake()
	// Finish says that the session is over: Take gives what is left and then
	// end, which the connection delivers within a time of its own and closes.
	Finish()
	// Close drops the connection. It is idempotent, and a no-op after Take has
	// returned end.
	Close()
}

// CloseReason is why the server considers a session ended (03 section 3).
type CloseReason int8

// The close reasons.
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
	ServerClosing            CloseReason = 10
	ClosedByController       CloseReason = 11
	Expired                  CloseReason = 13
	Revoked                  CloseReason = 14
)

var closeReasons = map[CloseReason]string{
	ConnectionLost: "CONNECTION_LOST", IOException: "IO_EXCEPTION", ClientUnresponsive: "CLIENT_UNRESPONSIVE",
	MessageQueueLimitReached: "MESSAGE_QUEUE_LIMIT_REACHED", ClosedByClient: "CLOSED_BY_CLIENT",
	MessageTooLarge: "MESSAGE_TOO_LARGE", InternalError: "INTERNAL_ERROR",
	InvalidInboundMessage: "INVALID_INBOUND_MESSAGE", Aborted: "ABORTED", LostMessages: "LOST_MESSAGES",
	ServerClosing: "SERVER_CLOSING", ClosedByController: "CLOSED_BY_CONTROLLER",
	Expired: "EXPIRED", Revoked: "REVOKED",
}

// String returns the platform's name of the reason.
func (r CloseReason) String() string { return closeReasons[r] }
