package advect

import "fmt"

// A GlobalPermission allows what is for no path (protocol 32 section 6).
type GlobalPermission byte

// The global permissions.
const (
	PermissionAuthenticate     GlobalPermission = 0  // register authenticators, revoke authentications
	PermissionViewSession      GlobalPermission = 1  // list sessions and listen to them
	PermissionModifySession    GlobalPermission = 2  // change, close and subscribe sessions
	PermissionRegisterHandler  GlobalPermission = 3  // register handlers of any kind
	PermissionViewServer       GlobalPermission = 4  // read metrics, locks and the log
	PermissionControlServer    GlobalPermission = 5  // metric collectors, alerts, remote servers
	PermissionViewSecurity     GlobalPermission = 6  // read the two stores
	PermissionModifySecurity   GlobalPermission = 7  // change the two stores
	PermissionReadTopicViews   GlobalPermission = 9  // list topic views
	PermissionModifyTopicViews GlobalPermission = 10 // change topic views
)

var globalPermissions = map[GlobalPermission]string{
	PermissionAuthenticate: "AUTHENTICATE", PermissionViewSession: "VIEW_SESSION", PermissionModifySession: "MODIFY_SESSION",
	PermissionRegisterHandler: "REGISTER_HANDLER", PermissionViewServer: "VIEW_SERVER",
	PermissionControlServer: "CONTROL_SERVER", PermissionViewSecurity: "VIEW_SECURITY",
	PermissionModifySecurity: "MODIFY_SECURITY", PermissionReadTopicViews: "READ_TOPIC_VIEWS",
	PermissionModifyTopicViews: "MODIFY_TOPIC_VIEWS",
}

// String returns the platform's name of the permission, such as "VIEW_SESSION".
func (p GlobalPermission) String() string {
	if name, ok := globalPermissions[p]; ok {
		return name
	}
	return fmt.Sprintf("GLOBAL_PERMISSION_%d", byte(p))
}

// A PathPermission allows something for a path and what is below it: of topics,
// requests or locks.
type PathPermission byte

// The path permissions.
const (
	PermissionReadTopic                     PathPermission = 0 // receive or fetch topics
	PermissionUpdateTopic                   PathPermission = 1
	PermissionModifyTopic                   PathPermission = 2 // add and remove topics
	PermissionSendToMessageHandler          PathPermission = 3 // [SendRequest]
	PermissionSendToSession                 PathPermission = 4 // [SendRequestToSession] and [SendRequestToFilter]
	PermissionSelectTopic                   PathPermission = 5 // use selectors
	PermissionQueryObsoleteTimeSeriesEvents PathPermission = 6
	PermissionEditTimeSeriesEvents          PathPermission = 7
	PermissionEditOwnTimeSeriesEvents       PathPermission = 8
	PermissionAcquireLock                   PathPermission = 9 // the path is the name of the lock
	PermissionExposeBranch                  PathPermission = 11
)

var pathPermissions = map[PathPermission]string{
	PermissionReadTopic: "READ_TOPIC", PermissionUpdateTopic: "UPDATE_TOPIC", PermissionModifyTopic: "MODIFY_TOPIC",
	PermissionSendToMessageHandler: "SEND_TO_MESSAGE_HANDLER", PermissionSendToSession: "SEND_TO_SESSION",
	PermissionSelectTopic:                   "SELECT_TOPIC",
	PermissionQueryObsoleteTimeSeriesEvents: "QUERY_OBSOLETE_TIME_SERIES_EVENTS",
	PermissionEditTimeSeriesEvents:          "EDIT_TIME_SERIES_EVENTS",
	PermissionEditOwnTimeSeriesEvents:       "EDIT_OWN_TIME_SERIES_EVENTS",
	PermissionAcquireLock:                   "ACQUIRE_LOCK", PermissionExposeBranch: "EXPOSE_BRANCH",
}

// String returns the platform's name of the permission, such as "READ_TOPIC".
func (p PathPermission) String() string {
	if name, ok := pathPermissions[p]; ok {
		return name
	}
	return fmt.Sprintf("PATH_PERMISSION_%d", byte(p))
}
