package advect

import "fmt"

// A State is a state of a session.
type State byte

// The states of a session. A session in one of the last three stays in it.
const (
	// Connecting is the state until the server has accepted the session.
	Connecting State = iota
	// ConnectedActive is the state of a session that can be used.
	ConnectedActive
	// RecoveringReconnect is the state of a session that has lost its connection
	// and tries to connect again.
	RecoveringReconnect
	// ClosedByClient is the state after [Session.Close], or when opening was cancelled.
	ClosedByClient
	// ClosedByServer is the state after the server has ended the session.
	ClosedByServer
	// ClosedFailed is the state of a session that could not be opened, or whose
	// connection was lost and could not be recovered.
	ClosedFailed
)

var stateNames = [...]string{
	"CONNECTING", "CONNECTED_ACTIVE", "RECOVERING_RECONNECT",
	"CLOSED_BY_CLIENT", "CLOSED_BY_SERVER", "CLOSED_FAILED",
}

// String returns the platform's name of the state, such as "CONNECTED_ACTIVE".
func (s State) String() string {
	if int(s) < len(stateNames) {
		return stateNames[s]
	}
	return fmt.Sprintf("STATE_%d", byte(s))
}

// IsConnected reports whether a session in this state can be used.
func (s State) IsConnected() bool { return s == ConnectedActive }

// IsRecovering reports whether a session in this state is trying to connect again.
func (s State) IsRecovering() bool { return s == RecoveringReconnect }

// IsClosed reports whether a session in this state has ended.
func (s State) IsClosed() bool { return s >= ClosedByClient }

// A StateListener is told that a session has gone from one state to another.
// Listeners of a session are called one at a time, in the order of the changes.
type StateListener func(session *Session, old, new State)

// An ErrorListener is told of a problem that does not end the session, such as
// a message from the server that makes no sense.
type ErrorListener func(session *Session, err error)
