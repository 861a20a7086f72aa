package service

import "strings"

// The descriptions of this file are of bodies in services-sessions.json.

// with returns an object with the fields of all.
func with(all ...any) object {
	o := object{}
	for _, fields := range all {
		for key, value := range fields.(object) {
			o[key] = value
		}
	}
	return o
}

// listOf describes each element of a list.
func listOf[T any](list []T, describe func(T) any) []any {
	all := []any{}
	for _, v := range list {
		all = append(all, describe(v))
	}
	return all
}

// mapOf describes each value of a map.
func mapOf[T any](m map[string]T, describe func(T) any) object {
	o := object{}
	for key, v := range m {
		o[key] = describe(v)
	}
	return o
}

func describeStrings(list []string) any { return append([]string{}, list...) }

// describeOptionalStrings is for lists that are absent when they are empty.
func describeOptionalStrings(list []string) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func describeReports(errors Errors) any {
	return listOf(errors, func(e ErrorReport) any {
		return object{"message": e.Message, "line": e.Line, "column": e.Column}
	})
}

func describeErrors(value any) any {
	switch v := value.(type) {
	case Errors:
		return object{"errors": describeReports(v)}
	case CountOrErrors:
		return object{"count": v.Count, "errors": describeReports(v.Errors)}
	case FlaggedCount:
		if v.Errors != nil {
			return object{"status": 1, "errors": describeReports(v.Errors)}
		}
		return object{"status": 0, "selected": v.Count}
	}
	return nil
}

func describePayload(p Payload) any {
	return object{"dataType": p.DataType, "data": describeBytes(p.Data)}
}

func describeMessage(m MessageRequest) any {
	return with(object{"path": m.Path}, describePayload(m.Payload))
}

func describeHandler(p RequestHandlerParameters) any {
	return object{"definition": p.Definition, "group": p.Group, "path": p.Path, "keys": describeStrings(p.Keys)}
}

func describeMessaging(value any) any {
	switch v := value.(type) {
	case Payload:
		return describePayload(v)
	case MessageRequest:
		return describeMessage(v)
	case SessionMessage:
		return with(object{"sessionId": v.Session.String()}, describeMessage(v.MessageRequest))
	case HandlerMessage:
		return with(object{"conversationId": v.Handler, "sessionId": v.Sender.String(), "path": v.Path,
			"properties": describeProperties(v.Properties)}, describePayload(v.Payload))
	case RequestHandlerParameters:
		return describeHandler(v)
	case RequestHandler:
		return object{"params": describeHandler(v.RequestHandlerParameters), "conversationId": v.Handler}
	case FilterMessage:
		return with(object{"conversationId": v.Responses, "filter": v.Filter}, describeMessage(v.MessageRequest))
	case FilterAnswer:
		o := object{"conversationId": v.Responses, "sessionId": v.Session.String()}
		if v.Err != nil {
			return with(o, object{"status": 1, "errorCode": v.Err.Code, "errorDescription": v.Err.Description})
		}
		return with(o, object{"status": 0}, describePayload(v.Payload))
	}
	return nil
}

func describeClients(value any) any {
	selection := func(s Selection) any { return object{"selector": s.Selector, "scope": s.Scope} }
	roles := func(r RoleChanges) any {
		return object{"remove": describeStrings(r.Remove), "add": describeStrings(r.Add)}
	}
	changes := func(c PropertyChanges) any {
		o := object{"set": nil, "remove": describeOptionalStrings(c.Remove)}
		if c.Set != nil {
			o["set"] = c.Set
		}
		return o
	}
	switch v := value.(type) {
	case ClientSelection:
		return with(object{"sessionId": v.Session.String()}, selection(v.Selection))
	case FilterSelection:
		return with(object{"filter": v.Filter}, selection(v.Selection))
	case AllScopesRequest:
		return object{"selector": v.Selector, "sessionId": v.Session.String()}
	case AllScopesFilterRequest:
		return object{"selector": v.Selector, "filter": v.Filter}
	case ConflationRequest:
		return object{"sessionId": v.Session.String(), "conflate": v.Conflate}
	case FilterConflationRequest:
		return object{"filter": v.Filter, "conflate": v.Conflate}
	case RolesRequest:
		return with(object{"sessionId": v.Session.String()}, roles(v.RoleChanges))
	case FilterRolesRequest:
		return with(object{"filter": v.Filter}, roles(v.RoleChanges))
	case ScopedSelectors:
		return mapOf(v, func(changes SelectorChanges) any {
			return listOf(changes, func(c SelectorChange) any { return object{"selector": c.Selector, "type": c.Kind} })
		})
	case PropertiesQuery:
		return object{"sessionId": v.Session.String(), "keys": describeStrings(v.Keys)}
	case PropertiesRequest:
		return with(object{"sessionId": v.Session.String()}, changes(v.PropertyChanges))
	case FilterPropertiesRequest:
		return with(object{"filter": v.Filter}, changes(v.PropertyChanges))
	case PreviousProperties:
		o := object{"previousValues": nil, "added": describeOptionalStrings(v.Added)}
		if v.Values != nil {
			o["previousValues"] = v.Values
		}
		return o
	case SessionQuery:
		return object{"filter": v.Filter, "withProperties": describeOptionalStrings(v.Keys), "from": v.From, "to": v.To,
			"limit": v.Limit, "maximumResultSize": v.MaxResultSize, "requiresStartTime": v.StartTime}
	case SessionQueryResult:
		if v.Errors != nil {
			return object{"status": 1, "errors": describeReports(v.Errors)}
		}
		return object{"status": 0, "totalSelected": v.Total, "sessions": listOf(v.Sessions, func(s FetchedSession) any {
			return object{"startTime": s.StartTime, "properties": describeProperties(s.Properties)}
		})}
	}
	return nil
}

func describeListeners(value any) any {
	switch v := value.(type) {
	case PropertiesListener:
		if v.Deregister {
			return object{"kind": 1, "conversationId": v.Listener}
		}
		return object{"kind": 0, "keys": describeStrings(v.Keys), "conversationId": v.Listener}
	case EventListener:
		return object{"clusterAware": v.ClusterAware, "filter": v.Filter, "properties": describeOptionalStrings(v.Keys),
			"startTimeAfter": v.StartedAfter, "conversationId": v.Listener}
	case SessionEvents:
		return object{"conversationId": v.Listener, "events": listOf(v.Events, describeSessionEvent)}
	}
	return nil
}

func describeSessionEvent(e SessionEvent) any {
	o := object{"sessionId": e.Session.String(), "type": e.Type}
	switch e.Type {
	case SessionOpened:
		return with(o, object{"properties": describeProperties(e.Properties)})
	case SessionClosed:
		return with(o, object{"closeReason": e.Reason, "properties": describeProperties(e.Properties)})
	}
	return with(o, object{"updateType": e.Update, "entries": listOf(e.Changes, func(c PropertyChange) any {
		o := object{"key": c.Key, "change": c.Kind}
		switch c.Kind {
		case PropertyNew:
			return with(o, object{"new": c.New})
		case PropertyChanged:
			return with(o, object{"old": c.Old, "new": c.New})
		case PropertyRemoved:
			return with(o, object{"old": c.Old})
		}
		return with(o, object{"value": c.New})
	})})
}

func describeSecurity(value any) any {
	codes := func(p Permissions) any { return listOf(p, func(code byte) any { return code }) }
	switch v := value.(type) {
	case NameDeregistration:
		return object{"definition": v.Definition, "group": v.Group, "handlerName": v.Name}
	case NameRegistration:
		return object{"definition": v.Definition, "group": v.Group, "handlerName": v.Name, "conversationId": v.Handler}
	case AuthenticationRequest:
		return object{"principal": v.Principal, "credentials": describeCredentials(v.Credentials),
			"sessionProperties": describeProperties(v.Session), "proposedProperties": describeProperties(v.Proposed),
			"conversationId": v.Handler}
	case Authentication:
		if v.Decision == Allow {
			return object{"type": v.Decision, "properties": describeProperties(v.Properties)}
		}
		return object{"type": v.Decision}
	case SystemAuthentication:
		return object{
			"principals": listOf(v.Principals, func(p SystemPrincipal) any {
				return object{"name": p.Name, "roles": describeStrings(p.Roles), "lockedBy": p.LockedBy}
			}),
			"anonymousAction": v.Anonymous, "anonymousRoles": describeStrings(v.AnonymousRoles),
			"trustedClientProposedProperties": mapOf(v.Trusted, func(v Validation) any {
				if v.Kind == OneOfValues {
					return object{"type": v.Kind, "values": describeStrings(v.Values)}
				}
				return object{"type": v.Kind, "regex": v.Regex}
			}),
		}
	case SecurityConfiguration:
		return object{
			"anonymousRoles": describeStrings(v.AnonymousRoles), "namedRoles": describeStrings(v.NamedRoles),
			"isolatedPaths": describeStrings(v.IsolatedPaths),
			"roles": listOf(v.Roles, func(r Role) any {
				return object{"name": r.Name, "global": codes(r.Global), "default": codes(r.Default),
					"paths": mapOf(r.Paths, codes), "includes": describeStrings(r.Includes), "lockedBy": r.LockedBy}
			}),
		}
	}
	return nil
}

func describeMetrics(value any) any {
	switch v := value.(type) {
	case SessionMetricCollector:
		return describeSessionCollector(v)
	case SessionMetricCollectors:
		return object{"collectors": listOf(v, describeSessionCollector)}
	case TopicMetricCollector:
		return describeTopicCollector(v)
	case TopicMetricCollectors:
		return object{"collectors": listOf(v, describeTopicCollector)}
	case MetricsRequest:
		o := object{"filters": describeStrings(v.Names), "pattern": v.Pattern, "requestType": v.Target}
		if v.Target == NamedServer {
			o["server"] = v.Server
		}
		return o
	case Metrics:
		return mapOf(v, func(all MetricCollections) any { return listOf(all, describeMetric) })
	case MetricAlertRequest:
		return object{"name": v.Name, "specification": v.Specification}
	case MetricAlerts:
		return object{"alerts": listOf(v, func(a MetricAlert) any {
			return object{"name": a.Name, "specification": a.Specification, "principal": a.Principal, "roles": describeStrings(a.Roles)}
		})}
	case LogRequest:
		return object{"firstEntry": v.First, "entryCount": v.Count}
	case LogEntries:
		return object{"firstEntry": v.First, "entryCount": v.Count, "maxEntriesAvailable": v.Available,
			"firstLineNumber": v.FirstLine, "entries": describeBytes(v.Text), "fileId": v.File}
	case ServerMetrics:
		return v
	case EntityClassRequest:
		return object{"entityClass": v.Class, "serverName": v.Server}
	case EntityClassMetrics:
		key := func(labels []string) string { return "['" + strings.Join(labels, "', '") + "']" }
		tables := object{}
		for _, table := range v.Tables {
			rows := object{}
			for _, row := range table.Rows {
				rows[key(row.Labels)] = row.Values
			}
			tables[key(table.Labels)] = rows
		}
		return object{"metricNames": describeStrings(v.Metrics), "values": tables}
	case JMXRequest:
		return object{"names": describeStrings(v.Names), "clustered": v.Clustered}
	case JMXResult:
		return mapOf(v, func(j JMXValues) any {
			if j.Err != nil {
				return object{"tag": 1, "code": j.Err.Code, "description": j.Err.Description}
			}
			return object{"tag": 0, "cbor": describeBytes(j.CBOR)}
		})
	}
	return nil
}

func describeSessionCollector(c SessionMetricCollector) any {
	return object{"name": c.Name, "exportToPrometheus": c.Prometheus, "maximumGroups": c.MaxGroups,
		"removeMetricsWithNoMatches": c.RemoveEmpty, "sessionFilter": c.Filter, "groupByProperties": describeStrings(c.GroupBy)}
}

func describeTopicCollector(c TopicMetricCollector) any {
	return object{"name": c.Name, "exportToPrometheus": c.Prometheus, "maximumGroups": c.MaxGroups, "topicSelector": c.Selector,
		"groupByTopicType": c.GroupByType, "groupByTopicView": c.GroupByView, "groupByPathPrefixParts": c.GroupByPathParts}
}

func describeMetric(c MetricCollection) any {
	return object{"name": c.Name, "unit": c.Unit, "type": c.Type, "samples": listOf(c.Samples, func(s MetricSample) any {
		names, values := []string{}, []string{}
		for _, label := range s.Labels {
			names, values = append(names, label.Name), append(values, label.Value)
		}
		return object{"value": s.Value, "timestamp": s.Timestamp, "name": s.Name, "labelNames": names, "labelValues": values}
	})}
}
