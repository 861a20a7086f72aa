// Package peers holds one adapter for each server that peerbench can measure.
//
// # Adding a server
//
// A new server is one new file in this package:
//
//  1. Implement Adapter (how to start the server, how a subscriber and a
//     publisher speak its protocol). nats.go is a short complete example.
//  2. Add it to the list in All, below. The order there is the order of the
//     tables.
//  3. Put the server's binary where Command looks for it: Env.Bin finds a
//     program in the cache folder that install-peers.sh fills.
//
// An adapter holds protocol only. Sockets, WebSocket framing, clocks, counting
// and verification belong to internal/load and are the same for every peer, so
// that the client's cost is the same for every peer as well.
package peers

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// Adapter is a server under test: how to start it and how to speak to it.
//
// Methods are called from one goroutine at a time, but a Session's methods run
// on the client's event loop; they must not block and must not keep the slices
// that they are handed.
type Adapter interface {
	// Name is what the -peers flag and the tables call this server.
	Name() string

	// LeavesOut says why this adapter takes no part in a scenario, in a few
	// words for the document, or returns "" when it does. A variant, such as a
	// delta mode, leaves out what it does as its base adapter does.
	LeavesOut(scenario string) string

	// Guarantees says what the server promises as it is measured. The document
	// shows it beside the figures, so that a fast server that promises little
	// is seen to do so.
	Guarantees() Guarantees

	// Command returns the command that serves WebSocket on 127.0.0.1:env.Port.
	// It must be the server process itself, not a wrapper that forks it,
	// because CPU and memory are read from that one pid. Configuration files
	// go to env.WorkDir. The server must listen on loopback only.
	Command(env Env) (*exec.Cmd, error)

	// Endpoint says how to open a WebSocket to the server.
	Endpoint() Endpoint

	// Subscriber returns the protocol state of one client that subscribes to
	// all of topics. id is unique within a run.
	Subscriber(id int, topics []string) Session

	// Publisher returns the protocol state of the publishing client. It
	// connects before all subscribers, so a server whose topics must exist can
	// be given them before the client is ready.
	Publisher(topics []string) Publisher
}

// Guarantees are short phrases for a table; each says what there is, or "none".
type Guarantees struct {
	Order        string // of messages to a subscriber
	Recovery     string // of what is missed while a connection is lost
	Deltas       string
	BackPressure string // what becomes of a subscriber that reads too slowly
	Permissions  string // as measured
	Values       string // whether a late subscriber gets the last value

	// Full marks the servers that offer order, recovery, deltas and permissions,
	// measured with them or not: those whose sessions have as much to remember.
	Full bool
}

// Wildcard is implemented by adapters of servers that keep the last value of a
// topic and give it to those who subscribe later, to any number of topics with
// one selector. Their publishers are Keepers.
type Wildcard interface {
	// SubscriberToAll returns a client that subscribes to all topics below
	// branch, a name without separators.
	SubscriberToAll(id int, branch string) Session
}

// Authorised is implemented by adapters whose publisher needs another endpoint
// than its subscribers, because it holds credentials.
type Authorised interface{ PublisherEndpoint() Endpoint }

// Endpoint is the target of the WebSocket handshake.
type Endpoint struct {
	Path        string // request target, such as "/connection/websocket"
	Subprotocol string // Sec-WebSocket-Protocol, or empty
	Binary      bool   // client messages are binary rather than text
}

// Session is the client side of one connection, without any I/O.
type Session interface {
	// Open is called once, when the WebSocket is open.
	Open(link Link)

	// Receive is called with each complete WebSocket data message. The slice
	// is reused after the call. An error ends the connection, and the run
	// counts it.
	Receive(msg []byte, link Link) error
}

// Publisher is a Session that can also publish.
type Publisher interface {
	Session

	// AppendPublish appends one WebSocket message (unframed) that publishes
	// payload, a JSON object, to topic.
	AppendPublish(dst []byte, topic string, payload []byte) []byte

	// AppendEcho appends a message (unframed) that the server answers when it
	// has handled all before it, upon which the session calls Link.Answered. It
	// appends nothing if the server answers each publication instead.
	AppendEcho(dst []byte) []byte
}

// Keeper is a Publisher that can give a topic a value for those who subscribe
// later. The server answers as it does to AppendPublish.
type Keeper interface {
	Publisher

	// AppendKeep appends one WebSocket message (unframed) that creates topic,
	// which is new, and sets it.
	AppendKeep(dst []byte, topic string, payload []byte) []byte
}

// Resumable is a Session that can go on after its connection was cut, with
// nothing lost.
type Resumable interface {
	Session

	// Resume returns where to connect to again. The next message to Receive is
	// the first of the new connection; Link.Ready reports that it goes on.
	Resume() Endpoint
}

// Link is what a Session acts on.
type Link interface {
	// Send sends one WebSocket message to the server.
	Send(msg []byte)

	// Ready reports, once, that the server has confirmed the connection and
	// every subscription.
	Ready()

	// Answered reports that the server has answered a publication, or an echo.
	Answered()

	// Deliver hands over one received publication. payload[0] is the first
	// byte of the published JSON object; bytes of the peer's envelope may
	// follow the object.
	Deliver(payload []byte)
}

// Env is what Command may use.
type Env struct {
	Port     int    // the WebSocket port to listen on, at 127.0.0.1
	CacheDir string // what install-peers.sh filled
	BenchDir string // the root of this module, for servers/
	WorkDir  string // a scratch folder of this run
	Profile  string // a file for a CPU profile, of servers that can write one; or empty
}

// Bin returns the path of a program that install-peers.sh installed.
func (e Env) Bin(name string) (string, error) {
	path := filepath.Join(e.CacheDir, "bin", name)
	if _, err := os.Stat(path); err != nil {
		return "", fmt.Errorf("%s is not installed (see install-peers.sh): %w", name, err)
	}
	return path, nil
}

// WriteConfig writes a configuration file into the scratch folder.
func (e Env) WriteConfig(name, text string) (string, error) {
	path := filepath.Join(e.WorkDir, name)
	return path, os.WriteFile(path, []byte(text), 0o644)
}

// FreePort returns a TCP port on 127.0.0.1 that nothing listens on right now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// Reasons for LeavesOut that several adapters give.
const (
	keepsNothing = "keeps no value of a topic"

	// SameAsBase is why a variant leaves out a scenario that its base measures.
	SameAsBase = "same as without the variant"
)

// All lists every adapter. Add a new server here.
func All() []Adapter {
	return []Adapter{
		Floor{},
		Advect{},
		Advect{ValuesOnly: true},
		Nats{},
		Mosquitto{},
		Mochi{},
		Centrifuge{},
		Centrifuge{Delta: true},
		Centrifugo{},
		Centrifugo{Delta: true},
		SocketIO{},
	}
}
