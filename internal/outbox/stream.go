package outbox

// A Source has the newest state of a topic. Its methods may be called with the
// session's lock held, so they must not block or take locks of their own order.
type Source interface {
	// Path returns the topic's path. A session has one open stream for a path.
	Path() string
	// Newest returns the message that sets the newest value, and its version.
	// A nil message means that there is none to fall back to.
	Newest() (value *Message, version uint64)
	// BackPressure returns the message that ends a stream for whose updates a
	// session is too slow.
	BackPressure() *Message
}

// An Update is one change of a topic's value, as messages that are made when
// first asked for and shared by all sessions.
type Update interface {
	Version() uint64
	Value() *Message // sets the value
	Delta() *Message // takes version-1 to version; nil if there is no point in it
}

// Conflation says what becomes of a stream's updates when a session is too slow
// for them (12 section 12.3).
type Conflation uint8

// The policies. Back pressure begins when a queue exceeds its limits and ends
// when it has drained to half.
const (
	Conflate    Conflation = iota // under back pressure only the newest waits
	Never                         // all wait
	Always                        // only the newest waits, back pressure or not
	Unsubscribe                   // back pressure ends the stream
)

// Priority orders the messages of streams. A queue's other messages have the
// default priority.
type Priority int8

// The priorities.
const (
	Low     Priority = -1
	Default Priority = 0
	High    Priority = 1
)

// A Stream is the state of one subscription's updates in a session's queue.
// It is guarded by the lock that guards the queue.
type Stream struct {
	Source     Source
	Held       uint64 // version that the client holds after what is queued; 0: none
	Conflation Conflation
	Priority   Priority
	Tidy       bool // what is pending when the stream ends is dropped

	phase phase
	count int32  // of a droppable stream: pending updates that count in Limits.Messages
	slot  uint64 // index+1 in its lane of an update that a newer one may replace
	bytes int    // of a droppable stream: pending updates and values
}

type phase uint8

const (
	open    phase = iota
	ended         // no more updates
	dropped       // nor what is pending
)
