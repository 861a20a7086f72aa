package inspect

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"advect.dev/internal/wire"
)

// handshake prints a connection request. What is not one for a client of this
// version is returned as it could be read.
func (i *Inspector) handshake(c *conn, r *http.Request) wire.ConnectRequest {
	q, err := wire.ParseConnectRequest(wire.NewParameters(r.URL.RawQuery, r.Header))
	fields := map[string]any{
		"path": r.URL.Path, "type": q.Type, "version": q.Version, "capabilities": q.Capabilities,
		"reconnectTimeout": q.ReconnectTimeout.String(), "properties": q.Properties,
	}
	if q.Named {
		fields["principal"], fields["credentials"] = q.Principal, q.Credentials.String()
	}
	if q.Token != "" {
		fields["token"] = mask(q.Token)
		fields["oldestClientMessage"], fields["lastServerMessage"] = q.OldestClient, q.LastServer
	}
	e := event{Conn: c.id, Transport: c.transport, Direction: "C>S", Kind: "connect", Fields: fields}
	var rejection *wire.Rejection
	if errors.As(err, &rejection) {
		e.Note = rejection.Reason
	}
	i.log.print(e)
	return q
}

// mask shortens a token to what tells it from others in a log.
func mask(token string) string { return token[:min(4, len(token))] + "…" }

// responded prints a connection response and binds the connection to its session.
func (i *Inspector) responded(c *conn, q wire.ConnectRequest, b []byte) *session {
	e := event{Conn: c.id, Transport: c.transport, Direction: "S>C", Kind: "connected", Bytes: len(b)}
	r, err := wire.ParseConnectResponse(b)
	if err != nil {
		e.Kind, e.Note = "violation", err.Error()
		i.log.print(e)
		return nil
	}
	e.Code, e.Name = int(r.Code), r.Code.String()
	if r.Code.Success() {
		fields := map[string]any{"session": r.SessionID.String(), "token": mask(r.Token), "pingPeriod": r.PingPeriod.String()}
		if r.Code == wire.Reconnected {
			fields["nextClientMessage"] = r.NextClient
		} else {
			fields["maxMessageSize"] = r.MaxMessageSize
		}
		e.Fields = fields
	} else {
		e.Kind = "rejected"
	}
	i.log.print(e)
	s := i.sessions.connected(q, r)
	c.mu.Lock()
	c.session = s
	c.mu.Unlock()
	return s
}

// message prints one message of a session, which may be nil.
func (i *Inspector) message(c *conn, s *session, direction int, frame []byte) {
	if s == nil {
		return
	}
	e := s.read(direction, frame)
	e.Conn, e.Transport = c.id, c.transport
	i.log.print(e)
}

// fakeResponse returns the connection response that a fault asks for, or false
// if it asks for something else.
func fakeResponse(fault string) ([]byte, bool) {
	r := wire.ConnectResponse{
		Version: wire.Version, Code: wire.OK, SessionID: wire.SessionID{Server: 1, Value: 1},
		Token: strings.Repeat("x", 24), MaxMessageSize: 1 << 20,
	}
	kind, number, _ := strings.Cut(fault, ":")
	n, _ := strconv.Atoi(number) // checked when it was set
	switch kind {
	case "code":
		r.Code = wire.ResponseCode(n)
	case "version":
		r.Version = byte(n)
	case "garbage":
		return []byte("nonsense"), true
	default:
		return nil, false
	}
	return wire.AppendConnectResponse(nil, r), true
}

// status returns the HTTP status that a fault asks for.
func status(fault string) (int, bool) {
	n, err := strconv.Atoi(fault)
	return n, err == nil
}

func (i *Inspector) faulted(c *conn, fault string) {
	i.log.print(event{Conn: c.id, Transport: c.transport, Kind: "fault", Note: fault})
}

func refused(w http.ResponseWriter) {
	if nc, _, err := http.NewResponseController(w).Hijack(); err == nil {
		reset(nc)
	}
}

func statusText(n int) string { return fmt.Sprintf("%d %s", n, http.StatusText(n)) }
