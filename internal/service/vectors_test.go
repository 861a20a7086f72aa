package service

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"reflect"
	"testing"

	"advect.dev/internal/wire"
	"github.com/google/go-cmp/cmp"
)

// hexBytes is a byte string written as hexadecimal digits.
type hexBytes []byte

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// A vector is one body of the vectors, a request or a response.
type vector struct {
	name     string
	service  Declaration
	response bool
	body     []byte
	fields   json.RawMessage // nil, or what the body says; see describe
}

func (v vector) decode(b []byte) (any, error) {
	if v.response {
		return v.service.DecodeResponse(b)
	}
	return v.service.DecodeRequest(b)
}

func (v vector) encode(value any) []byte {
	if v.response {
		return v.service.EncodeResponse(nil, value)
	}
	return v.service.EncodeRequest(nil, value)
}

// A flowMessage has two spellings in the two files.
type flowMessage struct {
	Direction      string
	Message, Type  string
	Service        int32
	Conversation   string
	ConversationID string          `json:"conversation_id"`
	Body           *hexBytes       `json:"body_hex"`
	Fields         json.RawMessage `json:"fields"`
}

type exchange struct {
	Call         string `json:"sdk_call"`
	Service      int32
	RequestBody  *hexBytes       `json:"request_hex"`
	Request      json.RawMessage `json:"request"`
	ResponseBody *hexBytes       `json:"response_hex"`
	Response     json.RawMessage `json:"response"`
}

type vectorFile struct {
	Exchanges []exchange
	Flows     []struct {
		Name     string
		Messages []flowMessage
	}
	// Captured has what a server of the platform answered, in an older version
	// of the protocol in which the bodies are the same.
	Captured []struct {
		Exchanges []exchange
	} `json:"captured_from_real_server"`
}

// vectors returns each body of both files whose service is declared.
func vectors(t testing.TB) (list []vector) {
	t.Helper()
	for _, name := range []string{"services-topics.json", "services-sessions.json"} {
		data, err := os.ReadFile("../../testdata/vectors/" + name)
		if err != nil {
			t.Fatal(err)
		}
		var file vectorFile
		if err := json.Unmarshal(data, &file); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		list = append(list, exchanges("exchange", file.Exchanges)...)
		for _, capture := range file.Captured {
			list = append(list, exchanges("captured exchange", capture.Exchanges)...)
		}
		list = append(list, file.flows()...)
	}
	if len(list) < 850 {
		t.Fatalf("%d vectors of declared services, want at least 850", len(list))
	}
	return list
}

func exchanges(what string, all []exchange) (list []vector) {
	for i, e := range all {
		declared := Lookup(e.Service)
		if declared == nil {
			continue
		}
		name := fmt.Sprintf("%s %d %s", what, i, e.Call)
		if e.RequestBody != nil {
			list = append(list, vector{name + " request", declared, false, *e.RequestBody, e.Request})
		}
		if e.ResponseBody != nil {
			list = append(list, vector{name + " response", declared, true, *e.ResponseBody, e.Response})
		}
	}
	return list
}

// flows finds the service of each response by its conversation, of which the
// two directions have separate spaces (02 section 4.4).
func (file *vectorFile) flows() (list []vector) {
	for _, flow := range file.Flows {
		asked := make(map[string]Declaration)
		for i, m := range flow.Messages {
			name := fmt.Sprintf("flow %s message %d", flow.Name, i)
			conversation := m.Conversation + m.ConversationID
			switch m.Message + m.Type {
			case "request":
				declared := Lookup(m.Service)
				asked[m.Direction+conversation] = declared
				if declared != nil && m.Body != nil {
					list = append(list, vector{name, declared, false, *m.Body, m.Fields})
				}
			case "response":
				opposite := map[string]string{"client->server": "server->client", "server->client": "client->server"}
				if declared := asked[opposite[m.Direction]+conversation]; declared != nil && m.Body != nil {
					list = append(list, vector{name, declared, true, *m.Body, m.Fields})
				}
			}
		}
	}
	return list
}

// refused lists the vectors that do not decode, by service and body. The
// official client refuses them too, but for status 2 of TOPIC_ADD, which it takes
// for "exists" and which no server sends.
var refused = map[string]bool{
	"TOPIC_ADD response 02":                             true, // unknown status
	"ADD_AND_SET_TOPIC response 02":                     true, // unknown result
	"CREATE_UPDATE_STREAM_AND_SET response 4d030000":    true, // an old form, without flags
	"TOPIC_DESCENDANT_EVENTS request b902017804":        true, // unknown kind of event
	"FETCH_QUERY response 000103612f310f00000300":       true, // unknown kind of size
	"TOPIC_REMOVAL response ":                           true, // the form of version 15
	"UNSUBSCRIPTION_NOTIFICATION request f50307":        true, // unknown reason
	"NOTIFY_SUBSCRIPTION request ff03057331302f610700":  true, // unknown topic type
	"SESSION_PROPERTIES_EVENT_2 request 11010102020a00": true, // a close reason of old
}

// withoutVector lists the services that no vector has: the vectors are from a
// client that does not call them. TestWithoutVector has examples.
var withoutVector = map[Declaration]bool{
	ServerControlRegistration: true, ServerControlDeregistration: true,
	Explain: true, // of this server alone
}

func (v vector) key() string {
	what := map[bool]string{false: "request", true: "response"}[v.response]
	return fmt.Sprintf("%s %s %x", v.service, what, v.body)
}

func TestVectors(t *testing.T) {
	covered := make(map[int32]bool)
	met := make(map[string]bool)
	described := 0
	for _, v := range vectors(t) {
		covered[v.service.Number()] = true
		value, err := v.decode(v.body)
		if refused[v.key()] {
			met[v.key()] = true
			if !errors.Is(err, wire.ErrMalformed) {
				t.Errorf("%s: decoded %+v, %v, want ErrMalformed", v.name, value, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", v.name, err)
			continue
		}
		if got := v.encode(value); !bytes.Equal(got, v.body) {
			testSameForm(t, v, value, got)
		}
		testPrefixes(t, v)
		if testFields(t, v, value) {
			described++
		}
	}
	if len(met) != len(refused) {
		t.Errorf("vectors to refuse: met %v of %v", met, refused)
	}
	for _, s := range All() {
		if covered[s.Number()] == withoutVector[s] {
			t.Errorf("%s: has a vector: %v, listed as without: %v", s, covered[s.Number()], withoutVector[s])
		}
	}
	if described < 750 {
		t.Errorf("only %d vectors were compared field by field", described)
	}
}

// testSameForm accepts other bytes only where a map had another order.
func testSameForm(t *testing.T, v vector, value any, encoded []byte) {
	t.Helper()
	again, err := v.decode(encoded)
	if err != nil || len(encoded) != len(v.body) || !reflect.DeepEqual(again, value) {
		t.Errorf("%s: %x is encoded again as %x, which decodes as %+v, %v, not %+v", v.name, v.body, encoded, again, err, value)
	}
}

// testPrefixes: no declared body has an optional tail or one that extends to
// the end of the message, so no strict prefix of a body is a body.
func testPrefixes(t *testing.T, v vector) {
	t.Helper()
	for n := range v.body {
		if value, err := v.decode(v.body[:n:n]); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %x cut to %d bytes: %+v, %v, want ErrMalformed", v.name, v.body, n, value, err)
		}
	}
	if _, err := v.decode(append(bytes.Clone(v.body), 0xff, 0xff)); err != nil {
		t.Errorf("%s: %x with trailing bytes: %v", v.name, v.body, err)
	}
}

// otherSpellings occur in the few descriptions that are not in the notation of
// others of the same service: numbers for names, or names for numbers.
var otherSpellings = []string{`"dataTypeId"`, `"sessionHigh"`, `"DESELECT"`}

// testFields compares what was decoded with the vector's own description and
// reports whether there is one.
func testFields(t *testing.T, v vector, value any) bool {
	t.Helper()
	if v.fields == nil {
		return false
	}
	for _, spelling := range otherSpellings {
		if bytes.Contains(v.fields, []byte(spelling)) {
			return false
		}
	}
	var want any
	if err := json.Unmarshal(v.fields, &want); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(describe(v.service, v.response, value))
	if err != nil {
		t.Fatal(err)
	}
	var got any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s: %x (-want +got):\n%s", v.name, v.body, diff)
	}
	return true
}
