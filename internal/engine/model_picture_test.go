package engine

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A picture is what a client knows of topics from what it was sent. It applies
// messages as an SDK does, and complains of each that an SDK could not follow.
type picture struct {
	zlib   bool
	byID   map[int32]*shown
	byPath map[string]*shown
}

// shown is a topic of a picture.
type shown struct {
	id     int32
	path   string
	spec   topic.Specification
	has    bool // a value has come
	value  []byte
	deltas int
	sub    *modelSub // of the model
}

func newPicture(zlib bool) *picture {
	return &picture{zlib: zlib, byID: map[int32]*shown{}, byPath: map[string]*shown{}}
}

// subscribe applies a NOTIFY_SUBSCRIPTION (21 section 5.1).
func (p *picture) subscribe(m *wire.Message) (*shown, error) {
	n, err := service.NotifySubscription.ReadRequest(m.Body)
	switch {
	case err != nil:
		return nil, err
	case m.Conversation != 0:
		return nil, fmt.Errorf("a notification of %q has conversation %d", n.Path, m.Conversation)
	case p.byPath[n.Path] != nil:
		return nil, fmt.Errorf("%q is announced as %d and subscribed as %d", n.Path, n.Topic, p.byPath[n.Path].id)
	case p.byID[n.Topic] != nil:
		return nil, fmt.Errorf("%q is announced as %d, which is %q", n.Path, n.Topic, p.byID[n.Topic].path)
	case !n.Specification.Type.Known() || topic.Canonical(n.Path) != n.Path:
		return nil, fmt.Errorf("%q of type %d is announced", n.Path, n.Specification.Type)
	}
	s := &shown{id: n.Topic, path: n.Path, spec: n.Specification}
	p.byID[s.id], p.byPath[s.path] = s, s
	return s, nil
}

// unsubscribe applies an UNSUBSCRIPTION_NOTIFICATION.
func (p *picture) unsubscribe(m *wire.Message) (*shown, service.UnsubscribeReason, error) {
	n, err := service.UnsubscriptionNotification.ReadRequest(m.Body)
	if err != nil {
		return nil, 0, err
	}
	s := p.byID[n.Topic]
	if s == nil || m.Conversation != 0 {
		return nil, 0, fmt.Errorf("unsubscription from topic %d, %v, which is not subscribed (conversation %d)", n.Topic, n.Reason, m.Conversation)
	}
	delete(p.byID, s.id)
	delete(p.byPath, s.path)
	return s, n.Reason, nil
}

// update applies a TOPIC_VALUE or a TOPIC_DELTA (11 section 11.4).
func (p *picture) update(m *wire.Message) (*shown, error) {
	s := p.byID[m.Topic]
	if s == nil {
		return nil, fmt.Errorf("%v of topic %d, which is not subscribed", m.Type, m.Topic)
	}
	body := m.Body
	if m.Compressed {
		if !p.zlib || s.spec.Properties[topic.Compression] == "off" || s.spec.Type == topic.Int64 || s.spec.Type == topic.Double {
			return nil, fmt.Errorf("compressed %v of %q", m.Type, s.path)
		}
		var err error
		if body, err = inflate(body); err != nil {
			return nil, fmt.Errorf("%v of %q: %w", m.Type, s.path, err)
		}
	}
	if m.Type == wire.TypeTopicValue {
		s.has, s.value = true, bytes.Clone(body)
		return s, nil
	}
	switch {
	case !s.has:
		return nil, fmt.Errorf("delta of %q before any value", s.path)
	case !s.spec.Type.HasDeltas() || s.spec.Bool(topic.PublishValuesOnly) || s.spec.Type != topic.TimeSeries && s.spec.Bool(topic.DontRetainValue):
		return nil, fmt.Errorf("delta of %q, which has none", s.path)
	}
	value, err := delta.Apply(nil, s.value, body, 1<<24)
	if err != nil {
		return nil, fmt.Errorf("delta of %q: %w", s.path, err)
	}
	s.value = value
	s.deltas++
	return s, nil
}

// inflate undoes one zlib stream that takes all of b.
func inflate(b []byte) ([]byte, error) {
	source := bytes.NewReader(b)
	r, err := zlib.NewReader(source)
	if err != nil {
		return nil, err
	}
	out, err := io.ReadAll(r)
	if err == nil && source.Len() > 0 {
		err = fmt.Errorf("%d bytes behind the zlib stream", source.Len())
	}
	return out, err
}
