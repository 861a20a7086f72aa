package peers

import (
	"os/exec"
	"strings"
)

// Floor is servers/floor: the least a Go server can do per delivery, one
// unbuffered write of a frame that was encoded once. It is no product and has
// no queues, no slow-consumer policy and no protocol; it shows what this
// machine's kernel and the harness itself cost.
type Floor struct{}

func (Floor) Name() string       { return "floor" }
func (Floor) Endpoint() Endpoint { return Endpoint{Path: "/"} }

// LeavesOut implements Adapter.
func (Floor) LeavesOut(scenario string) string {
	switch scenario {
	case "overload":
		return "one subscriber that stops reading blocks it for good"
	case "subscribeall":
		return keepsNothing
	}
	return ""
}

// Guarantees implements Adapter.
func (Floor) Guarantees() Guarantees {
	return Guarantees{
		Order: "per topic", Recovery: "none", Deltas: "none", Permissions: "none", Values: "none",
		BackPressure: "none: blocks everybody",
	}
}

func (Floor) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("floor")
	if err != nil {
		return nil, err
	}
	return exec.Command(bin, "-port", itoa(env.Port)), nil
}

func (Floor) Subscriber(_ int, topics []string) Session { return &floorSession{topics: topics} }
func (Floor) Publisher([]string) Publisher              { return &floorSession{} }

type floorSession struct{ topics []string }

func (s *floorSession) Open(link Link) {
	link.Send([]byte("S " + strings.Join(s.topics, " ")))
}

func (s *floorSession) Receive(msg []byte, link Link) error {
	if len(msg) == 1 && msg[0] == 'R' {
		link.Answered()
		link.Ready()
		return nil
	}
	link.Deliver(msg)
	return nil
}

func (s *floorSession) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	dst = append(dst, "P "...)
	dst = append(dst, topic...)
	dst = append(dst, ' ')
	return append(dst, payload...)
}

// AppendEcho subscribes to nothing, which is answered.
func (s *floorSession) AppendEcho(dst []byte) []byte { return append(dst, "S "...) }
