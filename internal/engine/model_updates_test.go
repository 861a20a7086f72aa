package engine

import (
	"fmt"
	"math"
	"time"

	"advect.dev/internal/delta"
	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

// openStream opens an update stream in one of the four ways.
func (w *world) openStream(c *modelClient) {
	var opened *modelStream
	var created service.Created
	learn := func(got service.NewStream) error {
		flags := service.StreamFlags(0)
		if opened.topic.retains() {
			flags |= service.RetainsValue
		}
		if !opened.topic.series() && opened.topic.conflation() != "off" {
			flags |= service.SupportsConflation
		}
		if got.Flags != flags || got.ID.Topic != opened.topic.id || got.ID.Partition != 0 || got.ID.Generation != 0 {
			return fmt.Errorf("stream %+v, want topic %d, flags %d", got, opened.topic.id, flags)
		}
		opened.id, opened.local = got.ID, opened.base
		c.streams = append(c.streams, opened)
		return nil
	}
	added := func(got service.AddedStream) error {
		if got.Created != created {
			return fmt.Errorf("created %d, want %d", got.Created, created)
		}
		return learn(got.NewStream)
	}
	if w.rnd.IntN(2) == 0 {
		path, typ, change := w.setting(c)
		change.opens, change.sets = true, w.rnd.IntN(2) == 0
		answer := func() (res service.NewStream, code wire.ErrorCode) {
			if !c.controls() {
				return res, wire.CodeAccessDenied
			}
			opened, code = w.ref.update(path, typ, change)
			return res, code
		}
		if change.sets {
			modelCall(c, service.CreateStreamAndSet, service.SetRequest{Path: path, Type: typ, Value: change.value, Constraint: *change.constraint}, answer, learn)
		} else {
			modelCall(c, service.CreateStream, service.CreateStreamRequest{Path: path, Type: typ, Constraint: *change.constraint}, answer, learn)
		}
		return
	}
	path := randomPath(w.rnd)
	spec := w.spec(path)
	change := w.change(c, path, spec)
	change.opens, change.sets = true, w.rnd.IntN(2) == 0
	answer := func() (res service.AddedStream, code wire.ErrorCode) {
		if !c.controls() {
			return res, wire.CodeAccessDenied
		}
		created, opened, code = w.ref.add(path, spec, change)
		return res, code
	}
	if change.sets {
		modelCall(c, service.StreamAddAndSet, service.AddAndSetRequest{Path: path, Specification: spec.given, Value: change.value, Constraint: *change.constraint}, answer, added)
	} else {
		modelCall(c, service.StreamAdd, service.StreamAddRequest{Path: path, Specification: spec.given, Constraint: *change.constraint}, answer, added)
	}
}

// useStream checks a stream, or sets a value through it, whole or as a delta from
// the one that the client set before.
func (w *world) useStream(c *modelClient) {
	r := w.rnd
	s := &modelStream{id: service.StreamID{Topic: r.Int32N(1000), Instance: 1 << 20}, topic: &modelTopic{valueType: topic.JSON}}
	if n := len(c.streams); n > 0 {
		s = c.streams[n-1-r.IntN(min(n, 4))]
	}
	value, valid := w.ref.randomValue(r, s.topic.valueType)
	use := func(set func() wire.ErrorCode) func() (service.Empty, wire.ErrorCode) {
		return func() (res service.Empty, code wire.ErrorCode) {
			if s.topic.stream != s {
				return res, wire.CodeInvalidUpdateStream
			}
			if code = set(); code != ok {
				s.topic.stream = nil
			}
			return res, code
		}
	}
	switch k := r.IntN(10); {
	case k == 0:
		modelCall(c, service.CheckStream, s.id, use(func() wire.ErrorCode { return ok }), nil)
	case k < 4:
		s.local = value
		modelCall(c, service.StreamSet, service.StreamRequest{ID: s.id, Bytes: value}, use(func() wire.ErrorCode {
			if !s.topic.accepts(value, valid) {
				return wire.CodeUpdateFailed
			}
			w.ref.set(s.topic, c, value, s)
			return ok
		}), nil)
	default:
		base := s.local
		d := delta.Diff(base, value)
		switch {
		case r.IntN(30) == 0:
			d = []byte{0x19, 0xff, 0xff, 0x01} // copies what is not there
			value = nil
		case r.IntN(12) == 0 && base != nil:
			d, value, valid = []byte{delta.NoChange}, base, true
		}
		s.local = value
		modelCall(c, service.StreamApplyDelta, service.StreamRequest{ID: s.id, Bytes: d}, use(func() wire.ErrorCode {
			n := s.topic
			if !s.valued || !n.retains() || !n.valueType.HasDeltas() || value == nil || !n.accepts(value, valid) {
				return wire.CodeUpdateFailed
			}
			w.ref.set(n, c, value, s)
			return ok
		}), nil)
	}
}

func (w *world) patchTopic(c *modelClient) {
	path := w.existing()
	for range 4 { // most topics are of other types
		if n := w.ref.topics[path]; n == nil || n.spec.Type != topic.JSON {
			path = w.existing()
		}
	}
	ops := randomPatch(w.rnd)
	text := []byte("[")
	for i := range ops {
		if i > 0 {
			text = append(text, ',')
		}
		text = ops[i].json(text)
	}
	text = append(text, ']')
	invalid := w.rnd.IntN(20) == 0
	if invalid {
		text = []byte([]string{`{}`, `[{"op":"frobnicate","path":""}]`, `[{"op":"add","path":"a","value":1}]`, `[`}[w.rnd.IntN(4)])
	}
	constraint := w.ref.randomConstraint(w.rnd, path, 3)
	modelCall(c, service.ApplyJSONPatch, service.PatchRequest{Path: path, Patch: string(text), Constraint: constraint}, func() (service.PatchResult, wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case !c.controls():
			return 0, wire.CodeAccessDenied
		case invalid:
			return 0, wire.CodeInvalidPatch
		case !w.ref.satisfied(&constraint, n):
			return 0, wire.CodeUnsatisfied
		case n == nil:
			return 0, wire.CodeNoSuchTopic
		case n.spec.Type != topic.JSON:
			return 0, wire.CodeIncompatibleUpdate
		case n.value == nil:
			return 0, ok
		}
		doc := w.ref.documents[string(n.value)]
		if doc == nil {
			return 0, wire.CodePatchFailed
		}
		patched, failed := doc.patch(ops)
		if failed >= 0 {
			return service.PatchResult(failed), ok
		}
		value := patched.cbor(nil)
		w.ref.documents[string(value)] = patched
		w.ref.set(n, c, value, nil)
		return service.PatchApplied, ok
	}, nil)
}

func (w *world) appendEvents(c *modelClient) {
	r := w.rnd
	path := w.existing()
	for range 6 {
		if n := w.ref.topics[path]; n == nil || !n.series() {
			path = w.existing()
		}
	}
	typ := w.valueType(path)
	name := dataTypes[typ]
	if r.IntN(20) == 0 {
		name, typ = []string{"time_series", "", "number"}[r.IntN(3)], 0
	}
	value, valid := w.ref.randomValue(r, max(typ, topic.Binary))
	sequence, timestamp := int64(-1), int64(-1)
	kind := r.IntN(3)
	if n := w.ref.topics[path]; kind == 1 && n != nil && n.series() {
		sequence = n.next - 1 - r.Int64N(12)
		if r.IntN(2) == 0 && len(n.events.originals()) > 0 {
			originals := n.events.originals()
			sequence = originals[r.IntN(len(originals))].Sequence
		}
	}
	if kind == 2 {
		timestamp = time.Now().UnixMilli() + r.Int64N(20) - 8
	}
	answer := func() (res service.EventMetadata, code wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case !c.controls():
			return res, wire.CodeAccessDenied
		case n == nil:
			return res, wire.CodeNoSuchTopic
		case !n.series():
			return res, wire.CodeNotATimeSeries
		case n.valueType != typ:
			return res, wire.CodeIncompatibleDatatype
		case !n.accepts(value, valid):
			return res, wire.CodeInvalidData
		case kind == 2 && len(n.events) > 0 && timestamp < n.events[len(n.events)-1].Timestamp:
			return res, wire.CodeInvalidData
		case kind == 2:
			return w.ref.appendEvent(n, c, nil, timestamp, value), ok
		case kind == 0:
			return w.ref.appendEvent(n, c, nil, time.Now().UnixMilli(), value), ok
		}
		for _, e := range n.events {
			switch {
			case e.Sequence != sequence:
			case c.principal != "admin" && e.Author != c.principal:
				return res, wire.CodeAccessDenied
			case e.Edit():
				return res, wire.CodeNoSuchEvent
			default:
				return w.ref.appendEvent(n, c, &e, time.Now().UnixMilli(), value), ok
			}
		}
		return res, wire.CodeNoSuchEvent
	}
	req := service.AppendRequest{Path: path, DataType: name, Value: value}
	switch kind {
	case 0:
		modelCall(c, service.TimeSeriesAppend, req, answer, nil)
	case 1:
		modelCall(c, service.TimeSeriesEdit, service.EditRequest{Path: path, DataType: name, Sequence: sequence, Value: value}, answer, nil)
	default:
		modelCall(c, service.TimeSeriesTimestampAppend, service.TimestampAppendRequest{AppendRequest: req, Timestamp: timestamp}, answer, nil)
	}
}

func (w *world) rangeQuery(c *modelClient) {
	r := w.rnd
	path := w.existing()
	for range 6 {
		if n := w.ref.topics[path]; n == nil || !n.series() {
			path = w.existing()
		}
	}
	invalid := false
	point := func(last service.PointType) service.Point {
		p := service.Point{Type: service.PointType(r.IntN(int(last) + 1)), Value: r.Int64N(12)}
		if n := w.ref.topics[path]; n != nil && len(n.events) > 0 {
			some := n.events[r.IntN(len(n.events))]
			switch p.Type {
			case service.AbsoluteSequence:
				p.Value = some.Sequence
			case service.AbsoluteTime:
				p.Value = some.Timestamp + r.Int64N(3) - 1
			}
		}
		if r.IntN(100) == 0 {
			p.Value, invalid = -1, true
		}
		return p
	}
	span := func() service.EventRange {
		if r.IntN(3) == 0 {
			return service.WholeSeries
		}
		return service.EventRange{Anchor: point(service.OffsetTime), Span: point(service.PreviousTime)}
	}
	q := service.RangeQueryRequest{Path: path, Type: service.RangeQueryType(r.IntN(3)), View: span(), Edit: span(), Limit: []int64{0, 3, math.MaxInt64}[r.IntN(3)]}
	modelCall(c, service.RangeQuery, q, func() (res service.RangeQueryResult, code wire.ErrorCode) {
		n := w.ref.topics[path]
		switch {
		case invalid:
			return res, wire.CodeInvalidData
		case !c.controls() && (q.Type != service.ValueRange || q.Edit != service.WholeSeries):
			return res, wire.CodeAccessDenied
		case n == nil:
			return res, wire.CodeNoSuchTopic
		case !n.series():
			return res, wire.CodeNotATimeSeries
		}
		found, selected := n.events.query(&q)
		return service.NewRangeQueryResult(dataTypes[n.valueType], selected, found), ok
	}, nil)
}
