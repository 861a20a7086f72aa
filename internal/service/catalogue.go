package service

// all lists every declared service, in the order of 20 section 1.
var all = []Declaration{
	Subscribe, Unsubscribe, ChangePrincipal, CloseClient,
	TopicControlRegistration, TopicControlDeregistration, UnsubscriptionNotification, MissingTopic,
	SystemPing, UserPing, TopicRemoval, RangeQuery, NotifySubscription,
	NotificationDeregistration, TopicEvent, DescendantEvent, NotificationSelection, NotificationDeselection,
	TimeSeriesAppend, TimeSeriesEdit, TopicAdd, FetchQuery, SetTopic, AddAndSetTopic,
	AcquireSessionLock, CancelAcquireSessionLock, ReleaseSessionLock,
	CreateStream, CreateStreamAndSet, CheckStream, StreamSet, StreamApplyDelta, StreamAdd, StreamAddAndSet,
	ListGlobalPermissions, ListPathPermissions, ApplyJSONPatch, TimeSeriesTimestampAppend,
	GetSessionLock, GetSessionLocks, UnsubscribeAll, GetOwnSessionProperties, ReAuthenticate,
}

// All returns every declared service.
func All() []Declaration { return all }

// Lookup returns the declared service of an id, or nil.
func Lookup(id int32) Declaration {
	for _, s := range all {
		if s.Number() == id {
			return s
		}
	}
	return nil
}
