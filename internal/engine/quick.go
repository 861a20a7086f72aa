package engine

import (
	"encoding/binary"

	"advect.dev/internal/service"
	"advect.dev/internal/wire"
)

// quick are the services whose requests cost about as much as their bytes: they look
// at one topic, however large the tree, and wait for nothing. Topics with many
// subscribers take longer, as all updates do.
var quick = map[int32]bool{
	service.SystemPing.ID:         true,
	service.UserPing.ID:           true,
	service.TopicAdd.ID:           true,
	service.SetTopic.ID:           true,
	service.AddAndSetTopic.ID:     true,
	service.CreateStream.ID:       true,
	service.CreateStreamAndSet.ID: true,
	service.StreamAdd.ID:          true,
	service.StreamAddAndSet.ID:    true,
	service.CheckStream.ID:        true,
	service.StreamSet.ID:          true,
	service.StreamApplyDelta.ID:   true,
	service.TimeSeriesAppend.ID:   true,
	service.MessagingSend.ID:      true,
	service.MessagingToSession.ID: true,
}

// Quick reports whether Receive will take a frame in the time that its reading
// takes. A connection that serves others too passes the rest on to a goroutine.
func (s *Session) Quick(frame []byte) bool {
	if len(frame) == 0 || wire.Type(frame[0]) != wire.TypeRequest {
		return true
	}
	id, n := binary.Uvarint(frame[1:])
	if n <= 0 {
		return true // fails
	}
	return quick[int32(id)] || int32(id) == service.Subscribe.ID && selectsPath(frame[1+n:])
}

// selectsPath reports whether the rest of a subscription, its conversation and its
// selector, selects by one path.
func selectsPath(b []byte) bool {
	for range 2 { // the conversation, the length of the selector
		_, n := binary.Uvarint(b)
		if n <= 0 {
			return true // fails
		}
		b = b[n:]
	}
	return len(b) == 0 || b[0] == '>'
}

// Quick reports whether Connect will decide at once: nobody is asked who the client
// is, and no password is hashed.
func (e *Engine) Quick(q wire.ConnectRequest) bool {
	if q.Token != "" {
		return true
	}
	return q.Principal == "" && q.Credentials.Kind == wire.NoCredentials &&
		len(e.cfg.BeforeSystem)+len(e.cfg.AfterSystem) == 0 &&
		!e.authenticators.has(beforeSystem) && !e.authenticators.has(afterSystem)
}
