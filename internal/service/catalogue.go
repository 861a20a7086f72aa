package service

// all lists every declared service, in the order of their numbers (20 section 1).
var all = []Declaration{
	Subscribe, Unsubscribe, ChangePrincipal, SubscribeClient, UnsubscribeClient, CloseClient, SetClientConflation,
	ServerControlRegistration, ServerControlDeregistration, TopicControlRegistration, TopicControlDeregistration,
	UnsubscriptionNotification, MissingTopic, SystemPing, UserPing,
	GetSystemAuthentication, UpdateSystemAuthentication, GetSecurityConfiguration, UpdateSecurityConfiguration,
	FilterSubscribe, FilterUnsubscribe, GetSessionProperties,
	SessionPropertiesRegistration, SessionPropertiesEvent, TopicRemoval, RangeQuery,
	MessagingSend, MessagingToSession, NotifySubscription, MessagingToHandler,
	NotificationDeregistration, TopicEvent, DescendantEvent, NotificationSelection, NotificationDeselection,
	RequestHandlerRegistration, RequestHandlerDeregistration, TimeSeriesAppend, TimeSeriesEdit,
	MessagingToFilter, FilterResponse, SetSessionProperties, SetSessionPropertiesFilter,
	TopicAdd, AcquireSessionLock, CancelAcquireSessionLock, ReleaseSessionLock, FetchQuery, SetTopic,
	AuthenticatorRegistration, Authenticator, AuthenticatorDeregistration, AddAndSetTopic,
	ChangeAuthorisationRoles, ChangeAuthorisationRolesFilter,
	CreateStream, CreateStreamAndSet, CheckStream, StreamSet, StreamApplyDelta, StreamAdd, StreamAddAndSet,
	FetchLogEntries, PutSessionMetricCollector, RemoveSessionMetricCollector, ListSessionMetricCollectors,
	GetServerMetrics, ListGlobalPermissions, ListPathPermissions, GetEntityClassMetrics,
	PutTopicMetricCollector, RemoveTopicMetricCollector, ListTopicMetricCollectors, FetchJMXValues,
	ApplyJSONPatch, CloseClientFilter, SetClientConflationFilter, TimeSeriesTimestampAppend, SessionFetch,
	GetMetrics, SetMetricAlert, ListMetricAlerts, SessionEventRegistration, SessionEventDeregistration,
	RemoveMetricAlert, GetSessionLock, GetSessionLocks, GetSelectors,
	UnsubscribeAll, UnsubscribeAllByFilter, UnsubscribeAllControl,
	GetOwnSessionProperties, ReAuthenticate, RevokeAuthentication,
	Explain,
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
