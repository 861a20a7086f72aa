package peers

import (
	"encoding/hex"
	"slices"
	"strings"
	"testing"
)

// record is a Link that keeps what it is given.
type record struct {
	sent      []string // hexadecimal
	ready     int
	answered  int
	delivered []string
}

func (r *record) Send(msg []byte)  { r.sent = append(r.sent, hex.EncodeToString(msg)) }
func (r *record) Ready()           { r.ready++ }
func (r *record) Answered()        { r.answered++ }
func (r *record) Deliver(p []byte) { r.delivered = append(r.delivered, string(p)) }

// hear gives a session messages in hexadecimal.
func hear(t *testing.T, s Session, link Link, messages ...string) {
	t.Helper()
	for _, m := range messages {
		b, err := hex.DecodeString(strings.ReplaceAll(m, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Receive(b, link); err != nil {
			t.Fatalf("%s: %v", m, err)
		}
	}
}

// advectIDs are the identity and the token of a session in a connection response:
// 24 bytes of ASCII with the characters that a query escapes.
var advectIDs = "c11fef06698e55de0000000000000000" + hex.EncodeToString([]byte("8j/qMkxT8Iw2dwqe+A9gEzpA"))

func TestAdvectSubscriber(t *testing.T) {
	link := new(record)
	s := Advect{}.Subscriber(0, []string{"a", "b"})
	hear(t, s, link, "23 1d 64 "+advectIDs+"0000000000015f90 7fffffff")
	if want := "0003010923" + hex.EncodeToString([]byte(">a////>b")) + "00"; !slices.Equal(link.sent, []string{want}) {
		t.Errorf("sent %v, want %s", link.sent, want)
	}
	hear(t, s, link,
		"00 57 00 07 01 61 11 00", // topic 7 is a
		"06 01")
	if link.ready != 0 {
		t.Error("ready before all topics are subscribed")
	}
	hear(t, s, link,
		"00 57 00 ac02 01 62 11 00", // topic 300 is b
		"04 00000007 67 7b2261223a317d",
		"04 0000012c 67 7b2262223a317d",
		"05 00000007 00 06 41 32 07 01", // the first six bytes, "2", the last one
		"05 0000012c f6")
	if link.ready != 1 {
		t.Errorf("ready %d times", link.ready)
	}
	if want := []string{`{"a":1}`, `{"b":1}`, `{"a":2}`, `{"b":1}`}; !slices.Equal(link.delivered, want) {
		t.Errorf("delivered %q, want %q", link.delivered, want)
	}
	for _, bad := range []string{"", "\x04", "\x05\x00\x00\x00\x07\x00", "\x05\x00\x00\x00\x07\x00\x20",
		"\x05\x00\x00\x00\x07\x45a", "\x05\x00\x00\x00\x07\x00\x00\x80", "\x04\x00\x00\x00\x09\x61a", "\x1c", "\x00\x57\x00"} {
		if err := s.Receive([]byte(bad), link); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestAdvectRefusal(t *testing.T) {
	for _, s := range []Session{Advect{}.Subscriber(0, []string{"a"}), Advect{}.Publisher([]string{"a"})} {
		if err := s.Receive([]byte{0x23, 29, 116}, new(record)); err == nil {
			t.Errorf("%T takes no notice", s)
		}
	}
}

func TestAdvectPublisher(t *testing.T) {
	link := new(record)
	p := Advect{}.Publisher([]string{"a", "b"})
	hear(t, p, link, "23 1d 64 "+advectIDs+"0000000000015f90 7fffffff")
	if want := []string{"00820101" + "0161" + "1100" + "00", "00820102" + "0162" + "1100" + "00"}; !slices.Equal(link.sent, want) {
		t.Errorf("sent %v, want %v", link.sent, want)
	}
	hear(t, p, link, "06 02 00 08 01 00 00 03", "06 01 01 07 ac02 00 00 03")
	if link.ready != 1 {
		t.Errorf("ready %d times", link.ready)
	}
	got := hex.EncodeToString(p.AppendPublish(nil, "a", []byte(`{"a":1}`)))
	if want := "00800103" + "07ac020000" + "08" + "67" + hex.EncodeToString([]byte(`{"a":1}`)); got != want {
		t.Errorf("publishes %s, want %s", got, want)
	}
	hear(t, p, link, "06 03")
	if err := p.Receive([]byte{7, 3, 0, 100}, link); err == nil {
		t.Error("an error goes unseen")
	}

	link = new(record)
	hear(t, Advect{ValuesOnly: true}.Publisher([]string{"a"}), link, "23 1d 64 "+advectIDs+"0000000000015f90 7fffffff")
	if len(link.sent) != 1 || !strings.Contains(link.sent[0], hex.EncodeToString([]byte("\x13PUBLISH_VALUES_ONLY\x04true"))) {
		t.Errorf("sent %v", link.sent)
	}
}

func TestAdvectPublisherEndpoint(t *testing.T) {
	if got := (Advect{}).PublisherEndpoint().Path; !strings.HasSuffix(got, "&username=admin&password=AQhwYXNzd29yZA%3D%3D") {
		t.Error(got)
	}
}

// TestAdvectResume goes through the second example of 03 section 4.3, with other
// numbers: one message sent, four received.
func TestAdvectResume(t *testing.T) {
	link := new(record)
	s := Advect{}.Subscriber(0, []string{"a"}).(Resumable)
	hear(t, s, link, "23 1d 64 "+advectIDs+"0000000000015f90 7fffffff",
		"00 57 00 07 01 61 11 00", "04 00000007 6568656c6c6f", "06 01", "00 37 09")
	if last := link.sent[len(link.sent)-1]; last != "0609" || link.ready != 1 {
		t.Fatalf("a ping is answered with %s; ready %d times", last, link.ready)
	}
	want := advectPath + "&c=8j%2FqMkxT8Iw2dwqe%2BA9gEzpA&cs=3&ss=4"
	if got := s.Resume(); got.Path != want || !got.Binary {
		t.Errorf("connects to %+v, want %s", got, want)
	}
	hear(t, s, link, "23 1d 69 "+advectIDs+"0000000000015f90 00000003", "05 00000007 00 05 41 21")
	if want := []string{"hello", "hell!"}; link.ready != 2 || !slices.Equal(link.delivered, want) {
		t.Errorf("ready %d times, delivered %q", link.ready, link.delivered)
	}
	if got := s.Resume().Path; !strings.HasSuffix(got, "&cs=3&ss=5") {
		t.Errorf("connects again to %s", got)
	}
	for _, bad := range []string{"69 " + advectIDs + "0000000000015f90 00000002", "6a " + advectIDs + "0000000000015f90 7fffffff", "75"} {
		b, err := hex.DecodeString(strings.ReplaceAll("23 1d "+bad, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		s.Resume()
		if err := s.Receive(b, link); err == nil {
			t.Errorf("%s is accepted", bad)
		}
	}
}

func TestAdvectBranch(t *testing.T) {
	link := new(record)
	s := Advect{}.SubscriberToAll(0, "f")
	hear(t, s, link, "23 1d 64 "+advectIDs+"0000000000015f90 7fffffff",
		"00 57 00 07 04 662f7430 11 00", "04 00000007 6161")
	if want := "00030104" + hex.EncodeToString([]byte("?f//")) + "00"; !slices.Equal(link.sent, []string{want}) || link.ready != 0 {
		t.Errorf("sent %v, want %s; ready %d times", link.sent, want, link.ready)
	}
	hear(t, s, link, "06 01")
	if link.ready != 1 || !slices.Equal(link.delivered, []string{"a"}) {
		t.Errorf("ready %d times, delivered %q", link.ready, link.delivered)
	}
	for _, bad := range []string{"", "\x04\x00\x00\x00\x07", "\x05\x00\x00\x00\x07\x00"} {
		if err := s.Receive([]byte(bad), link); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	p := Advect{}.Publisher([]string{"a"}).(Keeper)
	if got := hex.EncodeToString(p.AppendKeep(nil, "f/t0", []byte("a"))); got != "007a01"+"04662f7430"+"1100"+"02"+"6161"+"00" {
		t.Errorf("keeps with %s", got)
	}
}
