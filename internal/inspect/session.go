package inspect

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/zlib"

	"advect.dev/datatype"
	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// decodeUpTo is the size of the largest message that is decoded, in bytes.
const decodeUpTo = 16 << 20

// sessions are those seen so far, by token.
type sessions struct {
	mu      sync.Mutex
	byToken map[string]*session
	order   []*session
}

func (s *sessions) get(token string) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.byToken[token]
}

func (s *sessions) stats() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]sessionStats, len(s.order))
	for i, one := range s.order {
		one.mu.Lock()
		list[i] = one.stats
		list[i].Codes = make(map[string]int, len(one.stats.Codes))
		for code, n := range one.stats.Codes {
			list[i].Codes[code] = n
		}
		one.mu.Unlock()
	}
	return map[string]any{"sessions": list}
}

type sessionStats struct {
	Session     string         `json:"session"`
	Connections int            `json:"connections"`
	Codes       map[string]int `json:"codes"`  // of connection responses
	Up          int64          `json:"up"`     // messages from the client
	Down        int64          `json:"down"`   // messages from the server
	Deltas      int64          `json:"deltas"` // of those, changes of values
	Cuts        int            `json:"cuts"`
}

// A session is what must be remembered to read its messages.
type session struct {
	mu      sync.Mutex
	stats   sessionStats
	number  [2]int64             // of the last message, by direction
	pending [2]map[int64]pending // requests not yet answered, by direction
	topics  map[int32]*topicView
}

type pending struct {
	service int32
	request any
}

type topicView struct {
	path  string
	typ   topic.Type
	value []byte
	known bool
}

// Directions, as indexes.
const (
	up   = 0 // from the client
	down = 1 // from the server
)

func (s *session) count(change func(*sessionStats)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(&s.stats)
}

func (s *session) reset() {
	s.number = [2]int64{}
	s.pending = [2]map[int64]pending{{}, {}}
	s.topics = map[int32]*topicView{}
}

// connected takes note of a connection response and returns its session, or nil
// if there is none.
func (s *sessions) connected(q wire.ConnectRequest, r wire.ConnectResponse) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.byToken[q.Token]
	if one == nil && r.Code.Success() {
		one = &session{stats: sessionStats{Session: r.SessionID.String(), Codes: map[string]int{}}}
		one.reset()
		s.order = append(s.order, one)
	}
	if one == nil {
		return nil
	}
	one.mu.Lock()
	defer one.mu.Unlock()
	one.stats.Codes[fmt.Sprint(int(r.Code))]++
	if !r.Code.Success() {
		return one
	}
	one.stats.Connections++
	delete(s.byToken, q.Token)
	s.byToken[r.Token] = one
	switch r.Code {
	case wire.Reconnected:
		one.number = [2]int64{int64(r.NextClient) - 1, q.LastServer}
	default:
		one.reset()
	}
	return one
}

// read decodes one message into an event.
func (s *session) read(direction int, frame []byte) event {
	e := event{Direction: [...]string{"C>S", "S>C"}[direction], Bytes: len(frame), frame: frame}
	if len(frame) > decodeUpTo {
		e.Kind, e.Note = "message", "too large to decode"
		return e
	}
	m, err := wire.ParseMessage(frame)
	if err != nil {
		e.Kind, e.Note = "violation", err.Error()
		return e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Type.Counted() {
		s.number[direction]++
		e.Number = s.number[direction]
	}
	if direction == up {
		s.stats.Up++
	} else {
		s.stats.Down++
	}
	switch m.Type {
	case wire.TypeRequest:
		s.request(&e, direction, &m)
	case wire.TypeResponse:
		s.response(&e, direction, &m)
	case wire.TypeError:
		e.Kind, e.Conversation = "error", m.Conversation
		e.Service = serviceName(s.answer(direction, m.Conversation).service)
		e.ErrorCode, e.Note = int(m.Error.Code), m.Error.Description
	case wire.TypeTopicValue, wire.TypeTopicDelta:
		if m.Type == wire.TypeTopicDelta {
			s.stats.Deltas++
		}
		s.update(&e, &m)
	case wire.TypeAbort:
		e.Kind = "abort"
	case wire.TypeCloseRequest:
		e.Kind = "close"
	default:
		e.Kind = m.Type.String()
	}
	return e
}

func (s *session) request(e *event, direction int, m *wire.Message) {
	e.Kind, e.Service, e.Conversation = "request", serviceName(m.Service), m.Conversation
	p := pending{service: m.Service}
	if d := service.Lookup(m.Service); d != nil {
		v, err := d.DecodeRequest(m.Body)
		if err != nil {
			e.Note = err.Error()
		} else {
			e.Fields, p.request = describe(v), v
			s.notified(v)
		}
	} else {
		e.Fields = hex.EncodeToString(m.Body)
	}
	if m.Conversation != 0 {
		s.pending[direction][m.Conversation] = p
	}
}

// answer returns and forgets the request that an answer in a direction is for.
func (s *session) answer(direction int, conversation int64) pending {
	requests := s.pending[1-direction]
	p := requests[conversation]
	delete(requests, conversation)
	return p
}

func (s *session) response(e *event, direction int, m *wire.Message) {
	p := s.answer(direction, m.Conversation)
	e.Kind, e.Conversation, e.Service = "response", m.Conversation, serviceName(p.service)
	if p.service == 0 {
		e.Service, e.Note = "", "to no request seen here"
	}
	if d := service.Lookup(p.service); d != nil {
		if v, err := d.DecodeResponse(m.Body); err != nil {
			e.Note = err.Error()
		} else {
			e.Fields = describe(v)
		}
	} else {
		e.Fields = hex.EncodeToString(m.Body)
	}
}

// notified keeps the table of topic ids.
func (s *session) notified(v any) {
	switch v := v.(type) {
	case service.Subscription:
		s.topics[v.Topic] = &topicView{path: v.Path, typ: v.Specification.Type}
	case service.Unsubscription:
		delete(s.topics, v.Topic)
	}
}

// update shows a topic message's value, applying deltas.
func (s *session) update(e *event, m *wire.Message) {
	e.Kind, e.Topic, e.Compressed = "value", m.Topic, m.Compressed
	if m.Type == wire.TypeTopicDelta {
		e.Kind = "delta"
	}
	body := m.Body
	if m.Compressed {
		inflated, err := inflate(body)
		if err != nil {
			e.Note = "does not inflate: " + err.Error()
			return
		}
		body = inflated
	}
	t := s.topics[m.Topic]
	if t == nil {
		e.Note = "unknown topic id"
		return
	}
	e.Path = t.path
	if e.Kind == "delta" {
		e.Delta = len(body)
		if !t.known {
			e.Note = "delta without a value before it"
			return
		}
		value, err := delta.Apply(nil, t.value, body, decodeUpTo)
		if err != nil {
			e.Note = err.Error()
			return
		}
		body = value
	}
	t.value, t.known = bytes.Clone(body), true
	e.Value = show(t.typ, t.value)
}

func inflate(b []byte) ([]byte, error) {
	r, err := zlib.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(io.LimitReader(r, decodeUpTo))
}

// show returns a value as text.
func show(t topic.Type, b []byte) string {
	if t == topic.Binary || t == topic.RecordV2 || t == topic.TimeSeries {
		return "0x" + hex.EncodeToString(b)
	}
	v, present, err := datatype.Read[datatype.JSON](datatype.Type(t), b)
	switch {
	case err != nil:
		return "0x" + hex.EncodeToString(b)
	case !present:
		return "null"
	}
	return v.String()
}
