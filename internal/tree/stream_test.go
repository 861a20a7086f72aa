package tree

import (
	"bytes"
	"fmt"
	"testing"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func openStream(t testing.TB, tr *Tree, path string, typ topic.Type, value []byte) *UpdateStream {
	t.Helper()
	s, err := tr.CreateStreamAndSet(somebody, &service.SetRequest{Path: path, Type: typ, Value: value})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// streamed is a tree with a STRING topic "a" that a stream has set to "1".
func streamed(t testing.TB) (*Tree, *UpdateStream) {
	t.Helper()
	tr := New(Config{})
	add(t, tr, "a", "0")
	return tr, openStream(t, tr, "a", topic.String, str("1"))
}

// TestStreamInvalidation follows 23 section 5.4: what ends a stream, and what
// does not.
func TestStreamInvalidation(t *testing.T) {
	none := &service.Constraint{}
	for name, c := range map[string]struct {
		cause func(*testing.T, *Tree, *UpdateStream)
		valid bool
	}{
		"nothing":                {func(*testing.T, *Tree, *UpdateStream) {}, true},
		"set by another":         {func(t *testing.T, tr *Tree, _ *UpdateStream) { _ = set(tr, "a", topic.String, str("2"), none) }, false},
		"equal set by another":   {func(t *testing.T, tr *Tree, _ *UpdateStream) { _ = set(tr, "a", topic.String, str("1"), none) }, true},
		"null by another":        {func(t *testing.T, tr *Tree, _ *UpdateStream) { _ = set(tr, "a", topic.String, null, none) }, false},
		"add and set by another": {func(t *testing.T, tr *Tree, _ *UpdateStream) { add(t, tr, "a", "2") }, false},
		"equal add and set":      {func(t *testing.T, tr *Tree, _ *UpdateStream) { add(t, tr, "a", "1") }, true},
		"add":                    {func(t *testing.T, tr *Tree, _ *UpdateStream) { _, _ = addTopic(tr, "a", text) }, true},
		"refused set":            {func(t *testing.T, tr *Tree, _ *UpdateStream) { _ = set(tr, "a", topic.JSON, []byte{1}, none) }, true},
		"refused patch": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			_, _ = tr.Patch(somebody, &service.PatchRequest{Path: "a", Patch: "[]"})
		}, true},
		"another stream": {func(t *testing.T, tr *Tree, _ *UpdateStream) { openStream(t, tr, "a", topic.String, str("1")) }, false},
		"stream of another path": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			add(t, tr, "b", "1")
			openStream(t, tr, "b", topic.String, str("2"))
		}, true},
		"another stream by add": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			_, _, _ = tr.StreamAdd(somebody, &service.StreamAddRequest{Path: "a", Specification: text})
		}, false},
		"stream refused": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			_, _ = tr.CreateStream(somebody, &service.CreateStreamRequest{Path: "a", Type: topic.Double})
		}, true},
		"removal": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			tr.Remove(sel(t, "a"), func(*Topic) bool { return true })
		}, false},
		"removal and addition": {func(t *testing.T, tr *Tree, _ *UpdateStream) {
			tr.Remove(sel(t, "a"), func(*Topic) bool { return true })
			add(t, tr, "a", "1")
		}, false},
		"own set":       {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.Set(str("2")) }, true},
		"own null":      {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.Set(null) }, true},
		"own delta":     {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.ApplyDelta(delta.Diff(str("1"), str("2"))) }, true},
		"own no change": {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.ApplyDelta([]byte{0xf6}) }, true},
		"own bad set":   {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.Set(nil) }, false},
		"own bad delta": {func(t *testing.T, _ *Tree, s *UpdateStream) { _ = s.ApplyDelta([]byte{0, 9}) }, false},
		"closing":       {func(t *testing.T, _ *Tree, s *UpdateStream) { s.Close() }, false},
		"closing another": {func(t *testing.T, tr *Tree, s *UpdateStream) {
			older := &UpdateStream{topic: s.topic, tree: tr}
			older.Close()
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tr, s := streamed(t)
			c.cause(t, tr, s)
			if s.Valid() != c.valid {
				t.Fatalf("valid: %v", s.Valid())
			}
			want := wire.CodeInvalidUpdateStream
			if c.valid {
				want = 0
			}
			before := tr.Get("a")
			var value []byte
			if before != nil {
				value, _ = before.Value()
			}
			for operation, err := range map[string]error{"check": s.Check(), "set": s.Set(str("9")), "delta": s.ApplyDelta([]byte{0x42, 0x61, '8'})} {
				if code(err) != want {
					t.Errorf("%s: %v", operation, err)
				}
			}
			if before != nil && !c.valid {
				if now, _ := before.Value(); !bytes.Equal(now, value) {
					t.Errorf("an invalid stream changed %x to %x", value, now)
				}
			}
		})
	}
}

// TestStreamIDs checks that ids are not used again, also not for a topic that is
// added again.
func TestStreamIDs(t *testing.T) {
	tr := New(Config{})
	seen := map[service.StreamID]bool{}
	for i := range 10 {
		add(t, tr, "a", fmt.Sprint(i))
		for range 3 {
			id := openStream(t, tr, "a", topic.String, str("x")).Opened().ID
			if seen[id] || id.Partition != 0 || id.Generation != 0 {
				t.Fatalf("id %+v, used before: %v", id, seen[id])
			}
			seen[id] = true
		}
		tr.Remove(sel(t, "a"), func(*Topic) bool { return true })
	}
}

// TestStreamDeltas follows 11 section 11.5.
func TestStreamDeltas(t *testing.T) {
	type step struct {
		set, delta []byte // one of them
		code       wire.ErrorCode
		value      []byte // then
	}
	to := func(old, new string) []byte { return delta.Diff(str(old), str(new)) }
	for name, c := range map[string]struct {
		spec  topic.Specification
		first []byte // nil: the stream is validated only
		steps []step
	}{
		"deltas":                {text, str("hello world"), []step{{delta: to("hello world", "hello there"), value: str("hello there")}, {delta: to("hello there", "hello"), value: str("hello")}}},
		"replacement":           {text, str("a"), []step{{delta: []byte{0x43, 0x62, 'b', 'c'}, value: str("bc")}}},
		"no change":             {text, str("a"), []step{{delta: []byte{0xf6}, value: str("a")}}},
		"set between":           {text, str("a"), []step{{set: str("bb"), value: str("bb")}, {delta: to("bb", "bbc"), value: str("bbc")}}},
		"validated, then delta": {text, nil, []step{{delta: to("0", "1"), code: wire.CodeUpdateFailed, value: str("0")}, {set: str("1"), code: wire.CodeInvalidUpdateStream, value: str("0")}}},
		"validated, then set":   {text, nil, []step{{set: str("1"), value: str("1")}, {delta: to("1", "12"), value: str("12")}}},
		"equal set, then delta": {text, str("0"), []step{{delta: to("0", "01"), value: str("01")}}},
		"null is a base":        {text, str("a"), []step{{set: null}, {delta: []byte{0x42, 0x61, 'b'}, value: str("b")}}},
		"no change of null":     {text, str("a"), []step{{set: null}, {delta: []byte{0xf6}}, {delta: []byte{0x42, 0x61, 'b'}, value: str("b")}}},
		"delta to null":         {text, str("a"), []step{{delta: []byte{0x41, 0xf6}}, {set: str("b"), value: str("b")}}},
		"beyond the base":       {text, str("a"), []step{{delta: []byte{0, 3}, code: wire.CodeUpdateFailed, value: str("a")}, {set: str("b"), code: wire.CodeInvalidUpdateStream, value: str("a")}}},
		"one octet":             {text, str("a"), []step{{delta: []byte{0x40}, code: wire.CodeUpdateFailed, value: str("a")}}},
		"to nothing":            {text, str("a"), []step{{delta: []byte{}, code: wire.CodeUpdateFailed, value: str("a")}}},
		"binary to nothing":     {spec(topic.Binary), str("a"), []step{{delta: []byte{}, value: []byte{}}, {delta: []byte{0x41, 7}, value: []byte{7}}}},
		"record":                {spec(topic.RecordV2), []byte("a\x02b"), []step{{delta: delta.Diff([]byte("a\x02b"), []byte("a\x02c")), value: []byte("a\x02c")}}},
		"double has none":       {spec(topic.Double), unhexed("fb3ff8000000000000"), []step{{delta: []byte{0xf6}, code: wire.CodeUpdateFailed, value: unhexed("fb3ff8000000000000")}}},
		"int64 has none":        {spec(topic.Int64), []byte{1}, []step{{delta: []byte{0x41, 2}, code: wire.CodeUpdateFailed, value: []byte{1}}}},
		"nothing is retained":   {spec(topic.JSON, topic.DontRetainValue, "true"), []byte{1}, []step{{delta: []byte{0x41, 2}, code: wire.CodeUpdateFailed}}},
		"validation":            {spec(topic.String, topic.ValidateValues, "true"), str("a"), []step{{delta: []byte{0x41, 0x61}, code: wire.CodeUpdateFailed, value: str("a")}}},
		"validation of a set":   {spec(topic.String, topic.ValidateValues, "true"), str("a"), []step{{set: []byte{1}, code: wire.CodeUpdateFailed, value: str("a")}, {set: str("b"), code: wire.CodeInvalidUpdateStream, value: str("a")}}},
		"values only":           {spec(topic.JSON, topic.PublishValuesOnly, "true"), []byte{1}, []step{{delta: []byte{0x41, 2}, value: []byte{2}}}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := New(Config{})
			if c.first == nil {
				_, _ = addAndSet(tr, "a", c.spec, str("0"), &service.Constraint{})
			}
			p := newPicture(t)
			_ = subscribe(tr, NewClient(p), sel(t, "a"), "")
			var s *UpdateStream
			var err error
			if c.first == nil {
				_, s, err = tr.StreamAdd(somebody, &service.StreamAddRequest{Path: "a", Specification: c.spec})
			} else {
				_, s, err = tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: c.spec, Value: c.first})
			}
			if err != nil {
				t.Fatal(err)
			}
			for i, step := range c.steps {
				if step.set != nil {
					err = s.Set(step.set)
				} else {
					err = s.ApplyDelta(step.delta)
				}
				if code(err) != step.code {
					t.Fatalf("step %d: %v, want code %d", i, err, step.code)
				}
				if v, has := s.Topic().Value(); has != (step.value != nil) || !bytes.Equal(v, step.value) {
					t.Fatalf("step %d: the value is %x, want %x", i, v, step.value)
				}
				if step.value != nil && !bytes.Equal(p.values["a"], step.value) { // applied by the picture from the delta
					t.Fatalf("step %d: a subscriber holds %x, want %x", i, p.values["a"], step.value)
				}
			}
		})
	}
}

// TestStreamDeltaIsBounded checks that small deltas cannot make values beyond
// MaxValue.
func TestStreamDeltaIsBounded(t *testing.T) {
	tr := New(Config{MaxValue: 1 << 16})
	value := make([]byte, 1<<15)
	_, s, err := tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: spec(topic.Binary), Value: value})
	if err != nil {
		t.Fatal(err)
	}
	twice := bytes.Repeat([]byte{0x00, 0x19, 0x80, 0x00}, 2) // copies all, twice
	if err := s.ApplyDelta(twice); err != nil {
		t.Fatal(err)
	}
	if err := s.ApplyDelta(bytes.Repeat([]byte{0x00, 0x19, 0xff, 0xff}, 1000)); code(err) != wire.CodeUpdateFailed {
		t.Errorf("a delta that makes 64 MiB: %v", err)
	}
	if v, _ := s.Topic().Value(); len(v) != 1<<16 {
		t.Errorf("the value has %d bytes", len(v))
	}
}

// TestStreamFlags follows 23 section 5.2 and 11 section 11.5.
func TestStreamFlags(t *testing.T) {
	for _, c := range []struct {
		spec topic.Specification
		want service.StreamFlags
	}{
		{spec(topic.JSON), 3},
		{spec(topic.Int64), 3},
		{spec(topic.JSON, topic.Conflation, "off"), 1},
		{spec(topic.JSON, topic.Conflation, "always"), 3},
		{spec(topic.JSON, topic.Conflation, "unsubscribe"), 3},
		{spec(topic.JSON, topic.DontRetainValue, "true"), 2},
		{spec(topic.JSON, topic.DontRetainValue, "true", topic.Conflation, "off"), 0},
		{spec(topic.JSON, topic.PublishValuesOnly, "true"), 3},
		{seriesOf("json"), 1},
		{seriesOf("json", topic.DontRetainValue, "true"), 1},
		{seriesOf("string", topic.Conflation, "unsubscribe"), 1},
	} {
		_, s, err := New(Config{}).StreamAdd(somebody, &service.StreamAddRequest{Path: "a", Specification: c.spec})
		if err != nil {
			t.Fatal(err)
		}
		if got := s.Opened().Flags; got != c.want {
			t.Errorf("%v: flags %d, want %d", c.spec, got, c.want)
		}
	}
}

// TestLockedStream checks that a lock with which a stream was opened must be held
// at every operation, and that nothing else of its constraint must.
func TestLockedStream(t *testing.T) {
	held := map[string]int64{"l": 7, "other": 1}
	tr := New(Config{Locked: func(name string, sequence int64) bool { return held[name] == sequence }})
	lock := func(name string) *service.Constraint {
		return &service.Constraint{Kind: service.Locked, Lock: name, Sequence: held[name]}
	}
	both := &service.Constraint{Kind: service.Conjunction, Left: lock("l"), Right: &service.Constraint{Kind: service.NoTopic}}
	either := &service.Constraint{Kind: service.Disjunction, Left: lock("l"), Right: lock("other")}
	open := func(path string, c *service.Constraint) *UpdateStream {
		_, s, err := tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: path, Specification: text, Value: str("1"), Constraint: *c})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	streams := map[string]*UpdateStream{"alone": open("alone", lock("l")), "with no topic": open("both", both), "or another": open("either", either)}
	for name, s := range streams {
		if err := s.Set(str("2")); err != nil {
			t.Errorf("%s: held: %v", name, err)
		}
	}
	held["l"] = 8 // by somebody else
	for name, s := range streams {
		want := wire.CodeInvalidUpdateStream
		if name == "or another" {
			want = 0
		}
		for _, err := range []error{s.Check(), s.Set(str("3")), s.ApplyDelta([]byte{0xf6})} {
			if code(err) != want {
				t.Errorf("%s: lost: %v", name, err)
			}
		}
		if v, _ := s.Topic().Value(); bytes.Equal(v, str("3")) != (want == 0) {
			t.Errorf("%s: the value is %x", name, v)
		}
	}
	held["l"] = 7
	if streams["alone"].Valid() {
		t.Error("a stream that lost its lock is valid again")
	}
}

// TestCreationIsAtomic checks that a request which creates a topic and fails
// leaves none, and that none is announced.
func TestCreationIsAtomic(t *testing.T) {
	strict := spec(topic.String, topic.ValidateValues, "true")
	for name, c := range map[string]struct {
		spec       topic.Specification
		value      []byte
		constraint string
		code       wire.ErrorCode
	}{
		"constraint":                {text, str("1"), "03", wire.CodeUnsatisfied},
		"empty value":               {text, []byte{}, "00", wire.CodeUpdateFailed},
		"validation":                {strict, []byte{1}, "00", wire.CodeUpdateFailed},
		"validation, not retained":  {spec(topic.String, topic.ValidateValues, "true", topic.DontRetainValue, "true"), []byte{1}, "00", wire.CodeUpdateFailed},
		"validation of an event":    {seriesOf("string", topic.ValidateValues, "true"), []byte{1}, "00", wire.CodeUpdateFailed},
		"validation of a first one": {seriesOf("string", topic.ValidateValues, "true", topic.PublishValuesOnly, "true"), []byte{1}, "00", wire.CodeUpdateFailed},
		"specification":             {spec(topic.String, topic.Priority, "urgent"), str("1"), "00", wire.CodeTopicSpecInvalid},
	} {
		tr := New(Config{})
		p, heard := newPicture(t), newRecorder()
		_ = subscribe(tr, NewClient(p), sel(t, "?.*//"), "")
		_ = tr.Listen(NewListener(heard), sel(t, "?.*//"))
		constraint := *constraintOf(t, c.constraint)
		_, err := addAndSet(tr, "a", c.spec, c.value, &constraint)
		_, _, streamErr := tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: "a", Specification: c.spec, Value: c.value, Constraint: constraint})
		if code(err) != c.code || code(streamErr) != c.code {
			t.Errorf("%s: %v, %v", name, err, streamErr)
		}
		if tr.Len() != 0 || len(p.events)+len(heard.events) != 0 {
			t.Errorf("%s: %d topics, events %v %v", name, tr.Len(), p.events, heard.events)
		}
	}
	tr := New(Config{})
	if _, _, err := tr.StreamAdd(somebody, &service.StreamAddRequest{Path: "a//b", Specification: text}); code(err) != wire.CodeTopicPathInvalid {
		t.Error(err)
	}
	add(t, tr, "a", "1")
	if _, _, err := tr.StreamAdd(somebody, &service.StreamAddRequest{Path: "a", Specification: strict}); code(err) != wire.CodeTopicExists {
		t.Error(err)
	}
	for name, err := range map[string]error{
		"no topic": func() error {
			_, err := tr.CreateStream(somebody, &service.CreateStreamRequest{Path: "none", Type: topic.String})
			return err
		}(),
		"other type": func() error {
			_, err := tr.CreateStreamAndSet(somebody, &service.SetRequest{Path: "a", Type: topic.JSON, Value: []byte{1}})
			return err
		}(),
	} {
		if want := map[string]wire.ErrorCode{"no topic": wire.CodeNoSuchTopic, "other type": wire.CodeIncompatibleUpdate}[name]; code(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestSeriesStream checks that a stream of a time series appends events, and that
// each stream has a base of its own.
func TestSeriesStream(t *testing.T) {
	tr := New(Config{})
	spec := seriesOf("string", topic.TimeSeriesRetainedRange, "limit 100")
	_, s, err := tr.StreamAddAndSet(somebody, &service.AddAndSetRequest{Path: "ts", Specification: spec, Value: str("hello")})
	if err != nil {
		t.Fatal(err)
	}
	other := &Author{Principal: "other"}
	if err := tr.Set(other, &service.SetRequest{Path: "ts", Type: topic.String, Value: str("between")}); err != nil {
		t.Fatal(err)
	}
	if _, err := tr.Append(other, &service.AppendRequest{Path: "ts", DataType: "string", Value: str("too")}, nil); err != nil {
		t.Fatal(err)
	}
	for _, d := range [][]byte{delta.Diff(str("hello"), str("hello you")), {0xf6}} {
		if err := s.ApplyDelta(d); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Set(str("hello you")); err != nil {
		t.Fatal(err)
	}
	want := []string{"somebody hello", "other between", "other too", "somebody hello you", "somebody hello you", "somebody hello you"}
	n := s.Topic()
	for i, w := range want {
		e, ok := n.series.Event(int64(i))
		if got := e.Author + " " + string(e.Value[min(1, len(e.Value)):]); !ok || got != w {
			t.Errorf("event %d is %q, want %q", i, got, w)
		}
	}
	if n.series.Len() != len(want) {
		t.Errorf("%d events", n.series.Len())
	}
	if _, err := tr.CreateStream(somebody, &service.CreateStreamRequest{Path: "ts", Type: topic.TimeSeries}); code(err) != wire.CodeIncompatibleUpdate {
		t.Errorf("a stream of type TIME_SERIES: %v", err)
	}
	late, err := tr.CreateStream(other, &service.CreateStreamRequest{Path: "ts", Type: topic.String})
	if err != nil {
		t.Fatal(err)
	}
	if s.Valid() || code(late.ApplyDelta([]byte{0xf6})) != wire.CodeUpdateFailed {
		t.Error("a new stream has no base, and ends the one before")
	}
}
