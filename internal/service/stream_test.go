package service

import "testing"

// TestStreamAnswers: the vectors do not describe the answers of their flows.
func TestStreamAnswers(t *testing.T) {
	id := StreamID{Topic: 77, Instance: 3}
	clustered := StreamID{Topic: 77, Instance: 3, Partition: 5, Generation: 12}
	testBoth(t, "plain", CreateStream, true, NewStream{id, RetainsValue | SupportsConflation}, []byte{77, 3, 0, 0, 3})
	testBoth(t, "clustered", CreateStreamAndSet, true, NewStream{clustered, RetainsValue}, []byte{77, 3, 5, 12, 1})
	testBoth(t, "created", StreamAdd, true, AddedStream{TopicCreated, NewStream{id, SupportsConflation}}, []byte{0, 77, 3, 0, 0, 2})
	testBoth(t, "exists", StreamAddAndSet, true, AddedStream{TopicExists, NewStream{id, 0}}, []byte{1, 77, 3, 0, 0, 0})
}

func TestTopicEventNames(t *testing.T) {
	want := [...]string{"ADDED", "SELECTED", "REMOVED", "DESELECTED", "KIND_4"}
	for i, name := range want {
		if got := TopicEventKind(i).String(); got != name {
			t.Errorf("kind %d is %s, want %s", i, got, name)
		}
	}
}
