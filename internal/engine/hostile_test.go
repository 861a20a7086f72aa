package engine

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"advect.dev/internal/outbox"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// TestHostileRequests checks that requests which ask for too much are refused, and
// that the topic, those who receive it and the session are sound after each.
func TestHostileRequests(t *testing.T) {
	nested := func(n int) service.Constraint {
		c := service.Constraint{}
		for range n {
			c = service.Constraint{Kind: service.Conjunction, Left: &service.Constraint{}, Right: new(c)}
		}
		return c
	}
	wide := func(n int) *service.Constraint {
		all := make([]*service.Constraint, n)
		for i := range all {
			all[i] = &service.Constraint{}
		}
		for ; len(all) > 1; all = all[:(len(all)+1)/2] {
			for i := range len(all) / 2 {
				all[i] = &service.Constraint{Kind: service.Disjunction, Left: all[2*i], Right: all[2*i+1]}
			}
			if len(all)%2 == 1 {
				all[len(all)/2] = all[len(all)-1]
			}
		}
		return all[0]
	}
	set := func(c service.Constraint) []byte {
		return service.SetTopic.AppendRequest(nil, 1, service.SetRequest{Path: "a", Type: topic.String, Value: text("x"), Constraint: c})
	}
	raw := func(id int32, body ...[]byte) []byte {
		return append(wire.AppendRequest(nil, id, 1), slices.Concat(body...)...)
	}
	e := newEngine(t, nil)
	control, r, subscriber := newReader(t, e, "control"), newReader(t, e, "admin"), newReader(t, e, "client")
	control.do(addingAndSetting(1, "a", stringSpec(), "0"))
	control.do(service.AddAndSetTopic.AppendRequest(nil, 2, service.AddAndSetRequest{Path: "b", Value: make([]byte, 60_000),
		Specification: topic.Specification{Type: topic.Binary, Properties: map[string]string{topic.Compression: "off"}}}))
	control.do(service.AddAndSetTopic.AppendRequest(nil, 3, service.AddAndSetRequest{Path: "j", Specification: topic.Specification{Type: topic.JSON}, Value: []byte{0x80}}))
	control.do(adding(4, "ts", topic.Specification{Type: topic.TimeSeries, Properties: map[string]string{topic.TimeSeriesEventValueType: "string"}}))
	control.do(adding(5, strings.Repeat("a", 60)+"b", stringSpec()))
	subscriber.do(selecting(1, "?[ab]"))
	opened := r.do(service.CreateStreamAndSet.AppendRequest(nil, 2, service.SetRequest{Path: "b", Type: topic.Binary, Value: make([]byte, 60_001)}))
	stream := service.StreamID{Topic: e.tree.Get("b").ID(), Instance: 1}
	if !slices.Equal(opened, []string{"answer 2"}) {
		t.Fatal(opened)
	}
	catastrophic := `*(a+)+\1c`
	huge := wire.AppendInt32(nil, math.MaxInt32)
	for i, c := range []struct {
		name  string
		frame []byte
		code  wire.ErrorCode // 0: answered
	}{
		{"constraints nested too deep", set(nested(101)), wire.CodeInvalidData},
		{"constraints nested deep", set(nested(99)), 0},
		{"too many constraints", set(*wide(10_000)), wire.CodeInvalidData},
		{"many constraints", set(*wide(4_000)), 0},
		{"endless conditions", raw(service.SetTopic.ID, []byte{1, 'a', 17, 1, 0x60, 6}, huge), wire.CodeInvalidData},
		{"endless properties", raw(service.StreamAdd.ID, []byte{1, 'x', 17}, huge), wire.CodeInvalidData},
		{"endless value", raw(service.StreamSet.ID, []byte{1, 1, 0, 0}, huge), wire.CodeInvalidData},
		{"endless text", raw(service.NotificationSelection.ID, []byte{1}, huge), wire.CodeInvalidData},
		{"delta that expands", service.StreamApplyDelta.AppendRequest(nil, 1, service.StreamRequest{ID: stream, Bytes: bytes.Repeat([]byte{0x00, 0x19, 0xea, 0x60}, 10_000)}), wire.CodeUpdateFailed},
		{"the stream after it", service.CheckStream.AppendRequest(nil, 1, stream), wire.CodeInvalidUpdateStream},
		{"patch that expands", service.ApplyJSONPatch.AppendRequest(nil, 1, service.PatchRequest{Path: "j",
			Patch: "[" + strings.Repeat(`{"op":"copy","from":"","path":"/-"},`, 5000) + `{"op":"test","path":"","value":0}]`}), 0},
		{"patch that is too deep", service.ApplyJSONPatch.AppendRequest(nil, 1, service.PatchRequest{Path: "j",
			Patch: `[{"op":"add","path":"/-","value":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000) + `}]`}), wire.CodeInvalidPatch},
		{"patch with a long pointer", service.ApplyJSONPatch.AppendRequest(nil, 1, service.PatchRequest{Path: "j",
			Patch: `[{"op":"remove","path":"` + strings.Repeat("/0", 100_000) + `"}]`}), 0},
		{"catastrophic listener", listening(1, 1, catastrophic), wire.CodeInvalidData},
		{"catastrophic removal", removing(1, catastrophic), wire.CodeInvalidData},
		{"catastrophic fetch", service.FetchQuery.AppendRequest(nil, 1, service.Query{Selector: catastrophic, Types: service.AllTypes, Limit: 10, MaxResultSize: 1 << 20}), wire.CodeInvalidData},
		{"listener of everything", listening(1, 2, "#"+strings.Repeat(">x////", 5000)+">y"), 0},
		{"handler of a long path", handling(1, strings.Repeat("a/", 400_000)+"a", 1), 0},
		{"a path that is too long", adding(1, strings.Repeat("a/", 400_000)+"a", stringSpec()), wire.CodeTopicPathInvalid},
		{"query of everything and more", service.RangeQuery.AppendRequest(nil, 1, service.RangeQueryRequest{Path: "ts", View: service.WholeSeries, Edit: service.WholeSeries, Limit: math.MaxInt64}), 0},
		{"query of less than nothing", service.RangeQuery.AppendRequest(nil, 1, service.RangeQueryRequest{Path: "ts", View: service.WholeSeries, Edit: service.WholeSeries, Limit: math.MinInt64}), wire.CodeInvalidData},
		{"event at the end of time", service.TimeSeriesTimestampAppend.AppendRequest(nil, 1, service.TimestampAppendRequest{
			AppendRequest: service.AppendRequest{Path: "ts", DataType: "string", Value: text("x")}, Timestamp: math.MaxInt64}), 0},
		{"event after the end of time", service.TimeSeriesAppend.AppendRequest(nil, 1, service.AppendRequest{Path: "ts", DataType: "string", Value: text("x")}), 0},
		{"edit of no event", service.TimeSeriesEdit.AppendRequest(nil, 1, service.EditRequest{Path: "ts", DataType: "string", Sequence: math.MinInt64, Value: text("x")}), wire.CodeNoSuchEvent},
		{"fetch with limits that overflow", service.FetchQuery.AppendRequest(nil, 1, service.Query{Selector: "?.*//", Types: -1, Values: true, Properties: true, Sizes: true,
			Limit: math.MinInt32, MaxResultSize: math.MinInt32, DeepBranchDepth: math.MinInt32, DeepBranchLimit: math.MinInt32}), 0},
	} {
		got := r.do(c.frame)
		want := "answer 1"
		if c.code != 0 {
			want = fmt.Sprint("error 1 ", int(c.code))
		}
		if len(got) == 0 || got[len(got)-1] != want {
			t.Errorf("%s: %q, want %q", c.name, got, want)
		}
		value := fmt.Sprint("after ", i)
		control.expect(c.name, updating(1, "a", value), "answer 1")
		if got := subscriber.take(); len(got) == 0 || got[len(got)-1] != "value a "+value {
			t.Errorf("%s: a subscriber got %q", c.name, got)
		}
	}
	if v, _ := e.tree.Get("b").Value(); len(v) != 60_001 {
		t.Errorf("the value for which deltas were sent has %d bytes", len(v))
	}
	if v, _ := e.tree.Get("j").Value(); !bytes.Equal(v, []byte{0x80}) {
		t.Errorf("the patched value is %x", v)
	}
}

// TestSessionsStress lets sessions do everything to a few topics at once, while
// they take what they get. Readers complain of what no client could follow; in the
// end each holds what it selects.
func TestSessionsStress(t *testing.T) {
	e := newEngine(t, func(c *Config) { c.Queue = outbox.Limits{Messages: 200, Bytes: 1 << 20} })
	specs := []topic.Specification{
		stringSpec(), stringSpec(topic.Conflation, "always"), stringSpec(topic.Priority, "high"), stringSpec(topic.TidyOnUnsubscribe, "true"), stringSpec(topic.DontRetainValue, "true"),
	}
	kind := func(i int) string { return fmt.Sprintf("t/%d/%d", i%3, i%len(specs)) }
	var work sync.WaitGroup
	readers := make([]*reader, 6)
	for i := range readers {
		r := newReader(t, e, "admin")
		readers[i] = r
		work.Go(func() {
			random := rand.New(rand.NewPCG(uint64(i), 3))
			cid := int64(0)
			var stream service.StreamID
			for range 3000 {
				cid++
				n := random.IntN(15)
				path, s, value := kind(n), specs[n%len(specs)], fmt.Sprint(random.IntN(1000))
				switch random.IntN(14) {
				case 0, 1, 2:
					r.send(addingAndSetting(cid, path, s, value))
				case 3, 4:
					r.send(updating(cid, path, value))
				case 5:
					r.send(removing(cid, path))
				case 6:
					if n := e.tree.Get(path); n != nil { // may be another's by then
						r.send(service.StreamAddAndSet.AppendRequest(nil, cid, service.AddAndSetRequest{Path: path, Specification: s, Value: text(value)}))
						stream = service.StreamID{Topic: n.ID(), Instance: random.Int32N(20)}
					}
				case 7, 8:
					for id := range r.s.registrations.streams {
						stream = id
					}
					r.send(service.StreamSet.AppendRequest(nil, cid, service.StreamRequest{ID: stream, Bytes: text(value)}))
				case 9:
					r.send(listening(cid, random.Int64N(3), []string{"?t//", ">t", "?t/0//", ">t/1"}[random.IntN(4)]))
				case 10:
					r.send(service.NotificationDeregistration.AppendRequest(nil, cid, service.Conversation(random.Int64N(3))))
				case 11:
					r.send(selecting(cid, []string{"?t//", "?t/0//", ">" + path}[random.IntN(3)]))
				case 12:
					r.send(unselecting(cid, []string{"?t//", "?t/0//", ">" + path}[random.IntN(3)]))
				case 13:
					r.send(service.FetchQuery.AppendRequest(nil, cid, service.Query{Selector: "?t//", Types: service.AllTypes, Values: true, Limit: 10, MaxResultSize: 1 << 16}))
				}
				if random.IntN(3) == 0 {
					r.take()
				}
			}
		})
	}
	work.Wait()
	for i, r := range readers {
		if r.s.Over() {
			t.Fatalf("session %d was closed: %v", i, r.s.reason)
		}
		r.do(selecting(1, "?t//"))
		held := paths(r.paths)
		slices.Sort(held)
		if want := left(e); !slices.Equal(held, want) {
			t.Errorf("session %d holds %q, want %q", i, held, want)
		}
		for id, path := range r.paths {
			value, has := e.tree.Get(path).Value()
			if has && !bytes.Equal(value, r.values[id]) {
				t.Errorf("session %d holds %x of %s, which is %x", i, r.values[id], path, value)
			}
		}
	}
}
