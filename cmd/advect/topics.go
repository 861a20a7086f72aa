package main

import (
	"context"
	"fmt"
	"io"

	"advect.dev"
)

type topicsCmd struct {
	Selector string     `arg:"" optional:"" default:"?.*//" help:"Topic selector, or path."`
	Limit    int        `placeholder:"N" help:"End after N topics."`
	JSON     bool       `name:"json" help:"One JSON object for each topic, with its properties."`
	Server   connection `embed:""`
}

func (*topicsCmd) Help() string { return topicsHelp }

// Run lists topics.
func (c *topicsCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		query := advect.FetchQuery{Selector: c.Selector, Properties: c.JSON, First: pageSize}
		if c.Limit > 0 {
			query.First = min(c.Limit, pageSize)
		}
		shown := 0
		for topic, err := range session.Topics().FetchAll(ctx, query) {
			if err != nil {
				return err
			}
			if err := c.print(std.out, &topic); err != nil {
				return err
			}
			if shown++; shown == c.Limit {
				return nil
			}
		}
		return nil
	})
}

func (c *topicsCmd) print(w io.Writer, topic *advect.FetchedTopic) error {
	if c.JSON {
		return printLine(w, topicLine{topic.Path, topic.Specification.Type.String(), topic.Specification.Properties})
	}
	_, err := fmt.Fprintf(w, "%-11s %s\n", topic.Specification.Type, oneLine(topic.Path))
	return err
}

// topicLine is a topic in JSON lines.
type topicLine struct {
	Path       string            `json:"path"`
	Type       string            `json:"type"`
	Properties map[string]string `json:"properties,omitempty"`
}
