package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"net/textproto"
	"reflect"
	"strings"
	"testing"
	"time"
)

// An observedRequest is a connect request of the official client.
type observedRequest struct {
	Case, Transport string
	Target          string `json:"request_target"` // WebSocket
	Headers         map[string]string
}

func (o observedRequest) parameters() Parameters {
	_, query, _ := strings.Cut(o.Target, "?")
	header := make(http.Header)
	for name, value := range o.Headers {
		header.Set(name, value)
	}
	return NewParameters(query, header)
}

func observedRequests(t testing.TB) []observedRequest {
	t.Helper()
	var v struct {
		Requests    []observedRequest
		ReconnectWS string            `json:"reconnect_request_websocket"`
		ReconnectLP map[string]string `json:"reconnect_request_polling_headers"`
	}
	readVectors(t, "handshake.json", &v)
	section(t, "requests", v.Requests)
	return append(v.Requests,
		observedRequest{Case: "reconnect", Transport: "WEBSOCKET", Target: v.ReconnectWS},
		observedRequest{Case: "reconnect", Transport: "HTTP polling", Headers: v.ReconnectLP})
}

func TestConnectRequestVectors(t *testing.T) {
	byCase := make(map[string]ConnectRequest) // of the WebSocket, to compare polling with
	for _, v := range observedRequests(t) {
		t.Run(v.Transport+"/"+v.Case, func(t *testing.T) {
			q, err := ParseConnectRequest(v.parameters())
			if err != nil {
				t.Fatal(err)
			}
			if q.Version != 29 || q.Capabilities != CapabilityZlib|CapabilityUnified || q.Properties["$Environment"] == "" {
				t.Errorf("parsed %+v", q)
			}
			if v.Transport == "WEBSOCKET" {
				testQuery(t, q, v.Target)
				byCase[v.Case] = q
				return
			}
			testHeaders(t, q, v.Headers)
			ws := byCase[v.Case]
			ws.Type, ws.LastServer = q.Type, q.LastServer // the one field that differs in a reconnection
			if !reflect.DeepEqual(q, ws) {
				t.Errorf("polling request %+v\nwebsocket request %+v", q, ws)
			}
		})
	}
}

// testQuery checks that q is sent as the official client sends it.
func testQuery(t *testing.T, q ConnectRequest, target string) {
	t.Helper()
	_, want, _ := strings.Cut(target, "?")
	got := q.Query()
	if len(q.Properties) == 1 && got != want { // the order of several is free
		t.Errorf("query %s\nwant  %s", got, want)
	}
	back, err := ParseConnectRequest(NewParameters(got, nil))
	if err != nil || !reflect.DeepEqual(back, q) {
		t.Errorf("query %s parses as %+v, %v\nwant %+v", got, back, err, q)
	}
}

func testHeaders(t *testing.T, q ConnectRequest, want map[string]string) {
	t.Helper()
	got := map[string]string{"m": "0"}
	header := make(http.Header)
	q.Header(func(name, value string) { got[name] = value; header.Set(name, value) })
	if len(q.Properties) == 1 && !maps.Equal(got, want) {
		t.Errorf("headers %v\nwant    %v", got, want)
	}
	back, err := ParseConnectRequest(NewParameters("", header))
	if err != nil || !reflect.DeepEqual(back, q) {
		t.Errorf("headers %v parse as %+v, %v\nwant %+v", got, back, err, q)
	}
}

func TestConnectRequestFields(t *testing.T) {
	want := map[string]ConnectRequest{
		"no options":                              {},
		"principal only":                          {Principal: "joe", Named: true, Credentials: Password("")},
		"empty principal":                         {Named: true, Credentials: Password("")},
		"principal and string credentials":        {Principal: "control", Named: true, Credentials: Password("password")},
		"non-ASCII principal and credentials":     {Principal: "jö e+&=", Named: true, Credentials: Password("pâss€")},
		"Uint8Array credentials":                  {Principal: "a", Named: true, Credentials: Credentials{CustomCredentials, []byte{1, 2, 255}}},
		"credentials without principal (ignored)": {},
		"reconnect":                               {Token: "8j/qMkxT8Iw2dwqeFA9gEzpA", OldestClient: 1, ReconnectTimeout: 3 * time.Second},
		"reconnect false":                         {ReconnectTimeout: -1},
		"reconnect 1234":                          {ReconnectTimeout: 1234 * time.Millisecond},
		"reconnect timeout object":                {ReconnectTimeout: 77 * time.Millisecond},
	}
	for _, v := range observedRequests(t) {
		w, ok := want[v.Case]
		if !ok {
			continue
		}
		q, err := ParseConnectRequest(v.parameters())
		if err != nil {
			t.Errorf("%s: %v", v.Case, err)
			continue
		}
		switch w.ReconnectTimeout {
		case 0:
			w.ReconnectTimeout = time.Minute
		case -1:
			w.ReconnectTimeout = 0
		}
		if q.Principal != w.Principal || q.Named != w.Named || q.Token != w.Token || q.OldestClient != w.OldestClient ||
			q.ReconnectTimeout != w.ReconnectTimeout || q.Credentials.Kind != w.Credentials.Kind ||
			!bytes.Equal(q.Credentials.Data, w.Credentials.Data) {
			t.Errorf("%s by %s: parsed %+v\nwant %+v", v.Case, v.Transport, q, w)
		}
	}
}

func TestConnectRequestRejections(t *testing.T) {
	for _, test := range []struct {
		query string
		want  ResponseCode
	}{
		{"", ConnectionProtocol},
		{"ty=WB", ConnectionProtocol},
		{"v=29", ConnectionProtocol},
		{"v=29&ty=", ConnectionProtocol},
		{"v=x&ty=WB", ConnectionProtocol},
		{"v=&ty=WB", ConnectionProtocol},
		{"v=%zz&ty=WB", ConnectionProtocol},
		{"v=99999999999999999999&ty=WB", ConnectionProtocol},
		{"v=28&ty=WB", Downgrade},
		{"v=30", Downgrade},
		{"v=29&ty=WB&ca=x", ConnectionProtocol},
		{"v=29&ty=WB&r=1e3", ConnectionProtocol},
		{"v=29&ty=WB&c=token", ConnectionProtocol},
		{"v=29&ty=WB&c=token&cs=1", ConnectionProtocol},
		{"v=29&ty=WB&c=token&cs=1&ss=-1", ConnectionProtocol},
		{"v=29&ty=WB&c=token&cs=-1&ss=1", ConnectionProtocol},
		{"v=29&ty=WB&sp=[]", ConnectionProtocol},
		{"v=29&ty=WB&sp=%7B%22a%22%3A1%7D", ConnectionProtocol},
		{"v=29&ty=WB&username=a&password=*", AuthenticationFailed},
		{"v=29&ty=WB&username=a&password=AQhw", AuthenticationFailed},
		{"v=29&ty=WB&username=a&password=", AuthenticationFailed},
	} {
		q, err := ParseConnectRequest(NewParameters(test.query, nil))
		var rejection *Rejection
		if !errors.As(err, &rejection) || rejection.Code != test.want {
			t.Errorf("%s: %+v, %v, want %s", test.query, q, err, test.want)
		}
		if err != nil && strings.Contains(err.Error(), "AQhw") {
			t.Errorf("%s: error %q shows a password", test.query, err)
		}
	}
}

func TestConnectRequestTolerates(t *testing.T) {
	for _, query := range []string{
		"v=29&ty=WB",
		"&&v=29&=x&ty=WB&",
		"ty=WB&v=29&unknown=1&x",
		"v=29&ty=WB&sp=",
		"v=29&ty=WB&sp=null",
		"v=29&ty=WB&c=",
		"v=29&ty=WB&r=-5",
		"v=29&ty=WB&r=9223372036854775807",
		"v=29&ty=WB&password=AQA",
	} {
		q, err := ParseConnectRequest(NewParameters(query, nil))
		if err != nil || q.Token != "" || q.Named || q.ReconnectTimeout < 0 {
			t.Errorf("%s: %+v, %v", query, q, err)
		}
	}
}

func TestParametersPreferTheQuery(t *testing.T) {
	header := map[string][]string{textproto.CanonicalMIMEHeaderKey("ty"): {"B"}, "V": {"28"}, "Sp": {"100%"}, "Empty": {}}
	p := NewParameters("v=29&a=1+2%20", header)
	for name, want := range map[string]string{"v": "29", "ty": "B", "sp": "100%", "a": "1+2 "} {
		if got, ok := p.Get(name); got != want || !ok {
			t.Errorf("%s = %q, %v, want %q", name, got, ok, want)
		}
	}
	for _, name := range []string{"c", "empty"} {
		if got, ok := p.Get(name); ok {
			t.Errorf("%s = %q, want absent", name, got)
		}
	}
}

// testResponse checks that b decodes, encodes again to the same bytes and that
// no strict prefix decodes.
func testResponse(t *testing.T, b []byte) ConnectResponse {
	t.Helper()
	r, err := ParseConnectResponse(b)
	if err != nil {
		t.Errorf("ParseConnectResponse(%x): %v", b, err)
		return r
	}
	if got := AppendConnectResponse(nil, r); !bytes.Equal(got, b) {
		t.Errorf("%x is encoded again as %x", b, got)
	}
	if want := map[bool]int{true: ResponseLen, false: RejectionLen}[r.Code.Success()]; len(b) != want {
		t.Errorf("%s has %d bytes, want %d", r.Code, len(b), want)
	}
	eachPrefix(t, b, func(p []byte) error {
		_, err := ParseConnectResponse(p)
		return err
	})
	if trailing, err := ParseConnectResponse(append(bytes.Clone(b), 0xff)); err != nil || trailing != r {
		t.Errorf("%x with a trailing byte: %+v, %v", b, trailing, err)
	}
	return r
}

func TestConnectResponseVectors(t *testing.T) {
	var v struct {
		Responses []struct {
			Name   string
			Hex    hexBytes
			Length int
			Client struct {
				Error, Success bool
				Code           ResponseCode
				SessionID      string `json:"session_id"`
				Token          string
				PingPeriod     int64 `json:"system_ping_period_ms,string"`
				Recovery       int32 `json:"recovery_sequence"`
				MaxSize        int32 `json:"maximum_message_size"`
			} `json:"client_decodes"`
		}
	}
	readVectors(t, "handshake.json", &v)
	for _, v := range section(t, "responses", v.Responses) {
		t.Run(v.Name, func(t *testing.T) {
			if len(v.Hex) != v.Length {
				t.Fatalf("%d bytes, want %d", len(v.Hex), v.Length)
			}
			if v.Client.Error {
				r, err := ParseConnectResponse(v.Hex)
				if !errors.Is(err, ErrMalformed) {
					t.Errorf("decoded %+v, %v, want ErrMalformed", r, err)
				}
				other := len(v.Hex) > 1 && v.Hex[0] == protocolByte && v.Hex[1] != Version
				if errors.Is(err, ErrVersionMismatch) != other {
					t.Errorf("error %v; another version: %v", err, other)
				}
				return
			}
			r := testResponse(t, v.Hex)
			if r.Code != v.Client.Code || r.Code.Success() != v.Client.Success || !r.Code.Known() || strings.HasPrefix(r.Code.String(), "CODE") {
				t.Errorf("code %s, want %d", r.Code, v.Client.Code)
			}
			if !v.Client.Success {
				return
			}
			if r.SessionID.String() != v.Client.SessionID || r.Token != v.Client.Token || r.PingPeriod.Milliseconds() != v.Client.PingPeriod {
				t.Errorf("decoded %+v, want %+v", r, v.Client)
			}
			if r.Code == Reconnected && r.NextClient != v.Client.Recovery || r.Code != Reconnected && r.MaxMessageSize != v.Client.MaxSize {
				t.Errorf("decoded %+v, want %+v", r, v.Client)
			}
		})
	}
}

func TestOlderConnectResponses(t *testing.T) {
	var v struct {
		Responses []struct {
			Version, Answered byte
			Hex               hexBytes
		} `json:"older_version_responses_from_real_servers"`
	}
	readVectors(t, "handshake.json", &v)
	for _, v := range section(t, "older_version_responses_from_real_servers", v.Responses) {
		if r, err := ParseConnectResponse(v.Hex); !errors.Is(err, ErrVersionMismatch) || !errors.Is(err, ErrMalformed) || r.Version != v.Hex[1] {
			t.Errorf("%x: %+v, %v, want ErrVersionMismatch", v.Hex, r, err)
		}
	}
}

// TestResponseCodes goes by the outcomes that the official client reports.
func TestResponseCodes(t *testing.T) {
	var v struct {
		Outcomes []struct {
			Code    any
			Outcome string
		} `json:"observed_connect_outcomes"`
	}
	readVectors(t, "handshake.json", &v)
	known := map[ResponseCode]bool{Reconnected: true, ReconnectedWithLoss: true} // a sentence in the vectors
	for _, v := range section(t, "observed_connect_outcomes", v.Outcomes) {
		if code, ok := v.Code.(float64); ok {
			known[ResponseCode(code)] = true
			if ResponseCode(code).Success() != (v.Outcome == "connected") {
				t.Errorf("%s: success %v, outcome %q", ResponseCode(code), ResponseCode(code).Success(), v.Outcome)
			}
		}
	}
	for c := range 256 {
		if ResponseCode(c).Known() != known[ResponseCode(c)] {
			t.Errorf("code %d: known %v", c, ResponseCode(c).Known())
		}
	}
}

func TestPingPeriodIsClipped(t *testing.T) {
	ok := unhex(t, "231d64c11fef06698e55de0000000300000000386a2f714d6b7854384977326477716546413967457a7041ffffffffffffffff7fffffff")
	if r, err := ParseConnectResponse(ok); err != nil || r.PingPeriod != 0 {
		t.Errorf("period -1 ms: %+v, %v, want no pings", r, err)
	}
	ok[43] = 0x7f
	if r, err := ParseConnectResponse(ok); err != nil || r.PingPeriod < 290*365*24*time.Hour {
		t.Errorf("period 2^63-1 ms: %+v, %v", r, err)
	}
}

func TestPercentEncoding(t *testing.T) {
	const plain = "AZaz09-_.~!'()*"
	if got := percentEncode(plain); got != plain {
		t.Errorf("%s becomes %s", plain, got)
	}
	for c := range 256 {
		if s := string([]byte{byte(c)}); !strings.Contains(plain, s) && !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9') {
			if got, want := percentEncode(s), "%"+strings.ToUpper(hex.EncodeToString([]byte(s))); got != want {
				t.Errorf("%q becomes %s, want %s", s, got, want)
			}
		}
	}
}
