package wire

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// appendMessage encodes what ParseMessage decoded.
func appendMessage(m Message) []byte {
	switch m.Type {
	case TypeRequest:
		return append(AppendRequest(nil, m.Service, m.Conversation), m.Body...)
	case TypeResponse:
		return append(AppendResponse(nil, m.Conversation), m.Body...)
	case TypeError:
		return AppendError(nil, m.Conversation, m.Error)
	case TypeTopicValue, TypeTopicDelta:
		return append(AppendTopicHeader(nil, m.Type, m.Topic, m.Compressed), m.Body...)
	}
	return append([]byte{byte(m.Type)}, m.Body...)
}

// headerLen is the number of leading bytes that a message cannot do without:
// all but the body, which extends to the end of the message and may be empty.
func headerLen(m Message) int { return len(appendMessage(m)) - len(m.Body) }

func testMessage(t *testing.T, frame []byte) Message {
	t.Helper()
	m, err := ParseMessage(frame)
	if err != nil {
		t.Errorf("ParseMessage(%x): %v", frame, err)
		return m
	}
	if got := appendMessage(m); !bytes.Equal(got, frame) {
		t.Errorf("%x is encoded again as %x", frame, got)
	}
	for n := range headerLen(m) {
		if got, err := ParseMessage(frame[:n:n]); !errors.Is(err, ErrMalformed) {
			t.Errorf("%x cut to %d bytes: %+v, %v, want ErrMalformed", frame, n, got, err)
		}
	}
	return m
}

func TestClientMessageVectors(t *testing.T) {
	var v struct {
		Messages []struct {
			Name        string
			Type        Type
			Service     int32
			CID         int64 `json:"cid,string"`
			Description string
			Code        ErrorCode
			Hex         hexBytes
		} `json:"client_to_server"`
	}
	readVectors(t, "messages.json", &v)
	for _, v := range section(t, "client_to_server", v.Messages) {
		t.Run(v.Name, func(t *testing.T) {
			m := testMessage(t, v.Hex)
			if m.Type != v.Type || m.Service != v.Service || m.Conversation != v.CID || m.Error != (ServiceError{v.Code, v.Description}) {
				t.Errorf("parsed %+v, want %+v", m, v)
			}
			if EncodingBits(v.Hex) {
				t.Error("a client's message has encoding bits")
			}
		})
	}
}

func TestServerMessageVectors(t *testing.T) {
	var v struct {
		Messages []struct {
			Name   string
			Hex    hexBytes
			Client struct {
				Error    bool
				Type     Type
				Encoding int      // 0, or 18: zlib
				ID       *int32   // topic id
				Body     hexBytes `json:"body_hex"`
			} `json:"client_parse"`
		} `json:"server_to_client"`
	}
	readVectors(t, "messages.json", &v)
	for _, v := range section(t, "server_to_client", v.Messages) {
		t.Run(v.Name, func(t *testing.T) {
			m, err := ParseMessage(v.Hex)
			var body []byte
			if err == nil {
				body, err = content(m, v.Hex)
			}
			if v.Client.Error {
				if err == nil {
					t.Errorf("parsed %+v, want an error", m)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if m.Type != v.Client.Type || m.Compressed != (v.Client.Encoding == 18) || !bytes.Equal(body, v.Client.Body) {
				t.Errorf("parsed %+v with content %x, want %+v", m, body, v.Client)
			}
			if v.Client.ID != nil && m.Topic != *v.Client.ID {
				t.Errorf("topic %d, want %d", m.Topic, *v.Client.ID)
			}
			ignored := m.Type == TypeRequest && EncodingBits(v.Hex)
			if !ignored {
				testMessage(t, v.Hex)
			}
		})
	}
}

// content returns what the official client's decoder calls the body: inflated
// topic bytes, and for other types all that follows the type byte.
func content(m Message, frame []byte) ([]byte, error) {
	switch {
	case m.Compressed:
		z, err := zlib.NewReader(bytes.NewReader(m.Body))
		if err != nil {
			return nil, err
		}
		return io.ReadAll(z)
	case m.Type == TypeTopicValue, m.Type == TypeTopicDelta:
		return m.Body, nil
	}
	return frame[1:], nil
}

func TestErrorVectors(t *testing.T) {
	var v struct {
		Errors []struct {
			Hex         hexBytes
			CID         int64 `json:"cid,string"`
			Description string
			Code        ErrorCode
		} `json:"errors_decode"`
	}
	readVectors(t, "messages.json", &v)
	for _, v := range section(t, "errors_decode", v.Errors) {
		m := testMessage(t, append([]byte{byte(TypeError)}, v.Hex...))
		if m.Conversation != v.CID || m.Error != (ServiceError{v.Code, v.Description}) {
			t.Errorf("parsed %+v, want %+v", m, v)
		}
	}
}

func TestBatchVectors(t *testing.T) {
	var v struct {
		Batches []struct {
			Messages []hexBytes
			Hex      hexBytes
			Base64   string
		} `json:"polling_framing"`
	}
	readVectors(t, "messages.json", &v)
	for _, v := range section(t, "polling_framing", v.Batches) {
		var batch []byte
		var ends []int // lengths at which a prefix of the batch is a batch
		for _, m := range v.Messages {
			ends = append(ends, len(batch))
			batch = AppendBatchEntry(batch, m)
		}
		if !bytes.Equal(batch, v.Hex) || EncodeBatch(batch) != v.Base64 {
			t.Errorf("batch %x, %s, want %x, %s", batch, EncodeBatch(batch), v.Hex, v.Base64)
		}
		decoded, err := DecodeBatch([]byte(v.Base64))
		if err != nil || !bytes.Equal(decoded, v.Hex) {
			t.Errorf("DecodeBatch(%s) = %x, %v", v.Base64, decoded, err)
		}
		got, err := batchMessages(decoded)
		if err != nil || !slices.EqualFunc(got, v.Messages, func(a []byte, b hexBytes) bool { return bytes.Equal(a, b) }) {
			t.Errorf("messages of %x: %x, %v, want %x", decoded, got, err, v.Messages)
		}
		for n := range batch {
			if _, err := batchMessages(batch[:n:n]); errors.Is(err, ErrMalformed) == slices.Contains(ends, n) {
				t.Errorf("batch %x cut to %d bytes: error %v", batch, n, err)
			}
		}
	}
}

func batchMessages(batch []byte) (messages [][]byte, err error) {
	for m, err := range Batch(batch) {
		if err != nil {
			return messages, err
		}
		messages = append(messages, m)
	}
	return messages, nil
}

func TestBatchOfHugeEntry(t *testing.T) {
	for _, n := range []uint32{1, 1 << 31, 1<<32 - 1} {
		batch := append(binary.BigEndian.AppendUint32(nil, n), 0)
		if got, err := batchMessages(batch); err == nil {
			t.Errorf("entry of %d+1 bytes of 1: %x, want an error", n, got)
		}
	}
}

func TestBatchStopsWhenAsked(t *testing.T) {
	batch := AppendBatchEntry(AppendBatchEntry(nil, []byte{0x1c}), []byte{0x1d})
	for m := range Batch(batch) {
		if m[0] != 0x1c {
			t.Errorf("second message %x after break", m)
		}
		break
	}
}

func TestDecodeBatchRefusesOtherText(t *testing.T) {
	for _, s := range []string{"A", "AAAAAQYB=", "AAAA AQYB!", "{}", "AAAAAQY"} {
		if b, err := DecodeBatch([]byte(s)); !errors.Is(err, ErrMalformed) {
			t.Errorf("DecodeBatch(%q) = %x, %v, want ErrMalformed", s, b, err)
		}
	}
}

func TestTranscript(t *testing.T) {
	var v struct {
		Steps []struct {
			Dir, What, Text string
			Hex             hexBytes
		} `json:"session_transcript_websocket_v29"`
	}
	readVectors(t, "messages.json", &v)
	counted := map[string]int{}
	for i, step := range section(t, "session_transcript_websocket_v29", v.Steps) {
		switch {
		case step.Text != "":
			target, err := url.Parse(strings.TrimPrefix(step.Text, "GET "))
			if err != nil {
				t.Fatal(err)
			}
			q, err := ParseConnectRequest(NewParameters(target.RawQuery, nil))
			if err != nil || q.Principal != "control" || string(q.Credentials.Data) != "password" || q.Properties["a"] != "b c" {
				t.Errorf("upgrade: %+v, %v", q, err)
			}
		case i == 1:
			testResponse(t, step.Hex)
		case step.Hex != nil:
			if m := testMessage(t, step.Hex); m.Type.Counted() {
				counted[step.Dir]++
			}
		}
	}
	if counted["C>S"] != 6 || counted["S>C"] != 6 { // the abort notification is not counted
		t.Errorf("counted messages: %v", counted)
	}
}

func TestOlderVersionsAreNotMistakenForThisOne(t *testing.T) {
	var v struct {
		Samples []struct{ Pairs [][2]string } `json:"real_server_samples_older_versions"`
	}
	readVectors(t, "messages.json", &v)
	for _, sample := range section(t, "real_server_samples_older_versions", v.Samples) {
		for _, pair := range sample.Pairs {
			frame := unhex(t, pair[0])
			_, err := ParseMessage(frame)
			if older := frame[0] == 1 || frame[0] == 2; older != errors.Is(err, ErrMalformed) {
				t.Errorf("%s (%s): error %v", pair[0], pair[1], err)
			}
		}
	}
}

func TestEveryTypeByte(t *testing.T) {
	known := []Type{TypeRequest, TypeTopicValue, TypeTopicDelta, TypeResponse, TypeError, TypeAbort, TypeCloseRequest, TypeFetchReply}
	for c := range 256 {
		frame := []byte{byte(c), 0, 0, 0, 0}
		m, err := ParseMessage(frame)
		if want := slices.Contains(known, Type(c&typeMask)); want != (err == nil) {
			t.Errorf("type byte %#02x: %v", c, err)
		}
		if topic := m.Type == TypeTopicValue || m.Type == TypeTopicDelta; m.Compressed != (topic && c&encodingMask == encodingZlib) {
			t.Errorf("type byte %#02x: compressed %v", c, m.Compressed)
		}
		if EncodingBits(frame) != (c >= 0x40) {
			t.Errorf("EncodingBits(%#02x) = %v", c, EncodingBits(frame))
		}
		if m.Type.String() == "" || m.Type.Counted() != (m.Type != TypeAbort) {
			t.Errorf("type byte %#02x: %s, counted %v", c, m.Type, m.Type.Counted())
		}
	}
}

func TestServiceErrorMatchesByCode(t *testing.T) {
	err := error(Errorf(CodeNoSuchTopic, "no topic %q", "a"))
	if !errors.Is(err, &ServiceError{Code: CodeNoSuchTopic}) || errors.Is(err, &ServiceError{Code: CodeAccessDenied}) {
		t.Error("errors.Is does not go by the code")
	}
	if got, want := err.Error(), `no topic "a" (code 9000)`; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// TestBase64IsTheStandardOne guards the alphabet that official clients use.
func TestBase64IsTheStandardOne(t *testing.T) {
	if got, want := EncodeBatch([]byte{0xfb, 0xff}), base64.StdEncoding.EncodeToString([]byte{0xfb, 0xff}); got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
