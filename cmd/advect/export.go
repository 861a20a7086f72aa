package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"time"

	"advect.dev"
	"advect.dev/datatype"
)

type exportCmd struct {
	Selectors []string   `arg:"" name:"selector" help:"Topic selectors, or paths."`
	Server    connection `embed:""`
}

func (*exportCmd) Help() string { return exportHelp }

// topicRecord is a topic in a file: its specification, and its value, if it has
// one.
type topicRecord struct {
	Path       string            `json:"path"`
	Type       string            `json:"type"`
	Properties map[string]string `json:"properties,omitempty"`
	exactValue
	Events []eventRecord `json:"events,omitempty"`
}

// eventRecord is an event of a time series in a file.
type eventRecord struct {
	Timestamp time.Time `json:"timestamp"`
	exactValue
}

// Run writes topics, a page at a time. A time series that cannot be read is
// reported, and the rest goes on.
func (c *exportCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		selector, err := advect.JoinSelectors(c.Selectors...)
		if err != nil {
			return err
		}
		progress, out, topics := newProgress(std.err, 0), bufio.NewWriter(std.out), 0
		var failed []error
		query := advect.FetchQuery{Selector: selector, Values: true, Properties: true, First: pageSize}
		for topic, err := range session.Topics().FetchAll(ctx, query) {
			if err != nil {
				progress.clear()
				return errors.Join(append(failed, out.Flush(), err)...)
			}
			record, err := c.record(ctx, session.Topics(), &topic)
			if err != nil {
				failed = append(failed, err)
				continue
			}
			if err := printLine(out, record); err != nil {
				return err
			}
			topics++
			progress.update(topics, 0)
		}
		progress.clear()
		return errors.Join(append(failed, out.Flush())...)
	})
}

func (c *exportCmd) record(ctx context.Context, topics *advect.Topics, topic *advect.FetchedTopic) (topicRecord, error) {
	r := topicRecord{Path: topic.Path, Type: topic.Specification.Type.String(), Properties: topic.Specification.Properties}
	if topic.Specification.Type == advect.TimeSeries {
		var err error
		r.Events, err = c.events(ctx, topics, topic.Path)
		return r, err
	}
	value, err := topic.Value()
	switch {
	case errors.Is(err, advect.ErrNoValue):
		return r, nil
	case err != nil: // what is stored is not well formed, yet it is what is stored
		value = encoded{datatype.Type(topic.Specification.Type), topic.Bytes()}
	}
	r.exactValue = exactOf(value, topic.Bytes())
	return r, nil
}

func (c *exportCmd) events(ctx context.Context, topics *advect.Topics, path string) ([]eventRecord, error) {
	ctx, cancel := c.Server.request(ctx)
	defer cancel()
	result, err := advect.QueryRange[datatype.Value](ctx, topics, path, advect.RangeQuery{})
	if err != nil {
		return nil, err
	}
	if !result.Complete {
		return nil, fmt.Errorf("topic %s: its %d events do not fit into a message: it is left out", path, result.Selected)
	}
	var events []eventRecord
	for _, e := range result.Events {
		r := eventRecord{Timestamp: e.Timestamp}
		if e.IsEdit() {
			r.Timestamp = e.Original.Timestamp // else they would not be in order
		}
		if !e.Null {
			r.exactValue = exactOf(e.Value, e.Value.Bytes())
		}
		events = append(events, r)
	}
	return events, nil
}
