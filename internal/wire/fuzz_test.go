package wire

import (
	"bytes"
	"errors"
	"net/http"
	"reflect"
	"testing"
)

// messageSeeds returns every message of the vectors, well-formed or not.
func messageSeeds(t testing.TB) (seeds [][]byte) {
	var v struct {
		Client []struct{ Hex hexBytes }      `json:"client_to_server"`
		Server []struct{ Hex hexBytes }      `json:"server_to_client"`
		Steps  []struct{ Hex hexBytes }      `json:"session_transcript_websocket_v29"`
		Older  []struct{ Pairs [][2]string } `json:"real_server_samples_older_versions"`
	}
	readVectors(t, "messages.json", &v)
	for _, list := range [][]struct{ Hex hexBytes }{v.Client, v.Server, v.Steps} {
		for _, m := range list {
			seeds = append(seeds, m.Hex)
		}
	}
	for _, sample := range v.Older {
		for _, pair := range sample.Pairs {
			seeds = append(seeds, unhex(t, pair[0]))
		}
	}
	return seeds
}

func FuzzParseMessage(f *testing.F) {
	for _, seed := range messageSeeds(f) {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		m, err := ParseMessage(frame)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%x: error %v is not ErrMalformed", frame, err)
			}
			return
		}
		if len(m.Body) > len(frame) || len(m.Error.Description) > len(frame) {
			t.Fatalf("%x: decoded more than there is: %+v", frame, m)
		}
		again, err := ParseMessage(appendMessage(m))
		if err != nil {
			t.Fatalf("%+v does not decode again: %v", m, err)
		}
		if !bytes.Equal(again.Body, m.Body) {
			t.Fatalf("body %x, then %x", m.Body, again.Body)
		}
		if again.Body, m.Body = nil, nil; !reflect.DeepEqual(again, m) {
			t.Fatalf("decoded %+v, then %+v", m, again)
		}
	})
}

func FuzzConnectRequest(f *testing.F) {
	for _, v := range observedRequests(f) {
		target := []byte(v.Target)
		if i := bytes.IndexByte(target, '?'); i >= 0 {
			f.Add(string(target[i+1:]), "", "", "")
		} else {
			f.Add("ty=B&v=29", v.Headers["sp"], v.Headers["username"], v.Headers["password"])
		}
	}
	f.Fuzz(func(t *testing.T, query, properties, username, password string) {
		header := http.Header{"Sp": {properties}, "Username": {username}, "Password": {password}}
		q, err := ParseConnectRequest(NewParameters(query, header))
		if err != nil {
			var rejection *Rejection
			if !errors.As(err, &rejection) || rejection.Code.Success() || !rejection.Code.Known() {
				t.Fatalf("%s: error %v is not a rejection", query, err)
			}
			return
		}
		// What is sent for q parses to q, but for three things that have no
		// form: credentials without a name, invalid UTF-8 in properties and an
		// empty map of them.
		back, err := ParseConnectRequest(NewParameters(q.Query(), nil))
		if err != nil {
			t.Fatalf("%+v is sent as %s: %v", q, q.Query(), err)
		}
		third, err := ParseConnectRequest(NewParameters(back.Query(), nil))
		if err != nil || !reflect.DeepEqual(third, back) {
			t.Fatalf("%+v parses as %+v, %v", back, third, err)
		}
		if back.Token != q.Token || back.Principal != q.Principal || back.ReconnectTimeout != q.ReconnectTimeout ||
			back.OldestClient != q.OldestClient || back.LastServer != q.LastServer || back.Type != q.Type {
			t.Fatalf("%+v parses as %+v", q, back)
		}
	})
}

func FuzzConnectResponse(f *testing.F) {
	var v struct {
		Responses []struct{ Hex hexBytes }
		Older     []struct{ Hex hexBytes } `json:"older_version_responses_from_real_servers"`
	}
	readVectors(f, "handshake.json", &v)
	for _, r := range append(v.Responses, v.Older...) {
		f.Add([]byte(r.Hex))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := ParseConnectResponse(b)
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%x: error %v is not ErrMalformed", b, err)
			}
			return
		}
		encoded := AppendConnectResponse(nil, r)
		again, err := ParseConnectResponse(encoded)
		if err != nil || again != r {
			t.Fatalf("%+v decodes again as %+v, %v", r, again, err)
		}
		if r.PingPeriod < 0 {
			t.Fatalf("ping period %v", r.PingPeriod)
		}
	})
}

func FuzzBatch(f *testing.F) {
	var v struct {
		Batches []struct {
			Hex    hexBytes
			Base64 string
		} `json:"polling_framing"`
	}
	readVectors(f, "messages.json", &v)
	for _, b := range v.Batches {
		f.Add([]byte(b.Base64))
		f.Add([]byte(EncodeBatch(append(b.Hex, 0, 0, 0, 9, 1))))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		batch, err := DecodeBatch(bytes.Clone(body))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("%q: error %v is not ErrMalformed", body, err)
			}
			return
		}
		messages, err := batchMessages(batch)
		var again []byte
		for _, m := range messages {
			if len(m) == 0 {
				t.Fatalf("%x holds an empty message", batch)
			}
			again = AppendBatchEntry(again, m)
		}
		if !bytes.HasPrefix(batch, again) || err == nil && len(again) != len(batch) {
			t.Fatalf("%x is encoded again as %x; error %v", batch, again, err)
		}
	})
}
