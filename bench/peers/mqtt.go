package peers

import (
	"encoding/binary"
	"fmt"
	"os/exec"
)

// Mosquitto is Eclipse Mosquitto with a WebSocket listener.
type Mosquitto struct{ mqtt }

func (Mosquitto) Name() string { return "mosquitto" }

// Guarantees implements Adapter.
func (Mosquitto) Guarantees() Guarantees {
	g := mqttGuarantees
	g.BackPressure = "queues, then drops messages unseen"
	return g
}

func (Mosquitto) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("mosquitto")
	if err != nil {
		return nil, err
	}
	tcp, err := FreePort() // Mosquitto 2.0.11 refuses to have WebSocket listeners only
	if err != nil {
		return nil, err
	}
	conf, err := env.WriteConfig("mosquitto.conf", fmt.Sprintf(`
per_listener_settings false
allow_anonymous true
persistence false
log_type error
set_tcp_nodelay true
user root
listener %d 127.0.0.1
listener %d 127.0.0.1
protocol websockets
`, tcp, env.Port))
	if err != nil {
		return nil, err
	}
	return exec.Command(bin, "-c", conf), nil
}

// Mochi is the stock command of the mochi-mqtt module.
type Mochi struct{ mqtt }

func (Mochi) Name() string { return "mochi" }

// Guarantees implements Adapter.
func (Mochi) Guarantees() Guarantees {
	g := mqttGuarantees
	g.BackPressure = "drops messages beyond 8,192 unseen"
	return g
}

func (Mochi) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("mochi-mqtt")
	if err != nil {
		return nil, err
	}
	tcp, err := FreePort()
	if err != nil {
		return nil, err
	}
	info, err := FreePort()
	if err != nil {
		return nil, err
	}
	local := func(port int) string { return fmt.Sprintf("127.0.0.1:%d", port) }
	return exec.Command(bin, "-ws", local(env.Port), "-tcp", local(tcp), "-info", local(info)), nil
}

// mqtt is what the MQTT brokers share: MQTT 3.1.1 at QoS 0 in binary WebSocket
// messages, clean sessions, keep-alive off.
type mqtt struct{}

// mqttGuarantees are those of MQTT at QoS 0.
var mqttGuarantees = Guarantees{
	Order: "per publisher and topic", Recovery: "none at QoS 0", Deltas: "none",
	Permissions: "offered; nobody is checked here", Values: "retained, if the publisher asks",
}

func (mqtt) LeavesOut(string) string { return "" }

// SubscriberToAll implements Wildcard.
func (mqtt) SubscriberToAll(id int, branch string) Session {
	return &mqttSession{clientID: fmt.Sprintf("all%d", id), topics: []string{branch + "/#"}}
}

func (mqtt) Endpoint() Endpoint {
	return Endpoint{Path: "/mqtt", Subprotocol: "mqtt", Binary: true}
}

func (mqtt) Subscriber(id int, topics []string) Session {
	return &mqttSession{clientID: fmt.Sprintf("sub%d", id), topics: topics}
}

func (mqtt) Publisher([]string) Publisher { return &mqttSession{clientID: "pub"} }

const (
	mqttConnect   = 0x10
	mqttConnack   = 0x20
	mqttPublish   = 0x30
	mqttSubscribe = 0x82
	mqttSuback    = 0x90
	mqttPingreq   = 0xc0
	mqttPingresp  = 0xd0
	mqttRetain    = 0x01 // of a PUBLISH
)

// mqttSession parses MQTT packets as a byte stream: packet and WebSocket
// message boundaries need not coincide.
type mqttSession struct {
	clientID string
	topics   []string
	rest     []byte
}

func (s *mqttSession) Open(link Link) {
	body := []byte("\x00\x04MQTT\x04\x02\x00\x00") // 3.1.1, clean session, no keep-alive
	link.Send(mqttPacket(mqttConnect, mqttString(body, s.clientID)))
}

func (s *mqttSession) Receive(msg []byte, link Link) error {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, msg...)
		msg = s.rest
	}
	for {
		head, size, ok := mqttHeader(msg)
		if !ok || len(msg) < head+size {
			break
		}
		if err := s.packet(msg[0], msg[head:head+size], link); err != nil {
			return err
		}
		msg = msg[head+size:]
	}
	s.rest = append(s.rest[:0], msg...)
	return nil
}

func (s *mqttSession) packet(kind byte, body []byte, link Link) error {
	switch kind & 0xf0 {
	case mqttPublish:
		if len(body) < 2 {
			return fmt.Errorf("mqtt: short PUBLISH")
		}
		start := 2 + int(binary.BigEndian.Uint16(body))
		if start > len(body) {
			return fmt.Errorf("mqtt: short PUBLISH")
		}
		link.Deliver(body[start:])
	case mqttConnack:
		if len(body) < 2 || body[1] != 0 {
			return fmt.Errorf("mqtt: connection refused: % x", body)
		}
		if len(s.topics) == 0 {
			link.Ready()
			return nil
		}
		sub := []byte{0, 1} // packet identifier
		for _, t := range s.topics {
			sub = append(mqttString(sub, t), 0) // QoS 0
		}
		link.Send(mqttPacket(mqttSubscribe, sub))
	case mqttSuback:
		for _, code := range body[2:] {
			if code > 2 {
				return fmt.Errorf("mqtt: subscription refused: %#x", code)
			}
		}
		link.Ready()
	case mqttPingresp:
		link.Answered()
	}
	return nil
}

func (s *mqttSession) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	return appendMQTTPublish(append(dst, mqttPublish), topic, payload)
}

// AppendKeep implements Keeper.
func (s *mqttSession) AppendKeep(dst []byte, topic string, payload []byte) []byte {
	return appendMQTTPublish(append(dst, mqttPublish|mqttRetain), topic, payload)
}

func (s *mqttSession) AppendEcho(dst []byte) []byte { return append(dst, mqttPingreq, 0) }

func appendMQTTPublish(dst []byte, topic string, payload []byte) []byte {
	dst = mqttLength(dst, 2+len(topic)+len(payload))
	dst = mqttString(dst, topic)
	return append(dst, payload...)
}

func mqttPacket(kind byte, body []byte) []byte {
	return append(mqttLength([]byte{kind}, len(body)), body...)
}

func mqttString(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

func mqttLength(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

// mqttHeader returns the size of the fixed header at the start of b and the
// size of the body after it; ok is false when the header is not complete.
func mqttHeader(b []byte) (head, size int, ok bool) {
	for i := 1; i < len(b) && i <= 4; i++ {
		size |= int(b[i]&0x7f) << (7 * (i - 1))
		if b[i] < 0x80 {
			return i + 1, size, true
		}
	}
	return 0, 0, false
}
