package advect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

// A feed is a Topics without a session: the test plays the server. Use it in a
// synctest bubble.
type feed struct {
	*testing.T
	*Topics
	log      []string // what the streams were told, in order
	reported []error
}

func newFeed(t *testing.T) *feed {
	f := &feed{T: t}
	f.Topics = newCache(func(err error) { f.reported = append(f.reported, err) }, 1<<20)
	return f
}

// bubble runs a test with a feed in synthetic time, and closes it at the end.
func bubble(t *testing.T, test func(*testing.T, *feed)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(t)
		test(t, f)
		f.closed(errors.New("end of test"))
		synctest.Wait() // and the bubble checks that no goroutine is left
	})
}

// told waits until all is delivered, and compares what the streams were told
// since the last call.
func (f *feed) told(want ...string) {
	f.Helper()
	synctest.Wait()
	if diff := cmp.Diff(want, f.log); diff != "" {
		f.Errorf("told (-want +got):\n%s", diff)
	}
	f.log = nil
}

// reports compares the number of errors that the session heard of.
func (f *feed) reports(want ...string) {
	f.Helper()
	for i := range max(len(want), len(f.reported)) {
		if i >= len(want) || i >= len(f.reported) || !strings.Contains(f.reported[i].Error(), want[i]) {
			f.Errorf("reported %v, want %q", f.reported, want)
			break
		}
	}
	f.reported = nil
}

// recorder returns callbacks that log with a name.
func recorder[V datatype.Value](f *feed, name string) Stream[V] {
	add := func(format string, args ...any) { f.log = append(f.log, name+" "+fmt.Sprintf(format, args...)) }
	return Stream[V]{
		OnSubscribe: func(path string, s Specification) { add("subscribe %s %s", path, s) },
		OnValue:     func(u Update[V]) { add("%s", describe(u)) },
		OnUnsubscribe: func(path string, s Specification, r UnsubscribeReason) {
			add("unsubscribe %s %s", path, r)
		},
		OnError: func(err error) { add("error %v", err) },
		OnClose: func(err error) { add("close %v", err) },
	}
}

func describe[V datatype.Value](u Update[V]) string {
	var b strings.Builder
	fmt.Fprintf(&b, "value %s ", u.Path)
	if u.Null {
		b.WriteString("null")
	} else {
		fmt.Fprint(&b, u.Value)
	}
	if u.HasOld {
		fmt.Fprint(&b, " was ", u.Old)
	}
	if u.First {
		b.WriteString(" first")
	}
	if u.Skipped > 0 {
		fmt.Fprintf(&b, " skipped %d", u.Skipped)
	}
	return b.String()
}

func addRecorder[V datatype.Value](f *feed, name, selector string) *StreamHandle {
	f.Helper()
	h, err := AddStream(f.Topics, selector, recorder[V](f, name))
	if err != nil {
		f.Fatal(err)
	}
	return h
}

func addFallbackRecorder[V datatype.Value](f *feed, name string) *StreamHandle {
	f.Helper()
	h, err := AddFallbackStream(f.Topics, recorder[V](f, name))
	if err != nil {
		f.Fatal(err)
	}
	return h
}

func (f *feed) announceTopic(id int32, path string, s Specification) {
	f.subscribed(service.Subscription{Topic: id, Path: path, Specification: s})
}

func (f *feed) end(id int32, reason service.UnsubscribeReason) {
	f.unsubscribed(service.Unsubscription{Topic: id, Reason: reason})
}

// value and delta send bytes in a buffer that is overwritten afterwards, as a
// read buffer is.
func (f *feed) value(id int32, b []byte) { f.message(id, false, b) }
func (f *feed) delta(id int32, b []byte) { f.message(id, true, b) }

func (f *feed) message(id int32, delta bool, b []byte) {
	buffer := slices.Clone(b)
	f.topicMessage(id, delta, buffer)
	for i := range buffer {
		buffer[i] = 0xaa
	}
}

func jsonBytes(v any) []byte { return datatype.MustJSON(v).Bytes() }

var (
	jsonTopic   = NewSpecification(JSON)
	stringTopic = NewSpecification(String)
	int64Topic  = NewSpecification(Int64)
)

func TestStream(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.JSON](f, "s", "?a//")
		f.told()
		f.announceTopic(1, "a/b", jsonTopic)
		f.announceTopic(2, "x", jsonTopic)
		f.value(1, jsonBytes(map[string]any{"v": 1}))
		f.value(2, jsonBytes(1))
		f.delta(1, []byte{0x00, 0x03, 0x42, 0x02, 0xff}) // copy 3 octets, insert 02 ff
		f.delta(1, []byte{0xf6})                         // no change
		f.end(1, service.Removed)
		f.announceTopic(1, "a/c", stringTopic)
		f.value(1, datatype.String("hi").Bytes())
		f.value(1, nullValue)
		f.value(1, datatype.String("ho").Bytes())
		f.told(
			"s subscribe a/b JSON",
			`s value a/b {"v":1} first`,
			`s value a/b {"v":2} was {"v":1}`,
			`s value a/b {"v":2} was {"v":2}`,
			"s unsubscribe a/b REMOVED",
			"s subscribe a/c STRING",
			`s value a/c "hi" first`,
			`s value a/c null was "hi"`,
			`s value a/c "ho"`,
		)
		f.closed(errors.New("gone"))
		f.told("s close gone")
		f.reports()
	})
}

func TestStreamTypes(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.JSON](f, "json", "?.*//")
		addRecorder[datatype.String](f, "string", "?.*//")
		addRecorder[datatype.Int64](f, "int64", "?.*//")
		addRecorder[datatype.Double](f, "double", "?.*//")
		addRecorder[datatype.Binary](f, "binary", "?.*//")
		addRecorder[datatype.Value](f, "any", "?.*//")
		f.announceTopic(1, "i", int64Topic)
		f.value(1, datatype.Int64(7).Bytes())
		f.told("json subscribe i INT64", "int64 subscribe i INT64", "any subscribe i INT64",
			"json value i 7 first", "int64 value i 7 first", "any value i 7 first")
		f.value(1, nullValue)
		f.told("json value i null was 7", "int64 value i null was 7", "any value i null was 7")
		f.announceTopic(2, "b", NewSpecification(Binary))
		f.value(2, nil)
		f.told("binary subscribe b BINARY", "any subscribe b BINARY", "binary value b [] first", "any value b [] first")
		f.value(2, []byte{1})
		f.told("binary value b [1] was []", "any value b [1] was []")
	})
}

func TestLateStream(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		f.announceTopic(1, "late/z", jsonTopic)
		f.value(1, jsonBytes(1))
		f.announceTopic(2, "late/b", NewSpecification(JSON, With(PropertyDontRetainValue, "true")))
		f.value(2, jsonBytes(2))
		f.announceTopic(3, "late/n", stringTopic)
		addRecorder[datatype.JSON](f, "late", "?late//")
		f.told("late subscribe late/b JSON DONT_RETAIN_VALUE=true",
			"late subscribe late/n STRING",
			"late subscribe late/z JSON", "late value late/z 1 first")
		f.value(1, jsonBytes(3))
		f.value(2, jsonBytes(4))
		f.value(2, jsonBytes(5))
		f.told("late value late/z 3 was 1", "late value late/b 4 first", "late value late/b 5")
	})
}

func TestStreamHandleClose(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		f.announceTopic(1, "a", int64Topic)
		a, b := addRecorder[datatype.Int64](f, "a", "a"), addRecorder[datatype.Int64](f, "b", "a")
		f.told("a subscribe a INT64", "b subscribe a INT64")
		a.Close()
		a.Close()
		f.value(1, datatype.Int64(1).Bytes())
		f.told("a close <nil>", "b value a 1 first")
		f.closed(errors.New("gone"))
		b.Close()
		f.closed(errors.New("again"))
		f.told("b close gone")
		if _, err := AddStream(f.Topics, "a", Stream[datatype.JSON]{}); err == nil || !strings.Contains(err.Error(), "gone") {
			t.Errorf("AddStream after close: %v", err)
		}
	})
}

func TestInvalidSelector(t *testing.T) {
	f := newFeed(t)
	if _, err := AddStream(f.Topics, "?(", Stream[datatype.JSON]{}); !errors.Is(err, ErrInvalidSelector) {
		t.Errorf("AddStream: %v, want ErrInvalidSelector", err)
	}
	for _, err := range Events[datatype.JSON](t.Context(), f.Topics, "?(") {
		if !errors.Is(err, ErrInvalidSelector) {
			t.Errorf("Events: %v, want ErrInvalidSelector", err)
		}
	}
}

type ownValue struct{ datatype.Int64 }

func TestUnreadableType(t *testing.T) {
	f := newFeed(t)
	_, err := AddStream(f.Topics, "a", Stream[ownValue]{})
	if err == nil || !strings.Contains(err.Error(), "advect.ownValue") {
		t.Errorf("AddStream: %v", err)
	}
	if _, err := AddFallbackStream(f.Topics, Stream[ownValue]{}); err == nil {
		t.Error("AddFallbackStream succeeds")
	}
}

func TestFallbackStreams(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		fallback := addFallbackRecorder[datatype.String](f, "fallback")
		f.announceTopic(401, "fb/s", stringTopic)
		f.value(401, datatype.String("a").Bytes())
		f.announceTopic(402, "fb/j", jsonTopic)
		f.value(402, []byte{0xbf, 0xff})
		f.told("fallback subscribe fb/s STRING", "fallback value fb/s a first")

		specific := addRecorder[datatype.String](f, "specific", "?fb//")
		f.told("fallback unsubscribe fb/s STREAM_CHANGE", "specific subscribe fb/s STRING", "specific value fb/s a first")
		second := addRecorder[datatype.String](f, "second", "fb/s")
		late := addFallbackRecorder[datatype.String](f, "late")
		f.value(401, datatype.String("b").Bytes())
		f.told("second subscribe fb/s STRING", "second value fb/s a first",
			"specific value fb/s b was a", "second value fb/s b was a")

		second.Close()
		specific.Close()
		f.told("second close <nil>", "specific close <nil>",
			"fallback subscribe fb/s STRING", "fallback value fb/s b first",
			"late subscribe fb/s STRING", "late value fb/s b first")
		f.end(401, service.Removed)
		f.end(402, service.Removed)
		f.told("fallback unsubscribe fb/s REMOVED", "late unsubscribe fb/s REMOVED")

		late.Close()
		fallback.Close()
		f.announceTopic(401, "fb/s", stringTopic)
		late = addFallbackRecorder[datatype.String](f, "later")
		f.value(401, datatype.String("c").Bytes())
		f.told("late close <nil>", "fallback close <nil>") // nothing of what is subscribed already
		late.Close()
		f.told("later close <nil>")
	})
}

func TestReset(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.Int64](f, "s", "?.*//")
		f.announceTopic(1, "b", int64Topic)
		f.announceTopic(2, "a", int64Topic)
		f.value(1, datatype.Int64(1).Bytes())
		f.reset()
		f.announceTopic(2, "b", int64Topic)
		f.value(2, datatype.Int64(1).Bytes())
		f.told("s subscribe b INT64", "s subscribe a INT64", "s value b 1 first",
			"s unsubscribe a SUBSCRIPTION_REFRESH", "s unsubscribe b SUBSCRIPTION_REFRESH",
			"s subscribe b INT64", "s value b 1 first")
		f.reports()
	})
}

// Protocol 21 section 5.1. The JavaScript client gives the values of a stolen
// id to the new path without an event and loses the old one; here the old
// subscription ends.
func TestBrokenRules(t *testing.T) {
	one, two := datatype.Int64(1).Bytes(), datatype.Int64(2).Bytes()
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.Int64](f, "s", "?.*//")
		f.value(9, one)
		f.value(9, one)
		f.delta(8, one)
		f.end(9, service.Removed)
		f.reports("topic id 9", "topic id 8")

		f.announceTopic(1, "a", int64Topic)
		f.value(1, one)
		f.announceTopic(2, "a", int64Topic) // another id for a subscribed path: ignored
		f.value(2, two)
		f.announceTopic(1, "a", int64Topic) // the same
		f.value(1, two)
		f.end(2, service.Removed)
		f.told("s subscribe a INT64", "s value a 1 first", "s value a 2 was 1")
		f.reports("topic a: ", "topic id 2", "topic a: ")

		f.announceTopic(1, "b", int64Topic) // takes over the id of another path
		f.value(1, one)
		f.announceTopic(3, "a", int64Topic)
		f.end(1, service.Removed)
		f.told("s unsubscribe a UNKNOWN_UNSUBSCRIBE_REASON", "s subscribe b INT64", "s value b 1 first",
			"s subscribe a INT64", "s unsubscribe b REMOVED")
		f.reports("topic b: ")
	})
}

func TestBrokenDelta(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.JSON](f, "s", "a")
		f.announceTopic(1, "a", jsonTopic)
		f.delta(1, []byte{0x41, 0x61})
		f.delta(1, []byte{0xf6})
		f.value(1, jsonBytes(1))
		f.delta(1, []byte{0x00, 0x18, 0xff}) // copies 255 octets of one
		f.delta(1, []byte{0xf6})             // no good without a base
		f.value(1, jsonBytes(2))
		f.delta(1, []byte{0xf6})
		f.told("s subscribe a JSON", "s error topic a: no value to apply the delta to",
			"s value a 1 first", "s error topic a: corrupt delta: at byte 0: copy of 255 bytes at 0 from 1",
			"s value a 2", "s value a 2 was 2")
		f.reports("no value", "corrupt delta")
		late := addRecorder[datatype.JSON](f, "late", "a")
		f.told("late subscribe a JSON", "late value a 2 first")
		late.Close()

		// A delta cannot make more than a message can carry.
		f.value(1, make([]byte, 1<<19))
		var long []byte
		for range 5 {
			long = append(long, 0x00, 0x1a, 0x00, 0x08, 0x00, 0x00)
		}
		f.delta(1, long)
		f.reports("too large")
	})
}

func TestUnreadableValue(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		addRecorder[datatype.String](f, "s", "a")
		addRecorder[datatype.JSON](f, "json", "a")
		if _, err := AddStream(f.Topics, "a", Stream[datatype.String]{OnValue: func(Update[datatype.String]) {}}); err != nil {
			t.Fatal(err)
		}
		f.announceTopic(1, "a", stringTopic)
		f.value(1, []byte{0x01})
		f.value(1, datatype.String("b").Bytes())
		f.told("s subscribe a STRING", "json subscribe a STRING",
			"s error topic a: invalid string value at byte 0: an integer where a text string is expected",
			"json value a 1 first",
			"s value a b", `json value a "b" was 1`)
		f.reports("topic a: invalid string") // for the stream without OnError
	})
}

// A callback may do anything, even with more values arriving meanwhile.
func TestReentrantCallbacks(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		var handle *StreamHandle
		recorder := recorder[datatype.Int64](f, "outer")
		onValue := recorder.OnValue
		recorder.OnValue = func(u Update[datatype.Int64]) {
			onValue(u)
			if u.First {
				addRecorder[datatype.Int64](f, "inner", "a")
				handle.Close()
			}
		}
		f.announceTopic(1, "a", int64Topic)
		var err error
		if handle, err = AddStream(f.Topics, "a", recorder); err != nil {
			t.Fatal(err)
		}
		f.value(1, datatype.Int64(1).Bytes())
		f.value(1, datatype.Int64(2).Bytes())
		f.told("outer subscribe a INT64", "outer value a 1 first",
			"inner subscribe a INT64", "inner value a 2 first", "outer close <nil>")
	})
}

func TestEvents(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		f.announceTopic(1, "a", stringTopic)
		f.value(1, datatype.String("x").Bytes())
		ctx, cancel := context.WithCancel(t.Context())
		consume := func(name string, last int) {
			for e, err := range Events[datatype.String](ctx, f.Topics, "?.*//") {
				var topicError *TopicError
				switch {
				case errors.As(err, &topicError):
					f.log = append(f.log, fmt.Sprint(name, " ", e.Kind, " ", e.Path, " failed"))
				case err != nil:
					f.log = append(f.log, name+" error "+err.Error())
				case e.Kind == EventValue:
					f.log = append(f.log, name+" "+describe(e.Update))
				case e.Kind == EventUnsubscribe:
					f.log = append(f.log, fmt.Sprint(name, " ", e.Kind, " ", e.Path, " ", e.Reason))
				default:
					f.log = append(f.log, fmt.Sprint(name, " ", e.Kind, " ", e.Path, " ", e.Specification))
				}
				if last--; last == 0 {
					break
				}
			}
			f.log = append(f.log, name+" done")
		}
		go consume("one", 0)
		f.told("one subscribe a STRING", "one value a x first")
		f.value(1, datatype.String("y").Bytes())
		f.value(1, []byte{0x01})
		f.delta(1, []byte{0x02})
		f.end(1, service.BackPressure)
		f.told("one value a y was x", "one value a failed", "one value a failed", "one unsubscribe a BACK_PRESSURE")
		cancel()
		f.told("one error context canceled", "one done")

		ctx = t.Context()
		f.announceTopic(1, "a", stringTopic)
		go consume("two", 1)
		f.told("two subscribe a STRING", "two done")
		if len(f.streams) != 0 || len(f.byID[1].attachments) != 0 {
			t.Errorf("streams are left: %v %v", f.streams, f.byID[1].attachments)
		}

		go consume("three", 0)
		synctest.Wait()
		f.value(1, datatype.String("z").Bytes())
		f.closed(errors.New("gone"))
		f.told("three subscribe a STRING", "three value a z first", "three error gone", "three done")
		consume("four", 0)
		f.told("four error add stream: gone", "four done")
	})
}

// A consumer that is slow does not hold up another one.
func TestEventsConflate(t *testing.T) {
	f := newFeed(t)
	s, err := addIterator[datatype.Int64](f.Topics, "a")
	if err != nil {
		t.Fatal(err)
	}
	s.mailbox.maxEvents = 2
	f.announceTopic(1, "a", int64Topic)
	first := s.mailbox.take()
	for i := range 10 {
		f.value(1, datatype.Int64(i).Bytes())
	}
	f.end(1, service.Removed)
	f.closed(errors.New("gone"))
	got := []string{fmt.Sprint(first.kind)}
	for e := range s.events(t.Context()) {
		event, err := publicEvent[datatype.Int64](e)
		got = append(got, fmt.Sprintf("%v %d %d %v", event.Kind, event.Value, event.Skipped, err))
	}
	want := []string{"0", "value 0 0 <nil>", "value 9 8 <nil>", "unsubscribe 0 0 <nil>", "subscribe 0 0 gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestReasonNames(t *testing.T) {
	for r := range UnsubscribeUnknown {
		if got, want := r.String(), service.UnsubscribeReason(r).String(); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if got := UnsubscribeReason(99).String(); got != "REASON_99" {
		t.Error(got)
	}
}
