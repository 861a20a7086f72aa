package security

import (
	"fmt"
	"math/bits"
	"strings"
)

// GlobalPermission is a right that concerns no path. Its value is the code on
// the wire (protocol 32 section 6).
type GlobalPermission uint8

// The global permissions. Code 8 stands for codes that a client does not
// know; a server neither grants nor sends it.
const (
	Authenticate     GlobalPermission = 0  // register an authenticator, revoke authentication
	ViewSession      GlobalPermission = 1  // list, query and listen to sessions
	ModifySession    GlobalPermission = 2  // change, close and subscribe sessions
	RegisterHandler  GlobalPermission = 3  // register any handler
	ViewServer       GlobalPermission = 4  // read metrics, locks, logs, remote servers
	ControlServer    GlobalPermission = 5  // change metric collectors, alerts, remote servers
	ViewSecurity     GlobalPermission = 6  // read both security stores
	ModifySecurity   GlobalPermission = 7  // change both security stores
	unknownGlobal    GlobalPermission = 8  // never granted
	ReadTopicViews   GlobalPermission = 9  // list topic views
	ModifyTopicViews GlobalPermission = 10 // change topic views
)

// PathPermission is a right on a path and what lies below it. Its value is
// the code on the wire (protocol 32 section 6).
type PathPermission uint8

// The path permissions. Code 10 stands for codes that a client does not know;
// a server neither grants nor sends it.
const (
	ReadTopic                     PathPermission = 0  // receive or fetch a topic
	UpdateTopic                   PathPermission = 1  // update a topic
	ModifyTopic                   PathPermission = 2  // add and remove topics
	SendToMessageHandler          PathPermission = 3  // send a request to a path
	SendToSession                 PathPermission = 4  // send a request to sessions
	SelectTopic                   PathPermission = 5  // use a selector
	QueryObsoleteTimeSeriesEvents PathPermission = 6  // query other than the current view
	EditTimeSeriesEvents          PathPermission = 7  // edit any event
	EditOwnTimeSeriesEvents       PathPermission = 8  // edit the session's own events
	AcquireLock                   PathPermission = 9  // take a session lock; its name is the path
	unknownPath                   PathPermission = 10 // never granted
	ExposeBranch                  PathPermission = 11 // use a branch in a session tree
)

var globalNames = [...]string{
	Authenticate:     "AUTHENTICATE",
	ViewSession:      "VIEW_SESSION",
	ModifySession:    "MODIFY_SESSION",
	RegisterHandler:  "REGISTER_HANDLER",
	ViewServer:       "VIEW_SERVER",
	ControlServer:    "CONTROL_SERVER",
	ViewSecurity:     "VIEW_SECURITY",
	ModifySecurity:   "MODIFY_SECURITY",
	unknownGlobal:    "UNKNOWN_GLOBAL_PERMISSION",
	ReadTopicViews:   "READ_TOPIC_VIEWS",
	ModifyTopicViews: "MODIFY_TOPIC_VIEWS",
}

var pathNames = [...]string{
	ReadTopic:                     "READ_TOPIC",
	UpdateTopic:                   "UPDATE_TOPIC",
	ModifyTopic:                   "MODIFY_TOPIC",
	SendToMessageHandler:          "SEND_TO_MESSAGE_HANDLER",
	SendToSession:                 "SEND_TO_SESSION",
	SelectTopic:                   "SELECT_TOPIC",
	QueryObsoleteTimeSeriesEvents: "QUERY_OBSOLETE_TIME_SERIES_EVENTS",
	EditTimeSeriesEvents:          "EDIT_TIME_SERIES_EVENTS",
	EditOwnTimeSeriesEvents:       "EDIT_OWN_TIME_SERIES_EVENTS",
	AcquireLock:                   "ACQUIRE_LOCK",
	unknownPath:                   "UNKNOWN_PATH_PERMISSION",
	ExposeBranch:                  "EXPOSE_BRANCH",
}

// String returns the name that scripts and documents use, such as
// "VIEW_SESSION".
func (p GlobalPermission) String() string {
	if int(p) < len(globalNames) {
		return globalNames[p]
	}
	return fmt.Sprintf("GlobalPermission(%d)", uint8(p))
}

// String returns the name that scripts and documents use, such as
// "READ_TOPIC".
func (p PathPermission) String() string {
	if int(p) < len(pathNames) {
		return pathNames[p]
	}
	return fmt.Sprintf("PathPermission(%d)", uint8(p))
}

// GlobalSet is a set of global permissions. The zero value is empty.
type GlobalSet uint16

// PathSet is a set of path permissions. The zero value is empty.
type PathSet uint16

const (
	allGlobal = GlobalSet(1<<len(globalNames)-1) &^ (1 << unknownGlobal)
	allPath   = PathSet(1<<len(pathNames)-1) &^ (1 << unknownPath)
)

// Globals returns the set of the given permissions.
func Globals(permissions ...GlobalPermission) GlobalSet {
	var s GlobalSet
	for _, p := range permissions {
		s |= 1 << p
	}
	return s & allGlobal
}

// Paths returns the set of the given permissions.
func Paths(permissions ...PathPermission) PathSet {
	var s PathSet
	for _, p := range permissions {
		s |= 1 << p
	}
	return s & allPath
}

// Has reports whether p is in the set.
func (s GlobalSet) Has(p GlobalPermission) bool { return s&(1<<p) != 0 }

// Has reports whether p is in the set.
func (s PathSet) Has(p PathPermission) bool { return s&(1<<p) != 0 }

// List returns the permissions in the order of their codes.
func (s GlobalSet) List() []GlobalPermission { return list[GlobalPermission](uint16(s)) }

// List returns the permissions in the order of their codes.
func (s PathSet) List() []PathPermission { return list[PathPermission](uint16(s)) }

// String returns the names in the order of their codes, as in a script:
// "[VIEW_SESSION MODIFY_SESSION]".
func (s GlobalSet) String() string { return names(s.List()) }

// String returns the names in the order of their codes, as in a script:
// "[READ_TOPIC SELECT_TOPIC]".
func (s PathSet) String() string { return names(s.List()) }

func list[P ~uint8](set uint16) []P {
	permissions := make([]P, 0, bits.OnesCount16(set))
	for ; set != 0; set &= set - 1 {
		permissions = append(permissions, P(bits.TrailingZeros16(set)))
	}
	return permissions
}

func names[P fmt.Stringer](permissions []P) string {
	var b strings.Builder
	b.WriteByte('[')
	for i, p := range permissions {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(p.String())
	}
	b.WriteByte(']')
	return b.String()
}
