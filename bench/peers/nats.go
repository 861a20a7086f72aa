package peers

import (
	"bytes"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
)

// Nats is nats-server with its WebSocket listener: the NATS text protocol
// inside binary WebSocket messages, core NATS (no JetStream).
type Nats struct{}

func (Nats) Name() string       { return "nats" }
func (Nats) Endpoint() Endpoint { return Endpoint{Path: "/", Binary: true} }

// LeavesOut implements Adapter.
func (Nats) LeavesOut(scenario string) string {
	if scenario == "subscribeall" {
		return keepsNothing + " (core NATS)"
	}
	return ""
}

// Guarantees implements Adapter.
func (Nats) Guarantees() Guarantees {
	return Guarantees{
		Order: "per publisher", Recovery: "none (JetStream is another mode)", Deltas: "none",
		BackPressure: "closes after 64 MiB or 10 s",
		Permissions:  "offered; nobody is checked here", Values: "none",
	}
}

func (Nats) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("nats-server")
	if err != nil {
		return nil, err
	}
	tcp, err := FreePort()
	if err != nil {
		return nil, err
	}
	conf, err := env.WriteConfig("nats.conf", fmt.Sprintf(`
listen: "127.0.0.1:%d"
websocket {
  listen: "127.0.0.1:%d"
  no_tls: true
}
`, tcp, env.Port))
	if err != nil {
		return nil, err
	}
	return exec.Command(bin, "-c", conf), nil
}

func (Nats) Subscriber(_ int, topics []string) Session { return &natsSession{topics: topics} }
func (Nats) Publisher([]string) Publisher              { return &natsSession{} }

// natsSession parses the NATS protocol as a byte stream: the server may put
// several operations into one WebSocket message, or cut one across two.
type natsSession struct {
	topics []string
	rest   []byte
}

func (s *natsSession) Open(Link) {} // the server speaks first, with INFO

func (s *natsSession) Receive(msg []byte, link Link) error {
	if len(s.rest) > 0 {
		s.rest = append(s.rest, msg...)
		msg = s.rest
	}
	for len(msg) > 0 {
		n, err := s.operation(msg, link)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		msg = msg[n:]
	}
	s.rest = append(s.rest[:0], msg...)
	return nil
}

// operation handles the first operation of b and returns its length, or 0 when
// it is not complete yet.
func (s *natsSession) operation(b []byte, link Link) (int, error) {
	eol := bytes.IndexByte(b, '\n')
	if eol < 0 {
		return 0, nil
	}
	line, n := bytes.TrimRight(b[:eol], "\r"), eol+1
	switch {
	case bytes.HasPrefix(line, []byte("MSG ")):
		size, err := strconv.Atoi(string(line[bytes.LastIndexByte(line, ' ')+1:]))
		if err != nil {
			return 0, fmt.Errorf("nats: bad MSG line %q", line)
		}
		if len(b) < n+size+2 {
			return 0, nil
		}
		link.Deliver(b[n : n+size])
		return n + size + 2, nil
	case bytes.HasPrefix(line, []byte("INFO ")):
		hello := []byte(`CONNECT {"verbose":false,"pedantic":false,"lang":"go","version":"0"}` + "\r\n")
		for i, t := range s.topics {
			hello = fmt.Appendf(hello, "SUB %s %d\r\n", t, i+1)
		}
		link.Send(append(hello, "PING\r\n"...))
	case bytes.HasPrefix(line, []byte("PING")):
		link.Send([]byte("PONG\r\n"))
	case bytes.HasPrefix(line, []byte("PONG")):
		link.Answered()
		link.Ready()
	case bytes.HasPrefix(line, []byte("-ERR")):
		return 0, errors.New("nats: " + string(line))
	}
	return n, nil
}

func (s *natsSession) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	dst = append(dst, "PUB "...)
	dst = append(dst, topic...)
	dst = append(dst, ' ')
	dst = strconv.AppendInt(dst, int64(len(payload)), 10)
	dst = append(dst, "\r\n"...)
	dst = append(dst, payload...)
	return append(dst, "\r\n"...)
}

func (s *natsSession) AppendEcho(dst []byte) []byte { return append(dst, "PING\r\n"...) }

func itoa(n int) string { return strconv.Itoa(n) }
