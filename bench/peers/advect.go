package peers

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
)

// Advect is the binary of this repository with its defaults. Topics are string
// topics that hold the payload; they are published as they are by default, each
// update after the first as a delta, so its subscribers decode. With ValuesOnly
// the topics have the property PUBLISH_VALUES_ONLY, and every update is sent
// whole, as the other servers do.
type Advect struct{ ValuesOnly bool }

// Name implements Adapter.
func (a Advect) Name() string {
	if a.ValuesOnly {
		return "advect-values"
	}
	return "advect"
}

// LeavesOut implements Adapter: the variant differs where there are updates.
func (a Advect) LeavesOut(scenario string) string {
	switch scenario {
	case "fanout", "topics", "large", "latency":
		return ""
	}
	if a.ValuesOnly {
		return SameAsBase
	}
	return ""
}

// Guarantees implements Adapter.
func (a Advect) Guarantees() Guarantees {
	g := Guarantees{
		Order: "all of a session", Recovery: "of all that was sent or queued", Deltas: "binary",
		BackPressure: "conflates, then closes",
		Permissions:  "checked for each request and topic", Values: "always", Full: true,
	}
	if a.ValuesOnly {
		g.Deltas = "off"
	}
	return g
}

// Command implements Adapter. The default data directory is in the working
// directory, and so goes to the scratch folder. With env.Profile, the server is
// servers/advect, which starts the same server with a CPU profile.
func (Advect) Command(env Env) (*exec.Cmd, error) {
	address := "127.0.0.1:" + itoa(env.Port)
	if env.Profile != "" {
		bin, err := env.Bin("advect-profiled")
		if err != nil {
			return nil, err
		}
		profile, err := filepath.Abs(env.Profile)
		return exec.Command(bin, "-listen", address, "-cpuprofile", profile), err
	}
	bin, err := env.Bin("advect")
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(bin, "serve", "--listen", address)
	cmd.Dir = env.WorkDir
	return cmd, nil
}

// The parameters of a connection as the official client gives them, but without
// the capability of zlib: no other server is offered compression either.
const (
	advectPath = "/diffusion?ty=WB&v=29&ca=8&r=60000&sp=%7B%7D"

	// Publishing needs a principal; these are the stock credentials.
	advectPrincipal = "admin"
	advectPassword  = "password"
)

// Endpoint implements Adapter.
func (Advect) Endpoint() Endpoint { return Endpoint{Path: advectPath, Binary: true} }

// PublisherEndpoint implements Authorised.
func (Advect) PublisherEndpoint() Endpoint {
	credentials := advectString([]byte{1}, advectPassword) // kind 1: a password
	password := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").
		Replace(base64.StdEncoding.EncodeToString(credentials))
	return Endpoint{Path: advectPath + "&username=" + advectPrincipal + "&password=" + password, Binary: true}
}

// Subscriber implements Adapter.
func (Advect) Subscriber(_ int, topics []string) Session { return &advectSubscriber{topics: topics} }

// SubscriberToAll implements Wildcard.
func (Advect) SubscriberToAll(_ int, branch string) Session { return &advectBranch{branch: branch} }

// Publisher implements Adapter.
func (a Advect) Publisher(topics []string) Publisher {
	return &advectPublisher{valuesOnly: a.ValuesOnly, topics: topics}
}

// Message types and services of protocol version 29 that the runs need.
const (
	advectRequest  = 0
	advectValue    = 4
	advectDelta    = 5
	advectResponse = 6

	advectSubscribe    = 3
	advectPing         = 55
	advectNotification = 87
	advectAddAndSet    = 122
	advectStreamSet    = 128
	advectStreamAdd    = 130

	advectStringTopic = 17
)

var errAdvect = errors.New("advect: malformed message")

// Codes of the connection response, the first message of a server.
const (
	advectNew     = 100
	advectResumed = 105
)

// advectConnected reads a connection response, which shall have the given code,
// and returns the session's token and the last field, which for a session that
// is resumed is the number of the client's message that the server expects next.
func advectConnected(msg []byte, code byte) (token string, last uint32, err error) {
	if len(msg) < 55 || msg[0] != 0x23 || msg[2] != code {
		return "", 0, fmt.Errorf("advect: connection refused: % x", msg)
	}
	return string(msg[19:43]), binary.BigEndian.Uint32(msg[51:]), nil
}

// advectSubscriber subscribes to topics, and is ready when it has been told the
// id of each and that the subscription is done.
type advectSubscriber struct {
	topics    []string
	connected bool
	resuming  bool // the connection was cut, and the session is to go on
	answered  bool
	held      []advectTopic
	spare     []byte // memory for the next value

	// What it takes to go on: the secret of the session, and how many messages
	// have gone each way.
	token          string
	sent, received uint32
}

// advectTopic is a subscribed topic and the value that the next delta is to.
type advectTopic struct {
	id    uint32
	value []byte
}

func (s *advectSubscriber) Open(Link) {} // the server speaks first

func (s *advectSubscriber) Receive(msg []byte, link Link) error {
	if !s.connected {
		return s.connect(msg, link)
	}
	if len(msg) == 0 {
		return errAdvect
	}
	s.received++
	switch msg[0] {
	case advectValue, advectDelta:
		return s.update(msg, link)
	case advectResponse:
		s.answered = true
		return s.progress(link)
	case advectRequest:
		r := advectReader(msg[1:])
		service, conversation := r.varint(), r.varint()
		if service == advectPing && conversation != 0 {
			s.send(binary.AppendUvarint([]byte{advectResponse}, conversation), link)
		}
		if service != advectNotification {
			return nil
		}
		id := r.varint()
		if r == nil {
			return errAdvect
		}
		s.held = append(s.held, advectTopic{id: uint32(id)})
		return s.progress(link)
	}
	return fmt.Errorf("advect: unexpected message: %.60q", msg)
}

// connect takes the answer to a new connection. A new session subscribes; one
// that goes on must not have lost what it had sent, and is ready.
func (s *advectSubscriber) connect(msg []byte, link Link) (err error) {
	if !s.resuming {
		if s.token, _, err = advectConnected(msg, advectNew); err != nil {
			return err
		}
		s.connected = true
		b := advectHeader(nil, advectSubscribe, 1)
		s.send(advectString(advectString(b, advectSelector(s.topics)), ""), link) // no scope
		return nil
	}
	token, expected, err := advectConnected(msg, advectResumed)
	if err != nil {
		return err
	}
	if expected != s.sent+1 {
		return fmt.Errorf("advect: the server expects message %d, and %d were sent", expected, s.sent)
	}
	s.token, s.connected, s.resuming = token, true, false
	link.Ready()
	return nil
}

func (s *advectSubscriber) send(msg []byte, link Link) {
	s.sent++
	link.Send(msg)
}

// Resume implements Resumable (03 section 4.2).
func (s *advectSubscriber) Resume() Endpoint {
	s.connected, s.resuming = false, true
	token := strings.NewReplacer("+", "%2B", "/", "%2F", "=", "%3D").Replace(s.token)
	return Endpoint{Path: fmt.Sprintf("%s&c=%s&cs=%d&ss=%d", advectPath, token, s.sent+1, s.received), Binary: true}
}

func (s *advectSubscriber) progress(link Link) error {
	if s.answered && len(s.held) == len(s.topics) {
		link.Ready()
	}
	return nil
}

// update delivers a value, or what a delta makes of the value before it. Both
// are CBOR text strings: the payload follows the head.
func (s *advectSubscriber) update(msg []byte, link Link) error {
	if len(msg) < 5 {
		return errAdvect
	}
	id, body := binary.BigEndian.Uint32(msg[1:]), msg[5:]
	for i := range s.held {
		t := &s.held[i]
		if t.id != id {
			continue
		}
		if msg[0] == advectDelta {
			value, err := applyAdvectDelta(s.spare[:0], t.value, body)
			if err != nil {
				return err
			}
			s.spare, t.value = t.value, value
		} else {
			t.value = append(t.value[:0], body...)
		}
		_, head, ok := cborHead(t.value)
		if !ok {
			return errAdvect
		}
		link.Deliver(t.value[head:])
		return nil
	}
	return fmt.Errorf("advect: update of topic %d, which is not subscribed", id)
}

// advectSelector selects the paths: >a alone, or a set such as #>a////>b.
func advectSelector(topics []string) string {
	if len(topics) == 1 {
		return ">" + topics[0]
	}
	return "#>" + strings.Join(topics, "////>")
}

// advectPublisher adds its topics and opens an update stream for each, through
// which it publishes.
type advectPublisher struct {
	valuesOnly bool
	topics     []string
	connected  bool
	streams    map[string][]byte // the id of each topic's stream
	request    uint64            // the last conversation; the first ones are the topics'
}

func (p *advectPublisher) Open(Link) {}

func (p *advectPublisher) Receive(msg []byte, link Link) error {
	if !p.connected {
		if _, _, err := advectConnected(msg, advectNew); err != nil {
			return err
		}
		p.connected = true
		p.streams = make(map[string][]byte, len(p.topics))
		for _, t := range p.topics {
			p.request++
			link.Send(p.appendAdd(nil, t))
		}
		return nil
	}
	if len(msg) == 0 {
		return errAdvect
	}
	switch msg[0] {
	case advectRequest: // a ping
		return nil
	case advectResponse:
	default:
		return fmt.Errorf("advect: publishing failed: %.60q", msg)
	}
	if len(p.streams) == len(p.topics) {
		link.Answered() // an update's
		return nil
	}
	r := advectReader(msg[1:])
	conversation := r.varint()
	if conversation == 0 || conversation > uint64(len(p.topics)) || len(r) < 3 {
		return errAdvect
	}
	// Whether the topic was created, the four numbers of the stream's id, flags.
	p.streams[p.topics[conversation-1]] = append([]byte(nil), r[1:len(r)-1]...)
	if len(p.streams) == len(p.topics) {
		link.Ready()
	}
	return nil
}

func (p *advectPublisher) appendAdd(dst []byte, topic string) []byte {
	dst = advectString(advectHeader(dst, advectStreamAdd, p.request), topic)
	dst = append(dst, advectStringTopic)
	if p.valuesOnly {
		dst = advectString(advectString(append(dst, 1), "PUBLISH_VALUES_ONLY"), "true")
	} else {
		dst = append(dst, 0) // no properties
	}
	return append(dst, 0) // no constraint
}

func (p *advectPublisher) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	p.request++
	dst = append(advectHeader(dst, advectStreamSet, p.request), p.streams[topic]...)
	return appendAdvectText(dst, payload)
}

// AppendKeep implements Keeper.
func (p *advectPublisher) AppendKeep(dst []byte, topic string, payload []byte) []byte {
	p.request++
	dst = advectString(advectHeader(dst, advectAddAndSet, p.request), topic)
	dst = append(dst, advectStringTopic, 0)          // no properties
	return append(appendAdvectText(dst, payload), 0) // no constraint
}

// AppendEcho appends nothing: each update is answered.
func (p *advectPublisher) AppendEcho(dst []byte) []byte { return dst }

// appendAdvectText appends payload as the value of a string topic.
func appendAdvectText(dst, payload []byte) []byte {
	var head [9]byte
	text := appendCBORText(head[:0], len(payload))
	dst = binary.AppendUvarint(dst, uint64(len(text)+len(payload)))
	return append(append(dst, text...), payload...)
}

// advectBranch subscribes to a branch of topics, and delivers their first
// values. It is ready when the subscription is answered, which comes after them.
type advectBranch struct {
	branch    string
	connected bool
}

func (s *advectBranch) Open(Link) {}

func (s *advectBranch) Receive(msg []byte, link Link) error {
	if !s.connected {
		if _, _, err := advectConnected(msg, advectNew); err != nil {
			return err
		}
		s.connected = true
		b := advectHeader(nil, advectSubscribe, 1)
		link.Send(advectString(advectString(b, "?"+s.branch+"//"), ""))
		return nil
	}
	if len(msg) == 0 {
		return errAdvect
	}
	switch msg[0] {
	case advectRequest: // a notification or a ping
		return nil
	case advectResponse:
		link.Ready()
		return nil
	case advectValue:
		if len(msg) > 5 {
			if _, head, ok := cborHead(msg[5:]); ok {
				link.Deliver(msg[5+head:])
				return nil
			}
		}
		return errAdvect
	}
	return fmt.Errorf("advect: unexpected message: %.60q", msg)
}

func advectHeader(dst []byte, service, conversation uint64) []byte {
	dst = binary.AppendUvarint(append(dst, advectRequest), service)
	return binary.AppendUvarint(dst, conversation)
}

func advectString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// advectReader is the rest of a message; nil after an error.
type advectReader []byte

func (r *advectReader) varint() uint64 {
	v, n := binary.Uvarint(*r)
	if n <= 0 {
		*r = nil
		return 0
	}
	*r = (*r)[n:]
	return v
}

// applyAdvectDelta appends to dst what delta makes of old: a sequence of CBOR
// byte strings, which are inserted, and of pairs of numbers, start and length,
// which copy from old. A lone null leaves the value as it is.
func applyAdvectDelta(dst, old, delta []byte) ([]byte, error) {
	if len(delta) == 1 && delta[0] == 0xf6 {
		return append(dst, old...), nil
	}
	for len(delta) > 0 {
		major := delta[0] >> 5
		n, head, ok := cborHead(delta)
		if !ok {
			return nil, errAdvect
		}
		delta = delta[head:]
		switch major {
		case 0:
			length, head, ok := cborHead(delta)
			if !ok || delta[0]>>5 != 0 || n > uint64(len(old)) || length > uint64(len(old))-n {
				return nil, errAdvect
			}
			dst = append(dst, old[n:n+length]...)
			delta = delta[head:]
		case 2:
			if n > uint64(len(delta)) {
				return nil, errAdvect
			}
			dst = append(dst, delta[:n]...)
			delta = delta[n:]
		default:
			return nil, errAdvect
		}
	}
	return dst, nil
}

// cborHead reads the head of a CBOR item of definite length and returns its
// argument and how many bytes it takes.
func cborHead(b []byte) (arg uint64, size int, ok bool) {
	if len(b) == 0 {
		return 0, 0, false
	}
	low := b[0] & 0x1f
	if low < 24 {
		return uint64(low), 1, true
	}
	if low > 27 || len(b) < 1+1<<(low-24) {
		return 0, 0, false
	}
	for _, c := range b[1 : 1+1<<(low-24)] {
		arg = arg<<8 | uint64(c)
	}
	return arg, 1 + 1<<(low-24), true
}

// appendCBORText appends the head of a text string of n bytes.
func appendCBORText(dst []byte, n int) []byte {
	switch {
	case n < 24:
		return append(dst, 0x60|byte(n))
	case n < 1<<8:
		return append(dst, 0x78, byte(n))
	case n < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 0x79), uint16(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0x7a), uint32(n))
}
