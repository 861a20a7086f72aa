package engine

import (
	"advect.dev/internal/security"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
)

// handlers is the table of services: what each needs, and what serves it. Every
// other service id is answered UNSUPPORTED.
func handlers() map[int32]handler {
	return map[int32]handler{
		service.SystemPing.ID: serves(service.SystemPing, anyone[service.Empty](), pong),
		service.UserPing.ID:   serves(service.UserPing, anyone[service.Empty](), pong),

		service.Subscribe.ID:      serves(service.Subscribe, onPath(selectionPrefix, security.SelectTopic), (*Session).subscribe),
		service.Unsubscribe.ID:    serves(service.Unsubscribe, anyone[service.Selection](), (*Session).unsubscribe),
		service.UnsubscribeAll.ID: serves(service.UnsubscribeAll, anyone[service.Text](), (*Session).unsubscribeAll),
		service.FetchQuery.ID:     serves(service.FetchQuery, onPath(queryPrefix, security.SelectTopic), (*Session).fetch),

		service.TopicAdd.ID:       serves(service.TopicAdd, onPath(addPath, security.ModifyTopic), (*Session).addTopic),
		service.TopicRemoval.ID:   serves(service.TopicRemoval, anyone[service.Text](), (*Session).removeTopics),
		service.SetTopic.ID:       serves(service.SetTopic, onPath(setPath, security.UpdateTopic), (*Session).setTopic),
		service.AddAndSetTopic.ID: serves(service.AddAndSetTopic, onPath(addAndSetPath, security.ModifyTopic, security.UpdateTopic), (*Session).addAndSetTopic),

		service.ApplyJSONPatch.ID:     serves(service.ApplyJSONPatch, onPath(patchPath, security.UpdateTopic), (*Session).patchTopic),
		service.CreateStream.ID:       serves(service.CreateStream, onPath(createStreamPath, security.UpdateTopic), (*Session).createStream),
		service.CreateStreamAndSet.ID: serves(service.CreateStreamAndSet, onPath(setPath, security.UpdateTopic), (*Session).createStreamAndSet),
		service.StreamAdd.ID:          serves(service.StreamAdd, onPath(streamAddPath, security.ModifyTopic, security.UpdateTopic), (*Session).streamAdd),
		service.StreamAddAndSet.ID:    serves(service.StreamAddAndSet, onPath(addAndSetPath, security.ModifyTopic, security.UpdateTopic), (*Session).streamAddAndSet),
		service.CheckStream.ID:        serves(service.CheckStream, anyone[service.StreamID](), (*Session).checkStream),
		service.StreamSet.ID:          serves(service.StreamSet, anyone[service.StreamRequest](), (*Session).streamSet),
		service.StreamApplyDelta.ID:   serves(service.StreamApplyDelta, anyone[service.StreamRequest](), (*Session).streamApplyDelta),

		service.TimeSeriesAppend.ID:          serves(service.TimeSeriesAppend, onPath(appendPath, security.UpdateTopic), (*Session).appendEvent),
		service.TimeSeriesTimestampAppend.ID: serves(service.TimeSeriesTimestampAppend, onPath(timestampAppendPath, security.UpdateTopic), (*Session).appendEventAt),
		service.TimeSeriesEdit.ID:            serves(service.TimeSeriesEdit, onPath(editPath, security.UpdateTopic), (*Session).editEvent),
		service.RangeQuery.ID:                serves(service.RangeQuery, onPath(rangePath, security.ReadTopic), (*Session).rangeQuery),

		service.NotificationSelection.ID:      serves(service.NotificationSelection, onPath(listenerPrefix, security.SelectTopic), (*Session).listen),
		service.NotificationDeselection.ID:    serves(service.NotificationDeselection, anyone[service.ListenerSelection](), (*Session).unlisten),
		service.NotificationDeregistration.ID: serves(service.NotificationDeregistration, anyone[service.Conversation](), (*Session).closeListener),

		service.TopicControlRegistration.ID:   serves(service.TopicControlRegistration, global[service.PathRegistration](security.RegisterHandler), (*Session).registerMissing),
		service.TopicControlDeregistration.ID: serves(service.TopicControlDeregistration, anyone[service.PathDeregistration](), (*Session).deregisterMissing),

		service.AcquireSessionLock.ID:       defers(service.AcquireSessionLock, onPath(lockName, security.AcquireLock), (*Session).acquireLock),
		service.CancelAcquireSessionLock.ID: serves(service.CancelAcquireSessionLock, anyone[service.LockCancellation](), (*Session).cancelLock),
		service.ReleaseSessionLock.ID:       serves(service.ReleaseSessionLock, anyone[service.Acquisition](), (*Session).releaseLock),
		service.GetSessionLock.ID:           serves(service.GetSessionLock, global[service.Text](security.ViewServer), (*Session).getLock),
		service.GetSessionLocks.ID:          serves(service.GetSessionLocks, global[service.Empty](security.ViewServer), (*Session).getLocks),

		service.GetMetrics.ID:                   serves(service.GetMetrics, global[service.MetricsRequest](security.ViewServer), (*Session).getMetrics),
		service.GetServerMetrics.ID:             serves(service.GetServerMetrics, global[service.Empty](security.ViewServer), (*Session).serverMetrics),
		service.GetEntityClassMetrics.ID:        serves(service.GetEntityClassMetrics, global[service.EntityClassRequest](security.ViewServer), (*Session).entityClassMetrics),
		service.FetchJMXValues.ID:               serves(service.FetchJMXValues, global[service.JMXRequest](security.ViewServer), (*Session).fetchJMX),
		service.FetchLogEntries.ID:              serves(service.FetchLogEntries, global[service.LogRequest](security.ViewServer), (*Session).fetchLog),
		service.PutSessionMetricCollector.ID:    serves(service.PutSessionMetricCollector, global[service.SessionMetricCollector](security.ControlServer), (*Session).putSessionCollector),
		service.RemoveSessionMetricCollector.ID: serves(service.RemoveSessionMetricCollector, global[service.Text](security.ControlServer), (*Session).removeSessionCollector),
		service.ListSessionMetricCollectors.ID:  serves(service.ListSessionMetricCollectors, global[service.Empty](security.ViewServer), (*Session).listSessionCollectors),
		service.PutTopicMetricCollector.ID:      serves(service.PutTopicMetricCollector, global[service.TopicMetricCollector](security.ControlServer), (*Session).putTopicCollector),
		service.RemoveTopicMetricCollector.ID:   serves(service.RemoveTopicMetricCollector, global[service.Text](security.ControlServer), (*Session).removeTopicCollector),
		service.ListTopicMetricCollectors.ID:    serves(service.ListTopicMetricCollectors, global[service.Empty](security.ViewServer), (*Session).listTopicCollectors),
		service.SetMetricAlert.ID:               serves(service.SetMetricAlert, global[service.MetricAlertRequest](security.ControlServer), (*Session).setAlert),
		service.ListMetricAlerts.ID:             serves(service.ListMetricAlerts, global[service.Empty](security.ControlServer), (*Session).listAlerts),
		service.RemoveMetricAlert.ID:            serves(service.RemoveMetricAlert, global[service.Text](security.ControlServer), (*Session).removeAlert),

		service.GetOwnSessionProperties.ID:     serves(service.GetOwnSessionProperties, anyone[service.Empty](), (*Session).ownProperties),
		service.ListGlobalPermissions.ID:       serves(service.ListGlobalPermissions, anyone[service.Empty](), (*Session).globalPermissions),
		service.ListPathPermissions.ID:         serves(service.ListPathPermissions, anyone[service.Text](), (*Session).pathPermissions),
		service.GetSystemAuthentication.ID:     serves(service.GetSystemAuthentication, global[service.Empty](security.ViewSecurity), (*Session).systemAuthentication),
		service.UpdateSystemAuthentication.ID:  defers(service.UpdateSystemAuthentication, global[service.Text](security.ModifySecurity), (*Session).updateSystemAuthentication),
		service.GetSecurityConfiguration.ID:    serves(service.GetSecurityConfiguration, global[service.Empty](security.ViewSecurity), (*Session).securityConfiguration),
		service.UpdateSecurityConfiguration.ID: serves(service.UpdateSecurityConfiguration, global[service.Text](security.ModifySecurity), (*Session).updateSecurityConfiguration),
		service.Explain.ID:                     serves(service.Explain, global[service.ExplainRequest](security.ViewSecurity), (*Session).explain),
		service.ReAuthenticate.ID:              defers(service.ReAuthenticate, anyone[service.ReAuthenticateRequest](), (*Session).reAuthenticate),
		service.ChangePrincipal.ID:             defers(service.ChangePrincipal, anyone[service.PrincipalRequest](), (*Session).changePrincipal),
		service.RevokeAuthentication.ID:        serves(service.RevokeAuthentication, global[service.SessionRequest](security.ModifySession, security.Authenticate), (*Session).revoke),
		service.AuthenticatorRegistration.ID:   defers(service.AuthenticatorRegistration, global[service.NameRegistration](security.RegisterHandler, security.Authenticate), (*Session).registerAuthenticator),
		service.AuthenticatorDeregistration.ID: serves(service.AuthenticatorDeregistration, anyone[service.NameDeregistration](), (*Session).deregisterAuthenticator),

		service.MessagingSend.ID:                forwards(service.MessagingSend, onPath(sendPath, security.SendToMessageHandler), (*Session).sendToPath),
		service.MessagingToSession.ID:           forwards(service.MessagingToSession, onPath(sessionSendPath, security.SendToSession), (*Session).sendToSession),
		service.MessagingToFilter.ID:            serves(service.MessagingToFilter, onPath(filterSendPath, security.SendToSession), (*Session).sendToFilter),
		service.RequestHandlerRegistration.ID:   defers(service.RequestHandlerRegistration, global[service.RequestHandler](security.RegisterHandler), (*Session).registerRequestHandler),
		service.RequestHandlerDeregistration.ID: serves(service.RequestHandlerDeregistration, anyone[service.RequestHandlerParameters](), (*Session).deregisterRequestHandler),

		service.GetSessionProperties.ID:       serves(service.GetSessionProperties, global[service.PropertiesQuery](security.ViewSession), (*Session).getProperties),
		service.SetSessionProperties.ID:       serves(service.SetSessionProperties, global[service.PropertiesRequest](security.ViewSession, security.ModifySession), (*Session).setProperties),
		service.SetSessionPropertiesFilter.ID: serves(service.SetSessionPropertiesFilter, global[service.FilterPropertiesRequest](security.ViewSession, security.ModifySession), (*Session).setPropertiesByFilter),
		service.SessionFetch.ID:               serves(service.SessionFetch, global[service.SessionQuery](security.ViewSession), (*Session).fetchSessions),
		service.GetSelectors.ID:               serves(service.GetSelectors, global[service.SessionRequest](security.ViewSession), (*Session).selectors),

		service.SessionPropertiesRegistration.ID: defers(service.SessionPropertiesRegistration, anyone[service.PropertiesListener](), (*Session).observeProperties),
		service.SessionEventRegistration.ID:      defers(service.SessionEventRegistration, global[service.EventListener](security.ViewSession, security.RegisterHandler), (*Session).observeEvents),
		service.SessionEventDeregistration.ID:    serves(service.SessionEventDeregistration, anyone[service.Conversation](), (*Session).closeObserver),
		service.ServerControlRegistration.ID:     serves(service.ServerControlRegistration, global[service.ControlRegistration](security.RegisterHandler), (*Session).handleQueueEvents),
		service.ServerControlDeregistration.ID:   serves(service.ServerControlDeregistration, anyone[service.ControlParameters](), (*Session).ignoreQueueEvents),

		service.CloseClient.ID:                    defers(service.CloseClient, global[service.SessionRequest](security.ModifySession), (*Session).closeClient),
		service.CloseClientFilter.ID:              defers(service.CloseClientFilter, global[service.Text](security.ViewSession, security.ModifySession), (*Session).closeClients),
		service.SetClientConflation.ID:            serves(service.SetClientConflation, global[service.ConflationRequest](security.ModifySession), (*Session).setConflation),
		service.SetClientConflationFilter.ID:      serves(service.SetClientConflationFilter, global[service.FilterConflationRequest](security.ViewSession, security.ModifySession), (*Session).setConflations),
		service.ChangeAuthorisationRoles.ID:       serves(service.ChangeAuthorisationRoles, global[service.RolesRequest](security.ModifySession), (*Session).changeRoles),
		service.ChangeAuthorisationRolesFilter.ID: serves(service.ChangeAuthorisationRolesFilter, global[service.FilterRolesRequest](security.ViewSession, security.ModifySession), (*Session).changeRolesByFilter),

		service.SubscribeClient.ID:        serves(service.SubscribeClient, controls(clientSelector), (*Session).subscribeClient),
		service.UnsubscribeClient.ID:      serves(service.UnsubscribeClient, controls(clientSelector), (*Session).unsubscribeClient),
		service.FilterSubscribe.ID:        serves(service.FilterSubscribe, controls(filterSelector), (*Session).subscribeByFilter),
		service.FilterUnsubscribe.ID:      serves(service.FilterUnsubscribe, controls(filterSelector), (*Session).unsubscribeByFilter),
		service.UnsubscribeAllControl.ID:  serves(service.UnsubscribeAllControl, controls(allScopesSelector), (*Session).unsubscribeClientFromAll),
		service.UnsubscribeAllByFilter.ID: serves(service.UnsubscribeAllByFilter, controls(allScopesByFilter), (*Session).unsubscribeFromAllByFilter),
	}
}

func pong(*Session, service.Empty) (service.Empty, error) { return service.Empty{}, nil }

func addPath(r *service.AddRequest) string                         { return topic.Canonical(r.Path) }
func setPath(r *service.SetRequest) string                         { return topic.Canonical(r.Path) }
func addAndSetPath(r *service.AddAndSetRequest) string             { return topic.Canonical(r.Path) }
func patchPath(r *service.PatchRequest) string                     { return topic.Canonical(r.Path) }
func createStreamPath(r *service.CreateStreamRequest) string       { return topic.Canonical(r.Path) }
func streamAddPath(r *service.StreamAddRequest) string             { return topic.Canonical(r.Path) }
func appendPath(r *service.AppendRequest) string                   { return topic.Canonical(r.Path) }
func timestampAppendPath(r *service.TimestampAppendRequest) string { return topic.Canonical(r.Path) }
func editPath(r *service.EditRequest) string                       { return topic.Canonical(r.Path) }
func rangePath(r *service.RangeQueryRequest) string                { return topic.Canonical(r.Path) }
