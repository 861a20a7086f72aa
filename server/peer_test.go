package server_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"testing"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
	"advect.dev/server"
)

// A peer is the client's side of one session: what it knows and what it counts.
type peer struct {
	t testing.TB
	link
	host         string
	request      params // of the first connection
	response     []byte
	id           wire.SessionID
	token        string
	conversation int64
	sent         [][]byte // messages, all that count, if the session is recoverable
	received     int      // number of messages
	topics       map[int32]*held
}

// held is a topic as a subscriber knows it.
type held struct {
	path  string
	value []byte
}

// connect opens a session, which must succeed with code 100.
func connect(t testing.TB, srv *server.Server, k kind, p params) *peer {
	t.Helper()
	s := &peer{t: t, host: hostOf(srv), request: p, topics: map[int32]*held{}}
	if code := s.open(k, p); code != wire.OK {
		t.Fatalf("connect over %s: %v, want OK", k.name, code)
	}
	t.Cleanup(func() { s.drop() })
	return s
}

// open makes a connection and returns the response code.
func (s *peer) open(k kind, p params) wire.ResponseCode {
	s.t.Helper()
	l, response, err := k.open(s.t, s.host, p)
	if err != nil {
		s.t.Fatalf("connect over %s: %v", k.name, err)
	}
	res, err := wire.ParseConnectResponse(response)
	if err != nil {
		s.t.Fatalf("connection response %x: %v", response, err)
	}
	s.link, s.response = l, response
	if res.Code.Success() {
		s.id, s.token = res.SessionID, res.Token
	}
	return res.Code
}

// reconnect makes a connection for the same session, as a client does that lost
// its connection and has all that it sent. After a 105 it sends again what the
// server lacks, after a 106 it starts anew.
func (s *peer) reconnect(k kind) wire.ResponseCode {
	s.t.Helper()
	s.conversation++ // each outage uses up one (03 section 7)
	code := s.open(k, s.reconnection())
	switch code {
	case wire.Reconnected:
		e := s.expected()
		if e < 1 || e > len(s.sent)+1 {
			s.t.Fatalf("the server expects message %d of %d", e, len(s.sent))
		}
		for _, m := range s.sent[e-1:] {
			if err := s.send(m); err != nil {
				s.t.Fatalf("send again: %v", err)
			}
		}
	case wire.ReconnectedWithLoss:
		s.sent, s.received = nil, 0
		s.topics = map[int32]*held{}
	}
	return code
}

// reconnection are the parameters that reconnect the session.
func (s *peer) reconnection() params {
	return s.request.with("c", s.token, "cs", "1", "ss", strconv.Itoa(s.received))
}

// expected is the number of the message that the server wants next, as a 105 says.
func (s *peer) expected() int { return int(int32(binary.BigEndian.Uint32(s.response[51:]))) }

// write sends a message.
func (s *peer) write(message []byte) {
	s.t.Helper()
	if s.request["r"] != "0" {
		s.sent = append(s.sent, message)
	}
	if err := s.send(message); err != nil {
		s.t.Fatalf("send %.99x: %v", message, err)
	}
}

// next receives a message and says in words what it is.
func (s *peer) next() string {
	s.t.Helper()
	b, err := s.receive()
	if err != nil {
		s.t.Fatalf("receive: %v", err)
	}
	words, err := s.describe(b)
	if err != nil {
		s.t.Fatalf("received %.99x: %v", b, err)
	}
	return words
}

// expect receives messages and compares them with what they should be.
func (s *peer) expect(want ...string) {
	s.t.Helper()
	for i, w := range want {
		if got := s.next(); got != w {
			s.t.Fatalf("message %d of %d is %.99q, want %.99q", i+1, len(want), got, w)
		}
	}
}

// expectEnd expects the end of the session and nothing more.
func (s *peer) expectEnd() {
	s.t.Helper()
	s.expect("abort")
	s.expectClosed()
}

// expectClosed expects that the connection is closed without another message.
func (s *peer) expectClosed() {
	s.t.Helper()
	if p, ok := s.link.(*poller); ok { // a poll after the end learns nothing
		if body, err := p.poll(); body != "" || err != nil && err != errReconnect {
			s.t.Fatalf("poll after the end: %q, %v", body, err)
		}
		return
	}
	c := s.link.(*webSocket)
	if b, err := c.receive(); err == nil {
		s.t.Fatalf("received %.99x, want the end of the connection", b)
	} else if isTimeout(err) {
		s.t.Fatalf("the connection is still open after %v", deadline)
	}
}

func isTimeout(err error) bool {
	t, ok := err.(interface{ Timeout() bool })
	return ok && t.Timeout()
}

func (s *peer) nextConversation() int64 {
	s.conversation++
	return s.conversation
}

// ping makes a round trip that must come back at once.
func (s *peer) ping() {
	s.t.Helper()
	cid := s.nextConversation()
	s.write(service.UserPing.AppendRequest(nil, cid, service.Empty{}))
	s.expect(fmt.Sprintf("response %d", cid))
}

// describe counts a message, applies it to what the peer holds, and names it:
// "notify PATH", "value PATH TEXT", "delta PATH TEXT", "unsubscribed PATH REASON",
// "ping ID", "response ID", "error ID CODE", "abort".
func (s *peer) describe(b []byte) (string, error) {
	m, err := wire.ParseMessage(b)
	if err != nil {
		return "", err
	}
	if m.Type.Counted() {
		s.received++
	}
	switch m.Type {
	case wire.TypeRequest:
		return s.describeRequest(&m)
	case wire.TypeResponse:
		return fmt.Sprintf("response %d", m.Conversation), nil
	case wire.TypeError:
		return fmt.Sprintf("error %d %d", m.Conversation, m.Error.Code), nil
	case wire.TypeAbort:
		return "abort", nil
	case wire.TypeTopicValue, wire.TypeTopicDelta:
		return s.describeUpdate(&m)
	}
	return "", fmt.Errorf("type %v from a server", m.Type)
}

func (s *peer) describeUpdate(m *wire.Message) (string, error) {
	h := s.topics[m.Topic]
	if h == nil {
		return "", fmt.Errorf("topic %d was not announced", m.Topic)
	}
	body := slices.Clone(m.Body)
	if m.Compressed {
		return "compressed " + h.path, nil
	}
	if m.Type == wire.TypeTopicValue {
		h.value = body
		return fmt.Sprintf("value %s %s", h.path, textOf(h.value)), nil
	}
	value, err := delta.Apply(nil, h.value, body, 1<<30)
	if err != nil {
		return "", err
	}
	h.value = value
	return fmt.Sprintf("delta %s %s", h.path, textOf(h.value)), nil
}

func (s *peer) describeRequest(m *wire.Message) (string, error) {
	switch m.Service {
	case service.SystemPing.ID:
		return fmt.Sprintf("ping %d", m.Conversation), nil
	case service.NotifySubscription.ID:
		n, err := service.NotifySubscription.ReadRequest(m.Body)
		s.topics[n.Topic] = &held{path: n.Path}
		return "notify " + n.Path, err
	case service.UnsubscriptionNotification.ID:
		n, err := service.UnsubscriptionNotification.ReadRequest(m.Body)
		h := s.topics[n.Topic]
		if h == nil {
			return "", fmt.Errorf("topic %d was not announced", n.Topic)
		}
		delete(s.topics, n.Topic)
		return fmt.Sprintf("unsubscribed %s %s", h.path, n.Reason), err
	}
	return "", fmt.Errorf("service %d from a server", m.Service)
}

// text is the value of a STRING topic: CBOR text (RFC 8949 section 3.1).
func text(s string) []byte {
	switch n := len(s); {
	case n < 24:
		return append([]byte{0x60 | byte(n)}, s...)
	case n < 256:
		return append([]byte{0x78, byte(n)}, s...)
	default:
		return append([]byte{0x7a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, s...)
	}
}

func textOf(value []byte) string {
	for _, head := range []int{1, 2, 5} {
		if len(value) >= head && bytes.Equal(text(string(value[head:])), value) {
			return string(value[head:])
		}
	}
	return fmt.Sprintf("%x", value)
}

// call makes a request and returns what comes up to its answer, described.
func (s *peer) call(request func(b []byte, conversation int64) []byte) []string {
	s.t.Helper()
	cid := s.nextConversation()
	s.write(request(nil, cid))
	var got []string
	for {
		words := s.next()
		got = append(got, words)
		if words == fmt.Sprintf("response %d", cid) {
			got[len(got)-1] = "response"
			return got
		}
		var code int
		if n, _ := fmt.Sscanf(words, fmt.Sprintf("error %d %%d", cid), &code); n == 1 {
			got[len(got)-1] = fmt.Sprintf("error %d", code)
			return got
		}
	}
}

// must makes a request that is answered by a response and nothing before it.
func (s *peer) must(request func(b []byte, conversation int64) []byte) {
	s.t.Helper()
	if got := s.call(request); !slices.Equal(got, []string{"response"}) {
		s.t.Fatalf("request answered by %.99q", got)
	}
}

func add(path string, properties ...string) func([]byte, int64) []byte {
	spec := topic.Specification{Type: topic.String}
	for i := 0; i < len(properties); i += 2 {
		if spec.Properties == nil {
			spec.Properties = map[string]string{}
		}
		spec.Properties[properties[i]] = properties[i+1]
	}
	return func(b []byte, cid int64) []byte {
		return service.TopicAdd.AppendRequest(b, cid, service.AddRequest{Path: path, Specification: spec})
	}
}

func set(path, value string) func([]byte, int64) []byte {
	return func(b []byte, cid int64) []byte {
		return service.SetTopic.AppendRequest(b, cid, service.SetRequest{Path: path, Type: topic.String, Value: text(value)})
	}
}

func remove(selector string) func([]byte, int64) []byte {
	return func(b []byte, cid int64) []byte {
		return service.TopicRemoval.AppendRequest(b, cid, service.Text(selector))
	}
}

func subscribe(selector string) func([]byte, int64) []byte {
	return func(b []byte, cid int64) []byte {
		return service.Subscribe.AppendRequest(b, cid, service.Selection{Selector: selector})
	}
}

func unsubscribe(selector string) func([]byte, int64) []byte {
	return func(b []byte, cid int64) []byte {
		return service.Unsubscribe.AppendRequest(b, cid, service.Selection{Selector: selector})
	}
}
