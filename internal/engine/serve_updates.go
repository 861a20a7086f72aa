package engine

import (
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/tree"
	"advect.dev/internal/wire"
)

func (s *Session) setTopic(r service.SetRequest) (res service.Empty, err error) {
	return res, s.engine.tree.Set(s.author(), &r)
}

func (s *Session) addAndSetTopic(r service.AddAndSetRequest) (service.Created, error) {
	return s.engine.tree.AddAndSet(s.author(), &r)
}

func (s *Session) patchTopic(r service.PatchRequest) (service.PatchResult, error) {
	return s.engine.tree.Patch(s.author(), &r)
}

func (s *Session) createStream(r service.CreateStreamRequest) (service.NewStream, error) {
	return s.opened(s.engine.tree.CreateStream(s.author(), &r))
}

func (s *Session) createStreamAndSet(r service.SetRequest) (service.NewStream, error) {
	return s.opened(s.engine.tree.CreateStreamAndSet(s.author(), &r))
}

func (s *Session) streamAdd(r service.StreamAddRequest) (service.AddedStream, error) {
	created, stream, err := s.engine.tree.StreamAdd(s.author(), &r)
	opened, err := s.opened(stream, err)
	return service.AddedStream{Created: created, NewStream: opened}, err
}

func (s *Session) streamAddAndSet(r service.AddAndSetRequest) (service.AddedStream, error) {
	created, stream, err := s.engine.tree.StreamAddAndSet(s.author(), &r)
	opened, err := s.opened(stream, err)
	return service.AddedStream{Created: created, NewStream: opened}, err
}

// opened keeps a new update stream.
func (s *Session) opened(stream *tree.UpdateStream, err error) (service.NewStream, error) {
	if err != nil {
		return service.NewStream{}, err
	}
	opened := stream.Opened()
	s.registers()
	s.registrations.addStream(opened.ID, stream)
	return opened, nil
}

// stream returns an update stream of the session, which must still have the
// permission to update the topic.
func (s *Session) stream(id service.StreamID) (*tree.UpdateStream, error) {
	stream := s.registrations.streams[id]
	if stream == nil {
		return nil, wire.Errorf(wire.CodeInvalidUpdateStream, "the session has no such update stream: open a new one")
	}
	if !s.identity.Load().may(security.UpdateTopic, stream.Topic()) {
		stream.Close()
	}
	return stream, nil
}

func (s *Session) checkStream(id service.StreamID) (res service.Empty, err error) {
	stream, err := s.stream(id)
	if err != nil {
		return res, err
	}
	return res, stream.Check()
}

func (s *Session) streamSet(r service.StreamRequest) (res service.Empty, err error) {
	stream, err := s.stream(r.ID)
	if err != nil {
		return res, err
	}
	return res, stream.Set(r.Bytes)
}

func (s *Session) streamApplyDelta(r service.StreamRequest) (res service.Empty, err error) {
	stream, err := s.stream(r.ID)
	if err != nil {
		return res, err
	}
	return res, stream.ApplyDelta(r.Bytes)
}
