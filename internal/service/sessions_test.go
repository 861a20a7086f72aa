package service

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"

	"advect.dev/internal/wire"
	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func pointer[T any](v T) *T { return &v }

// TestWithoutVector has what the vectors lack: services that their client does not
// call (the example is a capture of 35 section 2), and answers that its tests did
// not meet, written by the tables of 30 to 34.
func TestWithoutVector(t *testing.T) {
	parameters := ControlParameters{Definition: QueueEvent, Group: DefaultGroup}
	reports := Errors{{"bad filter", 1, 3}}
	tested := make(map[Declaration]bool)
	for _, test := range []struct {
		service  Declaration
		response bool
		body     string
		value    any
	}{
		{ServerControlRegistration, false, "0d0764656661756c7406", ControlRegistration{parameters, 6}},
		{ServerControlRegistration, true, "", Empty{}},
		{ServerControlDeregistration, false, "0d0764656661756c74", parameters},
		{ServerControlDeregistration, true, "", Empty{}},
		{Explain, false, "000361626303585f59036d2f6e", ExplainRequest{Principal: "abc", Permission: "X_Y", Path: "m/n"}},
		{Explain, true, "01010172016101620102017201730174", Explanation{Granted: true, Roles: []string{"r"}, Path: "a", At: "b", Via: [][]string{{"r", "s"}}, Text: "t"}},
		{MessagingToFilter, true, "0003", FlaggedCount{Count: 3}},
		{MessagingToFilter, true, "01010a6261642066696c7465720103", FlaggedCount{Errors: reports}},
		{SessionEventRegistration, true, "00", Errors(nil)},
		{SessionEventRegistration, true, "010a6261642066696c7465720103", reports},
		{FetchLogEntries, true, "000000000000", LogEntries{Text: []byte{}}},
		{FetchJMXValues, true, "01016101680b756e737570706f72746564",
			JMXResult{"a": {Err: &wire.ServiceError{Code: wire.CodeUnsupported, Description: "unsupported"}}}},
		{SessionFetch, false, "0000010001000180808080080000",
			SessionQuery{From: pointer[int64](0), To: pointer[int64](0), Limit: pointer(int32(math.MinInt32))}},
	} {
		v := vector{service: test.service, response: test.response}
		v.name = fmt.Sprintf("%s %s", test.service, test.body)
		v.body, _ = hex.DecodeString(test.body)
		value, err := v.decode(v.body)
		if diff := cmp.Diff(test.value, value); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", v.name, err, diff)
			continue
		}
		if got := v.encode(test.value); !bytes.Equal(got, v.body) {
			t.Errorf("%s: encoded as %x", v.name, got)
		}
		testPrefixes(t, v)
		tested[test.service] = true
	}
	for s := range withoutVector {
		if !tested[s] {
			t.Errorf("%s has neither a vector nor an example", s)
		}
	}
}

// TestSessionRefusals: what no reader of these bodies would understand.
func TestSessionRefusals(t *testing.T) {
	for name, test := range map[string]struct {
		service  Declaration
		response bool
		value    any
	}{
		"kind of selection":    {GetSelectors, true, ScopedSelectors{"": {{"?a", 2}}}},
		"type of event":        {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: 3}}}},
		"type of update":       {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionUpdated, Update: 4}}}},
		"kind of change 0":     {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionUpdated, Changes: []PropertyChange{{Kind: 0}}}}}},
		"kind of change 5":     {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionUpdated, Changes: []PropertyChange{{Kind: 5}}}}}},
		"close reason 10":      {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionClosed, Reason: 10}}}},
		"close reason 16":      {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionClosed, Reason: 16}}}},
		"decision":             {Authenticator, true, Authentication{Decision: 3}},
		"anonymous action":     {GetSystemAuthentication, true, SystemAuthentication{Anonymous: 3}},
		"kind of validation":   {GetSystemAuthentication, true, SystemAuthentication{Trusted: map[string]Validation{"a": {Kind: 2}}}},
		"target":               {GetMetrics, false, MetricsRequest{Target: 3}},
		"type of metric":       {GetMetrics, true, Metrics{"a": {{Type: 8}}}},
		"credentials":          {Authenticator, false, AuthenticationRequest{PrincipalRequest: PrincipalRequest{Credentials: wire.Credentials{Kind: 3}}}},
		"property change kind": {SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionUpdated, Changes: []PropertyChange{{Kind: 255}}}}}},
	} {
		v := vector{service: test.service, response: test.response}
		if got, err := v.decode(v.encode(test.value)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, got, err)
		}
	}
	for name, test := range map[string]struct {
		service  Declaration
		response bool
		body     []byte
	}{
		"kind of registration":       {SessionPropertiesRegistration, false, []byte{2, 7}},
		"count failed without error": {FilterSubscribe, true, []byte{1, 0}},
		"fetch failed without error": {SessionFetch, true, []byte{1, 0}},
		"label without value":        {GetMetrics, true, []byte{1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 1, 1, 'a', 0}},
		"value without label":        {GetMetrics, true, []byte{1, 0, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1, 'a'}},
	} {
		v := vector{service: test.service, response: test.response}
		if got, err := v.decode(test.body); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, got, err)
		}
	}
}

// TestAbsentAndEmpty: forms that say the same are read as the same.
func TestAbsentAndEmpty(t *testing.T) {
	for _, test := range []struct {
		service  Declaration
		response bool
		one, two []byte
	}{
		{SetSessionProperties, false, []byte{1, 2, 0, 0}, []byte{1, 2, 1, 0, 1, 0}},
		{SetSessionProperties, true, []byte{0, 0}, []byte{1, 0, 1, 0}},
		{SessionEventRegistration, false, []byte{1, 0, 0, 0, 7}, []byte{1, 0, 1, 0, 1, 0, 7}},
		{SessionFetch, false, []byte{0, 0, 0, 0, 0, 1, 1}, []byte{0, 1, 0, 0, 0, 0, 1, 1}},
		{GetSessionProperties, true, []byte{1, 0}, []byte{2, 0}},
	} {
		v := vector{service: test.service, response: test.response}
		one, err1 := v.decode(test.one)
		two, err2 := v.decode(test.two)
		if err1 != nil || err2 != nil || !reflect.DeepEqual(one, two) {
			t.Errorf("%s: %x is %+v, %v; %x is %+v, %v", test.service, test.one, one, err1, test.two, two, err2)
		}
	}
}

// TestLeastElements: collections of as many elements as fit are read.
func TestLeastElements(t *testing.T) {
	for _, test := range []struct {
		service  Declaration
		response bool
		value    any
		rest     int // bytes of the body that are not of the element
		least    int
	}{
		{UpdateSystemAuthentication, true, Errors{{}}, 1, minErrorReport},
		{SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{}}}, 2, minSessionEvent},
		{SessionPropertiesEvent, false, SessionEvents{Events: []SessionEvent{{Type: SessionUpdated, Changes: []PropertyChange{{Kind: PropertyNew}}}}},
			7, minPropertyChange},
		{SessionFetch, true, SessionQueryResult{Sessions: []FetchedSession{{}}}, 3, MinFetchedSession},
		{GetSelectors, true, ScopedSelectors{"": {{}}}, 3, minSelectorChange},
		{GetSystemAuthentication, true, SystemAuthentication{Principals: []SystemPrincipal{{}}}, 4, minSystemPrincipal},
		{GetSystemAuthentication, true, SystemAuthentication{Trusted: map[string]Validation{"": {}}}, 5, minValidation},
		{GetSecurityConfiguration, true, SecurityConfiguration{Roles: []Role{{Global: Permissions{}, Default: Permissions{}}}}, 4, minRole},
		{ListSessionMetricCollectors, true, SessionMetricCollectors{{}}, 1, minSessionMetricCollector},
		{ListTopicMetricCollectors, true, TopicMetricCollectors{{}}, 1, minTopicMetricCollector},
		{GetMetrics, true, Metrics{"": {{}}}, 3, minMetricCollection},
		{GetMetrics, true, Metrics{"": {{Samples: []MetricSample{{}}}}}, 7, minMetricSample},
		{ListMetricAlerts, true, MetricAlerts{{}}, 1, minMetricAlert},
		{FetchJMXValues, true, JMXResult{"": {CBOR: []byte{}}}, 2, minJMXValues},
		{GetServerMetrics, true, ServerMetrics{"": {"": 0}}, 3, 2},
		{GetEntityClassMetrics, true, EntityClassMetrics{Tables: []EntityTable{{}}}, 2, 2},
		{GetEntityClassMetrics, true, EntityClassMetrics{Tables: []EntityTable{{Rows: []EntityRow{{}}}}}, 4, 2},
	} {
		v := vector{service: test.service, response: test.response}
		body := v.encode(test.value)
		if len(body) != test.rest+test.least {
			t.Errorf("%s: %+v takes %d bytes, want %d and %d", test.service, test.value, len(body), test.rest, test.least)
		}
		if got, err := v.decode(body); err != nil || !reflect.DeepEqual(got, test.value) {
			t.Errorf("%s: %+v, %v, want %+v", test.service, got, err, test.value)
		}
	}
}

// TestMetricValues: every double travels with all of its bits, as 34 section 2
// writes them.
func TestMetricValues(t *testing.T) {
	encode := func(value float64) []byte {
		return GetMetrics.EncodeResponse(nil, Metrics{"": {{Samples: []MetricSample{{Value: value}}}}})
	}
	const before = 7 // bytes of the body ahead of the value
	want, _ := hex.DecodeString("80808080808080fc3f")
	if got := encode(1.5)[before:]; !bytes.HasPrefix(got, want) {
		t.Errorf("1.5 is %x, want %x", got, want)
	}
	rapid.Check(t, func(t *rapid.T) {
		value := math.Float64frombits(rapid.OneOf(rapid.Uint64(), rapid.Map(rapid.Float64(), math.Float64bits),
			rapid.SampledFrom([]uint64{0, 1 << 63, 0x7ff0000000000001, 0xfff8000000000001, math.MaxUint64})).Draw(t, "bits"))
		got, err := GetMetrics.ReadResponse(encode(value))
		if err != nil {
			t.Fatal(err)
		}
		if bits := math.Float64bits(got[""][0].Samples[0].Value); bits != math.Float64bits(value) {
			t.Errorf("%x became %x", math.Float64bits(value), bits)
		}
	})
}

func TestSessionNames(t *testing.T) {
	names := func(count int, name func(int) string) (all []string) {
		for n := range count {
			all = append(all, name(n))
		}
		return all
	}
	for _, test := range []struct{ got, want []string }{
		{names(4, func(n int) string { return SessionEventType(n).String() }), []string{"OPEN", "UPDATE", "CLOSE", "UNKNOWN_3"}},
		{names(5, func(n int) string { return SessionUpdateType(n).String() }),
			[]string{"UPDATED", "RECONNECTED", "FAILED_OVER", "DISCONNECTED", "UNKNOWN_4"}},
		{names(6, func(n int) string { return PropertyChangeKind(n).String() }),
			[]string{"UNKNOWN_0", "NEW", "CHANGE", "REMOVE", "SAME", "UNKNOWN_5"}},
		{names(17, func(n int) string { return CloseReason(n).String() }), []string{"CONNECTION_LOST", "IO_EXCEPTION",
			"CLIENT_UNRESPONSIVE", "MESSAGE_QUEUE_LIMIT_REACHED", "CLOSED_BY_CLIENT", "MESSAGE_TOO_LARGE", "INTERNAL_ERROR",
			"INVALID_INBOUND_MESSAGE", "ABORTED", "LOST_MESSAGES", "UNKNOWN_10", "CLOSED_BY_CONTROLLER", "FAILED_OVER",
			"EXPIRED", "REVOKED", "SESSION_TAKEN_OVER", "UNKNOWN_16"}},
		{names(9, func(n int) string { return MetricType(n).String() }), []string{"COUNTER", "GAUGE", "INFO", "HISTOGRAM",
			"GAUGE_HISTOGRAM", "STATE_SET", "SUMMARY", "UNKNOWN", "UNKNOWN_8"}},
		{names(3, func(n int) string { return SelectionKind(n).String() }), []string{"SELECT", "DESELECT", "UNKNOWN_2"}},
		{names(4, func(n int) string { return AuthenticationDecision(n).String() }), []string{"DENY", "ABSTAIN", "ALLOW", "UNKNOWN_3"}},
		{names(4, func(n int) string { return AnonymousAction(n).String() }), []string{"ALLOW", "DENY", "ABSTAIN", "UNKNOWN_3"}},
	} {
		if !slices.Equal(test.got, test.want) {
			t.Errorf("names %v, want %v", test.got, test.want)
		}
	}
}
