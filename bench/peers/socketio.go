package peers

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
)

// SocketIO is servers/socketio, a few lines of application code on socket.io
// with its default engine (ws). Topics are rooms.
type SocketIO struct{}

func (SocketIO) Name() string { return "socket.io" }

// LeavesOut implements Adapter.
func (SocketIO) LeavesOut(scenario string) string {
	if scenario == "subscribeall" {
		return keepsNothing
	}
	return ""
}

// Guarantees implements Adapter.
func (SocketIO) Guarantees() Guarantees {
	return Guarantees{
		Order: "per publisher", Recovery: "none (an option, best effort)", Deltas: "none",
		BackPressure: "none: queues in memory without limit",
		Permissions:  "left to the application", Values: "none",
	}
}

func (SocketIO) Endpoint() Endpoint {
	return Endpoint{Path: "/socket.io/?EIO=4&transport=websocket"}
}

func (SocketIO) Command(env Env) (*exec.Cmd, error) {
	node, err := exec.LookPath("node")
	if err != nil {
		return nil, err
	}
	script := filepath.Join(env.BenchDir, "servers", "socketio", "server.js")
	cmd := exec.Command(node, script, itoa(env.Port))
	cmd.Env = append(cmd.Environ(),
		"NODE_ENV=production",
		"NODE_PATH="+filepath.Join(env.CacheDir, "node", "node_modules"))
	return cmd, nil
}

func (SocketIO) Subscriber(_ int, topics []string) Session { return &ioSession{topics: topics} }
func (SocketIO) Publisher([]string) Publisher              { return &ioSession{} }

// ioSession speaks Engine.IO 4 and Socket.IO 5. A message starts with the
// Engine.IO type digit; type 4 carries a Socket.IO packet, whose own type
// digit follows.
type ioSession struct{ topics []string }

func (s *ioSession) Open(Link) {} // the server speaks first

func (s *ioSession) Receive(msg []byte, link Link) error {
	switch {
	case bytes.HasPrefix(msg, []byte(`42["m",`)): // an event
		link.Deliver(msg[len(`42["m",`):])
	case msg[0] == '0': // Engine.IO open: join the default namespace
		link.Send([]byte("40"))
	case msg[0] == '2': // ping
		link.Send([]byte("3"))
	case bytes.HasPrefix(msg, []byte("40")): // namespace joined
		if len(s.topics) == 0 {
			link.Ready()
			return nil
		}
		args, err := json.Marshal([]any{"sub", s.topics})
		if err != nil {
			return err
		}
		link.Send(append([]byte("420"), args...)) // event with acknowledgement 0
	case bytes.HasPrefix(msg, []byte("431")): // acknowledgement 1: an echo
		link.Answered()
	case bytes.HasPrefix(msg, []byte("430")): // acknowledgement 0
		link.Ready()
	case bytes.HasPrefix(msg, []byte("41")), bytes.HasPrefix(msg, []byte("44")), msg[0] == '1':
		return fmt.Errorf("socket.io: refused: %s", msg)
	}
	return nil
}

func (s *ioSession) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	dst = append(dst, `42["p","`...)
	dst = append(dst, topic...)
	dst = append(dst, `",`...)
	dst = append(dst, payload...)
	return append(dst, ']')
}

// AppendEcho joins no room, and asks for acknowledgement 1 of that.
func (s *ioSession) AppendEcho(dst []byte) []byte { return append(dst, `421["sub",[]]`...) }
