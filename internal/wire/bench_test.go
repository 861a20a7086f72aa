package wire

import (
	"testing"
	"time"
)

// TestAppendAllocatesNothing: what the server does for each message costs no
// garbage when the buffer is large enough.
func TestAppendAllocatesNothing(t *testing.T) {
	buf := make([]byte, 0, 256)
	id := SessionID{1, 2}
	res := ConnectResponse{Version: Version, Code: OK, SessionID: id, Token: "8j/qMkxT8Iw2dwqeFA9gEzpA", PingPeriod: time.Second}
	for name, add := range map[string]func(){
		"request":          func() { AppendRequest(buf, 117, 1<<40) },
		"response":         func() { AppendResponse(buf, 1<<40) },
		"error":            func() { AppendError(buf, 3, ServiceError{CodeAccessDenied, "Access denied"}) },
		"topic header":     func() { AppendTopicHeader(buf, TypeTopicDelta, 7, false) },
		"batch entry":      func() { AppendBatchEntry(buf, []byte{0x1c}) },
		"connect response": func() { AppendConnectResponse(buf, res) },
		"session id":       func() { AppendSessionID(buf, id) },
	} {
		if n := testing.AllocsPerRun(100, add); n != 0 {
			t.Errorf("appending a %s allocates %v times", name, n)
		}
	}
	frame := AppendTopicHeader(nil, TypeTopicValue, 7, false)
	if n := testing.AllocsPerRun(100, func() { _, _ = ParseMessage(frame) }); n != 0 {
		t.Errorf("parsing a topic value allocates %v times", n)
	}
}

func BenchmarkAppendRequest(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		AppendRequest(buf, 117, 1<<40)
	}
}

func BenchmarkAppendTopicHeader(b *testing.B) {
	buf := make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		AppendTopicHeader(buf, TypeTopicValue, 12345, false)
	}
}

func BenchmarkParseMessage(b *testing.B) {
	for name, frame := range map[string][]byte{
		"request": append(AppendRequest(nil, 117, 1<<40), make([]byte, 100)...),
		"value":   append(AppendTopicHeader(nil, TypeTopicValue, 7, false), make([]byte, 100)...),
		"error":   AppendError(nil, 3, ServiceError{CodeAccessDenied, "Access denied"}),
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = ParseMessage(frame)
			}
		})
	}
}

func BenchmarkParseConnectRequest(b *testing.B) {
	const query = "ty=WB&v=29&ca=10&r=60000&sp=%7B%22%24Environment%22%3A%22NODE_linux_20.20.2%22%7D&username=control&password=AQhwYXNzd29yZA%3D%3D"
	b.ReportAllocs()
	for b.Loop() {
		_, _ = ParseConnectRequest(NewParameters(query, nil))
	}
}

func BenchmarkBatch(b *testing.B) {
	var batch []byte
	for range 100 {
		batch = AppendBatchEntry(batch, make([]byte, 100))
	}
	b.SetBytes(int64(len(batch)))
	b.ReportAllocs()
	for b.Loop() {
		for _, err := range Batch(batch) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
}
