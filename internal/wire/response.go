package wire

import (
	"encoding/binary"
	"fmt"
	"time"
)

// ResponseCode is the outcome of a connection request (01 section 6.2).
type ResponseCode byte

// The response codes that version 29 clients know.
const (
	OK                     ResponseCode = 100
	Downgrade              ResponseCode = 102
	Reconnected            ResponseCode = 105
	ReconnectedWithLoss    ResponseCode = 106
	LicenceExceeded        ResponseCode = 113
	ReconnectUnsupported   ResponseCode = 114
	ConnectionProtocol     ResponseCode = 115
	AuthenticationFailed   ResponseCode = 116
	UnknownSession         ResponseCode = 117
	ReconnectionFailedLoss ResponseCode = 118
	ServerInitialising     ResponseCode = 119
)

var responseNames = map[ResponseCode]string{
	OK:                     "OK",
	Downgrade:              "DOWNGRADE",
	Reconnected:            "RECONNECTED",
	ReconnectedWithLoss:    "RECONNECTED_WITH_MESSAGE_LOSS",
	LicenceExceeded:        "LICENSE_EXCEEDED",
	ReconnectUnsupported:   "RECONNECTION_UNSUPPORTED",
	ConnectionProtocol:     "CONNECTION_PROTOCOL_ERROR",
	AuthenticationFailed:   "AUTHENTICATION_FAILED",
	UnknownSession:         "UNKNOWN_SESSION",
	ReconnectionFailedLoss: "RECONNECTION_FAILED_MESSAGE_LOSS",
	ServerInitialising:     "REJECTED_SERVER_INITIALISING",
}

// String returns the protocol's name of c.
func (c ResponseCode) String() string {
	if s, ok := responseNames[c]; ok {
		return s
	}
	return fmt.Sprintf("CODE_%d", byte(c))
}

// Known reports whether a version 29 client knows c; it treats an answer with
// any other code as malformed.
func (c ResponseCode) Known() bool { _, ok := responseNames[c]; return ok }

// Success reports whether c leads to a connected session.
func (c ResponseCode) Success() bool {
	return c == OK || c == Reconnected || c == ReconnectedWithLoss
}

const (
	protocolByte = 0x23
	tokenLen     = 24

	// ResponseLen and RejectionLen are the lengths of a successful and of a
	// failed connection response.
	ResponseLen, RejectionLen = 55, 3
)

// A ConnectResponse is the first thing a server sends (01 section 6).
type ConnectResponse struct {
	Version byte
	Code    ResponseCode

	// The rest only on success.

	SessionID      SessionID
	Token          string        // 24 ASCII characters
	PingPeriod     time.Duration // whole milliseconds; 0: no system pings
	NextClient     int32         // Reconnected: number of the client message expected next
	MaxMessageSize int32         // OK and ReconnectedWithLoss: bytes that the server accepts
}

// AppendConnectResponse appends 55 bytes for a success, 3 for a failure. The
// token of a success must have 24 bytes.
func AppendConnectResponse(b []byte, r ConnectResponse) []byte {
	b = append(b, protocolByte, r.Version, byte(r.Code))
	if !r.Code.Success() {
		return b
	}
	b = binary.BigEndian.AppendUint64(b, uint64(r.SessionID.Server))
	b = binary.BigEndian.AppendUint64(b, uint64(r.SessionID.Value))
	b = append(b, r.Token...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.PingPeriod.Milliseconds()))
	last := r.MaxMessageSize
	if r.Code == Reconnected {
		last = r.NextClient
	}
	return binary.BigEndian.AppendUint32(b, uint32(last))
}

// ErrVersionMismatch is matched when a server answers in another protocol
// version. It matches [ErrMalformed] too, because clients go on to the next
// transport as after a malformed answer.
var ErrVersionMismatch = fmt.Errorf("%w: another protocol version", ErrMalformed)

// ParseConnectResponse decodes the answer to a client of version 29. Like the
// official client it looks at the version before the code and ignores trailing
// bytes.
func ParseConnectResponse(b []byte) (ConnectResponse, error) {
	r := NewReader(b)
	if c := r.Byte(); r.Err() == nil && c != protocolByte {
		return ConnectResponse{}, fmt.Errorf("%w: connection response starts with %#02x", ErrMalformed, c)
	}
	res := ConnectResponse{Version: r.Byte()}
	if r.Err() == nil && res.Version != Version {
		return res, fmt.Errorf("%w: the server speaks version %d, this client %d", ErrVersionMismatch, res.Version, Version)
	}
	res.Code = ResponseCode(r.Byte())
	if r.Err() == nil && !res.Code.Known() {
		return res, fmt.Errorf("%w: unknown response code %d", ErrMalformed, byte(res.Code))
	}
	if !res.Code.Success() || r.Err() != nil {
		return res, r.Err()
	}
	res.SessionID = SessionID{r.FixedInt64(), r.FixedInt64()}
	res.Token = string(r.take(tokenLen, "token"))
	res.PingPeriod = milliseconds(r.FixedInt64())
	if res.Code == Reconnected {
		res.NextClient = r.FixedInt32()
	} else {
		res.MaxMessageSize = r.FixedInt32()
	}
	return res, r.Err()
}

// milliseconds returns a duration, clipped to what a Duration can hold.
func milliseconds(ms int64) time.Duration {
	const most = int64(1<<63-1) / int64(time.Millisecond)
	return time.Duration(max(0, min(ms, most))) * time.Millisecond
}
