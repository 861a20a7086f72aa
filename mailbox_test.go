package advect

import (
	"testing"
	"testing/synctest"

	"advect.dev/datatype"
	"advect.dev/internal/service"
)

func TestSlowCallback(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		f.mailbox.maxEvents = 4
		block := make(chan struct{})
		recorder := recorder[datatype.Int64](f, "s")
		onSubscribe := recorder.OnSubscribe
		recorder.OnSubscribe = func(path string, s Specification) {
			<-block
			onSubscribe(path, s)
		}
		if _, err := AddStream(f.Topics, "?.*//", recorder); err != nil {
			t.Fatal(err)
		}
		f.announceTopic(1, "a", int64Topic)
		synctest.Wait() // the callback has begun
		for i := range 100 {
			f.value(1, datatype.Int64(i).Bytes())
		}
		for i := range int32(100) { // come and go unheard
			f.announceTopic(10+i, "b", int64Topic)
			f.value(10+i, datatype.Int64(0).Bytes())
			f.end(10+i, service.Removed)
		}
		f.announceTopic(2, "b", int64Topic)
		f.value(2, datatype.Int64(5).Bytes())
		f.value(2, datatype.Int64(6).Bytes())
		if f.mailbox.events > 6 {
			t.Errorf("%d events wait", f.mailbox.events)
		}
		close(block)
		f.told("s subscribe a INT64",
			"s value a 0 first", "s value a 1 was 0", "s value a 2 was 1", "s value a 99 was 2 skipped 96",
			"s subscribe b INT64", "s value b 6 first skipped 1")
		if f.mailbox.bytes != 0 || f.mailbox.events != 0 {
			t.Errorf("%d events of %d bytes are left in the mailbox", f.mailbox.events, f.mailbox.bytes)
		}
	})
}

func TestMailboxBytes(t *testing.T) {
	bubble(t, func(t *testing.T, f *feed) {
		f.mailbox.maxBytes = 1000
		block := make(chan struct{})
		n := 0
		if _, err := AddStream(f.Topics, "a", Stream[datatype.Binary]{OnValue: func(u Update[datatype.Binary]) {
			<-block
			n += 1 + u.Skipped
		}}); err != nil {
			t.Fatal(err)
		}
		f.announceTopic(1, "a", NewSpecification(Binary))
		for range 1000 {
			f.value(1, make([]byte, 100))
		}
		synctest.Wait()
		if f.mailbox.bytes > 1100 {
			t.Errorf("%d bytes wait", f.mailbox.bytes)
		}
		close(block)
		synctest.Wait()
		if n != 1000 {
			t.Errorf("%d values accounted for, want 1000", n)
		}
	})
}
