package gosdk

import (
	"net/url"

	"github.com/coder/websocket"

	"advect.dev"
	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// closeSession has an administrator close a session. The SDK cannot do that
// yet, so this speaks to the server in bytes.
func (s *scene) closeSession(port string, id advect.SessionID) {
	s.t.Helper()
	query := url.Values{
		"ty": {"WB"}, "v": {"29"}, "ca": {"8"}, "r": {"0"}, "sp": {"{}"},
		"username": {"admin"}, "password": {wire.EncodePassword(wire.Password("password"))},
	}
	conn, _, err := websocket.Dial(s.ctx, "ws://127.0.0.1:"+port+"/diffusion?"+query.Encode(), nil)
	s.none(err, "connect an administrator")
	defer conn.CloseNow()
	_, response, err := conn.Read(s.ctx)
	s.none(err, "read the connection response")
	r, err := wire.ParseConnectResponse(response)
	s.none(err, "parse the connection response")
	s.ok(r.Code.Success(), "the administrator was refused: %s", r.Code)
	const conversation = 1
	request := service.CloseClient.AppendRequest(nil, conversation, service.SessionRequest{Session: id})
	s.none(conn.Write(s.ctx, websocket.MessageBinary, request), "send the request")
	for {
		_, frame, err := conn.Read(s.ctx)
		s.none(err, "read the answer")
		m, err := wire.ParseMessage(frame)
		s.none(err, "parse the answer")
		s.ok(m.Type != wire.TypeError, "the request was refused: %v", m.Error)
		if m.Type == wire.TypeResponse && m.Conversation == conversation {
			return
		}
	}
}
