package main

import (
	"context"
	"fmt"

	"advect.dev"
)

type topicsCmd struct {
	Selector string     `arg:"" optional:"" default:"?.*//" help:"Topic selector, or path."`
	JSON     bool       `name:"json" help:"One JSON object for each topic, with its properties."`
	Server   connection `embed:""`
}

func (*topicsCmd) Help() string { return topicsHelp }

// Run lists topics.
func (c *topicsCmd) Run(std *streams) error {
	return c.Server.with(std, func(ctx context.Context, session *advect.Session) error {
		query := advect.FetchQuery{Selector: c.Selector, Properties: c.JSON}
		for topic, err := range session.Topics().FetchAll(ctx, query) {
			if err != nil {
				return err
			}
			if !c.JSON {
				fmt.Fprintf(std.out, "%-11s %s\n", topic.Specification.Type, oneLine(topic.Path))
				continue
			}
			line := topicLine{topic.Path, topic.Specification.Type.String(), topic.Specification.Properties}
			if err := printLine(std.out, line); err != nil {
				return err
			}
		}
		return nil
	})
}

// topicLine is a topic in JSON lines.
type topicLine struct {
	Path       string            `json:"path"`
	Type       string            `json:"type"`
	Properties map[string]string `json:"properties,omitempty"`
}
