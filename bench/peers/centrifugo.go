package peers

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
)

// Centrifugo is the stock Centrifugo 6 server. With Delta, its one namespace
// keeps the last publication and sends Fossil deltas, which needs positioning.
type Centrifugo struct{ Delta bool }

func (c Centrifugo) Name() string { return deltaName("centrifugo", c.Delta) }

// LeavesOut implements Adapter.
func (c Centrifugo) LeavesOut(scenario string) string { return centrifugeLeavesOut(c.Delta, scenario) }

// Guarantees implements Adapter.
func (c Centrifugo) Guarantees() Guarantees { return centrifugeGuarantees(c.Delta) }

func (Centrifugo) Endpoint() Endpoint { return Endpoint{Path: "/connection/websocket"} }

func (c Centrifugo) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("centrifugo")
	if err != nil {
		return nil, err
	}
	channel := map[string]any{
		"allow_subscribe_for_client":    true,
		"allow_subscribe_for_anonymous": true,
		"allow_publish_for_client":      true,
		"allow_publish_for_anonymous":   true,
	}
	if c.Delta {
		channel["allowed_delta_types"] = []string{"fossil"}
		channel["delta_publish"] = true
		channel["history_size"] = 1
		channel["history_ttl"] = "600s"
		channel["force_positioning"] = true
	}
	text, err := json.MarshalIndent(map[string]any{
		"http_server": map[string]any{"address": "127.0.0.1", "port": env.Port},
		"client":      map[string]any{"allow_anonymous_connect_without_token": true},
		"channel":     map[string]any{"without_namespace": channel},
		"usage_stats": map[string]any{"disabled": true},
		"log":         map[string]any{"level": "error"},
	}, "", "  ")
	if err != nil {
		return nil, err
	}
	conf, err := env.WriteConfig("centrifugo.json", string(text))
	if err != nil {
		return nil, err
	}
	return exec.Command(bin, "-c", conf), nil
}

func (c Centrifugo) Subscriber(_ int, topics []string) Session {
	return &centrifugeSession{topics: topics, delta: c.Delta}
}

func (Centrifugo) Publisher([]string) Publisher { return &centrifugeSession{} }

// Centrifuge is servers/centrifuge: the Go library that Centrifugo is built
// on, behind the smallest main function that allows what the runs need. It can
// be had from the Go module proxy where Centrifugo itself can not.
type Centrifuge struct{ Delta bool }

func (c Centrifuge) Name() string { return deltaName("centrifuge", c.Delta) }

// LeavesOut implements Adapter.
func (c Centrifuge) LeavesOut(scenario string) string { return centrifugeLeavesOut(c.Delta, scenario) }

// Guarantees implements Adapter.
func (c Centrifuge) Guarantees() Guarantees { return centrifugeGuarantees(c.Delta) }

func (Centrifuge) Endpoint() Endpoint { return Endpoint{Path: "/connection/websocket"} }

func (c Centrifuge) Command(env Env) (*exec.Cmd, error) {
	bin, err := env.Bin("centrifuge")
	if err != nil {
		return nil, err
	}
	return exec.Command(bin, "-port", itoa(env.Port), "-delta="+strconv.FormatBool(c.Delta)), nil
}

func (c Centrifuge) Subscriber(_ int, topics []string) Session {
	return &centrifugeSession{topics: topics, delta: c.Delta}
}

func (Centrifuge) Publisher([]string) Publisher { return &centrifugeSession{} }

func deltaName(name string, delta bool) string {
	if delta {
		return name + "-delta"
	}
	return name
}

// centrifugeLeavesOut keeps a delta variant to the one scenario where it differs.
func centrifugeLeavesOut(delta bool, scenario string) string {
	switch {
	case delta && scenario != "large":
		return SameAsBase
	case scenario == "subscribeall":
		return "no subscription to many channels by one selector"
	}
	return ""
}

func centrifugeGuarantees(delta bool) Guarantees {
	g := Guarantees{
		Order: "per channel", Recovery: "offered per channel; off by default, and here", Deltas: "offered; off here",
		BackPressure: "closes beyond 1 MiB",
		Permissions:  "checked when subscribing", Values: "offered (history); off here", Full: true,
	}
	if delta {
		g.Deltas, g.Values = "Fossil", "the last publication"
	}
	return g
}

// centrifugeSession speaks the Centrifugal client protocol in JSON: commands
// and replies, one a line, several a message.
type centrifugeSession struct {
	topics  []string
	delta   bool
	pending int               // subscribe replies still to come
	command uint64            // last command id
	last    map[string][]byte // with delta: the current document of each channel
}

func (s *centrifugeSession) Open(link Link) {
	link.Send(s.appendCommand(nil, `"connect":{}`))
}

func (s *centrifugeSession) appendCommand(dst []byte, body string) []byte {
	s.command++
	return fmt.Appendf(dst, `{"id":%d,%s}`, s.command, body)
}

func (s *centrifugeSession) Receive(msg []byte, link Link) error {
	for line := range bytes.SplitSeq(msg, []byte{'\n'}) {
		if err := s.reply(line, link); err != nil {
			return err
		}
	}
	return nil
}

func (s *centrifugeSession) reply(line []byte, link Link) error {
	switch {
	case len(line) == 0:
	case bytes.Contains(line, []byte(`"publish":`)):
		link.Answered()
	case bytes.HasPrefix(line, []byte(`{"push":`)):
		return s.push(line, link)
	case len(line) == 2: // {} is a ping, and its own answer
		link.Send(line)
	case bytes.Contains(line, []byte(`"error":`)):
		return errors.New("centrifugo: " + string(line))
	case bytes.Contains(line, []byte(`"connect":`)):
		if len(s.topics) == 0 {
			link.Ready()
			return nil
		}
		var out []byte
		option := ""
		if s.delta {
			option = `,"delta":"fossil"`
		}
		for _, t := range s.topics {
			out = s.appendCommand(out, fmt.Sprintf(`"subscribe":{"channel":%q%s}`, t, option))
			out = append(out, '\n')
		}
		s.pending = len(s.topics)
		link.Send(out)
	case bytes.Contains(line, []byte(`"subscribe":`)):
		if s.delta && !bytes.Contains(line, []byte(`"delta":true`)) {
			return errors.New("centrifugo: no delta: " + string(line))
		}
		if s.pending--; s.pending == 0 {
			link.Ready()
		}
	case bytes.Contains(line, []byte(`"disconnect":`)):
		return errors.New("centrifugo: " + string(line))
	}
	return nil
}

// push handles {"push":{"channel":"t1","pub":{"data":DATA,...}}}. With delta,
// DATA is a JSON string that holds the document or a Fossil delta to it.
func (s *centrifugeSession) push(line []byte, link Link) error {
	const mark = `"data":`
	at := bytes.Index(line, []byte(mark))
	if at < 0 {
		return nil // a join, a leave or another push without data
	}
	data := line[at+len(mark):]
	if !s.delta {
		link.Deliver(data)
		return nil
	}
	var push struct {
		Push struct {
			Channel string
			Pub     struct {
				Data  string
				Delta bool
			}
		}
	}
	if err := json.Unmarshal(line, &push); err != nil {
		return fmt.Errorf("centrifugo: %w", err)
	}
	channel, pub := push.Push.Channel, push.Push.Pub
	doc := []byte(pub.Data)
	if pub.Delta {
		var err error
		if doc, err = applyFossil(s.last[channel], doc); err != nil {
			return err
		}
	}
	if s.last == nil {
		s.last = make(map[string][]byte)
	}
	s.last[channel] = doc
	link.Deliver(doc)
	return nil
}

func (s *centrifugeSession) AppendPublish(dst []byte, topic string, payload []byte) []byte {
	s.command++
	dst = append(dst, `{"id":`...)
	dst = strconv.AppendUint(dst, s.command, 10)
	dst = append(dst, `,"publish":{"channel":"`...)
	dst = append(dst, topic...)
	dst = append(dst, `","data":`...)
	dst = append(dst, payload...)
	return append(dst, "}}"...)
}

// AppendEcho appends nothing: each publication is answered.
func (s *centrifugeSession) AppendEcho(dst []byte) []byte { return dst }
