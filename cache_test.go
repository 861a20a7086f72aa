package advect

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"advect.dev/datatype"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
	"github.com/google/go-cmp/cmp"
)

// The JavaScript client's cache, as far as ours is meant to agree. It differs
// where that client is lenient: a delta without a base, or for a type without
// deltas, is refused here and what follows is ignored up to the next value; and
// bytes that are no value of the type are the base of the next delta all the same,
// because they are for the server.
func TestClientCacheVectors(t *testing.T) {
	var vectors struct {
		ClientCacheBehaviour struct {
			Cases []struct {
				Type             string
				Properties       map[string]string
				Messages, Events []string
			}
		}
	}
	readVectors(t, "deltas.json", &vectors)
	for _, c := range vectors.ClientCacheBehaviour.Cases {
		first := ""
		if len(c.Messages) > 0 {
			first = c.Messages[0]
		}
		t.Run(c.Type+" "+first, func(t *testing.T) {
			typ, err := topic.ParseType(c.Type)
			if err != nil {
				t.Fatal(err)
			}
			f := newFeed(t)
			f.announceTopic(1, "a", Specification{Type: typ, Properties: c.Properties})
			var got []string
			for _, m := range c.Messages {
				kind, text, _ := strings.Cut(m, " ")
				b, err := hex.DecodeString(strings.TrimPrefix(text, "(empty)"))
				if err != nil {
					t.Fatal(err)
				}
				f.reported = nil
				f.message(1, kind == "delta", b)
				cached := f.byID[1].value
				if len(f.reported) > 0 || !f.byID[1].known && f.byID[1].retains {
					got = append(got, "error")
					continue
				}
				got = append(got, kind+" "+hex.EncodeToString(cached))
			}
			want := c.Events
			switch key := c.Type + " " + first; key {
			case "JSON delta 4161": // no base: not f7
				want = []string{"error"}
			case "STRING value 6161": // a bad value is cached: no event, but a base
				want = []string{"value 6161", "delta 6161", "delta 6162", "value f6", "delta 6161", "value 01", "delta 01"}
			case "JSON value 01": // TRUE counts as true: nothing is cached
				want = []string{"value "}
			case "JSON value (empty)", "STRING value (empty)": // fails when read
				want = []string{"value "}
			case "TIME_SERIES ":
				want = nil
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func readVectors(t *testing.T, name string, into any) {
	t.Helper()
	data, err := os.ReadFile("testdata/vectors/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(data, into); err != nil {
		t.Fatal(err)
	}
}

// The recorded conversations of the official client, as it saw them.
func TestSubscriptionFlowVectors(t *testing.T) {
	var vectors struct {
		Flows []struct {
			Name     string
			Messages []struct {
				Direction, Message string
				Service            int32
				Body               string `json:"body_hex"`
			}
			Results []struct {
				Call  string
				Value any
			} `json:"sdk_results"`
		}
	}
	readVectors(t, "services-topics.json", &vectors)
	elsewhere := []string{"fallback", "late stream", "in use for another path"} // tested by hand
	n := 0
	for _, flow := range vectors.Flows {
		name, ok := strings.CutPrefix(flow.Name, "subscription: ")
		if !ok || slices.ContainsFunc(elsewhere, func(s string) bool { return strings.Contains(name, s) }) {
			continue
		}
		n++
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, f *feed) {
				var want []string
				for _, r := range flow.Results {
					if r.Call == "events" {
						want = append(want, officialEvents(r.Value.([]any))...)
					}
				}
				addRecorder[datatype.JSON](f, "json", "?.*//")
				for _, m := range flow.Messages {
					body, err := hex.DecodeString(m.Body)
					if err != nil {
						t.Fatal(err)
					}
					f.play(m.Message, m.Service, body)
				}
				// What follows the last look at the events is not recorded.
				if synctest.Wait(); len(f.log) > len(want) && strings.Contains(f.log[len(want)], " unsubscribe ") {
					f.log = f.log[:len(want)]
				}
				f.told(want...)
			})
		})
	}
	if n < 8 {
		t.Errorf("%d flows", n)
	}
}

// play does with a server's message what a session does.
func (f *feed) play(message string, number int32, body []byte) {
	switch {
	case message == "topic value", message == "topic delta":
		r := wire.NewReader(body)
		f.message(r.FixedInt32(), message == "topic delta", r.Rest())
	case number == service.NotifySubscription.ID:
		if n, err := service.NotifySubscription.ReadRequest(body); err == nil {
			f.subscribed(n)
		}
	case number == service.UnsubscriptionNotification.ID:
		if n, err := service.UnsubscriptionNotification.ReadRequest(body); err == nil {
			f.unsubscribed(n)
		}
	}
}

// officialEvents writes events of the official client in our words.
func officialEvents(events []any) []string {
	text := func(v any) string {
		b, _ := json.Marshal(v)
		return string(b)
	}
	seen := map[any]bool{}
	var out []string
	for _, e := range events {
		e := e.([]any)
		switch e[1] {
		case "subscribe":
			out = append(out, fmt.Sprint(e[0], " subscribe ", e[2], " ", e[3]))
		case "unsubscribe":
			reason := UnsubscribeReason(e[4].(map[string]any)["id"].(float64))
			out = append(out, fmt.Sprint(e[0], " unsubscribe ", e[2], " ", reason))
		case "value":
			line := fmt.Sprint(e[0], " value ", e[2], " ", text(e[4]))
			if e[5] != nil && e[5] != "(undefined)" {
				line += " was " + text(e[5])
			} else if !seen[e[2]] {
				line += " first"
			}
			seen[e[2]] = true
			out = append(out, line)
		}
	}
	return out
}

// BenchmarkTopicMessage is one delta of a document, for a number of streams.
func BenchmarkTopicMessage(b *testing.B) {
	for _, streams := range []int{0, 1, 10} {
		b.Run(fmt.Sprintf("streams=%d", streams), func(b *testing.B) {
			t := newCache(func(err error) { b.Error(err) }, 1<<20)
			defer t.closed(nil)
			for range streams {
				if _, err := AddStream(t, "a", Stream[datatype.JSON]{OnValue: func(Update[datatype.JSON]) {}}); err != nil {
					b.Fatal(err)
				}
			}
			t.subscribed(service.Subscription{Topic: 1, Path: "a", Specification: jsonTopic})
			t.topicMessage(1, false, jsonBytes(strings.Repeat("x", 1000)))
			delta := []byte{0x00, 0x19, 0x01, 0xf4, 0x41, 'y', 0x19, 0x01, 0xf5, 0x19, 0x01, 0xf6}
			b.ReportAllocs()
			for b.Loop() {
				t.topicMessage(1, true, delta)
			}
		})
	}
}
