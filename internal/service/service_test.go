package service

import (
	"bytes"
	"errors"
	"slices"
	"testing"

	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func TestCatalogue(t *testing.T) {
	last := int32(0)
	for _, s := range All() {
		if s.Number() <= last {
			t.Errorf("service %s of number %d comes after number %d", s, s.Number(), last)
		}
		last = s.Number()
		if Lookup(s.Number()) != s {
			t.Errorf("Lookup(%d) is not %s", s.Number(), s)
		}
	}
	for _, id := range []int32{-1, 0, 1 << 30} {
		if s := Lookup(id); s != nil {
			t.Errorf("Lookup(%d) = %s, want nil", id, s)
		}
	}
}

// TestWholeMessages sends each kind of message through its header and back.
func TestWholeMessages(t *testing.T) {
	want := Selection{Selector: "?a//", Scope: "s"}
	m, err := wire.ParseMessage(Subscribe.AppendRequest([]byte{}, 7, want))
	if err != nil || m.Type != wire.TypeRequest || m.Service != Subscribe.ID || m.Conversation != 7 {
		t.Fatalf("message %+v, %v", m, err)
	}
	if got, err := Subscribe.ReadRequest(m.Body); err != nil || got != want {
		t.Errorf("request %+v, %v, want %+v", got, err, want)
	}
	m, err = wire.ParseMessage(TopicRemoval.AppendResponse(nil, 8, 300))
	if err != nil || m.Type != wire.TypeResponse || m.Conversation != 8 {
		t.Fatalf("message %+v, %v", m, err)
	}
	if got, err := TopicRemoval.ReadResponse(m.Body); err != nil || got != 300 {
		t.Errorf("response %d, %v, want 300", got, err)
	}
}

func TestErrorsNameTheService(t *testing.T) {
	_, err := FetchQuery.ReadResponse([]byte{1})
	if !errors.Is(err, wire.ErrMalformed) || !bytes.HasPrefix([]byte(err.Error()), []byte("FETCH_QUERY response: ")) {
		t.Errorf("error %v", err)
	}
}

func TestAllTypes(t *testing.T) {
	for ty := range topic.Type(64) {
		creatable := ty.Known() && ty != topic.Unknown
		if (int64(AllTypes)&(1<<ty) != 0) != creatable {
			t.Errorf("AllTypes and %s", ty)
		}
	}
}

func TestFetchedTopicMinimum(t *testing.T) {
	least := FetchedTopic{Type: topic.JSON}
	if n := len(least.Append(nil)); n != MinFetchedTopic {
		t.Errorf("the least topic takes %d bytes, MinFetchedTopic is %d", n, MinFetchedTopic)
	}
}

func TestFetchedTopicRefusals(t *testing.T) {
	good := FetchedTopic{Path: "a", Type: topic.JSON}
	result := QueryResult{Topics: []FetchedTopic{good}}
	for name, change := range map[string]func(*FetchedTopic){
		"type 13":         func(f *FetchedTopic) { f.Type = 13 },
		"type 22":         func(f *FetchedTopic) { f.Type = 22 },
		"property set -1": func(f *FetchedTopic) { f.PropertySet = -1 },
		"size kind 3":     func(f *FetchedTopic) { f.Size.Kind = 3 },
	} {
		bad := good
		change(&bad)
		result.Topics[0] = bad
		if got, err := FetchQuery.ReadResponse(FetchQuery.EncodeResponse(nil, result)); !errors.Is(err, wire.ErrMalformed) {
			t.Errorf("%s: %+v, %v, want ErrMalformed", name, got, err)
		}
	}
}

func TestUnsubscribeReasonNames(t *testing.T) {
	var names []string
	for reason := range UnsubscribeReason(8) {
		names = append(names, reason.String())
	}
	want := []string{"REQUESTED", "CONTROL", "REMOVED", "AUTHORIZATION", "UNKNOWN_UNSUBSCRIBE_REASON", "BACK_PRESSURE", "BRANCH_MAPPINGS", "REASON_7"}
	if !slices.Equal(names, want) {
		t.Errorf("names %v, want %v", names, want)
	}
}

var notification = Subscription{Topic: 300, Path: "markets/fx/eur/usd", Specification: topic.Specification{
	Type: topic.JSON, Properties: map[string]string{topic.Conflation: "off", topic.Priority: "high"}}}

func BenchmarkNotifySubscription(b *testing.B) {
	buf := make([]byte, 0, 256)
	plain := notification
	plain.Specification.Properties = nil
	for name, s := range map[string]Subscription{"plain": plain, "properties": notification} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				NotifySubscription.AppendRequest(buf, 0, s)
			}
		})
	}
}

func BenchmarkReadNotification(b *testing.B) {
	body := NotifySubscription.EncodeRequest(nil, notification)
	b.ReportAllocs()
	for b.Loop() {
		_, _ = NotifySubscription.ReadRequest(body)
	}
}

func BenchmarkSetTopic(b *testing.B) {
	request := SetRequest{Path: "markets/fx/eur/usd", Type: topic.JSON, Value: make([]byte, 200)}
	buf := SetTopic.AppendRequest(nil, 1, request)
	body := SetTopic.EncodeRequest(nil, request)
	b.Run("append", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			SetTopic.AppendRequest(buf[:0], 1, request)
		}
	})
	b.Run("read", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, _ = SetTopic.ReadRequest(body)
		}
	})
}

// TestNotificationAllocatesOnce: the struct handed to the encoder is the only
// garbage of the message that a server sends most often after values.
func TestNotificationAllocatesOnce(t *testing.T) {
	buf := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { NotifySubscription.AppendRequest(buf, 0, notification) }); n > 1 {
		t.Errorf("appending a notification allocates %v times", n)
	}
}
