package service

import (
	"encoding/hex"
	"fmt"

	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

type object = map[string]any

// describe returns a decoded body in the notation of the vectors, which is
// independent of this package's codecs.
func describe(s Declaration, response bool, value any) any {
	switch v := value.(type) {
	case Empty:
		return object{}
	case Bool:
		return bool(v)
	case Count:
		return object{"count": int32(v)}
	case Text:
		return object{textNames[s]: string(v)}
	case Created:
		if s == TopicAdd {
			return object{"status": [...]string{"ADDED", "EXISTS"}[v]}
		}
		return object{"result": [...]string{"CREATED", "EXISTS"}[v]}
	case Permissions:
		codes := make([]int, len(v))
		for i, c := range v {
			codes[i] = int(c)
		}
		return object{"permissions": codes}
	case OptionalProperties:
		if !v.Present {
			return nil
		}
		return v.Properties
	case Selection:
		return object{"selector": v.Selector, "scope": v.Scope}
	case SessionRequest:
		return object{"sessionId": v.Session.String()}
	case Subscription:
		return object{"topicId": v.Topic, "path": v.Path, "specification": describeSpecification(v.Specification)}
	case Unsubscription:
		return object{"topicId": v.Topic, "reason": v.Reason.String()}
	case PrincipalRequest:
		return object{"principal": v.Principal, "credentials": describeCredentials(v.Credentials)}
	case ReAuthenticateRequest:
		return object{"principal": v.Principal, "credentials": describeCredentials(v.Credentials),
			"proposedProperties": describeProperties(v.Properties)}
	case AddRequest:
		return object{"path": v.Path, "specification": describeSpecification(v.Specification)}
	case SetRequest:
		return object{"path": v.Path, "topicType": v.Type.String(), "value": describeBytes(v.Value), "constraint": describeConstraint(&v.Constraint)}
	case AddAndSetRequest:
		return object{"path": v.Path, "specification": describeSpecification(v.Specification),
			"value": describeBytes(v.Value), "constraint": describeConstraint(&v.Constraint)}
	case CreateStreamRequest:
		return object{"path": v.Path, "topicType": v.Type.String(), "constraint": describeConstraint(&v.Constraint)}
	case StreamID:
		return object{"streamId": describeStream(v)}
	case StreamRequest:
		what := "value"
		if s == StreamApplyDelta {
			what = "delta"
		}
		return object{"streamId": describeStream(v.ID), what: describeBytes(v.Bytes)}
	case StreamAddRequest:
		return object{"path": v.Path, "specification": describeSpecification(v.Specification), "constraint": describeConstraint(&v.Constraint)}
	case NewStream:
		return object{"streamId": describeStream(v.ID), "flags": v.Flags}
	case AddedStream:
		return object{"result": [...]string{"CREATED", "EXISTS"}[v.Created], "streamId": describeStream(v.ID), "flags": v.Flags}
	case PatchRequest:
		return object{"path": v.Path, "patch": v.Patch, "constraint": describeConstraint(&v.Constraint)}
	case PatchResult:
		return object{"failedOperation": int32(v)}
	case Conversation:
		if s == SessionEventDeregistration {
			return object{"conversationId": int64(v)}
		}
		return object{"handlerConversation": int64(v)}
	case ListenerSelection:
		return object{"handlerConversation": v.Listener, "selector": v.Selector}
	case TopicNotification:
		return object{"handlerConversation": v.Listener, "path": v.Path, "type": v.Kind.String(),
			"specification": describeSpecification(v.Specification)}
	case DescendantNotification:
		return object{"handlerConversation": v.Listener, "path": v.Path, "type": v.Kind.String()}
	case PathRegistration:
		return object{"definition": v.Definition, "group": v.Group, "path": v.Path, "handlerConversation": v.Handler}
	case PathDeregistration:
		return object{"definition": v.Definition, "group": v.Group, "path": v.Path}
	case MissingTopicRequest:
		return object{"selector": v.Selector, "sessionProperties": describeProperties(v.Properties),
			"serverNames": append([]string{}, v.Servers...), "handlerConversation": v.Handler}
	case ControlParameters:
		return object{"definition": v.Definition, "group": v.Group}
	case ControlRegistration:
		return object{"definition": v.Definition, "group": v.Group, "handlerConversation": v.Handler}
	case LockRequest:
		return object{"lockName": v.Lock, "requestId": v.Request, "scope": v.Scope}
	case LockCancellation:
		return object{"lockName": v.Lock, "requestId": v.Request}
	case Acquisition:
		return object{"lockName": v.Lock, "sequence": v.Sequence, "scope": v.Scope}
	case OptionalLock:
		if !v.Held {
			return nil
		}
		return describeLock(v.LockDetails)
	case LockMap:
		o := object{}
		for name, details := range v {
			o[name] = describeLock(details)
		}
		return o
	case EventMetadata:
		return object{"sequence": v.Sequence, "timestamp": v.Timestamp, "author": v.Author}
	case AppendRequest:
		return object{"path": v.Path, "dataType": v.DataType, "value": describeBytes(v.Value)}
	case TimestampAppendRequest:
		return object{"path": v.Path, "dataType": v.DataType, "value": describeBytes(v.Value), "timestamp": v.Timestamp}
	case EditRequest:
		return object{"path": v.Path, "dataType": v.DataType, "originalSequence": v.Sequence, "value": describeBytes(v.Value)}
	case RangeQueryRequest:
		return describeRangeQuery(v)
	case RangeQueryResult:
		return describeRangeResult(v)
	case Query:
		return describeQuery(v)
	case QueryResult:
		return describeResult(v)
	}
	for _, describe := range []func(any) any{describeErrors, describeMessaging, describeClients, describeListeners, describeSecurity, describeMetrics} {
		if o := describe(value); o != nil {
			return o
		}
	}
	panic(fmt.Sprintf("no description of %T: add it for the vectors of %s", value, s))
}

// textNames has what the vectors call the field of a Text.
var textNames = map[Declaration]string{
	TopicRemoval: "selector", UnsubscribeAll: "selector", ListPathPermissions: "path", GetSessionLock: "lockName",
	CloseClientFilter: "filter", UpdateSystemAuthentication: "script", UpdateSecurityConfiguration: "script",
	RemoveSessionMetricCollector: "name", RemoveTopicMetricCollector: "name", RemoveMetricAlert: "name",
}

func describeBytes(b []byte) string { return "hex:" + hex.EncodeToString(b) }

func describeProperties(m map[string]string) any {
	if m == nil {
		return object{}
	}
	return m
}

func describeSpecification(s topic.Specification) any {
	return object{"type": s.Type.String(), "properties": describeProperties(s.Properties)}
}

func describeCredentials(c wire.Credentials) any {
	switch c.Kind {
	case wire.PasswordCredentials:
		return object{"type": 1, "password": string(c.Data)}
	case wire.CustomCredentials:
		return object{"type": 2, "bytes": describeBytes(c.Data)}
	}
	return object{"type": 0, "length": len(c.Data)}
}

func describeLock(d LockDetails) any {
	return object{"serverName": d.Server, "sessionId": d.Owner.String(), "sequence": d.Sequence}
}

func describeStream(id StreamID) any {
	return object{"topicId": id.Topic, "instance": id.Instance, "partitionPlusOne": id.Partition, "generation": id.Generation}
}

func describeRangeQuery(q RangeQueryRequest) any {
	point := func(p Point) any {
		types := [...]string{"ABSOLUTE_START", "ABSOLUTE_SEQUENCE", "ABSOLUTE_TIME", "OFFSET_SEQUENCE", "OFFSET_TIME",
			"NEXT_COUNT", "NEXT_TIME", "PREVIOUS_COUNT", "PREVIOUS_TIME"}
		return object{"value": p.Value, "type": types[p.Type]}
	}
	events := func(e EventRange) any { return object{"anchor": point(e.Anchor), "span": point(e.Span)} }
	return object{
		"path": q.Path, "queryType": [...]string{"VALUES", "ALL_EDITS", "LATEST_EDITS"}[q.Type],
		"viewRange": events(q.View), "editRange": events(q.Edit), "limit": q.Limit,
	}
}

func describeRangeResult(r RangeQueryResult) any {
	metadata := func(m EventMetadata) object {
		return object{"sequence": m.Sequence, "timestamp": m.Timestamp, "authorCode": describeBytes([]byte(m.Author))}
	}
	items := []any{}
	for _, item := range r.Items {
		var o object
		switch item.Kind {
		case OriginalItem:
			o = metadata(item.Event.EventMetadata)
			o["item"], o["value"] = "original", describeBytes(item.Event.Value)
		case EditItem:
			o = object{"item": "edit", "original": metadata(item.Event.Original), "edit": metadata(item.Event.EventMetadata),
				"value": describeBytes(item.Event.Value)}
		case OffsetItem:
			o = object{"item": "offsets", "sequence": item.Sequence, "timestamp": item.Timestamp}
		case AuthorItem:
			o = object{"item": "author", "code": describeBytes(item.Code), "author": item.Author}
		}
		items = append(items, o)
	}
	return object{"dataType": r.DataType, "selectedCount": r.Selected, "items": items}
}

func describeQuery(q Query) any {
	limit := func(l *Limit) any {
		if l == nil {
			return nil
		}
		return object{"path": l.Path, "inclusive": l.Inclusive}
	}
	types := []string{}
	for t := topic.Binary; t <= topic.Unknown; t++ {
		if q.Types&(1<<t) != 0 {
			types = append(types, t.String())
		}
	}
	return object{
		"selector": q.Selector, "from": limit(q.From), "to": limit(q.To), "topicTypes": types,
		"withValues": q.Values, "withProperties": q.Properties, "limit": q.Limit, "maximumResultSize": q.MaxResultSize,
		"deepBranchDepth": q.DeepBranchDepth, "deepBranchLimit": q.DeepBranchLimit,
		"withUnpublishedDelayedTopics": q.Unpublished, "withSizes": q.Sizes,
	}
}

func describeResult(r QueryResult) any {
	sets, topics := []any{}, []any{}
	for _, set := range r.PropertySets {
		sets = append(sets, describeProperties(set))
	}
	for _, t := range r.Topics {
		var value any
		if t.Value != nil {
			value = describeBytes(*t.Value)
		}
		size := object{"kind": "none"}
		switch t.Size.Kind {
		case ValueSize:
			size = object{"kind": "simple", "size": t.Size.Value}
		case TimeSeriesSize:
			size = object{"kind": "timeSeries", "size": t.Size.Value, "count": t.Size.Events, "total": t.Size.Total}
		}
		topics = append(topics, object{"path": t.Path, "topicType": t.Type.String(), "value": value,
			"propertiesIndex": t.PropertySet, "size": size})
	}
	return object{"properties": sets, "results": topics, "hasMore": r.More}
}

func describeConstraint(c *Constraint) any {
	kinds := [...]string{"UNCONSTRAINED", "CONJUNCTION", "TOPIC_VALUE", "NO_VALUE", "LOCKED", "NO_TOPIC", "PARTIAL_JSON", "DISJUNCTION"}
	o := object{"kind": kinds[c.Kind]}
	condition := func(c Condition) object {
		operators := [...]string{1: "IS", 2: "EQ", 3: "NE", 4: "GT", 5: "GE", 6: "LT", 7: "LE"}
		types := [...]string{"NULL", "STRING", "INT64", "DOUBLE", "BINARY", "JSON", "RECORD_V2", "BOOLEAN"}
		return object{"operator": operators[c.Operator], "valueType": types[c.Type], "value": describeBytes(c.Value)}
	}
	switch c.Kind {
	case Conjunction, Disjunction:
		o["left"], o["right"] = describeConstraint(c.Left), describeConstraint(c.Right)
	case TopicValue:
		for key, value := range condition(c.Condition) {
			o[key] = value
		}
	case Locked:
		o["lock"], o["sequence"] = c.Lock, c.Sequence
	case PartialJSON:
		with := object{}
		for pointer, c := range c.With {
			with[pointer] = condition(c)
		}
		o["with"], o["without"] = with, append([]string{}, c.Without...)
	}
	return o
}
