package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// A gauge is the memory that a governor under test reads, in hundredths of the
// ceiling. Each collection counts as one.
type gauge struct {
	*governor
	percent     int64
	collections uint64
	log         bytes.Buffer
	// collected says what memory is used after a collection; nil: as before.
	collected func() int64
}

const testCeiling = 100 << 20

// governed returns an engine with a governor that does nothing until the test
// has it look.
func governed(t *testing.T, change func(*Config)) (*Engine, *gauge) {
	g := &gauge{percent: 10}
	e := newEngine(t, func(c *Config) {
		c.Queue = outbox.Limits{Messages: 1000, Bytes: 8 << 20, RecoveryMessages: 100, RecoveryBytes: 1 << 20}
		c.Log = slog.New(slog.NewTextHandler(&g.log, nil))
		if change != nil {
			change(c)
		}
	})
	e.governor.ceiling = testCeiling
	e.governor.read = func() memoryUse { return memoryUse{g.percent * testCeiling / 100, g.collections} }
	e.governor.collect = func() {
		g.collections++
		if g.collected != nil {
			g.percent = g.collected()
		}
	}
	g.governor = e.governor
	return e, g
}

// at has the governor look when so much memory is used.
func (g *gauge) at(percent int64) {
	g.percent = percent
	g.look()
}

func (g *gauge) count(r relief) int64 { return g.reliefs[r].Load() }

// blob is the value of a BINARY topic, of n bytes.
func blob(n, fill int) []byte {
	return append([]byte{0x5a, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, bytes.Repeat([]byte{byte(fill)}, n)...)
}

func binarySpec(properties ...string) topic.Specification {
	s := topic.Specification{Type: topic.Binary, Properties: map[string]string{topic.Compression: "off", topic.PublishValuesOnly: "true"}}
	for i := 0; i < len(properties); i += 2 {
		s.Properties[properties[i]] = properties[i+1]
	}
	return s
}

// stall queues n values of a KiB for whoever is subscribed to path.
func stall(control *reader, path string, n int) {
	for i := range n {
		control.do(service.SetTopic.AppendRequest(nil, 1, service.SetRequest{Path: path, Type: topic.Binary, Value: blob(1024, i)}))
	}
}

func TestPressureHasHysteresis(t *testing.T) {
	for _, c := range []struct {
		readings []int64
		want     []pressure
	}{
		{[]int64{0, 69, 70, 69, 65, 64, 69}, []pressure{calm, calm, tight, tight, tight, calm, calm}},
		{[]int64{90, 89, 85, 84, 89, 66, 64}, []pressure{critical, critical, critical, tight, tight, tight, calm}},
		{[]int64{100, 10, 200}, []pressure{critical, calm, critical}},
	} {
		p := calm
		for i, percent := range c.readings {
			if p = p.next(percent*testCeiling/100, testCeiling); p != c.want[i] {
				t.Errorf("%v: %v at reading %d, want %v", c.readings, pressureNames[p], i, pressureNames[c.want[i]])
			}
		}
	}
}

// TestLimitsShrink checks that what sessions are left never grows with the memory
// used, and is never more than their own limits nor nothing.
func TestLimitsShrink(t *testing.T) {
	_, g := governed(t, nil)
	own := g.engine.cfg.Queue
	before := own
	for percent := int64(70); percent <= 120; percent++ {
		l := g.limits(percent * testCeiling / 100)
		if l.Messages > before.Messages || l.Bytes > before.Bytes || l.RecoveryMessages > before.RecoveryMessages || l.RecoveryBytes > before.RecoveryBytes {
			t.Errorf("at %d %%: %+v after %+v", percent, l, before)
		}
		if l.Messages < 16 || l.Bytes < 16<<10 || l.RecoveryMessages < 16 || l.RecoveryBytes < 16<<10 {
			t.Errorf("at %d %%: %+v", percent, l)
		}
		before = l
	}
	if l := g.limits(testCeiling * 70 / 100); l.Messages != own.Messages/2 {
		t.Errorf("at 70 %%: %+v", l)
	}
	g.engine.cfg.Queue = outbox.Limits{}
	if l := g.limits(testCeiling); l.RecoveryMessages != 0 || l.Messages == 0 || l.Bytes == 0 {
		t.Errorf("without limits of its own: %+v", l)
	}
}

// TestTightConflatesEarly checks that nothing happens while there is memory, that
// backlogs are conflated before they reach their limits when it is tight, that
// nobody is closed for it, and that all get the newest values.
func TestTightConflatesEarly(t *testing.T) {
	e, g := governed(t, nil)
	control, slow, quick := newReader(t, e, "control"), newReader(t, e, "client"), newReader(t, e, "client")
	control.do(adding(1, "c", stringSpec()))
	control.do(adding(2, "u", stringSpec(topic.Conflation, "unsubscribe")))
	for _, r := range []*reader{slow, quick} {
		r.do(selecting(1, "?.*//"))
	}
	publish(t, control, "u", 2)
	publish(t, control, "c", 700)
	quick.take()
	g.at(69)
	if n := slow.s.queue.Pending(); n != 702 {
		t.Fatalf("%d messages wait for the slow session while there is memory", n)
	}
	g.at(70)
	if g.count(conflatedQueues) != 1 || slow.s.queue.Pending() != 2 {
		t.Errorf("%d queues conflated, %d messages wait", g.count(conflatedQueues), slow.s.queue.Pending())
	}
	publish(t, control, "c", 10)
	g.at(100)
	if want := []string{"value 9"}; !slices.Equal(of(slow.take(), "c"), want) {
		t.Errorf("c is not conflated to %q", want)
	}
	if got := of(quick.take(), "c"); len(got) != 10 {
		t.Errorf("the quick session got %q", got)
	}
	if slow.s.Over() || quick.s.Over() || control.s.Over() {
		t.Error("a session was closed")
	}
	e.finished.Wait() // of settle
	slow.expect("selecting again", selecting(2, "u"), "sub u", "value u 1", "answer 2")
}

// TestRecoveryShrinks checks that less is kept for recovery when memory is short,
// and that a reconnection is lossless with what is left, and lossy with more.
func TestRecoveryShrinks(t *testing.T) {
	e, g := governed(t, nil)
	control, r := newReader(t, e, "control"), newReader(t, e, "client")
	control.do(adding(1, "c", stringSpec()))
	r.do(selecting(1, "c"))
	publish(t, control, "c", 90)
	r.take()
	g.at(80)
	if got := g.count(trimmedMessages); got == 0 {
		t.Fatal("nothing was trimmed")
	}
	again := func(lacks int64) wire.ResponseCode {
		q := request("client")
		q.Token, q.OldestClient, q.LastServer = r.s.Token(), int64(1), int64(r.s.queue.Sent())-lacks
		r.conn = &fakeConn{}
		res, _ := e.Connect(context.Background(), q, here, r.conn)
		return res.Code
	}
	if code := again(20); code != wire.Reconnected || len(r.take()) != 20 {
		t.Errorf("with 20 messages missing: %v", code)
	}
	clear(r.paths)
	if code := again(80); code != wire.ReconnectedWithLoss {
		t.Errorf("with 80 messages missing: %v", code)
	}
	if got := of(r.take(), "c"); !slices.Equal(got, []string{"sub", "value 89"}) {
		t.Errorf("after the loss: %q", got)
	}
}

// TestCriticalSheds checks whom the governor closes, and in which order: those away
// lose their queues first, then the largest of those that do not read are closed
// until that has helped; never one that reads, nor one whose backlog conflates.
func TestCriticalSheds(t *testing.T) {
	e, g := governed(t, nil)
	control := newReader(t, e, "control")
	control.do(adding(1, "off", binarySpec(topic.Conflation, "off")))
	control.do(adding(2, "conflates", binarySpec()))
	subscribed := func(path string) *reader {
		r := newReader(t, e, "client")
		r.do(selecting(1, path))
		return r
	}
	away := subscribed("off")
	away.s.Lost(away.conn, ConnectionLost)
	stall(control, "off", 100)
	large := subscribed("off")
	stall(control, "off", 300)
	small, quick, conflates := subscribed("off"), subscribed("off"), subscribed("conflates")
	stall(control, "off", 200)
	stall(control, "conflates", 500)

	g.at(71) // who has a backlog is known from here on
	quick.take()
	stall(control, "off", 100)
	if g.count(closedSessions)+g.count(droppedQueues) != 0 {
		t.Fatal("shed before it is critical")
	}
	// What is to be freed: 5 % are 5 MiB, far more than there is. Each round that
	// does not help takes twice as much.
	g.collected = func() int64 { return 86 } // 1 MiB too much
	g.at(86)                                 // not critical yet
	if g.count(closedSessions)+g.count(droppedQueues) != 0 {
		t.Fatal("shed before it is critical")
	}
	g.pressure.Store(int32(critical))
	quick.take()
	g.look() // takes away's 700 KiB, and large's
	if g.count(droppedQueues) != 1 || !large.s.Over() || small.s.Over() {
		t.Fatalf("first round: %d dropped, large closed %v, small closed %v", g.count(droppedQueues), large.s.Over(), small.s.Over())
	}
	if g.collections != 1 {
		t.Errorf("%d collections after a round", g.collections)
	}
	if res, s := e.Connect(context.Background(), request("client"), here, &fakeConn{}); s != nil || res.Code != wire.LicenceExceeded {
		t.Errorf("a new session: %v", res.Code)
	}
	g.collected = func() int64 { return 80 }
	g.look()
	if !small.s.Over() || small.s.reason != MessageQueueLimitReached {
		t.Errorf("second round: small closed %v, %v", small.s.Over(), small.s.reason)
	}
	g.look()
	for name, r := range map[string]*reader{"quick": quick, "conflates": conflates, "away": away, "control": control} {
		if r.s.Over() {
			t.Errorf("%s was closed", name)
		}
	}
	if got := of(conflates.take(), "conflates"); len(got) != 1 {
		t.Errorf("%d values of a topic that conflates", len(got))
	}
	if got := of(quick.take(), "off"); len(got) != 0 && len(got) != 100 {
		t.Errorf("the quick session lost messages: %d", len(got))
	}
	if pressure(g.pressure.Load()) != tight {
		t.Errorf("pressure %v", g.pressure.Load())
	}
	if _, s := e.Connect(context.Background(), request("client"), here, &fakeConn{}); s == nil {
		t.Error("a session is still refused")
	}

	// The one that was away begins anew, and goes on.
	q := request("client")
	q.Token, q.OldestClient, q.LastServer = away.s.Token(), 1, int64(away.s.queue.Sent())
	away.conn = &fakeConn{}
	clear(away.paths)
	if res, _ := e.Connect(context.Background(), q, here, away.conn); res.Code != wire.ReconnectedWithLoss {
		t.Fatalf("away: %v", res.Code)
	}
	if got := away.take(); len(got) != 2 {
		t.Errorf("away got %d messages, want the topic and its value", len(got))
	}
	stall(control, "off", 3)
	if got := of(away.take(), "off"); len(got) != 3 {
		t.Errorf("away got %d values, want 3", len(got))
	}
}

// TestSheddingIsCountedAndLogged checks what an operator sees.
func TestSheddingIsCountedAndLogged(t *testing.T) {
	e, g := governed(t, nil)
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	control.do(adding(1, "off", binarySpec(topic.Conflation, "off")))
	slow.do(selecting(1, "off"))
	stall(control, "off", 100)
	if got := values(t, e)["advect_queued_bytes"]; got < 100<<10 {
		t.Errorf("advect_queued_bytes %v", got)
	}
	for _, percent := range []int64{70, 91, 95, 60} {
		g.at(percent)
	}
	v := values(t, e)
	for name, want := range map[string]float64{
		"advect_memory_ceiling_bytes": testCeiling, "advect_memory_used_bytes": testCeiling * 60 / 100, "advect_memory_pressure": 0,
		"advect_memory_relief_total sessions_closed": 1, "advect_memory_relief_total sessions_refused": 0,
		"advect_queued_bytes": 0, "advect_sessions_closed_total MESSAGE_QUEUE_LIMIT_REACHED": 1,
	} {
		if got := v[name]; got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	for _, want := range []string{
		`level=WARN msg="memory is short: `, `level=WARN msg="memory is nearly used up: `, `level=INFO msg="memory is less short"`,
		`level=WARN msg="sessions lost their backlog for want of memory" closed=1`, "largest=" + slow.s.ID().String(),
	} {
		if strings.Count(g.log.String(), want) != 1 {
			t.Errorf("the log lacks %s, or has it twice:\n%s", want, g.log.String())
		}
	}
}

// TestGovernorCollects checks that the collector is asked only when something was
// freed that it has not seen, and not at once while that is no hurry.
func TestGovernorCollects(t *testing.T) {
	e, g := governed(t, nil)
	now := time.Now()
	g.now = func() time.Time { return now }
	control, slow := newReader(t, e, "control"), newReader(t, e, "client")
	control.do(adding(1, "c", stringSpec()))
	slow.do(selecting(1, "c"))
	for range 10 {
		now = now.Add(time.Minute)
		g.at(80)
	}
	if g.collections != 0 {
		t.Fatalf("%d collections although nothing was freed", g.collections)
	}
	publish(t, control, "c", 900)
	g.at(80)
	if g.collections != 0 {
		t.Error("collected at once")
	}
	now = now.Add(seenWithin)
	g.at(80)
	if g.collections != 1 {
		t.Errorf("%d collections, want 1", g.collections)
	}
	now = now.Add(time.Hour)
	g.at(80)
	if g.collections != 1 {
		t.Errorf("%d collections although nothing more was freed", g.collections)
	}
}

// TestGovernorRuns checks that a governor with a ceiling looks by itself, that a
// round that takes long is followed by a longer rest, and that it ends.
func TestGovernorRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := bareEngine(t, nil)
		g := newGovernor(e, testCeiling)
		looks := 0
		g.read = func() memoryUse {
			looks++
			time.Sleep(100 * time.Millisecond)
			return memoryUse{}
		}
		g.start()
		time.Sleep(10 * time.Second)
		g.stop()
		if looks != 10 {
			t.Errorf("%d looks of 100 ms in 10 seconds, want 10", looks)
		}
		e.Close()
	})
}

// TestReadUsed checks that the real reading follows what is alive.
func TestReadUsed(t *testing.T) {
	before := collected()
	keep := make([][]byte, 64)
	for i := range keep {
		keep[i] = make([]byte, 1<<20)
	}
	with := collected()
	if grown := with.used - before.used; grown < 60<<20 || grown > 100<<20 {
		t.Errorf("64 MiB more are seen as %d", grown)
	}
	if with.cycle <= before.cycle {
		t.Errorf("collection %d after %d", with.cycle, before.cycle)
	}
	for i := range keep {
		keep[i] = nil
	}
	if after := collected(); after.used > with.used-50<<20 {
		t.Errorf("64 MiB less: %d after %d", after.used, with.used)
	}
	_ = fmt.Sprint(keep[0])
}

func collected() memoryUse {
	g := newGovernor(&Engine{}, 0)
	g.collect()
	return g.read()
}
