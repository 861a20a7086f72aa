package wire

import (
	"fmt"
	"strconv"
	"strings"
)

// A SessionID names a session: the half that identifies the server run and the
// half that identifies the session in it. Ids are never reused in one server
// life.
type SessionID struct {
	Server, Value int64
}

// String returns two numbers of 16 lower-case hexadecimal digits joined by "-".
func (id SessionID) String() string {
	return fmt.Sprintf("%016x-%016x", uint64(id.Server), uint64(id.Value))
}

// ParseSessionID parses what String returns; upper case and short halves are
// accepted (01 section 6.1).
func ParseSessionID(s string) (SessionID, error) {
	server, value, ok := strings.Cut(s, "-")
	a, err1 := parseHalf(server)
	b, err2 := parseHalf(value)
	if !ok || err1 != nil || err2 != nil {
		return SessionID{}, fmt.Errorf("session id %q is not two hexadecimal numbers joined by \"-\"", s)
	}
	return SessionID{int64(a), int64(b)}, nil
}

func parseHalf(s string) (uint64, error) {
	if strings.HasPrefix(s, "+") || strings.Contains(s, "_") {
		return 0, strconv.ErrSyntax
	}
	return strconv.ParseUint(s, 16, 64)
}

// AppendSessionID appends the two halves as varint64s, the form inside services.
func AppendSessionID(b []byte, id SessionID) []byte {
	return AppendInt64(AppendInt64(b, id.Server), id.Value)
}

// SessionID reads the two halves as varint64s.
func (r *Reader) SessionID() SessionID {
	return SessionID{Server: r.Int64(), Value: r.Int64()}
}
