package engine

import (
	"bytes"
	"fmt"
	"maps"
	"math"

	"advect.dev/internal/service"
	"advect.dev/internal/topic"
	"advect.dev/internal/wire"
)

func (w *world) randomQuery() service.Query {
	r := w.rnd
	q := service.Query{
		Selector: randomSelector(r), Types: service.AllTypes, Values: r.IntN(2) == 0, Properties: r.IntN(2) == 0, Sizes: r.IntN(2) == 0,
		Limit: math.MaxInt32, MaxResultSize: math.MaxInt32, DeepBranchDepth: math.MaxInt32, DeepBranchLimit: math.MaxInt32,
	}
	if r.IntN(2) == 0 {
		q.Selector = "?.*//"
	}
	if r.IntN(3) == 0 {
		q.Limit = int32(r.IntN(30) - 15)
	}
	if r.IntN(4) == 0 {
		q.MaxResultSize = int32(r.IntN(3000))
	}
	if r.IntN(4) == 0 {
		q.DeepBranchDepth, q.DeepBranchLimit = int32(r.IntN(4)), int32(r.IntN(4))
	}
	if r.IntN(4) == 0 {
		q.Types = 1<<topic.JSON | 1<<topic.TimeSeries
	}
	if r.IntN(3) == 0 {
		q.From = &service.Limit{Path: randomPath(r), Inclusive: r.IntN(2) == 0}
	}
	if r.IntN(3) == 0 {
		q.To = &service.Limit{Path: "/" + randomPath(r), Inclusive: r.IntN(2) == 0}
	}
	return q
}

// fetch makes a query and compares its result, topic by topic.
func (w *world) fetch(c *modelClient, q service.Query) {
	type item struct {
		topic       service.FetchedTopic
		properties  map[string]string
		encodedSize int
	}
	var want []item
	var more bool
	modelCall(c, service.FetchQuery, q, func() (res service.QueryResult, code wire.ErrorCode) {
		sel := w.ref.expression(q.Selector)
		if sel == nil {
			return res, wire.CodeInvalidData
		}
		var found []*modelTopic
		found, more = w.ref.fetch(&q, sel.matches)
		for _, n := range found {
			i := item{topic: service.FetchedTopic{Path: n.path, Type: n.spec.Type}}
			value := n.stored()
			if q.Values && value != nil {
				i.topic.Value = &value
			}
			if q.Sizes {
				i.topic.Size = service.Size{Kind: service.ValueSize, Value: int32(len(value))}
			}
			if q.Sizes && n.series() {
				i.topic.Size = service.Size{Kind: service.TimeSeriesSize, Value: int32(len(value)), Events: int32(len(n.events))}
				for _, e := range n.events {
					i.topic.Size.Total += int64(len(e.Append(nil)))
				}
			}
			i.encodedSize = len(i.topic.Append(nil))
			if q.Properties {
				i.properties = n.spec.Properties
				i.encodedSize += len(topic.AppendProperties(nil, i.properties)) + 1
			}
			want = append(want, i)
		}
		return res, ok
	}, func(got service.QueryResult) error {
		left := want
		if len(got.Topics) < len(want) { // what did not fit is left out
			if q.Limit >= 0 {
				left = want[:len(got.Topics)]
			} else {
				left = want[len(want)-len(got.Topics):]
			}
			size := 64
			for _, i := range left {
				size += i.encodedSize
			}
			next := want[min(len(got.Topics), len(want)-1)]
			if q.Limit < 0 {
				next = want[len(want)-1-len(got.Topics)]
			}
			if size+next.encodedSize <= min(int(q.MaxResultSize), w.engine.cfg.MaxResultSize) || !got.More {
				return fmt.Errorf("%d topics of %d, more %v", len(got.Topics), len(want), got.More)
			}
		} else if got.More != more {
			return fmt.Errorf("more: %v, want %v", got.More, more)
		}
		if size := len(service.FetchQuery.EncodeResponse(nil, got)); len(got.Topics) > 0 && size > int(q.MaxResultSize) {
			return fmt.Errorf("the result takes %d bytes", size)
		}
		if len(got.Topics) > len(want) {
			return fmt.Errorf("%d topics, want %d", len(got.Topics), len(want))
		}
		for n, i := range left {
			g := got.Topics[n]
			if g.Path != i.topic.Path || g.Type != i.topic.Type || g.Size != i.topic.Size || (g.Value == nil) != (i.topic.Value == nil) || g.Value != nil && !bytes.Equal(*g.Value, *i.topic.Value) {
				return fmt.Errorf("topic %+v, want %+v", g, i.topic)
			}
			if int(g.PropertySet) >= len(got.PropertySets) || !maps.Equal(got.PropertySets[g.PropertySet], i.properties) {
				return fmt.Errorf("property set %d of %q in %v, want %v", g.PropertySet, g.Path, got.PropertySets, i.properties)
			}
		}
		return nil
	})
}
